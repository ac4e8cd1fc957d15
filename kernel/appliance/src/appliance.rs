//! The main task: configuration, devices, the database, shutdown.

use crate::{devices, self_tests};
use core::time::Duration;
use intralith_config::Config;
use kernel_memory::{frames, heap};
use kernel_task::{spawn, time};

/// How often the power button is looked at.
const BUTTON_INTERVAL: Duration = Duration::from_millis(200);

pub fn main(command_line: &'static [u8]) {
    let mut config = Config::default();
    if let Err(e) = config.apply(command_line) {
        log::error!("command line: {e}");
    }
    log::set_max_level(config.log);
    if let Some(name) = &config.test {
        self_tests::run(name);
    }
    let functions = devices::enumerate();
    devices::seed_entropy(&functions);
    let disks = devices::disks(&functions);
    let network = devices::network(&functions, &config.network);
    if let Some(n) = &network {
        let got = n.wait_configured(Duration::from_secs(3));
        log::info!("network: configured {got} {:?} after {:?}", n.addresses(), time::monotonic());
    }
    let memory = frames::stats();
    let used = heap::stats();
    log::info!(
        "memory: {} MiB, {} KiB in use (heap {} KiB)",
        memory.total >> 20,
        (memory.total - memory.free) >> 10,
        (used.slabs + used.large) >> 10
    );
    if kernel_acpi::enable_power_button() {
        spawn("power button", watch_power_button);
    } else {
        log::warn!("power: no power button");
    }
    log::info!("up after {:?}", time::monotonic());
}

fn watch_power_button() {
    loop {
        kernel_task::sleep(BUTTON_INTERVAL);
        if kernel_acpi::power_button_pressed() {
            log::info!("power: button pressed, shutting down");
            kernel_acpi::power_off();
            log::error!("power: the machine does not switch off");
        }
    }
}

//! The main task: configuration, devices, the database, shutdown.

use crate::{crash, devices, self_tests};
use alloc::sync::Arc;
use boot_layout::Search;
use core::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use driver_nvme::NvmeDisk;
use intralith_config::{Config, ConfigError};
use kernel_memory::{frames, heap};
use kernel_net::NetStack;
use kernel_task::time;
use pg_session::{FIRST_NAME, Server, VolumeError, open_volume, server_config};
use pg_storage::{Probe, Storage};
use pg_types::SqlError;
use platform::{
    block::{BlockDevice, BlockError, Partition},
    net::{Listener, NetError},
};

/// How often the power button is looked at.
const BUTTON_INTERVAL: Duration = Duration::from_millis(200);
/// How long the announcement waits for an address.
const ADDRESS_LIMIT: Duration = Duration::from_secs(30);
/// Handshaken connections that wait to be accepted.
const BACKLOG: usize = 256;

/// Why the appliance cannot serve.
#[derive(Debug)]
enum ServeError {
    CommandLine(ConfigError),
    NoDisk,
    Disk(BlockError),
    Volume(VolumeError),
    NoNetwork,
    Listen(NetError),
    FirstQuery(SqlError),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine(e) => write!(f, "command line: {e}"),
            Self::NoDisk => f.write_str("there is no NVMe disk"),
            Self::Disk(e) => write!(f, "disk: {e}"),
            Self::Volume(e) => write!(f, "{e}"),
            Self::NoNetwork => f.write_str("there is no virtio network card"),
            Self::Listen(e) => write!(f, "cannot listen: {e}"),
            Self::FirstQuery(e) => write!(f, "the first query failed: {}", pg_session::describe(e)),
        }
    }
}

/// What has to be shut down, in this order.
struct Running {
    server: Arc<Server>,
    network: Arc<NetStack>,
    disk: Arc<NvmeDisk>,
}

/// Runs the appliance until the power button is pressed.
pub fn main(command_line: &'static [u8]) {
    let mut words = Config::default();
    let parsed = words.apply(command_line).map_err(ServeError::CommandLine);
    log::set_max_level(words.log);
    if let Some(name) = &words.test {
        self_tests::run(name);
    }
    let button = kernel_acpi::enable_power_button();
    if !button {
        log::warn!("power: no power button");
    }
    let running = parsed.and_then(|()| start(command_line));
    let running = match running {
        Ok(running) => Some(running),
        Err(e) => {
            log::error!("not serving: {e}");
            None
        }
    };
    wait_for_button(button);
    log::info!("power: button pressed, shutting down");
    if let Some(running) = running {
        shut_down(&running);
    }
    kernel_acpi::power_off();
    kernel_task::fatal("the machine does not switch off");
}

/// For tests that crash on purpose: lets them leave a record if there is a volume.
pub fn arm_crash_record() {
    if let Ok((disk, device)) = data_device(&devices::disks(&devices::enumerate())) {
        crash::arm(&disk, &device);
    }
}

fn start(command_line: &'static [u8]) -> Result<Running, ServeError> {
    let functions = devices::enumerate();
    devices::seed_entropy(&functions);
    let disks = devices::disks(&functions);
    let (disk, device) = data_device(&disks)?;
    crash::report(&*device);
    let armed = crash::arm(&disk, &device);
    // The network takes its time to get an address: it starts first, with what the disk's configuration says of it.
    let early = early_config(&*device, command_line)?;
    let network = devices::network(&functions, &early.network).ok_or(ServeError::NoNetwork)?;
    let compute = devices::compute(&functions);
    let pool = frames::stats().free as u64 / 2;
    let volume = open_volume(device.clone(), pool, compute, |config| config.apply(command_line))
        .map_err(ServeError::Volume)?;
    log::set_max_level(volume.config.log);
    if !armed {
        crash::arm(&disk, &device);
    }
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, volume.config.port));
    let listener = network.listen(any, BACKLOG).map_err(ServeError::Listen)?;
    let listener: Arc<dyn Listener> = listener;
    let server = Server::start(volume.engine, listener, server_config(&volume.config));
    if let Err(e) = server.check("SELECT 1") {
        let _ = server.shutdown();
        return Err(ServeError::FirstQuery(e));
    }
    if let Some(password) = &volume.new_password {
        driver_serial::print(format_args!("the password of {FIRST_NAME} is {password}\n"));
    }
    announce(&network, volume.config.port);
    Ok(Running { server, network, disk })
}

fn announce(network: &NetStack, port: u16) {
    if !network.wait_configured(ADDRESS_LIMIT) {
        log::warn!("network: no IPv4 address yet");
    }
    let memory = frames::stats();
    let heap = heap::stats();
    log::info!(
        "memory: {} of {} MiB in use (small allocations {} MiB, large ones with the buffer pool {} MiB)",
        (memory.total - memory.free) >> 20,
        memory.total >> 20,
        heap.slabs >> 20,
        heap.large >> 20
    );
    for address in network.addresses() {
        // Whatever the log level: people and programs wait for it.
        driver_serial::print(format_args!("listening on {} port {port}\n", address.address()));
    }
    log::info!("up after {} ms", time::monotonic().as_millis());
}

/// The disk to serve, and the part of it that is ours: the data partition of a flashed disk, or all of a disk without a
/// partition table. A disk of ours is preferred to a blank one.
fn data_device(disks: &[Arc<NvmeDisk>]) -> Result<(Arc<NvmeDisk>, Arc<dyn BlockDevice>), ServeError> {
    let mut best = None;
    for disk in disks {
        let whole: Arc<dyn BlockDevice> = disk.clone();
        let device: Arc<dyn BlockDevice> =
            match boot_layout::find_data_partition(&*whole).map_err(ServeError::Disk)? {
                Search::Found(range) => Arc::new(Partition::new(whole, range)),
                Search::NotOurs | Search::NoTable => whole,
            };
        let rank = match Storage::probe(&*device) {
            Ok(Probe::Intralith { .. }) => 3,
            Ok(Probe::Blank) => 2,
            // Kept for the message that says what was found.
            _ => 1,
        };
        if best.as_ref().is_none_or(|(r, _, _)| rank > *r) {
            best = Some((rank, disk.clone(), device));
        }
    }
    best.map(|(_, disk, device)| (disk, device)).ok_or(ServeError::NoDisk)
}

/// The configuration before the volume is opened: the disk's block, if there is one, and the command line.
fn early_config(device: &dyn BlockDevice, command_line: &[u8]) -> Result<Config, ServeError> {
    let mut config = Config::default();
    if let Ok(Probe::Intralith { .. }) = Storage::probe(device)
        && let Ok(block) = Storage::read_config(device)
    {
        let text = block.split(|b| *b == 0).next().unwrap_or_default();
        // A broken block is reported when the volume is opened.
        let _ = config.apply(text);
    }
    config.apply(command_line).map_err(ServeError::CommandLine)?;
    Ok(config)
}

fn wait_for_button(button: bool) {
    loop {
        kernel_task::sleep(if button { BUTTON_INTERVAL } else { Duration::MAX });
        if kernel_acpi::power_button_pressed() {
            return;
        }
    }
}

fn shut_down(running: &Running) {
    match running.server.shutdown() {
        Ok(()) => log::info!("shut down, checkpoint written"),
        Err(e) => log::error!("shutdown: {}", pg_session::describe(&e)),
    }
    running.network.shutdown();
    running.disk.controller().shutdown();
}

//! Tests that need the machine: run by `test=NAME` on the command line (`test=all` runs all), with a verdict on the
//! serial port and through QEMU's debug-exit device.

use x86_64::instructions::port::Port;

/// Exit codes of the debug-exit device: QEMU exits with twice the value plus one.
const PASSED: u32 = 0x10;
const FAILED: u32 = 0x11;

type Test = (&'static str, fn());

const TESTS: &[Test] = &[("nothing", || {})];

/// Runs the named test and ends the machine.
pub fn run(name: &str) -> ! {
    let mut ran = 0;
    for (n, test) in TESTS {
        if name != "all" && name != *n {
            continue;
        }
        ran += 1;
        match kernel_task::catch_unwind(test) {
            Ok(()) => log::info!("test {n}: ok"),
            Err(p) => {
                log::error!("test {n}: FAILED: {}", p.message);
                exit(FAILED);
            }
        }
    }
    log::info!("tests: {ran} ran");
    exit(if ran > 0 { PASSED } else { FAILED })
}

fn exit(code: u32) -> ! {
    // SAFETY: QEMU's debug-exit device; on a machine without it the port is unused.
    unsafe { Port::<u32>::new(0xf4).write(code) };
    kernel_acpi::power_off();
    kernel_task::fatal("the machine does not switch off");
}

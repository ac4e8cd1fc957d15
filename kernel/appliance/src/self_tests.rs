//! Tests that need the machine: run by `test=NAME` on the command line (`test=all` runs all, `test=list` prints the
//! names), with a verdict on the serial port and through QEMU's debug-exit device.

mod devices;
mod locks;
mod memory;
mod panics;
mod tasks;

use kernel_task::{spawn, time};
use x86_64::instructions::port::Port;

/// Exit codes of the debug-exit device: QEMU exits with twice the value plus one.
const PASSED: u32 = 0x10;
const FAILED: u32 = 0x11;

type Test = (&'static str, fn());

const TESTS: &[&[Test]] = &[memory::TESTS, tasks::TESTS, locks::TESTS, panics::TESTS, devices::TESTS];

/// Tests that end the machine on purpose: not part of `all`. The harness looks at what they print.
const FATAL: &[Test] = panics::FATAL;

/// Runs the named test and ends the machine.
pub fn run(name: &str) -> ! {
    if name == "list" {
        for (n, _) in TESTS.iter().copied().flatten().chain(FATAL) {
            driver_serial::print(format_args!("test {n}\n"));
        }
        exit(PASSED);
    }
    if let Some((_, test)) = FATAL.iter().find(|t| t.0 == name) {
        crate::appliance::arm_crash_record();
        test();
        log::error!("test {name}: the machine survived");
        exit(FAILED);
    }
    let mut ran = 0;
    let named = devices::BY_NAME.iter().filter(|t| t.0 == name);
    for (n, test) in TESTS.iter().copied().flatten().filter(|t| name == "all" || name == t.0).chain(named) {
        ran += 1;
        let from = time::monotonic();
        match spawn(n, test).join() {
            Ok(()) => log::info!("test {n}: ok ({:?})", time::monotonic() - from),
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

/// A repeatable sequence of numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 16) as usize % n
    }
}

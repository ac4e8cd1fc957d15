//! 16550 serial ports: the console and the log.
//!
//! Output only: the appliance takes no commands there. Each byte waits for room in the transmitter, for a bounded
//! time, so that a missing or stuck port slows nothing down for good.
//!
//! # Lock order
//! The port's lock is a leaf. [`print_unlocked`] takes no lock: crash reports come from contexts that may hold it.
//!
//! Dependencies: `x86_64` (ports), `spin` (the lock), `log` (the logger this implements).
#![no_std]

use core::fmt::{self, Write};
use spin::Mutex;
use x86_64::instructions::port::Port;

/// First serial port of a PC.
pub const COM1: u16 = 0x3f8;

const DATA: u16 = 0;
const INTERRUPT_ENABLE: u16 = 1;
const FIFO_CONTROL: u16 = 2;
const LINE_CONTROL: u16 = 3;
const MODEM_CONTROL: u16 = 4;
const LINE_STATUS: u16 = 5;

const TRANSMITTER_EMPTY: u8 = 1 << 5;

/// Looks at the status before a byte is given up: far longer than a byte takes at 115200 baud.
const PATIENCE: u32 = 100_000;

/// A serial port.
#[derive(Debug)]
pub struct SerialPort {
    base: u16,
    present: bool,
}

impl SerialPort {
    /// A port that is not set up: writes go nowhere.
    pub const fn new(base: u16) -> Self {
        Self { base, present: false }
    }

    fn read(&self, register: u16) -> u8 {
        // SAFETY: a register of the serial port, whose reading does not touch memory.
        unsafe { Port::<u8>::new(self.base + register).read() }
    }

    fn write(&mut self, register: u16, value: u8) {
        // SAFETY: as for `read`.
        unsafe { Port::<u8>::new(self.base + register).write(value) };
    }

    /// 115200 baud, 8 data bits, no parity, one stop bit, no interrupts.
    pub fn init(&mut self) {
        self.write(INTERRUPT_ENABLE, 0);
        self.write(LINE_CONTROL, 0x80);
        self.write(DATA, 1);
        self.write(INTERRUPT_ENABLE, 0);
        self.write(LINE_CONTROL, 0x03);
        self.write(FIFO_CONTROL, 0x07);
        self.write(MODEM_CONTROL, 0x03);
        // A port that is not there reads as all ones.
        self.present = self.read(LINE_STATUS) != 0xff;
    }

    fn put(&mut self, byte: u8) {
        for _ in 0..PATIENCE {
            if self.read(LINE_STATUS) & TRANSMITTER_EMPTY != 0 {
                break;
            }
            core::hint::spin_loop();
        }
        self.write(DATA, byte);
    }
}

impl Write for SerialPort {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.present {
            for byte in s.bytes() {
                if byte == b'\n' {
                    self.put(b'\r');
                }
                self.put(byte);
            }
        }
        Ok(())
    }
}

static CONSOLE: Mutex<SerialPort> = Mutex::new(SerialPort::new(COM1));

/// Sets the console up.
pub fn init() {
    CONSOLE.lock().init();
}

/// Prints on the console.
pub fn print(args: fmt::Arguments<'_>) {
    let _ = CONSOLE.lock().write_fmt(args);
}

/// Prints without the lock: for crash reports, when the holder may be stopped for ever. Bytes may mix with a line
/// that is being printed.
pub fn print_unlocked(s: &str) {
    let mut port = SerialPort { base: COM1, present: true };
    let _ = port.write_str(s);
}

/// Tells the time for log lines: microseconds since boot.
pub type Clock = fn() -> u64;

/// A logger on the console.
#[derive(Debug)]
pub struct SerialLogger {
    /// Stamps the lines.
    pub clock: Clock,
}

impl log::Log for SerialLogger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }
    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let t = (self.clock)();
        print(format_args!(
            "[{:5}.{:06}] {:5} {}: {}\n",
            t / 1_000_000,
            t % 1_000_000,
            record.level(),
            record.target(),
            record.args()
        ));
    }
    fn flush(&self) {}
}

//! Panics: contained ones end a statement, others end the machine in an orderly way.
//!
//! A panic below a [`catch_unwind`] unwinds to it; destructors run, so locks are released. Without one, or when the
//! scheduler itself panics, or on [`fatal`] and CPU exceptions, the machine crashes: other cores are stopped, a report
//! with a symbolised backtrace goes to the serial port and into the crash record, which the registered sink writes to
//! disk; then the machine restarts.

use alloc::string::String;
use core::{
    fmt::{self, Write},
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering},
};
use spin::Mutex;

/// What a caught panic said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicInfo {
    /// Message and place.
    pub message: String,
}

/// The crash record's room: the newest report, as text.
const RECORD: usize = 8 << 10;

struct Record {
    text: [u8; RECORD],
    len: usize,
}

static REPORT: Mutex<Record> = Mutex::new(Record { text: [0; RECORD], len: 0 });
static CRASHING: AtomicBool = AtomicBool::new(false);
static SINK: AtomicUsize = AtomicUsize::new(0);
static CONSOLE: AtomicUsize = AtomicUsize::new(0);
static RESTART: AtomicUsize = AtomicUsize::new(0);
static SYMBOLS: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
static SYMBOLS_LEN: AtomicUsize = AtomicUsize::new(0);
static TEXT_END: AtomicU64 = AtomicU64::new(0);

macro_rules! hook {
    ($(#[$doc:meta])* $set:ident, $get:ident, $slot:ident, $t:ty) => {
        $(#[$doc])*
        pub fn $set(hook: $t) {
            $slot.store(hook as usize, Ordering::SeqCst);
        }
        fn $get() -> Option<$t> {
            let p = $slot.load(Ordering::SeqCst);
            // SAFETY: non-zero values are functions of this type, stored above.
            (p != 0).then(|| unsafe { core::mem::transmute::<usize, $t>(p) })
        }
    };
}

hook!(
    /// Registers what writes the crash record to disk. It runs with interrupts off and the other cores stopped, on
    /// an arbitrary stack: it must poll, must not allocate and must not wait for locks.
    set_crash_sink, crash_sink, SINK, fn(&[u8])
);
hook!(
    /// Registers what prints crash reports (the serial port, without waiting for its lock).
    set_crash_console, crash_console, CONSOLE, fn(&str)
);
hook!(
    /// Registers what resets the machine. It may return if it does not work.
    set_restart, restart_hook, RESTART, fn()
);

/// Registers the symbol table (see [`symbol`]) and where the code ends.
pub fn set_symbols(table: &'static [u8], text_end: u64) {
    TEXT_END.store(text_end, Ordering::Relaxed);
    SYMBOLS_LEN.store(table.len(), Ordering::Relaxed);
    SYMBOLS.store(table.as_ptr().cast_mut(), Ordering::Release);
}

/// The function that contains an address, and the offset in it.
///
/// The table is little-endian: count (u32), then per function, sorted: address minus [`kernel_memory::layout::IMAGE`]
/// (u32), offset of its name (u32); then the names, each a length (u16) and UTF-8 text.
pub fn symbol(address: u64) -> Option<(&'static str, u64)> {
    let p = SYMBOLS.load(Ordering::Acquire);
    if p.is_null() || address >= TEXT_END.load(Ordering::Relaxed) {
        return None;
    }
    // SAFETY: the slice that `set_symbols` was given is 'static.
    let table: &'static [u8] = unsafe { core::slice::from_raw_parts(p, SYMBOLS_LEN.load(Ordering::Relaxed)) };
    find_symbol(table, u32::try_from(address.checked_sub(kernel_memory::layout::IMAGE)?).ok()?)
}

fn word(table: &[u8], at: usize) -> Option<u32> {
    table.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn find_symbol(table: &[u8], address: u32) -> Option<(&str, u64)> {
    let count = word(table, 0)? as usize;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if word(table, 4 + middle * 8)? <= address {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let entry = 4 + low.checked_sub(1)? * 8;
    let names = 4 + count * 8;
    let name = names + word(table, entry + 4)? as usize;
    let len = u16::from_le_bytes(table.get(name..name + 2)?.try_into().ok()?) as usize;
    let text = core::str::from_utf8(table.get(name + 2..name + 2 + len)?).ok()?;
    Some((text, u64::from(address - word(table, entry)?)))
}

/// True while this task unwinds from a panic.
pub fn panicking() -> bool {
    crate::current().panics.load(Ordering::Relaxed) > 0
}

/// Runs `f`; a panic in it is caught and described.
#[cfg(intralith_platform = "metal")]
pub fn catch_unwind<T>(f: impl FnOnce() -> T) -> Result<T, PanicInfo> {
    metal::catch(f)
}

/// Outside the appliance this crate is only checked and its pure parts tested: panics are left to std.
#[cfg(not(intralith_platform = "metal"))]
pub fn catch_unwind<T>(f: impl FnOnce() -> T) -> Result<T, PanicInfo> {
    Ok(f())
}

/// Stops the machine because its state in memory can no longer be trusted: backtrace, crash record, restart.
pub fn fatal(reason: &str) -> ! {
    let mut out = begin_report();
    let _ = writeln!(out, "fatal: {reason}");
    backtrace(&mut out);
    finish_report(out)
}

/// Where a report goes: console and record.
pub(crate) struct Report(());

impl Write for Report {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if let Some(console) = crash_console() {
            console(s);
        }
        if let Some(mut r) = REPORT.try_lock() {
            let at = r.len;
            let n = s.len().min(RECORD - at);
            r.text[at..at + n].copy_from_slice(&s.as_bytes()[..n]);
            r.len += n;
        }
        Ok(())
    }
}

pub(crate) fn crashing() -> bool {
    CRASHING.load(Ordering::SeqCst)
}

/// Stops the other cores and opens the report. The second core to come here waits to be stopped by the first.
pub(crate) fn begin_report() -> Report {
    x86_64::instructions::interrupts::disable();
    if CRASHING.swap(true, Ordering::SeqCst) {
        halt_forever();
    }
    crate::apic::stop_others();
    Report(())
}

/// Ends the report: record to disk, restart.
pub(crate) fn finish_report(mut out: Report) -> ! {
    let _ = writeln!(out, "restarting");
    if let Some(sink) = crash_sink()
        && let Some(r) = REPORT.try_lock()
    {
        sink(&r.text[..r.len]);
    }
    restart_now()
}

pub(crate) fn restart_now() -> ! {
    if let Some(restart) = restart_hook() {
        restart();
    }
    halt_forever()
}

pub(crate) fn halt_forever() -> ! {
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}

fn print_frame(out: &mut Report, n: usize, address: u64) {
    let _ = match symbol(address) {
        Some((name, offset)) => writeln!(out, "  {n:2}: {address:#x} {name} + {offset:#x}"),
        None => writeln!(out, "  {n:2}: {address:#x}"),
    };
}

/// Where an exception handler returns to: see [`crate::exceptions`].
// SAFETY: nothing else has this name; the stub calls it on an aligned stack and does not expect it back.
#[unsafe(no_mangle)]
extern "C" fn kernel_task_crash_after_fault() -> ! {
    let mut out = Report(());
    backtrace(&mut out);
    finish_report(out)
}

/// Prints what look like return addresses on a stack that cannot be walked.
pub(crate) fn scan_stack(out: &mut Report, rip: u64, rsp: u64) {
    let _ = writeln!(out, "on the stack:");
    print_frame(out, 0, rip);
    let mut n = 1;
    let mut at = rsp.next_multiple_of(8);
    for _ in 0..4096 {
        if n > 24 {
            return;
        }
        if kernel_memory::virt_to_phys(at as *const u64).is_none() {
            // After an overflow the stack pointer is in the guard below the stack.
            at = (at + 1).next_multiple_of(4096);
            continue;
        }
        // SAFETY: mapped, aligned; stacks and the image are readable.
        let value = unsafe { (at as *const u64).read_volatile() };
        if symbol(value).is_some_and(|s| s.1 > 0) {
            print_frame(out, n, value);
            n += 1;
        }
        at += 8;
    }
}

#[cfg(not(intralith_platform = "metal"))]
fn backtrace(out: &mut Report) {
    let _ = writeln!(out, "no backtrace on this platform");
}

#[cfg(intralith_platform = "metal")]
use metal::backtrace;

#[cfg(intralith_platform = "metal")]
mod metal {
    use super::*;
    use alloc::{boxed::Box, format};
    use unwinding::abi::{_Unwind_Backtrace, _Unwind_GetIP, UnwindContext, UnwindReasonCode};

    struct Walk<'a> {
        out: &'a mut Report,
        n: usize,
    }

    extern "C" fn frame(context: &UnwindContext<'_>, walk: *mut core::ffi::c_void) -> UnwindReasonCode {
        // SAFETY: `backtrace` passed a `Walk` that outlives the walk.
        let walk = unsafe { &mut *walk.cast::<Walk<'_>>() };
        let ip = _Unwind_GetIP(context) as u64;
        if ip == 0 || walk.n >= 64 {
            return UnwindReasonCode::NORMAL_STOP;
        }
        print_frame(walk.out, walk.n, ip);
        walk.n += 1;
        UnwindReasonCode::NO_REASON
    }

    pub(super) fn backtrace(out: &mut Report) {
        let _ = writeln!(out, "backtrace:");
        let mut walk = Walk { out, n: 0 };
        _Unwind_Backtrace(frame, (&raw mut walk).cast());
    }

    pub(super) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, PanicInfo> {
        unwinding::panic::catch_unwind(f).map_err(|payload| {
            crate::current().panics.fetch_sub(1, Ordering::Relaxed);
            match payload.downcast::<PanicInfo>() {
                Ok(info) => *info,
                Err(_) => PanicInfo { message: String::from("panic") },
            }
        })
    }

    #[panic_handler]
    fn on_panic(info: &core::panic::PanicInfo<'_>) -> ! {
        if crashing() {
            // A panic while reporting a crash.
            restart_now();
        }
        let started = kernel_memory::core_local::ready()
            && kernel_memory::core_local::current().task.load(Ordering::Relaxed) != 0;
        // A broken allocator cannot be unwound with: that needs memory.
        let allocator = info.location().is_some_and(|l| {
            l.file().ends_with("memory/src/heap.rs") || l.file().ends_with("memory/src/frames.rs")
        });
        if started && !allocator && crate::current().panics.fetch_add(1, Ordering::Relaxed) == 0 {
            let place = info.location().map_or(String::new(), |l| format!(" ({}:{})", l.file(), l.line()));
            let message = format!("{}{place}", info.message());
            // Returns only when nobody catches it.
            let _ = unwinding::panic::begin_panic(Box::new(PanicInfo { message }));
        }
        let mut out = begin_report();
        let _ = writeln!(out, "fatal: {info}");
        if started {
            let _ = writeln!(out, "in task '{}'", crate::current().name());
        }
        backtrace(&mut out);
        finish_report(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn table(functions: &[(u32, &str)]) -> Vec<u8> {
        let mut entries = Vec::new();
        let mut names = Vec::new();
        for (address, name) in functions {
            entries.extend(address.to_le_bytes());
            entries.extend((names.len() as u32).to_le_bytes());
            names.extend((name.len() as u16).to_le_bytes());
            names.extend(name.as_bytes());
        }
        let mut t = (functions.len() as u32).to_le_bytes().to_vec();
        t.extend(entries);
        t.extend(names);
        t
    }

    #[test]
    fn symbols_are_found_by_containing_range() {
        let t = table(&[(16, "a"), (32, "bb"), (100, "ccc")]);
        assert_eq!(find_symbol(&t, 15), None);
        assert_eq!(find_symbol(&t, 16), Some(("a", 0)));
        assert_eq!(find_symbol(&t, 31), Some(("a", 15)));
        assert_eq!(find_symbol(&t, 99), Some(("bb", 67)));
        assert_eq!(find_symbol(&t, u32::MAX), Some(("ccc", u64::from(u32::MAX) - 100)));
        assert_eq!(find_symbol(&[], 1), None);
        for cut in 0..t.len() {
            let _ = find_symbol(&t[..cut], 99);
        }
    }
}

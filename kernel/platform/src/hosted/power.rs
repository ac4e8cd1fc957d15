//! The end of the machine.

/// Stops at once because the in-memory state can no longer be trusted; recovery from the log is the only safe way
/// on. On bare metal: crash record, backtrace, restart. Nothing is flushed.
pub fn fatal(reason: &str) -> ! {
    std::eprintln!("fatal: {reason}");
    std::process::abort();
}

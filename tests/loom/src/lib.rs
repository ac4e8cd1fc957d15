//! The lock-free parts under every interleaving that loom can think of: `RUSTFLAGS="--cfg loom" cargo test -p loom_tests --release`.
//!
//! What is tried is the code itself: `pg_wal` and `pg_transaction` are built with loom's locks and atomics in place of the platform's
//! (`platform::sync`, `platform::atomic`), and modules that need nothing but a word are included as they are.
//!
//! | structure | model |
//! |---|---|
//! | frame word of the buffer manager | `frame` |
//! | ring of transaction outcomes | `outcomes` |
//! | appending to, flushing and checkpointing the log | `log` |
//! | state word of tasks: park, wake, leave the stack; set of halted cores | `tasks` |
//! | wait queues of tasks, with the kernel's own state word below them | `waiting` |
//!
//! Not modelled, and why: run queues, timers, stack and frame allocators, the page table's growth and the NVMe queues are used under a
//! lock, and their counters outside it only decide where to look; statistics and settings are single values that nothing else is
//! ordered by; visibility bits of pages are set and cleared under the page's latch; the caches of the catalog are replaced whole.
#![cfg(loom)]
#![allow(dead_code, missing_docs, reason = "parts of other crates, of which not everything is used here")]

#[path = "../../../pg_engine/buffer_manager/src/state.rs"]
mod state;

/// Of `kernel_task`.
#[path = "../../../kernel/task/src/state.rs"]
mod task_state;
/// Of `kernel_task`, over what `kernel` has in place of its scheduler.
#[path = "../../../kernel/task/src/wait.rs"]
#[allow(unsafe_code, reason = "the kernel's own")]
mod wait;

mod kernel;
/// The names under which the kernel's modules know them.
use kernel::{lock, scheduler, task, time};

#[cfg(test)]
mod frame;
#[cfg(test)]
mod log;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod tasks;
#[cfg(test)]
mod waiting;

/// Tries every interleaving with at most so many preemptions.
#[cfg(test)]
fn model_with(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

#[cfg(test)]
fn model(f: impl Fn() + Send + Sync + 'static) {
    model_with(3, f);
}

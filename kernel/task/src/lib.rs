//! Stackful tasks, per-core run queues, blocking locks, wait queues, interrupts as events, clocks.
//!
//! # The idea
//! A task is a stack and a saved stack pointer. It runs until it calls something here that waits; nothing preempts
//! it. Switching is a function call that stores the callee-saved registers of one stack and loads those of another
//! (22 instructions, see [`mod@switch`]), made directly from the task that stops to the task that goes on. Each core
//! has a run queue of its own; a core with nothing to do takes tasks from others, and halts when there are none.
//!
//! An interrupt handler does three things in assembly: sets the vector's bit in the core's block, acknowledges,
//! returns. The scheduler looks at the bits between tasks, at [`checkpoint`], and around halting, and wakes whoever
//! waits for the line ([`irq`]).
//!
//! # Invariants
//! * A task's control block and stack are never freed, only reused ([`Task`] is `'static`). Waking a task that has
//!   moved on is therefore harmless: every wait re-checks its condition, and wake-ups may be spurious.
//! * A wake-up is never lost: see [`park`] for the argument. The words it rests on, and wait queues over them, are tried under
//!   every interleaving (`tests/loom`); run queues and timers are used under a lock.
//! * Spin locks are held for a bounded number of instructions and never across a switch.
//! * Nothing here allocates in an interrupt handler; handlers do not run Rust code except for fatal exceptions.
//! * The core may change at any call that may wait, and only there.
//!
//! # Lock order
//! wait-queue lock → (nothing). Run-queue lock → (nothing). Timer lock → (nothing); the tasks it finds due are woken
//! after it is released. Interrupt allocation lock → page-table lock.
//!
//! # What it must not know
//! Devices, the network, the database.
//!
//! Dependencies: `kernel_memory` (stacks, core-local block, register mappings), `kernel_simd` (is this an emulator?), `x86_64` (control and model specific
//! registers), `spin` (short locks), `log`; on bare metal `unwinding` (panics end one statement, not the machine).
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod apic;
pub mod channel;
pub mod cpu;
mod emulation;
pub mod entropy;
pub mod exceptions;
pub mod irq;
pub mod panic;
mod run_queue;
mod scheduler;
pub mod smp;
mod state;
mod switch;
pub mod sync;
mod task;
pub mod time;
mod timers;
mod wait;

pub use panic::{PanicInfo, catch_unwind, fatal, panicking};
pub use scheduler::{
    checkpoint, core_count, current_core, park, park_until, run_core, sleep, start_boot_core, unpark,
    yield_now,
};
pub use task::{JoinHandle, Task, TaskStats, count, counted, current, spawn, spawn_on, task_stats};
pub use wait::WaitQueue;

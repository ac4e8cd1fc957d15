//! Stackful tasks, per-core run queues, blocking locks, wait queues, interrupts as events.
#![no_std]

extern crate alloc;

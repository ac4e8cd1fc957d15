//! The intermediate representation shared by binder, planner and executor.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

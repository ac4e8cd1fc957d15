//! Vector kernels behind safe functions; the widest instruction set is picked at run time.
//!
//! The choice is made once per kernel with CPUID (no operating system is asked) and kept in an atomic; a kernel
//! called before that makes the choice itself. Every kernel has a portable twin that tests compare it with.
//!
//! # What it must not know
//! Pages, rows, logs: a kernel takes slices and numbers.
#![no_std]

extern crate alloc;

pub mod chain;
pub mod crc32c;
pub mod emulation;
pub mod lookup;
pub mod program;
pub mod vector;

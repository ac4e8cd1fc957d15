//! Vector kernels behind safe functions; the widest instruction set is picked at run time.
#![no_std]

extern crate alloc;

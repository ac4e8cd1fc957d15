//! NVMe controllers.
#![no_std]

extern crate alloc;

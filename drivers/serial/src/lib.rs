//! 16550 UART.
#![no_std]

extern crate alloc;

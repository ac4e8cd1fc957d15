//! The TCP/IP stack: smoltcp with a connection table of our own.
#![no_std]

extern crate alloc;

//! A client's session: protocol state, transactions, prepared statements, portals, the server loop.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

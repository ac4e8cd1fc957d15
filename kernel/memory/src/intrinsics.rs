//! The memory functions that compiled code calls by name. Only in the appliance: elsewhere libc has them.
//!
//! Written in assembly because a Rust loop may be compiled into a call to the very function it implements. They move
//! 16 bytes at a time; `rep movsb` would be slower under software emulation, which runs it byte by byte. Moves of up
//! to 64 bytes load everything before they store anything, so the same code serves overlapping ranges.
#[cfg(intralith_platform = "metal")]
core::arch::global_asm!(include_str!("intrinsics.s"), options(att_syntax));

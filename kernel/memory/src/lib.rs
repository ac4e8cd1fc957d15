//! Frames, page tables, RAII mappings, the heap and DMA buffers.
#![no_std]

extern crate alloc;

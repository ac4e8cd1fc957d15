//! Physical and virtual memory: frames, page tables, device mappings, DMA buffers and the heap.
//!
//! # What it owns
//! * The **frame allocator** ([`frames`]): every usable frame of RAM, handed out in physically contiguous runs.
//! * The **page tables** ([`paging`]): one address space for the whole appliance. W^X throughout: nothing is both
//!   writable and executable, the kernel image is not aliased by the direct map, and the lower half is empty, so that
//!   a null pointer faults.
//! * **Device mappings** ([`MmioRegion`]) and **DMA memory** ([`DmaBuffer`]), both RAII and safe to use.
//! * The **heap** ([`heap`]): per-core size classes over frames; big allocations are frames of their own.
//! * The **core-local block** ([`core_local`]) that GS points to.
//!
//! # Address space
//!
//! | from | what |
//! |---|---|
//! | [`layout::DIRECT_MAP`] | all RAM except the kernel image, read-write, large pages, cached |
//! | [`layout::DEVICE_MAP`] | device registers (uncached) and firmware tables (cached, read-only) |
//! | [`layout::STACKS`] | task and interrupt stacks, each with unmapped space below; task stacks are backed as they grow |
//! | [`layout::IMAGE`] | the kernel image, one set of rights per section |
//!
//! # Invariants
//! * A frame has one owner: the allocator, an allocation, a page table or the image. Only owners make references.
//! * Virtual addresses outside the direct map are never reused, so no unmapping ever needs another core's TLB flushed.
//! * Nothing here is called from an interrupt handler: handlers only set bits ([`core_local`]).
//!
//! # Physical contiguity
//! Memory of one heap allocation and one [`DmaBuffer`] is physically contiguous; a stack's is contiguous page by page. [`virt_to_phys`] is valid
//! for the heap, the direct map, the kernel image (statics) and stacks; [`physical_runs`] splits any slice into
//! contiguous pieces for a device's scatter list without assuming which of them it is.
//!
//! # Lock order
//! heap class lock → frame allocator lock. Page-table lock → frame allocator lock. All are spin locks held for a
//! bounded number of instructions; no lock is held while a task parks.
//!
//! # What it must not know
//! Tasks, devices, pages of the database.
//!
//! Dependencies: `x86_64` (address types, page-table entries, control registers), `spin` (locks),
//! `linked_list_allocator` (the heap before frames exist), `bootloader_api` (the memory map's types), `log`.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod core_local;
mod dma;
pub mod frames;
pub mod heap;
mod intrinsics;
pub mod layout;
mod mmio;
pub mod paging;
pub mod regions;
pub mod stack;

pub use dma::DmaBuffer;
pub use mmio::{FirmwareTable, MmioRegion, map_firmware, map_mmio};
pub use paging::{PhysicalRun, physical_runs, virt_to_phys};
pub use x86_64::{PhysAddr, VirtAddr};

use core::fmt;

/// Size of a frame and of a small page.
pub const FRAME_SIZE: usize = 4096;

/// Why memory could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// No run of free frames is long enough.
    OutOfFrames,
    /// The request is empty, overflows or is not in the physical address space.
    InvalidRange,
    /// The virtual address is mapped already.
    AlreadyMapped,
    /// No virtual address space is left in the area.
    OutOfAddressSpace,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfFrames => "out of memory",
            Self::InvalidRange => "invalid memory range",
            Self::AlreadyMapped => "address already mapped",
            Self::OutOfAddressSpace => "out of address space",
        })
    }
}

impl core::error::Error for MemoryError {}

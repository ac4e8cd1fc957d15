//! Memory for `virtio-drivers`.

use alloc::vec::Vec;
use core::ptr::NonNull;
use kernel_memory::{DmaBuffer, FRAME_SIZE, map_mmio, virt_to_phys};
use spin::Mutex;
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// Rings in use, so that they can be found and freed by address.
static RINGS: Mutex<Vec<DmaBuffer>> = Mutex::new(Vec::new());

/// The kernel's memory.
pub(crate) struct KernelHal;

// SAFETY: `dma_alloc` hands out zeroed, page-aligned memory of a `DmaBuffer` that is kept in `RINGS`, so that nothing
// else aliases it, until `dma_dealloc`. `share` gives the address that devices use (there is no IOMMU in between).
unsafe impl Hal for KernelHal {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let Ok(buffer) = DmaBuffer::new(pages * FRAME_SIZE) else { return (0, NonNull::dangling()) };
        let Some(base) = NonNull::new(buffer.as_ptr()) else { return (0, NonNull::dangling()) };
        let phys = buffer.phys().as_u64();
        RINGS.lock().push(buffer);
        (phys, base)
    }

    // SAFETY: what is not in `RINGS`, or not any more, is left alone; the caller uses the rest no longer.
    unsafe fn dma_dealloc(phys: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        let mut rings = RINGS.lock();
        match rings.iter().position(|b| b.phys().as_u64() == phys) {
            Some(i) => {
                rings.swap_remove(i);
                0
            }
            None => -1,
        }
    }

    // SAFETY: the caller names the registers of a device, and uses them as such.
    unsafe fn mmio_phys_to_virt(phys: PhysAddr, size: usize) -> NonNull<u8> {
        // Only the transports of `virtio-drivers` ask for this, and ours is used instead; mapped for ever all the same.
        let region = kernel_memory::PhysAddr::try_new(phys).ok().and_then(|p| map_mmio(p, size).ok());
        let base = region.as_ref().and_then(|r| NonNull::new(r.as_ptr())).unwrap_or(NonNull::dangling());
        core::mem::forget(region);
        base
    }

    // SAFETY: what this crate shares lies in one `DmaBuffer` each, whose frames are contiguous, so that the first byte's address
    // stands for all of it; the caller keeps it until `unshare`.
    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        virt_to_phys(buffer.as_ptr().cast::<u8>()).map_or(0, |p| p.as_u64())
    }

    // SAFETY: nothing was made in `share` that would have to go.
    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

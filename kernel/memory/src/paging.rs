//! The one set of page tables.

use crate::{FRAME_SIZE, MemoryError, PhysAddr, VirtAddr, frames, layout};
use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Mutex;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const WRITE_THROUGH: u64 = 1 << 3;
const NO_CACHE: u64 = 1 << 4;
const HUGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const SMALL_PAGE: u64 = 1 << 12;
const LARGE_PAGE: u64 = 1 << 21;
const GIANT_PAGE: u64 = 1 << 30;

/// How a device-area mapping is cached and what may be done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caching {
    /// Read-write, strongly uncached.
    Uncached,
    /// Read-only, cached.
    ReadOnly,
}

/// Rights of a section of the kernel image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Code.
    Execute,
    /// Constants.
    Read,
    /// Data.
    ReadWrite,
}

impl Rights {
    const fn flags(self) -> u64 {
        PRESENT
            | GLOBAL
            | match self {
                Self::Execute => 0,
                Self::Read => NO_EXECUTE,
                Self::ReadWrite => NO_EXECUTE | WRITE,
            }
    }
}

/// Four-level tables reached through a linear map of physical memory at `direct`.
#[derive(Debug)]
struct Tables {
    root: u64,
    direct: u64,
    giant_pages: bool,
}

impl Tables {
    fn entry(&self, table: u64, virt: u64, level: u32) -> *mut u64 {
        let index = (virt >> (12 + 9 * level)) & 511;
        ((self.direct + table) as *mut u64).wrapping_add(index as usize)
    }

    /// Maps `len` bytes with the largest pages that alignment allows. `new_table` gives zeroed frames.
    fn map(
        &mut self,
        mut virt: u64,
        mut phys: u64,
        len: u64,
        flags: u64,
        new_table: &mut dyn FnMut() -> Result<u64, MemoryError>,
    ) -> Result<(), MemoryError> {
        let end = virt + len;
        while virt < end {
            let left = end - virt;
            let aligned = |size: u64| (virt | phys) & (size - 1) == 0 && left >= size;
            let (level, size) = if self.giant_pages && aligned(GIANT_PAGE) {
                (2, GIANT_PAGE)
            } else if aligned(LARGE_PAGE) {
                (1, LARGE_PAGE)
            } else {
                (0, SMALL_PAGE)
            };
            self.map_one(virt, phys, level, flags, new_table)?;
            virt += size;
            phys += size;
        }
        Ok(())
    }

    fn map_one(
        &mut self,
        virt: u64,
        phys: u64,
        leaf: u32,
        flags: u64,
        new_table: &mut dyn FnMut() -> Result<u64, MemoryError>,
    ) -> Result<(), MemoryError> {
        let mut table = self.root;
        for level in (leaf + 1..=3).rev() {
            let entry = self.entry(table, virt, level);
            // SAFETY: `table` is one of our page tables, reachable at `direct`; the caller holds the tables' lock.
            let mut value = unsafe { entry.read_volatile() };
            if value & PRESENT == 0 {
                value = new_table()? | PRESENT | WRITE;
                // SAFETY: as above.
                unsafe { entry.write_volatile(value) };
            } else if value & HUGE != 0 {
                return Err(MemoryError::AlreadyMapped);
            }
            table = value & ADDRESS;
        }
        let entry = self.entry(table, virt, leaf);
        // SAFETY: as above.
        unsafe {
            if entry.read_volatile() & PRESENT != 0 {
                return Err(MemoryError::AlreadyMapped);
            }
            entry.write_volatile(phys | flags | if leaf > 0 { HUGE } else { 0 });
        }
        Ok(())
    }

    /// Leaf entry for `virt` and the size of its page.
    fn leaf(&self, virt: u64) -> Option<(*mut u64, u64)> {
        let mut table = self.root;
        for level in (0..=3).rev() {
            let entry = self.entry(table, virt, level);
            // SAFETY: `table` is one of our page tables, reachable at `direct`.
            let value = unsafe { entry.read_volatile() };
            if value & PRESENT == 0 {
                return None;
            }
            if level == 0 || value & HUGE != 0 {
                return Some((entry, SMALL_PAGE << (9 * level)));
            }
            table = value & ADDRESS;
        }
        None
    }

    fn translate(&self, virt: u64) -> Option<u64> {
        let (entry, size) = self.leaf(virt)?;
        // SAFETY: `leaf` returned a valid entry.
        let value = unsafe { entry.read_volatile() };
        Some((value & ADDRESS & !(size - 1)) + (virt & (size - 1)))
    }
}

static TABLES: Mutex<Tables> = Mutex::new(Tables { root: 0, direct: layout::DIRECT_MAP, giant_pages: false });
/// Physical address of the byte linked at [`layout::IMAGE`].
static IMAGE_PHYS: AtomicU64 = AtomicU64::new(0);
static IMAGE_LEN: AtomicU64 = AtomicU64::new(0);
static DEVICE_NEXT: AtomicU64 = AtomicU64::new(layout::DEVICE_MAP);

/// The kernel image as linked.
#[derive(Debug)]
pub struct Image<'a> {
    /// Physical address that [`layout::IMAGE`] maps to (image base minus its offset).
    pub phys_base: u64,
    /// Page-aligned virtual ranges with their rights.
    pub sections: &'a [(u64, u64, Rights)],
}

/// Hands out frames from one region before the allocator exists.
struct Bump {
    next: u64,
    end: u64,
}

impl Bump {
    fn take(&mut self, bytes: u64) -> Result<u64, MemoryError> {
        let at = self.next;
        let next = at + bytes.next_multiple_of(SMALL_PAGE);
        if next > self.end {
            return Err(MemoryError::OutOfFrames);
        }
        self.next = next;
        // SAFETY: the region is usable RAM below 4 GiB, which the boot tables map at DIRECT_MAP, and everything from
        // `next` on is unused.
        unsafe { (layout::direct(at) as *mut u8).write_bytes(0, (next - at) as usize) };
        Ok(at)
    }
}

fn page_aligned(r: &MemoryRegion) -> (u64, u64) {
    (r.start.next_multiple_of(SMALL_PAGE), r.end & !(SMALL_PAGE - 1))
}

/// Firmware's low memory: vectors, EBDA, ROM shadows, the trampoline of the other cores. Never handed out.
const LOW_MEMORY: u64 = 1 << 20;

/// Builds the kernel's page tables from the memory map, switches to them, and installs the frame allocator.
///
/// # Safety
/// Runs once, on the boot core, with boot tables that map the first 4 GiB at [`layout::DIRECT_MAP`] and the image at
/// its linked place; `regions` is the machine's memory map with the image and whatever else must stay marked
/// non-usable; `image` describes the running image.
pub unsafe fn init(regions: &[MemoryRegion], image: &Image<'_>) -> Result<(), MemoryError> {
    let usable = || regions.iter().filter(|r| r.kind == MemoryRegionKind::Usable).map(page_aligned);
    let (start, end) = usable()
        .map(|(s, e)| (s.max(LOW_MEMORY), e.min(1 << 32)))
        .filter(|(s, e)| s < e)
        .max_by_key(|(s, e)| e - s)
        .ok_or(MemoryError::OutOfFrames)?;
    let mut bump = Bump { next: start, end };
    let root = bump.take(SMALL_PAGE)?;
    let mut tables = Tables { root, direct: layout::DIRECT_MAP, giant_pages: giant_pages() };
    map_ram(&mut tables, regions, image, &mut bump)?;
    for &(from, to, rights) in image.sections {
        let phys = image.phys_base + (from - layout::IMAGE);
        tables.map(from, phys, to - from, rights.flags(), &mut || bump.take(SMALL_PAGE))?;
    }
    let top = usable().map(|(_, e)| e).max().unwrap_or(0);
    let (state, blocks) = frames::FrameAllocator::bookkeeping((top / SMALL_PAGE) as usize);
    let state_at = bump.take(state as u64)?;
    let blocks_at = bump.take(blocks as u64)?;
    enable_protection();
    // SAFETY: the new tables map the running code, its data, its stack (in the image) and the direct map.
    unsafe { load_root(root) };
    *TABLES.lock() = tables;
    ROOT.store(root, Ordering::Relaxed);
    IMAGE_PHYS.store(image.phys_base, Ordering::Relaxed);
    let image_end = image.sections.iter().map(|s| s.1).max().unwrap_or(layout::IMAGE);
    IMAGE_LEN.store(image_end - layout::IMAGE, Ordering::Relaxed);
    // SAFETY: both ranges were taken from the bump region for this, are zeroed, mapped and never freed.
    let mut allocator = unsafe {
        frames::FrameAllocator::new(
            layout::DIRECT_MAP as usize,
            core::slice::from_raw_parts_mut(layout::direct(state_at) as *mut u8, state),
            core::slice::from_raw_parts_mut(layout::direct(blocks_at) as *mut u64, blocks / 8),
        )
    };
    for (from, to) in usable() {
        // What the bump allocator used lies at the start of its region.
        let from = if from.max(LOW_MEMORY) == start { bump.next } else { from.max(LOW_MEMORY) };
        if from < to {
            // SAFETY: usable RAM, mapped in the direct map, used by nobody: the image and boot data are not in
            // usable regions, and the bump allocator's part was cut off.
            unsafe { allocator.add((from / SMALL_PAGE) as usize, ((to - from) / SMALL_PAGE) as usize) };
        }
    }
    frames::install(allocator);
    Ok(())
}

/// Maps everything that is RAM, except the image, read-write into the direct map.
fn map_ram(
    tables: &mut Tables,
    regions: &[MemoryRegion],
    image: &Image<'_>,
    bump: &mut Bump,
) -> Result<(), MemoryError> {
    let image_start =
        image.phys_base + image.sections.iter().map(|s| s.0).min().unwrap_or(layout::IMAGE) - layout::IMAGE;
    let image_end =
        image.phys_base + image.sections.iter().map(|s| s.1).max().unwrap_or(layout::IMAGE) - layout::IMAGE;
    let flags = Rights::ReadWrite.flags();
    for r in regions {
        if !matches!(r.kind, MemoryRegionKind::Usable | MemoryRegionKind::Bootloader) {
            continue;
        }
        let (start, end) = page_aligned(r);
        if end > layout::DIRECT_MAP_SIZE {
            return Err(MemoryError::InvalidRange);
        }
        for (s, e) in [(start, end.min(image_start)), (start.max(image_end), end)] {
            if s < e {
                tables.map(layout::direct(s), s, e - s, flags, &mut || bump.take(SMALL_PAGE))?;
            }
        }
    }
    Ok(())
}

fn giant_pages() -> bool {
    // CPUID 8000_0001h EDX bit 26: 1 GiB pages.
    core::arch::x86_64::__cpuid(0x8000_0001).edx & (1 << 26) != 0
}

/// No-execute, write protection in ring 0 and global pages, on this core.
pub fn enable_protection() {
    use x86_64::registers::{
        control::{Cr0, Cr0Flags, Cr4, Cr4Flags},
        model_specific::{Efer, EferFlags},
    };
    // SAFETY: turns protections on; every supported processor has NX, and no running code relies on their absence.
    unsafe {
        Efer::update(|f| f.insert(EferFlags::NO_EXECUTE_ENABLE));
        Cr0::update(|f| f.insert(Cr0Flags::WRITE_PROTECT));
        Cr4::update(|f| f.insert(Cr4Flags::PAGE_GLOBAL));
    }
}

/// # Safety
/// The tables at `root` map everything in use.
unsafe fn load_root(root: u64) {
    // SAFETY: the caller vouches for the tables.
    unsafe { core::arch::asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Physical address of the root table, for starting other cores.
pub fn root() -> u64 {
    TABLES.lock().root
}

fn frame_for_table() -> Result<u64, MemoryError> {
    frames::allocate_zeroed().map(PhysAddr::as_u64)
}

/// Maps one page of low memory at its own address, executable, for the other cores' way up. Undo with
/// [`unmap_identity`].
///
/// # Safety
/// The page holds code that is meant to run.
pub unsafe fn map_identity(phys: PhysAddr) -> Result<(), MemoryError> {
    let at = phys.as_u64();
    TABLES.lock().map(at, at, SMALL_PAGE, PRESENT, &mut frame_for_table)
}

/// Removes a [`map_identity`] mapping. Other cores that ran there flush their TLB before they go on.
pub fn unmap_identity(phys: PhysAddr) {
    clear(&TABLES.lock(), phys.as_u64());
}

fn clear(tables: &Tables, virt: u64) -> u64 {
    let Some((entry, size)) = tables.leaf(virt) else { return SMALL_PAGE };
    // SAFETY: `leaf` returned a valid entry and the caller holds the tables' lock.
    unsafe { entry.write_volatile(0) };
    x86_64::instructions::tlb::flush(VirtAddr::new_truncate(virt));
    size
}

pub(crate) fn map_device(phys: PhysAddr, len: usize, caching: Caching) -> Result<VirtAddr, MemoryError> {
    let start = phys.as_u64() & !(SMALL_PAGE - 1);
    let last = phys.as_u64().checked_add(len as u64).ok_or(MemoryError::InvalidRange)?;
    if len == 0 || last > 1 << 52 {
        return Err(MemoryError::InvalidRange);
    }
    let size = last.next_multiple_of(SMALL_PAGE) - start;
    // Same offset within a large page as the physical range, so that large pages can be used; one page of guard.
    let skew = if size >= LARGE_PAGE { start & (LARGE_PAGE - 1) } else { 0 };
    let unit = if size >= LARGE_PAGE { LARGE_PAGE } else { SMALL_PAGE };
    let next = |n: u64| n.next_multiple_of(unit) + skew + size + SMALL_PAGE;
    let old = DEVICE_NEXT
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
            let next = next(n);
            (next < layout::DEVICE_MAP + layout::DEVICE_MAP_SIZE).then_some(next)
        })
        .map_err(|_| MemoryError::OutOfAddressSpace)?;
    let virt = old.next_multiple_of(unit) + skew;
    let flags = PRESENT
        | NO_EXECUTE
        | match caching {
            Caching::Uncached => WRITE | NO_CACHE | WRITE_THROUGH,
            Caching::ReadOnly => 0,
        };
    TABLES.lock().map(virt, start, size, flags, &mut frame_for_table)?;
    Ok(VirtAddr::new_truncate(virt + (phys.as_u64() - start)))
}

pub(crate) fn unmap_device(base: u64, len: usize) {
    let tables = TABLES.lock();
    let mut at = base & !(SMALL_PAGE - 1);
    let end = base + len as u64;
    while at < end {
        at += clear(&tables, at);
    }
}

pub(crate) fn map_stack(virt: u64, phys: PhysAddr, frames: usize) -> Result<(), MemoryError> {
    let flags = Rights::ReadWrite.flags();
    TABLES.lock().map(virt, phys.as_u64(), (frames * FRAME_SIZE) as u64, flags, &mut frame_for_table)
}

/// Root of the tables, for [`map_stack_page`].
static ROOT: AtomicU64 = AtomicU64::new(0);

/// Maps one page of a growing stack, without the tables' lock; its page table is made of a frame if there is none yet.
/// False when there is no frame for it, the tables above are missing or the page is mapped.
///
/// # Safety
/// Nobody else maps or unmaps the page, or another one of the same page table.
pub(crate) unsafe fn map_stack_page(
    virt: u64,
    phys: PhysAddr,
    new_frame: &mut dyn FnMut() -> Option<PhysAddr>,
) -> bool {
    let tables =
        Tables { root: ROOT.load(Ordering::Relaxed), direct: layout::DIRECT_MAP, giant_pages: false };
    let mut table = tables.root;
    for level in (1..=3).rev() {
        let entry = tables.entry(table, virt, level);
        // SAFETY: page tables are never freed, and entries change only from absent to present.
        let mut value = unsafe { entry.read_volatile() };
        if value & PRESENT == 0 && level == 1 {
            let Some(frame) = new_frame() else { return false };
            value = frame.as_u64() | PRESENT | WRITE;
            // SAFETY: the frame is ours and writable through the direct map; by the caller's contract nobody else fills the entry.
            unsafe {
                (layout::direct(frame.as_u64()) as *mut u8).write_bytes(0, FRAME_SIZE);
                entry.write_volatile(value);
            }
        }
        if value & PRESENT == 0 || value & HUGE != 0 {
            return false;
        }
        table = value & ADDRESS;
    }
    let entry = tables.entry(table, virt, 0);
    // SAFETY: the caller's contract: the entry is ours to fill.
    unsafe {
        if entry.read_volatile() & PRESENT != 0 {
            return false;
        }
        entry.write_volatile(phys.as_u64() | Rights::ReadWrite.flags());
    }
    true
}

/// Physical address of a byte of mapped memory: heap, statics, stacks, device areas. `None` when nothing is mapped
/// there.
pub fn virt_to_phys<T: ?Sized>(ptr: *const T) -> Option<PhysAddr> {
    let virt = ptr.cast::<u8>() as u64;
    if let Some(offset) = virt.checked_sub(layout::DIRECT_MAP)
        && offset < layout::DIRECT_MAP_SIZE
    {
        return Some(PhysAddr::new(offset));
    }
    if let Some(offset) = virt.checked_sub(layout::IMAGE)
        && offset < IMAGE_LEN.load(Ordering::Relaxed)
    {
        return Some(PhysAddr::new(IMAGE_PHYS.load(Ordering::Relaxed) + offset));
    }
    let tables = TABLES.lock();
    if tables.root == 0 {
        return None;
    }
    tables.translate(virt).map(PhysAddr::new)
}

/// A piece of a slice that is contiguous in physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhysicalRun {
    /// Where it starts.
    pub phys: PhysAddr,
    /// Its length in bytes.
    pub len: usize,
}

/// Splits a slice into physically contiguous pieces, in order. Slices of the heap and of statics are one piece.
///
/// # Panics
/// When part of the slice is not mapped, which no valid reference can be.
pub fn physical_runs(data: &[u8]) -> impl Iterator<Item = PhysicalRun> + '_ {
    let mut rest = data;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let phys = virt_to_phys(rest.as_ptr()).expect("a slice that is not mapped");
        let virt = rest.as_ptr() as u64;
        let linear = !(layout::DIRECT_MAP + layout::DIRECT_MAP_SIZE..layout::IMAGE).contains(&virt);
        let mut len = if linear { rest.len() } else { page_rest(virt).min(rest.len()) };
        while len < rest.len() && virt_to_phys(rest[len..].as_ptr()) == Some(phys + len as u64) {
            len += page_rest(virt + len as u64).min(rest.len() - len);
        }
        rest = &rest[len..];
        Some(PhysicalRun { phys, len })
    })
}

fn page_rest(virt: u64) -> usize {
    (SMALL_PAGE - (virt & (SMALL_PAGE - 1))) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// Page tables over an arena: physical address = offset into it.
    struct Arena {
        memory: alloc::vec::Vec<u64>,
        used: u64,
    }

    impl Arena {
        fn new() -> (Self, Tables) {
            let memory = vec![0u64; 512 * 66];
            // The arena's start is aligned up to a page: table entries hold page-aligned addresses.
            let direct = (memory.as_ptr() as u64).next_multiple_of(SMALL_PAGE);
            (Self { memory, used: SMALL_PAGE }, Tables { root: 0, direct, giant_pages: true })
        }
        fn take(&mut self) -> Result<u64, MemoryError> {
            let at = self.used;
            self.used += SMALL_PAGE;
            if self.used as usize > (self.memory.len() - 512) * 8 {
                return Err(MemoryError::OutOfFrames);
            }
            Ok(at)
        }
    }

    #[test]
    fn mixed_page_sizes_translate_everywhere() {
        let (mut arena, mut tables) = Arena::new();
        let virt = layout::DIRECT_MAP + GIANT_PAGE - 2 * LARGE_PAGE - SMALL_PAGE;
        let phys = 5 * GIANT_PAGE - 2 * LARGE_PAGE - SMALL_PAGE;
        let len = SMALL_PAGE + 2 * LARGE_PAGE + GIANT_PAGE + 3 * SMALL_PAGE;
        tables.map(virt, phys, len, PRESENT | WRITE, &mut || arena.take()).unwrap();
        for offset in [0, 4095, SMALL_PAGE, LARGE_PAGE + 77, SMALL_PAGE + 2 * LARGE_PAGE, len / 2, len - 1] {
            assert_eq!(tables.translate(virt + offset), Some(phys + offset), "at {offset:#x}");
        }
        assert_eq!(tables.translate(virt - 1), None);
        assert_eq!(tables.translate(virt + len), None);
        assert_eq!(tables.leaf(virt + SMALL_PAGE + 2 * LARGE_PAGE).unwrap().1, GIANT_PAGE);
    }

    #[test]
    fn nothing_is_mapped_twice() {
        let (mut arena, mut tables) = Arena::new();
        tables.map(layout::STACKS, 0, LARGE_PAGE, PRESENT, &mut || arena.take()).unwrap();
        let again = tables.map(layout::STACKS + SMALL_PAGE, 0, SMALL_PAGE, PRESENT, &mut || arena.take());
        assert_eq!(again, Err(MemoryError::AlreadyMapped));
    }

    #[test]
    fn rights_are_never_writable_and_executable() {
        for r in [Rights::Execute, Rights::Read, Rights::ReadWrite] {
            assert!(r.flags() & WRITE == 0 || r.flags() & NO_EXECUTE != 0);
        }
    }

    #[test]
    fn direct_map_addresses_translate_by_arithmetic() {
        let p = layout::direct(0x1234_5678) as *const u8;
        assert_eq!(virt_to_phys(p), Some(PhysAddr::new(0x1234_5678)));
        assert_eq!(virt_to_phys(core::ptr::null::<u8>()), None);
    }
}

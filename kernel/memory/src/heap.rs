//! The heap.
//!
//! * Up to [`LARGEST_CLASS`] bytes: size classes (16-byte steps to 128, then four per doubling). Each core keeps a short
//!   list of free objects per class and uses it without any lock: nothing preempts a task, and interrupt handlers do
//!   not allocate. Lists are refilled from, and spill to, a central list per class in batches.
//! * Above that: frames of their own, physically contiguous, rounded up to whole pages only.
//! * Before frames and cores exist: a small static arena under `linked_list_allocator`.
//!
//! An object may be freed on any core. Sizes come from the layout that Rust passes to both ends, so objects carry no
//! header. Slabs are not given back to the frame allocator: a class keeps the memory of its high-water mark.

use crate::{FRAME_SIZE, core_local, frames, layout};
use core::{
    alloc::{GlobalAlloc, Layout},
    ptr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};
use spin::Mutex;

/// Objects above this size are runs of frames.
pub const LARGEST_CLASS: usize = 32 << 10;
const CLASSES: usize = 8 + 8 * 4;

/// Size of class `class`.
const fn class_size(class: usize) -> usize {
    if class < 8 {
        (class + 1) * 16
    } else {
        let (double, step) = ((class - 8) / 4, (class - 8) % 4);
        (128 << double) + (step + 1) * (32 << double)
    }
}

/// The smallest class that holds `size` bytes (1..=[`LARGEST_CLASS`]).
const fn class_of(size: usize) -> usize {
    if size <= 128 {
        size.saturating_sub(1) / 16
    } else {
        let log = (size - 1).ilog2() as usize;
        8 + (log - 7) * 4 + (((size - 1) >> (log - 2)) & 3)
    }
}

/// The class for a layout, `None` when it needs frames of its own. Objects of a class lie at multiples of its size
/// from a slab's start, which is aligned to the slab's size: a class is aligned to the lowest set bit of its size.
const fn class_for(layout: Layout) -> Option<usize> {
    let (size, align) = (layout.size(), layout.align());
    if size > LARGEST_CLASS || align > LARGEST_CLASS {
        return None;
    }
    let class = class_of(if size == 0 { 1 } else { size });
    if class_size(class) & (align - 1) == 0 {
        return Some(class);
    }
    let even = if size < align { align } else { size };
    Some(class_of(even.next_power_of_two()))
}

/// Small objects of ordinary alignment: their class by their size in steps of 16 bytes.
const QUICK: [u8; 65] = {
    let mut classes = [0; 65];
    let mut n = 1;
    while n < classes.len() {
        classes[n] = class_of(n * 16) as u8;
        n += 1;
    }
    classes
};

/// As [`class_for`], at once for the commonest. (Every class is aligned to 16 bytes.)
#[inline]
fn quick_class_for(layout: Layout) -> Option<usize> {
    if layout.align() <= 16
        && let Some(class) = QUICK.get(layout.size().wrapping_add(15) / 16)
    {
        return Some(usize::from(*class));
    }
    class_for(layout)
}

/// A core's list that is longer gives a batch away.
const LONG: [u32; CLASSES] = {
    let mut long = [0; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        long[class] = 2 * batch(class);
        class += 1;
    }
    long
};

/// Bytes taken from the frame allocator at once for a class.
const fn slab_size(class: usize) -> usize {
    let want = class_size(class) * 8;
    let want = if want < 16 << 10 { 16 << 10 } else { want };
    want.next_power_of_two()
}

/// Objects moved between a core's list and the central list at once.
const fn batch(class: usize) -> u32 {
    let n = (16 << 10) / class_size(class);
    if n < 2 {
        2
    } else if n > 64 {
        64
    } else {
        n as u32
    }
}

/// A free object: the list link is stored in it.
struct Free {
    next: *mut Free,
}

struct List {
    head: *mut Free,
    len: u32,
}

impl List {
    const EMPTY: Self = Self { head: ptr::null_mut(), len: 0 };

    #[inline]
    fn pop(&mut self) -> *mut Free {
        let object = self.head;
        if !object.is_null() {
            // SAFETY: objects on a list are free memory of at least 16 bytes that holds a link.
            self.head = unsafe { (*object).next };
            self.len -= 1;
        }
        object
    }

    #[inline]
    fn push(&mut self, object: *mut Free) {
        // SAFETY: the object was just freed (or cut from a slab): it is ours and holds at least a link.
        unsafe { (*object).next = self.head };
        self.head = object;
        self.len += 1;
    }
}

struct Central {
    list: List,
    /// The part of the newest slab that was never handed out.
    fresh: usize,
    fresh_end: usize,
}

// SAFETY: the raw pointers are free memory owned by the list, whoever holds the lock.
unsafe impl Send for Central {}

static CENTRAL: [Mutex<Central>; CLASSES] =
    [const { Mutex::new(Central { list: List::EMPTY, fresh: 0, fresh_end: 0 }) }; CLASSES];

/// A core's free lists.
struct CoreCache {
    lists: [List; CLASSES],
}

impl CoreCache {
    #[cold]
    fn refill(&mut self, class: usize) {
        let size = class_size(class);
        let list = &mut self.lists[class];
        let mut central = CENTRAL[class].lock();
        for _ in 0..batch(class) {
            let object = central.list.pop();
            if !object.is_null() {
                list.push(object);
                continue;
            }
            if central.fresh + size > central.fresh_end {
                let slab = slab_size(class);
                let Ok(phys) = frames::allocate(slab / FRAME_SIZE) else { return };
                SLABS.fetch_add(slab, Ordering::Relaxed);
                central.fresh = layout::direct(phys.as_u64()) as usize;
                central.fresh_end = central.fresh + slab;
            }
            list.push(central.fresh as *mut Free);
            central.fresh += size;
        }
    }

    #[cold]
    fn spill(&mut self, class: usize) {
        let mut central = CENTRAL[class].lock();
        for _ in 0..batch(class) {
            let object = self.lists[class].pop();
            central.list.push(object);
        }
    }
}

const EARLY_SIZE: usize = 256 << 10;

#[repr(align(4096))]
struct EarlyArena(core::cell::UnsafeCell<[u8; EARLY_SIZE]>);
// SAFETY: the arena is only touched through the allocator below, under its lock.
unsafe impl Sync for EarlyArena {}

static EARLY_ARENA: EarlyArena = EarlyArena(core::cell::UnsafeCell::new([0; EARLY_SIZE]));
static EARLY: Mutex<linked_list_allocator::Heap> = Mutex::new(linked_list_allocator::Heap::empty());
static EARLY_READY: AtomicBool = AtomicBool::new(false);
static SLABS: AtomicUsize = AtomicUsize::new(0);
static LARGE: AtomicUsize = AtomicUsize::new(0);

fn early_range(address: usize) -> bool {
    address.wrapping_sub(EARLY_ARENA.0.get() as usize) < EARLY_SIZE
}

/// The appliance's global allocator.
#[derive(Debug)]
pub struct KernelHeap;

/// Gives the calling core its free lists. Called by every core after [`core_local::install`], before its first task;
/// until then it allocates from the early arena.
pub fn init_core() {
    let frames = size_of::<CoreCache>().div_ceil(FRAME_SIZE);
    let Ok(phys) = frames::allocate(frames) else { return };
    let cache = layout::direct(phys.as_u64()) as *mut CoreCache;
    // SAFETY: fresh frames, large enough, page aligned; nobody else knows them.
    unsafe { cache.write(CoreCache { lists: [List::EMPTY; CLASSES] }) };
    core_local::current().heap.store(cache as usize, Ordering::Relaxed);
}

#[inline]
fn cache() -> *mut CoreCache {
    if !core_local::ready() {
        return ptr::null_mut();
    }
    core_local::current().heap.load(Ordering::Relaxed) as *mut CoreCache
}

// SAFETY: every object is handed out once until freed (lists are exclusive to a core or under a lock), has at least
// the layout's size and its alignment (`class_for`, frame runs, or `linked_list_allocator`'s own promise), and
// `dealloc` finds the same class from the same layout.
unsafe impl GlobalAlloc for KernelHeap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let cache = cache();
        if cache.is_null() {
            return early_alloc(layout);
        }
        let Some(class) = quick_class_for(layout) else { return large_alloc(layout) };
        // SAFETY: the cache belongs to this core, and nothing runs on the core between here and the last use: tasks
        // switch only in the scheduler and interrupt handlers do not allocate.
        let cache = unsafe { &mut *cache };
        let object = cache.lists[class].pop();
        if !object.is_null() {
            return object.cast();
        }
        cache.refill(class);
        cache.lists[class].pop().cast()
    }

    // SAFETY: the caller hands back what `alloc` gave for this layout, and uses it no more.
    #[inline]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        if early_range(p as usize) {
            return early_free(p, layout);
        }
        let Some(class) = quick_class_for(layout) else {
            // SAFETY: the caller frees what `large_alloc` gave for the same layout.
            return unsafe { large_free(p, layout) };
        };
        let cache = cache();
        // SAFETY: as in `alloc`. Objects outside the early arena exist only once their core has a cache, and every
        // core gets its cache before it runs tasks.
        let cache = unsafe { &mut *cache };
        cache.lists[class].push(p.cast());
        if cache.lists[class].len > LONG[class] {
            cache.spill(class);
        }
    }

    // SAFETY: as for `dealloc` of the old object and `alloc` of the new one, which holds the same bytes.
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's contract: a valid layout with the new size.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        if !early_range(p as usize) && same_place(layout, new) {
            return p;
        }
        // SAFETY: `new` has a non-zero size (the caller's contract).
        let q = unsafe { self.alloc(new) };
        if !q.is_null() {
            // SAFETY: both objects hold the smaller size, and they are distinct.
            unsafe {
                ptr::copy_nonoverlapping(p, q, layout.size().min(new_size));
                self.dealloc(p, layout);
            }
        }
        q
    }
}

/// Whether an object of layout `old` already has the room of layout `new`.
const fn same_place(old: Layout, new: Layout) -> bool {
    match (class_for(old), class_for(new)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => large_frames(old) == large_frames(new),
        _ => false,
    }
}

#[cold]
fn early_alloc(layout: Layout) -> *mut u8 {
    let mut heap = EARLY.lock();
    if !EARLY_READY.swap(true, Ordering::Relaxed) {
        // SAFETY: the arena is static, unused so far, and handed over once.
        unsafe { heap.init(EARLY_ARENA.0.get().cast(), EARLY_SIZE) };
    }
    heap.allocate_first_fit(layout).map_or(ptr::null_mut(), |p| p.as_ptr())
}

#[cold]
fn early_free(p: *mut u8, layout: Layout) {
    if let Some(p) = ptr::NonNull::new(p) {
        // SAFETY: the pointer lies in the early arena, so it came from this heap with this layout.
        unsafe { EARLY.lock().deallocate(p, layout) };
    }
}

const fn large_frames(layout: Layout) -> usize {
    layout.size().div_ceil(FRAME_SIZE)
}

#[cold]
fn large_alloc(layout: Layout) -> *mut u8 {
    let frames = large_frames(layout);
    // Runs of frames are aligned to a page at least; a larger alignment is had by taking more and giving back.
    let extra = if layout.align() > FRAME_SIZE { layout.align() / FRAME_SIZE - 1 } else { 0 };
    let Ok(phys) = frames::allocate(frames + extra) else { return ptr::null_mut() };
    let aligned = phys.align_up(layout.align().max(FRAME_SIZE) as u64);
    let before = ((aligned - phys) / FRAME_SIZE as u64) as usize;
    // SAFETY: the frames were just taken; the cut-off ends are not used.
    unsafe {
        if before > 0 {
            frames::free(phys, before);
        }
        if extra > before {
            frames::free(aligned + (frames * FRAME_SIZE) as u64, extra - before);
        }
    }
    LARGE.fetch_add(frames * FRAME_SIZE, Ordering::Relaxed);
    layout::direct(aligned.as_u64()) as *mut u8
}

/// # Safety
/// `p` came from [`large_alloc`] with `layout` and is not used any more.
#[cold]
unsafe fn large_free(p: *mut u8, layout: Layout) {
    let frames = large_frames(layout);
    LARGE.fetch_sub(frames * FRAME_SIZE, Ordering::Relaxed);
    let phys = x86_64::PhysAddr::new(p as u64 - layout::DIRECT_MAP);
    // SAFETY: the caller's contract.
    unsafe { frames::free(phys, frames) };
}

/// Where the heap's memory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapStats {
    /// Bytes in slabs of the size classes, used or not.
    pub slabs: usize,
    /// Bytes in allocations of whole frames.
    pub large: usize,
}

/// Heap counts.
pub fn stats() -> HeapStats {
    HeapStats { slabs: SLABS.load(Ordering::Relaxed), large: LARGE.load(Ordering::Relaxed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn classes_rise_and_cover_every_size() {
        assert_eq!(class_size(CLASSES - 1), LARGEST_CLASS);
        for c in 1..CLASSES {
            assert!(class_size(c - 1) < class_size(c));
        }
        for size in 1..=LARGEST_CLASS {
            let c = class_of(size);
            assert!(class_size(c) >= size, "{size}");
            assert!(c == 0 || class_size(c - 1) < size, "{size}");
        }
    }

    #[test]
    fn slabs_hold_whole_objects_and_waste_little() {
        for c in 0..CLASSES {
            assert!(slab_size(c) >= 8 * class_size(c).min(2048));
            assert!(slab_size(c) % class_size(c) < class_size(c));
            assert!(batch(c) >= 2);
        }
    }

    proptest! {
        #[test]
        fn alignment_is_honoured(size in 0usize..40_000, shift in 0u32..16) {
            let layout = Layout::from_size_align(size, 1 << shift).unwrap();
            match class_for(layout) {
                Some(c) => {
                    prop_assert!(class_size(c) >= size);
                    prop_assert_eq!(class_size(c) % layout.align(), 0);
                    prop_assert_eq!(slab_size(c) % layout.align(), 0);
                }
                None => prop_assert!(size > LARGEST_CLASS || layout.align() > LARGEST_CLASS),
            }
        }
    }
}

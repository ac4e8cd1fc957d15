//! Starting the other cores.
//!
//! A core starts in real mode at a page below 1 MiB. The code there (`trampoline.s`) brings it to long mode on the
//! kernel's page tables and a stack of its own, and calls [`ap_main`].

use crate::{apic, cpu, run_core, time};
use alloc::boxed::Box;
use core::{
    arch::global_asm,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};
use kernel_memory::{
    MemoryError, PhysAddr, core_local,
    core_local::CoreLocal,
    heap, map_mmio, paging,
    stack::{self, Stack},
};

global_asm!(include_str!("trampoline.s"), options(att_syntax));

// SAFETY: `trampoline.s` defines them. Only their addresses are used.
unsafe extern "C" {
    static kernel_task_trampoline: u8;
    static kernel_task_trampoline_end: u8;
    static kernel_task_trampoline_data: u8;
}

/// Cores past the trampoline.
static ARRIVED: AtomicU32 = AtomicU32::new(0);
/// Cores that run tasks, boot core included.
static ONLINE: AtomicU32 = AtomicU32::new(1);
/// Latest time-stamp the boot core saw, to check that others are not behind.
static BOOT_TICKS: AtomicU64 = AtomicU64::new(0);

/// Stack on which a core runs its idle task.
const IDLE_STACK: usize = 64 << 10;

/// Starts the cores with the given interrupt-controller identifiers (the boot core's is skipped). `page` is a free
/// frame below 1 MiB for the trampoline. Cores that do not answer are left out, with a warning. The number started.
///
/// # Safety
/// Once, on the boot core, after its own set-up; `page` is RAM that nobody uses.
pub unsafe fn start_cores(apic_ids: &[u32], page: PhysAddr) -> Result<usize, MemoryError> {
    let own = apic::id();
    let others = || apic_ids.iter().copied().filter(move |id| *id != own).take(core_local::MAX_CORES - 1);
    if others().next().is_none() {
        return Ok(0);
    }
    let start = &raw const kernel_task_trampoline as usize;
    let len = &raw const kernel_task_trampoline_end as usize - start;
    let data = &raw const kernel_task_trampoline_data as usize - start;
    let window = map_mmio(page, 4096)?;
    // SAFETY: the trampoline is `len` bytes of the image.
    let code = unsafe { core::slice::from_raw_parts(start as *const u8, len) };
    for (i, byte) in code.iter().enumerate() {
        window.write8(i, *byte);
    }
    // SAFETY: the page now holds the trampoline.
    unsafe { paging::map_identity(page)? };
    let vector = (page.as_u64() >> 12) as u8;
    let mut started = 0;
    for id in others() {
        let index = started as u32 + 1;
        let local: &'static CoreLocal = Box::leak(Box::new(CoreLocal::new(index, id)));
        let stack = Stack::new(IDLE_STACK)?;
        window.write64(data, paging::root());
        window.write64(data + 8, stack.top() as u64);
        window.write64(data + 16, ap_main as *const () as u64);
        window.write64(data + 24, core::ptr::from_ref(local) as u64);
        BOOT_TICKS.store(time::ticks(), Ordering::SeqCst);
        apic::reset(id);
        time::spin(Duration::from_micros(200));
        apic::startup(id, vector);
        if !arrives(started as u32 + 1, Duration::from_millis(10)) {
            apic::startup(id, vector);
            if !arrives(started as u32 + 1, Duration::from_millis(100)) {
                log::warn!("cpu: the core with id {id} did not start");
                apic::reset(id);
                continue;
            }
        }
        started += 1;
    }
    let deadline = time::deadline(Duration::from_secs(1));
    while ONLINE.load(Ordering::SeqCst) as usize <= started && time::ticks() < deadline {
        core::hint::spin_loop();
    }
    paging::unmap_identity(page);
    Ok(started)
}

fn arrives(count: u32, limit: Duration) -> bool {
    let deadline = time::deadline(limit);
    while time::ticks() < deadline {
        if ARRIVED.load(Ordering::SeqCst) >= count {
            return true;
        }
        core::hint::spin_loop();
    }
    ARRIVED.load(Ordering::SeqCst) >= count
}

/// First Rust code of a core.
extern "C" fn ap_main(local: &'static CoreLocal) -> ! {
    // SAFETY: first thing on this core, in ring 0.
    unsafe {
        cpu::enable_vectors();
        paging::enable_protection();
        core_local::install(local);
    }
    let behind = time::ticks() < BOOT_TICKS.load(Ordering::SeqCst);
    ARRIVED.fetch_add(1, Ordering::SeqCst);
    heap::init_core();
    // SAFETY: once on this core, after the heap.
    if unsafe { cpu::init_core() }.is_err() || stack::init_core().is_err() {
        crate::fatal("out of memory while starting a core");
    }
    apic::init_core();
    if behind {
        crate::fatal("the time-stamp counters of the cores disagree");
    }
    // The identity mapping of the trampoline may be in this core's TLB: it goes with the next full flush, and nothing
    // is ever mapped at that address again.
    ONLINE.fetch_add(1, Ordering::SeqCst);
    run_core()
}

//! The appliance: every cell linked into one image that is its own operating system.
//!
//! Order of coming up: console, processor features, page tables and frames ([`kernel_memory`]), core-local block and
//! heap, interrupt table, firmware tables, clocks, the other cores, and then the main task ([`appliance`]), which
//! runs on the scheduler like everything else.
#![no_std]
#![no_main]

extern crate alloc;

mod appliance;
mod clocks;
mod crash;
mod devices;
mod entry;
mod self_tests;

use alloc::boxed::Box;
use bootloader_api::BootInfo;
use core::sync::atomic::{AtomicUsize, Ordering};
use kernel_memory::{
    PhysAddr,
    core_local::{self, CoreLocal},
    heap::{self, KernelHeap},
    layout,
    paging::{self, Image, Rights},
    stack::{self, Stack},
};
use kernel_task::{apic, cpu, exceptions, panic, smp, time};
use unwinding::custom_eh_frame_finder::{
    EhFrameFinder, FrameInfo, FrameInfoKind, set_custom_eh_frame_finder,
};

#[global_allocator]
static HEAP: KernelHeap = KernelHeap;

static LOGGER: driver_serial::SerialLogger = driver_serial::SerialLogger {
    clock: || u64::try_from(time::monotonic().as_micros()).unwrap_or(u64::MAX),
};

static BOOT_CORE: CoreLocal = CoreLocal::new(0, 0);

// SAFETY: the linker script defines the symbols, of which only the addresses are used, and `boot.s` the function, with these
// arguments by the C convention.
unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static __data_end: u8;
    static __eh_frame_hdr: u8;
    static __symbols_start: u8;
    fn boot_on_stack(top: usize, function: extern "C" fn(usize) -> !, argument: usize) -> !;
}

/// Tells the unwinder where the frame descriptions are: the whole image is one module.
struct Frames;

// SAFETY: the description covers the image's code and stays in place for ever.
unsafe impl EhFrameFinder for Frames {
    fn find(&self, pc: usize) -> Option<FrameInfo> {
        let text = &raw const __text_start as usize..&raw const __text_end as usize;
        text.contains(&pc).then_some(FrameInfo {
            text_base: Some(text.start),
            kind: FrameInfoKind::EhFrameHdr(&raw const __eh_frame_hdr as usize),
        })
    }
}

/// What xtask writes before the symbol table: this, then its length (u64).
const SYMBOLS_MAGIC: [u8; 8] = *b"INTRSYM1";

/// Length of the symbol segment, header included; zero when xtask did not append one.
fn symbols_len() -> usize {
    let at = &raw const __symbols_start;
    // SAFETY: the page after the image's data: part of the image, or (without symbols) mapped by the boot tables.
    let (magic, len) = unsafe { (at.cast::<[u8; 8]>().read(), at.add(8).cast::<u64>().read()) };
    if magic == SYMBOLS_MAGIC && len < 64 << 20 { len as usize + 16 } else { 0 }
}

/// The one way in: both boot protocols end here, on the boot stack, with the boot page tables.
pub fn kernel_main(info: &'static mut BootInfo) -> ! {
    driver_serial::init();
    panic::set_crash_console(driver_serial::print_unlocked);
    panic::set_restart(|| kernel_acpi::reset());
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(log::LevelFilter::Info);
    // SAFETY: ring 0.
    unsafe { cpu::enable_vectors() };
    if let Err(missing) = cpu::check_features() {
        driver_serial::print(format_args!("this processor lacks {}\n", missing.0));
        panic::fatal("unsupported processor");
    }
    let symbols = symbols_len();
    init_memory(info, symbols);
    // SAFETY: first on this core.
    unsafe { core_local::install(&BOOT_CORE) };
    heap::init_core();
    if symbols > 0 {
        // SAFETY: the segment is mapped read-only with the rest of the image.
        let table =
            unsafe { core::slice::from_raw_parts((&raw const __symbols_start).add(16), symbols - 16) };
        panic::set_symbols(table, &raw const __text_end as u64);
    }
    let _ = set_custom_eh_frame_finder(&Frames);
    // The boot stack has no guard page: go on with one that has.
    let stack = Stack::new(128 << 10).unwrap_or_else(|e| panic!("no stack: {e}"));
    // SAFETY: a fresh stack; `main_on_stack` never returns, so the old one is abandoned.
    unsafe { boot_on_stack(stack.top(), main_on_stack, core::ptr::from_mut(info) as usize) }
}

fn init_memory(info: &BootInfo, symbols: usize) {
    let page = |p: *const u8| p as u64;
    let symbols_start = page(&raw const __symbols_start);
    let sections = [
        (page(&raw const __text_start), page(&raw const __text_end), Rights::Execute),
        (page(&raw const __rodata_start), page(&raw const __rodata_end), Rights::Read),
        (page(&raw const __data_start), page(&raw const __data_end), Rights::ReadWrite),
        (symbols_start, symbols_start + (symbols as u64).next_multiple_of(4096), Rights::Read),
    ];
    let image =
        Image { phys_base: info.kernel_addr - (entry::image_start() - layout::IMAGE), sections: &sections };
    // SAFETY: once, with the boot tables; the regions have the image cut out.
    if let Err(e) = unsafe { paging::init(&info.memory_regions, &image) } {
        panic!("memory: {e}");
    }
}

static INFO: AtomicUsize = AtomicUsize::new(0);

extern "C" fn main_on_stack(info: usize) -> ! {
    INFO.store(info, Ordering::Relaxed);
    // SAFETY: `kernel_main` passed its 'static boot information.
    let info = unsafe { &*(info as *const BootInfo) };
    // SAFETY: once, before other cores; then once on this core.
    unsafe {
        exceptions::init();
        if let Err(e) = cpu::init_core() {
            panic!("cpu: {e}");
        }
        if let Err(e) = stack::init_core() {
            panic!("stacks: {e}");
        }
    }
    clocks::init_early();
    if let Some(rsdp) = info.rsdp_addr.into_option() {
        // SAFETY: from the boot loader; the tables are in memory that is not usable.
        if let Err(e) = unsafe { kernel_acpi::init(PhysAddr::new_truncate(rsdp)) } {
            log::warn!("acpi: {e}");
        }
    }
    let madt = &kernel_acpi::platform().madt;
    if let Err(e) = apic::init(PhysAddr::new_truncate(madt.registers)) {
        panic!("apic: {e}");
    }
    apic::init_core();
    core_local::current().apic_id.store(apic::id(), Ordering::Relaxed);
    clocks::init();
    kernel_task::entropy::add_from_processor();
    kernel_task::start_boot_core();
    start_other_cores(info, &madt.apic_ids);
    let command_line = entry::command_line(info);
    kernel_task::spawn("main", move || appliance::main(command_line));
    kernel_task::run_core()
}

/// A frame below 1 MiB that firmware does not use, for the other cores' first steps.
fn low_frame(info: &BootInfo) -> Option<PhysAddr> {
    use bootloader_api::info::MemoryRegionKind::Usable;
    // 0 to 0x1000 holds real-mode vectors; start-up addresses have 8 bits of page number.
    let low =
        info.memory_regions.iter().find(|r| r.kind == Usable && r.end > 0x2000 && r.start < 0x9_0000)?;
    Some(PhysAddr::new(low.start.max(0x1000)))
}

fn start_other_cores(info: &BootInfo, apic_ids: &[u32]) {
    let Some(page) = low_frame(info) else {
        log::warn!("cpu: no memory below 1 MiB, other cores stay off");
        return;
    };
    // SAFETY: once; low memory is never given to the frame allocator.
    match unsafe { smp::start_cores(apic_ids, page) } {
        Ok(started) => log::info!("cpu: {} cores", started + 1),
        Err(e) => log::warn!("cpu: other cores not started: {e}"),
    }
}

/// The boot information, for the main task.
pub fn boot_info() -> &'static BootInfo {
    // SAFETY: stored by `main_on_stack` before the main task exists.
    unsafe { &*(INFO.load(Ordering::Relaxed) as *const BootInfo) }
}

/// Keeps a value for the life of the machine.
pub fn forever<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

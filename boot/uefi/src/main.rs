//! The UEFI loader: reads the kernel and its command line from the EFI system partition, builds boot page tables, takes
//! the memory map and jumps.
//!
//! It leaves the kernel what the direct (PVH) entry makes for itself: the image mapped where it is linked, all memory
//! below 4 GiB (and more, if the loader itself lies higher) at its own address and in the direct map, interrupts off. The
//! command line travels as the boot information's RAM disk.
#![no_std]
#![no_main]

extern crate alloc;

mod elf;
mod tables;

use alloc::vec::Vec;
use bootloader_api::{
    BootInfo,
    info::{MemoryRegion, MemoryRegionKind, MemoryRegions, Optional},
};
use core::{arch::global_asm, ffi::c_void, fmt, panic::PanicInfo, slice};
use uefi::{
    CStr16, Handle, Status,
    boot::{self, AllocateType},
    cstr16,
    fs::FileSystem,
    mem::memory_map::{MemoryMap, MemoryType},
    system,
    table::cfg::ConfigTableEntry,
};

global_asm!(include_str!("start.s"), options(att_syntax));
// The functions that compiled code calls by name: the kernel's own.
global_asm!(include_str!("../../../kernel/memory/src/intrinsics.s"), options(att_syntax));

const KERNEL: &CStr16 = cstr16!("\\intralith\\kernel.elf");
const COMMAND_LINE: &CStr16 = cstr16!("\\intralith\\cmdline.txt");

/// Longest command line.
const MAX_COMMAND_LINE: usize = 4096;
/// Memory regions there is room for.
const MAX_REGIONS: usize = 1024;
const PAGE: usize = 4096;

// SAFETY: as `enter_kernel` in the assembly beside this file is defined: these arguments by the C convention, and no way back.
unsafe extern "C" {
    fn enter_kernel(root: u64, entry: u64, info: *mut c_void) -> !;
}

/// Why there is nothing to start.
#[derive(Debug)]
enum LoadError {
    /// A file of the system partition.
    File(&'static str),
    /// The kernel is not what was expected.
    Kernel(elf::ElfError),
    /// Out of memory.
    Memory,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) => write!(f, "cannot read {name} on the EFI system partition"),
            Self::Kernel(e) => write!(f, "the kernel image is damaged: {e}"),
            Self::Memory => f.write_str("out of memory"),
        }
    }
}

fn say(text: fmt::Arguments<'_>) {
    system::with_stdout(|out| {
        let _ = fmt::Write::write_fmt(out, format_args!("intralith: {text}\r\n"));
    });
}

// SAFETY: nothing else in the image has this name; the image's entry calls it as firmware called the entry.
#[unsafe(no_mangle)]
extern "efiapi" fn efi_main(handle: Handle, table: *const c_void) -> Status {
    // SAFETY: the arguments that firmware gave the image, set before anything else is used.
    unsafe {
        boot::set_image_handle(handle);
        uefi::table::set_system_table(table.cast());
    }
    match load() {
        Ok(kernel) => start(&kernel),
        Err(e) => {
            say(format_args!("{e}"));
            Status::LOAD_ERROR
        }
    }
}

/// A kernel in memory, ready to run.
struct Loaded {
    root: u64,
    entry: u64,
    phys: u64,
    len: u64,
    command_line: &'static [u8],
    info: *mut BootInfo,
    regions: &'static mut [MemoryRegion],
    rsdp: Option<u64>,
}

/// Zeroed pages below 4 GiB that stay ours.
fn pages(count: usize) -> Result<u64, LoadError> {
    let at =
        boot::allocate_pages(AllocateType::MaxAddress(u64::from(u32::MAX)), MemoryType::LOADER_DATA, count)
            .map_err(|_| LoadError::Memory)?;
    // SAFETY: freshly allocated, `count` pages long.
    unsafe { at.as_ptr().write_bytes(0, count * PAGE) };
    Ok(at.as_ptr() as u64)
}

fn load() -> Result<Loaded, LoadError> {
    let volume =
        boot::get_image_file_system(boot::image_handle()).map_err(|_| LoadError::File("anything"))?;
    let mut files = FileSystem::new(volume);
    let file = files.read(KERNEL).map_err(|_| LoadError::File("intralith\\kernel.elf"))?;
    let line = match files.try_exists(COMMAND_LINE) {
        Ok(true) => files.read(COMMAND_LINE).map_err(|_| LoadError::File("intralith\\cmdline.txt"))?,
        _ => Vec::new(),
    };
    let image = elf::Image::parse(&file).map_err(LoadError::Kernel)?;
    let count = image.len.div_ceil(PAGE as u64) as usize;
    let phys = pages(count)?;
    // SAFETY: freshly allocated, `count` pages long, and nobody else's.
    image.copy_to(unsafe { slice::from_raw_parts_mut(phys as *mut u8, count * PAGE) });
    let top = highest_address()?;
    let root = tables::build(&mut || pages(1), top, image.base, phys, count)?;
    let line = line.get(..MAX_COMMAND_LINE).unwrap_or(&line);
    let line_at = pages(1)?;
    // SAFETY: one fresh page, which holds the longest command line.
    let command_line = unsafe {
        let to = slice::from_raw_parts_mut(line_at as *mut u8, line.len());
        to.copy_from_slice(line);
        &*to
    };
    let regions_at = pages((MAX_REGIONS * size_of::<MemoryRegion>()).div_ceil(PAGE))?;
    let info = pages(size_of::<BootInfo>().div_ceil(PAGE))? as *mut BootInfo;
    // SAFETY: fresh pages, large enough and aligned; every element is written before it is a reference's.
    let regions = unsafe {
        let first = regions_at as *mut MemoryRegion;
        for i in 0..MAX_REGIONS {
            first.add(i).write(MemoryRegion::empty());
        }
        slice::from_raw_parts_mut(first, MAX_REGIONS)
    };
    Ok(Loaded { root, entry: image.entry, phys, len: image.len, command_line, info, regions, rsdp: rsdp() })
}

/// End of the highest memory that may hold the loader, its stack or its data.
fn highest_address() -> Result<u64, LoadError> {
    let map = boot::memory_map(MemoryType::LOADER_DATA).map_err(|_| LoadError::Memory)?;
    let ours = |t: MemoryType| {
        matches!(
            t,
            MemoryType::LOADER_CODE
                | MemoryType::LOADER_DATA
                | MemoryType::BOOT_SERVICES_CODE
                | MemoryType::BOOT_SERVICES_DATA
        )
    };
    let ends = map.entries().filter(|d| ours(d.ty)).map(|d| d.phys_start + d.page_count * PAGE as u64);
    Ok(ends.max().unwrap_or(0).max(4 << 30))
}

/// The ACPI root pointer, of the newer kind if there is one.
fn rsdp() -> Option<u64> {
    system::with_config_table(|entries| {
        let find = |guid| entries.iter().find(|e| e.guid == guid).map(|e| e.address as u64);
        find(ConfigTableEntry::ACPI2_GUID).or_else(|| find(ConfigTableEntry::ACPI_GUID))
    })
}

fn start(kernel: &Loaded) -> ! {
    // SAFETY: `load` made the slice from pages of its own; this is its only use.
    let regions: &'static mut [MemoryRegion] =
        unsafe { slice::from_raw_parts_mut(kernel.regions.as_ptr().cast_mut(), kernel.regions.len()) };
    // SAFETY: nothing of boot services is used from here on.
    let map = unsafe { boot::exit_boot_services(None) };
    let mut count = 0;
    for d in map.entries() {
        let kind = match d.ty {
            MemoryType::CONVENTIONAL | MemoryType::BOOT_SERVICES_CODE | MemoryType::BOOT_SERVICES_DATA => {
                MemoryRegionKind::Usable
            }
            MemoryType::LOADER_CODE | MemoryType::LOADER_DATA => MemoryRegionKind::Bootloader,
            other => MemoryRegionKind::UnknownUefi(other.0),
        };
        let (start, end) = (d.phys_start, d.phys_start + d.page_count * PAGE as u64);
        // Firmware lists neighbours of one kind separately; joined, they fit the room.
        if count > 0
            && let Some(last) = regions.get_mut(count - 1)
            && last.kind == kind
            && last.end == start
        {
            last.end = end;
        } else if let Some(slot) = regions.get_mut(count) {
            *slot = MemoryRegion { start, end, kind };
            count += 1;
        }
    }
    let (used, _) = regions.split_at_mut(count);
    let mut info = BootInfo::new(MemoryRegions::from(used));
    info.rsdp_addr = kernel.rsdp.into();
    info.kernel_addr = kernel.phys;
    info.kernel_len = kernel.len;
    info.ramdisk_addr = Optional::Some(kernel.command_line.as_ptr() as u64);
    info.ramdisk_len = kernel.command_line.len() as u64;
    // The map's memory belongs to boot services that are gone: it must not be freed.
    core::mem::forget(map);
    // SAFETY: the page for it was allocated by `load`; the tables map this code and stack at their own addresses, and the
    // kernel at its.
    unsafe {
        kernel.info.write(info);
        enter_kernel(kernel.root, kernel.entry, kernel.info.cast())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say(format_args!("{info}"));
    loop {
        core::hint::spin_loop();
    }
}

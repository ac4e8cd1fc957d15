//! The two ways in. Both end in a [`BootInfo`] and [`crate::kernel_main`].
//!
//! The command line travels as the boot information's RAM disk: its address (in the image, after being copied) and
//! length. `kernel_addr` is the physical address of the image's first byte.

use alloc::vec::Vec;
use bootloader_api::{
    BootInfo,
    info::{MemoryRegion, MemoryRegionKind, MemoryRegions, Optional},
};
use core::{arch::global_asm, cell::UnsafeCell, slice};
use kernel_memory::{layout, regions};

global_asm!(include_str!("boot.s"), options(att_syntax));

/// Longest command line.
const COMMAND_LINE: usize = intralith_config::MAX_TEXT;
/// Most memory regions taken over from firmware.
const MAX_REGIONS: usize = 1024;

// SAFETY: the linker script defines them. Only their addresses are used.
unsafe extern "C" {
    static __image_start: u8;
    static __symbols_start: u8;
}

/// Where the image ends in memory: after the symbols, if xtask appended them.
pub fn image_end() -> u64 {
    let start = &raw const __symbols_start as u64;
    start + (crate::symbols_len() as u64).next_multiple_of(4096)
}

pub fn image_start() -> u64 {
    &raw const __image_start as u64
}

struct Once<T>(UnsafeCell<Option<T>>);
// SAFETY: used by `enter` only, once, before other cores run.
unsafe impl<T> Sync for Once<T> {}

static INFO: Once<BootInfo> = Once(UnsafeCell::new(None));

/// What a boot protocol hands over, in Rust terms.
struct Handover<'a> {
    regions: Vec<MemoryRegion>,
    rsdp: Option<u64>,
    command_line: &'a [u8],
    image_phys: u64,
}

fn enter(handover: Handover<'_>) -> ! {
    let image_len = image_end() - image_start();
    let image = handover.image_phys..handover.image_phys + image_len;
    let sorted = regions::normalise(&handover.regions, image.clone());
    let line = handover.command_line;
    let line = line.get(..COMMAND_LINE).unwrap_or(line).to_vec().leak();
    let mut info = BootInfo::new(MemoryRegions::from(sorted.leak()));
    info.physical_memory_offset = Optional::Some(layout::DIRECT_MAP);
    info.rsdp_addr = handover.rsdp.into();
    info.kernel_addr = image.start;
    info.kernel_len = image_len;
    info.kernel_image_offset = image_start();
    info.ramdisk_addr = Optional::Some(line.as_ptr() as u64);
    info.ramdisk_len = line.len() as u64;
    // SAFETY: runs once, alone on the machine.
    let info = unsafe { (*INFO.0.get()).insert(info) };
    crate::kernel_main(info)
}

/// The command line that an entry stored in the boot information.
pub fn command_line(info: &BootInfo) -> &'static [u8] {
    match info.ramdisk_addr {
        // SAFETY: `enter` stored a leaked slice.
        Optional::Some(at) => unsafe { slice::from_raw_parts(at as *const u8, info.ramdisk_len as usize) },
        Optional::None => &[],
    }
}

/// The PVH start information (Xen's `hvm_start_info`, version 1).
#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    modules_at: u64,
    command_line_at: u64,
    rsdp_at: u64,
    memory_map_at: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[repr(C)]
struct StartMemory {
    start: u64,
    len: u64,
    kind: u32,
    reserved: u32,
}

const START_MAGIC: u32 = 0x336e_c578;
const E820_RAM: u32 = 1;

// SAFETY: nothing else has this name; `boot.s` calls it once, on the boot core, with this argument by the C convention.
#[unsafe(no_mangle)]
extern "C" fn pvh_start(at: u64) -> ! {
    // SAFETY: the boot protocol passes the address of its start information, below 4 GiB, which the boot tables map
    // at the direct map; nothing has written memory since, other than the image's own zeroed data.
    let start = unsafe { &*(layout::direct(at) as *const StartInfo) };
    assert!(start.magic == START_MAGIC && start.version >= 1, "not started by a PVH boot loader");
    let entries = (start.memory_map_entries as usize).min(MAX_REGIONS);
    // SAFETY: as above: the loader placed so many entries there.
    let map =
        unsafe { slice::from_raw_parts(layout::direct(start.memory_map_at) as *const StartMemory, entries) };
    let regions = map
        .iter()
        .map(|m| MemoryRegion {
            start: m.start,
            end: m.start.saturating_add(m.len),
            kind: if m.kind == E820_RAM {
                MemoryRegionKind::Usable
            } else {
                MemoryRegionKind::UnknownBios(m.kind)
            },
        })
        .collect();
    let command_line = if start.command_line_at == 0 {
        &[][..]
    } else {
        let text = layout::direct(start.command_line_at) as *const u8;
        // SAFETY: as above; a zero ends the text, and the length is limited.
        let len = (0..COMMAND_LINE).find(|i| unsafe { *text.add(*i) } == 0).unwrap_or(COMMAND_LINE);
        // SAFETY: as above.
        unsafe { slice::from_raw_parts(text, len) }
    };
    let rsdp = (start.rsdp_at != 0).then_some(start.rsdp_at);
    enter(Handover { regions, rsdp, command_line, image_phys: image_start() - layout::IMAGE })
}

/// The UEFI loader's way in. Its boot information is copied: its memory becomes usable.
// SAFETY: as for `pvh_start`.
#[unsafe(no_mangle)]
extern "C" fn uefi_start(info: &'static BootInfo) -> ! {
    let regions: Vec<MemoryRegion> = info.memory_regions.iter().take(MAX_REGIONS).copied().collect();
    let command_line = match info.ramdisk_addr {
        // SAFETY: the loader passes the address of its copy of the command line, mapped in its tables.
        Optional::Some(at) => unsafe { slice::from_raw_parts(at as *const u8, info.ramdisk_len as usize) },
        Optional::None => &[],
    };
    enter(Handover {
        regions,
        rsdp: info.rsdp_addr.into_option(),
        command_line,
        image_phys: info.kernel_addr,
    })
}

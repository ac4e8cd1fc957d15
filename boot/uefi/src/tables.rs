//! Page tables for the first moments of the kernel, which builds its own at once.

use crate::LoadError;

const PRESENT_WRITE: u64 = 0b11;
const LARGE: u64 = 1 << 7;
/// First entry of the root table for the direct map.
const DIRECT_MAP_SLOT: usize = 256;

fn set(table: u64, index: usize, value: u64) {
    // SAFETY: `table` is a page that `build` allocated; indexes are below 512.
    unsafe { (table as *mut u64).add(index & 511).write(value) };
}

/// Maps the first `top` bytes of memory (at most 512 GiB) at their own address and at the direct map, and `count` pages
/// from `phys` at `virt` in the top two GiB. The root's address. `page` gives zeroed pages.
pub fn build(
    page: &mut dyn FnMut() -> Result<u64, LoadError>,
    top: u64,
    virt: u64,
    phys: u64,
    count: usize,
) -> Result<u64, LoadError> {
    let root = page()?;
    let low = page()?;
    for gigabyte in 0..top.div_ceil(1 << 30).min(512) {
        let directory = page()?;
        for i in 0..512 {
            set(directory, i as usize, ((gigabyte << 30) + (i << 21)) | PRESENT_WRITE | LARGE);
        }
        set(low, gigabyte as usize, directory | PRESENT_WRITE);
    }
    set(root, 0, low | PRESENT_WRITE);
    set(root, DIRECT_MAP_SLOT, low | PRESENT_WRITE);
    let high = page()?;
    set(root, 511, high | PRESENT_WRITE);
    let (mut directory, mut table) = (0, 0);
    for i in 0..count as u64 {
        let at = virt + i * 4096;
        if i == 0 || at.is_multiple_of(1 << 30) {
            directory = page()?;
            set(high, (at >> 30) as usize, directory | PRESENT_WRITE);
        }
        if i == 0 || at.is_multiple_of(1 << 21) {
            table = page()?;
            set(directory, (at >> 21) as usize, table | PRESENT_WRITE);
        }
        set(table, (at >> 12) as usize, (phys + i * 4096) | PRESENT_WRITE);
    }
    Ok(root)
}

//! Where things are in the one address space.

/// Start of the direct map: physical address `p` is at `DIRECT_MAP + p`.
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
/// Size of the direct map's area: the most RAM there can be.
pub const DIRECT_MAP_SIZE: u64 = 1 << 46;
/// Device registers and firmware tables.
pub const DEVICE_MAP: u64 = 0xffff_c000_0000_0000;
/// Size of the device area.
pub const DEVICE_MAP_SIZE: u64 = 1 << 44;
/// Stacks.
pub const STACKS: u64 = 0xffff_d000_0000_0000;
/// Size of the stack area.
pub const STACKS_SIZE: u64 = 1 << 44;
/// The top two GiB, where the kernel image is linked.
pub const IMAGE: u64 = 0xffff_ffff_8000_0000;

/// The direct map's address of a physical address.
#[inline]
pub const fn direct(phys: u64) -> u64 {
    DIRECT_MAP + phys
}

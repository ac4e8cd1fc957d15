//! What every core sets up for itself: floating point and vector registers, segments, the task-state segment.

use alloc::boxed::Box;
use core::arch::{asm, x86_64::__cpuid, x86_64::__cpuid_count};
use kernel_memory::{MemoryError, stack::Stack};

/// Selectors in every core's descriptor table.
pub(crate) const CODE: u16 = 0x08;
const DATA: u16 = 0x10;
const TSS: u16 = 0x18;

/// Slots of the interrupt stack table (counted from one, as in a gate).
pub(crate) mod ist {
    /// Device and kernel interrupts: a few words only.
    pub(crate) const INTERRUPT: u8 = 1;
    /// Faults and traps.
    pub(crate) const EXCEPTION: u8 = 2;
    /// Double fault: the other stacks may be what went wrong.
    pub(crate) const DOUBLE_FAULT: u8 = 3;
    /// Non-maskable interrupt.
    pub(crate) const NMI: u8 = 4;
    /// Machine check.
    pub(crate) const MACHINE_CHECK: u8 = 5;
}

/// Stack sizes for the slots, in slot order. Faults print and walk stacks.
const IST_SIZES: [usize; 5] = [4 << 10, 32 << 10, 32 << 10, 8 << 10, 16 << 10];

/// Hardware's layout: 64-bit fields at offsets that are multiples of four only.
#[repr(C, packed(4))]
struct TaskState {
    reserved0: u32,
    privilege_stacks: [u64; 3],
    reserved1: u64,
    interrupt_stacks: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map: u16,
}

#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

/// What the processor lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingFeature(pub &'static str);

/// Checks for what the kernel is compiled for. Only integer code before [`enable_vectors`] may run this.
pub fn check_features() -> Result<(), MissingFeature> {
    let f = __cpuid(1);
    let need = [
        (f.ecx & (1 << 0) != 0, "SSE3"),
        (f.ecx & (1 << 9) != 0, "SSSE3"),
        (f.ecx & (1 << 13) != 0, "CMPXCHG16B"),
        (f.ecx & (1 << 20) != 0, "SSE4.2"),
        (f.ecx & (1 << 23) != 0, "POPCNT"),
        (f.edx & (1 << 9) != 0, "APIC"),
    ];
    need.iter().find(|n| !n.0).map_or(Ok(()), |n| Err(MissingFeature(n.1)))
}

/// Turns on SSE and, where there are, AVX and AVX-512 registers on this core.
///
/// # Safety
/// In ring 0.
pub unsafe fn enable_vectors() {
    let features = __cpuid(1);
    // SAFETY: CR0: no emulation, monitor coprocessor, native errors. CR4: SSE and its exceptions, and XSAVE only if
    // the processor has it. XCR0: only components that CPUID leaf 13 lists, AVX-512's three together.
    unsafe {
        let mut cr0: u64;
        asm!("mov {}, cr0", out(reg) cr0, options(nomem, nostack, preserves_flags));
        cr0 = (cr0 & !(1 << 2) & !(1 << 3)) | (1 << 1) | (1 << 5);
        asm!("mov cr0, {}", in(reg) cr0, options(nomem, nostack, preserves_flags));
        let mut cr4: u64;
        asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags));
        cr4 |= (1 << 9) | (1 << 10);
        let xsave = features.ecx & (1 << 26) != 0;
        if xsave {
            cr4 |= 1 << 18;
        }
        asm!("mov cr4, {}", in(reg) cr4, options(nomem, nostack, preserves_flags));
        if xsave {
            let supported = __cpuid_count(13, 0).eax;
            let mut enable = supported & 0b111;
            if enable & 0b100 != 0 && supported & 0xe0 == 0xe0 {
                enable |= 0xe0;
            }
            asm!("xsetbv", in("ecx") 0, in("eax") enable, in("edx") 0, options(nomem, nostack, preserves_flags));
        }
        asm!("fninit", options(nomem, nostack));
    }
}

/// Gives this core its segments and interrupt stacks, and loads the interrupt table.
///
/// # Safety
/// Once per core, in ring 0, in long mode, with the kernel's page tables and the heap working.
pub unsafe fn init_core() -> Result<(), MemoryError> {
    let mut tss = Box::new(TaskState {
        reserved0: 0,
        privilege_stacks: [0; 3],
        reserved1: 0,
        interrupt_stacks: [0; 7],
        reserved2: 0,
        reserved3: 0,
        io_map: size_of::<TaskState>() as u16,
    });
    let mut stacks = [0u64; 7];
    for (slot, size) in stacks.iter_mut().zip(IST_SIZES) {
        *slot = Stack::new(size)?.top() as u64;
    }
    tss.interrupt_stacks = stacks;
    let tss = Box::leak(tss) as *mut TaskState as u64;
    let limit = size_of::<TaskState>() as u64 - 1;
    let low = limit | ((tss & 0xff_ffff) << 16) | (0x89 << 40) | ((tss >> 24 & 0xff) << 56);
    let table = Box::leak(Box::new([
        0,
        0x00af_9b00_0000_ffff, // 64-bit code
        0x00cf_9300_0000_ffff, // data
        low,
        tss >> 32,
    ]));
    let pointer = TablePointer { limit: size_of_val(table) as u16 - 1, base: table.as_ptr() as u64 };
    // SAFETY: the table is leaked and well formed; the far return loads CS with a 64-bit code descriptor, the data
    // selectors are flat or null, GS's base is in its register and is not touched by loading FS and GS never.
    unsafe {
        asm!(
            "lgdt [{pointer}]",
            "push {code}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2:",
            "mov ds, {data:e}",
            "mov es, {data:e}",
            "mov ss, {data:e}",
            "ltr {tss:x}",
            pointer = in(reg) &pointer,
            code = const CODE,
            scratch = out(reg) _,
            data = in(reg) u32::from(DATA),
            tss = in(reg) TSS,
        );
        crate::exceptions::load();
    }
    Ok(())
}

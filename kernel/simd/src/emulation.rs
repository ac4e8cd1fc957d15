//! Whether QEMU's software emulation runs this code: there, costs differ from any processor's.

/// True under QEMU's emulator (TCG), by the name that it gives in the hypervisor's leaf of CPUID.
#[cfg(target_arch = "x86_64")]
pub fn by_qemu() -> bool {
    use core::arch::x86_64::__cpuid;
    // The bit that says that a hypervisor answers the leaf.
    if __cpuid(1).ecx & (1 << 31) == 0 {
        return false;
    }
    let name = __cpuid(0x4000_0000);
    let mut bytes = [0; 12];
    for (word, chunk) in [name.ebx, name.ecx, name.edx].iter().zip(bytes.chunks_exact_mut(4)) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    &bytes == b"TCGTCGTCGTCG"
}

/// As on x86-64; other processors are not looked at yet.
#[cfg(not(target_arch = "x86_64"))]
pub fn by_qemu() -> bool {
    false
}

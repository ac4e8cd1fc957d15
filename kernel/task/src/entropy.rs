//! Random bytes: ChaCha20 with fast key erasure, fed by the processor and by devices.
//!
//! The generator holds one 256-bit key. Each request encrypts zeroes under it: the first 32 bytes become the next key
//! before anything is given out, so that a later look at memory does not reveal earlier output. Seed material is
//! mixed in by hashing it together with the key, never by replacing it.

use chacha20::{
    ChaCha20,
    cipher::{KeyIvInit, StreamCipher},
};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use sha2::{Digest, Sha256};
use spin::Mutex;

struct Generator {
    key: [u8; 32],
    /// Requests under this key's lineage since the processor's generator was last mixed in.
    requests: u32,
}

static GENERATOR: Mutex<Generator> = Mutex::new(Generator { key: [0; 32], requests: 0 });
static SEEDED: AtomicBool = AtomicBool::new(false);
static MIXED: AtomicU64 = AtomicU64::new(0);

/// Requests between two mixings from the processor.
const RESEED_EVERY: u32 = 4096;

impl Generator {
    fn mix(&mut self, material: &[u8]) {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(material);
        self.key = hash.finalize().into();
    }

    fn fill(&mut self, buf: &mut [u8]) {
        let mut next = [0u8; 32];
        let mut cipher = ChaCha20::new(&self.key.into(), &[0; 12].into());
        cipher.apply_keystream(&mut next);
        self.key = next;
        buf.fill(0);
        cipher.apply_keystream(buf);
    }
}

/// Mixes in bytes from a device (virtio-rng) or anything else hard to guess. Counts as a seed when `trusted`.
pub fn add(material: &[u8], trusted: bool) {
    GENERATOR.lock().mix(material);
    MIXED.fetch_add(material.len() as u64, Ordering::Relaxed);
    if trusted && material.len() >= 32 {
        SEEDED.store(true, Ordering::SeqCst);
    }
}

/// Whether the generator has had a seed worth the name.
pub fn seeded() -> bool {
    SEEDED.load(Ordering::SeqCst)
}

/// Mixes in the processor's generator, if it has one; whether it does.
pub fn add_from_processor() -> bool {
    let mut material = [0u8; 64];
    let mut all = true;
    for chunk in material.chunks_exact_mut(8) {
        match processor_word() {
            Some(word) => chunk.copy_from_slice(&word.to_le_bytes()),
            None => {
                all = false;
                chunk.copy_from_slice(&crate::time::ticks().to_le_bytes());
            }
        }
    }
    add(&material, all);
    all
}

/// Fills `buf`. Panics when the machine has no source of randomness at all: keys made without one would be guessable.
pub fn fill(buf: &mut [u8]) {
    let reseed = {
        let mut g = GENERATOR.lock();
        g.requests += 1;
        g.requests.is_multiple_of(RESEED_EVERY)
    };
    if reseed || !seeded() {
        add_from_processor();
        assert!(seeded(), "this machine has no source of random numbers (RDSEED, RDRAND or virtio-rng)");
    }
    GENERATOR.lock().fill(buf);
}

/// A word from RDSEED or RDRAND.
fn processor_word() -> Option<u64> {
    let rdrand = core::arch::x86_64::__cpuid(1).ecx & (1 << 30) != 0;
    let rdseed = core::arch::x86_64::__cpuid_count(7, 0).ebx & (1 << 18) != 0;
    for _ in 0..16 {
        if rdseed {
            let (word, ok): (u64, u8);
            // SAFETY: the instruction exists (CPUID); it changes only the registers named and the flags.
            unsafe {
                core::arch::asm!("rdseed {}", "setc {}", out(reg) word, out(reg_byte) ok, options(nomem, nostack));
            }
            if ok != 0 {
                return Some(word);
            }
        }
        if rdrand {
            let (word, ok): (u64, u8);
            // SAFETY: as above.
            unsafe {
                core::arch::asm!("rdrand {}", "setc {}", out(reg) word, out(reg_byte) ok, options(nomem, nostack));
            }
            if ok != 0 {
                return Some(word);
            }
        }
        core::hint::spin_loop();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_depends_on_every_seed_and_never_repeats() {
        let mut a = Generator { key: [1; 32], requests: 0 };
        let mut b = Generator { key: [1; 32], requests: 0 };
        let (mut x, mut y) = ([0u8; 100], [0u8; 100]);
        a.fill(&mut x);
        b.fill(&mut y);
        assert_eq!(x, y);
        assert_ne!(a.key, [1; 32]);
        assert!(!x.windows(32).any(|w| w == a.key));
        b.mix(b"x");
        a.fill(&mut x);
        b.fill(&mut y);
        assert_ne!(x, y);
    }

    #[test]
    fn the_stream_is_chacha20() {
        // RFC 8439, appendix A.1, test vector 1: block 0 under the zero key and nonce. Our first 32 bytes become
        // the key, the rest is output.
        let mut g = Generator { key: [0; 32], requests: 0 };
        let mut out = [0u8; 32];
        g.fill(&mut out);
        assert_eq!(g.key[..4], [0x76, 0xb8, 0xe0, 0xad]);
        assert_eq!(out[..4], [0xda, 0x41, 0x59, 0x7c]);
    }
}

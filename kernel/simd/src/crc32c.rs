//! CRC-32C (Castagnoli): the checksum of pages and log records.
//!
//! The SSE4.2 kernel runs three independent streams over blocks of [`STREAM`] bytes to hide the instruction's three-cycle latency
//! and joins them with tables that advance a CRC over that many zero bytes.

#[cfg(target_arch = "x86_64")]
use core::sync::atomic::{AtomicU8, Ordering};

/// The polynomial, bit-reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// Bytes of one of three interleaved streams.
#[cfg(target_arch = "x86_64")]
const STREAM: usize = 512;

static BYTES: [[u32; 256]; 8] = byte_tables();

const fn byte_tables() -> [[u32; 256]; 8] {
    let mut t = [[0u32; 256]; 8];
    let mut n = 0;
    while n < 256 {
        let mut c = n as u32;
        let mut bit = 0;
        while bit < 8 {
            c = if c & 1 == 1 { (c >> 1) ^ POLYNOMIAL } else { c >> 1 };
            bit += 1;
        }
        t[0][n] = c;
        n += 1;
    }
    let mut n = 0;
    while n < 256 {
        let mut k = 1;
        while k < 8 {
            let c = t[k - 1][n];
            t[k][n] = t[0][(c & 0xff) as usize] ^ (c >> 8);
            k += 1;
        }
        n += 1;
    }
    t
}

/// The checksum of `data`.
pub fn checksum(data: &[u8]) -> u32 {
    extend(0, data)
}

/// The checksum of what `crc` is the checksum of, followed by `data`.
pub fn extend(crc: u32, data: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if use_sse42() {
        // SAFETY: `use_sse42` has just said that the processor has the instruction.
        return !unsafe { extend_sse42(!crc, data) };
    }
    !extend_portable(!crc, data)
}

fn extend_portable(mut state: u32, data: &[u8]) -> u32 {
    let mut chunks = data.chunks_exact(8);
    for c in &mut chunks {
        let lo = state ^ u32::from_le_bytes([c[0], c[1], c[2], c[3]]);
        state = BYTES[7][(lo & 0xff) as usize]
            ^ BYTES[6][((lo >> 8) & 0xff) as usize]
            ^ BYTES[5][((lo >> 16) & 0xff) as usize]
            ^ BYTES[4][(lo >> 24) as usize]
            ^ BYTES[3][usize::from(c[4])]
            ^ BYTES[2][usize::from(c[5])]
            ^ BYTES[1][usize::from(c[6])]
            ^ BYTES[0][usize::from(c[7])];
    }
    for &b in chunks.remainder() {
        state = BYTES[0][((state ^ u32::from(b)) & 0xff) as usize] ^ (state >> 8);
    }
    state
}

/// Advances a CRC state over [`STREAM`] zero bytes, one table per byte of the state.
#[cfg(target_arch = "x86_64")]
static SHIFT: [[u32; 256]; 4] = shift_tables();

#[cfg(target_arch = "x86_64")]
const fn shift_tables() -> [[u32; 256]; 4] {
    // The operator is linear over GF(2): what it does to each of the 32 bits says all.
    let mut columns = [0u32; 32];
    let mut bit = 0;
    while bit < 32 {
        let mut state = 1u32 << bit;
        let mut n = 0;
        while n < STREAM {
            state = BYTES_CONST[(state & 0xff) as usize] ^ (state >> 8);
            n += 1;
        }
        columns[bit] = state;
        bit += 1;
    }
    let mut t = [[0u32; 256]; 4];
    let mut byte = 0;
    while byte < 4 {
        let mut v = 0;
        while v < 256 {
            let mut sum = 0;
            let mut bit = 0;
            while bit < 8 {
                if v >> bit & 1 == 1 {
                    sum ^= columns[byte * 8 + bit];
                }
                bit += 1;
            }
            t[byte][v] = sum;
            v += 1;
        }
        byte += 1;
    }
    t
}

#[cfg(target_arch = "x86_64")]
const BYTES_CONST: [u32; 256] = byte_tables()[0];

#[cfg(target_arch = "x86_64")]
fn shift(state: u32) -> u32 {
    SHIFT[0][(state & 0xff) as usize]
        ^ SHIFT[1][((state >> 8) & 0xff) as usize]
        ^ SHIFT[2][((state >> 16) & 0xff) as usize]
        ^ SHIFT[3][(state >> 24) as usize]
}

/// 0: not asked yet, 1: no, 2: yes.
#[cfg(target_arch = "x86_64")]
static SSE42: AtomicU8 = AtomicU8::new(0);

#[cfg(target_arch = "x86_64")]
fn use_sse42() -> bool {
    match SSE42.load(Ordering::Relaxed) {
        0 => {
            let there = core::arch::x86_64::__cpuid(1).ecx & (1 << 20) != 0;
            // QEMU's emulator computes the instruction bit by bit: tables are several times faster there.
            let yes = there && !crate::emulation::by_qemu();
            SSE42.store(if yes { 2 } else { 1 }, Ordering::Relaxed);
            yes
        }
        known => known == 2,
    }
}

/// # Safety
/// The processor must have SSE4.2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
unsafe fn extend_sse42(state: u32, data: &[u8]) -> u32 {
    use core::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};
    let word = |c: &[u8]| u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]);
    let mut state = state;
    let mut blocks = data.chunks_exact(3 * STREAM);
    for block in &mut blocks {
        let (a, rest) = block.split_at(STREAM);
        let (b, c) = rest.split_at(STREAM);
        let (mut x, mut y, mut z) = (u64::from(state), 0, 0);
        for ((a, b), c) in a.chunks_exact(8).zip(b.chunks_exact(8)).zip(c.chunks_exact(8)) {
            x = _mm_crc32_u64(x, word(a));
            y = _mm_crc32_u64(y, word(b));
            z = _mm_crc32_u64(z, word(c));
        }
        state = shift(shift(x as u32) ^ y as u32) ^ z as u32;
    }
    let mut words = blocks.remainder().chunks_exact(8);
    let mut wide = u64::from(state);
    for w in &mut words {
        wide = _mm_crc32_u64(wide, word(w));
    }
    let mut state = wide as u32;
    for &b in words.remainder() {
        state = _mm_crc32_u8(state, b);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORACLE: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

    #[test]
    fn check_value() {
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn agrees_with_the_oracle(data in proptest::collection::vec(any::<u8>(), 0..9000), cut in any::<prop::sample::Index>()) {
            let want = ORACLE.checksum(&data);
            prop_assert_eq!(checksum(&data), want);
            prop_assert_eq!(!extend_portable(!0, &data), want);
            let (a, b) = data.split_at(cut.index(data.len() + 1));
            prop_assert_eq!(extend(checksum(a), b), want);
        }
    }
}

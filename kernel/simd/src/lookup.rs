//! Nodes that look bits up: the inner loops of graphs of lookup tables.
//!
//! The state of a graph is a slice of words, one bit a node. [`Wires`] holds the bits' places that nodes read; it remembers
//! a bound of them, so that one comparison before a block of 64 nodes replaces one before every bit. Two kernels:
//! [`Wires::decide`] collects the bits of one input after the other of up to 64 nodes that share a table into words, to which
//! the table is applied for all 64 at once; inputs are asked only as long as nodes are undecided. [`Wires::look_up`] makes each
//! node's index and looks its own table up.
//!
//! [`combine_wide`] does what [`combine`] does for 512 bits: there, they are one node in 512 scenarios.

use alloc::vec::Vec;
#[cfg(target_arch = "x86_64")]
use core::sync::atomic::{AtomicU8, Ordering};

use crate::chain::Chain;

/// The most inputs of a node.
pub const INPUTS: usize = 6;

/// So few of 64 nodes are asked one by one.
const FEW: u32 = 28;

/// Instruction sets that the kernels are written for. Results are the same with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// What every processor has.
    Scalar,
    /// AVX2 and BMI2.
    Avx2,
    /// AVX-512 F.
    Avx512,
}

impl Path {
    /// All of them, narrowest first.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    /// The widest that this processor and its state-saving support.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            static BEST: AtomicU8 = AtomicU8::new(0);
            match BEST.load(Ordering::Relaxed) {
                1 => Self::Scalar,
                2 => Self::Avx2,
                3 => Self::Avx512,
                _ => {
                    let best = detect();
                    BEST.store(best as u8 + 1, Ordering::Relaxed);
                    best
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self::Scalar
    }

    /// Whether this processor can run it.
    pub fn is_available(self) -> bool {
        self <= Self::best()
    }

    /// The name that reports show.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// This path, or the widest available one below it.
    pub(crate) fn or_less(self) -> Self {
        self.min(Self::best())
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Path {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    // Emulated vectors are slower than emulated scalars.
    if __cpuid(0).eax < 7 || crate::emulation::by_qemu() {
        return Path::Scalar;
    }
    let (basic, wide) = (__cpuid(1).ecx, __cpuid_count(7, 0).ebx);
    let osxsave_and_avx = 1 << 27 | 1 << 28;
    if basic & osxsave_and_avx != osxsave_and_avx {
        return Path::Scalar;
    }
    // SAFETY: OSXSAVE is set, so XGETBV exists and register 0 may be read.
    let saved = unsafe { enabled_states() };
    let bmi1_avx2_bmi2 = 1 << 3 | 1 << 5 | 1 << 8;
    if saved & 0b110 != 0b110 || wide & bmi1_avx2_bmi2 != bmi1_avx2_bmi2 {
        return Path::Scalar;
    }
    let avx512f = 1 << 16;
    if saved & 0b1110_0000 == 0b1110_0000 && wide & avx512f != 0 { Path::Avx512 } else { Path::Avx2 }
}

/// Which register files the operating system saves (XCR0).
///
/// # Safety
/// CPUID must report OSXSAVE.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "xsave")]
unsafe fn enabled_states() -> u64 {
    // SAFETY: the caller vouches for OSXSAVE, with which register 0 exists.
    unsafe { core::arch::x86_64::_xgetbv(0) }
}

/// Asks for the cache line of an element that will be wanted soon; nothing happens if there is none.
#[inline]
pub fn prefetch<T>(all: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(element) = all.get(at) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a prefetch changes nothing and cannot fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(element).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (all, at);
}

/// Where the nodes of a block find their tables.
#[derive(Clone, Copy, Debug)]
pub enum Tables<'a> {
    /// A number a node, of at most 256 tables.
    Bytes(&'a [u8], &'a [u64; 256]),
    /// A number a node, of at most 65,536 tables.
    Words(&'a [u16], &'a [u64]),
    /// Every node has its own.
    Own(&'a [u64]),
}

impl Tables<'_> {
    #[inline(always)]
    fn get(&self, node: usize) -> u64 {
        match self {
            Self::Bytes(codes, tables) => codes.get(node).map_or(0, |&c| tables[usize::from(c)]),
            Self::Words(codes, tables) => {
                codes.get(node).and_then(|&c| tables.get(usize::from(c))).copied().unwrap_or(0)
            }
            Self::Own(tables) => tables.get(node).copied().unwrap_or(0),
        }
    }
}

/// Places of bits, and a bound that none of them reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wires {
    /// Each is below `bound`: the constructors and [`Self::set`] see to it.
    places: Vec<u32>,
    bound: u32,
}

impl Wires {
    /// Takes places; each must be below `u32::MAX`, or `None` comes back.
    pub fn new(places: Vec<u32>) -> Option<Self> {
        let bound = places.iter().max().map_or(Some(0), |m| m.checked_add(1))?;
        Some(Self { places, bound })
    }

    /// How many places there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A number above all places.
    pub fn bound(&self) -> u32 {
        self.bound
    }

    /// One place.
    pub fn get(&self, at: usize) -> Option<u32> {
        self.places.get(at).copied()
    }

    /// Sets one place; false, and nothing is changed, if there is none at `at` or `place` is not below [`Self::bound`].
    pub fn set(&mut self, at: usize, place: u32) -> bool {
        match self.places.get_mut(at) {
            Some(own) if place < self.bound => {
                *own = place;
                true
            }
            _ => false,
        }
    }

    /// Asks for the cache line of a place, which will be wanted soon.
    #[inline]
    pub fn prefetch(&self, at: usize) {
        prefetch(&self.places, at);
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.places.capacity() * size_of::<u32>()
    }

    /// The places `at..at + count` if they exist and `bits` has a bit for each of them and of all others.
    #[inline(always)]
    fn checked(&self, at: usize, count: usize, bits: &[u64]) -> Option<&[u32]> {
        if (bits.len() as u64) << 6 < u64::from(self.bound) {
            return None;
        }
        self.places.get(at..at.checked_add(count)?)
    }

    /// `count <= 64` nodes of `arity <= 6` inputs and one table: the places of input `d` are at `at + d * count`. Bit `j` of
    /// the result is the table at the index that node `j`'s inputs make. Zero if a place does not exist.
    #[inline]
    pub fn decide(
        &self,
        path: Path,
        (at, count, arity): (usize, usize, usize),
        chain: &Chain,
        bits: &[u64],
    ) -> u64 {
        let (count, arity) = (count.min(64), arity.min(INPUTS));
        let Some(places) = self.checked(at, count * arity, bits) else { return 0 };
        let all = if count == 64 { !0 } else { (1 << count) - 1 };
        #[cfg(target_arch = "x86_64")]
        if path.or_less() >= Path::Avx2 {
            // SAFETY: 1. the processor has AVX2 and BMI2 (`or_less`); 2. `checked` has seen that every place, being
            // below `bound`, has a bit in `bits`.
            return unsafe { x86::decide(places, (count, arity), all, chain, bits) };
        }
        let _ = path;
        chain.apply(all, |slot, open| {
            let places = places.get(slot * count..).and_then(|p| p.get(..count)).unwrap_or(&[]);
            each_bit(open, |j| places.get(j).map_or(0, |&p| bit(bits, p)))
        })
    }

    /// `count <= 64` nodes of `arity <= 6` inputs: the places of input `d` are at `at + d * count`. Bit `j` of the result is
    /// node `j`'s table, which is number `first + j` of `tables`, at the index its inputs make (input `d` is bit `d`).
    #[inline]
    pub fn look_up(
        &self,
        path: Path,
        (at, count, arity): (usize, usize, usize),
        tables: &Tables<'_>,
        first: usize,
        bits: &[u64],
    ) -> u64 {
        let (count, arity) = (count.min(64), arity.min(INPUTS));
        let Some(places) = self.checked(at, count * arity, bits) else { return 0 };
        #[cfg(target_arch = "x86_64")]
        if path.or_less() >= Path::Avx2 {
            // SAFETY: as in `decide`, and `places` has `count * arity` of them.
            return unsafe { x86::look_up(places, count, arity, tables, first, bits) };
        }
        let _ = path;
        let mut word = 0;
        for j in 0..count {
            let mut index = 0;
            for d in (0..arity).rev() {
                index = index << 1 | places.get(d * count + j).map_or(0, |&p| bit(bits, p));
            }
            word |= (tables.get(first + j) >> index & 1) << j;
        }
        word
    }
}

#[inline(always)]
fn bit(bits: &[u64], place: u32) -> u64 {
    bits.get(place as usize >> 6).map_or(0, |w| w >> (place & 63) & 1)
}

/// A word of the bits that `of` gives for those that are set in `open`.
#[inline(always)]
fn each_bit(mut open: u64, of: impl Fn(usize) -> u64) -> u64 {
    let mut word = 0;
    while open != 0 {
        let j = open.trailing_zeros();
        open &= open - 1;
        word |= of(j as usize) << j;
    }
    word
}

/// Bits of a wide word.
pub const WIDE: usize = 512;
/// A word of [`WIDE`] bits.
pub type Wide = [u64; WIDE / 64];

/// The table applied to all 64 bits at once: bit `j` of the result is the table at the index made by bits `j` of the inputs.
/// Inputs that are not given, and those beyond the sixth, read 0.
#[inline]
pub fn combine(table: u64, inputs: &[u64]) -> u64 {
    let input = |d: usize| [inputs.get(d).copied().unwrap_or(0)];
    let (a, b, c, d, e, f) = (input(0), input(1), input(2), input(3), input(4), input(5));
    let [word] = apply(table, inputs.len().min(INPUTS), [&a, &b, &c, &d, &e, &f]);
    word
}

/// What [`combine`] does, for wide words.
#[inline]
pub fn combine_wide(path: Path, table: u64, inputs: &[&Wide], into: &mut Wide) {
    const ZERO: Wide = [0; WIDE / 64];
    let input = |d: usize| inputs.get(d).copied().unwrap_or(&ZERO);
    let six = [input(0), input(1), input(2), input(3), input(4), input(5)];
    let arity = inputs.len().min(INPUTS);
    #[cfg(target_arch = "x86_64")]
    match path.or_less() {
        // SAFETY: `or_less` gives only what the processor has.
        Path::Avx512 => return unsafe { x86::apply_avx512(table, arity, six, into) },
        // SAFETY: as above.
        Path::Avx2 => return unsafe { x86::apply_avx2(table, arity, six, into) },
        Path::Scalar => {}
    }
    let _ = path;
    *into = apply(table, arity, six);
}

/// A tree of multiplexers whose leaves are functions of the first two inputs.
#[inline(always)]
fn apply<const W: usize>(table: u64, arity: usize, inputs: [&[u64; W]; INPUTS]) -> [u64; W] {
    let [x, y, ..] = inputs;
    match arity {
        0 => [(table & 1).wrapping_neg(); W],
        1 | 2 => leaf(table & 0xf, x, y),
        3 => select(inputs[2], &leaf(table & 0xf, x, y), &leaf(table >> 4 & 0xf, x, y)),
        4 => half(table, inputs),
        5 => select(inputs[4], &half(table, inputs), &half(table >> 16, inputs)),
        _ => {
            let low = select(inputs[4], &half(table, inputs), &half(table >> 16, inputs));
            let high = select(inputs[4], &half(table >> 32, inputs), &half(table >> 48, inputs));
            select(inputs[5], &low, &high)
        }
    }
}

/// Sixteen bits of a table: four inputs.
#[inline(always)]
fn half<const W: usize>(table: u64, inputs: [&[u64; W]; INPUTS]) -> [u64; W] {
    let [x, y, ..] = inputs;
    let leaf = |n: u32| leaf(table >> (4 * n) & 0xf, x, y);
    let low = select(inputs[2], &leaf(0), &leaf(1));
    let high = select(inputs[2], &leaf(2), &leaf(3));
    select(inputs[3], &low, &high)
}

#[inline(always)]
fn select<const W: usize>(by: &[u64; W], low: &[u64; W], high: &[u64; W]) -> [u64; W] {
    core::array::from_fn(|i| low[i] ^ (by[i] & (low[i] ^ high[i])))
}

/// One of the sixteen functions of two inputs.
#[inline(always)]
fn leaf<const W: usize>(nibble: u64, x: &[u64; W], y: &[u64; W]) -> [u64; W] {
    let spread = |b: u32| (nibble >> b & 1).wrapping_neg();
    let (t0, t1, t2, t3) = (spread(0), spread(0) ^ spread(1), spread(2), spread(2) ^ spread(3));
    core::array::from_fn(|i| {
        let low = t0 ^ (x[i] & t1);
        low ^ (y[i] & (low ^ t2 ^ (x[i] & t3)))
    })
}

/// The kernels for x86-64's vector extensions.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::{
        __m256i, _MM_HINT_NTA, _mm_prefetch, _mm256_andnot_si256, _mm256_castsi256_ps,
        _mm256_i32gather_epi32, _mm256_loadu_si256, _mm256_movemask_ps, _mm256_set1_epi32, _mm256_sllv_epi32,
        _mm256_srli_epi32,
    };

    use super::{Chain, FEW, INPUTS, Tables, Wide, apply, each_bit};

    /// # Safety
    /// The processor must have AVX2 and BMI2; each place must have a bit in `bits`.
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    pub unsafe fn decide(
        places: &[u32],
        (count, arity): (usize, usize),
        all: u64,
        chain: &Chain,
        bits: &[u64],
    ) -> u64 {
        chain.apply(all, |slot, open| {
            let places = places.get(slot * count..).and_then(|p| p.get(..count)).unwrap_or(&[]);
            if open.count_ones() <= FEW {
                // SAFETY: the caller vouches for every place.
                return each_bit(open, |j| places.get(j).map_or(0, |&p| unsafe { bit(bits, p) }));
            }
            // The places of the same input of the next block, which are read once and shall not displace bits from caches.
            let next = places.as_ptr().wrapping_add(count * arity);
            for line in 0..count / 16 {
                _mm_prefetch::<_MM_HINT_NTA>(next.wrapping_add(line * 16).cast());
            }
            // SAFETY: what it needs is what this function's caller vouches for.
            unsafe { gather(places, bits) }
        })
    }

    /// Bit `j` of the result is the bit of `bits` at place `j`, for at most 64 places.
    ///
    /// # Safety
    /// The processor must have AVX2 and BMI2; each place must have a bit in `bits`.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    unsafe fn gather(places: &[u32], bits: &[u64]) -> u64 {
        let mut word = 0;
        let (eights, rest) = places.as_chunks::<8>();
        for (chunk, eight) in eights.iter().enumerate() {
            // SAFETY: the caller vouches for every place.
            word |= unsafe { gather_eight(eight, bits) } << (8 * chunk);
        }
        if rest.is_empty() {
            return word;
        }
        // The last eight once more, some of them twice.
        if let Some((before, eight)) = places.split_last_chunk::<8>() {
            // SAFETY: the caller vouches for every place.
            return word | unsafe { gather_eight(eight, bits) } << before.len();
        }
        for (j, &place) in places.iter().enumerate() {
            // SAFETY: the caller vouches for every place.
            word |= unsafe { bit(bits, place) } << j;
        }
        word
    }

    /// # Safety
    /// As [`gather`].
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    unsafe fn gather_eight(eight: &[u32; 8], bits: &[u64]) -> u64 {
        // SAFETY: there are eight places of 32 bits, and loads need no alignment.
        let places = unsafe { _mm256_loadu_si256(eight.as_ptr().cast::<__m256i>()) };
        // SAFETY: the caller vouches for every place's bit, so for the half word around it (x86 is little-endian: bit
        // `p` of the words is bit `p % 32` of half word `p / 32`), whose number is below 2^27, so not negative.
        let halves =
            unsafe { _mm256_i32gather_epi32::<4>(bits.as_ptr().cast(), _mm256_srli_epi32::<5>(places)) };
        // The bit moves to where signs are, which are collected.
        let left = _mm256_andnot_si256(places, _mm256_set1_epi32(31));
        let signs = _mm256_castsi256_ps(_mm256_sllv_epi32(halves, left));
        u64::from(_mm256_movemask_ps(signs) as u32)
    }

    /// # Safety
    /// The place must have a bit in `bits`.
    #[inline(always)]
    unsafe fn bit(bits: &[u64], place: u32) -> u64 {
        // SAFETY: the caller vouches that the word exists.
        unsafe { *bits.get_unchecked(place as usize >> 6) >> (place & 63) & 1 }
    }

    /// # Safety
    /// As [`gather`]; `places` must have `count * arity` elements.
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    pub unsafe fn look_up(
        places: &[u32],
        count: usize,
        arity: usize,
        tables: &Tables<'_>,
        first: usize,
        bits: &[u64],
    ) -> u64 {
        // SAFETY: what each needs is what this function's caller vouches for.
        unsafe {
            match arity {
                1 => look_up_arity::<1>(places, count, tables, first, bits),
                2 => look_up_arity::<2>(places, count, tables, first, bits),
                3 => look_up_arity::<3>(places, count, tables, first, bits),
                4 => look_up_arity::<4>(places, count, tables, first, bits),
                5 => look_up_arity::<5>(places, count, tables, first, bits),
                INPUTS => look_up_arity::<6>(places, count, tables, first, bits),
                _ => look_up_arity::<0>(places, count, tables, first, bits),
            }
        }
    }

    /// # Safety
    /// As [`look_up`], with the arity `K`.
    #[inline(always)]
    unsafe fn look_up_arity<const K: usize>(
        places: &[u32],
        count: usize,
        tables: &Tables<'_>,
        first: usize,
        bits: &[u64],
    ) -> u64 {
        let index = |j: usize| {
            let mut index = 0;
            for d in (0..K).rev() {
                // SAFETY: `j < count`, so the place is among `count * K`; the caller vouches for its bit.
                index = index << 1 | unsafe { bit(bits, *places.get_unchecked(d * count + j)) };
            }
            index
        };
        // The kind of table is looked at once, not once a node.
        let mut word = 0;
        match tables {
            Tables::Bytes(codes, tables) => {
                for (j, &code) in codes.get(first..).unwrap_or(&[]).iter().take(count).enumerate() {
                    word |= (tables[usize::from(code)] >> index(j) & 1) << j;
                }
            }
            Tables::Words(codes, tables) => {
                for (j, &code) in codes.get(first..).unwrap_or(&[]).iter().take(count).enumerate() {
                    let table = tables.get(usize::from(code)).copied().unwrap_or(0);
                    word |= (table >> index(j) & 1) << j;
                }
            }
            Tables::Own(tables) => {
                for (j, &table) in tables.get(first..).unwrap_or(&[]).iter().take(count).enumerate() {
                    word |= (table >> index(j) & 1) << j;
                }
            }
        }
        word
    }

    /// # Safety
    /// The processor must have AVX2.
    #[target_feature(enable = "avx2")]
    pub unsafe fn apply_avx2(table: u64, arity: usize, inputs: [&Wide; INPUTS], into: &mut Wide) {
        *into = apply(table, arity, inputs);
    }

    /// # Safety
    /// The processor must have AVX-512 F.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn apply_avx512(table: u64, arity: usize, inputs: [&Wide; INPUTS], into: &mut Wide) {
        *into = apply(table, arity, inputs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn oracle(table: u64, inputs: &[bool]) -> bool {
        let index: u32 = inputs.iter().enumerate().map(|(d, &b)| u32::from(b) << d).sum();
        table >> index & 1 == 1
    }

    fn get(bits: &[u64], place: usize) -> bool {
        bits[place / 64] >> (place % 64) & 1 == 1
    }

    #[test]
    fn what_is_not_there_reads_as_zero() {
        let wires = Wires::new(vec![0, 5, 64]).unwrap();
        let copy = Chain::new(2, 1);
        for path in Path::ALL {
            assert_eq!(wires.decide(path, (0, 3, 1), &copy, &[!0, !0]), 7);
            assert_eq!(wires.decide(path, (0, 3, 1), &copy, &[!0]), 0, "a place has no bit");
            assert_eq!(wires.decide(path, (1, 3, 1), &copy, &[!0, !0]), 0, "there are three places only");
            assert_eq!(wires.decide(path, (usize::MAX, 3, 1), &copy, &[!0, !0]), 0);
        }
        assert!(Wires::new(vec![u32::MAX]).is_none());
    }

    proptest! {
        #[test]
        fn every_path_agrees_with_single_bits(
            bits in proptest::collection::vec(any::<u64>(), 1..40),
            seed in proptest::collection::vec(any::<u32>(), 6 * 64),
            tables in proptest::collection::vec(any::<u64>(), 64),
            count in 0usize..=64,
            arity in 0usize..=6,
        ) {
            let places: Vec<u32> = seed.iter().map(|s| s % (bits.len() as u32 * 64)).collect();
            let wires = Wires::new(places.clone()).unwrap();
            let mut few = [0; 256];
            few[..64].copy_from_slice(&tables);
            let bytes: Vec<u8> = (0..64).rev().collect();
            let words: Vec<u16> = (0..64).rev().collect();
            for path in Path::ALL {
                let own = wires.look_up(path, (0, count, arity), &Tables::Own(&tables), 0, &bits);
                let byte = wires.look_up(path, (0, count, arity), &Tables::Bytes(&bytes, &few), 0, &bits);
                let word = wires.look_up(path, (0, count, arity), &Tables::Words(&words, &tables), 0, &bits);
                prop_assert_eq!(byte, word);
                // One with decisions, one without, as a rule.
                let same = [!1, tables[0]].map(|t| wires.decide(path, (0, count, arity), &Chain::new(t, arity), &bits));
                for j in 0..64 {
                    let inputs: Vec<bool> =
                        (0..arity).map(|d| j < count && get(&bits, places[d * count + j] as usize)).collect();
                    prop_assert_eq!(own >> j & 1 == 1, j < count && oracle(tables[j], &inputs));
                    prop_assert_eq!(byte >> j & 1 == 1, j < count && oracle(tables[63 - j], &inputs));
                    prop_assert_eq!(same[0] >> j & 1 == 1, j < count && oracle(!1, &inputs));
                    prop_assert_eq!(same[1] >> j & 1 == 1, j < count && oracle(tables[0], &inputs));
                }
            }
        }

        #[test]
        fn wide_words_are_eight_words(
            table in any::<u64>(),
            inputs in proptest::collection::vec(any::<[u64; 8]>(), 0..=6),
        ) {
            let given: Vec<&Wide> = inputs.iter().collect();
            for path in Path::ALL {
                let mut out = [0; 8];
                combine_wide(path, table, &given, &mut out);
                for (i, &word) in out.iter().enumerate() {
                    let column: Vec<u64> = inputs.iter().map(|x| x[i]).collect();
                    prop_assert_eq!(word, combine(table, &column));
                }
            }
        }
    }
}

//! Bits in slices of words.

/// The bit at `place`; 0 beyond the end.
#[inline]
pub fn get(bits: &[u64], place: u32) -> bool {
    bits.get(place as usize >> 6).is_some_and(|w| w >> (place & 63) & 1 == 1)
}

/// Sets the bit at `place`; says whether that changed it.
#[inline]
pub fn set(bits: &mut [u64], place: u32, value: bool) -> bool {
    let Some(word) = bits.get_mut(place as usize >> 6) else { return false };
    let mask = 1 << (place & 63);
    let changed = (*word & mask != 0) != value;
    if changed {
        *word ^= mask;
    }
    changed
}

/// The lowest `count <= 64` bits.
#[inline]
pub const fn low(count: usize) -> u64 {
    if count >= 64 { !0 } else { (1 << count) - 1 }
}

/// Writes the lowest `count <= 64` bits of `word` to the places from `first` on.
#[inline]
pub fn put(bits: &mut [u64], first: usize, count: usize, word: u64) {
    let (at, shift) = (first >> 6, first & 63);
    let mask = low(count);
    let word = word & mask;
    if let Some(w) = bits.get_mut(at) {
        *w = *w & !(mask << shift) | word << shift;
    }
    if shift + count > 64
        && let Some(w) = bits.get_mut(at + 1)
    {
        *w = *w & !(mask >> (64 - shift)) | word >> (64 - shift);
    }
}

/// Words that hold `places` bits.
pub const fn words(places: usize) -> usize {
    places.div_ceil(64)
}

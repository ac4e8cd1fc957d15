//! What tells a record from anything else that may lie in its place.

use core::hash::Hasher;

use kernel_simd::crc32c;
use twox_hash::XxHash64;

use crate::HEADER;

/// Bodies from here on count by their digest: most bytes of the log are images of pages.
const LONG: usize = 256;

/// The checksum of a body, which lies in pieces; goes into [`of_record`].
pub(crate) fn of_body(salt: u32, parts: &[&[u8]]) -> u32 {
    if parts.iter().map(|p| p.len()).sum::<usize>() < LONG {
        return parts.iter().fold(salt, |crc, p| crc32c::extend(crc, p));
    }
    let mut digest = XxHash64::with_seed(u64::from(salt));
    for p in parts {
        digest.write(p);
    }
    crc32c::extend(salt, &digest.finish().to_le_bytes())
}

/// The checksum of a record; the header's own field for it does not count.
pub(crate) fn of_record(body: u32, header: &[u8; HEADER]) -> u32 {
    crc32c::extend(crc32c::extend(body, &header[8..]), &header[..4])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn pieces_do_not_matter_but_every_byte_does() {
        for len in [0, 1, LONG - 1, LONG, LONG + 1, 8300] {
            let mut body = vec![7; len];
            let whole = of_body(9, &[&body]);
            let (a, b) = body.split_at(len / 3);
            assert_eq!(of_body(9, &[a, &[], b]), whole);
            assert_ne!(of_body(10, &[&body]), whole);
            for at in [0, len / 2, len.saturating_sub(1)] {
                if at < len {
                    body[at] ^= 1;
                    assert_ne!(of_body(9, &[&body]), whole, "byte {at} of {len}");
                    body[at] ^= 1;
                }
            }
        }
    }
}

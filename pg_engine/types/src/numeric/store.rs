//! The stored form: compact, private to the storage.
//!
//! First byte: 0 to 3 for NaN, the infinities and long numbers, else scale + 4 of an inline mantissa (scales above 251
//! take the long form), which follows in as few little-endian bytes as hold it. The long form continues with the binary
//! wire format.

use alloc::vec::Vec;

use super::{Class, Numeric};

const NAN: u8 = 0;
const INFINITY: u8 = 1;
const NEG_INFINITY: u8 = 2;
const LONG: u8 = 3;
const FIRST_SCALE: u8 = 4;

impl Numeric {
    /// Appends the stored form.
    pub(crate) fn store(&self, out: &mut Vec<u8>) {
        match self.class() {
            Class::NaN => out.push(NAN),
            Class::Infinity => out.push(INFINITY),
            Class::NegInfinity => out.push(NEG_INFINITY),
            Class::Small(mantissa, scale) if scale <= u32::from(u8::MAX - FIRST_SCALE) => {
                out.push(scale as u8 + FIRST_SCALE);
                // Bits that matter, sign included, in bytes; zero takes none.
                let bits = 65 - (mantissa ^ (mantissa >> 63)).leading_zeros();
                let len = if mantissa == 0 { 0 } else { bits.div_ceil(8) as usize };
                out.extend_from_slice(&mantissa.to_le_bytes()[..len]);
            }
            Class::Small(..) | Class::Big(_) => {
                out.push(LONG);
                self.send(out);
            }
        }
    }
    /// Reads the stored form; `None` when malformed.
    pub(crate) fn load(bytes: &[u8]) -> Option<Self> {
        let (&tag, rest) = bytes.split_first()?;
        match tag {
            NAN | INFINITY | NEG_INFINITY if !rest.is_empty() => None,
            NAN => Some(Self::NAN),
            INFINITY => Some(Self::INFINITY),
            NEG_INFINITY => Some(Self::NEG_INFINITY),
            LONG => Self::receive(rest).ok().filter(Self::is_finite),
            // What amounts have, without a detour through slices of unknown length.
            _ if rest.len() <= 4 => {
                let mantissa = match *rest {
                    [] => 0,
                    [a] => i32::from(a as i8),
                    [a, b] => i32::from(i16::from_le_bytes([a, b])),
                    [a, b, c] => i32::from_le_bytes([0, a, b, c]) >> 8,
                    [a, b, c, d, ..] => i32::from_le_bytes([a, b, c, d]),
                };
                Some(Self::inline(mantissa.into(), tag - FIRST_SCALE))
            }
            _ => {
                let fill = if rest.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
                let mut word = [fill; 8];
                word.get_mut(..rest.len())?.copy_from_slice(rest);
                Some(Self::new(i64::from_le_bytes(word).into(), u32::from(tag - FIRST_SCALE)))
            }
        }
    }
}

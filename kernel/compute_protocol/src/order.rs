//! Kinds of column and the order of their values.

/// What the elements of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// 32-bit integers.
    I32 = 1,
    /// 64-bit integers.
    I64 = 2,
    /// Single precision.
    F32 = 3,
    /// Double precision.
    F64 = 4,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::I32, Self::I64, Self::F32, Self::F64];

    /// The kind of a number in a message.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::I32),
            2 => Some(Self::I64),
            3 => Some(Self::F32),
            4 => Some(Self::F64),
            _ => None,
        }
    }

    /// Bytes of an element.
    pub const fn width(self) -> u64 {
        match self {
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    /// Whether elements are floating-point numbers.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// The highest key of the kind.
    pub const fn last(self) -> u64 {
        if self.width() == 4 { u32::MAX as u64 } else { u64::MAX }
    }

    /// The key of an element that is given as its bits: keys compare as the elements do.
    pub fn key(self, bits: u64) -> u64 {
        match self {
            Self::I32 => u64::from(bits as u32 ^ 1 << 31),
            Self::I64 => bits ^ 1 << 63,
            Self::F32 => u64::from(key_f32(f32::from_bits(bits as u32))),
            Self::F64 => key_f64(f64::from_bits(bits)),
        }
    }

    /// The bits of the element with this key; zeros and NaNs come back as one of each.
    pub fn bits(self, key: u64) -> u64 {
        match self {
            Self::I32 => u64::from(key as u32 ^ 1 << 31),
            Self::I64 => key ^ 1 << 63,
            Self::F32 => {
                let key = key as u32;
                u64::from(if key >> 31 == 1 { key ^ 1 << 31 } else { !key })
            }
            Self::F64 => {
                if key >> 63 == 1 {
                    key ^ 1 << 63
                } else {
                    !key
                }
            }
        }
    }
}

/// The key of a number in single precision: NaN is above all, the zeros are one.
#[inline]
pub fn key_f32(x: f32) -> u32 {
    const NAN: u32 = 0x7fc0_0000 | 1 << 31;
    let bits = x.to_bits();
    if bits << 1 > 0xff00_0000 {
        NAN
    } else if bits << 1 == 0 || bits >> 31 == 0 {
        bits | 1 << 31
    } else {
        !bits
    }
}

/// The key of a number in double precision.
#[inline]
pub fn key_f64(x: f64) -> u64 {
    const NAN: u64 = 0x7ff8 << 48 | 1 << 63;
    let bits = x.to_bits();
    if bits << 1 > 0xffe0 << 48 {
        NAN
    } else if bits << 1 == 0 || bits >> 63 == 0 {
        bits | 1 << 63
    } else {
        !bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_order_as_values(a: f64, b: f64, i: i64, j: i64) {
            prop_assert_eq!(key_f64(a).cmp(&key_f64(b)), a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())));
            let (x, y) = (a as f32, b as f32);
            prop_assert_eq!(key_f32(x).cmp(&key_f32(y)), x.partial_cmp(&y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan())));
            prop_assert_eq!(Kind::I64.key(i as u64).cmp(&Kind::I64.key(j as u64)), i.cmp(&j));
            let (i, j) = (i as i32, j as i32);
            prop_assert_eq!(Kind::I32.key(u64::from(i as u32)).cmp(&Kind::I32.key(u64::from(j as u32))), i.cmp(&j));
        }

        #[test]
        fn keys_give_values_back(bits: u64) {
            for kind in Kind::ALL {
                let bits = bits & kind.last();
                let key = kind.key(bits);
                prop_assert!(key <= kind.last());
                prop_assert_eq!(kind.key(kind.bits(key)), key);
            }
        }
    }

    #[test]
    fn special_values() {
        assert_eq!(key_f32(0.0), key_f32(-0.0));
        assert_eq!(key_f64(0.0), key_f64(-0.0));
        assert!(key_f32(f32::NAN) > key_f32(f32::INFINITY));
        assert!(key_f64(-f64::NAN) > key_f64(f64::INFINITY));
        assert_eq!(key_f32(f32::NAN), key_f32(f32::from_bits(0xffff_ffff)));
        assert!(key_f32(f32::NEG_INFINITY) < key_f32(f32::MIN));
    }
}

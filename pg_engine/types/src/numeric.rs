//! NUMERIC: exact decimal numbers of up to 131,072 digits before and 16,383 after the point.

/// An exact decimal with a display scale, or NaN or an infinity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numeric {
    /// Base-10,000 digits, most significant first.
    digits: alloc::vec::Vec<u16>,
}

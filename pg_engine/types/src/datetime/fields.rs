//! Bits of an interval type's modifier.

/// year
pub const YEAR: i32 = 1 << 2;
/// month
pub const MONTH: i32 = 1 << 1;
/// day
pub const DAY: i32 = 1 << 3;
/// hour
pub const HOUR: i32 = 1 << 10;
/// minute
pub const MINUTE: i32 = 1 << 11;
/// second
pub const SECOND: i32 = 1 << 12;
/// All fields: no restriction.
pub const FULL_RANGE: i32 = 0x7fff;
/// No restriction on the decimals of seconds.
pub const FULL_PRECISION: i32 = 0xffff;

/// The modifier of `interval FIELDS(precision)`.
pub const fn interval_typmod(range: i32, precision: i32) -> i32 {
    (range & FULL_RANGE) << 16 | precision & FULL_PRECISION
}

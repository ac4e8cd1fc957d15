//! int2, int4, int8 and oid: arithmetic with overflow checks, bits, conversions between them.

use pg_types::{Result, SqlError, oid::*};

use crate::{
    call::row,
    def::Function,
    errors::{division_by_zero, int2_range, int4_range, int8_range, oid_range},
    kernel::{try1, try2, vec1, vec2},
    table::def,
};

/// Division as SQL has it; the flag says that it failed.
trait Divide: Sized {
    fn quotient(a: Self, b: Self) -> (Self, bool);
    fn remainder(a: Self, b: Self) -> (Self, bool);
}

macro_rules! divide {
    ($($t:ty)*) => {$(
        impl Divide for $t {
            #[inline]
            fn quotient(a: Self, b: Self) -> (Self, bool) {
                match a.checked_div(b) {
                    Some(q) => (q, false),
                    None => (0, true),
                }
            }
            #[inline]
            fn remainder(a: Self, b: Self) -> (Self, bool) {
                // The smallest value modulo -1 is 0, though the division would overflow.
                if b == 0 { (0, true) } else { (a.wrapping_rem(b), false) }
            }
        }
    )*};
}
divide!(i16 i32 i64);

/// Why a division failed: the divisor was zero, or the smallest value was divided by -1.
#[cold]
fn division_error(zero: bool, range: fn() -> SqlError) -> SqlError {
    if zero { division_by_zero() } else { range() }
}

/// Greatest common divisor and least common multiple, never negative.
trait Divisors: Sized {
    fn gcd(a: Self, b: Self) -> Result<Self>;
    fn lcm(a: Self, b: Self) -> Result<Self>;
}

macro_rules! divisors {
    ($($t:ty, $u:ty, $range:ident;)*) => {$(
        impl Divisors for $t {
            fn gcd(a: Self, b: Self) -> Result<Self> {
                let (mut x, mut y) = (a.unsigned_abs(), b.unsigned_abs());
                while y != 0 {
                    (x, y) = (y, x % y);
                }
                Self::try_from(x).map_err(|_| $range())
            }
            fn lcm(a: Self, b: Self) -> Result<Self> {
                if a == 0 || b == 0 {
                    return Ok(0);
                }
                let (mut x, mut y) = (a.unsigned_abs(), b.unsigned_abs());
                while y != 0 {
                    (x, y) = (y, x % y);
                }
                let product = (a.unsigned_abs() / x).checked_mul(b.unsigned_abs());
                product.and_then(|p| Self::try_from(p).ok()).ok_or_else($range)
            }
        }
    )*};
}
divisors! {
    i32, u32, int4_range;
    i64, u64, int8_range;
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(176, "int2pl", &[INT2, INT2], INT2).imp(try2!(|a: i16, b: i16| -> i16, INT2, |_, _| int2_range(); a.overflowing_add(b))),
    def(180, "int2mi", &[INT2, INT2], INT2).imp(try2!(|a: i16, b: i16| -> i16, INT2, |_, _| int2_range(); a.overflowing_sub(b))),
    def(152, "int2mul", &[INT2, INT2], INT2).imp(try2!(|a: i16, b: i16| -> i16, INT2, |_, _| int2_range(); a.overflowing_mul(b))),
    def(153, "int2div", &[INT2, INT2], INT2).imp(try2!(|a: i16, b: i16| -> i16, INT2, |_, b| division_error(b == 0, int2_range); i16::quotient(a, b))),
    def(177, "int4pl", &[INT4, INT4], INT4).imp(try2!(|a: i32, b: i32| -> i32, INT4, |_, _| int4_range(); a.overflowing_add(b))),
    def(181, "int4mi", &[INT4, INT4], INT4).imp(try2!(|a: i32, b: i32| -> i32, INT4, |_, _| int4_range(); a.overflowing_sub(b))),
    def(141, "int4mul", &[INT4, INT4], INT4).imp(try2!(|a: i32, b: i32| -> i32, INT4, |_, _| int4_range(); a.overflowing_mul(b))),
    def(154, "int4div", &[INT4, INT4], INT4).imp(try2!(|a: i32, b: i32| -> i32, INT4, |_, b| division_error(b == 0, int4_range); i32::quotient(a, b))),
    def(463, "int8pl", &[INT8, INT8], INT8).imp(try2!(|a: i64, b: i64| -> i64, INT8, |_, _| int8_range(); a.overflowing_add(b))),
    def(464, "int8mi", &[INT8, INT8], INT8).imp(try2!(|a: i64, b: i64| -> i64, INT8, |_, _| int8_range(); a.overflowing_sub(b))),
    def(465, "int8mul", &[INT8, INT8], INT8).imp(try2!(|a: i64, b: i64| -> i64, INT8, |_, _| int8_range(); a.overflowing_mul(b))),
    def(466, "int8div", &[INT8, INT8], INT8).imp(try2!(|a: i64, b: i64| -> i64, INT8, |_, b| division_error(b == 0, int8_range); i64::quotient(a, b))),
    def(178, "int24pl", &[INT2, INT4], INT4).imp(try2!(|a: i16, b: i32| -> i32, INT4, |_, _| int4_range(); i32::from(a).overflowing_add(b))),
    def(182, "int24mi", &[INT2, INT4], INT4).imp(try2!(|a: i16, b: i32| -> i32, INT4, |_, _| int4_range(); i32::from(a).overflowing_sub(b))),
    def(170, "int24mul", &[INT2, INT4], INT4).imp(try2!(|a: i16, b: i32| -> i32, INT4, |_, _| int4_range(); i32::from(a).overflowing_mul(b))),
    def(172, "int24div", &[INT2, INT4], INT4).imp(try2!(|a: i16, b: i32| -> i32, INT4, |_, b| division_error(b == 0, int4_range); i32::quotient(i32::from(a), b))),
    def(179, "int42pl", &[INT4, INT2], INT4).imp(try2!(|a: i32, b: i16| -> i32, INT4, |_, _| int4_range(); a.overflowing_add(i32::from(b)))),
    def(183, "int42mi", &[INT4, INT2], INT4).imp(try2!(|a: i32, b: i16| -> i32, INT4, |_, _| int4_range(); a.overflowing_sub(i32::from(b)))),
    def(171, "int42mul", &[INT4, INT2], INT4).imp(try2!(|a: i32, b: i16| -> i32, INT4, |_, _| int4_range(); a.overflowing_mul(i32::from(b)))),
    def(173, "int42div", &[INT4, INT2], INT4).imp(try2!(|a: i32, b: i16| -> i32, INT4, |_, b| division_error(b == 0, int4_range); i32::quotient(a, i32::from(b)))),
    def(841, "int28pl", &[INT2, INT8], INT8).imp(try2!(|a: i16, b: i64| -> i64, INT8, |_, _| int8_range(); i64::from(a).overflowing_add(b))),
    def(942, "int28mi", &[INT2, INT8], INT8).imp(try2!(|a: i16, b: i64| -> i64, INT8, |_, _| int8_range(); i64::from(a).overflowing_sub(b))),
    def(943, "int28mul", &[INT2, INT8], INT8).imp(try2!(|a: i16, b: i64| -> i64, INT8, |_, _| int8_range(); i64::from(a).overflowing_mul(b))),
    def(948, "int28div", &[INT2, INT8], INT8).imp(try2!(|a: i16, b: i64| -> i64, INT8, |_, b| division_error(b == 0, int8_range); i64::quotient(i64::from(a), b))),
    def(837, "int82pl", &[INT8, INT2], INT8).imp(try2!(|a: i64, b: i16| -> i64, INT8, |_, _| int8_range(); a.overflowing_add(i64::from(b)))),
    def(838, "int82mi", &[INT8, INT2], INT8).imp(try2!(|a: i64, b: i16| -> i64, INT8, |_, _| int8_range(); a.overflowing_sub(i64::from(b)))),
    def(839, "int82mul", &[INT8, INT2], INT8).imp(try2!(|a: i64, b: i16| -> i64, INT8, |_, _| int8_range(); a.overflowing_mul(i64::from(b)))),
    def(840, "int82div", &[INT8, INT2], INT8).imp(try2!(|a: i64, b: i16| -> i64, INT8, |_, b| division_error(b == 0, int8_range); i64::quotient(a, i64::from(b)))),
    def(1278, "int48pl", &[INT4, INT8], INT8).imp(try2!(|a: i32, b: i64| -> i64, INT8, |_, _| int8_range(); i64::from(a).overflowing_add(b))),
    def(1279, "int48mi", &[INT4, INT8], INT8).imp(try2!(|a: i32, b: i64| -> i64, INT8, |_, _| int8_range(); i64::from(a).overflowing_sub(b))),
    def(1280, "int48mul", &[INT4, INT8], INT8).imp(try2!(|a: i32, b: i64| -> i64, INT8, |_, _| int8_range(); i64::from(a).overflowing_mul(b))),
    def(1281, "int48div", &[INT4, INT8], INT8).imp(try2!(|a: i32, b: i64| -> i64, INT8, |_, b| division_error(b == 0, int8_range); i64::quotient(i64::from(a), b))),
    def(1274, "int84pl", &[INT8, INT4], INT8).imp(try2!(|a: i64, b: i32| -> i64, INT8, |_, _| int8_range(); a.overflowing_add(i64::from(b)))),
    def(1275, "int84mi", &[INT8, INT4], INT8).imp(try2!(|a: i64, b: i32| -> i64, INT8, |_, _| int8_range(); a.overflowing_sub(i64::from(b)))),
    def(1276, "int84mul", &[INT8, INT4], INT8).imp(try2!(|a: i64, b: i32| -> i64, INT8, |_, _| int8_range(); a.overflowing_mul(i64::from(b)))),
    def(1277, "int84div", &[INT8, INT4], INT8).imp(try2!(|a: i64, b: i32| -> i64, INT8, |_, b| division_error(b == 0, int8_range); i64::quotient(a, i64::from(b)))),
    def(155, "int2mod", &[INT2, INT2], INT2).imp(try2!(|a: i16, b: i16| -> i16, INT2, |_, _| division_by_zero(); i16::remainder(a, b))),
    def(940, "mod", &[INT2, INT2], INT2).imp(try2!(|a: i16, b: i16| -> i16, INT2, |_, _| division_by_zero(); i16::remainder(a, b))),
    def(213, "int2um", &[INT2], INT2).imp(try1!(|a: i16| -> i16, INT2, int2_range; a.overflowing_neg())),
    def(1911, "int2up", &[INT2], INT2).imp(vec1!(|a: i16| -> i16, INT2; a)),
    def(1253, "int2abs", &[INT2], INT2).imp(try1!(|a: i16| -> i16, INT2, int2_range; a.overflowing_abs())),
    def(1398, "abs", &[INT2], INT2).imp(try1!(|a: i16| -> i16, INT2, int2_range; a.overflowing_abs())),
    def(1892, "int2and", &[INT2, INT2], INT2).imp(vec2!(|a: i16, b: i16| -> i16, INT2; a & b)),
    def(1893, "int2or", &[INT2, INT2], INT2).imp(vec2!(|a: i16, b: i16| -> i16, INT2; a | b)),
    def(1894, "int2xor", &[INT2, INT2], INT2).imp(vec2!(|a: i16, b: i16| -> i16, INT2; a ^ b)),
    def(1895, "int2not", &[INT2], INT2).imp(vec1!(|a: i16| -> i16, INT2; !a)),
    def(1896, "int2shl", &[INT2, INT4], INT2).imp(vec2!(|a: i16, b: i32| -> i16, INT2; i32::from(a).wrapping_shl(b.cast_unsigned()) as i16)),
    def(1897, "int2shr", &[INT2, INT4], INT2).imp(vec2!(|a: i16, b: i32| -> i16, INT2; i32::from(a).wrapping_shr(b.cast_unsigned()) as i16)),
    def(156, "int4mod", &[INT4, INT4], INT4).imp(try2!(|a: i32, b: i32| -> i32, INT4, |_, _| division_by_zero(); i32::remainder(a, b))),
    def(941, "mod", &[INT4, INT4], INT4).imp(try2!(|a: i32, b: i32| -> i32, INT4, |_, _| division_by_zero(); i32::remainder(a, b))),
    def(212, "int4um", &[INT4], INT4).imp(try1!(|a: i32| -> i32, INT4, int4_range; a.overflowing_neg())),
    def(1912, "int4up", &[INT4], INT4).imp(vec1!(|a: i32| -> i32, INT4; a)),
    def(1251, "int4abs", &[INT4], INT4).imp(try1!(|a: i32| -> i32, INT4, int4_range; a.overflowing_abs())),
    def(1397, "abs", &[INT4], INT4).imp(try1!(|a: i32| -> i32, INT4, int4_range; a.overflowing_abs())),
    def(1898, "int4and", &[INT4, INT4], INT4).imp(vec2!(|a: i32, b: i32| -> i32, INT4; a & b)),
    def(1899, "int4or", &[INT4, INT4], INT4).imp(vec2!(|a: i32, b: i32| -> i32, INT4; a | b)),
    def(1900, "int4xor", &[INT4, INT4], INT4).imp(vec2!(|a: i32, b: i32| -> i32, INT4; a ^ b)),
    def(1901, "int4not", &[INT4], INT4).imp(vec1!(|a: i32| -> i32, INT4; !a)),
    def(1902, "int4shl", &[INT4, INT4], INT4).imp(vec2!(|a: i32, b: i32| -> i32, INT4; a.wrapping_shl(b.cast_unsigned()))),
    def(1903, "int4shr", &[INT4, INT4], INT4).imp(vec2!(|a: i32, b: i32| -> i32, INT4; a.wrapping_shr(b.cast_unsigned()))),
    def(5044, "gcd", &[INT4, INT4], INT4).imp(row!(|a: i32, b: i32| i32::gcd(a, b)?)),
    def(5046, "lcm", &[INT4, INT4], INT4).imp(row!(|a: i32, b: i32| i32::lcm(a, b)?)),
    def(945, "int8mod", &[INT8, INT8], INT8).imp(try2!(|a: i64, b: i64| -> i64, INT8, |_, _| division_by_zero(); i64::remainder(a, b))),
    def(947, "mod", &[INT8, INT8], INT8).imp(try2!(|a: i64, b: i64| -> i64, INT8, |_, _| division_by_zero(); i64::remainder(a, b))),
    def(462, "int8um", &[INT8], INT8).imp(try1!(|a: i64| -> i64, INT8, int8_range; a.overflowing_neg())),
    def(1910, "int8up", &[INT8], INT8).imp(vec1!(|a: i64| -> i64, INT8; a)),
    def(1230, "int8abs", &[INT8], INT8).imp(try1!(|a: i64| -> i64, INT8, int8_range; a.overflowing_abs())),
    def(1396, "abs", &[INT8], INT8).imp(try1!(|a: i64| -> i64, INT8, int8_range; a.overflowing_abs())),
    def(1904, "int8and", &[INT8, INT8], INT8).imp(vec2!(|a: i64, b: i64| -> i64, INT8; a & b)),
    def(1905, "int8or", &[INT8, INT8], INT8).imp(vec2!(|a: i64, b: i64| -> i64, INT8; a | b)),
    def(1906, "int8xor", &[INT8, INT8], INT8).imp(vec2!(|a: i64, b: i64| -> i64, INT8; a ^ b)),
    def(1907, "int8not", &[INT8], INT8).imp(vec1!(|a: i64| -> i64, INT8; !a)),
    def(1908, "int8shl", &[INT8, INT4], INT8).imp(vec2!(|a: i64, b: i32| -> i64, INT8; a.wrapping_shl(b.cast_unsigned()))),
    def(1909, "int8shr", &[INT8, INT4], INT8).imp(vec2!(|a: i64, b: i32| -> i64, INT8; a.wrapping_shr(b.cast_unsigned()))),
    def(5045, "gcd", &[INT8, INT8], INT8).imp(row!(|a: i64, b: i64| i64::gcd(a, b)?)),
    def(5047, "lcm", &[INT8, INT8], INT8).imp(row!(|a: i64, b: i64| i64::lcm(a, b)?)),
    def(313, "int4", &[INT2], INT4).imp(vec1!(|a: i16| -> i32, INT4; i32::from(a))),
    def(754, "int8", &[INT2], INT8).imp(vec1!(|a: i16| -> i64, INT8; i64::from(a))),
    def(314, "int2", &[INT4], INT2).imp(try1!(|a: i32| -> i16, INT2, int2_range; (a as i16, i16::try_from(a).is_err()))),
    def(481, "int8", &[INT4], INT8).imp(vec1!(|a: i32| -> i64, INT8; i64::from(a))),
    def(714, "int2", &[INT8], INT2).imp(try1!(|a: i64| -> i16, INT2, int2_range; (a as i16, i16::try_from(a).is_err()))),
    def(480, "int4", &[INT8], INT4).imp(try1!(|a: i64| -> i32, INT4, int4_range; (a as i32, i32::try_from(a).is_err()))),
    def(1219, "int8inc", &[INT8], INT8).imp(try1!(|a: i64| -> i64, INT8, int8_range; a.overflowing_add(1))),
    def(3546, "int8dec", &[INT8], INT8).imp(try1!(|a: i64| -> i64, INT8, int8_range; a.overflowing_sub(1))),
    def(1287, "oid", &[INT8], OID).imp(try1!(|a: i64| -> u32, OID, oid_range; (a as u32, u32::try_from(a).is_err()))),
    def(1288, "int8", &[OID], INT8).imp(vec1!(|a: u32| -> i64, INT8; i64::from(a))),
    def(2558, "int4", &[BOOL], INT4).imp(vec1!(|a: bool| -> i32, INT4; i32::from(a))),
    def(2557, "bool", &[INT4], BOOL).imp(vec1!(|a: i32| -> bool, BOOL; a != 0)),
    def(77, "int4", &[CHAR], INT4).imp(row!(|a: u8| i32::from(a.cast_signed()))),
    def(78, "char", &[INT4], CHAR).imp(row!(|a: i32| i8::try_from(a)
        .map_err(|_| crate::errors::out_of_range("\"char\""))?
        .cast_unsigned())),
];

//! `inet`, `cidr`, `macaddr` and `macaddr8`.

use pg_types::{Result, SqlError, SqlState, Value, network::Inet, oid::*};

use crate::{
    call::{Arg, Ret, mismatch, row},
    def::Function,
    errors::invalid,
    table::def,
};

impl<'a> Arg<'a> for Inet {
    fn arg(value: &'a Value) -> Result<Self> {
        match value {
            Value::Inet(i) => Ok(*i),
            _ => Err(mismatch()),
        }
    }
}

impl Ret for Inet {
    fn ret(self) -> Result<Value> {
        Ok(Value::Inet(self))
    }
}

impl<'a> Arg<'a> for [u8; 6] {
    fn arg(value: &'a Value) -> Result<Self> {
        match value {
            Value::MacAddr(m) => Ok(*m),
            _ => Err(mismatch()),
        }
    }
}

impl Ret for [u8; 6] {
    fn ret(self) -> Result<Value> {
        Ok(Value::MacAddr(self))
    }
}

impl<'a> Arg<'a> for [u8; 8] {
    fn arg(value: &'a Value) -> Result<Self> {
        match value {
            Value::MacAddr8(m) => Ok(*m),
            _ => Err(mismatch()),
        }
    }
}

impl Ret for [u8; 8] {
    fn ret(self) -> Result<Value> {
        Ok(Value::MacAddr8(self))
    }
}

/// Byte by byte over the bytes that the family has.
fn bytewise(a: Inet, f: impl Fn(usize, u8) -> u8) -> Inet {
    let used = a.bytes().len();
    let mut out = a;
    out.address.iter_mut().enumerate().take(used).for_each(|(i, b)| *b = f(i, *b));
    out
}

fn byte(bytes: &[u8], i: usize) -> u8 {
    bytes.get(i).copied().unwrap_or(0)
}

fn broadcast(a: Inet) -> Inet {
    let mask = a.mask();
    Inet { cidr: false, ..bytewise(a, |i, b| b | !byte(&mask, i)) }
}

fn netmask(a: Inet) -> Inet {
    let mask = a.mask();
    Inet { cidr: false, bits: a.max_bits(), ..bytewise(a, |i, _| byte(&mask, i)) }
}

fn hostmask(a: Inet) -> Inet {
    let mask = a.mask();
    Inet { cidr: false, bits: a.max_bits(), ..bytewise(a, |i, _| !byte(&mask, i)) }
}

fn network(a: Inet) -> Inet {
    Inet { cidr: true, address: a.network(), ..a }
}

/// The bytes of a network that say something, and the prefix.
fn abbreviated_cidr(a: Inet) -> alloc::string::String {
    if a.v6 {
        return a.shown(true);
    }
    let count = usize::from(a.bits).div_ceil(8).max(1);
    let bytes = a.bytes().iter().take(count).map(alloc::string::ToString::to_string);
    alloc::format!("{}/{}", bytes.collect::<alloc::vec::Vec<_>>().join("."), a.bits)
}

fn set_length(a: Inet, bits: i32, cidr: bool) -> Result<Inet> {
    let bits = if bits == -1 { i32::from(a.max_bits()) } else { bits };
    match u8::try_from(bits) {
        Ok(bits) if bits <= a.max_bits() => {
            let set = Inet { bits, cidr, ..a };
            Ok(if cidr { network(set) } else { set })
        }
        _ => Err(invalid(alloc::format!("invalid mask length: {bits}"))),
    }
}

fn sizes_differ(what: &str) -> SqlError {
    invalid(alloc::format!("cannot {what} inet values of different sizes"))
}

fn combine(a: Inet, b: Inet, what: &str, f: impl Fn(u8, u8) -> u8) -> Result<Inet> {
    if a.v6 != b.v6 {
        return Err(sizes_differ(what));
    }
    Ok(Inet { cidr: false, bits: a.bits.max(b.bits), ..bytewise(a, |i, x| f(x, byte(&b.address, i))) })
}

#[cold]
fn result_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "result is out of range")
}

fn as_number(a: Inet) -> u128 {
    let n = u128::from_be_bytes(a.address);
    if a.v6 { n } else { n >> 96 }
}

fn add(a: Inet, n: i128) -> Result<Inet> {
    let sum = if n >= 0 {
        as_number(a).checked_add(n.unsigned_abs())
    } else {
        as_number(a).checked_sub(n.unsigned_abs())
    };
    let sum = sum.filter(|s| a.v6 || *s <= u128::from(u32::MAX)).ok_or_else(result_range)?;
    let address = if a.v6 { sum } else { sum << 96 }.to_be_bytes();
    Ok(Inet { cidr: false, address, ..a })
}

fn subtract(a: Inet, b: Inet) -> Result<i64> {
    if a.v6 != b.v6 {
        return Err(sizes_differ("subtract"));
    }
    let (x, y) = (as_number(a), as_number(b));
    let magnitude = i128::try_from(x.abs_diff(y)).map_err(|_| result_range())?;
    i64::try_from(if x >= y { magnitude } else { -magnitude }).map_err(|_| result_range())
}

/// Does the network of `a` hold that of `b`, or equal it where `or_equal` says so?
fn holds(a: Inet, b: Inet, or_equal: bool) -> bool {
    (if or_equal { a.bits <= b.bits } else { a.bits < b.bits }) && a.covers(&b)
}

fn overlap(a: Inet, b: Inet) -> bool {
    if a.bits <= b.bits { a.covers(&b) } else { b.covers(&a) }
}

fn merge(a: Inet, b: Inet) -> Result<Inet> {
    if a.v6 != b.v6 {
        return Err(invalid("cannot merge addresses from different families"));
    }
    let common = (as_number(a) ^ as_number(b)).leading_zeros() as u8 - if a.v6 { 0 } else { 96 };
    Ok(network(Inet { bits: common.min(a.bits).min(b.bits), ..a }))
}

fn mac_from_8(m: [u8; 8]) -> Result<[u8; 6]> {
    match m {
        [a, b, c, 0xff, 0xfe, d, e, f] => Ok([a, b, c, d, e, f]),
        _ => Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "macaddr8 data out of range to convert to macaddr",
        )
        .hint(
            "Only addresses that have FF and FE as values in the 4th and 5th bytes from the left, for example \
             xx:xx:xx:ff:fe:xx:xx:xx, are eligible to be converted from macaddr8 to macaddr.",
        )),
    }
}

fn zip<const N: usize>(a: [u8; N], b: [u8; N], f: impl Fn(u8, u8) -> u8) -> [u8; N] {
    let mut out = a;
    out.iter_mut().zip(b).for_each(|(x, y)| *x = f(*x, y));
    out
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(598, "abbrev", &[INET], TEXT).imp(row!(|a: Inet| a.shown(false))),
    def(599, "abbrev", &[CIDR], TEXT).imp(row!(|a: Inet| abbreviated_cidr(a))),
    def(698, "broadcast", &[INET], INET).imp(row!(|a: Inet| broadcast(a))),
    def(1715, "cidr", &[INET], CIDR).imp(row!(|a: Inet| network(a))),
    def(711, "family", &[INET], INT4).imp(row!(|a: Inet| if a.v6 { 6i32 } else { 4 })),
    def(699, "host", &[INET], TEXT).imp(row!(|a: Inet| a.host())),
    def(1362, "hostmask", &[INET], INET).imp(row!(|a: Inet| hostmask(a))),
    def(696, "netmask", &[INET], INET).imp(row!(|a: Inet| netmask(a))),
    def(683, "network", &[INET], CIDR).imp(row!(|a: Inet| network(a))),
    def(697, "masklen", &[INET], INT4).imp(row!(|a: Inet| i32::from(a.bits))),
    def(605, "set_masklen", &[INET, INT4], INET).imp(row!(|a: Inet, n: i32| set_length(a, n, false)?)),
    def(635, "set_masklen", &[CIDR, INT4], CIDR).imp(row!(|a: Inet, n: i32| set_length(a, n, true)?)),
    def(730, "text", &[INET], TEXT).imp(row!(|a: Inet| a.shown(true))),
    def(4063, "inet_merge", &[INET, INET], CIDR).imp(row!(|a: Inet, b: Inet| merge(a, b)?)),
    def(4071, "inet_same_family", &[INET, INET], BOOL).imp(row!(|a: Inet, b: Inet| a.v6 == b.v6)),
    def(2627, "inetnot", &[INET], INET).imp(row!(|a: Inet| Inet { cidr: false, ..bytewise(a, |_, b| !b) })),
    def(2628, "inetand", &[INET, INET], INET)
        .imp(row!(|a: Inet, b: Inet| combine(a, b, "AND", |x, y| x & y)?)),
    def(2629, "inetor", &[INET, INET], INET).imp(row!(|a: Inet, b: Inet| combine(a, b, "OR", |x, y| x | y)?)),
    def(2630, "inetpl", &[INET, INT8], INET).imp(row!(|a: Inet, n: i64| add(a, n.into())?)),
    def(2631, "int8pl_inet", &[INT8, INET], INET).imp(row!(|n: i64, a: Inet| add(a, n.into())?)),
    // The least number is its own negative there.
    def(2632, "inetmi_int8", &[INET, INT8], INET)
        .imp(row!(|a: Inet, n: i64| add(a, n.wrapping_neg().into())?)),
    def(2633, "inetmi", &[INET, INET], INT8).imp(row!(|a: Inet, b: Inet| subtract(a, b)?)),
    def(927, "network_sub", &[INET, INET], BOOL).imp(row!(|a: Inet, b: Inet| holds(b, a, false))),
    def(928, "network_subeq", &[INET, INET], BOOL).imp(row!(|a: Inet, b: Inet| holds(b, a, true))),
    def(929, "network_sup", &[INET, INET], BOOL).imp(row!(|a: Inet, b: Inet| holds(a, b, false))),
    def(930, "network_supeq", &[INET, INET], BOOL).imp(row!(|a: Inet, b: Inet| holds(a, b, true))),
    def(3551, "network_overlap", &[INET, INET], BOOL).imp(row!(|a: Inet, b: Inet| overlap(a, b))),
    def(3562, "network_larger", &[INET, INET], INET).imp(row!(|a: Inet, b: Inet| if a > b { a } else { b })),
    def(3563, "network_smaller", &[INET, INET], INET).imp(row!(|a: Inet, b: Inet| if a < b { a } else { b })),
    def(4123, "macaddr8", &[MACADDR], MACADDR8).imp(row!(|m: [u8; 6]| {
        let [a, b, c, d, e, f] = m;
        [a, b, c, 0xff, 0xfe, d, e, f]
    })),
    def(4124, "macaddr", &[MACADDR8], MACADDR).imp(row!(|m: [u8; 8]| mac_from_8(m)?)),
    def(3144, "macaddr_not", &[MACADDR], MACADDR).imp(row!(|m: [u8; 6]| m.map(|b| !b))),
    def(3145, "macaddr_and", &[MACADDR, MACADDR], MACADDR).imp(row!(|a: [u8; 6], b: [u8; 6]| zip(
        a,
        b,
        |x, y| x & y
    ))),
    def(3146, "macaddr_or", &[MACADDR, MACADDR], MACADDR).imp(row!(|a: [u8; 6], b: [u8; 6]| zip(
        a,
        b,
        |x, y| x | y
    ))),
    def(4120, "macaddr8_not", &[MACADDR8], MACADDR8).imp(row!(|m: [u8; 8]| m.map(|b| !b))),
    def(4121, "macaddr8_and", &[MACADDR8, MACADDR8], MACADDR8).imp(row!(|a: [u8; 8], b: [u8; 8]| zip(
        a,
        b,
        |x, y| x & y
    ))),
    def(4122, "macaddr8_or", &[MACADDR8, MACADDR8], MACADDR8).imp(row!(|a: [u8; 8], b: [u8; 8]| zip(
        a,
        b,
        |x, y| x | y
    ))),
    def(4125, "macaddr8_set7bit", &[MACADDR8], MACADDR8).imp(row!(|m: [u8; 8]| {
        let [first, rest @ ..] = m;
        let [a, b, c, d, e, f, g] = rest;
        [first | 2, a, b, c, d, e, f, g]
    })),
    def(753, "trunc", &[MACADDR], MACADDR).imp(row!(|m: [u8; 6]| {
        let [a, b, c, ..] = m;
        [a, b, c, 0, 0, 0]
    })),
    def(4112, "trunc", &[MACADDR8], MACADDR8).imp(row!(|m: [u8; 8]| {
        let [a, b, c, ..] = m;
        [a, b, c, 0, 0, 0, 0, 0]
    })),
];

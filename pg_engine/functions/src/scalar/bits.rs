//! `bit(n)` and `bit varying(n)`.

use alloc::{format, sync::Arc};

use pg_types::{Result, SqlError, SqlState, Value, Vector, bits::Bits, oid::*};

use crate::{
    aggregate::{Collect, Types, collect},
    call::{Arg, Ret, mismatch, row},
    def::{EvalContext, Function, Implementation},
    kernel::column,
    table::def,
};

impl<'a> Arg<'a> for &'a Bits {
    fn arg(value: &'a Value) -> Result<Self> {
        match value {
            Value::Bits(b) => Ok(b),
            _ => Err(mismatch()),
        }
    }
}

impl Ret for Bits {
    fn ret(self) -> Result<Value> {
        Ok(self.into())
    }
}

fn combine(a: &Bits, b: &Bits, what: &str, f: impl Fn(u8, u8) -> u8) -> Result<Bits> {
    if a.len() != b.len() {
        return Err(SqlError::new(
            SqlState(*b"22026"),
            format!("cannot {what} bit strings of different sizes"),
        ));
    }
    Ok(a.map(b, f))
}

/// An integer's lowest `n` bits, sign-extended; without modifier one bit.
fn from_integer(v: i64, width: usize, typmod: i32) -> Bits {
    // A length that no bit string can have counts as 1.
    const MOST: i32 = i32::MAX - 7;
    let typmod = if (1..=MOST).contains(&typmod) { typmod } else { 1 };
    let n = usize::try_from(typmod).unwrap_or(1).min(pg_types::bits::MAX_BITS);
    let mut out = Bits::zeros(n);
    for i in 0..n {
        let place = n - 1 - i;
        let one = if place < width { v >> place & 1 != 0 } else { v < 0 };
        if one {
            out.set(i, true);
        }
    }
    out
}

fn to_integer(b: &Bits, width: usize, name: &str) -> Result<i64> {
    if b.len() > width {
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{name} out of range")));
    }
    let n = (0..b.len()).fold(0u64, |n, i| n << 1 | u64::from(b.get(i)));
    // All bits of the type written make its sign too.
    Ok(if width == 32 { i64::from(n as u32 as i32) } else { n as i64 })
}

/// From 1-based `start`, `len` bits of what there is; `None`: to the end.
fn substring(b: &Bits, start: i32, len: Option<i32>) -> Result<Bits> {
    let end = match len {
        None => b.len() as i64,
        Some(n) if n < 0 => {
            return Err(SqlError::new(SqlState(*b"22011"), "negative substring length not allowed"));
        }
        Some(n) => (i64::from(start) - 1 + i64::from(n)).min(b.len() as i64),
    };
    let from = (i64::from(start) - 1).max(0);
    if end <= from {
        return Ok(Bits::zeros(0));
    }
    Ok(b.slice(from as usize, (end - from) as usize))
}

fn overlay(a: &Bits, b: &Bits, start: i32, len: i32) -> Result<Bits> {
    if start <= 0 {
        return Err(SqlError::new(SqlState(*b"22011"), "negative substring length not allowed"));
    }
    let after = start.checked_add(len).ok_or_else(crate::errors::int4_range)?;
    Ok(substring(a, 1, Some(start - 1))?.concat(b).concat(&substring(a, after, None)?))
}

/// 1-based place of the first occurrence; 0: none.
fn position(b: &Bits, wanted: &Bits) -> i32 {
    if wanted.is_empty() {
        return i32::from(!b.is_empty());
    }
    let Some(last) = b.len().checked_sub(wanted.len()) else { return 0 };
    let here = |at: &usize| (0..wanted.len()).all(|i| b.get(at + i) == wanted.get(i));
    (0..=last).find(here).map_or(0, |at| at as i32 + 1)
}

fn place(b: &Bits, n: i32) -> Result<usize> {
    usize::try_from(n).ok().filter(|i| *i < b.len()).ok_or_else(|| {
        SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            format!("bit index {n} out of valid range (0..{})", b.len() as i64 - 1),
        )
    })
}

fn set_bit(b: &Bits, n: i32, value: i32) -> Result<Bits> {
    let at = place(b, n)?;
    if !matches!(value, 0 | 1) {
        return Err(crate::errors::invalid("new bit must be 0 or 1"));
    }
    let mut out = b.clone();
    out.set(at, value == 1);
    Ok(out)
}

/// `bit_and`, `bit_or`, `bit_xor`.
#[derive(Clone, Default)]
struct Fold<const HOW: u8>(Option<Bits>);

const AND: u8 = 0;
const OR: u8 = 1;
const XOR: u8 = 2;

impl<const HOW: u8> Collect for Fold<HOW> {
    const SKIP_NULLS: bool = true;
    fn add(&mut self, _ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let Value::Bits(b) = column(args, 0)?.value(row) else { return Err(mismatch()) };
        self.0 = Some(match self.0.take() {
            None => *b,
            Some(a) => match HOW {
                AND => combine(&a, &b, "AND", |x, y| x & y)?,
                OR => combine(&a, &b, "OR", |x, y| x | y)?,
                _ => combine(&a, &b, "XOR", |x, y| x ^ y)?,
            },
        });
        Ok(())
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        Ok(self.0.take().map_or(Value::Null, Value::from))
    }
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(1683, "bit", &[INT4, INT4], BIT).imp(row!(|v: i32, n: i32| from_integer(v.into(), 32, n))),
    def(2075, "bit", &[INT8, INT4], BIT).imp(row!(|v: i64, n: i32| from_integer(v, 64, n))),
    def(1684, "int4", &[BIT], INT4).imp(row!(|b: &Bits| to_integer(b, 32, "integer")? as i32)),
    def(2076, "int8", &[BIT], INT8).imp(row!(|b: &Bits| to_integer(b, 64, "bigint")?)),
    def(1685, "bit", &[BIT, INT4, BOOL], BIT).imp(row!(|b: &Bits, n: i32, x: bool| b.clone().fix(n, x)?)),
    def(1687, "varbit", &[VARBIT, INT4, BOOL], VARBIT)
        .imp(row!(|b: &Bits, n: i32, x: bool| b.clone().limit(n, x)?)),
    def(1673, "bitand", &[BIT, BIT], BIT).imp(row!(|a: &Bits, b: &Bits| combine(a, b, "AND", |x, y| x & y)?)),
    def(1674, "bitor", &[BIT, BIT], BIT).imp(row!(|a: &Bits, b: &Bits| combine(a, b, "OR", |x, y| x | y)?)),
    def(1675, "bitxor", &[BIT, BIT], BIT).imp(row!(|a: &Bits, b: &Bits| combine(a, b, "XOR", |x, y| x ^ y)?)),
    def(1676, "bitnot", &[BIT], BIT).imp(row!(|a: &Bits| a.not())),
    def(1677, "bitshiftleft", &[BIT, INT4], BIT).imp(row!(|a: &Bits, n: i32| a.shift(n.into()))),
    def(1678, "bitshiftright", &[BIT, INT4], BIT).imp(row!(|a: &Bits, n: i32| a.shift(-i64::from(n)))),
    def(1679, "bitcat", &[VARBIT, VARBIT], VARBIT).imp(row!(|a: &Bits, b: &Bits| a.concat(b))),
    def(1680, "substring", &[BIT, INT4, INT4], BIT).imp(row!(|b: &Bits, start: i32, n: i32| substring(
        b,
        start,
        Some(n)
    )?)),
    def(1699, "substring", &[BIT, INT4], BIT).imp(row!(|b: &Bits, start: i32| substring(b, start, None)?)),
    def(3030, "overlay", &[BIT, BIT, INT4, INT4], BIT)
        .imp(row!(|a: &Bits, b: &Bits, start: i32, n: i32| overlay(a, b, start, n)?)),
    def(3031, "overlay", &[BIT, BIT, INT4], BIT).imp(row!(|a: &Bits, b: &Bits, start: i32| overlay(
        a,
        b,
        start,
        b.len() as i32
    )?)),
    def(1698, "position", &[BIT, BIT], INT4).imp(row!(|b: &Bits, wanted: &Bits| position(b, wanted))),
    def(1681, "length", &[BIT], INT4).imp(row!(|b: &Bits| b.len() as i32)),
    def(1682, "octet_length", &[BIT], INT4).imp(row!(|b: &Bits| b.bytes().len() as i32)),
    def(1812, "bit_length", &[BIT], INT4).imp(row!(|b: &Bits| b.len() as i32)),
    def(6162, "bit_count", &[BIT], INT8).imp(row!(|b: &Bits| b.count_ones())),
    def(3032, "get_bit", &[BIT, INT4], INT4).imp(row!(|b: &Bits, n: i32| i32::from(b.get(place(b, n)?)))),
    def(3033, "set_bit", &[BIT, INT4, INT4], BIT)
        .imp(row!(|b: &Bits, n: i32, value: i32| set_bit(b, n, value)?)),
    def(2242, "bit_and", &[BIT], BIT).nullable().imp(Implementation::Aggregate(collect::<Fold<AND>>)),
    def(2243, "bit_or", &[BIT], BIT).nullable().imp(Implementation::Aggregate(collect::<Fold<OR>>)),
    def(6167, "bit_xor", &[BIT], BIT).nullable().imp(Implementation::Aggregate(collect::<Fold<XOR>>)),
];

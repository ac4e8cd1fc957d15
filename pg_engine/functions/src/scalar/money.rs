//! `money`.

use alloc::string::String;

use pg_types::{Numeric, Result, SqlError, SqlState, SqlType, Value, oid::*};

use crate::{
    aggregate::{Fold, fold},
    call::row,
    def::{Function, Implementation},
    errors::division_by_zero,
    table::def,
};

#[cold]
fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "money out of range")
}

/// The nearest amount to a float, ties to even.
fn from_float(x: f64) -> Result<i64> {
    let rounded = libm::rint(x);
    // 2^63 itself is a float, the largest amount is not.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
        Ok(rounded as i64)
    } else {
        Err(out_of_range())
    }
}

fn times(a: i64, n: i64) -> Result<i64> {
    a.checked_mul(n).ok_or_else(out_of_range)
}

fn over(a: i64, n: i64) -> Result<i64> {
    if n == 0 {
        return Err(division_by_zero());
    }
    a.checked_div(n).ok_or_else(out_of_range)
}

fn over_float(a: i64, x: f64) -> Result<i64> {
    if x == 0.0 { Err(division_by_zero()) } else { from_float(a as f64 / x) }
}

fn from_numeric(n: &Numeric) -> Result<i64> {
    n.mul(&Numeric::from(100))?.round(0)?.to_i64()
}

fn to_numeric(a: i64) -> Result<Numeric> {
    // Exact, which a quotient of so many digits would not be.
    let cent = Numeric::from(1).div(&Numeric::from(100))?.round(2)?;
    Numeric::from(a).mul(&cent)
}

/// A number below 1,000 in words; nothing for 0.
fn small_words(n: u64, out: &mut String) {
    const ONES: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let one = |n: u64| ONES.get(n as usize).copied().unwrap_or_default();
    let (hundreds, rest) = (n / 100, n % 100);
    if hundreds > 0 {
        out.push_str(one(hundreds));
        out.push_str(" hundred");
        out.push_str(match rest {
            0 => return,
            1..20 => " and ",
            _ => " ",
        });
    }
    if rest < 20 {
        out.push_str(one(rest));
        return;
    }
    out.push_str(TENS.get((rest / 10 - 2) as usize).copied().unwrap_or_default());
    if rest % 10 > 0 {
        out.push(' ');
        out.push_str(one(rest % 10));
    }
}

/// `cash_words`: as cheques have it. Behind a unit stands a blank, even if nothing follows.
fn words(amount: i64) -> String {
    const UNITS: [(u64, &str); 5] = [
        (1_000_000_000_000_000, " quadrillion "),
        (1_000_000_000_000, " trillion "),
        (1_000_000_000, " billion "),
        (1_000_000, " million "),
        (1_000, " thousand "),
    ];
    let mut out = String::from(if amount < 0 { "minus " } else { "" });
    let (whole, cents) = (amount.unsigned_abs() / 100, amount.unsigned_abs() % 100);
    for (size, name) in UNITS.into_iter().filter(|u| whole / u.0 % 1000 > 0) {
        small_words(whole / size % 1000, &mut out);
        out.push_str(name);
    }
    if whole % 1000 > 0 || whole == 0 {
        small_words(whole % 1000, &mut out);
    }
    out.push_str(if whole == 1 { " dollar and " } else { " dollars and " });
    small_words(cents, &mut out);
    out.push_str(if cents == 1 { " cent" } else { " cents" });
    if let Some(first) = out.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    out
}

/// `sum`.
#[derive(Clone, Default)]
struct Sum(Option<i64>);

impl Fold for Sum {
    type In = i64;
    fn add(&mut self, value: i64) -> Result<()> {
        self.0 = Some(self.0.unwrap_or(0).checked_add(value).ok_or_else(out_of_range)?);
        Ok(())
    }
    fn result(&self, _ty: SqlType) -> Result<Value> {
        Ok(self.0.map_or(Value::Null, Value::Int8))
    }
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(2112, "sum", &[MONEY], MONEY).nullable().imp(Implementation::Aggregate(fold::<Sum>)),
    def(894, "cash_pl", &[MONEY, MONEY], MONEY)
        .imp(row!(|a: i64, b: i64| a.checked_add(b).ok_or_else(out_of_range)?)),
    def(895, "cash_mi", &[MONEY, MONEY], MONEY)
        .imp(row!(|a: i64, b: i64| a.checked_sub(b).ok_or_else(out_of_range)?)),
    def(3822, "cash_div_cash", &[MONEY, MONEY], FLOAT8).imp(row!(|a: i64, b: i64| {
        if b == 0 {
            return Err(division_by_zero());
        }
        a as f64 / b as f64
    })),
    def(896, "cash_mul_flt8", &[MONEY, FLOAT8], MONEY).imp(row!(|a: i64, x: f64| from_float(a as f64 * x)?)),
    def(846, "cash_mul_flt4", &[MONEY, FLOAT4], MONEY)
        .imp(row!(|a: i64, x: f32| from_float(a as f64 * f64::from(x))?)),
    def(919, "flt8_mul_cash", &[FLOAT8, MONEY], MONEY).imp(row!(|x: f64, a: i64| from_float(a as f64 * x)?)),
    def(848, "flt4_mul_cash", &[FLOAT4, MONEY], MONEY)
        .imp(row!(|x: f32, a: i64| from_float(a as f64 * f64::from(x))?)),
    def(897, "cash_div_flt8", &[MONEY, FLOAT8], MONEY).imp(row!(|a: i64, x: f64| over_float(a, x)?)),
    def(847, "cash_div_flt4", &[MONEY, FLOAT4], MONEY).imp(row!(|a: i64, x: f32| over_float(a, x.into())?)),
    def(3344, "cash_mul_int8", &[MONEY, INT8], MONEY).imp(row!(|a: i64, n: i64| times(a, n)?)),
    def(864, "cash_mul_int4", &[MONEY, INT4], MONEY).imp(row!(|a: i64, n: i32| times(a, n.into())?)),
    def(866, "cash_mul_int2", &[MONEY, INT2], MONEY).imp(row!(|a: i64, n: i16| times(a, n.into())?)),
    def(3399, "int8_mul_cash", &[INT8, MONEY], MONEY).imp(row!(|n: i64, a: i64| times(a, n)?)),
    def(862, "int4_mul_cash", &[INT4, MONEY], MONEY).imp(row!(|n: i32, a: i64| times(a, n.into())?)),
    def(863, "int2_mul_cash", &[INT2, MONEY], MONEY).imp(row!(|n: i16, a: i64| times(a, n.into())?)),
    def(3345, "cash_div_int8", &[MONEY, INT8], MONEY).imp(row!(|a: i64, n: i64| over(a, n)?)),
    def(865, "cash_div_int4", &[MONEY, INT4], MONEY).imp(row!(|a: i64, n: i32| over(a, n.into())?)),
    def(867, "cash_div_int2", &[MONEY, INT2], MONEY).imp(row!(|a: i64, n: i16| over(a, n.into())?)),
    def(898, "cashlarger", &[MONEY, MONEY], MONEY).imp(row!(|a: i64, b: i64| a.max(b))),
    def(899, "cashsmaller", &[MONEY, MONEY], MONEY).imp(row!(|a: i64, b: i64| a.min(b))),
    def(935, "cash_words", &[MONEY], TEXT).imp(row!(|a: i64| words(a))),
    def(3811, "money", &[INT4], MONEY).stable().imp(row!(|n: i32| times(n.into(), 100)?)),
    def(3812, "money", &[INT8], MONEY).stable().imp(row!(|n: i64| times(n, 100)?)),
    def(3824, "money", &[NUMERIC], MONEY).stable().imp(row!(|n: &Numeric| from_numeric(n)?)),
    def(3823, "numeric", &[MONEY], NUMERIC).stable().imp(row!(|a: i64| to_numeric(a)?)),
];

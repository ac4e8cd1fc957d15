//! `.datetime()`: dates and times in the ISO forms, and how they compare.

use alloc::string::String;
use core::cmp::Ordering;

use pg_types::{
    Oid, SqlError, SqlState, Value,
    datetime::calendar::{days_from_civil, days_in_month},
    oid::{DATE, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ},
    value::TimeTz,
};

use super::{Fault, Item, Result};
use crate::def::EvalContext;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

pub(super) fn type_name(ty: Oid) -> &'static str {
    match ty {
        DATE => "date",
        TIME => "time without time zone",
        TIMETZ => "time with time zone",
        TIMESTAMP => "timestamp without time zone",
        _ => "timestamp with time zone",
    }
}

/// As documents show it.
pub(super) fn shown(ctx: &EvalContext<'_>, ty: Oid, v: &Value) -> String {
    super::super::value::moment(ctx, ty, v)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn eat(&mut self, b: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == b => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }
    /// A number of at least one and at most so many digits.
    fn digits(&mut self, most: usize) -> Option<i64> {
        let n = self.0.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(n).filter(|_| n > 0)?;
        self.0 = rest;
        Some(digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
    }
    fn date(&mut self) -> Option<i64> {
        let year = self.digits(4)?;
        let month = self.eat(b'-').then(|| self.digits(2))??;
        let day = self.eat(b'-').then(|| self.digits(2))??;
        let (y, m) = (i32::try_from(year).ok()?, i32::try_from(month).ok()?);
        if !(1..=12).contains(&month) || day < 1 || day > i64::from(days_in_month(y, m)) || year == 0 {
            return None;
        }
        Some(days_from_civil(y, m, i32::try_from(day).ok()?))
    }
    /// Microseconds since midnight.
    fn time(&mut self) -> Option<i64> {
        let hour = self.digits(2)?;
        let minute = self.eat(b':').then(|| self.digits(2))??;
        let second = self.eat(b':').then(|| self.digits(2))??;
        let mut micros = 0;
        if self.eat(b'.') {
            let before = self.0.len();
            micros = self.digits(6)?;
            micros *= 10i64.pow(6 - (before - self.0.len()) as u32);
        }
        (hour < 24 && minute < 60 && second < 60)
            .then_some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
    }
    /// Seconds west of UTC.
    fn zone(&mut self) -> Option<i32> {
        while self.eat(b' ') {}
        let west = match self.0.first()? {
            b'+' => -1,
            b'-' => 1,
            _ => return None,
        };
        self.0 = self.0.get(1..)?;
        let hour = self.digits(2)?;
        let minute = if self.eat(b':') { self.digits(2)? } else { 0 };
        (hour < 16 && minute < 60).then(|| west * (hour * 3600 + minute * 60) as i32)
    }
    fn done(&self) -> bool {
        self.0.is_empty()
    }
}

fn parse(text: &str) -> Option<(Oid, Value)> {
    let mut r = Reader(text.as_bytes());
    if let Some(days) = r.date() {
        if r.done() {
            return Some((DATE, Value::Date(i32::try_from(days).ok()?)));
        }
        if !r.eat(b' ') && !r.eat(b'T') {
            return None;
        }
        let local = days * DAY + r.time()?;
        if r.done() {
            return Some((TIMESTAMP, Value::Timestamp(local)));
        }
        let zone = r.zone()?;
        let moment = local + i64::from(zone) * 1_000_000;
        return r.done().then_some((TIMESTAMPTZ, Value::TimestampTz(moment)));
    }
    let mut r = Reader(text.as_bytes());
    let micros = r.time()?;
    if r.done() {
        return Some((TIME, Value::Time(micros)));
    }
    let zone = r.zone()?;
    r.done().then_some((TIMETZ, Value::TimeTz(TimeTz { micros, zone })))
}

/// Reads text; which type it is of, its form says.
pub(super) fn read(_ctx: &EvalContext<'_>, text: &str, template: Option<&str>) -> Result<Item> {
    if template.is_some() {
        return Err(Fault::Plain(SqlError::unsupported("a template in jsonpath .datetime()")));
    }
    match parse(text) {
        Some((ty, value)) => Ok(Item::Moment(ty, value)),
        None => Err(Fault::Hidden(
            SqlError::new(
                SqlState(*b"22031"),
                alloc::format!("datetime format is not recognized: \"{text}\""),
            )
            .hint("Use a datetime template argument to specify the input data format."),
        )),
    }
}

fn needs_zone(from: &str, to: &str) -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        alloc::format!("cannot convert value from {from} to {to} without time zone usage"),
    )
    .hint("Use *_tz() function for time zone support.")
}

/// A point in time or a time of day, in a form that compares; true: it has a zone.
fn point(v: &Value) -> (bool, i64) {
    match v {
        Value::Date(d) => (false, i64::from(*d) * DAY),
        Value::Timestamp(t) | Value::Time(t) => (false, *t),
        Value::TimestampTz(t) => (true, *t),
        Value::TimeTz(t) => (true, t.micros + i64::from(t.zone) * 1_000_000),
        _ => (false, 0),
    }
}

/// The order of two moments; `None` where they do not compare. Those with and without zone do where zones may be used.
pub(super) fn compare(
    ctx: &EvalContext<'_>,
    (t, a): (Oid, &Value),
    (u, b): (Oid, &Value),
    zones: bool,
) -> pg_types::Result<Option<Ordering>> {
    let of_day = |ty| matches!(ty, TIME | TIMETZ);
    if of_day(t) != of_day(u) {
        return Ok(None);
    }
    let ((zoned, x), (other_zoned, y)) = (point(a), point(b));
    if zoned == other_zoned {
        let tie = match (a, b) {
            (Value::TimeTz(x), Value::TimeTz(y)) => x.zone.cmp(&y.zone),
            _ => Ordering::Equal,
        };
        return Ok(Some(x.cmp(&y).then(tie)));
    }
    if !zones {
        let short = |ty| match ty {
            DATE => "date",
            TIME => "time",
            TIMETZ => "timetz",
            TIMESTAMP => "timestamp",
            _ => "timestamptz",
        };
        let (from, to) = if zoned { (u, t) } else { (t, u) };
        return Err(needs_zone(short(from), short(to)));
    }
    // What has no zone is taken in the session's.
    let at = |zoned: bool, n: i64| -> pg_types::Result<i64> {
        if zoned {
            return Ok(n);
        }
        if of_day(t) {
            let now = ctx.host.transaction_timestamp();
            let offset = crate::datetime::local(ctx, now) - now;
            return Ok(n - offset);
        }
        crate::datetime::moment(ctx, n)
    };
    Ok(Some(at(zoned, x)?.cmp(&at(other_zoned, y)?)))
}

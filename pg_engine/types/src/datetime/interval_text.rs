//! Writing intervals.

use alloc::{format, vec::Vec};

use super::{HOUR, MINUTE, SECOND, output::decimals};
use crate::{format::IntervalStyle, value::Interval};

/// An interval taken apart; all time parts have the sign of the time.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    pub years: i32,
    pub months: i32,
    pub days: i32,
    pub hours: i64,
    pub minutes: i32,
    pub seconds: i32,
    pub micros: i32,
}

impl Parts {
    pub fn of(v: &Interval) -> Self {
        Self {
            years: v.months / 12,
            months: v.months % 12,
            days: v.days,
            hours: v.micros / HOUR,
            minutes: (v.micros / MINUTE % 60) as i32,
            seconds: (v.micros / SECOND % 60) as i32,
            micros: (v.micros % SECOND) as i32,
        }
    }
    fn time_is_zero(&self) -> bool {
        self.hours == 0 && self.minutes == 0 && self.seconds == 0 && self.micros == 0
    }
    fn time_is_negative(&self) -> bool {
        self.hours < 0 || self.minutes < 0 || self.seconds < 0 || self.micros < 0
    }
}

fn number(n: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

fn two(n: u64, out: &mut Vec<u8>) {
    if n < 10 {
        out.push(b'0');
    }
    number(n, out);
}

/// `mm:ss[.ffffff]` with two digits each.
fn minutes_and_seconds(p: &Parts, out: &mut Vec<u8>) {
    two(p.minutes.unsigned_abs().into(), out);
    out.push(b':');
    two(p.seconds.unsigned_abs().into(), out);
    decimals(p.micros.abs(), out);
}

/// Appends an interval.
pub fn write_interval(v: &Interval, style: IntervalStyle, out: &mut Vec<u8>) {
    let p = Parts::of(v);
    match style {
        IntervalStyle::Postgres => postgres(&p, out),
        IntervalStyle::PostgresVerbose => verbose(&p, out),
        IntervalStyle::SqlStandard => standard(&p, out),
        IntervalStyle::Iso8601 => iso(&p, out),
    }
}

fn postgres(p: &Parts, out: &mut Vec<u8>) {
    let start = out.len();
    let mut before = false;
    for (n, unit) in [(p.years, "year"), (p.months, "mon"), (p.days, "day")] {
        if n == 0 {
            continue;
        }
        if out.len() > start {
            out.push(b' ');
        }
        if before && n > 0 {
            out.push(b'+');
        }
        number(n, out);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if n != 1 {
            out.push(b's');
        }
        before = n < 0;
    }
    if out.len() == start || !p.time_is_zero() {
        if out.len() > start {
            out.push(b' ');
        }
        if p.time_is_negative() {
            out.push(b'-');
        } else if before {
            out.push(b'+');
        }
        two(p.hours.unsigned_abs(), out);
        out.push(b':');
        minutes_and_seconds(p, out);
    }
}

fn verbose(p: &Parts, out: &mut Vec<u8>) {
    out.push(b'@');
    let start = out.len();
    let mut ago = false;
    let units = [
        (i64::from(p.years), "year"),
        (p.months.into(), "mon"),
        (p.days.into(), "day"),
        (p.hours, "hour"),
        (p.minutes.into(), "min"),
    ];
    for (n, unit) in units {
        if n == 0 {
            continue;
        }
        // The first part decides which sign goes without saying.
        if out.len() == start {
            ago = n < 0;
        }
        let n = if ago { -n } else { n };
        out.extend_from_slice(format!(" {n} {unit}{}", if n == 1 { "" } else { "s" }).as_bytes());
    }
    if p.seconds != 0 || p.micros != 0 {
        let negative = p.seconds < 0 || p.micros < 0;
        if out.len() == start {
            ago = negative;
        }
        out.push(b' ');
        if negative != ago {
            out.push(b'-');
        }
        number(p.seconds.unsigned_abs(), out);
        decimals(p.micros.abs(), out);
        let one = p.seconds.abs() == 1 && p.micros == 0;
        out.extend_from_slice(if one { b" sec" } else { b" secs" });
    }
    if out.len() == start {
        out.extend_from_slice(b" 0");
    }
    if ago {
        out.extend_from_slice(b" ago");
    }
}

fn standard(p: &Parts, out: &mut Vec<u8>) {
    let negative = p.years < 0 || p.months < 0 || p.days < 0 || p.time_is_negative();
    let time_positive = p.hours > 0 || p.minutes > 0 || p.seconds > 0 || p.micros > 0;
    let positive = p.years > 0 || p.months > 0 || p.days > 0 || time_positive;
    let year_month = p.years != 0 || p.months != 0;
    let day_time = p.days != 0 || !p.time_is_zero();
    if !negative && !positive {
        return out.push(b'0');
    }
    if negative && positive || year_month && day_time {
        // Not expressible in the standard's notation: a sign for each part.
        let sign = |minus: bool| if minus { b'-' } else { b'+' };
        out.push(sign(p.years < 0 || p.months < 0));
        number(p.years.unsigned_abs(), out);
        out.push(b'-');
        number(p.months.unsigned_abs(), out);
        out.extend_from_slice(&[b' ', sign(p.days < 0)]);
        number(p.days.unsigned_abs(), out);
        out.extend_from_slice(&[b' ', sign(p.time_is_negative())]);
        number(p.hours.unsigned_abs(), out);
        out.push(b':');
        return minutes_and_seconds(p, out);
    }
    if negative {
        out.push(b'-');
    }
    if year_month {
        number(p.years.unsigned_abs(), out);
        out.push(b'-');
        return number(p.months.unsigned_abs(), out);
    }
    if p.days != 0 {
        number(p.days.unsigned_abs(), out);
        out.push(b' ');
    }
    number(p.hours.unsigned_abs(), out);
    out.push(b':');
    minutes_and_seconds(p, out);
}

fn iso(p: &Parts, out: &mut Vec<u8>) {
    if p.years == 0 && p.months == 0 && p.days == 0 && p.time_is_zero() {
        return out.extend_from_slice(b"PT0S");
    }
    out.push(b'P');
    let part = |n: i64, unit: u8, out: &mut Vec<u8>| {
        if n != 0 {
            number(n, out);
            out.push(unit);
        }
    };
    part(p.years.into(), b'Y', out);
    part(p.months.into(), b'M', out);
    part(p.days.into(), b'D', out);
    if !p.time_is_zero() {
        out.push(b'T');
    }
    part(p.hours, b'H', out);
    part(p.minutes.into(), b'M', out);
    if p.seconds != 0 || p.micros != 0 {
        if p.seconds < 0 || p.micros < 0 {
            out.push(b'-');
        }
        number(p.seconds.unsigned_abs(), out);
        decimals(p.micros.abs(), out);
        out.push(b'S');
    }
}

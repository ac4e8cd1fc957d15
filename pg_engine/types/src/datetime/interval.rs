//! Reading intervals and applying their modifiers.

use alloc::format;

use super::{
    DAY, HOUR, MINUTE, SECOND,
    decode::{Failure, time_parts},
    fields as range,
    input::failure,
    out_of_range,
    token::{self, Kind, Token},
    words::{self, IntervalWord, Unit},
};
use crate::{
    error::{Result, SqlError, SqlState},
    format::{FormatSettings, IntervalStyle},
    value::Interval,
};

type Outcome<T> = core::result::Result<T, Failure>;

/// The parts while they are summed up.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    years: i32,
    months: i32,
    days: i32,
    micros: i64,
}

/// A number in two parts of the same sign.
#[derive(Clone, Copy, Debug)]
struct Number {
    whole: i64,
    part: f64,
}

fn small(v: i64) -> Outcome<i32> {
    i32::try_from(v).map_err(|_| Failure::Range)
}

impl Sum {
    fn add_part_of_time(&mut self, part: f64, unit: i64) -> Outcome<()> {
        if part == 0.0 {
            return Ok(());
        }
        let scaled = part * unit as f64;
        let whole = libm::trunc(scaled);
        let rest = scaled - whole;
        let extra = whole as i64
            + if rest > 0.5 {
                1
            } else if rest < -0.5 {
                -1
            } else {
                0
            };
        self.micros = self.micros.checked_add(extra).ok_or(Failure::Range)?;
        Ok(())
    }
    fn add_time(&mut self, n: Number, unit: i64) -> Outcome<()> {
        let whole = n.whole.checked_mul(unit).ok_or(Failure::Range)?;
        self.micros = self.micros.checked_add(whole).ok_or(Failure::Range)?;
        self.add_part_of_time(n.part, unit)
    }
    fn add_part_of_days(&mut self, part: f64, days: i32) -> Outcome<()> {
        let scaled = part * f64::from(days);
        let whole = libm::trunc(scaled);
        self.days = self.days.checked_add(whole as i32).ok_or(Failure::Range)?;
        self.add_part_of_time(scaled - whole, DAY)
    }
    fn add_days(&mut self, n: Number, days: i32) -> Outcome<()> {
        let whole = small(n.whole.checked_mul(days.into()).ok_or(Failure::Range)?)?;
        self.days = self.days.checked_add(whole).ok_or(Failure::Range)?;
        if days == 1 { self.add_part_of_time(n.part, DAY) } else { self.add_part_of_days(n.part, days) }
    }
    fn add_months(&mut self, n: Number) -> Outcome<()> {
        self.months = self.months.checked_add(small(n.whole)?).ok_or(Failure::Range)?;
        self.add_part_of_days(n.part, 30)
    }
    fn add_years(&mut self, n: Number, years: i32) -> Outcome<()> {
        let whole = small(n.whole.checked_mul(years.into()).ok_or(Failure::Range)?)?;
        self.years = self.years.checked_add(whole).ok_or(Failure::Range)?;
        let months = libm::rint(n.part * f64::from(years) * 12.0) as i32;
        self.months = self.months.checked_add(months).ok_or(Failure::Range)?;
        Ok(())
    }
    fn add(&mut self, n: Number, unit: Unit) -> Outcome<()> {
        match unit {
            Unit::Microsecond => self.add_time(n, 1),
            Unit::Millisecond => self.add_time(n, 1_000),
            Unit::Second => self.add_time(n, SECOND),
            Unit::Minute => self.add_time(n, MINUTE),
            Unit::Hour => self.add_time(n, HOUR),
            Unit::Day => self.add_days(n, 1),
            Unit::Week => self.add_days(n, 7),
            Unit::Month => self.add_months(n),
            Unit::Year => self.add_years(n, 1),
            Unit::Decade => self.add_years(n, 10),
            Unit::Century => self.add_years(n, 100),
            Unit::Millennium => self.add_years(n, 1_000),
            Unit::Quarter => Err(Failure::Format),
        }
    }
    fn negate(&mut self) -> Outcome<()> {
        let flip = |v: i32| v.checked_neg().ok_or(Failure::Range);
        (self.years, self.months, self.days) = (flip(self.years)?, flip(self.months)?, flip(self.days)?);
        self.micros = self.micros.checked_neg().ok_or(Failure::Range)?;
        Ok(())
    }
}

/// The field that a unit fills; seconds with decimals fill all that is smaller, too.
fn bit(unit: Unit, decimals: bool) -> u32 {
    const SECONDS: u32 = 1;
    const MILLISECONDS: u32 = 2;
    const MICROSECONDS: u32 = 4;
    match unit {
        Unit::Microsecond => MICROSECONDS,
        Unit::Millisecond => MILLISECONDS,
        Unit::Second if decimals => SECONDS | MILLISECONDS | MICROSECONDS,
        Unit::Second => SECONDS,
        Unit::Minute => 8,
        Unit::Hour => 16,
        Unit::Day => 32,
        Unit::Week => 64,
        Unit::Month | Unit::Quarter => 128,
        Unit::Year => 256,
        Unit::Decade => 512,
        Unit::Century => 1024,
        Unit::Millennium => 2048,
    }
}
const TIME_BITS: u32 = 1 | 8 | 16;

/// The unit of the last number when none is written: the smallest the type holds.
fn default_unit(typmod_range: i32) -> Unit {
    match typmod_range {
        range::YEAR => Unit::Year,
        r if r == range::MONTH || r == range::YEAR | range::MONTH => Unit::Month,
        range::DAY => Unit::Day,
        r if r == range::HOUR || r == range::DAY | range::HOUR => Unit::Hour,
        r if r & range::SECOND == 0 && r & range::MINUTE != 0 && r != range::FULL_RANGE => Unit::Minute,
        _ => Unit::Second,
    }
}

/// `[+-]digits[.digits]` or `[+-]years-months`.
enum Quantity {
    Number(Number),
    Months(i64),
}

fn quantity(text: &str) -> Outcome<Quantity> {
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = unsigned.split_at(end);
    let mut whole: i64 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| Failure::Range)? };
    if negative {
        whole = -whole;
    }
    let part = match rest.as_bytes().first() {
        None if digits.is_empty() => return Err(Failure::Format),
        None => 0.0,
        Some(b'.') => {
            let valid =
                rest.bytes().skip(1).all(|b| b.is_ascii_digit()) && !(digits.is_empty() && rest.len() == 1);
            let part: f64 = if !valid {
                return Err(Failure::Format);
            } else if rest.len() == 1 {
                0.0
            } else {
                rest.parse().map_err(|_| Failure::Format)?
            };
            if negative { -part } else { part }
        }
        Some(b'-') => {
            let months = &rest[1..];
            let digits = months.bytes().take_while(u8::is_ascii_digit).count();
            let (months, behind) = months.split_at(digits);
            if months.is_empty() {
                return Err(Failure::Format);
            }
            // A number that is no month is said before what stands behind it is looked at.
            let months: i64 = months.parse().ok().filter(|m| *m < 12).ok_or(Failure::Range)?;
            if !behind.is_empty() {
                return Err(Failure::Format);
            }
            let months = if negative { -months } else { months };
            return whole
                .checked_mul(12)
                .and_then(|m| m.checked_add(months))
                .map(Quantity::Months)
                .ok_or(Failure::Range);
        }
        Some(_) => return Err(Failure::Format),
    };
    Ok(Quantity::Number(Number { whole, part }))
}

/// Words and numbers, the unit after its number: read from the end.
fn decode(tokens: &[Token], typmod_range: i32, style: IntervalStyle) -> Outcome<Sum> {
    let mut sum = Sum::default();
    let (mut seen, mut unit, mut ago) = (0, None, false);
    let two_as_minutes = typmod_range == range::MINUTE | range::SECOND;
    for token in tokens.iter().rev() {
        let filled = match token.kind {
            Kind::Time => {
                add_clock(&token.text, two_as_minutes, false, &mut sum)?;
                unit = Some(Unit::Day);
                TIME_BITS
            }
            Kind::Zone if token.text.contains(':') => {
                let negative = token.text.starts_with('-');
                add_clock(&token.text[1..], two_as_minutes, negative, &mut sum)?;
                unit = Some(Unit::Day);
                TIME_BITS
            }
            Kind::Zone | Kind::Date | Kind::Number => {
                let given = *unit.get_or_insert_with(|| default_unit(typmod_range));
                match quantity(&token.text)? {
                    Quantity::Months(months) => {
                        sum.add_months(Number { whole: months, part: 0.0 })?;
                        unit = Some(Unit::Month);
                        bit(Unit::Month, false)
                    }
                    Quantity::Number(n) => {
                        sum.add(n, given)?;
                        if given == Unit::Hour {
                            // What stands before hours is days.
                            unit = Some(Unit::Day);
                        }
                        bit(given, n.part != 0.0)
                    }
                }
            }
            Kind::Text | Kind::Special => match words::interval_word(&token.text).ok_or(Failure::Format)? {
                IntervalWord::Ignore => continue,
                IntervalWord::Ago => {
                    ago = true;
                    unit = None;
                    continue;
                }
                IntervalWord::Unit(u) => {
                    unit = Some(u);
                    continue;
                }
            },
        };
        if filled & seen != 0 {
            return Err(Failure::Format);
        }
        seen |= filled;
    }
    if seen == 0 {
        return Err(Failure::Format);
    }
    // In the standard's notation one sign in front counts for all fields.
    let signed = |t: &Token| t.text.starts_with(['-', '+']);
    let leads_negative = tokens.first().is_some_and(|t| t.text.starts_with('-'));
    if style == IntervalStyle::SqlStandard && leads_negative && !tokens.iter().skip(1).any(signed) {
        let down = |v: i32| if v > 0 { -v } else { v };
        (sum.years, sum.months, sum.days) = (down(sum.years), down(sum.months), down(sum.days));
        sum.micros = if sum.micros > 0 { -sum.micros } else { sum.micros };
    }
    if ago {
        sum.negate()?;
    }
    Ok(sum)
}

fn add_clock(text: &str, two_as_minutes: bool, negative: bool, sum: &mut Sum) -> Outcome<()> {
    let (hour, minute, second, micros) = time_parts(text, two_as_minutes)?;
    let rest = i64::from(minute) * MINUTE + i64::from(second) * SECOND + i64::from(micros);
    let total = hour.checked_mul(HOUR).and_then(|h| h.checked_add(rest)).ok_or(Failure::Range)?;
    let total = if negative { -total } else { total };
    sum.micros = sum.micros.checked_add(total).ok_or(Failure::Range)?;
    Ok(())
}

/// ISO 8601 durations: `P1Y2M3DT4H5M6S`, `P0001-02-03T04:05:06`, `P00010203T040506`.
struct Iso<'a>(&'a str);

impl Iso<'_> {
    fn number(&mut self) -> Outcome<(Number, usize)> {
        let signed = self.0.strip_prefix(['-', '+']).unwrap_or(self.0);
        let end = signed.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let width = signed.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at(self.0.len() - signed.len() + end);
        self.0 = rest;
        match quantity(number)? {
            Quantity::Number(n) => Ok((n, width)),
            Quantity::Months(_) => Err(Failure::Format),
        }
    }
    fn unit(&mut self) -> Option<u8> {
        let unit = self.0.bytes().next()?;
        self.0 = self.0.get(1..).unwrap_or_default();
        Some(unit)
    }
}

fn split_digits(n: i64) -> (i64, i64, i64) {
    (n / 10_000, n / 100 % 100, n % 100)
}

fn decode_iso(text: &str) -> Outcome<Sum> {
    let body = text.strip_prefix(['P', 'p']).filter(|b| !b.is_empty()).ok_or(Failure::Format)?;
    let (mut iso, mut sum) = (Iso(body), Sum::default());
    let whole = |n| Number { whole: n, part: 0.0 };
    let (mut date, mut any) = (true, false);
    while !iso.0.is_empty() {
        if iso.0.starts_with('T') {
            iso.unit();
            (date, any) = (false, false);
            continue;
        }
        let (n, width) = iso.number()?;
        let unit = iso.unit();
        if date {
            match unit {
                Some(b'Y') => sum.add_years(n, 1)?,
                Some(b'M') => sum.add_months(n)?,
                Some(b'W') => sum.add_days(n, 7)?,
                Some(b'D') => sum.add_days(n, 1)?,
                Some(b'T') | None if width == 8 && !any => {
                    let (y, m, d) = split_digits(n.whole);
                    sum.add_years(whole(y), 1)?;
                    sum.add_months(whole(m))?;
                    sum.add_days(Number { whole: d, part: n.part }, 1)?;
                    (date, any) = (false, false);
                    continue;
                }
                Some(b'T' | b'-') | None if !any => {
                    sum.add_years(n, 1)?;
                    if extended_date(unit, &mut iso, &mut sum)? {
                        return Ok(sum);
                    }
                    (date, any) = (false, false);
                    continue;
                }
                _ => return Err(Failure::Format),
            }
        } else {
            match unit {
                Some(b'H') => sum.add_time(n, HOUR)?,
                Some(b'M') => sum.add_time(n, MINUTE)?,
                Some(b'S') => sum.add_time(n, SECOND)?,
                None if width == 6 && !any => {
                    let (h, m, s) = split_digits(n.whole);
                    sum.add_time(whole(h), HOUR)?;
                    sum.add_time(whole(m), MINUTE)?;
                    sum.add_time(Number { whole: s, part: n.part }, SECOND)?;
                    return Ok(sum);
                }
                Some(b':') | None if !any => {
                    sum.add_time(n, HOUR)?;
                    if unit.is_some() {
                        sum.add_time(iso.number()?.0, MINUTE)?;
                        match iso.unit() {
                            None => return Ok(sum),
                            Some(b':') => sum.add_time(iso.number()?.0, SECOND)?,
                            Some(_) => return Err(Failure::Format),
                        }
                        if !iso.0.is_empty() {
                            return Err(Failure::Format);
                        }
                    }
                    return Ok(sum);
                }
                _ => return Err(Failure::Format),
            }
        }
        any = true;
    }
    Ok(sum)
}

/// `-months-days` after years. True at the end, false when a time follows.
fn extended_date(unit: Option<u8>, iso: &mut Iso<'_>, sum: &mut Sum) -> Outcome<bool> {
    match unit {
        None => return Ok(true),
        Some(b'T') => return Ok(false),
        _ => {}
    }
    sum.add_months(iso.number()?.0)?;
    match iso.unit() {
        None => return Ok(true),
        Some(b'T') => return Ok(false),
        Some(b'-') => {}
        Some(_) => return Err(Failure::Format),
    }
    sum.add_days(iso.number()?.0, 1)?;
    match iso.unit() {
        None => Ok(true),
        Some(b'T') => Ok(false),
        Some(_) => Err(Failure::Format),
    }
}

/// Reads an interval.
pub fn interval_in(text: &str, typmod: i32, s: &FormatSettings) -> Result<Interval> {
    let range = if typmod >= 0 { typmod >> 16 & range::FULL_RANGE } else { range::FULL_RANGE };
    let tokens = token::split(text);
    let sum = match tokens.map(|t| decode(&t, range, s.interval_style)).unwrap_or(Err(Failure::Format)) {
        Err(Failure::Format) => decode_iso(text.trim_matches(crate::io::is_space)),
        other => other,
    };
    let sum = sum.map_err(|f| match f {
        Failure::Range | Failure::MonthOrDay => SqlError::new(
            SqlState::INTERVAL_FIELD_OVERFLOW,
            format!("interval field value out of range: \"{text}\""),
        ),
        other => failure(other, text, "interval"),
    })?;
    let months = i64::from(sum.years) * 12 + i64::from(sum.months);
    let months = i32::try_from(months).map_err(|_| out_of_range("interval out of range"))?;
    interval_typmod(Interval { months, days: sum.days, micros: sum.micros }, typmod)
}

/// Applies `interval FIELDS(p)`: fields below the last one are cut off, seconds rounded.
pub fn interval_typmod(mut v: Interval, typmod: i32) -> Result<Interval> {
    if typmod < 0 {
        return Ok(v);
    }
    let fields = typmod >> 16 & range::FULL_RANGE;
    if fields != range::FULL_RANGE {
        let keep_time = if fields & range::SECOND != 0 {
            1
        } else if fields & range::MINUTE != 0 {
            MINUTE
        } else if fields & range::HOUR != 0 {
            HOUR
        } else {
            0
        };
        v.micros = if keep_time == 0 { 0 } else { v.micros / keep_time * keep_time };
        if keep_time == 0 && fields & range::DAY == 0 {
            v.days = 0;
            if fields & range::MONTH == 0 {
                v.months = v.months / 12 * 12;
            }
        }
    }
    if let Some(unit) = super::precision_unit(typmod & range::FULL_PRECISION) {
        v.micros = super::round_to(v.micros, unit);
    }
    Ok(v)
}

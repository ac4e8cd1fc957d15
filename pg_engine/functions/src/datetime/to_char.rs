//! `to_char` of timestamps and intervals.

use alloc::{format, string::String};
use core::fmt::Write;

use pg_types::{
    Result, SqlError, SqlState,
    datetime::{
        calendar::{Fields, day_of_year, iso_week, weekday},
        zone,
    },
    oid::*,
    value::Interval,
};

use super::{
    infinite, local,
    template::{Case, DAYS, Field, Item, MONTHS, ROMAN, parse},
};
use crate::{
    call::row,
    def::{EvalContext, Function},
    table::def,
};

/// What is written.
struct Subject {
    fields: Fields,
    /// Hours of an interval exceed 32 bits.
    hour: i64,
    /// Days since 2000.
    days: i64,
    day_of_year: i32,
    interval: bool,
    /// Zone abbreviation and seconds east.
    zone: Option<(String, i32)>,
}

impl Subject {
    /// A finite local time; `moment` when its zone is the session's.
    fn timestamp(ctx: &EvalContext<'_>, t: i64, moment: Option<i64>) -> Self {
        let fields = Fields::from_timestamp(t);
        let days = fields.days();
        let tz = super::zone(ctx);
        let zone = moment.map(|m| (zone::abbreviation_at(tz, m), zone::offset_at(tz, m)));
        Self { fields, hour: fields.hour.into(), days, day_of_year: day_of_year(days), interval: false, zone }
    }

    fn interval(i: Interval) -> Self {
        let micros = i.micros % 3_600_000_000;
        let fields = Fields {
            year: i.months / 12,
            month: i.months % 12,
            day: i.days,
            hour: 0,
            minute: (micros / 60_000_000) as i32,
            second: (micros / 1_000_000 % 60) as i32,
            micros: (micros % 1_000_000) as i32,
        };
        let day_of_year = i.months.saturating_mul(30).saturating_add(i.days);
        let days = fields.days();
        Self { fields, hour: i.micros / 3_600_000_000, days, day_of_year, interval: true, zone: None }
    }

    /// The year as it is shown: there is no year 0, eras are told apart elsewhere.
    fn year(&self, year: i32) -> i64 {
        let year = i64::from(year);
        if self.interval || year > 0 { year } else { 1 - year }
    }
}

#[cold]
fn not_for_intervals() -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, "invalid format specification for an interval value")
        .hint("Intervals are not tied to specific calendar dates.")
}

fn cased(name: &str, case: Case) -> String {
    match case {
        Case::Upper => name.to_ascii_uppercase(),
        Case::Lower => name.to_ascii_lowercase(),
        Case::Mixed => name.into(),
    }
}

/// `st`, `nd`, `rd` or `th`.
pub(crate) fn ordinal(number: &str) -> &'static str {
    let b = number.as_bytes();
    let teen = b.len() > 1 && b.get(b.len() - 2) == Some(&b'1');
    match b.last() {
        Some(b'1') if !teen => "st",
        Some(b'2') if !teen => "nd",
        Some(b'3') if !teen => "rd",
        _ => "th",
    }
}

/// A number with zeros to `width`, the sign not counting, unless `fill`.
fn number(value: i64, width: usize, fill: bool) -> String {
    if fill {
        return format!("{value}");
    }
    let width = width + usize::from(value < 0);
    format!("{value:0width$}")
}

/// A number with zeros to `width`, the sign counting, unless `fill`.
fn count(value: i32, width: usize, fill: bool) -> String {
    if fill { format!("{value}") } else { format!("{value:0width$}") }
}

fn name(text: &str, case: Case, plain: bool, width: usize) -> String {
    let text = cased(text, case);
    if plain { text } else { format!("{text:<width$}") }
}

/// The last `digits` digits of a year.
fn last_digits(year: i64, digits: u8, fill: bool) -> String {
    let year = match digits {
        1 => year % 10,
        2 => year % 100,
        3 => year % 1000,
        _ => year,
    };
    number(year, digits.into(), fill)
}

fn offset(east: i32, minutes: bool) -> String {
    let sign = if east < 0 { '-' } else { '+' };
    let (hour, minute) = (east.unsigned_abs() / 3600, east.unsigned_abs() / 60 % 60);
    if minutes && minute != 0 { format!("{sign}{hour:02}:{minute:02}") } else { format!("{sign}{hour:02}") }
}

fn field_text(s: &Subject, field: Field, case: Case, fill: bool, plain: bool) -> Result<String> {
    let f = &s.fields;
    let calendar = || if s.interval { Err(not_for_intervals()) } else { Ok(()) };
    Ok(match field {
        Field::HalfDay { dots } => {
            let name = match (s.hour % 24 >= 12, dots) {
                (true, true) => "P.M.",
                (false, true) => "A.M.",
                (true, false) => "PM",
                (false, false) => "AM",
            };
            cased(name, case)
        }
        Field::Era { dots } => {
            calendar()?;
            let name = match (f.year <= 0, dots) {
                (true, true) => "B.C.",
                (false, true) => "A.D.",
                (true, false) => "BC",
                (false, false) => "AD",
            };
            cased(name, case)
        }
        Field::Hour12 => number(if s.hour % 12 == 0 { 12 } else { s.hour % 12 }, 2, fill),
        Field::Hour24 => number(s.hour, 2, fill),
        Field::Minute => number(f.minute.into(), 2, fill),
        Field::Second => number(f.second.into(), 2, fill),
        Field::Fraction(digits) => {
            let cut = i64::from(f.micros) / 10i64.pow(6 - u32::from(digits));
            number(cut, digits.into(), false)
        }
        Field::Milliseconds => number(i64::from(f.micros) / 1000, 3, false),
        Field::Microseconds => number(f.micros.into(), 6, false),
        Field::SecondOfDay => {
            format!("{}", s.hour * 3600 + i64::from(f.minute) * 60 + i64::from(f.second))
        }
        Field::ZoneName => {
            calendar()?;
            s.zone.as_ref().map_or_else(String::new, |z| cased(&z.0, case))
        }
        Field::Offset => {
            calendar()?;
            offset(s.zone.as_ref().map_or(0, |z| z.1), true)
        }
        Field::ZoneHour => {
            calendar()?;
            offset(s.zone.as_ref().map_or(0, |z| z.1), false)
        }
        Field::ZoneMinute => {
            calendar()?;
            format!("{:02}", s.zone.as_ref().map_or(0, |z| z.1.unsigned_abs() / 60 % 60))
        }
        Field::MonthName | Field::ShortMonthName => {
            calendar()?;
            let full = MONTHS.get(f.month as usize - 1).copied().unwrap_or("");
            if field == Field::ShortMonthName {
                cased(full.get(..3).unwrap_or(full), case)
            } else {
                name(full, case, plain, 9)
            }
        }
        Field::RomanMonth => {
            // Month 0 of an interval is the twelfth, or the first of negative years; negative ones count from the end.
            let index = match f.month {
                0 if f.year == 0 => return Ok(String::new()),
                0 if f.year > 0 => 11,
                0 => 0,
                m if m < 0 => 12 + m,
                m => m - 1,
            } as usize;
            name(ROMAN.get(index).copied().unwrap_or(""), case, plain, 4)
        }
        Field::MonthNumber => number(f.month.into(), 2, fill),
        Field::DayName | Field::ShortDayName => {
            calendar()?;
            let full = DAYS.get(weekday(s.days) as usize).copied().unwrap_or("");
            if field == Field::ShortDayName {
                cased(full.get(..3).unwrap_or(full), case)
            } else {
                name(full, case, plain, 9)
            }
        }
        Field::DayOfYear => count(s.day_of_year, 3, fill),
        Field::IsoDayOfYear => {
            let (year, _) = iso_week(s.days);
            let start = pg_types::datetime::calendar::iso_week_start(year, 1);
            number(s.days - start + 1, 3, fill)
        }
        Field::DayOfMonth => count(f.day, 2, fill),
        Field::DayOfWeek => {
            calendar()?;
            format!("{}", weekday(s.days) + 1)
        }
        Field::IsoDayOfWeek => {
            calendar()?;
            format!("{}", (weekday(s.days) + 6) % 7 + 1)
        }
        Field::WeekOfYear => count((s.day_of_year - 1) / 7 + 1, 2, fill),
        Field::IsoWeek => number(iso_week(s.days).1.into(), 2, fill),
        Field::Quarter if f.month == 0 => String::new(),
        Field::Quarter => format!("{}", (f.month - 1) / 3 + 1),
        Field::Century => {
            let century = if s.interval {
                f.year / 100
            } else if f.year > 0 {
                (f.year - 1) / 100 + 1
            } else {
                f.year / 100 - 1
            };
            if (-99..=99).contains(&century) { number(century.into(), 2, fill) } else { format!("{century}") }
        }
        Field::GroupedYear => {
            let year = s.year(f.year);
            let thousands = year / 1000;
            format!("{thousands},{:03}", year - thousands * 1000)
        }
        Field::Year(digits) => last_digits(s.year(f.year), digits, fill),
        Field::IsoYear(digits) => {
            let year = if s.interval { f.year } else { iso_week(s.days).0 };
            last_digits(s.year(year), digits, fill)
        }
        Field::WeekOfMonth => format!("{}", (f.day - 1) / 7 + 1),
        Field::Julian => format!("{}", s.days + 2_451_545),
    })
}

fn write(s: &Subject, template: &str) -> Result<String> {
    let mut out = String::with_capacity(template.len() + 16);
    for item in parse(template).items {
        match item {
            Item::Char(c, _) => out.push(c),
            Item::Field { field, case, fill, translate, ordinal: suffix } => {
                let text = field_text(s, field, case, fill, fill || translate)?;
                out.push_str(&text);
                if let Some(case) = suffix
                    && text.ends_with(|c: char| c.is_ascii_digit())
                {
                    let _ = out.write_str(&cased(ordinal(&text), case));
                }
            }
        }
    }
    Ok(out)
}

/// A finite local time; `moment` when its zone is the session's.
pub(crate) fn timestamp(
    ctx: &EvalContext<'_>,
    t: i64,
    moment: Option<i64>,
    template: &str,
) -> Result<String> {
    write(&Subject::timestamp(ctx, t, moment), template)
}

/// Rows. An empty template yields NULL, as do infinities.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(2049, "to_char", &[TIMESTAMP, TEXT], TEXT).stable().imp(row!(ctx; |t: i64, template: &str| {
        if infinite(t) || template.is_empty() { None } else { Some(timestamp(ctx, t, None, template)?) }
    })),
    def(1770, "to_char", &[TIMESTAMPTZ, TEXT], TEXT).stable().imp(row!(ctx; |t: i64, template: &str| {
        if infinite(t) || template.is_empty() {
            None
        } else {
            Some(timestamp(ctx, local(ctx, t), Some(t), template)?)
        }
    })),
    def(1768, "to_char", &[INTERVAL, TEXT], TEXT).stable().imp(row!(|i: Interval, template: &str| {
        if template.is_empty() { None } else { Some(write(&Subject::interval(i), template)?) }
    })),
];

//! `extract(field from ...)`, for every date/time type.
//!
//! Results are numeric with the scale PostgreSQL gives them; `None` is NULL (fields of an infinity that have no
//! value). `date_part` is the same as a double.

use alloc::{format, string::String};

use jiff::tz::TimeZone;

use super::{
    DAY, END_TIMESTAMP, EPOCH_JULIAN, MIN_TIMESTAMP, SECOND, UNIX_EPOCH_DAYS,
    calendar::{self, Fields},
    date_is_infinite,
    interval_text::Parts,
    timestamp_is_infinite,
    words::{self, Unit},
    zone,
};
use crate::{
    Numeric,
    error::{Result, SqlError, SqlState},
    value::{Interval, TimeTz},
};

/// What can be extracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields' own names")]
pub enum Field {
    Unit(Unit),
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Julian,
    Epoch,
    Zone,
    ZoneHour,
    ZoneMinute,
}

/// A unit's name as it is looked up and told: like any other name, in lower case as far as it is ASCII, and cut to a name's length.
pub(super) fn unit_name(text: &str) -> String {
    let mut end = text.len().min(63);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_ascii_lowercase()
}

#[cold]
pub(super) fn not_supported(unit: &str, type_name: &str) -> SqlError {
    let unit = unit_name(unit);
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("unit \"{unit}\" not supported for type {type_name}"),
    )
}

#[cold]
pub(super) fn not_recognized(unit: &str, type_name: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("unit \"{unit}\" not recognized for type {type_name}"),
    )
}

impl Field {
    /// Reads a field's name, in any case; 22023 names the type.
    pub fn parse(text: &str, type_name: &str) -> Result<Self> {
        let name = unit_name(text);
        if let Some(u) = words::unit(&name) {
            return Ok(Self::Unit(u));
        }
        Ok(match name.get(..10).unwrap_or(&name) {
            "dow" => Self::DayOfWeek,
            "isodow" => Self::IsoDayOfWeek,
            "doy" => Self::DayOfYear,
            "isoyear" => Self::IsoYear,
            "j" | "jd" | "julian" => Self::Julian,
            "epoch" => Self::Epoch,
            "timezone" => Self::Zone,
            "timezone_h" => Self::ZoneHour,
            "timezone_m" => Self::ZoneMinute,
            _ => {
                return Err(not_recognized(&name, type_name));
            }
        })
    }
}

fn int(n: impl Into<i64>) -> Option<Numeric> {
    Some(Numeric::from(n.into()))
}

/// Microseconds as seconds.
fn seconds(micros: i128) -> Option<Numeric> {
    Some(Numeric::new(micros, 6))
}

/// The fields of seconds and below.
fn second_field(unit: Unit, second: i32, micros: i32) -> Option<Option<Numeric>> {
    let total = i128::from(second) * i128::from(SECOND) + i128::from(micros);
    Some(match unit {
        Unit::Microsecond => Some(Numeric::from(total)),
        Unit::Millisecond => Some(Numeric::new(total, 3)),
        Unit::Second => seconds(total),
        _ => return None,
    })
}

/// The fields of a date.
fn date_field(field: Field, days: i64) -> Option<Option<Numeric>> {
    let (year, month, day) = calendar::civil_from_days(days);
    Some(match field {
        Field::Unit(Unit::Day) => int(day),
        Field::Unit(Unit::Month) => int(month),
        Field::Unit(Unit::Quarter) => int((month - 1) / 3 + 1),
        Field::Unit(Unit::Week) => int(calendar::iso_week(days).1),
        // There is no year 0 outside.
        Field::Unit(Unit::Year) => int(if year > 0 { year } else { year - 1 }),
        Field::Unit(Unit::Decade) => int(year.div_euclid(10)),
        Field::Unit(Unit::Century) => {
            int(if year > 0 { (year + 99) / 100 } else { -((99 - (year - 1)) / 100) })
        }
        Field::Unit(Unit::Millennium) => {
            int(if year > 0 { (year + 999) / 1000 } else { -((999 - (year - 1)) / 1000) })
        }
        Field::IsoYear => {
            let year = calendar::iso_week(days).0;
            int(if year > 0 { year } else { year - 1 })
        }
        Field::DayOfWeek => int(calendar::weekday(days)),
        Field::IsoDayOfWeek => int((calendar::weekday(days) + 6) % 7 + 1),
        Field::DayOfYear => int(calendar::day_of_year(days)),
        _ => return None,
    })
}

/// Fields of an infinity: those that grow without end are infinite, the others NULL.
fn infinite_field(field: Field, positive: bool) -> Option<Numeric> {
    let grows = matches!(
        field,
        Field::Unit(Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium)
            | Field::IsoYear
            | Field::Julian
            | Field::Epoch
    );
    let infinity = if positive { Numeric::INFINITY } else { Numeric::NEG_INFINITY };
    grows.then_some(infinity)
}

/// The fields that a timestamp has with and without zone.
fn timestamp_field(field: Field, local: i64) -> Result<Option<Option<Numeric>>> {
    let days = local.div_euclid(DAY);
    let f = Fields::from_timestamp(local);
    if let Field::Unit(unit) = field {
        if let Some(v) = second_field(unit, f.second, f.micros) {
            return Ok(Some(v));
        }
        match unit {
            Unit::Minute => return Ok(Some(int(f.minute))),
            Unit::Hour => return Ok(Some(int(f.hour))),
            _ => {}
        }
    }
    if field == Field::Julian {
        let day = Numeric::from(days + i64::from(EPOCH_JULIAN));
        let part = Numeric::from(local.rem_euclid(DAY)).div(&Numeric::from(DAY))?;
        return Ok(Some(Some(day.add(&part)?)));
    }
    Ok(date_field(field, days))
}

/// `extract(field from timestamp)`
pub fn timestamp(name: &str, t: i64) -> Result<Option<Numeric>> {
    const TYPE: &str = "timestamp without time zone";
    let field = Field::parse(name, TYPE)?;
    if timestamp_is_infinite(t) {
        return Ok(infinite_field(field, t > 0));
    }
    if field == Field::Epoch {
        return Ok(epoch(t));
    }
    timestamp_field(field, t)?.ok_or_else(|| not_supported(name, TYPE))
}

fn epoch(t: i64) -> Option<Numeric> {
    debug_assert!((MIN_TIMESTAMP..END_TIMESTAMP).contains(&t));
    seconds(i128::from(t) - i128::from(UNIX_EPOCH_DAYS) * i128::from(DAY))
}

fn zone_field(field: Field, east: i32) -> Option<Numeric> {
    int(match field {
        Field::ZoneHour => east / 3600,
        Field::ZoneMinute => east / 60 % 60,
        _ => east,
    })
}

/// `extract(field from timestamptz)` on the clock of a zone.
pub fn timestamptz(name: &str, t: i64, tz: &TimeZone) -> Result<Option<Numeric>> {
    const TYPE: &str = "timestamp with time zone";
    let field = Field::parse(name, TYPE)?;
    if timestamp_is_infinite(t) {
        return Ok(infinite_field(field, t > 0));
    }
    match field {
        Field::Epoch => Ok(epoch(t)),
        Field::Zone | Field::ZoneHour | Field::ZoneMinute => Ok(zone_field(field, zone::offset_at(tz, t))),
        _ => timestamp_field(field, zone::to_local(tz, t))?.ok_or_else(|| not_supported(name, TYPE)),
    }
}

/// `extract(field from date)`
pub fn date(name: &str, d: i32) -> Result<Option<Numeric>> {
    const TYPE: &str = "date";
    let field = Field::parse(name, TYPE)?;
    let clock = matches!(
        field,
        Field::Unit(Unit::Microsecond | Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour)
            | Field::Zone
            | Field::ZoneHour
            | Field::ZoneMinute
    );
    if clock {
        return Err(not_supported(name, TYPE));
    }
    if date_is_infinite(d) {
        return Ok(infinite_field(field, d > 0));
    }
    Ok(match field {
        Field::Julian => int(i64::from(d) + i64::from(EPOCH_JULIAN)),
        Field::Epoch => int((i64::from(d) - i64::from(UNIX_EPOCH_DAYS)) * 86_400),
        _ => return date_field(field, d.into()).ok_or_else(|| not_supported(name, TYPE)),
    })
}

fn time_field(field: Field, micros: i64) -> Option<Option<Numeric>> {
    let f = Fields::from_time(micros);
    match field {
        Field::Unit(Unit::Minute) => Some(int(f.minute)),
        Field::Unit(Unit::Hour) => Some(int(f.hour)),
        Field::Unit(unit) => second_field(unit, f.second, f.micros),
        _ => None,
    }
}

/// `extract(field from time)`
pub fn time(name: &str, t: i64) -> Result<Option<Numeric>> {
    const TYPE: &str = "time without time zone";
    match Field::parse(name, TYPE)? {
        Field::Epoch => Ok(seconds(t.into())),
        field => time_field(field, t).ok_or_else(|| not_supported(name, TYPE)),
    }
}

/// `extract(field from timetz)`
pub fn timetz(name: &str, t: &TimeTz) -> Result<Option<Numeric>> {
    const TYPE: &str = "time with time zone";
    match Field::parse(name, TYPE)? {
        Field::Epoch => Ok(seconds(i128::from(t.micros) + i128::from(t.zone) * i128::from(SECOND))),
        field @ (Field::Zone | Field::ZoneHour | Field::ZoneMinute) => Ok(zone_field(field, -t.zone)),
        field => time_field(field, t.micros).ok_or_else(|| not_supported(name, TYPE)),
    }
}

/// `extract(field from interval)`
pub fn interval(name: &str, v: &Interval) -> Result<Option<Numeric>> {
    const TYPE: &str = "interval";
    let field = Field::parse(name, TYPE)?;
    let p = Parts::of(v);
    if field == Field::Epoch {
        // A year counts 365.25 days, a month 30.
        let quarter_days = i128::from(p.years) * 1461 + i128::from(p.months) * 120 + i128::from(p.days) * 4;
        return Ok(seconds(quarter_days * i128::from(DAY / 4) + i128::from(v.micros)));
    }
    let Field::Unit(unit) = field else { return Err(not_supported(name, TYPE)) };
    if let Some(value) = second_field(unit, p.seconds, p.micros) {
        return Ok(value);
    }
    Ok(match unit {
        Unit::Minute => int(p.minutes),
        Unit::Hour => int(p.hours),
        Unit::Day => int(p.days),
        Unit::Month => int(p.months),
        Unit::Quarter => int(p.months / 3 + 1),
        Unit::Year => int(p.years),
        Unit::Decade => int(p.years / 10),
        Unit::Century => int(p.years / 100),
        Unit::Millennium => int(p.years / 1000),
        _ => return Err(not_supported(name, TYPE)),
    })
}

//! Calendar arithmetic and the date/time types.
//!
//! Days and microseconds count from 2000-01-01; the calendar is the proleptic Gregorian one, with year 0 for 1 BC inside
//! and `BC` outside. Zones come from the time zone database that is linked in.

mod abbreviations;
pub mod arithmetic;
pub mod calendar;
mod decode;
pub mod extract;
pub mod fields;
mod input;
mod interval;
mod interval_text;
mod output;
mod token;
mod words;
pub mod zone;

#[cfg(test)]
mod tests;

use crate::error::{Result, SqlError, SqlState};

pub use calendar::Fields;
pub use input::{date_in, time_in, timestamp_in, timestamptz_in, timetz_in};
pub use interval::{interval_in, interval_typmod};
pub use interval_text::write_interval;
pub use output::{write_date, write_time, write_timestamp, write_timestamptz, write_timetz};

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds in a day.
pub const DAY: i64 = 24 * HOUR;
/// −infinity as a date.
pub const DATE_NEG_INFINITY: i32 = i32::MIN;
/// infinity as a date.
pub const DATE_INFINITY: i32 = i32::MAX;
/// −infinity as a timestamp.
pub const TIMESTAMP_NEG_INFINITY: i64 = i64::MIN;
/// infinity as a timestamp.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;
/// First valid timestamp: the start of 4714-11-24 BC.
pub const MIN_TIMESTAMP: i64 = -211_813_488_000_000_000;
/// First timestamp past the end: the start of 294277.
pub const END_TIMESTAMP: i64 = 9_223_371_331_200_000_000;
/// First valid date: 4714-11-24 BC.
pub const MIN_DATE: i32 = -2_451_545;
/// First date past the end: 5874898-06-04.
pub const END_DATE: i32 = 2_145_031_949;
/// Julian day number of 2000-01-01.
pub const EPOCH_JULIAN: i32 = 2_451_545;
/// 1970-01-01 as days.
pub const UNIX_EPOCH_DAYS: i32 = -10_957;

/// 22008.
#[cold]
pub fn out_of_range(what: &'static str) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, what)
}

/// True for either infinity.
pub fn timestamp_is_infinite(t: i64) -> bool {
    t == TIMESTAMP_INFINITY || t == TIMESTAMP_NEG_INFINITY
}

/// True for either infinity.
pub fn date_is_infinite(d: i32) -> bool {
    d == DATE_INFINITY || d == DATE_NEG_INFINITY
}

/// Refuses what is outside the type's range.
pub fn check_timestamp(t: i64) -> Result<i64> {
    if timestamp_is_infinite(t) || (MIN_TIMESTAMP..END_TIMESTAMP).contains(&t) {
        return Ok(t);
    }
    Err(out_of_range("timestamp out of range"))
}

/// Refuses what is outside the type's range.
pub fn check_date(d: i32) -> Result<i32> {
    if date_is_infinite(d) || (MIN_DATE..END_DATE).contains(&d) {
        return Ok(d);
    }
    Err(out_of_range("date out of range"))
}

/// Refuses what is outside the type's range.
pub fn check_time(t: i64) -> Result<i64> {
    if (0..=DAY).contains(&t) { Ok(t) } else { Err(out_of_range("time out of range")) }
}

/// Refuses displacements of 16 hours and more.
pub fn check_zone(west: i32) -> Result<i32> {
    if west.unsigned_abs() < 16 * 3600 {
        return Ok(west);
    }
    Err(SqlError::new(SqlState(*b"22009"), "time zone displacement out of range"))
}

/// Rounds to a multiple of `unit`, half away from zero.
fn round_to(v: i64, unit: i64) -> i64 {
    let half = unit / 2;
    if v < 0 {
        -(v.saturating_neg().saturating_add(half) / unit * unit)
    } else {
        v.saturating_add(half) / unit * unit
    }
}

/// Microseconds in the last decimal that a precision keeps.
fn precision_unit(typmod: i32) -> Option<i64> {
    (0..6).contains(&typmod).then(|| 10i64.pow(6 - typmod as u32))
}

/// Applies `timestamp(p)`.
pub fn round_timestamp(t: i64, typmod: i32) -> Result<i64> {
    match precision_unit(typmod) {
        Some(unit) if !timestamp_is_infinite(t) => check_timestamp(round_to(t, unit)),
        _ => Ok(t),
    }
}

/// Applies `time(p)`.
pub fn round_time(t: i64, typmod: i32) -> i64 {
    precision_unit(typmod).map_or(t, |unit| round_to(t, unit))
}

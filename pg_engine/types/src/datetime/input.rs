//! Reading dates, times and timestamps.

use alloc::format;

use super::{
    DATE_INFINITY, DATE_NEG_INFINITY, DAY, END_DATE, MIN_DATE, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY,
    UNIX_EPOCH_DAYS,
    calendar::{self, Fields},
    decode::{Context, Decoded, Failure, Zone, decode},
    round_time, round_timestamp, token, zone,
};
use crate::{
    error::{Result, SqlError, SqlState},
    format::FormatSettings,
    value::TimeTz,
};

/// The error for input that was not understood.
#[cold]
pub(super) fn failure(f: Failure, text: &str, type_name: &str) -> SqlError {
    let range = || {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date/time field value out of range: \"{text}\""),
        )
    };
    match f {
        Failure::Format => SqlError::new(
            SqlState::INVALID_DATETIME_FORMAT,
            format!("invalid input syntax for type {type_name}: \"{text}\""),
        ),
        Failure::Range => range(),
        Failure::MonthOrDay => range().hint("Perhaps you need a different \"datestyle\" setting."),
        Failure::Displacement => {
            SqlError::new(SqlState(*b"22009"), format!("time zone displacement out of range: \"{text}\""))
        }
        Failure::UnknownZone(name) => zone::not_recognized(&name),
    }
}

#[cold]
fn out_of_range(what: &str, text: &str) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range: \"{text}\""))
}

fn read(
    text: &str,
    type_name: &str,
    s: &FormatSettings,
    time_only: bool,
    zone_allowed: bool,
) -> Result<Decoded> {
    let context = Context { order: s.date_order, now: s.now, zone: &s.time_zone, time_only, zone_allowed };
    token::split(text)
        .filter(|t| !t.is_empty())
        .ok_or(Failure::Format)
        .and_then(|tokens| decode(&tokens, &context))
        .map_err(|f| failure(f, text, type_name))
}

/// Seconds west of UTC that a zone has at a local time.
fn west(z: &Zone, f: &Fields, s: &FormatSettings) -> i32 {
    let local = || f.timestamp().unwrap_or(0);
    match z {
        Zone::West(w) => *w,
        Zone::Named(tz) => -zone::offset_of_local(tz, local()),
        Zone::Unset => -zone::offset_of_local(&s.time_zone, local()),
    }
}

/// A fast path for the form that clients send most, `YYYY-MM-DD`; `None` for anything else.
fn plain_date(text: &[u8]) -> Option<(i32, i32, i32)> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = text else { return None };
    let number = |digits: &[&u8]| -> Option<i32> {
        digits.iter().try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + i32::from(**d - b'0')))
    };
    let (year, month, day) = (number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?);
    let valid =
        year > 0 && (1..=12).contains(&month) && day > 0 && day <= calendar::days_in_month(year, month);
    valid.then_some((year, month, day))
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]` (or with T), as microseconds; `None` for anything else.
fn plain_timestamp(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (year, month, day) = plain_date(date)?;
    let [b' ' | b'T', h0, h1, b':', m0, m1, b':', s0, s1, decimals @ ..] = rest else { return None };
    let two = |a: &u8, b: &u8| {
        (a.is_ascii_digit() && b.is_ascii_digit()).then(|| i64::from(a - b'0') * 10 + i64::from(b - b'0'))
    };
    let (hour, minute, second) = (two(h0, h1)?, two(m0, m1)?, two(s0, s1)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut micros = 0;
    if let [b'.', digits @ ..] = decimals {
        if digits.len() > 6 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        for i in 0..6 {
            micros = micros * 10 + digits.get(i).map_or(0, |d| i64::from(d - b'0'));
        }
    } else if !decimals.is_empty() {
        return None;
    }
    let time = ((hour * 60 + minute) * 60 + second) * super::SECOND + micros;
    Some(calendar::days_from_civil(year, month, day) * DAY + time)
}

/// Reads a date.
pub fn date_in(text: &str, s: &FormatSettings) -> Result<i32> {
    if let Some((year, month, day)) = plain_date(text.as_bytes()) {
        return Ok(calendar::days_from_civil(year, month, day) as i32);
    }
    match read(text, "date", s, false, true)? {
        Decoded::Epoch => Ok(UNIX_EPOCH_DAYS),
        Decoded::Late => Ok(DATE_INFINITY),
        Decoded::Early => Ok(DATE_NEG_INFINITY),
        Decoded::Moment(f, _) => {
            if !calendar::is_representable(f.year, f.month) {
                return Err(out_of_range("date", text));
            }
            i32::try_from(f.days())
                .ok()
                .filter(|d| (MIN_DATE..END_DATE).contains(d))
                .ok_or_else(|| out_of_range("date", text))
        }
    }
}

/// Reads a time of day.
pub fn time_in(text: &str, typmod: i32, s: &FormatSettings) -> Result<i64> {
    match read_time(text, "time", s, true)? {
        Decoded::Moment(f, _) => Ok(round_time(f.time(), typmod)),
        _ => Err(failure(Failure::Format, text, "time")),
    }
}

/// `time` reads as `timetz` does and drops the zone.
fn read_time(text: &str, type_name: &str, s: &FormatSettings, zone_allowed: bool) -> Result<Decoded> {
    read(text, type_name, s, true, zone_allowed)
}

/// Reads a time of day with zone.
pub fn timetz_in(text: &str, typmod: i32, s: &FormatSettings) -> Result<TimeTz> {
    const NAME: &str = "time with time zone";
    let Decoded::Moment(mut f, z) = read_time(text, NAME, s, true)? else {
        return Err(failure(Failure::Format, text, NAME));
    };
    let micros = f.time();
    if f.month == 0 {
        // No date given: the session's zone has the offset of today.
        let today = Fields::from_timestamp(zone::to_local(&s.time_zone, s.now));
        (f.year, f.month, f.day) = (today.year, today.month, today.day);
    }
    let zone = west(&z, &f, s);
    Ok(TimeTz { micros: round_time(micros, typmod), zone })
}

/// Reads a timestamp without zone; a zone in the text is ignored.
pub fn timestamp_in(text: &str, typmod: i32, s: &FormatSettings) -> Result<i64> {
    if let Some(t) = plain_timestamp(text.as_bytes()) {
        return round_timestamp(t, typmod);
    }
    let t = match read(text, "timestamp", s, false, true)? {
        Decoded::Epoch => i64::from(UNIX_EPOCH_DAYS) * DAY,
        Decoded::Late => TIMESTAMP_INFINITY,
        Decoded::Early => TIMESTAMP_NEG_INFINITY,
        Decoded::Moment(f, _) => in_range(f, 0, text)?,
    };
    round_timestamp(t, typmod)
}

/// Reads a timestamp with zone; without one in the text, the session's applies.
pub fn timestamptz_in(text: &str, typmod: i32, s: &FormatSettings) -> Result<i64> {
    if let Some(local) = plain_timestamp(text.as_bytes()) {
        return round_timestamp(zone::to_utc(&s.time_zone, local)?, typmod);
    }
    let t = match read(text, "timestamp with time zone", s, false, true)? {
        Decoded::Epoch => i64::from(UNIX_EPOCH_DAYS) * DAY,
        Decoded::Late => TIMESTAMP_INFINITY,
        Decoded::Early => TIMESTAMP_NEG_INFINITY,
        Decoded::Moment(f, z) => in_range(f, west(&z, &f, s), text)?,
    };
    round_timestamp(t, typmod)
}

fn in_range(f: Fields, west: i32, text: &str) -> Result<i64> {
    let t = if calendar::is_representable(f.year, f.month) { f.timestamp() } else { None };
    t.and_then(|t| t.checked_add(i64::from(west) * super::SECOND))
        .filter(|t| (super::MIN_TIMESTAMP..super::END_TIMESTAMP).contains(t))
        .ok_or_else(|| out_of_range("timestamp", text))
}

//! Time zones: offsets at a moment, local time to moments, names.

use alloc::{format, string::String, vec::Vec};

use jiff::{
    Timestamp, civil,
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};

use super::{DAY, SECOND, abbreviations::ABBREVIATIONS, calendar::Fields, check_timestamp, out_of_range};
use crate::error::{Result, SqlError, SqlState};

/// 2000-01-01 in seconds since 1970.
const EPOCH: i64 = 946_684_800;
/// The calendar, weekdays included, repeats after 400 years.
const CYCLE: i64 = 146_097 * 86_400;
/// The zone library's last and first seconds, a day off for safety.
const LAST: i64 = 253_402_207_200 - 86_400;
const FIRST: i64 = -377_705_023_201 + 86_400;

/// The library's moment for microseconds since 2000, moved into its range: by whole cycles in the far future (rules
/// repeat), to the earliest moment in the far past (before all transitions).
fn instant(t: i64) -> Timestamp {
    let mut seconds = t.div_euclid(SECOND) + EPOCH;
    if seconds > LAST {
        seconds -= (seconds - LAST + CYCLE - 1) / CYCLE * CYCLE;
    }
    Timestamp::new(seconds.max(FIRST), 0).unwrap_or_default()
}

/// 1884-01-01: North America kept local mean time before.
const STANDARD_TIME: i64 = -(116 * 365 + 29) * DAY;

/// Zones that name a rule, not a place, had no local mean time: their standard time holds for all of the past (the
/// database of today makes them links to places).
fn rule_zone(zone: &TimeZone, t: i64) -> Option<(i32, &'static str)> {
    if t >= STANDARD_TIME {
        return None;
    }
    match zone.iana_name()? {
        "EST5EDT" => Some((-5 * 3600, "EST")),
        "CST6CDT" => Some((-6 * 3600, "CST")),
        "MST7MDT" => Some((-7 * 3600, "MST")),
        "PST8PDT" => Some((-8 * 3600, "PST")),
        _ => None,
    }
}

/// Seconds east of UTC at a moment.
pub fn offset_at(zone: &TimeZone, t: i64) -> i32 {
    if *zone == TimeZone::UTC {
        return 0;
    }
    match rule_zone(zone, t) {
        Some((east, _)) => east,
        None => zone.to_offset(instant(t)).seconds(),
    }
}

/// What there is to say of a zone at a moment.
pub struct ZoneFacts {
    /// Its name.
    pub name: String,
    /// The abbreviation in use.
    pub abbreviation: String,
    /// Seconds east of UTC.
    pub offset: i32,
    /// Daylight-saving time holds.
    pub daylight_saving: bool,
}

/// All zones by name, as they are at a moment.
pub fn zones(t: i64) -> Vec<ZoneFacts> {
    let database = TimeZoneDatabase::bundled();
    let facts = |name: jiff::tz::TimeZoneName<'_>| {
        let zone = database.get(name.as_str()).ok()?;
        let info = zone.to_offset_info(instant(t));
        Some(ZoneFacts {
            name: name.as_str().into(),
            abbreviation: info.abbreviation().into(),
            offset: info.offset().seconds(),
            daylight_saving: info.dst().is_dst(),
        })
    };
    database.available().filter_map(facts).collect()
}

/// Seconds east of UTC of a zone that has never changed its offset.
pub fn constant_offset(zone: &TimeZone) -> Option<i32> {
    if let Ok(o) = zone.to_fixed_offset() {
        return Some(o.seconds());
    }
    let first = zone.to_offset(instant(super::MIN_TIMESTAMP)).seconds();
    let epoch = instant(0);
    let changes = zone.preceding(epoch).chain(zone.following(epoch).take(4));
    changes.into_iter().all(|t| t.offset().seconds() == first).then_some(first)
}

/// A moment's local time: microseconds since 2000-01-01 on the clock of `zone`.
pub fn to_local(zone: &TimeZone, t: i64) -> i64 {
    t.saturating_add(i64::from(offset_at(zone, t)) * SECOND)
}

/// Seconds east of UTC for a local time. A time that a change of clocks skips counts as before the change, one that
/// happens twice as after it.
pub fn offset_of_local(zone: &TimeZone, local: i64) -> i32 {
    if *zone == TimeZone::UTC {
        return 0;
    }
    if let Some((east, _)) = rule_zone(zone, local) {
        return east;
    }
    let mut days = local.div_euclid(DAY);
    let last_day = (LAST - EPOCH) / 86_400 - 1;
    if days > last_day {
        days -= (days - last_day + 146_096) / 146_097 * 146_097;
    }
    let f = Fields::from_timestamp(days.saturating_mul(DAY) + local.rem_euclid(DAY));
    let date = i16::try_from(f.year).ok().and_then(|year| {
        civil::DateTime::new(
            year,
            f.month as i8,
            f.day as i8,
            f.hour as i8,
            f.minute as i8,
            f.second as i8,
            0,
        )
        .ok()
    });
    match date {
        Some(date) => match zone.to_ambiguous_timestamp(date).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.seconds(),
            AmbiguousOffset::Gap { before, .. } => before.seconds(),
            AmbiguousOffset::Fold { after, .. } => after.seconds(),
        },
        None => offset_at(zone, local),
    }
}

/// The moment of a local time.
pub fn to_utc(zone: &TimeZone, local: i64) -> Result<i64> {
    let east = i64::from(offset_of_local(zone, local)) * SECOND;
    check_timestamp(local.checked_sub(east).ok_or_else(|| out_of_range("timestamp out of range"))?)
}

/// What the clock is called at a moment (`PST`), in zones that have a name for it.
pub fn abbreviation_at(zone: &TimeZone, t: i64) -> String {
    match rule_zone(zone, t) {
        Some((_, name)) => name.into(),
        None => zone.to_offset_info(instant(t)).abbreviation().into(),
    }
}

/// Seconds east of UTC and daylight flag of an abbreviation such as `EST`.
pub fn abbreviation(name: &str) -> Option<(i32, bool)> {
    let name = name.to_ascii_lowercase();
    let i = ABBREVIATIONS.binary_search_by(|(n, ..)| (*n).cmp(name.as_str())).ok()?;
    ABBREVIATIONS.get(i).map(|(_, east, dst)| (*east, *dst))
}

/// Every abbreviation: name, seconds east, daylight.
pub fn abbreviations() -> impl Iterator<Item = (&'static str, i32, bool)> {
    ABBREVIATIONS.iter().copied()
}

/// A zone by the names of the time zone database, in any case, or a POSIX specification such as `EST5EDT` or `<+03>-3`.
pub fn by_name(name: &str) -> Option<TimeZone> {
    if name.is_empty() || name.len() > 255 {
        return None;
    }
    if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("gmt") {
        return Some(TimeZone::UTC);
    }
    if let Ok(zone) = TimeZoneDatabase::bundled().get(name) {
        return Some(zone);
    }
    // A bare word is a name nobody knows; offsets make it a specification.
    let looks_posix = name.starts_with('<') || name.bytes().any(|b| b.is_ascii_digit());
    if looks_posix { TimeZone::posix(name).ok().or_else(|| lenient(name)) } else { None }
}

/// A specification of standard time only whose abbreviation is too short for POSIX, or not there: `10`, `+3`, `<x>3:30`.
fn lenient(name: &str) -> Option<TimeZone> {
    let rest = match name.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => name.trim_start_matches(|c: char| !c.is_ascii_digit() && !matches!(c, '+' | '-' | ',')),
    };
    let (sign, rest) = match rest.strip_prefix('-') {
        Some(rest) => (1, rest),
        None => (-1, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let mut seconds = 0;
    let mut parts = rest.split(':');
    for (unit, limit) in [(3600, 167), (60, 59), (1, 59)] {
        let Some(part) = parts.next() else { break };
        let digits = !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
        let number = part.parse::<i32>().ok().filter(|n| digits && *n <= limit)?;
        seconds += number * unit;
    }
    if parts.next().is_some() { None } else { fixed(sign * seconds).ok() }
}

/// The name to show for a zone (`SHOW timezone`).
pub fn name(zone: &TimeZone) -> String {
    if let Some(name) = zone.iana_name() {
        return name.into();
    }
    match zone.to_fixed_offset() {
        Ok(o) if o.seconds() == 0 => "UTC".into(),
        Ok(o) => fixed_name(o.seconds()),
        Err(_) => "UTC".into(),
    }
}

/// POSIX name of a fixed offset, as `SET TIME ZONE -7` shows it: `<-07>+07`.
pub fn fixed_name(east: i32) -> String {
    let part = |sign: char| {
        let s = east.unsigned_abs();
        let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
        match (m, s) {
            (0, 0) => format!("{sign}{h:02}"),
            (_, 0) => format!("{sign}{h:02}:{m:02}"),
            _ => format!("{sign}{h:02}:{m:02}:{s:02}"),
        }
    };
    let (sign, opposite) = if east < 0 { ('-', '+') } else { ('+', '-') };
    format!("<{}>{}", part(sign), part(opposite))
}

/// A zone at a fixed distance, in seconds east.
pub fn fixed(east: i32) -> Result<TimeZone> {
    jiff::tz::Offset::from_seconds(east)
        .map(TimeZone::fixed)
        .map_err(|_| SqlError::new(SqlState(*b"22009"), "time zone displacement out of range"))
}

/// 22023 for an unknown name.
#[cold]
pub fn not_recognized(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"))
}

/// The zone that `AT TIME ZONE 'name'` means: an abbreviation, a name or a POSIX specification.
pub fn resolve(name: &str) -> Result<TimeZone> {
    if let Some((east, _)) = abbreviation(name) {
        return fixed(east);
    }
    by_name(name).ok_or_else(|| not_recognized(name))
}

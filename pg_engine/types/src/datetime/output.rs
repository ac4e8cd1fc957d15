//! Writing dates, times and timestamps.

use alloc::vec::Vec;

use super::{
    DAY, SECOND, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY,
    calendar::{self, Fields},
    zone,
};
use crate::{
    format::{DateOrder, DateStyle, FormatSettings},
    value::TimeTz,
};

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const WEEKDAYS: [&[u8]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];

#[inline]
fn two(n: i32, out: &mut Vec<u8>) {
    // Values from a damaged page may be out of range: they show wrong, but as digits.
    let n = n.unsigned_abs() % 100;
    out.extend_from_slice(&[b'0' + (n / 10) as u8, b'0' + (n % 10) as u8]);
}

/// The year as shown (1 BC is 1), four digits at least.
fn year(n: i32, out: &mut Vec<u8>) {
    let n = if n > 0 { n } else { 1 - n };
    if n < 10_000 {
        two(n / 100, out);
        two(n % 100, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    }
}

/// `.ffffff` without zeros at the end; nothing for 0.
pub(super) fn decimals(micros: i32, out: &mut Vec<u8>) {
    if micros == 0 {
        return;
    }
    let mut digits = *b".000000";
    let mut rest = micros;
    for d in digits[1..].iter_mut().rev() {
        *d = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let end = digits.iter().rposition(|d| *d != b'0').map_or(0, |i| i + 1);
    out.extend_from_slice(&digits[..end]);
}

fn time(f: &Fields, out: &mut Vec<u8>) {
    two(f.hour, out);
    out.push(b':');
    two(f.minute, out);
    out.push(b':');
    two(f.second, out);
    decimals(f.micros, out);
}

/// `+hh[:mm[:ss]]`
fn offset(east: i32, out: &mut Vec<u8>) {
    out.push(if east < 0 { b'-' } else { b'+' });
    let s = east.abs();
    two(s / 3600, out);
    let (minutes, seconds) = (s / 60 % 60, s % 60);
    if minutes != 0 || seconds != 0 {
        out.push(b':');
        two(minutes, out);
    }
    if seconds != 0 {
        out.push(b':');
        two(seconds, out);
    }
}

fn month_and_day(f: &Fields, order: DateOrder, separator: u8, out: &mut Vec<u8>) {
    let (first, second) = if order == DateOrder::Dmy { (f.day, f.month) } else { (f.month, f.day) };
    two(first, out);
    out.push(separator);
    two(second, out);
}

fn date(f: &Fields, s: &FormatSettings, out: &mut Vec<u8>) {
    match s.date_style {
        DateStyle::Iso => {
            year(f.year, out);
            out.push(b'-');
            two(f.month, out);
            out.push(b'-');
            two(f.day, out);
        }
        DateStyle::Sql => {
            month_and_day(f, s.date_order, b'/', out);
            out.push(b'/');
            year(f.year, out);
        }
        DateStyle::German => {
            two(f.day, out);
            out.push(b'.');
            two(f.month, out);
            out.push(b'.');
            year(f.year, out);
        }
        DateStyle::Postgres => {
            month_and_day(f, s.date_order, b'-', out);
            out.push(b'-');
            year(f.year, out);
        }
    }
}

fn era(f: &Fields, out: &mut Vec<u8>) {
    if f.year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

/// Appends a date.
pub fn write_date(days: i32, s: &FormatSettings, out: &mut Vec<u8>) {
    match days {
        super::DATE_INFINITY => return out.extend_from_slice(b"infinity"),
        super::DATE_NEG_INFINITY => return out.extend_from_slice(b"-infinity"),
        _ => {}
    }
    let (year, month, day) = calendar::civil_from_days(days.into());
    let f = Fields { year, month, day, ..Fields::default() };
    date(&f, s, out);
    era(&f, out);
}

/// Appends a time of day.
pub fn write_time(micros: i64, out: &mut Vec<u8>) {
    time(&Fields::from_time(micros), out);
}

/// Appends a time of day with zone.
pub fn write_timetz(t: &TimeTz, out: &mut Vec<u8>) {
    write_time(t.micros, out);
    offset(-t.zone, out);
}

fn write_infinity(t: i64, out: &mut Vec<u8>) -> bool {
    match t {
        TIMESTAMP_INFINITY => out.extend_from_slice(b"infinity"),
        TIMESTAMP_NEG_INFINITY => out.extend_from_slice(b"-infinity"),
        _ => return false,
    }
    true
}

/// Appends a timestamp without zone.
pub fn write_timestamp(t: i64, s: &FormatSettings, out: &mut Vec<u8>) {
    if !write_infinity(t, out) {
        write_local(t, None, s, out);
    }
}

/// Appends a timestamp with zone, in the session's zone.
pub fn write_timestamptz(t: i64, s: &FormatSettings, out: &mut Vec<u8>) {
    if !write_infinity(t, out) {
        let east = zone::offset_at(&s.time_zone, t);
        write_local(t.saturating_add(i64::from(east) * SECOND), Some((t, east)), s, out);
    }
}

/// Two digits of a number below 100 (larger ones, from a damaged page, show wrong, but as digits).
#[inline]
fn pair(n: i32) -> [u8; 2] {
    let n = n as u32 % 100;
    [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8]
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]` for years of four digits.
#[inline]
fn plain(f: &Fields, out: &mut Vec<u8>) {
    let mut text = *b"0000-00-00 00:00:00.000000";
    let mut put = |at: usize, digits: [u8; 2]| text[at..at + 2].copy_from_slice(&digits);
    put(0, pair(f.year / 100));
    put(2, pair(f.year));
    put(5, pair(f.month));
    put(8, pair(f.day));
    put(11, pair(f.hour));
    put(14, pair(f.minute));
    put(17, pair(f.second));
    if f.micros == 0 {
        return out.extend_from_slice(&text[..19]);
    }
    put(20, pair(f.micros / 10_000));
    put(22, pair(f.micros / 100));
    put(24, pair(f.micros));
    let zeros = text.iter().rev().take_while(|b| **b == b'0').count();
    out.extend_from_slice(&text[..text.len() - zeros]);
}

/// `zone`: the moment and its offset from UTC.
fn write_local(local: i64, zone: Option<(i64, i32)>, s: &FormatSettings, out: &mut Vec<u8>) {
    let f = Fields::from_timestamp(local);
    if s.date_style == DateStyle::Iso && (1..10_000).contains(&f.year) {
        plain(&f, out);
        if let Some((_, east)) = zone {
            offset(east, out);
        }
        return;
    }
    if s.date_style == DateStyle::Postgres {
        let weekday = calendar::weekday(local.div_euclid(DAY));
        out.extend_from_slice(WEEKDAYS.get(weekday as usize).copied().unwrap_or_default());
        out.push(b' ');
        let month = MONTHS.get(f.month as usize - 1).copied().unwrap_or_default();
        if s.date_order == DateOrder::Dmy {
            two(f.day, out);
            out.push(b' ');
            out.extend_from_slice(month);
        } else {
            out.extend_from_slice(month);
            out.push(b' ');
            two(f.day, out);
        }
        out.push(b' ');
        time(&f, out);
        out.push(b' ');
        year(f.year, out);
    } else {
        date(&f, s, out);
        out.push(b' ');
        time(&f, out);
    }
    if let Some((moment, east)) = zone {
        if s.date_style == DateStyle::Iso {
            offset(east, out);
        } else {
            out.push(b' ');
            out.extend_from_slice(zone::abbreviation_at(&s.time_zone, moment).as_bytes());
        }
    }
    era(&f, out);
}

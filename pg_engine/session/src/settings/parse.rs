//! From what was written to a setting's canonical text.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_encoding::Encoding;
use pg_types::{
    Result, SqlError, SqlState,
    format::{DateOrder, DateStyle},
};

use super::table::{Definition, Kind, Unit};

fn invalid(name: &str, value: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{name}\": \"{value}\""),
    )
}

/// Checks a value and gives its canonical text (`setting` in `pg_settings`: numbers in base units).
pub fn canonical(d: &Definition, values: &[impl AsRef<str>]) -> Result<String> {
    match d.kind {
        Kind::List => {
            return Ok(values.iter().map(|v| quote_identifier(v.as_ref())).collect::<Vec<_>>().join(", "));
        }
        Kind::DateStyle => {
            let joined = values.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ");
            return date_style(d.name, &joined).map(|(s, o)| show_date_style(s, o));
        }
        _ => {}
    }
    let value = match values {
        [one] => one.as_ref(),
        _ => {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("SET {} takes only one argument", d.name),
            ));
        }
    };
    match d.kind {
        Kind::Bool => boolean(value).map(|b| if b { "on" } else { "off" }.to_owned()).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("parameter \"{}\" requires a Boolean value", d.name),
            )
        }),
        Kind::Int(min, max, unit) => integer(d.name, value, min, max, unit).map(|n| n.to_string()),
        Kind::Real(min, max) => real(d.name, value, min, max),
        Kind::Enum(words) => enumeration(d.name, value, words),
        Kind::TimeZone => time_zone(value).map(|(name, _)| name).ok_or_else(|| invalid(d.name, value)),
        Kind::Encoding => encoding(d.name, value),
        Kind::Audit => match crate::audit::Classes::parse(value) {
            Some(_) => Ok(value.to_owned()),
            None => Err(invalid(d.name, value)),
        },
        Kind::Ascii => Ok(name_part(value)
            .bytes()
            .map(|b| if (0x20..0x7f).contains(&b) { char::from(b) } else { '?' })
            .collect()),
        _ => Ok(value.to_owned()),
    }
}

/// As much of a text as a name may have.
pub fn name_part(text: &str) -> &str {
    const LONGEST: usize = 63;
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}

/// PostgreSQL's spellings of truth: unique prefixes of true, false, yes, no; on, off (`o` is ambiguous); 1, 0.
pub fn boolean(text: &str) -> Option<bool> {
    let t = text.trim().to_ascii_lowercase();
    match t.as_str() {
        "" => None,
        "1" | "on" => Some(true),
        "0" | "of" | "off" => Some(false),
        t if "true".starts_with(t) || "yes".starts_with(t) => Some(true),
        t if "false".starts_with(t) || "no".starts_with(t) => Some(false),
        _ => None,
    }
}

fn integer(name: &str, value: &str, min: i64, max: i64, unit: Unit) -> Result<i64> {
    let text = value.trim();
    let digits =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (number, suffix) = (number.trim(), suffix.trim());
    let number: f64 = match number.parse::<f64>() {
        Ok(n) => n,
        Err(_) => match i64::from_str_radix(text.trim_start_matches("0x"), 16) {
            Ok(n) if text.starts_with("0x") => return in_range(name, n, min, max, unit),
            _ => return Err(invalid(name, value)),
        },
    };
    let worth = if suffix.is_empty() {
        (1, 1)
    } else {
        match unit.suffixes().iter().find(|(s, ..)| *s == suffix) {
            Some((_, n, d)) => (*n, *d),
            None => {
                let e = invalid(name, value);
                return Err(match unit.hint() {
                    Some(hint) => e.hint(hint),
                    None => e,
                });
            }
        }
    };
    #[allow(clippy::cast_precision_loss, reason = "unit factors are small")]
    let scaled = libm::rint(number * worth.0 as f64 / worth.1 as f64);
    if !(-2_147_483_648.0..=2_147_483_647.0).contains(&scaled) {
        return Err(invalid(name, value).hint("Value exceeds integer range."));
    }
    #[allow(clippy::cast_possible_truncation, reason = "range checked")]
    in_range(name, scaled as i64, min, max, unit)
}

fn in_range(name: &str, n: i64, min: i64, max: i64, unit: Unit) -> Result<i64> {
    if (min..=max).contains(&n) {
        return Ok(n);
    }
    let unit = unit.as_str().map(|u| format!(" {u}")).unwrap_or_default();
    Err(SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("{n}{unit} is outside the valid range for parameter \"{name}\" ({min} .. {max})"),
    ))
}

fn real(name: &str, value: &str, min: f64, max: f64) -> Result<String> {
    let n: f64 =
        value.trim().parse().ok().filter(|n: &f64| !n.is_nan()).ok_or_else(|| invalid(name, value))?;
    if !(min..=max).contains(&n) {
        let top = if max == f64::MAX { "1.79769e+308".to_owned() } else { max.to_string() };
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("{n} is outside the valid range for parameter \"{name}\" ({min} .. {top})"),
        ));
    }
    Ok(n.to_string())
}

fn enumeration(name: &str, value: &str, words: &'static [&'static str]) -> Result<String> {
    if let Some(w) = words.iter().find(|w| w.eq_ignore_ascii_case(value.trim())) {
        return Ok((*w).to_owned());
    }
    // Enumerations of switches take the other spellings of truth too.
    let switch = boolean(value).map(|b| if b { "on" } else { "off" });
    if let Some(w) = switch.and_then(|s| words.iter().find(|w| **w == s)) {
        return Ok((*w).to_owned());
    }
    if let [only] = words {
        // PostgreSQL has other values; here there is one.
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("value \"{value}\" of parameter \"{name}\" is not supported"),
        )
        .hint(format!("The only supported value is \"{only}\".")));
    }
    Err(invalid(name, value).hint(format!("Available values: {}.", words.join(", "))))
}

fn encoding(name: &str, value: &str) -> Result<String> {
    let encoding = Encoding::by_name(value).ok_or_else(|| invalid(name, value))?;
    if encoding.is_supported() {
        return Ok(encoding.name().to_owned());
    }
    let text = format!("invalid value for parameter \"{name}\": \"{value}\"");
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
        .detail(format!("Conversion between {} and UTF8 is not supported.", encoding.name())))
}

/// DateStyle: comma-separated words, each a style or an order.
pub fn date_style(name: &str, value: &str) -> Result<(DateStyle, DateOrder)> {
    let (mut style, mut order) = (None, None);
    let mut conflict = false;
    for word in value.split(',').map(str::trim) {
        let lower = word.to_ascii_lowercase();
        let (s, o) = match lower.as_str() {
            "iso" => (Some(DateStyle::Iso), None),
            "sql" => (Some(DateStyle::Sql), None),
            "german" => (Some(DateStyle::German), None),
            w if w.starts_with("postgres") => (Some(DateStyle::Postgres), None),
            "ymd" => (None, Some(DateOrder::Ymd)),
            "dmy" => (None, Some(DateOrder::Dmy)),
            w if w.starts_with("euro") => (None, Some(DateOrder::Dmy)),
            "mdy" | "us" => (None, Some(DateOrder::Mdy)),
            w if w.starts_with("noneuro") => (None, Some(DateOrder::Mdy)),
            "default" => (Some(DateStyle::Iso), Some(DateOrder::Mdy)),
            _ => return Err(invalid(name, value).detail(format!("Unrecognized key word: \"{lower}\"."))),
        };
        conflict |= s.is_some() && style.is_some_and(|x| Some(x) != s);
        conflict |= o.is_some() && order.is_some_and(|x| Some(x) != o);
        style = s.or(style);
        order = o.or(order);
    }
    if conflict {
        return Err(invalid(name, value).detail("Conflicting \"datestyle\" specifications."));
    }
    let order =
        order.unwrap_or(if style == Some(DateStyle::German) { DateOrder::Dmy } else { DateOrder::Mdy });
    Ok((style.unwrap_or(DateStyle::Iso), order))
}

fn show_date_style(style: DateStyle, order: DateOrder) -> String {
    let s = match style {
        DateStyle::Iso => "ISO",
        DateStyle::Postgres => "Postgres",
        DateStyle::Sql => "SQL",
        DateStyle::German => "German",
    };
    let o = match order {
        DateOrder::Mdy => "MDY",
        DateOrder::Dmy => "DMY",
        DateOrder::Ymd => "YMD",
    };
    format!("{s}, {o}")
}

/// A zone by name, by hours east of UTC, or in POSIX form; with the name to show.
pub fn time_zone(value: &str) -> Option<(String, jiff::tz::TimeZone)> {
    let value = value.trim();
    if let Ok(hours) = value.parse::<f64>() {
        if !(-24.0 * 7.0..=24.0 * 7.0).contains(&hours) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, reason = "range checked")]
        let seconds = libm::rint(hours * 3600.0) as i32;
        let offset = jiff::tz::Offset::from_seconds(seconds).ok()?;
        let (sign, inverse) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
        let s = seconds.unsigned_abs();
        let mut hm = format!("{:02}", s / 3600);
        if !s.is_multiple_of(3600) {
            hm.push_str(&format!(":{:02}", s % 3600 / 60));
        }
        if !s.is_multiple_of(60) {
            hm.push_str(&format!(":{:02}", s % 60));
        }
        return Some((format!("<{sign}{hm}>{inverse}{hm}"), jiff::tz::TimeZone::fixed(offset)));
    }
    if let Some(offset) = clock_offset(value) {
        return Some((value.to_owned(), jiff::tz::TimeZone::fixed(offset)));
    }
    if value.eq_ignore_ascii_case("utc") {
        return Some(("UTC".to_owned(), jiff::tz::TimeZone::UTC));
    }
    if let Ok(zone) = jiff::tz::TimeZone::get(value) {
        let name = zone.iana_name().unwrap_or(value).to_owned();
        return Some((name, zone));
    }
    // Clients go by the letters of what is reported: GMT-3, however it was written.
    let name = value.to_ascii_uppercase();
    let zone = jiff::tz::TimeZone::posix(&name).ok()?;
    Some((name, zone))
}

/// `[+|-]hours:minutes`: a POSIX zone without a name, which counts west of Greenwich.
fn clock_offset(value: &str) -> Option<jiff::tz::Offset> {
    let (sign, digits) = match value.strip_prefix('-') {
        Some(rest) => (1, rest),
        None => (-1, value.strip_prefix('+').unwrap_or(value)),
    };
    let (hours, minutes) = digits.split_once(':')?;
    let number = |s: &str, most: i32| {
        let plain = !s.is_empty() && s.len() <= 3 && s.bytes().all(|b| b.is_ascii_digit());
        s.parse::<i32>().ok().filter(|n| plain && *n <= most)
    };
    let minutes = number(hours, 167)? * 60 + number(minutes, 59)?;
    jiff::tz::Offset::from_seconds(sign * minutes * 60).ok()
}

/// An identifier, quoted if it must be.
pub fn quote_identifier(name: &str) -> String {
    let plain = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Splits a list of identifiers; `None`: not one.
pub fn split_identifiers(text: &str) -> Option<Vec<String>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    if rest.is_empty() {
        return Some(out);
    }
    loop {
        let name;
        if let Some(mut quoted) = rest.strip_prefix('"') {
            let mut s = String::new();
            loop {
                let (part, after) = quoted.split_once('"')?;
                s.push_str(part);
                match after.strip_prefix('"') {
                    Some(more) => {
                        s.push('"');
                        quoted = more;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
            name = s;
        } else {
            let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            name = word.to_lowercase();
            rest = after;
        }
        if name.is_empty() {
            return None;
        }
        out.push(name);
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(out);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

/// How SHOW prints a canonical value: numbers in the largest unit that divides them.
pub fn show(d: &Definition, canonical: &str) -> String {
    let Kind::Int(_, _, unit) = d.kind else { return canonical.to_owned() };
    let Ok(n) = canonical.parse::<i64>() else { return canonical.to_owned() };
    if n <= 0 {
        return canonical.to_owned();
    }
    if unit == Unit::Blocks {
        // Pages have no name of their own: shown as bytes.
        return show_units(n * 8, Unit::Kb);
    }
    show_units(n, unit)
}

fn show_units(n: i64, unit: Unit) -> String {
    match unit.suffixes().iter().find(|(_, worth, d)| *d == 1 && n % worth == 0) {
        Some((suffix, worth, _)) => format!("{}{suffix}", n / worth),
        None => n.to_string(),
    }
}

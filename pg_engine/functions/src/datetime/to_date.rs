//! `to_date` and `to_timestamp`: reading by a template.

use alloc::format;

use pg_types::{
    Result, SqlError, SqlState,
    datetime::{
        self,
        calendar::{days_from_civil, days_in_month, is_leap, iso_week_start},
        zone,
    },
    oid::*,
};

use super::{
    DAY,
    template::{DAYS, Field, Item, MONTHS, ROMAN, Template, parse},
};
use crate::{
    call::{Date, TimestampTz, row},
    def::{EvalContext, Function},
    errors::{date_range, timestamp_range},
    table::def,
};

/// What has been read.
#[derive(Default)]
struct Read {
    half_day: Option<bool>,
    twelve_hours: bool,
    hour: Option<i64>,
    minute: Option<i64>,
    second: Option<i64>,
    second_of_day: Option<i64>,
    micros: Option<i64>,
    day_of_week: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    month: Option<i64>,
    year: Option<i64>,
    bc: bool,
    week: Option<i64>,
    week_of_month: Option<i64>,
    century: Option<i64>,
    julian: Option<i64>,
    year_digits: u8,
    zone_sign: i64,
    zone_hour: i64,
    zone_minute: Option<i64>,
    zoned: bool,
    iso: Option<bool>,
}

#[cold]
fn malformed(message: impl Into<alloc::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

#[cold]
fn field_range(text: &str) -> SqlError {
    SqlError::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("date/time field value out of range: \"{text}\""),
    )
}

/// A field's name in messages.
fn pattern_name(field: Field) -> &'static str {
    match field {
        Field::Century => "CC",
        Field::DayOfYear => "DDD",
        Field::IsoDayOfYear => "IDDD",
        Field::DayOfMonth => "DD",
        Field::DayOfWeek => "D",
        Field::IsoDayOfWeek => "ID",
        Field::Fraction(_) => "FF",
        Field::Milliseconds => "MS",
        Field::Microseconds => "US",
        Field::Hour24 => "HH24",
        Field::Hour12 => "HH12",
        Field::IsoWeek => "IW",
        Field::IsoYear(4) => "IYYY",
        Field::IsoYear(3) => "IYY",
        Field::IsoYear(2) => "IY",
        Field::IsoYear(_) => "I",
        Field::Julian => "J",
        Field::Minute => "MI",
        Field::MonthNumber => "MM",
        Field::Quarter => "Q",
        Field::SecondOfDay => "SSSS",
        Field::Second => "SS",
        Field::ZoneHour => "TZH",
        Field::ZoneMinute => "TZM",
        Field::WeekOfYear => "WW",
        Field::WeekOfMonth => "W",
        Field::GroupedYear => "Y,YYY",
        Field::Year(4) => "YYYY",
        Field::Year(3) => "YYY",
        Field::Year(2) => "YY",
        Field::Year(_) => "Y",
        Field::MonthName => "MONTH",
        Field::ShortMonthName => "MON",
        Field::DayName => "DAY",
        Field::ShortDayName => "DY",
        Field::RomanMonth => "RM",
        Field::Era { .. } => "AD",
        Field::HalfDay { .. } => "AM",
        Field::Offset => "OF",
        Field::ZoneName => "TZ",
    }
}

/// Most digits a field takes when another number follows at once.
fn width(field: Field) -> usize {
    match field {
        Field::Julian => 1,
        Field::SecondOfDay => 5,
        Field::Microseconds => 6,
        Field::Fraction(n) => n.into(),
        Field::DayOfYear | Field::IsoDayOfYear | Field::Milliseconds => 3,
        Field::Year(n) | Field::IsoYear(n) => n.into(),
        Field::DayOfWeek | Field::IsoDayOfWeek | Field::Quarter | Field::WeekOfMonth => 1,
        _ => 2,
    }
}

/// True when the field is read as a number.
fn numeric(field: Field) -> bool {
    !matches!(
        field,
        Field::Era { .. }
            | Field::HalfDay { .. }
            | Field::DayName
            | Field::ShortDayName
            | Field::MonthName
            | Field::ShortMonthName
            | Field::RomanMonth
            | Field::Offset
            | Field::ZoneName
            | Field::ZoneHour
    )
}

fn set(slot: &mut Option<i64>, value: i64, field: Field) -> Result<()> {
    match slot {
        Some(old) if *old != value => Err(malformed(format!(
            "conflicting values for \"{}\" field in formatting string",
            pattern_name(field)
        ))
        .detail("This value contradicts a previous setting for the same field type.")),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    read: Read,
    exact: bool,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) -> usize {
        let trimmed = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let skipped = self.rest.len() - trimmed.len();
        self.rest = trimmed;
        skipped
    }

    /// Reads an integer of at most `width` characters (any number when `open`), with a sign.
    fn integer(&mut self, field: Field, width: usize, open: bool) -> Result<(i64, usize)> {
        self.skip_space();
        let fault = |value: &str| {
            malformed(format!("invalid value \"{value}\" for \"{}\"", pattern_name(field)))
                .detail("Value must be an integer.")
        };
        let b = self.rest.as_bytes();
        let limit = if open { b.len() } else { width.min(b.len()) };
        let sign = usize::from(matches!(b.first(), Some(b'+' | b'-')) && limit > 1);
        let mut end = sign;
        while end < limit && b.get(end).is_some_and(u8::is_ascii_digit) {
            end += 1;
        }
        if end == sign {
            let mut cut = pattern_name(field).len().min(self.rest.len());
            while !self.rest.is_char_boundary(cut) {
                cut += 1;
            }
            return Err(fault(self.rest.get(..cut).unwrap_or_default()));
        }
        if self.exact && !open && end - sign < width && end < b.len() {
            let shown = self.rest.get(..end).unwrap_or_default();
            return Err(malformed(format!(
                "source string too short for \"{}\" formatting field",
                pattern_name(field)
            ))
            .detail(format!("Field requires {width} characters, but only {} remain.", shown.len()))
            .hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
        }
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        let value: i64 = number.trim_start_matches('+').parse().map_err(|_| {
            SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("value for \"{}\" in source string is out of range", pattern_name(field)),
            )
            .detail("Value must be in the range -2147483648 to 2147483647.")
        })?;
        if i32::try_from(value).is_err() {
            return Err(SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("value for \"{}\" in source string is out of range", pattern_name(field)),
            )
            .detail("Value must be in the range -2147483648 to 2147483647."));
        }
        Ok((value, end - sign))
    }

    /// Reads one of several names in any case; its index.
    fn name<'n>(&mut self, field: Field, names: impl Iterator<Item = &'n str>) -> Result<usize> {
        let mut best: Option<(usize, usize)> = None;
        for (i, name) in names.enumerate() {
            let hit = self.rest.get(..name.len()).is_some_and(|t| t.eq_ignore_ascii_case(name));
            if hit && best.is_none_or(|(_, len)| name.len() > len) {
                best = Some((i, name.len()));
            }
        }
        let Some((i, len)) = best else {
            let word = self.rest.split(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default();
            return Err(malformed(format!("invalid value \"{word}\" for \"{}\"", pattern_name(field)))
                .detail("The given value did not match any of the allowed values for this field."));
        };
        self.rest = self.rest.get(len..).unwrap_or_default();
        Ok(i)
    }

    fn clock(&mut self, iso: bool) -> Result<()> {
        match self.read.iso {
            Some(old) if old != iso => Err(malformed("invalid combination of date conventions")
                .hint("Do not mix Gregorian and ISO week date conventions in a formatting template.")),
            _ => {
                self.read.iso = Some(iso);
                Ok(())
            }
        }
    }

    /// Reads a fraction of a second as if digits followed to the sixth place.
    fn fraction(&mut self, field: Field, places: usize, open: bool) -> Result<()> {
        let (value, digits) = self.integer(field, places, open)?;
        let micros = match digits {
            0..=6 => value * 10i64.pow(6 - digits as u32),
            _ => return Err(malformed(format!("invalid value for \"{}\"", pattern_name(field)))),
        };
        set(&mut self.read.micros, micros, field)
    }

    fn field(&mut self, field: Field, open: bool) -> Result<()> {
        use Field::*;
        match field {
            HalfDay { dots } => {
                let names = if dots { ["A.M.", "P.M."] } else { ["AM", "PM"] };
                self.read.half_day = Some(self.name(field, names.into_iter())? == 1);
                self.read.twelve_hours = true;
            }
            Era { dots } => {
                let names = if dots { ["A.D.", "B.C."] } else { ["AD", "BC"] };
                self.read.bc = self.name(field, names.into_iter())? == 1;
            }
            MonthName => {
                let i = self.name(field, MONTHS.into_iter())?;
                set(&mut self.read.month, i as i64 + 1, field)?;
            }
            ShortMonthName => {
                let i = self.name(field, MONTHS.into_iter().map(|m| m.get(..3).unwrap_or(m)))?;
                set(&mut self.read.month, i as i64 + 1, field)?;
            }
            RomanMonth => {
                let i = self.name(field, ROMAN.into_iter())?;
                set(&mut self.read.month, i as i64 + 1, field)?;
            }
            DayName => {
                let i = self.name(field, DAYS.into_iter())?;
                set(&mut self.read.day_of_week, i as i64, field)?;
            }
            ShortDayName => {
                let i = self.name(field, DAYS.into_iter().map(|d| d.get(..3).unwrap_or(d)))?;
                set(&mut self.read.day_of_week, i as i64, field)?;
            }
            ZoneName | Offset => {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!(
                        "formatting field \"{}\" is only supported in to_char",
                        if field == Offset { "OF" } else { "TZ" }
                    ),
                ));
            }
            ZoneHour => self.zone_hour(open)?,
            ZoneMinute => {
                let (value, _) = self.integer(field, 2, open)?;
                self.read.zone_minute = Some(value);
                self.read.zoned = true;
            }
            Milliseconds => self.fraction(field, 3, open)?,
            Microseconds => self.fraction(field, 6, open)?,
            Fraction(n) => self.fraction(field, n.into(), open)?,
            GroupedYear => self.grouped_year()?,
            Year(digits) | IsoYear(digits) => {
                self.clock(matches!(field, IsoYear(_)))?;
                let (mut value, seen) = self.integer(field, digits.into(), open)?;
                if digits < 4 && seen < 4 && value >= 0 {
                    // Two digits mean 1970 to 2069, and so on.
                    value += match seen {
                        _ if digits == 3 && (100..520).contains(&value) => 2000,
                        _ if digits == 3 && value >= 520 => 1000,
                        _ if value < 70 => 2000,
                        _ if value < 100 => 1900,
                        _ => 0,
                    };
                }
                set(&mut self.read.year, value, field)?;
                self.read.year_digits = digits;
            }
            _ => {
                let (value, _) = self.integer(field, width(field), open)?;
                let slot = match field {
                    Hour12 => {
                        self.read.twelve_hours = true;
                        &mut self.read.hour
                    }
                    Hour24 => &mut self.read.hour,
                    Minute => &mut self.read.minute,
                    Second => &mut self.read.second,
                    SecondOfDay => &mut self.read.second_of_day,
                    MonthNumber => &mut self.read.month,
                    DayOfMonth => &mut self.read.day,
                    DayOfYear | IsoDayOfYear => &mut self.read.day_of_year,
                    DayOfWeek | IsoDayOfWeek => &mut self.read.day_of_week,
                    WeekOfYear | IsoWeek => &mut self.read.week,
                    WeekOfMonth => &mut self.read.week_of_month,
                    Century => &mut self.read.century,
                    Julian => &mut self.read.julian,
                    // Read and left alone: a quarter says nothing exact.
                    _ => return Ok(()),
                };
                // Days of the week count from Sunday as 0 inside.
                let value = match field {
                    DayOfWeek => value - 1,
                    IsoDayOfWeek => value % 7,
                    _ => value,
                };
                set(slot, value, field)?;
                match field {
                    DayOfYear | WeekOfYear | DayOfWeek => self.clock(false)?,
                    IsoDayOfYear | IsoWeek | IsoDayOfWeek => self.clock(true)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn zone_hour(&mut self, open: bool) -> Result<()> {
        self.skip_space();
        self.read.zone_sign = 1;
        match self.rest.as_bytes().first() {
            Some(b'-') => {
                self.read.zone_sign = -1;
                self.rest = self.rest.get(1..).unwrap_or_default();
            }
            Some(b'+') => self.rest = self.rest.get(1..).unwrap_or_default(),
            _ => {}
        }
        self.read.zone_hour = self.integer(Field::ZoneHour, 2, open)?.0;
        self.read.zoned = true;
        Ok(())
    }

    fn grouped_year(&mut self) -> Result<()> {
        self.clock(false)?;
        let fault = || malformed("invalid input string for \"Y,YYY\"");
        let (thousands, rest) = self.rest.split_once(',').ok_or_else(fault)?;
        let digits = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
        let (units, rest) = rest.split_at(digits);
        let thousands: i64 = thousands.trim().parse().map_err(|_| fault())?;
        let units: i64 = units.parse().map_err(|_| fault())?;
        self.rest = rest;
        let year = thousands.checked_mul(1000).and_then(|y| y.checked_add(units)).ok_or_else(fault)?;
        set(&mut self.read.year, year, Field::GroupedYear)?;
        self.read.year_digits = 4;
        Ok(())
    }
}

/// Whether a template's character is a separator, which matches any other.
fn is_separator(c: char) -> bool {
    c.is_ascii() && !c.is_ascii_alphanumeric() && c > ' '
}

fn read(text: &str, template: &Template) -> Result<Read> {
    let mut r = Reader { rest: text, read: Read::default(), exact: template.exact };
    let mut items = template.items.iter().peekable();
    // Blanks of the input that nothing in the template stood for.
    let (mut first, mut extra) = (true, 0i64);
    while let Some(item) = items.next() {
        if r.rest.is_empty() {
            break;
        }
        // Blanks before a field and at the beginning mean nothing; a field of nothing else has no value.
        let text =
            matches!(item, Item::Char(c, quoted) if *quoted || !c.is_whitespace() && !is_separator(*c));
        if !r.exact && (!text || first) {
            extra += r.skip_space() as i64;
        }
        first = false;
        match *item {
            Item::Char(c, _) if !r.exact && !text => {
                extra -= 1;
                let next = r.rest.chars().next();
                // A blank may stand for a separator, but not for a sign that the next field reads.
                let keeps_sign =
                    c.is_whitespace() && matches!(next, Some('-' | '+')) && sign_may_follow(items.peek());
                if next.is_some_and(is_separator) && !keeps_sign {
                    r.rest = r.rest.get(next.map_or(0, char::len_utf8)..).unwrap_or_default();
                    extra += 1;
                }
            }
            // A text character stands for a blank that was skipped, or takes up one of the input, whatever it is.
            Item::Char(..) if extra > 0 => extra -= 1,
            Item::Char(..) => {
                let len = r.rest.chars().next().map_or(0, char::len_utf8);
                r.rest = r.rest.get(len..).unwrap_or_default();
            }
            Item::Field { field, fill, ordinal, .. } => {
                let next_numeric = match items.peek() {
                    Some(Item::Field { field, .. }) => numeric(*field),
                    Some(Item::Char(c, _)) => c.is_ascii_digit(),
                    None => false,
                };
                r.field(field, fill || !next_numeric)?;
                if ordinal.is_some() {
                    r.rest = r.rest.get(2..).unwrap_or_default();
                }
                extra = if r.exact { 0 } else { r.skip_space() as i64 };
            }
        }
    }
    Ok(r.read)
}

/// True when the next field reads a sign of its own.
fn sign_may_follow(item: Option<&&Item>) -> bool {
    matches!(item, Some(Item::Field { field: Field::ZoneHour, .. }))
}

/// The days since 2000 and the time that the fields name.
fn resolve(r: &Read, text: &str) -> Result<(i64, i64)> {
    let mut hour = r.hour.unwrap_or(0);
    let (mut minute, mut second) = (r.minute.unwrap_or(0), r.second.unwrap_or(0));
    if let Some(s) = r.second_of_day {
        (hour, minute, second) = (s / 3600, s / 60 % 60, s % 60);
    }
    if r.twelve_hours {
        if !(1..=12).contains(&hour) && r.hour.is_some() {
            return Err(malformed(format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                .hint("Use the 24-hour clock, or give an hour between 1 and 12."));
        }
        match r.half_day {
            Some(true) if hour < 12 => hour += 12,
            Some(false) if hour == 12 => hour = 0,
            _ => {}
        }
    }
    let time_ok = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    let micros = r.micros.unwrap_or(0);
    if !time_ok || !(0..1_000_000).contains(&micros) {
        return Err(field_range(text));
    }
    let time = hour * 3_600_000_000 + minute * 60_000_000 + second * 1_000_000 + micros;
    Ok((date(r, text)?, time))
}

fn year(r: &Read) -> i64 {
    match (r.year, r.century) {
        (Some(y), Some(c)) if r.year_digits <= 2 => {
            // Within the century.
            let within = y % 100;
            if c >= 0 {
                if within == 0 { c * 100 } else { (c - 1) * 100 + within }
            } else {
                (c + 1) * 100 - within + 1
            }
        }
        (Some(y), _) if r.bc => 1 - y,
        (Some(y), _) if y < 0 => y + 1,
        (Some(y), _) => y,
        (None, Some(c)) if r.bc => -(c - 1) * 100 - 99,
        (None, Some(c)) if c >= 0 => (c - 1) * 100 + 1,
        (None, Some(c)) => c * 100 + 1,
        // Nothing named a year: 1 BC.
        (None, None) => 0,
    }
}

fn date(r: &Read, text: &str) -> Result<i64> {
    if let Some(j) = r.julian {
        return Ok(j - 2_451_545);
    }
    let year = i32::try_from(year(r)).map_err(|_| field_range(text))?;
    let first = |n: i64| days_from_civil(year, 1, 1) + n - 1;
    if r.iso == Some(true) {
        let week = i32::try_from(r.week.unwrap_or(1)).map_err(|_| field_range(text))?;
        if let Some(day) = r.day_of_year {
            return Ok(iso_week_start(year, 1) + day - 1);
        }
        // Sunday, 0 inside, ends the week.
        let day = r.day_of_week.map_or(1, |d| if d == 0 { 7 } else { d });
        if r.week.is_some() || r.day_of_week.is_some() {
            return Ok(iso_week_start(year, week) + day - 1);
        }
    } else if let Some(week) = r.week {
        return Ok(first((week - 1) * 7 + 1));
    }
    if let Some(day) = r.day_of_year
        && r.month.is_none()
        && r.day.is_none()
    {
        if r.year.is_none() {
            return Err(malformed("cannot calculate day of year without year information"));
        }
        let last = if is_leap(year) { 366 } else { 365 };
        if !(1..=last).contains(&day) {
            return Err(field_range(text));
        }
        return Ok(first(day));
    }
    let month = r.month.unwrap_or(1);
    let day = r.day.unwrap_or_else(|| r.week_of_month.map_or(1, |w| (w - 1) * 7 + 1));
    let in_range =
        (1..=12).contains(&month) && day >= 1 && day <= i64::from(days_in_month(year, month as i32));
    if !in_range {
        return Err(field_range(text));
    }
    Ok(days_from_civil(year, month as i32, day as i32))
}

fn to_date(text: &str, template: &str) -> Result<i32> {
    let read = read(text, &parse(template))?;
    let (days, _) = resolve(&read, text)?;
    let date = i32::try_from(days).map_err(|_| date_range())?;
    datetime::check_date(date).map_err(|_| {
        SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date out of range: \"{text}\""))
    })
}

fn to_timestamp(ctx: &EvalContext<'_>, text: &str, template: &str) -> Result<i64> {
    let read = read(text, &parse(template))?;
    let (days, time) = resolve(&read, text)?;
    let local = days.checked_mul(DAY).and_then(|d| d.checked_add(time)).ok_or_else(timestamp_range)?;
    if read.zoned {
        let minutes = read.zone_minute.unwrap_or(0);
        if read.zone_hour > 15 || !(0..60).contains(&minutes) {
            return Err(field_range(text));
        }
        let sign = if read.zone_sign < 0 { -1 } else { 1 };
        let east = sign * (read.zone_hour * 3600 + minutes * 60);
        return datetime::check_timestamp(local - east * 1_000_000);
    }
    zone::to_utc(super::zone(ctx), local)
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(1780, "to_date", &[TEXT, TEXT], DATE)
        .stable()
        .imp(row!(|text: &str, template: &str| Date(to_date(text, template)?))),
    def(1778, "to_timestamp", &[TEXT, TEXT], TIMESTAMPTZ)
        .stable()
        .imp(row!(ctx; |text: &str, template: &str| TimestampTz(to_timestamp(ctx, text, template)?))),
];

#[cfg(test)]
mod tests {
    use super::*;
    use pg_types::datetime::calendar::civil_from_days;
    use proptest::prelude::*;

    fn d(text: &str, template: &str) -> alloc::string::String {
        let (y, m, d) = civil_from_days(to_date(text, template).expect("valid").into());
        format!("{y:04}-{m:02}-{d:02}")
    }

    #[test]
    fn dates() {
        assert_eq!(d("05 Dec 2000", "DD Mon YYYY"), "2000-12-05");
        assert_eq!(d("20000131", "YYYYMMDD"), "2000-01-31");
        assert_eq!(d("2000-1-3", "YYYY-MM-DD"), "2000-01-03");
        assert_eq!(d("2000  JUNE", "YYYY MON"), "2000-06-01");
        assert_eq!(d("97/2/16", "YY/MM/DD"), "1997-02-16");
        assert!(to_date("2011-366", "YYYY-DDD").is_err());
    }

    proptest! {
        #[test]
        fn any_input_is_answered(text in "[0-9A-Za-z:., -]{0,20}", template in "[YMDHISQJWCFTXZMaod4120:., \"-]{0,16}") {
            let _ = to_date(&text, &template);
        }
    }
}

//! Words to dates and times.
//!
//! Each word fills some fields; a field filled twice is an error. What a bare number means depends on the fields
//! filled before it and on the order that DateStyle sets.

use alloc::{string::String, vec::Vec};

use jiff::tz::TimeZone;

use super::{
    DAY, SECOND, calendar,
    calendar::Fields,
    token::{Kind, Token},
    words::{self, Label, Word},
    zone,
};
use crate::format::DateOrder;

/// Sets of fields.
pub(super) mod set {
    pub const YEAR: u32 = 1;
    pub const MONTH: u32 = 2;
    pub const DAY: u32 = 4;
    pub const YEAR_DAY: u32 = 8;
    pub const HOUR: u32 = 16;
    pub const MINUTE: u32 = 32;
    pub const SECOND: u32 = 64;
    pub const ZONE: u32 = 128;
    pub const DAYLIGHT: u32 = 256;
    pub const HALF: u32 = 512;
    pub const ERA: u32 = 1024;
    pub const WEEKDAY: u32 = 2048;
    pub const RESERVED: u32 = 4096;
    pub const DATE: u32 = YEAR | MONTH | DAY;
    pub const TIME: u32 = HOUR | MINUTE | SECOND;
}

/// Why input was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Not a date or time at all.
    Format,
    /// A field is out of its range.
    Range,
    /// A month or day is: the order of fields may be another.
    MonthOrDay,
    /// A zone is too far from UTC.
    Displacement,
    /// No such zone.
    UnknownZone(String),
}

type Outcome<T> = Result<T, Failure>;

/// Which zone the input names.
#[derive(Clone, Debug)]
pub(super) enum Zone {
    /// None.
    Unset,
    /// Seconds west of UTC.
    West(i32),
    /// A zone with its rules.
    Named(TimeZone),
}

/// What the input says.
#[derive(Clone, Debug)]
pub(super) enum Decoded {
    Moment(Fields, Zone),
    Epoch,
    Late,
    Early,
}

/// What is being read and what it may refer to.
pub(super) struct Context<'a> {
    pub order: DateOrder,
    /// Now, in microseconds since 2000 UTC, and the session's zone.
    pub now: i64,
    pub zone: &'a TimeZone,
    /// A time of day, not a date.
    pub time_only: bool,
    /// The type has a zone (only asked for times of day).
    pub zone_allowed: bool,
}

struct Decoder<'a> {
    context: &'a Context<'a>,
    tokens: &'a [Token],
    /// Fields filled so far.
    seen: u32,
    f: Fields,
    zone: Zone,
    special: Option<Decoded>,
    label: Option<Label>,
    text_month: bool,
    two_digit_year: bool,
    julian: bool,
    bc: bool,
    afternoon: Option<bool>,
    year_day: i32,
}

/// Reads a date, a time, or both.
pub(super) fn decode(tokens: &[Token], context: &Context<'_>) -> Outcome<Decoded> {
    let mut d = Decoder {
        context,
        tokens,
        seen: 0,
        f: Fields::default(),
        zone: Zone::Unset,
        special: None,
        label: None,
        text_month: false,
        two_digit_year: false,
        julian: false,
        bc: false,
        afternoon: None,
        year_day: 0,
    };
    for (i, token) in tokens.iter().enumerate() {
        let filled = match token.kind {
            Kind::Date => d.date_token(i, &token.text)?,
            Kind::Time => d.time_token(&token.text)?,
            Kind::Zone if d.zone_refused() => return Err(Failure::Format),
            Kind::Zone => {
                d.zone = Zone::West(zone_offset(&token.text)?);
                set::ZONE
            }
            Kind::Number => d.number_token(i, &token.text)?,
            Kind::Text | Kind::Special => match d.word_token(i, &token.text)? {
                Some(filled) => filled,
                None => continue,
            },
        };
        if filled & d.seen != 0 {
            return Err(Failure::Format);
        }
        d.seen |= filled;
    }
    d.finish()
}

/// `+hh[:mm[:ss]]`, `+hhmm`, as seconds west.
pub(super) fn zone_offset(text: &str) -> Outcome<i32> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => return Err(Failure::Format),
    };
    let mut parts = digits.split(':');
    let number = |s: Option<&str>| -> Outcome<Option<i32>> {
        match s {
            None => Ok(None),
            Some(s) if s.is_empty() || !s.bytes().all(|b| b.is_ascii_digit()) => Err(Failure::Format),
            Some(s) => s.parse().map(Some).map_err(|_| Failure::Displacement),
        }
    };
    let first = parts.next();
    // Hours that there are not are said before what stands behind them is looked at.
    let hours = first.unwrap_or("").bytes().take_while(u8::is_ascii_digit).count();
    let (hours, behind) = first.unwrap_or("").split_at(hours);
    if !behind.is_empty() && hours.parse::<i32>().map_or(!hours.is_empty(), |h| h > 15) {
        return Err(Failure::Displacement);
    }
    let first = number(first)?.ok_or(Failure::Format)?;
    // What is missing behind a colon is none.
    let behind = |s: Option<&str>| if s == Some("") { Ok(Some(0)) } else { number(s) };
    let (minutes, seconds) = (behind(parts.next())?, behind(parts.next())?);
    if parts.next().is_some() {
        return Err(Failure::Format);
    }
    let (hours, minutes) = match minutes {
        Some(m) => (first, m),
        None if digits.len() > 2 => (first / 100, first % 100),
        None => (first, 0),
    };
    let seconds = seconds.unwrap_or(0);
    if hours > 15 || minutes >= 60 || seconds >= 60 {
        return Err(Failure::Displacement);
    }
    let total = (hours * 60 + minutes) * 60 + seconds;
    Ok(if negative { total } else { -total })
}

/// Digits after a point, as microseconds, rounded.
fn fraction(text: &str) -> Outcome<i32> {
    let digits = text.strip_prefix('.').ok_or(Failure::Format)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Failure::Format);
    }
    let mut value = 0i64;
    for i in 0..7 {
        value = value * 10 + i64::from(digits.as_bytes().get(i).map_or(0, |b| b - b'0'));
    }
    // Ties go to even, as rounding a double does, when nothing follows the seventh digit.
    let rest = digits.as_bytes().get(7..).is_some_and(|r| r.iter().any(|b| *b != b'0'));
    let (micros, last) = (value / 10, value % 10);
    let up = last > 5 || last == 5 && (rest || micros % 2 == 1);
    Ok((micros + i64::from(up)) as i32)
}

/// Splits leading digits off: their value and the rest.
fn leading_number(text: &str) -> Outcome<(i32, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Err(Failure::Format);
    }
    Ok((digits.parse().map_err(|_| Failure::Range)?, rest))
}

/// The same of a part of a time, which may be missing.
fn part(text: &str) -> Outcome<(i32, &str)> {
    if text.starts_with(|c: char| c.is_ascii_digit()) { leading_number(text) } else { Ok((0, text)) }
}

/// `hh:mm[:ss[.ffffff]]`, in microseconds with the parts checked; `two_as_minutes`: two parts are minutes and seconds.
pub(super) fn time_parts(text: &str, two_as_minutes: bool) -> Outcome<(i64, i32, i32, i32)> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (hour, rest) = text.split_at(end);
    let mut hour: i64 =
        hour.parse().map_err(|_| if hour.is_empty() { Failure::Format } else { Failure::Range })?;
    let (mut minute, rest) = part(rest.strip_prefix(':').ok_or(Failure::Format)?)?;
    let (mut second, mut micros) = (0, 0);
    let shift = |hour: &mut i64, minute: &mut i32, second: &mut i32| {
        *second = *minute;
        *minute = i32::try_from(*hour).unwrap_or(i32::MAX);
        *hour = 0;
    };
    if rest.is_empty() {
        if two_as_minutes {
            shift(&mut hour, &mut minute, &mut second);
        }
    } else if rest.starts_with('.') {
        micros = fraction(rest)?;
        shift(&mut hour, &mut minute, &mut second);
    } else {
        let rest = rest.strip_prefix(':').ok_or(Failure::Format)?;
        let (s, rest) = part(rest)?;
        second = s;
        if !rest.is_empty() {
            micros = fraction(rest)?;
        }
    }
    if minute > 59 || second > 60 {
        return Err(Failure::Range);
    }
    Ok((hour, minute, second, micros))
}

impl Decoder<'_> {
    /// A time without zone does not accept one.
    fn zone_refused(&self) -> bool {
        self.context.time_only && !self.context.zone_allowed
    }
    /// Fields that count as filled when a number is looked at: a time of day has no date to fill.
    fn seen_for_number(&self) -> u32 {
        if self.context.time_only { self.seen | set::DATE } else { self.seen }
    }
    fn named_zone(&mut self, name: &str, failure: Failure) -> Outcome<u32> {
        self.zone = Zone::Named(zone::by_name(name).ok_or(failure)?);
        Ok(set::ZONE)
    }

    fn date_token(&mut self, i: usize, text: &str) -> Outcome<u32> {
        let n = self.tokens.len();
        if self.context.time_only {
            if !self.context.zone_allowed {
                return Err(Failure::Format);
            }
            // A date may come along with a time, to tell which offset a named zone has.
            let at = |k: usize| self.tokens.get(k).map(|t| t.kind);
            if i == 0 && n >= 2 && (at(n - 1) == Some(Kind::Date) || at(1) == Some(Kind::Time)) {
                return self.date(text);
            }
        } else if self.label == Some(Label::Julian) {
            // A Julian day with a zone right behind it.
            self.label = None;
            let (day, rest) = leading_number(text)?;
            self.zone = Zone::West(zone_offset(rest)?);
            (self.f.year, self.f.month, self.f.day) = julian_date(day);
            self.julian = true;
            return Ok(set::DATE | set::TIME | set::ZONE);
        } else if self.label.is_none() && self.seen & (set::MONTH | set::DAY) != set::MONTH | set::DAY {
            return self.date(text);
        }
        // There is a date already: a zone's name, or a time with a zone right behind it.
        if text.starts_with(|c: char| c.is_ascii_digit()) || self.label.is_some() {
            if let Some(label) = self.label.take()
                && label != Label::Time
            {
                return Err(Failure::Format);
            }
            let at = text.find('-').ok_or(Failure::Format)?;
            let (time, offset) = text.split_at(at);
            self.zone = Zone::West(zone_offset(offset)?);
            let filled = self.joined(time, self.seen_for_number())?;
            if filled != set::TIME {
                return Err(Failure::Format);
            }
            return Ok(filled | set::ZONE);
        }
        self.named_zone(text, Failure::UnknownZone(text.into()))
    }

    fn time_token(&mut self, text: &str) -> Outcome<u32> {
        if let Some(label) = self.label.take()
            && (self.context.time_only || label != Label::Time)
        {
            return Err(Failure::Format);
        }
        let (hour, minute, second, micros) = time_parts(text, false)?;
        let within = hour < 24 || hour == 24 && minute == 0 && second == 0 && micros == 0;
        if !within && !self.context.time_only {
            return Err(Failure::Range);
        }
        let hour = i32::try_from(hour).map_err(|_| Failure::Range)?;
        (self.f.hour, self.f.minute, self.f.second, self.f.micros) = (hour, minute, second, micros);
        Ok(set::TIME)
    }

    fn number_token(&mut self, i: usize, text: &str) -> Outcome<u32> {
        if let Some(label) = self.label.take() {
            return self.labelled(label, text);
        }
        let point = text.find('.');
        if self.context.time_only {
            let date_last = self.tokens.last().is_some_and(|t| t.kind == Kind::Date);
            return match point {
                Some(_) if i == 0 && self.tokens.len() >= 2 && date_last && self.context.zone_allowed => {
                    self.date(text)
                }
                Some(at) if at > 2 => self.joined(text, self.seen_for_number()),
                Some(_) => Err(Failure::Format),
                None if text.len() > 4 => self.joined(text, self.seen_for_number()),
                None => self.number(text, self.seen_for_number()),
            };
        }
        let has_date = self.seen & set::DATE != 0;
        match point {
            Some(_) if !has_date => self.date(text),
            Some(at) if at > 2 => self.joined(text, self.seen | set::DATE),
            _ if text.len() >= 6 && (!has_date || self.seen & set::TIME == 0) => self.joined(text, self.seen),
            _ => self.number(text, self.seen),
        }
    }

    /// A number after a label such as `J` or `T`.
    fn labelled(&mut self, label: Label, text: &str) -> Outcome<u32> {
        if label == Label::Time {
            let seen = self.seen_for_number() | set::DATE;
            return match self.joined(text, seen)? {
                set::TIME => Ok(set::TIME),
                _ => Err(Failure::Format),
            };
        }
        let (value, rest) = leading_number(text)?;
        if !rest.is_empty() && !matches!(label, Label::Julian | Label::Second) {
            return Err(Failure::Format);
        }
        Ok(match label {
            Label::Year => {
                self.f.year = value;
                set::YEAR
            }
            // After an hour, m means minutes.
            Label::Month if self.seen & (set::MONTH | set::HOUR) == set::MONTH | set::HOUR => {
                self.f.minute = value;
                set::MINUTE
            }
            Label::Month => {
                self.f.month = value;
                set::MONTH
            }
            Label::Day => {
                self.f.day = value;
                set::DAY
            }
            Label::Hour => {
                self.f.hour = value;
                set::HOUR
            }
            Label::Minute => {
                self.f.minute = value;
                set::MINUTE
            }
            Label::Second => {
                self.f.second = value;
                if !rest.is_empty() {
                    self.f.micros = fraction(rest)?;
                }
                set::SECOND
            }
            Label::Julian => {
                (self.f.year, self.f.month, self.f.day) = julian_date(value);
                self.julian = true;
                if rest.is_empty() {
                    return Ok(set::DATE);
                }
                let part: f64 = rest.parse().map_err(|_| Failure::Format)?;
                let time = Fields::from_time((part * DAY as f64) as i64);
                self.take_time(&time);
                set::DATE | set::TIME
            }
            Label::Time => return Err(Failure::Format),
        })
    }

    fn take_time(&mut self, time: &Fields) {
        (self.f.hour, self.f.minute, self.f.second, self.f.micros) =
            (time.hour, time.minute, time.second, time.micros);
    }

    /// A word. `None`: it only tells how to read the next ones.
    fn word_token(&mut self, i: usize, text: &str) -> Outcome<Option<u32>> {
        if let Some((east, daylight)) = zone::abbreviation(text) {
            if self.zone_refused() {
                return Err(Failure::Format);
            }
            self.zone = Zone::West(-east);
            return Ok(Some(if daylight { set::ZONE | set::DAYLIGHT } else { set::ZONE }));
        }
        let Some(word) = words::word(text) else {
            if self.zone_refused() {
                return Err(Failure::Format);
            }
            return self.named_zone(text, Failure::Format).map(Some);
        };
        let time_only = self.context.time_only;
        Ok(Some(match word {
            Word::Ignore => return Ok(None),
            Word::Now => {
                let local = zone::to_local(self.context.zone, self.context.now);
                self.f = Fields::from_timestamp(local);
                self.zone = Zone::West(-zone::offset_at(self.context.zone, self.context.now));
                if time_only { set::TIME | set::ZONE } else { set::DATE | set::TIME | set::ZONE }
            }
            Word::Midnight => {
                self.take_time(&Fields::default());
                self.zone = Zone::West(0);
                set::TIME | set::ZONE
            }
            Word::Day(_) | Word::Epoch | Word::Late | Word::Early if time_only => {
                return Err(Failure::Format);
            }
            Word::Day(days) => {
                let today = zone::to_local(self.context.zone, self.context.now).div_euclid(DAY);
                (self.f.year, self.f.month, self.f.day) = calendar::civil_from_days(today + days);
                set::DATE
            }
            Word::Epoch => {
                self.special = Some(Decoded::Epoch);
                set::RESERVED
            }
            Word::Late => {
                self.special = Some(Decoded::Late);
                set::RESERVED
            }
            Word::Early => {
                self.special = Some(Decoded::Early);
                set::RESERVED
            }
            Word::Month(_) | Word::Weekday if time_only => return Err(Failure::Format),
            Word::Month(month) => {
                // A number taken for the month must have been the day.
                let was_day = self.seen & set::MONTH != 0
                    && !self.text_month
                    && self.seen & set::DAY == 0
                    && (1..=31).contains(&self.f.month);
                self.text_month = true;
                if was_day {
                    self.f.day = self.f.month;
                }
                self.f.month = month;
                if was_day { set::DAY } else { set::MONTH }
            }
            Word::DaylightTime => {
                let Zone::West(west) = &mut self.zone else {
                    return Err(Failure::Format);
                };
                *west -= 3_600;
                set::DAYLIGHT
            }
            Word::Am | Word::Pm => {
                self.afternoon = Some(word == Word::Pm);
                set::HALF
            }
            Word::Era { bc } => {
                self.bc = bc;
                set::ERA
            }
            Word::Weekday => set::WEEKDAY,
            Word::Label(label) => {
                self.label = Some(label);
                return Ok(Some(0));
            }
            Word::IsoTime => {
                let next = self.tokens.get(i + 1).map(|t| t.kind);
                let follows = matches!(next, Some(Kind::Number | Kind::Time | Kind::Date));
                if !time_only && self.seen & set::DATE != set::DATE || !follows {
                    return Err(Failure::Format);
                }
                // A time of day reads on as if nothing had been said when the next word is plainly a time.
                if !(time_only && next == Some(Kind::Time)) {
                    self.label = Some(Label::Time);
                }
                return Ok(Some(0));
            }
        }))
    }

    /// Numbers and a month with separators between.
    fn date(&mut self, text: &str) -> Outcome<u32> {
        let mut parts: Vec<&str> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            let Some(first) = rest.bytes().next() else { return Err(Failure::Format) };
            let digit = first.is_ascii_digit();
            let end =
                rest.bytes().take_while(|b| b.is_ascii_alphanumeric() && b.is_ascii_digit() == digit).count();
            let (part, after) = rest.split_at(end);
            parts.push(part);
            // One character between parts is dropped, whatever it is.
            rest = after.get(1..).unwrap_or_default();
            if rest.is_empty() && !after.is_empty() {
                return Err(Failure::Format);
            }
        }
        let mut filled = 0;
        for part in parts.iter().filter(|p| p.starts_with(|c: char| c.is_ascii_alphabetic())) {
            match words::word(part) {
                Some(Word::Ignore) => {}
                Some(Word::Month(month)) => {
                    if (filled | self.seen) & set::MONTH != 0 {
                        return Err(Failure::Format);
                    }
                    self.f.month = month;
                    self.text_month = true;
                    filled |= set::MONTH;
                }
                _ => return Err(Failure::Format),
            }
        }
        for part in parts.iter().filter(|p| p.starts_with(|c: char| c.is_ascii_digit())) {
            let more = self.number(part, self.seen | filled)?;
            if (self.seen | filled) & more != 0 {
                return Err(Failure::Format);
            }
            filled |= more;
        }
        let all = self.seen | filled;
        // Nothing but a zone may stand before a date.
        if all & !(set::YEAR_DAY | set::ZONE) != set::DATE {
            return Err(Failure::Format);
        }
        Ok(filled)
    }

    /// A number whose meaning follows from what is known already.
    fn number(&mut self, text: &str, seen: u32) -> Outcome<u32> {
        let (value, rest) = leading_number(text)?;
        if !rest.is_empty() {
            if text.len() - rest.len() > 2 {
                return self.joined(text, seen | set::DATE);
            }
            self.f.micros = fraction(rest)?;
        }
        let width = text.len();
        let order = self.context.order;
        if width == 3 && seen & set::DATE == set::YEAR && (1..=366).contains(&value) {
            self.year_day = value;
            return Ok(set::YEAR_DAY | set::MONTH | set::DAY);
        }
        let filled = match seen & set::DATE {
            0 if width >= 3 || order == DateOrder::Ymd => set::YEAR,
            0 if order == DateOrder::Dmy => set::DAY,
            0 => set::MONTH,
            set::YEAR => set::MONTH,
            set::MONTH if self.text_month && (width >= 3 || order == DateOrder::Ymd) => set::YEAR,
            set::MONTH => set::DAY,
            YEAR_MONTH if self.text_month && width >= 3 && self.two_digit_year => {
                // The first number was the day after all.
                self.f.day = self.f.year;
                self.f.year = value;
                self.two_digit_year = false;
                return Ok(set::DAY);
            }
            YEAR_MONTH => set::DAY,
            set::DAY => set::MONTH,
            MONTH_DAY => set::YEAR,
            set::DATE => return self.joined(text, seen),
            _ => return Err(Failure::Format),
        };
        match filled {
            set::YEAR => {
                self.f.year = value;
                self.two_digit_year = width <= 2;
            }
            set::MONTH => self.f.month = value,
            _ => self.f.day = value,
        }
        Ok(filled)
    }

    /// Numbers run together: `yyyymmdd`, `hhmmss`, `hhmm`.
    fn joined(&mut self, text: &str, seen: u32) -> Outcome<u32> {
        let (digits, decimals) = match text.find('.') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Failure::Format);
        }
        if !decimals.is_empty() {
            self.f.micros = fraction(decimals)?;
        }
        let number = |from: usize, to: usize| -> Outcome<i32> {
            digits.get(from..to).unwrap_or_default().parse().map_err(|_| Failure::Range)
        };
        let n = digits.len();
        if decimals.is_empty() && seen & set::DATE != set::DATE && n >= 6 {
            self.f.day = number(n - 2, n)?;
            self.f.month = number(n - 4, n - 2)?;
            self.f.year = number(0, n - 4)?;
            self.two_digit_year = n == 6;
            return Ok(set::DATE);
        }
        if seen & set::TIME != set::TIME && matches!(n, 4 | 6) {
            self.f.hour = number(0, 2)?;
            self.f.minute = number(2, 4)?;
            self.f.second = if n == 6 { number(4, 6)? } else { 0 };
            return Ok(set::TIME);
        }
        Err(Failure::Format)
    }

    /// Checks the fields against each other once all words are read.
    fn finish(mut self) -> Outcome<Decoded> {
        if let Some(special) = self.special {
            return Ok(special);
        }
        self.check_date()?;
        if let Some(afternoon) = self.afternoon {
            match self.f.hour {
                13.. => return Err(Failure::Range),
                12 if !afternoon => self.f.hour = 0,
                12 => {}
                _ if afternoon => self.f.hour += 12,
                _ => {}
            }
        }
        let f = &self.f;
        if self.context.time_only {
            let late = f.hour == 24 && (f.minute, f.second, f.micros) != (0, 0, 0);
            if f.hour > 24 || f.minute > 59 || f.second > 60 || late || f.time() > DAY {
                return Err(Failure::Range);
            }
            let some_date = self.seen & set::DATE != 0 && self.seen & set::DATE != set::DATE;
            if self.seen & set::TIME != set::TIME || some_date {
                return Err(Failure::Format);
            }
        } else {
            if self.seen & set::DATE != set::DATE {
                return Err(Failure::Format);
            }
            if f.hour > 24 || f.minute > 59 || f.second > 60 || f.time() > DAY {
                return Err(Failure::Range);
            }
        }
        if let Zone::Named(z) = &self.zone {
            if self.seen & set::DAYLIGHT != 0 {
                return Err(Failure::Format);
            }
            // Without a date, the offset must be the same on all days.
            if self.context.time_only && self.seen & set::DATE != set::DATE {
                self.zone = Zone::West(-zone::constant_offset(z).ok_or(Failure::Format)?);
            }
        }
        debug_assert!(f.micros <= SECOND as i32);
        if self.context.time_only && self.seen & set::DATE != set::DATE {
            // Marks the date as unknown for zones whose offset depends on it.
            (self.f.year, self.f.month, self.f.day) = (0, 0, 0);
        }
        Ok(Decoded::Moment(self.f, self.zone))
    }

    fn check_date(&mut self) -> Outcome<()> {
        let f = &mut self.f;
        if self.seen & set::YEAR != 0 && !self.julian {
            if self.bc {
                if f.year <= 0 {
                    return Err(Failure::Range);
                }
                f.year = 1 - f.year;
            } else if self.two_digit_year {
                f.year += match f.year {
                    0..70 => 2000,
                    70..100 => 1900,
                    _ => 0,
                };
            } else if f.year <= 0 {
                return Err(Failure::Range);
            }
        }
        let f = &mut self.f;
        if self.seen & set::YEAR_DAY != 0 {
            let day = calendar::days_from_civil(f.year, 1, 1) + i64::from(self.year_day) - 1;
            (f.year, f.month, f.day) = calendar::civil_from_days(day);
        }
        if self.seen & set::MONTH != 0 && !(1..=12).contains(&f.month) {
            return Err(Failure::MonthOrDay);
        }
        if self.seen & set::DAY != 0 && !(1..=31).contains(&f.day) {
            return Err(Failure::MonthOrDay);
        }
        if self.seen & set::DATE == set::DATE && f.day > calendar::days_in_month(f.year, f.month) {
            return Err(Failure::Range);
        }
        Ok(())
    }
}

const YEAR_MONTH: u32 = set::YEAR | set::MONTH;
const MONTH_DAY: u32 = set::MONTH | set::DAY;

fn julian_date(day: i32) -> (i32, i32, i32) {
    calendar::civil_from_days(i64::from(day) - i64::from(super::EPOCH_JULIAN))
}

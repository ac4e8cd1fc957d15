//! The templates of `to_char`, `to_date` and `to_timestamp` for dates and times, taken apart.

use alloc::vec::Vec;

/// What a pattern stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// AD or BC; dotted or not.
    Era {
        dots: bool,
    },
    /// AM or PM; dotted or not.
    HalfDay {
        dots: bool,
    },
    Century,
    DayName,
    ShortDayName,
    DayOfYear,
    IsoDayOfYear,
    DayOfMonth,
    /// 1 (Sunday) to 7.
    DayOfWeek,
    /// 1 (Monday) to 7.
    IsoDayOfWeek,
    /// Fraction of a second with so many digits; `MS` is 3, `US` is 6.
    Fraction(u8),
    Milliseconds,
    Microseconds,
    Hour24,
    Hour12,
    IsoWeek,
    /// ISO year, so many last digits.
    IsoYear(u8),
    Julian,
    Minute,
    MonthNumber,
    MonthName,
    ShortMonthName,
    Offset,
    Quarter,
    RomanMonth,
    SecondOfDay,
    Second,
    ZoneName,
    ZoneHour,
    ZoneMinute,
    WeekOfYear,
    WeekOfMonth,
    /// `Y,YYY`
    GroupedYear,
    /// Year, so many last digits.
    Year(u8),
}

/// The letters' case in the pattern, which names take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Upper,
    Mixed,
    Lower,
}

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A pattern with its modifiers.
    Field {
        field: Field,
        case: Case,
        /// FM: no padding.
        fill: bool,
        /// TM: names without padding.
        translate: bool,
        /// TH or th.
        ordinal: Option<Case>,
    },
    /// A character that stands for itself, and whether it was quoted.
    Char(char, bool),
}

/// A template.
pub(crate) struct Template {
    pub(crate) items: Vec<Item>,
    /// FX: input must follow the template exactly.
    pub(crate) exact: bool,
}

/// Patterns, longest first among those with a common beginning; all are matched in upper or lower case.
const PATTERNS: &[(&str, Field)] = &[
    ("A.D.", Field::Era { dots: true }),
    ("A.M.", Field::HalfDay { dots: true }),
    ("AD", Field::Era { dots: false }),
    ("AM", Field::HalfDay { dots: false }),
    ("B.C.", Field::Era { dots: true }),
    ("BC", Field::Era { dots: false }),
    ("CC", Field::Century),
    ("DAY", Field::DayName),
    ("DDD", Field::DayOfYear),
    ("DD", Field::DayOfMonth),
    ("DY", Field::ShortDayName),
    ("D", Field::DayOfWeek),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoDayOfWeek),
    ("IW", Field::IsoWeek),
    ("IYYY", Field::IsoYear(4)),
    ("IYY", Field::IsoYear(3)),
    ("IY", Field::IsoYear(2)),
    ("I", Field::IsoYear(1)),
    ("J", Field::Julian),
    ("MI", Field::Minute),
    ("MM", Field::MonthNumber),
    ("MONTH", Field::MonthName),
    ("MON", Field::ShortMonthName),
    ("MS", Field::Milliseconds),
    ("OF", Field::Offset),
    ("P.M.", Field::HalfDay { dots: true }),
    ("PM", Field::HalfDay { dots: false }),
    ("Q", Field::Quarter),
    ("RM", Field::RomanMonth),
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("SS", Field::Second),
    ("TZH", Field::ZoneHour),
    ("TZM", Field::ZoneMinute),
    ("TZ", Field::ZoneName),
    ("US", Field::Microseconds),
    ("WW", Field::WeekOfYear),
    ("W", Field::WeekOfMonth),
    ("Y,YYY", Field::GroupedYear),
    ("YYYY", Field::Year(4)),
    ("YYY", Field::Year(3)),
    ("YY", Field::Year(2)),
    ("Y", Field::Year(1)),
];

/// Patterns that may be written with a capital first letter only.
const MIXED: &[(&str, Field)] = &[
    ("Month", Field::MonthName),
    ("Mon", Field::ShortMonthName),
    ("Day", Field::DayName),
    ("Dy", Field::ShortDayName),
];

/// The pattern that `text` starts with.
fn pattern(text: &str) -> Option<(usize, Field, Case)> {
    if let Some((name, field)) = MIXED.iter().find(|(name, _)| text.starts_with(name)) {
        return Some((name.len(), *field, Case::Mixed));
    }
    let lower = |name: &str| {
        text.get(..name.len())
            .is_some_and(|t| t.bytes().all(|b| !b.is_ascii_uppercase()) && t.eq_ignore_ascii_case(name))
    };
    PATTERNS.iter().find_map(|(name, field)| {
        if text.starts_with(name) {
            Some((name.len(), *field, Case::Upper))
        } else if lower(name) {
            Some((name.len(), *field, Case::Lower))
        } else {
            None
        }
    })
}

/// Takes a template apart.
pub(crate) fn parse(text: &str) -> Template {
    let mut template = Template { items: Vec::new(), exact: false };
    let mut rest = text;
    while !rest.is_empty() {
        let (mut fill, mut translate) = (false, false);
        let start = rest;
        loop {
            match rest.get(..2) {
                Some("FM" | "fm") => fill = true,
                Some("TM" | "tm") => translate = true,
                Some("FX" | "fx") => template.exact = true,
                _ => break,
            }
            rest = rest.get(2..).unwrap_or_default();
        }
        if let Some((len, field, case)) = pattern(rest) {
            rest = rest.get(len..).unwrap_or_default();
            let ordinal = match rest.get(..2) {
                Some("TH") => Some(Case::Upper),
                Some("th") => Some(Case::Lower),
                _ => None,
            };
            if ordinal.is_some() {
                rest = rest.get(2..).unwrap_or_default();
            }
            // The spelled-out suffix does nothing.
            rest = rest.strip_prefix("SP").unwrap_or(rest);
            template.items.push(Item::Field { field, case, fill, translate, ordinal });
            continue;
        }
        if start.len() != rest.len() && rest.is_empty() {
            break;
        }
        rest = literal(rest, &mut template.items);
    }
    template
}

/// A quoted string or one character that stands for itself.
fn literal<'a>(text: &'a str, items: &mut Vec<Item>) -> &'a str {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut chars = quoted.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => items.push(Item::Char(chars.next().unwrap_or('\\'), true)),
                c => items.push(Item::Char(c, true)),
            }
        }
        return chars.as_str();
    }
    let text = if text.starts_with("\\\"") { text.get(1..).unwrap_or_default() } else { text };
    let mut chars = text.chars();
    if let Some(c) = chars.next() {
        items.push(Item::Char(c, false));
    }
    chars.as_str()
}

/// Names of months.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Names of days, from Sunday.
pub(crate) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// Months in Roman numerals.
pub(crate) const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

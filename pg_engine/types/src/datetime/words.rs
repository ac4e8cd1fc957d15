//! The words that dates, times and intervals are written with.

/// What a word in a date or time means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A month, from 1.
    Month(i32),
    /// A weekday: checked for spelling only.
    Weekday,
    /// AM.
    Am,
    /// PM.
    Pm,
    /// AD or BC.
    Era { bc: bool },
    /// "at", "on", "T" between words.
    Ignore,
    /// DST after a zone.
    DaylightTime,
    /// now
    Now,
    /// Days from today: yesterday, today, tomorrow.
    Day(i64),
    /// allballs: midnight UTC.
    Midnight,
    /// epoch
    Epoch,
    /// infinity
    Late,
    /// -infinity
    Early,
    /// T before a time.
    IsoTime,
    /// A label for the number after it.
    Label(Label),
}

/// The field that a label announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Julian,
    /// A time follows (after T).
    Time,
}

/// Words are told apart by this many characters.
const SIGNIFICANT: usize = 10;

fn significant(word: &str) -> &str {
    word.get(..SIGNIFICANT).unwrap_or(word)
}

/// Looks a lower-case word up.
pub(super) fn word(text: &str) -> Option<Word> {
    Some(match significant(text) {
        "jan" | "january" => Word::Month(1),
        "feb" | "february" => Word::Month(2),
        "mar" | "march" => Word::Month(3),
        "apr" | "april" => Word::Month(4),
        "may" => Word::Month(5),
        "jun" | "june" => Word::Month(6),
        "jul" | "july" => Word::Month(7),
        "aug" | "august" => Word::Month(8),
        "sep" | "sept" | "september" => Word::Month(9),
        "oct" | "october" => Word::Month(10),
        "nov" | "november" => Word::Month(11),
        "dec" | "december" => Word::Month(12),
        "sun" | "sunday" | "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "weds" | "wednesday"
        | "thu" | "thur" | "thurs" | "thursday" | "fri" | "friday" | "sat" | "saturday" => Word::Weekday,
        "am" => Word::Am,
        "pm" => Word::Pm,
        "ad" => Word::Era { bc: false },
        "bc" => Word::Era { bc: true },
        "at" | "on" => Word::Ignore,
        "dst" => Word::DaylightTime,
        "now" => Word::Now,
        "yesterday" => Word::Day(-1),
        "today" => Word::Day(0),
        "tomorrow" => Word::Day(1),
        "allballs" => Word::Midnight,
        "epoch" => Word::Epoch,
        "infinity" => Word::Late,
        "-infinity" => Word::Early,
        "t" => Word::IsoTime,
        "y" => Word::Label(Label::Year),
        "m" => Word::Label(Label::Month),
        "d" => Word::Label(Label::Day),
        "h" => Word::Label(Label::Hour),
        "mm" => Word::Label(Label::Minute),
        "s" => Word::Label(Label::Second),
        "j" | "jd" | "julian" => Word::Label(Label::Julian),
        _ => return None,
    })
}

/// A unit of an interval or of extract and date_trunc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the units' own names")]
pub enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
}

/// A word in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IntervalWord {
    Unit(Unit),
    Ago,
    Ignore,
}

/// Looks a lower-case word of an interval up.
pub(super) fn interval_word(text: &str) -> Option<IntervalWord> {
    Some(match text {
        "@" => IntervalWord::Ignore,
        "ago" => IntervalWord::Ago,
        _ => IntervalWord::Unit(unit(text)?),
    })
}

/// Looks a lower-case unit up.
pub(super) fn unit(text: &str) -> Option<Unit> {
    Some(match significant(text) {
        "us" | "usec" | "usecs" | "useconds" | "microsecon" => Unit::Microsecond,
        "ms" | "msec" | "msecs" | "mseconds" | "millisecon" => Unit::Millisecond,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "qtr" | "quarter" => Unit::Quarter,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
        _ => return None,
    })
}

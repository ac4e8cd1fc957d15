//! Days to years and back.

use super::{DAY, EPOCH_JULIAN, HOUR, MINUTE, SECOND};

/// A moment taken apart. Months and days count from 1; year 0 is 1 BC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields' own names")]
pub struct Fields {
    pub year: i32,
    pub month: i32,
    pub day: i32,
    pub hour: i32,
    pub minute: i32,
    pub second: i32,
    pub micros: i32,
}

const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 2000-01-01.
const SHIFT: i64 = 730_425;

/// Days since 2000-01-01 of a date; months beyond 12 and days beyond the month's end carry over.
pub fn days_from_civil(year: i32, month: i32, day: i32) -> i64 {
    let month = i64::from(month) - 1;
    let year = i64::from(year) + month.div_euclid(12);
    let month = month.rem_euclid(12);
    // Years that start in March put the leap day last.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let in_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    era * DAYS_PER_ERA + year * 365 + year / 4 - year / 100 + in_year - SHIFT
}

/// Year, month and day of days since 2000-01-01.
pub fn civil_from_days(days: i64) -> (i32, i32, i32) {
    let days = days + SHIFT;
    let (era, in_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA) as u32);
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    ((era * 400 + i64::from(year)) as i32 + carry, month as i32, day as i32)
}

/// True for years with a February 29.
pub fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days in a month (1 to 12).
pub fn days_in_month(year: i32, month: i32) -> i32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Day of the week, Sunday being 0.
pub fn weekday(days: i64) -> i32 {
    // 2000-01-01 was a Saturday.
    (days + 6).rem_euclid(7) as i32
}

/// Julian day number of a date, 0 and up for the dates that PostgreSQL can hold.
pub fn julian(year: i32, month: i32, day: i32) -> i64 {
    days_from_civil(year, month, day) + i64::from(EPOCH_JULIAN)
}

/// True when a date is within the range of `date`, roughly: exact limits are checked on the day number.
pub fn is_representable(year: i32, month: i32) -> bool {
    (year > -4713 || year == -4713 && month >= 11) && (year < 5_874_898 || year == 5_874_898 && month < 6)
}

/// The Monday that starts ISO week 1 of a year.
fn iso_year_start(year: i32) -> i64 {
    let fourth = days_from_civil(year, 1, 4);
    fourth - i64::from((weekday(fourth) + 6) % 7)
}

/// ISO 8601 year and week of a day.
pub fn iso_week(days: i64) -> (i32, i32) {
    let (mut year, ..) = civil_from_days(days);
    let mut start = iso_year_start(year);
    if days < start {
        year -= 1;
        start = iso_year_start(year);
    } else if days >= iso_year_start(year + 1) {
        year += 1;
        start = iso_year_start(year);
    }
    (year, ((days - start) / 7) as i32 + 1)
}

/// First day of an ISO week.
pub fn iso_week_start(year: i32, week: i32) -> i64 {
    iso_year_start(year) + i64::from(week - 1) * 7
}

/// Day of the year, from 1.
pub fn day_of_year(days: i64) -> i32 {
    let (year, ..) = civil_from_days(days);
    (days - days_from_civil(year, 1, 1)) as i32 + 1
}

impl Fields {
    /// From microseconds since 2000-01-01 (local time).
    pub fn from_timestamp(t: i64) -> Self {
        let (days, micros) = (t.div_euclid(DAY), t.rem_euclid(DAY));
        let (year, month, day) = civil_from_days(days);
        let mut f = Self::from_time(micros);
        (f.year, f.month, f.day) = (year, month, day);
        f
    }
    /// From microseconds since midnight; the date is left zero.
    pub fn from_time(micros: i64) -> Self {
        let seconds = (micros / SECOND) as i32;
        Self {
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            micros: (micros % SECOND) as i32,
            ..Self::default()
        }
    }
    /// Microseconds since midnight.
    pub fn time(&self) -> i64 {
        i64::from(self.hour) * HOUR
            + i64::from(self.minute) * MINUTE
            + i64::from(self.second) * SECOND
            + i64::from(self.micros)
    }
    /// Days since 2000-01-01.
    pub fn days(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day)
    }
    /// Microseconds since 2000-01-01; `None` beyond 64 bits.
    pub fn timestamp(&self) -> Option<i64> {
        self.days().checked_mul(DAY)?.checked_add(self.time())
    }
}

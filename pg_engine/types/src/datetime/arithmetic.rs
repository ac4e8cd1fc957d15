//! Sums, differences, truncation and conversions of dates, times and intervals.

use alloc::format;

use jiff::tz::TimeZone;

use super::{
    DATE_INFINITY, DATE_NEG_INFINITY, DAY, HOUR, MINUTE, SECOND, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY,
    calendar::{self, Fields},
    check_date, check_timestamp, date_is_infinite,
    extract::{Field, not_recognized, not_supported, unit_name},
    interval_text::Parts,
    out_of_range, timestamp_is_infinite,
    words::Unit,
    zone,
};
use crate::{
    error::{Result, SqlError, SqlState},
    value::{Interval, TimeTz},
};

const INTERVAL_RANGE: &str = "interval out of range";
const TIMESTAMP_RANGE: &str = "timestamp out of range";

fn interval_range<T>(v: Option<T>) -> Result<T> {
    v.ok_or_else(|| out_of_range(INTERVAL_RANGE))
}

fn timestamp_range<T>(v: Option<T>) -> Result<T> {
    v.ok_or_else(|| out_of_range(TIMESTAMP_RANGE))
}

impl Interval {
    /// From parts.
    pub const fn new(months: i32, days: i32, micros: i64) -> Self {
        Self { months, days, micros }
    }
    /// Sum.
    pub fn add(&self, o: &Self) -> Result<Self> {
        interval_range((|| {
            Some(Self {
                months: self.months.checked_add(o.months)?,
                days: self.days.checked_add(o.days)?,
                micros: self.micros.checked_add(o.micros)?,
            })
        })())
    }
    /// Difference.
    pub fn sub(&self, o: &Self) -> Result<Self> {
        interval_range((|| {
            Some(Self {
                months: self.months.checked_sub(o.months)?,
                days: self.days.checked_sub(o.days)?,
                micros: self.micros.checked_sub(o.micros)?,
            })
        })())
    }
    /// Opposite.
    pub fn neg(&self) -> Result<Self> {
        Self::default().sub(self)
    }
    /// Product with a number; fractions of months and days cascade down.
    pub fn mul(&self, factor: f64) -> Result<Self> {
        self.scale(|v| v * factor)
    }
    /// Quotient by a number.
    pub fn div(&self, divisor: f64) -> Result<Self> {
        if divisor == 0.0 {
            return Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
        }
        self.scale(|v| v / divisor)
    }
    fn scale(&self, by: impl Fn(f64) -> f64) -> Result<Self> {
        let micro_round = |v: f64| libm::rint(v * 1e6) / 1e6;
        let whole = |v: f64| {
            let fits = v.is_finite() && v >= f64::from(i32::MIN) && v <= f64::from(i32::MAX);
            interval_range(fits.then_some(v as i32))
        };
        let (month_product, day_product) = (by(self.months.into()), by(self.days.into()));
        let (months, mut days) = (whole(month_product)?, whole(day_product)?);
        let month_days = micro_round((month_product - f64::from(months)) * 30.0);
        let mut seconds =
            micro_round((day_product - f64::from(days) + month_days - libm::trunc(month_days)) * 86_400.0);
        if seconds.abs() >= 86_400.0 {
            let carried = libm::trunc(seconds / 86_400.0);
            days = interval_range(days.checked_add(carried as i32))?;
            seconds -= carried * 86_400.0;
        }
        days = interval_range(days.checked_add(month_days as i32))?;
        let micros = libm::rint(by(self.micros as f64) + seconds * SECOND as f64);
        // The largest double below 2^63 bounds what fits.
        if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&micros) {
            return Err(out_of_range(INTERVAL_RANGE));
        }
        Ok(Self { months, days, micros: micros as i64 })
    }
    /// Whole days of 24 hours moved from the time into the days, both of one sign.
    pub fn justify_hours(&self) -> Result<Self> {
        let mut r = *self;
        let days = (r.micros / DAY) as i32;
        r.micros -= i64::from(days) * DAY;
        r.days = interval_range(r.days.checked_add(days))?;
        if r.days > 0 && r.micros < 0 {
            r.micros += DAY;
            r.days -= 1;
        } else if r.days < 0 && r.micros > 0 {
            r.micros -= DAY;
            r.days += 1;
        }
        Ok(r)
    }
    /// Whole months of 30 days moved from the days into the months, both of one sign.
    pub fn justify_days(&self) -> Result<Self> {
        let mut r = *self;
        let months = r.days / 30;
        r.days -= months * 30;
        r.months = interval_range(r.months.checked_add(months))?;
        if r.months > 0 && r.days < 0 {
            r.days += 30;
            r.months -= 1;
        } else if r.months < 0 && r.days > 0 {
            r.days -= 30;
            r.months += 1;
        }
        Ok(r)
    }
    /// Both, with all parts of one sign.
    pub fn justify_interval(&self) -> Result<Self> {
        let mut r = *self;
        // Days first when they have the time's sign, so that nothing overflows needlessly.
        if (r.days > 0 && r.micros > 0) || (r.days < 0 && r.micros < 0) {
            let months = r.days / 30;
            r.days -= months * 30;
            r.months = interval_range(r.months.checked_add(months))?;
        }
        let days = (r.micros / DAY) as i32;
        r.micros -= i64::from(days) * DAY;
        r.days = interval_range(r.days.checked_add(days))?;
        let months = r.days / 30;
        r.days -= months * 30;
        r.months = interval_range(r.months.checked_add(months))?;
        if r.months > 0 && (r.days < 0 || r.days == 0 && r.micros < 0) {
            r.days += 30;
            r.months -= 1;
        } else if r.months < 0 && (r.days > 0 || r.days == 0 && r.micros > 0) {
            r.days -= 30;
            r.months += 1;
        }
        if r.days > 0 && r.micros < 0 {
            r.micros += DAY;
            r.days -= 1;
        } else if r.days < 0 && r.micros > 0 {
            r.micros -= DAY;
            r.days += 1;
        }
        Ok(r)
    }
}

/// A local timestamp moved by whole months; days beyond the end of the month become its last.
fn add_months(t: i64, months: i32) -> Result<i64> {
    if months == 0 {
        return Ok(t);
    }
    let mut f = Fields::from_timestamp(t);
    let total = i64::from(f.year) * 12 + i64::from(f.month - 1) + i64::from(months);
    f.year = timestamp_range(i32::try_from(total.div_euclid(12)).ok())?;
    f.month = total.rem_euclid(12) as i32 + 1;
    f.day = f.day.min(calendar::days_in_month(f.year, f.month));
    timestamp_range(if calendar::is_representable(f.year, f.month) { f.timestamp() } else { None })
}

/// timestamp + interval
pub fn timestamp_add(t: i64, v: &Interval) -> Result<i64> {
    if timestamp_is_infinite(t) {
        return Ok(t);
    }
    let t = add_months(t, v.months)?;
    let t = timestamp_range(i64::from(v.days).checked_mul(DAY).and_then(|d| t.checked_add(d)))?;
    check_timestamp(timestamp_range(t.checked_add(v.micros))?)
}

/// timestamptz + interval: months and days move the local clock's date, the rest is elapsed time.
pub fn timestamptz_add(t: i64, v: &Interval, tz: &TimeZone) -> Result<i64> {
    if timestamp_is_infinite(t) {
        return Ok(t);
    }
    let mut t = t;
    if v.months != 0 {
        t = zone::to_utc(tz, add_months(zone::to_local(tz, t), v.months)?)?;
    }
    if v.days != 0 {
        let days = i64::from(v.days).checked_mul(DAY);
        let local = timestamp_range(days.and_then(|d| zone::to_local(tz, t).checked_add(d)))?;
        t = zone::to_utc(tz, local)?;
    }
    check_timestamp(timestamp_range(t.checked_add(v.micros))?)
}

/// timestamp - timestamp, in days and time.
pub fn timestamp_sub(a: i64, b: i64) -> Result<Interval> {
    if timestamp_is_infinite(a) || timestamp_is_infinite(b) {
        return Err(out_of_range("cannot subtract infinite timestamps"));
    }
    let micros = interval_range(a.checked_sub(b))?;
    Interval { months: 0, days: 0, micros }.justify_hours()
}

/// `age(a, b)` of local timestamps: years, months and days as on a calendar.
pub fn age(a: i64, b: i64) -> Result<Interval> {
    if timestamp_is_infinite(a) || timestamp_is_infinite(b) {
        return Err(out_of_range(TIMESTAMP_RANGE));
    }
    let (later, earlier, negative) = if a < b { (b, a, true) } else { (a, b, false) };
    let (x, y) = (Fields::from_timestamp(later), Fields::from_timestamp(earlier));
    let mut micros = x.time() - y.time();
    let mut days = x.day - y.day;
    let mut months = (x.year - y.year) * 12 + (x.month - y.month);
    if micros < 0 {
        micros += DAY;
        days -= 1;
    }
    while days < 0 {
        // Borrow the days of the earlier date's month.
        days += calendar::days_in_month(y.year, y.month);
        months -= 1;
    }
    let v = Interval { months, days, micros };
    if negative { v.neg() } else { Ok(v) }
}

/// date + days
pub fn date_add_days(d: i32, days: i32) -> Result<i32> {
    if date_is_infinite(d) {
        return Ok(d);
    }
    let sum = d.checked_add(days).ok_or_else(|| out_of_range("date out of range"))?;
    if date_is_infinite(sum) {
        return Err(out_of_range("date out of range"));
    }
    check_date(sum)
}

/// date - date
pub fn date_sub(a: i32, b: i32) -> Result<i32> {
    if date_is_infinite(a) || date_is_infinite(b) {
        return Err(out_of_range("cannot subtract infinite dates"));
    }
    Ok(a - b)
}

/// Midnight of a date, local.
pub fn date_to_timestamp(d: i32) -> Result<i64> {
    match d {
        DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        DATE_NEG_INFINITY => Ok(TIMESTAMP_NEG_INFINITY),
        _ => i64::from(d)
            .checked_mul(DAY)
            .filter(|t| (super::MIN_TIMESTAMP..super::END_TIMESTAMP).contains(t))
            .ok_or_else(|| out_of_range("date out of range for timestamp")),
    }
}

/// Midnight of a date in a zone.
pub fn date_to_timestamptz(d: i32, tz: &TimeZone) -> Result<i64> {
    let local = date_to_timestamp(d)?;
    if timestamp_is_infinite(local) { Ok(local) } else { zone::to_utc(tz, local) }
}

/// The date of a local timestamp.
pub fn timestamp_to_date(t: i64) -> i32 {
    match t {
        TIMESTAMP_INFINITY => DATE_INFINITY,
        TIMESTAMP_NEG_INFINITY => DATE_NEG_INFINITY,
        _ => t.div_euclid(DAY) as i32,
    }
}

/// The date of a moment in a zone.
pub fn timestamptz_to_date(t: i64, tz: &TimeZone) -> i32 {
    timestamp_to_date(timestamptz_to_timestamp(t, tz))
}

/// A moment's local time; the infinities stay.
pub fn timestamptz_to_timestamp(t: i64, tz: &TimeZone) -> i64 {
    if timestamp_is_infinite(t) { t } else { zone::to_local(tz, t) }
}

/// A local time's moment; the infinities stay.
pub fn timestamp_to_timestamptz(t: i64, tz: &TimeZone) -> Result<i64> {
    if timestamp_is_infinite(t) { Ok(t) } else { zone::to_utc(tz, t) }
}

/// The time of day of a local timestamp; `None` for the infinities.
pub fn timestamp_to_time(t: i64) -> Option<i64> {
    (!timestamp_is_infinite(t)).then(|| t.rem_euclid(DAY))
}

/// The time of day of a moment in a zone, with the offset.
pub fn timestamptz_to_timetz(t: i64, tz: &TimeZone) -> Option<TimeTz> {
    let micros = timestamp_to_time(timestamptz_to_timestamp(t, tz))?;
    Some(TimeTz { micros, zone: -zone::offset_at(tz, t) })
}

/// time + interval: around the clock, months and days ignored.
pub fn time_add(t: i64, v: &Interval) -> i64 {
    (t + v.micros % DAY).rem_euclid(DAY)
}

/// A zoned time of day on the clock `west` seconds west of UTC.
pub fn timetz_at(t: &TimeTz, west: i32) -> TimeTz {
    let moment = t.micros + i64::from(t.zone - west) * SECOND;
    TimeTz { micros: moment.rem_euclid(DAY), zone: west }
}

/// `make_date`; negative years are BC.
pub fn make_date(year: i32, month: i32, day: i32) -> Result<i32> {
    // The messages count years as the calendar does, with a year 0, but for one that has no opposite.
    let shown = if year < 0 && year != i32::MIN { year + 1 } else { year };
    date_of(year, month, day, shown)
}

/// As [`make_date`]; messages name the year as `shown`.
fn date_of(year: i32, month: i32, day: i32, shown: i32) -> Result<i32> {
    let bad = || {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date field value out of range: {shown}-{month:02}-{day:02}"),
        )
    };
    if year == i32::MIN {
        return Err(bad());
    }
    let actual = if year < 0 { year + 1 } else { year };
    if year == 0 || !(1..=12).contains(&month) || day < 1 || day > calendar::days_in_month(actual, month) {
        return Err(bad());
    }
    let range = || {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: {shown}-{month:02}-{day:02}"),
        )
    };
    if !calendar::is_representable(actual, month) {
        return Err(range());
    }
    i32::try_from(calendar::days_from_civil(actual, month, day)).map_err(|_| range())
}

/// `make_time`
pub fn make_time(hour: i32, minute: i32, second: f64) -> Result<i64> {
    let micros = libm::rint(second * 1e6);
    let within =
        (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60_000_000.0).contains(&micros);
    let total = if within { i64::from(hour) * HOUR + i64::from(minute) * MINUTE + micros as i64 } else { -1 };
    if !(0..=DAY).contains(&total) {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("time field value out of range: {hour}:{minute:02}:{second:02}"),
        ));
    }
    Ok(total)
}

/// `make_timestamp`, local.
pub fn make_timestamp(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: f64) -> Result<i64> {
    let date = date_of(year, month, day, year)?;
    let time = make_time(hour, minute, second)?;
    check_timestamp(timestamp_range(i64::from(date).checked_mul(DAY).and_then(|d| d.checked_add(time)))?)
}

/// `make_interval`
pub fn make_interval(
    [years, months, weeks, days, hours, minutes]: [i32; 6],
    seconds: f64,
) -> Result<Interval> {
    let months = i64::from(years) * 12 + i64::from(months);
    let days = i64::from(weeks) * 7 + i64::from(days);
    if !seconds.is_finite() {
        return Err(out_of_range(INTERVAL_RANGE));
    }
    let micros = i128::from(hours) * i128::from(HOUR)
        + i128::from(minutes) * i128::from(MINUTE)
        + libm::rint(seconds * 1e6) as i128;
    interval_range((|| {
        Some(Interval {
            months: months.try_into().ok()?,
            days: days.try_into().ok()?,
            micros: micros.try_into().ok()?,
        })
    })())
}

fn trunc_year(year: i32, unit: Unit) -> i32 {
    match unit {
        Unit::Millennium if year > 0 => (year + 999) / 1000 * 1000 - 999,
        Unit::Millennium => -((999 - (year - 1)) / 1000) * 1000 + 1,
        Unit::Century if year > 0 => (year + 99) / 100 * 100 - 99,
        Unit::Century => -((99 - (year - 1)) / 100) * 100 + 1,
        Unit::Decade if year > 0 => year / 10 * 10,
        Unit::Decade => -((8 - (year - 1)) / 10) * 10,
        _ => year,
    }
}

/// Start of the unit that a local timestamp lies in.
fn trunc_local(t: i64, unit: Unit) -> Result<i64> {
    let below = |size: i64| Ok(t.div_euclid(size) * size);
    let days = t.div_euclid(DAY);
    let mut f = Fields::from_timestamp(t);
    f.day = 1;
    match unit {
        Unit::Microsecond => return Ok(t),
        Unit::Millisecond => return below(1_000),
        Unit::Second => return below(SECOND),
        Unit::Minute => return below(MINUTE),
        Unit::Hour => return below(HOUR),
        Unit::Day => return below(DAY),
        Unit::Week => return Ok((days - i64::from((calendar::weekday(days) + 6) % 7)) * DAY),
        Unit::Month => {}
        Unit::Quarter => f.month = (f.month - 1) / 3 * 3 + 1,
        Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium => {
            f.month = 1;
            f.year = trunc_year(f.year, unit);
        }
    }
    timestamp_range(f.days().checked_mul(DAY))
}

fn trunc_unit(unit: &str, type_name: &str) -> Result<Unit> {
    match Field::parse(unit, type_name)? {
        Field::Unit(u) => Ok(u),
        Field::Zone | Field::ZoneHour | Field::ZoneMinute => Err(not_supported(unit, type_name)),
        _ => Err(not_recognized(&unit_name(unit), type_name)),
    }
}

/// `date_trunc(unit, timestamp)`
pub fn timestamp_trunc(unit: &str, t: i64) -> Result<i64> {
    if timestamp_is_infinite(t) {
        return Ok(t);
    }
    check_timestamp(trunc_local(t, trunc_unit(unit, "timestamp without time zone")?)?)
}

/// `date_trunc(unit, timestamptz)` on the clock of a zone.
pub fn timestamptz_trunc(unit: &str, t: i64, tz: &TimeZone) -> Result<i64> {
    if timestamp_is_infinite(t) {
        return Ok(t);
    }
    let u = trunc_unit(unit, "timestamp with time zone")?;
    let east = i64::from(zone::offset_at(tz, t)) * SECOND;
    let local = trunc_local(t.saturating_add(east), u)?;
    let shorter =
        matches!(u, Unit::Microsecond | Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour);
    if shorter { check_timestamp(local - east) } else { zone::to_utc(tz, local) }
}

/// `date_trunc(unit, interval)`
pub fn interval_trunc(unit: &str, v: &Interval) -> Result<Interval> {
    let u = trunc_unit(unit, "interval")?;
    let p = Parts::of(v);
    let years = |n: i32| Ok(Interval { months: p.years / n * n * 12, days: 0, micros: 0 });
    let time = |size: i64| Ok(Interval { micros: v.micros / size * size, ..*v });
    match u {
        Unit::Microsecond => Ok(*v),
        Unit::Millisecond => time(1_000),
        Unit::Second => time(SECOND),
        Unit::Minute => time(MINUTE),
        Unit::Hour => time(HOUR),
        Unit::Day => Ok(Interval { micros: 0, ..*v }),
        Unit::Week => Err(not_supported(unit, "interval").detail("Months usually have fractional weeks.")),
        Unit::Month => Ok(Interval { months: v.months, days: 0, micros: 0 }),
        Unit::Quarter => Ok(Interval { months: v.months / 3 * 3, days: 0, micros: 0 }),
        Unit::Year => years(1),
        Unit::Decade => years(10),
        Unit::Century => years(100),
        Unit::Millennium => years(1_000),
    }
}

/// `date_bin(stride, source, origin)`
pub fn date_bin(stride: &Interval, source: i64, origin: i64) -> Result<i64> {
    if timestamp_is_infinite(source) {
        return Ok(source);
    }
    if timestamp_is_infinite(origin) {
        return Err(out_of_range("origin out of range"));
    }
    if stride.months != 0 {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let size = i64::from(stride.days).checked_mul(DAY).and_then(|d| d.checked_add(stride.micros));
    let size = interval_range(size)?;
    if size <= 0 {
        return Err(out_of_range("stride must be greater than zero"));
    }
    let distance = interval_range(source.checked_sub(origin))?;
    check_timestamp(timestamp_range(
        distance.div_euclid(size).checked_mul(size).and_then(|d| origin.checked_add(d)),
    )?)
}

//! `+`, `-`, `*`, `/` and `age`.

use pg_types::{
    Result,
    datetime::arithmetic::{
        age, date_add_days, date_sub, date_to_timestamp, time_add, timestamp_add, timestamp_sub,
        timestamp_to_timestamptz, timestamptz_add,
    },
    datetime::{check_timestamp, date_is_infinite},
    oid::*,
    value::{Interval, TimeTz},
};

use super::{DAY, infinite, local, zone};
use crate::{
    call::{Date, Time, Timestamp, TimestampTz, row},
    def::{EvalContext, Function},
    errors::{date_range, timestamp_range},
    kernel::try2,
    table::def,
};

fn timetz_add(t: TimeTz, i: &Interval) -> TimeTz {
    TimeTz { micros: time_add(t.micros, i), zone: t.zone }
}

/// Only the time counts, so this cannot overflow.
fn time_sub(t: i64, i: &Interval) -> i64 {
    time_add(t, &Interval { months: 0, days: 0, micros: -(i.micros % DAY) })
}

/// A time of day on a date, `west` seconds west of UTC.
fn at_time(date: i32, time: i64, west: i32) -> Result<i64> {
    let t = date_to_timestamp(date)?;
    if infinite(t) {
        return Ok(t);
    }
    let time = time + i64::from(west) * 1_000_000;
    check_timestamp(t.checked_add(time).ok_or_else(timestamp_range)?)
}

/// Midnight of the session's current day.
fn today(ctx: &EvalContext<'_>) -> i64 {
    local(ctx, ctx.host.transaction_timestamp()).div_euclid(DAY) * DAY
}

/// A finite moment on the session's clock, as `age` counts.
fn clock(ctx: &EvalContext<'_>, t: i64) -> Result<i64> {
    if infinite(t) { Err(timestamp_range()) } else { Ok(local(ctx, t)) }
}

/// The sum of a date and days, and whether it failed.
fn days_after(date: i32, days: i32) -> (i32, bool) {
    date_add_days(date, days).map_or((0, true), |d| (d, false))
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(1141, "date_pli", &[DATE, INT4], DATE)
        .imp(try2!(|a: i32, b: i32| -> i32, DATE, |_, _| date_range(); days_after(a, b))),
    def(1142, "date_mii", &[DATE, INT4], DATE).imp(try2!(|a: i32, b: i32| -> i32, DATE, |_, _| date_range();
        b.checked_neg().map_or((a, !date_is_infinite(a)), |b| days_after(a, b)))),
    def(2550, "integer_pl_date", &[INT4, DATE], DATE).imp(row!(|n: i32, d: i32| Date(date_add_days(d, n)?))),
    def(1140, "date_mi", &[DATE, DATE], INT4).imp(row!(|a: i32, b: i32| date_sub(a, b))),
    def(2071, "date_pl_interval", &[DATE, INTERVAL], TIMESTAMP)
        .imp(row!(|d: i32, i: Interval| Timestamp(timestamp_add(date_to_timestamp(d)?, &i)?))),
    def(2072, "date_mi_interval", &[DATE, INTERVAL], TIMESTAMP)
        .imp(row!(|d: i32, i: Interval| { Timestamp(timestamp_add(date_to_timestamp(d)?, &i.neg()?)?) })),
    def(2546, "interval_pl_date", &[INTERVAL, DATE], TIMESTAMP)
        .imp(row!(|i: Interval, d: i32| Timestamp(timestamp_add(date_to_timestamp(d)?, &i)?))),
    def(1272, "datetime_pl", &[DATE, TIME], TIMESTAMP)
        .imp(row!(|d: i32, t: i64| Timestamp(at_time(d, t, 0)?))),
    def(1296, "timedate_pl", &[TIME, DATE], TIMESTAMP)
        .imp(row!(|t: i64, d: i32| Timestamp(at_time(d, t, 0)?))),
    def(2025, "timestamp", &[DATE, TIME], TIMESTAMP).imp(row!(|d: i32, t: i64| Timestamp(at_time(d, t, 0)?))),
    def(1176, "timestamptz", &[DATE, TIME], TIMESTAMPTZ).stable().imp(row!(ctx; |d: i32, t: i64| {
        let t = at_time(d, t, 0)?;
        TimestampTz(timestamp_to_timestamptz(t, zone(ctx))?)
    })),
    def(1297, "datetimetz_pl", &[DATE, TIMETZ], TIMESTAMPTZ)
        .imp(row!(|d: i32, t: TimeTz| TimestampTz(at_time(d, t.micros, t.zone)?))),
    def(1298, "timetzdate_pl", &[TIMETZ, DATE], TIMESTAMPTZ)
        .imp(row!(|t: TimeTz, d: i32| TimestampTz(at_time(d, t.micros, t.zone)?))),
    def(1359, "timestamptz", &[DATE, TIMETZ], TIMESTAMPTZ)
        .imp(row!(|d: i32, t: TimeTz| TimestampTz(at_time(d, t.micros, t.zone)?))),
    def(1747, "time_pl_interval", &[TIME, INTERVAL], TIME)
        .imp(row!(|t: i64, i: Interval| Time(time_add(t, &i)))),
    def(1748, "time_mi_interval", &[TIME, INTERVAL], TIME)
        .imp(row!(|t: i64, i: Interval| Time(time_sub(t, &i)))),
    def(1848, "interval_pl_time", &[INTERVAL, TIME], TIME)
        .imp(row!(|i: Interval, t: i64| Time(time_add(t, &i)))),
    def(1690, "time_mi_time", &[TIME, TIME], INTERVAL).imp(row!(|a: i64, b: i64| Interval {
        months: 0,
        days: 0,
        micros: a - b
    })),
    def(1749, "timetz_pl_interval", &[TIMETZ, INTERVAL], TIMETZ)
        .imp(row!(|t: TimeTz, i: Interval| timetz_add(t, &i))),
    def(1750, "timetz_mi_interval", &[TIMETZ, INTERVAL], TIMETZ)
        .imp(row!(|t: TimeTz, i: Interval| TimeTz { micros: time_sub(t.micros, &i), zone: t.zone })),
    def(2547, "interval_pl_timetz", &[INTERVAL, TIMETZ], TIMETZ)
        .imp(row!(|i: Interval, t: TimeTz| timetz_add(t, &i))),
    def(2032, "timestamp_pl_interval", &[TIMESTAMP, INTERVAL], TIMESTAMP)
        .imp(row!(|t: i64, i: Interval| Timestamp(timestamp_add(t, &i)?))),
    def(2033, "timestamp_mi_interval", &[TIMESTAMP, INTERVAL], TIMESTAMP)
        .imp(row!(|t: i64, i: Interval| Timestamp(timestamp_add(t, &i.neg()?)?))),
    def(2548, "interval_pl_timestamp", &[INTERVAL, TIMESTAMP], TIMESTAMP)
        .imp(row!(|i: Interval, t: i64| Timestamp(timestamp_add(t, &i)?))),
    def(1189, "timestamptz_pl_interval", &[TIMESTAMPTZ, INTERVAL], TIMESTAMPTZ).stable().imp(
        row!(ctx; |t: i64, i: Interval| {
            TimestampTz(timestamptz_add(t, &i, zone(ctx))?)
        }),
    ),
    def(1190, "timestamptz_mi_interval", &[TIMESTAMPTZ, INTERVAL], TIMESTAMPTZ).stable().imp(
        row!(ctx; |t: i64, i: Interval| {
            TimestampTz(timestamptz_add(t, &i.neg()?, zone(ctx))?)
        }),
    ),
    def(2549, "interval_pl_timestamptz", &[INTERVAL, TIMESTAMPTZ], TIMESTAMPTZ).stable().imp(
        row!(ctx; |i: Interval, t: i64| {
            TimestampTz(timestamptz_add(t, &i, zone(ctx))?)
        }),
    ),
    def(2031, "timestamp_mi", &[TIMESTAMP, TIMESTAMP], INTERVAL)
        .imp(row!(|a: i64, b: i64| timestamp_sub(a, b))),
    def(1188, "timestamptz_mi", &[TIMESTAMPTZ, TIMESTAMPTZ], INTERVAL)
        .imp(row!(|a: i64, b: i64| timestamp_sub(a, b))),
    def(1168, "interval_um", &[INTERVAL], INTERVAL).imp(row!(|i: Interval| i.neg())),
    def(1169, "interval_pl", &[INTERVAL, INTERVAL], INTERVAL).imp(row!(|a: Interval, b: Interval| a.add(&b))),
    def(1170, "interval_mi", &[INTERVAL, INTERVAL], INTERVAL).imp(row!(|a: Interval, b: Interval| a.sub(&b))),
    def(1618, "interval_mul", &[INTERVAL, FLOAT8], INTERVAL).imp(row!(|i: Interval, x: f64| i.mul(x))),
    def(1624, "mul_d_interval", &[FLOAT8, INTERVAL], INTERVAL).imp(row!(|x: f64, i: Interval| i.mul(x))),
    def(1326, "interval_div", &[INTERVAL, FLOAT8], INTERVAL).imp(row!(|i: Interval, x: f64| i.div(x))),
    def(1175, "justify_hours", &[INTERVAL], INTERVAL).imp(row!(|i: Interval| i.justify_hours())),
    def(1295, "justify_days", &[INTERVAL], INTERVAL).imp(row!(|i: Interval| i.justify_days())),
    def(2711, "justify_interval", &[INTERVAL], INTERVAL).imp(row!(|i: Interval| i.justify_interval())),
    def(2058, "age", &[TIMESTAMP, TIMESTAMP], INTERVAL).imp(row!(|a: i64, b: i64| age(a, b))),
    def(2059, "age", &[TIMESTAMP], INTERVAL).stable().imp(row!(ctx; |t: i64| age(today(ctx), t))),
    def(1199, "age", &[TIMESTAMPTZ, TIMESTAMPTZ], INTERVAL)
        .imp(row!(ctx; |a: i64, b: i64| age(clock(ctx, a)?, clock(ctx, b)?))),
    def(1386, "age", &[TIMESTAMPTZ], INTERVAL)
        .stable()
        .imp(row!(ctx; |t: i64| age(today(ctx), clock(ctx, t)?))),
];

//! `make_date` and its kin, and the clocks.

use pg_types::{
    Result, SqlError, SqlState, Value,
    datetime::{
        self,
        arithmetic::{make_date, make_interval, make_time, make_timestamp},
    },
    oid::*,
    value::Interval,
};

use super::{local, moment};
use crate::{
    call::{Date, Time, Timestamp, TimestampTz, row},
    def::{EvalContext, Function},
    table::def,
};

/// Seconds from 1970 to 2000.
const EPOCH: f64 = 946_684_800.0;

/// `make_interval`, for seconds that can be an interval at all.
fn interval(parts: [i32; 6], seconds: f64) -> Result<Interval> {
    if seconds.abs() >= 9.3e12 {
        return Err(crate::errors::interval_range());
    }
    make_interval(parts, seconds)
}

/// `to_timestamp(seconds since 1970)`.
fn from_epoch(seconds: f64) -> Result<i64> {
    if seconds.is_nan() {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 { i64::MAX } else { i64::MIN });
    }
    let fault = || {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            alloc::format!("timestamp out of range: \"{}\"", crate::output::general(seconds)),
        )
    };
    let micros = libm::rint((seconds - EPOCH) * 1e6);
    if micros.abs() >= 9.223_372e18 {
        return Err(fault());
    }
    datetime::check_timestamp(micros as i64).map_err(|_| fault())
}

/// The wall clock as `timeofday` writes it: `Wed Feb 26 10:41:52.871364 2020 UTC`.
fn timeofday(ctx: &EvalContext<'_>) -> Result<alloc::string::String> {
    let now = ctx.host.clock_timestamp();
    let text = super::to_char::timestamp(ctx, local(ctx, now), Some(now), "Dy Mon DD HH24:MI:SS.US YYYY TZ")?;
    Ok(text)
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(3846, "make_date", &[INT4, INT4, INT4], DATE)
        .imp(row!(|y: i32, m: i32, d: i32| Date(make_date(y, m, d)?))),
    def(3847, "make_time", &[INT4, INT4, FLOAT8], TIME)
        .imp(row!(|h: i32, m: i32, s: f64| Time(make_time(h, m, s)?))),
    def(3461, "make_timestamp", &[INT4, INT4, INT4, INT4, INT4, FLOAT8], TIMESTAMP).imp(row!(
        |y: i32, mo: i32, d: i32, h: i32, mi: i32, s: f64| Timestamp(make_timestamp(y, mo, d, h, mi, s)?)
    )),
    def(3462, "make_timestamptz", &[INT4, INT4, INT4, INT4, INT4, FLOAT8], TIMESTAMPTZ).stable().imp(
        row!(ctx; |y: i32, mo: i32, d: i32, h: i32, mi: i32, s: f64| {
            TimestampTz(moment(ctx, make_timestamp(y, mo, d, h, mi, s)?)?)
        }),
    ),
    def(3463, "make_timestamptz", &[INT4, INT4, INT4, INT4, INT4, FLOAT8, TEXT], TIMESTAMPTZ).stable().imp(
        row!(|y: i32, mo: i32, d: i32, h: i32, mi: i32, s: f64, z: &str| {
            let local = make_timestamp(y, mo, d, h, mi, s)?;
            TimestampTz(datetime::zone::to_utc(&datetime::zone::resolve(z)?, local)?)
        }),
    ),
    def(3464, "make_interval", &[INT4, INT4, INT4, INT4, INT4, INT4, FLOAT8], INTERVAL)
        .defaults(&[
            || Value::Int4(0),
            || Value::Int4(0),
            || Value::Int4(0),
            || Value::Int4(0),
            || Value::Int4(0),
            || Value::Int4(0),
            || Value::Float8(0.0),
        ])
        .imp(row!(|y: i32, mo: i32, w: i32, d: i32, h: i32, mi: i32, s: f64| interval(
            [y, mo, w, d, h, mi],
            s
        ))),
    def(1158, "to_timestamp", &[FLOAT8], TIMESTAMPTZ).imp(row!(|s: f64| TimestampTz(from_epoch(s)?))),
    def(1299, "now", &[], TIMESTAMPTZ)
        .stable()
        .imp(row!(ctx; || TimestampTz(ctx.host.transaction_timestamp()))),
    def(2647, "transaction_timestamp", &[], TIMESTAMPTZ)
        .stable()
        .imp(row!(ctx; || TimestampTz(ctx.host.transaction_timestamp()))),
    def(2648, "statement_timestamp", &[], TIMESTAMPTZ)
        .stable()
        .imp(row!(ctx; || TimestampTz(ctx.host.statement_timestamp()))),
    def(2649, "clock_timestamp", &[], TIMESTAMPTZ)
        .volatile()
        .imp(row!(ctx; || TimestampTz(ctx.host.clock_timestamp()))),
    def(274, "timeofday", &[], TEXT).volatile().imp(row!(ctx; || timeofday(ctx))),
];

//! `timezone(...)`: AT TIME ZONE.

use jiff::tz::TimeZone;
use pg_types::{
    Result, SqlError, SqlState, Value,
    datetime::{self, arithmetic::timetz_at, zone},
    oid::*,
    value::{Interval, TimeTz},
};

use super::infinite;
use crate::{
    call::{Timestamp, TimestampTz, row},
    def::{EvalContext, Function},
    errors::invalid,
    table::def,
};

/// Seconds east that an interval means as a zone, for a timestamp: infinities need none.
fn displacement_at(ctx: &EvalContext<'_>, i: Interval, t: i64) -> Result<i64> {
    if infinite(t) { Ok(0) } else { displacement(ctx, i) }
}

/// Seconds east that an interval means as a zone.
fn displacement(ctx: &EvalContext<'_>, i: Interval) -> Result<i64> {
    if i.months != 0 || i.days != 0 {
        let shown = crate::output::text(ctx, &Value::Interval(i));
        return Err(invalid(alloc::format!(
            "interval time zone \"{shown}\" must not include months or days"
        )));
    }
    Ok(i.micros / 1_000_000)
}

fn to_local(zone: &TimeZone, t: i64) -> Result<i64> {
    if infinite(t) { Ok(t) } else { datetime::check_timestamp(zone::to_local(zone, t)) }
}

fn to_moment(zone: &TimeZone, t: i64) -> Result<i64> {
    if infinite(t) { Ok(t) } else { zone::to_utc(zone, t) }
}

fn shift(t: i64, seconds: i64) -> Result<i64> {
    if infinite(t) {
        return Ok(t);
    }
    let shifted = seconds.checked_mul(1_000_000).and_then(|s| t.checked_add(s));
    datetime::check_timestamp(
        shifted.ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range"))?,
    )
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(1159, "timezone", &[TEXT, TIMESTAMPTZ], TIMESTAMP).imp(row!(|z: &str, t: i64| Timestamp(
        if infinite(t) { t } else { to_local(&zone::resolve(z)?, t)? }
    ))),
    def(2069, "timezone", &[TEXT, TIMESTAMP], TIMESTAMPTZ).imp(row!(|z: &str, t: i64| TimestampTz(
        if infinite(t) { t } else { to_moment(&zone::resolve(z)?, t)? }
    ))),
    def(1026, "timezone", &[INTERVAL, TIMESTAMPTZ], TIMESTAMP)
        .imp(row!(ctx; |z: Interval, t: i64| Timestamp(shift(t, displacement_at(ctx, z, t)?)?))),
    def(2070, "timezone", &[INTERVAL, TIMESTAMP], TIMESTAMPTZ)
        .imp(row!(ctx; |z: Interval, t: i64| TimestampTz(shift(t, -displacement_at(ctx, z, t)?)?))),
    def(2037, "timezone", &[TEXT, TIMETZ], TIMETZ).stable().imp(row!(ctx; |z: &str, t: TimeTz| {
        let now = ctx.host.transaction_timestamp();
        timetz_at(&t, -zone::offset_at(&zone::resolve(z)?, now))
    })),
    def(2038, "timezone", &[INTERVAL, TIMETZ], TIMETZ)
        .imp(row!(ctx; |z: Interval, t: TimeTz| timetz_at(&t, -(displacement(ctx, z)? as i32)))),
];

//! Casts between the date/time types, and to a precision.

use pg_types::{
    Result, SqlError, SqlState, SqlType, Value,
    datetime::{
        self,
        arithmetic::{
            date_to_timestamp, date_to_timestamptz, timestamp_to_date, timestamp_to_time,
            timestamp_to_timestamptz, timestamptz_to_date, timestamptz_to_timestamp, timestamptz_to_timetz,
        },
    },
    io::typmod,
    oid::*,
    value::{Interval, TimeTz},
};

use super::{DAY, infinite, local, zone};
use crate::{
    call::{Date, Time, Timestamp, TimestampTz, row},
    def::Function,
    table::def,
};

fn coerce(value: Value, ty: u32, modifier: i32) -> Result<Value> {
    typmod::coerce(value, SqlType::with_typmod(ty, modifier), true)
}

/// A timestamp with so many decimals; -1: as it is.
fn with_precision(t: i64, p: i32) -> Result<i64> {
    if p == -1 || infinite(t) || (0..=6).contains(&p) {
        return datetime::round_timestamp(t, p);
    }
    let text = alloc::format!("timestamp({p}) precision must be between 0 and 6");
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text))
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(2024, "timestamp", &[DATE], TIMESTAMP).imp(row!(|d: i32| Timestamp(date_to_timestamp(d)?))),
    def(1174, "timestamptz", &[DATE], TIMESTAMPTZ)
        .stable()
        .imp(row!(ctx; |d: i32| TimestampTz(date_to_timestamptz(d, zone(ctx))?))),
    def(2029, "date", &[TIMESTAMP], DATE).imp(row!(|t: i64| Date(timestamp_to_date(t)))),
    def(1178, "date", &[TIMESTAMPTZ], DATE)
        .stable()
        .imp(row!(ctx; |t: i64| Date(timestamptz_to_date(t, zone(ctx))))),
    def(2028, "timestamptz", &[TIMESTAMP], TIMESTAMPTZ)
        .stable()
        .imp(row!(ctx; |t: i64| TimestampTz(timestamp_to_timestamptz(t, zone(ctx))?))),
    def(2027, "timestamp", &[TIMESTAMPTZ], TIMESTAMP)
        .stable()
        .imp(row!(ctx; |t: i64| Timestamp(timestamptz_to_timestamp(t, zone(ctx))))),
    def(1316, "time", &[TIMESTAMP], TIME).imp(row!(|t: i64| timestamp_to_time(t).map(Time))),
    def(2019, "time", &[TIMESTAMPTZ], TIME).stable().imp(row!(ctx; |t: i64| {
        timestamp_to_time(timestamptz_to_timestamp(t, zone(ctx))).map(Time)
    })),
    def(1388, "timetz", &[TIMESTAMPTZ], TIMETZ)
        .stable()
        .imp(row!(ctx; |t: i64| timestamptz_to_timetz(t, zone(ctx)))),
    def(1419, "time", &[INTERVAL], TIME).imp(row!(|i: Interval| Time(i.micros.rem_euclid(DAY)))),
    def(1370, "interval", &[TIME], INTERVAL).imp(row!(|t: i64| Interval { months: 0, days: 0, micros: t })),
    def(2046, "time", &[TIMETZ], TIME).imp(row!(|t: TimeTz| Time(t.micros))),
    def(2047, "timetz", &[TIME], TIMETZ).stable().imp(row!(ctx; |t: i64| {
        let now = ctx.host.transaction_timestamp();
        let today = local(ctx, now).div_euclid(DAY) * DAY;
        let east = datetime::zone::offset_of_local(zone(ctx), today + t);
        TimeTz { micros: t, zone: -east }
    })),
    def(1961, "timestamp", &[TIMESTAMP, INT4], TIMESTAMP)
        .imp(row!(|t: i64, p: i32| with_precision(t, p).map(Timestamp))),
    def(1967, "timestamptz", &[TIMESTAMPTZ, INT4], TIMESTAMPTZ)
        .imp(row!(|t: i64, p: i32| with_precision(t, p).map(TimestampTz))),
    def(1968, "time", &[TIME, INT4], TIME).imp(row!(|t: i64, p: i32| coerce(Value::Time(t), TIME, p))),
    def(1969, "timetz", &[TIMETZ, INT4], TIMETZ).imp(row!(|t: TimeTz, p: i32| coerce(
        Value::TimeTz(t),
        TIMETZ,
        p
    ))),
    def(1200, "interval", &[INTERVAL, INT4], INTERVAL).imp(row!(|i: Interval, p: i32| coerce(
        Value::Interval(i),
        INTERVAL,
        p
    ))),
];

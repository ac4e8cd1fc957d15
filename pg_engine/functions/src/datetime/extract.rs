//! `extract`, `date_part`, `date_trunc`, `date_bin`, `isfinite`.

use pg_types::{
    datetime::{
        self,
        arithmetic::{date_bin, date_to_timestamp, interval_trunc, timestamp_trunc, timestamptz_trunc},
        extract::{date, interval, time, timestamp, timestamptz, timetz},
    },
    numeric::Numeric,
    oid::*,
    value::{Interval, TimeTz},
};

use super::{infinite, zone};
use crate::{
    call::{Timestamp, TimestampTz, row},
    def::Function,
    table::def,
};

fn float(part: Option<Numeric>) -> Option<f64> {
    part.map(|n| n.to_f64())
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(6202, "extract", &[TEXT, TIMESTAMP], NUMERIC).imp(row!(|u: &str, t: i64| timestamp(u, t))),
    def(6203, "extract", &[TEXT, TIMESTAMPTZ], NUMERIC)
        .stable()
        .imp(row!(ctx; |u: &str, t: i64| timestamptz(u, t, zone(ctx)))),
    def(6199, "extract", &[TEXT, DATE], NUMERIC).imp(row!(|u: &str, d: i32| date(u, d))),
    def(6200, "extract", &[TEXT, TIME], NUMERIC).imp(row!(|u: &str, t: i64| time(u, t))),
    def(6201, "extract", &[TEXT, TIMETZ], NUMERIC).imp(row!(|u: &str, t: TimeTz| timetz(u, &t))),
    def(6204, "extract", &[TEXT, INTERVAL], NUMERIC).imp(row!(|u: &str, i: Interval| interval(u, &i))),
    def(2021, "date_part", &[TEXT, TIMESTAMP], FLOAT8).imp(row!(|u: &str, t: i64| float(timestamp(u, t)?))),
    def(1171, "date_part", &[TEXT, TIMESTAMPTZ], FLOAT8)
        .stable()
        .imp(row!(ctx; |u: &str, t: i64| float(timestamptz(u, t, zone(ctx))?))),
    def(1384, "date_part", &[TEXT, DATE], FLOAT8)
        .imp(row!(|u: &str, d: i32| float(timestamp(u, date_to_timestamp(d)?)?))),
    def(1385, "date_part", &[TEXT, TIME], FLOAT8).imp(row!(|u: &str, t: i64| float(time(u, t)?))),
    def(1273, "date_part", &[TEXT, TIMETZ], FLOAT8).imp(row!(|u: &str, t: TimeTz| float(timetz(u, &t)?))),
    def(1172, "date_part", &[TEXT, INTERVAL], FLOAT8)
        .imp(row!(|u: &str, i: Interval| float(interval(u, &i)?))),
    def(2020, "date_trunc", &[TEXT, TIMESTAMP], TIMESTAMP)
        .imp(row!(|u: &str, t: i64| Timestamp(timestamp_trunc(u, t)?))),
    def(1217, "date_trunc", &[TEXT, TIMESTAMPTZ], TIMESTAMPTZ)
        .stable()
        .imp(row!(ctx; |u: &str, t: i64| TimestampTz(timestamptz_trunc(u, t, zone(ctx))?))),
    def(1284, "date_trunc", &[TEXT, TIMESTAMPTZ, TEXT], TIMESTAMPTZ).stable().imp(row!(
        |u: &str, t: i64, z: &str| {
            // An infinite time is the same in any zone, even in one that is not known.
            TimestampTz(if infinite(t) { t } else { timestamptz_trunc(u, t, &datetime::zone::resolve(z)?)? })
        }
    )),
    def(1218, "date_trunc", &[TEXT, INTERVAL], INTERVAL)
        .imp(row!(|u: &str, i: Interval| interval_trunc(u, &i))),
    def(6177, "date_bin", &[INTERVAL, TIMESTAMP, TIMESTAMP], TIMESTAMP)
        .imp(row!(|s: Interval, t: i64, o: i64| Timestamp(date_bin(&s, t, o)?))),
    def(6178, "date_bin", &[INTERVAL, TIMESTAMPTZ, TIMESTAMPTZ], TIMESTAMPTZ)
        .imp(row!(|s: Interval, t: i64, o: i64| { TimestampTz(date_bin(&s, t, o)?) })),
    def(1373, "isfinite", &[DATE], BOOL).imp(row!(|d: i32| !datetime::date_is_infinite(d))),
    def(2048, "isfinite", &[TIMESTAMP], BOOL).imp(row!(|t: i64| !infinite(t))),
    def(1389, "isfinite", &[TIMESTAMPTZ], BOOL).imp(row!(|t: i64| !infinite(t))),
    def(1390, "isfinite", &[INTERVAL], BOOL).imp(row!(|_i: Interval| true)),
];

//! Comparison of date, timestamp and timestamptz with each other. The sides are brought to microseconds in 128 bits,
//! where every date fits.

use pg_types::{datetime, oid::*};

use super::{DAY, infinite, zone};
use crate::{
    call::row,
    def::{EvalContext, Function},
    kernel::vec2,
    table::def,
};

fn date_micros(date: i32) -> i128 {
    match date {
        datetime::DATE_NEG_INFINITY => i128::from(i64::MIN),
        datetime::DATE_INFINITY => i128::from(i64::MAX),
        // A date past the last timestamp is past infinity's number too, but it is less than infinity.
        _ => (i128::from(date) * i128::from(DAY)).min(i128::from(i64::MAX - 1)),
    }
}

fn local_moment(ctx: &EvalContext<'_>, t: i64) -> i128 {
    if infinite(t) {
        return i128::from(t);
    }
    i128::from(t) - i128::from(datetime::zone::offset_of_local(zone(ctx), t)) * 1_000_000
}

fn date_moment(ctx: &EvalContext<'_>, date: i32) -> i128 {
    let t = date_micros(date);
    match i64::try_from(t) {
        Ok(t) if t < i64::MAX - 1 => local_moment(ctx, t),
        _ => t,
    }
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(2340, "date_eq_timestamp", &[DATE, TIMESTAMP], BOOL)
        .imp(vec2!(|a: i32, b: i64| -> bool, BOOL; date_micros(a) == i128::from(b))),
    def(2343, "date_ne_timestamp", &[DATE, TIMESTAMP], BOOL)
        .imp(vec2!(|a: i32, b: i64| -> bool, BOOL; date_micros(a) != i128::from(b))),
    def(2338, "date_lt_timestamp", &[DATE, TIMESTAMP], BOOL)
        .imp(vec2!(|a: i32, b: i64| -> bool, BOOL; date_micros(a) < i128::from(b))),
    def(2341, "date_gt_timestamp", &[DATE, TIMESTAMP], BOOL)
        .imp(vec2!(|a: i32, b: i64| -> bool, BOOL; date_micros(a) > i128::from(b))),
    def(2339, "date_le_timestamp", &[DATE, TIMESTAMP], BOOL)
        .imp(vec2!(|a: i32, b: i64| -> bool, BOOL; date_micros(a) <= i128::from(b))),
    def(2342, "date_ge_timestamp", &[DATE, TIMESTAMP], BOOL)
        .imp(vec2!(|a: i32, b: i64| -> bool, BOOL; date_micros(a) >= i128::from(b))),
    def(2344, "date_cmp_timestamp", &[DATE, TIMESTAMP], INT4)
        .imp(row!(|a: i32, b: i64| date_micros(a).cmp(&i128::from(b)) as i32)),
    def(2366, "timestamp_eq_date", &[TIMESTAMP, DATE], BOOL)
        .imp(row!(|a: i64, b: i32| i128::from(a) == date_micros(b))),
    def(2369, "timestamp_ne_date", &[TIMESTAMP, DATE], BOOL)
        .imp(row!(|a: i64, b: i32| i128::from(a) != date_micros(b))),
    def(2364, "timestamp_lt_date", &[TIMESTAMP, DATE], BOOL)
        .imp(row!(|a: i64, b: i32| i128::from(a) < date_micros(b))),
    def(2367, "timestamp_gt_date", &[TIMESTAMP, DATE], BOOL)
        .imp(row!(|a: i64, b: i32| i128::from(a) > date_micros(b))),
    def(2365, "timestamp_le_date", &[TIMESTAMP, DATE], BOOL)
        .imp(row!(|a: i64, b: i32| i128::from(a) <= date_micros(b))),
    def(2368, "timestamp_ge_date", &[TIMESTAMP, DATE], BOOL)
        .imp(row!(|a: i64, b: i32| i128::from(a) >= date_micros(b))),
    def(2370, "timestamp_cmp_date", &[TIMESTAMP, DATE], INT4)
        .imp(row!(|a: i64, b: i32| i128::from(a).cmp(&date_micros(b)) as i32)),
    def(2353, "date_eq_timestamptz", &[DATE, TIMESTAMPTZ], BOOL)
        .stable()
        .imp(row!(ctx; |a: i32, b: i64| date_moment(ctx, a) == i128::from(b))),
    def(2356, "date_ne_timestamptz", &[DATE, TIMESTAMPTZ], BOOL)
        .stable()
        .imp(row!(ctx; |a: i32, b: i64| date_moment(ctx, a) != i128::from(b))),
    def(2351, "date_lt_timestamptz", &[DATE, TIMESTAMPTZ], BOOL)
        .stable()
        .imp(row!(ctx; |a: i32, b: i64| date_moment(ctx, a) < i128::from(b))),
    def(2354, "date_gt_timestamptz", &[DATE, TIMESTAMPTZ], BOOL)
        .stable()
        .imp(row!(ctx; |a: i32, b: i64| date_moment(ctx, a) > i128::from(b))),
    def(2352, "date_le_timestamptz", &[DATE, TIMESTAMPTZ], BOOL)
        .stable()
        .imp(row!(ctx; |a: i32, b: i64| date_moment(ctx, a) <= i128::from(b))),
    def(2355, "date_ge_timestamptz", &[DATE, TIMESTAMPTZ], BOOL)
        .stable()
        .imp(row!(ctx; |a: i32, b: i64| date_moment(ctx, a) >= i128::from(b))),
    def(2357, "date_cmp_timestamptz", &[DATE, TIMESTAMPTZ], INT4)
        .stable()
        .imp(row!(ctx; |a: i32, b: i64| date_moment(ctx, a).cmp(&i128::from(b)) as i32)),
    def(2379, "timestamptz_eq_date", &[TIMESTAMPTZ, DATE], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i32| i128::from(a) == date_moment(ctx, b))),
    def(2382, "timestamptz_ne_date", &[TIMESTAMPTZ, DATE], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i32| i128::from(a) != date_moment(ctx, b))),
    def(2377, "timestamptz_lt_date", &[TIMESTAMPTZ, DATE], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i32| i128::from(a) < date_moment(ctx, b))),
    def(2380, "timestamptz_gt_date", &[TIMESTAMPTZ, DATE], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i32| i128::from(a) > date_moment(ctx, b))),
    def(2378, "timestamptz_le_date", &[TIMESTAMPTZ, DATE], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i32| i128::from(a) <= date_moment(ctx, b))),
    def(2381, "timestamptz_ge_date", &[TIMESTAMPTZ, DATE], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i32| i128::from(a) >= date_moment(ctx, b))),
    def(2383, "timestamptz_cmp_date", &[TIMESTAMPTZ, DATE], INT4)
        .stable()
        .imp(row!(ctx; |a: i64, b: i32| i128::from(a).cmp(&date_moment(ctx, b)) as i32)),
    def(2522, "timestamp_eq_timestamptz", &[TIMESTAMP, TIMESTAMPTZ], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| local_moment(ctx, a) == i128::from(b))),
    def(2525, "timestamp_ne_timestamptz", &[TIMESTAMP, TIMESTAMPTZ], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| local_moment(ctx, a) != i128::from(b))),
    def(2520, "timestamp_lt_timestamptz", &[TIMESTAMP, TIMESTAMPTZ], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| local_moment(ctx, a) < i128::from(b))),
    def(2523, "timestamp_gt_timestamptz", &[TIMESTAMP, TIMESTAMPTZ], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| local_moment(ctx, a) > i128::from(b))),
    def(2521, "timestamp_le_timestamptz", &[TIMESTAMP, TIMESTAMPTZ], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| local_moment(ctx, a) <= i128::from(b))),
    def(2524, "timestamp_ge_timestamptz", &[TIMESTAMP, TIMESTAMPTZ], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| local_moment(ctx, a) >= i128::from(b))),
    def(2526, "timestamp_cmp_timestamptz", &[TIMESTAMP, TIMESTAMPTZ], INT4)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| local_moment(ctx, a).cmp(&i128::from(b)) as i32)),
    def(2529, "timestamptz_eq_timestamp", &[TIMESTAMPTZ, TIMESTAMP], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| i128::from(a) == local_moment(ctx, b))),
    def(2532, "timestamptz_ne_timestamp", &[TIMESTAMPTZ, TIMESTAMP], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| i128::from(a) != local_moment(ctx, b))),
    def(2527, "timestamptz_lt_timestamp", &[TIMESTAMPTZ, TIMESTAMP], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| i128::from(a) < local_moment(ctx, b))),
    def(2530, "timestamptz_gt_timestamp", &[TIMESTAMPTZ, TIMESTAMP], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| i128::from(a) > local_moment(ctx, b))),
    def(2528, "timestamptz_le_timestamp", &[TIMESTAMPTZ, TIMESTAMP], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| i128::from(a) <= local_moment(ctx, b))),
    def(2531, "timestamptz_ge_timestamp", &[TIMESTAMPTZ, TIMESTAMP], BOOL)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| i128::from(a) >= local_moment(ctx, b))),
    def(2533, "timestamptz_cmp_timestamp", &[TIMESTAMPTZ, TIMESTAMP], INT4)
        .stable()
        .imp(row!(ctx; |a: i64, b: i64| i128::from(a).cmp(&local_moment(ctx, b)) as i32)),
];

//! Dates, times and intervals: rows over the calendar arithmetic of the types cell, mixed comparison, formatting.

mod arithmetic;
mod compare;
mod convert;
mod extract;
mod make;
mod overlaps;
mod template;
pub(crate) mod to_char;
mod to_date;
mod zones;

use jiff::tz::TimeZone;
use pg_types::{Result, datetime};

use crate::def::{EvalContext, Function};

/// Microseconds in a day.
pub(crate) const DAY: i64 = datetime::DAY;

/// The tables of the family.
pub(crate) static TABLES: [&[Function]; 9] = [
    arithmetic::FUNCTIONS,
    compare::FUNCTIONS,
    convert::FUNCTIONS,
    extract::FUNCTIONS,
    make::FUNCTIONS,
    overlaps::FUNCTIONS,
    to_char::FUNCTIONS,
    to_date::FUNCTIONS,
    zones::FUNCTIONS,
];

/// True for either infinity.
pub(crate) fn infinite(t: i64) -> bool {
    datetime::timestamp_is_infinite(t)
}

/// The session's time zone.
pub(crate) fn zone<'a>(ctx: &EvalContext<'a>) -> &'a TimeZone {
    &ctx.host.format().time_zone
}

/// A finite moment on the session's clock.
pub(crate) fn local(ctx: &EvalContext<'_>, t: i64) -> i64 {
    datetime::zone::to_local(zone(ctx), t)
}

/// The moment of a finite time on the session's clock.
pub(crate) fn moment(ctx: &EvalContext<'_>, local: i64) -> Result<i64> {
    datetime::zone::to_utc(zone(ctx), local)
}

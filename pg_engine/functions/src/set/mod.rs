//! Set-returning functions.

pub mod graph;
pub mod graph_history;

use alloc::boxed::Box;

use pg_types::{
    Batch, ColumnData, Result, SqlType, Value, Vector,
    datetime::arithmetic::{timestamp_add, timestamptz_add},
    numeric::Numeric,
    oid::*,
    value::{ArrayValue, Interval},
    vector::BATCH_ROWS,
};

use crate::{
    call::{mismatch, next},
    datetime::zone,
    def::{EvalContext, Function, Implementation, SetReturning},
    errors::{cancelled, invalid},
    order::span,
    pattern::regexp::made,
    table::def,
};

fn one_column(ty: u32, data: ColumnData) -> Batch {
    let rows = data.len();
    Batch::new(alloc::vec![Vector::flat(SqlType::new(ty), data, None)], rows)
}

/// No rows.
struct Nothing;

impl SetReturning for Nothing {
    fn next(&mut self, _ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        Ok(None)
    }
}

fn nothing(_ctx: &EvalContext<'_>, _args: &[Value]) -> Result<Box<dyn SetReturning>> {
    Ok(Box::new(Nothing))
}

/// Integers from `next` to `stop` by `step`.
struct Integers<const WIDE: bool> {
    next: Option<i64>,
    stop: i64,
    step: i64,
}

impl<const WIDE: bool> SetReturning for Integers<WIDE> {
    fn next(&mut self, ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        let Some(first) = self.next else { return Ok(None) };
        if ctx.host.cancelled() {
            return Err(cancelled());
        }
        // Values left, capped at a batch; the distance may exceed 64 bits.
        let distance = (i128::from(self.stop) - i128::from(first)) / i128::from(self.step);
        if (self.step > 0) != (self.stop >= first) && self.stop != first {
            self.next = None;
            return Ok(None);
        }
        let count = usize::try_from(distance + 1).unwrap_or(usize::MAX).min(BATCH_ROWS) as i64;
        let value = |i: i64| first.wrapping_add(i.wrapping_mul(self.step));
        let last = value(count - 1);
        let following = last.checked_add(self.step);
        self.next = following.filter(|n| if self.step > 0 { *n <= self.stop } else { *n >= self.stop });
        Ok(Some(if WIDE {
            one_column(INT8, ColumnData::Int8((0..count).map(value).collect()))
        } else {
            one_column(INT4, ColumnData::Int4((0..count).map(|i| value(i) as i32).collect()))
        }))
    }
}

#[cold]
fn zero_step() -> pg_types::SqlError {
    invalid("step size cannot equal zero")
}

fn integers<const WIDE: bool>(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let mut rest = args.iter();
    let mut int = || -> Result<i64> {
        if WIDE { next::<i64>(&mut rest) } else { next::<i32>(&mut rest).map(i64::from) }
    };
    let (start, stop) = (int()?, int()?);
    let step = if args.len() > 2 { int()? } else { 1 };
    if step == 0 {
        return Err(zero_step());
    }
    let empty = if step > 0 { start > stop } else { start < stop };
    Ok(Box::new(Integers::<WIDE> { next: (!empty).then_some(start), stop, step }))
}

/// Numerics from `next` to `stop`.
struct Numerics {
    next: Option<Numeric>,
    stop: Numeric,
    step: Numeric,
}

impl SetReturning for Numerics {
    fn next(&mut self, ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        if ctx.host.cancelled() {
            return Err(cancelled());
        }
        let mut values = alloc::vec::Vec::new();
        while values.len() < BATCH_ROWS {
            let Some(n) = self.next.take() else { break };
            let order = n.compare(&self.stop);
            if if self.step.signum() > 0 { order.is_gt() } else { order.is_lt() } {
                break;
            }
            self.next = Some(n.add(&self.step)?);
            values.push(n);
        }
        Ok((!values.is_empty()).then(|| one_column(NUMERIC, ColumnData::Numeric(values))))
    }
}

fn numerics(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let mut rest = args.iter();
    let start: &Numeric = next(&mut rest)?;
    let stop: &Numeric = next(&mut rest)?;
    let step = if args.len() > 2 { next::<&Numeric>(&mut rest)?.clone() } else { Numeric::ONE };
    for (label, value) in [("start value", start), ("stop value", stop), ("step size", &step)] {
        if value.is_nan() {
            return Err(invalid(alloc::format!("{label} cannot be NaN")));
        }
        if value.is_infinite() {
            return Err(invalid(alloc::format!("{label} cannot be infinity")));
        }
    }
    if step.is_zero() {
        return Err(zero_step());
    }
    Ok(Box::new(Numerics { next: Some(start.clone()), stop: stop.clone(), step }))
}

/// Timestamps from `next` to `stop`; `ZONED` steps on the session's clock.
struct Timestamps<const ZONED: bool> {
    next: Option<i64>,
    stop: i64,
    step: Interval,
    forward: bool,
}

impl<const ZONED: bool> SetReturning for Timestamps<ZONED> {
    fn next(&mut self, ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        if ctx.host.cancelled() {
            return Err(cancelled());
        }
        let mut values = alloc::vec::Vec::new();
        while values.len() < BATCH_ROWS {
            let Some(t) = self.next.take() else { break };
            if if self.forward { t > self.stop } else { t < self.stop } {
                break;
            }
            let step = self.step;
            self.next =
                Some(if ZONED { timestamptz_add(t, &step, zone(ctx))? } else { timestamp_add(t, &step)? });
            values.push(t);
        }
        let ty = if ZONED { TIMESTAMPTZ } else { TIMESTAMP };
        Ok((!values.is_empty()).then(|| one_column(ty, ColumnData::Int8(values))))
    }
}

fn timestamps<const ZONED: bool>(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let mut rest = args.iter();
    let (start, stop): (i64, i64) = (next(&mut rest)?, next(&mut rest)?);
    let step: Interval = next(&mut rest)?;
    let length = span(step);
    if length == 0 {
        return Err(zero_step());
    }
    Ok(Box::new(Timestamps::<ZONED> { next: Some(start), stop, step, forward: length > 0 }))
}

fn unnest(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    match args.first() {
        Some(Value::Array(a)) => made(a.element, a.values.clone()),
        _ => Err(mismatch()),
    }
}

fn subscripts(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let mut rest = args.iter();
    let array: &ArrayValue = next(&mut rest)?;
    let n: i32 = next(&mut rest)?;
    let reverse = if args.len() > 2 { next(&mut rest)? } else { false };
    let dim = usize::try_from(n).ok().and_then(|n| n.checked_sub(1)).and_then(|n| array.dims.get(n));
    let Some((length, lower)) = dim else { return made(INT4, alloc::vec::Vec::new()) };
    let (low, high) = (Value::Int4(*lower), Value::Int4(lower + length - 1));
    let bounds = if reverse { [high, low, Value::Int4(-1)] } else { [low, high, Value::Int4(1)] };
    integers::<false>(ctx, &bounds)
}

/// Names and values of options written `name=value`.
struct Options(alloc::vec::Vec<alloc::vec::Vec<Value>>);

impl SetReturning for Options {
    fn next(&mut self, _ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        let rows = core::mem::take(&mut self.0);
        if rows.is_empty() {
            return Ok(None);
        }
        Batch::from_rows(&[SqlType::new(TEXT), SqlType::new(TEXT)], &rows).map(Some)
    }
}

fn options_to_table(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let Some(Value::Array(options)) = args.first() else { return Err(mismatch()) };
    let row = |option: &Value| {
        let Value::Text(option) = option else { return None };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Value::text(value)),
            None => (&**option, Value::Null),
        };
        Some(alloc::vec![Value::text(name), value])
    };
    Ok(Box::new(Options(options.values.iter().filter_map(row).collect())))
}

fn string_to_table(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let mut rest = args.iter();
    let text: Option<&str> = next(&mut rest)?;
    let separator: Option<&str> = next(&mut rest)?;
    let null: Option<&str> = next(&mut rest)?;
    made(TEXT, text.map_or_else(alloc::vec::Vec::new, |t| crate::scalar::array::pieces(t, separator, null)))
}

/// `pg_proc.oid` of `pg_listening_channels`.
pub const LISTENING_CHANNELS: u32 = 3035;
/// `pg_proc.oid` of `pg_mcv_list_items`.
pub const MCV_LIST_ITEMS: u32 = 3427;

/// `pg_proc.oid` of `pg_get_keywords`.
pub const KEYWORDS: u32 = 1686;

fn keywords(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    ctx.host.rows(KEYWORDS, args)
}

fn common_combinations(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    ctx.host.rows(MCV_LIST_ITEMS, args)
}

fn listening(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    ctx.host.rows(LISTENING_CHANNELS, args)
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(2289, "pg_options_to_table", &[TEXT_ARRAY], RECORD)
        .stable()
        .columns(&[("option_name", TEXT), ("option_value", TEXT)])
        .imp(Implementation::Set(options_to_table)),
    def(MCV_LIST_ITEMS, "pg_mcv_list_items", &[PG_MCV_LIST], RECORD)
        .stable()
        .columns(&[
            ("index", INT4),
            ("values", TEXT_ARRAY),
            ("nulls", BOOL_ARRAY),
            ("frequency", FLOAT8),
            ("base_frequency", FLOAT8),
        ])
        .imp(Implementation::Set(common_combinations)),
    def(KEYWORDS, "pg_get_keywords", &[], RECORD)
        .stable()
        .columns(&[
            ("word", TEXT),
            ("catcode", CHAR),
            ("barelabel", BOOL),
            ("catdesc", TEXT),
            ("baredesc", TEXT),
        ])
        .imp(Implementation::Set(keywords)),
    def(LISTENING_CHANNELS, "pg_listening_channels", &[], TEXT).stable().imp(Implementation::Set(listening)),
    def(1067, "generate_series", &[INT4, INT4], INT4).imp(Implementation::Set(integers::<false>)),
    def(1066, "generate_series", &[INT4, INT4, INT4], INT4).imp(Implementation::Set(integers::<false>)),
    def(1069, "generate_series", &[INT8, INT8], INT8).imp(Implementation::Set(integers::<true>)),
    def(1068, "generate_series", &[INT8, INT8, INT8], INT8).imp(Implementation::Set(integers::<true>)),
    def(3260, "generate_series", &[NUMERIC, NUMERIC], NUMERIC).imp(Implementation::Set(numerics)),
    def(3259, "generate_series", &[NUMERIC, NUMERIC, NUMERIC], NUMERIC).imp(Implementation::Set(numerics)),
    def(938, "generate_series", &[TIMESTAMP, TIMESTAMP, INTERVAL], TIMESTAMP)
        .imp(Implementation::Set(timestamps::<false>)),
    def(939, "generate_series", &[TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL], TIMESTAMPTZ)
        .stable()
        .imp(Implementation::Set(timestamps::<true>)),
    def(1192, "generate_subscripts", &[ANYARRAY, INT4], INT4).imp(Implementation::Set(subscripts)),
    def(1191, "generate_subscripts", &[ANYARRAY, INT4, BOOL], INT4).imp(Implementation::Set(subscripts)),
    // No table is a partition.
    def(3425, "pg_partition_ancestors", &[REGCLASS], REGCLASS).imp(Implementation::Set(nothing)),
    def(2331, "unnest", &[ANYARRAY], ANYELEMENT).imp(Implementation::Set(unnest)),
    def(6160, "string_to_table", &[TEXT, TEXT], TEXT).nullable().imp(Implementation::Set(string_to_table)),
    def(6161, "string_to_table", &[TEXT, TEXT, TEXT], TEXT)
        .nullable()
        .imp(Implementation::Set(string_to_table)),
];

//! Ordered-set aggregates. The rows of each group arrive sorted; direct arguments come first.

use alloc::{sync::Arc, vec::Vec};

use pg_types::{Result, SqlError, SqlState, Value, Vector, value::ArrayValue};

use super::{Collect, Types};
use crate::{call::mismatch, def::EvalContext, kernel::column, order::compare_as};

/// `percentile_cont` and `percentile_disc`.
#[derive(Clone, Default)]
pub(crate) struct Percentile<const CONTINUOUS: bool> {
    fraction: Value0,
    values: Vec<Value>,
    held: usize,
}

/// A value whose default is NULL.
#[derive(Clone)]
struct Value0(Value);

impl Default for Value0 {
    fn default() -> Self {
        Self(Value::Null)
    }
}

impl<const CONTINUOUS: bool> Percentile<CONTINUOUS> {
    fn at(&self, fraction: f64) -> Result<Value> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                alloc::format!("percentile value {fraction} is not between 0 and 1"),
            ));
        }
        let get = |i: f64| self.values.get(i as usize).cloned().unwrap_or(Value::Null);
        let n = self.values.len() as f64;
        if !CONTINUOUS {
            let position = libm::ceil(fraction * n);
            return Ok(get(if position < 1.0 { 0.0 } else { position - 1.0 }));
        }
        let position = fraction * (n - 1.0);
        let (below, above) = (libm::floor(position), libm::ceil(position));
        if below == above {
            return Ok(get(below));
        }
        between(&get(below), &get(above), position - below)
    }
}

/// Linear interpolation.
fn between(low: &Value, high: &Value, share: f64) -> Result<Value> {
    match (low, high) {
        (Value::Float8(a), Value::Float8(b)) => Ok(Value::Float8(a + share * (b - a))),
        (Value::Interval(a), Value::Interval(b)) => {
            let part = b.sub(a)?.mul(share)?;
            Ok(Value::Interval(a.add(&part)?))
        }
        _ => Err(mismatch()),
    }
}

impl<const CONTINUOUS: bool> Collect for Percentile<CONTINUOUS> {
    const SKIP_NULLS: bool = false;
    fn add(&mut self, _ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let value = column(args, 1)?.value(row);
        if value.is_null() {
            return Ok(());
        }
        if self.values.is_empty() {
            self.fraction = Value0(column(args, 0)?.value(row));
        }
        self.held += value.memory();
        self.values.push(value);
        Ok(())
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, types: &Types) -> Result<Value> {
        if self.values.is_empty() {
            return Ok(Value::Null);
        }
        match &self.fraction.0 {
            Value::Null => Ok(Value::Null),
            Value::Float8(f) => self.at(*f),
            Value::Array(fractions) => {
                let values = fractions.values.iter().map(|f| match f {
                    Value::Null => Ok(Value::Null),
                    Value::Float8(f) => self.at(*f),
                    _ => Err(mismatch()),
                });
                Ok(Value::Array(Arc::new(ArrayValue {
                    element: types.get(1).map_or(0, |t| t.oid),
                    dims: fractions.dims.clone(),
                    values: values.collect::<Result<_>>()?,
                })))
            }
            _ => Err(mismatch()),
        }
    }
    fn held(&self) -> usize {
        self.held
    }
}

/// `mode`: the most frequent value, of several the first.
#[derive(Clone, Default)]
pub(crate) struct Mode {
    best: Option<(Value, u64)>,
    current: Option<(Value, u64)>,
}

impl Mode {
    fn settle(&mut self) {
        if let Some(run) = self.current.take()
            && self.best.as_ref().is_none_or(|b| run.1 > b.1)
        {
            self.best = Some(run);
        }
    }
}

impl Collect for Mode {
    const SKIP_NULLS: bool = true;
    fn add(&mut self, _ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let vector = column(args, 0)?;
        let value = vector.value(row);
        match &mut self.current {
            Some((last, count)) if compare_as(vector.ty.oid, last, &value).is_eq() => *count += 1,
            _ => {
                self.settle();
                self.current = Some((value, 1));
            }
        }
        Ok(())
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        self.settle();
        Ok(self.best.take().map_or(Value::Null, |b| b.0))
    }
}

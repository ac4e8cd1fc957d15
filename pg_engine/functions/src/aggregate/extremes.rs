//! `min`, `max`, `bool_and`, `bool_or`.

use alloc::sync::Arc;

use pg_types::{Result, SqlType, Value, Vector, value::Interval, vector::ColumnData};

use super::{Collect, Fold, Types};
use crate::{
    call::mismatch,
    def::EvalContext,
    kernel::{Prim, column},
    order::{compare_as, f32_order, f64_order, span},
};

/// A plain type's order.
pub(crate) trait Ordered: Prim + Send {
    /// Values that are equal are the same.
    const PLAIN: bool;
    fn less(a: Self, b: Self) -> bool;
}

macro_rules! ordered {
    ($($t:ty, $plain:literal => |$a:ident, $b:ident| $e:expr;)*) => {$(
        impl Ordered for $t {
            const PLAIN: bool = $plain;
            #[inline]
            fn less($a: Self, $b: Self) -> bool {
                $e
            }
        }
    )*};
}

ordered! {
    bool, true => |a, b| !a & b;
    i16, true => |a, b| a < b;
    i32, true => |a, b| a < b;
    i64, true => |a, b| a < b;
    u32, true => |a, b| a < b;
    f32, false => |a, b| f32_order::lt(a, b);
    f64, false => |a, b| f64_order::lt(a, b);
    Interval, false => |a, b| span(a) < span(b);
}

/// The largest (`MAX`) or smallest value.
#[derive(Clone)]
pub(crate) struct Extreme<T, const MAX: bool>(Option<T>);

impl<T, const MAX: bool> Default for Extreme<T, MAX> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Ordered, const MAX: bool> Fold for Extreme<T, MAX> {
    type In = T;
    #[inline]
    fn add(&mut self, value: T) -> Result<()> {
        let better = match self.0 {
            None => true,
            Some(best) => {
                if MAX {
                    T::less(best, value)
                } else {
                    T::less(value, best)
                }
            }
        };
        if better {
            self.0 = Some(value);
        }
        Ok(())
    }
    fn add_all(&mut self, values: &[T]) -> Result<()> {
        let Some(first) = values.first() else { return Ok(()) };
        let pick = |a: T, b: T| if T::less(a, b) == MAX { b } else { a };
        let best = values.iter().fold(*first, |a, b| pick(a, *b));
        self.add(best)
    }
    fn result(&self, ty: SqlType) -> Result<Value> {
        Ok(self.0.map_or(Value::Null, |x| x.value(ty.oid)))
    }
    // Of intervals that are equal the first one counts.
    const MERGES: bool = T::PLAIN;
    fn merge(&mut self, other: &Self) -> Result<()> {
        other.0.map_or(Ok(()), |value| self.add(value))
    }
}

/// As [`Extreme`] for strings in byte order.
#[derive(Clone, Default)]
pub(crate) struct ExtremeText<const MAX: bool>(Option<alloc::string::String>);

impl<const MAX: bool> Collect for ExtremeText<MAX> {
    const SKIP_NULLS: bool = true;
    fn add(&mut self, _ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let vector = column(args, 0)?;
        let ColumnData::Text(data) = &vector.data else { return Err(mismatch()) };
        let value = data.str(vector.index(row));
        match &mut self.0 {
            None => self.0 = Some(value.into()),
            Some(best) => {
                if if MAX { best.as_str() < value } else { value < best.as_str() } {
                    best.clear();
                    best.push_str(value);
                }
            }
        }
        Ok(())
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        Ok(self.0.take().map_or(Value::Null, |s| Value::Text(s.into())))
    }
    fn held(&self) -> usize {
        self.0.as_ref().map_or(0, |s| s.capacity())
    }
    const MERGES: bool = true;
    fn merge(&mut self, other: &Self) -> Result<()> {
        let better = match (&self.0, &other.0) {
            (Some(best), Some(other)) => (best < other) == MAX && best != other,
            (mine, _) => mine.is_none(),
        };
        if better {
            self.0.clone_from(&other.0);
        }
        Ok(())
    }
}

/// As [`Extreme`] for any ordered type.
#[derive(Clone, Default)]
pub(crate) struct ExtremeValue<const MAX: bool>(Option<Value>);

impl<const MAX: bool> Collect for ExtremeValue<MAX> {
    const SKIP_NULLS: bool = true;
    fn add(&mut self, _ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let vector = column(args, 0)?;
        let value = vector.value(row);
        let better = self.0.as_ref().is_none_or(|best| {
            let order = compare_as(vector.ty.oid, &value, best);
            if MAX { order.is_gt() } else { order.is_lt() }
        });
        if better {
            self.0 = Some(value);
        }
        Ok(())
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        Ok(self.0.take().unwrap_or(Value::Null))
    }
    fn held(&self) -> usize {
        self.0.as_ref().map_or(0, Value::memory)
    }
}

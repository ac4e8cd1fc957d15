//! Sums, averages and spreads of integers, numerics and intervals; bits and truth values.

use alloc::{boxed::Box, sync::Arc};
use core::marker::PhantomData;

use pg_types::{
    Result, SqlType, Value, Vector,
    numeric::Numeric,
    value::Interval,
    vector::{ColumnData, Encoding},
};

use super::{Collect, Fold, Types};
use crate::{
    call::mismatch,
    def::{EvalContext, Rows},
    errors::int8_range,
    kernel::{Prim, column},
};

/// `sum` of int2 and int4.
#[derive(Clone, Default)]
pub(crate) struct SumInt<T> {
    sum: i64,
    any: bool,
    _type: PhantomData<T>,
}

impl<T: Prim + Into<i64> + Send> Fold for SumInt<T> {
    type In = T;
    #[inline]
    fn add(&mut self, value: T) -> Result<()> {
        self.sum = self.sum.checked_add(value.into()).ok_or_else(int8_range)?;
        self.any = true;
        Ok(())
    }
    fn add_all(&mut self, values: &[T]) -> Result<()> {
        // A chunk of 32-bit values cannot overflow 64 bits.
        for chunk in values.chunks(1 << 20) {
            let part: i64 = chunk.iter().map(|v| (*v).into()).sum();
            self.sum = self.sum.checked_add(part).ok_or_else(int8_range)?;
            self.any = true;
        }
        Ok(())
    }
    fn result(&self, _ty: SqlType) -> Result<Value> {
        Ok(if self.any { Value::Int8(self.sum) } else { Value::Null })
    }
    const MERGES: bool = true;
    fn merge(&mut self, other: &Self) -> Result<()> {
        self.sum = self.sum.checked_add(other.sum).ok_or_else(int8_range)?;
        self.any |= other.any;
        Ok(())
    }
}

/// Count and exact sum of integers.
#[derive(Clone, Default)]
pub(crate) struct Total<T, const AVERAGE: bool> {
    count: i64,
    sum: i128,
    _type: PhantomData<T>,
}

impl<T: Prim + Into<i64> + Send, const AVERAGE: bool> Fold for Total<T, AVERAGE> {
    type In = T;
    #[inline]
    fn add(&mut self, value: T) -> Result<()> {
        self.sum += i128::from(value.into());
        self.count += 1;
        Ok(())
    }
    fn result(&self, _ty: SqlType) -> Result<Value> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        let sum = Numeric::from(self.sum);
        Ok(Value::Numeric(if AVERAGE { sum.div(&Numeric::from(self.count))? } else { sum }))
    }
    const MERGES: bool = true;
    fn merge(&mut self, other: &Self) -> Result<()> {
        self.count += other.count;
        self.sum += other.sum;
        Ok(())
    }
}

/// An exact running sum of numerics. Values of one small scale are added as plain integers. There is one for each group, so it is small.
#[derive(Clone, Default)]
pub(crate) struct NumericSum {
    mantissa: i64,
    scale: u32,
    rest: Option<Box<Numeric>>,
}

impl NumericSum {
    #[inline]
    pub(crate) fn add(&mut self, value: &Numeric) -> Result<()> {
        if let Some((mantissa, scale)) = value.small()
            && scale == self.scale
            && let Some(sum) = self.mantissa.checked_add(mantissa)
        {
            self.mantissa = sum;
            return Ok(());
        }
        self.add_any(value)
    }
    fn add_any(&mut self, value: &Numeric) -> Result<()> {
        let Some((mantissa, scale)) = value.small() else { return self.add_rest(value) };
        self.spill()?;
        (self.mantissa, self.scale) = (mantissa, scale);
        Ok(())
    }
    fn add_rest(&mut self, value: &Numeric) -> Result<()> {
        self.rest = Some(Box::new(match &self.rest {
            Some(rest) => rest.add(value)?,
            None => value.clone(),
        }));
        Ok(())
    }
    /// Moves the integer part into the general one.
    fn spill(&mut self) -> Result<()> {
        if self.mantissa == 0 && self.scale == 0 {
            return Ok(());
        }
        self.add_rest(&Numeric::new(self.mantissa.into(), self.scale))?;
        (self.mantissa, self.scale) = (0, 0);
        Ok(())
    }
    /// Adds what another one has added up.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<()> {
        if let Some(rest) = &other.rest {
            self.add_rest(rest)?;
        }
        if other.scale == self.scale
            && let Some(sum) = self.mantissa.checked_add(other.mantissa)
        {
            self.mantissa = sum;
            return Ok(());
        }
        if other.mantissa == 0 && other.scale == 0 {
            return Ok(());
        }
        self.spill()?;
        (self.mantissa, self.scale) = (other.mantissa, other.scale);
        Ok(())
    }
    pub(crate) fn total(&self) -> Result<Numeric> {
        let part = Numeric::new(self.mantissa.into(), self.scale);
        match &self.rest {
            Some(rest) => rest.add(&part),
            None => Ok(part),
        }
    }
}

fn numeric_at(args: &[Arc<Vector>], row: usize) -> Result<&Numeric> {
    let vector = column(args, 0)?;
    match &vector.data {
        ColumnData::Numeric(v) => v.get(vector.index(row)).ok_or_else(mismatch),
        _ => Err(mismatch()),
    }
}

/// `sum` and `avg` of numeric.
#[derive(Clone, Default)]
pub(crate) struct NumericTotal<const AVERAGE: bool> {
    count: i64,
    sum: NumericSum,
}

impl<const AVERAGE: bool> Collect for NumericTotal<AVERAGE> {
    const SKIP_NULLS: bool = true;
    fn add(&mut self, _ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        self.count += 1;
        self.sum.add(numeric_at(args, row)?)
    }
    fn add_all(states: &mut [Self], groups: &[u32], args: &[Arc<Vector>], rows: Rows<'_>) -> Result<bool> {
        let vector = column(args, 0)?;
        let (Encoding::Flat, None, ColumnData::Numeric(values)) =
            (&vector.encoding, &vector.nulls, &vector.data)
        else {
            return Ok(false);
        };
        let mut one = |row: usize| {
            let group = groups.get(row).and_then(|g| states.get_mut(*g as usize));
            let (Some(state), Some(value)) = (group, values.get(row)) else { return Err(mismatch()) };
            state.count += 1;
            state.sum.add(value)
        };
        match rows.selection {
            None => (0..rows.count).try_for_each(one)?,
            Some(selection) => selection.iter().try_for_each(|&row| one(row as usize))?,
        }
        Ok(true)
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        let sum = self.sum.total()?;
        Ok(Value::Numeric(if AVERAGE { sum.div(&Numeric::from(self.count))? } else { sum }))
    }
    const MERGES: bool = true;
    fn merge(&mut self, other: &Self) -> Result<()> {
        self.count += other.count;
        self.sum.merge(&other.sum)
    }
}

/// Which spread: sample (n − 1) or population (n), variance or its root.
pub(crate) mod spread {
    pub(crate) const VAR_POP: u8 = 0;
    pub(crate) const VAR_SAMP: u8 = 1;
    pub(crate) const STDDEV_POP: u8 = 2;
    pub(crate) const STDDEV_SAMP: u8 = 3;
}

/// The spread of `count` exact values from their sum and the sum of their squares.
fn exact_spread(count: i64, sum: &Numeric, squares: &Numeric, kind: u8) -> Result<Value> {
    let sample = kind == spread::VAR_SAMP || kind == spread::STDDEV_SAMP;
    if count < 1 + i64::from(sample) {
        return Ok(Value::Null);
    }
    if !sum.is_finite() || !squares.is_finite() {
        return Ok(Value::Numeric(Numeric::NAN));
    }
    let n = Numeric::from(count);
    let numerator = n.mul(squares)?.sub(&sum.mul(sum)?)?;
    if numerator.signum() <= 0 {
        return Ok(Value::Numeric(Numeric::ZERO));
    }
    let divisor = n.mul(&Numeric::from(count - i64::from(sample)))?;
    let variance = numerator.div(&divisor)?;
    if kind == spread::VAR_POP || kind == spread::VAR_SAMP {
        return Ok(Value::Numeric(variance));
    }
    Ok(Value::Numeric(variance.sqrt_to(variance.scale() as i32)?))
}

/// Variance and standard deviation of integers.
#[derive(Clone, Default)]
pub(crate) struct IntSpread<T, const KIND: u8> {
    count: i64,
    sum: i128,
    squares: NumericSum,
    _type: PhantomData<T>,
}

impl<T: Prim + Into<i64> + Send, const KIND: u8> Fold for IntSpread<T, KIND> {
    type In = T;
    fn add(&mut self, value: T) -> Result<()> {
        let value: i64 = value.into();
        self.count += 1;
        self.sum += i128::from(value);
        self.squares.add(&Numeric::from(i128::from(value) * i128::from(value)))
    }
    fn result(&self, _ty: SqlType) -> Result<Value> {
        exact_spread(self.count, &Numeric::from(self.sum), &self.squares.total()?, KIND)
    }
    const MERGES: bool = true;
    fn merge(&mut self, other: &Self) -> Result<()> {
        self.count += other.count;
        self.sum += other.sum;
        self.squares.merge(&other.squares)
    }
}

/// Variance and standard deviation of numeric.
#[derive(Clone, Default)]
pub(crate) struct NumericSpread<const KIND: u8> {
    count: i64,
    sum: NumericSum,
    squares: NumericSum,
}

impl<const KIND: u8> Collect for NumericSpread<KIND> {
    const SKIP_NULLS: bool = true;
    fn add(&mut self, _ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let value = numeric_at(args, row)?;
        self.count += 1;
        self.sum.add(value)?;
        self.squares.add(&value.mul(value)?)
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        exact_spread(self.count, &self.sum.total()?, &self.squares.total()?, KIND)
    }
    const MERGES: bool = true;
    fn merge(&mut self, other: &Self) -> Result<()> {
        self.count += other.count;
        self.sum.merge(&other.sum)?;
        self.squares.merge(&other.squares)
    }
}

/// `sum` and `avg` of interval.
#[derive(Clone, Default)]
pub(crate) struct IntervalTotal<const AVERAGE: bool> {
    count: i64,
    sum: Interval,
}

impl<const AVERAGE: bool> Fold for IntervalTotal<AVERAGE> {
    type In = Interval;
    fn add(&mut self, value: Interval) -> Result<()> {
        self.count += 1;
        self.sum = self.sum.add(&value)?;
        Ok(())
    }
    fn result(&self, _ty: SqlType) -> Result<Value> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        Ok(Value::Interval(if AVERAGE { self.sum.div(self.count as f64)? } else { self.sum }))
    }
}

macro_rules! bitwise {
    ($($name:ident, $op:tt;)*) => {$(
        /// The operation over all values.
        #[derive(Clone)]
        pub(crate) struct $name<T>(Option<T>);

        impl<T> Default for $name<T> {
            fn default() -> Self {
                Self(None)
            }
        }

        impl<T> Fold for $name<T>
        where
            T: Prim + Send + core::ops::BitAnd<Output = T> + core::ops::BitOr<Output = T>
                + core::ops::BitXor<Output = T>,
        {
            type In = T;
            #[inline]
            fn add(&mut self, value: T) -> Result<()> {
                self.0 = Some(self.0.map_or(value, |x| x $op value));
                Ok(())
            }
            fn result(&self, ty: SqlType) -> Result<Value> {
                Ok(self.0.map_or(Value::Null, |x| x.value(ty.oid)))
            }
            const MERGES: bool = true;
            fn merge(&mut self, other: &Self) -> Result<()> {
                other.0.map_or(Ok(()), |value| self.add(value))
            }
        }
    )*};
}

bitwise! {
    And, &;
    Or, |;
    Xor, ^;
}

//! Aggregates of floats. Sums of squares are kept as deviations from the running mean (Youngs and Cramer), so that
//! large values that differ little do not cancel.

use alloc::sync::Arc;
use core::marker::PhantomData;

use pg_types::{Result, SqlType, Value, Vector};

use super::{Collect, Fold, Types, exact::spread};
use crate::{
    call::mismatch,
    def::EvalContext,
    errors::float_overflow,
    kernel::{Prim, column},
};

/// `sum` of float4 and float8.
#[derive(Clone)]
pub(crate) struct Sum<T>(Option<T>);

impl<T> Default for Sum<T> {
    fn default() -> Self {
        Self(None)
    }
}

macro_rules! sums {
    ($($t:ty)*) => {$(
        impl Fold for Sum<$t> {
            type In = $t;
            #[inline]
            fn add(&mut self, value: $t) -> Result<()> {
                let Some(sum) = self.0 else {
                    self.0 = Some(value);
                    return Ok(());
                };
                let r = sum + value;
                if r.is_infinite() && !sum.is_infinite() && !value.is_infinite() {
                    return Err(float_overflow());
                }
                self.0 = Some(r);
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
sums!(f32 f64);

/// `avg`.
pub(crate) const AVERAGE: u8 = 4;

/// `avg`, variance and standard deviation, by the kinds of [`spread`] and [`AVERAGE`].
#[derive(Clone, Default)]
pub(crate) struct Moments<T, const KIND: u8> {
    count: f64,
    sum: f64,
    deviations: f64,
    _type: PhantomData<T>,
}

impl<T: Prim + Into<f64> + Send, const KIND: u8> Fold for Moments<T, KIND> {
    type In = T;
    fn add(&mut self, value: T) -> Result<()> {
        let x: f64 = value.into();
        let before = self.count;
        self.count += 1.0;
        let sum = self.sum + x;
        if before > 0.0 {
            let t = x * self.count - sum;
            self.deviations += t * t / (self.count * before);
            if sum.is_infinite() || self.deviations.is_infinite() {
                if !self.sum.is_infinite() && !x.is_infinite() {
                    return Err(float_overflow());
                }
                self.deviations = f64::NAN;
            }
        } else if !x.is_finite() {
            self.deviations = f64::NAN;
        }
        self.sum = sum;
        Ok(())
    }
    fn result(&self, _ty: SqlType) -> Result<Value> {
        let sample = KIND == spread::VAR_SAMP || KIND == spread::STDDEV_SAMP;
        if self.count < if sample { 2.0 } else { 1.0 } {
            return Ok(Value::Null);
        }
        let variance = self.deviations / if sample { self.count - 1.0 } else { self.count };
        Ok(Value::Float8(match KIND {
            AVERAGE => self.sum / self.count,
            spread::VAR_POP | spread::VAR_SAMP => variance,
            _ => libm::sqrt(variance),
        }))
    }
}

/// Which statistic of pairs.
pub(crate) mod pair {
    pub(crate) const COUNT: u8 = 0;
    pub(crate) const SXX: u8 = 1;
    pub(crate) const SYY: u8 = 2;
    pub(crate) const SXY: u8 = 3;
    pub(crate) const AVGX: u8 = 4;
    pub(crate) const AVGY: u8 = 5;
    pub(crate) const COVAR_POP: u8 = 6;
    pub(crate) const COVAR_SAMP: u8 = 7;
    pub(crate) const CORR: u8 = 8;
    pub(crate) const R2: u8 = 9;
    pub(crate) const SLOPE: u8 = 10;
    pub(crate) const INTERCEPT: u8 = 11;
}

/// Linear regression and correlation over pairs (y, x), by the kinds of [`pair`].
#[derive(Clone, Default)]
pub(crate) struct Pairs<const KIND: u8> {
    n: f64,
    sx: f64,
    sxx: f64,
    sy: f64,
    syy: f64,
    sxy: f64,
}

fn float_at(args: &[Arc<Vector>], i: usize, row: usize) -> Result<Option<f64>> {
    let vector = column(args, i)?;
    if vector.is_null(row) {
        return Ok(None);
    }
    f64::slice(&vector.data).and_then(|d| d.get(vector.index(row)).copied()).ok_or_else(mismatch).map(Some)
}

impl Pairs<{ pair::SXX }> {
    /// What a state kept as an array says: count, then of x and of y sum and squared deviations, then what they deviate together.
    pub(crate) fn of_state([n, sx, sxx, sy, syy, sxy]: [f64; 6]) -> Self {
        Self { n, sx, sxx, sy, syy, sxy }
    }
    /// The state as [`Self::of_state`] takes it.
    pub(crate) fn state(&self) -> [f64; 6] {
        [self.n, self.sx, self.sxx, self.sy, self.syy, self.sxy]
    }
}

impl<const KIND: u8> Pairs<KIND> {
    pub(crate) fn push(&mut self, y: f64, x: f64) -> Result<()> {
        let before = self.n;
        let old = (self.sx, self.sxx, self.sy, self.syy, self.sxy);
        self.n += 1.0;
        self.sx += x;
        self.sy += y;
        if before > 0.0 {
            let (tx, ty) = (x * self.n - self.sx, y * self.n - self.sy);
            let scale = 1.0 / (self.n * before);
            self.sxx += tx * tx * scale;
            self.syy += ty * ty * scale;
            self.sxy += tx * ty * scale;
            let sums = [self.sx, self.sxx, self.sy, self.syy, self.sxy];
            if sums.iter().any(|s| s.is_infinite()) {
                let finite = |v: f64| !v.is_infinite();
                if ((self.sx.is_infinite() || self.sxx.is_infinite()) && finite(old.0) && finite(x))
                    || ((self.sy.is_infinite() || self.syy.is_infinite()) && finite(old.2) && finite(y))
                    || (self.sxy.is_infinite() && finite(old.0) && finite(x) && finite(old.2) && finite(y))
                {
                    return Err(float_overflow());
                }
                for s in [&mut self.sxx, &mut self.syy, &mut self.sxy] {
                    if s.is_infinite() {
                        *s = f64::NAN;
                    }
                }
            }
        } else {
            if !x.is_finite() {
                (self.sxx, self.sxy) = (f64::NAN, f64::NAN);
            }
            if !y.is_finite() {
                (self.syy, self.sxy) = (f64::NAN, f64::NAN);
            }
        }
        Ok(())
    }

    fn statistic(&self) -> Option<f64> {
        let n = self.n;
        if n < if KIND == pair::COVAR_SAMP { 2.0 } else { 1.0 } {
            return None;
        }
        let flat = |zero: bool, value: f64| if zero { None } else { Some(value) };
        match KIND {
            pair::SXX => Some(self.sxx),
            pair::SYY => Some(self.syy),
            pair::SXY => Some(self.sxy),
            pair::AVGX => Some(self.sx / n),
            pair::AVGY => Some(self.sy / n),
            pair::COVAR_POP => Some(self.sxy / n),
            pair::COVAR_SAMP => Some(self.sxy / (n - 1.0)),
            pair::CORR => {
                flat(self.sxx == 0.0 || self.syy == 0.0, self.sxy / libm::sqrt(self.sxx * self.syy))
            }
            pair::R2 if self.sxx != 0.0 && self.syy == 0.0 => Some(1.0),
            pair::R2 => flat(self.sxx == 0.0, (self.sxy * self.sxy) / (self.sxx * self.syy)),
            pair::SLOPE => flat(self.sxx == 0.0, self.sxy / self.sxx),
            _ => flat(self.sxx == 0.0, (self.sy - self.sx * self.sxy / self.sxx) / n),
        }
    }
}

impl<const KIND: u8> Collect for Pairs<KIND> {
    const SKIP_NULLS: bool = true;
    fn add(&mut self, _ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        match (float_at(args, 0, row)?, float_at(args, 1, row)?) {
            (Some(y), Some(x)) => self.push(y, x),
            _ => Ok(()),
        }
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        if KIND == pair::COUNT {
            return Ok(Value::Int8(self.n as i64));
        }
        Ok(self.statistic().map_or(Value::Null, Value::Float8))
    }
}

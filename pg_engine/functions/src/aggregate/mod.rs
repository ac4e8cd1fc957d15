//! Aggregates. Each accumulator holds the state of every group of one call, as a vector indexed by group number, so
//! that a batch is one loop without dispatch per row. DISTINCT, ORDER BY and FILTER are done before rows get here.

mod collect;
mod exact;
mod extremes;
pub(crate) mod float;
mod ordered;

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::any::Any;

use pg_types::{Result, SqlType, Value, Vector, oid::*, value::Interval, vector::Encoding};

use crate::{
    call::mismatch,
    def::{Accumulator, EvalContext, Function, Implementation, Rows},
    kernel::{Prim, column},
    table::def,
};

/// The state of one group of an aggregate over plain values; NULLs are skipped.
pub(crate) trait Fold: Default + Clone + Send + 'static {
    /// The argument.
    type In: Prim;
    /// Adds one value.
    fn add(&mut self, value: Self::In) -> Result<()>;
    /// Adds many values.
    fn add_all(&mut self, values: &[Self::In]) -> Result<()> {
        values.iter().try_for_each(|v| self.add(*v))
    }
    /// The result.
    fn result(&self, ty: SqlType) -> Result<Value>;
    /// Whether states may be put together, each of a part of the rows.
    const MERGES: bool = false;
    /// Adds another state's values.
    fn merge(&mut self, _other: &Self) -> Result<()> {
        Err(mismatch())
    }
}

/// Puts states together, each with that of its group.
fn merge_all<S: 'static>(
    states: &mut [S],
    others: &dyn Any,
    groups: &[u32],
    mut merge: impl FnMut(&mut S, &S) -> Result<()>,
) -> Result<()> {
    let others = others.downcast_ref::<Vec<S>>().ok_or_else(mismatch)?;
    for (other, group) in others.iter().zip(groups) {
        merge(states.get_mut(*group as usize).ok_or_else(mismatch)?, other)?;
    }
    Ok(())
}

/// All groups of a [`Fold`].
struct Folding<F> {
    states: Vec<F>,
    ty: SqlType,
}

impl<F: Fold> Accumulator for Folding<F> {
    fn resize(&mut self, groups: usize) {
        self.states.resize(groups, F::default());
    }

    fn update(
        &mut self,
        _ctx: &EvalContext<'_>,
        groups: &[u32],
        args: &[Arc<Vector>],
        rows: Rows<'_>,
    ) -> Result<()> {
        let vector = column(args, 0)?;
        let data = F::In::slice(&vector.data).ok_or_else(mismatch)?;
        if let (Encoding::Flat, None) = (&vector.encoding, &vector.nulls) {
            if let ([state], None) = (self.states.as_mut_slice(), rows.selection) {
                return state.add_all(data.get(..rows.count).ok_or_else(mismatch)?);
            }
            for row in rows.iter() {
                self.states[groups[row] as usize].add(data[row])?;
            }
            return Ok(());
        }
        for row in rows.iter() {
            let i = vector.index(row);
            if !vector.nulls.as_ref().is_some_and(|n| n.get(i)) {
                self.states[groups[row] as usize].add(data[i])?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _ctx: &EvalContext<'_>, group: usize) -> Result<Value> {
        self.states.get(group).map_or(Ok(Value::Null), |s| s.result(self.ty))
    }

    fn peek(&mut self, ctx: &EvalContext<'_>, group: usize) -> Result<Value> {
        self.finish(ctx, group)
    }

    fn memory(&self) -> usize {
        self.states.capacity() * size_of::<F>()
    }

    fn states(&self) -> Option<&dyn Any> {
        F::MERGES.then_some(&self.states)
    }

    fn merge(&mut self, states: &dyn Any, groups: &[u32]) -> Result<()> {
        merge_all(&mut self.states, states, groups, F::merge)
    }
}

/// The aggregate of a [`Fold`].
pub(crate) fn fold<F: Fold>(_args: &[SqlType], ty: SqlType) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Folding::<F> { states: Vec::new(), ty }))
}

/// The state of one group of an aggregate over any values.
pub(crate) trait Collect: Default + Clone + Send + 'static {
    /// Whether rows whose first argument is NULL are skipped.
    const SKIP_NULLS: bool;
    /// Adds row `row`.
    fn add(&mut self, ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()>;
    /// Adds many rows to the states of their groups; false: nothing was done, they are to be added one by one.
    fn add_all(
        _states: &mut [Self],
        _groups: &[u32],
        _args: &[Arc<Vector>],
        _rows: Rows<'_>,
    ) -> Result<bool> {
        Ok(false)
    }
    /// The result; called once.
    fn result(&mut self, ctx: &EvalContext<'_>, types: &Types) -> Result<Value>;
    /// Bytes held beyond the state itself.
    fn held(&self) -> usize {
        0
    }
    /// Whether states may be put together, each of a part of the rows.
    const MERGES: bool = false;
    /// Adds another state's values.
    fn merge(&mut self, _other: &Self) -> Result<()> {
        Err(mismatch())
    }
}

/// The types of a call's arguments.
pub(crate) type Types = [SqlType];

struct Collecting<C> {
    states: Vec<C>,
    types: Box<Types>,
    /// Rows added, to estimate memory by sampling one state in many.
    held: usize,
}

impl<C: Collect> Accumulator for Collecting<C> {
    fn resize(&mut self, groups: usize) {
        self.states.resize(groups, C::default());
    }

    fn update(
        &mut self,
        ctx: &EvalContext<'_>,
        groups: &[u32],
        args: &[Arc<Vector>],
        rows: Rows<'_>,
    ) -> Result<()> {
        if C::add_all(&mut self.states, groups, args, rows)? {
            return Ok(());
        }
        for row in rows.iter() {
            if C::SKIP_NULLS && args.first().is_some_and(|a| a.is_null(row)) {
                continue;
            }
            let state = &mut self.states[groups[row] as usize];
            let before = state.held();
            state.add(ctx, args, row)?;
            self.held += state.held().saturating_sub(before);
        }
        Ok(())
    }

    fn finish(&mut self, ctx: &EvalContext<'_>, group: usize) -> Result<Value> {
        match self.states.get_mut(group) {
            Some(s) => s.result(ctx, &self.types),
            None => Ok(Value::Null),
        }
    }

    fn peek(&mut self, ctx: &EvalContext<'_>, group: usize) -> Result<Value> {
        // A result may use its state up.
        self.states.get(group).cloned().map_or(Ok(Value::Null), |mut s| s.result(ctx, &self.types))
    }

    fn memory(&self) -> usize {
        self.states.capacity() * size_of::<C>() + self.held
    }

    fn states(&self) -> Option<&dyn Any> {
        C::MERGES.then_some(&self.states)
    }

    fn merge(&mut self, states: &dyn Any, groups: &[u32]) -> Result<()> {
        let held = &mut self.held;
        merge_all(&mut self.states, states, groups, |state, other: &C| {
            let before = state.held();
            state.merge(other)?;
            *held += state.held().saturating_sub(before);
            Ok(())
        })
    }
}

/// The aggregate of a [`Collect`].
pub(crate) fn collect<C: Collect>(args: &[SqlType], _ty: SqlType) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Collecting::<C> { states: Vec::new(), types: args.into(), held: 0 }))
}

/// `count(*)` and `count(x)`.
struct Count {
    counts: Vec<i64>,
    /// NULLs of the argument do not count.
    argument: bool,
}

impl Accumulator for Count {
    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
    }

    fn update(
        &mut self,
        _ctx: &EvalContext<'_>,
        groups: &[u32],
        args: &[Arc<Vector>],
        rows: Rows<'_>,
    ) -> Result<()> {
        let nulls = args.first().filter(|_| self.argument).filter(|a| !a.no_nulls());
        if let Some(vector) = nulls {
            for row in rows.iter() {
                self.counts[groups[row] as usize] += i64::from(!vector.is_null(row));
            }
        } else if let [count] = self.counts.as_mut_slice() {
            *count += rows.selection.map_or(rows.count, <[u32]>::len) as i64;
        } else {
            for row in rows.iter() {
                self.counts[groups[row] as usize] += 1;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _ctx: &EvalContext<'_>, group: usize) -> Result<Value> {
        Ok(Value::Int8(self.counts.get(group).copied().unwrap_or(0)))
    }

    fn peek(&mut self, ctx: &EvalContext<'_>, group: usize) -> Result<Value> {
        self.finish(ctx, group)
    }

    fn memory(&self) -> usize {
        self.counts.capacity() * 8
    }

    fn states(&self) -> Option<&dyn Any> {
        Some(&self.counts)
    }

    fn merge(&mut self, states: &dyn Any, groups: &[u32]) -> Result<()> {
        merge_all(&mut self.counts, states, groups, |count, other| {
            *count += other;
            Ok(())
        })
    }
}

fn count_rows(_args: &[SqlType], _ty: SqlType) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Count { counts: Vec::new(), argument: false }))
}

fn count_values(_args: &[SqlType], _ty: SqlType) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Count { counts: Vec::new(), argument: true }))
}

macro_rules! fold {
    ($t:ty) => {
        Implementation::Aggregate(fold::<$t>)
    };
}

macro_rules! collect {
    ($t:ty) => {
        Implementation::Aggregate(collect::<$t>)
    };
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(2803, "count", &[], INT8).nullable().imp(Implementation::Aggregate(count_rows)),
    def(2147, "count", &[ANY], INT8).nullable().imp(Implementation::Aggregate(count_values)),
    def(2109, "sum", &[INT2], INT8).nullable().imp(fold!(exact::SumInt<i16>)),
    def(2108, "sum", &[INT4], INT8).nullable().imp(fold!(exact::SumInt<i32>)),
    def(2107, "sum", &[INT8], NUMERIC).nullable().imp(fold!(exact::Total<i64, false>)),
    def(2102, "avg", &[INT2], NUMERIC).nullable().imp(fold!(exact::Total<i16, true>)),
    def(2101, "avg", &[INT4], NUMERIC).nullable().imp(fold!(exact::Total<i32, true>)),
    def(2100, "avg", &[INT8], NUMERIC).nullable().imp(fold!(exact::Total<i64, true>)),
    def(2114, "sum", &[NUMERIC], NUMERIC).nullable().imp(collect!(exact::NumericTotal<false>)),
    def(2103, "avg", &[NUMERIC], NUMERIC).nullable().imp(collect!(exact::NumericTotal<true>)),
    def(2113, "sum", &[INTERVAL], INTERVAL).nullable().imp(fold!(exact::IntervalTotal<false>)),
    def(2106, "avg", &[INTERVAL], INTERVAL).nullable().imp(fold!(exact::IntervalTotal<true>)),
    def(2110, "sum", &[FLOAT4], FLOAT4).nullable().imp(fold!(float::Sum<f32>)),
    def(2104, "avg", &[FLOAT4], FLOAT8).nullable().imp(fold!(float::Moments<f32, { float::AVERAGE }>)),
    def(2111, "sum", &[FLOAT8], FLOAT8).nullable().imp(fold!(float::Sum<f64>)),
    def(2105, "avg", &[FLOAT8], FLOAT8).nullable().imp(fold!(float::Moments<f64, { float::AVERAGE }>)),
    def(2720, "var_pop", &[INT2], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i16, { exact::spread::VAR_POP }>)),
    def(2719, "var_pop", &[INT4], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i32, { exact::spread::VAR_POP }>)),
    def(2718, "var_pop", &[INT8], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i64, { exact::spread::VAR_POP }>)),
    def(2723, "var_pop", &[NUMERIC], NUMERIC)
        .nullable()
        .imp(collect!(exact::NumericSpread<{ exact::spread::VAR_POP }>)),
    def(2721, "var_pop", &[FLOAT4], FLOAT8)
        .nullable()
        .imp(fold!(float::Moments<f32, { exact::spread::VAR_POP }>)),
    def(2722, "var_pop", &[FLOAT8], FLOAT8)
        .nullable()
        .imp(fold!(float::Moments<f64, { exact::spread::VAR_POP }>)),
    def(2643, "var_samp", &[INT2], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i16, { exact::spread::VAR_SAMP }>)),
    def(2642, "var_samp", &[INT4], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i32, { exact::spread::VAR_SAMP }>)),
    def(2641, "var_samp", &[INT8], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i64, { exact::spread::VAR_SAMP }>)),
    def(2646, "var_samp", &[NUMERIC], NUMERIC)
        .nullable()
        .imp(collect!(exact::NumericSpread<{ exact::spread::VAR_SAMP }>)),
    def(2644, "var_samp", &[FLOAT4], FLOAT8)
        .nullable()
        .imp(fold!(float::Moments<f32, { exact::spread::VAR_SAMP }>)),
    def(2645, "var_samp", &[FLOAT8], FLOAT8)
        .nullable()
        .imp(fold!(float::Moments<f64, { exact::spread::VAR_SAMP }>)),
    def(2150, "variance", &[INT2], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i16, { exact::spread::VAR_SAMP }>)),
    def(2149, "variance", &[INT4], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i32, { exact::spread::VAR_SAMP }>)),
    def(2148, "variance", &[INT8], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i64, { exact::spread::VAR_SAMP }>)),
    def(2153, "variance", &[NUMERIC], NUMERIC)
        .nullable()
        .imp(collect!(exact::NumericSpread<{ exact::spread::VAR_SAMP }>)),
    def(2151, "variance", &[FLOAT4], FLOAT8)
        .nullable()
        .imp(fold!(float::Moments<f32, { exact::spread::VAR_SAMP }>)),
    def(2152, "variance", &[FLOAT8], FLOAT8)
        .nullable()
        .imp(fold!(float::Moments<f64, { exact::spread::VAR_SAMP }>)),
    def(2726, "stddev_pop", &[INT2], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i16, { exact::spread::STDDEV_POP }>)),
    def(2725, "stddev_pop", &[INT4], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i32, { exact::spread::STDDEV_POP }>)),
    def(2724, "stddev_pop", &[INT8], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i64, { exact::spread::STDDEV_POP }>)),
    def(2729, "stddev_pop", &[NUMERIC], NUMERIC)
        .nullable()
        .imp(collect!(exact::NumericSpread<{ exact::spread::STDDEV_POP }>)),
    def(2727, "stddev_pop", &[FLOAT4], FLOAT8)
        .nullable()
        .imp(fold!(float::Moments<f32, { exact::spread::STDDEV_POP }>)),
    def(2728, "stddev_pop", &[FLOAT8], FLOAT8)
        .nullable()
        .imp(fold!(float::Moments<f64, { exact::spread::STDDEV_POP }>)),
    def(2714, "stddev_samp", &[INT2], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i16, { exact::spread::STDDEV_SAMP }>)),
    def(2713, "stddev_samp", &[INT4], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i32, { exact::spread::STDDEV_SAMP }>)),
    def(2712, "stddev_samp", &[INT8], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i64, { exact::spread::STDDEV_SAMP }>)),
    def(2717, "stddev_samp", &[NUMERIC], NUMERIC)
        .nullable()
        .imp(collect!(exact::NumericSpread<{ exact::spread::STDDEV_SAMP }>)),
    def(2715, "stddev_samp", &[FLOAT4], FLOAT8)
        .nullable()
        .imp(fold!(float::Moments<f32, { exact::spread::STDDEV_SAMP }>)),
    def(2716, "stddev_samp", &[FLOAT8], FLOAT8)
        .nullable()
        .imp(fold!(float::Moments<f64, { exact::spread::STDDEV_SAMP }>)),
    def(2156, "stddev", &[INT2], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i16, { exact::spread::STDDEV_SAMP }>)),
    def(2155, "stddev", &[INT4], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i32, { exact::spread::STDDEV_SAMP }>)),
    def(2154, "stddev", &[INT8], NUMERIC)
        .nullable()
        .imp(fold!(exact::IntSpread<i64, { exact::spread::STDDEV_SAMP }>)),
    def(2159, "stddev", &[NUMERIC], NUMERIC)
        .nullable()
        .imp(collect!(exact::NumericSpread<{ exact::spread::STDDEV_SAMP }>)),
    def(2157, "stddev", &[FLOAT4], FLOAT8)
        .nullable()
        .imp(fold!(float::Moments<f32, { exact::spread::STDDEV_SAMP }>)),
    def(2158, "stddev", &[FLOAT8], FLOAT8)
        .nullable()
        .imp(fold!(float::Moments<f64, { exact::spread::STDDEV_SAMP }>)),
    def(2818, "regr_count", &[FLOAT8, FLOAT8], INT8)
        .nullable()
        .imp(collect!(float::Pairs<{ float::pair::COUNT }>)),
    def(2819, "regr_sxx", &[FLOAT8, FLOAT8], FLOAT8)
        .nullable()
        .imp(collect!(float::Pairs<{ float::pair::SXX }>)),
    def(2820, "regr_syy", &[FLOAT8, FLOAT8], FLOAT8)
        .nullable()
        .imp(collect!(float::Pairs<{ float::pair::SYY }>)),
    def(2821, "regr_sxy", &[FLOAT8, FLOAT8], FLOAT8)
        .nullable()
        .imp(collect!(float::Pairs<{ float::pair::SXY }>)),
    def(2822, "regr_avgx", &[FLOAT8, FLOAT8], FLOAT8)
        .nullable()
        .imp(collect!(float::Pairs<{ float::pair::AVGX }>)),
    def(2823, "regr_avgy", &[FLOAT8, FLOAT8], FLOAT8)
        .nullable()
        .imp(collect!(float::Pairs<{ float::pair::AVGY }>)),
    def(2827, "covar_pop", &[FLOAT8, FLOAT8], FLOAT8)
        .nullable()
        .imp(collect!(float::Pairs<{ float::pair::COVAR_POP }>)),
    def(2828, "covar_samp", &[FLOAT8, FLOAT8], FLOAT8)
        .nullable()
        .imp(collect!(float::Pairs<{ float::pair::COVAR_SAMP }>)),
    def(2829, "corr", &[FLOAT8, FLOAT8], FLOAT8)
        .nullable()
        .imp(collect!(float::Pairs<{ float::pair::CORR }>)),
    def(2824, "regr_r2", &[FLOAT8, FLOAT8], FLOAT8)
        .nullable()
        .imp(collect!(float::Pairs<{ float::pair::R2 }>)),
    def(2825, "regr_slope", &[FLOAT8, FLOAT8], FLOAT8)
        .nullable()
        .imp(collect!(float::Pairs<{ float::pair::SLOPE }>)),
    def(2826, "regr_intercept", &[FLOAT8, FLOAT8], FLOAT8)
        .nullable()
        .imp(collect!(float::Pairs<{ float::pair::INTERCEPT }>)),
    def(2117, "max", &[INT2], INT2).nullable().imp(fold!(extremes::Extreme<i16, true>)),
    def(2116, "max", &[INT4], INT4).nullable().imp(fold!(extremes::Extreme<i32, true>)),
    def(2115, "max", &[INT8], INT8).nullable().imp(fold!(extremes::Extreme<i64, true>)),
    def(2118, "max", &[OID], OID).nullable().imp(fold!(extremes::Extreme<u32, true>)),
    def(2119, "max", &[FLOAT4], FLOAT4).nullable().imp(fold!(extremes::Extreme<f32, true>)),
    def(2120, "max", &[FLOAT8], FLOAT8).nullable().imp(fold!(extremes::Extreme<f64, true>)),
    def(2122, "max", &[DATE], DATE).nullable().imp(fold!(extremes::Extreme<i32, true>)),
    def(2123, "max", &[TIME], TIME).nullable().imp(fold!(extremes::Extreme<i64, true>)),
    def(2126, "max", &[TIMESTAMP], TIMESTAMP).nullable().imp(fold!(extremes::Extreme<i64, true>)),
    def(2127, "max", &[TIMESTAMPTZ], TIMESTAMPTZ).nullable().imp(fold!(extremes::Extreme<i64, true>)),
    def(2128, "max", &[INTERVAL], INTERVAL).nullable().imp(fold!(extremes::Extreme<Interval, true>)),
    def(2129, "max", &[TEXT], TEXT).nullable().imp(collect!(extremes::ExtremeText<true>)),
    def(2130, "max", &[NUMERIC], NUMERIC).nullable().imp(collect!(extremes::ExtremeValue<true>)),
    def(2244, "max", &[BPCHAR], BPCHAR).nullable().imp(collect!(extremes::ExtremeValue<true>)),
    def(2124, "max", &[TIMETZ], TIMETZ).nullable().imp(collect!(extremes::ExtremeValue<true>)),
    def(2797, "max", &[TID], TID).nullable().imp(collect!(extremes::ExtremeValue<true>)),
    def(2125, "max", &[MONEY], MONEY).nullable().imp(fold!(extremes::Extreme<i64, true>)),
    def(2141, "min", &[MONEY], MONEY).nullable().imp(fold!(extremes::Extreme<i64, false>)),
    def(4189, "max", &[PG_LSN], PG_LSN).nullable().imp(fold!(extremes::Extreme<i64, true>)),
    def(4190, "min", &[PG_LSN], PG_LSN).nullable().imp(fold!(extremes::Extreme<i64, false>)),
    def(3564, "max", &[INET], INET).nullable().imp(collect!(extremes::ExtremeValue<true>)),
    def(3565, "min", &[INET], INET).nullable().imp(collect!(extremes::ExtremeValue<false>)),
    def(3526, "max", &[ANYENUM], ANYENUM).nullable().imp(collect!(extremes::ExtremeValue<true>)),
    def(3527, "min", &[ANYENUM], ANYENUM).nullable().imp(collect!(extremes::ExtremeValue<false>)),
    def(2050, "max", &[ANYARRAY], ANYARRAY).nullable().imp(collect!(extremes::ExtremeValue<true>)),
    def(2133, "min", &[INT2], INT2).nullable().imp(fold!(extremes::Extreme<i16, false>)),
    def(2132, "min", &[INT4], INT4).nullable().imp(fold!(extremes::Extreme<i32, false>)),
    def(2131, "min", &[INT8], INT8).nullable().imp(fold!(extremes::Extreme<i64, false>)),
    def(2134, "min", &[OID], OID).nullable().imp(fold!(extremes::Extreme<u32, false>)),
    def(2135, "min", &[FLOAT4], FLOAT4).nullable().imp(fold!(extremes::Extreme<f32, false>)),
    def(2136, "min", &[FLOAT8], FLOAT8).nullable().imp(fold!(extremes::Extreme<f64, false>)),
    def(2138, "min", &[DATE], DATE).nullable().imp(fold!(extremes::Extreme<i32, false>)),
    def(2139, "min", &[TIME], TIME).nullable().imp(fold!(extremes::Extreme<i64, false>)),
    def(2142, "min", &[TIMESTAMP], TIMESTAMP).nullable().imp(fold!(extremes::Extreme<i64, false>)),
    def(2143, "min", &[TIMESTAMPTZ], TIMESTAMPTZ).nullable().imp(fold!(extremes::Extreme<i64, false>)),
    def(2144, "min", &[INTERVAL], INTERVAL).nullable().imp(fold!(extremes::Extreme<Interval, false>)),
    def(2145, "min", &[TEXT], TEXT).nullable().imp(collect!(extremes::ExtremeText<false>)),
    def(2146, "min", &[NUMERIC], NUMERIC).nullable().imp(collect!(extremes::ExtremeValue<false>)),
    def(2245, "min", &[BPCHAR], BPCHAR).nullable().imp(collect!(extremes::ExtremeValue<false>)),
    def(2140, "min", &[TIMETZ], TIMETZ).nullable().imp(collect!(extremes::ExtremeValue<false>)),
    def(2798, "min", &[TID], TID).nullable().imp(collect!(extremes::ExtremeValue<false>)),
    def(2051, "min", &[ANYARRAY], ANYARRAY).nullable().imp(collect!(extremes::ExtremeValue<false>)),
    def(2517, "bool_and", &[BOOL], BOOL).nullable().imp(fold!(exact::And<bool>)),
    def(2519, "every", &[BOOL], BOOL).nullable().imp(fold!(exact::And<bool>)),
    def(2518, "bool_or", &[BOOL], BOOL).nullable().imp(fold!(exact::Or<bool>)),
    def(2236, "bit_and", &[INT2], INT2).nullable().imp(fold!(exact::And<i16>)),
    def(2238, "bit_and", &[INT4], INT4).nullable().imp(fold!(exact::And<i32>)),
    def(2240, "bit_and", &[INT8], INT8).nullable().imp(fold!(exact::And<i64>)),
    def(2237, "bit_or", &[INT2], INT2).nullable().imp(fold!(exact::Or<i16>)),
    def(2239, "bit_or", &[INT4], INT4).nullable().imp(fold!(exact::Or<i32>)),
    def(2241, "bit_or", &[INT8], INT8).nullable().imp(fold!(exact::Or<i64>)),
    def(6164, "bit_xor", &[INT2], INT2).nullable().imp(fold!(exact::Xor<i16>)),
    def(6165, "bit_xor", &[INT4], INT4).nullable().imp(fold!(exact::Xor<i32>)),
    def(6166, "bit_xor", &[INT8], INT8).nullable().imp(fold!(exact::Xor<i64>)),
    def(3538, "string_agg", &[TEXT, TEXT], TEXT).nullable().imp(collect!(collect::Joined<true>)),
    def(3545, "string_agg", &[BYTEA, BYTEA], BYTEA).nullable().imp(collect!(collect::Joined<false>)),
    def(2335, "array_agg", &[ANYNONARRAY], ANYARRAY).nullable().imp(collect!(collect::Listed)),
    def(4053, "array_agg", &[ANYARRAY], ANYARRAY).nullable().imp(collect!(collect::Stacked)),
    def(3974, "percentile_cont", &[FLOAT8, FLOAT8], FLOAT8)
        .nullable()
        .imp(collect!(ordered::Percentile<true>)),
    def(3976, "percentile_cont", &[FLOAT8, INTERVAL], INTERVAL)
        .nullable()
        .imp(collect!(ordered::Percentile<true>)),
    def(3980, "percentile_cont", &[FLOAT8_ARRAY, FLOAT8], FLOAT8_ARRAY)
        .nullable()
        .imp(collect!(ordered::Percentile<true>)),
    def(3982, "percentile_cont", &[FLOAT8_ARRAY, INTERVAL], INTERVAL_ARRAY)
        .nullable()
        .imp(collect!(ordered::Percentile<true>)),
    def(3972, "percentile_disc", &[FLOAT8, ANYELEMENT], ANYELEMENT)
        .nullable()
        .imp(collect!(ordered::Percentile<false>)),
    def(3978, "percentile_disc", &[FLOAT8_ARRAY, ANYELEMENT], ANYARRAY)
        .nullable()
        .imp(collect!(ordered::Percentile<false>)),
    def(3984, "mode", &[ANYELEMENT], ANYELEMENT).nullable().imp(collect!(ordered::Mode)),
];

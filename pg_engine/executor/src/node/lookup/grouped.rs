//! Aggregates over what is found for each of many rows: a correlated scalar subquery that is nothing but that, evaluated for a column
//! of rows instead of row by row, in any task.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use pg_functions::{Accumulator, EvalContext, Rows};
use pg_plan::{
    definition::Aggregated,
    expr::Expr,
    logical::{AggregateCall, JoinKind},
    physical::{Node, Physical},
};
use pg_types::{Batch, ColumnData, Result, SqlError, SqlType, Vector, VectorBuilder};

use super::{Compiler, Finder, Lookup, Work, over_both};
use crate::{
    context::Rt,
    expr::{Compiled, NoSession, Pure},
    node::{stage, user_aggregate::States},
};

/// An aggregate.
struct Call {
    function: Aggregated,
    /// Over the arguments, then the found row's columns.
    args: Vec<Compiled>,
    arg_types: Vec<SqlType>,
    ty: SqlType,
}

/// Such a subquery, as the plan has it.
pub(crate) struct Grouped {
    lookup: Lookup,
    calls: Vec<Call>,
    /// Over the aggregates.
    result: Compiled,
    ty: SqlType,
}

/// Do the expressions read slots other than these?
fn reads_others<'e>(mut exprs: impl Iterator<Item = &'e Expr>, slots: &[(u32, Expr)]) -> bool {
    let other = |e: &Expr| match e {
        Expr::Slot(n, _) => !slots.iter().any(|(slot, _)| slot == n),
        Expr::SubPlan(_) => true,
        _ => false,
    };
    exprs.any(|e| e.any(&mut |e| other(e)))
}

impl Grouped {
    /// Of a subquery's plan with its arguments, which are the columns of the rows it is evaluated for.
    pub(crate) fn of(plan: &Physical, args: &[(u32, Expr)], c: &mut Compiler<'_>) -> Result<Option<Self>> {
        let types: Vec<SqlType> = args.iter().map(|(_, e)| e.ty()).collect();
        let columns = args.iter().zip(&types).enumerate();
        let slots: Vec<(u32, Expr)> =
            columns.map(|(n, ((slot, _), ty))| (*slot, Expr::Column(n as u32, *ty))).collect();
        let (slots, types) = (slots.as_slice(), types.as_slice());
        let (input, result) = match &plan.node {
            Node::Project(input, exprs) => match exprs.as_slice() {
                [e] => (&**input, e.clone()),
                _ => return Ok(None),
            },
            Node::HashAggregate { aggregates, .. } => match aggregates.as_slice() {
                [a] => (plan, Expr::Column(0, a.ty)),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let Node::HashAggregate { input: rows, groups, aggregates, .. } = &input.node else {
            return Ok(None);
        };
        let Node::IndexScan { range, filter, .. } = &rows.node else { return Ok(None) };
        let plain = |a: &AggregateCall| {
            !a.distinct
                && a.order_by.is_empty()
                && a.filter.is_none()
                && matches!(a.function, Aggregated::Builtin(_))
        };
        let args = || aggregates.iter().flat_map(|a| &a.args);
        let exprs = range.equal.iter().chain(filter).chain(args()).chain([&result]);
        if !groups.is_empty()
            || !aggregates.iter().all(plain)
            || args().any(Expr::volatile)
            || result.volatile()
            || reads_others(exprs, slots)
        {
            return Ok(None);
        }
        let width = types.len() as u32;
        let mut needed = alloc::vec![false; types.len() + rows.types.len()];
        let mut calls = Vec::with_capacity(aggregates.len());
        for a in aggregates {
            let mut args = a.args.clone();
            args.iter_mut().for_each(|e| over_both(e, slots, width));
            args.iter().for_each(|e| crate::node::needed::mark(e, &mut needed));
            let arg_types = a.args.iter().map(Expr::ty).collect();
            calls.push(Call { function: a.function.clone(), args: c.exprs(&args)?, arg_types, ty: a.ty });
        }
        let lookup = Lookup::of(JoinKind::Inner, (types, rows), slots, None, Some(&needed), c)?;
        let Some(mut lookup) = lookup else { return Ok(None) };
        lookup.numbered = true;
        let ty = result.ty();
        Ok(Some(Self { lookup, calls, result: Compiled::new(&result, c)?, ty }))
    }

    pub(crate) fn reset(&mut self) {
        self.lookup.reset();
        self.calls.iter_mut().flat_map(|c| &mut c.args).for_each(Compiled::reset);
        self.result.reset();
    }

    /// For this run; `None`: not any task can do it.
    pub(crate) fn begin(&self, rt: &Rt<'_, '_>) -> Option<GroupedRun> {
        let finder = self.lookup.finder(rt).ok().flatten()?;
        let mut calls = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            let args = stage::pure(&call.args, &self.lookup.both, rt)?;
            let run = CallRun {
                function: call.function.clone(),
                args,
                arg_types: call.arg_types.clone(),
                ty: call.ty,
            };
            // Others may depend on a session's state.
            run.states().ok()?.states()?;
            calls.push(run);
        }
        let types: Vec<SqlType> = self.calls.iter().map(|c| c.ty).collect();
        let result = Pure::of(&self.result, &types, rt)?;
        Some(GroupedRun { finder, calls, result, ty: self.ty })
    }
}

struct CallRun {
    function: Aggregated,
    args: Vec<Pure>,
    arg_types: Vec<SqlType>,
    ty: SqlType,
}

impl CallRun {
    fn states(&self) -> Result<Box<dyn Accumulator>> {
        match States::new(&self.function, &self.arg_types, self.ty)? {
            States::Builtin(states) => Ok(states),
            States::User(_) => Err(SqlError::internal("an aggregate that needs a session")),
        }
    }
}

/// A run of it, for any task.
pub(crate) struct GroupedRun {
    finder: Finder,
    calls: Vec<CallRun>,
    result: Pure,
    ty: SqlType,
}

impl GroupedRun {
    /// The values for these rows of arguments.
    pub(crate) fn vector(&self, b: &Batch, rows: &[u32], cx: &EvalContext<'_>) -> Result<Vector> {
        let keys = self.finder.keys.iter().map(|k| k.vector(b, Some(rows), cx));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let mut states = self.calls.iter().map(CallRun::states).collect::<Result<Vec<_>>>()?;
        states.iter_mut().for_each(|s| s.resize(b.rows));
        let pause = || if cx.host.cancelled() { Err(crate::expr::stopped()) } else { Ok(()) };
        let host = NoSession::new(&pause);
        let work = Work { left: b, host: &host, pause: &pause };
        self.finder.pairs(rows, &keys, &work, &mut |found| {
            let groups: Vec<u32> = match found.columns.last().map(|c| &c.data) {
                Some(ColumnData::Int8(rows)) => rows.iter().map(|row| *row as u32).collect(),
                _ => return Err(SqlError::internal("pairs without numbers")),
            };
            let selection = found.selection.as_deref();
            for (call, states) in self.calls.iter().zip(&mut states) {
                let args = call.args.iter().map(|e| e.vector(&found, selection, cx));
                let args = args.collect::<Result<Vec<_>>>()?;
                states.update(cx, &groups, &args, Rows { count: found.rows, selection })?;
            }
            Ok(())
        })?;
        let mut columns = Vec::with_capacity(states.len());
        for (call, states) in self.calls.iter().zip(&mut states) {
            let mut column = VectorBuilder::with_capacity(call.ty, b.rows);
            for &row in rows {
                column.push_nulls(row as usize - column.len());
                column.push(&states.finish(cx, row as usize)?)?;
            }
            column.push_nulls(b.rows - column.len());
            columns.push(Arc::new(column.finish()));
        }
        let aggregates = Batch { columns, rows: b.rows, selection: None };
        let v = self.result.vector(&aggregates, Some(rows), cx)?;
        let mut v = Arc::unwrap_or_clone(v);
        v.ty = self.ty;
        Ok(v)
    }
}

//! Functions that yield rows in a list of values: each input row becomes as many rows as the longest of them has.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use pg_functions::{Function, Implementation, SetReturning};
use pg_plan::expr::Expr;
use pg_types::{
    Batch, Result, SqlType, Value,
    value::RecordValue,
    vector::{BATCH_ROWS, VectorBuilder},
};

use super::{Compiler, Exec, Operator};
use crate::{
    context::Rt,
    expr::{Compiled, RoutineExpr, RowRef},
};

/// Rows of the first batch: LIMIT above may want no more.
const FIRST_ROWS: usize = 32;

/// See the module.
pub(crate) struct ProjectSet {
    input: Exec,
    calls: Vec<SetCall>,
    types: Vec<SqlType>,
    /// The input rows at hand and the next of them.
    pending: Option<(Batch, usize)>,
    /// What the last of them turns into.
    open: Option<Vec<Source>>,
    target: usize,
}

enum SetCall {
    Set { function: &'static Function, args: Vec<Compiled> },
    Routine(Box<RoutineExpr>),
    Scalar(Compiled),
}

/// Values for the rows that one input row turns into.
enum Source {
    /// The same in all of them.
    One(Value),
    All(alloc::vec::IntoIter<Value>),
    Set(Rows),
}

/// Rows of a function as values: several columns become a record.
struct Rows {
    names: &'static [(&'static str, u32)],
    set: Option<Box<dyn SetReturning>>,
    batch: Option<(Batch, usize)>,
}

impl Rows {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Value>> {
        loop {
            if let Some((b, at)) = &mut self.batch
                && let Some(i) = b.nth_row(*at)
            {
                *at += 1;
                return Ok(Some(if b.columns.len() == 1 { b.value(0, i) } else { record(b, i, self.names) }));
            }
            let Some(set) = &mut self.set else { return Ok(None) };
            rt.cx.checkpoint()?;
            self.batch = set.next(&rt.eval())?.map(|b| (b, 0));
            if self.batch.is_none() {
                self.set = None;
            }
        }
    }
}

fn record(b: &Batch, i: usize, names: &[(&'static str, u32)]) -> Value {
    Value::Record(Arc::new(RecordValue {
        types: b.columns.iter().map(|c| c.ty.oid).collect(),
        values: b.row_values(i),
        names: Some(names.iter().map(|(name, _)| Box::from(*name)).collect()),
    }))
}

impl Source {
    /// The next value; `None`: there are no more.
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Value>> {
        match self {
            Self::One(v) => Ok(Some(v.clone())),
            Self::All(values) => Ok(values.next()),
            Self::Set(rows) => rows.next(rt),
        }
    }
}

impl ProjectSet {
    pub(crate) fn new(input: Exec, exprs: &[Expr], types: &[SqlType], c: &mut Compiler<'_>) -> Result<Self> {
        let calls = exprs
            .iter()
            .map(|e| match e {
                Expr::Call(call) if matches!(call.function.imp, Implementation::Set(_)) => {
                    Ok(SetCall::Set { function: call.function, args: c.exprs(&call.args)? })
                }
                Expr::Routine(call) if call.target.routine.set => {
                    Ok(SetCall::Routine(Box::new(RoutineExpr::new(call, c)?)))
                }
                e => Ok(SetCall::Scalar(Compiled::new(e, c)?)),
            })
            .collect::<Result<_>>()?;
        Ok(Self { input, calls, types: types.to_vec(), pending: None, open: None, target: FIRST_ROWS })
    }

    /// Calls the functions for an input row.
    fn begin(&mut self, b: &Batch, at: usize, rt: &Rt<'_, '_>) -> Result<Vec<Source>> {
        let row = RowRef::Batch(b, at);
        let source = |call: &mut SetCall| match call {
            SetCall::Scalar(e) => e.row(row, rt).map(Source::One),
            SetCall::Routine(call) => Ok(Source::All(call.all(row, rt)?.into_iter())),
            SetCall::Set { function, args } => {
                let args = args.iter_mut().map(|a| a.row(row, rt)).collect::<Result<Vec<_>>>()?;
                let none = function.strict && args.iter().any(Value::is_null);
                let set = match function.imp {
                    Implementation::Set(f) if !none => Some(f(&rt.eval(), &args)?),
                    _ => None,
                };
                Ok(Source::Set(Rows { names: function.columns, set, batch: None }))
            }
        };
        self.calls.iter_mut().map(source).collect()
    }

    /// Appends rows of the input row at hand, at most so many: how many there were. What has ended is NULL.
    fn rows(
        sources: &mut [Source],
        (b, at): (&Batch, usize),
        out: &mut [VectorBuilder],
        most: usize,
        rt: &Rt<'_, '_>,
    ) -> Result<usize> {
        let (before, values) = out.split_at_mut(b.columns.len().min(out.len()));
        let sets = sources.iter().any(|s| !matches!(s, Source::One(_)));
        let most = if sets { most } else { 1 };
        let mut next = Vec::with_capacity(sources.len());
        for n in 0..most {
            next.clear();
            let mut any = !sets;
            for source in sources.iter_mut() {
                let value = source.next(rt)?;
                any |= value.is_some() && !matches!(source, Source::One(_));
                next.push(value.unwrap_or(Value::Null));
            }
            if !any {
                return Ok(n);
            }
            for (to, from) in before.iter_mut().zip(&b.columns) {
                to.extend_from(from, at);
            }
            for (to, value) in values.iter_mut().zip(&next) {
                to.push(value)?;
            }
        }
        Ok(most)
    }
}

impl Operator for ProjectSet {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let mut out: Vec<VectorBuilder> =
            self.types.iter().map(|t| VectorBuilder::with_capacity(*t, self.target)).collect();
        let mut rows = 0;
        while rows < self.target {
            let (b, at) = match self.pending.take() {
                Some(pending) => pending,
                None => match self.input.next(rt)? {
                    Some(b) => (b, 0),
                    None => break,
                },
            };
            let Some(row) = b.nth_row(at) else { continue };
            let mut sources = match self.open.take() {
                Some(sources) => sources,
                None => self.begin(&b, row, rt)?,
            };
            let most = self.target - rows;
            let n = Self::rows(&mut sources, (&b, row), &mut out, most, rt)?;
            rows += n;
            let ended = n < most || sources.iter().all(|s| matches!(s, Source::One(_)));
            if !ended {
                self.open = Some(sources);
            }
            self.pending = Some((b, at + usize::from(ended)));
        }
        self.target = (self.target * 4).min(BATCH_ROWS);
        if rows == 0 {
            return Ok(None);
        }
        let columns = out.into_iter().map(|b| Arc::new(b.finish())).collect();
        Ok(Some(Batch { columns, rows, selection: None }))
    }
    fn reset(&mut self) {
        self.pending = None;
        self.open = None;
        self.target = FIRST_ROWS;
        for call in &mut self.calls {
            match call {
                SetCall::Routine(call) => call.reset(),
                SetCall::Scalar(e) => e.reset(),
                SetCall::Set { args, .. } => args.iter_mut().for_each(Compiled::reset),
            }
        }
        self.input.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.input]
    }
}

//! Running bodies of users' functions.
//!
//! A body runs in the transaction of the statement that calls it, statement by statement. A volatile function's statements
//! see what came before them, their own changes and the caller's among it; those of others see what their caller sees.
//! Plans are the session's ([`crate::Session::plan_body`]); operators are kept from call to call.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::cell::RefCell;

use pg_functions::Volatility;
use pg_plan::{
    routine::{PlannedBody, Resolved, Shape, Step},
    statement::{Command, Planned},
};
use pg_storage::Snapshot;
use pg_types::{Batch, Result, SqlError, SqlState, Value, value::Names, value::RecordValue};

use crate::{
    context::{ExecContext, Rt},
    cursor::Cursor,
    expr::{Compiled, RowRef},
    node::Compiler,
};

/// A routine at one place of a plan.
pub(crate) struct Routine {
    target: Arc<Resolved>,
    names: Names,
    ready: Option<Ready>,
    /// Arguments of the rows that are being read.
    values: Vec<Value>,
    /// The last statement is open and yields rows.
    reading: bool,
}

/// A body made ready.
struct Ready {
    body: Arc<PlannedBody>,
    /// Operators of each query.
    cursors: Vec<Option<Box<Cursor>>>,
    convert: Option<Vec<Compiled>>,
    stamp: (u64, u64),
}

/// What the catalogs were when a body was planned.
fn stamp(cx: &ExecContext<'_>) -> (u64, u64) {
    let txn = cx.txn.borrow();
    let private = if txn.changed_catalogs() { txn.private_version() + 1 } else { 0 };
    (cx.engine.catalog_version(), private)
}

/// An error inside a routine, with the place.
fn within(mut e: SqlError, name: &str, place: &str) -> SqlError {
    let line = format!("SQL function \"{name}\" {place}");
    let fields = e.fields_mut();
    fields.position = 0;
    fields.context = Some(match fields.context.take() {
        Some(before) => format!("{before}\n{line}"),
        None => line,
    });
    e
}

fn command(planned: &Planned) -> &'static str {
    match planned.command {
        Command::Select => "SELECT FOR UPDATE",
        Command::Insert => "INSERT",
        Command::Update => "UPDATE",
        Command::Delete => "DELETE",
        Command::Merge => "MERGE",
        Command::Call => "CALL",
    }
}

/// Runs `f` in a context like the caller's with other parameters.
fn nested<T>(rt: &Rt<'_, '_>, params: &[Value], f: impl FnOnce(&ExecContext<'_>) -> Result<T>) -> Result<T> {
    let mut txn = rt.cx.txn.borrow_mut();
    let inner = ExecContext {
        engine: rt.cx.engine,
        session: rt.cx.session,
        txn: RefCell::new(&mut **txn),
        params,
        compute: RefCell::default(),
    };
    f(&inner)
}

impl Ready {
    fn new(target: &Arc<Resolved>, cx: &ExecContext<'_>) -> Result<Self> {
        /// How often the catalogs may change while a body is planned.
        const TURNS: usize = 1000;
        for _ in 0..TURNS {
            let stamp = stamp(cx);
            let shared = (stamp.1 == 0).then_some(stamp.0);
            let body = cx.session.plan_body(&cx.reader()?, target, shared)?;
            let mut cursors = Vec::with_capacity(body.steps.len());
            let mut good = true;
            for step in &body.steps {
                cursors.push(match step {
                    Step::Query(planned) => {
                        good &= cx.engine.lock_plan(&mut cx.txn.borrow_mut(), planned, stamp.0)?;
                        if target.routine.volatility != Volatility::Volatile && !planned.read_only {
                            let text =
                                format!("{} is not allowed in a non-volatile function", command(planned));
                            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
                        }
                        Some(Box::new(Cursor::new(planned)?))
                    }
                    Step::Utility(..) => None,
                });
            }
            if !good {
                continue;
            }
            let convert = match &body.convert {
                None => None,
                Some(list) => {
                    let mut c = Compiler::new(0);
                    Some(list.iter().map(|e| Compiled::new(e, &mut c)).collect::<Result<_>>()?)
                }
            };
            return Ok(Self { body, cursors, convert, stamp });
        }
        Err(SqlError::internal("the catalogs never stood still"))
    }
}

/// Between entering a routine, or acting for a role, and leaving it.
pub(crate) struct Inside<'s>(&'s dyn crate::Session);

impl<'s> Inside<'s> {
    fn enter(session: &'s dyn crate::Session, target: &Resolved) -> Result<Self> {
        session.enter_routine(&target.routine)?;
        Ok(Self(session))
    }
    /// What is done until it is dropped is done in the name of a table's owner.
    pub(crate) fn owner(session: &'s dyn crate::Session, role: pg_types::Oid) -> Self {
        session.enter_owner(role);
        Self(session)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.leave_routine();
    }
}

impl Routine {
    pub(crate) fn new(target: &Arc<Resolved>) -> Self {
        let names = (!target.columns.is_empty())
            .then(|| target.columns.iter().map(|c| Box::from(c.0.as_str())).collect());
        Self { target: target.clone(), names, ready: None, values: Vec::new(), reading: false }
    }
    pub(crate) fn target(&self) -> &Arc<Resolved> {
        &self.target
    }
    /// Is it NULL, or nothing, without being asked?
    pub(crate) fn skips(&self, values: &[Value]) -> bool {
        self.target.routine.strict && values.iter().any(Value::is_null)
    }

    /// The one value of a call.
    pub(crate) fn call(&mut self, values: Vec<Value>, rt: &Rt<'_, '_>) -> Result<Value> {
        if self.skips(&values) {
            return Ok(Value::Null);
        }
        self.begin(values, rt)?;
        let result = self.first(rt);
        self.end();
        result
    }

    fn first(&mut self, rt: &Rt<'_, '_>) -> Result<Value> {
        let Some(b) = self.next(rt)? else { return Ok(Value::Null) };
        let value = match b.nth_row(0) {
            Some(at) => self.value_of(&b, at)?,
            None => Value::Null,
        };
        // What changes data does so to its end.
        let whole = self.last_plan().is_some_and(|p| !p.read_only);
        while whole && self.next(rt)?.is_some() {}
        Ok(value)
    }

    fn last_plan(&self) -> Option<&Arc<Planned>> {
        let ready = self.ready.as_ref()?;
        ready.cursors.last()?.as_ref().map(|c| c.planned())
    }

    /// A row as a value of the result.
    pub(crate) fn value_of(&self, b: &Batch, at: usize) -> Result<Value> {
        let shape = self.ready.as_ref().map_or(Shape::Void, |r| r.body.shape);
        Ok(match shape {
            Shape::Void => Value::Null,
            Shape::Value => RowRef::Batch(b, at).value(0)?,
            Shape::Fields => Value::Record(Arc::new(RecordValue {
                types: b.columns.iter().map(|c| c.ty.oid).collect(),
                values: b.row_values(at),
                names: self.names.clone(),
            })),
        })
    }

    /// The fields of a row, where the result has columns.
    pub(crate) fn fields_of(&self, b: &Batch, at: usize) -> Result<Vec<Value>> {
        let shape = self.ready.as_ref().map_or(Shape::Void, |r| r.body.shape);
        let width = self.target.columns.len();
        if width == 0 || shape == Shape::Fields {
            return Ok(b.row_values(at));
        }
        match RowRef::Batch(b, at).value(0)? {
            Value::Record(r) => {
                if r.values.len() != width {
                    let text = "function return row and query-specified return row do not match";
                    let (n, plural) = (r.values.len(), if r.values.len() == 1 { "" } else { "s" });
                    return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text).detail(format!(
                        "Returned row contains {n} attribute{plural}, but query expects {width}."
                    )));
                }
                for (n, (had, (_, wants))) in r.types.iter().zip(&self.target.columns).enumerate() {
                    if *had != wants.oid && pg_types::Physical::of(*had) != pg_types::Physical::of(wants.oid)
                    {
                        let text = "function return row and query-specified return row do not match";
                        let show = |t| pg_types::typeinfo::display(pg_types::SqlType::new(t)).into_owned();
                        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text).detail(format!(
                            "Returned type {} at ordinal position {}, but query expects {}.",
                            show(*had),
                            n + 1,
                            show(wants.oid)
                        )));
                    }
                }
                Ok(r.values.clone())
            }
            _ => Ok(alloc::vec![Value::Null; width]),
        }
    }

    /// Runs all statements but the last and opens that.
    pub(crate) fn begin(&mut self, values: Vec<Value>, rt: &Rt<'_, '_>) -> Result<()> {
        self.values = values;
        self.reading = false;
        let inside = Inside::enter(rt.cx.session, &self.target)?;
        let good = self.ready.as_ref().is_some_and(|r| r.stamp == stamp(rt.cx));
        if !good {
            let name = &self.target.routine.name;
            let made = Ready::new(&self.target, rt.cx).map_err(|e| within(e, name, "during startup"))?;
            self.ready = Some(made);
        }
        let Some(ready) = &mut self.ready else { return Ok(()) };
        let volatile = self.target.routine.volatility == Volatility::Volatile;
        let snapshot = (!volatile).then_some(rt.snapshot);
        let last = ready.body.steps.len().saturating_sub(1);
        let keeps = ready.body.shape != Shape::Void;
        for (n, step) in ready.body.steps.iter().enumerate() {
            rt.cx.checkpoint()?;
            let done = match step {
                Step::Query(_) => match ready.cursors.get_mut(n) {
                    Some(Some(cursor)) => {
                        let run = run_query(cursor, &self.values, snapshot, n < last || !keeps, rt);
                        if n == last && keeps {
                            self.reading = run.is_ok();
                        }
                        run
                    }
                    _ => Ok(()),
                },
                Step::Utility(statement, _) => nested(rt, &self.values, |cx| {
                    crate::utility::run(statement, cx)?;
                    cx.txn.borrow_mut().storage().next_command();
                    Ok(())
                }),
            };
            done.map_err(|e| within(e, &self.target.routine.name, &place(n)))?;
        }
        drop(inside);
        Ok(())
    }

    /// The next rows of the last statement, as columns of the result.
    pub(crate) fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if !self.reading {
            return Ok(None);
        }
        let _inside = Inside::enter(rt.cx.session, &self.target)?;
        let Some(ready) = &mut self.ready else { return Ok(None) };
        let last = ready.cursors.len().saturating_sub(1);
        let Some(Some(cursor)) = ready.cursors.last_mut() else { return Ok(None) };
        let convert = &mut ready.convert;
        let types = cursor.planned().columns.len();
        let step = nested(rt, &self.values, |cx| {
            let Some(b) = cursor.next(cx)? else { return Ok(None) };
            let b = b.compact();
            let Some(convert) = convert else { return Ok(Some(visible(b, types))) };
            let inner = Rt { cx, ..*rt };
            let types: Vec<_> = convert.iter().map(Compiled::ty).collect();
            crate::node::project(convert, &types, &b, &inner).map(Some)
        });
        let step = step.map_err(|e| within(e, &self.target.routine.name, &place(last)))?;
        if step.is_none() {
            self.reading = false;
        }
        Ok(step)
    }

    /// Lets go of what a run holds.
    pub(crate) fn end(&mut self) {
        self.reading = false;
        self.values.clear();
        if let Some(ready) = &mut self.ready {
            ready.cursors.iter_mut().flatten().for_each(|c| c.close());
        }
    }
}

fn place(n: usize) -> String {
    format!("statement {}", n + 1)
}

/// Without what a plan carries behind its result.
fn visible(mut b: Batch, columns: usize) -> Batch {
    b.columns.truncate(columns);
    b
}

/// Opens a query; with `whole` it runs to its end.
fn run_query(
    cursor: &mut Cursor,
    values: &[Value],
    snapshot: Option<&Snapshot>,
    whole: bool,
    rt: &Rt<'_, '_>,
) -> Result<()> {
    nested(rt, values, |cx| {
        match snapshot {
            Some(s) => cursor.open_at(cx, s)?,
            None => {
                cx.txn.borrow_mut().storage().next_command();
                cursor.open(cx)?;
            }
        }
        if whole {
            while cursor.next(cx)?.is_some() {
                cx.checkpoint()?;
            }
            cursor.close();
        }
        Ok(())
    })
}

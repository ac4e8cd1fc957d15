//! Subqueries in expressions.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use hashbrown::HashSet;
use pg_plan::expr::SubPlanKind;
use pg_types::{
    Batch, ColumnData, Oid, Result, SqlError, SqlState, SqlType, Value, Vector, oid, value::ArrayValue,
    vector::Nulls,
};

use super::{
    Compiled, Pure, RowRef, physical,
    vector::{Selection, for_rows},
};
use crate::{
    context::Rt,
    keys,
    node::{
        Compiler, Exec,
        lookup::{Grouped, GroupedRun},
    },
};

/// A subquery ready to run.
pub(crate) struct SubPlan {
    kind: Kind,
    pub(crate) exec: Exec,
    args: Vec<(usize, Compiled)>,
    /// The query itself reads the arguments; otherwise they serve the test of a comparison.
    correlated: bool,
    /// Under what number the run keeps the outcome, if it is the same throughout.
    fixed: Option<usize>,
    pub(crate) ty: SqlType,
    /// What an uncorrelated one yielded.
    outcome: Option<Outcome>,
    /// How a correlated one can be evaluated for many rows at a time.
    grouped: Option<Box<Grouped>>,
}

/// What an uncorrelated subquery yielded.
#[derive(Clone)]
pub(crate) enum Outcome {
    /// The value (not of comparisons).
    Value(Value),
    /// The rows that a comparison is made with.
    Rows(Arc<Vec<Batch>>),
    /// The same as a set.
    Set(Arc<Hashed>),
}

/// What a subquery comes to that is the same for all rows.
pub(crate) enum Settled<'a> {
    Value(Value),
    /// Is this, of this type, among the set's members?
    Among(&'a Compiled, Oid, Arc<Hashed>),
}

enum Kind {
    Exists,
    Scalar,
    Array,
    Compare { test: Compiled, any: bool, outer: Option<Vec<(Compiled, Oid)>> },
}

/// The rows of a comparison as a set.
pub(crate) struct Hashed {
    keys: HashSet<Box<[u8]>, foldhash::fast::FixedState>,
    /// A row had a NULL in it.
    null: bool,
    empty: bool,
}

impl SubPlan {
    pub(crate) fn new(s: &pg_plan::expr::SubPlan, c: &mut Compiler<'_>) -> Result<Self> {
        let plan = physical(&s.query)?;
        let kind = match &s.kind {
            SubPlanKind::Exists => Kind::Exists,
            SubPlanKind::Scalar => Kind::Scalar,
            SubPlanKind::Array => Kind::Array,
            SubPlanKind::Compare { test, any, hashable } => {
                let outer = match hashable {
                    // The set is keyed by the inner type; an outer value of another type would need converting.
                    Some(pairs)
                        if *any
                            && !s.correlated
                            && pairs.iter().zip(&plan.types).all(|((o, _), t)| o.ty().oid == t.oid) =>
                    {
                        Some(
                            pairs
                                .iter()
                                .map(|(o, _)| Ok((Compiled::new(o, c)?, o.ty().oid)))
                                .collect::<Result<Vec<_>>>()?,
                        )
                    }
                    _ => None,
                };
                Kind::Compare { test: Compiled::new(test, c)?, any: *any, outer }
            }
        };
        let (exec, fixed) = c.subquery(plan)?;
        let correlated = s.correlated;
        let fixed = fixed.filter(|_| !correlated);
        let args = s
            .args
            .iter()
            .map(|(slot, e)| {
                c.note_slot(*slot);
                Ok((*slot as usize, Compiled::new(e, c)?))
            })
            .collect::<Result<_>>()?;
        let grouped = match kind {
            Kind::Scalar if correlated => Grouped::of(plan, &s.args, c)?.map(Box::new),
            _ => None,
        };
        Ok(Self { kind, exec, args, correlated, fixed, ty: s.ty, outcome: None, grouped })
    }

    /// How it is evaluated for many rows at a time, by any task, and its arguments; `None`: it is not.
    pub(crate) fn for_many(&self, types: &[SqlType], rt: &Rt<'_, '_>) -> Option<(GroupedRun, Vec<Pure>)> {
        let args = self.args.iter().map(|(_, e)| Pure::of(e, types, rt)).collect::<Option<_>>()?;
        Some((self.grouped.as_ref()?.begin(rt)?, args))
    }

    pub(crate) fn reset(&mut self) {
        self.outcome = None;
        self.exec.reset();
        self.args.iter_mut().for_each(|(_, e)| e.reset());
        self.grouped.iter_mut().for_each(|g| g.reset());
        if let Kind::Compare { test, outer, .. } = &mut self.kind {
            test.reset();
            outer.iter_mut().flatten().for_each(|(e, _)| e.reset());
        }
    }

    /// What it yielded before, since the last reset or, if nothing that it reads changes, in this run.
    fn kept(&mut self, rt: &Rt<'_, '_>) -> Option<&Outcome> {
        if self.outcome.is_none()
            && let Some(n) = self.fixed
        {
            self.outcome = rt.fixed.borrow().get(n).cloned().flatten();
        }
        self.outcome.as_ref()
    }

    fn keep(&mut self, outcome: Outcome, rt: &Rt<'_, '_>) {
        if let Some(n) = self.fixed {
            let mut fixed = rt.fixed.borrow_mut();
            if fixed.len() <= n {
                fixed.resize(n + 1, None);
            }
            if let Some(place) = fixed.get_mut(n) {
                *place = Some(outcome.clone());
            }
        }
        self.outcome = Some(outcome);
    }

    /// Makes it yield what it will yield throughout the run, for [`SubPlan::fixed`], unless it can be evaluated in any task; false: it
    /// depends on rows, or cannot be told.
    pub(crate) fn settle(&mut self, rt: &Rt<'_, '_>) -> Result<bool> {
        if self.grouped.is_some() {
            return Ok(true);
        }
        if self.fixed.is_none() || self.correlated {
            return Ok(false);
        }
        if self.kept(rt).is_some() {
            return Ok(true);
        }
        match &self.kind {
            Kind::Compare { outer: Some(outer), .. } if outer.len() == 1 => {
                let types: Vec<Oid> = outer.iter().map(|(_, t)| *t).collect();
                let set = Hashed::build(&mut self.exec, &types, rt)?;
                self.keep(Outcome::Set(Arc::new(set)), rt);
            }
            Kind::Scalar | Kind::Exists if self.args.is_empty() => {
                self.row(RowRef::Values(&[]), rt)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Could [`SubPlan::settle`] succeed?
    pub(crate) fn settles(&self) -> bool {
        let once = self.fixed.is_some() && !self.correlated && !matches!(self.kind, Kind::Array);
        once || self.grouped.is_some()
    }

    /// Of one that is settled: its value, or what is looked for in which set.
    pub(crate) fn settled(&self, rt: &Rt<'_, '_>) -> Option<Settled<'_>> {
        let kept = self.outcome.clone().or_else(|| rt.fixed.borrow().get(self.fixed?).cloned().flatten());
        match (kept?, &self.kind) {
            (Outcome::Value(v), Kind::Scalar | Kind::Exists) => Some(Settled::Value(v)),
            (Outcome::Set(set), Kind::Compare { outer: Some(outer), .. }) => match outer.as_slice() {
                [(e, ty)] => Some(Settled::Among(e, *ty, set)),
                _ => None,
            },
            _ => None,
        }
    }

    /// `x = ANY (subquery)` over a column, if that is what it is.
    pub(super) fn vector(
        &mut self,
        b: &Batch,
        sel: Selection<'_>,
        rt: &Rt<'_, '_>,
    ) -> Result<Option<Vector>> {
        if self.correlated || !matches!(&self.kind, Kind::Compare { outer: Some(o), .. } if o.len() == 1) {
            return Ok(None);
        }
        if self.kept(rt).is_none() {
            // The first row shows what it yields.
            let Some(first) = sel.map_or(Some(0), |s| s.first().map(|i| *i as usize)) else {
                return Ok(None);
            };
            self.row(RowRef::Batch(b, first), rt)?;
        }
        match (&self.outcome, &mut self.kind) {
            (Some(Outcome::Set(set)), Kind::Compare { outer: Some(outer), .. }) => match outer.as_mut_slice()
            {
                [(e, ty)] => Ok(Some(set.column(&*e.vector(b, sel, rt)?, *ty, b.rows, sel)?)),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    pub(crate) fn row(&mut self, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
        if !self.correlated
            && let Some(Outcome::Value(v)) = self.kept(rt)
        {
            return Ok(v.clone());
        }
        for (slot, e) in &mut self.args {
            let v = e.row(row, rt)?;
            rt.set_slot(*slot, v);
        }
        if matches!(self.kind, Kind::Compare { .. }) {
            return self.compare(row, rt);
        }
        if self.correlated {
            self.exec.reset();
        }
        let v = match &self.kind {
            Kind::Exists => Value::Bool(self.first_row(rt)?.is_some()),
            Kind::Scalar => self.scalar(rt)?,
            _ => self.array(rt)?,
        };
        if !self.correlated {
            self.keep(Outcome::Value(v.clone()), rt);
        }
        Ok(v)
    }

    fn first_row(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        while let Some(b) = self.exec.next(rt)? {
            if !b.is_empty() {
                return Ok(Some(b));
            }
        }
        Ok(None)
    }

    fn scalar(&mut self, rt: &Rt<'_, '_>) -> Result<Value> {
        let Some(b) = self.first_row(rt)? else { return Ok(Value::Null) };
        if b.row_count() > 1 || self.first_row(rt)?.is_some() {
            return Err(SqlError::new(
                SqlState::CARDINALITY_VIOLATION,
                "more than one row returned by a subquery used as an expression",
            ));
        }
        let at = b.nth_row(0).unwrap_or(0);
        RowRef::Batch(&b, at).value(0)
    }

    fn array(&mut self, rt: &Rt<'_, '_>) -> Result<Value> {
        let mut values = Vec::new();
        while let Some(b) = self.exec.next(rt)? {
            rt.charge(b.row_count() * core::mem::size_of::<Value>())?;
            for i in b.selected() {
                values.push(RowRef::Batch(&b, i).value(0)?);
            }
        }
        let element = pg_functions::types::element_type(self.ty.oid);
        if values.iter().any(|v| matches!(v, Value::Array(_))) {
            return super::row::nest(values, element);
        }
        let dims = if values.is_empty() { Vec::new() } else { alloc::vec![(values.len() as i32, 1)] };
        Ok(Value::Array(Arc::new(ArrayValue { element, dims, values })))
    }

    fn compare(&mut self, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
        if self.correlated {
            self.exec.reset();
            let Kind::Compare { test, any, .. } = &mut self.kind else { return Ok(Value::Null) };
            let mut unknown = false;
            while let Some(b) = self.exec.next(rt)? {
                if let Some(v) = decided(test, &b, *any, &mut unknown, rt)? {
                    return Ok(v);
                }
            }
            return Ok(if unknown { Value::Null } else { Value::Bool(!*any) });
        }
        if self.kept(rt).is_none() {
            let Kind::Compare { outer, .. } = &self.kind else { return Ok(Value::Null) };
            let outcome = match outer {
                Some(outer) => {
                    let types: Vec<Oid> = outer.iter().map(|(_, t)| *t).collect();
                    Outcome::Set(Arc::new(Hashed::build(&mut self.exec, &types, rt)?))
                }
                None => self.all_rows(rt)?,
            };
            self.keep(outcome, rt);
        }
        if let Some(Outcome::Set(set)) = &self.outcome
            && let Kind::Compare { outer: Some(outer), .. } = &mut self.kind
        {
            if let Some(v) = set.contains(outer, row, rt)? {
                return Ok(v);
            }
            // Several columns with NULLs among them: only the test itself knows.
            self.exec.reset();
            let outcome = self.all_rows(rt)?;
            self.keep(outcome, rt);
        }
        let (Kind::Compare { test, any, .. }, Some(Outcome::Rows(rows))) = (&mut self.kind, &self.outcome)
        else {
            return Ok(Value::Null);
        };
        let mut unknown = false;
        for b in rows.iter() {
            if let Some(v) = decided(test, b, *any, &mut unknown, rt)? {
                return Ok(v);
            }
        }
        Ok(if unknown { Value::Null } else { Value::Bool(!*any) })
    }

    fn all_rows(&mut self, rt: &Rt<'_, '_>) -> Result<Outcome> {
        let mut rows = Vec::new();
        while let Some(b) = self.exec.next(rt)? {
            rt.charge(b.memory())?;
            rows.push(b);
        }
        Ok(Outcome::Rows(Arc::new(rows)))
    }
}

/// The value that some of the rows decide about, if they do.
fn decided(
    test: &mut Compiled,
    b: &Batch,
    any: bool,
    unknown: &mut bool,
    rt: &Rt<'_, '_>,
) -> Result<Option<Value>> {
    for i in b.selected() {
        match test.row(RowRef::Batch(b, i), rt)? {
            Value::Bool(x) if x == any => return Ok(Some(Value::Bool(x))),
            Value::Bool(_) => {}
            _ => *unknown = true,
        }
    }
    Ok(None)
}

impl Hashed {
    /// Is the row's value among them? `None`: only a comparison with each can tell.
    fn contains(
        &self,
        outer: &mut [(Compiled, Oid)],
        row: RowRef<'_>,
        rt: &Rt<'_, '_>,
    ) -> Result<Option<Value>> {
        let mut key = Vec::new();
        let mut null = false;
        for (e, ty) in outer.iter_mut() {
            let v = e.row(row, rt)?;
            null |= v.is_null();
            keys::encode(*ty, &v, &mut key);
        }
        Ok(match () {
            () if self.empty => Some(Value::Bool(false)),
            () if !null && self.keys.contains(key.as_slice()) => Some(Value::Bool(true)),
            () if !null && !self.null => Some(Value::Bool(false)),
            () if outer.len() == 1 => Some(Value::Null),
            () => None,
        })
    }
    /// Which values of a column are among them.
    pub(crate) fn column(&self, v: &Vector, ty: Oid, rows: usize, sel: Selection<'_>) -> Result<Vector> {
        let mut found = alloc::vec![false; rows];
        let mut nulls: Option<Nulls> = None;
        let mut key = Vec::new();
        if !self.empty {
            for_rows(rows, sel, |row| {
                let null = v.is_null(row);
                if !null {
                    key.clear();
                    keys::encode(ty, &v.value(row), &mut key);
                    found[row] = self.keys.contains(key.as_slice());
                }
                if null || (self.null && !found[row]) {
                    nulls.get_or_insert_default().set(row);
                }
                Ok(())
            })?;
        }
        Ok(Vector::flat(SqlType::new(oid::BOOL), ColumnData::Bool(found), nulls))
    }
    fn build(exec: &mut Exec, types: &[Oid], rt: &Rt<'_, '_>) -> Result<Self> {
        let mut set = Self { keys: HashSet::default(), null: false, empty: true };
        let mut key = Vec::new();
        while let Some(b) = exec.next(rt)? {
            for i in b.selected() {
                set.empty = false;
                key.clear();
                let mut null = false;
                for (c, ty) in b.columns.iter().zip(types) {
                    null |= c.is_null(i);
                    keys::encode(*ty, &c.value(i), &mut key);
                }
                if null {
                    set.null = true;
                } else if !set.keys.contains(key.as_slice()) {
                    rt.charge(key.len() + 48)?;
                    set.keys.insert(key.as_slice().into());
                }
            }
        }
        Ok(set)
    }
}

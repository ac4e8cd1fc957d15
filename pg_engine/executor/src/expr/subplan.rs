//! Subqueries in expressions.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use hashbrown::HashSet;
use pg_plan::expr::SubPlanKind;
use pg_types::{Batch, Oid, Result, SqlError, SqlState, SqlType, Value, value::ArrayValue};

use super::{Compiled, RowRef, physical};
use crate::{
    context::Rt,
    keys,
    node::{Compiler, Exec},
};

/// A subquery ready to run.
pub(crate) struct SubPlan {
    kind: Kind,
    pub(crate) exec: Exec,
    args: Vec<(usize, Compiled)>,
    pub(crate) ty: SqlType,
    /// Result of an uncorrelated one (not for comparisons).
    result: Option<Value>,
    /// Rows of an uncorrelated comparison.
    rows: Option<Vec<Batch>>,
    set: Option<Hashed>,
}

enum Kind {
    Exists,
    Scalar,
    Array,
    Compare { test: Compiled, any: bool, outer: Option<Vec<(Compiled, Oid)>> },
}

/// The rows of a comparison as a set.
struct Hashed {
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
                            && s.args.is_empty()
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
        let exec = Exec::new(plan, c)?;
        let args = s
            .args
            .iter()
            .map(|(slot, e)| {
                c.note_slot(*slot);
                Ok((*slot as usize, Compiled::new(e, c)?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { kind, exec, args, ty: s.ty, result: None, rows: None, set: None })
    }

    pub(crate) fn reset(&mut self) {
        self.result = None;
        self.rows = None;
        self.set = None;
        self.exec.reset();
        self.args.iter_mut().for_each(|(_, e)| e.reset());
        if let Kind::Compare { test, outer, .. } = &mut self.kind {
            test.reset();
            outer.iter_mut().flatten().for_each(|(e, _)| e.reset());
        }
    }

    pub(crate) fn row(&mut self, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
        if let Some(v) = &self.result {
            return Ok(v.clone());
        }
        for (slot, e) in &mut self.args {
            let v = e.row(row, rt)?;
            rt.set_slot(*slot, v);
        }
        let correlated = !self.args.is_empty();
        if matches!(self.kind, Kind::Compare { .. }) {
            return self.compare(row, correlated, rt);
        }
        if correlated {
            self.exec.reset();
        }
        let v = match &self.kind {
            Kind::Exists => Value::Bool(self.first_row(rt)?.is_some()),
            Kind::Scalar => self.scalar(rt)?,
            _ => self.array(rt)?,
        };
        if !correlated {
            self.result = Some(v.clone());
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

    fn compare(&mut self, row: RowRef<'_>, correlated: bool, rt: &Rt<'_, '_>) -> Result<Value> {
        let Kind::Compare { test, any, outer } = &mut self.kind else { return Ok(Value::Null) };
        let any = *any;
        if let Some(outer) = outer {
            if self.set.is_none() {
                let types: Vec<Oid> = outer.iter().map(|(_, t)| *t).collect();
                self.set = Some(Hashed::build(&mut self.exec, &types, rt)?);
            }
            if let Some(set) = &self.set {
                let mut key = Vec::new();
                let mut null = false;
                for (e, ty) in outer.iter_mut() {
                    let v = e.row(row, rt)?;
                    null |= v.is_null();
                    keys::encode(*ty, &v, &mut key);
                }
                if set.empty {
                    return Ok(Value::Bool(false));
                }
                if !null && set.keys.contains(key.as_slice()) {
                    return Ok(Value::Bool(true));
                }
                if !null && !set.null {
                    return Ok(Value::Bool(false));
                }
                if outer.len() == 1 {
                    return Ok(Value::Null);
                }
                // Several columns with NULLs among them: only the test itself knows.
                self.set = None;
                self.exec.reset();
            }
        }
        if correlated {
            self.exec.reset();
            self.rows = None;
        }
        let mut unknown = false;
        let mut check = |b: &Batch| -> Result<Option<Value>> {
            for i in b.selected() {
                match test.row(RowRef::Batch(b, i), rt)? {
                    Value::Bool(x) if x == any => return Ok(Some(Value::Bool(x))),
                    Value::Bool(_) => {}
                    _ => unknown = true,
                }
            }
            Ok(None)
        };
        if correlated {
            while let Some(b) = self.exec.next(rt)? {
                if let Some(v) = check(&b)? {
                    return Ok(v);
                }
            }
        } else {
            if self.rows.is_none() {
                self.exec.reset();
                let mut rows = Vec::new();
                while let Some(b) = self.exec.next(rt)? {
                    rt.charge(b.memory())?;
                    rows.push(b);
                }
                self.rows = Some(rows);
            }
            for b in self.rows.iter().flatten() {
                if let Some(v) = check(b)? {
                    return Ok(v);
                }
            }
        }
        Ok(if unknown { Value::Null } else { Value::Bool(!any) })
    }
}

impl Hashed {
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

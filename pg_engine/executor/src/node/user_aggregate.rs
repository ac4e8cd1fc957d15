//! States of aggregates: built-in accumulators, and users' aggregates, whose functions are expressions over one group's state
//! and one row's arguments.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use pg_functions::{Accumulator, Implementation, Rows};
use pg_plan::definition::{Aggregated, UserAggregate};
use pg_types::{Result, SqlError, SqlType, Value, Vector};

use super::Compiler;
use crate::{
    context::Rt,
    expr::{Compiled, RowRef},
};

/// Rows after which a cancelled statement is noticed.
const STRIDE: usize = 64;

/// The states of all groups of one call.
pub(crate) enum States {
    Builtin(Box<dyn Accumulator>),
    User(Box<UserStates>),
}

/// Of a user's aggregate.
pub(crate) struct UserStates {
    plan: Arc<UserAggregate>,
    transition: Compiled,
    finish: Option<Compiled>,
    /// A state each; `None`: the first row gives it.
    groups: Vec<Option<Value>>,
    /// State and arguments of the row at hand.
    row: Vec<Value>,
    /// Bytes of the states, as far as they have been asked for.
    held: usize,
}

impl States {
    /// No groups yet.
    pub(crate) fn new(function: &Aggregated, args: &[SqlType], ty: SqlType) -> Result<Self> {
        match function {
            Aggregated::Builtin(f) => {
                let Implementation::Aggregate(make) = f.imp else {
                    return Err(SqlError::internal("not an aggregate"));
                };
                Ok(Self::Builtin(make(args, ty)?))
            }
            Aggregated::User(plan) => {
                let mut c = Compiler::new(0);
                Ok(Self::User(Box::new(UserStates {
                    transition: Compiled::new(&plan.transition, &mut c)?,
                    finish: plan.finish.as_ref().map(|e| Compiled::new(e, &mut c)).transpose()?,
                    plan: plan.clone(),
                    groups: Vec::new(),
                    row: Vec::new(),
                    held: 0,
                })))
            }
        }
    }

    /// Without groups, if it can begin anew.
    pub(crate) fn anew(self) -> Option<Self> {
        match self {
            Self::Builtin(_) => None,
            Self::User(mut s) => {
                s.groups.clear();
                s.held = 0;
                Some(Self::User(s))
            }
        }
    }

    pub(crate) fn resize(&mut self, groups: usize) {
        match self {
            Self::Builtin(a) => a.resize(groups),
            Self::User(s) => {
                let first = if s.plan.initial.is_null() && s.plan.strict {
                    None
                } else {
                    Some(s.plan.initial.clone())
                };
                s.groups.resize(groups, first);
            }
        }
    }

    /// See [`Accumulator::update`].
    pub(crate) fn update(
        &mut self,
        groups: &[u32],
        args: &[Arc<Vector>],
        rows: Rows<'_>,
        rt: &Rt<'_, '_>,
    ) -> Result<()> {
        match self {
            Self::Builtin(a) => a.update(&rt.eval(), groups, args, rows),
            Self::User(s) => s.update(groups, args, rows, rt),
        }
    }

    /// The result for one group, which takes no further rows.
    pub(crate) fn finish(&mut self, group: usize, rt: &Rt<'_, '_>) -> Result<Value> {
        match self {
            Self::Builtin(a) => a.finish(&rt.eval(), group),
            Self::User(s) => s.result(group, rt),
        }
    }

    /// The result for one group so far.
    pub(crate) fn peek(&mut self, group: usize, rt: &Rt<'_, '_>) -> Result<Value> {
        match self {
            Self::Builtin(a) => a.peek(&rt.eval(), group),
            Self::User(s) => s.result(group, rt),
        }
    }

    /// Bytes held, about.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Builtin(a) => a.memory(),
            Self::User(s) => s.held + s.groups.capacity() * size_of::<Option<Value>>(),
        }
    }
}

/// Bytes of a state beside its slot.
fn weight(v: &Value) -> usize {
    match v {
        Value::Text(t) => t.len(),
        Value::Array(a) => a.values.iter().map(|v| size_of::<Value>() + weight(v)).sum(),
        Value::Record(r) => r.values.iter().map(|v| size_of::<Value>() + weight(v)).sum(),
        _ => 0,
    }
}

impl UserStates {
    fn update(
        &mut self,
        groups: &[u32],
        args: &[Arc<Vector>],
        rows: Rows<'_>,
        rt: &Rt<'_, '_>,
    ) -> Result<()> {
        for (n, i) in rows.iter().enumerate() {
            if n % STRIDE == STRIDE - 1 {
                rt.cx.checkpoint()?;
            }
            if self.plan.strict && args.iter().any(|a| a.is_null(i)) {
                continue;
            }
            let group = groups.get(i).and_then(|g| self.groups.get_mut(*g as usize));
            let slot = group.ok_or_else(|| SqlError::internal("a group that was not made"))?;
            let Some(state) = slot else {
                let first = args.first().map_or(Value::Null, |a| a.value(i));
                *slot = Some(pg_functions::cast::relabel(first, self.plan.state.oid));
                continue;
            };
            if self.plan.strict && state.is_null() {
                continue;
            }
            self.row.clear();
            self.row.push(core::mem::replace(state, Value::Null));
            self.row.extend(args.iter().map(|a| a.value(i)));
            let before = self.row.first().map_or(0, weight);
            *state = self.transition.row(RowRef::Values(&self.row), rt)?;
            self.held = (self.held + weight(state)).saturating_sub(before);
        }
        Ok(())
    }

    fn result(&mut self, group: usize, rt: &Rt<'_, '_>) -> Result<Value> {
        let state = self.groups.get(group).cloned().flatten().unwrap_or(Value::Null);
        match &mut self.finish {
            None => Ok(state),
            Some(finish) => finish.row(RowRef::Values(&[state]), rt),
        }
    }
}

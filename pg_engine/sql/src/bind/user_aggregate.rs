//! Calls of users' aggregates: which one a name means, and its functions over state and arguments.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{Routine, RoutineKind};
use pg_functions::registry;
use pg_plan::{
    definition::{Aggregated, UserAggregate},
    expr::{ColumnId, Expr},
    logical::AggregateCall,
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value};
use sqlparser::ast as sq;

use super::{
    Binder,
    call::Arguments,
    resolve::{self, Candidate},
    routine::{Choice, Found},
};

/// A name that users gave to functions: those, how messages show it, and the name of built-in ones that it may mean, too.
pub(super) struct Named<'n> {
    pub(super) routines: &'n [Arc<Routine>],
    pub(super) shown: &'n str,
    pub(super) builtin: Option<&'n str>,
}

/// Are all of these aggregates?
pub(super) fn all_aggregates(routines: &[Arc<Routine>]) -> bool {
    routines.iter().all(|r| r.kind == RoutineKind::Aggregate)
}

impl Binder<'_> {
    /// A call that may be one of a user's aggregate.
    #[inline(never)]
    pub(super) fn users_aggregate(
        &mut self,
        named: &Named<'_>,
        f: &sq::Function,
        args: &Arguments<'_>,
        at: u32,
    ) -> Result<Expr> {
        if let Some(level) = self.level_of_arguments(f, args)? {
            let inner = self.frames.split_off(level + 1);
            let outer = self.users_aggregate(named, f, args, at);
            self.frames.extend(inner);
            return self.carry(outer?, level);
        }
        self.may_aggregate(at)?;
        self.frame()?.in_aggregate = true;
        let call = self.users_aggregate_call(named, f, args, at);
        self.frame()?.in_aggregate = false;
        match call? {
            Some(call) => {
                let name = String::from(call.function.name());
                self.aggregated(&name, call)
            }
            None => self.aggregate(named.builtin.unwrap_or(named.shown), f, args, at),
        }
    }

    fn users_aggregate_call(
        &mut self,
        named: &Named<'_>,
        f: &sq::Function,
        args: &Arguments<'_>,
        at: u32,
    ) -> Result<Option<AggregateCall>> {
        let mut given = self.given(args)?;
        let order_by = self.sort_keys(args.order_by)?;
        for key in self.sort_keys(&f.within_group)? {
            given.exprs.push(key.expr);
            given.names.push(None);
        }
        let types: Vec<SqlType> = given.exprs.iter().map(Expr::ty).collect();
        let names = given.names.clone();
        let found = match self.choose(named.routines, named.shown, named.builtin, given, false, at)? {
            Choice::Routine(found) => found,
            Choice::Builtin(..) => return Ok(None),
            Choice::None(_) => {
                return Err(super::routine::not_one(named.shown, &types, &names, false, false).at(at));
            }
        };
        let shown = named.shown;
        let wrong = |text: String| Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text).at(at));
        if found.target.routine.kind != RoutineKind::Aggregate {
            let what = if args.star { format!("{shown}(*)") } else { String::from("DISTINCT") };
            return wrong(format!("{what} specified, but {shown} is not an aggregate function"));
        }
        if !f.within_group.is_empty() {
            return wrong(format!("{shown} is not an ordered-set aggregate, so it cannot have WITHIN GROUP"));
        }
        if args.exprs.is_empty() && !args.star {
            return wrong(format!("{shown}(*) must be used to call a parameterless aggregate function"));
        }
        let user = self.user_aggregate(&found, at)?;
        if args.distinct {
            self.check_distinct(&found.args, at)?;
            self.check_distinct_order(&found.args, &order_by, args.order_by)?;
        }
        let filter = self.aggregate_filter(f)?;
        let ty = found.target.result;
        let function = Aggregated::User(user);
        Ok(Some(AggregateCall { function, args: found.args, distinct: args.distinct, order_by, filter, ty }))
    }

    /// The functions of an aggregate for a call of it.
    pub(super) fn user_aggregate(&mut self, found: &Found, at: u32) -> Result<Arc<UserAggregate>> {
        let target = &found.target;
        let Some(aggregate) = target.routine.aggregate.clone() else {
            return Err(SqlError::internal("an aggregate without its functions"));
        };
        self.accesses.call(&target.routine);
        let (_, state) =
            resolve::polymorphic(&target.routine.inputs, &target.inputs, aggregate.state, &self.casts)?;
        let state = self.catalog.plain_type(SqlType::new(state))?;
        let column = |(n, ty): (usize, &SqlType)| Expr::Column(n as ColumnId, *ty);
        let columns: Vec<Expr> =
            core::iter::once(&state).chain(&target.inputs).enumerate().map(column).collect();
        let result = target.result;
        self.unrecorded(|b| {
            let strict = b.is_strict(aggregate.transition)?;
            let transition = b.call_of(aggregate.transition, columns, at)?;
            let transition = b.implicit(transition, state, at)?;
            let initial = match &aggregate.initial {
                Some(text) => b.read_literal(text, state)?,
                None => Value::Null,
            };
            let finish = if aggregate.finish == 0 {
                None
            } else {
                let null = |ty: &SqlType| Expr::Const(Value::Null, *ty);
                let extra = target.inputs.iter().map(null).filter(|_| aggregate.extra);
                let args = core::iter::once(Expr::Column(0, state)).chain(extra).collect();
                let value = b.call_of(aggregate.finish, args, at)?;
                Some(b.implicit(value, result, at)?)
            };
            let routine = target.routine.clone();
            Ok(Arc::new(UserAggregate { routine, state, initial, transition, strict, finish }))
        })
    }

    fn is_strict(&self, function: Oid) -> Result<bool> {
        if let Some(f) = registry().function(function) {
            return Ok(f.strict);
        }
        Ok(self.catalog.routine(function)?.is_some_and(|r| r.strict))
    }

    /// A call of a function known by number.
    pub(super) fn call_of(&mut self, function: Oid, args: Vec<Expr>, at: u32) -> Result<Expr> {
        if let Some(what) = registry().function(function) {
            let candidate = Candidate { what, args: what.args.to_vec(), spread: false, defaulted: 0 };
            return self.apply(candidate, args, at);
        }
        let Some(routine) = self.catalog.routine(function)? else {
            let text = format!("function with OID {function} does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, text));
        };
        let declared: Vec<Oid> = self.plain_inputs(&routine)?;
        let places: Vec<usize> = (0..args.len()).collect();
        let found = self.resolved(&routine, &places, &declared, false, args, at)?;
        self.routine_call(found, at)
    }
}

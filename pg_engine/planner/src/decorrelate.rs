//! Correlated subqueries in expressions as outer joins.
//!
//! A subquery that asks for what is equal to something of the outer row is computed for all such values at once, grouped by
//! them, and joined to the outer rows; its expression then reads a column. Whether that costs less than running the subquery for each
//! row is for [`Planner::unnested`] to tell: both are planned. (The idea is Kim's, 1982, with the outer join that counts need; the
//! forms beyond equality, which Neumann and Kemper, 2015, treat, stay subqueries.)
//!
//! A group that no outer row asks for is computed too, so nothing is taken apart that may fail or does something.

use alloc::{boxed::Box, vec::Vec};

use pg_functions::{Function, registry};
use pg_plan::{
    definition,
    expr::{Call, Case, ColumnId, Expr, SubPlan, SubPlanKind, SubQuery},
    logical::{AggregateCall, Column, JoinKind, Logical, SortKey},
};
use pg_types::{Result, Value, oid};

use crate::{
    build::{Planner, Sub, Wish},
    columns::{ColumnSet, substitute},
    estimate::is_equality,
    fold::{always, fold},
    join::hash_key,
    pushdown::{filtered, outputs, push_down},
    rewrite::{Folding, rewrite},
    unique::at_most_one,
    unnest::{fill_slots, pull_conditions},
};

/// Nested alternatives: each doubles the work of planning what is below.
pub(crate) const MAX_NESTED: u32 = 3;

/// A subquery as the right side of an outer join.
struct Outer {
    right: Logical,
    on: Vec<Expr>,
    /// What stands for the subquery above the join.
    value: Expr,
}

/// Columns that tell the groups of a subquery's rows apart.
struct Keys {
    groups: Vec<(Column, Expr)>,
    /// The outer row's values equal to them.
    on: Vec<Expr>,
}

/// The join that does what a subquery does, if there is one.
fn outer_join(plan: &SubPlan) -> Option<Outer> {
    let SubQuery::Logical(query) = &plan.query else { return None };
    if !plan.correlated || !settled(&plan.args) {
        return None;
    }
    match &plan.kind {
        SubPlanKind::Exists => exists(query, &plan.args),
        SubPlanKind::Scalar => {
            let grouped = aggregated(query, &plan.args).and_then(|a| {
                let [(_, value)] = a.values.try_into().ok()?;
                Some(Outer { right: a.right, on: a.on, value: only_if(a.having.as_ref(), value) })
            });
            grouped.or_else(|| first(query, &plan.args)).or_else(|| only(query, &plan.args))
        }
        _ => None,
    }
}

/// EXISTS: are there rows with the keys?
fn exists(query: &Logical, args: &[(u32, Expr)]) -> Option<Outer> {
    let (inner, on) = pull_conditions(query, args)?;
    let Keys { groups, on } = keys(&inner, on, args)?;
    let found = groups.first().map(|(c, _)| Expr::Column(c.id, c.ty))?;
    let right =
        Logical::Aggregate { input: Box::new(inner), groups, aggregates: Vec::new(), seeds: Vec::new() };
    Some(Outer { right, on, value: Expr::IsNull(Box::new(found), false) })
}

/// A query that is nothing but aggregates, as the right side of an outer join.
struct Aggregated {
    right: Logical,
    on: Vec<Expr>,
    /// What stands for the query's columns above the join.
    values: Vec<(Column, Expr)>,
    /// HAVING, above the join.
    having: Option<Expr>,
}

/// Aggregates of all rows: of those with the same keys, in one go.
fn aggregated(query: &Logical, args: &[(u32, Expr)]) -> Option<Aggregated> {
    let Logical::Project(input, columns) = query else { return None };
    let (having, input) = match &**input {
        Logical::Filter(input, having) => (Some(having), input),
        _ => (None, input),
    };
    let Logical::Aggregate { input, groups, aggregates, seeds } = &**input else { return None };
    if !groups.is_empty() || !seeds.is_empty() || !aggregates.iter().all(|(_, call)| harmless(call)) {
        return None;
    }
    let (inner, on) = pull_conditions(input, args)?;
    let Keys { groups, on } = keys(&inner, on, args)?;
    // Where there are no rows, a count is 0 and the others are NULL, as the columns of a join without a partner are.
    let result = |id: ColumnId| {
        let (column, call) = aggregates.iter().find(|(c, _)| c.id == id)?;
        let read = Expr::Column(column.id, column.ty);
        let none = Expr::Const(Value::Int8(0), column.ty);
        let counts = call.function.name() == "count";
        Some(if counts { Expr::Coalesce([read, none].into(), column.ty) } else { read })
    };
    let above = |e: &Expr| {
        let mut e = e.clone();
        let fits = !e.volatile() && fill_slots(&mut e, args);
        substitute(&mut e, &result);
        fits.then_some(e)
    };
    let having = match having {
        Some(having) => Some(above(having)?),
        None => None,
    };
    let values = columns.iter().map(|(c, e)| Some((c.clone(), above(e)?))).collect::<Option<_>>()?;
    let (input, aggregates) = (Box::new(inner), aggregates.clone());
    let right = Logical::Aggregate { input, groups, aggregates, seeds: Vec::new() };
    Some(Aggregated { right, on, values, having })
}

/// The expression's value where the condition holds, else NULL.
fn only_if(condition: Option<&Expr>, value: Expr) -> Expr {
    let Some(condition) = condition else { return value };
    let ty = value.ty();
    let whens = [(condition.clone(), value)].into();
    Expr::Case(Box::new(Case { whens, otherwise: Expr::Const(Value::Null, ty), ty }))
}

/// The first row of some order: of each group, by DISTINCT ON.
fn first(query: &Logical, args: &[(u32, Expr)]) -> Option<Outer> {
    let Logical::Limit { input, limit: Some(limit), offset: None, ties } = query else { return None };
    let mut limit = limit.clone();
    if !ties.is_empty() || fold(&mut limit).is_err() || !matches!(limit, Expr::Const(Value::Int8(1), _)) {
        return None;
    }
    let (rows, order, above) = match &**input {
        Logical::Sort(rows, order) => (&**rows, order.as_slice(), None),
        Logical::Project(sort, columns) => match &**sort {
            Logical::Sort(rows, order) => (&**rows, order.as_slice(), Some(columns)),
            _ => (&**input, &[][..], None),
        },
        other => (other, &[][..], None),
    };
    let result = match above {
        Some(columns) => columns.clone(),
        None => outputs(rows).into_iter().map(|c| (c.clone(), Expr::Column(c.id, c.ty))).collect(),
    };
    let [(column, value)] = result.as_slice() else { return None };
    let (inner, on) = pull_conditions(rows, args)?;
    let Keys { groups, on } = keys(&inner, on, args)?;
    // Keys that are columns are there already.
    if groups.iter().any(|(_, e)| !matches!(e, Expr::Column(..))) {
        return None;
    }
    if !certain(value) || !order.iter().all(|k| certain(&k.expr)) {
        return None;
    }
    let key = |(_, e): &(Column, Expr)| SortKey { expr: e.clone(), descending: false, nulls_first: false };
    let order = groups.iter().map(key).chain(order.iter().cloned()).collect();
    let sorted = Logical::Sort(Box::new(inner), order);
    let firsts = Logical::Distinct(Box::new(sorted), Some(groups.iter().map(|(_, e)| e.clone()).collect()));
    let read = Expr::Column(column.id, column.ty);
    let mut columns = groups;
    if !columns.iter().any(|(c, _)| c.id == column.id) {
        columns.push((column.clone(), value.clone()));
    } else if !matches!(value, Expr::Column(id, _) if *id == column.id) {
        return None;
    }
    Some(Outer { right: Logical::Project(Box::new(firsts), columns), on, value: read })
}

/// A row that there can be one of at most.
fn only(query: &Logical, args: &[(u32, Expr)]) -> Option<Outer> {
    let [column] = outputs(query).try_into().ok()?;
    let Column { id, ty, .. } = column;
    let (right, on) = pull_conditions(query, args)?;
    if let Logical::Project(_, columns) = &right
        && !columns.iter().all(|(_, e)| certain(e))
    {
        return None;
    }
    if on.is_empty() || !at_most_one(&right, &on) || !conditions_certain(&right) {
        return None;
    }
    Some(Outer { right, on, value: Expr::Column(id, ty) })
}

/// The keys that conditions between a subquery's rows and the outer row are about, if they are equalities and nothing else.
fn keys(inner: &Logical, on: Vec<Expr>, args: &[(u32, Expr)]) -> Option<Keys> {
    if on.is_empty() || !conditions_certain(inner) {
        return None;
    }
    let own = ColumnSet::of(outputs(inner).iter().map(|c| c.id));
    let mut outer = ColumnSet::default();
    args.iter().for_each(|(_, e)| outer.add(e));
    let mut found = Keys { groups: Vec::new(), on: Vec::new() };
    for condition in on {
        let (theirs, ours, equality) = hash_key(&condition, &outer, &own)?;
        if ours.volatile() || !certain(&ours) {
            return None;
        }
        // A key goes by the number of a column that it reads, of which nothing else is seen above the grouping.
        let mut id = None;
        ours.for_each_column(&mut |c| id = id.or(Some(c)));
        let (id, ty) = (id?, ours.ty());
        match found.groups.iter().find(|(c, _)| c.id == id) {
            Some((_, known)) if !same_column(known, &ours) => return None,
            Some(_) => {}
            None => found.groups.push((Column { id, name: Default::default(), ty }, ours)),
        }
        found.on.push(equal(equality, theirs, Expr::Column(id, ty)));
    }
    Some(found)
}

fn same_column(a: &Expr, b: &Expr) -> bool {
    matches!((a, b), (Expr::Column(a, _), Expr::Column(b, _)) if a == b)
}

fn equal(equality: &'static Function, left: Expr, right: Expr) -> Expr {
    let ty = pg_types::SqlType::new(oid::BOOL);
    Expr::Call(Box::new(Call { function: equality, args: [left, right].into(), ty }))
}

/// An aggregate that neither fails nor does something, whatever its rows, and is NULL or 0 of none.
fn harmless(call: &AggregateCall) -> bool {
    let definition::Aggregated::Builtin(f) = &call.function else { return false };
    let exact = |t: &pg_types::Oid| matches!(*t, oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC);
    let known = match f.name {
        "count" | "min" | "max" | "bool_and" | "bool_or" | "every" | "array_agg" | "string_agg"
        | "json_agg" | "jsonb_agg" => true,
        "sum" | "avg" => f.args.iter().all(exact),
        _ => false,
    };
    known
        && call.args.iter().all(certain)
        && call.order_by.iter().all(|k| certain(&k.expr))
        && call.filter.as_ref().is_none_or(certain)
}

/// Can the conditions in a subquery be asked of any row?
fn conditions_certain(node: &Logical) -> bool {
    match node {
        Logical::Filter(input, condition) => certain(condition) && conditions_certain(input),
        Logical::Join { left, right, on, .. } => {
            on.as_ref().is_none_or(certain) && conditions_certain(left) && conditions_certain(right)
        }
        Logical::Project(input, columns) => {
            columns.iter().all(|(_, e)| certain(e)) && conditions_certain(input)
        }
        Logical::Secure(input) | Logical::Sort(input, _) => conditions_certain(input),
        Logical::Scan { .. } | Logical::CteScan { .. } | Logical::OneRow => true,
        _ => false,
    }
}

/// Has the expression a value for every row, and does computing it do nothing else?
fn certain(e: &Expr) -> bool {
    !e.any(&mut |e| match e {
        Expr::Call(call) => !never_fails(call.function),
        Expr::Distinct(f, ..) | Expr::NullIf(f, _) | Expr::ScalarArray(f, ..) => !never_fails(f),
        Expr::Const(..)
        | Expr::Column(..)
        | Expr::Param(..)
        | Expr::Slot(..)
        | Expr::And(_)
        | Expr::Or(_)
        | Expr::Not(_)
        | Expr::IsNull(..)
        | Expr::IsTruth(..)
        | Expr::Coalesce(..)
        | Expr::Case(_)
        | Expr::Array(..)
        | Expr::Relabel(..) => false,
        Expr::SubPlan(plan) => outer_join(plan).is_none(),
        _ => true,
    })
}

fn never_fails(f: &Function) -> bool {
    let exact = || f.args.iter().all(|t| *t == oid::NUMERIC);
    // Matching by patterns and questions about privileges have names like these, and fail.
    let is_operator = |name: &&str| match f.args {
        [l, r] => registry().operator_for(name, *l, *r).is_some_and(|o| o.function == f.oid),
        _ => false,
    };
    let compares = || ["<>", "<", "<=", ">", ">="].iter().any(is_operator);
    pg_functions::is_leakproof(f.oid)
        || is_equality(f)
        || (!f.args.contains(&oid::RECORD) && compares())
        || (matches!(f.name, "numeric_add" | "numeric_sub" | "numeric_mul") && exact())
        || (f.name == "numeric" && matches!(f.args, [oid::INT2 | oid::INT4 | oid::INT8]))
}

/// Takes the subqueries that can be joined out of an expression.
fn take(e: &mut Expr, taken: &mut Vec<(u32, Outer)>) {
    if let Expr::SubPlan(plan) = e {
        let known =
            taken.iter().find(|(alike, _)| *alike != 0 && *alike == plan.alike).map(|(_, o)| o.value.clone());
        let value = known.or_else(|| {
            let outer = outer_join(plan)?;
            let value = outer.value.clone();
            taken.push((plan.alike, outer));
            Some(value)
        });
        if let Some(value) = value {
            *e = value;
        }
        return;
    }
    e.for_each_child_mut(&mut |child| take(child, taken));
}

/// The joins' right sides and conditions.
fn sides(taken: Vec<(u32, Outer)>) -> impl Iterator<Item = (Logical, Vec<Expr>)> {
    taken.into_iter().map(|(_, outer)| (outer.right, outer.on))
}

/// Are the outer row's values columns and what is computed from them, always the same?
fn settled(args: &[(u32, Expr)]) -> bool {
    !args.iter().any(|(_, e)| e.volatile() || e.has_subplan())
}

impl Planner<'_> {
    /// The operator with correlated subqueries of its expressions joined instead; `None`: there are none that could be.
    fn unnested(&mut self, node: &Logical) -> Result<Option<Logical>> {
        let mut taken = Vec::new();
        match node {
            Logical::Project(input, columns) if columns.iter().any(|(_, e)| e.has_subplan()) => {
                let mut columns = columns.clone();
                columns.iter_mut().filter(|(_, e)| !e.volatile()).for_each(|(_, e)| take(e, &mut taken));
                let input = self.with_joins((**input).clone(), sides(taken))?;
                Ok(input.map(|input| Logical::Project(Box::new(input), columns)))
            }
            Logical::Filter(input, condition) if condition.has_subplan() => {
                let (rest, mut asking): (Vec<_>, Vec<_>) =
                    condition.clone().conjuncts().into_iter().partition(|e| !e.has_subplan() || e.volatile());
                let mut input = (**input).clone();
                if is_inner(&input) {
                    lift(&mut input, &mut asking);
                }
                asking.iter_mut().for_each(|e| take(e, &mut taken));
                let input = self.with_joins(filtered(input, rest), sides(taken))?;
                Ok(input.map(|input| filtered(input, asking)))
            }
            Logical::Aggregate { input, groups, aggregates, seeds } if computes(groups, aggregates) => {
                let (mut groups, mut aggregates) = (groups.clone(), aggregates.clone());
                let calls = aggregates.iter_mut().flat_map(|(_, call)| {
                    let keys = call.order_by.iter_mut().map(|k| &mut k.expr);
                    call.args.iter_mut().chain(keys).chain(&mut call.filter)
                });
                let exprs = groups.iter_mut().map(|(_, e)| e).chain(calls);
                exprs.filter(|e| e.has_subplan() && !e.volatile()).for_each(|e| take(e, &mut taken));
                let input = self.with_joins((**input).clone(), sides(taken))?;
                let seeds = seeds.clone();
                Ok(input.map(|input| Logical::Aggregate {
                    input: Box::new(input),
                    groups,
                    aggregates,
                    seeds,
                }))
            }
            node if is_inner(node) && asks(node) => {
                let mut asking = Vec::new();
                let mut node = node.clone();
                lift(&mut node, &mut asking);
                asking.iter_mut().for_each(|e| take(e, &mut taken));
                let input = self.with_joins(node, sides(taken))?;
                Ok(input.map(|input| filtered(input, asking)))
            }
            Logical::Join { kind: JoinKind::Inner | JoinKind::Left, lateral, .. }
                if !lateral.is_empty() && settled(lateral) =>
            {
                self.unnested_lateral(node)
            }
            _ => Ok(None),
        }
    }

    /// A join with a subquery in FROM that aggregates: its columns are computed above an outer join.
    fn unnested_lateral(&mut self, node: &Logical) -> Result<Option<Logical>> {
        let Logical::Join { kind, left, right, on, lateral } = node else { return Ok(None) };
        let Some(Aggregated { right, on: keys, values, having }) = aggregated(right, lateral) else {
            return Ok(None);
        };
        let mut conditions: Vec<Expr> = having.into_iter().collect();
        for mut condition in on.clone().map(Expr::conjuncts).unwrap_or_default() {
            if condition.volatile() || condition.has_subplan() {
                return Ok(None);
            }
            substitute(&mut condition, &|id| values.iter().find(|(c, _)| c.id == id).map(|(_, e)| e.clone()));
            if !always(&condition) {
                conditions.push(condition);
            }
        }
        let Some(mut input) = self.with_joins((**left).clone(), [(right, keys)])? else { return Ok(None) };
        let mut condition = Expr::all_of(conditions);
        if *kind == JoinKind::Inner {
            input = filtered(input, condition.take().into_iter().collect());
        }
        let values = values.into_iter().map(|(c, e)| (c, only_if(condition.as_ref(), e)));
        let same = outputs(left).into_iter().map(|c| {
            let e = Expr::Column(c.id, c.ty);
            (c, e)
        });
        Ok(Some(Logical::Project(Box::new(input), same.chain(values).collect())))
    }

    /// Outer joins of a tree with what was taken out of expressions over it.
    fn with_joins(
        &mut self,
        mut node: Logical,
        joins: impl IntoIterator<Item = (Logical, Vec<Expr>)>,
    ) -> Result<Option<Logical>> {
        let mut any = false;
        for (right, on) in joins {
            any = true;
            let mut folding = Folding::of(outputs(&right).iter().map(|c| c.id), &self.values);
            let right = push_down(rewrite(right, &mut folding), Vec::new());
            if folding.error.is_some() {
                return Ok(None);
            }
            self.note_columns(&right)?;
            node = Logical::Join {
                kind: JoinKind::Left,
                left: Box::new(node),
                right: Box::new(right),
                on: Expr::all_of(on),
                lateral: Vec::new(),
            };
        }
        Ok(any.then_some(node))
    }

    /// Rows to change with what new values ask for joined to them, and the values over that; `None`: nothing can be joined.
    pub(crate) fn with_assigned(
        &mut self,
        rows: &Logical,
        list: &[(i16, Expr)],
    ) -> Result<Option<(Logical, Vec<(i16, Expr)>)>> {
        let (mut taken, mut list) = (Vec::new(), list.to_vec());
        list.iter_mut().filter(|(_, e)| !e.volatile()).for_each(|(_, e)| take(e, &mut taken));
        let joined = self.with_joins(rows.clone(), sides(taken))?;
        Ok(joined.map(|rows| (rows, list)))
    }

    /// Plans an operator in the cheaper of two ways, if correlated subqueries in it can be joined; `None`: there is one way only.
    pub(crate) fn either_way(
        &mut self,
        node: &Logical,
        needed: &ColumnSet,
        wish: &Wish,
    ) -> Result<Option<Sub>> {
        if self.nested >= MAX_NESTED {
            return Ok(None);
        }
        let Some(other) = self.unnested(node)? else { return Ok(None) };
        self.nested += 1;
        let failed = self.failed.take();
        let joined = self.operator(other, needed, wish);
        let joined = if self.failed.is_some() { None } else { Some(joined?) };
        self.failed = failed;
        let plain = self.translated(node.clone(), needed, wish);
        self.nested -= 1;
        let plain = plain?;
        let cost = |sub: &Sub| wish.cost_of(sub, self.settings);
        Ok(Some(match joined {
            Some(joined) if cost(&joined) < cost(&plain) => joined,
            _ => plain,
        }))
    }
}

fn is_inner(node: &Logical) -> bool {
    matches!(node, Logical::Join { kind: JoinKind::Inner, lateral, .. } if lateral.is_empty())
}

/// Have the expressions of a grouping subqueries?
fn computes(groups: &[(Column, Expr)], aggregates: &[(Column, AggregateCall)]) -> bool {
    let calls = aggregates.iter().flat_map(|(_, call)| {
        call.args.iter().chain(call.order_by.iter().map(|k| &k.expr)).chain(&call.filter)
    });
    groups.iter().map(|(_, e)| e).chain(calls).any(Expr::has_subplan)
}

/// Has a tree of inner joins conditions with subqueries?
fn asks(node: &Logical) -> bool {
    match node {
        Logical::Join { left, right, on, .. } if is_inner(node) => {
            on.as_ref().is_some_and(Expr::has_subplan) || asks(left) || asks(right)
        }
        Logical::Filter(_, condition) => condition.has_subplan(),
        _ => false,
    }
}

/// Takes the conditions with subqueries out of a tree of inner joins and the filters of its tables.
fn lift(node: &mut Logical, asking: &mut Vec<Expr>) {
    let asks = |e: &Expr| e.has_subplan() && !e.volatile();
    match node {
        Logical::Join { kind: JoinKind::Inner, left, right, on, lateral } if lateral.is_empty() => {
            if on.as_ref().is_some_and(Expr::has_subplan) {
                let (out, rest): (Vec<_>, Vec<_>) =
                    on.take().map(Expr::conjuncts).unwrap_or_default().into_iter().partition(asks);
                asking.extend(out);
                *on = Expr::all_of(rest);
            }
            lift(left, asking);
            lift(right, asking);
        }
        Logical::Filter(input, condition) if condition.has_subplan() => {
            let (out, rest): (Vec<_>, Vec<_>) = condition.clone().conjuncts().into_iter().partition(asks);
            asking.extend(out);
            let input = core::mem::replace(&mut **input, Logical::OneRow);
            *node = filtered(input, rest);
        }
        _ => {}
    }
}

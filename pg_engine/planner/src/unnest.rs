//! EXISTS and IN as semi and anti joins; as inner joins where a row can have one partner at most, which may then be taken in
//! any order.

use alloc::{boxed::Box, vec::Vec};

use pg_plan::{
    expr::{Expr, SubPlan, SubPlanKind, SubQuery},
    logical::{JoinKind, Logical},
};

use crate::{
    columns::substitute,
    pushdown::{output, outputs},
    unique::at_most_one,
};

/// A subquery to be joined.
pub(crate) struct SemiJoin {
    pub(crate) kind: JoinKind,
    pub(crate) right: Logical,
    pub(crate) on: Vec<Expr>,
}

/// Turns a conjunct into a join if it can be; gives it back otherwise.
pub(crate) fn unnest(condition: Expr) -> Result<SemiJoin, Box<Expr>> {
    let (negated, plan) = match &condition {
        Expr::SubPlan(plan) => (false, plan),
        Expr::Not(inner) => match &**inner {
            Expr::SubPlan(plan) => (true, plan),
            _ => return Err(Box::new(condition)),
        },
        _ => return Err(Box::new(condition)),
    };
    match convert(plan, negated) {
        Some(join) => Ok(join),
        None => Err(Box::new(condition)),
    }
}

fn convert(plan: &SubPlan, negated: bool) -> Option<SemiJoin> {
    let SubQuery::Logical(query) = &plan.query else { return None };
    let kind = if negated { JoinKind::Anti } else { JoinKind::Semi };
    match &plan.kind {
        SubPlanKind::Exists if plan.correlated => {
            let (right, on) = pull_conditions(query, &plan.args)?;
            if on.is_empty() {
                return None;
            }
            Some(joined(kind, right, on))
        }
        // NOT IN yields NULL where an anti join would yield a row.
        SubPlanKind::Compare { test, any: true, .. } if !negated => {
            let outputs = outputs(query);
            let mut test = (**test).clone();
            substitute(&mut test, &|i| {
                let column = outputs.get(i as usize)?;
                Some(Expr::Column(column.id, column.ty))
            });
            if !fill_slots(&mut test, &plan.args) {
                return None;
            }
            let mut on = test.conjuncts();
            let right = if plan.correlated {
                let (right, more) = pull_conditions(query, &plan.args)?;
                on.extend(more);
                right
            } else {
                (**query).clone()
            };
            Some(joined(kind, right, on))
        }
        _ => None,
    }
}

fn joined(kind: JoinKind, mut right: Logical, mut on: Vec<Expr>) -> SemiJoin {
    let one = kind == JoinKind::Semi && at_most_one(&right, &on);
    // Columns that only the conditions read are computed there: what is left may be a table that has indexes.
    while let Logical::Project(input, columns) = right {
        if columns.iter().any(|(_, e)| e.volatile() || e.has_subplan()) {
            right = Logical::Project(input, columns);
            break;
        }
        let definition = |id| columns.iter().find(|(c, _)| c.id == id).map(|(_, e)| e.clone());
        on.iter_mut().for_each(|e| substitute(e, &definition));
        right = *input;
    }
    SemiJoin { kind: if one { JoinKind::Inner } else { kind }, right, on }
}

/// A subquery in FROM whose conditions alone read the tables before it is joined by them like any other.
pub(crate) fn flattened(
    kind: JoinKind,
    right: Box<Logical>,
    on: Option<Expr>,
    lateral: Vec<(u32, Expr)>,
) -> (Box<Logical>, Option<Expr>, Vec<(u32, Expr)>) {
    let settled = !lateral.iter().any(|(_, e)| e.volatile() || e.has_subplan());
    let kinds = matches!(kind, JoinKind::Inner | JoinKind::Left);
    if lateral.is_empty() || !settled || !kinds || !lasting(&right) {
        return (right, on, lateral);
    }
    match pull_conditions(&right, &lateral) {
        Some((right, more)) => {
            let all = on.map(Expr::conjuncts).unwrap_or_default().into_iter().chain(more);
            (Box::new(right), Expr::all_of(all.collect()), Vec::new())
        }
        None => (right, on, lateral),
    }
}

/// Are the rows the same each time, and is computing them once as good as many times?
pub(crate) fn lasting(node: &Logical) -> bool {
    match node {
        Logical::Project(input, columns) => !columns.iter().any(|(_, e)| e.volatile()) && lasting(input),
        Logical::Filter(input, e) => !e.volatile() && lasting(input),
        Logical::Join { left, right, on, .. } => {
            !on.as_ref().is_some_and(Expr::volatile) && lasting(left) && lasting(right)
        }
        Logical::Aggregate { input, groups, aggregates, .. } => {
            let args = aggregates.iter().flat_map(|(_, call)| call.args.iter().chain(&call.filter));
            !groups.iter().map(|(_, e)| e).chain(args).any(Expr::volatile) && lasting(input)
        }
        Logical::Secure(input) | Logical::Distinct(input, None) => lasting(input),
        Logical::Scan { .. } | Logical::CteScan { .. } | Logical::OneRow => true,
        _ => false,
    }
}

/// Replaces slots by the outer expressions; false when the expression holds a subquery that may read them.
pub(crate) fn fill_slots(expr: &mut Expr, args: &[(u32, Expr)]) -> bool {
    if expr.has_subplan() {
        return !reads_slots(expr, args);
    }
    replace(expr, args);
    true
}

fn replace(expr: &mut Expr, args: &[(u32, Expr)]) {
    if let Expr::Slot(slot, _) = expr {
        if let Some((_, outer)) = args.iter().find(|(s, _)| s == slot) {
            *expr = outer.clone();
        }
        return;
    }
    expr.for_each_child_mut(&mut |child| replace(child, args));
}

fn reads_slots(expr: &Expr, args: &[(u32, Expr)]) -> bool {
    expr.any(&mut |e| matches!(e, Expr::Slot(s, _) if args.iter().any(|(a, _)| a == s)))
}

/// Takes the correlated conditions out of a subquery: they must all stand in filters at its top.
pub(crate) fn pull_conditions(query: &Logical, args: &[(u32, Expr)]) -> Option<(Logical, Vec<Expr>)> {
    match query {
        Logical::Project(input, columns) => {
            let (inner, on) = pull_conditions(input, args)?;
            let mut columns = columns.clone();
            for (_, e) in &mut columns {
                if !fill_slots(e, args) {
                    return None;
                }
                // A column computed from the outer row cannot be computed inside.
                if reads_outer(e, &inner) {
                    return None;
                }
            }
            // What the conditions need must still come out.
            let mut have: Vec<u32> = columns.iter().map(|(c, _)| c.id).collect();
            for column in outputs(&inner) {
                let needed = on.iter().any(|c| {
                    let mut found = false;
                    c.for_each_column(&mut |id| found |= id == column.id);
                    found
                });
                if needed && !have.contains(&column.id) {
                    have.push(column.id);
                    let e = Expr::Column(column.id, column.ty);
                    columns.push((column, e));
                }
            }
            Some((Logical::Project(Box::new(inner), columns), on))
        }
        Logical::Filter(input, condition) => {
            let (inner, mut on) = pull_conditions(input, args)?;
            let mut kept = Vec::new();
            for mut part in condition.clone().conjuncts() {
                if part.has_subplan() {
                    if reads_slots(&part, args) {
                        return None;
                    }
                    kept.push(part);
                } else if reads_slots(&part, args) {
                    replace(&mut part, args);
                    on.push(part);
                } else {
                    kept.push(part);
                }
            }
            let inner = match Expr::all_of(kept) {
                Some(kept) => Logical::Filter(Box::new(inner), kept),
                None => inner,
            };
            Some((inner, on))
        }
        // Sorting does not change which rows there are.
        Logical::Sort(input, _) => pull_conditions(input, args),
        other if independent(other, args) => Some((other.clone(), Vec::new())),
        _ => None,
    }
}

/// True when the expression uses columns that the input does not have.
fn reads_outer(expr: &Expr, input: &Logical) -> bool {
    let ids = output(input);
    let mut outer = false;
    expr.for_each_column(&mut |id| outer |= !ids.contains(&id));
    outer
}

/// True when no slot of the arguments is read anywhere below. Only shapes that are cheap to check pass.
fn independent(plan: &Logical, args: &[(u32, Expr)]) -> bool {
    match plan {
        Logical::OneRow | Logical::Scan { .. } | Logical::CteScan { .. } => true,
        Logical::Secure(input) => independent(input, args),
        Logical::Filter(input, e) => !reads_slots(e, args) && independent(input, args),
        Logical::Project(input, columns) => {
            columns.iter().all(|(_, e)| !reads_slots(e, args)) && independent(input, args)
        }
        Logical::Join { left, right, on, lateral, .. } => {
            on.iter().all(|e| !reads_slots(e, args))
                && lateral.iter().all(|(_, e)| !reads_slots(e, args))
                && independent(left, args)
                && independent(right, args)
        }
        Logical::Values { rows, .. } => rows.iter().flatten().all(|e| !reads_slots(e, args)),
        Logical::FunctionScan { args: function_args, .. } => {
            function_args.iter().all(|e| !reads_slots(e, args))
        }
        _ => false,
    }
}

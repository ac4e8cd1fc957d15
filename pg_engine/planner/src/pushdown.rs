//! Moves conditions as far down as they may go.

use alloc::{boxed::Box, vec::Vec};

use pg_plan::{
    expr::{ColumnId, Expr},
    logical::{Column, JoinKind, Logical, SetOp},
};

use crate::{
    columns::{ColumnSet, substitute},
    disjunction::restriction,
};

/// The columns that an operator yields.
pub(crate) fn outputs(node: &Logical) -> Vec<Column> {
    match node {
        Logical::OneRow => Vec::new(),
        Logical::Scan { columns, .. } => columns.iter().map(|(c, _)| c.clone()).collect(),
        Logical::FunctionScan { columns, .. }
        | Logical::Values { columns, .. }
        | Logical::Recursive { columns, .. }
        | Logical::Set { columns, .. }
        | Logical::CteScan { columns, .. } => columns.clone(),
        Logical::Filter(input, _)
        | Logical::Secure(input)
        | Logical::Distinct(input, _)
        | Logical::Sort(input, _)
        | Logical::Limit { input, .. }
        | Logical::LockRows { input, .. } => outputs(input),
        Logical::Project(_, columns) => columns.iter().map(|(c, _)| c.clone()).collect(),
        Logical::ProjectSet(input, columns) => {
            let mut all = outputs(input);
            all.extend(columns.iter().map(|(c, _)| c.clone()));
            all
        }
        Logical::Window { input, calls, .. } => {
            let mut all = outputs(input);
            all.extend(calls.iter().map(|(c, _)| c.clone()));
            all
        }
        Logical::Join { kind, left, right, .. } => {
            let mut all = outputs(left);
            if !matches!(kind, JoinKind::Semi | JoinKind::Anti) {
                all.extend(outputs(right));
            }
            all
        }
        Logical::Aggregate { groups, aggregates, .. } => {
            let groups = groups.iter().map(|(c, _)| c.clone());
            groups.chain(aggregates.iter().map(|(c, _)| c.clone())).collect()
        }
    }
}

/// The columns that an operator yields.
pub(crate) fn output(node: &Logical) -> Vec<ColumnId> {
    match node {
        Logical::OneRow => Vec::new(),
        Logical::Scan { columns, .. } => columns.iter().map(|(c, _)| c.id).collect(),
        Logical::FunctionScan { columns, .. }
        | Logical::Values { columns, .. }
        | Logical::Recursive { columns, .. }
        | Logical::Set { columns, .. }
        | Logical::CteScan { columns, .. } => columns.iter().map(|c| c.id).collect(),
        Logical::Filter(input, _)
        | Logical::Secure(input)
        | Logical::Distinct(input, _)
        | Logical::Sort(input, _)
        | Logical::Limit { input, .. }
        | Logical::LockRows { input, .. } => output(input),
        Logical::Project(_, columns) => columns.iter().map(|(c, _)| c.id).collect(),
        Logical::ProjectSet(input, columns) => {
            let mut ids = output(input);
            ids.extend(columns.iter().map(|(c, _)| c.id));
            ids
        }
        Logical::Window { input, calls, .. } => {
            let mut ids = output(input);
            ids.extend(calls.iter().map(|(c, _)| c.id));
            ids
        }
        Logical::Join { kind, left, right, .. } => {
            let mut ids = output(left);
            if !matches!(kind, JoinKind::Semi | JoinKind::Anti) {
                ids.extend(output(right));
            }
            ids
        }
        Logical::Aggregate { groups, aggregates, .. } => {
            groups.iter().map(|(c, _)| c.id).chain(aggregates.iter().map(|(c, _)| c.id)).collect()
        }
    }
}

/// Puts a filter over a node unless there is nothing to filter by.
pub(crate) fn filtered(node: Logical, conditions: Vec<Expr>) -> Logical {
    match Expr::all_of(conditions) {
        Some(condition) => Logical::Filter(Box::new(node), condition),
        None => node,
    }
}

/// The tree with `conditions` (conjuncts over its output) and its own filters pushed down.
pub(crate) fn push_down(node: Logical, conditions: Vec<Expr>) -> Logical {
    match node {
        Logical::Filter(input, condition) => {
            // What is further down is asked first: it may keep those above from rows that they fail for.
            let mut all = condition.conjuncts();
            all.extend(conditions);
            push_down(*input, all)
        }
        Logical::Secure(input) => {
            let (below, above): (Vec<_>, Vec<_>) = conditions.into_iter().partition(is_leakproof);
            filtered(Logical::Secure(Box::new(push_down(*input, below))), above)
        }
        Logical::Project(input, columns) => push_project(*input, columns, conditions),
        Logical::Join { kind, left, right, on, lateral } => {
            push_join(kind, *left, *right, on, lateral, conditions)
        }
        Logical::Aggregate { input, groups, aggregates, seeds } => {
            let keys = |id: ColumnId| groups.iter().find(|(c, _)| c.id == id).map(|(_, e)| e.clone());
            let key_ids = ColumnSet::of(groups.iter().map(|(c, _)| c.id));
            // Without groups there is always one row: a condition above must not remove input instead.
            let fixed = groups.is_empty() || !seeds.is_empty();
            let movable = |e: &Expr| !fixed && reads_any(e) && key_ids.covers(e) && !e.volatile();
            let (mut below, above): (Vec<_>, Vec<_>) = conditions.into_iter().partition(movable);
            below.iter_mut().for_each(|e| substitute(e, &keys));
            let input = Box::new(push_down(*input, below));
            filtered(Logical::Aggregate { input, groups, aggregates, seeds }, above)
        }
        Logical::Sort(input, keys) => Logical::Sort(Box::new(push_down(*input, conditions)), keys),
        Logical::Distinct(input, None) => {
            let (below, above): (Vec<_>, Vec<_>) = conditions.into_iter().partition(|e| !e.volatile());
            filtered(Logical::Distinct(Box::new(push_down(*input, below)), None), above)
        }
        Logical::Distinct(input, on) => {
            filtered(Logical::Distinct(Box::new(push_down(*input, Vec::new())), on), conditions)
        }
        Logical::ProjectSet(input, columns) => {
            let ids = ColumnSet::of(output(&input));
            let (below, above): (Vec<_>, Vec<_>) =
                conditions.into_iter().partition(|e| ids.covers(e) && reads_any(e) && !e.volatile());
            filtered(Logical::ProjectSet(Box::new(push_down(*input, below)), columns), above)
        }
        Logical::Window { input, spec, calls } => {
            // Only whole partitions may be left out.
            let keys = ColumnSet::of(spec.partition.iter().filter_map(crate::estimate::column_of));
            let movable = |e: &Expr| reads_any(e) && keys.covers(e) && !e.volatile();
            let (below, above): (Vec<_>, Vec<_>) = conditions.into_iter().partition(movable);
            let input = Box::new(push_down(*input, below));
            filtered(Logical::Window { input, spec, calls }, above)
        }
        Logical::Limit { input, limit, offset, ties } => {
            let input = Box::new(push_down(*input, Vec::new()));
            filtered(Logical::Limit { input, limit, offset, ties }, conditions)
        }
        Logical::LockRows { input, tables, wait } => {
            let input = Box::new(push_down(*input, conditions));
            Logical::LockRows { input, tables, wait }
        }
        Logical::Set { op, all, inputs, columns } => push_set(op, all, inputs, columns, conditions),
        Logical::Recursive { work, all, left, right, columns } => {
            let left = Box::new(push_down(*left, Vec::new()));
            let right = Box::new(push_down(*right, Vec::new()));
            filtered(Logical::Recursive { work, all, left, right, columns }, conditions)
        }
        leaf => filtered(leaf, conditions),
    }
}

/// Tells nothing about the rows it sees but whether they satisfy it.
fn is_leakproof(e: &Expr) -> bool {
    !e.any(&mut |e| match e {
        Expr::Call(c) => !pg_functions::is_leakproof(c.function.oid),
        Expr::Distinct(f, ..) | Expr::NullIf(f, _) | Expr::ScalarArray(f, ..) => {
            !pg_functions::is_leakproof(f.oid)
        }
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
        | Expr::Relabel(..)
        | Expr::CurrentOf(_) => false,
        _ => true,
    })
}

fn reads_any(expr: &Expr) -> bool {
    let mut any = false;
    expr.for_each_column(&mut |_| any = true);
    any
}

fn push_project(
    input: Logical,
    columns: Vec<(pg_plan::logical::Column, Expr)>,
    conditions: Vec<Expr>,
) -> Logical {
    let definition = |id: ColumnId| columns.iter().find(|(c, _)| c.id == id).map(|(_, e)| e.clone());
    let movable = |e: &Expr| {
        let mut ok = !e.volatile();
        e.for_each_column(&mut |id| {
            // A subquery must not be computed twice; a volatile value must stay one value.
            ok = ok && definition(id).is_some_and(|d| !d.volatile() && !d.has_subplan());
        });
        ok
    };
    let (mut below, above): (Vec<_>, Vec<_>) = conditions.into_iter().partition(movable);
    below.iter_mut().for_each(|e| substitute(e, &definition));
    filtered(Logical::Project(Box::new(push_down(input, below)), columns), above)
}

/// Rows of either side that the conditions do not hold for are no rows of UNION and INTERSECT. EXCEPT keeps them: errors would come
/// for rows that it takes away.
fn push_set(
    op: SetOp,
    all: bool,
    inputs: Vec<Logical>,
    columns: Vec<Column>,
    conditions: Vec<Expr>,
) -> Logical {
    let movable = |e: &Expr| op != SetOp::Except && reads_any(e) && !e.volatile() && !e.has_subplan();
    let (below, above): (Vec<_>, Vec<_>) = conditions.into_iter().partition(movable);
    let into = |input: Logical| {
        let own = outputs(&input);
        let same = |id: ColumnId| {
            let (_, c) = columns.iter().zip(&own).find(|(c, _)| c.id == id)?;
            Some(Expr::Column(c.id, c.ty))
        };
        let mut conditions = below.clone();
        conditions.iter_mut().for_each(|e| substitute(e, &same));
        push_down(input, conditions)
    };
    let inputs = inputs.into_iter().map(into).collect();
    filtered(Logical::Set { op, all, inputs, columns }, above)
}

fn push_join(
    kind: JoinKind,
    left: Logical,
    right: Logical,
    on: Option<Expr>,
    lateral: Vec<(u32, Expr)>,
    conditions: Vec<Expr>,
) -> Logical {
    let left_ids = ColumnSet::of(output(&left));
    let right_ids = ColumnSet::of(output(&right));
    let on: Vec<Expr> = on.map(Expr::conjuncts).unwrap_or_default();
    let (mut to_left, mut to_right, mut stay, mut above) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for condition in on {
        let one_sided = reads_any(&condition) && !condition.volatile();
        let left_may = matches!(kind, JoinKind::Inner | JoinKind::Right | JoinKind::Semi);
        let right_may = matches!(kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti);
        if one_sided && left_may && left_ids.covers(&condition) {
            to_left.push(condition);
        } else if one_sided && right_may && right_ids.covers(&condition) {
            to_right.push(condition);
        } else {
            if kind == JoinKind::Inner && lateral.is_empty() {
                to_left.extend(restriction(&condition, &left_ids));
                to_right.extend(restriction(&condition, &right_ids));
            }
            stay.push(condition);
        }
    }
    for condition in conditions {
        let one_sided = reads_any(&condition) && !condition.volatile();
        let left_keeps = !matches!(kind, JoinKind::Right | JoinKind::Full);
        let right_keeps = matches!(kind, JoinKind::Inner | JoinKind::Right);
        if one_sided && left_keeps && left_ids.covers(&condition) {
            to_left.push(condition);
        } else if one_sided && right_keeps && right_ids.covers(&condition) {
            to_right.push(condition);
        } else if kind == JoinKind::Inner && !condition.volatile() {
            to_left.extend(restriction(&condition, &left_ids));
            to_right.extend(restriction(&condition, &right_ids));
            stay.push(condition);
        } else {
            above.push(condition);
        }
    }
    let left = Box::new(push_down(left, to_left));
    let right = Box::new(push_down(right, to_right));
    filtered(Logical::Join { kind, left, right, on: Expr::all_of(stay), lateral }, above)
}

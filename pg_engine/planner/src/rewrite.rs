//! Rewrites of the whole tree before conditions are pushed down: constants folded, subqueries of WHERE joined, outer
//! joins whose NULL-extended rows a condition above would discard made inner.

use alloc::{boxed::Box, vec::Vec};

use pg_plan::{
    expr::Expr,
    logical::{JoinKind, Logical},
};

use crate::{
    columns::ColumnSet,
    disjunction, fold,
    pushdown::{output, outputs},
    unnest::unnest,
};

/// The tree, rewritten.
pub(crate) fn rewrite(mut node: Logical) -> Logical {
    fold_in(&mut node);
    match node {
        Logical::Filter(input, condition) => filter(*input, condition),
        Logical::Secure(input) => Logical::Secure(below(input)),
        Logical::Project(input, columns) => Logical::Project(below(input), columns),
        Logical::ProjectSet(input, columns) => Logical::ProjectSet(below(input), columns),
        Logical::Join { kind, left, right, on, lateral } => {
            let on = on.and_then(|e| Expr::all_of(disjunction::factored(e)));
            Logical::Join { kind, left: below(left), right: below(right), on, lateral }
        }
        Logical::Aggregate { input, groups, aggregates, seeds } => {
            Logical::Aggregate { input: below(input), groups, aggregates, seeds }
        }
        Logical::Window { input, spec, calls } => Logical::Window { input: below(input), spec, calls },
        Logical::Distinct(input, on) => Logical::Distinct(exactly_below(input), on),
        Logical::Sort(input, keys) => Logical::Sort(below(input), keys),
        Logical::Limit { input, limit, offset, ties } => {
            Logical::Limit { input: below(input), limit, offset, ties }
        }
        Logical::Set { op, all, left, right, columns } => {
            Logical::Set { op, all, left: exactly_below(left), right: exactly_below(right), columns }
        }
        Logical::Recursive { work, all, left, right, columns } => {
            Logical::Recursive { work, all, left: exactly_below(left), right: exactly_below(right), columns }
        }
        Logical::LockRows { input, tables, wait } => Logical::LockRows { input: below(input), tables, wait },
        leaf => leaf,
    }
}

fn below(mut input: Box<Logical>) -> Box<Logical> {
    *input = rewrite(core::mem::replace(&mut *input, Logical::OneRow));
    input
}

/// As [`below`], for operators that look at all columns of their input: joins that were made may have added some.
fn exactly_below(input: Box<Logical>) -> Box<Logical> {
    let columns = outputs(&input);
    let node = below(input);
    if output(&node).iter().eq(columns.iter().map(|c| &c.id)) {
        return node;
    }
    let same = columns.into_iter().map(|c| {
        let e = Expr::Column(c.id, c.ty);
        (c, e)
    });
    let same = same.collect();
    Box::new(Logical::Project(node, same))
}

/// Folds this operator's own expressions.
fn fold_in(node: &mut Logical) {
    let each = |e: &mut Expr| fold::fold(e);
    match node {
        Logical::Filter(_, e) => each(e),
        Logical::Project(_, columns) | Logical::ProjectSet(_, columns) => {
            columns.iter_mut().for_each(|(_, e)| each(e));
        }
        Logical::Join { on, .. } => on.iter_mut().for_each(each),
        Logical::Aggregate { groups, aggregates, .. } => {
            groups.iter_mut().for_each(|(_, e)| each(e));
            for (_, call) in aggregates {
                call.args.iter_mut().for_each(each);
                call.filter.iter_mut().for_each(each);
            }
        }
        Logical::Window { spec, calls, .. } => {
            spec.for_each_mut(&mut |e| each(e));
            for (_, call) in calls {
                call.args.iter_mut().chain(&mut call.filter).for_each(each);
            }
        }
        Logical::Limit { limit, offset, ties, .. } => {
            limit.iter_mut().chain(offset).chain(ties).for_each(each);
        }
        Logical::Values { rows, .. } => rows.iter_mut().flatten().for_each(each),
        Logical::FunctionScan { args, .. } => args.iter_mut().for_each(each),
        Logical::OneRow
        | Logical::Scan { .. }
        | Logical::CteScan { .. }
        | Logical::Secure(_)
        | Logical::Distinct(..)
        | Logical::Sort(..)
        | Logical::Set { .. }
        | Logical::Recursive { .. }
        | Logical::LockRows { .. } => {}
    }
}

fn filter(input: Logical, condition: Expr) -> Logical {
    let (mut joins, mut conditions) = (Vec::new(), Vec::new());
    for part in disjunction::factored(condition) {
        if fold::always(&part) {
            continue;
        }
        match unnest(part) {
            Ok(join) => joins.push(join),
            Err(part) => conditions.push(*part),
        }
    }
    let mut node = rewrite(reduced(input, &conditions));
    if let Some(condition) = Expr::all_of(conditions) {
        node = Logical::Filter(Box::new(node), condition);
    }
    for join in joins {
        node = Logical::Join {
            kind: join.kind,
            left: Box::new(node),
            right: Box::new(rewrite(join.right)),
            on: Expr::all_of(join.on),
            lateral: Vec::new(),
        };
    }
    node
}

/// Outer joins made inner where a condition above rejects the rows they would add.
fn reduced(node: Logical, conditions: &[Expr]) -> Logical {
    let Logical::Join { kind, left, right, on, lateral } = node else { return node };
    let rejected = |side: &Logical| {
        let ids = ColumnSet::of(output(side));
        conditions.iter().any(|c| rejects_null(c, &ids))
    };
    let kind = match kind {
        JoinKind::Left if rejected(&right) => JoinKind::Inner,
        JoinKind::Right if rejected(&left) => JoinKind::Inner,
        JoinKind::Full => match (rejected(&left), rejected(&right)) {
            (true, true) => JoinKind::Inner,
            (true, false) => JoinKind::Left,
            (false, true) => JoinKind::Right,
            (false, false) => JoinKind::Full,
        },
        other => other,
    };
    // Rows that survive the filter come from these sides unextended, so it rejects on their own joins too.
    let keeps_left = matches!(kind, JoinKind::Inner | JoinKind::Left);
    let keeps_right = matches!(kind, JoinKind::Inner | JoinKind::Right);
    let left = if keeps_left { Box::new(reduced(*left, conditions)) } else { left };
    let right = if keeps_right { Box::new(reduced(*right, conditions)) } else { right };
    Logical::Join { kind, left, right, on, lateral }
}

/// True when a condition cannot hold for a row in which all these columns are NULL.
fn rejects_null(e: &Expr, ids: &ColumnSet) -> bool {
    match e {
        Expr::Call(call) if call.function.strict => call.args.iter().any(|a| null_of(a, ids)),
        Expr::IsNull(inner, false) => null_of(inner, ids),
        Expr::ScalarArray(function, pair, true) => function.strict && null_of(&pair[0], ids),
        Expr::And(parts) => parts.iter().any(|p| rejects_null(p, ids)),
        Expr::Or(parts) => parts.iter().all(|p| rejects_null(p, ids)),
        Expr::Column(..) => null_of(e, ids),
        _ => false,
    }
}

/// True when an expression is NULL whenever all these columns are.
fn null_of(e: &Expr, ids: &ColumnSet) -> bool {
    match e {
        Expr::Column(id, _) => ids.contains(*id),
        Expr::Relabel(inner, _) | Expr::CoerceViaIo(inner, _) => null_of(inner, ids),
        Expr::Call(call) if call.function.strict => call.args.iter().any(|a| null_of(a, ids)),
        _ => false,
    }
}

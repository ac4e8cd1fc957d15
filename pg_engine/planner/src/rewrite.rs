//! Rewrites of the whole tree before conditions are pushed down: constants folded, subqueries of WHERE joined, outer
//! joins whose NULL-extended rows a condition above would discard made inner.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use pg_plan::{
    expr::{ColumnId, Expr},
    logical::{JoinKind, Logical},
};
use pg_types::{SqlError, Value};

use crate::{
    columns::{ColumnSet, substitute},
    disjunction, fold, late,
    pushdown::{output, outputs},
    unnest::{flattened, unnest},
};

/// The tree, rewritten.
pub(crate) fn rewrite(mut node: Logical, folding: &mut Folding) -> Logical {
    fold_in(&mut node, folding);
    match node {
        Logical::Filter(input, condition) => filter(*input, condition, folding),
        Logical::Secure(input) => Logical::Secure(below(input, folding)),
        Logical::Project(input, columns) => Logical::Project(below(input, folding), columns),
        Logical::ProjectSet(input, columns) => Logical::ProjectSet(below(input, folding), columns),
        Logical::Join { kind, left, right, on, lateral } => {
            let (right, on, lateral) = flattened(kind, right, on, lateral);
            let on = on.and_then(|e| Expr::all_of(disjunction::factored(e)));
            late::join(kind, below(left, folding), below(right, folding), on, lateral)
        }
        Logical::Aggregate { input, groups, aggregates, seeds } => {
            Logical::Aggregate { input: below(input, folding), groups, aggregates, seeds }
        }
        Logical::Window { input, spec, calls } => {
            Logical::Window { input: below(input, folding), spec, calls }
        }
        Logical::Distinct(input, on) => Logical::Distinct(exactly_below(input, folding), on),
        Logical::Sort(input, keys) => Logical::Sort(below(input, folding), keys),
        Logical::Limit { input, limit, offset, ties } => {
            Logical::Limit { input: below(input, folding), limit, offset, ties }
        }
        Logical::Set { op, all, inputs, columns } => {
            let inputs = inputs.into_iter().map(|i| *exactly_below(Box::new(i), folding)).collect();
            Logical::Set { op, all, inputs, columns }
        }
        Logical::Recursive { work, all, left, right, columns } => Logical::Recursive {
            work,
            all,
            left: exactly_below(left, folding),
            right: exactly_below(right, folding),
            columns,
        },
        Logical::LockRows { input, tables, wait } => {
            Logical::LockRows { input: below(input, folding), tables, wait }
        }
        leaf => leaf,
    }
}

fn below(mut input: Box<Logical>, folding: &mut Folding) -> Box<Logical> {
    *input = rewrite(core::mem::replace(&mut *input, Logical::OneRow), folding);
    input
}

/// As [`below`], for operators that look at all columns of their input: joins that were made may have added some.
fn exactly_below(input: Box<Logical>, folding: &mut Folding) -> Box<Logical> {
    let columns = outputs(&input);
    columns.iter().for_each(|c| folding.used.insert(c.id));
    let node = below(input, folding);
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

/// What folding a statement's expressions finds out on its way down.
#[derive(Default)]
pub(crate) struct Folding {
    /// Columns that someone above reads: what computes others never runs, so that its errors are nobody's.
    pub(crate) used: ColumnSet,
    /// The first error.
    pub(crate) error: Option<SqlError>,
    /// Values that parameters have, if they are known.
    values: Arc<[Value]>,
}

impl Folding {
    /// Where these columns are read.
    pub(crate) fn of(ids: impl IntoIterator<Item = ColumnId>, values: &Arc<[Value]>) -> Self {
        Self { used: ColumnSet::of(ids), error: None, values: values.clone() }
    }

    fn each(&mut self, e: &mut Expr) {
        self.put_values(e);
        if let Err(error) = fold::fold(e) {
            self.error.get_or_insert(error);
        }
        self.used.add(e);
    }

    /// Puts the values of parameters in their places.
    fn put_values(&self, e: &mut Expr) {
        if !self.values.is_empty() {
            put_values(e, &self.values);
        }
    }

    /// The expression behind a column.
    fn column(&mut self, id: ColumnId, e: &mut Expr) {
        if self.used.contains(id) {
            self.each(e);
        } else {
            // Nobody reads it.
            self.put_values(e);
            drop(fold::fold(e));
        }
    }
}

/// Columns of an input that have one value in all its rows.
fn known(node: &Logical, found: &mut Vec<(ColumnId, Expr)>) {
    match node {
        Logical::Values { rows, columns } => {
            if let [row] = rows.as_slice() {
                for (c, e) in columns.iter().zip(row) {
                    note(c.id, e, &[], found);
                }
            }
        }
        Logical::Project(input, columns) => {
            let plain = matches!(
                **input,
                Logical::OneRow
                    | Logical::Scan { .. }
                    | Logical::FunctionScan { .. }
                    | Logical::Values { .. }
                    | Logical::Filter(..)
                    | Logical::Project(..)
                    | Logical::Join { .. }
            );
            if plain {
                let mut below = Vec::new();
                known(input, &mut below);
                columns.iter().for_each(|(c, e)| note(c.id, e, &below, found));
            }
        }
        Logical::Filter(input, _) => known(input, found),
        Logical::Join { kind, left, right, .. } => {
            if !matches!(kind, JoinKind::Right | JoinKind::Full) {
                known(left, found);
            }
            if *kind == JoinKind::Inner {
                known(right, found);
            }
        }
        _ => {}
    }
}

/// Notes a column if its expression is a constant.
fn note(id: ColumnId, e: &Expr, below: &[(ColumnId, Expr)], found: &mut Vec<(ColumnId, Expr)>) {
    let mut e = e.clone();
    fill(&mut e, below);
    if fold::fold(&mut e).is_ok() && matches!(e, Expr::Const(..)) {
        found.push((id, e));
    }
}

fn fill(e: &mut Expr, values: &[(ColumnId, Expr)]) {
    if !values.is_empty() {
        substitute(e, &|id| values.iter().find(|v| v.0 == id).map(|v| v.1.clone()));
    }
}

/// Folds this operator's own expressions, columns that have one value being that value.
fn fold_in(node: &mut Logical, folding: &mut Folding) {
    match node {
        Logical::Filter(input, e) => {
            let mut values = Vec::new();
            known(input, &mut values);
            fill(e, &values);
            folding.each(e);
        }
        Logical::Project(input, columns) | Logical::ProjectSet(input, columns) => {
            let mut values = Vec::new();
            known(input, &mut values);
            for (c, e) in columns {
                fill(e, &values);
                folding.column(c.id, e);
            }
        }
        Logical::Join { on, lateral, .. } => {
            on.iter_mut().for_each(|e| folding.each(e));
            lateral.iter().for_each(|(_, e)| folding.used.add(e));
        }
        Logical::Aggregate { groups, aggregates, .. } => {
            groups.iter_mut().for_each(|(_, e)| folding.each(e));
            for (c, call) in aggregates {
                call.args.iter_mut().chain(&mut call.filter).for_each(|e| folding.column(c.id, e));
                call.order_by.iter().for_each(|k| folding.used.add(&k.expr));
            }
        }
        Logical::Window { spec, calls, .. } => {
            spec.for_each_mut(&mut |e| folding.each(e));
            for (c, call) in calls {
                call.args.iter_mut().chain(&mut call.filter).for_each(|e| folding.column(c.id, e));
            }
        }
        Logical::Limit { limit, offset, ties, .. } => {
            limit.iter_mut().chain(offset).chain(ties).for_each(|e| folding.each(e));
        }
        Logical::Values { rows, columns } => {
            for row in rows {
                row.iter_mut().zip(&*columns).for_each(|(e, c)| folding.column(c.id, e));
            }
        }
        Logical::FunctionScan { args, .. } => args.iter_mut().for_each(|e| folding.each(e)),
        Logical::Distinct(_, on) => on.iter().flatten().for_each(|e| folding.used.add(e)),
        Logical::Sort(_, keys) => keys.iter().for_each(|k| folding.used.add(&k.expr)),
        Logical::OneRow
        | Logical::Scan { .. }
        | Logical::CteScan { .. }
        | Logical::Secure(_)
        | Logical::Set { .. }
        | Logical::Recursive { .. }
        | Logical::LockRows { .. } => {}
    }
}

fn filter(input: Logical, condition: Expr, folding: &mut Folding) -> Logical {
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
    // A query of its own, below a condition that is never true, is not looked at: its errors are nobody's.
    let unread = conditions.iter().any(|c| matches!(c, Expr::Const(Value::Bool(false) | Value::Null, _)));
    let forget = unread && is_query(&input);
    let before = if forget { folding.error.clone() } else { None };
    let mut node = rewrite(reduced(input, &conditions), folding);
    if forget {
        folding.error = before;
    }
    if let Some(condition) = Expr::all_of(conditions) {
        node = Logical::Filter(Box::new(node), condition);
    }
    for join in joins {
        join.on.iter().for_each(|e| folding.used.add(e));
        node = Logical::Join {
            kind: join.kind,
            left: Box::new(node),
            right: Box::new(rewrite(join.right, folding)),
            on: Expr::all_of(join.on),
            lateral: Vec::new(),
        };
    }
    node
}

/// Is it planned by itself, rather than as a part of the query around it?
fn is_query(node: &Logical) -> bool {
    match node {
        Logical::Distinct(..)
        | Logical::Set { .. }
        | Logical::Aggregate { .. }
        | Logical::Limit { .. }
        | Logical::Window { .. }
        | Logical::Sort(..) => true,
        Logical::Project(input, _) | Logical::Secure(input) | Logical::Filter(input, _) => is_query(input),
        _ => false,
    }
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

fn put_values(e: &mut Expr, values: &[Value]) {
    match e {
        Expr::Param(n, ty) => {
            if let Some(value) = values.get(*n as usize) {
                *e = Expr::Const(value.clone(), *ty);
            }
        }
        e => e.for_each_child_mut(&mut |e| put_values(e, values)),
    }
}

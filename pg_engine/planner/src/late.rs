//! Subqueries in the output of a subquery in FROM, computed late: above the joins that do not look at them, so that they are run for the
//! rows that come out of the joins rather than for all rows of a table.

use alloc::{boxed::Box, vec::Vec};

use pg_plan::{
    expr::Expr,
    logical::{Column, JoinKind, Logical},
};

use crate::{columns::ColumnSet, pushdown::outputs};

type Columns = Vec<(Column, Expr)>;

/// Splits a projection: what it is without the columns that hold subqueries, but with what those read, and those columns.
fn split(side: Logical, looked_at: &ColumnSet) -> (Logical, Columns) {
    let Logical::Project(input, columns) = side else { return (side, Vec::new()) };
    let late = |(c, e): &(Column, Expr)| e.has_subplan() && !e.volatile() && !looked_at.contains(c.id);
    let (late, mut kept): (Columns, Columns) = columns.into_iter().partition(late);
    let mut read = ColumnSet::default();
    late.iter().for_each(|(_, e)| read.add(e));
    let held = ColumnSet::of(kept.iter().map(|(c, _)| c.id));
    if !late.is_empty() {
        let more = outputs(&input).into_iter().filter(|c| read.contains(c.id) && !held.contains(c.id));
        kept.extend(more.map(|c| {
            let e = Expr::Column(c.id, c.ty);
            (c, e)
        }));
    }
    (Logical::Project(input, kept), late)
}

/// A join, with such columns of its sides computed above it.
pub(crate) fn join(
    kind: JoinKind,
    left: Box<Logical>,
    right: Box<Logical>,
    on: Option<Expr>,
    lateral: Vec<(u32, Expr)>,
) -> Logical {
    let computes = |side: &Logical| match side {
        Logical::Project(_, columns) => columns.iter().any(|(_, e)| e.has_subplan() && !e.volatile()),
        _ => false,
    };
    // Of a side whose rows may be NULL-extended, the values are not what would be computed above.
    let from_left = matches!(kind, JoinKind::Inner | JoinKind::Left) && computes(&left);
    let from_right = kind == JoinKind::Inner && lateral.is_empty() && computes(&right);
    if !from_left && !from_right {
        return Logical::Join { kind, left, right, on, lateral };
    }
    let mut all = outputs(&left);
    all.extend(outputs(&right));
    let mut looked_at = ColumnSet::default();
    on.iter().chain(lateral.iter().map(|(_, e)| e)).for_each(|e| looked_at.add(e));
    let (mut left, mut right, mut late) = (*left, *right, Vec::new());
    if from_left {
        let (side, columns) = split(left, &looked_at);
        (left, late) = (side, columns);
    }
    if from_right {
        let (side, columns) = split(right, &looked_at);
        right = side;
        late.extend(columns);
    }
    let joined = Logical::Join { kind, left: Box::new(left), right: Box::new(right), on, lateral };
    if late.is_empty() {
        return joined;
    }
    let columns = all.into_iter().map(|c| {
        let computed = late.iter().position(|(l, _)| l.id == c.id).map(|n| late.swap_remove(n).1);
        let e = computed.unwrap_or(Expr::Column(c.id, c.ty));
        (c, e)
    });
    let columns = columns.collect();
    Logical::Project(Box::new(joined), columns)
}

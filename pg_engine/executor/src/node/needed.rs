//! Which columns of an operator's output someone looks at. Operators yield columns by position: what nobody looks at is still there, but
//! need not hold anything. Joins do not gather such columns, and scans let go of those that only their own conditions read.

use alloc::{sync::Arc, vec::Vec};

use pg_plan::{
    expr::Expr,
    physical::{Node, Physical},
};
use pg_types::Vector;

/// Is there any use in knowing it of this operator?
pub(super) fn matters(plan: &Physical) -> bool {
    match &plan.node {
        Node::HashJoin { .. } | Node::MergeJoin { .. } | Node::NestedLoop { .. } => true,
        Node::SeqScan { filter, .. } => filter.is_some(),
        Node::Filter(p, _) => matters(p),
        _ => false,
    }
}

/// Adds the columns that an expression reads.
pub(super) fn mark(e: &Expr, needed: &mut [bool]) {
    e.for_each_column(&mut |n| {
        if let Some(needed) = needed.get_mut(n as usize) {
            *needed = true;
        }
    });
}

/// What a join looks at of its sides when `needed` is looked at of what it yields, and these expressions over its left side.
pub(super) fn below_join<'e>(
    needed: Option<&[bool]>,
    left: &Physical,
    right: &Physical,
    on: Option<&Expr>,
    over_left: impl Iterator<Item = &'e Expr>,
) -> (Vec<bool>, Vec<bool>) {
    let width = left.types.len();
    let mut all = alloc::vec![needed.is_none(); width + right.types.len()];
    // A semi or anti join yields the left columns only.
    for (to, from) in all.iter_mut().zip(needed.unwrap_or_default()) {
        *to = *from;
    }
    if let Some(on) = on {
        mark(on, &mut all);
    }
    let below_right = all.split_off(width.min(all.len()));
    over_left.for_each(|e| mark(e, &mut all));
    (all, below_right)
}

/// Columns, with nothing in those that nobody looks at.
pub(super) fn only(columns: &[Arc<Vector>], needed: Option<&[bool]>) -> Vec<Arc<Vector>> {
    let Some(needed) = needed else { return columns.to_vec() };
    let keep = |(n, c): (usize, &Arc<Vector>)| {
        if needed.get(n).copied().unwrap_or(true) { Arc::clone(c) } else { Arc::new(Vector::nulls(c.ty)) }
    };
    columns.iter().enumerate().map(keep).collect()
}

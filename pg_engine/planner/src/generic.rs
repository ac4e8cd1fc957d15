//! Whether a plan would be the same for any values of its parameters.

use pg_plan::{
    expr::Expr,
    physical::{IndexRange, Node, Physical},
};

/// Every table is read by a point lookup in a unique index, if at all: then no value makes another plan better.
pub(crate) fn suits_any_values(plan: &Physical) -> bool {
    match &plan.node {
        Node::OneRow => true,
        Node::Values(rows) => rows.iter().flatten().all(plain),
        Node::IndexScan { index, range, filter, .. } => {
            index.unique
                && !index.deferrable
                && range.equal.len() == index.key_count
                && bounds_plain(range)
                && maybe_plain(filter)
        }
        Node::Filter(input, e) => suits_any_values(input) && plain(e),
        Node::Project(input, list) => suits_any_values(input) && list.iter().all(plain),
        Node::Sort { input, limit, .. } => suits_any_values(input) && maybe_plain(limit),
        Node::Limit { input, limit, offset, .. } => {
            suits_any_values(input) && maybe_plain(limit) && maybe_plain(offset)
        }
        Node::NestedLoop { left, right, on, .. } => {
            suits_any_values(left) && suits_any_values(right) && maybe_plain(on)
        }
        Node::LockRows { input, .. } => suits_any_values(input),
        Node::Append(inputs) => inputs.iter().all(suits_any_values),
        Node::Insert(insert) => suits_any_values(&insert.source),
        Node::Update(update) => {
            suits_any_values(&update.source) && update.assignments.iter().all(|(_, e)| plain(e))
        }
        Node::Delete(delete) => suits_any_values(&delete.source),
        _ => false,
    }
}

fn plain(e: &Expr) -> bool {
    !e.has_subplan()
}

fn maybe_plain(e: &Option<Expr>) -> bool {
    e.as_ref().is_none_or(plain)
}

fn bounds_plain(range: &IndexRange) -> bool {
    range.equal.iter().all(plain)
}

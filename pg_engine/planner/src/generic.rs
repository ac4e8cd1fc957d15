//! Whether a plan would be the same for any values of its parameters.

use pg_functions::{FunctionKind, Volatility};
use pg_plan::{
    expr::{Call, Expr},
    physical::{IndexRange, Node, Physical},
};
use pg_types::oid;

/// Every table is read by a point lookup in a unique index, if at all: then no value makes another plan better. Nor is anything
/// computed of parameters alone that PostgreSQL would compute while planning, were they constants: that decides about errors.
pub(crate) fn suits_any_values(plan: &Physical) -> bool {
    suits(plan, plain)
}

fn suits(plan: &Physical, plain: fn(&Expr) -> bool) -> bool {
    let suits_any_values = |p: &Physical| suits(p, plain);
    let maybe_plain = |e: &Option<Expr>| e.as_ref().is_none_or(plain);
    match &plan.node {
        Node::OneRow => true,
        // PostgreSQL takes the values of a single row for constants of the query around.
        Node::Values(rows) => rows.iter().flatten().all(|e| plain(e) && !has_parameter(e)),
        Node::IndexScan { index, range, filter, .. } => {
            index.unique
                && !index.deferrable
                && range.equal.len() == index.key_count
                && bounds_plain(range)
                && maybe_plain(filter)
        }
        Node::Filter(input, e) => suits_any_values(input) && plain(e),
        Node::Project(input, list) => {
            suits_any_values(input) && list.iter().all(plain) && !computes_parameters(input)
        }
        Node::Sort { input, limit, .. } => suits_any_values(input) && maybe_plain(limit),
        Node::Limit { input, limit, offset, .. } => {
            suits_any_values(input) && maybe_plain(limit) && maybe_plain(offset)
        }
        Node::NestedLoop { left, right, on, .. } => {
            suits_any_values(left) && suits_any_values(right) && maybe_plain(on)
        }
        Node::LockRows { input, .. } => suits_any_values(input),
        Node::Append(inputs) | Node::MergeAppend { inputs, .. } => inputs.iter().all(suits_any_values),
        Node::Insert(insert) => {
            let update = insert.on_conflict.iter().flat_map(|c| &c.update);
            let update = update.flat_map(|(set, condition)| set.iter().map(|(_, e)| e).chain(condition));
            let source = if always_one_row(&insert.source) {
                stored_as_given(&insert.source)
            } else {
                suits_any_values(&insert.source)
            };
            source && update.into_iter().all(plain)
        }
        Node::Update(update) => {
            suits_any_values(&update.source) && update.assignments.iter().all(|(_, e)| plain(e))
        }
        Node::Delete(delete) => suits_any_values(&delete.source),
        _ => false,
    }
}

/// Rows of parameters that are inserted, and what is computed of them on the way.
fn stored_as_given(plan: &Physical) -> bool {
    match &plan.node {
        Node::OneRow => true,
        Node::Values(rows) => rows.iter().flatten().all(plain_where_reached),
        Node::Project(input, list) => stored_as_given(input) && list.iter().all(plain_where_reached),
        _ => false,
    }
}

/// One row, or few, with parameters in it, below an operator that may compute with them.
fn computes_parameters(plan: &Physical) -> bool {
    match &plan.node {
        Node::Values(rows) => rows.iter().flatten().any(has_parameter),
        Node::Project(input, list) => list.iter().any(has_parameter) || computes_parameters(input),
        Node::Filter(input, _) => computes_parameters(input),
        _ => false,
    }
}

fn has_parameter(e: &Expr) -> bool {
    e.any(&mut |e| matches!(e, Expr::Param(..)))
}

/// A row that is always there: what is computed for it is always computed.
fn always_one_row(plan: &Physical) -> bool {
    match &plan.node {
        Node::OneRow => true,
        Node::Values(rows) => !rows.is_empty(),
        Node::Project(input, _) => always_one_row(input),
        _ => false,
    }
}

/// Is there something in it that is computed of parameters alone?
pub(crate) fn computed(e: &Expr) -> bool {
    e.any(&mut computed_of_parameters)
}

fn plain(e: &Expr) -> bool {
    !e.has_subplan() && !computed(e)
}

/// Plain, if it is computed for certain: errors come in any case.
fn plain_where_reached(e: &Expr) -> bool {
    let decides = |e: &Expr| matches!(e, Expr::Case(_) | Expr::Coalesce(..) | Expr::And(_) | Expr::Or(_));
    !e.has_subplan() && !e.any(&mut |e| decides(e) && e.any(&mut computed_of_parameters))
}

/// Would it be a constant if parameters were, after a computation that may fail?
fn computed_of_parameters(e: &Expr) -> bool {
    let computes = match e {
        Expr::Call(call) => call.function.volatility == Volatility::Immutable && !widens(call),
        Expr::CoerceViaIo(..) => true,
        _ => false,
    };
    computes && of_parameters(e) && has_parameter(e)
}

fn of_parameters(e: &Expr) -> bool {
    match e {
        Expr::Const(..) | Expr::Param(..) => true,
        Expr::Relabel(inner, _) | Expr::CoerceViaIo(inner, _) => of_parameters(inner),
        Expr::Call(call) => {
            call.function.volatility == Volatility::Immutable
                && call.function.kind == FunctionKind::Scalar
                && call.args.iter().all(of_parameters)
        }
        _ => false,
    }
}

/// A cast of an integer to a wider type: it cannot fail.
fn widens(call: &Call) -> bool {
    matches!(call.function.name, "int4" | "int8" | "numeric" | "float8")
        && match call.function.args {
            [from] => {
                matches!(*from, oid::INT2 | oid::INT4) || *from == oid::INT8 && call.function.name != "int4"
            }
            _ => false,
        }
}

fn bounds_plain(range: &IndexRange) -> bool {
    range.equal.iter().all(plain)
}

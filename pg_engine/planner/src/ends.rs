//! The ends of an order: `min(x)` and `max(x)` over all rows look at one row where an index has them in the order of `x`.
//!
//! An aggregate becomes one over the first row of `WHERE x IS NOT NULL ORDER BY x LIMIT 1`; several become a row each, side
//! by side. Whether that is cheaper than reading everything once is decided by the estimates.

use alloc::{boxed::Box, vec::Vec};

use pg_catalog::{IndexMethod, RelationKind};
use pg_plan::{
    definition::Aggregated,
    expr::Expr,
    logical::{AggregateCall, Column, JoinKind, Logical, SetOp, SortKey},
    physical::{Estimate, Node, Physical},
};
use pg_types::{Result, SqlType, Value, oid};

use crate::{
    build::{Planner, Sub},
    columns::ColumnSet,
    pushdown::push_down,
};

/// Most aggregates that are looked for one by one.
const MOST: usize = 8;

/// How much cheaper the ends must be: where the first row that passes a filter lies is a guess, reading all rows is none.
const RISK: f64 = 2.0;

/// Aggregates, each over the one row that decides it; `None`: rows cannot be had in an order, or an aggregate needs more than one.
pub(crate) fn ends(
    input: &Logical,
    aggregates: &[(Column, AggregateCall)],
) -> Option<Vec<(Column, AggregateCall, Logical)>> {
    if aggregates.is_empty() || aggregates.len() > MOST || !may_be_ordered(input) {
        return None;
    }
    let one = |(column, call): &(Column, AggregateCall)| {
        let descending = match &call.function {
            Aggregated::Builtin(f) if f.name == "max" => true,
            Aggregated::Builtin(f) if f.name == "min" => false,
            _ => return None,
        };
        let [arg] = call.args.as_slice() else { return None };
        if call.filter.is_some() || !call.order_by.is_empty() {
            return None;
        }
        let key = ordering(arg)?;
        let there = Expr::IsNull(Box::new(key.clone()), false);
        let rows = push_down(input.clone(), Vec::from([there]));
        let keys = Vec::from([SortKey { expr: key.clone(), descending, nulls_first: descending }]);
        let first = Logical::Limit {
            input: Box::new(Logical::Sort(Box::new(rows), keys)),
            limit: Some(Expr::Const(Value::Int8(1), SqlType::new(oid::INT8))),
            offset: None,
            ties: Vec::new(),
        };
        Some((column.clone(), call.clone(), first))
    };
    aggregates.iter().map(one).collect()
}

/// The column whose order an argument's is.
fn ordering(arg: &Expr) -> Option<&Expr> {
    match arg {
        Expr::Column(..) => Some(arg),
        Expr::Relabel(inner, to) if to.oid == oid::TEXT && inner.ty().oid == oid::VARCHAR => ordering(inner),
        _ => None,
    }
}

/// Tables with indexes, filtered, renamed and put together.
fn may_be_ordered(node: &Logical) -> bool {
    let settled = |e: &Expr| !e.volatile() && !e.has_subplan();
    let own = match node {
        Logical::Scan { relation, .. } => {
            matches!(relation.kind, RelationKind::Table | RelationKind::MaterializedView)
                && relation.indexes.iter().any(|i| i.valid && i.method == IndexMethod::BTree)
        }
        Logical::Secure(_) => true,
        Logical::Filter(_, condition) => settled(condition),
        Logical::Project(_, columns) => columns.iter().all(|(_, e)| settled(e)),
        Logical::Set { op: SetOp::Union, all: true, .. } => true,
        _ => false,
    };
    own && node.inputs().all(may_be_ordered)
}

impl Planner<'_> {
    /// The ends, or all rows read once, as `whole` does: what is cheaper.
    pub(crate) fn ends_or(&mut self, ends: Vec<(Column, AggregateCall, Logical)>, whole: Sub) -> Result<Sub> {
        let mut found: Option<Sub> = None;
        for (column, call, first) in ends {
            if !whole.columns.contains(&column.id) {
                continue;
            }
            let needed = ColumnSet::of([column.id]);
            let one = self.aggregate(first, Vec::new(), Vec::from([(column, call)]), Vec::new(), &needed)?;
            let both = match found {
                None => one,
                Some(others) => beside(others, one),
            };
            if both.plan.estimate.total * RISK >= whole.plan.estimate.total {
                return Ok(whole);
            }
            found = Some(both);
        }
        let Some(found) = found else { return Ok(whole) };
        self.exactly(found, &whole.columns)
    }
}

/// Two rows as one.
fn beside(left: Sub, right: Sub) -> Sub {
    let columns = left.columns.iter().chain(&right.columns).copied().collect();
    let types = left.plan.types.iter().chain(&right.plan.types).copied().collect();
    let (a, b) = (left.plan.estimate, right.plan.estimate);
    let estimate = Estimate {
        startup: a.startup + b.startup,
        total: a.total + b.total,
        rows: 1.0,
        width: a.width + b.width,
    };
    let node = Node::NestedLoop {
        kind: JoinKind::Inner,
        left: Box::new(left.plan),
        right: Box::new(right.plan),
        slots: Vec::new(),
        on: None,
    };
    Sub { plan: Physical { node, types, estimate }, columns, order: Vec::new() }
}

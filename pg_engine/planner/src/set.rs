//! UNION, INTERSECT, EXCEPT.
//!
//! UNION ALL whose rows are wanted in an order merges its parts, if that is cheaper than sorting them all: each part then comes in
//! that order, from an index or sorted.

use alloc::{boxed::Box, vec::Vec};

use pg_plan::{
    expr::Expr,
    logical::{Column, Logical, SetOp, SortKey},
    physical::{Estimate, Node, Physical},
};
use pg_types::{Result, SqlError};

use crate::{
    build::{OrderKey, Planner, Sub, Wish, split},
    columns::ColumnSet,
    decorrelate::MAX_NESTED,
    estimate,
    pushdown::{output, outputs},
};

impl Planner<'_> {
    pub(crate) fn union_all(&mut self, inputs: Vec<Logical>, columns: &[Column], wish: &Wish) -> Result<Sub> {
        if wish.order.is_empty() || self.nested >= MAX_NESTED {
            return self.set(SetOp::Union, true, inputs, columns);
        }
        self.nested += 1;
        let failed = self.failed.take();
        let merged = self.merged(&inputs, columns, wish);
        let merged = if self.failed.is_some() { None } else { merged? };
        self.failed = failed;
        let plain = self.set(SetOp::Union, true, inputs, columns);
        self.nested -= 1;
        let plain = plain?;
        let Some(merged) = merged else { return Ok(plain) };
        let sorted = self.put_in_order(plain.clone(), Vec::new(), 0, None).plan.estimate;
        Ok(if wish.cost(merged.plan.estimate) < wish.cost(sorted) { merged } else { plain })
    }

    /// The parts in the order that is wished for; `None`: none of them comes in it by itself.
    fn merged(&mut self, inputs: &[Logical], columns: &[Column], wish: &Wish) -> Result<Option<Sub>> {
        let place = |k: &OrderKey| columns.iter().position(|c| c.id == k.column);
        let Some(places) = wish.order.iter().map(place).collect::<Option<Vec<_>>>() else { return Ok(None) };
        let mut parts = Vec::with_capacity(inputs.len());
        let mut natural = 0;
        for input in inputs {
            let own = outputs(input);
            let same = |p: &usize| own.get(*p).zip(columns.get(*p)).is_some_and(|(a, b)| a.ty == b.ty);
            if !places.iter().all(same) {
                return Ok(None);
            }
            let key = |(k, p): (&OrderKey, &usize)| Some(OrderKey { column: own.get(*p)?.id, ..*k });
            let order: Vec<OrderKey> = wish.order.iter().zip(&places).filter_map(key).collect();
            let out: Vec<_> = own.iter().map(|c| c.id).collect();
            let wish = Wish { order, first: wish.first, distinct: Vec::new() };
            let sub = self.operator(input.clone(), &ColumnSet::of(out.iter().copied()), &wish)?;
            let ordered = sub.ordered_by(&wish.order);
            natural += usize::from(ordered);
            let sub = self.exactly(sub, &out)?;
            parts.push((sub, ordered));
        }
        if natural == 0 {
            return Ok(None);
        }
        let (ids, types) = split(columns);
        let key = |(k, p): (&OrderKey, &usize)| SortKey {
            expr: Expr::Column(*p as u32, types[*p]),
            descending: k.descending,
            nulls_first: k.nulls_first,
        };
        let keys: Vec<SortKey> = wish.order.iter().zip(&places).map(key).collect();
        let in_order =
            |(sub, ordered)| if ordered { sub } else { self.put_in_order(sub, keys.clone(), 0, None) };
        let inputs: Vec<Physical> = parts.into_iter().map(in_order).map(|s: Sub| s.plan).collect();
        let sum = |f: fn(&Estimate) -> f64| inputs.iter().map(|p| f(&p.estimate)).sum::<f64>();
        let rows = sum(|e| e.rows);
        let compares = rows * f64::from(64 - (inputs.len() as u64).leading_zeros());
        let work = rows * self.settings.cpu_tuple_cost + 2.0 * self.settings.cpu_operator_cost * compares;
        let width = types.iter().map(|t| estimate::width(t.oid)).sum();
        let estimate = Estimate { startup: sum(|e| e.startup), total: sum(|e| e.total) + work, rows, width };
        let node = Node::MergeAppend { inputs, keys };
        let plan = Physical { node, types, estimate };
        Ok(Some(Sub { plan, columns: ids, order: wish.order.clone() }))
    }

    pub(crate) fn set(
        &mut self,
        op: SetOp,
        all: bool,
        inputs: Vec<Logical>,
        columns: &[Column],
    ) -> Result<Sub> {
        let (ids, types) = split(columns);
        let mut sides = Vec::with_capacity(inputs.len());
        for side in inputs {
            let out = output(&side);
            let sub = self.operator(side, &ColumnSet::of(out.iter().copied()), &Wish::none())?;
            sides.push(self.exactly(sub, &out)?.plan);
        }
        let rows: f64 = sides.iter().map(|s| s.estimate.rows).sum();
        let total = sides.iter().map(|s| s.estimate.total).sum::<f64>() + rows * self.settings.cpu_tuple_cost;
        let width = types.iter().map(|t| estimate::width(t.oid)).sum();
        let estimate = Estimate { startup: 0.0, total, rows, width };
        if op == SetOp::Union {
            let append =
                Physical { node: Node::Append(flattened(sides, all)), types: types.clone(), estimate };
            let plan = if all {
                append
            } else {
                Physical { node: Node::Distinct(Box::new(append), None), types, estimate }
            };
            return Ok(Sub { plan, columns: ids, order: Vec::new() });
        }
        let right = sides.pop().ok_or_else(|| SqlError::internal("a set operation has two sides"))?;
        let left = sides.pop().ok_or_else(|| SqlError::internal("a set operation has two sides"))?;
        let node = Node::Set { op, all, left: Box::new(left), right: Box::new(right) };
        Ok(Sub { plan: Physical { node, types, estimate }, columns: ids, order: Vec::new() })
    }
}

/// UNION ALL chains become one append.
fn flattened(sides: Vec<Physical>, all: bool) -> Vec<Physical> {
    let mut parts = Vec::with_capacity(sides.len());
    for side in sides {
        match side.node {
            Node::Append(inner) if all => parts.extend(inner),
            node => parts.push(Physical { node, ..side }),
        }
    }
    parts
}

//! Window functions: the input sorted by partition and order, unless it comes so.

use alloc::{boxed::Box, vec::Vec};

use pg_plan::{
    expr::Expr,
    logical::{Column, Logical, SortKey, WindowCall, WindowSpec},
    physical::{Node, Physical},
};
use pg_types::Result;

use crate::{
    build::{OrderKey, Planner, Sub, Wish},
    columns::{ColumnSet, to_positions},
    estimate,
};

impl Planner<'_> {
    pub(crate) fn window(
        &mut self,
        input: Logical,
        mut spec: WindowSpec,
        calls: Vec<(Column, WindowCall)>,
        needed: &ColumnSet,
    ) -> Result<Sub> {
        let calls: Vec<_> = calls.into_iter().filter(|(c, _)| needed.contains(c.id)).collect();
        let mut below = needed.clone();
        spec.for_each(&mut |e| below.add(e));
        calls.iter().for_each(|(_, c)| c.args.iter().chain(&c.filter).for_each(|e| below.add(e)));
        let partition = spec.partition.iter();
        let mut keys: Vec<SortKey> =
            partition.map(|e| SortKey { expr: e.clone(), descending: false, nulls_first: false }).collect();
        for key in &spec.order {
            if !keys.iter().any(|k| k.expr.same(&key.expr)) {
                keys.push(key.clone());
            }
        }
        let sub = self.sorted(input, keys, &below)?;
        let mut failure = Ok(());
        spec.for_each_mut(&mut |e| {
            if failure.is_ok() {
                failure = self.plan_subqueries(e).and_then(|()| to_positions(e, &sub.columns));
            }
        });
        failure?;
        let Sub { plan, mut columns, order } = sub;
        let mut types = plan.types.clone();
        let mut resolved = Vec::with_capacity(calls.len());
        let inputs = columns.clone();
        for (column, mut call) in calls {
            columns.push(column.id);
            types.push(column.ty);
            for e in call.args.iter_mut().chain(&mut call.filter) {
                self.plan_subqueries(e)?;
                to_positions(e, &inputs)?;
            }
            resolved.push(call);
        }
        let mut estimate = plan.estimate;
        let work = self.settings.cpu_tuple_cost + self.settings.cpu_operator_cost * resolved.len() as f64;
        estimate.total += estimate.rows * work;
        estimate.width = types.iter().map(|t| estimate::width(t.oid)).sum();
        let node = Node::Window { input: Box::new(plan), spec: Box::new(spec), calls: resolved };
        Ok(Sub { plan: Physical { node, types, estimate }, columns, order })
    }

    /// The input in this order.
    fn sorted(&mut self, input: Logical, keys: Vec<SortKey>, needed: &ColumnSet) -> Result<Sub> {
        if keys.is_empty() {
            return self.operator(input, needed, &Wish::none());
        }
        let plain = |k: &SortKey| match &k.expr {
            Expr::Column(column, _) => {
                Some(OrderKey { column: *column, descending: k.descending, nulls_first: k.nulls_first })
            }
            _ => None,
        };
        let order: Option<Vec<OrderKey>> = keys.iter().map(plain).collect();
        let mut sub = self.sort(input, keys, needed, None, &Wish::none())?;
        if sub.order.is_empty() {
            sub.order = order.unwrap_or_default();
        }
        Ok(sub)
    }
}

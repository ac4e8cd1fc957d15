//! ORDER BY and LIMIT: orders that rows have by themselves, whole or of the leading keys, sorts of what they have not, and how many
//! rows are asked for.

use alloc::{boxed::Box, vec::Vec};

use pg_plan::{
    expr::Expr,
    logical::{Column, Logical, SortKey},
    physical::{Node, Physical},
};
use pg_types::{Result, SqlError, SqlType, Value};

use crate::{
    access::libm_log2,
    build::{OrderKey, Planner, Sub, Wish, project},
    columns::ColumnSet,
};

impl Planner<'_> {
    /// ORDER BY; `limit` is LIMIT plus OFFSET above it.
    pub(crate) fn sort(
        &mut self,
        input: Logical,
        keys: Vec<SortKey>,
        needed: &ColumnSet,
        limit: Option<Expr>,
        wish: &Wish,
    ) -> Result<Sub> {
        let plain = |k: &SortKey| match &k.expr {
            Expr::Column(column, _) => {
                Some(OrderKey { column: *column, descending: k.descending, nulls_first: k.nulls_first })
            }
            _ => None,
        };
        let leading: Vec<OrderKey> = keys.iter().map_while(plain).collect();
        let wanted = (leading.len() == keys.len()).then(|| leading.clone());
        let mut below = needed.clone();
        keys.iter().for_each(|k| below.add(&k.expr));
        let distinct = if wanted.is_some() { wish.distinct.clone() } else { Vec::new() };
        let (first, again) = (wish.first, wish.first.filter(|_| keys.len() > 1).map(|_| input.clone()));
        // What is sorted is read to the end.
        let all = first.filter(|_| wanted.is_some());
        let wish = Wish { order: wanted.clone().unwrap_or_default(), first: all, distinct };
        let sub = self.operator(input, &below, &wish)?;
        if wanted.is_some_and(|w| sub.ordered_by(&w)) {
            return Ok(sub);
        }
        let presorted = sub.order.iter().zip(&leading).take_while(|(a, b)| a == b).count();
        let presorted = if self.settings.enable_incremental_sort { presorted } else { 0 };
        let other = match again {
            Some(input) if presorted == 0 => {
                self.partly_in_order(input, &leading, keys.len(), &below, first)?
            }
            _ => None,
        };
        let whole = self.sort_over(sub, keys.clone(), presorted, limit.clone())?;
        let Some((sub, presorted)) = other else { return Ok(whole) };
        let other = self.sort_over(sub, keys, presorted, limit)?;
        let wish = Wish { first, ..Wish::none() };
        let cost = |sub: &Sub| wish.cost(sub.plan.estimate);
        Ok(if cost(&other) < cost(&whole) { other } else { whole })
    }

    /// A sort over a planned operator whose rows come in the order of `presorted` leading keys.
    fn sort_over(
        &mut self,
        sub: Sub,
        keys: Vec<SortKey>,
        presorted: usize,
        limit: Option<Expr>,
    ) -> Result<Sub> {
        let mut resolved = Vec::with_capacity(keys.len());
        for key in keys {
            resolved.push(SortKey { expr: self.resolved(key.expr, &sub.columns)?, ..key });
        }
        let known = self.knowledge();
        let equal = |k: &OrderKey| Expr::Column(k.column, SqlType::new(0));
        let before: Vec<Expr> = sub.order.iter().take(presorted).map(equal).collect();
        let groups = if presorted > 0 { crate::joint::groups(before.iter(), &known) } else { 1.0 };
        let mut sorted = self.put_in_order(sub, resolved, presorted, limit);
        if presorted > 0 {
            self.in_portions(&mut sorted.plan, groups);
        }
        Ok(sorted)
    }

    /// The cost of a sort that sorts groups of rows one by one.
    fn in_portions(&self, sort: &mut Physical, groups: f64) {
        let Node::Sort { input, .. } = &sort.node else { return };
        let below = input.estimate;
        let groups = groups.clamp(1.0, below.rows.max(1.0));
        let each = below.rows / groups;
        let one = 2.0 * self.settings.cpu_operator_cost * each * libm_log2(each)
            + (each + 1.0) * self.settings.cpu_tuple_cost;
        sort.estimate.startup = below.startup + (below.total - below.startup) / groups + one;
        sort.estimate.total = below.total + one * groups + self.settings.cpu_operator_cost * below.rows;
    }

    /// The input in the order of as many leading keys as it has by itself where its first rows are wanted, and how many those are.
    fn partly_in_order(
        &mut self,
        input: Logical,
        leading: &[OrderKey],
        keys: usize,
        needed: &ColumnSet,
        first: Option<f64>,
    ) -> Result<Option<(Sub, usize)>> {
        /// Leading keys that are tried.
        const TRIED: usize = 3;
        if !self.settings.enable_incremental_sort || self.nested >= crate::decorrelate::MAX_NESTED {
            return Ok(None);
        }
        self.nested += 1;
        let mut found = Ok(None);
        for presorted in (1..=leading.len().min(keys - 1).min(TRIED)).rev() {
            let order = leading.get(..presorted).unwrap_or(&[]).to_vec();
            let wish = Wish { order, first, distinct: Vec::new() };
            found = self.operator(input.clone(), needed, &wish).map(|sub| {
                let ordered = sub.ordered_by(&wish.order);
                ordered.then_some((sub, presorted))
            });
            if !matches!(found, Ok(None)) {
                break;
            }
        }
        self.nested -= 1;
        found
    }

    /// Rows put in an order; `keys` over the operator's columns.
    pub(crate) fn put_in_order(
        &self,
        sub: Sub,
        keys: Vec<SortKey>,
        presorted: usize,
        limit: Option<Expr>,
    ) -> Sub {
        let Sub { plan, columns, .. } = sub;
        let types = plan.types.clone();
        let mut estimate = plan.estimate;
        let compares = estimate.rows * f64::from(64 - (estimate.rows as u64).leading_zeros());
        estimate.startup = estimate.total + 2.0 * self.settings.cpu_operator_cost * compares;
        estimate.total = estimate.startup + self.settings.cpu_operator_cost * estimate.rows;
        let node = Node::Sort { input: Box::new(plan), keys, presorted, limit };
        Sub { plan: Physical { node, types, estimate }, columns, order: Vec::new() }
    }

    pub(crate) fn limit(
        &mut self,
        input: Logical,
        (limit, offset, ties): (Option<Expr>, Option<Expr>, Vec<Expr>),
        needed: &ColumnSet,
    ) -> Result<Sub> {
        let mut with_ties = needed.clone();
        ties.iter().for_each(|e| with_ties.add(e));
        let needed = &with_ties;
        let number = |e: &Option<Expr>| match e {
            Some(Expr::Const(Value::Int8(n), _)) => Some(*n as f64),
            _ => None,
        };
        let want = number(&limit).map(|n| n + number(&offset).unwrap_or(0.0));
        // Top-k is possible when both numbers are known before the run.
        let top = if ties.is_empty() { top_k(&limit, &offset) } else { None };
        let wish = Wish { first: want, ..Wish::none() };
        let sub = match input {
            Logical::Sort(below, keys) => self.sort(*below, keys, needed, top, &wish)?,
            Logical::Project(below, columns) if matches!(*below, Logical::Sort(..)) && simple(&columns) => {
                self.limit_through(*below, columns, top, needed, &wish)?
            }
            other => self.operator(other, needed, &wish)?,
        };
        let limit = limit.map(|e| self.resolved(e, &[])).transpose()?;
        let offset = offset.map(|e| self.resolved(e, &[])).transpose()?;
        let Sub { plan, columns, order } = sub;
        let types = plan.types.clone();
        let mut estimate = plan.estimate;
        if let Some(want) = want {
            let share = (want / estimate.rows.max(1.0)).min(1.0);
            estimate.total = estimate.startup + (estimate.total - estimate.startup) * share;
            estimate.rows = estimate.rows.min(want.max(1.0));
        }
        let ties = ties.into_iter().map(|e| self.resolved(e, &columns)).collect::<Result<_>>()?;
        let node = Node::Limit { input: Box::new(plan), limit, offset, ties };
        Ok(Sub { plan: Physical { node, types, estimate }, columns, order })
    }

    /// LIMIT over a projection over a sort: the sort learns of the limit.
    fn limit_through(
        &mut self,
        sort: Logical,
        columns: Vec<(Column, Expr)>,
        top: Option<Expr>,
        needed: &ColumnSet,
        wish: &Wish,
    ) -> Result<Sub> {
        let Logical::Sort(below, keys) = sort else { return Err(SqlError::internal("no sort to limit")) };
        let columns: Vec<_> = columns.into_iter().filter(|(c, _)| needed.contains(c.id)).collect();
        let mut inner = ColumnSet::default();
        columns.iter().for_each(|(_, e)| inner.add(e));
        let sub = self.sort(*below, keys, &inner, top, wish)?;
        let ids = columns.iter().map(|(c, _)| c.id).collect();
        let exprs =
            columns.into_iter().map(|(_, e)| self.resolved(e, &sub.columns)).collect::<Result<_>>()?;
        Ok(project(sub, exprs, ids, self.settings))
    }
}

fn simple(columns: &[(Column, Expr)]) -> bool {
    columns.iter().all(|(_, e)| !e.volatile())
}

/// LIMIT + OFFSET as an expression when neither can be NULL.
fn top_k(limit: &Option<Expr>, offset: &Option<Expr>) -> Option<Expr> {
    match (limit, offset) {
        (Some(Expr::Const(Value::Int8(l), t)), None) if *l >= 0 => Some(Expr::Const(Value::Int8(*l), *t)),
        (Some(Expr::Const(Value::Int8(l), t)), Some(Expr::Const(Value::Int8(o), _)))
            if *l >= 0 && *o >= 0 =>
        {
            Some(Expr::Const(Value::Int8(l.checked_add(*o)?), *t))
        }
        _ => None,
    }
}

//! Volatile values of a select list are computed for the rows that LIMIT leaves, in the order that ORDER BY gives them:
//! `SELECT nextval('s') ... ORDER BY x LIMIT 10` takes ten numbers.

use alloc::{boxed::Box, vec::Vec};

use pg_functions::Volatility;
use pg_plan::{
    expr::{ColumnId, Expr},
    logical::{Column, Logical},
};
use pg_types::{Result, SqlType, Value, oid};
use sqlparser::ast as sq;

use super::{
    Binder,
    body::volatility,
    select::{Order, Target},
};

/// Columns by other ids.
fn renumbered(e: &mut Expr, ids: &[(ColumnId, ColumnId)]) {
    if let Expr::Column(id, _) = e {
        if let Some((_, new)) = ids.iter().find(|(old, _)| old == id) {
            *id = *new;
        }
        return;
    }
    e.for_each_child_mut(&mut |child| renumbered(child, ids));
}

/// Does the number of rows that are wanted, or their order, matter to what is volatile?
pub(super) fn concerned(order: &Order, query: &sq::Query) -> bool {
    let ties = query.fetch.as_ref().is_some_and(|f| f.with_ties);
    !ties && (!order.is_empty() || query.limit_clause.is_some() || query.fetch.is_some())
}

/// The columns over the rows of a LIMIT. Those of rows that OFFSET leaves out are computed, too.
pub(super) fn computed(plan: Logical, columns: Vec<(Column, Expr)>) -> Logical {
    let Logical::Limit { input, limit, offset: Some(offset), ties } = plan else {
        return Logical::Project(Box::new(plan), columns);
    };
    let both = limit.as_ref().and_then(|l| number(l)?.checked_add(number(&offset)?));
    let input = match both {
        Some(rows) => {
            let limit = Some(Expr::Const(Value::Int8(rows), SqlType::new(oid::INT8)));
            Box::new(Logical::Limit { input, limit, offset: None, ties: Vec::new() })
        }
        None => input,
    };
    let input = Box::new(Logical::Project(input, columns));
    Logical::Limit { input, limit, offset: Some(offset), ties }
}

/// A constant number of rows, which may have been widened.
fn number(e: &Expr) -> Option<i64> {
    match e {
        Expr::Const(Value::Int8(n), _) => Some(*n),
        Expr::Const(Value::Int4(n), _) => Some(i64::from(*n)),
        Expr::Call(c) if c.ty.oid == oid::INT8 => match c.args.as_slice() {
            [Expr::Const(Value::Int4(n), _)] => Some(i64::from(*n)),
            _ => None,
        },
        _ => None,
    }
}

impl Binder<'_> {
    /// Takes the volatile ones that no ORDER BY needs out of the first `visible` columns; what they are made of becomes columns
    /// behind the others. Gives each with its place.
    pub(super) fn postponed(
        &mut self,
        projected: &mut Vec<(Column, Expr)>,
        visible: usize,
        order: &Order,
    ) -> Vec<(usize, Expr)> {
        let mut late: Vec<(usize, Expr)> = Vec::new();
        let mut ids: Vec<(ColumnId, ColumnId)> = Vec::new();
        let mut added: Vec<(Column, Expr)> = Vec::new();
        for (n, (_, e)) in projected.iter_mut().enumerate().take(visible) {
            if order.iter().any(|(o, ..)| *o == n) || volatility(e) != Volatility::Volatile {
                continue;
            }
            let ty = e.ty();
            let mut taken = core::mem::replace(e, Expr::Const(Value::Null, ty));
            self.carried(&mut taken, &[], &mut ids, &mut added);
            late.push((n, taken));
        }
        projected.extend(added);
        late
    }

    /// Makes what an expression is made of, but for `own`, columns to be carried along, and names these in it.
    fn carried(
        &mut self,
        e: &mut Expr,
        own: &[ColumnId],
        ids: &mut Vec<(ColumnId, ColumnId)>,
        added: &mut Vec<(Column, Expr)>,
    ) {
        e.any(&mut |part| {
            if let Expr::Column(id, ty) = part
                && !own.contains(id)
                && !ids.iter().any(|(old, _)| old == id)
            {
                let column = self.column("", *ty);
                ids.push((*id, column.id));
                added.push((column, part.clone()));
            }
            false
        });
        renumbered(e, ids);
    }

    /// Does ORDER BY or DISTINCT ON need what set-returning calls give? If not, these come behind DISTINCT ON, as in PostgreSQL.
    pub(super) fn sets_sorted(&mut self, targets: &[Target], on: &[usize], order: &Order) -> Result<bool> {
        let sets: Vec<ColumnId> = self.frame()?.sets.iter().map(|(c, _)| c.id).collect();
        let mut needed = false;
        for n in order.iter().map(|o| o.0).chain(on.iter().copied()) {
            if let Some(target) = targets.get(n) {
                target.expr.for_each_column(&mut |id| needed |= sets.contains(&id));
            }
        }
        Ok(needed)
    }

    /// As [`Self::postponed`], for what is made of set-returning calls that are still to be put into the plan.
    pub(super) fn postponed_sets(
        &mut self,
        projected: &mut Vec<(Column, Expr)>,
        visible: usize,
    ) -> Result<Vec<(usize, Expr)>> {
        let mut sets = core::mem::take(&mut self.frame()?.sets);
        if sets.is_empty() {
            return Ok(Vec::new());
        }
        let own: Vec<ColumnId> = sets.iter().map(|(c, _)| c.id).collect();
        let (mut late, mut ids, mut added) = (Vec::new(), Vec::new(), Vec::new());
        for (_, call) in &mut sets {
            self.carried(call, &own, &mut ids, &mut added);
        }
        for (n, (_, e)) in projected.iter_mut().enumerate().take(visible) {
            let mut uses = false;
            e.for_each_column(&mut |id| uses |= own.contains(&id));
            if uses {
                let ty = e.ty();
                let mut taken = core::mem::replace(e, Expr::Const(Value::Null, ty));
                self.carried(&mut taken, &own, &mut ids, &mut added);
                late.push((n, taken));
            }
        }
        projected.extend(added);
        self.frame()?.sets = sets;
        Ok(late)
    }
}

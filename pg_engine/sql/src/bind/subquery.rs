//! Subqueries in expressions.

use alloc::{boxed::Box, format, vec::Vec};

use pg_functions::registry;
use pg_plan::{
    expr::{Expr, SubPlan, SubPlanKind, SubQuery},
    logical::Logical,
};
use pg_types::{Result, SqlError, SqlState, SqlType, oid, typeinfo};
use sqlparser::ast as sq;

use super::{Binder, Bound, expr::start, scope::Frame, types::show};

impl Binder<'_> {
    /// Binds a query one level further in; returns what it needs from outside too.
    fn inner(&mut self, query: &sq::Query) -> Result<(Bound, Vec<(u32, Expr)>)> {
        let place = self.place();
        if !place.subqueries() {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot use subquery in {}", place.name().trim_end_matches('s')),
            )
            .at(start_of(query)));
        }
        self.enclosed(|b| {
            b.frame()?.sublink = true;
            b.query_here(query)
        })
    }

    /// Is a subquery in an expression being bound below this level?
    pub(super) fn in_sublink(&self, level: usize) -> bool {
        self.frames.iter().skip(level + 1).any(|f| f.sublink)
    }

    /// Runs `f` in a fresh frame and returns that frame's outer arguments with the result.
    pub(super) fn enclosed<T>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Vec<(u32, Expr)>)> {
        self.frames.push(Frame::default());
        let mark = self.collation_mark();
        let result = self.deeper(f);
        self.forget_collations(mark);
        let frame = self.frames.pop().unwrap_or_default();
        Ok((result?, frame.args))
    }

    fn subplan(&mut self, kind: SubPlanKind, plan: Logical, args: Vec<(u32, Expr)>, ty: SqlType) -> Expr {
        let correlated = !args.is_empty();
        let source = self.record_plan();
        SubPlan { kind, query: SubQuery::Logical(Box::new(plan)), args, correlated, ty, source, alike: 0 }
            .boxed()
    }

    /// Gives a subquery the number of those that are written alike in this query block, by which they are known as equal.
    pub(super) fn alike(&mut self, written: &sq::Expr, mut bound: Expr) -> Result<Expr> {
        let number = match self.frame()?.subqueries.iter().find(|(e, _)| e == written) {
            Some((_, number)) => *number,
            None => {
                self.next_alike += 1;
                let number = self.next_alike;
                self.frame()?.subqueries.push((written.clone(), number));
                number
            }
        };
        let mut inner = &mut bound;
        while let Expr::Not(e) = inner {
            inner = e;
        }
        if let Expr::SubPlan(plan) = inner {
            plan.alike = number;
        }
        Ok(bound)
    }

    pub(super) fn exists(&mut self, query: &sq::Query, negated: bool) -> Result<Expr> {
        let (bound, args) = self.inner(query)?;
        let exists = self.subplan(SubPlanKind::Exists, bound.plan, args, SqlType::new(oid::BOOL));
        Ok(if negated { Expr::Not(Box::new(exists)) } else { exists })
    }

    pub(super) fn scalar_subquery(&mut self, query: &sq::Query) -> Result<Expr> {
        let (bound, args) = self.inner(query)?;
        let [column] = bound.columns.as_slice() else {
            return Err(SqlError::syntax("subquery must return only one column").at(start_of(query)));
        };
        let ty = column.ty;
        self.push_column_collation(column.id, ty, start_of(query));
        Ok(self.subplan(SubPlanKind::Scalar, bound.plan, args, ty))
    }

    /// A scalar subquery for each of the `count` columns that a query must have.
    pub(super) fn column_subqueries(&mut self, query: &sq::Query, count: usize) -> Result<Vec<Expr>> {
        let mut columns = Vec::with_capacity(count);
        for n in 0..count {
            let calls = self.volatile_calls;
            let (bound, args) = self.inner(query)?;
            let column = match bound.columns.get(n) {
                Some(column) if bound.columns.len() == count => column,
                _ => {
                    let text = "number of columns does not match number of values";
                    return Err(SqlError::syntax(text).at(start_of(query)));
                }
            };
            if count > 1 && calls != self.volatile_calls {
                return Err(SqlError::unsupported("SET (...) = (subquery) with volatile functions"));
            }
            let (id, ty) = (column.id, column.ty);
            let only = pg_plan::logical::Column { id: self.column_id(), ..column.clone() };
            let plan = Logical::Project(Box::new(bound.plan), Vec::from([(only, Expr::Column(id, ty))]));
            columns.push(self.subplan(SubPlanKind::Scalar, plan, args, ty));
        }
        Ok(columns)
    }

    /// `ARRAY(SELECT ...)`.
    pub(super) fn array_subquery(&mut self, query: &sq::Query) -> Result<Expr> {
        let (bound, args) = self.inner(query)?;
        let [column] = bound.columns.as_slice() else {
            return Err(SqlError::syntax("subquery must return only one column").at(start_of(query)));
        };
        let element = column.ty.oid;
        let array = match typeinfo::get(element) {
            Some(t) if t.is_array() => element,
            _ => typeinfo::array_of(element),
        };
        if array == 0 {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find array type for data type {}", show(column.ty)),
            ));
        }
        Ok(self.subplan(SubPlanKind::Array, bound.plan, args, SqlType::new(array)))
    }

    /// `left op ANY (subquery)`; IN is `= ANY`.
    pub(super) fn quantified_subquery(
        &mut self,
        left: &sq::Expr,
        op: &str,
        query: &sq::Query,
        any: bool,
        negated: bool,
    ) -> Result<Expr> {
        let at = self.operator_at(left);
        let outer: Vec<Expr> = match super::expr::row_items(left) {
            Some(items) => {
                let mut bound = Vec::with_capacity(items.len());
                for item in items {
                    bound.push(self.expr(item)?);
                }
                bound
            }
            None => Vec::from([self.expr(left)?]),
        };
        let (bound, mut args) = self.inner(query)?;
        if bound.columns.len() != outer.len() {
            let few = bound.columns.len() < outer.len();
            let which = if few { "few" } else { "many" };
            return Err(SqlError::syntax(format!("subquery has too {which} columns")).at(at));
        }
        let correlated = !args.is_empty();
        let source = self.record_plan();
        let mut pairs = Vec::with_capacity(outer.len());
        let mut keys = Vec::with_capacity(outer.len());
        for (i, (outer, column)) in outer.into_iter().zip(&bound.columns).enumerate() {
            // An untyped value takes the column's type before it becomes a slot.
            let outer = if outer.ty().oid == oid::UNKNOWN {
                self.implicit(outer, SqlType::new(column.ty.oid), at)?
            } else {
                outer
            };
            let slot = self.next_slot;
            self.next_slot += 1;
            pairs.push((Expr::Slot(slot, outer.ty()), Expr::Column(i as u32, column.ty)));
            keys.push(outer.clone());
            args.push((slot, outer));
        }
        let count = pairs.len();
        let test = self.row_operator(op, pairs, at)?;
        let hashable = if op == "=" && any { hash_keys(&test, count, keys) } else { None };
        let kind = SubPlanKind::Compare { test: Box::new(test), any, hashable };
        let plan = SubPlan {
            kind,
            query: SubQuery::Logical(Box::new(bound.plan)),
            args,
            correlated,
            ty: SqlType::new(oid::BOOL),
            source,
            alike: 0,
        }
        .boxed();
        Ok(if negated { Expr::Not(Box::new(plan)) } else { plan })
    }

    /// `(a, b) op (subquery)`: NULL without a row; more than one is an error.
    pub(super) fn row_subquery(
        &mut self,
        left: &sq::Expr,
        items: &[sq::Expr],
        op: &str,
        query: &sq::Query,
    ) -> Result<Expr> {
        let at = self.operator_at(left);
        let mut outer = Vec::with_capacity(items.len());
        for item in items {
            outer.push(self.expr(item)?);
        }
        let (bound, mut args) = self.inner(query)?;
        if bound.columns.len() != outer.len() {
            let few = bound.columns.len() < outer.len();
            let which = if few { "few" } else { "many" };
            return Err(SqlError::syntax(format!("subquery has too {which} columns")).at(at));
        }
        let mut pairs = Vec::with_capacity(outer.len());
        let mut row = Vec::with_capacity(outer.len());
        for (outer, column) in outer.into_iter().zip(&bound.columns) {
            let outer = if outer.ty().oid == oid::UNKNOWN {
                self.implicit(outer, SqlType::new(column.ty.oid), at)?
            } else {
                outer
            };
            let slot = self.next_slot;
            self.next_slot += 1;
            pairs.push((Expr::Slot(slot, outer.ty()), Expr::Column(column.id, column.ty)));
            row.extend(self.recording().then(|| outer.clone()));
            args.push((slot, outer));
        }
        let test = self.row_operator(op, pairs, at)?;
        let ty = SqlType::new(oid::BOOL);
        let column = self.column("", ty);
        let plan = Logical::Project(Box::new(bound.plan), Vec::from([(column, test)]));
        let compared = self.subplan(SubPlanKind::Scalar, plan, args, ty);
        self.record_row_test(&compared, op, &row);
        Ok(compared)
    }

    /// `left op ANY (...)` over an array or a subquery.
    pub(super) fn quantified(
        &mut self,
        left: &sq::Expr,
        op: &sq::BinaryOperator,
        right: &sq::Expr,
        any: bool,
    ) -> Result<Expr> {
        let name = Self::operator_name(op)?;
        let mut plain = right;
        while let sq::Expr::Nested(inner) = plain {
            plain = inner;
        }
        if let sq::Expr::Subquery(query) = plain {
            return self.quantified_subquery(left, &name, query, any, false);
        }
        let at = start(left);
        let left = self.expr(left)?;
        let array = self.expr(plain)?;
        self.scalar_array(&name, left, array, any, at)
    }
}

/// The outer expressions and equality functions, when every comparison is of the plain slot and column and its operator
/// can be hashed.
fn hash_keys(
    test: &Expr,
    count: usize,
    outer: Vec<Expr>,
) -> Option<Vec<(Expr, &'static pg_functions::Function)>> {
    let parts: Vec<&Expr> = match test {
        Expr::And(parts) => parts.iter().collect(),
        one => Vec::from([one]),
    };
    if parts.len() != count {
        return None;
    }
    let mut keys = Vec::with_capacity(count);
    for (i, (part, outer)) in parts.into_iter().zip(outer).enumerate() {
        let Expr::Call(call) = part else { return None };
        let plain = matches!(call.args.as_slice(), [Expr::Slot(..), Expr::Column(c, _)] if *c as usize == i);
        let hashes = registry().operators().iter().any(|o| o.function == call.function.oid && o.hashes);
        if !plain || !hashes {
            return None;
        }
        keys.push((outer, call.function));
    }
    Some(keys)
}

pub(super) fn start_of(query: &sq::Query) -> u32 {
    use sqlparser::ast::Spanned;
    // Of the parenthesis in front.
    crate::grammar::position(query.span().start).saturating_sub(1)
}

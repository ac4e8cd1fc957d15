//! UNION, INTERSECT, EXCEPT, VALUES.

use alloc::{boxed::Box, format, string::String, vec, vec::Vec};

use pg_plan::{
    expr::Expr,
    logical::{Column, Logical, SetOp, SortKey},
};
use pg_types::{Result, SqlError, SqlState, SqlType};
use sqlparser::ast as sq;

use super::{
    Binder, Bound, aggregate::descending, collation::Derived, expr::start, scope::Place, select::order_items,
};

impl Binder<'_> {
    /// A query body that is not a plain SELECT, in the current frame.
    pub(super) fn set_expr(&mut self, body: &sq::SetExpr) -> Result<Bound> {
        match body {
            sq::SetExpr::SetOperation { .. } => self.set_operations(body),
            sq::SetExpr::Values(values) => self.values(values),
            sq::SetExpr::Query(query) => self.branch(|b| b.query_here(query)),
            sq::SetExpr::Select(_) => self.branch(|b| {
                let query = wrap(body);
                b.query_here(&query)
            }),
            sq::SetExpr::Table(table) => {
                let Some(name) = &table.table_name else {
                    return Err(SqlError::syntax("TABLE without a name"));
                };
                let schema = table.schema_name.as_deref().map_or(String::new(), |s| format!("\"{s}\"."));
                let text = format!("SELECT * FROM {schema}\"{name}\"");
                let parsed = crate::grammar::statements(&text)?;
                match parsed.into_iter().next().map(|i| i.ast) {
                    Some(crate::ast::Ast::Query(query)) => self.branch(|b| b.query_here(&query)),
                    _ => Err(SqlError::unsupported("TABLE")),
                }
            }
            _ => Err(SqlError::unsupported("a data-modifying statement inside a query")),
        }
    }

    /// A branch has a frame of its own; what it needs from outside is passed through the current one.
    fn branch(&mut self, f: impl FnOnce(&mut Self) -> Result<Bound>) -> Result<Bound> {
        let shut = core::mem::replace(&mut self.frame()?.shut, true);
        let result = self.enclosed(f);
        self.frame()?.shut = shut;
        let (mut bound, args) = result?;
        self.record_leaf();
        if !args.is_empty() {
            // The branch's slots are set from the current level's expressions before it runs.
            bound.plan = Logical::Join {
                kind: pg_plan::logical::JoinKind::Inner,
                left: Box::new(Logical::OneRow),
                right: Box::new(bound.plan),
                on: None,
                lateral: args,
            };
        }
        Ok(bound)
    }

    /// Set operations of one level lean left: their number costs no stack.
    fn set_operations(&mut self, body: &sq::SetExpr) -> Result<Bound> {
        let mut spine = Vec::new();
        let mut first = body;
        while let sq::SetExpr::SetOperation { left, op, set_quantifier, right } = first {
            spine.push((*op, *set_quantifier, right));
            first = left;
        }
        self.keep_unknown = true;
        let mut left = self.deeper(|b| b.set_expr(first))?;
        while let Some((op, quantifier, right)) = spine.pop() {
            left = self.set_operation((left, first), op, quantifier, right)?;
        }
        Ok(left)
    }

    fn set_operation(
        &mut self,
        (mut l, written): (Bound, &sq::SetExpr),
        op: sq::SetOperator,
        quantifier: sq::SetQuantifier,
        right: &sq::SetExpr,
    ) -> Result<Bound> {
        let (op, name) = match op {
            sq::SetOperator::Union => (SetOp::Union, "UNION"),
            sq::SetOperator::Except => (SetOp::Except, "EXCEPT"),
            sq::SetOperator::Intersect => (SetOp::Intersect, "INTERSECT"),
            sq::SetOperator::Minus => return Err(SqlError::syntax("syntax error at or near \"minus\"")),
        };
        let all = match quantifier {
            sq::SetQuantifier::All => true,
            sq::SetQuantifier::None | sq::SetQuantifier::Distinct => false,
            _ => return Err(SqlError::syntax("syntax error at or near \"BY\"")),
        };
        self.keep_unknown = true;
        let mut r = self.deeper(|b| b.set_expr(right))?;
        self.keep_unknown = false;
        if l.columns.len() != r.columns.len() {
            return Err(SqlError::syntax(format!("each {name} query must have the same number of columns")));
        }
        let mut types = Vec::with_capacity(l.columns.len());
        for (a, b) in l.columns.iter().zip(&r.columns) {
            types.push(self.common_type(&[a.ty, b.ty], name, 0)?);
        }
        let collations =
            self.set_collations([&l.columns, &r.columns], [written, right], op == SetOp::Union && all)?;
        self.record_types(&types)?;
        self.align(&mut l, &types, name)?;
        self.align(&mut r, &types, name)?;
        self.record_set(op, all);
        if !all {
            self.hashable(&l.columns)?;
        }
        let bound = match &mut l.plan {
            Logical::Set { op: SetOp::Union, all: same, inputs, columns }
                if op == SetOp::Union
                    && *same == all
                    && columns.iter().map(|c| c.id).eq(l.columns.iter().map(|c| c.id)) =>
            {
                inputs.push(r.plan);
                l.origins = l.columns.iter().map(|_| (0, 0)).collect();
                l
            }
            _ => {
                let columns: Vec<Column> =
                    l.columns.iter().zip(&types).map(|(c, ty)| self.column(&c.name, *ty)).collect();
                let origins = columns.iter().map(|_| (0, 0)).collect();
                let inputs = vec![l.plan, r.plan];
                Bound { plan: Logical::Set { op, all, inputs, columns: columns.clone() }, columns, origins }
            }
        };
        for (column, derived) in bound.columns.iter().zip(collations) {
            self.keep_collation(column.id, column.ty, derived);
        }
        Ok(bound)
    }

    /// Brings a branch's columns to the common types.
    pub(super) fn align(&mut self, bound: &mut Bound, types: &[SqlType], name: &str) -> Result<()> {
        if bound.columns.iter().zip(types).all(|(c, t)| c.ty == *t) {
            return Ok(());
        }
        let mut projected = Vec::with_capacity(types.len());
        for (i, ty) in types.iter().enumerate() {
            let value = self.result_value(bound, i, Some(*ty))?;
            let expr = self.coerce_to_common(value, *ty, name, 0)?;
            let shown = bound.columns.get(i).map_or(String::new(), |c| c.name.clone());
            projected.push((self.column(&shown, *ty), expr));
        }
        bound.columns = projected.iter().map(|(c, _)| c.clone()).collect();
        let plan = core::mem::replace(&mut bound.plan, Logical::OneRow);
        bound.plan = Logical::Project(Box::new(plan), projected);
        Ok(())
    }

    fn values(&mut self, values: &sq::Values) -> Result<Bound> {
        let (rows, derived) = self.values_rows(values)?;
        let width = rows.first().map_or(0, Vec::len);
        let mut types = Vec::with_capacity(width);
        for i in 0..width {
            let column: Vec<SqlType> = rows.iter().filter_map(|r| r.get(i)).map(Expr::ty).collect();
            types.push(self.common_type(&column, "VALUES", 0)?);
        }
        let mut coerced = Vec::with_capacity(rows.len());
        for row in rows {
            let mut out = Vec::with_capacity(width);
            for (e, ty) in row.into_iter().zip(&types) {
                out.push(self.coerce_to_common(e, *ty, "VALUES", 0)?);
            }
            coerced.push(out);
        }
        self.record_values(&coerced);
        let columns: Vec<Column> =
            types.iter().enumerate().map(|(i, ty)| self.column(&format!("column{}", i + 1), *ty)).collect();
        for (n, column) in columns.iter().enumerate() {
            let merged = self.values_collation(derived.iter().skip(n).step_by(width).copied())?;
            self.keep_collation(column.id, column.ty, merged);
        }
        let origins = columns.iter().map(|_| (0, 0)).collect();
        Ok(Bound { plan: Logical::Values { rows: coerced, columns: columns.clone() }, columns, origins })
    }

    /// The rows of VALUES, uncoerced, of equal length, and the collations of their values one after the other.
    fn values_rows(&mut self, values: &sq::Values) -> Result<(Vec<Vec<Expr>>, Vec<Derived>)> {
        self.at_place(Place::Values, |b| {
            let mut rows: Vec<Vec<Expr>> = Vec::with_capacity(values.rows.len());
            let mut derived = Vec::new();
            for row in &values.rows {
                let mut out = Vec::with_capacity(row.content.len());
                for e in &row.content {
                    let mark = b.collation_mark();
                    out.push(b.expr(e)?);
                    derived.push(b.taken_collation(mark));
                }
                if rows.first().is_some_and(|first| first.len() != out.len()) {
                    let at = row.content.first().map_or(0, start);
                    return Err(SqlError::syntax("VALUES lists must all be the same length").at(at));
                }
                rows.push(out);
            }
            Ok((rows, derived))
        })
    }

    /// ORDER BY and LIMIT over a result whose inside cannot be seen.
    pub(super) fn order_result(&mut self, bound: Bound, query: &sq::Query) -> Result<Bound> {
        let Bound { mut plan, columns, origins } = bound;
        let mut keys = Vec::new();
        let mut numbers = Vec::new();
        for item in order_items(query)? {
            let found = match &item.expr {
                sq::Expr::Identifier(ident) => {
                    let found = columns.iter().position(|c| c.name == ident.value);
                    Some(found.ok_or_else(|| self.missing_column(&ident.value, super::scope::at(ident)))?)
                }
                other => match super::expr::list_position(other, "ORDER BY")? {
                    Some((n, text)) if n == 0 || n > columns.len() => {
                        let text = format!("ORDER BY position {text} is not in select list");
                        let error = SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, text);
                        return Err(error.at(start(&item.expr)));
                    }
                    position => position.map(|(n, _)| n - 1),
                },
            };
            let number = found.unwrap_or(0);
            let Some(column) = found.and_then(|i| columns.get(i)) else {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
                )
                .detail("Only result column names can be used, not expressions or functions.")
                .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
                .at(start(&item.expr)));
            };
            self.orderable(column.ty, &item.expr)?;
            let descending = descending(&item.options, column.ty)?;
            self.sorts_by(column.id);
            numbers.push((number, descending, item.options.nulls_first.unwrap_or(descending)));
            keys.push(SortKey {
                expr: Expr::Column(column.id, column.ty),
                descending,
                nulls_first: item.options.nulls_first.unwrap_or(descending),
            });
        }
        self.record_order(numbers);
        if !keys.is_empty() {
            plan = Logical::Sort(Box::new(plan), keys);
        }
        plan = self.limit(plan, query)?;
        Ok(Bound { plan, columns, origins })
    }
}

/// A body as a query of its own.
fn wrap(body: &sq::SetExpr) -> sq::Query {
    sq::Query {
        with: None,
        body: Box::new(body.clone()),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

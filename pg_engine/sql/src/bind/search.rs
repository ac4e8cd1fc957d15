//! SEARCH and CYCLE of recursive WITH queries: the query is given columns that tell the order of rows and whether one was met
//! before, as the standard defines them by a query without these clauses.

use alloc::{borrow::Cow, boxed::Box, format, string::String, vec::Vec};

use pg_plan::expr::Expr;
use pg_types::{Result, SqlError, SqlState};
use sqlparser::ast as sq;

use super::{Binder, part};
use crate::{
    ast::Ast,
    deparse::quote,
    grammar::{
        self,
        search::{Cycle, Search, clauses},
    },
    ruleutils::{Body, FromItem, QueryTree, SetNode, TableKind},
};

/// Names of the two sides of the union.
const LEFT: &str = "*TLOCRN*";
const RIGHT: &str = "*TROCRN*";
/// The first field of a row whose type says nothing of its fields: how deep a row lies. No identifier that a client sends
/// begins so.
pub(super) const DEPTH: &str = "\0depth";

fn clause_error(text: String, at: u32) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, text).at(at)
}

fn listed(columns: &[String], names: &[String], what: &str, at: u32) -> Result<()> {
    for (n, column) in columns.iter().enumerate() {
        if !names.contains(column) {
            return Err(clause_error(
                format!("{what} column \"{column}\" not in WITH query column list"),
                at,
            ));
        }
        if columns.iter().take(n).any(|c| c == column) {
            let text = format!("{what} column \"{column}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, text).at(at));
        }
    }
    Ok(())
}

fn unused(name: &str, names: &[String], what: &str, at: u32) -> Result<()> {
    if names.iter().any(|n| n == name) {
        let text = format!("{what} column name \"{name}\" already used in WITH query column list");
        return Err(clause_error(text, at));
    }
    Ok(())
}

fn check(search: Option<&Search>, cycle: Option<&Cycle>, names: &[String]) -> Result<()> {
    if let Some(s) = search {
        listed(&s.columns, names, "search", s.at)?;
        unused(&s.sequence, names, "search sequence", s.at)?;
    }
    if let Some(c) = cycle {
        listed(&c.columns, names, "cycle", c.at)?;
        unused(&c.mark, names, "cycle mark", c.at)?;
        unused(&c.path, names, "cycle path", c.at)?;
        if c.mark == c.path {
            let text = "cycle mark column name and cycle path column name are the same";
            return Err(clause_error(text.into(), c.at));
        }
    }
    if let (Some(s), Some(c)) = (search, cycle) {
        for (name, what) in [(&c.mark, "mark"), (&c.path, "path")] {
            if s.sequence == *name {
                let text = format!("search sequence column name and cycle {what} column name are the same");
                return Err(clause_error(text, s.at));
            }
        }
    }
    Ok(())
}

/// `ROW(side.a, side.b)`, behind `first`.
fn row(side: &str, first: &str, columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|c| format!("{}.{}", quote(side), quote(c))).collect();
    format!("ROW({first}{})", columns.join(", "))
}

/// A query of the text whose only FROM item, a subquery, has this body.
fn query_over(text: &str, body: sq::SetExpr) -> Result<(Box<sq::SetExpr>, Option<sq::TableAlias>)> {
    let parsed = grammar::statements(text)?;
    let wrong = || SqlError::internal("a query that was put together");
    let Some(Ast::Query(query)) = parsed.into_iter().next().map(|i| i.ast) else { return Err(wrong()) };
    let mut outer = query.body;
    let sq::SetExpr::Select(select) = &mut *outer else { return Err(wrong()) };
    let item = select.from.first_mut().map(|f| &mut f.relation);
    let Some(sq::TableFactor::Derived { subquery, alias, .. }) = item else { return Err(wrong()) };
    *subquery.body = body;
    let alias = alias.clone();
    Ok((outer, alias))
}

/// What the recursive term calls the query itself: a FROM item of its own level.
fn reference<'a>(select: &'a sq::Select, name: &str) -> Option<&'a sq::Ident> {
    fn inside<'a>(item: &'a sq::TableWithJoins, name: &str) -> Option<&'a sq::Ident> {
        let factors = core::iter::once(&item.relation).chain(item.joins.iter().map(|j| &j.relation));
        factors.into_iter().find_map(|f| match f {
            sq::TableFactor::Table { name: found, alias, args: None, .. } => match found.0.as_slice() {
                [one] => {
                    let ident = part(one).ok().filter(|i| i.value == name)?;
                    Some(alias.as_ref().map_or(ident, |a| &a.name))
                }
                _ => None,
            },
            sq::TableFactor::NestedJoin { table_with_joins, alias: None } => inside(table_with_joins, name),
            _ => None,
        })
    }
    select.from.iter().find_map(|item| inside(item, name))
}

impl Binder<'_> {
    /// The WITH query without SEARCH and CYCLE that means the same.
    pub(super) fn searched<'c>(&mut self, cte: &'c sq::Cte, recursive: bool) -> Result<Cow<'c, sq::Cte>> {
        if cte.from.is_none() {
            return Ok(Cow::Borrowed(cte));
        }
        let (search, cycle) = clauses(cte)?;
        let unsupported = |text: String| SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text);
        if !recursive {
            return Err(clause_error(
                "WITH query is not recursive".into(),
                super::scope::at(&cte.alias.name),
            ));
        }
        let name = &cte.alias.name.value;
        let sq::SetExpr::SetOperation { left, op: op @ sq::SetOperator::Union, set_quantifier, right } =
            &*cte.query.body
        else {
            return Err(clause_error(
                "WITH query is not recursive".into(),
                super::scope::at(&cte.alias.name),
            ));
        };
        for (side, which) in [(left, "left"), (right, "right")] {
            let select = match &**side {
                sq::SetExpr::Select(_) => true,
                sq::SetExpr::Query(q) => matches!(*q.body, sq::SetExpr::Select(_)),
                _ => false,
            };
            if !select {
                let text =
                    format!("with a SEARCH or CYCLE clause, the {which} side of the UNION must be a SELECT");
                return Err(if which == "left" { unsupported(text) } else { SqlError::syntax(text) });
            }
        }
        let names = self.names_of(cte, left)?;
        check(search.as_ref(), cycle.as_ref(), &names)?;
        if let Some(c) = &cycle {
            self.cycle_types(c)?;
        }
        let mut right = right.clone();
        let found = match &*right {
            sq::SetExpr::Select(select) => reference(select, name).cloned(),
            _ => None,
        };
        let (sq::SetExpr::Select(select), Some(itself)) = (&mut *right, found) else {
            let text = format!(
                "with a SEARCH or CYCLE clause, the recursive reference to WITH query \"{name}\" must be at the top level of its right-hand SELECT"
            );
            return Err(unsupported(text));
        };
        let mut added = Vec::new();
        added.extend(search.iter().map(|s| &s.sequence));
        added.extend(cycle.iter().flat_map(|c| [&c.mark, &c.path]));
        for column in &added {
            let path = Vec::from([itself.clone(), sq::Ident::with_quote('"', column.as_str())]);
            select.projection.push(sq::SelectItem::UnnamedExpr(sq::Expr::CompoundIdentifier(path)));
        }
        let (first, _) = query_over(&left_text(search.as_ref(), cycle.as_ref(), &names), (**left).clone())?;
        let text = right_text(search.as_ref(), cycle.as_ref(), &names);
        let (then, alias) = query_over(&text, *right)?;
        let mut found = cte.clone();
        found.from = None;
        found.alias.columns = alias.map(|a| a.columns).unwrap_or_default();
        *found.query.body =
            sq::SetExpr::SetOperation { op: *op, set_quantifier: *set_quantifier, left: first, right: then };
        Ok(Cow::Owned(found))
    }

    /// Names of the columns that the query has by itself.
    fn names_of(&mut self, cte: &sq::Cte, left: &sq::SetExpr) -> Result<Vec<String>> {
        let mut query = (*cte.query).clone();
        *query.body = left.clone();
        query.order_by = None;
        query.limit_clause = None;
        query.fetch = None;
        let bound = self.unrecorded(|b| b.enclosed(|b| b.query_here(&query)))?.0;
        let columns = super::cte::renamed(bound.columns, cte)?;
        Ok(columns.into_iter().map(|c| c.name).collect())
    }

    /// The two values of the mark.
    pub(super) fn cycle_values(&mut self, c: &Cycle) -> Result<(Expr, Expr)> {
        let mut bind = |text: &str| {
            let ast = grammar::expression(text)?;
            self.over_entry_untyped(&ast, super::scope::Entry::without_columns())
        };
        let (value, default) = (bind(&c.value)?, bind(&c.default)?);
        let ty = self.common_type(&[value.ty(), default.ty()], "CYCLE", c.at)?;
        let value = self.coerce_to_common(value, ty, "CYCLE/SET", c.at)?;
        Ok((value, self.coerce_to_common(default, ty, "CYCLE/DEFAULT", c.at)?))
    }

    /// They must have a type in common.
    fn cycle_types(&mut self, c: &Cycle) -> Result<()> {
        let ty = self.cycle_values(c)?.0.ty();
        if pg_functions::registry().equality_operator(ty.oid).is_none() {
            let text = format!("could not identify an equality operator for type {}", super::types::show(ty));
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, text));
        }
        Ok(())
    }
}

/// Makes of a recorded query over the two sides the union of these again; `added`: how many columns the clauses gave the right one.
pub(super) fn as_written(query: &mut QueryTree, added: usize) {
    let Body::Set(SetNode::Op { left, right, .. }) = &mut query.body else { return };
    for (side, added) in [(left, 0), (right, added)] {
        let SetNode::Leaf(leaf) = &mut **side else { continue };
        let Body::Select(select) = &mut leaf.body else { continue };
        let Some(FromItem::Table(table)) = select.from.pop() else { continue };
        let TableKind::Query(mut inner) = table.kind else { continue };
        if let Body::Select(select) = &mut inner.body {
            let kept = select.targets.len().saturating_sub(added);
            select.targets.truncate(kept);
        }
        **side = SetNode::Leaf(inner);
    }
}

fn list(side: &str, names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|n| format!("{}.{}", quote(side), quote(n))).collect();
    names.join(", ")
}

/// The side that begins.
fn left_text(search: Option<&Search>, cycle: Option<&Cycle>, names: &[String]) -> String {
    let mut targets = list(LEFT, names);
    if let Some(s) = search {
        targets.push_str(", ");
        targets.push_str(&match s.breadth {
            true => row(LEFT, "0::bigint, ", &s.columns),
            false => format!("ARRAY[{}]", row(LEFT, "", &s.columns)),
        });
    }
    if let Some(c) = cycle {
        targets.push_str(&format!(", {}, ARRAY[{}]", c.default, row(LEFT, "", &c.columns)));
    }
    let quoted: Vec<String> = names.iter().map(|n| quote(n)).collect();
    format!("SELECT {targets} FROM (SELECT 1) {}({})", quote(LEFT), quoted.join(", "))
}

/// The side that goes on, with all names of the result as its alias.
fn right_text(search: Option<&Search>, cycle: Option<&Cycle>, names: &[String]) -> String {
    let mut targets = list(RIGHT, names);
    let side = quote(RIGHT);
    let mut all = names.to_vec();
    let mut condition = String::new();
    if let Some(s) = search {
        let sequence = format!("{side}.{}", quote(&s.sequence));
        targets.push_str(", ");
        targets.push_str(&match s.breadth {
            true => row(RIGHT, &format!("({sequence}).\"{DEPTH}\" + 1, "), &s.columns),
            false => format!("{sequence} || ARRAY[{}]", row(RIGHT, "", &s.columns)),
        });
        all.push(s.sequence.clone());
    }
    if let Some(c) = cycle {
        let (path, here) = (format!("{side}.{}", quote(&c.path)), row(RIGHT, "", &c.columns));
        targets.push_str(&format!(
            ", CASE WHEN {here} = ANY ({path}) THEN {} ELSE {} END, {path} || ARRAY[{here}]",
            c.value, c.default
        ));
        condition = format!(" WHERE {side}.{} <> {}", quote(&c.mark), c.value);
        all.push(c.mark.clone());
        all.push(c.path.clone());
    }
    let quoted: Vec<String> = all.iter().map(|n| quote(n)).collect();
    format!("SELECT {targets} FROM (SELECT 1) {side}({}){condition}", quoted.join(", "))
}

//! WITH RECURSIVE.

use alloc::{boxed::Box, format, vec::Vec};

use pg_plan::{
    expr::Expr,
    logical::{Column, JoinKind, Logical, SetOp},
};
use pg_types::{Result, SqlError, SqlState, SqlType, oid};
use sqlparser::ast as sq;

use super::{
    Binder, Bound,
    collation::Derived,
    cte::renamed,
    expr::start,
    scope::{CteName, CteState, at},
};

const IN_LEFT: &str = "recursive reference to query \"{}\" must not appear within its non-recursive term";
pub(super) const WITHIN_SUBQUERY: &str =
    "recursive reference to query \"{}\" must not appear within a subquery";
const NO_UNION: &str =
    "recursive query \"{}\" does not have the form non-recursive-term UNION [ALL] recursive-term";

/// 42P19 for a query; `{}` in the text is its name.
pub(super) fn invalid_recursion(name: &str, text: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_RECURSION, text.replace("{}", name))
}

impl Binder<'_> {
    /// A query of WITH RECURSIVE, with what it needs from outside; `None`: it does not refer to itself.
    pub(super) fn recursive_cte(
        &mut self,
        cte: &sq::Cte,
        name: &str,
    ) -> Result<Option<(Bound, Vec<(u32, Expr)>)>> {
        let sq::SetExpr::SetOperation { left, op: sq::SetOperator::Union, set_quantifier, right } =
            &*cte.query.body
        else {
            return self.not_recursive(cte, name);
        };
        let all = *set_quantifier == sq::SetQuantifier::All;
        let level = self.frames.len().saturating_sub(1);
        self.frame()?.ctes.push(CteName { name: name.into(), state: CteState::Open(IN_LEFT, 0) });
        let result = self.enclosed(|b| {
            if let Some(with) = &cte.query.with {
                b.open_fault(level, WITHIN_SUBQUERY);
                b.with(with)?;
                b.open_fault(level, IN_LEFT);
            }
            let bound = b.recursive_union(cte, level, left, right, all)?;
            if bound.is_some() {
                b.record_query(&cte.query);
            }
            Ok(bound)
        });
        self.frame()?.ctes.pop();
        let (bound, args) = result?;
        let Some(bound) = bound else { return Ok(None) };
        match refused(&cte.query) {
            Some((what, at)) => {
                let text = format!("{what} in a recursive query is not implemented");
                Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).at(at))
            }
            None => Ok(Some((bound, args))),
        }
    }

    /// What a reference to the query being bound at this level is.
    fn open_fault(&mut self, level: usize, fault: &'static str) {
        if let Some(slot) = self.frames.get_mut(level).and_then(|f| f.ctes.last_mut()) {
            slot.state = CteState::Open(fault, 0);
        }
    }

    /// Not of the form that may refer to itself: a reference is an error.
    fn not_recursive(&mut self, cte: &sq::Cte, name: &str) -> Result<Option<(Bound, Vec<(u32, Expr)>)>> {
        self.frame()?
            .ctes
            .push(CteName { name: name.into(), state: CteState::Open(NO_UNION, at(&cte.alias.name)) });
        let result = self.enclosed(|b| b.query_here(&cte.query));
        self.frame()?.ctes.pop();
        let (bound, args) = result?;
        Ok(args.is_empty().then_some((bound, args)))
    }

    fn recursive_union(
        &mut self,
        cte: &sq::Cte,
        level: usize,
        left: &sq::SetExpr,
        right: &sq::SetExpr,
        all: bool,
    ) -> Result<Option<Bound>> {
        let name = &cte.alias.name.value;
        let (written, written_right) = (left, right);
        let left = self.deeper(|b| b.set_expr(left))?;
        let named = renamed(left.columns.clone(), cte)?;
        let number = self.ctes.len() as u32;
        self.ctes.push(pg_plan::statement::Cte::Rows(Logical::OneRow));
        let state = CteState::Working { columns: named.clone(), number, references: 0, at: 0 };
        if let Some(slot) = self.frames.get_mut(level).and_then(|f| f.ctes.last_mut()) {
            slot.state = state;
        }
        self.keep_unknown = true;
        let right = self.deeper(|b| b.set_expr(right));
        self.keep_unknown = false;
        let mut right = right?;
        let state = self.frames.get(level).and_then(|f| f.ctes.last()).map(|c| &c.state);
        let Some(CteState::Working { references: 1.., at: reference, .. }) = state else {
            // A plain union after all. The work table's number stays unused.
            return Ok(None);
        };
        let reference = *reference;
        if left.columns.len() != right.columns.len() {
            return Err(SqlError::syntax("each UNION query must have the same number of columns"));
        }
        let read = place_of(&right.plan, number);
        if let Place::Below("aggregate") = read {
            let text = "aggregate functions are not allowed in a recursive query's recursive term";
            return Err(SqlError::new(SqlState::INVALID_RECURSION, text).at(self.aggregate_at));
        }
        let mut types = Vec::with_capacity(left.columns.len());
        for (i, (l, r)) in left.columns.iter().zip(&right.columns).enumerate() {
            let common = self.common_type(&[l.ty, r.ty], "UNION", 0)?;
            // The modifier is that of both, or none.
            let common = if l.ty.oid == r.ty.oid && l.ty.typmod != r.ty.typmod {
                SqlType::new(common.oid)
            } else if common.oid == l.ty.oid {
                l.ty
            } else {
                common
            };
            if common != l.ty {
                let text = format!(
                    "recursive query \"{name}\" column {} has type {} in non-recursive term but type {} overall",
                    i + 1,
                    super::types::show_full(l.ty),
                    super::types::show_full(common)
                );
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text)
                    .hint("Cast the output of the non-recursive term to the correct type.")
                    .at(column_start(written, i)));
            }
            types.push(l.ty);
        }
        let set = self.set_collations([&left.columns, &right.columns], [written, written_right], all)?;
        self.recursive_collations(name, &left.columns, &set, written)?;
        self.align(&mut right, &types, "UNION")?;
        match read {
            Place::Fine => {}
            Place::Absent => {
                return Err(invalid_recursion(name, WITHIN_SUBQUERY).at(reference));
            }
            Place::Below(what) => {
                let text = format!("recursive reference to query \"{{}}\" must not appear within {what}");
                return Err(invalid_recursion(name, &text).at(reference));
            }
        }
        if !all {
            if named.iter().any(|c| matches!(c.ty.oid, oid::MONEY | oid::BIT | oid::VARBIT)) {
                let text = "could not implement recursive UNION";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
                    .detail("All column datatypes must be hashable."));
            }
            self.hashable(&named)?;
        }
        self.record_set(SetOp::Union, all);
        self.record_body();
        let columns: Vec<Column> = named.iter().map(|c| self.column(&c.name, c.ty)).collect();
        for (column, derived) in columns.iter().zip(set) {
            self.keep_collation(column.id, column.ty, derived);
        }
        let origins = columns.iter().map(|_| (0, 0)).collect();
        let plan = Logical::Recursive {
            work: number,
            all,
            left: Box::new(left.plan),
            right: Box::new(right.plan),
            columns: columns.clone(),
        };
        Ok(Some(Bound { plan, columns, origins }))
    }
}

impl Binder<'_> {
    /// The recursion must not change a column's collation: rows of the work table have that of the first term.
    fn recursive_collations(
        &self,
        name: &str,
        left: &[Column],
        set: &[Derived],
        written: &sq::SetExpr,
    ) -> Result<()> {
        let shown = |oid| self.collation_shown(oid);
        for (n, (column, overall)) in left.iter().zip(set).enumerate() {
            let own = self.column_derived(column.id, column.ty).oid();
            if own == 0 || overall.oid() == 0 || own == overall.oid() {
                continue;
            }
            let text = format!(
                "recursive query \"{name}\" column {} has collation \"{}\" in non-recursive term but collation \"{}\" overall",
                n + 1,
                shown(own),
                shown(overall.oid())
            );
            return Err(SqlError::new(SqlState::COLLATION_MISMATCH, text)
                .hint("Use the COLLATE clause to set the collation of the non-recursive term.")
                .at(column_start(written, n)));
        }
        Ok(())
    }
}

/// What may not stand behind a recursive UNION, and where it does.
fn refused(query: &sq::Query) -> Option<(&'static str, u32)> {
    if let Some(order) = &query.order_by {
        let first = match &order.kind {
            sq::OrderByKind::Expressions(keys) => keys.first().map_or(0, |k| start(&k.expr)),
            sq::OrderByKind::All(_) => 0,
        };
        return Some(("ORDER BY", first));
    }
    match &query.limit_clause {
        Some(sq::LimitClause::LimitOffset { offset: Some(offset), .. }) => {
            return Some(("OFFSET", start(&offset.value)));
        }
        Some(sq::LimitClause::LimitOffset { limit: Some(limit), .. }) => {
            return Some(("LIMIT", start(limit)));
        }
        Some(_) => return Some(("LIMIT", 0)),
        None => {}
    }
    if query.fetch.is_some() {
        return Some(("LIMIT", 0));
    }
    (!query.locks.is_empty()).then_some(("FOR UPDATE/SHARE", 0))
}

/// Where the expression of a column of the non-recursive term begins; 0: it has none of its own.
pub(super) fn column_start(term: &sq::SetExpr, column: usize) -> u32 {
    match term {
        sq::SetExpr::Select(select) => match select.projection.get(column) {
            Some(sq::SelectItem::UnnamedExpr(e) | sq::SelectItem::ExprWithAlias { expr: e, .. }) => start(e),
            _ => 0,
        },
        sq::SetExpr::Values(values) => values.rows.first().and_then(|r| r.get(column)).map_or(0, start),
        sq::SetExpr::Query(query) => column_start(&query.body, column),
        _ => 0,
    }
}

/// Where a plan reads the work table.
enum Place {
    Absent,
    Fine,
    /// Below an operator that would not see the recursion's rows one by one.
    Below(&'static str),
}

fn place_of(plan: &Logical, work: u32) -> Place {
    let below = |input: &Logical, what: &'static str| match place_of(input, work) {
        Place::Fine => Place::Below(what),
        other => other,
    };
    let either = |left: Place, right: Place| if matches!(left, Place::Absent) { right } else { left };
    match plan {
        Logical::CteScan { cte, .. } if *cte == work => Place::Fine,
        Logical::Filter(input, _)
        | Logical::Secure(input)
        | Logical::Project(input, _)
        | Logical::ProjectSet(input, _)
        | Logical::Distinct(input, _)
        | Logical::Sort(input, _)
        | Logical::Limit { input, .. }
        | Logical::Window { input, .. }
        | Logical::LockRows { input, .. } => place_of(input, work),
        Logical::Aggregate { input, .. } => below(input, "aggregate"),
        Logical::Join { kind, left, right, .. } => {
            let outer = "an outer join";
            let (null_left, null_right) = match kind {
                JoinKind::Left => (false, true),
                JoinKind::Right => (true, false),
                JoinKind::Full => (true, true),
                JoinKind::Inner | JoinKind::Semi | JoinKind::Anti => (false, false),
            };
            let side = |input: &Logical, nullable| {
                if nullable { below(input, outer) } else { place_of(input, work) }
            };
            either(side(left, null_left), side(right, null_right))
        }
        Logical::Set { op, all, inputs, .. } => {
            inputs.iter().enumerate().fold(Place::Absent, |found, (n, i)| {
                let here = match op {
                    SetOp::Except if n > 0 => below(i, "EXCEPT"),
                    SetOp::Intersect if *all => below(i, "INTERSECT"),
                    _ => place_of(i, work),
                };
                either(found, here)
            })
        }
        Logical::Recursive { left, right, .. } => either(place_of(left, work), place_of(right, work)),
        Logical::OneRow
        | Logical::Scan { .. }
        | Logical::FunctionScan { .. }
        | Logical::Values { .. }
        | Logical::CteScan { .. } => Place::Absent,
    }
}

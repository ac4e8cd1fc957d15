//! WITH RECURSIVE.

use alloc::{boxed::Box, format, vec::Vec};

use pg_plan::{
    expr::Expr,
    logical::{Column, JoinKind, Logical, SetOp},
};
use pg_types::{Result, SqlError, SqlState};
use sqlparser::ast as sq;

use super::{
    Binder, Bound,
    cte::renamed,
    scope::{CteName, CteState},
};

const IN_LEFT: &str = "recursive reference to query \"{}\" must not appear within its non-recursive term";
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
        self.frame()?.ctes.push(CteName { name: name.into(), state: CteState::Open(IN_LEFT) });
        let result = self.enclosed(|b| {
            if let Some(with) = &cte.query.with {
                b.with(with)?;
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
        let refused = [
            (cte.query.order_by.is_some(), "ORDER BY"),
            (cte.query.limit_clause.is_some() || cte.query.fetch.is_some(), "LIMIT"),
            (!cte.query.locks.is_empty(), "FOR UPDATE/SHARE"),
        ];
        if let Some((_, what)) = refused.iter().find(|r| r.0) {
            let text = format!("{what} in a recursive query is not implemented");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
        }
        Ok(Some((bound, args)))
    }

    /// Not of the form that may refer to itself: a reference is an error.
    fn not_recursive(&mut self, cte: &sq::Cte, name: &str) -> Result<Option<(Bound, Vec<(u32, Expr)>)>> {
        self.frame()?.ctes.push(CteName { name: name.into(), state: CteState::Open(NO_UNION) });
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
        let left = self.deeper(|b| b.set_expr(left))?;
        let named = renamed(left.columns.clone(), cte)?;
        let number = self.ctes.len() as u32;
        self.ctes.push(pg_plan::statement::Cte::Rows(Logical::OneRow));
        let state = CteState::Working { columns: named.clone(), number, references: 0 };
        if let Some(slot) = self.frames.get_mut(level).and_then(|f| f.ctes.last_mut()) {
            slot.state = state;
        }
        self.keep_unknown = true;
        let right = self.deeper(|b| b.set_expr(right));
        self.keep_unknown = false;
        let mut right = right?;
        let state = self.frames.get(level).and_then(|f| f.ctes.last()).map(|c| &c.state);
        if !matches!(state, Some(CteState::Working { references: 1.., .. })) {
            // A plain union after all. The work table's number stays unused.
            return Ok(None);
        }
        if left.columns.len() != right.columns.len() {
            return Err(SqlError::syntax("each UNION query must have the same number of columns"));
        }
        let mut types = Vec::with_capacity(left.columns.len());
        for (i, (l, r)) in left.columns.iter().zip(&right.columns).enumerate() {
            let common = self.common_type(&[l.ty, r.ty], "UNION", 0)?;
            if common.oid != l.ty.oid {
                let text = format!(
                    "recursive query \"{name}\" column {} has type {} in non-recursive term but type {} overall",
                    i + 1,
                    super::types::show(l.ty),
                    super::types::show(common)
                );
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text)
                    .hint("Cast the output of the non-recursive term to the correct type."));
            }
            types.push(l.ty);
        }
        self.align(&mut right, &types, "UNION")?;
        match place_of(&right.plan, number) {
            Place::Fine => {}
            Place::Absent => {
                let fault = "recursive reference to query \"{}\" must not appear within a subquery";
                return Err(invalid_recursion(name, fault));
            }
            Place::Below("aggregate") => {
                let text = "aggregate functions are not allowed in a recursive query's recursive term";
                return Err(SqlError::new(SqlState::INVALID_RECURSION, text));
            }
            Place::Below(what) => {
                let text = format!("recursive reference to query \"{{}}\" must not appear within {what}");
                return Err(invalid_recursion(name, &text));
            }
        }
        if !all {
            self.hashable(&named)?;
        }
        self.record_set(SetOp::Union, all);
        self.record_body();
        let columns: Vec<Column> = named.iter().map(|c| self.column(&c.name, c.ty)).collect();
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
        Logical::Set { op: SetOp::Except, left, right, .. } => {
            either(place_of(left, work), below(right, "EXCEPT"))
        }
        Logical::Set { op: SetOp::Intersect, all: true, left, right, .. } => {
            either(below(left, "INTERSECT"), below(right, "INTERSECT"))
        }
        Logical::Set { left, right, .. } | Logical::Recursive { left, right, .. } => {
            either(place_of(left, work), place_of(right, work))
        }
        Logical::OneRow
        | Logical::Scan { .. }
        | Logical::FunctionScan { .. }
        | Logical::Values { .. }
        | Logical::CteScan { .. } => Place::Absent,
    }
}

//! Hypothetical-set aggregates: where among the rows a row would stand that is not there.
//!
//! `rank(x) WITHIN GROUP (ORDER BY k)` is one more than the count of the rows that sort before `x`, and so are the others made of counts
//! with a FILTER.

use alloc::{boxed::Box, format, vec, vec::Vec};

use pg_functions::{Function, registry};
use pg_plan::{
    definition::Aggregated,
    expr::{Case, Expr},
    logical::{AggregateCall, SortKey},
};
use pg_types::{Result, SqlError, SqlType, Value, oid};
use sqlparser::ast as sq;

use super::{Binder, call::Arguments, expr::start, resolve};
use crate::ruleutils::Note;

/// Which one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hypothetical {
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
}

impl Hypothetical {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "rank" => Self::Rank,
            "dense_rank" => Self::DenseRank,
            "percent_rank" => Self::PercentRank,
            "cume_dist" => Self::CumeDist,
            _ => return None,
        })
    }
}

/// The rows that a count counts.
struct Counted<'f> {
    condition: Option<Expr>,
    filter: Option<&'f Expr>,
}

impl Counted<'_> {
    fn filter(self) -> Option<Expr> {
        match (self.condition, self.filter) {
            (Some(c), Some(f)) => Some(Expr::And(vec![f.clone(), c])),
            (c, f) => c.or_else(|| f.cloned()),
        }
    }
}

impl Binder<'_> {
    /// Binds such a call. What is directly given and the keys come in a common type each.
    #[inline(never)]
    pub(super) fn hypothetical(
        &mut self,
        which: Hypothetical,
        name: &str,
        f: &sq::Function,
        args: &Arguments<'_>,
        at: u32,
    ) -> Result<Expr> {
        self.frame()?.in_aggregate = true;
        let parts = self.hypothetical_parts(name, f, args, at);
        self.frame()?.in_aggregate = false;
        let (given, keys, filter) = parts?;
        let sorted = |b: &mut Self, or_equal| b.sorts_before(&given, &keys, or_equal, at);
        let before = sorted(self, false)?;
        let (one, rows) = (Expr::Const(Value::Int8(1), SqlType::new(oid::INT8)), name);
        let number = |b: &mut Self, condition, distinct| {
            let filter = Counted { condition, filter: filter.as_ref() }.filter();
            b.count_of(rows, distinct, filter)
        };
        let made = match which {
            Hypothetical::Rank => {
                let before = number(self, Some(before), None)?;
                self.operator("+", before, one, at)?
            }
            Hypothetical::DenseRank => {
                let row = keys.iter().map(|k| k.expr.clone()).collect();
                let row = Expr::Row(row, None, SqlType::new(oid::RECORD));
                let before = number(self, Some(before), Some(row))?;
                self.operator("+", before, one, at)?
            }
            Hypothetical::PercentRank => {
                let (before, all) = (number(self, Some(before), None)?, number(self, None, None)?);
                let none = Expr::Const(Value::Int8(0), SqlType::new(oid::INT8));
                let empty = self.operator("=", all.clone(), none, at)?;
                let share = self.share(before, all, at)?;
                let ty = SqlType::new(oid::FLOAT8);
                let whens = vec![(empty, Expr::Const(Value::Float8(0.0), ty))];
                Expr::Case(Box::new(Case { whens, otherwise: share, ty }))
            }
            Hypothetical::CumeDist => {
                let upto = sorted(self, true)?;
                let (upto, all) = (number(self, Some(upto), None)?, number(self, None, None)?);
                let upto = self.operator("+", upto, one.clone(), at)?;
                let all = self.operator("+", all, one, at)?;
                self.share(upto, all, at)?
            }
        };
        self.note(&made, || Note::Hypothetical(name.into(), given, keys, filter));
        Ok(made)
    }

    fn hypothetical_parts(
        &mut self,
        name: &str,
        f: &sq::Function,
        args: &Arguments<'_>,
        at: u32,
    ) -> Result<(Vec<Expr>, Vec<SortKey>, Option<Expr>)> {
        let mut given = Vec::with_capacity(args.exprs.len());
        for e in &args.exprs {
            given.push(self.expr(e)?);
        }
        let mut keys = Vec::with_capacity(f.within_group.len());
        for key in &f.within_group {
            keys.push(self.expr(&key.expr)?);
        }
        if given.len() != keys.len() {
            let types: Vec<SqlType> = given.iter().chain(&keys).map(Expr::ty).collect();
            let hint = format!(
                "To use the hypothetical-set aggregate {name}, the number of hypothetical direct arguments (here {}) must match the number of ordering columns (here {}).",
                given.len(),
                keys.len()
            );
            return Err(resolve::no_function(name, &types).hint(hint).at(at));
        }
        let mut order = self.sort_keys(&f.within_group)?;
        for (n, (direct, key)) in given.iter_mut().zip(keys).enumerate() {
            let place = args.exprs.get(n).map_or(at, |e| start(e));
            let common = self.common_type(&[key.ty(), direct.ty()], "WITHIN GROUP", place)?;
            let taken = core::mem::replace(direct, Expr::And(Vec::new()));
            *direct = self.coerce_to_common(taken, common, "WITHIN GROUP", place)?;
            let key = self.coerce_to_common(key, common, "WITHIN GROUP", place)?;
            if let Some(slot) = order.get_mut(n) {
                slot.expr = key;
            }
        }
        let filter = match &f.filter {
            None => None,
            Some(e) => {
                let condition = self.expr(e)?;
                Some(self.boolean(condition, "FILTER", start(e))?)
            }
        };
        Ok((given, order, filter))
    }

    /// Does a row sort before the given one, or (`or_equal`) not behind it?
    fn sorts_before(&mut self, given: &[Expr], keys: &[SortKey], or_equal: bool, at: u32) -> Result<Expr> {
        let mut result: Option<Expr> = None;
        for (given, key) in given.iter().zip(keys).rev() {
            let sign = if key.descending { ">" } else { "<" };
            let less = self.operator(sign, key.expr.clone(), given.clone(), at)?;
            let null = |e: &Expr, is| Expr::IsNull(Box::new(e.clone()), is);
            let nulls = if key.nulls_first {
                vec![null(&key.expr, true), null(given, false)]
            } else {
                vec![null(&key.expr, false), null(given, true)]
            };
            let before = vec![less, Expr::And(nulls)];
            let equal = self.equality(key.expr.clone(), given.clone(), at)?;
            let sides: Box<[Expr; 2]> = Box::new([key.expr.clone(), given.clone()]);
            let same = Expr::Distinct(equal.function, sides, true);
            result = Some(match result {
                None if or_equal => Expr::Or(before.into_iter().chain([same]).collect()),
                None => Expr::Or(before),
                Some(rest) => Expr::Or(before.into_iter().chain([Expr::And(vec![same, rest])]).collect()),
            });
        }
        result.ok_or_else(|| SqlError::internal("an order without keys"))
    }

    fn share(&mut self, part: Expr, all: Expr, at: u32) -> Result<Expr> {
        let float = SqlType::new(oid::FLOAT8);
        let (part, all) = (self.cast(part, float, at)?, self.cast(all, float, at)?);
        self.operator("/", part, all, at)
    }

    /// `count(*)`, or `count(DISTINCT row)`, with a FILTER.
    fn count_of(&mut self, name: &str, distinct: Option<Expr>, filter: Option<Expr>) -> Result<Expr> {
        let wanted = |f: &&&Function| f.args.is_empty() == distinct.is_none();
        let Some(function) = registry().functions_named("count").iter().find(wanted).copied() else {
            return Err(SqlError::internal("no count"));
        };
        let call = AggregateCall {
            function: Aggregated::Builtin(function),
            distinct: distinct.is_some(),
            args: distinct.into_iter().collect(),
            order_by: Vec::new(),
            filter,
            ty: SqlType::new(oid::INT8),
        };
        self.aggregated(name, call)
    }

    /// The column that a call becomes in its query level; calls that are the same share one.
    pub(super) fn aggregated(&mut self, name: &str, call: AggregateCall) -> Result<Expr> {
        let ty = call.ty;
        let same = |other: &AggregateCall| {
            let all = |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
            let keys = |a: &[SortKey], b: &[SortKey]| {
                a.len() == b.len()
                    && a.iter().zip(b).all(|(a, b)| {
                        a.descending == b.descending && a.nulls_first == b.nulls_first && a.expr.same(&b.expr)
                    })
            };
            other.function.oid() == call.function.oid()
                && other.distinct == call.distinct
                && all(&other.args, &call.args)
                && keys(&other.order_by, &call.order_by)
                && match (&other.filter, &call.filter) {
                    (None, None) => true,
                    (Some(a), Some(b)) => a.same(b),
                    _ => false,
                }
        };
        let existing = self.frame()?.aggregates.iter().find(|(_, c)| same(c)).map(|(c, _)| c.id);
        if let Some(id) = existing {
            return Ok(Expr::Column(id, ty));
        }
        let column = self.column(name, ty);
        let id = column.id;
        self.frame()?.aggregates.push((column, call));
        Ok(Expr::Column(id, ty))
    }
}

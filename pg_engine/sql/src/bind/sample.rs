//! TABLESAMPLE: a condition on the places of rows, above the scan.

use alloc::{boxed::Box, format, vec::Vec};

use pg_catalog::RelationKind;
use pg_functions::{CastContext, IN_SAMPLE};
use pg_plan::{expr::Expr, logical::Logical};
use pg_types::{Result, SqlError, SqlState, SqlType, Value, oid};
use sqlparser::ast as sq;

use super::{
    Binder,
    expr::start,
    scope::{Place, at},
};
use crate::{grammar, ruleutils::SampleText};

/// What a TABLESAMPLE clause says; its expressions know nothing of the table.
pub(super) struct Sample {
    pages: bool,
    percent: Expr,
    seed: Expr,
    given: bool,
    text: SampleText,
}

/// TABLESAMPLE where there can be none.
pub(super) fn misplaced(kind: &sq::TableSampleKind) -> SqlError {
    let at = grammar::sample::read(kind).map_or(0, |s| at(s.method));
    SqlError::syntax("syntax error at or near \"tablesample\"").at(at)
}

fn wrong_kind() -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "TABLESAMPLE clause can only be applied to tables and materialized views",
    )
}

impl Binder<'_> {
    /// Binds the clause, before its table is entered.
    pub(super) fn sample(&mut self, kind: &sq::TableSampleKind) -> Result<Sample> {
        let Some(clause) = grammar::sample::read(kind) else {
            return Err(SqlError::syntax("syntax error in TABLESAMPLE"));
        };
        let pages = match clause.name {
            "bernoulli" => false,
            "system" => true,
            name => {
                let text = format!("tablesample method {name} does not exist");
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text).at(at(clause.method)));
            }
        };
        let [percent] = clause.args.as_slice() else {
            let text =
                format!("tablesample method {} requires 1 argument, not {}", clause.name, clause.args.len());
            return Err(SqlError::new(SqlState::INVALID_TABLESAMPLE_ARGUMENT, text).at(at(clause.method)));
        };
        let (percent, shown) = self.sample_argument(percent, "TABLESAMPLE", oid::FLOAT4)?;
        let given = clause.seed.is_some();
        let (seed, shown_seed) = match clause.seed {
            Some(seed) => {
                let (seed, shown) = self.sample_argument(seed, "REPEATABLE", oid::FLOAT8)?;
                (seed, Some(shown))
            }
            // Chosen once for the whole statement.
            None => (self.expr(&grammar::expression("(SELECT pg_catalog.random())")?)?, None),
        };
        let text = SampleText { pages, percent: shown, seed: shown_seed };
        Ok(Sample { pages, percent, seed, given, text })
    }

    /// An argument, and as it is printed: without the conversion to the clause's type.
    fn sample_argument(&mut self, e: &sq::Expr, clause: &str, ty: u32) -> Result<(Expr, Expr)> {
        let bound = self.at_place(Place::From, |b| b.expr(e))?;
        let mut columns = 0;
        bound.for_each_column(&mut |_| columns += 1);
        if columns > 0 {
            return Err(SqlError::unsupported(format!("columns in the argument of {clause}")));
        }
        let from = bound.ty();
        let written = (from.oid != oid::UNKNOWN).then(|| bound.clone());
        match self.try_coerce(bound, SqlType::new(ty), CastContext::Assignment)? {
            Some(bound) => {
                let written = written.unwrap_or_else(|| bound.clone());
                Ok((bound, written))
            }
            None => Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "argument of {clause} must be type {}, not type {}",
                    pg_types::typeinfo::display(SqlType::new(ty)),
                    pg_types::typeinfo::display(from)
                ),
            )
            .at(start(e))),
        }
    }

    /// Leaves of the table that was entered last what the sample has.
    pub(super) fn sampled(&mut self, plan: Logical, sample: Sample, at: u32) -> Result<Logical> {
        let scan = self.frame()?.entries.last().and_then(|e| e.scan).and_then(|s| self.scans.get(s));
        let Some(scan) = scan else { return Err(wrong_kind().at(at)) };
        if !matches!(scan.relation.kind, RelationKind::Table | RelationKind::MaterializedView) {
            return Err(wrong_kind().at(at));
        }
        let ctid = scan.base + scan.relation.live().count() as u32;
        self.use_column(ctid);
        let Sample { pages, percent, seed, given, text } = sample;
        self.record_sample(text);
        let flag = |b: bool| Expr::Const(Value::Bool(b), SqlType::new(oid::BOOL));
        let args =
            Vec::from([Expr::Column(ctid, SqlType::new(oid::TID)), flag(pages), percent, seed, flag(given)]);
        let condition = self.call_of(IN_SAMPLE, args, 0)?;
        Ok(Logical::Filter(Box::new(plan), condition))
    }
}

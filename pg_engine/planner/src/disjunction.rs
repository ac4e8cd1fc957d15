//! Alternatives: what all of them ask for is taken out of an OR, and what each asks of one side of a join is asked of that
//! side alone as well.

use alloc::vec::Vec;

use pg_plan::expr::Expr;

use crate::{
    columns::ColumnSet,
    estimate::{Knowledge, selectivity},
};

/// `(a AND b) OR (a AND c)` as the conjuncts `a` and `b OR c`, of every conjunct of a condition.
pub(crate) fn factored(condition: Expr) -> Vec<Expr> {
    let mut out = Vec::new();
    for part in condition.conjuncts() {
        match part {
            Expr::Or(arms) => factor(arms, &mut out),
            other => out.push(other),
        }
    }
    out
}

fn factor(arms: Vec<Expr>, out: &mut Vec<Expr>) {
    let mut arms: Vec<Vec<Expr>> = arms.into_iter().map(Expr::conjuncts).collect();
    let Some((first, others)) = arms.split_first() else { return };
    let common: Vec<Expr> = first
        .iter()
        .filter(|e| !e.volatile() && others.iter().all(|arm| arm.iter().any(|o| o.same(e))))
        .cloned()
        .collect();
    for arm in &mut arms {
        arm.retain(|e| !common.iter().any(|c| c.same(e)));
    }
    out.extend(common);
    // An arm that asked for nothing else makes the rest true.
    if arms.iter().all(|arm| !arm.is_empty()) {
        out.push(Expr::Or(arms.into_iter().filter_map(Expr::all_of).collect()));
    }
}

/// What an OR over several relations implies for the columns of some of them; `None`: nothing.
pub(crate) fn restriction(condition: &Expr, columns: &ColumnSet) -> Option<Expr> {
    let Expr::Or(arms) = condition else { return None };
    if columns.covers(condition) || condition.volatile() || condition.has_subplan() {
        return None;
    }
    let own = |e: &Expr| columns.touches(e) && columns.covers(e);
    let arms = arms.iter().map(|arm| match arm {
        Expr::And(parts) => Expr::all_of(parts.iter().filter(|e| own(e)).cloned().collect()),
        one => own(one).then(|| one.clone()),
    });
    arms.collect::<Option<Vec<_>>>().map(Expr::Or)
}

/// The fraction of pairs that a join condition keeps of those that what it implies for either side has left.
pub(crate) fn join_selectivity(e: &Expr, left: &ColumnSet, right: &ColumnSet, known: &dyn Knowledge) -> f64 {
    let sides = [left, right].map(|side| restriction(e, side).map_or(1.0, |r| selectivity(&r, known)));
    let kept = selectivity(e, known) / (sides[0] * sides[1]);
    if kept.is_finite() { kept.clamp(0.0, 1.0) } else { 1.0 }
}

//! Which columns tell the rows of an operator apart.

use alloc::vec::Vec;

use pg_plan::{
    expr::{ColumnId, Expr},
    logical::Logical,
};

use crate::{
    columns::ColumnSet,
    estimate::{column_of, is_equality},
    pushdown::outputs,
    unnest::lasting,
};

/// Has a join by these conditions at most one row of `right` for any row of the other side?
pub(crate) fn at_most_one(right: &Logical, on: &[Expr]) -> bool {
    let own = ColumnSet::of(outputs(right).iter().map(|c| c.id));
    let equated: Vec<ColumnId> = on.iter().filter_map(|e| equated(e, &own)).collect();
    unique(right, &equated)
}

/// Does an outer join say nothing, because nobody reads the columns of `right`, of which each row of the other side finds one row or
/// none? `read` says who is read.
pub(crate) fn says_nothing(right: &Logical, on: &[Expr], read: &dyn Fn(ColumnId) -> bool) -> bool {
    !outputs(right).iter().any(|c| read(c.id))
        && !on.iter().any(Expr::volatile)
        && lasting(right)
        && at_most_one(right, on)
}

/// The column of `own` that a condition says is equal to something of elsewhere.
fn equated(condition: &Expr, own: &ColumnSet) -> Option<ColumnId> {
    let Expr::Call(call) = condition else { return None };
    let [a, b] = call.args.as_slice() else { return None };
    if !is_equality(call.function) {
        return None;
    }
    match (column_of(a).filter(|c| own.contains(*c)), column_of(b).filter(|c| own.contains(*c))) {
        (Some(c), None) if !own.touches(b) => Some(c),
        (None, Some(c)) if !own.touches(a) => Some(c),
        _ => None,
    }
}

/// Are no two rows equal in these columns, NULLs aside?
fn unique(node: &Logical, columns: &[ColumnId]) -> bool {
    match node {
        Logical::OneRow => true,
        Logical::Scan { relation, columns: scanned, .. } => {
            let has = |attnum: i16| scanned.iter().any(|(c, a)| *a == attnum && columns.contains(&c.id));
            relation.indexes.iter().any(|i| {
                i.unique
                    && i.valid
                    && !i.deferrable
                    && i.predicate.is_none()
                    && i.keys.iter().take(i.key_count).all(|k| k.attnum > 0 && has(k.attnum))
            })
        }
        // What is equal to something of elsewhere is the same in all rows.
        Logical::Filter(input, condition) => {
            let own = ColumnSet::of(outputs(input).iter().map(|c| c.id));
            let mut known = columns.to_vec();
            match condition {
                Expr::And(parts) => known.extend(parts.iter().filter_map(|e| equated(e, &own))),
                one => known.extend(equated(one, &own)),
            }
            unique(input, &known)
        }
        Logical::Sort(input, _) => unique(input, columns),
        Logical::Project(input, defined) => {
            let below: Vec<ColumnId> = defined
                .iter()
                .filter(|(c, _)| columns.contains(&c.id))
                .filter_map(|(_, e)| column_of(e))
                .collect();
            unique(input, &below)
        }
        Logical::Aggregate { groups, seeds, .. } => {
            seeds.is_empty() && groups.iter().all(|(c, _)| columns.contains(&c.id))
        }
        Logical::Distinct(input, None) => outputs(input).iter().all(|c| columns.contains(&c.id)),
        _ => false,
    }
}

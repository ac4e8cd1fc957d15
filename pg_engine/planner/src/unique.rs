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
};

/// Has a join by these conditions at most one row of `right` for any row of the other side?
pub(crate) fn at_most_one(right: &Logical, on: &[Expr]) -> bool {
    let own = ColumnSet::of(outputs(right).iter().map(|c| c.id));
    let equated: Vec<ColumnId> = on.iter().filter_map(|e| equated(e, &own)).collect();
    unique(right, &equated)
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
        Logical::Filter(input, _) | Logical::Sort(input, _) => unique(input, columns),
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

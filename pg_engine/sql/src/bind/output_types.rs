//! The declared types of a query's columns: of which domains they are, where their values are of the base type.

use pg_plan::{
    expr::Expr,
    logical::{Column, Logical},
    statement::Body,
};
use pg_types::{SqlType, user};

/// Deepest nesting of queries that is looked into.
const MAX_DEPTH: usize = 100;

/// What a result column is declared as.
pub(super) fn declared(body: &Body, column: &Column) -> SqlType {
    match body {
        Body::Select(plan) => of_column(plan, column.id, MAX_DEPTH).unwrap_or(column.ty),
        _ => column.ty,
    }
}

/// The declared type of a column that this plan makes; `None`: it is not told here.
fn of_column(plan: &Logical, id: u32, depth: usize) -> Option<SqlType> {
    let depth = depth.checked_sub(1)?;
    match plan {
        Logical::Scan { relation, columns, .. } => {
            let (_, attnum) = columns.iter().find(|(c, _)| c.id == id)?;
            relation.live().find(|a| a.attnum == *attnum).map(|a| a.declared)
        }
        Logical::Project(input, made) => {
            let (_, e) = made.iter().find(|(c, _)| c.id == id)?;
            of_value(input, e, depth)
        }
        Logical::Aggregate { input, groups, .. } => {
            let (_, e) = groups.iter().find(|(c, _)| c.id == id)?;
            of_value(input, e, depth)
        }
        Logical::Join { left, right, .. } => {
            of_column(left, id, depth).or_else(|| of_column(right, id, depth))
        }
        Logical::Set { inputs, columns, .. } => {
            let n = columns.iter().position(|c| c.id == id)?;
            let mut sides = inputs.iter().map(|plan| of_column(plan, outputs(plan)?.get(n)?.id, depth));
            let first = sides.next()??;
            sides.all(|s| s == Some(first)).then_some(first)
        }
        Logical::Filter(input, _)
        | Logical::Secure(input)
        | Logical::ProjectSet(input, _)
        | Logical::Window { input, .. }
        | Logical::Distinct(input, _)
        | Logical::Sort(input, _)
        | Logical::Limit { input, .. }
        | Logical::LockRows { input, .. } => of_column(input, id, depth),
        _ => None,
    }
}

/// The columns of one side of a set operation.
fn outputs(plan: &Logical) -> Option<alloc::vec::Vec<Column>> {
    let mut columns = alloc::vec::Vec::new();
    super::dml::collect_columns(plan, &mut columns);
    (!columns.is_empty()).then_some(columns)
}

/// The declared type of a value over a plan's columns.
fn of_value(input: &Logical, e: &Expr, depth: usize) -> Option<SqlType> {
    let depth = depth.checked_sub(1)?;
    let same = |first: &Expr, others: &mut dyn FnMut(&dyn Fn(&Expr) -> bool) -> bool| {
        let found = of_value(input, first, depth)?;
        others(&|e| of_value(input, e, depth) == Some(found)).then_some(found)
    };
    match e {
        Expr::Domain(d) if user::is_domain(d.oid) => Some(SqlType::new(d.oid)),
        Expr::ArrayCoerce(_, element, _) => match &**element {
            Expr::Domain(d) if user::is_domain(d.oid) => Some(SqlType::new(d.oid + 1)),
            _ => None,
        },
        Expr::Column(id, _) => of_column(input, *id, depth),
        Expr::Coalesce(items, _) => same(items.first()?, &mut |is| items.iter().all(is)),
        Expr::Case(case) => same(&case.otherwise, &mut |is| case.whens.iter().all(|w| is(&w.1))),
        _ => None,
    }
}

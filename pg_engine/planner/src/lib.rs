//! Bound queries to physical plans.
//!
//! # Owns
//! Rewrites (push-down of conditions), the cost model and statistics arithmetic, join ordering, choice of access path, and
//! the text of EXPLAIN.
//!
//! # How a plan is made
//! 1. `rewrite` folds constants (an error of that is kept by the plan, and raised when it would run), turns EXISTS and IN into joins and outer joins into inner ones where a condition above
//!    allows; `pushdown` moves conditions towards the tables.
//!    Correlated subqueries that could be joined are planned both ways (`decorrelate`).
//! 2. `build` translates operators bottom up, with the set of columns needed above: what nobody reads is not
//!    produced. It hands an order that would save a sort down to the scans.
//! 3. `access` chooses among sequential and index scans, `join` orders inner joins and picks a method for each.
//! 4. Column ids become positions as each operator is made.
//!
//! # Must not know
//! SQL text, how plans are run.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod access;
mod build;
mod change;
mod columns;
mod decorrelate;
mod disjunction;
mod ends;
mod equal;
mod estimate;
mod explain;
mod first;
mod fold;
mod generic;
mod implied;
mod join;
mod joint;
mod late;
mod order;
mod probe;
mod pushdown;
mod rewrite;
mod set;
pub mod settings;
mod unique;
mod unnest;
mod window;

use alloc::{boxed::Box, vec::Vec};

use pg_catalog::CatalogReader;
use pg_plan::{
    physical::Physical,
    statement::{Body, Command, Cte, Planned, Query, ResultColumn},
};
use pg_types::{Result, Value};

pub use explain::{Actual, Computed, Held, Measured, Usage, explain};
pub use settings::PlannerSettings;

/// Plans a query.
pub fn plan(query: Query, catalog: &dyn CatalogReader, settings: &PlannerSettings) -> Result<Planned> {
    plan_for(query, &[], catalog, settings)
}

/// Plans a query for these values of its parameters: they are constants to it. The plan is run with the same values.
pub fn plan_for(
    query: Query,
    values: &[Value],
    catalog: &dyn CatalogReader,
    settings: &PlannerSettings,
) -> Result<Planned> {
    let changes = |cte: &Cte| matches!(cte, Cte::Change(body) if is_lasting(body));
    let lasting = is_lasting(&query.body) || query.ctes.iter().any(changes);
    let mut planner = build::Planner::new(catalog, settings, query.slots, values);
    let mut ctes: Vec<Physical> = Vec::with_capacity(query.ctes.len());
    let mut changing_ctes = Vec::new();
    let mut failed = Vec::new();
    for (n, cte) in query.ctes.into_iter().enumerate() {
        let plan = match cte {
            Cte::Rows(rows) => planner.query(rows)?.plan,
            Cte::Change(body) => {
                changing_ctes.push(n);
                body_plan(&mut planner, body)?.0
            }
        };
        planner.cte_rows.push(plan.estimate.rows);
        failed.extend(planner.failed.take().map(|e| (n, e)));
        ctes.push(plan);
    }
    let (root, command, locks) = body_plan(&mut planner, query.body)?;
    let read = |n: usize| changing_ctes.contains(&n) || planner.cte_read.contains(n as u32);
    let failed = failed.into_iter().find(|(n, _)| read(*n)).map(|f| f.1).or(planner.failed);
    let suits_any_values = ctes.is_empty() && generic::suits_any_values(&root);
    let origins = query.origins.iter().copied().chain(core::iter::repeat((0, 0)));
    let columns = query
        .columns
        .into_iter()
        .zip(origins)
        .map(|(c, (table, attnum))| ResultColumn { name: c.name, ty: c.ty, table, attnum })
        .collect();
    Ok(Planned {
        root,
        columns,
        ctes,
        params: query.params,
        slots: planner.slots,
        relations: query.relations,
        read_only: !locks && changing_ctes.is_empty(),
        lasting,
        changing_ctes,
        denied: failed.map(Box::new).or(query.denied),
        command,
        cacheable: query.cacheable,
        suits_any_values,
    })
}

/// A body's plan, its command, and whether it locks or changes rows.
fn body_plan(planner: &mut build::Planner<'_>, body: Body) -> Result<(Physical, Command, bool)> {
    Ok(match body {
        Body::Select(logical) => {
            let locks = has_locks(&logical);
            (planner.query(logical)?.plan, Command::Select, locks)
        }
        Body::Call(logical) => (planner.query(logical)?.plan, Command::Call, false),
        Body::Insert(body) => (planner.insert(body)?, Command::Insert, true),
        Body::Update(body) => (planner.update(body)?, Command::Update, true),
        Body::Delete(body) => (planner.delete(body)?, Command::Delete, true),
        Body::Family(bodies) => {
            let mut inputs = Vec::with_capacity(bodies.len());
            let mut command = Command::Update;
            for body in bodies {
                let (plan, own, _) = body_plan(planner, body)?;
                command = own;
                inputs.push(plan);
            }
            let types = inputs.first().map_or_else(Vec::new, |p| p.types.clone());
            let mut estimate = inputs.first().map_or_else(Default::default, |p| p.estimate);
            estimate.rows = inputs.iter().map(|p| p.estimate.rows).sum();
            (Physical { node: pg_plan::physical::Node::Append(inputs), types, estimate }, command, true)
        }
        Body::Merge(body) => (planner.merge(body)?, Command::Merge, true),
    })
}

/// Does it change or lock rows of anything but temporary tables?
fn is_lasting(body: &Body) -> bool {
    let permanent = |r: &pg_catalog::Relation| r.persistence != b't';
    match body {
        Body::Select(logical) => locks_any(logical, &permanent),
        Body::Call(_) => false,
        Body::Insert(body) => permanent(&body.target.relation),
        Body::Update(body) => permanent(&body.target.relation),
        Body::Delete(body) => permanent(&body.target.relation),
        Body::Merge(body) => permanent(&body.target.relation),
        Body::Family(bodies) => bodies.iter().any(is_lasting),
    }
}

fn has_locks(node: &pg_plan::logical::Logical) -> bool {
    locks_any(node, &|_| true)
}

fn locks_any(node: &pg_plan::logical::Logical, which: &dyn Fn(&pg_catalog::Relation) -> bool) -> bool {
    use pg_plan::logical::Logical as L;
    let has_locks = |i: &L| locks_any(i, which);
    match node {
        L::LockRows { tables, input, .. } => {
            tables.iter().any(|t| t.strength < 4 && which(&t.relation)) || has_locks(input)
        }
        other => other.inputs().any(has_locks),
    }
}

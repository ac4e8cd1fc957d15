//! Nested loops whose inner side is a tree of operators over tables (a view, UNION ALL, a table with heirs, a grouping): the conditions
//! of the join go down into it as far as conditions may, with the outer row's values in slots, so that the tables below are read
//! through their indexes.

use alloc::vec::Vec;

use pg_catalog::RelationKind;
use pg_plan::{
    expr::Expr,
    logical::{JoinKind, Logical},
};
use pg_types::Result;

use crate::{
    build::{Planner, Sub, Wish},
    columns::ColumnSet,
    pushdown::{output, push_down},
};

/// What an input must cost as a whole for probing it to be thought about: planning it anew costs something as well.
const WORTH: f64 = 100.0;
/// Ways to probe that are remembered for one statement.
const MAX_TRIED: usize = 64;

/// An inner side, and the outer expressions that its slots are set from.
pub(crate) type Probed = (Sub, Vec<(u32, Expr)>);

/// One that was planned: the orders of joins ask again and again.
pub(crate) struct Tried {
    own: ColumnSet,
    join: Vec<Expr>,
    needed: ColumnSet,
    probed: Option<Probed>,
}

impl Planner<'_> {
    /// `tree` read for each row of what has the columns `outer`; `join`: conjuncts between the two. `whole`: what it costs read once.
    pub(crate) fn parameterised_tree(
        &mut self,
        tree: &Logical,
        whole: f64,
        join: &[Expr],
        outer: &ColumnSet,
        needed: &ColumnSet,
    ) -> Result<Option<Probed>> {
        if whole < WORTH || join.is_empty() || join.iter().any(|e| e.volatile() || e.has_subplan()) {
            return Ok(None);
        }
        let own = ColumnSet::of(output(tree));
        let same = |t: &&Tried| {
            t.own == own
                && t.join.len() == join.len()
                && t.join.iter().zip(join).all(|(a, b)| a.same(b))
                && t.needed == *needed
        };
        if let Some(known) = self.tried.iter().find(same) {
            return Ok(known.probed.clone());
        }
        if self.tried.len() >= MAX_TRIED {
            return Ok(None);
        }
        let probed =
            self.probed(tree, join, outer, &own, needed)?.filter(|(sub, _)| sub.plan.estimate.total < whole);
        self.tried.push(Tried { own, join: join.to_vec(), needed: needed.clone(), probed: probed.clone() });
        Ok(probed)
    }

    fn probed(
        &mut self,
        tree: &Logical,
        join: &[Expr],
        outer: &ColumnSet,
        own: &ColumnSet,
        needed: &ColumnSet,
    ) -> Result<Option<Probed>> {
        let (mut slots, mut conditions) = (Vec::new(), Vec::with_capacity(join.len()));
        for condition in join {
            let mut condition = condition.clone();
            self.slotted(&mut condition, outer, own, &mut slots);
            conditions.push(condition);
        }
        let sub = self.operator(push_down(tree.clone(), conditions), needed, &Wish::none())?;
        Ok((!slots.is_empty()).then_some((sub, slots)))
    }
}

/// May it be run again and again, with fewer rows, and give what one run would, and does that help?
pub(crate) fn may_probe(node: &Logical) -> bool {
    repeats(node) && has_index(node)
}

fn has_index(node: &Logical) -> bool {
    match node {
        Logical::Scan { relation, .. } => {
            relation.kind == RelationKind::Table && !relation.indexes.is_empty()
        }
        other => other.inputs().any(has_index),
    }
}

fn repeats(node: &Logical) -> bool {
    let settled = |e: &Expr| !e.volatile() && !e.has_subplan();
    let own = match node {
        Logical::Scan { .. } | Logical::Secure(_) | Logical::Distinct(_, None) | Logical::Set { .. } => true,
        Logical::Filter(_, condition) => settled(condition),
        Logical::Project(_, columns) => columns.iter().all(|(_, e)| settled(e)),
        Logical::Join { kind, on, lateral, .. } => {
            *kind != JoinKind::Full && lateral.is_empty() && on.iter().all(settled)
        }
        Logical::Aggregate { groups, aggregates, seeds, .. } => {
            seeds.is_empty()
                && groups.iter().all(|(_, e)| settled(e))
                && aggregates.iter().all(|(_, a)| a.args.iter().chain(&a.filter).all(settled))
        }
        _ => false,
    };
    own && node.inputs().all(repeats)
}

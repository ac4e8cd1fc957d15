//! Joins of which the first rows are wanted: instead of joining everything to sort it and throw most away, one input is read in the
//! wanted order, which it has by an index, and the others are probed for each of its rows. Nested loops keep the left order.
//!
//! The way is taken where it is clearly cheaper for the rows that will be asked for, by the estimates: if more rows than expected
//! have no partner, more of the input has to be read than was thought.

use alloc::vec::Vec;

use pg_plan::{
    expr::{ColumnId, Expr},
    logical::JoinKind,
};
use pg_types::Result;

use crate::{
    build::{Planner, Sub, Wish},
    columns::ColumnSet,
    equal::Conditions,
    join::{FEW_PROBES, Input, Joined},
};

/// How many times cheaper it must be.
const RISK: f64 = 2.0;

/// Has an operator with these columns all of the order?
pub(crate) fn gives(columns: &[ColumnId], wish: &Wish) -> bool {
    wish.order.iter().all(|k| columns.contains(&k.column))
}

impl Planner<'_> {
    /// Of the best plan for all rows of inner joins and the ways to the first of them, the cheapest for what is wished.
    pub(crate) fn first_of_all(
        &mut self,
        best: Sub,
        inputs: &[Input],
        conditions: &Conditions,
        needed: &ColumnSet,
        wish: &Wish,
    ) -> Result<Sub> {
        let mut chosen = best;
        if wish.first.is_none() || !self.settings.enable_nestloop {
            return Ok(chosen);
        }
        let rows = chosen.rows();
        for (n, input) in inputs.iter().enumerate() {
            let Some(start) = self.start(input, rows, needed, wish)? else { continue };
            let Some(sub) = self.probed_in_turn(start, n, inputs, conditions, needed)? else { continue };
            chosen = self.cheaper(chosen, sub, wish);
        }
        Ok(chosen)
    }

    /// The same of one join that keeps its left rows in their order.
    pub(crate) fn first_of_two(
        &mut self,
        kind: JoinKind,
        best: Sub,
        (left, right): (&Input, &Input),
        on: &[Expr],
        needed: &ColumnSet,
        wish: &Wish,
    ) -> Result<Sub> {
        if wish.first.is_none() || !self.settings.enable_nestloop {
            return Ok(best);
        }
        let Some(start) = self.start(left, best.rows(), needed, wish)? else { return Ok(best) };
        match self.following(kind, &start, right, on, needed, f64::INFINITY)? {
            Some(sub) => Ok(self.cheaper(best, sub, wish)),
            None => Ok(best),
        }
    }

    fn cheaper(&self, best: Sub, first: Sub, wish: &Wish) -> Sub {
        let cost = |sub: &Sub| wish.cost_of(sub, self.settings);
        if cost(&first) * RISK < cost(&best) { first } else { best }
    }

    /// An input in the wanted order, if it comes in it by itself; `rows`: how many the whole join yields.
    fn start(&mut self, input: &Input, rows: f64, needed: &ColumnSet, wish: &Wish) -> Result<Option<Joined>> {
        if !gives(&input.sub.columns, wish) {
            return Ok(None);
        }
        let wish = wish.through(rows / input.sub.rows().max(1.0));
        let sub = match (&input.table, &input.again) {
            (Some(table), _) => self.scan(table, needed, &wish)?,
            (None, Some(node)) => self.operator(node.clone(), needed, &wish)?,
            (None, None) => return Ok(None),
        };
        Ok(sub.ordered_by(&wish.order).then(|| Joined { sub, ..input.joined(0) }))
    }

    /// All other inputs joined to the one that the rows start from: always the one next that makes it cheapest.
    fn probed_in_turn(
        &mut self,
        start: Joined,
        at: usize,
        inputs: &[Input],
        conditions: &Conditions,
        needed: &ColumnSet,
    ) -> Result<Option<Sub>> {
        let mut joined = start;
        let mut left: Vec<&Input> =
            inputs.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, i)| i).collect();
        while !left.is_empty() {
            let mut best: Option<(usize, Sub)> = None;
            for (n, input) in left.iter().enumerate() {
                let on = conditions.applicable(&joined.ids, &input.ids);
                if on.is_empty() {
                    continue;
                }
                let bound = best.as_ref().map_or(f64::INFINITY, |b| b.1.plan.estimate.total);
                if let Some(sub) = self.following(JoinKind::Inner, &joined, input, &on, needed, bound)? {
                    best = Some((n, sub));
                }
            }
            let Some((n, sub)) = best else { return Ok(None) };
            joined = joined.with(&left.remove(n).ids, 0, sub);
        }
        Ok(Some(joined.sub))
    }

    /// One input joined in the order of the left rows: probed, or gone through if it is small.
    fn following(
        &mut self,
        kind: JoinKind,
        left: &Joined,
        right: &Input,
        on: &[Expr],
        needed: &ColumnSet,
        bound: f64,
    ) -> Result<Option<Sub>> {
        let kept = self.kept(on, &left.ids, &right.ids);
        let best = self.probing_join(kind, left, right, on, needed, (kept, bound))?;
        if right.sub.rows() > FEW_PROBES {
            return Ok(best);
        }
        let bound = best.as_ref().map_or(bound, |b| b.plan.estimate.total);
        Ok(self.plain_loop(kind, left, right, on, (kept, bound))?.or(best))
    }
}

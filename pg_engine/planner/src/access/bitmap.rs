//! Several indexes of a table together: rows that all of some conditions find, or any of the alternatives of one.

use alloc::{sync::Arc, vec::Vec};

use pg_catalog::{Index, IndexMethod};
use pg_plan::{
    expr::Expr,
    physical::{Bitmap, Estimate, Node, Physical},
};
use pg_types::Result;

use super::{INDEX_ENTRY, Match, PAGE, Table, libm_log2, match_index, total_width};
use crate::{
    build::{Planner, Sub},
    columns::ColumnSet,
    estimate::{self, selectivity},
};

/// A part of a bitmap.
struct Part {
    bitmap: Bitmap,
    /// The share of the table's rows that it finds.
    share: f64,
    cost: f64,
    /// The conditions that it answers, by position.
    used: Vec<usize>,
}

impl Planner<'_> {
    /// The table read through several of its indexes, if they have something to say together.
    pub(super) fn bitmap_scan(
        &mut self,
        table: &Table,
        needed: &ColumnSet,
        (pages, rows, out): (f64, f64, f64),
    ) -> Result<Option<Sub>> {
        let indexes = table.relation.indexes.iter().filter(|i| i.valid && i.method == IndexMethod::BTree);
        let alternatives = table.conditions.iter().any(|c| matches!(c, Expr::Or(_)));
        let enough = table.conditions.len() > 1 && indexes.count() > 1;
        if !self.settings.enable_bitmapscan || !table.relation.kind.is_stored() || !(enough || alternatives) {
            return Ok(None);
        }
        let mut parts = self.parts(table, table.conditions.len(), rows)?;
        for (n, condition) in table.conditions.iter().enumerate() {
            if let Expr::Or(list) = condition
                && let Some((all, cost)) = self.alternatives(table, n, list, rows)?
            {
                let share = selectivity(condition, &self.knowledge());
                parts.push(Part { bitmap: Bitmap::Or(all), share, cost, used: Vec::from([n]) });
            }
        }
        parts.sort_by(|a, b| a.share.total_cmp(&b.share));
        let mut chosen: Vec<Part> = Vec::new();
        let mut cost = f64::INFINITY;
        for part in parts {
            if part.used.iter().any(|n| chosen.iter().any(|c| c.used.contains(n))) {
                continue;
            }
            let total = self.bitmap_cost(chosen.iter().chain([&part]), table, (pages, rows));
            if total < cost {
                cost = total;
                chosen.push(part);
            }
        }
        // One index by itself is read in its own order.
        if let [] | [Part { bitmap: Bitmap::Index(..), .. }] = chosen.as_slice() {
            return Ok(None);
        }
        let startup = chosen.iter().map(|c| c.cost).sum();
        let mut bitmaps: Vec<Bitmap> = chosen.into_iter().map(|c| c.bitmap).collect();
        let bitmap = match bitmaps.pop() {
            Some(only) if bitmaps.is_empty() => only,
            last => {
                bitmaps.extend(last);
                Bitmap::And(bitmaps)
            }
        };
        let all: Vec<usize> = (0..table.conditions.len()).collect();
        let (columns, filter) = self.yielded(table, needed, &all)?;
        let types = columns.iter().map(|(c, _)| c.ty).collect::<Vec<_>>();
        let estimate = Estimate { startup, total: cost, rows: out, width: total_width(&types) };
        let node = Node::BitmapScan {
            relation: table.relation.clone(),
            alias: table.alias.clone(),
            bitmap,
            columns: columns.iter().map(|(_, a)| *a).collect(),
            filter,
        };
        let columns = columns.iter().map(|(c, _)| c.id).collect();
        Ok(Some(Sub { plan: Physical { node, types, estimate }, columns, order: Vec::new() }))
    }

    /// What each index finds by itself that answers one of the first conditions at least.
    fn parts(&mut self, table: &Table, first: usize, rows: f64) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for index in &table.relation.indexes {
            if !index.valid || index.method != IndexMethod::BTree {
                continue;
            }
            let Some(bound) = self.bound(index, table)? else { continue };
            let found = match_index(index, &bound, table, 0);
            let plain = |n: &usize| table.conditions.get(*n).is_some_and(|c| !c.has_subplan());
            if found.used.iter().any(|n| *n < first) && found.used.iter().all(plain) {
                parts.push(self.part(table, index, found, rows));
            }
        }
        Ok(parts)
    }

    fn part(&self, table: &Table, index: &Arc<Index>, found: Match, rows: f64) -> Part {
        let known = self.knowledge();
        let used = found.used.iter().filter_map(|n| table.conditions.get(*n));
        let share: f64 = used.map(|c| selectivity(c, &known)).product();
        let entries = (rows * share).max(1.0);
        let key = index.keys.iter().map(|k| 1.0 + f64::from(estimate::width(k.ty.oid))).sum::<f64>();
        let settings = self.settings;
        let descent = libm_log2(rows) * settings.cpu_operator_cost + 0.25;
        let leaves = entries * (key + INDEX_ENTRY) / PAGE * settings.seq_page_cost;
        // Each entry is put in order, too.
        let each = settings.cpu_index_tuple_cost + 2.0 * settings.cpu_operator_cost;
        let cost = descent + leaves + entries * each;
        let estimate = Estimate { startup: 0.0, total: cost, rows: entries, width: 0 };
        Part { bitmap: Bitmap::Index(index.clone(), found.range, estimate), share, cost, used: found.used }
    }

    /// For each alternative of a condition the index that finds its rows with the least effort; `None`: one has none.
    fn alternatives(
        &mut self,
        table: &Table,
        condition: usize,
        list: &[Expr],
        rows: f64,
    ) -> Result<Option<(Vec<Bitmap>, f64)>> {
        let others = table.conditions.iter().enumerate();
        let others: Vec<Expr> = others.filter(|(n, _)| *n != condition).map(|(_, c)| c.clone()).collect();
        let (mut bitmaps, mut cost) = (Vec::with_capacity(list.len()), 0.0);
        for alternative in list {
            let mut conditions = alternative.clone().conjuncts();
            let own = conditions.len();
            conditions.extend(others.iter().cloned());
            let narrowed = Table { conditions, ..table.clone() };
            let parts = self.parts(&narrowed, own, rows)?;
            let Some(best) = parts.into_iter().min_by(|a, b| a.cost.total_cmp(&b.cost)) else {
                return Ok(None);
            };
            cost += best.cost;
            bitmaps.push(best.bitmap);
        }
        Ok(Some((bitmaps, cost)))
    }

    fn bitmap_cost<'p>(
        &self,
        parts: impl Iterator<Item = &'p Part>,
        table: &Table,
        (pages, rows): (f64, f64),
    ) -> f64 {
        let (share, cost) = parts.fold((1.0, 0.0), |(s, c), p| (s * p.share, c + p.cost));
        let fetched: f64 = (rows * share).max(1.0);
        let pages = pages.max(1.0);
        // Mackert and Lohman, "Index scans using a finite LRU buffer" (1989), for a buffer that holds all of them.
        let touched = (2.0 * pages * fetched / (2.0 * pages + fetched)).min(pages);
        let settings = self.settings;
        // The more of them, the more lie beside each other.
        let (single, next) = (self.page_cost(pages), settings.seq_page_cost);
        let page = if single > next { single - (single - next) * (touched / pages) } else { single };
        let each = settings.cpu_tuple_cost + settings.cpu_operator_cost * (1 + table.conditions.len()) as f64;
        cost + touched * page + fetched * each
    }
}

//! Ways to read one table: sequentially, through an index, or through several together.

mod bitmap;

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_catalog::{Index, IndexMethod, Relation, RelationKind};
use pg_functions::{CastMethod, registry};
use pg_plan::{
    expr::{Call, ColumnId, Expr, SubPlanKind, SubQuery},
    logical::Column,
    physical::{Estimate, IndexRange, Node, Physical},
};
use pg_types::{Oid, Result, SqlType, Value, oid};

use crate::{
    build::{OrderKey, Planner, Sub, Wish},
    columns::{ColumnSet, to_positions},
    estimate::{self, Knowledge, selectivity, table_size},
};

/// Bytes of an index entry beside its key.
const INDEX_ENTRY: f64 = 18.0;
/// Bytes of a page.
const PAGE: f64 = 8192.0;
/// Share of the cache that a table's pages are likely to be in memory up to, rather than in what is behind it.
const LARGE_SHARE: f64 = 16.0;
/// Pages of a table from which on several tasks read it.
const SHARED_PAGES: f64 = 512.0;
/// What a subquery that reads through an index costs each time, of what it costs alone: what its neighbours have read is in memory.
const AT_HAND: f64 = 0.25;
/// `pg_am.oid` of the B-tree.
const BTREE: Oid = 403;

/// A table to be read: what the access paths choose from.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) relation: Arc<Relation>,
    pub(crate) alias: String,
    pub(crate) columns: Vec<(Column, i16)>,
    /// Conjuncts over the table's columns, constants, parameters and slots.
    pub(crate) conditions: Vec<Expr>,
}

/// What an index can do with a conjunct.
#[derive(Clone)]
enum Use {
    /// B-tree strategy 1 to 5 with this bound.
    Compare(u8, Expr),
    AnyOf(Expr),
    IsNull,
    NotNull,
}

/// An index with the part of it that the conditions select.
#[derive(Clone)]
struct Match {
    range: IndexRange,
    /// Conditions that the range guarantees, by position.
    used: Vec<usize>,
    /// Leading columns with an equality.
    equal: usize,
    /// Columns among them.
    constant: Vec<ColumnId>,
    /// Conditions that the index's predicate guarantees.
    certain: Vec<usize>,
    /// The index leaves rows out.
    partial: bool,
    /// Of a hash index: what it has the hash of.
    hashed: Option<Expr>,
}

impl Match {
    /// Is nothing of this condition left to be asked of the rows?
    fn answers(&self, condition: usize) -> bool {
        self.used.contains(&condition) || self.certain.contains(&condition)
    }
}

/// An index's keys in terms of a statement's columns, and which conditions its predicate answers.
struct Bound {
    keys: Vec<Expr>,
    certain: Vec<usize>,
}

impl Planner<'_> {
    /// The cheapest way to read the table.
    pub(crate) fn scan(&mut self, table: &Table, needed: &ColumnSet, wish: &Wish) -> Result<Sub> {
        let wanted = wish.order.as_slice();
        if table.conditions.iter().any(never) {
            return Ok(nothing(table.columns.iter().map(|(c, _)| c), needed, wanted));
        }
        let planned;
        let table = if table.conditions.iter().any(Expr::has_subplan) {
            planned = self.with_subqueries(table.clone())?;
            &planned
        } else {
            table
        };
        let (pages, rows) = table_size(self.catalog, &table.relation);
        let known = self.knowledge();
        let kept = estimate::all_of(&table.conditions, &known);
        let out = (rows * kept).max(1.0);
        let settings = self.settings;
        let per_row = settings.cpu_tuple_cost + settings.cpu_operator_cost * table.conditions.len() as f64;
        let (once, repeated) = if table.conditions.iter().any(Expr::has_subplan) {
            self.subquery_cost(&table.conditions)
        } else {
            (0.0, 0.0)
        };
        // Several tasks read a large table.
        let share = if pages >= SHARED_PAGES { 0.5 } else { 1.0 };
        let mut total = pages * settings.seq_page_cost + rows * (per_row * share + repeated) + once;
        if !settings.enable_seqscan {
            total += 1.0e10;
        }
        let mut best = self.seq_scan(table, needed, Estimate { startup: 0.0, total, rows: out, width: 0 })?;
        let sort = |sub: &Sub| {
            let e = sub.plan.estimate;
            let told_apart = settings.cpu_operator_cost * e.rows * wish.distinct.len() as f64;
            told_apart + wish.cost_of(sub, settings)
        };
        if !has_indexes(&table.relation) {
            return Ok(best);
        }
        let mut best_cost = sort(&best);
        for index in table.relation.indexes.iter().filter(|i| i.valid) {
            let Some(bound) = self.bound(index, table)? else { continue };
            for found in self.matches(index, &bound, table, &wish.distinct) {
                let candidates =
                    self.index_scans(table, index, (&bound, &found), needed, wish, (pages, rows, out))?;
                for candidate in candidates {
                    // Nothing beats one row, however small the table is now: the plan may be kept until it is large.
                    if is_point(index, &found) && settings.enable_indexscan {
                        return Ok(candidate);
                    }
                    let cost = sort(&candidate);
                    if cost < best_cost {
                        best_cost = cost;
                        best = candidate;
                    }
                }
            }
        }
        if let Some(candidate) = self.bitmap_scan(table, needed, (pages, rows, out))?
            && sort(&candidate) < best_cost
        {
            best = candidate;
        }
        Ok(best)
    }

    /// What an index can do for the conditions: with bounds on its leading columns; behind leading columns without; with one row for
    /// each combination of the columns that are to differ.
    fn matches(&self, index: &Index, bound: &Bound, table: &Table, distinct: &[ColumnId]) -> Vec<Match> {
        let mut all = Vec::from([match_index(index, bound, table, 0)]);
        if index.method != IndexMethod::BTree || !table.relation.kind.is_stored() {
            return all;
        }
        let known = self.knowledge();
        // Only where statistics tell how many values there are.
        let told = |n: usize| {
            let column = bound.keys.get(n).and_then(estimate::column_of);
            let readable = index.keys.get(n).is_some_and(pg_catalog::keys::is_decodable);
            readable && column.and_then(|id| known.column(id)).is_some_and(|c| c.0.is_some())
        };
        let first = &all[0];
        if first.used.is_empty() {
            let leading = (1..bound.keys.len()).take_while(|n| told(*n - 1));
            let behind = leading.map(|n| match_index(index, bound, table, n)).find(|m| !m.used.is_empty());
            all.extend(behind);
        }
        let first = &all[0];
        let answered = (0..table.conditions.len()).all(|i| first.answers(i));
        if answered && !distinct.is_empty() && first.range.any_of.is_none() {
            let differs = |n: &usize| {
                let column = bound.keys.get(*n).and_then(estimate::column_of);
                column.is_some_and(|id| distinct.contains(&id))
            };
            let leading = first.equal..bound.keys.len();
            let columns: Vec<usize> = leading.take_while(|n| told(*n) && differs(n)).collect();
            let rest = distinct.iter().filter(|id| !first.constant.contains(id)).count();
            if rest > 0 && columns.len() == rest && (0..first.equal).all(told) {
                let mut once = first.clone();
                once.range.distinct = first.equal + rest;
                all.push(once);
            }
        }
        all
    }

    /// The scans of an index that are worth a thought.
    fn index_scans(
        &mut self,
        table: &Table,
        index: &Arc<Index>,
        (bound, found): (&Bound, &Match),
        needed: &ColumnSet,
        wish: &Wish,
        sizes: (f64, f64, f64),
    ) -> Result<Vec<Sub>> {
        let mut all = Vec::new();
        let wanted = wish.order.as_slice();
        let ordered = index.method == IndexMethod::BTree;
        if !ordered && found.used.is_empty() {
            return Ok(all);
        }
        let stored = table.relation.kind != RelationKind::Virtual;
        let only =
            ordered && stored && self.settings.enable_indexonlyscan && covers(index, table, needed, found);
        for backward in [false, true] {
            let mut order = index_order(index, bound, found, backward);
            let useful = !wanted.is_empty() && gives(&order, wanted, found);
            if useful {
                order = wanted.to_vec();
            }
            let once = found.range.distinct > 0;
            let of_use = !found.used.is_empty() || found.partial || only || once;
            // Which row is the first, the order says.
            if (!of_use || backward || once && !wanted.is_empty()) && !useful {
                continue;
            }
            all.push(self.index_scan(table, index, found, (backward, only), order, needed, sizes)?);
        }
        Ok(all)
    }

    /// The table with the subqueries of its conditions planned, once for all ways to read it, and conditions that have some
    /// behind the others.
    pub(crate) fn with_subqueries(&mut self, mut table: Table) -> Result<Table> {
        for condition in &mut table.conditions {
            self.plan_subqueries(condition)?;
        }
        table.conditions.sort_by_key(Expr::has_subplan);
        Ok(table)
    }

    /// What planned subqueries in conditions cost: once, and for each row that the conditions are asked of.
    pub(crate) fn subquery_cost(&self, conditions: &[Expr]) -> (f64, f64) {
        let known = self.knowledge();
        let (mut once, mut repeated, mut reach) = (0.0, 0.0, 1.0);
        for condition in conditions {
            let mut add = |e: &Expr| {
                if let Expr::SubPlan(sub) = e
                    && let SubQuery::Physical(plan) = &sub.query
                {
                    let Estimate { startup, total, rows, .. } = plan.estimate;
                    // The first row is enough.
                    let cost = match sub.kind {
                        SubPlanKind::Exists => startup + (total - startup) / rows.max(1.0),
                        _ => total,
                    };
                    match sub.correlated {
                        true if by_index(plan) => repeated += cost * AT_HAND * reach,
                        true => repeated += cost * reach,
                        false => once += cost,
                    }
                }
                false
            };
            condition.any(&mut add);
            reach *= selectivity(condition, &known);
        }
        (once, repeated)
    }

    /// An expression that the catalogs have as text, over a statement's columns; `None`: it reads one that the statement does not
    /// have at hand.
    pub(crate) fn stored_expression(
        &self,
        relation: &Arc<Relation>,
        columns: &[(Column, i16)],
        text: &str,
    ) -> Result<Option<Expr>> {
        let mut e = pg_sql::bind_scalar(text, Some(relation), None, self.catalog)?;
        let attribute = |id: ColumnId| i16::try_from(id + 1).ok().and_then(|a| own(columns, a));
        let mut known = true;
        e.for_each_column(&mut |id| known &= attribute(id).is_some());
        crate::columns::substitute(&mut e, &|id| attribute(id).map(|c| Expr::Column(c.id, c.ty)));
        // Rows that an index is of have been computed without an error.
        drop(crate::fold::fold(&mut e));
        Ok(known.then_some(e))
    }

    /// An index's keys and predicate over the table's columns; `None`: the conditions do not imply the predicate.
    fn bound(&self, index: &Index, table: &Table) -> Result<Option<Bound>> {
        let own = |attnum: i16| own(&table.columns, attnum);
        let stored = |text: &str| self.stored_expression(&table.relation, &table.columns, text);
        let mut certain = Vec::new();
        if let Some(text) = &index.predicate {
            let Some(predicate) = stored(text)? else { return Ok(None) };
            if !crate::implied::implied(&predicate, &table.conditions) {
                return Ok(None);
            }
            let guaranteed = |c: &Expr| crate::implied::implied(c, core::slice::from_ref(&predicate));
            certain = (0..table.conditions.len())
                .filter(|i| table.conditions.get(*i).is_some_and(|c| !c.volatile() && guaranteed(c)))
                .collect();
        }
        let mut keys = Vec::with_capacity(index.key_count);
        for key in index.keys.iter().take(index.key_count) {
            let key = match &key.expression {
                Some(text) => stored(text)?,
                None => own(key.attnum).map(|c| Expr::Column(c.id, c.ty)),
            };
            let Some(key) = key else { break };
            keys.push(key);
        }
        Ok(Some(Bound { keys, certain }))
    }

    fn seq_scan(&mut self, table: &Table, needed: &ColumnSet, mut estimate: Estimate) -> Result<Sub> {
        let all: Vec<usize> = (0..table.conditions.len()).collect();
        let (columns, filter) = self.yielded(table, needed, &all)?;
        let types = columns.iter().map(|(c, _)| c.ty).collect::<Vec<_>>();
        estimate.width = total_width(&types);
        let node = Node::SeqScan {
            relation: table.relation.clone(),
            alias: table.alias.clone(),
            columns: columns.iter().map(|(_, a)| *a).collect(),
            filter,
        };
        let columns = columns.iter().map(|(c, _)| c.id).collect();
        Ok(Sub { plan: Physical { node, types, estimate }, columns, order: Vec::new() })
    }

    #[allow(clippy::too_many_arguments, reason = "one candidate's facts")]
    fn index_scan(
        &mut self,
        table: &Table,
        index: &Arc<Index>,
        found: &Match,
        (backward, only): (bool, bool),
        order: Vec<OrderKey>,
        needed: &ColumnSet,
        (pages, rows, out): (f64, f64, f64),
    ) -> Result<Sub> {
        let rest: Vec<usize> = (0..table.conditions.len()).filter(|i| !found.answers(*i)).collect();
        let known = self.knowledge();
        let all = found.used.iter().chain(found.certain.iter().filter(|i| !found.used.contains(i)));
        let used = all.filter_map(|i| table.conditions.get(*i));
        let selected: f64 = used.map(|c| selectivity(c, &known)).product();
        let point = is_point(index, found);
        let mut fetched = if point { 1.0 } else { (rows * selected).max(1.0) };
        // How often the scan goes down to the leaves anew, and how often it reads one only to find where.
        let (mut jumps, mut looks) = (1.0, 0.0);
        if found.range.distinct > 0 {
            fetched = self.leading_values(table, index, found.equal..found.range.distinct).min(fetched);
            jumps = fetched;
        } else if found.range.skip > 0 {
            looks = self.leading_values(table, index, 0..found.range.skip).min(rows);
            jumps = looks;
        }
        let settings = self.settings;
        // A repeated or small read finds its pages in memory: random pages are charged as the pool's size suggests.
        let touched = fetched.min(pages.max(1.0));
        let page_cost = self.page_cost(pages);
        let steps = if found.hashed.is_some() { 1.0 } else { libm_log2(rows) };
        let descent = steps * settings.cpu_operator_cost + 0.25;
        let per_row = settings.cpu_tuple_cost
            + settings.cpu_index_tuple_cost
            + settings.cpu_operator_cost * (1 + rest.len()) as f64;
        let heap_cost = match only {
            false => touched * page_cost,
            true => {
                // Without a condition nothing speaks for the pages being in memory more than for a sequential scan's.
                let page_cost = if found.used.is_empty() { settings.random_page_cost } else { page_cost };
                let key = index.keys.iter().map(|k| 1.0 + f64::from(estimate::width(k.ty.oid))).sum::<f64>();
                let leaves = (rows * selected * (key + INDEX_ENTRY) / PAGE).min(fetched);
                touched * page_cost * (1.0 - self.catalog.visible_share(&table.relation))
                    + leaves * settings.seq_page_cost
            }
        };
        // Reading a leaf looks at all its entries.
        let leaf = PAGE / (2.0 * INDEX_ENTRY) * settings.cpu_index_tuple_cost / 4.0;
        let jumping = (jumps - 1.0) * (descent + leaf) + looks * (descent + leaf);
        let asked = || rest.iter().filter_map(|i| table.conditions.get(*i));
        let (once, repeated) = match asked().any(Expr::has_subplan) {
            true => self.subquery_cost(&asked().cloned().collect::<Vec<_>>()),
            false => (0.0, 0.0),
        };
        let mut total = descent + jumping + heap_cost + fetched * (per_row + repeated) + once;
        if !settings.enable_indexscan {
            total += 1.0e10;
        }
        let mut needed = needed.clone();
        found.hashed.iter().for_each(|key| needed.add(key));
        let (columns, filter) = self.yielded(table, &needed, &rest)?;
        let mut key = found.hashed.clone();
        if let Some(key) = &mut key {
            to_positions(key, &columns.iter().map(|(c, _)| c.id).collect::<Vec<_>>())?;
        }
        let types = columns.iter().map(|(c, _)| c.ty).collect::<Vec<_>>();
        let out = match point {
            true => out.min(1.0),
            false if found.range.distinct > 0 => fetched,
            false => out,
        };
        let estimate = Estimate { startup: descent, total, rows: out, width: total_width(&types) };
        let mut range = found.range.clone();
        self.plan_range(&mut range)?;
        let node = Node::IndexScan {
            relation: table.relation.clone(),
            index: index.clone(),
            alias: table.alias.clone(),
            range,
            backward,
            only,
            columns: columns.iter().map(|(_, a)| *a).collect(),
            key,
            filter,
        };
        let columns = columns.iter().map(|(c, _)| c.id).collect();
        Ok(Sub { plan: Physical { node, types, estimate }, columns, order })
    }

    /// What it costs to read one page of a table of so many, of which a few are read.
    fn page_cost(&self, pages: f64) -> f64 {
        let settings = self.settings;
        if pages < settings.effective_cache_size / LARGE_SHARE {
            0.25
        } else if pages < settings.effective_cache_size {
            settings.random_page_cost / 2.0
        } else {
            settings.random_page_cost
        }
    }

    /// How many combinations of values an index's columns have.
    fn leading_values(&self, table: &Table, index: &Index, keys: core::ops::Range<usize>) -> f64 {
        let known = self.knowledge();
        let column = |attnum: i16| table.columns.iter().find(|(_, a)| *a == attnum).map(|(c, _)| c.id);
        let ids = index.keys.get(keys).unwrap_or_default().iter().filter_map(|k| column(k.attnum));
        ids.map(|id| estimate::distinct(id, &known)).product::<f64>().max(1.0)
    }

    /// Bounds may hold subqueries.
    fn plan_range(&mut self, range: &mut IndexRange) -> Result<()> {
        let bounds = range.equal.iter_mut();
        let ends = [range.lower.as_mut().map(|l| &mut l.0), range.upper.as_mut().map(|u| &mut u.0)];
        for e in bounds.chain(ends.into_iter().flatten()).chain(range.any_of.as_mut()) {
            self.plan_subqueries(e)?;
        }
        Ok(())
    }

    /// The columns that a scan must yield (needed above or by the filter) and the filter over them.
    fn yielded(
        &mut self,
        table: &Table,
        needed: &ColumnSet,
        conditions: &[usize],
    ) -> Result<(Vec<(Column, i16)>, Option<Expr>)> {
        let mut set = needed.clone();
        let kept: Vec<Expr> = conditions.iter().filter_map(|i| table.conditions.get(*i).cloned()).collect();
        kept.iter().for_each(|c| set.add(c));
        let columns: Vec<_> = table.columns.iter().filter(|(c, _)| set.contains(c.id)).cloned().collect();
        let ids: Vec<ColumnId> = columns.iter().map(|(c, _)| c.id).collect();
        let mut filter = Expr::all_of(kept);
        if let Some(f) = &mut filter {
            self.plan_subqueries(f)?;
            to_positions(f, &ids)?;
        }
        Ok((columns, filter))
    }

    /// A table read through an index by values of the rows on its left, set in slots for each: the inner side of a
    /// nested loop. `join`: conjuncts between `outer`'s columns and the table's. Returns the inner side and the slots.
    pub(crate) fn parameterised_scan(
        &mut self,
        table: &Table,
        join: &[Expr],
        outer: &ColumnSet,
        needed: &ColumnSet,
    ) -> Result<Option<(Sub, Vec<(u32, Expr)>)>> {
        if !has_indexes(&table.relation) || table.relation.indexes.is_empty() {
            return Ok(None);
        }
        let own = ColumnSet::of(table.columns.iter().map(|(c, _)| c.id));
        let mut inner = table.clone();
        let mut slots = Vec::new();
        let first_slot = self.slots;
        for condition in join {
            let mut condition = condition.clone();
            self.slotted(&mut condition, outer, &own, &mut slots);
            inner.conditions.push(condition);
        }
        let sub = self.scan(&inner, needed, &Wish::none())?;
        let reads_slot = |e: &Expr| e.any(&mut |e| matches!(e, Expr::Slot(n, _) if *n >= first_slot));
        let reads = |range: &IndexRange| {
            let ends = [range.lower.as_ref().map(|l| &l.0), range.upper.as_ref().map(|u| &u.0)];
            range.equal.iter().chain(ends.into_iter().flatten()).chain(&range.any_of).any(reads_slot)
        };
        let useful = match &sub.plan.node {
            Node::IndexScan { range, .. } => reads(range),
            Node::BitmapScan { bitmap, .. } => bitmap.leaves().iter().any(|(_, range)| reads(range)),
            _ => false,
        };
        Ok(useful.then_some((sub, slots)))
    }

    /// Replaces the outer columns of a join condition by slots.
    pub(crate) fn slotted(
        &mut self,
        expr: &mut Expr,
        outer: &ColumnSet,
        own: &ColumnSet,
        slots: &mut Vec<(u32, Expr)>,
    ) {
        if let Expr::Column(id, ty) = expr {
            if outer.contains(*id) && !own.contains(*id) {
                let ty = *ty;
                let found =
                    slots.iter().find(|(_, e)| matches!(e, Expr::Column(c, _) if c == id)).map(|s| s.0);
                let slot = found.unwrap_or_else(|| {
                    let slot = self.slots;
                    self.slots += 1;
                    slots.push((slot, Expr::Column(*id, ty)));
                    slot
                });
                *expr = Expr::Slot(slot, ty);
            }
            return;
        }
        expr.for_each_child_mut(&mut |e| self.slotted(e, outer, own, slots));
    }
}

/// Is all that it reads of one table read through an index?
fn by_index(plan: &Physical) -> bool {
    match &plan.node {
        Node::IndexScan { .. } | Node::BitmapScan { .. } => true,
        Node::Filter(input, _)
        | Node::Project(input, _)
        | Node::HashAggregate { input, .. }
        | Node::Sort { input, .. }
        | Node::Limit { input, .. } => by_index(input),
        _ => false,
    }
}

/// Is no row wanted?
pub(crate) fn never(condition: &Expr) -> bool {
    matches!(condition, Expr::Const(Value::Bool(false) | Value::Null, _))
}

/// What is read of an operator of which no row is wanted.
pub(crate) fn nothing<'c>(
    columns: impl Iterator<Item = &'c Column>,
    needed: &ColumnSet,
    order: &[OrderKey],
) -> Sub {
    let (columns, types): (Vec<_>, Vec<_>) =
        columns.filter(|c| needed.contains(c.id)).map(|c| (c.id, c.ty)).unzip();
    let estimate = Estimate { rows: 1.0, width: total_width(&types), ..Estimate::default() };
    Sub { plan: Physical { node: Node::Values(Vec::new()), types, estimate }, columns, order: order.to_vec() }
}

/// Does it yield no rows whatever there is?
pub(crate) fn is_nothing(plan: &Physical) -> bool {
    match &plan.node {
        Node::Values(rows) => rows.is_empty(),
        Node::Project(input, _) | Node::Filter(input, _) | Node::Sort { input, .. } => is_nothing(input),
        _ => false,
    }
}

/// A statement's column by its number in the table.
fn own(columns: &[(Column, i16)], attnum: i16) -> Option<&Column> {
    columns.iter().find(|(_, a)| *a == attnum && *a > 0).map(|(c, _)| c)
}

pub(crate) fn libm_log2(x: f64) -> f64 {
    // The position of the highest bit is exact enough for a cost.
    f64::from(63 - (x.max(2.0) as u64).leading_zeros())
}

fn total_width(types: &[SqlType]) -> u32 {
    types.iter().map(|t| estimate::width(t.oid)).sum()
}

/// Are all columns that a scan yields or filters by in the index's keys, and can they be read from them?
fn covers(index: &Index, table: &Table, needed: &ColumnSet, found: &Match) -> bool {
    let known = |i: &usize| found.used.contains(i) || found.certain.contains(i);
    let rest = table.conditions.iter().enumerate().filter(|(i, _)| !known(i));
    let mut set = needed.clone();
    rest.for_each(|(_, c)| set.add(c));
    let mut wanted = table.columns.iter().filter(|(c, _)| set.contains(c.id));
    // A key's columns are read from its front: those before the last one that is wanted too. The carried part is found at once.
    let (compared, carried) = index.keys.split_at(index.key_count.min(index.keys.len()));
    let readable = compared.iter().take_while(|k| pg_catalog::keys::is_decodable(k)).chain(carried);
    let readable: Vec<_> = readable.map(|k| (k.attnum, k.ty.oid)).collect();
    wanted.all(|(c, attnum)| *attnum > 0 && readable.contains(&(*attnum, c.ty.oid)))
}

/// At most one row.
fn is_point(index: &Index, found: &Match) -> bool {
    index.unique && !index.deferrable && found.equal == index.key_count
}

/// Which conditions an index can answer behind so many leading columns.
fn match_index(index: &Index, bound: &Bound, table: &Table, skip: usize) -> Match {
    let mut found = Match {
        range: IndexRange { skip, ..IndexRange::default() },
        used: Vec::new(),
        equal: 0,
        constant: Vec::new(),
        certain: bound.certain.clone(),
        partial: index.predicate.is_some(),
        hashed: bound.keys.first().filter(|_| index.method == IndexMethod::Hash).cloned(),
    };
    for (key, e) in index.keys.iter().zip(&bound.keys).skip(skip) {
        let usable = |c: &Expr| usable(c, e, key.ty.oid);
        let uses: Vec<(usize, Use)> =
            table.conditions.iter().enumerate().filter_map(|(i, c)| Some((i, usable(c)?))).collect();
        if let Some((i, Use::Compare(_, bound))) = uses.iter().find(|(_, u)| matches!(u, Use::Compare(3, _)))
        {
            found.range.equal.push(bound.clone());
            found.used.push(*i);
            found.equal += 1;
            found.constant.extend(estimate::column_of(e));
            continue;
        }
        for (i, usage) in uses {
            if index.method == IndexMethod::Hash && !matches!(usage, Use::AnyOf(_)) {
                continue;
            }
            match usage {
                Use::Compare(s @ (1 | 2), bound) if found.range.upper.is_none() && free(&found.range) => {
                    found.range.upper = Some((bound, s == 2));
                }
                Use::Compare(s @ (4 | 5), bound) if found.range.lower.is_none() && free(&found.range) => {
                    found.range.lower = Some((bound, s == 4));
                }
                Use::AnyOf(array) if unbounded(&found.range) => found.range.any_of = Some(array),
                Use::IsNull if unbounded(&found.range) && !found.range.not_null => found.range.is_null = true,
                Use::NotNull if !found.range.is_null => found.range.not_null = true,
                _ => continue,
            }
            found.used.push(i);
        }
        return found;
    }
    found
}

/// Is it no composite type, nor a domain over one?
fn is_plain(ty: Oid) -> bool {
    ty < pg_catalog::builtin::FIRST_NORMAL_OID && ty != oid::RECORD
}

fn free(range: &IndexRange) -> bool {
    !range.is_null && range.any_of.is_none()
}

fn unbounded(range: &IndexRange) -> bool {
    free(range) && range.lower.is_none() && range.upper.is_none()
}

/// Is `e` what the index holds, under whatever name its type goes?
pub(crate) fn is_key(e: &Expr, key: &Expr) -> bool {
    match (estimate::column_of(e), estimate::column_of(key)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => {
            let bare = |e: &Expr| match e {
                Expr::Relabel(inner, _) => (**inner).clone(),
                e => e.clone(),
            };
            e.same(key) || bare(e).same(&bare(key))
        }
        _ => false,
    }
}

/// What an index on `key_expr` can do with a condition.
fn usable(condition: &Expr, key_expr: &Expr, key: Oid) -> Option<Use> {
    let is_column = |e: &Expr| is_key(e, key_expr);
    let fixed = |e: &Expr| {
        let mut none = !e.volatile();
        e.for_each_column(&mut |_| none = false);
        none
    };
    match condition {
        Expr::Call(call) => {
            let [a, b] = call.args.as_slice() else { return None };
            let (bound, flipped) = if is_column(a) && fixed(b) {
                (b, false)
            } else if is_column(b) && fixed(a) {
                (a, true)
            } else {
                return None;
            };
            let strategy = strategy(call, key)?;
            let strategy = if flipped { 6 - strategy } else { strategy };
            Some(Use::Compare(strategy, converted(bound, key)?))
        }
        Expr::IsNull(e, true) if is_column(e) => Some(Use::IsNull),
        // Of a record it asks for all fields, which a key does not tell.
        Expr::IsNull(e, false) if is_column(e) && is_plain(key) => Some(Use::NotNull),
        e if key == oid::BOOL && is_column(e) => Some(Use::Compare(3, truth(true))),
        Expr::Not(e) if key == oid::BOOL && is_column(e) => Some(Use::Compare(3, truth(false))),
        Expr::Or(parts) => {
            // Equality with one of several values.
            let values = parts.iter().map(|p| match usable(p, key_expr, key)? {
                Use::Compare(3, bound) => Some(bound),
                _ => None,
            });
            let values = values.collect::<Option<Vec<_>>>()?;
            let array = SqlType::new(pg_types::typeinfo::array_of(key));
            (array.oid != 0).then_some(Use::AnyOf(Expr::Array(values, false, array)))
        }
        Expr::ScalarArray(function, operands, true) => {
            let [a, array] = &**operands;
            let equality = registry().equality_operator(function.args.first().copied()?)?;
            let element = pg_types::typeinfo::element_of(array.ty().oid);
            let same = same_kind(element, key) && equality.function == function.oid;
            (is_column(a) && fixed(array) && same).then(|| Use::AnyOf(array.clone()))
        }
        _ => None,
    }
}

fn truth(value: bool) -> Expr {
    Expr::Const(Value::Bool(value), SqlType::new(oid::BOOL))
}

/// The B-tree strategy of a comparison in the family of the key's type.
pub(crate) fn strategy(call: &Call, key: Oid) -> Option<u8> {
    let [left, right] = call.function.args else { return None };
    // Text-like types share a family; the operator is the one for text.
    let registry = registry();
    let family = registry.default_class(BTREE, key)?.family;
    (1..=5).find(|s| {
        let operator = registry.family_operator(family, *left, *right, *s).and_then(|o| registry.operator(o));
        operator.is_some_and(|o| o.function == call.function.oid)
    })
}

fn same_kind(a: Oid, b: Oid) -> bool {
    let text = |t: Oid| matches!(t, oid::TEXT | oid::VARCHAR | oid::NAME);
    a == b || text(a) && text(b)
}

/// The bound as a value of the key's type; `None` when that needs more than widening an integer.
pub(crate) fn converted(bound: &Expr, key: Oid) -> Option<Expr> {
    let ty = bound.ty().oid;
    if same_kind(ty, key) {
        return Some(bound.clone());
    }
    if let (Expr::Relabel(inner, _), true) = (bound, matches!(key, oid::TEXT | oid::VARCHAR | oid::NAME)) {
        return converted(inner, key);
    }
    let constant = match (bound, key) {
        (Expr::Const(Value::Int8(v), _), oid::INT4) => Some(Value::Int4(i32::try_from(*v).ok()?)),
        (Expr::Const(Value::Int8(v), _), oid::INT2) => Some(Value::Int2(i16::try_from(*v).ok()?)),
        (Expr::Const(Value::Int4(v), _), oid::INT2) => Some(Value::Int2(i16::try_from(*v).ok()?)),
        (Expr::Const(Value::Int4(v), _), oid::INT8) => Some(Value::Int8(i64::from(*v))),
        (Expr::Const(Value::Int2(v), _), oid::INT8) => Some(Value::Int8(i64::from(*v))),
        (Expr::Const(Value::Int2(v), _), oid::INT4) => Some(Value::Int4(i32::from(*v))),
        _ => None,
    };
    if let Some(value) = constant {
        return Some(Expr::Const(value, SqlType::new(key)));
    }
    let widens = matches!((ty, key), (oid::INT2, oid::INT4 | oid::INT8) | (oid::INT4, oid::INT8));
    let cast = registry().cast(ty, key).filter(|_| widens)?;
    let CastMethod::Function(function) = cast.method else { return None };
    let function = registry().function(function)?;
    Some(Expr::Call(Box::new(Call { function, args: Vec::from([bound.clone()]), ty: SqlType::new(key) })))
}

/// Does an order give the wanted one, seeing that some columns have one value only?
fn gives(order: &[OrderKey], wanted: &[OrderKey], found: &Match) -> bool {
    let mut order = order.iter();
    wanted.iter().all(|w| found.constant.contains(&w.column) || order.next() == Some(w))
}

/// The order in which an index scan yields rows, after its equality columns.
fn index_order(index: &Index, bound: &Bound, found: &Match, backward: bool) -> Vec<OrderKey> {
    let mut order = Vec::new();
    if index.method == IndexMethod::Hash {
        return order;
    }
    if found.range.any_of.is_some() && backward {
        return order;
    }
    let equal = found.range.skip..found.range.skip + found.equal;
    let keys = index.keys.iter().zip(&bound.keys).enumerate();
    for (_, (key, e)) in keys.filter(|(n, _)| !equal.contains(n)) {
        let Some(id) = estimate::column_of(e) else { break };
        order.push(OrderKey {
            column: id,
            descending: key.descending != backward,
            nulls_first: key.nulls_first != backward,
        });
    }
    order
}

/// Computed relations may have ways in that look like indexes.
fn has_indexes(relation: &pg_catalog::Relation) -> bool {
    relation.kind.is_stored() || relation.kind == RelationKind::Virtual
}

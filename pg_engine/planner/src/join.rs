//! Joins: their order, and how each is done.
//!
//! Inner joins are taken apart into their inputs and conditions; sets of inputs are joined by dynamic programming over
//! subsets (Selinger and others, 1979), bushy trees included, up to [`MAX_EXHAUSTIVE`] inputs, and greedily beyond.

use alloc::{boxed::Box, vec::Vec};

use pg_functions::{Function, registry};
use pg_plan::{
    expr::{Call, ColumnId, Expr},
    logical::{JoinKind, Logical},
    physical::{Estimate, Node, Physical},
};
use pg_types::{Result, SqlError, SqlState, Value};

use crate::{
    access::{Table, is_nothing, nothing},
    build::{Planner, Sub, Wish},
    columns::ColumnSet,
    disjunction::join_selectivity,
    equal::Conditions,
    estimate::{column_of, is_equality, selectivity},
    first,
    probe::may_probe,
    pushdown::{output, outputs},
    unique::says_nothing,
};

/// Inputs up to which all join orders are tried.
const MAX_EXHAUSTIVE: usize = 8;

/// Runs of an inner side that cost no more than its own estimate says.
pub(crate) const FEW_PROBES: f64 = 1000.0;

/// One input of a set of inner joins.
pub(crate) struct Input {
    pub(crate) sub: Sub,
    pub(crate) ids: ColumnSet,
    /// A plain table can be probed through its indexes as well.
    pub(crate) table: Option<Table>,
    /// A tree over tables that can.
    tree: Option<Logical>,
    /// What is planned once more where its first rows are wanted.
    pub(crate) again: Option<Logical>,
}

/// A joined set of inputs.
#[derive(Clone)]
pub(crate) struct Joined {
    pub(crate) members: u32,
    pub(crate) ids: ColumnSet,
    pub(crate) sub: Sub,
}

impl Planner<'_> {
    /// Plans a join tree; `conditions` are conjuncts over its output.
    pub(crate) fn join(
        &mut self,
        node: Logical,
        conditions: Vec<Expr>,
        needed: &ColumnSet,
        wish: &Wish,
    ) -> Result<Sub> {
        let Logical::Join { kind, left, right, on, lateral } = node else {
            return Err(SqlError::internal("not a join"));
        };
        if kind == JoinKind::Inner && lateral.is_empty() {
            let node = Logical::Join { kind, left, right, on, lateral };
            return self.inner_joins(node, conditions, needed, wish);
        }
        let known = self.knowledge();
        let wish = &wish.through(conditions.iter().map(|e| selectivity(e, &known)).product());
        if matches!(kind, JoinKind::Left | JoinKind::Right) && lateral.is_empty() {
            let on: Vec<Expr> = on.clone().map(Expr::conjuncts).unwrap_or_default();
            let mut read = needed.clone();
            conditions.iter().for_each(|e| read.add(e));
            let (kept, other) = if kind == JoinKind::Left { (&left, &right) } else { (&right, &left) };
            if says_nothing(other, &on, &|id| read.contains(id)) {
                let sub = self.operator((**kept).clone(), &read, wish)?;
                return match Expr::all_of(conditions) {
                    Some(condition) => self.filter_over(sub, condition),
                    None => Ok(sub),
                };
            }
        }
        let sub = if lateral.is_empty() {
            self.outer_join(
                kind,
                *left,
                *right,
                on.map(Expr::conjuncts).unwrap_or_default(),
                &conditions,
                needed,
                wish,
            )?
        } else {
            self.lateral(kind, *left, *right, on, lateral, &conditions, needed, wish)?
        };
        match Expr::all_of(conditions) {
            Some(condition) => self.filter_over(sub, condition),
            None => Ok(sub),
        }
    }

    fn lateral(
        &mut self,
        kind: JoinKind,
        left: Logical,
        right: Logical,
        on: Option<Expr>,
        lateral: Vec<(u32, Expr)>,
        conditions: &[Expr],
        needed: &ColumnSet,
        wish: &Wish,
    ) -> Result<Sub> {
        let mut below = needed.clone();
        lateral.iter().map(|(_, e)| e).chain(&on).chain(conditions).for_each(|e| below.add(e));
        let wish = if first::gives(&output(&left), wish) { wish.clone() } else { Wish::none() };
        let left = self.operator(left, &below, &wish)?;
        let right = self.operator(right, &below, &Wish::none())?;
        let mut slots = Vec::with_capacity(lateral.len());
        for (slot, expr) in lateral {
            slots.push((slot, self.resolved(expr, &left.columns)?));
        }
        let on = on.filter(|e| !matches!(e, Expr::Const(Value::Bool(true), _)));
        let kept = on.as_ref().map_or(1.0, |e| selectivity(e, &self.knowledge()));
        let (l, r) = (left.rows(), right.rows());
        let rows = match (slots.is_empty(), kind) {
            (true, _) => joined_rows(kind, l, r, kept),
            (false, JoinKind::Semi | JoinKind::Anti) => (l * 0.5).max(1.0),
            (false, JoinKind::Left) => (l * r * kept).max(l),
            (false, _) => (l * r * kept).max(1.0),
        };
        self.nested_loop(kind, left, right, slots, on, rows)
    }

    /// A left, right, full, semi or anti join: the order is as written.
    fn outer_join(
        &mut self,
        kind: JoinKind,
        left: Logical,
        right: Logical,
        on: Vec<Expr>,
        conditions: &[Expr],
        needed: &ColumnSet,
        wish: &Wish,
    ) -> Result<Sub> {
        let mut below = needed.clone();
        on.iter().chain(conditions).for_each(|e| below.add(e));
        let keeps = !matches!(kind, JoinKind::Right | JoinKind::Full);
        let mut columns = outputs(&left);
        if !matches!(kind, JoinKind::Semi | JoinKind::Anti) {
            columns.extend(outputs(&right));
        }
        let left = self.input(left, &below, keeps && wish.first.is_some())?;
        let right = self.input(right, &below, false)?;
        let (no_left, no_right) = (is_nothing(&left.sub.plan), is_nothing(&right.sub.plan));
        let none = match kind {
            JoinKind::Inner | JoinKind::Semi => no_left || no_right,
            JoinKind::Left | JoinKind::Anti => no_left,
            JoinKind::Right => no_right,
            JoinKind::Full => no_left && no_right,
        };
        if none {
            return Ok(nothing(columns.iter(), &below, &wish.order));
        }
        let sub = self.best_join(kind, &left.joined(1), &right, &on, &below, f64::INFINITY)?;
        let sub = sub.ok_or_else(|| SqlError::internal("no way to join was found"))?;
        if !keeps {
            return Ok(sub);
        }
        self.first_of_two(kind, sub, (&left, &right), &on, &below, wish)
    }

    /// Plans an input; `again`: it may be planned once more, with a wish.
    fn input(&mut self, node: Logical, needed: &ColumnSet, again: bool) -> Result<Input> {
        let ids = ColumnSet::of(output(&node));
        let table = match &node {
            Logical::Scan { relation, alias, columns } => Some(Table {
                relation: relation.clone(),
                alias: alias.clone(),
                columns: columns.clone(),
                conditions: Vec::new(),
            }),
            Logical::Filter(inner, condition) => match &**inner {
                Logical::Scan { relation, alias, columns } => Some(Table {
                    relation: relation.clone(),
                    alias: alias.clone(),
                    columns: columns.clone(),
                    conditions: condition.clone().conjuncts(),
                }),
                _ => None,
            },
            _ => None,
        };
        // A table's subqueries are planned once for all ways to join it.
        if let Some(table) = table {
            let table = match table.conditions.iter().any(Expr::has_subplan) {
                true => self.with_subqueries(table)?,
                false => table,
            };
            let sub = self.scan(&table, needed, &Wish::none())?;
            return Ok(Input { sub, ids, table: Some(table), tree: None, again: None });
        }
        let tree = may_probe(&node).then(|| node.clone());
        let again = again.then(|| node.clone());
        let sub = self.operator(node, needed, &Wish::none())?;
        Ok(Input { sub, ids, table, tree, again })
    }

    fn inner_joins(
        &mut self,
        node: Logical,
        mut conditions: Vec<Expr>,
        needed: &ColumnSet,
        wish: &Wish,
    ) -> Result<Sub> {
        let mut parts = Vec::new();
        flatten(node, &mut parts, &mut conditions);
        for condition in conditions.iter_mut().filter(|e| e.has_subplan()) {
            self.plan_subqueries(condition)?;
        }
        let mut below = needed.clone();
        conditions.iter().for_each(|e| below.add(e));
        // Conditions on one input that a filter above the tree brought along.
        let mut inputs = Vec::with_capacity(parts.len());
        let columns: Vec<_> = parts.iter().flat_map(outputs).collect();
        for part in parts {
            let ids = ColumnSet::of(output(&part));
            let (own, rest): (Vec<_>, Vec<_>) =
                conditions.into_iter().partition(|e| ids.touches(e) && ids.covers(e) && !e.volatile());
            conditions = rest;
            let node = if own.is_empty() { part } else { crate::pushdown::push_down(part, own) };
            inputs.push(self.input(node, &below, wish.first.is_some())?);
        }
        if inputs.iter().any(|i| is_nothing(&i.sub.plan)) {
            return Ok(nothing(columns.iter(), &below, &wish.order));
        }
        let sets: Vec<&ColumnSet> = inputs.iter().map(|i| &i.ids).collect();
        let joinable = Conditions::new(&conditions, &sets);
        let outer = core::mem::replace(&mut self.equal, joinable.classes());
        let joined = if inputs.len() <= MAX_EXHAUSTIVE {
            self.exhaustive(&inputs, &joinable, &below)
        } else {
            self.greedy(&inputs, &joinable, &below)
        };
        // What no pair of inputs could apply: conditions without columns, or with volatile functions.
        let left: Vec<Expr> = conditions.iter().filter(|e| !applies_to_pair(e, &inputs)).cloned().collect();
        let known = self.knowledge();
        let wish = wish.through(left.iter().map(|e| selectivity(e, &known)).product());
        let joined = joined.and_then(|best| self.first_of_all(best, &inputs, &joinable, &below, &wish));
        self.equal = outer;
        let joined = joined?;
        match Expr::all_of(left) {
            Some(condition) => self.filter_over(joined, condition),
            None => Ok(joined),
        }
    }

    fn exhaustive(&mut self, inputs: &[Input], conditions: &Conditions, needed: &ColumnSet) -> Result<Sub> {
        let count = inputs.len();
        let mut best: Vec<Option<Joined>> = Vec::new();
        best.resize_with(1 << count, || None);
        for (i, input) in inputs.iter().enumerate() {
            best[1 << i] = Some(input.joined(1 << i));
        }
        for members in 1_u32..1 << count {
            if members.count_ones() < 2 {
                continue;
            }
            for connected in [true, false] {
                // Cross products only when nothing connects the set.
                if best[members as usize].is_some() {
                    break;
                }
                self.best_split(members, inputs, conditions, needed, connected, &mut best)?;
            }
        }
        let all = best.pop().flatten();
        all.map(|j| j.sub).ok_or_else(|| SqlError::internal("no join order was found"))
    }

    /// The best way to join a set from two parts.
    fn best_split(
        &mut self,
        members: u32,
        inputs: &[Input],
        conditions: &Conditions,
        needed: &ColumnSet,
        connected: bool,
        best: &mut [Option<Joined>],
    ) -> Result<()> {
        // Of ways that cost the same the one in the order of writing is taken.
        for (i, input) in inputs.iter().enumerate().rev() {
            let rest = members & !(1 << i);
            if rest == members {
                continue;
            }
            let Some(left) = best[rest as usize].clone() else { continue };
            let on = conditions.applicable(&left.ids, &input.ids);
            if on.is_empty() == connected {
                continue;
            }
            let bound = cost_of(best, members);
            if let Some(sub) = self.best_join(JoinKind::Inner, &left, input, &on, needed, bound)? {
                best[members as usize] = Some(left.with(&input.ids, 1 << i, sub));
            }
        }
        // Bushy trees, and single inputs that probe: the other part is what the table is built of.
        let mut first = members & (members - 1);
        while first != 0 {
            let second = members & !first;
            if second.count_ones() > 1
                && let (Some(left), Some(right)) = (&best[first as usize], &best[second as usize])
            {
                let on = conditions.applicable(&left.ids, &right.ids);
                if on.is_empty() != connected {
                    let (left, right) = (left.clone(), right.clone());
                    let kept = self.kept(&on, &left.ids, &right.ids);
                    let bound = cost_of(best, members);
                    let right_side = (&right.sub, &right.ids);
                    if let Some(sub) = self.hash_join(JoinKind::Inner, &left, right_side, &on, kept, bound)? {
                        best[members as usize] = Some(left.with(&right.ids, second, sub));
                    }
                }
            }
            first = (first - 1) & members;
        }
        Ok(())
    }

    fn greedy(&mut self, inputs: &[Input], conditions: &Conditions, needed: &ColumnSet) -> Result<Sub> {
        let first = (0..inputs.len()).min_by(|a, b| inputs[*a].sub.rows().total_cmp(&inputs[*b].sub.rows()));
        let first = first.ok_or_else(|| SqlError::internal("a join without inputs"))?;
        let mut joined = inputs[first].joined(0);
        let mut left: Vec<usize> = (0..inputs.len()).filter(|i| *i != first).collect();
        while !left.is_empty() {
            let mut best: Option<(usize, Sub, bool)> = None;
            for (at, i) in left.iter().enumerate() {
                let on = conditions.applicable(&joined.ids, &inputs[*i].ids);
                let connected = !on.is_empty();
                if best.as_ref().is_some_and(|b| b.2 && !connected) {
                    continue;
                }
                let bound = match &best {
                    Some((_, b, c)) if connected == *c => b.plan.estimate.total,
                    _ => f64::INFINITY,
                };
                if let Some(sub) =
                    self.best_join(JoinKind::Inner, &joined, &inputs[*i], &on, needed, bound)?
                {
                    best = Some((at, sub, connected));
                }
            }
            let Some((at, sub, _)) = best else { break };
            let i = left.remove(at);
            joined = joined.with(&inputs[i].ids, 0, sub);
        }
        Ok(joined.sub)
    }

    /// The share of pairs that the conditions keep.
    pub(crate) fn kept(&self, on: &[Expr], left: &ColumnSet, right: &ColumnSet) -> f64 {
        let known = self.knowledge();
        let each: Vec<f64> = on.iter().map(|e| join_selectivity(e, left, right, &known)).collect();
        let kept: f64 = each.iter().product();
        // Columns that are unique together are not independent: who has all of them equal is one row.
        let equality = |id: ColumnId| {
            let class = self.equal.iter().find(|c| c.contains(&id));
            let alike = class.map_or(core::slice::from_ref(&id), Vec::as_slice);
            on.iter().position(|e| alike.iter().any(|id| equates(e, *id)))
        };
        for (columns, rows) in self.keys.iter().filter(|_| on.len() > 1) {
            let within = |side: &ColumnSet| columns.iter().all(|id| side.contains(*id));
            if !within(left) && !within(right) {
                continue;
            }
            let alone = columns.iter().map(|&id| each.get(equality(id)?).copied()).product::<Option<f64>>();
            if let Some(alone) = alone.filter(|a| *a > 0.0) {
                return (kept * (1.0 / (rows.max(1.0) * alone)).max(1.0)).min(1.0);
            }
        }
        kept
    }

    /// The cheapest method for one join, if it costs less than `bound`.
    fn best_join(
        &mut self,
        kind: JoinKind,
        left: &Joined,
        right: &Input,
        on: &[Expr],
        needed: &ColumnSet,
        bound: f64,
    ) -> Result<Option<Sub>> {
        let kept = self.kept(on, &left.ids, &right.ids);
        let mut best = self.hash_join(kind, left, (&right.sub, &right.ids), on, kept, bound)?;
        if !matches!(kind, JoinKind::Right | JoinKind::Full) {
            let mut lowest = best.as_ref().map_or(bound, |b| b.plan.estimate.total.min(bound));
            best = self.probing_join(kind, left, right, on, needed, (kept, lowest))?.or(best);
            lowest = best.as_ref().map_or(lowest, |b| b.plan.estimate.total.min(lowest));
            best = self.plain_loop(kind, left, right, on, (kept, lowest))?.or(best);
        } else if best.is_none() && bound == f64::INFINITY {
            // It could be done here, but PostgreSQL has no way to.
            if kind == JoinKind::Full && on.iter().any(|e| e.any(&mut |e| matches!(e, Expr::Column(..)))) {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "FULL JOIN is only supported with merge-joinable or hash-joinable join conditions",
                ));
            }
            let on = Expr::all_of(on.to_vec());
            let rows = joined_rows(kind, left.sub.rows(), right.sub.rows(), kept);
            best = Some(self.nested_loop(kind, left.sub.clone(), right.sub.clone(), Vec::new(), on, rows)?);
        }
        Ok(best)
    }

    /// The cheapest nested loop that reads the right side anew for each left row, through an index, if it costs less than `bound`.
    pub(crate) fn probing_join(
        &mut self,
        kind: JoinKind,
        left: &Joined,
        right: &Input,
        on: &[Expr],
        needed: &ColumnSet,
        (kept, bound): (f64, f64),
    ) -> Result<Option<Sub>> {
        let rows = joined_rows(kind, left.sub.rows(), right.sub.rows(), kept);
        let mut bound = bound;
        let mut best: Option<Sub> = None;
        let mut lower = |best: &Option<Sub>| {
            bound = best.as_ref().map_or(bound, |b| b.plan.estimate.total.min(bound));
            bound
        };
        if let Some(table) = &right.table
            && left.sub.plan.estimate.total < lower(&best)
            && let Some((mut inner, slots)) = self.parameterised_scan(table, on, &left.ids, needed)?
            && self.expect(&mut inner, right.sub.rows() * kept)
            && self.nested_estimate(&left.sub, &inner, true, rows).total < lower(&best)
        {
            let mut resolved = Vec::with_capacity(slots.len());
            for (slot, e) in slots {
                resolved.push((slot, self.resolved(e, &left.sub.columns)?));
            }
            // The conditions are inside the inner scan.
            best = Some(self.nested_loop(kind, left.sub.clone(), inner, resolved, None, rows)?);
        }
        // A wrong estimate of the left side costs more here than at one table: it must be clearly better.
        if let Some(tree) = &right.tree
            && (left.sub.plan.estimate.total + left.sub.rows()) * 2.0 < lower(&best)
            && let Some((mut inner, slots)) =
                self.parameterised_tree(tree, right.sub.plan.estimate.total, on, &left.ids, needed)?
            && self.expect(&mut inner, right.sub.rows() * kept)
            && self.nested_estimate(&left.sub, &inner, true, rows).total * 2.0 < lower(&best)
        {
            let mut resolved = Vec::with_capacity(slots.len());
            for (slot, e) in slots {
                resolved.push((slot, self.resolved(e, &left.sub.columns)?));
            }
            best = Some(self.nested_loop(kind, left.sub.clone(), inner, resolved, None, rows)?);
        }
        Ok(best)
    }

    /// A nested loop over the right side's rows put aside, if it costs less than `bound`.
    pub(crate) fn plain_loop(
        &mut self,
        kind: JoinKind,
        left: &Joined,
        right: &Input,
        on: &[Expr],
        (kept, bound): (f64, f64),
    ) -> Result<Option<Sub>> {
        let rows = joined_rows(kind, left.sub.rows(), right.sub.rows(), kept);
        if self.nested_estimate(&left.sub, &right.sub, false, rows).total >= bound {
            return Ok(None);
        }
        let on = Expr::all_of(on.to_vec());
        self.nested_loop(kind, left.sub.clone(), right.sub.clone(), Vec::new(), on, rows).map(Some)
    }

    /// An inner side that is read through an index yields so many rows each time, if that is more than its own conditions, one by one,
    /// let expect.
    fn expect(&self, inner: &mut Sub, rows: f64) -> bool {
        let estimate = &mut inner.plan.estimate;
        if rows > estimate.rows {
            let factor = rows / estimate.rows.max(1.0);
            estimate.total = estimate.startup + (estimate.total - estimate.startup) * factor.max(1.0);
            estimate.rows = rows;
        }
        true
    }

    fn hash_join(
        &mut self,
        kind: JoinKind,
        left: &Joined,
        (right, right_ids): (&Sub, &ColumnSet),
        on: &[Expr],
        kept: f64,
        bound: f64,
    ) -> Result<Option<Sub>> {
        let (mut pairs, mut rest) = (Vec::new(), Vec::new());
        for condition in on {
            match hash_key(condition, &left.ids, right_ids) {
                Some(pair) => pairs.push(pair),
                None => rest.push(condition.clone()),
            }
        }
        if pairs.is_empty() {
            return Ok(None);
        }
        let settings = self.settings;
        let work = settings.cpu_operator_cost * pairs.len() as f64;
        let (le, re) = (left.sub.plan.estimate, right.plan.estimate);
        let startup = le.startup + re.total + re.rows * (work + settings.cpu_tuple_cost);
        let rows = joined_rows(kind, le.rows, re.rows, kept);
        let mut total = startup + (le.total - le.startup) + le.rows * work + rows * settings.cpu_tuple_cost;
        if rest.iter().any(Expr::has_subplan) {
            let known = self.knowledge();
            let tested = rows / rest.iter().map(|e| selectivity(e, &known)).product::<f64>().max(1.0e-6);
            let (once, repeated) = self.subquery_cost(&rest);
            total += once + tested * repeated;
        }
        if !settings.enable_hashjoin {
            total += 1.0e10;
        }
        // Plans are only copied into what is better than all before.
        if total >= bound {
            return Ok(None);
        }
        let (l, r) = (left.sub.clone(), right.clone());
        let mut keys = Vec::with_capacity(pairs.len());
        for (a, b, equality) in pairs {
            keys.push((self.resolved(a, &l.columns)?, self.resolved(b, &r.columns)?, equality));
        }
        let (columns, types) = joined_columns(kind, &l, &r);
        let mut both = l.columns.clone();
        both.extend(&r.columns);
        let on = Expr::all_of(rest).map(|e| self.resolved(e, &both)).transpose()?;
        let estimate = Estimate { startup, total, rows, width: le.width + re.width };
        let node = Node::HashJoin { kind, left: Box::new(l.plan), right: Box::new(r.plan), keys, on };
        Ok(Some(Sub { plan: Physical { node, types, estimate }, columns, order: Vec::new() }))
    }

    /// Of a nested loop; `inside`: the right side is run anew for each left row and has the conditions in it.
    fn nested_estimate(&self, left: &Sub, right: &Sub, inside: bool, rows: f64) -> Estimate {
        let (le, re) = (left.plan.estimate, right.plan.estimate);
        let settings = self.settings;
        let pairs = le.rows * re.rows;
        let mut total = le.total + le.rows.max(1.0) * re.total + pairs * settings.cpu_operator_cost;
        total += rows * settings.cpu_tuple_cost;
        if inside {
            // Few probes find what they need at hand; many go all over the index and the table.
            total += (le.rows - FEW_PROBES).max(0.0) * settings.seq_page_cost;
        }
        if !settings.enable_nestloop {
            total += 1.0e10;
        }
        // Without conditions inside, the right side's rows are put aside first.
        let startup = le.startup + if inside { re.startup } else { re.total };
        Estimate { startup, total, rows, width: le.width + re.width }
    }

    fn nested_loop(
        &mut self,
        kind: JoinKind,
        left: Sub,
        right: Sub,
        slots: Vec<(u32, Expr)>,
        on: Option<Expr>,
        rows: f64,
    ) -> Result<Sub> {
        let mut estimate = self.nested_estimate(&left, &right, !slots.is_empty(), rows);
        if let Some(on) = on.as_ref().filter(|e| e.has_subplan()) {
            let (once, repeated) = self.subquery_cost(core::slice::from_ref(on));
            estimate.total += once + left.rows() * right.rows() * repeated;
        }
        let (columns, types) = joined_columns(kind, &left, &right);
        let mut both = left.columns.clone();
        both.extend(&right.columns);
        let on = on.map(|e| self.resolved(e, &both)).transpose()?;
        // The rows of one left row come together: the left order holds.
        let order =
            if matches!(kind, JoinKind::Right | JoinKind::Full) { Vec::new() } else { left.order.clone() };
        let node =
            Node::NestedLoop { kind, left: Box::new(left.plan), right: Box::new(right.plan), slots, on };
        Ok(Sub { plan: Physical { node, types, estimate }, columns, order })
    }
}

impl Input {
    pub(crate) fn joined(&self, members: u32) -> Joined {
        Joined { members, ids: self.ids.clone(), sub: self.sub.clone() }
    }
}

impl Joined {
    pub(crate) fn with(&self, others: &ColumnSet, members: u32, sub: Sub) -> Self {
        let mut ids = self.ids.clone();
        sub.columns.iter().for_each(|id| ids.insert(*id));
        ids.merge(others);
        Self { members: self.members | members, ids, sub }
    }
}

/// What the best plan of a set of inputs costs.
fn cost_of(best: &[Option<Joined>], members: u32) -> f64 {
    best.get(members as usize).and_then(Option::as_ref).map_or(f64::INFINITY, |b| b.sub.plan.estimate.total)
}

/// Takes a tree of inner joins apart.
fn flatten(node: Logical, parts: &mut Vec<Logical>, conditions: &mut Vec<Expr>) {
    match node {
        Logical::Join { kind: JoinKind::Inner, left, right, on, lateral } if lateral.is_empty() => {
            conditions.extend(on.map(Expr::conjuncts).unwrap_or_default());
            flatten(*left, parts, conditions);
            flatten(*right, parts, conditions);
        }
        other => parts.push(other),
    }
}

fn applies_to_pair(condition: &Expr, inputs: &[Input]) -> bool {
    !condition.volatile() && inputs.iter().filter(|i| i.ids.touches(condition)).count() >= 2
}

/// `left expression = right expression` as keys of a hash join.
pub(crate) fn hash_key(
    condition: &Expr,
    left: &ColumnSet,
    right: &ColumnSet,
) -> Option<(Expr, Expr, &'static Function)> {
    let Expr::Call(call) = condition else { return None };
    let [a, b] = call.args.as_slice() else { return None };
    let on_side = |set: &ColumnSet, other: &ColumnSet, e: &Expr| {
        set.touches(e) && set.covers(e) && !other.touches(e) && !e.has_subplan()
    };
    if !hashable(call) {
        return None;
    }
    if on_side(left, right, a) && on_side(right, left, b) {
        return Some((a.clone(), b.clone(), call.function));
    }
    // The equality is symmetric when both types are the same.
    let symmetric = call.function.args.first() == call.function.args.get(1);
    (symmetric && on_side(left, right, b) && on_side(right, left, a))
        .then(|| (b.clone(), a.clone(), call.function))
}

/// An equality of one type whose operator may hash.
fn hashable(call: &Call) -> bool {
    let [left, right] = call.function.args else { return false };
    left == right
        && is_equality(call.function)
        && registry().equality_operator(*left).is_some_and(|o| o.hashes || o.merges)
}

fn joined_rows(kind: JoinKind, left: f64, right: f64, kept: f64) -> f64 {
    let inner = (left * right * kept).max(1.0);
    match kind {
        JoinKind::Inner => inner,
        JoinKind::Left => inner.max(left),
        JoinKind::Right => inner.max(right),
        JoinKind::Full => inner.max(left).max(right),
        JoinKind::Semi => inner.min(left).max(1.0),
        JoinKind::Anti => (left - inner.min(left)).max(1.0),
    }
}

fn joined_columns(kind: JoinKind, left: &Sub, right: &Sub) -> (Vec<ColumnId>, Vec<pg_types::SqlType>) {
    let (mut columns, mut types) = (left.columns.clone(), left.plan.types.clone());
    if !matches!(kind, JoinKind::Semi | JoinKind::Anti) {
        columns.extend(&right.columns);
        types.extend(&right.plan.types);
    }
    (columns, types)
}

/// Is it an equality of this column with another one?
fn equates(condition: &Expr, id: ColumnId) -> bool {
    let Expr::Call(call) = condition else { return false };
    let [a, b] = call.args.as_slice() else { return false };
    is_equality(call.function)
        && match (column_of(a), column_of(b)) {
            (Some(a), Some(b)) => a == id || b == id,
            _ => false,
        }
}

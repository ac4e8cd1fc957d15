//! Operators: each pulls batches from its inputs and yields batches.

mod aggregate;
mod bitmap;
mod current_of;
mod groups;
mod hash_join;
mod key_set;
mod lock_rows;
pub(crate) mod lookup;
mod merge;
mod misc;
pub(crate) mod modify;
mod needed;
mod nested_loop;
mod parallel_scan;
mod partial;
mod portions;
mod project_set;
mod recheck;
mod recursive;
mod routine_scan;
pub(crate) mod row_reader;
pub(crate) mod scan;
mod set_ops;
mod sort;
mod spill;
mod stage;
mod user_aggregate;
mod window;

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use pg_plan::{
    expr::Expr,
    physical::{Node, Physical},
    routine::Callee,
};
use pg_types::{Batch, Result, SqlError, SqlType};
use platform::tally::{self, Tallies};

use crate::{context::Rt, expr::Compiled, graph};

use key_set::Wanted;
pub(crate) use misc::project;
pub(crate) use portions::ScanHelpers;
pub use spill::Held;
pub(crate) use spill::Store;
use stage::{Handed, Step};

/// State that is shared while a plan is made ready.
pub(crate) struct Compiler<'a> {
    slots: u32,
    /// Slots that what was compiled so far reads, and those that it sets.
    reads: Vec<u32>,
    sets: Vec<u32>,
    /// Subqueries whose results hold for a whole run.
    fixed: usize,
    /// Scans that yield given rows.
    substitutes: Option<&'a recheck::Substitutes<'a>>,
    /// Which columns of what is made next someone looks at; `None`: all.
    needed: Option<Vec<bool>>,
    /// A scan, by its place in memory, and the attribute indexes of its columns that no one looks at.
    unread: Option<(*const Physical, Vec<usize>)>,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(slots: u32) -> Self {
        Self {
            slots,
            reads: Vec::new(),
            sets: Vec::new(),
            fixed: 0,
            substitutes: None,
            needed: None,
            unread: None,
        }
    }
    fn for_recheck(substitutes: &'a recheck::Substitutes<'a>) -> Self {
        Self { substitutes: Some(substitutes), ..Compiler::new(0) }
    }
    /// Of this scan, if these columns are its.
    fn unread_of(&self, plan: &Physical) -> &[usize] {
        match &self.unread {
            Some((scan, columns)) if core::ptr::eq(*scan, plan) => columns,
            _ => &[],
        }
    }
    /// The operator that is made next is one of whose columns only those that these expressions read are looked at.
    fn reads_only<'e>(&mut self, input: &Physical, exprs: impl Iterator<Item = &'e Expr>) {
        if !needed::matters(input) {
            return;
        }
        let mut needed = alloc::vec![false; input.types.len()];
        exprs.for_each(|e| needed::mark(e, &mut needed));
        self.needed = Some(needed);
    }
    fn is_recheck(&self) -> bool {
        self.substitutes.is_some()
    }
    /// A slot that is set by what is compiled.
    pub(crate) fn note_slot(&mut self, n: u32) {
        self.slots = self.slots.max(n.saturating_add(1));
        self.sets.push(n);
    }
    /// A slot that is read.
    pub(crate) fn note_read(&mut self, n: u32) {
        self.slots = self.slots.max(n.saturating_add(1));
        self.reads.push(n);
    }
    /// Something is read that may change within a run.
    fn note_changing(&mut self) {
        self.reads.push(u32::MAX);
    }
    /// Compiles a subquery. The number: it reads nothing that changes within a run, so that its result may be kept under it.
    pub(crate) fn subquery(&mut self, plan: &Physical) -> Result<(Exec, Option<usize>)> {
        let (reads, sets) = (core::mem::take(&mut self.reads), core::mem::take(&mut self.sets));
        let exec = Exec::new(plan, self)?;
        let fixed = self.substitutes.is_none() && self.reads.iter().all(|n| self.sets.contains(n));
        self.reads.extend(reads);
        self.sets.extend(sets);
        let number = fixed.then_some(self.fixed);
        self.fixed += usize::from(fixed);
        Ok((exec, number))
    }
    pub(crate) fn exprs(&mut self, list: &[Expr]) -> Result<Vec<Compiled>> {
        list.iter().map(|e| Compiled::new(e, self)).collect()
    }
    pub(crate) fn option(&mut self, e: Option<&Expr>) -> Result<Option<Compiled>> {
        e.map(|e| Compiled::new(e, self)).transpose()
    }
}

/// What an operator did (EXPLAIN ANALYZE).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NodeStats {
    /// Rows yielded.
    pub rows: u64,
    /// Times it was started.
    pub loops: u64,
    /// Microseconds until the first batch, all loops.
    pub first_micros: u64,
    /// Microseconds in all, inputs included.
    pub total_micros: u64,
    /// Rows removed by the operator's own filter.
    pub filtered: u64,
    /// Rows left out because a join above has no partner for them.
    pub unwanted: u64,
    /// Rows that an index-only scan had to fetch.
    pub heap_fetches: u64,
    /// Memory and disk that it took, of operators that hold rows.
    pub held: Option<Held>,
    /// Pages and log, inputs included.
    pub usage: Tallies,
}

/// An operator at work.
pub(crate) trait Operator: Send {
    /// The next rows; `None` at the end. An empty batch is allowed.
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>>;
    /// Back to the start; the next call of `next` begins a new run.
    fn reset(&mut self);
    /// Is it known that nothing follows what it has yielded?
    fn is_ended(&self) -> bool {
        false
    }
    /// Inputs, in the plan's order.
    fn inputs(&self) -> Vec<&Exec> {
        Vec::new()
    }
    /// Rows changed (INSERT, UPDATE, DELETE).
    fn affected(&self) -> u64 {
        0
    }
    /// Rows its own filter removed.
    fn filtered(&self) -> u64 {
        0
    }
    /// Rows that an index-only scan had to fetch.
    fn heap_fetches(&self) -> u64 {
        0
    }
    /// Rows left out because a join above has no partner for them.
    fn unwanted(&self) -> u64 {
        0
    }
    /// Would it make use of knowing which values of an output column of integers are wanted?
    fn narrows(&self, _column: usize) -> bool {
        false
    }
    /// Until it is reset, only rows with such values are wanted; it may leave out others. Told before the first row is asked for.
    fn narrow(&mut self, _wanted: Wanted) {}
    /// What it took of memory and disk.
    fn held(&self) -> Option<Held> {
        None
    }
    /// May other tasks make its rows? Where not, there is no use in asking for steps.
    fn absorbs(&self) -> bool {
        false
    }
    /// Asks for these steps to be taken with its rows by the tasks that make them: what it yields until it is reset is what comes of
    /// them. They make up to `most` rows of one. Asked before the first row is; false: it will not be done.
    fn absorb(&mut self, _steps: &[Arc<Step>], _most: usize, _rt: &Rt<'_, '_>) -> Result<bool> {
        Ok(false)
    }
    /// Rows yielded beyond those that went through `next`: steps above took them in where they were made.
    fn beyond(&self) -> i64 {
        0
    }
}

/// An operator with its counters.
pub(crate) struct Exec {
    op: Box<dyn Operator>,
    pub(crate) types: Vec<SqlType>,
    stats: NodeStats,
    running: bool,
}

impl Exec {
    /// Makes a plan's tree ready.
    pub(crate) fn new(plan: &Physical, c: &mut Compiler<'_>) -> Result<Self> {
        let op = build(plan, c)?;
        Ok(Self { op, types: plan.types.clone(), stats: NodeStats::default(), running: false })
    }
    #[inline]
    pub(crate) fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if !rt.instrument {
            return self.op.next(rt);
        }
        let (start, before) = (platform::time::monotonic(), tally::read());
        let result = self.op.next(rt);
        self.stats.usage.add(&tally::read().since(&before));
        let spent = (platform::time::monotonic() - start).as_micros() as u64;
        self.stats.total_micros += spent;
        if !self.running {
            self.running = true;
            self.stats.loops += 1;
            self.stats.first_micros += spent;
        }
        if let Ok(Some(b)) = &result {
            self.stats.rows += b.row_count() as u64;
        }
        result
    }
    pub(crate) fn reset(&mut self) {
        self.running = false;
        self.op.reset();
    }
    /// See [`Operator::is_ended`]. Who measures wants it to be found out.
    #[inline]
    pub(crate) fn is_ended(&self) -> bool {
        !self.running && self.op.is_ended()
    }
    pub(crate) fn affected(&self) -> u64 {
        self.op.affected()
    }
    pub(crate) fn narrows(&self, column: usize) -> bool {
        self.op.narrows(column)
    }
    pub(crate) fn narrow(&mut self, wanted: Wanted) {
        self.op.narrow(wanted);
    }
    /// See [`Operator::absorb`].
    pub(crate) fn absorb(&mut self, steps: &[Arc<Step>], most: usize, rt: &Rt<'_, '_>) -> Result<bool> {
        if self.op.absorbs() { self.op.absorb(steps, most, rt) } else { Ok(false) }
    }
    pub(crate) fn absorbs(&self) -> bool {
        self.op.absorbs()
    }
    /// The same with an operator's own step before those above it; whether it was handed down.
    fn absorb_with(
        &mut self,
        own: Arc<Step>,
        steps: &[Arc<Step>],
        most: usize,
        handed: &mut Handed,
        rt: &Rt<'_, '_>,
    ) -> Result<bool> {
        let mut all = Vec::with_capacity(steps.len() + 1);
        all.push(Arc::clone(&own));
        all.extend_from_slice(steps);
        let down = self.absorb(&all, most, rt)?;
        if down {
            handed.begin(own);
        }
        Ok(down)
    }
    pub(crate) fn collect_stats(&self, out: &mut Vec<NodeStats>) {
        out.push(NodeStats {
            rows: self.stats.rows.saturating_add_signed(self.op.beyond()),
            filtered: self.stats.filtered + self.op.filtered(),
            unwanted: self.op.unwanted(),
            heap_fetches: self.stats.heap_fetches + self.op.heap_fetches(),
            held: self.op.held(),
            ..self.stats
        });
        for i in self.op.inputs() {
            i.collect_stats(out);
        }
    }
}

fn boxed<T: Operator + 'static>(op: T) -> Box<dyn Operator> {
    Box::new(op)
}

/// What runs a plan. Plans may be high and stacks are not: each kind of operator is made in a function of its own, so that only what it
/// needs itself is on the stack while what is below it is made.
fn build(plan: &Physical, c: &mut Compiler<'_>) -> Result<Box<dyn Operator>> {
    if c.substitutes.is_some()
        && let Some(op) = recheck::Substitutes::operator(plan, c)?
    {
        return Ok(op);
    }
    if let Some(op) = graph::modify(&plan.node, c, &plan.types)? {
        return Ok(op);
    }
    let needed = c.needed.take();
    match &plan.node {
        Node::OneRow
        | Node::SeqScan { .. }
        | Node::IndexScan { .. }
        | Node::BitmapScan { .. }
        | Node::FunctionScan { .. }
        | Node::Values(_)
        | Node::CteScan(_) => leaf(plan, c, needed),
        Node::NestedLoop { .. } | Node::HashJoin { .. } | Node::MergeJoin { .. } => join(plan, c, needed),
        Node::Insert(_) | Node::Update(_) | Node::Delete(_) | Node::Merge(_) => change(plan, c),
        Node::HashAggregate { .. } | Node::Window { .. } | Node::Sort { .. } => gathering(plan, c),
        _ => above(plan, c, needed),
    }
}

/// What has nothing below it.
#[inline(never)]
fn leaf(plan: &Physical, c: &mut Compiler<'_>, needed: Option<Vec<bool>>) -> Result<Box<dyn Operator>> {
    Ok(match &plan.node {
        Node::OneRow => boxed(misc::OneRow::default()),
        Node::SeqScan { relation, columns, filter, .. } if graph::is_graph(relation) => {
            boxed(graph::GraphScan::new(relation, None, columns, &plan.types, filter.as_ref(), c)?)
        }
        Node::SeqScan { relation, columns, filter, .. }
            if let Some((row, rest)) = current_of::CurrentRow::of(relation, filter.as_ref()) =>
        {
            let filter = c.option(rest.as_ref())?;
            boxed(scan::SeqScan::new(relation, columns, filter, c.unread_of(plan))?.of_row(row))
        }
        Node::SeqScan { relation, columns, filter, .. }
            if parallel_scan::ParallelScan::suits(relation, c) =>
        {
            let unread = c.unread_of(plan).to_vec();
            let out = (columns.as_slice(), plan.types.as_slice());
            let scan = parallel_scan::ParallelScan::new(relation, out, filter.as_ref(), &unread, c)?;
            boxed(scan.yielding(needed.as_deref()))
        }
        Node::SeqScan { relation, columns, filter, .. } => {
            let filter = c.option(filter.as_ref())?;
            scan::seq_scan(relation, columns, filter, &plan.types, c.unread_of(plan))?
        }
        Node::IndexScan { relation, index, range, backward, columns, filter, .. }
            if graph::is_graph(relation) =>
        {
            let range = Some((index, range, *backward));
            boxed(graph::GraphScan::new(relation, range, columns, &plan.types, filter.as_ref(), c)?)
        }
        Node::IndexScan { relation, index, range, backward, only, columns, key, filter, .. } => {
            let mut scan =
                scan::IndexScan::new(relation, index, range, *backward, columns, filter.as_ref(), c)?;
            scan.set_lazy(c.unread_of(plan));
            boxed(match key {
                Some(key) => scan.by_hash(Compiled::new(key, c)?),
                None if *only => scan.by_keys()?,
                None => scan,
            })
        }
        Node::BitmapScan { relation, bitmap, columns, filter, .. } => {
            let unread = c.unread_of(plan).to_vec();
            boxed(bitmap::BitmapScan::new(relation, bitmap, columns, filter.as_ref(), &unread, c)?)
        }
        Node::FunctionScan { function, args, ordinality, .. } => {
            let args = c.exprs(args)?;
            match function {
                Callee::Builtin(f) => boxed(misc::FunctionScan::new(f, args, *ordinality, &plan.types)),
                Callee::Routine(r) => {
                    boxed(routine_scan::RoutineScan::new(r, args, *ordinality, &plan.types))
                }
            }
        }
        Node::Values(rows) => {
            let rows = rows.iter().map(|r| c.exprs(r)).collect::<Result<_>>()?;
            boxed(misc::Values::new(rows, &plan.types))
        }
        Node::CteScan(n) => {
            // The rows of a recursive one change.
            c.note_changing();
            boxed(misc::CteScan::new(*n as usize))
        }
        _ => return Err(SqlError::internal("an operator of another kind")),
    })
}

/// Joins.
#[inline(never)]
fn join(plan: &Physical, c: &mut Compiler<'_>, needed: Option<Vec<bool>>) -> Result<Box<dyn Operator>> {
    let input = |p: &Physical, c: &mut Compiler<'_>| Exec::new(p, c);
    Ok(match &plan.node {
        Node::NestedLoop { kind, left, right, slots, on } => {
            let exprs = slots.iter().map(|(_, e)| e);
            let (below, _) = needed::below_join(needed.as_deref(), left, right, on.as_ref(), exprs);
            let lookup =
                lookup::Lookup::of(*kind, (&left.types, right), slots, on.as_ref(), needed.as_deref(), c)?;
            c.needed = Some(below);
            let l = input(left, c)?;
            c.needed = None;
            let join = nested_loop::NestedLoop::new(*kind, l, input(right, c)?, slots, on.as_ref(), c)?;
            boxed(join.by_lookup(lookup))
        }
        // A hash join keeps the order of its left side, which is all that the plans above a merge join rely on.
        Node::HashJoin { kind, left, right, keys, on } | Node::MergeJoin { kind, left, right, keys, on } => {
            let (l, r) = (keys.iter().map(|(l, ..)| l), keys.iter().map(|(_, r, _)| r));
            let (below_left, mut below_right) =
                needed::below_join(needed.as_deref(), left, right, on.as_ref(), l);
            r.for_each(|e| needed::mark(e, &mut below_right));
            c.needed = Some(below_left);
            let l = input(left, c)?;
            c.needed = Some(below_right);
            let r = input(right, c)?;
            let join = hash_join::HashJoin::new(*kind, l, r, keys, on.as_ref(), c)?.yielding(needed);
            let smaller = left.estimate.rows * 1.5 < right.estimate.rows;
            boxed(if smaller { join.reversed() } else { join })
        }
        _ => return Err(SqlError::internal("an operator of another kind")),
    })
}

/// Changes of tables.
#[inline(never)]
fn change(plan: &Physical, c: &mut Compiler<'_>) -> Result<Box<dyn Operator>> {
    Ok(match &plan.node {
        Node::Insert(i) => boxed(modify::insert::Insert::new(i, c, &plan.types)?),
        Node::Update(u) => boxed(modify::update::Update::new(u, c, &plan.types)?),
        Node::Delete(d) => boxed(modify::delete::Delete::new(d, c, &plan.types)?),
        Node::Merge(m) => boxed(modify::merge::Merge::new(m, c)?),
        _ => return Err(SqlError::internal("an operator of another kind")),
    })
}

/// What looks at all rows before it gives one.
#[inline(never)]
fn gathering(plan: &Physical, c: &mut Compiler<'_>) -> Result<Box<dyn Operator>> {
    let input = |p: &Physical, c: &mut Compiler<'_>| Exec::new(p, c);
    Ok(match &plan.node {
        Node::HashAggregate { input: p, groups, aggregates, seeds } => {
            let types = plan.types.as_slice();
            let calls = aggregates
                .iter()
                .flat_map(|a| a.args.iter().chain(a.order_by.iter().map(|k| &k.expr)).chain(&a.filter));
            c.reads_only(p, groups.iter().chain(calls));
            boxed(aggregate::HashAggregate::new(input(p, c)?, (groups, seeds), aggregates, types, c)?)
        }
        Node::Window { input: p, spec, calls } => {
            boxed(window::Window::new(input(p, c)?, spec, calls, &plan.types, c)?)
        }
        Node::Sort { input: p, keys, presorted, limit } => {
            boxed(sort::Sort::new(input(p, c)?, (keys, *presorted), limit.as_ref(), c)?)
        }
        _ => return Err(SqlError::internal("an operator of another kind")),
    })
}

/// All others.
#[inline(never)]
fn above(plan: &Physical, c: &mut Compiler<'_>, needed: Option<Vec<bool>>) -> Result<Box<dyn Operator>> {
    let input = |p: &Physical, c: &mut Compiler<'_>| Exec::new(p, c);
    Ok(match &plan.node {
        Node::Filter(p, e) => {
            if let Some(mut needed) = needed {
                needed::mark(e, &mut needed);
                c.needed = Some(needed);
            }
            boxed(misc::Filter::new(input(p, c)?, Compiled::new(e, c)?, e.volatile()))
        }
        Node::Project(p, e) => {
            let pure = !e.iter().any(Expr::volatile);
            c.reads_only(p, e.iter());
            boxed(misc::Project::new(input(p, c)?, c.exprs(e)?, &plan.types, pure))
        }
        Node::ProjectSet(p, e) => boxed(project_set::ProjectSet::new(input(p, c)?, e, &plan.types, c)?),
        Node::Distinct(p, on) => {
            let on = on.as_ref().map(|l| c.exprs(l)).transpose()?;
            boxed(set_ops::Distinct::new(input(p, c)?, on))
        }
        Node::Limit { input: p, limit, offset, ties } => {
            let (limit, offset) = (c.option(limit.as_ref())?, c.option(offset.as_ref())?);
            let types = ties.iter().map(|e| e.ty().oid).collect();
            let ties = misc::Ties::new(c.exprs(ties)?, types);
            boxed(misc::Limit::new(input(p, c)?, limit, offset, ties))
        }
        Node::Append(l) => {
            let inputs = l.iter().map(|p| Exec::new(p, c)).collect::<Result<_>>()?;
            boxed(misc::Append::new(inputs))
        }
        Node::MergeAppend { inputs, keys } => {
            let inputs = inputs.iter().map(|p| Exec::new(p, c)).collect::<Result<_>>()?;
            boxed(merge::MergeAppend::new(inputs, keys, c)?)
        }
        Node::Set { op, all, left, right } => {
            boxed(set_ops::SetOperation::new(*op, *all, input(left, c)?, input(right, c)?))
        }
        Node::Recursive { work, all, left, right } => {
            boxed(recursive::Recursive::new(*work as usize, *all, input(left, c)?, input(right, c)?))
        }
        Node::LockRows { input: p, tables, wait } => {
            boxed(lock_rows::LockRows::new(input(p, c)?, p, tables, *wait))
        }
        _ => return Err(SqlError::internal("an operator of another kind")),
    })
}

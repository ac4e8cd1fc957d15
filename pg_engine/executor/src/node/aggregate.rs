//! GROUP BY and aggregates.
//!
//! When there is no room for further groups, rows of groups that are not known are put aside, portion by portion (`spill`), and a portion
//! is grouped when all others are done. What DISTINCT has seen and ORDER BY keeps goes to disk in ways of its own.

use alloc::{sync::Arc, vec::Vec};

use pg_functions::Rows;
use pg_plan::{
    definition::Aggregated,
    expr::Expr,
    logical::{AggregateCall, SortKey},
};
use pg_types::{
    Batch, ColumnData, Result, SqlError, SqlType, Value, Vector, oid,
    vector::{BATCH_ROWS, VectorBuilder},
};

use super::{
    Compiler, Exec, Held, Operator,
    groups::{Groups, KeyClass},
    partial::{Argument, Grouping, Part, Partial},
    set_ops::Unique,
    sort::Key,
    spill::{Account, Overflow, Sorter},
    stage::{self, Step},
    user_aggregate::States,
};
use crate::{
    context::Rt,
    expr::{Compiled, Pure},
};

/// One aggregate call.
struct Call {
    function: Aggregated,
    args: Vec<Compiled>,
    arg_types: Vec<SqlType>,
    order_by: Vec<Key>,
    filter: Option<Compiled>,
    ty: SqlType,
    state: Option<States>,
    /// DISTINCT: (arguments, values of ORDER BY, group) seen.
    seen: Option<Unique>,
    /// ORDER BY: arguments and groups kept until the end.
    kept: Option<Sorter>,
}

impl Call {
    fn new(a: &AggregateCall, c: &mut Compiler<'_>) -> Result<Self> {
        // DISTINCT sorts its input, which shows where the aggregate keeps the order.
        let keeps_order = matches!(a.function.name(), "string_agg" | "array_agg" | "json_agg" | "jsonb_agg")
            || a.function.builtin().is_none();
        let implied: Vec<SortKey> = match keeps_order && a.distinct && a.order_by.is_empty() {
            true => a
                .args
                .iter()
                .map(|e| SortKey { expr: e.clone(), descending: false, nulls_first: false })
                .collect(),
            false => Vec::new(),
        };
        let order_by = if implied.is_empty() { &a.order_by } else { &implied };
        let columns = a.args.iter().chain(order_by.iter().map(|k| &k.expr));
        let classes = columns.map(|e| KeyClass::one(e.ty().oid)).chain([KeyClass::Integer]);
        Ok(Self {
            function: a.function.clone(),
            args: c.exprs(&a.args)?,
            arg_types: a.args.iter().map(Expr::ty).collect(),
            seen: a.distinct.then(|| Unique::new(classes.collect())),
            order_by: Key::list(order_by, c)?,
            filter: c.option(a.filter.as_ref())?,
            ty: a.ty,
            state: None,
            kept: None,
        })
    }
    /// Forgets the groups.
    fn begin(&mut self) {
        self.state = None;
        self.seen.iter_mut().for_each(Unique::clear);
        self.kept = None;
    }

    fn reset(&mut self) {
        self.begin();
        self.args.iter_mut().chain(&mut self.filter).for_each(Compiled::reset);
        self.order_by.iter_mut().for_each(|k| k.expr.reset());
    }

    fn state(&mut self) -> Result<&mut States> {
        if self.state.is_none() {
            self.state = Some(States::new(&self.function, &self.arg_types, self.ty)?);
        }
        self.state.as_mut().ok_or_else(|| SqlError::internal("no accumulator"))
    }

    fn update(&mut self, b: &Batch, groups: &[u32], count: usize, rt: &Rt<'_, '_>) -> Result<()> {
        let filtered;
        let mut sel = b.selection.as_deref();
        if let Some(f) = &mut self.filter {
            filtered = f.filter(b, sel, rt)?;
            sel = Some(&filtered);
        }
        if sel.is_some_and(<[u32]>::is_empty) {
            self.state()?.resize(count);
            return Ok(());
        }
        let args: Vec<Arc<Vector>> =
            self.args.iter_mut().map(|e| e.vector(b, sel, rt)).collect::<Result<_>>()?;
        if self.seen.is_none() && self.order_by.is_empty() {
            let state = self.state()?;
            state.resize(count);
            return state.update(groups, &args, Rows { count: b.rows, selection: sel }, rt);
        }
        // With DISTINCT, ORDER BY is by arguments: its values make no further rows distinct.
        let mut columns = args;
        for k in &mut self.order_by {
            columns.push(k.expr.vector(b, sel, rt)?);
        }
        columns.push(Arc::new(Vector::from_i64(groups.iter().map(|g| i64::from(*g)).collect())));
        let part = Batch { columns, rows: b.rows, selection: sel.map(Into::into) };
        self.sift(part, count, rt)
    }

    /// Rows of arguments, values of ORDER BY and groups: those that count are kept for ORDER BY, or update their groups.
    fn sift(&mut self, mut part: Batch, count: usize, rt: &Rt<'_, '_>) -> Result<()> {
        if let Some(seen) = &mut self.seen {
            part.selection = Some(seen.first(&part, rt)?.into());
        }
        if self.order_by.is_empty() {
            return self.take_in(&part, count, rt);
        }
        self.state()?.resize(count);
        let part = part.compact();
        if part.rows == 0 {
            return Ok(());
        }
        let kept = self.kept.get_or_insert_with(|| Sorter::new(usize::MAX, Account::new()));
        let keys = part.columns.get(self.args.len()..).unwrap_or(&[]);
        kept.keys.add_columns(&self.order_by, keys, 0..part.rows);
        kept.push(part, rt)
    }

    /// Updates groups with such rows.
    fn take_in(&mut self, part: &Batch, count: usize, rt: &Rt<'_, '_>) -> Result<()> {
        let args = part.columns.get(..self.args.len()).unwrap_or(&[]);
        let ids: Vec<u32> = match part.columns.last().map(|c| &c.data) {
            Some(ColumnData::Int8(ids)) => ids.iter().map(|id| *id as u32).collect(),
            _ => return Err(SqlError::internal("rows of an aggregate without groups")),
        };
        let rows = Rows { count: part.rows, selection: part.selection.as_deref() };
        let state = self.state()?;
        state.resize(count);
        if part.is_empty() { Ok(()) } else { state.update(&ids, args, rows, rt) }
    }

    /// Takes in what DISTINCT put aside, then what ORDER BY kept, in order.
    fn finish_input(&mut self, groups: usize, rt: &Rt<'_, '_>) -> Result<()> {
        while let Some(part) = self.seen.as_mut().map_or(Ok(None), |s| s.aside(rt))? {
            self.sift(part, groups, rt)?;
        }
        if let Some(kept) = self.kept.take() {
            let mut types = self.arg_types.clone();
            types.extend(self.order_by.iter().map(|k| SqlType::new(k.ty)));
            types.push(SqlType::new(oid::INT8));
            let mut sorted = kept.finish(&types, rt)?;
            while let Some(part) = sorted.next(rt)? {
                rt.cx.checkpoint()?;
                self.take_in(&part, groups, rt)?;
            }
            sorted.into_account().release(rt);
        }
        self.state()?.resize(groups);
        Ok(())
    }

    /// Its rows may be taken in in any order, in parts.
    fn is_plain(&self) -> bool {
        self.seen.is_none() && self.order_by.is_empty()
    }

    /// Bytes that its groups take.
    fn memory(&self) -> usize {
        self.state.as_ref().map_or(0, States::memory)
    }
}

/// Groups by hashing. Without keys there is exactly one group.
pub(crate) struct HashAggregate {
    input: Exec,
    keys: Vec<Compiled>,
    /// Keys of groups that are there without rows, and whether a row has made them.
    seeds: Vec<Vec<Value>>,
    sown: Vec<bool>,
    calls: Vec<Call>,
    types: Vec<SqlType>,
    classes: Vec<KeyClass>,
    groups: Groups,
    /// First value of each key column by group.
    values: Vec<VectorBuilder>,
    key_vectors: Vec<Vector>,
    count: usize,
    at: Option<usize>,
    account: Account,
    /// No further groups.
    full: bool,
    overflow: Overflow,
    /// Groups that the tasks which read the rows make.
    partial: Option<Arc<Partial>>,
}

impl HashAggregate {
    pub(crate) fn new(
        input: Exec,
        (keys, seeds): (&[Expr], &[Vec<Value>]),
        aggregates: &[AggregateCall],
        types: &[SqlType],
        c: &mut Compiler<'_>,
    ) -> Result<Self> {
        let classes: Vec<KeyClass> = keys.iter().map(|k| KeyClass::one(k.ty().oid)).collect();
        Ok(Self {
            input,
            keys: c.exprs(keys)?,
            seeds: seeds.to_vec(),
            sown: Vec::new(),
            calls: aggregates.iter().map(|a| Call::new(a, c)).collect::<Result<_>>()?,
            types: types.to_vec(),
            groups: Groups::new(classes.clone()),
            classes,
            values: Vec::new(),
            key_vectors: Vec::new(),
            count: 0,
            at: None,
            account: Account::hashing(),
            full: false,
            overflow: Overflow::default(),
            partial: None,
        })
    }

    /// Makes the groups that no row has made, behind the last rows.
    fn sow(&mut self) -> Result<()> {
        let last = !self.overflow.is_waiting();
        self.sown.resize(self.seeds.len(), false);
        for (seed, sown) in self.seeds.iter().zip(&mut self.sown) {
            let mut columns = Vec::with_capacity(seed.len());
            for (value, ty) in seed.iter().zip(&self.types) {
                let mut b = VectorBuilder::with_capacity(*ty, 1);
                b.push(value)?;
                columns.push(Arc::new(b.finish()));
            }
            *sown |= self.groups.find(&columns, 0).is_some();
            if last && !*sown && self.groups.group(&columns, 0).1 {
                for (v, c) in self.values.iter_mut().zip(&columns) {
                    v.extend_from(c, 0);
                }
            }
        }
        if !self.seeds.is_empty() {
            self.count = self.groups.len();
        }
        Ok(())
    }

    /// The groups of a batch's rows. The rows whose groups are there; `None`: all.
    fn assign(&mut self, b: &Batch, ids: &mut [u32], rt: &Rt<'_, '_>) -> Result<Option<Vec<u32>>> {
        let columns = self
            .keys
            .iter_mut()
            .map(|e| e.vector(b, b.selection.as_deref(), rt))
            .collect::<Result<Vec<_>>>()?;
        if self.full {
            let (mut known, mut rest) = (Vec::new(), Vec::new());
            for i in b.selected() {
                match self.groups.find(&columns, i) {
                    Some(id) => {
                        ids[i] = id;
                        known.push(i as u32);
                    }
                    None => rest.push(i as u32),
                }
            }
            self.overflow.put(b, &rest, (&self.classes, &columns), &mut self.account, rt)?;
            return Ok(Some(known));
        }
        for i in b.selected() {
            let (id, new) = self.groups.group(&columns, i);
            ids[i] = id;
            if new {
                for (v, c) in self.values.iter_mut().zip(&columns) {
                    v.extend_from(c, i);
                }
            }
        }
        self.count = self.groups.len();
        Ok(None)
    }

    /// Has rows grouped by the tasks that read them, if their groups can be put together.
    fn hand_down(&mut self, rt: &Rt<'_, '_>) -> Result<bool> {
        let workers = rt.cx.engine.scan_helpers().workers();
        if !self.input.absorbs() || workers < 2 || !self.calls.iter().all(Call::is_plain) {
            return Ok(false);
        }
        let types = &self.input.types;
        let Some(keys) = stage::pure(&self.keys, types, rt) else { return Ok(false) };
        let mut calls = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            let filter = call.filter.as_ref().map(|f| Pure::of(f, types, rt));
            match (stage::pure(&call.args, types, rt), filter) {
                (Some(args), None) => calls.push(Argument { args, filter: None }),
                (Some(args), Some(Some(f))) => calls.push(Argument { args, filter: Some(f) }),
                _ => return Ok(false),
            }
        }
        let mut parts = Vec::with_capacity(workers);
        let key_types = self.types.get(..self.keys.len()).unwrap_or(&[]);
        for _ in 0..workers {
            let mut states = Vec::with_capacity(calls.len());
            for call in &self.calls {
                match States::new(&call.function, &call.arg_types, call.ty)? {
                    States::Builtin(state) if state.states().is_some() => states.push(state),
                    _ => return Ok(false),
                }
            }
            parts.push(Part::new(&self.classes, key_types, states));
        }
        let partial = Partial::new(keys, calls, parts, self.account.room(rt) / 3 * 2);
        // Without keys there is one group, so that no rows are ever handed on.
        let most = usize::from(!self.keys.is_empty());
        let down = self.input.absorb(&[Step::new(Grouping(Arc::clone(&partial)))], most, rt)?;
        self.partial = down.then_some(partial);
        Ok(down)
    }

    /// Puts the groups of all tasks together, in the order of their first rows.
    fn take_over(&mut self, partial: &Partial, rt: &Rt<'_, '_>) -> Result<()> {
        let mut parts = partial.take();
        self.full |= !self.account.set(partial.held(), rt)?;
        let mut ids: Vec<Vec<u32>> = parts.iter().map(|p| alloc::vec![0; p.count]).collect();
        if !self.keys.is_empty() {
            let keys: Vec<_> = parts.iter_mut().map(Part::keys).collect();
            let mut at = alloc::vec![0; parts.len()];
            // The task whose next group is the earliest.
            let first = |at: &[usize]| {
                let next = parts.iter().zip(at).enumerate();
                let next = next.filter_map(|(k, (p, at))| Some((*p.first.get(*at)?, k)));
                next.min().map(|(_, k)| k)
            };
            while let Some(k) = first(&at) {
                let portion = parts[k].first.get(at[k]).copied();
                while portion.is_some() && parts[k].first.get(at[k]).copied() == portion {
                    let (id, new) = self.groups.group(&keys[k], at[k]);
                    ids[k][at[k]] = id;
                    if new {
                        for (v, c) in self.values.iter_mut().zip(&keys[k]) {
                            v.extend_from(c, at[k]);
                        }
                    }
                    at[k] += 1;
                }
                rt.cx.checkpoint()?;
            }
            self.count = self.groups.len();
        }
        for (n, call) in self.calls.iter_mut().enumerate() {
            let States::Builtin(all) = call.state()? else { continue };
            for (part, ids) in parts.iter_mut().zip(&ids) {
                rt.cx.checkpoint()?;
                all.resize(self.count);
                if let Some(states) = part.states.get(n).and_then(|s| s.states()) {
                    all.merge(states, ids)?;
                }
            }
        }
        Ok(())
    }

    /// Groups all rows of the input, or of the portion that is gone through.
    fn consume(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        self.values =
            self.types.iter().take(self.keys.len()).map(|t| VectorBuilder::with_capacity(*t, 16)).collect();
        let mut ids: Vec<u32> = Vec::new();
        if self.keys.is_empty() {
            self.count = 1;
        }
        if !self.overflow.is_read() && !self.hand_down(rt)? {
            self.input.absorb(&[], 1, rt)?;
        }
        loop {
            let b = if self.overflow.is_read() { self.overflow.next(rt)? } else { self.input.next(rt)? };
            if let Some(partial) = self.partial.take() {
                self.take_over(&partial, rt)?;
            }
            let Some(b) = b else { break };
            rt.cx.checkpoint()?;
            if b.is_empty() {
                continue;
            }
            ids.clear();
            ids.resize(b.rows, 0);
            let known = if self.keys.is_empty() { None } else { self.assign(&b, &mut ids, rt)? };
            let b = match known {
                Some(rows) if rows.is_empty() => continue,
                Some(rows) => b.with_selection(rows),
                None => b,
            };
            for call in &mut self.calls {
                call.update(&b, &ids, self.count, rt)?;
            }
            let held = self.groups.memory() + self.count * 16 * self.values.len();
            let held = held + self.calls.iter().map(Call::memory).sum::<usize>();
            self.full |= !self.account.set(held, rt)?;
        }
        self.overflow.close(rt)?;
        self.sow()?;
        for call in &mut self.calls {
            call.finish_input(self.count, rt)?;
        }
        self.key_vectors = core::mem::take(&mut self.values).into_iter().map(VectorBuilder::finish).collect();
        Ok(())
    }

    /// Forgets the groups.
    fn begin(&mut self) {
        self.groups.clear();
        self.values.clear();
        self.key_vectors.clear();
        self.count = 0;
        self.at = None;
        self.full = false;
        self.partial = None;
        self.calls.iter_mut().for_each(Call::begin);
    }
}

impl Operator for HashAggregate {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let (start, end) = loop {
            let start = match self.at {
                Some(at) => at,
                None => {
                    self.consume(rt)?;
                    0
                }
            };
            let end = (start + BATCH_ROWS).min(self.count);
            self.at = Some(end);
            if start < end {
                break (start, end);
            }
            if !self.overflow.is_waiting() {
                return Ok(None);
            }
            self.begin();
            self.overflow.turn(rt)?;
        };
        let n = end - start;
        let mut columns: Vec<Arc<Vector>> =
            self.key_vectors.iter().map(|v| Arc::new(v.slice(start, n))).collect();
        for (k, call) in self.calls.iter_mut().enumerate() {
            let ty = self.types.get(self.keys.len() + k).copied().unwrap_or(call.ty);
            let mut b = VectorBuilder::with_capacity(ty, n);
            let state = call.state()?;
            for g in start..end {
                b.push(&state.finish(g, rt)?)?;
            }
            columns.push(Arc::new(b.finish()));
        }
        Ok(Some(Batch { columns, rows: n, selection: None }))
    }
    fn reset(&mut self) {
        self.begin();
        self.overflow.clear();
        self.sown.clear();
        self.keys.iter_mut().for_each(Compiled::reset);
        self.calls.iter_mut().for_each(Call::reset);
        self.input.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.input]
    }
    fn held(&self) -> Option<Held> {
        (!self.keys.is_empty()).then(|| self.overflow.held(&self.account))
    }
}

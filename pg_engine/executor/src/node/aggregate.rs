//! GROUP BY and aggregates.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use hashbrown::HashSet;
use pg_functions::{Accumulator, Function, Implementation, Rows};
use pg_plan::{
    expr::Expr,
    logical::{AggregateCall, SortKey},
};
use pg_types::{
    Batch, Result, SqlError, SqlType, Value, Vector,
    vector::{BATCH_ROWS, VectorBuilder},
};

use super::{
    Compiler, Exec, Operator,
    groups::{Groups, KeyClass},
    sort::{Key, KeyRows},
};
use crate::{context::Rt, expr::Compiled};

/// One aggregate call.
struct Call {
    function: &'static Function,
    args: Vec<Compiled>,
    arg_types: Vec<SqlType>,
    distinct: bool,
    order_by: Vec<Key>,
    filter: Option<Compiled>,
    ty: SqlType,
    state: Option<Box<dyn Accumulator>>,
    /// DISTINCT: (group, key) seen.
    seen: HashSet<Box<[u8]>, foldhash::fast::FixedState>,
    /// ORDER BY: arguments, groups and keys kept until the end.
    kept: Vec<Batch>,
    kept_groups: Vec<u32>,
    kept_keys: KeyRows,
    charged: usize,
}

impl Call {
    fn new(a: &AggregateCall, c: &mut Compiler<'_>) -> Result<Self> {
        // DISTINCT sorts its input, which shows where the aggregate keeps the order.
        let keeps_order = matches!(a.function.name, "string_agg" | "array_agg" | "json_agg" | "jsonb_agg");
        let implied: Vec<SortKey> = match keeps_order && a.distinct && a.order_by.is_empty() {
            true => a
                .args
                .iter()
                .map(|e| SortKey { expr: e.clone(), descending: false, nulls_first: false })
                .collect(),
            false => Vec::new(),
        };
        let order_by = if implied.is_empty() { &a.order_by } else { &implied };
        Ok(Self {
            function: a.function,
            args: c.exprs(&a.args)?,
            arg_types: a.args.iter().map(Expr::ty).collect(),
            distinct: a.distinct,
            order_by: Key::list(order_by, c)?,
            filter: c.option(a.filter.as_ref())?,
            ty: a.ty,
            state: None,
            seen: HashSet::default(),
            kept: Vec::new(),
            kept_groups: Vec::new(),
            kept_keys: KeyRows::default(),
            charged: 0,
        })
    }

    fn reset(&mut self) {
        self.state = None;
        self.seen.clear();
        self.kept.clear();
        self.kept_groups.clear();
        self.kept_keys = KeyRows::default();
        self.charged = 0;
        self.args.iter_mut().chain(&mut self.filter).for_each(Compiled::reset);
        self.order_by.iter_mut().for_each(|k| k.expr.reset());
    }

    fn state(&mut self) -> Result<&mut Box<dyn Accumulator>> {
        if self.state.is_none() {
            let Implementation::Aggregate(make) = self.function.imp else {
                return Err(SqlError::internal("not an aggregate"));
            };
            self.state = Some(make(&self.arg_types, self.ty)?);
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
        let unique;
        if self.distinct {
            unique = self.first_occurrences(&args, groups, b, sel, rt)?;
            sel = Some(&unique);
            if unique.is_empty() {
                self.state()?.resize(count);
                return Ok(());
            }
        }
        if !self.order_by.is_empty() {
            let part = Batch { columns: b.columns.clone(), rows: b.rows, selection: sel.map(Into::into) };
            self.kept_keys.add(&mut self.order_by, &part, rt)?;
            let kept = Batch { columns: args, rows: b.rows, selection: sel.map(Into::into) };
            self.kept_groups.extend(kept.selected().map(|i| groups.get(i).copied().unwrap_or(0)));
            let kept = kept.compact();
            rt.charge(kept.memory() + kept.rows * 32)?;
            self.kept.push(kept);
            self.state()?.resize(count);
            return Ok(());
        }
        let rows = Rows { count: b.rows, selection: sel };
        let state = self.state()?;
        state.resize(count);
        state.update(&rt.eval(), groups, &args, rows)?;
        let held = state.memory();
        if held > self.charged {
            rt.charge(held - self.charged)?;
            self.charged = held;
        }
        Ok(())
    }

    fn first_occurrences(
        &mut self,
        args: &[Arc<Vector>],
        groups: &[u32],
        b: &Batch,
        sel: Option<&[u32]>,
        rt: &Rt<'_, '_>,
    ) -> Result<Vec<u32>> {
        let classes: Vec<KeyClass> = self.arg_types.iter().map(|t| KeyClass::one(t.oid)).collect();
        let mut out = Vec::new();
        let mut key = Vec::new();
        let rows = Batch { columns: Vec::new(), rows: b.rows, selection: sel.map(Into::into) };
        for i in rows.selected() {
            key.clear();
            key.extend_from_slice(&groups.get(i).copied().unwrap_or(0).to_le_bytes());
            super::groups::encode_row(&classes, args, i, &mut key);
            if !self.seen.contains(key.as_slice()) {
                rt.charge(key.len() + 48)?;
                self.seen.insert(key.as_slice().into());
                out.push(i as u32);
            }
        }
        Ok(out)
    }

    /// Feeds what ORDER BY kept back, in order.
    fn finish_input(&mut self, groups: usize, rt: &Rt<'_, '_>) -> Result<()> {
        if !self.kept.is_empty() {
            let all = Batch::concat(&core::mem::take(&mut self.kept));
            let order = self.kept_keys.order();
            for part in order.chunks(BATCH_ROWS) {
                let args: Vec<_> = all.columns.iter().map(|c| Arc::new(c.take(part))).collect();
                let ids: Vec<u32> =
                    part.iter().map(|&i| self.kept_groups.get(i as usize).copied().unwrap_or(0)).collect();
                let rows = Rows { count: part.len(), selection: None };
                let state = self.state()?;
                state.resize(groups);
                state.update(&rt.eval(), &ids, &args, rows)?;
            }
        }
        self.state()?.resize(groups);
        Ok(())
    }
}

/// Groups by hashing. Without keys there is exactly one group.
pub(crate) struct HashAggregate {
    input: Exec,
    keys: Vec<Compiled>,
    /// Keys of groups that are there without rows.
    seeds: Vec<Vec<Value>>,
    calls: Vec<Call>,
    types: Vec<SqlType>,
    groups: Groups,
    /// First value of each key column by group.
    values: Vec<VectorBuilder>,
    key_vectors: Vec<Vector>,
    count: usize,
    at: Option<usize>,
    charged: usize,
}

impl HashAggregate {
    pub(crate) fn new(
        input: Exec,
        (keys, seeds): (&[Expr], &[Vec<Value>]),
        aggregates: &[AggregateCall],
        types: &[SqlType],
        c: &mut Compiler<'_>,
    ) -> Result<Self> {
        let classes = keys.iter().map(|k| KeyClass::one(k.ty().oid)).collect();
        Ok(Self {
            input,
            keys: c.exprs(keys)?,
            seeds: seeds.to_vec(),
            calls: aggregates.iter().map(|a| Call::new(a, c)).collect::<Result<_>>()?,
            types: types.to_vec(),
            groups: Groups::new(classes),
            values: Vec::new(),
            key_vectors: Vec::new(),
            count: 0,
            at: None,
            charged: 0,
        })
    }

    /// Makes the groups that no row has made.
    fn sow(&mut self) -> Result<()> {
        for seed in &self.seeds {
            let mut columns = Vec::with_capacity(seed.len());
            for (value, ty) in seed.iter().zip(&self.types) {
                let mut b = VectorBuilder::with_capacity(*ty, 1);
                b.push(value)?;
                columns.push(Arc::new(b.finish()));
            }
            if self.groups.group(&columns, 0).1 {
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

    fn consume(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        self.values =
            self.types.iter().take(self.keys.len()).map(|t| VectorBuilder::with_capacity(*t, 16)).collect();
        let mut ids: Vec<u32> = Vec::new();
        if self.keys.is_empty() {
            self.count = 1;
        }
        while let Some(b) = self.input.next(rt)? {
            rt.cx.checkpoint()?;
            if b.is_empty() {
                continue;
            }
            ids.clear();
            ids.resize(b.rows, 0);
            if !self.keys.is_empty() {
                let columns = self
                    .keys
                    .iter_mut()
                    .map(|e| e.vector(&b, b.selection.as_deref(), rt))
                    .collect::<Result<Vec<_>>>()?;
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
                let held = self.groups.memory() + self.count * 16 * self.values.len();
                rt.charge(held.saturating_sub(self.charged))?;
                self.charged = self.charged.max(held);
            }
            for call in &mut self.calls {
                call.update(&b, &ids, self.count, rt)?;
            }
        }
        self.sow()?;
        for call in &mut self.calls {
            call.finish_input(self.count, rt)?;
        }
        self.key_vectors = core::mem::take(&mut self.values).into_iter().map(VectorBuilder::finish).collect();
        Ok(())
    }
}

impl Operator for HashAggregate {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let start = match self.at {
            Some(at) => at,
            None => {
                self.consume(rt)?;
                0
            }
        };
        let end = (start + BATCH_ROWS).min(self.count);
        self.at = Some(end);
        if start >= end {
            return Ok(None);
        }
        let n = end - start;
        let mut columns: Vec<Arc<Vector>> =
            self.key_vectors.iter().map(|v| Arc::new(v.slice(start, n))).collect();
        for (k, call) in self.calls.iter_mut().enumerate() {
            let ty = self.types.get(self.keys.len() + k).copied().unwrap_or(call.ty);
            let mut b = VectorBuilder::with_capacity(ty, n);
            let state = call.state()?;
            for g in start..end {
                b.push(&state.finish(&rt.eval(), g)?)?;
            }
            columns.push(Arc::new(b.finish()));
        }
        Ok(Some(Batch { columns, rows: n, selection: None }))
    }
    fn reset(&mut self) {
        self.groups.clear();
        self.values.clear();
        self.key_vectors.clear();
        self.count = 0;
        self.at = None;
        self.charged = 0;
        self.keys.iter_mut().for_each(Compiled::reset);
        self.calls.iter_mut().for_each(Call::reset);
        self.input.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.input]
    }
}

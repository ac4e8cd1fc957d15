//! Window functions over rows that come sorted by partition and order.
//!
//! Rows are gathered as far as whole partitions make a good portion, and the portions computed one after the other; partitions and
//! peer groups are runs of equal encoded keys. An aggregate keeps one accumulator while its frame only grows at the end, and
//! begins anew when the frame's start moves. A partition lies in memory as a whole.

mod frame;
mod function;

use alloc::{sync::Arc, vec::Vec};

use pg_functions::{FunctionKind, Rows};
use pg_plan::{
    definition::Aggregated,
    logical::{FrameBound, SortKey, WindowCall, WindowSpec},
};
use pg_types::{
    Batch, Result, SqlType, Value, Vector,
    vector::{BATCH_ROWS, VectorBuilder},
};

use super::{
    Compiler, Exec, Operator,
    sort::{Key, KeyRows},
    spill::{Account, weigh},
    user_aggregate::States,
};
use crate::{context::Rt, expr::Compiled};
use frame::{Frame, Partition};

/// Rows from which on a portion is computed.
const PORTION: usize = 16 * BATCH_ROWS;

/// A call at work.
struct Call {
    plan: WindowCall,
    args: Vec<Compiled>,
    filter: Option<Compiled>,
    /// What an aggregate worked with last, if it can begin anew.
    spare: Option<States>,
}

/// See the module.
pub(crate) struct Window {
    input: Exec,
    partition: Vec<Key>,
    order: Vec<Key>,
    frame: Frame,
    calls: Vec<Call>,
    types: Vec<SqlType>,
    /// Rows of a partition that begins behind the portion.
    rest: Option<Batch>,
    /// The input is exhausted.
    ended: bool,
    account: Account,
    result: Option<Batch>,
    at: usize,
}

impl Window {
    pub(crate) fn new(
        input: Exec,
        spec: &WindowSpec,
        calls: &[WindowCall],
        types: &[SqlType],
        c: &mut Compiler<'_>,
    ) -> Result<Self> {
        let partition: Vec<SortKey> = spec
            .partition
            .iter()
            .map(|e| SortKey { expr: e.clone(), descending: false, nulls_first: false })
            .collect();
        let calls = calls.iter().map(|call| {
            Ok(Call {
                args: c.exprs(&call.args)?,
                filter: c.option(call.filter.as_ref())?,
                plan: call.clone(),
                spare: None,
            })
        });
        let calls = calls.collect::<Result<_>>()?;
        Ok(Self {
            input,
            partition: Key::list(&partition, c)?,
            order: Key::list(&spec.order, c)?,
            frame: Frame::new(spec, c)?,
            calls,
            types: types.to_vec(),
            rest: None,
            ended: false,
            account: Account::new(),
            result: None,
            at: 0,
        })
    }

    /// The next whole partitions; no rows: there are none.
    fn gather(&mut self, rt: &Rt<'_, '_>) -> Result<Batch> {
        let mut parts: Vec<Batch> = self.rest.take().into_iter().collect();
        let mut rows: usize = parts.iter().map(|b| b.rows).sum();
        let mut bytes: usize = parts.iter().map(weigh).sum();
        let (mut enough, mut tried) = (PORTION, false);
        while !self.ended {
            let Some(b) = self.input.next(rt)? else {
                self.ended = true;
                break;
            };
            rt.cx.checkpoint()?;
            let b = b.compact();
            if b.rows == 0 {
                continue;
            }
            (rows, bytes) = (rows + b.rows, bytes + weigh(&b));
            parts.push(b);
            let fits = self.account.set(bytes, rt)?;
            if self.partition.is_empty() || (rows < enough && (fits || tried)) {
                continue;
            }
            let all = Batch::concat(&parts);
            let mut keys = KeyRows::default();
            keys.add(&mut self.partition, &all, rt)?;
            if let Some(start) = (1..rows).rev().find(|i| keys.get(*i) != keys.get(i - 1)) {
                self.rest = Some(all.slice(start, rows - start).compact());
                return Ok(all.slice(0, start).compact());
            }
            // All one partition so far.
            (enough, tried) = (rows * 2, true);
            parts = Vec::from([all]);
        }
        if parts.is_empty() { Ok(Batch::new(Vec::new(), 0)) } else { Ok(Batch::concat(&parts)) }
    }

    fn compute(&mut self, rt: &Rt<'_, '_>) -> Result<Batch> {
        let all = self.gather(rt)?;
        if all.rows == 0 {
            return Ok(all);
        }
        let (mut partitions, mut peers) = (KeyRows::default(), KeyRows::default());
        partitions.add(&mut self.partition, &all, rt)?;
        peers.add(&mut self.order, &all, rt)?;
        let mut held = weigh(&all) + partitions.memory() + peers.memory();
        self.frame.prepare(&all, rt)?;
        let mut columns = all.columns.clone();
        let Self { calls, frame, types, account, .. } = self;
        let inputs = all.columns.len();
        for (call, ty) in calls.iter_mut().zip(types.iter().skip(inputs)) {
            let args: Vec<Arc<Vector>> =
                call.args.iter_mut().map(|e| e.vector(&all, None, rt)).collect::<Result<_>>()?;
            let kept = match &mut call.filter {
                Some(f) => Some(f.filter(&all, None, rt)?),
                None => None,
            };
            let mut out = VectorBuilder::with_capacity(*ty, all.rows);
            let mut start = 0;
            while start < all.rows {
                rt.cx.checkpoint()?;
                let mut end = start + 1;
                while end < all.rows && partitions.get(end) == partitions.get(start) {
                    end += 1;
                }
                let partition = Partition::new(start, end, &peers);
                match &call.plan.function {
                    Aggregated::Builtin(f) if f.kind != FunctionKind::Aggregate => {
                        function::compute(f, &args, &partition, frame, &mut out, rt)?;
                    }
                    _ => aggregate(call, &args, kept.as_deref(), &partition, frame, &mut out, rt)?,
                }
                start = end;
            }
            let column = out.finish();
            held += column.memory();
            account.set(held, rt)?;
            columns.push(Arc::new(column));
        }
        Ok(Batch { columns, rows: all.rows, selection: None })
    }
}

/// One group, with nothing in it yet. `used`: what begins anew.
fn accumulator(call: &Call, used: Option<States>) -> Result<States> {
    let mut state = match used.and_then(States::anew) {
        Some(used) => used,
        None => {
            let types: Vec<SqlType> = call.plan.args.iter().map(pg_plan::expr::Expr::ty).collect();
            States::new(&call.plan.function, &types, call.plan.ty)?
        }
    };
    state.resize(1);
    Ok(state)
}

/// An aggregate over the frames of one partition's rows.
fn aggregate(
    call: &mut Call,
    args: &[Arc<Vector>],
    kept: Option<&[u32]>,
    partition: &Partition,
    frame: &Frame,
    out: &mut VectorBuilder,
    rt: &Rt<'_, '_>,
) -> Result<()> {
    let groups = alloc::vec![0u32; partition.end];
    let used = call.spare.take();
    let mut state = accumulator(call, used)?;
    let (mut from, mut to) = (partition.start, partition.start);
    let mut last: Option<Value> = None;
    let mut rows: Vec<u32> = Vec::new();
    for row in partition.start..partition.end {
        // Frames that begin anew are computed row by row, of a batch's length unnoticed below.
        if row % 64 == 0 {
            rt.cx.checkpoint()?;
        }
        if frame.excludes() {
            out.push(&over_pieces(call, args, kept, frame.pieces(row, partition)?, &groups, rt)?)?;
            continue;
        }
        let (start, end) = frame.of(row, partition)?;
        if start != from || end < to {
            state = accumulator(call, Some(state))?;
            (from, to) = (start, start);
            last = None;
        }
        if end > to {
            rows.clear();
            match kept {
                Some(kept) => {
                    let first = kept.partition_point(|k| (*k as usize) < to);
                    rows.extend(kept.iter().skip(first).take_while(|k| (**k as usize) < end));
                }
                None => rows.extend(to as u32..end as u32),
            }
            if !rows.is_empty() {
                let part = Rows { count: partition.end, selection: Some(&rows) };
                state.update(&groups, args, part, rt)?;
                last = None;
            }
            to = end;
            if end - start > BATCH_ROWS {
                rt.cx.checkpoint()?;
            }
        }
        let value = match last.take() {
            Some(value) => value,
            None => state.peek(0, rt)?,
        };
        out.push(&value)?;
        last = Some(value);
    }
    call.spare = Some(state);
    Ok(())
}

/// An aggregate over the pieces that EXCLUDE leaves of a frame.
fn over_pieces(
    call: &mut Call,
    args: &[Arc<Vector>],
    kept: Option<&[u32]>,
    pieces: [(usize, usize); 3],
    groups: &[u32],
    rt: &Rt<'_, '_>,
) -> Result<Value> {
    let used = call.spare.take();
    let mut state = accumulator(call, used)?;
    let counted = |row: &u32| kept.is_none_or(|kept| kept.binary_search(row).is_ok());
    let rows: Vec<u32> =
        pieces.into_iter().flat_map(|(start, end)| start as u32..end as u32).filter(counted).collect();
    if !rows.is_empty() {
        state.update(groups, args, Rows { count: groups.len(), selection: Some(&rows) }, rt)?;
    }
    if rows.len() > BATCH_ROWS {
        rt.cx.checkpoint()?;
    }
    let value = state.peek(0, rt);
    call.spare = Some(state);
    value
}

impl Operator for Window {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        loop {
            if self.result.is_none() {
                let result = self.compute(rt)?;
                self.result = Some(result);
                self.at = 0;
            }
            let Some(all) = &self.result else { return Ok(None) };
            let n = BATCH_ROWS.min(all.rows - self.at);
            if n > 0 {
                let part = all.slice(self.at, n);
                self.at += n;
                return Ok(Some(part));
            }
            if self.ended && self.rest.is_none() {
                return Ok(None);
            }
            self.result = None;
        }
    }
    fn reset(&mut self) {
        self.result = None;
        self.at = 0;
        self.rest = None;
        self.ended = false;
        self.partition.iter_mut().chain(&mut self.order).for_each(|k| k.expr.reset());
        self.frame.reset();
        for call in &mut self.calls {
            call.args.iter_mut().chain(&mut call.filter).for_each(Compiled::reset);
        }
        self.input.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.input]
    }
}

/// True when a bound asks for a distance.
fn offset(bound: &FrameBound) -> bool {
    matches!(bound, FrameBound::Offset { .. })
}

//! `dagdb_nodes` and `dagdb_edges` as tables: all of them, or what a condition on the node's id, on rank and value, or on an
//! edge's end leaves.

use alloc::{sync::Arc, vec::Vec};

use dagdb_graph::{INPUTS, Node, NodeId, View};
use dagdb_store::Stored;
use dagdb_tick::Network;
use pg_catalog::{
    Index, Relation,
    builtin::{DAGDB_EDGES, DAGDB_NODES},
    table::array,
};
use pg_plan::{expr::Expr, physical::IndexRange};
use pg_types::{
    Batch, Result, SqlError, SqlType, Value,
    numeric::Numeric,
    oid,
    vector::{BATCH_ROWS, VectorBuilder},
};

use super::{lut_value, rank_value, read};
use crate::{
    context::Rt,
    expr::Compiled,
    node::{Compiler, Operator},
};

/// Is it read by a [`GraphScan`]?
pub(crate) fn is_graph(relation: &Relation) -> bool {
    matches!(relation.oid, DAGDB_NODES | DAGDB_EDGES)
}

/// Whole numbers, the first and the last included.
type Interval = (i128, i128);
/// All of them.
const ANY: Interval = (i128::MIN, i128::MAX);

/// Which values of a key's leading columns are wanted.
struct Bounds {
    equal: Vec<Compiled>,
    lower: Option<(Compiled, bool)>,
    upper: Option<(Compiled, bool)>,
    any_of: Option<Compiled>,
    is_null: bool,
}

impl Bounds {
    fn new(range: &IndexRange, c: &mut Compiler<'_>) -> Result<Self> {
        let end = |e: &Option<(Expr, bool)>, c: &mut Compiler<'_>| -> Result<Option<(Compiled, bool)>> {
            e.as_ref().map(|(e, inclusive)| Ok((Compiled::new(e, c)?, *inclusive))).transpose()
        };
        Ok(Self {
            equal: c.exprs(&range.equal)?,
            lower: end(&range.lower, c)?,
            upper: end(&range.upper, c)?,
            any_of: c.option(range.any_of.as_ref())?,
            is_null: range.is_null,
        })
    }

    /// For each column of the key the intervals that are wanted; nothing for a column: nothing at all.
    fn intervals(&mut self, rt: &Rt<'_, '_>) -> Result<Vec<Vec<Interval>>> {
        let mut columns: Vec<Vec<Interval>> = Vec::new();
        for e in &mut self.equal {
            columns.push(point(&e.constant(rt)?).into_iter().collect());
        }
        let next = if self.is_null {
            Vec::new()
        } else if let Some(e) = &mut self.any_of {
            let Value::Array(a) = e.constant(rt)? else { return Ok(Vec::from([Vec::new()])) };
            let mut points: Vec<Interval> = a.values.iter().flat_map(point).collect();
            points.sort_unstable();
            points.dedup();
            points
        } else {
            let low = match &mut self.lower {
                Some((e, inclusive)) => whole(&e.constant(rt)?).map(|(n, off)| match off {
                    0 => n + i128::from(!*inclusive),
                    off => n + i128::from(off < 0),
                }),
                None => Some(ANY.0),
            };
            let high = match &mut self.upper {
                Some((e, inclusive)) => whole(&e.constant(rt)?).map(|(n, off)| match off {
                    0 => n - i128::from(!*inclusive),
                    off => n - i128::from(off > 0),
                }),
                None => Some(ANY.1),
            };
            low.zip(high).into_iter().collect()
        };
        columns.push(next);
        Ok(columns)
    }

    fn reset(&mut self) {
        self.equal.iter_mut().for_each(Compiled::reset);
        let ends = [&mut self.lower, &mut self.upper];
        ends.into_iter().flatten().for_each(|e| e.0.reset());
        self.any_of.iter_mut().for_each(Compiled::reset);
    }
}

/// The nearest whole number, and whether it is above (1) or below (-1) the value; `None` for NULL and what is no number.
fn whole(v: &Value) -> Option<(i128, i32)> {
    match v {
        Value::Int2(n) => Some((i128::from(*n), 0)),
        Value::Int4(n) => Some((i128::from(*n), 0)),
        Value::Int8(n) => Some((i128::from(*n), 0)),
        Value::Numeric(n) => match n.to_i128() {
            Some(near) => {
                // Below 2^100, so that one more or less is a number too.
                let near = near.clamp(-(1 << 100), 1 << 100);
                Some((near, Numeric::from(near).compare(n) as i32))
            }
            None if n.is_nan() => Some((1 << 100, 0)),
            None => Some((if n.to_f64() < 0.0 { -(1 << 100) } else { 1 << 100 }, 0)),
        },
        _ => None,
    }
}

fn point(v: &Value) -> Option<Interval> {
    whole(v).filter(|(_, off)| *off == 0).map(|(n, _)| (n, n))
}

/// Rows that are still to be given.
enum Source {
    /// All nodes from this one on.
    All(u32),
    /// These nodes, from this position on.
    Nodes(Vec<NodeId>, usize),
    /// These edges, from this position on.
    Edges(Vec<Edge>, usize),
    /// All edges: those read ahead, and the node whose inputs come next.
    AllEdges(Vec<Edge>, u32),
}

/// Source, target, slot; `None`: a back edge.
pub(super) type Edge = (NodeId, NodeId, Option<u8>);

/// Reads one of the two.
pub(crate) struct GraphScan {
    edges: bool,
    /// The last column of the way in; what is wanted of it; from the end.
    way: Option<(Arc<Index>, Bounds, bool)>,
    columns: Vec<i16>,
    types: Vec<SqlType>,
    filter: Option<Compiled>,
    open: Option<(Arc<Stored>, Source)>,
    done: bool,
    filtered: u64,
}

impl GraphScan {
    /// Over these columns, by an index's range unless all is wanted.
    pub(crate) fn new(
        relation: &Relation,
        way: Option<(&Arc<Index>, &IndexRange, bool)>,
        columns: &[i16],
        types: &[SqlType],
        filter: Option<&Expr>,
        c: &mut Compiler<'_>,
    ) -> Result<Self> {
        let way = match way {
            Some((index, range, backward)) => Some((index.clone(), Bounds::new(range, c)?, backward)),
            None => None,
        };
        Ok(Self {
            edges: relation.oid == DAGDB_EDGES,
            way,
            columns: columns.to_vec(),
            types: types.to_vec(),
            filter: c.option(filter)?,
            open: None,
            done: false,
            filtered: 0,
        })
    }

    fn open(&mut self, rt: &Rt<'_, '_>) -> Result<(Arc<Stored>, Source)> {
        let stored = read(rt.cx, rt.snapshot)?;
        let network = &stored.network;
        let source = match &mut self.way {
            None if self.edges => Source::AllEdges(Vec::new(), 0),
            None => Source::All(0),
            Some((index, bounds, backward)) => {
                let intervals = bounds.intervals(rt)?;
                let by = |name: &str| index.name.ends_with(name);
                let none = Vec::new();
                let first = intervals.first().unwrap_or(&none);
                let mut source = if by("_id") {
                    Source::Nodes(ids(first, network).collect(), 0)
                } else if by("_rank_truth") {
                    Source::Nodes(by_rank(first, intervals.get(1), network, rt)?, 0)
                } else if by("_target") {
                    let mut edges = Vec::new();
                    ids(first, network).for_each(|id| inputs_of(network, id, &mut edges));
                    Source::Edges(edges, 0)
                } else if by("_source") {
                    Source::Edges(outputs(first, network, rt)?, 0)
                } else {
                    return Err(SqlError::internal("an unknown way into a graph"));
                };
                if *backward {
                    match &mut source {
                        Source::Nodes(ids, _) => ids.reverse(),
                        Source::Edges(edges, _) => edges.reverse(),
                        Source::All(_) | Source::AllEdges(..) => {}
                    }
                }
                source
            }
        };
        Ok((stored, source))
    }
}

/// The ids in some intervals that nodes have, ascending.
fn ids<'a>(intervals: &'a [Interval], network: &'a Network) -> impl Iterator<Item = NodeId> + 'a {
    let count = network.node_count() as i128;
    intervals
        .iter()
        .flat_map(move |&(low, high)| low.max(0)..high.min(count - 1).saturating_add(1))
        .map(|id| NodeId(id as u32))
        .filter(|&id| !network.is_free(id))
}

fn by_rank(
    ranks: &[Interval],
    truths: Option<&Vec<Interval>>,
    network: &Network,
    rt: &Rt<'_, '_>,
) -> Result<Vec<NodeId>> {
    let wanted: Vec<bool> = (0..256)
        .map(|t: i128| truths.is_none_or(|l| l.iter().any(|&(low, high)| low <= t && t <= high)))
        .collect();
    let wants = |t: u8| wanted.get(usize::from(t)).copied().unwrap_or(false);
    let mut found: Vec<(u64, u8, NodeId)> = Vec::new();
    for &(low, high) in ranks {
        let (Ok(low), Ok(high)) = (u64::try_from(low.max(0)), u64::try_from(high.min(u64::MAX.into())))
        else {
            continue;
        };
        network.for_each_at((low, high), &wants, &mut |id, rank| {
            found.push((rank, network.truth(id).unwrap_or(0), id));
        });
        rt.cx.checkpoint()?;
    }
    rt.charge(found.len() * size_of::<(u64, u8, NodeId)>())?;
    found.sort_unstable();
    Ok(found.into_iter().map(|f| f.2).collect())
}

pub(super) fn inputs_of(network: &Network, id: NodeId, edges: &mut Vec<Edge>) {
    let Some(node) = network.node(id) else { return };
    for (slot, source) in node.inputs.iter().enumerate() {
        edges.extend(source.map(|s| (s, id, Some(slot as u8))));
    }
    edges.extend(node.back.map(|s| (s, id, None)));
}

fn outputs(sources: &[Interval], network: &Network, rt: &Rt<'_, '_>) -> Result<Vec<Edge>> {
    let mut edges = Vec::new();
    let mut of = Vec::new();
    for (n, source) in ids(sources, network).enumerate() {
        if n.is_multiple_of(1024) {
            rt.cx.checkpoint()?;
        }
        of.clear();
        network.for_each_reader(source, &mut |target| inputs_of(network, target, &mut of));
        edges.extend(of.iter().filter(|e| e.0 == source && e.2.is_some()));
        let fed = network.registers_of(source).map(|register| (source, register, None));
        edges.extend(fed);
    }
    Ok(edges)
}

fn id_value(id: NodeId) -> Value {
    Value::Int8(i64::from(id.0))
}

/// A column of `dagdb_nodes` by attribute number.
pub(super) fn node_column(attnum: i16, id: NodeId, node: &Node) -> Value {
    match attnum {
        1 => id_value(id),
        2 => rank_value(node.rank),
        3 => Value::Int2(i16::from(node.truth)),
        4 => Value::Int2(i16::from(node.kind.code())),
        5 => lut_value(node.lut),
        6 => {
            let used = node.inputs.iter().rposition(Option::is_some).map_or(0, |slot| slot + 1);
            array(oid::INT8, node.inputs.iter().take(used).map(|s| s.map_or(Value::Null, id_value)).collect())
        }
        7 => node.back.map_or(Value::Null, id_value),
        // Where the row is: UPDATE and DELETE find it by that.
        -1 => Value::Tid(id.0, 1),
        -6 => Value::Oid(DAGDB_NODES),
        _ => Value::Null,
    }
}

/// A column of `dagdb_edges` by attribute number.
pub(super) fn edge_column(attnum: i16, &(source, target, slot): &Edge) -> Value {
    match attnum {
        1 => id_value(source),
        2 => id_value(target),
        3 => slot.map_or(Value::Null, |s| Value::Int2(i16::from(s))),
        4 => Value::Bool(slot.is_none()),
        -1 => Value::Tid(target.0, slot.map_or(INPUTS as u16, u16::from) + 1),
        -6 => Value::Oid(DAGDB_EDGES),
        _ => Value::Null,
    }
}

fn put_edge(edge: &Edge, columns: &[i16], out: &mut [VectorBuilder]) -> Result<()> {
    for (b, &attnum) in out.iter_mut().zip(columns) {
        b.push(&edge_column(attnum, edge))?;
    }
    Ok(())
}

/// Appends the next rows; how many.
fn fill(network: &Network, source: &mut Source, columns: &[i16], out: &mut [VectorBuilder]) -> Result<usize> {
    let mut rows = 0;
    let put = |id: NodeId, out: &mut [VectorBuilder]| -> Result<()> {
        // Reading ids alone needs no nodes.
        let node = if columns.iter().all(|&c| matches!(c, 1 | -1)) {
            Node::default()
        } else {
            network.existing(id).unwrap_or_default()
        };
        for (b, &attnum) in out.iter_mut().zip(columns) {
            b.push(&node_column(attnum, id, &node))?;
        }
        Ok(())
    };
    match source {
        Source::All(next) => {
            while rows < BATCH_ROWS && (*next as usize) < network.node_count() {
                let id = NodeId(*next);
                *next += 1;
                if !network.is_free(id) {
                    put(id, out)?;
                    rows += 1;
                }
            }
        }
        Source::Nodes(ids, next) => {
            for &id in ids.iter().skip(*next).take(BATCH_ROWS) {
                put(id, out)?;
                rows += 1;
            }
            *next += rows;
        }
        Source::Edges(edges, next) => {
            for edge in edges.iter().skip(*next).take(BATCH_ROWS) {
                put_edge(edge, columns, out)?;
                rows += 1;
            }
            *next += rows;
        }
        Source::AllEdges(ahead, next) => {
            ahead.clear();
            // A node has at most six inputs and a back edge.
            while ahead.len() + INPUTS < BATCH_ROWS && (*next as usize) < network.node_count() {
                inputs_of(network, NodeId(*next), ahead);
                *next += 1;
            }
            rows = ahead.len();
            ahead.iter().try_for_each(|edge| put_edge(edge, columns, out))?;
        }
    }
    Ok(rows)
}

impl Operator for GraphScan {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        let (stored, mut source) = match self.open.take() {
            Some(open) => open,
            None => self.open(rt)?,
        };
        loop {
            rt.cx.checkpoint()?;
            let mut builders: Vec<_> =
                self.types.iter().map(|t| VectorBuilder::with_capacity(*t, BATCH_ROWS)).collect();
            let rows = fill(&stored.network, &mut source, &self.columns, &mut builders)?;
            if rows == 0 {
                self.done = true;
                return Ok(None);
            }
            let mut b = Batch::new(builders.into_iter().map(VectorBuilder::finish).collect(), rows);
            if let Some(f) = &mut self.filter {
                let kept = f.filter(&b, None, rt)?;
                self.filtered += (b.rows - kept.len()) as u64;
                b = b.with_selection(kept);
            }
            if !b.is_empty() {
                self.open = Some((stored, source));
                return Ok(Some(b));
            }
        }
    }
    fn reset(&mut self) {
        self.open = None;
        self.done = false;
        self.filter.iter_mut().for_each(Compiled::reset);
        if let Some((_, bounds, _)) = &mut self.way {
            bounds.reset();
        }
    }
    fn filtered(&self) -> u64 {
        self.filtered
    }
}

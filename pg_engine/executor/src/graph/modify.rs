//! INSERT, UPDATE and DELETE on `dagdb_nodes` and `dagdb_edges`.
//!
//! A statement is one edit of the graph: its rows are collected, and when its source has ended they are applied and checked
//! together. COPY FROM is an INSERT that is fed piece by piece; it is applied when the file has ended.

use alloc::{boxed::Box, vec::Vec};

use dagdb_graph::{Draft, GraphError, Kind, Node, NodeId, View};
use dagdb_tick::Network;
use hashbrown::HashSet;
use pg_catalog::builtin::DAGDB_EDGES;
use pg_plan::physical;
use pg_storage::LockMode;
use pg_types::{Batch, Result, SqlError, SqlState, SqlType, Value};

use super::{
    bulk::{self, NewNodes, RowEdge, Slot},
    change, current,
    edit::{inputs, truth},
    find, graph_error, lock, lut, node_id,
    progress::Phase,
    rank,
    scan::{Edge, edge_column, node_column},
};
use crate::{
    context::{ExecContext, Rt},
    expr::{Compiled, RowRef},
    node::{
        Compiler, Exec, Operator,
        modify::{Returned, Target, serialization_failure},
        row_reader::value_tid,
    },
};

/// Positions of `dagdb_nodes`' columns.
mod node_columns {
    pub(super) const ID: usize = 0;
    pub(super) const RANK: usize = 1;
    pub(super) const TRUTH: usize = 2;
    pub(super) const TYPE: usize = 3;
    pub(super) const LUT: usize = 4;
    pub(super) const INPUTS: usize = 5;
    pub(super) const BACK: usize = 6;
}

enum What {
    Insert,
    /// Positions of the columns that change, and their new values over the source's columns.
    Update(Vec<(usize, Compiled)>),
    Delete,
}

/// Rows that wait for the end of the statement.
#[derive(Default)]
struct Waiting {
    added: NewNodes,
    changed: Vec<(NodeId, Node)>,
    removed: Vec<NodeId>,
    cut: Vec<RowEdge>,
    tied: Vec<RowEdge>,
    /// Rows that were changed: a later row of the source for the same one does nothing.
    seen: HashSet<(u32, u16)>,
    /// Rows of the source, for RETURNING.
    sources: Vec<Vec<Value>>,
    rows: u64,
}

impl Waiting {
    fn memory(&self) -> usize {
        let nodes = self.changed.capacity() * size_of::<(NodeId, Node)>() + self.removed.capacity() * 4;
        let edges = (self.cut.capacity() + self.tied.capacity()) * size_of::<RowEdge>();
        let width = self.sources.first().map_or(0, Vec::len);
        let sources = self.sources.len() * width * size_of::<Value>();
        self.added.memory() + nodes + edges + sources + self.seen.capacity() * 16
    }
}

/// One of the three statements.
pub(crate) struct GraphModify {
    target: Target,
    source: Exec,
    edges: bool,
    what: What,
    waiting: Waiting,
    /// More will be fed: what waits is kept over a reset.
    fed: bool,
    returned: Returned,
}

impl GraphModify {
    fn new(
        target: &physical::Target,
        source: &physical::Physical,
        what: What,
        c: &mut Compiler<'_>,
        types: &[SqlType],
    ) -> Result<Self> {
        Ok(Self {
            edges: target.relation.oid == DAGDB_EDGES,
            target: Target::new(target, c)?,
            source: Exec::new(source, c)?,
            what,
            waiting: Waiting::default(),
            fed: false,
            returned: Returned::new(types),
        })
    }

    pub(crate) fn insert(i: &physical::Insert, c: &mut Compiler<'_>, types: &[SqlType]) -> Result<Self> {
        Self::new(&i.target, &i.source, What::Insert, c, types)
    }

    pub(crate) fn update(u: &physical::Update, c: &mut Compiler<'_>, types: &[SqlType]) -> Result<Self> {
        let place = |attnum: i16| {
            usize::try_from(attnum - 1)
                .map_err(|_| SqlError::internal("assignment to a column that is not there"))
        };
        let assignments = u
            .assignments
            .iter()
            .map(|(attnum, e)| Ok((place(*attnum)?, Compiled::new(e, c)?)))
            .collect::<Result<_>>()?;
        Self::new(&u.target, &u.source, What::Update(assignments), c, types)
    }

    pub(crate) fn delete(d: &physical::Delete, c: &mut Compiler<'_>, types: &[SqlType]) -> Result<Self> {
        Self::new(&d.target, &d.source, What::Delete, c, types)
    }

    fn command(&self) -> &'static str {
        match self.what {
            What::Insert => "INSERT",
            What::Update(_) => "UPDATE",
            What::Delete => "DELETE",
        }
    }

    /// Locks the graph. If others changed it after the statement's snapshot was taken, its rows are to be read anew.
    fn hold(&self, rt: &Rt<'_, '_>) -> Result<()> {
        let name = current(rt.cx);
        let (now, _) = lock(rt.cx, self.command(), &name, LockMode::ShareUpdateExclusive)?;
        if matches!(self.what, What::Insert) {
            return Ok(());
        }
        if rt.cx.session.setting(super::AS_OF).is_some_and(|tick| !tick.trim().is_empty()) {
            let text = "rows as of a tick that is past cannot be changed";
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
                .hint("RESET dagdb.as_of_tick to change what is."));
        }
        let seen = find(rt.cx, rt.snapshot, &name)?;
        if seen.is_some_and(|s| s.version == now.version) {
            return Ok(());
        }
        // What nobody else sees is this statement's own change.
        let committed = find(rt.cx, &rt.cx.engine.catalog().latest(), &name)?;
        if committed.is_none_or(|c| c.version != now.version) {
            return Ok(());
        }
        rt.restart.set(!rt.cx.txn.borrow().isolation().uses_one_snapshot());
        Err(serialization_failure("update"))
    }

    fn run(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        self.hold(rt)?;
        let shown = rt.cx.engine.graph_progress().show(rt.cx, &current(rt.cx), self.command());
        shown.item.phase(Phase::Collecting);
        shown.item.did(self.waiting.rows);
        while let Some(b) = self.source.next(rt)? {
            rt.cx.checkpoint()?;
            shown.item.did(b.selected().len() as u64);
            if matches!(self.what, What::Insert) {
                let b = b.compact();
                self.target.check_batch(&b, rt)?;
                for i in 0..b.rows {
                    self.add_row(b.row_values(i))?;
                }
            } else {
                for i in b.selected() {
                    self.change_row(b.columns.iter().map(|c| c.value(i)).collect(), rt)?;
                }
            }
            bulk::waiting(rt.cx, self.waiting.memory())?;
        }
        drop(shown);
        self.fed = rt.more;
        if self.fed {
            return Ok(());
        }
        self.apply(rt)
    }

    /// A row to be inserted.
    fn add_row(&mut self, row: Vec<Value>) -> Result<()> {
        let w = &mut self.waiting;
        if self.edges {
            w.tied.push(row_edge(&row)?);
        } else {
            let id = match row.get(node_columns::ID) {
                Some(Value::Int8(id)) => Some(node_id(*id)?),
                _ => None,
            };
            let mut node = Node::default();
            for (column, v) in row.iter().enumerate() {
                set_column(&mut node, column, v)?;
            }
            w.added.push(id, &node)?;
        }
        w.rows += 1;
        Ok(())
    }

    /// A row of the source of UPDATE or DELETE: ctid, old columns, others.
    fn change_row(&mut self, row: Vec<Value>, rt: &Rt<'_, '_>) -> Result<()> {
        let w = &mut self.waiting;
        let place =
            row.first().and_then(value_tid).ok_or_else(|| SqlError::internal("a row without ctid"))?;
        if !w.seen.insert((place.block, place.slot)) {
            return Ok(());
        }
        let width = self.target.live.len();
        let old = row.get(1..=width).unwrap_or(&[]);
        match &mut self.what {
            What::Insert => {}
            What::Delete if self.edges => w.cut.push(row_edge(old)?),
            What::Delete => w.removed.push(NodeId(place.block)),
            What::Update(assignments) => {
                let mut new = old.to_vec();
                for (position, e) in assignments {
                    if let Some(slot) = new.get_mut(*position) {
                        *slot = e.row(RowRef::Values(&row), rt)?;
                    }
                }
                self.target.check(&new, rt)?;
                if self.edges {
                    w.cut.push(row_edge(old)?);
                    w.tied.push(row_edge(&new)?);
                } else if new.first() != old.first() {
                    return Err(SqlError::unsupported("changing the id of a node"));
                } else {
                    let mut node = Node::default();
                    for (column, v) in new.iter().enumerate() {
                        set_column(&mut node, column, v)?;
                    }
                    w.changed.push((NodeId(place.block), node));
                }
            }
        }
        if self.target.returning.is_some() {
            w.sources.push(row);
        }
        w.rows += 1;
        Ok(())
    }

    /// The end of the statement.
    fn apply(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        let w = core::mem::take(&mut self.waiting);
        self.returned.affected = w.rows;
        if w.rows == 0 {
            return Ok(());
        }
        let assigned: Vec<usize> = match &self.what {
            What::Update(list) => list.iter().map(|a| a.0).collect(),
            What::Insert | What::Delete => Vec::new(),
        };
        let wants = self.target.returning.is_some();
        let new = change(rt.cx, self.command(), |stored, changed| {
            let mut draft = Draft::new(&stored.network);
            let made = make(rt.cx, &mut draft, &w, &assigned)?;
            let removed = !w.removed.is_empty();
            rt.cx.checkpoint()?;
            let drafted = draft.finish().map_err(|e| match e {
                GraphError::SourceOutOfRange { .. } | GraphError::FreeSource { .. } if removed => {
                    SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, alloc::format!("{e}"))
                }
                e => graph_error(e),
            })?;
            bulk::adopt(stored, changed, drafted);
            Ok(if wants { made.rows(&stored.network) } else { Vec::new() })
        })?;
        self.give(w.sources, new, rt)
    }

    /// RETURNING.
    fn give(&mut self, sources: Vec<Vec<Value>>, new: Vec<Vec<Value>>, rt: &Rt<'_, '_>) -> Result<()> {
        let Some(exprs) = &mut self.target.returning else { return Ok(()) };
        let width = self.target.live.len();
        let mut sources = sources.into_iter();
        let mut new = new.into_iter();
        loop {
            let (source, row) = (sources.next(), new.next());
            let both = match (source, row) {
                (None, None) => return Ok(()),
                (Some(source), Some(mut row)) => {
                    row.extend(source);
                    row
                }
                // DELETE: the old row.
                (Some(source), None) => {
                    let mut row: Vec<Value> = source.iter().skip(1).take(width).cloned().collect();
                    row.extend(source);
                    row
                }
                // INSERT: its columns, and then the source's, which are the same.
                (None, Some(row)) => row.iter().chain(&row).cloned().collect(),
            };
            self.returned.push(exprs, &both, rt)?;
        }
    }
}

/// What was made, in the order of rows.
enum Made {
    Nothing,
    Nodes(Vec<NodeId>),
    Edges(Vec<Edge>),
}

impl Made {
    fn rows(&self, network: &Network) -> Vec<Vec<Value>> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Nodes(ids) => {
                let row = |id: &NodeId| {
                    let node = network.node(*id).unwrap_or_default();
                    (1..=7).map(|attnum| node_column(attnum, *id, &node)).collect()
                };
                ids.iter().map(row).collect()
            }
            Self::Edges(edges) => {
                edges.iter().map(|e| (1..=4).map(|attnum| edge_column(attnum, e)).collect()).collect()
            }
        }
    }
}

/// Puts what waits into a draft.
fn make<V: View>(
    cx: &ExecContext<'_>,
    draft: &mut Draft<'_, V>,
    w: &Waiting,
    assigned: &[usize],
) -> Result<Made> {
    if !w.removed.is_empty() {
        draft.remove(&mut w.removed.clone()).map_err(graph_error)?;
        return Ok(Made::Nothing);
    }
    if w.added.len() > 0 {
        return w.added.apply(cx, draft).map(Made::Nodes);
    }
    for (n, (id, new)) in w.changed.iter().enumerate() {
        bulk::pause(cx, n)?;
        let mut node = draft.existing(*id).map_err(graph_error)?;
        for &column in assigned {
            match column {
                node_columns::RANK => node.rank = new.rank,
                node_columns::TRUTH => node.truth = new.truth,
                node_columns::TYPE => node.kind = new.kind,
                node_columns::LUT => node.lut = new.lut,
                node_columns::INPUTS => node.inputs = new.inputs,
                node_columns::BACK => node.back = new.back,
                _ => {}
            }
        }
        draft.put(*id, node).map_err(graph_error)?;
    }
    if !w.changed.is_empty() {
        return Ok(Made::Nodes(w.changed.iter().map(|c| c.0).collect()));
    }
    // All are removed before any is added: edges may change places.
    for (n, edge) in w.cut.iter().enumerate() {
        bulk::pause(cx, n)?;
        bulk::disconnect(draft, edge)?;
    }
    let mut edges = Vec::new();
    for (n, edge) in w.tied.iter().enumerate() {
        bulk::pause(cx, n)?;
        let slot = bulk::connect(draft, edge)?;
        edges.push((edge.source, edge.target, slot));
    }
    Ok(if w.tied.is_empty() { Made::Nothing } else { Made::Edges(edges) })
}

/// A column's value into a node.
fn set_column(node: &mut Node, column: usize, v: &Value) -> Result<()> {
    match (column, v) {
        (node_columns::RANK, Value::Numeric(n)) => node.rank = rank(n)?,
        (node_columns::TRUTH, Value::Int2(n)) => node.truth = truth(i64::from(*n))?,
        (node_columns::TYPE, Value::Int2(n)) => {
            let kind = u8::try_from(*n).ok().and_then(Kind::from_code).filter(|k| *k != Kind::Free);
            node.kind = kind.ok_or_else(|| {
                SqlError::new(SqlState::INVALID_PARAMETER_VALUE, alloc::format!("node type {n} is not known"))
                    .detail("Types are 0 (real), 1 (virtual) and 2 (ghost).")
            })?;
        }
        (node_columns::LUT, Value::Text(text)) => node.lut = lut(text)?,
        (node_columns::INPUTS, v) => node.inputs = inputs(Some(v))?,
        (node_columns::BACK, Value::Int8(n)) => node.back = Some(node_id(*n)?),
        _ => {}
    }
    Ok(())
}

/// A row of `dagdb_edges`.
fn row_edge(row: &[Value]) -> Result<RowEdge> {
    let id = |n: usize| match row.get(n) {
        Some(Value::Int8(id)) => node_id(*id),
        _ => Err(SqlError::internal("an edge without ends")),
    };
    let slot = match (row.get(2), row.get(3)) {
        (Some(Value::Int2(_)), Some(Value::Bool(true))) => {
            let text = "a back edge has no slot";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text));
        }
        (_, Some(Value::Bool(true))) => Slot::Back,
        (Some(Value::Int2(n)), _) => match u8::try_from(*n) {
            Ok(n) if usize::from(n) < dagdb_graph::INPUTS => Slot::At(n),
            _ => return Err(bulk::no_slot(i64::from(*n))),
        },
        _ => Slot::Free,
    };
    Ok(RowEdge { source: id(0)?, target: id(1)?, slot })
}

impl Operator for GraphModify {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.returned.waits() {
            self.run(rt)?;
        }
        Ok(self.returned.next())
    }
    fn reset(&mut self) {
        self.returned.reset();
        if !self.fed {
            self.waiting = Waiting::default();
        }
        self.target.reset();
        if let What::Update(assignments) = &mut self.what {
            assignments.iter_mut().for_each(|(_, e)| e.reset());
        }
        self.source.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.source]
    }
    fn affected(&self) -> u64 {
        self.returned.affected
    }
}

/// The operator of a data-changing plan node, if its target is a graph.
pub(crate) fn modify(
    node: &physical::Node,
    c: &mut Compiler<'_>,
    types: &[SqlType],
) -> Result<Option<Box<dyn Operator>>> {
    let is_graph = |t: &physical::Target| super::is_graph(&t.relation);
    Ok(Some(Box::new(match node {
        physical::Node::Insert(i) if is_graph(&i.target) => GraphModify::insert(i, c, types)?,
        physical::Node::Update(u) if is_graph(&u.target) => GraphModify::update(u, c, types)?,
        physical::Node::Delete(d) if is_graph(&d.target) => GraphModify::delete(d, c, types)?,
        _ => return Ok(None),
    })))
}

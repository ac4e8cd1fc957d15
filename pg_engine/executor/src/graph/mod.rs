//! Graphs as SQL sees them: rows of `dagdb_graph` name them, `dagdb_store` keeps what they are.
//!
//! Statements look at and change the *current* graph, which the setting `dagdb.graph` names (`main` unless it is set). Readers
//! use their statement's snapshot. A writer locks the graph until its transaction ends, works on a copy (which shares what is
//! large), writes the pieces that differ and a new version number into the graph's row.

mod batch;
mod build;
mod bulk;
mod compare;
mod compute;
mod crew;
mod edit;
mod exec;
mod functions;
mod history;
mod modify;
mod progress;
mod readers;
mod scan;
mod verify;

use alloc::{format, string::String, sync::Arc, vec::Vec};

use dagdb_graph::{Graph, GraphError, Lut, NodeId, View};
use dagdb_store::{StoreError, Stored};
use dagdb_tick::Path;
use pg_catalog::{
    GraphFacts, Txn,
    builtin::{DAGDB_GRAPH, rows::graph_row},
    storage_error,
    table::{CatalogTable, Row},
};
use pg_storage::{LockMode, RelId, RelationKind, Snapshot, Tid};
use pg_types::{Oid, Result, SqlError, SqlState, Value, numeric::Numeric};

use crate::{context::ExecContext, engine::Engine, session::Session};
use progress::Phase;

pub(crate) use compute::backends as compute_backends;
pub(crate) use crew::Crew;
pub(crate) use functions::{call, given, rows};
pub(crate) use modify::modify;
pub(crate) use progress::Progress;
pub(crate) use readers::Readers;
pub(crate) use scan::{GraphScan, is_graph};
pub(crate) use verify::check;

/// The setting that names the current graph.
const CURRENT: &str = "dagdb.graph";
/// The setting that names the tick whose graph is read; changes are of the present one.
const AS_OF: &str = "dagdb.as_of_tick";
/// The current graph unless the setting says otherwise.
const MAIN: &str = "main";
/// The longest name, as of any object.
const NAME_BYTES: usize = 63;

/// A graph's row.
struct Entry {
    oid: Oid,
    heap: RelId,
    nodes: u64,
    version: i64,
    tid: Tid,
    row: Row,
}

/// A graph's error as clients see it.
fn graph_error(e: GraphError) -> SqlError {
    let state = match e {
        GraphError::NoSuchNode { .. }
        | GraphError::Free { .. }
        | GraphError::SourceOutOfRange { .. }
        | GraphError::FreeSource { .. } => SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        GraphError::NoFreeInput { .. } | GraphError::TooManyNodes { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
        GraphError::DuplicateSource { .. } => SqlState::UNIQUE_VIOLATION,
        GraphError::UnknownKind { .. } => SqlState::INVALID_PARAMETER_VALUE,
        GraphError::RankOrder { .. }
        | GraphError::NotFree { .. }
        | GraphError::SelfLoop { .. }
        | GraphError::InputOfRegister { .. }
        | GraphError::RegisterWithInputs { .. }
        | GraphError::SecondBackEdge { .. } => SqlState::CHECK_VIOLATION,
    };
    SqlError::new(state, format!("{e}"))
}

/// The store's error; one that ended the work because the caller asked for it is what the caller says.
fn store_error(e: StoreError, cx: &ExecContext<'_>) -> SqlError {
    match e {
        StoreError::Storage(e) => storage_error(e),
        StoreError::Changed => SqlError::new(SqlState::SERIALIZATION_FAILURE, format!("{e}")),
        StoreError::Damaged { .. } => SqlError::new(SqlState::DATA_CORRUPTED, format!("{e}")),
        StoreError::Cancelled => interrupted(cx),
    }
}

fn interrupted(cx: &ExecContext<'_>) -> SqlError {
    cx.session
        .interrupted()
        .unwrap_or_else(|| SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request"))
}

fn no_such_graph(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("graph \"{name}\" does not exist"))
}

/// The current graph's name.
fn current(cx: &ExecContext<'_>) -> String {
    named(cx.session)
}

/// The name of a session's current graph.
pub(crate) fn named(session: &dyn Session) -> String {
    session.setting(CURRENT).filter(|name| !name.is_empty()).unwrap_or_else(|| MAIN.into())
}

fn table<'a>(cx: &'a ExecContext<'_>) -> Result<&'a Arc<CatalogTable>> {
    cx.engine.catalog().table(DAGDB_GRAPH)
}

fn find(cx: &ExecContext<'_>, snapshot: &Snapshot, name: &str) -> Result<Option<Entry>> {
    let found = table(cx)?.find(cx.engine.storage(), snapshot, &["graphname"], &[Value::text(name)])?;
    Ok(found.into_iter().next().map(|(tid, row)| Entry {
        oid: row.oid("oid"),
        heap: RelId(row.oid("graphheap")),
        nodes: row.int("graphnodes").max(0) as u64,
        version: row.int("graphversion"),
        tid,
        row,
    }))
}

/// What the planner is told about a graph: all of it if the graph is at hand.
pub(crate) fn facts(engine: &Engine, snapshot: &Snapshot, name: &str) -> Option<GraphFacts> {
    /// Ranks that are told one by one.
    const RANKS: usize = 10_000;
    let table = engine.catalog().table(DAGDB_GRAPH).ok()?;
    let found = table.find(engine.storage(), snapshot, &["graphname"], &[Value::text(name)]).ok()?;
    let (_, row) = found.first()?;
    let nodes = row.int("graphnodes").max(0) as u64;
    let mut facts = GraphFacts { nodes, edges: nodes.saturating_mul(3), ..GraphFacts::default() };
    let mut path = Path::best();
    if let Some(stored) = engine.graphs().get(RelId(row.oid("graphheap")), row.int("graphversion")) {
        let network = &stored.network;
        facts.nodes = nodes.saturating_sub(network.free_ids() as u64);
        (facts.edges, facts.registers) = network.edges();
        facts.truths = network.truths();
        facts.ranks = network.ranks();
        if facts.ranks.len() > RANKS {
            facts.ranks.clear();
        }
        path = network.path();
    }
    facts.backend = backend(path).into();
    Some(facts)
}

/// The name of what evaluates.
fn backend(path: Path) -> &'static str {
    match path {
        Path::Scalar => "scalar",
        Path::Avx2 => "AVX2",
        Path::Avx512 => "AVX-512",
    }
}

/// Lets others run; says whether the statement is to go on.
fn go_on(cx: &ExecContext<'_>) -> bool {
    platform::task::checkpoint();
    cx.session.interrupted().is_none()
}

fn load(cx: &ExecContext<'_>, entry: &Entry, snapshot: &Snapshot) -> Result<Arc<Stored>> {
    let cache = cx.engine.graphs();
    if let Some(stored) = cache.get(entry.heap, entry.version) {
        return Ok(stored);
    }
    let storage = cx.engine.storage();
    let mut stored = Stored::load(storage, entry.heap, snapshot, entry.nodes, &mut || go_on(cx))
        .map_err(|e| store_error(e, cx))?;
    stored.network.index_readers();
    stored.network.set_ticks(entry.row.int("graphticks").max(0) as u64);
    let stored = Arc::new(stored);
    cache.put(entry.heap, entry.version, stored.clone());
    Ok(stored)
}

/// The current graph as a snapshot sees it, or as it was at the tick that a setting names.
fn read(cx: &ExecContext<'_>, snapshot: &Snapshot) -> Result<Arc<Stored>> {
    if let Some(tick) = cx.session.setting(AS_OF).filter(|t| !t.trim().is_empty()) {
        let tick = tick.trim().parse().map_err(|_| {
            let text = format!("invalid value for parameter \"{AS_OF}\": \"{tick}\"");
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text)
        })?;
        return history::as_of(cx, snapshot, tick);
    }
    let name = current(cx);
    let entry = find(cx, snapshot, &name)?.ok_or_else(|| no_such_graph(&name))?;
    load(cx, &entry, snapshot)
}

/// The current graph as a function sees it that is called now: with what this statement's earlier calls changed.
fn read_now(cx: &ExecContext<'_>) -> Result<Arc<Stored>> {
    let snapshot = cx.txn.borrow_mut().snapshot();
    read(cx, &snapshot)
}

/// What a change did.
struct Changed {
    /// The version that the graph had, and the one it will have.
    before: i64,
    version: i64,
    /// Which structure it had.
    shape: i64,
    /// Where it is kept.
    heap: RelId,
    /// Who looks sees how far it is.
    shown: Arc<progress::Item>,
    /// Nodes with another row than before, new ones among them.
    shaped: Vec<NodeId>,
    /// Values may have changed.
    valued: bool,
    /// The new graph by ids, if there is nothing of the old one in it.
    by_id: Option<Graph>,
}

/// Changes the current graph. If `work` fails nothing has changed.
fn change<T>(
    cx: &ExecContext<'_>,
    command: &str,
    work: impl FnOnce(&mut Stored, &mut Changed) -> Result<T>,
) -> Result<T> {
    let name = current(cx);
    let (entry, snapshot) = lock(cx, command, &name, LockMode::ShareUpdateExclusive)?;
    let shown = cx.engine.graph_progress().show(cx, &name, command);
    let old = load(cx, &entry, &snapshot)?;
    shown.item.phase(Phase::Working);
    let mut new = Stored::clone(&old);
    let (before, version) = (entry.version, new_version());
    let shape = entry.row.int("graphshape");
    let item = shown.item.clone();
    let mut changed = Changed {
        before,
        version,
        shape,
        heap: entry.heap,
        shown: item,
        shaped: Vec::new(),
        valued: false,
        by_id: None,
    };
    let value = work(&mut new, &mut changed)?;
    let ticks = new.network.ticks() as i64;
    if changed.shaped.is_empty() && !changed.valued && ticks == entry.row.int("graphticks") {
        return Ok(value);
    }
    // The pieces of values say how many nodes they have: a new node is in them whatever its value.
    let count = old.network.node_count();
    let mut valued: Vec<NodeId> = changed.shaped.iter().copied().filter(|id| id.index() >= count).collect();
    if changed.valued {
        new.network.for_each_change(&old.network, &mut |id| valued.push(id));
    }
    shown.item.phase(Phase::Writing);
    let left = new.network.node_count();
    let reshaped = !changed.shaped.is_empty() || left != count;
    if let Some(last) = left.checked_sub(1).filter(|last| last + 1 < count) {
        // Pieces say how many nodes they have: what is now the last one of each kind has fewer.
        changed.shaped.push(NodeId(last as u32));
        valued.push(NodeId(last as u32));
    }
    let mut txn = cx.txn.borrow_mut();
    let (shaped, valued) = (changed.shaped.into_iter(), valued.into_iter());
    let by_id = changed.by_id.as_ref();
    let mut written = || {
        shown.item.did(dagdb_store::PIECES as u64);
        go_on(cx)
    };
    new.save(cx.engine.storage(), txn.storage(), entry.heap, by_id, shaped, valued, &mut written)
        .map_err(|e| store_error(e, cx))?;
    drop(changed.by_id);
    write_row(cx, &mut txn, &entry, new, version, reshaped)?;
    Ok(value)
}

/// Makes a graph's row say what its pieces are now, and keeps the graph at hand. `reshaped`: not only values changed.
fn write_row(
    cx: &ExecContext<'_>,
    txn: &mut Txn,
    entry: &Entry,
    new: Stored,
    version: i64,
    reshaped: bool,
) -> Result<()> {
    let (nodes, ticks) = (new.network.node_count() as i64, new.network.ticks() as i64);
    let row =
        entry.row.clone().set("graphnodes", nodes).set("graphticks", ticks).set("graphversion", version);
    let row = if reshaped { row.set("graphshape", version) } else { row };
    let updated = table(cx)?.update(cx.engine.storage(), txn.storage(), entry.tid, &entry.row, &row);
    updated.map_err(|e| match e.state() {
        // Of the row: someone changed the graph after this transaction's snapshot was taken.
        SqlState::INTERNAL_ERROR => store_error(StoreError::Changed, cx),
        _ => e,
    })?;
    txn.storage().next_command();
    cx.engine.graphs().put(entry.heap, version, Arc::new(new));
    Ok(())
}

/// A version that no graph had before.
fn new_version() -> i64 {
    let mut version = [0; 8];
    platform::entropy::fill(&mut version);
    i64::from_le_bytes(version)
}

/// Locks a graph until the transaction ends; gives its row as it is then.
fn lock(cx: &ExecContext<'_>, command: &str, name: &str, mode: LockMode) -> Result<(Entry, Snapshot)> {
    let mut txn = cx.txn.borrow_mut();
    txn.check_writable(command)?;
    let snapshot = txn.snapshot();
    let entry = find(cx, &snapshot, name)?.ok_or_else(|| no_such_graph(name))?;
    cx.engine.lock(&mut txn, entry.oid, mode)?;
    let snapshot = txn.snapshot();
    let entry = find(cx, &snapshot, name)?.ok_or_else(|| no_such_graph(name))?;
    Ok((entry, snapshot))
}

/// A new graph of so many nodes, all of rank 0 and false.
fn create(cx: &ExecContext<'_>, name: &str, nodes: i64) -> Result<()> {
    let mut txn = cx.txn.borrow_mut();
    txn.check_writable("dagdb_create_graph()")?;
    if name.is_empty() || name.len() > NAME_BYTES {
        let text = format!("a graph's name has 1 to {NAME_BYTES} bytes");
        return Err(SqlError::new(SqlState::INVALID_NAME, text));
    }
    let nodes = u32::try_from(nodes).map_err(|_| {
        SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("a graph cannot have {nodes} nodes"))
    })?;
    let snapshot = txn.snapshot();
    if find(cx, &snapshot, name)?.is_some() {
        return Err(duplicate(name));
    }
    bulk::room(cx, nodes as usize)?;
    let storage = cx.engine.storage();
    let heap = storage.create_relation(txn.storage(), RelationKind::Heap).map_err(storage_error)?;
    let table = table(cx)?;
    let row = graph_row(table.def, cx.engine.catalog().new_oid()?, name, cx.session.user(), heap);
    let version = new_version();
    let row = row.set("graphnodes", i64::from(nodes)).set("graphversion", version);
    table.insert(storage, txn.storage(), &row).map_err(|e| match e.state() {
        SqlState::UNIQUE_VIOLATION => duplicate(name),
        _ => e,
    })?;
    let graph = Graph::with_nodes(nodes as usize).map_err(graph_error)?;
    let mut stored = Stored::create(&graph, storage, txn.storage(), heap, &mut || go_on(cx))
        .map_err(|e| store_error(e, cx))?;
    txn.storage().next_command();
    stored.network.index_readers();
    cx.engine.graphs().put(heap, version, Arc::new(stored));
    Ok(())
}

fn duplicate(name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_OBJECT, format!("graph \"{name}\" already exists"))
}

fn drop_graph(cx: &ExecContext<'_>, name: &str) -> Result<()> {
    let (entry, snapshot) = lock(cx, "dagdb_drop_graph()", name, LockMode::AccessExclusive)?;
    let storage = cx.engine.storage();
    let mut txn = cx.txn.borrow_mut();
    history::forget(cx, &mut txn, &snapshot, name)?;
    table(cx)?.delete(storage, txn.storage(), entry.tid)?;
    storage.drop_relation(txn.storage(), entry.heap).map_err(storage_error)?;
    txn.storage().next_command();
    // If this is rolled back, it is read again, and sent again.
    cx.engine.graphs().remove(entry.heap);
    cx.engine.compute().forget(u64::from(entry.heap.0));
    Ok(())
}

/// A node's id, from SQL.
fn node_id(n: i64) -> Result<NodeId> {
    u32::try_from(n)
        .map(NodeId)
        .map_err(|_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("node {n} does not exist")))
}

/// A rank, from SQL.
fn rank(n: &Numeric) -> Result<u64> {
    n.to_i128().and_then(|r| u64::try_from(r).ok()).ok_or_else(|| {
        SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("rank {n} is out of range"))
            .detail("Ranks are whole numbers from 0 to 18446744073709551615.")
    })
}

/// A rank, for SQL.
fn rank_value(rank: u64) -> Value {
    Value::Numeric(Numeric::from(i128::from(rank)))
}

/// A table, by a name or as 16 hexadecimal digits after `0x`.
fn lut(text: &str) -> Result<Lut> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let hex = digits.filter(|d| (1..=16).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_hexdigit()));
    match hex {
        Some(d) => u64::from_str_radix(d, 16).ok().map(Lut),
        None => Lut::from_name(text),
    }
    .ok_or_else(|| {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("lookup table \"{text}\" is not known"))
            .hint("Use a name such as AND6, OR3 or MAJ6, or 0x and up to 16 hexadecimal digits.")
    })
}

fn lut_value(lut: Lut) -> Value {
    Value::Text(format!("0x{:016X}", lut.0).into())
}

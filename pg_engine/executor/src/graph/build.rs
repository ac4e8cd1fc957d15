//! Whole graphs: of the rows of queries, and of netlists and files.

use alloc::{format, string::String, sync::Arc, vec, vec::Vec};

use dagdb_build::{BuildError, Builder, Draft, Function, Limits, Netlist, Problem, RankPolicy};
use dagdb_graph::{Graph, GraphError, Lut, NodeId, View};
use hashbrown::HashMap;
use pg_plan::statement::Planned;
use pg_types::{Batch, Result, SqlError, SqlState, Value, numeric::Numeric};

use super::{
    bulk, change, current,
    edit::truth,
    go_on, graph_error, interrupted, lut,
    progress::{Item, Phase},
    rank, read_now,
};
use crate::{context::ExecContext, cursor::Cursor};

/// Bytes that a draft takes until the graph is made of it.
const A_DRAFT: usize = 128;
/// Bytes that an edge takes until then.
const AN_EDGE: usize = 24;

fn build_error(cx: &ExecContext<'_>, e: &BuildError) -> SqlError {
    let state = match e {
        BuildError::Cancelled => return interrupted(cx),
        BuildError::TooManyNodes { .. } => SqlState::OUT_OF_MEMORY,
        BuildError::TooManySources { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
        BuildError::NoSuchSource { .. } => SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        BuildError::Cycle { .. } => SqlState::CHECK_VIOLATION,
        BuildError::Graph(e) => return graph_error(*e),
        BuildError::File { problem: Problem::Unsupported { .. }, .. } => SqlState::FEATURE_NOT_SUPPORTED,
        BuildError::File { .. } => SqlState::BAD_COPY_FILE_FORMAT,
    };
    SqlError::new(state, format!("{e}"))
}

fn invalid(text: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text)
}

/// As many nodes as there is memory for.
fn limits<'a>(cx: &ExecContext<'_>, go_on: &'a dyn Fn() -> bool) -> Limits<'a> {
    Limits { nodes: bulk::budget(cx) / (2 * dagdb_store::BYTES_A_NODE), go_on }
}

/// Puts a graph where the current one is, which must have no nodes.
fn fill(cx: &ExecContext<'_>, command: &str, graph: Graph) -> Result<()> {
    bulk::room(cx, graph.len())?;
    change(cx, command, |stored, changed| {
        if stored.network.node_count() > 0 {
            let text = format!("graph \"{}\" has nodes already", current(cx));
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
                .hint("Make another one by dagdb_create_graph(), or DELETE FROM dagdb_nodes first."));
        }
        bulk::replace_all(stored, changed, graph);
        Ok(())
    })
}

/// The rank policy of a name.
fn policy(text: &str) -> Result<RankPolicy> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let is = |n: usize, name: &str| words.get(n).is_some_and(|w: &&str| w.eq_ignore_ascii_case(name));
    match words.len() {
        1 if is(0, "topological") => Ok(RankPolicy::Topological),
        1 if is(0, "sequence") => Ok(RankPolicy::Sequence),
        1 if is(0, "given") => Ok(RankPolicy::Given),
        3 if is(0, "chain") && is(1, "band") => match words.get(2).map(|w| w.parse()) {
            Some(Ok(width)) if width > 0 => Ok(RankPolicy::ChainBand(width)),
            _ => Err(invalid(format!("the width of rank policy \"{text}\" is no number above zero"))),
        },
        _ => Err(invalid(format!("rank policy \"{text}\" is not known"))
            .hint("There are \"topological\", \"sequence\", \"chain band\" with a number, and \"given\".")),
    }
}

/// A function of any number of sources by its name, or a table.
fn function(text: &str) -> Result<Function> {
    const NAMES: [(&str, Function); 9] = [
        ("AND", Function::And),
        ("OR", Function::Or),
        ("XOR", Function::Xor),
        ("NAND", Function::Nand),
        ("NOR", Function::Nor),
        ("XNOR", Function::Xnor),
        ("MAJ", Function::Majority),
        ("MAJORITY", Function::Majority),
        ("NOT", Function::Nor),
    ];
    match NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        Some(&(_, function)) => Ok(function),
        None => lut(text).map(Function::Table),
    }
}

/// A query and where its columns are.
struct Rows<'a, 'c> {
    cx: &'a ExecContext<'c>,
    planned: Arc<Planned>,
    cursor: Cursor,
}

impl<'a, 'c> Rows<'a, 'c> {
    fn new(cx: &'a ExecContext<'c>, what: &str, text: &str) -> Result<Self> {
        let version = cx.engine.catalog_version();
        let planned = cx.session.plan_query(&cx.reader()?, text)?;
        if !planned.read_only {
            return Err(invalid(format!("the {what} of a graph must be a query that changes nothing")));
        }
        if !cx.engine.lock_plan(&mut cx.txn.borrow_mut(), &planned, version)? {
            let text = format!("a table of the {what} was changed while dagdb_build() began");
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text));
        }
        let mut cursor = Cursor::new(&planned)?;
        cursor.open(cx)?;
        Ok(Self { cx, planned, cursor })
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.planned.columns.iter().position(|c| c.name == name)
    }

    fn needed(&self, what: &str, name: &str) -> Result<usize> {
        self.column(name).ok_or_else(|| {
            let text = format!("the {what} of a graph have no column \"{name}\"");
            SqlError::new(SqlState::UNDEFINED_COLUMN, text)
        })
    }

    fn next(&mut self) -> Result<Option<Batch>> {
        self.cx.checkpoint()?;
        Ok(self.cursor.next(self.cx)?.map(Batch::compact))
    }
}

fn value(b: &Batch, column: Option<usize>, row: usize) -> Value {
    column.and_then(|c| b.columns.get(c)).map_or(Value::Null, |c| c.value(row))
}

/// A whole number; `None` for NULL.
fn number(v: &Value, name: &str) -> Result<Option<i64>> {
    let n = match v {
        Value::Null => return Ok(None),
        Value::Int2(n) => Some(i64::from(*n)),
        Value::Int4(n) => Some(i64::from(*n)),
        Value::Int8(n) => Some(*n),
        Value::Numeric(n) => n.to_i128().and_then(|n| i64::try_from(n).ok()),
        _ => None,
    };
    n.map(Some).ok_or_else(|| {
        let text = format!("column \"{name}\" of a graph's rows must be a whole number");
        SqlError::new(SqlState::DATATYPE_MISMATCH, text)
    })
}

fn key(v: &Value, name: &str) -> Result<i64> {
    number(v, name)?.ok_or_else(|| {
        let text = format!("column \"{name}\" of a graph's rows must not be null");
        SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, text)
    })
}

/// What rows call nodes, and their numbers.
#[derive(Default)]
pub(super) struct Keys {
    keys: Vec<i64>,
    /// None: each key is its number.
    numbers: Option<HashMap<i64, u32>>,
}

impl Keys {
    fn push(&mut self, key: i64) -> Result<()> {
        let number = self.keys.len() as u32;
        if key != i64::from(number) && self.numbers.is_none() {
            self.numbers = Some(self.keys.iter().zip(0..).map(|(&k, n)| (k, n)).collect());
        }
        let again = match &mut self.numbers {
            Some(numbers) => numbers.insert(key, number).is_some(),
            None => false,
        };
        if again {
            return Err(SqlError::new(SqlState::UNIQUE_VIOLATION, format!("node {key} is there twice")));
        }
        self.keys.push(key);
        Ok(())
    }

    fn number(&self, key: i64) -> Result<u32> {
        let number = match &self.numbers {
            Some(numbers) => numbers.get(&key).copied(),
            None => u32::try_from(key).ok().filter(|&n| (n as usize) < self.keys.len()),
        };
        number.ok_or_else(|| {
            SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("node {key} does not exist"))
        })
    }

    /// Keys in the order of their numbers.
    pub(super) fn into_keys(self) -> Vec<i64> {
        self.keys
    }
}

/// Drafts without sources, and registers with what feeds them still by key.
fn drafts(
    cx: &ExecContext<'_>,
    query: &str,
    keys: &mut Keys,
    shown: &Item,
) -> Result<(Vec<Draft>, Vec<(u32, i64)>)> {
    let mut rows = Rows::new(cx, "nodes", query)?;
    let (id, truths, ranks, backs) =
        (rows.column("id"), rows.column("truth"), rows.column("rank"), rows.column("back"));
    let functions = Some(rows.needed("nodes", "function")?);
    let (mut drafts, mut registers) = (Vec::new(), Vec::new());
    while let Some(b) = rows.next()? {
        bulk::waiting(cx, (drafts.len() + b.rows) * A_DRAFT)?;
        shown.did(b.rows as u64);
        for row in 0..b.rows {
            let number = drafts.len() as u32;
            keys.push(if id.is_some() { key(&value(&b, id, row), "id")? } else { i64::from(number) })?;
            let back = number_of(&value(&b, backs, row), "back")?;
            registers.extend(back.map(|b| (number, b)));
            let function = match value(&b, functions, row) {
                Value::Text(name) => function(&name)?,
                Value::Null if back.is_some() => Function::Table(Lut::IDENTITY),
                _ => {
                    let text = "column \"function\" of a graph's nodes must be text";
                    return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text));
                }
            };
            drafts.push(Draft {
                function,
                sources: Vec::new(),
                back: None,
                truth: truth(number_of(&value(&b, truths, row), "truth")?.unwrap_or(0))?,
                rank: given_rank(&value(&b, ranks, row))?,
            });
        }
    }
    Ok((drafts, registers))
}

fn number_of(v: &Value, name: &str) -> Result<Option<i64>> {
    number(v, name)
}

fn given_rank(v: &Value) -> Result<u64> {
    match v {
        Value::Numeric(n) => rank(n),
        v => number(v, "rank")?.map_or(Ok(0), |n| rank(&Numeric::from(i128::from(n)))),
    }
}

/// Gives drafts their sources: in the order of the rows, or of `slot` if there is such a column.
fn connect(cx: &ExecContext<'_>, query: &str, keys: &Keys, drafts: &mut [Draft], shown: &Item) -> Result<()> {
    let mut rows = Rows::new(cx, "edges", query)?;
    let sources = Some(rows.needed("edges", "source")?);
    let targets = Some(rows.needed("edges", "target")?);
    let slots = rows.column("slot");
    let mut edges: Vec<(u32, u32, i64)> = Vec::new();
    while let Some(b) = rows.next()? {
        bulk::waiting(cx, drafts.len() * A_DRAFT + (edges.len() + b.rows) * AN_EDGE)?;
        shown.did(b.rows as u64);
        for row in 0..b.rows {
            let source = keys.number(key(&value(&b, sources, row), "source")?)?;
            let target = keys.number(key(&value(&b, targets, row), "target")?)?;
            edges.push((target, source, number(&value(&b, slots, row), "slot")?.unwrap_or(0)));
        }
    }
    // Stable: edges of one slot number stay in the order of their rows.
    if slots.is_some() {
        edges.sort_by_key(|e| e.2);
    }
    let mut counts = vec![0u32; drafts.len()];
    for &(target, ..) in &edges {
        counts.iter_mut().skip(target as usize).take(1).for_each(|c| *c += 1);
    }
    for (draft, count) in drafts.iter_mut().zip(counts) {
        draft.sources.reserve_exact(count as usize);
    }
    for (n, (target, source, _)) in edges.into_iter().enumerate() {
        bulk::pause(cx, n)?;
        if let Some(draft) = drafts.get_mut(target as usize) {
            draft.sources.push(source);
        }
    }
    let mut seen = Vec::new();
    for (target, draft) in (0..).map(NodeId).zip(drafts.iter()) {
        bulk::pause(cx, target.index())?;
        seen.clear();
        seen.extend_from_slice(&draft.sources);
        seen.sort_unstable();
        let twice = seen.windows(2).find(|w| w.first() == w.last()).and_then(|w| w.first());
        if let Some(&source) = twice {
            return Err(graph_error(GraphError::DuplicateSource { source_node: NodeId(source), target }));
        }
    }
    Ok(())
}

/// `dagdb_build`: makes the current graph, which must be empty, of the rows of two queries.
pub(super) fn build(
    cx: &ExecContext<'_>,
    nodes: &str,
    edges: &str,
    ranks: &str,
    ghosts: bool,
) -> Result<Vec<i64>> {
    let ranks = policy(ranks)?;
    let shown = cx.engine.graph_progress().show(cx, &current(cx), "dagdb_build()");
    shown.item.phase(Phase::Collecting);
    let mut keys = Keys::default();
    let (mut drafts, registers) = drafts(cx, nodes, &mut keys, &shown.item)?;
    connect(cx, edges, &keys, &mut drafts, &shown.item)?;
    for (register, source) in registers {
        let source = keys.number(source)?;
        if let Some(draft) = drafts.get_mut(register as usize) {
            draft.back = Some(source);
        }
    }
    let mut builder = Builder::new(&limits(cx, &|| true));
    for draft in drafts {
        builder.add(draft).map_err(|e| build_error(cx, &e))?;
    }
    shown.item.phase(Phase::Building);
    let graph = builder.build_while(ranks, ghosts, &mut || go_on(cx)).map_err(|e| build_error(cx, &e))?;
    drop(shown);
    fill(cx, "dagdb_build()", graph)?;
    Ok(keys.into_keys())
}

/// A name in a netlist: what it is, and its node.
pub(super) type Named = (String, &'static str, NodeId);

/// `dagdb_import`: makes the current graph, which must be empty, of a file's contents.
pub(super) fn import(
    cx: &ExecContext<'_>,
    format: &str,
    bytes: &[u8],
    edges: Option<&str>,
) -> Result<Vec<Named>> {
    let on = || go_on(cx);
    let limits = limits(cx, &on);
    let shown = cx.engine.graph_progress().show(cx, &current(cx), "dagdb_import()");
    shown.item.phase(Phase::Building);
    let is = |name: &str| format.eq_ignore_ascii_case(name);
    let text = || {
        core::str::from_utf8(bytes).map_err(|_| {
            SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, format!("{format} is text in UTF-8"))
        })
    };
    let plain = |graph: core::result::Result<Graph, BuildError>| {
        graph.map(|graph| Netlist { graph, ..Netlist::default() })
    };
    let read = match edges {
        Some(edges) if is("csv") => plain(dagdb_build::read_csv(text()?, edges, &limits)),
        None if is("csv") => return Err(invalid("CSV needs the nodes and the edges".into())),
        Some(_) => return Err(invalid(format!("{format} is one file, not two"))),
        None if is("aiger") => dagdb_build::read_aiger(bytes, &limits),
        None if is("blif") => dagdb_build::read_blif(text()?, &limits),
        None if is("json") => plain(dagdb_build::read_json(text()?, &limits)),
        None if is("dags") => plain(dagdb_build::read_snapshot(bytes, &limits).map(|s| s.graph)),
        None => {
            return Err(invalid(format!("graph format \"{format}\" is not known"))
                .hint("There are aiger, blif, dags, json and csv."));
        }
    };
    let Netlist { graph, inputs, outputs, registers } = read.map_err(|e| build_error(cx, &e))?;
    drop(shown);
    fill(cx, "dagdb_import()", graph)?;
    let of = |list: Vec<(String, NodeId)>, what| list.into_iter().map(move |(name, id)| (name, what, id));
    Ok(of(inputs, "input").chain(of(outputs, "output")).chain(of(registers, "register")).collect())
}

/// `dagdb_export`: the current graph as text that `dagdb_import` reads.
pub(super) fn export(cx: &ExecContext<'_>, format: &str) -> Result<String> {
    /// Bytes of a node in the longest format, about.
    const A_NODE: usize = 128;
    /// The longest text.
    const LONGEST: usize = (1 << 30) - 64;
    let stored = read_now(cx)?;
    bulk::waiting(cx, stored.network.node_count().saturating_mul(A_NODE))?;
    let graph = stored.network.to_graph().map_err(graph_error)?;
    cx.checkpoint()?;
    let words: Vec<&str> = format.split_ascii_whitespace().collect();
    let is = |n: usize, name: &str| words.get(n).is_some_and(|w| w.eq_ignore_ascii_case(name));
    let tables = || {
        dagdb_build::write_csv(&graph).ok_or_else(|| {
            SqlError::unsupported("a graph with registers as CSV").detail("CSV has no place for back edges.")
        })
    };
    let text = match words.len() {
        1 if is(0, "json") => dagdb_build::write_json(&graph),
        2 if is(0, "csv") && is(1, "nodes") => tables()?.0,
        2 if is(0, "csv") && is(1, "edges") => tables()?.1,
        _ => {
            return Err(invalid(format!("a graph is not exported as \"{format}\""))
                .hint("Use json, csv nodes or csv edges."));
        }
    };
    if text.len() > LONGEST {
        let error = format!("the graph is longer as \"{format}\" than a value can be");
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, error));
    }
    Ok(text)
}

/// `dagdb_morton`: the place of a grid's cell in the order in which neighbours are near.
pub(super) fn morton(column: i64, row: i64) -> Result<i64> {
    let at = |n: i64, what: &str| {
        u16::try_from(n).map_err(|_| {
            SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{what} {n} is out of range"))
                .detail("Columns and rows of a grid are numbered from 0 to 65535.")
        })
    };
    Ok(i64::from(dagdb_build::hexagonal_code(at(column, "column")?, at(row, "row")?)))
}

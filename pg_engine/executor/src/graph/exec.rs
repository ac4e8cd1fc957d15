//! `dagdb_exec`: commands of the graph language.

use alloc::{format, string::String, sync::Arc, vec, vec::Vec};

use dagdb_compare::Similar;
use dagdb_graph::{Compose, Edit, Node, NodeId, View};
use dagdb_language::{Command, Format, Gate, Predicate, SyntaxError, parse};
use dagdb_store::Stored;
use dagdb_tick::Network;
use pg_functions::EvalContext;
use pg_types::{Result, SqlError, SqlState, Value};

use super::{
    bulk, compare,
    edit::edit,
    functions::{node_row, reach, status, tick, tick_network, validate},
    history, lut_value, node_id, read_now, readers,
};
use crate::context::ExecContext;

/// Nodes between questions whether to go on.
const SLICE: u32 = 4096;
/// All ranks.
const ALL: (u64, u64) = (0, u64::MAX);
/// Bytes of a row of an answer, about.
const A_ROW: usize = 256;

/// Bytes that a row of a replay takes.
const ROW_BYTES: usize = 192;

type Rows = Vec<Vec<Value>>;

fn syntax_error(e: &SyntaxError) -> SqlError {
    let state = e.sqlstate().as_bytes().try_into().map_or(SqlState::SYNTAX_ERROR, SqlState);
    let error = SqlError::new(state, format!("{e}"));
    match e.expected() {
        Some(expected) => error.detail(format!("At byte {} of the command; expected {expected}.", e.at + 1)),
        None => error.detail(format!("At byte {} of the command.", e.at + 1)),
    }
}

/// A row that is only a message.
fn message(text: String) -> Rows {
    vec![vec![Value::Null, Value::Null, Value::Null, Value::Null, Value::Text(text.into())]]
}

fn id(node: u64) -> Result<NodeId> {
    node_id(i64::try_from(node).unwrap_or(i64::MAX))
}

/// Nodes with a row each.
fn node_rows(nodes: impl Iterator<Item = (NodeId, Node)>) -> Rows {
    nodes
        .map(|(id, node)| {
            let mut row = node_row(id, &node);
            row.push(Value::Null);
            row
        })
        .collect()
}

/// The nodes of a range of ranks with a wanted value that a predicate leaves, by id.
fn select(
    cx: &ExecContext<'_>,
    network: &Network,
    ranks: (u64, u64),
    truths: &dyn Fn(u8) -> bool,
    predicate: Option<&Predicate>,
) -> Result<Rows> {
    let ids = at_ranks(cx, network, ranks, truths)?;
    let mut found = Vec::new();
    for (n, id) in ids.into_iter().enumerate() {
        if n.is_multiple_of(SLICE as usize) {
            cx.checkpoint()?;
        }
        let Some(node) = network.node(id) else { continue };
        if predicate.is_none_or(|p| p.matches(node.truth, node.rank, node.kind.code())) {
            found.push((id, node));
        }
    }
    bulk::waiting(cx, found.len() * A_ROW)?;
    Ok(node_rows(found.into_iter()))
}

/// The ids of the nodes of a range of ranks with a wanted value, ascending.
pub(super) fn at_ranks(
    cx: &ExecContext<'_>,
    network: &Network,
    ranks: (u64, u64),
    truths: &dyn Fn(u8) -> bool,
) -> Result<Vec<NodeId>> {
    let mut ids = Vec::new();
    network.for_each_at(ranks, truths, &mut |id, _| ids.push(id));
    cx.checkpoint()?;
    ids.sort_unstable();
    Ok(ids)
}

/// Runs a command; the rows of `dagdb_exec`.
pub(super) fn exec(cx: &ExecContext<'_>, text: &str) -> Result<Rows> {
    let command = parse(text).map_err(|e| syntax_error(&e))?;
    run(cx, &command, None)
}

/// Runs a command on the current graph, or one that only reads on another state of it.
fn run(cx: &ExecContext<'_>, command: &Command, of: Option<&Arc<Stored>>) -> Result<Rows> {
    let read = || of.map_or_else(|| read_now(cx), |stored| Ok(stored.clone()));
    let one = |verb: &str, e: Edit| edit(cx, verb, &[e]);
    Ok(match command {
        Command::Status => message(status(&*read()?)),
        Command::GraphInfo => message(info(cx, &read()?.network)?),
        Command::Validate => message(validate(&*read()?)?),
        Command::Tick(n) => message(tick(cx, i64::try_from(*n).unwrap_or(i64::MAX))?),
        Command::Eval { predicate, ranks } => {
            tick_network(cx, 1, |_, _| ())?;
            let ranks = ranks.map_or((0, 0), |(a, b)| (a.min(b), a.max(b)));
            select(cx, &read()?.network, ranks, &|_| true, predicate.as_ref())?
        }
        Command::Nodes { rank, predicate } => {
            let ranks = rank.map_or(ALL, |r| (r, r));
            select(cx, &read()?.network, ranks, &|_| true, predicate.as_ref())?
        }
        Command::Select { truth, ranks } => {
            select(cx, &read()?.network, (ranks.low, ranks.high), &|t| t == *truth, None)?
        }
        Command::Traverse { from, depth } => {
            let stored = read()?;
            let reached = reach(cx, &stored.network, id(*from)?, Some(*depth), false)?;
            node_rows(reached.into_iter().filter_map(|(id, _)| Some((id, stored.network.node(id)?))))
        }
        Command::BfsDepths { from, backward } => depths(cx, &*read()?, *from, None, *backward)?,
        Command::Ancestry { from, depth } => depths(cx, &*read()?, *from, Some(*depth), true)?,
        Command::GetTruth { node } => {
            let stored = read()?;
            let found = stored.network.existing(id(*node)?).map_err(super::graph_error)?;
            message(format!("OK GET node={node} truth={}", found.truth))
        }
        Command::Distance { metric, first, second } => {
            let ranges = ((first.low, first.high), (second.low, second.high));
            let (value, a, b) = compare::distance(cx, &read()?.network, *metric, ranges.0, ranges.1)?;
            let ((a_low, a_high), (b_low, b_high)) = ranges;
            message(format!(
                "OK DISTANCE {} {a_low}-{a_high} vs {b_low}-{b_high} value={value} |A|={a} |B|={b}",
                metric.name()
            ))
        }
        Command::Similar { to, depth, count, among } => {
            let stored = read()?;
            let found = compare::similar(cx, &stored.network, id(*to)?, *depth, *count, *among)?;
            let row = |s: Similar| {
                let mut row = node_row(s.id, &stored.network.node(s.id)?);
                row.push(Value::Text(format!("distance={}", s.distance).into()));
                Some(row)
            };
            found.into_iter().filter_map(row).collect()
        }
        // The language has seen to it that the command changes nothing.
        Command::Reader { id, command } => run(cx, command, Some(&readers::seen(cx, id)?))?,
        Command::OpenReader => message(readers::open(cx)?),
        Command::CloseReader(id) => message(readers::close(cx, id)?),
        Command::ListReaders => readers::list(cx).into_iter().flat_map(message).collect(),
        Command::SetTruth { node, truth } => {
            one("SET", Edit::SetTruth(id(*node)?, *truth))?;
            message(format!("OK SET node={node} truth={truth}"))
        }
        Command::SetRank { node, rank } => {
            one("SET", Edit::SetRank(id(*node)?, *rank))?;
            message(format!("OK SET node={node} rank={rank}"))
        }
        Command::SetLut { node, lut } => {
            one("SET", Edit::SetLut(id(*node)?, *lut))?;
            message(format!("OK SET node={node} lut=0x{:016X}", lut.0))
        }
        Command::Connect { back, from, to } => {
            let (source, target) = (id(*from)?, id(*to)?);
            let (what, e) = match back {
                false => ("CONNECT", Edit::Connect { source, target }),
                true => ("CONNECT BACK", Edit::ConnectBack { source, target }),
            };
            one(what, e)?;
            message(format!("OK {what} from={from} to={to}"))
        }
        Command::Clear { back: false, node } => {
            one("CLEAR", Edit::Clear(id(*node)?))?;
            message(format!("OK CLEAR node={node} edges"))
        }
        Command::Clear { back: true, node } => {
            one("CLEAR", Edit::ClearBack(id(*node)?))?;
            message(format!("OK CLEAR node={node} back_edges"))
        }
        Command::Compose { gate, first, second, into } => compose(cx, *gate, *first, *second, *into)?,
        Command::Save { format: Format::Snapshot { compressed }, path } => {
            message(history::save(cx, path, *compressed)?)
        }
        Command::Load { format: Format::Snapshot { .. }, path } => message(history::load(cx, path)?),
        Command::DropSave(name) => message(history::drop_save(cx, name)?),
        Command::Backup { action, path } => message(history::backup(cx, *action, path)?),
        Command::Record(action) => message(history::record(cx, *action)?),
        Command::Rewind(tick) => message(history::rewind(cx, *tick)?),
        Command::Replay { from, to } => replay(cx, *from, *to)?,
        Command::AsOf { tick, command } => {
            let snapshot = cx.txn.borrow_mut().snapshot();
            run(cx, command, Some(&history::as_of(cx, &snapshot, *tick)?))?
        }
        Command::Save { .. } | Command::Load { .. } => {
            return Err(refused(command)
                .detail("There are no files: what is saved is kept in the database, in one format.")
                .hint("Use dagdb_export() and dagdb_import() to exchange JSON and CSV with a client."));
        }
        Command::SetRanksBulk => {
            return Err(refused(command).hint("Use dagdb_set_ranks(), or UPDATE dagdb_nodes SET rank."));
        }
    })
}

/// What changed at recorded ticks.
fn replay(cx: &ExecContext<'_>, from: Option<u64>, to: Option<u64>) -> Result<Rows> {
    let ctx = EvalContext { host: cx };
    let mut replay = history::Replay::new(cx, from, to)?;
    let mut rows = Rows::new();
    loop {
        let changes = replay.changes(&ctx)?;
        if changes.is_empty() {
            return Ok(rows);
        }
        rows.extend(changes.iter().map(|c| {
            let (node, truth) = (Value::Int8(i64::from(c.node)), Value::Int2(i16::from(c.truth)));
            let tick = Value::Text(format!("tick={}", c.tick).into());
            vec![node, Value::Null, truth, Value::Null, tick]
        }));
        history::check_memory(cx, rows.len().saturating_mul(ROW_BYTES))?;
    }
}

fn depths(
    cx: &ExecContext<'_>,
    stored: &Stored,
    from: u64,
    limit: Option<u64>,
    backward: bool,
) -> Result<Rows> {
    let reached = reach(cx, &stored.network, id(from)?, limit, backward)?;
    Ok(reached
        .into_iter()
        .filter_map(|(id, depth)| {
            let mut row = node_row(id, &stored.network.node(id)?);
            row.push(Value::Text(format!("depth={depth}").into()));
            Some(row)
        })
        .collect())
}

fn compose(cx: &ExecContext<'_>, gate: Gate, first: u64, second: Option<u64>, into: u64) -> Result<Rows> {
    let a = id(first)?;
    let b = second.map(id).transpose()?.unwrap_or(a);
    let (name, how) = match gate {
        Gate::And => ("AND", Compose::And(a, b)),
        Gate::Or => ("OR", Compose::Or(a, b)),
        Gate::Xor => ("XOR", Compose::Xor(a, b)),
        Gate::Not => ("NOT", Compose::Not(a)),
    };
    edit(cx, "COMPOSE", &[Edit::Compose { how, target: id(into)? }])?;
    let Value::Text(lut) = lut_value(how.lut()) else { return Ok(Vec::new()) };
    let second = second.map_or_else(String::new, |s| format!(" src2={s}"));
    Ok(message(format!("OK COMPOSE op={name} src1={first}{second} dst={into} lut={lut}")))
}

/// Numbers of nodes by rank.
fn info(cx: &ExecContext<'_>, network: &Network) -> Result<String> {
    let mut ranks = alloc::collections::BTreeMap::new();
    let mut set = 0u64;
    for id in 0..network.node_count() as u32 {
        if id % SLICE == 0 {
            cx.checkpoint()?;
        }
        if let Ok(node) = network.existing(NodeId(id)) {
            *ranks.entry(node.rank).or_insert(0u64) += 1;
            set += u64::from(node.truth == 1);
        }
    }
    let mut text = format!("OK GRAPH nodes={} true={set}", network.node_count() - network.free_ids());
    for (rank, count) in ranks.iter().take(64) {
        text.push_str(&format!(" r{rank}={count}"));
    }
    if ranks.len() > 64 {
        text.push_str(&format!(" and {} further ranks", ranks.len() - 64));
    }
    Ok(text)
}

fn refused(command: &Command) -> SqlError {
    let text = format!("{command}");
    let words = if matches!(command, Command::Save { .. } | Command::Load { .. }) { 2 } else { 1 };
    let verb: Vec<&str> = text.split(' ').take(words).collect();
    SqlError::unsupported(format!("graph command {}", verb.join(" ")))
}

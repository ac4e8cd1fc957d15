//! The functions whose names begin with `dagdb_`.

use alloc::{boxed::Box, collections::VecDeque, format, string::String, vec, vec::Vec};

use dagdb_graph::{Draft, Edit, Node, NodeId, View};
use dagdb_language::Backup;
use dagdb_store::Stored;
use dagdb_tick::{Network, Ticked};
use pg_functions::{
    EvalContext, SetReturning,
    set::{
        graph::{
            ANCESTRY, BFS_DEPTHS, BUILD, EXEC, IMPORT_BYTES, IMPORT_TEXT, IMPORT_TWO, RANK, SIMILAR, TRAVERSE,
        },
        graph_history::{EDGES_AS_OF, EVAL_BATCH, EVAL_BATCH_TEXT, NODES_AS_OF, REPLAY},
    },
};
use pg_types::{
    Batch, ColumnData, Oid, Result, SqlError, SqlState, SqlType, Value, Vector, oid, vector::BATCH_ROWS,
};

use super::{
    build, bulk, change, compare, create, current, drop_graph,
    edit::{edit, inputs, truth},
    exec::at_ranks,
    graph_error, history, lut, node_id, rank, rank_value, read_now,
};
use crate::context::ExecContext;

fn int(args: &[Value], n: usize) -> i64 {
    match args.get(n) {
        Some(Value::Int8(i)) => *i,
        Some(Value::Int4(i)) => i64::from(*i),
        Some(Value::Int2(i)) => i64::from(*i),
        _ => 0,
    }
}

fn text(args: &[Value], n: usize) -> &str {
    match args.get(n) {
        Some(Value::Text(s)) => s,
        _ => "",
    }
}

fn node(args: &[Value], n: usize) -> Result<NodeId> {
    node_id(int(args, n))
}

fn rank_at(args: &[Value], n: usize) -> Result<u64> {
    match args.get(n) {
        Some(Value::Numeric(r)) => rank(r),
        _ => Ok(0),
    }
}

/// Computes a function that yields one value; `None`: it is not about graphs.
pub(crate) fn call(cx: &ExecContext<'_>, function: &str, args: &[Value]) -> Result<Option<Value>> {
    let Some(name) = function.strip_prefix("dagdb_") else { return Ok(None) };
    let one = |e: Edit| edit(cx, &format!("{function}()"), &[e]);
    Ok(Some(match name {
        "status" => Value::Text(status(&*read_now(cx)?).into()),
        "tick" => Value::Text(tick(cx, int(args, 0))?.into()),
        "validate" => Value::Text(validate(&*read_now(cx)?)?.into()),
        "create_graph" => {
            create(cx, text(args, 0), int(args, 1))?;
            Value::Null
        }
        "drop_graph" => {
            drop_graph(cx, text(args, 0))?;
            Value::Null
        }
        "add_node" => {
            if args.iter().take(2).any(Value::is_null) {
                return Ok(Some(Value::Null));
            }
            let node = Node {
                rank: rank_at(args, 0)?,
                lut: lut(text(args, 1))?,
                inputs: inputs(args.get(2))?,
                ..Node::default()
            };
            one(Edit::Add(node))?.map_or(Value::Null, |id| Value::Int8(i64::from(id.0)))
        }
        "distance" => {
            let metric = compare::named(text(args, 0))?;
            let range = |n: usize| -> Result<(u64, u64)> { Ok((rank_at(args, n)?, rank_at(args, n + 1)?)) };
            let stored = read_now(cx)?;
            Value::Float8(compare::distance(cx, &stored.network, metric, range(1)?, range(3)?)?.0)
        }
        "export" => Value::Text(build::export(cx, text(args, 0))?.into()),
        "morton" => Value::Int8(build::morton(int(args, 0), int(args, 1))?),
        "set_ranks" => {
            set_ranks(cx, args.first())?;
            Value::text("")
        }
        "connect" => done(one(Edit::Connect { source: node(args, 0)?, target: node(args, 1)? })?),
        "connect_back" => done(one(Edit::ConnectBack { source: node(args, 0)?, target: node(args, 1)? })?),
        "set_truth" => done(one(Edit::SetTruth(node(args, 0)?, truth(int(args, 1))?))?),
        "set_rank" => done(one(Edit::SetRank(node(args, 0)?, rank_at(args, 1)?))?),
        "set_lut" => done(one(Edit::SetLut(node(args, 0)?, lut(text(args, 1))?))?),
        "clear" => done(one(Edit::Clear(node(args, 0)?))?),
        "clear_back" => done(one(Edit::ClearBack(node(args, 0)?))?),
        "save" => Value::Text(history::save(cx, text(args, 0), flag(args, 1))?.into()),
        "load" => Value::Text(history::load(cx, text(args, 0))?.into()),
        "drop_save" => Value::Text(history::drop_save(cx, text(args, 0))?.into()),
        "backup" => Value::Text(history::backup(cx, backup_action(text(args, 0))?, text(args, 1))?.into()),
        "export_history" => history::export(cx, text(args, 0), text(args, 1))?,
        "import_history" => match args.get(1) {
            Some(Value::Bytea(bytes)) => {
                Value::Text(history::import(cx, text(args, 0), text(args, 2), bytes)?.into())
            }
            _ => Value::Null,
        },
        "record" => match args.first() {
            Some(Value::Text(action)) => {
                let action = history::action(action, args.get(1).unwrap_or(&Value::Null))?;
                Value::Text(history::record(cx, action)?.into())
            }
            _ => Value::Null,
        },
        "rewind" => Value::Text(history::rewind(cx, tick_at(args, 0)?.unwrap_or(0))?.into()),
        _ => return Ok(None),
    }))
}

fn flag(args: &[Value], n: usize) -> bool {
    matches!(args.get(n), Some(Value::Bool(true)))
}

/// What to do with a chain of backups.
fn backup_action(text: &str) -> Result<Backup> {
    let named = [
        ("init", Backup::Init),
        ("append", Backup::Append),
        ("restore", Backup::Restore),
        ("compact", Backup::Compact),
        ("info", Backup::Info),
        ("drop", Backup::Drop),
    ];
    named.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, action)| action).ok_or_else(
        || {
            let text = format!("\"{text}\" is nothing to do with a backup");
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text)
                .hint("Use init, append, restore, compact, info or drop.")
        },
    )
}

/// A tick; `None` for NULL.
fn tick_at(args: &[Value], n: usize) -> Result<Option<u64>> {
    if args.get(n).is_none_or(Value::is_null) {
        return Ok(None);
    }
    u64::try_from(int(args, n)).map(Some).map_err(|_| {
        SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("tick {} is not recorded", int(args, n)))
    })
}

/// `void`.
fn done(_: Option<NodeId>) -> Value {
    Value::text("")
}

pub(super) fn status(stored: &Stored) -> String {
    let network = &stored.network;
    let ranks = network.ranks();
    format!(
        "OK STATUS nodes={} ticks={} backend={:?} ranks={} maxRank={} memory={}",
        network.node_count() - network.free_ids(),
        network.ticks(),
        network.path(),
        ranks.len(),
        ranks.first().map_or(0, |r| r.0),
        stored.memory(),
    )
}

/// Checks the graph's invariants anew.
pub(super) fn validate(stored: &Stored) -> Result<String> {
    stored.network.to_graph().and_then(|g| g.validate()).map_err(graph_error)?;
    let network = &stored.network;
    Ok(format!("OK VALIDATE nodes={}", network.node_count() - network.free_ids()))
}

pub(super) fn tick(cx: &ExecContext<'_>, count: i64) -> Result<String> {
    let count = u64::try_from(count).ok().filter(|&n| n > 0).ok_or_else(|| {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "the number of ticks must be greater than zero")
    })?;
    let begun = platform::time::monotonic();
    tick_network(cx, count, |network, ticked| {
        let elapsed = platform::time::monotonic().saturating_sub(begun).as_secs_f64() * 1e3;
        format!("OK TICK {} elapsed={elapsed:.3}ms total={}", ticked.ticks, network.ticks())
    })
}

/// Ticks; `then` says what to answer.
pub(super) fn tick_network<T>(
    cx: &ExecContext<'_>,
    count: u64,
    then: impl FnOnce(&Network, &Ticked) -> T,
) -> Result<T> {
    change(cx, "dagdb_tick()", |stored, changed| {
        let ticked = history::tick(cx, stored, changed, count, cx.engine.graph_crew())?;
        Ok(then(&stored.network, &ticked))
    })
}

/// Ranks of all nodes, by id.
fn set_ranks(cx: &ExecContext<'_>, ranks: Option<&Value>) -> Result<()> {
    let Some(Value::Array(array)) = ranks else { return Ok(()) };
    change(cx, "dagdb_set_ranks()", |stored, changed| {
        let nodes = stored.network.node_count();
        if array.values.len() != nodes {
            let text = format!("{} ranks were given for {nodes} nodes", array.values.len());
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text));
        }
        let mut draft = Draft::new(&stored.network);
        for (id, value) in (0..).map(NodeId).zip(&array.values) {
            if stored.network.is_free(id) && value.is_null() {
                continue;
            }
            let Value::Numeric(n) = value else {
                return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "a rank must not be null"));
            };
            let node = draft.existing(id).map_err(graph_error)?;
            draft.put(id, Node { rank: rank(n)?, ..node }).map_err(graph_error)?;
        }
        let drafted = draft.finish().map_err(graph_error)?;
        bulk::adopt(stored, changed, drafted);
        Ok(())
    })
}

fn depth(args: &[Value], n: usize) -> Result<u64> {
    u64::try_from(int(args, n))
        .map_err(|_| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "the depth must not be negative"))
}

/// Rows that are all at hand.
struct Rows {
    types: Vec<SqlType>,
    rows: VecDeque<Vec<Value>>,
}

impl SetReturning for Rows {
    fn next(&mut self, _ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let some: Vec<Vec<Value>> = self.rows.drain(..self.rows.len().min(BATCH_ROWS)).collect();
        Batch::from_rows(&self.types, &some).map(Some)
    }
}

/// Rows that are all at hand, as a set-returning function yields them.
pub(crate) fn given(types: &[SqlType], rows: VecDeque<Vec<Value>>) -> Box<dyn SetReturning> {
    Box::new(Rows { types: types.to_vec(), rows })
}

/// Pairs of numbers, in columns as they are given.
struct Numbers {
    pairs: Vec<[i64; 2]>,
    next: usize,
}

impl SetReturning for Numbers {
    fn next(&mut self, _ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        let end = self.pairs.len().min(self.next + BATCH_ROWS);
        let some = self.pairs.get(self.next..end).unwrap_or(&[]);
        if some.is_empty() {
            return Ok(None);
        }
        self.next = end;
        let column = |n: usize| {
            let values: Vec<i64> = some.iter().map(|pair| pair[n % 2]).collect();
            Vector::flat(SqlType::new(oid::INT8), ColumnData::Int8(values), None)
        };
        Ok(Some(Batch::new(vec![column(0), column(1)], some.len())))
    }
}

/// Starts a function that yields rows.
pub(crate) fn rows(cx: &ExecContext<'_>, function: Oid, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let types = |t: &[Oid]| t.iter().map(|&t| SqlType::new(t)).collect();
    let node_types = [oid::INT8, oid::NUMERIC, oid::INT2, oid::INT2, oid::INT8];
    let (types, rows) = match function {
        EXEC => {
            let mut types: Vec<SqlType> = types(node_types.get(..4).unwrap_or(&[]));
            types.push(SqlType::new(oid::TEXT));
            (types, super::exec::exec(cx, text(args, 0))?.into())
        }
        RANK => {
            let wanted = rank_at(args, 0)?;
            let stored = read_now(cx)?;
            let ids = at_ranks(cx, &stored.network, (wanted, wanted), &|_| true)?;
            let rows = ids.into_iter().filter_map(|id| Some(node_row(id, &stored.network.node(id)?)));
            (types(node_types.get(..4).unwrap_or(&[])), rows.collect())
        }
        SIMILAR => {
            let nulls = args.iter().take(3).any(Value::is_null);
            let among = match args.get(3) {
                None | Some(Value::Null) => None,
                Some(_) => Some(truth(int(args, 3))?),
            };
            let found = if nulls {
                Vec::new()
            } else {
                let count = u64::try_from(int(args, 2)).map_err(|_| {
                    SqlError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        "the number of nodes must not be negative",
                    )
                })?;
                let stored = read_now(cx)?;
                compare::similar(cx, &stored.network, node(args, 0)?, depth(args, 1)?, count, among)?
            };
            let row =
                |s: dagdb_compare::Similar| vec![Value::Int8(i64::from(s.id.0)), Value::Float8(s.distance)];
            (types(&[oid::INT8, oid::FLOAT8]), found.into_iter().map(row).collect())
        }
        TRAVERSE => {
            let (from, depth) = (node(args, 0)?, depth(args, 1)?);
            let stored = read_now(cx)?;
            let reached = reach(cx, &stored.network, from, Some(depth), false)?;
            let rows = reached.into_iter().filter_map(|(id, depth)| {
                let mut row = node_row(id, &stored.network.node(id)?);
                row.push(Value::Int8(depth as i64));
                Some(row)
            });
            (types(&node_types), rows.collect())
        }
        BUILD => {
            let ghosts = matches!(args.get(3), Some(Value::Bool(true)));
            let keys = build::build(cx, text(args, 0), text(args, 1), text(args, 2), ghosts)?;
            let pairs = (0..).zip(keys).map(|(n, key)| [key, n]);
            return Ok(Box::new(Numbers { pairs: pairs.collect(), next: 0 }));
        }
        IMPORT_TEXT | IMPORT_BYTES | IMPORT_TWO => {
            let bytes = match args.get(1) {
                Some(Value::Bytea(b)) => b,
                _ => text(args, 1).as_bytes(),
            };
            let edges = (function == IMPORT_TWO).then(|| text(args, 2));
            let row = |(name, kind, id): build::Named| {
                vec![Value::Text(name.into()), Value::text(kind), Value::Int8(i64::from(id.0))]
            };
            let rows = build::import(cx, text(args, 0), bytes, edges)?.into_iter().map(row);
            (types(&[oid::TEXT, oid::TEXT, oid::INT8]), rows.collect())
        }
        ANCESTRY | BFS_DEPTHS => {
            let backward = function == ANCESTRY || matches!(args.get(1), Some(Value::Bool(true)));
            let limit = if function == ANCESTRY { Some(depth(args, 1)?) } else { None };
            let stored = read_now(cx)?;
            let reached = reach(cx, &stored.network, node(args, 0)?, limit, backward)?;
            let rows =
                reached.into_iter().map(|(id, d)| vec![Value::Int8(i64::from(id.0)), Value::Int8(d as i64)]);
            (types(&[oid::INT8, oid::INT8]), rows.collect())
        }
        EVAL_BATCH | EVAL_BATCH_TEXT => return super::batch::eval_batch(cx, args),
        REPLAY => return Ok(Box::new(history::Replay::new(cx, tick_at(args, 0)?, tick_at(args, 1)?)?)),
        NODES_AS_OF | EDGES_AS_OF => {
            let edges = function == EDGES_AS_OF;
            return Ok(Box::new(history::whole(cx, tick_at(args, 0)?.unwrap_or(0), edges)?));
        }
        _ => {
            return Err(SqlError::unsupported(format!(
                "function with number {function} on graph {}",
                current(cx)
            )));
        }
    };
    Ok(Box::new(Rows { types, rows }))
}

pub(super) fn node_row(id: NodeId, node: &Node) -> Vec<Value> {
    vec![
        Value::Int8(i64::from(id.0)),
        rank_value(node.rank),
        Value::Int2(i16::from(node.truth)),
        Value::Int2(i16::from(node.kind.code())),
    ]
}

/// Breadth first from a node, along its inputs and, unless `backward`, to its readers too; with distances.
pub(super) fn reach(
    cx: &ExecContext<'_>,
    network: &Network,
    from: NodeId,
    limit: Option<u64>,
    backward: bool,
) -> Result<Vec<(NodeId, u64)>> {
    network.existing(from).map_err(graph_error)?;
    let mut seen = vec![false; network.node_count()];
    let mut reached = vec![(from, 0)];
    if let Some(s) = seen.get_mut(from.index()) {
        *s = true;
    }
    let mut at = 0;
    while let Some(&(id, depth)) = reached.get(at) {
        at += 1;
        if at % 4096 == 0 {
            cx.checkpoint()?;
        }
        if limit.is_some_and(|l| depth >= l) {
            break;
        }
        let mut visit = |next: NodeId| {
            if let Some(s) = seen.get_mut(next.index())
                && !*s
            {
                *s = true;
                reached.push((next, depth + 1));
            }
        };
        if let Some(node) = network.node(id) {
            node.sources().for_each(&mut visit);
        }
        if !backward {
            network.for_each_reader(id, &mut visit);
        }
    }
    Ok(reached)
}

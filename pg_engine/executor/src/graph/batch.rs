//! `dagdb_eval_batch`: what would the graph settle to in each of many scenarios?

use alloc::{boxed::Box, format, string::String, vec, vec::Vec};

use dagdb_graph::{NodeId, View};
use dagdb_tick::{Executor, Network, Scenarios, TickError};
use pg_functions::{EvalContext, SetReturning};
use pg_types::{Batch, Oid, Result, SqlError, SqlState, SqlType, Value, oid, vector::BATCH_ROWS};

use super::{go_on, graph_error, history::check_memory, interrupted, node_id, read_now};
use crate::context::ExecContext;

/// Bytes of a node while 512 scenarios are evaluated together.
const WIDE_BYTES: usize = 64;
/// Bytes of a node while up to 64 are.
const NARROW_BYTES: usize = 8;
/// Most inputs whose values fit a number.
const WORD: usize = 64;

fn invalid(text: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text)
}

/// The nodes of an array argument.
fn nodes(cx: &ExecContext<'_>, v: Option<&Value>, network: &Network) -> Result<Vec<NodeId>> {
    let Some(Value::Array(array)) = v else { return Ok(Vec::new()) };
    cx.checkpoint()?;
    array
        .values
        .iter()
        .map(|v| match v {
            Value::Int8(n) => {
                let id = node_id(*n)?;
                network.existing(id).map(|_| id).map_err(graph_error)
            }
            _ => Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "a node must not be NULL")),
        })
        .collect()
}

/// Whether input `at` is 1 in a scenario.
fn bit(scenario: &Value, at: usize, inputs: usize) -> Result<bool> {
    match scenario {
        Value::Int8(bits) => Ok(at < WORD && bits >> at & 1 == 1),
        Value::Text(text) => match text.as_bytes().get(at) {
            Some(b'0') if text.len() == inputs => Ok(false),
            Some(b'1') if text.len() == inputs => Ok(true),
            _ => Err(invalid(format!("a scenario is {inputs} digits 0 or 1, not \"{text}\""))),
        },
        _ => Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "a scenario must not be NULL")),
    }
}

/// A row for each scenario and wanted node.
struct Answers {
    wanted: Vec<NodeId>,
    values: Vec<Vec<u64>>,
    scenarios: usize,
    next: usize,
}

const TYPES: [Oid; 3] = [oid::INT8, oid::INT8, oid::INT2];

impl SetReturning for Answers {
    fn next(&mut self, _: &EvalContext<'_>) -> Result<Option<Batch>> {
        let per_row = self.wanted.len().max(1);
        let total = self.scenarios.saturating_mul(self.wanted.len());
        let end = total.min(self.next.saturating_add(BATCH_ROWS));
        let mut rows = Vec::with_capacity(end - self.next);
        for n in self.next..end {
            let (scenario, at) = (n / per_row, n % per_row);
            let word = self.values.get(at).and_then(|v| v.get(scenario / WORD)).copied().unwrap_or(0);
            let node = self.wanted.get(at).map_or(Value::Null, |id| Value::Int8(i64::from(id.0)));
            let truth = (word >> (scenario % WORD) & 1) as i16;
            rows.push(vec![Value::Int8(scenario as i64 + 1), node, Value::Int2(truth)]);
        }
        self.next = end;
        if rows.is_empty() {
            return Ok(None);
        }
        Batch::from_rows(&TYPES.map(SqlType::new), &rows).map(Some)
    }
}

/// Inputs, scenarios (a number whose bits are the inputs' values, or as many digits as there are inputs), wanted nodes.
pub(super) fn eval_batch(cx: &ExecContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let stored = read_now(cx)?;
    let count = stored.network.node_count();
    let inputs = nodes(cx, args.first(), &stored.network)?;
    let wanted = nodes(cx, args.get(2), &stored.network)?;
    let none = Vec::new();
    let scenarios = match args.get(1) {
        Some(Value::Array(a)) => &a.values,
        _ => &none,
    };
    if inputs.len() > WORD && matches!(scenarios.first(), Some(Value::Int8(_))) {
        return Err(invalid(format!("a number has the values of {WORD} inputs, not of {}", inputs.len()))
            .hint("Give scenarios as digits 0 and 1."));
    }
    let mut sorted = inputs.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|w| w.first() == w.last()) {
        return Err(invalid("a node is among the inputs twice".into()));
    }
    let crew = cx.engine.graph_crew();
    let lanes = if scenarios.len() <= WORD { NARROW_BYTES } else { WIDE_BYTES * crew.workers() };
    let words = scenarios.len().div_ceil(WORD);
    let vectors = (inputs.len() * 2 + wanted.len()).saturating_mul(words * 8);
    check_memory(cx, (count + 1).saturating_mul(lanes).saturating_add(vectors))?;
    let mut question = Scenarios::new(scenarios.len());
    for (at, &input) in inputs.iter().enumerate() {
        cx.checkpoint()?;
        let mut values = vec![0u64; words];
        for (n, scenario) in scenarios.iter().enumerate() {
            if let Some(word) = values.get_mut(n / WORD) {
                *word |= u64::from(bit(scenario, at, inputs.len())?) << (n % WORD);
            }
        }
        question.give(input, values);
    }
    if inputs.is_empty() {
        scenarios.iter().try_for_each(|s| match s {
            Value::Text(text) if !text.is_empty() => bit(s, 0, 0).map(|_| ()),
            _ => Ok(()),
        })?;
    }
    wanted.iter().for_each(|&id| question.want(id));
    let mut network = stored.network.clone();
    let values = question
        .evaluate(&mut network, crew, &|| go_on(cx))
        .map_err(|TickError::Cancelled { .. }| interrupted(cx))?;
    Ok(Box::new(Answers { wanted, values, scenarios: scenarios.len(), next: 0 }))
}

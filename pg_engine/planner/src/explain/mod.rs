//! EXPLAIN: the plan tree as text or JSON, in PostgreSQL's form.
//!
//! `describe` turns operators into labelled items, merging projections and filters into the operator below as PostgreSQL
//! shows them; this module renders the items.

mod describe;
mod held;
mod usage;

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::Write;

use pg_catalog::CatalogReader;
use pg_plan::{
    physical::Estimate,
    statement::{ExplainOptions, Planned},
};
use pg_types::Result;

pub use usage::Usage;

/// What an operator did, counted by the executor under EXPLAIN ANALYZE; in pre-order of the plan tree (root first, left
/// before right; CTEs before the root).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Actual {
    /// Milliseconds to the first row.
    pub startup_ms: f64,
    /// Milliseconds in all, per loop.
    pub total_ms: f64,
    /// Rows, all loops together.
    pub rows: u64,
    /// Executions; 0: never executed.
    pub loops: u64,
    /// Rows removed by the node's filter, all loops together.
    pub filtered: u64,
    /// Rows left out because a join above has no partner for them, all loops together.
    pub unwanted: u64,
    /// Rows that an index-only scan had to fetch, all loops together.
    pub heap_fetches: u64,
    /// Of operators that hold rows: what they took.
    pub held: Option<Held>,
    /// Pages and log, all loops together.
    pub usage: Usage,
}

/// Memory and disk that an operator took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Most bytes held at a time.
    pub memory: u64,
    /// Bytes of the disk.
    pub disk: u64,
    /// Portions that were worked on one after the other.
    pub batches: u64,
    /// Entries of a join's table.
    pub buckets: u64,
    /// A sort that kept a limited number of rows.
    pub top: bool,
}

/// A line of the tree with what belongs to it.
pub(crate) struct Item {
    /// `Index Scan`.
    pub(crate) kind: String,
    /// What follows in text: ` using t_pkey on t`.
    pub(crate) suffix: String,
    /// Properties that JSON shows and the text form has in the label.
    pub(crate) hidden: Vec<(&'static str, String)>,
    /// Properties in order.
    pub(crate) properties: Vec<(&'static str, Property)>,
    pub(crate) estimate: Estimate,
    pub(crate) actual: Option<Actual>,
    /// `SubPlan 1`, `CTE x`: a heading of its own above the item.
    pub(crate) heading: Option<String>,
    pub(crate) children: Vec<Item>,
}

/// A property's value.
pub(crate) enum Property {
    Text(String),
    List(Vec<String>),
    Number(u64),
    /// A line of several in text, properties of their own otherwise.
    Several(String, Vec<(&'static str, Property)>),
}

/// What was computed by whom, counted under EXPLAIN ANALYZE.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Computed {
    /// The device's name; `None`: the processor did everything.
    pub device: Option<String>,
    /// What the processor computed with; `None`: nothing was computed that a device could have.
    pub processor: Option<&'static str>,
    /// Why no device was asked, if that was known beforehand.
    pub reason: Option<&'static str>,
    /// The device's commands that computed.
    pub commands: u64,
    /// Bytes sent there and brought back.
    pub bytes: u64,
    /// Milliseconds that bytes were on their way.
    pub transfer_ms: f64,
    /// Milliseconds that the device computed.
    pub compute_ms: f64,
    /// Milliseconds that the processor did.
    pub processor_ms: f64,
    /// Times that the processor took over from a device that failed.
    pub failures: u64,
}

impl Computed {
    /// Under a heading, as JIT is in PostgreSQL.
    fn text(&self, options: &ExplainOptions, lines: &mut Vec<String>) {
        let Some(processor) = self.processor else { return };
        lines.push("Compute:".to_string());
        lines.push(format!("  Backend: {}", self.device.as_deref().unwrap_or(processor)));
        if self.device.is_some() {
            let Self { commands, bytes, failures, .. } = self;
            lines.push(format!("  Commands: {commands}  Bytes: {bytes}  Failures: {failures}"));
        } else if let Some(reason) = self.reason {
            lines.push(format!("  Reason: {reason}"));
        }
        if options.timing {
            let Self { transfer_ms, compute_ms, processor_ms, .. } = self;
            lines.push(format!(
                "  Timing: Transfer {transfer_ms:.3} ms, Compute {compute_ms:.3} ms, Processor {processor_ms:.3} ms"
            ));
        }
    }

    fn json(&self, options: &ExplainOptions, out: &mut String) {
        let Some(processor) = self.processor else { return };
        let _ = write!(out, ",\n    \"Compute\": {{\n      \"Backend\": ");
        out.push_str(&quoted(self.device.as_deref().unwrap_or(processor)));
        if let (None, Some(reason)) = (&self.device, self.reason) {
            out.push_str(",\n      \"Reason\": ");
            out.push_str(&quoted(reason));
        }
        let Self { commands, bytes, failures, transfer_ms, compute_ms, processor_ms, .. } = self;
        let _ = write!(
            out,
            ",\n      \"Commands\": {commands},\n      \"Bytes\": {bytes},\n      \"Failures\": {failures}"
        );
        if options.timing {
            let _ = write!(
                out,
                ",\n      \"Timing\": {{\n        \"Transfer\": {transfer_ms:.3},\n        \"Compute\": {compute_ms:.3},\n        \"Processor\": {processor_ms:.3}\n      }}"
            );
        }
        out.push_str("\n    }");
    }
}

/// What was measured while a statement was planned and, with ANALYZE, run.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Of each operator; empty without ANALYZE.
    pub actual: Vec<Actual>,
    /// Milliseconds.
    pub planning_ms: f64,
    /// Milliseconds.
    pub execution_ms: f64,
    /// Pages that planning used.
    pub planning: Usage,
    /// Who computed.
    pub computed: Computed,
    /// Settings that SETTINGS shows: names and values.
    pub settings: Vec<(String, String)>,
}

/// Lines of EXPLAIN; with `json` a single string.
pub fn explain(
    planned: &Planned,
    options: &ExplainOptions,
    catalog: &dyn CatalogReader,
    measured: &Measured,
) -> Result<Vec<String>> {
    let Measured { planning_ms, execution_ms, computed, planning, settings, .. } = measured;
    let root = describe::tree(planned, options, catalog, &measured.actual)?;
    if options.json {
        let mut out = String::from("[\n  {\n    \"Plan\": ");
        json(&root, None, options, 2, &mut out);
        if options.settings {
            let list = settings.iter().map(|(n, v)| format!("      {}: {}", quoted(n), quoted(v)));
            let _ = write!(out, ",\n    \"Settings\": {{\n{}\n    }}", list.collect::<Vec<_>>().join(",\n"));
        }
        if options.buffers {
            let list = planning.page_fields().map(|(n, v)| format!("      {}: {v}", quoted(n)));
            let _ = write!(out, ",\n    \"Planning\": {{\n{}\n    }}", list.join(",\n"));
        }
        if options.summary {
            let _ = write!(out, ",\n    \"Planning Time\": {planning_ms:.3}");
            if options.analyze {
                // There are no triggers.
                out.push_str(",\n    \"Triggers\": [\n    ]");
                computed.json(options, &mut out);
                let _ = write!(out, ",\n    \"Execution Time\": {execution_ms:.3}");
            }
        }
        out.push_str("\n  }\n]");
        return Ok(Vec::from([out]));
    }
    let mut lines = Vec::new();
    text(&root, options, 0, &mut lines);
    if options.settings && !settings.is_empty() {
        let list: Vec<String> = settings.iter().map(|(n, v)| format!("{n} = '{v}'")).collect();
        lines.push(format!("Settings: {}", list.join(", ")));
    }
    if let Some(buffers) = planning.buffers().filter(|_| options.buffers) {
        lines.extend([String::from("Planning:"), format!("  {buffers}")]);
    }
    if options.summary {
        lines.push(format!("Planning Time: {planning_ms:.3} ms"));
        if options.analyze {
            computed.text(options, &mut lines);
            lines.push(format!("Execution Time: {execution_ms:.3} ms"));
        }
    }
    Ok(lines)
}

/// Averages over loops as PostgreSQL shows them.
fn per_loop(count: u64, loops: u64) -> u64 {
    (count + loops / 2).checked_div(loops).unwrap_or(0)
}

fn numbers(item: &Item, options: &ExplainOptions) -> String {
    let mut out = String::new();
    if options.costs {
        let e = item.estimate;
        let _ = write!(out, "  (cost={:.2}..{:.2} rows={:.0} width={})", e.startup, e.total, e.rows, e.width);
    }
    if let Some(a) = item.actual {
        if a.loops == 0 {
            out.push_str(" (never executed)");
        } else if options.timing {
            let rows = per_loop(a.rows, a.loops);
            let _ = write!(
                out,
                " (actual time={:.3}..{:.3} rows={rows} loops={})",
                a.startup_ms, a.total_ms, a.loops
            );
        } else {
            let _ = write!(out, " (actual rows={} loops={})", per_loop(a.rows, a.loops), a.loops);
        }
    }
    out
}

fn text(item: &Item, options: &ExplainOptions, mut indent: usize, lines: &mut Vec<String>) {
    let pad = |n: usize| " ".repeat(n * 2);
    if let Some(heading) = &item.heading {
        lines.push(format!("{}{heading}", pad(indent)));
        indent += 1;
    }
    let numbers = numbers(item, options);
    if indent > 0 {
        lines.push(format!("{}->  {}{}{numbers}", pad(indent), item.kind, item.suffix));
        indent += 2;
    } else {
        lines.push(format!("{}{}{numbers}", item.kind, item.suffix));
    }
    indent += 1;
    for (name, value) in &item.properties {
        let value = match value {
            Property::Text(text) => text.clone(),
            Property::List(list) => list.join(", "),
            Property::Number(n) => n.to_string(),
            Property::Several(line, _) => {
                lines.push(format!("{}{line}", pad(indent)));
                continue;
            }
        };
        lines.push(format!("{}{name}: {value}", pad(indent)));
    }
    if let Some(actual) = &item.actual {
        lines.extend(actual.usage.lines(options).into_iter().map(|line| format!("{}{line}", pad(indent))));
    }
    item.children.iter().for_each(|child| text(child, options, indent, lines));
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn json_value(value: &Property) -> String {
    match value {
        Property::Text(text) | Property::Several(text, _) => quoted(text),
        Property::List(list) => {
            let list: Vec<String> = list.iter().map(|s| quoted(s)).collect();
            format!("[{}]", list.join(", "))
        }
        Property::Number(n) => n.to_string(),
    }
}

/// What a child is to its parent, as JSON names it.
fn relationship(parent: &Item, child: &Item, place: usize) -> &'static str {
    match &child.heading {
        Some(heading) if heading.starts_with("SubPlan") => "SubPlan",
        Some(_) => "InitPlan",
        None if parent.kind == "Append" => "Member",
        None if place == 0 => "Outer",
        None => "Inner",
    }
}

/// What stands right behind the node's type.
const FIRST: [&str; 2] = ["Strategy", "Partial Mode"];

fn json(item: &Item, related: Option<&str>, options: &ExplainOptions, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent * 2 + 2);
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| fields.push((name.into(), value));
    if matches!(item.kind.as_str(), "Insert" | "Update" | "Delete" | "Merge") {
        add("Node Type", quoted("ModifyTable"));
        add("Operation", quoted(&item.kind));
    } else {
        let kind = if item.kind == "HashAggregate" { "Aggregate" } else { &item.kind };
        add("Node Type", quoted(kind));
    }
    for (name, value) in item.hidden.iter().filter(|h| FIRST.contains(&h.0)) {
        add(name, quoted(value));
    }
    if let Some(related) = related {
        add("Parent Relationship", quoted(related));
    }
    if let Some(heading) = &item.heading {
        add("Subplan Name", quoted(heading));
    }
    add("Parallel Aware", "false".into());
    add("Async Capable", "false".into());
    for (name, value) in item.hidden.iter().filter(|h| !FIRST.contains(&h.0)) {
        add(name, quoted(value));
    }
    if options.costs {
        let e = item.estimate;
        add("Startup Cost", format!("{:.2}", e.startup));
        add("Total Cost", format!("{:.2}", e.total));
        add("Plan Rows", format!("{:.0}", e.rows));
        add("Plan Width", e.width.to_string());
    }
    if let Some(a) = item.actual {
        if options.timing {
            add("Actual Startup Time", format!("{:.3}", a.startup_ms));
            add("Actual Total Time", format!("{:.3}", a.total_ms));
        }
        add("Actual Rows", per_loop(a.rows, a.loops).to_string());
        add("Actual Loops", a.loops.to_string());
    }
    for (name, value) in &item.properties {
        match value {
            Property::Several(_, list) => list.iter().for_each(|(name, value)| add(name, json_value(value))),
            value => add(name, json_value(value)),
        }
    }
    if let Some(actual) = &item.actual {
        actual.usage.fields(options).into_iter().for_each(|(name, n)| add(name, n.to_string()));
    }
    out.push_str("{\n");
    let count = fields.len();
    for (i, (name, value)) in fields.into_iter().enumerate() {
        let comma = if i + 1 < count || !item.children.is_empty() { "," } else { "" };
        let _ = writeln!(out, "{pad}{}: {value}{comma}", quoted(&name));
    }
    if !item.children.is_empty() {
        let _ = writeln!(out, "{pad}\"Plans\": [");
        let mut place = 0;
        for (i, child) in item.children.iter().enumerate() {
            out.push_str(&pad);
            out.push_str("  ");
            let related = relationship(item, child, place);
            place += usize::from(child.heading.is_none());
            json(child, Some(related), options, indent + 2, out);
            out.push_str(if i + 1 < item.children.len() { ",\n" } else { "\n" });
        }
        let _ = writeln!(out, "{pad}]");
    }
    out.push_str(&" ".repeat(indent * 2));
    out.push('}');
}

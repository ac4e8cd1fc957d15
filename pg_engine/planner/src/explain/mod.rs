//! EXPLAIN: the plan tree as text or a document, in PostgreSQL's form.
//!
//! `describe` turns operators into labelled items, merging projections and filters into the operator below as PostgreSQL
//! shows them; this module renders the items.

mod describe;
mod held;
mod render;
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
    statement::{ExplainFormat, ExplainOptions, Planned},
};
use pg_types::Result;

use self::render::{Doc, Fields};

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
    /// Of a sort in portions: bytes held for one of them.
    pub average: u64,
}

/// A line of the tree with what belongs to it.
pub(crate) struct Item {
    /// `Index Scan`.
    pub(crate) kind: String,
    /// What follows in text: ` using t_pkey on t`.
    pub(crate) suffix: String,
    /// Properties that documents show and the text form has in the label.
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

    fn document(&self, options: &ExplainOptions) -> Option<Fields> {
        let text = |s: &str| Doc::Text(s.to_string());
        let mut out = Vec::from([field("Backend", text(self.device.as_deref().unwrap_or(self.processor?)))]);
        if let (None, Some(reason)) = (&self.device, self.reason) {
            out.push(field("Reason", text(reason)));
        }
        for (name, n) in [("Commands", self.commands), ("Bytes", self.bytes), ("Failures", self.failures)] {
            out.push(field(name, Doc::Bare(n.to_string())));
        }
        if options.timing {
            let times = [
                ("Transfer", self.transfer_ms),
                ("Compute", self.compute_ms),
                ("Processor", self.processor_ms),
            ];
            let times = times.map(|(name, ms)| field(name, milliseconds(ms)));
            out.push(field("Timing", Doc::Object(times.into())));
        }
        Some(out)
    }
}

fn field(name: &str, value: Doc) -> (String, Doc) {
    (name.to_string(), value)
}

fn milliseconds(ms: f64) -> Doc {
    Doc::Bare(format!("{ms:.3}"))
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

/// Lines of EXPLAIN; a document is a single string.
pub fn explain(
    planned: &Planned,
    options: &ExplainOptions,
    catalog: &dyn CatalogReader,
    measured: &Measured,
) -> Result<Vec<String>> {
    let Measured { planning_ms, execution_ms, computed, planning, settings, .. } = measured;
    let root = describe::tree(planned, options, catalog, &measured.actual)?;
    if options.format != ExplainFormat::Text {
        let query = document(&root, options, measured);
        return Ok(Vec::from([render::render(options.format, &query)]));
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

/// All of it as a document.
fn document(root: &Item, options: &ExplainOptions, measured: &Measured) -> Fields {
    let mut out = Vec::from([field("Plan", Doc::Object(plan_fields(root, None, options)))]);
    if options.settings {
        let settings = measured.settings.iter().map(|(n, v)| field(n, Doc::Text(v.clone())));
        out.push(field("Settings", Doc::Object(settings.collect())));
    }
    if options.buffers {
        let pages = measured.planning.page_fields().map(|(n, v)| field(n, Doc::Bare(v.to_string())));
        out.push(field("Planning", Doc::Object(pages.into())));
    }
    if options.summary {
        out.push(field("Planning Time", milliseconds(measured.planning_ms)));
    }
    if options.analyze {
        // There are none.
        out.push(field("Triggers", Doc::Objects("Trigger", Vec::new())));
    }
    if options.analyze && options.summary {
        out.extend(measured.computed.document(options).map(|d| field("Compute", Doc::Object(d))));
        out.push(field("Execution Time", milliseconds(measured.execution_ms)));
    }
    out
}

fn property(value: &Property) -> Doc {
    match value {
        Property::Text(text) | Property::Several(text, _) => Doc::Text(text.clone()),
        Property::List(list) => Doc::Texts(list.clone()),
        Property::Number(n) => Doc::Bare(n.to_string()),
    }
}

/// What a child is to its parent, as documents name it.
fn relationship(parent: &Item, child: &Item, place: usize) -> &'static str {
    match &child.heading {
        Some(heading) if heading.starts_with("SubPlan") => "SubPlan",
        Some(_) => "InitPlan",
        None if parent.kind == "Append" || parent.kind == "Merge Append" => "Member",
        None if place == 0 => "Outer",
        None => "Inner",
    }
}

/// What stands right behind the node's type.
const FIRST: [&str; 2] = ["Strategy", "Partial Mode"];

/// The type of an operator in documents, where what the text form adds to it are properties of their own.
fn node_type(kind: &str) -> &str {
    match kind {
        "HashAggregate" => "Aggregate",
        "HashSetOp" => "SetOp",
        "Index Scan Backward" => "Index Scan",
        "Index Only Scan Backward" => "Index Only Scan",
        _ if !kind.ends_with("Join") => kind,
        _ => ["Nested Loop", "Hash Join", "Merge Join"]
            .into_iter()
            .find(|t| t.split(' ').next() == kind.split(' ').next())
            .unwrap_or(kind),
    }
}

/// What a document says of an operator and those below it.
fn plan_fields(item: &Item, related: Option<&str>, options: &ExplainOptions) -> Fields {
    let mut fields: Fields = Vec::new();
    let mut add = |name: &str, value: Doc| fields.push(field(name, value));
    let text = |s: &str| Doc::Text(s.to_string());
    let bare = |s: String| Doc::Bare(s);
    if matches!(item.kind.as_str(), "Insert" | "Update" | "Delete" | "Merge") {
        add("Node Type", text("ModifyTable"));
        add("Operation", text(&item.kind));
    } else {
        add("Node Type", text(node_type(&item.kind)));
    }
    for (name, value) in item.hidden.iter().filter(|h| FIRST.contains(&h.0)) {
        add(name, text(value));
    }
    if let Some(related) = related {
        add("Parent Relationship", text(related));
    }
    if let Some(heading) = &item.heading {
        add("Subplan Name", text(heading));
    }
    add("Parallel Aware", bare("false".into()));
    add("Async Capable", bare("false".into()));
    for (name, value) in item.hidden.iter().filter(|h| !FIRST.contains(&h.0)) {
        add(name, text(value));
    }
    if options.costs {
        let e = item.estimate;
        add("Startup Cost", bare(format!("{:.2}", e.startup)));
        add("Total Cost", bare(format!("{:.2}", e.total)));
        add("Plan Rows", bare(format!("{:.0}", e.rows)));
        add("Plan Width", bare(e.width.to_string()));
    }
    if let Some(a) = item.actual {
        if options.timing {
            add("Actual Startup Time", bare(format!("{:.3}", a.startup_ms)));
            add("Actual Total Time", bare(format!("{:.3}", a.total_ms)));
        }
        add("Actual Rows", bare(per_loop(a.rows, a.loops).to_string()));
        add("Actual Loops", bare(a.loops.to_string()));
    }
    for (name, value) in &item.properties {
        match value {
            Property::Several(_, list) => list.iter().for_each(|(name, value)| add(name, property(value))),
            value => add(name, property(value)),
        }
    }
    if let Some(actual) = &item.actual {
        actual.usage.fields(options).into_iter().for_each(|(name, n)| add(name, bare(n.to_string())));
    }
    if !item.children.is_empty() {
        let mut place = 0;
        let mut plans = Vec::with_capacity(item.children.len());
        for child in &item.children {
            plans.push(plan_fields(child, Some(relationship(item, child, place)), options));
            place += usize::from(child.heading.is_none());
        }
        add("Plans", Doc::Objects("Plan", plans));
    }
    fields
}

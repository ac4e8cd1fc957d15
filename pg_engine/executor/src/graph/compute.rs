//! Where graphs tick: the setting that says so, and the relation that lists who can.

use alloc::{vec, vec::Vec};

use dagdb_device::{Choice, Job, Listed, Reason};
use dagdb_tick::{Executor, Network, Path, TickError, Ticked};
use pg_storage::RelId;
use pg_types::{Result, Value};
use platform::time::monotonic;

use super::{backend, go_on, interrupted, progress::Item};
use crate::context::ExecContext;

/// The setting that says who computes.
const SETTING: &str = "compute_backend";

/// Who is to compute.
fn choice(cx: &ExecContext<'_>) -> Choice {
    match cx.session.setting(SETTING).as_deref() {
        Some("cpu") => Choice::Processor,
        Some("gpu") => Choice::Device,
        _ => Choice::Auto,
    }
}

/// Ticks a graph that is kept in `heap`.
pub(super) fn tick(
    cx: &ExecContext<'_>,
    network: &mut Network,
    heap: RelId,
    count: u64,
    executor: &dyn Executor,
    shown: &Item,
) -> Result<Ticked> {
    let choice = choice(cx);
    let reason = match choice {
        Choice::Processor => Some(Reason::Asked),
        _ if !cx.engine.compute().has_present() => Some(Reason::NoDevice),
        _ => None,
    };
    tick_by(cx, network, heap, count, executor, shown, (choice, reason))
}

/// The same on the processor, for whoever looks at the values after each tick: bringing them from a device takes longer than a tick.
pub(super) fn tick_here(
    cx: &ExecContext<'_>,
    network: &mut Network,
    heap: RelId,
    count: u64,
    executor: &dyn Executor,
    shown: &Item,
) -> Result<Ticked> {
    let reason = if choice(cx) == Choice::Processor { Reason::Asked } else { Reason::EachTick };
    tick_by(cx, network, heap, count, executor, shown, (Choice::Processor, Some(reason)))
}

fn tick_by(
    cx: &ExecContext<'_>,
    network: &mut Network,
    heap: RelId,
    count: u64,
    executor: &dyn Executor,
    shown: &Item,
    (choice, reason): (Choice, Option<Reason>),
) -> Result<Ticked> {
    let job = Job {
        graph: u64::from(heap.0),
        count,
        choice,
        executor,
        go_on: &|| go_on(cx),
        did: &|ticks| shown.did(ticks),
    };
    let begun = monotonic();
    let mut usage = cx.compute.borrow_mut();
    let before = usage.compute + usage.transfer;
    let ticked = cx.engine.compute().tick(network, &job, &mut usage);
    let elsewhere = (usage.compute + usage.transfer).saturating_sub(before);
    usage.processor += monotonic().saturating_sub(begun).saturating_sub(elsewhere);
    usage.processor_name = Some(backend(network.path()));
    usage.reason = reason;
    ticked.map_err(|TickError::Cancelled { .. }| interrupted(cx))
}

/// The rows of `intralith_compute_backends`: the processor, then the devices.
pub(crate) fn backends(cx: &ExecContext<'_>) -> Vec<Vec<Value>> {
    let compute = cx.engine.compute();
    let mut rows = vec![processor(cx, compute.processor_rate())];
    rows.extend((1..).zip(compute.list()).map(|(number, listed)| device(number, &listed)));
    rows
}

fn processor(cx: &ExecContext<'_>, rate: Option<f64>) -> Vec<Value> {
    let cores = i64::try_from(cx.engine.graph_crew().workers()).unwrap_or(i64::MAX);
    let mut row = vec![
        Value::Int4(0),
        Value::text(backend(Path::best())),
        Value::text("processor"),
        Value::Text(alloc::format!("{cores} cores").into()),
        Value::Null,
        Value::text("present"),
    ];
    row.resize(11, Value::Null);
    row.push(rate.map_or(Value::Null, Value::Float8));
    row.resize(17, Value::Null);
    row
}

fn device(number: i32, listed: &Listed) -> Vec<Value> {
    let (link, health) = (&listed.link, &listed.health);
    let of = |f: &dyn Fn(&dagdb_device::Device) -> Value| listed.device.as_ref().map_or(Value::Null, f);
    let count = |n: u64| Value::Int8(n as i64);
    let megabytes = |n: u64| Value::Float8(n as f64 / 1e6);
    vec![
        Value::Int4(number),
        of(&|d| Value::text(&d.name)),
        of(&|d| Value::text(if d.is_processor { "processor" } else { "gpu" })),
        of(&|d| Value::text(&d.driver)),
        Value::text(listed.carrier),
        Value::text(if health.present { "present" } else { "absent" }),
        of(&|d| count(d.memory)),
        of(&|d| count(d.used)),
        Value::Float8(link.round_trip.as_secs_f64() * 1e6),
        megabytes(link.upload),
        megabytes(link.download),
        listed.rate.map_or(Value::Null, Value::Float8),
        listed.graphs.map_or(Value::Null, |n| count(n as u64)),
        count(health.commands),
        count(health.refused),
        count(health.losses),
        if health.last_loss.is_empty() { Value::Null } else { Value::text(&health.last_loss) },
    ]
}

//! Views of the buffer pool, the log and the writers.

use alloc::{vec, vec::Vec};
use core::time::Duration;

use pg_catalog::builtin::FIRST_DATABASE;
use pg_storage::{Actor, Purpose};
use pg_types::Value;

use crate::context::ExecContext;

/// `pg_default`.
const TABLESPACE: u32 = 1663;

fn count(n: u64) -> Value {
    Value::Int8(i64::try_from(n).unwrap_or(i64::MAX))
}

fn milliseconds(d: Duration) -> Value {
    Value::Float8(d.as_secs_f64() * 1000.0)
}

fn since(cx: &ExecContext<'_>) -> Value {
    Value::TimestampTz(cx.session.server_start())
}

/// `pg_stat_bgwriter`.
pub(super) fn background(cx: &ExecContext<'_>) -> Vec<Vec<Value>> {
    let (c, w) = (cx.engine.storage().checkpoint_stats(), cx.engine.storage().writer_stats());
    vec![vec![
        count(c.timed),
        count(c.requested),
        milliseconds(c.write_time),
        milliseconds(c.sync_time),
        count(w.checkpoint),
        count(w.background),
        count(w.background_cut),
        count(w.statements),
        count(0),
        count(w.allocated),
        since(cx),
    ]]
}

/// `pg_stat_wal`. A write of the log is durable when it ends, so nothing is synced by itself.
pub(super) fn log(cx: &ExecContext<'_>) -> Vec<Vec<Value>> {
    let s = cx.engine.storage().log_stats();
    vec![vec![
        count(s.records),
        count(s.images),
        Value::Numeric(i128::from(s.bytes).into()),
        count(s.overflows),
        count(s.writes),
        count(0),
        milliseconds(s.write_time),
        milliseconds(Duration::ZERO),
        since(cx),
    ]]
}

/// `pg_stat_io`, as PostgreSQL 16 has it. NULL where there is no such thing.
pub(super) fn transfers(cx: &ExecContext<'_>) -> Vec<Vec<Value>> {
    let row = |s: pg_storage::IoStats| {
        let who = match s.actor {
            Actor::Statement => "client backend",
            Actor::ReadAhead => "background worker",
            Actor::Writer => "background writer",
            Actor::Checkpointer => "checkpointer",
            Actor::Recovery => "startup",
        };
        let context = match s.purpose {
            Purpose::Normal => "normal",
            Purpose::BulkRead => "bulkread",
            Purpose::BulkWrite => "bulkwrite",
        };
        let (normal, c) = (s.purpose == Purpose::Normal, s.counts);
        let only = |yes: bool, v: Value| if yes { v } else { Value::Null };
        let reads = !matches!(s.actor, Actor::Writer | Actor::Checkpointer);
        let statement = s.actor == Actor::Statement;
        let fills = statement || s.actor == Actor::Recovery;
        vec![
            Value::text(who),
            Value::text("relation"),
            Value::text(context),
            only(reads, count(c.reads)),
            only(reads, milliseconds(c.read_time)),
            only(normal, count(c.writes)),
            only(normal, milliseconds(c.write_time)),
            Value::Null,
            Value::Null,
            only(fills, count(c.extends)),
            only(fills, Value::Float8(0.0)),
            Value::Int8(8192),
            only(statement && normal, count(c.hits)),
            only(reads, count(c.evictions)),
            only(reads && !normal, count(c.reuses)),
            only(s.actor == Actor::Checkpointer, count(c.flushes)),
            Value::Null,
            since(cx),
        ]
    };
    let meaningful = |s: &pg_storage::IoStats| match s.actor {
        Actor::Statement => true,
        Actor::ReadAhead => s.purpose != Purpose::BulkWrite,
        Actor::Writer | Actor::Checkpointer | Actor::Recovery => s.purpose == Purpose::Normal,
    };
    cx.engine.storage().io_stats().into_iter().filter(meaningful).map(row).collect()
}

/// `pg_buffercache`. Frames that were never used are left out.
pub(super) fn buffers(cx: &ExecContext<'_>) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    cx.engine.storage().buffers(|f| {
        let Some((rel, block)) = f.page else { return };
        rows.push(vec![
            Value::Int4(f.frame as i32),
            Value::Oid(rel.0),
            Value::Oid(TABLESPACE),
            Value::Oid(FIRST_DATABASE),
            Value::Int2(0),
            Value::Int8(block.into()),
            Value::Bool(f.dirty),
            Value::Int2(f.usage.into()),
            Value::Int4(i32::try_from(f.pins).unwrap_or(i32::MAX)),
        ]);
    });
    rows
}

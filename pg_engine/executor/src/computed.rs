//! Relations whose rows the engine computes: settings, activity, and a sequence read as a table.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use pg_catalog::{
    CatalogReader, Relation, RelationKind,
    builtin::{PG_AUTHID, PG_DATABASE},
    roles::predefined,
    storage_error,
    table::array,
};
use pg_storage::LockTag;
use pg_types::{Result, SqlError, Value, network::Inet, oid};
use platform::tally::Tally;

use crate::{
    context::ExecContext,
    session::{CursorRow, DatabaseRow, PreparedStatementRow, StatementRow},
};

mod encryption;
mod io;

fn text(s: &str) -> Value {
    Value::text(s)
}

fn option(s: &Option<alloc::string::String>) -> Value {
    s.as_deref().map_or(Value::Null, Value::text)
}

/// The rows of a computed relation, one value an attribute.
pub(crate) fn rows(relation: &Arc<Relation>, cx: &ExecContext<'_>) -> Result<Vec<Vec<Value>>> {
    if relation.kind == RelationKind::Sequence {
        let (options, last, called) =
            cx.engine.storage().sequence_get(relation.storage).map_err(storage_error)?;
        let _ = options;
        return Ok(alloc::vec![alloc::vec![Value::Int8(last), Value::Int8(0), Value::Bool(called)]]);
    }
    match relation.name.as_str() {
        "pg_settings" => Ok(settings(cx)),
        "pg_stat_activity" => activity(cx),
        "pg_stat_ssl" => encryption::rows(cx),
        "pg_stat_gssapi" => encryption::kerberos(cx),
        "pg_locks" => Ok(locks(cx)),
        "pg_prepared_xacts" => prepared(cx),
        "pg_prepared_statements" => {
            Ok(cx.session.prepared_statements().iter().map(prepared_statement).collect())
        }
        "pg_cursors" => Ok(cx.session.cursors().iter().map(cursor).collect()),
        "intralith_stat_storage" => Ok(activity_of_storage(cx)),
        "pg_stat_bgwriter" => Ok(io::background(cx)),
        "pg_stat_wal" => Ok(io::log(cx)),
        "pg_stat_io" => Ok(io::transfers(cx)),
        "pg_buffercache" => Ok(io::buffers(cx)),
        "pg_timezone_names" => Ok(time_zones(cx)),
        "intralith_stat_database" => databases(cx),
        "intralith_stat_statements" => statements(cx),
        "intralith_stat_statements_info" => {
            let info = cx.session.statements().1;
            Ok(alloc::vec![alloc::vec![Value::Int8(info.evicted as i64), Value::TimestampTz(info.since)]])
        }
        "intralith_extensions" => Ok(crate::extension::EXTENSIONS.iter().map(extension).collect()),
        "intralith_verify" => crate::verify::rows(cx),
        "intralith_compute_backends" => Ok(crate::graph::compute_backends(cx)),
        "dagdb_progress" => Ok(cx.engine.graph_progress().rows()),
        other => Err(SqlError::unsupported(alloc::format!("relation \"{other}\""))),
    }
}

fn settings(cx: &ExecContext<'_>) -> Vec<Vec<Value>> {
    let mut rows = cx.session.settings();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows.iter()
        .map(|s| {
            let enums = s
                .enum_vals
                .as_ref()
                .map_or(Value::Null, |l| array(oid::TEXT, l.iter().map(|v| Value::text(v)).collect()));
            alloc::vec![
                text(&s.name),
                text(&s.setting),
                option(&s.unit),
                text(&s.category),
                text(&s.short_desc),
                Value::Null,
                text(&s.context),
                text(&s.vartype),
                text(&s.source),
                option(&s.min_val),
                option(&s.max_val),
                enums,
                option(&s.boot_val),
                option(&s.reset_val),
                Value::Null,
                Value::Null,
                Value::Bool(false),
            ]
        })
        .collect()
}

/// What is done with each heap and index, by what `pg_class.relfilenode` says.
fn activity_of_storage(cx: &ExecContext<'_>) -> Vec<Vec<Value>> {
    /// From 1970 to 2000.
    const EPOCH: i64 = 946_684_800_000_000;
    let storage = cx.engine.storage();
    let count = |c: &AtomicU64| Value::Int8(c.load(Ordering::Relaxed) as i64);
    let time = |t: &AtomicI64| match t.load(Ordering::Relaxed) {
        0 => Value::Null,
        t => Value::TimestampTz(t - EPOCH),
    };
    let row = |rel| {
        let (a, s) = (storage.activity(rel).ok()?, storage.relation_stats(rel).ok()?);
        Some(alloc::vec![
            Value::Oid(rel.0),
            count(&a.seq_scans),
            count(&a.seq_rows),
            count(&a.index_scans),
            count(&a.index_rows),
            count(&a.inserted),
            count(&a.updated),
            count(&a.deleted),
            count(&a.hot_updated),
            Value::Int8(s.live_tuples as i64),
            Value::Int8(s.dead_tuples as i64),
            Value::Int8(a.changed_since_analyze() as i64),
            Value::Int8(a.inserted_since_vacuum() as i64),
            time(&a.vacuum.last_asked),
            time(&a.vacuum.last_automatic),
            time(&a.analyze.last_asked),
            time(&a.analyze.last_automatic),
            count(&a.vacuum.asked),
            count(&a.vacuum.automatic),
            count(&a.analyze.asked),
            count(&a.analyze.automatic),
        ])
    };
    storage.relations().into_iter().filter_map(|(rel, _)| row(rel)).collect()
}

fn extension(e: &crate::extension::Extension) -> Vec<Value> {
    alloc::vec![text(e.name), text(e.version), Value::Bool(true), Value::Bool(e.trusted), text(e.comment)]
}

/// What statements cost; the texts of others' are for those who may read all statistics.
fn statements(cx: &ExecContext<'_>) -> Result<Vec<Vec<Value>>> {
    let (user, roles) = (cx.session.user(), CatalogReader::roles(&cx.reader()?)?);
    let all = roles.has_rights_of(user, predefined::PG_READ_ALL_STATS);
    let row = |s: &StatementRow| {
        let shown = all || s.user == user;
        let (none, zero) = (Value::Int8(0), Value::Float8(0.0));
        let mut row = alloc::vec![
            Value::Oid(s.user),
            Value::Oid(s.database),
            Value::Bool(true),
            if shown { Value::Int8(s.query) } else { Value::Null },
            if shown { text(&s.text) } else { text("<insufficient privilege>") },
            none,
        ];
        row.resize(11, zero);
        row.push(Value::Int8(s.calls as i64));
        row.extend([s.total_ms, s.min_ms, s.max_ms, s.mean_ms, s.deviation_ms].map(Value::Float8));
        row.push(Value::Int8(s.rows as i64));
        row.extend(
            [
                Tally::PageHit,
                Tally::PageRead,
                Tally::PageDirtied,
                Tally::PageWritten,
                Tally::TemporaryRead,
                Tally::TemporaryWritten,
                Tally::LogRecords,
                Tally::LogImages,
                Tally::LogBytes,
            ]
            .map(|t| Value::Int8(s.usage.of(t) as i64)),
        );
        row
    };
    Ok(cx.session.statements().0.iter().map(row).collect())
}

fn databases(cx: &ExecContext<'_>) -> Result<Vec<Vec<Value>>> {
    let here = cx.engine.database(&cx.session.database())?.map_or(0, |d| d.oid);
    let (files, bytes) = cx.engine.temporary_files();
    let row = |d: &DatabaseRow| {
        let known = |n: u64| if d.database == here { Value::Int8(n as i64) } else { Value::Null };
        let mut row = database(d);
        row.extend([known(files), known(bytes)]);
        row
    };
    Ok(cx.session.databases().iter().map(row).collect())
}

fn database(d: &DatabaseRow) -> Vec<Value> {
    alloc::vec![
        Value::Oid(d.database),
        Value::Int4(d.sessions_now as i32),
        Value::Int8(d.committed as i64),
        Value::Int8(d.rolled_back as i64),
        Value::Int8(d.deadlocks as i64),
        Value::Float8(d.session_micros as f64 / 1000.0),
        Value::Int8(d.sessions as i64),
        Value::TimestampTz(d.since),
    ]
}

/// `pg_timezone_names`, as of the transaction's time.
fn time_zones(cx: &ExecContext<'_>) -> Vec<Vec<Value>> {
    let row = |z: pg_types::datetime::zone::ZoneFacts| {
        alloc::vec![
            text(&z.name),
            text(&z.abbreviation),
            Value::Interval(pg_types::value::Interval {
                months: 0,
                days: 0,
                micros: i64::from(z.offset) * 1_000_000,
            }),
            Value::Bool(z.daylight_saving),
        ]
    };
    pg_types::datetime::zone::zones(cx.txn.borrow().started()).into_iter().map(row).collect()
}

fn prepared(cx: &ExecContext<'_>) -> Result<Vec<Vec<Value>>> {
    let snapshot = cx.engine.catalog().latest();
    let mut rows = Vec::new();
    for p in cx.engine.prepared_rows() {
        let owner = cx.engine.catalog().find_one(&snapshot, PG_AUTHID, &["oid"], &[Value::Oid(p.owner)])?;
        let database =
            cx.engine.catalog().find_one(&snapshot, PG_DATABASE, &["oid"], &[Value::Oid(p.database)])?;
        rows.push(alloc::vec![
            Value::Oid(p.xid as u32),
            text(&p.name),
            Value::TimestampTz(p.prepared),
            owner.map_or(Value::Null, |r| text(r.text("rolname"))),
            database.map_or(Value::Null, |r| text(r.text("datname"))),
        ]);
    }
    Ok(rows)
}

fn prepared_statement(s: &PreparedStatementRow) -> Vec<Value> {
    let types = s.parameter_types.iter().map(|t| Value::Oid(*t)).collect();
    alloc::vec![
        text(&s.name),
        text(&s.statement),
        Value::TimestampTz(s.prepare_time),
        array(oid::REGTYPE, types),
        Value::Bool(s.from_sql),
        Value::Int8(s.runs.0),
        Value::Int8(s.runs.1),
    ]
}

fn cursor(c: &CursorRow) -> Vec<Value> {
    alloc::vec![
        text(&c.name),
        text(&c.statement),
        Value::Bool(c.holdable),
        Value::Bool(c.binary),
        Value::Bool(c.scrollable),
        Value::TimestampTz(c.created),
    ]
}

/// Locks on objects and advisory locks. Row locks are not listed, as in PostgreSQL.
fn locks(cx: &ExecContext<'_>) -> Vec<Vec<Value>> {
    let all = cx.engine.storage().locks();
    all.iter()
        .map(|l| {
            let oid = |n: u64| Value::Oid(n as u32);
            let (kind, database, relation, class, object, sub) = match l.tag {
                LockTag::Object(d, o) => {
                    ("relation", d, Value::Oid(o), Value::Null, Value::Null, Value::Null)
                }
                LockTag::Advisory(class, key) => {
                    let parts = (oid(key >> 32), oid(key & 0xffff_ffff), Value::Int2((class & 0xff) as i16));
                    ("advisory", (class >> 8) as u32, Value::Null, parts.0, parts.1, parts.2)
                }
            };
            let process = l.owner.process();
            alloc::vec![
                text(kind),
                Value::Oid(database),
                relation,
                Value::Null,
                Value::Null,
                Value::Null,
                Value::Null,
                class,
                object,
                sub,
                text(&alloc::format!("{process}/0")),
                if process == 0 { Value::Null } else { Value::Int4(process) },
                text(l.mode.name()),
                Value::Bool(l.granted),
                Value::Bool(false),
                Value::Null,
            ]
        })
        .collect()
}

/// Sessions; of those of roles that the user is not, only that they are there.
fn activity(cx: &ExecContext<'_>) -> Result<Vec<Vec<Value>>> {
    let (user, roles) = (cx.session.user(), CatalogReader::roles(&cx.reader()?)?);
    let all = roles.has_rights_of(user, predefined::PG_READ_ALL_STATS);
    let hidden = |mut row: Vec<Value>| {
        // From the client's address on, except for the text of the statement.
        row.iter_mut().skip(7).for_each(|v| *v = Value::Null);
        if let Some(query) = row.get_mut(20) {
            *query = text("<insufficient privilege>");
        }
        row
    };
    let time = |t: Option<i64>| t.map_or(Value::Null, Value::TimestampTz);
    let rows = cx
        .session
        .activity()
        .iter()
        .map(|a| {
            let row = alloc::vec![
                Value::Oid(a.database),
                text(&a.database_name),
                Value::Int4(a.pid),
                Value::Null,
                Value::Oid(a.user),
                text(&a.user_name),
                text(&a.application_name),
                a.client_addr
                    .as_deref()
                    .and_then(|a| Inet::parse(a, false).ok())
                    .map_or(Value::Null, Value::Inet),
                Value::Null,
                a.client_port.map_or(Value::Null, Value::Int4),
                Value::TimestampTz(a.backend_start),
                time(a.xact_start),
                time(a.query_start),
                time(a.state_change),
                if a.state == "idle" { text("Client") } else { Value::Null },
                if a.state == "idle" { text("ClientRead") } else { Value::Null },
                text(&a.state),
                Value::Null,
                Value::Null,
                Value::Null,
                text(&a.query),
                text("client backend"),
            ];
            if all || roles.has_rights_of(user, a.user) { row } else { hidden(row) }
        })
        .collect();
    Ok(rows)
}

//! Relations whose rows the engine computes: settings, activity, and a sequence read as a table.

use alloc::{sync::Arc, vec::Vec};

use pg_catalog::{Relation, RelationKind, builtin::FIRST_DATABASE, storage_error, table::array};
use pg_types::{Result, SqlError, Value, oid};

use crate::context::ExecContext;

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
        "pg_stat_activity" => Ok(activity(cx)),
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

fn activity(cx: &ExecContext<'_>) -> Vec<Vec<Value>> {
    let database = cx.session.database();
    let time = |t: Option<i64>| t.map_or(Value::Null, Value::TimestampTz);
    cx.session
        .activity()
        .iter()
        .map(|a| {
            alloc::vec![
                Value::Oid(FIRST_DATABASE),
                text(&database),
                Value::Int4(a.pid),
                Value::Null,
                Value::Oid(a.user),
                text(&a.user_name),
                text(&a.application_name),
                option(&a.client_addr),
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
            ]
        })
        .collect()
}

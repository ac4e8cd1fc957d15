//! nextval and its kin.

use alloc::{format, sync::Arc};

use pg_catalog::{
    CatalogReader, Relation, RelationKind, access,
    acl::{Rights, right},
    builtin::PG_SEQUENCE,
    storage_error,
};
use pg_storage::{LockMode, SequenceOptions, StorageError};
use pg_types::{Oid, Result, SqlError, SqlState, Value, oid, value::RecordValue};

use super::{arg_bool, arg_int, arg_oid};
use crate::{context::ExecContext, temporary::is_temporary_schema};

/// `pg_proc.oid` of nextval.
pub(super) const NEXTVAL: Oid = 1574;

/// A sequence of which the user has one of these privileges; 0: whoever it is. It stays as it is until the end of the transaction:
/// what changes it gives it other storage.
fn sequence(cx: &ExecContext<'_>, o: Oid, rights: Rights) -> Result<Arc<Relation>> {
    cx.engine.lock(&mut cx.txn.borrow_mut(), o, LockMode::RowExclusive)?;
    let reader = cx.reader()?;
    let r = reader.relation_by_oid(o)?.ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation with OID {o} does not exist"))
    })?;
    if r.kind != RelationKind::Sequence {
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a sequence", r.name)));
    }
    if rights != 0 {
        let roles = CatalogReader::roles(&reader)?;
        if access::rights_on(&r, cx.session.user(), rights, &roles) == 0 {
            return Err(access::denied("sequence", &r.name));
        }
    }
    Ok(r)
}

/// nextval.
pub(crate) fn next_value(cx: &ExecContext<'_>, o: Oid) -> Result<i64> {
    let r = sequence(cx, o, right::USAGE | right::UPDATE)?;
    if !is_temporary_schema(&r.schema_name) {
        cx.txn.borrow().check_writable("nextval()")?;
    }
    let n = match cx.engine.storage().sequence_next(r.storage) {
        Ok(n) => n,
        Err(StorageError::SequenceExhausted) => {
            let (options, ..) = cx.engine.storage().sequence_get(r.storage).map_err(storage_error)?;
            let (word, limit) =
                if options.increment > 0 { ("maximum", options.max) } else { ("minimum", options.min) };
            return Err(SqlError::new(
                SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
                format!("nextval: reached {word} value of sequence \"{}\" ({limit})", r.name),
            ));
        }
        Err(e) => return Err(storage_error(e)),
    };
    remember(cx, o, n, true);
    Ok(n)
}

fn remember(cx: &ExecContext<'_>, o: Oid, n: i64, last: bool) {
    let mut memory = cx.session.sequences().lock();
    match memory.values.iter_mut().find(|v| v.0 == o) {
        Some(v) => v.1 = n,
        None => memory.values.push((o, n)),
    }
    if last {
        memory.last = Some(o);
    }
}

fn set_value(cx: &ExecContext<'_>, o: Oid, n: i64, called: bool) -> Result<Value> {
    let r = sequence(cx, o, right::UPDATE)?;
    if !is_temporary_schema(&r.schema_name) {
        cx.txn.borrow().check_writable("setval()")?;
    }
    let storage = cx.engine.storage();
    let (options, ..) = storage.sequence_get(r.storage).map_err(storage_error)?;
    let SequenceOptions { min, max, .. } = options;
    if n < min || n > max {
        return Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("setval: value {n} is out of bounds for sequence \"{}\" ({min}..{max})", r.name),
        ));
    }
    let mut txn = cx.txn.borrow_mut();
    storage.sequence_set(txn.storage(), r.storage, &options, n, called).map_err(storage_error)?;
    drop(txn);
    if called {
        remember(cx, o, n, false);
    }
    Ok(Value::Int8(n))
}

fn not_yet(state: &'static str) -> SqlError {
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, state)
}

pub(super) fn call(cx: &ExecContext<'_>, name: &str, args: &[Value]) -> Result<Option<Value>> {
    let o = arg_oid(args, 0);
    Ok(Some(match name {
        "currval" => {
            let r = sequence(cx, o, right::USAGE | right::SELECT)?;
            let memory = cx.session.sequences().lock();
            let v = memory.values.iter().find(|v| v.0 == o).map(|v| v.1);
            Value::Int8(v.ok_or_else(|| {
                SqlError::new(
                    SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("currval of sequence \"{}\" is not yet defined in this session", r.name),
                )
            })?)
        }
        "lastval" => {
            let last = {
                let memory = cx.session.sequences().lock();
                memory.last.and_then(|o| memory.values.iter().find(|v| v.0 == o)).copied()
            };
            // A sequence that is gone has no last value.
            let reader = cx.reader()?;
            let known = match last {
                Some((o, _)) => reader.relation_by_oid(o)?.is_some(),
                None => false,
            };
            let Some((o, v)) = last.filter(|_| known) else {
                return Err(not_yet("lastval is not yet defined in this session"));
            };
            sequence(cx, o, right::USAGE | right::SELECT)?;
            Value::Int8(v)
        }
        "setval" => set_value(cx, o, arg_int(args, 1), args.len() < 3 || arg_bool(args, 2))?,
        "pg_sequence_last_value" => {
            let r = sequence(cx, o, 0)?;
            let (_, last, called) = cx.engine.storage().sequence_get(r.storage).map_err(storage_error)?;
            if called { Value::Int8(last) } else { Value::Null }
        }
        "pg_sequence_parameters" => {
            let rows = cx.reader()?.find(PG_SEQUENCE, &["seqrelid"], &[Value::Oid(o)])?;
            let Some(r) = rows.first() else { return Ok(Some(Value::Null)) };
            let values = ["seqstart", "seqmin", "seqmax", "seqincrement", "seqcycle", "seqcache", "seqtypid"]
                .iter()
                .map(|c| r.get(c).clone())
                .collect();
            let types =
                alloc::vec![oid::INT8, oid::INT8, oid::INT8, oid::INT8, oid::BOOL, oid::INT8, oid::OID];
            Value::Record(Arc::new(RecordValue { types, values, names: None }))
        }
        _ => return Ok(None),
    }))
}

//! Functions about the session and the server.

use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

use pg_catalog::{CatalogReader, roles::predefined, storage_error};
use pg_storage::{LockMode, LockTag};
use pg_types::{Result, SqlError, SqlState, Value, io::snapshot::Parts, network::Inet, oid};

use super::{arg_bool, arg_int, arg_oid, arg_text, some_text};
use crate::context::ExecContext;

fn name(s: String) -> Value {
    Value::Text(s.into())
}

fn unknown_setting(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}

/// May the user end what another session does?
fn may_signal(cx: &ExecContext<'_>, pid: i32, terminate: bool) -> Result<()> {
    let Some(target) = cx.session.activity().into_iter().find(|a| a.pid == pid) else { return Ok(()) };
    let (user, roles) = (cx.session.user(), CatalogReader::roles(&cx.reader()?)?);
    let (verb, what) = if terminate { ("terminate", "process") } else { ("cancel", "query") };
    if roles.is_superuser(target.user) && !roles.is_superuser(user) {
        let text = format!("must be a superuser to {verb} superuser {what}");
        return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text));
    }
    if roles.has_rights_of(user, target.user) || roles.has_rights_of(user, predefined::PG_SIGNAL_BACKEND) {
        return Ok(());
    }
    let (what, done) = if terminate { ("process", "terminated") } else { ("query", "canceled") };
    let text =
        format!("must be a member of the role whose {what} is being {done} or member of pg_signal_backend");
    Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text))
}

fn lsn(at: pg_storage::Lsn) -> Value {
    Value::Int8(at.0 as i64)
}

/// How a transaction ended.
fn outcome(cx: &ExecContext<'_>, xid: u64) -> Result<Value> {
    let storage = cx.engine.storage();
    if xid >= storage.next_xid().0 {
        let text = format!("transaction ID {xid} is in the future");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text));
    }
    // The first two stand for work that was always there; 0 is no transaction.
    Ok(match xid {
        0 => Value::Null,
        1 | 2 => Value::text("committed"),
        _ => Value::text(storage.transaction_outcome(pg_storage::Xid(xid))),
    })
}

pub(super) fn call(cx: &ExecContext<'_>, function: &str, args: &[Value]) -> Result<Option<Value>> {
    Ok(Some(match function {
        "current_database" => name(cx.session.database()),
        "current_user" | "getpgusername" => name(cx.session.user_name()),
        "session_user" => name(cx.session.session_user_name()),
        "current_schema" => {
            let reader = cx.reader()?;
            let first = pg_catalog::CatalogReader::creation_schema(&reader);
            some_text(first.or_else(|| cx.session.search_path().into_iter().find(|s| s == "pg_catalog")))
        }
        "current_schemas" => {
            let reader = cx.reader()?;
            let implied = arg_bool(args, 0);
            let named = cx.session.search_path();
            let list: Vec<Value> = reader
                .search_path()
                .iter()
                .filter(|s| implied || named.contains(&s.1))
                .map(|s| Value::text(&s.1))
                .collect();
            pg_catalog::table::array(oid::NAME, list)
        }
        "pg_notify" => {
            let payload = if args.get(1).is_none_or(Value::is_null) { "" } else { arg_text(args, 1) };
            cx.session.notify(arg_text(args, 0), payload)?;
            Value::Null
        }
        "version" => Value::text(concat!(
            "PostgreSQL 15.0 (Intralith ",
            env!("CARGO_PKG_VERSION"),
            ") on x86_64-unknown-none, compiled by rustc, 64-bit"
        )),
        "current_setting" => {
            let setting = arg_text(args, 0);
            match cx.session.setting(setting) {
                Some(v) => name(v),
                None if arg_bool(args, 1) => Value::Null,
                None => return Err(unknown_setting(setting)),
            }
        }
        "set_config" => {
            let setting = arg_text(args, 0);
            if args.first().is_none_or(Value::is_null) {
                return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "SET requires parameter name"));
            }
            cx.session.set_setting(setting, arg_text(args, 1), arg_bool(args, 2))?;
            some_text(cx.session.setting(setting))
        }
        "pg_backend_pid" => Value::Int4(cx.session.backend_pid()),
        "pg_cancel_backend" | "pg_terminate_backend" => {
            let pid = arg_int(args, 0) as i32;
            may_signal(cx, pid, function == "pg_terminate_backend")?;
            let found = cx.session.signal_backend(pid, function == "pg_terminate_backend");
            if !found {
                let text = format!("PID {pid} is not a PostgreSQL server process");
                cx.session.notice("WARNING", SqlError::new(SqlState::WARNING, text));
            }
            Value::Bool(found)
        }
        "intralith_reset_statements" => {
            let (user, database) = (super::arg_oid(args, 0), super::arg_oid(args, 1));
            cx.session.reset_statements(user, database, arg_int(args, 2));
            Value::Null
        }
        "pg_is_in_recovery" | "pg_jit_available" | "pg_is_other_temp_schema" => Value::Bool(false),
        "pg_current_wal_lsn" | "pg_current_wal_insert_lsn" => lsn(cx.engine.storage().log_position()),
        "pg_current_wal_flush_lsn" => lsn(cx.engine.storage().durable_log()),
        // Nothing is received or replayed beside what clients do.
        "pg_last_wal_receive_lsn" | "pg_last_wal_replay_lsn" | "pg_last_xact_replay_timestamp" => Value::Null,
        "pg_is_wal_replay_paused" | "pg_get_wal_replay_pause_state" => {
            let state = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
            return Err(SqlError::new(state, "recovery is not in progress")
                .hint("Recovery control functions can only be executed during recovery."));
        }
        "pg_postmaster_start_time" | "pg_conf_load_time" => Value::TimestampTz(cx.session.server_start()),
        "pg_my_temp_schema" => Value::Oid(0),
        "pg_trigger_depth" => Value::Int4(0),
        "pg_blocking_pids" => {
            let pids = cx.engine.storage().blocking_processes(arg_int(args, 0) as i32);
            pg_catalog::table::array(oid::INT4, pids.into_iter().map(Value::Int4).collect())
        }
        "pg_safe_snapshot_blocking_pids" => {
            let pids = cx.engine.storage().snapshot_blocking_processes(arg_int(args, 0) as i32);
            pg_catalog::table::array(oid::INT4, pids.into_iter().map(Value::Int4).collect())
        }
        "pg_isolation_test_session_is_blocked" => {
            let (storage, process) = (cx.engine.storage(), arg_int(args, 0) as i32);
            let mut holders = storage.blocking_processes(process);
            holders.extend(storage.snapshot_blocking_processes(process));
            let asked = match args.get(1) {
                Some(Value::Array(a)) => a.values.as_slice(),
                _ => &[],
            };
            Value::Bool(holders.iter().any(|h| asked.contains(&Value::Int4(*h))))
        }
        "inet_client_addr" => match cx.session.client_address() {
            Some((address, _)) => Value::Inet(Inet::parse(&address, false)?),
            None => Value::Null,
        },
        "inet_client_port" => {
            cx.session.client_address().map_or(Value::Null, |a| Value::Int4(i32::from(a.1)))
        }
        "txid_current" | "pg_current_xact_id" => {
            Value::Int8(cx.txn.borrow_mut().storage().assign_xid().0 as i64)
        }
        "txid_current_if_assigned" | "pg_current_xact_id_if_assigned" => {
            cx.txn.borrow_mut().storage().xid().map_or(Value::Null, |x| Value::Int8(x.0 as i64))
        }
        "txid_current_snapshot" | "pg_current_snapshot" => {
            let snapshot = cx.txn.borrow_mut().snapshot();
            let data = snapshot.data();
            let running = data.running.iter().filter(|x| !snapshot.is_own(**x)).map(|x| x.0).collect();
            let parts = Parts { xmin: data.xmin.0, xmax: data.xmax.0, running };
            Value::Text(parts.text().into())
        }
        "txid_status" | "pg_xact_status" => match args.first() {
            Some(Value::Int8(xid)) => outcome(cx, *xid as u64)?,
            _ => Value::Null,
        },
        // How many transactions began since; of xid the lower 32 bits are known.
        "age" => {
            let now = cx.engine.storage().next_xid().0 as u32;
            let xid = arg_oid(args, 0);
            // The lowest three mean no transaction.
            Value::Int4(if xid < 3 { i32::MAX } else { now.wrapping_sub(xid) as i32 })
        }
        "pg_sleep" => {
            let seconds = match args.first() {
                Some(Value::Float8(s)) => *s,
                _ => 0.0,
            };
            sleep(cx, seconds)?
        }
        "pg_sleep_for" => match args.first() {
            Some(Value::Interval(i)) => {
                let days = i64::from(i.months) * 30 + i64::from(i.days);
                sleep(cx, (days * 86_400) as f64 + i.micros as f64 / 1e6)?
            }
            _ => Value::Null,
        },
        "pg_sleep_until" => match args.first() {
            Some(Value::TimestampTz(t)) => {
                let now = pg_functions::Host::clock_timestamp(cx);
                sleep(cx, t.saturating_sub(now) as f64 / 1e6)?
            }
            _ => Value::Null,
        },
        "intralith_memory_used" => {
            let pool = cx.engine.storage().pool_stats().resident;
            Value::Int8(platform::memory::in_use().saturating_sub(pool) as i64)
        }
        "intralith_test_panic" => {
            if cx.session.setting("intralith.enable_test_functions").as_deref() != Some("on") {
                return Err(SqlError::new(
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    "intralith_test_panic() needs the setting intralith.enable_test_functions",
                ));
            }
            panic!("intralith_test_panic() was called");
        }
        _ => return advisory(cx, function, args),
    }))
}

/// Waits in short steps, so that a cancel request is noticed.
fn sleep(cx: &ExecContext<'_>, seconds: f64) -> Result<Value> {
    let total = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    let start = platform::time::monotonic();
    loop {
        cx.checkpoint()?;
        let spent = platform::time::monotonic() - start;
        let Some(left) = total.checked_sub(spent).filter(|l| !l.is_zero()) else {
            return Ok(Value::text(""));
        };
        platform::task::sleep(left.min(Duration::from_millis(20)));
    }
}

/// Advisory locks, of transactions and of sessions.
fn advisory(cx: &ExecContext<'_>, function: &str, args: &[Value]) -> Result<Option<Value>> {
    let storage = cx.engine.storage();
    if function == "pg_advisory_unlock_all" {
        storage.unlock_session(&mut cx.session.session_locks().lock());
        return Ok(Some(Value::text("")));
    }
    let (function, shared) = match function.strip_suffix("_shared") {
        Some(rest) => (rest, true),
        None => (function, false),
    };
    let mode = if shared { LockMode::Share } else { LockMode::Exclusive };
    // Each database has numbers of its own.
    let class = |kind: u64| u64::from(cx.engine.catalog().database()) << 8 | kind;
    let tag = match args.len() {
        1 => LockTag::Advisory(class(1), arg_int(args, 0) as u64),
        _ => {
            let key = (arg_int(args, 0) as u64) << 32 | (arg_int(args, 1) as u64 & 0xffff_ffff);
            LockTag::Advisory(class(2), key)
        }
    };
    let (tries, of_session) = match function {
        "pg_advisory_xact_lock" => (false, false),
        "pg_try_advisory_xact_lock" => (true, false),
        "pg_advisory_lock" => (false, true),
        "pg_try_advisory_lock" => (true, true),
        "pg_advisory_unlock" => {
            let held = storage.unlock_for_session(&mut cx.session.session_locks().lock(), tag, mode);
            if !held {
                let text = format!("you don't own a lock of type {}", mode.name());
                cx.session.notice("WARNING", SqlError::new(SqlState::WARNING, text));
            }
            return Ok(Some(Value::Bool(held)));
        }
        _ => return Ok(None),
    };
    let mut txn = cx.txn.borrow_mut();
    let got = if of_session {
        let mut locks = cx.session.session_locks().lock();
        storage.lock_for_session(txn.storage(), &mut locks, tag, mode, !tries)
    } else {
        storage.lock(txn.storage(), tag, mode, !tries)
    };
    let got = got.map_err(storage_error)?;
    Ok(Some(if tries { Value::Bool(got) } else { Value::text("") }))
}

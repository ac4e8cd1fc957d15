//! The audit log: rows of `intralith_audit_log`, which nobody can add or change, and only superusers remove.
//!
//! A record has a transaction of its own, so that it stays when what it tells of is rolled back, and is on the device when
//! [`Engine::audit`] returns.

use alloc::{string::ToString, vec::Vec};
use core::{
    net::IpAddr,
    sync::atomic::{AtomicI64, Ordering::Relaxed},
};

use pg_catalog::builtin::INTRALITH_AUDIT_LOG;
use pg_storage::Isolation;
use pg_types::{Result, SqlType, Value, format::FormatSettings, io, oid};

use crate::{Engine, Txn};

/// A row takes so many bytes of a statement at most; longer ones go on in rows with the same number.
const PART: usize = 2000;
/// So many parts of a statement are kept.
const MAX_PARTS: usize = 512;
/// Microseconds from 1970 to 2000.
const EPOCH: i64 = 946_684_800_000_000;

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct AuditRecord<'a> {
    /// Number of the session.
    pub pid: i32,
    /// Who logged in.
    pub login: &'a str,
    /// Whose rights are used.
    pub role: &'a str,
    /// Where.
    pub database: &'a str,
    /// From where.
    pub address: Option<IpAddr>,
    /// What the client calls itself.
    pub application: &'a str,
    /// READ, WRITE, FUNCTION, ROLE, DDL, MISC or MISC_SET.
    pub class: &'static str,
    /// The command's tag.
    pub command: &'a str,
    /// Its text.
    pub statement: &'a str,
    /// Its parameters, if they are to be kept.
    pub parameters: Option<&'a str>,
}

/// The last number given out; 0: none yet.
#[derive(Debug, Default)]
pub struct AuditNumbers(AtomicI64);

impl AuditNumbers {
    /// Numbers grow with time, also from one start of the server to the next: they are microseconds, and one more than the
    /// last if two records come at once.
    fn next(&self, now: i64) -> i64 {
        let next = |last: i64| Some(now.max(last.saturating_add(1)));
        self.0.fetch_update(Relaxed, Relaxed, next).map_or(now, |last| now.max(last.saturating_add(1)))
    }
}

/// Cuts a text into parts of at most [`PART`] bytes; a text without bytes is one part.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while parts.len() < MAX_PARTS {
        let cut = rest.floor_char_boundary(PART);
        let (part, after) = rest.split_at(cut);
        parts.push(part);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    parts
}

impl Engine {
    /// Writes a record. When it returns the record is durable.
    ///
    /// # Errors
    /// Whatever keeps it from being written: then what it tells of must not happen.
    pub fn audit(&self, numbers: &AuditNumbers, record: &AuditRecord<'_>) -> Result<()> {
        let table = self.catalog().table(INTRALITH_AUDIT_LOG)?;
        let now = platform::time::wall_clock_micros() - EPOCH;
        let number = numbers.next(now);
        let address = match record.address {
            None => Value::Null,
            Some(a) => io::input(SqlType::new(oid::INET), &a.to_string(), &FormatSettings::default())?,
        };
        let mut txn: Txn = self.begin(Isolation::ReadCommitted, false, now);
        let statement = parts(record.statement);
        let parameters = record.parameters.map(parts).unwrap_or_default();
        for n in 0..statement.len().max(parameters.len()) {
            let mut row = table.row();
            row.put("number", Value::Int8(number));
            row.put("part", Value::Int4(i32::try_from(n + 1).unwrap_or(i32::MAX)));
            row.put("logged_at", Value::TimestampTz(now));
            row.put("pid", Value::Int4(record.pid));
            row.put("login_role", Value::text(record.login));
            row.put("acting_role", Value::text(record.role));
            row.put("database", Value::text(record.database));
            row.put("client_addr", address.clone());
            row.put("application_name", Value::text(record.application));
            row.put("class", Value::text(record.class));
            row.put("command", Value::text(record.command));
            row.put("statement", statement.get(n).map_or(Value::Null, |s| Value::text(s)));
            row.put("parameters", parameters.get(n).map_or(Value::Null, |s| Value::text(s)));
            table.insert(self.storage(), txn.storage(), &row)?;
        }
        self.commit(txn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow() {
        let numbers = AuditNumbers::default();
        let given = [numbers.next(10), numbers.next(10), numbers.next(5), numbers.next(20)];
        assert_eq!(given, [10, 11, 12, 20]);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(parts(""), [""]);
        let text = "ü".repeat(PART);
        let cut = parts(&text);
        assert_eq!((cut.len(), cut.concat()), (2, text));
        assert_eq!(parts(&"x".repeat(PART * (MAX_PARTS + 9))).len(), MAX_PARTS);
    }
}

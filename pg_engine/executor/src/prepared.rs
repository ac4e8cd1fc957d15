//! Two-phase commit as SQL has it.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::{Txn, builtin::FIRST_DATABASE, storage_error};
use pg_storage::StorageError;
use pg_types::{Oid, Result, SqlError, SqlState};

use crate::engine::Engine;

/// Longest name of a prepared transaction in bytes.
const MAX_NAME: usize = 199;

/// A row of `pg_prepared_xacts`.
pub(crate) struct PreparedRow {
    pub xid: u64,
    pub name: String,
    pub prepared: i64,
    pub owner: Oid,
    pub database: Oid,
}

/// What is noted with a prepared transaction.
#[derive(Debug, PartialEq, Eq)]
struct Note {
    owner: Oid,
    /// Since when it is prepared.
    at: i64,
    /// It changed catalogs.
    catalogs: bool,
    /// Where it ran.
    database: Oid,
}

fn note(owner: Oid, at: i64, catalogs: bool, database: Oid) -> Vec<u8> {
    let mut out = owner.to_le_bytes().to_vec();
    out.extend_from_slice(&at.to_le_bytes());
    out.push(u8::from(catalogs));
    out.extend_from_slice(&database.to_le_bytes());
    out
}

fn read_note(info: &[u8]) -> Note {
    let oid = |at: usize| info.get(at..).and_then(|b| b.first_chunk()).map(|b| Oid::from_le_bytes(*b));
    let at = info.get(4..).and_then(|b| b.first_chunk()).map_or(0, |b| i64::from_le_bytes(*b));
    Note {
        owner: oid(0).unwrap_or(0),
        at,
        catalogs: info.get(12) == Some(&1),
        database: oid(13).unwrap_or(FIRST_DATABASE),
    }
}

fn failed(e: StorageError, name: &str) -> SqlError {
    let state = |code: &[u8; 5], text: String| SqlError::new(SqlState(*code), text);
    match e {
        StorageError::PreparedExists => {
            state(b"42710", format!("transaction identifier \"{name}\" is already in use"))
        }
        StorageError::PreparedBusy => {
            state(b"55000", format!("prepared transaction with identifier \"{name}\" is busy"))
        }
        StorageError::NotAllowed => {
            state(b"42501", String::from("permission denied to finish prepared transaction"))
                .hint("Must be superuser or the user that prepared the transaction.")
        }
        e => storage_error(e),
    }
}

impl Engine {
    /// PREPARE TRANSACTION. On an error the transaction is rolled back.
    pub fn prepare(&self, txn: Txn, name: &str, owner: Oid, now: i64) -> Result<()> {
        if name.len() > MAX_NAME {
            return Err(SqlError::new(
                SqlState(*b"22023"),
                format!("transaction identifier \"{name}\" is too long"),
            ));
        }
        let info = note(owner, now, txn.changed_catalogs(), self.catalog().database());
        self.storage().prepare(txn.into_storage(), name, &info).map_err(|e| failed(e, name))
    }

    /// COMMIT PREPARED and ROLLBACK PREPARED.
    pub fn finish_prepared(&self, name: &str, commit: bool, user: Oid, superuser: bool) -> Result<()> {
        let mut catalogs = false;
        let finish = || {
            self.storage().finish_prepared(name, commit, |info| superuser || read_note(info).owner == user)
        };
        for p in self.storage().prepared().iter().filter(|p| p.name == name) {
            let note = read_note(&p.info);
            if note.database != self.catalog().database() && (superuser || note.owner == user) {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "prepared transaction belongs to another database",
                )
                .hint("Connect to the database where the transaction was prepared to finish it."));
            }
            catalogs = note.catalogs;
        }
        let done = if catalogs && commit { self.catalog().while_changing(finish) } else { finish() };
        match done {
            Ok(true) => Ok(()),
            Ok(false) => Err(SqlError::new(
                SqlState(*b"42704"),
                format!("prepared transaction with identifier \"{name}\" does not exist"),
            )),
            Err(e) => Err(failed(e, name)),
        }
    }

    pub(crate) fn prepared_rows(&self) -> Vec<PreparedRow> {
        let row = |p: pg_storage::PreparedInfo| {
            let note = read_note(&p.info);
            PreparedRow {
                xid: p.xid.0,
                name: p.name,
                prepared: note.at,
                owner: note.owner,
                database: note.database,
            }
        };
        self.storage().prepared().into_iter().map(row).collect()
    }
}

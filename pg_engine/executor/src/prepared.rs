//! Two-phase commit as SQL has it.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::{Txn, storage_error};
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
}

/// What is noted with a prepared transaction: whose it is, since when, and whether it changed catalogs.
fn note(owner: Oid, at: i64, catalogs: bool) -> Vec<u8> {
    let mut out = owner.to_le_bytes().to_vec();
    out.extend_from_slice(&at.to_le_bytes());
    out.push(u8::from(catalogs));
    out
}

fn read_note(info: &[u8]) -> (Oid, i64, bool) {
    let owner = info.first_chunk().map_or(0, |b| Oid::from_le_bytes(*b));
    let at = info.get(4..).and_then(|b| b.first_chunk()).map_or(0, |b| i64::from_le_bytes(*b));
    (owner, at, info.get(12) == Some(&1))
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
        let info = note(owner, now, txn.changed_catalogs());
        self.storage().prepare(txn.into_storage(), name, &info).map_err(|e| failed(e, name))
    }

    /// COMMIT PREPARED and ROLLBACK PREPARED.
    pub fn finish_prepared(&self, name: &str, commit: bool, user: Oid, superuser: bool) -> Result<()> {
        let mut catalogs = false;
        let finish =
            || self.storage().finish_prepared(name, commit, |info| superuser || read_note(info).0 == user);
        for p in self.storage().prepared().iter().filter(|p| p.name == name) {
            catalogs = read_note(&p.info).2;
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
            let (owner, prepared, _) = read_note(&p.info);
            PreparedRow { xid: p.xid.0, name: p.name, prepared, owner }
        };
        self.storage().prepared().into_iter().map(row).collect()
    }
}

//! The engine as sessions see it.

use alloc::{string::String, sync::Arc};

use pg_catalog::{CatalogReader, Txn};
use pg_plan::statement::{Planned, Utility};
use pg_storage::{Isolation, Storage};
use pg_types::{Oid, Result, SqlError};

use crate::{context::ExecContext, session::Session};

/// What a new database starts with.
#[derive(Clone, Debug)]
pub struct Initial {
    /// Name of the first role, a superuser (`intralith`).
    pub user: String,
    /// Its SCRAM verifier as stored in `pg_authid.rolpassword`; `None`: no password.
    pub verifier: Option<String>,
    /// Name of the first database.
    pub database: String,
}

/// A role, for authentication.
#[derive(Clone, Debug)]
pub struct Role {
    /// `pg_authid.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// SUPERUSER.
    pub superuser: bool,
    /// LOGIN.
    pub login: bool,
    /// CONNECTION LIMIT; −1: none.
    pub connection_limit: i32,
    /// SCRAM verifier.
    pub verifier: Option<String>,
    /// VALID UNTIL, microseconds since 2000-01-01 UTC.
    pub valid_until: Option<i64>,
}

/// What a utility statement came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Command tag (`CREATE TABLE`, `SELECT 5`).
    pub tag: String,
}

/// The engine: storage, catalogs, executor.
pub struct Engine {
    storage: Arc<Storage>,
}

impl Engine {
    /// Fills a freshly formatted volume with the catalogs. Everything is in one transaction: either done or not.
    pub fn bootstrap(_storage: &Arc<Storage>, _initial: &Initial) -> Result<()> {
        Err(SqlError::unsupported("bootstrap"))
    }
    /// True when [`Self::bootstrap`] has run on this volume.
    pub fn is_bootstrapped(_storage: &Arc<Storage>) -> Result<bool> {
        Ok(false)
    }
    /// Starts the engine on a bootstrapped volume. Builtin catalog rows made by another release are brought up to date.
    pub fn open(storage: Arc<Storage>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { storage }))
    }
    /// The storage.
    pub fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }
    /// Version of the committed catalogs. One atomic load. A plan may run only if it was made under this version and the
    /// transaction has not changed catalogs itself (then: [`Txn::private_version`] too). Never equal to an earlier value
    /// while a change is being committed.
    pub fn catalog_version(&self) -> u64 {
        0
    }
    /// Starts a transaction. `now`: microseconds since 2000-01-01 UTC.
    pub fn begin(&self, isolation: Isolation, read_only: bool, now: i64) -> Txn {
        Txn::begin(&self.storage, isolation, read_only, now)
    }
    /// COMMIT.
    pub fn commit(&self, _txn: Txn) -> Result<()> {
        Err(SqlError::unsupported("commit"))
    }
    /// ROLLBACK.
    pub fn rollback(&self, txn: Txn) {
        txn.into_storage().abort();
    }
    /// A role by name, as committed.
    pub fn role(&self, _name: &str) -> Result<Option<Role>> {
        Ok(None)
    }
    /// Oid of a database by name, as committed.
    pub fn database(&self, _name: &str) -> Result<Option<Oid>> {
        Ok(None)
    }
    /// The catalogs as the transaction sees them now, for binding and planning a statement.
    pub fn reader<'a>(
        &'a self,
        _txn: &mut Txn,
        _session: &'a dyn Session,
    ) -> Result<alloc::boxed::Box<dyn CatalogReader + 'a>> {
        Err(SqlError::unsupported("catalog reader"))
    }
    /// Locks the relations a plan uses, until the end of the transaction. False: the catalogs changed while waiting
    /// (or since `version`): plan again.
    pub fn lock_plan(&self, _txn: &mut Txn, _planned: &Planned, _version: u64) -> Result<bool> {
        Ok(true)
    }
    /// Runs a statement that is not planned, transaction control, settings, cursors, prepared statements and COPY
    /// excepted: those are the session's (COPY through [`crate::copy`]).
    pub fn utility(&self, _statement: &Utility, _cx: &ExecContext<'_>) -> Result<Outcome> {
        Err(SqlError::unsupported("utility"))
    }
}

//! A transaction as the SQL engine sees it: the storage's, and what it did to the catalogs.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_storage::{
    DeadlockEdge, Isolation, RelId, Savepoint, Snapshot, Storage, StorageError, Transaction, WaitsFor,
};
use pg_types::{Oid, Result, SqlError, SqlState, Value};
use platform::block::BlockError;

/// The name that PostgreSQL would give a relation's file in its messages.
fn file(rel: RelId) -> String {
    format!("base/{DATABASE}/{}", rel.0)
}

/// What the operating system would have said.
fn reason(e: BlockError) -> &'static str {
    match e {
        BlockError::InvalidRequest => "Invalid argument",
        BlockError::Media => "Input/output error",
        BlockError::Timeout => "Connection timed out",
        BlockError::Gone => "No such device",
        BlockError::NoSpace => "No space left on device",
    }
}

/// What clients read: for faults of the disk, what PostgreSQL would say.
fn message(e: &StorageError) -> String {
    match e {
        StorageError::DiskFull(rel) => {
            format!("could not extend file \"{}\": No space left on device", file(*rel))
        }
        StorageError::Io(BlockError::NoSpace) => {
            String::from("could not write to the volume: No space left on device")
        }
        StorageError::Read { rel, block, error } => {
            format!("could not read block {block} in file \"{}\": {}", file(*rel), reason(*error))
        }
        StorageError::Corrupt { rel, block, .. } => {
            format!("invalid page in block {block} of relation {}", file(*rel))
        }
        _ => e.to_string(),
    }
}

/// A storage error as clients see it.
pub fn storage_error(e: StorageError) -> SqlError {
    let state = e.sqlstate();
    let code: [u8; 5] = state.as_bytes().try_into().unwrap_or(*b"XX000");
    let error = SqlError::new(SqlState(code), message(&e));
    match e {
        StorageError::Deadlock(edges) => {
            let lines: Vec<String> = edges.iter().map(deadlock_line).collect();
            error.detail(lines.join("\n")).hint("See server log for query details.")
        }
        StorageError::ReadWriteDependency(d) => {
            error.detail(format!("Reason code: {d}")).hint("The transaction might succeed if retried.")
        }
        StorageError::DiskFull(_) | StorageError::Io(BlockError::NoSpace) => error.hint("Check free disk space."),
        StorageError::LogFull(why) => error.detail(why).hint(
            "Reading works. Writing will go on by itself once the log can be freed; the server log says more.",
        ),
        StorageError::Corrupt { what, .. } => error.detail(format!("The page fails a check: {what}.")),
        _ => error,
    }
}

/// The database's number in reports.
const DATABASE: u32 = crate::builtin::FIRST_DATABASE;

fn deadlock_line(e: &DeadlockEdge) -> String {
    let what = match e.waits_for {
        WaitsFor::Transaction(xid) => format!("ShareLock on transaction {}", xid.0),
        WaitsFor::Row { rel, tid } => {
            format!("ExclusiveLock on tuple {tid} of relation {} of database {DATABASE}", rel.0)
        }
        WaitsFor::Object { mode, database, oid } => {
            format!("{mode} on relation {oid} of database {database}")
        }
        WaitsFor::Advisory { mode, class, key } => {
            let (database, kind) = (class >> 8, class & 0xff);
            format!("{mode} on advisory lock [{database},{},{},{kind}]", key >> 32, key & 0xffff_ffff)
        }
    };
    format!("Process {} waits for {what}; blocked by process {}.", e.process, e.blocked_by)
}

/// A foreign key's or unique key's check that was put off to the end of the transaction.
#[derive(Clone, Debug)]
pub struct DeferredCheck {
    /// The constraint.
    pub constraint: Oid,
    /// The referencing table.
    pub table: Oid,
    /// The key, in terms of the referencing (`removed`: the referenced) columns.
    pub key: Vec<Value>,
    /// The referenced row went; otherwise a referencing row came.
    pub removed: bool,
    /// Of a unique key (`key` is empty then): the row's index key and place.
    pub row: Option<(Vec<u8>, pg_storage::Tid)>,
}

/// A large object that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeDescriptor {
    /// Which.
    pub object: Oid,
    /// Where the next byte is read or written.
    pub position: i64,
    /// It may be read.
    pub reads: bool,
    /// It may be written.
    pub writes: bool,
}

/// What SET CONSTRAINTS said.
#[derive(Clone, Debug, Default)]
struct ConstraintModes {
    all: Option<bool>,
    named: Vec<(Oid, bool)>,
}

/// A transaction. Dropping it rolls back.
pub struct Txn {
    deferred_checks: Vec<DeferredCheck>,
    constraint_modes: ConstraintModes,
    inner: Transaction,
    isolation: Isolation,
    read_only: bool,
    /// SERIALIZABLE READ ONLY: rather waits than risks to fail.
    deferrable: bool,
    /// Start, microseconds since 2000-01-01 UTC.
    started: i64,
    /// The transaction changed catalogs: it reads them through its own snapshot.
    changed_catalogs: bool,
    /// Raised by every command that changes catalogs, so that private caches notice.
    private_version: u64,
    savepoints: Vec<Level>,
    /// The extension whose script runs: what is made belongs to it.
    extension: Option<Oid>,
    large_descriptors: Vec<Option<LargeDescriptor>>,
}

/// A savepoint, and the state of constraints that ROLLBACK TO returns to.
struct Level {
    descriptors: Vec<Option<LargeDescriptor>>,
    point: Savepoint,
    modes: ConstraintModes,
    checks: Vec<DeferredCheck>,
}

impl Txn {
    /// Starts one.
    pub fn begin(
        storage: &alloc::sync::Arc<Storage>,
        isolation: Isolation,
        read_only: bool,
        now: i64,
    ) -> Self {
        let mut inner = storage.begin(isolation);
        inner.set_read_only(read_only);
        Self {
            deferred_checks: Vec::new(),
            constraint_modes: ConstraintModes::default(),
            inner,
            isolation,
            read_only,
            deferrable: false,
            started: now,
            changed_catalogs: false,
            private_version: 0,
            savepoints: Vec::new(),
            extension: None,
            large_descriptors: Vec::new(),
        }
    }
    /// The storage's transaction.
    pub fn storage(&mut self) -> &mut Transaction {
        &mut self.inner
    }
    /// Unwraps it.
    pub fn into_storage(self) -> Transaction {
        self.inner
    }
    /// A statement's snapshot.
    pub fn snapshot(&mut self) -> Snapshot {
        self.inner.snapshot()
    }
    /// A snapshot of this moment, whatever the isolation level.
    pub fn latest_snapshot(&mut self) -> Snapshot {
        self.inner.latest_snapshot()
    }
    /// Isolation level.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }
    /// `SET TRANSACTION READ ONLY`.
    pub fn read_only(&self) -> bool {
        self.read_only
    }
    /// `SET TRANSACTION READ ONLY` / `READ WRITE`.
    pub fn set_read_only(&mut self, on: bool) {
        self.read_only = on;
        self.inner.set_read_only(on);
    }
    /// `SET TRANSACTION DEFERRABLE`.
    pub fn deferrable(&self) -> bool {
        self.deferrable
    }
    /// `SET TRANSACTION [NOT] DEFERRABLE`.
    pub fn set_deferrable(&mut self, on: bool) {
        self.deferrable = on;
    }
    /// Before a statement's snapshot is taken: waits if the transaction is deferrable.
    #[inline]
    pub fn prepare_snapshot(&mut self) -> Result<()> {
        if self.deferrable { self.inner.take_safe_snapshot().map_err(storage_error) } else { Ok(()) }
    }
    /// `now()`.
    pub fn started(&self) -> i64 {
        self.started
    }
    /// Did it change catalogs?
    pub fn changed_catalogs(&self) -> bool {
        self.changed_catalogs
    }
    /// Notes a change of catalogs and makes it visible to later reads of this transaction.
    pub fn catalogs_changed(&mut self) {
        self.changed_catalogs = true;
        self.private_version += 1;
        self.inner.next_command();
    }
    /// Counts this transaction's own catalog changes.
    pub fn private_version(&self) -> u64 {
        self.private_version
    }
    /// Puts a foreign key's check off.
    pub fn defer(&mut self, check: DeferredCheck) {
        self.deferred_checks.push(check);
    }
    /// Are there checks put off?
    pub fn has_deferred(&self) -> bool {
        !self.deferred_checks.is_empty()
    }
    /// The checks put off; they are the caller's to make.
    pub fn take_deferred(&mut self) -> Vec<DeferredCheck> {
        core::mem::take(&mut self.deferred_checks)
    }
    /// SET CONSTRAINTS; `None`: ALL.
    pub fn set_constraints(&mut self, constraint: Option<Oid>, deferred: bool) {
        let modes = &mut self.constraint_modes;
        match constraint {
            None => *modes = ConstraintModes { all: Some(deferred), named: Vec::new() },
            Some(oid) => {
                modes.named.retain(|n| n.0 != oid);
                modes.named.push((oid, deferred));
            }
        }
    }
    /// Is a foreign key checked at the end of the transaction?
    pub fn is_deferred(&self, constraint: Oid, deferrable: bool, initially: bool) -> bool {
        let modes = &self.constraint_modes;
        let named = modes.named.iter().find(|n| n.0 == constraint).map(|n| n.1);
        deferrable && named.or(modes.all).unwrap_or(initially)
    }
    /// Refuses a change in a read-only transaction.
    pub fn check_writable(&self, command: &str) -> Result<()> {
        if self.read_only {
            return Err(SqlError::new(
                SqlState::READ_ONLY_SQL_TRANSACTION,
                alloc::format!("cannot execute {command} in a read-only transaction"),
            ));
        }
        Ok(())
    }
    /// The extension (`pg_extension.oid`) that what is made now belongs to.
    pub fn extension(&self) -> Option<Oid> {
        self.extension
    }
    /// A script of an extension begins or ends.
    pub fn set_extension(&mut self, extension: Option<Oid>) {
        self.extension = extension;
    }
    /// Large objects that are open, by descriptor.
    pub fn large_descriptors(&mut self) -> &mut Vec<Option<LargeDescriptor>> {
        &mut self.large_descriptors
    }
    /// SAVEPOINT: returns the level's handle, numbered from 0.
    pub fn savepoint(&mut self) -> usize {
        let point = self.inner.begin_sub();
        let (modes, checks) = (self.constraint_modes.clone(), self.deferred_checks.clone());
        let descriptors = self.large_descriptors.clone();
        self.savepoints.push(Level { descriptors, point, modes, checks });
        self.savepoints.len() - 1
    }
    /// RELEASE SAVEPOINT of a handle and those after it.
    pub fn release(&mut self, level: usize) -> Result<()> {
        let Some(s) = self.savepoints.get(level) else {
            return Err(SqlError::internal("no such savepoint level"));
        };
        self.inner.release_sub(s.point).map_err(storage_error)?;
        self.savepoints.truncate(level);
        Ok(())
    }
    /// ROLLBACK TO SAVEPOINT: the level itself stays.
    pub fn rollback_to(&mut self, level: usize) -> Result<()> {
        let Some(s) = self.savepoints.get(level) else {
            return Err(SqlError::internal("no such savepoint level"));
        };
        self.constraint_modes.clone_from(&s.modes);
        // Checks that were made since, and whose effects are undone, are due again.
        self.deferred_checks.clone_from(&s.checks);
        // What was opened since is closed; what was open before stays where it is.
        for (n, open) in self.large_descriptors.iter_mut().enumerate() {
            if s.descriptors.get(n).is_none_or(Option::is_none) {
                *open = None;
            }
        }
        self.inner.rollback_to(s.point).map_err(storage_error)?;
        self.savepoints.truncate(level + 1);
        self.private_version += 1;
        Ok(())
    }
}

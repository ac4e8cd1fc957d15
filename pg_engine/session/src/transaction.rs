//! Transaction blocks: BEGIN to COMMIT, the implicit ones around statements, savepoints, the failed state.

use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

use pg_executor::{ExecContext, Txn};
use pg_plan::statement::{Isolation as Level, Modes, Transaction};
use pg_types::{Result, SqlError, SqlState};
use pg_wire::{Severity, Status};

use crate::{
    env::{self, ShownModes},
    registry::Handle,
    session::Session,
};

/// Where the session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Block {
    /// No transaction block.
    #[default]
    None,
    /// Inside BEGIN ... COMMIT.
    Open,
    /// Inside a block whose transaction failed.
    Failed,
}

/// A savepoint.
struct Savepoint {
    name: String,
    level: usize,
    settings: usize,
    messages: (usize, usize),
    /// Was the transaction read-only when it was set? What follows may make it so until the savepoint's end.
    read_only: bool,
}

/// The session's transaction.
#[derive(Default)]
pub struct Tx {
    /// The running transaction, of a block or implicit.
    pub txn: Option<Txn>,
    /// Counts transactions of this session.
    pub serial: u64,
    block: Block,
    savepoints: Vec<Savepoint>,
    /// A query has run in this transaction: its isolation level is settled.
    pub used: bool,
    /// The level that was asked for.
    pub level: Option<Level>,
    /// Statements that follow in the same message join the implicit transaction.
    pub pipeline: bool,
    /// Isolation, READ ONLY and DEFERRABLE of a transaction that failed and is gone: AND CHAIN takes them over.
    failed: Option<(pg_storage::Isolation, bool, bool)>,
    /// Its modes came from the one before by AND CHAIN: as in PostgreSQL they outlive a failure, where others do not.
    chained: bool,
}

impl Tx {
    /// How many savepoints are set.
    #[inline]
    pub fn savepoint_count(&self) -> u32 {
        u32::try_from(self.savepoints.len()).unwrap_or(u32::MAX)
    }
    /// In a failed block.
    pub fn is_failed(&self) -> bool {
        self.block == Block::Failed
    }
    /// In a block, failed or not.
    pub fn in_block(&self) -> bool {
        self.block != Block::None
    }
    /// For ReadyForQuery.
    pub fn status(&self) -> Status {
        match self.block {
            Block::None => Status::Idle,
            Block::Open => Status::InTransaction,
            Block::Failed => Status::Failed,
        }
    }
}

fn storage_level(level: Level) -> pg_storage::Isolation {
    match level {
        Level::ReadUncommitted | Level::ReadCommitted => pg_storage::Isolation::ReadCommitted,
        Level::RepeatableRead => pg_storage::Isolation::RepeatableRead,
        Level::Serializable => pg_storage::Isolation::Serializable,
    }
}

/// A level by its name in settings.
pub fn level_by_name(name: &str) -> Level {
    match name {
        "serializable" => Level::Serializable,
        "repeatable read" => Level::RepeatableRead,
        "read uncommitted" => Level::ReadUncommitted,
        _ => Level::ReadCommitted,
    }
}

/// Its name in settings.
pub fn level_name(level: Level) -> &'static str {
    match level {
        Level::Serializable => "serializable",
        Level::RepeatableRead => "repeatable read",
        Level::ReadUncommitted => "read uncommitted",
        Level::ReadCommitted => "read committed",
    }
}

fn only_in_block(command: &str) -> SqlError {
    SqlError::new(
        SqlState::NO_ACTIVE_SQL_TRANSACTION,
        format!("{command} can only be used in transaction blocks"),
    )
}

fn no_savepoint(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_SAVEPOINT_SPECIFICATION, format!("savepoint \"{name}\" does not exist"))
}

impl Session {
    /// Starts the transaction that a statement outside a block runs in, unless one is running.
    #[inline]
    pub fn begin_implicit(&mut self) {
        if self.tx.txn.is_none() && !self.tx.is_failed() {
            self.start_transaction(Modes::default());
        }
    }

    #[inline]
    fn start_transaction(&mut self, modes: Modes) {
        let derived = self.env.derived();
        let level = modes.isolation.unwrap_or_else(|| level_by_name(&derived.default_isolation));
        let read_only = modes.read_only.unwrap_or(derived.default_read_only);
        let deferrable = modes.deferrable.unwrap_or(derived.default_deferrable);
        self.start_with(storage_level(level), read_only, deferrable);
        self.tx.chained = false;
        self.tx.level = Some(level);
        self.show_modes();
    }

    /// Makes the transaction's modes known to whoever asks for them as settings.
    #[inline]
    fn show_modes(&mut self) {
        if let Some(txn) = &self.tx.txn {
            let isolation = self.tx.level.map_or("read committed", level_name);
            let (read_only, deferrable) = (txn.read_only(), txn.deferrable());
            self.env.set_modes(ShownModes { isolation, read_only, deferrable });
        }
    }

    #[inline]
    fn start_with(&mut self, isolation: pg_storage::Isolation, read_only: bool, deferrable: bool) {
        let started = env::now();
        self.env.begin_transaction(started);
        let mut txn = self.engine.begin(isolation, read_only, started);
        txn.set_deferrable(deferrable);
        let derived = self.env.derived();
        let storage = txn.storage();
        storage.set_cancel_flag(self.env.interrupts().flag().clone());
        storage.set_process(self.env.handle().pid as i32);
        if derived.lock_timeout > 0 {
            storage.set_lock_timeout(Some(Duration::from_millis(derived.lock_timeout)));
        }
        self.tx.serial += 1;
        self.tx.used = false;
        self.tx.txn = Some(txn);
    }

    /// A statement outside a block ended well, and nothing more belongs to its transaction.
    pub fn commit_implicit(&mut self) -> Result<()> {
        if self.tx.in_block() { Ok(()) } else { self.commit() }
    }

    /// Makes the checks that deferred constraints put off; a failed one rolls back.
    fn check_deferred(&mut self) -> Result<()> {
        let Some(txn) = self.tx.txn.as_mut().filter(|t| t.has_deferred()) else { return Ok(()) };
        let engine = self.engine.clone();
        let checked = engine.check_deferred(&ExecContext::new(&engine, &self.env, txn, &[]));
        if checked.is_err() {
            self.rollback();
        }
        checked
    }

    fn commit(&mut self) -> Result<()> {
        self.check_deferred()?;
        if let Err(e) = self.check_messages() {
            self.rollback();
            return Err(e);
        }
        self.change_temporary()?;
        self.tx.block = Block::None;
        self.tx.savepoints.clear();
        self.close_transaction_portals();
        let Some(mut txn) = self.tx.txn.take() else {
            self.env.settings_mut().commit();
            self.deliver();
            return Ok(());
        };
        // What counts is what is set now, by SET LOCAL perhaps.
        txn.storage().set_async_commit(self.env.derived().async_commit);
        match self.engine.commit(txn) {
            Ok(()) => {
                Handle::count(&self.env.handle().committed);
                self.env.settings_mut().commit();
                self.deliver();
                Ok(())
            }
            Err(e) => {
                self.env.settings_mut().abort();
                self.env.messages().undo_to((0, 0));
                self.env.release_claims();
                Err(e)
            }
        }
    }

    fn check_messages(&self) -> Result<()> {
        let messages = self.env.messages();
        if messages.is_empty() { Ok(()) } else { messages.check(self.env.channels()) }
    }

    /// LISTEN and NOTIFY of a transaction that has committed.
    fn deliver(&self) {
        let mut messages = self.env.messages();
        if !messages.is_empty() {
            messages.commit(self.env.channels(), self.env.handle());
        }
        self.env.release_claims();
    }

    /// ON COMMIT of temporary tables.
    fn change_temporary(&mut self) -> Result<()> {
        let memory = pg_executor::Session::temporary(&self.env);
        memory.take_used();
        if !memory.acts_on_commit() {
            return Ok(());
        }
        let Some(txn) = self.tx.txn.as_mut() else { return Ok(()) };
        let engine = self.engine.clone();
        let done = engine.before_commit(&ExecContext::new(&engine, &self.env, txn, &[]));
        if done.is_err() {
            self.rollback();
        }
        done
    }

    /// Drops the session's temporary relations; there is no transaction, or an implicit one.
    pub(crate) fn drop_temporary(&mut self) -> Result<()> {
        if pg_executor::Session::temporary(&self.env).number() == 0 {
            return Ok(());
        }
        self.begin_implicit();
        let Some(txn) = self.tx.txn.as_mut() else { return Ok(()) };
        let engine = self.engine.clone();
        engine.drop_temporary(&ExecContext::new(&engine, &self.env, txn, &[]))
    }

    /// Undoes the transaction and leaves the block.
    pub fn rollback(&mut self) {
        self.tx.block = Block::None;
        self.tx.savepoints.clear();
        self.portals.undo(None);
        self.env.settings_mut().abort();
        self.env.messages().undo_to((0, 0));
        if let Some(txn) = self.tx.txn.take() {
            Handle::count(&self.env.handle().rolled_back);
            self.engine.rollback(txn);
        }
        self.env.release_claims();
    }

    /// A statement failed: a block waits for its end, anything else is over.
    pub fn fail_transaction(&mut self) {
        if !self.tx.in_block() {
            self.rollback();
            return;
        }
        self.tx.block = Block::Failed;
        self.portals.undo(Some(self.tx.savepoints.len()));
        // What was done since the last savepoint is lost whatever follows: its locks go now.
        if let (Some(point), Some(txn)) = (self.tx.savepoints.last(), &mut self.tx.txn)
            && let Err(e) = txn.rollback_to(point.level)
        {
            log::error!("a savepoint could not be rolled back to: {e}");
        }
        // Without a savepoint to return to, nothing of it can be saved: its locks go now.
        if self.tx.savepoints.is_empty() {
            self.env.settings_mut().abort();
            if let Some(txn) = self.tx.txn.take() {
                let modes = (txn.isolation(), txn.read_only(), txn.deferrable());
                self.tx.failed = Some(modes).filter(|_| self.tx.chained);
                Handle::count(&self.env.handle().rolled_back);
                self.engine.rollback(txn);
            }
        }
    }

    fn warn_no_transaction(&self) {
        self.env.warn(
            Severity::Warning,
            SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress"),
        );
    }

    /// Runs a transaction statement; gives the tag.
    pub fn transaction_statement(&mut self, statement: &Transaction) -> Result<&'static str> {
        match statement {
            Transaction::Begin(modes, tag) => {
                self.begin_block(*modes)?;
                Ok(tag)
            }
            Transaction::Commit { chain } => self.end_block(true, *chain),
            Transaction::Rollback { chain } => self.end_block(false, *chain),
            Transaction::Savepoint(name) => {
                self.savepoint(name)?;
                Ok("SAVEPOINT")
            }
            Transaction::Release(name) => {
                self.release(name)?;
                Ok("RELEASE")
            }
            Transaction::Prepare(name) => self.prepare_transaction(name),
            Transaction::CommitPrepared(name) => {
                self.finish_prepared("COMMIT PREPARED", name, true)?;
                Ok("COMMIT PREPARED")
            }
            Transaction::RollbackPrepared(name) => {
                self.finish_prepared("ROLLBACK PREPARED", name, false)?;
                Ok("ROLLBACK PREPARED")
            }
            Transaction::RollbackTo(name) => {
                self.rollback_to(name)?;
                Ok("ROLLBACK")
            }
        }
    }

    fn begin_block(&mut self, modes: Modes) -> Result<()> {
        match self.tx.block {
            Block::None => {
                let plain = modes == Modes::default();
                if self.tx.txn.is_some() && !plain && !self.tx.used && !self.tx.pipeline {
                    // Started for parsing only, and of another kind.
                    self.commit()?;
                }
                if self.tx.txn.is_none() {
                    self.start_transaction(modes);
                } else if !plain {
                    self.set_transaction(modes)?;
                }
                self.tx.block = Block::Open;
                Ok(())
            }
            _ => {
                self.env.warn(
                    Severity::Warning,
                    SqlError::new(
                        SqlState::ACTIVE_SQL_TRANSACTION,
                        "there is already a transaction in progress",
                    ),
                );
                self.set_transaction(modes)
            }
        }
    }

    fn end_block(&mut self, commit: bool, chain: bool) -> Result<&'static str> {
        let tag = if commit { "COMMIT" } else { "ROLLBACK" };
        let was = self.tx.block;
        if was == Block::None {
            if chain {
                return Err(only_in_block(&format!("{tag} AND CHAIN")));
            }
            self.warn_no_transaction();
            if commit {
                self.commit()?;
            } else {
                self.rollback();
            }
            return Ok(tag);
        }
        let failed = self.tx.failed.take();
        let running = self.tx.txn.as_ref().map(|t| (t.isolation(), t.read_only(), t.deferrable()));
        let kept = running.or(failed);
        if commit && was == Block::Open {
            self.commit()?;
        } else {
            self.rollback();
        }
        if chain {
            match kept {
                Some((isolation, read_only, deferrable)) => {
                    self.start_with(isolation, read_only, deferrable);
                    self.tx.chained = true;
                    self.show_modes();
                }
                None => self.start_transaction(Modes::default()),
            }
            self.tx.block = Block::Open;
        }
        // COMMIT of a failed transaction is a ROLLBACK, and says so.
        Ok(if was == Block::Failed { "ROLLBACK" } else { tag })
    }

    /// PREPARE TRANSACTION: the transaction ends here and waits for a COMMIT PREPARED of anyone's.
    fn prepare_transaction(&mut self, name: &str) -> Result<&'static str> {
        if self.tx.block != Block::Open {
            if self.tx.block == Block::None {
                self.warn_no_transaction();
            }
            self.rollback();
            return Ok("ROLLBACK");
        }
        // What is prepared can be committed, whatever it is held against.
        self.check_deferred()?;
        if !self.env.messages().is_empty() {
            self.rollback();
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot PREPARE a transaction that has executed LISTEN, UNLISTEN, or NOTIFY",
            ));
        }
        if pg_executor::Session::temporary(&self.env).take_used() {
            self.rollback();
            return Err(pg_executor::temporary::refuse_prepare());
        }
        self.tx.block = Block::None;
        self.tx.savepoints.clear();
        self.close_transaction_portals();
        let user = pg_executor::Session::user(&self.env);
        let prepared = match self.tx.txn.take() {
            Some(txn) => self.engine.prepare(txn, name, user, env::now()),
            None => Ok(()),
        };
        match &prepared {
            Ok(()) => self.env.settings_mut().commit(),
            Err(_) => self.env.settings_mut().abort(),
        }
        prepared.map(|()| "PREPARE TRANSACTION")
    }

    fn finish_prepared(&mut self, command: &str, name: &str, commit: bool) -> Result<()> {
        self.prevent_in_block(command)?;
        let superuser = self.env.identity().superuser;
        let user = pg_executor::Session::user(&self.env);
        self.engine.finish_prepared(name, commit, user, superuser)
    }

    fn savepoint(&mut self, name: &str) -> Result<()> {
        let Some(txn) = self.tx.txn.as_mut().filter(|_| self.tx.block == Block::Open) else {
            return Err(only_in_block("SAVEPOINT"));
        };
        let level = txn.savepoint();
        let read_only = txn.read_only();
        let settings = self.env.settings_mut().mark();
        let messages = self.env.messages().mark();
        self.tx.savepoints.push(Savepoint { name: name.into(), level, settings, messages, read_only });
        Ok(())
    }

    fn find_savepoint(&self, name: &str) -> Result<usize> {
        self.tx.savepoints.iter().rposition(|s| s.name == name).ok_or_else(|| no_savepoint(name))
    }

    fn release(&mut self, name: &str) -> Result<()> {
        if !self.tx.in_block() {
            return Err(only_in_block("RELEASE SAVEPOINT"));
        }
        let at = self.find_savepoint(name)?;
        let (Some(txn), Some(point)) = (&mut self.tx.txn, self.tx.savepoints.get(at)) else {
            return Err(no_savepoint(name));
        };
        txn.release(point.level)?;
        txn.set_read_only(point.read_only);
        self.tx.savepoints.truncate(at);
        self.portals.release(at);
        self.show_modes();
        Ok(())
    }

    fn rollback_to(&mut self, name: &str) -> Result<()> {
        if !self.tx.in_block() {
            return Err(only_in_block("ROLLBACK TO SAVEPOINT"));
        }
        let at = self.find_savepoint(name)?;
        let (Some(txn), Some(point)) = (&mut self.tx.txn, self.tx.savepoints.get(at)) else {
            return Err(no_savepoint(name));
        };
        let (settings, messages) = (point.settings, point.messages);
        self.portals.undo(Some(at + 1));
        txn.rollback_to(point.level)?;
        txn.set_read_only(point.read_only);
        self.env.settings_mut().undo_to(settings);
        self.env.messages().undo_to(messages);
        self.tx.savepoints.truncate(at + 1);
        self.tx.block = Block::Open;
        self.show_modes();
        Ok(())
    }

    /// SET TRANSACTION, and BEGIN's options inside a transaction.
    pub fn set_transaction(&mut self, modes: Modes) -> Result<()> {
        self.tx.chained = false;
        let read_only = modes.read_only;
        if let Some(level) = modes.isolation {
            let isolation = storage_level(level);
            self.tx.level = self.tx.level.filter(|_| self.tx.used).or(Some(level));
            let Some(txn) = &self.tx.txn else { return Ok(()) };
            if txn.isolation() != isolation {
                if self.tx.used {
                    return Err(SqlError::new(
                        SqlState::ACTIVE_SQL_TRANSACTION,
                        "SET TRANSACTION ISOLATION LEVEL must be called before any query",
                    ));
                }
                let (keep, deferrable) = (txn.read_only(), txn.deferrable());
                // Nothing was done in it: replaced by one of the wanted level.
                if let Some(old) = self.tx.txn.take() {
                    self.engine.rollback(old);
                }
                self.start_with(isolation, keep, deferrable);
                for s in &mut self.tx.savepoints {
                    if let Some(txn) = &mut self.tx.txn {
                        s.level = txn.savepoint();
                    }
                }
            }
        }
        if let (Some(read_only), Some(txn)) = (read_only, &mut self.tx.txn) {
            if !read_only && txn.read_only() {
                let text = match (self.tx.savepoints.is_empty(), self.tx.used) {
                    (false, _) => "cannot set transaction read-write mode inside a read-only transaction",
                    (true, true) => "transaction read-write mode must be set before any query",
                    (true, false) => "",
                };
                if !text.is_empty() {
                    return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, text));
                }
            }
            txn.set_read_only(read_only);
        }
        if let (Some(deferrable), Some(txn)) = (modes.deferrable, &mut self.tx.txn) {
            if self.tx.used {
                return Err(SqlError::new(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "SET TRANSACTION [NOT] DEFERRABLE must be called before any query",
                ));
            }
            txn.set_deferrable(deferrable);
        }
        self.show_modes();
        Ok(())
    }

    /// Refuses a statement that cannot share a transaction with others.
    pub fn prevent_in_block(&self, command: &str) -> Result<()> {
        if self.tx.in_block() || self.tx.pipeline {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                format!("{command} cannot run inside a transaction block"),
            ));
        }
        Ok(())
    }
}

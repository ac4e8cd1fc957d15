//! Temporary relations: each session has a schema `pg_temp_N` of its own for them, found under the name `pg_temp`.
//!
//! The schema's row stays for the next session that gets the number; what is in it goes when the session ends, or, after
//! a crash, when somebody takes the number again. Temporary relations are stored and logged like others.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::{CatalogReader, builtin::*};
use pg_plan::utility::{OnCommit, Truncate};
use pg_types::{Oid, Result, SqlError, SqlState};
use platform::sync::Mutex;

use crate::{
    context::ExecContext,
    ddl::{Address, Ddl},
    engine::Engine,
};

/// Begins the names of the schemas of temporary relations.
const PREFIX: &str = "pg_temp_";

/// What a session remembers of its temporary relations.
#[derive(Debug, Default)]
pub struct Temporary {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The schema's number; 0: none yet.
    number: u32,
    /// The running transaction has made temporary objects.
    used: bool,
    /// Tables that a commit changes.
    on_commit: Vec<(Oid, OnCommit)>,
}

impl Temporary {
    /// The schema's name, if the session has one.
    pub fn schema(&self) -> Option<String> {
        Some(self.number()).filter(|n| *n != 0).map(|n| format!("{PREFIX}{n}"))
    }
    /// The schema's number; 0: none.
    pub fn number(&self) -> u32 {
        self.state.lock().number
    }
    /// Must something be done at the commit?
    pub fn acts_on_commit(&self) -> bool {
        !self.state.lock().on_commit.is_empty()
    }
    /// Has this transaction made temporary objects? Forgets it.
    pub fn take_used(&self) -> bool {
        core::mem::take(&mut self.state.lock().used)
    }
}

/// Is it the name of a schema of temporary relations?
pub(crate) fn is_temporary_schema(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

impl Ddl<'_, '_> {
    /// The session's schema of temporary relations; made, or emptied of what a crash left, on first use.
    pub(crate) fn temporary_schema(&self) -> Result<(Oid, String)> {
        let memory = self.cx.session.temporary();
        self.may_make_temporary()?;
        let first = memory.number() == 0;
        if first {
            let number = self.cx.session.take_temporary_number();
            memory.state.lock().number = number;
        }
        memory.state.lock().used = true;
        let name = memory.schema().ok_or_else(|| SqlError::internal("no number for temporary relations"))?;
        if let Some(oid) = self.reader()?.schema(&name)? {
            if first {
                self.drop_contents(oid)?;
            }
            return Ok((oid, name));
        }
        let oid = self.insert_schema(&name, FIRST_ROLE)?;
        Ok((oid, name))
    }

    /// Is this the session's schema of temporary relations?
    pub(crate) fn in_temporary(&self, schema: Oid) -> Result<bool> {
        match self.cx.session.temporary().schema() {
            Some(name) => Ok(self.reader()?.schema(&name)? == Some(schema)),
            None => Ok(false),
        }
    }

    /// Remembers what a commit does with a new table.
    pub(crate) fn note_on_commit(&self, table: Oid, action: OnCommit) {
        if action != OnCommit::Preserve {
            self.cx.session.temporary().state.lock().on_commit.push((table, action));
        }
    }

    fn commit_actions(&self) -> Result<()> {
        let memory = self.cx.session.temporary();
        let list = memory.state.lock().on_commit.clone();
        let mut kept = Vec::new();
        let mut dropped = Vec::new();
        for (oid, action) in list {
            let Some(relation) = self.reader()?.relation_by_oid(oid)? else { continue };
            match action {
                OnCommit::Preserve => {}
                OnCommit::Drop => dropped.push(Address::new(PG_CLASS, oid)),
                OnCommit::Delete => {
                    kept.push((oid, action));
                    let stats = self.cx.engine.storage().relation_stats(relation.storage);
                    if stats.is_ok_and(|s| s.pages > 0) {
                        let relations = [relation].into();
                        self.truncate(&Truncate { relations, restart_identity: false, cascade: false })?;
                    }
                }
            }
        }
        self.drop_quietly(&dropped)?;
        memory.state.lock().on_commit = kept;
        Ok(())
    }
}

impl Engine {
    /// What COMMIT does with temporary tables: to be called before it, where [`Temporary::acts_on_commit`].
    pub fn before_commit(&self, cx: &ExecContext<'_>) -> Result<()> {
        Ddl::reading(cx).commit_actions()
    }
    /// Drops the session's temporary relations (DISCARD TEMP, the session's end).
    pub fn drop_temporary(&self, cx: &ExecContext<'_>) -> Result<()> {
        let memory = cx.session.temporary();
        memory.state.lock().on_commit.clear();
        let Some(name) = memory.schema() else { return Ok(()) };
        let ddl = Ddl::reading(cx);
        match ddl.reader()?.schema(&name)? {
            Some(oid) => ddl.drop_contents(oid),
            None => Ok(()),
        }
    }
}

/// PREPARE TRANSACTION of what made temporary objects.
pub fn refuse_prepare() -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "cannot PREPARE a transaction that has operated on temporary objects",
    )
}

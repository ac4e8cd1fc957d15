//! What a statement needs privileges for: gathered while names are bound, judged when the statement is complete.
//!
//! Each mention of a relation is an [`Access`]; a [`Span`] says which column ids are its columns, so that every column
//! read by an expression of the statement (and not by the table's own definitions) is noted.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use pg_catalog::{
    Access, Relation, Roles, Routine,
    access::{denied, rights_of},
    acl::{Class, Rights, right},
};
use pg_functions::Function;
use pg_plan::expr::{ColumnId, Expr};
use pg_types::{Oid, Result, SqlError};

use super::{Binder, updatable::Subject};

/// Columns of an access.
#[derive(Clone, Debug)]
pub(super) struct Span {
    access: usize,
    /// Ids with the attributes that they are.
    columns: Vec<(ColumnId, i16)>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Accesses {
    list: Vec<Access>,
    spans: Vec<Span>,
    /// Views that are changed through, what each selects from, and the columns of that which the view is made of: who reads
    /// the one reads all of those of the other.
    implied: Vec<(usize, usize, Vec<i16>)>,
    /// Functions and procedures that it calls.
    called: Vec<Arc<Routine>>,
    /// Built-in functions, operators', casts' and aggregates among them.
    builtins: Vec<&'static Function>,
    /// Columns that the statement reads, by id.
    read: Vec<bool>,
    /// What is bound belongs to a definition, not to the statement.
    pub(super) quiet: bool,
    /// In whose name relations are opened, inside a view.
    pub(super) role: Option<Oid>,
    /// Names are those of a stored query: their schemas were looked into when it was made.
    pub(super) stored: bool,
}

impl Accesses {
    /// Notes that a column is read.
    pub(super) fn read(&mut self, id: ColumnId) {
        if self.quiet {
            return;
        }
        let at = id as usize;
        if self.read.len() <= at {
            self.read.resize(at + 1, false);
        }
        if let Some(read) = self.read.get_mut(at) {
            *read = true;
        }
    }
    fn is_read(&self, id: ColumnId) -> bool {
        self.read.get(id as usize).copied().unwrap_or(false)
    }
    /// A function is called.
    pub(super) fn call(&mut self, routine: &Arc<Routine>) {
        if !self.called.iter().any(|r| r.oid == routine.oid) {
            self.called.push(routine.clone());
        }
    }
    /// A built-in function is called.
    pub(super) fn builtin(&mut self, function: &'static Function) {
        if !self.builtins.iter().any(|f| f.oid == function.oid) {
            self.builtins.push(function);
        }
    }
    /// What another binder's functions call, this one's do.
    pub(super) fn merge_calls(&mut self, other: Self) {
        other.called.iter().for_each(|r| self.call(r));
        other.builtins.iter().for_each(|f| self.builtin(f));
    }
    /// A relation is mentioned.
    pub(super) fn open(&mut self, relation: &Arc<Relation>, rights: Rights) -> usize {
        self.list.push(Access::new(relation, self.role, rights));
        self.list.len() - 1
    }
    /// These ids are columns of it.
    pub(super) fn span(&mut self, access: usize, columns: Vec<(ColumnId, i16)>) {
        self.spans.push(Span { access, columns });
    }
    /// What is needed of a relation.
    pub(super) fn get(&mut self, access: usize) -> Option<&mut Access> {
        self.list.get_mut(access)
    }
    /// Adds to what is needed of the relation that a column belongs to.
    pub(super) fn need(&mut self, id: ColumnId, rights: Rights) {
        let access = self.spans.iter().rev().find(|s| s.columns.iter().any(|c| c.0 == id)).map(|s| s.access);
        if let Some(a) = access.and_then(|a| self.list.get_mut(a)) {
            a.rights |= rights;
        }
    }
    /// The relation mentioned last.
    pub(super) fn last(&self) -> usize {
        self.list.len().saturating_sub(1)
    }
    /// Are any of the columns read so far?
    pub(super) fn any_read(&self, access: usize) -> bool {
        self.spans.iter().filter(|s| s.access == access).any(|s| s.columns.iter().any(|c| self.is_read(c.0)))
    }
    /// Where something begins that may be taken back.
    pub(super) fn begin(&self) -> (usize, usize) {
        (self.list.len(), self.spans.len())
    }
    /// Reading anything of a view needs these columns of what it selects from.
    pub(super) fn imply(&mut self, view: usize, below: usize, columns: Vec<i16>) {
        self.implied.push((view, below, columns));
    }
    /// Adds what views that are changed through and read need of what is below them. Those above come first in the list.
    fn settle_implied(&mut self) {
        let mut implied = core::mem::take(&mut self.implied);
        implied.sort_by_key(|i| i.0);
        for (view, below, columns) in implied {
            let reads = self.list.get(view).is_some_and(|a| a.rights & right::SELECT != 0);
            if let Some(a) = self.list.get_mut(below).filter(|_| reads) {
                a.rights |= right::SELECT;
                for attnum in columns {
                    if !a.selected.contains(&attnum) {
                        a.selected.push(attnum);
                    }
                }
            }
        }
    }
    /// Takes back what was gathered since.
    pub(super) fn undo(&mut self, (list, spans): (usize, usize)) {
        self.list.truncate(list);
        self.implied.retain(|i| i.0 < list);
        self.spans.truncate(spans);
    }
    /// How many spans there are.
    pub(super) fn mark(&self) -> usize {
        self.spans.len()
    }
    /// Settles the spans since the mark: their ids may be used again for what reads them.
    pub(super) fn settle(&mut self, mark: usize) {
        for span in self.spans.split_off(mark.min(self.spans.len())) {
            for (id, attnum) in span.columns {
                let read = self.is_read(id);
                if let Some(a) = self.list.get_mut(span.access).filter(|_| read) {
                    a.rights |= right::SELECT;
                    if !a.selected.contains(&attnum) {
                        a.selected.push(attnum);
                    }
                }
            }
        }
    }
    /// Forgets that columns were read.
    pub(super) fn unread(&mut self, ids: impl Iterator<Item = ColumnId>) {
        for id in ids {
            if let Some(read) = self.read.get_mut(id as usize) {
                *read = false;
            }
        }
    }
}

/// The error if a role may not execute a routine.
pub(super) fn refusal(routine: &Routine, user: Oid, roles: &Roles) -> Option<SqlError> {
    let acl = routine.acl.as_ref();
    let has = rights_of(acl, Class::Function, routine.owner, user, right::EXECUTE, roles);
    (has == 0).then(|| denied(routine.kind.word(), &routine.name))
}

impl Binder<'_> {
    /// Whether the statement's user may do what the statement does.
    pub(super) fn denied(&mut self) -> Result<Option<Box<SqlError>>> {
        self.accesses.settle(0);
        self.accesses.settle_implied();
        let list = core::mem::take(&mut self.accesses.list);
        let called = core::mem::take(&mut self.accesses.called);
        let builtins = core::mem::take(&mut self.accesses.builtins);
        let refused = self.refused.take();
        if list.is_empty() && called.is_empty() && builtins.is_empty() {
            return Ok(refused.map(Box::new));
        }
        let (user, roles) = (self.catalog.user(), self.catalog.roles()?);
        let mut refused = refused.or_else(|| called.iter().find_map(|r| refusal(r, user, &roles)));
        if refused.is_none() && !roles.is_superuser(user) {
            for f in builtins {
                let Some(acl) = self.catalog.builtin_acl(f.oid)? else { continue };
                if acl.rights_of(user, right::EXECUTE, &roles) == 0 {
                    refused = Some(denied("function", f.name));
                    break;
                }
            }
        }
        Ok(list.iter().find_map(|a| a.check(user, &roles).err()).or(refused).map(Box::new))
    }
    /// ON CONFLICT looks at these columns of the table (positions among the live ones).
    pub(super) fn select_positions(&mut self, subject: &Subject, positions: Vec<usize>) {
        for (access, columns) in &subject.accesses {
            let named = columns.iter().filter(|c| positions.contains(&c.0)).map(|c| c.1);
            if let Some(a) = self.accesses.get(*access) {
                a.rights |= right::SELECT;
                a.selected.extend(named);
            }
        }
    }
    /// An INSERT gives these columns values.
    pub(super) fn insert_positions(&mut self, subject: &Subject, positions: &[usize]) {
        for (access, columns) in &subject.accesses {
            if let Some(a) = self.accesses.get(*access) {
                a.inserted = columns.iter().filter(|c| positions.contains(&c.0)).map(|c| c.1).collect();
            }
        }
    }
    /// Columns of the table that the statement gives values, as far as it is bound.
    pub(super) fn given_columns(&mut self, subject: &Subject) -> Vec<i16> {
        let table = subject.accesses.first().map(|a| a.0);
        let Some(a) = table.and_then(|a| self.accesses.get(a)) else { return Vec::new() };
        a.inserted.iter().chain(&a.updated).copied().collect()
    }
    /// These attributes of the table are changed.
    pub(super) fn update_columns(&mut self, subject: &Subject, assignments: &[(i16, Expr)]) {
        let live: Vec<i16> = subject.table.live().map(|a| a.attnum).collect();
        let changed = |n: usize| live.get(n).is_some_and(|l| assignments.iter().any(|a| a.0 == *l));
        for (access, columns) in &subject.accesses {
            if let Some(a) = self.accesses.get(*access) {
                a.rights |= right::UPDATE;
                a.updated = columns.iter().filter(|c| changed(c.0)).map(|c| c.1).collect();
            }
        }
    }
    /// Binds what belongs to a definition: its columns are read without privileges.
    pub(super) fn quietly<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        let before = core::mem::replace(&mut self.accesses.quiet, true);
        let result = f(self);
        self.accesses.quiet = before;
        result
    }
}

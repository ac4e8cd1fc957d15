//! Definition of tables, indexes, sequences, views, schemas and roles: rows of catalogs, storage, dependencies.

pub(crate) mod access;
pub(crate) mod alter;
mod alter_more;
mod cluster;
mod collation;
pub(crate) mod comment;
mod composite;
pub(crate) mod concurrent;
mod database;
mod default_acl;
pub(crate) mod definition;
mod domain;
pub(crate) mod drop;
pub(crate) mod entry;
mod enums;
pub(crate) mod extension;
mod foreign_key;
pub(crate) mod grant;
pub(crate) mod index;
mod inherit;
mod like;
pub(crate) mod materialized;
mod owner;
mod policy;
pub(crate) mod rename;
pub(crate) mod rewrite;
pub(crate) mod role;
pub(crate) mod routine;
pub(crate) mod sequence;
mod shared;
pub(crate) mod statistics;
mod stored_text;
pub(crate) mod table;
mod toast;
mod typed_table;
pub(crate) mod types;
pub(crate) mod view;

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::cell::{Cell, RefCell};

use pg_catalog::{
    CatalogReader, Reader, Relation, RelationKind,
    builtin::{FIRST_NORMAL_OID, PG_CLASS, PG_DEPEND, PG_EXTENSION},
    table::{CatalogTable, Row},
};
use pg_plan::utility::ObjectName;
use pg_storage::{LockMode, Tid};
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use crate::{
    context::{ExecContext, Rt},
    expr::Compiled,
    node::Compiler,
};

/// Longest identifier in bytes.
const MAX_NAME: usize = 63;

/// A kind as messages name it.
pub(crate) fn kind_word(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table | RelationKind::Virtual => "table",
        RelationKind::Index => "index",
        RelationKind::Sequence => "sequence",
        RelationKind::View => "view",
        RelationKind::MaterializedView => "materialized view",
        RelationKind::Toast => "toast table",
        RelationKind::Composite => "composite type",
    }
}

/// `pg_depend.deptype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dependency {
    /// The dependent blocks a drop.
    Normal,
    /// The dependent goes too.
    Auto,
    /// The dependent is part of the other.
    Internal,
    /// The dependent belongs to the other, an extension.
    Extension,
}

impl Dependency {
    fn code(self) -> u8 {
        match self {
            Self::Normal => b'n',
            Self::Auto => b'a',
            Self::Internal => b'i',
            Self::Extension => b'e',
        }
    }
}

/// An object: catalog, oid, column (0: the whole).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub class: Oid,
    pub object: Oid,
    pub sub: i32,
}

impl Address {
    pub(crate) const fn new(class: Oid, object: Oid) -> Self {
        Self { class, object, sub: 0 }
    }
    pub(crate) const fn column(relation: Oid, attnum: i16) -> Self {
        Self { class: PG_CLASS, object: relation, sub: attnum as i32 }
    }
}

/// Catalog changes of one statement.
pub(crate) struct Ddl<'a, 'c> {
    pub(crate) cx: &'a ExecContext<'c>,
}

impl<'a, 'c> Ddl<'a, 'c> {
    /// Begins; refuses read-only transactions.
    pub(crate) fn new(cx: &'a ExecContext<'c>, command: &str) -> Result<Self> {
        cx.txn.borrow().check_writable(command)?;
        Ok(Self { cx })
    }
    /// For looking only: to compile and evaluate what the catalogs keep as text.
    pub(crate) fn reading(cx: &'a ExecContext<'c>) -> Self {
        Self { cx }
    }
    pub(crate) fn reader(&self) -> Result<Reader<'a>> {
        self.cx.reader()
    }
    /// The catalogs as a role reads them, whose rights a query is bound with.
    pub(crate) fn reader_as(&self, role: Oid) -> Result<Reader<'a>> {
        Ok(self.reader()?.with_user(role))
    }
    pub(crate) fn catalog(&self, oid: Oid) -> Result<&'a Arc<CatalogTable>> {
        self.cx.engine.catalog().table(oid)
    }
    /// An empty row of a catalog.
    pub(crate) fn row(&self, catalog: Oid) -> Result<Row> {
        Ok(self.catalog(catalog)?.row())
    }
    /// A new object's number.
    pub(crate) fn oid(&self) -> Result<Oid> {
        self.cx.engine.catalog().new_oid()
    }
    /// Makes what was written visible to what follows.
    pub(crate) fn step(&self) {
        self.cx.txn.borrow_mut().catalogs_changed();
    }
    /// Adds a row.
    pub(crate) fn insert(&self, catalog: Oid, row: &Row) -> Result<()> {
        let table = self.catalog(catalog)?;
        let extension = {
            let mut txn = self.cx.txn.borrow_mut();
            table.insert(self.cx.engine.storage(), txn.storage(), row)?;
            txn.extension()
        };
        self.follow_roles(catalog, None, Some(row))?;
        match extension.filter(|_| extension::is_member(catalog, row)) {
            Some(extension) => self.depend(
                Address::new(catalog, row.oid("oid")),
                Address::new(PG_EXTENSION, extension),
                Dependency::Extension,
            ),
            None => Ok(()),
        }
    }
    /// Rows as this transaction sees them, whatever it did before.
    pub(crate) fn find(&self, catalog: Oid, columns: &[&str], values: &[Value]) -> Result<Vec<(Tid, Row)>> {
        let table = self.catalog(catalog)?;
        let snapshot = {
            // A new command: rows that an earlier step of this statement changed may be changed again.
            let mut txn = self.cx.txn.borrow_mut();
            txn.storage().next_command();
            txn.snapshot().untracked()
        };
        table.find(self.cx.engine.storage(), &snapshot, columns, values)
    }
    /// Removes the matching rows.
    pub(crate) fn delete(&self, catalog: Oid, columns: &[&str], values: &[Value]) -> Result<usize> {
        let rows = self.find(catalog, columns, values)?;
        let table = self.catalog(catalog)?;
        for (tid, row) in &rows {
            table.delete(self.cx.engine.storage(), self.cx.txn.borrow_mut().storage(), *tid)?;
            self.follow_roles(catalog, Some(row), None)?;
        }
        Ok(rows.len())
    }
    /// Changes the matching rows.
    pub(crate) fn update(
        &self,
        catalog: Oid,
        columns: &[&str],
        values: &[Value],
        mut change: impl FnMut(&mut Row),
    ) -> Result<usize> {
        let rows = self.find(catalog, columns, values)?;
        // The closure may look things up: it runs before the transaction is borrowed.
        let changed: Vec<Row> = rows
            .iter()
            .map(|(_, old)| {
                let mut new = old.clone();
                change(&mut new);
                new
            })
            .collect();
        let table = self.catalog(catalog)?;
        for ((tid, old), new) in rows.iter().zip(&changed) {
            table.update(self.cx.engine.storage(), self.cx.txn.borrow_mut().storage(), *tid, old, new)?;
            self.follow_roles(catalog, Some(old), Some(new))?;
        }
        Ok(rows.len())
    }
    /// Records that `dependent` needs `referenced`.
    pub(crate) fn depend(&self, dependent: Address, referenced: Address, kind: Dependency) -> Result<()> {
        if referenced.object < FIRST_NORMAL_OID {
            return Ok(());
        }
        let row = self
            .row(PG_DEPEND)?
            .set("classid", dependent.class)
            .set("objid", dependent.object)
            .set("objsubid", dependent.sub)
            .set("refclassid", referenced.class)
            .set("refobjid", referenced.object)
            .set("refobjsubid", referenced.sub)
            .set("deptype", kind.code());
        self.insert(PG_DEPEND, &row)
    }
    /// Locks an object.
    pub(crate) fn lock(&self, oid: Oid, mode: LockMode) -> Result<()> {
        self.cx.engine.lock(&mut self.cx.txn.borrow_mut(), oid, mode)
    }
    /// Tells the client something.
    pub(crate) fn notice(&self, state: SqlState, message: String) {
        self.cx.session.notice("NOTICE", SqlError::new(state, message));
    }
    /// Locks a relation and describes it as it is then.
    pub(crate) fn relock(&self, relation: &Relation, mode: LockMode) -> Result<Arc<Relation>> {
        self.lock(relation.oid, mode)?;
        self.reader()?.relation_by_oid(relation.oid)?.ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{}\" does not exist", relation.name))
        })
    }
    /// A relation as it is now.
    pub(crate) fn current(&self, oid: Oid) -> Result<Arc<Relation>> {
        self.reader()?.relation_by_oid(oid)?.ok_or_else(|| SqlError::internal("the relation is gone"))
    }
    /// The schema that a new object goes to.
    pub(crate) fn creation_schema(&self, name: &ObjectName) -> Result<(Oid, String)> {
        let reader = self.reader()?;
        let schema = match &name.schema {
            Some(s) => s.clone(),
            None => reader.creation_schema().ok_or_else(|| {
                SqlError::new(SqlState::INVALID_SCHEMA_NAME, "no schema has been selected to create in")
            })?,
        };
        if schema == pg_catalog::PG_TEMP || self.cx.session.temporary().schema().as_deref() == Some(&schema) {
            return self.temporary_schema();
        }
        if crate::temporary::is_temporary_schema(&schema) {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                "cannot create relations in temporary schemas of other sessions",
            ));
        }
        let oid = reader.schema(&schema)?.ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist"))
        })?;
        if oid < FIRST_NORMAL_OID && oid != pg_catalog::builtin::PUBLIC {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to create \"{schema}.{}\"", name.name),
            )
            .detail("System catalog modifications are currently disallowed."));
        }
        self.may_create_in(oid, &schema)?;
        drop(reader);
        // It must not be dropped while something is made in it, and it may have been while we waited.
        self.lock(oid, LockMode::AccessShare)?;
        if self.reader()?.schema(&schema)? != Some(oid) {
            let text = format!("schema \"{schema}\" does not exist");
            return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, text));
        }
        Ok((oid, schema))
    }
    /// Refuses a relation name that is taken. With `skip`, says so in a notice and returns true.
    pub(crate) fn name_taken(&self, schema: Oid, name: &str, skip: bool) -> Result<bool> {
        if self.reader()?.relation_oid(schema, name)?.is_none() {
            return Ok(false);
        }
        if skip {
            self.notice(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists, skipping"));
            return Ok(true);
        }
        Err(SqlError::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists")))
    }
    /// An unused relation name made of these parts, numbered if need be.
    pub(crate) fn choose_name(&self, schema: Oid, first: &str, second: &str, label: &str) -> Result<String> {
        let reader = self.reader()?;
        for n in 0..10_000u32 {
            let label = if n == 0 { label.to_string() } else { format!("{label}{n}") };
            let name = object_name(first, second, &label);
            if reader.relation_oid(schema, &name)?.is_none() {
                return Ok(name);
            }
        }
        Err(SqlError::internal("no free name was found"))
    }
    /// Runs `f` with what expressions need to be evaluated.
    pub(crate) fn with_rt<T>(&self, f: impl FnOnce(&Rt<'_, '_>) -> Result<T>) -> Result<T> {
        let snapshot = self.cx.txn.borrow_mut().snapshot();
        let (slots, memory, restart) = (RefCell::new(Vec::new()), Cell::new(0), Cell::new(false));
        f(&Rt {
            cx: self.cx,
            slots: &slots,
            snapshot: &snapshot,
            ctes: &[],
            memory: &memory,
            run: 1,
            restart: &restart,
            fixed: &RefCell::new(Vec::new()),
            instrument: false,
            feed: &RefCell::new(None),
            more: false,
        })
    }
    /// An expression stored as text, over a relation's attributes.
    pub(crate) fn expression(&self, relation: &Relation, text: &str) -> Result<Compiled> {
        let e = self.cx.session.bind_expression(&self.reader()?, relation, text)?;
        Compiled::new(&e, &mut Compiler::new(0))
    }
}

/// `first_second_label`, the parts shortened so that the whole fits an identifier.
pub(crate) fn object_name(first: &str, second: &str, label: &str) -> String {
    let overhead = usize::from(!second.is_empty()) + usize::from(!label.is_empty()) + label.len();
    let available = MAX_NAME.saturating_sub(overhead);
    let (mut a, mut b) = (first.len(), second.len());
    while a + b > available {
        if a > b { a -= 1 } else { b -= 1 }
    }
    let cut = |s: &str, n: usize| -> String {
        let end = (0..=n.min(s.len())).rev().find(|&i| s.is_char_boundary(i)).unwrap_or(0);
        s.get(..end).unwrap_or("").to_string()
    };
    let mut out = cut(first, a);
    for part in [cut(second, b), label.to_string()] {
        if !part.is_empty() {
            out.push('_');
            out.push_str(&part);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_postgres() {
        assert_eq!(object_name("t", "", "pkey"), "t_pkey");
        assert_eq!(object_name("t", "a_b", "key"), "t_a_b_key");
        let long = "x".repeat(70);
        assert_eq!(object_name(&long, "col", "idx").len(), MAX_NAME);
        assert!(object_name(&long, "col", "idx").ends_with("_col_idx"));
    }
}

//! CREATE, ALTER, DROP DATABASE.
//!
//! A database starts as its template's row of `pg_database`; what catalogs hold is copied only if the template has been used.

use alloc::{borrow::ToOwned, format, string::String};

use pg_catalog::{
    builtin::{
        FIRST_DATABASE, PG_DATABASE, PG_DB_ROLE_SETTING, PG_SHDEPEND, PG_SHDESCRIPTION, PG_TABLESPACE,
    },
    table::Row,
};
use pg_encoding::Encoding;
use pg_plan::database::{DatabaseOptions, DatabaseStatement};
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::{Ddl, access::refused};

/// Locales that order by code points and know Unicode's letters.
const CTYPES: [&str; 2] = ["c.utf-8", "c.utf8"];
/// As orders, these are the same.
const COLLATES: [&str; 4] = ["c.utf-8", "c.utf8", "c", "posix"];

impl Ddl<'_, '_> {
    /// Runs one of the statements.
    pub(crate) fn database(&self, statement: &DatabaseStatement) -> Result<()> {
        match statement {
            DatabaseStatement::Create { name, options } => self.create_database(name, options),
            DatabaseStatement::Drop { name, if_exists, force } => {
                self.drop_database(name, *if_exists, *force)
            }
            DatabaseStatement::Alter { name, options } => self.alter_database(name, options),
            DatabaseStatement::Rename { name, to } => self.rename_database(name, to),
            DatabaseStatement::Owner { name, owner } => self.alter_database_owner(name, owner),
        }
    }

    fn database_row(&self, name: &str) -> Result<Option<Row>> {
        let rows = self.find(PG_DATABASE, &["datname"], &[Value::text(name)])?;
        Ok(rows.into_iter().next().map(|r| r.1))
    }

    fn known_database(&self, name: &str) -> Result<Row> {
        self.database_row(name)?.ok_or_else(|| {
            SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
        })
    }

    fn own_database(&self, name: &str) -> Result<Row> {
        let row = self.known_database(name)?;
        if !self.owns(row.oid("datdba"))? {
            return Err(refused(format!("must be owner of database {name}")));
        }
        Ok(row)
    }

    fn may_create_databases(&self) -> Result<bool> {
        let roles = self.roles()?;
        Ok(roles.get(self.user()).is_some_and(|r| r.superuser || r.create_db))
    }

    /// Keeps everyone else out of a database until the transaction ends.
    fn claim(&self, database: Oid, force: bool, what: &str) -> Result<()> {
        let prepared = || self.cx.engine.prepared_rows().iter().filter(|p| p.database == database).count();
        let before = if force { prepared() } else { 0 };
        if before > 0 {
            let text = format!("{what} is being used by prepared transactions");
            let detail = if before == 1 {
                String::from("There is 1 prepared transaction using the database.")
            } else {
                format!("There are {before} prepared transactions using the database.")
            };
            return Err(SqlError::new(SqlState::OBJECT_IN_USE, text).detail(detail));
        }
        let others = self.cx.session.claim_database(database, force);
        self.cx.checkpoint()?;
        let prepared = prepared();
        let detail = match (others, prepared) {
            (0, 0) => return Ok(()),
            (1, 0) => String::from("There is 1 other session using the database."),
            (_, 0) => format!("There are {others} other sessions using the database."),
            (0, 1) => String::from("There is 1 prepared transaction using the database."),
            (0, _) => format!("There are {prepared} prepared transactions using the database."),
            _ => format!(
                "There are {others} other session(s) and {prepared} prepared transaction(s) using the database."
            ),
        };
        let text = format!("{what} is being accessed by other users");
        Err(SqlError::new(SqlState::OBJECT_IN_USE, text).detail(detail))
    }

    fn create_database(&self, name: &str, o: &DatabaseOptions) -> Result<()> {
        check_options(o)?;
        self.check_tablespace(o)?;
        if !self.may_create_databases()? {
            return Err(refused("permission denied to create database"));
        }
        let owner = match &o.owner {
            Some(role) => self.role(role)?,
            None => self.user(),
        };
        self.may_become(owner)?;
        let template = o.template.as_deref().unwrap_or("template1");
        let Some(source) = self.database_row(template)? else {
            let text = format!("template database \"{template}\" does not exist");
            return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, text));
        };
        if !source.bool("datistemplate") && !self.owns(source.oid("datdba"))? {
            return Err(refused(format!("permission denied to copy database \"{template}\"")));
        }
        if self.database_row(name)?.is_some() {
            return Err(exists(name));
        }
        let from = source.oid("oid");
        self.claim(from, false, &format!("source database \"{template}\""))?;
        let oid = self.oid()?;
        let limit = o.connection_limit.unwrap_or(-1);
        let mut row = source
            .set("oid", oid)
            .set("datname", name)
            .set("datdba", owner)
            .set("datistemplate", o.is_template.unwrap_or(false))
            .set("datallowconn", o.allow_connections.unwrap_or(true))
            .set("datconnlimit", limit);
        row.put("datacl", Value::Null);
        for (column, value) in [("datcollate", &o.collate), ("datctype", &o.ctype)] {
            if let Some(locale) = value {
                row.put(column, locale.clone());
            }
        }
        self.insert(PG_DATABASE, &row)?;
        self.copy_catalogs(from, oid)?;
        self.copy_needs(from, oid)?;
        self.step();
        Ok(())
    }

    /// Copies what a database holds, if it has been used.
    fn copy_catalogs(&self, from: Oid, to: Oid) -> Result<()> {
        let first = self.cx.engine.first()?;
        let source = self.cx.engine.all_databases()?.into_iter().find(|e| e.catalog().database() == from);
        let Some(source) = source else { return Ok(()) };
        let mut txn = self.cx.txn.borrow_mut();
        first.catalog().copy_database(txn.storage(), source.catalog(), to, &|| self.cx.checkpoint())
    }

    fn drop_database(&self, name: &str, if_exists: bool, force: bool) -> Result<()> {
        if if_exists && self.database_row(name)?.is_none() {
            let text = format!("database \"{name}\" does not exist, skipping");
            self.cx.session.notice("NOTICE", SqlError::new(SqlState::SUCCESSFUL_COMPLETION, text));
            return Ok(());
        }
        let row = self.own_database(name)?;
        let oid = row.oid("oid");
        if row.bool("datistemplate") {
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, "cannot drop a template database"));
        }
        if oid == self.cx.engine.catalog().database() {
            return Err(SqlError::new(SqlState::OBJECT_IN_USE, "cannot drop the currently open database"));
        }
        if oid == FIRST_DATABASE {
            return Err(SqlError::unsupported("DROP DATABASE of the volume's first database"));
        }
        self.claim(oid, force, &format!("database \"{name}\""))?;
        // The claim keeps newcomers out until this is settled.
        let key = [Value::Oid(oid)];
        self.delete(PG_DATABASE, &["oid"], &key)?;
        self.delete(PG_DB_ROLE_SETTING, &["setdatabase"], &key)?;
        self.delete(PG_SHDEPEND, &["dbid"], &key)?;
        let described = [Value::Oid(oid), Value::Oid(PG_DATABASE)];
        self.delete(PG_SHDESCRIPTION, &["objoid", "classoid"], &described)?;
        let first = self.cx.engine.first()?;
        first.catalog().drop_database(self.cx.txn.borrow_mut().storage(), oid)?;
        self.step();
        Ok(())
    }

    fn alter_database(&self, name: &str, o: &DatabaseOptions) -> Result<()> {
        self.check_tablespace(o)?;
        let row = self.own_database(name)?;
        let oid = row.oid("oid");
        if o.allow_connections == Some(false) && oid == self.cx.engine.catalog().database() {
            let text = "cannot disallow connections for current database";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text));
        }
        self.update(PG_DATABASE, &["oid"], &[Value::Oid(oid)], |r| {
            if let Some(limit) = o.connection_limit {
                r.put("datconnlimit", limit);
            }
            if let Some(allowed) = o.allow_connections {
                r.put("datallowconn", allowed);
            }
            if let Some(template) = o.is_template {
                r.put("datistemplate", template);
            }
        })?;
        self.step();
        Ok(())
    }

    fn rename_database(&self, name: &str, to: &str) -> Result<()> {
        let row = self.own_database(name)?;
        if !self.may_create_databases()? {
            return Err(refused("permission denied to rename database"));
        }
        if self.database_row(to)?.is_some() {
            return Err(exists(to));
        }
        let oid = row.oid("oid");
        if oid == self.cx.engine.catalog().database() {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "current database cannot be renamed"));
        }
        self.claim(oid, false, &format!("database \"{name}\""))?;
        self.update(PG_DATABASE, &["oid"], &[Value::Oid(oid)], |r| r.put("datname", to.to_owned()))?;
        self.step();
        Ok(())
    }

    fn alter_database_owner(&self, name: &str, owner: &pg_plan::access::RoleName) -> Result<()> {
        let row = self.known_database(name)?;
        let new = self.role(owner)?;
        if row.oid("datdba") == new {
            return Ok(());
        }
        if !self.owns(row.oid("datdba"))? {
            return Err(refused(format!("must be owner of database {name}")));
        }
        self.may_become(new)?;
        if !self.may_create_databases()? {
            return Err(refused("permission denied to change owner of database"));
        }
        self.give(PG_DATABASE, row.oid("oid"), new)
    }

    /// There is one place where everything is.
    fn check_tablespace(&self, o: &DatabaseOptions) -> Result<()> {
        let Some(name) = &o.tablespace else { return Ok(()) };
        let rows = self.find(PG_TABLESPACE, &["spcname"], &[Value::text(name)])?;
        if rows.is_empty() {
            let text = format!("tablespace \"{name}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text));
        }
        if name == "pg_global" {
            let text = "pg_global cannot be used as default tablespace";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text));
        }
        Ok(())
    }
}

fn exists(name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_DATABASE, format!("database \"{name}\" already exists"))
}

/// Encoding, locale and the like: there is one of each.
fn check_options(o: &DatabaseOptions) -> Result<()> {
    let invalid = |text: String| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text));
    if let Some(encoding) = &o.encoding {
        let number = || Encoding::by_number(encoding.parse().ok()?);
        let Some(known) = Encoding::by_name(encoding).or_else(number).filter(|e| e.of_databases()) else {
            let text = format!("{encoding} is not a valid encoding name");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text));
        };
        if known != Encoding::UTF8 {
            return Err(SqlError::unsupported(format!("a database with encoding {encoding}")));
        }
    }
    let known = |locale: &String, list: &[&str]| list.contains(&locale.to_ascii_lowercase().as_str());
    for (locale, list) in [(&o.collate, &COLLATES[..]), (&o.ctype, &CTYPES[..])] {
        if let Some(locale) = locale.as_ref().filter(|l| !known(l, list)) {
            return invalid(format!("invalid locale name: \"{locale}\""));
        }
    }
    match o.provider.as_deref() {
        None | Some("libc") => {}
        Some("icu") => return Err(SqlError::unsupported("CREATE DATABASE with LOCALE_PROVIDER icu")),
        Some(other) => {
            let text = format!("unrecognized locale provider: {other}");
            return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, text));
        }
    }
    match o.strategy.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("wal_log" | "file_copy") => Ok(()),
        Some(other) => invalid(format!("invalid create database strategy \"{other}\"")),
    }
}

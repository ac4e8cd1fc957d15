//! Collations: CREATE, ALTER, DROP and COMMENT ON COLLATION.
//!
//! All order by bytes, as the locales that there are do; others are refused like locales that a system lacks.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    CatalogReader,
    access::not_owner,
    builtin::{PG_COLLATION, PG_NAMESPACE},
    table::Row,
};
use pg_plan::{
    definition::{AlterCollation, Collation, CollationParts},
    utility::ObjectName,
};
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::{Address, Ddl, Dependency};

/// Locales that order by bytes.
const LOCALES: [&str; 4] = ["c", "posix", "c.utf-8", "c.utf8"];
/// `pg_collation.collencoding` of UTF8, which databases have.
const UTF8: i32 = 6;

/// A collation as messages name it.
fn described(row: &Row) -> String {
    let name = row.text("collname");
    match row.int("collencoding") {
        -1 => format!("collation \"{name}\""),
        _ => format!("collation \"{name}\" for encoding \"UTF8\""),
    }
}

impl Ddl<'_, '_> {
    /// Any of these statements.
    pub(super) fn collation_statement(&self, s: &Collation) -> Result<()> {
        match s {
            Collation::Create { name, if_not_exists, parts } => {
                self.create_collation(name, *if_not_exists, parts)
            }
            Collation::Alter { name, change } => self.alter_collation(name, change),
            Collation::Drop { names, if_exists, cascade } => {
                let mut targets = Vec::new();
                for name in names {
                    let Some(row) = self.named_collation(name, *if_exists)? else { continue };
                    self.must_own_collation(&row)?;
                    targets.push(Address::new(PG_COLLATION, row.oid("oid")));
                }
                self.drop_objects(&targets, *cascade)
            }
            Collation::Comment(name, text) => {
                let Some(row) = self.named_collation(name, false)? else { return Ok(()) };
                self.must_own_collation(&row)?;
                self.describe_object(Address::new(PG_COLLATION, row.oid("oid")), text.as_deref())
            }
        }
    }

    fn collation_in(&self, schema: Oid, name: &str) -> Result<Option<Row>> {
        let rows = self.find(PG_COLLATION, &["collname"], &[Value::text(name)])?;
        Ok(rows.into_iter().map(|r| r.1).find(|r| r.oid("collnamespace") == schema))
    }

    /// The collation that a statement names; `None`: there is none, which IF EXISTS allows.
    fn named_collation(&self, name: &ObjectName, if_exists: bool) -> Result<Option<Row>> {
        let found = self.reader()?.collation(name.schema.as_deref(), &name.name);
        let skipped = |text: String| {
            self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{text}, skipping"));
            Ok(None)
        };
        let oid = match found {
            Err(e) if if_exists && e.state() == SqlState::INVALID_SCHEMA_NAME => {
                return skipped(e.message().to_string());
            }
            found => found?,
        };
        let shown = super::types::shown(name);
        match oid {
            Some(oid) => {
                Ok(self.find(PG_COLLATION, &["oid"], &[Value::Oid(oid)])?.into_iter().next().map(|r| r.1))
            }
            None if if_exists => skipped(format!("collation \"{shown}\" does not exist")),
            None => {
                let text = format!("collation \"{shown}\" for encoding \"UTF8\" does not exist");
                Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text))
            }
        }
    }

    fn must_own_collation(&self, row: &Row) -> Result<()> {
        if self.owns(row.oid("collowner"))? {
            return Ok(());
        }
        Err(not_owner("collation", row.text("collname")))
    }

    fn create_collation(&self, name: &ObjectName, if_not_exists: bool, parts: &CollationParts) -> Result<()> {
        let (schema, _) = self.creation_schema(name)?;
        let row = self
            .row(PG_COLLATION)?
            .set("collname", name.name.as_str())
            .set("collnamespace", schema)
            .set("collowner", self.user())
            .set("collprovider", b'c')
            .set("collisdeterministic", true);
        let row = match parts {
            CollationParts::From(other) => {
                let Some(model) = self.named_collation(other, false)? else { return Ok(()) };
                if model.char("collprovider") == b'd' {
                    let text = "collation \"default\" cannot be copied";
                    return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, text));
                }
                let mut row = row;
                for column in ["collencoding", "collcollate", "collctype"] {
                    row.put(column, model.get(column).clone());
                }
                row
            }
            CollationParts::Locale { collate, ctype } => {
                for locale in [collate, ctype] {
                    check_locale(locale)?;
                }
                row.set("collencoding", UTF8)
                    .set("collcollate", collate.as_str())
                    .set("collctype", ctype.as_str())
            }
        };
        if let Some(other) = self.collation_in(schema, &name.name)? {
            let text = format!("{} already exists", described(&other));
            if if_not_exists {
                self.notice(SqlState::DUPLICATE_OBJECT, format!("{text}, skipping"));
                return Ok(());
            }
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, text));
        }
        let oid = self.oid()?;
        self.insert(PG_COLLATION, &row.set("oid", oid))?;
        let place = Address::new(PG_NAMESPACE, schema);
        self.depend(Address::new(PG_COLLATION, oid), place, Dependency::Normal)?;
        self.step();
        Ok(())
    }

    fn alter_collation(&self, name: &ObjectName, change: &AlterCollation) -> Result<()> {
        let Some(row) = self.named_collation(name, false)? else { return Ok(()) };
        self.must_own_collation(&row)?;
        let (oid, schema) = (row.oid("oid"), row.oid("collnamespace"));
        let key = [Value::Oid(oid)];
        let shown = |schema: Oid| -> Result<String> {
            Ok(self.reader()?.schema_row(schema)?.map_or_else(String::new, |s| s.name.clone()))
        };
        let taken = |schema: Oid, name: &str| -> Result<()> {
            let Some(other) = self.collation_in(schema, name)? else { return Ok(()) };
            let text = format!("{} already exists in schema \"{}\"", described(&other), shown(schema)?);
            Err(SqlError::new(SqlState::DUPLICATE_OBJECT, text))
        };
        match change {
            AlterCollation::Rename(new) => {
                taken(schema, new)?;
                self.update(PG_COLLATION, &["oid"], &key, |r| r.put("collname", new.as_str()))?;
            }
            AlterCollation::SetSchema(new) => {
                let Some(to) = self.reader()?.schema(new)? else {
                    let text = format!("schema \"{new}\" does not exist");
                    return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, text));
                };
                self.may_create_in(to, new)?;
                if to != schema {
                    taken(to, row.text("collname"))?;
                    self.update(PG_COLLATION, &["oid"], &key, |r| r.put("collnamespace", to))?;
                    let (from, to) = (Address::new(PG_NAMESPACE, schema), Address::new(PG_NAMESPACE, to));
                    self.redepend(Address::new(PG_COLLATION, oid), from, to)?;
                }
            }
            AlterCollation::Owner(role) => {
                let new = self.role(role)?;
                if new != row.oid("collowner") {
                    self.may_own_in(new, schema, &shown(schema)?)?;
                    self.update(PG_COLLATION, &["oid"], &key, |r| r.put("collowner", new))?;
                }
            }
            // Byte order has no versions.
            AlterCollation::Refresh => {
                self.notice(SqlState::SUCCESSFUL_COMPLETION, "version has not changed".into());
            }
        }
        self.step();
        Ok(())
    }

    /// What has a collation of a user's goes with it.
    pub(super) fn depend_on_collation(&self, of: Address, collation: Oid) -> Result<()> {
        self.depend(of, Address::new(PG_COLLATION, collation), Dependency::Normal)
    }
}

/// 22023 for a locale that there is not.
fn check_locale(locale: &str) -> Result<()> {
    if LOCALES.contains(&locale.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    let text = format!("could not create locale \"{locale}\": No such file or directory");
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text).detail(format!(
        "The operating system could not find any locale data for the locale name \"{locale}\"."
    )))
}

//! Domains: their constraints, and checking what is stored when these change.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    CatalogReader,
    builtin::{PG_ATTRIBUTE, PG_CONSTRAINT, PG_TYPE},
    table::Row,
    user_types::MAX_DOMAINS,
};
use pg_plan::{
    types::{DomainAction, DomainCheckDef, DomainDef},
    utility::ObjectName,
};
use pg_storage::LockMode;
use pg_types::{Oid, Result, SqlError, SqlState, Value, typeinfo, user};

use super::{Address, Ddl, Dependency, object_name};
use crate::cursor::Cursor;

impl Ddl<'_, '_> {
    pub(super) fn create_domain(&self, name: &ObjectName, d: &DomainDef) -> Result<()> {
        let (schema, _) = self.creation_schema(name)?;
        self.refuse_deep(d.over.oid)?;
        let base = self.reader()?.plain_type(d.over)?;
        let info = typeinfo::get(base.oid).ok_or_else(|| SqlError::internal("a domain over no type"))?;
        self.may_use_type(d.over.oid)?;
        self.hold_type(d.over.oid)?;
        let default = d.default.as_deref().map(|text| self.shown_default(text)).transpose()?;
        let oid = self.new_type(user::Class::Domain, schema, &name.name, |r| {
            r.put("typlen", info.len);
            r.put("typbyval", info.by_value);
            r.put("typcategory", info.category);
            r.put("typdelim", info.delimiter);
            r.put("typoutput", info.output.oid);
            r.put("typsend", info.send.oid);
            r.put("typalign", info.align);
            r.put("typstorage", info.storage);
            r.put("typnotnull", d.not_null);
            r.put("typbasetype", d.over.oid);
            r.put("typtypmod", d.over.typmod);
            r.put("typcollation", d.collation);
            put_default(r, default.as_ref());
        })?;
        let address = Address::new(PG_TYPE, oid);
        self.depend(address, Address::new(PG_TYPE, d.over.oid), Dependency::Normal)?;
        self.depend_on_collation(address, d.collation)?;
        for check in &d.checks {
            self.insert_domain_check(oid, schema, &name.name, check)?;
        }
        Ok(())
    }

    /// A default with its text for clients, which names types as of now.
    fn shown_default<'t>(&self, text: &'t str) -> Result<(&'t str, String)> {
        Ok((text, crate::host::named_types(&self.reader()?, text)))
    }

    /// Domains may lie over each other so deep and no deeper.
    fn refuse_deep(&self, over: Oid) -> Result<()> {
        let mut at = over;
        for _ in 0..MAX_DOMAINS {
            if !user::is_domain(at) {
                return Ok(());
            }
            let rows = self.find(PG_TYPE, &["oid"], &[Value::Oid(at)])?;
            at = rows.first().map_or(0, |r| r.1.oid("typbasetype"));
        }
        Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "domains are nested too deeply"))
    }

    fn domain_checks(&self, oid: Oid) -> Result<Vec<Row>> {
        Ok(self.find(PG_CONSTRAINT, &["contypid"], &[Value::Oid(oid)])?.into_iter().map(|r| r.1).collect())
    }

    /// Adds a CHECK; returns its name.
    fn insert_domain_check(
        &self,
        domain: Oid,
        schema: Oid,
        name: &str,
        check: &DomainCheckDef,
    ) -> Result<String> {
        let rows = self.domain_checks(domain)?;
        let taken = |n: &str| rows.iter().any(|r| r.text("conname") == n);
        let chosen = match &check.name {
            Some(given) if taken(given) => {
                let message = format!("constraint \"{given}\" for domain \"{name}\" already exists");
                return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
            }
            Some(given) => given.clone(),
            None => {
                let numbered = (1..).map(|n: u32| format!("check{n}"));
                let mut labels = core::iter::once(String::from("check")).chain(numbered);
                let free = labels.find(|l| !taken(&object_name(name, "", l)));
                object_name(name, "", &free.unwrap_or_default())
            }
        };
        let oid = self.oid()?;
        let row = self
            .row(PG_CONSTRAINT)?
            .set("oid", oid)
            .set("conname", chosen.as_str())
            .set("connamespace", schema)
            .set("contype", b'c')
            .set("convalidated", !check.not_valid)
            .set("contypid", domain)
            .set("confupdtype", b' ')
            .set("confdeltype", b' ')
            .set("confmatchtype", b' ')
            .set("conislocal", true)
            .set("conbin", check.condition.as_str());
        self.insert(PG_CONSTRAINT, &row)?;
        self.depend(Address::new(PG_CONSTRAINT, oid), Address::new(PG_TYPE, domain), Dependency::Auto)?;
        self.depend_on_references(Address::new(PG_CONSTRAINT, oid), &check.condition)?;
        Ok(chosen)
    }

    pub(super) fn alter_domain(&self, row: &Row, action: &DomainAction) -> Result<()> {
        let (oid, name) = (row.oid("oid"), row.text("typname").to_string());
        if !user::is_domain(oid) {
            let shown = crate::text::type_name(&self.reader()?, oid, None)?;
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("{shown} is not a domain")));
        }
        let key = [Value::Oid(oid)];
        match action {
            DomainAction::SetDefault(text) => {
                let default = self.shown_default(text)?;
                self.update(PG_TYPE, &["oid"], &key, |r| put_default(r, Some(&default)))?;
            }
            DomainAction::DropDefault => {
                self.update(PG_TYPE, &["oid"], &key, |r| put_default(r, None))?;
            }
            DomainAction::SetNotNull if row.bool("typnotnull") => {}
            DomainAction::SetNotNull => {
                self.check_stored(oid, "value IS NULL", &|table, column| {
                    let message = format!("column \"{column}\" of table \"{table}\" contains null values");
                    SqlError::new(SqlState::NOT_NULL_VIOLATION, message)
                })?;
                self.update(PG_TYPE, &["oid"], &key, |r| r.put("typnotnull", true))?;
            }
            DomainAction::DropNotNull => {
                self.update(PG_TYPE, &["oid"], &key, |r| r.put("typnotnull", false))?;
            }
            DomainAction::AddCheck(check) => {
                self.insert_domain_check(oid, row.oid("typnamespace"), &name, check)?;
                if !check.not_valid {
                    self.check_stored(oid, &format!("NOT ({})", check.condition), &violated)?;
                }
            }
            DomainAction::DropConstraint { name: constraint, if_exists, cascade } => {
                let Some(found) = self.domain_check_named(oid, constraint)? else {
                    let message = format!("constraint \"{constraint}\" of domain \"{name}\" does not exist");
                    if !if_exists {
                        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
                    }
                    self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
                    return Ok(());
                };
                self.drop_objects(&[Address::new(PG_CONSTRAINT, found.oid("oid"))], *cascade)?;
            }
            DomainAction::RenameConstraint { name: constraint, new } => {
                let found = self.domain_check_named(oid, constraint)?.ok_or_else(|| {
                    let message = format!("constraint \"{constraint}\" for domain {name} does not exist");
                    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
                })?;
                if self.domain_check_named(oid, new)?.is_some() {
                    let message = format!("constraint \"{new}\" for domain {name} already exists");
                    return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
                }
                let key = [Value::Oid(found.oid("oid"))];
                self.update(PG_CONSTRAINT, &["oid"], &key, |r| r.put("conname", new.as_str()))?;
            }
            DomainAction::ValidateConstraint(constraint) => {
                let found = self.domain_check_named(oid, constraint)?.ok_or_else(|| {
                    let message = format!("constraint \"{constraint}\" of domain \"{name}\" does not exist");
                    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
                })?;
                self.check_stored(oid, &format!("NOT ({})", found.text("conbin")), &violated)?;
                let key = [Value::Oid(found.oid("oid"))];
                self.update(PG_CONSTRAINT, &["oid"], &key, |r| r.put("convalidated", true))?;
            }
        }
        Ok(())
    }

    fn domain_check_named(&self, domain: Oid, name: &str) -> Result<Option<Row>> {
        Ok(self.domain_checks(domain)?.into_iter().find(|r| r.text("conname") == name))
    }

    /// What a column of a domain has by default: the text of the domain's own default or of one below it, or NULL.
    pub(super) fn domain_default(&self, domain: Oid) -> Result<String> {
        let mut at = domain;
        for _ in 0..=MAX_DOMAINS {
            let Some(t) = self.reader()?.user_type(at)? else { break };
            let Some(d) = t.domain() else { break };
            if let Some(text) = &d.default {
                return Ok(text.clone());
            }
            at = d.over.oid;
        }
        Ok(String::from("NULL"))
    }

    /// Looks for a stored value of a domain, or of one over it, for which `condition` over `value` is true. Arrays and composite
    /// values that hold the domain are refused, as PostgreSQL does.
    fn check_stored(
        &self,
        domain: Oid,
        condition: &str,
        error: &dyn Fn(&str, &str) -> SqlError,
    ) -> Result<()> {
        let mut domains = Vec::from([domain]);
        let mut at = 0;
        while let Some(&d) = domains.get(at) {
            at += 1;
            for (_, r) in self.find(PG_TYPE, &["typbasetype"], &[Value::Oid(d)])? {
                domains.push(r.oid("oid"));
            }
        }
        self.step();
        for &d in &domains {
            for (_, a) in self.find(PG_ATTRIBUTE, &["atttypid"], &[Value::Oid(d + 1)])? {
                let Some(r) = self.reader()?.relation_by_oid(a.oid("attrelid"))? else { continue };
                if a.bool("attisdropped") || r.kind != pg_catalog::RelationKind::Table {
                    continue;
                }
                let name = crate::text::type_name(&self.reader()?, d, None)?;
                let column = a.text("attname");
                let message =
                    format!("cannot alter type \"{name}\" because column \"{}.{column}\" uses it", r.name);
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
        }
        for d in domains {
            for (_, a) in self.find(PG_ATTRIBUTE, &["atttypid"], &[Value::Oid(d)])? {
                if a.bool("attisdropped") {
                    continue;
                }
                let Some(r) = self.reader()?.relation_by_oid(a.oid("attrelid"))? else { continue };
                match r.kind {
                    pg_catalog::RelationKind::Table => {}
                    pg_catalog::RelationKind::Composite => self.refuse_within(d, &r.name)?,
                    _ => continue,
                }
                if r.kind != pg_catalog::RelationKind::Table {
                    continue;
                }
                self.lock(r.oid, LockMode::Share)?;
                let column = a.text("attname");
                let quoted = crate::text::quote_identifier;
                let query = format!(
                    "SELECT 1 FROM (SELECT {} AS value FROM {}.{}) x WHERE {condition} LIMIT 1",
                    quoted(column),
                    quoted(&r.schema_name),
                    quoted(&r.name),
                );
                if self.yields_row(&query)? {
                    return Err(error(&r.name, column));
                }
            }
        }
        Ok(())
    }

    /// A composite type has an attribute of the domain: stored values of it cannot be looked through.
    fn refuse_within(&self, domain: Oid, composite: &str) -> Result<()> {
        let name = crate::text::type_name(&self.reader()?, domain, None)?;
        let rows = self.find(PG_TYPE, &["typname"], &[Value::text(composite)])?;
        for (_, t) in rows {
            for oid in [t.oid("oid"), t.oid("oid") + 1] {
                for (_, a) in self.find(PG_ATTRIBUTE, &["atttypid"], &[Value::Oid(oid)])? {
                    let Some(r) = self.reader()?.relation_by_oid(a.oid("attrelid"))? else { continue };
                    if r.kind == pg_catalog::RelationKind::Table && !a.bool("attisdropped") {
                        let message = format!(
                            "cannot alter type \"{name}\" because column \"{}.{}\" uses it",
                            r.name,
                            a.text("attname")
                        );
                        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
                    }
                }
            }
        }
        Ok(())
    }

    /// Does a query yield a row?
    fn yields_row(&self, query: &str) -> Result<bool> {
        let plan = self.cx.session.plan_query(&self.reader()?, query)?;
        let mut cursor = Cursor::new(&plan)?;
        cursor.open(self.cx)?;
        let mut found = false;
        while let Some(batch) = cursor.next(self.cx)? {
            if batch.row_count() > 0 {
                found = true;
                break;
            }
        }
        cursor.close();
        Ok(found)
    }
}

fn violated(table: &str, column: &str) -> SqlError {
    let message =
        format!("column \"{column}\" of table \"{table}\" contains values that violate the new constraint");
    SqlError::new(SqlState::CHECK_VIOLATION, message)
}

/// The default as it is kept, and as clients read it.
fn put_default(row: &mut Row, default: Option<&(&str, String)>) {
    row.put("typdefaultbin", default.map_or(Value::Null, |d| Value::text(d.0)));
    row.put("typdefault", default.map_or(Value::Null, |d| Value::text(&d.1)));
}

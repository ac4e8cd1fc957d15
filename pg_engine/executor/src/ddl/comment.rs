//! COMMENT ON.

use alloc::format;

use pg_catalog::{CatalogReader, builtin::*};
use pg_plan::utility::{Comment, Named, ObjectKind, ObjectName};
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::{Address, Ddl, kind_word};

impl Ddl<'_, '_> {
    fn commented(&self, c: &Comment) -> Result<Address> {
        let by_name = |catalog: Oid, column: &str, word: &str, state: SqlState| -> Result<Address> {
            let rows = self.find(catalog, &[column], &[Value::text(&c.name.name)])?;
            rows.first()
                .map(|r| Address::new(catalog, r.1.oid("oid")))
                .ok_or_else(|| SqlError::new(state, format!("{word} \"{}\" does not exist", c.name.name)))
        };
        match c.kind {
            ObjectKind::Schema => {
                let a = by_name(PG_NAMESPACE, "nspname", "schema", SqlState::INVALID_SCHEMA_NAME)?;
                self.must_own_schema(a.object, &c.name.name)?;
                return Ok(a);
            }
            ObjectKind::Extension => {
                let a = by_name(PG_EXTENSION, "extname", "extension", SqlState::UNDEFINED_OBJECT)?;
                self.must_own_extension(&c.name.name)?;
                return Ok(a);
            }
            ObjectKind::Database => {
                return by_name(PG_DATABASE, "datname", "database", SqlState::INVALID_CATALOG_NAME);
            }
            ObjectKind::Role => {
                return Ok(Address::new(PG_AUTHID, self.role_oid(&c.name.name)?));
            }
            ObjectKind::Type | ObjectKind::Domain => {
                let row = self.type_row(&c.name)?.ok_or_else(|| super::types::no_type(&c.name))?;
                let oid = row.oid("oid");
                if c.kind == ObjectKind::Domain && row.char("typtype") != b'd' {
                    let shown = crate::text::type_name(&self.reader()?, oid, None)?;
                    let message = format!("\"{shown}\" is not a domain");
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
                }
                if !self.owns(row.oid("typowner"))? {
                    let shown = crate::text::type_name(&self.reader()?, oid, None)?;
                    return Err(pg_catalog::access::not_owner("type", &shown));
                }
                if let Some(part) = &c.part {
                    let rows = self.find(PG_CONSTRAINT, &["contypid"], &[Value::Oid(oid)])?;
                    let found = rows.iter().find(|r| r.1.text("conname") == part);
                    let found = found.ok_or_else(|| {
                        let shown = row.text("typname");
                        let message = format!("constraint \"{part}\" for domain {shown} does not exist");
                        SqlError::new(SqlState::UNDEFINED_OBJECT, message)
                    })?;
                    return Ok(Address::new(PG_CONSTRAINT, found.1.oid("oid")));
                }
                return Ok(Address::new(PG_TYPE, oid));
            }
            ObjectKind::Named(named) => return self.commented_by_name(named, &c.name.name),
            ObjectKind::OfMethod(named) => {
                return self.commented_of_method(named, &c.name, c.part.as_deref().unwrap_or(""));
            }
            _ => {}
        }
        let relation = self.named(&c.name, false)?.ok_or_else(|| SqlError::internal("no such relation"))?;
        if matches!(c.kind, ObjectKind::Column | ObjectKind::Constraint) && !self.owns(relation.owner)? {
            return Err(pg_catalog::access::not_owner("relation", &relation.name));
        }
        self.must_own(&relation)?;
        let part = c.part.as_deref().unwrap_or("");
        match c.kind {
            ObjectKind::PartOf(named) => {
                let rows = self.find(named.catalog, &[named.of], &[Value::Oid(relation.oid)])?;
                let found = rows.iter().find(|r| r.1.text(&named.column()) == part);
                let of = if named.catalog == PG_REWRITE { "relation" } else { "table" };
                found.map(|r| Address::new(named.catalog, r.1.oid("oid"))).ok_or_else(|| {
                    let text =
                        format!("{} \"{part}\" for {of} \"{}\" does not exist", named.word, relation.name);
                    SqlError::new(SqlState::UNDEFINED_OBJECT, text)
                })
            }
            ObjectKind::Column => {
                let a = relation.live().find(|a| a.name == part).ok_or_else(|| {
                    SqlError::new(
                        SqlState::UNDEFINED_COLUMN,
                        format!("column \"{part}\" of relation \"{}\" does not exist", relation.name),
                    )
                })?;
                Ok(Address::column(relation.oid, a.attnum))
            }
            ObjectKind::Constraint => {
                let k = relation.constraints.iter().find(|k| k.name == part).ok_or_else(|| {
                    SqlError::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!("constraint \"{part}\" for table \"{}\" does not exist", relation.name),
                    )
                })?;
                Ok(Address::new(PG_CONSTRAINT, k.oid))
            }
            kind => {
                let wanted = match kind {
                    ObjectKind::Index => "index",
                    ObjectKind::Sequence => "sequence",
                    ObjectKind::View => "view",
                    ObjectKind::MaterializedView => "materialized view",
                    _ => "table",
                };
                if kind_word(relation.kind) != wanted {
                    let article = if wanted == "index" { "an" } else { "a" };
                    return Err(SqlError::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("\"{}\" is not {article} {wanted}", relation.name),
                    ));
                }
                Ok(Address::new(PG_CLASS, relation.oid))
            }
        }
    }

    /// An object that one name tells, if the user may comment on it.
    fn commented_by_name(&self, named: &Named, name: &str) -> Result<Address> {
        let column = named.column();
        let rows = self.find(named.catalog, &[&column], &[Value::text(name)])?;
        let Some((_, row)) = rows.first() else {
            let text = format!("{} \"{name}\" does not exist", named.word);
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text));
        };
        let owner = format!("{}owner", named.prefix);
        if self.catalog(named.catalog)?.def.column(&owner).is_none() {
            if !self.is_superuser()? {
                return Err(super::access::refused("must be superuser"));
            }
        } else if !self.owns(row.oid(&owner))? {
            return Err(pg_catalog::access::not_owner(named.word, name));
        }
        Ok(Address::new(named.catalog, row.oid("oid")))
    }

    /// An operator class or family of an access method.
    fn commented_of_method(&self, named: &Named, name: &ObjectName, method: &str) -> Result<Address> {
        let undefined = |text| SqlError::new(SqlState::UNDEFINED_OBJECT, text);
        let methods = self.find(PG_AM, &["amname"], &[Value::text(method)])?;
        let am = methods.first().map(|r| r.1.oid("oid"));
        let am = am.ok_or_else(|| undefined(format!("access method \"{method}\" does not exist")))?;
        let reader = self.reader()?;
        let schemas = match &name.schema {
            Some(s) => reader.schema(s)?.into_iter().collect(),
            None => reader.searched(),
        };
        let (column, owner) = (named.column(), format!("{}owner", named.prefix));
        let namespace = format!("{}namespace", named.prefix);
        let rows = self.find(named.catalog, &[named.of], &[Value::Oid(am)])?;
        let named_so =
            |s: &Oid| rows.iter().find(|r| r.1.text(&column) == name.name && r.1.oid(&namespace) == *s);
        let Some((_, row)) = schemas.iter().find_map(named_so) else {
            return Err(undefined(format!(
                "{} \"{}\" does not exist for access method \"{method}\"",
                named.word, name.name
            )));
        };
        if !self.owns(row.oid(&owner))? {
            return Err(pg_catalog::access::not_owner(named.word, &name.name));
        }
        Ok(Address::new(named.catalog, row.oid("oid")))
    }

    /// COMMENT ON.
    pub(crate) fn comment(&self, c: &Comment) -> Result<()> {
        let a = self.commented(c)?;
        let shared = matches!(a.class, PG_DATABASE | PG_AUTHID | PG_TABLESPACE);
        let catalog = if shared { PG_SHDESCRIPTION } else { PG_DESCRIPTION };
        let key = [Value::Oid(a.object), Value::Oid(a.class)];
        let rows = self.find(catalog, &["objoid", "classoid"], &key)?;
        {
            let mut txn = self.cx.txn.borrow_mut();
            for (tid, r) in rows {
                if shared || r.int("objsubid") == i64::from(a.sub) {
                    self.catalog(catalog)?.delete(self.cx.engine.storage(), txn.storage(), tid)?;
                }
            }
        }
        if let Some(text) = c.text.as_deref().filter(|t| !t.is_empty()) {
            let mut row =
                self.row(catalog)?.set("objoid", a.object).set("classoid", a.class).set("description", text);
            if !shared {
                row.put("objsubid", a.sub);
            }
            self.insert(catalog, &row)?;
        }
        self.step();
        Ok(())
    }
}

//! COMMENT ON.

use alloc::format;

use pg_catalog::builtin::{
    PG_CLASS, PG_CONSTRAINT, PG_DATABASE, PG_DESCRIPTION, PG_EXTENSION, PG_NAMESPACE, PG_SHDESCRIPTION,
};
use pg_plan::utility::{Comment, ObjectKind};
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
                return Ok(Address::new(pg_catalog::builtin::PG_AUTHID, self.role_oid(&c.name.name)?));
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
                return Ok(Address::new(pg_catalog::builtin::PG_TYPE, oid));
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

    /// COMMENT ON.
    pub(crate) fn comment(&self, c: &Comment) -> Result<()> {
        let a = self.commented(c)?;
        let shared = matches!(c.kind, ObjectKind::Database | ObjectKind::Role);
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

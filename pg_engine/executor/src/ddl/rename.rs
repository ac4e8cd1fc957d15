//! ALTER ... RENAME.

use alloc::{format, sync::Arc, vec::Vec};

use pg_catalog::{
    Relation,
    builtin::{FIRST_NORMAL_OID, PG_ATTRIBUTE, PG_CLASS, PG_CONSTRAINT, PG_NAMESPACE, PG_TYPE},
};
use pg_plan::utility::{ObjectKind, Rename};
use pg_storage::LockMode;
use pg_types::{Result, SqlError, SqlState, Value};

use super::{Ddl, kind_word};

impl Ddl<'_, '_> {
    /// ALTER ... RENAME.
    pub(crate) fn rename(&self, r: &Rename) -> Result<()> {
        let new = r.new_name.as_str();
        if r.kind == ObjectKind::Schema {
            let reader = self.reader()?;
            let oid = reader.schema(&r.name.name)?.ok_or_else(|| {
                SqlError::new(
                    SqlState::INVALID_SCHEMA_NAME,
                    format!("schema \"{}\" does not exist", r.name.name),
                )
            })?;
            self.must_own_schema(oid, &r.name.name)?;
            self.may_create_schema()?;
            if reader.schema(new)?.is_some() {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_SCHEMA,
                    format!("schema \"{new}\" already exists"),
                ));
            }
            let texts = self.texts_over_schema(oid)?;
            self.update(PG_NAMESPACE, &["oid"], &[Value::Oid(oid)], |row| row.put("nspname", new))?;
            self.step();
            return self.store_texts(&texts);
        }
        if r.kind == ObjectKind::Role {
            return self.rename_role(&r.name.name, new);
        }
        let Some(relation) = self.named(&r.name, r.if_exists)? else { return Ok(()) };
        self.must_own(&relation)?;
        if relation.oid < FIRST_NORMAL_OID {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied: \"{}\" is a system catalog", relation.name),
            ));
        }
        let relation = self.relock(&relation, LockMode::AccessExclusive)?;
        let texts = self.texts_over(&[relation.oid])?;
        let part = r.part.as_deref().unwrap_or("");
        match r.kind {
            ObjectKind::Column => {
                self.refuse_typed_to(&relation, "rename column of")?;
                return self.rename_columns(&relation, part, new);
            }
            ObjectKind::Constraint => {
                // PostgreSQL asks the same of either, in the same words.
                self.refuse_typed_to(&relation, "rename column of")?;
                let c = relation.constraints.iter().find(|c| c.name == part).ok_or_else(|| {
                    SqlError::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!("constraint \"{part}\" for table \"{}\" does not exist", relation.name),
                    )
                })?;
                if relation.constraints.iter().any(|c| c.name == new) {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_OBJECT,
                        format!("constraint \"{new}\" for relation \"{}\" already exists", relation.name),
                    ));
                }
                self.update(PG_CONSTRAINT, &["oid"], &[Value::Oid(c.oid)], |row| row.put("conname", new))?;
                if c.index != 0 {
                    self.update(PG_CLASS, &["oid"], &[Value::Oid(c.index)], |row| row.put("relname", new))?;
                }
            }
            kind => {
                let wanted = match kind {
                    ObjectKind::Index => "index",
                    ObjectKind::Sequence => "sequence",
                    ObjectKind::View => "view",
                    ObjectKind::MaterializedView => "materialized view",
                    _ => "table",
                };
                // ALTER TABLE may rename anything that looks like a table.
                if kind_word(relation.kind) != wanted && kind != ObjectKind::Table {
                    let article = if wanted == "index" { "an" } else { "a" };
                    return Err(SqlError::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("\"{}\" is not {article} {wanted}", relation.name),
                    ));
                }
                self.name_taken(relation.schema, new, false)?;
                let key = [Value::Oid(relation.oid)];
                self.update(PG_CLASS, &["oid"], &key, |row| row.put("relname", new))?;
                self.update(PG_TYPE, &["typrelid"], &key, |row| row.put("typname", new))?;
                self.update(PG_CONSTRAINT, &["conindid"], &key, |row| row.put("conname", new))?;
            }
        }
        self.step();
        self.store_texts(&texts)
    }

    /// Renames a column of a table and its heirs.
    pub(super) fn rename_columns(&self, relation: &Arc<Relation>, part: &str, new: &str) -> Result<()> {
        let heirs = self.heirs(relation)?;
        self.refuse_renaming(relation, &heirs, part)?;
        let oids: Vec<_> = core::iter::once(relation).chain(&heirs).map(|r| r.oid).collect();
        let mut texts = self.texts_over(&oids)?;
        for relation in core::iter::once(relation).chain(&heirs) {
            self.texts_of_columns(relation, &mut texts)?;
        }
        for relation in core::iter::once(relation).chain(&heirs) {
            self.rename_column(relation, part, new)?;
        }
        self.step();
        self.store_texts(&texts)
    }

    fn rename_column(&self, relation: &Relation, part: &str, new: &str) -> Result<()> {
        let a = relation.live().find(|a| a.name == part).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{part}\" does not exist"))
        })?;
        if relation.live().any(|a| a.name == new) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{new}\" of relation \"{}\" already exists", relation.name),
            ));
        }
        let key = [Value::Oid(relation.oid), Value::Int2(a.attnum)];
        self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |row| row.put("attname", new))?;
        // Columns of indexes keep the names that they were made with.
        Ok(())
    }
}

//! Tables of composite types: their columns are the type's, and change with it only.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{
    CatalogReader, Relation,
    builtin::{PG_CLASS, PG_DEPEND, PG_INHERITS, PG_TYPE},
};
use pg_plan::{
    types::AttributeAction,
    utility::{AlterAction, ColumnDef},
};
use pg_storage::LockMode;
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::{Address, Ddl, Dependency};

fn wrong(text: String) -> SqlError {
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, text)
}

fn mismatch(text: String) -> SqlError {
    SqlError::new(SqlState::DATATYPE_MISMATCH, text)
}

impl Ddl<'_, '_> {
    /// The type that a table is of; 0: of none.
    fn type_of_table(&self, relation: Oid) -> Result<Oid> {
        let rows = self.find(PG_CLASS, &["oid"], &[Value::Oid(relation)])?;
        Ok(rows.first().map_or(0, |r| r.1.oid("reloftype")))
    }

    /// Notes that a table is of a type.
    pub(super) fn become_typed(&self, relation: Oid, ty: Oid) -> Result<()> {
        self.may_use_type(ty)?;
        self.hold_type(ty)?;
        self.update(PG_CLASS, &["oid"], &[Value::Oid(relation)], |r| r.put("reloftype", ty))?;
        self.depend(Address::new(PG_CLASS, relation), Address::new(PG_TYPE, ty), Dependency::Normal)?;
        self.step();
        Ok(())
    }

    /// What ALTER TABLE may not do with a table whose type says what its columns are.
    pub(super) fn refuse_typed(&self, relation: &Relation, action: &AlterAction) -> Result<()> {
        let what = match action {
            AlterAction::AddColumn { .. } => "add column to",
            AlterAction::DropColumn { .. } => "drop column from",
            AlterAction::SetType { .. } => "alter column type of",
            AlterAction::Inherit(_) | AlterAction::NoInherit(_) => "change inheritance of",
            _ => return Ok(()),
        };
        self.refuse_typed_to(relation, what)
    }

    pub(super) fn refuse_typed_to(&self, relation: &Relation, what: &str) -> Result<()> {
        match self.type_of_table(relation.oid)? {
            0 => Ok(()),
            _ => Err(wrong(format!("cannot {what} typed table"))),
        }
    }

    /// ALTER TABLE ... OF.
    pub(super) fn alter_of(&self, relation: &Relation, ty: Oid) -> Result<()> {
        let reader = self.reader()?;
        let Some(described) = reader.user_type(ty)? else {
            return Err(SqlError::internal("a composite type is gone"));
        };
        let mut columns = relation.live();
        for field in described.fields() {
            let Some(a) = columns.next() else {
                return Err(mismatch(format!("table is missing column \"{}\"", field.name)));
            };
            if a.name != field.name {
                let text = format!("table has column \"{}\" where type requires \"{}\"", a.name, field.name);
                return Err(mismatch(text));
            }
            if a.declared != field.ty {
                let text =
                    format!("table \"{}\" has different type for column \"{}\"", relation.name, field.name);
                return Err(mismatch(text));
            }
        }
        if let Some(a) = columns.next() {
            return Err(mismatch(format!("table has extra column \"{}\"", a.name)));
        }
        if !self.find(PG_INHERITS, &["inhrelid"], &[Value::Oid(relation.oid)])?.is_empty() {
            return Err(wrong("typed tables cannot inherit".into()));
        }
        let old = self.type_of_table(relation.oid)?;
        if old != 0 {
            self.forget_of(relation.oid, old)?;
        }
        self.become_typed(relation.oid, ty)
    }

    /// ALTER TABLE ... NOT OF.
    pub(super) fn alter_not_of(&self, relation: &Relation) -> Result<()> {
        match self.type_of_table(relation.oid)? {
            0 => Err(wrong(format!("\"{}\" is not a typed table", relation.name))),
            old => self.forget_of(relation.oid, old),
        }
    }

    fn forget_of(&self, relation: Oid, ty: Oid) -> Result<()> {
        self.update(PG_CLASS, &["oid"], &[Value::Oid(relation)], |r| r.put("reloftype", 0u32))?;
        let key = [Value::Oid(PG_CLASS), Value::Oid(relation)];
        let rows = self.find(PG_DEPEND, &["classid", "objid"], &key)?;
        let table = self.catalog(PG_DEPEND)?;
        let mut txn = self.cx.txn.borrow_mut();
        for (tid, r) in rows {
            let of = r.oid("refclassid") == PG_TYPE && r.oid("refobjid") == ty;
            if of && r.int("objsubid") == 0 {
                table.delete(self.cx.engine.storage(), txn.storage(), tid)?;
            }
        }
        Ok(())
    }

    /// The tables of a type that a change of the type reaches; without CASCADE there must be none.
    pub(super) fn typed_tables(&self, ty: Oid, name: &str, cascade: bool) -> Result<Vec<Arc<Relation>>> {
        let rows = self.find(PG_CLASS, &["reloftype"], &[Value::Oid(ty)])?;
        if !rows.is_empty() && !cascade {
            let text = format!("cannot alter type \"{name}\" because it is the type of a typed table");
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text)
                .hint("Use ALTER ... CASCADE to alter the typed tables too."));
        }
        let mut oids: Vec<Oid> = rows.iter().map(|r| r.1.oid("oid")).collect();
        oids.sort_unstable();
        oids.into_iter().map(|oid| self.current(oid)).collect()
    }

    /// Changes a table as its type was changed.
    pub(super) fn follow_type(&self, relation: &Relation, action: &AttributeAction) -> Result<()> {
        let relation = self.relock(relation, LockMode::AccessExclusive)?;
        let change = match action {
            AttributeAction::Add(def) => AlterAction::AddColumn {
                column: ColumnDef {
                    name: def.name.clone(),
                    ty: def.ty,
                    not_null: false,
                    default: None,
                    generated: 0,
                    sequence: None,
                    collation: def.collation,
                    compression: 0,
                },
                constraints: Vec::new(),
                if_not_exists: false,
            },
            AttributeAction::Drop { name, if_exists } => {
                AlterAction::DropColumn { name: name.clone(), if_exists: *if_exists, cascade: true }
            }
            AttributeAction::SetType(def) => AlterAction::SetType {
                column: def.name.clone(),
                ty: def.ty,
                collation: def.collation,
                using: crate::text::quote_identifier(&def.name),
            },
            AttributeAction::Rename { name, new } => return self.rename_columns(&relation, name, new),
        };
        self.alter_family(&relation, &change, false)?;
        self.step();
        Ok(())
    }
}

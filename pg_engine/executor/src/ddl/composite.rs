//! Composite types: relations without storage whose row type is what is asked for.

use alloc::{format, sync::Arc, vec::Vec};

use pg_catalog::{
    Relation, RelationKind,
    builtin::{PG_ATTRIBUTE, PG_CLASS, PG_TYPE},
    table::Row,
};
use pg_plan::{
    types::{AttributeAction, AttributeDef},
    utility::{ColumnDef, ObjectName},
};
use pg_storage::LockMode;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, user};

use super::{Address, Ddl, table::NewRelation};

fn column(a: &AttributeDef) -> ColumnDef {
    ColumnDef {
        name: a.name.clone(),
        ty: a.ty,
        not_null: false,
        default: None,
        generated: 0,
        sequence: None,
        collation: a.collation,
        compression: 0,
    }
}

/// What becomes of a composite type's values.
#[derive(Clone, Copy)]
enum Reshape {
    /// One more field of this type, NULL.
    Add(Oid),
    /// The field at this position goes.
    Drop(usize),
}

impl Reshape {
    /// Changes a value, or the elements of an array.
    fn apply(self, v: &mut Value) {
        match v {
            Value::Record(r) => {
                let r = Arc::make_mut(r);
                r.names = None;
                match self {
                    Self::Add(ty) => {
                        r.values.push(Value::Null);
                        r.types.push(ty);
                    }
                    Self::Drop(n) if n < r.values.len().min(r.types.len()) => {
                        r.values.remove(n);
                        r.types.remove(n);
                    }
                    Self::Drop(_) => {}
                }
            }
            Value::Array(a) => Arc::make_mut(a).values.iter_mut().for_each(|e| self.apply(e)),
            _ => {}
        }
    }
}

impl Ddl<'_, '_> {
    pub(super) fn create_composite(&self, name: &ObjectName, attributes: &[AttributeDef]) -> Result<()> {
        let (schema, _) = self.creation_schema(name)?;
        if self.type_name_taken(schema, &name.name)? {
            return Err(super::types::type_taken(&name.name));
        }
        self.name_taken(schema, &name.name, false)?;
        let columns: Vec<ColumnDef> = attributes.iter().map(column).collect();
        self.create_relation(&NewRelation {
            name: &name.name,
            schema,
            kind: b'c',
            columns: &columns,
            storage: 0,
            options: Vec::new(),
            persistence: b'p',
        })?;
        Ok(())
    }

    pub(super) fn alter_composite(&self, row: &Row, actions: &[(AttributeAction, bool)]) -> Result<()> {
        let oid = row.oid("oid");
        let relation = match row.oid("typrelid") {
            0 => None,
            relation => Some(self.current(relation)?),
        };
        let relation =
            relation.filter(|r| r.kind == pg_catalog::RelationKind::Composite).ok_or_else(|| {
                SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("\"{}\" is not a composite type", row.text("typname")),
                )
            })?;
        for (action, cascade) in actions {
            let relation = self.current(relation.oid)?;
            let tables = self.typed_tables(oid, &relation.name, *cascade)?;
            // Stored values hold their fields by position: they follow what fields come and go.
            match action {
                AttributeAction::Rename { .. } => {}
                AttributeAction::SetType(_) => self.refuse_stored(oid, &relation)?,
                AttributeAction::Add(def) if relation.live().all(|a| a.name != def.name) => {
                    self.reshape_stored(oid, &relation, Reshape::Add(def.ty.oid))?;
                }
                AttributeAction::Drop { name, .. } => {
                    if let Some(position) = relation.live().position(|a| a.name == *name) {
                        self.reshape_stored(oid, &relation, Reshape::Drop(position))?;
                    }
                }
                AttributeAction::Add(_) => {}
            }
            self.alter_attribute(oid, &relation, action)?;
            self.step();
            tables.iter().try_for_each(|t| self.follow_type(t, action))?;
        }
        Ok(())
    }

    fn alter_attribute(&self, ty: Oid, relation: &Relation, action: &AttributeAction) -> Result<()> {
        let named = |name: &str| {
            relation.live().find(|a| a.name == name).ok_or_else(|| {
                let message = format!("column \"{name}\" of relation \"{}\" does not exist", relation.name);
                SqlError::new(SqlState::UNDEFINED_COLUMN, message)
            })
        };
        let taken = |name: &str| {
            let message = format!("column \"{name}\" of relation \"{}\" already exists", relation.name);
            SqlError::new(SqlState::DUPLICATE_COLUMN, message)
        };
        match action {
            AttributeAction::Add(def) => {
                if relation.live().any(|a| a.name == def.name) {
                    return Err(taken(&def.name));
                }
                self.refuse_containing(ty, def.ty.oid, &relation.name)?;
                let attnum = relation.attributes.len() as i16 + 1;
                self.create_attribute(relation.oid, attnum, &column(def))?;
                let key = [Value::Oid(relation.oid)];
                self.update(PG_CLASS, &["oid"], &key, |r| r.put("relnatts", attnum))?;
            }
            AttributeAction::Drop { name, if_exists } => match named(name) {
                Ok(a) => self.drop_objects(&[Address::column(relation.oid, a.attnum)], false)?,
                Err(e) if *if_exists => {
                    self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{}, skipping", e.message()));
                }
                Err(e) => return Err(e),
            },
            AttributeAction::SetType(def) => {
                let a = named(&def.name)?;
                self.refuse_containing(ty, def.ty.oid, &relation.name)?;
                let key = [Value::Oid(relation.oid), Value::Int2(a.attnum)];
                self.delete(PG_ATTRIBUTE, &["attrelid", "attnum"], &key)?;
                self.forget_type(relation.oid, a.attnum)?;
                self.create_attribute(relation.oid, a.attnum, &column(def))?;
            }
            AttributeAction::Rename { name, new } => {
                let a = named(name)?;
                if relation.live().any(|a| a.name == *new) {
                    return Err(taken(new));
                }
                let key = [Value::Oid(relation.oid), Value::Int2(a.attnum)];
                self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| r.put("attname", new.as_str()))?;
            }
        }
        Ok(())
    }

    /// Rewrites the tables that store values of a composite type whose fields change.
    fn reshape_stored(&self, ty: Oid, composite: &Relation, change: Reshape) -> Result<()> {
        let mut columns: Vec<(Oid, i16)> = Vec::new();
        for oid in [ty, ty + 1] {
            if !self.find(PG_TYPE, &["typbasetype"], &[Value::Oid(oid)])?.is_empty() {
                let text = format!("changing the fields of type {} that a domain is over", composite.name);
                return Err(SqlError::unsupported(text));
            }
            for (_, a) in self.find(PG_ATTRIBUTE, &["atttypid"], &[Value::Oid(oid)])? {
                if !a.bool("attisdropped") {
                    columns.push((a.oid("attrelid"), a.int("attnum") as i16));
                }
            }
        }
        columns.sort_unstable();
        for of_table in columns.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(table, _)) = of_table.first() else { continue };
            let relation = self.current(table)?;
            match relation.kind {
                RelationKind::Table | RelationKind::MaterializedView => {}
                RelationKind::Composite => {
                    let text = format!(
                        "changing the fields of type {} that type {} has one of",
                        composite.name, relation.name
                    );
                    return Err(SqlError::unsupported(text));
                }
                _ => continue,
            }
            let relation = self.relock(&relation, LockMode::AccessExclusive)?;
            let types: Vec<SqlType> = relation.attributes.iter().map(|a| a.ty).collect();
            self.rewrite(&relation, &types, |row, _| {
                for (_, attnum) in of_table {
                    if let Some(v) = row.get_mut(*attnum as usize - 1) {
                        change.apply(v);
                    }
                }
                Ok(())
            })?;
            self.step();
            self.rebuild_indexes(relation.oid)?;
        }
        Ok(())
    }

    /// A type that tables store values of keeps its attributes' types.
    fn refuse_stored(&self, ty: Oid, composite: &Relation) -> Result<()> {
        for oid in [ty + 1, ty] {
            for (_, a) in self.find(PG_ATTRIBUTE, &["atttypid"], &[Value::Oid(oid)])? {
                if a.bool("attisdropped") {
                    continue;
                }
                let user = self.current(a.oid("attrelid"))?;
                let message = format!(
                    "cannot alter type \"{}\" because column \"{}.{}\" uses it",
                    composite.name,
                    user.name,
                    a.text("attname")
                );
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
        }
        Ok(())
    }

    /// A type cannot have a field that has one of its own.
    fn refuse_containing(&self, ty: Oid, field: Oid, name: &str) -> Result<()> {
        let mut wanted = Vec::from([field]);
        let mut seen: Vec<Oid> = Vec::new();
        while let Some(at) = wanted.pop() {
            let at = if user::is_array(at) { at - 1 } else { at };
            if at == ty {
                let message = format!("composite type {name} cannot be made a member of itself");
                return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
            }
            if seen.contains(&at) || !user::is_user(at) {
                continue;
            }
            seen.push(at);
            if let Some(t) = pg_catalog::CatalogReader::user_type(&self.reader()?, at)? {
                wanted.extend(t.fields().iter().map(|f| f.ty.oid));
                wanted.extend(t.domain().map(|d| d.over.oid));
            }
        }
        Ok(())
    }

    /// A column no longer depends on its type.
    pub(super) fn forget_type(&self, relation: Oid, attnum: i16) -> Result<()> {
        use pg_catalog::builtin::{PG_COLLATION, PG_DEPEND, PG_TYPE};
        let key = [Value::Oid(PG_CLASS), Value::Oid(relation)];
        let rows = self.find(PG_DEPEND, &["classid", "objid"], &key)?;
        let table = self.catalog(PG_DEPEND)?;
        let mut txn = self.cx.txn.borrow_mut();
        for (tid, r) in rows {
            if r.int("objsubid") == i64::from(attnum) && matches!(r.oid("refclassid"), PG_TYPE | PG_COLLATION)
            {
                table.delete(self.cx.engine.storage(), txn.storage(), tid)?;
            }
        }
        Ok(())
    }
}

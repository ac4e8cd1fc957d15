//! FOREIGN KEY constraints: making them, and SET CONSTRAINTS.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_catalog::{
    CatalogReader, ForeignKey, Index, Relation, RelationKind,
    builtin::{FIRST_NORMAL_OID, PG_CLASS, PG_CONSTRAINT},
    table::array,
};
use pg_functions::registry;
use pg_plan::utility::{ForeignKeyDef, SetConstraints};
use pg_storage::LockMode;
use pg_types::{Oid, Result, SqlError, SqlState, Value, oid};

use super::{
    Address, Ddl, Dependency, object_name,
    table::{attnums, int2_array},
};
use crate::foreign_key;

impl Ddl<'_, '_> {
    /// Makes a foreign key; the rows that are there must satisfy it.
    pub(super) fn create_foreign_key(
        &self,
        relation: &Arc<Relation>,
        name: Option<&str>,
        key: &ForeignKeyDef,
        not_valid: bool,
    ) -> Result<()> {
        let referenced = self.referenced_table(relation, key)?;
        let columns = attnums(relation, &key.columns)?;
        let (referenced_columns, index) = referenced_key(&referenced, key)?;
        self.need_references(&referenced, &referenced_columns)?;
        if columns.len() != referenced_columns.len() {
            return Err(SqlError::new(
                SqlState::INVALID_FOREIGN_KEY,
                "number of referencing and referenced columns for foreign key disagree",
            ));
        }
        let name = match name {
            Some(name) => {
                self.refuse_duplicate_constraint(relation, name)?;
                name.to_string()
            }
            None => self.foreign_key_name(relation, &key.columns.join("_")),
        };
        let operators = self.key_operators(relation, &referenced, &columns, &referenced_columns, &name)?;
        let changed = delete_columns(relation, key, &columns)?;
        let changed = if changed.is_empty() { Value::Null } else { int2_array(&changed) };
        let oid = self.oid()?;
        let operators = || array(oid::OID, operators.iter().map(|o| Value::Oid(*o)).collect());
        let row = self
            .row(PG_CONSTRAINT)?
            .set("oid", oid)
            .set("conname", name.as_str())
            .set("connamespace", relation.schema)
            .set("contype", b'f')
            .set("condeferrable", key.deferrable)
            .set("condeferred", key.deferred)
            .set("convalidated", !not_valid)
            .set("conrelid", relation.oid)
            .set("conindid", index.oid)
            .set("confrelid", referenced.oid)
            .set("confupdtype", key.on_update)
            .set("confdeltype", key.on_delete)
            .set("confmatchtype", if key.full { b'f' } else { b's' })
            .set("conislocal", true)
            .set("connoinherit", true)
            .set("conkey", int2_array(&columns))
            .set("confkey", int2_array(&referenced_columns))
            .set("confdelsetcols", changed)
            .set("conpfeqop", operators())
            .set("conppeqop", operators())
            .set("conffeqop", operators());
        self.insert(PG_CONSTRAINT, &row)?;
        let address = Address::new(PG_CONSTRAINT, oid);
        for &n in &columns {
            self.depend(address, Address::column(relation.oid, n), Dependency::Auto)?;
        }
        for &n in &referenced_columns {
            self.depend(address, Address::column(referenced.oid, n), Dependency::Normal)?;
        }
        self.depend(address, Address::new(PG_CLASS, index.oid), Dependency::Normal)?;
        for table in [relation.oid, referenced.oid] {
            self.update(PG_CLASS, &["oid"], &[Value::Oid(table)], |r| r.put("relhastriggers", true))?;
        }
        self.step();
        if !not_valid {
            let relation = self.current(relation.oid)?;
            let made = relation.foreign_keys.iter().find(|k| k.oid == oid);
            let made = made.ok_or_else(|| SqlError::internal("the foreign key is gone"))?;
            foreign_key::validate(self.cx, made)?;
        }
        Ok(())
    }

    fn referenced_table(&self, relation: &Arc<Relation>, key: &ForeignKeyDef) -> Result<Arc<Relation>> {
        let name = &key.referenced;
        let found = self.reader()?.relation(name.schema.as_deref(), &name.name)?;
        let Some(found) = found else {
            let shown = match &name.schema {
                Some(schema) => format!("{schema}.{}", name.name),
                None => name.name.clone(),
            };
            let text = format!("relation \"{shown}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_TABLE, text));
        };
        if found.kind != RelationKind::Table {
            let text = format!("referenced relation \"{}\" is not a table", found.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
        }
        if found.oid < FIRST_NORMAL_OID {
            let text = format!("permission denied: \"{}\" is a system catalog", found.name);
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text));
        }
        if found.oid == relation.oid {
            return Ok(relation.clone());
        }
        let refusal = match (relation.persistence, found.persistence) {
            (b'p', b'u' | b't') => {
                Some("constraints on permanent tables may reference only permanent tables")
            }
            (b'u', b't') => {
                Some("constraints on unlogged tables may reference only permanent or unlogged tables")
            }
            (b't', b'p' | b'u') => {
                Some("constraints on temporary tables may reference only temporary tables")
            }
            _ => None,
        };
        if let Some(text) = refusal {
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, text));
        }
        self.relock(&found, LockMode::ShareRowExclusive)
    }

    fn foreign_key_name(&self, relation: &Relation, columns: &str) -> String {
        let mut n = 0u32;
        loop {
            let label = if n == 0 { "fkey".to_string() } else { format!("fkey{n}") };
            let name = object_name(&relation.name, columns, &label);
            if !self.constraint_name_taken(relation, &name) {
                return name;
            }
            n += 1;
        }
    }

    /// Foreign keys with this column on the one or the other side.
    fn keys_of(relation: &Relation, attnum: i16) -> Vec<Arc<ForeignKey>> {
        let own = relation.foreign_keys.iter().filter(|k| k.columns.contains(&attnum));
        let to = relation.referenced_by.iter().filter(|k| k.referenced_columns.contains(&attnum));
        let mut keys: Vec<Arc<ForeignKey>> = own.chain(to).cloned().collect();
        keys.sort_by_key(|k| k.oid);
        keys.dedup_by_key(|k| k.oid);
        keys
    }

    /// Locks the tables on the other side of a column's foreign keys.
    pub(super) fn lock_keys(&self, relation: &Relation, attnum: i16) -> Result<()> {
        for key in Self::keys_of(relation, attnum) {
            for table in [key.table, key.referenced] {
                if table != relation.oid {
                    self.lock(table, LockMode::ShareRowExclusive)?;
                }
            }
        }
        Ok(())
    }

    /// A column has another type: its foreign keys compare by other operators, and must hold by them.
    pub(super) fn renew_keys(&self, relation: &Relation, attnum: i16) -> Result<()> {
        for key in Self::keys_of(relation, attnum) {
            let (table, referenced) = (self.current(key.table)?, self.current(key.referenced)?);
            let operators =
                self.key_operators(&table, &referenced, &key.columns, &key.referenced_columns, &key.name)?;
            let operators = array(oid::OID, operators.into_iter().map(Value::Oid).collect());
            let mut valid = true;
            self.update(PG_CONSTRAINT, &["oid"], &[Value::Oid(key.oid)], |r| {
                for column in ["conpfeqop", "conppeqop", "conffeqop"] {
                    r.put(column, operators.clone());
                }
                valid = r.bool("convalidated");
            })?;
            self.step();
            if valid {
                foreign_key::validate(self.cx, &key)?;
            }
        }
        Ok(())
    }

    /// The equality operators, referenced column on the left.
    fn key_operators(
        &self,
        relation: &Relation,
        referenced: &Relation,
        columns: &[i16],
        referenced_columns: &[i16],
        name: &str,
    ) -> Result<Vec<Oid>> {
        let attribute = |r: &Relation, n: i16| r.live().find(|a| a.attnum == n).cloned();
        let mut operators = Vec::with_capacity(columns.len());
        for (&c, &r) in columns.iter().zip(referenced_columns) {
            let (Some(c), Some(r)) = (attribute(relation, c), attribute(referenced, r)) else {
                return Err(SqlError::internal("a key column is gone"));
            };
            let pair = (alike(r.ty.oid), alike(c.ty.oid));
            let found = match pair {
                (left, right) if left == right => registry().equality_operator(left).map(|o| o.oid),
                (left, right) => registry().operator_for("=", left, right).map(|o| o.oid),
            };
            let Some(found) = found else {
                let reader = self.reader()?;
                let (from, to) = (
                    crate::text::type_name(&reader, c.ty.oid, None)?,
                    crate::text::type_name(&reader, r.ty.oid, None)?,
                );
                let text = format!("foreign key constraint \"{name}\" cannot be implemented");
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text).detail(format!(
                    "Key columns \"{}\" and \"{}\" are of incompatible types: {from} and {to}.",
                    c.name, r.name
                )));
            };
            operators.push(found);
        }
        Ok(operators)
    }

    /// SET CONSTRAINTS.
    pub(crate) fn set_constraints(&self, s: &SetConstraints) -> Result<()> {
        let Some(names) = &s.names else {
            self.cx.txn.borrow_mut().set_constraints(None, s.deferred);
            return if s.deferred { Ok(()) } else { foreign_key::run_deferred(self.cx, None) };
        };
        let mut affected = Vec::new();
        for name in names {
            let reader = self.reader()?;
            let mut found = Vec::new();
            for (_, row) in self.find(PG_CONSTRAINT, &["conname"], &[Value::text(&name.name)])? {
                let schema = row.oid("connamespace");
                let fits = match &name.schema {
                    Some(wanted) => reader.schema(wanted)? == Some(schema),
                    None => reader.search_path().iter().any(|p| p.0 == schema),
                };
                if fits {
                    found.push((row.oid("oid"), row.bool("condeferrable")));
                }
            }
            if found.is_empty() {
                let text = format!("constraint \"{}\" does not exist", name.name);
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text));
            }
            if found.iter().all(|f| !f.1) {
                let text = format!("constraint \"{}\" is not deferrable", name.name);
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
            }
            affected.extend(found.iter().filter(|f| f.1).map(|f| f.0));
        }
        for oid in &affected {
            self.cx.txn.borrow_mut().set_constraints(Some(*oid), s.deferred);
        }
        if s.deferred { Ok(()) } else { foreign_key::run_deferred(self.cx, Some(&affected)) }
    }

    /// Foreign keys keep tables that others refer to from being emptied without these.
    pub(super) fn refuse_referenced(&self, relation: &Relation, together: &[Oid]) -> Result<()> {
        let Some(key) = relation.referenced_by.iter().find(|k| !together.contains(&k.table)) else {
            return Ok(());
        };
        let other = self.current(key.table)?;
        let text = "cannot truncate a table referenced in a foreign key constraint";
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
            .detail(format!("Table \"{}\" references \"{}\".", other.name, relation.name))
            .hint(format!(
                "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                other.name
            )))
    }
}

/// The columns that ON DELETE changes, if they are named: some of the key's.
fn delete_columns(relation: &Relation, key: &ForeignKeyDef, columns: &[i16]) -> Result<Vec<i16>> {
    let changed = attnums(relation, &key.delete_columns).map_err(|_| {
        let missing = key.delete_columns.iter().find(|n| relation.live().all(|a| a.name != **n));
        let text = format!(
            "column \"{}\" referenced in foreign key constraint does not exist",
            missing.map_or("", String::as_str)
        );
        SqlError::new(SqlState::UNDEFINED_COLUMN, text)
    })?;
    for (n, name) in changed.iter().zip(&key.delete_columns) {
        if !columns.contains(n) {
            let text =
                format!("column \"{name}\" referenced in ON DELETE SET action must be part of foreign key");
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, text));
        }
    }
    Ok(changed)
}

/// Types that compare by the operators of another.
fn alike(ty: Oid) -> Oid {
    if ty == oid::VARCHAR { oid::TEXT } else { ty }
}

/// The referenced columns and the unique index over them.
fn referenced_key(referenced: &Relation, key: &ForeignKeyDef) -> Result<(Vec<i16>, Arc<Index>)> {
    if key.referenced_columns.is_empty() {
        let index = referenced.indexes.iter().find(|i| i.primary).ok_or_else(|| {
            let text = format!("there is no primary key for referenced table \"{}\"", referenced.name);
            SqlError::new(SqlState::UNDEFINED_OBJECT, text)
        })?;
        let columns = index.keys.iter().take(index.key_count).map(|k| k.attnum).collect();
        return Ok((columns, index.clone()));
    }
    let mut columns: Vec<i16> = Vec::with_capacity(key.referenced_columns.len());
    for name in &key.referenced_columns {
        let Some(a) = referenced.live().find(|a| a.name == *name) else {
            let text = format!("column \"{name}\" referenced in foreign key constraint does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, text));
        };
        if columns.contains(&a.attnum) {
            let text = "foreign key referenced-columns list must not contain duplicates";
            return Err(SqlError::new(SqlState::INVALID_FOREIGN_KEY, text));
        }
        columns.push(a.attnum);
    }
    let fits = |i: &&Arc<Index>| {
        i.unique
            && i.valid
            && i.predicate.is_none()
            && i.key_count == columns.len()
            && i.keys.iter().take(i.key_count).all(|k| columns.contains(&k.attnum))
    };
    let index = referenced.indexes.iter().find(fits).ok_or_else(|| {
        let text = format!(
            "there is no unique constraint matching given keys for referenced table \"{}\"",
            referenced.name
        );
        SqlError::new(SqlState::INVALID_FOREIGN_KEY, text)
    })?;
    if index.deferrable {
        let text =
            format!("cannot use a deferrable unique constraint for referenced table \"{}\"", referenced.name);
        return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text));
    }
    Ok((columns, index.clone()))
}

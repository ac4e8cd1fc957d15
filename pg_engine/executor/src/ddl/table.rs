//! CREATE TABLE, CREATE SCHEMA and constraints.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_catalog::{
    Attribute, CatalogReader, Index, IndexKey, Relation, RelationKind,
    acl::Class,
    builtin::{
        PG_ATTRDEF, PG_ATTRIBUTE, PG_CLASS, PG_CONSTRAINT, PG_NAMESPACE, PG_TYPE,
        rows::{ClassRow, HEAP_AM, attribute_row},
    },
    storage_error,
    table::array,
    user_types::type_row,
};
use pg_plan::utility::{ColumnDef, ConstraintDef, ConstraintDefKind, CreateSchema, CreateTable};
use pg_storage::{LockMode, RelationKind as StorageKind};
use pg_types::{Oid, Result, SqlError, SqlState, Value, oid};

use super::{Address, Ddl, Dependency, index::NewIndex, object_name};

/// What a new relation of any kind needs.
pub(crate) struct NewRelation<'a> {
    pub name: &'a str,
    pub schema: Oid,
    /// `pg_class.relkind`.
    pub kind: u8,
    pub columns: &'a [ColumnDef],
    pub storage: u32,
    /// `pg_class.reloptions`.
    pub options: Vec<String>,
    pub persistence: u8,
}

impl Ddl<'_, '_> {
    /// `pg_class`, `pg_type` and `pg_attribute` rows; returns the oid.
    pub(crate) fn create_relation(&self, new: &NewRelation<'_>) -> Result<Oid> {
        let oid = self.oid()?;
        let owner = self.cx.session.user();
        let has_type = new.kind != b'S';
        let row_type_oid = match has_type {
            true => self.cx.engine.catalog().new_type_oid(pg_types::user::Class::Composite)?,
            false => 0,
        };
        if has_type && self.type_name_taken(new.schema, new.name)? {
            return Err(super::types::type_taken(new.name).hint(
                "A relation has an associated type of the same name, so you must use a name that doesn't conflict \
                 with any existing type.",
            ));
        }
        let class = ClassRow {
            oid,
            name: new.name,
            schema: new.schema,
            row_type: row_type_oid,
            owner,
            method: if matches!(new.kind, b'r' | b'm') { HEAP_AM } else { 0 },
            storage: new.storage,
            kind: new.kind,
            columns: new.columns.len() as i16,
            checks: 0,
            has_index: false,
            shared: false,
            persistence: if self.in_temporary(new.schema)? { b't' } else { new.persistence },
            options: new.options.clone(),
        };
        let row = class.row(self.catalog(PG_CLASS)?.def);
        let acl = match new.kind {
            // The privileges of a composite type are the type's.
            b'c' => Value::Null,
            b'S' => self.initial_acl(Class::Sequence, owner, new.schema)?,
            _ => self.initial_acl(Class::Table, owner, new.schema)?,
        };
        self.insert(PG_CLASS, &row.set("relacl", acl))?;
        self.depend(Address::new(PG_CLASS, oid), Address::new(PG_NAMESPACE, new.schema), Dependency::Normal)?;
        if has_type {
            let def = self.catalog(PG_TYPE)?.def;
            let array_oid = row_type_oid + 1;
            let mut row = type_row(def, row_type_oid, new.name, new.schema, owner).set("typrelid", oid);
            if new.kind == b'c' {
                row.put("typacl", self.initial_acl(Class::Type, owner, new.schema)?);
            }
            self.insert(PG_TYPE, &row)?;
            let array_name = self.array_name(new.schema, new.name)?;
            let row = type_row(def, array_oid, &array_name, new.schema, owner);
            self.insert(PG_TYPE, &row)?;
            let type_address = Address::new(PG_TYPE, row_type_oid);
            // The attributes of a composite type are a part of it; a table's row type is a part of the table.
            match new.kind {
                b'c' => self.depend(Address::new(PG_CLASS, oid), type_address, Dependency::Internal)?,
                _ => self.depend(type_address, Address::new(PG_CLASS, oid), Dependency::Internal)?,
            }
            if new.kind == b'c' {
                let schema = Address::new(PG_NAMESPACE, new.schema);
                self.depend(type_address, schema, Dependency::Normal)?;
            }
            self.depend(Address::new(PG_TYPE, array_oid), type_address, Dependency::Internal)?;
        }
        for (n, c) in new.columns.iter().enumerate() {
            self.create_attribute(oid, n as i16 + 1, c)?;
        }
        Ok(oid)
    }

    /// A column's `pg_attribute` row, without its default.
    pub(crate) fn create_attribute(&self, relation: Oid, attnum: i16, c: &ColumnDef) -> Result<()> {
        let mut row =
            attribute_row(self.catalog(PG_ATTRIBUTE)?.def, relation, attnum, &c.name, c.ty, c.not_null);
        if c.collation != 0 {
            row.put("attcollation", c.collation);
        }
        row.put("attcompression", c.compression);
        row.put("attgenerated", c.generated);
        row.put("attidentity", c.sequence.as_ref().map_or(0, |s| s.identity));
        self.may_use_type(c.ty.oid)?;
        self.hold_type(c.ty.oid)?;
        self.describe_domain(&mut row, c.ty)?;
        self.insert(PG_ATTRIBUTE, &row)?;
        self.depend_on_collation(Address::column(relation, attnum), row.oid("attcollation"))?;
        let ty = Address::new(PG_TYPE, c.ty.oid);
        self.depend(Address::column(relation, attnum), ty, Dependency::Normal)
    }

    /// A column's default, or generation expression.
    pub(crate) fn create_default(
        &self,
        relation: Oid,
        attnum: i16,
        text: &str,
        generated: bool,
    ) -> Result<()> {
        let oid = self.oid()?;
        let row = self
            .row(PG_ATTRDEF)?
            .set("oid", oid)
            .set("adrelid", relation)
            .set("adnum", attnum)
            .set("adbin", text);
        self.insert(PG_ATTRDEF, &row)?;
        let address = Address::new(PG_ATTRDEF, oid);
        let kind = if generated { Dependency::Internal } else { Dependency::Auto };
        self.depend(address, Address::column(relation, attnum), kind)?;
        self.depend_on_references(address, text)?;
        let key = [Value::Oid(relation), Value::Int2(attnum)];
        self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| r.put("atthasdef", true))?;
        Ok(())
    }

    /// CREATE TABLE; `None`: it existed and IF NOT EXISTS was given.
    pub(crate) fn create_table(&self, t: &CreateTable) -> Result<Option<Oid>> {
        self.create_stored(t, b'r')
    }

    /// Makes a relation that stores rows, of a kind as in `pg_class.relkind`.
    pub(super) fn create_stored(&self, t: &CreateTable, kind: u8) -> Result<Option<Oid>> {
        let (schema, _) = self.creation_schema(&t.name)?;
        if self.name_taken(schema, &t.name.name, t.if_not_exists)? {
            return Ok(None);
        }
        if let Some(inherits) = &t.inherits {
            self.begin_inheritance(inherits, self.in_temporary(schema)?)?;
        }
        let sequences = self.like_sequences(t)?;
        let columns = sequences.as_ref().unwrap_or(&t.columns);
        let storage = {
            let mut txn = self.cx.txn.borrow_mut();
            self.cx
                .engine
                .storage()
                .create_relation(txn.storage(), StorageKind::Heap)
                .map_err(storage_error)?
        };
        let oid = self.create_relation(&NewRelation {
            name: &t.name.name,
            schema,
            kind,
            columns,
            storage: storage.0,
            options: t.options.iter().map(|(n, v)| format!("{n}={v}")).collect(),
            persistence: if t.unlogged { b'u' } else { b'p' },
        })?;
        self.step();
        self.lock(oid, LockMode::AccessExclusive)?;
        if t.of != 0 {
            self.become_typed(oid, t.of)?;
        }
        for (n, c) in columns.iter().enumerate() {
            self.column_extras(oid, schema, &t.name.name, n as i16 + 1, c)?;
        }
        self.step();
        self.ensure_toast(oid)?;
        self.create_constraints(oid, &t.constraints, true)?;
        if let Some(inherits) = &t.inherits {
            self.store_inheritance(oid, inherits)?;
        }
        self.like_rest(oid, t)?;
        self.note_on_commit(oid, t.on_commit);
        Ok(Some(oid))
    }

    /// Default, generation expression and owned sequence of a new column.
    pub(crate) fn column_extras(
        &self,
        relation: Oid,
        schema: Oid,
        table: &str,
        attnum: i16,
        c: &ColumnDef,
    ) -> Result<()> {
        if let Some(s) = &c.sequence {
            let name = match &s.options.name {
                Some(given) => {
                    self.name_taken(schema, &given.name, false)?;
                    given.name.clone()
                }
                None => self.choose_name(schema, table, &c.name, "seq")?,
            };
            let seq = self.create_sequence_relation(&name, schema, &s.options, Some(c.ty.oid))?;
            let kind = if s.identity == 0 { Dependency::Auto } else { Dependency::Internal };
            self.depend(Address::new(PG_CLASS, seq), Address::column(relation, attnum), kind)?;
            if s.identity == 0 {
                self.step();
                let text = format!("nextval('{seq}'::regclass)");
                self.create_default(relation, attnum, &text, false)?;
            }
        } else if let Some(d) = &c.default {
            self.create_default(relation, attnum, d, c.generated != 0)?;
            if c.generated != 0 {
                self.depend_on_columns(relation, attnum, d)?;
            }
        }
        Ok(())
    }

    /// A generated column depends on the columns that it is computed from.
    fn depend_on_columns(&self, relation: Oid, attnum: i16, text: &str) -> Result<()> {
        let table = self.current(relation)?;
        let e = self.cx.session.bind_expression(&self.reader()?, &table, text)?;
        let mut read: Vec<u32> = Vec::new();
        e.for_each_column(&mut |id| read.extend((!read.contains(&id)).then_some(id)));
        for id in read {
            let from = Address::column(relation, id as i16 + 1);
            self.depend(Address::column(relation, attnum), from, Dependency::Normal)?;
        }
        Ok(())
    }

    /// Makes constraints of a table.
    ///
    /// NOT VALID means nothing for a `new` table.
    pub(crate) fn create_constraints(&self, oid: Oid, list: &[ConstraintDef], new: bool) -> Result<()> {
        // Primary key and unique constraints first, foreign keys last, as PostgreSQL does.
        let mut list: Vec<&ConstraintDef> = list.iter().collect();
        list.sort_by_key(|c| match c.kind {
            ConstraintDefKind::Index { .. } => 0,
            ConstraintDefKind::Check { .. } => 1,
            ConstraintDefKind::Foreign(_) => 2,
        });
        for c in list {
            let relation = self.current(oid)?;
            match &c.kind {
                ConstraintDefKind::Check { expression, columns, not_valid, no_inherit } => {
                    let how = (*not_valid && !new, *no_inherit);
                    self.create_check(&relation, c.name.as_deref(), expression, columns, how)?;
                }
                ConstraintDefKind::Index { .. } => self.create_index_constraint(&relation, c)?,
                ConstraintDefKind::Foreign(key) => {
                    self.create_foreign_key(&relation, c.name.as_deref(), key, key.not_valid && !new)?;
                }
            }
            self.step();
        }
        Ok(())
    }

    pub(super) fn constraint_name_taken(&self, relation: &Relation, name: &str) -> bool {
        relation.constraints.iter().any(|c| c.name == name)
    }

    /// A CHECK constraint; the rows that are there must satisfy it unless it is NOT VALID.
    pub(crate) fn create_check(
        &self,
        relation: &Arc<Relation>,
        name: Option<&str>,
        expression: &str,
        columns: &[String],
        (not_valid, no_inherit): (bool, bool),
    ) -> Result<()> {
        let name = match name {
            Some(n) => n.to_string(),
            None => {
                let part = match columns {
                    [one] => one.as_str(),
                    _ => "",
                };
                let mut n = 0;
                loop {
                    let label = if n == 0 { "check".to_string() } else { format!("check{n}") };
                    let candidate = object_name(&relation.name, part, &label);
                    if !self.constraint_name_taken(relation, &candidate) {
                        break candidate;
                    }
                    n += 1;
                }
            }
        };
        self.refuse_duplicate_constraint(relation, &name)?;
        if !not_valid {
            self.validate_check(relation, &name, expression)?;
        }
        let attnums = attnums(relation, columns)?;
        let oid = self.oid()?;
        let row = self
            .row(PG_CONSTRAINT)?
            .set("oid", oid)
            .set("conname", name)
            .set("connamespace", relation.schema)
            .set("contype", b'c')
            .set("convalidated", !not_valid)
            .set("connoinherit", no_inherit)
            .set("conrelid", relation.oid)
            .set("confupdtype", b' ')
            .set("confdeltype", b' ')
            .set("confmatchtype", b' ')
            .set("conislocal", true)
            .set("conkey", int2_array(&attnums))
            .set("conbin", expression);
        self.insert(PG_CONSTRAINT, &row)?;
        let address = Address::new(PG_CONSTRAINT, oid);
        self.depend_on_references(address, expression)?;
        for &n in &attnums {
            self.depend(address, Address::column(relation.oid, n), Dependency::Auto)?;
        }
        if attnums.is_empty() {
            self.depend(address, Address::new(PG_CLASS, relation.oid), Dependency::Auto)?;
        }
        let key = [Value::Oid(relation.oid)];
        self.update(PG_CLASS, &["oid"], &key, |r| {
            let n = r.int("relchecks") as i16 + 1;
            r.put("relchecks", n);
        })?;
        Ok(())
    }

    pub(super) fn refuse_duplicate_constraint(&self, relation: &Relation, name: &str) -> Result<()> {
        if self.constraint_name_taken(relation, name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_OBJECT,
                format!("constraint \"{name}\" for relation \"{}\" already exists", relation.name),
            ));
        }
        Ok(())
    }

    /// PRIMARY KEY or UNIQUE.
    fn create_index_constraint(&self, relation: &Arc<Relation>, c: &ConstraintDef) -> Result<()> {
        let ConstraintDefKind::Index {
            primary,
            columns,
            include,
            fillfactor,
            nulls_not_distinct,
            using_index,
            deferrable,
            deferred,
        } = &c.kind
        else {
            return Ok(());
        };
        if *primary && relation.constraints.iter().any(|c| c.kind == pg_catalog::ConstraintKind::Primary) {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("multiple primary keys for table \"{}\" are not allowed", relation.name),
            ));
        }
        if let Some(name) = &c.name {
            self.refuse_duplicate_constraint(relation, name)?;
        }
        if let Some(index) = using_index {
            return self.adopt_index(relation, c.name.as_deref(), *primary, index, (*deferrable, *deferred));
        }
        let attnums = attnums(relation, columns)?;
        if *primary {
            self.set_not_null(relation, &attnums)?;
        }
        let name = match &c.name {
            Some(n) => {
                self.name_taken(relation.schema, n, false)?;
                n.clone()
            }
            None if *primary => self.choose_name(relation.schema, &relation.name, "", "pkey")?,
            None => {
                let parts: Vec<&str> = columns.iter().chain(include).map(String::as_str).collect();
                self.choose_name(relation.schema, &relation.name, &parts.join("_"), "key")?
            }
        };
        let relation = self.current(relation.oid)?;
        let mut keys =
            columns.iter().chain(include).map(|c| column_key(&relation, c)).collect::<Result<Vec<_>>>()?;
        keys.iter_mut().skip(columns.len()).for_each(|k| k.carried = true);
        let index = self.create_index_relation(&NewIndex {
            unique: true,
            primary: *primary,
            nulls_not_distinct: *nulls_not_distinct,
            fillfactor: *fillfactor,
            constraint: true,
            deferrable: *deferrable,
            ..NewIndex::new(&name, &relation, keys, columns.len())
        })?;
        self.constraint_over_index(&relation, &name, *primary, &attnums, index, (*deferrable, *deferred))
    }

    /// An index that may become a constraint's.
    fn adoptable(&self, relation: &Arc<Relation>, name: &str, deferrable: bool) -> Result<Arc<Index>> {
        const WHY: &str = "Cannot create a primary key or unique constraint using such an index.";
        let found = relation.indexes.iter().find(|i| i.name == name).cloned().ok_or_else(|| {
            let other = self.reader().and_then(|r| r.relation(Some(&relation.schema_name), name));
            match other {
                Ok(Some(other)) if other.kind == RelationKind::Index => SqlError::new(
                    SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("index \"{name}\" does not belong to table \"{}\"", relation.name),
                ),
                _ => SqlError::new(SqlState::UNDEFINED_OBJECT, format!("index \"{name}\" does not exist")),
            }
        })?;
        let unfit = |message: String| SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).detail(WHY);
        if relation.constraints.iter().any(|c| c.index == found.oid) {
            let message = format!("index \"{name}\" is already associated with a constraint");
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        if !found.valid {
            let message = format!("index \"{name}\" is not valid");
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        if !found.unique {
            return Err(unfit(format!("\"{name}\" is not a unique index")));
        }
        let keys = || found.keys.iter().take(found.key_count);
        if keys().any(|k| k.attnum == 0) {
            return Err(unfit(format!("index \"{name}\" contains expressions")));
        }
        if found.predicate.is_some() {
            return Err(unfit(format!("\"{name}\" is a partial index")));
        }
        if found.deferrable && !deferrable {
            return Err(unfit(format!("\"{name}\" is a deferrable index"))
                .detail("Cannot create a non-deferrable constraint using a deferrable index."));
        }
        for (n, key) in keys().enumerate() {
            let column = relation.live().find(|a| a.attnum == key.attnum);
            let plain = |a: &Attribute| {
                !key.descending && !key.nulls_first && key.class.is_none() && key.collation == a.collation
            };
            if !column.is_some_and(plain) {
                let n = n + 1;
                let message =
                    format!("index \"{name}\" column number {n} does not have default sorting behavior");
                return Err(unfit(message));
            }
        }
        Ok(found)
    }

    /// ADD CONSTRAINT ... USING INDEX.
    fn adopt_index(
        &self,
        relation: &Arc<Relation>,
        name: Option<&str>,
        primary: bool,
        index: &str,
        when: (bool, bool),
    ) -> Result<()> {
        let found = self.adoptable(relation, index, when.0)?;
        let attnums: Vec<i16> = found.keys.iter().take(found.key_count).map(|k| k.attnum).collect();
        if primary {
            self.set_not_null(relation, &attnums)?;
        }
        let name = name.unwrap_or(index);
        if name != index {
            self.notice(
                SqlState::SUCCESSFUL_COMPLETION,
                format!(
                    "ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{index}\" to \"{name}\""
                ),
            );
            let key = [Value::Oid(found.oid)];
            self.update(PG_CLASS, &["oid"], &key, |r| r.put("relname", name))?;
        }
        let key = [Value::Oid(found.oid)];
        self.update(pg_catalog::builtin::PG_INDEX, &["indexrelid"], &key, |r| {
            r.put("indisprimary", primary);
            r.put("indimmediate", !when.0);
        })?;
        self.constraint_over_index(relation, name, primary, &attnums, found.oid, when)
    }

    fn constraint_over_index(
        &self,
        relation: &Relation,
        name: &str,
        primary: bool,
        attnums: &[i16],
        index: Oid,
        (deferrable, deferred): (bool, bool),
    ) -> Result<()> {
        let oid = self.oid()?;
        let row = self
            .row(PG_CONSTRAINT)?
            .set("oid", oid)
            .set("conname", name)
            .set("connamespace", relation.schema)
            .set("contype", if primary { b'p' } else { b'u' })
            .set("condeferrable", deferrable)
            .set("condeferred", deferred)
            .set("convalidated", true)
            .set("conrelid", relation.oid)
            .set("conindid", index)
            .set("confupdtype", b' ')
            .set("confdeltype", b' ')
            .set("confmatchtype", b' ')
            .set("conislocal", true)
            .set("connoinherit", true)
            .set("conkey", int2_array(attnums));
        self.insert(PG_CONSTRAINT, &row)?;
        let address = Address::new(PG_CONSTRAINT, oid);
        for &n in attnums {
            self.depend(address, Address::column(relation.oid, n), Dependency::Auto)?;
        }
        self.depend(Address::new(PG_CLASS, index), address, Dependency::Internal)
    }

    /// CREATE SCHEMA.
    pub(crate) fn create_schema(&self, s: &CreateSchema) -> Result<()> {
        let reader = self.reader()?;
        // AUTHORIZATION alone: the schema is named like its owner.
        let mut s = s.clone();
        if s.name.is_empty()
            && let Some(owner) = &s.owner
        {
            let owner = self.role(owner)?;
            s.name = self.roles()?.name(owner).unwrap_or("").into();
        }
        let s = &s;
        if s.name.starts_with("pg_") {
            return Err(SqlError::new(
                SqlState::RESERVED_NAME,
                format!("unacceptable schema name \"{}\"", s.name),
            )
            .detail("The prefix \"pg_\" is reserved for system schemas."));
        }
        if reader.schema(&s.name)?.is_some() {
            if s.if_not_exists {
                let text = format!("schema \"{}\" already exists, skipping", s.name);
                self.notice(SqlState::DUPLICATE_SCHEMA, text);
                return Ok(());
            }
            return Err(SqlError::new(
                SqlState::DUPLICATE_SCHEMA,
                format!("schema \"{}\" already exists", s.name),
            ));
        }
        let owner = match &s.owner {
            Some(name) => self.role(name)?,
            None => self.user(),
        };
        self.may_create_schema()?;
        if owner != self.user() {
            self.may_become(owner)?;
        }
        self.insert_schema(&s.name, owner).map(|_| ())
    }

    /// A schema's row; gives its oid.
    pub(crate) fn insert_schema(&self, name: &str, owner: Oid) -> Result<Oid> {
        let oid = self.oid()?;
        let acl = self.initial_acl(Class::Schema, owner, 0)?;
        let row = self.row(PG_NAMESPACE)?.set("oid", oid).set("nspname", name).set("nspowner", owner);
        let row = row.set("nspacl", acl);
        self.insert(PG_NAMESPACE, &row)?;
        self.step();
        Ok(oid)
    }
}

/// A plain ascending key on a column.
pub(crate) fn column_key(relation: &Relation, name: &str) -> Result<IndexKey> {
    let a = relation.live().find(|a| a.name == name).ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" named in key does not exist"))
    })?;
    Ok(IndexKey {
        attnum: a.attnum,
        expression: None,
        ty: a.ty,
        descending: false,
        nulls_first: false,
        carried: false,
        class: None,
        collation: a.collation,
    })
}

/// Attribute numbers of columns.
pub(crate) fn attnums(relation: &Relation, columns: &[String]) -> Result<Vec<i16>> {
    columns.iter().map(|c| column_key(relation, c).map(|k| k.attnum)).collect()
}

pub(crate) fn int2_array(v: &[i16]) -> Value {
    array(oid::INT2, v.iter().map(|n| Value::Int2(*n)).collect())
}

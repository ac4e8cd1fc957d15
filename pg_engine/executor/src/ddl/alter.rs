//! ALTER TABLE.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_catalog::{
    Attribute, CatalogReader, ConstraintKind, Index, Relation, RelationKind,
    builtin::{
        PG_ATTRDEF, PG_ATTRIBUTE, PG_CLASS, PG_CONSTRAINT, PG_DEPEND, PG_INDEX, PG_POLICY, PG_REWRITE,
        PG_STATISTIC, PG_TYPE, rows::attribute_row,
    },
    table::{Row, array},
};
use pg_functions::registry;
use pg_plan::{
    statement::SYSTEM_COLUMN_NAMES,
    utility::{AlterAction, AlterTable, ColumnDef},
};
use pg_storage::LockMode;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, oid, tuple::MAX_FIELDS, typeinfo};

use super::{Address, Ddl};
use crate::expr::{Compiled, RowRef};

fn no_column(relation: &Relation, column: &str) -> SqlError {
    SqlError::new(
        SqlState::UNDEFINED_COLUMN,
        format!("column \"{column}\" of relation \"{}\" does not exist", relation.name),
    )
}

/// A view named as a table has a view's options.
fn fits_option(relation: &Relation, name: &str) -> Result<()> {
    let of_view = matches!(name, "check_option" | "security_barrier" | "security_invoker");
    if relation.kind != RelationKind::View || of_view {
        return Ok(());
    }
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized parameter \"{name}\"")))
}

/// Is this entry of `reloptions` the parameter?
fn is_option(entry: &str, name: &str) -> bool {
    entry.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))
}

/// May values of the type be compressed and moved out?
fn is_toastable(ty: SqlType) -> bool {
    typeinfo::get(ty.oid).is_none_or(|t| t.storage != b'p')
}

fn column<'r>(relation: &'r Relation, name: &str) -> Result<&'r Attribute> {
    relation.live().find(|a| a.name == name).ok_or_else(|| {
        if SYSTEM_COLUMN_NAMES.contains(&name) {
            let text = format!("cannot alter system column \"{name}\"");
            return SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text);
        }
        no_column(relation, name)
    })
}

impl Ddl<'_, '_> {
    /// ALTER TABLE.
    pub(crate) fn alter_table(&self, t: &AlterTable) -> Result<()> {
        let Some(relation) = &t.relation else {
            let text = format!("relation \"{}\" does not exist, skipping", t.name.name);
            self.notice(SqlState::SUCCESSFUL_COMPLETION, text);
            return Ok(());
        };
        if relation.oid < pg_catalog::builtin::FIRST_NORMAL_OID {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied: \"{}\" is a system catalog", relation.name),
            ));
        }
        self.must_own(relation)?;
        let relation = self.relock(relation, LockMode::AccessExclusive)?;
        for action in &t.actions {
            let relation = self.current(relation.oid)?;
            self.refuse_typed(&relation, action)?;
            self.alter_family(&relation, action, t.only)?;
            self.step();
        }
        Ok(())
    }

    pub(super) fn alter_action(&self, relation: &Arc<Relation>, action: &AlterAction) -> Result<()> {
        let fits = matches!(
            (relation.kind, action),
            (RelationKind::Table, _)
                | (_, AlterAction::Owner(_) | AlterAction::SetSchema(_))
                | (
                    RelationKind::View,
                    AlterAction::SetDefault { .. }
                        | AlterAction::DropDefault { .. }
                        | AlterAction::SetOptions(_)
                        | AlterAction::ResetOptions(_)
                )
                | (RelationKind::MaterializedView, AlterAction::ClusterOn(_))
                | (RelationKind::MaterializedView, AlterAction::SetStatistics { .. })
                | (RelationKind::MaterializedView, AlterAction::SetColumnOptions { .. })
                | (RelationKind::Index, AlterAction::SetKeyStatistics { .. })
        );
        if !fits {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a table", relation.name),
            ));
        }
        match action {
            AlterAction::AddColumn { column, constraints, if_not_exists } => {
                // Its name may be one that a view's joins have for something else.
                let texts = self.texts_over(&[relation.oid])?;
                if self.add_column(relation, column, *if_not_exists)? {
                    self.store_texts(&texts)?;
                    self.create_constraints(relation.oid, constraints, false)?;
                }
                Ok(())
            }
            AlterAction::DropColumn { name, if_exists, cascade } => {
                match relation.live().find(|a| a.name == *name) {
                    Some(a) => {
                        let texts = self.texts_over(&[relation.oid])?;
                        self.drop_objects(&[Address::column(relation.oid, a.attnum)], *cascade)?;
                        self.store_texts(&texts)
                    }
                    None if *if_exists => {
                        let text = format!(
                            "column \"{name}\" of relation \"{}\" does not exist, skipping",
                            relation.name
                        );
                        self.notice(SqlState::SUCCESSFUL_COMPLETION, text);
                        Ok(())
                    }
                    None => Err(no_column(relation, name)),
                }
            }
            AlterAction::AddConstraint(c) => {
                self.create_constraints(relation.oid, core::slice::from_ref(c), false)
            }
            AlterAction::DropConstraint { name, if_exists, cascade } => {
                self.drop_constraint(relation, name, *if_exists, *cascade)
            }
            AlterAction::SetDefault { column: name, default } => {
                let a = column(relation, name)?;
                self.refuse_special(relation, a)?;
                self.drop_default(relation.oid, a.attnum)?;
                self.create_default(relation.oid, a.attnum, default, false)
            }
            AlterAction::DropDefault { column: name } => {
                let a = column(relation, name)?;
                self.refuse_special(relation, a)?;
                self.drop_default(relation.oid, a.attnum)
            }
            AlterAction::SetNotNull { column: name } => {
                let a = column(relation, name)?;
                self.set_not_null(relation, &[a.attnum])
            }
            AlterAction::DropNotNull { column: name } => {
                self.drop_not_null(relation, column(relation, name)?)
            }
            AlterAction::SetType { column: name, ty, collation, using } => {
                let column = column(relation, name)?;
                self.may_use_type(ty.oid)?;
                self.set_type(relation, column, (*ty, *collation), using)
            }
            AlterAction::AddIdentity { column: name, sequence } => {
                let a = column(relation, name)?;
                if a.identity != 0 {
                    return Err(SqlError::new(
                        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        format!(
                            "column \"{name}\" of relation \"{}\" is already an identity column",
                            relation.name
                        ),
                    ));
                }
                if !a.not_null {
                    return Err(SqlError::new(
                        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        format!(
                            "column \"{name}\" of relation \"{}\" must be declared NOT NULL before identity can be added",
                            relation.name
                        ),
                    ));
                }
                let key = [Value::Oid(relation.oid), Value::Int2(a.attnum)];
                self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| {
                    r.put("attidentity", sequence.identity);
                })?;
                let def = ColumnDef {
                    name: a.name.clone(),
                    ty: a.ty,
                    not_null: true,
                    default: None,
                    generated: 0,
                    sequence: Some(sequence.clone()),
                    collation: a.collation,
                    compression: a.compression,
                };
                self.column_extras(relation.oid, relation.schema, &relation.name, a.attnum, &def)
            }
            AlterAction::DropIdentity { column: name, if_exists } => {
                self.drop_identity(relation, column(relation, name)?, *if_exists)
            }
            AlterAction::Inherit(parent) => self.inherit(relation, parent),
            AlterAction::NoInherit(parent) => self.disinherit(relation, parent),
            AlterAction::Of(ty) => self.alter_of(relation, *ty),
            AlterAction::NotOf => self.alter_not_of(relation),
            AlterAction::SetIdentity { column: name, identity, options } => {
                self.set_identity(relation, column(relation, name)?, *identity, options)
            }
            AlterAction::DropExpression { column: name, if_exists } => {
                self.drop_expression(relation, column(relation, name)?, *if_exists)
            }
            AlterAction::ValidateConstraint(name) => self.validate_constraint(relation, name),
            AlterAction::AlterConstraint { name, deferrable, deferred } => {
                self.alter_constraint(relation, name, *deferrable, *deferred)
            }
            AlterAction::ReplicaIdentity(kind, index) => {
                self.replica_identity(relation, *kind, index.as_deref())
            }
            AlterAction::ClusterOn(index) => self.cluster_on(relation, index.as_deref()),
            AlterAction::Owner(role) => self.change_owner(relation, role),
            AlterAction::SetStorage { column: name, storage } => {
                self.set_storage(relation, column(relation, name)?, *storage)
            }
            AlterAction::SetCompression { column: name, compression } => {
                self.set_compression(relation, column(relation, name)?, *compression)
            }
            AlterAction::SetStatistics { column: name, target } => {
                self.set_statistics(relation, column(relation, name)?, *target)
            }
            AlterAction::SetKeyStatistics { number, target } => {
                self.set_key_statistics(relation, *number, *target)
            }
            AlterAction::SetColumnOptions { column: name, options } => {
                self.set_column_options(relation, column(relation, name)?, options)
            }
            AlterAction::Trigger { which, enable } => self.switch_triggers(relation, which, *enable),
            AlterAction::SetLogged(logged) => self.set_logged(relation, *logged),
            AlterAction::SetOptions(options) => {
                options.iter().try_for_each(|(name, _)| fits_option(relation, name))?;
                self.change_options(relation.oid, |list| {
                    list.retain(|o| !options.iter().any(|(n, _)| is_option(o, n)));
                    list.extend(options.iter().map(|(n, v)| format!("{n}={v}")));
                })
            }
            AlterAction::ResetOptions(names) => {
                self.change_options(relation.oid, |l| l.retain(|o| !names.iter().any(|n| is_option(o, n))))
            }
            AlterAction::SetSchema(name) => self.set_schema(relation, name),
            AlterAction::RowSecurity(on) => self.row_security(relation, "relrowsecurity", *on),
            AlterAction::ForceRowSecurity(on) => self.row_security(relation, "relforcerowsecurity", *on),
        }
    }

    fn change_options(&self, relation: Oid, change: impl Fn(&mut Vec<String>)) -> Result<()> {
        self.update(PG_CLASS, &["oid"], &[Value::Oid(relation)], |r| {
            let text = |v: &Value| if let Value::Text(t) = v { Some(t.to_string()) } else { None };
            let mut list: Vec<String> = r.array("reloptions").iter().filter_map(text).collect();
            change(&mut list);
            let list: Vec<Value> = list.iter().map(|o| Value::text(o)).collect();
            r.put("reloptions", if list.is_empty() { Value::Null } else { array(oid::TEXT, list) });
        })?;
        Ok(())
    }

    /// SET STORAGE: for rows written from now on.
    fn set_storage(&self, relation: &Relation, a: &Attribute, storage: u8) -> Result<()> {
        if storage != b'p' && !is_toastable(a.ty) {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("column data type {} can only have storage PLAIN", typeinfo::display(a.ty)),
            ));
        }
        self.update_column(relation, a, |r| r.put("attstorage", storage))?;
        self.step();
        self.ensure_toast(relation.oid)
    }

    /// SET COMPRESSION: for values written from now on.
    fn set_compression(&self, relation: &Relation, a: &Attribute, compression: u8) -> Result<()> {
        if compression != 0 && !is_toastable(a.ty) {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("column data type {} does not support compression", typeinfo::display(a.ty)),
            ));
        }
        self.update_column(relation, a, |r| r.put("attcompression", compression))
    }

    pub(super) fn update_column(
        &self,
        relation: &Relation,
        a: &Attribute,
        change: impl Fn(&mut Row),
    ) -> Result<()> {
        let key = [Value::Oid(relation.oid), Value::Int2(a.attnum)];
        self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, change)?;
        Ok(())
    }

    fn set_schema(&self, relation: &Relation, name: &str) -> Result<()> {
        let schema = self.reader()?.schema(name)?.ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"))
        })?;
        if self.reader()?.relation_oid(schema, &relation.name)?.is_some() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_TABLE,
                format!("relation \"{}\" already exists in schema \"{name}\"", relation.name),
            ));
        }
        self.may_create_in(schema, name)?;
        if relation.kind == RelationKind::Sequence
            && let Some(table) = self.owner_of_sequence(relation.oid)?
        {
            let text = "cannot move an owned sequence into another schema";
            let detail = format!("Sequence \"{}\" is linked to table \"{}\".", relation.name, table.name);
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).detail(detail));
        }
        let texts = self.texts_over(&[relation.oid])?;
        self.move_relation(relation, schema)?;
        // The sequences of its columns go with it.
        for a in relation.live() {
            if let Some(sequence) = self.owned_sequence(relation.oid, a.attnum)? {
                let sequence = self.current(sequence)?;
                self.name_taken(schema, &sequence.name, false)?;
                self.move_relation(&sequence, schema)?;
            }
        }
        self.store_texts(&texts)
    }

    /// The table that a sequence goes with.
    fn owner_of_sequence(&self, sequence: Oid) -> Result<Option<Arc<Relation>>> {
        let key = [Value::Oid(PG_CLASS), Value::Oid(sequence)];
        for (_, d) in self.find(PG_DEPEND, &["classid", "objid"], &key)? {
            if d.oid("refclassid") == PG_CLASS && matches!(d.char("deptype"), b'a' | b'i') {
                return self.current(d.oid("refobjid")).map(Some);
            }
        }
        Ok(None)
    }

    /// Puts a relation and what belongs to it into another schema.
    fn move_relation(&self, relation: &Relation, schema: Oid) -> Result<()> {
        for o in relation.indexes.iter().map(|i| i.oid).chain([relation.oid]) {
            self.update(PG_CLASS, &["oid"], &[Value::Oid(o)], |r| r.put("relnamespace", schema))?;
        }
        self.update(PG_TYPE, &["typrelid"], &[Value::Oid(relation.oid)], |r| r.put("typnamespace", schema))?;
        self.update(PG_CONSTRAINT, &["conrelid"], &[Value::Oid(relation.oid)], |r| {
            r.put("connamespace", schema);
        })?;
        let key = [Value::Oid(PG_CLASS), Value::Oid(relation.oid)];
        self.update(PG_DEPEND, &["classid", "objid"], &key, |r| {
            if r.oid("refclassid") == pg_catalog::builtin::PG_NAMESPACE {
                r.put("refobjid", schema);
            }
        })?;
        Ok(())
    }

    fn refuse_special(&self, relation: &Relation, a: &Attribute) -> Result<()> {
        if a.identity != 0 {
            return Err(SqlError::syntax(format!(
                "column \"{}\" of relation \"{}\" is an identity column",
                a.name, relation.name
            )));
        }
        if a.generated != 0 {
            return Err(SqlError::syntax(format!(
                "column \"{}\" of relation \"{}\" is a generated column",
                a.name, relation.name
            )));
        }
        Ok(())
    }

    fn drop_default(&self, relation: Oid, attnum: i16) -> Result<()> {
        let key = [Value::Oid(relation), Value::Int2(attnum)];
        for (_, r) in self.find(PG_ATTRDEF, &["adrelid", "adnum"], &key)? {
            self.drop_objects(&[Address::new(PG_ATTRDEF, r.oid("oid"))], false)?;
        }
        self.step();
        Ok(())
    }

    fn drop_constraint(&self, relation: &Relation, name: &str, if_exists: bool, cascade: bool) -> Result<()> {
        match relation.constraints.iter().find(|c| c.name == name) {
            Some(c) => self.drop_objects(&[Address::new(PG_CONSTRAINT, c.oid)], cascade),
            None => {
                let message =
                    format!("constraint \"{name}\" of relation \"{}\" does not exist", relation.name);
                if if_exists {
                    self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
                    return Ok(());
                }
                Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
            }
        }
    }

    fn drop_not_null(&self, relation: &Relation, a: &Attribute) -> Result<()> {
        if a.identity != 0 {
            return Err(SqlError::syntax(format!(
                "column \"{}\" of relation \"{}\" is an identity column",
                a.name, relation.name
            )));
        }
        if relation
            .constraints
            .iter()
            .any(|c| c.kind == ConstraintKind::Primary && c.columns.contains(&a.attnum))
        {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("column \"{}\" is in a primary key", a.name),
            ));
        }
        let key = [Value::Oid(relation.oid), Value::Int2(a.attnum)];
        self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| r.put("attnotnull", false))?;
        Ok(())
    }

    fn drop_identity(&self, relation: &Relation, a: &Attribute, if_exists: bool) -> Result<()> {
        if a.identity == 0 {
            let message =
                format!("column \"{}\" of relation \"{}\" is not an identity column", a.name, relation.name);
            if if_exists {
                self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
                return Ok(());
            }
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        let key = [Value::Oid(relation.oid), Value::Int2(a.attnum)];
        self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| r.put("attidentity", 0u8))?;
        let key = [Value::Oid(PG_CLASS), Value::Oid(relation.oid), Value::Int4(i32::from(a.attnum))];
        let rows = self.find(PG_DEPEND, &["refclassid", "refobjid", "refobjsubid"], &key)?;
        for (tid, d) in rows {
            if d.char("deptype") == b'i' && d.oid("classid") == PG_CLASS {
                {
                    let mut txn = self.cx.txn.borrow_mut();
                    self.catalog(PG_DEPEND)?.delete(self.cx.engine.storage(), txn.storage(), tid)?;
                }
                self.step();
                self.drop_objects(&[Address::new(PG_CLASS, d.oid("objid"))], false)?;
            }
        }
        Ok(())
    }

    /// ADD COLUMN; false: it was there and IF NOT EXISTS was given.
    fn add_column(&self, relation: &Arc<Relation>, c: &ColumnDef, if_not_exists: bool) -> Result<bool> {
        if relation.live().any(|a| a.name == c.name) {
            let message = format!("column \"{}\" of relation \"{}\" already exists", c.name, relation.name);
            if if_not_exists {
                self.notice(SqlState::DUPLICATE_COLUMN, format!("{message}, skipping"));
                return Ok(false);
            }
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        if relation.attributes.len() >= MAX_FIELDS {
            return Err(SqlError::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("tables can have at most {MAX_FIELDS} columns"),
            ));
        }
        let attnum = relation.attributes.len() as i16 + 1;
        let empty = self.is_empty(relation)?;
        self.create_attribute(relation.oid, attnum, c)?;
        self.update(PG_CLASS, &["oid"], &[Value::Oid(relation.oid)], |r| r.put("relnatts", attnum))?;
        self.step();
        self.ensure_toast(relation.oid)?;
        self.column_extras(relation.oid, relation.schema, &relation.name, attnum, c)?;
        self.step();
        let new = self.current(relation.oid)?;
        if empty {
            // A default that is the same for all rows is computed even so: it may fail.
            if let Some(d) = new.attributes.last().and_then(|a| a.default.as_deref())
                && c.generated == 0
                && c.sequence.is_none()
                && !is_volatile(d)
                && !pg_types::user::is_domain(c.ty.oid)
            {
                let mut e = self.coerced(&new, d, c.ty)?;
                self.with_rt(|rt| e.constant(rt))?;
            }
            return Ok(true);
        }
        let types: Vec<SqlType> = new.attributes.iter().map(|a| a.ty).collect();
        let default = match new.attributes.last().and_then(|a| a.default.clone()) {
            // A domain has a default of its own, or does not take a NULL.
            None if pg_types::user::is_domain(c.ty.oid) => Some(self.domain_default(c.ty.oid)?),
            default => default,
        };
        let volatile = match (&default, &c.sequence) {
            (_, Some(_)) => true,
            (Some(d), None) => c.generated != 0 || is_volatile(d),
            (None, None) => false,
        };
        if volatile {
            let mut value = self.new_value(&new, c, default.as_deref())?;
            let sequence = self.owned_sequence(relation.oid, attnum)?;
            let relation = &Arc::new(Relation { toast: new.toast, ..(**relation).clone() });
            self.rewrite(relation, &types, |row, rt| {
                row.push(Value::Null);
                let v = match (&mut value, sequence) {
                    (_, Some(s)) => integer(crate::host::next_value(self.cx, s)?, c.ty.oid),
                    (Some(e), None) => e.row(RowRef::Values(row), rt)?,
                    (None, None) => Value::Null,
                };
                if v.is_null() && c.not_null {
                    return Err(contains_nulls(relation, &c.name));
                }
                if let Some(last) = row.last_mut() {
                    *last = v;
                }
                Ok(())
            })?;
            self.rebuild_indexes(relation.oid)?;
            return Ok(true);
        }
        let plain = self.reader()?.plain_type(c.ty)?;
        let value = match default {
            None => Value::Null,
            Some(d) => {
                let mut e = self.coerced(&new, &d, c.ty)?;
                self.with_rt(|rt| e.constant(rt))?
            }
        };
        if value.is_null() {
            return if c.not_null { Err(contains_nulls(relation, &c.name)) } else { Ok(true) };
        }
        let key = [Value::Oid(relation.oid), Value::Int2(attnum)];
        self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| {
            r.put("atthasmissing", true);
            r.put("attmissingval", array(plain.oid, alloc::vec![value.clone()]));
        })?;
        Ok(true)
    }

    /// An expression brought to a column's type.
    fn coerced(&self, relation: &Relation, text: &str, ty: SqlType) -> Result<Compiled> {
        let e = self.cx.session.bind_value(&self.reader()?, relation, text, ty)?;
        Compiled::new(&e, &mut crate::node::Compiler::new(0))
    }

    fn new_value(
        &self,
        relation: &Relation,
        c: &ColumnDef,
        default: Option<&str>,
    ) -> Result<Option<Compiled>> {
        match default {
            Some(d) if c.sequence.is_none() => self.coerced(relation, d, c.ty).map(Some),
            _ => Ok(None),
        }
    }

    pub(super) fn owned_sequence(&self, relation: Oid, attnum: i16) -> Result<Option<Oid>> {
        let key = [Value::Oid(PG_CLASS), Value::Oid(relation), Value::Int4(i32::from(attnum))];
        let reader = self.reader()?;
        for (_, d) in self.find(PG_DEPEND, &["refclassid", "refobjid", "refobjsubid"], &key)? {
            if d.oid("classid") == PG_CLASS
                && reader.relation_by_oid(d.oid("objid"))?.is_some_and(|r| r.kind == RelationKind::Sequence)
            {
                return Ok(Some(d.oid("objid")));
            }
        }
        Ok(None)
    }

    fn is_empty(&self, relation: &Relation) -> Result<bool> {
        let mut any = false;
        let stop = SqlError::internal("stop");
        let r = self.each_row(relation, |_, _| {
            any = true;
            Err(stop.clone())
        });
        match r {
            Err(e) if any && e == stop => Ok(false),
            Err(e) => Err(e),
            Ok(()) => Ok(true),
        }
    }

    /// ALTER COLUMN TYPE.
    fn set_type(
        &self,
        relation: &Arc<Relation>,
        a: &Attribute,
        (ty, collation): (SqlType, Oid),
        using: &str,
    ) -> Result<()> {
        self.refuse_type_dependents(relation, a)?;
        self.lock_keys(relation, a.attnum)?;
        let mut e = self.coerced(relation, using, ty)?;
        let mut types: Vec<SqlType> = relation.attributes.iter().map(|a| a.ty).collect();
        let at = a.attnum as usize - 1;
        let plain = self.reader()?.plain_type(ty)?;
        if let Some(t) = types.get_mut(at) {
            *t = plain;
        }
        self.ensure_toast_for(relation, &types)?;
        let relation = &self.current(relation.oid)?;
        self.rewrite(relation, &types, |row, rt| {
            let v = e.row(RowRef::Values(row), rt)?;
            if v.is_null() && a.not_null {
                return Err(contains_nulls(relation, &a.name));
            }
            if let Some(slot) = row.get_mut(at) {
                *slot = v;
            }
            Ok(())
        })?;
        let mut facts =
            attribute_row(self.catalog(PG_ATTRIBUTE)?.def, relation.oid, a.attnum, &a.name, ty, a.not_null);
        self.describe_domain(&mut facts, ty)?;
        if collation != 0 {
            facts.put("attcollation", collation);
        }
        self.forget_type(relation.oid, a.attnum)?;
        let address = Address::column(relation.oid, a.attnum);
        self.depend_on_collation(address, facts.oid("attcollation"))?;
        self.depend(address, Address::new(PG_TYPE, ty.oid), super::Dependency::Normal)?;
        let key = [Value::Oid(relation.oid), Value::Int2(a.attnum)];
        self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| {
            for c in [
                "atttypid",
                "atttypmod",
                "attlen",
                "attbyval",
                "attalign",
                "attstorage",
                "attcollation",
                "attndims",
            ] {
                let v = facts.get(c).clone();
                r.put(c, v);
            }
        })?;
        self.delete(PG_STATISTIC, &["starelid", "staattnum"], &key)?;
        self.forget_statistics(relation, a.attnum)?;
        for i in &relation.indexes {
            for (n, k) in i.keys.iter().enumerate().filter(|(_, k)| k.attnum == a.attnum) {
                let key = [Value::Oid(i.oid), Value::Int2(n as i16 + 1)];
                self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| {
                    r.put("atttypid", plain.oid);
                    r.put("atttypmod", plain.typmod);
                })?;
                if !k.carried {
                    let new = facts.oid("attcollation");
                    self.set_index_class(i, n, plain, (a.collation, new))?;
                }
            }
        }
        self.step();
        self.rebind_statistics(relation)?;
        self.retype_expressions(relation)?;
        self.rebuild_indexes(relation.oid)?;
        self.recheck_constraints(relation.oid, a.attnum)
    }

    /// Constraints on a column that has another type now hold for the rows that are there.
    fn recheck_constraints(&self, oid: Oid, attnum: i16) -> Result<()> {
        let relation = self.current(oid)?;
        let checks = relation.constraints.iter().filter(|c| c.columns.contains(&attnum));
        for c in checks {
            if let Some(expression) = &c.expression {
                self.validate_check(&relation, &c.name, expression)?;
            }
        }
        self.renew_keys(&relation, attnum)
    }

    /// Expressions of indexes may have another type since a column has one.
    fn retype_expressions(&self, table: &Relation) -> Result<()> {
        let table = self.current(table.oid)?;
        for i in &table.indexes {
            for (n, k) in i.keys.iter().enumerate() {
                let Some(text) = &k.expression else { continue };
                let ty = self.cx.session.bind_expression(&self.reader()?, &table, text)?.ty();
                if ty == k.ty {
                    continue;
                }
                let key = [Value::Oid(i.oid), Value::Int2(n as i16 + 1)];
                self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| {
                    r.put("atttypid", ty.oid);
                    r.put("atttypmod", ty.typmod);
                })?;
                self.set_index_class(i, n, ty, (k.collation, typeinfo::collation_of(ty.oid)))?;
            }
        }
        Ok(())
    }

    /// An index column has another type from now on; its column had the one collation, and has the other now.
    fn set_index_class(
        &self,
        index: &Index,
        column: usize,
        ty: SqlType,
        (own, collation): (Oid, Oid),
    ) -> Result<()> {
        let Some(class) = registry().default_class(index.method.oid(), ty.oid) else {
            let text = format!(
                "data type {} has no default operator class for access method \"{}\"",
                pg_types::typeinfo::display(SqlType::new(ty.oid)),
                index.method.name()
            );
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text));
        };
        // A collation that was named stays.
        let named = index.keys.get(column).map(|k| k.collation).filter(|c| *c != 0 && *c != own);
        if named.is_some() && collation == 0 {
            let text = format!("collations are not supported by type {}", typeinfo::display(ty));
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text));
        }
        let collation = named.unwrap_or(collation);
        // So does a class if it is one for the new type.
        let named = index.keys.get(column).and_then(|k| k.class);
        let named = registry().operator_classes().iter().find(|c| Some(c.oid) == named);
        let class = named.filter(|c| registry().class_accepts(c, ty.oid)).unwrap_or(class);
        self.update(PG_INDEX, &["indexrelid"], &[Value::Oid(index.oid)], |r| {
            let classes = r.array("indclass").iter();
            let mut classes: Vec<Oid> = classes.map(|c| if let Value::Oid(o) = c { *o } else { 0 }).collect();
            if let Some(c) = classes.get_mut(column) {
                *c = class.oid;
            }
            r.put("indclass", pg_catalog::table::oid_vector(&classes));
            let collations = r.array("indcollation").iter();
            let mut collations: Vec<Oid> =
                collations.map(|c| if let Value::Oid(o) = c { *o } else { 0 }).collect();
            if let Some(c) = collations.get_mut(column) {
                *c = collation;
            }
            r.put("indcollation", pg_catalog::table::oid_vector(&collations));
        })?;
        self.step();
        Ok(())
    }

    /// What is made of a column's type and cannot be made anew.
    fn refuse_type_dependents(&self, relation: &Relation, a: &Attribute) -> Result<()> {
        let key = [Value::Oid(PG_CLASS), Value::Oid(relation.oid), Value::Int4(i32::from(a.attnum))];
        for (_, d) in self.find(PG_DEPEND, &["refclassid", "refobjid", "refobjsubid"], &key)? {
            let text = match d.oid("classid") {
                PG_REWRITE => "cannot alter type of a column used by a view or rule",
                PG_POLICY => "cannot alter type of a column used in a policy definition",
                _ => continue,
            };
            let dependent = self.describe(Address::new(d.oid("classid"), d.oid("objid")))?;
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
                .detail(format!("{dependent} depends on column \"{}\"", a.name)));
        }
        for g in relation.live().filter(|g| g.generated != 0) {
            let Some(text) = &g.default else { continue };
            if self.columns_in(relation, text)?.contains(&a.attnum) {
                let text = "cannot alter type of a column used by a generated column";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
                    .detail(format!("Column \"{}\" is used by generated column \"{}\".", a.name, g.name)));
            }
        }
        Ok(())
    }
}

fn contains_nulls(relation: &Relation, column: &str) -> SqlError {
    SqlError::new(
        SqlState::NOT_NULL_VIOLATION,
        format!("column \"{column}\" of relation \"{}\" contains null values", relation.name),
    )
    .table(relation.schema_name.clone(), relation.name.clone())
    .column(column.to_string())
}

fn integer(n: i64, ty: Oid) -> Value {
    match ty {
        oid::INT2 => i16::try_from(n).map_or(Value::Null, Value::Int2),
        oid::INT4 => i32::try_from(n).map_or(Value::Null, Value::Int4),
        _ => Value::Int8(n),
    }
}

/// Does the text call a volatile function? Names are looked up in the registry; anything unknown counts as volatile.
fn is_volatile(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut name = String::new();
    let mut quoted = false;
    for &b in bytes {
        match b {
            b'\'' => quoted = !quoted,
            _ if quoted => {}
            b'(' if !name.is_empty() => {
                let functions = pg_functions::registry().functions_named(&name);
                if functions.iter().any(|f| f.volatility == pg_functions::Volatility::Volatile) {
                    return true;
                }
                name.clear();
            }
            b if b.is_ascii_alphanumeric() || b == b'_' => name.push(b as char),
            _ => name.clear(),
        }
    }
    false
}

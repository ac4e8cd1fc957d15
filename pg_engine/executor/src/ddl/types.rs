//! CREATE and ALTER of types and domains: what they have in common.

use alloc::{
    format,
    string::{String, ToString},
};

use pg_catalog::{
    CatalogReader,
    access::{denied, rights_of},
    acl::{Acl, Class as AclClass, right},
    builtin::{FIRST_NORMAL_OID, PG_CLASS, PG_NAMESPACE, PG_TYPE},
    table::Row,
    user_types,
};
use pg_plan::{
    types::{TypeAction, TypeStatement},
    utility::ObjectName,
};
use pg_storage::LockMode;
use pg_types::{
    Oid, Result, SqlError, SqlState, Value,
    user::{self, Class},
};

use super::{Address, Ddl, Dependency};

/// What a statement about a type answers.
pub(crate) fn tag(s: &TypeStatement) -> &'static str {
    match s.action {
        TypeAction::CreateEnum(_) | TypeAction::CreateComposite(_) => "CREATE TYPE",
        TypeAction::CreateDomain(_) => "CREATE DOMAIN",
        TypeAction::Domain(_) => "ALTER DOMAIN",
        _ => "ALTER TYPE",
    }
}

pub(super) fn shown(name: &ObjectName) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.clone(),
    }
}

pub(super) fn no_type(name: &ObjectName) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", shown(name)))
}

pub(super) fn type_taken(name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_OBJECT, format!("type \"{name}\" already exists"))
}

impl Ddl<'_, '_> {
    /// Any statement about a user type.
    pub(crate) fn type_statement(&self, s: &TypeStatement) -> Result<()> {
        match &s.action {
            TypeAction::CreateEnum(labels) => self.create_enum(&s.name, labels)?,
            TypeAction::CreateComposite(attributes) => self.create_composite(&s.name, attributes)?,
            TypeAction::CreateDomain(def) => self.create_domain(&s.name, def)?,
            TypeAction::AddLabel { label, if_not_exists, beside } => {
                let row = self.altered(&s.name)?;
                self.add_label(&row, label, *if_not_exists, beside.as_ref())?;
            }
            TypeAction::RenameLabel { from, to } => self.rename_label(&self.altered(&s.name)?, from, to)?,
            TypeAction::Rename(new) => self.rename_type(&self.altered(&s.name)?, new)?,
            TypeAction::Owner(role) => self.own_type(&self.altered(&s.name)?, role)?,
            TypeAction::SetSchema(schema) => self.move_type(&self.altered(&s.name)?, schema)?,
            TypeAction::Attributes(actions) => self.alter_composite(&self.altered(&s.name)?, actions)?,
            TypeAction::Domain(action) => self.alter_domain(&self.altered(&s.name)?, action)?,
        }
        self.step();
        Ok(())
    }

    /// The `pg_type` row of a type by name.
    pub(super) fn type_row(&self, name: &ObjectName) -> Result<Option<Row>> {
        let Some(oid) = self.reader()?.type_by_name(name.schema.as_deref(), &name.name)? else {
            return Ok(None);
        };
        Ok(self.find(PG_TYPE, &["oid"], &[Value::Oid(oid)])?.into_iter().next().map(|r| r.1))
    }

    /// The row of a type that is altered, locked.
    fn altered(&self, name: &ObjectName) -> Result<Row> {
        let row = self.type_row(name)?.ok_or_else(|| no_type(name))?;
        let oid = row.oid("oid");
        if oid < FIRST_NORMAL_OID {
            let shown = crate::text::type_name(&self.reader()?, oid, None)?;
            let message = format!("must be owner of type {shown}");
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
        }
        self.lock(oid, LockMode::AccessExclusive)?;
        // What it is may have changed while the lock was waited for.
        self.find(PG_TYPE, &["oid"], &[Value::Oid(oid)])?
            .into_iter()
            .next()
            .map(|r| r.1)
            .ok_or_else(|| no_type(name))
    }

    /// Is there a type of this name?
    pub(super) fn type_named(&self, schema: Oid, name: &str) -> Result<bool> {
        let key = [Value::text(name), Value::Oid(schema)];
        Ok(!self.find(PG_TYPE, &["typname", "typnamespace"], &key)?.is_empty())
    }

    /// Is a new type's name taken? The array over another type makes room, under a name of more underscores.
    pub(super) fn type_name_taken(&self, schema: Oid, name: &str) -> Result<bool> {
        let key = [Value::text(name), Value::Oid(schema)];
        let Some((_, row)) = self.find(PG_TYPE, &["typname", "typnamespace"], &key)?.into_iter().next()
        else {
            return Ok(false);
        };
        let oid = row.oid("oid");
        if row.char("typcategory") != b'A' || row.oid("typelem") + 1 != oid || oid < FIRST_NORMAL_OID {
            return Ok(true);
        }
        let free = self.array_name(schema, name)?;
        self.update(PG_TYPE, &["oid"], &[Value::Oid(oid)], |r| r.put("typname", free.as_str()))?;
        self.step();
        Ok(false)
    }

    /// A free name for the array over a type.
    pub(super) fn array_name(&self, schema: Oid, element: &str) -> Result<String> {
        let mut name = user_types::array_name(element);
        while self.type_named(schema, &name)? {
            name = user_types::array_name(&name);
            if name.bytes().all(|b| b == b'_') {
                return Err(type_taken(element));
            }
        }
        Ok(name)
    }

    /// Adds the rows of a new type and of the array over it; `fill` completes the former.
    pub(super) fn new_type(
        &self,
        class: Class,
        schema: Oid,
        name: &str,
        fill: impl FnOnce(&mut Row),
    ) -> Result<Oid> {
        if self.type_name_taken(schema, name)? {
            return Err(type_taken(name));
        }
        let oid = self.cx.engine.catalog().new_type_oid(class)?;
        let def = self.catalog(PG_TYPE)?.def;
        let owner = self.cx.session.user();
        let mut row = user_types::type_row(def, oid, name, schema, owner);
        fill(&mut row);
        row.put("typacl", self.initial_acl(AclClass::Type, owner, schema)?);
        let align = row.char("typalign");
        self.insert(PG_TYPE, &row)?;
        let array_name = self.array_name(schema, name)?;
        let mut row = user_types::type_row(def, oid + 1, &array_name, schema, owner);
        // As PostgreSQL aligns arrays: by eight bytes if the elements are.
        row.put("typalign", if align == b'd' { b'd' } else { b'i' });
        self.insert(PG_TYPE, &row)?;
        let address = Address::new(PG_TYPE, oid);
        self.depend(address, Address::new(PG_NAMESPACE, schema), Dependency::Normal)?;
        self.depend(Address::new(PG_TYPE, oid + 1), address, Dependency::Internal)?;
        Ok(oid)
    }

    /// A relation's row type cannot be changed by itself.
    fn refuse_row_type(&self, row: &Row) -> Result<()> {
        let (oid, shown) = (row.oid("oid"), crate::text::type_name(&self.reader()?, row.oid("oid"), None)?);
        let relation = row.oid("typrelid");
        if relation != 0
            && self
                .find(PG_CLASS, &["oid"], &[Value::Oid(relation)])?
                .iter()
                .any(|r| r.1.char("relkind") != b'c')
        {
            let message = format!("{shown} is a table's row type");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).hint("Use ALTER TABLE instead."));
        }
        if user::is_array(oid) {
            let element = crate::text::type_name(&self.reader()?, oid - 1, None)?;
            let message = format!("cannot alter array type {shown}");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                .hint(format!("You can alter type {element}, which will alter the array type as well.")));
        }
        Ok(())
    }

    fn rename_type(&self, row: &Row, new: &str) -> Result<()> {
        self.refuse_row_type(row)?;
        let (oid, schema) = (row.oid("oid"), row.oid("typnamespace"));
        if self.type_name_taken(schema, new)? {
            return Err(type_taken(new));
        }
        self.update(PG_TYPE, &["oid"], &[Value::Oid(oid)], |r| r.put("typname", new))?;
        let array = self.array_name(schema, new)?;
        self.update(PG_TYPE, &["oid"], &[Value::Oid(oid + 1)], |r| r.put("typname", array.as_str()))?;
        if row.oid("typrelid") != 0 {
            self.update(PG_CLASS, &["oid"], &[Value::Oid(row.oid("typrelid"))], |r| r.put("relname", new))?;
        }
        Ok(())
    }

    fn own_type(&self, row: &Row, role: &str) -> Result<()> {
        self.refuse_row_type(row)?;
        let owner = self.role_oid(role)?;
        self.give(PG_TYPE, row.oid("oid"), owner)
    }

    fn move_type(&self, row: &Row, schema: &str) -> Result<()> {
        self.refuse_row_type(row)?;
        let to = self.reader()?.schema(schema)?.ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist"))
        })?;
        let (oid, name) = (row.oid("oid"), row.text("typname").to_string());
        if to == row.oid("typnamespace") {
            return Ok(());
        }
        if self.type_named(to, &name)? {
            let message = format!("type \"{name}\" already exists in schema \"{schema}\"");
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        let array = self.array_name(to, &name)?;
        self.update(PG_TYPE, &["oid"], &[Value::Oid(oid)], |r| r.put("typnamespace", to))?;
        self.update(PG_TYPE, &["oid"], &[Value::Oid(oid + 1)], |r| {
            r.put("typnamespace", to);
            r.put("typname", array.as_str());
        })?;
        let relation = row.oid("typrelid");
        if relation != 0 {
            self.update(PG_CLASS, &["oid"], &[Value::Oid(relation)], |r| r.put("relnamespace", to))?;
        }
        let key = [Value::Oid(oid)];
        self.update(pg_catalog::builtin::PG_CONSTRAINT, &["contypid"], &key, |r| {
            r.put("connamespace", to);
        })?;
        let from = Address::new(PG_NAMESPACE, row.oid("typnamespace"));
        self.redepend(Address::new(PG_TYPE, oid), from, Address::new(PG_NAMESPACE, to))
    }

    /// Makes an object that depended on `from` depend on `to`.
    pub(super) fn redepend(&self, dependent: Address, from: Address, to: Address) -> Result<()> {
        let key = [Value::Oid(dependent.class), Value::Oid(dependent.object)];
        let catalog = pg_catalog::builtin::PG_DEPEND;
        let rows = self.find(catalog, &["classid", "objid"], &key)?;
        {
            let table = self.catalog(catalog)?;
            let mut txn = self.cx.txn.borrow_mut();
            for (tid, r) in &rows {
                if r.int("objsubid") == i64::from(dependent.sub)
                    && r.oid("refclassid") == from.class
                    && r.oid("refobjid") == from.object
                {
                    table.delete(self.cx.engine.storage(), txn.storage(), *tid)?;
                }
            }
        }
        self.depend(dependent, to, Dependency::Normal)
    }

    /// Keeps a user type from being dropped until the transaction that comes to depend on it ends.
    pub(super) fn hold_type(&self, ty: Oid) -> Result<()> {
        if !user::is_user(ty) {
            return Ok(());
        }
        let element = if user::is_array(ty) { ty - 1 } else { ty };
        self.lock(element, LockMode::AccessShare)?;
        if self.find(PG_TYPE, &["oid"], &[Value::Oid(element)])?.is_empty() {
            let message = format!("type with OID {element} does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        Ok(())
    }

    /// What is defined with a type needs USAGE on it; of an array, on the elements' type.
    pub(super) fn may_use_type(&self, ty: Oid) -> Result<()> {
        let element = match pg_types::typeinfo::get(ty) {
            _ if user::is_array(ty) => ty - 1,
            Some(t) if t.is_array() => t.element,
            _ => ty,
        };
        let roles = self.roles()?;
        if element == 0 || roles.is_superuser(self.user()) {
            return Ok(());
        }
        let rows = self.find(PG_TYPE, &["oid"], &[Value::Oid(element)])?;
        let Some((_, row)) = rows.first() else { return Ok(()) };
        let (acl, owner) = (Acl::of_value(row.get("typacl")), row.oid("typowner"));
        match rights_of(acl.as_ref(), AclClass::Type, owner, self.user(), right::USAGE, &roles) {
            0 => Err(denied("type", &crate::text::type_name(&self.reader()?, element, None)?)),
            _ => Ok(()),
        }
    }

    /// How a column of a domain is stored: as one of the base type.
    pub(super) fn describe_domain(&self, row: &mut Row, ty: pg_types::SqlType) -> Result<()> {
        if !user::is_domain(ty.oid) {
            return Ok(());
        }
        let base = self.reader()?.plain_type(ty)?;
        if let Some(t) = pg_types::typeinfo::get(base.oid) {
            row.put("attlen", t.len);
            row.put("attbyval", t.by_value);
            row.put("attalign", t.align);
            row.put("attstorage", t.storage);
            if row.oid("attcollation") == 0 {
                let domain = self.find(PG_TYPE, &["oid"], &[Value::Oid(ty.oid)])?;
                row.put("attcollation", domain.first().map_or(t.collation, |d| d.1.oid("typcollation")));
            }
        }
        Ok(())
    }
}

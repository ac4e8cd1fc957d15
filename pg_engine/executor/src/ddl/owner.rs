//! Owners: ALTER ... OWNER TO, REASSIGN OWNED, DROP OWNED, and what stands in the way of dropping a role.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    Relation, RelationKind,
    access::rights_of,
    acl::{Acl, Class, Rights, right},
    builtin::*,
    table::{Row, array},
};
use pg_plan::access::{DropOwned, ReassignOwned, RoleName};
use pg_types::{Oid, Result, SqlError, SqlState, Value, oid};

use super::{Address, Ddl, access::refused};

/// Catalogs with lists: the list's column, the owner's, and how messages name the object.
const LISTS: &[(Oid, &str, &str, &str, &str)] = &[
    (PG_CLASS, "relacl", "relowner", "relname", "table"),
    (PG_NAMESPACE, "nspacl", "nspowner", "nspname", "schema"),
    (PG_DATABASE, "datacl", "datdba", "datname", "database"),
    (PG_TYPE, "typacl", "typowner", "typname", "type"),
    (PG_PROC, "proacl", "proowner", "proname", "function"),
    (PG_LANGUAGE, "lanacl", "lanowner", "lanname", "language"),
    (PG_TABLESPACE, "spcacl", "spcowner", "spcname", "tablespace"),
    // They have no list: these columns are always NULL.
    (PG_STATISTIC_EXT, "stxexprs", "stxowner", "stxname", "statistics object"),
    (PG_COLLATION, "collversion", "collowner", "collname", "collation"),
    (PG_EXTENSION, "extconfig", "extowner", "extname", "extension"),
];

/// A row of `pg_class` as messages name it.
fn class_word(row: &Row) -> &'static str {
    match row.char("relkind") {
        b'S' => "sequence",
        b'v' => "view",
        b'm' => "materialized view",
        b'i' => "index",
        _ => "table",
    }
}

/// Is it part of another object, with which it goes?
fn is_part(row: &Row, catalog: Oid) -> bool {
    catalog == PG_CLASS && matches!(row.char("relkind"), b'i' | b't')
        || catalog == PG_TYPE && (row.oid("typrelid") != 0 || row.oid("typelem") != 0)
}

impl Ddl<'_, '_> {
    /// ALTER TABLE, VIEW, SEQUENCE ... OWNER TO. Indexes, large values and owned sequences follow.
    pub(crate) fn change_owner(&self, relation: &Relation, owner: &RoleName) -> Result<()> {
        let new = self.role(owner)?;
        if relation.owner == new {
            return Ok(());
        }
        if relation.kind == RelationKind::Sequence {
            self.refuse_owned_sequence(relation)?;
        }
        self.may_own_in(new, relation.schema, &relation.schema_name)?;
        self.give_relation(relation.oid, new)
    }

    fn refuse_owned_sequence(&self, relation: &Relation) -> Result<()> {
        let key = [Value::Oid(PG_CLASS), Value::Oid(relation.oid)];
        for (_, d) in self.find(PG_DEPEND, &["classid", "objid"], &key)? {
            if matches!(d.char("deptype"), b'a' | b'i') && d.oid("refclassid") == PG_CLASS {
                let table = self.current(d.oid("refobjid"))?;
                let text = format!("cannot change owner of sequence \"{}\"", relation.name);
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).detail(format!(
                    "Sequence \"{}\" is linked to table \"{}\".",
                    relation.name, table.name
                )));
            }
        }
        Ok(())
    }

    /// Gives a relation and its parts to a role.
    pub(crate) fn give_relation(&self, oid: Oid, new: Oid) -> Result<()> {
        let mut list = Vec::from([oid]);
        let mut at = 0;
        while let Some(&relation) = list.get(at) {
            at += 1;
            self.cx.checkpoint()?;
            let key = [Value::Oid(relation)];
            let rows = self.find(PG_CLASS, &["oid"], &key)?;
            let Some((_, class)) = rows.first() else { continue };
            let old = class.oid("relowner");
            self.update(PG_CLASS, &["oid"], &key, |r| give(r, "relowner", "relacl", old, new))?;
            self.update(PG_TYPE, &["typrelid"], &key, |r| r.put("typowner", new))?;
            for (_, column) in self.find(PG_ATTRIBUTE, &["attrelid"], &key)? {
                if let Some(mut acl) = Acl::of_value(column.get("attacl")) {
                    acl.change_owner(old, new);
                    let key = [Value::Oid(relation), column.get("attnum").clone()];
                    self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| {
                        r.put("attacl", acl.to_value());
                    })?;
                }
            }
            for (_, i) in self.find(PG_INDEX, &["indrelid"], &key)? {
                list.push(i.oid("indexrelid"));
            }
            if class.oid("reltoastrelid") != 0 {
                list.push(class.oid("reltoastrelid"));
            }
            let parts = [Value::Oid(PG_CLASS), Value::Oid(relation)];
            for (_, d) in self.find(PG_DEPEND, &["refclassid", "refobjid"], &parts)? {
                let sequence = d.oid("classid") == PG_CLASS && matches!(d.char("deptype"), b'a' | b'i');
                if sequence && !list.contains(&d.oid("objid")) {
                    let rows = self.find(PG_CLASS, &["oid"], &[d.get("objid").clone()])?;
                    list.extend(rows.first().filter(|r| r.1.char("relkind") == b'S').map(|r| r.1.oid("oid")));
                }
            }
            self.step();
        }
        Ok(())
    }

    /// ALTER SCHEMA ... OWNER TO.
    pub(crate) fn alter_schema_owner(&self, name: &str, owner: &RoleName) -> Result<()> {
        let Some(schema) = self.reader()?.schema(name)? else {
            let text = format!("schema \"{name}\" does not exist");
            return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, text));
        };
        let new = self.role(owner)?;
        let old = self.reader()?.schema_row(schema)?.map_or(0, |s| s.owner);
        if old == new {
            return Ok(());
        }
        self.must_own_schema(schema, name)?;
        if !self.is_superuser()? {
            self.may_become(new)?;
            self.may_create_schema()?;
        }
        self.give(PG_NAMESPACE, schema, new)
    }

    /// May the user make schemas?
    pub(crate) fn may_create_schema(&self) -> Result<()> {
        let database = self.cx.session.database();
        if self.database_rights(right::CREATE)? == 0 {
            return Err(refused(format!("permission denied for database {database}")));
        }
        Ok(())
    }

    /// May the user make temporary relations?
    pub(crate) fn may_make_temporary(&self) -> Result<()> {
        let database = self.cx.session.database();
        if self.database_rights(right::TEMPORARY)? == 0 {
            let text = format!("permission denied to create temporary tables in database \"{database}\"");
            return Err(refused(text));
        }
        Ok(())
    }

    /// Those of the privileges in `mask` that the user has on the database.
    pub(super) fn database_rights(&self, mask: Rights) -> Result<Rights> {
        let (user, roles) = (self.user(), self.roles()?);
        if roles.is_superuser(user) {
            return Ok(mask);
        }
        let rows = self.find(PG_DATABASE, &["datname"], &[Value::text(&self.cx.session.database())])?;
        let Some((_, d)) = rows.first() else { return Ok(0) };
        let acl = Acl::of_value(d.get("datacl"));
        Ok(rights_of(acl.as_ref(), Class::Database, d.oid("datdba"), user, mask, &roles))
    }

    /// How many objects of other databases depend on a role, with each's name.
    pub(super) fn objects_elsewhere(&self, role: Oid) -> Result<Vec<(usize, String)>> {
        let mut all = Vec::new();
        for engine in self.cx.engine.all_databases()? {
            let catalog = engine.catalog();
            if catalog.database() == self.cx.engine.catalog().database() {
                continue;
            }
            let snapshot = catalog.latest();
            let mut count = 0;
            for (table, list, owner, ..) in LISTS {
                let table = catalog.table(*table)?;
                if table.def.shared {
                    continue;
                }
                for (_, row) in table.scan(catalog.storage(), &snapshot)? {
                    let named = || Acl::of_value(row.get(list)).is_some_and(|a| a.names(role));
                    count +=
                        usize::from(!is_part(&row, table.def.oid) && (row.oid(owner) == role || named()));
                }
            }
            if count > 0 {
                let key = [Value::Oid(catalog.database())];
                let rows = self.find(PG_DATABASE, &["oid"], &key)?;
                all.push((count, rows.first().map_or_else(String::new, |r| r.1.text("datname").into())));
            }
        }
        Ok(all)
    }

    /// Gives an object of a catalog with lists to a role.
    pub(super) fn give(&self, catalog: Oid, object: Oid, new: Oid) -> Result<()> {
        let Some((_, list, owner, ..)) = LISTS.iter().find(|l| l.0 == catalog) else { return Ok(()) };
        self.update(catalog, &["oid"], &[Value::Oid(object)], |r| {
            let old = r.oid(owner);
            give(r, owner, list, old, new);
        })?;
        self.step();
        Ok(())
    }

    /// REASSIGN OWNED.
    pub(crate) fn reassign_owned(&self, s: &ReassignOwned) -> Result<()> {
        let roles = self.owners(&s.roles)?;
        let new = self.role(&s.to)?;
        if !self.owns(new)? {
            return Err(refused("permission denied to reassign objects"));
        }
        for old in roles {
            for (catalog, _, owner, ..) in LISTS {
                for (_, row) in self.find(*catalog, &[owner], &[Value::Oid(old)])? {
                    match *catalog {
                        PG_CLASS => self.give_relation(row.oid("oid"), new)?,
                        _ => self.give(*catalog, row.oid("oid"), new)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// The roles whose objects are meant; not the first one, whose are the system's.
    fn owners(&self, names: &[RoleName]) -> Result<Vec<Oid>> {
        let mut list = Vec::new();
        for name in names {
            let role = self.role(name)?;
            if !self.owns(role)? {
                return Err(refused("permission denied to reassign objects"));
            }
            if role == FIRST_ROLE {
                let roles = self.roles()?;
                return Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!(
                        "cannot reassign ownership of objects owned by role {} because they are required by the \
                         database system",
                        roles.name(role).unwrap_or("")
                    ),
                ));
            }
            list.push(role);
        }
        Ok(list)
    }

    /// DROP OWNED: objects go, and what was granted to the roles.
    pub(crate) fn drop_owned(&self, s: &DropOwned) -> Result<()> {
        let mut targets = Vec::new();
        let mut roles = Vec::new();
        for name in &s.roles {
            let role = self.role(name)?;
            if !self.owns(role)? {
                return Err(refused("permission denied to drop objects"));
            }
            if role == FIRST_ROLE {
                return Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    "cannot drop objects owned by the first role because they are required by the database system",
                ));
            }
            roles.push(role);
            for (_, row) in self.find(PG_CLASS, &["relowner"], &[Value::Oid(role)])? {
                let whole = matches!(row.char("relkind"), b'r' | b'v' | b'S' | b'm');
                let part = row.char("relkind") == b'S' && self.is_part(row.oid("oid"))?;
                if whole && !part {
                    targets.push(Address::new(PG_CLASS, row.oid("oid")));
                }
            }
            for (_, row) in self.find(PG_PROC, &["proowner"], &[Value::Oid(role)])? {
                targets.push(Address::new(PG_PROC, row.oid("oid")));
            }
            for (_, row) in self.all(PG_STATISTIC_EXT)?.iter().filter(|r| r.1.oid("stxowner") == role) {
                targets.push(Address::new(PG_STATISTIC_EXT, row.oid("oid")));
            }
            for (_, row) in self.all(PG_COLLATION)?.iter().filter(|r| r.1.oid("collowner") == role) {
                targets.push(Address::new(PG_COLLATION, row.oid("oid")));
            }
            for (_, row) in self.find(PG_NAMESPACE, &["nspowner"], &[Value::Oid(role)])? {
                targets.push(Address::new(PG_NAMESPACE, row.oid("oid")));
            }
        }
        for role in roles {
            self.forget_grants(role)?;
        }
        self.drop_objects(&targets, s.cascade)
    }

    fn is_part(&self, sequence: Oid) -> Result<bool> {
        let key = [Value::Oid(PG_CLASS), Value::Oid(sequence)];
        let rows = self.find(PG_DEPEND, &["classid", "objid"], &key)?;
        Ok(rows.iter().any(|(_, d)| matches!(d.char("deptype"), b'a' | b'i')))
    }

    /// Takes a role out of every list.
    fn forget_grants(&self, role: Oid) -> Result<()> {
        let without = |acl: &Acl| {
            let mut acl = acl.clone();
            acl.0.retain(|i| i.grantee != role && i.grantor != role);
            acl
        };
        for (catalog, list, owner, ..) in LISTS {
            for (_, row) in self.all(*catalog)? {
                let acl = Acl::of_value(row.get(list)).filter(|a| a.names(role));
                if let Some(acl) = acl.filter(|_| row.oid(owner) != role) {
                    let new = without(&acl).to_value();
                    self.update(*catalog, &["oid"], &[row.get("oid").clone()], |r| r.put(list, new.clone()))?;
                }
            }
        }
        for (_, row) in self.all(PG_ATTRIBUTE)? {
            if let Some(acl) = Acl::of_value(row.get("attacl")).filter(|a| a.names(role)) {
                let new = without(&acl);
                let new = if new.0.is_empty() { Value::Null } else { new.to_value() };
                let key = [row.get("attrelid").clone(), row.get("attnum").clone()];
                self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| r.put("attacl", new.clone()))?;
            }
        }
        for (_, row) in self.all(PG_DEFAULT_ACL)? {
            let key = [row.get("oid").clone()];
            let acl = Acl::of_value(row.get("defaclacl")).unwrap_or_default();
            if row.oid("defaclrole") == role {
                self.delete(PG_DEFAULT_ACL, &["oid"], &key)?;
            } else if acl.names(role) {
                let new = without(&acl).to_value();
                self.update(PG_DEFAULT_ACL, &["oid"], &key, |r| r.put("defaclacl", new.clone()))?;
            }
        }
        for (_, row) in self.all(PG_POLICY)? {
            if !row.array("polroles").contains(&Value::Oid(role)) {
                continue;
            }
            let kept: Vec<Value> =
                row.array("polroles").iter().filter(|v| **v != Value::Oid(role)).cloned().collect();
            if kept.is_empty() {
                self.drop_objects(&[Address::new(PG_POLICY, row.oid("oid"))], false)?;
            } else {
                let key = [row.get("oid").clone()];
                self.update(PG_POLICY, &["oid"], &key, |r| r.put("polroles", array(oid::OID, kept.clone())))?;
            }
        }
        self.step();
        Ok(())
    }

    /// Every row of a catalog.
    fn all(&self, catalog: Oid) -> Result<Vec<(pg_storage::Tid, Row)>> {
        let table = self.catalog(catalog)?;
        let snapshot = {
            let mut txn = self.cx.txn.borrow_mut();
            txn.storage().next_command();
            txn.snapshot().untracked()
        };
        table.scan(self.cx.engine.storage(), &snapshot)
    }

    /// What keeps a role from being dropped, as messages list it.
    pub(super) fn role_objects(&self, role: Oid) -> Result<Vec<String>> {
        let (mut owned, mut granted) = (Vec::new(), Vec::new());
        for (catalog, list, owner, name, word) in LISTS {
            for (_, row) in self.all(*catalog)? {
                let word = if *catalog == PG_CLASS { class_word(&row) } else { word };
                let shown = match *catalog {
                    PG_CLASS => crate::text::relation_name(&self.reader()?, row.oid("oid"))?
                        .unwrap_or_else(|| row.text(name).to_string()),
                    PG_PROC => crate::text::routine_signature(&self.reader()?, &row)?,
                    _ => row.text(name).to_string(),
                };
                if row.oid(owner) == role && !is_part(&row, *catalog) {
                    owned.push(format!("owner of {word} {shown}"));
                } else if Acl::of_value(row.get(list)).is_some_and(|a| a.names(role)) {
                    granted.push(format!("privileges for {word} {shown}"));
                }
            }
        }
        for (_, row) in self.all(PG_ATTRIBUTE)? {
            if Acl::of_value(row.get("attacl")).is_some_and(|a| a.names(role)) {
                let table = crate::text::relation_name(&self.reader()?, row.oid("attrelid"))?;
                let table = table.unwrap_or_default();
                granted.push(format!("privileges for column {} of table {table}", row.text("attname")));
            }
        }
        for (_, row) in self.all(PG_DEFAULT_ACL)? {
            let roles = self.roles()?;
            let of = row.oid("defaclrole");
            let what = match row.char("defaclobjtype") {
                b'r' => "relations",
                b'S' => "sequences",
                b'f' => "functions",
                b'T' => "types",
                _ => "schemas",
            };
            let schema = row.oid("defaclnamespace");
            let schema = self
                .reader()?
                .schema_row(schema)?
                .map_or_else(String::new, |s| format!(" in schema {}", s.name));
            let shown = format!(
                "default privileges on new {what} belonging to role {}{schema}",
                roles.name(of).unwrap_or("")
            );
            if of == role {
                owned.push(format!("owner of {shown}"));
            } else if Acl::of_value(row.get("defaclacl")).is_some_and(|a| a.names(role)) {
                granted.push(format!("privileges for {shown}"));
            }
        }
        for (_, row) in self.all(PG_POLICY)? {
            if row.array("polroles").contains(&Value::Oid(role)) {
                let table = crate::text::relation_name(&self.reader()?, row.oid("polrelid"))?;
                let table = table.unwrap_or_default();
                granted.push(format!("target of policy {} on table {table}", row.text("polname")));
            }
        }
        owned.append(&mut granted);
        Ok(owned)
    }
}

/// Puts a new owner into a row and its list.
fn give(row: &mut Row, owner: &str, list: &str, old: Oid, new: Oid) {
    row.put(owner, new);
    if let Some(mut acl) = Acl::of_value(row.get(list)) {
        acl.change_owner(old, new);
        row.put(list, acl.to_value());
    }
}

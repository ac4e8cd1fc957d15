//! Owners: ALTER ... OWNER TO, REASSIGN OWNED, DROP OWNED, and what stands in the way of dropping a role.

use alloc::{format, vec::Vec};

use pg_catalog::{
    Relation, RelationKind,
    access::rights_of,
    acl::{Acl, Class, Rights, right},
    builtin::*,
    shared::{self, Owned},
    table::{Row, array},
};
use pg_plan::access::{DropOwned, ReassignOwned, RoleName};
use pg_types::{Oid, Result, SqlError, SqlState, Value, oid};

use super::{Address, Ddl, access::refused};

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

    /// Gives an object that is no relation to a role.
    pub(super) fn give(&self, class: Oid, object: Oid, new: Oid) -> Result<()> {
        let Some(owned) = Owned::of_object(class, 0).filter(|o| !o.owner.is_empty()) else { return Ok(()) };
        let key = [Value::Oid(object)];
        self.update(owned.catalog, &["oid"], &key, |r| {
            let old = r.oid(owned.owner);
            give(r, owned.owner, owned.list, old, new);
        })?;
        if class == PG_TYPE {
            // Its arrays, and what keeps its attributes.
            self.update(PG_TYPE, &["oid"], &[Value::Oid(object + 1)], |r| r.put("typowner", new))?;
            let rows = self.find(PG_TYPE, &["oid"], &key)?;
            if let Some(relation) = rows.first().map(|r| r.1.oid("typrelid")).filter(|r| *r != 0) {
                self.update(PG_CLASS, &["oid"], &[Value::Oid(relation)], |r| r.put("relowner", new))?;
            }
        }
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
            for (object, _) in self.needs_of(old)?.into_iter().filter(|n| n.1 == shared::OWNER) {
                match object.class {
                    PG_CLASS => self.give_relation(object.object, new)?,
                    // What new objects of the old owner get is the old owner's business.
                    PG_DEFAULT_ACL => {}
                    class => self.give(class, object.object, new)?,
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
                return Err(self.required("reassign ownership of objects owned by", role)?);
            }
            list.push(role);
        }
        Ok(list)
    }

    /// What the system itself owns stays.
    fn required(&self, what: &str, role: Oid) -> Result<SqlError> {
        let roles = self.roles()?;
        let name = roles.name(role).unwrap_or("");
        let text = format!("cannot {what} role {name} because they are required by the database system");
        Ok(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text))
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
                return Err(self.required("drop objects owned by", role)?);
            }
            roles.push(role);
        }
        for role in roles {
            for (object, kind) in self.needs_of(role)? {
                match kind {
                    shared::LIST => self.strike(object, role)?,
                    shared::POLICY => targets.extend(self.policy_without(object, role)?),
                    _ if object.class == PG_DATABASE || object.class == PG_TABLESPACE => {}
                    _ if object.class == PG_CLASS && self.is_part(object.object)? => {}
                    _ => targets.push(object),
                }
            }
        }
        self.step();
        targets.sort_unstable_by_key(|t| core::cmp::Reverse((t.object, t.class)));
        self.drop_objects(&targets, s.cascade)
    }

    fn is_part(&self, sequence: Oid) -> Result<bool> {
        let key = [Value::Oid(PG_CLASS), Value::Oid(sequence)];
        let rows = self.find(PG_DEPEND, &["classid", "objid"], &key)?;
        Ok(rows.iter().any(|(_, d)| matches!(d.char("deptype"), b'a' | b'i')))
    }

    /// Takes a role out of an object's list.
    fn strike(&self, a: Address, role: Oid) -> Result<()> {
        let Some(owned) = Owned::of_object(a.class, a.sub).filter(|o| !o.list.is_empty()) else {
            return Ok(());
        };
        let (columns, key): (&[&str], Vec<Value>) = match owned.catalog {
            PG_ATTRIBUTE => {
                (&["attrelid", "attnum"], Vec::from([Value::Oid(a.object), Value::Int2(a.sub as i16)]))
            }
            _ => (&["oid"], Vec::from([Value::Oid(a.object)])),
        };
        let Some((_, row)) = self.find(owned.catalog, columns, &key)?.into_iter().next() else {
            return Ok(());
        };
        let mut acl = Acl::of_value(row.get(owned.list)).unwrap_or_default();
        acl.0.retain(|i| i.grantee != role && i.grantor != role);
        let usual = match owned.catalog {
            PG_DEFAULT_ACL => Some(super::default_acl::usual(&row)),
            PG_PARAMETER_ACL => Some(Acl::default_of(Class::Parameter, FIRST_ROLE)),
            _ => None,
        };
        if usual.is_some_and(|u| u == acl) {
            self.delete(owned.catalog, columns, &key)?;
            return Ok(());
        }
        let none = owned.catalog == PG_ATTRIBUTE && acl.0.is_empty();
        let new = if none { Value::Null } else { acl.to_value() };
        self.update(owned.catalog, columns, &key, |r| r.put(owned.list, new.clone()))?;
        Ok(())
    }

    /// Takes a role out of a policy; gives the policy back if it is for nobody else.
    fn policy_without(&self, policy: Address, role: Oid) -> Result<Option<Address>> {
        let key = [Value::Oid(policy.object)];
        let Some((_, row)) = self.find(PG_POLICY, &["oid"], &key)?.into_iter().next() else {
            return Ok(None);
        };
        let mut kept = row.array("polroles").to_vec();
        kept.retain(|v| *v != Value::Oid(role));
        if kept.is_empty() {
            return Ok(Some(policy));
        }
        self.update(PG_POLICY, &["oid"], &key, |r| r.put("polroles", array(oid::OID, kept.clone())))?;
        Ok(None)
    }
}

/// Puts a new owner into a row and its list.
fn give(row: &mut Row, owner: &str, list: &str, old: Oid, new: Oid) {
    row.put(owner, new);
    if list.is_empty() {
        return;
    }
    if let Some(mut acl) = Acl::of_value(row.get(list)) {
        acl.change_owner(old, new);
        row.put(list, acl.to_value());
    }
}

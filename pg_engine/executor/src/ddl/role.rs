//! CREATE, ALTER and DROP ROLE, their members and settings.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::{
    builtin::{PG_AUTH_MEMBERS, PG_AUTHID, PG_DATABASE, PG_DB_ROLE_SETTING, rows::role_row},
    roles::predefined,
    table::{Row, array},
};
use pg_plan::{
    access::{GrantRoles, RoleName, RoleSetting, SettingChange},
    utility::RoleStatement,
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, oid};

use super::{Ddl, access::refused};

fn reserved(name: &str) -> Result<()> {
    if !name.starts_with("pg_") {
        return Ok(());
    }
    Err(SqlError::new(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved"))
        .detail("Role names starting with \"pg_\" are reserved."))
}

impl Ddl<'_, '_> {
    /// A role's oid.
    pub(crate) fn role_oid(&self, name: &str) -> Result<Oid> {
        self.role_named(name)
    }

    /// SUPERUSER or CREATEROLE.
    fn may_create_roles(&self) -> Result<bool> {
        let roles = self.roles()?;
        Ok(roles.get(self.user()).is_some_and(|r| r.superuser || r.create_role))
    }

    fn fill_role(&self, row: &mut Row, r: &RoleStatement) -> Result<()> {
        let flags = [
            ("rolcanlogin", r.login),
            ("rolsuper", r.superuser),
            ("rolcreatedb", r.createdb),
            ("rolcreaterole", r.createrole),
            ("rolinherit", r.inherit),
            ("rolreplication", r.replication),
            ("rolbypassrls", r.bypassrls),
        ];
        for (column, v) in flags {
            if let Some(v) = v {
                row.put(column, v);
            }
        }
        if let Some(n) = r.connection_limit {
            if n < -1 {
                let text = format!("invalid connection limit: {n}");
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text));
            }
            row.put("rolconnlimit", n);
        }
        match &r.password {
            None => {}
            Some(None) => row.put("rolpassword", Value::Null),
            Some(Some(p)) if p.is_empty() => {
                let text = "empty string is not a valid password, clearing password";
                self.notice(SqlState::SUCCESSFUL_COMPLETION, String::from(text));
                row.put("rolpassword", Value::Null);
            }
            Some(Some(p)) if p.starts_with("SCRAM-SHA-256$") => row.put("rolpassword", p.as_str()),
            Some(Some(p)) => {
                let verifier = self.cx.session.password_verifier(p)?;
                row.put("rolpassword", verifier);
            }
        }
        if let Some(until) = &r.valid_until {
            let v = crate::text::input(until, SqlType::new(oid::TIMESTAMPTZ), self.cx)?;
            row.put("rolvaliduntil", v);
        }
        Ok(())
    }

    /// CREATE ROLE.
    pub(crate) fn create_role(&self, r: &RoleStatement) -> Result<()> {
        if !self.is_superuser()? {
            for (asked, what) in [
                (r.superuser, "superusers"),
                (r.replication, "replication users"),
                (r.bypassrls, "bypassrls users"),
            ] {
                if asked == Some(true) {
                    return Err(refused(format!("must be superuser to create {what}")));
                }
            }
            if !self.may_create_roles()? {
                return Err(refused("permission denied to create role"));
            }
        }
        reserved(&r.name)?;
        if self.roles()?.find(&r.name).is_some() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_OBJECT,
                format!("role \"{}\" already exists", r.name),
            ));
        }
        let oid = self.oid()?;
        let mut row = role_row(self.catalog(PG_AUTHID)?.def, oid, &r.name, false, false, None);
        self.fill_role(&mut row, r)?;
        self.insert(PG_AUTHID, &row)?;
        self.step();
        for role in &r.in_roles {
            self.add_member(self.role(role)?, oid, false)?;
        }
        for member in &r.members {
            self.add_member(oid, self.role(member)?, false)?;
        }
        for member in &r.admins {
            self.add_member(oid, self.role(member)?, true)?;
        }
        Ok(())
    }

    /// ALTER ROLE.
    pub(crate) fn alter_role(&self, r: &RoleStatement) -> Result<()> {
        let oid = match &r.who {
            Some(who) => self.role(who)?,
            None => self.role_named(&r.name)?,
        };
        let roles = self.roles()?;
        if let Some(name) = roles.name(oid) {
            reserved(name)?;
        }
        if !self.is_superuser()? {
            let rows = self.find(PG_AUTHID, &["oid"], &[Value::Oid(oid)])?;
            let is = |column: &str| rows.first().is_some_and(|r| r.1.bool(column));
            if is("rolsuper") || r.superuser.is_some() {
                let text = "must be superuser to alter superuser roles or change superuser attribute";
                return Err(refused(text));
            }
            if is("rolreplication") || r.replication.is_some() {
                let text = "must be superuser to alter replication roles or change replication attribute";
                return Err(refused(text));
            }
            if r.bypassrls.is_some() {
                return Err(refused("must be superuser to change bypassrls attribute"));
            }
            let others = [r.login, r.createdb, r.createrole, r.inherit];
            let only_password =
                others.iter().all(Option::is_none) && r.connection_limit.is_none() && r.valid_until.is_none();
            let own_password = only_password && r.password.is_some() && oid == self.user();
            if !own_password && !self.may_create_roles()? {
                return Err(refused("permission denied"));
            }
        }
        let key = [Value::Oid(oid)];
        let mut failure = None;
        self.update(PG_AUTHID, &["oid"], &key, |row| failure = self.fill_role(row, r).err())?;
        if let Some(e) = failure {
            return Err(e);
        }
        self.step();
        Ok(())
    }

    /// ALTER ROLE ... RENAME TO.
    pub(crate) fn rename_role(&self, old: &str, new: &str) -> Result<()> {
        let oid = self.role_named(old)?;
        for (role, text) in [
            (self.cx.session.session_user(), "session user cannot be renamed"),
            (self.user(), "current user cannot be renamed"),
        ] {
            if role == oid {
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
            }
        }
        reserved(old)?;
        reserved(new)?;
        let roles = self.roles()?;
        if roles.find(new).is_some() {
            let text = format!("role \"{new}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, text));
        }
        if roles.is_superuser(oid) && !self.is_superuser()? {
            return Err(refused("must be superuser to rename superusers"));
        }
        if !self.may_create_roles()? {
            return Err(refused("permission denied to rename role"));
        }
        self.update(PG_AUTHID, &["oid"], &[Value::Oid(oid)], |r| r.put("rolname", new))?;
        self.step();
        Ok(())
    }

    /// DROP ROLE.
    pub(crate) fn drop_roles(&self, names: &[RoleName], if_exists: bool) -> Result<()> {
        if !self.may_create_roles()? {
            return Err(refused("permission denied to drop role"));
        }
        for name in names {
            let RoleName::Name(name) = name else {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "cannot use special role specifier in DROP ROLE",
                ));
            };
            let Some(oid) = self.roles()?.find(name) else {
                if if_exists {
                    self.notice(
                        SqlState::SUCCESSFUL_COMPLETION,
                        format!("role \"{name}\" does not exist, skipping"),
                    );
                    continue;
                }
                let text = format!("role \"{name}\" does not exist");
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text));
            };
            for (role, text) in [
                (self.user(), "current user cannot be dropped"),
                (self.cx.session.session_user(), "session user cannot be dropped"),
            ] {
                if role == oid {
                    return Err(SqlError::new(SqlState::OBJECT_IN_USE, text));
                }
            }
            if self.roles()?.is_superuser(oid) && !self.is_superuser()? {
                return Err(refused("must be superuser to drop superusers"));
            }
            if oid < pg_catalog::builtin::FIRST_NORMAL_OID {
                return Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("cannot drop role {name} because it is required by the database system"),
                ));
            }
            self.refuse_used(oid, name)?;
            let key = [Value::Oid(oid)];
            self.delete(PG_AUTHID, &["oid"], &key)?;
            self.delete(PG_AUTH_MEMBERS, &["roleid"], &key)?;
            self.delete(PG_AUTH_MEMBERS, &["member"], &key)?;
            self.delete(PG_DB_ROLE_SETTING, &["setrole"], &key)?;
            self.step();
        }
        Ok(())
    }

    fn refuse_used(&self, role: Oid, name: &str) -> Result<()> {
        let used = self.role_objects(role)?;
        if used.is_empty() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            format!("role \"{name}\" cannot be dropped because some objects depend on it"),
        )
        .detail(used.join("\n")))
    }

    /// GRANT and REVOKE of roles.
    pub(crate) fn grant_roles(&self, g: &GrantRoles) -> Result<()> {
        if let Some(by) = &g.granted_by
            && self.role(by)? != self.user()
            && !self.is_superuser()?
        {
            return Err(refused("must be superuser to set grantor"));
        }
        let members = g.members.iter().map(|m| self.role(m)).collect::<Result<Vec<_>>>()?;
        for name in &g.roles {
            let role = self.role_named(name)?;
            self.may_admin(role)?;
            for member in &members {
                if g.grant {
                    self.add_member(role, *member, g.admin)?;
                } else {
                    self.drop_member(role, *member, g.admin)?;
                }
            }
        }
        Ok(())
    }

    /// May the user say who belongs to the role?
    fn may_admin(&self, role: Oid) -> Result<()> {
        let roles = self.roles()?;
        if roles.is_superuser(role) {
            if !roles.is_superuser(self.user()) {
                return Err(refused("must be superuser to alter superusers"));
            }
            return Ok(());
        }
        if !self.may_create_roles()? && !roles.is_admin_of(self.user(), role) {
            let name = roles.name(role).unwrap_or("");
            return Err(refused(format!("must have admin option on role \"{name}\"")));
        }
        Ok(())
    }

    fn add_member(&self, role: Oid, member: Oid, admin: bool) -> Result<()> {
        let roles = self.roles()?;
        let name = |r: Oid| String::from(roles.name(r).unwrap_or(""));
        let invalid = |text: String| SqlError::new(SqlState(*b"0LP01"), text);
        if role == predefined::PG_DATABASE_OWNER {
            let text = "role \"pg_database_owner\" cannot have explicit members";
            return Err(invalid(String::from(text)));
        }
        if member == predefined::PG_DATABASE_OWNER {
            let text = "role \"pg_database_owner\" cannot be a member of any role";
            return Err(invalid(String::from(text)));
        }
        if roles.belongs_to(role, member) {
            let text = format!("role \"{}\" is a member of role \"{}\"", name(role), name(member));
            return Err(invalid(text));
        }
        let key = [Value::Oid(role), Value::Oid(member)];
        let rows = self.find(PG_AUTH_MEMBERS, &["roleid", "member"], &key)?;
        match rows.first() {
            Some((_, row)) if !admin || row.bool("admin_option") => {
                let text =
                    format!("role \"{}\" is already a member of role \"{}\"", name(member), name(role));
                self.notice(SqlState::DUPLICATE_OBJECT, text);
            }
            Some(_) => {
                self.update(PG_AUTH_MEMBERS, &["roleid", "member"], &key, |r| r.put("admin_option", true))?;
            }
            None => {
                let row = self
                    .row(PG_AUTH_MEMBERS)?
                    .set("roleid", role)
                    .set("member", member)
                    .set("grantor", self.user())
                    .set("admin_option", admin);
                self.insert(PG_AUTH_MEMBERS, &row)?;
            }
        }
        self.step();
        Ok(())
    }

    fn drop_member(&self, role: Oid, member: Oid, admin_only: bool) -> Result<()> {
        let roles = self.roles()?;
        let key = [Value::Oid(role), Value::Oid(member)];
        let columns = ["roleid", "member"];
        if self.find(PG_AUTH_MEMBERS, &columns, &key)?.is_empty() {
            let name = |r: Oid| roles.name(r).unwrap_or("");
            let text = format!("role \"{}\" is not a member of role \"{}\"", name(member), name(role));
            self.cx.session.notice("WARNING", SqlError::new(SqlState::WARNING, text));
            return Ok(());
        }
        if admin_only {
            self.update(PG_AUTH_MEMBERS, &columns, &key, |r| r.put("admin_option", false))?;
        } else {
            self.delete(PG_AUTH_MEMBERS, &columns, &key)?;
        }
        self.step();
        Ok(())
    }

    /// ALTER ROLE, ALTER DATABASE ... SET.
    pub(crate) fn role_setting(&self, s: &RoleSetting) -> Result<()> {
        let role = s.role.as_ref().map(|r| self.role(r)).transpose()?.unwrap_or(0);
        let database = match &s.database {
            None => 0,
            Some(name) => {
                let rows = self.find(PG_DATABASE, &["datname"], &[Value::text(name)])?;
                let Some((_, row)) = rows.first() else {
                    let text = format!("database \"{name}\" does not exist");
                    return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, text));
                };
                if role == 0 && !self.owns(row.oid("datdba"))? {
                    return Err(refused(format!("must be owner of database {name}")));
                }
                row.oid("oid")
            }
        };
        self.may_set_for(role, database)?;
        let columns = ["setdatabase", "setrole"];
        let key = [Value::Oid(database), Value::Oid(role)];
        let rows = self.find(PG_DB_ROLE_SETTING, &columns, &key)?;
        let mut list: Vec<String> = rows.first().map_or_else(Vec::new, |r| texts(r.1.array("setconfig")));
        let named = |entry: &String, name: &str| {
            entry.split_once('=').is_some_and(|(n, _)| n.eq_ignore_ascii_case(name))
        };
        let (name, value) = match &s.change {
            SettingChange::ResetAll => {
                list.clear();
                (None, None)
            }
            SettingChange::Reset(name) => (Some(name), None),
            SettingChange::FromCurrent(name) => {
                let value = self.cx.session.setting(name).ok_or_else(|| {
                    let text = format!("unrecognized configuration parameter \"{name}\"");
                    SqlError::new(SqlState::UNDEFINED_OBJECT, text)
                })?;
                (Some(name), Some(value))
            }
            SettingChange::Set(set) if set.values.is_empty() => (Some(&set.name), None),
            SettingChange::Set(set) => {
                let value = self.cx.session.checked_setting(&set.name, &set.values)?;
                (Some(&set.name), Some(value))
            }
        };
        if let Some(name) = name {
            let at = list.iter().position(|e| named(e, name));
            match (at, value) {
                (Some(at), Some(value)) => {
                    if let Some(slot) = list.get_mut(at) {
                        *slot = format!("{name}={value}");
                    }
                }
                (Some(at), None) => {
                    list.remove(at);
                }
                (None, Some(value)) => list.push(format!("{name}={value}")),
                (None, None) => {}
            }
        }
        let value = array(oid::TEXT, list.iter().map(|t| Value::text(t)).collect());
        if list.is_empty() {
            self.delete(PG_DB_ROLE_SETTING, &columns, &key)?;
        } else if rows.is_empty() {
            let row = self
                .row(PG_DB_ROLE_SETTING)?
                .set("setdatabase", database)
                .set("setrole", role)
                .set("setconfig", value);
            self.insert(PG_DB_ROLE_SETTING, &row)?;
        } else {
            self.update(PG_DB_ROLE_SETTING, &columns, &key, |r| r.put("setconfig", value.clone()))?;
        }
        self.step();
        Ok(())
    }

    fn may_set_for(&self, role: Oid, database: Oid) -> Result<()> {
        let roles = self.roles()?;
        if roles.is_superuser(self.user()) || role == 0 && database != 0 {
            return Ok(());
        }
        if role == 0 {
            return Err(refused("must be superuser to alter settings globally"));
        }
        if roles.is_superuser(role) {
            return Err(refused("must be superuser to alter superusers"));
        }
        if role != self.user() && !self.may_create_roles()? {
            return Err(refused("permission denied"));
        }
        Ok(())
    }
}

fn texts(list: &[Value]) -> Vec<String> {
    list.iter()
        .filter_map(|v| if let Value::Text(t) = v { Some(String::from(t.as_ref())) } else { None })
        .collect()
}

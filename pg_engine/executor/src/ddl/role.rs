//! CREATE, ALTER and DROP ROLE.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::{
    builtin::{PG_AUTH_MEMBERS, PG_AUTHID, PG_CLASS, PG_DATABASE, PG_NAMESPACE, rows::role_row},
    table::Row,
};
use pg_plan::utility::RoleStatement;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, oid};

use super::Ddl;

impl Ddl<'_, '_> {
    /// A role's oid.
    pub(crate) fn role_oid(&self, name: &str) -> Result<Oid> {
        let name = match name {
            "current_user" | "current_role" => self.cx.session.user_name(),
            "session_user" => self.cx.session.session_user_name(),
            n => String::from(n),
        };
        let rows = self.find(PG_AUTHID, &["rolname"], &[Value::text(&name)])?;
        rows.first().map(|r| r.1.oid("oid")).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
        })
    }

    fn require_superuser(&self, what: &str) -> Result<()> {
        let rows = self.find(PG_AUTHID, &["oid"], &[Value::Oid(self.cx.session.user())])?;
        if rows.first().is_some_and(|r| r.1.bool("rolsuper") || r.1.bool("rolcreaterole")) {
            return Ok(());
        }
        Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to {what}")))
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
            row.put("rolconnlimit", n);
        }
        match &r.password {
            None => {}
            Some(None) => row.put("rolpassword", Value::Null),
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
        self.require_superuser("create role")?;
        if r.name.starts_with("pg_") {
            return Err(SqlError::new(
                SqlState::RESERVED_NAME,
                format!("role name \"{}\" is reserved", r.name),
            )
            .detail("Role names starting with \"pg_\" are reserved."));
        }
        if !self.find(PG_AUTHID, &["rolname"], &[Value::text(&r.name)])?.is_empty() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_OBJECT,
                format!("role \"{}\" already exists", r.name),
            ));
        }
        let oid = self.oid()?;
        let mut row = role_row(self.catalog(PG_AUTHID)?.def, oid, &r.name, false, false, None);
        self.fill_role(&mut row, r)?;
        self.insert(PG_AUTHID, &row)?;
        for role in &r.in_roles {
            let membership = self
                .row(PG_AUTH_MEMBERS)?
                .set("roleid", self.role_oid(role)?)
                .set("member", oid)
                .set("grantor", self.cx.session.user());
            self.insert(PG_AUTH_MEMBERS, &membership)?;
        }
        self.step();
        Ok(())
    }

    /// ALTER ROLE.
    pub(crate) fn alter_role(&self, r: &RoleStatement) -> Result<()> {
        let oid = self.role_oid(&r.name)?;
        if oid != self.cx.session.user() {
            self.require_superuser("alter role")?;
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

    /// DROP ROLE.
    pub(crate) fn drop_roles(&self, names: &[String], if_exists: bool) -> Result<()> {
        self.require_superuser("drop role")?;
        for name in names {
            let oid = match self.role_oid(name) {
                Ok(o) => o,
                Err(_) if if_exists => {
                    self.notice(
                        SqlState::SUCCESSFUL_COMPLETION,
                        format!("role \"{name}\" does not exist, skipping"),
                    );
                    continue;
                }
                Err(e) => return Err(e),
            };
            if oid == self.cx.session.user() {
                return Err(SqlError::new(SqlState::OBJECT_IN_USE, "current user cannot be dropped"));
            }
            self.refuse_owner(oid, name)?;
            self.delete(PG_AUTHID, &["oid"], &[Value::Oid(oid)])?;
            self.delete(PG_AUTH_MEMBERS, &["roleid"], &[Value::Oid(oid)])?;
            self.delete(PG_AUTH_MEMBERS, &["member"], &[Value::Oid(oid)])?;
            self.step();
        }
        Ok(())
    }

    fn refuse_owner(&self, role: Oid, name: &str) -> Result<()> {
        let mut owned: Vec<String> = Vec::new();
        for (catalog, owner, label, word) in [
            (PG_CLASS, "relowner", "relname", "table"),
            (PG_NAMESPACE, "nspowner", "nspname", "schema"),
            (PG_DATABASE, "datdba", "datname", "database"),
        ] {
            for (_, r) in self.find(catalog, &[owner], &[Value::Oid(role)])? {
                if catalog != PG_CLASS || matches!(r.char("relkind"), b'r' | b'v' | b'S') {
                    owned.push(format!("owner of {word} {}", r.text(label)));
                }
            }
        }
        if owned.is_empty() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            format!("role \"{name}\" cannot be dropped because some objects depend on it"),
        )
        .detail(owned.join("\n")))
    }
}

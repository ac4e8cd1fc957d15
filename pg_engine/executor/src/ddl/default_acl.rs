//! ALTER DEFAULT PRIVILEGES: the privileges that new objects start with.

use alloc::{format, string::ToString, vec::Vec};

use pg_catalog::{
    acl::{Acl, Class, Rights},
    builtin::PG_DEFAULT_ACL,
    table::Row,
};
use pg_plan::access::DefaultPrivileges;
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::{
    Ddl,
    grant::{Change, rights_named},
};

/// `pg_default_acl.defaclobjtype`.
fn letter(class: Class) -> u8 {
    match class {
        Class::Table => b'r',
        Class::Sequence => b'S',
        Class::Function => b'f',
        Class::Type => b'T',
        _ => b'n',
    }
}

fn what(class: Class) -> &'static str {
    match class {
        Class::Table => "relation",
        Class::Sequence => "sequence",
        Class::Function => "function",
        Class::Type => "type",
        _ => "schema",
    }
}

impl Ddl<'_, '_> {
    /// ALTER DEFAULT PRIVILEGES.
    pub(crate) fn default_privileges(&self, d: &DefaultPrivileges) -> Result<()> {
        if d.privileges.iter().any(|p| !p.columns.is_empty()) {
            let text = "default privileges cannot be set for columns".to_string();
            return Err(SqlError::new(SqlState(*b"0LP01"), text));
        }
        let (rights, all) = rights_named(&d.privileges, d.class.all(), what(d.class))?;
        let grantees = self.grantees(&d.grantees)?;
        let change =
            Change { grant: d.grant, option: d.option, cascade: d.cascade, all, grantees: &grantees };
        let mut schemas = Vec::new();
        for name in &d.schemas {
            if d.class == Class::Schema {
                let text = "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS".to_string();
                return Err(SqlError::new(SqlState(*b"0LP01"), text));
            }
            let oid = self.reader()?.schema(name)?.ok_or_else(|| {
                SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"))
            })?;
            schemas.push(oid);
        }
        if schemas.is_empty() {
            schemas.push(0);
        }
        let mut roles = Vec::new();
        for name in &d.roles {
            let role = self.role(name)?;
            self.may_become(role)?;
            roles.push(role);
        }
        if roles.is_empty() {
            roles.push(self.user());
        }
        for role in roles {
            for &schema in &schemas {
                self.change_default(role, schema, d.class, rights, &change)?;
            }
        }
        Ok(())
    }

    fn change_default(
        &self,
        role: Oid,
        schema: Oid,
        class: Class,
        rights: Rights,
        change: &Change<'_>,
    ) -> Result<()> {
        let columns = ["defaclrole", "defaclnamespace", "defaclobjtype"];
        let key = [Value::Oid(role), Value::Oid(schema), Value::Char(letter(class))];
        let rows = self.find(PG_DEFAULT_ACL, &columns, &key)?;
        // Those of one schema come on top of the others.
        let usual = if schema == 0 { Acl::default_of(class, role) } else { Acl::default() };
        let stored = rows.first().and_then(|r| Acl::of_value(r.1.get("defaclacl")));
        let mut acl = stored.unwrap_or_else(|| usual.clone());
        change.apply(&mut acl, rights, role, role)?;
        if acl == usual {
            self.delete(PG_DEFAULT_ACL, &columns, &key)?;
        } else if rows.is_empty() {
            let row = self
                .row(PG_DEFAULT_ACL)?
                .set("oid", self.oid()?)
                .set("defaclrole", role)
                .set("defaclnamespace", schema)
                .set("defaclobjtype", letter(class))
                .set("defaclacl", acl.to_value());
            self.insert(PG_DEFAULT_ACL, &row)?;
        } else {
            self.update(PG_DEFAULT_ACL, &columns, &key, |r| r.put("defaclacl", acl.to_value()))?;
        }
        self.step();
        Ok(())
    }
}

/// What a row's role has without it.
pub(super) fn usual(row: &Row) -> Acl {
    let class = [Class::Table, Class::Sequence, Class::Function, Class::Type, Class::Schema]
        .into_iter()
        .find(|c| letter(*c) == row.char("defaclobjtype"));
    match class.filter(|_| row.oid("defaclnamespace") == 0) {
        Some(class) => Acl::default_of(class, row.oid("defaclrole")),
        None => Acl::default(),
    }
}

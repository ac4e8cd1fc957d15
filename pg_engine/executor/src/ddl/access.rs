//! Who may define, change and drop what.

use alloc::{format, sync::Arc};

use pg_catalog::{
    CatalogReader, Relation, Roles,
    access::{denied, not_owner, word},
    acl::right,
};
use pg_plan::access::RoleName;
use pg_types::{Oid, Result, SqlError, SqlState};

use super::Ddl;

/// 42501 with a text of its own.
pub(crate) fn refused(text: impl Into<alloc::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text)
}

impl Ddl<'_, '_> {
    /// In whose name.
    pub(crate) fn user(&self) -> Oid {
        self.cx.session.user()
    }
    /// The roles, as this transaction sees them.
    pub(crate) fn roles(&self) -> Result<Arc<Roles>> {
        CatalogReader::roles(&self.reader()?)
    }
    pub(crate) fn is_superuser(&self) -> Result<bool> {
        Ok(self.roles()?.is_superuser(self.user()))
    }
    /// Has the user an owner's rights?
    pub(crate) fn owns(&self, owner: Oid) -> Result<bool> {
        Ok(self.roles()?.has_rights_of(self.user(), owner))
    }
    /// A role as a statement names it.
    pub(crate) fn role(&self, name: &RoleName) -> Result<Oid> {
        match name {
            RoleName::Name(n) => self.role_named(n),
            RoleName::CurrentUser => Ok(self.user()),
            RoleName::SessionUser => Ok(self.cx.session.session_user()),
            RoleName::Public => {
                Err(SqlError::new(SqlState::UNDEFINED_OBJECT, "role \"public\" does not exist"))
            }
        }
    }
    /// A role by name.
    pub(crate) fn role_named(&self, name: &str) -> Result<Oid> {
        self.roles()?.find(name).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
        })
    }
    /// As [`Self::role`], PUBLIC being 0.
    pub(crate) fn grantee(&self, name: &RoleName) -> Result<Oid> {
        if *name == RoleName::Public { Ok(0) } else { self.role(name) }
    }
    /// Only the owner may.
    pub(crate) fn must_own(&self, relation: &Relation) -> Result<()> {
        if self.owns(relation.owner)? {
            return Ok(());
        }
        Err(not_owner(word(relation.kind), &relation.name))
    }
    /// Dropping: the owner of the relation or of its schema.
    pub(crate) fn may_drop(&self, relation: &Relation) -> Result<()> {
        if self.owns(relation.owner)? {
            return Ok(());
        }
        let schema = self.reader()?.schema_row(relation.schema)?;
        match schema {
            Some(s) if self.owns(s.owner)? => Ok(()),
            _ => Err(not_owner(word(relation.kind), &relation.name)),
        }
    }
    /// The schema's owner only.
    pub(crate) fn must_own_schema(&self, oid: Oid, name: &str) -> Result<()> {
        match self.reader()?.schema_row(oid)? {
            Some(s) if !self.owns(s.owner)? => Err(not_owner("schema", name)),
            _ => Ok(()),
        }
    }
    /// May the user make something in a schema?
    pub(crate) fn may_create_in(&self, schema: Oid, name: &str) -> Result<()> {
        if self.reader()?.schema_rights(schema, right::CREATE)? == 0 {
            return Err(denied("schema", name));
        }
        Ok(())
    }
    /// May the user give something to this role?
    pub(crate) fn may_become(&self, role: Oid) -> Result<()> {
        let roles = self.roles()?;
        if roles.is_member_of(self.user(), role) {
            return Ok(());
        }
        Err(refused(format!("must be member of role \"{}\"", roles.name(role).unwrap_or(""))))
    }
    /// A new owner of something in a schema.
    pub(crate) fn may_own_in(&self, owner: Oid, schema: Oid, name: &str) -> Result<()> {
        if self.is_superuser()? {
            return Ok(());
        }
        self.may_become(owner)?;
        if self.reader()?.schema_rights_of(schema, owner, right::CREATE)? == 0 {
            return Err(denied("schema", name));
        }
        Ok(())
    }
}

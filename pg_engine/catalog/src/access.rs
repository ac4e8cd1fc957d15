//! What a statement needs of the relations it names, and whether a role has it.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_types::{Oid, SqlError, SqlState};

use crate::{
    acl::{Acl, Class, Rights, right},
    builtin::FIRST_NORMAL_OID,
    desc::{Relation, RelationKind},
    roles::{Roles, predefined},
};

/// A row-level security policy. Expressions are canonical SQL text.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `pg_policy.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// `pg_policy.polcmd`: `*`, or `r`, `a`, `w`, `d`.
    pub command: u8,
    /// PERMISSIVE.
    pub permissive: bool,
    /// For whom; 0: everybody.
    pub roles: Vec<Oid>,
    /// USING.
    pub using: Option<String>,
    /// WITH CHECK.
    pub check: Option<String>,
}

impl Policy {
    /// Is it about this role?
    pub fn concerns(&self, role: Oid, roles: &Roles) -> bool {
        self.roles.iter().any(|r| *r == 0 || roles.has_rights_of(role, *r))
    }
}

/// What the catalogs say of who may do what with a relation.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "columns and options of pg_class")]
pub struct Security {
    /// `relacl`; `None`: the default.
    pub acl: Option<Acl>,
    /// ROW LEVEL SECURITY is enabled.
    pub row_security: bool,
    /// It is forced on the owner too.
    pub forced: bool,
    /// Its policies by name, if row-level security is enabled.
    pub policies: Vec<Arc<Policy>>,
    /// A view with `security_invoker`: what it reads is checked as its reader, not as its owner.
    pub invoker: bool,
    /// A view with `security_barrier`.
    pub barrier: bool,
}

/// What a statement does with one of the relations it names.
#[derive(Clone, Debug)]
pub struct Access {
    /// The relation.
    pub relation: Arc<Relation>,
    /// In whose name; `None`: the current user's.
    pub role: Option<Oid>,
    /// Privileges needed.
    pub rights: Rights,
    /// Columns read, for SELECT.
    pub selected: Vec<i16>,
    /// Columns given values, for INSERT.
    pub inserted: Vec<i16>,
    /// Columns changed, for UPDATE.
    pub updated: Vec<i16>,
}

impl Access {
    /// Of nothing yet.
    pub fn new(relation: &Arc<Relation>, role: Option<Oid>, rights: Rights) -> Self {
        let (selected, inserted, updated) = (Vec::new(), Vec::new(), Vec::new());
        Self { relation: relation.clone(), role, rights, selected, inserted, updated }
    }
    /// The error if `user` may not do it.
    pub fn check(&self, user: Oid, roles: &Roles) -> Result<(), SqlError> {
        let role = self.role.unwrap_or(user);
        let relation = &*self.relation;
        let rest = self.rights & !rights_on(relation, role, self.rights, roles);
        let by_columns = |right: Rights, columns: &[i16]| {
            if rest & right == 0 {
                return true;
            }
            let may = |attnum: i16| column_rights(relation, attnum, role, right, roles) != 0;
            if columns.is_empty() {
                return relation.live().any(|a| may(a.attnum));
            }
            columns.iter().all(|c| may(*c))
        };
        let columns = right::SELECT | right::INSERT | right::UPDATE;
        if rest & !columns == 0
            && by_columns(right::SELECT, &self.selected)
            && by_columns(right::INSERT, &self.inserted)
            && by_columns(right::UPDATE, &self.updated)
        {
            return Ok(());
        }
        Err(denied(word(relation.kind), &relation.name))
    }
}

/// A kind of relation as these messages name it.
pub fn word(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::View => "view",
        RelationKind::MaterializedView => "materialized view",
        RelationKind::Sequence => "sequence",
        RelationKind::Index => "index",
        RelationKind::Virtual => "view",
        _ => "table",
    }
}

/// 42501: a privilege is missing.
pub fn denied(what: &str, name: &str) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for {what} {name}"))
}

/// 42501: only the owner may.
pub fn not_owner(what: &str, name: &str) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of {what} {name}"))
}

/// The class of a relation's list.
pub fn class_of(kind: RelationKind) -> Class {
    if kind == RelationKind::Sequence { Class::Sequence } else { Class::Table }
}

/// Those of the privileges in `mask` that a role has on a whole relation.
pub fn rights_on(relation: &Relation, role: Oid, mask: Rights, roles: &Roles) -> Rights {
    if roles.is_superuser(role) {
        return mask;
    }
    let mut mask = mask;
    // Catalogs are changed by definitions only.
    let catalog = relation.oid < FIRST_NORMAL_OID && relation.kind == RelationKind::Table;
    if catalog {
        mask &= right::SELECT | right::REFERENCES | right::TRIGGER;
    }
    let mut has = match &relation.security.acl {
        Some(acl) => acl.rights_of(role, mask, roles),
        None if roles.has_rights_of(role, relation.owner) => class_of(relation.kind).all() & mask,
        None => 0,
    };
    if mask & !has & right::SELECT != 0 && roles.has_rights_of(role, predefined::PG_READ_ALL_DATA) {
        has |= right::SELECT;
    }
    let changes = mask & !has & (right::INSERT | right::UPDATE | right::DELETE);
    if changes != 0 && roles.has_rights_of(role, predefined::PG_WRITE_ALL_DATA) {
        has |= changes;
    }
    has
}

/// Those of the privileges in `mask` that a role has on a column by the column's own list.
pub fn column_rights(relation: &Relation, attnum: i16, role: Oid, mask: Rights, roles: &Roles) -> Rights {
    let column = relation.live().find(|a| a.attnum == attnum);
    column.and_then(|a| a.acl.as_ref()).map_or(0, |acl| acl.rights_of(role, mask, roles))
}

/// Those of the privileges in `mask` that a role has on an object with a list, or without one.
pub fn rights_of(
    acl: Option<&Acl>,
    class: Class,
    owner: Oid,
    role: Oid,
    mask: Rights,
    roles: &Roles,
) -> Rights {
    if roles.is_superuser(role) {
        return mask;
    }
    match acl {
        Some(acl) => acl.rights_of(role, mask, roles),
        None => Acl::default_of(class, owner).rights_of(role, mask, roles),
    }
}

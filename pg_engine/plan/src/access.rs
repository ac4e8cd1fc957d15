//! Statements about roles, privileges and policies.

use alloc::{string::String, sync::Arc, vec::Vec};

use pg_catalog::{Relation, acl::Class};

use crate::{
    expr::Expr,
    utility::{ObjectName, Set},
};

/// A role as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleName {
    /// By name.
    Name(String),
    /// PUBLIC.
    Public,
    /// CURRENT_USER, CURRENT_ROLE.
    CurrentUser,
    /// SESSION_USER.
    SessionUser,
}

/// A privilege, on columns if any are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privilege {
    /// As written, lower case; `None`: ALL.
    pub name: Option<String>,
    /// Columns.
    pub columns: Vec<String>,
}

/// What privileges are granted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantTarget {
    /// TABLE, or nothing: relations.
    Tables(Vec<ObjectName>),
    /// SEQUENCE.
    Sequences(Vec<ObjectName>),
    /// DATABASE.
    Databases(Vec<String>),
    /// SCHEMA.
    Schemas(Vec<String>),
    /// LANGUAGE.
    Languages(Vec<String>),
    /// TABLESPACE.
    Tablespaces(Vec<String>),
    /// PARAMETER.
    Parameters(Vec<String>),
    /// FOREIGN DATA WRAPPER.
    Wrappers(Vec<String>),
    /// FOREIGN SERVER.
    Servers(Vec<String>),
    /// TYPE; or DOMAIN, which takes no other types.
    Types(Vec<ObjectName>, bool),
    /// LARGE OBJECT.
    LargeObjects(Vec<pg_types::Oid>),
    /// FUNCTION, PROCEDURE, ROUTINE.
    Routines(Vec<crate::routine::RoutineName>),
    /// ALL FUNCTIONS, PROCEDURES, ROUTINES IN SCHEMA; by the word.
    AllRoutines(crate::routine::RoutineWord, Vec<String>),
    /// ALL TABLES IN SCHEMA.
    AllTables(Vec<String>),
    /// ALL SEQUENCES IN SCHEMA.
    AllSequences(Vec<String>),
}

/// GRANT, REVOKE on objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// GRANT; otherwise REVOKE.
    pub grant: bool,
    /// WITH GRANT OPTION, GRANT OPTION FOR.
    pub option: bool,
    /// Privileges; empty: ALL PRIVILEGES.
    pub privileges: Vec<Privilege>,
    /// On what.
    pub target: GrantTarget,
    /// To or from whom.
    pub grantees: Vec<RoleName>,
    /// GRANTED BY.
    pub granted_by: Option<RoleName>,
    /// REVOKE ... CASCADE.
    pub cascade: bool,
}

/// GRANT, REVOKE of roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRoles {
    /// GRANT; otherwise REVOKE.
    pub grant: bool,
    /// WITH ADMIN OPTION, ADMIN OPTION FOR.
    pub admin: bool,
    /// The roles.
    pub roles: Vec<String>,
    /// Their members.
    pub members: Vec<RoleName>,
    /// GRANTED BY.
    pub granted_by: Option<RoleName>,
}

/// ALTER DEFAULT PRIVILEGES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultPrivileges {
    /// FOR ROLE.
    pub roles: Vec<RoleName>,
    /// IN SCHEMA.
    pub schemas: Vec<String>,
    /// Of which objects.
    pub class: Class,
    /// GRANT; otherwise REVOKE.
    pub grant: bool,
    /// WITH GRANT OPTION, GRANT OPTION FOR.
    pub option: bool,
    /// Privileges; empty: ALL PRIVILEGES.
    pub privileges: Vec<Privilege>,
    /// To or from whom.
    pub grantees: Vec<RoleName>,
    /// REVOKE ... CASCADE.
    pub cascade: bool,
}

/// REASSIGN OWNED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReassignOwned {
    /// Whose.
    pub roles: Vec<RoleName>,
    /// To whom.
    pub to: RoleName,
}

/// DROP OWNED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropOwned {
    /// Whose.
    pub roles: Vec<RoleName>,
    /// CASCADE.
    pub cascade: bool,
}

/// CREATE POLICY.
#[derive(Clone, Debug)]
pub struct CreatePolicy {
    /// Name.
    pub name: String,
    /// The table.
    pub relation: Arc<Relation>,
    /// PERMISSIVE.
    pub permissive: bool,
    /// FOR, as `pg_policy.polcmd` has it.
    pub command: u8,
    /// TO; empty: PUBLIC.
    pub roles: Vec<RoleName>,
    /// USING, canonical text.
    pub using: Option<String>,
    /// WITH CHECK, canonical text.
    pub check: Option<String>,
}

/// A condition that a row must satisfy because of row-level security.
#[derive(Clone, Debug)]
pub struct PolicyCheck {
    /// A restrictive policy's name.
    pub policy: Option<String>,
    /// The row is there already: ON CONFLICT would change it.
    pub using: bool,
    /// Must be true.
    pub condition: Expr,
}

/// ALTER POLICY; `None`: stays as it is.
#[derive(Clone, Debug)]
pub struct AlterPolicy {
    /// Name.
    pub name: String,
    /// The table.
    pub relation: Arc<Relation>,
    /// TO.
    pub roles: Option<Vec<RoleName>>,
    /// USING, canonical text.
    pub using: Option<String>,
    /// WITH CHECK, canonical text.
    pub check: Option<String>,
}

/// ALTER POLICY ... RENAME TO.
#[derive(Clone, Debug)]
pub struct RenamePolicy {
    /// Name.
    pub name: String,
    /// The table.
    pub relation: Arc<Relation>,
    /// New name.
    pub new_name: String,
}

/// DROP POLICY.
#[derive(Clone, Debug)]
pub struct DropPolicy {
    /// Name.
    pub name: String,
    /// The table; `None`: it does not exist, and IF EXISTS was given.
    pub relation: Option<Arc<Relation>>,
    /// The table's name as written.
    pub table: String,
    /// IF EXISTS.
    pub if_exists: bool,
}

/// ALTER ROLE ... [IN DATABASE ...] SET / RESET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSetting {
    /// `None`: ALL, or ALTER DATABASE.
    pub role: Option<RoleName>,
    /// IN DATABASE, ALTER DATABASE.
    pub database: Option<String>,
    /// What.
    pub change: SettingChange,
}

/// See [`RoleSetting`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingChange {
    /// SET name TO values (empty: DEFAULT).
    Set(Set),
    /// SET name FROM CURRENT.
    FromCurrent(String),
    /// RESET name.
    Reset(String),
    /// RESET ALL.
    ResetAll,
}

/// SET ROLE, SET SESSION AUTHORIZATION.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRole {
    /// SESSION AUTHORIZATION.
    pub session: bool,
    /// Name; `None`: NONE or DEFAULT.
    pub name: Option<String>,
    /// SET LOCAL.
    pub local: bool,
}

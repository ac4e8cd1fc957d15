//! The roles and who belongs to whom, as one version of the catalogs has them.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use hashbrown::{HashMap, HashSet};
use pg_types::Oid;

use crate::{builtin::FIRST_ROLE, table::Row};

/// `pg_authid.oid` of roles that are always there.
#[allow(missing_docs, reason = "the roles' names")]
pub mod predefined {
    use pg_types::Oid;
    pub const PG_DATABASE_OWNER: Oid = 6171;
    pub const PG_READ_ALL_DATA: Oid = 6181;
    pub const PG_WRITE_ALL_DATA: Oid = 6182;
    pub const PG_MONITOR: Oid = 3373;
    pub const PG_READ_ALL_SETTINGS: Oid = 3374;
    pub const PG_READ_ALL_STATS: Oid = 3375;
    pub const PG_STAT_SCAN_TABLES: Oid = 3377;
    pub const PG_SIGNAL_BACKEND: Oid = 4200;
    pub const PG_CHECKPOINT: Oid = 4544;
}

/// One role.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "attributes of roles")]
pub struct Role {
    /// Name.
    pub name: String,
    /// SUPERUSER.
    pub superuser: bool,
    /// INHERIT.
    pub inherit: bool,
    /// CREATEROLE.
    pub create_role: bool,
    /// CREATEDB.
    pub create_db: bool,
    /// BYPASSRLS.
    pub bypass_rls: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    by_oid: HashMap<Oid, Role>,
    by_name: HashMap<String, Oid>,
    /// By member: the roles it was put into, and whether it may put others there.
    memberships: HashMap<Oid, Vec<(Oid, bool)>>,
}

impl Roles {
    /// From the rows of `pg_authid` and `pg_auth_members`, and the database's owner.
    pub fn new(authid: &[Row], members: &[Row], database_owner: Oid) -> Self {
        let mut roles = Self::default();
        for r in authid {
            let name = r.text("rolname").to_string();
            roles.by_name.insert(name.clone(), r.oid("oid"));
            let role = Role {
                name,
                superuser: r.bool("rolsuper"),
                inherit: r.bool("rolinherit"),
                create_role: r.bool("rolcreaterole"),
                create_db: r.bool("rolcreatedb"),
                bypass_rls: r.bool("rolbypassrls"),
            };
            roles.by_oid.insert(r.oid("oid"), role);
        }
        for m in members {
            let list = roles.memberships.entry(m.oid("member")).or_default();
            list.push((m.oid("roleid"), m.bool("admin_option")));
        }
        if database_owner != 0 {
            let list = roles.memberships.entry(database_owner).or_default();
            list.push((predefined::PG_DATABASE_OWNER, false));
        }
        roles
    }
    /// One superuser and nobody else.
    pub fn only_superuser() -> Self {
        let mut roles = Self::default();
        let role = Role {
            name: String::from("postgres"),
            superuser: true,
            inherit: true,
            create_role: true,
            create_db: true,
            bypass_rls: true,
        };
        roles.by_name.insert(role.name.clone(), FIRST_ROLE);
        roles.by_oid.insert(FIRST_ROLE, role);
        roles
    }
    /// A role.
    pub fn get(&self, role: Oid) -> Option<&Role> {
        self.by_oid.get(&role)
    }
    /// A role by name.
    pub fn find(&self, name: &str) -> Option<Oid> {
        self.by_name.get(name).copied()
    }
    /// A role's name.
    pub fn name(&self, role: Oid) -> Option<&str> {
        self.by_oid.get(&role).map(|r| r.name.as_str())
    }
    /// Is it a superuser?
    #[inline]
    pub fn is_superuser(&self, role: Oid) -> bool {
        self.by_oid.get(&role).is_some_and(|r| r.superuser)
    }
    /// The role and all it belongs to, itself first; with `inherited` only what it has the privileges of without SET ROLE.
    fn reach(&self, role: Oid, inherited: bool) -> Vec<Oid> {
        let mut all = Vec::from([role]);
        let mut seen: HashSet<Oid> = HashSet::new();
        seen.insert(role);
        let mut at = 0;
        while let Some(&member) = all.get(at) {
            at += 1;
            if inherited && self.by_oid.get(&member).is_some_and(|r| !r.inherit) {
                continue;
            }
            for (of, _) in self.memberships.get(&member).map_or(&[][..], Vec::as_slice) {
                if seen.insert(*of) {
                    all.push(*of);
                }
            }
        }
        all
    }
    /// The roles whose privileges the role has, itself first.
    pub fn acts_as(&self, role: Oid) -> Vec<Oid> {
        self.reach(role, true)
    }
    /// Has it the privileges of the other one?
    pub fn has_rights_of(&self, role: Oid, other: Oid) -> bool {
        role == other
            || self.is_superuser(role)
            || self.memberships.contains_key(&role) && self.reach(role, true).contains(&other)
    }
    /// May it become the other one by SET ROLE?
    pub fn is_member_of(&self, role: Oid, other: Oid) -> bool {
        self.is_superuser(role) || self.belongs_to(role, other)
    }
    /// The same without regard to superusers.
    pub fn belongs_to(&self, role: Oid, other: Oid) -> bool {
        role == other || self.memberships.contains_key(&role) && self.reach(role, false).contains(&other)
    }
    /// May it make others members of the other one?
    pub fn is_admin_of(&self, role: Oid, other: Oid) -> bool {
        if self.is_superuser(role) {
            return true;
        }
        let direct = |r: &Oid| self.memberships.get(r).is_some_and(|l| l.contains(&(other, true)));
        self.reach(role, false).iter().any(direct)
    }
}

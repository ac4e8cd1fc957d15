//! What the objects of databases owe to roles, which all databases share: owners, privileges, policies (`pg_shdepend`).

use alloc::{sync::Arc, vec::Vec};

use hashbrown::HashMap;
use pg_storage::{Storage, Transaction};
use pg_types::{Oid, Result, Value, user};

use crate::{
    acl::Acl,
    builtin::*,
    cache::Catalog,
    table::{CatalogTable, Row},
};

/// `pg_shdepend.deptype` of an owner.
pub const OWNER: u8 = b'o';
/// ... of a role in a list of privileges.
pub const LIST: u8 = b'a';
/// ... of a role that a policy is for.
pub const POLICY: u8 = b'r';

/// A catalog whose rows need roles.
#[derive(Clone, Copy, Debug)]
pub struct Owned {
    /// The catalog.
    pub catalog: Oid,
    /// Its column with the owner; empty: the objects have none of their own.
    pub owner: &'static str,
    /// Its column with privileges; empty: there are none.
    pub list: &'static str,
}

const fn owned(catalog: Oid, owner: &'static str, list: &'static str) -> Owned {
    Owned { catalog, owner, list }
}

/// The catalogs.
pub const OWNED: &[Owned] = &[
    owned(PG_CLASS, "relowner", "relacl"),
    owned(PG_ATTRIBUTE, "", "attacl"),
    owned(PG_NAMESPACE, "nspowner", "nspacl"),
    owned(PG_DATABASE, "datdba", "datacl"),
    owned(PG_TYPE, "typowner", "typacl"),
    owned(PG_PROC, "proowner", "proacl"),
    owned(PG_OPERATOR, "oprowner", ""),
    owned(PG_LANGUAGE, "lanowner", "lanacl"),
    owned(PG_TABLESPACE, "spcowner", "spcacl"),
    owned(PG_LARGEOBJECT_METADATA, "lomowner", "lomacl"),
    owned(PG_STATISTIC_EXT, "stxowner", ""),
    owned(PG_COLLATION, "collowner", ""),
    owned(PG_EXTENSION, "extowner", ""),
    owned(PG_DEFAULT_ACL, "defaclrole", "defaclacl"),
    owned(PG_POLICY, "", ""),
    owned(PG_PARAMETER_ACL, "", "paracl"),
];

/// A need of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The role.
    pub role: Oid,
    /// `deptype`.
    pub kind: u8,
}

impl Owned {
    /// What is known of a catalog; `None`: its rows need no roles.
    pub fn of(catalog: Oid) -> Option<&'static Self> {
        OWNED.iter().find(|o| o.catalog == catalog)
    }
    fn column<'a>(&self, row: &'a Row, name: &str) -> &'a Value {
        if name.is_empty() { &Value::Null } else { row.get(name) }
    }
    /// May a change from one row to the other change needs?
    pub fn differ(&self, a: &Row, b: &Row) -> bool {
        let differs = |name: &str| self.column(a, name) != self.column(b, name);
        differs(self.owner)
            || differs(self.list)
            || self.catalog == PG_POLICY && a.get("polroles") != b.get("polroles")
    }
    /// The catalog whose objects its rows are of, as dependencies name it.
    pub fn class(&self) -> Oid {
        match self.catalog {
            PG_ATTRIBUTE => PG_CLASS,
            PG_LARGEOBJECT_METADATA => PG_LARGEOBJECT,
            catalog => catalog,
        }
    }
    /// By the class and the column (0: none) of an object.
    pub fn of_object(class: Oid, sub: i32) -> Option<&'static Self> {
        OWNED.iter().find(|o| o.class() == class && (o.catalog == PG_ATTRIBUTE) == (sub != 0))
    }
    /// The object that a row is of: its number, and the column.
    pub fn object(&self, row: &Row) -> (Oid, i32) {
        match self.catalog {
            PG_ATTRIBUTE => (row.oid("attrelid"), row.int("attnum") as i32),
            _ => (row.oid("oid"), 0),
        }
    }
    /// The relation whose row says what is to be known beside this one.
    pub fn relation(&self, row: &Row) -> Option<Oid> {
        match self.catalog {
            PG_ATTRIBUTE => Some(row.oid("attrelid")),
            PG_TYPE => Some(row.oid("typrelid")).filter(|r| *r != 0),
            _ => None,
        }
    }
    /// Is a user's role mentioned at all? Built-in ones are never dropped and not noted.
    pub fn mentions(&self, row: &Row) -> bool {
        let theirs = |role: Oid| role >= FIRST_NORMAL_OID;
        !self.owner.is_empty() && theirs(row.oid(self.owner))
            || Acl::of_value(self.column(row, self.list))
                .is_some_and(|a| a.0.iter().any(|i| theirs(i.grantee) || theirs(i.grantor)))
            || self.catalog == PG_POLICY
                && row.array("polroles").iter().any(|r| matches!(r, Value::Oid(r) if theirs(*r)))
    }
    /// What a row needs; `relation`: the row of `relation()`.
    pub fn needs(&self, row: &Row, relation: Option<&Row>) -> Vec<Need> {
        let part = match self.catalog {
            PG_CLASS => matches!(row.char("relkind"), b'i' | b't' | b'c'),
            PG_TYPE => user::is_array(row.oid("oid")) || relation.is_some_and(|r| r.char("relkind") != b'c'),
            _ => false,
        };
        if part {
            return Vec::new();
        }
        let owner = match self.owner {
            "" => relation.map_or(0, |r| r.oid("relowner")),
            column => row.oid(column),
        };
        let mut needs = Vec::new();
        let mut need = |role: Oid, kind: u8| {
            let need = Need { role, kind };
            if role >= FIRST_NORMAL_OID && !needs.contains(&need) {
                needs.push(need);
            }
        };
        if !self.owner.is_empty() {
            need(owner, OWNER);
        }
        let list = Acl::of_value(self.column(row, self.list)).unwrap_or_default();
        for role in list.0.iter().flat_map(|i| [i.grantee, i.grantor]).filter(|r| *r != owner) {
            need(role, LIST);
        }
        if self.catalog == PG_POLICY {
            for role in row.array("polroles") {
                if let Value::Oid(role) = role {
                    need(*role, POLICY);
                }
            }
        }
        needs
    }
}

/// A row of `pg_shdepend`, of an object of `database` (0: of a shared catalog).
pub fn row_of(def: &CatalogTable, database: Oid, class: Oid, object: (Oid, i32), need: Need) -> Row {
    def.row()
        .set("dbid", database)
        .set("classid", class)
        .set("objid", object.0)
        .set("objsubid", object.1)
        .set("refclassid", PG_AUTHID)
        .set("refobjid", need.role)
        .set("deptype", need.kind)
}

/// Notes what the objects of a database need, on volumes of releases that did not.
pub(crate) fn complete(storage: &Arc<Storage>, txn: &mut Transaction, catalog: &Catalog) -> Result<()> {
    txn.next_command();
    let snapshot = &txn.snapshot();
    let noted = catalog.table(PG_SHDEPEND)?;
    let mut known = Vec::new();
    for (_, row) in noted.scan(storage, snapshot)? {
        known.push(row.values);
    }
    let classes: HashMap<Oid, Row> = catalog
        .table(PG_CLASS)?
        .scan(storage, snapshot)?
        .into_iter()
        .map(|r| (r.1.oid("oid"), r.1))
        .collect();
    for owned in OWNED {
        let table = catalog.table(owned.catalog)?;
        let database = if table.def.shared { 0 } else { catalog.database() };
        for (_, row) in table.scan(storage, snapshot)? {
            let relation = owned.relation(&row).and_then(|r| classes.get(&r));
            for need in owned.needs(&row, relation) {
                let new = row_of(noted, database, owned.class(), owned.object(&row), need);
                if !known.contains(&new.values) {
                    noted.insert(storage, txn, &new)?;
                }
            }
        }
    }
    Ok(())
}

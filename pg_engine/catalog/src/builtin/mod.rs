//! The system catalogs' own definitions: names, numbers, columns and indexes as PostgreSQL 15 has them.

pub mod estimators;
mod routines;
pub mod rows;
pub mod support;

use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use hashbrown::HashMap;
use pg_storage::RelId;
use pg_types::{Oid, SqlType, oid, typeinfo};
use platform::sync::OnceLock;

use crate::access::Security;
use crate::desc::{Attribute, Index, IndexKey, IndexMethod, Relation, RelationKind};

/// The definitions, one object a line: `t name oid rowtype shared`, then its `c name type notnull`, `h` for a
/// column of our own that queries do not see, and
/// `i name oid unique columns`.
const DEFINITIONS: &str = include_str!("catalogs.txt");

/// A catalog's column.
#[derive(Clone, Debug)]
pub struct ColumnDef {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub ty: Oid,
    /// NOT NULL.
    pub not_null: bool,
    /// Ours: queries do not see it.
    pub hidden: bool,
}

/// A catalog's index.
#[derive(Clone, Debug)]
pub struct IndexDef {
    /// Name.
    pub name: &'static str,
    /// `pg_class.oid`.
    pub oid: Oid,
    /// UNIQUE.
    pub unique: bool,
    /// Of the catalog's primary key.
    pub primary: bool,
    /// Columns by index.
    pub columns: Vec<usize>,
}

/// A system catalog.
#[derive(Clone, Debug)]
pub struct CatalogDef {
    /// Name.
    pub name: &'static str,
    /// `pg_class.oid`.
    pub oid: Oid,
    /// `pg_class.reltype`.
    pub row_type: Oid,
    /// Shared between databases.
    pub shared: bool,
    /// Columns.
    pub columns: Vec<ColumnDef>,
    /// Indexes.
    pub indexes: Vec<IndexDef>,
}

impl CatalogDef {
    /// Index of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }
    /// Its description, given where it is stored. `None` when a storage id is missing.
    pub fn relation(&self, storage: &dyn Fn(Oid) -> Option<RelId>) -> Option<Relation> {
        let attributes = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, c)| Attribute {
                attnum: i as i16 + 1,
                name: c.name.to_string(),
                ty: SqlType::new(c.ty),
                declared: SqlType::new(c.ty),
                not_null: c.not_null,
                default: None,
                identity: 0,
                generated: 0,
                missing: None,
                dropped: c.hidden,
                collation: typeinfo::get(c.ty).map_or(0, |t| t.collation),
                storage: typeinfo::get(c.ty).map_or(b'p', |t| t.storage),
                compression: 0,
                acl: None,
            })
            .collect();
        let indexes =
            self.indexes.iter().map(|i| self.index(i, storage).map(Arc::new)).collect::<Option<_>>()?;
        Some(Relation {
            oid: self.oid,
            name: self.name.to_string(),
            schema: PG_CATALOG,
            schema_name: String::from("pg_catalog"),
            kind: RelationKind::Table,
            persistence: b'p',
            populated: true,
            row_type: self.row_type,
            owner: FIRST_ROLE,
            security: Security { acl: Some(rows::builtin_acl(self.name)), ..Security::default() },
            storage: storage(self.oid)?,
            attributes,
            indexes,
            constraints: Vec::new(),
            toast: None,
            toast_target: None,
            check_option: crate::CheckOption::None,
            view: None,
            children: Vec::new(),
            foreign_keys: Vec::new(),
            referenced_by: Vec::new(),
            row_estimate: -1.0,
            page_estimate: 0,
        })
    }
    fn index(&self, i: &IndexDef, storage: &dyn Fn(Oid) -> Option<RelId>) -> Option<Index> {
        let keys: Vec<IndexKey> = i
            .columns
            .iter()
            .map(|&c| IndexKey {
                attnum: c as i16 + 1,
                expression: None,
                ty: SqlType::new(self.columns.get(c).map_or(oid::OID, |c| c.ty)),
                descending: false,
                nulls_first: false,
                carried: false,
                class: None,
                collation: pg_types::typeinfo::collation_of(self.columns.get(c).map_or(oid::OID, |c| c.ty)),
            })
            .collect();
        Some(Index {
            oid: i.oid,
            name: i.name.to_string(),
            storage: storage(i.oid)?,
            method: IndexMethod::BTree,
            key_count: keys.len(),
            keys,
            unique: i.unique,
            primary: i.primary,
            predicate: None,
            deferrable: false,
            nulls_not_distinct: false,
            fill_factor: None,
            valid: true,
        })
    }
}

/// `pg_namespace.oid` of pg_catalog.
pub const PG_CATALOG: Oid = 11;
/// Of pg_toast.
pub const PG_TOAST: Oid = 99;
/// Of public.
pub const PUBLIC: Oid = 2200;
/// Of information_schema.
pub const INFORMATION_SCHEMA: Oid = 13207;
/// `dagdb_graph`: the graphs there are.
pub const DAGDB_GRAPH: Oid = 9970;
/// `dagdb_history`: saves, chains of backups and recordings of graphs.
pub const DAGDB_HISTORY: Oid = 9960;
/// `intralith_certificates`: the server's certificate and those of authorities for clients'.
pub const INTRALITH_CERTIFICATES: Oid = 9940;
/// `intralith_hba_rules`: who may connect from where, and how they prove who they are.
pub const INTRALITH_HBA_RULES: Oid = 9943;
/// `intralith_audit_log`: what was done by whom.
pub const INTRALITH_AUDIT_LOG: Oid = 9946;
/// The graph `main`, which a new database has.
pub const MAIN_GRAPH: Oid = 9974;
/// `dagdb_nodes`: the current graph's nodes.
pub const DAGDB_NODES: Oid = 9975;
/// `dagdb_edges`: the current graph's edges.
pub const DAGDB_EDGES: Oid = 9976;
/// The first role, made with the volume.
pub const FIRST_ROLE: Oid = 10;
/// The first database.
pub const FIRST_DATABASE: Oid = 5;
/// What CREATE DATABASE copies.
pub const TEMPLATE1: Oid = 1;
/// A template that nobody changes.
pub const TEMPLATE0: Oid = 4;
/// `postgres`, where PostgreSQL's tools connect to when they have no other database.
pub const POSTGRES: Oid = 6;
/// Lowest oid of objects that users make.
pub const FIRST_NORMAL_OID: Oid = 16384;

macro_rules! catalog_oids {
    ($($name:ident = $oid:literal;)*) => {
        $(#[allow(missing_docs, reason = "the catalogs' names")] pub const $name: Oid = $oid;)*
    };
}

catalog_oids! {
    PG_TYPE = 1247; PG_ATTRIBUTE = 1249; PG_PROC = 1255; PG_CLASS = 1259; PG_AUTHID = 1260; PG_AUTH_MEMBERS = 1261;
    PG_DATABASE = 1262; PG_SEQUENCE = 2224; PG_AGGREGATE = 2600; PG_AM = 2601; PG_AMOP = 2602; PG_ATTRDEF = 2604;
    PG_CAST = 2605; PG_CONSTRAINT = 2606; PG_DEPEND = 2608; PG_DESCRIPTION = 2609; PG_INDEX = 2610;
    PG_INHERITS = 2611; PG_LANGUAGE = 2612; PG_NAMESPACE = 2615; PG_OPCLASS = 2616; PG_OPERATOR = 2617; PG_REWRITE = 2618;
    PG_DEFAULT_ACL = 826; PG_DB_ROLE_SETTING = 2964; PG_POLICY = 3256; PG_INIT_PRIVS = 3394;
    PG_STATISTIC = 2619; PG_STATISTIC_EXT = 3381; PG_STATISTIC_EXT_DATA = 3429; PG_OPFAMILY = 2753; PG_TABLESPACE = 1213; PG_SHDESCRIPTION = 2396; PG_COLLATION = 3456;
    PG_ENUM = 3501; PG_EXTENSION = 3079; PG_LARGEOBJECT = 2613; PG_LARGEOBJECT_METADATA = 2995; PG_SHDEPEND = 1214; PG_PARAMETER_ACL = 6243;
}

/// All catalogs, by oid.
pub fn catalogs() -> &'static [CatalogDef] {
    &definitions().0
}

/// A catalog by oid.
pub fn catalog(oid: Oid) -> Option<&'static CatalogDef> {
    let (list, by_oid) = definitions();
    by_oid.get(&oid).and_then(|&i| list.get(i))
}

fn definitions() -> &'static (Vec<CatalogDef>, HashMap<Oid, usize>) {
    static PARSED: OnceLock<(Vec<CatalogDef>, HashMap<Oid, usize>)> = OnceLock::new();
    PARSED.get_or_init(|| {
        let list = parse(DEFINITIONS);
        let by_oid = list.iter().enumerate().map(|(i, c)| (c.oid, i)).collect();
        (list, by_oid)
    })
}

fn number(word: Option<&str>) -> Oid {
    word.and_then(|w| w.parse().ok()).unwrap_or(0)
}

fn parse(text: &'static str) -> Vec<CatalogDef> {
    let mut list: Vec<CatalogDef> = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let kind = words.next();
        let name = words.next().unwrap_or("");
        match (kind, list.last_mut()) {
            (Some("t"), _) => list.push(CatalogDef {
                name,
                oid: number(words.next()),
                row_type: number(words.next()),
                shared: words.next() == Some("s"),
                columns: Vec::new(),
                indexes: Vec::new(),
            }),
            (Some("c" | "h"), Some(c)) => c.columns.push(ColumnDef {
                name,
                ty: number(words.next()),
                not_null: words.next() == Some("!"),
                hidden: kind == Some("h"),
            }),
            (Some("i"), Some(c)) => {
                let oid = number(words.next());
                let flag = words.next();
                c.indexes.push(IndexDef {
                    name,
                    oid,
                    unique: flag != Some("-"),
                    primary: flag == Some("p"),
                    columns: words.filter_map(|w| w.parse::<usize>().ok()?.checked_sub(1)).collect(),
                });
            }
            _ => {}
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_complete() {
        assert_eq!(catalogs().len(), 69);
        let class = catalog(PG_CLASS).unwrap();
        assert_eq!(class.columns.len(), 33);
        assert_eq!(class.column("relkind"), Some(16));
        assert_eq!(class.indexes.len(), 3);
        for c in catalogs() {
            assert!(!c.columns.is_empty() && !c.indexes.is_empty(), "{}", c.name);
            assert!(c.indexes.iter().flat_map(|i| &i.columns).all(|&k| k < c.columns.len()), "{}", c.name);
        }
    }
}

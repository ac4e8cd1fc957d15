//! The rows that catalogs hold from the start: made from the type table and the function registry, so that they cannot
//! disagree with what the engine does.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use hashbrown::HashSet;
use pg_functions::{BTREE, CastContext, CastMethod, Function, FunctionKind, HASH, Volatility, registry};
use pg_storage::RelId;
use pg_types::{
    Oid, SqlType, Value,
    format::FormatSettings,
    io, oid,
    typeinfo::{self, TypeInfo},
};

use super::*;
use crate::acl::{Acl, AclItem, Class, right};
use crate::roles::predefined;
use crate::routine::SQL_LANGUAGE;
use crate::table::{Row, array, int2_vector, oid_vector};

/// `pg_am.oid` of heaps.
pub const HEAP_AM: Oid = 2;
/// `pg_language.oid` of built-in functions.
const INTERNAL_LANGUAGE: Oid = 12;
/// `pg_collation.oid`s.
const DEFAULT_COLLATION: Oid = 100;
const C_COLLATION: Oid = 950;
const POSIX_COLLATION: Oid = 951;

/// A number that changes whenever built-in rows may have: hash of the names and numbers they are made from.
pub fn fingerprint() -> i64 {
    // FNV-1a. Raise the seed's last digit when the shape of rows changes without their names.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2321;
    let mut feed = |bytes: &[u8]| {
        for &b in bytes {
            hash = (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    feed(super::DEFINITIONS.as_bytes());
    for f in registry().functions() {
        feed(f.name.as_bytes());
        feed(&f.oid.to_le_bytes());
        f.args.iter().for_each(|a| feed(&a.to_le_bytes()));
        pg_functions::parameter_names(f.oid).iter().for_each(|n| feed(n.as_bytes()));
    }
    for o in registry().operators() {
        feed(&o.oid.to_le_bytes());
    }
    for f in support::all() {
        feed(&f.oid.to_le_bytes());
    }
    super::routines::fingerprint(&mut feed);
    for t in typeinfo::all() {
        feed(&t.oid.to_le_bytes());
    }
    for (name, sql) in crate::views::all() {
        feed(name.as_bytes());
        feed(sql.as_bytes());
    }
    (hash >> 1) as i64
}

/// The built-in rows of a catalog that depend on nothing but the release.
pub fn builtin_rows(def: &'static CatalogDef) -> Vec<Row> {
    match def.oid {
        PG_TYPE => types(def),
        PG_PROC => procedures(def),
        PG_OPERATOR => operators(def),
        PG_CAST => casts(def),
        PG_AGGREGATE => aggregates(def),
        PG_OPCLASS => operator_classes(def),
        PG_OPFAMILY => operator_families(def),
        PG_AMOP => family_operators(def),
        PG_AM => access_methods(def),
        PG_LANGUAGE => languages(def),
        PG_COLLATION => collations(def),
        PG_TABLESPACE => tablespaces(def),
        PG_NAMESPACE => namespaces(def),
        PG_DESCRIPTION => descriptions(def),
        PG_AUTH_MEMBERS => memberships(def),
        PG_INIT_PRIVS => initial_privileges(def),
        _ => Vec::new(),
    }
}

/// Catalogs and views that are not everybody's to read.
const PRIVATE: &[&str] = &[
    "pg_authid",
    "pg_largeobject",
    "pg_shadow",
    "pg_statistic",
    "pg_statistic_ext_data",
    "pg_subscription",
    "pg_user_mapping",
    "intralith_verify",
    "intralith_audit_log",
    "intralith_hba_rules",
    "pg_hba_file_rules",
];

/// The privileges on a built-in relation.
pub fn builtin_acl(name: &str) -> Acl {
    let mut acl = Acl::default_of(Class::Table, FIRST_ROLE);
    if !PRIVATE.contains(&name) {
        let rights = if name == "pg_settings" { right::SELECT | right::UPDATE } else { right::SELECT };
        acl.0.push(AclItem { grantee: 0, grantor: FIRST_ROLE, rights, options: 0 });
    }
    acl
}

/// Owner of a built-in schema, and the privileges on it.
pub(crate) fn schema_access(oid: Oid) -> (Oid, Option<Acl>) {
    let owner = if oid == PUBLIC { predefined::PG_DATABASE_OWNER } else { FIRST_ROLE };
    let mut acl = Acl::default_of(Class::Schema, owner);
    acl.0.push(AclItem { grantee: 0, grantor: owner, rights: right::USAGE, options: 0 });
    (owner, (oid != PG_TOAST).then_some(acl))
}

/// What the privileges were from the start, so that a dump leaves it out.
pub(crate) fn initial_privileges(def: &'static CatalogDef) -> Vec<Row> {
    let row = |class: Oid, object: Oid, acl: &Acl| {
        Row::new(def)
            .set("objoid", object)
            .set("classoid", class)
            .set("privtype", b'i')
            .set("initprivs", acl.to_value())
    };
    let views = crate::views::rows().classes;
    let views = views.iter().map(|r| row(PG_CLASS, r.oid("oid"), &builtin_acl(r.text("relname"))));
    let tables = catalogs().iter().map(|c| row(PG_CLASS, c.oid, &builtin_acl(c.name)));
    let schemas = [PG_CATALOG, PUBLIC].into_iter().filter_map(|s| Some((s, schema_access(s).1?)));
    let functions = RESTRICTED.iter().map(|f| row(PG_PROC, *f, &restricted_acl()));
    tables.chain(views).chain(functions).chain(schemas.map(|(s, acl)| row(PG_NAMESPACE, s, &acl))).collect()
}

/// Members of roles from the start.
pub(crate) fn memberships(def: &'static CatalogDef) -> Vec<Row> {
    [predefined::PG_READ_ALL_SETTINGS, predefined::PG_READ_ALL_STATS, predefined::PG_STAT_SCAN_TABLES]
        .iter()
        .map(|role| {
            Row::new(def)
                .set("roleid", *role)
                .set("member", predefined::PG_MONITOR)
                .set("grantor", FIRST_ROLE)
        })
        .collect()
}

/// Catalogs whose built-in rows come from [`builtin_rows`] and are renewed when [`fingerprint`] changes.
pub const RENEWED: &[Oid] = &[
    PG_TYPE,
    PG_PROC,
    PG_OPERATOR,
    PG_CAST,
    PG_AGGREGATE,
    PG_OPCLASS,
    PG_OPFAMILY,
    PG_AMOP,
    PG_AM,
    PG_LANGUAGE,
    PG_COLLATION,
];

fn namespaces(def: &'static CatalogDef) -> Vec<Row> {
    [
        (PG_CATALOG, "pg_catalog"),
        (PG_TOAST, "pg_toast"),
        (PUBLIC, "public"),
        (INFORMATION_SCHEMA, "information_schema"),
    ]
    .iter()
    .map(|(o, n)| {
        let (owner, acl) = schema_access(*o);
        let acl = acl.map_or(Value::Null, |a| a.to_value());
        Row::new(def).set("oid", *o).set("nspname", *n).set("nspowner", owner).set("nspacl", acl)
    })
    .collect()
}

/// What PostgreSQL says of its schemas: a dump leaves it out where it is the same.
fn descriptions(def: &'static CatalogDef) -> Vec<Row> {
    [
        (PG_CATALOG, "system catalog schema"),
        (PG_TOAST, "reserved schema for TOAST tables"),
        (PUBLIC, "standard public schema"),
    ]
    .iter()
    .map(|(o, text)| {
        Row::new(def)
            .set("objoid", *o)
            .set("classoid", PG_NAMESPACE)
            .set("objsubid", 0i32)
            .set("description", *text)
    })
    .collect()
}

fn tablespaces(def: &'static CatalogDef) -> Vec<Row> {
    [(1663 as Oid, "pg_default"), (1664, "pg_global")]
        .iter()
        .map(|(o, n)| Row::new(def).set("oid", *o).set("spcname", *n).set("spcowner", FIRST_ROLE))
        .collect()
}

fn access_methods(def: &'static CatalogDef) -> Vec<Row> {
    [(HEAP_AM, "heap", 3 as Oid, b't'), (BTREE, "btree", 330, b'i'), (HASH, "hash", 331, b'i')]
        .iter()
        .map(|(o, n, h, k)| {
            Row::new(def).set("oid", *o).set("amname", *n).set("amhandler", *h).set("amtype", *k)
        })
        .collect()
}

fn languages(def: &'static CatalogDef) -> Vec<Row> {
    [
        (INTERNAL_LANGUAGE, "internal", false, 2246 as Oid),
        (13, "c", false, 2247),
        (SQL_LANGUAGE, "sql", true, 2248),
    ]
    .iter()
    .map(|(o, n, trusted, validator)| {
        Row::new(def)
            .set("oid", *o)
            .set("lanname", *n)
            .set("lanowner", FIRST_ROLE)
            .set("lanpltrusted", *trusted)
            .set("lanvalidator", *validator)
    })
    .collect()
}

fn collations(def: &'static CatalogDef) -> Vec<Row> {
    [
        (DEFAULT_COLLATION, "default", b'd', None),
        (C_COLLATION, "C", b'c', Some("C")),
        (POSIX_COLLATION, "POSIX", b'c', Some("POSIX")),
    ]
    .iter()
    .map(|(o, n, provider, locale)| {
        let locale = locale.map_or(Value::Null, Value::text);
        Row::new(def)
            .set("oid", *o)
            .set("collname", *n)
            .set("collnamespace", PG_CATALOG)
            .set("collowner", FIRST_ROLE)
            .set("collprovider", *provider)
            .set("collisdeterministic", true)
            .set("collencoding", -1i32)
            .set("collcollate", locale.clone())
            .set("collctype", locale)
    })
    .collect()
}

/// The `pg_proc` row of a built-in function.
pub(super) fn procedure(def: &'static CatalogDef, oid: Oid, name: &str, args: &[Oid], result: Oid) -> Row {
    Row::new(def)
        .set("oid", oid)
        .set("proname", name)
        .set("pronamespace", PG_CATALOG)
        .set("proowner", FIRST_ROLE)
        .set("prolang", INTERNAL_LANGUAGE)
        .set("procost", 1.0f32)
        .set("prokind", b'f')
        .set("proisstrict", true)
        .set("provolatile", b'i')
        .set("proparallel", b's')
        .set("pronargs", args.len() as i16)
        .set("prorettype", result)
        .set("proargtypes", oid_vector(args))
        .set("prosrc", name)
}

fn procedures(def: &'static CatalogDef) -> Vec<Row> {
    let mut rows: Vec<Row> = registry().functions().iter().map(|f| function(def, f)).collect();
    for f in support::all() {
        rows.push(procedure(def, f.oid, f.name, &f.args, f.result).set("provolatile", f.volatility()));
    }
    rows.extend(super::routines::rows(def));
    for row in rows.iter_mut().filter(|r| RESTRICTED.contains(&r.oid("oid"))) {
        row.put("proacl", restricted_acl().to_value());
    }
    rows
}

/// Functions that only the first role may call until it says otherwise: they reach outside of the database or change what others see.
const RESTRICTED: &[Oid] = &[764, 765, 767, 2621, 3776];

fn restricted_acl() -> Acl {
    let mut acl = Acl::default_of(Class::Function, FIRST_ROLE);
    acl.0.retain(|i| i.grantee != 0);
    acl
}

fn function(def: &'static CatalogDef, f: &Function) -> Row {
    let mut row = procedure(def, f.oid, f.name, f.args, f.result);
    row.put("proisstrict", f.strict);
    row.put(
        "provolatile",
        match f.volatility {
            Volatility::Immutable => b'i',
            Volatility::Stable => b's',
            Volatility::Volatile => b'v',
        },
    );
    row.put(
        "prokind",
        match f.kind {
            FunctionKind::Scalar | FunctionKind::Set => b'f',
            FunctionKind::Aggregate => b'a',
            FunctionKind::Window => b'w',
        },
    );
    if f.kind == FunctionKind::Set {
        row.put("proretset", true);
        row.put("prorows", 1000.0f32);
    }
    row.put("provariadic", f.variadic);
    row.put("pronargdefaults", f.defaults.len() as i16);
    if !f.defaults.is_empty() {
        let types = f.args.get(f.args.len().saturating_sub(f.defaults.len())..).unwrap_or(&[]);
        let texts: Vec<String> =
            f.defaults.iter().zip(types).map(|(make, ty)| default_text(&make(), *ty)).collect();
        row.put("proargdefaults", texts.join(EXPRESSION_SEPARATOR));
    }
    let inputs = pg_functions::parameter_names(f.oid);
    let input = |n: usize| inputs.get(n).copied().unwrap_or("");
    if f.columns.is_empty() && !inputs.is_empty() {
        row.put("proargnames", array(oid::TEXT, inputs.iter().map(|n| Value::text(n)).collect()));
    }
    if !f.columns.is_empty() {
        let types = f.args.iter().copied().chain(f.columns.iter().map(|c| c.1)).map(Value::Oid).collect();
        let modes =
            f.args.iter().map(|_| b'i').chain(f.columns.iter().map(|_| b'o')).map(Value::Char).collect();
        let names =
            (0..f.args.len()).map(input).chain(f.columns.iter().map(|c| c.0)).map(Value::text).collect();
        row.put("proallargtypes", array(oid::OID, types));
        row.put("proargmodes", array(oid::CHAR, modes));
        row.put("proargnames", array(oid::TEXT, names));
    }
    row
}

/// A default as an expression shows it.
fn default_text(v: &Value, ty: Oid) -> String {
    match v {
        Value::Null => format!("NULL::{}", typeinfo::display(SqlType::new(ty))),
        Value::Bool(b) => format!("{b}"),
        Value::Int4(n) => format!("{n}"),
        Value::Int8(n) => format!("{n}"),
        Value::Float8(n) => format!("{n:?}"),
        v => {
            let text = io::output_string(v, SqlType::new(ty), &FormatSettings::default());
            format!("'{}'::{}", text.replace('\'', "''"), typeinfo::display(SqlType::new(ty)))
        }
    }
}

fn type_row(def: &'static CatalogDef, t: &TypeInfo) -> Row {
    Row::new(def)
        .set("oid", t.oid)
        .set("typname", t.name)
        .set("typnamespace", PG_CATALOG)
        .set("typowner", FIRST_ROLE)
        .set("typlen", t.len)
        .set("typbyval", t.by_value)
        .set("typtype", t.kind)
        .set("typcategory", t.category)
        .set("typispreferred", t.preferred)
        .set("typisdefined", true)
        .set("typdelim", t.delimiter)
        .set("typsubscript", t.subscript.oid)
        .set("typelem", t.element)
        .set("typarray", t.array)
        .set("typinput", t.input.oid)
        .set("typoutput", t.output.oid)
        .set("typreceive", t.receive.oid)
        .set("typsend", t.send.oid)
        .set("typmodin", t.typmod_in.oid)
        .set("typmodout", t.typmod_out.oid)
        .set("typanalyze", t.analyze.oid)
        .set("typalign", t.align)
        .set("typstorage", t.storage)
        .set("typtypmod", -1i32)
        .set("typcollation", t.collation)
}

/// The `pg_type` row of a table's row type.
pub fn row_type(
    def: &'static CatalogDef,
    oid: Oid,
    name: &str,
    schema: Oid,
    owner: Oid,
    relation: Oid,
    array: Oid,
) -> Row {
    Row::new(def)
        .set("oid", oid)
        .set("typname", name)
        .set("typnamespace", schema)
        .set("typowner", owner)
        .set("typlen", -1i16)
        .set("typtype", b'c')
        .set("typcategory", b'C')
        .set("typisdefined", true)
        .set("typdelim", b',')
        .set("typrelid", relation)
        .set("typarray", array)
        .set("typinput", 2290 as Oid)
        .set("typoutput", 2291 as Oid)
        .set("typreceive", 2402 as Oid)
        .set("typsend", 2403 as Oid)
        .set("typalign", b'd')
        .set("typstorage", b'x')
        .set("typtypmod", -1i32)
}

/// The `pg_type` row of an array over a row type.
pub fn array_of_row_type(
    def: &'static CatalogDef,
    oid: Oid,
    name: &str,
    schema: Oid,
    owner: Oid,
    element: Oid,
) -> Row {
    Row::new(def)
        .set("oid", oid)
        .set("typname", name)
        .set("typnamespace", schema)
        .set("typowner", owner)
        .set("typlen", -1i16)
        .set("typtype", b'b')
        .set("typcategory", b'A')
        .set("typisdefined", true)
        .set("typdelim", b',')
        .set("typsubscript", 6179 as Oid)
        .set("typelem", element)
        .set("typinput", 750 as Oid)
        .set("typoutput", 751 as Oid)
        .set("typreceive", 2400 as Oid)
        .set("typsend", 2401 as Oid)
        .set("typanalyze", 3816 as Oid)
        .set("typalign", b'd')
        .set("typstorage", b'x')
        .set("typtypmod", -1i32)
}

fn types(def: &'static CatalogDef) -> Vec<Row> {
    let relations: hashbrown::HashMap<Oid, Oid> = catalogs().iter().map(|c| (c.row_type, c.oid)).collect();
    let mut rows: Vec<Row> = typeinfo::all()
        .iter()
        .map(|t| type_row(def, t).set("typrelid", relations.get(&t.oid).copied().unwrap_or(0)))
        .collect();
    for c in catalogs() {
        if c.row_type != 0 && typeinfo::get(c.row_type).is_none() {
            rows.push(row_type(def, c.row_type, c.name, PG_CATALOG, FIRST_ROLE, c.oid, 0));
        }
    }
    rows
}

fn operators(def: &'static CatalogDef) -> Vec<Row> {
    registry()
        .operators()
        .iter()
        .map(|o| {
            Row::new(def)
                .set("oid", o.oid)
                .set("oprname", o.name)
                .set("oprnamespace", PG_CATALOG)
                .set("oprowner", FIRST_ROLE)
                .set("oprkind", if o.left == 0 { b'l' } else { b'b' })
                .set("oprcanmerge", o.merges)
                .set("oprcanhash", o.hashes)
                .set("oprleft", o.left)
                .set("oprright", o.right)
                .set("oprresult", o.result)
                .set("oprcom", o.commutator)
                .set("oprnegate", o.negator)
                .set("oprcode", o.function)
        })
        .collect()
}

fn casts(def: &'static CatalogDef) -> Vec<Row> {
    registry()
        .casts()
        .iter()
        .map(|c| {
            let (method, function) = match c.method {
                CastMethod::Function(f) => (b'f', f),
                CastMethod::Binary => (b'b', 0),
                CastMethod::InOut => (b'i', 0),
            };
            Row::new(def)
                .set("oid", c.oid)
                .set("castsource", c.source)
                .set("casttarget", c.target)
                .set("castfunc", function)
                .set("castmethod", method)
                .set(
                    "castcontext",
                    match c.context {
                        CastContext::Implicit => b'i',
                        CastContext::Assignment => b'a',
                        CastContext::Explicit => b'e',
                    },
                )
        })
        .collect()
}

fn aggregates(def: &'static CatalogDef) -> Vec<Row> {
    registry()
        .aggregates()
        .map(|a| {
            Row::new(def)
                .set("aggfnoid", a.function)
                .set("aggkind", a.kind)
                .set("aggnumdirectargs", a.direct_args as i16)
                .set("aggsortop", a.sort_operator)
                .set("aggtranstype", a.transition_type)
                .set("aggfinalmodify", b'r')
                .set("aggmfinalmodify", b'r')
        })
        .collect()
}

fn operator_classes(def: &'static CatalogDef) -> Vec<Row> {
    registry()
        .operator_classes()
        .iter()
        .map(|c| {
            Row::new(def)
                .set("oid", c.oid)
                .set("opcmethod", c.method)
                .set("opcname", c.name)
                .set("opcnamespace", PG_CATALOG)
                .set("opcowner", FIRST_ROLE)
                .set("opcfamily", c.family)
                .set("opcintype", c.input)
                .set("opcdefault", c.default)
                .set("opckeytype", c.key)
        })
        .collect()
}

fn operator_families(def: &'static CatalogDef) -> Vec<Row> {
    let mut seen = HashSet::new();
    registry()
        .operator_classes()
        .iter()
        .filter(|c| seen.insert(c.family))
        .map(|c| {
            Row::new(def)
                .set("oid", c.family)
                .set("opfmethod", c.method)
                .set("opfname", c.family_name)
                .set("opfnamespace", PG_CATALOG)
                .set("opfowner", FIRST_ROLE)
        })
        .collect()
}

fn family_operators(def: &'static CatalogDef) -> Vec<Row> {
    let methods: hashbrown::HashMap<Oid, Oid> =
        registry().operator_classes().iter().map(|c| (c.family, c.method)).collect();
    registry()
        .family_operators()
        .map(|m| {
            Row::new(def)
                .set("oid", m.oid)
                .set("amopfamily", m.family)
                .set("amoplefttype", m.left)
                .set("amoprighttype", m.right)
                .set("amopstrategy", i16::from(m.strategy))
                .set("amoppurpose", b's')
                .set("amopopr", m.operator)
                .set("amopmethod", methods.get(&m.family).copied().unwrap_or(BTREE))
        })
        .collect()
}

/// The `pg_class` row of a relation.
#[derive(Clone, Debug)]
pub struct ClassRow<'a> {
    /// `oid`.
    pub oid: Oid,
    /// `relname`.
    pub name: &'a str,
    /// `relnamespace`.
    pub schema: Oid,
    /// `reltype`.
    pub row_type: Oid,
    /// `relowner`.
    pub owner: Oid,
    /// `relam`.
    pub method: Oid,
    /// `relfilenode`; 0: none.
    pub storage: u32,
    /// `relkind`.
    pub kind: u8,
    /// `relnatts`.
    pub columns: i16,
    /// `relchecks`.
    pub checks: i16,
    /// `relhasindex`.
    pub has_index: bool,
    /// `relisshared`.
    pub shared: bool,
    /// `relpersistence`: `p` or `u`.
    pub persistence: u8,
    /// `reloptions`.
    pub options: Vec<String>,
}

impl ClassRow<'_> {
    /// The row.
    pub fn row(&self, def: &'static CatalogDef) -> Row {
        let mut row = Row::new(def)
            .set("oid", self.oid)
            .set("relname", self.name)
            .set("relnamespace", self.schema)
            .set("reltype", self.row_type)
            .set("relowner", self.owner)
            .set("relam", self.method)
            .set("relfilenode", self.storage)
            .set("reltuples", -1.0f32)
            .set("relhasindex", self.has_index)
            .set("relisshared", self.shared)
            .set("relpersistence", self.persistence)
            .set("relkind", self.kind)
            .set("relnatts", self.columns)
            .set("relchecks", self.checks)
            .set("relispopulated", true)
            .set(
                "relreplident",
                if self.schema == PG_CATALOG || !matches!(self.kind, b'r' | b'm') { b'n' } else { b'd' },
            );
        if matches!(self.kind, b'v' | b'm') {
            row.put("relhasrules", true);
        }
        if self.kind == b'i' || self.kind == b'S' {
            row.put("reltuples", 0.0f32);
        }
        if !self.options.is_empty() {
            row.put("reloptions", array(oid::TEXT, self.options.iter().map(|o| Value::text(o)).collect()));
        }
        row
    }
}

/// The `pg_attribute` row of a column of a built-in or new relation.
pub fn attribute_row(
    def: &'static CatalogDef,
    relation: Oid,
    attnum: i16,
    name: &str,
    ty: pg_types::SqlType,
    not_null: bool,
) -> Row {
    let info = typeinfo::get(ty.oid);
    Row::new(def)
        .set("attrelid", relation)
        .set("attname", name)
        .set("atttypid", ty.oid)
        .set("attstattarget", -1i32)
        .set("attlen", info.map_or(-1, |t| t.len))
        .set("attnum", attnum)
        .set("attndims", i32::from(info.is_some_and(TypeInfo::is_array)))
        .set("attcacheoff", -1i32)
        .set("atttypmod", ty.typmod)
        .set("attbyval", info.is_some_and(|t| t.by_value))
        .set("attalign", info.map_or(b'd', |t| t.align))
        .set("attstorage", info.map_or(b'x', |t| t.storage))
        .set("attnotnull", not_null)
        .set("attislocal", true)
        .set("attcollation", info.map_or(0, |t| t.collation))
}

/// What an index's `pg_index` row says.
#[derive(Clone, Debug)]
pub struct IndexRow<'a> {
    /// `indexrelid`.
    pub oid: Oid,
    /// `indrelid`.
    pub table: Oid,
    /// How it is organised.
    pub method: IndexMethod,
    /// Columns.
    pub keys: &'a [IndexKey],
    /// Key columns among them.
    pub key_count: usize,
    /// UNIQUE.
    pub unique: bool,
    /// PRIMARY KEY.
    pub primary: bool,
    /// NULLS NOT DISTINCT.
    pub nulls_not_distinct: bool,
    /// Expressions as text, separated as `pg_node_tree` would not be.
    pub expressions: Option<String>,
    /// Predicate as text.
    pub predicate: Option<String>,
}

/// The name of a collation.
pub fn collation_name(oid: Oid) -> Option<&'static str> {
    match oid {
        DEFAULT_COLLATION => Some("default"),
        C_COLLATION => Some("C"),
        POSIX_COLLATION => Some("POSIX"),
        _ => None,
    }
}

/// A built-in collation by name.
pub fn builtin_collation(name: &str) -> Option<Oid> {
    [DEFAULT_COLLATION, C_COLLATION, POSIX_COLLATION].into_iter().find(|c| collation_name(*c) == Some(name))
}

/// Between the texts of several index expressions in `indexprs`.
pub const EXPRESSION_SEPARATOR: &str = "\u{1f}";

impl IndexRow<'_> {
    /// The row.
    pub fn row(&self, def: &'static CatalogDef) -> Row {
        let attnums: Vec<i16> = self.keys.iter().map(|k| k.attnum).collect();
        let key_columns = || self.keys.iter().take(self.key_count);
        let collations: Vec<Oid> = key_columns().map(|k| k.collation).collect();
        let classes: Vec<Oid> = key_columns()
            .map(|k| {
                let default = || registry().default_class(self.method.oid(), k.ty.oid).map_or(0, |c| c.oid);
                k.class.unwrap_or_else(default)
            })
            .collect();
        let options: Vec<i16> =
            key_columns().map(|k| i16::from(k.descending) | i16::from(k.nulls_first) << 1).collect();
        let text = |t: &Option<String>| t.as_deref().map_or(Value::Null, Value::text);
        Row::new(def)
            .set("indexrelid", self.oid)
            .set("indrelid", self.table)
            .set("indnatts", self.keys.len() as i16)
            .set("indnkeyatts", self.key_count as i16)
            .set("indisunique", self.unique)
            .set("indnullsnotdistinct", self.nulls_not_distinct)
            .set("indisprimary", self.primary)
            .set("indimmediate", true)
            .set("indisvalid", true)
            .set("indisready", true)
            .set("indislive", true)
            .set("indkey", int2_vector(&attnums))
            .set("indcollation", oid_vector(&collations))
            .set("indclass", oid_vector(&classes))
            .set("indoption", int2_vector(&options))
            .set("indexprs", text(&self.expressions))
            .set("indpred", text(&self.predicate))
    }
}

/// Rows of `pg_class`, `pg_attribute` and `pg_index` that describe the catalogs themselves.
pub struct SelfDescription {
    /// `pg_class`.
    pub classes: Vec<Row>,
    /// `pg_attribute`.
    pub attributes: Vec<Row>,
    /// `pg_index`.
    pub indexes: Vec<Row>,
}

/// Describes the catalogs.
pub fn self_description(storage: &dyn Fn(Oid) -> Option<RelId>) -> SelfDescription {
    let mut out = SelfDescription { classes: Vec::new(), attributes: Vec::new(), indexes: Vec::new() };
    let (Some(class), Some(attribute), Some(index)) =
        (catalog(PG_CLASS), catalog(PG_ATTRIBUTE), catalog(PG_INDEX))
    else {
        return out;
    };
    let number = |oid| storage(oid).map_or(0, |r| r.0);
    for c in catalogs() {
        let row = ClassRow {
            oid: c.oid,
            name: c.name,
            schema: PG_CATALOG,
            row_type: c.row_type,
            owner: FIRST_ROLE,
            method: HEAP_AM,
            storage: number(c.oid),
            kind: b'r',
            columns: c.columns.len() as i16,
            checks: 0,
            has_index: !c.indexes.is_empty(),
            shared: c.shared,
            persistence: b'p',
            options: Vec::new(),
        };
        out.classes.push(row.row(class).set("relacl", builtin_acl(c.name).to_value()));
        for (n, a) in c.columns.iter().enumerate() {
            let row = attribute_row(attribute, c.oid, n as i16 + 1, a.name, a.ty.into(), a.not_null);
            out.attributes.push(row.set("attisdropped", a.hidden));
        }
        let Some(relation) = c.relation(&|_| Some(RelId(0))) else { continue };
        for i in &relation.indexes {
            let row = ClassRow {
                oid: i.oid,
                name: &i.name,
                row_type: 0,
                method: BTREE,
                storage: number(i.oid),
                kind: b'i',
                columns: i.keys.len() as i16,
                has_index: false,
                ..row.clone()
            };
            out.classes.push(row.row(class));
            for (n, k) in i.keys.iter().enumerate() {
                let name = relation.attributes.get(k.attnum as usize - 1).map_or("", |a| a.name.as_str());
                out.attributes.push(attribute_row(attribute, i.oid, n as i16 + 1, name, k.ty, false));
            }
            let row = IndexRow {
                oid: i.oid,
                table: c.oid,
                method: i.method,
                keys: &i.keys,
                key_count: i.key_count,
                unique: i.unique,
                primary: i.primary,
                nulls_not_distinct: false,
                expressions: None,
                predicate: None,
            };
            out.indexes.push(row.row(index));
        }
    }
    out
}

/// The row of a role.
pub fn role_row(
    def: &'static CatalogDef,
    oid: Oid,
    name: &str,
    superuser: bool,
    login: bool,
    verifier: Option<&str>,
) -> Row {
    Row::new(def)
        .set("oid", oid)
        .set("rolname", name)
        .set("rolsuper", superuser)
        .set("rolinherit", true)
        .set("rolcreaterole", superuser)
        .set("rolcreatedb", superuser)
        .set("rolcanlogin", login)
        .set("rolreplication", superuser)
        .set("rolbypassrls", superuser)
        .set("rolconnlimit", -1i32)
        .set("rolpassword", verifier.map_or(Value::Null, Value::text))
}

/// The row of a new graph without nodes.
pub fn graph_row(def: &'static CatalogDef, oid: Oid, name: &str, owner: Oid, heap: RelId) -> Row {
    Row::new(def)
        .set("oid", oid)
        .set("graphname", name)
        .set("graphowner", owner)
        .set("graphheap", heap.0)
        .set("graphnodes", 0i64)
        .set("graphticks", 0i64)
        .set("graphversion", 0i64)
        .set("graphshape", 0i64)
}

/// The row of a database.
pub fn database_row(def: &'static CatalogDef, oid: Oid, name: &str) -> Row {
    Row::new(def)
        .set("oid", oid)
        .set("datname", name)
        .set("datdba", FIRST_ROLE)
        .set("encoding", 6i32)
        .set("datlocprovider", b'c')
        .set("datallowconn", true)
        .set("datconnlimit", -1i32)
        .set("dattablespace", 1663 as Oid)
        .set("datcollate", "C.UTF-8".to_string())
        .set("datctype", "C.UTF-8".to_string())
}

/// The databases that there are beside the first, as in PostgreSQL: two templates, and one to connect to. A database called as
/// one of them takes its place.
pub fn builtin_databases(def: &'static CatalogDef) -> Vec<Row> {
    let template = |row: Row| {
        let mut acl = Acl::default_of(Class::Database, FIRST_ROLE);
        acl.0.retain(|item| item.grantee != 0);
        acl.0.push(AclItem { grantee: 0, grantor: FIRST_ROLE, rights: right::CONNECT, options: 0 });
        row.set("datistemplate", true).set("datacl", acl.to_value())
    };
    Vec::from([
        template(database_row(def, TEMPLATE1, "template1")),
        template(database_row(def, TEMPLATE0, "template0")).set("datallowconn", false),
        database_row(def, POSTGRES, "postgres"),
    ])
}

//! Built-in functions that are queries: they give what views give, by the names that PostgreSQL's views take it from, which
//! tools call directly.

use alloc::vec::Vec;

use pg_types::{Oid, Value, oid::*};

use super::{CatalogDef, INFORMATION_SCHEMA, rows};
use crate::{
    routine::SQL_LANGUAGE,
    table::{Row, array},
};

/// One of them.
struct QueryFunction {
    oid: Oid,
    name: &'static str,
    schema: Oid,
    arguments: &'static [(&'static str, Oid)],
    columns: &'static [(&'static str, Oid)],
    volatility: u8,
    query: &'static str,
}

/// Of pg_catalog, without arguments.
const fn function(
    oid: Oid,
    name: &'static str,
    columns: &'static [(&'static str, Oid)],
    query: &'static str,
) -> QueryFunction {
    QueryFunction { oid, name, schema: super::PG_CATALOG, arguments: &[], columns, volatility: b's', query }
}

const FUNCTIONS: &[QueryFunction] = &[
    // The elements of an array and their places, from 1.
    QueryFunction {
        schema: INFORMATION_SCHEMA,
        arguments: &[("", ANYARRAY)],
        volatility: b'i',
        ..function(
            13208,
            "_pg_expandarray",
            &[("x", ANYELEMENT), ("n", INT4)],
            "SELECT $1[s], s - pg_catalog.array_lower($1, 1) + 1 \
             FROM pg_catalog.generate_series(pg_catalog.array_lower($1, 1), pg_catalog.array_upper($1, 1)) g(s)",
        )
    },
    function(
        2084,
        "pg_show_all_settings",
        &[
            ("name", TEXT),
            ("setting", TEXT),
            ("unit", TEXT),
            ("category", TEXT),
            ("short_desc", TEXT),
            ("extra_desc", TEXT),
            ("context", TEXT),
            ("vartype", TEXT),
            ("source", TEXT),
            ("min_val", TEXT),
            ("max_val", TEXT),
            ("enumvals", TEXT_ARRAY),
            ("boot_val", TEXT),
            ("reset_val", TEXT),
            ("sourcefile", TEXT),
            ("sourceline", INT4),
            ("pending_restart", BOOL),
        ],
        "SELECT * FROM pg_catalog.pg_settings",
    ),
    function(
        3082,
        "pg_available_extensions",
        &[("name", NAME), ("default_version", TEXT), ("comment", TEXT)],
        "SELECT name, default_version, comment FROM pg_catalog.pg_available_extensions",
    ),
    function(
        3083,
        "pg_available_extension_versions",
        &[
            ("name", NAME),
            ("version", TEXT),
            ("superuser", BOOL),
            ("trusted", BOOL),
            ("relocatable", BOOL),
            ("schema", NAME),
            ("requires", NAME_ARRAY),
            ("comment", TEXT),
        ],
        "SELECT name, version, superuser, trusted, relocatable, schema, requires, comment \
         FROM pg_catalog.pg_available_extension_versions",
    ),
    QueryFunction {
        volatility: b'v',
        ..function(
            1371,
            "pg_lock_status",
            &[
                ("locktype", TEXT),
                ("database", OID),
                ("relation", OID),
                ("page", INT4),
                ("tuple", INT2),
                ("virtualxid", TEXT),
                ("transactionid", XID),
                ("classid", OID),
                ("objid", OID),
                ("objsubid", INT2),
                ("virtualtransaction", TEXT),
                ("pid", INT4),
                ("mode", TEXT),
                ("granted", BOOL),
                ("fastpath", BOOL),
                ("waitstart", TIMESTAMPTZ),
            ],
            "SELECT * FROM pg_catalog.pg_locks",
        )
    },
    QueryFunction {
        volatility: b'v',
        ..function(
            1065,
            "pg_prepared_xact",
            &[
                ("transaction", XID),
                ("gid", TEXT),
                ("prepared", TIMESTAMPTZ),
                ("ownerid", OID),
                ("dbid", OID),
            ],
            "SELECT p.transaction, p.gid, p.prepared, a.oid, d.oid FROM pg_catalog.pg_prepared_xacts p \
             LEFT JOIN pg_catalog.pg_authid a ON a.rolname = p.owner \
             LEFT JOIN pg_catalog.pg_database d ON d.datname = p.database",
        )
    },
    function(
        2856,
        "pg_timezone_names",
        &[("name", TEXT), ("abbrev", TEXT), ("utc_offset", INTERVAL), ("is_dst", BOOL)],
        "SELECT * FROM pg_catalog.pg_timezone_names",
    ),
];

/// Their rows of `pg_proc`.
pub(super) fn rows(def: &'static CatalogDef) -> Vec<Row> {
    FUNCTIONS.iter().map(|f| f.row(def)).collect()
}

/// What the rows depend on.
pub(super) fn fingerprint(feed: &mut impl FnMut(&[u8])) {
    for f in FUNCTIONS {
        feed(&f.oid.to_le_bytes());
        feed(f.query.as_bytes());
    }
}

impl QueryFunction {
    fn row(&self, def: &'static CatalogDef) -> Row {
        let inputs: Vec<Oid> = self.arguments.iter().map(|a| a.1).collect();
        let all = || self.arguments.iter().chain(self.columns);
        let modes = all().enumerate().map(|(n, _)| if n < inputs.len() { b'i' } else { b'o' });
        rows::procedure(def, self.oid, self.name, &inputs, RECORD)
            .set("pronamespace", self.schema)
            .set("prolang", SQL_LANGUAGE)
            .set("provolatile", self.volatility)
            .set("procost", 100.0f32)
            .set("proretset", true)
            .set("prorows", 1000.0f32)
            .set("proallargtypes", array(OID, all().map(|a| Value::Oid(a.1)).collect()))
            .set("proargmodes", array(CHAR, modes.map(Value::Char).collect()))
            .set("proargnames", array(TEXT, all().map(|a| Value::text(a.0)).collect()))
            .set("prosrc", self.query)
    }
}

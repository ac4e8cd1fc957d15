//! The extensions there are: what CREATE EXTENSION can install. A script of SQL makes the objects of each.
//!
//! Scripts are compiled in, as there are no files to read them from; their functions are SQL functions over what the engine
//! offers under names of its own.

/// An extension that can be installed.
#[derive(Debug)]
pub(crate) struct Extension {
    /// Name.
    pub(crate) name: &'static str,
    /// Its version, the only one.
    pub(crate) version: &'static str,
    /// What it is for.
    pub(crate) comment: &'static str,
    /// Who may create in the database may install it; otherwise superusers only.
    pub(crate) trusted: bool,
    /// Makes its objects.
    pub(crate) script: &'static str,
}

/// Of pg_stat_statements, which has statements counted where it is installed.
pub const STATEMENTS: &str = "pg_stat_statements";

/// Names and versions as PostgreSQL 15 has them.
pub(crate) const EXTENSIONS: &[Extension] = &[
    Extension {
        name: STATEMENTS,
        version: "1.10",
        comment: "track planning and execution statistics of all SQL statements executed",
        trusted: false,
        script: include_str!("pg_stat_statements.sql"),
    },
    Extension {
        name: "pgcrypto",
        version: "1.3",
        comment: "cryptographic functions",
        trusted: true,
        script: include_str!("pgcrypto.sql"),
    },
    Extension {
        name: "uuid-ossp",
        version: "1.1",
        comment: "generate universally unique identifiers (UUIDs)",
        trusted: true,
        script: include_str!("uuid_ossp.sql"),
    },
];

/// One by name.
pub(crate) fn find(name: &str) -> Option<&'static Extension> {
    EXTENSIONS.iter().find(|e| e.name == name)
}

//! The built-in settings: names, types, limits and defaults as in PostgreSQL 15.
//!
//! A setting is listed only when the engine honours it, or when every permitted value means the same here (there are no
//! functions whose bodies could be checked).

use alloc::vec::Vec;
use core::cmp::Ordering;

use platform::sync::OnceLock;

/// Who may change a setting, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Nobody.
    Internal,
    /// The appliance's configuration, at start.
    Postmaster,
    /// Superusers.
    Superuser,
    /// Anyone.
    User,
}

impl Context {
    /// As in `pg_settings.context`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Postmaster => "postmaster",
            Self::Superuser => "superuser",
            Self::User => "user",
        }
    }
}

/// Units of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    None,
    /// Milliseconds.
    Ms,
    /// Kilobytes.
    Kb,
    /// 8 KiB pages.
    Blocks,
}

impl Unit {
    /// As in `pg_settings.unit`.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Ms => Some("ms"),
            Self::Kb => Some("kB"),
            Self::Blocks => Some("8kB"),
        }
    }
    /// Suffixes that may be written, largest first, with their worth in base units as (numerator, denominator).
    pub fn suffixes(self) -> &'static [(&'static str, i64, i64)] {
        match self {
            Self::None => &[],
            Self::Ms => &[
                ("d", 86_400_000, 1),
                ("h", 3_600_000, 1),
                ("min", 60_000, 1),
                ("s", 1000, 1),
                ("ms", 1, 1),
                ("us", 1, 1000),
            ],
            Self::Kb => {
                &[("TB", 1 << 30, 1), ("GB", 1 << 20, 1), ("MB", 1 << 10, 1), ("kB", 1, 1), ("B", 1, 1024)]
            }
            Self::Blocks => {
                &[("TB", 1 << 27, 1), ("GB", 1 << 17, 1), ("MB", 128, 1), ("kB", 1, 8), ("B", 1, 8192)]
            }
        }
    }
    /// The HINT after an unknown suffix.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Ms => {
                Some("Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".")
            }
            Self::Kb | Self::Blocks => {
                Some("Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".")
            }
        }
    }
}

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// on, off.
    Bool,
    /// A whole number within limits.
    Int(i64, i64, Unit),
    /// A number within limits.
    Real(f64, f64),
    /// One of these words.
    Enum(&'static [&'static str]),
    /// Text, with a check of its own where the name calls for one.
    Text,
    /// A comma-separated list of identifiers.
    List,
    /// DateStyle.
    DateStyle,
    /// TimeZone.
    TimeZone,
    /// Classes of statements.
    Audit,
    /// client_encoding.
    Encoding,
    /// Text cut down to printable ASCII (application_name).
    Ascii,
}

impl Kind {
    /// As in `pg_settings.vartype`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int(..) => "integer",
            Self::Real(..) => "real",
            Self::Enum(_) => "enum",
            _ => "string",
        }
    }
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Name as shown.
    pub name: &'static str,
    /// Values.
    pub kind: Kind,
    /// Built-in value.
    pub default: &'static str,
    /// Who may change it.
    pub context: Context,
    /// Heading in `pg_settings`.
    pub category: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Clients are told of changes (ParameterStatus).
    pub report: bool,
}

const fn def(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    context: Context,
    category: &'static str,
    description: &'static str,
) -> Definition {
    Definition { name, kind, default, context, category, description, report: false }
}

const fn reported(mut d: Definition) -> Definition {
    d.report = true;
    d
}

use Context::{Internal, Postmaster, Superuser, User};
use Kind::{Bool, Enum, Int, List, Real, Text};

const MAX_INT: i64 = i32::MAX as i64;
const MAX_REAL: f64 = f64::MAX;
const CLIENT: &str = "Client Connection Defaults";
const LOCALE: &str = "Client Connection Defaults / Locale and Formatting";
const STATEMENT: &str = "Client Connection Defaults / Statement Behavior";
const SSL: &str = "Connections and Authentication / SSL";
const TLS_VERSIONS: &[&str] = &["TLSv1.2", "TLSv1.3"];
const PRESET: &str = "Preset Options";
const METHOD: &str = "Query Tuning / Planner Method Configuration";
const COST: &str = "Query Tuning / Planner Cost Constants";
const COMPAT: &str = "Version and Platform Compatibility / Previous PostgreSQL Versions";
const DEVICES: &str = "Resource Usage / Compute Devices";
const LOGGED: &str = "Reporting and Logging / What to Log";
const AUDIT: &str = "Customized Options";
const MEMORY: &str = "Resource Usage / Memory";
const ISOLATION: &[&str] = &["serializable", "repeatable read", "read committed", "read uncommitted"];
const LEVELS: &[&str] =
    &["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"];

/// All of them; looked up by lower-cased name ([`find`]).
pub static TABLE: &[Definition] = &[
    reported(def("application_name", Kind::Ascii, "", User, CLIENT, "Name the client gives itself.")),
    def("array_nulls", Enum(&["on"]), "on", User, COMPAT, "NULL in array input means null."),
    def(
        "backslash_quote",
        Enum(&["safe_encoding", "on", "off"]),
        "safe_encoding",
        User,
        COMPAT,
        "Use of \\' in strings.",
    ),
    def("block_size", Int(8192, 8192, Unit::None), "8192", Internal, PRESET, "Size of a page."),
    def("bytea_output", Enum(&["escape", "hex"]), "hex", User, STATEMENT, "Form in which bytea is written."),
    def(
        "check_function_bodies",
        Bool,
        "on",
        User,
        STATEMENT,
        "Checks function bodies when they are created.",
    ),
    reported(def("client_encoding", Kind::Encoding, "UTF8", User, LOCALE, "Encoding of the client's text.")),
    def(
        "client_min_messages",
        Enum(LEVELS),
        "notice",
        User,
        STATEMENT,
        "Least severity of messages that are sent.",
    ),
    def(
        "compute_backend",
        Enum(&["auto", "cpu", "gpu"]),
        "auto",
        User,
        DEVICES,
        "Who computes what a device could: whoever is quickest, the processor, or a device.",
    ),
    def("cpu_index_tuple_cost", Real(0.0, MAX_REAL), "0.005", User, COST, "Cost of handling an index entry."),
    def("cpu_operator_cost", Real(0.0, MAX_REAL), "0.0025", User, COST, "Cost of an operator or function."),
    def("cpu_tuple_cost", Real(0.0, MAX_REAL), "0.01", User, COST, "Cost of handling a row."),
    reported(def("DateStyle", Kind::DateStyle, "ISO, MDY", User, LOCALE, "How dates are written and read.")),
    def("default_table_access_method", Enum(&["heap"]), "heap", User, STATEMENT, "Storage of new tables."),
    def("default_tablespace", Enum(&[""]), "", User, STATEMENT, "Tablespace of new tables."),
    def(
        "default_toast_compression",
        Enum(&["lz4"]),
        "lz4",
        User,
        STATEMENT,
        "How large values are compressed.",
    ),
    def("default_transaction_deferrable", Bool, "off", User, STATEMENT, "New transactions are deferrable."),
    def(
        "default_transaction_isolation",
        Enum(ISOLATION),
        "read committed",
        User,
        STATEMENT,
        "Isolation level of new transactions.",
    ),
    reported(def(
        "default_transaction_read_only",
        Bool,
        "off",
        User,
        STATEMENT,
        "New transactions are read-only.",
    )),
    def(
        "effective_cache_size",
        Int(1, MAX_INT, Unit::Blocks),
        "524288",
        User,
        COST,
        "Assumed size of all caches.",
    ),
    // Some name what this planner never does: it need not be kept from it.
    def("enable_async_append", Bool, "on", User, METHOD, "Allows asynchronous appends."),
    def("enable_bitmapscan", Bool, "on", User, METHOD, "Allows bitmap scans."),
    def("enable_gathermerge", Bool, "on", User, METHOD, "Allows gather merge."),
    def("enable_hashagg", Bool, "on", User, METHOD, "Allows grouping by hashing."),
    def("enable_hashjoin", Bool, "on", User, METHOD, "Allows hash joins."),
    def("enable_incremental_sort", Bool, "on", User, METHOD, "Allows incremental sorts."),
    def("enable_indexonlyscan", Bool, "on", User, METHOD, "Allows index-only scans."),
    def("enable_indexscan", Bool, "on", User, METHOD, "Allows index scans."),
    def("enable_material", Bool, "on", User, METHOD, "Allows materialization."),
    def("enable_memoize", Bool, "on", User, METHOD, "Allows memoization."),
    def("enable_mergejoin", Bool, "on", User, METHOD, "Allows merge joins."),
    def("enable_nestloop", Bool, "on", User, METHOD, "Allows nested loops."),
    def("enable_parallel_append", Bool, "on", User, METHOD, "Allows parallel appends."),
    def("enable_parallel_hash", Bool, "on", User, METHOD, "Allows parallel hash joins."),
    def("enable_partition_pruning", Bool, "on", User, METHOD, "Allows partition pruning."),
    def("enable_partitionwise_aggregate", Bool, "off", User, METHOD, "Allows aggregation by partition."),
    def("enable_partitionwise_join", Bool, "off", User, METHOD, "Allows joins by partition."),
    def("enable_seqscan", Bool, "on", User, METHOD, "Allows sequential scans."),
    def("enable_sort", Bool, "on", User, METHOD, "Allows explicit sorts."),
    def("enable_tidscan", Bool, "on", User, METHOD, "Allows TID scans."),
    def("escape_string_warning", Bool, "on", User, COMPAT, "Warns about backslashes in plain strings."),
    def(
        "extra_float_digits",
        Int(-15, 3, Unit::None),
        "1",
        User,
        LOCALE,
        "Digits shown of floating-point numbers.",
    ),
    def(
        "hash_mem_multiplier",
        Real(1.0, 1000.0),
        "2",
        User,
        MEMORY,
        "How much of work_mem a hash table may use.",
    ),
    def(
        "idle_in_transaction_session_timeout",
        Int(0, MAX_INT, Unit::Ms),
        "0",
        User,
        STATEMENT,
        "Limit of idling inside a transaction.",
    ),
    def(
        "idle_session_timeout",
        Int(0, MAX_INT, Unit::Ms),
        "0",
        User,
        STATEMENT,
        "Limit of idling outside a transaction.",
    ),
    reported(def("in_hot_standby", Bool, "off", Internal, PRESET, "The server is a standby.")),
    reported(def("integer_datetimes", Bool, "on", Internal, PRESET, "Times are whole numbers.")),
    reported(def(
        "IntervalStyle",
        Enum(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        "postgres",
        User,
        LOCALE,
        "How intervals are written.",
    )),
    def(
        "intralith.enable_test_functions",
        Bool,
        "off",
        Postmaster,
        "Developer Options",
        "Offers functions that only tests need.",
    ),
    reported(def("is_superuser", Bool, "off", Internal, PRESET, "The current user is a superuser.")),
    def("lc_collate", Text, "C", Internal, LOCALE, "Collation order."),
    def("lc_ctype", Text, "C", Internal, LOCALE, "Character classes."),
    def("lc_messages", Enum(&["C"]), "C", User, LOCALE, "Language of messages."),
    def("lc_monetary", Enum(&["C"]), "C", User, LOCALE, "Format of money."),
    def("lc_numeric", Enum(&["C"]), "C", User, LOCALE, "Format of numbers."),
    def("lc_time", Enum(&["C"]), "C", User, LOCALE, "Format of dates in words."),
    def("lock_timeout", Int(0, MAX_INT, Unit::Ms), "0", User, STATEMENT, "Limit of waiting for a lock."),
    def(
        "max_connections",
        Int(1, 262_143, Unit::None),
        "100",
        Postmaster,
        "Connections and Authentication / Connection Settings",
        "Number of connections.",
    ),
    def(
        "maintenance_work_mem",
        Int(1024, MAX_INT, Unit::Kb),
        "65536",
        User,
        MEMORY,
        "Memory that building an index may use for sorting.",
    ),
    def("max_function_args", Int(100, 100, Unit::None), "100", Internal, PRESET, "Arguments of a function."),
    def("max_identifier_length", Int(63, 63, Unit::None), "63", Internal, PRESET, "Bytes of a name."),
    def("max_index_keys", Int(32, 32, Unit::None), "32", Internal, PRESET, "Columns of an index."),
    def(
        "password_encryption",
        Enum(&["scram-sha-256"]),
        "scram-sha-256",
        User,
        "Connections and Authentication / Authentication",
        "How passwords are stored.",
    ),
    def(
        "quote_all_identifiers",
        Enum(&["off"]),
        "off",
        User,
        COMPAT,
        "Quotes every name in SQL that is made.",
    ),
    def("random_page_cost", Real(0.0, MAX_REAL), "4", User, COST, "Cost of a page read out of order."),
    def("role", Text, "none", Internal, CLIENT, "The role whose privileges count."),
    def("row_security", Bool, "on", User, STATEMENT, "Applies row security policies."),
    def("search_path", List, "\"$user\", public", User, STATEMENT, "Schemas searched for names without one."),
    def("seq_page_cost", Real(0.0, MAX_REAL), "1", User, COST, "Cost of a page read in order."),
    reported(def("server_encoding", Text, "UTF8", Internal, LOCALE, "Encoding of the database.")),
    reported(def(
        "server_version",
        Text,
        "15.8",
        Internal,
        PRESET,
        "PostgreSQL version whose behaviour is offered.",
    )),
    def(
        "server_version_num",
        Int(150_008, 150_008, Unit::None),
        "150008",
        Internal,
        PRESET,
        "The same as a number.",
    ),
    reported(def("session_authorization", Text, "", Internal, CLIENT, "The session's user.")),
    // Defaults are not PostgreSQL's, but the appliance's: sessions are given only what differs.
    def("ssl", Bool, "on", Postmaster, SSL, "Connections are encrypted when clients ask for it."),
    def("ssl_library", Text, "rustls", Internal, PRESET, "Who encrypts."),
    def(
        "ssl_max_protocol_version",
        Enum(TLS_VERSIONS),
        "TLSv1.3",
        Postmaster,
        SSL,
        "Highest version of TLS that is spoken.",
    ),
    def(
        "ssl_min_protocol_version",
        Enum(TLS_VERSIONS),
        "TLSv1.2",
        Postmaster,
        SSL,
        "Least version of TLS that is spoken.",
    ),
    reported(def(
        "standard_conforming_strings",
        Bool,
        "on",
        User,
        COMPAT,
        "Backslashes in plain strings are ordinary.",
    )),
    def(
        "statement_timeout",
        Int(0, MAX_INT, Unit::Ms),
        "0",
        User,
        STATEMENT,
        "Limit of a statement's duration.",
    ),
    def(
        "superuser_reserved_connections",
        Int(3, 3, Unit::None),
        "3",
        Postmaster,
        "Connections and Authentication / Connection Settings",
        "Connections that only superusers get.",
    ),
    def("synchronize_seqscans", Enum(&["off"]), "off", User, COMPAT, "Scans start where another one is."),
    def(
        "synchronous_commit",
        Enum(&["local", "remote_write", "remote_apply", "on", "off"]),
        "on",
        User,
        "Write-Ahead Log / Settings",
        "Commits wait for durable storage.",
    ),
    reported(def("TimeZone", Kind::TimeZone, "UTC", User, LOCALE, "Time zone of the session.")),
    def(
        "timezone_abbreviations",
        Enum(&["Default"]),
        "Default",
        User,
        LOCALE,
        "Set of time zone abbreviations.",
    ),
    def("transaction_deferrable", Bool, "off", User, STATEMENT, "The transaction is deferrable."),
    def(
        "transaction_isolation",
        Enum(ISOLATION),
        "read committed",
        User,
        STATEMENT,
        "The transaction's isolation level.",
    ),
    def("transaction_read_only", Bool, "off", User, STATEMENT, "The transaction is read-only."),
    def(
        "wal_writer_delay",
        Int(200, 200, Unit::Ms),
        "200",
        Internal,
        "Write-Ahead Log / Settings",
        "How long a commit that nobody waits for may stay in memory.",
    ),
    def(
        "work_mem",
        Int(64, MAX_INT, Unit::Kb),
        "65536",
        User,
        MEMORY,
        "Memory of one sort before it goes on disk.",
    ),
    def("xmlbinary", Enum(&["base64", "hex"]), "base64", User, STATEMENT, "How bytea is written in XML."),
    def("xmloption", Enum(&["content", "document"]), "content", User, STATEMENT, "How XML text is read."),
    def(
        "zero_damaged_pages",
        Enum(&["off"]),
        "off",
        Superuser,
        "Developer Options",
        "Reads damaged pages as empty.",
    ),
    def(
        "constraint_exclusion",
        Enum(&["partition"]),
        "partition",
        User,
        METHOD,
        "Tables are left out by their constraints.",
    ),
    def("data_checksums", Bool, "on", Internal, PRESET, "Pages carry checksums."),
    def(
        "default_statistics_target",
        Int(100, 100, Unit::None),
        "100",
        User,
        METHOD,
        "Size of the statistics that ANALYZE gathers.",
    ),
    def(
        "force_parallel_mode",
        Enum(&["off"]),
        "off",
        User,
        METHOD,
        "Parallel plans whether they help or not.",
    ),
    def("fsync", Bool, "on", Internal, PRESET, "Writes wait for the device."),
    def("full_page_writes", Bool, "on", Internal, PRESET, "Pages are logged whole after a checkpoint."),
    def("geqo", Enum(&["off"]), "off", User, METHOD, "Genetic query optimization."),
    def("jit", Enum(&["off"]), "off", User, METHOD, "Compilation of expressions while they run."),
    def(
        "max_prepared_transactions",
        Int(0, 262_143, Unit::None),
        "10000",
        Internal,
        PRESET,
        "Transactions that may be prepared at a time.",
    ),
    def("log_connections", Bool, "off", Superuser, LOGGED, "Records connections in the audit log."),
    def(
        "log_disconnections",
        Bool,
        "off",
        Superuser,
        LOGGED,
        "Records the ends of sessions in the audit log.",
    ),
    def("pgaudit.log", Kind::Audit, "none", Superuser, AUDIT, "Classes of statements that are recorded."),
    def(
        "pgaudit.log_catalog",
        Bool,
        "on",
        Superuser,
        AUDIT,
        "Records queries of nothing but system catalogs.",
    ),
    def("pgaudit.log_parameter", Bool, "off", Superuser, AUDIT, "Records parameters of statements."),
    def(
        "plan_cache_mode",
        Enum(&["auto", "force_custom_plan", "force_generic_plan"]),
        "auto",
        User,
        METHOD,
        "Choice between generic and custom plans.",
    ),
    def(
        "session_replication_role",
        Enum(&["origin"]),
        "origin",
        Superuser,
        STATEMENT,
        "Firing of triggers and rules.",
    ),
    def("track_activities", Enum(&["on"]), "on", Superuser, PRESET, "What sessions do is shown."),
    def("track_counts", Enum(&["on"]), "on", Superuser, PRESET, "Activity on tables is counted."),
];

/// A setting by name, in any case.
pub fn find(name: &str) -> Option<&'static Definition> {
    let name = match name {
        n if n.eq_ignore_ascii_case("time zone") => "TimeZone",
        n => n,
    };
    static BY_NAME: OnceLock<Vec<&'static Definition>> = OnceLock::new();
    let sorted = BY_NAME.get_or_init(|| {
        let mut all: Vec<_> = TABLE.iter().collect();
        all.sort_by(|a, b| compare(a.name, b.name));
        all
    });
    let at = sorted.binary_search_by(|d| compare(d.name, name)).ok()?;
    sorted.get(at).copied()
}

/// Any order that does not look at case; lengths decide most comparisons.
fn compare(a: &str, b: &str) -> Ordering {
    let lower = |s: &str, i: usize| s.as_bytes().get(i).map_or(0, u8::to_ascii_lowercase);
    a.len().cmp(&b.len()).then_with(|| {
        let differs = (0..a.len()).find(|i| lower(a, *i) != lower(b, *i));
        differs.map_or(Ordering::Equal, |i| lower(a, i).cmp(&lower(b, i)))
    })
}

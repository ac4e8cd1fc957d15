//! A session's settings: values, scopes and what follows from them.
//!
//! Only what differs from the defaults is stored, so that an idle session costs next to nothing. A change belongs to
//! the session (`SET`) or to the transaction (`SET LOCAL`); changes made by a transaction that aborts, or by a
//! savepoint that is rolled back, are undone from a log.

mod parse;
mod table;
#[cfg(test)]
mod tests;

use alloc::{
    borrow::ToOwned,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_encoding::Encoding;
use pg_executor::SettingRow;
use pg_planner::PlannerSettings;
use pg_types::{
    Result, SqlError, SqlState,
    format::{ByteaOutput, FormatSettings, IntervalStyle},
};
use pg_wire::Severity;
use platform::sync::OnceLock;

use crate::{audit, custom_plan::PlanCacheMode};

pub use table::{Context, Definition, Kind, TABLE, find};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The server's configuration or the startup packet: what RESET goes back to.
    Start,
    /// SET.
    Session,
    /// SET LOCAL.
    Transaction,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    start: Option<String>,
    session: Option<String>,
    local: Option<String>,
}

impl Entry {
    fn current(&self) -> Option<&str> {
        self.local.as_deref().or(self.session.as_deref()).or(self.start.as_deref())
    }
    fn is_empty(&self) -> bool {
        self.start.is_none() && self.session.is_none() && self.local.is_none()
    }
}

/// Values that code asks for often, kept ready.
#[derive(Clone, Debug)]
pub struct Derived {
    /// statement_timeout in milliseconds; 0: none.
    pub statement_timeout: u64,
    /// lock_timeout, likewise.
    pub lock_timeout: u64,
    /// idle_in_transaction_session_timeout, likewise.
    pub idle_in_transaction_timeout: u64,
    /// idle_session_timeout, likewise.
    pub idle_timeout: u64,
    /// synchronous_commit is off.
    pub async_commit: bool,
    /// Least severity that is sent to the client.
    pub min_messages: Severity,
    /// Schemas of search_path as written, `"$user"` not resolved.
    pub search_path: Vec<String>,
    /// What goes to the audit log.
    pub audit: audit::Settings,
    /// What the client's text is converted from and to; `None`: it is UTF-8, or taken for it.
    pub encoding: Option<Encoding>,
    /// standard_conforming_strings is off.
    pub escapes: bool,
    /// escape_string_warning.
    pub escape_warning: bool,
    /// The client's messages are to be translated before they are read.
    pub foreign: bool,
    /// Text formats.
    pub format: FormatSettings,
    /// The planner's.
    pub planner: PlannerSettings,
    /// default_transaction_isolation.
    pub default_isolation: String,
    /// default_transaction_read_only.
    pub default_read_only: bool,
    /// default_transaction_deferrable.
    pub default_deferrable: bool,
    /// row_security.
    pub row_security: bool,
    /// plan_cache_mode.
    pub plan_cache_mode: PlanCacheMode,
    /// Changes whenever a setting that plans depend on does.
    pub plan_key: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Settings {
    /// By lower-cased name; names with a dot are the client's own.
    values: BTreeMap<String, Entry>,
    undo: Vec<(String, Entry)>,
    derived: Derived,
    changed_reports: Vec<&'static Definition>,
    /// The derived values are older than `values`.
    stale: bool,
    /// What clients are still to be told about values that were cut short.
    notices: Vec<SqlError>,
    /// Settings of superusers that this user was granted.
    granted: Vec<String>,
}

fn unrecognized(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}

impl Default for Settings {
    fn default() -> Self {
        static DEFAULTS: OnceLock<Derived> = OnceLock::new();
        let values = BTreeMap::new();
        let derived = DEFAULTS.get_or_init(|| derive(&values)).clone();
        Self {
            values,
            undo: Vec::new(),
            derived,
            changed_reports: Vec::new(),
            stale: false,
            notices: Vec::new(),
            granted: Vec::new(),
        }
    }
}

impl Settings {
    /// The ready values; [`Settings::refresh`] brings them up to date.
    pub fn derived(&self) -> &Derived {
        &self.derived
    }
    /// Recomputes the derived values if a setting changed. True: it did.
    pub fn refresh(&mut self) {
        if !self.stale {
            return;
        }
        let now = self.derived.format.now;
        self.derived = derive(&self.values);
        self.derived.format.now = now;
        self.stale = false;
    }

    /// Has something changed that ready values depend on?
    #[inline]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// A setting's value as SHOW prints it, with its proper name.
    pub fn show(&self, name: &str) -> Result<(String, String)> {
        match find(name) {
            Some(d) => Ok((d.name.to_owned(), parse::show(d, self.canonical(d)))),
            None => {
                let value = self.values.get(&name.to_ascii_lowercase()).and_then(Entry::current);
                value.map(|v| (name.to_owned(), v.to_owned())).ok_or_else(|| unrecognized(name))
            }
        }
    }

    fn canonical<'a>(&'a self, d: &Definition) -> &'a str {
        canonical_in(&self.values, d)
    }

    /// Changes a setting. Several values make a list.
    pub fn set(
        &mut self,
        name: &str,
        values: &[impl AsRef<str>],
        scope: Scope,
        superuser: bool,
    ) -> Result<()> {
        let Some(d) = find(name) else {
            return self.set_custom(name, values, scope);
        };
        self.check_context(d, scope, superuser)?;
        let value = parse::canonical(d, values)?;
        self.store(d.name.to_ascii_lowercase(), Some(value), scope);
        if let (Kind::Ascii, Some(given)) = (d.kind, values.first()) {
            self.note_length(given.as_ref());
        }
        Ok(())
    }

    /// Says that a value was cut short, if it was.
    fn note_length(&mut self, given: &str) {
        let kept = parse::name_part(given);
        if kept.len() < given.len() {
            let text = format!("identifier \"{given}\" will be truncated to \"{kept}\"");
            self.notices.push(SqlError::new(SqlState::NAME_TOO_LONG, text));
            self.stale = true;
        }
    }

    /// What clients are to be told, once.
    pub fn take_notices(&mut self) -> Vec<SqlError> {
        core::mem::take(&mut self.notices)
    }

    /// As [`Settings::set`], with a list given as one text (`set_config`, startup options).
    pub fn set_text(&mut self, name: &str, value: &str, scope: Scope, superuser: bool) -> Result<()> {
        if let Some(d) = find(name).filter(|d| d.kind == Kind::List) {
            let Some(list) = parse::split_identifiers(value) else {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("invalid value for parameter \"{}\": \"{value}\"", d.name),
                )
                .detail("List syntax is invalid."));
            };
            return self.set(name, &list, scope, superuser);
        }
        self.set(name, &[value], scope, superuser)
    }

    /// Gives a server-computed setting its value; clients cannot.
    pub fn set_internal(&mut self, name: &'static str, value: &str) {
        self.store(name.to_ascii_lowercase(), Some(value.to_owned()), Scope::Start);
    }

    /// Gives a setting that statements of its own change (`role`) a checked value; `None`: the reset value.
    pub fn assign(&mut self, name: &'static str, value: Option<&str>, scope: Scope) {
        self.store(name.to_owned(), value.map(ToOwned::to_owned), scope);
    }

    /// Which settings of superusers the user may change, in lower case.
    pub fn grant(&mut self, granted: Vec<String>) {
        self.granted = granted;
    }
    /// As this one, but with no values.
    pub fn scratch(&self) -> Self {
        Self { granted: self.granted.clone(), ..Self::default() }
    }
    fn check_context(&self, d: &Definition, scope: Scope, superuser: bool) -> Result<()> {
        let granted = || self.granted.iter().any(|g| g.eq_ignore_ascii_case(d.name));
        check_context(d, scope, superuser || d.context == Context::Superuser && granted())
    }
    /// Is there such a setting, or may a client make one?
    pub fn check_name(name: &str) -> Result<()> {
        if find(name).is_some() {
            return Ok(());
        }
        check_custom(name)
            .map_err(|_| SqlError::new(SqlState::INVALID_NAME, format!("invalid parameter name \"{name}\"")))
    }

    fn set_custom(&mut self, name: &str, values: &[impl AsRef<str>], scope: Scope) -> Result<()> {
        check_custom(name)?;
        let [value] = values else {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("SET {name} takes only one argument"),
            ));
        };
        self.store(name.to_ascii_lowercase(), Some(value.as_ref().to_owned()), scope);
        Ok(())
    }

    /// RESET, SET TO DEFAULT.
    pub fn reset(&mut self, name: &str, scope: Scope, superuser: bool) -> Result<()> {
        match find(name) {
            Some(d) => {
                self.check_context(d, scope, superuser)?;
                self.store(d.name.to_ascii_lowercase(), None, scope);
                Ok(())
            }
            None => {
                let key = name.to_ascii_lowercase();
                if !self.values.contains_key(&key) {
                    return Err(unrecognized(name));
                }
                self.store(key, None, scope);
                Ok(())
            }
        }
    }

    /// RESET ALL.
    pub fn reset_all(&mut self) {
        let names: Vec<String> = self
            .values
            .iter()
            .filter(|(n, e)| {
                // As PostgreSQL has it, who the user is stays.
                let who = matches!(n.as_str(), "role" | "session_authorization");
                !who && (e.session.is_some() || e.local.is_some())
            })
            .map(|(n, _)| n.clone())
            .collect();
        for name in names {
            self.store(name, None, Scope::Session);
        }
    }

    fn store(&mut self, key: String, value: Option<String>, scope: Scope) {
        let entry = self.values.entry(key.clone()).or_default();
        let before = entry.clone();
        match scope {
            Scope::Start => entry.start = value,
            Scope::Session => {
                entry.session = value;
                entry.local = None;
            }
            // SET LOCAL x TO DEFAULT: the reset value, for this transaction.
            Scope::Transaction => {
                let reset = || {
                    let d = find(&key).map_or("", |d| d.default);
                    entry.start.clone().unwrap_or_else(|| d.to_owned())
                };
                entry.local = Some(value.unwrap_or_else(reset));
            }
        }
        if *entry == before {
            return;
        }
        if scope != Scope::Start {
            self.undo.push((key.clone(), before));
        }
        self.noticed(&key);
    }

    fn noticed(&mut self, key: &str) {
        self.stale = true;
        if let Some(d) = find(key).filter(|d| d.report)
            && !self.changed_reports.iter().any(|x| x.name == d.name)
        {
            self.changed_reports.push(d);
        }
    }

    /// A point to undo to, for a savepoint.
    pub fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Undoes what was set since the mark.
    pub fn undo_to(&mut self, mark: usize) {
        while self.undo.len() > mark {
            let Some((key, before)) = self.undo.pop() else { break };
            self.noticed(&key);
            if before.is_empty() {
                self.values.remove(&key);
            } else {
                self.values.insert(key, before);
            }
        }
    }

    /// The transaction ended well: its local values go, the others stay.
    #[inline]
    pub fn commit(&mut self) {
        if !self.undo.is_empty() {
            self.keep_changes();
        }
    }

    #[cold]
    fn keep_changes(&mut self) {
        for (key, _) in core::mem::take(&mut self.undo) {
            let Some(entry) = self.values.get_mut(&key) else { continue };
            if entry.local.take().is_some() {
                self.noticed(&key);
            }
            if self.values.get(&key).is_some_and(Entry::is_empty) {
                self.values.remove(&key);
            }
        }
    }

    /// The transaction aborted.
    pub fn abort(&mut self) {
        self.undo_to(0);
    }

    /// Changed settings that clients want to be told of: name and value. Forgets them.
    pub fn take_reports(&mut self) -> Vec<(&'static str, String)> {
        let changed = core::mem::take(&mut self.changed_reports);
        changed.into_iter().map(|d| (d.name, parse::show(d, self.canonical(d)))).collect()
    }
    /// Is there anything for [`Settings::take_reports`]?
    pub fn has_reports(&self) -> bool {
        !self.changed_reports.is_empty()
    }

    /// Every reported setting, for the start of a session.
    pub fn all_reports(&mut self) -> Vec<(&'static str, String)> {
        self.changed_reports.clear();
        TABLE.iter().filter(|d| d.report).map(|d| (d.name, parse::show(d, self.canonical(d)))).collect()
    }

    /// Rows of `pg_settings`, and of SHOW ALL.
    pub fn rows(&self) -> Vec<SettingRow> {
        let mut rows: Vec<SettingRow> = TABLE.iter().map(|d| self.row(d)).collect();
        rows.sort_by_key(|r| r.name.to_ascii_lowercase());
        rows
    }

    fn row(&self, d: &Definition) -> SettingRow {
        let entry = self.values.get(&d.name.to_ascii_lowercase());
        let source = match entry {
            Some(e) if e.local.is_some() || e.session.is_some() => "session",
            Some(e) if e.start.is_some() => "client",
            _ => "default",
        };
        let (min_val, max_val) = match d.kind {
            Kind::Int(min, max, _) => (Some(min.to_string()), Some(max.to_string())),
            Kind::Real(min, max) => {
                let show = |v: f64| if v == f64::MAX { "1.79769e+308".to_owned() } else { v.to_string() };
                (Some(show(min)), Some(show(max)))
            }
            _ => (None, None),
        };
        SettingRow {
            name: d.name.to_owned(),
            setting: self.canonical(d).to_owned(),
            unit: match d.kind {
                Kind::Int(_, _, unit) => unit.as_str().map(ToOwned::to_owned),
                _ => None,
            },
            category: d.category.to_owned(),
            short_desc: d.description.to_owned(),
            context: d.context.as_str().to_owned(),
            vartype: d.kind.as_str().to_owned(),
            source: source.to_owned(),
            min_val,
            max_val,
            enum_vals: match d.kind {
                Kind::Enum(words) => Some(words.iter().map(|w| (*w).to_owned()).collect()),
                _ => None,
            },
            boot_val: Some(d.default.to_owned()),
            reset_val: Some(entry.and_then(|e| e.start.clone()).unwrap_or_else(|| d.default.to_owned())),
        }
    }

    /// Name, value as shown and description of every setting (SHOW ALL).
    pub fn show_all(&self) -> Vec<[String; 3]> {
        let mut all: Vec<[String; 3]> = TABLE
            .iter()
            .map(|d| [d.name.to_owned(), parse::show(d, self.canonical(d)), d.description.to_owned()])
            .collect();
        all.sort_by_key(|r| r[0].to_ascii_lowercase());
        all
    }
}

/// May a client make a setting of this name?
fn check_custom(name: &str) -> Result<()> {
    let valid = |part: &str| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b >= 0x80)
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || b >= 0x80)
    };
    if !name.contains('.') {
        return Err(unrecognized(name));
    }
    if name.starts_with("pgaudit.") {
        return Err(SqlError::new(
            SqlState::INVALID_NAME,
            format!("invalid configuration parameter name \"{name}\""),
        )
        .detail("\"pgaudit\" is a reserved prefix."));
    }
    if !name.split('.').all(valid) {
        return Err(SqlError::new(
            SqlState::INVALID_NAME,
            format!("invalid configuration parameter name \"{name}\""),
        )
        .detail("Custom parameter names must be two or more simple identifiers separated by dots."));
    }
    Ok(())
}

fn canonical_in<'a>(values: &'a BTreeMap<String, Entry>, d: &Definition) -> &'a str {
    if values.is_empty() {
        return d.default;
    }
    let key = d.name.to_ascii_lowercase();
    values.get(&key).and_then(Entry::current).unwrap_or(d.default)
}

fn check_context(d: &Definition, scope: Scope, superuser: bool) -> Result<()> {
    let message = match d.context {
        Context::User => return Ok(()),
        Context::Superuser if superuser => return Ok(()),
        Context::Superuser => {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to set parameter \"{}\"", d.name),
            ));
        }
        Context::Postmaster if scope == Scope::Start => return Ok(()),
        Context::Postmaster => {
            format!("parameter \"{}\" cannot be changed without restarting the server", d.name)
        }
        Context::Internal => format!("parameter \"{}\" cannot be changed", d.name),
    };
    Err(SqlError::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, message))
}

fn derive(values: &BTreeMap<String, Entry>) -> Derived {
    let text = |name: &str| find(name).map_or("", |d| canonical_in(values, d));
    let number = |name: &str| text(name).parse::<u64>().unwrap_or(0);
    let real = |name: &str| text(name).parse::<f64>().unwrap_or(0.0);
    let on = |name: &str| text(name) == "on";
    let encoding = Encoding::by_name(text("client_encoding")).filter(|e| !e.is_plain());
    let escapes = !on("standard_conforming_strings");
    let mut format = FormatSettings::default();
    if let Ok((style, order)) = parse::date_style("DateStyle", text("DateStyle")) {
        (format.date_style, format.date_order) = (style, order);
    }
    format.interval_style = match text("IntervalStyle") {
        "postgres_verbose" => IntervalStyle::PostgresVerbose,
        "sql_standard" => IntervalStyle::SqlStandard,
        "iso_8601" => IntervalStyle::Iso8601,
        _ => IntervalStyle::Postgres,
    };
    format.extra_float_digits = text("extra_float_digits").parse().unwrap_or(1);
    format.bytea_output =
        if text("bytea_output") == "escape" { ByteaOutput::Escape } else { ByteaOutput::Hex };
    if let Some((_, zone)) = parse::time_zone(text("TimeZone")) {
        format.time_zone = zone;
    }
    #[allow(clippy::cast_precision_loss, reason = "costs are estimates")]
    let planner = PlannerSettings {
        seq_page_cost: real("seq_page_cost"),
        random_page_cost: real("random_page_cost"),
        cpu_tuple_cost: real("cpu_tuple_cost"),
        cpu_index_tuple_cost: real("cpu_index_tuple_cost"),
        cpu_operator_cost: real("cpu_operator_cost"),
        effective_cache_size: number("effective_cache_size") as f64,
        work_mem: number("work_mem") as f64 * 1024.0,
        hash_mem_multiplier: real("hash_mem_multiplier"),
        enable_seqscan: on("enable_seqscan"),
        enable_indexscan: on("enable_indexscan"),
        enable_indexonlyscan: on("enable_indexonlyscan"),
        enable_bitmapscan: on("enable_bitmapscan"),
        enable_nestloop: on("enable_nestloop"),
        enable_hashjoin: on("enable_hashjoin"),
        enable_mergejoin: on("enable_mergejoin"),
        enable_sort: on("enable_sort"),
        enable_incremental_sort: on("enable_incremental_sort"),
        enable_hashagg: on("enable_hashagg"),
    };
    Derived {
        statement_timeout: number("statement_timeout"),
        lock_timeout: number("lock_timeout"),
        idle_in_transaction_timeout: number("idle_in_transaction_session_timeout"),
        idle_timeout: number("idle_session_timeout"),
        async_commit: text("synchronous_commit") == "off",
        min_messages: match text("client_min_messages") {
            "log" => Severity::Log,
            "notice" => Severity::Notice,
            "warning" => Severity::Warning,
            "error" => Severity::Error,
            _ => Severity::Debug,
        },
        search_path: parse::split_identifiers(text("search_path")).unwrap_or_default(),
        audit: audit::Settings {
            classes: audit::Classes::parse(text("pgaudit.log")).unwrap_or_default(),
            parameters: on("pgaudit.log_parameter"),
            catalogs: on("pgaudit.log_catalog"),
            connections: on("log_connections"),
            disconnections: on("log_disconnections"),
        },
        encoding,
        escapes,
        escape_warning: on("escape_string_warning"),
        foreign: encoding.is_some() || escapes,
        default_isolation: text("default_transaction_isolation").to_owned(),
        default_read_only: on("default_transaction_read_only"),
        default_deferrable: on("default_transaction_deferrable"),
        row_security: on("row_security"),
        plan_cache_mode: match text("plan_cache_mode") {
            "force_custom_plan" => PlanCacheMode::Custom,
            "force_generic_plan" => PlanCacheMode::Generic,
            _ => PlanCacheMode::Auto,
        },
        plan_key: plan_key(values),
        format,
        planner,
    }
}

/// Folds every setting that binding or planning may depend on into one number.
fn plan_key(values: &BTreeMap<String, Entry>) -> u64 {
    const IRRELEVANT: &[&str] = &[
        "application_name",
        "client_min_messages",
        "extra_float_digits",
        "bytea_output",
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "synchronous_commit",
        "transaction_isolation",
        "transaction_read_only",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "default_transaction_deferrable",
        "is_superuser",
        "session_authorization",
        "role",
        "max_connections",
    ];
    let mut key = 0xcbf2_9ce4_8422_2325u64;
    let mut add = |text: &str| {
        for b in text.bytes().chain([0xff]) {
            key = (key ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, entry) in values {
        if !name.contains('.')
            && !IRRELEVANT.contains(&name.as_str())
            && let (Some(value), Some(d)) = (entry.current(), find(name))
            && value != d.default
        {
            add(name);
            add(value);
        }
    }
    key
}

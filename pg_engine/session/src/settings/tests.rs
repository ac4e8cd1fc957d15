//! Values and messages were taken from PostgreSQL 15.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn shown(s: &Settings, name: &str) -> String {
    s.show(name).unwrap().1
}

fn set(s: &mut Settings, name: &str, value: &str) -> Result<()> {
    s.set(name, &[value], Scope::Session, false)
}

#[test]
fn values_are_shown_as_postgresql_shows_them() {
    let mut s = Settings::default();
    for (name, value, show) in [
        ("statement_timeout", "5000", "5s"),
        ("statement_timeout", "1min", "1min"),
        ("statement_timeout", "90s", "90s"),
        ("work_mem", "64kB", "64kB"),
        ("work_mem", "1GB", "1GB"),
        ("effective_cache_size", "4GB", "4GB"),
        ("timezone", "3", "<+03>-03"),
        ("timezone", "-3.5", "<-03:30>+03:30"),
        ("timezone", "europe/berlin", "Europe/Berlin"),
        ("timezone", "gmt-3", "GMT-3"),
        ("datestyle", "german", "German, DMY"),
        ("datestyle", "sql, dmy", "SQL, DMY"),
        ("client_encoding", "utf-8", "UTF8"),
        ("application_name", "é", "??"),
        ("application_name", &"é".repeat(40), &"?".repeat(62)),
        ("intervalstyle", "ISO_8601", "iso_8601"),
        ("search_path", "a, b", "\"a, b\""),
        ("enable_seqscan", "of", "off"),
        ("synchronous_commit", "true", "on"),
        ("a.b", "3", "3"),
    ] {
        set(&mut s, name, value).unwrap();
        assert_eq!(shown(&s, name), show, "{name} = {value}");
    }
    let told: Vec<_> = s.take_notices().iter().map(|n| n.message().len()).collect();
    assert_eq!(told, [2 * 31 + 80 + 37], "one name was cut short");
    s.set("search_path", &["a", "B c", "public"], Scope::Session, false).unwrap();
    assert_eq!(shown(&s, "search_path"), "a, \"B c\", public");
    assert!(s.is_stale());
    s.refresh();
    assert_eq!(s.derived().search_path, ["a", "B c", "public"]);
}

#[test]
fn wrong_values_are_refused_in_postgresqls_words() {
    let mut s = Settings::default();
    for (name, value, state, message, extra) in [
        (
            "statement_timeout",
            "-1",
            "22023",
            "-1 ms is outside the valid range for parameter \"statement_timeout\" (0 .. 2147483647)",
            "",
        ),
        (
            "statement_timeout",
            "abc",
            "22023",
            "invalid value for parameter \"statement_timeout\": \"abc\"",
            "",
        ),
        (
            "statement_timeout",
            "5 parsec",
            "22023",
            "invalid value for parameter \"statement_timeout\": \"5 parsec\"",
            "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".",
        ),
        (
            "work_mem",
            "1kB",
            "22023",
            "1 kB is outside the valid range for parameter \"work_mem\" (64 .. 2147483647)",
            "",
        ),
        ("timezone", "xx/yy", "22023", "invalid value for parameter \"TimeZone\": \"xx/yy\"", ""),
        (
            "datestyle",
            "foo",
            "22023",
            "invalid value for parameter \"DateStyle\": \"foo\"",
            "Unrecognized key word: \"foo\".",
        ),
        (
            "datestyle",
            "german, dmy, ymd",
            "22023",
            "invalid value for parameter \"DateStyle\": \"german, dmy, ymd\"",
            "Conflicting \"datestyle\" specifications.",
        ),
        ("client_encoding", "zz", "22023", "invalid value for parameter \"client_encoding\": \"zz\"", ""),
        (
            "extra_float_digits",
            "7",
            "22023",
            "7 is outside the valid range for parameter \"extra_float_digits\" (-15 .. 3)",
            "",
        ),
        (
            "bytea_output",
            "foo",
            "22023",
            "invalid value for parameter \"bytea_output\": \"foo\"",
            "Available values: escape, hex.",
        ),
        ("server_version", "1", "55P02", "parameter \"server_version\" cannot be changed", ""),
        (
            "max_connections",
            "3",
            "55P02",
            "parameter \"max_connections\" cannot be changed without restarting the server",
            "",
        ),
        ("enable_seqscan", "maybe", "22023", "parameter \"enable_seqscan\" requires a Boolean value", ""),
        (
            "seq_page_cost",
            "-1",
            "22023",
            "-1 is outside the valid range for parameter \"seq_page_cost\" (0 .. 1.79769e+308)",
            "",
        ),
        ("foo", "1", "42704", "unrecognized configuration parameter \"foo\"", ""),
        (
            "array_nulls",
            "off",
            "0A000",
            "value \"off\" of parameter \"array_nulls\" is not supported",
            "The only supported value is \"on\".",
        ),
    ] {
        let e = set(&mut s, name, value).unwrap_err();
        assert_eq!((e.state().as_str(), e.message()), (state, message));
        let f = e.fields();
        assert_eq!(f.detail.as_deref().or(f.hint.as_deref()).unwrap_or(""), extra, "{message}");
    }
    let e = s.set("application_name", &["a", "b"], Scope::Session, false).unwrap_err();
    assert_eq!(e.message(), "SET application_name takes only one argument");
    assert_eq!(s.show("a.c").unwrap_err().message(), "unrecognized configuration parameter \"a.c\"");
}

#[test]
fn scopes_follow_the_transaction() {
    let mut s = Settings::default();
    s.set_text("work_mem", "128kB", Scope::Start, false).unwrap();
    set(&mut s, "work_mem", "256kB").unwrap();
    s.commit();
    s.set("work_mem", &["512kB"], Scope::Transaction, false).unwrap();
    assert_eq!(shown(&s, "work_mem"), "512kB");
    s.commit();
    assert_eq!(shown(&s, "work_mem"), "256kB");
    set(&mut s, "work_mem", "1MB").unwrap();
    let mark = s.mark();
    set(&mut s, "work_mem", "2MB").unwrap();
    s.undo_to(mark);
    assert_eq!(shown(&s, "work_mem"), "1MB");
    s.abort();
    assert_eq!(shown(&s, "work_mem"), "256kB");
    s.reset("work_mem", Scope::Session, false).unwrap();
    assert_eq!(shown(&s, "work_mem"), "128kB");
}

#[test]
fn changes_are_reported_once() {
    let mut s = Settings::default();
    assert_eq!(s.all_reports().len(), 13);
    set(&mut s, "TimeZone", "America/New_York").unwrap();
    set(&mut s, "timezone", "Asia/Tokyo").unwrap();
    set(&mut s, "work_mem", "1MB").unwrap();
    assert_eq!(s.take_reports(), [("TimeZone", "Asia/Tokyo".to_owned())]);
    assert!(!s.has_reports());
    s.abort();
    assert_eq!(s.take_reports(), [("TimeZone", "UTC".to_owned())]);
}

#[test]
fn plans_depend_on_some_settings_only() {
    let mut s = Settings::default();
    let key = s.derived().plan_key;
    set(&mut s, "application_name", "x").unwrap();
    s.refresh();
    assert_eq!(s.derived().plan_key, key);
    set(&mut s, "search_path", "x").unwrap();
    s.refresh();
    assert_ne!(s.derived().plan_key, key);
}

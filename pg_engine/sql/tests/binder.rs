//! The binder against PostgreSQL's errors, psql's own queries, and arbitrary text.

mod common;

use proptest::prelude::*;

/// `errors.txt`: statement, SQLSTATE, position, message and hint as PostgreSQL 15 reports them.
#[test]
fn errors_are_postgresqls() {
    let mut wrong = Vec::new();
    for line in include_str!("errors.txt").lines() {
        let parts: Vec<&str> = line.split('\t').collect();
        let [text, state, position, message, hint] = parts.as_slice() else { panic!("bad line {line}") };
        let got = match common::bind(text) {
            Ok(_) => "no error".to_string(),
            Err(e) => {
                let hint = e.fields().hint.clone().unwrap_or_default();
                format!("{}\t{}\t{}\t{hint}", e.state().as_str(), e.fields().position, e.message())
            }
        };
        let expected = format!("{state}\t{position}\t{message}\t{hint}");
        if got != expected {
            wrong.push(format!("{text}\n  want {expected}\n  got  {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn psqls_queries_bind() {
    let mut wrong = Vec::new();
    for text in include_str!("psql.sql").split("\n----\n") {
        if let Err(e) = common::bind(text) {
            wrong.push(format!("{text}\n  {e:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} fail:\n{}", wrong.len(), wrong.join("\n"));
}

/// Nesting ends in an error, not in the stack's end: worker stacks hold 8 MiB.
#[test]
fn nesting_is_limited() {
    let texts: Vec<String> = [10, 30, 60, 100, 150, 400, 1000, 1900, 4900, 20_000]
        .iter()
        .flat_map(|&n| {
            [
                format!("select {}1{}", "(".repeat(n), ")".repeat(n)),
                format!("select {}1", "-".repeat(n).replace('-', "- ")),
                format!("select {}true", "not ".repeat(n)),
                format!("select 1{}", "+1".repeat(n)),
                format!("select true{}", " and true".repeat(n)),
                format!("select {}1{}", "(select ".repeat(n), ")".repeat(n)),
                format!("select {}1{}", "abs(".repeat(n), ")".repeat(n)),
                format!("select {}1{}", "case when true then ".repeat(n), " end".repeat(n)),
                format!("select 1{}", " union all select 1".repeat(n)),
                format!("{}select 1{}", "select * from (".repeat(n), ") x".repeat(n)),
            ]
        })
        .collect();
    let run = move || {
        for text in &texts {
            if let Err(e) = common::bind(text) {
                let head: String = text.chars().take(40).collect();
                let known = matches!(e.state().as_str(), "54001" | "42601");
                assert!(known, "{head}: {e:?}");
            }
        }
    };
    std::thread::Builder::new().stack_size(8 << 20).spawn(run).unwrap().join().unwrap();
}

/// Programs put many conditions into a statement, also such as lie in each other.
#[test]
fn long_conditions_bind() {
    let text = |word: &str, n: usize| {
        let terms: Vec<String> = (0..n).map(|i| format!("(a = {i} and name <> '{i}' || 'x')")).collect();
        terms.join(word)
    };
    let run = move || {
        for word in [" or ", " and "] {
            let long = text(word, 4700);
            common::bind(&format!("select * from t where {long}")).unwrap();
            common::bind(&format!("select case when not ({long}) then 1 end, array[{long}], row({long})"))
                .unwrap_err();
            common::bind(&format!("select case when not ({long}) then 1 end from t where (select {long})"))
                .unwrap();
            let inside = format!(
                "select * from t where ((({}) or {}) or {})",
                text(word, 2000),
                text(word, 2000),
                text(word, 2000)
            );
            for text in [format!("select * from t where {}", text(word, 5002)), inside] {
                let e = common::bind(&text).unwrap_err();
                assert_eq!(e.state().as_str(), "54001");
            }
        }
    };
    std::thread::Builder::new().stack_size(8 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn parameters_are_inferred() {
    let types = |text: &str| match common::bind(text).unwrap() {
        pg_plan::statement::Statement::Query(q) => q.params.iter().map(|t| t.oid).collect::<Vec<_>>(),
        _ => panic!("not a query"),
    };
    assert_eq!(types("select * from t where a = $1 and name like $2"), [23, 25]);
    assert_eq!(types("insert into t (a, b, name) values ($1, $2, $3)"), [23, 20, 25]);
    assert_eq!(types("update t set b = b + $1 where a = any($2)"), [20, 1007]);
    assert_eq!(types("select 1 limit $1"), [20]);
}

proptest! {
    #[test]
    fn arbitrary_text_does_not_panic(text in "\\PC{0,60}") {
        if let Ok(parsed) = pg_sql::parse(&text) {
            prop_assert!(parsed.iter().all(|s| text.contains(s.text())));
        }
    }

    #[test]
    fn arbitrary_words_do_not_panic(words in prop::collection::vec(prop::sample::select(vec![
        "select", "from", "where", "t", "u", "a", "b", "(", ")", ",", "*", "=", "1", "'x'", "group", "by", "order",
        "join", "on", "using", "left", "insert", "into", "values", "update", "set", "delete", "with", "as", "not",
        "in", "between", "and", "case", "when", "end", "limit", "::", "int", "count", "array", "[", "]", "create",
        "table", "index", "null", "default", "returning", "union", "all", "exists", ".", "$1", "-", "||", ";",
    ]), 0..25)) {
        let _ = common::bind_any(&words.join(" "));
    }
}

//! Statements end to end.

mod common;

use common::Db;

#[test]
fn select_without_tables() {
    let mut db = Db::new();
    assert_eq!(db.query("SELECT 1 + 1, 'a' || 'b', NULL"), ["2|ab|"]);
    assert_eq!(db.query("VALUES (1, 'x'), (2, NULL)"), ["1|x", "2|"]);
    assert_eq!(db.query("SELECT CASE WHEN false THEN 1/0 ELSE 7 END"), ["7"]);
    assert_eq!(db.error("SELECT 1/0"), "22012: division by zero");
}

#[test]
fn a_table_lives() {
    let mut db = Db::new();
    assert_eq!(db.run("CREATE TABLE t (a int PRIMARY KEY, b text)").tag, "CREATE TABLE");
    assert_eq!(db.run("INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, NULL)").tag, "INSERT 0 3");
    assert_eq!(db.query("SELECT * FROM t ORDER BY a"), ["1|one", "2|two", "3|"]);
    assert_eq!(db.query("SELECT b FROM t WHERE a = 2"), ["two"]);
    assert_eq!(db.run("UPDATE t SET b = 'zwei' WHERE a = 2").tag, "UPDATE 1");
    assert_eq!(db.query("SELECT b FROM t WHERE a = 2"), ["zwei"]);
    assert_eq!(db.run("DELETE FROM t WHERE a > 2").tag, "DELETE 1");
    assert_eq!(db.query("SELECT count(*) FROM t"), ["2"]);
    assert_eq!(
        db.error("INSERT INTO t VALUES (1, 'again')"),
        "23505: duplicate key value violates unique constraint \"t_pkey\""
    );
    let e = db.try_run("INSERT INTO t VALUES (1, 'again')").unwrap_err();
    assert_eq!(e.fields().detail.as_deref(), Some("Key (a)=(1) already exists."));
    let e = db.try_run("INSERT INTO t (b) VALUES ('x')").unwrap_err();
    assert_eq!(e.message(), "null value in column \"a\" of relation \"t\" violates not-null constraint");
    assert_eq!(e.fields().detail.as_deref(), Some("Failing row contains (null, x)."));
}

#[test]
fn memory_in_use_is_a_plausible_number() {
    let mut db = Db::new();
    let rows = db.query("SELECT intralith_memory_used() BETWEEN 0 AND 1::bigint << 46");
    assert_eq!(rows, ["t"]);
    assert_eq!(
        db.query("SELECT prorettype::regtype FROM pg_proc WHERE proname = 'intralith_memory_used'"),
        ["bigint"]
    );
}

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

/// What psql's \\d asks about a table that foreign keys connect to others.
#[test]
fn psql_describes_foreign_keys() {
    let mut db = Db::new();
    db.run("CREATE TABLE p (id int PRIMARY KEY)");
    db.run("CREATE TABLE c (p_id int REFERENCES p ON DELETE CASCADE)");
    let triggers =
        db.query("SELECT relname, relhastriggers FROM pg_class WHERE relname IN ('p', 'c') ORDER BY 1");
    assert_eq!(triggers, ["c|t", "p|t"]);
    let referenced = "SELECT conrelid::pg_catalog.regclass, conname, pg_catalog.pg_get_constraintdef(oid, true) \
                      FROM pg_catalog.pg_constraint WHERE confrelid IN (SELECT pg_catalog.pg_partition_ancestors('p') \
                      UNION ALL VALUES ('p'::pg_catalog.regclass)) AND contype = 'f' AND conparentid = 0 ORDER BY conname";
    assert_eq!(db.query(referenced), ["c|c_p_id_fkey|FOREIGN KEY (p_id) REFERENCES p(id) ON DELETE CASCADE"]);
    let ancestors = "SELECT t.tgname, CASE WHEN t.tgparentid != 0 THEN (SELECT u.tgrelid::pg_catalog.regclass \
                     FROM pg_catalog.pg_trigger u, pg_catalog.pg_partition_ancestors(t.tgrelid) WITH ORDINALITY \
                     AS a(relid, depth) WHERE u.tgname = t.tgname AND u.tgrelid = a.relid AND u.tgparentid = 0 \
                     ORDER BY a.depth LIMIT 1) END FROM pg_catalog.pg_trigger t";
    assert!(db.query(ancestors).is_empty());
}

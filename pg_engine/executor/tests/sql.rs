//! Statements end to end.

mod common;

use common::Db;

#[test]
fn tables_that_refer_to_each_other_go_together() {
    let mut db = Db::new();
    db.run("CREATE TABLE p (id int PRIMARY KEY)");
    db.run("CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p)");
    db.run("ALTER TABLE p ADD FOREIGN KEY (id) REFERENCES c");
    assert!(db.error("DROP TABLE p").starts_with("2BP01"));
    db.run("DROP TABLE p, c");
}

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

/// Rows that an index tells everything about, before and after the pages are known to be visible, and beside changes.
#[test]
fn index_only_scans_give_what_the_table_gives() {
    let mut db = Db::new();
    db.run("CREATE TABLE t (id int PRIMARY KEY, a text, b bigint, c boolean, d date, u uuid, n numeric)");
    db.run("CREATE INDEX t_ab ON t (a DESC, b)");
    db.run("CREATE INDEX t_cd ON t (c, d DESC NULLS LAST, b)");
    db.run("CREATE INDEX t_nu ON t (n, u)");
    db.run(
        "INSERT INTO t SELECT i, CASE WHEN i % 7 > 0 THEN 'réw ' || i % 50 END, -i * 3000000000, i % 3 = 0, \
         CASE WHEN i % 5 > 0 THEN date '2000-01-01' - i END, NULL, i / 4.0 FROM generate_series(1, 3000) i",
    );
    let queries = [
        "SELECT count(*) FROM t",
        "SELECT id FROM t WHERE id BETWEEN 100 AND 110",
        "SELECT id FROM t WHERE id = 77",
        "SELECT a, b FROM t WHERE a = 'réw 5' ORDER BY b",
        "SELECT a, count(*), min(b) FROM t WHERE a >= 'réw 4' GROUP BY a ORDER BY a",
        "SELECT count(*), count(a) FROM t WHERE a IS NULL",
        "SELECT c, d, b FROM t WHERE c AND d < date '1995-01-01' ORDER BY b",
        "SELECT id FROM t WHERE id IN (1, 5, 2999, 4000) ORDER BY id DESC",
    ];
    let plain: Vec<Vec<String>> = queries.iter().map(|q| db.query(q)).collect();
    db.run("VACUUM t");
    let after: Vec<Vec<String>> = queries.iter().map(|q| db.query(q)).collect();
    assert_eq!(plain, after);
    let plan = db.query("EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id BETWEEN 100 AND 110");
    assert!(plan[0].contains("Index Only Scan using t_pkey"), "{plan:?}");
    let plan = db.query("EXPLAIN (COSTS OFF) SELECT n FROM t WHERE n = 5");
    assert!(plan[0].contains("Index Scan using t_nu"), "a numeric's scale is not in its key: {plan:?}");
    db.run("DELETE FROM t WHERE id BETWEEN 103 AND 105");
    db.run("UPDATE t SET a = 'x', b = 1 WHERE id = 5");
    assert_eq!(db.query("SELECT id FROM t WHERE id BETWEEN 102 AND 107"), ["102", "106", "107"]);
    assert_eq!(db.query("SELECT a, b FROM t WHERE a = 'x'"), ["x|1"]);
    assert_eq!(db.query("SELECT count(*) FROM t"), ["2997"]);
    let seen = db.query(
        "SELECT n_tup_ins, n_tup_upd, n_tup_del, n_live_tup, vacuum_count, idx_scan > 0 FROM pg_stat_user_tables \
         WHERE relname = 't'",
    );
    assert_eq!(seen, ["3000|1|3|2997|1|t"]);
}

//! Statements end to end.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
fn errors_show_values_that_the_user_may_see_or_gave() {
    let mut db = Db::new();
    db.run("CREATE TABLE t (a int PRIMARY KEY, b int, c int, d int UNIQUE)");
    db.run("INSERT INTO t VALUES (1, 1, 1, 1)");
    db.run("CREATE ROLE seer");
    db.run("GRANT SELECT (a), INSERT ON t TO seer");
    db.run("SET ROLE seer");
    let e = db.try_run("INSERT INTO t (b) VALUES (7)").unwrap_err();
    assert_eq!(e.fields().detail.as_deref(), Some("Failing row contains (a, b) = (null, 7)."));
    let e = db.try_run("INSERT INTO t (a) VALUES (1)").unwrap_err();
    assert_eq!(e.fields().detail.as_deref(), Some("Key (a)=(1) already exists."));
    let e = db.try_run("INSERT INTO t (a, d) VALUES (2, 1)").unwrap_err();
    assert_eq!(e.fields().detail, None);
}

#[test]
fn built_in_functions_ask_for_their_privileges() {
    let mut db = Db::new();
    db.run("CREATE ROLE caller");
    for function in
        ["abs(int)", "int8(int)", "int4pl(int, int)", "sum(int)", "row_number()", "generate_series(int, int)"]
    {
        db.run(&format!("REVOKE EXECUTE ON FUNCTION {function} FROM public"));
    }
    db.run("REVOKE USAGE ON LANGUAGE sql FROM public");
    db.run("GRANT CREATE ON SCHEMA public TO caller");
    assert_eq!(db.query("SELECT abs(-1)"), ["1"]);
    db.run("SET ROLE caller");
    for (query, name) in [
        ("SELECT abs(-1)", "abs"),
        ("SELECT '{1}'::int4[]::int8[]", "int8"),
        ("SELECT a + 1 FROM (VALUES (1)) v (a)", "int4pl"),
        ("SELECT sum(1)", "sum"),
        ("SELECT row_number() OVER ()", "row_number"),
        ("SELECT * FROM generate_series(1, 2)", "generate_series"),
        ("SELECT pg_stat_reset_single_table_counters(1)", "pg_stat_reset_single_table_counters"),
    ] {
        assert_eq!(db.error(query), format!("42501: permission denied for function {name}"));
    }
    assert_eq!(db.query("SELECT abs(-1.5::float8)"), ["1.5"]);
    assert_eq!(
        db.error("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
        "42501: permission denied for language sql"
    );
    db.run("SET ROLE NONE");
    db.run("GRANT EXECUTE ON FUNCTION abs(int) TO caller");
    db.run("SET ROLE caller");
    assert_eq!(db.query("SELECT abs(-1)"), ["1"]);
}

#[test]
fn what_needs_a_role_is_told() {
    let mut db = Db::new();
    for statement in [
        "CREATE ROLE r",
        "CREATE TABLE t (a int, b int)",
        "ALTER TABLE t OWNER TO r",
        "CREATE TABLE u (a int, b int)",
        "GRANT SELECT (b), INSERT ON u TO r",
        "CREATE POLICY p ON u TO r USING (true)",
        "ALTER DEFAULT PRIVILEGES FOR ROLE r GRANT SELECT ON TABLES TO PUBLIC",
    ] {
        db.run(statement);
    }
    let e = db.try_run("DROP ROLE r").unwrap_err();
    assert_eq!(e.message(), "role \"r\" cannot be dropped because some objects depend on it");
    assert_eq!(
        e.fields().detail.as_deref(),
        Some(
            "owner of table t\nprivileges for table u\nprivileges for column b of table u\n\
             target of policy p on table u\nowner of default privileges on new relations belonging to role r"
        )
    );
    db.run("ALTER TABLE t OWNER TO postgres");
    db.run("DROP OWNED BY r");
    assert_eq!(db.query("SELECT count(*) FROM pg_shdepend WHERE refobjid = 'r'::regrole"), ["0"]);
    db.run("DROP ROLE r");
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

/// Large values that a statement does not look at are not read; that is seen from the scans of their index.
#[test]
fn what_no_one_looks_at_is_not_read() {
    let mut db = Db::new();
    db.run("CREATE TABLE t (id int PRIMARY KEY, n int, big text)");
    db.run("ALTER TABLE t ALTER big SET STORAGE EXTERNAL");
    db.run("INSERT INTO t SELECT i, i, repeat('x', 100000) FROM generate_series(1, 3) i");
    let chunks = 100_000_u64.div_ceil(1990);
    let mut last = 0;
    let mut read = |db: &mut Db| {
        let rows = db.query(
            "SELECT idx_tup_fetch FROM pg_stat_all_tables WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE relname = 't')",
        );
        let now: u64 = rows[0].parse().unwrap();
        now - std::mem::replace(&mut last, now)
    };
    read(&mut db);
    db.run("UPDATE t SET n = n + 1");
    db.run("UPDATE t SET n = n + 1 WHERE id = 2");
    db.run("UPDATE t SET id = id + 10 WHERE n > 0 RETURNING id");
    assert_eq!(
        db.query("SELECT id, n, pg_column_size(big) FROM t ORDER BY id"),
        ["11|2|100000", "12|4|100000", "13|4|100000"]
    );
    assert_eq!(db.query("SELECT count(*) FROM t WHERE n = 4"), ["2"]);
    assert_eq!(read(&mut db), 0);
    assert_eq!(db.query("SELECT length(big) FROM t WHERE id = 11"), ["100000"]);
    assert_eq!(read(&mut db), chunks);
    // A value is looked up to be deleted, and not besides.
    db.run("DELETE FROM t WHERE id = 11");
    assert_eq!(read(&mut db), chunks);
    db.run("UPDATE t SET big = NULL WHERE id = 12");
    assert_eq!(read(&mut db), chunks);
    assert!(db.query("SELECT * FROM intralith_verify").is_empty());
}

/// The check of the volume finds chunks that are missing and chunks that belong to no row.
#[test]
fn verify_looks_after_large_values() {
    let mut db = Db::new();
    db.run("CREATE TABLE t (id int PRIMARY KEY, big text)");
    db.run("ALTER TABLE t ALTER big SET STORAGE EXTERNAL");
    db.run("INSERT INTO t SELECT i, repeat('x', 10000) FROM generate_series(1, 2) i");
    assert!(db.query("SELECT * FROM intralith_verify").is_empty());
    let of = |db: &mut Db, sql: &str| db.query(sql)[0].clone();
    let toast = of(&mut db, "SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 't'");
    let file = "SELECT relfilenode FROM pg_class WHERE oid =";
    let heap = of(&mut db, &format!("{file} 't'::regclass"));
    let chunks = of(&mut db, &format!("{file} '{toast}'::regclass"));
    let row = of(&mut db, "SELECT ctid FROM t WHERE id = 1");
    let chunk =
        of(&mut db, &format!("SELECT ctid FROM {toast} WHERE chunk_seq = 3 ORDER BY chunk_id DESC LIMIT 1"));
    let remove = |db: &Db, file: &str, tid: &str| {
        let (block, slot) = tid.trim_matches(['(', ')']).split_once(',').unwrap();
        let tid = pg_storage::Tid { block: block.parse().unwrap(), slot: slot.parse().unwrap() };
        let storage = db.engine.storage();
        let mut txn = storage.begin(pg_storage::Isolation::ReadCommitted);
        storage.heap_delete(&mut txn, pg_storage::RelId(file.parse().unwrap()), tid).unwrap();
        txn.commit().unwrap();
    };
    remove(&db, &heap, &row);
    let found = db.query("SELECT relation, problem FROM intralith_verify").join("; ");
    assert!(found.contains("a chunk of a large value that no row points to"), "{found}");
    assert!(!found.contains("cannot be read"), "{found}");
    remove(&db, &chunks, &chunk);
    let found = db.query("SELECT relation, problem FROM intralith_verify").join("; ");
    assert!(found.contains("chunks of a large value are missing"), "{found}");
}

/// Changes rows until told to stop; a key may be taken by another writer. Gives the number of changes.
fn change_rows(mut db: Db, seed: u64, stop: &AtomicBool, changes: &AtomicU64) {
    let mut random = seed;
    while !stop.load(Ordering::Relaxed) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let id = (random >> 33) % 400;
        let sql = match (random >> 20) % 6 {
            0 => format!("DELETE FROM t WHERE id = {id}"),
            1 | 2 => format!(
                "INSERT INTO t VALUES ({id}, {}, 'v{id}') ON CONFLICT (id) DO UPDATE SET n = t.n + 1",
                id % 50
            ),
            3 => format!("UPDATE t SET v = v || '.' WHERE id = {id} AND length(v) < 20"),
            4 => format!("UPDATE t SET n = n + 1 WHERE n = {}", id % 50),
            _ => format!("SELECT count(*) FROM t WHERE n = {}", id % 50),
        };
        match db.try_run(&sql) {
            Ok(_) => changes.fetch_add(1, Ordering::Relaxed),
            // Two that insert the same key at the same moment, or update in opposite orders.
            Err(e) if ["23505", "40P01"].contains(&e.state().as_str()) => continue,
            Err(e) => panic!("{sql}: {e:?}"),
        };
    }
}

/// Indexes are made, made anew and dropped while others write; afterwards every index has what its table has.
#[test]
fn indexes_come_and_go_while_others_write() {
    let mut db = Db::new();
    db.run("CREATE TABLE t (id int PRIMARY KEY, n int, v text)");
    db.run("INSERT INTO t SELECT i, i % 50, 'v' || i FROM generate_series(0, 399) i");
    db.run("CREATE INDEX t_v ON t USING hash (v)");
    let (stop, changes) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for seed in 1..=3 {
            let engine = db.engine.clone();
            let (stop, changes) = (&stop, &changes);
            scope.spawn(move || change_rows(Db::on(engine), seed, stop, changes));
        }
        let guard = Stop(&stop);
        for round in 0..6 {
            db.run("CREATE INDEX CONCURRENTLY t_n ON t (n, id)");
            db.run("CREATE UNIQUE INDEX CONCURRENTLY t_twice ON t ((id * 2)) WHERE n >= 0");
            db.run("REINDEX TABLE CONCURRENTLY t");
            db.run("REINDEX INDEX CONCURRENTLY t_n");
            if round < 5 {
                db.run("DROP INDEX CONCURRENTLY t_n");
                db.run("DROP INDEX CONCURRENTLY t_twice");
            }
            // The writers come to work between.
            let before = changes.load(Ordering::Relaxed);
            for _ in 0..1000 {
                if changes.load(Ordering::Relaxed) > before + 30 {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
        drop(guard);
    });
    assert!(changes.load(Ordering::Relaxed) > 100);
    let indexes = db.query(
        "SELECT relname, indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = 't'::regclass ORDER BY 1",
    );
    assert_eq!(indexes, ["t_n|t", "t_pkey|t", "t_twice|t", "t_v|t"]);
    assert_eq!(db.query("SELECT * FROM intralith_verify"), [""; 0]);
    // By an index and without one.
    let by = |db: &mut Db, sql: &str| db.query(sql).join(",");
    let some = by(&mut db, "SELECT id FROM t WHERE n = 7 ORDER BY id");
    assert_eq!(some, by(&mut db, "SELECT id FROM t WHERE n + 0 = 7 ORDER BY id"));
    assert_eq!(db.error("INSERT INTO t SELECT min(id), 0, '' FROM t").split(':').next(), Some("23505"));
}

/// Ends the writers, whatever happens.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// FOR UPDATE of a view or a subquery in FROM locks the rows below that it shows, and no others.
#[test]
fn row_locks_reach_the_tables_below() {
    let mut db = Db::new();
    db.run("CREATE TABLE t (a int PRIMARY KEY, b text)");
    db.run("INSERT INTO t SELECT i, 'b' || i FROM generate_series(1, 4) i");
    db.run("CREATE VIEW v AS SELECT a AS x, b AS y FROM t WHERE a < 4");
    db.run("CREATE VIEW w AS SELECT y, x FROM v WHERE x > 1");
    let mut other = db.other();
    let mut left = |sql: &str| {
        db.run("BEGIN");
        db.run(sql);
        let left = other.query("SELECT a FROM t ORDER BY a FOR UPDATE SKIP LOCKED").join(" ");
        db.run("ROLLBACK");
        left
    };
    assert_eq!(left("SELECT * FROM w WHERE x = 2 FOR UPDATE"), "1 3 4");
    let join = "SELECT s.x, t.b FROM v s JOIN t ON t.a = s.x + 1 WHERE s.x < 3 FOR SHARE OF s";
    assert_eq!(left(join), "3 4");
    assert_eq!(left("SELECT q.a FROM (SELECT a FROM t WHERE a > 1) q WHERE q.a <> 3 FOR UPDATE"), "1 3");
    assert_eq!(left("SELECT * FROM (SELECT a FROM t ORDER BY a DESC LIMIT 1) q FOR UPDATE"), "1 2 3");
    assert_eq!(left("SELECT x FROM w, t z WHERE z.a = 1 FOR UPDATE OF z"), "2 3 4");
    assert_eq!(left("SELECT x FROM w"), "1 2 3 4");
}

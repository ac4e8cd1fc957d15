//! Statements that do not fit their memory come to the same as those that do, and leave nothing behind.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

mod common;

use common::Db;

const LARGE: (usize, usize) = (64 << 20, 128 << 20);
const TINY: (usize, usize) = (64 << 10, 64 << 10);

/// Two tables with NULLs, duplicates, one frequent value, wide and large values. Large enough for the smallest memory not to do.
fn tables(seed: u32, rows: u32) -> Db {
    let mut db = Db::new();
    for (t, salt) in [("a", 1), ("b", 7)] {
        db.run(&format!("CREATE TABLE {t} (i int, k int, s text, n numeric, f float8, j jsonb, l int[])"));
        // Numbers that look random, the same in every run.
        let h =
            format!("(((g::bigint * 2654435761 + {seed} * 40503 + {salt} * 97) % 1000003) * 48271 % 65521)");
        db.run(&format!(
            "INSERT INTO {t} SELECT g,
                CASE WHEN {h} % 11 = 0 THEN NULL WHEN {h} % 5 = 0 THEN 77 ELSE {h} % {rows} / 2 END,
                CASE WHEN {h} % 13 = 0 THEN NULL ELSE repeat(chr(97 + ({h} % 26)::int), ({h} % 90)::int) || {h} % 700 END,
                CASE WHEN {h} % 17 = 0 THEN NULL WHEN {h} % 19 = 0 THEN 'NaN' ELSE ({h} % 900)::numeric / 8 END,
                CASE WHEN {h} % 23 = 0 THEN '-0'::float8 WHEN {h} % 3 = 0 THEN 'NaN'::float8 ELSE {h} % 50 END,
                CASE WHEN {h} % 29 = 0 THEN NULL ELSE ('{{\"v\": ' || {h} % 40 || '}}')::jsonb END,
                ARRAY[({h} % 6)::int, NULL]
             FROM generate_series(1, {rows}) AS g"
        ));
        db.run(&format!(
            "INSERT INTO {t} SELECT -g, -g, repeat(md5(g::text), 200) || g FROM generate_series(1, 30) AS g"
        ));
    }
    db
}

/// Statements and whether their rows come in an order that they ask for.
const QUERIES: &[(&str, bool)] = &[
    ("SELECT i, k, s, n, f, j, l FROM a ORDER BY s DESC NULLS LAST, n, i", true),
    ("SELECT k, i FROM a ORDER BY k, f DESC", true),
    ("SELECT k, n FROM a ORDER BY k LIMIT 3000 OFFSET 1500", true),
    ("SELECT a.i, b.i, a.s, b.n FROM a JOIN b ON a.k = b.k AND a.k <> 77", false),
    ("SELECT a.i, b.i FROM a JOIN b ON a.k = b.k WHERE a.i % 40 = 0 OR b.i % 40 = 0", false),
    ("SELECT a.i, b.i, b.j FROM a LEFT JOIN b ON a.k = b.k AND b.i % 7 = a.i % 7 AND a.k <> 77", false),
    ("SELECT a.i, a.s, b.i, b.s FROM a RIGHT JOIN b ON a.s = b.s AND a.i % 3 = 1", false),
    ("SELECT a.i, b.i FROM a FULL JOIN b ON a.s = b.s AND a.k = b.k", false),
    ("SELECT a.i, b.l FROM a FULL JOIN (SELECT * FROM b WHERE i > 3000) b ON a.i = b.i", false),
    ("SELECT a.i, b.i, b.s FROM a FULL JOIN b ON a.k = b.k AND a.i = b.i - 1", false),
    ("SELECT a.i, b.i, b.s FROM a LEFT JOIN b ON a.k = b.k AND a.i = b.i * 3", false),
    ("SELECT i, s FROM a WHERE EXISTS (SELECT FROM b WHERE b.k = a.k AND b.i > a.i)", false),
    ("SELECT i FROM a WHERE NOT EXISTS (SELECT FROM b WHERE b.k = a.k AND b.n < a.n)", false),
    ("SELECT i FROM a WHERE NOT EXISTS (SELECT FROM b WHERE b.s = a.s)", false),
    // The left side seems to be the smaller one: it is the one that is hashed.
    ("SELECT i, s, k FROM a WHERE i > -5 AND EXISTS (SELECT FROM b WHERE b.k = a.k AND b.i > a.i)", false),
    ("SELECT i, k FROM a WHERE i > -5 AND EXISTS (SELECT FROM b WHERE b.k = a.k)", false),
    ("SELECT i, s FROM a WHERE i > -5 AND NOT EXISTS (SELECT FROM b WHERE b.s = a.s AND b.i <> a.i)", false),
    ("SELECT i, s FROM a WHERE i > -5 AND NOT EXISTS (SELECT FROM b WHERE b.k = a.k)", false),
    ("SELECT s, count(*), sum(n), min(k), max(i), avg(n) FROM a GROUP BY s", false),
    ("SELECT k, f, count(DISTINCT s), count(DISTINCT n), sum(DISTINCT k) FROM a GROUP BY k, f", false),
    ("SELECT k % 3, string_agg(s, ',' ORDER BY n DESC, i), array_agg(DISTINCT k) FROM a WHERE i > 0 GROUP BY 1", false),
    ("SELECT count(DISTINCT s), count(DISTINCT i), sum(DISTINCT n) FILTER (WHERE k > 10), count(*) FROM a", false),
    ("SELECT s, k, count(*) FROM a GROUP BY GROUPING SETS ((s), (k), (s, k), ())", false),
    ("SELECT k, n, sum(f), count(j) FROM a GROUP BY ROLLUP (k, n)", false),
    ("SELECT k, percentile_disc(0.5) WITHIN GROUP (ORDER BY i) FROM a GROUP BY k", false),
    ("SELECT DISTINCT k, s, n FROM a", false),
    ("SELECT DISTINCT j, l, f, i FROM a", false),
    ("SELECT s, n FROM a UNION SELECT s, n FROM b", false),
    ("SELECT k, s FROM a INTERSECT SELECT k, s FROM b", false),
    ("SELECT k FROM a INTERSECT ALL SELECT k FROM b", false),
    ("SELECT i, k, s FROM a EXCEPT SELECT i + 5, k, s FROM b", false),
    ("SELECT k, l FROM a EXCEPT ALL SELECT k, l FROM b WHERE i % 2 = 0", false),
    ("WITH c AS MATERIALIZED (SELECT i, k, s, j FROM a) SELECT x.i, y.j FROM c x, c y WHERE x.i = y.i + 3", false),
    ("SELECT i, k, row_number() OVER (PARTITION BY k ORDER BY s, i), sum(n) OVER (PARTITION BY k) FROM a", false),
    ("SELECT i, lag(i) OVER (ORDER BY s, i), rank() OVER (ORDER BY n), count(*) OVER () FROM a", false),
    ("WITH RECURSIVE r AS (SELECT i, repeat('w', 40) AS w FROM a UNION ALL SELECT i + 100000, w FROM r WHERE i < 250000)
      SELECT count(*), sum(i), sum(length(w)) FROM r", false),
];

fn answer(db: &mut Db, (sql, ordered): (&str, bool), memory: (usize, usize)) -> Vec<String> {
    db.session.work_memory.set(memory);
    let mut rows = db.query(sql);
    if !ordered {
        rows.sort_unstable();
    }
    rows
}

fn compare(seed: u32, rows: u32, memory: (usize, usize), must_spill: bool) {
    let mut db = tables(seed, rows);
    for query in QUERIES {
        let expected = answer(&mut db, *query, LARGE);
        let before = (db.engine.storage().space(), db.engine.temporary_files().0);
        let got = answer(&mut db, *query, memory);
        assert_eq!(got.len(), expected.len(), "{}", query.0);
        for (g, e) in got.iter().zip(&expected) {
            assert_eq!(g, e, "{}", query.0);
        }
        assert_eq!(db.engine.storage().space(), before.0, "{}", query.0);
        if must_spill {
            assert!(db.engine.temporary_files().0 > before.1, "nothing was put aside: {}", query.0);
        }
    }
}

#[test]
fn the_least_memory_gives_the_same_rows() {
    compare(1, 12_000, TINY, true);
}

#[test]
fn so_does_any_other() {
    for (seed, rows, memory) in [(2, 5_000, 200 << 10), (3, 2_500, 64 << 10), (4, 7_000, 500 << 10)] {
        compare(seed, rows, (memory, memory), false);
    }
}

#[test]
fn a_cancelled_statement_gives_its_space_back() {
    let mut db = tables(5, 12_000);
    db.session.work_memory.set(TINY);
    let free = db.engine.storage().space();
    for query in QUERIES {
        let mut cancelled = 0;
        for patience in [3, 30, 100, 300] {
            db.session.patience.set(patience);
            if let Err(e) = db.try_run(query.0) {
                assert_eq!(e.state().as_str(), "57014", "{}", query.0);
                cancelled += 1;
            }
            db.session.patience.set(u32::MAX);
            assert_eq!(db.engine.storage().space(), free, "{}", query.0);
        }
        assert!(cancelled > 0, "{}", query.0);
    }
}

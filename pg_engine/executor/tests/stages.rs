//! What tasks that read a large table do with its rows beyond reading them, joins and grouping, gives the rows, in the order, that one task
//! gives: a condition that only the statement's own task can evaluate keeps the others out of all above it.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

mod common;

use common::Db;

/// `a` is large enough for several tasks; `b` is looked up in it.
fn tables() -> Db {
    let mut db = Db::new();
    db.run("CREATE TABLE a (k int, w bigint, s smallint, n numeric, t text, d date, f float8, pad text)");
    db.run("INSERT INTO a SELECT CASE WHEN g % 50 = 0 THEN NULL ELSE g END, g * 1000003::bigint, (g % 300)::smallint, CASE g % 3 WHEN 0 THEN g * 0.25 WHEN 1 THEN g ELSE g * 1000000007.125 END, 'no ' || g % 7, '2000-01-01'::date + g % 400, g * 0.5, repeat('x', 300) FROM generate_series(1, 30000) AS g");
    db.run("CREATE TABLE b (k int, s smallint, u text)");
    db.run("INSERT INTO b SELECT g * 97, g::smallint, 'u' || g % 5 FROM generate_series(1, 40) AS g");
    db.run("INSERT INTO b VALUES (NULL, NULL, NULL), (7, 7, NULL), (7, 8, 'twice')");
    db.run("CREATE TABLE c (s smallint, v int)");
    db.run("INSERT INTO c SELECT g % 30, g FROM generate_series(1, 90) AS g");
    db.run("ANALYZE");
    db
}

#[test]
fn rows_and_their_order_are_those_of_one_task() {
    let mut db = tables();
    for query in [
        "SELECT count(*), sum(s), sum(k), sum(w), avg(w), avg(n), min(k), max(d), min(t), sum(f), bool_or(s > 3) FROM {a}",
        "SELECT s, count(*), count(k), sum(n), avg(n) FROM {a} GROUP BY s",
        "SELECT k, sum(w) FROM {a} GROUP BY k",
        "SELECT t, s % 4, max(t), sum(n) FILTER (WHERE k % 2 = 0), stddev(s), variance(n), bit_and(s) FROM {a} GROUP BY t, s % 4",
        "SELECT trim_scale(n % 10), count(*) FROM {a} GROUP BY 1",
        "SELECT n * 0, count(*) FROM {a} GROUP BY 1",
        "SELECT substring(t FROM 4), sum(CASE WHEN t LIKE '%3%' THEN 1 WHEN s IS NULL THEN 2 ELSE 0 END), sum(coalesce(k, -1)) FROM {a} WHERE NOT s = 9 GROUP BY 1",
        "SELECT a.k, b.s, a.t FROM {a} JOIN b ON a.k = b.k",
        "SELECT a.k, b.s, c.v FROM {a} JOIN b ON a.k = b.k JOIN c ON c.s = b.s AND c.v + a.s > 20",
        "SELECT b.u, count(*), sum(a.n), max(b.s) FROM {a} JOIN b ON a.k = b.k GROUP BY b.u",
        "SELECT c.v, count(*) FROM {a} LEFT JOIN c ON c.s = a.s AND c.v < 50 GROUP BY c.v",
        "SELECT a.k, c.v FROM {a} LEFT JOIN c ON c.s = a.s AND c.v < 50 WHERE a.w < 200 * 1000003::bigint",
        "SELECT count(*), sum(a.k), sum(b.s) FROM {a} RIGHT JOIN b ON a.k = b.k AND b.s < 20",
        "SELECT count(*), sum(a.k), sum(b.s) FROM {a} FULL JOIN b ON a.k = b.k",
        "SELECT b.k, b.s FROM b WHERE EXISTS (SELECT FROM {a} WHERE a.k = b.k AND a.s > 20)",
        "SELECT b.k, b.s FROM b WHERE NOT EXISTS (SELECT FROM {a} WHERE a.k = b.k AND a.s > 20)",
        "SELECT a.s, count(*) FROM {a} WHERE EXISTS (SELECT FROM b WHERE b.k = a.k) GROUP BY a.s",
        "SELECT a.s, count(*) FROM {a} WHERE NOT EXISTS (SELECT FROM b WHERE b.s = a.s AND b.k > 500) GROUP BY a.s",
        "SELECT a.s, count(DISTINCT a.t), string_agg(b.u, ',') FROM {a} JOIN b ON a.k = b.k GROUP BY a.s",
        "SELECT b.s, (SELECT sum(a.s) FROM {a} WHERE a.s = b.s) FROM b WHERE b.s < 4",
        "SELECT x.m, count(*) FROM (SELECT max(w) AS m, s FROM {a} GROUP BY s) x JOIN c ON c.s = x.s GROUP BY x.m",
        "SELECT s, t, count(*) FROM {a} GROUP BY ROLLUP (s, t)",
        "SELECT count(*) FROM {a} WHERE k < 0",
        "SELECT t, count(*) FROM {a} WHERE k < 0 GROUP BY t",
        "SELECT sum(x.v) FROM {a} JOIN (SELECT 1 AS j, v FROM c) x ON x.j + 0 * a.s = 1 WHERE a.k < 100",
    ] {
        let shared = db.query(&query.replace("{a}", "a"));
        let alone = db.query(&query.replace("{a}", "(SELECT * FROM a WHERE random() >= 0) a"));
        assert_eq!(shared, alone, "{query}");
    }
}

#[test]
fn what_fails_in_any_task_fails_the_statement() {
    let mut db = tables();
    for (query, state) in [
        ("SELECT sum(1 / (s - 17)) FROM a", "22012"),
        ("SELECT s, count(*) FROM a GROUP BY s, 1 / (w - 29999 * 1000003::bigint)", "22012"),
        ("SELECT count(*) FROM a JOIN b ON a.k = b.k AND 1 / (b.s - 7) > a.s", "22012"),
        ("SELECT sum(w * w * w) FROM a", "22003"),
    ] {
        assert!(db.error(query).starts_with(state), "{query}");
    }
    assert_eq!(db.query("SELECT count(*) FROM a"), ["30000"]);
}

#[test]
fn groups_that_do_not_fit_are_grouped_all_the_same() {
    let mut db = tables();
    let query = "SELECT count(*), sum(c), sum(n), min(w) FROM (SELECT w, pad || w AS p, count(*) AS c, sum(n) AS n FROM {a} GROUP BY w, p) x";
    let alone = db.query(&query.replace("{a}", "(SELECT * FROM a WHERE random() >= 0) a"));
    for memory in [64 << 10, 512 << 10, 4 << 20] {
        db.session.work_memory.set((memory, memory));
        assert_eq!(db.query(&query.replace("{a}", "a")), alone, "{memory}");
    }
}

#[test]
fn subqueries_in_an_output_list_are_run_for_rows_that_joins_leave() {
    let mut db = Db::new();
    db.run("CREATE TABLE x (k int)");
    db.run("INSERT INTO x SELECT generate_series(1, 10)");
    db.run("CREATE TABLE y (k int)");
    db.run("INSERT INTO y VALUES (1), (2), (2), (7)");
    let of = "(SELECT k, (SELECT 12 / (x.k - 5)) AS s FROM x) AS t";
    assert_eq!(
        db.query(&format!("SELECT t.k, t.s FROM {of} JOIN y ON y.k = t.k ORDER BY 1")),
        ["1|-3", "2|-4", "2|-4", "7|6"]
    );
    assert_eq!(db.query(&format!("SELECT y.k, t.s FROM y JOIN {of} USING (k) WHERE k > 2")), ["7|6"]);
    assert_eq!(
        db.query(&format!(
            "SELECT t.k, y.k, t.s FROM {of} LEFT JOIN y ON y.k = t.k WHERE t.k > 6 ORDER BY 1"
        )),
        ["7|7|6", "8||4", "9||3", "10||2"]
    );
    // What a join looks at is computed below it, and NULL-extended rows have no values computed.
    assert_eq!(
        db.query(&format!(
            "SELECT y.k, t.k FROM y JOIN (SELECT * FROM {of} WHERE k < 3) t ON t.s = -y.k - 2 ORDER BY 1"
        )),
        ["1|1", "2|2", "2|2"]
    );
    let of = "(SELECT k, (SELECT x.k IS NULL) AS s FROM x WHERE k > 1) AS t";
    assert_eq!(
        db.query(&format!("SELECT y.k, t.s FROM y LEFT JOIN {of} ON y.k = t.k ORDER BY 1")),
        ["1|", "2|f", "2|f", "7|f"]
    );
}

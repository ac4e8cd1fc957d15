//! A join tells the scans below it which keys it has partners for: what comes out is the same as where it cannot, because the
//! keys are computed.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

mod common;

use common::Db;

/// `a` is large enough for several tasks to read it; NULLs, rows with large values and columns that were added later included.
fn tables() -> Db {
    let mut db = Db::new();
    db.run("CREATE TABLE a (k int, w bigint, s smallint, pad text)");
    db.run("INSERT INTO a SELECT CASE WHEN g % 50 = 0 THEN NULL ELSE g END, g * 1000003::bigint, (g % 300)::smallint, repeat('x', 300) FROM generate_series(1, 30000) AS g");
    db.run("ALTER TABLE a ADD COLUMN late int DEFAULT 5");
    db.run("INSERT INTO a SELECT g, g, 1::smallint, string_agg(md5((g * h)::text), ''), g FROM generate_series(1, 3) g, generate_series(1, 500) h GROUP BY g");
    db.run("CREATE TABLE b (k int, w bigint, s smallint, late int)");
    db.run("INSERT INTO b SELECT g * 97, g * 97 * 1000003::bigint, g::smallint, g FROM generate_series(1, 40) AS g");
    db.run("INSERT INTO b VALUES (NULL, NULL, NULL, NULL), (7, 7, 7, 7), (7, 7, 7, 7)");
    db.run("CREATE TABLE none (k int)");
    db.run("ANALYZE");
    db
}

#[test]
fn what_a_join_asks_for_is_what_it_would_find() {
    let mut db = tables();
    // `{0}` and `{1}` make a column an expression.
    for query in [
        "SELECT a.k, b.s FROM a JOIN b ON a.k{0} = b.k{0}",
        "SELECT a.k, b.s FROM a JOIN b ON a.w{0} = b.w{0}",
        "SELECT count(*), sum(a.k) FROM a JOIN b ON a.s{0} = b.s{0} AND a.late{0} = b.late{0}",
        "SELECT a.k, length(a.pad) FROM a JOIN b ON a.late{0} = b.late{0} WHERE a.k < 4",
        "SELECT a.k FROM a JOIN none ON a.k{0} = none.k{0}",
        "SELECT a.k, b.k FROM a LEFT JOIN b ON a.k{0} = b.k{0} WHERE a.k < 200",
        "SELECT a.k, b.k FROM a RIGHT JOIN b ON a.k{0} = b.k{0}",
        "SELECT a.k, b.k FROM a FULL JOIN b ON a.k{0} = b.k{0} WHERE b.k > 300 OR a.k < 9",
        "SELECT b.k FROM b WHERE EXISTS (SELECT FROM a WHERE a.k{0} = b.k{0} AND a.s > 20)",
        "SELECT b.k FROM b WHERE NOT EXISTS (SELECT FROM a WHERE a.k{0} = b.k{0} AND a.s > 20)",
        "SELECT a.k FROM a WHERE EXISTS (SELECT FROM b WHERE a.k{0} = b.k{0})",
        "SELECT count(*) FROM a WHERE NOT EXISTS (SELECT FROM b WHERE a.k{0} = b.k{0})",
        "SELECT x.k, c.s FROM (SELECT a.k, b.s FROM a LEFT JOIN b ON a.s{0} = b.s{0} WHERE a.w > 4) x JOIN b c ON x.k{0} = c.k{0}",
        "SELECT x.k, y.k FROM (SELECT k + 0 AS j, k, s FROM a WHERE k % 3 = 0) x JOIN b y ON x.k{0} = y.k{0} AND x.j = y.k",
        "SELECT b.k, (SELECT count(*) FROM a JOIN b c ON a.k{0} = c.k{0} WHERE c.s <= b.s) FROM b WHERE b.s < 9",
    ] {
        let plain = query.replace("{0}", "");
        let computed = query.replace("{0}", " + 0::smallint");
        let mut rows = [db.query(&plain), db.query(&computed)];
        rows.iter_mut().for_each(|r| r.sort());
        assert_eq!(rows[0], rows[1], "{plain}");
        assert!(plain.contains("none") || !rows[0].is_empty(), "{plain}");
    }
}

#[test]
fn what_has_effects_sees_all_rows() {
    let mut db = tables();
    db.run("CREATE SEQUENCE seen");
    let joined = "SELECT count(*) FROM (SELECT k, nextval('seen') AS n FROM a) x JOIN b ON x.k = b.k";
    assert_eq!(db.query(joined), ["42"]);
    assert_eq!(db.query("SELECT last_value FROM seen"), ["30003"]);
}

//! Which plan is picked for which statistics, and how EXPLAIN shows it.
//!
//! `plans.txt` holds statements and the plans expected; `PLANS_WRITE=1` records what comes instead, to be read before it
//! is committed.

#[path = "../../executor/tests/common/mod.rs"]
mod common;

use common::Db;

const EXPLAIN: &str = "EXPLAIN (COSTS OFF) ";

fn transcript(script: &str) -> String {
    let mut db = Db::new();
    let mut out = String::new();
    for statement in script.lines().filter_map(|l| l.strip_prefix("> ")) {
        out.push_str(&format!("> {statement}\n"));
        match db.try_run(statement) {
            Ok(answer) if statement.starts_with(EXPLAIN) => {
                common::lines(&answer.rows).iter().for_each(|l| out.push_str(&format!("{l}\n")));
            }
            Ok(_) => {}
            Err(e) => out.push_str(&format!("ERROR:  {}\n", e.message())),
        }
    }
    out
}

#[test]
fn plans_are_as_recorded() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plans.txt");
    let expected = std::fs::read_to_string(path).unwrap();
    let got = transcript(&expected);
    if std::env::var_os("PLANS_WRITE").is_some() {
        std::fs::write(path, &got).unwrap();
        return;
    }
    for (got, expected) in got.split("\n> ").zip(expected.split("\n> ")) {
        assert_eq!(got.trim_end(), expected.trim_end());
    }
}

/// Estimates follow the data: a filter on a column with few values keeps more rows than one on a unique column.
#[test]
fn estimates_follow_statistics() {
    let mut db = Db::new();
    db.run("CREATE TABLE t (id int PRIMARY KEY, kind int, rare int)");
    db.run(
        "INSERT INTO t SELECT i, i % 4, CASE WHEN i % 1000 = 0 THEN i END FROM generate_series(1, 10000) i",
    );
    db.run("ANALYZE t");
    let rows = |db: &mut Db, condition: &str| -> f64 {
        let plan = db.query(&format!("EXPLAIN SELECT * FROM t WHERE {condition}"));
        let (_, rest) = plan[0].split_once("rows=").unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    let within = |got: f64, want: f64, factor: f64| {
        assert!(got >= want / factor && got <= want * factor, "{got} for {want}");
    };
    within(rows(&mut db, "id = 77"), 1.0, 1.5);
    within(rows(&mut db, "kind = 2"), 2500.0, 1.5);
    within(rows(&mut db, "kind <> 2"), 7500.0, 1.5);
    within(rows(&mut db, "id < 1000"), 1000.0, 2.0);
    within(rows(&mut db, "id BETWEEN 2000 AND 4000"), 2000.0, 2.0);
    within(rows(&mut db, "rare IS NOT NULL"), 10.0, 3.0);
    within(rows(&mut db, "kind IN (1, 3)"), 5000.0, 1.5);
    within(rows(&mut db, "kind = 1 AND id < 1000"), 250.0, 2.5);
    within(rows(&mut db, "kind = 1 OR kind = 2"), 4375.0, 1.5);
}

fn rows_of(db: &mut Db, query: &str) -> f64 {
    let plan = db.query(&format!("EXPLAIN {query}"));
    let rows = plan[0].split_once("rows=").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    rows.unwrap_or(f64::NAN)
}

#[test]
fn patterns_are_tried_on_the_histogram() {
    let mut db = Db::new();
    db.run("CREATE TABLE t (s text)");
    db.run("INSERT INTO t SELECT CASE WHEN i % 5 = 0 THEN 'pale green ' ELSE 'dark red ' END || i FROM generate_series(1, 10000) i");
    db.run("ANALYZE t");
    for (condition, rows) in [
        ("LIKE '%green%'", 2000.0),
        ("NOT LIKE '%green%'", 8000.0),
        ("LIKE 'dark%'", 8000.0),
        ("LIKE '%blue%'", 1.0),
    ] {
        let got = rows_of(&mut db, &format!("SELECT * FROM t WHERE s {condition}"));
        assert!((rows * 0.6..=rows * 1.5).contains(&got), "{condition}: {got}");
    }
}

/// Expressions of indexes have statistics like columns.
#[test]
fn estimates_of_expressions() {
    let mut db = Db::new();
    db.run("CREATE TABLE person (id int, email text, doc jsonb)");
    db.run(
        "INSERT INTO person SELECT i, 'User' || i % 10 || '@Example.com', jsonb_build_object('n', i) \
         FROM generate_series(1, 10000) i",
    );
    db.run("CREATE INDEX ON person (lower(email))");
    db.run("CREATE INDEX ON person (((doc ->> 'n')::int))");
    db.run("ANALYZE person");
    for (condition, wanted) in [
        ("lower(email) = 'user3@example.com'", 1000.0),
        ("lower(email) <> 'user3@example.com'", 9000.0),
        ("lower(email) IN ('user3@example.com', 'user4@example.com')", 2000.0),
        ("(doc ->> 'n')::int < 500", 500.0),
        ("(doc ->> 'n')::int BETWEEN 2000 AND 4000", 2000.0),
    ] {
        let got = rows_of(&mut db, &format!("SELECT * FROM person p WHERE {condition}"));
        assert!((wanted / 1.2..=wanted * 1.2).contains(&got), "{condition}: {got}");
    }
    let groups = rows_of(&mut db, "SELECT lower(email), count(*) FROM person GROUP BY lower(email)");
    assert!((9.0..=11.0).contains(&groups), "{groups}");
}

#[test]
fn columns_that_are_unique_together_are_not_independent() {
    let mut db = Db::new();
    db.run("CREATE TABLE offer (p int, s int, PRIMARY KEY (p, s))");
    db.run("CREATE TABLE item (p int, s int)");
    db.run("CREATE TABLE seller (s int PRIMARY KEY)");
    db.run("INSERT INTO offer SELECT i / 4, (i / 4 + i % 4 * 25) % 100 FROM generate_series(0, 7999) i");
    db.run("INSERT INTO item SELECT i % 8000 / 4, (i % 8000 / 4 + i % 4 * 25) % 100 FROM generate_series(0, 39999) i");
    db.run("INSERT INTO seller SELECT generate_series(0, 99)");
    db.run("ANALYZE");
    for query in [
        "SELECT * FROM item JOIN offer ON item.p = offer.p AND item.s = offer.s",
        "SELECT * FROM item, offer, seller WHERE item.p = offer.p AND item.s = seller.s AND offer.s = seller.s",
    ] {
        let got = rows_of(&mut db, query);
        assert!((20_000.0..=80_000.0).contains(&got), "{query}: {got}");
    }
}

/// Tools find joins, their sides and what each operator gives by these.
#[test]
fn documents_name_joins_and_columns() {
    let mut db = Db::new();
    db.run("CREATE TABLE a (x int PRIMARY KEY, y int)");
    db.run("CREATE TABLE b (x int PRIMARY KEY, y int)");
    let mut plan =
        |query: &str| db.query(&format!("EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) {query}")).join("\n");
    let left = plan("SELECT a.x, b.y FROM a LEFT JOIN b ON false");
    for wanted in ["\"Node Type\": \"Nested Loop\"", "\"Join Type\": \"Left\"", "\"Schema\": \"public\""] {
        assert!(left.contains(wanted), "{wanted} in {left}");
    }
    let columns: Vec<&str> = left
        .lines()
        .filter_map(|l| l.trim().strip_prefix("\"Output\": "))
        .map(|l| l.trim_end_matches(','))
        .collect();
    assert_eq!(columns.first(), Some(&"[\"a.x\", \"b.y\"]"));
    assert_eq!(columns.len(), 3, "{left}");
    let full = plan("SELECT * FROM a FULL JOIN b USING (x)");
    assert!(full.contains("\"Join Type\": \"Full\"") && !full.contains("Full Join"), "{full}");
    let inner = plan("SELECT * FROM a JOIN b USING (x)");
    assert!(inner.contains("\"Join Type\": \"Inner\""), "{inner}");
    let set = plan("SELECT x FROM a EXCEPT SELECT x FROM b");
    assert!(set.contains("\"Node Type\": \"SetOp\"") && set.contains("\"Command\": \"Except\""), "{set}");
}

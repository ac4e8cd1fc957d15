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

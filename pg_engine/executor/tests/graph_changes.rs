//! INSERT, UPDATE and DELETE on `dagdb_nodes` and `dagdb_edges`: one statement is one edit.

mod common;

use common::{Db, open};

const NODES: &str = "SELECT * FROM dagdb_nodes ORDER BY id";
const EDGES: &str = "SELECT * FROM dagdb_edges ORDER BY target, slot";

/// Sources 0 to 2, an OR and an AND of them, and their XOR.
fn small() -> Db {
    let mut db = Db::new();
    let made = db.run(
        "INSERT INTO dagdb_nodes (rank, lut, inputs) VALUES (2, 'CONST1', NULL), (2, DEFAULT, NULL), (2, 'CONST1', NULL),
         (1, 'OR3', ARRAY[0, 1]), (1, 'AND3', ARRAY[0, 1, 2]), (0, 'XOR6', ARRAY[3, 4])",
    );
    assert_eq!(made.tag, "INSERT 0 6");
    db
}

fn again(db: Db) -> Db {
    let device = db.device.clone();
    drop(db);
    Db { device: device.clone(), ..Db::on(open(&device)) }
}

#[test]
fn inserted_nodes_are_the_graph() {
    let mut db = small();
    assert_eq!(
        db.query(NODES)[3..],
        [
            "3|1|0|0|0xFEFEFEFEFEFEFEFE|{0,1}|",
            "4|1|0|0|0x8080808080808080|{0,1,2}|",
            "5|0|0|0|0x6996966996696996|{3,4}|"
        ]
    );
    // Rows may refer to later ones, and ids may be given in any order.
    let given = "INSERT INTO dagdb_nodes (id, rank, inputs) VALUES (8, 0, ARRAY[7]), (NULL, 4, NULL), (7, 3, ARRAY[6]) RETURNING id, inputs";
    assert_eq!(db.query(given), ["8|{7}", "6|{}", "7|{6}"]);
    assert_eq!(
        db.query(
            "INSERT INTO dagdb_nodes (rank) SELECT g FROM generate_series(5, 7) g RETURNING id + 100, rank"
        ),
        ["109|5", "110|6", "111|7"]
    );
    assert_eq!(db.query("SELECT dagdb_validate()"), ["OK VALIDATE nodes=12"]);
    let before = db.query(NODES);
    let mut db = again(db);
    assert_eq!(db.query(NODES), before);
}

#[test]
fn a_statement_that_breaks_a_rule_changes_nothing() {
    let mut db = small();
    let before = (db.query(NODES), db.query(EDGES));
    for (sql, error) in [
        (
            "INSERT INTO dagdb_nodes (rank, inputs) VALUES (9, NULL), (2, ARRAY[5])",
            "23514: edge 5 -> 7 violates the rank order",
        ),
        ("INSERT INTO dagdb_nodes (id) VALUES (3)", "23505: node 3 exists already"),
        ("INSERT INTO dagdb_nodes (id) VALUES (6), (6)", "23505: node 6 exists already"),
        ("INSERT INTO dagdb_nodes (id) VALUES (4000000000)", "53200: out of memory"),
        (
            "INSERT INTO dagdb_nodes (inputs) VALUES (ARRAY[0,1,2,3,4,5,6])",
            "54000: a node has at most 6 inputs, not 7",
        ),
        ("INSERT INTO dagdb_nodes (inputs) VALUES (ARRAY[0,0])", "23505: edge 0 -> 6 is there already"),
        ("INSERT INTO dagdb_nodes (inputs) VALUES (ARRAY[77])", "22003: edge 77 -> 6 has no source"),
        (
            "INSERT INTO dagdb_nodes (inputs, back) VALUES (ARRAY[0], 1)",
            "23514: back edge 1 -> 6 is not allowed: node 6 has inputs",
        ),
        (
            "INSERT INTO dagdb_nodes (rank) VALUES (18446744073709551616)",
            "22003: rank 18446744073709551616 is out of range",
        ),
        (
            "INSERT INTO dagdb_nodes (rank) VALUES (NULL)",
            "23502: null value in column \"rank\" of relation \"dagdb_nodes\"",
        ),
        ("INSERT INTO dagdb_nodes (truth) VALUES (256)", "22003: truth value 256 is out of range"),
        ("INSERT INTO dagdb_nodes (type) VALUES (3)", "22023: node type 3 is not known"),
        ("INSERT INTO dagdb_nodes (lut) VALUES ('MAYBE')", "22023: lookup table \"MAYBE\" is not known"),
        (
            "INSERT INTO dagdb_nodes (rank) VALUES (1) ON CONFLICT DO NOTHING",
            "0A000: ON CONFLICT on dagdb_nodes",
        ),
        ("UPDATE dagdb_nodes SET rank = 1 WHERE id = 0", "23514: edge 0 -> 3 violates the rank order"),
        ("UPDATE dagdb_nodes SET id = 9 WHERE id = 0", "0A000: changing the id of a node"),
        (
            "UPDATE dagdb_nodes SET back = 1 WHERE id = 5",
            "23514: back edge 1 -> 5 is not allowed: node 5 has inputs",
        ),
        ("DELETE FROM dagdb_nodes WHERE id = 2", "23503: edge 2 -> 4 has no source: node 2 does not exist"),
        ("INSERT INTO dagdb_edges VALUES (0, 5), (5, 0)", "23514: edge 5 -> 0 violates the rank order"),
        ("INSERT INTO dagdb_edges VALUES (0, 99)", "22003: node 99 does not exist"),
        ("INSERT INTO dagdb_edges VALUES (99, 0)", "22003: edge 99 -> 0 has no source"),
        (
            "INSERT INTO dagdb_edges VALUES (2, 3, 1)",
            "23505: edge 2 -> 3 does not fit: slot 1 of node 3 is node 1's",
        ),
        ("INSERT INTO dagdb_edges VALUES (2, 3, 6)", "22003: slot 6 does not exist"),
        ("INSERT INTO dagdb_edges VALUES (1, 3)", "23505: edge 1 -> 3 is there already"),
        ("INSERT INTO dagdb_edges VALUES (2, 2)", "23514: edge 2 -> 2 is a self-loop"),
        ("INSERT INTO dagdb_edges VALUES (2, 3, 2, true)", "22023: a back edge has no slot"),
        ("INSERT INTO dagdb_edges (source) VALUES (2)", "23502: null value in column \"target\""),
        ("UPDATE dagdb_edges SET source = 4 WHERE target = 3", "23514: edge 4 -> 3 violates the rank order"),
        (
            "UPDATE dagdb_edges SET slot = 0 WHERE target = 4",
            "23505: edge 1 -> 4 does not fit: slot 0 of node 4 is node 0's",
        ),
    ] {
        let got = db.error(sql);
        assert!(got.starts_with(error), "{sql}\n got {got}\nwant {error}");
        assert_eq!((db.query(NODES), db.query(EDGES)), before, "{sql}");
    }
}

#[test]
fn a_seventh_edge_does_not_fit() {
    let mut db = Db::new();
    db.run("INSERT INTO dagdb_nodes (rank) SELECT 1 FROM generate_series(1, 7)");
    db.run("INSERT INTO dagdb_nodes (rank) VALUES (0)");
    let error = db.error("INSERT INTO dagdb_edges SELECT id, 7 FROM dagdb_nodes WHERE rank = 1");
    assert_eq!(error, "54000: edge 6 -> 7 does not fit: node 7 has six inputs already");
    assert_eq!(db.query("SELECT count(*) FROM dagdb_edges"), ["0"]);
}

#[test]
fn updates_are_checked_when_all_are_made() {
    let mut db = small();
    // Every row alone would be out of order.
    assert_eq!(db.run("UPDATE dagdb_nodes SET rank = rank + 1").tag, "UPDATE 6");
    assert_eq!(db.run("UPDATE dagdb_nodes SET rank = rank * 10 WHERE rank > 0").tag, "UPDATE 6");
    assert_eq!(db.query("SELECT DISTINCT rank FROM dagdb_nodes ORDER BY 1"), ["10", "20", "30"]);
    let returned = db.query("UPDATE dagdb_nodes n SET truth = 2, lut = 'NOR6' FROM generate_series(4, 5) g WHERE n.id = g RETURNING g, n.id, truth, lut");
    assert_eq!(returned, ["4|4|2|0x0000000000000001", "5|5|2|0x0000000000000001"]);
    // Columns that are not assigned keep what they have.
    assert_eq!(db.query("SELECT inputs FROM dagdb_nodes WHERE id = 4"), ["{0,1,2}"]);
    // A row that two rows of the source are for is changed once.
    let twice = "UPDATE dagdb_nodes SET truth = v FROM (VALUES (1), (0)) w(v) WHERE id = 0";
    assert_eq!(db.run(twice).tag, "UPDATE 1");
    assert_eq!(
        db.run(
            "UPDATE dagdb_nodes SET truth = 1 WHERE id IN (SELECT source FROM dagdb_edges WHERE target = 4)"
        )
        .tag,
        "UPDATE 3"
    );
    // Edges change places.
    assert_eq!(db.run("UPDATE dagdb_edges SET slot = 2 - slot WHERE target = 4").tag, "UPDATE 3");
    assert_eq!(db.query("SELECT inputs FROM dagdb_nodes WHERE id = 4"), ["{2,1,0}"]);
    assert_eq!(
        db.query(
            "UPDATE dagdb_edges SET target = 5, slot = NULL WHERE target = 4 AND source = 2 RETURNING *"
        ),
        ["2|5|2|f"]
    );
    assert_eq!(db.query("SELECT id, inputs FROM dagdb_nodes WHERE id > 3"), ["4|{NULL,1,0}", "5|{3,4,2}"]);
    assert_eq!(db.query("SELECT dagdb_validate()"), ["OK VALIDATE nodes=6"]);
}

#[test]
fn edges_come_and_go() {
    let mut db = small();
    let gone = db.query("DELETE FROM dagdb_edges e USING dagdb_nodes n WHERE e.source = n.id AND n.id = 0 RETURNING e.*, n.rank");
    assert_eq!(gone, ["0|3|0|f|2", "0|4|0|f|2"]);
    assert_eq!(
        db.query("SELECT id, inputs FROM dagdb_nodes WHERE id IN (3, 4)"),
        ["3|{NULL,1}", "4|{NULL,1,2}"]
    );
    assert_eq!(
        db.query("INSERT INTO dagdb_edges (source, target) VALUES (2, 3), (0, 4) RETURNING slot"),
        ["0", "0"]
    );
    // A register: its inputs go and its back edge comes.
    db.run("DELETE FROM dagdb_edges WHERE target = 3");
    db.run("INSERT INTO dagdb_edges (source, target, back) VALUES (5, 3, true)");
    assert_eq!(db.query("SELECT * FROM dagdb_edges WHERE back"), ["5|3||t"]);
    assert!(db.error("INSERT INTO dagdb_edges VALUES (0, 3)").starts_with("23514"));
    assert!(
        db.error("INSERT INTO dagdb_edges (source, target, back) VALUES (4, 3, true)").starts_with("23514")
    );
    assert_eq!(db.run("UPDATE dagdb_edges SET source = 4 WHERE back").tag, "UPDATE 1");
    let before = db.query(EDGES);
    let mut db = again(db);
    assert_eq!(db.query(EDGES), before);
    assert_eq!(db.run("DELETE FROM dagdb_edges").tag, "DELETE 6");
    assert_eq!(db.query("SELECT count(*) FROM dagdb_edges"), ["0"]);
}

#[test]
fn large_changes_are_kept_over_a_restart() {
    let mut db = small();
    db.run("INSERT INTO dagdb_nodes (rank, truth) SELECT 5 + g % 3, g % 3 FROM generate_series(1, 9000) g");
    db.run("INSERT INTO dagdb_edges SELECT 6 + g, g % 3 FROM generate_series(0, 17) g");
    db.run("BEGIN");
    db.run("DELETE FROM dagdb_edges WHERE target < 3");
    db.run("DELETE FROM dagdb_nodes WHERE id >= 4000");
    assert_eq!(db.query("SELECT count(*), max(id) FROM dagdb_nodes"), ["4000|3999"]);
    assert_eq!(db.other().query("SELECT count(*), max(id) FROM dagdb_nodes"), ["9006|9005"]);
    db.run("ROLLBACK");
    assert_eq!(db.query("SELECT count(*) FROM dagdb_nodes"), ["9006"]);
    let error = db.error("DELETE FROM dagdb_nodes WHERE id >= 8");
    assert!(error.starts_with("23503: edge 9 -> 0 has no source"), "{error}");
    db.run("DELETE FROM dagdb_edges WHERE source >= 8");
    assert_eq!(db.run("DELETE FROM dagdb_nodes WHERE id >= 8").tag, "DELETE 8998");
    db.run("UPDATE dagdb_nodes SET rank = rank + 1, truth = 1 - truth % 2");
    let before = (db.query(NODES), db.query(EDGES));
    assert_eq!((before.0.len(), before.1.len()), (8, 9));
    let mut db = again(db);
    assert_eq!((db.query(NODES), db.query(EDGES)), before);
    assert_eq!(db.run("DELETE FROM dagdb_nodes").tag, "DELETE 8");
    db.run("INSERT INTO dagdb_nodes (truth) VALUES (1)");
    let mut db = again(db);
    assert_eq!(db.query("SELECT id, truth FROM dagdb_nodes"), ["0|1"]);
}

#[test]
fn ids_of_deleted_nodes_are_free_until_they_are_given_again() {
    let mut db = small();
    // Node 6 feeds register 7.
    db.run("INSERT INTO dagdb_nodes (back) VALUES (NULL), (6)");
    assert_eq!(
        db.error("DELETE FROM dagdb_nodes WHERE id = 6"),
        "23503: edge 6 -> 7 has no source: node 6 does not exist"
    );
    assert_eq!(db.run("DELETE FROM dagdb_nodes WHERE id IN (2, 4, 5)").tag, "DELETE 3");
    let ids = "SELECT string_agg(id::text, ',' ORDER BY id) FROM dagdb_nodes";
    assert_eq!(db.query(ids), ["0,1,3,6,7"]);
    assert_eq!(db.query("SELECT count(*) FROM dagdb_nodes WHERE rank = 0"), ["2"]);
    assert_eq!(db.query("SELECT id FROM dagdb_nodes WHERE id IN (1, 2, 3)"), ["1", "3"]);
    assert_eq!(db.query("SELECT dagdb_validate()"), ["OK VALIDATE nodes=5"]);
    assert!(db.query("SELECT dagdb_status()")[0].starts_with("OK STATUS nodes=5 "));
    for (sql, error) in [
        ("SELECT dagdb_set_truth(2, 1)", "22003: node 2 does not exist"),
        ("SELECT * FROM dagdb_traverse(4, 1)", "22003: node 4 does not exist"),
        ("SELECT * FROM dagdb_eval_batch('{}', '{0}'::int8[], '{2}')", "22003: node 2 does not exist"),
        ("SELECT dagdb_connect(2, 3)", "22003: edge 2 -> 3 has no source: node 2 does not exist"),
        ("INSERT INTO dagdb_edges VALUES (0, 4)", "22003: node 4 does not exist"),
        ("INSERT INTO dagdb_edges VALUES (2, 3)", "22003: edge 2 -> 3 has no source: node 2 does not exist"),
        ("INSERT INTO dagdb_nodes (id) VALUES (2), (2)", "23505: node 2 exists already"),
    ] {
        assert_eq!(db.error(sql), error, "{sql}");
    }
    // What was saved, and what a restart reads, has the same ids.
    let before = (db.query(NODES), db.query(EDGES));
    db.run("SELECT dagdb_save('holes')");
    db.run("SELECT dagdb_tick(2)");
    let after = db.query(NODES);
    let mut db = again(db);
    assert_eq!(db.query(NODES), after);
    // A transaction's deletions and ids are taken back with it.
    db.run("BEGIN");
    db.run("DELETE FROM dagdb_nodes WHERE id = 7");
    db.run("INSERT INTO dagdb_nodes (id, rank) VALUES (2, 9), (NULL, 1), (10, 1)");
    assert_eq!(db.query(ids), ["0,1,2,3,6,7,10"]);
    db.run("ROLLBACK");
    assert_eq!(db.query(NODES), after);
    db.run("SELECT dagdb_load('holes')");
    assert_eq!((db.query(NODES), db.query(EDGES)), before);
    // Given ids may leave others free; without one the next behind all is taken.
    let made = "INSERT INTO dagdb_nodes (id, rank, inputs) VALUES (4, 1, '{9}'), (NULL, 3, NULL), (9, 2, NULL) RETURNING id";
    assert_eq!(db.query(made), ["4", "8", "9"]);
    assert_eq!(db.query(ids), ["0,1,3,4,6,7,8,9"]);
    assert_eq!(db.run("DELETE FROM dagdb_nodes WHERE id > 3").tag, "DELETE 5");
    // Free ids at the end are gone.
    assert_eq!(db.query("INSERT INTO dagdb_nodes (rank) VALUES (0) RETURNING id"), ["4"]);
    let mut db = again(db);
    assert_eq!(db.query(ids), ["0,1,3,4"]);
    assert_eq!(db.run("DELETE FROM dagdb_nodes").tag, "DELETE 4");
    assert_eq!(db.query("INSERT INTO dagdb_nodes (rank) VALUES (0) RETURNING id"), ["0"]);
}

#[test]
fn what_is_exported_is_imported_again() {
    let mut db = small();
    db.run("DELETE FROM dagdb_nodes WHERE id IN (4, 5)");
    db.run("INSERT INTO dagdb_nodes (id, rank, type) VALUES (6, 7, 2)");
    let before = (db.query(NODES), db.query(EDGES));
    db.run("CREATE TABLE texts AS SELECT dagdb_export('JSON') AS j, dagdb_export('csv nodes') AS n, dagdb_export('csv edges') AS e");
    for import in ["dagdb_import('json', j)", "dagdb_import('csv', n, e)"] {
        db.run("DELETE FROM dagdb_nodes");
        assert_eq!(db.query(&format!("SELECT * FROM texts, {import}")), [""; 0]);
        assert_eq!((db.query(NODES), db.query(EDGES)), before, "{import}");
    }
    db.run("INSERT INTO dagdb_nodes (back) VALUES (0)");
    assert!(db.error("SELECT dagdb_export('csv nodes')").starts_with("0A000: a graph with registers as CSV"));
    assert!(db.error("SELECT dagdb_export('xml')").starts_with("22023: a graph is not exported as \"xml\""));
    assert!(
        db.error("SELECT * FROM dagdb_exec('SAVE JSON x')").starts_with("0A000: graph command SAVE JSON")
    );
    // A value that is not there has no columns either.
    assert_eq!(db.query("SELECT"), [""]);
    assert_eq!(
        db.query(
            "SELECT count(*) FROM (SELECT FROM dagdb_nodes WHERE id < 3 UNION ALL SELECT WHERE false) x"
        ),
        ["3"]
    );
    assert_eq!(db.query("SELECT 1 WHERE EXISTS (SELECT)"), ["1"]);
}

#[test]
fn who_changes_what_others_changed_sees_it() {
    let mut db = small();
    let mut other = db.other();
    other.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
    assert_eq!(other.query("SELECT count(*) FROM dagdb_nodes"), ["6"]);
    db.run("UPDATE dagdb_nodes SET truth = 1 WHERE id = 1");
    assert!(other.error("UPDATE dagdb_nodes SET truth = 2 WHERE truth = 0").starts_with("40001"));
    other.run("ROLLBACK");
    // Within a transaction, a statement sees the ones before it.
    db.run("BEGIN");
    db.run("INSERT INTO dagdb_nodes (rank, truth) VALUES (9, 1)");
    assert_eq!(db.run("UPDATE dagdb_nodes SET truth = 2 WHERE truth = 1").tag, "UPDATE 2");
    db.run("COMMIT");
    assert_eq!(other.query("SELECT id FROM dagdb_nodes WHERE truth = 2"), ["1", "6"]);
}

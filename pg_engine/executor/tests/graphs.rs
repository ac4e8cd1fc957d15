//! Graphs are stored as tables are: what was committed is there after the volume was opened again, and nothing else.

mod common;

use common::{Db, open};

const NODES: &str = "SELECT n::text FROM dagdb_nodes n ORDER BY id";

fn reopened(db: Db) -> Db {
    let device = db.device.clone();
    drop(db);
    Db { device: device.clone(), ..Db::on(open(&device)) }
}

#[test]
fn graphs_are_there_after_a_restart() {
    let mut db = Db::new();
    // More than one piece of structure and of values.
    db.run("SELECT dagdb_add_node(2, CASE WHEN g % 3 = 0 THEN 'CONST1' ELSE 'CONST0' END) FROM generate_series(0, 4999) g");
    db.run("SELECT dagdb_add_node(1, 'XOR6', ARRAY[g, g * 2, g * 3 + 1]) FROM generate_series(1, 300) g");
    db.run("SELECT dagdb_connect_back(5000 + g, g) FROM generate_series(10, 13) g");
    db.run("SELECT dagdb_tick(3)");
    db.run("SELECT dagdb_set_truth(20, 7), dagdb_set_rank(5, 18446744073709551615)");
    let before = db.query(NODES);
    assert_eq!(before.len(), 5300);
    assert!(
        db.try_run("SELECT dagdb_set_lut(30, 'CONST1'), dagdb_connect(0, 5299), dagdb_connect(0, 0)")
            .is_err()
    );
    assert_eq!(db.query(NODES), before);
    let mut db = reopened(db);
    assert_eq!(db.query(NODES), before);
    assert_eq!(db.query("SELECT dagdb_validate()"), ["OK VALIDATE nodes=5300"]);
    assert_eq!(db.query("SELECT graphticks FROM dagdb_graph"), ["3"]);
    // A tick as it would have been without the restart: the value that was set is computed anew.
    db.run("SELECT dagdb_tick()");
    assert_eq!(db.query("SELECT truth FROM dagdb_nodes WHERE id = 20"), ["0"]);
}

/// Graphs beyond the size up to which they are sorted anew after every edit.
#[test]
fn a_false_node_added_to_a_large_graph_is_there_after_a_restart() {
    let mut db = Db::new();
    db.run("SELECT dagdb_add_node(1) FROM generate_series(1, 4500)");
    let mut db = reopened(db);
    db.run("SELECT dagdb_add_node(0, 'OR6', ARRAY[1])");
    let before = db.query(NODES);
    let mut db = reopened(db);
    assert_eq!(db.query(NODES), before);
    assert_eq!(before.len(), 4501);
}

#[test]
fn small_edits_give_what_one_that_begins_anew_gives() {
    let mut db = Db::new();
    db.run("SELECT dagdb_add_node(3, 'CONST1') FROM generate_series(0, 9)");
    db.run("SELECT dagdb_add_node(2, 'OR6', ARRAY[g, (g + 1) % 10]) FROM generate_series(0, 9) g");
    db.run("SELECT dagdb_add_node(1, 'XOR6', ARRAY[10 + g, 10 + (g + 3) % 10, 10 + (g + 5) % 10]) FROM generate_series(0, 9) g");
    for n in 0..40 {
        let node = n * 7 % 30;
        match n % 4 {
            0 => db.run(&format!("SELECT dagdb_set_lut({node}, '0x{:x}')", n * 0x9e37_79b9u64)),
            1 => db.run(&format!("SELECT dagdb_set_truth({node}, {})", n % 3)),
            2 => db.run(&format!("SELECT dagdb_clear({node})")),
            _ => db.run("SELECT dagdb_tick()"),
        };
        if n % 10 == 9 {
            let before = db.query(NODES);
            db = reopened(db);
            assert_eq!(db.query(NODES), before, "after edit {n}");
        }
    }
    db.run("SELECT dagdb_tick()");
    let ticked = db.query(NODES);
    db = reopened(db);
    db.run("SELECT dagdb_tick()");
    assert_eq!(db.query(NODES), ticked, "a tick of a settled graph changes nothing");
}

//! Saves, backups and recordings of graphs are there after the volume was opened again, give back what went in, and refuse
//! what is damaged.

mod common;

use common::{Db, open};
use dagdb_delta::{History, Recorder, decode_graph, encode_graph};
use dagdb_graph::{Graph, Lut, Node, NodeId};
use pg_types::SqlState;

const NODES: &str = "SELECT n::text FROM dagdb_nodes n ORDER BY id";

fn reopened(db: Db) -> Db {
    let device = db.device.clone();
    drop(db);
    Db { device: device.clone(), ..Db::on(open(&device)) }
}

/// Four registers that count, and a constant.
fn counter(db: &mut Db) {
    db.run("SELECT dagdb_add_node(1) FROM generate_series(0, 3)");
    db.run(
        "SELECT dagdb_add_node(0, '0x1', ARRAY[0]), dagdb_add_node(0, '0x6', ARRAY[0, 1]),
                dagdb_add_node(0, '0x78', ARRAY[0, 1, 2]), dagdb_add_node(0, '0x7F80', ARRAY[0, 1, 2, 3])",
    );
    db.run("SELECT dagdb_connect_back(g + 4, g) FROM generate_series(0, 3) g");
    db.run("SELECT dagdb_add_node(9, 'CONST1')");
}

fn state(db: &mut Db, sql: &str) -> SqlState {
    db.try_run(sql).expect_err(sql).state()
}

fn sound(db: &mut Db) {
    assert_eq!(db.query("SELECT relation, problem FROM intralith_verify"), Vec::<String>::new());
}

#[test]
fn saves_come_back() {
    let mut db = Db::new();
    counter(&mut db);
    db.run("SELECT dagdb_tick(5)");
    let five = db.query(NODES);
    db.run("SELECT dagdb_save('five')");
    db.run("SELECT * FROM dagdb_exec('SAVE plain')");
    // More nodes than one piece holds, so that loading takes some away again.
    db.run("SELECT dagdb_add_node(3, 'CONST1') FROM generate_series(1, 5000)");
    db.run("SELECT dagdb_tick(4), dagdb_set_truth(0, 7)");
    let later = db.query(NODES);
    db.run("SELECT dagdb_save('later', false)");
    let mut db = reopened(db);
    assert_eq!(db.query(NODES), later);
    for (name, nodes, ticks) in [("five", &five, "5"), ("later", &later, "9"), ("plain", &five, "5")] {
        db.run(&format!("SELECT dagdb_load('{name}')"));
        assert_eq!(&db.query(NODES), nodes, "{name}");
        assert_eq!(db.query("SELECT graphticks FROM dagdb_graph"), [ticks]);
        db = reopened(db);
        assert_eq!(&db.query(NODES), nodes, "{name}, read again");
    }
    db.run("SELECT dagdb_tick(4)");
    assert_eq!(db.query("SELECT sum(truth * 2 ^ id) FROM dagdb_nodes WHERE id < 4"), ["9"]);
    assert_eq!(
        db.query("SELECT histname, histnodes, histlast FROM dagdb_history ORDER BY 1"),
        ["five|9|5", "later|5009|9", "plain|9|5"]
    );
    db.run("SELECT dagdb_drop_save('plain')");
    assert_eq!(state(&mut db, "SELECT dagdb_load('plain')"), SqlState::UNDEFINED_OBJECT);
    // One that is saved again is another one.
    db.run("SELECT dagdb_save('five')");
    db.run("SELECT dagdb_tick()");
    db.run("SELECT dagdb_load('five')");
    assert_eq!(db.query("SELECT sum(truth * 2 ^ id) FROM dagdb_nodes WHERE id < 4"), ["9"]);
    sound(&mut db);
}

#[test]
fn a_save_that_a_client_keeps_is_taken_back_or_refused() {
    let mut db = Db::new();
    counter(&mut db);
    db.run("SELECT dagdb_tick(3)");
    let three = db.query(NODES);
    db.run("SELECT dagdb_save('three')");
    let kept = db.query("SELECT encode(dagdb_export_history('three'), 'hex')").remove(0);
    db.run("SELECT dagdb_drop_save('three'), dagdb_tick(6)");
    let nine = db.query(NODES);
    let import = |hex: &str| format!("SELECT dagdb_import_history('kept', decode('{hex}', 'hex'))");
    for at in 0..kept.len() / 2 {
        let mut damaged = kept.clone().into_bytes();
        damaged[at * 2 + 1] = if damaged[at * 2 + 1] == b'0' { b'1' } else { b'0' };
        let refused = state(&mut db, &import(&String::from_utf8(damaged).unwrap()));
        assert!(
            [SqlState::DATA_CORRUPTED, SqlState::INVALID_BINARY_REPRESENTATION].contains(&refused),
            "byte {at}: {refused:?}"
        );
    }
    assert_eq!(state(&mut db, &import(&kept[..kept.len() - 2])), SqlState::DATA_CORRUPTED);
    assert_eq!(state(&mut db, &import("00")), SqlState::INVALID_BINARY_REPRESENTATION);
    assert_eq!(db.query("SELECT count(*) FROM dagdb_history"), ["0"]);
    assert_eq!(db.query(NODES), nine);
    db.run(&import(&kept));
    db.run("SELECT dagdb_load('kept')");
    assert_eq!(db.query(NODES), three);
    sound(&mut db);
}

#[test]
fn chains_of_backups() {
    let mut db = Db::new();
    counter(&mut db);
    db.run("SELECT dagdb_add_node(3, 'CONST1') FROM generate_series(1, 2000)");
    db.run("SELECT dagdb_backup('init', 'chain')");
    assert_eq!(state(&mut db, "SELECT dagdb_backup('init', 'chain')"), SqlState::DUPLICATE_OBJECT);
    // More than one run of frames; some appended without a tick in between, one of another number of nodes.
    for n in 0..20 {
        db.run(&format!("SELECT dagdb_set_lut({}, 'CONST0')", 9 + n));
        if n % 3 == 0 {
            db.run("SELECT dagdb_tick()");
        }
        if n == 10 {
            db.run("SELECT dagdb_add_node(3)");
        }
        db.run("SELECT * FROM dagdb_exec('BACKUP APPEND chain')");
    }
    let last = db.query(NODES);
    let info = db.query("SELECT message FROM dagdb_exec('BACKUP INFO chain')").remove(0);
    assert!(
        info.starts_with("OK BACKUP INFO frames=21 ") && info.contains(" nodes=2010 ticks=0-7 "),
        "{info}"
    );
    db.run("SELECT dagdb_drop_graph('main'), dagdb_create_graph('main')");
    let mut db = reopened(db);
    db.run("SELECT dagdb_backup('restore', 'chain')");
    assert_eq!(db.query(NODES), last);
    let whole = db.query("SELECT encode(dagdb_export_history('chain', 'backup'), 'hex')").remove(0);
    db.run("SELECT dagdb_backup('compact', 'chain')");
    db.run("SELECT dagdb_set_lut(5, 'CONST1')");
    db.run("SELECT dagdb_backup('append', 'chain')");
    let then = db.query(NODES);
    db.run(&format!("SELECT dagdb_import_history('copy', decode('{whole}', 'hex'), 'backup')"));
    for (name, nodes) in [("copy", &last), ("chain", &then)] {
        db.run(&format!("SELECT dagdb_backup('restore', '{name}')"));
        assert_eq!(&db.query(NODES), nodes, "{name}");
    }
    db.run("SELECT dagdb_backup('drop', 'chain')");
    assert_eq!(state(&mut db, "SELECT dagdb_backup('append', 'chain')"), SqlState::UNDEFINED_OBJECT);
    let save = format!("SELECT dagdb_import_history('copy', decode('{whole}', 'hex'))");
    assert_eq!(state(&mut db, &save), SqlState::INVALID_PARAMETER_VALUE);
    sound(&mut db);
}

#[test]
fn recorded_ticks_are_there_as_they_were() {
    let mut db = Db::new();
    counter(&mut db);
    db.run("SELECT dagdb_tick(2)");
    db.run("SELECT dagdb_record('start', 4)");
    let mut seen = vec![(2, db.query(NODES))];
    for tick in 3..30 {
        let edit = match tick {
            7 => "dagdb_set_truth(0, 0)",
            12 => "dagdb_add_node(0, 'OR6', ARRAY[8, 0])",
            17 => "dagdb_set_lut(4, 'CONST1')",
            _ => "1",
        };
        db.run(&format!("SELECT {edit}"));
        if tick == 20 {
            db = reopened(db);
        }
        db.run("SELECT dagdb_tick()");
        seen.push((tick, db.query(NODES)));
    }
    // Several at once, recorded one by one; and a tick whose transaction is rolled back is not there.
    db.run("SELECT dagdb_tick(5)");
    seen.push((34, db.query(NODES)));
    assert!(db.try_run("SELECT dagdb_tick(3), 1 / (graphticks - graphticks) FROM dagdb_graph").is_err());
    let as_of = |db: &mut Db, tick: u64| {
        db.query(&format!("SELECT n::text FROM dagdb_nodes_as_of({tick}) n ORDER BY id"))
    };
    for (tick, nodes) in &seen {
        assert_eq!(&as_of(&mut db, *tick), nodes, "tick {tick}");
    }
    for tick in [1, 35] {
        let sql = format!("SELECT * FROM dagdb_nodes_as_of({tick})");
        assert_eq!(state(&mut db, &sql), SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
    }
    // The changes add up to what was there.
    let changes = db.query("SELECT tick, node_id, truth FROM dagdb_replay(4, 31)");
    let mut values = std::collections::BTreeMap::new();
    let mut changes = changes.iter().map(|row| {
        let mut fields = row.split('|').map(|f| f.parse::<u64>().unwrap());
        (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap())
    });
    let mut next = changes.next();
    for tick in 4..32 {
        while let Some((at, node, truth)) = next.filter(|c| c.0 == tick) {
            assert_eq!(at, tick);
            values.insert(node, truth);
            next = changes.next();
        }
        let want = db
            .query(&format!("SELECT id, truth FROM dagdb_nodes_as_of({tick}) WHERE truth <> 0 ORDER BY id"));
        let have: Vec<String> =
            values.iter().filter(|v| *v.1 != 0).map(|(n, t)| format!("{n}|{t}")).collect();
        assert_eq!(have, want, "tick {tick}");
    }
    assert_eq!(next, None);
    assert_eq!(
        db.query("SELECT node_id, truth FROM dagdb_exec('NODES AT RANK 1 AS OF TICK 3')"),
        db.query("SELECT id, truth FROM dagdb_nodes_as_of(3) WHERE rank = 1")
    );
    assert_eq!(
        db.query("SELECT count(*) FROM dagdb_exec('REPLAY FROM 4 TO 31')"),
        db.query("SELECT count(*) FROM dagdb_replay(4, 31)")
    );
    assert_eq!(db.query("SELECT count(*) FROM dagdb_edges_as_of(12)"), ["16"]);
    assert_eq!(db.query("SELECT count(*) FROM dagdb_edges_as_of(11)"), ["14"]);
    // Back in time, and on from there.
    db.run("SELECT dagdb_rewind(6)");
    assert_eq!(db.query(NODES), seen[4].1);
    db.run("SELECT dagdb_tick()");
    assert_eq!(db.query("SELECT graphticks FROM dagdb_graph"), ["35"]);
    let now = db.query(NODES);
    assert_eq!(as_of(&mut db, 35), now);
    assert_eq!(as_of(&mut db, 34), seen[seen.len() - 1].1);
    db.run("SELECT dagdb_save('now')");
    assert_eq!(state(&mut db, "SELECT dagdb_load('now')"), SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    db.run("SELECT dagdb_record('stop')");
    db.run("SELECT dagdb_load('now')");
    db.run("SELECT dagdb_record('start')");
    db.run("SELECT dagdb_record('stop')");
    db.run("SELECT dagdb_tick()");
    assert_eq!(as_of(&mut db, 35), now);
    assert_eq!(state(&mut db, "SELECT dagdb_record('start')"), SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    sound(&mut db);
    db.run("SELECT dagdb_record('drop')");
    assert_eq!(state(&mut db, "SELECT * FROM dagdb_replay()"), SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    sound(&mut db);
}

#[test]
fn a_tick_that_changes_nothing_is_recorded_without_a_frame() {
    let mut db = Db::new();
    db.run("SELECT dagdb_add_node(1, 'CONST1'), dagdb_add_node(0, 'OR6', ARRAY[0])");
    db.run("SELECT dagdb_record('start')");
    db.run("SELECT dagdb_tick(1000000000)");
    assert_eq!(db.query("SELECT histframes, histshapes, histlast FROM dagdb_history"), ["2|1|1000000000"]);
    assert_eq!(db.query("SELECT id, truth FROM dagdb_nodes_as_of(500000000)"), ["0|1", "1|1"]);
    assert_eq!(db.query("SELECT id, truth FROM dagdb_nodes_as_of(0)"), ["0|0", "1|0"]);
    db.run("SELECT dagdb_drop_graph('main')");
    assert_eq!(db.query("SELECT count(*) FROM dagdb_history"), ["0"]);
    sound(&mut db);
}

#[test]
fn scenarios_from_sql_are_what_ticks_give() {
    let mut db = Db::new();
    db.run("SELECT dagdb_add_node(2) FROM generate_series(0, 4)");
    db.run(
        "SELECT dagdb_add_node(1, 'XOR6', ARRAY[0, 1, 2]), dagdb_add_node(1, 'MAJ3', ARRAY[2, 3, 4]),
                dagdb_add_node(0, 'OR6', ARRAY[5, 6])",
    );
    let nodes = db.query(NODES);
    let batch = "SELECT scenario - 1, sum(truth << (node_id - 5)::int4) FROM
         dagdb_eval_batch('{0,1,2,3,4}', ARRAY(SELECT g FROM generate_series(0::int8, 31) g), '{5,6,7}') GROUP BY 1 ORDER BY 1";
    let many = batch
        .replace("(0::int8, 31) g)", "(0::int8, 4095) g)")
        .replace("GROUP BY 1", "WHERE scenario < 33 GROUP BY 1");
    let digits = batch.replace(
        "SELECT g FROM generate_series(0::int8, 31) g",
        "SELECT string_agg((g >> i & 1)::text, '' ORDER BY i) FROM generate_series(0, 31) g, generate_series(0, 4) i GROUP BY g ORDER BY g",
    );
    let answers = db.query(batch);
    assert_eq!(answers.len(), 32);
    assert_eq!(db.query(&many), answers);
    assert_eq!(db.query(&digits), answers);
    assert_eq!(db.query(NODES), nodes, "a question changes nothing");
    for scenario in [0, 5, 14, 31] {
        for i in 0..5 {
            let table = if scenario >> i & 1 == 1 { "CONST1" } else { "CONST0" };
            db.run(&format!("SELECT dagdb_set_lut({i}, '{table}')"));
        }
        db.run("SELECT dagdb_tick()");
        let ticked = db.query("SELECT sum(truth << (id - 5)::int4) FROM dagdb_nodes WHERE id > 4").remove(0);
        assert_eq!(answers[scenario], format!("{scenario}|{ticked}"));
    }
    for (sql, code) in [
        ("dagdb_eval_batch('{9}', '{1}'::int8[], '{0}')", SqlState::NUMERIC_VALUE_OUT_OF_RANGE),
        ("dagdb_eval_batch('{0,0}', '{1}'::int8[], '{0}')", SqlState::INVALID_PARAMETER_VALUE),
        ("dagdb_eval_batch('{0,1}', '{1}'::text[], '{0}')", SqlState::INVALID_PARAMETER_VALUE),
        ("dagdb_eval_batch('{0}', '{2}'::text[], '{0}')", SqlState::INVALID_PARAMETER_VALUE),
        ("dagdb_eval_batch('{0}', '{NULL}'::text[], '{0}')", SqlState::NULL_VALUE_NOT_ALLOWED),
    ] {
        assert_eq!(state(&mut db, &format!("SELECT * FROM {sql}")), code, "{sql}");
    }
    assert_eq!(db.query("SELECT * FROM dagdb_eval_batch('{0}', '{}'::int8[], '{0}')"), Vec::<String>::new());
    assert_eq!(db.query("SELECT * FROM dagdb_progress"), Vec::<String>::new());
}

/// Large enough that all cores take part.
#[test]
fn a_large_tick_by_all_cores_is_right() {
    const HALF: u32 = 100_000;
    let sources = |n: u32| [n, n.wrapping_mul(31).wrapping_add(7) % HALF];
    let one = |n: u32| n.wrapping_mul(7919) % 5 < 2;
    let mut graph = Graph::with_nodes(2 * HALF as usize).unwrap();
    for n in 0..HALF {
        let lut = if one(n) { Lut::CONST1 } else { Lut::CONST0 };
        graph.put(NodeId(n), &Node { rank: 1, lut, ..Node::default() });
        let [a, b] = sources(n).map(|s| Some(NodeId(s)));
        let inputs = [a, if a == b { None } else { b }, None, None, None, None];
        graph.put(NodeId(HALF + n), &Node { lut: Lut::XOR6, inputs, ..Node::default() });
    }
    let (mut recorder, mut bytes) = Recorder::begin(1);
    bytes.extend(recorder.record(1, &encode_graph(&graph, 0)).unwrap());
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"));
    let mut db = Db::new();
    db.run(&format!("SELECT dagdb_import_history('large', '\\x{}')", hex(&bytes)));
    db.run("SELECT dagdb_load('large')");
    db.run("SELECT dagdb_record('start')");
    db.run("SELECT dagdb_tick()");
    db.run("SELECT dagdb_save('ticked')");
    let exported = db.query("SELECT dagdb_export_history('ticked')").remove(0).into_bytes();
    let digit = |b: u8| (b as char).to_digit(16).unwrap() as u8;
    let bytes: Vec<u8> = exported[2..].chunks(2).map(|d| digit(d[0]) << 4 | digit(d[1])).collect();
    let (_, state) = History::open(&bytes).unwrap().state_at(u64::MAX).unwrap().unwrap();
    let (ticked, ticks) = decode_graph(&state).unwrap();
    assert_eq!(ticks, 1);
    for n in 0..HALF {
        let [a, b] = sources(n);
        let want = one(a) ^ (a != b && one(b));
        let have = (ticked.truths()[n as usize], ticked.truths()[(HALF + n) as usize]);
        assert_eq!(have, (u8::from(one(n)), u8::from(want)), "node {n}");
    }
    let recorded = "SELECT count(*), sum(truth) FROM dagdb_nodes_as_of(1)";
    assert_eq!(db.query(recorded), db.query("SELECT count(*), sum(truth) FROM dagdb_nodes"));
    assert_eq!(db.query("SELECT sum(truth) FROM dagdb_nodes_as_of(0)"), ["0"]);
}

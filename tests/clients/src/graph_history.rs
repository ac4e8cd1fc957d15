//! What graphs were and would be: saves, backups, recordings and scenarios; long ticks that are looked at and cancelled.

use std::{
    thread,
    time::{Duration, Instant},
};

use postgres::{Client, NoTls};

use crate::{
    Outcome, Test, Url, check, equal,
    graph::{code, with_graph},
};

pub const TESTS: &[Test] = &[
    ("graph history: saves in transactions", saves),
    ("graph history: backups", backups),
    ("graph history: damaged saves change nothing", damaged),
    ("graph history: ticks as they were", recording),
    ("graph history: scenarios", scenarios),
    ("graph history: a long tick is seen and cancelled", cancelled),
];

/// Four registers that count.
fn counter(url: &Url, name: &str) -> Outcome<Client> {
    let mut c = with_graph(url, name)?;
    c.batch_execute(
        "SELECT dagdb_add_node(1) FROM generate_series(0, 3);
         SELECT dagdb_add_node(0, '0x1', ARRAY[0]), dagdb_add_node(0, '0x6', ARRAY[0, 1]),
                dagdb_add_node(0, '0x78', ARRAY[0, 1, 2]), dagdb_add_node(0, '0x7F80', ARRAY[0, 1, 2, 3]);
         SELECT dagdb_connect_back(g + 4, g) FROM generate_series(0, 3) g",
    )?;
    Ok(c)
}

/// What the registers show.
const COUNT: &str = "SELECT sum(truth::int8 << id::int4)::int8 FROM dagdb_nodes WHERE id < 4";

fn number(c: &mut Client, sql: &str) -> Outcome<i64> {
    Ok(c.query_one(sql, &[])?.get(0))
}

fn text(c: &mut Client, sql: &str) -> Outcome<String> {
    Ok(c.query_one(sql, &[])?.get(0))
}

/// Lets go of saves and backups that an earlier run left.
fn forget(c: &mut Client) -> Outcome {
    c.batch_execute(
        "SELECT dagdb_drop_save(histname) FROM dagdb_history WHERE histkind = 's' AND histname LIKE 'client_%';
         SELECT dagdb_backup('drop', histname) FROM dagdb_history WHERE histkind = 'b' AND histname LIKE 'client_%'",
    )?;
    Ok(())
}

fn saves(url: &Url) -> Outcome {
    let mut c = counter(url, "client_saves")?;
    forget(&mut c)?;
    c.batch_execute("SELECT dagdb_tick(5); SELECT dagdb_save('client_five')")?;
    let mut other = Client::connect(&url.text, NoTls)?;
    other.batch_execute("SET dagdb.graph = 'client_saves'; BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    equal("in a snapshot", number(&mut other, COUNT)?, 5)?;
    c.batch_execute("SELECT dagdb_tick(4)")?;
    c.batch_execute("BEGIN; SELECT dagdb_save('client_five'); SELECT dagdb_save('client_nine')")?;
    c.batch_execute("SELECT dagdb_tick(); SAVEPOINT s; SELECT dagdb_load('client_nine')")?;
    equal("loaded what was just saved", number(&mut c, COUNT)?, 9)?;
    c.batch_execute("ROLLBACK TO s")?;
    equal("the load was rolled back", number(&mut c, COUNT)?, 10)?;
    c.batch_execute("ROLLBACK")?;
    equal("all of it was", number(&mut c, COUNT)?, 9)?;
    code("no such save", c.batch_execute("SELECT dagdb_load('client_nine')"), "42704")?;
    c.batch_execute("SELECT dagdb_load('client_five')")?;
    equal("the first save is as it was", number(&mut c, COUNT)?, 5)?;
    equal("the snapshot still", number(&mut other, COUNT)?, 5)?;
    other.batch_execute("COMMIT")?;
    // Into another graph.
    c.batch_execute("SELECT dagdb_tick(); SELECT * FROM dagdb_exec('SAVE client_six COMPRESSED')")?;
    let mut second = with_graph(url, "client_saves_too")?;
    second.batch_execute("SELECT * FROM dagdb_exec('LOAD client_six')")?;
    equal("in another graph", number(&mut second, COUNT)?, 6)?;
    equal(
        "what there is",
        text(
            &mut c,
            "SELECT string_agg(histname, ' ' ORDER BY histname) FROM dagdb_history WHERE histkind = 's' AND histname LIKE 'client_%'",
        )?,
        "client_five client_six".to_owned(),
    )?;
    code("read only", c.batch_execute("BEGIN READ ONLY; SELECT dagdb_save('client_x')"), "25006")?;
    c.batch_execute("ROLLBACK")?;
    forget(&mut c)
}

fn backups(url: &Url) -> Outcome {
    let mut c = counter(url, "client_backups")?;
    forget(&mut c)?;
    c.batch_execute("SELECT * FROM dagdb_exec('BACKUP INIT client_chain')")?;
    for _ in 0..5 {
        c.batch_execute("SELECT dagdb_tick(); SELECT * FROM dagdb_exec('BACKUP APPEND client_chain')")?;
    }
    c.batch_execute("SELECT dagdb_tick(); BEGIN; SELECT dagdb_backup('append', 'client_chain'); ROLLBACK")?;
    let info = text(&mut c, "SELECT message FROM dagdb_exec('BACKUP INFO client_chain')")?;
    check(&info, info.starts_with("OK BACKUP INFO frames=6 ") && info.contains(" ticks=0-5 "))?;
    c.batch_execute(
        "SELECT dagdb_backup('compact', 'client_chain'); SELECT dagdb_backup('restore', 'client_chain')",
    )?;
    equal("restored", number(&mut c, COUNT)?, 5)?;
    code("there already", c.batch_execute("SELECT dagdb_backup('init', 'client_chain')"), "42710")?;
    code("unknown", c.batch_execute("SELECT dagdb_backup('mend', 'client_chain')"), "22023")?;
    forget(&mut c)
}

fn damaged(url: &Url) -> Outcome {
    let mut c = counter(url, "client_damaged")?;
    forget(&mut c)?;
    c.batch_execute("SELECT dagdb_tick(3); SELECT dagdb_save('client_kept')")?;
    let kept: Vec<u8> = c.query_one("SELECT dagdb_export_history('client_kept')", &[])?.get(0);
    c.batch_execute("SELECT dagdb_drop_save('client_kept'); SELECT dagdb_tick(4)")?;
    let import = "SELECT dagdb_import_history('client_kept', $1)";
    for at in (0..kept.len()).step_by(7) {
        let mut bytes = kept.clone();
        if let Some(b) = bytes.get_mut(at) {
            *b ^= 0x10;
        }
        let refused = c.query(import, &[&bytes]).err();
        let state = refused.as_ref().and_then(|e| e.code()).map(|s| s.code().to_owned()).unwrap_or_default();
        check(format!("byte {at}: {state}"), state == "XX001" || state == "22P03")?;
    }
    code("cut short", c.query(import, &[&&kept[..kept.len() / 2]]), "XX001")?;
    code("something else", c.query(import, &[&&b"GIF89a"[..]]), "22P03")?;
    equal("the graph", number(&mut c, COUNT)?, 7)?;
    equal(
        "saves",
        number(
            &mut c,
            "SELECT count(*) FROM dagdb_history WHERE histname LIKE 'client_%' AND histkind = 's'",
        )?,
        0,
    )?;
    c.query(import, &[&kept])?;
    c.batch_execute("SELECT dagdb_load('client_kept')")?;
    equal("taken back", number(&mut c, COUNT)?, 3)?;
    forget(&mut c)
}

fn recording(url: &Url) -> Outcome {
    let mut c = counter(url, "client_recording")?;
    code("not recorded", c.batch_execute("SELECT * FROM dagdb_nodes_as_of(0)"), "55000")?;
    c.batch_execute("SELECT * FROM dagdb_exec('RECORD START EVERY 8'); SELECT dagdb_tick(20)")?;
    c.batch_execute("BEGIN; SELECT dagdb_tick(20); ROLLBACK")?;
    for tick in 0..=20 {
        let then = "SELECT sum(truth::int8 << id::int4)::int8 FROM dagdb_nodes_as_of($1) WHERE id < 4";
        equal(&format!("as of tick {tick}"), c.query_one(then, &[&tick])?.get::<_, i64>(0), tick % 16)?;
    }
    code("rolled back", c.batch_execute("SELECT * FROM dagdb_nodes_as_of(21)"), "22003")?;
    // A tick in the past as the tables show it: with their ways in, and joins.
    c.batch_execute("SET dagdb.as_of_tick = 11")?;
    equal("as of a setting", number(&mut c, COUNT)?, 11)?;
    let lines = c.query("EXPLAIN SELECT * FROM dagdb_nodes WHERE rank = 1 AND truth = 1", &[])?;
    let plan: String = lines.iter().map(|r| r.get::<_, String>(0)).collect();
    check(&plan, plan.contains("Graph Index Scan"))?;
    equal(
        "by rank and truth",
        number(&mut c, "SELECT count(*) FROM dagdb_nodes WHERE rank = 1 AND truth = 1")?,
        3,
    )?;
    c.batch_execute("RESET dagdb.as_of_tick")?;
    let joined = "SELECT count(*) FROM dagdb_nodes_as_of(11) a JOIN dagdb_nodes b USING (id) WHERE a.truth <> b.truth AND id < 4";
    equal("then and now", number(&mut c, joined)?, 4)?;
    equal("replayed", number(&mut c, "SELECT count(*) FROM dagdb_replay(8, 12) WHERE node_id = 0")?, 4)?;
    c.batch_execute("SELECT dagdb_rewind(6)")?;
    equal("rewound", number(&mut c, COUNT)?, 6)?;
    equal(
        "ticks go on",
        number(&mut c, "SELECT graphticks FROM dagdb_graph WHERE graphname = 'client_recording'")?,
        20,
    )?;
    c.batch_execute("SELECT dagdb_drop_graph('client_recording')")?;
    let left = "SELECT count(*) FROM dagdb_history WHERE histname = 'client_recording'";
    equal("gone with its graph", number(&mut c, left)?, 0)
}

fn scenarios(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_scenarios")?;
    // A full adder: sum and carry of three inputs.
    c.batch_execute(
        "SELECT dagdb_add_node(1) FROM generate_series(1, 3);
         SELECT dagdb_add_node(0, 'XOR6', ARRAY[0, 1, 2]), dagdb_add_node(0, 'MAJ3', ARRAY[0, 1, 2])",
    )?;
    let wrong = "SELECT count(*) FROM (
            SELECT (scenario - 1) % 8 AS s, sum(truth << (node_id - 3)::int4) AS got
            FROM dagdb_eval_batch('{0,1,2}', ARRAY(SELECT g % 8 FROM generate_series(0::int8, 4095) g), '{3,4}')
            GROUP BY scenario
        ) x WHERE got <> (s & 1) + (s >> 1 & 1) + (s >> 2)";
    equal("wrong sums", number(&mut c, wrong)?, 0)?;
    equal("the graph as before", number(&mut c, "SELECT sum(truth)::int8 FROM dagdb_nodes")?, 0)
}

fn cancelled(url: &Url) -> Outcome {
    let mut c = counter(url, "client_cancelled")?;
    // A device would notice that the counter repeats itself, and be done.
    c.batch_execute("SET compute_backend = cpu; SELECT dagdb_tick(3)")?;
    let token = c.cancel_token();
    let mut other = Client::connect(&url.text, NoTls)?;
    let ticking = thread::spawn(move || {
        let ended = c.batch_execute("SELECT dagdb_tick(9000000000000000000)");
        (c, ended)
    });
    let seen = "SELECT count(*) FROM dagdb_progress
         WHERE graph = 'client_cancelled' AND phase = 'working' AND ticks_done > 1000 AND ticks_total = 9000000000000000000";
    let begun = Instant::now();
    while number(&mut other, seen)? == 0 {
        check("progress is shown", begun.elapsed() < Duration::from_secs(60))?;
        thread::sleep(Duration::from_millis(20));
    }
    token.cancel_query(NoTls)?;
    let (mut c, ended) = ticking.join().map_err(|_| crate::Failure::Failed("a thread panicked".into()))?;
    code("cancelled", ended, "57014")?;
    equal("nothing changed", number(&mut c, COUNT)?, 3)?;
    let left = "SELECT count(*) FROM dagdb_progress WHERE graph = 'client_cancelled'";
    equal("no longer under way", number(&mut other, left)?, 0)
}

//! Graphs through SQL: commands and functions, tables, transactions, sessions beside each other, bad input.

use std::thread;

use postgres::{Client, NoTls};

use crate::{Failure, Outcome, Test, Url, check, equal};

pub const TESTS: &[Test] = &[
    ("graph: status, ticks and nodes by rank", gates),
    ("graph: a counter of four registers", counter),
    ("graph: tables in queries", tables),
    ("graph: transactions", transactions),
    ("graph: three hundred sessions", sessions),
    ("graph: bad input changes nothing", bad_input),
];

/// A session whose current graph is a new one of this name.
pub fn with_graph(url: &Url, name: &str) -> Outcome<Client> {
    let mut c = Client::connect(&url.text, NoTls)?;
    if c.query_opt("SELECT 1 FROM dagdb_graph WHERE graphname = $1", &[&name])?.is_some() {
        c.execute("SELECT dagdb_drop_graph($1)", &[&name])?;
    }
    c.execute("SELECT dagdb_create_graph($1)", &[&name])?;
    c.batch_execute(&format!("SET dagdb.graph = '{name}'"))?;
    Ok(c)
}

/// Sources of rank 2, an OR and an AND of them of rank 1, and the XOR of both at the root.
pub fn small(c: &mut Client) -> Outcome {
    c.batch_execute(
        "SELECT dagdb_add_node(2, 'CONST1'), dagdb_add_node(2), dagdb_add_node(2, 'CONST1');
         SELECT dagdb_add_node(1, 'OR3', ARRAY[0, 1]), dagdb_add_node(1, 'AND3', ARRAY[0, 1, 2]);
         SELECT dagdb_add_node(0, 'XOR6', ARRAY[3, 4])",
    )?;
    Ok(())
}

pub fn message(c: &mut Client, command: &str) -> Outcome<String> {
    Ok(c.query_one("SELECT message FROM dagdb_exec($1)", &[&command])?.get(0))
}

pub fn ids(c: &mut Client, sql: &str) -> Outcome<Vec<i64>> {
    Ok(c.query(sql, &[])?.iter().map(|r| r.get(0)).collect())
}

fn gates(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_gates")?;
    small(&mut c)?;
    let status = message(&mut c, "STATUS")?;
    check(format!("status: {status}"), status.starts_with("OK STATUS nodes=6 ticks=0"))?;
    let ticked = message(&mut c, "tick 100")?;
    check(format!("tick: {ticked}"), ticked.starts_with("OK TICK 100 ") && ticked.ends_with("total=100"))?;
    let at_rank = "SELECT node_id FROM dagdb_exec('NODES AT RANK 2') ORDER BY 1";
    equal("nodes at rank 2", ids(&mut c, at_rank)?, vec![0, 1, 2])?;
    let wanted = "SELECT node_id FROM dagdb_exec('NODES AT RANK 2 WHERE truth=1') ORDER BY 1";
    equal("true nodes at rank 2", ids(&mut c, wanted)?, vec![0, 2])?;
    let root = "SELECT node_id FROM dagdb_exec('EVAL ROOT WHERE state=1 RANK 5 TO 0') ORDER BY 1";
    equal("eval", ids(&mut c, root)?, vec![0, 2, 3, 5])?;
    let near = "SELECT node_id FROM dagdb_exec('TRAVERSE FROM 5 DEPTH 1') ORDER BY 1";
    equal("traverse", ids(&mut c, near)?, vec![3, 4, 5])?;
    let validated = message(&mut c, "VALIDATE")?;
    equal("validate", validated.as_str(), "OK VALIDATE nodes=6")
}

fn counter(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_counter")?;
    // A register a bit, and what each will be: a bit turns when all lower ones are 1.
    c.batch_execute(
        "SELECT dagdb_add_node(1) FROM generate_series(0, 3);
         SELECT dagdb_add_node(0, '0x1', ARRAY[0]), dagdb_add_node(0, '0x6', ARRAY[0, 1]),
                dagdb_add_node(0, '0x78', ARRAY[0, 1, 2]), dagdb_add_node(0, '0x7F80', ARRAY[0, 1, 2, 3]);
         SELECT dagdb_connect_back(g + 4, g) FROM generate_series(0, 3) g",
    )?;
    for n in 1..=17i64 {
        c.batch_execute("SELECT dagdb_tick()")?;
        let sql = "SELECT sum(truth::int8 << id::int4)::int8 FROM dagdb_nodes WHERE id < 4";
        equal(&format!("after tick {n}"), c.query_one(sql, &[])?.get::<_, i64>(0), n % 16)?;
    }
    equal(
        "back edges",
        ids(&mut c, "SELECT source FROM dagdb_edges WHERE back ORDER BY 1")?,
        vec![4, 5, 6, 7],
    )
}

fn tables(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_tables")?;
    small(&mut c)?;
    c.batch_execute("SELECT dagdb_tick()")?;
    let plan = c.query("EXPLAIN SELECT * FROM dagdb_nodes WHERE rank = 2 AND truth = 1", &[])?;
    let plan: String = plan.iter().map(|r| r.get::<_, String>(0) + "\n").collect();
    check(&plan, plan.contains("Graph Index Scan using dagdb_nodes_rank_truth"))?;
    for (what, sql, wanted) in [
        ("rank and truth", "SELECT id FROM dagdb_nodes WHERE rank = 2 AND truth = 1 ORDER BY id", vec![0, 2]),
        ("a range", "SELECT id FROM dagdb_nodes WHERE rank > 0.5 AND rank < 2 ORDER BY rank, truth", vec![4, 3]),
        ("a list", "SELECT id FROM dagdb_nodes WHERE rank IN (0, 7) ORDER BY id", vec![5]),
        ("backwards", "SELECT id FROM dagdb_nodes WHERE id >= 3 ORDER BY id DESC", vec![5, 4, 3]),
        ("readers", "SELECT target FROM dagdb_edges WHERE source = 0 ORDER BY 1", vec![3, 4]),
        (
            "a join",
            "SELECT s.id FROM dagdb_nodes n JOIN dagdb_edges e ON e.target = n.id JOIN dagdb_nodes s ON s.id = e.source
             WHERE n.rank = 1 AND s.truth = 0",
            vec![1, 1],
        ),
        ("a table", "SELECT id FROM dagdb_nodes JOIN (VALUES (5), (3)) v(n) ON id = n ORDER BY 1", vec![3, 5]),
        ("ancestry", "SELECT node_id FROM dagdb_ancestry(4, 1) ORDER BY 1", vec![0, 1, 2, 4]),
    ] {
        equal(what, ids(&mut c, sql)?, wanted)?;
    }
    Ok(())
}

fn truths(c: &mut Client) -> Outcome<Vec<i16>> {
    Ok(c.query("SELECT truth FROM dagdb_nodes ORDER BY id", &[])?.iter().map(|r| r.get(0)).collect())
}

fn transactions(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_transactions")?;
    small(&mut c)?;
    c.batch_execute("SELECT dagdb_tick()")?;
    let before = vec![1, 0, 1, 1, 0, 1];
    let after = vec![1, 1, 1, 1, 1, 0];
    let mut other = Client::connect(&url.text, NoTls)?;
    other.batch_execute("SET dagdb.graph = 'client_transactions'; SET lock_timeout = 200")?;
    c.batch_execute("BEGIN; SELECT dagdb_set_lut(1, 'CONST1'); SELECT dagdb_tick()")?;
    equal("own changes", truths(&mut c)?, after.clone())?;
    equal("what others see", truths(&mut other)?, before.clone())?;
    code("two writers", other.batch_execute("SELECT dagdb_tick()"), "55P03")?;
    c.batch_execute("ROLLBACK")?;
    equal("after rollback", truths(&mut c)?, before.clone())?;
    other.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    equal("a snapshot", truths(&mut other)?, before.clone())?;
    c.batch_execute(
        "BEGIN; SAVEPOINT s; SELECT dagdb_set_lut(0, 'CONST0'); SELECT dagdb_tick(); ROLLBACK TO s;
         SELECT dagdb_set_lut(1, 'CONST1'); SELECT dagdb_tick(); COMMIT",
    )?;
    equal("after commit", truths(&mut c)?, after)?;
    equal("the snapshot still", truths(&mut other)?, before)?;
    code("a change behind the snapshot", other.batch_execute("SELECT dagdb_tick()"), "40001")?;
    other.batch_execute("ROLLBACK")?;
    code("read only", c.batch_execute("BEGIN READ ONLY; SELECT dagdb_tick()"), "25006")?;
    c.batch_execute("ROLLBACK; BEGIN; SELECT dagdb_drop_graph('client_transactions'); ROLLBACK")?;
    equal("nodes", truths(&mut c)?.len(), 6)
}

fn sessions(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_sessions")?;
    small(&mut c)?;
    // They are opened one by one and work at the same time.
    let mut clients = Vec::new();
    for _ in 0..300 {
        clients.push(Client::connect(&url.text, NoTls)?);
    }
    let threads: Vec<_> = clients
        .into_iter()
        .map(|mut c| {
            thread::spawn(move || -> Result<usize, postgres::Error> {
                c.batch_execute("SET dagdb.graph = 'client_sessions'; SELECT * FROM dagdb_exec('STATUS')")?;
                c.batch_execute("SELECT * FROM dagdb_exec('TICK 100')")?;
                Ok(c.query("SELECT * FROM dagdb_exec('NODES AT RANK 2')", &[])?.len())
            })
        })
        .collect();
    for t in threads {
        let nodes = t.join().map_err(|_| Failure::Failed("a thread panicked".into()))??;
        equal("nodes at rank 2", nodes, 3)?;
    }
    let status = message(&mut c, "STATUS")?;
    check(format!("status: {status}"), status.contains(" ticks=30000 "))
}

pub fn code<T>(what: &str, got: Result<T, postgres::Error>, code: &str) -> Outcome {
    let e = got.err().ok_or_else(|| Failure::Failed(format!("{what}: no error")))?;
    equal(what, e.code().map(|c| c.code().to_owned()), Some(code.to_owned()))
}

fn bad_input(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_bad_input")?;
    small(&mut c)?;
    c.batch_execute("SELECT dagdb_add_node(1, 'OR6', ARRAY[0, 1, 2]); SELECT dagdb_add_node(9) FROM generate_series(1, 4)")?;
    c.batch_execute("SELECT dagdb_connect(n, 6) FROM generate_series(7, 9) n")?;
    let rows = "SELECT n::text FROM dagdb_nodes n ORDER BY id";
    let all = |c: &mut Client| -> Outcome<Vec<String>> {
        Ok(c.query(rows, &[])?.iter().map(|r| r.get(0)).collect())
    };
    let before = all(&mut c)?;
    for (sql, wanted) in [
        ("SELECT * FROM dagdb_exec('FROB 1')", "42601"),
        ("SELECT * FROM dagdb_exec('SET 1 TRUTH')", "42601"),
        ("SELECT * FROM dagdb_exec('CONNECT FROM 5 TO 0')", "23514"),
        ("SELECT dagdb_connect(4, 4)", "23514"),
        ("SELECT dagdb_connect(0, 3)", "23505"),
        ("SELECT dagdb_connect(10, 6)", "54000"),
        ("SELECT dagdb_add_node(0, 'OR6', ARRAY[0, 1, 2, 7, 8, 9, 10])", "54000"),
        ("SELECT dagdb_connect(99, 3)", "22003"),
        ("SELECT dagdb_set_truth(0, 256)", "22003"),
        ("SELECT dagdb_set_rank(0, 18446744073709551616)", "22003"),
        ("SELECT * FROM dagdb_exec('SET 0 RANK 18446744073709551616')", "22003"),
        ("SELECT dagdb_set_rank(3, 2)", "23514"),
        ("SELECT dagdb_connect_back(5, 3)", "23514"),
        ("SELECT dagdb_set_lut(3, 'MAYBE')", "22023"),
        ("SELECT dagdb_tick(0)", "22023"),
        ("SELECT dagdb_create_graph('client_too_large', 4000000000)", "53200"),
        ("SELECT dagdb_create_graph('client_bad_input')", "42710"),
        ("SELECT dagdb_drop_graph('client_none')", "42704"),
        ("SELECT * FROM dagdb_exec('SAVE JSON somewhere')", "0A000"),
        ("SELECT * FROM dagdb_exec('LOAD nothing')", "42704"),
        // The second call of a statement fails, and takes the first with it.
        ("SELECT dagdb_set_truth(0, 1), dagdb_set_truth(99, 1)", "22003"),
    ] {
        code(sql, c.batch_execute(sql), wanted)?;
    }
    equal("the graph as before", all(&mut c)?, before)
}

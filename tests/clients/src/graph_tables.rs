//! Graphs made and changed through SQL: DML and COPY, built from queries, imported; what is asked about them; demos.

use std::io::{Read, Write};

use postgres::Client;

#[path = "../../../dagdb_engine/build/tests/aig/mod.rs"]
mod aig;

use crate::{
    Outcome, Test, Url, check, equal,
    graph::{code, ids, message, small, with_graph},
};

use aig::Aig;

pub const TESTS: &[Test] = &[
    ("graph tables: COPY in and out", copy),
    ("graph tables: changes by INSERT, UPDATE and DELETE", changes),
    ("graph tables: a multiplier from AIGER", multiplier),
    ("graph tables: a map coloured by arc consistency", map),
    ("graph tables: votes and vetoes joined with a table", votes),
    ("graph tables: built with ghosts, bands and in the order of a grid", built),
    ("graph tables: distances, likeness, ranks", comparisons),
    ("graph tables: readers", readers),
    ("graph tables: plans", plans),
    ("graph tables: bad files change nothing", bad_files),
];

fn number(c: &mut Client, sql: &str) -> Outcome<i64> {
    Ok(c.query_one(sql, &[])?.get(0))
}

fn copied_out(c: &mut Client, sql: &str) -> Outcome<String> {
    let mut text = String::new();
    c.copy_out(sql)?.read_to_string(&mut text)?;
    Ok(text)
}

fn copy_in(c: &mut Client, sql: &str, text: &str) -> Result<u64, postgres::Error> {
    let mut writer = c.copy_in(sql)?;
    // What the server says comes at the end.
    let _ = writer.write_all(text.as_bytes());
    writer.finish()
}

fn copy(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_copy")?;
    // More than one batch; rows refer to later ones.
    let nodes: String = (0..5000).map(|n| format!("{}\t{}\n", n % 7, n % 3)).collect();
    equal("nodes", copy_in(&mut c, "COPY dagdb_nodes (rank, truth) FROM STDIN", &nodes)?, 5000)?;
    let edges: String =
        (0..5000).filter(|n| n % 7 < 6).map(|n| format!("{},{n}\n", (n + 1) % 5000)).collect();
    let edges = edges.replace("0,4999\n", "6,4999\n");
    let count = edges.lines().count() as u64;
    equal(
        "edges",
        copy_in(&mut c, "COPY dagdb_edges (source, target) FROM STDIN (FORMAT csv)", &edges)?,
        count,
    )?;
    equal("validated", message(&mut c, "VALIDATE")?.as_str(), "OK VALIDATE nodes=5000")?;
    let before = copied_out(&mut c, "COPY dagdb_nodes TO STDOUT")?;
    equal("lines", before.lines().count(), 5000)?;
    // A row that breaks a rule takes the whole file with it.
    let bad = "9\t0\n1\t0\n";
    let sql = "COPY dagdb_edges (source, target) FROM STDIN";
    code("a bad edge", copy_in(&mut c, sql, bad), "23505")?;
    code("a bad number", copy_in(&mut c, sql, "1\tx\n"), "22P02")?;
    equal("after errors", copied_out(&mut c, "COPY dagdb_nodes TO STDOUT")?, before.clone())?;
    // Both files make the same graph elsewhere.
    let mut other = with_graph(url, "client_copy_again")?;
    copy_in(&mut other, "COPY dagdb_nodes FROM STDIN", &before)?;
    equal("again", copied_out(&mut other, "COPY dagdb_nodes TO STDOUT")?, before)?;
    equal("its edges", number(&mut other, "SELECT count(*) FROM dagdb_edges")?, count as i64)
}

fn changes(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_changes")?;
    let made = c.query(
        "INSERT INTO dagdb_nodes (rank, lut, inputs) VALUES (1, 'CONST1', NULL), (1, 'CONST1', NULL), (0, 'AND3', ARRAY[0, 1])
         RETURNING id",
        &[],
    )?;
    equal("ids", made.iter().map(|r| r.get::<_, i64>(0)).collect::<Vec<_>>(), vec![0, 1, 2])?;
    let lut = "UPDATE dagdb_nodes SET lut = $2 WHERE id = $1";
    equal("updated", c.execute(lut, &[&2i64, &"OR3"])?, 1)?;
    equal("all ranks at once", c.execute("UPDATE dagdb_nodes SET rank = rank + 5", &[])?, 3)?;
    equal("a moved edge", c.execute("UPDATE dagdb_edges SET slot = 4 WHERE source = 1", &[])?, 1)?;
    let width = "SELECT array_length(inputs, 1)::int8 FROM dagdb_nodes WHERE id = 2";
    equal("inputs", number(&mut c, width)?, 5)?;
    equal("removed", c.execute("DELETE FROM dagdb_edges WHERE source = 0", &[])?, 1)?;
    equal("last node", c.execute("DELETE FROM dagdb_nodes WHERE id = 2", &[])?, 1)?;
    equal("nodes", ids(&mut c, "SELECT id FROM dagdb_nodes")?, vec![0, 1])?;
    code(
        "on conflict",
        c.batch_execute("INSERT INTO dagdb_nodes (id) VALUES (0) ON CONFLICT DO NOTHING"),
        "0A000",
    )?;
    code(
        "merge",
        c.batch_execute(
            "MERGE INTO dagdb_nodes n USING (VALUES (0)) v(i) ON n.id = v.i WHEN MATCHED THEN DELETE",
        ),
        "0A000",
    )
}

fn multiplier(url: &Url) -> Outcome {
    const BITS: u32 = 4;
    let mut c = with_graph(url, "client_multiplier")?;
    let mut aig = Aig::new(2 * BITS);
    let bits: Vec<u32> = (1..=2 * BITS).map(|i| 2 * i).collect();
    let (a, b) = bits.split_at(BITS as usize);
    let product = aig.multiply(a, b);
    let mut names: String = (0..2 * BITS).map(|i| format!("i{i} x{i}\n")).collect();
    names.extend((0..product.len()).map(|i| format!("o{i} p{i}\n")));
    c.batch_execute("DROP TABLE IF EXISTS client_pins")?;
    c.batch_execute(&format!(
        "CREATE TABLE client_pins AS SELECT kind, substr(name, 2)::int AS bit, node_id FROM dagdb_import('aiger', '{}')",
        aig.ascii(&product, &names)
    ))?;
    let set =
        "UPDATE dagdb_nodes SET lut = CASE WHEN ($1::int8 >> bit) & 1 = 1 THEN 'CONST1' ELSE 'CONST0' END
               FROM client_pins WHERE kind = 'input' AND id = node_id";
    let set = c.prepare(set)?;
    let read = "SELECT sum(truth::int8 << bit)::int8 FROM dagdb_nodes JOIN client_pins ON id = node_id WHERE kind = 'output'";
    let read = c.prepare(read)?;
    for (a, b) in (0..16i64).flat_map(|a| [0, 1, 7, 10, 15].map(|b| (a, b))) {
        c.execute(&set, &[&(a | b << BITS)])?;
        c.batch_execute("SELECT dagdb_tick()")?;
        equal(&format!("{a} * {b}"), c.query_one(&read, &[])?.get::<_, i64>(0), a * b)?;
    }
    c.batch_execute("DROP TABLE client_pins")?;
    Ok(())
}

fn map(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_map")?;
    c.batch_execute(
        "DROP TABLE IF EXISTS client_states, client_borders, client_map;
         CREATE TABLE client_states (id int, name text);
         INSERT INTO client_states VALUES (0, 'WA'), (1, 'NT'), (2, 'SA'), (3, 'Q'), (4, 'NSW'), (5, 'V'), (6, 'T');
         CREATE TABLE client_borders (a int, b int);
         INSERT INTO client_borders VALUES (0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (2, 4), (2, 5), (3, 4), (4, 5);
         INSERT INTO client_borders SELECT b, a FROM client_borders",
    )?;
    // A register a state and colour: is it still possible? It is while each neighbour has another colour left.
    c.batch_execute(
        "CREATE TABLE client_map AS SELECT * FROM dagdb_build(
           'SELECT id * 3 + c AS id, NULL::text AS function, 100 + id * 3 + c AS back, 1 AS truth
              FROM client_states, generate_series(0, 2) c
            UNION ALL SELECT 100 + id * 3 + c, ''AND'', NULL, 0 FROM client_states, generate_series(0, 2) c
            UNION ALL SELECT 1000 + (a * 10 + b) * 3 + c, ''OR'', NULL, 0 FROM client_borders, generate_series(0, 2) c',
           'SELECT id * 3 + c AS source, 100 + id * 3 + c AS target FROM client_states, generate_series(0, 2) c
            UNION ALL SELECT 1000 + (a * 10 + b) * 3 + c, 100 + a * 3 + c FROM client_borders, generate_series(0, 2) c
            UNION ALL SELECT b * 3 + (c + d) % 3, 1000 + (a * 10 + b) * 3 + c
              FROM client_borders, generate_series(0, 2) c, generate_series(1, 2) d')",
    )?;
    equal("nodes", number(&mut c, "SELECT count(*) FROM dagdb_nodes")?, 21 + 54 + 21)?;
    equal("registers", number(&mut c, "SELECT count(*) FROM dagdb_edges WHERE back")?, 21)?;
    // Western Australia is red and the Northern Territory green.
    c.batch_execute(
        "UPDATE dagdb_nodes SET truth = 0 FROM client_map WHERE id = node_id AND key IN (1, 2, 3, 5);
         SELECT dagdb_tick(100)",
    )?;
    let left = c.query(
        "SELECT s.name, string_agg(v.colour, ' ' ORDER BY v.c)
         FROM client_states s, (VALUES (0, 'red'), (1, 'green'), (2, 'blue')) v(c, colour), client_map m, dagdb_nodes n
         WHERE m.key = s.id * 3 + v.c AND n.id = m.node_id AND n.truth = 1 GROUP BY s.id, s.name ORDER BY s.id",
        &[],
    )?;
    let left: Vec<String> =
        left.iter().map(|r| format!("{} {}", r.get::<_, String>(0), r.get::<_, String>(1))).collect();
    let wanted = ["WA red", "NT green", "SA blue", "Q red", "NSW green", "V red", "T red green blue"];
    equal("colours", left, wanted.map(String::from).to_vec())?;
    c.batch_execute("DROP TABLE client_states, client_borders, client_map")?;
    Ok(())
}

fn votes(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_votes")?;
    c.batch_execute(
        "DROP TABLE IF EXISTS client_proposals, client_votes, client_decisions;
         CREATE TABLE client_proposals (id int, name text);
         INSERT INTO client_proposals SELECT g, 'proposal ' || g FROM generate_series(1, 40) g;
         CREATE TABLE client_votes (proposal int, voter int, yes bool, veto bool);
         INSERT INTO client_votes SELECT p, v, (p * 7 + v * 13) % 5 < 3, (p + v) % 9 = 0 AND v < 3
           FROM generate_series(1, 40) p, generate_series(1, 9) v;
         CREATE TABLE client_decisions AS SELECT * FROM dagdb_build(
           'SELECT 1000 * proposal + voter AS id, CASE WHEN yes THEN ''CONST1'' ELSE ''CONST0'' END AS function FROM client_votes
            UNION ALL SELECT 1000 * proposal + 100 + voter, CASE WHEN veto THEN ''CONST1'' ELSE ''CONST0'' END FROM client_votes
            UNION ALL SELECT 1000 * id + 200, ''MAJORITY'' FROM client_proposals
            UNION ALL SELECT 1000 * id + 300, ''NOR'' FROM client_proposals
            UNION ALL SELECT 1000 * id, ''AND'' FROM client_proposals',
           'SELECT 1000 * proposal + voter AS source, 1000 * proposal + 200 AS target FROM client_votes
            UNION ALL SELECT 1000 * proposal + 100 + voter, 1000 * proposal + 300 FROM client_votes
            UNION ALL SELECT 1000 * id + 200, 1000 * id FROM client_proposals
            UNION ALL SELECT 1000 * id + 300, 1000 * id FROM client_proposals')
         WHERE key % 1000 = 0;
         SELECT dagdb_tick()",
    )?;
    let accepted = ids(
        &mut c,
        "SELECT p.id::int8 FROM client_proposals p JOIN client_decisions d ON d.key = p.id * 1000
         JOIN dagdb_nodes n ON n.id = d.node_id WHERE n.truth = 1 ORDER BY 1",
    )?;
    let counted = ids(
        &mut c,
        "SELECT proposal::int8 FROM client_votes GROUP BY proposal
         HAVING 2 * sum(yes::int) > count(*) AND NOT bool_or(veto) ORDER BY 1",
    )?;
    check("some are accepted", !counted.is_empty() && counted.len() < 40)?;
    equal("accepted", accepted, counted)?;
    check("hubs were split", number(&mut c, "SELECT count(*) FROM dagdb_nodes WHERE type = 1")? > 0)?;
    c.batch_execute("DROP TABLE client_proposals, client_votes, client_decisions")?;
    Ok(())
}

fn built(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_built")?;
    // A chain 0 -> 1 -> ... -> 9, and 0 -> 9 over all of it.
    let nodes = "SELECT g AS id, CASE WHEN g = 0 THEN ''CONST1'' ELSE ''OR'' END AS function FROM generate_series(0, 9) g";
    let edges = "SELECT g AS source, g + 1 AS target FROM generate_series(0, 8) g UNION ALL SELECT 0, 9";
    let build = |policy: &str, ghosts: bool| {
        format!("SELECT count(*) FROM dagdb_build('{nodes}', '{edges}', '{policy}', {ghosts})")
    };
    equal("drafts", number(&mut c, &build("topological", true))?, 10)?;
    equal("ghosts", number(&mut c, "SELECT count(*) FROM dagdb_nodes WHERE type = 2")?, 8)?;
    let spans = "SELECT count(*) FROM dagdb_edges e JOIN dagdb_nodes s ON s.id = e.source JOIN dagdb_nodes t ON t.id = e.target
                 WHERE s.rank <> t.rank + 1";
    equal("edges over more than one rank", number(&mut c, spans)?, 0)?;
    code("a graph that is there", c.batch_execute(&build("sequence", false)), "55000")?;
    c.batch_execute("DELETE FROM dagdb_nodes")?;
    equal("sequence", number(&mut c, &build("sequence", false))?, 10)?;
    equal("ranks", ids(&mut c, "SELECT rank::int8 FROM dagdb_nodes ORDER BY id LIMIT 3")?, vec![9, 8, 7])?;
    c.batch_execute("DELETE FROM dagdb_nodes")?;
    code("neighbours in one band", c.batch_execute(&build("chain band 2", false)), "23514")?;
    code("no policy", c.batch_execute(&build("by chance", false)), "22023")?;
    for (nodes, edges, wanted) in [
        ("SELECT 1 AS id", edges, "42703"),
        (nodes, "SELECT 1 AS source", "42703"),
        (nodes, "SELECT 1 AS source, 77 AS target", "22003"),
        (nodes, "SELECT 1 AS source, 2 AS target UNION ALL SELECT 1, 2", "23505"),
        (nodes, "SELECT 1 AS source, 2 AS target UNION ALL SELECT 2, 1", "23514"),
        ("SELECT 1 AS id, ''OR'' AS function UNION ALL SELECT 1, ''OR''", edges, "23505"),
        ("SELECT 1 AS id, ''PERHAPS'' AS function", edges, "22023"),
        ("DELETE FROM dagdb_nodes RETURNING id, lut AS function", edges, "22023"),
        ("SELECT 1 AS x", "SELECT 1 AS x", "42703"),
        ("SELECT 1 FROM nowhere", edges, "42P01"),
    ] {
        let sql = format!("SELECT * FROM dagdb_build('{nodes}', '{edges}')");
        code(&sql, c.batch_execute(&sql), wanted)?;
    }
    equal("nothing was built", number(&mut c, "SELECT count(*) FROM dagdb_nodes")?, 0)?;
    // In the order of the grid's codes: neighbours get near numbers.
    let grid =
        "SELECT y * 16 + x AS id, ''XOR'' AS function FROM generate_series(0, 15) x, generate_series(0, 15) y
                ORDER BY dagdb_morton(x, y)";
    let sql = format!(
        "SELECT count(*) FROM dagdb_build('{grid}', 'SELECT 0 AS source, 1 AS target WHERE false') WHERE key < 2 AND node_id < 2"
    );
    equal("the first cells", number(&mut c, &sql)?, 2)
}

fn comparisons(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_comparisons")?;
    small(&mut c)?;
    c.batch_execute("SELECT dagdb_tick()")?;
    for (metric, wanted) in [
        ("jaccardNodes", 1.0 - 2.0 / 6.0),
        ("jaccardEdges", 1.0),
        ("rankL1", 4.0),
        ("rankL2", 10f64.sqrt()),
        ("typeL1", 2.0),
        ("boundedGED", 11.0),
        ("wlL1", 8.0),
    ] {
        let sql = format!("SELECT dagdb_distance('{metric}', 0, 1, 1, 2)");
        let value: f64 = c.query_one(&sql, &[])?.get(0);
        check(format!("{metric}: {value}, not {wanted}"), (value - wanted).abs() < 1e-9)?;
    }
    let same: f64 = c.query_one("SELECT dagdb_distance('spectralL2', 0, 2, 0, 9)", &[])?.get(0);
    check(format!("the same: {same}"), same.abs() < 1e-9)?;
    let told = message(&mut c, "DISTANCE rankL1 0-1 1-2")?;
    equal("as a command", told.as_str(), "OK DISTANCE rankL1 0-1 vs 1-2 value=4 |A|=3 |B|=5")?;
    code("no metric", c.batch_execute("SELECT dagdb_distance('nearness', 0, 1, 1, 2)"), "22023")?;
    equal("like node 0", ids(&mut c, "SELECT node_id FROM dagdb_similar(0, 3, 2)")?, vec![1, 2])?;
    equal("of value 0", ids(&mut c, "SELECT node_id FROM dagdb_similar(0, 3, 9, 0)")?, vec![1, 4])?;
    let command = "SELECT node_id FROM dagdb_exec('SIMILAR_DECISIONS TO 0 DEPTH 3 K 1 AMONG TRUTH 1')";
    equal("as a command", ids(&mut c, command)?, vec![2])?;
    code("of no node", c.batch_execute("SELECT * FROM dagdb_similar(99, 3, 2)"), "22003")?;
    equal("a rank", ids(&mut c, "SELECT node_id FROM dagdb_rank(1)")?, vec![3, 4])?;
    equal(
        "by value",
        ids(&mut c, "SELECT node_id FROM dagdb_exec('SELECT TRUTH 1 RANK 1-2')")?,
        vec![0, 2, 3],
    )?;
    c.batch_execute("SELECT dagdb_set_ranks(ARRAY[7, 7, 7, 3, 3, 1]::numeric[])")?;
    equal("ranks", ids(&mut c, "SELECT node_id FROM dagdb_rank(7)")?, vec![0, 1, 2])?;
    code("too few ranks", c.batch_execute("SELECT dagdb_set_ranks(ARRAY[7]::numeric[])"), "22023")?;
    code(
        "wrong ranks",
        c.batch_execute("SELECT dagdb_set_ranks(ARRAY[3, 7, 7, 3, 3, 1]::numeric[])"),
        "23514",
    )?;
    code("as a command", c.batch_execute("SELECT * FROM dagdb_exec('SET_RANKS_BULK')"), "0A000")
}

fn readers(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_readers")?;
    small(&mut c)?;
    let opened = message(&mut c, "OPEN_READER")?;
    let id =
        opened.strip_prefix("OK OPEN_READER id=").and_then(|r| r.split(' ').next()).unwrap_or("").to_owned();
    check(format!("opened: {opened}"), id.len() == 17)?;
    c.batch_execute("SELECT dagdb_tick(); UPDATE dagdb_nodes SET rank = rank + 1")?;
    let seen = format!("SELECT count(*) FROM dagdb_exec('READER {id} SELECT TRUTH 1 RANK 0-9')");
    equal("what it sees", number(&mut c, &seen)?, 0)?;
    check("ticks it sees", message(&mut c, &format!("READER {id} STATUS"))?.contains(" ticks=0 "))?;
    let mut other = with_graph(url, "client_readers_other")?;
    equal("from another session", number(&mut other, &seen)?, 0)?;
    equal(
        "in the list",
        number(
            &mut c,
            &format!(
                "SELECT count(*) FROM dagdb_exec('LIST_READERS') WHERE message LIKE '%{id} graph=client_readers tick=0'"
            ),
        )?,
        1,
    )?;
    code("a change", c.batch_execute(&format!("SELECT * FROM dagdb_exec('READER {id} TICK')")), "42601")?;
    check("closed", message(&mut c, &format!("CLOSE_READER {id}"))?.starts_with("OK CLOSE_READER"))?;
    code("a closed one", c.batch_execute(&seen), "42704")?;
    code("closed twice", c.batch_execute(&format!("SELECT * FROM dagdb_exec('CLOSE_READER {id}')")), "42704")
}

fn plans(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_plans")?;
    c.batch_execute(
        "INSERT INTO dagdb_nodes (rank, truth) SELECT CASE WHEN g <= 30 THEN 2 ELSE 5 + g % 3 END, (g % 100 = 0)::int
           FROM generate_series(1, 3000) g;
         INSERT INTO dagdb_edges SELECT g, g % 30 FROM generate_series(30, 149) g",
    )?;
    let mut rows = |sql: &str| -> Outcome<(f64, String)> {
        let plan: Vec<String> = c.query(&format!("EXPLAIN {sql}"), &[])?.iter().map(|r| r.get(0)).collect();
        let first = plan.first().cloned().unwrap_or_default();
        let rows = first.split("rows=").nth(1).and_then(|r| r.split(' ').next()).and_then(|r| r.parse().ok());
        Ok((rows.unwrap_or(-1.0), plan.join("\n")))
    };
    for (sql, low, high) in [
        ("SELECT * FROM dagdb_nodes", 3000.0, 3000.0),
        ("SELECT * FROM dagdb_nodes WHERE rank = 2", 30.0, 30.0),
        ("SELECT * FROM dagdb_nodes WHERE rank = 5", 980.0, 1000.0),
        ("SELECT * FROM dagdb_nodes WHERE truth = 1", 30.0, 30.0),
        ("SELECT * FROM dagdb_nodes WHERE rank = 5 AND truth = 1", 9.0, 11.0),
        ("SELECT * FROM dagdb_nodes WHERE id = 5", 1.0, 1.0),
        ("SELECT * FROM dagdb_nodes WHERE id < 300", 298.0, 302.0),
        ("SELECT * FROM dagdb_edges", 120.0, 120.0),
    ] {
        let (rows, plan) = rows(sql)?;
        check(format!("{sql}: {plan}"), low <= rows && rows <= high)?;
        check(&plan, ["scalar", "AVX2", "AVX-512"].iter().any(|b| plan.contains(&format!("Backend: {b}"))))?;
    }
    let (_, plan) = rows("SELECT * FROM dagdb_exec('TICK') t")?;
    check(&plan, plan.starts_with("Function Scan on dagdb_exec t  (") && plan.contains("Backend: "))
}

fn bad_files(url: &Url) -> Outcome {
    let mut c = with_graph(url, "client_bad_files")?;
    for (format, text, wanted) in [
        ("aiger", "aag 3 2 0 1 1\n2\n4\n6\n6 2", "22P04"),
        ("aiger", "", "22P04"),
        ("aiger", "aag 4000000000 4000000000 0 0 0\n", "53200"),
        ("blif", ".model m\n.inputs a\n.outputs b\n.frobnicate\n", "0A000"),
        ("json", "{\"format\": \"dagdb-json\", \"version\": 9}", "22P04"),
        ("json", "{", "22P04"),
        ("csv", "id,rank", "22023"),
        ("dags", "DAGS, or so", "22P04"),
        ("parquet", "PAR1", "22023"),
    ] {
        let failed = c.execute("SELECT * FROM dagdb_import($1::text, $2::text)", &[&format, &text]);
        code(&format!("{format}: {text:?}"), failed, wanted)?;
    }
    // A snapshot of one node, whole, with a changed bit of its length, and cut.
    let mut snapshot = b"DAGS".to_vec();
    for word in [3u32, 1, 1, 1, 0, 0, 42] {
        snapshot.extend(word.to_le_bytes());
    }
    snapshot.extend([0; 18]);
    snapshot.extend([0xff; 24]);
    let import = "SELECT count(*) FROM dagdb_import('dags', $1::bytea)";
    for damaged in [&snapshot[..70], &snapshot[..40], &snapshot[..20]] {
        code("a cut snapshot", c.query(import, &[&damaged]), "22P04")?;
    }
    let mut damaged = snapshot.clone();
    damaged[50] = 9;
    code("a source below zero", c.query(import, &[&damaged]), "22P04")?;
    let mut damaged = snapshot.clone();
    damaged[41] = 7;
    code("an unknown type of node", c.query(import, &[&damaged]), "22023")?;
    let mut sources = snapshot.clone();
    sources[50..54].copy_from_slice(&[0; 4]);
    code("a self-loop", c.query(import, &[&sources]), "23514")?;
    equal("nothing was imported", number(&mut c, "SELECT count(*) FROM dagdb_nodes")?, 0)?;
    equal("the whole one", c.query(import, &[&snapshot])?.len(), 1)?;
    equal("its node", number(&mut c, "SELECT count(*) FROM dagdb_nodes")?, 1)
}

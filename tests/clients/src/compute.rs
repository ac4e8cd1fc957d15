//! Who computes: with a device at hand or without one, what comes out is the same.

use postgres::{Client, NoTls};

use crate::{
    Outcome, Test, Url, check, equal,
    graph::{code, with_graph},
};

pub const TESTS: &[Test] = &[
    ("compute: the setting", setting),
    ("compute: the list of backends", list),
    ("compute: ticks are the same wherever they are done", same),
    ("compute: what EXPLAIN ANALYZE tells", told),
];

fn text(c: &mut Client, sql: &str) -> Outcome<String> {
    Ok(c.query_one(sql, &[])?.get(0))
}

fn setting(url: &Url) -> Outcome {
    let mut c = Client::connect(&url.text, NoTls)?;
    equal("by default", text(&mut c, "SHOW compute_backend")?, "auto".into())?;
    code("an unknown one", c.batch_execute("SET compute_backend = 'tpu'"), "22023")?;
    c.batch_execute("SET compute_backend TO gpu")?;
    equal(
        "what was set",
        text(&mut c, "SELECT setting FROM pg_settings WHERE name = 'compute_backend'")?,
        "gpu".into(),
    )
}

/// Names of the devices that are there.
fn devices(c: &mut Client) -> Outcome<Vec<String>> {
    let rows = c.query(
        "SELECT name FROM intralith_compute_backends WHERE number > 0 AND state = 'present' ORDER BY number",
        &[],
    )?;
    Ok(rows.iter().map(|r| r.get(0)).collect())
}

fn list(url: &Url) -> Outcome {
    let mut c = Client::connect(&url.text, NoTls)?;
    let first = c.query_one(
        "SELECT number, kind, state, carrier IS NULL FROM intralith_compute_backends ORDER BY number LIMIT 1",
        &[],
    )?;
    equal(
        "the first one",
        (first.get(0), first.get(1), first.get(2), first.get(3)),
        (0, "processor", "present", true),
    )?;
    for name in devices(&mut c)? {
        let row = c.query_one(
            "SELECT memory > 0, round_trip_us > 0, upload_mb_s > 0, download_mb_s > 0
               FROM intralith_compute_backends WHERE name = $1 LIMIT 1",
            &[&name],
        )?;
        check(format!("{name} was measured"), (0..4).all(|n| row.get(n)))?;
    }
    Ok(())
}

/// Registers in a ring, each taking over the exclusive or of itself and its neighbour.
fn ring(url: &Url, name: &str, registers: u32) -> Outcome<Client> {
    let mut c = with_graph(url, name)?;
    c.batch_execute(&format!(
        "SELECT count(*) FROM dagdb_build(
           'SELECT g AS id, NULL::text AS function, {registers} + g AS back, CASE WHEN g * g % 7 = 2 THEN 1 ELSE 0 END AS truth
              FROM generate_series(0, {registers} - 1) g
            UNION ALL SELECT {registers} + g, ''XOR'', NULL, 0 FROM generate_series(0, {registers} - 1) g',
           'SELECT g AS source, {registers} + g AS target FROM generate_series(0, {registers} - 1) g
            UNION ALL SELECT (g + 1) % {registers}, {registers} + g FROM generate_series(0, {registers} - 1) g')"
    ))?;
    Ok(c)
}

/// The values of all nodes.
const VALUES: &str = "SELECT md5(string_agg(truth::text, '' ORDER BY id)) FROM dagdb_nodes";

fn same(url: &Url) -> Outcome {
    let mut c = ring(url, "client_compute", 10_000)?;
    let mut ticked = |backend: &str| -> Outcome<(String, String)> {
        c.batch_execute(&format!("BEGIN; SET LOCAL compute_backend = '{backend}'"))?;
        c.batch_execute("SELECT dagdb_tick(37)")?;
        let once = text(&mut c, VALUES)?;
        // A table that is changed in between is sent again.
        c.batch_execute("SELECT dagdb_set_lut(10005, 'OR6'); SELECT dagdb_tick(64)")?;
        let twice = text(&mut c, VALUES)?;
        c.batch_execute("ROLLBACK")?;
        Ok((once, twice))
    };
    let wanted = ticked("cpu")?;
    for backend in ["gpu", "auto", "gpu"] {
        equal(backend, ticked(backend)?, wanted.clone())?;
    }
    check("ticks change something", wanted.0 != wanted.1)
}

fn told(url: &Url) -> Outcome {
    let mut c = ring(url, "client_compute_told", 2000)?;
    let processor = text(&mut c, "SELECT name FROM intralith_compute_backends WHERE number = 0")?;
    let devices = devices(&mut c)?;
    let lines = |c: &mut Client, backend: &str| -> Outcome<String> {
        c.batch_execute(&format!("SET compute_backend = {backend}"))?;
        let rows = c.query("EXPLAIN (ANALYZE) SELECT dagdb_tick(5)", &[])?;
        Ok(rows.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>().join("\n"))
    };
    let cpu = lines(&mut c, "cpu")?;
    check(
        format!("the processor is named: {cpu}"),
        cpu.contains(&format!("Compute:\n  Backend: {processor}\n  Reason: compute_backend is cpu\n")),
    )?;
    check(
        format!("its time is told: {cpu}"),
        cpu.contains("  Timing: Transfer 0.000 ms, Compute 0.000 ms, Processor "),
    )?;
    let gpu = lines(&mut c, "gpu")?;
    // Values are recorded after each tick: nobody but the processor does that.
    c.batch_execute("SELECT dagdb_record('start')")?;
    let recorded = lines(&mut c, "gpu")?;
    c.batch_execute("SELECT dagdb_record('drop')")?;
    check(
        format!("a recorded graph's too: {recorded}"),
        recorded.contains(&format!(
            "Compute:\n  Backend: {processor}\n  Reason: values are recorded after each tick\n"
        )),
    )?;
    match devices.first() {
        Some(name) => {
            check(format!("the device is named: {gpu}"), gpu.contains(&format!("  Backend: {name}\n")))?;
            check(format!("its commands are told: {gpu}"), gpu.contains("  Commands: "))
        }
        None => check(
            format!("without a device: {gpu}"),
            gpu.contains(&format!("  Backend: {processor}\n  Reason: no device is there\n")),
        ),
    }
}

//! Extensions, what pg_stat_statements counts, and EXPLAIN's figures of pages. The suite runs against PostgreSQL 15 too, which needs
//! `shared_preload_libraries = pg_stat_statements` and its contributed modules for it.

use postgres::{Client, NoTls, SimpleQueryMessage};

use crate::{Failure, Outcome, Test, Url, check, equal};

pub const TESTS: &[Test] = &[
    ("extensions: come, hold together and go", members),
    ("extensions: pgcrypto and uuid-ossp", functions),
    ("extensions: statements are counted", statements),
    ("extensions: EXPLAIN shows pages", pages),
];

fn own(url: &Url) -> Outcome<Client> {
    Ok(Client::connect(&url.text, NoTls)?)
}

fn fails(c: &mut Client, sql: &str) -> Outcome<String> {
    match c.batch_execute(sql) {
        Ok(()) => Err(Failure::Failed(format!("it did not fail: {sql}"))),
        Err(e) => Ok(e.as_db_error().map_or_else(
            || e.to_string(),
            |e| {
                format!(
                    "{} {}{}",
                    e.code().code(),
                    e.message(),
                    e.hint().map_or(String::new(), |h| format!(" | {h}"))
                )
            },
        )),
    }
}

/// The first column of all rows, as text.
fn column(c: &mut Client, sql: &str) -> Outcome<Vec<String>> {
    let rows = c.simple_query(sql)?;
    let text = |m: &SimpleQueryMessage| match m {
        SimpleQueryMessage::Row(r) => Some(r.get(0).unwrap_or("").to_string()),
        _ => None,
    };
    Ok(rows.iter().filter_map(text).collect())
}

fn members(url: &Url) -> Outcome {
    let mut c = own(url)?;
    c.batch_execute(
        "DROP EXTENSION IF EXISTS \"uuid-ossp\"; DROP SCHEMA IF EXISTS ext_s CASCADE; CREATE SCHEMA ext_s; \
         CREATE EXTENSION \"uuid-ossp\" WITH SCHEMA ext_s",
    )?;
    let again = fails(&mut c, "CREATE EXTENSION \"uuid-ossp\"")?;
    equal("made twice", again.as_str(), "42710 extension \"uuid-ossp\" already exists")?;
    c.batch_execute("CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\"")?;
    let part = fails(&mut c, "DROP FUNCTION ext_s.uuid_nil()")?;
    equal(
        "a part",
        part.as_str(),
        "2BP01 cannot drop function ext_s.uuid_nil() because extension uuid-ossp requires it | You can drop extension \
         uuid-ossp instead.",
    )?;
    let version = fails(&mut c, "ALTER EXTENSION \"uuid-ossp\" UPDATE TO '9'")?;
    let path = "22023 extension \"uuid-ossp\" has no update path from version \"1.1\" to version \"9\"";
    equal("no such version", version.as_str(), path)?;
    c.batch_execute("CREATE VIEW ext_v AS SELECT ext_s.uuid_ns_dns()")?;
    let needed = fails(&mut c, "DROP EXTENSION \"uuid-ossp\"")?;
    check(
        &needed,
        needed.starts_with("2BP01 cannot drop extension uuid-ossp because other objects depend on it"),
    )?;
    let described = column(
        &mut c,
        "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid \
         WHERE deptype = 'e' AND extname = 'uuid-ossp' ORDER BY 1",
    )?;
    equal("members", described.len(), 10)?;
    equal("a member", described[0].as_str(), "function ext_s.uuid_generate_v1()")?;
    c.batch_execute("DROP EXTENSION \"uuid-ossp\" CASCADE; DROP SCHEMA ext_s")?;
    let gone = fails(&mut c, "DROP EXTENSION \"uuid-ossp\"")?;
    equal("gone", gone.as_str(), "42704 extension \"uuid-ossp\" does not exist")?;
    // A script is part of its transaction.
    c.batch_execute("BEGIN; CREATE EXTENSION \"uuid-ossp\"; SELECT uuid_nil(); ROLLBACK")?;
    equal("rolled back", column(&mut c, "SELECT 1 FROM pg_extension WHERE extname = 'uuid-ossp'")?.len(), 0)
}

fn functions(url: &Url) -> Outcome {
    let mut c = own(url)?;
    c.batch_execute("CREATE EXTENSION IF NOT EXISTS pgcrypto; CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\"")?;
    const CASES: &[(&str, &str)] = &[
        (
            "uuid_generate_v3(uuid_ns_url(), 'http://www.postgresql.org')",
            "cf16fe52-3365-3a1f-8572-288d8d2aaa46",
        ),
        ("uuid_generate_v5(uuid_ns_dns(), 'python.org')", "886313e1-3b8a-5372-9b90-0c9aee199e5d"),
        ("substr(uuid_generate_v1()::text, 15, 1)", "1"),
        ("substr(uuid_generate_v4()::text, 15, 1)", "4"),
        ("digest('a', 'SHA-1')", "\\x86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        ("hmac('', '', 'md5')", "\\x74e6f7298a9c2d168935f58c001bad88"),
        (
            "crypt('foox', '$2a$05$RQiOJ.3ELirrXwxIZY8q0O')",
            "$2a$05$RQiOJ.3ELirrXwxIZY8q0OEUsNcoQ9XA7bPy0Ud4UorYJy6B3ctqC",
        ),
        ("crypt('pw', h) = h FROM (SELECT crypt('pw', gen_salt('bf', 4))) s (h)", "t"),
        ("length(gen_random_bytes(20))", "20"),
    ];
    for (call, wanted) in CASES {
        equal(call, column(&mut c, &format!("SELECT {call}"))?.join(","), (*wanted).to_string())?;
    }
    let unknown = fails(&mut c, "SELECT digest('a', 'foo')")?;
    equal("unknown", unknown.as_str(), "22023 Cannot use \"foo\": No such hash algorithm")?;
    let rounds = fails(&mut c, "SELECT gen_salt('bf', 3)")?;
    equal("rounds", rounds.as_str(), "22023 gen_salt: Incorrect number of rounds")?;
    c.batch_execute("DROP EXTENSION pgcrypto; DROP EXTENSION \"uuid-ossp\"")?;
    Ok(())
}

fn statements(url: &Url) -> Outcome {
    let mut c = own(url)?;
    c.batch_execute(
        "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; DROP TABLE IF EXISTS ext_st; \
         CREATE TABLE ext_st (a int PRIMARY KEY, b text)",
    )?;
    c.batch_execute("SELECT pg_stat_statements_reset()")?;
    c.batch_execute("INSERT INTO ext_st SELECT g, 'x' FROM generate_series(1, 50) g")?;
    for n in 1..=5 {
        c.simple_query(&format!("SELECT * FROM ext_st WHERE a = {n}"))?;
    }
    let prepared = c.prepare("SELECT * FROM ext_st WHERE a > $1 AND b <> 'q'")?;
    for n in [45i32, 48] {
        c.query(&prepared, &[&n])?;
    }
    c.batch_execute("UPDATE ext_st SET b = 'z' WHERE a < 10")?;
    let counted = column(
        &mut c,
        "SELECT concat_ws('|', query, calls, rows) FROM pg_stat_statements WHERE query LIKE '%ext_st%' \
         ORDER BY query COLLATE \"C\"",
    )?;
    let wanted = [
        "INSERT INTO ext_st SELECT g, $1 FROM generate_series($2, $3) g|1|50",
        "SELECT * FROM ext_st WHERE a = $1|5|5",
        "SELECT * FROM ext_st WHERE a > $1 AND b <> $2|2|7",
        "UPDATE ext_st SET b = $1 WHERE a < $2|1|9",
    ];
    equal("counted", counted.join("\n"), wanted.join("\n"))?;
    let sane = "SELECT bool_and(total_exec_time >= max_exec_time AND min_exec_time <= mean_exec_time \
                AND shared_blks_hit > 0 AND (wal_records > 0) = (query !~ '^SELECT')) \
                FROM pg_stat_statements WHERE query LIKE '%ext_st%' AND query NOT LIKE '%pg_stat%'";
    equal("figures", column(&mut c, sane)?.join(""), "t".to_string())?;
    c.batch_execute("DROP TABLE ext_st; DROP EXTENSION pg_stat_statements")?;
    Ok(())
}

fn pages(url: &Url) -> Outcome {
    let mut c = own(url)?;
    c.batch_execute(
        "DROP TABLE IF EXISTS ext_p; CREATE TABLE ext_p AS SELECT g a, repeat('x', 100) b FROM generate_series(1, 3000) g",
    )?;
    let options = "ANALYZE, BUFFERS, COSTS off, TIMING off, SUMMARY off";
    let plan = column(&mut c, &format!("EXPLAIN ({options}) SELECT b FROM ext_p WHERE a > 0"))?;
    let of = |plan: &[String], what: &str| plan.iter().any(|l| l.trim_start().starts_with(what));
    check(plan.join("\n"), of(&plan, "Buffers: shared hit="))?;
    let plan = column(&mut c, &format!("EXPLAIN ({options}, WAL) UPDATE ext_p SET b = 'y' WHERE a < 5"))?;
    check(plan.join("\n"), of(&plan, "WAL: records="))?;
    let plan = column(&mut c, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT b FROM ext_p")?.join("");
    check(&plan, plan.contains("\"Shared Hit Blocks\"") && plan.contains("\"Planning\""))?;
    c.batch_execute("SET work_mem = '1MB'")?;
    let plan = column(&mut c, "EXPLAIN (SETTINGS, COSTS off) SELECT 1")?;
    check(plan.join("\n"), plan.iter().any(|l| l.contains("work_mem = '1MB'")))?;
    c.batch_execute("DROP TABLE ext_p")?;
    Ok(())
}

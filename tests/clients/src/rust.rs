//! The Rust `postgres` crate: extended protocol, binary format, COPY, cancel, errors.

use std::{
    io::{BufRead, Read, Write},
    time::{Duration, Instant},
};

use fallible_iterator::FallibleIterator;
use postgres::{Client, NoTls, SimpleQueryMessage, types::Type};

use crate::{Failure, Outcome, Test, Url, check, equal};

pub const TESTS: &[Test] = &[
    ("rust: statements deeper than any stack", deep_statements),
    ("rust: COPY beside changes of the catalogs", copy_beside_changes),
    ("rust: values go to the server and back", values),
    ("rust: text and binary agree", text_and_binary),
    ("rust: statements, portals and row limits", portals),
    ("rust: errors carry code, position and fields", errors),
    ("rust: literals of simple queries", literals),
    ("rust: transactions and savepoints", transactions),
    ("rust: one time in a transaction", one_time),
    ("rust: settings of the transaction", settings_of_the_transaction),
    ("rust: savepoints and deferred constraints", deferred_and_undone),
    ("rust: cursors that go back", cursors_go_back),
    ("rust: parameters of queries within statements", within),
    ("rust: functions within functions", deep_calls),
    ("rust: COPY in and out", copy),
    ("rust: a running statement is cancelled", cancel),
    ("rust: statement_timeout", timeout),
    ("rust: plans follow changes of tables", replanning),
    ("rust: notices", notices),
    ("rust: views of buffers, log and I/O", io_views),
    ("rust: concurrent updates of a row", concurrent),
];

fn connect(url: &Url) -> Outcome<Client> {
    Ok(Client::connect(&url.text, NoTls)?)
}

fn code(e: &postgres::Error) -> &str {
    e.code().map_or("", |c| c.code())
}

fn values(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    macro_rules! round {
        ($ty:literal, $t:ty, $($v:expr),+) => {$(
            let v: $t = $v;
            let got: $t = c.query_one(concat!("SELECT $1::", $ty), &[&v])?.get(0);
            equal($ty, got, v)?;
        )+};
    }
    round!("int2", i16, 0, i16::MIN, i16::MAX);
    round!("int4", i32, 0, i32::MIN, i32::MAX);
    round!("int8", i64, 0, i64::MIN, i64::MAX);
    round!("float4", f32, 0.0, -1.5, f32::MAX, f32::INFINITY);
    round!("float8", f64, 0.0, 0.1, f64::MIN_POSITIVE, f64::NEG_INFINITY);
    round!("bool", bool, true, false);
    round!("text", String, String::new(), "é ' \\ \n".to_owned(), "x".repeat(100_000));
    round!("bytea", Vec<u8>, vec![], vec![0, 255, 1], vec![7; 100_000]);
    round!("text", Option<String>, None, Some("y".to_owned()));
    round!("int4", Option<i32>, None);
    Ok(())
}

fn text_of(c: &mut Client, sql: &str) -> Outcome<Option<String>> {
    for m in c.simple_query(sql)? {
        if let SimpleQueryMessage::Row(row) = m {
            return Ok(row.get(0).map(str::to_owned));
        }
    }
    Err(Failure::Failed(format!("no row: {sql}")))
}

fn text_and_binary(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    for (sql, text) in [
        ("SELECT 1", "1"),
        ("SELECT ('-9223372036854775808')::int8", "-9223372036854775808"),
        ("SELECT 0.1::float8 + 0.2::float8", "0.30000000000000004"),
        ("SELECT 1e20::float4", "1e+20"),
        ("SELECT 12345678901234567890.123456789::numeric", "12345678901234567890.123456789"),
        ("SELECT true", "t"),
        ("SELECT 'abc'::varchar(2)", "ab"),
        ("SELECT '\\x00ff'::bytea", "\\x00ff"),
        ("SELECT date '2024-02-29'", "2024-02-29"),
        ("SELECT time '12:34:56.789'", "12:34:56.789"),
        ("SELECT timestamp '2024-02-29 12:34:56'", "2024-02-29 12:34:56"),
        ("SELECT interval '1 year 2 days 03:04:05'", "1 year 2 days 03:04:05"),
        ("SELECT '00112233-4455-6677-8899-aabbccddeeff'::uuid", "00112233-4455-6677-8899-aabbccddeeff"),
    ] {
        equal(sql, text_of(&mut c, sql)?.as_deref(), Some(text))?;
    }
    c.batch_execute("SET TimeZone = 'America/New_York'")?;
    equal(
        "timestamptz",
        text_of(&mut c, "SELECT timestamptz '2024-07-01 12:00:00+00'")?.as_deref(),
        Some("2024-07-01 08:00:00-04"),
    )?;
    let row = c.query_one("SELECT 7::int2, 8::int8, 'x'::text, NULL::int4, '\\x01'::bytea", &[])?;
    equal("int2", row.get::<_, i16>(0), 7)?;
    equal("int8", row.get::<_, i64>(1), 8)?;
    equal("text", row.get::<_, String>(2), "x".to_owned())?;
    equal("null", row.get::<_, Option<i32>>(3), None)?;
    equal("bytea", row.get::<_, Vec<u8>>(4), vec![1])
}

fn portals(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    let mut t = c.transaction()?;
    let statement = t.prepare("SELECT n FROM generate_series(1, $1::int4) AS s(n)")?;
    equal("parameter types", statement.params(), &[Type::INT4][..])?;
    equal("column type", statement.columns()[0].type_(), &Type::INT4)?;
    equal("column name", statement.columns()[0].name(), "n")?;
    let portal = t.bind(&statement, &[&2500])?;
    let mut seen = 0;
    for expected in [1000, 1000, 500, 0] {
        let rows = t.query_portal(&portal, 1000)?;
        equal("rows of a portal", rows.len(), expected)?;
        for row in rows {
            seen += 1;
            equal("row", row.get::<_, i32>(0), seen)?;
        }
    }
    t.commit()?;
    let statement = c.prepare("SELECT $1::int8 * 2")?;
    for n in 0..200i64 {
        equal("prepared", c.query_one(&statement, &[&n])?.get::<_, i64>(0), n * 2)?;
    }
    Ok(())
}

/// Simple queries that differ in their literals share a plan; nobody may notice.
fn literals(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute("DROP TABLE IF EXISTS client_literals")?;
    c.batch_execute("CREATE TABLE client_literals (id int PRIMARY KEY, v varchar(3), n numeric(6,2))")?;
    for i in 0..20 {
        c.batch_execute(&format!("INSERT INTO client_literals VALUES ({i}, 'a{i}', {i}.25)"))?;
    }
    for i in 0..20 {
        for id in [format!("{i}"), format!("'{i}'")] {
            let sql = format!("SELECT v, -{i} + n AS d FROM client_literals WHERE id = {id} ORDER BY 1");
            let rows = first_row(&mut c, &sql)?;
            equal(&sql, rows, Some((format!("a{i}"), "0.25".into())))?;
        }
    }
    equal("no such row", first_row(&mut c, "SELECT v, n FROM client_literals WHERE id = 99")?, None)?;
    // Messages and positions are about the text as sent, however often its like was run before.
    for (sql, state, at) in [
        ("INSERT INTO client_literals VALUES (30, 'four', 1)", "22001", None),
        ("INSERT INTO client_literals VALUES (3, 'x', 1)", "23505", None),
        ("SELECT v, n FROM client_literals WHERE id = 'three'", "22P02", Some(45)),
        ("SELECT nope, 17 FROM client_literals WHERE id = 3", "42703", Some(8)),
    ] {
        let e = c.batch_execute(sql).err().ok_or_else(|| Failure::Failed(format!("{sql}: no error")))?;
        let db = e.as_db_error().ok_or_else(|| Failure::Failed(format!("{sql}: {e}")))?;
        let position = db.position().map(|p| match p {
            postgres::error::ErrorPosition::Original(n) => *n,
            postgres::error::ErrorPosition::Internal { position, .. } => *position,
        });
        equal(sql, (db.code().code(), position), (state, at))?;
    }
    // A new column changes what the shape means.
    c.batch_execute(
        "ALTER TABLE client_literals DROP COLUMN v; ALTER TABLE client_literals ADD COLUMN v text",
    )?;
    c.batch_execute("UPDATE client_literals SET v = 'long enough' WHERE id = 5")?;
    let row = first_row(&mut c, "SELECT v, -5 + n AS d FROM client_literals WHERE id = 5 ORDER BY 1")?;
    equal("after ALTER TABLE", row, Some(("long enough".into(), "0.25".into())))
}

/// The first two columns of the first row, by the simple protocol.
fn first_row(c: &mut Client, sql: &str) -> Result<Option<(String, String)>, Failure> {
    let text = |r: &postgres::SimpleQueryRow, i| r.get(i).unwrap_or_default().to_string();
    Ok(c.simple_query(sql)?.iter().find_map(|m| match m {
        SimpleQueryMessage::Row(r) => Some((text(r, 0), text(r, 1))),
        _ => None,
    }))
}

fn errors(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    for (sql, state, message) in [
        ("SELECT 1/0", "22012", "division by zero"),
        ("SELECT * FROM no_such_table", "42P01", "relation \"no_such_table\" does not exist"),
        ("SELECT no_such_column", "42703", "column \"no_such_column\" does not exist"),
        ("SELEC 1", "42601", "syntax error at or near \"SELEC\""),
        ("SELECT 'x'::int4", "22P02", "invalid input syntax for type integer: \"x\""),
        ("SET no_such_setting = 1", "42704", "unrecognized configuration parameter \"no_such_setting\""),
        ("SELECT no_such_function(1)", "42883", "function no_such_function(integer) does not exist"),
    ] {
        for simple in [true, false] {
            let outcome = if simple { c.batch_execute(sql) } else { c.query(sql, &[]).map(|_| ()) };
            let e = outcome.err().ok_or_else(|| Failure::Failed(format!("{sql}: no error")))?;
            let db = e.as_db_error().ok_or_else(|| Failure::Failed(format!("{sql}: {e}")))?;
            equal(sql, (db.code().code(), db.message()), (state, message))?;
        }
    }
    // The connection is none the worse.
    equal("after errors", c.query_one("SELECT 1", &[])?.get::<_, i32>(0), 1)?;
    c.batch_execute("DROP TABLE IF EXISTS client_errors; CREATE TABLE client_errors (id int PRIMARY KEY, v int NOT NULL CHECK (v > 0))")?;
    c.batch_execute("INSERT INTO client_errors VALUES (1, 1)")?;
    for (sql, state, constraint, routine) in [
        ("INSERT INTO client_errors VALUES (1, 1)", "23505", Some("client_errors_pkey"), "_bt_check_unique"),
        (
            "INSERT INTO client_errors VALUES (2, 0)",
            "23514",
            Some("client_errors_v_check"),
            "ExecConstraints",
        ),
        ("INSERT INTO client_errors VALUES (2, NULL)", "23502", None, "ExecConstraints"),
    ] {
        let e = c.execute(sql, &[]).err().ok_or_else(|| Failure::Failed(format!("{sql}: no error")))?;
        let db = e.as_db_error().ok_or_else(|| Failure::Failed(e.to_string()))?;
        equal(sql, (db.code().code(), db.constraint()), (state, constraint))?;
        equal("routine", db.routine(), Some(routine))?;
        equal("table", db.table(), Some("client_errors"))?;
    }
    c.batch_execute("DROP TABLE client_errors")?;
    Ok(())
}

fn transactions(url: &Url) -> Outcome {
    let (mut c, mut other) = (connect(url)?, connect(url)?);
    c.batch_execute("DROP TABLE IF EXISTS client_tx; CREATE TABLE client_tx (id int)")?;
    let count =
        |c: &mut Client| -> Outcome<i64> { Ok(c.query_one("SELECT count(*) FROM client_tx", &[])?.get(0)) };
    let mut t = c.transaction()?;
    t.execute("INSERT INTO client_tx VALUES (1)", &[])?;
    {
        let mut s = t.transaction()?;
        s.execute("INSERT INTO client_tx VALUES (2)", &[])?;
        s.rollback()?;
    }
    {
        let mut s = t.transaction()?;
        s.execute("INSERT INTO client_tx VALUES (3)", &[])?;
        s.commit()?;
    }
    equal("others see nothing before the commit", count(&mut other)?, 0)?;
    t.commit()?;
    equal("and all of it afterwards", count(&mut other)?, 2)?;

    c.batch_execute("BEGIN; SAVEPOINT a")?;
    let e = c.batch_execute("SELECT 1/0").err().ok_or_else(|| Failure::Failed("no error".into()))?;
    equal("code", code(&e), "22012")?;
    let e = c.batch_execute("SELECT 1").err().ok_or_else(|| Failure::Failed("no error".into()))?;
    equal("code", code(&e), "25P02")?;
    c.batch_execute("ROLLBACK TO a; INSERT INTO client_tx VALUES (4); COMMIT")?;
    equal("after a savepoint was rolled back to", count(&mut c)?, 3)?;
    // A text of several statements is one transaction.
    let e = c.batch_execute("INSERT INTO client_tx VALUES (5); SELECT 1/0").err();
    check("fails as a whole", e.is_some())?;
    equal("nothing of it stays", count(&mut c)?, 3)?;
    c.batch_execute("DROP TABLE client_tx")?;
    Ok(())
}

/// ROLLBACK TO undoes SET CONSTRAINTS: modes, and checks that were made.
fn deferred_and_undone(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(
        "DROP TABLE IF EXISTS undone_b, undone; CREATE TABLE undone (a int PRIMARY KEY, u int UNIQUE DEFERRABLE);
         CREATE TABLE undone_b (a int REFERENCES undone (a) DEFERRABLE INITIALLY DEFERRED)",
    )?;
    c.batch_execute("BEGIN; INSERT INTO undone_b VALUES (7); SAVEPOINT s")?;
    let error = c.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").err();
    equal("checked now", error.as_ref().map(code), Some("23503"))?;
    c.batch_execute("ROLLBACK TO s")?;
    let error = c.batch_execute("COMMIT").err();
    equal("checked at the end", error.as_ref().map(code), Some("23503"))?;
    c.batch_execute("BEGIN; INSERT INTO undone_b VALUES (7)")?;
    let error = c.batch_execute("PREPARE TRANSACTION 'undone'").err();
    equal("checked before it is prepared", error.as_ref().map(code), Some("23503"))?;
    equal("prepared", c.query("SELECT gid FROM pg_prepared_xacts WHERE gid = 'undone'", &[])?.len(), 0)?;
    c.batch_execute(
        "BEGIN; INSERT INTO undone VALUES (1, 1); SAVEPOINT s; SET CONSTRAINTS ALL DEFERRED; ROLLBACK TO s",
    )?;
    let error = c.batch_execute("INSERT INTO undone VALUES (2, 1)").err();
    equal("immediate again", error.as_ref().map(code), Some("23505"))?;
    c.batch_execute("ROLLBACK; DROP TABLE undone_b, undone")?;
    Ok(())
}

/// A cursor that is declared neither way goes back where its plan can; more rows than come in one batch.
fn cursors_go_back(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(
        "DROP TABLE IF EXISTS back; CREATE TABLE back (a int); INSERT INTO back SELECT generate_series(1, 5000)",
    )?;
    c.batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT a FROM back ORDER BY a")?;
    let mut fetch = |what: &str| -> Result<Vec<i32>, Failure> {
        let rows = c.query(&format!("FETCH {what} c"), &[])?;
        Ok(rows.iter().map(|r| r.get(0)).collect())
    };
    for (what, expected) in [
        ("2", vec![1, 2]),
        ("LAST", vec![5000]),
        ("FIRST", vec![1]),
        ("ABSOLUTE 4500", vec![4500]),
        ("BACKWARD 3", vec![4499, 4498, 4497]),
        ("RELATIVE 0", vec![4497]),
        ("RELATIVE -4000", vec![497]),
        ("ABSOLUTE -1", vec![5000]),
        ("NEXT", vec![]),
        ("PRIOR", vec![5000]),
    ] {
        equal(what, fetch(what)?, expected)?;
    }
    let back = fetch("BACKWARD ALL")?;
    equal(
        "all of them",
        (back.len(), back.first().copied(), back.last().copied()),
        (4999, Some(4999), Some(1)),
    )?;
    c.batch_execute("DECLARE n CURSOR FOR SELECT count(*) FROM back; FETCH n")?;
    let error = c.batch_execute("FETCH PRIOR n").err();
    equal("an aggregate does not", error.as_ref().map(code), Some("55000"))?;
    c.batch_execute("ROLLBACK; DROP TABLE back")?;
    Ok(())
}

/// What a transaction is like, however it is asked.
fn settings_of_the_transaction(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    let asked = "SELECT current_setting('transaction_isolation') || ' ' || current_setting('transaction_read_only') || ' ' || \
                 (SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN \
                  ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable'))";
    let is = |c: &mut Client, wanted: &str| -> Outcome {
        equal("settings", c.query_one(asked, &[])?.get::<_, String>(0).as_str(), wanted)
    };
    is(&mut c, "read committed off off read committed off")?;
    c.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE")?;
    is(&mut c, "serializable on on serializable on")?;
    c.batch_execute("COMMIT AND CHAIN")?;
    is(&mut c, "serializable on on serializable on")?;
    c.batch_execute(
        "ROLLBACK; BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET transaction_read_only = on",
    )?;
    is(&mut c, "repeatable read on off repeatable read on")?;
    c.batch_execute("ROLLBACK")?;
    is(&mut c, "read committed off off read committed off")
}

/// `'now'` is the transaction's time, and a statement on its own has one time only.
fn one_time(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    let same = "SELECT timestamptz 'now' = now() AND now() = transaction_timestamp() \
                AND statement_timestamp() = now()";
    equal("a statement on its own", text_of(&mut c, same)?.as_deref(), Some("t"))?;
    c.batch_execute("BEGIN; SELECT pg_sleep(0.01)")?;
    for _ in 0..2 {
        let now = text_of(&mut c, "SELECT timestamptz 'now' = now()")?;
        equal("'now' in a block", now.as_deref(), Some("t"))?;
        let later = text_of(&mut c, "SELECT statement_timestamp() > now()")?;
        equal("a later statement's time", later.as_deref(), Some("t"))?;
    }
    Ok(c.batch_execute("COMMIT")?)
}

/// Parameters of a query within another statement, and what the session's views say of statements and cursors.
fn within(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(
        "DROP TYPE IF EXISTS client_mood; CREATE TYPE client_mood AS ENUM ('low', 'high'); BEGIN",
    )?;
    c.execute("DECLARE few CURSOR FOR SELECT generate_series(1, $1::int)", &[&3i32])?;
    c.execute("CREATE TEMP TABLE within ON COMMIT DROP AS SELECT $1::int AS n", &[&7i32])?;
    equal("rows of the cursor", c.query("FETCH ALL FROM few", &[])?.len(), 3)?;
    let n: i32 = c.query_one("SELECT n FROM within", &[])?.get(0);
    equal("a value in CREATE TABLE AS", n, 7)?;
    let plan = c.query("EXPLAIN ANALYZE SELECT * FROM within WHERE n = $1", &[&7i32])?;
    check("EXPLAIN with a parameter says something", plan.len() > 1)?;
    let held = "SELECT name || is_holdable || is_scrollable FROM pg_cursors";
    equal("pg_cursors", text_of(&mut c, held)?.as_deref(), Some("fewfalsefalse"))?;
    c.batch_execute("COMMIT; PREPARE two(int, text) AS SELECT $1, $2")?;
    let known = "SELECT parameter_types::text || from_sql FROM pg_prepared_statements WHERE name = 'two'";
    equal("pg_prepared_statements", text_of(&mut c, known)?.as_deref(), Some("{integer,text}true"))?;
    // The driver reads an enum in binary, which is its label.
    let row = c.query_one("SELECT 'high'::client_mood", &[])?;
    let label: Label = row.get(0);
    equal("an enum in binary", label.0.as_str(), "high")?;
    let row =
        c.query_one("SELECT count(*) FROM pg_type WHERE oid = ANY ($1::int2[]::oid[])", &[&vec![23i16]])?;
    equal("oids made of smallints find rows", row.get::<_, i64>(0), 1)?;
    Ok(c.batch_execute("DROP TYPE client_mood")?)
}

/// Functions that call themselves: as deeply as they may, and without end, which ends the statement only.
fn deep_calls(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(
        "DROP FUNCTION IF EXISTS client_plain(int), client_winding(int);
         CREATE FUNCTION client_plain(n int) RETURNS int LANGUAGE sql VOLATILE AS
         $$ SELECT CASE WHEN n <= 0 THEN 0 ELSE 1 + client_plain(n - 1) END $$;
         CREATE FUNCTION client_winding(n int) RETURNS int LANGUAGE sql VOLATILE AS
         $$ SELECT max(x)::int FROM (SELECT CASE WHEN n <= 0 THEN 0 ELSE client_winding(n - 1) + 1 END AS x
            UNION ALL SELECT -1 ORDER BY 1 LIMIT 5) s
            WHERE EXISTS (SELECT 1 FROM generate_series(-1, 100) g JOIN (VALUES (1), (2)) v(a) ON g >= v.a - 3
            WHERE g = s.x GROUP BY g HAVING count(*) > 0) $$;",
    )?;
    for name in ["client_plain", "client_winding"] {
        let deep: i32 = c.query_one(&format!("SELECT {name}(45)"), &[])?.get(0);
        equal(name, deep, 45)?;
        let endless = c.query(&format!("SELECT {name}(1000000)"), &[]).err();
        equal(name, endless.as_ref().map(code), Some("54001"))?;
    }
    Ok(c.batch_execute("DROP FUNCTION client_plain(int), client_winding(int)")?)
}

/// Statements that nest without end, or nearly: each is answered or refused, and the session lives.
fn deep_statements(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    let list = |n: usize, one: &dyn Fn(usize) -> String, between: &str| {
        (0..n).map(one).collect::<Vec<_>>().join(between)
    };
    for n in [30, 100, 155, 159, 300, 355, 470, 1990, 5000] {
        let items = list(n.min(1500), &|i| format!("(SELECT 1 AS a) t{i}"), " CROSS JOIN ");
        let merged = list(n.min(1500), &|i| format!("(SELECT 1 AS a) t{i}"), " LEFT JOIN ");
        let merged = merged.replace(" LEFT JOIN (SELECT 1 AS a) t", " LEFT JOIN (SELECT 1 AS a) u");
        let around =
            |open: &str, middle: &str, close: &str| format!("{}{middle}{}", open.repeat(n), close.repeat(n));
        let statements = [
            format!("SELECT {}", list(n, &|_| "1".into(), "+")),
            format!("SELECT {}", list(n, &|_| "'a'".into(), "||")),
            format!("SELECT {}", list(n, &|i| format!("x = {i}"), " OR "))
                .replace("SELECT", "SELECT count(*) FROM generate_series(1, 2) x WHERE"),
            format!("SELECT {}", list(n, &|_| "1".into(), " UNION ALL SELECT ")),
            format!("SELECT {}", list(n, &|i| format!("{i}"), " EXCEPT SELECT ")),
            format!("SELECT count(*) FROM {items}"),
            format!("SELECT count(*) FROM {}", items.replace("CROSS JOIN", ",")),
            format!(
                "SELECT count(*) FROM {}",
                merged.replace(" LEFT", " USING (a) LEFT").replacen(" USING (a)", "", 1) + " USING (a)"
            ),
            format!("SELECT {}", around("(", "1", ")")),
            format!("SELECT {}", around("(SELECT ", "1", ")")),
            format!("SELECT * FROM {}", around("(SELECT * FROM ", "(SELECT 1) x", ") x")),
            format!("SELECT {}", around("CASE WHEN true THEN ", "1", " END")),
            format!("SELECT {}true", "NOT ".repeat(n)),
            format!("SELECT 1{}", "::int".repeat(n)),
            format!("SELECT '{}'::jsonb", around("[", "1", "]")),
            format!("SELECT '{}'::jsonpath", around("(", "1", "+1)")),
            format!("SELECT '${}'::jsonpath", ".abs()".repeat(n)),
            format!("SELECT 'x' ~ '{}'", around("(", "x", ")")),
            format!("SELECT '{}'::int[]", around("{", "1", "}")),
            // Rows of operators inside each other.
            format!("SELECT {}1{}", format!("({}1+", "1+".repeat(n.min(30))).repeat(150), ")".repeat(150)),
            format!("SELECT {}", around("coalesce(NULL, 'a' || ", "'b'", ")")),
        ];
        for sql in &statements {
            if let Err(e) = c.simple_query(sql) {
                let known = ["54001", "54000", "2201B", "42601", "22P02"];
                let start = sql.get(..40).unwrap_or(sql);
                check(format!("{n} of {start}: {e}"), known.contains(&code(&e)))?;
            }
        }
        equal("the session", c.query_one("SELECT 7", &[])?.get::<_, i32>(0), 7)?;
    }
    // What programs write is answered.
    let unions = list(3000, &|i| format!("SELECT {i}"), " UNION ALL ");
    let sum = c.query_one(&format!("SELECT count(*), sum(a) FROM ({unions}) s (a)"), &[])?;
    equal("rows of a chain", (sum.get::<_, i64>(0), sum.get::<_, i64>(1)), (3000, 4_498_500))?;
    let texts = list(1900, &|_| "x".into(), "||");
    let long = c.query_one(&format!("SELECT length({texts}) FROM (SELECT 'ab'::text) s (x)"), &[])?;
    equal("characters of a chain", long.get::<_, i32>(0), 3800)?;
    let nested = format!("SELECT {}'a'{}", "replace(".repeat(140), ", 'a', 'a')".repeat(140));
    equal("functions inside each other", c.query_one(&nested, &[])?.get::<_, String>(0), "a".into())
}

/// COPY while others make and drop tables: what it was bound to may be old by the time it begins.
fn copy_beside_changes(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute("DROP TABLE IF EXISTS client_copied; CREATE TABLE client_copied (n int)")?;
    std::thread::scope(|scope| -> Outcome {
        let other = scope.spawn(|| -> Outcome {
            let mut c = connect(url)?;
            for _ in 0..60 {
                c.batch_execute("CREATE TABLE client_beside (n int); DROP TABLE client_beside")?;
            }
            Ok(())
        });
        for n in 0..120 {
            let mut writer = c.copy_in("COPY client_copied FROM STDIN")?;
            std::io::Write::write_all(&mut writer, format!("{n}\n").as_bytes())?;
            writer.finish()?;
        }
        other.join().map_err(|_| Failure::Failed("the other session panicked".into()))?
    })?;
    equal("rows", c.query_one("SELECT count(*) FROM client_copied", &[])?.get::<_, i64>(0), 120)?;
    Ok(c.batch_execute("DROP TABLE client_copied")?)
}

/// The bytes of any value, as text.
struct Label(String);

impl<'a> postgres::types::FromSql<'a> for Label {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(String::from_utf8(raw.to_vec())?))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

fn copy(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute("DROP TABLE IF EXISTS client_copy; CREATE TABLE client_copy (id int, name text)")?;
    let mut w = c.copy_in("COPY client_copy FROM STDIN")?;
    for i in 0..5000 {
        writeln!(w, "{i}\tname {i}")?;
    }
    equal("rows copied in", w.finish()?, 5000)?;
    let mut w = c.copy_in("COPY client_copy (name, id) FROM STDIN (FORMAT csv, HEADER)")?;
    w.write_all(b"name,id\n\"a,\"\"b\"\"\",-1\n,-2\n")?;
    equal("rows copied in", w.finish()?, 2)?;
    let mut out = String::new();
    c.copy_out("COPY (SELECT * FROM client_copy WHERE id < 2 ORDER BY id) TO STDOUT")?
        .read_to_string(&mut out)?;
    equal("text", out.as_str(), "-2\t\\N\n-1\ta,\"b\"\n0\tname 0\n1\tname 1\n")?;
    let mut out = String::new();
    c.copy_out("COPY (SELECT * FROM client_copy WHERE id < 0 ORDER BY id) TO STDOUT (FORMAT csv)")?
        .read_to_string(&mut out)?;
    equal("csv", out.as_str(), "-2,\n-1,\"a,\"\"b\"\"\"\n")?;
    // Each line is a message of its own, the header too.
    let mut reader = c.copy_out("COPY (SELECT 1 AS id) TO STDOUT (FORMAT csv, HEADER)")?;
    equal("first message", reader.fill_buf()?, b"id\n".as_slice())?;
    drop(reader);
    let mut binary = Vec::new();
    c.copy_out("COPY client_copy TO STDOUT (FORMAT binary)")?.read_to_end(&mut binary)?;
    c.batch_execute("TRUNCATE client_copy")?;
    let mut w = c.copy_in("COPY client_copy FROM STDIN (FORMAT binary)")?;
    w.write_all(&binary)?;
    equal("rows copied in", w.finish()?, 5002)?;
    // A client that gives up, and one that sends rubbish: nothing stays.
    drop(c.copy_in("COPY client_copy FROM STDIN")?);
    let mut w = c.copy_in("COPY client_copy FROM STDIN")?;
    w.write_all(b"1\tx\nz\ty\n")?;
    let e = w.finish().err().ok_or_else(|| Failure::Failed("no error".into()))?;
    equal("code", code(&e), "22P02")?;
    // Rows that cannot be stored are told by their lines.
    c.batch_execute(
        "CREATE UNIQUE INDEX ON client_copy (id); ALTER TABLE client_copy ADD CHECK (name <> 'wrong')",
    )?;
    for (lines, code_of_it, line) in
        [("-5\ta\n17\tb\n-6\tc\n", "23505", 2), ("-5\twrong\n-6\tb\n-7\tc\n", "23514", 1)]
    {
        let mut w = c.copy_in("COPY client_copy FROM STDIN")?;
        w.write_all(lines.as_bytes())?;
        let e = w.finish().err().ok_or_else(|| Failure::Failed("no error".into()))?;
        equal("code", code(&e), code_of_it)?;
        let place = e.as_db_error().and_then(|d| d.where_()).unwrap_or_default();
        check("line", place.starts_with(&format!("COPY client_copy, line {line}")))?;
    }
    let count: i64 = c.query_one("SELECT count(*) FROM client_copy", &[])?.get(0);
    equal("rows after failures", count, 5002)?;
    c.batch_execute("DROP TABLE client_copy")?;
    Ok(())
}

fn cancel(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    let token = c.cancel_token();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        token.cancel_query(NoTls)
    });
    let started = Instant::now();
    let e = c.batch_execute("SELECT pg_sleep(60)").err().ok_or_else(|| Failure::Failed("no error".into()))?;
    equal("code", code(&e), "57014")?;
    equal("message", e.as_db_error().map(|d| d.message()), Some("canceling statement due to user request"))?;
    check("at once", started.elapsed() < Duration::from_secs(30))?;
    canceller.join().map_err(|_| Failure::Failed("the canceller panicked".into()))??;
    equal("and then", c.query_one("SELECT 1", &[])?.get::<_, i32>(0), 1)
}

fn timeout(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute("SET statement_timeout = '200ms'")?;
    let e = c.batch_execute("SELECT pg_sleep(60)").err().ok_or_else(|| Failure::Failed("no error".into()))?;
    equal(
        "message",
        e.as_db_error().map(|d| d.message()),
        Some("canceling statement due to statement timeout"),
    )?;
    c.batch_execute("RESET statement_timeout; SELECT pg_sleep(0.3)")?;
    Ok(())
}

fn replanning(url: &Url) -> Outcome {
    let (mut c, mut other) = (connect(url)?, connect(url)?);
    c.batch_execute("DROP TABLE IF EXISTS client_plans; CREATE TABLE client_plans (id int, v text)")?;
    c.batch_execute("INSERT INTO client_plans VALUES (1, 'a')")?;
    let one = c.prepare("SELECT v FROM client_plans WHERE id = $1")?;
    let all = c.prepare("SELECT * FROM client_plans")?;
    equal("before", c.query_one(&one, &[&1])?.get::<_, String>(0), "a".to_owned())?;
    other.batch_execute("CREATE INDEX ON client_plans (id); INSERT INTO client_plans VALUES (2, 'b')")?;
    equal("after an index", c.query_one(&one, &[&2])?.get::<_, String>(0), "b".to_owned())?;
    other.batch_execute("ALTER TABLE client_plans ADD COLUMN w int DEFAULT 5")?;
    equal("after a column", c.query_one(&one, &[&1])?.get::<_, String>(0), "a".to_owned())?;
    let e = c.query(&all, &[]).err().ok_or_else(|| Failure::Failed("no error".into()))?;
    equal("message", e.as_db_error().map(|d| d.message()), Some("cached plan must not change result type"))?;
    other.batch_execute("DROP TABLE client_plans")?;
    let e = c.query(&one, &[&1]).err().ok_or_else(|| Failure::Failed("no error".into()))?;
    equal("code", code(&e), "42P01")
}

fn notices(url: &Url) -> Outcome {
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut config: postgres::Config = url.text.parse()?;
    let mut c = config
        .notice_callback(move |n| {
            let _ =
                sender.send((n.severity().to_owned(), n.code().code().to_owned(), n.message().to_owned()));
        })
        .connect(NoTls)?;
    c.batch_execute("BEGIN; BEGIN")?;
    c.batch_execute("COMMIT")?;
    let _ = c.notifications().iter().next()?;
    let told = |severity: &str, state: &str, message: &str| -> Outcome {
        let notice = receiver.try_recv().map_err(|_| Failure::Failed("no notice".into()))?;
        equal("notice", notice, (severity.into(), state.into(), message.into()))
    };
    told("WARNING", "25001", "there is already a transaction in progress")?;
    let (long, kept) = ("x".repeat(70), "x".repeat(63));
    let cut = format!("identifier \"{long}\" will be truncated to \"{kept}\"");
    c.batch_execute(&format!("SET application_name = '{long}'"))?;
    c.query("SELECT set_config('application_name', $1, false)", &[&long])?;
    let _ = c.notifications().iter().next()?;
    told("NOTICE", "42622", &cut)?;
    told("NOTICE", "42622", &cut)
}

fn io_views(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    let number = |c: &mut Client, sql: &str| -> Outcome<i64> { Ok(c.query_one(sql, &[])?.get(0)) };
    c.batch_execute("DROP TABLE IF EXISTS io_views; CREATE TABLE io_views (a int, b text)")?;
    let log = "SELECT wal_records FROM pg_stat_wal WHERE wal_bytes > 0 AND wal_sync = 0";
    let checkpoints = "SELECT checkpoints_req FROM pg_stat_bgwriter";
    let (records, requested) = (number(&mut c, log)?, number(&mut c, checkpoints)?);
    c.batch_execute("INSERT INTO io_views SELECT g, repeat('x', 100) FROM generate_series(1, 1000) g")?;
    check("log records", number(&mut c, log)? > records)?;
    let buffers = "FROM pg_buffercache b JOIN pg_class c USING (relfilenode) WHERE relname = 'io_views'";
    let (all, dirty) =
        (format!("SELECT count(*) {buffers}"), format!("SELECT count(*) {buffers} AND isdirty"));
    let pages = number(&mut c, &all)?;
    check("buffers of the table", (10..=30).contains(&pages))?;
    check("dirty pages", number(&mut c, &dirty)? > 0)?;
    c.batch_execute("CHECKPOINT")?;
    equal("dirty pages after a checkpoint", number(&mut c, &dirty)?, 0)?;
    check("checkpoints are counted", number(&mut c, checkpoints)? > requested)?;
    let hits = "SELECT hits FROM pg_stat_io WHERE backend_type = 'client backend' AND context = 'normal'";
    let before = number(&mut c, hits)?;
    c.batch_execute("SELECT count(*) FROM io_views")?;
    check("hits are counted", number(&mut c, hits)? >= before + pages)?;
    let writes =
        "SELECT sum(writes)::int8 FROM pg_stat_io WHERE backend_type = 'checkpointer' AND fsyncs > 0";
    check("writes are counted", number(&mut c, writes)? >= pages)?;
    c.batch_execute("DROP TABLE io_views")?;
    Ok(())
}

fn concurrent(url: &Url) -> Outcome {
    const WRITERS: i64 = 6;
    const ROUNDS: i64 = 40;
    let mut c = connect(url)?;
    c.batch_execute(
        "DROP TABLE IF EXISTS client_counter; CREATE TABLE client_counter (id int PRIMARY KEY, n int8)",
    )?;
    c.batch_execute("INSERT INTO client_counter VALUES (1, 0)")?;
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || -> Result<(), postgres::Error> {
                let mut c = Client::connect(&url.text, NoTls)?;
                for _ in 0..ROUNDS {
                    let mut t = c.transaction()?;
                    t.execute("UPDATE client_counter SET n = n + 1 WHERE id = 1", &[])?;
                    t.query_one("SELECT n FROM client_counter WHERE id = 1", &[])?;
                    t.commit()?;
                }
                Ok(())
            })
        })
        .collect();
    for w in writers {
        w.join().map_err(|_| Failure::Failed("a writer panicked".into()))??;
    }
    let n: i64 = c.query_one("SELECT n FROM client_counter WHERE id = 1", &[])?.get(0);
    equal("no update is lost", n, WRITERS * ROUNDS)?;
    c.batch_execute("DROP TABLE client_counter")?;
    Ok(())
}

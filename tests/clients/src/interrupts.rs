//! Cancelling, time limits and deadlocks, wherever a statement may be: code, words, and that the session goes on. What is expected here
//! is what PostgreSQL 15 answers; the suite runs against it too.

use std::{
    io::{Read, Write},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use postgres::{Client, NoTls};

use crate::{Failure, Outcome, Test, Url, check, equal};

pub const TESTS: &[Test] = &[
    ("interrupts: cancelled while computing", computing),
    ("interrupts: cancelled while copying out", copying_out),
    ("interrupts: cancelled while copying in", copying_in),
    ("interrupts: cancelled while making an index", making_an_index),
    ("interrupts: cancelled while waiting for a lock", waiting),
    ("interrupts: cancelled at any moment", any_moment),
    ("interrupts: statement_timeout", statement_timeout),
    ("interrupts: lock_timeout", lock_timeout),
    ("interrupts: sessions that are idle too long", idle),
    ("interrupts: deadlock", deadlock),
    ("interrupts: pg_cancel_backend and pg_terminate_backend", by_function),
    ("interrupts: settings of time limits", settings),
];

/// So long a statement must run before it is interrupted; everything below takes much longer.
const A_WHILE: Duration = Duration::from_millis(250);
/// And so soon it must end.
const SOON: Duration = Duration::from_secs(20);

fn connect(url: &Url) -> Outcome<Client> {
    Ok(Client::connect(&url.text, NoTls)?)
}

/// What a client reads of an error: severity, code, message.
fn told(e: &postgres::Error) -> (String, String, String) {
    e.as_db_error().map_or_else(
        || (String::new(), String::new(), e.to_string()),
        |d| (d.severity().to_owned(), d.code().code().to_owned(), d.message().to_owned()),
    )
}

fn expect<T>(
    what: &str,
    got: Result<T, postgres::Error>,
    severity: &str,
    code: &str,
    message: &str,
) -> Outcome {
    let e = got.err().ok_or_else(|| Failure::Failed(format!("{what}: no error")))?;
    equal(what, told(&e), (severity.to_owned(), code.to_owned(), message.to_owned()))
}

const CANCELED: &str = "canceling statement due to user request";

fn cancel_later(c: &Client, after: Duration) -> JoinHandle<Result<(), postgres::Error>> {
    let token = c.cancel_token();
    thread::spawn(move || {
        thread::sleep(after);
        token.cancel_query(NoTls)
    })
}

fn joined<T>(handle: JoinHandle<T>) -> Outcome<T> {
    handle.join().map_err(|_| Failure::Failed("a thread panicked".into()))
}

fn alive(c: &mut Client) -> Outcome {
    equal("the session goes on", c.query_one("SELECT 1", &[])?.get::<_, i32>(0), 1)
}

/// Runs a statement, cancels it, and sees that it ends soon and that the session goes on.
fn cancelled(c: &mut Client, sql: &str) -> Outcome {
    let canceller = cancel_later(c, A_WHILE);
    let started = Instant::now();
    expect(sql, c.batch_execute(sql), "ERROR", "57014", CANCELED)?;
    check(format!("{sql}: at once, not after {:?}", started.elapsed()), started.elapsed() < SOON)?;
    joined(canceller)??;
    alive(c)
}

fn computing(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    for sql in [
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
        // What is kept costs long to compute, so that no memory is full before.
        "SELECT count(*) FROM (SELECT g FROM generate_series(1, 2000000) g ORDER BY md5(repeat(g::text, 2000))) s",
        // Few keys to keep, many rows to look up: what a small machine's memory has room for.
        "SELECT count(*) FROM generate_series(1, 300000000) a
         JOIN (SELECT b AS a FROM generate_series(1, 10000) b LIMIT 50) b USING (a)",
        "SELECT count(DISTINCT g % 1000003) FROM generate_series(1, 300000000) g",
        "SELECT g % 1000003, count(*) FROM generate_series(1, 300000000) g GROUP BY 1 HAVING count(*) < 0",
        "SELECT sum(x) FROM (SELECT sum(length(md5(repeat(g::text, 2000)))) OVER (ORDER BY g) AS x
         FROM generate_series(1, 2000000) g) s",
        "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t WHERE n < 0",
        "SELECT length(string_agg(md5(g::text), ',')) FROM generate_series(1, 1000000000) g WHERE g % 100000 = 0",
    ] {
        cancelled(&mut c, sql)?;
    }
    // Nothing of a statement that was cancelled is there.
    c.batch_execute("DROP TABLE IF EXISTS client_interrupts; CREATE TABLE client_interrupts (n int)")?;
    cancelled(&mut c, "INSERT INTO client_interrupts SELECT generate_series(1, 100000000)")?;
    equal("rows", c.query_one("SELECT count(*) FROM client_interrupts", &[])?.get::<_, i64>(0), 0)?;
    // In a transaction it fails the transaction, and a savepoint saves it.
    c.batch_execute("BEGIN; INSERT INTO client_interrupts VALUES (1); SAVEPOINT s")?;
    let canceller = cancel_later(&c, A_WHILE);
    expect("pg_sleep", c.batch_execute("SELECT pg_sleep(60)"), "ERROR", "57014", CANCELED)?;
    joined(canceller)??;
    let failed = "current transaction is aborted, commands ignored until end of transaction block";
    expect("after it", c.batch_execute("SELECT 1"), "ERROR", "25P02", failed)?;
    c.batch_execute("ROLLBACK TO s; COMMIT")?;
    equal("rows", c.query_one("SELECT count(*) FROM client_interrupts", &[])?.get::<_, i64>(0), 1)?;
    c.batch_execute("DROP TABLE client_interrupts")?;
    Ok(())
}

fn copying_out(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    let canceller = cancel_later(&c, A_WHILE);
    let started = Instant::now();
    let mut reader = c.copy_out("COPY (SELECT generate_series(1, 2000000000)) TO STDOUT")?;
    let mut buffer = vec![0; 1 << 16];
    let e = loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Err(Failure::Failed("the copy ended".into())),
            Ok(_) => check("it ends", started.elapsed() < Duration::from_secs(60))?,
            Err(e) => break e,
        }
    };
    let inner = e.into_inner().and_then(|e| e.downcast::<postgres::Error>().ok());
    let told = inner.map(|e| told(&e));
    equal("error", told, Some(("ERROR".into(), "57014".into(), CANCELED.into())))?;
    drop(reader);
    joined(canceller)??;
    alive(&mut c)
}

fn copying_in(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(
        "DROP TABLE IF EXISTS client_interrupts; CREATE TABLE client_interrupts (n int, t text)",
    )?;
    let canceller = cancel_later(&c, A_WHILE);
    let mut writer = c.copy_in("COPY client_interrupts FROM STDIN")?;
    let started = Instant::now();
    while started.elapsed() < 4 * A_WHILE {
        writer.write_all(b"1\tsome text\n")?;
        writer.flush()?;
        thread::sleep(Duration::from_millis(5));
    }
    expect("COPY", writer.finish(), "ERROR", "57014", CANCELED)?;
    joined(canceller)??;
    alive(&mut c)?;
    equal("rows", c.query_one("SELECT count(*) FROM client_interrupts", &[])?.get::<_, i64>(0), 0)?;
    c.batch_execute("DROP TABLE client_interrupts")?;
    Ok(())
}

fn making_an_index(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(
        "DROP TABLE IF EXISTS client_interrupts; CREATE TABLE client_interrupts (n int, t text);
         INSERT INTO client_interrupts SELECT g, md5(g::text) FROM generate_series(1, 3000) g",
    )?;
    // A key that takes long to compute.
    let key = "(length(repeat(md5(repeat(t, 20000)), 2)))";
    cancelled(&mut c, &format!("CREATE INDEX client_interrupts_i ON client_interrupts ({key})"))?;
    let indexes = "SELECT count(*) FROM pg_class WHERE relname = 'client_interrupts_i'";
    equal("indexes", c.query_one(indexes, &[])?.get::<_, i64>(0), 0)?;
    cancelled(&mut c, "UPDATE client_interrupts SET n = length(md5(repeat(t, 20000)))")?;
    equal(
        "rows as before",
        c.query_one("SELECT sum(n) FROM client_interrupts", &[])?.get::<_, i64>(0),
        4_501_500,
    )?;
    c.batch_execute(
        "CREATE INDEX client_interrupts_i ON client_interrupts (n); DROP TABLE client_interrupts",
    )?;
    Ok(())
}

/// A session that holds whatever others are to wait for.
fn holder(url: &Url) -> Outcome<Client> {
    let mut holder = connect(url)?;
    holder.batch_execute(
        "DROP TABLE IF EXISTS client_interrupts; CREATE TABLE client_interrupts (n int PRIMARY KEY, v int);
         INSERT INTO client_interrupts SELECT g, 0 FROM generate_series(1, 100) g",
    )?;
    holder.batch_execute(
        "BEGIN; UPDATE client_interrupts SET v = 1 WHERE n = 7; SELECT pg_advisory_lock(4711);
         INSERT INTO client_interrupts VALUES (1000, 0)",
    )?;
    Ok(holder)
}

/// Statements that wait for it.
const WAITS: [&str; 9] = [
    "UPDATE client_interrupts SET v = 2 WHERE n = 7",
    "DELETE FROM client_interrupts",
    "SELECT * FROM client_interrupts WHERE n = 7 FOR UPDATE",
    "INSERT INTO client_interrupts VALUES (1000, 5)",
    "SELECT pg_advisory_lock(4711)",
    "LOCK TABLE client_interrupts IN ACCESS EXCLUSIVE MODE",
    "ALTER TABLE client_interrupts ADD COLUMN w int",
    "CREATE INDEX ON client_interrupts (v)",
    "TRUNCATE client_interrupts",
];

/// `LOCK TABLE` is for transactions only.
fn in_transaction(c: &mut Client, sql: &str, run: impl FnOnce(&mut Client) -> Outcome) -> Outcome {
    let block = sql.starts_with("LOCK");
    if block {
        c.batch_execute("BEGIN")?;
    }
    let outcome = run(c);
    if block {
        c.batch_execute("ROLLBACK")?;
    }
    outcome
}

fn waiting(url: &Url) -> Outcome {
    let mut holder = holder(url)?;
    let mut c = connect(url)?;
    for sql in WAITS {
        in_transaction(&mut c, sql, |c| {
            let canceller = cancel_later(c, A_WHILE);
            expect(sql, c.batch_execute(sql), "ERROR", "57014", CANCELED)?;
            joined(canceller)?.map_err(Failure::from)
        })?;
    }
    cancelled(&mut c, "VACUUM FULL client_interrupts").or_else(|e| match e {
        // What is not supported need not be cancelled.
        Failure::Failed(text) if text.contains("0A000") => Ok(()),
        other => Err(other),
    })?;
    // Nobody who gave up is in the way of others.
    holder.batch_execute("COMMIT; SELECT pg_advisory_unlock(4711)")?;
    c.batch_execute("UPDATE client_interrupts SET v = 3 WHERE n = 7; SELECT pg_advisory_lock(4711)")?;
    c.batch_execute("SELECT pg_advisory_unlock_all(); DROP TABLE client_interrupts")?;
    Ok(())
}

fn any_moment(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(
        "DROP TABLE IF EXISTS client_interrupts; CREATE TABLE client_interrupts (n int PRIMARY KEY, t text)",
    )?;
    let sum = vec!["1"; 100].join(" + ");
    let (mut there, mut cancelled) = (Vec::new(), 0);
    for i in 0..150_i32 {
        let inserts = i % 3 == 0;
        let sql = match i % 3 {
            0 => format!("INSERT INTO client_interrupts SELECT {i}, string_agg(md5(g::text), '') FROM generate_series(1, 3000) g"),
            1 => format!("SELECT {sum}, count(*) FROM generate_series(1, 2000) a JOIN generate_series(1, 2000) b ON a = b"),
            _ => "BEGIN; CREATE TABLE client_interrupts_2 (n int PRIMARY KEY); DROP TABLE client_interrupts_2; COMMIT".to_owned(),
        };
        let canceller = cancel_later(&c, Duration::from_micros(i as u64 * 7919 % 12_000));
        match c.batch_execute(&sql) {
            Ok(()) if inserts => there.push(i),
            Ok(()) => {}
            Err(e) => {
                equal("error", told(&e), ("ERROR".into(), "57014".into(), CANCELED.into()))?;
                cancelled += 1;
            }
        }
        joined(canceller)??;
        // It may come as late as this.
        while let Err(e) = c.batch_execute("ROLLBACK") {
            equal("error", told(&e), ("ERROR".into(), "57014".into(), CANCELED.into()))?;
        }
    }
    thread::sleep(Duration::from_millis(50));
    let _ = c.batch_execute("SELECT 1");
    let found: Vec<i32> =
        c.query("SELECT n FROM client_interrupts ORDER BY n", &[])?.iter().map(|r| r.get(0)).collect();
    equal("rows of what was not cancelled", found, there)?;
    c.batch_execute("DROP TABLE client_interrupts")?;
    check("some were cancelled", cancelled > 0)
}

fn statement_timeout(url: &Url) -> Outcome {
    let late = "canceling statement due to statement timeout";
    let mut holder = holder(url)?;
    let mut c = connect(url)?;
    c.batch_execute("SET statement_timeout = '150ms'")?;
    for sql in WAITS.iter().chain(&[
        "SELECT pg_sleep(60)",
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
    ]) {
        in_transaction(&mut c, sql, |c| expect(sql, c.batch_execute(sql), "ERROR", "57014", late))?;
    }
    // Each statement has its own time, also in a transaction; and by the extended protocol.
    c.batch_execute("BEGIN; SELECT pg_sleep(0.02)")?;
    for _ in 0..10 {
        c.batch_execute("SELECT pg_sleep(0.03)")?;
    }
    c.batch_execute("COMMIT")?;
    expect("extended", c.query("SELECT pg_sleep(60)", &[]), "ERROR", "57014", late)?;
    // Whichever comes first is the one that is named.
    c.batch_execute("SET lock_timeout = '60s'")?;
    expect("both", c.batch_execute(WAITS[0]), "ERROR", "57014", late)?;
    c.batch_execute("SET lock_timeout = '50ms'; SET statement_timeout = '60s'")?;
    expect("both", c.batch_execute(WAITS[0]), "ERROR", "55P03", "canceling statement due to lock timeout")?;
    c.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0; SELECT pg_sleep(0.2)")?;
    // A limit of one transaction ends with it.
    c.batch_execute("BEGIN; SET LOCAL statement_timeout = '100ms'; COMMIT; SELECT pg_sleep(0.2)")?;
    holder.batch_execute("ROLLBACK; DROP TABLE client_interrupts")?;
    Ok(())
}

fn lock_timeout(url: &Url) -> Outcome {
    let late = "canceling statement due to lock timeout";
    let mut holder = holder(url)?;
    let mut c = connect(url)?;
    c.batch_execute("SET lock_timeout = '100ms'")?;
    for sql in WAITS {
        in_transaction(&mut c, sql, |c| expect(sql, c.batch_execute(sql), "ERROR", "55P03", late))?;
    }
    // It limits waiting for locks and nothing else.
    c.batch_execute("SELECT pg_sleep(0.3)")?;
    let sql = "SELECT * FROM client_interrupts WHERE n = 7 FOR UPDATE NOWAIT";
    let not = "could not obtain lock on row in relation \"client_interrupts\"";
    expect(sql, c.batch_execute(sql), "ERROR", "55P03", not)?;
    let sql = "BEGIN; LOCK TABLE client_interrupts NOWAIT";
    let not = "could not obtain lock on relation \"client_interrupts\"";
    expect(sql, c.batch_execute(sql), "ERROR", "55P03", not)?;
    c.batch_execute("ROLLBACK")?;
    holder.batch_execute("ROLLBACK; DROP TABLE client_interrupts")?;
    Ok(())
}

/// Waits so long, and then finds the session ended with that.
fn ended(mut c: Client, code: &str, message: &str) -> Outcome {
    let started = Instant::now();
    while !c.is_closed() && started.elapsed() < SOON {
        thread::sleep(Duration::from_millis(50));
        match c.batch_execute("") {
            Ok(()) => thread::sleep(Duration::from_millis(600)),
            Err(e) if e.as_db_error().is_some() => {
                return equal("error", told(&e), ("FATAL".to_owned(), code.to_owned(), message.to_owned()));
            }
            Err(_) => break,
        }
    }
    check(format!("ended by {code} {message}"), c.is_closed())
}

fn idle(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute("SET idle_in_transaction_session_timeout = '200ms'")?;
    // Not outside a transaction.
    thread::sleep(Duration::from_millis(500));
    alive(&mut c)?;
    let mut watcher = connect(url)?;
    watcher
        .batch_execute("DROP TABLE IF EXISTS client_interrupts; CREATE TABLE client_interrupts (n int)")?;
    c.batch_execute("BEGIN; INSERT INTO client_interrupts VALUES (1); SELECT pg_sleep(0.5)")?;
    thread::sleep(Duration::from_millis(600));
    ended(c, "25P03", "terminating connection due to idle-in-transaction timeout")?;
    // What it held is free, and what it did is undone.
    watcher
        .batch_execute("SET lock_timeout = '5s'; TRUNCATE client_interrupts; DROP TABLE client_interrupts")?;
    let mut c = connect(url)?;
    c.batch_execute("SET idle_session_timeout = '200ms'; BEGIN")?;
    // Not in a transaction.
    thread::sleep(Duration::from_millis(500));
    c.batch_execute("COMMIT")?;
    thread::sleep(Duration::from_millis(600));
    ended(c, "57P05", "terminating connection due to idle-session timeout")?;
    alive(&mut watcher)
}

fn deadlock(url: &Url) -> Outcome {
    let (mut a, mut b) = (connect(url)?, connect(url)?);
    a.batch_execute(
        "DROP TABLE IF EXISTS client_interrupts; CREATE TABLE client_interrupts (n int PRIMARY KEY, v int);
         INSERT INTO client_interrupts VALUES (1, 0), (2, 0); SELECT 1",
    )?;
    let update = |n: i32| format!("UPDATE client_interrupts SET v = v + 1 WHERE n = {n}");
    a.batch_execute(&format!("BEGIN; {}", update(1)))?;
    b.batch_execute(&format!("BEGIN; {}", update(2)))?;
    let second = update(2);
    let other = thread::spawn(move || {
        let outcome = a.batch_execute(&second);
        (a, outcome)
    });
    thread::sleep(A_WHILE);
    let mine = b.batch_execute(&update(1));
    // One of the two fails, which does not matter, and the other goes on.
    if mine.is_err() {
        b.batch_execute("ROLLBACK")?;
    }
    let (mut a, theirs) = joined(other)?;
    if theirs.is_err() {
        a.batch_execute("ROLLBACK")?;
    }
    equal("failures", (mine.is_err(), theirs.is_err()), (mine.is_err(), mine.is_ok()))?;
    a.batch_execute("COMMIT")?;
    b.batch_execute("COMMIT")?;
    let e = mine.err().or(theirs.err()).ok_or_else(|| Failure::Failed("no deadlock".into()))?;
    equal("error", told(&e), ("ERROR".into(), "40P01".into(), "deadlock detected".into()))?;
    let detail = e.as_db_error().and_then(|d| d.detail()).unwrap_or("").to_owned();
    check(format!("detail: {detail}"), detail.starts_with("Process ") && detail.lines().count() == 2)?;
    check(
        format!("detail: {detail}"),
        detail.lines().all(|l| {
            l.contains(" waits for ShareLock on transaction ") && l.contains("; blocked by process ")
        }),
    )?;
    equal("hint", e.as_db_error().and_then(|d| d.hint()), Some("See server log for query details."))?;
    let values = a.query_one("SELECT sum(v), count(*) FROM client_interrupts", &[])?;
    equal("values", (values.get::<_, i64>(0), values.get::<_, i64>(1)), (2, 2))?;
    a.batch_execute("DROP TABLE client_interrupts")?;
    Ok(())
}

fn by_function(url: &Url) -> Outcome {
    let (mut a, mut b) = (connect(url)?, connect(url)?);
    let id: i32 = a.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    let sleeper = thread::spawn(move || {
        let outcome = a.batch_execute("SELECT pg_sleep(60)");
        (a, outcome)
    });
    thread::sleep(A_WHILE);
    check("cancelled", b.query_one("SELECT pg_cancel_backend($1)", &[&id])?.get(0))?;
    let (mut a, outcome) = joined(sleeper)?;
    expect("pg_cancel_backend", outcome, "ERROR", "57014", CANCELED)?;
    alive(&mut a)?;
    let sleeper = thread::spawn(move || a.batch_execute("SELECT pg_sleep(60)"));
    thread::sleep(A_WHILE);
    check("terminated", b.query_one("SELECT pg_terminate_backend($1)", &[&id])?.get(0))?;
    // The client sees the error, or that the connection is gone.
    let e = joined(sleeper)?.err().ok_or_else(|| Failure::Failed("it was not terminated".into()))?;
    let ended = "terminating connection due to administrator command";
    check(
        format!("pg_terminate_backend: {e}"),
        e.is_closed() || told(&e) == ("FATAL".into(), "57P01".into(), ended.into()),
    )?;
    alive(&mut b)?;
    let none: bool = b.query_one("SELECT pg_cancel_backend(999999)", &[])?.get(0);
    check("no such process", !none)
}

fn settings(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    for name in
        ["statement_timeout", "lock_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout"]
    {
        for (value, shown) in
            [("'2min'", "2min"), ("1500", "1500ms"), ("'90s'", "90s"), ("0", "0"), ("'1.5s'", "1500ms")]
        {
            c.batch_execute(&format!("SET {name} = {value}"))?;
            let got: String = c.query_one(&format!("SELECT current_setting('{name}')"), &[])?.get(0);
            equal(&format!("{name} = {value}"), got.as_str(), shown)?;
        }
        c.batch_execute(&format!("RESET {name}"))?;
        let sql = format!("SET {name} = 'soon'");
        let message = format!("invalid value for parameter \"{name}\": \"soon\"");
        expect(&sql, c.batch_execute(&sql), "ERROR", "22023", &message)?;
        let sql = format!("SET {name} = -1");
        let message = format!("-1 ms is outside the valid range for parameter \"{name}\" (0 .. 2147483647)");
        expect(&sql, c.batch_execute(&sql), "ERROR", "22023", &message)?;
    }
    Ok(())
}

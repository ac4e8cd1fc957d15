//! LISTEN and NOTIFY between sessions. What is expected here is what PostgreSQL 15 answers; the suite runs against it too.

use std::time::Duration;

use fallible_iterator::FallibleIterator;
use postgres::{Client, NoTls};

use crate::{Outcome, Test, Url, check, equal};

pub const TESTS: &[Test] = &[
    ("notify: an idle session is told", idle),
    ("notify: what rolls back is not told", rolled_back),
    ("notify: once for each commit", once),
    ("notify: temporary tables are the session's own", temporary),
];

fn connect(url: &Url) -> Outcome<Client> {
    Ok(Client::connect(&url.text, NoTls)?)
}

/// Channel and payload of what comes within a while.
fn told(c: &mut Client, count: usize) -> Outcome<Vec<String>> {
    let mut all = Vec::new();
    let mut notifications = c.notifications();
    let mut waiting = notifications.timeout_iter(Duration::from_secs(10));
    while all.len() < count {
        match waiting.next()? {
            Some(n) => all.push(format!("{} {}", n.channel(), n.payload())),
            None => break,
        }
    }
    Ok(all)
}

fn idle(url: &Url) -> Outcome {
    let (mut listener, mut speaker) = (connect(url)?, connect(url)?);
    listener.batch_execute("LISTEN news; LISTEN \"Other\"")?;
    for n in 0..50 {
        speaker.batch_execute(&format!("NOTIFY news, 'n{n}'"))?;
    }
    speaker.batch_execute("BEGIN; NOTIFY \"Other\", 'x'; SELECT pg_notify('news', 'y'); COMMIT")?;
    let mut expected: Vec<String> = (0..50).map(|n| format!("news n{n}")).collect();
    expected.extend(["Other x".to_owned(), "news y".to_owned()]);
    equal("notifications", told(&mut listener, 52)?, expected)?;
    let channels: Vec<String> =
        listener.query("SELECT pg_listening_channels() ORDER BY 1", &[])?.iter().map(|r| r.get(0)).collect();
    equal("channels", channels, vec!["Other".to_owned(), "news".to_owned()])
}

fn rolled_back(url: &Url) -> Outcome {
    let (mut listener, mut speaker) = (connect(url)?, connect(url)?);
    listener.batch_execute("LISTEN kept")?;
    listener.batch_execute("BEGIN; LISTEN lost; ROLLBACK")?;
    listener.batch_execute("BEGIN; UNLISTEN kept; ROLLBACK")?;
    speaker.batch_execute("BEGIN; NOTIFY kept, 'no'; ROLLBACK")?;
    speaker.batch_execute(
        "BEGIN; NOTIFY kept, 'a'; SAVEPOINT s; NOTIFY kept, 'no'; ROLLBACK TO s; NOTIFY kept, 'b'; COMMIT",
    )?;
    speaker.batch_execute("NOTIFY lost, 'no'; NOTIFY kept, 'end'")?;
    equal(
        "notifications",
        told(&mut listener, 3)?,
        vec!["kept a", "kept b", "kept end"].into_iter().map(String::from).collect(),
    )
}

fn once(url: &Url) -> Outcome {
    let (mut listener, mut speaker) = (connect(url)?, connect(url)?);
    listener.batch_execute("LISTEN twice; LISTEN twice")?;
    speaker.batch_execute("BEGIN; NOTIFY twice, 'a'; NOTIFY twice, 'b'; NOTIFY twice, 'a'; COMMIT")?;
    // Told only once the listener's own transaction is over.
    listener.batch_execute("BEGIN; SELECT 1")?;
    speaker.batch_execute("NOTIFY twice, 'c'")?;
    listener.batch_execute("COMMIT")?;
    equal(
        "notifications",
        told(&mut listener, 3)?,
        vec!["twice a", "twice b", "twice c"].into_iter().map(String::from).collect(),
    )?;
    listener.batch_execute("UNLISTEN *")?;
    speaker.batch_execute("NOTIFY twice, 'd'")?;
    let rows = listener.query("SELECT pg_listening_channels()", &[])?;
    check("UNLISTEN * left channels", rows.is_empty())
}

fn temporary(url: &Url) -> Outcome {
    let (mut a, mut b) = (connect(url)?, connect(url)?);
    for (n, c) in [&mut a, &mut b].into_iter().enumerate() {
        c.batch_execute("CREATE TEMP TABLE own_rows (x int); CREATE TEMP TABLE gone (x int) ON COMMIT DROP")?;
        c.batch_execute("CREATE TYPE pg_temp.own_type AS (x int); CREATE DOMAIN pg_temp.own_domain AS int")?;
        c.batch_execute("CREATE FUNCTION pg_temp.own_call() RETURNS int LANGUAGE sql AS 'SELECT 1'")?;
        c.batch_execute("CREATE TEMP TABLE emptied (x int) ON COMMIT DELETE ROWS")?;
        c.batch_execute(&format!("INSERT INTO own_rows VALUES ({n}); INSERT INTO emptied VALUES (1)"))?;
    }
    for (n, c) in [&mut a, &mut b].into_iter().enumerate() {
        let own: i32 = c.query_one("SELECT x FROM own_rows", &[])?.get(0);
        equal("own row", own, n as i32)?;
        let rows: i64 = c.query_one("SELECT count(*) FROM emptied", &[])?.get(0);
        equal("rows behind the commit", rows, 0)?;
        check("ON COMMIT DROP left the table", c.query("SELECT * FROM gone", &[]).is_err())?;
    }
    drop(a);
    b.batch_execute("DISCARD TEMP")?;
    check("DISCARD TEMP left a table", b.query("SELECT * FROM own_rows", &[]).is_err())?;
    drop(b);
    // The schema's number is free again, and nothing is left in it.
    let mut c = connect(url)?;
    c.batch_execute("CREATE TEMP TABLE own_rows (y text); CREATE TYPE pg_temp.own_type AS ENUM ('a')")?;
    c.batch_execute("CREATE DOMAIN pg_temp.own_domain AS text")?;
    check("the function is left", c.query("SELECT pg_temp.own_call()", &[]).is_err())?;
    let rows: i64 = c.query_one("SELECT count(*) FROM own_rows", &[])?.get(0);
    equal("rows of a new session", rows, 0)
}

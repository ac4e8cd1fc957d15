//! The audit log. PostgreSQL has none: there these tests are skipped.

use postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::{Failure, Outcome, Test, Url, equal};

pub const TESTS: &[Test] = &[
    ("audit: statements are recorded", recorded),
    ("audit: parameters, catalogs, long texts", details),
    ("audit: who may do what", rights),
    ("audit: connections", connections),
];

fn own(url: &Url) -> Outcome<Client> {
    let mut c = Client::connect(&url.text, NoTls)?;
    if c.batch_execute("SELECT FROM intralith_audit_log LIMIT 0").is_err() {
        return Err(Failure::Skipped("there is no audit log".into()));
    }
    Ok(c)
}

fn rows(c: &mut Client, sql: &str) -> Outcome<Vec<String>> {
    let messages = c.simple_query(sql)?;
    let text = |m: &SimpleQueryMessage| match m {
        SimpleQueryMessage::Row(r) => {
            Some((0..r.len()).map(|i| r.get(i).unwrap_or("-")).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    Ok(messages.iter().filter_map(text).collect())
}

fn refused(c: &mut Client, sql: &str) -> Outcome<String> {
    match c.batch_execute(sql) {
        Ok(()) => Err(Failure::Failed(format!("it did not fail: {sql}"))),
        Err(e) => Ok(e
            .as_db_error()
            .map_or_else(|| e.to_string(), |e| format!("{} {}", e.code().code(), e.message()))),
    }
}

const OWN: &str = "FROM intralith_audit_log WHERE pid = pg_backend_pid() AND application_name = 'audited' ORDER BY number, part";

fn recorded(url: &Url) -> Outcome {
    let mut c = own(url)?;
    c.batch_execute("DROP TABLE IF EXISTS audited; DROP ROLE IF EXISTS audited_role")?;
    c.batch_execute("SET application_name = 'audited'; SET pgaudit.log = 'write, ddl, role'")?;
    for sql in [
        "CREATE TABLE audited (a int CHECK (a < 5))",
        "BEGIN",
        "INSERT INTO audited VALUES (1)",
        "ROLLBACK",
        "SELECT * FROM audited",
    ] {
        c.batch_execute(sql)?;
    }
    let _ = refused(&mut c, "INSERT INTO audited VALUES (7)")?;
    c.batch_execute("CREATE ROLE audited_role PASSWORD 'secret'; TRUNCATE audited")?;
    c.batch_execute(
        "SET pgaudit.log = 'all, -misc'; SELECT count(*) FROM audited; SET pgaudit.log = 'none'",
    )?;
    let wanted = [
        "1|DDL|CREATE TABLE|CREATE TABLE audited (a int CHECK (a < 5))",
        "1|WRITE|INSERT|INSERT INTO audited VALUES (1)",
        "1|WRITE|INSERT|INSERT INTO audited VALUES (7)",
        "1|ROLE|CREATE ROLE|CREATE ROLE audited_role PASSWORD <REDACTED>",
        "1|WRITE|TRUNCATE TABLE|TRUNCATE audited",
        "1|READ|SELECT|SELECT count(*) FROM audited",
    ];
    equal(
        "records",
        rows(&mut c, &format!("SELECT part, class, command, trim(statement) {OWN}"))?,
        wanted.map(str::to_owned).to_vec(),
    )?;
    let known = "SELECT DISTINCT login_role = session_user, database = current_database(), logged_at > now() - interval '1 hour', \
                 client_addr IS NOT NULL FROM intralith_audit_log WHERE pid = pg_backend_pid() AND application_name = 'audited'";
    equal("who and where", rows(&mut c, known)?, vec!["t|t|t|t".to_owned()])?;
    c.batch_execute("DROP TABLE audited; DROP ROLE audited_role")?;
    Ok(())
}

fn details(url: &Url) -> Outcome {
    let mut c = own(url)?;
    c.batch_execute("SET application_name = 'audited'; SET pgaudit.log = 'read'; SET pgaudit.log_parameter = on; SET pgaudit.log_catalog = off")?;
    c.query("SELECT $1::text, $2::int", &[&"a,\"b", &7])?;
    c.batch_execute("SELECT count(*) FROM pg_class")?;
    let long = format!("SELECT '{}'", "x".repeat(5000));
    c.batch_execute(&long)?;
    c.batch_execute("SET pgaudit.log = 'none'")?;
    let got = rows(&mut c, &format!("SELECT part, length(statement), parameters {OWN}"))?;
    equal(
        "records",
        got,
        ["1|24|\"a,\"\"b\",7", "1|2000|-", "2|2000|-", "3|1009|-"].map(str::to_owned).to_vec(),
    )
}

fn rights(url: &Url) -> Outcome {
    let mut c = own(url)?;
    c.batch_execute("DROP ROLE IF EXISTS audited_role; CREATE ROLE audited_role")?;
    equal(
        "class",
        refused(&mut c, "SET pgaudit.log = 'reads'")?.as_str(),
        "22023 invalid value for parameter \"pgaudit.log\": \"reads\"",
    )?;
    equal(
        "prefix",
        refused(&mut c, "SET pgaudit.role = 'x'")?.as_str(),
        "42602 invalid configuration parameter name \"pgaudit.role\"",
    )?;
    for sql in [
        "INSERT INTO intralith_audit_log SELECT * FROM intralith_audit_log",
        "UPDATE intralith_audit_log SET statement = ''",
        "TRUNCATE intralith_audit_log",
        "DROP TABLE intralith_audit_log",
    ] {
        equal(sql, refused(&mut c, sql)?.get(..5), Some("42501"))?;
    }
    c.batch_execute("SET application_name = 'audited'; DELETE FROM intralith_audit_log WHERE number < 0")?;
    let removals = rows(&mut c, &format!("SELECT class, command {OWN}"))?;
    equal("a removal", removals, vec!["WRITE|DELETE".to_owned()])?;
    c.batch_execute("SET ROLE audited_role")?;
    for sql in
        ["SELECT * FROM intralith_audit_log", "DELETE FROM intralith_audit_log", "SET pgaudit.log = 'none'"]
    {
        equal(sql, refused(&mut c, sql)?.get(..5), Some("42501"))?;
    }
    c.batch_execute("RESET ROLE; DROP ROLE audited_role")?;
    Ok(())
}

/// Sessions of one role, and somebody who is nobody.
fn connections(url: &Url) -> Outcome {
    let mut c = own(url)?;
    let owned = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    let before = rows(&mut c, "SELECT coalesce(max(number), 0) FROM intralith_audit_log")?.concat();
    c.batch_execute(
        "DROP ROLE IF EXISTS audited_guest; CREATE ROLE audited_guest LOGIN PASSWORD 'guest'; \
         ALTER ROLE audited_guest SET log_connections = on; ALTER ROLE audited_guest SET log_disconnections = on",
    )?;
    let mut guest = url.text.parse::<Config>()?;
    guest.user("audited_guest").password("guest").application_name("audited_guest");
    let mut g = guest.connect(NoTls)?;
    let refusal = refused(&mut g, "SET log_connections = off")?;
    equal(
        "a user's setting",
        refusal.as_str(),
        "42501 permission denied to set parameter \"log_connections\"",
    )?;
    let seen = format!(
        "SELECT class, command, login_role, statement LIKE '%authorized: user=audited_guest database=%' \
         FROM intralith_audit_log WHERE login_role = 'audited_guest' AND number > {before} ORDER BY number"
    );
    equal("begin", rows(&mut c, &seen)?, owned(&["CONNECTION|CONNECT|audited_guest|t"]))?;
    drop(g);
    let mut all = rows(&mut c, &seen)?;
    for _ in 0..500 {
        if all.len() > 1 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        all = rows(&mut c, &seen)?;
    }
    let both = ["CONNECTION|CONNECT|audited_guest|t", "CONNECTION|DISCONNECT|audited_guest|f"];
    equal("begin and end", all, owned(&both))?;
    c.batch_execute("ALTER ROLE ALL SET log_connections = on")?;
    let nobody = url.text.parse::<Config>()?.user("audited_nobody").password("guess").connect(NoTls);
    c.batch_execute("ALTER ROLE ALL RESET log_connections; DROP ROLE audited_guest")?;
    if nobody.is_ok() {
        return Err(Failure::Failed("nobody was let in".into()));
    }
    let failed = format!(
        "SELECT class, command, statement <> '' FROM intralith_audit_log \
         WHERE login_role = 'audited_nobody' AND number > {before}"
    );
    equal("nobody", rows(&mut c, &failed)?, owned(&["CONNECTION|CONNECT FAILED|t"]))
}

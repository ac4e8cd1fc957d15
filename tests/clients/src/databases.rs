//! Databases: made, entered, copied, dropped. What is expected here is what PostgreSQL 15 answers; the suite runs against it too.

use postgres::{Client, Config, NoTls};

use crate::{Failure, Outcome, Test, Url, check, equal};

pub const TESTS: &[Test] = &[
    ("databases: each has tables of its own", apart),
    ("databases: a template that was used is copied", copied),
    ("databases: nobody is in one that is dropped or copied", in_use),
    ("databases: who may do what", rights),
    ("databases: roles and notifications", common),
];

fn connect(url: &Url, database: &str) -> Result<Client, postgres::Error> {
    let mut config: Config = url.text.parse()?;
    config.dbname(database);
    config.connect(NoTls)
}

fn own(url: &Url) -> Outcome<Client> {
    Ok(Client::connect(&url.text, NoTls)?)
}

/// SQLSTATE and message of what must fail.
fn fails<T>(result: Result<T, postgres::Error>) -> Outcome<String> {
    match result {
        Ok(_) => Err(Failure::Failed("it did not fail".into())),
        Err(e) => Ok(e.as_db_error().map_or_else(
            || e.to_string(),
            |e| {
                format!(
                    "{} {}{}",
                    e.code().code(),
                    e.message(),
                    e.detail().map_or(String::new(), |d| format!(" | {d}"))
                )
            },
        )),
    }
}

fn number(c: &mut Client, sql: &str) -> Outcome<i64> {
    Ok(c.query_one(sql, &[])?.get(0))
}

fn apart(url: &Url) -> Outcome {
    let mut c = own(url)?;
    c.batch_execute("DROP DATABASE IF EXISTS apart_1")?;
    c.batch_execute("CREATE DATABASE apart_1")?;
    let error = fails(c.batch_execute("CREATE DATABASE apart_1"))?;
    equal("made twice", error.as_str(), "42P04 database \"apart_1\" already exists")?;
    let error = fails(c.batch_execute("BEGIN; CREATE DATABASE apart_2"))?;
    equal("in a block", error.as_str(), "25001 CREATE DATABASE cannot run inside a transaction block")?;
    c.batch_execute(
        "ROLLBACK; DROP TABLE IF EXISTS apart; CREATE TABLE apart (a int); INSERT INTO apart VALUES (1)",
    )?;
    let mut d = connect(url, "apart_1")?;
    equal("its tables", number(&mut d, "SELECT count(*) FROM pg_class WHERE relname = 'apart'")?, 0)?;
    d.batch_execute("CREATE TABLE apart (b text PRIMARY KEY); INSERT INTO apart VALUES ('x'), ('y'), ('z')")?;
    equal("rows here", number(&mut c, "SELECT count(*) FROM apart")?, 1)?;
    equal("rows there", number(&mut d, "SELECT count(*) FROM apart")?, 3)?;
    let name: String = d.query_one("SELECT current_database()::text", &[])?.get(0);
    equal("name", name.as_str(), "apart_1")?;
    let error = fails(d.batch_execute("SELECT * FROM other.public.apart"))?;
    check(error.clone(), error.starts_with("0A000 cross-database references are not implemented"))?;
    // The same advisory lock is another one elsewhere.
    c.batch_execute("SELECT pg_advisory_lock(77)")?;
    check("a lock of another database", d.query_one("SELECT pg_try_advisory_lock(77)", &[])?.get(0))?;
    c.batch_execute("SELECT pg_advisory_unlock(77)")?;
    drop(d);
    c.batch_execute("DROP DATABASE apart_1")?;
    c.batch_execute("DROP TABLE apart")?;
    let error = fails(connect(url, "apart_1"))?;
    equal("gone", error.as_str(), "3D000 database \"apart_1\" does not exist")
}

fn copied(url: &Url) -> Outcome {
    let mut c = own(url)?;
    c.batch_execute("DROP DATABASE IF EXISTS copy_1")?;
    c.batch_execute("DROP DATABASE IF EXISTS copy_2")?;
    c.batch_execute("CREATE DATABASE copy_1")?;
    let mut d = connect(url, "copy_1")?;
    d.batch_execute(
        "CREATE TYPE mood AS ENUM ('low', 'high');
         CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m mood, s text);
         INSERT INTO t (m, s) SELECT CASE WHEN g % 2 = 0 THEN 'low' ELSE 'high' END::mood, repeat(g::text, 4000)
             FROM generate_series(1, 500) g;
         UPDATE t SET m = 'low' WHERE id <= 10;
         DELETE FROM t WHERE id > 490;
         CREATE INDEX t_m ON t (m, id);
         CREATE VIEW v AS SELECT count(*) AS n FROM t WHERE m = 'low';
         CREATE SCHEMA other; CREATE TABLE other.u (t_id int REFERENCES t)",
    )?;
    drop(d);
    c.batch_execute("CREATE DATABASE copy_2 TEMPLATE copy_1")?;
    let (mut a, mut b) = (connect(url, "copy_1")?, connect(url, "copy_2")?);
    let sum = "SELECT md5(string_agg(id || m::text || s, ',' ORDER BY id)) FROM t";
    let of = |c: &mut Client| -> Outcome<String> { Ok(c.query_one(sum, &[])?.get(0)) };
    equal("rows", of(&mut b)?, of(&mut a)?)?;
    b.batch_execute("SET enable_seqscan = off")?;
    equal("by index", number(&mut b, "SELECT count(*) FROM t WHERE m = 'low' AND id < 21")?, 15)?;
    equal("by key", number(&mut b, "SELECT count(*) FROM t WHERE id IN (1, 490, 491)")?, 2)?;
    equal("view", number(&mut b, "SELECT n FROM v")?, number(&mut a, "SELECT n FROM v")?)?;
    let id: i32 = b.query_one("INSERT INTO t (m, s) VALUES ('high', 'new') RETURNING id", &[])?.get(0);
    equal("the next number", id, 501)?;
    equal("the other's rows", number(&mut a, "SELECT count(*) FROM t")?, 490)?;
    let error = fails(b.batch_execute("INSERT INTO other.u VALUES (9999)"))?;
    check(error.clone(), error.starts_with("23503"))?;
    b.batch_execute("DROP TABLE t CASCADE")?;
    equal("the other's rows later", number(&mut a, "SELECT count(*) FROM t")?, 490)?;
    drop((a, b));
    c.batch_execute("DROP DATABASE copy_1")?;
    c.batch_execute("DROP DATABASE copy_2")?;
    Ok(())
}

fn in_use(url: &Url) -> Outcome {
    let mut c = own(url)?;
    c.batch_execute("DROP DATABASE IF EXISTS used_1")?;
    c.batch_execute("CREATE DATABASE used_1")?;
    let mut d = connect(url, "used_1")?;
    let detail = "There is 1 other session using the database.";
    let wanted = format!("55006 database \"used_1\" is being accessed by other users | {detail}");
    equal("dropped", fails(c.batch_execute("DROP DATABASE used_1"))?, wanted)?;
    let wanted = format!("55006 source database \"used_1\" is being accessed by other users | {detail}");
    equal("copied", fails(c.batch_execute("CREATE DATABASE used_2 TEMPLATE used_1"))?, wanted)?;
    let error = fails(d.batch_execute("DROP DATABASE used_1"))?;
    equal("its own", error.as_str(), "55006 cannot drop the currently open database")?;
    if c.query_one("SHOW max_prepared_transactions", &[])?.get::<_, String>(0) != "0" {
        prepared(url, &mut c, &mut d)?;
    }
    c.batch_execute("DROP DATABASE used_1 WITH (FORCE)")?;
    check("a session outlived its database", d.batch_execute("SELECT 1").is_err())?;
    let error = fails(c.batch_execute("DROP DATABASE used_1"))?;
    equal("no more", error.as_str(), "3D000 database \"used_1\" does not exist")
}

/// What is prepared belongs to the database it was done in, which stays as long.
fn prepared(url: &Url, c: &mut Client, d: &mut Client) -> Outcome {
    d.batch_execute("BEGIN; CREATE TABLE u (a int); PREPARE TRANSACTION 'used'")?;
    let error = fails(c.batch_execute("COMMIT PREPARED 'used'"))?;
    equal("elsewhere", error.as_str(), "0A000 prepared transaction belongs to another database")?;
    let error = fails(c.batch_execute("DROP DATABASE used_1 WITH (FORCE)"))?;
    let wanted = "55006 database \"used_1\" is being used by prepared transactions | \
                  There is 1 prepared transaction using the database.";
    equal("dropped", error.as_str(), wanted)?;
    connect(url, "used_1")?.batch_execute("ROLLBACK PREPARED 'used'")?;
    Ok(())
}

fn rights(url: &Url) -> Outcome {
    let mut c = own(url)?;
    c.batch_execute("DROP DATABASE IF EXISTS right_1")?;
    c.batch_execute("DROP ROLE IF EXISTS right_r")?;
    c.batch_execute("CREATE ROLE right_r; SET ROLE right_r")?;
    let error = fails(c.batch_execute("CREATE DATABASE right_1"))?;
    equal("made", error.as_str(), "42501 permission denied to create database")?;
    c.batch_execute("RESET ROLE; ALTER ROLE right_r CREATEDB; SET ROLE right_r")?;
    c.batch_execute("CREATE DATABASE right_1 CONNECTION LIMIT 3")?;
    c.batch_execute("ALTER DATABASE right_1 RENAME TO right_2")?;
    c.batch_execute(
        "ALTER DATABASE right_2 RENAME TO right_1; ALTER DATABASE right_1 WITH CONNECTION LIMIT 7",
    )?;
    let row = c.query_one(
        "SELECT datconnlimit, datallowconn, datistemplate, pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = 'right_1'",
        &[],
    )?;
    let got: (i32, bool, bool, String) = (row.get(0), row.get(1), row.get(2), row.get(3));
    equal("the row", got, (7, true, false, "right_r".to_owned()))?;
    c.batch_execute("RESET ROLE")?;
    let error = fails(c.batch_execute("DROP DATABASE template1"))?;
    equal("a template", error.as_str(), "42809 cannot drop a template database")?;
    let error = fails(connect(url, "template0"))?;
    equal(
        "template0",
        error.as_str(),
        "55000 database \"template0\" is not currently accepting connections",
    )?;
    let mut d = connect(url, "right_1")?;
    d.batch_execute("CREATE TABLE t (a int); ALTER TABLE t OWNER TO right_r")?;
    drop(d);
    let error = fails(c.batch_execute("DROP ROLE right_r"))?;
    let wanted = "2BP01 role \"right_r\" cannot be dropped because some objects depend on it | owner of database right_1\n\
                  1 object in database right_1";
    equal("the role", error.as_str(), wanted)?;
    c.batch_execute("DROP DATABASE right_1")?;
    c.batch_execute("DROP ROLE right_r")?;
    Ok(())
}

fn common(url: &Url) -> Outcome {
    let mut c = own(url)?;
    c.batch_execute("DROP DATABASE IF EXISTS common_1")?;
    c.batch_execute("DROP ROLE IF EXISTS common_r")?;
    c.batch_execute("CREATE DATABASE common_1")?;
    c.batch_execute("ALTER DATABASE common_1 SET application_name = 'here'")?;
    let mut d = connect(url, "common_1")?;
    equal("its setting", d.query_one("SHOW application_name", &[])?.get::<_, String>(0), "here".to_owned())?;
    // A role that is made in one database is known in the other at once.
    equal("roles", number(&mut d, "SELECT count(*) FROM pg_roles WHERE rolname = 'common_r'")?, 0)?;
    c.batch_execute("CREATE ROLE common_r")?;
    d.batch_execute("SET ROLE common_r; RESET ROLE")?;
    d.batch_execute("DROP ROLE common_r")?;
    let error = fails(c.batch_execute("SET ROLE common_r"))?;
    equal("after it went", error.as_str(), "22023 role \"common_r\" does not exist")?;
    d.batch_execute("LISTEN ours")?;
    c.batch_execute("NOTIFY ours, 'from elsewhere'")?;
    d.batch_execute("NOTIFY ours, 'from here'")?;
    d.batch_execute("SELECT 1")?;
    let told: Vec<String> = fallible_iterator::FallibleIterator::collect(
        fallible_iterator::FallibleIterator::map(d.notifications().iter(), |n| Ok(n.payload().to_owned())),
    )?;
    equal("notifications", told, vec!["from here".to_owned()])?;
    let names = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'common_1' AND datid = \
                 (SELECT oid FROM pg_database WHERE datname = 'common_1')";
    equal("sessions", number(&mut c, names)?, 1)?;
    drop(d);
    c.batch_execute("DROP DATABASE common_1")?;
    let left = "SELECT count(*) FROM pg_db_role_setting WHERE setdatabase NOT IN (SELECT oid FROM pg_database) AND setdatabase <> 0";
    equal("settings left", number(&mut c, left)?, 0)
}

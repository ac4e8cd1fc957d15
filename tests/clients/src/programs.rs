//! psql, psycopg 3 and node's `pg`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Failure, Outcome, Test, Url, check, equal};

pub const TESTS: &[Test] = &[
    ("psql: statements and their output", psql_statements),
    ("psql: \\d of a table", psql_describe),
    ("psql: \\copy", psql_copy),
    ("psql: character sets", psql_character_sets),
    ("python: psycopg 3", psycopg),
    ("node: pg", node),
];

/// The output of a program, or why it cannot be had.
pub fn output(command: &mut Command) -> Outcome<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = match command.stdin(Stdio::null()).output() {
        Ok(out) => out,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::Skipped(format!("{name} is not installed")));
        }
        Err(e) => return Err(e.into()),
    };
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&out.stderr);
    Err(Failure::Failed(format!("{name} ended with {}: {}{}", out.status, text, errors.trim())))
}

fn psql(url: &Url, arguments: &[&str]) -> Outcome<String> {
    output(Command::new("psql").args(["-X", "-v", "ON_ERROR_STOP=1", &url.text]).args(arguments))
}

fn psql_statements(url: &Url) -> Outcome {
    equal("select 1", psql(url, &["-At", "-c", "select 1"])?.as_str(), "1\n")?;
    let script = "DROP TABLE IF EXISTS client_psql;
        CREATE TABLE client_psql (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'x', at date);
        INSERT INTO client_psql (name, at) VALUES ('a', '2024-01-02'), ('b', NULL) RETURNING id;
        UPDATE client_psql SET name = name || '!' WHERE id = 2;
        SELECT * FROM client_psql ORDER BY id;
        DELETE FROM client_psql WHERE id = 1;
        SELECT count(*) FROM client_psql;
        DROP TABLE client_psql;";
    let got = psql(url, &["-At", "-c", script])?;
    let wanted = "DROP TABLE\nCREATE TABLE\n1\n2\nINSERT 0 2\nUPDATE 1\n1|a|2024-01-02\n2|b!|\nDELETE 1\n1\nDROP TABLE\n";
    equal("output", got.as_str(), wanted)
}

fn psql_describe(url: &Url) -> Outcome {
    psql(
        url,
        &[
            "-q",
            "-c",
            "DROP TABLE IF EXISTS client_described; CREATE TABLE client_described (id int PRIMARY KEY, v varchar(10) DEFAULT 'q')",
        ],
    )?;
    let got = psql(url, &["-c", "\\d client_described"])?;
    for piece in [
        "Table \"public.client_described\"",
        "id     | integer               |           | not null |",
        "v      | character varying(10) |           |          | 'q'::character varying",
        "\"client_described_pkey\" PRIMARY KEY, btree (id)",
    ] {
        check(format!("\\d lacks {piece:?}:\n{got}"), got.contains(piece))?;
    }
    check(
        "\\dt lists it",
        psql(url, &["-At", "-c", "\\dt client_described"])?.contains("client_described|table"),
    )?;
    psql(url, &["-q", "-c", "DROP TABLE client_described"]).map(|_| ())
}

/// What psql answers to a script, byte by byte.
fn psql_bytes(url: &Url, script: &[u8]) -> Outcome<Vec<u8>> {
    let file = std::env::temp_dir().join(format!("client_tests_{}.sql", std::process::id()));
    std::fs::write(&file, script)?;
    let out = Command::new("psql").args(["-X", "-q", "-At", &url.text, "-f"]).arg(&file).output();
    std::fs::remove_file(&file)?;
    Ok(out?.stdout)
}

fn psql_character_sets(url: &Url) -> Outcome {
    psql(url, &["-c", "SELECT 1"])?;
    let script = b"SET client_encoding = 'iso-8859-1';
        CREATE TEMP TABLE client_sets (v text, \"\xe9\" int);
        INSERT INTO client_sets VALUES ('caf\xe9', 1);
        PREPARE p(text) AS SELECT v, length(v), octet_length(v), \"\xe9\" FROM client_sets WHERE v = $1;
        EXECUTE p('caf\xe9');
        COPY client_sets FROM STDIN;\n\xfc\t2\n\\.
        COPY client_sets TO STDOUT (ENCODING 'utf8');
        SET client_encoding = 'sjis';
        SELECT '\x93\xfa\x96\x7b', length('\x93\xfa\x96\x7b'), '\x83\x5c', pg_client_encoding();
        SET client_encoding = 'koi8r';
        SELECT upper('\xc1\xc2');
        SELECT v FROM client_sets WHERE length(v) = 1;
        RESET client_encoding;
        SELECT convert_from('\\xe9', 'latin1'), convert_to('\xc3\xa9', 'win1252'), convert('\\xe9', 'latin1', 'utf8');\n";
    let wanted = b"caf\xe9|4|5|1\ncaf\xc3\xa9\t1\n\xc3\xbc\t2\n\x93\xfa\x96\x7b|2|\x83\x5c|SJIS\n\xe1\xe2\n\xc3\xa9|\\xe9|\\xc3a9\n";
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    equal("output", shown(&psql_bytes(url, script)?), shown(wanted))
}

fn psql_copy(url: &Url) -> Outcome {
    let file = std::env::temp_dir().join(format!("client_tests_{}.csv", std::process::id()));
    std::fs::write(&file, "1,one\n2,\"two, too\"\n")?;
    let copy = format!("\\copy client_copied FROM '{}' CSV", file.display());
    psql(
        url,
        &["-q", "-c", "DROP TABLE IF EXISTS client_copied; CREATE TABLE client_copied (id int, name text)"],
    )?;
    let done = psql(url, &["-c", &copy]);
    std::fs::remove_file(&file)?;
    equal("tag", done?.as_str(), "COPY 2\n")?;
    let got = psql(url, &["-At", "-c", "\\copy (SELECT * FROM client_copied ORDER BY id) TO STDOUT"])?;
    equal("rows", got.as_str(), "1\tone\n2\ttwo, too\n")?;
    psql(url, &["-q", "-c", "DROP TABLE client_copied"]).map(|_| ())
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")
}

/// Where packages of other languages are installed once: beside the build's output.
fn packages() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    target.join("client_tests")
}

fn psycopg(url: &Url) -> Outcome {
    let environment = packages().join("python");
    let python = environment.join("bin/python");
    if output(Command::new(&python).args(["-c", "import psycopg"])).is_err() {
        output(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        output(Command::new(&python).args(["-m", "pip", "install", "-q", "psycopg[binary]"]))
            .map_err(|_| Failure::Skipped("psycopg could not be installed".into()))?;
    }
    output(Command::new(&python).arg(scripts().join("psycopg_suite.py")).arg(&url.text)).map(|_| ())
}

fn node(url: &Url) -> Outcome {
    let home = packages().join("node");
    std::fs::create_dir_all(&home)?;
    if !home.join("node_modules/pg").exists() {
        output(Command::new("npm").args(["install", "--silent", "--prefix"]).arg(&home).arg("pg")).map_err(
            |e| match e {
                Failure::Skipped(why) => Failure::Skipped(why),
                Failure::Failed(_) => Failure::Skipped("node's pg could not be installed".into()),
            },
        )?;
    }
    let mut command = Command::new("node");
    command.env("NODE_PATH", home.join("node_modules"));
    output(command.arg(scripts().join("node_suite.cjs")).arg(&url.text)).map(|_| ())
}

//! Logic test files against a server: every record's statement must do what the record says.
//!
//! Each file runs in a database of its own, which is made for it and dropped. A file's last line is `NAME shown PASSED/ALL`. With
//! `--oracle`, a record that PostgreSQL does not pass is not counted against the server.
//!
//! # Dependencies
//! `postgres` for the connection, `md-5` because long answers are kept as such hashes, `clap` for the command line. The format is read
//! here (`format`) since each record is asked of two servers, and values are written by the types that the record names.
#![forbid(unsafe_code)]

mod format;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use format::{Record, Sort, Wanted};
use md5::{Digest, Md5};
use postgres::{Client, NoTls, SimpleQueryMessage};

/// Runs logic test files.
#[derive(Parser)]
struct Arguments {
    /// The server: postgres://user:password@host:port/database; databases are made there
    #[arg(long)]
    url: String,
    /// PostgreSQL: records that it does not pass do not count
    #[arg(long)]
    oracle: Option<String>,
    /// Writes the answers of the server into the files: to be run against PostgreSQL
    #[arg(long)]
    record: bool,
    /// The files
    files: Vec<PathBuf>,
}

/// A database that lives as long as this.
struct Database {
    url: String,
    name: String,
    client: Option<Client>,
}

type Outcome<T> = Result<T, postgres::Error>;

impl Database {
    fn new(url: &str, name: &str) -> Outcome<Self> {
        let mut control = Client::connect(url, NoTls)?;
        control.batch_execute(&format!("DROP DATABASE IF EXISTS {name}"))?;
        control.batch_execute(&format!("CREATE DATABASE {name}"))?;
        let (server, _) = url.rsplit_once('/').unwrap_or((url, ""));
        let client = Client::connect(&format!("{server}/{name}"), NoTls)?;
        Ok(Self { url: url.into(), name: name.into(), client: Some(client) })
    }

    fn client(&mut self) -> &mut Client {
        self.client.as_mut().unwrap_or_else(|| unreachable!("closed when dropped only"))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.client.take());
        let gone = Client::connect(&self.url, NoTls)
            .and_then(|mut c| c.batch_execute(&format!("DROP DATABASE IF EXISTS {}", self.name)));
        if let Err(e) = gone {
            eprintln!("{} stays: {e}", self.name);
        }
    }
}

/// A value as a record of that type has it.
fn shown(value: Option<&str>, of: char) -> String {
    let Some(value) = value else { return "NULL".into() };
    match (of, value) {
        (_, "") => "(empty)".into(),
        ('I', "t") => "1".into(),
        ('I', "f") => "0".into(),
        ('I', v) => v.split('.').next().unwrap_or_default().to_owned(),
        ('R', v) => v.parse::<f64>().map_or(v.into(), |n| format!("{n:.3}")),
        (_, v) => v.chars().map(|c| if c.is_ascii_control() { '@' } else { c }).collect(),
    }
}

/// What a query answers, as the file has it.
fn answer(messages: &[SimpleQueryMessage], types: &str, sort: Sort, hashed: bool) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for m in messages {
        if let SimpleQueryMessage::Row(row) = m {
            let of = |n| types.chars().nth(n).unwrap_or('T');
            rows.push((0..row.len()).map(|n| shown(row.get(n), of(n))).collect());
        }
    }
    if sort == Sort::Rows {
        rows.sort();
    }
    let mut values: Vec<String> = rows.into_iter().flatten().collect();
    if sort == Sort::Values {
        values.sort();
    }
    if !hashed {
        return values;
    }
    let mut hash = Md5::new();
    values.iter().for_each(|v| hash.update(format!("{v}\n")));
    let mut hex = String::new();
    hash.finalize().iter().for_each(|b| write!(hex, "{b:02x}").unwrap_or_default());
    vec![format!("{} values hashing to {hex}", values.len())]
}

/// Runs a record; says what is wrong, or, of queries, gives the answer too.
fn run(client: &mut Client, record: &Record) -> (Result<(), String>, Vec<String>) {
    let result = client.simple_query(&record.sql);
    let why = |e: &postgres::Error| {
        e.as_db_error().map_or(e.to_string(), |d| format!("{}: {}", d.code().code(), d.message()))
    };
    match (&record.wanted, result) {
        (Wanted::Works, Ok(_)) | (Wanted::Fails, Err(_)) => (Ok(()), Vec::new()),
        (Wanted::Fails, Ok(_)) => (Err("works, and must fail".into()), Vec::new()),
        (Wanted::Answers { types, sort, values }, Ok(messages)) => {
            let hashed = values.first().is_some_and(|v| v.contains(" values hashing to "));
            let got = answer(&messages, types, *sort, hashed);
            let equal = got == *values;
            let all = |v: &[String]| v.iter().take(12).cloned().collect::<Vec<_>>().join(" ");
            (if equal { Ok(()) } else { Err(format!("answers {}; wanted {}", all(&got), all(values))) }, got)
        }
        (_, Err(e)) => (Err(why(&e)), Vec::new()),
    }
}

/// One file; gives how many of its records count, and how many of those pass.
fn file(arguments: &Arguments, path: &Path, name: &str) -> Result<(usize, usize), String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let file = format::parse(&text.replace('\r', "")).map_err(|e| format!("{}: {e}", path.display()))?;
    let clean = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let database = format!("logic_{}", name.to_lowercase().chars().map(clean).collect::<String>());
    let start = |url: &str| Database::new(url, &database).map_err(|e| format!("{url}: {e}"));
    let mut server = start(&arguments.url)?;
    let mut oracle = arguments.oracle.as_deref().map(start).transpose()?;
    let (mut count, mut passed) = (0, 0);
    let mut written = String::new();
    for record in &file.records {
        let (outcome, got) = run(server.client(), record);
        if arguments.record {
            write!(written, "{}\n{}\n", record.head, record.sql).unwrap_or_default();
            if let Wanted::Answers { .. } = record.wanted {
                writeln!(written, "----").unwrap_or_default();
                got.iter().for_each(|v| writeln!(written, "{v}").unwrap_or_default());
            }
            writeln!(written).unwrap_or_default();
            if let (Err(e), Wanted::Works | Wanted::Fails) = (&outcome, &record.wanted) {
                return Err(format!("{name}:{}: {e}", record.line));
            }
            continue;
        }
        let counts = oracle.as_mut().is_none_or(|o| run(o.client(), record).0.is_ok());
        count += usize::from(counts);
        passed += usize::from(counts && outcome.is_ok());
        if let (true, Err(why)) = (counts, outcome) {
            println!("{name}:{}: {}\n    {why}", record.line, record.sql.replace('\n', " "));
        }
    }
    if arguments.record {
        std::fs::write(path, written.trim_end().to_owned() + "\n")
            .map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok((count, passed))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut wrong = false;
    for path in &arguments.files {
        let name = path.file_stem().map_or(String::new(), |n| n.to_string_lossy().into_owned());
        match file(&arguments, path, &name) {
            Ok((count, passed)) => {
                println!("{name} shown {passed}/{count}");
                wrong |= passed < count;
            }
            Err(e) => {
                eprintln!("error: {e}");
                wrong = true;
            }
        }
    }
    if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_by_their_types() {
        assert_eq!(shown(None, 'I'), "NULL");
        assert_eq!(shown(Some("t"), 'I'), "1");
        assert_eq!(shown(Some("2.5"), 'I'), "2");
        assert_eq!(shown(Some("2.5"), 'R'), "2.500");
        assert_eq!(shown(Some(""), 'T'), "(empty)");
    }
}

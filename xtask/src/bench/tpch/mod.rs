//! TPC-H's tables and queries, natively: the hosted server against a PostgreSQL 15 of this machine.
//!
//! Both load the same rows by COPY; answers are compared as text before times are.

mod generate;
mod queries;

use std::time::Instant;

use postgres::{Client, NoTls, SimpleQueryMessage};

use super::{
    BenchArguments,
    native::{self, Server},
};
use crate::{
    appliance::USER,
    error::{Error, Result},
};
use generate::{Generator, Table};

type Answer = Vec<Vec<Option<String>>>;

fn connect(server: &Server) -> Result<Client> {
    let url = format!("host=127.0.0.1 port={} user={USER} dbname={USER}", server.port());
    Ok(Client::connect(&url, NoTls)?)
}

fn load(client: &mut Client, generator: &Generator) -> Result<()> {
    client.batch_execute(queries::TABLES)?;
    for table in Table::ALL {
        let mut writer = client.copy_in(&format!("COPY {} FROM STDIN", table.name()))?;
        generator.write(table, &mut writer)?;
        writer.finish()?;
    }
    for statement in queries::KEYS.lines() {
        client.batch_execute(statement)?;
    }
    // As PostgreSQL's own vacuum would in a while, so that it does not while queries are timed.
    client.batch_execute("VACUUM ANALYZE")?;
    client.batch_execute("CHECKPOINT")?;
    Ok(())
}

/// The rows, and seconds until the last one was there.
fn ask(client: &mut Client, query: &str) -> Result<(Answer, f64)> {
    let start = Instant::now();
    let messages = client.simple_query(query)?;
    let seconds = start.elapsed().as_secs_f64();
    let rows = messages.iter().filter_map(|m| match m {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
        _ => None,
    });
    Ok((rows.collect(), seconds))
}

/// The answer and the best time of some.
fn best(client: &mut Client, query: &str, rounds: u32) -> Result<(Answer, f64)> {
    let (answer, mut seconds) = ask(client, query)?;
    for _ in 1..rounds.max(1) {
        seconds = seconds.min(ask(client, query)?.1);
    }
    Ok((answer, seconds))
}

/// Why two answers differ; rows that their query does not order may come in any order.
fn difference(ours: &Answer, theirs: &Answer) -> Option<String> {
    if ours == theirs {
        return None;
    }
    let sorted = |answer: &Answer| {
        let mut rows = answer.clone();
        rows.sort();
        rows
    };
    let (a, b) = (sorted(ours), sorted(theirs));
    if a == b {
        return None;
    }
    let at = a.iter().zip(&b).position(|(a, b)| a != b);
    Some(match at {
        Some(at) => format!("{:?} instead of {:?}", a[at], b[at]),
        None => format!("{} rows instead of {}", a.len(), b.len()),
    })
}

/// Loads both, compares and times all queries.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let generator = Generator::new(arguments.tpch_scale());
    let ours = native::start_hosted(&arguments.server()?, None)?;
    let theirs = if arguments.peer { Some(native::start_postgres()?) } else { None };
    let mut our_client = connect(&ours)?;
    let start = Instant::now();
    load(&mut our_client, &generator).context_load("Intralith")?;
    println!("TPC-H, scale {}: loaded in {:.1} s", arguments.tpch_scale(), start.elapsed().as_secs_f64());
    let mut their_client = theirs.as_ref().map(connect).transpose()?;
    if let Some(client) = &mut their_client {
        let start = Instant::now();
        load(client, &generator).context_load("PostgreSQL")?;
        println!("the peer loaded in {:.1} s", start.elapsed().as_secs_f64());
    }
    println!("{:<6} {:>12} {:>12} {:>8}", "", "Intralith ms", "PG 15 ms", "ratio");
    let (mut logarithms, mut compared, mut wrong) = (0.0, 0_u32, Vec::new());
    for (name, query) in
        queries::QUERIES.iter().filter(|q| arguments.only.is_empty() || q.0 == arguments.only)
    {
        let (answer, seconds) = match best(&mut our_client, query, arguments.rounds) {
            Ok(result) => result,
            Err(e) => {
                println!("{name:<6} fails: {e}");
                wrong.push(*name);
                continue;
            }
        };
        let Some(client) = &mut their_client else {
            println!("{name:<6} {:>12.1} {:>30} rows", seconds * 1e3, answer.len());
            continue;
        };
        let (expected, their_seconds) = best(client, query, arguments.rounds)?;
        let ratio = their_seconds / seconds;
        println!("{name:<6} {:>12.1} {:>12.1} {ratio:>8.2}", seconds * 1e3, their_seconds * 1e3);
        if let Some(difference) = difference(&answer, &expected) {
            println!("       differs: {difference}");
            wrong.push(*name);
        }
        logarithms += ratio.ln();
        compared += 1;
    }
    if compared > 0 {
        let mean = (logarithms / f64::from(compared)).exp();
        println!("geometric mean of {compared} queries {mean:>28.2}  (promised: at least 3)");
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::Failed(format!("wrong: {}", wrong.join(", ")))) }
}

trait LoadContext<T> {
    fn context_load(self, who: &str) -> Result<T>;
}

impl<T> LoadContext<T> for Result<T> {
    fn context_load(self, who: &str) -> Result<T> {
        self.map_err(|e| Error::Failed(format!("loading {who}: {e}")))
    }
}

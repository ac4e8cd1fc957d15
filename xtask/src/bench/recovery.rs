//! Recovery: how long a machine that was killed needs until it answers again.

use std::time::Duration;

use postgres::Client;

use super::{
    BenchArguments, Shape, boot, fresh_image,
    subject::{median, wal_bytes},
};
use crate::{
    error::{Error, Result},
    peer::{self, Peer},
};

/// Log to recover.
const LOG: f64 = 128e6;
/// Times faster than the peer that is promised.
const PROMISED: f64 = 3.0;
/// Rows that one statement changes.
const STEP: i32 = 10_000;
/// Rows of the table.
const ROWS: i32 = 200_000;

/// Changes rows all over a table with two indexes until there is [`LOG`] behind the last checkpoint. Gives its bytes.
fn write_log(client: &mut Client) -> Result<f64> {
    client.batch_execute(
        "CREATE TABLE recovered (id int PRIMARY KEY, a int, b text); CREATE INDEX ON recovered (a)",
    )?;
    let insert = format!(
        "INSERT INTO recovered SELECT i, i * 7919 % {ROWS}, 'row ' || i FROM generate_series(1, {ROWS}) i"
    );
    client.batch_execute(&insert)?;
    client.batch_execute("CHECKPOINT")?;
    let before = wal_bytes(client)?;
    for turn in 0.. {
        let written = wal_bytes(client)? - before;
        if written >= LOG {
            return Ok(written);
        }
        let low = turn * STEP % ROWS;
        let change = format!(
            "UPDATE recovered SET a = (a + 7) % {ROWS}, b = b || '.' WHERE id > {low} AND id <= {}",
            low + STEP
        );
        client.batch_execute(&change)?;
    }
    Ok(0.0)
}

/// Megabytes of log, and the seconds that they add to the time from the emulator's start to the first answer.
struct Recovered {
    megabytes: f64,
    seconds: f64,
    /// What the server says of it itself.
    said: String,
}

impl Recovered {
    fn print(&self, who: &str) {
        let (m, s) = (self.megabytes, self.seconds);
        println!("{who:<20} {m:>8.0} MB in {s:>7.2} s: {:>7.1} MB/s   ({})", m / s, self.said.trim());
    }
}

fn ours(arguments: &BenchArguments) -> Result<Recovered> {
    let kernel = arguments.kernel()?;
    let image = fresh_image("recovery.img")?;
    let shape = Shape::usual(&kernel, &image);
    let (mut appliance, ..) = boot(&shape)?;
    appliance.shut_down(Duration::from_secs(30))?;
    let mut clean = Vec::new();
    for _ in 0..arguments.rounds.max(2) {
        let (mut appliance, _, elapsed) = boot(&shape)?;
        clean.push(elapsed.as_secs_f64());
        appliance.shut_down(Duration::from_secs(30))?;
    }
    let (mut appliance, password, _) = boot(&shape)?;
    let written = write_log(&mut appliance.connect(Some(&password))?)?;
    appliance.guest().kill();
    drop(appliance);
    let (mut appliance, _, elapsed) = boot(&shape)?;
    let log = appliance.tail();
    let said = log.lines().rfind(|l| l.contains("recover")).unwrap_or_default();
    appliance.shut_down(Duration::from_secs(60))?;
    let seconds = elapsed.as_secs_f64() - median(&mut clean);
    Ok(Recovered { megabytes: written / 1e6, seconds, said: said.into() })
}

fn theirs(built: &Peer) -> Result<Recovered> {
    let connect = |port| crate::appliance::connect(port, Some(peer::PASSWORD));
    let mut running = built.boot(2, "2G", true)?;
    let mut client = connect(running.port)?;
    client.batch_execute("ALTER SYSTEM SET checkpoint_timeout = '1d'")?;
    client.batch_execute("ALTER SYSTEM SET max_wal_size = '16GB'")?;
    client.batch_execute("SELECT pg_reload_conf()")?;
    drop(client);
    // Once in order, to know how long a boot of this very disk takes without recovery.
    running = running.again(built, true)?;
    let clean = running.boot.as_secs_f64();
    let written = write_log(&mut connect(running.port)?)?;
    running = running.again(built, false)?;
    let log: String = connect(running.port)?
        .query_one("SELECT pg_read_file('/var/log/postgresql/postgresql-15-main.log')", &[])?
        .get(0);
    let said = log.lines().rfind(|l| l.contains("redo done"));
    let said = said.ok_or_else(|| Error::Failed("the peer had nothing to recover".into()))?;
    let seconds = running.boot.as_secs_f64() - clean;
    Ok(Recovered { megabytes: written / 1e6, seconds, said: said.into() })
}

/// Measures one recovery of each.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    println!("recovery");
    let ours = ours(arguments)?;
    ours.print("Intralith");
    if arguments.peer {
        let theirs = theirs(&peer::build()?)?;
        theirs.print("peer");
        let rate = |r: &Recovered| r.megabytes / r.seconds;
        println!("ratio {:.1}, promised {PROMISED:.0}", rate(&ours) / rate(&theirs));
    }
    Ok(())
}

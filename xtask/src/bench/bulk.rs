//! Bulk work: COPY in and out, CREATE INDEX.

use std::{
    fmt::Write as _,
    io::{Read, Write as _},
    time::{Duration, Instant},
};

use postgres::Client;

use super::{
    BenchArguments, Shape, boot, fresh_image,
    subject::{Subject, alternate, median},
};
use crate::{
    error::{Context, Result},
    peer,
};

/// Rows that are copied.
const ROWS: u32 = 200_000;

/// What is measured, in the order in which [`measure`] does it.
const NAMES: [&str; 5] =
    ["COPY in", "CREATE INDEX, integers", "CREATE INDEX, text", "COPY in, primary key", "COPY out"];
/// Times faster than the peer that is promised.
const PROMISED: f64 = 3.0;

/// Rows in COPY's text format, their keys in no order.
fn rows() -> String {
    let mut text = String::new();
    for i in 0..ROWS {
        // 7919 is prime and does not divide the number of rows: every key comes once.
        let key = (u64::from(i) * 7919 % u64::from(ROWS)) as u32;
        let word = key.wrapping_mul(2_654_435_761);
        let _ = writeln!(text, "{key}\t{}\t0\t{word:08x}-{:08x}\t{:84}", key / 1000, word ^ 0x5bd1_e995, "");
    }
    text
}

fn copy_in(client: &mut Client, table: &str, rows: &str) -> Result<()> {
    let mut writer = client.copy_in(&format!("COPY {table} FROM STDIN"))?;
    writer.write_all(rows.as_bytes()).context(|| "send rows".into())?;
    writer.finish()?;
    Ok(())
}

fn copy_out(client: &mut Client) -> Result<()> {
    let mut reader = client.copy_out("COPY bulk TO STDOUT")?;
    let mut chunk = vec![0; 1 << 16];
    while reader.read(&mut chunk).context(|| "receive rows".into())? > 0 {}
    Ok(())
}

/// Seconds that a piece of work takes.
fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds for each of [`NAMES`].
fn measure(client: &mut Client, rows: &str) -> Result<[f64; 5]> {
    const COLUMNS: &str = "bid int, abalance int, word text, filler char(84)";
    client.batch_execute(&format!(
        "DROP TABLE IF EXISTS bulk, keyed;
         CREATE TABLE bulk (aid int, {COLUMNS}); CREATE TABLE keyed (aid int PRIMARY KEY, {COLUMNS})"
    ))?;
    client.batch_execute("CHECKPOINT")?;
    Ok([
        seconds(|| copy_in(client, "bulk", rows))?,
        seconds(|| Ok(client.batch_execute("CREATE INDEX ON bulk (aid)")?))?,
        seconds(|| Ok(client.batch_execute("CREATE INDEX ON bulk (word)")?))?,
        seconds(|| copy_in(client, "keyed", rows))?,
        seconds(|| copy_out(client))?,
    ])
}

/// The median round of each measurement.
fn medians(rounds: &[[f64; 5]]) -> [f64; 5] {
    std::array::from_fn(|i| median(&mut rounds.iter().map(|r| r[i]).collect::<Vec<_>>()))
}

/// Measures all of it.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let kernel = arguments.kernel()?;
    let image = fresh_image("bulk.img")?;
    let (mut appliance, password, _) = boot(&Shape::usual(&kernel, &image))?;
    let port = appliance.port();
    let own = Subject { guest: appliance.guest(), port, password };
    let rows = rows();
    let on = |s: &Subject<'_>| measure(&mut s.connect()?, &rows);
    println!("{ROWS} rows of {} bytes", rows.len() / ROWS as usize);
    if !arguments.peer {
        let rounds = (0..arguments.rounds.max(1)).map(|_| on(&own)).collect::<Result<Vec<_>>>()?;
        for (name, s) in NAMES.iter().zip(medians(&rounds)) {
            println!("{name:<34} {s:>10.2} s");
        }
        return Ok(());
    }
    let built = peer::build()?;
    own.pause(true)?;
    let mut running = built.boot(2, "2G", true)?;
    let port = running.port;
    let other = Subject { guest: &mut running.guest, port, password: peer::PASSWORD.into() };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds.max(1) {
        let (a, b) = alternate(&own, &other, on)?;
        ours.push(a);
        theirs.push(b);
    }
    println!("{:<34} {:>10} {:>10} {:>7}  promised", "seconds", "Intralith", "peer", "ratio");
    for ((name, a), b) in NAMES.iter().zip(medians(&ours)).zip(medians(&theirs)) {
        println!("{name:<34} {a:>10.2} {b:>10.2} {:>7.1}  {PROMISED:.0}", b / a);
    }
    own.pause(false)?;
    appliance.shut_down(Duration::from_secs(60))
}

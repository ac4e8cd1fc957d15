//! Suites that take the power away.

use std::{
    process::{Child, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use postgres::Client;

use super::{
    check,
    clients::{invariants, pgbench_command},
    guest::TestDisk,
};
use crate::{
    appliance::{Appliance, connect},
    error::{Context, Error, Result},
    kernel_build::{Profile, build_kernel},
    powercut::{self, PowercutArguments},
    tools,
};

/// Rounds of SIGKILL, and of power cuts with a lossy disk.
const KILLS: u32 = 20;
const CUTS: u32 = 8;
/// Cuts until a disk that does not flush must have been noticed.
const LIES: u32 = 30;

/// Sessions that write numbered rows beside pgbench and remember what was acknowledged.
const WRITERS: usize = 2;

/// Load on a server whose power is about to go.
struct Load {
    pgbench: Child,
    writers: Vec<JoinHandle<i64>>,
}

impl Load {
    /// Starts pgbench with 8 clients, and the writers, each after its last acknowledged number.
    fn start(port: u16, password: &str, acknowledged: &[i64]) -> Result<Self> {
        let mut command = pgbench_command(port, password)?;
        command.args(["-n", "-T", "600", "-c", "8"]).stdout(Stdio::null()).stderr(Stdio::null());
        let pgbench = command.spawn().context(|| "start pgbench".into())?;
        let mut writers = Vec::new();
        for (writer, last) in (0..).zip(acknowledged) {
            let (mut client, mut last) = (connect(port, Some(password))?, *last);
            writers.push(std::thread::spawn(move || {
                // Ends with the first error: the server is gone. What was counted before was acknowledged.
                while write_pair(&mut client, writer, last + 1).is_ok() {
                    last += 1;
                }
                last
            }));
        }
        Ok(Self { pgbench, writers })
    }

    /// Waits for the writers, whose server is gone. Returns each one's last acknowledged number.
    fn end(mut self) -> Result<Vec<i64>> {
        let _ = self.pgbench.kill();
        self.pgbench.wait().context(|| "wait for pgbench".into())?;
        let ended = self.writers.into_iter().map(JoinHandle::join);
        ended.map(|r| r.map_err(|_| Error::Failed("a writer panicked".into()))).collect()
    }
}

/// One transaction of two rows: both or neither must be there afterwards.
fn write_pair(client: &mut Client, writer: i32, number: i64) -> Result<(), postgres::Error> {
    let mut transaction = client.transaction()?;
    for half in 0..2_i32 {
        transaction.execute("INSERT INTO ledger VALUES ($1, $2, $3)", &[&writer, &number, &half])?;
    }
    transaction.commit()
}

fn prepare(guest: &Appliance, password: &str) -> Result<()> {
    tools::run(pgbench_command(guest.port(), password)?.args(["-i", "-q", "-s", "2"]).stderr(Stdio::null()))?;
    let sql = "CREATE TABLE ledger (writer int, number int8, half int, PRIMARY KEY (writer, number, half))";
    Ok(guest.connect(Some(password))?.batch_execute(sql)?)
}

/// Everything acknowledged is there, nothing is half there, the sums agree.
fn verify(client: &mut Client, acknowledged: &[i64]) -> Result<()> {
    for (writer, last) in (0_i32..).zip(acknowledged) {
        let sql = "SELECT count(*) FILTER (WHERE number <= $2), count(*) FILTER (WHERE number > $2), \
                   coalesce(max(number), 0) FROM ledger WHERE writer = $1";
        let row = client.query_one(sql, &[&writer, last])?;
        let (known, beyond, newest): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        check(known == 2 * last, || {
            format!("writer {writer}: {known} rows of {} acknowledged are there", 2 * last)
        })?;
        // The transaction whose answer the cut swallowed may have become durable, whole.
        check(matches!(beyond, 0 | 2) && newest <= last + 1, || {
            format!(
                "writer {writer}: {beyond} rows beyond the last acknowledged one, newest {newest} after {last}"
            )
        })?;
    }
    invariants(client)
}

/// The newest number of each writer in the table: what the next round continues from.
fn newest(client: &mut Client) -> Result<Vec<i64>> {
    let mut numbers = vec![0; WRITERS];
    for row in client.query("SELECT writer, max(number) FROM ledger GROUP BY writer", &[])? {
        let slot = usize::try_from(row.get::<_, i32>(0)).ok().and_then(|w| numbers.get_mut(w));
        *slot.ok_or_else(|| Error::Failed("a writer that does not exist".into()))? = row.get(1);
    }
    Ok(numbers)
}

/// QEMU killed in the middle of load.
pub fn kill() -> Result<()> {
    let kernel = build_kernel(Profile::Release)?;
    let disk = TestDisk::new("kill")?;
    let mut guest = disk.boot(&kernel, "")?;
    prepare(&guest, &disk.password)?;
    let mut acknowledged = vec![0; WRITERS];
    for round in 0..KILLS {
        let load = Load::start(guest.port(), &disk.password, &acknowledged)?;
        std::thread::sleep(Duration::from_millis(600 + 97 * u64::from(round)));
        guest.guest().kill();
        acknowledged = load.end()?;
        guest = disk.boot(&kernel, "")?;
        let mut client = guest.connect(Some(&disk.password))?;
        verify(&mut client, &acknowledged).map_err(|e| Error::Failed(format!("round {round}: {e}")))?;
        acknowledged = newest(&mut client)?;
    }
    println!("{KILLS} kills; {} transactions of the writers acknowledged", acknowledged.iter().sum::<i64>());
    guest.shut_down(Duration::from_secs(30))
}

/// A few rounds of `cargo xtask powercut`, and as many with a disk that lies as it takes to notice.
pub fn cut() -> Result<()> {
    let kernel = build_kernel(Profile::Release)?;
    let arguments = |rounds, lie| PowercutArguments {
        rounds,
        seed: 1,
        peer: false,
        lie,
        kernel: Some(kernel.clone()),
        controller: None,
    };
    powercut::run(&arguments(CUTS, false))?;
    powercut::run(&arguments(LIES, true))
}

/// A disk that cannot be read in places.
pub fn faults() -> Result<()> {
    powercut::disk_faults(&build_kernel(Profile::Release)?)
}

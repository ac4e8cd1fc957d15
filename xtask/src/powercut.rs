//! `cargo xtask powercut`: power cuts under load, with a disk that loses, reorders and tears what was not flushed.
//!
//! A guest runs on the disk of [`crate::nbd`]. Clients move money between accounts, keep a journal with large values and make
//! and drop tables; they remember what was acknowledged. In the middle the guest is killed and the disk decides what of
//! the unflushed sectors it kept. After the next boot everything acknowledged must be there, nothing may be half there, and
//! the volume's own check must find nothing. With `--peer` PostgreSQL goes through the same, which shows that the rig
//! is right; with `--lie` the disk does not flush, which must be noticed.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use clap::Args;
use postgres::Client;
use qemu_machine::{Attach, Disk, Source};

use crate::{
    appliance::{Appliance, Options, connect},
    error::{Context, Error, Result},
    kernel_build::{Profile, build_kernel},
    nbd::{FaultyDisk, Server},
    peer, tools,
};

/// Arguments of `powercut`.
#[derive(Args, Clone, Debug)]
pub struct PowercutArguments {
    /// Power cuts
    #[arg(long, default_value_t = 100)]
    pub rounds: u32,
    /// Where the random numbers begin
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// PostgreSQL in the peer machine instead of the appliance (needs root once, to build it)
    #[arg(long)]
    pub peer: bool,
    /// The disk acknowledges flushes and does nothing: succeeds when that is noticed
    #[arg(long)]
    pub lie: bool,
    /// A kernel to boot instead of building one
    #[arg(long)]
    pub kernel: Option<PathBuf>,
    /// What the disk is attached to: ours needs NVMe, the peer gets virtio-blk unless told otherwise
    #[arg(long, value_enum)]
    pub controller: Option<Controller>,
}

/// How the guest sees the disk.
///
/// QEMU 7.2's NVMe controller says that it knows FUA and passes such writes on without it, so they are as volatile as others. Our
/// driver knows that controller and flushes behind them. Linux believes it: the journal of its file system commits with FUA. On
/// virtio-blk, which has no FUA, Linux flushes, and the rig's disk hears of it.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    Nvme,
    VirtioBlk,
}

const WRITERS: i32 = 4;
const ACCOUNTS: i32 = 500;
const BOOT_LIMIT: Duration = Duration::from_secs(240);
/// The same for a guest whose disk lies: it may have lost what a volume needs.
const HASTY_LIMIT: Duration = Duration::from_secs(40);
/// How long a cut waits for the disk to hold something back.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same for the peer, which takes seconds for a checkpoint.
const PEER_PATIENCE: Duration = Duration::from_secs(40);

const SETUP: &str = "
    CREATE TABLE accounts (id int PRIMARY KEY, owner int NOT NULL, balance bigint NOT NULL);
    INSERT INTO accounts SELECT i, i % 37, 0 FROM generate_series(0, 499) i;
    CREATE INDEX accounts_owner ON accounts (owner, balance);
    CREATE INDEX accounts_poor ON accounts (balance) WHERE balance < 0;
    CREATE TABLE journal (writer int, number int8, half int, account int NOT NULL, amount bigint NOT NULL,
        len int NOT NULL, filler text NOT NULL, PRIMARY KEY (writer, number, half));
    CREATE INDEX journal_account ON journal (account);
    CREATE TABLE made (writer int PRIMARY KEY, number int8 NOT NULL);
    INSERT INTO made SELECT i, 0 FROM generate_series(0, 3) i;";

/// What must hold after every cut, and what it means when it does not: queries that must give nothing.
const INVARIANTS: [(&str, &str); 5] = [
    ("money appeared or vanished", "SELECT sum(balance)::text FROM accounts HAVING sum(balance) <> 0"),
    (
        "balances do not follow from the journal",
        "SELECT a.id::text FROM accounts a LEFT JOIN (SELECT account, sum(amount) AS s FROM journal GROUP BY account) j \
         ON j.account = a.id WHERE a.balance <> coalesce(j.s, 0)",
    ),
    (
        "a large value is damaged",
        "SELECT number::text FROM journal WHERE length(filler) <> len OR filler <> repeat(left(filler, 1), len)",
    ),
    (
        "an index does not show what the table has",
        "SELECT 'owner' FROM (SELECT count(*) AS n FROM accounts WHERE owner >= 0) x WHERE n <> 500",
    ),
    (
        "the halves of a transfer",
        "SELECT number::text FROM journal GROUP BY writer, number HAVING count(*) <> 2",
    ),
];

/// Steele and others' SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What a writer knows to be durable.
#[derive(Clone, Copy, Debug, Default)]
struct Acknowledged {
    transfer: i64,
    table: i64,
}

/// One transfer: two accounts, two rows of the journal, one of them large now and then.
fn transfer(
    client: &mut Client,
    writer: i32,
    number: i64,
    random: &mut Random,
) -> Result<(), postgres::Error> {
    let from = random.below(ACCOUNTS as u64) as i32;
    let to = random.below(ACCOUNTS as u64) as i32;
    let amount = random.below(1000) as i64;
    let len =
        if random.below(8) == 0 { 3000 + random.below(30_000) as i32 } else { random.below(100) as i32 + 1 };
    let mut t = client.transaction()?;
    // In order, so that transfers do not wait for each other in a circle.
    let mut halves = [(0, from, -amount), (1, to, amount)];
    halves.sort_by_key(|h| h.1);
    for (half, account, amount) in halves {
        t.execute("UPDATE accounts SET balance = balance + $2 WHERE id = $1", &[&account, &amount])?;
        t.execute(
            "INSERT INTO journal VALUES ($1, $2, $3, $4, $5, $6, repeat('x', $6))",
            &[&writer, &number, &half, &account, &amount, &len],
        )?;
    }
    t.commit()
}

/// A table is made and the one before dropped, in one transaction.
fn remake(client: &mut Client, writer: i32, number: i64) -> Result<(), postgres::Error> {
    let old = number - 1;
    client.batch_execute(&format!(
        "BEGIN; CREATE TABLE made_{writer}_{number} (a int PRIMARY KEY, b text); \
         INSERT INTO made_{writer}_{number} SELECT i, repeat('y', i) FROM generate_series(1, 200) i; \
         CREATE INDEX ON made_{writer}_{number} (b); DROP TABLE IF EXISTS made_{writer}_{old}; \
         UPDATE made SET number = {number} WHERE writer = {writer}; COMMIT"
    ))
}

struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Acknowledged>>,
    keeper: JoinHandle<()>,
}

impl Load {
    fn start(port: u16, password: Option<&str>, known: &[Acknowledged], seed: u64) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for (writer, known) in (0..).zip(known) {
            let mut client = connect(port, password)?;
            let (mut known, stop) = (*known, stop.clone());
            let mut random = Random(seed ^ (writer as u64) << 48);
            writers.push(std::thread::spawn(move || {
                // Ends with the first error: the server is gone. What was counted before was acknowledged.
                while !stop.load(Ordering::Relaxed) {
                    if random.below(25) == 0 {
                        if remake(&mut client, writer, known.table + 1).is_err() {
                            break;
                        }
                        known.table += 1;
                    } else {
                        if transfer(&mut client, writer, known.transfer + 1, &mut random).is_err() {
                            break;
                        }
                        known.transfer += 1;
                    }
                }
                known
            }));
        }
        // Checkpoints leave pages unflushed for a while: that is what a cut can lose.
        let mut client = connect(port, password)?;
        let stopped = stop.clone();
        let keeper = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed)
                && client.batch_execute("CHECKPOINT").is_ok()
                && client.batch_execute("VACUUM accounts").is_ok()
            {
                std::thread::sleep(Duration::from_millis(30));
            }
        });
        Ok(Self { stop, writers, keeper })
    }

    fn end(self) -> Result<Vec<Acknowledged>> {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.keeper.join();
        let ended = self.writers.into_iter().map(JoinHandle::join);
        ended.map(|r| r.map_err(|_| Error::Failed("a writer panicked".into()))).collect()
    }
}

/// Everything acknowledged is there, nothing is half there. Gives what the next round goes on from.
fn verify(client: &mut Client, known: &[Acknowledged], peer: bool) -> Result<Vec<Acknowledged>> {
    let mut now = Vec::new();
    for (writer, known) in (0_i32..).zip(known) {
        let sql = "SELECT count(*) FILTER (WHERE number <= $2), coalesce(max(number), 0), \
                   (SELECT number FROM made WHERE made.writer = $1) FROM journal WHERE journal.writer = $1";
        let row = client.query_one(sql, &[&writer, &known.transfer])?;
        let (rows, newest, table): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        if rows != 2 * known.transfer {
            return Err(Error::Failed(format!(
                "writer {writer}: {rows} rows of {} acknowledged are there",
                2 * known.transfer
            )));
        }
        // The transaction whose answer the cut swallowed may have become durable, whole.
        if newest > known.transfer + 1 || !(known.table..=known.table + 1).contains(&table) {
            return Err(Error::Failed(format!(
                "writer {writer}: newest are transfer {newest} and table {table} after {known:?}"
            )));
        }
        let there: Vec<String> = client
            .query(
                "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname LIKE $1",
                &[&format!("made\\_{writer}\\_%")],
            )?
            .iter()
            .map(|r| r.get(0))
            .collect();
        let right: &[String] = &if table == 0 { vec![] } else { vec![format!("made_{writer}_{table}")] };
        if there != right {
            return Err(Error::Failed(format!("writer {writer}: tables {there:?} instead of {right:?}")));
        }
        for table in &there {
            let n: i64 =
                client.query_one(&format!("SELECT count(*) FROM {table} WHERE length(b) = a"), &[])?.get(0);
            if n != 200 {
                return Err(Error::Failed(format!("table {table} has {n} of 200 rows")));
            }
        }
        now.push(Acknowledged { transfer: newest, table });
    }
    for (what, sql) in INVARIANTS {
        if let Some(row) = client.query(sql, &[])?.first() {
            return Err(Error::Failed(format!("{what}: {}", row.get::<_, String>(0))));
        }
    }
    if peer {
        client.batch_execute("CREATE EXTENSION IF NOT EXISTS amcheck")?;
        client.batch_execute(
            "SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am m ON m.oid = c.relam \
             WHERE m.amname = 'btree' AND c.relkind = 'i'",
        )?;
    } else if let Some(row) = client.query("SELECT * FROM intralith_verify", &[])?.first() {
        let text = |n: usize| row.get::<_, Option<String>>(n).unwrap_or_default();
        return Err(Error::Failed(format!("the check of the volume: {}: {}", text(0), text(2))));
    }
    Ok(now)
}

/// Either machine on the faulty disk.
enum Machine {
    /// `hasty`: it may well never come up.
    Ours {
        kernel: PathBuf,
        processors: u32,
        hasty: bool,
    },
    Peer(peer::Peer, Attach),
}

/// One that runs.
enum Running {
    Ours(Box<Appliance>),
    Peer(peer::RunningPeer),
}

impl Machine {
    fn boot(&self, server: &Server) -> Result<(Running, u16, Option<&'static str>)> {
        let disk = |attach| Disk { source: Source::Nbd(server.socket().into()), attach };
        match self {
            Self::Ours { kernel, processors, hasty } => {
                let mut options = Options::pvh(kernel, "auth=trust");
                let port = tools::free_port()?;
                options.port = Some(port);
                options.processors = *processors;
                options.disk = Some(disk(Attach::Nvme));
                let mut appliance = Appliance::boot(options, false)?;
                appliance.wait_ready(None, if *hasty { HASTY_LIMIT } else { BOOT_LIMIT })?;
                Ok((Running::Ours(Box::new(appliance)), port, None))
            }
            Self::Peer(peer, attach) => {
                let running = peer.boot_with(disk(*attach))?;
                let port = running.port;
                Ok((Running::Peer(running), port, Some(peer::PASSWORD)))
            }
        }
    }
}

impl Running {
    fn kill(mut self) {
        match &mut self {
            Self::Ours(a) => a.guest().kill(),
            Self::Peer(p) => p.guest.kill(),
        }
    }
}

/// `cargo xtask powercut`.
pub fn run(arguments: &PowercutArguments) -> Result<()> {
    let machine = if arguments.peer {
        let attach = match arguments.controller {
            Some(Controller::Nvme) => Attach::Nvme,
            Some(Controller::VirtioBlk) | None => Attach::VirtioBlk,
        };
        Machine::Peer(peer::build()?, attach)
    } else if arguments.controller == Some(Controller::VirtioBlk) {
        return Err(Error::Usage("the appliance has no driver for virtio-blk".into()));
    } else {
        let kernel = arguments.kernel.clone().map_or_else(|| build_kernel(Profile::Release), Ok)?;
        Machine::Ours { kernel, processors: 2, hasty: arguments.lie }
    };
    let folder = tools::scratch("powercut")?;
    let image = folder.join(format!("{}.img", std::process::id()));
    let made = match &machine {
        Machine::Ours { .. } => std::fs::File::create(&image)
            .and_then(|f| f.set_len(1 << 30))
            .context(|| format!("create {}", image.display())),
        Machine::Peer(p, _) => p.copy_data(&image),
    };
    let outcome = made.and_then(|()| rounds(arguments, &machine, &image));
    let _ = std::fs::remove_file(image.with_extension("live"));
    match (outcome, arguments.lie) {
        (Ok(()), false) => {
            let _ = std::fs::remove_file(&image);
            Ok(())
        }
        (Ok(()), true) => Err(Error::Failed("a disk that does not flush was not noticed".into())),
        (Err(e), true) => {
            let _ = std::fs::remove_file(&image);
            println!("noticed: {e}");
            Ok(())
        }
        // The image stays, for whoever looks into it.
        (Err(e), false) => Err(e),
    }
}

fn rounds(arguments: &PowercutArguments, machine: &Machine, image: &Path) -> Result<()> {
    let started = Instant::now();
    let socket = std::env::temp_dir().join(format!("intralith-powercut-{}.nbd", std::process::id()));
    let server = Server::start(FaultyDisk::open(image)?, socket)?;
    let (mut guest, mut port, password) = machine.boot(&server)?;
    let mut client = connect(port, password)?;
    client.batch_execute(SETUP)?;
    if let Machine::Peer(_, attach) = machine {
        tell_journal(&mut client, &server, *attach)?;
    }
    drop(client);
    server.disk().set_lies(arguments.lie);
    let mut known = vec![Acknowledged::default(); WRITERS as usize];
    let mut random = Random(arguments.seed);
    let (mut doubt, mut boots) = (0, Duration::ZERO);
    for round in 1..=arguments.rounds {
        let load = Load::start(port, password, &known, random.below(u64::MAX))?;
        std::thread::sleep(Duration::from_millis(300 + random.below(1200)));
        // Three cuts in four while the disk holds something back, the others at any moment.
        let patience = if arguments.peer { PEER_PATIENCE } else { PATIENCE };
        let deadline = Instant::now() + patience * u32::from(random.below(4) != 0);
        let least = 1 + random.below(100) as usize;
        while Instant::now() < deadline && server.disk().in_doubt() < least {
            std::thread::sleep(Duration::from_micros(200));
        }
        guest.kill();
        known = load.end()?;
        let lost = server.disk().cut(random.below(u64::MAX)).context(|| "cut the power".into())?;
        doubt += lost;
        let booting = Instant::now();
        (guest, port, _) = machine.boot(&server).map_err(|e| Error::Failed(format!("round {round}: {e}")))?;
        boots += booting.elapsed();
        let mut client = connect(port, password)?;
        known = verify(&mut client, &known, arguments.peer)
            .map_err(|e| Error::Failed(format!("round {round} (seed {}): {e}", arguments.seed)))?;
        let total: i64 = known.iter().map(|k| k.transfer).sum();
        println!("round {round}: {lost} sectors in doubt, {total} transfers");
    }
    let (transfers, tables) = known.iter().fold((0, 0), |(t, d), k| (t + k.transfer, d + k.table));
    println!(
        "{} cuts in {:.0} s: {transfers} transfers and {tables} tables made, none lost, none halved; {doubt} sectors in \
         doubt; {:?}; boot and recovery {:.2} s on average",
        arguments.rounds,
        started.elapsed().as_secs_f64(),
        server.disk().counters(),
        boots.as_secs_f64() / f64::from(arguments.rounds.max(1)),
    );
    guest.kill();
    Ok(())
}

/// What the peer's Linux thinks of its disk, and what of a commit of its file system's journal reaches the disk: tables that are made
/// and synced with nothing else going on.
fn tell_journal(client: &mut Client, server: &Server, attach: Attach) -> Result<()> {
    let name = if attach == Attach::Nvme { "nvme0n1" } else { "vdb" };
    let mut queue = |what: &str| -> Result<String> {
        let sql = format!("SELECT trim(pg_read_file('/sys/block/{name}/queue/{what}'), E'\\n')");
        Ok(client.query_one(&sql, &[])?.get(0))
    };
    let (cache, fua) = (queue("write_cache")?, queue("fua")?);
    let before = server.disk().counters();
    for n in 0..10 {
        client
            .batch_execute(&format!("CREATE TABLE synced_{n} (a int); DROP TABLE synced_{n}; CHECKPOINT"))?;
    }
    let after = server.disk().counters();
    println!(
        "{name} in the peer: cache \"{cache}\", FUA {fua}; ten tables made, dropped and checkpointed: {} writes, {} of them with \
         FUA, {} flushes reached the disk",
        after.writes - before.writes,
        after.forced - before.forced,
        after.flushes - before.flushes,
    );
    Ok(())
}

/// Bytes of the disk of [`disk_faults`], and where its pages begin: behind a log ring of an eighth.
const FAULTY_DISK: u64 = 1 << 30;
const FAULTY_PAGES: u64 = (1 << 20) + FAULTY_DISK / 8;

/// A part of the disk cannot be read: statements that need it fail with 58030, everything else goes on.
pub fn disk_faults(kernel: &Path) -> Result<()> {
    let folder = tools::scratch("powercut")?;
    let image = folder.join(format!("faults-{}.img", std::process::id()));
    std::fs::File::create(&image)
        .and_then(|f| f.set_len(FAULTY_DISK))
        .context(|| format!("create {}", image.display()))?;
    let socket = std::env::temp_dir().join(format!("intralith-faults-{}.nbd", std::process::id()));
    let server = Server::start(FaultyDisk::open(&image)?, socket)?;
    let mut options = Options::pvh(kernel, "auth=trust buffer_pool=8M");
    let port = tools::free_port()?;
    options.port = Some(port);
    options.disk = Some(Disk { source: Source::Nbd(server.socket().into()), attach: Attach::Nvme });
    let mut appliance = Appliance::boot(options, false)?;
    appliance.wait_ready(None, BOOT_LIMIT)?;
    let mut client = connect(port, None)?;
    client.batch_execute(
        "CREATE TABLE small (a int PRIMARY KEY); INSERT INTO small SELECT generate_series(1, 100); \
         CREATE TABLE big (a int PRIMARY KEY, b text); \
         INSERT INTO big SELECT i, repeat('z', 1000) FROM generate_series(1, 40000) i; CHECKPOINT",
    )?;
    let read = "SELECT count(b) FROM big WHERE length(b) = 1000";
    let count = |client: &mut Client, sql: &str| client.query_one(sql, &[]).map(|r| r.get::<_, i64>(0));
    // In the middle of the big table.
    let bad = FAULTY_PAGES + (20 << 20)..FAULTY_PAGES + (21 << 20);
    server.disk().set_unreadable(vec![bad]);
    match count(&mut client, read) {
        Err(e) if e.code().is_some_and(|c| c.code() == "58030") => {}
        other => return Err(Error::Failed(format!("reading a bad part of the disk gave {other:?}"))),
    }
    client.batch_execute("INSERT INTO small VALUES (101); UPDATE small SET a = a + 1000 WHERE a < 50")?;
    let rows = count(&mut client, "SELECT count(*) FROM small")?;
    let unreadable =
        client.query("SELECT * FROM intralith_verify WHERE problem LIKE '%cannot be read%'", &[])?.len();
    server.disk().set_unreadable(Vec::new());
    let healed = count(&mut client, read)?;
    let problems = client.query("SELECT * FROM intralith_verify", &[])?.len();
    if rows != 101 || unreadable == 0 || healed != 40_000 || problems != 0 {
        return Err(Error::Failed(format!(
            "{rows} of 101 rows, {unreadable} unreadable pages named, {healed} of 40000 rows afterwards, {problems} problems"
        )));
    }
    appliance.shut_down(Duration::from_secs(60))?;
    for file in [image.with_extension("live"), image] {
        let _ = std::fs::remove_file(file);
    }
    println!("58030 for what cannot be read, {unreadable} pages named by the check, everything else served");
    Ok(())
}

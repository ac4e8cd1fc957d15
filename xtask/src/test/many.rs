//! Ten thousand connections to one guest, most of them idle.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use qemu_machine::Disk;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{check, guest::TestDisk};
use crate::{
    appliance::{Appliance, Options, USER},
    error::{Context, Error, Result},
    kernel_build::{Profile, build_kernel},
    tools,
};

/// Connections that are open at once.
const CONNECTIONS: usize = 10_000;
/// Of these, how many send statements one after the other.
const BUSY: usize = 64;
/// How long they do so.
const LOAD: Duration = Duration::from_secs(5);
/// Threads that open connections.
const OPENERS: usize = 8;
/// Descriptors that this process and the emulator need besides those of connections.
const OTHER_FILES: u64 = 200;

/// A connection without any client library: ten thousand of those would need more than the guest does.
struct Raw(TcpStream);

impl Raw {
    fn open(port: u16) -> Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).context(|| "connect".into())?;
        stream.set_nodelay(true).context(|| "set an option".into())?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).context(|| "set an option".into())?;
        let words = format!("user\0{USER}\0database\0{USER}\0\0");
        let mut message = u32::try_from(words.len() + 8).unwrap_or(0).to_be_bytes().to_vec();
        message.extend(196_608u32.to_be_bytes());
        message.extend(words.as_bytes());
        stream.write_all(&message).context(|| "send".into())?;
        let mut raw = Self(stream);
        raw.until_ready()?;
        Ok(raw)
    }

    /// Reads messages up to ReadyForQuery; gives the number of rows among them.
    fn until_ready(&mut self) -> Result<usize> {
        let mut rows = 0;
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).context(|| "receive".into())?;
            let [tag, length @ ..] = head;
            let length = u32::from_be_bytes(length).saturating_sub(4).min(1 << 20);
            let mut body = vec![0; length as usize];
            self.0.read_exact(&mut body).context(|| "receive".into())?;
            match tag {
                b'Z' => return Ok(rows),
                b'D' => rows += 1,
                b'E' => {
                    return Err(Error::Failed(format!("server says {}", String::from_utf8_lossy(&body))));
                }
                _ => {}
            }
        }
    }

    fn query(&mut self, sql: &str) -> Result<usize> {
        let mut message = vec![b'Q'];
        message.extend(u32::try_from(sql.len() + 5).unwrap_or(0).to_be_bytes());
        message.extend(sql.as_bytes());
        message.push(0);
        self.0.write_all(&message).context(|| "send".into())?;
        self.until_ready()
    }
}

/// Lets this process and its children open so many files, or says how many it may.
fn allow_files(wanted: u64) -> u64 {
    let limits = getrlimit(Resource::Nofile);
    let most = limits.maximum.unwrap_or(u64::MAX);
    let granted = wanted.min(most);
    if limits.current.is_some_and(|c| c < granted) {
        let raised = Rlimit { current: Some(granted), maximum: limits.maximum };
        if setrlimit(Resource::Nofile, raised).is_err() {
            return limits.current.unwrap_or(granted);
        }
    }
    granted
}

fn boot(kernel: &Path, disk: &TestDisk, port: u16) -> Result<Appliance> {
    let command_line = format!("auth=trust max_connections={}", CONNECTIONS + 10);
    let mut options = Options::pvh(kernel, &command_line);
    options.memory = "2G".into();
    options.port = Some(port);
    options.disk = Some(Disk::nvme(&disk.path));
    let mut guest = Appliance::boot(options, false)?;
    guest.wait_ready(Some(&disk.password), Duration::from_secs(60))?;
    Ok(guest)
}

fn open_many(port: u16, many: usize) -> Result<Vec<Raw>> {
    let each = |n: usize| -> Result<Vec<Raw>> {
        (0..n)
            .map(|_| {
                let mut raw = Raw::open(port)?;
                let rows = raw.query("SELECT count(*) FROM word WHERE id < 10")?;
                check(rows == 1, || format!("{rows} rows instead of one"))?;
                Ok(raw)
            })
            .collect()
    };
    thread::scope(|scope| {
        let openers: Vec<_> = (0..OPENERS).map(|_| scope.spawn(|| each(many / OPENERS))).collect();
        let mut all = Vec::new();
        for opener in openers {
            all.extend(opener.join().map_err(|_| Error::Failed("an opener panicked".into()))??);
        }
        Ok(all)
    })
}

/// Point selects on some connections while the others idle: statements per second, and the slowest one.
fn load(busy: &mut [Raw]) -> Result<(f64, Duration)> {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let one = |raw: &mut Raw, mut id: usize| -> Result<Duration> {
        let mut slowest = Duration::ZERO;
        while !stop.load(Ordering::Relaxed) {
            id = (id * 7 + 1) % 1000;
            let start = Instant::now();
            let rows = raw.query(&format!("SELECT text FROM word WHERE id = {id}"))?;
            slowest = slowest.max(start.elapsed());
            check(rows == 1, || format!("{rows} rows for id {id}"))?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(slowest)
    };
    thread::scope(|scope| {
        let one = &one;
        let workers: Vec<_> =
            busy.iter_mut().enumerate().map(|(i, raw)| scope.spawn(move || one(raw, i))).collect();
        thread::sleep(LOAD);
        stop.store(true, Ordering::Relaxed);
        let mut slowest = Duration::ZERO;
        for worker in workers {
            slowest = slowest.max(worker.join().map_err(|_| Error::Failed("a client panicked".into()))??);
        }
        Ok((done.load(Ordering::Relaxed) as f64 / LOAD.as_secs_f64(), slowest))
    })
}

/// 10,000 connections in a guest with 2 GiB, each having run a statement; 64 of them busy; then each still answers.
pub fn connections() -> Result<()> {
    let files = allow_files(CONNECTIONS as u64 + OTHER_FILES);
    let many = CONNECTIONS.min(usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(0));
    if many < CONNECTIONS {
        println!("only {many} connections: a process may not open more than {files} files here");
    }
    let kernel = build_kernel(Profile::Release)?;
    let disk = TestDisk::new("connections")?;
    let port = tools::free_port()?;
    let mut guest = boot(&kernel, &disk, port)?;
    let mut client = guest.connect(Some(&disk.password))?;
    client.batch_execute(
        "CREATE TABLE word (id int PRIMARY KEY, text text);
         INSERT INTO word SELECT i, 'word ' || i FROM generate_series(0, 999) i; ANALYZE word",
    )?;
    let mut used = || -> Result<i64> { Ok(client.query_one("SELECT intralith_memory_used()", &[])?.get(0)) };
    let before = used()?;
    let (mut few, start) = (open_many(port, BUSY)?, Instant::now());
    let (alone, _) = load(&mut few)?;
    drop(few);
    let mut all = open_many(port, many)?;
    let opened = start.elapsed() - LOAD;
    let after = used()?;
    let each = (after - before) / i64::try_from(all.len().max(1)).unwrap_or(1);
    let (idle, busy) = all.split_at_mut(many - BUSY);
    let (rate, slowest) = load(busy)?;
    println!(
        "{many} connections opened in {:.1} s, {:.1} KiB each; {BUSY} busy ones: {rate:.0} statements/s \
         (without the others {alone:.0}), the slowest took {} ms",
        opened.as_secs_f64(),
        each as f64 / 1024.0,
        slowest.as_millis()
    );
    for raw in idle {
        raw.query("SELECT 1")?;
    }
    check(each < 100 << 10, || format!("{each} bytes a connection"))?;
    drop(all);
    drop(client);
    guest.shut_down(Duration::from_secs(60))
}

//! The hosted server against a PostgreSQL 15 of this machine: the same durability, the same files' device.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    BenchArguments,
    subject::{cpu_seconds, median, rate},
};
use crate::{
    appliance::{self, USER},
    error::{Context, Error, Result},
    run as host, tools,
};

const CASES: [(&str, &[&str]); 5] = [
    ("select-only prepared, 1 client", &["-S", "-M", "prepared", "-c", "1"]),
    ("select-only prepared, 8 clients", &["-S", "-M", "prepared", "-c", "8"]),
    ("TPC-B simple, 1 client", &["-c", "1"]),
    ("TPC-B simple, 8 clients", &["-c", "8"]),
    ("TPC-B prepared, 8 clients", &["-M", "prepared", "-c", "8"]),
];

const SCALING: [(&str, &[&str]); 2] = [
    ("select-only prepared, 32 clients", &["-S", "-M", "prepared", "-c", "32"]),
    ("TPC-B prepared, 32 clients", &["-M", "prepared", "-c", "32"]),
];

/// A server process, killed when dropped.
pub(super) struct Server {
    child: Child,
    port: u16,
    /// Where its files are.
    folder: PathBuf,
}

impl Server {
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = tools::terminate(self.child.id());
        let deadline = Instant::now() + Duration::from_secs(20);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn wait_ready(port: u16, database: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let url = format!("host=127.0.0.1 port={port} user={USER} dbname={database}");
    loop {
        match postgres::Client::connect(&url, postgres::NoTls) {
            Ok(_) => return Ok(()),
            Err(e) if Instant::now() > deadline => return Err(e.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// A folder for a server's files, on the same device for both.
fn folder(name: &str) -> Result<PathBuf> {
    // What a run that was killed left behind is nobody's.
    let name = format!("intralith-bench-{name}-{}-{:x}", std::process::id(), appliance::unique());
    let path = std::env::temp_dir().join(name);
    fs::create_dir_all(&path).context(|| format!("create {}", path.display()))?;
    Ok(path)
}

/// On so many of the first processors, or on any.
pub(super) fn start_hosted(binary: &Path, processors: Option<usize>) -> Result<Server> {
    let folder = folder("hosted")?;
    let port = tools::free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let mut command =
        host::hosted_command(binary, &listen, &folder.join("disk.img"), &folder.join("password"));
    if let Some(n) = processors {
        let alone = command;
        command = pinned(&format!("0-{}", n - 1), alone.get_program());
        command.args(alone.get_args());
    }
    command.args(["--auth", "trust", "--buffer-pool", "256M", "--size", "8G"]).stdout(Stdio::null());
    let child = command.spawn().context(|| format!("start {}", binary.display()))?;
    let server = Server { child, port, folder };
    wait_ready(port, USER)?;
    Ok(server)
}

/// A command that runs as an ordinary user: PostgreSQL refuses to be root.
fn ordinary(program: &PathBuf) -> Command {
    if !tools::is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

pub(super) fn start_postgres() -> Result<Server> {
    let missing = || Error::Usage("`bench native` compares with PostgreSQL 15: install its server".into());
    let initdb = tools::find("initdb").ok_or_else(missing)?;
    let program = tools::find("postgres").ok_or_else(missing)?;
    let folder = folder("postgres")?;
    let data = folder.join("data");
    if tools::is_root() {
        tools::run(Command::new("chown").arg("postgres").arg(&folder))?;
    }
    let mut command = ordinary(&initdb);
    command.arg("-D").arg(&data).args(["-A", "trust", "-U", USER, "--locale=C.UTF-8", "-E", "UTF8"]);
    tools::run(command.stdout(Stdio::null()).current_dir("/"))?;
    let port = tools::free_port()?;
    let log = fs::File::create(folder.join("log")).context(|| "create a log".into())?;
    let mut command = ordinary(&program);
    command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""]);
    command.args(["-c", "shared_buffers=256MB"]).current_dir("/").stdin(Stdio::null()).stderr(log);
    let child = command.spawn().context(|| format!("start {}", program.display()))?;
    let server = Server { child, port, folder };
    wait_ready(port, "postgres")?;
    let url = format!("host=127.0.0.1 port={port} user={USER} dbname=postgres");
    postgres::Client::connect(&url, postgres::NoTls)?.batch_execute(&format!("CREATE DATABASE {USER}"))?;
    Ok(server)
}

/// Fields of `/proc/PID/stat` behind the name.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit(')').next()?.split_whitespace().map(Into::into).collect())
}

/// Processor seconds of a process and all below it, those that have ended included.
fn tree_seconds(pid: u32) -> Result<f64> {
    let mut total = cpu_seconds(pid)?;
    // Fields 16 and 17: children that were waited for.
    let waited = |i: usize| stat(pid).and_then(|f| f.get(i)?.parse::<f64>().ok()).unwrap_or(0.0);
    total += (waited(13) + waited(14)) / 100.0;
    for entry in fs::read_dir("/proc").context(|| "read /proc".into())?.flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        if stat(child).is_some_and(|f| f.get(1).is_some_and(|parent| *parent == pid.to_string())) {
            // It may end just now; then it is in the next reading.
            total += tree_seconds(child).unwrap_or(0.0);
        }
    }
    Ok(total)
}

fn pgbench(port: u16, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(tools::require(tools::PGBENCH)?);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", USER]).args(arguments).arg(USER);
    tools::capture(command.env("PGSSLMODE", "disable").stdin(Stdio::null()))
}

/// Transactions per second, and microseconds of the server's processor time for each.
fn measure(server: &Server, case: &[&str], seconds: u32) -> Result<(f64, f64)> {
    let time = seconds.to_string();
    let before = tree_seconds(server.child.id())?;
    let report = pgbench(server.port, &[&["-n", "-T", &time], case].concat())?;
    // Processes that are just ending are in neither reading: let them.
    std::thread::sleep(Duration::from_millis(500));
    let used = tree_seconds(server.child.id())? - before;
    let done = report.lines().find_map(|l| l.strip_prefix("number of transactions actually processed: "));
    let done = done.and_then(|n| n.split('/').next()?.trim().parse::<f64>().ok());
    let done = done.ok_or_else(|| Error::Failed(format!("pgbench counted nothing:\n{report}")))?;
    Ok((rate(&report)?, used * 1e6 / done))
}

/// A command that runs on these processors only. It becomes the program, so that its process is the program's.
fn pinned(processors: &str, program: &OsStr) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", processors]).arg(program);
    command
}

/// The hosted server on one, two, four and eight processors, as far as there are as many again for the clients.
pub fn scaling(arguments: &BenchArguments) -> Result<()> {
    let host = std::thread::available_parallelism().map_or(0, usize::from);
    let binary = arguments.server()?;
    let pgbench = tools::require(tools::PGBENCH)?;
    for processors in [1, 2, 4, 8].into_iter().filter(|n| n * 2 <= host) {
        let server = start_hosted(&binary, Some(processors))?;
        let rest = format!("{processors}-{}", host - 1);
        let clients = |list: &[&str]| {
            let mut command = pinned(&rest, pgbench.as_os_str());
            command
                .args(["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", USER])
                .args(list)
                .arg(USER);
            tools::capture(command.env("PGSSLMODE", "disable").stdin(Stdio::null()))
        };
        clients(&["-i", "-q", "-s", &arguments.pgbench_scale().to_string()])?;
        let threads = (host - processors).min(8).to_string();
        for (name, case) in SCALING.iter().filter(|c| c.0.contains(&arguments.only)) {
            let time = arguments.seconds.to_string();
            let mut rates = Vec::new();
            for _ in 0..arguments.rounds.max(1) {
                let report = clients(&[&["-n", "-T", &time, "-j", &threads], *case].concat())?;
                rates.push(rate(&report)?);
            }
            println!("hosted, {processors} processors: {name:<34} {:>10.0} tps", median(&mut rates));
        }
    }
    Ok(())
}

/// Measures all cases, server after server in each round.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let (ours, theirs) = (start_hosted(&arguments.server()?, None)?, start_postgres()?);
    let scale = arguments.pgbench_scale().to_string();
    for server in [&ours, &theirs] {
        pgbench(server.port, &["-i", "-q", "-s", &scale])?;
    }
    println!("natively: transactions/s, and processor microseconds of the server per transaction");
    println!(
        "{:<34} {:>9} {:>9} {:>6} {:>9} {:>9} {:>6}  promised: ratio over 1, processor at most 0.5",
        "", "Intralith", "PG 15", "ratio", "Intralith", "PG 15", "share"
    );
    for (name, case) in CASES.iter().filter(|c| c.0.contains(&arguments.only)) {
        let mut figures: [Vec<f64>; 4] = Default::default();
        for _ in 0..arguments.rounds.max(1) {
            let (tps, cpu) = measure(&ours, case, arguments.seconds)?;
            let (their_tps, their_cpu) = measure(&theirs, case, arguments.seconds)?;
            for (all, one) in figures.iter_mut().zip([tps, their_tps, cpu, their_cpu]) {
                all.push(one);
            }
        }
        let [a, b, c, d] = figures.map(|mut all| median(&mut all));
        println!("{name:<34} {a:>9.0} {b:>9.0} {:>6.2} {c:>9.0} {d:>9.0} {:>6.2}", a / b, c / d);
    }
    Ok(())
}

//! What becomes of the host's disk under the server: its file system is full, the file is cut short, the file is removed.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use postgres::{Client, NoTls, error::SqlState};

/// A folder of its own, and a server in it; both end with it.
struct Server {
    folder: PathBuf,
    port: u16,
    child: Child,
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("intralith-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("mount")).unwrap();
    folder
}

fn command(folder: &Path, port: u16) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let listen = format!("127.0.0.1:{port}");
    let disk = path("mount/disk.img");
    let words = [env!("CARGO_BIN_EXE_hosted"), "--listen", &listen, "--disk", &disk, "--size", "128M"];
    let more = ["--password-file", &path("password"), "--auth", "trust", "--buffer-pool", "4M"];
    words.into_iter().chain(more).map(str::to_owned).collect()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    fn start(name: &str) -> Self {
        let (folder, port) = (folder(name), free_port());
        let words = command(&folder, port);
        let child = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).spawn().unwrap();
        Self { folder, port, child }
    }

    /// On a file system of so many MiB that only it sees, and started again on the same one when it ends. None where the host does
    /// not let us make one.
    fn start_in_little_room(name: &str, megabytes: u32) -> Option<Self> {
        let (folder, port) = (folder(name), free_port());
        let mount = folder.join("mount");
        let mounting = format!("mount -t tmpfs -o size={megabytes}m none '{}'", mount.display());
        let unshare = |script: &str| {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
            command.stdin(Stdio::null());
            command
        };
        if !unshare(&mounting).status().is_ok_and(|s| s.success()) {
            println!("skipped: this host does not let us mount a file system of our own");
            return None;
        }
        let pid = folder.join("pid");
        let run = format!("\"$@\" & echo $! > '{0}.new'; mv '{0}.new' '{0}'; wait", pid.display());
        let child =
            unshare(&format!("{mounting}; {run}; {run}")).args(command(&folder, port)).spawn().unwrap();
        Some(Self { folder, port, child })
    }

    fn pid(&self) -> Option<i32> {
        fs::read_to_string(self.folder.join("pid")).ok()?.trim().parse().ok()
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("mount/disk.img")
    }

    fn connect(&self) -> Client {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut config = Client::configure();
        config.host("127.0.0.1").port(self.port).user("intralith").dbname("intralith");
        loop {
            match config.connect(NoTls) {
                Ok(client) => return client,
                Err(e) if Instant::now() > deadline => panic!("the server does not answer: {e}"),
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the server goes on");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn kill(pid: i32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(first) = self.pid() {
            kill(first);
            // It was started again, perhaps.
            for _ in 0..50 {
                thread::sleep(Duration::from_millis(10));
                if let Some(second) = self.pid().filter(|p| *p != first) {
                    kill(second);
                    break;
                }
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Rows of a kilobyte until it fails or there are so many. Gives how many were acknowledged.
fn fill(client: &mut Client, table: &str, from: i32, to: i32) -> (i32, Option<postgres::Error>) {
    let text =
        format!("INSERT INTO {table} SELECT g, repeat(md5(g::text), 32) FROM generate_series($1::int, $2) g");
    let statement = client.prepare(&text).unwrap();
    for first in (from..to).step_by(50) {
        if let Err(e) = client.execute(&statement, &[&first, &(first + 49)]) {
            return (first, Some(e));
        }
    }
    (to, None)
}

fn create(client: &mut Client, table: &str) {
    client
        .batch_execute(&format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, v text); ALTER TABLE {table} ALTER v SET STORAGE PLAIN"
        ))
        .unwrap();
}

fn count(client: &mut Client, table: &str) -> Result<i64, postgres::Error> {
    client.query_one(&format!("SELECT count(*) FROM {table} WHERE length(v) = 1024"), &[]).map(|r| r.get(0))
}

#[test]
fn a_full_file_system_fails_statements_and_loses_nothing() {
    // The disk says 128 MiB. The log's ring takes 16 of them.
    let Some(server) = Server::start_in_little_room("full", 48) else { return };
    let mut client = server.connect();
    let mut other = server.connect();
    create(&mut client, "small");
    assert!(fill(&mut client, "small", 0, 500).1.is_none());
    create(&mut client, "big");
    let (there, error) = fill(&mut client, "big", 0, 100_000);
    let error = error.expect("48 MiB hold 100 MB");
    let said = error.as_db_error().unwrap();
    assert_eq!(*said.code(), SqlState::DISK_FULL, "{error}");
    assert!(said.message().contains("No space left on device"), "{error}");
    assert!(there > 5000, "only {there} rows");
    // The rest is served, and so is the same session.
    assert_eq!(count(&mut other, "small").unwrap(), 500);
    other.execute("UPDATE small SET v = repeat('x', 1024) WHERE id < 10", &[]).unwrap();
    other.batch_execute("CHECKPOINT").unwrap();
    assert_eq!(count(&mut client, "big").unwrap(), i64::from(there));

    // The power goes; the file system is as full as before.
    let pid = server.pid().unwrap();
    kill(pid);
    drop((client, other));
    while server.pid() == Some(pid) {
        thread::sleep(Duration::from_millis(5));
    }
    let mut client = server.connect();
    assert_eq!(count(&mut client, "big").unwrap(), i64::from(there));
    assert_eq!(count(&mut client, "small").unwrap(), 500);
    // What is dropped makes room.
    client.batch_execute("DROP TABLE big").unwrap();
    create(&mut client, "next");
    assert!(fill(&mut client, "next", 0, 5000).1.is_none());
    let problems = client.query("SELECT * FROM pg_catalog.intralith_verify", &[]).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn a_file_cut_short_fails_the_statements_that_meet_it() {
    let server = Server::start("short");
    let mut client = server.connect();
    create(&mut client, "early");
    assert!(fill(&mut client, "early", 0, 500).1.is_none());
    create(&mut client, "late");
    // Statistics made by the way would lie at the end, too, those of catalogs as well: they get their room here.
    client.batch_execute("ANALYZE").unwrap();
    client.batch_execute("ALTER TABLE early SET (autovacuum_enabled = false)").unwrap();
    client.batch_execute("ALTER TABLE late SET (autovacuum_enabled = false)").unwrap();
    // More than the buffer pool holds.
    assert!(fill(&mut client, "late", 0, 20_000).1.is_none());
    client.batch_execute("CHECKPOINT").unwrap();
    // What lies at its end is the last table's.
    let file = File::options().write(true).open(server.disk()).unwrap();
    file.set_len(30 << 20).unwrap();
    let error = count(&mut client, "late").expect_err("half of it is gone");
    let said = error.as_db_error().unwrap();
    assert_eq!(*said.code(), SqlState::IO_ERROR, "{error}");
    assert!(said.message().starts_with("could not read block"), "{error}");
    assert_eq!(count(&mut client, "early").unwrap(), 500);
    client.execute("INSERT INTO early VALUES (1000000, 'still')", &[]).unwrap();
}

#[test]
fn a_removed_file_ends_the_server_before_it_acknowledges_anything() {
    let mut server = Server::start("removed");
    let mut client = server.connect();
    create(&mut client, "t");
    assert!(fill(&mut client, "t", 0, 500).1.is_none());
    fs::remove_file(server.disk()).unwrap();
    // What is in memory can be read.
    assert_eq!(count(&mut client, "t").unwrap(), 500);
    let acknowledged = client.execute("INSERT INTO t VALUES (-1, 'lost')", &[]);
    assert!(acknowledged.is_err(), "acknowledged on a disk that is gone");
    assert!(!server.ended().success());
}

//! Isolation scenarios: steps of several sessions in chosen orders, with what each answers and which must wait.
//!
//! A scenario file, in `tests/isolation`:
//! ```text
//! setup
//!   CREATE TABLE ...;
//! teardown
//!   DROP TABLE ...;
//! session a
//!   begin: BEGIN;
//!   read: SELECT ...;
//! session b
//!   ...
//! permutation begin read ...
//! ```
//! Without `permutation` lines every interleaving is run. A `+` among the steps waits until no step waits any more (a time limit ends it).
//! The answers stand in a file of the same name that ends in `.out`;
//! `--record` writes it, to be run against PostgreSQL.
//!
//! A step waits when the server says so (`pg_blocking_pids`): no clock decides. After every step the ones that waited are looked at,
//! in the order in which they began.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread,
    time::Duration,
};

use postgres::{Client, NoTls, SimpleQueryMessage};

use crate::{Failure, Outcome, Test, Url};

pub const TESTS: &[Test] = &[("isolation: scenarios answer as PostgreSQL's", scenarios)];

fn scenarios(url: &Url) -> Outcome {
    match run_all(url, None, false)? {
        (0, _) => Err(Failure::Failed("no scenario was found".into())),
        (_, 0) => Ok(()),
        (_, failed) => Err(Failure::Failed(format!("{failed} scenarios"))),
    }
}

/// How long a step may neither answer nor wait.
const PATIENCE: Duration = Duration::from_secs(20);
/// In an order: until no step waits.
const SETTLED: usize = usize::MAX;
/// Between looks at a step under way.
const LOOK: Duration = Duration::from_millis(2);

#[derive(Debug, Default)]
struct Scenario {
    setup: String,
    teardown: String,
    /// Names of the sessions.
    sessions: Vec<String>,
    /// Name, session, text.
    steps: Vec<(String, usize, String)>,
    permutations: Vec<Vec<usize>>,
}

impl Scenario {
    fn parse(text: &str) -> Result<Self, String> {
        let mut s = Self::default();
        let mut block = "";
        for (n, line) in text.lines().enumerate() {
            let bad = |what: &str| format!("line {}: {what}", n + 1);
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(body) = line.strip_prefix("  ") {
                match block {
                    "setup" => s.setup.push_str(&format!("{body}\n")),
                    "teardown" => s.teardown.push_str(&format!("{body}\n")),
                    "session" => match body.split_once(": ") {
                        Some((name, sql)) if !body.starts_with(' ') => {
                            let session = s.sessions.len().checked_sub(1).ok_or_else(|| bad("no session"))?;
                            s.steps.push((name.to_owned(), session, sql.to_owned()));
                        }
                        _ => {
                            let last = s.steps.last_mut().ok_or_else(|| bad("no step"))?;
                            last.2.push_str(&format!("\n{}", body.trim()));
                        }
                    },
                    _ => return Err(bad("text outside a block")),
                }
                continue;
            }
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "setup" => block = "setup",
                "teardown" => block = "teardown",
                "session" => {
                    block = "session";
                    s.sessions.push(rest.to_owned());
                }
                "permutation" => {
                    let find = |w: &str| match w {
                        "+" => Some(SETTLED),
                        _ => s.steps.iter().position(|x| x.0 == w),
                    };
                    let steps = rest
                        .split_whitespace()
                        .map(|w| find(w).ok_or_else(|| bad(&format!("no step {w}"))))
                        .collect::<Result<_, _>>()?;
                    s.permutations.push(steps);
                }
                other => return Err(bad(&format!("unknown word {other}"))),
            }
        }
        if s.permutations.is_empty() {
            s.interleave(&mut vec![0; s.sessions.len()], &mut Vec::new());
        }
        Ok(s)
    }

    /// Every order that keeps each session's own.
    fn interleave(&mut self, done: &mut Vec<usize>, path: &mut Vec<usize>) {
        if path.len() == self.steps.len() {
            self.permutations.push(path.clone());
            return;
        }
        for session in 0..self.sessions.len() {
            let mut own = self.steps.iter().enumerate().filter(|(_, s)| s.1 == session);
            if let Some((i, _)) = own.nth(done[session]) {
                done[session] += 1;
                path.push(i);
                self.interleave(done, path);
                path.pop();
                done[session] -= 1;
            }
        }
    }
}

/// A session on a thread of its own.
struct Session {
    send: Sender<String>,
    answers: Receiver<String>,
    pid: i32,
    waiting: Option<usize>,
}

impl Session {
    fn start(url: &Url) -> Outcome<Self> {
        let mut client = Client::connect(&url.text, NoTls)?;
        let pid = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
        let (send, commands) = channel::<String>();
        let (answer, answers) = channel();
        thread::spawn(move || {
            for sql in commands {
                let _ = answer.send(run(&mut client, &sql));
            }
        });
        Ok(Self { send, answers, pid, waiting: None })
    }
}

/// A statement's answer as text.
fn run(client: &mut Client, sql: &str) -> String {
    let mut out = String::new();
    match client.simple_query(sql) {
        Ok(messages) => {
            let mut any = false;
            for m in messages {
                if let SimpleQueryMessage::Row(row) = m {
                    let cells = (0..row.len()).map(|i| row.get(i).unwrap_or("NULL"));
                    let _ = writeln!(out, "  {}", cells.collect::<Vec<_>>().join(" | "));
                    any = true;
                }
            }
            if !any {
                out.push_str("  ok\n");
            }
        }
        Err(e) => match e.as_db_error() {
            Some(d) => {
                let _ = writeln!(out, "  ERROR {}: {}", d.code().code(), d.message());
            }
            None => {
                let _ = writeln!(out, "  FAILED: {e}");
            }
        },
    }
    out
}

/// Runs one order of steps; gives its record.
fn permutation(url: &Url, control: &mut Client, s: &Scenario, order: &[usize]) -> Outcome<String> {
    control.batch_execute(&s.setup)?;
    let mut sessions: Vec<Session> =
        s.sessions.iter().map(|_| Session::start(url)).collect::<Outcome<_>>()?;
    let names: Vec<&str> = order.iter().map(|i| s.steps.get(*i).map_or("+", |x| x.0.as_str())).collect();
    let mut out = format!("permutation {}\n", names.join(" "));
    let mut waiting: Vec<usize> = Vec::new();
    for &step in order {
        if step == SETTLED {
            for session in std::mem::take(&mut waiting) {
                let late = sessions[session].answers.recv_timeout(PATIENCE);
                let answer = late.map_err(|_| Failure::Failed("a step waits for ever".into()))?;
                let at = sessions[session].waiting.take().unwrap_or(0);
                let _ = write!(out, "{} goes on:\n{answer}", s.steps[at].0);
            }
            continue;
        }
        let (name, session, sql) = &s.steps[step];
        // A session still waiting for an earlier step must be let go first.
        if sessions[*session].waiting.is_some() {
            let _ = writeln!(out, "{name}: not run, its session waits");
            continue;
        }
        let _ = sessions[*session].send.send(sql.clone());
        match settle(control, &sessions[*session])? {
            Some(answer) => {
                let _ = write!(out, "{name}:\n{answer}");
            }
            None => {
                let _ = writeln!(out, "{name}: waits");
                sessions[*session].waiting = Some(step);
                waiting.push(*session);
            }
        }
        release(control, s, &mut sessions, &mut waiting, &mut out)?;
    }
    for session in &waiting {
        let _ = writeln!(out, "{}: waits for ever", s.sessions[*session]);
    }
    // Closing the channel ends the thread and with it the connection.
    for session in &sessions {
        control.query("SELECT pg_terminate_backend($1)", &[&session.pid])?;
    }
    drop(sessions);
    control.batch_execute(&s.teardown)?;
    Ok(out)
}

/// The answer of a session's step, or none when it waits for others.
fn settle(control: &mut Client, session: &Session) -> Outcome<Option<String>> {
    let mut spent = Duration::ZERO;
    let mut seen = 0;
    loop {
        match session.answers.recv_timeout(LOOK) {
            Ok(answer) => return Ok(Some(answer)),
            Err(_) => spent += LOOK,
        }
        let blocked: bool =
            control.query_one("SELECT cardinality(pg_blocking_pids($1)) > 0", &[&session.pid])?.get(0);
        // Looked at several times: one that was just let go may still be listed.
        seen = if blocked { seen + 1 } else { 0 };
        if seen >= 5 {
            return match session.answers.try_recv() {
                Ok(answer) => Ok(Some(answer)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => Ok(None),
            };
        }
        if spent > PATIENCE {
            return Err(Failure::Failed("a step neither answers nor waits".into()));
        }
    }
}

/// Writes down the steps that need not wait any more.
fn release(
    control: &mut Client,
    s: &Scenario,
    sessions: &mut [Session],
    waiting: &mut Vec<usize>,
    out: &mut String,
) -> Outcome {
    let mut again = true;
    while again {
        again = false;
        for session in waiting.clone() {
            let Some(step) = sessions[session].waiting else { continue };
            if let Some(answer) = settle(control, &sessions[session])? {
                let _ = write!(out, "{} goes on:\n{answer}", s.steps[step].0);
                sessions[session].waiting = None;
                waiting.retain(|w| *w != session);
                again = true;
            }
        }
    }
    Ok(())
}

/// Where the scenarios are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../isolation")
}

/// Runs every scenario whose name contains the filter. With `record`, writes what the server answers as what is wanted.
pub fn run_all(url: &Url, filter: Option<&str>, record: bool) -> Outcome<(usize, usize)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder())?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|x| x == "scenario"))
        .collect();
    files.sort();
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let name = file.file_stem().and_then(|n| n.to_str()).unwrap_or("?").to_owned();
        if filter.is_some_and(|f| !name.contains(f)) {
            continue;
        }
        match scenario(url, &file, record) {
            Ok(n) => {
                println!("ok       isolation: {name} ({n} orders)");
                passed += 1;
            }
            Err(Failure::Failed(why) | Failure::Skipped(why)) => {
                println!("FAILED   isolation: {name}\n{why}");
                failed += 1;
            }
        }
    }
    Ok((passed, failed))
}

fn scenario(url: &Url, file: &Path, record: bool) -> Outcome<usize> {
    let s = Scenario::parse(&fs::read_to_string(file)?).map_err(Failure::Failed)?;
    let mut control = Client::connect(&url.text, NoTls)?;
    control.batch_execute("SET client_min_messages = error")?;
    let wanted_file = file.with_extension("out");
    let wanted = if record { String::new() } else { fs::read_to_string(&wanted_file)? };
    let mut wanted_parts = wanted.split("\n\n");
    let mut all = String::new();
    let mut wrong = String::new();
    for order in &s.permutations {
        let got = permutation(url, &mut control, &s, order)?;
        let want = wanted_parts.next().unwrap_or("").trim_end();
        if !record && got.trim_end() != want && wrong.len() < 4000 {
            let _ = writeln!(wrong, "--- wanted\n{want}\n--- got\n{got}");
        }
        let _ = writeln!(all, "{got}");
    }
    if record {
        fs::write(wanted_file, all.trim_end().to_owned() + "\n")?;
    }
    if wrong.is_empty() { Ok(s.permutations.len()) } else { Err(Failure::Failed(wrong)) }
}

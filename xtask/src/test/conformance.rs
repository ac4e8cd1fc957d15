//! PostgreSQL's own isolation scenarios and regression files against the hosted server, where they are at hand: a folder
//! `conformance` in a folder `shared` beside the checkout, PostgreSQL's `isolationtester`, psql 15 and Python.
//!
//! How many statements of each regression file must answer as PostgreSQL does is written in `tests/conformance/regress.tsv`;
//! `cargo xtask test regress` fails below that, and says what could be written above it. What all files come to without the
//! statements that need constructs of later issues (`tests/conformance/later.tsv`) it says, too.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use super::{check, clients::Hosted};
use crate::{
    appliance::USER,
    disk,
    error::{Context, Error, Result},
    tools,
};

/// Scenarios that need what is not there yet, and what that is. One that passes must leave the list.
const WANTING: [(&str, &str); 15] = [
    ("alter-table-3", "triggers"),
    ("create-trigger", "triggers"),
    ("detach-partition-concurrently-2", "partitions"),
    ("drop-index-concurrently-1", "plans of the same shape as PostgreSQL's"),
    ("fk-partitioned-1", "partitions"),
    ("insert-conflict-do-update-4", "partitions"),
    ("intra-grant-inplace-db", "waits of VACUUM for a change of its database's row"),
    ("merge-delete", "partitions"),
    ("merge-match-recheck", "partitions"),
    ("partition-concurrent-attach", "partitions"),
    ("partition-key-update-2", "partitions"),
    ("plpgsql-toast", "PL/pgSQL"),
    ("reindex-concurrently-toast", "relations of large values with names of their own"),
    ("ri-trigger", "triggers"),
    ("serializable-parallel-3", "the storage parameter parallel_workers"),
];

/// Where Debian's postgresql-server-dev-15 puts it.
const TESTER: &str = "/usr/lib/postgresql/15/lib/pgxs/src/test/isolation/isolationtester";

/// Runs one scenario; gives whether its output is one of those expected.
fn passes(tester: &Path, folder: &Path, name: &str, port: u16) -> Result<bool> {
    let spec = folder.join("specs").join(format!("{name}.spec"));
    let input = fs::File::open(&spec).context(|| format!("open {}", spec.display()))?;
    let mut command = Command::new(tester);
    command.arg(format!("host=127.0.0.1 port={port} user={USER} dbname={USER}"));
    command.env("PGAPPNAME", format!("isolation/{name}")).env("PGTZ", "PST8PDT");
    command.env("PGDATESTYLE", "Postgres, MDY").env("PGOPTIONS", "-c intervalstyle=postgres_verbose");
    let output =
        command.stdin(input).stderr(Stdio::null()).output().context(|| "run isolationtester".into())?;
    let variants = (0..=5).map(|n| if n == 0 { format!("{name}.out") } else { format!("{name}_{n}.out") });
    Ok(variants
        .filter_map(|v| fs::read(folder.join("expected").join(v)).ok())
        .any(|wanted| wanted == output.stdout))
}

/// What lies beside the checkout.
pub(super) fn folder(name: &str) -> PathBuf {
    tools::root().join("../shared/conformance").join(name)
}

/// A hosted server on a new disk, that lets everyone in.
pub fn server(image: &str) -> Result<Hosted> {
    let image = tools::scratch("disks")?.join(image);
    let _ = fs::remove_file(&image);
    let (password, password_file) = {
        let prepared = disk::prepare(&image, 2 << 30)?;
        let password =
            prepared.password()?.ok_or_else(|| Error::Failed("a new disk has no password".into()))?;
        (password, prepared.password_file())
    };
    let mut server = Hosted::start(&image, &password_file, &["--auth", "trust"])?;
    server.wait_ready(&password)?;
    Ok(server)
}

/// Lines of the runner's report: file, statements that answer as they should, statements that count.
pub(super) fn scores(report: &str) -> Vec<(&str, u32, u32)> {
    let line = |line| -> Option<(&str, u32, u32)> {
        let (name, rest) = str::split_once(line, " shown ")?;
        let (matched, total) = rest.split_whitespace().next()?.split_once('/')?;
        Some((name.trim(), matched.parse().ok()?, total.parse().ok()?))
    };
    report.lines().filter_map(line).collect()
}

/// The database's name: expected answers have it in them.
const REGRESSION: &str = "regression";

/// Runs all regression files against a new server; gives the runner's report.
fn regress_once(python: &Path, runner: &Path, source: &Path) -> Result<String> {
    let mut server = server("regress.img")?;
    let url = format!("postgres://{USER}@127.0.0.1:{}/{USER}", server.port);
    postgres::Client::connect(&url, postgres::NoTls)?
        .batch_execute(&format!("CREATE DATABASE {REGRESSION}"))?;
    let out = tools::scratch("regress")?;
    let mut command = Command::new(python);
    command.arg(runner).arg("--src").arg(source).arg("--out").arg(&out);
    command.args([
        "--host",
        "127.0.0.1",
        "--port",
        &server.port.to_string(),
        "--user",
        USER,
        "--db",
        REGRESSION,
    ]);
    let output = command.output().context(|| "run the regression files".into())?;
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{report}");
    server.stop()?;
    check(!scores(&report).is_empty(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok(report)
}

/// What the last run comes to without the statements that need what later issues bring; fails where one of those does not
/// need it after all.
fn without_later(python: &Path, runner: &Path, source: &Path) -> Result<()> {
    let folder = tools::root().join("tests/conformance");
    let mut command = Command::new(python);
    command.arg(folder.join("without_later.py")).arg(runner).arg(source);
    command.arg(tools::scratch("regress")?).arg(folder.join("later.tsv"));
    let output = command.output().context(|| "score the regression files without later constructs".into())?;
    let report = String::from_utf8_lossy(&output.stdout);
    print!("{report}");
    check(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
    check(!report.contains("PASSES"), || "statements must leave tests/conformance/later.tsv".into())
}

/// The files that are below what is written down, each with a sentence about it; says which could be written higher.
pub(super) fn below(report: &str, floors: &str) -> Vec<(String, String)> {
    let scores = scores(report);
    let mut worse = Vec::new();
    for (name, floor) in floors.lines().filter_map(|l| l.split_once('\t')) {
        let Ok(floor) = floor.trim().parse::<u32>() else { continue };
        let mut note = |text: String| worse.push((name.to_owned(), format!("{name}: {text}")));
        match scores.iter().find(|s| s.0 == name) {
            Some((_, matched, total)) if *matched < floor => {
                note(format!("{matched} of {total} statements, {floor} expected"));
            }
            Some((_, matched, _)) if *matched > floor => println!("{name}\t{matched} could be written down"),
            Some(_) => {}
            None => note("not run".into()),
        }
    }
    worse
}

/// PostgreSQL's regression files: none may get worse. Some of their queries show rows in whatever order they are stored, which
/// depends on what the background does meanwhile: a file is worse if it is so twice.
pub fn regress() -> Result<()> {
    let source = folder("pg_regress");
    let runner = source.with_file_name("run_pg_regress.py");
    let python = tools::find("python3");
    if !runner.exists() || python.is_none() || tools::find(tools::PSQL.program).is_none() {
        println!("skipped: there are no regression files beside the checkout, or no Python or psql");
        return Ok(());
    }
    let python = python.unwrap_or_default();
    let floors = tools::root().join("tests/conformance/regress.tsv");
    let floors = fs::read_to_string(&floors).context(|| format!("read {}", floors.display()))?;
    let mut worse = below(&regress_once(&python, &runner, &source)?, &floors);
    without_later(&python, &runner, &source)?;
    if !worse.is_empty() {
        worse.iter().for_each(|w| println!("once more, because of {}", w.1));
        let again = below(&regress_once(&python, &runner, &source)?, &floors);
        worse.retain(|w| again.iter().any(|a| a.0 == w.0));
    }
    check(worse.is_empty(), || worse.iter().map(|w| w.1.as_str()).collect::<Vec<_>>().join("\n"))
}

/// Every scenario in the folder.
pub fn isolation() -> Result<()> {
    let folder = folder("isolation");
    let tester = Path::new(TESTER);
    if !folder.exists() || !tester.exists() {
        println!(
            "skipped: there are no scenarios beside the checkout, or no isolationtester (postgresql-server-dev-15)"
        );
        return Ok(());
    }
    let specs = folder.join("specs");
    let entries = fs::read_dir(&specs).context(|| format!("read {}", specs.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|e| Some(e.ok()?.file_name().to_str()?.strip_suffix(".spec")?.to_string()))
        .collect();
    names.sort();
    let mut server = server("isolation.img")?;
    let mut wrong = Vec::new();
    for name in &names {
        let wanting = WANTING.iter().find(|w| w.0 == name);
        let start = Instant::now();
        let passed = passes(tester, &folder, name, server.port)?;
        println!("{name}: {:.1} s", start.elapsed().as_secs_f64());
        match (passed, wanting) {
            (true, None) => {}
            (true, Some(_)) => {
                wrong.push(format!("{name} passes and must leave the list of those that do not"));
            }
            (false, Some((_, what))) => println!("{name} needs {what}"),
            (false, None) => wrong.push(format!("{name} differs from PostgreSQL")),
        }
    }
    println!("{} of {} scenarios answer as PostgreSQL does", names.len() - WANTING.len(), names.len());
    server.stop()?;
    check(wrong.is_empty(), || wrong.join("\n"))
}

//! SQL whose answers are known: logic test files, and statements that must answer like others of the same meaning.
//!
//! The files in `tests/logic/files` must pass as a whole. Those of `../shared/conformance/sqllogictest`, where they are at hand, have
//! records that PostgreSQL rightly refuses: how many pass is written in `tests/conformance/logic.tsv`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{check, conformance};
use crate::{
    appliance::USER,
    error::{Context, Result},
    tools,
};

/// How long statements are made up for.
const SECONDS: &str = "40";

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).context(|| format!("read {}", folder.display()))?;
    let mut all: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    all.retain(|p| p.extension().is_some_and(|e| e == "test"));
    all.sort();
    Ok(all)
}

/// Runs files; gives the runner's report, which has been printed.
fn report(url: &str, files: &[PathBuf]) -> Result<String> {
    let mut command = tools::cargo();
    command.args(["run", "--quiet", "--package", "logic_tests", "--", "--url", url]).args(files);
    let output = command.output().context(|| "run the logic files".into())?;
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{report}{}", String::from_utf8_lossy(&output.stderr));
    Ok(report)
}

/// Logic test files against a hosted server.
pub fn logic() -> Result<()> {
    let mut server = conformance::server("logic.img")?;
    let url = format!("postgres://{USER}@127.0.0.1:{}/{USER}", server.port);
    let own = files(&tools::root().join("tests/logic/files"))?;
    let found = report(&url, &own)?;
    let scores = conformance::scores(&found);
    let whole = scores.len() == own.len() && scores.iter().all(|s| s.1 == s.2);
    check(whole, || format!("of the project's own files not all pass:\n{found}"))?;
    let beside = conformance::folder("sqllogictest");
    if beside.exists() {
        let floors = tools::root().join("tests/conformance/logic.tsv");
        let floors = fs::read_to_string(&floors).context(|| format!("read {}", floors.display()))?;
        let all = [files(&beside)?, files(&beside.join("evidence"))?].concat();
        let worse = conformance::below(&report(&url, &all)?, &floors);
        check(worse.is_empty(), || worse.iter().map(|w| w.1.as_str()).collect::<Vec<_>>().join("\n"))?;
    } else {
        println!("skipped: there are no further logic files beside the checkout");
    }
    server.stop()
}

/// Made-up queries against a hosted server, compared with others of the same meaning.
pub fn metamorphic() -> Result<()> {
    let mut server = conformance::server("metamorphic.img")?;
    let url = format!("postgres://{USER}@127.0.0.1:{}/{USER}", server.port);
    let mut command = tools::cargo();
    command.args(["run", "--quiet", "--package", "sql_fuzz", "--", "--url", &url, "--seconds", SECONDS]);
    tools::run(&mut command)?;
    server.stop()
}

//! A suite as a process of its own whose output is kept in a file: who runs all of them sees a line each, and of
//! one that fails its end. Tests that make servers panic on purpose print much that looks like a failure.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use crate::{
    error::{Context, Error, Result},
    tools,
};

/// How much of a failed suite's output is shown.
const SHOWN: usize = 5_000;
/// How many lines that name a failure are shown before it, and how much of each.
const NAMED: usize = 10;
const LINE: usize = 300;

/// How a suite ended.
pub enum Outcome {
    Passed,
    Failed {
        /// Everything that it printed; empty with `--verbose`.
        log: PathBuf,
        /// The last of it.
        end: String,
    },
}

impl Outcome {
    /// For a line of the summary.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed { .. } => "FAILED",
        }
    }
}

/// Runs one suite.
pub fn run(name: &str, verbose: bool) -> Result<Outcome> {
    // By cargo and not by this file's path: a suite may build this program anew.
    let mut command = tools::cargo();
    command.args(["run", "--quiet", "--package", "xtask", "--", "test", "--suite", name]);
    command.env("RUST_BACKTRACE", "0");
    let log = tools::scratch("test")?.join(format!("{name}.log"));
    let file = File::create(&log).context(|| format!("create {}", log.display()))?;
    if !verbose {
        let copy = file.try_clone().context(|| format!("open {}", log.display()))?;
        command.stdout(file).stderr(copy);
    }
    match tools::run(&mut command) {
        Ok(()) => Ok(Outcome::Passed),
        Err(Error::Command { .. }) => Ok(Outcome::Failed { end: end_of(&log)?, log }),
        Err(e) => Err(e),
    }
}

/// The lines of a file that name a failure, and its last ones: what failed may have been followed by much that did not.
fn end_of(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).context(|| format!("read {}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    let named = text.lines().filter(|l| l.contains("FAILED")).take(NAMED);
    let mut shown: Vec<String> = named.map(|l| l.chars().take(LINE).collect()).collect();
    let end = bytes.get(bytes.len().saturating_sub(SHOWN)..).unwrap_or_default();
    let end = String::from_utf8_lossy(end);
    // A line that was cut is left out.
    let whole = if bytes.len() > SHOWN { end.split_once('\n').map_or("", |(_, rest)| rest) } else { &end };
    shown.push(whole.trim_end().to_string());
    Ok(shown.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_early_is_named() {
        let path = std::env::temp_dir().join(format!("report-{}.log", std::process::id()));
        let text = format!("one ok\ntwo FAILED: why\n{}last\n", "three ok\n".repeat(1000));
        std::fs::write(&path, text).expect("a scratch file");
        let shown = end_of(&path);
        std::fs::remove_file(&path).expect("the scratch file");
        let shown = shown.expect("a log");
        assert!(shown.starts_with("two FAILED: why\nthree ok\n") && shown.ends_with("\nlast"), "{shown}");
        assert!(shown.len() < SHOWN + 100);
    }
}

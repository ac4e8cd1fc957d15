//! A suite as a process of its own whose output is kept in a file: who runs all of them sees a line each, and of
//! one that fails its end. Tests that make servers panic on purpose print much that looks like a failure.

use std::{fs::File, path::PathBuf};

use crate::{
    error::{Context, Error, Result},
    tools,
};

/// How much of a failed suite's output is shown.
const SHOWN: usize = 5_000;
/// How many lines that name a failure are shown before it, and how much of each.
const NAMED: usize = 20;
const LINE: usize = 300;

/// How a suite ended.
pub enum Outcome {
    Passed,
    Failed {
        /// Everything that it printed; empty with `--verbose`.
        log: PathBuf,
        /// The lines of it that name a failure.
        named: Vec<String>,
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
        Err(Error::Command { .. }) => failed(log),
        Err(e) => Err(e),
    }
}

/// What a failed suite's output says: the lines that name a failure, as much may have followed them, and its last ones.
fn failed(log: PathBuf) -> Result<Outcome> {
    let bytes = std::fs::read(&log).context(|| format!("read {}", log.display()))?;
    let end = String::from_utf8_lossy(bytes.get(bytes.len().saturating_sub(SHOWN)..).unwrap_or_default());
    // A line that was cut is left out.
    let whole = if bytes.len() > SHOWN { end.split_once('\n').map_or("", |(_, rest)| rest) } else { &end };
    let end = whole.trim_end().to_string();
    Ok(Outcome::Failed { named: named(&String::from_utf8_lossy(&bytes)), end, log })
}

/// The lines that name a failure; of a test of Rust's the first ones that it printed, too.
fn named(text: &str) -> Vec<String> {
    const PRINTED: usize = 4;
    let mut left = 0;
    let mut names = |line: &str| {
        if line.starts_with("---- ") {
            left = PRINTED;
        } else {
            left = usize::saturating_sub(left, 1);
        }
        line.contains("FAILED") || (left > 0 && !line.is_empty())
    };
    text.lines().filter(|l| names(l)).take(NAMED).map(|l| l.chars().take(LINE).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_early_is_named() {
        let path = std::env::temp_dir().join(format!("report-{}.log", std::process::id()));
        let early =
            "one ok\ntwo FAILED: why\n---- a::b stdout ----\n\nthread panicked at c.rs\nleft: 1\nx\ny\n";
        std::fs::write(&path, format!("{early}{}last\n", "three ok\n".repeat(1000))).expect("a scratch file");
        let outcome = failed(path.clone());
        std::fs::remove_file(&path).expect("the scratch file");
        let Ok(Outcome::Failed { named, end, .. }) = outcome else { panic!("no failure") };
        let expected = ["two FAILED: why", "---- a::b stdout ----", "thread panicked at c.rs", "left: 1"];
        assert_eq!(named, expected);
        assert!(end.starts_with("three ok\n") && end.ends_with("\nlast") && end.len() <= SHOWN, "{end}");
    }
}

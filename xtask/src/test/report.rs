//! A suite as a process of its own whose output is kept in a file: who runs all of them sees a line each, and of
//! one that fails its end. Tests that make servers panic on purpose print much that looks like a failure.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use crate::{
    error::{Context, Error, Result},
    tools,
};

/// How much of a failed suite's output is shown.
const SHOWN: u64 = 5_000;

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

/// The last lines of a file, as many as are shown.
fn end_of(path: &Path) -> Result<String> {
    let what = || format!("read {}", path.display());
    let mut file = File::open(path).context(what)?;
    let length = file.seek(SeekFrom::End(0)).context(what)?;
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN))).context(what)?;
    let mut bytes = Vec::new();
    file.take(SHOWN).read_to_end(&mut bytes).context(what)?;
    let text = String::from_utf8_lossy(&bytes);
    // A line that was cut is left out.
    let whole = if length > SHOWN { text.split_once('\n').map_or("", |(_, rest)| rest) } else { &text };
    Ok(whole.trim_end().to_string())
}

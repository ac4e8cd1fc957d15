//! `cargo xtask drivers`: the test suites of drivers against the hosted server. How each is got and run, and what may fail, is in
//! `tests/drivers`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    appliance::USER,
    error::{Context, Error, Result},
    test::conformance,
    tools,
};

/// Arguments of `drivers`.
#[derive(clap::Args, Debug)]
pub struct DriversArguments {
    /// Runs only this one
    name: Option<String>,
    /// Gets what is missing first: needs the network
    #[arg(long)]
    install: bool,
    /// Prints every test that fails, the listed ones too
    #[arg(long)]
    verbose: bool,
}

/// What a run of one driver's tests said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    failed: BTreeSet<String>,
    passed: u32,
}

/// Reads lines `fail ID` and `passed N`.
fn outcome(output: &str) -> Outcome {
    let mut read = Outcome::default();
    for line in output.lines() {
        match line.split_once(' ') {
            Some(("fail", id)) => {
                read.failed.insert(id.trim().to_owned());
            }
            Some(("passed", n)) => read.passed += n.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    read
}

/// Is it one of those that a line of the list names?
fn named(listed: &str, id: &str) -> bool {
    listed.strip_suffix('*').map_or(listed == id, |start| id.starts_with(start))
}

/// Failures that are not listed, and lines of the list that no failure fits.
fn compared<'a>(failed: &'a BTreeSet<String>, list: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    let listed: Vec<&str> = list.lines().filter_map(|l| Some(l.split_once('\t')?.0)).collect();
    let new = failed.iter().filter(|id| !listed.iter().any(|l| named(l, id))).map(String::as_str).collect();
    let gone = listed.into_iter().filter(|l| !failed.iter().any(|id| named(l, id))).collect();
    (new, gone)
}

/// The drivers' names.
fn drivers(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).context(|| format!("read {}", folder.display()))?;
    let mut names: Vec<String> =
        entries.filter_map(|e| Some(e.ok()?.file_name().to_str()?.strip_suffix(".sh")?.to_owned())).collect();
    names.sort();
    Ok(names)
}

fn script(folder: &Path, place: &Path, name: &str, step: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg(folder.join(format!("{name}.sh"))).arg(step).current_dir(place);
    command.env("DRIVERS", folder);
    command
}

/// One driver's tests against a new server; gives what is wrong.
fn tested(folder: &Path, place: &Path, name: &str, verbose: bool) -> Result<Option<String>> {
    let mut server = conformance::server(&format!("drivers-{name}.img"))?;
    let mut command = script(folder, place, name, "run");
    command.env("PGHOST", "127.0.0.1").env("PGPORT", server.port.to_string()).env("PGUSER", USER);
    let output = tools::capture(command.stderr(Stdio::inherit()))?;
    server.stop()?;
    let outcome = outcome(&output);
    let list = fs::read_to_string(folder.join(format!("{name}.tsv"))).unwrap_or_default();
    let (new, gone) = compared(&outcome.failed, &list);
    println!(
        "{name}: {} passed, {} failed, {} of these not listed",
        outcome.passed,
        outcome.failed.len(),
        new.len()
    );
    if verbose {
        outcome.failed.iter().for_each(|id| println!("  {id} fails"));
    }
    gone.iter().for_each(|id| println!("  {id} is listed and passes, or did not run"));
    if outcome.passed == 0 {
        return Ok(Some(format!("{name}: no test passed")));
    }
    Ok(Some(new.iter().map(|id| format!("{name}: {id}")).collect::<Vec<_>>().join("\n"))
        .filter(|t| !t.is_empty()))
}

/// Runs them; fails when a test fails that is not listed.
pub fn run(arguments: &DriversArguments) -> Result<()> {
    let folder = tools::root().join("tests/drivers");
    let mut names = drivers(&folder)?;
    if let Some(wanted) = &arguments.name {
        names.retain(|n| n == wanted);
        if names.is_empty() {
            let known = drivers(&folder)?.join(", ");
            return Err(Error::Usage(format!("no driver is named \"{wanted}\"; there are: {known}")));
        }
    }
    let mut wrong = Vec::new();
    for name in &names {
        let place: PathBuf = tools::target().join("drivers").join(name);
        let ready = place.join("ready");
        if arguments.install && !ready.exists() {
            fs::create_dir_all(&place).context(|| format!("create {}", place.display()))?;
            tools::run(&mut script(&folder, &place, name, "get"))?;
            fs::write(&ready, "").context(|| format!("write {}", ready.display()))?;
        }
        if !ready.exists() {
            println!("{name}: skipped, is not below {} (--install gets it)", place.display());
            continue;
        }
        wrong.extend(tested(&folder, &place, name, arguments.verbose)?);
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::Failed(format!("not listed:\n{}", wrong.join("\n")))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_held_against_the_list() {
        let read = outcome("noise\nfail a::b[1]\nfail a::c\nfail z\npassed 7\n");
        assert_eq!(read.passed, 7);
        let (new, gone) = compared(&read.failed, "a::*\tno ranges\nold\tmended\n");
        assert_eq!((new, gone), (vec!["z"], vec!["old"]));
    }
}

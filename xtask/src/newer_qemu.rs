//! A newer QEMU than Debian 12's, from the same release's backports: unpacked below the build folder, beside the one that is installed.
//!
//! Nothing on the system changes, and nobody has to be root: apt gets a configuration of its own, which has the backports in addition, fetches
//! what installing them would, and the packages are unpacked. They bring their own firmware, libraries and modules, which must not be mixed with the other QEMU's.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    error::{Context, Error, Result},
    tools,
};

/// The longest that fetching may take.
const PATIENCE: Duration = Duration::from_secs(300);
const PACKAGE: &str = "qemu-system-x86";

fn folder() -> PathBuf {
    tools::target().join("xtask/qemu-backports")
}

/// The one that was unpacked.
pub fn find() -> Option<PathBuf> {
    let program = folder().join(tools::QEMU.program);
    program.is_file().then_some(program)
}

/// How to get one: here by `--install`, or for the whole system. `None` where that is not known.
pub fn advice() -> Option<String> {
    let source = backports()?;
    Some(format!(
        "Debian's backports have a newer QEMU, with virtio-gpu for this. --install unpacks it beside the installed one; for the whole system:
  echo '{source}' | sudo tee /etc/apt/sources.list.d/bookworm-backports.list
  sudo apt-get update && sudo apt-get install -t bookworm-backports --no-install-recommends {PACKAGE}"
    ))
}

/// Fetches and unpacks it, unless that was done; the program.
pub fn install() -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    let source = backports()
        .ok_or_else(|| Error::Failed("this is no Debian 12 with its archive among the sources".into()))?;
    let folder = folder();
    let _ = std::fs::remove_dir_all(&folder);
    let (lists, cache) = (folder.join("lists/partial"), folder.join("cache/archives/partial"));
    for part in [&lists, &cache, &folder.join("root")] {
        std::fs::create_dir_all(part).context(|| format!("create {}", part.display()))?;
    }
    let sources = folder.join("sources.list");
    let base = source.replace(" bookworm-backports ", " bookworm ");
    write(&sources, &format!("{base}\n{source}\n"))?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-q", "-y"]).args(arguments);
        for (key, value) in [
            ("Dir::Etc::SourceList", &sources),
            ("Dir::Etc::SourceParts", &folder.join("none")),
            ("Dir::State::Lists", &folder.join("lists")),
            ("Dir::Cache", &folder.join("cache")),
        ] {
            command.arg(format!("-o{key}={}", value.display()));
        }
        command.args(["-oDebug::NoLocking=1", "-oAcquire::Retries=1", "-oAcquire::http::Timeout=20"]);
        command.args(["-oAPT::Sandbox::User=", "-oAcquire::Languages=none"]);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    // Lists that cannot be had fail later, when there is nothing to fetch.
    apt(&["update"])?;
    let fetch = ["install", "--download-only", "--no-install-recommends"];
    apt(&[&fetch[..], &["-t", "bookworm-backports", PACKAGE]].concat())?;
    unpack(&folder)?;
    let program = folder.join(tools::QEMU.program);
    let unchecked = folder.join("unchecked");
    write(&unchecked, &starter(&folder.join("root")))?;
    run(Command::new("chmod").arg("755").arg(&unchecked))?;
    // It may lack something that this system does not have.
    tools::capture(Command::new(&unchecked).arg("--version"))?;
    std::fs::rename(&unchecked, &program).context(|| format!("rename {}", unchecked.display()))?;
    for part in ["cache", "lists"] {
        let _ = std::fs::remove_dir_all(folder.join(part));
    }
    Ok(program)
}

/// Unpacks all that was fetched.
fn unpack(folder: &Path) -> Result<()> {
    let archives = folder.join("cache/archives");
    let packages = std::fs::read_dir(&archives).context(|| format!("read {}", archives.display()))?;
    for package in packages.flatten().map(|e| e.path()) {
        if package.extension().is_some_and(|e| e == "deb") {
            run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(folder.join("root")))?;
        }
    }
    Ok(())
}

/// A program that runs what was unpacked with its own libraries, modules and firmware.
fn starter(root: &Path) -> String {
    format!(
        "#!/bin/sh
root='{}'
export LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu
export QEMU_MODULE_DIR=$root/usr/lib/x86_64-linux-gnu/qemu
exec $root/usr/bin/qemu-system-x86_64 -L $root/usr/share/seabios -L $root/usr/share/qemu \"$@\"
",
        root.display()
    )
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).context(|| format!("write {}", path.display()))
}

/// Runs a program quietly; what it said is shown if it fails or takes too long.
fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let log = folder().join("log");
    let output = std::fs::File::create(&log).context(|| format!("create {}", log.display()))?;
    let errors = output.try_clone().context(|| format!("open {}", log.display()))?;
    let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
    let mut child = child.context(|| format!("run {name}"))?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().context(|| format!("wait for {name}"))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => break status.to_string(),
            None => {}
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            break format!("not done within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    let last = said.lines().rev().find(|l| l.starts_with("E:")).or_else(|| said.lines().last());
    Err(Error::Failed(format!("{name}: {status}: {}", last.unwrap_or("it said nothing"))))
}

/// The line that adds Debian 12's backports, from the same place as everything else; `None` on another system.
fn backports() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    if !release.lines().any(|l| l == "VERSION_CODENAME=bookworm")
        || !release.lines().any(|l| l == "ID=debian")
    {
        return None;
    }
    let folder = std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = folder.map(|e| e.path()).collect();
    files.sort();
    files.insert(0, "/etc/apt/sources.list".into());
    files.iter().filter_map(|f| std::fs::read_to_string(f).ok()).find_map(|text| backports_like(&text))
}

/// The same for a file of sources, in either of their forms, if it has Debian 12's own suite.
fn backports_like(text: &str) -> Option<String> {
    const SUITE: &str = "bookworm";
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("deb ") else { continue };
        let (options, rest) = match rest.trim().strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or(("", rest), |(o, r)| (o, r)),
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let (place, suite) = (words.next()?, words.next()?);
        if suite == SUITE {
            let options = if options.is_empty() { String::new() } else { format!("[{options}] ") };
            return Some(format!("deb {options}{place} bookworm-backports main"));
        }
    }
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            let mut lines = stanza.lines().filter_map(|l| l.split_once(':'));
            lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let (Some(places), Some(suites)) = (field("URIs"), field("Suites")) else { continue };
        if suites.split_whitespace().any(|s| s == SUITE) {
            let place = places.split_whitespace().next()?;
            let signed = field("Signed-By").filter(|s| s.starts_with('/'));
            let options = signed.map_or(String::new(), |s| format!("[signed-by={s}] "));
            return Some(format!("deb {options}{place} bookworm-backports main"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backports_come_from_where_the_rest_does() {
        let list = "# comment\ndeb-src http://a/debian bookworm main\ndeb [arch=amd64] http://b/debian bookworm main\n";
        assert_eq!(
            backports_like(list).as_deref(),
            Some("deb [arch=amd64] http://b/debian bookworm-backports main")
        );
        let stanzas = "Types: deb\nURIs: http://s/security\nSuites: bookworm-security\n\nTypes: deb\n# old\nURIs: http://c/debian\nSuites: bookworm bookworm-updates\nSigned-By: /k.gpg\n";
        assert_eq!(
            backports_like(stanzas).as_deref(),
            Some("deb [signed-by=/k.gpg] http://c/debian bookworm-backports main")
        );
        assert_eq!(backports_like("deb http://b/debian trixie main\n"), None);
    }
}

//! Programs of the host: finding them, installing what is missing, running them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::error::{Context, Error, Result};

/// A program that a command needs, and where packages of it come from.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// The executable.
    pub program: &'static str,
    /// Debian and Ubuntu package.
    pub apt: &'static str,
    /// Fedora package.
    pub dnf: &'static str,
    /// Arch package.
    pub pacman: &'static str,
    /// Homebrew formula.
    pub brew: &'static str,
}

/// The emulator.
pub const QEMU: Tool = Tool {
    program: "qemu-system-x86_64",
    apt: "qemu-system-x86",
    dnf: "qemu-system-x86-core",
    pacman: "qemu-system-x86",
    brew: "qemu",
};

/// Real clients, for tests and benchmarks.
pub const PSQL: Tool = Tool {
    program: "psql",
    apt: "postgresql-client",
    dnf: "postgresql",
    pacman: "postgresql",
    brew: "postgresql@15",
};

/// The load generator. On Debian it comes with the server's package.
pub const PGBENCH: Tool = Tool {
    program: "pgbench",
    apt: "postgresql-contrib",
    dnf: "postgresql-contrib",
    pacman: "postgresql",
    brew: "postgresql@15",
};

/// Builds the peer machine.
pub const DEBOOTSTRAP: Tool = Tool {
    program: "debootstrap",
    apt: "debootstrap",
    dnf: "debootstrap",
    pacman: "debootstrap",
    brew: "debootstrap",
};

/// The workspace's root folder.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Where build outputs and scratch files go.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A scratch folder below the target folder, made if need be.
pub fn scratch(name: &str) -> Result<PathBuf> {
    let folder = target().join("xtask").join(name);
    std::fs::create_dir_all(&folder).context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

/// Finds an executable on PATH, or in the folders where Debian keeps PostgreSQL's.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/lib/postgresql/15/bin", "/usr/local/bin", "/opt/homebrew/bin", "/usr/sbin", "/sbin"];
    std::env::split_paths(&path)
        .chain(usual.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The tool's path; installs it through the system's package manager when that is allowed without asking.
pub fn require(tool: Tool) -> Result<PathBuf> {
    if let Some(found) = find(tool.program) {
        return Ok(found);
    }
    install_package(tool.program, tool.apt, tool.dnf, tool.pacman, tool.brew)?;
    find(tool.program).ok_or_else(|| Error::Missing {
        tool: tool.program,
        remedy: format!("your package manager (package {} on Debian)", tool.apt),
    })
}

/// The emulator: what `INTRALITH_QEMU` names, else the installed one.
pub fn qemu() -> Result<PathBuf> {
    std::env::var_os("INTRALITH_QEMU").map_or_else(|| require(QEMU), |path| Ok(path.into()))
}

/// Installs a package by its name under each package manager.
pub fn install_package(program: &'static str, apt: &str, dnf: &str, pacman: &str, brew: &str) -> Result<()> {
    let managers: [(&str, &str, Vec<&str>); 4] = [
        ("apt-get", apt, vec!["install", "-y", "--no-install-recommends", apt]),
        ("dnf", dnf, vec!["install", "-y", dnf]),
        ("pacman", pacman, vec!["-S", "--noconfirm", pacman]),
        ("brew", brew, vec!["install", brew]),
    ];
    let Some((manager, package, arguments)) = managers.into_iter().find(|(m, ..)| find(m).is_some()) else {
        return Err(Error::Missing {
            tool: program,
            remedy: format!("your package manager (package {apt} on Debian)"),
        });
    };
    let line = format!("{manager} {}", arguments.join(" "));
    let Some(mut command) = privileged(manager) else {
        return Err(Error::Missing { tool: program, remedy: format!("sudo {line}") });
    };
    println!("installing {package}: {line}");
    if manager == "apt-get" {
        // The lists may be missing on a fresh machine; an old list is no reason to fail here.
        if let Some(mut update) = privileged(manager) {
            let _ = update.arg("update").stdout(Stdio::null()).status();
        }
        command.env("DEBIAN_FRONTEND", "noninteractive");
    }
    let status = command.args(arguments).stdout(Stdio::null()).status().context(|| line.clone())?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Missing { tool: program, remedy: format!("sudo {line}") })
    }
}

/// The command as root, when this process is root or sudo asks no password. Homebrew needs neither.
pub fn privileged(manager: &str) -> Option<Command> {
    if manager == "brew" || quiet(Command::new("id").arg("-u")).as_deref() == Some("0") {
        return Some(Command::new(manager));
    }
    quiet(Command::new("sudo").args(["-n", "true"]))?;
    let mut command = Command::new("sudo");
    command.args(["-n", manager]);
    Some(command)
}

/// Standard output of a command that succeeded.
fn quiet(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// True when this process runs as root.
pub fn is_root() -> bool {
    quiet(Command::new("id").arg("-u")).as_deref() == Some("0")
}

/// Runs a command to its end, inheriting the terminal; an unsuccessful end is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let line = describe(command);
    let status = command.status().context(|| line.clone())?;
    if status.success() { Ok(()) } else { Err(Error::Command { command: line, status: status.to_string() }) }
}

/// Runs a command and returns its standard output.
pub fn capture(command: &mut Command) -> Result<String> {
    let line = describe(command);
    let output = command.stderr(Stdio::piped()).output().context(|| line.clone())?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(Error::Command { command: line, status: output.status.to_string() });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Sends SIGTERM.
pub fn terminate(pid: u32) -> Result<()> {
    run(Command::new("kill").args(["-TERM", &pid.to_string()]))
}

fn describe(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

/// A cargo command in the workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A free loopback port, good enough for tests: the kernel hands out another one next time.
pub fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context(|| "find a free port".into())?;
    Ok(listener.local_addr().context(|| "find a free port".into())?.port())
}

/// Fails when someone listens on the port already.
pub fn check_port(port: u16) -> Result<()> {
    match std::net::TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => Err(Error::PortInUse(port)),
        Err(source) => Err(Error::Io { what: format!("listen on 127.0.0.1:{port}"), source }),
    }
}

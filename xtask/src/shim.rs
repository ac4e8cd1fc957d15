//! The GPU shim's process: started before QEMU is, watched, and replaced when it ends or gives no sign of life any more.
//!
//! QEMU asks its shim before it lets the guest reset a device, and waits for the answer as long as it takes, the whole guest with it. A shim
//! that is there but does not answer is therefore worse than none: it is killed, and the next one takes its place.

use std::{
    io::{BufRead, BufReader},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use qemu_machine::{Gpu, GpuCarrier};

use crate::{
    appliance::unique,
    error::{Context, Error, Result},
};

/// What the shim computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executor {
    /// Vulkan.
    Wgpu,
    /// The host's cores.
    Processor,
}

/// How often the supervisor looks.
const GLANCE: Duration = Duration::from_millis(50);
/// Glances without a sign of life after which a shim is killed: 4 seconds, in which it should have given eight. A guest gives a device up after 5.
/// Glances are counted and not time, since whatever stops this process may have stopped the shim too.
const SILENCE: u32 = 80;
/// The same for one that opens its device.
const START: u32 = 1200;
/// Shims that end in a row without having opened their device, after which there will be no other one.
const FAILURES: u32 = 5;
/// The pause before a shim is started again: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(30)];
/// Signs of life after which one has not failed in a row: half a minute.
const STEADY: u32 = 60;

/// A shim that is started again when it dies, until this is dropped.
pub struct Shim {
    gpu: Gpu,
    folder: PathBuf,
    process: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    supervisor: Option<JoinHandle<()>>,
}

impl Shim {
    /// Starts a shim, for a QEMU that is started next, and waits until it has its device.
    pub fn start(shim: &Path, executor: Executor, carrier: GpuCarrier) -> Result<Self> {
        let name = format!("intralith-gpu-{}-{:x}", std::process::id(), unique());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).context(|| format!("create {}", folder.display()))?;
        let gpu = Gpu { socket: folder.join("gpu"), carrier };
        let task = Task { shim: shim.to_path_buf(), executor, gpu: gpu.clone() };
        let process = Arc::new(AtomicU32::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let supervisor = task.first(Arc::clone(&process), Arc::clone(&stop));
        // From here on the folder goes with it.
        let mut this = Self { gpu, folder, process, stop, supervisor: None };
        this.supervisor = Some(supervisor?);
        Ok(this)
    }

    /// The device for QEMU.
    pub fn device(&self) -> Gpu {
        self.gpu.clone()
    }

    /// The process's number; another one once it was started again.
    pub fn pid(&self) -> u32 {
        self.process.load(Ordering::Relaxed)
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(supervisor) = self.supervisor.take() {
            let _ = supervisor.join();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A process and the signs of life that it gave.
struct Running {
    child: Child,
    beats: Arc<AtomicU32>,
    /// How many were seen, and glances since the last one.
    seen: u32,
    silent: u32,
}

/// What a glance shows.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Well,
    /// It ended, or was killed for its silence; why.
    Ended(String),
}

impl Running {
    fn glance(&mut self) -> State {
        match self.child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => return State::Ended(format!("ended ({status})")),
            Err(e) => return State::Ended(format!("cannot be waited for ({e})")),
        }
        let beats = self.beats.load(Ordering::Relaxed);
        self.silent = if beats == self.seen { self.silent + 1 } else { 0 };
        self.seen = beats;
        if self.silent < if beats == 0 { START } else { SILENCE } {
            return State::Well;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        State::Ended("gave no sign of life, was killed".into())
    }
}

/// A shim's arguments.
struct Task {
    shim: PathBuf,
    executor: Executor,
    gpu: Gpu,
}

impl Task {
    fn spawn(&self) -> Result<Running> {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(&self.shim);
        command.arg("serve").arg("--attached").arg("--connect").arg(&self.gpu.socket);
        command.args(["--executor", if self.executor == Executor::Wgpu { "wgpu" } else { "processor" }]);
        command.args(["--carrier", if self.gpu.carrier == GpuCarrier::Vsock { "vsock" } else { "gpu" }]);
        // Its standard input ends when this process does, in whatever way, and it ends then.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().context(|| format!("start {}", self.shim.display()))?;
        let beats = Arc::new(AtomicU32::new(0));
        if let Some(output) = child.stdout.take() {
            let beats = Arc::clone(&beats);
            std::thread::spawn(move || count(output, &beats));
        }
        Ok(Running { child, beats, seen: 0, silent: 0 })
    }

    /// Starts the first one and, once it lives, whoever watches it.
    fn first(self, process: Arc<AtomicU32>, stop: Arc<AtomicBool>) -> Result<JoinHandle<()>> {
        let mut running = self.spawn()?;
        process.store(running.child.id(), Ordering::Relaxed);
        while running.seen == 0 {
            if let State::Ended(why) = running.glance() {
                return Err(Error::Failed(format!("the GPU shim {why}")));
            }
            std::thread::sleep(GLANCE);
        }
        Ok(std::thread::spawn(move || self.supervise(running, &process, &stop)))
    }

    fn supervise(&self, mut running: Running, process: &AtomicU32, stop: &AtomicBool) {
        let mut failures = 0;
        let [first, longest] = PAUSES;
        let mut pause = first;
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(GLANCE);
            let State::Ended(why) = running.glance() else { continue };
            failures = if running.seen == 0 { failures + 1 } else { 0 };
            if failures == FAILURES {
                eprintln!("the GPU shim {why}, and so did {} before: there will be no other", FAILURES - 1);
                // A QEMU that waits for one to start with ends.
                drop(UnixStream::connect(&self.gpu.socket));
                return;
            }
            eprintln!("the GPU shim {why} and is started again");
            if running.seen >= STEADY {
                pause = first;
            }
            rest(pause, stop);
            // One that dies at once is not started without end.
            pause = (pause * 2).min(longest);
            match self.spawn() {
                Ok(next) => {
                    process.store(next.child.id(), Ordering::Relaxed);
                    running = next;
                }
                Err(e) => eprintln!("{e}"),
            }
        }
        let _ = running.child.kill();
        let _ = running.child.wait();
    }
}

/// Sleeps, unless there is nothing more to do.
fn rest(pause: Duration, stop: &AtomicBool) {
    let mut left = pause;
    while !left.is_zero() && !stop.load(Ordering::Relaxed) {
        let now = left.min(GLANCE);
        std::thread::sleep(now);
        left -= now;
    }
}

/// Counts the lines that a shim prints, each of which is a sign of life.
fn count(output: ChildStdout, beats: &AtomicU32) {
    for line in BufReader::new(output).split(b'\n') {
        if line.is_err() {
            return;
        }
        beats.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, time::Instant};

    use super::*;

    /// A folder with a program that plays a shim.
    fn player(name: &str, script: &str) -> (PathBuf, PathBuf) {
        let folder = std::env::temp_dir().join(format!("xtask-shim-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let (text, path) = (folder.join("text"), folder.join("shim"));
        let script = format!("#!/bin/sh\ncd {}\n{script}\n", folder.display());
        std::fs::write(&text, script).expect("written");
        // By another process: a file that this one writes cannot be run while a child that is being made has it too.
        let made = Command::new("install").args(["-m", "755"]).args([&text, &path]).status();
        assert!(made.expect("a program").success());
        (folder, path)
    }

    fn until(what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !done() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_shim_that_is_killed_or_stopped_is_replaced() {
        let (folder, path) = player("replaced", "while echo alive; do echo $$ > alive; sleep 0.1; done");
        let shim = Shim::start(&path, Executor::Processor, GpuCarrier::Vsock).expect("a shim");
        for signal in ["-KILL", "-STOP"] {
            let before = shim.pid();
            // One that has not said anything yet is given a minute.
            let alive = || std::fs::read_to_string(folder.join("alive")).unwrap_or_default();
            until("it lives", || alive().trim() == before.to_string());
            let sent = Command::new("kill").args([signal, &before.to_string()]).status().expect("sent");
            assert!(sent.success());
            until(signal, || shim.pid() != before);
            assert!(!Path::new(&format!("/proc/{before}/exe")).exists(), "{signal}: the old one is there");
        }
        let (own, last) = (shim.folder.clone(), shim.pid());
        drop(shim);
        assert!(!own.exists() && !Path::new(&format!("/proc/{last}/exe")).exists());
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn one_that_has_no_device_is_not_waited_for() {
        let (folder, path) = player("none", "exit 1");
        assert!(Shim::start(&path, Executor::Processor, GpuCarrier::Vsock).is_err());
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn whoever_waits_for_one_that_never_comes_is_told() {
        let (folder, path) = player("never", "[ -e ended ] && exit 1\ntouch ended\necho alive\nsleep 0.3");
        let shim = Shim::start(&path, Executor::Processor, GpuCarrier::Vsock).expect("the first one");
        let waiting = UnixListener::bind(&shim.device().socket).expect("a socket");
        waiting.set_nonblocking(true).expect("set");
        until("nobody connects", || waiting.accept().is_ok());
        drop(shim);
        std::fs::remove_dir_all(folder).expect("removed");
    }
}

//! A running QEMU.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::{Duration, Instant},
};

use crate::{
    Machine,
    qmp::{Qmp, QmpError},
};

/// Why a guest could not be started or driven.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// QEMU could not be started.
    #[error("cannot start {qemu}: {source}")]
    Start {
        /// The program.
        qemu: String,
        /// Why.
        source: std::io::Error,
    },
    /// Control socket.
    #[error(transparent)]
    Qmp(#[from] QmpError),
    /// The process could not be waited for.
    #[error("waiting for QEMU: {0}")]
    Wait(#[from] std::io::Error),
    /// It did not end in time.
    #[error("the guest did not power off within {0:?}")]
    Stuck(Duration),
}

/// A running machine. Killed when dropped.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    machine: Machine,
    serial: Receiver<String>,
    stderr: Receiver<String>,
    started: Instant,
}

fn pump(source: impl Read + Send + 'static, sink: Sender<String>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(source);
        let mut line = Vec::new();
        loop {
            line.clear();
            // A guest may print without end: cut lines at 64 KiB.
            match (&mut reader).take(64 << 10).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_string();
                    if sink.send(text).is_err() {
                        return;
                    }
                }
            }
        }
    });
}

impl Guest {
    /// Starts the machine.
    pub fn start(machine: Machine) -> Result<Self, GuestError> {
        // A stale socket of a killed run would make QEMU fail to bind.
        let _ = std::fs::remove_file(&machine.control);
        let started = Instant::now();
        let mut child = Command::new(&machine.qemu)
            .args(machine.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|source| GuestError::Start { qemu: machine.qemu.display().to_string(), source })?;
        let (serial_sink, serial) = channel();
        let (stderr_sink, stderr) = channel();
        if let Some(out) = child.stdout.take() {
            pump(out, serial_sink);
        }
        if let Some(err) = child.stderr.take() {
            pump(err, stderr_sink);
        }
        Ok(Self { child, machine, serial, stderr, started })
    }

    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The machine it runs.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// QEMU's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line on the serial port within `limit`. `Err(Disconnected)` once QEMU has closed it.
    pub fn serial_line(&self, limit: Duration) -> Result<String, RecvTimeoutError> {
        self.serial.recv_timeout(limit)
    }

    /// What QEMU itself has complained about so far.
    pub fn complaints(&self) -> String {
        self.stderr.try_iter().collect::<Vec<_>>().join("\n")
    }

    /// The exit status if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, GuestError> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for the end.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, GuestError> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(GuestError::Stuck(limit));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A control connection.
    pub fn control(&self) -> Result<Qmp, GuestError> {
        Ok(Qmp::connect(&self.machine.control, Duration::from_secs(5))?)
    }

    /// Presses the power button. The guest is expected to checkpoint and power off.
    pub fn power_button(&self) -> Result<(), GuestError> {
        Ok(self.control()?.power_button()?)
    }

    /// Power cut: SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None) | Err(_)) {
            self.kill();
        }
        let _ = std::fs::remove_file(&self.machine.control);
    }
}

//! An executor in the same process as the engine, as a device of its platform.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use compute_protocol::{Command, Envelope, Reply, Span, Status, answer::Device};
use platform::compute::{Buffer, ComputeDevice, ComputeError, Health, Link};

use crate::{
    Executor,
    session::{Pages, Session},
};

/// A device without a way to it: commands find their bytes where the caller has them.
pub struct Linked {
    session: Mutex<Session>,
    device: Device,
    link: Link,
    lost: AtomicBool,
    commands: AtomicU64,
    refused: AtomicU64,
}

/// The bytes of one command.
struct Lent<'a, 'b>(&'a mut [Buffer<'b>]);

impl Lent<'_, '_> {
    fn range(span: Span) -> Option<std::ops::Range<usize>> {
        let from = usize::try_from(span.offset).ok()?;
        Some(from..from.checked_add(usize::try_from(span.length).ok()?)?)
    }

    fn bytes(&self, span: Span) -> Option<&[u8]> {
        let bytes: &[u8] = match self.0.get(span.resource as usize)? {
            Buffer::From(bytes) => bytes,
            Buffer::Into(bytes) => bytes,
        };
        bytes.get(Self::range(span)?)
    }
}

impl Pages for Lent<'_, '_> {
    fn read(&self, span: Span, into: &mut [u8]) -> bool {
        match self.bytes(span) {
            Some(bytes) if bytes.len() == into.len() => into.copy_from_slice(bytes),
            _ => return false,
        }
        true
    }

    fn write(&mut self, span: Span, from: &[u8]) -> bool {
        let Some(range) = Self::range(span) else { return false };
        let Some(Buffer::Into(bytes)) = self.0.get_mut(span.resource as usize) else { return false };
        match bytes.get_mut(range) {
            Some(bytes) if bytes.len() == from.len() => bytes.copy_from_slice(from),
            _ => return false,
        }
        true
    }

    fn has(&self, span: Span) -> bool {
        self.bytes(span).is_some()
    }
}

/// Bytes of one command: so many that cutting costs nothing, and so few that a statement can be cancelled in between.
const LARGEST: u64 = 64 << 20;
/// Bytes that the link is measured with.
const SAMPLE: usize = 8 << 20;

impl Linked {
    /// An executor that nobody else uses.
    pub fn new(executor: Box<dyn Executor>) -> Self {
        let mut session = Session::new(executor);
        let device = session.executor().describe();
        let mut linked = Self {
            session: Mutex::new(session),
            device,
            link: Link { largest: LARGEST, ..Link::default() },
            lost: AtomicBool::new(false),
            commands: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        linked.link = linked.measure().unwrap_or(linked.link);
        linked
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What commands cost that only move bytes; the quickest of a few.
    fn measure(&self) -> Result<Link, ComputeError> {
        const TABLE: u32 = u32::MAX;
        let timed = |command: &Command, buffers: &mut [Buffer<'_>]| {
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let begun = Instant::now();
                self.execute(command, buffers, &|| false)?;
                best = best.min(begun.elapsed());
            }
            Ok(best)
        };
        let rate = |took: Duration| (SAMPLE as f64 / took.as_secs_f64().max(1e-9)) as u64;
        let mut bytes = vec![0; SAMPLE];
        let span = Span { resource: 0, offset: 0, length: SAMPLE as u64 };
        let round_trip = timed(&Command::Describe, &mut [])?;
        self.execute(&Command::Create { table: TABLE, bytes: SAMPLE as u64 }, &mut [], &|| false)?;
        let write = Command::Write { table: TABLE, offset: 0, from: span };
        let upload = rate(timed(&write, &mut [Buffer::From(&bytes)])?);
        let read = Command::Read { table: TABLE, offset: 0, into: span };
        let download = rate(timed(&read, &mut [Buffer::Into(&mut bytes)])?);
        self.execute(&Command::Drop { id: TABLE }, &mut [], &|| false)?;
        Ok(Link { round_trip, upload, download, largest: LARGEST })
    }
}

impl ComputeDevice for Linked {
    fn carrier(&self) -> &'static str {
        "linked in"
    }

    fn device(&self) -> Option<Device> {
        Some(self.device.clone())
    }

    fn link(&self) -> Link {
        self.link
    }

    fn health(&self) -> Health {
        let lost = self.lost.load(Relaxed);
        Health {
            present: !lost,
            commands: self.commands.load(Relaxed),
            refused: self.refused.load(Relaxed),
            losses: u64::from(lost),
            last_loss: if lost { "the device was lost".to_owned() } else { String::new() },
        }
    }

    fn generation(&self) -> u64 {
        u64::from(self.lost.load(Relaxed))
    }

    fn execute(
        &self,
        command: &Command,
        buffers: &mut [Buffer<'_>],
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Reply, ComputeError> {
        if interrupted() {
            return Err(ComputeError::Interrupted);
        }
        if self.lost.load(Relaxed) {
            return Err(ComputeError::Absent);
        }
        let message = Envelope { number: 0, command: command.clone() }.encode();
        let reply = self.session().handle(&message, &mut Lent(buffers));
        let reply = Reply::decode(&reply).map_err(|_| ComputeError::Lost)?;
        match reply.status {
            Status::Done => {
                self.commands.fetch_add(1, Relaxed);
                Ok(reply)
            }
            Status::Lost => {
                self.lost.store(true, Relaxed);
                Err(ComputeError::Lost)
            }
            status => {
                self.refused.fetch_add(1, Relaxed);
                Err(ComputeError::Refused(status))
            }
        }
    }
}

//! Whoever does tasks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use compute_protocol::{Reply, Status, carrier::response};
use zerocopy::IntoBytes;

use super::{Memory, Task, control::Work, pages::JobPages};
use crate::{Executor, Session};

/// Opens the device, at first and again when it was lost.
pub type Open = Box<dyn Fn() -> Option<Box<dyn Executor>> + Send>;

/// Does tasks one after the other.
pub struct Worker {
    open: Open,
    session: Option<Session>,
    instance: Arc<AtomicU64>,
}

impl Worker {
    /// With the device that `open` gives. `instance` grows whenever what it holds is lost.
    pub fn new(open: Open, instance: Arc<AtomicU64>) -> Self {
        let session = open().map(Session::new);
        Self { open, session, instance }
    }

    /// Whether there is a device.
    pub fn has_device(&self) -> bool {
        self.session.is_some()
    }

    /// Does one and returns the response.
    pub fn run(&mut self, task: &Task, memory: &dyn Memory) -> Vec<u8> {
        let mut answer = task.header.answer(response::OK_NODATA).as_bytes().to_vec();
        match &task.work {
            Work::Nothing => {}
            Work::Forget => {
                if let Some(session) = &mut self.session {
                    session.executor().clear();
                }
            }
            Work::Command { message, attached } => {
                let mut pages = JobPages { memory, attached };
                let reply = match &mut self.session {
                    Some(session) => session.handle(message, &mut pages),
                    None => Reply::refusal(0, Status::Lost).encode(),
                };
                if Reply::decode(&reply).is_ok_and(|r| r.status == Status::Lost) {
                    self.reopen();
                }
                answer.extend(reply);
            }
        }
        answer
    }

    /// What the device held is gone; perhaps it works again.
    fn reopen(&mut self) {
        self.instance.fetch_add(1, Ordering::Relaxed);
        self.session = None;
        self.session = (self.open)().map(Session::new);
    }
}

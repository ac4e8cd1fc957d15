//! LISTEN and NOTIFY.
//!
//! What a transaction says takes effect when it commits: then its notifications are put into the inboxes of the sessions
//! that listen. A session gives its inbox to the client between transactions; one that is idle is woken for it. Nothing of
//! this outlives the server.
//!
//! Lock order: the list of channels, then an inbox.

use alloc::{
    collections::{BTreeSet, VecDeque},
    string::String,
    sync::Arc,
    vec::Vec,
};
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use hashbrown::HashMap;
use pg_types::{Result, SqlError, SqlState};
use pg_wire::Encoder;
use platform::sync::Mutex;

use crate::registry::Handle;

/// Longest channel name and longest payload, in bytes, as PostgreSQL has them.
const MAX_CHANNEL: usize = 63;
const MAX_PAYLOAD: usize = 7999;
/// Bytes of notifications that may wait for one session.
const MAX_WAITING: usize = 64 << 20;

/// One notification.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Notification {
    channel: String,
    payload: String,
}

impl Notification {
    /// Checked as PostgreSQL checks it.
    pub fn new(channel: &str, payload: &str) -> Result<Self> {
        let invalid = |text| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text));
        if channel.is_empty() {
            return invalid("channel name cannot be empty");
        }
        if channel.len() > MAX_CHANNEL {
            return invalid("channel name too long");
        }
        if payload.len() > MAX_PAYLOAD {
            return invalid("payload string too long");
        }
        Ok(Self { channel: channel.into(), payload: payload.into() })
    }

    fn size(&self) -> usize {
        self.channel.len() + self.payload.len() + 64
    }
}

/// What waits for a session's client.
#[derive(Default)]
pub struct Inbox {
    waiting: Mutex<(VecDeque<(u32, Arc<Notification>)>, usize)>,
    some: AtomicBool,
}

impl Inbox {
    /// Is there anything?
    #[inline]
    pub fn has_some(&self) -> bool {
        self.some.load(SeqCst)
    }

    fn put(&self, from: u32, what: &Arc<Notification>) {
        let mut waiting = self.waiting.lock();
        waiting.1 += what.size();
        waiting.0.push_back((from, what.clone()));
        self.some.store(true, SeqCst);
    }

    /// Writes all that waits as messages.
    pub fn drain(&self, out: &mut Encoder) {
        let mut waiting = self.waiting.lock();
        self.some.store(false, SeqCst);
        waiting.1 = 0;
        for (from, n) in waiting.0.drain(..) {
            out.notification(from, &n.channel, &n.payload);
        }
    }
}

/// Who listens to which channel.
#[derive(Default)]
pub struct Channels {
    listeners: Mutex<HashMap<String, Vec<Arc<Handle>>>>,
}

impl Channels {
    fn listen(&self, channel: &str, who: &Arc<Handle>) {
        let mut listeners = self.listeners.lock();
        let list = listeners.entry(channel.into()).or_default();
        if !list.iter().any(|h| h.pid == who.pid) {
            list.push(who.clone());
        }
    }

    fn unlisten(&self, channel: &str, who: &Handle) {
        let mut listeners = self.listeners.lock();
        if let Some(list) = listeners.get_mut(channel) {
            list.retain(|h| h.pid != who.pid);
            if list.is_empty() {
                listeners.remove(channel);
            }
        }
    }

    /// Would these fit the inboxes?
    fn room_for(&self, all: &[Notification]) -> bool {
        let listeners = self.listeners.lock();
        all.iter().filter_map(|n| Some((n, listeners.get(&n.channel)?))).all(|(n, list)| {
            list.iter().all(|h| h.inbox.waiting.lock().1.saturating_add(n.size()) <= MAX_WAITING)
        })
    }

    fn deliver(&self, from: &Handle, all: Vec<Notification>) {
        let mut woken: Vec<Arc<Handle>> = Vec::new();
        {
            let listeners = self.listeners.lock();
            for n in all.into_iter().map(Arc::new) {
                for h in listeners.get(&n.channel).into_iter().flatten() {
                    h.inbox.put(from.pid, &n);
                    if h.pid != from.pid && !woken.iter().any(|w| w.pid == h.pid) {
                        woken.push(h.clone());
                    }
                }
            }
        }
        woken.iter().for_each(|h| h.wake());
    }
}

/// A change of what a session listens to.
enum Change {
    Listen(String),
    Unlisten(String),
    UnlistenAll,
}

/// What a session's transaction has said, and what the session listens to.
#[derive(Default)]
pub struct Messages {
    listening: BTreeSet<String>,
    changes: Vec<Change>,
    notifications: Vec<Notification>,
}

impl Messages {
    /// The transaction has said nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.notifications.is_empty()
    }
    /// LISTEN.
    pub fn listen(&mut self, channel: &str) -> Result<()> {
        Notification::new(channel, "")?;
        self.changes.push(Change::Listen(channel.into()));
        Ok(())
    }
    /// UNLISTEN; `None`: all channels.
    pub fn unlisten(&mut self, channel: Option<&str>) {
        self.changes.push(channel.map_or(Change::UnlistenAll, |c| Change::Unlisten(c.into())));
    }
    /// NOTIFY. The same notification twice in a transaction is one.
    pub fn notify(&mut self, channel: &str, payload: &str) -> Result<()> {
        let new = Notification::new(channel, payload)?;
        if !self.notifications.contains(&new) {
            self.notifications.push(new);
        }
        Ok(())
    }
    /// The channels listened to, in order.
    pub fn channels(&self) -> Vec<String> {
        self.listening.iter().cloned().collect()
    }
    /// Where a savepoint stands.
    pub fn mark(&self) -> (usize, usize) {
        (self.changes.len(), self.notifications.len())
    }
    /// Forgets what was said behind a savepoint.
    pub fn undo_to(&mut self, (changes, notifications): (usize, usize)) {
        self.changes.truncate(changes);
        self.notifications.truncate(notifications);
    }
    /// Can all be delivered? To be asked before the commit.
    pub fn check(&self, channels: &Channels) -> Result<()> {
        if self.notifications.is_empty() || channels.room_for(&self.notifications) {
            return Ok(());
        }
        let text = "too many notifications in the NOTIFY queue";
        Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text))
    }
    /// The transaction has committed.
    pub fn commit(&mut self, channels: &Channels, who: &Arc<Handle>) {
        for change in core::mem::take(&mut self.changes) {
            match change {
                Change::Listen(channel) => {
                    channels.listen(&channel, who);
                    self.listening.insert(channel);
                }
                Change::Unlisten(channel) => {
                    channels.unlisten(&channel, who);
                    self.listening.remove(&channel);
                }
                Change::UnlistenAll => self.leave(channels, who),
            }
        }
        if !self.notifications.is_empty() {
            channels.deliver(who, core::mem::take(&mut self.notifications));
        }
    }
    /// The session ends, or listens to nothing from now on.
    pub fn leave(&mut self, channels: &Channels, who: &Handle) {
        core::mem::take(&mut self.listening).iter().for_each(|c| channels.unlisten(c, who));
    }
}

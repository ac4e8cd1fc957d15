//! The graphs at hand.

use alloc::{collections::VecDeque, sync::Arc};

use pg_storage::RelId;
use platform::sync::Mutex;

use crate::Stored;

/// Versions of graphs kept at most; the least recently used one goes first.
const VERSIONS: usize = 16;

/// Graphs by heap and version, most recently used first.
#[derive(Debug, Default)]
pub struct Cache {
    entries: Mutex<VecDeque<(RelId, i64, Arc<Stored>)>>,
}

impl Cache {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// The graph, if it is at hand.
    pub fn get(&self, heap: RelId, version: i64) -> Option<Arc<Stored>> {
        let mut entries = self.entries.lock();
        let at = entries.iter().position(|e| (e.0, e.1) == (heap, version))?;
        let entry = entries.remove(at)?;
        let stored = entry.2.clone();
        entries.push_front(entry);
        Some(stored)
    }

    /// Keeps a graph. Older versions of it go when there are more than two, so that readers of the one before are served.
    pub fn put(&self, heap: RelId, version: i64, stored: Arc<Stored>) {
        let mut entries = self.entries.lock();
        entries.retain(|e| (e.0, e.1) != (heap, version));
        entries.push_front((heap, version, stored));
        let mut same = 0;
        entries.retain(|e| {
            same += usize::from(e.0 == heap);
            e.0 != heap || same <= 3
        });
        entries.truncate(VERSIONS);
    }

    /// Lets go of a graph, whose heap was dropped.
    pub fn remove(&self, heap: RelId) {
        self.entries.lock().retain(|e| e.0 != heap);
    }
}

//! The graphs at hand.

use alloc::{collections::VecDeque, sync::Arc};

use pg_storage::RelId;
use platform::sync::Mutex;

use crate::Stored;

/// Versions of a graph kept at most, so that readers of those before the latest are served.
const VERSIONS: usize = 3;

#[derive(Debug)]
struct Entry {
    heap: RelId,
    version: i64,
    stored: Arc<Stored>,
    bytes: usize,
}

/// Graphs by heap and version, most recently used first, in about so many bytes.
///
/// What versions share is counted for each of them. The graph that was used last stays whatever its size: the statement that
/// uses it has it anyway.
#[derive(Debug)]
pub struct Cache {
    entries: Mutex<VecDeque<Entry>>,
    limit: usize,
}

impl Cache {
    /// Empty.
    pub fn new(limit: usize) -> Self {
        Self { entries: Mutex::default(), limit }
    }

    /// The graph, if it is at hand.
    pub fn get(&self, heap: RelId, version: i64) -> Option<Arc<Stored>> {
        let mut entries = self.entries.lock();
        let at = entries.iter().position(|e| (e.heap, e.version) == (heap, version))?;
        let entry = entries.remove(at)?;
        let stored = entry.stored.clone();
        entries.push_front(entry);
        Some(stored)
    }

    /// Keeps a graph; older versions of it go when there are many, and others when all are too large together.
    pub fn put(&self, heap: RelId, version: i64, stored: Arc<Stored>) {
        let bytes = stored.memory();
        let mut entries = self.entries.lock();
        entries.retain(|e| (e.heap, e.version) != (heap, version));
        entries.push_front(Entry { heap, version, stored, bytes });
        let (mut same, mut total, mut count) = (0, 0usize, 0);
        entries.retain(|e| {
            same += usize::from(e.heap == heap);
            if e.heap == heap && same > VERSIONS {
                return false;
            }
            total = total.saturating_add(e.bytes);
            count += 1;
            count == 1 || total <= self.limit
        });
    }

    /// Lets go of a graph, whose heap was dropped.
    pub fn remove(&self, heap: RelId) {
        self.entries.lock().retain(|e| e.heap != heap);
    }

    /// Bytes of the graphs at hand.
    pub fn bytes(&self) -> usize {
        self.entries.lock().iter().map(|e| e.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use dagdb_graph::Graph;

    use super::*;

    #[test]
    fn graphs_that_do_not_fit_go_in_order_of_their_use() {
        let graph = |nodes| Arc::new(Stored::detached(&Graph::with_nodes(nodes).expect("few nodes")));
        let one = graph(1_000).memory();
        let cache = Cache::new(one * 5 / 2);
        for heap in 1..4 {
            cache.put(RelId(heap), 0, graph(1_000));
            assert!(cache.get(RelId(1), 0).is_some());
        }
        assert!(cache.get(RelId(2), 0).is_none());
        assert!(cache.get(RelId(3), 0).is_some());
        assert_eq!(cache.bytes(), 2 * one);
        cache.put(RelId(9), 0, graph(100_000));
        assert!(cache.get(RelId(9), 0).is_some());
        assert!(cache.get(RelId(1), 0).is_none());
        for version in 0..9 {
            cache.put(RelId(1), version, graph(1));
        }
        assert!(cache.get(RelId(1), 6).is_some() && cache.get(RelId(1), 5).is_none());
    }
}

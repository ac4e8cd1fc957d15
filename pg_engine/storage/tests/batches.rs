//! Index entries that go in by the batch.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use std::{collections::BTreeMap, sync::Arc};

use pg_storage::*;
use platform::{block::BlockDevice, memory_device::MemDevice};
use proptest::prelude::*;

fn open(d: &Arc<dyn BlockDevice>) -> Arc<Storage> {
    let config = StorageConfig { buffer_pool_bytes: 4 << 20, background_tasks: false, ..Default::default() };
    Storage::open(d.clone(), config).unwrap()
}

/// Inserts rows with these keys by one call; gives the positions of those whose keys were taken.
fn add(
    s: &Arc<Storage>,
    heap: RelId,
    index: RelId,
    keys: &[Vec<u8>],
    unique: Unique,
) -> (Vec<usize>, Vec<Tid>) {
    let mut t = s.begin(Isolation::ReadCommitted);
    let payloads: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let mut tids = Vec::new();
    s.heap_insert_many(&mut t, heap, &payloads, &mut tids).unwrap();
    let entries: Vec<IndexEntry<'_>> =
        keys.iter().zip(&tids).map(|(key, tid)| IndexEntry::plain(key, *tid, unique)).collect();
    let mut taken = Vec::new();
    s.index_insert_sorted(&mut t, index, &entries, |at, _| taken.push(at)).unwrap();
    t.commit().unwrap();
    (taken, tids)
}

fn lookup(s: &Arc<Storage>, index: RelId, key: &[u8]) -> Vec<Tid> {
    let mut tids = Vec::new();
    s.index_lookup(index, key, &mut tids).unwrap();
    tids.sort();
    tids
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn batches_are_as_single_insertions(
        batches in proptest::collection::vec(
            proptest::collection::vec(
                (0u16..3000, prop::sample::select(vec![0usize, 3, 9, 60, 900])), 1..400), 1..9),
        unique in any::<bool>(),
    ) {
        let d = MemDevice::new(128 << 20, 4096);
        Storage::format(&d, &FormatOptions { wal_bytes: Some(32 << 20), config: Vec::new() }).unwrap();
        let d: Arc<dyn BlockDevice> = Arc::new(d);
        let s = open(&d);
        let mut t = s.begin(Isolation::ReadCommitted);
        let heap = s.create_relation(&mut t, RelationKind::Heap).unwrap();
        let index = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
        t.commit().unwrap();
        let check = if unique { Unique::Yes } else { Unique::No };
        let mut model: BTreeMap<Vec<u8>, Vec<Tid>> = BTreeMap::new();
        for batch in batches {
            let mut keys: Vec<Vec<u8>> = batch
                .into_iter()
                .map(|(n, tail)| [b"common prefix ".as_slice(), &n.to_be_bytes(), &vec![n as u8; tail]].concat())
                .collect();
            keys.sort();
            let (taken, tids) = add(&s, heap, index, &keys, check);
            for (i, (key, tid)) in keys.into_iter().zip(tids).enumerate() {
                let rows = model.entry(key).or_default();
                let is_taken = unique && !rows.is_empty();
                prop_assert_eq!(taken.contains(&i), is_taken);
                if !is_taken {
                    rows.push(tid);
                }
            }
        }
        let same = |s: &Arc<Storage>| {
            for (key, rows) in &mut model.clone() {
                rows.sort();
                assert_eq!(&lookup(s, index, key), rows);
            }
            let none = KeyBound::Unbounded;
            let mut scan = s.index_scan(index, none, none, ScanDirection::Forward).unwrap();
            let mut all: Vec<Vec<u8>> = Vec::new();
            while scan.next_entries(|key, _| all.push(key.to_vec())).unwrap() {}
            assert!(all.is_sorted());
            assert_eq!(all.len(), model.values().map(Vec::len).sum::<usize>());
        };
        same(&s);
        drop(s);
        same(&open(&d));
    }
}

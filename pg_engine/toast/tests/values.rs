//! Values come back as they were written, rows become small by the rules, and nothing is left behind.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking
#![cfg(not(intralith_platform = "simulated"))]

use std::sync::Arc;

use pg_storage::*;
use pg_toast::{
    Fault, Place, Rules, Strategy as Storing, ToastError, block,
    chunks::{self, CHUNK},
    shrink::shrink,
};
use pg_types::{
    SqlError, SqlState, SqlType, Value, oid,
    tuple::{External, Stored, TupleLayout, is_wrapped},
};
use platform::{block::BlockDevice, memory_device::MemDevice};
use proptest::prelude::*;

fn volume() -> (Arc<Storage>, Place) {
    let d: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(96 << 20, 4096));
    Storage::format(&*d, &FormatOptions { wal_bytes: Some(8 << 20), config: Vec::new() }).unwrap();
    let config = StorageConfig { buffer_pool_bytes: 4 << 20, ..Default::default() };
    let s = Storage::open(d, config).unwrap();
    let mut t = s.begin(Isolation::ReadCommitted);
    let heap = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let index = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
    t.commit().unwrap();
    s.set_fill_factor(heap, Some(100)).unwrap();
    (s, Place { heap, index })
}

fn noise(n: usize, seed: u32) -> Vec<u8> {
    let mut x = seed | 1;
    (0..n)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x as u8
        })
        .collect()
}

fn go_on() -> Result<(), SqlError> {
    Ok(())
}

fn put(s: &Arc<Storage>, place: Place, value: &[u8]) -> External {
    let mut t = s.begin(Isolation::ReadCommitted);
    let id = chunks::write(s, &mut t, place, value, &mut go_on).unwrap();
    t.commit().unwrap();
    let n = value.len() as u32;
    External { id, raw: n, stored: n, compressed: false }
}

#[test]
fn values_of_all_lengths_come_back() {
    let (s, place) = volume();
    let mut ids = Vec::new();
    for n in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK, 500_000] {
        let value = noise(n, n as u32);
        let e = put(&s, place, &value);
        // Nothing is stored of an empty value, so that its id is free.
        assert!(n == 0 || !ids.contains(&e.id));
        ids.push(e.id);
        assert_eq!(chunks::read(&s, place, &e, &mut go_on).unwrap(), value);
    }
    assert!(s.relation_stats(place.heap).unwrap().pages as usize <= (500_000 + 8 * CHUNK) / (4 * CHUNK) + 4);
}

#[test]
fn a_pointer_that_is_wrong_is_noticed() {
    let (s, place) = volume();
    let e = put(&s, place, &noise(5000, 7));
    let wrong = [
        External { id: e.id + 1, ..e },
        External { stored: 4999, raw: 4999, ..e },
        External { stored: 9000, raw: 9000, ..e },
        External { stored: 1 << 29, raw: 1 << 29, ..e },
    ];
    for w in wrong {
        let found = chunks::read(&s, place, &w, &mut go_on);
        assert!(matches!(found, Err(ToastError::Chunk { .. })), "{found:?}");
    }
    let compressed = External { compressed: true, raw: 100_000, ..e };
    assert!(matches!(chunks::read(&s, place, &compressed, &mut go_on), Err(ToastError::Block)));
}

#[test]
fn replaced_values_leave_their_pages_to_others() {
    let (s, place) = volume();
    let mut e = put(&s, place, &noise(200_000, 1));
    let mut sizes = Vec::new();
    for round in 2..42 {
        let mut t = s.begin(Isolation::ReadCommitted);
        let id = chunks::write(&s, &mut t, place, &noise(200_000, round), &mut go_on).unwrap();
        chunks::delete(&s, &mut t, place, e.id, &mut go_on).unwrap();
        // What is gone cannot be deleted again.
        t.next_command();
        let again = chunks::delete(&s, &mut t, place, e.id, &mut go_on);
        assert!(matches!(again, Err(ToastError::Chunk { what: Fault::Deleted, .. })));
        t.commit().unwrap();
        e.id = id;
        s.vacuum(place.heap).unwrap();
        sizes.push(s.relation_stats(place.heap).unwrap().pages);
    }
    assert_eq!(chunks::read(&s, place, &e, &mut go_on).unwrap(), noise(200_000, 41));
    // Inserters that come after another use other pages: that takes a few before it stays as it is.
    assert!(sizes.last() <= sizes.get(20) && sizes.iter().all(|n| *n < 70), "{sizes:?}");
}

#[test]
fn what_was_written_in_vain_is_taken_back_at_once() {
    let (s, place) = volume();
    let mut t = s.begin(Isolation::ReadCommitted);
    let id = chunks::write(&s, &mut t, place, &noise(50_000, 3), &mut go_on).unwrap();
    chunks::take_back(&s, &mut t, place, id, &mut go_on).unwrap();
    t.next_command();
    let count = |snapshot: &Snapshot| {
        let mut n = 0;
        let mut scan = s.heap_scan(place.heap, snapshot, None).unwrap();
        while scan.next_page(|_, _| n += 1).unwrap() {}
        n
    };
    assert_eq!(count(&t.snapshot()), 0);
    t.commit().unwrap();
    assert_eq!(count(&s.begin(Isolation::ReadCommitted).snapshot()), 0);
}

#[test]
fn writing_ends_when_it_is_told_to() {
    let (s, place) = volume();
    let mut t = s.begin(Isolation::ReadCommitted);
    let mut calls = 0;
    let mut pause = || {
        calls += 1;
        if calls > 3 { Err(SqlError::new(SqlState::QUERY_CANCELED, "canceled")) } else { Ok(()) }
    };
    let done = chunks::write(&s, &mut t, place, &noise(2_000_000, 3), &mut pause);
    assert!(matches!(done, Err(ToastError::Value(e)) if e.state() == SqlState::QUERY_CANCELED));
}

const CODES: [Storing; 4] = [Storing::Plain, Storing::External, Storing::Extended, Storing::Main];

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        ".{0,40}".prop_map(|s| Value::text(&s)),
        (0usize..6000, "[a-z]{1,9}").prop_map(|(n, s)| Value::text(&s.repeat(n / s.len() + 1))),
        (0usize..9000, any::<u32>()).prop_map(|(n, seed)| {
            Value::text(&noise(n, seed).iter().map(|b| char::from(b & 0x7f)).collect::<String>())
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn rows_become_small_and_come_back(
        row in proptest::collection::vec((any_value(), 0usize..4), 1..7),
        target in 128usize..8160,
        has_place in any::<bool>(),
    ) {
        let (values, codes): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        let strategies: Vec<Storing> = codes.iter().map(|c| CODES[*c]).collect();
        let layout = TupleLayout::new(&vec![SqlType::new(oid::TEXT); values.len()]);
        let rules = Rules { strategies: strategies.clone(), target };
        let mut plain = Vec::new();
        layout.encode(&values, &mut plain).unwrap();
        let mut elsewhere: Vec<Vec<u8>> = Vec::new();
        let mut fields = layout.fields(&plain).unwrap();
        let mut write = |data: &[u8]| {
            elsewhere.push(data.to_vec());
            Ok(elsewhere.len() as u32)
        };
        shrink(&layout, &mut fields, &rules, has_place.then_some(&mut write)).unwrap();
        let mut tuple = Vec::new();
        layout.assemble(&fields, &mut tuple).unwrap();
        prop_assert!(tuple.len() <= plain.len() + values.len());
        let free = |s: &Storing| matches!(s, Storing::External | Storing::Extended);
        if has_place && strategies.iter().all(free) {
            prop_assert!(tuple.len() <= target.max(2 + 1 + values.len() * 30), "{} bytes", tuple.len());
        }

        let mut back = layout.fields(&tuple).unwrap();
        prop_assert_eq!(&back, &fields);
        prop_assert_eq!(is_wrapped(&tuple), back.iter().any(Stored::is_wrapped));
        for (field, strategy) in back.iter_mut().zip(&strategies) {
            let bytes = match field {
                Stored::Compressed { raw, block } => {
                    prop_assert!(matches!(strategy, Storing::Extended | Storing::Main));
                    block::decompress(block, *raw).unwrap()
                }
                Stored::External(e) => {
                    prop_assert!(*strategy != Storing::Plain);
                    let stored = &elsewhere[e.id as usize - 1];
                    prop_assert_eq!(stored.len(), e.stored as usize);
                    prop_assert!(!e.compressed || *strategy != Storing::External);
                    if e.compressed { block::decompress(stored, e.raw).unwrap() } else { stored.clone() }
                }
                _ => continue,
            };
            *field = Stored::Plain(bytes.into());
        }
        prop_assert_eq!(layout.decode_fields(&back, &[]).unwrap(), values);
    }
}

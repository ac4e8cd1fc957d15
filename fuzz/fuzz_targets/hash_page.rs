//! Everything that is read from a page of a hash index, on any page.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_hash_index::page::{Bucket, Meta, bucket_of, depth_of, parent_of, slot};
use pg_page::{Page, RelId, Tid, ops, ops::Ops};

fuzz_target!(|input: (&[u8], u64, u32)| {
    let (content, hash, n) = input;
    let mut page = Page::zeroed();
    page.format(0, RelId(1), 1);
    let len = content.len().min(page.0.len() - 24);
    page.0[24..24 + len].copy_from_slice(&content[..len]);

    let meta = Meta(&page);
    let buckets = meta.buckets();
    let bucket = bucket_of(hash, buckets);
    assert!(bucket < buckets);
    assert!(bucket == 0 || parent_of(bucket) < bucket);
    assert!(depth_of(bucket, buckets) <= 32);
    let _ = (meta.free(), meta.free_count());
    for i in [0, n % 2048, meta.directories().saturating_sub(1), u32::MAX] {
        let _ = meta.directory(i);
    }
    let _ = slot(&page, n % 2032);

    let tid = Tid { block: n, slot: 3 };
    let before = {
        let b = Bucket(&page);
        let _ = (b.depth(), b.marks(), b.role(), b.next(), b.covers(hash), b.half(b.depth()));
        assert!(b.lower_bound(hash) <= b.count());
        b.entries().collect::<Vec<_>>()
    };
    let mut operations = Ops::new();
    let b = Bucket(&page);
    if !b.has_room() || !b.add_ops(&mut operations, (hash, tid)) {
        return;
    }
    ops::apply(&mut page, RelId(1), 1, operations.as_bytes()).expect("room for an entry");
    // Whatever the page held, it holds the same and one more.
    let mut after: Vec<_> = Bucket(&page).entries().collect();
    let at = after.iter().position(|e| *e == (hash, tid)).expect("the new entry");
    after.remove(at);
    assert_eq!(after, before);
});

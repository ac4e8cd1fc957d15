//! Everything that is read from an index page, on any page.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_btree::node::{KIND_BTREE, Node, tid_bytes};
use pg_page::{Page, RelId, Tid, ops, ops::Ops};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (content, key) = input;
    let key = &key[..key.len().min(pg_btree::MAX_KEY)];
    let mut page = Page::zeroed();
    page.format(KIND_BTREE, RelId(1), 1);
    let n = content.len().min(page.0.len() - 24);
    page.0[24..24 + n].copy_from_slice(&content[..n]);
    let tid = Tid { block: 7, slot: 3 };
    let mut operations = Ops::new();
    {
        let node = Node(&page);
        let _ = (node.level(), node.flags(), node.left(), node.right(), node.is_deleted(), node.high());
        for i in 0..node.count().saturating_add(1) {
            let _ = (node.key(i), node.tid(i), node.child(i), node.item(i).entries());
            let _ = node.item(i).tids().count();
        }
        let _ = node.entries().count();
        let at = node.lower_bound(key, tid);
        let _ = (node.is_beyond(key, tid), node.child_for(key, tid));
        if node.has_room(key.len()) {
            node.insert_ops(&mut operations, at, key, &tid_bytes(tid));
        }
        let draft = node.draft();
        if draft.fits() {
            let _ = draft.ops();
        }
    }
    let _ = ops::apply(&mut page, RelId(1), 1, operations.as_bytes());
});

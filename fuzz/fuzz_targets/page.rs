//! Page operations on any page: what a log record may bring, applied to what a disk may hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_page::{Page, RelId, ops, slotted};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (operations, content) = input;
    let mut page = Page::zeroed();
    let mut empty = ops::Ops::new();
    empty.format(slotted::KIND_HEAP);
    ops::apply(&mut page, RelId(1), 1, empty.as_bytes()).unwrap();
    let n = content.len().min(page.0.len() - 24);
    page.0[24..24 + n].copy_from_slice(&content[..n]);
    let _ = ops::apply(&mut page, RelId(1), 1, operations);
    for slot in 0..=slotted::count(&page).saturating_add(1) {
        let _ = slotted::get(&page, slot);
    }
    page.seal();
    // What was sealed is found whole, unless the operations took it elsewhere.
    let same = (page.rel(), page.block()) == (RelId(1), 1);
    assert_eq!(page.check(RelId(1), 1).is_ok(), same);
});

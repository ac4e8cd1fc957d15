//! Row versions and pruning of any page that passes its checksum.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_heap::tuple;
use pg_page::{Page, RelId, ops::{self, Ops}, slotted};

fuzz_target!(|content: &[u8]| {
    let mut page = Page::zeroed();
    page.format(slotted::KIND_HEAP, RelId(1), 1);
    let n = content.len().min(page.0.len() - 24);
    page.0[24..24 + n].copy_from_slice(&content[..n]);
    let mut actions = Vec::new();
    for slot in 0..=slotted::count(&page).saturating_add(1) {
        if let Some((at, header, payload)) = tuple::at(&page, slot) {
            assert!(at + payload.len() <= page.0.len());
            let _ = header.encode();
            actions.push((slot, if slot % 2 == 0 { slotted::TO_UNUSED } else { slot / 2 }));
        }
    }
    let mut operations = Ops::new();
    operations.prune(&actions);
    let _ = ops::apply(&mut page, RelId(1), 1, operations.as_bytes());
});

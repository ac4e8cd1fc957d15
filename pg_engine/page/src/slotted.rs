//! Slotted pages: an array of slots growing up, items growing down, and compaction.
//!
//! ```text
//! 24 lower u16   end of the slot array
//! 26 upper u16   start of the items
//! 28 -     u32
//! 32 hint  u64   owned by the cell above
//! 40 slots       4 bytes each: u16 offset (14 bits) and state (2 bits), u16 length
//! ```

use crate::{PAGE_SIZE, Page};

/// A heap page.
pub const KIND_HEAP: u8 = 1;

/// Where the slots begin.
pub const SLOTS: usize = 40;
/// Bytes of a slot.
pub const SLOT_SIZE: usize = 4;
/// Most slots of a page.
pub const MAX_SLOTS: usize = 400;
/// Largest item that fits on an empty page.
pub const MAX_ITEM: usize = PAGE_SIZE - SLOTS - SLOT_SIZE;
/// Where the cell above keeps its hint.
pub const HINT: usize = 32;

/// Action of [`prune`]: the slot is free for use.
pub const TO_UNUSED: u16 = 0;
/// Action of [`prune`]: the slot has no item, but index entries still point to it.
pub const TO_DEAD: u16 = u16::MAX;

/// State of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Free.
    Unused,
    /// Has an item.
    Normal {
        /// Where on the page.
        at: usize,
        /// How long.
        len: usize,
    },
    /// Stands for another slot of the page.
    Redirect(u16),
    /// Had an item.
    Dead,
}

/// Has this kind of page slots?
pub fn is_slotted(kind: u8) -> bool {
    kind == KIND_HEAP
}

/// Number of slots.
#[inline]
pub fn count(page: &Page) -> u16 {
    ((lower(page).saturating_sub(SLOTS) / SLOT_SIZE).min(MAX_SLOTS)) as u16
}

/// End of the slots.
#[inline]
pub fn lower(page: &Page) -> usize {
    usize::from(page.u16_at(24))
}

/// Start of the items.
#[inline]
pub fn upper(page: &Page) -> usize {
    usize::from(page.u16_at(26))
}

/// Bytes between slots and items.
#[inline]
pub fn gap(page: &Page) -> usize {
    upper(page).saturating_sub(lower(page))
}

/// Place of a slot (from 1).
#[inline]
pub fn slot_at(slot: u16) -> usize {
    SLOTS + usize::from(slot).saturating_sub(1) * SLOT_SIZE
}

/// A slot's state; `Unused` for one that does not exist.
#[inline]
pub fn get(page: &Page, slot: u16) -> Slot {
    if slot == 0 || slot > count(page) {
        return Slot::Unused;
    }
    let raw = page.u32_at(slot_at(slot));
    let at = (raw & 0x3fff) as usize;
    match raw >> 14 & 3 {
        1 => Slot::Normal { at, len: (raw >> 16) as usize },
        2 => Slot::Redirect(at as u16),
        3 => Slot::Dead,
        _ => Slot::Unused,
    }
}

/// The encoding of a slot.
pub fn encode(slot: Slot) -> [u8; 4] {
    let raw = match slot {
        Slot::Unused => 0,
        Slot::Normal { at, len } => (at as u32 & 0x3fff) | 1 << 14 | (len as u32) << 16,
        Slot::Redirect(to) => u32::from(to) & 0x3fff | 2 << 14,
        Slot::Dead => 3 << 14,
    };
    raw.to_le_bytes()
}

/// An item's bytes; empty for a slot without one.
#[inline]
pub fn item(page: &Page, slot: u16) -> &[u8] {
    match get(page, slot) {
        Slot::Normal { at, len } => page.bytes(at, len),
        _ => &[],
    }
}

/// Sets an empty page up.
pub(crate) fn init(page: &mut Page) {
    page.put(24, &(SLOTS as u16).to_le_bytes());
    page.put(26, &(PAGE_SIZE as u16).to_le_bytes());
}

/// Applies `(slot, action)` pairs and moves the remaining items together at the end of the page. Trailing unused
/// slots are given up. None: malformed.
pub(crate) fn prune(page: &mut Page, actions: &[u8]) -> Option<()> {
    let mut n = count(page);
    for a in actions.chunks_exact(4) {
        let (slot, action) = (u16::from_le_bytes([a[0], a[1]]), u16::from_le_bytes([a[2], a[3]]));
        if slot == 0 || slot > n {
            return None;
        }
        let state = match action {
            TO_UNUSED => Slot::Unused,
            TO_DEAD => Slot::Dead,
            to => Slot::Redirect(to),
        };
        page.put(slot_at(slot), &encode(state));
    }
    while n > 0 && get(page, n) == Slot::Unused {
        n -= 1;
    }
    // Items by falling offset: each moves up into space already passed.
    let mut order = [0u32; MAX_SLOTS];
    let mut items = 0;
    for slot in 1..=n {
        if let Slot::Normal { at, .. } = get(page, slot) {
            *order.get_mut(items)? = (at as u32) << 16 | u32::from(slot);
            items += 1;
        }
    }
    let order = order.get_mut(..items)?;
    order.sort_unstable();
    let mut upper = PAGE_SIZE;
    for entry in order.iter().rev() {
        let slot = *entry as u16;
        let Slot::Normal { at, len } = get(page, slot) else { return None };
        upper = upper.checked_sub(len)?;
        if at + len > PAGE_SIZE {
            return None;
        }
        page.0.copy_within(at..at + len, upper);
        page.put(slot_at(slot), &encode(Slot::Normal { at: upper, len }));
    }
    let lower = SLOTS + usize::from(n) * SLOT_SIZE;
    if upper < lower {
        return None;
    }
    page.put(24, &(lower as u16).to_le_bytes());
    page.put(26, &(upper as u16).to_le_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RelId, ops};

    #[test]
    fn prune_compacts() {
        let mut page = Page::zeroed();
        let mut o = ops::Ops::new();
        o.format(KIND_HEAP);
        ops::apply(&mut page, RelId(1), 0, o.as_bytes()).unwrap();
        for (i, text) in [b"aaaa".as_slice(), b"bb", b"cccccc", b"d"].iter().enumerate() {
            let at = upper(&page) - text.len();
            let mut o = ops::Ops::new();
            o.write(slot_at(i as u16 + 1), &encode(Slot::Normal { at, len: text.len() })).write(at, text);
            o.write(24, &((slot_at(i as u16 + 2)) as u16).to_le_bytes())
                .write(26, &(at as u16).to_le_bytes());
            ops::apply(&mut page, RelId(1), 0, o.as_bytes()).unwrap();
        }
        let mut o = ops::Ops::new();
        o.prune(&[(1, 3), (2, TO_DEAD), (4, TO_UNUSED)]);
        ops::apply(&mut page, RelId(1), 0, o.as_bytes()).unwrap();
        assert_eq!(get(&page, 1), Slot::Redirect(3));
        assert_eq!(get(&page, 2), Slot::Dead);
        assert_eq!(item(&page, 3), b"cccccc");
        assert_eq!(count(&page), 3);
        assert_eq!(upper(&page), PAGE_SIZE - 6);
    }

    /// Every combination of actions on four slots of every order of sizes: what stays keeps its bytes, and no byte is lost.
    #[test]
    fn every_prune_of_a_small_page() {
        const LENGTHS: [usize; 4] = [0, 1, 7, 300];
        let build = |order: [usize; 4]| {
            let mut page = Page::zeroed();
            page.format(KIND_HEAP, RelId(1), 0);
            init(&mut page);
            let mut at = PAGE_SIZE;
            for (slot, len) in (1u16..).zip(order.map(|i| LENGTHS[i])) {
                at -= len;
                page.put(at, &alloc::vec![slot as u8; len]);
                page.put(slot_at(slot), &encode(Slot::Normal { at, len }));
            }
            page.put(24, &(slot_at(5) as u16).to_le_bytes());
            page.put(26, &(at as u16).to_le_bytes());
            page
        };
        let orders = (0..256usize).map(|n| [n % 4, n / 4 % 4, n / 16 % 4, n / 64]);
        for order in orders.filter(|o| o.iter().fold(0, |seen, i| seen | 1 << i) == 15) {
            // 0: keep, 1: unused, 2: dead, 3 to 6: redirect to slot 1 to 4.
            for code in 0..7usize.pow(4) {
                let actions = [code % 7, code / 7 % 7, code / 49 % 7, code / 343];
                let mut page = build(order);
                let mut list = alloc::vec::Vec::new();
                for (slot, action) in (1u16..).zip(actions).filter(|(_, a)| *a != 0) {
                    let to = match action {
                        1 => TO_UNUSED,
                        2 => TO_DEAD,
                        n => n as u16 - 2,
                    };
                    list.extend_from_slice(&slot.to_le_bytes());
                    list.extend_from_slice(&to.to_le_bytes());
                }
                prune(&mut page, &list).unwrap();
                let mut items = 0;
                for (slot, action) in (1u16..).zip(actions) {
                    let expected = order[usize::from(slot) - 1];
                    match (get(&page, slot), action) {
                        (Slot::Normal { at, len }, 0) => {
                            assert_eq!(len, LENGTHS[expected]);
                            assert!(at >= upper(&page) && at + len <= PAGE_SIZE);
                            assert!(item(&page, slot).iter().all(|b| *b == slot as u8));
                            items += len;
                        }
                        (Slot::Unused, 1) | (Slot::Dead, 2) => {}
                        (Slot::Redirect(to), a) if usize::from(to) + 2 == a => {}
                        other => panic!("{order:?} {actions:?} slot {slot}: {other:?}"),
                    }
                }
                assert_eq!(upper(&page), PAGE_SIZE - items);
                let last = actions.iter().rposition(|a| *a != 1).map_or(0, |i| i + 1);
                assert_eq!(usize::from(count(&page)), last);
            }
        }
    }
}

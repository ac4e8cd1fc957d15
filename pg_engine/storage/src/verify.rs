//! Checking a volume.

use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};
use pg_btree::{KeyBound, ScanDirection};
use pg_heap::tuple;
use pg_page::{RelId, StorageError, Tid, slotted, slotted::Slot};
use pg_volume::RelationKind;

use crate::storage::{Result, Storage};

impl Storage {
    /// Checks that every page is readable (checksum and identity), that heap pages hold what they should, that indexes are in
    /// order, and that index entries lead to rows. No one may write meanwhile. For tests and administrators.
    pub fn verify(&self) -> Result<()> {
        let mut heaps: HashMap<RelId, HashSet<Tid>> = HashMap::new();
        for rel in self.engine.directory.all() {
            let mut roots = HashSet::new();
            for block in 0..rel.blocks() {
                let page = self.engine.pool.read(&rel, block)?;
                let broken = |what| StorageError::Corrupt { rel: rel.id, block, what };
                if (page.rel(), page.block()) != (rel.id, block) {
                    return Err(broken("page belongs elsewhere"));
                }
                if page.kind() != slotted::KIND_HEAP {
                    continue;
                }
                let (lower, upper) = (slotted::lower(&page), slotted::upper(&page));
                if lower < slotted::SLOTS || lower > upper || upper > pg_page::PAGE_SIZE {
                    return Err(broken("bounds of free space"));
                }
                for slot in 1..=slotted::count(&page) {
                    match slotted::get(&page, slot) {
                        Slot::Normal { at, len } if at < upper || at + len > pg_page::PAGE_SIZE => {
                            return Err(broken("item out of bounds"));
                        }
                        Slot::Normal { .. } => {
                            let (_, header, _) = tuple::at(&page, slot).ok_or(broken("item too short"))?;
                            if !header.has(tuple::HEAP_ONLY) {
                                roots.insert(Tid { block, slot });
                            }
                        }
                        Slot::Redirect(to) => {
                            if !matches!(slotted::get(&page, to), Slot::Normal { .. }) {
                                return Err(broken("redirect to nowhere"));
                            }
                            roots.insert(Tid { block, slot });
                        }
                        Slot::Dead => {
                            roots.insert(Tid { block, slot });
                        }
                        Slot::Unused => {}
                    }
                }
            }
            if rel.kind == RelationKind::Heap {
                heaps.insert(rel.id, roots);
            }
        }
        self.verify_indexes(&heaps)
    }

    fn verify_indexes(&self, heaps: &HashMap<RelId, HashSet<Tid>>) -> Result<()> {
        for rel in self.engine.directory.all() {
            let RelationKind::BTree { heap } = rel.kind else { continue };
            let open = self.opened(rel.id)?;
            let index = self.index(&open)?;
            let mut cursor = index.scan(KeyBound::Unbounded, KeyBound::Unbounded, ScanDirection::Forward);
            let mut last: Option<(Vec<u8>, Tid)> = None;
            let mut wrong = None;
            let rows = heaps.get(&heap);
            while index.next(&mut cursor, |key, tid| {
                let entry = (key.to_vec(), tid);
                if last.as_ref().is_some_and(|l| *l >= entry) {
                    wrong = Some("index entries out of order");
                }
                if rows.is_some_and(|r| !r.contains(&tid)) {
                    wrong = Some("index entry without a row");
                }
                last = Some(entry);
            })? {}
            if let Some(what) = wrong {
                return Err(StorageError::Corrupt { rel: rel.id, block: 0, what });
            }
        }
        Ok(())
    }
}

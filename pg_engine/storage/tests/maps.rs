//! Visibility and free-space maps: what they say is so, and survives a restart.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use std::sync::Arc;

use pg_storage::*;
use platform::{block::BlockDevice, memory_device::MemDevice};

fn device() -> Arc<dyn BlockDevice> {
    let d = MemDevice::new(128 << 20, 4096);
    Storage::format(&d, &FormatOptions { wal_bytes: Some(32 << 20), config: Vec::new() }).unwrap();
    Arc::new(d)
}

fn open(d: &Arc<dyn BlockDevice>) -> Arc<Storage> {
    let config = StorageConfig { buffer_pool_bytes: 8 << 20, background_tasks: false, ..Default::default() };
    Storage::open(d.clone(), config).unwrap()
}

fn fill(s: &Arc<Storage>, rows: usize) -> (RelId, Vec<Tid>) {
    let mut t = s.begin(Isolation::ReadCommitted);
    let rel = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let row = [7u8; 200];
    let rows = vec![row.as_slice(); rows];
    let mut tids = Vec::new();
    s.heap_insert_many(&mut t, rel, &rows, &mut tids).unwrap();
    t.commit().unwrap();
    (rel, tids)
}

fn marked(s: &Arc<Storage>, rel: RelId) -> Vec<u32> {
    let pages = s.visible_pages(rel).unwrap();
    (0..s.relation_stats(rel).unwrap().pages).filter(|b| pages.contains(*b)).collect()
}

#[test]
fn changes_clear_the_bit_and_vacuum_sets_it() {
    let d = device();
    let s = open(&d);
    let (rel, tids) = fill(&s, 1000);
    assert!(marked(&s, rel).is_empty());
    s.vacuum(rel).unwrap();
    let all: Vec<u32> = (0..s.relation_stats(rel).unwrap().pages).collect();
    assert_eq!(marked(&s, rel), all);
    assert_eq!(s.relation_stats(rel).unwrap().all_visible as usize, all.len());
    let stats = s.vacuum(rel).unwrap();
    assert_eq!((stats.pages, stats.skipped as usize), (0, all.len()), "nothing to look at");
    // A deletion clears the bit before it commits, and an abort leaves it cleared.
    let mut t = s.begin(Isolation::ReadCommitted);
    s.heap_delete(&mut t, rel, tids[0]).unwrap();
    assert_eq!(marked(&s, rel), all[1..]);
    t.abort();
    assert_eq!(marked(&s, rel), all[1..]);
    let mut t = s.begin(Isolation::ReadCommitted);
    s.heap_update(&mut t, rel, tids[999], &[8; 200], Touched::Nothing).unwrap();
    t.commit().unwrap();
    assert!(!marked(&s, rel).contains(&tids[999].block));
    s.vacuum(rel).unwrap();
    assert_eq!(marked(&s, rel), all);
}

#[test]
fn a_snapshot_that_sees_an_old_version_keeps_the_page_unmarked() {
    let d = device();
    let s = open(&d);
    let (rel, tids) = fill(&s, 10);
    let mut old = s.begin(Isolation::RepeatableRead);
    let snapshot = old.snapshot();
    let mut t = s.begin(Isolation::ReadCommitted);
    s.heap_update(&mut t, rel, tids[3], &[8; 200], Touched::Nothing).unwrap();
    t.commit().unwrap();
    s.vacuum(rel).unwrap();
    assert!(marked(&s, rel).is_empty());
    drop(snapshot);
    old.commit().unwrap();
    s.vacuum(rel).unwrap();
    assert_eq!(marked(&s, rel), [0]);
}

#[test]
fn scans_mark_pages() {
    let d = device();
    let s = open(&d);
    let (rel, _) = fill(&s, 100);
    // Another transaction moves the horizon.
    fill(&s, 1);
    let mut t = s.begin(Isolation::ReadCommitted);
    let snapshot = t.snapshot();
    let mut scan = s.heap_scan(rel, &snapshot, None).unwrap();
    while scan.next_page(|_, _| {}).unwrap() {}
    assert!(!marked(&s, rel).is_empty());
}

#[test]
fn bits_survive_a_crash_unless_the_page_was_changed_since() {
    let d = device();
    let s = open(&d);
    let (rel, tids) = fill(&s, 1000);
    s.vacuum(rel).unwrap();
    s.checkpoint().unwrap();
    let all = marked(&s, rel);
    let mut t = s.begin(Isolation::ReadCommitted);
    s.heap_delete(&mut t, rel, tids[500]).unwrap();
    t.commit().unwrap();
    drop(s);
    let s = open(&d);
    let left = marked(&s, rel);
    assert!(!left.contains(&tids[500].block));
    assert_eq!(left.len(), all.len() - 1);
    s.verify().unwrap();
}

#[test]
fn room_is_found_again_after_a_restart() {
    let d = device();
    let s = open(&d);
    let (rel, tids) = fill(&s, 1000);
    let mut t = s.begin(Isolation::ReadCommitted);
    for tid in tids.iter().filter(|t| t.block < 10) {
        s.heap_delete(&mut t, rel, *tid).unwrap();
    }
    t.commit().unwrap();
    s.vacuum(rel).unwrap();
    s.checkpoint().unwrap();
    let before = s.relation_stats(rel).unwrap().pages;
    drop(s);
    let s = open(&d);
    let mut t = s.begin(Isolation::ReadCommitted);
    let rows = vec![[7u8; 200].as_slice().to_vec(); 250];
    let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let mut tids = Vec::new();
    s.heap_insert_many(&mut t, rel, &rows, &mut tids).unwrap();
    t.commit().unwrap();
    assert!(tids.iter().filter(|t| t.block < 10).count() > 150);
    assert!(s.relation_stats(rel).unwrap().pages <= before + 1);
}

#[test]
fn the_fill_factor_is_heeded() {
    let d = device();
    let s = open(&d);
    let pages = |percent| {
        let mut t = s.begin(Isolation::ReadCommitted);
        let rel = s.create_relation(&mut t, RelationKind::Heap).unwrap();
        s.set_fill_factor(rel, percent).unwrap();
        let row = [7u8; 200];
        let rows = vec![row.as_slice(); 2000];
        s.heap_insert_many(&mut t, rel, &rows, &mut Vec::new()).unwrap();
        t.commit().unwrap();
        s.relation_stats(rel).unwrap().pages
    };
    let (full, half, usual) = (pages(Some(100)), pages(Some(50)), pages(None));
    assert!(full < usual && usual < half && half.abs_diff(2 * full) <= 4, "{full} {usual} {half}");
}

/// Who comes with the tid of a row that is gone does not take a large row's bytes for it.
#[test]
fn a_page_that_becomes_part_of_a_large_row_has_no_versions() {
    let d = device();
    let s = open(&d);
    let (rel, tids) = fill(&s, 20);
    let mut t = s.begin(Isolation::ReadCommitted);
    for tid in &tids {
        s.heap_delete(&mut t, rel, *tid).unwrap();
    }
    t.commit().unwrap();
    s.vacuum(rel).unwrap();
    let mut t = s.begin(Isolation::ReadCommitted);
    let large = vec![0x41; 20_000];
    let row = s.heap_insert(&mut t, rel, &large).unwrap();
    t.commit().unwrap();
    let mut t = s.begin(Isolation::ReadCommitted);
    let snapshot = t.snapshot();
    assert_eq!(s.heap_fetch(rel, row, &snapshot, |_, p| p.to_vec()).unwrap(), Some(large));
    for tid in tids.iter().filter(|t| **t != row) {
        assert_eq!(s.heap_fetch(rel, *tid, &snapshot, |_, p| p.len()).unwrap(), None);
        assert_eq!(s.heap_fetch_version(rel, *tid, |p| p.len()).unwrap(), None);
    }
}

#[test]
fn tables_are_due_for_analysis_when_they_grow() {
    let d = device();
    let s = open(&d);
    let (small, _) = fill(&s, 40);
    assert!(!s.due_for_analyze().contains(&small));
    let (rel, _) = fill(&s, 500);
    assert!(s.due_for_analyze().contains(&rel));
    s.note_analyzed(rel, true);
    assert!(!s.due_for_analyze().contains(&rel));
    let mut t = s.begin(Isolation::ReadCommitted);
    let row = [1u8; 20];
    s.heap_insert_many(&mut t, rel, &vec![row.as_slice(); 700], &mut Vec::new()).unwrap();
    assert!(!s.due_for_analyze().contains(&rel), "not before the commit");
    t.commit().unwrap();
    assert!(s.due_for_analyze().contains(&rel));
}

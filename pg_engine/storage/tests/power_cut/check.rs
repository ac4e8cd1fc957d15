//! The oracle: what is on the disk must be what the clients know, no more and no less.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pg_storage::*;
use platform::{block::BlockDevice, memory_device::MemDevice};

use crate::{
    ddl::object_key,
    known::{Backup, Known, know},
    workload::{ACCOUNTS, Client, GROUPED, balance, group_key, pointer},
};

/// Rows a new snapshot sees.
fn visible(s: &Arc<Storage>, rel: RelId) -> Vec<(Tid, Vec<u8>)> {
    let snapshot = s.begin(Isolation::ReadCommitted).snapshot();
    let mut scan = s.heap_scan(rel, &snapshot, None).unwrap();
    let mut rows = Vec::new();
    while scan.next_page(|tid, p| rows.push((tid, p.to_vec()))).unwrap() {}
    rows
}

/// Every visible row is found by its key, once.
fn check_index(s: &Arc<Storage>, index: RelId, heap: RelId, rows: &[(Tid, Vec<u8>)], key_len: usize) {
    let snapshot = s.begin(Isolation::ReadCommitted).snapshot();
    for (tid, row) in rows {
        let mut tids = Vec::new();
        s.index_lookup(index, &row[..key_len], &mut tids).unwrap();
        let seen: Vec<Tid> =
            tids.iter().filter_map(|t| s.heap_fetch(heap, *t, &snapshot, |tid, _| tid).unwrap()).collect();
        assert_eq!(seen, [*tid], "row {:?} by its key", &row[..key_len]);
    }
}

impl Client {
    /// Checks everything. No one else is at work. `cut`: the machine died since the last check.
    pub fn check(&self, cut: bool) {
        let present = self.consistent();
        let prepared: Vec<u64> = self.s.prepared().iter().map(|p| p.name.parse().unwrap()).collect();
        know(&self.known).compare(&present, &prepared, cut);
        self.check_objects();
        let pages = self.s.relation_stats(self.tables.groups_key).unwrap().pages;
        let mut k = know(&self.known);
        k.did("checks of everything");
        *k.tally.entry("pages of hash indexes checked").or_default() += u64::from(pages);
    }

    /// Checks that everything fits together. Gives the operations that are there.
    fn consistent(&self) -> BTreeSet<u64> {
        let Self { s, tables, .. } = self;
        s.verify().unwrap();
        let accounts = visible(s, tables.accounts);
        assert_eq!(accounts.len(), ACCOUNTS as usize);
        let mut balances: BTreeMap<u32, i64> = accounts.iter().map(|(_, p)| balance(p)).collect();
        assert_eq!(balances.values().sum::<i64>(), 0, "sum of balances");
        let history = visible(s, tables.history);
        let mut present = BTreeSet::new();
        for (_, row) in &history {
            let at = |i: usize| u32::from_le_bytes(row[i..i + 4].try_into().unwrap());
            let amount = i64::from_le_bytes(row[16..24].try_into().unwrap());
            *balances.get_mut(&at(8)).unwrap() += amount;
            *balances.get_mut(&at(12)).unwrap() -= amount;
            present.insert(u64::from_be_bytes(row[..8].try_into().unwrap()));
        }
        assert!(balances.values().all(|b| *b == 0), "balances do not follow from the history: {balances:?}");
        let churn = visible(s, tables.churn);
        let mut kinds: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let mut grouped = BTreeSet::new();
        for (_, row) in &churn {
            let op = u64::from_be_bytes(row[..8].try_into().unwrap());
            if row[8] == b'c' && row.len() == 9 + GROUPED {
                grouped.insert(op);
            }
            kinds.entry(op).or_default().push(row[8]);
            assert!(self.is_whole(row).unwrap());
        }
        // The chunks that are there are those of the values that rows point to.
        let wanted: BTreeSet<u32> = churn.iter().filter_map(|(_, row)| pointer(row)).map(|p| p.id).collect();
        let chunks = visible(s, tables.large);
        let id = |row: &[u8]| u32::from_le_bytes(row[2..6].try_into().unwrap());
        let there: BTreeSet<u32> = chunks.iter().map(|(_, row)| id(row)).collect();
        assert_eq!(there, wanted, "large values");
        for (op, mut k) in kinds {
            k.sort_unstable();
            assert_eq!(k, b"ac", "rows of churn {op:x}");
            present.insert(op);
        }
        check_index(s, tables.accounts_key, tables.accounts, &accounts, 4);
        check_index(s, tables.history_key, tables.history, &history, 8);
        check_index(s, tables.churn_key, tables.churn, &churn, 9);
        self.check_groups(&grouped);
        present
    }

    /// Takes a backup while others work. What a bad disk or a log that went on too fast keeps it from is no one's loss.
    pub fn back_up(&self) -> Result<(), StorageError> {
        let must = know(&self.known).durable();
        let mut bytes = Vec::new();
        let done = pg_backup::back_up(&self.s, "", &mut |frame: &[u8]| {
            bytes.extend_from_slice(frame);
            Ok::<(), ()>(())
        });
        let mut k = know(&self.known);
        match done {
            Ok(_) => {
                let may = k.committing();
                k.did("backups");
                k.backups.push(Backup { bytes, must, may });
                Ok(())
            }
            Err(pg_backup::BackupError::Storage(e)) => Err(e),
            Err(_) => Ok(()),
        }
    }

    /// Restores the last backup to another disk.
    pub fn restore(&self) {
        let Some(backup) = know(&self.known).backups.pop() else { return };
        let image: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(20 << 20, 4096));
        let input: Arc<dyn pg_backup::Input> = Arc::new(backup.bytes.into_boxed_slice());
        pg_backup::restore(input, &[], image.clone(), pg_backup::Until::End, 1 << 20).unwrap();
        let config = StorageConfig { background_tasks: false, ..StorageConfig::default() };
        let s = Storage::open(image, StorageConfig { buffer_pool_bytes: 64 * 8192, ..config }).unwrap();
        let restored = Self { s, known: Arc::default(), ..self.clone() };
        let present = restored.consistent();
        let lost: Vec<_> = backup.must.difference(&present).collect();
        assert!(lost.is_empty(), "acknowledged before the backup and not in it: {lost:x?}");
        let odd: Vec<_> = present.difference(&backup.may).collect();
        assert!(odd.is_empty(), "in the backup and not asked for: {odd:x?}");
        know(&self.known).did("backups restored");
    }

    /// Of each group all rows are there, and by its key exactly those that have it.
    fn check_groups(&self, grouped: &BTreeSet<u64>) {
        let Self { s, tables, .. } = self;
        let mut groups: BTreeMap<u64, (u16, u16)> = BTreeMap::new();
        let mut keys: BTreeMap<Vec<u8>, Vec<Tid>> = BTreeMap::new();
        for (tid, row) in visible(s, tables.groups) {
            let group = groups.entry(u64::from_be_bytes(row[1..9].try_into().unwrap())).or_default();
            *group = (u16::from_be_bytes(row[9..11].try_into().unwrap()), group.1 + 1);
            keys.entry(group_key(&row).to_vec()).or_default().push(tid);
        }
        let parts: Vec<_> = groups.iter().filter(|(_, (of, n))| of != n).collect();
        assert!(parts.is_empty(), "parts of groups: {parts:x?}");
        assert!(groups.keys().eq(grouped), "groups and the operations that made them");
        let snapshot = s.begin(Isolation::ReadCommitted).snapshot();
        for (key, want) in keys {
            let mut tids = Vec::new();
            s.index_lookup(tables.groups_key, &key, &mut tids).unwrap();
            let same = |tid: &Tid| {
                let found = s.heap_fetch(tables.groups, *tid, &snapshot, |_, row| group_key(row) == key);
                found.unwrap() == Some(true)
            };
            tids.retain(same);
            assert_eq!(tids, want, "rows by the key of a group");
        }
    }

    fn check_objects(&self) {
        let Self { s, tables, known, .. } = self;
        let objects = self.objects(&mut s.begin(Isolation::ReadCommitted)).unwrap();
        let mut k = know(known);
        let mut relations: BTreeSet<RelId> = s.relations().into_iter().map(|r| r.0).collect();
        let t = tables;
        let fixed = [t.accounts, t.accounts_key, t.history, t.history_key, t.churn, t.churn_key, t.objects];
        for fixed in fixed.into_iter().chain([t.large, t.large_key, t.groups, t.groups_key]) {
            assert!(relations.remove(&fixed), "relation {} is gone", fixed.0);
        }
        for (_, o) in &objects {
            let rows = visible(s, o.heap);
            assert_eq!(rows.len(), o.rows as usize, "rows of object {:x}", o.name);
            for (_, row) in &rows {
                assert!(row[4..].iter().all(|b| *b == row[3]), "a row of object {:x}", o.name);
            }
            let keys: BTreeSet<&[u8]> = rows.iter().map(|r| &r.1[..4]).collect();
            let expected: Vec<[u8; 4]> = (0..o.rows).map(object_key).collect();
            assert!(keys.into_iter().eq(expected.iter().map(|k| &k[..])), "keys of object {:x}", o.name);
            check_index(s, o.index, o.heap, &rows, 4);
            assert!(relations.remove(&o.heap) && relations.remove(&o.index), "storage of {:x}", o.name);
        }
        let extra = extra(s, &k);
        relations.retain(|r| Some(*r) != extra);
        assert!(relations.is_empty(), "relations without an object: {relations:?}");
        let found: BTreeMap<u64, u32> = objects.iter().map(|(_, o)| (o.name, o.rows)).collect();
        let names: Vec<u64> = k.objects.keys().chain(found.keys()).copied().collect();
        for name in names {
            let state = found.get(&name).copied();
            let may_be = k.objects.get(&name).is_some_and(|s| s.contains(&state));
            assert!(may_be, "object {name:x} is {state:?} and may be {:?}", k.objects.get(&name));
            k.object_is(name, state);
        }
    }

    /// CREATE INDEX over rows that are there, and DROP of the one before; all or nothing. Done while no one writes; what it holds is
    /// checked at once, and goes stale after that, which is no one's loss.
    pub fn rebuild(&self) {
        let Self { s, tables, known, .. } = self;
        let before = extra(s, &know(known));
        // The numbers of those that were lost are given out again.
        know(known).extra.retain(|r| Some(*r) == before);
        let mut t = s.begin(Isolation::ReadCommitted);
        let index = s.create_relation(&mut t, RelationKind::BTree { heap: tables.accounts }).unwrap();
        let mut entries = Vec::new();
        s.heap_scan_for_index(tables.accounts, |tid, row| {
            let (id, amount) = balance(row);
            entries.push((extra_key(id, amount), tid, true));
        })
        .unwrap();
        entries.sort();
        let built = s.index_build(&mut t, index, &mut entries.into_iter(), true).unwrap();
        assert_eq!(built, IndexInsert::Done);
        if let Some(old) = before {
            s.drop_relation(&mut t, old).unwrap();
        }
        know(known).extra.push(index);
        t.commit().unwrap();
        know(known).did("indexes built");
        let index = extra(s, &know(known)).expect("the index that was just made");
        let snapshot = s.begin(Isolation::ReadCommitted).snapshot();
        for (tid, row) in visible(s, tables.accounts) {
            let (id, amount) = balance(&row);
            let mut tids = Vec::new();
            s.index_lookup(index, &extra_key(id, amount), &mut tids).unwrap();
            let found = |t: &Tid| s.heap_fetch(tables.accounts, *t, &snapshot, |tid, _| tid).unwrap();
            assert_eq!(tids.iter().filter_map(found).collect::<Vec<_>>(), [tid], "account {id} by amount");
        }
    }
}

fn extra_key(id: u32, amount: i64) -> Vec<u8> {
    let mut key = ((amount as u64) ^ (1 << 63)).to_be_bytes().to_vec();
    key.extend_from_slice(&id.to_be_bytes());
    key
}

/// The one index of those that exists.
fn extra(s: &Arc<Storage>, known: &Known) -> Option<RelId> {
    let there: Vec<RelId> =
        s.relations().into_iter().map(|r| r.0).filter(|r| known.extra.contains(r)).collect();
    assert!(there.len() <= 1, "an index and its successor are both there: {there:?}");
    there.first().copied()
}

//! What the clients do.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use pg_storage::*;
use pg_toast::{Place, ToastError, chunks};
use pg_types::tuple::External;
use platform::task;

use crate::known::{Known, Tables, know};

pub const ACCOUNTS: u32 = 30;
pub const WORKERS: u64 = 4;
const OPERATIONS: u64 = 15;

pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// One client's view of the world.
#[derive(Clone)]
pub struct Client {
    pub s: Arc<Storage>,
    pub known: Arc<Mutex<Known>>,
    pub tables: Tables,
    pub long_groups: bool,
}

fn account(id: u32, balance: i64) -> Vec<u8> {
    let mut v = id.to_be_bytes().to_vec();
    v.extend_from_slice(&balance.to_le_bytes());
    v.extend_from_slice(&[0xaa; 60]);
    v
}

/// Length of a row of churn that says that there is a group.
pub const GROUPED: usize = 51;

/// Operation, number, how many there are, whether all have one key.
fn group_row(op: u64, n: u16, rows: u16, same: bool) -> Vec<u8> {
    let mut row = vec![u8::from(same)];
    row.extend_from_slice(&op.to_be_bytes());
    row.extend_from_slice(&rows.to_be_bytes());
    row.extend_from_slice(&n.to_be_bytes());
    row
}

pub fn group_key(row: &[u8]) -> &[u8] {
    if row[0] == 1 { &row[..9] } else { row }
}

pub fn balance(payload: &[u8]) -> (u32, i64) {
    (
        u32::from_be_bytes(payload[..4].try_into().unwrap()),
        i64::from_le_bytes(payload[4..12].try_into().unwrap()),
    )
}

/// Marks a row of churn whose bytes lie elsewhere.
const ELSEWHERE: u8 = 0xee;

/// The value that a row of churn points to.
pub fn pointer(row: &[u8]) -> Option<External> {
    let number = |i: usize| u32::from_le_bytes(row[i..i + 4].try_into().unwrap());
    let is_pointer = row.len() == 18 && row[9] == ELSEWHERE;
    is_pointer.then(|| External { id: number(10), raw: number(14), stored: number(14), compressed: false })
}

fn storage_error(e: ToastError) -> StorageError {
    match e {
        ToastError::Storage(e) => e,
        e => panic!("large value: {e}"),
    }
}

/// Makes the tables, unless an earlier life did so and died before it could tell.
pub fn create(s: &Arc<Storage>, known: &Mutex<Known>) -> Result<Tables, StorageError> {
    let made = know(known).making;
    if let Some(tables) = made
        && s.relation_kind(tables.objects).is_ok()
    {
        return Ok(tables);
    }
    let mut t = s.begin(Isolation::ReadCommitted);
    let mut pair = || -> Result<_, StorageError> {
        let heap = s.create_relation(&mut t, RelationKind::Heap)?;
        Ok((heap, s.create_relation(&mut t, RelationKind::BTree { heap })?))
    };
    let ((accounts, accounts_key), (history, history_key), (churn, churn_key)) = (pair()?, pair()?, pair()?);
    let (large, large_key) = pair()?;
    let objects = s.create_relation(&mut t, RelationKind::Heap)?;
    let groups = s.create_relation(&mut t, RelationKind::Heap)?;
    let groups_key = s.create_relation(&mut t, RelationKind::Hash { heap: groups })?;
    for id in 0..ACCOUNTS {
        let tid = s.heap_insert(&mut t, accounts, &account(id, 0))?;
        s.index_insert(&mut t, accounts_key, &id.to_be_bytes(), tid, Unique::Yes)?;
    }
    let tables = Tables {
        accounts,
        accounts_key,
        history,
        history_key,
        churn,
        churn_key,
        large,
        large_key,
        groups,
        groups_key,
        objects,
    };
    know(known).making = Some(tables);
    t.commit()?;
    Ok(tables)
}

impl Client {
    /// Asks for a commit and notes what came of it.
    pub fn commit(&self, mut t: Transaction, op: u64, awaited: bool) -> Result<(), StorageError> {
        t.set_async_commit(!awaited);
        if !op.is_multiple_of(4) {
            t.let_others_go_on();
        }
        know(&self.known).asked(op, awaited);
        t.commit()?;
        know(&self.known).acknowledged(op);
        Ok(())
    }

    /// Adds to an account, following concurrent updates as READ COMMITTED does.
    fn add(&self, t: &mut Transaction, id: u32, delta: i64, hot: bool) -> Result<(), StorageError> {
        let Self { s, tables, .. } = self;
        let mut tids = Vec::new();
        let snapshot = t.snapshot();
        s.index_lookup(tables.accounts_key, &id.to_be_bytes(), &mut tids)?;
        let mut found = None;
        for tid in tids {
            if let Some(f) = s.heap_fetch(tables.accounts, tid, &snapshot, |tid, p| (tid, balance(p)))? {
                assert!(found.is_none(), "account {id} is there twice");
                found = Some(f);
            }
        }
        let (mut tid, (_, mut old)) = found.expect("an account is missing");
        let touched = if hot { Touched::Nothing } else { Touched::Indexed };
        loop {
            match s.heap_update(t, tables.accounts, tid, &account(id, old + delta), touched)? {
                RowOutcome::Done { tid, hot } => {
                    if !hot {
                        s.index_insert(t, tables.accounts_key, &id.to_be_bytes(), tid, Unique::Yes)?;
                    }
                    t.next_command();
                    return Ok(());
                }
                RowOutcome::ConcurrentlyUpdated { latest } => {
                    tid = latest;
                    old = s.heap_fetch_version(tables.accounts, tid, balance)?.expect("latest version").1;
                }
                other => panic!("account {id}: {other:?}"),
            }
        }
    }

    /// Locks an account in some mode; the version may have been replaced since, which is all right.
    fn lock(&self, t: &mut Transaction, r: &mut Random, id: u32) -> Result<(), StorageError> {
        let Self { s, tables, .. } = self;
        let mode =
            [RowLock::KeyShare, RowLock::Share, RowLock::NoKeyUpdate, RowLock::Update][r.below(4) as usize];
        let mut tids = Vec::new();
        let snapshot = t.snapshot();
        s.index_lookup(tables.accounts_key, &id.to_be_bytes(), &mut tids)?;
        for tid in tids {
            if let Some(tid) = s.heap_fetch(tables.accounts, tid, &snapshot, |tid, _| tid)? {
                s.heap_lock(t, tables.accounts, tid, mode, WaitPolicy::Block)?;
            }
        }
        Ok(())
    }

    /// Moves money and writes it down. False: rolled back.
    fn transfer(&self, r: &mut Random, op: u64) -> Result<bool, StorageError> {
        let Self { s, tables, .. } = self;
        let mut t = s.begin(Isolation::ReadCommitted);
        let (from, to) = (r.below(u64::from(ACCOUNTS)) as u32, r.below(u64::from(ACCOUNTS)) as u32);
        let amount = r.below(100) as i64;
        if r.one_in(3) {
            self.lock(&mut t, r, to)?;
        }
        let counts_only = !r.one_in(4);
        if counts_only {
            t.set_counts_only();
        }
        self.add(&mut t, from, -amount, !r.one_in(4))?;
        if r.one_in(4) {
            self.look(&mut t)?;
        }
        if r.one_in(6) {
            // What is done in a savepoint and undone leaves nothing behind.
            let savepoint = t.begin_sub();
            self.add(&mut t, to, 1_000_000, r.one_in(2))?;
            t.rollback_to(savepoint)?;
            t.release_sub(savepoint)?;
        }
        if counts_only {
            t.set_counts_only();
        }
        self.add(&mut t, to, amount, !r.one_in(4))?;
        let mut row = op.to_be_bytes().to_vec();
        row.extend_from_slice(&from.to_le_bytes());
        row.extend_from_slice(&to.to_le_bytes());
        row.extend_from_slice(&amount.to_le_bytes());
        let tid = s.heap_insert(&mut t, tables.history, &row)?;
        assert_eq!(
            s.index_insert(&mut t, tables.history_key, &op.to_be_bytes(), tid, Unique::Yes)?,
            IndexInsert::Done
        );
        if r.one_in(10) {
            t.abort();
            return Ok(false);
        }
        if r.one_in(6) {
            return self.in_two_phases(r, t, op);
        }
        self.commit(t, op, !r.one_in(3))?;
        know(&self.known).did("transfers");
        Ok(true)
    }

    /// Transfers that a client was shown must last.
    fn look(&self, t: &mut Transaction) -> Result<(), StorageError> {
        let snapshot = t.snapshot();
        let mut scan = self.s.heap_scan(self.tables.history, &snapshot, None)?;
        let mut seen = Vec::new();
        while scan.next_page(|_, row| seen.extend(row.first_chunk().map(|b| u64::from_be_bytes(*b))))? {}
        let mut k = know(&self.known);
        seen.into_iter().for_each(|op| k.seen(op));
        Ok(())
    }

    /// Prepares, lets others go on, and then ends the transaction or leaves it to the next life.
    fn in_two_phases(&self, r: &mut Random, t: Transaction, op: u64) -> Result<bool, StorageError> {
        self.s.prepare(t, &op.to_string(), b"")?;
        {
            let mut k = know(&self.known);
            k.did("transfers prepared");
            k.prepared.insert(op);
        }
        task::sleep(Duration::from_micros(r.below(300)));
        self.finish(op, !r.one_in(4))
    }

    fn finish(&self, op: u64, commit: bool) -> Result<bool, StorageError> {
        let mut k = know(&self.known);
        k.prepared.remove(&op);
        if commit {
            k.asked(op, true);
        }
        drop(k);
        let there = self.s.finish_prepared(&op.to_string(), commit, |_| true)?;
        assert!(there, "prepared transfer {op:x} is gone");
        if commit {
            know(&self.known).acknowledged(op);
        }
        Ok(commit)
    }

    /// What was prepared in an earlier life and not ended is ended now.
    pub fn finish_all(&self, r: &mut Random) {
        let found: Vec<u64> = self.s.prepared().iter().map(|p| p.name.parse().unwrap()).collect();
        {
            let k = know(&self.known);
            let lost: Vec<_> = k.prepared.iter().filter(|op| !found.contains(op)).collect();
            assert!(lost.is_empty(), "prepared and gone: {lost:x?}");
            let wrong: Vec<_> = found.iter().filter(|op| k.is_over(**op)).collect();
            assert!(wrong.is_empty(), "ended and back: {wrong:x?}");
        }
        for op in found {
            if !self.finish(op, r.one_in(2)).unwrap() {
                know(&self.known).undone(op);
            }
        }
        assert!(self.s.prepared().is_empty());
    }

    pub fn place(&self) -> Place {
        Place { heap: self.tables.large, index: self.tables.large_key }
    }

    /// Writes a large value; gives what its row holds.
    fn put_large(&self, t: &mut Transaction, key: &[u8], len: usize) -> Result<Vec<u8>, StorageError> {
        let value = vec![key[8]; len];
        let id = chunks::write(&self.s, t, self.place(), &value, &mut || Ok(())).map_err(storage_error)?;
        let mut row = key.to_vec();
        row.push(ELSEWHERE);
        row.extend_from_slice(&id.to_le_bytes());
        row.extend_from_slice(&(len as u32).to_le_bytes());
        know(&self.known).did("large values");
        Ok(row)
    }

    /// Are the bytes of a row of churn, or of its large value, what they were made of?
    pub fn is_whole(&self, row: &[u8]) -> Result<bool, StorageError> {
        match pointer(row) {
            None => Ok(row[9..].iter().all(|b| *b == row[8])),
            Some(p) => {
                let value = chunks::read(&self.s, self.place(), &p, &mut || Ok(())).map_err(storage_error)?;
                Ok(value.iter().all(|b| *b == row[8]))
            }
        }
    }

    /// Rows of an operation: 'a' and 'c' stay, 'b' is rolled back to a savepoint.
    fn churn(&self, r: &mut Random, op: u64) -> Result<bool, StorageError> {
        let Self { s, tables, .. } = self;
        let mut t = s.begin(Isolation::ReadCommitted);
        let put = |t: &mut Transaction, kind: u8, len: usize, elsewhere: bool| {
            let mut key = op.to_be_bytes().to_vec();
            key.push(kind);
            let row = match elsewhere {
                true => self.put_large(t, &key, len)?,
                false => {
                    let mut row = key.clone();
                    row.resize(9 + len, kind);
                    row
                }
            };
            let tid = s.heap_insert(t, tables.churn, &row)?;
            s.index_insert(t, tables.churn_key, &key, tid, Unique::Yes)?;
            Ok::<_, StorageError>((tid, row))
        };
        let elsewhere = r.one_in(3);
        let len = if elsewhere || r.one_in(12) { 9000 + r.below(12_000) } else { r.below(4000) } as usize;
        let (tid, row) = put(&mut t, b'a', len, elsewhere)?;
        if let Some(old) = pointer(&row).filter(|_| r.one_in(2)) {
            // Another value takes its place.
            t.next_command();
            let new = self.put_large(&mut t, &row[..9], len / 2)?;
            let done = s.heap_update(&mut t, tables.churn, tid, &new, Touched::Nothing)?;
            if let RowOutcome::Done { tid, hot: false } = done {
                s.index_insert(&mut t, tables.churn_key, &row[..9], tid, Unique::No)?;
            }
            chunks::delete(s, &mut t, self.place(), old.id, &mut || Ok(())).map_err(storage_error)?;
            know(&self.known).did("large values replaced");
        }
        let grouped = self.long_groups || r.one_in(3);
        if grouped {
            self.group(&mut t, r, op)?;
        }
        let savepoint = t.begin_sub();
        put(&mut t, b'b', 30, elsewhere)?;
        if r.one_in(8) {
            self.group(&mut t, r, !op)?;
        }
        if r.one_in(3) {
            let scratch = s.create_relation(&mut t, RelationKind::Heap)?;
            s.heap_insert(&mut t, scratch, &[7; 3000])?;
            if r.one_in(2) {
                s.drop_relation(&mut t, scratch)?;
            }
        }
        t.rollback_to(savepoint)?;
        put(&mut t, b'c', if grouped { GROUPED } else { 50 }, false)?;
        t.release_sub(savepoint)?;
        self.commit(t, op, !r.one_in(3))?;
        know(&self.known).did("churns");
        Ok(true)
    }

    /// Many small rows, some with one key: buckets of the hash index get several pages and are split.
    fn group(&self, t: &mut Transaction, r: &mut Random, op: u64) -> Result<(), StorageError> {
        let Self { s, tables, .. } = self;
        let (rows, same) = (20 + r.below(if self.long_groups { 800 } else { 280 }) as u16, r.one_in(2));
        for n in 0..rows {
            let row = group_row(op, n, rows, same);
            let tid = s.heap_insert(t, tables.groups, &row)?;
            s.index_insert(t, tables.groups_key, group_key(&row), tid, Unique::No)?;
        }
        know(&self.known).did("groups in the hash index");
        Ok(())
    }

    /// What a snapshot shows adds up, whatever others are doing.
    fn audit(&self) -> Result<(), StorageError> {
        let Self { s, tables, .. } = self;
        let mut t = s.begin(Isolation::RepeatableRead);
        let snapshot = t.snapshot();
        let (mut sum, mut accounts) = (0, 0);
        let mut scan = s.heap_scan(tables.accounts, &snapshot, None)?;
        while scan.next_page(|_, row| {
            sum += balance(row).1;
            accounts += 1;
        })? {}
        assert_eq!((accounts, sum), (ACCOUNTS, 0), "accounts and their sum in a snapshot");
        let mut scan = s.heap_scan(tables.churn, &snapshot, None)?;
        let mut kinds = [0, 0];
        let mut rows = Vec::new();
        while scan.next_page(|_, row| rows.push(row.to_vec()))? {}
        for row in &rows {
            assert!(self.is_whole(row)?, "a torn row");
            kinds[usize::from(row[8] == b'c')] += 1;
        }
        assert_eq!(kinds[0], kinds[1], "rows of churn in a snapshot");
        self.look(&mut t)?;
        t.commit()?;
        know(&self.known).did("audits");
        Ok(())
    }

    /// Fifteen operations. `bad_pages`: reading may meet damage, which must be noticed.
    pub fn work(&self, (worker, run, seed): (u64, u64, u64), bad_pages: bool) {
        let mut r = Random(seed ^ (worker << 32) ^ (run << 40));
        for i in 0..OPERATIONS {
            let op = (run << 32) | (worker << 16) | i;
            let done = match r.below(8) {
                0 | 1 => self.churn(&mut r, op | 1 << 60),
                2 | 3 if r.one_in(2) => self.ddl(&mut r, worker, op).map(|()| true),
                2 | 3 => self.audit().map(|()| true),
                _ => self.transfer(&mut r, op),
            };
            match done {
                Ok(true) => {}
                Ok(false) => {
                    let mut k = know(&self.known);
                    k.did("transfers rolled back");
                    k.undone(op);
                }
                // Only this operation fails, and nothing of it stays.
                Err(
                    StorageError::Deadlock(_)
                    | StorageError::Canceled
                    | StorageError::Read { .. }
                    | StorageError::LogFull(_)
                    | StorageError::OutOfBuffers,
                ) => self.failed(op),
                Err(StorageError::Corrupt { .. }) if bad_pages => self.failed(op),
                Err(e) => panic!("operation {op:x}: {e}"),
            }
        }
    }

    fn failed(&self, op: u64) {
        let mut k = know(&self.known);
        k.did("operations failed");
        for op in [op, op | 1 << 60] {
            k.undone(op);
        }
    }
}

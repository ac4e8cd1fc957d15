//! After a power cut at any point every acknowledged commit is there and nothing unacknowledged is half there.
//!
//! Runs on the simulated platform only: `RUSTFLAGS='--cfg intralith_platform="simulated"' cargo test -p pg_storage`.
//! A failing seed is printed; `SEED=n` runs that one alone.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking
#![cfg(intralith_platform = "simulated")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pg_storage::*;
use platform::{
    block::BlockDevice,
    bug::Bug,
    simulated::{
        Outcome, Report,
        disk::{Faults, SimDisk},
        simulate_with,
    },
    task,
};

const ACCOUNTS: u32 = 30;
const WORKERS: u64 = 4;
const OPERATIONS: u64 = 15;

/// What the clients know, across machine deaths.
#[derive(Default)]
struct Known {
    /// The relations, once their creation was acknowledged.
    tables: Option<Tables>,
    /// Transfers and churn whose commit was acknowledged.
    acknowledged: BTreeSet<u64>,
    /// Indexes of the accounts, one of which counts: the last whose creation was acknowledged, or one after it.
    extra: Vec<RelId>,
    /// Transfers that are prepared and that no one has begun to end.
    prepared: BTreeSet<u64>,
    /// Those of them whose rollback was acknowledged.
    undone: BTreeSet<u64>,
    /// Lives so far.
    runs: u64,
}

#[derive(Clone, Copy)]
struct Tables {
    accounts: RelId,
    accounts_key: RelId,
    history: RelId,
    history_key: RelId,
    churn: RelId,
    churn_key: RelId,
}

#[derive(Clone, Copy)]
struct Plan {
    sector: usize,
    atomic: u32,
    read_errors: u64,
    misreads: u64,
    slow_flushes: bool,
    bug: Option<Bug>,
    lying_cache: bool,
    lying_atomic: bool,
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// The power may have gone while someone held it.
fn know(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn account(id: u32, balance: i64) -> Vec<u8> {
    let mut v = id.to_be_bytes().to_vec();
    v.extend_from_slice(&balance.to_le_bytes());
    v.extend_from_slice(&[0xaa; 60]);
    v
}

fn balance(payload: &[u8]) -> (u32, i64) {
    (
        u32::from_be_bytes(payload[..4].try_into().unwrap()),
        i64::from_le_bytes(payload[4..12].try_into().unwrap()),
    )
}

fn create(s: &Arc<Storage>) -> Result<Tables, StorageError> {
    let mut t = s.begin(Isolation::ReadCommitted);
    let mut pair = || -> Result<_, StorageError> {
        let heap = s.create_relation(&mut t, RelationKind::Heap)?;
        Ok((heap, s.create_relation(&mut t, RelationKind::BTree { heap })?))
    };
    let ((accounts, accounts_key), (history, history_key), (churn, churn_key)) = (pair()?, pair()?, pair()?);
    for id in 0..ACCOUNTS {
        let tid = s.heap_insert(&mut t, accounts, &account(id, 0))?;
        s.index_insert(&mut t, accounts_key, &id.to_be_bytes(), tid, Unique::Yes)?;
    }
    t.commit()?;
    Ok(Tables { accounts, accounts_key, history, history_key, churn, churn_key })
}

/// Adds to an account, following concurrent updates as READ COMMITTED does.
fn add(
    s: &Arc<Storage>,
    t: &mut Transaction,
    tables: &Tables,
    id: u32,
    delta: i64,
    hot: bool,
) -> Result<(), StorageError> {
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
fn lock(
    s: &Arc<Storage>,
    t: &mut Transaction,
    r: &mut Random,
    tables: &Tables,
    id: u32,
) -> Result<(), StorageError> {
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

fn transfer(
    s: &Arc<Storage>,
    known: &Mutex<Known>,
    r: &mut Random,
    tables: &Tables,
    op: u64,
) -> Result<(), StorageError> {
    let mut t = s.begin(Isolation::ReadCommitted);
    let (from, to) = (r.below(u64::from(ACCOUNTS)) as u32, r.below(u64::from(ACCOUNTS)) as u32);
    let amount = r.below(100) as i64;
    if r.below(3) == 0 {
        lock(s, &mut t, r, tables, to)?;
    }
    add(s, &mut t, tables, from, -amount, r.below(4) != 0)?;
    add(s, &mut t, tables, to, amount, r.below(4) != 0)?;
    let mut row = op.to_be_bytes().to_vec();
    row.extend_from_slice(&from.to_le_bytes());
    row.extend_from_slice(&to.to_le_bytes());
    row.extend_from_slice(&amount.to_le_bytes());
    let tid = s.heap_insert(&mut t, tables.history, &row)?;
    assert_eq!(
        s.index_insert(&mut t, tables.history_key, &op.to_be_bytes(), tid, Unique::Yes)?,
        IndexInsert::Done
    );
    if r.below(10) == 0 {
        t.abort();
        return Err(StorageError::Canceled);
    }
    if r.below(6) == 0 {
        return in_two_phases(s, known, r, t, op);
    }
    t.commit()
}

/// Prepares, lets others go on, and then ends the transaction or leaves it to the next life.
fn in_two_phases(
    s: &Arc<Storage>,
    known: &Mutex<Known>,
    r: &mut Random,
    t: Transaction,
    op: u64,
) -> Result<(), StorageError> {
    s.prepare(t, &op.to_string(), b"")?;
    know(known).prepared.insert(op);
    task::sleep(Duration::from_micros(r.below(300)));
    finish(s, known, op, r.below(4) != 0)
}

fn finish(s: &Arc<Storage>, known: &Mutex<Known>, op: u64, commit: bool) -> Result<(), StorageError> {
    know(known).prepared.remove(&op);
    assert!(s.finish_prepared(&op.to_string(), commit, |_| true)?, "prepared transfer {op:x} is gone");
    if commit {
        return Ok(());
    }
    know(known).undone.insert(op);
    Err(StorageError::Canceled)
}

/// What was prepared in an earlier life and not ended is ended now.
fn finish_all(s: &Arc<Storage>, known: &Mutex<Known>, r: &mut Random) {
    let found: BTreeSet<u64> = s.prepared().iter().map(|p| p.name.parse().unwrap()).collect();
    let (lost, wrong) = {
        let k = know(known);
        let lost: Vec<u64> = k.prepared.difference(&found).copied().collect();
        let over = |op: &&u64| k.acknowledged.contains(op) || k.undone.contains(op);
        let wrong: Vec<u64> = found.iter().filter(over).copied().collect();
        (lost, wrong)
    };
    assert!(lost.is_empty(), "prepared and gone: {lost:x?}");
    assert!(wrong.is_empty(), "ended and back: {wrong:x?}");
    for op in found {
        if finish(s, known, op, r.below(2) == 0).is_ok() {
            know(known).acknowledged.insert(op);
        }
    }
    assert!(s.prepared().is_empty());
}

/// Rows of an operation: 'a' and 'c' stay, 'b' is rolled back to a savepoint. Deletes another operation's 'a'.
fn churn(s: &Arc<Storage>, r: &mut Random, tables: &Tables, op: u64) -> Result<(), StorageError> {
    let mut t = s.begin(Isolation::ReadCommitted);
    let put = |t: &mut Transaction, kind: u8, len: usize| {
        let mut key = op.to_be_bytes().to_vec();
        key.push(kind);
        let mut row = key.clone();
        row.resize(9 + len, kind);
        let tid = s.heap_insert(t, tables.churn, &row)?;
        s.index_insert(t, tables.churn_key, &key, tid, Unique::Yes)
    };
    let len = if r.below(12) == 0 { 9000 + r.below(12_000) } else { r.below(600) } as usize;
    put(&mut t, b'a', len)?;
    let savepoint = t.begin_sub();
    put(&mut t, b'b', 30)?;
    if r.below(3) == 0 {
        let scratch = s.create_relation(&mut t, RelationKind::Heap)?;
        s.heap_insert(&mut t, scratch, &[7; 3000])?;
        if r.below(2) == 0 {
            s.drop_relation(&mut t, scratch)?;
        }
    }
    t.rollback_to(savepoint)?;
    put(&mut t, b'c', 50)?;
    t.release_sub(savepoint)?;
    t.commit()
}

/// CREATE INDEX over rows that are there, and DROP of the one before; all or nothing.
fn rebuild(
    s: &Arc<Storage>,
    known: &Mutex<Known>,
    tables: &Tables,
    before: Option<RelId>,
) -> Result<(), StorageError> {
    let mut t = s.begin(Isolation::ReadCommitted);
    let index = s.create_relation(&mut t, RelationKind::BTree { heap: tables.accounts })?;
    let mut entries = Vec::new();
    s.heap_scan_for_index(tables.accounts, |tid, row| {
        let (id, amount) = balance(row);
        entries.push((extra_key(id, amount), tid, true));
    })?;
    entries.sort();
    assert_eq!(s.index_build(&mut t, index, &mut entries.into_iter(), true)?, IndexInsert::Done);
    if let Some(old) = before {
        s.drop_relation(&mut t, old)?;
    }
    know(known).extra.push(index);
    t.commit()
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

fn work(
    s: &Arc<Storage>,
    known: &Mutex<Known>,
    tables: Tables,
    (worker, run, seed): (u64, u64, u64),
    misreads: bool,
) {
    let mut r = Random(seed ^ (worker << 32) ^ (run << 40));
    for i in 0..OPERATIONS {
        let op = (run << 32) | (worker << 16) | i;
        let done = if r.below(3) == 0 {
            churn(s, &mut r, &tables, op | 1 << 60)
        } else {
            transfer(s, known, &mut r, &tables, op)
        };
        match done {
            Ok(()) => assert!(know(known).acknowledged.insert(op), "{op:x} twice"),
            Err(StorageError::Deadlock(_) | StorageError::Canceled | StorageError::Read { .. }) => {}
            // A page that was read wrong is noticed, and only this operation fails.
            Err(StorageError::Corrupt { .. }) if misreads => {}
            Err(e) => panic!("operation {op:x}: {e}"),
        }
    }
}

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

fn check(s: &Arc<Storage>, known: &Known, tables: &Tables) {
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
    for (_, row) in &churn {
        let op = u64::from_be_bytes(row[..8].try_into().unwrap()) & !(1 << 60);
        kinds.entry(op).or_default().push(row[8]);
        assert!(row[9..].iter().all(|b| *b == row[8]));
    }
    for (op, mut k) in kinds {
        k.sort_unstable();
        assert_eq!(k, b"ac", "rows of churn {op:x}");
        present.insert(op);
    }
    let undone: Vec<_> = known.undone.intersection(&present).collect();
    assert!(undone.is_empty(), "rolled back and there: {undone:x?}");
    let lost: Vec<_> = known.acknowledged.difference(&present).collect();
    assert!(lost.is_empty(), "acknowledged and gone: {lost:x?}");
    check_index(s, tables.accounts_key, tables.accounts, &accounts, 4);
    check_index(s, tables.history_key, tables.history, &history, 8);
    check_index(s, tables.churn_key, tables.churn, &churn, 9);
}

fn check_extra(s: &Arc<Storage>, known: &Known, tables: &Tables) {
    let index = extra(s, known).expect("the index that was just made");
    let snapshot = s.begin(Isolation::ReadCommitted).snapshot();
    for (tid, row) in visible(s, tables.accounts) {
        let (id, amount) = balance(&row);
        let mut tids = Vec::new();
        s.index_lookup(index, &extra_key(id, amount), &mut tids).unwrap();
        let found = |t: &Tid| s.heap_fetch(tables.accounts, *t, &snapshot, |tid, _| tid).unwrap();
        assert_eq!(tids.iter().filter_map(found).collect::<Vec<_>>(), [tid], "account {id} by amount");
    }
}

fn machine(disk: Arc<SimDisk>, known: Arc<Mutex<Known>>, seed: u64, last: bool, misreads: bool) {
    let device: Arc<dyn BlockDevice> = disk;
    if Storage::probe(&*device).unwrap() == Probe::Blank {
        assert!(know(&known).tables.is_none(), "a volume that was in use is blank");
        Storage::format(&*device, &FormatOptions { wal_bytes: Some(1 << 20), config: vec![7; 100] }).unwrap();
    }
    assert_eq!(Storage::read_config(&*device).unwrap(), [7; 100]);
    let config = StorageConfig {
        buffer_pool_bytes: 70 * 8192,
        checkpoint_wal_bytes: 200 << 10,
        checkpoint_interval: Duration::from_secs(5),
        background_tasks: true,
        replay: false,
    };
    let s = Storage::open(device, config).unwrap();
    let (tables, run) = {
        let mut k = know(&known);
        k.runs += 1;
        (k.tables, k.runs)
    };
    let tables = match tables {
        Some(t) => {
            check(&s, &know(&known), &t);
            t
        }
        None => {
            let t = create(&s).unwrap();
            know(&known).tables = Some(t);
            t
        }
    };
    // Made anew while no one writes; what it holds is checked at once, and it goes stale after that, which is no one's loss.
    finish_all(&s, &known, &mut Random(seed ^ 0xbeef));
    let before = extra(&s, &know(&known));
    // The numbers of those that were lost are given out again.
    know(&known).extra.retain(|r| Some(*r) == before);
    rebuild(&s, &known, &tables, before).unwrap();
    check_extra(&s, &know(&known), &tables);
    let workers: Vec<_> = (0..WORKERS)
        .map(|w| {
            let (s, known) = (s.clone(), known.clone());
            task::spawn("worker", move || work(&s, &known, tables, (w, run, seed), misreads))
        })
        .collect();
    let keeper = {
        let s = s.clone();
        let mut r = Random(seed ^ 0xdead);
        task::spawn("keeper", move || {
            for _ in 0..4 {
                task::sleep(Duration::from_micros(500 + r.below(6000)));
                match r.below(3) {
                    0 => s.checkpoint().unwrap(),
                    1 => {
                        let _ = s.vacuum(tables.churn);
                    }
                    _ => {
                        let _ = s.vacuum(tables.accounts);
                    }
                }
            }
        })
    };
    for w in workers {
        w.join().unwrap();
    }
    keeper.join().unwrap();
    if last {
        check(&s, &know(&known), &tables);
        s.shutdown().unwrap();
    }
}

/// Several lives of one machine. Gives the hashes of the lives, or what went wrong.
fn lives(seed: u64, plan: Plan) -> Result<Vec<u64>, String> {
    let disk = Arc::new(SimDisk::new(20 << 20, plan.atomic));
    let known = Arc::new(Mutex::new(Known::default()));
    let mut r = Random(seed.wrapping_mul(77) + 5);
    let mut hashes = Vec::new();
    for life in 0..4 {
        let last = life == 3;
        let cut_after = (!last).then(|| 1 + r.below(if life == 0 { 400 } else { 300 }));
        let read_errors = if last { 0 } else { plan.read_errors };
        disk.set_faults(Faults {
            sector: plan.sector,
            cut_after,
            read_errors,
            misreads: if last { 0 } else { plan.misreads },
            slow: plan.slow_flushes,
            lying_cache: plan.lying_cache,
            lying_atomic: plan.lying_atomic,
            ..Faults::default()
        });
        let (d, k) = (disk.clone(), known.clone());
        let s = seed + life * 1000;
        let report: Report<()> =
            simulate_with(s, plan.bug, move || machine(d, k, s, last, plan.misreads != 0));
        hashes.push(report.hash);
        let panics = report.panics.join("; ");
        match report.outcome {
            _ if !panics.is_empty() => return Err(format!("life {life}: a task panicked: {panics}")),
            Outcome::Finished(()) => {}
            Outcome::PowerCut if !last => {}
            other => return Err(format!("life {life}: {other:?}")),
        }
        disk.power_cycle(s);
    }
    if std::env::var("VERBOSE").is_ok() {
        println!("seed {seed}: {} acknowledged", know(&known).acknowledged.len());
    }
    Ok(hashes)
}

const GOOD: Plan = Plan {
    sector: 512,
    atomic: 512,
    read_errors: 0,
    misreads: 0,
    slow_flushes: false,
    bug: None,
    lying_cache: false,
    lying_atomic: false,
};

const PLANS: [Plan; 4] = [
    GOOD,
    Plan { sector: 4096, atomic: 4096, ..GOOD },
    Plan { atomic: 8192, ..GOOD },
    Plan { slow_flushes: true, ..GOOD },
];

struct Printer;

impl log::Log for Printer {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        println!("{}: {}", record.level(), record.args());
    }
    fn flush(&self) {}
}

#[test]
fn acknowledged_commits_survive() {
    if std::env::var("VERBOSE").is_ok() && log::set_logger(&Printer).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
    // SEED=n: that one. SEEDS=n: so many. SEEDS=a..b: those.
    let number = |s: &str| s.parse::<u64>().expect("a number");
    let seeds = match (std::env::var("SEED"), std::env::var("SEEDS")) {
        (Ok(one), _) => number(&one)..number(&one) + 1,
        (_, Ok(range)) => match range.split_once("..") {
            Some((from, to)) => number(from)..number(to),
            None => 0..number(&range),
        },
        _ => 0..200,
    };
    for seed in seeds {
        if let Err(what) = lives(seed, PLANS[seed as usize % PLANS.len()]) {
            panic!("SEED={seed}: {what}");
        }
    }
}

#[test]
fn a_seed_runs_the_same_twice() {
    for seed in [3, 4] {
        assert_eq!(lives(seed, PLANS[0]), lives(seed, PLANS[0]), "seed {seed}");
    }
}

#[test]
fn a_disk_that_lies_about_flushes_is_caught() {
    let liar = Plan { lying_cache: true, ..PLANS[0] };
    assert!((0..20).any(|seed| lives(seed, liar).is_err()));
}

#[test]
fn a_disk_that_lies_about_tearing_is_caught() {
    // Without full-page images a torn page cannot be mended.
    let liar = Plan { lying_atomic: true, ..PLANS[2] };
    assert!((0..20).any(|seed| lives(seed, liar).is_err()));
}

#[test]
fn read_errors_fail_statements_not_the_machine() {
    let seeds = 200..206;
    for seed in seeds {
        let plan = Plan { read_errors: 40, ..PLANS[0] };
        if let Err(what) = lives(seed, plan) {
            // Opening and checking need every read.
            assert!(what.contains("Media") || what.contains("Corrupt"), "SEED={seed}: {what}");
        }
    }
}

/// Somewhere among the first seeds the mistake must show.
fn caught(bug: Bug, plan: Plan) {
    let plan = Plan { bug: Some(bug), ..plan };
    assert!((0..100).any(|seed| lives(seed, plan).is_err()), "{bug:?} goes unnoticed");
}

#[test]
fn planted_skipped_log_flush_is_caught() {
    caught(Bug::LogWithoutFlush, GOOD);
}

#[test]
fn planted_page_before_its_log_is_caught() {
    caught(Bug::PageBeforeLog, GOOD);
}

#[test]
fn planted_skipped_checkpoint_flush_is_caught() {
    caught(Bug::CheckpointWithoutFlush, GOOD);
}

#[test]
fn planted_missing_page_images_are_caught() {
    caught(Bug::NoPageImage, GOOD);
}

#[test]
fn planted_early_release_of_a_latch_is_caught() {
    caught(Bug::LatchReleasedEarly, GOOD);
}

#[test]
fn pages_read_wrong_are_noticed() {
    let mut whole = 0;
    for seed in 300..320 {
        match lives(seed, Plan { misreads: 60, ..GOOD }) {
            Ok(_) => whole += 1,
            // Opening and checking need every page; whatever they meet is named.
            Err(what) => assert!(what.contains("Corrupt"), "SEED={seed}: {what}"),
        }
    }
    assert!(whole > 0, "no life got by");
}

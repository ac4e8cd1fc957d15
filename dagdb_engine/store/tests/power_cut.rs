//! Graphs and their histories under power cuts: whatever was acknowledged is there, node by node and frame by frame, and
//! nothing of what was not.
//!
//! Runs on the simulated platform only, as `pg_storage`'s test of that name. `SEEDS=n` tries so many seeds, `SEED=n` that one.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking
#![cfg(intralith_platform = "simulated")]

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dagdb_delta::{Recorder, apply, encode_graph};
use dagdb_graph::{Draft, Drafted, Edit, Graph, Lut, Node, NodeId, View};
use dagdb_store::{Chain, FrameAt, Stored};
use dagdb_tick::Alone;
use pg_storage::*;
use platform::{
    block::BlockDevice,
    simulated::{
        Outcome,
        disk::{Faults, SimDisk},
        simulate,
    },
    task,
};

/// Key frames of the history.
const INTERVAL: u32 = 4;
const OPERATIONS: u64 = 60;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn word(&mut self) -> u64 {
        self.below(1 << 31) << 33 | self.below(1 << 31) << 2 | self.below(4)
    }
}

/// What the volume holds after a transaction.
#[derive(Clone, Default)]
struct State {
    operation: u64,
    graph: Graph,
    frames: Vec<Vec<u8>>,
}

#[derive(Clone, Copy)]
struct Places {
    /// One row: the operation, the nodes, the frames.
    root: RelId,
    graph: RelId,
    chain: Chain,
}

/// What is known outside of the machine.
#[derive(Default)]
struct Known {
    places: Option<Places>,
    /// Acknowledged.
    state: State,
    /// Being committed.
    pending: Option<State>,
    acknowledged: u64,
    rolled_back: u64,
}

fn know(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn root_row(state: &State) -> Vec<u8> {
    let numbers = [state.operation, state.graph.len() as u64, state.frames.len() as u64];
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

/// Reads everything and compares; gives the graph and the place of the root's row.
fn check(s: &Arc<Storage>, known: &Mutex<Known>) -> (Stored, Tid) {
    let places = know(known).places.unwrap();
    let mut txn = s.begin(Isolation::RepeatableRead);
    let snapshot = txn.snapshot();
    let mut rows = Vec::new();
    let mut scan = s.heap_scan(places.root, &snapshot, None).unwrap();
    while scan.next_page(|tid, row| rows.push((tid, row.to_vec()))).unwrap() {}
    assert_eq!(rows.len(), 1, "rows of the root");
    let (tid, row) = rows.remove(0);
    let number = |at: usize| u64::from_le_bytes(row[at * 8..at * 8 + 8].try_into().unwrap());
    let state = {
        let mut k = know(known);
        if let Some(pending) = k.pending.take().filter(|p| p.operation == number(0)) {
            k.state = pending;
        }
        k.state.clone()
    };
    assert_eq!(number(0), state.operation, "an acknowledged operation is gone, or another one is there");
    let stored = Stored::load(s, places.graph, &snapshot, number(1), &mut || true).unwrap();
    assert_eq!(stored.network.to_graph().unwrap(), state.graph, "after operation {}", state.operation);
    assert_eq!(number(2), state.frames.len() as u64);
    let mut current = Vec::new();
    for (number, want) in (0..).zip(&state.frames) {
        let mut frame = Vec::new();
        places.chain.read(s, &snapshot, FrameAt { lane: 0, number }, &mut frame, &mut || true).unwrap();
        assert_eq!(apply(&frame, &mut current), Ok(number + 1));
        assert_eq!(&current, want, "frame {number}");
    }
    (stored, tid)
}

fn create(s: &Arc<Storage>, known: &Mutex<Known>) {
    let mut txn = s.begin(Isolation::ReadCommitted);
    let root = s.create_relation(&mut txn, RelationKind::Heap).unwrap();
    let graph = s.create_relation(&mut txn, RelationKind::Heap).unwrap();
    let chain = Chain::create(s, &mut txn).unwrap();
    Stored::create(&Graph::new(), s, &mut txn, graph, &mut || true).unwrap();
    s.heap_insert(&mut txn, root, &root_row(&State::default())).unwrap();
    txn.commit().unwrap();
    know(known).places = Some(Places { root, graph, chain });
}

/// A random change that keeps the rules, or one that breaks them and does nothing.
fn edit(r: &mut Random, nodes: u64) -> Edit {
    let id = |r: &mut Random| NodeId(r.below(nodes.max(1)) as u32);
    match r.below(8) {
        0..3 => {
            let inputs = [(); 6].map(|()| (r.below(2) == 0).then(|| id(r)));
            Edit::Add(Node { rank: r.below(5), lut: Lut(r.word()), inputs, ..Node::default() })
        }
        3 => Edit::SetLut(id(r), Lut(r.word())),
        4 => Edit::SetTruth(id(r), r.below(3) as u8),
        5 => Edit::Connect { source: id(r), target: id(r) },
        6 => Edit::ConnectBack { source: id(r), target: id(r) },
        _ => Edit::Clear(id(r)),
    }
}

/// Frees an id that nobody reads; which.
fn let_go(stored: &mut Stored, r: &mut Random) -> Option<NodeId> {
    let id = NodeId(r.below(stored.network.node_count().max(1) as u64) as u32);
    let mut draft = Draft::new(&stored.network);
    draft.put(id, Node::FREE).ok()?;
    let Drafted::Few(list) = draft.finish().ok()? else { return None };
    list.iter().for_each(|one| stored.network.put(one.id, &one.new));
    Some(id)
}

/// One transaction.
fn operation(s: &Arc<Storage>, known: &Mutex<Known>, r: &mut Random) {
    let (stored, tid) = check(s, known);
    let places = know(known).places.unwrap();
    let mut state = know(known).state.clone();
    state.operation += 1;
    let mut txn = s.begin(Isolation::ReadCommitted);
    let snapshot = txn.snapshot();
    let mut new = stored.clone();
    match r.below(10) {
        // Many nodes at once: more pieces, or fewer.
        0 => {
            let mut graph = Graph::with_nodes(r.below(9_000) as usize).unwrap();
            for truth in graph.truths_mut() {
                *truth = r.below(3) as u8;
            }
            new = stored.replace(&graph, s, &mut txn, places.graph, &mut || true).unwrap();
        }
        1 => {
            if r.below(4) == 0 {
                places.chain.clear(s, &mut txn, &snapshot, &mut || true).unwrap();
                state.frames.clear();
            }
            let (frames, last) = (state.frames.len() as u64, state.frames.last().cloned());
            let mut recorder = Recorder::from_state(INTERVAL, frames, frames, last.unwrap_or_default());
            let bytes = encode_graph(&state.graph, state.operation);
            let frame = recorder.record(frames + 1, &bytes).unwrap();
            let at = FrameAt { lane: 0, number: frames };
            places.chain.append(s, &mut txn, at, &frame, &mut || true).unwrap();
            state.frames.push(bytes);
        }
        n => {
            let mut shaped = Vec::new();
            for _ in 0..r.below(6) {
                if let Ok(done) = new.network.apply(&edit(r, new.network.node_count() as u64)) {
                    shaped.push(done.id);
                }
            }
            if r.below(3) == 0 {
                shaped.extend(let_go(&mut new, r));
            }
            if n > 5 {
                new.network.tick(1 + r.below(3), &Alone, &|| true).unwrap();
            }
            let mut valued: Vec<NodeId> = shaped.clone();
            new.network.for_each_change(&stored.network, &mut |id| valued.push(id));
            new.save(s, &mut txn, places.graph, None, shaped.into_iter(), valued.into_iter(), &mut || true)
                .unwrap();
        }
    }
    state.graph = new.network.to_graph().unwrap();
    let updated = s.heap_update(&mut txn, places.root, tid, &root_row(&state), Touched::Nothing).unwrap();
    assert!(matches!(updated, RowOutcome::Done { .. }));
    if r.below(5) == 0 {
        txn.abort();
        know(known).rolled_back += 1;
        return;
    }
    know(known).pending = Some(state);
    txn.commit().unwrap();
    let mut k = know(known);
    k.state = k.pending.take().unwrap();
    k.acknowledged += 1;
}

fn machine(disk: &Arc<SimDisk>, known: &Arc<Mutex<Known>>, seed: u64, cut_after: Option<u64>) {
    let device: Arc<dyn BlockDevice> = disk.clone();
    if Storage::probe(&*device).unwrap() == Probe::Blank {
        let options = FormatOptions { wal_bytes: Some(2 << 20), ..FormatOptions::default() };
        Storage::format(&*device, &options).unwrap();
    }
    let config = StorageConfig {
        buffer_pool_bytes: 64 * 8192,
        checkpoint_wal_bytes: 200 << 10,
        checkpoint_interval: Duration::from_secs(5),
        background_tasks: true,
        ..StorageConfig::default()
    };
    let s = Storage::open(device, config).unwrap();
    if know(known).places.is_none() {
        create(&s, known);
    }
    check(&s, known);
    disk.change_faults(|f| f.cut_after = cut_after);
    let places = know(known).places.unwrap();
    let keeper = {
        let (s, mut r) = (s.clone(), Random(seed ^ 0xdead));
        task::spawn("keeper", move || {
            for _ in 0..6 {
                task::sleep(Duration::from_micros(500 + r.below(6000)));
                let done = match r.below(4) {
                    0 => s.checkpoint(),
                    1 => s.vacuum(places.graph).map(|_| ()),
                    2 => s.vacuum(places.chain.heap).map(|_| ()),
                    _ => s.vacuum(places.root).map(|_| ()),
                };
                done.unwrap();
            }
        })
    };
    let mut r = Random(seed);
    for _ in 0..OPERATIONS {
        operation(&s, known, &mut r);
    }
    keeper.join().unwrap();
    check(&s, known);
    s.shutdown().unwrap();
}

/// Four lives of one machine; what was acknowledged and what was rolled back in all.
fn lives(seed: u64) -> (u64, u64) {
    let disk = Arc::new(SimDisk::new(64 << 20, 4096));
    let known = Arc::new(Mutex::new(Known::default()));
    let mut r = Random(seed.wrapping_mul(77) + 5);
    for life in 0..4 {
        let last = life == 3;
        let cut_after = (!last).then(|| 1 + r.below(700));
        disk.set_faults(Faults { sector: 4096, ..Faults::NONE });
        let (d, k, s) = (disk.clone(), known.clone(), seed + life * 1000);
        let report = simulate(s, move || machine(&d, &k, s, cut_after));
        assert!(report.panics.is_empty(), "SEED={seed}, life {life}: {}", report.panics.join("; "));
        match report.outcome {
            Outcome::Finished(()) => {}
            Outcome::PowerCut if !last => {}
            other => panic!("SEED={seed}, life {life}: {other:?}"),
        }
        disk.power_cycle(s);
    }
    let k = know(&known);
    (k.acknowledged, k.rolled_back)
}

#[test]
fn graphs_and_histories_survive() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(one) => one..one + 1,
        None => 0..number("SEEDS").unwrap_or(60),
    };
    let (mut acknowledged, mut rolled_back) = (0, 0);
    for seed in seeds {
        let (a, b) = lives(seed);
        acknowledged += a;
        rolled_back += b;
    }
    println!("{acknowledged} acknowledged, {rolled_back} rolled back");
    assert!(acknowledged > 0 && rolled_back > 0);
}

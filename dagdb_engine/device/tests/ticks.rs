//! Networks tick alike wherever they do, whatever becomes of the device.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use compute_protocol::{Command, Reply, answer::Device};
use dagdb_device::{Backends, Choice, Job, Usage};
use dagdb_graph::{Edit, Graph, Lut, NodeId, View};
use dagdb_tick::{Alone, Network, Ticked};
use gpu_shim::{Linked, Processor};
use platform::compute::{Buffer, ComputeDevice, ComputeError, Health, Link};
use proptest::prelude::*;

/// What a test does to a device.
#[derive(Default)]
struct Fate {
    /// Commands until it is lost; 0: it is not.
    lost_after: AtomicU64,
    executed: AtomicU64,
    ticks: AtomicU64,
    nodes: AtomicU64,
    generation: AtomicU64,
    gone: AtomicBool,
    /// Ticks do not end.
    held: AtomicBool,
}

/// A device that may be lost.
struct Mortal {
    inner: std::sync::Mutex<Linked>,
    memory: u64,
    fate: Arc<Fate>,
}

fn linked(memory: u64) -> Linked {
    Linked::new(Box::new(Processor::new(1, memory)))
}

impl Mortal {
    fn with(memory: u64) -> (Box<dyn ComputeDevice>, Arc<Fate>) {
        let fate = Arc::new(Fate::default());
        (Box::new(Self { inner: linked(memory).into(), memory, fate: fate.clone() }), fate)
    }
}

impl ComputeDevice for Mortal {
    fn carrier(&self) -> &'static str {
        "test"
    }
    fn device(&self) -> Option<Device> {
        self.inner.lock().expect("no panic").device()
    }
    fn link(&self) -> Link {
        // Pieces of odd sizes.
        Link { largest: 40_001, ..self.inner.lock().expect("no panic").link() }
    }
    fn health(&self) -> Health {
        Health { present: !self.fate.gone.load(Relaxed), ..Health::default() }
    }
    fn generation(&self) -> u64 {
        self.fate.generation.load(Relaxed)
    }
    fn execute(
        &self,
        command: &Command,
        buffers: &mut [Buffer<'_>],
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Reply, ComputeError> {
        let executed = self.fate.executed.fetch_add(1, Relaxed) + 1;
        if self.fate.lost_after.load(Relaxed) == executed {
            *self.inner.lock().expect("no panic") = linked(self.memory);
            self.fate.generation.fetch_add(1, Relaxed);
            return Err(ComputeError::Lost);
        }
        match command {
            Command::Tick { ticks, .. } => {
                self.fate.ticks.fetch_add(u64::from(*ticks), Relaxed);
                while self.fate.held.load(Relaxed) {
                    std::thread::yield_now();
                }
            }
            Command::Nodes { nodes, .. } => drop(self.fate.nodes.fetch_add(u64::from(*nodes), Relaxed)),
            _ => {}
        }
        self.inner.lock().expect("no panic").execute(command, buffers, interrupted)
    }
}

fn tick(backends: &Backends, network: &mut Network, count: u64, choice: Choice) -> (Ticked, Usage) {
    let mut usage = Usage::default();
    let job = Job { graph: 1, count, choice, executor: &Alone, go_on: &|| true, did: &|_| () };
    let ticked = backends.tick(network, &job, &mut usage).expect("nobody cancels");
    (ticked, usage)
}

/// Nodes by rank with sources of higher ranks, and registers.
#[derive(Clone, Debug)]
struct Shape {
    nodes: Vec<(u8, u64, [u16; 6], u8)>,
    registers: Vec<(u16, u16)>,
}

fn shapes(most: usize) -> impl Strategy<Value = Shape> {
    let node = (0..6u8, any::<u64>(), any::<[u16; 6]>(), 0..=1u8);
    (prop::collection::vec(node, 1..most), prop::collection::vec((any::<u16>(), any::<u16>()), 0..12))
        .prop_map(|(nodes, registers)| Shape { nodes, registers })
}

fn graph(shape: &Shape) -> Graph {
    let count = shape.nodes.len();
    let mut graph = Graph::with_nodes(count).expect("not too many");
    for (id, (rank, lut, _, truth)) in shape.nodes.iter().enumerate() {
        graph.ranks_mut()[id] = u64::from(*rank);
        graph.luts_mut()[id] = Lut(*lut);
        graph.truths_mut()[id] = *truth;
    }
    for (id, (.., sources, _)) in shape.nodes.iter().enumerate() {
        for (slot, source) in sources.iter().map(|&s| usize::from(s) % count).enumerate() {
            if graph.ranks()[source] > graph.ranks()[id] && !graph.inputs()[id].contains(&(source as u32)) {
                graph.inputs_mut()[id][slot] = source as u32;
            }
        }
    }
    let mut network = Network::new(&graph);
    for (register, source) in &shape.registers {
        let (target, source) = (u32::from(*register) % count as u32, u32::from(*source) % count as u32);
        let _ = network.apply(&Edit::ConnectBack { source: NodeId(source), target: NodeId(target) });
    }
    network.to_graph().expect("as large as it was")
}

fn values(network: &Network) -> Vec<Option<u8>> {
    (0..network.node_count() as u32).map(|id| network.truth(NodeId(id))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn devices_do_what_the_processor_does(
        shape in shapes(400),
        counts in prop::collection::vec(1..200u64, 1..4),
        edits in prop::collection::vec((any::<u16>(), any::<u64>()), 0..4),
    ) {
        let (device, fate) = Mortal::with(1 << 30);
        let backends = Backends::new(vec![device]);
        let graph = graph(&shape);
        let (mut here, mut there) = (Network::new(&graph), Network::new(&graph));
        for count in counts {
            here.tick(count, &Alone, &|| true).expect("nobody cancels");
            let (ticked, _) = tick(&backends, &mut there, count, Choice::Device);
            prop_assert_eq!(ticked.ticks, count);
            prop_assert_eq!(values(&there), values(&here));
            prop_assert_eq!(there.ticks(), here.ticks());
            for (id, lut) in &edits {
                let edit = Edit::SetLut(NodeId(u32::from(*id) % shape.nodes.len() as u32), Lut(*lut));
                prop_assert_eq!(here.apply(&edit).is_ok(), there.apply(&edit).is_ok());
            }
        }
        prop_assert!(fate.ticks.load(Relaxed) > 0);
    }

    #[test]
    fn a_device_that_is_lost_is_not_missed(shape in shapes(200), after in 1..40u64, count in 1..500u64) {
        let (device, fate) = Mortal::with(1 << 30);
        let backends = Backends::new(vec![device]);
        fate.lost_after.store(after, Relaxed);
        let graph = graph(&shape);
        let (mut here, mut there) = (Network::new(&graph), Network::new(&graph));
        for count in [count, 3] {
            here.tick(count, &Alone, &|| true).expect("nobody cancels");
            let (ticked, _) = tick(&backends, &mut there, count, Choice::Device);
            prop_assert_eq!(ticked.ticks, count);
            prop_assert_eq!(values(&there), values(&here));
        }
    }
}

/// A ring of registers, so many places apart, one of which is true.
fn ring(count: u32) -> Graph {
    let mut network = Network::new(&Graph::with_nodes(count as usize).expect("not too many"));
    for id in 0..count {
        let edit = Edit::ConnectBack { source: NodeId(id), target: NodeId((id + 1) % count) };
        network.apply(&edit).expect("registers may feed each other");
    }
    network.apply(&Edit::SetTruth(NodeId(0), 1)).expect("there is such a node");
    network.to_graph().expect("as large as it was")
}

#[test]
fn what_comes_back_is_not_computed_for_ever() {
    let (device, fate) = Mortal::with(1 << 30);
    let backends = Backends::new(vec![device]);
    let mut network = Network::new(&ring(8));
    let (ticked, _) = tick(&backends, &mut network, 1 << 40, Choice::Device);
    assert_eq!(ticked.ticks, 1 << 40);
    assert!(fate.ticks.load(Relaxed) < 1 << 24);
    assert_eq!(network.truth(NodeId(0)), Some(1));
    assert_eq!(network.ticks(), 1 << 40);
}

#[test]
fn only_what_changed_is_sent_again() {
    let (device, fate) = Mortal::with(1 << 30);
    let backends = Backends::new(vec![device]);
    let mut network = Network::new(&ring(100_000));
    tick(&backends, &mut network, 3, Choice::Device);
    let first = fate.nodes.swap(0, Relaxed);
    assert!(first >= 100_000);
    tick(&backends, &mut network, 3, Choice::Device);
    assert_eq!(fate.nodes.swap(0, Relaxed), 0, "nothing changed");
    network.apply(&Edit::ClearBack(NodeId(99_999))).expect("it is a register");
    let edit = Edit::ConnectBack { source: NodeId(5), target: NodeId(99_999) };
    network.apply(&edit).expect("nothing feeds it");
    let (ticked, usage) = tick(&backends, &mut network, 2, Choice::Device);
    assert_eq!((ticked.ticks, usage.failures), (2, 0));
    let again = fate.nodes.load(Relaxed);
    assert!(again > 0 && again < first / 100, "{again} of {first} nodes");
}

#[test]
fn a_graph_larger_than_a_device_ticks_in_parts() {
    // Room for some thousands of nodes.
    let (device, fate) = Mortal::with(200_000);
    let backends = Backends::new(vec![device]);
    let mut draft = Network::new(&Graph::with_nodes(30_000).expect("not too many"));
    let mut random = 1u64;
    let mut below = |n: u32| {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (random >> 33) as u32 % n
    };
    // Registers, two ranks over them, and back.
    for id in 0..30_000 {
        let rank = [2, 1, 0][id as usize / 10_000];
        draft.apply(&Edit::SetRank(NodeId(id), rank)).expect("nothing is connected");
        draft
            .apply(&Edit::SetLut(NodeId(id), Lut(u64::from(below(u32::MAX)) << 32 | 0x96)))
            .expect("there is one");
    }
    for id in 10_000..30_000 {
        for _ in 0..3 {
            let source = NodeId(below(10_000) + (id / 10_000 - 1) * 10_000);
            let _ = draft.apply(&Edit::Connect { source, target: NodeId(id) });
        }
    }
    for id in 0..10_000 {
        draft.apply(&Edit::SetTruth(NodeId(id), below(2) as u8)).expect("there is one");
        let edit = Edit::ConnectBack { source: NodeId(20_000 + below(10_000)), target: NodeId(id) };
        draft.apply(&edit).expect("it has no inputs");
    }
    let graph = draft.to_graph().expect("as large as it was");
    let (mut here, mut there) = (Network::new(&graph), Network::new(&graph));
    here.tick(4, &Alone, &|| true).expect("nobody cancels");
    let (ticked, usage) = tick(&backends, &mut there, 4, Choice::Device);
    assert_eq!((ticked.ticks, ticked.computed, usage.failures), (4, 4, 0));
    assert!(usage.commands > 8, "{} parts", usage.commands);
    assert_eq!(values(&there), values(&here));
    assert!(fate.ticks.load(Relaxed) > 0);
}

#[test]
fn values_above_one_and_full_devices_stay_on_the_processor() {
    let (device, _) = Mortal::with(1 << 12);
    let backends = Backends::new(vec![device]);
    let mut network = Network::new(&ring(10_000));
    let mut other = network.clone();
    let (ticked, usage) = tick(&backends, &mut network, 5, Choice::Device);
    other.tick(5, &Alone, &|| true).expect("nobody cancels");
    assert_eq!((ticked.ticks, usage.failures, usage.ticks), (5, 1, 0));
    assert_eq!(values(&network), values(&other));

    let (device, fate) = Mortal::with(1 << 30);
    let backends = Backends::new(vec![device]);
    network.apply(&Edit::SetTruth(NodeId(3), 7)).expect("any value is one");
    other.apply(&Edit::SetTruth(NodeId(3), 7)).expect("any value is one");
    tick(&backends, &mut network, 5, Choice::Device);
    other.tick(5, &Alone, &|| true).expect("nobody cancels");
    assert_eq!(values(&network), values(&other));
    assert_eq!(fate.ticks.load(Relaxed), 0);
}

#[test]
fn nobody_waits_for_a_device_that_is_at_work() {
    let (device, fate) = Mortal::with(1 << 30);
    let backends = Backends::new(vec![device]);
    fate.held.store(true, Relaxed);
    let (mut here, mut there) = (Network::new(&ring(1000)), Network::new(&ring(1000)));
    std::thread::scope(|scope| {
        let long = scope.spawn(|| {
            let mut network = Network::new(&ring(500));
            tick(&backends, &mut network, 3, Choice::Device).0.ticks
        });
        while fate.ticks.load(Relaxed) == 0 {
            std::thread::yield_now();
        }
        here.tick(7, &Alone, &|| true).expect("nobody cancels");
        let (ticked, usage) = tick(&backends, &mut there, 7, Choice::Device);
        assert_eq!((ticked.ticks, usage.commands, usage.failures), (7, 0, 0));
        assert!(backends.list().iter().all(|listed| listed.graphs.is_none()));
        backends.forget(1);
        fate.held.store(false, Relaxed);
        assert_eq!(long.join().expect("it ended"), 3);
    });
    assert_eq!(values(&there), values(&here));
}

#[test]
fn a_cancelled_run_says_what_was_done() {
    let (device, _) = Mortal::with(1 << 30);
    let backends = Backends::new(vec![device]);
    let mut network = Network::new(&ring(1000));
    let asked = AtomicU64::new(0);
    let job = Job {
        graph: 1,
        count: u64::MAX,
        choice: Choice::Device,
        executor: &Alone,
        go_on: &|| asked.fetch_add(1, Relaxed) < 20,
        did: &|_| (),
    };
    let error = backends.tick(&mut network, &job, &mut Usage::default()).expect_err("it was cancelled");
    let dagdb_tick::TickError::Cancelled { ticks } = error;
    let mut other = Network::new(&ring(1000));
    if ticks > 0 {
        other.tick(ticks, &Alone, &|| true).expect("nobody cancels");
    }
    assert_eq!(values(&network), values(&other));
}

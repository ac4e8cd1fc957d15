//! Ticks on compute devices.
//!
//! # What it does
//! [`Backends`] has this machine's compute devices. [`Backends::tick`] ticks a network where that takes the least time, as far as is
//! known: on the processor, or on a device, which gets the graph's nodes, keeps them, and runs many ticks a command. Values
//! travel with every run, so what a device holds is only ever a copy of the structure: transactions, snapshots and the
//! fate of the device do not matter to results.
//!
//! # Where
//! The processor takes whatever it has done by the time that a device would need to begin: [`cost`] compares. The device's speed and the
//! way to it are measured when it comes up, those of a graph on the processor while it ticks; nothing is assumed. What a device cannot
//! run (values above 1) stays on the processor, and so does what it fails at: from the last values that came back.
//!
//! # What stays on a device
//! By graph, the form of its latest structure that ticked there, in grains of [`resident::GRAIN`] nodes. When the structure is
//! another, grains whose hashes differ are sent. Those that were not used for longest make room. A graph that is larger than the
//! device is sent in parts, each tick anew, if the device was asked for.
//!
//! # Invariants
//! * A network has either all of a device's ticks or none: values are taken over between commands only.
//! * Results are those of the processor, bit by bit.
//!
//! # Lock order
//! A device's state, held while somebody's ticks run there; under it, whatever the device takes. The caller's locks come before. Nobody waits for it: to
//! everyone else the device is busy, and the processor ticks meanwhile.
//!
//! # What it must not know
//! SQL, storage, how a device is reached.
//!
//! # Dependencies
//! `compute_protocol` for commands, `dagdb_tick` for networks, `platform` for devices, locks and time, `log` for what became of a
//! device, `twox-hash` to compare pieces.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cost;
mod measure;
mod resident;
mod run;
mod stream;

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

pub use compute_protocol::answer::Device;
use dagdb_tick::{Executor, Network, TickError, Ticked};
use platform::{
    compute::{ComputeDevice, ComputeError, Devices, Health, Link},
    sync::{Mutex, MutexGuard},
    time::monotonic,
};

use cost::{OnDevice, OnProcessor};
use measure::Speed;
use resident::Residents;

/// Who is to do it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Whoever is quickest.
    #[default]
    Auto,
    /// The processor.
    Processor,
    /// A device, if there is one and it can.
    Device,
}

/// Why nobody but the processor was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The caller wants it so.
    Asked,
    /// No device is there.
    NoDevice,
    /// The values are looked at after each tick, and bringing them from a device takes longer than a tick.
    EachTick,
}

/// What a statement made of devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The last device that did something.
    pub device: Option<String>,
    /// What the processor evaluated with, if it was asked at all.
    pub processor_name: Option<&'static str>,
    /// Why no device was asked, if that is known beforehand.
    pub reason: Option<Reason>,
    /// Time that ticks took otherwise.
    pub processor: Duration,
    /// Commands that ran ticks.
    pub commands: u64,
    /// Ticks that they ran.
    pub ticks: u64,
    /// Time that bytes took there and back, and waiting.
    pub transfer: Duration,
    /// Time that the device computed.
    pub compute: Duration,
    /// Bytes sent and brought back.
    pub bytes: u64,
    /// Runs that the processor took over because a device failed.
    pub failures: u64,
}

/// A device, for a list of them.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What it says of itself; `None` if it never came up.
    pub device: Option<Device>,
    /// How it is reached.
    pub carrier: &'static str,
    /// What the way there costs.
    pub link: Link,
    /// What became of it.
    pub health: Health,
    /// Nodes that it evaluates in a second, if that was measured.
    pub rate: Option<f64>,
    /// Graphs that it holds; `None`: it is at work, and what it holds may be changing.
    pub graphs: Option<usize>,
}

/// What is known of a device and what it holds.
struct State {
    generation: u64,
    residents: Residents,
    speed: Option<Speed>,
    /// Not asked before this time: it failed.
    shunned_until: Duration,
}

impl State {
    /// Forgets what a device held that was lost.
    fn keep_up(&mut self, device: &dyn ComputeDevice) {
        let generation = device.generation();
        if self.generation != generation {
            self.residents.clear();
            self.speed = None;
            self.generation = generation;
        }
    }
}

struct Slot {
    device: alloc::boxed::Box<dyn ComputeDevice>,
    state: Mutex<State>,
}

/// This machine's devices.
pub struct Backends {
    slots: Vec<Slot>,
    /// Nodes that the processor evaluates in a second when it evaluates all, as last measured; 0: it was not.
    processor: AtomicU64,
}

/// How a network is to be ticked.
pub struct Job<'a> {
    /// A number that no other graph has.
    pub graph: u64,
    /// How often.
    pub count: u64,
    /// By whom.
    pub choice: Choice,
    /// The processor's workers.
    pub executor: &'a dyn Executor,
    /// Asked every now and then.
    pub go_on: &'a dyn Fn() -> bool,
    /// Told how many more ticks are done.
    pub did: &'a dyn Fn(u64),
}

/// The processor's ticks that take about so long are done between two looks at who is to go on.
const LOOK: Duration = Duration::from_millis(5);
/// Time for which a device that failed is left alone.
const SHUNNED: Duration = Duration::from_secs(1);

impl Backends {
    /// Of these devices.
    pub fn new(devices: Devices) -> Self {
        let slot = |device| {
            let state = State {
                generation: 0,
                residents: Residents::default(),
                speed: None,
                shunned_until: Duration::ZERO,
            };
            Slot { device, state: Mutex::new(state) }
        };
        Self { slots: devices.into_iter().map(slot).collect(), processor: AtomicU64::new(0) }
    }

    /// Whether there are none, present or not.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether one is there.
    pub fn has_present(&self) -> bool {
        self.slots.iter().any(|slot| slot.device.health().present)
    }

    /// The devices, in the order of their numbers.
    pub fn list(&self) -> Vec<Listed> {
        let listed = |slot: &Slot| {
            let (rate, graphs) = {
                let state = slot.state.try_lock();
                let rate = state.as_ref().and_then(|s| s.speed).map(|s| s.rate);
                (rate, state.map(|s| s.residents.len()))
            };
            let device = &slot.device;
            Listed {
                device: device.device(),
                carrier: device.carrier(),
                link: device.link(),
                health: device.health(),
                rate,
                graphs,
            }
        };
        self.slots.iter().map(listed).collect()
    }

    /// Nodes that the processor evaluates in a second, if it was measured.
    pub fn processor_rate(&self) -> Option<f64> {
        let rate = self.processor.load(Ordering::Relaxed);
        (rate > 0).then_some(rate as f64)
    }

    /// Forgets a graph. A device at work is not waited for: there it stays until others need its room.
    pub fn forget(&self, graph: u64) {
        for slot in &self.slots {
            if let Some(mut state) = slot.state.try_lock() {
                state.residents.forget(graph, &*slot.device);
            }
        }
    }

    /// Ticks a network.
    pub fn tick(&self, network: &mut Network, job: &Job<'_>, usage: &mut Usage) -> Result<Ticked, TickError> {
        let mut done = Ticked::default();
        let mut measured = OnProcessor { per_tick: None, all: self.processor_rate() };
        // Without registers two: of ticks that change nothing only the first is computed.
        let mut chunk = if network.has_registers() { 1 } else { 2 };
        while done.ticks < job.count {
            let rest = job.count - done.ticks;
            if let Some((slot, state)) = self.choose(network, job, rest, &measured) {
                let (ticked, end) = run::run(slot, state, network, job, rest, usage);
                add(&mut done, &ticked);
                match end {
                    Ok(()) => {}
                    Err(ComputeError::Interrupted) => return Err(TickError::Cancelled { ticks: done.ticks }),
                    Err(e) => {
                        log::warn!(
                            "a compute device failed ({e:?}): the processor goes on with graph {}",
                            job.graph
                        );
                        usage.failures += 1;
                    }
                }
                continue;
            }
            let (begun, all) = (monotonic(), network.is_unsettled());
            let ticks = chunk.min(rest);
            let ticked =
                network.tick(ticks, job.executor, job.go_on).map_err(|TickError::Cancelled { ticks }| {
                    TickError::Cancelled { ticks: done.ticks + ticks }
                })?;
            add(&mut done, &ticked);
            (job.did)(ticked.ticks);
            let spent = monotonic().saturating_sub(begun);
            self.learn(&mut measured, &ticked, spent, all);
            chunk = if ticked.computed < ticked.ticks {
                u64::MAX
            } else if spent < LOOK {
                chunk.saturating_mul(2)
            } else {
                chunk
            };
        }
        Ok(done)
    }

    /// Takes note of how fast the processor was.
    fn learn(&self, measured: &mut OnProcessor, ticked: &Ticked, spent: Duration, all: bool) {
        if ticked.computed == 0 {
            return;
        }
        measured.per_tick = Some(spent.as_secs_f64() / ticked.computed as f64);
        // Of small ones most goes into everything else, and cones say nothing about passes.
        if all && ticked.evaluated >= (1 << 14) * ticked.computed {
            let rate = ticked.evaluated as f64 / spent.as_secs_f64().max(1e-9);
            self.processor.store(rate as u64, Ordering::Relaxed);
            measured.all = Some(rate);
        }
    }

    /// The device that is to tick, taken, or `None`: the processor is.
    fn choose(
        &self,
        network: &mut Network,
        job: &Job<'_>,
        rest: u64,
        measured: &OnProcessor,
    ) -> Option<(&Slot, MutexGuard<'_, State>)> {
        if self.slots.is_empty() || job.choice == Choice::Processor || network.is_settled() {
            return None;
        }
        let now = monotonic();
        let usable = |slot: &&Slot| {
            slot.device.health().present && slot.state.try_lock().is_some_and(|s| s.shunned_until <= now)
        };
        if job.choice == Choice::Device {
            let slot = self.slots.iter().find(usable)?;
            network.compact();
            network.export()?;
            return Some((slot, slot.state.try_lock()?));
        }
        let processor = measured.cost(network, rest)?;
        let (slot, device) = self
            .slots
            .iter()
            .filter(usable)
            .filter_map(|slot| Some((slot, self.cost(slot, network, job, rest)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))?;
        let pays = device < processor && network.export().is_some();
        if pays { Some((slot, slot.state.try_lock()?)) } else { None }
    }

    /// Seconds that a device would take.
    fn cost(&self, slot: &Slot, network: &Network, job: &Job<'_>, rest: u64) -> Option<f64> {
        // Somebody else's ticks run there: waiting for them is not counted, being busy counts as not there.
        let mut state = slot.state.try_lock()?;
        state.keep_up(&*slot.device);
        if state.speed.is_none() {
            state.speed = measure::speed(&*slot.device);
        }
        let resident = state.residents.has(job.graph, network.form());
        let on = OnDevice { link: slot.device.link(), speed: state.speed?, resident };
        Some(on.cost(network, rest))
    }
}

fn add(all: &mut Ticked, some: &Ticked) {
    all.ticks += some.ticks;
    all.computed += some.computed;
    all.evaluated += some.evaluated;
}

/// The name of a device.
fn name(device: &dyn ComputeDevice) -> String {
    device.device().map_or_else(|| device.carrier().to_string(), |d| d.name)
}

//! Graphs of lookup tables on a device.

use std::ops::Range;

use compute_protocol::graph::{Form, Owned, Piece, Step, words};
use zerocopy::IntoBytes;

use super::{
    Hardware, dispatch,
    edits::{Changes, Laid, Patches, changes},
    launch,
    plan::{self, Map, Region, Segment, Work},
    shaders,
};
use crate::executor::Failure;

/// Launches of one submission.
const LAUNCHES: usize = 4096;
/// Bytes that a buffer takes beside what is in it, in this process and on the device, about: a schedule may have very many steps.
const BUFFER: u64 = 1024;

/// A kernel with what it is bound to.
pub struct Launch {
    pub pipeline: wgpu::ComputePipeline,
    pub group: wgpu::BindGroup,
    pub workgroups: u32,
}

/// What happens in a tick, in order.
enum Action {
    Launch(Launch),
    /// Words of the second state go to the first.
    Copy {
        word: u32,
        words: u32,
    },
    /// What patches of a step are.
    Patches {
        step: u32,
        after: bool,
    },
}

/// A graph: what the guest made it, and as long as that is not changed, how it lies on the device.
pub struct Kept {
    owned: Owned,
    /// The state, unless only the device knows it.
    states: Option<Vec<u32>>,
    /// And whether the device knows it.
    sent: bool,
    graph: Option<Graph>,
}

impl Kept {
    /// Of empty nodes.
    pub fn empty(nodes: usize, steps: &[Step]) -> Self {
        let states = Some(vec![0; words(nodes)]);
        Self { owned: Owned::empty(nodes, steps.to_vec()), states, sent: false, graph: None }
    }

    /// What the copy here takes, which is about what the device's will.
    pub fn bytes_of(nodes: usize, steps: usize) -> u64 {
        nodes as u64 * 33 + steps as u64 * 8
    }

    /// Bytes of memory: the device's, or what they will be about.
    pub fn bytes(&self) -> u64 {
        let own = Self::bytes_of(self.owned.tables.len(), self.owned.steps.len());
        self.graph.as_ref().map_or(own, |g| (g.bytes + g.patches.bytes()).max(own))
    }

    /// The state, fetched if need be.
    fn fetched(&mut self, hardware: &Hardware) -> Result<&mut Vec<u32>, Failure> {
        if self.states.is_none() {
            let mut states = vec![0; words(self.owned.tables.len())];
            self.graph.as_ref().ok_or(Failure::Lost)?.read(hardware, &mut states)?;
            self.states = Some(states);
        }
        self.states.as_mut().ok_or(Failure::Lost)
    }

    /// Sets nodes. A few go where the old ones lie; of more, the device lays the graph out anew before the next tick.
    pub fn set(&mut self, hardware: &Hardware, piece: &Piece<'_>) -> Result<(), Failure> {
        piece.validate(self.owned.tables.len()).map_err(|_| Failure::Bounds)?;
        if let Some(graph) = &mut self.graph
            && let Some(changes) = changes(&self.owned, piece)
        {
            self.owned.set(piece).map_err(|_| Failure::Bounds)?;
            if graph.patches.add(&changes, self.owned.tables.len()) {
                return graph.set_tables(hardware, &self.owned.form(), &changes);
            }
        }
        self.fetched(hardware)?;
        self.owned.set(piece).map_err(|_| Failure::Bounds)?;
        self.graph = None;
        self.sent = false;
        Ok(())
    }

    /// Sets words of the state.
    pub fn write(&mut self, hardware: &Hardware, first: usize, from: &[u32]) -> Result<(), Failure> {
        let nodes = self.owned.tables.len();
        let end = first.checked_add(from.len()).ok_or(Failure::Bounds)?;
        if end > words(nodes) {
            return Err(Failure::Bounds);
        }
        if from.len() == words(nodes) {
            self.states = Some(from.to_vec());
        } else {
            let own = self.fetched(hardware)?.get_mut(first..end).ok_or(Failure::Bounds)?;
            own.copy_from_slice(from);
        }
        if !nodes.is_multiple_of(32)
            && let Some(last) = self.states.as_mut().and_then(|s| s.last_mut())
        {
            *last &= (1 << (nodes % 32)) - 1;
        }
        self.sent = false;
        Ok(())
    }

    /// Gets words of the state.
    pub fn read(&mut self, hardware: &Hardware, first: usize, into: &mut [u32]) -> Result<(), Failure> {
        let end = first.checked_add(into.len()).ok_or(Failure::Bounds)?;
        if end > words(self.owned.tables.len()) {
            return Err(Failure::Bounds);
        }
        into.copy_from_slice(self.fetched(hardware)?.get(first..end).ok_or(Failure::Bounds)?);
        Ok(())
    }

    /// Runs the schedule; says whether the last time changed any state. `limit` is how much the graph may take.
    pub fn tick(
        &mut self,
        hardware: &mut Hardware,
        limit: u64,
        threads: usize,
        ticks: u32,
    ) -> Result<bool, Failure> {
        if ticks == 0 || self.owned.tables.is_empty() {
            return Ok(false);
        }
        let too_large = |g: &Graph| g.patches.bytes() > 0 && g.bytes + g.patches.bytes() > limit;
        if self.graph.as_ref().is_some_and(too_large) {
            self.fetched(hardware)?;
            self.graph = None;
            self.sent = false;
        }
        let form = self.owned.form();
        let graph = match &mut self.graph {
            Some(graph) => graph,
            none => none.insert(Graph::build(hardware, &form, limit, threads)?),
        };
        graph.patches.make(hardware, &form, &graph.states, !graph.actions[1].is_empty())?;
        if !self.sent {
            graph.write(hardware, self.states.as_deref().ok_or(Failure::Lost)?)?;
            self.sent = true;
        }
        self.states = None;
        graph.tick(hardware, ticks)
    }
}

/// A graph on the device.
struct Graph {
    nodes: usize,
    regions: Vec<Region>,
    words: u32,
    states: [wgpu::Buffer; 2],
    laid: Vec<Laid>,
    patches: Patches,
    /// What a tick does when the first state is the present one, and when the second is. The latter is empty unless a tick's
    /// result is the other state.
    actions: [Vec<Action>; 2],
    present: usize,
    /// Says whether the last tick changed anything; what it compares the state with, where that is not the other state.
    compare: Launch,
    before: Option<wgpu::Buffer>,
    changed: wgpu::Buffer,
    bytes: u64,
}

/// How a step's values reach the state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// They are written where they are read.
    InPlace,
    /// Into the other state, which is copied or becomes the present one.
    Other,
}

/// Uploads and binds segments.
struct Builder<'a> {
    hardware: &'a mut Hardware,
    states: [wgpu::Buffer; 2],
    laid: Vec<Laid>,
    bytes: u64,
    limit: u64,
}

impl Builder<'_> {
    fn upload<T: IntoBytes + zerocopy::Immutable>(&mut self, all: &[T]) -> Result<wgpu::Buffer, Failure> {
        let bytes = all.as_bytes();
        self.bytes += bytes.len() as u64 + BUFFER;
        if self.bytes > self.limit {
            return Err(Failure::Memory);
        }
        self.hardware.upload(bytes)
    }

    fn bound(
        &mut self,
        source: String,
        in_place: bool,
        (into, from): (&wgpu::Buffer, &wgpu::Buffer),
        rest: [&wgpu::Buffer; 3],
        workgroups: u32,
    ) -> Launch {
        let pipeline = self.hardware.pipeline(source);
        let mut buffers = vec![(0, into, None)];
        if !in_place {
            buffers.push((1, from, None));
        }
        buffers.extend((2..).zip(rest).map(|(n, b)| (n, b, None)));
        let group = self.hardware.bind(&pipeline, &buffers);
        Launch { pipeline, group, workgroups }
    }

    /// The launches of a segment: those that pick, and those that evaluate, for each state being the present one.
    fn segment(
        &mut self,
        segment: Segment,
        nodes: Range<u32>,
        target: Target,
        swaps: bool,
    ) -> Result<[Vec<Launch>; 4], Failure> {
        let lanes = self.hardware.lanes;
        let tables = self.upload(&segment.tables)?;
        self.laid.push(Laid { first: nodes.start, count: nodes.len() as u32, tables: tables.clone() });
        let mut launches = [const { Vec::new() }; 4];
        let presents: &[usize] = if swaps { &[0, 1] } else { &[0] };
        match segment.work {
            Work::Direct { sources } => {
                let at_a_time = shaders::at_a_time(lanes);
                let sources = self.upload(&sources)?;
                let block: plan::Block = [0, 0, segment.word, 0, segment.groups, 0, 0, 0];
                let block = self.upload(&[block])?;
                for &present in presents {
                    let (into, from, in_place) = self.ends(target, present);
                    let text = shaders::direct(lanes, in_place);
                    let workgroups = segment.groups.div_ceil(at_a_time);
                    let launch =
                        self.bound(text, in_place, (&into, &from), [&tables, &sources, &block], workgroups);
                    launches[2 + present].push(launch);
                }
            }
            Work::Window { positions, blocks, exchange } => {
                let positions = self.upload(&positions)?;
                let count = blocks.len() as u32;
                let blocks = self.upload(&blocks)?;
                let rest = [&tables, &positions, &blocks];
                if let Some(exchange) = exchange {
                    let stream = self.hardware.storage(u64::from(exchange.words) * 4)?;
                    self.bytes += u64::from(exchange.words) * 4;
                    let tiles = exchange.tiles.len() as u32;
                    let picks = [
                        self.upload(&exchange.targets)?,
                        self.upload(&exchange.offsets)?,
                        self.upload(&exchange.tiles)?,
                    ];
                    let [targets, offsets, list] = &picks;
                    let state = self.states[0].clone();
                    let text = shaders::exchange(lanes);
                    launches[0].push(self.bound(
                        text,
                        false,
                        (&stream, &state),
                        [targets, offsets, list],
                        tiles,
                    ));
                    // The picked bits are a state of their own: nothing is read where it is written.
                    launches[2].push(self.bound(
                        shaders::window(lanes, false),
                        false,
                        (&state, &stream),
                        rest,
                        count,
                    ));
                } else {
                    for &present in presents {
                        let (into, from, in_place) = self.ends(target, present);
                        let text = shaders::window(lanes, in_place);
                        launches[2 + present].push(self.bound(text, in_place, (&into, &from), rest, count));
                    }
                }
            }
        }
        Ok(launches)
    }

    /// Where values go, where they come from, and whether that is one.
    fn ends(&self, target: Target, present: usize) -> (wgpu::Buffer, wgpu::Buffer, bool) {
        let [first, second] = &self.states;
        let (from, other) = if present == 0 { (first, second) } else { (second, first) };
        match target {
            Target::InPlace => (from.clone(), from.clone(), true),
            Target::Other => (other.clone(), from.clone(), false),
        }
    }
}

impl Graph {
    /// With all states 0, within so many bytes.
    fn build(hardware: &mut Hardware, form: &Form<'_>, limit: u64, threads: usize) -> Result<Self, Failure> {
        let map = Map::of(form).ok_or(Failure::Memory)?;
        let state_bytes = u64::from(map.words) * 4;
        let binding = hardware.limits.max_storage_buffer_binding_size;
        if state_bytes > binding {
            return Err(Failure::Memory);
        }
        let states = [hardware.storage(state_bytes)?, hardware.storage(state_bytes)?];
        // The widest form takes 24 bytes a node.
        let most = (binding / 32).min(1 << 26) as u32 / 64 * 64;
        let mut builder = Builder { hardware, states, laid: Vec::new(), bytes: 2 * state_bytes, limit };
        let mut actions = [Vec::new(), Vec::new()];
        for (n, (step, region)) in (0..).zip(form.steps.iter().zip(&map.regions)) {
            let reads_itself = plan::reads_itself(form, *step);
            let patches = |after| Action::Patches { step: n, after };
            actions.iter_mut().for_each(|a| a.push(patches(false)));
            builder.step(form, &map, *step, region, reads_itself, most, threads, &mut actions)?;
            actions.iter_mut().for_each(|a| a.push(patches(true)));
        }
        if let [first, second] = &actions
            && second.len() != first.len()
        {
            actions[1].clear();
        }
        let Builder { states, laid, mut bytes, .. } = builder;
        let mut before = None;
        if actions[1].is_empty() {
            before = Some(hardware.storage(state_bytes)?);
            bytes += state_bytes;
        }
        if bytes > limit {
            return Err(Failure::Memory);
        }
        let changed = hardware.storage(16)?;
        let pipeline = hardware.pipeline(shaders::COMPARE.to_owned());
        let second = before.as_ref().unwrap_or(&states[1]);
        let group =
            hardware.bind(&pipeline, &[(0, &changed, None), (1, &states[0], None), (2, second, None)]);
        let compare = Launch { pipeline, group, workgroups: map.words.div_ceil(256) };
        hardware.wait()?;
        Ok(Self {
            nodes: form.nodes(),
            patches: Patches::none(form, &map.regions, map.words),
            regions: map.regions,
            words: map.words,
            states,
            laid,
            actions,
            present: 0,
            compare,
            before,
            changed,
            bytes,
        })
    }

    /// Writes tables that changed.
    fn set_tables(&self, hardware: &Hardware, form: &Form<'_>, changes: &Changes) -> Result<(), Failure> {
        if changes.tables.is_empty() {
            return Ok(());
        }
        for laid in &self.laid {
            laid.write(hardware, form, &changes.tables);
        }
        hardware.queue.submit([]);
        hardware.wait()
    }

    /// Sets all states.
    fn write(&mut self, hardware: &Hardware, states: &[u32]) -> Result<(), Failure> {
        if states.len() != words(self.nodes) {
            return Err(Failure::Bounds);
        }
        let mut own = vec![0; self.words as usize];
        for region in &self.regions {
            let to = region.word as usize * 32;
            copy_bits(&mut own, to, states, region.first as usize, region.count as usize);
        }
        for state in &self.states {
            hardware.write(state, 0, own.as_bytes());
        }
        self.present = 0;
        hardware.queue.submit([]);
        hardware.wait()
    }

    /// Gets all states.
    fn read(&self, hardware: &Hardware, into: &mut [u32]) -> Result<(), Failure> {
        if into.len() != words(self.nodes) {
            return Err(Failure::Bounds);
        }
        let mut own = vec![0u32; self.words as usize];
        if let Some(state) = self.states.get(self.present) {
            hardware.fetch(hardware.encoder(), (state, 0), own.as_mut_bytes())?;
        }
        into.fill(0);
        for region in &self.regions {
            let from = region.word as usize * 32;
            copy_bits(into, region.first as usize, &own, from, region.count as usize);
        }
        Ok(())
    }

    /// Runs the schedule; says whether the last time changed anything.
    fn tick(&mut self, hardware: &Hardware, ticks: u32) -> Result<bool, Failure> {
        let swaps = !self.actions[1].is_empty();
        let launches = self.actions[0].iter().filter(|a| !matches!(a, Action::Patches { .. })).count();
        let mut left = ticks;
        while left > 0 {
            let now = left.min((LAUNCHES / launches.max(1)).max(1) as u32);
            let mut encoder = hardware.encoder();
            let mut pass: Option<wgpu::ComputePass<'static>> = None;
            for n in 0..now {
                if left - n == 1
                    && let Some(before) = &self.before
                {
                    drop(pass.take());
                    encoder.copy_buffer_to_buffer(&self.states[0], 0, before, 0, None);
                }
                for action in self.actions.get(self.present).unwrap_or(&self.actions[0]) {
                    let next = match action {
                        Action::Launch(l) => Some(l),
                        Action::Patches { step, after } => self.patches.launch(*step, self.present, *after),
                        Action::Copy { word, words } => {
                            drop(pass.take());
                            let (at, bytes) = (u64::from(*word) * 4, u64::from(*words) * 4);
                            let [first, second] = &self.states;
                            encoder.copy_buffer_to_buffer(second, at, first, at, Some(bytes));
                            None
                        }
                    };
                    if let Some(l) = next {
                        let pass = pass.get_or_insert_with(|| {
                            encoder
                                .begin_compute_pass(&wgpu::ComputePassDescriptor::default())
                                .forget_lifetime()
                        });
                        launch(pass, &l.pipeline, &l.group, l.workgroups);
                    }
                }
                if swaps {
                    self.present ^= 1;
                }
            }
            drop(pass);
            hardware.queue.submit([encoder.finish()]);
            left -= now;
        }
        let mut encoder = hardware.encoder();
        encoder.clear_buffer(&self.changed, 0, None);
        dispatch(&mut encoder, &[(&self.compare.pipeline, &self.compare.group, self.compare.workgroups)]);
        let mut changed = [0u32];
        hardware.fetch(encoder, (&self.changed, 0), changed.as_mut_bytes())?;
        Ok(changed != [0])
    }
}

impl Builder<'_> {
    fn step(
        &mut self,
        form: &Form<'_>,
        map: &Map,
        step: Step,
        region: &Region,
        reads_itself: bool,
        most: u32,
        threads: usize,
        actions: &mut [Vec<Action>; 2],
    ) -> Result<(), Failure> {
        let target = if reads_itself { Target::Other } else { Target::InPlace };
        // A schedule of one step needs no copy: the states change places.
        let swaps = reads_itself && form.steps.len() == 1;
        let (mut picks, mut picked, mut evaluations, mut swapped) = (vec![], vec![], vec![], vec![]);
        let mut copies = Vec::new();
        let mut first = step.first;
        while first < step.end() {
            let count = most.min(step.end() - first);
            let word = region.word + (first - step.first) / 32;
            let segment = plan::segment(form, map, first..first + count, word, threads);
            let picks_bits = matches!(&segment.work, Work::Window { exchange: Some(_), .. });
            let [a, b, c, d] = self.segment(segment, first..first + count, target, swaps)?;
            picks.extend(a.into_iter().chain(b));
            if picks_bits {
                picked.extend(c);
            } else {
                evaluations.extend(c);
                swapped.extend(d);
                if reads_itself {
                    copies.push(Action::Copy { word, words: count.div_ceil(64) * 2 });
                }
            }
            first += count;
        }
        let [actions, other] = actions;
        if swaps && picks.is_empty() {
            actions.extend(evaluations.into_iter().map(Action::Launch));
            other.extend(swapped.into_iter().map(Action::Launch));
            return Ok(());
        }
        // What reads the state comes before what writes to it.
        actions.extend(picks.into_iter().chain(evaluations).chain(picked).map(Action::Launch));
        actions.extend(copies);
        Ok(())
    }
}

/// Copies bits between words.
fn copy_bits(to: &mut [u32], mut to_bit: usize, from: &[u32], mut from_bit: usize, mut count: usize) {
    if to_bit.is_multiple_of(32) && from_bit.is_multiple_of(32) {
        let (at, of, words) = (to_bit / 32, from_bit / 32, count / 32);
        if let (Some(to), Some(from)) = (to.get_mut(at..at + words), from.get(of..of + words)) {
            to.copy_from_slice(from);
            (to_bit, from_bit, count) = (to_bit + words * 32, from_bit + words * 32, count - words * 32);
        }
    }
    while count > 0 {
        let now = count.min(32 - to_bit % 32);
        let (at, shift) = (from_bit / 32, from_bit % 32);
        let half = |n: usize| u64::from(from.get(at + n).copied().unwrap_or(0));
        let bits = ((half(0) | half(1) << 32) >> shift) as u32;
        let mask = (((1u64 << now) - 1) as u32) << (to_bit % 32);
        if let Some(word) = to.get_mut(to_bit / 32) {
            *word = *word & !mask | bits << (to_bit % 32) & mask;
        }
        to_bit += now;
        from_bit += now;
        count -= now;
    }
}

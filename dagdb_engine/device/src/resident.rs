//! Graphs that a device holds, and bringing them there.

use alloc::{vec, vec::Vec};
use core::hash::Hasher;

use compute_protocol::{Command, Span, Status, graph::NONE};
use dagdb_tick::{Export, Form, NO_SEAT};
use platform::compute::{Buffer, ComputeDevice, ComputeError};
use twox_hash::XxHash64;

use crate::Usage;

/// Nodes that are looked at together, and sent by one command if it takes so many.
pub const PIECE: u32 = 1 << 15;
/// Nodes that are compared: if one of them changed, all of these are sent.
pub const GRAIN: u32 = 1 << 7;

const _: () = assert!(NONE == NO_SEAT);

/// A graph on a device.
struct Resident {
    graph: u64,
    /// The number that the device knows it by.
    id: u32,
    form: Form,
    seats: u32,
    steps: Vec<(u32, u32)>,
    /// By grain; 0: it is not there.
    hashes: Vec<u64>,
    used: u64,
}

/// The graphs on a device.
#[derive(Default)]
pub struct Residents {
    list: Vec<Resident>,
    next_id: u32,
    clock: u64,
}

/// Executes a command whose answer does not matter, and takes note of what it cost.
pub fn send(
    device: &dyn ComputeDevice,
    command: &Command,
    buffers: &mut [Buffer<'_>],
    interrupted: &dyn Fn() -> bool,
    usage: &mut Usage,
) -> Result<(), ComputeError> {
    let bytes: usize = buffers
        .iter()
        .map(|b| match b {
            Buffer::From(b) => b.len(),
            Buffer::Into(b) => b.len(),
        })
        .sum();
    let begun = platform::time::monotonic();
    let result = device.execute(command, buffers, interrupted);
    usage.transfer += platform::time::monotonic().saturating_sub(begun);
    usage.bytes += bytes as u64;
    match result?.status {
        Status::Done => Ok(()),
        status => Err(ComputeError::Refused(status)),
    }
}

/// All of a buffer.
pub fn whole(buffer: u32, bytes: &[u8]) -> Span {
    Span { resource: buffer, offset: 0, length: bytes.len() as u64 }
}

impl Residents {
    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether a graph is there in this form.
    pub fn has(&self, graph: u64, form: Form) -> bool {
        self.list.iter().any(|r| r.graph == graph && r.form == form)
    }

    /// The device lost everything.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// A graph is not needed any more. That the device may fail at it does not matter: it is not asked for it again.
    pub fn forget(&mut self, graph: u64, device: &dyn ComputeDevice) {
        self.list.retain(|r| {
            if r.graph == graph {
                let _ = device.execute(&Command::Drop { id: r.id }, &mut [], &|| false);
            }
            r.graph != graph
        });
    }

    /// Forgets all graphs.
    pub fn clear_from(&mut self, device: &dyn ComputeDevice) {
        while let Some(graph) = self.list.first().map(|r| r.graph) {
            self.forget(graph, device);
        }
    }

    /// Forgets what was not used for longest; false: there is nothing but `graph`.
    fn make_room(&mut self, graph: u64, device: &dyn ComputeDevice) -> bool {
        let oldest = self.list.iter().filter(|r| r.graph != graph).min_by_key(|r| r.used).map(|r| r.graph);
        oldest.inspect(|&g| self.forget(g, device)).is_some()
    }

    /// Sees to it that a graph is there in this form; gives its number. Other graphs make room where they must.
    pub fn bring(
        &mut self,
        graph: u64,
        form: Form,
        export: &Export<'_>,
        device: &dyn ComputeDevice,
        interrupted: &dyn Fn() -> bool,
        usage: &mut Usage,
    ) -> Result<u32, ComputeError> {
        self.clock += 1;
        let clock = self.clock;
        let found = self.list.iter_mut().find(|r| r.graph == graph);
        if let Some(r) = found.filter(|r| r.seats == export.seats() && r.steps == export.steps()) {
            r.used = clock;
            if r.form != form {
                update(r, form, export, device, interrupted, usage)?;
            }
            return Ok(r.id);
        }
        self.forget(graph, device);
        loop {
            self.next_id = self.next_id.wrapping_add(1).max(1);
            let id = self.next_id;
            match create(id, export, device, interrupted, usage) {
                Ok(()) => {}
                Err(ComputeError::Refused(Status::Memory)) if self.make_room(graph, device) => continue,
                Err(e) => {
                    // Who does not wait for the answer does not know whether it is there.
                    let _ = device.execute(&Command::Drop { id }, &mut [], &|| false);
                    return Err(e);
                }
            }
            self.list.push(Resident {
                graph,
                id,
                form,
                seats: export.seats(),
                steps: export.steps().to_vec(),
                hashes: vec![0; export.seats().div_ceil(GRAIN) as usize],
                used: clock,
            });
            if let Some(r) = self.list.last_mut() {
                update(r, form, export, device, interrupted, usage)?;
            }
            return Ok(id);
        }
    }
}

/// Makes a graph without nodes to speak of.
fn create(
    id: u32,
    export: &Export<'_>,
    device: &dyn ComputeDevice,
    interrupted: &dyn Fn() -> bool,
    usage: &mut Usage,
) -> Result<(), ComputeError> {
    let steps: Vec<u8> =
        export.steps().iter().flat_map(|s| [s.0.to_le_bytes(), s.1.to_le_bytes()]).flatten().collect();
    let command = Command::Graph {
        graph: id,
        nodes: export.seats(),
        steps: export.steps().len() as u32,
        schedule: whole(0, &steps),
    };
    send(device, &command, &mut [Buffer::From(&steps)], interrupted, usage)
}

/// Nodes of a graph on a device.
pub struct NodesOf<'a> {
    /// The graph's number.
    pub graph: u32,
    /// The first node's.
    pub first: u32,
    pub tables: &'a [u64],
    /// Those of slot 0 of all nodes, then those of slot 1, and so on.
    pub sources: &'a [u32],
}

impl NodesOf<'_> {
    /// Sends runs of them, given as where they begin and how many nodes they are.
    fn send(
        &self,
        runs: &[(usize, usize)],
        device: &dyn ComputeDevice,
        interrupted: &dyn Fn() -> bool,
        usage: &mut Usage,
    ) -> Result<(), ComputeError> {
        let count = self.tables.len();
        let (mut places, mut tables, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        for &(at, length) in runs {
            places.extend((self.first + at as u32).to_le_bytes());
            places.extend((length as u32).to_le_bytes());
            tables.extend(self.tables.iter().skip(at).take(length).flat_map(|t| t.to_le_bytes()));
        }
        for slot in 0..6 {
            for &(at, length) in runs {
                let of = self.sources.iter().skip(slot * count + at).take(length);
                sources.extend(of.flat_map(|s| s.to_le_bytes()));
            }
        }
        let command = Command::Nodes {
            graph: self.graph,
            runs: runs.len() as u32,
            nodes: (tables.len() / 8) as u32,
            places: whole(0, &places),
            tables: whole(1, &tables),
            sources: whole(2, &sources),
        };
        let mut buffers = [Buffer::From(&places), Buffer::From(&tables), Buffer::From(&sources)];
        send(device, &command, &mut buffers, interrupted, usage)
    }
}

/// Sends runs of nodes, given as where they begin and how many nodes they are: as many a command as fit.
pub fn send_nodes(
    device: &dyn ComputeDevice,
    nodes: &NodesOf<'_>,
    runs: &[(usize, usize)],
    interrupted: &dyn Fn() -> bool,
    usage: &mut Usage,
) -> Result<(), ComputeError> {
    let most = (device.link().largest / 40).clamp(64, u64::from(PIECE)) as usize;
    let (mut some, mut room) = (Vec::new(), most);
    for &(mut at, mut length) in runs {
        while length > 0 {
            let now = length.min(room);
            some.push((at, now));
            (at, length, room) = (at + now, length - now, room - now);
            if room == 0 {
                nodes.send(&some, device, interrupted, usage)?;
                some.clear();
                room = most;
            }
        }
    }
    if some.is_empty() { Ok(()) } else { nodes.send(&some, device, interrupted, usage) }
}

/// Sends what is not as the device has it. If it ends early, what was sent is known.
fn update(
    resident: &mut Resident,
    form: Form,
    export: &Export<'_>,
    device: &dyn ComputeDevice,
    interrupted: &dyn Fn() -> bool,
    usage: &mut Usage,
) -> Result<(), ComputeError> {
    let (mut tables, mut sources) = (Vec::new(), Vec::new());
    let grains = (PIECE / GRAIN) as usize;
    for (first, known) in (0..export.seats()).step_by(PIECE as usize).zip(resident.hashes.chunks_mut(grains))
    {
        let count = PIECE.min(export.seats() - first) as usize;
        tables.resize(count, 0);
        sources.resize(6 * count, NONE);
        export.fill(first, &mut tables, &mut sources);
        let mut runs: Vec<(usize, usize)> = Vec::new();
        let mut hashes = Vec::with_capacity(known.len());
        for (at, known) in (0..count).step_by(GRAIN as usize).zip(known.iter_mut()) {
            let length = (GRAIN as usize).min(count - at);
            let hash = hash(&tables, &sources, at, length);
            hashes.push(hash);
            if *known == hash {
                continue;
            }
            // Until all of it is there, it is neither the old nor the new one.
            *known = 0;
            match runs.last_mut() {
                Some((begin, before)) if *begin + *before == at => *before += length,
                _ => runs.push((at, length)),
            }
        }
        if runs.is_empty() {
            continue;
        }
        if interrupted() {
            return Err(ComputeError::Interrupted);
        }
        let nodes = NodesOf { graph: resident.id, first, tables: &tables, sources: &sources };
        send_nodes(device, &nodes, &runs, interrupted, usage)?;
        known.copy_from_slice(&hashes);
    }
    resident.form = form;
    Ok(())
}

/// Of nodes from one on. Never 0: that is what is not there.
fn hash(tables: &[u64], sources: &[u32], at: usize, length: usize) -> u64 {
    let mut hasher = XxHash64::with_seed(0);
    tables.iter().skip(at).take(length).for_each(|t| hasher.write_u64(*t));
    for slot in sources.chunks(tables.len().max(1)) {
        let of = slot.get(at..at + length).unwrap_or(&[]);
        of.chunks(2).for_each(|s| hasher.write_u64(s.iter().fold(0, |all, &s| all << 32 | u64::from(s))));
    }
    hasher.finish().max(1)
}

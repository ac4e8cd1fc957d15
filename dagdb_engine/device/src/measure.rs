//! How fast a device is, found out with graphs made for it.

use alloc::vec::Vec;

use compute_protocol::{Command, Status, graph::NONE};
use platform::compute::{Buffer, ComputeDevice, ComputeError};

use crate::{
    Usage,
    resident::{send, whole},
};

/// What a device's time goes into.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Nodes a second.
    pub rate: f64,
    /// Seconds for a step, however few nodes it has.
    pub step: f64,
}

/// Number of the graphs here; those of others are below.
const ID: u32 = u32::MAX;
/// Nodes of one that is evaluated at once.
const WIDE: u32 = 1 << 15;
/// Steps of one that is evaluated node by node.
const DEEP: u32 = 64;
/// Ticks of one measurement, the second of two.
const TICKS: u32 = 16;

/// Measures a device; `None`: it failed.
pub fn speed(device: &dyn ComputeDevice) -> Option<Speed> {
    let seconds = |nodes, steps| seconds(device, nodes, steps).ok();
    let per_tick = |seconds: f64| seconds / f64::from(TICKS);
    let step = per_tick(seconds(DEEP, DEEP)?) / f64::from(DEEP);
    let wide = per_tick(seconds(WIDE, 1)?);
    Some(Speed { rate: f64::from(WIDE) / (wide - step).max(wide / 8.0).max(1e-9), step })
}

/// Of [`TICKS`] ticks of a graph of so many nodes, each reading six others that lie anywhere, in so many steps.
fn seconds(device: &dyn ComputeDevice, nodes: u32, steps: u32) -> Result<f64, ComputeError> {
    let never = || false;
    let mut usage = Usage::default();
    let per_step = nodes / steps.max(1);
    let schedule: Vec<u8> =
        (0..steps).flat_map(|s| [(s * per_step).to_le_bytes(), per_step.to_le_bytes()]).flatten().collect();
    let graph = Command::Graph { graph: ID, nodes, steps, schedule: whole(0, &schedule) };
    send(device, &graph, &mut [Buffer::From(&schedule)], &never, &mut usage)?;
    let mut random = 1u64;
    let mut next = || {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (random >> 33) as u32
    };
    let places = [0u32.to_le_bytes(), nodes.to_le_bytes()].concat();
    let tables: Vec<u8> = (0..2 * nodes).flat_map(|_| next().to_le_bytes()).collect();
    let source = |at: u32| if steps == 1 { at % nodes } else { NONE };
    let sources: Vec<u8> = (0..6 * nodes).flat_map(|_| source(next()).to_le_bytes()).collect();
    let command = Command::Nodes {
        graph: ID,
        runs: 1,
        nodes,
        places: whole(0, &places),
        tables: whole(1, &tables),
        sources: whole(2, &sources),
    };
    let mut buffers = [Buffer::From(&places), Buffer::From(&tables), Buffer::From(&sources)];
    let mut took = send(device, &command, &mut buffers, &never, &mut usage).map(|()| 0.0);
    // The first time includes what is done once.
    for ticks in [1, TICKS] {
        if took.is_ok() {
            took = tick(device, ticks);
        }
    }
    send(device, &Command::Drop { id: ID }, &mut [], &never, &mut usage)?;
    took
}

fn tick(device: &dyn ComputeDevice, ticks: u32) -> Result<f64, ComputeError> {
    let reply = device.execute(&Command::Tick { graph: ID, ticks }, &mut [], &|| false)?;
    match reply.status {
        Status::Done => Ok(reply.compute_ns as f64 / 1e9),
        status => Err(ComputeError::Refused(status)),
    }
}

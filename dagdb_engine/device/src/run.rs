//! A run: values there, ticks, values back.

use alloc::{vec, vec::Vec};
use core::time::Duration;

use compute_protocol::{Answer, Command, Span, Status};
use dagdb_tick::{Export, Network, Ticked};
use platform::{
    compute::{Buffer, ComputeDevice, ComputeError},
    sync::MutexGuard,
    time::monotonic,
};

use crate::{
    Choice, Job, SHUNNED, Slot, State, Usage, measure, name,
    resident::{send, whole},
    stream::Stream,
};

/// Time that one command may take: between two, the caller may be cancelled.
const COMMAND: Duration = Duration::from_millis(50);
/// Ticks of one command: numbers with many divisors, so that what repeats itself is likely to do so between two commands.
const TICKS: [u32; 15] = [1, 2, 4, 6, 12, 24, 60, 120, 360, 840, 2520, 5040, 27_720, 55_440, 720_720];

/// Ticks on a device as long as all goes well. What was done is done, however it ends.
pub fn run(
    slot: &Slot,
    mut state: MutexGuard<'_, State>,
    network: &mut Network,
    job: &Job<'_>,
    count: u64,
    usage: &mut Usage,
) -> (Ticked, Result<(), ComputeError>) {
    let device = &*slot.device;
    let mut done = Ticked::default();
    usage.device = Some(name(device));
    let mut values = Vec::new();
    let end = ticks(device, &mut state, network, job, count, &mut values, &mut done, usage);
    if end.is_err_and(|e| e != ComputeError::Interrupted) {
        state.shunned_until = monotonic() + SHUNNED;
    }
    drop(state);
    if done.ticks > 0 {
        network.import_values(&values, done.ticks);
    }
    (done, end)
}

/// `values` are those after the ticks in `done`.
fn ticks(
    device: &dyn ComputeDevice,
    state: &mut State,
    network: &Network,
    job: &Job<'_>,
    count: u64,
    values: &mut Vec<u32>,
    done: &mut Ticked,
    usage: &mut Usage,
) -> Result<(), ComputeError> {
    let interrupted = || !(job.go_on)();
    let Some(export) = network.export() else { return Err(ComputeError::Refused(Status::Unsupported)) };
    state.keep_up(device);
    if state.speed.is_none() && count > 1 {
        state.speed = measure::speed(device);
    }
    *values = network.export_values(&export);
    let brought = state.residents.bring(job.graph, network.form(), &export, device, &interrupted, usage);
    let graph = match brought {
        Err(ComputeError::Refused(Status::Memory)) if job.choice == Choice::Device => {
            state.residents.clear_from(device);
            return in_parts(device, &export, job, count, &interrupted, (values, done, usage));
        }
        brought => brought?,
    };
    write(device, graph, values, &interrupted, usage)?;
    let (nodes, steps) = (f64::from(export.seats()), export.steps().len() as f64);
    while done.ticks < count {
        let before = done.ticks;
        let rest = if export.has_registers() { count - done.ticks } else { 1 };
        let one = state.speed.map_or(COMMAND.as_secs_f64(), |s| nodes / s.rate + steps * s.step);
        let fit = COMMAND.as_secs_f64() / one.max(1e-9);
        let at_a_time = TICKS.iter().rev().find(|&&t| f64::from(t) <= fit).copied().unwrap_or(1);
        let ticks = u32::try_from(rest).unwrap_or(u32::MAX).min(at_a_time);
        let moved = tick(device, graph, ticks, &interrupted, usage, |seconds| {
            if let Some(speed) = &mut state.speed {
                let for_nodes =
                    (seconds / f64::from(ticks) - steps * speed.step).max(seconds / f64::from(ticks) / 8.0);
                // Graphs differ, and so does what else the device does.
                speed.rate = 0.75 * speed.rate + 0.25 * nodes / for_nodes.max(1e-9);
            }
        })?;
        let mut after = vec![0; values.len()];
        read(device, graph, &mut after, &interrupted, usage)?;
        done.ticks += u64::from(ticks);
        done.computed += u64::from(ticks);
        done.evaluated += u64::from(ticks) * u64::from(export.seats() - 1);
        if !export.has_registers() || !moved {
            // All further ones change nothing.
            done.ticks = count;
        } else if after == *values {
            // What came back once comes back every so many ticks.
            let rest = count - done.ticks;
            done.ticks += rest - rest % u64::from(ticks);
        }
        *values = after;
        (job.did)(done.ticks - before);
    }
    Ok(())
}

/// Ticks of a graph that does not fit.
fn in_parts(
    device: &dyn ComputeDevice,
    export: &Export<'_>,
    job: &Job<'_>,
    count: u64,
    interrupted: &dyn Fn() -> bool,
    (values, done, usage): (&mut Vec<u32>, &mut Ticked, &mut Usage),
) -> Result<(), ComputeError> {
    let mut stream = Stream::new(device, export, interrupted);
    while done.ticks < count {
        let before = values.clone();
        stream.tick(values, usage)?;
        done.computed += 1;
        done.evaluated += u64::from(export.seats() - 1);
        // A tick that changes nothing is followed by such ticks only.
        let more = if !export.has_registers() || before == *values { count - done.ticks } else { 1 };
        done.ticks += more;
        (job.did)(more);
    }
    Ok(())
}

/// Runs ticks; says whether the last one changed anything.
pub fn tick(
    device: &dyn ComputeDevice,
    graph: u32,
    ticks: u32,
    interrupted: &dyn Fn() -> bool,
    usage: &mut Usage,
    took: impl FnOnce(f64),
) -> Result<bool, ComputeError> {
    let begun = monotonic();
    let reply = device.execute(&Command::Tick { graph, ticks }, &mut [], interrupted)?;
    let all = monotonic().saturating_sub(begun);
    let compute = Duration::from_nanos(reply.compute_ns).min(all);
    usage.commands += 1;
    usage.ticks += u64::from(ticks);
    usage.compute += compute;
    usage.transfer += all.saturating_sub(compute);
    took(compute.as_secs_f64());
    match (reply.status, reply.answer) {
        (Status::Done, Answer::Ticked(moved)) => Ok(moved),
        (Status::Done, _) => Ok(true),
        (status, _) => Err(ComputeError::Refused(status)),
    }
}

/// Words that fit one command.
fn words(device: &dyn ComputeDevice) -> usize {
    (device.link().largest / 4).clamp(16, 1 << 24) as usize
}

/// Sets a graph's values.
pub fn write(
    device: &dyn ComputeDevice,
    graph: u32,
    values: &[u32],
    interrupted: &dyn Fn() -> bool,
    usage: &mut Usage,
) -> Result<(), ComputeError> {
    let at_a_time = words(device);
    for (n, piece) in values.chunks(at_a_time).enumerate() {
        let bytes: Vec<u8> = piece.iter().flat_map(|w| w.to_le_bytes()).collect();
        let first = (n * at_a_time) as u32;
        let command = Command::WriteState { graph, first, from: whole(0, &bytes) };
        send(device, &command, &mut [Buffer::From(&bytes)], interrupted, usage)?;
    }
    Ok(())
}

/// Gets a graph's values.
pub fn read(
    device: &dyn ComputeDevice,
    graph: u32,
    values: &mut [u32],
    interrupted: &dyn Fn() -> bool,
    usage: &mut Usage,
) -> Result<(), ComputeError> {
    let at_a_time = words(device);
    for (n, piece) in values.chunks_mut(at_a_time).enumerate() {
        let mut bytes = vec![0; piece.len() * 4];
        let into = Span { resource: 0, offset: 0, length: bytes.len() as u64 };
        let command = Command::ReadState { graph, first: (n * at_a_time) as u32, into };
        send(device, &command, &mut [Buffer::Into(&mut bytes)], interrupted, usage)?;
        for (to, from) in piece.iter_mut().zip(bytes.chunks_exact(4)) {
            *to = from.try_into().map_or(0, u32::from_le_bytes);
        }
    }
    Ok(())
}

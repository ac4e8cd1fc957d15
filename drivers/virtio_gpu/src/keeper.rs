//! The task that starts the device, watches it, and looks for it again.

use crate::{
    GpuError,
    device::{Failure, Run, Shared, State},
    flights::Flights,
    hardware::Carrier,
    message::{Message, RUNS},
    pool::{LARGEST, PIECE, PIECES},
    probe::Backoff,
};
use alloc::{format, string::String, vec, vec::Vec};
use compute_protocol::{
    Answer, Command, Span,
    answer::Device,
    carrier::{Capset, CarrierError, take},
};
use core::time::Duration;
use driver_virtio::VirtioError;
use platform::{
    compute::{Buffer, ComputeError, Link},
    sync::MutexGuard,
    time::monotonic,
};

/// Round trips measured; bulk transfers are a third of it.
const ROUNDS: usize = 9;
/// A table of the driver's own, to measure with. Nobody else has one then.
const TABLE: u32 = u32::MAX;

/// Runs until the device is not wanted any more, or turns out to be somebody else's.
pub(crate) fn keep(shared: &Shared) {
    let mut backoff = Backoff::new(shared.options.pause);
    loop {
        let begun = monotonic();
        let up = match bring_up(shared) {
            Ok(instance) => {
                watch(shared, instance);
                monotonic().saturating_sub(begun)
            }
            Err(e) if leave_alone(shared, &e) => {
                log::info!("gpu: the {} is somebody else's: {e}", shared.hw.carrier().name());
                let mut st = shared.state.lock();
                let epoch = st.epoch;
                shared.lose(&mut st, epoch, &"not a compute device");
                return clear(shared, st);
            }
            Err(e) => {
                let level = if backoff.is_first() { log::Level::Warn } else { log::Level::Debug };
                log::log!(level, "gpu: {} does not come up: {e}", shared.hw.carrier().name());
                let mut st = shared.state.lock();
                let epoch = st.epoch;
                shared.lose(&mut st, epoch, &e);
                Duration::ZERO
            }
        };
        let until = monotonic() + backoff.failed(up);
        let mut st = shared.state.lock();
        while !st.stop && monotonic() < until {
            st = shared.bell.wait_timeout(st, until.saturating_sub(monotonic())).0;
        }
        let stop = st.stop;
        if stop {
            let epoch = st.epoch;
            shared.lose(&mut st, epoch, &"stopped");
        }
        clear(shared, st);
        if stop {
            return;
        }
    }
}

/// Whether the device was never ours. One that was may be replaced while nobody looks.
fn leave_alone(shared: &Shared, e: &GpuError) -> bool {
    let known = shared.state.lock().device.is_some();
    let foreign = matches!(
        e,
        GpuError::Carrier(CarrierError::Foreign | CarrierError::Refused(_))
            | GpuError::Transport(VirtioError::NotSupported(_))
    );
    // A socket device of another kind does not answer at all.
    let silent = shared.hw.carrier() == Carrier::Socket && matches!(e, GpuError::Lost(_));
    !known && (foreign || silent)
}

/// Resets a lost device; what was under way is free then.
fn clear(shared: &Shared, mut st: MutexGuard<'_, State>) {
    let Some(Run { port, flights, .. }) = st.dead.take() else { return };
    drop(st);
    drop(port);
    let mut st = shared.state.lock();
    for piece in flights.into_pieces() {
        st.pool.put(piece);
    }
    drop(st);
    shared.room.notify_all();
}

/// Starts the device and finds out what it is. Its instance.
fn bring_up(shared: &Shared) -> Result<u64, GpuError> {
    let port = shared.hw.start()?;
    let epoch = {
        let mut st = shared.state.lock();
        st.epoch += 1;
        let epoch = st.epoch;
        st.run = Some(Run { epoch, port, flights: Flights::default() });
        epoch
    };
    let say = |message: &Message, limit: Duration| -> Result<Vec<u8>, Failure> {
        shared.transact(epoch, message, None, limit, true, &|| stopped(shared)).map(|(rest, _)| rest)
    };
    let capset = capset(&say(&Message::get_capset(), shared.options.probe_limit)?)?;
    let pieces = pieces(&capset, shared.hw.budget())?;
    shared.state.lock().pool.set_limit(pieces);
    say(&Message::create_context(), shared.options.heartbeat_limit)?;
    let device = describe(shared, epoch)?;
    let link = measure(shared, epoch)?;
    let mut st = shared.state.lock();
    if st.run.as_ref().is_none_or(|r| r.epoch != epoch) {
        return Err(GpuError::Lost(st.ended.clone()));
    }
    log::info!("gpu: {}", description(&device, shared.hw.carrier(), &link));
    (st.device, st.link, st.present) = (Some(device), link, true);
    Ok(capset.instance)
}

fn stopped(shared: &Shared) -> bool {
    shared.state.lock().stop
}

fn capset(bytes: &[u8]) -> Result<Capset, GpuError> {
    let (capset, _): (Capset, _) = take(bytes)?;
    capset.check()?;
    Ok(capset)
}

/// How many pieces there may be.
fn pieces(capset: &Capset, budget: u64) -> Result<usize, GpuError> {
    let piece = PIECE as u64;
    if capset.resource_bytes < piece {
        return Err(GpuError::Limits("bytes of a resource"));
    }
    if (capset.entries as usize) < RUNS {
        return Err(GpuError::Limits("runs of a resource's memory"));
    }
    let allowed = (capset.attached_bytes / piece).min(capset.resources.into());
    if allowed == 0 {
        return Err(GpuError::Limits("resources"));
    }
    Ok(allowed.min((budget / piece).max(1)).min(PIECES as u64) as usize)
}

fn ask(
    shared: &Shared,
    epoch: u64,
    command: &Command,
    buffers: &mut [Buffer<'_>],
) -> Result<Answer, GpuError> {
    match shared.command(epoch, command, buffers, &|| stopped(shared)) {
        Ok(reply) => Ok(reply.answer),
        Err(ComputeError::Lost | ComputeError::Absent) => {
            Err(GpuError::Lost(shared.state.lock().ended.clone()))
        }
        Err(ComputeError::Interrupted) => Err(GpuError::Stopped),
        Err(ComputeError::Refused(_) | ComputeError::TooLarge) => Err(GpuError::Command),
    }
}

fn describe(shared: &Shared, epoch: u64) -> Result<Device, GpuError> {
    match ask(shared, epoch, &Command::Describe, &mut [])? {
        Answer::Device(device) => Ok(device),
        _ => Err(GpuError::Command),
    }
}

/// The way there and back, as commands find it: with the copies to and from the piece.
fn measure(shared: &Shared, epoch: u64) -> Result<Link, GpuError> {
    let timed = |command: &Command, buffers: &mut [Buffer<'_>]| {
        let begun = monotonic();
        ask(shared, epoch, command, buffers)?;
        Ok::<_, GpuError>(monotonic().saturating_sub(begun))
    };
    let round_trip = median(ROUNDS, || timed(&Command::Describe, &mut []))?;
    let length = LARGEST as u64;
    let span = Span { resource: 0, offset: 0, length };
    ask(shared, epoch, &Command::Create { table: TABLE, bytes: length }, &mut [])?;
    let mut data = vec![0x5a; LARGEST];
    let write = Command::Write { table: TABLE, offset: 0, from: span };
    let up = median(ROUNDS / 3, || timed(&write, &mut [Buffer::From(&data)]))?;
    let read = Command::Read { table: TABLE, offset: 0, into: span };
    let down = median(ROUNDS / 3, || timed(&read, &mut [Buffer::Into(&mut data)]))?;
    ask(shared, epoch, &Command::Drop { id: TABLE }, &mut [])?;
    Ok(Link { round_trip, upload: rate(up), download: rate(down), largest: length })
}

/// Bytes a second.
fn rate(took: Duration) -> u64 {
    let nanos = took.as_nanos().max(1);
    u64::try_from(LARGEST as u128 * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

fn median(rounds: usize, mut once: impl FnMut() -> Result<Duration, GpuError>) -> Result<Duration, GpuError> {
    let mut all = (0..rounds).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
    all.sort_unstable();
    Ok(all.get(rounds / 2).copied().unwrap_or_default())
}

fn description(device: &Device, carrier: Carrier, link: &Link) -> String {
    let millions = |rate: u64| rate / 1_000_000;
    format!(
        "{} by {}, {} us round trip, {} MB/s up, {} MB/s down",
        device.name,
        carrier.name(),
        link.round_trip.as_micros(),
        millions(link.upload),
        millions(link.download)
    )
}

/// Asks for signs of life until there is none, or nobody wants the device any more.
fn watch(shared: &Shared, instance: u64) {
    loop {
        let mut st = shared.state.lock();
        let until = monotonic() + shared.options.heartbeat;
        while !st.stop && st.run.is_some() && monotonic() < until {
            st = shared.bell.wait_timeout(st, until.saturating_sub(monotonic())).0;
        }
        let Some(run) = st.run.as_ref().filter(|_| !st.stop) else { return };
        let epoch = run.epoch;
        let wrong = if !run.port.works() {
            Some("the device says that it needs a reset")
        } else if run.flights.late(monotonic()) {
            Some("no answer in time")
        } else {
            None
        };
        if let Some(why) = wrong {
            return shared.lose(&mut st, epoch, &why);
        }
        drop(st);
        let limit = shared.options.heartbeat_limit;
        let alive = shared.transact(epoch, &Message::get_capset(), None, limit, true, &|| stopped(shared));
        let same = match alive {
            Ok((rest, _)) => capset(&rest).is_ok_and(|c| c.instance == instance),
            Err(Failure::Interrupted | Failure::Lost) => continue,
            Err(Failure::Refused(_)) => false,
        };
        if !same {
            return shared.lose(&mut shared.state.lock(), epoch, &"another device answers");
        }
        trim(shared, epoch);
    }
}

/// Gives memory back that was not used for a while.
fn trim(shared: &Shared, epoch: u64) {
    let Some(since) = monotonic().checked_sub(shared.options.idle) else { return };
    // There are no more pieces than that.
    for _ in 0..PIECES {
        let piece = {
            let mut st = shared.state.lock();
            // What takes memory away waits for commands under way.
            if st.run.as_ref().is_none_or(|r| r.flights.under_way() > 0) {
                return;
            }
            st.pool.take_idle(since)
        };
        let Some(piece) = piece else { return };
        let resource = piece.resource;
        let mut piece = Some(piece);
        if piece.as_ref().is_some_and(|p| p.attached == Some(epoch)) {
            for message in [Message::detach_resource(resource), Message::forget_resource(resource)] {
                let limit = shared.options.command_limit;
                match shared.transact(epoch, &message, piece, limit, true, &|| false) {
                    Ok((_, along)) => piece = along,
                    // Whether the device has the piece is not known.
                    Err(Failure::Refused(e)) => return shared.lose(&mut shared.state.lock(), epoch, &e),
                    // The piece is with the device until it was reset.
                    Err(_) => return,
                }
            }
        }
        drop(piece);
        shared.state.lock().pool.forget(resource);
    }
}

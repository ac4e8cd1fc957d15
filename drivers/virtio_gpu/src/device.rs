//! The device as the engine sees it, and how its messages travel.

use crate::{
    GpuError,
    flights::Flights,
    hardware::{Hardware, Port},
    keeper,
    message::Message,
    pool::{LARGEST, Piece, Pool},
};
use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use compute_protocol::{
    Command, Reply,
    answer::Device,
    carrier::{CarrierError, response},
};
use core::{fmt, time::Duration};
use platform::{
    compute::{Buffer, ComputeDevice, ComputeError, Health, Link},
    sync::{Condvar, Mutex, MutexGuard},
    task,
    time::monotonic,
};

/// A task that waits looks at least this often whether it still should, and whether an interrupt got lost.
pub(crate) const SLICE: Duration = Duration::from_millis(5);

/// Time limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A command that takes longer is the device's end.
    pub command_limit: Duration,
    /// How often the device is asked for a sign of life.
    pub heartbeat: Duration,
    /// How long it may take to give one. Anything but a command has this limit.
    pub heartbeat_limit: Duration,
    /// How long a device that may not be one may take to say what it is.
    pub probe_limit: Duration,
    /// The first pause before a lost device is looked for again.
    pub pause: Duration,
    /// Memory that was not used for so long is given back.
    pub idle: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            command_limit: Duration::from_secs(30),
            heartbeat: Duration::from_secs(2),
            heartbeat_limit: Duration::from_secs(5),
            probe_limit: Duration::from_secs(2),
            pause: Duration::from_secs(1),
            idle: Duration::from_secs(30),
        }
    }
}

/// Why a message has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The device is not there any more, or never was.
    Lost,
    /// Nobody wants the answer.
    Interrupted,
    /// The device answered with an error.
    Refused(CarrierError),
}

/// One start of the device.
pub(crate) struct Run {
    /// Which one.
    pub epoch: u64,
    pub port: Box<dyn Port>,
    pub flights: Flights,
}

/// What the lock guards.
#[derive(Default)]
pub(crate) struct State {
    /// The start at hand.
    pub run: Option<Run>,
    /// One that ended: its memory is the device's until the keeper has reset it.
    pub dead: Option<Run>,
    pub epoch: u64,
    /// Commands are taken.
    pub present: bool,
    pub generation: u64,
    pub pool: Pool,
    pub device: Option<Device>,
    pub link: Link,
    pub commands: u64,
    pub refused: u64,
    pub losses: u64,
    pub last_loss: String,
    /// Why the start before this one ended.
    pub ended: String,
    /// Some task waits for the interrupt.
    led: bool,
    ticket: u64,
    /// The keeper has nothing to do any more.
    pub stop: bool,
}

pub(crate) struct Shared {
    pub hw: Box<dyn Hardware>,
    pub options: Options,
    pub state: Mutex<State>,
    /// Something that tasks wait for became free: a slot, a piece.
    pub room: Condvar,
    /// The keeper has something to do.
    pub bell: Condvar,
}

type Guard<'a> = MutexGuard<'a, State>;

/// A device, whether it is there or not.
pub struct VirtioGpu {
    shared: Arc<Shared>,
    keeper: Option<task::JoinHandle<()>>,
}

impl fmt::Debug for VirtioGpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtioGpu").field("carrier", &self.carrier()).field("health", &self.health()).finish()
    }
}

impl VirtioGpu {
    /// Looks for the device, now and whenever it is lost, in a task of its own.
    pub fn open(hw: Box<dyn Hardware>, options: Options) -> Self {
        let shared = Arc::new(Shared {
            hw,
            options,
            state: Mutex::new(State::default()),
            room: Condvar::new(),
            bell: Condvar::new(),
        });
        let kept = shared.clone();
        let keeper = task::spawn("virtio-gpu", move || keeper::keep(&kept));
        Self { shared, keeper: Some(keeper) }
    }

    /// Waits until the device takes commands, for at most `limit`; whether it does.
    pub fn wait_present(&self, limit: Duration) -> bool {
        let until = monotonic() + limit;
        loop {
            if self.shared.state.lock().present {
                return true;
            }
            if monotonic() >= until {
                return false;
            }
            task::sleep(SLICE);
        }
    }

    /// Pieces of memory shared with the device at the moment.
    pub fn pieces(&self) -> usize {
        self.shared.state.lock().pool.len()
    }
}

impl Drop for VirtioGpu {
    fn drop(&mut self) {
        {
            let mut st = self.shared.state.lock();
            st.stop = true;
            self.shared.bell.notify_all();
        }
        if let Some(keeper) = self.keeper.take() {
            // It panicked, or it is done: there is nothing to do about either.
            let _ = keeper.join();
        }
    }
}

impl ComputeDevice for VirtioGpu {
    fn carrier(&self) -> &'static str {
        self.shared.hw.carrier().name()
    }

    fn device(&self) -> Option<Device> {
        self.shared.state.lock().device.clone()
    }

    fn link(&self) -> Link {
        Link { largest: LARGEST as u64, ..self.shared.state.lock().link }
    }

    fn health(&self) -> Health {
        let st = self.shared.state.lock();
        Health {
            present: st.present,
            commands: st.commands,
            refused: st.refused,
            losses: st.losses,
            last_loss: st.last_loss.clone(),
        }
    }

    fn generation(&self) -> u64 {
        self.shared.state.lock().generation
    }

    fn execute(
        &self,
        command: &Command,
        buffers: &mut [Buffer<'_>],
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Reply, ComputeError> {
        let epoch = {
            let st = self.shared.state.lock();
            match &st.run {
                Some(run) if st.present => run.epoch,
                _ => return Err(ComputeError::Absent),
            }
        };
        let outcome = self.shared.command(epoch, command, buffers, interrupted);
        let mut st = self.shared.state.lock();
        match &outcome {
            Ok(_) => st.commands += 1,
            Err(ComputeError::Refused(_) | ComputeError::TooLarge) => st.refused += 1,
            Err(_) => {}
        }
        outcome
    }
}

impl State {
    fn run(&mut self, epoch: u64) -> Option<&mut Run> {
        self.run.as_mut().filter(|r| r.epoch == epoch)
    }
}

impl Shared {
    /// Ends the start at hand: nobody gets an answer any more, and the keeper is told to reset the device.
    pub fn lose(&self, st: &mut State, epoch: u64, why: &dyn fmt::Display) {
        let Some(run) = st.run.take_if(|r| r.epoch == epoch) else { return };
        run.flights.wake_all();
        let under_way = run.flights.under_way();
        st.dead = Some(run);
        st.ended = format!("{why}");
        if core::mem::take(&mut st.present) && !st.stop {
            st.last_loss.clone_from(&st.ended);
            st.losses += 1;
            st.generation += 1;
            log::error!("gpu: lost: {why}; {under_way} messages were under way");
        }
        self.room.notify_all();
        self.bell.notify_all();
    }

    /// Takes all that the device is done with.
    fn reap(&self, st: &mut State, epoch: u64) {
        let mut response = Vec::new();
        let mut returned = false;
        loop {
            let Some(run) = st.run(epoch) else { return };
            // It cannot go on for ever: every step ends a flight.
            let ended = match run.port.completed(&mut response) {
                Ok(None) => break,
                Ok(Some(slot)) => run.flights.complete(slot, &response),
                Err(e) => Err(e),
            };
            match ended {
                Ok(piece) => {
                    returned = true;
                    if let Some(piece) = piece {
                        st.pool.put(piece);
                    }
                }
                Err(nonsense) => return self.lose(st, epoch, &nonsense),
            }
        }
        if returned {
            self.room.notify_all();
        }
    }

    /// Sends a message and waits for what the device answers, `limit` at most; being late is the device's end. What follows the response's header
    /// comes back. The piece, if one goes along, is put back to the pool or left with the device if this fails. The last slot of the queue is the keeper's.
    pub fn transact(
        &self,
        epoch: u64,
        message: &Message,
        mut piece: Option<Piece>,
        limit: Duration,
        keeper: bool,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(Vec<u8>, Option<Piece>), Failure> {
        let deadline = monotonic() + limit;
        let wake = Arc::new(Condvar::new());
        let mut st = self.state.lock();
        let ticket = loop {
            self.reap(&mut st, epoch);
            let ticket = st.ticket + 1;
            let Some(run) = st.run(epoch) else {
                drop(st);
                self.give_back(piece);
                return Err(Failure::Lost);
            };
            let room = run.port.free() > usize::from(!keeper);
            if room && let Some(slot) = run.port.submit(&message.bytes(ticket), message.response) {
                run.flights.begin(slot, ticket, deadline, piece.take(), wake.clone());
                st.ticket = ticket;
                break ticket;
            }
            st = match self.wait_room(st, epoch, deadline, interrupted) {
                Ok(st) => st,
                Err(failure) => {
                    self.give_back(piece);
                    return Err(failure);
                }
            };
        };
        let landed = self.wait(st, epoch, ticket, deadline, &wake, interrupted)?;
        let (response, piece) = landed;
        match message.check(ticket, &response) {
            Ok(rest) => Ok((rest.to_vec(), piece)),
            Err(e @ CarrierError::Refused(kind)) if !says_lost(kind) => {
                self.give_back(piece);
                Err(Failure::Refused(e))
            }
            Err(e) => {
                self.give_back(piece);
                self.lose(&mut self.state.lock(), epoch, &e);
                Err(Failure::Lost)
            }
        }
    }

    /// Waits for a slot of the queue, or for a piece.
    pub fn wait_room<'a>(
        &'a self,
        st: Guard<'a>,
        epoch: u64,
        deadline: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Guard<'a>, Failure> {
        let (mut st, _) = self.room.wait_timeout(st, SLICE);
        if st.run(epoch).is_none() {
            return Err(Failure::Lost);
        }
        if monotonic() >= deadline {
            // Everything under way has a limit that began earlier.
            self.lose(&mut st, epoch, &"nothing under way ends");
            return Err(Failure::Lost);
        }
        drop(st);
        if interrupted() {
            return Err(Failure::Interrupted);
        }
        let mut st = self.state.lock();
        self.reap(&mut st, epoch);
        Ok(st)
    }

    /// Waits for the end of a flight.
    fn wait<'a>(
        &'a self,
        mut st: Guard<'a>,
        epoch: u64,
        ticket: u64,
        deadline: Duration,
        wake: &Condvar,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(Vec<u8>, Option<Piece>), Failure> {
        let outcome = loop {
            self.reap(&mut st, epoch);
            let Some(run) = st.run(epoch) else { break Err(Failure::Lost) };
            if let Some(landed) = run.flights.take(ticket) {
                break Ok((landed.response, landed.piece));
            }
            if monotonic() >= deadline {
                self.lose(&mut st, epoch, &"no answer in time");
                break Err(Failure::Lost);
            }
            if st.led {
                st = wake.wait_timeout(st, SLICE).0;
            } else {
                st.led = true;
                drop(st);
                self.hw.wait_interrupt(SLICE);
                st = self.state.lock();
                st.led = false;
            }
            // The answer may be there already: then it is taken.
            drop(st);
            let unwanted = interrupted();
            st = self.state.lock();
            if unwanted {
                self.reap(&mut st, epoch);
                let Some(run) = st.run(epoch) else { break Err(Failure::Lost) };
                match run.flights.take(ticket) {
                    Some(landed) => break Ok((landed.response, landed.piece)),
                    None => {
                        run.flights.abandon(ticket);
                        break Err(Failure::Interrupted);
                    }
                }
            }
        };
        if !st.led
            && let Some(run) = &st.run
        {
            run.flights.wake_one();
        }
        outcome
    }

    /// A piece is free again.
    pub fn give_back(&self, piece: Option<Piece>) {
        if let Some(piece) = piece {
            self.state.lock().pool.put(piece);
            self.room.notify_all();
        }
    }
}

/// Whether an error means that the device does not know what it was told: somebody else sits there now.
const fn says_lost(kind: u32) -> bool {
    matches!(kind, response::ERR_INVALID_CONTEXT_ID | response::ERR_INVALID_RESOURCE_ID)
}

impl From<Failure> for GpuError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost => Self::Lost("no answer".into()),
            Failure::Interrupted => Self::Stopped,
            Failure::Refused(e) => Self::Carrier(e),
        }
    }
}

//! One command: its bytes to a piece and back.

use crate::{
    device::{Failure, Shared},
    message::{Message, RUNS},
    placement::{name_resource, place},
    pool::{PIECE, Piece, Taken},
};
use compute_protocol::{
    Command, Envelope, Reply, Status,
    carrier::{CarrierError, response},
};
use platform::{
    compute::{Buffer, ComputeError},
    time::monotonic,
};

impl From<Failure> for ComputeError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost => Self::Lost,
            Failure::Interrupted => Self::Interrupted,
            Failure::Refused(CarrierError::Refused(response::ERR_OUT_OF_MEMORY)) => {
                Self::Refused(Status::Memory)
            }
            Failure::Refused(_) => Self::Refused(Status::Malformed),
        }
    }
}

impl Shared {
    /// Executes a command in this start of the device.
    pub fn command(
        &self,
        epoch: u64,
        command: &Command,
        buffers: &mut [Buffer<'_>],
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Reply, ComputeError> {
        let offsets = place(buffers)?;
        // Checked before a piece is taken. Without buffers there are no spans.
        name_resource(command, buffers, &offsets, 0)?;
        if buffers.is_empty() {
            return self.submit(epoch, command, None, interrupted).map(|(reply, _)| reply);
        }
        let mut piece = self.take_piece(epoch, interrupted)?;
        let command = name_resource(command, buffers, &offsets, piece.resource)?;
        for (buffer, at) in buffers.iter().zip(&offsets) {
            match buffer {
                Buffer::From(from) => piece.memory.write(*at, from),
                // What the device leaves alone stays as it was.
                Buffer::Into(into) => piece.memory.write(*at, into),
            }
        }
        let (reply, piece) = self.submit(epoch, &command, Some(piece), interrupted)?;
        if let Some(mut piece) = piece {
            for (buffer, at) in buffers.iter_mut().zip(&offsets) {
                if let Buffer::Into(into) = buffer {
                    piece.memory.read(*at, into);
                }
            }
            piece.used = monotonic();
            self.give_back(Some(piece));
        }
        Ok(reply)
    }

    /// Sends a command; its reply, if it was done, and its piece.
    fn submit(
        &self,
        epoch: u64,
        command: &Command,
        piece: Option<Piece>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(Reply, Option<Piece>), ComputeError> {
        // One number for all: the fence tells replies apart.
        let number = epoch as u32;
        let message = Message::submit(&Envelope { number, command: command.clone() }.encode());
        let limit = self.options.command_limit;
        let (reply, piece) = self.transact(epoch, &message, piece, limit, false, interrupted)?;
        let failed = match Reply::decode(&reply) {
            Ok(reply) if reply.number != number => "a reply to another command",
            Ok(reply) if reply.status == Status::Lost => "the device says that it failed",
            Ok(reply) if reply.status == Status::Done => return Ok((reply, piece)),
            Ok(reply) => {
                self.give_back(piece);
                return Err(ComputeError::Refused(reply.status));
            }
            Err(_) => "a reply that is none",
        };
        self.give_back(piece);
        self.lose(&mut self.state.lock(), epoch, &failed);
        Err(ComputeError::Lost)
    }

    /// A piece that is attached.
    fn take_piece(&self, epoch: u64, interrupted: &dyn Fn() -> bool) -> Result<Piece, ComputeError> {
        let deadline = monotonic() + self.options.command_limit;
        let mut st = self.state.lock();
        let piece = loop {
            match st.pool.take() {
                Taken::Piece(piece) => {
                    drop(st);
                    break piece;
                }
                Taken::Make(resource) => {
                    drop(st);
                    match self.make_piece(resource) {
                        Some(piece) => break piece,
                        None => {
                            st = self.state.lock();
                            st.pool.forget(resource);
                            if st.pool.is_empty() {
                                return Err(ComputeError::Refused(Status::Memory));
                            }
                            // Others will do with those that there are.
                            let limit = st.pool.len();
                            st.pool.set_limit(limit);
                        }
                    }
                }
                Taken::None if st.pool.is_empty() => return Err(ComputeError::Refused(Status::Memory)),
                Taken::None => st = self.wait_room(st, epoch, deadline, interrupted)?,
            }
        };
        self.attach(epoch, piece)
    }

    fn make_piece(&self, resource: u32) -> Option<Piece> {
        let memory = self.hw.allocate(PIECE);
        if memory.is_none() {
            log::warn!("gpu: no memory for {} MiB to share with the device", PIECE >> 20);
        }
        memory.map(|memory| Piece { resource, memory, attached: None, used: monotonic() })
    }

    /// Makes a piece's resource, unless this start of the device has it. Nobody interrupts that: how far it came would not be known.
    fn attach(&self, epoch: u64, piece: Piece) -> Result<Piece, ComputeError> {
        if piece.attached == Some(epoch) {
            return Ok(piece);
        }
        let resource = piece.resource;
        let runs = piece.memory.runs();
        if runs.len() > RUNS {
            self.give_back(Some(piece));
            return Err(ComputeError::Refused(Status::Memory));
        }
        let steps = [
            Message::create_resource(resource, PIECE as u32),
            Message::attach_backing(resource, &runs),
            Message::attach_resource(resource),
        ];
        let mut piece = Some(piece);
        for message in &steps {
            let limit = self.options.heartbeat_limit;
            piece = match self.transact(epoch, message, piece, limit, false, &|| false) {
                Ok((_, piece)) => piece,
                Err(failure) => {
                    if let Failure::Refused(e) = &failure {
                        // A resource that is half made would be in the way of every later attempt.
                        self.lose(&mut self.state.lock(), epoch, e);
                        return Err(ComputeError::Lost);
                    }
                    return Err(failure.into());
                }
            };
        }
        // It went along every time.
        let mut piece = piece.ok_or(ComputeError::Lost)?;
        piece.attached = Some(epoch);
        Ok(piece)
    }
}

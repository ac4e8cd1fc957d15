//! Histories: written frame by frame, read at any tick.

use alloc::vec::Vec;

use kernel_simd::crc32c;

use crate::frame::{
    DeltaError, FRAME, FrameHeader, HEADER, MAX_STATE, Packing, decode_header, encode_header, pack,
};

/// Writes a history. What it gives out is to be appended, in order.
#[derive(Clone, Debug)]
pub struct Recorder {
    interval: u32,
    state: Vec<u8>,
    last: Option<u64>,
    /// Frames since the last key frame, that one included.
    since_key: u32,
    plain: bool,
}

impl Recorder {
    /// A new history with a key frame every `interval` frames, and its header.
    pub fn begin(interval: u32) -> (Self, Vec<u8>) {
        let interval = interval.max(1);
        (
            Self { interval, state: Vec::new(), last: None, since_key: 0, plain: false },
            encode_header(interval).to_vec(),
        )
    }

    /// Goes on with a history.
    pub fn resume(history: &History<'_>) -> Result<Self, DeltaError> {
        let mut recorder =
            Self { interval: history.interval, state: Vec::new(), last: None, since_key: 0, plain: false };
        if let Some(last) = history.frames.last() {
            recorder.state = history.state_at(last.tick)?.map_or_else(Vec::new, |(_, state)| state);
            recorder.last = Some(last.tick);
            let frames = history.frames.iter().rev().position(|f| f.key).map_or(0, |p| p + 1);
            recorder.since_key = u32::try_from(frames).unwrap_or(u32::MAX);
        }
        Ok(recorder)
    }

    /// Goes on with a history of `frames` frames, the last of which is of tick `last` and has this state. Whoever always goes on
    /// like that has a key frame at every multiple of the interval.
    pub fn from_state(interval: u32, frames: u64, last: u64, state: Vec<u8>) -> Self {
        let interval = interval.max(1);
        let since_key = match frames % u64::from(interval) {
            0 => interval,
            some => some as u32,
        };
        Self { interval, state, last: (frames > 0).then_some(last), since_key, plain: false }
    }

    /// From now on whole states are stored as they are: faster, and longer.
    pub fn without_packing(mut self) -> Self {
        self.plain = true;
        self
    }

    /// The latest state.
    pub fn state(&self) -> &[u8] {
        &self.state
    }

    /// The frame of a state at a tick, which must be after all before.
    pub fn record(&mut self, tick: u64, state: &[u8]) -> Result<Vec<u8>, DeltaError> {
        if let Some(last) = self.last.filter(|&last| tick <= last) {
            return Err(DeltaError::TickOrder { tick, last });
        }
        if state.len() > MAX_STATE {
            return Err(DeltaError::TooLong { length: state.len() });
        }
        let key = self.last.is_none() || self.since_key >= self.interval || state.len() != self.state.len();
        let (packing, payload) = if key && self.plain {
            (Packing::None, state.to_vec())
        } else if key {
            pack(state, false)
        } else {
            let difference: Vec<u8> = state.iter().zip(&self.state).map(|(a, b)| a ^ b).collect();
            pack(&difference, true)
        };
        let header = FrameHeader {
            payload: payload.len(),
            key,
            packing,
            tick,
            state_len: state.len(),
            state_crc: crc32c::checksum(state),
        };
        let mut out = Vec::with_capacity(FRAME + payload.len());
        header.encode(&payload, &mut out);
        self.since_key = if key { 1 } else { self.since_key + 1 };
        self.state.clear();
        self.state.extend_from_slice(state);
        self.last = Some(tick);
        Ok(out)
    }
}

/// The tick that a frame says it is of, and whether it holds a whole state, from its first bytes: nothing is checked yet.
pub fn peek(frame: &[u8]) -> Option<(u64, bool)> {
    let tick = frame.get(8..16)?.try_into().ok()?;
    Some((u64::from_le_bytes(tick), frame.get(4) == Some(&0)))
}

/// Makes `state`, that of the frame before, be what a frame holds; gives its tick. For histories that are not in one piece.
pub fn apply(frame: &[u8], state: &mut Vec<u8>) -> Result<u64, DeltaError> {
    let damaged = DeltaError::Damaged { at: 0 };
    let (header, end) = FrameHeader::decode(frame, 0)?;
    if end != frame.len() {
        return Err(damaged);
    }
    header.apply(frame.get(FRAME..).unwrap_or(&[]), state).ok_or(damaged)?;
    Ok(header.tick)
}

/// What a frame of a history says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When.
    pub tick: u64,
    /// Whether it holds a whole state.
    pub key: bool,
    /// Bytes in the history.
    pub length: usize,
    /// Bytes of its state.
    pub state: usize,
    at: usize,
}

/// A history whose checksums are right.
#[derive(Clone, Debug)]
pub struct History<'a> {
    bytes: &'a [u8],
    interval: u32,
    frames: Vec<Frame>,
}

impl<'a> History<'a> {
    /// Checks all frames.
    pub fn open(bytes: &'a [u8]) -> Result<Self, DeltaError> {
        let (history, end) = Self::open_prefix(bytes)?;
        match end {
            None => Ok(history),
            Some(error) => Err(error),
        }
    }

    /// As much as is sound, and what is wrong behind it: a history that was being written when power failed ends torn.
    pub fn open_prefix(bytes: &'a [u8]) -> Result<(Self, Option<DeltaError>), DeltaError> {
        let interval = decode_header(bytes)?;
        let mut history = Self { bytes, interval, frames: Vec::new() };
        let mut at = HEADER;
        let mut length = None;
        while at < bytes.len() {
            let (frame, end) = match FrameHeader::decode(bytes, at) {
                Ok(decoded) => decoded,
                Err(e) => return Ok((history, Some(e))),
            };
            if let Some(last) = history.frames.last().map(|f| f.tick).filter(|&last| frame.tick <= last) {
                return Ok((history, Some(DeltaError::TickOrder { tick: frame.tick, last })));
            }
            if !frame.key && length != Some(frame.state_len) {
                return Ok((history, Some(DeltaError::Damaged { at })));
            }
            length = Some(frame.state_len);
            let state = frame.state_len;
            history.frames.push(Frame { tick: frame.tick, key: frame.key, length: end - at, state, at });
            at = end;
        }
        Ok((history, None))
    }

    /// Frames from one key frame to the next at most.
    pub fn interval(&self) -> u32 {
        self.interval
    }

    /// Its frames, by rising tick.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Bytes that are sound.
    pub fn len(&self) -> usize {
        self.frames.last().map_or(HEADER, |f| f.at + f.length)
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The state as of a tick, and the tick that it was recorded at; `None` before the first.
    pub fn state_at(&self, tick: u64) -> Result<Option<(u64, Vec<u8>)>, DeltaError> {
        let count = self.frames.partition_point(|f| f.tick <= tick);
        let frames = self.frames.get(..count).unwrap_or(&[]);
        let Some(last) = frames.last() else { return Ok(None) };
        let key = frames.iter().rposition(|f| f.key).unwrap_or(0);
        let mut state = Vec::new();
        for frame in frames.get(key..).unwrap_or(&[]) {
            self.apply(frame, &mut state)?;
        }
        Ok(Some((last.tick, state)))
    }

    /// Calls for every state in order, until it is told to stop.
    pub fn replay(&self, mut then: impl FnMut(u64, &[u8]) -> bool) -> Result<(), DeltaError> {
        let mut state = Vec::new();
        for frame in &self.frames {
            self.apply(frame, &mut state)?;
            if !then(frame.tick, &state) {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, frame: &Frame, state: &mut Vec<u8>) -> Result<(), DeltaError> {
        let damaged = DeltaError::Damaged { at: frame.at };
        let (header, end) = FrameHeader::decode(self.bytes, frame.at)?;
        let payload = self.bytes.get(frame.at + FRAME..end).ok_or(damaged)?;
        header.apply(payload, state).ok_or(damaged)
    }

    /// A history of the latest state only.
    pub fn compacted(&self) -> Result<Vec<u8>, DeltaError> {
        let (mut recorder, mut out) = Recorder::begin(self.interval);
        if let Some(last) = self.frames.last()
            && let Some((tick, state)) = self.state_at(last.tick)?
        {
            out.extend(recorder.record(tick, &state)?);
        }
        Ok(out)
    }

    /// A history of nothing, for tests and for new chains.
    pub fn none(interval: u32) -> Vec<u8> {
        encode_header(interval.max(1)).to_vec()
    }
}

//! Frames as bytes.

use alloc::vec::Vec;

use kernel_simd::crc32c;
use thiserror::Error;

/// Bytes of a history's header.
pub const HEADER: usize = 16;
/// Bytes of a frame before its payload.
pub const FRAME: usize = 32;
/// The longest state.
pub const MAX_STATE: usize = u32::MAX as usize;

const MAGIC: &[u8; 4] = b"ILGH";
const VERSION: u16 = 1;

/// What is wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DeltaError {
    /// Another kind of file.
    #[error("not a graph history")]
    WrongFormat,
    /// A version that is not known.
    #[error("unknown version {version} of graph histories")]
    UnknownVersion {
        /// Which.
        version: u16,
    },
    /// A frame ends beyond the end.
    #[error("graph history ends within the frame at byte {at}")]
    Torn {
        /// Where the frame begins.
        at: usize,
    },
    /// A checksum or a length is not right.
    #[error("graph history is damaged at byte {at}")]
    Damaged {
        /// Where the frame begins.
        at: usize,
    },
    /// A tick that is not after the one before.
    #[error("tick {tick} does not follow tick {last}")]
    TickOrder {
        /// The tick.
        tick: u64,
        /// The one before.
        last: u64,
    },
    /// A state is longer than a frame can hold.
    #[error("state of {length} bytes is too long")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The bytes are no graph.
    #[error("damaged graph")]
    DamagedGraph,
}

/// What a frame says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub payload: usize,
    pub key: bool,
    pub packing: Packing,
    pub tick: u64,
    pub state_len: usize,
    pub state_crc: u32,
}

/// How a payload holds bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    None,
    Lz4,
    Sparse,
}

/// The header of a history.
pub fn encode_header(interval: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    let (fields, crc) = bytes.split_at_mut(12);
    fields[..4].copy_from_slice(MAGIC);
    fields[4..6].copy_from_slice(&VERSION.to_le_bytes());
    fields[8..].copy_from_slice(&interval.to_le_bytes());
    crc.copy_from_slice(&crc32c::checksum(fields).to_le_bytes());
    bytes
}

/// The key frame interval of a history.
pub fn decode_header(bytes: &[u8]) -> Result<u32, DeltaError> {
    let header = bytes.get(..HEADER).ok_or(DeltaError::WrongFormat)?;
    if header.get(..4) != Some(MAGIC) {
        return Err(DeltaError::WrongFormat);
    }
    let version = le16(header, 4).unwrap_or(0);
    if version != VERSION {
        return Err(DeltaError::UnknownVersion { version });
    }
    let (fields, _) = header.split_at(12);
    if le32(header, 12) != Some(crc32c::checksum(fields)) || le16(header, 6) != Some(0) {
        return Err(DeltaError::Damaged { at: 0 });
    }
    Ok(le32(header, 8).unwrap_or(1).max(1))
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

impl FrameHeader {
    /// Appends the frame.
    pub fn encode(&self, payload: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend((payload.len() as u32).to_le_bytes());
        let packing = match self.packing {
            Packing::None => 0,
            Packing::Lz4 => 1,
            Packing::Sparse => 2,
        };
        out.extend([u8::from(!self.key), packing, 0, 0]);
        out.extend(self.tick.to_le_bytes());
        out.extend((self.state_len as u32).to_le_bytes());
        out.extend(self.state_crc.to_le_bytes());
        out.extend([0; 4]);
        let crc = crc32c::checksum(out.get(begin..).unwrap_or(&[]));
        out.extend(crc32c::extend(crc, payload).to_le_bytes());
        out.extend(payload);
    }

    /// Reads and checks the frame at `at`; where the next one begins comes back too.
    pub fn decode(bytes: &[u8], at: usize) -> Result<(Self, usize), DeltaError> {
        let (torn, damaged) = (DeltaError::Torn { at }, DeltaError::Damaged { at });
        let head = bytes.get(at..at.saturating_add(FRAME)).ok_or(torn)?;
        let payload_len = le32(head, 0).ok_or(torn)? as usize;
        let end = (at + FRAME).checked_add(payload_len).ok_or(damaged)?;
        let payload = bytes.get(at + FRAME..end).ok_or(torn)?;
        let (fields, crc) = head.split_at(FRAME - 4);
        if le32(crc, 0) != Some(crc32c::extend(crc32c::checksum(fields), payload)) {
            return Err(damaged);
        }
        let (kind, packing, zeros) = (head.get(4), head.get(5), (head.get(6..8), head.get(24..28)));
        let key = match kind {
            Some(0) => true,
            Some(1) => false,
            _ => return Err(damaged),
        };
        let packing = match packing {
            Some(0) => Packing::None,
            Some(1) => Packing::Lz4,
            Some(2) => Packing::Sparse,
            _ => return Err(damaged),
        };
        if zeros != (Some(&[0, 0]), Some(&[0, 0, 0, 0])) {
            return Err(damaged);
        }
        let (tick, state_len) = (le64(head, 8).ok_or(damaged)?, le32(head, 16).ok_or(damaged)? as usize);
        let state_crc = le32(head, 20).ok_or(damaged)?;
        // LZ4 packs at most about 255 to one: a longer state cannot be in there.
        if packing == Packing::Lz4 && state_len / 256 > payload_len {
            return Err(damaged);
        }
        Ok((Self { payload: payload_len, key, packing, tick, state_len, state_crc }, end))
    }

    /// The bytes that a payload holds, applied to the state before: `state` becomes the frame's state.
    pub fn apply(&self, payload: &[u8], state: &mut Vec<u8>) -> Option<()> {
        if self.key {
            state.clear();
            if self.packing == Packing::Sparse {
                return None;
            }
        } else if state.len() != self.state_len {
            return None;
        }
        match self.packing {
            Packing::Sparse => sparse(payload, state)?,
            Packing::None => self.merge(payload, state)?,
            Packing::Lz4 => {
                let plain = lz4_flex::block::decompress(payload, self.state_len).ok()?;
                self.merge(&plain, state)?;
            }
        }
        (crc32c::checksum(state) == self.state_crc).then_some(())
    }

    fn merge(&self, plain: &[u8], state: &mut Vec<u8>) -> Option<()> {
        if plain.len() != self.state_len {
            return None;
        }
        if self.key {
            state.extend_from_slice(plain);
        } else {
            state.iter_mut().zip(plain).for_each(|(s, p)| *s ^= p);
        }
        Some(())
    }
}

/// Applies differing bytes.
fn sparse(mut payload: &[u8], state: &mut [u8]) -> Option<()> {
    let mut at = 0usize;
    let mut first = true;
    while !payload.is_empty() {
        let mut distance = 0usize;
        for shift in (0..35).step_by(7) {
            let (&byte, rest) = payload.split_first()?;
            payload = rest;
            distance |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            if shift == 28 {
                return None;
            }
        }
        at = if first { distance } else { at.checked_add(distance)? };
        first = false;
        let (&difference, rest) = payload.split_first()?;
        payload = rest;
        *state.get_mut(at)? ^= difference;
    }
    Some(())
}

/// The shortest payload for bytes; for differences, most of which are zero, the sparse one is tried first.
pub fn pack(plain: &[u8], difference: bool) -> (Packing, Vec<u8>) {
    if difference {
        let limit = plain.len() / 8;
        let mut out = Vec::new();
        let mut last = 0;
        let mut few = true;
        for (at, &byte) in plain.iter().enumerate().filter(|(_, b)| **b != 0) {
            let mut distance = at - last;
            last = at;
            while distance >= 0x80 {
                out.push(distance as u8 | 0x80);
                distance >>= 7;
            }
            out.extend([distance as u8, byte]);
            if out.len() > limit {
                few = false;
                break;
            }
        }
        if few {
            return (Packing::Sparse, out);
        }
    }
    let packed = lz4_flex::block::compress(plain);
    if packed.len() < plain.len() { (Packing::Lz4, packed) } else { (Packing::None, plain.to_vec()) }
}

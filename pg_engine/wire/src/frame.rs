//! Message boundaries.
//!
//! After the startup phase every message is a type byte, a big-endian length that counts itself, and a body. Before
//! it there is no type byte.

use crate::error::WireError;

/// Longest startup packet, its length word included.
pub const MAX_STARTUP: usize = 10_004;
/// Longest body of messages that carry no statement, parameters or data.
pub const MAX_SMALL: usize = 10_000;
/// Longest body of the others; a server may set a lower limit.
pub const MAX_LARGE: usize = 0x3fff_fffe;

/// One framed message: type byte and body, not yet looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Type byte.
    pub tag: u8,
    /// What follows the length word.
    pub body: &'a [u8],
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>().map(|b| u32::from_be_bytes(*b))
}

/// Splits the first message off `input`: the packet and the bytes it took. `None`: more input is needed.
///
/// The length is judged as soon as it can be read, so that an oversized message is refused before it is stored.
pub fn split(input: &[u8], max_large: usize) -> Result<Option<(Packet<'_>, usize)>, WireError> {
    let Some((&tag, rest)) = input.split_first() else { return Ok(None) };
    let limit = match tag {
        b'Q' | b'P' | b'B' | b'd' | b'F' => max_large.min(MAX_LARGE),
        b'p' => 65_535,
        b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' => MAX_SMALL,
        _ => return Err(WireError::MessageType(tag)),
    };
    let Some(length) = word(rest) else { return Ok(None) };
    let length = length as usize;
    let Some(body_len) = length.checked_sub(4).filter(|n| *n <= limit) else {
        return Err(WireError::MessageLength);
    };
    let Some(body) = rest.get(4..4 + body_len) else { return Ok(None) };
    Ok(Some((Packet { tag, body }, 5 + body_len)))
}

/// How many bytes the first message of `input` will take in all, once its header is there.
pub fn announced(input: &[u8]) -> Option<usize> {
    let length = word(input.get(1..)?)?;
    (length as usize).checked_add(1)
}

/// Splits the first startup-phase packet off `input`: its body and the bytes it took.
pub fn split_startup(input: &[u8]) -> Result<Option<(&[u8], usize)>, WireError> {
    let Some(length) = word(input) else { return Ok(None) };
    let length = length as usize;
    if !(8..=MAX_STARTUP).contains(&length) {
        return Err(WireError::StartupLength);
    }
    Ok(input.get(4..length).map(|body| (body, length)))
}

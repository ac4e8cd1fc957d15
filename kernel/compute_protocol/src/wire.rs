//! Reading and writing numbers.

use alloc::vec::Vec;

use thiserror::Error;

/// Why bytes are no command or reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("the message ends too early")]
    Short,
    /// There are more than the header says, or than the operation takes.
    #[error("the message is longer than its contents")]
    Long,
    /// They do not begin as they should.
    #[error("the message does not begin with its magic number")]
    Magic,
    /// Another version.
    #[error("version {0} of the format is not known")]
    Version(u16),
    /// No such operation or status.
    #[error("{0} is no known operation or status")]
    Operation(u16),
    /// A number is out of its range.
    #[error("{0} is out of range")]
    Range(&'static str),
}

pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    pub fn bytes<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.bytes().map(|[b]| b)
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.bytes().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.bytes().map(u64::from_le_bytes)
    }

    pub fn i128(&mut self) -> Result<i128, DecodeError> {
        self.bytes().map(i128::from_le_bytes)
    }

    /// A number at most `limit`.
    pub fn u32_to(&mut self, limit: u32, what: &'static str) -> Result<u32, DecodeError> {
        let n = self.u32()?;
        if n > limit { Err(DecodeError::Range(what)) } else { Ok(n) }
    }

    /// A number at most `limit`.
    pub fn u64_to(&mut self, limit: u64, what: &'static str) -> Result<u64, DecodeError> {
        let n = self.u64()?;
        if n > limit { Err(DecodeError::Range(what)) } else { Ok(n) }
    }

    pub fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Long) }
    }
}

pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn u8(&mut self, n: u8) {
        self.0.push(n);
    }

    pub fn u16(&mut self, n: u16) {
        self.0.extend(n.to_le_bytes());
    }

    pub fn u32(&mut self, n: u32) {
        self.0.extend(n.to_le_bytes());
    }

    pub fn u64(&mut self, n: u64) {
        self.0.extend(n.to_le_bytes());
    }

    pub fn i128(&mut self, n: i128) {
        self.0.extend(n.to_le_bytes());
    }

    /// Writes the length of everything at byte 8, where headers have it.
    pub fn finish(mut self) -> Vec<u8> {
        let len = self.0.len() as u32;
        if let Some(place) = self.0.get_mut(8..12) {
            place.copy_from_slice(&len.to_le_bytes());
        }
        self.0
    }
}

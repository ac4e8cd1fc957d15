//! Little-endian reading and writing of small structures, total on any input.

use alloc::vec::Vec;

/// Appends fields.
#[derive(Debug, Default)]
pub struct Encoder(pub Vec<u8>);

impl Encoder {
    /// One byte.
    pub fn u8(&mut self, v: u8) -> &mut Self {
        self.0.push(v);
        self
    }
    /// Four bytes.
    pub fn u32(&mut self, v: u32) -> &mut Self {
        self.0.extend_from_slice(&v.to_le_bytes());
        self
    }
    /// Eight bytes.
    pub fn u64(&mut self, v: u64) -> &mut Self {
        self.0.extend_from_slice(&v.to_le_bytes());
        self
    }
    /// Bytes as they are.
    pub fn raw(&mut self, v: &[u8]) -> &mut Self {
        self.0.extend_from_slice(v);
        self
    }
}

/// Takes fields off the front. Everything is `None` once the input is too short.
#[derive(Debug)]
pub struct Decoder<'a>(pub &'a [u8]);

impl<'a> Decoder<'a> {
    /// Bytes as they are.
    pub fn raw(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.raw(1).map(|b| b[0])
    }
    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.raw(4).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b))
    }
    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.raw(8).and_then(|b| b.first_chunk()).map(|b| u64::from_le_bytes(*b))
    }
}

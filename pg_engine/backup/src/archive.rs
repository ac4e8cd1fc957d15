//! The format of archived log: files that each begin with a header and go on with checked pieces.
//!
//! ```text
//! header:  ITLWALS1, version u32, CRC-32C u32 of what follows, volume u128, position u64      40 bytes
//! piece:   position u64, length u32, CRC-32C u32 of position, length and bytes; bytes
//! ```
//! Little-endian. Pieces go on where the one before ended. A file that ends in the middle of a piece ends with the piece before:
//! the archiver was interrupted there. Log positions say where in the volume's history a byte belongs.

use alloc::vec::Vec;

use kernel_simd::crc32c;
use pg_page::Lsn;
use pg_volume::codec::{Decoder, Encoder};

const MAGIC: &[u8; 8] = b"ITLWALS1";
const VERSION: u32 = 1;
/// Bytes of a file's header.
pub const HEADER: usize = 40;
/// Bytes before a piece's content.
pub const PIECE_HEADER: usize = 16;
/// Longest piece.
pub const MAX_PIECE: usize = 4 << 20;

/// A file's header.
pub fn header(volume: u128, position: Lsn) -> Vec<u8> {
    let mut rest = Encoder::default();
    rest.u64(volume as u64).u64((volume >> 64) as u64).u64(position.0);
    let mut e = Encoder::default();
    e.raw(MAGIC).u32(VERSION).u32(crc32c::checksum(&rest.0)).raw(&rest.0);
    e.0
}

/// Reads a file's header: volume and position.
pub fn parse_header(bytes: &[u8]) -> Option<(u128, Lsn)> {
    let mut d = Decoder(bytes.get(..HEADER)?);
    if d.raw(8)? != MAGIC || d.u32()? != VERSION || d.u32()? != crc32c::checksum(d.0) {
        return None;
    }
    let volume = u128::from(d.u64()?) | u128::from(d.u64()?) << 64;
    Some((volume, Lsn(d.u64()?)))
}

fn piece_crc(position: u64, bytes: &[u8]) -> u32 {
    let crc = crc32c::checksum(&position.to_le_bytes());
    crc32c::extend(crc32c::extend(crc, &(bytes.len() as u32).to_le_bytes()), bytes)
}

/// A piece, at most [`MAX_PIECE`] bytes long.
pub fn piece(position: Lsn, bytes: &[u8]) -> Vec<u8> {
    let mut e = Encoder(Vec::with_capacity(PIECE_HEADER + bytes.len()));
    e.u64(position.0).u32(bytes.len() as u32).u32(piece_crc(position.0, bytes)).raw(bytes);
    e.0
}

/// Takes the piece that begins `bytes`, if it is whole and goes on at `position`: its content.
pub fn parse_piece(bytes: &[u8], position: Lsn) -> Option<&[u8]> {
    let mut d = Decoder(bytes);
    let (at, len, crc) = (d.u64()?, d.u32()? as usize, d.u32()?);
    let content = (at == position.0 && len > 0 && len <= MAX_PIECE).then(|| d.raw(len))??;
    (crc == piece_crc(at, content)).then_some(content)
}

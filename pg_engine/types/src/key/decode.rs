//! Values from keys, for the types whose keys say everything about them.
//!
//! Left out are numeric (a key has no scale), char(n) (no blanks), floats (one zero for both), and what is made of others.

use alloc::vec::Vec;

use super::{KeyColumn, PRESENT};
use crate::{
    error::{Result, SqlError, SqlState},
    oid::{self, Oid},
    vector::{Physical, VectorBuilder},
};

/// Can values of the type be read back from keys?
pub fn is_decodable(ty: Oid) -> bool {
    match Physical::of(ty) {
        Physical::Bool
        | Physical::Int2
        | Physical::Int4
        | Physical::Int8
        | Physical::Oid
        | Physical::Uuid => true,
        Physical::Text => matches!(ty, oid::TEXT | oid::VARCHAR | oid::NAME),
        _ => false,
    }
}

#[cold]
fn corrupt() -> SqlError {
    SqlError::new(SqlState::INDEX_CORRUPTED, "an index key is malformed")
}

impl KeyColumn {
    /// Reads this column off the front of a key, into a column of its type if wanted; gives the rest. For the types that
    /// [`is_decodable`] names.
    pub fn take<'k>(&self, key: &'k [u8], out: Option<&mut VectorBuilder>) -> Result<&'k [u8]> {
        let (marker, rest) = key.split_first().ok_or_else(corrupt)?;
        if *marker != PRESENT {
            if let Some(out) = out {
                out.push_null();
            }
            return Ok(rest);
        }
        let flip = if self.descending { 0xff } else { 0 };
        match Physical::of(self.ty) {
            Physical::Int4 => {
                fixed(rest, flip, out, |out, b| out.push_i32((u32::from_be_bytes(b) ^ 1 << 31) as i32))
            }
            Physical::Int8 => {
                fixed(rest, flip, out, |out, b| out.push_i64((u64::from_be_bytes(b) ^ 1 << 63) as i64))
            }
            Physical::Int2 => {
                fixed(rest, flip, out, |out, b| out.push_i16((u16::from_be_bytes(b) ^ 1 << 15) as i16))
            }
            Physical::Oid => fixed(rest, flip, out, |out, b| out.push_oid(u32::from_be_bytes(b))),
            Physical::Bool => fixed(rest, flip, out, |out, [b]: [u8; 1]| out.push_bool(b != 0)),
            Physical::Uuid => fixed(rest, flip, out, VectorBuilder::push_uuid),
            Physical::Text => text(rest, flip, out),
            _ => Err(corrupt()),
        }
    }
}

#[inline]
fn fixed<'k, const N: usize>(
    key: &'k [u8],
    flip: u8,
    out: Option<&mut VectorBuilder>,
    push: impl FnOnce(&mut VectorBuilder, [u8; N]),
) -> Result<&'k [u8]> {
    let (bytes, rest) = key.split_first_chunk::<N>().ok_or_else(corrupt)?;
    if let Some(out) = out {
        push(out, bytes.map(|b| b ^ flip));
    }
    Ok(rest)
}

/// Text has no 00 byte in it: it ends at the first, which another follows.
fn text<'k>(key: &'k [u8], flip: u8, out: Option<&mut VectorBuilder>) -> Result<&'k [u8]> {
    let len = key.iter().position(|b| *b == flip).ok_or_else(corrupt)?;
    let (bytes, rest) = key.split_at(len);
    let rest = rest.get(2..).filter(|_| rest.get(1) == Some(&flip)).ok_or_else(corrupt)?;
    if let Some(out) = out {
        let flipped: Vec<u8>;
        let bytes = if flip == 0 {
            bytes
        } else {
            flipped = bytes.iter().map(|b| b ^ flip).collect();
            &flipped
        };
        out.push_text(core::str::from_utf8(bytes).map_err(|_| corrupt())?);
    }
    Ok(rest)
}

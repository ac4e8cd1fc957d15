//! The payload of a stored row.
//!
//! ```text
//! u16   number of fields, little-endian; bit 15: some field is NULL; bit 14: variable-length fields have a tag, because some
//!       large value is compressed or lies elsewhere
//! [u8]  NULL bitmap, one bit per field (only when bit 15 is set); a NULL field has no bytes below
//! ...   the fields, end to end, unaligned:
//!         fixed width (bool, integers, oid, floats, date and time types, interval, uuid, "char", tid, macaddr): little-endian
//!         inet: bits, 1 for cidr, 4 or 16 bytes; bit strings: number of bits (u32), then the bytes; jsonb: see `pg_json`; jsonpath: its text
//!         others: length as LEB128, then that many bytes
//! ```
//!
//! A tuple may have fewer fields than its table has columns now (columns were added since): the missing ones come
//! from the caller. A tuple with more fields than the layout is corrupt. Page checksums guard against damaged bits;
//! here every length is checked, so that arbitrary bytes yield XX001 and never a panic or an over-long read.

mod decode;
mod encode;
mod nested;
#[cfg(test)]
pub(crate) mod tests;
mod wrap;

pub use wrap::{External, MAX_VALUE, Stored, is_wrapped};

use alloc::{boxed::Box, vec::Vec};

use crate::{
    error::{SqlError, SqlState},
    oid::{self, Oid, SqlType},
    typeinfo,
    vector::Physical,
};

/// Most columns a table can have (PostgreSQL's limit).
pub const MAX_FIELDS: usize = 1_600;

const HAS_NULLS: u16 = 1 << 15;
/// Variable-length fields carry a tag ([`wrap`]).
const WRAPPED: u16 = 1 << 14;
/// Where the first field of a tuple without NULLs starts.
const FIRST: usize = 2;
/// Width of a variable-length field.
const VARIABLE: u16 = 0;

#[derive(Clone, Copy, Debug)]
struct Field {
    ty: SqlType,
    class: Physical,
    /// Bytes, or [`VARIABLE`].
    width: u16,
    /// Where the field starts in a tuple without NULLs, when all fields before it are of fixed width; else 0.
    offset: u16,
    /// The last field up to this one, itself included, that has such an offset.
    anchor: u16,
}

/// How rows of certain column types are laid out. Made once per table.
#[derive(Clone, Debug)]
pub struct TupleLayout {
    fields: Box<[Field]>,
}

impl TupleLayout {
    /// For these columns (dropped ones included: their bytes are still in old tuples).
    pub fn new(types: &[SqlType]) -> Self {
        let mut offset = Some(FIRST as u16);
        let mut anchor = 0;
        let fields = types.iter().zip(0..).map(|(&ty, place)| {
            let class = Physical::of(ty.oid);
            let width = fixed_width(ty, class);
            if offset.is_some() {
                anchor = place;
            }
            let field = Field { ty, class, width, offset: offset.unwrap_or(0), anchor };
            offset = offset.filter(|_| width != VARIABLE).and_then(|o| o.checked_add(width));
            field
        });
        Self { fields: fields.collect() }
    }
    /// Number of columns.
    pub fn len(&self) -> usize {
        self.fields.len()
    }
    /// True for a table without columns.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
    /// The column types.
    pub fn types(&self) -> Vec<SqlType> {
        self.fields.iter().map(|f| f.ty).collect()
    }
}

/// True for the types whose variable-length fields hold arrays.
fn holds_array(ty: Oid) -> bool {
    matches!(ty, oid::ANYARRAY | oid::ANYCOMPATIBLEARRAY) || typeinfo::element_of(ty) != 0
}

/// True for those that hold records.
fn holds_record(ty: Oid) -> bool {
    !holds_array(ty)
        && !crate::geometry::is_geometric(ty)
        && !matches!(
            ty,
            oid::JSONPATH
                | oid::JSONB
                | oid::INET
                | oid::CIDR
                | oid::MACADDR
                | oid::MACADDR8
                | oid::BIT
                | oid::VARBIT
        )
}

const fn fixed_width(ty: SqlType, class: Physical) -> u16 {
    match class {
        Physical::Bool => 1,
        Physical::Int2 => 2,
        Physical::Int4 | Physical::Oid | Physical::Float4 => 4,
        Physical::Int8 | Physical::Float8 => 8,
        Physical::Interval | Physical::Uuid => 16,
        Physical::Numeric | Physical::Text | Physical::Bytea => VARIABLE,
        Physical::Other => match ty.oid {
            oid::CHAR => 1,
            oid::TID | oid::MACADDR => 6,
            oid::MACADDR8 => 8,
            oid::TIMETZ => 12,
            _ => VARIABLE,
        },
    }
}

#[cold]
fn corrupt(what: &'static str) -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, what)
}

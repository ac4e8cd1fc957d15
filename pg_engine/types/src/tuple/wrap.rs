//! Rows with large values: fields that are compressed, or that lie elsewhere.
//!
//! Bit 14 of a tuple's first word says that its variable-length fields carry a tag byte in front of their length:
//! ```text
//! 0  the value's bytes, as in any tuple
//! 1  u32 length of the value, then it as an LZ4 block
//! 2  u32 id, u32 length of the value, u32 bytes stored: it lies elsewhere under that id
//! 3  as 2, stored as an LZ4 block
//! ```
//! Where "elsewhere" is and how values get there is not known here. Such a tuple is not decoded as others are: its
//! [`Stored`] fields are taken apart, those that are wanted replaced by plain ones, and these become values.

use alloc::{borrow::Cow, vec::Vec};

use super::{
    HAS_NULLS, TupleLayout, VARIABLE, WRAPPED, corrupt,
    decode::{Header, Reader},
    encode,
};
use crate::{
    error::{Result, SqlError},
    oid,
    value::Value,
    vector::{Physical, VectorBuilder},
};

const PLAIN: u8 = 0;
const COMPRESSED: u8 = 1;
const EXTERNAL: u8 = 2;
const EXTERNAL_COMPRESSED: u8 = 3;

/// Longest value of one field.
pub const MAX_VALUE: usize = (1 << 30) - 1;

/// Where a value is that does not lie in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct External {
    /// Under which id.
    pub id: u32,
    /// Length of the value.
    pub raw: u32,
    /// Bytes stored.
    pub stored: u32,
    /// They are an LZ4 block.
    pub compressed: bool,
}

/// A field as a tuple has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored<'a> {
    /// NULL.
    Null,
    /// Its bytes.
    Plain(Cow<'a, [u8]>),
    /// An LZ4 block in the row.
    Compressed {
        /// Length of the value.
        raw: u32,
        /// The block.
        block: Cow<'a, [u8]>,
    },
    /// Elsewhere.
    External(External),
}

impl Stored<'_> {
    /// Can only be read after something was done about it.
    pub fn is_wrapped(&self) -> bool {
        matches!(self, Self::Compressed { .. } | Self::External(_))
    }
    /// The same, with bytes of its own.
    pub fn into_owned(self) -> Stored<'static> {
        match self {
            Self::Null => Stored::Null,
            Self::Plain(b) => Stored::Plain(Cow::Owned(b.into_owned())),
            Self::Compressed { raw, block } => {
                Stored::Compressed { raw, block: Cow::Owned(block.into_owned()) }
            }
            Self::External(e) => Stored::External(e),
        }
    }
}

/// Has the tuple fields that are compressed or lie elsewhere?
#[inline]
pub fn is_wrapped(tuple: &[u8]) -> bool {
    tuple.get(1).is_some_and(|b| b & (WRAPPED >> 8) as u8 != 0)
}

/// Takes a variable-length field with its tag.
fn take<'a>(r: &mut Reader<'a>) -> Result<Stored<'a>> {
    let tag = r.array::<1>()?[0];
    let bytes = r.sized()?;
    let mut inner = Reader::new(bytes);
    Ok(match tag {
        PLAIN => Stored::Plain(Cow::Borrowed(bytes)),
        COMPRESSED => {
            let raw = length(&mut inner)?;
            Stored::Compressed { raw, block: Cow::Borrowed(inner.rest()) }
        }
        EXTERNAL | EXTERNAL_COMPRESSED => {
            let id = u32::from_le_bytes(inner.array()?);
            let (raw, stored) = (length(&mut inner)?, length(&mut inner)?);
            inner.finish()?;
            let compressed = tag == EXTERNAL_COMPRESSED;
            if !compressed && raw != stored {
                return Err(corrupt("pointer to a large value contradicts itself"));
            }
            Stored::External(External { id, raw, stored, compressed })
        }
        _ => return Err(corrupt("field of a stored row is of unknown kind")),
    })
}

fn length(r: &mut Reader<'_>) -> Result<u32> {
    let n = u32::from_le_bytes(r.array()?);
    if n as usize > MAX_VALUE { Err(corrupt("large value is longer than any can be")) } else { Ok(n) }
}

fn put(field: &Stored<'_>, out: &mut Vec<u8>) {
    match field {
        Stored::Null => {}
        Stored::Plain(b) => {
            out.push(PLAIN);
            encode::put_bytes(b, out);
        }
        Stored::Compressed { raw, block } => {
            out.push(COMPRESSED);
            encode::put_length(block.len() + 4, out);
            out.extend_from_slice(&raw.to_le_bytes());
            out.extend_from_slice(block);
        }
        Stored::External(e) => {
            out.push(if e.compressed { EXTERNAL_COMPRESSED } else { EXTERNAL });
            encode::put_length(12, out);
            for n in [e.id, e.raw, e.stored] {
                out.extend_from_slice(&n.to_le_bytes());
            }
        }
    }
}

impl TupleLayout {
    /// Is this column's length not fixed by its type?
    pub fn is_variable(&self, column: usize) -> bool {
        self.fields.get(column).is_some_and(|f| f.width == VARIABLE)
    }
    /// The fields of a tuple, wrapped or not, as they are. A tuple that was written when the table had fewer columns
    /// has fewer.
    pub fn fields<'t>(&self, tuple: &'t [u8]) -> Result<Vec<Stored<'t>>> {
        let (header, wrapped) = Header::read_any(tuple, self.fields.len())?;
        let mut r = Reader::new(header.fields);
        let mut out = Vec::with_capacity(header.count);
        for (i, field) in self.fields.iter().enumerate().take(header.count) {
            out.push(if header.is_null(i) {
                Stored::Null
            } else if field.width != VARIABLE {
                Stored::Plain(Cow::Borrowed(r.take(usize::from(field.width))?))
            } else if wrapped {
                take(&mut r)?
            } else {
                Stored::Plain(Cow::Borrowed(r.sized()?))
            });
        }
        Ok(out)
    }
    /// Appends the tuple of these fields: one without tags if no field needs one.
    pub fn assemble(&self, fields: &[Stored<'_>], out: &mut Vec<u8>) -> Result<()> {
        self.check_fields(fields.len())?;
        let start = out.len();
        encode::header(fields.len(), fields.iter().map(|f| *f == Stored::Null), out);
        let wrapped = fields.iter().any(Stored::is_wrapped);
        if wrapped && let Some(high) = out.get_mut(start + 1) {
            *high |= (WRAPPED >> 8) as u8;
        }
        for (stored, field) in fields.iter().zip(&self.fields) {
            match stored {
                Stored::Null => {}
                Stored::Plain(b) if field.width != VARIABLE && b.len() == usize::from(field.width) => {
                    out.extend_from_slice(b);
                }
                _ if field.width != VARIABLE => return Err(corrupt("field of fixed width has another")),
                Stored::Plain(b) if !wrapped => encode::put_bytes(b, out),
                other => put(other, out),
            }
        }
        Ok(())
    }
    fn check_fields(&self, n: usize) -> Result<()> {
        if n > self.fields.len() || n >= usize::from(WRAPPED) {
            return Err(SqlError::internal("more fields than columns"));
        }
        Ok(())
    }
    /// As [`TupleLayout::decode_into`], from fields; the wanted ones must be plain.
    pub fn decode_fields_into(
        &self,
        fields: &[Stored<'_>],
        wanted: &[usize],
        missing: &[Value],
        out: &mut [VectorBuilder],
    ) -> Result<()> {
        for (&column, builder) in wanted.iter().zip(out) {
            match (fields.get(column), self.fields.get(column)) {
                (None, _) | (_, None) => builder.push(missing.get(column).unwrap_or(&Value::Null))?,
                (Some(Stored::Null), _) => builder.push_null(),
                (Some(Stored::Plain(b)), Some(field)) => field.push(b, builder)?,
                (Some(_), _) => return Err(unresolved()),
            }
        }
        Ok(())
    }
    /// As [`TupleLayout::decode`], from plain fields.
    pub fn decode_fields(&self, fields: &[Stored<'_>], missing: &[Value]) -> Result<Vec<Value>> {
        let column = |(i, field): (usize, &super::Field)| match fields.get(i) {
            None => Ok(missing.get(i).cloned().unwrap_or(Value::Null)),
            Some(Stored::Null) => Ok(Value::Null),
            Some(Stored::Plain(b)) => field.value(b, 0),
            Some(_) => Err(unresolved()),
        };
        self.fields.iter().enumerate().map(column).collect()
    }
    /// What stands in a plain field for a value that no one will look at: zeros of its width, or nothing.
    pub fn placeholder(&self, column: usize) -> Stored<'static> {
        const ZEROS: [u8; 16] = [0; 16];
        // The bytes of an empty array: no element type, no dimensions, no elements. A record: no fields.
        const ARRAY: [u8; 6] = [0; 6];
        const RECORD: [u8; 1] = [0];
        const NUMBER: [u8; 0] = [];
        const NULL_DOCUMENT: [u8; 2] = [1, 0];
        const ADDRESS: [u8; 6] = [0; 6];
        const NO_BITS: [u8; 4] = [0; 4];
        let Some(field) = self.fields.get(column) else { return Stored::Null };
        let bytes: &'static [u8] = match field.class {
            _ if field.width != VARIABLE => ZEROS.get(..usize::from(field.width)).unwrap_or(&ZEROS),
            Physical::Numeric => return Stored::Plain(Cow::Owned(zero_numeric())),
            Physical::Other if super::holds_array(field.ty.oid) => &ARRAY,
            Physical::Other => match field.ty.oid {
                oid::JSONB => &NULL_DOCUMENT,
                oid::JSONPATH => b"$",
                oid::INET | oid::CIDR => &ADDRESS,
                oid::BIT | oid::VARBIT => &NO_BITS,
                ty if crate::geometry::is_geometric(ty) => {
                    return Stored::Plain(Cow::Owned(some_geometry(ty)));
                }
                _ => &RECORD,
            },
            _ => &NUMBER,
        };
        Stored::Plain(Cow::Borrowed(bytes))
    }
}

fn some_geometry(ty: crate::Oid) -> Vec<u8> {
    use crate::geometry::{Geometry, Point};
    let p = Point::default();
    let value = match ty {
        oid::POINT => Geometry::Point(p),
        oid::LSEG => Geometry::Segment(p, p),
        oid::BOX => Geometry::Box(p, p),
        oid::LINE => Geometry::Line(1.0, 0.0, 0.0),
        oid::CIRCLE => Geometry::Circle(p, 0.0),
        oid::PATH => Geometry::Path(true, Vec::from([p])),
        _ => Geometry::Polygon(Vec::from([p])),
    };
    let mut out = Vec::new();
    value.send(&mut out);
    out
}

fn zero_numeric() -> Vec<u8> {
    let mut out = Vec::new();
    crate::numeric::Numeric::from(0).store(&mut out);
    out
}

#[cold]
pub(super) fn unresolved() -> SqlError {
    SqlError::internal("a large value was not fetched before its row was decoded")
}

/// The count in a wrapped tuple's first word.
#[inline]
pub(super) fn count_of(word: u16) -> usize {
    usize::from(word & !(HAS_NULLS | WRAPPED))
}

//! Columns of values: what the executor works on.

mod batch;
mod builder;
mod column;
mod nulls;
mod pack;
#[cfg(test)]
mod tests;

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use crate::{
    numeric::Numeric,
    oid::{self, Oid, SqlType},
    value::{Interval, Value},
};

pub use batch::SelectedRows;
pub use builder::VectorBuilder;
pub use column::NO_ROW;

/// Rows in a full batch.
pub const BATCH_ROWS: usize = 1024;

/// How a type's values lie in a column. Fixed per type oid ([`Physical::of`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Physical {
    /// bool
    Bool,
    /// int2
    Int2,
    /// int4, date
    Int4,
    /// int8, time, timestamp, timestamptz, money, enums
    Int8,
    /// oid and reg*
    Oid,
    /// float4
    Float4,
    /// float8
    Float8,
    /// numeric
    Numeric,
    /// text-like types
    Text,
    /// bytea
    Bytea,
    /// interval
    Interval,
    /// uuid
    Uuid,
    /// everything else: one [`Value`] per row
    Other,
}

impl Physical {
    /// The class of a type. Arrays, records, `"char"`, tid, timetz and everything not built in are [`Self::Other`].
    pub const fn of(ty: Oid) -> Self {
        match ty {
            oid::BOOL => Self::Bool,
            oid::INT2 => Self::Int2,
            oid::INT4 | oid::DATE => Self::Int4,
            oid::INT8
            | oid::TIME
            | oid::TIMESTAMP
            | oid::TIMESTAMPTZ
            | oid::XID8
            | oid::PG_LSN
            | oid::MONEY => Self::Int8,
            oid::OID
            | oid::XID
            | oid::CID
            | oid::REGPROC
            | oid::REGPROCEDURE
            | oid::REGOPER
            | oid::REGOPERATOR
            | oid::REGCLASS
            | oid::REGTYPE
            | oid::REGCONFIG
            | oid::REGDICTIONARY
            | oid::REGNAMESPACE
            | oid::REGROLE
            | oid::REGCOLLATION => Self::Oid,
            oid::FLOAT4 => Self::Float4,
            oid::FLOAT8 => Self::Float8,
            oid::NUMERIC => Self::Numeric,
            oid::TEXT
            | oid::VARCHAR
            | oid::BPCHAR
            | oid::NAME
            | oid::UNKNOWN
            | oid::CSTRING
            | oid::JSON
            | oid::PG_NODE_TREE
            | oid::PG_NDISTINCT
            | oid::PG_DEPENDENCIES
            | oid::REFCURSOR
            | oid::PG_SNAPSHOT
            | oid::TXID_SNAPSHOT
            | oid::ACLITEM => Self::Text,
            oid::BYTEA | oid::PG_MCV_LIST => Self::Bytea,
            oid::INTERVAL => Self::Interval,
            oid::UUID => Self::Uuid,
            // The place of a label.
            ty if crate::user::is_enum(ty) => Self::Int8,
            _ => Self::Other,
        }
    }
}

/// Variable-length values end to end: value `i` is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VarColumn {
    /// One more than there are values; starts with 0.
    pub offsets: Vec<u32>,
    /// The bytes. For [`ColumnData::Text`] each value is valid UTF-8.
    pub bytes: Vec<u8>,
}

/// The values of a column; the slot of a NULL holds an arbitrary value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "named as in Physical")]
pub enum ColumnData {
    Bool(Vec<bool>),
    Int2(Vec<i16>),
    Int4(Vec<i32>),
    Int8(Vec<i64>),
    Oid(Vec<u32>),
    Float4(Vec<f32>),
    Float8(Vec<f64>),
    Numeric(Vec<Numeric>),
    Text(VarColumn),
    Bytea(VarColumn),
    Interval(Vec<Interval>),
    Uuid(Vec<[u8; 16]>),
    Other(Vec<Value>),
}

/// Which rows of a column are NULL. `None` inside a [`Vector`] means none is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nulls {
    /// Bit i of word i / 64 set: row i is NULL. Missing words read as zero.
    pub words: Vec<u64>,
}

/// How the rows of a vector map to its data.
#[derive(Clone, Debug, PartialEq)]
pub enum Encoding {
    /// Row i is `data[i]`.
    Flat,
    /// Every row is `data[0]`.
    Constant,
    /// Row i is `data[codes[i]]`.
    Dictionary(Arc<[u32]>),
}

/// A column of one type. Nulls are indexed like the data (after the encoding's mapping).
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    /// The SQL type.
    pub ty: SqlType,
    /// Row mapping.
    pub encoding: Encoding,
    /// The values.
    pub data: ColumnData,
    /// NULL bits; `None`: no NULLs.
    pub nulls: Option<Nulls>,
}

/// A set of rows: columns of equal length, and which rows are selected.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The columns.
    pub columns: Vec<Arc<Vector>>,
    /// Number of rows in the columns (before selection).
    pub rows: usize,
    /// Row numbers that are in, ascending; `None`: all.
    pub selection: Option<Box<[u32]>>,
}

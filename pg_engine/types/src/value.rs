//! One datum.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use crate::oid::Oid;

/// Calendar interval: the three parts are kept apart, as months and days differ in length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// Time of day with zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeTz {
    /// Microseconds since midnight, local.
    pub micros: i64,
    /// Seconds west of UTC (PostgreSQL's sign).
    pub zone: i32,
}

/// An array of any element type and up to six dimensions, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayValue {
    /// Element type.
    pub element: Oid,
    /// (length, lower bound) of each dimension; empty for `{}`.
    pub dims: Vec<(i32, i32)>,
    /// The elements.
    pub values: Vec<Value>,
}

/// A composite value.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordValue {
    /// Type of each field.
    pub types: Vec<Oid>,
    /// The fields.
    pub values: Vec<Value>,
    /// Their names; without them they count as `f1`, `f2`, ...
    pub names: Names,
}

/// Names of a row's fields.
pub type Names = Option<Arc<[Box<str>]>>;

/// One datum. The variant follows the type's physical class: several SQL types share one (text, varchar, bpchar,
/// name, unknown, json are all `Text`; oid and the reg* types are `Oid`). `PartialEq` is bitwise identity for tests,
/// not SQL equality.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL of any type.
    Null,
    /// bool
    Bool(bool),
    /// "char"
    Char(u8),
    /// int2
    Int2(i16),
    /// int4
    Int4(i32),
    /// int8, money, xid8, pg_lsn
    Int8(i64),
    /// oid, xid, cid, regclass and the other reg* types
    Oid(u32),
    /// float4
    Float4(f32),
    /// float8
    Float8(f64),
    /// numeric
    Numeric(crate::numeric::Numeric),
    /// text, varchar, bpchar, name, unknown, cstring, json, pg_node_tree
    Text(Box<str>),
    /// bytea
    Bytea(Box<[u8]>),
    /// Days since 2000-01-01; i32::MIN and MAX are −infinity and infinity.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// time with time zone
    TimeTz(TimeTz),
    /// Microseconds since 2000-01-01, no zone; i64::MIN and MAX are −infinity and infinity.
    Timestamp(i64),
    /// Microseconds since 2000-01-01 UTC; same infinities.
    TimestampTz(i64),
    /// interval
    Interval(Interval),
    /// uuid
    Uuid([u8; 16]),
    /// tid: block, offset
    Tid(u32, u16),
    /// jsonb
    Jsonb(pg_json::Jsonb),
    /// jsonpath
    JsonPath(Arc<pg_json::path::Path>),
    /// inet, cidr
    Inet(crate::network::Inet),
    /// macaddr
    MacAddr([u8; 6]),
    /// macaddr8
    MacAddr8([u8; 8]),
    /// bit, bit varying
    Bits(Box<crate::bits::Bits>),
    /// point, lseg, line, box, path, polygon, circle
    Geometry(Box<crate::geometry::Geometry>),
    /// Any array, int2vector and oidvector included.
    Array(Arc<ArrayValue>),
    /// Any row value.
    Record(Arc<RecordValue>),
}

impl Value {
    /// True for SQL NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
    /// A text value.
    pub fn text(s: &str) -> Self {
        Self::Text(s.into())
    }
}

//! Vectors: construction, access, gathering.

use alloc::{borrow::Cow, boxed::Box, vec::Vec};

use super::{ColumnData, Encoding, Nulls, Physical, VarColumn, Vector, VectorBuilder};
use crate::{
    error::{Result, SqlError},
    numeric::Numeric,
    oid::{self, Oid, SqlType},
    value::{Interval, Value},
};

/// In a list of row numbers: a row of NULLs ([`Vector::take`]), as outer joins need.
pub const NO_ROW: u32 = u32::MAX;

#[cold]
fn too_much() -> ! {
    panic!("a batch has 4 GiB of values in one column")
}

impl Default for VarColumn {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl VarColumn {
    /// Room for `values` values of `bytes` bytes in all.
    pub fn with_capacity(values: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(values + 1);
        offsets.push(0);
        Self { offsets, bytes: Vec::with_capacity(bytes) }
    }
    /// Number of values.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }
    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Value `i`.
    pub fn get(&self, i: usize) -> &[u8] {
        &self.bytes[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }
    /// Value `i` as text (the column must be a text column).
    pub fn str(&self, i: usize) -> &str {
        core::str::from_utf8(self.get(i)).unwrap_or("\u{fffd}")
    }
    /// Appends a value.
    pub fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.close();
    }
    /// Ends the value whose bytes were appended to `bytes` since the last end.
    pub fn close(&mut self) {
        // Scans end their batches by size, and what is gathered is charged for: an expression that makes gigabytes of a batch is
        // ended by this rather than by wrong values.
        let Ok(end) = u32::try_from(self.bytes.len()) else { too_much() };
        self.offsets.push(end);
    }
}

/// Runs `$body` with `$v` bound to the vector of a fixed-width column, `$w` to a variable-width one.
macro_rules! with_data {
    ($data:expr, $v:ident => $body:expr, $w:ident => $wide:expr) => {
        match $data {
            ColumnData::Bool($v) => $body,
            ColumnData::Int2($v) => $body,
            ColumnData::Int4($v) => $body,
            ColumnData::Int8($v) => $body,
            ColumnData::Oid($v) => $body,
            ColumnData::Float4($v) => $body,
            ColumnData::Float8($v) => $body,
            ColumnData::Numeric($v) => $body,
            ColumnData::Interval($v) => $body,
            ColumnData::Uuid($v) => $body,
            ColumnData::Other($v) => $body,
            ColumnData::Text($w) | ColumnData::Bytea($w) => $wide,
        }
    };
}

impl ColumnData {
    /// An empty column.
    pub fn with_capacity(class: Physical, n: usize) -> Self {
        match class {
            Physical::Bool => Self::Bool(Vec::with_capacity(n)),
            Physical::Int2 => Self::Int2(Vec::with_capacity(n)),
            Physical::Int4 => Self::Int4(Vec::with_capacity(n)),
            Physical::Int8 => Self::Int8(Vec::with_capacity(n)),
            Physical::Oid => Self::Oid(Vec::with_capacity(n)),
            Physical::Float4 => Self::Float4(Vec::with_capacity(n)),
            Physical::Float8 => Self::Float8(Vec::with_capacity(n)),
            Physical::Numeric => Self::Numeric(Vec::with_capacity(n)),
            Physical::Text => Self::Text(VarColumn::with_capacity(n, n * 8)),
            Physical::Bytea => Self::Bytea(VarColumn::with_capacity(n, n * 8)),
            Physical::Interval => Self::Interval(Vec::with_capacity(n)),
            Physical::Uuid => Self::Uuid(Vec::with_capacity(n)),
            Physical::Other => Self::Other(Vec::with_capacity(n)),
        }
    }
    /// The class.
    pub fn physical(&self) -> Physical {
        match self {
            Self::Bool(_) => Physical::Bool,
            Self::Int2(_) => Physical::Int2,
            Self::Int4(_) => Physical::Int4,
            Self::Int8(_) => Physical::Int8,
            Self::Oid(_) => Physical::Oid,
            Self::Float4(_) => Physical::Float4,
            Self::Float8(_) => Physical::Float8,
            Self::Numeric(_) => Physical::Numeric,
            Self::Text(_) => Physical::Text,
            Self::Bytea(_) => Physical::Bytea,
            Self::Interval(_) => Physical::Interval,
            Self::Uuid(_) => Physical::Uuid,
            Self::Other(_) => Physical::Other,
        }
    }
    /// Number of values.
    pub fn len(&self) -> usize {
        with_data!(self, v => v.len(), w => w.len())
    }
    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Value `i`, as type `ty`.
    pub fn value(&self, ty: Oid, i: usize) -> Value {
        match self {
            Self::Bool(v) => Value::Bool(v[i]),
            Self::Int2(v) => Value::Int2(v[i]),
            Self::Int4(v) if ty == oid::DATE => Value::Date(v[i]),
            Self::Int4(v) => Value::Int4(v[i]),
            Self::Int8(v) => match ty {
                oid::TIME => Value::Time(v[i]),
                oid::TIMESTAMP => Value::Timestamp(v[i]),
                oid::TIMESTAMPTZ => Value::TimestampTz(v[i]),
                _ => Value::Int8(v[i]),
            },
            Self::Oid(v) => Value::Oid(v[i]),
            Self::Float4(v) => Value::Float4(v[i]),
            Self::Float8(v) => Value::Float8(v[i]),
            Self::Numeric(v) => Value::Numeric(v[i].clone()),
            Self::Text(v) => Value::text(v.str(i)),
            Self::Bytea(v) => Value::Bytea(v.get(i).into()),
            Self::Interval(v) => Value::Interval(v[i]),
            Self::Uuid(v) => Value::Uuid(v[i]),
            Self::Other(v) => v[i].clone(),
        }
    }
    /// Appends an arbitrary value (the slot of a NULL).
    pub fn push_placeholder(&mut self) {
        self.push_placeholders(1);
    }
    /// Appends `n` arbitrary values.
    pub fn push_placeholders(&mut self, n: usize) {
        match self {
            Self::Bool(v) => v.resize(v.len() + n, false),
            Self::Int2(v) => v.resize(v.len() + n, 0),
            Self::Int4(v) => v.resize(v.len() + n, 0),
            Self::Int8(v) => v.resize(v.len() + n, 0),
            Self::Oid(v) => v.resize(v.len() + n, 0),
            Self::Float4(v) => v.resize(v.len() + n, 0.0),
            Self::Float8(v) => v.resize(v.len() + n, 0.0),
            Self::Numeric(v) => v.resize(v.len() + n, Numeric::default()),
            Self::Text(v) | Self::Bytea(v) => {
                let end = *v.offsets.last().unwrap_or(&0);
                v.offsets.resize(v.offsets.len() + n, end);
            }
            Self::Interval(v) => v.resize(v.len() + n, Interval::default()),
            Self::Uuid(v) => v.resize(v.len() + n, [0; 16]),
            Self::Other(v) => v.resize(v.len() + n, Value::Null),
        }
    }
    /// Appends a non-NULL value; a NULL or a value of another class is refused (XX000: the caller mixed types up).
    pub fn push(&mut self, value: &Value) -> Result<()> {
        match (self, value) {
            (Self::Bool(v), Value::Bool(x)) => v.push(*x),
            (Self::Int2(v), Value::Int2(x)) => v.push(*x),
            (Self::Int4(v), Value::Int4(x) | Value::Date(x)) => v.push(*x),
            (
                Self::Int8(v),
                Value::Int8(x) | Value::Time(x) | Value::Timestamp(x) | Value::TimestampTz(x),
            ) => v.push(*x),
            (Self::Oid(v), Value::Oid(x)) => v.push(*x),
            (Self::Float4(v), Value::Float4(x)) => v.push(*x),
            (Self::Float8(v), Value::Float8(x)) => v.push(*x),
            (Self::Numeric(v), Value::Numeric(x)) => v.push(x.clone()),
            (Self::Text(v), Value::Text(x)) => v.push(x.as_bytes()),
            (Self::Bytea(v), Value::Bytea(x)) => v.push(x),
            (Self::Interval(v), Value::Interval(x)) => v.push(*x),
            (Self::Uuid(v), Value::Uuid(x)) => v.push(*x),
            (Self::Other(v), x) if !x.is_null() => v.push(x.clone()),
            (me, x) => return Err(mismatch(me.physical(), x)),
        }
        Ok(())
    }
    /// Appends the values of `other` at `rows`; [`NO_ROW`] appends a placeholder. Classes must agree.
    pub(super) fn extend_taken(&mut self, other: &Self, rows: impl Iterator<Item = usize>) {
        const NONE: usize = NO_ROW as usize;
        macro_rules! fixed {
            ($($variant:ident $zero:expr),*) => {
                match (self, other) {
                    $((Self::$variant(to), Self::$variant(from)) => {
                        to.extend(rows.map(|i| if i == NONE { $zero } else { from[i].clone() }));
                    })*
                    (Self::Text(to), Self::Text(from)) | (Self::Bytea(to), Self::Bytea(from)) => {
                        for i in rows {
                            if i == NONE { to.close() } else { to.push(from.get(i)) }
                        }
                    }
                    (to, from) => {
                        panic!("gathering {:?} values into a {:?} column", from.physical(), to.physical())
                    }
                }
            };
        }
        fixed!(
            Bool false, Int2 0, Int4 0, Int8 0, Oid 0, Float4 0.0, Float8 0.0, Numeric Numeric::default(),
            Interval Interval::default(), Uuid [0; 16], Other Value::Null
        );
    }
}

#[cold]
fn mismatch(class: Physical, value: &Value) -> SqlError {
    SqlError::internal(alloc::format!("value {value:?} does not belong in a {class:?} column"))
}

macro_rules! from_vec {
    ($($variant:ident $t:ty, $make:ident, $get:ident, $oid:ident;)*) => {
        impl Vector {
            $(
                /// A flat column without NULLs, of the element's own SQL type.
                pub fn $make(values: Vec<$t>) -> Self {
                    Self::flat(SqlType::new(oid::$oid), ColumnData::$variant(values), None)
                }
                /// The data (not mapped through the encoding), when it is of this class.
                pub fn $get(&self) -> Option<&[$t]> {
                    match &self.data {
                        ColumnData::$variant(v) => Some(v),
                        _ => None,
                    }
                }
            )*
        }
    };
}

from_vec! {
    Bool bool, from_bool, as_bool, BOOL;
    Int2 i16, from_i16, as_i16, INT2;
    Int4 i32, from_i32, as_i32, INT4;
    Int8 i64, from_i64, as_i64, INT8;
    Oid u32, from_oid, as_oid, OID;
    Float4 f32, from_f32, as_f32, FLOAT4;
    Float8 f64, from_f64, as_f64, FLOAT8;
    Numeric Numeric, from_numeric, as_numeric, NUMERIC;
    Interval Interval, from_interval, as_interval, INTERVAL;
    Uuid [u8; 16], from_uuid, as_uuid, UUID;
}

impl Vector {
    /// A flat column.
    pub fn flat(ty: SqlType, data: ColumnData, nulls: Option<Nulls>) -> Self {
        debug_assert_eq!(Physical::of(ty.oid), data.physical());
        Self { ty, encoding: Encoding::Flat, data, nulls }
    }
    /// Every row is `value`, which must be of the type's class or NULL.
    pub fn constant(value: &Value, ty: impl Into<SqlType>) -> Result<Self> {
        let ty = ty.into();
        if value.is_null() {
            return Ok(Self::nulls(ty));
        }
        let mut data = ColumnData::with_capacity(Physical::of(ty.oid), 1);
        data.push(value)?;
        Ok(Self { ty, encoding: Encoding::Constant, data, nulls: None })
    }
    /// Every row is NULL.
    pub fn nulls(ty: impl Into<SqlType>) -> Self {
        let ty = ty.into();
        let mut data = ColumnData::with_capacity(Physical::of(ty.oid), 1);
        data.push_placeholder();
        Self { ty, encoding: Encoding::Constant, data, nulls: Some(Nulls::all(1)) }
    }
    /// A flat column of these values.
    pub fn from_values(ty: impl Into<SqlType>, values: &[Value]) -> Result<Self> {
        let mut b = VectorBuilder::with_capacity(ty.into(), values.len());
        for v in values {
            b.push(v)?;
        }
        Ok(b.finish())
    }
    /// A text column.
    pub fn from_strs<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut b = VectorBuilder::with_capacity(SqlType::new(oid::TEXT), 0);
        for v in values {
            b.push_text(v);
        }
        b.finish()
    }
    /// The same rows under another type of the same class (binary-coercible casts, typmod changes).
    #[must_use]
    pub fn with_type(mut self, ty: impl Into<SqlType>) -> Self {
        self.ty = ty.into();
        debug_assert_eq!(Physical::of(self.ty.oid), self.data.physical());
        self
    }
    /// Text columns: the values.
    pub fn as_text(&self) -> Option<&VarColumn> {
        match &self.data {
            ColumnData::Text(v) => Some(v),
            _ => None,
        }
    }
    /// Bytea columns: the values.
    pub fn as_bytea(&self) -> Option<&VarColumn> {
        match &self.data {
            ColumnData::Bytea(v) => Some(v),
            _ => None,
        }
    }
    /// [`Physical::Other`] columns: the values.
    pub fn as_values(&self) -> Option<&[Value]> {
        match &self.data {
            ColumnData::Other(v) => Some(v),
            _ => None,
        }
    }
    /// Where in `data` row `row` lies.
    #[inline]
    pub fn index(&self, row: usize) -> usize {
        match &self.encoding {
            Encoding::Flat => row,
            Encoding::Constant => 0,
            Encoding::Dictionary(codes) => codes[row] as usize,
        }
    }
    /// True when every row is the same by encoding.
    pub fn is_constant(&self) -> bool {
        matches!(self.encoding, Encoding::Constant)
    }
    /// True when row `i` is `data[i]`.
    pub fn is_flat(&self) -> bool {
        matches!(self.encoding, Encoding::Flat)
    }
    /// Number of rows the encoding can address; `None` for a constant, which has any number.
    pub fn fixed_len(&self) -> Option<usize> {
        match &self.encoding {
            Encoding::Flat => Some(self.data.len()),
            Encoding::Constant => None,
            Encoding::Dictionary(codes) => Some(codes.len()),
        }
    }
    /// True when row `row` is NULL.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        match &self.nulls {
            None => false,
            Some(n) => n.get(self.index(row)),
        }
    }
    /// True when no row can be NULL.
    pub fn no_nulls(&self) -> bool {
        self.nulls.as_ref().is_none_or(|n| !n.any())
    }
    /// Row `row`.
    pub fn value(&self, row: usize) -> Value {
        let i = self.index(row);
        if self.nulls.as_ref().is_some_and(|n| n.get(i)) {
            return Value::Null;
        }
        self.data.value(self.ty.oid, i)
    }
    /// Row `row` of a text column; `None` when NULL.
    pub fn text(&self, row: usize) -> Option<&str> {
        let i = self.index(row);
        if self.nulls.as_ref().is_some_and(|n| n.get(i)) {
            return None;
        }
        self.as_text().map(|t| t.str(i))
    }
    /// Row `row` of a bool column: true only when TRUE (not FALSE, not NULL).
    pub fn is_true(&self, row: usize) -> bool {
        let i = self.index(row);
        matches!(&self.data, ColumnData::Bool(v) if v[i]) && !self.nulls.as_ref().is_some_and(|n| n.get(i))
    }
    /// NULL bits by row (not by data position), for `rows` rows.
    pub fn row_nulls(&self, rows: usize) -> Option<Cow<'_, Nulls>> {
        let nulls = self.nulls.as_ref().filter(|n| n.any())?;
        match &self.encoding {
            Encoding::Flat => Some(Cow::Borrowed(nulls)),
            Encoding::Constant => nulls.get(0).then(|| Cow::Owned(Nulls::all(rows))),
            Encoding::Dictionary(codes) => {
                let mut out = Nulls::new();
                for (row, &code) in codes.iter().enumerate() {
                    if nulls.get(code as usize) {
                        out.set(row);
                    }
                }
                Some(Cow::Owned(out))
            }
        }
    }
    /// This column as a flat one of `rows` rows; borrowed when it is flat already.
    pub fn flatten(&self, rows: usize) -> Cow<'_, Self> {
        if self.is_flat() { Cow::Borrowed(self) } else { Cow::Owned(self.take_iter(0..rows, rows)) }
    }
    /// The rows at `rows`, in that order; [`NO_ROW`] yields NULL. A constant stays one.
    pub fn take(&self, rows: &[u32]) -> Self {
        if self.is_constant() && !rows.contains(&NO_ROW) {
            return self.clone();
        }
        self.take_iter(rows.iter().map(|&r| r as usize), rows.len())
    }
    /// `len` rows from `offset`.
    pub fn slice(&self, offset: usize, len: usize) -> Self {
        if self.is_constant() {
            return self.clone();
        }
        self.take_iter(offset..offset + len, len)
    }
    fn take_iter(&self, rows: impl Iterator<Item = usize> + Clone, count: usize) -> Self {
        let mut b = VectorBuilder::with_capacity(self.ty, count);
        b.extend_rows(self, rows);
        b.finish()
    }
    /// The rows among `selection` (all `rows` when `None`) where a bool column is TRUE.
    pub fn true_rows(&self, rows: usize, selection: Option<&[u32]>) -> Vec<u32> {
        let Some(values) = self.as_bool() else { return Vec::new() };
        let all = || match selection {
            Some(s) => s.to_vec(),
            None => (0..rows as u32).collect(),
        };
        if self.is_constant() {
            return if self.is_true(0) { all() } else { Vec::new() };
        }
        match (selection, &self.nulls, self.is_flat()) {
            (None, None, true) => {
                let mut out = Vec::with_capacity(rows);
                out.extend(values.iter().take(rows).enumerate().filter(|(_, v)| **v).map(|(i, _)| i as u32));
                out
            }
            (None, ..) => (0..rows as u32).filter(|&i| self.is_true(i as usize)).collect(),
            (Some(s), ..) => s.iter().copied().filter(|&i| self.is_true(i as usize)).collect(),
        }
    }
    /// Bytes held, roughly: for memory limits.
    pub fn memory(&self) -> usize {
        fn each<T>(v: &[T]) -> usize {
            core::mem::size_of_val(v)
        }
        let codes = match &self.encoding {
            Encoding::Dictionary(c) => c.len() * 4,
            _ => 0,
        };
        codes + with_data!(&self.data, v => each(v), w => w.bytes.len() + w.offsets.len() * 4)
    }
}

impl Value {
    /// Owned bytes beyond the enum itself, roughly.
    pub fn memory(&self) -> usize {
        match self {
            Self::Text(s) => s.len(),
            Self::Bytea(b) => b.len(),
            Self::Jsonb(j) => j.bytes().len(),
            Self::Bits(b) => b.bytes().len() + 32,
            Self::Geometry(g) => g.memory(),
            Self::Array(a) => a.values.iter().map(|v| size_of::<Self>() + v.memory()).sum::<usize>() + 64,
            Self::Record(r) => r.values.iter().map(|v| size_of::<Self>() + v.memory()).sum::<usize>() + 64,
            _ => 0,
        }
    }
}

impl From<Box<str>> for Value {
    fn from(s: Box<str>) -> Self {
        Self::Text(s)
    }
}

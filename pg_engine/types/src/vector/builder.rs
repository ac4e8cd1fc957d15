//! Building a column value by value.

use super::{ColumnData, Nulls, Physical, Vector, column::NO_ROW};
use crate::{
    error::Result,
    numeric::Numeric,
    oid::SqlType,
    value::{Interval, Value},
};

/// Collects values into a flat [`Vector`].
///
/// The typed pushes are for callers that have matched on the type already: they panic on a column of another class,
/// which is a bug of the caller.
#[derive(Clone, Debug)]
pub struct VectorBuilder {
    ty: SqlType,
    data: ColumnData,
    nulls: Nulls,
    len: usize,
}

macro_rules! typed_push {
    ($($name:ident $variant:ident $t:ty;)*) => {$(
        /// Appends a value. Panics when the column is of another class.
        #[inline]
        pub fn $name(&mut self, value: $t) {
            match &mut self.data {
                ColumnData::$variant(v) => v.push(value),
                other => wrong_class(Physical::$variant, other.physical()),
            }
            self.len += 1;
        }
    )*};
}

#[cold]
#[inline(never)]
fn wrong_class(pushed: Physical, column: Physical) -> ! {
    panic!("pushing a {pushed:?} value into a {column:?} column")
}

impl VectorBuilder {
    /// An empty column with room for `n` rows.
    pub fn with_capacity(ty: impl Into<SqlType>, n: usize) -> Self {
        let ty = ty.into();
        Self { ty, data: ColumnData::with_capacity(Physical::of(ty.oid), n), nulls: Nulls::new(), len: 0 }
    }
    /// The type.
    pub fn ty(&self) -> SqlType {
        self.ty
    }
    /// Rows so far.
    pub fn len(&self) -> usize {
        self.len
    }
    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Appends a value of the column's class or NULL; anything else is XX000.
    pub fn push(&mut self, value: &Value) -> Result<()> {
        if value.is_null() {
            self.push_null();
            return Ok(());
        }
        self.data.push(value)?;
        self.len += 1;
        Ok(())
    }
    /// Appends NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.nulls.set(self.len);
        self.data.push_placeholder();
        self.len += 1;
    }
    /// Appends `n` NULLs.
    pub fn push_nulls(&mut self, n: usize) {
        for i in self.len..self.len + n {
            self.nulls.set(i);
        }
        self.data.push_placeholders(n);
        self.len += n;
    }
    typed_push! {
        push_bool Bool bool;
        push_i16 Int2 i16;
        push_i32 Int4 i32;
        push_i64 Int8 i64;
        push_oid Oid u32;
        push_f32 Float4 f32;
        push_f64 Float8 f64;
        push_numeric Numeric Numeric;
        push_interval Interval Interval;
        push_uuid Uuid [u8; 16];
    }
    /// Appends text. Panics when the column is of another class.
    #[inline]
    pub fn push_text(&mut self, value: &str) {
        match &mut self.data {
            ColumnData::Text(v) => v.push(value.as_bytes()),
            other => wrong_class(Physical::Text, other.physical()),
        }
        self.len += 1;
    }
    /// Appends text and as many blanks as it lacks of `bytes` bytes. Panics when the column is of another class.
    #[inline]
    pub fn push_text_padded(&mut self, value: &str, bytes: usize) {
        match &mut self.data {
            ColumnData::Text(v) => {
                v.bytes.extend_from_slice(value.as_bytes());
                v.bytes.resize(v.bytes.len() + bytes.saturating_sub(value.len()), b' ');
                v.close();
            }
            other => wrong_class(Physical::Text, other.physical()),
        }
        self.len += 1;
    }
    /// Appends bytes. Panics when the column is of another class.
    #[inline]
    pub fn push_bytea(&mut self, value: &[u8]) {
        match &mut self.data {
            ColumnData::Bytea(v) => v.push(value),
            other => wrong_class(Physical::Bytea, other.physical()),
        }
        self.len += 1;
    }
    /// Appends a value to a [`Physical::Other`] column. Panics when the column is of another class.
    pub fn push_other(&mut self, value: Value) {
        if value.is_null() {
            return self.push_null();
        }
        match &mut self.data {
            ColumnData::Other(v) => v.push(value),
            other => wrong_class(Physical::Other, other.physical()),
        }
        self.len += 1;
    }
    /// Appends row `row` of a column of the same class (any encoding).
    pub fn extend_from(&mut self, from: &Vector, row: usize) {
        let i = from.index(row);
        if from.nulls.as_ref().is_some_and(|n| n.get(i)) {
            return self.push_null();
        }
        self.data.extend_taken(&from.data, core::iter::once(i));
        self.len += 1;
    }
    /// Appends the rows at `rows` of a column of the same class; [`NO_ROW`] appends NULL.
    pub fn extend_take(&mut self, from: &Vector, rows: &[u32]) {
        self.extend_rows(from, rows.iter().map(|&r| r as usize));
    }
    /// Appends rows `0..rows`.
    pub fn extend_all(&mut self, from: &Vector, rows: usize) {
        self.extend_rows(from, 0..rows);
    }
    pub(super) fn extend_rows(&mut self, from: &Vector, rows: impl Iterator<Item = usize> + Clone) {
        const NONE: usize = NO_ROW as usize;
        let position = |row: usize| if row == NONE { NONE } else { from.index(row) };
        let start = self.len;
        self.data.extend_taken(&from.data, rows.clone().map(position));
        self.len = self.data.len();
        match &from.nulls {
            None => {
                for (k, row) in rows.enumerate() {
                    if row == NONE {
                        self.nulls.set(start + k);
                    }
                }
            }
            Some(nulls) => {
                for (k, i) in rows.map(position).enumerate() {
                    if i == NONE || nulls.get(i) {
                        self.nulls.set(start + k);
                    }
                }
            }
        }
    }
    /// The column.
    pub fn finish(self) -> Vector {
        Vector::flat(self.ty, self.data, self.nulls.into_option())
    }
}

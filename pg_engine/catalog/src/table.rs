//! Reading and writing the rows of system catalogs.

use alloc::{string::String, sync::Arc, vec::Vec};

use pg_storage::{
    IndexInsert, KeyBound, RelId, RowOutcome, ScanDirection, Snapshot, Storage, Tid, Touched, Transaction,
    Unique,
};
use pg_types::{
    Oid, Result, SqlError, SqlState, SqlType, Value, key::KeyColumn, oid, tuple::TupleLayout,
    value::ArrayValue,
};

use crate::{
    builtin::{CatalogDef, IndexDef},
    txn::storage_error,
};

/// A catalog with its storage.
#[derive(Debug)]
pub struct CatalogTable {
    /// What it looks like.
    pub def: &'static CatalogDef,
    /// Its heap.
    pub heap: RelId,
    /// Its indexes, as in `def`.
    pub indexes: Vec<RelId>,
    layout: TupleLayout,
}

/// A row of a catalog, with columns by name.
#[derive(Clone, Debug)]
pub struct Row {
    def: &'static CatalogDef,
    /// The values, one a column.
    pub values: Vec<Value>,
}

impl Row {
    /// A row with every NOT NULL column at its type's zero and the others NULL.
    pub fn new(def: &'static CatalogDef) -> Self {
        let values = def.columns.iter().map(|c| if c.not_null { zero(c.ty) } else { Value::Null }).collect();
        Self { def, values }
    }
    /// Sets a column.
    #[must_use]
    pub fn set(mut self, column: &str, v: impl Into<Cell>) -> Self {
        self.put(column, v);
        self
    }
    /// Sets a column. A name that the catalog does not have is a bug and ignored outside of debug builds.
    pub fn put(&mut self, column: &str, v: impl Into<Cell>) {
        let at = self.def.column(column);
        debug_assert!(at.is_some(), "{} has no column {column}", self.def.name);
        if let Some(slot) = at.and_then(|i| self.values.get_mut(i)) {
            let v = v.into().0;
            debug_assert!(
                v.is_null() || slot.is_null() || core::mem::discriminant(slot) == core::mem::discriminant(&v),
                "{}.{column} is set to {v:?}",
                self.def.name
            );
            *slot = v;
        }
    }
    /// A column's value.
    pub fn get(&self, column: &str) -> &Value {
        debug_assert!(self.def.column(column).is_some(), "{} has no column {column}", self.def.name);
        self.def.column(column).and_then(|i| self.values.get(i)).unwrap_or(&Value::Null)
    }
    /// An oid column.
    pub fn oid(&self, column: &str) -> Oid {
        match self.get(column) {
            Value::Oid(o) => *o,
            _ => 0,
        }
    }
    /// A text or name column; empty when NULL.
    pub fn text(&self, column: &str) -> &str {
        match self.get(column) {
            Value::Text(s) => s,
            _ => "",
        }
    }
    /// A text column that may be NULL.
    pub fn text_option(&self, column: &str) -> Option<String> {
        match self.get(column) {
            Value::Text(s) => Some(s.as_ref().into()),
            _ => None,
        }
    }
    /// A bool column.
    pub fn bool(&self, column: &str) -> bool {
        matches!(self.get(column), Value::Bool(true))
    }
    /// Any integer column.
    pub fn int(&self, column: &str) -> i64 {
        match self.get(column) {
            Value::Int2(n) => i64::from(*n),
            Value::Int4(n) => i64::from(*n),
            Value::Int8(n) => *n,
            Value::Oid(n) => i64::from(*n),
            _ => 0,
        }
    }
    /// A float4 column.
    pub fn float(&self, column: &str) -> f32 {
        match self.get(column) {
            Value::Float4(x) => *x,
            _ => 0.0,
        }
    }
    /// A `"char"` column.
    pub fn char(&self, column: &str) -> u8 {
        match self.get(column) {
            Value::Char(c) => *c,
            _ => 0,
        }
    }
    /// The elements of an array column.
    pub fn array(&self, column: &str) -> &[Value] {
        match self.get(column) {
            Value::Array(a) => &a.values,
            _ => &[],
        }
    }
    /// The elements of an int2 array or int2vector column.
    pub fn int2s(&self, column: &str) -> Vec<i16> {
        self.array(column)
            .iter()
            .filter_map(|v| if let Value::Int2(n) = v { Some(*n) } else { None })
            .collect()
    }
}

/// A value for a catalog column, from Rust types that say which.
#[derive(Clone, Debug)]
pub struct Cell(pub Value);

macro_rules! cells {
    ($($t:ty => |$x:pat_param| $e:expr;)*) => {$(
        impl From<$t> for Cell {
            fn from($x: $t) -> Self { Self($e) }
        }
    )*};
}

cells! {
    Value => |v| v;
    Oid => |o| Value::Oid(o);
    bool => |b| Value::Bool(b);
    &str => |s| Value::text(s);
    String => |s| Value::Text(s.into());
    &String => |s| Value::text(s);
    u8 => |c| Value::Char(c);
    i16 => |n| Value::Int2(n);
    i32 => |n| Value::Int4(n);
    i64 => |n| Value::Int8(n);
    f32 => |x| Value::Float4(x);
}

/// A value as an int2vector.
pub fn int2_vector(v: &[i16]) -> Value {
    vector(oid::INT2, v.iter().map(|n| Value::Int2(*n)).collect())
}

/// A value as an oidvector.
pub fn oid_vector(v: &[Oid]) -> Value {
    vector(oid::OID, v.iter().map(|n| Value::Oid(*n)).collect())
}

/// int2vector and oidvector count from 0.
fn vector(element: Oid, values: Vec<Value>) -> Value {
    let dims = if values.is_empty() { Vec::new() } else { alloc::vec![(values.len() as i32, 0)] };
    Value::Array(Arc::new(ArrayValue { element, dims, values }))
}

/// An ordinary array.
pub fn array(element: Oid, values: Vec<Value>) -> Value {
    let dims = if values.is_empty() { Vec::new() } else { alloc::vec![(values.len() as i32, 1)] };
    Value::Array(Arc::new(ArrayValue { element, dims, values }))
}

fn zero(ty: Oid) -> Value {
    match ty {
        oid::BOOL => Value::Bool(false),
        oid::CHAR => Value::Char(0),
        oid::INT2 => Value::Int2(0),
        oid::INT4 => Value::Int4(0),
        oid::INT8 => Value::Int8(0),
        oid::FLOAT4 => Value::Float4(0.0),
        oid::INT2VECTOR => int2_vector(&[]),
        oid::OIDVECTOR => oid_vector(&[]),
        oid::PG_LSN => Value::Int8(0),
        oid::TIMESTAMPTZ => Value::TimestampTz(0),
        ty if pg_types::Physical::of(ty) == pg_types::Physical::Oid => Value::Oid(0),
        ty if pg_types::Physical::of(ty) == pg_types::Physical::Text => Value::text(""),
        oid::BYTEA => Value::Bytea([].into()),
        ty => array(pg_types::typeinfo::element_of(ty), Vec::new()),
    }
}

impl CatalogTable {
    /// Puts one together.
    pub fn new(def: &'static CatalogDef, heap: RelId, indexes: Vec<RelId>) -> Self {
        let types: Vec<SqlType> = def.columns.iter().map(|c| SqlType::new(c.ty)).collect();
        Self { def, heap, indexes, layout: TupleLayout::new(&types) }
    }
    /// An empty row.
    pub fn row(&self) -> Row {
        Row::new(self.def)
    }
    /// Decodes a stored row.
    pub fn decode(&self, payload: &[u8]) -> Result<Row> {
        Ok(Row { def: self.def, values: self.layout.decode(payload, &[])? })
    }
    /// Encodes a row.
    pub fn encode(&self, row: &Row, out: &mut Vec<u8>) -> Result<()> {
        self.layout.encode(&row.values, out)
    }
    /// A row's key in one of the indexes; a prefix of it when `values` has fewer columns.
    fn key_of(&self, index: &IndexDef, values: &[&Value]) -> Result<Vec<u8>> {
        let mut key = Vec::new();
        for (&c, v) in index.columns.iter().zip(values) {
            let ty = self.def.columns.get(c).map_or(oid::OID, |c| c.ty);
            KeyColumn::ascending(ty).put(v, &mut key)?;
        }
        Ok(key)
    }
    /// A row's key in one of the indexes.
    pub fn row_key(&self, index: &IndexDef, row: &Row) -> Result<Vec<u8>> {
        let values: Vec<&Value> =
            index.columns.iter().map(|&c| row.values.get(c).unwrap_or(&Value::Null)).collect();
        self.key_of(index, &values)
    }

    /// Rows whose index columns begin with these values, in index order. `columns` names the leading columns.
    pub fn find(
        &self,
        storage: &Arc<Storage>,
        snapshot: &Snapshot,
        columns: &[&str],
        values: &[Value],
    ) -> Result<Vec<(Tid, Row)>> {
        let index = self.def.indexes.iter().zip(&self.indexes).find(|(i, _)| {
            i.columns.len() >= columns.len()
                && i.columns
                    .iter()
                    .zip(columns)
                    .all(|(&c, n)| self.def.columns.get(c).is_some_and(|c| c.name == *n))
        });
        let Some((index, rel)) = index else {
            return self.scan_where(storage, snapshot, columns, values);
        };
        let values: Vec<&Value> = values.iter().collect();
        let key = self.key_of(index, &values)?;
        let mut tids = Vec::new();
        if index.unique && values.len() == index.columns.len() {
            storage.index_lookup(*rel, &key, &mut tids).map_err(storage_error)?;
        } else {
            let mut scan = storage
                .index_scan(*rel, KeyBound::Included(&key), KeyBound::Prefix(&key), ScanDirection::Forward)
                .map_err(storage_error)?;
            while scan.next_batch(&mut tids).map_err(storage_error)? {}
        }
        let mut rows = Vec::with_capacity(tids.len());
        for tid in tids {
            let row = storage
                .heap_fetch(self.heap, tid, snapshot, |tid, payload| self.decode(payload).map(|r| (tid, r)))
                .map_err(storage_error)?;
            if let Some(r) = row {
                rows.push(r?);
            }
        }
        Ok(rows)
    }

    fn scan_where(
        &self,
        storage: &Arc<Storage>,
        snapshot: &Snapshot,
        columns: &[&str],
        values: &[Value],
    ) -> Result<Vec<(Tid, Row)>> {
        let mut rows = self.scan(storage, snapshot)?;
        rows.retain(|(_, r)| columns.iter().zip(values).all(|(c, v)| r.get(c) == v));
        Ok(rows)
    }

    /// All rows.
    pub fn scan(&self, storage: &Arc<Storage>, snapshot: &Snapshot) -> Result<Vec<(Tid, Row)>> {
        let mut rows = Vec::new();
        let mut failure = None;
        let mut scan = storage.heap_scan(self.heap, snapshot, None).map_err(storage_error)?;
        loop {
            let more = scan.next_page(|tid, payload| match self.decode(payload) {
                Ok(r) => rows.push((tid, r)),
                Err(e) => failure = Some(e),
            });
            if let Some(e) = failure {
                return Err(e);
            }
            if !more.map_err(storage_error)? {
                return Ok(rows);
            }
        }
    }

    /// Adds a row.
    pub fn insert(&self, storage: &Arc<Storage>, txn: &mut Transaction, row: &Row) -> Result<()> {
        let mut payload = Vec::new();
        self.encode(row, &mut payload)?;
        let tid = storage.heap_insert(txn, self.heap, &payload).map_err(storage_error)?;
        self.index(storage, txn, row, tid)
    }

    fn index(&self, storage: &Arc<Storage>, txn: &mut Transaction, row: &Row, tid: Tid) -> Result<()> {
        for (def, &rel) in self.def.indexes.iter().zip(&self.indexes) {
            let key = self.row_key(def, row)?;
            let unique = if def.unique { Unique::Yes } else { Unique::No };
            match storage.index_insert(txn, rel, &key, tid, unique).map_err(storage_error)? {
                IndexInsert::Done => {}
                IndexInsert::Duplicate { .. } => {
                    return Err(SqlError::new(
                        SqlState::UNIQUE_VIOLATION,
                        alloc::format!("duplicate key value violates unique constraint \"{}\"", def.name),
                    )
                    .table("pg_catalog", self.def.name)
                    .constraint(def.name));
                }
            }
        }
        Ok(())
    }

    /// Replaces a row.
    pub fn update(
        &self,
        storage: &Arc<Storage>,
        txn: &mut Transaction,
        tid: Tid,
        old: &Row,
        new: &Row,
    ) -> Result<()> {
        let mut payload = Vec::new();
        self.encode(new, &mut payload)?;
        let same_keys =
            self.def.indexes.iter().flat_map(|i| &i.columns).all(|&c| old.values.get(c) == new.values.get(c));
        let touched = if same_keys { Touched::Nothing } else { Touched::Key };
        match storage.heap_update(txn, self.heap, tid, &payload, touched).map_err(storage_error)? {
            RowOutcome::Done { hot: true, .. } => Ok(()),
            RowOutcome::Done { tid, hot: false } => self.index(storage, txn, new, tid),
            _ => Err(concurrent()),
        }
    }

    /// Removes a row.
    pub fn delete(&self, storage: &Arc<Storage>, txn: &mut Transaction, tid: Tid) -> Result<()> {
        match storage.heap_delete(txn, self.heap, tid).map_err(storage_error)? {
            RowOutcome::Done { .. } => Ok(()),
            _ => Err(concurrent()),
        }
    }
}

/// Two transactions changed the same catalog row.
fn concurrent() -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, "tuple concurrently updated")
}

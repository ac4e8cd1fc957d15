//! Numbering distinct keys: what grouping, DISTINCT, set operations and hash joins share.

use alloc::{sync::Arc, vec::Vec};

use hashbrown::HashTable;
use pg_types::{ColumnData, Oid, Value, Vector, numeric::Numeric, vector::Encoding};

use crate::keys;

/// What a key column's values are compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyClass {
    /// Any integer width, widened.
    Integer,
    /// A type's own key encoding.
    Typed(Oid),
    /// float4 and float8, widened.
    Float,
}

impl KeyClass {
    /// The class in which values of the two types are equal exactly when SQL says so; `None`: there is none.
    pub(crate) fn of(left: Oid, right: Oid) -> Option<Self> {
        use pg_types::oid::*;
        let integer = |t: Oid| matches!(t, INT2 | INT4 | INT8);
        let float = |t: Oid| matches!(t, FLOAT4 | FLOAT8);
        let plain = |t: Oid| match t {
            VARCHAR | NAME => TEXT,
            t if pg_types::Physical::of(t) == pg_types::Physical::Oid => OID,
            t => t,
        };
        if integer(left) && integer(right) {
            Some(Self::Integer)
        } else if float(left) && float(right) {
            Some(Self::Float)
        } else if plain(left) == plain(right) {
            Some(Self::Typed(plain(left)))
        } else {
            None
        }
    }
    /// Of one type.
    pub(crate) fn one(ty: Oid) -> Self {
        Self::of(ty, ty).unwrap_or(Self::Typed(ty))
    }
}

/// An integer column's value, widened.
#[inline]
pub(super) fn integer(v: &Vector, i: usize) -> i64 {
    match &v.data {
        ColumnData::Int2(d) => i64::from(d[i]),
        ColumnData::Int4(d) => i64::from(d[i]),
        ColumnData::Int8(d) => d[i],
        ColumnData::Oid(d) => i64::from(d[i]),
        _ => 0,
    }
}

/// Appends the key of a row's columns; true: one of them is NULL.
pub(crate) fn encode_row(
    classes: &[KeyClass],
    columns: &[Arc<Vector>],
    row: usize,
    out: &mut Vec<u8>,
) -> bool {
    let mut null = false;
    for (class, v) in classes.iter().zip(columns) {
        let i = v.index(row);
        if v.nulls.as_ref().is_some_and(|n| n.get(i)) {
            null = true;
            out.push(0);
            continue;
        }
        out.push(1);
        match (class, &v.data) {
            (KeyClass::Integer, _) => out.extend_from_slice(&integer(v, i).to_le_bytes()),
            (KeyClass::Float, ColumnData::Float4(d)) => float(f64::from(d[i]), out),
            (KeyClass::Float, ColumnData::Float8(d)) => float(d[i], out),
            (KeyClass::Typed(pg_types::oid::TEXT), ColumnData::Text(d)) => {
                let s = d.get(i);
                out.extend_from_slice(&(s.len() as u32).to_le_bytes());
                out.extend_from_slice(s);
            }
            // Blanks at the end do not count.
            (KeyClass::Typed(pg_types::oid::BPCHAR), ColumnData::Text(d)) => {
                let s = d.get(i);
                let s = &s[..s.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1)];
                out.extend_from_slice(&(s.len() as u32).to_le_bytes());
                out.extend_from_slice(s);
            }
            (KeyClass::Typed(pg_types::oid::NUMERIC), ColumnData::Numeric(d)) => numeric(&d[i], out),
            (KeyClass::Typed(_), ColumnData::Oid(d)) => out.extend_from_slice(&d[i].to_le_bytes()),
            (KeyClass::Typed(_), ColumnData::Bool(d)) => out.push(u8::from(d[i])),
            (KeyClass::Typed(_), ColumnData::Int4(d)) => out.extend_from_slice(&d[i].to_le_bytes()),
            (KeyClass::Typed(_), ColumnData::Int8(d)) => out.extend_from_slice(&d[i].to_le_bytes()),
            (KeyClass::Typed(_), ColumnData::Uuid(d)) => out.extend_from_slice(&d[i]),
            (KeyClass::Typed(t), _) => keys::encode(*t, &v.value(row), out),
            (KeyClass::Float, _) => {}
        }
    }
    null
}

fn numeric(x: &Numeric, out: &mut Vec<u8>) {
    let Some((mut mantissa, mut scale)) = x.small().or_else(|| x.trim_scale().small()) else {
        out.push(1);
        keys::encode(pg_types::oid::NUMERIC, &Value::Numeric(x.clone()), out);
        return;
    };
    // 1.50 equals 1.5.
    while scale > 0 && mantissa % 10 == 0 {
        (mantissa, scale) = (mantissa / 10, scale - 1);
    }
    out.push(0);
    out.extend_from_slice(&mantissa.to_le_bytes());
    out.extend_from_slice(&(scale as u16).to_le_bytes());
}

fn float(x: f64, out: &mut Vec<u8>) {
    // −0 equals 0, and NaN equals NaN.
    let x = if x == 0.0 {
        0.0
    } else if x.is_nan() {
        f64::NAN
    } else {
        x
    };
    out.extend_from_slice(&x.to_bits().to_le_bytes());
}

/// Distinct keys, numbered from 0 in order of first appearance.
pub(crate) struct Groups {
    classes: Vec<KeyClass>,
    count: u32,
    table: HashTable<u32>,
    hashes: Vec<u64>,
    /// Keys end to end.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Instead, when there is one key and an integer: it and its number side by side.
    integers: HashTable<(i64, u32)>,
    single_integer: bool,
    null_group: Option<u32>,
    scratch: Vec<u8>,
}

#[inline]
fn hash_integer(x: i64) -> u64 {
    // Fibonacci hashing with the high half folded in: cheap, and good enough for a table that compares keys.
    let h = (x as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h ^ (h >> 32)
}

fn hash_bytes(b: &[u8]) -> u64 {
    use core::hash::{BuildHasher, Hasher};
    let mut h = foldhash::fast::FixedState::default().build_hasher();
    h.write(b);
    h.finish()
}

impl Groups {
    pub(crate) fn new(classes: Vec<KeyClass>) -> Self {
        let single_integer = matches!(classes.as_slice(), [KeyClass::Integer]);
        Self {
            classes,
            count: 0,
            table: HashTable::new(),
            hashes: Vec::new(),
            bytes: Vec::new(),
            ends: Vec::new(),
            integers: HashTable::new(),
            single_integer,
            null_group: None,
            scratch: Vec::new(),
        }
    }
    /// Number of groups.
    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }
    /// Bytes held.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + self.hashes.len() * 32 + self.integers.len() * 28
    }
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.table.clear();
        self.hashes.clear();
        self.bytes.clear();
        self.ends.clear();
        self.integers.clear();
        self.null_group = None;
    }

    fn new_id(&mut self) -> u32 {
        self.count += 1;
        self.count - 1
    }

    /// The group of a row, made if new; the flag says it is new.
    #[inline]
    pub(crate) fn group(&mut self, columns: &[Arc<Vector>], row: usize) -> (u32, bool) {
        self.find_or(columns, row, true).unwrap_or_default()
    }
    /// The group of a row if there is one.
    #[inline]
    pub(crate) fn find(&mut self, columns: &[Arc<Vector>], row: usize) -> Option<u32> {
        self.find_or(columns, row, false).map(|r| r.0)
    }

    /// As [`Groups::find`], for several tasks at a time, each with bytes of its own to work in.
    #[inline]
    pub(crate) fn look_up(&self, columns: &[Arc<Vector>], row: usize, scratch: &mut Vec<u8>) -> Option<u32> {
        if self.single_integer {
            let v = columns.first()?;
            let i = v.index(row);
            if v.nulls.as_ref().is_some_and(|n| n.get(i)) {
                return self.null_group;
            }
            let x = integer(v, i);
            return self.integers.find(hash_integer(x), |e| e.0 == x).map(|e| e.1);
        }
        scratch.clear();
        encode_row(&self.classes, columns, row, scratch);
        let hash = hash_bytes(scratch);
        self.table.find(hash, |&id| self.key(id as usize) == scratch.as_slice()).copied()
    }

    fn find_or(&mut self, columns: &[Arc<Vector>], row: usize, insert: bool) -> Option<(u32, bool)> {
        if self.single_integer {
            let v = columns.first()?;
            let i = v.index(row);
            if v.nulls.as_ref().is_some_and(|n| n.get(i)) {
                return self.null(insert);
            }
            let x = integer(v, i);
            let hash = hash_integer(x);
            if let Some(&(_, id)) = self.integers.find(hash, |e| e.0 == x) {
                return Some((id, false));
            }
            if !insert {
                return None;
            }
            let id = self.new_id();
            self.integers.insert_unique(hash, (x, id), |e| hash_integer(e.0));
            return Some((id, true));
        }
        let mut key = core::mem::take(&mut self.scratch);
        key.clear();
        encode_row(&self.classes, columns, row, &mut key);
        let r = self.find_bytes(&key, insert);
        self.scratch = key;
        r
    }

    fn null(&mut self, insert: bool) -> Option<(u32, bool)> {
        if let Some(id) = self.null_group {
            return Some((id, false));
        }
        if !insert {
            return None;
        }
        let id = self.new_id();
        self.null_group = Some(id);
        Some((id, true))
    }

    fn key(&self, id: usize) -> &[u8] {
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start..self.ends[id]]
    }

    fn find_bytes(&mut self, key: &[u8], insert: bool) -> Option<(u32, bool)> {
        let hash = hash_bytes(key);
        if let Some(&id) = self.table.find(hash, |&id| self.key(id as usize) == key) {
            return Some((id, false));
        }
        if !insert {
            return None;
        }
        let id = self.new_id();
        self.hashes.push(hash);
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        let hashes = &self.hashes;
        self.table.insert_unique(hash, id, |&id| hashes[id as usize]);
        Some((id, true))
    }
}

/// True when any key column is NULL in the row: such rows never match in a join.
pub(crate) fn has_null(columns: &[Arc<Vector>], row: usize) -> bool {
    columns.iter().any(|c| match (&c.nulls, &c.encoding) {
        (None, _) => false,
        (Some(n), Encoding::Flat) => n.get(row),
        (Some(_), _) => c.is_null(row),
    })
}

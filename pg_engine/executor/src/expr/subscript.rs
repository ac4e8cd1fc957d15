//! Subscripts: elements and slices of arrays, values inside documents, and what becomes of a value when such a part of it is
//! assigned to.

use alloc::{string::String, sync::Arc, vec::Vec};

use pg_functions::{assign_in_document, document_element};
use pg_types::{Result, SqlError, SqlState, Value, value::ArrayValue};

use super::{Compiled, RowRef, Subscript};
use crate::context::Rt;

/// Most elements of an array.
const MAX_ELEMENTS: i64 = 0x07ff_ffff;

fn wrong(text: &'static str) -> SqlError {
    SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, text)
}

#[cold]
fn too_large() -> SqlError {
    let text = alloc::format!("array size exceeds the maximum allowed ({MAX_ELEMENTS})");
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text)
}

#[cold]
fn null_subscript(what: &str) -> SqlError {
    let text = alloc::format!("{what} subscript in assignment must not be null");
    SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, text)
}

/// A bound of a subscript that was evaluated.
enum Bound {
    /// Left out.
    Open,
    Null,
    At(i32),
}

fn bound(e: Option<&mut Compiled>, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Bound> {
    Ok(match e {
        None => Bound::Open,
        Some(e) => match e.row(row, rt)? {
            Value::Int4(i) => Bound::At(i),
            Value::Int2(i) => Bound::At(i32::from(i)),
            Value::Int8(i) => i32::try_from(i).map_or(Bound::Null, Bound::At),
            _ => Bound::Null,
        },
    })
}

impl Subscript {
    pub(super) fn row(&mut self, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
        let value = self.array.row(row, rt)?;
        if self.document {
            return self.in_document(&value, row, rt);
        }
        if self.fixed {
            return self.in_geometry(value, row, rt);
        }
        if self.assign.is_some() {
            return self.assigned(value, row, rt);
        }
        let Value::Array(a) = value else { return Ok(Value::Null) };
        let mut bounds = Vec::with_capacity(self.indices.len());
        for (k, (lower, upper)) in self.indices.iter_mut().enumerate() {
            let (n, low) = a.dims.get(k).copied().unwrap_or((0, 1));
            let high = low.saturating_add(n).saturating_sub(1);
            let from = match bound(lower.as_mut(), row, rt)? {
                Bound::Null => return Ok(Value::Null),
                Bound::Open => low,
                Bound::At(i) => i,
            };
            let to = match bound(upper.as_mut(), row, rt)? {
                Bound::Null => return Ok(Value::Null),
                Bound::Open => high,
                Bound::At(i) => i,
            };
            bounds.push(if self.slice { (from, to) } else { (to, to) });
        }
        if self.slice { slice(&a, &bounds) } else { Ok(element(&a, &bounds)) }
    }

    /// Parts of values of a fixed number of doubles or points. NULLs neither have parts nor replace them.
    fn in_geometry(&mut self, value: Value, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
        let at = match self.indices.as_mut_slice() {
            [(_, Some(index))] => match index.row(row, rt)? {
                Value::Int4(i) => usize::try_from(i).ok(),
                _ if self.assign.is_some() => return Err(null_subscript("array")),
                _ => return Ok(Value::Null),
            },
            _ if self.assign.is_some() => return Err(wrong("wrong number of array subscripts")),
            _ => return Ok(Value::Null),
        };
        let Some(assign) = &mut self.assign else {
            let Value::Geometry(g) = value else { return Ok(Value::Null) };
            return Ok(at.and_then(|at| g.part(at)).unwrap_or(Value::Null));
        };
        let new = assign.row(row, rt)?;
        let Value::Geometry(g) = &value else { return Ok(Value::Null) };
        if new.is_null() {
            return Ok(value);
        }
        let changed = at.and_then(|at| g.with_part(at, &new));
        changed.map(Value::from).ok_or_else(|| wrong("array subscript out of range"))
    }

    fn in_document(&mut self, value: &Value, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
        let doc = match value {
            Value::Jsonb(doc) => Some(doc),
            _ => None,
        };
        if doc.is_none() && self.assign.is_none() {
            return Ok(Value::Null);
        }
        let mut path: Vec<String> = Vec::with_capacity(self.indices.len());
        let mut array = false;
        for (n, (_, index)) in self.indices.iter_mut().enumerate() {
            let Some(index) = index else { return Err(SqlError::internal("a document without a step")) };
            path.push(match index.row(row, rt)? {
                Value::Int4(i) => {
                    array |= n == 0;
                    alloc::format!("{i}")
                }
                Value::Text(t) => t.into_string(),
                _ if self.assign.is_some() => return Err(null_subscript("jsonb")),
                _ => return Ok(Value::Null),
            });
        }
        let Some(assign) = &mut self.assign else {
            return Ok(doc.and_then(|d| document_element(d, &path)).map_or(Value::Null, Value::Jsonb));
        };
        let new = assign.row(row, rt)?;
        let new = match &new {
            Value::Jsonb(new) => Some(new),
            _ => None,
        };
        assign_in_document(doc, &path, new, array)
    }

    fn assigned(&mut self, old: Value, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
        let mut bounds = Vec::with_capacity(self.indices.len());
        for (lower, upper) in &mut self.indices {
            let from = bound(lower.as_mut(), row, rt)?;
            let to = bound(upper.as_mut(), row, rt)?;
            if matches!(from, Bound::Null) || matches!(to, Bound::Null) {
                return Err(null_subscript("array"));
            }
            let given = |b: Bound| if let Bound::At(i) = b { Some(i) } else { None };
            bounds.push((given(from), given(to)));
        }
        let Some(assign) = &mut self.assign else { return Ok(old) };
        let new = assign.row(row, rt)?;
        let element = pg_types::typeinfo::element_of(self.ty.oid);
        let empty = || Arc::new(ArrayValue { element, dims: Vec::new(), values: Vec::new() });
        let mut array = match old {
            Value::Array(a) => a,
            _ => empty(),
        };
        if self.slice {
            let Value::Array(new) = new else { return Ok(Value::Array(array)) };
            set_slice(Arc::make_mut(&mut array), &bounds, &new)?;
        } else {
            let at: Vec<i32> = bounds.iter().map(|b| b.1.unwrap_or(1)).collect();
            set_element(Arc::make_mut(&mut array), &at, new)?;
        }
        Ok(Value::Array(array))
    }
}

fn element(a: &ArrayValue, at: &[(i32, i32)]) -> Value {
    if a.dims.len() != at.len() || at.is_empty() {
        return Value::Null;
    }
    let mut index = 0usize;
    for (&(n, low), &(i, _)) in a.dims.iter().zip(at) {
        let k = i64::from(i) - i64::from(low);
        if k < 0 || k >= i64::from(n) {
            return Value::Null;
        }
        index = index * n as usize + k as usize;
    }
    a.values.get(index).cloned().unwrap_or(Value::Null)
}

/// Calls `f` with the place of every element in these ranges of offsets, one a dimension.
fn each_place(dims: &[(i32, i32)], ranges: &[(usize, usize)], mut f: impl FnMut(usize)) {
    let mut position: Vec<usize> = ranges.iter().map(|r| r.0).collect();
    loop {
        let mut index = 0;
        for (p, &(n, _)) in position.iter().zip(dims) {
            index = index * n as usize + p;
        }
        f(index);
        let mut k = ranges.len();
        loop {
            if k == 0 {
                return;
            }
            k -= 1;
            if position[k] < ranges[k].1 {
                position[k] += 1;
                break;
            }
            position[k] = ranges[k].0;
        }
    }
}

fn slice(a: &ArrayValue, at: &[(i32, i32)]) -> Result<Value> {
    let made = |dims, values| Value::Array(Arc::new(ArrayValue { element: a.element, dims, values }));
    if at.len() > a.dims.len() || a.dims.is_empty() {
        return Ok(made(Vec::new(), Vec::new()));
    }
    let mut ranges = Vec::with_capacity(a.dims.len());
    for (k, &(n, low)) in a.dims.iter().enumerate() {
        let high = low.saturating_add(n).saturating_sub(1);
        let (f, t) = at.get(k).copied().unwrap_or((low, high));
        let (f, t) = (f.max(low), t.min(high));
        if f > t {
            return Ok(made(Vec::new(), Vec::new()));
        }
        ranges.push(((f - low) as usize, (t - low) as usize));
    }
    let mut values = Vec::new();
    each_place(&a.dims, &ranges, |index| values.push(a.values.get(index).cloned().unwrap_or(Value::Null)));
    let dims = ranges.iter().map(|(f, t)| ((t - f + 1) as i32, 1)).collect();
    Ok(made(dims, values))
}

/// Checks the sizes of an array about to be made: how many elements it has.
fn elements_of(dims: &[(i64, i32)]) -> Result<usize> {
    let mut all = 1i64;
    for (n, low) in dims {
        if *n < 0 || *n > MAX_ELEMENTS {
            return Err(too_large());
        }
        all = all.saturating_mul(*n);
        if i64::from(*low) + n > i64::from(i32::MAX) {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                alloc::format!("array lower bound is too large: {low}"),
            ));
        }
    }
    if all > MAX_ELEMENTS { Err(too_large()) } else { Ok(all as usize) }
}

/// Makes a one-dimensional array reach from `from` to `to`, with NULLs for what was not there.
fn reach(a: &mut ArrayValue, from: i32, to: i32) -> Result<()> {
    let Some(&(n, low)) = a.dims.first() else { return Ok(()) };
    let end = i64::from(low) + i64::from(n);
    let (first, last) = (i64::from(from.min(low)), end.max(i64::from(to) + 1));
    if last - first > MAX_ELEMENTS {
        return Err(too_large());
    }
    elements_of(&[(last - first, first as i32)])?;
    let before = (i64::from(low) - first) as usize;
    if before > 0 {
        a.values.splice(0..0, core::iter::repeat_n(Value::Null, before));
    }
    a.values.resize((last - first) as usize, Value::Null);
    a.dims = Vec::from([((last - first) as i32, first as i32)]);
    Ok(())
}

fn set_element(a: &mut ArrayValue, at: &[i32], new: Value) -> Result<()> {
    if a.dims.is_empty() {
        let dims: Vec<(i64, i32)> = at.iter().map(|i| (1, *i)).collect();
        elements_of(&dims)?;
        a.dims = at.iter().map(|i| (1, *i)).collect();
        a.values = Vec::from([new]);
        return Ok(());
    }
    if a.dims.len() != at.len() {
        return Err(wrong("wrong number of array subscripts"));
    }
    if let &[i] = at {
        reach(a, i, i)?;
    }
    let mut index = 0usize;
    for (&(n, low), &i) in a.dims.iter().zip(at) {
        let k = i64::from(i) - i64::from(low);
        if k < 0 || k >= i64::from(n) {
            return Err(wrong("array subscript out of range"));
        }
        index = index * n as usize + k as usize;
    }
    if let Some(slot) = a.values.get_mut(index) {
        *slot = new;
    }
    Ok(())
}

fn set_slice(a: &mut ArrayValue, at: &[(Option<i32>, Option<i32>)], new: &ArrayValue) -> Result<()> {
    let too_small = || wrong("source array too small");
    if a.dims.is_empty() {
        let mut dims = Vec::with_capacity(at.len());
        for b in at {
            let (Some(from), Some(to)) = b else {
                return Err(wrong("array slice subscript must provide both boundaries").detail(
                    "When assigning to a slice of an empty array value, slice boundaries must be fully specified.",
                ));
            };
            dims.push((i64::from(*to) - i64::from(*from) + 1, *from));
        }
        let count = elements_of(&dims)?;
        if new.values.len() < count {
            return Err(too_small());
        }
        if count > 0 {
            a.dims = dims.iter().map(|(n, low)| (*n as i32, *low)).collect();
            a.values = new.values.iter().take(count).cloned().collect();
        }
        return Ok(());
    }
    if a.dims.len() < at.len() {
        return Err(wrong("wrong number of array subscripts"));
    }
    let bounds = |k: usize, (n, low): (i32, i32)| -> Result<(i32, i32)> {
        let (from, to) = at.get(k).copied().unwrap_or((None, None));
        let (from, to) = (from.unwrap_or(low), to.unwrap_or(low.saturating_add(n).saturating_sub(1)));
        if from > to { Err(wrong("upper bound cannot be less than lower bound")) } else { Ok((from, to)) }
    };
    if let &[only] = a.dims.as_slice() {
        let (from, to) = bounds(0, only)?;
        if (new.values.len() as i64) <= i64::from(to) - i64::from(from) {
            return Err(too_small());
        }
        reach(a, from, to)?;
    }
    let mut ranges = Vec::with_capacity(a.dims.len());
    let mut count = 1usize;
    for (k, &(n, low)) in a.dims.iter().enumerate() {
        let (from, to) = bounds(k, (n, low))?;
        let (f, t) = (i64::from(from) - i64::from(low), i64::from(to) - i64::from(low));
        if f < 0 || t >= i64::from(n) {
            return Err(wrong("array subscript out of range"));
        }
        ranges.push((f as usize, t as usize));
        count = count.saturating_mul((t - f + 1) as usize);
    }
    if new.values.len() < count {
        return Err(too_small());
    }
    let mut source = new.values.iter();
    let ArrayValue { dims, values, .. } = a;
    each_place(dims, &ranges, |index| {
        if let (Some(slot), Some(v)) = (values.get_mut(index), source.next()) {
            *slot = v.clone();
        }
    });
    Ok(())
}

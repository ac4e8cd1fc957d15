//! Evaluation for one row.

use alloc::{sync::Arc, vec::Vec};
use core::cmp::Ordering;

use pg_functions::{Function, Implementation, order};
use pg_types::{
    Oid, Result, SqlError, SqlState, SqlType, Value, oid,
    value::{ArrayValue, RecordValue},
};

use super::{Call, Compiled, RowRef, ScalarArray};
use crate::context::Rt;

/// Most elements an array may have.
const MAX_ARRAY: usize = (1 << 27) - 1;

/// Calls a function on values, NULL handling included.
pub(crate) fn call_function(
    f: &'static Function,
    args: &[Value],
    ty: SqlType,
    rt: &Rt<'_, '_>,
) -> Result<Value> {
    if f.strict && args.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    match f.imp {
        Implementation::Row(f) | Implementation::Vector(_, f) => f(&rt.eval(), args),
        Implementation::RowTyped(f) => f(&rt.eval(), args, ty),
        Implementation::Host => pg_functions::Host::call(rt.cx, f.oid, args),
        Implementation::Set(_) => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "set-valued function called in context that cannot accept a set",
        )),
        Implementation::Aggregate(_) | Implementation::Window => {
            Err(SqlError::internal("aggregate or window function called as a scalar"))
        }
    }
}

impl Call {
    /// Calls it for one row.
    pub(crate) fn row(&mut self, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
        let mut values = core::mem::take(&mut self.values);
        values.clear();
        for a in &mut self.args {
            values.push(a.row(row, rt)?);
        }
        let result = call_function(self.function, &values, self.ty, rt);
        self.values = values;
        result
    }
}

impl Compiled {
    /// The value for one row.
    pub(crate) fn row(&mut self, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
        Ok(match self {
            Self::Const(v, _) => v.clone(),
            Self::Column(n) => row.value(*n)?,
            Self::Param(n, _) => rt.param(*n)?,
            Self::Slot(n, _) => rt.slot(*n),
            Self::Call(c) => c.row(row, rt)?,
            Self::Routine(c) => c.row(row, rt)?,
            Self::And(l) => connective(l, false, row, rt)?,
            Self::Or(l) => connective(l, true, row, rt)?,
            Self::Not(e) => match e.row(row, rt)? {
                Value::Bool(b) => Value::Bool(!b),
                _ => Value::Null,
            },
            Self::IsNull(e, want) => Value::Bool(is_null(&e.row(row, rt)?, *want)),
            Self::IsTruth(e, want, negated) => {
                let is = match (e.row(row, rt)?, want) {
                    (Value::Bool(b), Some(w)) => b == *w,
                    (Value::Bool(_), None) => false,
                    (_, want) => want.is_none(),
                };
                Value::Bool(is != *negated)
            }
            Self::Distinct(c, not) => Value::Bool(distinct(c, row, rt)? != *not),
            Self::Case(case) => {
                for (when, then) in &mut case.whens {
                    if when.is_true(row, rt)? {
                        return then.row(row, rt);
                    }
                }
                case.otherwise.row(row, rt)?
            }
            Self::Coalesce(l, _) => {
                for e in l {
                    let v = e.row(row, rt)?;
                    if !v.is_null() {
                        return Ok(v);
                    }
                }
                Value::Null
            }
            Self::NullIf(c, _) => {
                let v = c.args[0].row(row, rt)?;
                if v.is_null() {
                    return Ok(v);
                }
                let w = c.args[1].row(row, rt)?;
                if w.is_null() {
                    return Ok(v);
                }
                match call_function(c.function, &[v.clone(), w], c.ty, rt)? {
                    Value::Bool(true) => Value::Null,
                    _ => v,
                }
            }
            Self::Extreme(l, greatest, ty) => extreme(l, *greatest, *ty, row, rt)?,
            Self::ViaIo(e, from, to) => via_io(&e.row(row, rt)?, *from, *to, rt)?,
            Self::Relabel(e, ty) => pg_functions::cast::relabel(e.row(row, rt)?, ty.oid),
            Self::ArrayCoerce(p, ty) => {
                let v = p.0.row(row, rt)?;
                array_coerce(v, &mut p.1, *ty, rt)?
            }
            Self::Domain(d) => d.row(row, rt)?,
            Self::ScalarArray(s) => s.row(row, rt)?,
            Self::Array(l, nested, ty) => array(l, *nested, *ty, row, rt)?,
            Self::Subscript(s) => s.row(row, rt)?,
            Self::Row(l, types, names, _) => {
                let values = l.iter_mut().map(|e| e.row(row, rt)).collect::<Result<_>>()?;
                Value::Record(Arc::new(RecordValue { types: types.clone(), values, names: names.clone() }))
            }
            Self::Field(e, n, _) => match e.row(row, rt)? {
                Value::Record(r) => r.values.get(*n).cloned().unwrap_or(Value::Null),
                _ => Value::Null,
            },
            Self::SubPlan(s) => s.row(row, rt)?,
        })
    }

    /// True only when TRUE.
    pub(crate) fn is_true(&mut self, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<bool> {
        Ok(matches!(self.row(row, rt)?, Value::Bool(true)))
    }

    /// An expression without columns.
    pub(crate) fn constant(&mut self, rt: &Rt<'_, '_>) -> Result<Value> {
        self.row(RowRef::Values(&[]), rt)
    }
}

fn connective(l: &mut [Compiled], decisive: bool, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
    let mut unknown = false;
    for e in l {
        match e.row(row, rt)? {
            Value::Bool(b) if b == decisive => return Ok(Value::Bool(decisive)),
            Value::Bool(_) => {}
            _ => unknown = true,
        }
    }
    Ok(if unknown { Value::Null } else { Value::Bool(!decisive) })
}

/// `IS NULL` (or, when `want` is false, `IS NOT NULL`): a row is NULL when all its fields are, NOT NULL when none is.
pub(crate) fn is_null(v: &Value, want: bool) -> bool {
    match v {
        Value::Record(r) => r.values.iter().all(|f| f.is_null() == want),
        v => v.is_null() == want,
    }
}

fn distinct(c: &mut Call, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<bool> {
    let a = c.args[0].row(row, rt)?;
    let b = c.args[1].row(row, rt)?;
    Ok(match (a.is_null(), b.is_null()) {
        (true, true) => false,
        (true, false) | (false, true) => true,
        (false, false) => !matches!(call_function(c.function, &[a, b], c.ty, rt)?, Value::Bool(true)),
    })
}

fn extreme(
    l: &mut [Compiled],
    greatest: bool,
    ty: SqlType,
    row: RowRef<'_>,
    rt: &Rt<'_, '_>,
) -> Result<Value> {
    let wanted = if greatest { Ordering::Greater } else { Ordering::Less };
    let mut best = Value::Null;
    for e in l {
        let v = e.row(row, rt)?;
        if v.is_null() {
            continue;
        }
        if best.is_null() || order::compare_as(ty.oid, &v, &best) == wanted {
            best = v;
        }
    }
    Ok(best)
}

/// Writes a value as text and reads it as another type.
pub(crate) fn via_io(v: &Value, from: SqlType, to: SqlType, rt: &Rt<'_, '_>) -> Result<Value> {
    if v.is_null() {
        return Ok(Value::Null);
    }
    let text = crate::text::output(v, from.oid, rt.cx)?;
    crate::text::input(&text, to, rt.cx)
}

fn array_coerce(v: Value, element: &mut Compiled, ty: SqlType, rt: &Rt<'_, '_>) -> Result<Value> {
    let Value::Array(a) = v else { return Ok(Value::Null) };
    let values = a
        .values
        .iter()
        .map(|x| element.row(RowRef::Values(core::slice::from_ref(x)), rt))
        .collect::<Result<_>>()?;
    let element = pg_functions::types::element_type(ty.oid);
    Ok(Value::Array(Arc::new(ArrayValue { element, dims: a.dims.clone(), values })))
}

impl ScalarArray {
    fn row(&mut self, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
        let x = self.call.args[0].row(row, rt)?;
        if let Some((keys, null)) = &self.set {
            if x.is_null() {
                return Ok(Value::Null);
            }
            let ty = match &self.call.args[1] {
                Compiled::Const(Value::Array(a), _) => a.element,
                _ => oid::TEXT,
            };
            let key = crate::keys::encode_one(ty, &x);
            return Ok(match keys.binary_search(&key) {
                Ok(_) => Value::Bool(true),
                Err(_) if *null => Value::Null,
                Err(_) => Value::Bool(false),
            });
        }
        let list = self.call.args[1].row(row, rt)?;
        let Value::Array(list) = list else { return Ok(Value::Null) };
        let mut unknown = false;
        let mut pair = [x, Value::Null];
        for v in &list.values {
            pair[1] = v.clone();
            match call_function(self.call.function, &pair, self.call.ty, rt)? {
                Value::Bool(b) if b == self.any => return Ok(Value::Bool(b)),
                Value::Bool(_) => {}
                _ => unknown = true,
            }
        }
        Ok(if unknown { Value::Null } else { Value::Bool(!self.any) })
    }
}

fn array(l: &mut [Compiled], nested: bool, ty: SqlType, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
    let mut values = Vec::with_capacity(l.len());
    for e in l.iter_mut() {
        values.push(e.row(row, rt)?);
    }
    let element = pg_functions::types::element_type(ty.oid);
    if !nested {
        let dims = if values.is_empty() { Vec::new() } else { alloc::vec![(values.len() as i32, 1)] };
        return Ok(Value::Array(Arc::new(ArrayValue { element, dims, values })));
    }
    nest(values, element)
}

/// Arrays of equal shape as one array with one more dimension.
pub(crate) fn nest(parts: Vec<Value>, element: Oid) -> Result<Value> {
    let mut dims: Option<Vec<(i32, i32)>> = None;
    let mut all = Vec::new();
    let count = parts.len();
    for p in parts {
        let shape = match &p {
            Value::Array(a) => a.dims.clone(),
            _ => Vec::new(),
        };
        match &dims {
            None => dims = Some(shape),
            Some(d) if *d == shape => {}
            Some(_) => {
                return Err(SqlError::new(
                    SqlState::ARRAY_SUBSCRIPT_ERROR,
                    "multidimensional arrays must have array expressions with matching dimensions",
                ));
            }
        }
        if let Value::Array(a) = p {
            all.extend(a.values.iter().cloned());
        }
    }
    if all.len() > MAX_ARRAY {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "array size exceeds the maximum allowed (134217727)",
        ));
    }
    let mut dims = dims.unwrap_or_default();
    if all.is_empty() {
        dims.clear();
    } else {
        dims.insert(0, (count as i32, 1));
    }
    Ok(Value::Array(Arc::new(ArrayValue { element, dims, values: all })))
}

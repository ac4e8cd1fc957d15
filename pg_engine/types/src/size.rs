//! How large values are as PostgreSQL counts: what `pg_column_size` tells.

use crate::{
    oid::{self, Oid},
    typeinfo,
    value::{ArrayValue, Value},
};

/// Longest value with a header of one byte, header included.
const SHORT: usize = 127;

/// Bytes of a value of variable length without its header; `Err`: the length that its type fixes.
fn body(ty: Oid, v: &Value) -> Result<usize, usize> {
    if let Some(fixed) = typeinfo::get(ty).and_then(|t| usize::try_from(t.len).ok()) {
        return Err(fixed);
    }
    match v {
        Value::Text(s) => Ok(s.len()),
        Value::Bytea(b) => Ok(b.len()),
        Value::Numeric(n) => Ok(2 + 2 * n.base_10000_digits().unwrap_or(0)),
        Value::Jsonb(j) => Ok(j.bytes().len()),
        Value::JsonPath(p) => Ok(alloc::string::ToString::to_string(p.as_ref()).len()),
        Value::Inet(i) => Ok(2 + i.bytes().len()),
        Value::Bits(b) => Ok(4 + b.bytes().len()),
        Value::Geometry(g) => Ok(g.memory() - size_of::<crate::geometry::Geometry>() + 12),
        Value::Array(a) => Ok(array(a)),
        Value::Record(r) => {
            let fields = r.types.iter().zip(&r.values).filter(|(_, v)| !v.is_null());
            Ok(20 + fields.map(|(ty, v)| in_memory(*ty, v)).sum::<usize>())
        }
        _ => Err(8),
    }
}

fn array(a: &ArrayValue) -> usize {
    let align = match typeinfo::get(a.element).map(|t| t.align) {
        Some(b'c') => 1,
        Some(b's') => 2,
        Some(b'd') => 8,
        _ => 4,
    };
    let nulls = a.values.iter().any(Value::is_null);
    let bitmap = if nulls { a.values.len().div_ceil(8) } else { 0 };
    let head = (16 + 8 * a.dims.len() + bitmap).next_multiple_of(8);
    let present = a.values.iter().filter(|v| !v.is_null());
    let elements = present.map(|v| in_memory(a.element, v).next_multiple_of(align));
    let head = if a.dims.is_empty() { 16 } else { head };
    head - 4 + elements.sum::<usize>()
}

/// Of a value at hand.
pub fn in_memory(ty: Oid, v: &Value) -> usize {
    match body(ty, v) {
        Ok(n) if ty == oid::UNKNOWN || ty == oid::CSTRING => n + 1,
        Ok(n) => n + 4,
        Err(fixed) => fixed,
    }
}

/// Of a value that lies plain in a row.
pub fn stored(ty: Oid, v: &Value) -> usize {
    match body(ty, v) {
        Ok(n) if n < SHORT => n + 1,
        Ok(n) => n + 4,
        Err(fixed) => fixed,
    }
}

#[cfg(test)]
mod tests {
    use alloc::{sync::Arc, vec};

    use super::*;

    #[test]
    fn as_postgres_counts() {
        assert_eq!(stored(oid::INT4, &Value::Int4(1)), 4);
        assert_eq!(stored(oid::TEXT, &Value::text("abc")), 4);
        assert_eq!(in_memory(oid::TEXT, &Value::text("abc")), 7);
        assert_eq!(stored(oid::TEXT, &Value::text(&"x".repeat(126))), 127);
        assert_eq!(stored(oid::TEXT, &Value::text(&"x".repeat(127))), 131);
        assert_eq!(stored(oid::NUMERIC, &Value::Numeric(12_345.into())), 7);
        let values = vec![Value::Int4(1), Value::Int4(2)];
        let two = Value::Array(Arc::new(ArrayValue { element: oid::INT4, dims: vec![(2, 1)], values }));
        assert_eq!(in_memory(oid::INT4_ARRAY, &two), 32);
    }
}

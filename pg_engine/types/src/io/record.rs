//! Records as text.

use alloc::vec::Vec;

use super::is_space;
use crate::{format::FormatSettings, value::RecordValue};

pub(super) fn write(r: &RecordValue, settings: &FormatSettings, out: &mut Vec<u8>) {
    out.push(b'(');
    for (i, v) in r.values.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if v.is_null() {
            continue;
        }
        let start = out.len();
        super::output(v, r.types.get(i).copied().unwrap_or(0).into(), settings, out);
        let item = out.get(start..).unwrap_or_default();
        let special = |b: u8| matches!(b, b'"' | b'\\' | b'(' | b')' | b',') || is_space(b as char);
        if !item.is_empty() && !item.iter().any(|b| special(*b)) {
            continue;
        }
        let item = out.split_off(start);
        out.push(b'"');
        for b in item {
            if matches!(b, b'"' | b'\\') {
                out.push(b);
            }
            out.push(b);
        }
        out.push(b'"');
    }
    out.push(b')');
}

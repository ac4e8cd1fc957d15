//! Records as text.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use super::is_space;
use crate::{
    error::{Result, SqlError, SqlState},
    format::FormatSettings,
    user::UserType,
    value::{RecordValue, Value},
};

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

#[cold]
fn malformed(text: &str, detail: &str) -> SqlError {
    let message = format!("malformed record literal: \"{text}\"");
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message).detail(detail)
}

/// Reads a value of a composite type. Values lie in each other no deeper than their types, which cannot contain themselves.
pub(super) fn parse(ty: &UserType, text: &str, settings: &FormatSettings) -> Result<Value> {
    let fields = ty.fields();
    let mut rest = text.trim_start_matches(is_space);
    rest = rest.strip_prefix('(').ok_or_else(|| malformed(text, "Missing left parenthesis."))?;
    let (mut types, mut values) = (Vec::with_capacity(fields.len()), Vec::with_capacity(fields.len()));
    for (n, field) in fields.iter().enumerate() {
        if n > 0 {
            rest = rest.strip_prefix(',').ok_or_else(|| malformed(text, "Too few columns."))?;
        }
        let (item, after) = item(text, rest)?;
        rest = after;
        types.push(field.plain.oid);
        values.push(match item {
            None => Value::Null,
            Some(item) => super::input(field.plain, &item, settings)?,
        });
    }
    rest = rest.strip_prefix(')').ok_or_else(|| {
        malformed(text, if fields.is_empty() { "Missing right parenthesis." } else { "Too many columns." })
    })?;
    if !rest.trim_start_matches(is_space).is_empty() {
        return Err(malformed(text, "Junk after right parenthesis."));
    }
    Ok(Value::Record(Arc::new(RecordValue { types, values, names: None })))
}

/// One column up to the comma or parenthesis behind it; nothing at all is NULL.
fn item<'t>(text: &str, from: &'t str) -> Result<(Option<String>, &'t str)> {
    let end = || malformed(text, "Unexpected end of input.");
    if from.starts_with([',', ')']) {
        return Ok((None, from));
    }
    let (mut out, mut quoted) = (String::new(), false);
    let mut chars = from.chars();
    loop {
        let rest = chars.as_str();
        match chars.next().ok_or_else(end)? {
            '\\' => out.push(chars.next().ok_or_else(end)?),
            '"' if quoted && chars.as_str().starts_with('"') => {
                chars.next();
                out.push('"');
            }
            '"' => quoted = !quoted,
            ',' | ')' if !quoted => return Ok((Some(out), rest)),
            c => out.push(c),
        }
    }
}

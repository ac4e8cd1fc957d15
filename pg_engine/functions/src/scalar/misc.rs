//! Functions over any type and other oddments: concat, format, quoting, pg_typeof, uuid.

use alloc::{string::String, vec::Vec};

use pg_types::{Result, SqlError, SqlState, Value, oid::*};

use super::{keywords::is_reserved, text::join};
use crate::{
    call::{mismatch, row},
    def::{EvalContext, Function, Implementation},
    errors::invalid,
    output::{described, text, type_at, typed},
    table::def,
};

/// The arguments' texts joined, NULLs left out.
fn joined(ctx: &EvalContext<'_>, args: &[Value], from: usize, separator: &str) -> Result<Value> {
    let (values, types) = described(args)?;
    let mut out = String::new();
    let mut first = true;
    for (i, value) in values.iter().enumerate().skip(from).filter(|(_, v)| !v.is_null()) {
        if !first {
            out.push_str(separator);
        }
        first = false;
        out.push_str(&typed(ctx, type_at(&types, i), value)?);
    }
    Ok(Value::Text(out.into()))
}

fn concat_ws(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    match args {
        [Value::Text(separator), ..] => joined(ctx, args, 1, separator),
        _ => Ok(Value::Null),
    }
}

/// An identifier, quoted unless it is plain lower case and no keyword.
pub(crate) fn quote_ident(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !is_reserved(name);
    if plain {
        return name.into();
    }
    let mut out = String::with_capacity(name.len() + 2);
    out.push('"');
    for c in name.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// A string constant.
pub(crate) fn quote_literal(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 3);
    if value.contains('\\') {
        out.push('E');
    }
    out.push('\'');
    for c in value.chars() {
        if c == '\'' || c == '\\' {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
    out
}

/// One `%` specification of a format string.
struct Spec {
    /// 1-based position of the value.
    position: Option<usize>,
    left: bool,
    width: Width,
    kind: char,
}

enum Width {
    None,
    Fixed(i32),
    Argument(Option<usize>),
}

fn format_fault(message: &'static str) -> SqlError {
    invalid(message)
}

fn unterminated() -> SqlError {
    invalid("unterminated format() type specifier").hint("For a single \"%\" use \"%%\".")
}

/// Reads digits; `None` when there are none.
fn digits(rest: &mut core::iter::Peekable<core::str::Chars<'_>>) -> Result<Option<i32>> {
    let mut number = None;
    while let Some(d) = rest.peek().and_then(|c| c.to_digit(10)) {
        rest.next();
        let n: i32 = number.unwrap_or(0);
        number =
            Some(n.checked_mul(10).and_then(|n| n.checked_add(d as i32)).ok_or_else(|| {
                SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range")
            })?);
    }
    Ok(number)
}

fn position(n: i32) -> Result<usize> {
    if n == 0 {
        return Err(format_fault("format specifies argument 0, but arguments are numbered from 1"));
    }
    Ok(n as usize)
}

fn spec(rest: &mut core::iter::Peekable<core::str::Chars<'_>>) -> Result<Spec> {
    let mut s = Spec { position: None, left: false, width: Width::None, kind: 's' };
    if let Some(n) = digits(rest)? {
        if rest.next_if_eq(&'$').is_some() {
            s.position = Some(position(n)?);
        } else {
            s.width = Width::Fixed(n);
        }
    }
    if matches!(s.width, Width::None) {
        while rest.next_if_eq(&'-').is_some() {
            s.left = true;
        }
        if rest.next_if_eq(&'*').is_some() {
            let n = digits(rest)?;
            s.width = Width::Argument(match n {
                None => None,
                Some(n) => {
                    let p = position(n)?;
                    if rest.next_if_eq(&'$').is_none() {
                        return Err(format_fault("width argument position must be ended by \"$\""));
                    }
                    Some(p)
                }
            });
        } else if let Some(n) = digits(rest)? {
            s.width = Width::Fixed(n);
        }
    }
    s.kind = rest.next().ok_or_else(unterminated)?;
    if !matches!(s.kind, 's' | 'I' | 'L') {
        let kind = s.kind;
        return Err(invalid(alloc::format!("unrecognized format() type specifier \"{kind}\""))
            .hint("For a single \"%\" use \"%%\"."));
    }
    Ok(s)
}

/// `format`.
fn format(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let template = match args.first() {
        Some(Value::Text(t)) => t,
        Some(Value::Null) | None => return Ok(Value::Null),
        Some(_) => return Err(mismatch()),
    };
    let mut out = String::with_capacity(template.len());
    let mut rest = template.chars().peekable();
    let mut last = 0;
    let (args, types) = described(args)?;
    // The argument at a 1-based position, or the next one, with its type.
    let mut take = |wanted: Option<usize>| -> Result<(&Value, Oid)> {
        last = wanted.unwrap_or(last + 1);
        let found = args.get(last).ok_or_else(|| format_fault("too few arguments for format()"))?;
        Ok((found, type_at(&types, last)))
    };
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if rest.peek().is_none() {
            return Err(unterminated());
        }
        if rest.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let s = spec(&mut rest)?;
        let (mut left, mut width) = (s.left, 0i32);
        match s.width {
            Width::None => {}
            Width::Fixed(n) => width = n,
            Width::Argument(p) => {
                width = match take(p)?.0 {
                    Value::Null => 0,
                    Value::Int2(n) => i32::from(*n),
                    Value::Int4(n) => *n,
                    other => text(ctx, other).trim().parse().map_err(|_| mismatch())?,
                };
                if width < 0 {
                    left = true;
                    width = width.checked_neg().ok_or_else(|| {
                        SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range")
                    })?;
                }
            }
        }
        let (value, ty) = take(s.position)?;
        let shown = match (s.kind, value) {
            ('s', Value::Null) => String::new(),
            ('I', Value::Null) => {
                return Err(SqlError::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            ('L', Value::Null) => "NULL".into(),
            ('I', v) => quote_ident(&typed(ctx, ty, v)?),
            ('L', v) => quote_literal(&typed(ctx, ty, v)?),
            (_, v) => typed(ctx, ty, v)?,
        };
        let missing = (width as usize).saturating_sub(shown.chars().count());
        if missing > super::text::MAX_BYTES {
            return Err(crate::errors::too_large());
        }
        if left {
            out.push_str(&shown);
        }
        out.extend(core::iter::repeat_n(' ', missing));
        if !left {
            out.push_str(&shown);
        }
    }
    Ok(Value::Text(out.into()))
}

/// A random (version 4) uuid.
fn random_uuid(ctx: &EvalContext<'_>) -> [u8; 16] {
    let mut bytes = [0; 16];
    ctx.host.random(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

/// `quote_literal` and `quote_nullable` of a value that is not text.
fn any_literal(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let (values, types) = described(args)?;
    Ok(match values.first() {
        None | Some(Value::Null) => Value::text("NULL"),
        Some(v) => Value::Text(quote_literal(&cast_text(ctx, type_at(&types, 0), v)?).into()),
    })
}

/// What `||` makes of an operand that is not text.
fn shown(ctx: &EvalContext<'_>, v: &Value) -> String {
    match v {
        Value::Bool(b) => String::from(if *b { "true" } else { "false" }),
        v => text(ctx, v),
    }
}

/// `parse_ident`: the parts of a dotted name.
fn parse_ident(name: &str, strict: bool) -> Result<Value> {
    let fault = |detail: Option<String>| {
        let e = invalid(alloc::format!("string is not a valid identifier: \"{name}\""));
        match detail {
            Some(d) => e.detail(d),
            None => e,
        }
    };
    let mut parts = Vec::new();
    let mut rest = name.trim_start_matches(|c: char| c.is_ascii_whitespace());
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut part = String::new();
            let mut tail = quoted;
            loop {
                let Some(at) = tail.find('"') else {
                    return Err(fault(Some("String has unclosed double quotes.".into())));
                };
                part.push_str(tail.get(..at).unwrap_or_default());
                tail = tail.get(at + 1..).unwrap_or_default();
                match tail.strip_prefix('"') {
                    Some(after) => {
                        part.push('"');
                        tail = after;
                    }
                    None => break,
                }
            }
            if part.is_empty() {
                return Err(fault(Some("Quoted identifier must not be empty.".into())));
            }
            parts.push(Value::text(pg_types::io::typmod::name(&part)));
            rest = tail;
        } else {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()))
                .unwrap_or(rest.len());
            let (part, tail) = rest.split_at(end);
            if part.is_empty() || part.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
                return Err(if rest.starts_with('.') {
                    fault(Some("No valid identifier before \".\".".into()))
                } else if parts.is_empty() || rest.is_empty() && !name.contains('.') {
                    fault(None)
                } else {
                    fault(Some("No valid identifier after \".\".".into()))
                });
            }
            parts.push(Value::text(pg_types::io::typmod::name(&part.to_ascii_lowercase())));
            rest = tail;
        }
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start_matches(|c: char| c.is_ascii_whitespace()),
            None if rest.is_empty() || !strict => break,
            None => return Err(fault(None)),
        }
    }
    let dims = alloc::vec![(parts.len() as i32, 1)];
    Ok(Value::Array(alloc::sync::Arc::new(pg_types::value::ArrayValue {
        element: TEXT,
        dims,
        values: parts,
    })))
}

/// A value cast to text, which for boolean is not what it looks like on its own.
fn cast_text(ctx: &EvalContext<'_>, ty: Oid, v: &Value) -> Result<String> {
    match v {
        Value::Bool(b) => Ok(String::from(if *b { "true" } else { "false" })),
        v => typed(ctx, ty, v),
    }
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(3058, "concat", &[ANY], TEXT)
        .stable()
        .nullable()
        .variadic(ANY)
        .described()
        .imp(Implementation::Row(|ctx, args| joined(ctx, args, 0, ""))),
    def(3059, "concat_ws", &[TEXT, ANY], TEXT)
        .stable()
        .nullable()
        .variadic(ANY)
        .described()
        .imp(Implementation::Row(concat_ws)),
    def(3539, "format", &[TEXT, ANY], TEXT)
        .stable()
        .nullable()
        .variadic(ANY)
        .described()
        .imp(Implementation::Row(format)),
    def(3540, "format", &[TEXT], TEXT).stable().nullable().described().imp(Implementation::Row(format)),
    // The binder sees to it that a value tells its type.
    def(2003, "textanycat", &[TEXT, ANYNONARRAY], TEXT)
        .stable()
        .imp(row!(ctx; |a: &str, b: &Value| join(a, &shown(ctx, b)))),
    def(2004, "anytextcat", &[ANYNONARRAY, TEXT], TEXT)
        .stable()
        .imp(row!(ctx; |a: &Value, b: &str| join(&shown(ctx, a), b))),
    def(1282, "quote_ident", &[TEXT], TEXT).imp(row!(|s: &str| quote_ident(s))),
    def(1283, "quote_literal", &[TEXT], TEXT).imp(row!(|s: &str| quote_literal(s))),
    def(1285, "quote_literal", &[ANYELEMENT], TEXT)
        .stable()
        .described()
        .imp(Implementation::Row(any_literal)),
    def(1289, "quote_nullable", &[TEXT], TEXT)
        .nullable()
        .imp(row!(|s: Option<&str>| s.map_or("NULL".into(), quote_literal))),
    def(1290, "quote_nullable", &[ANYELEMENT], TEXT)
        .stable()
        .nullable()
        .described()
        .imp(Implementation::Row(any_literal)),
    def(1268, "parse_ident", &[TEXT, BOOL], TEXT_ARRAY)
        .defaults(&[|| Value::Bool(true)])
        .imp(row!(|s: &str, strict: bool| parse_ident(s, strict))),
    // The binder knows the argument's type and folds this; a value alone tells only its natural type.
    def(1619, "pg_typeof", &[ANY], REGTYPE)
        .stable()
        .nullable()
        .imp(row!(|v: &Value| crate::output::natural_type(v))),
    // So it does of the collation, of which a value tells nothing.
    def(3162, "pg_collation_for", &[ANY], TEXT).stable().nullable().imp(row!(|_v: &Value| Value::Null)),
    // Of a stored column the binder has the scan tell: what is here is for values at hand.
    def(1269, "pg_column_size", &[ANY], INT4)
        .stable()
        .imp(row!(|v: &Value| pg_types::size::in_memory(crate::output::natural_type(v), v) as i32)),
    def(2121, "pg_column_compression", &[ANY], TEXT)
        .stable()
        .imp(Implementation::Row(|_, _| Ok(Value::Null))),
    def(3432, "gen_random_uuid", &[], UUID).volatile().imp(row!(ctx; || random_uuid(ctx))),
    def(440, "num_nonnulls", &[ANY], INT4).nullable().variadic(ANY).imp(Implementation::Row(|_, args| {
        Ok(Value::Int4(args.iter().filter(|v| !v.is_null()).count() as i32))
    })),
    def(438, "num_nulls", &[ANY], INT4).nullable().variadic(ANY).imp(Implementation::Row(|_, args| {
        Ok(Value::Int4(args.iter().filter(|v| v.is_null()).count() as i32))
    })),
    def(5071, "xid", &[XID8], XID).imp(row!(|x: i64| x as u32)),
    def(2795, "tidlarger", &[TID, TID], TID).imp(row!(|a: &Value, b: &Value| if crate::order::compare(a, b)
        .is_lt()
    {
        b
    } else {
        a
    })),
    def(2796, "tidsmaller", &[TID, TID], TID)
        .imp(row!(|a: &Value, b: &Value| if crate::order::compare(a, b).is_gt() { b } else { a })),
    def(1319, "xideqint4", &[XID, INT4], BOOL).imp(row!(|a: u32, b: i32| a == b.cast_unsigned())),
    def(3309, "xidneqint4", &[XID, INT4], BOOL).imp(row!(|a: u32, b: i32| a != b.cast_unsigned())),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        assert_eq!(quote_ident("plain_1"), "plain_1");
        assert_eq!(quote_ident("select"), "\"select\"");
        assert_eq!(quote_ident("a\"B"), "\"a\"\"B\"");
        assert_eq!(quote_literal("o'b\\"), "E'o''b\\\\'");
    }
}

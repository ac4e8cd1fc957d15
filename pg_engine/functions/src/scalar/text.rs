//! text, varchar, char(n), name and "char": lengths, parts, case, padding, searching.

use alloc::{string::String, sync::Arc, vec::Vec};

use pg_types::{
    ColumnData, Result, SqlError, SqlState, SqlType, Value, Vector, VectorBuilder, io::typmod, oid::*,
    tuple::MAX_VALUE,
};

use crate::{
    call::{mismatch, row},
    def::{Function, Rows},
    errors::{alloc_request, invalid, too_large},
    kernel::{self, bytes2},
    order::trim_blanks,
    table::def,
};

/// Longest value: a little under a gigabyte.
pub(crate) const MAX_BYTES: usize = 0x3fff_fff0;

/// Number of characters of valid UTF-8.
#[inline]
pub(crate) fn chars(s: &[u8]) -> i32 {
    s.iter().filter(|b| (**b).cast_signed() >= -0x40).count() as i32
}

/// Without the trailing blanks that pad char(n).
pub(crate) fn unpadded(s: &str) -> &str {
    s.trim_end_matches(' ')
}

/// The byte position of character `n`, or the end.
fn byte_of(s: &str, n: usize) -> usize {
    if s.is_ascii() {
        return n.min(s.len());
    }
    s.char_indices().nth(n).map_or(s.len(), |(i, _)| i)
}

/// `count` characters from character `start` (1-based; may lie outside).
fn part(s: &str, start: i32, count: Option<i32>) -> Result<&str> {
    let from = usize::try_from(start.saturating_sub(1)).unwrap_or(0);
    let tail = s.get(byte_of(s, from)..).unwrap_or_default();
    let Some(count) = count else { return Ok(tail) };
    if count < 0 {
        return Err(negative_length());
    }
    let end = i64::from(start) - 1 + i64::from(count);
    let len = usize::try_from(end - from as i64).unwrap_or(0);
    Ok(tail.get(..byte_of(tail, len)).unwrap_or_default())
}

/// [`part`] by column; the third argument may be left out.
fn part_vector(args: &[Arc<Vector>], rows: Rows<'_>) -> Result<Vector> {
    let text = kernel::column(args, 0)?;
    let ColumnData::Text(data) = &text.data else { return Err(mismatch()) };
    let number = |n: usize, row: usize| match args.get(n) {
        None => Ok(None),
        Some(v) => match &v.data {
            ColumnData::Int4(d) => Ok(Some(*d.get(v.index(row)).ok_or_else(mismatch)?)),
            _ => Err(mismatch()),
        },
    };
    let mut out = VectorBuilder::with_capacity(SqlType::new(TEXT), rows.count);
    for row in rows.iter() {
        out.push_nulls(row.saturating_sub(out.len()));
        if args.iter().any(|a| a.is_null(row)) {
            out.push_null();
            continue;
        }
        let (start, count) = (number(1, row)?.unwrap_or(1), number(2, row)?);
        let i = text.index(row);
        // Where no character is wider than a byte, up to the end of the part, the rest of the text need not be looked at.
        let near = match (usize::try_from(start.saturating_sub(1)), count.map(usize::try_from)) {
            (Ok(from), Some(Ok(len))) => data
                .get(i)
                .get(..from.saturating_add(len))
                .filter(|s| s.is_ascii())
                .and_then(|s| Some((from, core::str::from_utf8(s).ok()?))),
            _ => None,
        };
        match near {
            Some((from, s)) => out.push_text(s.get(from..).unwrap_or_default()),
            None => out.push_text(part(data.str(i), start, count)?),
        }
    }
    out.push_nulls(rows.count.saturating_sub(out.len()));
    Ok(out.finish())
}

macro_rules! parts {
    ($row:expr) => {
        crate::def::Implementation::Vector(
            |_, args, rows| part_vector(args, rows),
            |cx, args| match $row {
                crate::def::Implementation::Row(f) => f(cx, args),
                _ => Err(mismatch()),
            },
        )
    };
}

#[cold]
pub(crate) fn negative_length() -> SqlError {
    SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed")
}

/// 1-based position of `needle` in characters; 0: none.
fn position(s: &str, needle: &str) -> i32 {
    match s.find(needle) {
        Some(i) => chars(s.as_bytes().get(..i).unwrap_or_default()) + 1,
        None => 0,
    }
}

fn single(mut mapped: impl Iterator<Item = char>, original: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(c), None) => c,
        _ => original,
    }
}

fn upper_char(c: char) -> char {
    single(c.to_uppercase(), c)
}

fn lower_char(c: char) -> char {
    single(c.to_lowercase(), c)
}

pub(crate) fn upper(s: &str) -> String {
    if s.is_ascii() { s.to_ascii_uppercase() } else { s.chars().map(upper_char).collect() }
}

pub(crate) fn lower(s: &str) -> String {
    if s.is_ascii() { s.to_ascii_lowercase() } else { s.chars().map(lower_char).collect() }
}

fn initcap(s: &str) -> String {
    let mut inside = false;
    s.chars()
        .map(|c| {
            let mapped = if inside { lower_char(c) } else { upper_char(c) };
            inside = c.is_alphanumeric();
            mapped
        })
        .collect()
}

fn trim_start<'a>(s: &'a str, set: &str) -> &'a str {
    s.trim_start_matches(|c| set.contains(c))
}

fn trim_end<'a>(s: &'a str, set: &str) -> &'a str {
    s.trim_end_matches(|c| set.contains(c))
}

/// The padding for a string to be `width` characters long, or the string cut to that.
fn pad<'a>(s: &'a str, width: i32, fill: &str) -> Result<(&'a str, String)> {
    let width = usize::try_from(width).unwrap_or(0);
    let length = chars(s.as_bytes()) as usize;
    if length >= width || fill.is_empty() {
        return Ok((s.get(..byte_of(s, width)).unwrap_or_default(), String::new()));
    }
    let missing = width - length;
    if missing.saturating_mul(fill.chars().map(char::len_utf8).max().unwrap_or(1)) > MAX_BYTES {
        return Err(too_large());
    }
    Ok((s, fill.chars().cycle().take(missing).collect()))
}

fn lpad(s: &str, width: i32, fill: &str) -> Result<String> {
    let (kept, mut padding) = pad(s, width, fill)?;
    padding.push_str(kept);
    Ok(padding)
}

fn rpad(s: &str, width: i32, fill: &str) -> Result<String> {
    let (kept, padding) = pad(s, width, fill)?;
    Ok([kept, &padding].concat())
}

fn left(s: &str, n: i32) -> &str {
    let keep = if n >= 0 { n } else { chars(s.as_bytes()).saturating_add(n).max(0) };
    s.get(..byte_of(s, keep as usize)).unwrap_or_default()
}

fn right(s: &str, n: i32) -> &str {
    let skip = if n >= 0 {
        chars(s.as_bytes()).saturating_sub(n).max(0) as usize
    } else {
        n.unsigned_abs() as usize
    };
    s.get(byte_of(s, skip)..).unwrap_or_default()
}

/// `a || b`.
pub(super) fn join(a: &str, b: &str) -> Result<String> {
    check_length(a.len() + b.len())?;
    Ok([a, b].concat())
}

/// A value of so many bytes can be.
pub(super) fn check_length(bytes: usize) -> Result<()> {
    const HEADER: usize = 4;
    if bytes + HEADER > MAX_VALUE { Err(alloc_request(bytes + HEADER)) } else { Ok(()) }
}

fn repeat(s: &str, n: i32) -> Result<String> {
    let n = usize::try_from(n).unwrap_or(0);
    match s.len().checked_mul(n) {
        Some(total) if total <= MAX_BYTES => Ok(s.repeat(n)),
        _ => Err(too_large()),
    }
}

fn replace(s: &str, from: &str, to: &str) -> Result<String> {
    if from.is_empty() {
        return Ok(s.into());
    }
    if to.len() > from.len() && s.len() / from.len() * to.len() > MAX_BYTES {
        let hits = s.matches(from).count();
        if s.len() + hits * (to.len() - from.len()) > MAX_BYTES {
            return Err(too_large());
        }
    }
    Ok(s.replace(from, to))
}

fn split_part<'a>(s: &'a str, delimiter: &str, field: i32) -> Result<&'a str> {
    if field == 0 {
        return Err(invalid("field position must not be zero"));
    }
    if s.is_empty() {
        return Ok("");
    }
    if delimiter.is_empty() {
        return Ok(if field == 1 || field == -1 { s } else { "" });
    }
    let n = field.unsigned_abs() as usize - 1;
    Ok(if field > 0 { s.split(delimiter).nth(n) } else { s.rsplit(delimiter).nth(n) }.unwrap_or_default())
}

fn translate(s: &str, from: &str, to: &str) -> String {
    let to: Vec<char> = to.chars().collect();
    s.chars()
        .filter_map(|c| match from.chars().position(|f| f == c) {
            Some(i) => to.get(i).copied(),
            None => Some(c),
        })
        .collect()
}

fn overlay(s: &str, with: &str, start: i32, count: i32) -> Result<String> {
    if start <= 0 {
        return Err(negative_length());
    }
    let resume = start.checked_add(count).ok_or_else(crate::errors::int4_range)?;
    let head = part(s, 1, Some(start - 1))?;
    Ok([head, with, part(s, resume, None)?].concat())
}

fn ascii(s: &str) -> i32 {
    s.chars().next().map_or(0, |c| u32::from(c) as i32)
}

fn chr(code: i32) -> Result<String> {
    let limit = |message| SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message);
    if code < 0 {
        return Err(invalid("character number must be positive"));
    }
    if code == 0 {
        return Err(limit("null character not permitted"));
    }
    let code = code as u32;
    char::from_u32(code).map(String::from).ok_or_else(|| {
        if code > 0x10_ffff {
            SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                alloc::format!("requested character too large for encoding: {code}"),
            )
        } else {
            SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                alloc::format!("requested character not valid for encoding: {code}"),
            )
        }
    })
}

/// A "char" as text: nothing for zero, an octal escape above ASCII.
pub(crate) fn char_text(c: u8) -> String {
    match c {
        0 => String::new(),
        1..0x80 => String::from(char::from(c)),
        _ => alloc::format!("\\{c:03o}"),
    }
}

/// Text as a "char": the first byte, or an octal escape.
pub(crate) fn text_char(s: &str) -> u8 {
    match s.as_bytes() {
        [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'] => {
            (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')
        }
        [first, ..] => *first,
        [] => 0,
    }
}

/// `unistr`: `\XXXX`, `\+XXXXXX`, `\uXXXX`, `\UXXXXXXXX` escapes.
fn unistr(s: &str) -> Result<String> {
    let fault = || {
        SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
            .hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
    };
    let mut out = String::with_capacity(s.len());
    let mut rest = s;
    let mut high: Option<u32> = None;
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at(at);
        let pair_fault = || SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair");
        if high.is_some() && !plain.is_empty() {
            return Err(pair_fault());
        }
        out.push_str(plain);
        let tail = escape.get(1..).unwrap_or_default();
        if let Some(after) = tail.strip_prefix('\\') {
            if high.is_some() {
                return Err(pair_fault());
            }
            out.push('\\');
            rest = after;
            continue;
        }
        let (skip, digits) = match tail.as_bytes().first() {
            Some(b'+') => (1, 6),
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            _ => (0, 4),
        };
        let hex = tail.get(skip..skip + digits).ok_or_else(fault)?;
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(fault());
        }
        let code = u32::from_str_radix(hex, 16).map_err(|_| fault())?;
        rest = tail.get(skip + digits..).unwrap_or_default();
        match (high.take(), code) {
            (Some(h), 0xdc00..=0xdfff) => {
                let c = 0x1_0000 + ((h - 0xd800) << 10) + (code - 0xdc00);
                out.push(char::from_u32(c).ok_or_else(pair_fault)?);
            }
            (Some(_), _) | (None, 0xdc00..=0xdfff) => return Err(pair_fault()),
            (None, 0xd800..=0xdbff) => high = Some(code),
            (None, 0) => {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode code point: 0000"));
            }
            (None, _) => out.push(char::from_u32(code).ok_or_else(|| {
                SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    alloc::format!("invalid Unicode code point: {code:04X}"),
                )
            })?),
        }
    }
    if high.is_some() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair"));
    }
    out.push_str(rest);
    Ok(out)
}

/// A character count of text, by column.
macro_rules! length {
    (|$s:ident| $e:expr) => {
        crate::def::Implementation::Vector(
            |_, args, rows| kernel::text1::<i32>(args, rows, INT4, |$s| $e),
            |_, args| {
                let s: &str = kernel::one(args)?;
                let $s = s.as_bytes();
                Ok(Value::Int4($e))
            },
        )
    };
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(1257, "textlen", &[TEXT], INT4).imp(length!(|s| chars(s))),
    def(1317, "length", &[TEXT], INT4).imp(length!(|s| chars(s))),
    def(1381, "char_length", &[TEXT], INT4).imp(length!(|s| chars(s))),
    def(1369, "character_length", &[TEXT], INT4).imp(length!(|s| chars(s))),
    def(1318, "length", &[BPCHAR], INT4).imp(length!(|s| chars(trim_blanks(s)))),
    def(1372, "char_length", &[BPCHAR], INT4).imp(length!(|s| chars(trim_blanks(s)))),
    def(1367, "character_length", &[BPCHAR], INT4).imp(length!(|s| chars(trim_blanks(s)))),
    def(1374, "octet_length", &[TEXT], INT4).imp(length!(|s| s.len() as i32)),
    def(1375, "octet_length", &[BPCHAR], INT4).imp(length!(|s| s.len() as i32)),
    def(1811, "bit_length", &[TEXT], INT4).imp(length!(|s| s.len() as i32 * 8)),
    def(1258, "textcat", &[TEXT, TEXT], TEXT).imp(row!(|a: &str, b: &str| join(a, b))),
    def(870, "lower", &[TEXT], TEXT).imp(row!(|s: &str| lower(s))),
    def(871, "upper", &[TEXT], TEXT).imp(row!(|s: &str| upper(s))),
    def(872, "initcap", &[TEXT], TEXT).imp(row!(|s: &str| initcap(s))),
    def(883, "substr", &[TEXT, INT4], TEXT).imp(parts!(row!(|s: &str, start: i32| part(s, start, None)))),
    def(877, "substr", &[TEXT, INT4, INT4], TEXT).imp(parts!(row!(|s: &str, start: i32, n: i32| part(
        s,
        start,
        Some(n)
    )))),
    def(937, "substring", &[TEXT, INT4], TEXT).imp(parts!(row!(|s: &str, start: i32| part(s, start, None)))),
    def(936, "substring", &[TEXT, INT4, INT4], TEXT).imp(parts!(row!(|s: &str, start: i32, n: i32| part(
        s,
        start,
        Some(n)
    )))),
    def(1404, "overlay", &[TEXT, TEXT, INT4, INT4], TEXT)
        .imp(row!(|s: &str, with: &str, start: i32, n: i32| overlay(s, with, start, n))),
    def(1405, "overlay", &[TEXT, TEXT, INT4], TEXT).imp(row!(|s: &str, with: &str, start: i32| overlay(
        s,
        with,
        start,
        chars(with.as_bytes())
    ))),
    def(849, "position", &[TEXT, TEXT], INT4).imp(row!(|s: &str, needle: &str| position(s, needle))),
    def(868, "strpos", &[TEXT, TEXT], INT4).imp(row!(|s: &str, needle: &str| position(s, needle))),
    def(885, "btrim", &[TEXT], TEXT).imp(row!(|s: &str| trim_end(trim_start(s, " "), " "))),
    def(884, "btrim", &[TEXT, TEXT], TEXT).imp(row!(|s: &str, set: &str| trim_end(trim_start(s, set), set))),
    def(881, "ltrim", &[TEXT], TEXT).imp(row!(|s: &str| trim_start(s, " "))),
    def(875, "ltrim", &[TEXT, TEXT], TEXT).imp(row!(|s: &str, set: &str| trim_start(s, set))),
    def(882, "rtrim", &[TEXT], TEXT).imp(row!(|s: &str| trim_end(s, " "))),
    def(876, "rtrim", &[TEXT, TEXT], TEXT).imp(row!(|s: &str, set: &str| trim_end(s, set))),
    def(879, "lpad", &[TEXT, INT4], TEXT).imp(row!(|s: &str, n: i32| lpad(s, n, " "))),
    def(873, "lpad", &[TEXT, INT4, TEXT], TEXT).imp(row!(|s: &str, n: i32, fill: &str| lpad(s, n, fill))),
    def(880, "rpad", &[TEXT, INT4], TEXT).imp(row!(|s: &str, n: i32| rpad(s, n, " "))),
    def(874, "rpad", &[TEXT, INT4, TEXT], TEXT).imp(row!(|s: &str, n: i32, fill: &str| rpad(s, n, fill))),
    def(3060, "left", &[TEXT, INT4], TEXT).imp(row!(|s: &str, n: i32| left(s, n))),
    def(3061, "right", &[TEXT, INT4], TEXT).imp(row!(|s: &str, n: i32| right(s, n))),
    def(1622, "repeat", &[TEXT, INT4], TEXT).imp(row!(|s: &str, n: i32| repeat(s, n))),
    def(2087, "replace", &[TEXT, TEXT, TEXT], TEXT)
        .imp(row!(|s: &str, from: &str, to: &str| replace(s, from, to))),
    def(3062, "reverse", &[TEXT], TEXT).imp(row!(|s: &str| s.chars().rev().collect::<String>())),
    def(2088, "split_part", &[TEXT, TEXT, INT4], TEXT)
        .imp(row!(|s: &str, delimiter: &str, n: i32| split_part(s, delimiter, n))),
    def(878, "translate", &[TEXT, TEXT, TEXT], TEXT)
        .imp(row!(|s: &str, from: &str, to: &str| translate(s, from, to))),
    def(1620, "ascii", &[TEXT], INT4).imp(row!(|s: &str| ascii(s))),
    def(1621, "chr", &[INT4], TEXT).imp(row!(|code: i32| chr(code))),
    def(2089, "to_hex", &[INT4], TEXT).imp(row!(|n: i32| alloc::format!("{n:x}"))),
    def(2090, "to_hex", &[INT8], TEXT).imp(row!(|n: i64| alloc::format!("{n:x}"))),
    def(3696, "starts_with", &[TEXT, TEXT], BOOL).imp(bytes2!(str; |s, prefix| s.starts_with(prefix))),
    def(6198, "unistr", &[TEXT], TEXT).imp(row!(|s: &str| unistr(s))),
    def(401, "text", &[BPCHAR], TEXT).imp(row!(|s: &str| unpadded(s))),
    def(406, "text", &[NAME], TEXT).imp(row!(|s: &str| s)),
    def(946, "text", &[CHAR], TEXT).imp(row!(|c: u8| char_text(c))),
    def(860, "bpchar", &[CHAR], BPCHAR).imp(row!(|c: u8| char_text(c))),
    def(408, "bpchar", &[NAME], BPCHAR).imp(row!(|s: &str| s)),
    def(1401, "varchar", &[NAME], VARCHAR).imp(row!(|s: &str| s)),
    def(407, "name", &[TEXT], NAME).imp(row!(|s: &str| typmod::name(s))),
    def(1400, "name", &[VARCHAR], NAME).imp(row!(|s: &str| typmod::name(s))),
    def(409, "name", &[BPCHAR], NAME).imp(row!(|s: &str| typmod::name(unpadded(s)))),
    def(944, "char", &[TEXT], CHAR).imp(row!(|s: &str| text_char(s))),
    def(669, "varchar", &[VARCHAR, INT4, BOOL], VARCHAR)
        .imp(row!(|s: &str, modifier: i32, explicit: bool| typmod::varchar(s.into(), modifier, explicit))),
    def(668, "bpchar", &[BPCHAR, INT4, BOOL], BPCHAR)
        .imp(row!(|s: &str, modifier: i32, explicit: bool| typmod::bpchar(s, modifier, explicit))),
    def(266, "nameconcatoid", &[NAME, OID], NAME).imp(row!(|s: &str, oid: u32| {
        let suffix = alloc::format!("_{oid}");
        let mut end = s.len().min(63 - suffix.len());
        while !s.is_char_boundary(end) {
            end -= 1;
        }
        [s.get(..end).unwrap_or_default(), &suffix].concat()
    })),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        assert_eq!(part("abcdef", 0, Some(3)).expect("ok"), "ab");
        assert_eq!(part("aéçdef", 2, Some(2)).expect("ok"), "éç");
        assert_eq!(part("abc", i32::MAX, Some(i32::MAX)).expect("ok"), "");
        assert_eq!(part("abc", i32::MIN, Some(i32::MAX)).expect("ok"), "");
        assert!(part("abc", 2, Some(-1)).is_err());
        assert_eq!((left("héllo", -2), right("héllo", -2)), ("hél", "llo"));
        assert_eq!(split_part("a,b,c", ",", -1).expect("ok"), "c");
        assert_eq!(lpad("hi", 5, "xy").expect("ok"), "xyxhi");
        assert_eq!(rpad("hello", 2, "x").expect("ok"), "he");
    }
}

//! `~` and the regexp functions.

use alloc::{
    boxed::Box,
    string::String,
    sync::Arc,
    vec::{self, Vec},
};

use pg_types::{
    Batch, Result, SqlError, SqlType, Value, Vector, VectorBuilder,
    oid::*,
    value::ArrayValue,
    vector::{BATCH_ROWS, ColumnData, Encoding},
};

use super::{
    regex::{Captures, Regex, cached, next_char},
    translate::Options,
};
use crate::{
    call::{mismatch, row},
    def::{EvalContext, Function, Implementation, Rows, SetReturning},
    errors::invalid,
    kernel::{column, constant_null, strict_nulls},
    scalar::text::chars,
    table::def,
};

/// A flags argument; `global` is `g`.
struct Flags {
    options: Options,
    global: bool,
}

fn flags(text: &str) -> Result<Flags> {
    let mut flags = Flags { options: Options::default(), global: false };
    for c in text.chars() {
        if c == 'g' {
            flags.global = true;
        } else if !flags.options.apply(c) {
            return Err(invalid(alloc::format!("invalid regular expression option: \"{c}\"")));
        }
    }
    Ok(flags)
}

/// Options from the flags of a function that `g` means nothing to.
fn options(text: &str, function: &str) -> Result<Options> {
    let flags = flags(text)?;
    if flags.global {
        return Err(no_global(function));
    }
    Ok(flags.options)
}

#[cold]
fn no_global(function: &str) -> SqlError {
    invalid(alloc::format!("{function} does not support the \"global\" option"))
}

fn array(values: Vec<Value>) -> ArrayValue {
    let dims = if values.is_empty() { Vec::new() } else { alloc::vec![(values.len() as i32, 1)] };
    ArrayValue { element: TEXT, dims, values }
}

fn slice(text: &str, span: Option<(usize, usize)>) -> Value {
    span.and_then(|(a, b)| text.get(a..b)).map_or(Value::Null, Value::text)
}

/// The whole of a match.
fn whole(captures: &Captures) -> (usize, usize) {
    captures.first().copied().flatten().unwrap_or((0, 0))
}

/// What `regexp_match` yields for a match: the groups, or the whole when there are none.
fn groups(text: &str, captures: &Captures) -> ArrayValue {
    let from = usize::from(captures.len() > 1);
    array(captures.iter().skip(from).map(|span| slice(text, *span)).collect())
}

/// `substring(text from pattern)`: the first group, or the whole when there are none.
fn substring(text: &str, pattern: &str) -> Result<Value> {
    let regex = cached(pattern, Options::default())?;
    let Some(captures) = regex.captures(text, 0)? else { return Ok(Value::Null) };
    Ok(slice(text, captures.get(usize::from(captures.len() > 1)).copied().flatten()))
}

/// Longest text that is cut by the three parts of a SIMILAR pattern: each of its beginnings is tried.
const CUT: usize = 32_768;

/// `substring(text SIMILAR pattern ESCAPE escape)`: what the middle part of the pattern matches, with as little as can be before it
/// and as little as can be behind.
fn similar_substring(text: &str, pattern: &str, escape: &str) -> Result<Value> {
    let Some([before, middle, behind]) = super::similar::parts(pattern, escape)? else {
        return substring(text, &super::similar::to_regex(pattern, Some(escape))?);
    };
    if text.len() > CUT {
        let text = alloc::format!("SUBSTRING ... SIMILAR takes at most {CUT} bytes of text");
        return Err(SqlError::new(pg_types::SqlState::PROGRAM_LIMIT_EXCEEDED, text));
    }
    let regex = |part: &str| super::similar::to_regex(part, Some(escape));
    let before = cached(&regex(before)?, Options::default())?;
    let (middle, behind) = (regex(middle)?, regex(behind)?);
    let inner = |r: &str| {
        r.strip_prefix('^').and_then(|r| r.strip_suffix('$')).map_or_else(String::new, String::from)
    };
    let rest = cached(&alloc::format!("^({}){}$", inner(&middle), inner(&behind)), Options::default())?;
    let ends = text.char_indices().map(|(i, _)| i).chain([text.len()]);
    for end in ends {
        let (first, second) = text.split_at(end);
        if before.is_match(first)?
            && let Some(captures) = rest.captures(second, 0)?
        {
            return Ok(slice(second, captures.get(1).copied().flatten()));
        }
    }
    Ok(Value::Null)
}

/// Byte position of a 1-based character position; `None`: behind the end.
fn start_byte(text: &str, start: i32) -> Result<Option<usize>> {
    if start <= 0 {
        return Err(bad_parameter("start", start));
    }
    let skip = start as usize - 1;
    if skip == chars(text.as_bytes()) as usize {
        return Ok(Some(text.len()));
    }
    Ok(text.char_indices().nth(skip).map(|(i, _)| i))
}

#[cold]
fn bad_parameter(name: &str, value: i32) -> SqlError {
    invalid(alloc::format!("invalid value for parameter \"{name}\": {value}"))
}

/// Appends the replacement for a match: `\1` to `\9` are groups, `\&` the whole match, `\\` a backslash.
fn expand(out: &mut String, text: &str, with: &str, captures: &Captures) {
    let mut rest = with;
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at(at);
        out.push_str(plain);
        let group = match escape.as_bytes().get(1) {
            Some(d @ b'1'..=b'9') => Some(usize::from(d - b'0')),
            Some(b'&') => Some(0),
            Some(b'\\') => {
                out.push('\\');
                rest = escape.get(2..).unwrap_or_default();
                continue;
            }
            _ => None,
        };
        match group {
            Some(group) => {
                if let Some((a, b)) = captures.get(group).copied().flatten() {
                    out.push_str(text.get(a..b).unwrap_or_default());
                }
                rest = escape.get(2..).unwrap_or_default();
            }
            None => {
                out.push('\\');
                rest = escape.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
}

/// Replaces match number `nth` (0: all) of those at or after `from`.
fn replace(
    ctx: &EvalContext<'_>,
    regex: &Regex,
    text: &str,
    with: &str,
    from: usize,
    nth: i32,
) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut at, mut count) = (0, from, 0);
    while at <= text.len() {
        if ctx.host.cancelled() {
            return Err(crate::errors::cancelled());
        }
        let Some(captures) = regex.captures(text, at)? else { break };
        let (start, end) = whole(&captures);
        count += 1;
        if nth == 0 || count == nth {
            out.push_str(text.get(copied..start).unwrap_or_default());
            expand(&mut out, text, with, &captures);
            copied = end;
            if nth != 0 {
                break;
            }
        }
        at = if end > start { end } else { end + next_char(text, end) };
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Ok(out)
}

fn replace_flags(ctx: &EvalContext<'_>, text: &str, pattern: &str, with: &str, opts: &str) -> Result<String> {
    let flags = flags(opts).map_err(|e| {
        if opts.starts_with(|c: char| c.is_ascii_digit()) {
            e.hint(
                "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer \
                 explicitly.",
            )
        } else {
            e
        }
    })?;
    let regex = cached(pattern, flags.options)?;
    replace(ctx, &regex, text, with, 0, i32::from(!flags.global))
}

fn replace_nth(
    ctx: &EvalContext<'_>,
    text: &str,
    pattern: &str,
    with: &str,
    start: i32,
    nth: Option<i32>,
    opts: &str,
) -> Result<String> {
    let from = start_byte(text, start)?;
    if let Some(n) = nth.filter(|n| *n < 0) {
        return Err(bad_parameter("n", n));
    }
    let flags = flags(opts)?;
    // A given n wins over the global option.
    let nth = nth.unwrap_or(i32::from(!flags.global));
    let regex = cached(pattern, flags.options)?;
    match from {
        Some(from) => replace(ctx, &regex, text, with, from, nth),
        None => Ok(text.into()),
    }
}

/// The pieces between matches. Empty matches at the start, at the end and right after another do not split.
fn split(text: &str, regex: &Regex) -> Result<Vec<Value>> {
    let mut pieces = Vec::new();
    let (mut piece, mut at) = (0, 0);
    while at <= text.len() {
        let Some(captures) = regex.captures(text, at)? else { break };
        let (start, end) = whole(&captures);
        if start < text.len() && end > piece {
            pieces.push(slice(text, Some((piece, start))));
            piece = end;
        }
        at = if end > start { end } else { end + next_char(text, end) };
    }
    pieces.push(slice(text, Some((piece, text.len()))));
    Ok(pieces)
}

fn count(text: &str, pattern: &str, start: i32, opts: &str) -> Result<i32> {
    let from = start_byte(text, start)?;
    let regex = cached(pattern, options(opts, "regexp_count()")?)?;
    match from {
        Some(from) => Ok(regex.all(text, from, usize::MAX)?.len() as i32),
        None => Ok(0),
    }
}

/// The span of group `group` of match `nth`.
#[allow(clippy::too_many_arguments, reason = "the SQL functions have as many")]
fn locate(
    text: &str,
    pattern: &str,
    start: i32,
    nth: i32,
    opts: &str,
    group: i32,
    function: &str,
) -> Result<Option<(usize, usize)>> {
    let from = start_byte(text, start)?;
    if nth <= 0 {
        return Err(bad_parameter("n", nth));
    }
    if group < 0 {
        return Err(bad_parameter("subexpr", group));
    }
    let regex = cached(pattern, options(opts, function)?)?;
    let Some(from) = from else { return Ok(None) };
    let matches = regex.all(text, from, nth as usize)?;
    Ok(matches.get(nth as usize - 1).and_then(|c| c.get(group as usize).copied().flatten()))
}

#[allow(clippy::too_many_arguments, reason = "the SQL function has as many")]
fn instr(text: &str, pattern: &str, start: i32, nth: i32, end: i32, opts: &str, group: i32) -> Result<i32> {
    start_byte(text, start)?;
    if nth <= 0 {
        return Err(bad_parameter("n", nth));
    }
    if end != 0 && end != 1 {
        return Err(bad_parameter("endoption", end));
    }
    let span = locate(text, pattern, start, nth, opts, group, "regexp_instr()")?;
    Ok(span.map_or(0, |(a, b)| {
        let at = if end == 1 { b } else { a };
        chars(text.as_bytes().get(..at).unwrap_or_default()) + 1
    }))
}

fn substr(text: &str, pattern: &str, start: i32, nth: i32, opts: &str, group: i32) -> Result<Value> {
    Ok(slice(text, locate(text, pattern, start, nth, opts, group, "regexp_substr()")?))
}

/// `regexp_match`.
fn match_groups(text: &str, pattern: &str, opts: &str) -> Result<Option<ArrayValue>> {
    let options = options(opts, "regexp_match()").map_err(|e| {
        if opts.contains('g') { e.hint("Use the regexp_matches function instead.") } else { e }
    })?;
    Ok(cached(pattern, options)?.captures(text, 0)?.map(|c| groups(text, &c)))
}

/// Rows made beforehand.
struct Made {
    ty: SqlType,
    values: vec::IntoIter<Value>,
}

impl SetReturning for Made {
    fn next(&mut self, _ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        if self.values.as_slice().is_empty() {
            return Ok(None);
        }
        let mut column = VectorBuilder::with_capacity(self.ty, self.values.len().min(BATCH_ROWS));
        for value in self.values.by_ref().take(BATCH_ROWS) {
            column.push(&value)?;
        }
        let rows = column.len();
        Ok(Some(Batch::new(alloc::vec![column.finish()], rows)))
    }
}

/// The rows of a set-returning function that makes all of them at once.
pub(crate) fn made(ty: u32, values: Vec<Value>) -> Result<Box<dyn SetReturning>> {
    Ok(Box::new(Made { ty: SqlType::new(ty), values: values.into_iter() }))
}

fn texts(args: &[Value]) -> Result<(&str, &str, &str)> {
    let mut rest = args.iter();
    let (text, pattern) = (crate::call::next(&mut rest)?, crate::call::next(&mut rest)?);
    let opts = match rest.next() {
        Some(Value::Text(t)) => t,
        None => "",
        Some(_) => return Err(mismatch()),
    };
    Ok((text, pattern, opts))
}

fn matches_set(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let (text, pattern, opts) = texts(args)?;
    let flags = flags(opts)?;
    let regex = cached(pattern, flags.options)?;
    let limit = if flags.global { usize::MAX } else { 1 };
    let rows = regex.all(text, 0, limit)?.iter().map(|c| Value::Array(Arc::new(groups(text, c)))).collect();
    made(TEXT_ARRAY, rows)
}

fn split_set(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let (text, pattern, opts) = texts(args)?;
    let regex = cached(pattern, options(opts, "regexp_split_to_table()")?)?;
    made(TEXT, split(text, &regex)?)
}

fn regex_vector<const FOLD: bool, const NEGATED: bool>(
    args: &[Arc<Vector>],
    rows: Rows<'_>,
) -> Result<Vector> {
    if constant_null(args) || rows.is_empty() {
        return Ok(Vector::nulls(BOOL));
    }
    let (subject, pattern) = (column(args, 0)?, column(args, 1)?);
    let nulls = strict_nulls(args, rows.count);
    let options = Options { ignore_case: FOLD, ..Options::default() };
    let text =
        |v: &'_ Vector, row: usize| -> Result<String> { v.text(row).map(String::from).ok_or_else(mismatch) };
    let fixed = if pattern.is_constant() { Some(cached(&text(pattern, 0)?, options)?) } else { None };
    let ColumnData::Text(subjects) = &subject.data else { return Err(mismatch()) };
    let mut values = alloc::vec![false; rows.count];
    for row in rows.iter() {
        if nulls.as_ref().is_some_and(|n| n.get(row)) {
            continue;
        }
        let s = subjects.str(subject.index(row));
        let matched = match &fixed {
            Some(regex) => regex.is_match(s)?,
            None => cached(&text(pattern, row)?, options)?.is_match(s)?,
        };
        values[row] = matched != NEGATED;
    }
    Ok(Vector { ty: SqlType::new(BOOL), encoding: Encoding::Flat, data: ColumnData::Bool(values), nulls })
}

macro_rules! matches {
    ($fold:literal, $negated:literal) => {
        Implementation::Vector(
            |_, args, rows| regex_vector::<$fold, $negated>(args, rows),
            |_, args| {
                let (s, pattern): (&str, &str) = crate::kernel::two(args)?;
                let options = Options { ignore_case: $fold, ..Options::default() };
                Ok(Value::Bool(cached(pattern, options)?.is_match(s)? != $negated))
            },
        )
    };
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(1254, "textregexeq", &[TEXT, TEXT], BOOL).imp(matches!(false, false)),
    def(1256, "textregexne", &[TEXT, TEXT], BOOL).imp(matches!(false, true)),
    def(1238, "texticregexeq", &[TEXT, TEXT], BOOL).imp(matches!(true, false)),
    def(1239, "texticregexne", &[TEXT, TEXT], BOOL).imp(matches!(true, true)),
    def(1658, "bpcharregexeq", &[BPCHAR, TEXT], BOOL).imp(matches!(false, false)),
    def(1659, "bpcharregexne", &[BPCHAR, TEXT], BOOL).imp(matches!(false, true)),
    def(1656, "bpcharicregexeq", &[BPCHAR, TEXT], BOOL).imp(matches!(true, false)),
    def(1657, "bpcharicregexne", &[BPCHAR, TEXT], BOOL).imp(matches!(true, true)),
    def(79, "nameregexeq", &[NAME, TEXT], BOOL).imp(matches!(false, false)),
    def(1252, "nameregexne", &[NAME, TEXT], BOOL).imp(matches!(false, true)),
    def(1240, "nameicregexeq", &[NAME, TEXT], BOOL).imp(matches!(true, false)),
    def(1241, "nameicregexne", &[NAME, TEXT], BOOL).imp(matches!(true, true)),
    def(2073, "substring", &[TEXT, TEXT], TEXT).imp(row!(|s: &str, pattern: &str| substring(s, pattern))),
    def(2074, "substring", &[TEXT, TEXT, TEXT], TEXT)
        .imp(row!(|s: &str, pattern: &str, escape: &str| { similar_substring(s, pattern, escape)? })),
    def(6263, "regexp_like", &[TEXT, TEXT], BOOL)
        .imp(row!(|s: &str, pattern: &str| { cached(pattern, Options::default())?.is_match(s)? })),
    def(6264, "regexp_like", &[TEXT, TEXT, TEXT], BOOL).imp(row!(|s: &str, pattern: &str, opts: &str| {
        cached(pattern, options(opts, "regexp_like()")?)?.is_match(s)?
    })),
    def(3396, "regexp_match", &[TEXT, TEXT], TEXT_ARRAY)
        .imp(row!(|s: &str, pattern: &str| match_groups(s, pattern, ""))),
    def(3397, "regexp_match", &[TEXT, TEXT, TEXT], TEXT_ARRAY)
        .imp(row!(|s: &str, pattern: &str, opts: &str| match_groups(s, pattern, opts))),
    def(2763, "regexp_matches", &[TEXT, TEXT], TEXT_ARRAY).imp(Implementation::Set(matches_set)),
    def(2764, "regexp_matches", &[TEXT, TEXT, TEXT], TEXT_ARRAY).imp(Implementation::Set(matches_set)),
    def(2765, "regexp_split_to_table", &[TEXT, TEXT], TEXT).imp(Implementation::Set(split_set)),
    def(2766, "regexp_split_to_table", &[TEXT, TEXT, TEXT], TEXT).imp(Implementation::Set(split_set)),
    def(2767, "regexp_split_to_array", &[TEXT, TEXT], TEXT_ARRAY)
        .imp(row!(|s: &str, pattern: &str| { array(split(s, &*cached(pattern, Options::default())?)?) })),
    def(2768, "regexp_split_to_array", &[TEXT, TEXT, TEXT], TEXT_ARRAY).imp(row!(
        |s: &str, pattern: &str, opts: &str| {
            array(split(s, &*cached(pattern, options(opts, "regexp_split_to_array()")?)?)?)
        }
    )),
    def(2284, "regexp_replace", &[TEXT, TEXT, TEXT], TEXT).imp(
        row!(ctx; |s: &str, pattern: &str, with: &str| {
            replace_flags(ctx, s, pattern, with, "")
        }),
    ),
    def(2285, "regexp_replace", &[TEXT, TEXT, TEXT, TEXT], TEXT).imp(
        row!(ctx; |s: &str, pattern: &str, with: &str, opts: &str| {
            replace_flags(ctx, s, pattern, with, opts)
        }),
    ),
    def(6253, "regexp_replace", &[TEXT, TEXT, TEXT, INT4], TEXT).imp(
        row!(ctx; |s: &str, pattern: &str, with: &str, start: i32| {
            replace_nth(ctx, s, pattern, with, start, None, "")
        }),
    ),
    def(6252, "regexp_replace", &[TEXT, TEXT, TEXT, INT4, INT4], TEXT).imp(
        row!(ctx; |s: &str, p: &str, with: &str, start: i32, n: i32| {
            replace_nth(ctx, s, p, with, start, Some(n), "")
        }),
    ),
    def(6251, "regexp_replace", &[TEXT, TEXT, TEXT, INT4, INT4, TEXT], TEXT).imp(
        row!(ctx; |s: &str, p: &str, with: &str, start: i32, n: i32, opts: &str| {
            replace_nth(ctx, s, p, with, start, Some(n), opts)
        }),
    ),
    def(6254, "regexp_count", &[TEXT, TEXT], INT4)
        .imp(row!(|s: &str, pattern: &str| count(s, pattern, 1, ""))),
    def(6255, "regexp_count", &[TEXT, TEXT, INT4], INT4)
        .imp(row!(|s: &str, pattern: &str, start: i32| count(s, pattern, start, ""))),
    def(6256, "regexp_count", &[TEXT, TEXT, INT4, TEXT], INT4)
        .imp(row!(|s: &str, pattern: &str, start: i32, opts: &str| { count(s, pattern, start, opts) })),
    def(6257, "regexp_instr", &[TEXT, TEXT], INT4).imp(row!(|s: &str, p: &str| instr(s, p, 1, 1, 0, "", 0))),
    def(6258, "regexp_instr", &[TEXT, TEXT, INT4], INT4)
        .imp(row!(|s: &str, p: &str, start: i32| instr(s, p, start, 1, 0, "", 0))),
    def(6259, "regexp_instr", &[TEXT, TEXT, INT4, INT4], INT4)
        .imp(row!(|s: &str, p: &str, start: i32, n: i32| { instr(s, p, start, n, 0, "", 0) })),
    def(6260, "regexp_instr", &[TEXT, TEXT, INT4, INT4, INT4], INT4)
        .imp(row!(|s: &str, p: &str, start: i32, n: i32, end: i32| { instr(s, p, start, n, end, "", 0) })),
    def(6261, "regexp_instr", &[TEXT, TEXT, INT4, INT4, INT4, TEXT], INT4).imp(row!(
        |s: &str, p: &str, start: i32, n: i32, end: i32, opts: &str| instr(s, p, start, n, end, opts, 0)
    )),
    def(6262, "regexp_instr", &[TEXT, TEXT, INT4, INT4, INT4, TEXT, INT4], INT4).imp(row!(
        |s: &str, p: &str, start: i32, n: i32, end: i32, opts: &str, group: i32| {
            instr(s, p, start, n, end, opts, group)
        }
    )),
    def(6265, "regexp_substr", &[TEXT, TEXT], TEXT).imp(row!(|s: &str, p: &str| substr(s, p, 1, 1, "", 0))),
    def(6266, "regexp_substr", &[TEXT, TEXT, INT4], TEXT)
        .imp(row!(|s: &str, p: &str, start: i32| substr(s, p, start, 1, "", 0))),
    def(6267, "regexp_substr", &[TEXT, TEXT, INT4, INT4], TEXT)
        .imp(row!(|s: &str, p: &str, start: i32, n: i32| { substr(s, p, start, n, "", 0) })),
    def(6268, "regexp_substr", &[TEXT, TEXT, INT4, INT4, TEXT], TEXT)
        .imp(row!(|s: &str, p: &str, start: i32, n: i32, opts: &str| { substr(s, p, start, n, opts, 0) })),
    def(6269, "regexp_substr", &[TEXT, TEXT, INT4, INT4, TEXT, INT4], TEXT).imp(row!(
        |s: &str, p: &str, start: i32, n: i32, opts: &str, group: i32| substr(s, p, start, n, opts, group)
    )),
];

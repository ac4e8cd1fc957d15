//! LIKE and ILIKE.

use alloc::{borrow::Cow, string::String, sync::Arc, vec::Vec};

use pg_types::{
    Result, SqlError, SqlState, SqlType, Value, Vector,
    oid::*,
    vector::{ColumnData, Encoding},
};

use crate::{
    call::{mismatch, row},
    def::{Function, Implementation, Rows},
    kernel::{column, constant_null, strict_nulls},
    scalar::text::lower,
    table::def,
};

#[cold]
fn trailing_escape() -> SqlError {
    SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character")
}

/// A pattern taken apart once for many strings. The commonest shapes need no backtracking.
enum Pattern<'a> {
    /// No wildcard.
    Exact(Cow<'a, [u8]>),
    /// `abc%`
    Prefix(Cow<'a, [u8]>),
    /// `%abc`
    Suffix(Cow<'a, [u8]>),
    /// `%abc%`
    Contains(Cow<'a, [u8]>),
    /// Anything else.
    General(&'a [u8]),
}

impl<'a> Pattern<'a> {
    fn new(pattern: &'a [u8]) -> Self {
        if pattern.iter().any(|b| matches!(b, b'_' | b'\\')) {
            return Self::General(pattern);
        }
        let percents = pattern.iter().filter(|b| **b == b'%').count();
        match (pattern, percents) {
            (literal, 0) => Self::Exact(literal.into()),
            ([literal @ .., b'%'], 1) => Self::Prefix(literal.into()),
            ([b'%', literal @ ..], 1) => Self::Suffix(literal.into()),
            ([b'%', literal @ .., b'%'], 2) => Self::Contains(literal.into()),
            _ => Self::General(pattern),
        }
    }

    fn matches(&self, s: &[u8]) -> Result<bool> {
        Ok(match self {
            Self::Exact(p) => s == p.as_ref(),
            Self::Prefix(p) => s.starts_with(p),
            Self::Suffix(p) => s.ends_with(p),
            Self::Contains(p) => contains(s, p),
            Self::General(p) => return like(s, p),
        })
    }
}

/// Substring search: finds the first byte, then compares.
fn contains(s: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let mut tail = s;
    while let Some(i) = tail.iter().position(|b| b == first) {
        tail = tail.get(i + 1..).unwrap_or_default();
        if tail.starts_with(rest) {
            return true;
        }
        if tail.len() < rest.len() {
            return false;
        }
    }
    false
}

/// Length of the character that starts `s`.
fn char_len(s: &[u8]) -> usize {
    match s.first() {
        None => 0,
        Some(0..0x80) => 1,
        Some(_) => 1 + s.iter().skip(1).take_while(|b| (**b & 0xc0) == 0x80).count(),
    }
}

/// Whether the whole of `s` matches. Linear in practice: only the last `%` is ever returned to.
pub(crate) fn like(s: &[u8], pattern: &[u8]) -> Result<bool> {
    let (mut s, mut p) = (s, pattern);
    // Where to go on when a match fails: after the last `%`, one character further.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let matched = match p {
            [] => s.is_empty(),
            [b'%', b'\\'] => return Err(trailing_escape()),
            [b'%', rest @ ..] => {
                p = rest;
                retry = Some((s, p));
                continue;
            }
            [b'_', rest @ ..] if !s.is_empty() => {
                s = s.get(char_len(s)..).unwrap_or_default();
                p = rest;
                continue;
            }
            [b'_', ..] => false,
            [b'\\'] if !s.is_empty() => return Err(trailing_escape()),
            [b'\\'] => false,
            [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
                if let [first, tail @ ..] = s
                    && first == literal
                {
                    (s, p) = (tail, rest);
                    continue;
                }
                false
            }
        };
        if matched {
            return Ok(true);
        }
        match retry {
            Some((from, rest)) if !from.is_empty() => {
                s = from.get(char_len(from)..).unwrap_or_default();
                p = rest;
                retry = Some((s, p));
            }
            _ => return Ok(false),
        }
    }
}

/// The pattern with `escape` replaced by a backslash, for `LIKE ... ESCAPE`.
fn like_escape(pattern: &str, escape: &str) -> Result<String> {
    let mut chars = escape.chars();
    let escape = (chars.next(), chars.next());
    let out = with_backslashes(pattern.chars(), escape, '\\')?;
    Ok(out.into_iter().collect())
}

/// As [`like_escape`], of bytes.
fn bytes_escape(pattern: &[u8], escape: &[u8]) -> Result<Vec<u8>> {
    let escape = (escape.first().copied(), escape.get(1).copied());
    with_backslashes(pattern.iter().copied(), escape, b'\\')
}

/// `escape`: the character, and one too many.
fn with_backslashes<C: Copy + PartialEq>(
    pattern: impl Iterator<Item = C>,
    escape: (Option<C>, Option<C>),
    backslash: C,
) -> Result<Vec<C>> {
    if escape.1.is_some() {
        return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .hint("Escape string must be empty or one character."));
    }
    if escape.0 == Some(backslash) {
        return Ok(pattern.collect());
    }
    let mut out = Vec::with_capacity(pattern.size_hint().0 + 8);
    let mut after = false;
    for c in pattern {
        if Some(c) == escape.0 && !after {
            out.push(backslash);
            after = true;
            continue;
        }
        if c == backslash && !after {
            out.push(backslash);
        }
        out.push(c);
        after = false;
    }
    Ok(out)
}

fn bytes(vector: &Vector, row: usize) -> Result<&[u8]> {
    match &vector.data {
        ColumnData::Text(v) | ColumnData::Bytea(v) => Ok(v.get(vector.index(row))),
        _ => Err(mismatch()),
    }
}

/// The column version; `FOLD` ignores case, `NEGATED` inverts, `PADDED` drops the subject's trailing blanks.
fn like_vector<const FOLD: bool, const NEGATED: bool>(
    args: &[Arc<Vector>],
    rows: Rows<'_>,
) -> Result<Vector> {
    if constant_null(args) || rows.is_empty() {
        return Ok(Vector::nulls(BOOL));
    }
    let (subject, pattern) = (column(args, 0)?, column(args, 1)?);
    let nulls = strict_nulls(args, rows.count);
    let mut values = alloc::vec![false; rows.count];
    let folded_pattern;
    let fixed = if pattern.is_constant() {
        folded_pattern = fold::<FOLD>(bytes(pattern, 0)?);
        Some(Pattern::new(&folded_pattern))
    } else {
        None
    };
    for row in rows.iter() {
        if nulls.as_ref().is_some_and(|n| n.get(row)) {
            continue;
        }
        let s = fold::<FOLD>(bytes(subject, row)?);
        let matched = match &fixed {
            Some(p) => p.matches(&s)?,
            None => like(&s, &fold::<FOLD>(bytes(pattern, row)?))?,
        };
        values[row] = matched != NEGATED;
    }
    Ok(Vector { ty: SqlType::new(BOOL), encoding: Encoding::Flat, data: ColumnData::Bool(values), nulls })
}

fn fold<const FOLD: bool>(s: &[u8]) -> Cow<'_, [u8]> {
    match core::str::from_utf8(s) {
        Ok(text) if FOLD => Cow::Owned(Vec::from(lower(text))),
        _ => Cow::Borrowed(s),
    }
}

fn like_row<const FOLD: bool, const NEGATED: bool>(args: &[Value]) -> Result<Value> {
    let (s, pattern): (&str, &str) = crate::kernel::two(args)?;
    let matched = like(&fold::<FOLD>(s.as_bytes()), &fold::<FOLD>(pattern.as_bytes()))?;
    Ok(Value::Bool(matched != NEGATED))
}

macro_rules! like {
    ($fold:literal, $negated:literal) => {
        Implementation::Vector(
            |_, args, rows| like_vector::<$fold, $negated>(args, rows),
            |_, args| like_row::<$fold, $negated>(args),
        )
    };
}

/// Rows. LIKE on char(n) sees the padding; ILIKE does as well.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(850, "textlike", &[TEXT, TEXT], BOOL).imp(like!(false, false)),
    def(851, "textnlike", &[TEXT, TEXT], BOOL).imp(like!(false, true)),
    def(1631, "bpcharlike", &[BPCHAR, TEXT], BOOL).imp(like!(false, false)),
    def(1632, "bpcharnlike", &[BPCHAR, TEXT], BOOL).imp(like!(false, true)),
    def(858, "namelike", &[NAME, TEXT], BOOL).imp(like!(false, false)),
    def(859, "namenlike", &[NAME, TEXT], BOOL).imp(like!(false, true)),
    def(1633, "texticlike", &[TEXT, TEXT], BOOL).imp(like!(true, false)),
    def(1634, "texticnlike", &[TEXT, TEXT], BOOL).imp(like!(true, true)),
    def(1660, "bpchariclike", &[BPCHAR, TEXT], BOOL).imp(like!(true, false)),
    def(1661, "bpcharicnlike", &[BPCHAR, TEXT], BOOL).imp(like!(true, true)),
    def(1635, "nameiclike", &[NAME, TEXT], BOOL).imp(like!(true, false)),
    def(1636, "nameicnlike", &[NAME, TEXT], BOOL).imp(like!(true, true)),
    def(1569, "like", &[TEXT, TEXT], BOOL).imp(like!(false, false)),
    def(1570, "notlike", &[TEXT, TEXT], BOOL).imp(like!(false, true)),
    def(1571, "like", &[NAME, TEXT], BOOL).imp(like!(false, false)),
    def(1572, "notlike", &[NAME, TEXT], BOOL).imp(like!(false, true)),
    def(2005, "bytealike", &[BYTEA, BYTEA], BOOL).imp(row!(|s: &[u8], pattern: &[u8]| like(s, pattern))),
    def(2006, "byteanlike", &[BYTEA, BYTEA], BOOL).imp(row!(|s: &[u8], pattern: &[u8]| !like(s, pattern)?)),
    def(2007, "like", &[BYTEA, BYTEA], BOOL).imp(row!(|s: &[u8], pattern: &[u8]| like(s, pattern))),
    def(2008, "notlike", &[BYTEA, BYTEA], BOOL).imp(row!(|s: &[u8], pattern: &[u8]| !like(s, pattern)?)),
    def(1637, "like_escape", &[TEXT, TEXT], TEXT)
        .imp(row!(|pattern: &str, escape: &str| like_escape(pattern, escape))),
    def(2009, "like_escape", &[BYTEA, BYTEA], BYTEA)
        .imp(row!(|pattern: &[u8], escape: &[u8]| bytes_escape(pattern, escape))),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn m(s: &str, p: &str) -> bool {
        like(s.as_bytes(), p.as_bytes()).expect("valid pattern")
    }

    /// The definition, by recursion.
    fn slow(s: &[char], p: &[char]) -> bool {
        match p {
            [] => s.is_empty(),
            ['%', rest @ ..] => (0..=s.len()).any(|i| slow(&s[i..], rest)),
            ['_', rest @ ..] => !s.is_empty() && slow(&s[1..], rest),
            [c, rest @ ..] => s.first() == Some(c) && slow(&s[1..], rest),
        }
    }

    #[test]
    fn wildcards() {
        assert!(m("héllo", "h_llo"));
        assert!(!m("hllo", "h_llo"));
        assert!(m("50%", "50\\%"));
        assert!(!m("500", "50\\%"));
        assert!(like(b"ab", b"a\\").is_err());
        assert_eq!(like_escape("a#%b\\", "#").expect("valid"), "a\\%b\\\\");
    }

    proptest! {
        #[test]
        fn agrees_with_definition(s in "[abé]{0,8}", p in "[abé%_]{0,6}") {
            let (sc, pc): (Vec<char>, Vec<char>) = (s.chars().collect(), p.chars().collect());
            prop_assert_eq!(m(&s, &p), slow(&sc, &pc));
            prop_assert_eq!(Pattern::new(p.as_bytes()).matches(s.as_bytes()).expect("valid"), slow(&sc, &pc));
        }
    }
}

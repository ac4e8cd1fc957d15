//! SIMILAR TO: its patterns written as regular expressions.

use alloc::{string::String, vec::Vec};

use pg_types::{Result, SqlError, SqlState, oid::*};

use crate::{call::row, def::Function, table::def};

/// The regular expression for a SIMILAR TO pattern. `escape` `None` means a backslash, empty means none.
pub(crate) fn to_regex(pattern: &str, escape: Option<&str>) -> Result<String> {
    let mut chars = escape.unwrap_or("\\").chars();
    let escape = match (chars.next(), chars.next()) {
        (None, _) => None,
        (Some(c), None) => Some(c),
        _ => {
            return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                .hint("Escape string must be empty or one character."));
        }
    };
    let mut out = String::with_capacity(pattern.len() + 16);
    out.push_str("^(?:");
    let (mut escaped, mut in_class, mut class_start) = (false, false, false);
    for c in pattern.chars() {
        let starts_class = core::mem::take(&mut class_start);
        if escaped {
            if c == '"' && !in_class {
                return Err(SqlError::unsupported(
                    "SUBSTRING ... SIMILAR with escape-double-quote separators",
                ));
            }
            out.push('\\');
            out.push(c);
            escaped = false;
        } else if Some(c) == escape {
            escaped = true;
        } else if in_class {
            match c {
                '\\' => out.push_str("\\\\"),
                _ => out.push(c),
            }
            if c == '^' && starts_class {
                class_start = true;
            } else if c == ']' && !starts_class {
                in_class = false;
            }
        } else {
            match c {
                '[' => {
                    out.push('[');
                    (in_class, class_start) = (true, true);
                }
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(c);
                }
                _ => out.push(c),
            }
        }
    }
    out.push_str(")$");
    Ok(out)
}

/// A pattern for SUBSTRING cut at its two separators, an escape character and a double quote; `None`: it has none.
pub(crate) fn parts<'p>(pattern: &'p str, escape: &str) -> Result<Option<[&'p str; 3]>> {
    let Some(escape) = escape.chars().next() else { return Ok(None) };
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    let mut chars = pattern.char_indices();
    while let Some((at, c)) = chars.next() {
        if c != escape {
            continue;
        }
        if let Some((quote, '"')) = chars.next() {
            cuts.push((at, quote + 1));
        }
    }
    match cuts.as_slice() {
        [] => Ok(None),
        [(a, b), (c, d)] => {
            let part = |from: usize, to: usize| pattern.get(from..to).unwrap_or("");
            Ok(Some([part(0, *a), part(*b, *c), part(*d, pattern.len())]))
        }
        [_] => Err(SqlError::unsupported("SUBSTRING ... SIMILAR with one separator")),
        _ => {
            let text = "SQL regular expression may not contain more than two escape-double-quote separators";
            Err(SqlError::new(SqlState::INVALID_USE_OF_ESCAPE_CHARACTER, text))
        }
    }
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(1987, "similar_to_escape", &[TEXT], TEXT).imp(row!(|pattern: &str| to_regex(pattern, None))),
    def(1986, "similar_to_escape", &[TEXT, TEXT], TEXT)
        .imp(row!(|pattern: &str, escape: &str| to_regex(pattern, Some(escape)))),
    def(1623, "similar_escape", &[TEXT, TEXT], TEXT).nullable().imp(row!(
        |pattern: Option<&str>, escape: Option<&str>| match pattern {
            None => None,
            Some(p) => Some(to_regex(p, escape)?),
        }
    )),
];

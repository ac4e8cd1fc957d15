//! Arrays as text.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use super::is_space;
use crate::{
    error::{Result, SqlError, SqlState},
    format::FormatSettings,
    oid::{self, SqlType},
    typeinfo,
    value::{ArrayValue, Value},
};

/// Most dimensions.
pub(super) const MAX_DIMENSIONS: usize = 6;
/// Most elements.
pub(super) const MAX_ELEMENTS: usize = 134_217_727;

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    element: SqlType,
    delimiter: char,
    settings: &'a FormatSettings,
    values: Vec<Value>,
    /// What is wrong with the first element that is no value: told when the braces are right.
    failed: Option<SqlError>,
    /// Length of each dimension, as the first sub-array of each shows it.
    lengths: Vec<usize>,
}

pub(super) fn parse(ty: SqlType, text: &str, settings: &FormatSettings) -> Result<Value> {
    let element = typeinfo::element_of(ty.oid);
    let delimiter = typeinfo::get(element).map_or(',', |t| t.delimiter as char);
    let mut p = Parser {
        text,
        rest: text,
        element: SqlType::with_typmod(element, ty.typmod),
        delimiter,
        settings,
        values: Vec::new(),
        failed: None,
        lengths: Vec::new(),
    };
    let bounds = p.bounds()?;
    if !p.rest.starts_with('{') {
        return Err(p.malformed(if bounds.is_empty() {
            "Array value must start with \"{\" or dimension information."
        } else {
            "Array contents must start with \"{\"."
        }));
    }
    p.braces(0)?;
    if !p.rest.trim_start_matches(is_space).is_empty() {
        return Err(p.malformed("Junk after closing right brace."));
    }
    let mut dims: Vec<(i32, i32)> = p.lengths.iter().map(|n| (*n as i32, 1)).collect();
    if p.values.is_empty() {
        dims.clear();
    }
    if !bounds.is_empty() {
        if bounds.len() != dims.len() || bounds.iter().zip(&dims).any(|(b, d)| b.0 != d.0) {
            return Err(p.malformed("Specified array dimensions do not match array contents."));
        }
        dims = bounds;
    }
    if let Some(e) = p.failed {
        return Err(e);
    }
    Ok(Value::Array(Arc::new(ArrayValue { element, dims, values: p.values })))
}

impl Parser<'_> {
    #[cold]
    fn malformed(&self, detail: &str) -> SqlError {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("malformed array literal: \"{}\"", self.text),
        )
        .detail(detail)
    }
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }
    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
    fn number(&mut self) -> Result<i32> {
        let signed = self.rest.strip_prefix(['-', '+']).unwrap_or(self.rest);
        let digits = signed.len() - signed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = self.rest.split_at(self.rest.len() - signed.len() + digits);
        self.rest = rest;
        if digits == 0 {
            return Err(self.malformed("Missing array dimension value."));
        }
        number.parse().map_err(|_| {
            SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "array bound is out of integer range")
        })
    }
    /// `[lower:upper][...]=`, as (length, lower bound).
    fn bounds(&mut self) -> Result<Vec<(i32, i32)>> {
        let mut bounds = Vec::new();
        self.skip_space();
        while self.eat('[') {
            if bounds.len() >= MAX_DIMENSIONS {
                return Err(too_many_dimensions(bounds.len() + 1));
            }
            let first = self.number()?;
            let (lower, upper) = if self.eat(':') { (first, self.number()?) } else { (1, first) };
            if !self.eat(']') {
                return Err(self.malformed("Missing \"]\" after array dimensions."));
            }
            if upper < lower {
                return Err(SqlError::new(
                    SqlState::ARRAY_SUBSCRIPT_ERROR,
                    "upper bound cannot be less than lower bound",
                ));
            }
            let len = i64::from(upper) - i64::from(lower) + 1;
            bounds.push((i32::try_from(len).map_err(|_| too_large())?, lower));
            self.skip_space();
        }
        if !bounds.is_empty() {
            if !self.eat('=') {
                return Err(self.malformed("Missing \"=\" after array dimensions."));
            }
            self.skip_space();
        }
        Ok(bounds)
    }
    /// One `{...}` at `depth`.
    fn braces(&mut self, depth: usize) -> Result<()> {
        if depth >= MAX_DIMENSIONS {
            return Err(too_many_dimensions(depth + 1));
        }
        self.eat('{');
        let mut count = 0;
        let first_here = self.lengths.len() <= depth;
        if first_here {
            self.lengths.push(0);
        }
        self.skip_space();
        let empty = depth == 0 && self.eat('}');
        if !empty {
            loop {
                self.skip_space();
                if self.rest.starts_with('{') {
                    if !first_here && self.lengths.len() == depth + 1
                        || first_here && count > 0 && self.lengths.len() == depth + 1
                    {
                        return Err(self.malformed("Unexpected \"{\" character."));
                    }
                    self.braces(depth + 1)?;
                } else {
                    if self.lengths.len() > depth + 1 {
                        return Err(self.malformed("Unexpected array element."));
                    }
                    self.item()?;
                }
                count += 1;
                self.skip_space();
                if self.eat('}') {
                    break;
                }
                if !self.eat(self.delimiter) {
                    return Err(self.unexpected());
                }
            }
        }
        let expected = self.lengths.get_mut(depth);
        match expected {
            Some(len) if first_here => *len = count,
            Some(len) if *len == count => {}
            _ => {
                return Err(
                    self.malformed("Multidimensional arrays must have sub-arrays with matching dimensions.")
                );
            }
        }
        Ok(())
    }
    fn unexpected(&self) -> SqlError {
        match self.rest.chars().next() {
            None => self.malformed("Unexpected end of input."),
            Some('"') => self.malformed("Unexpected array element."),
            Some(c @ ('{' | '}')) => self.malformed(&format!("Unexpected \"{c}\" character.")),
            Some(_) => self.malformed("Unexpected array element."),
        }
    }
    /// One element, quoted or not.
    fn item(&mut self) -> Result<()> {
        let (mut word, mut quoted, mut solid) = (String::new(), false, 0);
        if self.eat('"') {
            quoted = true;
            loop {
                let mut chars = self.rest.chars();
                match chars.next() {
                    Some('"') => {
                        self.rest = chars.as_str();
                        break;
                    }
                    Some('\\') => match chars.next() {
                        Some(c) => word.push(c),
                        None => return Err(self.malformed("Unexpected end of input.")),
                    },
                    Some(c) => word.push(c),
                    None => return Err(self.malformed("Unexpected end of input.")),
                }
                self.rest = chars.as_str();
            }
        } else {
            // Blanks at the end do not count, unless escaped.
            loop {
                let mut chars = self.rest.chars();
                match chars.next() {
                    None => return Err(self.malformed("Unexpected end of input.")),
                    Some('}') => break,
                    Some(c) if c == self.delimiter => break,
                    Some('{' | '"') => return Err(self.unexpected()),
                    Some('\\') => match chars.next() {
                        Some(c) => {
                            word.push(c);
                            solid = word.len();
                            quoted = true;
                        }
                        None => return Err(self.malformed("Unexpected end of input.")),
                    },
                    Some(c) => {
                        word.push(c);
                        if !is_space(c) {
                            solid = word.len();
                        }
                    }
                }
                self.rest = chars.as_str();
            }
            word.truncate(solid);
            if word.is_empty() && !quoted {
                return Err(match self.rest.chars().next() {
                    Some(c) => self.malformed(&format!("Unexpected \"{c}\" character.")),
                    None => self.malformed("Unexpected end of input."),
                });
            }
        }
        if self.values.len() >= MAX_ELEMENTS {
            return Err(too_large());
        }
        let null = self.failed.is_some() || !quoted && word.eq_ignore_ascii_case("null");
        let value = if null { Ok(Value::Null) } else { super::input(self.element, &word, self.settings) };
        self.values.push(value.unwrap_or_else(|e| {
            self.failed = Some(e);
            Value::Null
        }));
        Ok(())
    }
}

#[cold]
pub(super) fn too_many_dimensions(n: usize) -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("number of array dimensions ({n}) exceeds the maximum allowed ({MAX_DIMENSIONS})"),
    )
}

#[cold]
pub(super) fn too_large() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("array size exceeds the maximum allowed ({MAX_ELEMENTS})"),
    )
}

pub(super) fn write(a: &ArrayValue, ty: SqlType, settings: &FormatSettings, out: &mut Vec<u8>) {
    if matches!(ty.oid, oid::INT2VECTOR | oid::OIDVECTOR) {
        for (i, v) in a.values.iter().enumerate() {
            if i > 0 {
                out.push(b' ');
            }
            super::output(v, a.element.into(), settings, out);
        }
        return;
    }
    if a.dims.is_empty() {
        return out.extend_from_slice(b"{}");
    }
    if a.dims.iter().any(|d| d.1 != 1) {
        for (len, lower) in &a.dims {
            let upper = i64::from(*lower) + i64::from(*len) - 1;
            out.extend_from_slice(format!("[{lower}:{upper}]").as_bytes());
        }
        out.push(b'=');
    }
    let delimiter = typeinfo::get(a.element).map_or(b',', |t| t.delimiter);
    let mut values = a.values.iter();
    write_level(&a.dims, &mut values, a.element.into(), delimiter, settings, out);
}

fn write_level<'a>(
    dims: &[(i32, i32)],
    values: &mut impl Iterator<Item = &'a Value>,
    element: SqlType,
    delimiter: u8,
    settings: &FormatSettings,
    out: &mut Vec<u8>,
) {
    let Some(((len, _), inner)) = dims.split_first() else { return };
    out.push(b'{');
    for i in 0..*len {
        if i > 0 {
            out.push(delimiter);
        }
        if !inner.is_empty() {
            write_level(inner, values, element, delimiter, settings, out);
            continue;
        }
        match values.next() {
            None | Some(Value::Null) => out.extend_from_slice(b"NULL"),
            Some(v) => {
                let start = out.len();
                super::output(v, element, settings, out);
                quote(start, delimiter, out);
            }
        }
    }
    out.push(b'}');
}

/// Quotes what was appended since `start`, if it needs it.
fn quote(start: usize, delimiter: u8, out: &mut Vec<u8>) {
    let item = out.get(start..).unwrap_or_default();
    let special = |b: u8| matches!(b, b'"' | b'\\' | b'{' | b'}') || b == delimiter || is_space(b as char);
    let needed = item.is_empty() || item.eq_ignore_ascii_case(b"null") || item.iter().any(|b| special(*b));
    if !needed {
        return;
    }
    let item = out.split_off(start);
    out.push(b'"');
    for b in item {
        if matches!(b, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(b);
    }
    out.push(b'"');
}

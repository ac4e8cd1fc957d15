//! Documents under construction.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::{
    JsonError, Jsonb, MAX_BYTES, MAX_DEPTH, View, binary, number,
    parse::{Span, SpanKind},
};

/// A value that a document is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// null
    Null,
    /// true, false
    Bool(bool),
    /// Canonical decimal text ([`number`]).
    Number(Box<str>),
    /// A string.
    String(Box<str>),
    /// An array.
    Array(Vec<Json>),
    /// Members in any order; of members with one key the last stays.
    Object(Vec<(Box<str>, Json)>),
    /// A value of a finished document, taken over as it is.
    Node(Box<[u8]>),
}

impl Json {
    /// A number from any JSON number.
    pub fn number(text: &str) -> Result<Self, JsonError> {
        number::canonical(text).map(|n| Self::Number(n.into()))
    }
    /// A string.
    pub fn string(text: &str) -> Self {
        Self::String(text.into())
    }
    /// The finished document.
    pub fn finish(&self) -> Result<Jsonb, JsonError> {
        let mut out = Vec::with_capacity(32);
        out.push(binary::VERSION);
        self.put(&mut out, 0)?;
        Ok(Jsonb::of(out))
    }

    fn put(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), JsonError> {
        match self {
            Self::Null => out.push(binary::NULL),
            Self::Bool(false) => out.push(binary::FALSE),
            Self::Bool(true) => out.push(binary::TRUE),
            Self::Number(n) => {
                out.push(binary::NUMBER);
                out.extend_from_slice(n.as_bytes());
            }
            Self::String(s) => {
                check_string(s)?;
                out.push(binary::STRING);
                out.extend_from_slice(s.as_bytes());
            }
            Self::Array(elements) => put_array(elements, out, depth + 1)?,
            Self::Object(members) => put_object(members, out, depth + 1)?,
            Self::Node(bytes) => {
                if depth > 0 && depth + View::new(bytes).depth() > MAX_DEPTH {
                    return Err(JsonError::TooDeep);
                }
                out.extend_from_slice(bytes);
            }
        }
        Ok(())
    }
}

fn check_string(s: &str) -> Result<(), JsonError> {
    if s.len() > MAX_BYTES { Err(JsonError::LongString) } else { Ok(()) }
}

fn set(out: &mut [u8], at: usize, value: usize) {
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&(value as u32).to_le_bytes());
    }
}

fn put_array(elements: &[Json], out: &mut Vec<u8>, depth: usize) -> Result<(), JsonError> {
    if depth > MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    out.push(binary::ARRAY);
    out.extend_from_slice(&(elements.len() as u32).to_le_bytes());
    let ends = out.len();
    out.resize(ends + 4 * elements.len(), 0);
    let first = out.len();
    for (i, element) in elements.iter().enumerate() {
        element.put(out, depth)?;
        let length = out.len() - first;
        if length > MAX_BYTES {
            return Err(JsonError::LargeArray);
        }
        set(out, ends + 4 * i, length);
    }
    Ok(())
}

/// Keys are ordered by length, then bytes.
pub(crate) fn key_order(a: &[u8], b: &[u8]) -> core::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn put_object(members: &[(Box<str>, Json)], out: &mut Vec<u8>, depth: usize) -> Result<(), JsonError> {
    if depth > MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    let mut order: Vec<&(Box<str>, Json)> = members.iter().collect();
    // The sort is stable: of equal keys the last stands last.
    order.sort_by(|a, b| key_order(a.0.as_bytes(), b.0.as_bytes()));
    let mut kept: Vec<&(Box<str>, Json)> = Vec::with_capacity(order.len());
    for member in order {
        match kept.last_mut() {
            Some(last) if last.0 == member.0 => *last = member,
            _ => kept.push(member),
        }
    }
    out.push(binary::OBJECT);
    out.extend_from_slice(&(kept.len() as u32).to_le_bytes());
    let ends = out.len();
    out.resize(ends + 8 * kept.len(), 0);
    let first = out.len();
    for (i, (key, _)) in kept.iter().enumerate() {
        check_string(key)?;
        out.extend_from_slice(key.as_bytes());
        let length = out.len() - first;
        if length > MAX_BYTES {
            return Err(JsonError::LargeObject);
        }
        set(out, ends + 4 * i, length);
    }
    let values = out.len();
    let ends = ends + 4 * kept.len();
    for (i, (_, value)) in kept.iter().enumerate() {
        value.put(out, depth)?;
        if out.len() - first > MAX_BYTES {
            return Err(JsonError::LargeObject);
        }
        let length = out.len() - values;
        set(out, ends + 4 * i, length);
    }
    Ok(())
}

impl Span<'_> {
    /// The value, free of its text.
    pub fn to_json(&self) -> Result<Json, JsonError> {
        Ok(match &self.kind {
            SpanKind::Null => Json::Null,
            SpanKind::Bool(b) => Json::Bool(*b),
            SpanKind::Number => Json::number(self.text)?,
            SpanKind::String(s) => Json::string(s),
            SpanKind::Array(elements) => {
                Json::Array(elements.iter().map(Self::to_json).collect::<Result<_, _>>()?)
            }
            SpanKind::Object(members) => {
                let member =
                    |(k, v): &(alloc::borrow::Cow<'_, str>, Self)| Ok((Box::from(k.as_ref()), v.to_json()?));
                Json::Object(members.iter().map(member).collect::<Result<_, _>>()?)
            }
        })
    }
}

impl From<bool> for Json {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<String> for Json {
    fn from(s: String) -> Self {
        Self::String(s.into())
    }
}

impl From<View<'_>> for Json {
    fn from(v: View<'_>) -> Self {
        Self::Node(v.bytes().into())
    }
}

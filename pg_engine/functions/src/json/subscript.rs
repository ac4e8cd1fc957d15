//! `document[step]...`: what is there, and a document with something else there.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_json::{Json, Jsonb, Kind, View};
use pg_types::{Result, SqlError, SqlState, Value, json};

use super::invalid;

/// Most elements that an assignment makes of nothing.
const MAX_GAP: usize = 1 << 22;

fn integer(step: &str) -> Option<i32> {
    step.trim_start_matches(|c: char| c.is_ascii_whitespace()).parse().ok()
}

/// The value at the end of a path; `None`: there is none.
pub fn document_element(doc: &Jsonb, path: &[String]) -> Option<Jsonb> {
    let mut view = doc.root();
    for step in path {
        view = match view.kind() {
            Kind::Object(_) => view.member(step)?,
            Kind::Array(n) => {
                let index = i64::from(integer(step)?);
                let index = if index < 0 { index + n as i64 } else { index };
                view.element(usize::try_from(index).ok()?)?
            }
            _ => return None,
        };
    }
    Some(Jsonb::copy_of(view))
}

/// A document with the value at the end of a path replaced or put there, arrays and objects on the way to it included. Of no
/// document at all it makes an array if `array` says so, otherwise an object.
///
/// # Errors
/// 22023 when a scalar is on the way or an index is before an array's first element, 22P02 when a step into an array is no
/// index.
pub fn assign_in_document(
    doc: Option<&Jsonb>,
    path: &[String],
    new: Option<&Jsonb>,
    array: bool,
) -> Result<Value> {
    let walk = Walk { path, new: new.map_or(Json::Null, |n| Json::from(n.root())) };
    let changed = match doc {
        Some(doc) => walk.at(doc.root(), 0)?,
        None if array => walk.array(0, core::iter::empty(), 0)?,
        None => walk.object(core::iter::empty(), 0)?,
    };
    changed.finish().map(Value::Jsonb).map_err(json::error)
}

struct Walk<'a> {
    path: &'a [String],
    new: Json,
}

fn add_nulls(elements: &mut Vec<Json>, count: i64) -> Result<()> {
    let count = usize::try_from(count).unwrap_or(0);
    if elements.len() + count > MAX_GAP {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("number of jsonb array elements exceeds the maximum allowed ({MAX_GAP})"),
        ));
    }
    elements.extend((0..count).map(|_| Json::Null));
    Ok(())
}

impl Walk<'_> {
    fn at(&self, view: View<'_>, level: usize) -> Result<Json> {
        match view.kind() {
            Kind::Object(_) => self.object(view.members(), level),
            Kind::Array(n) => self.array(n, view.elements(), level),
            _ => Err(invalid("cannot replace existing key")
                .detail("The path assumes key is a composite object, but it is a scalar value.")),
        }
    }

    /// What replaces the value that the step at `level` leads to.
    fn replaced(&self, old: View<'_>, level: usize) -> Result<Json> {
        if level + 1 == self.path.len() { Ok(self.new.clone()) } else { self.at(old, level + 1) }
    }

    /// What comes where the step at `level` leads to nothing.
    fn made(&self, level: usize) -> Result<Json> {
        let mut value = self.new.clone();
        for step in self.path.iter().skip(level + 1).rev() {
            value = match integer(step) {
                Some(index) => {
                    let mut elements = Vec::new();
                    add_nulls(&mut elements, i64::from(index))?;
                    elements.push(value);
                    Json::Array(elements)
                }
                None => Json::Object(Vec::from([(step.as_str().into(), value)])),
            };
        }
        Ok(value)
    }

    fn object<'v>(&self, members: impl Iterator<Item = (&'v str, View<'v>)>, level: usize) -> Result<Json> {
        let Some(step) = self.path.get(level) else { return Ok(self.new.clone()) };
        let mut all: Vec<(Box<str>, Json)> = Vec::new();
        let mut found = false;
        for (key, value) in members {
            let here = key == step;
            found |= here;
            all.push((key.into(), if here { self.replaced(value, level)? } else { value.into() }));
        }
        if !found {
            all.push((step.as_str().into(), self.made(level)?));
        }
        Ok(Json::Object(all))
    }

    fn array<'v>(
        &self,
        count: usize,
        elements: impl Iterator<Item = View<'v>>,
        level: usize,
    ) -> Result<Json> {
        let Some(step) = self.path.get(level) else { return Ok(self.new.clone()) };
        let index = integer(step).ok_or_else(|| {
            let text = format!("path element at position {} is not an integer: \"{step}\"", level + 1);
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, text)
        })?;
        let count = count as i64;
        let at = if index < 0 { i64::from(index) + count } else { i64::from(index) };
        if at < 0 {
            let text = format!("path element at position {} is out of range: {index}", level + 1);
            return Err(invalid(text));
        }
        let mut all = Vec::new();
        for (n, value) in elements.enumerate() {
            all.push(if n as i64 == at { self.replaced(value, level)? } else { value.into() });
        }
        if at >= count {
            add_nulls(&mut all, at - count)?;
            all.push(self.made(level)?);
        }
        Ok(Json::Array(all))
    }
}

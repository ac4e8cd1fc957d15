//! Documents made from others.

use alloc::{format, vec::Vec};

use pg_json::{Json, Jsonb, Kind, View};
use pg_types::{
    Result, SqlError, SqlState, Value,
    oid::{BOOL, INT4, JSONB, TEXT, TEXT_ARRAY},
    value::ArrayValue,
};

use super::{invalid, position, texts};
use crate::{
    call::{Ret, row},
    def::Function,
    table::def,
};

/// What is done at a path's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Set, also what is not there.
    Create,
    /// Set what is there.
    Replace,
    Delete,
    InsertBefore,
    InsertAfter,
}

impl Change {
    fn creates(self) -> bool {
        matches!(self, Self::Create | Self::InsertBefore | Self::InsertAfter)
    }
    fn inserts(self) -> bool {
        matches!(self, Self::InsertBefore | Self::InsertAfter)
    }
}

/// A path walked in one document.
struct Walk<'a> {
    path: Vec<Option<&'a str>>,
    change: Change,
    new: Json,
}

impl Walk<'_> {
    fn at(&self, view: View<'_>, level: usize) -> Result<Json> {
        let step = self.path.get(level).copied();
        match (view.kind(), step) {
            (_, Some(None)) => Err(SqlError::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                format!("path element at position {} is null", level + 1),
            )),
            (Kind::Object(_), Some(Some(step))) => self.object(view, step, level),
            (Kind::Array(n), Some(Some(step))) => self.array(view, n, step, level),
            _ => Ok(view.into()),
        }
    }

    fn last(&self, level: usize) -> bool {
        level + 1 == self.path.len()
    }

    fn object(&self, view: View<'_>, step: &str, level: usize) -> Result<Json> {
        let mut members = Vec::with_capacity(view.len() + 1);
        let mut found = false;
        for (key, value) in view.members() {
            if key != step {
                members.push((key.into(), value.into()));
                continue;
            }
            found = true;
            if !self.last(level) {
                members.push((key.into(), self.at(value, level + 1)?));
            } else if self.change.inserts() {
                return Err(invalid("cannot replace existing key")
                    .hint("Try using the function jsonb_set to replace key value."));
            } else if self.change != Change::Delete {
                members.push((key.into(), self.new.clone()));
            }
        }
        if !found && self.last(level) && self.change.creates() {
            members.push((step.into(), self.new.clone()));
        }
        Ok(Json::Object(members))
    }

    fn array(&self, view: View<'_>, n: usize, step: &str, level: usize) -> Result<Json> {
        let index = step.trim_start_matches(|c: char| c.is_ascii_whitespace()).parse::<i32>();
        let index = index.map_err(|_| {
            SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("path element at position {} is not an integer: \"{step}\"", level + 1),
            )
        })?;
        // Before the first: nothing, or a new first element.
        let at = if index < 0 { i64::from(index) + n as i64 } else { i64::from(index).min(n as i64) };
        let last = self.last(level);
        let mut elements = Vec::with_capacity(n + 1);
        let mut done = false;
        if (at < 0 || n == 0) && last && self.change.creates() {
            elements.push(self.new.clone());
            done = true;
        }
        for (i, value) in view.elements().enumerate() {
            if i as i64 != at {
                elements.push(value.into());
                continue;
            }
            done = true;
            if !last {
                elements.push(self.at(value, level + 1)?);
                continue;
            }
            if matches!(self.change, Change::InsertBefore | Change::Create) {
                elements.push(self.new.clone());
            }
            if self.change.inserts() {
                elements.push(value.into());
            }
            if matches!(self.change, Change::InsertAfter | Change::Replace) {
                elements.push(self.new.clone());
            }
        }
        if !done && last && self.change.creates() {
            elements.push(self.new.clone());
        }
        Ok(Json::Array(elements))
    }
}

fn walk(doc: &Jsonb, path: &ArrayValue, change: Change, new: Json) -> Result<Value> {
    if path.dims.len() > 1 {
        return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts"));
    }
    let root = doc.root();
    if root.is_scalar() {
        let what = if change == Change::Delete {
            "cannot delete path in scalar"
        } else {
            "cannot set path in scalar"
        };
        return Err(invalid(what));
    }
    if path.values.is_empty() || (root.is_empty() && !change.creates()) {
        return doc.clone().ret();
    }
    Walk { path: texts(path)?, change, new }.at(root, 0)?.ret()
}

fn set(doc: &Jsonb, path: &ArrayValue, new: &Jsonb, create: bool) -> Result<Value> {
    walk(doc, path, if create { Change::Create } else { Change::Replace }, new.root().into())
}

fn insert(doc: &Jsonb, path: &ArrayValue, new: &Jsonb, after: bool) -> Result<Value> {
    walk(doc, path, if after { Change::InsertAfter } else { Change::InsertBefore }, new.root().into())
}

fn set_lax(
    doc: Option<&Jsonb>,
    path: Option<&ArrayValue>,
    new: Option<&Jsonb>,
    create: Option<bool>,
    treatment: Option<&str>,
) -> Result<Value> {
    let (Some(doc), Some(path), Some(create)) = (doc, path, create) else { return Ok(Value::Null) };
    let unknown = || {
        invalid(
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        )
    };
    let treatment = treatment.ok_or_else(unknown)?;
    if let Some(new) = new {
        return set(doc, path, new, create);
    }
    match treatment {
        "raise_exception" => {
            Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "JSON value must not be null")
                .detail("Exception was raised because null_value_treatment is \"raise_exception\".")
                .hint(
                    "To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.",
                ))
        }
        "use_json_null" => walk(doc, path, if create { Change::Create } else { Change::Replace }, Json::Null),
        "delete_key" => walk(doc, path, Change::Delete, Json::Null),
        "return_target" => doc.clone().ret(),
        _ => Err(unknown()),
    }
}

/// As elements: an array's own, anything else as the only one.
fn as_elements(view: View<'_>) -> Vec<Json> {
    if view.is_array() { view.elements().map(Json::from).collect() } else { alloc::vec![view.into()] }
}

fn concat(a: &Jsonb, b: &Jsonb) -> Json {
    let (a, b) = (a.root(), b.root());
    if a.is_object() && b.is_object() {
        let all = a.members().chain(b.members());
        return Json::Object(all.map(|(k, v)| (k.into(), v.into())).collect());
    }
    let mut all = as_elements(a);
    all.append(&mut as_elements(b));
    Json::Array(all)
}

fn deletable(doc: &Jsonb) -> Result<View<'_>> {
    if doc.root().is_scalar() { Err(invalid("cannot delete from scalar")) } else { Ok(doc.root()) }
}

/// Without the members, or the string elements, of these names.
fn delete(doc: &Jsonb, gone: &[&str]) -> Result<Json> {
    let root = deletable(doc)?;
    Ok(if root.is_object() {
        let kept = root.members().filter(|(k, _)| !gone.contains(k));
        Json::Object(kept.map(|(k, v)| (k.into(), v.into())).collect())
    } else {
        let named = |v: &View<'_>| matches!(v.kind(), Kind::String(s) if gone.contains(&s));
        Json::Array(root.elements().filter(|v| !named(v)).map(Json::from).collect())
    })
}

fn delete_at(doc: &Jsonb, index: i32) -> Result<Json> {
    let root = deletable(doc)?;
    if root.is_object() {
        return Err(invalid("cannot delete from object using integer index"));
    }
    let gone = position(index.into(), root.len());
    let kept = root.elements().enumerate().filter(|(i, _)| Some(*i) != gone);
    Ok(Json::Array(kept.map(|(_, v)| v.into()).collect()))
}

fn delete_all(doc: &Jsonb, keys: &ArrayValue) -> Result<Json> {
    if keys.dims.len() > 1 {
        return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts"));
    }
    let gone: Vec<&str> = texts(keys)?.into_iter().flatten().collect();
    delete(doc, &gone)
}

/// Rows.
pub(super) static FUNCTIONS: &[Function] = &[
    def(3301, "jsonb_concat", &[JSONB, JSONB], JSONB).imp(row!(|a: &Jsonb, b: &Jsonb| concat(a, b))),
    def(3302, "jsonb_delete", &[JSONB, TEXT], JSONB).imp(row!(|d: &Jsonb, key: &str| delete(d, &[key]))),
    def(3303, "jsonb_delete", &[JSONB, INT4], JSONB).imp(row!(|d: &Jsonb, i: i32| delete_at(d, i))),
    def(3343, "jsonb_delete", &[JSONB, TEXT_ARRAY], JSONB)
        .variadic(TEXT)
        .imp(row!(|d: &Jsonb, keys: &ArrayValue| delete_all(d, keys))),
    def(3304, "jsonb_delete_path", &[JSONB, TEXT_ARRAY], JSONB)
        .imp(row!(|d: &Jsonb, path: &ArrayValue| walk(d, path, Change::Delete, Json::Null))),
    def(3305, "jsonb_set", &[JSONB, TEXT_ARRAY, JSONB, BOOL], JSONB)
        .defaults(&[|| Value::Bool(true)])
        .imp(row!(|d: &Jsonb, path: &ArrayValue, new: &Jsonb, create: bool| set(d, path, new, create))),
    def(5054, "jsonb_set_lax", &[JSONB, TEXT_ARRAY, JSONB, BOOL, TEXT], JSONB)
        .nullable()
        .defaults(&[|| Value::Bool(true), || Value::text("use_json_null")])
        .imp(row!(|d: Option<&Jsonb>,
                   path: Option<&ArrayValue>,
                   new: Option<&Jsonb>,
                   create: Option<bool>,
                   treatment: Option<&str>| set_lax(d, path, new, create, treatment))),
    def(3579, "jsonb_insert", &[JSONB, TEXT_ARRAY, JSONB, BOOL], JSONB)
        .defaults(&[|| Value::Bool(false)])
        .imp(row!(|d: &Jsonb, path: &ArrayValue, new: &Jsonb, after: bool| insert(d, path, new, after))),
];

//! Documents as rows: `json_populate_record` and its like.
//!
//! A call carries one more argument than its declaration has: the row's *shape*, a record of the fields' names and types whose
//! values are the types' modifiers; false where only the base value tells. Constraints of domains are not checked here: the
//! values are of the base types, and the binder checks what comes out.

use alloc::{borrow::Cow, boxed::Box, format, string::String, sync::Arc, vec::Vec};

use pg_json::{Jsonb, Kind, Span, SpanKind, View};
use pg_types::{
    Batch, Oid, Result, SqlError, SqlState, SqlType, Value, io, json,
    oid::{self, ANYELEMENT, BOOL, JSON, JSONB, RECORD},
    typeinfo, user,
    value::{ArrayValue, Names, RecordValue},
    vector::BATCH_ROWS,
};

use super::invalid;
use crate::{
    call::mismatch,
    def::{EvalContext, Function, Implementation, SetReturning},
    table::def,
};

/// Most dimensions of an array.
const MAX_DIMENSIONS: usize = 6;

/// A value inside a document of either kind.
#[derive(Clone, Copy)]
enum Doc<'a> {
    Json(&'a Span<'a>),
    Jsonb(View<'a>),
}

impl<'a> Doc<'a> {
    fn is_null(self) -> bool {
        match self {
            Self::Json(s) => s.kind == SpanKind::Null,
            Self::Jsonb(v) => matches!(v.kind(), Kind::Null),
        }
    }
    fn is_string(self) -> bool {
        match self {
            Self::Json(s) => matches!(s.kind, SpanKind::String(_)),
            Self::Jsonb(v) => matches!(v.kind(), Kind::String(_)),
        }
    }
    fn is_object(self) -> bool {
        match self {
            Self::Json(s) => matches!(s.kind, SpanKind::Object(_)),
            Self::Jsonb(v) => v.is_object(),
        }
    }
    /// The elements of an array.
    fn elements(self) -> Option<Vec<Self>> {
        match self {
            Self::Json(Span { kind: SpanKind::Array(list), .. }) => {
                Some(list.iter().map(Doc::Json).collect())
            }
            Self::Jsonb(v) if v.is_array() => Some(v.elements().map(Doc::Jsonb).collect()),
            _ => None,
        }
    }
    fn member(self, key: &str) -> Option<Self> {
        match self {
            Self::Json(s) => s.member(key).map(Doc::Json),
            Self::Jsonb(v) => v.member(key).map(Doc::Jsonb),
        }
    }
    fn has_members(self) -> bool {
        match self {
            Self::Json(s) => matches!(&s.kind, SpanKind::Object(m) if !m.is_empty()),
            Self::Jsonb(v) => v.is_object() && !v.is_empty(),
        }
    }
    /// As a document's text.
    fn document(self) -> Cow<'a, str> {
        match self {
            Self::Json(s) => Cow::Borrowed(s.text),
            Self::Jsonb(v) => {
                let mut out = String::new();
                v.write(&mut out);
                Cow::Owned(out)
            }
        }
    }
    /// As text that a type's input reads: strings without quotes.
    fn text(self) -> Cow<'a, str> {
        match self {
            Self::Json(s) => match s.as_text() {
                Some(text) => Cow::Borrowed(text),
                None => Cow::Borrowed(s.text),
            },
            Self::Jsonb(v) => match v.kind() {
                Kind::String(text) => Cow::Borrowed(text),
                _ => self.document(),
            },
        }
    }
}

/// Names and types of a row's fields.
struct Shape {
    names: Vec<Box<str>>,
    types: Vec<SqlType>,
}

impl Shape {
    fn oids(&self) -> Vec<Oid> {
        self.types.iter().map(|t| t.oid).collect()
    }
    fn of_type(ctx: &EvalContext<'_>, ty: Oid) -> Result<Self> {
        let described = ctx.host.format().types.get(ty)?;
        let fields = described.fields();
        Ok(Self {
            names: fields.iter().map(|f| f.name.as_str().into()).collect(),
            types: fields.iter().map(|f| f.plain).collect(),
        })
    }
    /// Of what stands in the hidden argument.
    fn of_argument(shape: &RecordValue) -> Self {
        let typmod = |v: &Value| if let Value::Int4(n) = v { *n } else { -1 };
        let types = shape.types.iter().zip(&shape.values);
        Self {
            names: shape.names.as_ref().map_or_else(Vec::new, |n| n.to_vec()),
            types: types.map(|(t, v)| SqlType::with_typmod(*t, typmod(v))).collect(),
        }
    }
    /// Of a row without a type of its own.
    fn of_value(row: &RecordValue) -> Self {
        let name = |i: usize| -> Box<str> {
            match row.names.as_ref().and_then(|n| n.get(i)) {
                Some(name) => name.clone(),
                None => format!("f{}", i + 1).into(),
            }
        };
        Self {
            names: (0..row.types.len()).map(name).collect(),
            types: row.types.iter().map(|t| SqlType::new(*t)).collect(),
        }
    }
}

/// A field's value. `name`: the key that holds it, for hints.
fn field(ctx: &EvalContext<'_>, name: Option<&str>, ty: SqlType, doc: Doc<'_>) -> Result<Value> {
    if doc.is_null() {
        return Ok(Value::Null);
    }
    // Arrays and rows may stand in strings as SQL writes them.
    if !doc.is_string() {
        if typeinfo::get(ty.oid).is_some_and(|t| t.is_array()) {
            return array(ctx, name, ty, doc);
        }
        if user::is_composite(ty.oid) {
            return composite(ctx, ty.oid, doc);
        }
    }
    let text = match ty.oid {
        JSON | JSONB => doc.document(),
        _ => doc.text(),
    };
    if let Some(value) = ctx.host.catalog_value(&text, ty)? {
        return Ok(value);
    }
    io::input(ty, &text, ctx.host.format())
}

fn composite(ctx: &EvalContext<'_>, ty: Oid, doc: Doc<'_>) -> Result<Value> {
    let shape = Shape::of_type(ctx, ty)?;
    row(ctx, &shape, None, None, doc)
}

/// A row of a document's members; those that it lacks are the base's.
fn row(
    ctx: &EvalContext<'_>,
    shape: &Shape,
    names: Names,
    base: Option<&RecordValue>,
    doc: Doc<'_>,
) -> Result<Value> {
    if !doc.is_object() {
        let what = if doc.elements().is_some() { "an array" } else { "a scalar" };
        return Err(invalid(format!("cannot call populate_composite on {what}")));
    }
    if let Some(base) = base
        && !doc.has_members()
    {
        return Ok(Value::Record(Arc::new(base.clone())));
    }
    let mut values = Vec::with_capacity(shape.types.len());
    for (i, (name, ty)) in shape.names.iter().zip(&shape.types).enumerate() {
        values.push(match doc.member(name) {
            Some(value) => field(ctx, Some(name), *ty, value)?,
            None => base.and_then(|b| b.values.get(i).cloned()).unwrap_or(Value::Null),
        });
    }
    let names = names.or_else(|| Some(shape.names.clone().into()));
    Ok(Value::Record(Arc::new(RecordValue { types: shape.oids(), values, names })))
}

/// An array under construction.
struct Building<'n> {
    name: Option<&'n str>,
    element: SqlType,
    /// Lengths of the dimensions, as many as the first element lies deep; -1: not known yet.
    dims: Vec<i32>,
    /// Elements so far in each dimension that is open.
    sizes: Vec<i32>,
    values: Vec<Value>,
}

impl Building<'_> {
    #[cold]
    fn expected_array(&self, depth: usize) -> SqlError {
        let error = SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected JSON array");
        let at: String = self.sizes.iter().take(depth).map(|n| format!("[{n}]")).collect();
        match (self.name, depth) {
            (Some(name), 0) => error.hint(format!("See the value of key \"{name}\".")),
            (None, 0) => error,
            (Some(name), _) => error.hint(format!("See the array element {at} of key \"{name}\".")),
            (None, _) => error.hint(format!("See the array element {at}.")),
        }
    }
    fn know_dimensions(&mut self, count: usize) -> Result<()> {
        if count == 0 {
            return Err(self.expected_array(0));
        }
        if count > MAX_DIMENSIONS {
            let text = format!(
                "number of array dimensions ({count}) exceeds the maximum allowed ({MAX_DIMENSIONS})"
            );
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text));
        }
        self.dims = alloc::vec![-1; count];
        self.sizes.resize(count, 0);
        Ok(())
    }
    fn count(&mut self, depth: usize) {
        if let Some(size) = depth.checked_sub(1).and_then(|d| self.sizes.get_mut(d)) {
            *size += 1;
        }
    }
    /// An array ends at this depth.
    fn close(&mut self, depth: usize) -> Result<()> {
        let (Some(dim), Some(size)) = (self.dims.get_mut(depth), self.sizes.get_mut(depth)) else {
            return Ok(());
        };
        if *dim < 0 {
            *dim = *size;
        } else if *dim != *size {
            return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "malformed JSON array")
                .detail("Multidimensional arrays must have sub-arrays with matching dimensions."));
        }
        *size = 0;
        self.count(depth);
        Ok(())
    }
    /// A value at a depth: an array to go into, or an element. Documents bound the depth.
    fn take(&mut self, ctx: &EvalContext<'_>, depth: usize, doc: Doc<'_>) -> Result<()> {
        let known = !self.dims.is_empty();
        if !known || depth < self.dims.len() {
            if let Some(elements) = doc.elements() {
                if self.sizes.len() <= depth {
                    self.sizes.push(0);
                }
                for element in elements {
                    self.take(ctx, depth + 1, element)?;
                }
                if self.dims.is_empty() {
                    self.know_dimensions(depth + 1)?;
                }
                return self.close(depth);
            }
            if known {
                return Err(self.expected_array(depth));
            }
            self.know_dimensions(depth)?;
        }
        let value = field(ctx, None, self.element, doc)?;
        self.values.push(value);
        self.count(depth);
        Ok(())
    }
}

fn array(ctx: &EvalContext<'_>, name: Option<&str>, ty: SqlType, doc: Doc<'_>) -> Result<Value> {
    let element = SqlType::with_typmod(typeinfo::element_of(ty.oid), ty.typmod);
    let mut building = Building { name, element, dims: Vec::new(), sizes: Vec::new(), values: Vec::new() };
    building.take(ctx, 0, doc)?;
    let Building { dims, values, .. } = building;
    let dims = if values.is_empty() { Vec::new() } else { dims.into_iter().map(|n| (n, 1)).collect() };
    Ok(Value::Array(Arc::new(ArrayValue { element: element.oid, dims, values })))
}

/// What a call gets: the base row, the document, the shape.
struct Given<'a> {
    base: Option<&'a RecordValue>,
    doc: &'a Value,
    shape: Option<Shape>,
    /// The row's type is that of the base.
    own: bool,
}

fn given<const BASE: bool>(args: &[Value]) -> Result<Given<'_>> {
    let Some((shape, args)) = args.split_last() else { return Err(mismatch()) };
    let (base, doc) = match args {
        [base, doc, ..] if BASE => (Some(base), doc),
        [doc] if !BASE => (None, doc),
        _ => return Err(mismatch()),
    };
    let base = match base {
        Some(Value::Record(row)) => Some(&**row),
        _ => None,
    };
    let shape = match shape {
        Value::Record(shape) => Some(Shape::of_argument(shape)),
        _ => None,
    };
    Ok(Given { base, doc, own: shape.is_none(), shape })
}

impl Given<'_> {
    /// The shape of the result.
    fn shape(&mut self, ctx: &EvalContext<'_>, name: &str) -> Result<Shape> {
        let said = self.shape.take();
        match (said, self.base) {
            (Some(said), Some(base)) => {
                agree(ctx, base, &said)?;
                Ok(said)
            }
            (Some(said), None) => Ok(said),
            (None, Some(base)) => Ok(Shape::of_value(base)),
            (None, None) => {
                let hint = "Provide a non-null record argument, or call the function in the FROM clause using a column definition list.";
                let text = format!("could not determine row type for result of {name}");
                Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).hint(hint))
            }
        }
    }
    fn names(&self) -> Names {
        if self.own { self.base.and_then(|b| b.names.clone()) } else { None }
    }
}

/// 42804 unless a base row is of the shape that the statement says.
fn agree(ctx: &EvalContext<'_>, base: &RecordValue, said: &Shape) -> Result<()> {
    let wrong = |detail: String| {
        let text = "function return row and query-specified return row do not match";
        Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text).detail(detail))
    };
    let (has, wants) = (base.types.len(), said.types.len());
    if has != wants {
        let plural = if has == 1 { "" } else { "s" };
        return wrong(format!("Returned row contains {has} attribute{plural}, but query expects {wants}."));
    }
    for (n, (has, wants)) in base.types.iter().zip(&said.types).enumerate() {
        if *has != wants.oid {
            let show = |ty: Oid| -> Result<String> {
                let shown = ctx.host.catalog_text(&Value::Oid(ty), oid::REGTYPE)?;
                Ok(shown.unwrap_or_else(|| format!("{ty}")))
            };
            let (has, wants) = (show(*has)?, show(wants.oid)?);
            return wrong(format!(
                "Returned type {has} at ordinal position {}, but query expects {wants}.",
                n + 1
            ));
        }
    }
    Ok(())
}

/// Calls `f` with the document's root.
fn with_root<T>(doc: &Value, f: impl FnOnce(Doc<'_>) -> Result<T>) -> Result<T> {
    match doc {
        Value::Text(text) => f(Doc::Json(&pg_json::parse(text).map_err(json::error)?)),
        Value::Jsonb(doc) => f(Doc::Jsonb(Jsonb::root(doc))),
        _ => Err(mismatch()),
    }
}

fn name_of(doc: &Value, base: bool, set: bool) -> String {
    let kind = if matches!(doc, Value::Jsonb(_)) { "jsonb" } else { "json" };
    let verb = if base { "populate" } else { "to" };
    format!("{kind}_{verb}_record{}", if set { "set" } else { "" })
}

fn record<const BASE: bool>(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let mut given = given::<BASE>(args)?;
    if given.doc.is_null() {
        return Ok(given.base.map_or(Value::Null, |b| Value::Record(Arc::new(b.clone()))));
    }
    let shape = given.shape(ctx, &name_of(given.doc, BASE, false))?;
    with_root(given.doc, |root| row(ctx, &shape, given.names(), given.base, root))
}

/// Rows made beforehand.
struct Made(alloc::vec::IntoIter<Value>);

impl SetReturning for Made {
    fn next(&mut self, _ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        let rows: Vec<Vec<Value>> = self.0.by_ref().take(BATCH_ROWS).map(|v| alloc::vec![v]).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        Batch::from_rows(&[SqlType::new(RECORD)], &rows).map(Some)
    }
}

fn record_set<const BASE: bool>(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let mut given = given::<BASE>(args)?;
    let mut rows = Vec::new();
    if given.doc.is_null() {
        return Ok(Box::new(Made(rows.into_iter())));
    }
    let name = name_of(given.doc, BASE, true);
    let shape = given.shape(ctx, &name)?;
    with_root(given.doc, |root| {
        let Some(elements) = root.elements() else {
            let what = match root {
                Doc::Jsonb(_) => "a non-array",
                Doc::Json(_) if root.is_object() => "an object",
                Doc::Json(_) => "a scalar",
            };
            return Err(invalid(format!("cannot call {name} on {what}")));
        };
        for element in elements {
            if !element.is_object() {
                return Err(invalid(format!("argument of {name} must be an array of objects")));
            }
            rows.push(row(ctx, &shape, given.names(), given.base, element)?);
        }
        Ok(())
    })?;
    Ok(Box::new(Made(rows.into_iter())))
}

const fn shaped(oid: Oid, name: &'static str, args: &'static [Oid], result: Oid) -> Function {
    def(oid, name, args, result).stable().shaped()
}

/// Rows.
pub(super) static FUNCTIONS: &[Function] = &[
    shaped(3960, "json_populate_record", &[ANYELEMENT, JSON, BOOL], ANYELEMENT)
        .nullable()
        .defaults(&[|| Value::Bool(false)])
        .imp(Implementation::Row(record::<true>)),
    shaped(3961, "json_populate_recordset", &[ANYELEMENT, JSON, BOOL], ANYELEMENT)
        .nullable()
        .defaults(&[|| Value::Bool(false)])
        .imp(Implementation::Set(record_set::<true>)),
    shaped(3209, "jsonb_populate_record", &[ANYELEMENT, JSONB], ANYELEMENT)
        .nullable()
        .imp(Implementation::Row(record::<true>)),
    shaped(3475, "jsonb_populate_recordset", &[ANYELEMENT, JSONB], ANYELEMENT)
        .nullable()
        .imp(Implementation::Set(record_set::<true>)),
    shaped(3204, "json_to_record", &[JSON], RECORD).imp(Implementation::Row(record::<false>)),
    shaped(3205, "json_to_recordset", &[JSON], RECORD)
        .nullable()
        .imp(Implementation::Set(record_set::<false>)),
    shaped(3490, "jsonb_to_record", &[JSONB], RECORD).imp(Implementation::Row(record::<false>)),
    shaped(3491, "jsonb_to_recordset", &[JSONB], RECORD)
        .nullable()
        .imp(Implementation::Set(record_set::<false>)),
];

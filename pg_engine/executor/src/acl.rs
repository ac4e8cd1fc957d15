//! Text of privileges as clients read and write it: names of roles where the catalogs have numbers.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_catalog::{
    CatalogReader, Reader, Roles,
    acl::{Acl, AclItem, Class, RIGHTS, right_named},
    acl_text, table,
};
use pg_functions::{EvalContext, SetReturning};
use pg_types::{
    Batch, Oid, Result, SqlError, SqlState, SqlType, Value, io, oid, value::ArrayValue, vector::BATCH_ROWS,
};

use crate::context::ExecContext;

/// A role's name as an aclitem has it: in quotes unless it is made of letters, digits and underscores.
fn quoted(name: &str) -> String {
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        name.to_string()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn role(role: Oid, roles: &Roles) -> String {
    roles.name(role).map_or_else(|| role.to_string(), quoted)
}

/// An aclitem's text.
pub(crate) fn output(kept: &str, reader: &Reader<'_>) -> Result<String> {
    let Some(item) = AclItem::of_text(kept) else { return Ok(kept.to_string()) };
    let roles = CatalogReader::roles(reader)?;
    let grantee = if item.grantee == 0 { String::new() } else { role(item.grantee, &roles) };
    Ok(format!("{grantee}={}/{}", item.letters(), role(item.grantor, &roles)))
}

/// The text of an array of them.
pub(crate) fn output_array(a: &ArrayValue, cx: &ExecContext<'_>, reader: &Reader<'_>) -> Result<String> {
    let mut texts = Vec::with_capacity(a.values.len());
    for v in &a.values {
        texts.push(match v {
            Value::Text(t) => Value::Text(output(t, reader)?.into()),
            other => other.clone(),
        });
    }
    let texts = ArrayValue { element: oid::TEXT, dims: a.dims.clone(), values: texts };
    let array = Value::Array(Arc::new(texts));
    Ok(io::output_string(&array, SqlType::new(oid::TEXT_ARRAY), cx.session.format()))
}

/// Reads an aclitem; gives what is kept.
pub(crate) fn input(text: &str, cx: &ExecContext<'_>) -> Result<String> {
    let roles = CatalogReader::roles(&cx.reader()?)?;
    let (item, named) = acl_text::read(text, &roles)?;
    if !named {
        let report = SqlError::new(SqlState(*b"0L000"), "defaulting grantor to user ID 10");
        cx.session.notice("WARNING", report);
    }
    Ok(item.to_text())
}

/// Reads an array of them.
pub(crate) fn input_array(text: &str, cx: &ExecContext<'_>) -> Result<Value> {
    let Value::Array(a) = io::input(SqlType::new(oid::TEXT_ARRAY), text, cx.session.format())? else {
        return Ok(Value::Null);
    };
    let mut values = Vec::with_capacity(a.values.len());
    for v in &a.values {
        values.push(match v {
            Value::Text(t) => Value::Text(input(t, cx)?.into()),
            other => other.clone(),
        });
    }
    Ok(table::array(oid::ACLITEM, values))
}

/// Rows that are there already.
struct Listed(Vec<Vec<Value>>);

impl SetReturning for Listed {
    fn next(&mut self, _ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        let some: Vec<Vec<Value>> = self.0.drain(..self.0.len().min(BATCH_ROWS)).collect();
        let types = [oid::OID, oid::OID, oid::TEXT, oid::BOOL].map(SqlType::new);
        if some.is_empty() { Ok(None) } else { Batch::from_rows(&types, &some).map(Some) }
    }
}

/// `aclexplode`: a row for each privilege.
pub(crate) fn explode(args: &[Value]) -> Box<dyn SetReturning> {
    let acl = args.first().and_then(Acl::of_value).unwrap_or_default();
    let mut rows = Vec::new();
    for item in acl.0 {
        for (i, (_, name)) in RIGHTS.iter().enumerate().filter(|(i, _)| item.rights & (1 << i) != 0) {
            rows.push(Vec::from([
                Value::Oid(item.grantor),
                Value::Oid(item.grantee),
                Value::text(name),
                Value::Bool(item.options & (1 << i) != 0),
            ]));
        }
    }
    Box::new(Listed(rows))
}

/// `makeaclitem`.
pub(crate) fn make(grantee: Oid, grantor: Oid, privileges: &str, grantable: bool) -> Result<Value> {
    let rights = right_named(privileges.trim()).ok_or_else(|| {
        let text = format!("unrecognized privilege type: \"{privileges}\"");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text)
    })?;
    let item = AclItem { grantee, grantor, rights, options: if grantable { rights } else { 0 } };
    Ok(Value::Text(item.to_text().into()))
}

/// `acldefault`.
pub(crate) fn default_of(letter: u8, owner: Oid) -> Result<Value> {
    let class = Class::of_letter(letter).ok_or_else(|| {
        let text = format!("unrecognized object type abbreviation: {}", char::from(letter));
        SqlError::new(SqlState::INTERNAL_ERROR, text)
    })?;
    Ok(pg_catalog::acl::Acl::default_of(class, owner).to_value())
}

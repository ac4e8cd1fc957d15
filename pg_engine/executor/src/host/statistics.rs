//! Functions about extended statistics.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    CatalogReader, Reader,
    builtin::PG_STATISTIC_EXT,
    extended::{expressions_of, read_common},
    table::{Row, array},
};
use pg_functions::SetReturning;
use pg_types::{Oid, Result, SqlType, Value, oid};

use super::{
    definitions::{key_text, named_types, shown_text},
    some_text,
};
use crate::{
    context::ExecContext,
    ddl::statistics::KINDS,
    text::{self, quote_identifier},
};

/// `pg_get_statisticsobjdef` and its like.
pub(super) fn call(
    cx: &ExecContext<'_>,
    reader: &Reader<'_>,
    name: &str,
    object: Oid,
) -> Result<Option<Value>> {
    if !name.starts_with("pg_get_statisticsobjdef") {
        return Ok(None);
    }
    let rows = reader.find(PG_STATISTIC_EXT, &["oid"], &[Value::Oid(object)])?;
    let Some(row) = rows.first() else { return Ok(Some(Value::Null)) };
    if name == "pg_get_statisticsobjdef_expressions" {
        return expressions(cx, reader, row).map(Some);
    }
    let columns = columns(cx, reader, row)?;
    if name == "pg_get_statisticsobjdef_columns" {
        return Ok(Some(some_text(Some(columns))));
    }
    let letters = row.array("stxkind");
    let kinds: Vec<&str> =
        KINDS.iter().filter(|k| letters.contains(&Value::Char(k.1))).map(|k| k.0).collect();
    // All kinds are what is made without a word; of a single expression there are none.
    let kinds = if kinds.len() == KINDS.len() || kinds.is_empty() {
        String::new()
    } else {
        format!(" ({})", kinds.join(", "))
    };
    let schema = reader.schema_row(row.oid("stxnamespace"))?.map_or_else(String::new, |s| s.name.clone());
    let table = text::relation_name(reader, row.oid("stxrelid"))?.unwrap_or_default();
    Ok(Some(some_text(Some(format!(
        "CREATE STATISTICS {}.{}{kinds} ON {columns} FROM {table}",
        quote_identifier(&schema),
        quote_identifier(row.text("stxname")),
    )))))
}

/// The expressions as an array of texts; NULL: there are none.
fn expressions(cx: &ExecContext<'_>, reader: &Reader<'_>, row: &Row) -> Result<Value> {
    let Some(table) = reader.relation_by_oid(row.oid("stxrelid"))? else { return Ok(Value::Null) };
    let shown = |e: &String| Value::text(&named_types(reader, &shown_text(cx, reader, &table, e, false)));
    let all: Vec<Value> = expressions_of(row).iter().map(shown).collect();
    Ok(if all.is_empty() { Value::Null } else { array(oid::TEXT, all) })
}

/// Columns, then expressions.
fn columns(cx: &ExecContext<'_>, reader: &Reader<'_>, row: &Row) -> Result<String> {
    let Some(table) = reader.relation_by_oid(row.oid("stxrelid"))? else { return Ok(String::new()) };
    let name = |n: &i16| {
        let a = table.attributes.iter().find(|a| a.attnum == *n);
        a.map_or_else(|| n.to_string(), |a| quote_identifier(&a.name))
    };
    let mut all: Vec<String> = row.int2s("stxkeys").iter().map(name).collect();
    let shown = |e: &str| named_types(reader, &shown_text(cx, reader, &table, e, true));
    all.extend(expressions_of(row).iter().map(|e| key_text(e, &shown)));
    Ok(all.join(", "))
}

/// `pg_mcv_list_items`: a row for each combination.
pub(super) fn items(cx: &ExecContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let found = match args.first() {
        Some(Value::Bytea(bytes)) => read_common(bytes),
        _ => None,
    };
    let (types, items) = found.unwrap_or_default();
    let mut rows = Vec::with_capacity(items.len());
    for (n, item) in items.iter().enumerate() {
        let mut texts = Vec::with_capacity(types.len());
        for (v, ty) in item.values.iter().zip(&types) {
            texts.push(match v {
                Value::Null => Value::Null,
                v => Value::text(&text::output(v, ty.oid, cx)?),
            });
        }
        let nulls = item.values.iter().map(|v| Value::Bool(v.is_null())).collect();
        rows.push(Vec::from([
            Value::Int4(n as i32),
            array(oid::TEXT, texts),
            array(oid::BOOL, nulls),
            Value::Float8(item.frequency),
            Value::Float8(item.base_frequency),
        ]));
    }
    let types = [oid::INT4, oid::TEXT_ARRAY, oid::BOOL_ARRAY, oid::FLOAT8, oid::FLOAT8].map(SqlType::new);
    Ok(crate::graph::given(&types, rows.into()))
}

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
    extended::read_common,
    table::{Row, array},
};
use pg_functions::SetReturning;
use pg_types::{Oid, Result, SqlType, Value, oid};

use super::some_text;
use crate::{
    context::ExecContext,
    ddl::statistics::KINDS,
    text::{self, quote_identifier},
};

/// `pg_get_statisticsobjdef` and its like.
pub(super) fn call(reader: &Reader<'_>, name: &str, object: Oid) -> Result<Option<Value>> {
    match name {
        "pg_get_statisticsobjdef" | "pg_get_statisticsobjdef_columns" => {}
        // There are none on expressions.
        "pg_get_statisticsobjdef_expressions" => return Ok(Some(Value::Null)),
        _ => return Ok(None),
    }
    let rows = reader.find(PG_STATISTIC_EXT, &["oid"], &[Value::Oid(object)])?;
    let Some(row) = rows.first() else { return Ok(Some(Value::Null)) };
    let columns = columns(reader, row)?;
    if name == "pg_get_statisticsobjdef_columns" {
        return Ok(Some(some_text(Some(columns))));
    }
    let letters = row.array("stxkind");
    let kinds: Vec<&str> =
        KINDS.iter().filter(|k| letters.contains(&Value::Char(k.1))).map(|k| k.0).collect();
    // All kinds are what is made without a word.
    let kinds = if kinds.len() == KINDS.len() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let schema = reader.schema_row(row.oid("stxnamespace"))?.map_or_else(String::new, |s| s.name.clone());
    let table = text::relation_name(reader, row.oid("stxrelid"))?.unwrap_or_default();
    Ok(Some(some_text(Some(format!(
        "CREATE STATISTICS {}.{}{kinds} ON {columns} FROM {table}",
        quote_identifier(&schema),
        quote_identifier(row.text("stxname")),
    )))))
}

fn columns(reader: &Reader<'_>, row: &Row) -> Result<String> {
    let Some(table) = reader.relation_by_oid(row.oid("stxrelid"))? else { return Ok(String::new()) };
    let name = |n: &i16| {
        let a = table.attributes.iter().find(|a| a.attnum == *n);
        a.map_or_else(|| n.to_string(), |a| quote_identifier(&a.name))
    };
    Ok(row.int2s("stxkeys").iter().map(name).collect::<Vec<_>>().join(", "))
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

//! SQL text of functions and procedures, and of their parameters and results.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::{
    CatalogReader, Reader,
    builtin::{PG_PROC, rows::EXPRESSION_SEPARATOR},
    table::Row,
};
use pg_types::{Oid, Result, Value};

use super::{arg_int, arg_oid, named_types, some_text};
use crate::{
    context::ExecContext,
    ddl::routine::arguments,
    text::{self, quote_identifier},
};

fn row_of(reader: &Reader<'_>, oid: Oid) -> Result<Option<Row>> {
    Ok(reader.find(PG_PROC, &["oid"], &[Value::Oid(oid)])?.into_iter().next())
}

fn is_input(mode: u8) -> bool {
    matches!(mode, b'i' | b'b' | b'v')
}

/// Defaults of the inputs, in order; `None`: an input has none.
fn defaults(reader: &Reader<'_>, row: &Row) -> Vec<Option<String>> {
    let inputs = arguments(row).iter().filter(|a| is_input(a.0)).count();
    let text = row.text_option("proargdefaults").filter(|t| !t.is_empty());
    let list: Vec<String> = text
        .map_or_else(Vec::new, |t| t.split(EXPRESSION_SEPARATOR).map(|d| named_types(reader, d)).collect());
    let first = inputs.saturating_sub(list.len());
    (0..inputs).map(|n| n.checked_sub(first).and_then(|n| list.get(n).cloned())).collect()
}

/// The parameters as a definition has them; those of TABLE alone, or all others.
fn parameters(reader: &Reader<'_>, row: &Row, table: bool, with_defaults: bool) -> Result<String> {
    let procedure = row.char("prokind") == b'p';
    let mut defaults = defaults(reader, row).into_iter();
    let mut parts = Vec::new();
    for (mode, ty, name) in arguments(row) {
        let default = if is_input(mode) { defaults.next().flatten() } else { None };
        if (mode == b't') != table {
            continue;
        }
        let mut part = String::from(match mode {
            b'i' if procedure => "IN ",
            b'o' => "OUT ",
            b'b' => "INOUT ",
            b'v' => "VARIADIC ",
            _ => "",
        });
        if !name.is_empty() {
            part.push_str(&quote_identifier(&name));
            part.push(' ');
        }
        part.push_str(&text::type_name(reader, ty, None)?);
        if with_defaults && let Some(d) = default {
            part.push_str(&format!(" DEFAULT {d}"));
        }
        parts.push(part);
    }
    Ok(parts.join(", "))
}

fn result(reader: &Reader<'_>, row: &Row) -> Result<String> {
    if row.bool("proretset") {
        if arguments(row).iter().any(|a| a.0 == b't') {
            return Ok(format!("TABLE({})", parameters(reader, row, true, false)?));
        }
        return Ok(format!("SETOF {}", text::type_name(reader, row.oid("prorettype"), None)?));
    }
    text::type_name(reader, row.oid("prorettype"), None)
}

fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// What stands between parameters and body.
fn options(row: &Row) -> String {
    let mut out = String::new();
    let mut add = |text: &str| {
        out.push(' ');
        out.push_str(text);
    };
    if row.char("prokind") == b'w' {
        add("WINDOW");
    }
    match row.char("provolatile") {
        b'i' => add("IMMUTABLE"),
        b's' => add("STABLE"),
        _ => {}
    }
    match row.char("proparallel") {
        b's' => add("PARALLEL SAFE"),
        b'r' => add("PARALLEL RESTRICTED"),
        _ => {}
    }
    if row.bool("proisstrict") {
        add("STRICT");
    }
    if row.bool("prosecdef") {
        add("SECURITY DEFINER");
    }
    if row.bool("proleakproof") {
        add("LEAKPROOF");
    }
    let usual = if matches!(row.oid("prolang"), 12 | 13) { 1.0 } else { 100.0 };
    if (row.float("procost") - usual).abs() > f32::EPSILON {
        add(&format!("COST {}", row.float("procost")));
    }
    if row.float("prorows") > 0.0 && (row.float("prorows") - 1000.0).abs() > f32::EPSILON {
        add(&format!("ROWS {}", row.float("prorows")));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    for setting in row.array("proconfig") {
        let Value::Text(setting) = setting else { continue };
        let Some((name, value)) = setting.split_once('=') else { continue };
        let value = match name {
            "search_path" => {
                let part = |p: &str| {
                    let p = p.trim();
                    literal(
                        &p.strip_prefix('"')
                            .and_then(|p| p.strip_suffix('"'))
                            .unwrap_or(p)
                            .replace("\"\"", "\""),
                    )
                };
                value.split(',').map(part).collect::<Vec<_>>().join(", ")
            }
            _ => literal(value),
        };
        out.push_str(&format!(" SET {} TO {value}\n", quote_identifier(name)));
    }
    out
}

/// CREATE OR REPLACE text.
fn definition(cx: &ExecContext<'_>, reader: &Reader<'_>, row: &Row) -> Result<String> {
    if row.char("prokind") == b'a' {
        let text = format!("\"{}\" is an aggregate function", row.text("proname"));
        return Err(pg_types::SqlError::new(pg_types::SqlState::WRONG_OBJECT_TYPE, text));
    }
    let procedure = row.char("prokind") == b'p';
    let word = if procedure { "PROCEDURE" } else { "FUNCTION" };
    let schema = reader.schema_row(row.oid("pronamespace"))?.map_or_else(String::new, |s| s.name.clone());
    let mut out = format!(
        "CREATE OR REPLACE {word} {}.{}({})\n",
        quote_identifier(&schema),
        quote_identifier(row.text("proname")),
        parameters(reader, row, false, true)?
    );
    if !procedure {
        out.push_str(&format!(" RETURNS {}\n", result(reader, row)?));
    }
    let language = match row.oid("prolang") {
        12 => "internal",
        13 => "c",
        _ => "sql",
    };
    out.push_str(&format!(" LANGUAGE {language}\n"));
    out.push_str(&options(row));
    if let Some(body) = standard_body(cx, reader, row)? {
        out.push_str(&body);
    } else {
        let source = row.text("prosrc");
        let mut tag = String::from(if procedure { "$procedure" } else { "$function" });
        while source.contains(&tag) {
            tag.push('x');
        }
        out.push_str(&format!("AS {tag}${source}{tag}$"));
    }
    out.push('\n');
    Ok(out)
}

fn standard_body(cx: &ExecContext<'_>, reader: &Reader<'_>, row: &Row) -> Result<Option<String>> {
    let Some(routine) = reader.routine(row.oid("oid"))? else { return Ok(None) };
    let text = cx.session.body_text(reader, &routine)?;
    Ok(text.map(|t| named_types(reader, &t)))
}

/// The functions of this module by name.
pub(super) fn call(
    cx: &ExecContext<'_>,
    reader: &Reader<'_>,
    name: &str,
    args: &[Value],
) -> Result<Option<Value>> {
    let o = arg_oid(args, 0);
    let with = |f: &dyn Fn(&Row) -> Result<Option<String>>| -> Result<Option<Value>> {
        let text = match row_of(reader, o)? {
            Some(row) => f(&row)?,
            None => None,
        };
        Ok(Some(some_text(text)))
    };
    match name {
        "pg_get_functiondef" => with(&|row| definition(cx, reader, row).map(Some)),
        "pg_get_function_arguments" => with(&|row| parameters(reader, row, false, true).map(Some)),
        "pg_get_function_identity_arguments" => with(&|row| parameters(reader, row, false, false).map(Some)),
        "pg_get_function_result" => with(&|row| {
            if row.char("prokind") == b'p' { Ok(None) } else { result(reader, row).map(Some) }
        }),
        "pg_get_function_sqlbody" => with(&|row| standard_body(cx, reader, row)),
        "pg_get_function_arg_default" => with(&|row| {
            let n = arg_int(args, 1);
            let all = arguments(row);
            let Some(at) = usize::try_from(n - 1).ok().filter(|n| *n < all.len()) else { return Ok(None) };
            if !all.get(at).is_some_and(|a| is_input(a.0)) {
                return Ok(None);
            }
            let place = all.iter().take(at).filter(|a| is_input(a.0)).count();
            Ok(defaults(reader, row).get(place).cloned().flatten())
        }),
        _ => Ok(None),
    }
}

/// `function name(types)` of a row, for descriptions of objects.
pub(super) fn described(reader: &Reader<'_>, object: Oid) -> Result<Option<String>> {
    let Some(row) = row_of(reader, object)? else { return Ok(None) };
    let word = if row.char("prokind") == b'p' { "procedure" } else { "function" };
    Ok(Some(format!("{word} {}", text::routine_signature(reader, &row)?)))
}

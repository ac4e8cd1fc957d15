//! Text forms that need the catalog: the reg* types. Everything else goes to `pg_types::io`.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{CatalogReader, Reader, UserOperator, builtin};
use pg_functions::registry;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, io, oid, typeinfo, value::ArrayValue};

use crate::{acl, context::ExecContext};

/// Does the text form of this type need the catalog?
pub fn needs_catalog(ty: Oid) -> bool {
    matches!(
        ty,
        oid::REGCLASS
            | oid::REGTYPE
            | oid::REGPROC
            | oid::REGPROCEDURE
            | oid::REGOPER
            | oid::REGOPERATOR
            | oid::REGNAMESPACE
            | oid::REGROLE
            | oid::REGCOLLATION
            | oid::REGCONFIG
            | oid::REGDICTIONARY
            | oid::REGCLASS_ARRAY
            | oid::REGTYPE_ARRAY
            | oid::REGPROC_ARRAY
            | oid::REGROLE_ARRAY
            | oid::REGNAMESPACE_ARRAY
            | oid::ACLITEM
            | oid::ACLITEM_ARRAY
    )
}

/// An identifier as SQL text shows it: quoted when it would not be read back as it is.
pub fn quote_identifier(name: &str) -> String {
    let plain = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !is_reserved(name);
    if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Keywords that are not plain identifiers everywhere, sorted.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// A value's text.
pub fn output(v: &Value, ty: Oid, cx: &ExecContext<'_>) -> Result<String> {
    if needs_catalog(ty) {
        let reader = cx.reader()?;
        return match v {
            Value::Oid(o) => reg_output(*o, ty, &reader),
            Value::Text(item) => acl::output(item, &reader),
            Value::Array(a) if a.element == oid::ACLITEM => acl::output_array(a, cx, &reader),
            Value::Array(a) => {
                // Of the type that it was cast to.
                let element = typeinfo::element_of(ty);
                let text = |v: &Value| match v {
                    Value::Null => Ok(Value::Null),
                    v => Ok(Value::text(&output(v, element, cx)?)),
                };
                let values = a.values.iter().map(text).collect::<Result<_>>()?;
                let texts = ArrayValue { element: oid::TEXT, dims: a.dims.clone(), values };
                let texts = Value::Array(alloc::sync::Arc::new(texts));
                Ok(io::output_string(&texts, SqlType::new(oid::TEXT_ARRAY), cx.session.format()))
            }
            _ => Ok(String::new()),
        };
    }
    Ok(io::output_string(v, SqlType::new(ty), cx.session.format()))
}

/// Reads a value.
pub fn input(text: &str, ty: SqlType, cx: &ExecContext<'_>) -> Result<Value> {
    if ty.oid == oid::ACLITEM {
        return acl::input(text, cx).map(|t| Value::Text(t.into()));
    }
    if ty.oid == oid::ACLITEM_ARRAY {
        return acl::input_array(text, cx);
    }
    if needs_catalog(ty.oid) && typeinfo::get(ty.oid).is_some_and(|t| t.element == 0) {
        return reg_input(text, ty.oid, &cx.reader()?).map(Value::Oid);
    }
    io::input(ty, text, cx.session.format())
}

fn qualified(schema: &str, name: &str, visible: bool) -> String {
    let name = quote_identifier(name);
    if visible { name } else { format!("{}.{name}", quote_identifier(schema)) }
}

/// Is a relation found by its name alone?
pub(crate) fn relation_visible(reader: &Reader<'_>, oid: Oid, name: &str) -> Result<bool> {
    Ok(reader.relation(None, name)?.is_some_and(|r| r.oid == oid))
}

/// A relation's name, with its schema when needed.
pub(crate) fn relation_name(reader: &Reader<'_>, oid: Oid) -> Result<Option<String>> {
    let Some(r) = reader.relation_by_oid(oid)? else { return Ok(None) };
    let visible = relation_visible(reader, oid, &r.name)?;
    Ok(Some(qualified(&r.schema_name, &r.name, visible)))
}

/// `format_type` for any type.
pub(crate) fn type_name(reader: &Reader<'_>, ty: Oid, typmod: Option<i32>) -> Result<String> {
    if let Some(name) = typeinfo::format_type(ty, typmod) {
        return Ok(name.into_owned());
    }
    let rows = reader.find(builtin::PG_TYPE, &["oid"], &[Value::Oid(ty)])?;
    let Some(row) = rows.first() else { return Ok(String::from("???")) };
    if row.oid("typelem") != 0 && row.int("typlen") == -1 {
        return Ok(format!("{}[]", type_name(reader, row.oid("typelem"), None)?));
    }
    let schema = row.oid("typnamespace");
    let visible = reader.type_by_name(None, row.text("typname"))? == Some(ty);
    let schemas = reader.find(builtin::PG_NAMESPACE, &["oid"], &[Value::Oid(schema)])?;
    Ok(qualified(schemas.first().map_or("", |s| s.text("nspname")), row.text("typname"), visible))
}

/// `name(types)` of a row of `pg_proc`, with the schema where the name alone would not do.
pub(crate) fn routine_signature(reader: &Reader<'_>, row: &pg_catalog::table::Row) -> Result<String> {
    let mut types = Vec::new();
    for v in row.array("proargtypes") {
        if let Value::Oid(t) = v {
            types.push(type_name(reader, *t, None)?);
        }
    }
    let schema = row.oid("pronamespace");
    // The first of the same name and arguments on the path is found.
    let mut visible = false;
    for (s, _) in reader.search_path() {
        if *s == schema {
            visible = true;
            break;
        }
        let key = [row.get("proname").clone(), row.get("proargtypes").clone(), Value::Oid(*s)];
        if !reader.find(builtin::PG_PROC, &["proname", "proargtypes", "pronamespace"], &key)?.is_empty() {
            break;
        }
    }
    let schema = reader.schema_row(schema)?.map_or_else(String::new, |s| s.name.clone());
    Ok(format!("{}({})", qualified(&schema, row.text("proname"), visible), types.join(",")))
}

/// A routine's name as `regproc` writes it: with its schema unless the name alone means it.
fn routine_name(reader: &Reader<'_>, row: &pg_catalog::table::Row) -> Result<String> {
    let name = row.text("proname");
    let path = reader.searched();
    let routines = reader.routines(name)?;
    let seen = routines.iter().filter(|r| path.contains(&r.schema)).count();
    let seen = seen + registry().functions_named(name).len() + builtin::support::named(name).count();
    let visible = seen == 1 && path.contains(&row.oid("pronamespace"));
    let schema = reader.schema_row(row.oid("pronamespace"))?.map_or_else(String::new, |s| s.name.clone());
    Ok(qualified(&schema, name, visible))
}

/// A routine of a user by its name, and its types if they are given.
fn find_routine(reader: &Reader<'_>, parts: &[String], args: Option<&[Oid]>) -> Result<Vec<Oid>> {
    let (schema, name) = match parts {
        [n] => (None, n),
        [s, n] => (Some(s), n),
        _ => return Ok(Vec::new()),
    };
    let schemas = match schema {
        Some(s) => reader.schema(s)?.into_iter().collect(),
        None => reader.searched(),
    };
    let all = reader.routines(name)?;
    let mut found = Vec::new();
    for s in schemas {
        let here = all.iter().filter(|r| r.schema == s && args.is_none_or(|a| a == r.inputs.as_slice()));
        found.extend(here.map(|r| r.oid));
        if s == builtin::PG_CATALOG {
            let builtin = registry().functions_named(name).iter();
            found.extend(builtin.filter(|f| args.is_none_or(|a| a == f.args)).map(|f| f.oid));
            let support = builtin::support::named(name).filter(|f| args.is_none_or(|a| a == f.args));
            found.extend(support.map(|f| f.oid));
        }
        if args.is_some() && !found.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// The users' operators of a name that are found without a schema.
fn visible_operators(reader: &Reader<'_>, name: &str) -> Result<Vec<UserOperator>> {
    let path = reader.searched();
    Ok(reader.operators(name)?.iter().filter(|o| path.contains(&o.schema)).cloned().collect())
}

/// A user's operator as `regoper` and `regoperator` write it.
fn user_operator(reader: &Reader<'_>, oid: Oid) -> Result<Option<(String, String)>> {
    let rows = reader.find(builtin::PG_OPERATOR, &["oid"], &[Value::Oid(oid)])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let name = row.text("oprname");
    let schema = reader.schema_row(row.oid("oprnamespace"))?.map_or_else(String::new, |s| s.name.clone());
    let seen = visible_operators(reader, name)?;
    let alone = seen.len() == 1 && registry().operators_named(name).is_empty();
    let with = |bare: bool| {
        if bare { name.to_string() } else { format!("{}.{name}", quote_identifier(&schema)) }
    };
    let (left, right) = (row.oid("oprleft"), row.oid("oprright"));
    let first = seen.iter().find(|o| o.left == left && o.right == right);
    let operand = |ty: Oid| if ty == 0 { Ok("NONE".to_string()) } else { type_name(reader, ty, None) };
    let long = with(first.is_some_and(|o| o.oid == oid));
    let long = format!("{long}({},{})", operand(left)?, operand(right)?);
    Ok(Some((with(alone && first.is_some_and(|o| o.oid == oid)), long)))
}

/// The users' operators that a written name means.
fn named_operators(reader: &Reader<'_>, text: &str) -> Result<Vec<UserOperator>> {
    match text.rsplit_once('.') {
        Some((schema, name)) if !name.is_empty() => {
            let schema = reader.schema(schema)?;
            Ok(reader.operators(name)?.iter().filter(|o| Some(o.schema) == schema).cloned().collect())
        }
        _ => visible_operators(reader, text),
    }
}

/// The text of a value of a type like regclass.
pub(crate) fn reg_output(o: Oid, ty: Oid, reader: &Reader<'_>) -> Result<String> {
    if o == 0 {
        return Ok(String::from(if matches!(ty, oid::REGOPER | oid::REGOPERATOR) { "0" } else { "-" }));
    }
    let named = match ty {
        oid::REGCLASS => relation_name(reader, o)?,
        oid::REGTYPE => {
            let name = type_name(reader, o, None)?;
            (name != "???").then_some(name)
        }
        oid::REGPROC | oid::REGPROCEDURE => match registry().function(o) {
            Some(f) if ty == oid::REGPROCEDURE => {
                let args =
                    f.args.iter().map(|a| type_name(reader, *a, None)).collect::<Result<Vec<String>>>()?;
                Some(format!("{}({})", quote_identifier(f.name), args.join(",")))
            }
            Some(f) if registry().functions_named(f.name).len() > 1 => {
                Some(format!("pg_catalog.{}", quote_identifier(f.name)))
            }
            Some(f) => Some(quote_identifier(f.name)),
            None => match reader.find(builtin::PG_PROC, &["oid"], &[Value::Oid(o)])?.first() {
                Some(row) if ty == oid::REGPROCEDURE => Some(routine_signature(reader, row)?),
                Some(row) => Some(routine_name(reader, row)?),
                None => None,
            },
        },
        oid::REGOPER => match registry().operator(o) {
            Some(f) => {
                let alone =
                    registry().operators_named(f.name).len() + visible_operators(reader, f.name)?.len();
                Some(if alone == 1 { f.name.to_string() } else { format!("pg_catalog.{}", f.name) })
            }
            None => user_operator(reader, o)?.map(|o| o.0),
        },
        oid::REGOPERATOR => match registry().operator(o) {
            Some(f) => {
                let left = if f.left == 0 { "NONE".to_string() } else { type_name(reader, f.left, None)? };
                Some(format!("{}({left},{})", f.name, type_name(reader, f.right, None)?))
            }
            None => user_operator(reader, o)?.map(|o| o.1),
        },
        oid::REGNAMESPACE => {
            catalog_name(reader, builtin::PG_NAMESPACE, "nspname", o)?.map(|n| quote_identifier(&n))
        }
        oid::REGROLE => catalog_name(reader, builtin::PG_AUTHID, "rolname", o)?.map(|n| quote_identifier(&n)),
        oid::REGCOLLATION => {
            let rows = reader.find(builtin::PG_COLLATION, &["oid"], &[Value::Oid(o)])?;
            rows.first().map(|r| collation_text(reader, r)).transpose()?
        }
        _ => None,
    };
    Ok(named.unwrap_or_else(|| o.to_string()))
}

/// The name in a catalog's row.
pub(crate) fn catalog_name(
    reader: &Reader<'_>,
    catalog: Oid,
    column: &str,
    o: Oid,
) -> Result<Option<String>> {
    let rows = reader.find(catalog, &["oid"], &[Value::Oid(o)])?;
    Ok(rows.first().map(|r| r.text(column).to_string()))
}

/// Splits `a.b` into its identifiers, folding unquoted ones.
pub(crate) fn parse_name(text: &str) -> Result<Vec<String>> {
    let invalid = || SqlError::new(SqlState::INVALID_NAME, "invalid name syntax");
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let mut name = String::new();
                let mut chars = quoted.char_indices().peekable();
                let end = loop {
                    match chars.next() {
                        None => return Err(invalid()),
                        Some((_, '"')) if chars.peek().is_some_and(|c| c.1 == '"') => {
                            chars.next();
                            name.push('"');
                        }
                        Some((i, '"')) => break i + 1,
                        Some((_, c)) => name.push(c),
                    }
                };
                (name, quoted.get(end..).unwrap_or(""))
            }
            None => {
                let end = rest.find(['.', '"', ' ']).unwrap_or(rest.len());
                (rest.get(..end).unwrap_or("").to_lowercase(), rest.get(end..).unwrap_or(""))
            }
        };
        if part.is_empty() {
            return Err(invalid());
        }
        parts.push(part);
        let after = after.trim_start();
        if after.is_empty() {
            return Ok(parts);
        }
        rest = after.strip_prefix('.').ok_or_else(invalid)?.trim_start();
    }
}

/// A relation by the text of its name.
pub(crate) fn find_relation(
    text: &str,
    reader: &Reader<'_>,
) -> Result<alloc::sync::Arc<pg_catalog::Relation>> {
    let parts = parse_name(text)?;
    let (schema, name) = match parts.as_slice() {
        [n] => (None, n),
        [s, n] | [_, s, n] => (Some(s.as_str()), n),
        _ => {
            return Err(SqlError::syntax(format!(
                "improper relation name (too many dotted names): {}",
                parts.join(".")
            )));
        }
    };
    reader.relation(schema, name)?.ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{}\" does not exist", parts.join(".")))
    })
}

fn reg_input(text: &str, ty: Oid, reader: &Reader<'_>) -> Result<Oid> {
    let text = text.trim();
    if text == "-" {
        return Ok(0);
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_err(|_| {
            SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("value \"{text}\" is out of range for type oid"),
            )
        });
    }
    let missing = |state, what: &str| SqlError::new(state, format!("{what} \"{text}\" does not exist"));
    let by_name = |catalog, column: &str, error: SqlError| -> Result<Oid> {
        let parts = parse_name(text)?;
        let name = parts.last().cloned().unwrap_or_default();
        let key = [Value::text(&name)];
        reader.find(catalog, &[column], &key)?.first().map(|r| r.oid("oid")).ok_or(error)
    };
    match ty {
        oid::REGCLASS => Ok(find_relation(text, reader)?.oid),
        oid::REGTYPE => find_type(text, reader)?.ok_or_else(|| missing(SqlState::UNDEFINED_OBJECT, "type")),
        oid::REGPROC => {
            let parts = parse_name(text)?;
            match find_routine(reader, &parts, None)?.as_slice() {
                [] => Err(missing(SqlState::UNDEFINED_FUNCTION, "function")),
                [f] => Ok(*f),
                _ => Err(SqlError::new(
                    SqlState::AMBIGUOUS_FUNCTION,
                    format!("more than one function named \"{text}\""),
                )),
            }
        }
        oid::REGPROCEDURE => {
            let (_, args) = signature(text, reader)?;
            let parts = parse_name(text.split('(').next().unwrap_or(""))?;
            let found = find_routine(reader, &parts, Some(&args))?;
            found.first().copied().ok_or_else(|| missing(SqlState::UNDEFINED_FUNCTION, "function"))
        }
        oid::REGOPER => {
            let builtin = registry().operators_named(text.trim_start_matches("pg_catalog."));
            let users = named_operators(reader, text)?;
            let found: Vec<Oid> = builtin.iter().map(|o| o.oid).chain(users.iter().map(|o| o.oid)).collect();
            match found.as_slice() {
                [] => Err(SqlError::new(
                    SqlState::UNDEFINED_FUNCTION,
                    format!("operator does not exist: {text}"),
                )),
                [o] => Ok(*o),
                _ => Err(SqlError::new(
                    SqlState::AMBIGUOUS_FUNCTION,
                    format!("more than one operator named {text}"),
                )),
            }
        }
        oid::REGOPERATOR => {
            let (name, args) = signature(text, reader)?;
            let (left, right) = match args.as_slice() {
                [l, r] => (*l, *r),
                _ => (0, 0),
            };
            let users = named_operators(reader, &name)?;
            let user = users.iter().find(|o| o.left == left && o.right == right).map(|o| o.oid);
            let builtin = registry().operator_for(name.trim_start_matches("pg_catalog."), left, right);
            builtin.map(|o| o.oid).or(user).ok_or_else(|| {
                SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {text}"))
            })
        }
        oid::REGNAMESPACE => {
            by_name(builtin::PG_NAMESPACE, "nspname", missing(SqlState::INVALID_SCHEMA_NAME, "schema"))
        }
        oid::REGROLE => by_name(builtin::PG_AUTHID, "rolname", missing(SqlState::UNDEFINED_OBJECT, "role")),
        oid::REGCOLLATION => {
            by_name(builtin::PG_COLLATION, "collname", missing(SqlState::UNDEFINED_OBJECT, "collation"))
        }
        _ => Err(SqlError::unsupported("text input of this type")),
    }
}

/// A collation's name, with its schema unless that is searched.
pub(crate) fn collation_text(reader: &Reader<'_>, row: &pg_catalog::table::Row) -> Result<String> {
    let schema = row.oid("collnamespace");
    let name = quote_identifier(row.text("collname"));
    let hidden = reader.search_path().iter().all(|s| s.0 != schema);
    Ok(match reader.schema_row(schema)?.filter(|_| hidden) {
        Some(s) => format!("{}.{name}", quote_identifier(&s.name)),
        None => name,
    })
}

/// A type by the text of its name.
pub(crate) fn find_type(text: &str, reader: &Reader<'_>) -> Result<Option<Oid>> {
    let folded = text.trim().to_lowercase();
    if let Some(t) = typeinfo::by_sql_name(folded.trim_start_matches("pg_catalog.")) {
        return Ok(Some(t.oid));
    }
    if let Some(element) = text.trim_end().strip_suffix("[]") {
        // Arrays of arrays are arrays of more dimensions.
        let array = |o| if typeinfo::array_of(o) == 0 { o } else { typeinfo::array_of(o) };
        return Ok(find_type(element, reader)?.map(array));
    }
    let parts = parse_name(text)?;
    match parts.as_slice() {
        [n] => reader.type_by_name(None, n),
        [s, n] => reader.type_by_name(Some(s), n),
        _ => Ok(None),
    }
}

/// `name(type, type)`.
fn signature(text: &str, reader: &Reader<'_>) -> Result<(String, Vec<Oid>)> {
    let bad = || SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected a left parenthesis");
    let (name, args) = text.split_once('(').ok_or_else(bad)?;
    let args = args.trim_end().strip_suffix(')').ok_or_else(|| {
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected a right parenthesis")
    })?;
    let name = name.trim().trim_start_matches("pg_catalog.").to_string();
    let mut types = Vec::new();
    for a in args.split(',').map(str::trim).filter(|a| !a.is_empty()) {
        let ty = if a.eq_ignore_ascii_case("none") { Some(0) } else { find_type(a, reader)? };
        types.push(ty.ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{a}\" does not exist"))
        })?);
    }
    Ok((name, types))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_and_folded() {
        assert_eq!(parse_name("Public.\"My T\"").unwrap(), ["public", "My T"]);
        assert_eq!(parse_name("a").unwrap(), ["a"]);
        assert_eq!(parse_name("\"a\"\"b\"").unwrap(), ["a\"b"]);
        assert!(parse_name("a..b").is_err());
        assert!(parse_name("\"a").is_err());
        assert!(parse_name("").is_err());
    }

    #[test]
    fn identifiers_are_quoted_when_needed() {
        assert_eq!(quote_identifier("abc_1"), "abc_1");
        assert_eq!(quote_identifier("Abc"), "\"Abc\"");
        assert_eq!(quote_identifier("select"), "\"select\"");
        assert_eq!(quote_identifier("1a"), "\"1a\"");
        assert!(RESERVED.is_sorted());
    }
}

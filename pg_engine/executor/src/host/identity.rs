//! What an object is, as `pg_identify_object` tells it: in words that do not depend on the search path.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_catalog::{
    CatalogReader, Reader,
    builtin::{
        PG_AM, PG_AUTHID, PG_CLASS, PG_COLLATION, PG_CONSTRAINT, PG_DATABASE, PG_EXTENSION, PG_LANGUAGE,
        PG_NAMESPACE, PG_POLICY, PG_PROC, PG_REWRITE, PG_TABLESPACE, PG_TYPE,
    },
    table::Row,
};
use pg_types::{Oid, Result, SqlError, SqlType, Value, oid, typeinfo, value::RecordValue};

use super::{arg_int, arg_oid};
use crate::{ddl::kind_word, text::quote_identifier};

/// Kind, schema, name if it is one of its own, and everything together.
struct Identity {
    kind: String,
    schema: Option<String>,
    name: Option<String>,
    identity: Option<String>,
}

/// Catalogs of objects that a name alone identifies: their kinds and the names' columns.
const NAMED: &[(Oid, &str, &str)] = &[
    (PG_NAMESPACE, "schema", "nspname"),
    (PG_AUTHID, "role", "rolname"),
    (PG_DATABASE, "database", "datname"),
    (PG_TABLESPACE, "tablespace", "spcname"),
    (PG_LANGUAGE, "language", "lanname"),
    (PG_AM, "access method", "amname"),
    (PG_EXTENSION, "extension", "extname"),
];

/// Types that SQL's grammar has words of its own for: these need no schema.
const SPELLED: [Oid; 14] = [16, 20, 21, 23, 700, 701, 1042, 1043, 1083, 1114, 1184, 1186, 1266, 1700];

/// The record that `pg_identify_object` gives.
pub(super) fn identify(reader: &Reader<'_>, args: &[Value]) -> Result<Value> {
    let (class, object, sub) = (arg_oid(args, 0), arg_oid(args, 1), arg_int(args, 2));
    let found = identity(reader, class, object, sub)?;
    let quoted = |t: Option<String>| t.map_or(Value::Null, |t| Value::text(quote_identifier(&t).as_str()));
    let values = Vec::from([
        Value::text(found.kind.as_str()),
        quoted(found.schema),
        quoted(found.name),
        found.identity.map_or(Value::Null, |t| Value::text(t.as_str())),
    ]);
    Ok(Value::Record(Arc::new(RecordValue { types: alloc::vec![oid::TEXT; 4], values, names: None })))
}

fn identity(reader: &Reader<'_>, class: Oid, object: Oid, sub: i64) -> Result<Identity> {
    let key = [Value::Oid(object)];
    let row = || -> Result<Option<Row>> { Ok(reader.find(class, &["oid"], &key)?.into_iter().next()) };
    let missing = |kind: &str| Identity { kind: kind.to_string(), schema: None, name: None, identity: None };
    if let Some((_, kind, column)) = NAMED.iter().find(|n| n.0 == class) {
        let Some(row) = row()? else { return Ok(missing(kind)) };
        let name = row.text(column).to_string();
        let identity = Some(quote_identifier(&name));
        return Ok(Identity { kind: kind.to_string(), schema: None, name: Some(name), identity });
    }
    match class {
        PG_CLASS => relation(reader, object, sub),
        PG_TYPE => {
            let Some(row) = row()? else { return Ok(missing("type")) };
            Ok(Identity {
                kind: "type".to_string(),
                schema: Some(schema(reader, row.oid("typnamespace"))?),
                name: Some(row.text("typname").to_string()),
                identity: Some(type_name(reader, object)?),
            })
        }
        PG_PROC => {
            let Some(row) = row()? else { return Ok(missing("routine")) };
            let kind = match row.char("prokind") {
                b'a' => "aggregate",
                b'p' => "procedure",
                _ => "function",
            };
            let schema = schema(reader, row.oid("pronamespace"))?;
            let of = |v: &Value| match v {
                Value::Oid(o) => type_name(reader, *o),
                _ => Ok(String::new()),
            };
            let types = row.array("proargtypes").iter().map(of).collect::<Result<Vec<_>>>()?;
            let identity = format!("{}({})", qualified(&schema, row.text("proname")), types.join(","));
            Ok(Identity {
                kind: kind.to_string(),
                schema: Some(schema),
                name: None,
                identity: Some(identity),
            })
        }
        PG_COLLATION => {
            let Some(row) = row()? else { return Ok(missing("collation")) };
            let (schema, name) =
                (schema(reader, row.oid("collnamespace"))?, row.text("collname").to_string());
            let identity = Some(qualified(&schema, &name));
            Ok(Identity { kind: "collation".to_string(), schema: Some(schema), name: Some(name), identity })
        }
        PG_CONSTRAINT => match row()? {
            Some(row) => constraint(reader, &row),
            None => Ok(missing("constraint")),
        },
        PG_REWRITE => part(reader, row()?, "rule", "rulename", "ev_class"),
        PG_POLICY => part(reader, row()?, "policy", "polname", "polrelid"),
        _ => Err(SqlError::unsupported(format!("pg_identify_object() of objects of catalog {class}"))),
    }
}

fn schema(reader: &Reader<'_>, oid: Oid) -> Result<String> {
    Ok(reader.schema_row(oid)?.map_or_else(String::new, |s| s.name.clone()))
}

fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_identifier(schema), quote_identifier(name))
}

/// A type with its schema.
fn type_name(reader: &Reader<'_>, oid: Oid) -> Result<String> {
    if SPELLED.contains(&oid) || matches!(oid, oid::BIT | oid::VARBIT) {
        return Ok(typeinfo::display(SqlType::new(oid)).into_owned());
    }
    let rows = reader.find(PG_TYPE, &["oid"], &[Value::Oid(oid)])?;
    let Some(row) = rows.first() else { return Ok("???".to_string()) };
    let element = row.oid("typelem");
    if element != 0 && row.int("typlen") == -1 {
        return Ok(format!("{}[]", type_name(reader, element)?));
    }
    Ok(qualified(&schema(reader, row.oid("typnamespace"))?, row.text("typname")))
}

/// A relation by its schema and name.
fn relation_name(reader: &Reader<'_>, oid: Oid) -> Result<Option<String>> {
    Ok(reader.relation_by_oid(oid)?.map(|r| qualified(&r.schema_name, &r.name)))
}

fn relation(reader: &Reader<'_>, object: Oid, sub: i64) -> Result<Identity> {
    let kind = |kind: &str| if sub == 0 { kind.to_string() } else { format!("{kind} column") };
    let Some(r) = reader.relation_by_oid(object)? else {
        // Indexes are parts of what they are on.
        let rows = reader.find(PG_CLASS, &["oid"], &[Value::Oid(object)])?;
        let Some(row) = rows.first() else {
            return Ok(Identity { kind: kind("relation"), schema: None, name: None, identity: None });
        };
        let (schema, name) = (schema(reader, row.oid("relnamespace"))?, row.text("relname").to_string());
        let identity = Some(qualified(&schema, &name));
        return Ok(Identity { kind: kind("index"), schema: Some(schema), name: Some(name), identity });
    };
    let mut identity = qualified(&r.schema_name, &r.name);
    if sub != 0 {
        let column = r.attributes.iter().find(|a| i64::from(a.attnum) == sub && !a.dropped);
        identity = format!("{identity}.{}", quote_identifier(column.map_or("", |c| &c.name)));
    }
    Ok(Identity {
        kind: kind(kind_word(r.kind)),
        schema: Some(r.schema_name.clone()),
        name: Some(r.name.clone()),
        identity: Some(identity),
    })
}

fn constraint(reader: &Reader<'_>, row: &Row) -> Result<Identity> {
    let name = quote_identifier(row.text("conname"));
    let domain = row.oid("contypid");
    if domain != 0 {
        let identity = Some(format!("{name} on {}", type_name(reader, domain)?));
        let (schema, kind) = (schema(reader, row.oid("connamespace"))?, "domain constraint".to_string());
        return Ok(Identity { kind, schema: Some(schema), name: None, identity });
    }
    let table = relation_name(reader, row.oid("conrelid"))?.unwrap_or_default();
    Ok(Identity {
        kind: "table constraint".to_string(),
        schema: Some(schema(reader, row.oid("connamespace"))?),
        name: None,
        identity: Some(format!("{name} on {table}")),
    })
}

/// A rule or a policy of a relation.
fn part(reader: &Reader<'_>, row: Option<Row>, kind: &str, name: &str, of: &str) -> Result<Identity> {
    let identity = match row {
        Some(row) => relation_name(reader, row.oid(of))?
            .map(|table| format!("{} on {table}", quote_identifier(row.text(name)))),
        None => None,
    };
    Ok(Identity { kind: kind.to_string(), schema: None, name: None, identity })
}

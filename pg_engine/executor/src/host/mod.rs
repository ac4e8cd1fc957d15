//! Functions that need the catalogs, sequences or the session.

mod definitions;
mod identity;
mod privileges;
mod routines;
mod sequences;
mod session;
mod statistics;

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::sync::atomic::Ordering;

use pg_catalog::{CatalogReader, Reader, Relation, builtin};
use pg_functions::{
    Host, SetReturning, registry,
    set::{KEYWORDS, LISTENING_CHANNELS, MCV_LIST_ITEMS},
};
use pg_storage::{RelId, RelationActivity};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, format::FormatSettings, oid};

use crate::{context::ExecContext, text};

pub(crate) use definitions::named_types;
pub(crate) use sequences::next_value;

impl Host for ExecContext<'_> {
    fn transaction_timestamp(&self) -> i64 {
        self.txn.borrow().started()
    }
    fn statement_timestamp(&self) -> i64 {
        self.session.statement_timestamp()
    }
    fn clock_timestamp(&self) -> i64 {
        // PostgreSQL counts from 2000-01-01.
        platform::time::wall_clock_micros() - 946_684_800_000_000
    }
    fn format(&self) -> &FormatSettings {
        self.session.format()
    }
    fn setting(&self, name: &str) -> Option<String> {
        self.session.setting(name)
    }
    fn random(&self, buf: &mut [u8]) {
        platform::entropy::fill(buf);
    }
    fn call(&self, function: Oid, args: &[Value]) -> Result<Value> {
        call(self, function, args)
    }
    fn rows(&self, function: Oid, args: &[Value]) -> Result<Box<dyn SetReturning>> {
        if function == LISTENING_CHANNELS {
            let channels = self.session.listening().into_iter().map(|c| alloc::vec![Value::Text(c.into())]);
            return Ok(crate::graph::given(&[SqlType::new(oid::TEXT)], channels.collect()));
        }
        if function == MCV_LIST_ITEMS {
            return statistics::items(self, args);
        }
        if function == KEYWORDS {
            let types = [oid::TEXT, oid::CHAR, oid::BOOL, oid::TEXT, oid::TEXT].map(SqlType::new);
            return Ok(crate::graph::given(&types, self.session.keywords().into()));
        }
        if function == pg_functions::ACLEXPLODE {
            return Ok(crate::acl::explode(args));
        }
        crate::graph::rows(self, function, args)
    }
    fn catalog_text(&self, value: &Value, ty: Oid) -> Result<Option<String>> {
        if text::needs_catalog(ty) { text::output(value, ty, self).map(Some) } else { Ok(None) }
    }
    fn catalog_value(&self, text: &str, ty: pg_types::SqlType) -> Result<Option<Value>> {
        if text::needs_catalog(ty.oid) { text::input(text, ty, self).map(Some) } else { Ok(None) }
    }
    fn cancelled(&self) -> bool {
        self.session.interrupted().is_some()
    }
}

fn arg_oid(args: &[Value], n: usize) -> Oid {
    match args.get(n) {
        Some(Value::Oid(o)) => *o,
        _ => 0,
    }
}

fn arg_text(args: &[Value], n: usize) -> &str {
    match args.get(n) {
        Some(Value::Text(s)) => s,
        _ => "",
    }
}

fn arg_int(args: &[Value], n: usize) -> i64 {
    match args.get(n) {
        Some(Value::Int8(i)) => *i,
        Some(Value::Int4(i)) => i64::from(*i),
        Some(Value::Int2(i)) => i64::from(*i),
        _ => 0,
    }
}

fn arg_bool(args: &[Value], n: usize) -> bool {
    matches!(args.get(n), Some(Value::Bool(true)))
}

fn some_text(t: Option<String>) -> Value {
    t.map_or(Value::Null, |t| Value::Text(t.into()))
}

fn call(cx: &ExecContext<'_>, function: Oid, args: &[Value]) -> Result<Value> {
    // The one hot function here.
    if function == sequences::NEXTVAL {
        return next_value(cx, arg_oid(args, 0)).map(Value::Int8);
    }
    let f = registry().function(function).ok_or_else(|| SqlError::internal("call of an unknown function"))?;
    if let Some(v) = sequences::call(cx, f.name, args)? {
        return Ok(v);
    }
    if let Some(v) = session::call(cx, f.name, args)? {
        return Ok(v);
    }
    if let Some(v) = crate::large_object::call(cx, f.name, args)? {
        return Ok(v);
    }
    if let Some(v) = crate::certificates::call(cx, f.name, args)? {
        return Ok(v);
    }
    if let Some(v) = crate::graph::call(cx, f.name, args)? {
        return Ok(v);
    }
    let reader = cx.reader()?;
    if let Some(v) = routines::call(cx, &reader, f.name, args)? {
        return Ok(v);
    }
    if let Some(v) = definitions::call(cx, &reader, f.name, args)? {
        return Ok(v);
    }
    if let Some(v) = statistics::call(cx, &reader, f.name, arg_oid(args, 0))? {
        return Ok(v);
    }
    if f.name == "pg_identify_object" {
        return identity::identify(&reader, args);
    }
    if let Some(v) = catalog_call(cx, &reader, f.name, args)? {
        return Ok(v);
    }
    if let Some(v) = privileges::call(cx, &reader, f, args)? {
        return Ok(v);
    }
    Err(SqlError::unsupported(format!("function {}()", f.name)))
}

fn catalog_call(
    cx: &ExecContext<'_>,
    reader: &Reader<'_>,
    name: &str,
    args: &[Value],
) -> Result<Option<Value>> {
    let o = arg_oid(args, 0);
    let in_path = |schema: Oid| reader.search_path().iter().any(|s| s.0 == schema);
    let visible = |catalog: Oid, schema_column: &str| -> Result<Value> {
        let rows = reader.find(catalog, &["oid"], &[Value::Oid(o)])?;
        Ok(rows.first().map_or(Value::Null, |r| Value::Bool(in_path(r.oid(schema_column)))))
    };
    let try_reg = |ty: Oid| match text::input(arg_text(args, 0), SqlType::new(ty), cx) {
        Ok(v) => Ok(v),
        Err(e) if e.state().0.starts_with(b"42") || e.state() == SqlState::INVALID_SCHEMA_NAME => {
            Ok(Value::Null)
        }
        Err(e) => Err(e),
    };
    Ok(Some(match name {
        "format_type" => match args.first() {
            Some(Value::Oid(o)) => {
                let typmod = args.get(1).and_then(|v| if let Value::Int4(t) = v { Some(*t) } else { None });
                if *o == 0 { Value::text("-") } else { some_text(Some(text::type_name(reader, *o, typmod)?)) }
            }
            _ => Value::Null,
        },
        "oidvectortypes" => type_names(reader, args)?,
        "pg_table_is_visible" => table_is_visible(reader, o)?,
        "pg_type_is_visible" => visible(builtin::PG_TYPE, "typnamespace")?,
        "pg_function_is_visible" => visible(builtin::PG_PROC, "pronamespace")?,
        "pg_operator_is_visible" => visible(builtin::PG_OPERATOR, "oprnamespace")?,
        "pg_statistics_obj_is_visible" => visible(builtin::PG_STATISTIC_EXT, "stxnamespace")?,
        "pg_opclass_is_visible" => visible(builtin::PG_OPCLASS, "opcnamespace")?,
        "pg_opfamily_is_visible" => visible(builtin::PG_OPFAMILY, "opfnamespace")?,
        "pg_collation_is_visible" => visible(builtin::PG_COLLATION, "collnamespace")?,
        "pg_get_userbyid" => {
            let name = text::catalog_name(reader, builtin::PG_AUTHID, "rolname", o)?;
            some_text(Some(name.unwrap_or_else(|| format!("unknown (OID={o})"))))
        }
        "obj_description" | "col_description" | "shobj_description" => description(reader, name, args)?,
        "to_regclass" => try_reg(oid::REGCLASS)?,
        "to_regtype" => try_reg(oid::REGTYPE)?,
        "to_regproc" => try_reg(oid::REGPROC)?,
        "to_regprocedure" => try_reg(oid::REGPROCEDURE)?,
        "to_regoper" => try_reg(oid::REGOPER)?,
        "to_regoperator" => try_reg(oid::REGOPERATOR)?,
        "to_regnamespace" => try_reg(oid::REGNAMESPACE)?,
        "to_regrole" => try_reg(oid::REGROLE)?,
        "to_regcollation" => try_reg(oid::REGCOLLATION)?,
        "regclass" => text::input(arg_text(args, 0), SqlType::new(oid::REGCLASS), cx)?,
        "pg_relation_size" | "pg_table_size" | "pg_indexes_size" | "pg_total_relation_size" => {
            match reader.relation_by_oid(o)? {
                Some(r) => Value::Int8(size(cx, &r, name)),
                None => Value::Null,
            }
        }
        "pg_relation_filenode" => match reader.relation_by_oid(o)? {
            Some(r) if r.storage.0 != 0 => Value::Oid(r.storage.0),
            _ => Value::Null,
        },
        "pg_database_size" => database_size(cx, reader, args)?,
        "pg_stat_get_live_tuples" | "pg_stat_get_dead_tuples" => match reader.relation_by_oid(o)? {
            Some(r) => {
                let s = cx.engine.storage().relation_stats(r.storage).unwrap_or_default();
                let n = if name == "pg_stat_get_live_tuples" { s.live_tuples } else { s.dead_tuples };
                Value::Int8(n as i64)
            }
            None => Value::Null,
        },
        "pg_stat_get_numscans" => {
            let scans = counters(cx, reader, o)?
                .map_or(0, |a| a.seq_scans.load(Ordering::Relaxed) + a.index_scans.load(Ordering::Relaxed));
            Value::Int8(scans as i64)
        }
        "pg_stat_reset_single_table_counters" => {
            if let Some(a) = counters(cx, reader, o)? {
                a.reset();
            }
            Value::Null
        }
        "pg_relation_is_updatable" => match reader.relation_by_oid(o)? {
            Some(r) if r.kind == pg_catalog::RelationKind::Table => Value::Int4(28),
            Some(r) if r.kind == pg_catalog::RelationKind::View => {
                match cx.session.changeable_columns(reader, &r) {
                    // Rows of a view without such columns can still be deleted.
                    Some(columns) => Value::Int4(if columns.contains(&true) { 28 } else { 16 }),
                    None => Value::Int4(0),
                }
            }
            _ => Value::Int4(0),
        },
        "pg_column_is_updatable" => match reader.relation_by_oid(o)? {
            _ if arg_int(args, 1) <= 0 => Value::Bool(false),
            Some(r) if r.kind == pg_catalog::RelationKind::Table => Value::Bool(true),
            Some(r) if r.kind == pg_catalog::RelationKind::View => {
                let columns = cx.session.changeable_columns(reader, &r).unwrap_or_default();
                let n = usize::try_from(arg_int(args, 1) - 1).ok();
                Value::Bool(n.and_then(|n| columns.get(n)).copied().unwrap_or(false))
            }
            _ => Value::Bool(false),
        },
        "pg_relation_is_publishable" => match reader.relation_by_oid(o)? {
            Some(r) => {
                Value::Bool(r.kind == pg_catalog::RelationKind::Table && r.schema != builtin::PG_CATALOG)
            }
            None => Value::Bool(false),
        },
        "pg_tablespace_location" => Value::text(""),
        _ => return Ok(None),
    }))
}

/// Is a relation found by its name alone? By rows of the catalog: who lists tables asks this of all, and has no need of their definitions.
fn table_is_visible(reader: &Reader<'_>, relation: Oid) -> Result<Value> {
    let rows = reader.find(builtin::PG_CLASS, &["oid"], &[Value::Oid(relation)])?;
    let Some(row) = rows.first() else { return Ok(Value::Null) };
    let own = row.oid("relnamespace");
    for (schema, _) in reader.search_path() {
        if *schema == own {
            return Ok(Value::Bool(true));
        }
        let key = [Value::text(row.text("relname")), Value::Oid(*schema)];
        if !reader.find(builtin::PG_CLASS, &["relname", "relnamespace"], &key)?.is_empty() {
            break;
        }
    }
    Ok(Value::Bool(false))
}

/// The names of a list of types.
fn type_names(reader: &Reader<'_>, args: &[Value]) -> Result<Value> {
    let Some(Value::Array(types)) = args.first() else { return Ok(Value::Null) };
    let name = |v: &Value| match v {
        Value::Oid(0) => Ok("-".to_string()),
        Value::Oid(o) => text::type_name(reader, *o, None),
        _ => Ok(String::new()),
    };
    let names = types.values.iter().map(name).collect::<Result<Vec<_>>>()?;
    Ok(some_text(Some(names.join(", "))))
}

/// The counters of what is done with a relation or an index.
fn counters(cx: &ExecContext<'_>, reader: &Reader<'_>, relation: Oid) -> Result<Option<RelationActivity>> {
    let key = [Value::Oid(relation)];
    let rows = reader.find(builtin::PG_CLASS, &["oid"], &key)?;
    let storage = rows.first().map_or(0, |r| r.oid("relfilenode"));
    Ok(if storage == 0 { None } else { cx.engine.storage().activity(RelId(storage)).ok() })
}

fn size(cx: &ExecContext<'_>, r: &Arc<Relation>, what: &str) -> i64 {
    let pages = |rel| cx.engine.storage().relation_stats(rel).map_or(0, |s| i64::from(s.pages));
    let own = if r.storage.0 == 0 { 0 } else { pages(r.storage) };
    let indexes: i64 = r.indexes.iter().map(|i| pages(i.storage)).sum();
    let toast = r.toast.map_or(0, |t| pages(t.heap) + pages(t.index));
    8192 * match what {
        "pg_indexes_size" => indexes,
        "pg_table_size" => own + toast,
        "pg_total_relation_size" => own + toast + indexes,
        _ => own,
    }
}

/// Bytes that a database takes, named or by oid; NULL: no such oid.
fn database_size(cx: &ExecContext<'_>, reader: &Reader<'_>, args: &[Value]) -> Result<Value> {
    let by_name = matches!(args.first(), Some(Value::Text(_)));
    let (column, key) = if by_name {
        ("datname", Value::text(arg_text(args, 0)))
    } else {
        ("oid", Value::Oid(arg_oid(args, 0)))
    };
    let rows = reader.find(builtin::PG_DATABASE, &[column], &[key])?;
    let Some(row) = rows.first() else {
        if by_name {
            let text = alloc::format!("database \"{}\" does not exist", arg_text(args, 0));
            return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, text));
        }
        return Ok(Value::Null);
    };
    let all = cx.engine.all_databases()?;
    let Some(engine) = all.iter().find(|e| e.catalog().database() == row.oid("oid")) else {
        // Nobody has used it: it is a row.
        return Ok(Value::Int8(0));
    };
    let catalog = engine.catalog();
    let system = catalog.system_storage().into_iter().map(|(_, rel)| rel);
    let pages: u64 = system
        .chain(catalog.user_storage(&catalog.latest())?)
        .filter_map(|rel| cx.engine.storage().relation_stats(rel).ok())
        .map(|s| u64::from(s.pages))
        .sum();
    Ok(Value::Int8(pages.saturating_mul(8192) as i64))
}

fn description(reader: &Reader<'_>, name: &str, args: &[Value]) -> Result<Value> {
    let object = Value::Oid(arg_oid(args, 0));
    let class_of = |catalog: &str| -> Result<Oid> {
        Ok(reader.relation(Some("pg_catalog"), catalog)?.map_or(0, |r| r.oid))
    };
    let (catalog, class, sub) = match (name, args.get(1)) {
        ("col_description", _) => (builtin::PG_DESCRIPTION, builtin::PG_CLASS, arg_int(args, 1)),
        ("shobj_description", _) => (builtin::PG_SHDESCRIPTION, class_of(arg_text(args, 1))?, 0),
        (_, Some(_)) => (builtin::PG_DESCRIPTION, class_of(arg_text(args, 1))?, 0),
        (_, None) => {
            let rows = reader.find(builtin::PG_DESCRIPTION, &["objoid"], &[object])?;
            let row = rows.iter().find(|r| r.int("objsubid") == 0);
            return Ok(some_text(row.map(|r| r.text("description").to_string())));
        }
    };
    let rows = reader.find(catalog, &["objoid", "classoid"], &[object, Value::Oid(class)])?;
    let row = rows.iter().find(|r| catalog == builtin::PG_SHDESCRIPTION || r.int("objsubid") == sub);
    Ok(some_text(row.map(|r| r.text("description").to_string())))
}

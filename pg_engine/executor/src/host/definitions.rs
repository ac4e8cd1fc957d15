//! SQL text of indexes, constraints, views and expressions.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::{
    CatalogReader, Constraint, ConstraintKind, Index, Reader, Relation, RelationKind,
    builtin::{
        PG_CLASS, PG_CONSTRAINT, PG_DEPEND, PG_INDEX, PG_PROC, PG_REWRITE, catalog,
        rows::{EXPRESSION_SEPARATOR, collation_name},
    },
};
use pg_types::{Oid, Result, Value, typeinfo};

use super::{arg_int, arg_oid, arg_text, some_text};
use crate::{
    context::ExecContext,
    ddl::{Address, Ddl},
    text::{self, quote_identifier},
};

/// How stored expressions are written.
pub(super) type Shown<'a> = &'a dyn Fn(&str) -> String;

/// A stored expression as it is shown; `pretty`: without parentheses that are not needed.
pub(super) fn shown_text(
    cx: &ExecContext<'_>,
    reader: &Reader<'_>,
    relation: &Relation,
    text: &str,
    pretty: bool,
) -> String {
    // Otherwise it is shown as it is kept, but for subqueries, which depend on the search path, and what has lines.
    if !pretty && !text.contains("SELECT ") && !text.contains("CASE ") {
        return text.to_string();
    }
    let condition = cx.session.stored_condition(reader, relation, text);
    // What cannot be read any more is shown as it is kept.
    condition.and_then(|c| c.shown(reader, pretty)).unwrap_or_else(|_| plain(text))
}

/// An expression where a name of a column could stand: a function call alone, anything else in parentheses.
pub(super) fn key_text(e: &str, shown: Shown<'_>) -> String {
    let call = e.ends_with(')')
        && e.split('(').next().is_some_and(|f| {
            // A user's function is named by number.
            let f = f.trim_matches(['"', '\u{e000}']);
            !f.is_empty() && f.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        });
    let text = shown(e);
    if call { text } else { format!("({text})") }
}

/// An index column as `pg_get_indexdef` shows it.
fn index_column(relation: &Relation, index: &Index, n: usize, order: bool, shown: Shown<'_>) -> String {
    let Some(key) = index.keys.get(n) else { return String::new() };
    let mut out = match &key.expression {
        Some(e) => key_text(e, shown),
        None => relation
            .attributes
            .iter()
            .find(|a| a.attnum == key.attnum)
            .map_or_else(String::new, |a| quote_identifier(&a.name)),
    };
    if order && n < index.key_count {
        let column = relation.attributes.iter().find(|a| a.attnum == key.attnum);
        let own = column.map_or_else(|| typeinfo::collation_of(key.ty.oid), |a| a.collation);
        if key.collation != 0 && key.collation != own {
            // A user's is named where the whole text is.
            let name = collation_name(key.collation).map(quote_identifier);
            let name = name.unwrap_or_else(|| pg_types::user::collation_reference(key.collation));
            out.push_str(&format!(" COLLATE {name}"));
        }
        let classes = pg_functions::registry().operator_classes();
        if let Some(class) = key.class.and_then(|oid| classes.iter().find(|c| c.oid == oid)) {
            out.push(' ');
            out.push_str(class.name);
        }
        match (key.descending, key.nulls_first) {
            (false, false) => {}
            (false, true) => out.push_str(" NULLS FIRST"),
            (true, true) => out.push_str(" DESC"),
            (true, false) => out.push_str(" DESC NULLS LAST"),
        }
    }
    out
}

/// CREATE INDEX text.
fn index_definition(relation: &Relation, index: &Index, shown: Shown<'_>) -> String {
    let columns = |range: core::ops::Range<usize>| -> String {
        range.map(|n| index_column(relation, index, n, true, shown)).collect::<Vec<_>>().join(", ")
    };
    let mut out = format!(
        "CREATE {}INDEX {} ON {}.{} USING {} ({})",
        if index.unique { "UNIQUE " } else { "" },
        quote_identifier(&index.name),
        quote_identifier(&relation.schema_name),
        quote_identifier(&relation.name),
        index.method.name(),
        columns(0..index.key_count)
    );
    if index.keys.len() > index.key_count {
        out.push_str(&format!(" INCLUDE ({})", columns(index.key_count..index.keys.len())));
    }
    if index.nulls_not_distinct {
        out.push_str(" NULLS NOT DISTINCT");
    }
    out.push_str(&storage_parameters(index));
    if let Some(p) = &index.predicate {
        out.push_str(&format!(" WHERE {}", shown(p)));
    }
    out
}

/// WITH (...), if there is anything to say.
fn storage_parameters(index: &Index) -> String {
    index.fill_factor.map_or_else(String::new, |f| format!(" WITH (fillfactor='{f}')"))
}

/// A constraint's text.
pub(crate) fn constraint_definition(
    reader: &Reader<'_>,
    relation: &Relation,
    c: &Constraint,
    shown: Shown<'_>,
) -> Result<String> {
    if c.kind == ConstraintKind::Foreign {
        return foreign_key_definition(reader, relation, c);
    }
    let names = |attnums: &mut dyn Iterator<Item = i16>| -> String {
        attnums
            .filter_map(|n| relation.attributes.iter().find(|a| a.attnum == n))
            .map(|a| quote_identifier(&a.name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    Ok(match c.kind {
        ConstraintKind::Check => {
            let text = c.expression.as_deref().unwrap_or("");
            let mut out = format!("CHECK ({})", shown(text));
            let rows = reader.find(PG_CONSTRAINT, &["oid"], &[Value::Oid(c.oid)])?;
            for (column, usual, said) in
                [("connoinherit", false, " NO INHERIT"), ("convalidated", true, " NOT VALID")]
            {
                out.push_str(if rows.iter().all(|r| r.bool(column) == usual) { "" } else { said });
            }
            out
        }
        ConstraintKind::Primary | ConstraintKind::Unique => {
            let word = if c.kind == ConstraintKind::Primary { "PRIMARY KEY" } else { "UNIQUE" };
            let index = relation.indexes.iter().find(|i| i.oid == c.index);
            let distinct =
                if index.is_some_and(|i| i.nulls_not_distinct) { " NULLS NOT DISTINCT" } else { "" };
            let mut out = format!("{word}{distinct} ({})", names(&mut c.columns.iter().copied()));
            if let Some(i) = index.filter(|i| i.keys.len() > i.key_count) {
                let included = names(&mut i.keys.iter().skip(i.key_count).map(|k| k.attnum));
                out.push_str(&format!(" INCLUDE ({included})"));
            }
            if c.deferrable {
                out.push_str(" DEFERRABLE");
            }
            if c.deferred {
                out.push_str(" INITIALLY DEFERRED");
            }
            out
        }
        ConstraintKind::Foreign => String::new(),
    })
}

fn foreign_key_definition(reader: &Reader<'_>, relation: &Relation, c: &Constraint) -> Result<String> {
    let Some(key) = relation.foreign_keys.iter().find(|k| k.oid == c.oid) else { return Ok(String::new()) };
    let Some(referenced) = reader.relation_by_oid(key.referenced)? else { return Ok(String::new()) };
    let names = |r: &Relation, attnums: &[i16]| -> String {
        let columns = attnums.iter().filter_map(|n| r.attributes.iter().find(|a| a.attnum == *n));
        columns.map(|a| quote_identifier(&a.name)).collect::<Vec<_>>().join(", ")
    };
    let action = |code: u8| match code {
        b'r' => "RESTRICT",
        b'c' => "CASCADE",
        b'n' => "SET NULL",
        b'd' => "SET DEFAULT",
        _ => "NO ACTION",
    };
    let target = crate::text::relation_name(reader, key.referenced)?.unwrap_or_default();
    let mut out = format!(
        "FOREIGN KEY ({}) REFERENCES {target}({})",
        names(relation, &key.columns),
        names(&referenced, &key.referenced_columns)
    );
    if key.full {
        out.push_str(" MATCH FULL");
    }
    for (when, code) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        if code != b'a' {
            out.push_str(&format!(" ON {when} {}", action(code)));
            if when == "DELETE" && !key.delete_columns.is_empty() {
                out.push_str(&format!(" ({})", names(relation, &key.delete_columns)));
            }
        }
    }
    if key.deferrable {
        out.push_str(" DEFERRABLE");
    }
    if key.deferred {
        out.push_str(" INITIALLY DEFERRED");
    }
    let rows = reader.find(pg_catalog::builtin::PG_CONSTRAINT, &["oid"], &[Value::Oid(c.oid)])?;
    if rows.first().is_some_and(|r| !r.bool("convalidated")) {
        out.push_str(" NOT VALID");
    }
    Ok(out)
}

fn index_of(
    reader: &Reader<'_>,
    oid: Oid,
) -> Result<Option<(alloc::sync::Arc<Relation>, alloc::sync::Arc<Index>)>> {
    let rows = reader.find(PG_INDEX, &["indexrelid"], &[Value::Oid(oid)])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let Some(relation) = reader.relation_by_oid(row.oid("indrelid"))? else { return Ok(None) };
    let index = relation.indexes.iter().find(|i| i.oid == oid).cloned();
    Ok(index.map(|i| (relation, i)))
}

/// `pg_get_viewdef`: the stored query, written for this session's search path. `args` say how.
fn view_definition(cx: &ExecContext<'_>, reader: &Reader<'_>, view: Oid, args: &[Value]) -> Result<Value> {
    let rows = reader.find(PG_REWRITE, &["ev_class"], &[Value::Oid(view)])?;
    let (Some(row), Some(relation)) = (rows.first(), reader.relation_by_oid(view)?) else {
        return Ok(Value::Null);
    };
    let (pretty, wrap) = match args.get(1) {
        Some(Value::Bool(pretty)) => (*pretty, 0),
        Some(Value::Int4(wrap)) => (true, *wrap),
        _ => (false, 0),
    };
    let names: Vec<String> = relation.live().map(|a| a.name.clone()).collect();
    let stored = cx.session.stored_query(reader, row.text("ev_action"))?;
    let text = stored.shown(reader, &names, pretty, wrap)?;
    Ok(some_text(Some(format!("{};", named_types(reader, &text)))))
}

/// `pg_get_ruledef`: the rule that makes a view of a relation.
fn rule_definition(cx: &ExecContext<'_>, reader: &Reader<'_>, rule: Oid, pretty: bool) -> Result<Value> {
    let rows = reader.find(PG_REWRITE, &["oid"], &[Value::Oid(rule)])?;
    let Some(row) = rows.first() else { return Ok(Value::Null) };
    let view = row.oid("ev_class");
    let (Some(relation), Value::Text(query)) = (
        reader.relation_by_oid(view)?,
        view_definition(cx, reader, view, &[Value::Null, Value::Bool(pretty)])?,
    ) else {
        return Ok(Value::Null);
    };
    let mut name = quote_identifier(&relation.name);
    if !(pretty && text::relation_visible(reader, relation.oid, &relation.name)?) {
        name = format!("{}.{name}", quote_identifier(&relation.schema_name));
    }
    let rule = quote_identifier(row.text("rulename"));
    let query = query.trim_start_matches(' ');
    let text = format!("CREATE RULE {rule} AS\n    ON SELECT TO {name} DO INSTEAD  {query}");
    Ok(some_text(Some(text)))
}

pub(super) fn call(
    cx: &ExecContext<'_>,
    reader: &Reader<'_>,
    name: &str,
    args: &[Value],
) -> Result<Option<Value>> {
    let o = arg_oid(args, 0);
    Ok(Some(match name {
        "pg_get_indexdef" => match index_of(reader, o)? {
            None => Value::Null,
            Some((relation, index)) => match arg_int(args, 1) {
                0 => {
                    let pretty = matches!(args.get(2), Some(Value::Bool(true)));
                    let shown = |text: &str| shown_text(cx, reader, &relation, text, pretty);
                    let text = index_definition(&relation, &index, &shown);
                    // The pretty form leaves the schema out when it is on the path.
                    let plain = pretty && text::relation_visible(reader, relation.oid, &relation.name)?;
                    let qualified = format!(" ON {}.", quote_identifier(&relation.schema_name));
                    let text = if plain { text.replacen(&qualified, " ON ", 1) } else { text };
                    some_text(Some(named_types(reader, &text)))
                }
                n => {
                    let pretty = matches!(args.get(2), Some(Value::Bool(true)));
                    let text = index_column(&relation, &index, n.max(1) as usize - 1, false, &|text| {
                        shown_text(cx, reader, &relation, text, pretty)
                    });
                    some_text(Some(named_types(reader, &text)))
                }
            },
        },
        "pg_get_constraintdef" => {
            let rows = reader.find(PG_CONSTRAINT, &["oid"], &[Value::Oid(o)])?;
            if let Some(r) = rows.first().filter(|r| r.oid("contypid") != 0) {
                let pretty = matches!(args.get(1), Some(Value::Bool(true)));
                let text = format!("CHECK ({})", r.text("conbin"));
                let text = if pretty { plain_check(text) } else { text };
                let valid = if r.bool("convalidated") { "" } else { " NOT VALID" };
                return Ok(Some(some_text(Some(format!("{}{valid}", named_types(reader, &text))))));
            }
            let relation = match rows.first() {
                Some(r) => reader.relation_by_oid(r.oid("conrelid"))?,
                None => None,
            };
            let found =
                relation.as_ref().and_then(|r| r.constraints.iter().find(|c| c.oid == o).map(|c| (r, c)));
            let pretty = matches!(args.get(1), Some(Value::Bool(true)));
            let text = found.map(|(r, c)| {
                constraint_definition(reader, r, c, &|text| shown_text(cx, reader, r, text, pretty))
            });
            let text = text.transpose()?;
            some_text(text.map(|t| named_types(reader, &t)))
        }
        "pg_get_viewdef" => match args.first() {
            Some(Value::Text(t)) => view_definition(cx, reader, text::find_relation(t, reader)?.oid, args)?,
            _ => view_definition(cx, reader, o, args)?,
        },
        "pg_get_ruledef" => {
            let pretty = matches!(args.get(1), Some(Value::Bool(true)));
            rule_definition(cx, reader, o, pretty)?
        }
        "pg_get_expr" => match args.first() {
            Some(Value::Text(t)) => {
                let pretty = matches!(args.get(2), Some(Value::Bool(true)));
                let relation = reader.relation_by_oid(arg_oid(args, 1))?;
                let bare = || if pretty { plain(t) } else { t.to_string() };
                // Expressions of an index are kept together.
                let each = |r: &Relation| -> Vec<String> {
                    t.split(EXPRESSION_SEPARATOR).map(|e| shown_text(cx, reader, r, e, pretty)).collect()
                };
                let text = relation.map_or_else(bare, |r| each(&r).join(", "));
                some_text(Some(named_types(reader, &text)))
            }
            Some(v) => v.clone(),
            None => Value::Null,
        },
        "pg_get_triggerdef" | "pg_get_partkeydef" | "pg_get_partition_constraintdef" => Value::Null,
        "pg_get_serial_sequence" => serial_sequence(reader, arg_text(args, 0), arg_text(args, 1))?,
        "pg_describe_object" => {
            let object = Address { class: o, object: arg_oid(args, 1), sub: arg_int(args, 2) as i32 };
            some_text(describe_object(cx, reader, object)?)
        }
        _ => return Ok(None),
    }))
}

/// Without the outermost parentheses, as the pretty forms have it.
fn plain(e: &str) -> String {
    let inner = e.strip_prefix('(').and_then(|e| e.strip_suffix(')'));
    let Some(inner) = inner else { return e.to_string() };
    let mut depth = 0i32;
    for b in inner.bytes() {
        depth += match b {
            b'(' => 1,
            b')' => -1,
            _ => 0,
        };
        if depth < 0 {
            return e.to_string();
        }
    }
    inner.to_string()
}

fn plain_check(text: String) -> String {
    let end = text.rfind("))").filter(|_| text.starts_with("CHECK (("));
    let parts = end.and_then(|end| text.get(7..end + 1).zip(text.get(end + 1..)));
    match parts {
        Some((condition, rest)) => format!("CHECK ({}{rest}", plain(condition)),
        None => text,
    }
}

/// The sequence that a serial or identity column owns.
fn serial_sequence(reader: &Reader<'_>, table: &str, column: &str) -> Result<Value> {
    let relation = text::find_relation(table, reader)?;
    let Some(a) = relation.live().find(|a| a.name == column) else {
        return Err(pg_types::SqlError::new(
            pg_types::SqlState::UNDEFINED_COLUMN,
            format!("column \"{column}\" of relation \"{}\" does not exist", relation.name),
        ));
    };
    let key = [Value::Oid(PG_CLASS), Value::Oid(relation.oid), Value::Int4(i32::from(a.attnum))];
    for d in reader.find(PG_DEPEND, &["refclassid", "refobjid", "refobjsubid"], &key)? {
        if d.oid("classid") != PG_CLASS || !matches!(d.char("deptype"), b'a' | b'i') {
            continue;
        }
        if let Some(s) = reader.relation_by_oid(d.oid("objid"))?
            && s.kind == RelationKind::Sequence
        {
            return Ok(some_text(Some(format!(
                "{}.{}",
                quote_identifier(&s.schema_name),
                quote_identifier(&s.name)
            ))));
        }
    }
    Ok(Value::Null)
}

fn describe_object(cx: &ExecContext<'_>, reader: &Reader<'_>, object: Address) -> Result<Option<String>> {
    if object.class == PG_PROC {
        return super::routines::described(reader, object.object);
    }
    let catalog = catalog(object.class).filter(|c| c.column("oid").is_some());
    if catalog.is_none() || reader.find(object.class, &["oid"], &[Value::Oid(object.object)])?.is_empty() {
        return Ok(None);
    }
    Ddl::reading(cx).describe(object).map(Some)
}

/// The name of a routine or a collation that a stored text names by number.
fn routine_name(reader: &Reader<'_>, routine: Oid) -> Result<String> {
    let Some(r) = reader.routine(routine)? else {
        return text::reg_output(routine, pg_types::oid::REGCOLLATION, reader);
    };
    let name = quote_identifier(&r.name);
    let visible = reader.searched().contains(&r.schema);
    Ok(if visible { name } else { format!("{}.{name}", quote_identifier(&r.schema_name)) })
}

/// A stored expression with the names of user types, functions and other objects in it.
pub(crate) fn named_types(reader: &Reader<'_>, text: &str) -> String {
    let label = |ty: Oid, place: i64| {
        let described = reader.user_type(ty).ok().flatten();
        let label = described.as_ref().and_then(|t| t.label_at(place)).map_or("???", |l| &l.text);
        format!("'{}'", label.replace('\'', "''"))
    };
    let name = |o: Oid| {
        if !pg_types::user::is_user(o) {
            return routine_name(reader, o).unwrap_or_else(|_| String::from("???"));
        }
        text::type_name(reader, o, None).unwrap_or_else(|_| String::from("???"))
    };
    let text = pg_types::user::name_references(text, &name, &label);
    pg_types::user::name_objects(&text, &|ty, o| text::reg_output(o, ty, reader).ok())
}

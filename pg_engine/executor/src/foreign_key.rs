//! Foreign keys at work.
//!
//! A statement that changes a table notes the keys that came and went; at its end [`Guard::finish`] looks them up, or
//! changes the rows that refer to them, with statements planned like a client's. Checks of deferred constraints are
//! kept by the transaction and made by [`run_deferred`], which looks at what is there by then, so that a check whose
//! rows went with a savepoint finds nothing to complain of.
//!
//! What a check must not miss: a referenced row that is looked up is locked FOR KEY SHARE until the end of the
//! transaction, so nobody removes it; a referencing row is looked for with a snapshot of the moment, whatever the
//! isolation level.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

use hashbrown::{HashMap, HashSet};
use pg_catalog::{CatalogReader, DeferredCheck, ForeignKey, Relation, builtin::FIRST_ROLE};
use pg_types::{Batch, Oid, Result, SqlError, SqlState, Value, oid, typeinfo};

use crate::{
    context::{ExecContext, Rt},
    cursor::Cursor,
    keys,
    node::modify::seen::may_see,
    text::quote_identifier,
};

/// Keys of new or changed referencing rows.
struct Coming {
    key: Arc<ForeignKey>,
    /// Live positions of the columns.
    positions: Vec<usize>,
    types: Vec<Oid>,
    values: Vec<Vec<Value>>,
    seen: HashSet<Vec<u8>, foldhash::fast::FixedState>,
}

/// Keys of removed or changed referenced rows, with what they became.
struct Going {
    key: Arc<ForeignKey>,
    positions: Vec<usize>,
    values: Vec<(Vec<Value>, Option<Vec<Value>>)>,
}

/// What the foreign keys of a table being changed have to do at the end of the statement.
pub(crate) struct Guard {
    table: Arc<Relation>,
    coming: Vec<Coming>,
    going: Vec<Going>,
    statements: Statements,
}

fn key_of(positions: &[usize], row: &[Value]) -> Vec<Value> {
    positions.iter().map(|p| row.get(*p).cloned().unwrap_or(Value::Null)).collect()
}

impl Guard {
    /// For a table with these live attributes; `None`: it has nothing to do with foreign keys.
    pub(crate) fn new(table: &Arc<Relation>) -> Option<Box<Self>> {
        if table.foreign_keys.is_empty() && table.referenced_by.is_empty() {
            return None;
        }
        let positions = |attnums: &[i16]| -> Vec<usize> {
            attnums.iter().filter_map(|n| table.live().position(|a| a.attnum == *n)).collect()
        };
        let types = |attnums: &[i16]| -> Vec<Oid> {
            attnums.iter().filter_map(|n| table.live().find(|a| a.attnum == *n)).map(|a| a.ty.oid).collect()
        };
        let coming = table.foreign_keys.iter().map(|key| Coming {
            key: key.clone(),
            positions: positions(&key.columns),
            types: types(&key.columns),
            values: Vec::new(),
            seen: HashSet::default(),
        });
        let going = table.referenced_by.iter().map(|key| Going {
            key: key.clone(),
            positions: positions(&key.referenced_columns),
            values: Vec::new(),
        });
        Some(Box::new(Self {
            table: table.clone(),
            coming: coming.collect(),
            going: going.collect(),
            statements: Statements::default(),
        }))
    }

    pub(crate) fn reset(&mut self) {
        for c in &mut self.coming {
            c.values.clear();
            c.seen.clear();
        }
        self.going.iter_mut().for_each(|g| g.values.clear());
    }

    /// Notes a new row.
    pub(crate) fn inserted(&mut self, row: &[Value], rt: &Rt<'_, '_>) -> Result<()> {
        let Self { coming, table, .. } = self;
        coming.iter_mut().try_for_each(|c| c.note(key_of(&c.positions, row), table, rt))
    }

    /// Notes new rows.
    pub(crate) fn inserted_batch(&mut self, b: &Batch, rt: &Rt<'_, '_>) -> Result<()> {
        let Self { coming, table, .. } = self;
        for c in coming {
            for row in b.selected() {
                let key = c.positions.iter().map(|p| b.value(*p, row)).collect();
                c.note(key, table, rt)?;
            }
        }
        Ok(())
    }

    /// Notes a changed row.
    pub(crate) fn updated(&mut self, old: &[Value], new: &[Value], rt: &Rt<'_, '_>) -> Result<()> {
        let Self { coming, going, table, .. } = self;
        for c in coming {
            let key = key_of(&c.positions, new);
            if key != key_of(&c.positions, old) {
                c.note(key, table, rt)?;
            }
        }
        for g in going {
            let (before, after) = (key_of(&g.positions, old), key_of(&g.positions, new));
            if before != after && !before.iter().any(Value::is_null) {
                rt.charge(64 * before.len())?;
                g.values.push((before, Some(after)));
            }
        }
        Ok(())
    }

    /// Notes a removed row.
    pub(crate) fn deleted(&mut self, old: &[Value], rt: &Rt<'_, '_>) -> Result<()> {
        for g in &mut self.going {
            let key = key_of(&g.positions, old);
            if !key.iter().any(Value::is_null) {
                rt.charge(64 * key.len())?;
                g.values.push((key, None));
            }
        }
        Ok(())
    }

    /// Checks and actions at the end of the statement.
    pub(crate) fn finish(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        let idle =
            self.coming.iter().all(|c| c.values.is_empty()) && self.going.iter().all(|g| g.values.is_empty());
        if idle {
            return Ok(());
        }
        let cx = rt.cx;
        // What the statement did is there for what follows.
        cx.txn.borrow_mut().storage().next_command();
        for g in &mut self.going {
            for (old, new) in core::mem::take(&mut g.values) {
                cx.checkpoint()?;
                let action = if new.is_some() { g.key.on_update } else { g.key.on_delete };
                self.statements.act(cx, &g.key, action, old, new)?;
            }
        }
        for c in &mut self.coming {
            let key = &c.key;
            let deferred = cx.txn.borrow().is_deferred(key.oid, key.deferrable, key.deferred);
            for values in core::mem::take(&mut c.values) {
                if deferred {
                    let check = DeferredCheck {
                        constraint: key.oid,
                        table: key.table,
                        key: values,
                        removed: false,
                        row: None,
                    };
                    cx.txn.borrow_mut().defer(check);
                    continue;
                }
                cx.checkpoint()?;
                if !self.statements.find(cx, key, Query::Referenced, &values)? {
                    return Err(missing(cx, key, &values)?);
                }
            }
            c.seen.clear();
        }
        Ok(())
    }
}

impl Coming {
    fn note(&mut self, key: Vec<Value>, table: &Relation, rt: &Rt<'_, '_>) -> Result<()> {
        let nulls = key.iter().filter(|v| v.is_null()).count();
        if nulls > 0 {
            if self.key.full && nulls < key.len() {
                return Err(violation(table, &self.key)
                    .detail("MATCH FULL does not allow mixing of null and nonnull key values."));
            }
            return Ok(());
        }
        let mut encoded = Vec::new();
        for (ty, v) in self.types.iter().zip(&key) {
            keys::encode(*ty, v, &mut encoded);
        }
        if !self.seen.contains(&encoded) {
            rt.charge(encoded.len() + 64 * key.len())?;
            self.seen.insert(encoded);
            self.values.push(key);
        }
        Ok(())
    }
}

fn violation(table: &Relation, key: &ForeignKey) -> SqlError {
    let text = format!(
        "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
        table.name, key.name
    );
    SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, text)
        .table(table.schema_name.clone(), table.name.clone())
        .constraint(key.name.clone())
        .routine(VIOLATION)
}

/// The function of PostgreSQL that reports it.
const VIOLATION: &str = "ri_ReportViolation";

/// `(a, b)=(1, 2) `, if the user may see that.
fn shown(cx: &ExecContext<'_>, table: &Relation, attnums: &[i16], values: &[Value]) -> Result<String> {
    if !may_see(table, attnums.iter().copied(), cx) {
        return Ok(String::new());
    }
    let (mut names, mut shown) = (Vec::new(), Vec::new());
    for (n, v) in attnums.iter().zip(values) {
        let Some(a) = table.live().find(|a| a.attnum == *n) else { continue };
        names.push(a.name.clone());
        shown.push(if v.is_null() { "null".into() } else { crate::text::output(v, a.ty.oid, cx)? });
    }
    Ok(format!("({})=({}) ", names.join(", "), shown.join(", ")))
}

/// A referencing row's key is not there.
fn missing(cx: &ExecContext<'_>, key: &ForeignKey, values: &[Value]) -> Result<SqlError> {
    let (table, referenced) = tables(cx, key)?;
    let detail = format!(
        "Key {}is not present in table \"{}\".",
        shown(cx, &table, &key.columns, values)?,
        referenced.name
    );
    Ok(violation(&table, key).detail(detail))
}

/// A referenced row's key is still referred to.
fn referenced(cx: &ExecContext<'_>, key: &ForeignKey, values: &[Value]) -> Result<SqlError> {
    let (table, referenced) = tables(cx, key)?;
    let text = format!(
        "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
        referenced.name, key.name, table.name
    );
    let detail = format!(
        "Key {}is still referenced from table \"{}\".",
        shown(cx, &referenced, &key.referenced_columns, values)?,
        table.name
    );
    Ok(SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, text)
        .detail(detail)
        .table(table.schema_name.clone(), table.name.clone())
        .constraint(key.name.clone())
        .routine(VIOLATION))
}

/// The referencing and the referenced table.
fn tables(cx: &ExecContext<'_>, key: &ForeignKey) -> Result<(Arc<Relation>, Arc<Relation>)> {
    let reader = cx.reader()?;
    let find = |oid| -> Result<Arc<Relation>> {
        reader.relation_by_oid(oid)?.ok_or_else(|| SqlError::internal("a table of a foreign key is gone"))
    };
    Ok((find(key.table)?, find(key.referenced)?))
}

/// The statements of a foreign key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Query {
    /// The referenced row of a key, locked.
    Referenced,
    /// Is a referenced key there (again)? By the values of the referenced columns.
    Still,
    /// Does a row refer to a key? By the values of the referenced columns.
    Referencing,
    /// Does a row have this referencing key?
    Holding,
    /// CASCADE of a removal.
    Delete,
    /// CASCADE of a change.
    Cascade,
    /// Of a removal, which may change some of the columns only, or of a change.
    SetNull(bool),
    SetDefault(bool),
}

/// Statements made ready, by constraint.
#[derive(Default)]
struct Statements(HashMap<(Oid, Query), Cursor, foldhash::fast::FixedState>);

impl Statements {
    /// Does the query find a row?
    fn find(
        &mut self,
        cx: &ExecContext<'_>,
        key: &ForeignKey,
        query: Query,
        values: &[Value],
    ) -> Result<bool> {
        let cursor = self.cursor(cx, key, query)?;
        let mut txn = cx.txn.borrow_mut();
        let inner = ExecContext::new(cx.engine, cx.session, &mut txn, values);
        match query {
            Query::Referenced => cursor.open(&inner)?,
            _ => cursor.open_latest(&inner)?,
        }
        let found = cursor.next(&inner)?.is_some();
        cursor.close();
        Ok(found)
    }

    /// Runs a change.
    fn change(
        &mut self,
        cx: &ExecContext<'_>,
        key: &ForeignKey,
        query: Query,
        values: &[Value],
    ) -> Result<()> {
        let cursor = self.cursor(cx, key, query)?;
        let mut txn = cx.txn.borrow_mut();
        let inner = ExecContext::new(cx.engine, cx.session, &mut txn, values);
        cursor.open(&inner)?;
        while cursor.next(&inner)?.is_some() {}
        cursor.close();
        Ok(())
    }

    fn cursor(&mut self, cx: &ExecContext<'_>, key: &ForeignKey, query: Query) -> Result<&mut Cursor> {
        let id = (key.oid, query);
        if !self.0.contains_key(&id) {
            let (table, referenced) = tables(cx, key)?;
            let text = statement(key, &table, &referenced, query);
            // The engine's own statement: nobody's privileges and policies concern it.
            let reader = cx.reader()?.with_user(FIRST_ROLE);
            let planned = cx.session.plan_query(&reader, &text)?;
            drop(reader);
            let version = cx.engine.catalog_version();
            cx.engine.lock_plan(&mut cx.txn.borrow_mut(), &planned, version)?;
            self.0.insert(id, Cursor::new(&planned)?);
        }
        self.0.get_mut(&id).ok_or_else(|| SqlError::internal("a statement got lost"))
    }

    /// What a referenced row's end or change means for the rows that refer to it.
    fn act(
        &mut self,
        cx: &ExecContext<'_>,
        key: &Arc<ForeignKey>,
        action: u8,
        old: Vec<Value>,
        new: Option<Vec<Value>>,
    ) -> Result<()> {
        match (action, new) {
            (b'c', None) => self.change(cx, key, Query::Delete, &old),
            (b'c', Some(new)) => {
                let values: Vec<Value> = old.into_iter().chain(new).collect();
                self.change(cx, key, Query::Cascade, &values)
            }
            (b'n', new) => self.change(cx, key, Query::SetNull(new.is_none()), &old),
            (b'd', new) => {
                self.change(cx, key, Query::SetDefault(new.is_none()), &old)?;
                // The default may be the very key that goes.
                self.refuse(cx, key, &old)
            }
            (b'r', _) => {
                if self.find(cx, key, Query::Referencing, &old)? {
                    return Err(referenced(cx, key, &old)?);
                }
                Ok(())
            }
            _ => {
                if cx.txn.borrow().is_deferred(key.oid, key.deferrable, key.deferred) {
                    let check = DeferredCheck {
                        constraint: key.oid,
                        table: key.table,
                        key: old,
                        removed: true,
                        row: None,
                    };
                    cx.txn.borrow_mut().defer(check);
                    return Ok(());
                }
                self.refuse(cx, key, &old)
            }
        }
    }

    /// NO ACTION: an error if the key is referred to and not there again.
    fn refuse(&mut self, cx: &ExecContext<'_>, key: &ForeignKey, old: &[Value]) -> Result<()> {
        if self.find(cx, key, Query::Referencing, old)? && !self.find(cx, key, Query::Still, old)? {
            return Err(referenced(cx, key, old)?);
        }
        Ok(())
    }
}

fn table_name(table: &Relation) -> String {
    format!("{}.{}", quote_identifier(&table.schema_name), quote_identifier(&table.name))
}

/// The text of a statement. Parameters are cast to the type of the column that their values come from.
fn statement(key: &ForeignKey, table: &Relation, referenced: &Relation, query: Query) -> String {
    let columns = |r: &Relation, attnums: &[i16]| -> Vec<(String, Oid)> {
        attnums
            .iter()
            .filter_map(|n| r.live().find(|a| a.attnum == *n))
            .map(|a| (quote_identifier(&a.name), a.ty.oid))
            .collect()
    };
    let own = columns(table, &key.columns);
    let theirs = columns(referenced, &key.referenced_columns);
    // (columns compared, types of the values)
    let (compared, given) = match query {
        Query::Referenced => (&theirs, &own),
        Query::Still => (&theirs, &theirs),
        Query::Holding => (&own, &own),
        _ => (&own, &theirs),
    };
    let parameter = |n: usize, from: Oid, to: Oid| {
        let cast = |ty: Oid| match pg_types::user::is_user(ty) {
            true => pg_types::user::reference(ty),
            false => format!("pg_catalog.{}", typeinfo::get(ty).map_or("text", |t| t.name)),
        };
        let wider = matches!((from, to), (oid::INT2, oid::INT4 | oid::INT8) | (oid::INT4, oid::INT8));
        let second = if wider { format!("::{}", cast(to)) } else { String::new() };
        format!("${}::{}{second}", n + 1, cast(from))
    };
    let conditions: Vec<String> = compared
        .iter()
        .zip(given)
        .enumerate()
        .map(|(n, ((name, ty), (_, from)))| format!("x.{name} = {}", parameter(n, *from, *ty)))
        .collect();
    let condition = conditions.join(" AND ");
    let set = |columns: &[(String, Oid)], value: &dyn Fn(usize) -> String| -> String {
        let list: Vec<String> =
            columns.iter().enumerate().map(|(n, (name, _))| format!("{name} = {}", value(n))).collect();
        list.join(", ")
    };
    let changed = |removal: bool| match key.delete_columns.as_slice() {
        some if removal && !some.is_empty() => columns(table, some),
        _ => own.clone(),
    };
    let (child, parent) = (table_name(table), table_name(referenced));
    match query {
        Query::Referenced => format!("SELECT 1 FROM ONLY {parent} x WHERE {condition} FOR KEY SHARE OF x"),
        Query::Still => format!("SELECT 1 FROM ONLY {parent} x WHERE {condition} LIMIT 1"),
        Query::Referencing | Query::Holding => {
            format!("SELECT 1 FROM ONLY {child} x WHERE {condition} LIMIT 1")
        }
        Query::Delete => format!("DELETE FROM ONLY {child} x WHERE {condition}"),
        Query::Cascade => {
            let types: Vec<Oid> = theirs.iter().map(|t| t.1).collect();
            let value = |n: usize| parameter(n + own.len(), types.get(n).copied().unwrap_or(oid::TEXT), 0);
            format!("UPDATE ONLY {child} x SET {} WHERE {condition}", set(&own, &value))
        }
        Query::SetNull(removal) => {
            format!(
                "UPDATE ONLY {child} x SET {} WHERE {condition}",
                set(&changed(removal), &|_| "NULL".into())
            )
        }
        Query::SetDefault(removal) => {
            format!(
                "UPDATE ONLY {child} x SET {} WHERE {condition}",
                set(&changed(removal), &|_| "DEFAULT".into())
            )
        }
    }
}

/// Makes the checks put off, of all constraints or these.
pub(crate) fn run_deferred(cx: &ExecContext<'_>, only: Option<&[Oid]>) -> Result<()> {
    let mut statements = Statements::default();
    let pending = cx.txn.borrow_mut().take_deferred();
    if pending.is_empty() {
        return Ok(());
    }
    cx.txn.borrow_mut().storage().next_command();
    for check in pending {
        if only.is_some_and(|o| !o.contains(&check.constraint)) {
            cx.txn.borrow_mut().defer(check);
            continue;
        }
        cx.checkpoint()?;
        // The constraint may have been dropped since.
        let table = cx.reader()?.relation_by_oid(check.table)?;
        if let (Some((key, tid)), Some(table)) = (&check.row, &table) {
            crate::unique::recheck_constraint(cx, table, check.constraint, key, *tid)?;
            continue;
        }
        let key = table.and_then(|t| t.foreign_keys.iter().find(|k| k.oid == check.constraint).cloned());
        let Some(key) = key else { continue };
        if check.removed {
            statements.refuse(cx, &key, &check.key)?;
        } else if statements.find(cx, &key, Query::Holding, &check.key)?
            && !statements.find(cx, &key, Query::Referenced, &check.key)?
        {
            return Err(missing(cx, &key, &check.key)?);
        }
    }
    Ok(())
}

/// Checks the rows that are there when a constraint is made.
pub(crate) fn validate(cx: &ExecContext<'_>, key: &ForeignKey) -> Result<()> {
    let (table, referenced) = tables(cx, key)?;
    let names = |r: &Relation, attnums: &[i16]| -> Vec<String> {
        let columns = attnums.iter().filter_map(|n| r.live().find(|a| a.attnum == *n));
        columns.map(|a| quote_identifier(&a.name)).collect()
    };
    let (own, theirs) = (names(&table, &key.columns), names(&referenced, &key.referenced_columns));
    let joined: Vec<String> = own.iter().zip(&theirs).map(|(c, p)| format!("p.{p} = c.{c}")).collect();
    let known: Vec<String> = own.iter().map(|c| format!("c.{c} IS NOT NULL")).collect();
    let mixed = key.full && own.len() > 1;
    let text = format!(
        "SELECT c.{} FROM ONLY {} c LEFT JOIN ONLY {} p ON {} WHERE p.{} IS NULL AND ({}) LIMIT 1",
        own.join(", c."),
        table_name(&table),
        table_name(&referenced),
        joined.join(" AND "),
        theirs.first().map_or("ctid", String::as_str),
        known.join(if mixed { " OR " } else { " AND " }),
    );
    let planned = cx.session.plan_query(&cx.reader()?, &text)?;
    let mut cursor = Cursor::new(&planned)?;
    cursor.open(cx)?;
    let Some(found) = cursor.next(cx)? else { return Ok(()) };
    let values = found.nth_row(0).map(|row| found.row_values(row)).unwrap_or_default();
    if values.iter().any(Value::is_null) {
        return Err(
            violation(&table, key).detail("MATCH FULL does not allow mixing of null and nonnull key values.")
        );
    }
    Err(missing(cx, key, &values)?)
}

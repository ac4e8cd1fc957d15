//! The extended protocol: Parse, Bind, Describe, Execute, Close.

use alloc::{borrow::ToOwned, boxed::Box, format, sync::Arc, vec::Vec};

use hashbrown::hash_map::Entry;
use pg_executor::ExecContext;
use pg_sql::StatementKind;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType};
use pg_wire::{
    Encoder,
    frontend::{Bind, I16List, Target, U32List},
};

use crate::{
    datum,
    portal::{Formats, Portal, Progress, Run},
    rows,
    session::Session,
    statement::{Bound, Prepared, Stored, ends_transaction, no_transaction, transaction_failed},
    utility::UtilityRun,
};

fn no_statement(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_SQL_STATEMENT_NAME,
        if name.is_empty() {
            "unnamed prepared statement does not exist".to_owned()
        } else {
            format!("prepared statement \"{name}\" does not exist")
        },
    )
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

fn protocol(message: alloc::string::String) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

impl Session {
    #[inline]
    pub(crate) fn stored(&self, name: &str) -> Result<&Stored> {
        let found = if name.is_empty() { self.unnamed.as_ref() } else { self.statements.get(name) };
        found.ok_or_else(|| no_statement(name))
    }

    #[inline]
    pub(crate) fn stored_mut(&mut self, name: &str) -> Option<&mut Stored> {
        if name.is_empty() { self.unnamed.as_mut() } else { self.statements.get_mut(name) }
    }

    /// Parse.
    pub(crate) fn parse(
        &mut self,
        name: &str,
        query: &str,
        types: U32List<'_>,
        out: &mut Encoder,
    ) -> Result<()> {
        if name.is_empty() {
            self.unnamed = None;
        } else if self.statements.contains_key(name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_PREPARED_STATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        self.env.apply_settings(false);
        let declared: Vec<Option<Oid>> = types.iter().map(|t| Some(t).filter(|t| *t != 0)).collect();
        let prepared = self.prepare(query, &declared)?;
        let stored = Stored::new(name, prepared, crate::env::now(), None);
        if name.is_empty() {
            self.unnamed = Some(stored);
        } else {
            self.statements.insert(name.into(), stored);
        }
        self.env.drain_notices(out);
        out.parse_complete();
        Ok(())
    }

    /// Bind.
    pub(crate) fn bind_portal(&mut self, bind: &Bind<'_>, out: &mut Encoder) -> Result<()> {
        let failed = self.tx.is_failed();
        let exists = !bind.portal.is_empty() && self.portals.contains(bind.portal);
        let stored = self.stored_mut(bind.statement).ok_or_else(|| no_statement(bind.statement))?;
        if failed && !stored.prepared.ends_transaction() {
            return Err(transaction_failed());
        }
        if exists {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{}\" already exists", bind.portal),
            ));
        }
        check_counts(bind, &stored.prepared)?;
        if matches!(&stored.prepared, Prepared::Query(plan) if plan.custom.is_none()) {
            stored.runs.0 += 1;
        }
        let (prepared, statement, cursor) =
            (stored.prepared.clone(), stored.name.clone(), stored.cursor.take());
        let run = match &prepared {
            Prepared::Empty => Run::Empty,
            Prepared::Query(plan) => {
                self.begin_implicit();
                let mut run = self.new_run(plan);
                self.read_params(bind, &plan.planned.params, run.params_mut())?;
                if plan.custom.is_some() {
                    run.plan = self.suited(plan, run.params_mut())?;
                    if let Some(stored) = self.stored_mut(bind.statement) {
                        stored.count(&run.plan);
                    }
                }
                run.set_cursor(cursor.filter(|c| Arc::ptr_eq(c.planned(), &run.plan.planned)));
                Run::Query(run)
            }
            Prepared::Other(parsed, types) => match parsed.kind() {
                StatementKind::Transaction(t) => Run::Transaction(t.clone()),
                _ => {
                    let mut params = Vec::new();
                    self.read_params(bind, types, &mut params)?;
                    Run::Utility(Box::new(UtilityRun::new(parsed.clone(), types.clone(), params)))
                }
            },
        };
        let formats = match &run {
            Run::Query(q) => read_formats(bind.result_formats, Some(q.plan.planned.columns.len()))?,
            _ => read_formats(bind.result_formats, None)?,
        };
        let text: Option<Arc<str>> = match &prepared {
            Prepared::Empty => None,
            Prepared::Query(plan) => Some(plan.parsed.source().clone()),
            Prepared::Other(parsed, _) => Some(parsed.source().clone()),
        };
        let life = self.life_of_portal();
        let portal = Portal { run, formats, statement, text, cursor: None, made: 0, life };
        self.portals.put(bind.portal, portal);
        out.bind_complete();
        Ok(())
    }

    #[inline]
    fn read_params(
        &mut self,
        bind: &Bind<'_>,
        types: &[SqlType],
        params: &mut Vec<pg_types::Value>,
    ) -> Result<()> {
        let encoding = self.env.derived().encoding;
        let mut formats = bind.formats.iter();
        let mut binary = false;
        for (i, (bytes, ty)) in bind.params.iter().zip(types).enumerate() {
            if i == 0 || bind.formats.len() > 1 {
                binary = format_code(formats.next().unwrap_or(0))?;
            }
            let ty = &self.env.plain_type(*ty)?;
            let decoded;
            let bytes = match (bytes, encoding) {
                (Some(b), Some(encoding)) if !b.is_ascii() => match rows::carried(*ty, binary) {
                    rows::Carried::Bytes => Some(b),
                    rows::Carried::Parts => return Err(rows::in_parts(*ty)),
                    rows::Carried::Text => {
                        decoded = encoding.decode(b)?;
                        Some(decoded.as_bytes())
                    }
                },
                (bytes, _) => bytes,
            };
            let value = match bytes {
                None => pg_types::Value::Null,
                Some(b) if !binary && pg_executor::text::needs_catalog(ty.oid) => self.named(*ty, b)?,
                Some(b) => datum::parameter(*ty, b, binary, &self.env.derived().format, i + 1)?,
            };
            params.push(value);
        }
        Ok(())
    }

    /// A parameter whose text names something in the catalogs.
    fn named(&mut self, ty: SqlType, bytes: &[u8]) -> Result<pg_types::Value> {
        let text = pg_types::io::valid_text(bytes)?;
        self.begin_implicit();
        let engine = self.engine.clone();
        let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
        pg_executor::text::input(text, ty, &ExecContext::new(&engine, &self.env, txn, &[]))
    }

    /// Describe of a statement.
    pub(crate) fn describe_statement(&mut self, name: &str, out: &mut Encoder) -> Result<()> {
        let prepared = self.stored(name)?.prepared.clone();
        let has_rows = match &prepared {
            Prepared::Query(plan) => !plan.planned.columns.is_empty(),
            _ => true,
        };
        self.check_not_failed(!has_rows || prepared.ends_transaction())?;
        out.parameter_description(prepared.params().iter().map(|t| t.oid));
        match &prepared {
            Prepared::Empty => out.no_data(),
            Prepared::Query(plan) => Run::query(plan, Vec::new(), None).describe(&Formats::Text, out),
            Prepared::Other(parsed, types) => {
                let mut run = UtilityRun::new(parsed.clone(), types.clone(), Vec::new());
                self.bind_utility(&mut run)?;
                Run::Utility(Box::new(run)).describe(&Formats::Text, out);
            }
        }
        Ok(())
    }

    /// A portal, taken out. One that failed is gone, as is its transaction.
    #[inline]
    fn portal(&mut self, name: &str) -> Result<Portal> {
        if let Some(portal) = self.portals.take(name) {
            return Ok(portal);
        }
        self.check_not_failed(false)?;
        Err(no_portal(name))
    }

    /// Describe of a portal.
    pub(crate) fn describe_portal(&mut self, name: &str, out: &mut Encoder) -> Result<()> {
        if let Some(portal) = self.portals.get(name)
            && !matches!(portal.run, Run::Utility(_))
        {
            portal.run.describe(&portal.formats, out);
            return Ok(());
        }
        let mut portal = self.portal(name)?;
        let bound = match &mut portal.run {
            Run::Utility(run) => self.bind_utility(run),
            _ => Ok(()),
        };
        if bound.is_ok() {
            portal.run.describe(&portal.formats, out);
        }
        self.portals.put(name, portal);
        bound
    }

    /// Execute.
    pub(crate) fn execute_portal(&mut self, name: &str, max_rows: u32, out: &mut Encoder) -> Result<()> {
        let mut portal = self.portal(name)?;
        let ends = match &portal.run {
            Run::Empty => true,
            Run::Transaction(_) => true,
            Run::Utility(u) => ends_transaction(u.parsed()),
            _ => false,
        };
        if !matches!(&portal.run, Run::Transaction(t) if !is_ending(t)) || self.tx.is_failed() {
            let ends = ends && !matches!(&portal.run, Run::Transaction(t) if !is_ending(t));
            self.check_not_failed(ends)?;
        }
        self.begin_statement(portal.text.as_ref());
        if !matches!(portal.run, Run::Transaction(_) | Run::Empty) {
            self.begin_implicit();
        }
        if let (Run::Transaction(_), Some(text)) = (&portal.run, &portal.text) {
            self.audit_utility("TRANSACTION", text)?;
        }
        let progress = match portal.cursor {
            None => self.drive(&mut portal.run, &portal.formats, u64::from(max_rows), out)?,
            Some(_) => self.execute_cursor(&mut portal, max_rows, out)?,
        };
        self.env.drain_notices(out);
        self.end_statement();
        match progress {
            Progress::Suspended => {
                out.portal_suspended();
                self.portals.put(name, portal);
            }
            Progress::Complete => {
                // What follows before Sync shares the transaction.
                self.tx.pipeline = true;
                self.finish_portal(name, portal);
            }
            Progress::Copying => {}
        }
        Ok(())
    }

    /// A portal that ran to its end: its operators go back to the statement.
    #[inline]
    fn finish_portal(&mut self, name: &str, portal: Portal) {
        match portal.run {
            Run::Query(mut query) if name.is_empty() => {
                let cursor = query.recycle();
                if query.plan.for_values {
                    self.spare_run = Some(query);
                    return;
                }
                if let Some(stored) = self.stored_mut(portal.statement.as_deref().unwrap_or_default()) {
                    stored.cursor = cursor;
                    // Catalogs may have changed: the next run begins with what this one found.
                    if let Prepared::Query(kept) = &mut stored.prepared
                        && !Arc::ptr_eq(kept, &query.plan)
                    {
                        *kept = query.plan.clone();
                    }
                }
                self.spare_run = Some(query);
            }
            // COMMIT closed the portals; this one went with them.
            Run::Done(_) | Run::Transaction(_) => {}
            run => self.portals.put(name, Portal { run, ..portal }),
        }
    }

    /// Close.
    pub(crate) fn close(&mut self, target: Target<'_>) {
        match target {
            Target::Statement("") => self.unnamed = None,
            Target::Statement(name) => {
                if let Entry::Occupied(e) = self.statements.entry(name.into()) {
                    e.remove();
                }
            }
            Target::Portal(name) => self.portals.close(name),
        }
    }
}

fn is_ending(t: &pg_plan::statement::Transaction) -> bool {
    use pg_plan::statement::Transaction as T;
    matches!(t, T::Commit { .. } | T::Rollback { .. } | T::RollbackTo(_) | T::Prepare(_))
}

fn check_counts(bind: &Bind<'_>, prepared: &Prepared) -> Result<()> {
    let needed = prepared.params().len();
    if bind.formats.len() > 1 && bind.formats.len() != bind.params.len() {
        return Err(protocol(format!(
            "bind message has {} parameter formats but {} parameters",
            bind.formats.len(),
            bind.params.len()
        )));
    }
    if bind.params.len() != needed {
        return Err(protocol(format!(
            "bind message supplies {} parameters, but prepared statement \"{}\" requires {needed}",
            bind.params.len(),
            bind.statement
        )));
    }
    Ok(())
}

#[inline]
fn format_code(code: i16) -> Result<bool> {
    match code {
        0 => Ok(false),
        1 => Ok(true),
        n => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unsupported format code: {n}"))),
    }
}

#[inline]
fn read_formats(list: I16List<'_>, columns: Option<usize>) -> Result<Formats> {
    match list.len() {
        0 => Ok(Formats::Text),
        1 => match list.iter().next() {
            Some(code) => Ok(if format_code(code)? { Formats::Binary } else { Formats::Text }),
            None => Ok(Formats::Text),
        },
        n => {
            if let Some(columns) = columns.filter(|c| *c != n) {
                return Err(protocol(format!(
                    "bind message has {n} result formats but query has {columns} columns"
                )));
            }
            list.iter().map(format_code).collect::<Result<Box<[bool]>>>().map(Formats::Each)
        }
    }
}

/// The bound form of a utility statement, or an error when it turned out to be a query.
pub fn expect_utility(bound: Bound) -> Result<pg_plan::statement::Statement> {
    match bound {
        Bound::Utility(s) => Ok(*s),
        Bound::Plan(_) => Err(SqlError::internal("a utility statement became a query")),
    }
}

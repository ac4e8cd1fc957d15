//! COPY FROM STDIN and TO STDOUT.
//!
//! COPY FROM is an INSERT whose source is VALUES without rows, fed batch by batch from the decoder. Between messages it
//! waits in the session's state, not on a worker's stack.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec, vec::Vec};

use pg_encoding::Encoding;
use pg_executor::{
    Cursor, ExecContext,
    copy::{Column as FileColumn, Decoder, Encoder as FileEncoder},
};
use pg_plan::{
    expr::Expr,
    logical::{Column, Logical},
    statement::{Body, InsertBody, Planned, Query, Statement},
    utility::{Copy, CopyOptions, CopyTarget, Utility},
};
use pg_types::{Batch, Result, SqlError, SqlState, SqlType};
use pg_wire::{Encoder, Frontend};

use crate::{
    connection::Step,
    extended::expect_utility,
    portal::Progress,
    rows::{Carried, carried, in_parts},
    session::Session,
    simple::Rest,
    statement::{CATALOG_TURNS, never_still, no_transaction},
};

/// A COPY FROM STDIN under way: the session keeps it between messages.
pub struct CopyIn {
    /// Statements of the same simple query that come after it; `None`: it runs in the extended protocol.
    pub rest: Option<Rest>,
    decoder: Decoder,
    /// The file is not UTF-8.
    converter: Option<pg_encoding::Decoder>,
    cursor: Cursor,
    rows: u64,
    /// It has a WHERE.
    filtered: bool,
}

/// Rows of a COPY TO are sent in messages of about this size.
const OUT_CHUNK: usize = 8 << 10;

impl Session {
    /// Runs COPY. The statement is bound anew as long as others change the catalogs before its tables are locked.
    pub(crate) fn copy(
        &mut self,
        parsed: &pg_sql::ParsedStatement,
        mut copy: Copy,
        out: &mut Encoder,
    ) -> Result<Progress> {
        let mut version = self.engine.catalog_version();
        for _ in 0..CATALOG_TURNS {
            let progress = match copy.target {
                CopyTarget::To(query) => self.copy_to(query, &copy.options, version, out)?,
                target @ CopyTarget::From { .. } => self.copy_from(target, &copy.options, version, out)?,
            };
            if let Some(progress) = progress {
                return Ok(progress);
            }
            version = self.engine.catalog_version();
            copy = match expect_utility(self.bind(parsed, &[])?)? {
                Statement::Utility(utility) => match *utility {
                    Utility::Copy(again) => again,
                    _ => return Err(SqlError::internal("COPY became another statement")),
                },
                _ => return Err(SqlError::internal("COPY became another statement")),
            };
        }
        Err(never_still())
    }

    /// The plan, with its tables locked; `None`: the catalogs are no longer what they were at this version.
    fn plan_copy(&mut self, query: Query, version: u64) -> Result<Option<Arc<Planned>>> {
        let engine = self.engine.clone();
        let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
        let reader = engine.reader(txn, &self.env)?;
        let planned = Arc::new(pg_planner::plan(query, &*reader, &self.env.derived().planner)?);
        drop(reader);
        if !engine.lock_plan(txn, &planned, version)? {
            return Ok(None);
        }
        self.tx.used = true;
        Ok(Some(planned))
    }

    fn copy_to(
        &mut self,
        query: Query,
        options: &CopyOptions,
        version: u64,
        out: &mut Encoder,
    ) -> Result<Option<Progress>> {
        let Some(planned) = self.plan_copy(query, version)? else { return Ok(None) };
        let columns = planned.columns.iter().map(|c| FileColumn { name: c.name.clone(), ty: c.ty }).collect();
        let mut file = FileEncoder::new(columns, options);
        let mut cursor = Cursor::new(&planned)?;
        self.with_context(|cx| cursor.open(cx))?;
        let types = planned.columns.iter().map(|c| c.ty);
        let encoding = self.file_encoding(options, file.is_binary(), types)?;
        out.copy_out_response(file.is_binary(), file.columns());
        let mut data = Vec::new();
        file.header(&mut data);
        if !file.is_binary() && !data.is_empty() {
            out.copy_data_with(encoding, |buffer| buffer.append(&mut data))?;
        }
        let mut rows = 0;
        while let Some(batch) = self.with_context(|cx| cursor.next(cx))? {
            file.batch(&batch);
            for row in batch.selected() {
                rows += 1;
                // One row a message, as clients expect it; the first has the signature of binary files.
                out.copy_data_with(encoding, |buffer| {
                    buffer.append(&mut data);
                    file.row(&batch, row, &self.env.derived().format, buffer);
                })?;
                if out.len() >= OUT_CHUNK {
                    self.relieve(out)?;
                }
            }
        }
        cursor.close();
        file.trailer(&mut data);
        if !data.is_empty() {
            out.copy_data_with(encoding, |buffer| buffer.append(&mut data))?;
        }
        out.copy_done();
        self.env.drain_notices(out);
        out.command_complete_rows("COPY", rows);
        Ok(Some(Progress::Complete))
    }

    /// What a file is converted from or to; `None`: it is UTF-8.
    fn file_encoding(
        &self,
        options: &CopyOptions,
        binary: bool,
        mut types: impl Iterator<Item = SqlType>,
    ) -> Result<Option<Encoding>> {
        let encoding = match options.encoding {
            None => self.env.derived().encoding,
            Some(encoding) => Some(encoding).filter(|e| !e.is_plain()),
        };
        if !binary || encoding.is_none() {
            return Ok(encoding);
        }
        match types.find(|t| carried(*t, true) != Carried::Bytes) {
            None => Ok(None),
            Some(ty) => Err(in_parts(ty)),
        }
    }

    fn with_context<T>(&mut self, f: impl FnOnce(&ExecContext<'_>) -> Result<T>) -> Result<T> {
        let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
        f(&ExecContext::new(&self.engine, &self.env, txn, &[]))
    }

    fn copy_from(
        &mut self,
        target: CopyTarget,
        options: &CopyOptions,
        version: u64,
        out: &mut Encoder,
    ) -> Result<Option<Progress>> {
        let CopyTarget::From { relation, columns: listed, defaults, filter, target } = target else {
            return Err(SqlError::internal("not a COPY FROM"));
        };
        let attribute = |attnum: i16| {
            relation
                .live()
                .find(|a| a.attnum == attnum)
                .ok_or_else(|| SqlError::internal("COPY names a column that is not there"))
        };
        let mut file = Vec::new();
        let mut fed = Vec::new();
        // Ids of the file's columns lie above those of the row's.
        let mut next_id = target.columns.iter().max().map_or(0, |id| id + 1);
        for attnum in &listed {
            let a = attribute(*attnum)?;
            file.push(FileColumn { name: a.name.clone(), ty: a.ty });
            fed.push(Column { id: next_id, name: a.name.clone(), ty: a.ty });
            next_id += 1;
        }
        let row = relation.live().zip(&target.columns).map(|(a, id)| {
            let from_file = listed.iter().position(|n| *n == a.attnum).and_then(|i| fed.get(i));
            let default = defaults.iter().find(|(n, _)| *n == a.attnum).map(|(_, e)| e.clone());
            let value = match (from_file, default) {
                (Some(c), _) => Expr::Column(c.id, c.ty),
                (None, Some(e)) => e,
                (None, None) => Expr::Const(pg_types::Value::Null, a.ty),
            };
            (Column { id: *id, name: a.name.clone(), ty: a.ty }, value)
        });
        let row = row.collect();
        let mut source = Logical::Project(Box::new(Logical::Values { rows: Vec::new(), columns: fed }), row);
        let filtered = filter.is_some();
        if let Some(filter) = filter {
            source = Logical::Filter(Box::new(source), filter);
        }
        let name = relation.name.clone();
        let lasting = relation.persistence != b't';
        let indexed = !relation.indexes.is_empty();
        let query = Query {
            denied: None,
            relations: vec![relation.oid],
            body: Body::Insert(InsertBody { target, source, on_conflict: None }),
            columns: Vec::new(),
            ctes: Vec::new(),
            params: Vec::new(),
            origins: Vec::new(),
            slots: 0,
            column_ids: next_id,
            cacheable: false,
        };
        let Some(planned) = self.plan_copy(query, version)? else { return Ok(None) };
        if let Some(txn) = self.tx.txn.as_ref().filter(|_| lasting) {
            txn.check_writable("COPY FROM")?;
        }
        let types: Vec<SqlType> = file.iter().map(|c| c.ty).collect();
        let mut decoder = Decoder::new(&name, file, options);
        let encoding = self.file_encoding(options, decoder.is_binary(), types.into_iter())?;
        let converter = encoding.map(pg_encoding::Decoder::new);
        if indexed {
            decoder.large_batches();
        }
        out.copy_in_response(decoder.is_binary(), decoder.columns());
        self.copy = Some(Box::new(CopyIn {
            rest: None,
            decoder,
            converter,
            cursor: Cursor::new(&planned)?,
            rows: 0,
            filtered,
        }));
        Ok(Some(Progress::Copying))
    }

    /// Handles a message while a COPY FROM waits for data.
    pub(crate) fn copy_message(&mut self, message: Frontend<'_>, out: &mut Encoder) -> Result<Step> {
        let Some(mut copy) = self.copy.take() else { return Ok(Step::Continue) };
        let simple = copy.rest.is_some();
        let done = match message {
            Frontend::CopyData(data) => match self.copy_piece(&mut copy, Some(data)) {
                Ok(()) => {
                    self.copy = Some(copy);
                    return Ok(Step::Continue);
                }
                Err(e) => Err(e),
            },
            // Allowed during COPY, without effect.
            Frontend::Flush | Frontend::Sync => {
                self.copy = Some(copy);
                return Ok(Step::Continue);
            }
            Frontend::CopyDone => self.copy_piece(&mut copy, None),
            Frontend::CopyFail(reason) => {
                Err(SqlError::new(SqlState::QUERY_CANCELED, format!("COPY from stdin failed: {reason}")))
            }
            Frontend::Terminate => return Ok(Step::Close),
            _ => {
                return Err(SqlError::new(
                    SqlState::PROTOCOL_VIOLATION,
                    String::from("unexpected message type during COPY from stdin"),
                ));
            }
        };
        match done {
            Ok(()) => self.copy_complete(*copy, out),
            Err(e) if simple => self.simple_failed(e, out),
            Err(e) => self.extended_failed(e, out),
        }
    }

    /// Stores the rows that a piece of the file completes; `None`: the file ends.
    fn copy_piece(&mut self, copy: &mut CopyIn, data: Option<&[u8]>) -> Result<()> {
        let CopyIn { decoder, converter, cursor, rows, filtered, .. } = copy;
        if let Some(reason) = self.env.interrupts().pending() {
            return Err(reason.error());
        }
        let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
        let cx = ExecContext::new(&self.engine, &self.env, txn, &[]);
        let settings = &self.env.derived().format;
        let mut store = |batch: Batch| {
            cursor.feed(batch);
            cursor.open(&cx)?;
            while cursor.next(&cx)?.is_some() {}
            *rows += cursor.affected();
            Ok(())
        };
        let stored = match (data, converter) {
            (Some(data), None) => decoder.push(data, settings, &mut store),
            (Some(data), Some(converter)) => {
                converter.push(data).and_then(|text| decoder.push(text.as_bytes(), settings, &mut store))
            }
            (None, converter) => converter
                .as_ref()
                .map_or(Ok(()), pg_encoding::Decoder::finish)
                .and_then(|()| decoder.finish(settings, &mut store)),
        };
        stored.map_err(|mut e| {
            if e.fields().context.is_none() {
                // With a WHERE, the rows stored are not those of the file.
                let row = e.fields().row.filter(|_| !*filtered);
                let checked = matches!(e.state(), SqlState::CHECK_VIOLATION | SqlState::NOT_NULL_VIOLATION);
                e.fields_mut().context = Some(decoder.place(row, checked));
            }
            e
        })?;
        if data.is_none() {
            cursor.feed_end();
            cursor.open(&cx)?;
            while cursor.next(&cx)?.is_some() {}
            *rows += cursor.affected();
        }
        Ok(())
    }

    fn copy_complete(&mut self, copy: CopyIn, out: &mut Encoder) -> Result<Step> {
        let CopyIn { rest, mut cursor, rows, .. } = copy;
        cursor.close();
        drop(cursor);
        self.env.drain_notices(out);
        out.command_complete_rows("COPY", rows);
        self.end_statement();
        let Some(rest) = rest else { return Ok(Step::Flush) };
        let done = if self.tx.pipeline { Ok(()) } else { self.commit_implicit() };
        match done.and_then(|()| self.simple_statements(rest, out)) {
            Ok(None) => {
                self.ready(out);
                Ok(Step::Flush)
            }
            Ok(Some(())) => Ok(Step::Flush),
            Err(e) => self.simple_failed(e, out),
        }
    }
}

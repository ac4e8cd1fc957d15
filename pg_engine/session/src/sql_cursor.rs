//! Cursors of SQL: DECLARE, FETCH, MOVE, CLOSE.
//!
//! A cursor is a portal whose rows are counted from 1; its position is the row last given out, 0 before the first and one
//! more than there are rows after the last. A cursor declared SCROLL keeps the rows it has seen; any other only those of the
//! batch it stands in. One declared neither way whose plan could run backward runs anew when it is to go back. WITH HOLD
//! computes all rows at once and outlives its transaction.

use alloc::{boxed::Box, collections::VecDeque, format, sync::Arc, vec::Vec};

use pg_executor::{CursorPlace, ExecContext};
use pg_plan::{
    physical::{Node, Physical},
    statement::ResultColumn,
    utility::{CursorMarks, Declare, Fetch, FetchDirection},
};
use pg_sql::ParsedStatement;
use pg_storage::Tid;
use pg_types::{Batch, Oid, Result, SqlError, SqlState, Value, Vector};
use pg_wire::Encoder;
use platform::sync::OnceLock;

use crate::{
    portal::{Formats, Life, Portal, Progress, QueryRun, Run},
    rows,
    session::Session,
    statement::{Plan, no_transaction},
};

/// A cursor's rows and position.
pub struct CursorState {
    /// May go back: declared SCROLL, or cheap to run backward.
    pub scroll: bool,
    /// Goes back by running anew, and keeps no rows.
    anew: bool,
    /// Outlives the transaction.
    pub hold: bool,
    /// BINARY.
    pub binary: bool,
    /// Batches of rows seen and not forgotten, with the columns that tell which rows of tables they are.
    seen: VecDeque<(Batch, Vec<Arc<Vector>>)>,
    /// What these columns are.
    marks: CursorMarks,
    /// How many columns are the query's own.
    visible: usize,
    /// Table and place of the rows that the one it stands on is.
    row: Option<Vec<(Oid, Tid)>>,
    /// Rows before those in `seen`.
    before: u64,
    position: u64,
    at_end: bool,
}

impl CursorState {
    /// Rows known so far, from the first.
    fn known(&self) -> u64 {
        self.before + self.seen.iter().map(|b| b.0.row_count() as u64).sum::<u64>()
    }
    /// Batch and place in it of row number `n`.
    fn find(&self, n: u64) -> Option<(&(Batch, Vec<Arc<Vector>>), usize)> {
        let mut left = usize::try_from(n.checked_sub(self.before + 1)?).ok()?;
        for batch in &self.seen {
            if left < batch.0.row_count() {
                return Some((batch, left));
            }
            left -= batch.0.row_count();
        }
        None
    }
    /// Notes which rows of tables the row is that the cursor stands on.
    fn note_row(&mut self) {
        self.row = self.find(self.position).map(|((batch, marks), at)| {
            let row = batch.nth_row(at).unwrap_or(at);
            let place = |pair: &[Arc<Vector>]| match pair {
                [ctid, table] => match (ctid.value(row), table.value(row)) {
                    (Value::Tid(block, slot), Value::Oid(table)) => Some((table, Tid { block, slot })),
                    _ => None,
                },
                _ => None,
            };
            marks.chunks(2).filter_map(place).collect()
        });
    }
    /// For WHERE CURRENT OF.
    pub(crate) fn place(&self, kept: bool) -> CursorPlace {
        CursorPlace { select: true, kept, marks: self.marks.clone(), row: self.row.clone() }
    }
    /// Forgets what a forward-only cursor cannot reach again.
    fn forget(&mut self) {
        let end = self.position;
        self.forget_before(end);
    }
    /// Forgets whole batches up to a row, unless they are kept.
    fn forget_before(&mut self, row: u64) {
        while (!self.scroll || self.anew)
            && let Some(first) = self.seen.front()
            && self.before + first.0.row_count() as u64 <= row
        {
            self.before += first.0.row_count() as u64;
            self.seen.pop_front();
        }
    }
}

/// Could PostgreSQL run this backward without keeping rows?
fn runs_backward(plan: &Physical) -> bool {
    match &plan.node {
        Node::SeqScan { .. }
        | Node::IndexScan { .. }
        | Node::FunctionScan { .. }
        | Node::Values(_)
        | Node::CteScan(_)
        | Node::Sort { presorted: 0, .. } => true,
        Node::Filter(input, _) | Node::Project(input, _) | Node::Limit { input, .. } => runs_backward(input),
        Node::Append(parts) => parts.iter().all(runs_backward),
        _ => false,
    }
}

/// Is there a sort between the query's rows and those of its table?
fn sorts(plan: &Physical) -> bool {
    match &plan.node {
        Node::Sort { .. } => true,
        Node::Filter(input, _) | Node::Project(input, _) | Node::Limit { input, .. } => sorts(input),
        _ => false,
    }
}

fn no_cursor(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}

fn cannot_run(name: &str) -> SqlError {
    let text = format!("portal \"{name}\" cannot be run");
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
}

fn forward_only() -> SqlError {
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward")
        .hint("Declare it with SCROLL option to enable backward scan.")
}

impl Session {
    /// Of a portal that is made now.
    #[inline]
    pub(crate) fn life_of_portal(&self) -> Life {
        Life { savepoints: self.tx.savepoint_count(), ..Life::default() }
    }

    pub(crate) fn declare(
        &mut self,
        parsed: &ParsedStatement,
        declare: Declare,
        params: alloc::vec::Vec<pg_types::Value>,
    ) -> Result<()> {
        if !declare.hold && !self.tx.in_block() && !self.tx.pipeline {
            return Err(SqlError::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "DECLARE CURSOR can only be used in transaction blocks",
            ));
        }
        if self.portals.contains(&declare.name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{}\" already exists", declare.name),
            ));
        }
        let stamp = self.stamp();
        let engine = self.engine.clone();
        let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
        let reader = engine.reader(txn, &self.env)?;
        let planned = pg_planner::plan(declare.query, &*reader, &self.env.derived().planner)?;
        drop(reader);
        let plan = Arc::new(Plan {
            parsed: parsed.clone(),
            declared: [].into(),
            catalog_text: rows::need_catalog(&planned.columns),
            planned: Arc::new(planned),
            stamp,
            custom: None,
            for_values: false,
            entry: OnceLock::new(),
            described: OnceLock::new(),
        });
        let backward = plan.planned.read_only && runs_backward(&plan.planned.root);
        let mut marks = declare.marks;
        if !marks.locked && sorts(&plan.planned.root) {
            marks.tables.clear();
        }
        let mut run = Run::query(&plan, params, None);
        let mut state = CursorState {
            scroll: declare.scroll.unwrap_or(backward),
            anew: declare.scroll.is_none() && backward && !declare.hold,
            hold: declare.hold,
            binary: declare.binary,
            seen: VecDeque::new(),
            visible: plan.planned.columns.len(),
            marks,
            row: None,
            before: 0,
            position: 0,
            at_end: false,
        };
        // The snapshot is that of the declaration.
        if let Run::Query(query) = &mut run {
            query.again = state.anew;
            self.open_query(query)?;
            if declare.hold {
                self.reach(&mut state, query, u64::MAX)?;
            }
        }
        let portal = Portal {
            run,
            formats: if declare.binary { Formats::Binary } else { Formats::Text },
            statement: None,
            text: Some(parsed.source().clone()),
            cursor: Some(Box::new(state)),
            made: pg_executor::Session::statement_timestamp(&self.env),
            life: self.life_of_portal(),
        };
        self.portals.put(&declare.name, portal);
        Ok(())
    }

    /// Computes rows until number `n` is known or there are no more.
    fn reach(&mut self, state: &mut CursorState, query: &mut QueryRun, n: u64) -> Result<()> {
        let mut known = state.known();
        while known < n && !state.at_end {
            match self.next_batch(query)? {
                Some(mut batch) => {
                    known += batch.row_count() as u64;
                    if batch.row_count() > 0 {
                        let marks = batch.columns.split_off(state.visible.min(batch.columns.len()));
                        state.seen.push_back((batch, marks));
                    }
                }
                None => state.at_end = true,
            }
        }
        Ok(())
    }

    /// Columns of a FETCH, and whether they come in binary.
    pub(crate) fn fetch_columns(&mut self, fetch: &Fetch) -> Result<Option<alloc::vec::Vec<ResultColumn>>> {
        let portal = self.portals.get(&fetch.name).ok_or_else(|| no_cursor(&fetch.name))?;
        Ok(portal.run.columns().map(Into::into))
    }

    /// Is the cursor that a FETCH reads a binary one?
    pub(crate) fn fetches_binary(&self, fetch: &Fetch) -> bool {
        self.portals.get(&fetch.name).and_then(|p| p.cursor.as_ref()).is_some_and(|c| c.binary)
    }

    pub(crate) fn fetch(&mut self, fetch: &Fetch, formats: &Formats, out: &mut Encoder) -> Result<Progress> {
        let mut portal = self.portals.take(&fetch.name).ok_or_else(|| no_cursor(&fetch.name))?;
        if portal.life.failed {
            self.portals.put(&fetch.name, portal);
            return Err(cannot_run(&fetch.name));
        }
        let formats =
            if portal.cursor.as_ref().is_some_and(|c| c.binary) { &Formats::Binary } else { formats };
        let sink = if fetch.move_only { None } else { Some((formats, &mut *out)) };
        let count = match (&mut portal.run, &mut portal.cursor) {
            (Run::Query(query), Some(state)) => self.fetch_rows(state, query, fetch.direction, sink),
            (Run::Query(query), None) => self.fetch_forward(query, fetch.direction, sink),
            _ => Ok(0),
        };
        portal.life.failed = count.is_err();
        self.portals.put(&fetch.name, portal);
        let count = count?;
        out.command_complete_rows(if fetch.move_only { "MOVE" } else { "FETCH" }, count);
        Ok(Progress::Complete)
    }

    /// FETCH from a portal that the protocol made: what Execute has not given yet.
    fn fetch_forward(
        &mut self,
        query: &mut QueryRun,
        direction: FetchDirection,
        sink: Option<(&Formats, &mut Encoder)>,
    ) -> Result<u64> {
        let limit = match direction {
            FetchDirection::All { backward: false } => u64::MAX,
            FetchDirection::Relative(n) if n > 0 => n.unsigned_abs(),
            _ => return Err(forward_only()),
        };
        Ok(self.pass_rows(query, limit, sink)?.0)
    }

    /// Has the rows from a number on at hand again, which were forgotten.
    fn go_back(&mut self, state: &mut CursorState, query: &mut QueryRun, to: u64) -> Result<()> {
        let (upto, to) = (state.known(), to.max(1));
        if !state.anew || to > state.before {
            return Ok(());
        }
        query.run_again();
        state.seen.clear();
        (state.before, state.at_end) = (0, false);
        while state.known() < upto && !state.at_end {
            let next = state.known() + 1;
            self.reach(state, query, next)?;
            state.forget_before(to - 1);
        }
        Ok(())
    }

    fn fetch_rows(
        &mut self,
        state: &mut CursorState,
        query: &mut QueryRun,
        direction: FetchDirection,
        mut sink: Option<(&Formats, &mut Encoder)>,
    ) -> Result<u64> {
        let position = state.position;
        // Without a distance the row stood on is given anew, if there is one.
        let stays = matches!(direction, FetchDirection::Relative(0) | FetchDirection::RelativeOne(0));
        let on_row = position > 0 && position <= state.known();
        if stays && (!on_row || sink.is_none()) {
            return Ok(u64::from(on_row));
        }
        // First and last row to give, in this order, and where the cursor then stands if all of them exist.
        let (first, last, target) = match direction {
            FetchDirection::Relative(0) | FetchDirection::RelativeOne(0) if !state.scroll => {
                return Err(forward_only());
            }
            FetchDirection::Relative(0) => (position, position, position),
            FetchDirection::Relative(n) if n > 0 => {
                let end = position.saturating_add(n.unsigned_abs());
                self.reach(state, query, end)?;
                (position + 1, end, end)
            }
            // Where nothing was read yet, nothing is to be gone back.
            FetchDirection::All { backward: true } if sink.is_none() && position == 0 => (0, 1, 0),
            FetchDirection::Relative(_) | FetchDirection::All { backward: true } if !state.scroll => {
                return Err(forward_only());
            }
            FetchDirection::Absolute(..0) | FetchDirection::RelativeOne(..0) if !state.scroll => {
                return Err(forward_only());
            }
            FetchDirection::Relative(n) => {
                let end = position.saturating_sub(n.unsigned_abs());
                (position.saturating_sub(1), end.max(1), end)
            }
            FetchDirection::All { backward: false } => {
                self.reach(state, query, u64::MAX)?;
                (position + 1, u64::MAX, u64::MAX)
            }
            FetchDirection::All { backward: true } => (position.saturating_sub(1), 1, 0),
            FetchDirection::Absolute(n) => {
                let n = match u64::try_from(n) {
                    Ok(n) => n,
                    Err(_) => {
                        self.reach(state, query, u64::MAX)?;
                        (state.known() + 1).saturating_sub(n.unsigned_abs())
                    }
                };
                self.reach(state, query, n)?;
                (n, n, n)
            }
            FetchDirection::RelativeOne(n) => {
                let n = position.saturating_add_signed(n);
                self.reach(state, query, n)?;
                (n, n, n)
            }
        };
        if !state.scroll && (first < position || (first == position && position > 0 && first == last)) {
            return Err(forward_only());
        }
        if state.scroll {
            self.go_back(state, query, first.min(last))?;
        }
        let total = state.known();
        let mut given = 0;
        let mut row = first;
        while row >= 1 && row <= total && (first <= last && row <= last || first > last && row >= last) {
            if let (Some((formats, out)), Some(((batch, _), at))) = (&mut sink, state.find(row)) {
                let cx = match &mut self.tx.txn {
                    Some(txn) if query.plan.catalog_text => {
                        Some(ExecContext::new(&self.engine, &self.env, txn, &[]))
                    }
                    _ => None,
                };
                rows::encode(out, batch, at, 1, formats, &self.env.derived().format, cx.as_ref())?;
                self.relieve(out)?;
            }
            given += 1;
            if first <= last {
                row += 1;
            } else {
                row -= 1;
            }
        }
        state.position = target.min(if state.at_end { total + 1 } else { total });
        state.note_row();
        state.forget();
        Ok(given)
    }

    /// Execute of a portal that DECLARE made.
    #[cold]
    pub(crate) fn execute_cursor(
        &mut self,
        portal: &mut Portal,
        max_rows: u32,
        out: &mut Encoder,
    ) -> Result<Progress> {
        let (Run::Query(query), Some(state)) = (&mut portal.run, &mut portal.cursor) else {
            return Ok(Progress::Complete);
        };
        let direction = match max_rows {
            0 => FetchDirection::All { backward: false },
            n => FetchDirection::Relative(i64::from(n)),
        };
        let given = self.fetch_rows(state, query, direction, Some((&portal.formats, &mut *out)))?;
        if max_rows > 0 && given == u64::from(max_rows) {
            return Ok(Progress::Suspended);
        }
        out.command_complete_rows("SELECT", given);
        Ok(Progress::Complete)
    }

    pub(crate) fn close_cursor(&mut self, name: Option<&str>) -> Result<&'static str> {
        match name {
            Some(name) => {
                self.portals.take(name).ok_or_else(|| no_cursor(name))?;
                Ok("CLOSE CURSOR")
            }
            None => {
                self.portals.close_all();
                Ok("CLOSE CURSOR ALL")
            }
        }
    }
}

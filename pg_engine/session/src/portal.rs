//! Portals: statements being run.

use alloc::{
    boxed::Box,
    collections::VecDeque,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use hashbrown::HashMap;
use pg_executor::{Cursor, CursorPlace, CursorRow, ExecContext, PreparedStatementRow};
use pg_plan::statement::{Command, ResultColumn, Transaction};
use pg_types::{Batch, Oid, Result, SqlError, SqlType, Value, oid};
use pg_wire::Encoder;

use crate::{
    env::Objects,
    rows,
    session::Session,
    sql_cursor::CursorState,
    statement::{CATALOG_TURNS, Plan, Prepared, Stored, never_still, no_transaction},
    statement_stats::Effort,
};

/// Formats of a portal's result columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Formats {
    /// All text.
    #[default]
    Text,
    /// All binary.
    Binary,
    /// One each.
    Each(Box<[bool]>),
}

impl Formats {
    /// Is this column binary?
    pub fn binary(&self, column: usize) -> bool {
        match self {
            Self::Text => false,
            Self::Binary => true,
            Self::Each(list) => list.get(column).copied().unwrap_or(false),
        }
    }
}

/// A query under way.
pub struct QueryRun {
    /// Its plan.
    pub plan: Arc<Plan>,
    params: Vec<Value>,
    cursor: Option<Box<Cursor>>,
    open: bool,
    /// Rows that were computed and not sent: batches, and how many rows of the first were sent.
    pending: VecDeque<Batch>,
    sent_of_first: usize,
    sent: u64,
    finished: bool,
    /// What it took so far, if statements are counted.
    effort: Effort,
    /// It may be run anew: its snapshot stays when it ends.
    pub(crate) again: bool,
}

impl QueryRun {
    /// A run of a plan that has not begun, without parameters.
    pub(crate) fn new(plan: &Arc<Plan>) -> Box<Self> {
        Box::new(Self {
            plan: plan.clone(),
            params: Vec::new(),
            cursor: None,
            open: false,
            pending: VecDeque::new(),
            sent_of_first: 0,
            sent: 0,
            finished: false,
            effort: Effort::default(),
            again: false,
        })
    }
    /// The same in the memory of one that was [recycled](Self::recycle).
    pub(crate) fn renew(&mut self, plan: &Arc<Plan>) {
        if !Arc::ptr_eq(&self.plan, plan) {
            self.plan = plan.clone();
        }
        (self.open, self.finished, self.again) = (false, false, false);
        (self.sent_of_first, self.sent) = (0, 0);
        self.effort = Effort::default();
    }
    /// Its parameters, for filling in.
    pub(crate) fn params_mut(&mut self) -> &mut Vec<Value> {
        &mut self.params
    }
    /// Operators of an earlier run.
    pub(crate) fn set_cursor(&mut self, cursor: Option<Box<Cursor>>) {
        self.cursor = cursor;
    }
    /// Rows that a change changed.
    fn affected(&self) -> u64 {
        self.cursor.as_ref().map_or(0, |c| c.affected())
    }
    /// What its run took, and how many rows it gave or changed.
    pub(crate) fn effort(&self) -> (&Effort, u64) {
        let rows = if self.plan.planned.command == Command::Select { self.sent } else { self.affected() };
        (&self.effort, rows)
    }
    /// Gives its rows anew, from the first, as they were.
    pub(crate) fn run_again(&mut self) {
        if let Some(cursor) = &mut self.cursor {
            cursor.again();
        }
        self.pending.clear();
        (self.sent_of_first, self.sent, self.finished) = (0, 0, false);
    }
}

/// Rows computed by the session itself (SHOW, EXPLAIN): text.
pub struct TextRun {
    columns: Vec<ResultColumn>,
    rows: VecDeque<Vec<Option<String>>>,
    tag: &'static str,
    /// The tag carries the number of rows.
    counted: bool,
    sent: u64,
}

/// What a portal runs.
pub enum Run {
    /// The empty statement.
    Empty,
    /// A query or change.
    Query(Box<QueryRun>),
    /// Rows from the session.
    Text(Box<TextRun>),
    /// Transaction control.
    Transaction(Transaction),
    /// A utility statement that has not run.
    Utility(Box<crate::utility::UtilityRun>),
    /// Done: running it again gives nothing.
    Done(&'static str),
}

impl Run {
    /// A query.
    pub fn query(plan: &Arc<Plan>, params: Vec<Value>, cursor: Option<Box<Cursor>>) -> Self {
        let mut run = QueryRun::new(plan);
        run.params = params;
        run.cursor = cursor;
        Self::Query(run)
    }
    /// Rows of text columns.
    pub fn text(tag: &'static str, names: &[&str], rows: Vec<Vec<Option<String>>>) -> Self {
        let columns = names.iter().map(|n| text_column(n, oid::TEXT)).collect();
        Self::Text(Box::new(TextRun { columns, rows: rows.into(), tag, counted: false, sent: 0 }))
    }
    /// Formats of the result, given those that were asked for.
    pub fn formats<'a>(&self, asked: &'a Formats) -> &'a Formats {
        match self {
            Self::Utility(u) => u.formats(asked),
            _ => asked,
        }
    }
    /// Says what its result columns are, in these formats.
    pub fn describe(&self, formats: &Formats, out: &mut Encoder) {
        match (self, self.columns()) {
            (_, None) => out.no_data(),
            (Self::Query(q), Some(_)) => rows::describe_plan(out, &q.plan, formats),
            (_, Some(columns)) => rows::describe(out, columns, self.formats(formats)),
        }
    }
    /// Result columns; `None`: no result set.
    pub fn columns(&self) -> Option<&[ResultColumn]> {
        match self {
            Self::Query(q) => Some(&q.plan.planned.columns[..]).filter(|c| !c.is_empty() || is_select(q)),
            Self::Text(t) => Some(&t.columns),
            Self::Utility(u) => u.columns(),
            _ => None,
        }
    }
}

fn is_select(q: &QueryRun) -> bool {
    q.plan.planned.command == Command::Select
}

/// A result column that stems from no table.
pub fn text_column(name: &str, ty: pg_types::Oid) -> ResultColumn {
    ResultColumn { name: name.into(), ty: SqlType::new(ty), table: 0, attnum: 0 }
}

/// A portal.
pub struct Portal {
    /// What it runs.
    pub run: Run,
    /// Result formats.
    pub formats: Formats,
    /// The prepared statement it was made of (`None`: the unnamed one); its cursor goes back there.
    pub statement: Option<Arc<str>>,
    /// Text of the statement, for `pg_stat_activity`.
    pub text: Option<Arc<str>>,
    /// Made by DECLARE.
    pub cursor: Option<Box<CursorState>>,
    /// When it was declared.
    pub made: i64,
    /// What it outlives.
    pub life: Life,
}

/// What a portal outlives.
#[derive(Clone, Copy, Default)]
pub struct Life {
    /// How many savepoints were set when it was made: going back to one of them ends it.
    pub savepoints: u32,
    /// Held, and its transaction is committed: only closing it ends it.
    pub kept: bool,
    /// It failed, and can only be closed.
    pub failed: bool,
}

/// A session's portals.
#[derive(Default)]
pub struct Portals {
    unnamed: Option<Portal>,
    named: HashMap<Box<str>, Portal>,
}

impl Portal {
    /// Where it stands, for WHERE CURRENT OF.
    fn place(&self) -> CursorPlace {
        match (&self.cursor, &self.run) {
            (Some(cursor), _) => cursor.place(self.life.kept),
            (None, run) => {
                CursorPlace { select: matches!(run, Run::Query(q) if is_select(q)), ..CursorPlace::default() }
            }
        }
    }
}

impl Portals {
    /// Adds one; the unnamed one is replaced.
    #[inline]
    pub fn put(&mut self, name: &str, portal: Portal) {
        if name.is_empty() {
            self.unnamed = Some(portal);
        } else {
            self.named.insert(name.into(), portal);
        }
    }
    /// Is there one of this name?
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
    /// One by name.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&Portal> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) }
    }
    /// Takes one out, to run it.
    #[inline]
    pub fn take(&mut self, name: &str) -> Option<Portal> {
        if name.is_empty() { self.unnamed.take() } else { self.named.remove(name) }
    }
    /// Those with names.
    pub fn named(&self) -> impl Iterator<Item = (&str, &Portal)> {
        self.named.iter().map(|(name, p)| (&**name, p))
    }
    /// Drops one.
    pub fn close(&mut self, name: &str) {
        drop(self.take(name));
    }
    /// The transaction is committed: drops all but WITH HOLD cursors.
    #[inline]
    pub fn commit(&mut self) {
        self.unnamed = None;
        if !self.named.is_empty() {
            self.named.retain(|_, p| {
                p.life.kept = p.cursor.as_ref().is_some_and(|c| c.hold);
                p.life.kept
            });
        }
    }
    /// What was done since so many savepoints were set is undone, or all: drops what was made since.
    pub fn undo(&mut self, savepoints: Option<usize>) {
        let older = |p: &Portal| {
            p.life.kept || savepoints.is_some_and(|n| usize::try_from(p.life.savepoints).is_ok_and(|s| s < n))
        };
        self.unnamed = self.unnamed.take().filter(older);
        self.named.retain(|_, p| older(p));
    }
    /// Savepoints but for the first so many are released: what was made since them lives as long as these.
    pub fn release(&mut self, savepoints: usize) {
        let savepoints = u32::try_from(savepoints).unwrap_or(u32::MAX);
        for portal in self.named.values_mut().chain(&mut self.unnamed) {
            portal.life.savepoints = portal.life.savepoints.min(savepoints);
        }
    }
    /// Drops all.
    pub fn close_all(&mut self) {
        self.unnamed = None;
        if !self.named.is_empty() {
            self.named.clear();
        }
    }
}

/// `pg_prepared_statements` and `pg_cursors`: who reads them needs to be told of what the session holds.
const OF_THE_SESSION: [Oid; 2] = [12095, 12077];

/// What a session holds, for its views.
fn objects(statements: &HashMap<Box<str>, Stored>, portals: &Portals) -> Objects {
    let statement = |name: &str, s: &Stored| PreparedStatementRow {
        name: name.to_string(),
        statement: match (&s.sql, &s.prepared) {
            (Some(sql), _) => sql.to_string(),
            (None, Prepared::Empty) => String::new(),
            (None, Prepared::Query(plan)) => plan.parsed.source().to_string(),
            (None, Prepared::Other(parsed, _)) => parsed.source().to_string(),
        },
        prepare_time: s.made,
        parameter_types: s.prepared.params().iter().map(|t| t.oid).collect(),
        from_sql: s.sql.is_some(),
        runs: s.runs,
    };
    let cursor = |(name, p): (&str, &Portal)| CursorRow {
        name: name.to_string(),
        statement: p.text.as_ref().map_or_else(String::new, |t| t.to_string()),
        holdable: p.cursor.as_ref().is_some_and(|c| c.hold),
        binary: p.cursor.as_ref().is_some_and(|c| c.binary),
        scrollable: p.cursor.as_ref().is_some_and(|c| c.scroll),
        created: p.made,
        place: p.place(),
    };
    let mut statements: Vec<_> = statements.iter().map(|(name, s)| statement(name, s)).collect();
    let mut cursors: Vec<_> = portals.named().map(cursor).collect();
    // In an order that is the same the next time.
    statements.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    cursors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Objects { statements, cursors }
}

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The row limit was reached.
    Suspended,
    /// To the end; CommandComplete was written.
    Complete,
    /// It waits for COPY data.
    Copying,
}

impl Session {
    /// Runs until the end, or until `limit` rows (0: no limit) were sent.
    pub(crate) fn drive(
        &mut self,
        run: &mut Run,
        formats: &Formats,
        limit: u64,
        out: &mut Encoder,
    ) -> Result<Progress> {
        match run {
            Run::Empty => {
                out.empty_query();
                Ok(Progress::Complete)
            }
            Run::Query(query) => self.drive_query(query, formats, limit, out),
            Run::Text(text) => {
                let progress = drive_text(text, limit, out);
                Ok(progress)
            }
            Run::Transaction(t) => {
                let tag = self.transaction_statement(t)?;
                self.env.drain_notices(out);
                out.command_complete(tag);
                *run = Run::Done(tag);
                Ok(Progress::Complete)
            }
            Run::Utility(_) => {
                let Run::Utility(utility) = core::mem::replace(run, Run::Done("")) else {
                    return Err(SqlError::internal("portal changed under its run"));
                };
                self.run_utility(*utility, run, formats, limit, out)
            }
            Run::Done(tag) => {
                out.command_complete(tag);
                Ok(Progress::Complete)
            }
        }
    }

    pub(crate) fn open_query(&mut self, query: &mut QueryRun) -> Result<()> {
        let engine = self.engine.clone();
        let mut force = false;
        let mut audited = false;
        for _ in 0..CATALOG_TURNS {
            let plan = self.fresh(&query.plan, force)?;
            if !Arc::ptr_eq(&plan, &query.plan) {
                query.plan = plan;
                query.cursor = None;
            }
            if !audited {
                audited = true;
                self.audit_query(&query.plan, &query.params)?;
            }
            let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
            if query.plan.planned.lasting {
                let command = match query.plan.tag() {
                    "SELECT" if query.plan.planned.changing_ctes.is_empty() => "SELECT FOR UPDATE",
                    tag => tag,
                };
                txn.check_writable(command)?;
            }
            self.tx.used = true;
            if !engine.lock_plan(txn, &query.plan.planned, query.plan.stamp.version)? {
                force = true;
                continue;
            }
            let cursor = match &mut query.cursor {
                Some(cursor) if Arc::ptr_eq(cursor.planned(), &query.plan.planned) => cursor,
                slot => slot.insert(Box::new(Cursor::new(&query.plan.planned)?)),
            };
            if query.plan.planned.counts_only() {
                txn.storage().set_counts_only();
            }
            if query.plan.planned.relations.iter().any(|r| OF_THE_SESSION.contains(r)) {
                self.env.set_objects(objects(&self.statements, &self.portals));
            }
            let cx = ExecContext::new(&engine, &self.env, txn, &query.params);
            cursor.open(&cx)?;
            query.open = true;
            return Ok(());
        }
        Err(never_still())
    }

    fn drive_query(
        &mut self,
        query: &mut QueryRun,
        formats: &Formats,
        limit: u64,
        out: &mut Encoder,
    ) -> Result<Progress> {
        let limit = if limit == 0 { u64::MAX } else { limit };
        let started = self.counting();
        let (sent, more) = self.pass_rows(query, limit, Some((formats, &mut *out)))?;
        if let Some(started) = &started {
            query.effort.add(&started.end());
        }
        if more {
            return Ok(Progress::Suspended);
        }
        // A statement that ends its own session, say.
        if let Some(e) = pg_executor::Session::interrupted(&self.env) {
            return Err(e);
        }
        if started.is_some() {
            self.count_query(query);
        }
        self.env.drain_notices(out);
        self.complete_query(query, sent, out);
        Ok(Progress::Complete)
    }

    /// Takes at most `limit` rows of a query, which go to `sink` if there is one. Tells how many there were, and whether
    /// the limit was reached.
    pub(crate) fn pass_rows(
        &mut self,
        query: &mut QueryRun,
        limit: u64,
        mut sink: Option<(&Formats, &mut Encoder)>,
    ) -> Result<(u64, bool)> {
        if limit == 0 {
            return Ok((0, true));
        }
        if !query.open && !query.finished {
            self.open_query(query)?;
            // A change runs to its end before its rows are given out piece by piece.
            if limit < u64::MAX && !query.plan.planned.read_only {
                while let Some(batch) = self.next_batch(query)? {
                    query.pending.push_back(batch);
                }
            }
        }
        let mut left = limit;
        loop {
            while let Some(batch) = query.pending.front() {
                let count = batch.row_count();
                let from = query.sent_of_first;
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(count - from.min(count));
                if let Some((formats, out)) = &mut sink {
                    let cx = match &mut self.tx.txn {
                        Some(txn) if query.plan.catalog_text => {
                            Some(ExecContext::new(&self.engine, &self.env, txn, &[]))
                        }
                        _ => None,
                    };
                    let settings = &self.env.derived().format;
                    rows::encode(out, batch, from, take, formats, settings, cx.as_ref())?;
                }
                query.sent_of_first += take;
                query.sent += take as u64;
                left -= take as u64;
                if query.sent_of_first >= count {
                    query.pending.pop_front();
                    query.sent_of_first = 0;
                }
                if let Some((_, out)) = &mut sink {
                    self.relieve(out)?;
                }
                if left == 0 {
                    return Ok((limit, true));
                }
            }
            match self.next_batch(query)? {
                // Of a procedure without results there is nothing to be seen.
                Some(_)
                    if query.plan.planned.columns.is_empty()
                        && query.plan.planned.command == Command::Call => {}
                Some(batch) => query.pending.push_back(batch),
                None => return Ok((limit - left, false)),
            }
        }
    }

    pub(crate) fn next_batch(&mut self, query: &mut QueryRun) -> Result<Option<Batch>> {
        if query.finished {
            return Ok(None);
        }
        if let Some(cursor) = query.cursor.as_mut().filter(|c| c.is_done() && query.plan.planned.read_only) {
            query.finished = true;
            if !query.again {
                cursor.close();
            }
            return Ok(None);
        }
        let engine = self.engine.clone();
        let (Some(txn), Some(cursor)) = (&mut self.tx.txn, &mut query.cursor) else {
            return Err(no_transaction());
        };
        let cx = ExecContext::new(&engine, &self.env, txn, &query.params);
        let batch = cursor.next(&cx)?;
        if batch.is_none() {
            query.finished = true;
            if !query.again {
                cursor.close();
            }
            if !query.plan.planned.read_only {
                txn.storage().next_command();
            }
        }
        Ok(batch)
    }

    #[inline]
    fn complete_query(&mut self, query: &QueryRun, sent_now: u64, out: &mut Encoder) {
        let affected = query.affected();
        match query.plan.planned.command {
            Command::Select => out.command_complete_rows("SELECT", sent_now),
            Command::Call => out.command_complete("CALL"),
            Command::Insert => out.command_complete_rows("INSERT 0", affected),
            Command::Update => out.command_complete_rows("UPDATE", affected),
            Command::Delete => out.command_complete_rows("DELETE", affected),
            Command::Merge => out.command_complete_rows("MERGE", affected),
        }
    }

    /// Portals end with their transaction, unless they hold all their rows.
    #[inline]
    pub(crate) fn close_transaction_portals(&mut self) {
        self.portals.commit();
    }
}

impl QueryRun {
    /// Gives the operators back for another run, and lets go of all but memory.
    pub fn recycle(&mut self) -> Option<Box<Cursor>> {
        self.params.clear();
        self.pending.clear();
        let finished = self.finished;
        self.cursor.take().filter(|_| finished)
    }
}

fn drive_text(text: &mut TextRun, limit: u64, out: &mut Encoder) -> Progress {
    let mut left = if limit == 0 { u64::MAX } else { limit };
    while left > 0 {
        let Some(row) = text.rows.pop_front() else {
            if text.counted {
                out.command_complete_rows(text.tag, text.sent);
            } else {
                out.command_complete(text.tag);
            }
            return Progress::Complete;
        };
        let mark = out.begin_row(row.len());
        for value in &row {
            match value {
                Some(v) => out.value(v.as_bytes()),
                None => out.null(),
            }
        }
        out.end_row(mark);
        text.sent += 1;
        left -= 1;
    }
    Progress::Suspended
}

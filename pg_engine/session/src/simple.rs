//! The simple protocol: a text of any number of statements, one message.

use alloc::{collections::VecDeque, sync::Arc};

use pg_sql::{ParsedStatement, StatementKind};
use pg_types::Result;
use pg_wire::Encoder;

use crate::{
    connection::Step,
    portal::{Formats, Run},
    rows,
    session::Session,
    statement::{Bound, Plan, ends_transaction},
};

/// Statements of a message that have not run yet.
pub type Rest = VecDeque<ParsedStatement>;

impl Session {
    /// Handles a Query message.
    pub(crate) fn simple_query(&mut self, text: &str, out: &mut Encoder) -> Result<Step> {
        // The unnamed statement and portal do not outlive a simple query.
        self.unnamed = None;
        self.portals.close("");
        match self.simple_text(text, out) {
            Ok(None) => {
                self.ready(out);
                Ok(Step::Flush)
            }
            Ok(Some(())) => Ok(Step::Flush),
            Err(e) => self.simple_failed(e, out),
        }
    }

    /// Runs a text; `Some`: it stopped to wait for COPY data.
    fn simple_text(&mut self, text: &str, out: &mut Encoder) -> Result<Option<()>> {
        if !self.tx.is_failed() {
            self.begin_implicit();
            let stamp = self.stamp();
            // The audit log has texts as they are written.
            if !self.is_audited() && self.run_shape(text, &stamp, out)?.is_some() {
                return Ok(None);
            }
            if let Some(plan) = self.database.plans.get(text, &[], &stamp) {
                self.begin_statement(Some(plan.parsed.source()));
                self.run_plan(&plan, out)?;
                self.commit_said(out)?;
                return Ok(None);
            }
        }
        let parsed = pg_sql::parse(text)?;
        if parsed.is_empty() {
            out.empty_query();
            self.commit_implicit()?;
            return Ok(None);
        }
        self.tx.pipeline = parsed.len() > 1;
        self.simple_statements(parsed.into(), out)
    }

    /// Runs statements one after the other; those that follow a COPY FROM STDIN are kept with it.
    pub(crate) fn simple_statements(&mut self, mut rest: Rest, out: &mut Encoder) -> Result<Option<()>> {
        while let Some(statement) = rest.pop_front() {
            self.check_not_failed(ends_transaction(&statement))?;
            self.begin_statement(Some(statement.source()));
            out.set_encoding(self.env.derived().encoding);
            self.simple_statement(&statement, out)?;
            self.env.drain_notices(out);
            self.end_statement();
            if let Some(copy) = &mut self.copy {
                copy.rest = Some(rest);
                return Ok(Some(()));
            }
            if !self.tx.pipeline {
                self.commit_said(out)?;
            }
        }
        self.tx.pipeline = false;
        self.commit_said(out)?;
        Ok(None)
    }

    /// Commits, as [`Session::commit_implicit`], what was just said to be complete; it is not, if that fails.
    pub(crate) fn commit_said(&mut self, out: &mut Encoder) -> Result<()> {
        self.commit_implicit().inspect_err(|_| out.withdraw_command_complete())
    }

    fn simple_statement(&mut self, statement: &ParsedStatement, out: &mut Encoder) -> Result<()> {
        if let StatementKind::Transaction(t) = statement.kind() {
            self.audit_utility(statement.tag(), statement.text())?;
            let started = self.counting();
            let tag = self.transaction_statement(t)?;
            if let Some(started) = started {
                self.count_utility(statement, &started);
            }
            self.env.drain_notices(out);
            out.command_complete(tag);
            return Ok(());
        }
        match self.bind(statement, &[])? {
            Bound::Plan(plan) => self.run_plan(&plan, out),
            Bound::Utility(bound) => {
                let mut run = self.start_utility(statement, *bound)?;
                if let Some(columns) = run.columns() {
                    rows::describe(out, columns, run.formats(&Formats::Text));
                }
                self.drive(&mut run, &Formats::Text, 0, out)?;
                Ok(())
            }
        }
    }

    fn run_plan(&mut self, plan: &Arc<Plan>, out: &mut Encoder) -> Result<()> {
        let mut run = Run::query(plan, alloc::vec::Vec::new(), None);
        // A SELECT without columns has a description without fields.
        if run.columns().is_some() {
            run.describe(&Formats::Text, out);
        }
        self.drive(&mut run, &Formats::Text, 0, out)?;
        Ok(())
    }

    /// Runs a text outside any connection.
    pub(crate) fn run_text(&mut self, text: &str, out: &mut Encoder) -> Result<()> {
        let done = self.simple_text(text, out);
        if done.is_err() {
            self.rollback();
        }
        done.map(|_| ())
    }
}

//! PREPARE and EXECUTE, DECLARE and FETCH.

use alloc::{string::String, vec::Vec};

use pg_plan::statement::{ExplainOptions, ResultColumn};
use pg_plan::utility::{Declare, Execute, Fetch, Prepare};
use pg_sql::ParsedStatement;
use pg_types::{Result, SqlError};
use pg_wire::Encoder;

use crate::{
    portal::{Formats, Progress, Run},
    session::Session,
};

impl Session {
    pub(crate) fn execute_columns(&mut self, _execute: &Execute) -> Result<Option<Vec<ResultColumn>>> {
        Err(SqlError::unsupported("EXECUTE"))
    }
    pub(crate) fn fetch_columns(&mut self, _fetch: &Fetch) -> Result<Option<Vec<ResultColumn>>> {
        Err(SqlError::unsupported("FETCH"))
    }
    pub(crate) fn prepare_statement(&mut self, _prepare: &Prepare) -> Result<()> {
        Err(SqlError::unsupported("PREPARE"))
    }
    pub(crate) fn execute_statement(
        &mut self,
        _execute: &Execute,
        _run: &mut Run,
        _formats: &Formats,
        _limit: u64,
        _out: &mut Encoder,
    ) -> Result<Progress> {
        Err(SqlError::unsupported("EXECUTE"))
    }
    pub(crate) fn explain_execute(
        &mut self,
        _execute: &Execute,
        _options: &ExplainOptions,
    ) -> Result<Vec<Vec<Option<String>>>> {
        Err(SqlError::unsupported("EXPLAIN EXECUTE"))
    }
    pub(crate) fn declare(&mut self, _parsed: &ParsedStatement, _declare: Declare) -> Result<()> {
        Err(SqlError::unsupported("DECLARE CURSOR"))
    }
    pub(crate) fn fetch(
        &mut self,
        _fetch: &Fetch,
        _formats: &Formats,
        _out: &mut Encoder,
    ) -> Result<Progress> {
        Err(SqlError::unsupported("FETCH"))
    }
    pub(crate) fn close_cursor(&mut self, _name: Option<&str>) -> Result<&'static str> {
        Err(SqlError::unsupported("CLOSE"))
    }
}

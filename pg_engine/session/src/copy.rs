//! COPY FROM STDIN and TO STDOUT.

use pg_plan::utility::Copy;
use pg_types::{Result, SqlError};
use pg_wire::{Encoder, Frontend};

use crate::{connection::Step, portal::Progress, session::Session, simple::Rest};

/// A COPY FROM STDIN under way: the session keeps it between messages.
pub struct CopyIn {
    /// Statements of the same simple query that come after it; `None`: it runs in the extended protocol.
    pub rest: Option<Rest>,
}

impl Session {
    pub(crate) fn copy(&mut self, _copy: Copy, _out: &mut Encoder) -> Result<Progress> {
        Err(SqlError::unsupported("COPY"))
    }

    pub(crate) fn copy_message(&mut self, _message: Frontend<'_>, _out: &mut Encoder) -> Result<Step> {
        Err(SqlError::unsupported("COPY"))
    }
}

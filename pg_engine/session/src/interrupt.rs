//! What others may ask of a session while it runs: stop the statement, leave.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};

use pg_types::{SqlError, SqlState};

/// Why a session is interrupted, strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// CancelRequest, pg_cancel_backend.
    Cancel,
    /// statement_timeout passed.
    StatementTimeout,
    /// idle_in_transaction_session_timeout passed.
    IdleInTransaction,
    /// idle_session_timeout passed.
    Idle,
    /// Authentication took too long.
    Authentication,
    /// pg_terminate_backend.
    Terminate,
    /// The server shuts down.
    Shutdown,
}

impl Reason {
    const ALL: [Self; 7] = [
        Self::Cancel,
        Self::StatementTimeout,
        Self::IdleInTransaction,
        Self::Idle,
        Self::Authentication,
        Self::Terminate,
        Self::Shutdown,
    ];

    /// The session ends, not only its statement.
    pub fn is_fatal(self) -> bool {
        self >= Self::IdleInTransaction
    }

    /// The report the client gets.
    pub fn error(self) -> SqlError {
        let (state, message) = match self {
            Self::Cancel => (SqlState::QUERY_CANCELED, "canceling statement due to user request"),
            Self::StatementTimeout => {
                (SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")
            }
            Self::IdleInTransaction => {
                (SqlState(*b"25P03"), "terminating connection due to idle-in-transaction timeout")
            }
            Self::Idle => (SqlState(*b"57P05"), "terminating connection due to idle-session timeout"),
            Self::Authentication => (SqlState::QUERY_CANCELED, "canceling authentication due to timeout"),
            Self::Terminate | Self::Shutdown => {
                (SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
            }
        };
        SqlError::new(state, message)
    }
}

/// The flags. The boolean is shared with storage, whose waits end when it is up.
#[derive(Debug, Default)]
pub struct Interrupts {
    raised: Arc<AtomicBool>,
    reasons: AtomicU8,
}

impl Interrupts {
    /// The flag that waits look at.
    pub fn flag(&self) -> &Arc<AtomicBool> {
        &self.raised
    }
    /// Asks for an interruption.
    pub fn raise(&self, reason: Reason) {
        self.reasons.fetch_or(1 << reason as u8, SeqCst);
        self.raised.store(true, SeqCst);
    }
    /// The strongest reason, if any. One load when there is none.
    pub fn pending(&self) -> Option<Reason> {
        if !self.raised.load(SeqCst) {
            return None;
        }
        let bits = self.reasons.load(SeqCst);
        Reason::ALL.into_iter().rev().find(|r| bits & (1 << *r as u8) != 0)
    }
    /// Forgets reasons that concern a statement: called between statements.
    pub fn clear_statement(&self) {
        if !self.raised.load(SeqCst) {
            return;
        }
        let mask = (1 << Reason::Cancel as u8) | (1 << Reason::StatementTimeout as u8);
        let left = self.reasons.fetch_and(!mask, SeqCst) & !mask;
        if left == 0 {
            self.raised.store(false, SeqCst);
            // A reason raised in between must not be lost.
            if self.reasons.load(SeqCst) != 0 {
                self.raised.store(true, SeqCst);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_reason_wins_and_fatal_ones_stay() {
        let i = Interrupts::default();
        assert_eq!(i.pending(), None);
        i.raise(Reason::Cancel);
        assert_eq!(i.pending(), Some(Reason::Cancel));
        i.clear_statement();
        assert_eq!(i.pending(), None);
        i.raise(Reason::Terminate);
        i.raise(Reason::StatementTimeout);
        assert_eq!(i.pending(), Some(Reason::Terminate));
        i.clear_statement();
        assert_eq!(i.pending(), Some(Reason::Terminate));
    }
}

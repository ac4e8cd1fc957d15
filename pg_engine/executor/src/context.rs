//! What a statement runs in.

use alloc::sync::Arc;
use core::cell::RefCell;

use pg_catalog::Txn;
use pg_types::Value;

use crate::{engine::Engine, session::Session};

/// Everything a statement needs while it runs. Made for each protocol step; borrows the session's pieces.
pub struct ExecContext<'a> {
    /// The engine.
    pub engine: &'a Arc<Engine>,
    /// The session.
    pub session: &'a dyn Session,
    /// The transaction. Never borrowed across an expression's evaluation.
    pub txn: RefCell<&'a mut Txn>,
    /// Values of `$1..`.
    pub params: &'a [Value],
}

impl<'a> ExecContext<'a> {
    /// Puts one together.
    pub fn new(
        engine: &'a Arc<Engine>,
        session: &'a dyn Session,
        txn: &'a mut Txn,
        params: &'a [Value],
    ) -> Self {
        Self { engine, session, txn: RefCell::new(txn), params }
    }
}

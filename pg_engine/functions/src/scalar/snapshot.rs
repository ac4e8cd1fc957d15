//! `pg_snapshot` and `txid_snapshot`: questions about which transactions had ended.

use alloc::{boxed::Box, vec::Vec};

use pg_types::{
    Batch, ColumnData, Result, SqlError, SqlType, Value, Vector, io::snapshot::Parts, oid::*,
    vector::BATCH_ROWS,
};

use crate::{
    call::{next, row},
    def::{EvalContext, Function, Implementation, SetReturning},
    table::def,
};

fn parts(text: &str) -> Result<Parts> {
    Parts::parse(text).ok_or_else(|| SqlError::internal("a snapshot that cannot be read"))
}

/// Transactions that had not ended.
struct Running(Vec<i64>, u32);

impl SetReturning for Running {
    fn next(&mut self, _ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        let some: Vec<i64> = self.0.drain(..self.0.len().min(BATCH_ROWS)).collect();
        let rows = some.len();
        let column = Vector::flat(SqlType::new(self.1), ColumnData::Int8(some), None);
        Ok((rows > 0).then(|| Batch::new(Vec::from([column]), rows)))
    }
}

fn running<const TYPE: u32>(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let text: &str = next(&mut args.iter())?;
    let list = parts(text)?.running.into_iter().map(|x| x as i64).collect();
    Ok(Box::new(Running(list, TYPE)))
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(5062, "pg_snapshot_xmin", &[PG_SNAPSHOT], XID8).imp(row!(|s: &str| parts(s)?.xmin as i64)),
    def(5063, "pg_snapshot_xmax", &[PG_SNAPSHOT], XID8).imp(row!(|s: &str| parts(s)?.xmax as i64)),
    def(5064, "pg_snapshot_xip", &[PG_SNAPSHOT], XID8).imp(Implementation::Set(running::<XID8>)),
    def(5065, "pg_visible_in_snapshot", &[XID8, PG_SNAPSHOT], BOOL)
        .imp(row!(|x: i64, s: &str| parts(s)?.ended(x as u64))),
    def(2945, "txid_snapshot_xmin", &[TXID_SNAPSHOT], INT8).imp(row!(|s: &str| parts(s)?.xmin as i64)),
    def(2946, "txid_snapshot_xmax", &[TXID_SNAPSHOT], INT8).imp(row!(|s: &str| parts(s)?.xmax as i64)),
    def(2947, "txid_snapshot_xip", &[TXID_SNAPSHOT], INT8).imp(Implementation::Set(running::<INT8>)),
    def(2948, "txid_visible_in_snapshot", &[INT8, TXID_SNAPSHOT], BOOL)
        .imp(row!(|x: i64, s: &str| parts(s)?.ended(x as u64))),
];

//! `pg_lsn`: a place in the log, an unsigned number of 64 bits kept as a signed one.

use pg_types::{Numeric, Result, SqlError, SqlState, oid::*};

use crate::{call::row, def::Function, table::def};

#[cold]
fn out_of_range() -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "pg_lsn out of range")
}

fn number(lsn: i64) -> Numeric {
    Numeric::from(i128::from(lsn as u64))
}

/// The bytes from `b` to `a`.
fn difference(a: i64, b: i64) -> Numeric {
    Numeric::from(i128::from(a as u64) - i128::from(b as u64))
}

fn place(n: &Numeric) -> Result<i64> {
    const HALF: i128 = 1 << 63;
    if let Ok(lsn) = n.to_i64() {
        return if lsn >= 0 { Ok(lsn) } else { Err(out_of_range()) };
    }
    let rest = n.sub(&Numeric::from(HALF))?.to_i64().map_err(|_| out_of_range())?;
    if rest >= 0 { Ok(rest | i64::MIN) } else { Err(out_of_range()) }
}

/// Adds bytes; `minus` takes them away.
fn moved(lsn: i64, bytes: &Numeric, minus: bool) -> Result<i64> {
    if bytes.is_nan() {
        let text = if minus { "cannot subtract NaN from pg_lsn" } else { "cannot add NaN to pg_lsn" };
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
    }
    let at = number(lsn);
    place(&if minus { at.sub(bytes)? } else { at.add(bytes)? })
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(3233, "pg_lsn_eq", &[PG_LSN, PG_LSN], BOOL).imp(row!(|a: i64, b: i64| a == b)),
    def(3236, "pg_lsn_ne", &[PG_LSN, PG_LSN], BOOL).imp(row!(|a: i64, b: i64| a != b)),
    def(3231, "pg_lsn_lt", &[PG_LSN, PG_LSN], BOOL).imp(row!(|a: i64, b: i64| (a as u64) < b as u64)),
    def(3232, "pg_lsn_le", &[PG_LSN, PG_LSN], BOOL).imp(row!(|a: i64, b: i64| a as u64 <= b as u64)),
    def(3235, "pg_lsn_gt", &[PG_LSN, PG_LSN], BOOL).imp(row!(|a: i64, b: i64| a as u64 > b as u64)),
    def(3234, "pg_lsn_ge", &[PG_LSN, PG_LSN], BOOL).imp(row!(|a: i64, b: i64| a as u64 >= b as u64)),
    def(3251, "pg_lsn_cmp", &[PG_LSN, PG_LSN], INT4)
        .imp(row!(|a: i64, b: i64| (a as u64).cmp(&(b as u64)) as i32)),
    def(4187, "pg_lsn_larger", &[PG_LSN, PG_LSN], PG_LSN)
        .imp(row!(|a: i64, b: i64| (a as u64).max(b as u64) as i64)),
    def(4188, "pg_lsn_smaller", &[PG_LSN, PG_LSN], PG_LSN)
        .imp(row!(|a: i64, b: i64| (a as u64).min(b as u64) as i64)),
    def(3237, "pg_lsn_mi", &[PG_LSN, PG_LSN], NUMERIC).imp(row!(|a: i64, b: i64| difference(a, b))),
    def(3165, "pg_wal_lsn_diff", &[PG_LSN, PG_LSN], NUMERIC).imp(row!(|a: i64, b: i64| difference(a, b))),
    def(5022, "pg_lsn_pli", &[PG_LSN, NUMERIC], PG_LSN).imp(row!(|a: i64, n: &Numeric| moved(a, n, false)?)),
    def(5023, "numeric_pl_pg_lsn", &[NUMERIC, PG_LSN], PG_LSN)
        .imp(row!(|n: &Numeric, a: i64| moved(a, n, false)?)),
    def(5024, "pg_lsn_mii", &[PG_LSN, NUMERIC], PG_LSN).imp(row!(|a: i64, n: &Numeric| moved(a, n, true)?)),
    def(6103, "pg_lsn", &[NUMERIC], PG_LSN).imp(row!(|n: &Numeric| {
        if n.is_nan() {
            let text = "cannot convert NaN to pg_lsn";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
        }
        place(n)?
    })),
];

//! bool.

use pg_types::oid::*;

use crate::{call::row, def::Function, table::def};

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(2515, "booland_statefunc", &[BOOL, BOOL], BOOL).imp(row!(|a: bool, b: bool| a && b)),
    def(2516, "boolor_statefunc", &[BOOL, BOOL], BOOL).imp(row!(|a: bool, b: bool| a || b)),
    def(2971, "text", &[BOOL], TEXT).imp(row!(|a: bool| if a { "true" } else { "false" })),
];

//! Window functions: the executor computes them, knowing them by oid.

use pg_types::oid::*;

use crate::{
    def::{Function, Implementation::Window},
    table::def,
};

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(3100, "row_number", &[], INT8).nullable().imp(Window),
    def(3101, "rank", &[], INT8).nullable().imp(Window),
    def(3102, "dense_rank", &[], INT8).nullable().imp(Window),
    def(3103, "percent_rank", &[], FLOAT8).nullable().imp(Window),
    def(3104, "cume_dist", &[], FLOAT8).nullable().imp(Window),
    def(3105, "ntile", &[INT4], INT4).imp(Window),
    def(3106, "lag", &[ANYELEMENT], ANYELEMENT).imp(Window),
    def(3107, "lag", &[ANYELEMENT, INT4], ANYELEMENT).imp(Window),
    def(3108, "lag", &[ANYCOMPATIBLE, INT4, ANYCOMPATIBLE], ANYCOMPATIBLE).imp(Window),
    def(3109, "lead", &[ANYELEMENT], ANYELEMENT).imp(Window),
    def(3110, "lead", &[ANYELEMENT, INT4], ANYELEMENT).imp(Window),
    def(3111, "lead", &[ANYCOMPATIBLE, INT4, ANYCOMPATIBLE], ANYCOMPATIBLE).imp(Window),
    def(3112, "first_value", &[ANYELEMENT], ANYELEMENT).imp(Window),
    def(3113, "last_value", &[ANYELEMENT], ANYELEMENT).imp(Window),
    def(3114, "nth_value", &[ANYELEMENT, INT4], ANYELEMENT).imp(Window),
];

//! Functions about what graphs were and what they would be; the session computes them.

use pg_types::{Oid, Value, oid::*};

use crate::{def::Function, set::graph::set, table::def};

/// Where their numbers begin.
const FIRST: Oid = 12_160;
/// `pg_proc.oid` of `dagdb_replay`.
pub const REPLAY: Oid = FIRST;
/// `pg_proc.oid` of `dagdb_nodes_as_of`.
pub const NODES_AS_OF: Oid = FIRST + 1;
/// `pg_proc.oid` of `dagdb_edges_as_of`.
pub const EDGES_AS_OF: Oid = FIRST + 2;

/// `pg_proc.oid` of `dagdb_eval_batch` with scenarios as numbers.
pub const EVAL_BATCH: Oid = FIRST + 3;
/// `pg_proc.oid` of `dagdb_eval_batch` with scenarios as digits.
pub const EVAL_BATCH_TEXT: Oid = FIRST + 4;

const ANSWER: &[(&str, Oid)] = &[("scenario", INT8), ("node_id", INT8), ("truth", INT2)];
const CHANGE: &[(&str, Oid)] = &[("tick", INT8), ("node_id", INT8), ("truth", INT2)];
const NODE: &[(&str, Oid)] = &[
    ("id", INT8),
    ("rank", NUMERIC),
    ("truth", INT2),
    ("type", INT2),
    ("lut", TEXT),
    ("inputs", INT8_ARRAY),
    ("back", INT8),
];
const EDGE: &[(&str, Oid)] = &[("source", INT8), ("target", INT8), ("slot", INT2), ("back", BOOL)];

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    set::<REPLAY>("dagdb_replay", &[INT8, INT8])
        .defaults(&[|| Value::Null, || Value::Null])
        .nullable()
        .columns(CHANGE),
    set::<NODES_AS_OF>("dagdb_nodes_as_of", &[INT8]).columns(NODE),
    set::<EDGES_AS_OF>("dagdb_edges_as_of", &[INT8]).columns(EDGE),
    set::<EVAL_BATCH>("dagdb_eval_batch", &[INT8_ARRAY, INT8_ARRAY, INT8_ARRAY]).columns(ANSWER),
    set::<EVAL_BATCH_TEXT>("dagdb_eval_batch", &[INT8_ARRAY, TEXT_ARRAY, INT8_ARRAY]).columns(ANSWER),
    def(FIRST + 10, "dagdb_save", &[TEXT, BOOL], TEXT).defaults(&[|| Value::Bool(true)]).volatile(),
    def(FIRST + 11, "dagdb_load", &[TEXT], TEXT).volatile(),
    def(FIRST + 12, "dagdb_drop_save", &[TEXT], TEXT).volatile(),
    def(FIRST + 13, "dagdb_backup", &[TEXT, TEXT], TEXT).volatile(),
    def(FIRST + 14, "dagdb_export_history", &[TEXT, TEXT], BYTEA)
        .defaults(&[|| Value::text("save")])
        .volatile(),
    def(FIRST + 15, "dagdb_import_history", &[TEXT, BYTEA, TEXT], TEXT)
        .defaults(&[|| Value::text("save")])
        .volatile(),
    def(FIRST + 16, "dagdb_record", &[TEXT, INT4], TEXT).defaults(&[|| Value::Null]).nullable().volatile(),
    def(FIRST + 17, "dagdb_rewind", &[INT8], TEXT).volatile(),
];

//! Functions about graphs; the session computes them.

use alloc::boxed::Box;

use pg_types::{Oid, Result, Value, oid::*};

use crate::{
    def::{EvalContext, Function, Implementation, SetReturning},
    table::def,
};

/// Where their numbers begin: ours, so above PostgreSQL's built-in range and below user objects.
const FIRST: Oid = 12_100;
/// `pg_proc.oid` of `dagdb_exec`.
pub const EXEC: Oid = FIRST;
/// `pg_proc.oid` of `dagdb_traverse`.
pub const TRAVERSE: Oid = FIRST + 1;
/// `pg_proc.oid` of `dagdb_ancestry`.
pub const ANCESTRY: Oid = FIRST + 2;
/// `pg_proc.oid` of `dagdb_bfs_depths`.
pub const BFS_DEPTHS: Oid = FIRST + 3;
/// `pg_proc.oid` of `dagdb_rank`.
pub const RANK: Oid = FIRST + 4;
/// `pg_proc.oid` of `dagdb_similar`.
pub const SIMILAR: Oid = FIRST + 5;
/// `pg_proc.oid` of `dagdb_build`.
pub const BUILD: Oid = FIRST + 6;
/// `pg_proc.oid` of `dagdb_import` of text.
pub const IMPORT_TEXT: Oid = FIRST + 7;
/// `pg_proc.oid` of `dagdb_import` of bytes.
pub const IMPORT_BYTES: Oid = FIRST + 8;
/// `pg_proc.oid` of `dagdb_import` of nodes and edges.
pub const IMPORT_TWO: Oid = FIRST + 9;

pub(super) fn rows<const FUNCTION: Oid>(
    ctx: &EvalContext<'_>,
    args: &[Value],
) -> Result<Box<dyn SetReturning>> {
    ctx.host.rows(FUNCTION, args)
}

pub(super) const fn set<const FUNCTION: Oid>(name: &'static str, args: &'static [Oid]) -> Function {
    def(FUNCTION, name, args, RECORD).volatile().graph().imp(Implementation::Set(rows::<FUNCTION>))
}

const NODE: &[(&str, Oid)] = &[("node_id", INT8), ("rank", NUMERIC), ("truth", INT2), ("node_type", INT2)];
const NODE_AND_DEPTH: &[(&str, Oid)] =
    &[("node_id", INT8), ("rank", NUMERIC), ("truth", INT2), ("node_type", INT2), ("depth", INT8)];
const NODE_OR_MESSAGE: &[(&str, Oid)] =
    &[("node_id", INT8), ("rank", NUMERIC), ("truth", INT2), ("node_type", INT2), ("message", TEXT)];
const SIMILARITY: &[(&str, Oid)] = &[("node_id", INT8), ("distance", FLOAT8)];
const BUILT: &[(&str, Oid)] = &[("key", INT8), ("node_id", INT8)];
const IMPORTED: &[(&str, Oid)] = &[("name", TEXT), ("kind", TEXT), ("node_id", INT8)];
const DEPTH: &[(&str, Oid)] = &[("node_id", INT8), ("depth", INT8)];

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    set::<EXEC>("dagdb_exec", &[TEXT]).columns(NODE_OR_MESSAGE),
    set::<TRAVERSE>("dagdb_traverse", &[INT8, INT8]).defaults(&[|| Value::Int8(2)]).columns(NODE_AND_DEPTH),
    set::<ANCESTRY>("dagdb_ancestry", &[INT8, INT8]).columns(DEPTH),
    set::<BFS_DEPTHS>("dagdb_bfs_depths", &[INT8, BOOL]).defaults(&[|| Value::Bool(false)]).columns(DEPTH),
    set::<RANK>("dagdb_rank", &[NUMERIC]).columns(NODE),
    set::<SIMILAR>("dagdb_similar", &[INT8, INT8, INT8, INT4])
        .defaults(&[|| Value::Null])
        .nullable()
        .columns(SIMILARITY),
    set::<BUILD>("dagdb_build", &[TEXT, TEXT, TEXT, BOOL])
        .defaults(&[|| Value::text("topological"), || Value::Bool(false)])
        .columns(BUILT),
    set::<IMPORT_TEXT>("dagdb_import", &[TEXT, TEXT]).columns(IMPORTED),
    set::<IMPORT_BYTES>("dagdb_import", &[TEXT, BYTEA]).columns(IMPORTED),
    set::<IMPORT_TWO>("dagdb_import", &[TEXT, TEXT, TEXT]).columns(IMPORTED),
    def(FIRST + 20, "dagdb_status", &[], TEXT).volatile(),
    def(FIRST + 21, "dagdb_tick", &[INT8], TEXT).defaults(&[|| Value::Int8(1)]).volatile(),
    def(FIRST + 22, "dagdb_validate", &[], TEXT).volatile(),
    def(FIRST + 23, "dagdb_create_graph", &[TEXT, INT8], VOID).defaults(&[|| Value::Int8(0)]).volatile(),
    def(FIRST + 24, "dagdb_drop_graph", &[TEXT], VOID).volatile(),
    def(FIRST + 25, "dagdb_add_node", &[NUMERIC, TEXT, INT8_ARRAY], INT8)
        .defaults(&[|| Value::text("CONST0"), || Value::Null])
        .nullable()
        .volatile(),
    def(FIRST + 40, "dagdb_distance", &[TEXT, NUMERIC, NUMERIC, NUMERIC, NUMERIC], FLOAT8).volatile(),
    def(FIRST + 41, "dagdb_set_ranks", &[NUMERIC_ARRAY], VOID).volatile(),
    def(FIRST + 42, "dagdb_morton", &[INT8, INT8], INT8).stable(),
    def(FIRST + 43, "dagdb_export", &[TEXT], TEXT).volatile(),
    def(FIRST + 26, "dagdb_connect", &[INT8, INT8], VOID).volatile(),
    def(FIRST + 27, "dagdb_connect_back", &[INT8, INT8], VOID).volatile(),
    def(FIRST + 28, "dagdb_set_truth", &[INT8, INT4], VOID).volatile(),
    def(FIRST + 29, "dagdb_set_rank", &[INT8, NUMERIC], VOID).volatile(),
    def(FIRST + 30, "dagdb_set_lut", &[INT8, TEXT], VOID).volatile(),
    def(FIRST + 31, "dagdb_clear", &[INT8], VOID).volatile(),
    def(FIRST + 32, "dagdb_clear_back", &[INT8], VOID).volatile(),
];

//! Functions on large objects: they are the session's.

use pg_types::oid::*;

use crate::{def::Function, table::def};

pub(crate) static FUNCTIONS: &[Function] = &[
    def(952, "lo_open", &[OID, INT4], INT4).volatile(),
    def(953, "lo_close", &[INT4], INT4).volatile(),
    def(954, "loread", &[INT4, INT4], BYTEA).volatile(),
    def(955, "lowrite", &[INT4, BYTEA], INT4).volatile(),
    def(956, "lo_lseek", &[INT4, INT4, INT4], INT4).volatile(),
    def(957, "lo_creat", &[INT4], OID).volatile(),
    def(715, "lo_create", &[OID], OID).volatile(),
    def(958, "lo_tell", &[INT4], INT4).volatile(),
    def(964, "lo_unlink", &[OID], INT4).volatile(),
    def(1004, "lo_truncate", &[INT4, INT4], INT4).volatile(),
    def(3170, "lo_lseek64", &[INT4, INT8, INT4], INT8).volatile(),
    def(3171, "lo_tell64", &[INT4], INT8).volatile(),
    def(3172, "lo_truncate64", &[INT4, INT8], INT4).volatile(),
    def(3457, "lo_from_bytea", &[OID, BYTEA], OID).volatile(),
    def(3458, "lo_get", &[OID], BYTEA).volatile(),
    def(3459, "lo_get", &[OID, INT8, INT4], BYTEA).volatile(),
    def(3460, "lo_put", &[OID, INT8, BYTEA], VOID).volatile(),
    // Refused when called: there are no files.
    def(764, "lo_import", &[TEXT], OID).volatile(),
    def(767, "lo_import", &[TEXT, OID], OID).volatile(),
    def(765, "lo_export", &[OID, TEXT], INT4).volatile(),
];

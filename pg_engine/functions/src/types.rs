//! Facts about built-in types that resolving functions and casts needs.

use pg_types::{Oid, oid::*};

/// Pairs of element type and its array type.
const ARRAYS: &[(Oid, Oid)] = &[
    (BOOL, BOOL_ARRAY),
    (BYTEA, BYTEA_ARRAY),
    (CHAR, CHAR_ARRAY),
    (NAME, NAME_ARRAY),
    (INT8, INT8_ARRAY),
    (INT2, INT2_ARRAY),
    (INT2VECTOR, 1006),
    (INT4, INT4_ARRAY),
    (REGPROC, REGPROC_ARRAY),
    (TEXT, TEXT_ARRAY),
    (OID, OID_ARRAY),
    (TID, TID_ARRAY),
    (XID, XID_ARRAY),
    (CID, 1012),
    (OIDVECTOR, 1013),
    (JSON, JSON_ARRAY),
    (FLOAT4, FLOAT4_ARRAY),
    (FLOAT8, FLOAT8_ARRAY),
    (BPCHAR, BPCHAR_ARRAY),
    (VARCHAR, VARCHAR_ARRAY),
    (DATE, DATE_ARRAY),
    (TIME, TIME_ARRAY),
    (TIMESTAMP, TIMESTAMP_ARRAY),
    (TIMESTAMPTZ, TIMESTAMPTZ_ARRAY),
    (INTERVAL, INTERVAL_ARRAY),
    (TIMETZ, TIMETZ_ARRAY),
    (NUMERIC, NUMERIC_ARRAY),
    (REFCURSOR, 2201),
    (REGPROCEDURE, 2207),
    (REGOPER, 2208),
    (REGOPERATOR, 2209),
    (REGCLASS, REGCLASS_ARRAY),
    (REGTYPE, REGTYPE_ARRAY),
    (UUID, UUID_ARRAY),
    (REGCONFIG, 3735),
    (REGDICTIONARY, 3770),
    (REGNAMESPACE, 4090),
    (REGROLE, 4097),
    (REGCOLLATION, 4192),
    (XID8, 271),
];

/// The array type of an element type; 0: none.
pub fn array_type(element: Oid) -> Oid {
    ARRAYS.iter().find(|a| a.0 == element).map_or(0, |a| a.1)
}

/// The element type of an array type (int2vector and oidvector excluded); 0: not an array.
pub fn element_type(array: Oid) -> Oid {
    ARRAYS.iter().find(|a| a.1 == array).map_or(0, |a| a.0)
}

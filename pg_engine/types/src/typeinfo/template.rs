//! What user types of one class have in common.

use super::{ARRAY_SUBSCRIPT, Procedure, TypeInfo};
use crate::{
    oid::Oid,
    user::{self, Class},
};

const NONE: Procedure = Procedure { oid: 0, name: "-" };

const fn procedure(oid: Oid, name: &'static str) -> Procedure {
    Procedure { oid, name }
}

static ENUM: TypeInfo = TypeInfo {
    oid: 0,
    name: "",
    len: 4,
    by_value: true,
    kind: b'e',
    category: b'E',
    preferred: false,
    delimiter: b',',
    element: 0,
    array: 0,
    align: b'i',
    storage: b'p',
    collation: 0,
    input: procedure(3506, "enum_in"),
    output: procedure(3507, "enum_out"),
    receive: procedure(3532, "enum_recv"),
    send: procedure(3533, "enum_send"),
    typmod_in: NONE,
    typmod_out: NONE,
    analyze: NONE,
    subscript: NONE,
};

static COMPOSITE: TypeInfo = TypeInfo {
    len: -1,
    by_value: false,
    kind: b'c',
    category: b'C',
    align: b'd',
    storage: b'x',
    input: procedure(2290, "record_in"),
    output: procedure(2291, "record_out"),
    receive: procedure(2402, "record_recv"),
    send: procedure(2403, "record_send"),
    ..ENUM
};

static DOMAIN: TypeInfo = TypeInfo {
    kind: b'd',
    category: b'U',
    input: procedure(2597, "domain_in"),
    receive: procedure(2598, "domain_recv"),
    ..COMPOSITE
};

static ARRAY: TypeInfo = TypeInfo {
    kind: b'b',
    category: b'A',
    input: procedure(750, "array_in"),
    output: procedure(751, "array_out"),
    receive: procedure(2400, "array_recv"),
    send: procedure(2401, "array_send"),
    analyze: procedure(3816, "array_typanalyze"),
    subscript: procedure(ARRAY_SUBSCRIPT, "array_subscript_handler"),
    ..COMPOSITE
};

/// Of a user type.
pub(super) fn of(ty: Oid) -> Option<&'static TypeInfo> {
    if user::is_array(ty) {
        return Some(&ARRAY);
    }
    Some(match user::class(ty)? {
        Class::Enum => &ENUM,
        Class::Composite => &COMPOSITE,
        Class::Domain => &DOMAIN,
    })
}

//! `=`, `<>`, `<`, `>`, `<=`, `>=` and three-way comparison of every type but numeric and mixed dates.

use core::cmp::Ordering;

use pg_types::{
    Value,
    oid::*,
    value::{Interval, TimeTz},
};

use crate::{
    call::row,
    def::Function,
    kernel::{bytes2, vec2},
    order::{f32_order, f64_order, span, timetz_key, trim_blanks},
    table::def,
};

fn ord(o: Ordering) -> i32 {
    o as i32
}

/// Integers, oids, booleans and what is stored as integers.
pub(crate) static INTEGERS: &[Function] = &[
    def(63, "int2eq", &[INT2, INT2], BOOL).imp(vec2!(|a: i16, b: i16| -> bool, BOOL; a == b)),
    def(145, "int2ne", &[INT2, INT2], BOOL).imp(vec2!(|a: i16, b: i16| -> bool, BOOL; a != b)),
    def(64, "int2lt", &[INT2, INT2], BOOL).imp(vec2!(|a: i16, b: i16| -> bool, BOOL; a < b)),
    def(146, "int2gt", &[INT2, INT2], BOOL).imp(vec2!(|a: i16, b: i16| -> bool, BOOL; a > b)),
    def(148, "int2le", &[INT2, INT2], BOOL).imp(vec2!(|a: i16, b: i16| -> bool, BOOL; a <= b)),
    def(151, "int2ge", &[INT2, INT2], BOOL).imp(vec2!(|a: i16, b: i16| -> bool, BOOL; a >= b)),
    def(350, "btint2cmp", &[INT2, INT2], INT4).imp(row!(|a: i16, b: i16| ord(a.cmp(&b)))),
    def(65, "int4eq", &[INT4, INT4], BOOL).imp(vec2!(|a: i32, b: i32| -> bool, BOOL; a == b)),
    def(144, "int4ne", &[INT4, INT4], BOOL).imp(vec2!(|a: i32, b: i32| -> bool, BOOL; a != b)),
    def(66, "int4lt", &[INT4, INT4], BOOL).imp(vec2!(|a: i32, b: i32| -> bool, BOOL; a < b)),
    def(147, "int4gt", &[INT4, INT4], BOOL).imp(vec2!(|a: i32, b: i32| -> bool, BOOL; a > b)),
    def(149, "int4le", &[INT4, INT4], BOOL).imp(vec2!(|a: i32, b: i32| -> bool, BOOL; a <= b)),
    def(150, "int4ge", &[INT4, INT4], BOOL).imp(vec2!(|a: i32, b: i32| -> bool, BOOL; a >= b)),
    def(351, "btint4cmp", &[INT4, INT4], INT4).imp(row!(|a: i32, b: i32| ord(a.cmp(&b)))),
    def(467, "int8eq", &[INT8, INT8], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a == b)),
    def(468, "int8ne", &[INT8, INT8], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a != b)),
    def(469, "int8lt", &[INT8, INT8], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a < b)),
    def(470, "int8gt", &[INT8, INT8], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a > b)),
    def(471, "int8le", &[INT8, INT8], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a <= b)),
    def(472, "int8ge", &[INT8, INT8], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a >= b)),
    def(842, "btint8cmp", &[INT8, INT8], INT4).imp(row!(|a: i64, b: i64| ord(a.cmp(&b)))),
    def(158, "int24eq", &[INT2, INT4], BOOL).imp(vec2!(|a: i16, b: i32| -> bool, BOOL; i32::from(a) == b)),
    def(164, "int24ne", &[INT2, INT4], BOOL).imp(vec2!(|a: i16, b: i32| -> bool, BOOL; i32::from(a) != b)),
    def(160, "int24lt", &[INT2, INT4], BOOL).imp(vec2!(|a: i16, b: i32| -> bool, BOOL; i32::from(a) < b)),
    def(162, "int24gt", &[INT2, INT4], BOOL).imp(vec2!(|a: i16, b: i32| -> bool, BOOL; i32::from(a) > b)),
    def(166, "int24le", &[INT2, INT4], BOOL).imp(vec2!(|a: i16, b: i32| -> bool, BOOL; i32::from(a) <= b)),
    def(168, "int24ge", &[INT2, INT4], BOOL).imp(vec2!(|a: i16, b: i32| -> bool, BOOL; i32::from(a) >= b)),
    def(2190, "btint24cmp", &[INT2, INT4], INT4).imp(row!(|a: i16, b: i32| ord(i32::from(a).cmp(&b)))),
    def(159, "int42eq", &[INT4, INT2], BOOL).imp(vec2!(|a: i32, b: i16| -> bool, BOOL; a == i32::from(b))),
    def(165, "int42ne", &[INT4, INT2], BOOL).imp(vec2!(|a: i32, b: i16| -> bool, BOOL; a != i32::from(b))),
    def(161, "int42lt", &[INT4, INT2], BOOL).imp(vec2!(|a: i32, b: i16| -> bool, BOOL; a < i32::from(b))),
    def(163, "int42gt", &[INT4, INT2], BOOL).imp(vec2!(|a: i32, b: i16| -> bool, BOOL; a > i32::from(b))),
    def(167, "int42le", &[INT4, INT2], BOOL).imp(vec2!(|a: i32, b: i16| -> bool, BOOL; a <= i32::from(b))),
    def(169, "int42ge", &[INT4, INT2], BOOL).imp(vec2!(|a: i32, b: i16| -> bool, BOOL; a >= i32::from(b))),
    def(2191, "btint42cmp", &[INT4, INT2], INT4).imp(row!(|a: i32, b: i16| ord(a.cmp(&i32::from(b))))),
    def(1850, "int28eq", &[INT2, INT8], BOOL).imp(vec2!(|a: i16, b: i64| -> bool, BOOL; i64::from(a) == b)),
    def(1851, "int28ne", &[INT2, INT8], BOOL).imp(vec2!(|a: i16, b: i64| -> bool, BOOL; i64::from(a) != b)),
    def(1852, "int28lt", &[INT2, INT8], BOOL).imp(vec2!(|a: i16, b: i64| -> bool, BOOL; i64::from(a) < b)),
    def(1853, "int28gt", &[INT2, INT8], BOOL).imp(vec2!(|a: i16, b: i64| -> bool, BOOL; i64::from(a) > b)),
    def(1854, "int28le", &[INT2, INT8], BOOL).imp(vec2!(|a: i16, b: i64| -> bool, BOOL; i64::from(a) <= b)),
    def(1855, "int28ge", &[INT2, INT8], BOOL).imp(vec2!(|a: i16, b: i64| -> bool, BOOL; i64::from(a) >= b)),
    def(2192, "btint28cmp", &[INT2, INT8], INT4).imp(row!(|a: i16, b: i64| ord(i64::from(a).cmp(&b)))),
    def(1856, "int82eq", &[INT8, INT2], BOOL).imp(vec2!(|a: i64, b: i16| -> bool, BOOL; a == i64::from(b))),
    def(1857, "int82ne", &[INT8, INT2], BOOL).imp(vec2!(|a: i64, b: i16| -> bool, BOOL; a != i64::from(b))),
    def(1858, "int82lt", &[INT8, INT2], BOOL).imp(vec2!(|a: i64, b: i16| -> bool, BOOL; a < i64::from(b))),
    def(1859, "int82gt", &[INT8, INT2], BOOL).imp(vec2!(|a: i64, b: i16| -> bool, BOOL; a > i64::from(b))),
    def(1860, "int82le", &[INT8, INT2], BOOL).imp(vec2!(|a: i64, b: i16| -> bool, BOOL; a <= i64::from(b))),
    def(1861, "int82ge", &[INT8, INT2], BOOL).imp(vec2!(|a: i64, b: i16| -> bool, BOOL; a >= i64::from(b))),
    def(2193, "btint82cmp", &[INT8, INT2], INT4).imp(row!(|a: i64, b: i16| ord(a.cmp(&i64::from(b))))),
    def(852, "int48eq", &[INT4, INT8], BOOL).imp(vec2!(|a: i32, b: i64| -> bool, BOOL; i64::from(a) == b)),
    def(853, "int48ne", &[INT4, INT8], BOOL).imp(vec2!(|a: i32, b: i64| -> bool, BOOL; i64::from(a) != b)),
    def(854, "int48lt", &[INT4, INT8], BOOL).imp(vec2!(|a: i32, b: i64| -> bool, BOOL; i64::from(a) < b)),
    def(855, "int48gt", &[INT4, INT8], BOOL).imp(vec2!(|a: i32, b: i64| -> bool, BOOL; i64::from(a) > b)),
    def(856, "int48le", &[INT4, INT8], BOOL).imp(vec2!(|a: i32, b: i64| -> bool, BOOL; i64::from(a) <= b)),
    def(857, "int48ge", &[INT4, INT8], BOOL).imp(vec2!(|a: i32, b: i64| -> bool, BOOL; i64::from(a) >= b)),
    def(2188, "btint48cmp", &[INT4, INT8], INT4).imp(row!(|a: i32, b: i64| ord(i64::from(a).cmp(&b)))),
    def(474, "int84eq", &[INT8, INT4], BOOL).imp(vec2!(|a: i64, b: i32| -> bool, BOOL; a == i64::from(b))),
    def(475, "int84ne", &[INT8, INT4], BOOL).imp(vec2!(|a: i64, b: i32| -> bool, BOOL; a != i64::from(b))),
    def(476, "int84lt", &[INT8, INT4], BOOL).imp(vec2!(|a: i64, b: i32| -> bool, BOOL; a < i64::from(b))),
    def(477, "int84gt", &[INT8, INT4], BOOL).imp(vec2!(|a: i64, b: i32| -> bool, BOOL; a > i64::from(b))),
    def(478, "int84le", &[INT8, INT4], BOOL).imp(vec2!(|a: i64, b: i32| -> bool, BOOL; a <= i64::from(b))),
    def(479, "int84ge", &[INT8, INT4], BOOL).imp(vec2!(|a: i64, b: i32| -> bool, BOOL; a >= i64::from(b))),
    def(2189, "btint84cmp", &[INT8, INT4], INT4).imp(row!(|a: i64, b: i32| ord(a.cmp(&i64::from(b))))),
    def(184, "oideq", &[OID, OID], BOOL).imp(vec2!(|a: u32, b: u32| -> bool, BOOL; a == b)),
    def(185, "oidne", &[OID, OID], BOOL).imp(vec2!(|a: u32, b: u32| -> bool, BOOL; a != b)),
    def(716, "oidlt", &[OID, OID], BOOL).imp(vec2!(|a: u32, b: u32| -> bool, BOOL; a < b)),
    def(1638, "oidgt", &[OID, OID], BOOL).imp(vec2!(|a: u32, b: u32| -> bool, BOOL; a > b)),
    def(717, "oidle", &[OID, OID], BOOL).imp(vec2!(|a: u32, b: u32| -> bool, BOOL; a <= b)),
    def(1639, "oidge", &[OID, OID], BOOL).imp(vec2!(|a: u32, b: u32| -> bool, BOOL; a >= b)),
    def(356, "btoidcmp", &[OID, OID], INT4).imp(row!(|a: u32, b: u32| ord(a.cmp(&b)))),
    def(1965, "oidlarger", &[OID, OID], OID).imp(vec2!(|a: u32, b: u32| -> u32, OID; a.max(b))),
    def(1966, "oidsmaller", &[OID, OID], OID).imp(vec2!(|a: u32, b: u32| -> u32, OID; a.min(b))),
    def(1086, "date_eq", &[DATE, DATE], BOOL).imp(vec2!(|a: i32, b: i32| -> bool, BOOL; a == b)),
    def(1091, "date_ne", &[DATE, DATE], BOOL).imp(vec2!(|a: i32, b: i32| -> bool, BOOL; a != b)),
    def(1087, "date_lt", &[DATE, DATE], BOOL).imp(vec2!(|a: i32, b: i32| -> bool, BOOL; a < b)),
    def(1089, "date_gt", &[DATE, DATE], BOOL).imp(vec2!(|a: i32, b: i32| -> bool, BOOL; a > b)),
    def(1088, "date_le", &[DATE, DATE], BOOL).imp(vec2!(|a: i32, b: i32| -> bool, BOOL; a <= b)),
    def(1090, "date_ge", &[DATE, DATE], BOOL).imp(vec2!(|a: i32, b: i32| -> bool, BOOL; a >= b)),
    def(1092, "date_cmp", &[DATE, DATE], INT4).imp(row!(|a: i32, b: i32| ord(a.cmp(&b)))),
    def(1138, "date_larger", &[DATE, DATE], DATE).imp(vec2!(|a: i32, b: i32| -> i32, DATE; a.max(b))),
    def(1139, "date_smaller", &[DATE, DATE], DATE).imp(vec2!(|a: i32, b: i32| -> i32, DATE; a.min(b))),
    def(1145, "time_eq", &[TIME, TIME], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a == b)),
    def(1106, "time_ne", &[TIME, TIME], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a != b)),
    def(1102, "time_lt", &[TIME, TIME], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a < b)),
    def(1104, "time_gt", &[TIME, TIME], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a > b)),
    def(1103, "time_le", &[TIME, TIME], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a <= b)),
    def(1105, "time_ge", &[TIME, TIME], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a >= b)),
    def(1107, "time_cmp", &[TIME, TIME], INT4).imp(row!(|a: i64, b: i64| ord(a.cmp(&b)))),
    def(1377, "time_larger", &[TIME, TIME], TIME).imp(vec2!(|a: i64, b: i64| -> i64, TIME; a.max(b))),
    def(1378, "time_smaller", &[TIME, TIME], TIME).imp(vec2!(|a: i64, b: i64| -> i64, TIME; a.min(b))),
    def(2052, "timestamp_eq", &[TIMESTAMP, TIMESTAMP], BOOL)
        .imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a == b)),
    def(2053, "timestamp_ne", &[TIMESTAMP, TIMESTAMP], BOOL)
        .imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a != b)),
    def(2054, "timestamp_lt", &[TIMESTAMP, TIMESTAMP], BOOL)
        .imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a < b)),
    def(2057, "timestamp_gt", &[TIMESTAMP, TIMESTAMP], BOOL)
        .imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a > b)),
    def(2055, "timestamp_le", &[TIMESTAMP, TIMESTAMP], BOOL)
        .imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a <= b)),
    def(2056, "timestamp_ge", &[TIMESTAMP, TIMESTAMP], BOOL)
        .imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a >= b)),
    def(2045, "timestamp_cmp", &[TIMESTAMP, TIMESTAMP], INT4).imp(row!(|a: i64, b: i64| ord(a.cmp(&b)))),
    def(2036, "timestamp_larger", &[TIMESTAMP, TIMESTAMP], TIMESTAMP)
        .imp(vec2!(|a: i64, b: i64| -> i64, TIMESTAMP; a.max(b))),
    def(2035, "timestamp_smaller", &[TIMESTAMP, TIMESTAMP], TIMESTAMP)
        .imp(vec2!(|a: i64, b: i64| -> i64, TIMESTAMP; a.min(b))),
    def(1152, "timestamptz_eq", &[TIMESTAMPTZ, TIMESTAMPTZ], BOOL)
        .imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a == b)),
    def(1153, "timestamptz_ne", &[TIMESTAMPTZ, TIMESTAMPTZ], BOOL)
        .imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a != b)),
    def(1154, "timestamptz_lt", &[TIMESTAMPTZ, TIMESTAMPTZ], BOOL)
        .imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a < b)),
    def(1157, "timestamptz_gt", &[TIMESTAMPTZ, TIMESTAMPTZ], BOOL)
        .imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a > b)),
    def(1155, "timestamptz_le", &[TIMESTAMPTZ, TIMESTAMPTZ], BOOL)
        .imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a <= b)),
    def(1156, "timestamptz_ge", &[TIMESTAMPTZ, TIMESTAMPTZ], BOOL)
        .imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a >= b)),
    def(1314, "timestamptz_cmp", &[TIMESTAMPTZ, TIMESTAMPTZ], INT4)
        .imp(row!(|a: i64, b: i64| ord(a.cmp(&b)))),
    def(1196, "timestamptz_larger", &[TIMESTAMPTZ, TIMESTAMPTZ], TIMESTAMPTZ)
        .imp(vec2!(|a: i64, b: i64| -> i64, TIMESTAMPTZ; a.max(b))),
    def(1195, "timestamptz_smaller", &[TIMESTAMPTZ, TIMESTAMPTZ], TIMESTAMPTZ)
        .imp(vec2!(|a: i64, b: i64| -> i64, TIMESTAMPTZ; a.min(b))),
    def(60, "booleq", &[BOOL, BOOL], BOOL).imp(vec2!(|a: bool, b: bool| -> bool, BOOL; a == b)),
    def(84, "boolne", &[BOOL, BOOL], BOOL).imp(vec2!(|a: bool, b: bool| -> bool, BOOL; a != b)),
    def(56, "boollt", &[BOOL, BOOL], BOOL).imp(vec2!(|a: bool, b: bool| -> bool, BOOL; !a & b)),
    def(57, "boolgt", &[BOOL, BOOL], BOOL).imp(vec2!(|a: bool, b: bool| -> bool, BOOL; a & !b)),
    def(1691, "boolle", &[BOOL, BOOL], BOOL).imp(vec2!(|a: bool, b: bool| -> bool, BOOL; !a | b)),
    def(1692, "boolge", &[BOOL, BOOL], BOOL).imp(vec2!(|a: bool, b: bool| -> bool, BOOL; a | !b)),
    def(1693, "btboolcmp", &[BOOL, BOOL], INT4).imp(row!(|a: bool, b: bool| ord(a.cmp(&b)))),
    def(770, "int2larger", &[INT2, INT2], INT2).imp(vec2!(|a: i16, b: i16| -> i16, INT2; a.max(b))),
    def(771, "int2smaller", &[INT2, INT2], INT2).imp(vec2!(|a: i16, b: i16| -> i16, INT2; a.min(b))),
    def(768, "int4larger", &[INT4, INT4], INT4).imp(vec2!(|a: i32, b: i32| -> i32, INT4; a.max(b))),
    def(769, "int4smaller", &[INT4, INT4], INT4).imp(vec2!(|a: i32, b: i32| -> i32, INT4; a.min(b))),
    def(1236, "int8larger", &[INT8, INT8], INT8).imp(vec2!(|a: i64, b: i64| -> i64, INT8; a.max(b))),
    def(1237, "int8smaller", &[INT8, INT8], INT8).imp(vec2!(|a: i64, b: i64| -> i64, INT8; a.min(b))),
];

/// Floats: NaN equals NaN and is above everything.
pub(crate) static FLOATS: &[Function] =
    &[
        def(287, "float4eq", &[FLOAT4, FLOAT4], BOOL)
            .imp(vec2!(|a: f32, b: f32| -> bool, BOOL; f32_order::eq(a, b))),
        def(288, "float4ne", &[FLOAT4, FLOAT4], BOOL)
            .imp(vec2!(|a: f32, b: f32| -> bool, BOOL; f32_order::ne(a, b))),
        def(289, "float4lt", &[FLOAT4, FLOAT4], BOOL)
            .imp(vec2!(|a: f32, b: f32| -> bool, BOOL; f32_order::lt(a, b))),
        def(291, "float4gt", &[FLOAT4, FLOAT4], BOOL)
            .imp(vec2!(|a: f32, b: f32| -> bool, BOOL; f32_order::gt(a, b))),
        def(290, "float4le", &[FLOAT4, FLOAT4], BOOL)
            .imp(vec2!(|a: f32, b: f32| -> bool, BOOL; f32_order::le(a, b))),
        def(292, "float4ge", &[FLOAT4, FLOAT4], BOOL)
            .imp(vec2!(|a: f32, b: f32| -> bool, BOOL; f32_order::ge(a, b))),
        def(354, "btfloat4cmp", &[FLOAT4, FLOAT4], INT4)
            .imp(row!(|a: f32, b: f32| ord(f32_order::cmp(a, b)))),
        def(209, "float4larger", &[FLOAT4, FLOAT4], FLOAT4)
            .imp(row!(|a: f32, b: f32| if f32_order::gt(a, b) { a } else { b })),
        def(211, "float4smaller", &[FLOAT4, FLOAT4], FLOAT4)
            .imp(row!(|a: f32, b: f32| if f32_order::lt(a, b) { a } else { b })),
        def(293, "float8eq", &[FLOAT8, FLOAT8], BOOL)
            .imp(vec2!(|a: f64, b: f64| -> bool, BOOL; f64_order::eq(a, b))),
        def(294, "float8ne", &[FLOAT8, FLOAT8], BOOL)
            .imp(vec2!(|a: f64, b: f64| -> bool, BOOL; f64_order::ne(a, b))),
        def(295, "float8lt", &[FLOAT8, FLOAT8], BOOL)
            .imp(vec2!(|a: f64, b: f64| -> bool, BOOL; f64_order::lt(a, b))),
        def(297, "float8gt", &[FLOAT8, FLOAT8], BOOL)
            .imp(vec2!(|a: f64, b: f64| -> bool, BOOL; f64_order::gt(a, b))),
        def(296, "float8le", &[FLOAT8, FLOAT8], BOOL)
            .imp(vec2!(|a: f64, b: f64| -> bool, BOOL; f64_order::le(a, b))),
        def(298, "float8ge", &[FLOAT8, FLOAT8], BOOL)
            .imp(vec2!(|a: f64, b: f64| -> bool, BOOL; f64_order::ge(a, b))),
        def(355, "btfloat8cmp", &[FLOAT8, FLOAT8], INT4)
            .imp(row!(|a: f64, b: f64| ord(f64_order::cmp(a, b)))),
        def(223, "float8larger", &[FLOAT8, FLOAT8], FLOAT8)
            .imp(row!(|a: f64, b: f64| if f64_order::gt(a, b) { a } else { b })),
        def(224, "float8smaller", &[FLOAT8, FLOAT8], FLOAT8)
            .imp(row!(|a: f64, b: f64| if f64_order::lt(a, b) { a } else { b })),
        def(299, "float48eq", &[FLOAT4, FLOAT8], BOOL)
            .imp(vec2!(|a: f32, b: f64| -> bool, BOOL; f64_order::eq(f64::from(a), b))),
        def(300, "float48ne", &[FLOAT4, FLOAT8], BOOL)
            .imp(vec2!(|a: f32, b: f64| -> bool, BOOL; f64_order::ne(f64::from(a), b))),
        def(301, "float48lt", &[FLOAT4, FLOAT8], BOOL)
            .imp(vec2!(|a: f32, b: f64| -> bool, BOOL; f64_order::lt(f64::from(a), b))),
        def(303, "float48gt", &[FLOAT4, FLOAT8], BOOL)
            .imp(vec2!(|a: f32, b: f64| -> bool, BOOL; f64_order::gt(f64::from(a), b))),
        def(302, "float48le", &[FLOAT4, FLOAT8], BOOL)
            .imp(vec2!(|a: f32, b: f64| -> bool, BOOL; f64_order::le(f64::from(a), b))),
        def(304, "float48ge", &[FLOAT4, FLOAT8], BOOL)
            .imp(vec2!(|a: f32, b: f64| -> bool, BOOL; f64_order::ge(f64::from(a), b))),
        def(305, "float84eq", &[FLOAT8, FLOAT4], BOOL)
            .imp(vec2!(|a: f64, b: f32| -> bool, BOOL; f64_order::eq(a, f64::from(b)))),
        def(306, "float84ne", &[FLOAT8, FLOAT4], BOOL)
            .imp(vec2!(|a: f64, b: f32| -> bool, BOOL; f64_order::ne(a, f64::from(b)))),
        def(307, "float84lt", &[FLOAT8, FLOAT4], BOOL)
            .imp(vec2!(|a: f64, b: f32| -> bool, BOOL; f64_order::lt(a, f64::from(b)))),
        def(309, "float84gt", &[FLOAT8, FLOAT4], BOOL)
            .imp(vec2!(|a: f64, b: f32| -> bool, BOOL; f64_order::gt(a, f64::from(b)))),
        def(308, "float84le", &[FLOAT8, FLOAT4], BOOL)
            .imp(vec2!(|a: f64, b: f32| -> bool, BOOL; f64_order::le(a, f64::from(b)))),
        def(310, "float84ge", &[FLOAT8, FLOAT4], BOOL)
            .imp(vec2!(|a: f64, b: f32| -> bool, BOOL; f64_order::ge(a, f64::from(b)))),
    ];

/// Strings and byte strings, in byte order (which for UTF-8 is code point order).
pub(crate) static STRINGS: &[Function] = &[
    def(67, "texteq", &[TEXT, TEXT], BOOL).imp(bytes2!(str; |a, b| a == b)),
    def(157, "textne", &[TEXT, TEXT], BOOL).imp(bytes2!(str; |a, b| a != b)),
    def(740, "text_lt", &[TEXT, TEXT], BOOL).imp(bytes2!(str; |a, b| a < b)),
    def(742, "text_gt", &[TEXT, TEXT], BOOL).imp(bytes2!(str; |a, b| a > b)),
    def(741, "text_le", &[TEXT, TEXT], BOOL).imp(bytes2!(str; |a, b| a <= b)),
    def(743, "text_ge", &[TEXT, TEXT], BOOL).imp(bytes2!(str; |a, b| a >= b)),
    def(62, "nameeq", &[NAME, NAME], BOOL).imp(bytes2!(str; |a, b| a == b)),
    def(659, "namene", &[NAME, NAME], BOOL).imp(bytes2!(str; |a, b| a != b)),
    def(655, "namelt", &[NAME, NAME], BOOL).imp(bytes2!(str; |a, b| a < b)),
    def(657, "namegt", &[NAME, NAME], BOOL).imp(bytes2!(str; |a, b| a > b)),
    def(656, "namele", &[NAME, NAME], BOOL).imp(bytes2!(str; |a, b| a <= b)),
    def(658, "namege", &[NAME, NAME], BOOL).imp(bytes2!(str; |a, b| a >= b)),
    def(1948, "byteaeq", &[BYTEA, BYTEA], BOOL).imp(bytes2!([u8]; |a, b| a == b)),
    def(1953, "byteane", &[BYTEA, BYTEA], BOOL).imp(bytes2!([u8]; |a, b| a != b)),
    def(1949, "bytealt", &[BYTEA, BYTEA], BOOL).imp(bytes2!([u8]; |a, b| a < b)),
    def(1951, "byteagt", &[BYTEA, BYTEA], BOOL).imp(bytes2!([u8]; |a, b| a > b)),
    def(1950, "byteale", &[BYTEA, BYTEA], BOOL).imp(bytes2!([u8]; |a, b| a <= b)),
    def(1952, "byteage", &[BYTEA, BYTEA], BOOL).imp(bytes2!([u8]; |a, b| a >= b)),
    def(1048, "bpchareq", &[BPCHAR, BPCHAR], BOOL).imp(bytes2!(str; |a, b| trim_blanks(a) == trim_blanks(b))),
    def(1053, "bpcharne", &[BPCHAR, BPCHAR], BOOL).imp(bytes2!(str; |a, b| trim_blanks(a) != trim_blanks(b))),
    def(1049, "bpcharlt", &[BPCHAR, BPCHAR], BOOL).imp(bytes2!(str; |a, b| trim_blanks(a) < trim_blanks(b))),
    def(1051, "bpchargt", &[BPCHAR, BPCHAR], BOOL).imp(bytes2!(str; |a, b| trim_blanks(a) > trim_blanks(b))),
    def(1050, "bpcharle", &[BPCHAR, BPCHAR], BOOL).imp(bytes2!(str; |a, b| trim_blanks(a) <= trim_blanks(b))),
    def(1052, "bpcharge", &[BPCHAR, BPCHAR], BOOL).imp(bytes2!(str; |a, b| trim_blanks(a) >= trim_blanks(b))),
    def(240, "nameeqtext", &[NAME, TEXT], BOOL).imp(bytes2!(str; |a, b| a == b)),
    def(247, "texteqname", &[TEXT, NAME], BOOL).imp(bytes2!(str; |a, b| a == b)),
    def(245, "namenetext", &[NAME, TEXT], BOOL).imp(bytes2!(str; |a, b| a != b)),
    def(252, "textnename", &[TEXT, NAME], BOOL).imp(bytes2!(str; |a, b| a != b)),
    def(241, "namelttext", &[NAME, TEXT], BOOL).imp(bytes2!(str; |a, b| a < b)),
    def(248, "textltname", &[TEXT, NAME], BOOL).imp(bytes2!(str; |a, b| a < b)),
    def(244, "namegttext", &[NAME, TEXT], BOOL).imp(bytes2!(str; |a, b| a > b)),
    def(251, "textgtname", &[TEXT, NAME], BOOL).imp(bytes2!(str; |a, b| a > b)),
    def(242, "nameletext", &[NAME, TEXT], BOOL).imp(bytes2!(str; |a, b| a <= b)),
    def(249, "textlename", &[TEXT, NAME], BOOL).imp(bytes2!(str; |a, b| a <= b)),
    def(243, "namegetext", &[NAME, TEXT], BOOL).imp(bytes2!(str; |a, b| a >= b)),
    def(250, "textgename", &[TEXT, NAME], BOOL).imp(bytes2!(str; |a, b| a >= b)),
    def(2160, "text_pattern_lt", &[TEXT, TEXT], BOOL).imp(bytes2!(str; |a, b| a < b)),
    def(2174, "bpchar_pattern_lt", &[BPCHAR, BPCHAR], BOOL)
        .imp(bytes2!(str; |a, b| trim_blanks(a) < trim_blanks(b))),
    def(2161, "text_pattern_le", &[TEXT, TEXT], BOOL).imp(bytes2!(str; |a, b| a <= b)),
    def(2175, "bpchar_pattern_le", &[BPCHAR, BPCHAR], BOOL)
        .imp(bytes2!(str; |a, b| trim_blanks(a) <= trim_blanks(b))),
    def(2163, "text_pattern_ge", &[TEXT, TEXT], BOOL).imp(bytes2!(str; |a, b| a >= b)),
    def(2177, "bpchar_pattern_ge", &[BPCHAR, BPCHAR], BOOL)
        .imp(bytes2!(str; |a, b| trim_blanks(a) >= trim_blanks(b))),
    def(2164, "text_pattern_gt", &[TEXT, TEXT], BOOL).imp(bytes2!(str; |a, b| a > b)),
    def(2178, "bpchar_pattern_gt", &[BPCHAR, BPCHAR], BOOL)
        .imp(bytes2!(str; |a, b| trim_blanks(a) > trim_blanks(b))),
    def(360, "bttextcmp", &[TEXT, TEXT], INT4).imp(row!(|a: &str, b: &str| ord(a.cmp(b)))),
    def(359, "btnamecmp", &[NAME, NAME], INT4).imp(row!(|a: &str, b: &str| ord(a.cmp(b)))),
    def(1954, "byteacmp", &[BYTEA, BYTEA], INT4).imp(row!(|a: &[u8], b: &[u8]| ord(a.cmp(b)))),
    def(1078, "bpcharcmp", &[BPCHAR, BPCHAR], INT4)
        .imp(row!(|a: &str, b: &str| ord(trim_blanks(a.as_bytes()).cmp(trim_blanks(b.as_bytes()))))),
    def(458, "text_larger", &[TEXT, TEXT], TEXT).imp(row!(|a: &str, b: &str| a.max(b))),
    def(459, "text_smaller", &[TEXT, TEXT], TEXT).imp(row!(|a: &str, b: &str| a.min(b))),
    def(1063, "bpchar_larger", &[BPCHAR, BPCHAR], BPCHAR).imp(row!(|a: &str, b: &str| if trim_blanks(
        a.as_bytes()
    ) >= trim_blanks(
        b.as_bytes()
    ) {
        a
    } else {
        b
    })),
    def(1064, "bpchar_smaller", &[BPCHAR, BPCHAR], BPCHAR).imp(row!(|a: &str, b: &str| if trim_blanks(
        a.as_bytes()
    ) <= trim_blanks(
        b.as_bytes()
    ) {
        a
    } else {
        b
    })),
    def(61, "chareq", &[CHAR, CHAR], BOOL).imp(row!(|a: u8, b: u8| a == b)),
    def(70, "charne", &[CHAR, CHAR], BOOL).imp(row!(|a: u8, b: u8| a != b)),
    def(1246, "charlt", &[CHAR, CHAR], BOOL).imp(row!(|a: u8, b: u8| a < b)),
    def(73, "chargt", &[CHAR, CHAR], BOOL).imp(row!(|a: u8, b: u8| a > b)),
    def(72, "charle", &[CHAR, CHAR], BOOL).imp(row!(|a: u8, b: u8| a <= b)),
    def(74, "charge", &[CHAR, CHAR], BOOL).imp(row!(|a: u8, b: u8| a >= b)),
    def(358, "btcharcmp", &[CHAR, CHAR], INT4).imp(row!(|a: u8, b: u8| ord(a.cmp(&b)))),
];

/// Types compared through their order in `crate::order`.
pub(crate) static OTHERS: &[Function] =
    &[
        def(2956, "uuid_eq", &[UUID, UUID], BOOL)
            .imp(vec2!(|a: [u8; 16], b: [u8; 16]| -> bool, BOOL; a == b)),
        def(2959, "uuid_ne", &[UUID, UUID], BOOL)
            .imp(vec2!(|a: [u8; 16], b: [u8; 16]| -> bool, BOOL; a != b)),
        def(2954, "uuid_lt", &[UUID, UUID], BOOL).imp(vec2!(|a: [u8; 16], b: [u8; 16]| -> bool, BOOL; a < b)),
        def(2958, "uuid_gt", &[UUID, UUID], BOOL).imp(vec2!(|a: [u8; 16], b: [u8; 16]| -> bool, BOOL; a > b)),
        def(2955, "uuid_le", &[UUID, UUID], BOOL)
            .imp(vec2!(|a: [u8; 16], b: [u8; 16]| -> bool, BOOL; a <= b)),
        def(2957, "uuid_ge", &[UUID, UUID], BOOL)
            .imp(vec2!(|a: [u8; 16], b: [u8; 16]| -> bool, BOOL; a >= b)),
        def(2960, "uuid_cmp", &[UUID, UUID], INT4).imp(row!(|a: [u8; 16], b: [u8; 16]| ord(a.cmp(&b)))),
        def(1162, "interval_eq", &[INTERVAL, INTERVAL], BOOL)
            .imp(vec2!(|a: Interval, b: Interval| -> bool, BOOL; span(a) == span(b))),
        def(1163, "interval_ne", &[INTERVAL, INTERVAL], BOOL)
            .imp(vec2!(|a: Interval, b: Interval| -> bool, BOOL; span(a) != span(b))),
        def(1164, "interval_lt", &[INTERVAL, INTERVAL], BOOL)
            .imp(vec2!(|a: Interval, b: Interval| -> bool, BOOL; span(a) < span(b))),
        def(1167, "interval_gt", &[INTERVAL, INTERVAL], BOOL)
            .imp(vec2!(|a: Interval, b: Interval| -> bool, BOOL; span(a) > span(b))),
        def(1165, "interval_le", &[INTERVAL, INTERVAL], BOOL)
            .imp(vec2!(|a: Interval, b: Interval| -> bool, BOOL; span(a) <= span(b))),
        def(1166, "interval_ge", &[INTERVAL, INTERVAL], BOOL)
            .imp(vec2!(|a: Interval, b: Interval| -> bool, BOOL; span(a) >= span(b))),
        def(1315, "interval_cmp", &[INTERVAL, INTERVAL], INT4)
            .imp(row!(|a: Interval, b: Interval| ord(span(a).cmp(&span(b))))),
        def(1198, "interval_larger", &[INTERVAL, INTERVAL], INTERVAL)
            .imp(row!(|a: Interval, b: Interval| if span(a) > span(b) { a } else { b })),
        def(1197, "interval_smaller", &[INTERVAL, INTERVAL], INTERVAL)
            .imp(row!(|a: Interval, b: Interval| if span(a) < span(b) { a } else { b })),
        def(1352, "timetz_eq", &[TIMETZ, TIMETZ], BOOL)
            .imp(row!(|a: TimeTz, b: TimeTz| timetz_key(a) == timetz_key(b))),
        def(1353, "timetz_ne", &[TIMETZ, TIMETZ], BOOL)
            .imp(row!(|a: TimeTz, b: TimeTz| timetz_key(a) != timetz_key(b))),
        def(1354, "timetz_lt", &[TIMETZ, TIMETZ], BOOL)
            .imp(row!(|a: TimeTz, b: TimeTz| timetz_key(a) < timetz_key(b))),
        def(1357, "timetz_gt", &[TIMETZ, TIMETZ], BOOL)
            .imp(row!(|a: TimeTz, b: TimeTz| timetz_key(a) > timetz_key(b))),
        def(1355, "timetz_le", &[TIMETZ, TIMETZ], BOOL)
            .imp(row!(|a: TimeTz, b: TimeTz| timetz_key(a) <= timetz_key(b))),
        def(1356, "timetz_ge", &[TIMETZ, TIMETZ], BOOL)
            .imp(row!(|a: TimeTz, b: TimeTz| timetz_key(a) >= timetz_key(b))),
        def(1358, "timetz_cmp", &[TIMETZ, TIMETZ], INT4)
            .imp(row!(|a: TimeTz, b: TimeTz| ord(timetz_key(a).cmp(&timetz_key(b))))),
        def(1379, "timetz_larger", &[TIMETZ, TIMETZ], TIMETZ)
            .imp(row!(|a: TimeTz, b: TimeTz| if timetz_key(a) > timetz_key(b) { a } else { b })),
        def(1380, "timetz_smaller", &[TIMETZ, TIMETZ], TIMETZ)
            .imp(row!(|a: TimeTz, b: TimeTz| if timetz_key(a) < timetz_key(b) { a } else { b })),
        def(1292, "tideq", &[TID, TID], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_eq())),
        def(744, "array_eq", &[ANYARRAY, ANYARRAY], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_eq())),
        def(5084, "xid8eq", &[XID8, XID8], BOOL)
            .imp(row!(|a: i64, b: i64| a.cast_unsigned() == b.cast_unsigned())),
        def(679, "oidvectoreq", &[OIDVECTOR, OIDVECTOR], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare_vectors(a, b).is_eq())),
        def(1265, "tidne", &[TID, TID], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_ne())),
        def(390, "array_ne", &[ANYARRAY, ANYARRAY], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_ne())),
        def(5085, "xid8ne", &[XID8, XID8], BOOL)
            .imp(row!(|a: i64, b: i64| a.cast_unsigned() != b.cast_unsigned())),
        def(619, "oidvectorne", &[OIDVECTOR, OIDVECTOR], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare_vectors(a, b).is_ne())),
        def(2791, "tidlt", &[TID, TID], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_lt())),
        def(391, "array_lt", &[ANYARRAY, ANYARRAY], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_lt())),
        def(5034, "xid8lt", &[XID8, XID8], BOOL)
            .imp(row!(|a: i64, b: i64| a.cast_unsigned() < b.cast_unsigned())),
        def(677, "oidvectorlt", &[OIDVECTOR, OIDVECTOR], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare_vectors(a, b).is_lt())),
        def(2790, "tidgt", &[TID, TID], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_gt())),
        def(392, "array_gt", &[ANYARRAY, ANYARRAY], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_gt())),
        def(5035, "xid8gt", &[XID8, XID8], BOOL)
            .imp(row!(|a: i64, b: i64| a.cast_unsigned() > b.cast_unsigned())),
        def(681, "oidvectorgt", &[OIDVECTOR, OIDVECTOR], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare_vectors(a, b).is_gt())),
        def(2793, "tidle", &[TID, TID], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_le())),
        def(393, "array_le", &[ANYARRAY, ANYARRAY], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_le())),
        def(5036, "xid8le", &[XID8, XID8], BOOL)
            .imp(row!(|a: i64, b: i64| a.cast_unsigned() <= b.cast_unsigned())),
        def(678, "oidvectorle", &[OIDVECTOR, OIDVECTOR], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare_vectors(a, b).is_le())),
        def(2792, "tidge", &[TID, TID], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_ge())),
        def(396, "array_ge", &[ANYARRAY, ANYARRAY], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_ge())),
        def(5037, "xid8ge", &[XID8, XID8], BOOL)
            .imp(row!(|a: i64, b: i64| a.cast_unsigned() >= b.cast_unsigned())),
        def(680, "oidvectorge", &[OIDVECTOR, OIDVECTOR], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare_vectors(a, b).is_ge())),
        def(382, "btarraycmp", &[ANYARRAY, ANYARRAY], INT4)
            .imp(row!(|a: &Value, b: &Value| ord(crate::order::compare(a, b)))),
        def(515, "array_larger", &[ANYARRAY, ANYARRAY], ANYARRAY)
            .imp(row!(|a: &Value, b: &Value| if crate::order::compare(a, b).is_gt() { a } else { b })),
        def(516, "array_smaller", &[ANYARRAY, ANYARRAY], ANYARRAY)
            .imp(row!(|a: &Value, b: &Value| if crate::order::compare(a, b).is_lt() { a } else { b })),
        def(68, "xideq", &[XID, XID], BOOL).imp(row!(|a: u32, b: u32| a == b)),
        def(3308, "xidneq", &[XID, XID], BOOL).imp(row!(|a: u32, b: u32| a != b)),
        def(69, "cideq", &[CID, CID], BOOL).imp(row!(|a: u32, b: u32| a == b)),
        def(2981, "record_eq", &[RECORD, RECORD], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_eq())),
        def(2982, "record_ne", &[RECORD, RECORD], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_ne())),
        def(2983, "record_lt", &[RECORD, RECORD], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_lt())),
        def(2984, "record_gt", &[RECORD, RECORD], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_gt())),
        def(2985, "record_le", &[RECORD, RECORD], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_le())),
        def(2986, "record_ge", &[RECORD, RECORD], BOOL)
            .imp(row!(|a: &Value, b: &Value| crate::order::compare(a, b).is_ge())),
        def(2987, "btrecordcmp", &[RECORD, RECORD], INT4)
            .imp(row!(|a: &Value, b: &Value| ord(crate::order::compare(a, b)))),
    ];

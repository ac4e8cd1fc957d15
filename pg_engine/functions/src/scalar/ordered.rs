//! Comparison of types whose order is `pg_types::compare`'s.

use pg_types::{Value, oid::*};

use crate::{call::row, def::Function, order::compare, table::def};

/// The six operators' functions and the three-way one of each type.
macro_rules! ordered {
    ($($ty:ident: $($oid:literal $name:literal $test:ident),*; $cmp:literal $cmp_name:literal;)*) => {
        &[$(
            $(def($oid, $name, &[$ty, $ty], BOOL).imp(row!(|a: &Value, b: &Value| compare(a, b).$test())),)*
            def($cmp, $cmp_name, &[$ty, $ty], INT4).imp(row!(|a: &Value, b: &Value| compare(a, b) as i32)),
        )*]
    };
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = ordered! {
    JSONB: 4043 "jsonb_eq" is_eq, 4038 "jsonb_ne" is_ne, 4039 "jsonb_lt" is_lt, 4040 "jsonb_gt" is_gt,
        4041 "jsonb_le" is_le, 4042 "jsonb_ge" is_ge; 4044 "jsonb_cmp";
    INET: 920 "network_eq" is_eq, 925 "network_ne" is_ne, 921 "network_lt" is_lt, 923 "network_gt" is_gt,
        922 "network_le" is_le, 924 "network_ge" is_ge; 926 "network_cmp";
    MACADDR: 830 "macaddr_eq" is_eq, 835 "macaddr_ne" is_ne, 831 "macaddr_lt" is_lt, 833 "macaddr_gt" is_gt,
        832 "macaddr_le" is_le, 834 "macaddr_ge" is_ge; 836 "macaddr_cmp";
    MACADDR8: 4113 "macaddr8_eq" is_eq, 4118 "macaddr8_ne" is_ne, 4114 "macaddr8_lt" is_lt,
        4116 "macaddr8_gt" is_gt, 4115 "macaddr8_le" is_le, 4117 "macaddr8_ge" is_ge; 4119 "macaddr8_cmp";
    BIT: 1581 "biteq" is_eq, 1582 "bitne" is_ne, 1595 "bitlt" is_lt, 1593 "bitgt" is_gt, 1594 "bitle" is_le,
        1592 "bitge" is_ge; 1596 "bitcmp";
    VARBIT: 1666 "varbiteq" is_eq, 1667 "varbitne" is_ne, 1671 "varbitlt" is_lt, 1669 "varbitgt" is_gt,
        1670 "varbitle" is_le, 1668 "varbitge" is_ge; 1672 "varbitcmp";
    MONEY: 888 "cash_eq" is_eq, 889 "cash_ne" is_ne, 890 "cash_lt" is_lt, 892 "cash_gt" is_gt, 891 "cash_le" is_le,
        893 "cash_ge" is_ge; 377 "cash_cmp";
};

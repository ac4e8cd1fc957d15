use alloc::{vec, vec::Vec};
use core::{cmp::Ordering, ops::Bound};

use proptest::prelude::*;

use super::*;
use crate::{
    compare::compare,
    oid::SqlType,
    tuple::tests::any_typed,
    value::{Interval, TimeTz},
};

/// Pairs of one type that are often close or equal.
fn any_pair() -> impl Strategy<Value = (Oid, Value, Value)> {
    let small = || {
        prop_oneof![
            Just(f64::NAN),
            Just(-0.0),
            Just(0.0),
            Just(f64::INFINITY),
            (-3i8..3).prop_map(f64::from),
            any::<f64>()
        ]
    };
    let numeric = || {
        prop_oneof![
            (-200i64..200, 0u32..5).prop_map(|(m, s)| Numeric::new(m.into(), s)),
            (any::<i64>(), 0u32..30).prop_map(|(m, s)| Numeric::new(m.into(), s)),
            (any::<i128>(), 0u32..60).prop_map(|(m, s)| Numeric::new(m, s)),
            Just(Numeric::NAN),
            Just(Numeric::INFINITY),
            Just(Numeric::NEG_INFINITY),
        ]
        .prop_map(Value::Numeric)
    };
    let text = || "[ab\u{0}\u{1}é ]{0,4}".prop_map(|s| Value::text(&s));
    let interval = || {
        (-2i32..2, -40i32..40, -3i64..3).prop_map(|(months, days, d)| {
            Value::Interval(Interval { months, days, micros: d * 43_200_000_000 })
        })
    };
    let timetz = || {
        (0i64..4, -2i32..2)
            .prop_map(|(h, z)| Value::TimeTz(TimeTz { micros: h * 3_600_000_000, zone: z * 3_600 }))
    };
    let bytes = || {
        proptest::collection::vec(prop_oneof![Just(0u8), Just(255), Just(1)], 0..4)
            .prop_map(|b| Value::Bytea(b.into()))
    };
    let document = || {
        let leaf = prop_oneof![
            Just("null"),
            Just("1"),
            Just("1.0"),
            Just("\"a\""),
            Just("\"\""),
            Just("false"),
            Just("-2")
        ];
        let leaves = leaf.prop_map(alloc::string::String::from);
        leaves
            .prop_recursive(3, 12, 3, |inner| {
                prop_oneof![
                    proptest::collection::vec(inner.clone(), 0..3)
                        .prop_map(|v| alloc::format!("[{}]", v.join(","))),
                    proptest::collection::vec(("[ab]{0,2}", inner), 0..3).prop_map(|v| {
                        let members: Vec<_> = v.iter().map(|(k, v)| alloc::format!("\"{k}\":{v}")).collect();
                        alloc::format!("{{{}}}", members.join(","))
                    }),
                ]
            })
            .prop_map(|t| Value::Jsonb(crate::json::jsonb(&t).unwrap()))
    };
    let inet = || {
        (any::<bool>(), 0u8..33, prop_oneof![Just(0u8), Just(128), Just(192)], 0u8..3).prop_map(
            |(v6, bits, a, b)| {
                let mut address = [0; 16];
                (address[0], address[3]) = (a, b);
                Value::Inet(crate::network::Inet { v6, bits, cidr: false, address })
            },
        )
    };
    let bits = || "[01]{0,18}".prop_map(|t| Value::from(crate::bits::Bits::parse(&t).unwrap()));
    prop_oneof![
        (document(), document()).prop_map(|(a, b)| (oid::JSONB, a, b)),
        (inet(), inet()).prop_map(|(a, b)| (oid::INET, a, b)),
        (bits(), bits()).prop_map(|(a, b)| (oid::VARBIT, a, b)),
        (small(), small()).prop_map(|(a, b)| (oid::FLOAT8, Value::Float8(a), Value::Float8(b))),
        (small(), small()).prop_map(|(a, b)| (oid::FLOAT4, Value::Float4(a as f32), Value::Float4(b as f32))),
        (numeric(), numeric()).prop_map(|(a, b)| (oid::NUMERIC, a, b)),
        (text(), text()).prop_map(|(a, b)| (oid::TEXT, a, b)),
        (text(), text()).prop_map(|(a, b)| (oid::BPCHAR, a, b)),
        (interval(), interval()).prop_map(|(a, b)| (oid::INTERVAL, a, b)),
        (timetz(), timetz()).prop_map(|(a, b)| (oid::TIMETZ, a, b)),
        (bytes(), bytes()).prop_map(|(a, b)| (oid::BYTEA, a, b)),
        (any::<i32>(), any::<i32>()).prop_map(|(a, b)| (oid::INT4, Value::Int4(a), Value::Int4(b))),
        (any_typed(), any_typed()).prop_map(|((ty, a), (other, b))| {
            let b = if ty == other { b } else { a.clone() };
            (ty.oid, a, b)
        }),
    ]
}

fn key(column: KeyColumn, v: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    column.put(v, &mut out).unwrap();
    let vector = Vector::constant(v, SqlType::new(column.ty)).unwrap();
    let mut by_row = Vec::new();
    KeyLayout::new([column]).encode_row(&[Arc::new(vector)], 1, &mut by_row).unwrap();
    assert_eq!(out, by_row);
    out
}

fn expected(column: KeyColumn, a: &Value, b: &Value) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (false, false) => {
            let order = compare(column.ty, a, b);
            if column.descending { order.reverse() } else { order }
        }
        (x, y) if column.nulls_first => y.cmp(&x),
        (x, y) => x.cmp(&y),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn bytes_sort_like_values(
        (ty, a, b) in any_pair(), descending in any::<bool>(), nulls_first in any::<bool>(), (tty, c, d) in any_pair(),
    ) {
        let column = KeyColumn { ty, descending, nulls_first };
        let order = expected(column, &a, &b);
        prop_assert_eq!(key(column, &a).cmp(&key(column, &b)), order);
        // A second column decides only between equals, and nothing in it can spill over.
        let second = KeyColumn { ty: tty, descending: nulls_first, nulls_first: descending };
        let layout = KeyLayout::new([column, second]);
        let (mut x, mut y) = (Vec::new(), Vec::new());
        layout.encode(&[a, c.clone()], &mut x).unwrap();
        layout.encode(&[b, d.clone()], &mut y).unwrap();
        prop_assert_eq!(x.cmp(&y), order.then_with(|| expected(second, &c, &d)));
    }
    #[test]
    fn ranges_hold_what_compares(
        values in proptest::collection::vec(proptest::option::of(-4i32..4), 1..8),
        lower in -4i32..4, upper in -4i32..4, descending in any::<bool>(), nulls_first in any::<bool>(),
    ) {
        let layout = KeyLayout::new([KeyColumn::ascending(oid::TEXT), KeyColumn { ty: oid::INT4, descending, nulls_first }]);
        let (lower, upper) = (Value::Int4(lower), Value::Int4(upper));
        let range = layout.range(&[Value::text("k")], Bound::Excluded(&lower), Bound::Included(&upper)).unwrap();
        for v in values {
            let value = v.map_or(Value::Null, Value::Int4);
            let mut key = Vec::new();
            layout.encode(&[Value::text("k"), value.clone()], &mut key).unwrap();
            key.push(77);
            let within = !value.is_null()
                && compare(oid::INT4, &value, &lower).is_gt()
                && compare(oid::INT4, &value, &upper).is_le();
            prop_assert_eq!(range.start <= key && range.end.as_ref().is_none_or(|e| key < *e), within);
        }
    }
}

#[test]
fn successors() {
    assert_eq!(successor(&[1, 0xff]), Some(vec![2]));
    assert_eq!(successor(&[0xff, 0xff]), None);
    assert_eq!(successor(&[1, 2]), Some(vec![1, 3]));
}

#[test]
fn integers_widen_to_the_column() {
    let column = KeyColumn::ascending(oid::INT8);
    let (mut a, mut b) = (Vec::new(), Vec::new());
    column.put(&Value::Int4(-5), &mut a).unwrap();
    column.put(&Value::Int8(-5), &mut b).unwrap();
    assert_eq!(a, b);
    assert!(column.put(&Value::text("5"), &mut a).is_err());
}

use alloc::{sync::Arc, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    datetime,
    numeric::Numeric,
    value::{ArrayValue, Interval, RecordValue, TimeTz, Value},
    vector::{Vector, VectorBuilder},
};

pub(crate) fn any_typed() -> impl Strategy<Value = (SqlType, Value)> {
    let text = prop_oneof!["[a-z ]{0,8}", ".{0,200}"];
    let present = prop_oneof![
        any::<bool>().prop_map(|v| (oid::BOOL, Value::Bool(v))),
        any::<u8>().prop_map(|v| (oid::CHAR, Value::Char(v))),
        any::<i16>().prop_map(|v| (oid::INT2, Value::Int2(v))),
        any::<i32>().prop_map(|v| (oid::INT4, Value::Int4(v))),
        any::<i64>().prop_map(|v| (oid::INT8, Value::Int8(v))),
        any::<u32>().prop_map(|v| (oid::OID, Value::Oid(v))),
        any::<i32>().prop_map(|v| (oid::FLOAT4, Value::Float4(v as f32 / 7.0))),
        any::<i64>().prop_map(|v| (oid::FLOAT8, Value::Float8(v as f64 / 7.0))),
        (any::<i64>(), 0u32..9).prop_map(|(m, s)| (oid::NUMERIC, Value::Numeric(Numeric::new(m.into(), s)))),
        (any::<i128>(), 0u32..50).prop_map(|(m, s)| (oid::NUMERIC, Value::Numeric(Numeric::new(m, s)))),
        text.prop_map(|v| (oid::TEXT, Value::text(&v))),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|v| (oid::BYTEA, Value::Bytea(v.into()))),
        (datetime::MIN_DATE..datetime::END_DATE).prop_map(|v| (oid::DATE, Value::Date(v))),
        (datetime::MIN_TIMESTAMP..datetime::END_TIMESTAMP)
            .prop_map(|v| (oid::TIMESTAMPTZ, Value::TimestampTz(v))),
        (0..=datetime::DAY, -57_599i32..57_600)
            .prop_map(|(micros, zone)| (oid::TIMETZ, Value::TimeTz(TimeTz { micros, zone }))),
        (any::<i32>(), any::<i32>(), any::<i64>()).prop_map(|(months, days, micros)| (
            oid::INTERVAL,
            Value::Interval(Interval { months, days, micros })
        )),
        any::<[u8; 16]>().prop_map(|v| (oid::UUID, Value::Uuid(v))),
        (any::<u32>(), any::<u16>()).prop_map(|(b, o)| (oid::TID, Value::Tid(b, o))),
        proptest::collection::vec(proptest::option::of(any::<i32>()), 0..5).prop_map(|v| {
            let dims = if v.is_empty() { vec![] } else { vec![(v.len() as i32, 1)] };
            let values = v.into_iter().map(|x| x.map_or(Value::Null, Value::Int4)).collect();
            (oid::INT4_ARRAY, Value::Array(Arc::new(ArrayValue { element: oid::INT4, dims, values })))
        }),
        any::<[u8; 6]>().prop_map(|v| (oid::MACADDR, Value::MacAddr(v))),
        any::<[u8; 8]>().prop_map(|v| (oid::MACADDR8, Value::MacAddr8(v))),
        any::<([u8; 16], bool, u8)>().prop_map(|(bytes, v6, bits)| {
            let mut address = [0; 16];
            let n = if v6 { 16 } else { 4 };
            address[..n].copy_from_slice(&bytes[..n]);
            let bits = bits % (8 * n as u8 + 1);
            (oid::INET, Value::Inet(crate::network::Inet { v6, bits, cidr: false, address }))
        }),
        "[01]{0,20}".prop_map(|t| (oid::VARBIT, crate::bits::Bits::parse(&t).unwrap().into())),
        (any::<i32>(), "[a-z]{0,5}").prop_map(|(n, s)| {
            let text = alloc::format!("{{\"{s}\":[{n},null,{{\"x\":{n}.50}}],\"k\":true}}");
            (oid::JSONB, Value::Jsonb(crate::json::jsonb(&text).unwrap()))
        }),
        any::<i64>().prop_map(|v| {
            let values = vec![Value::Int8(v), Value::Null, Value::text("x")];
            let types = vec![oid::INT8, oid::BOOL, oid::TEXT];
            (oid::RECORD, Value::Record(Arc::new(RecordValue { types, values, names: None })))
        }),
    ];
    (present, 0..5).prop_map(|((ty, v), k)| (SqlType::new(ty), if k == 0 { Value::Null } else { v }))
}

fn columns(types: &[SqlType], row: &[Value]) -> Vec<Arc<Vector>> {
    let column = |(&t, v): (&SqlType, &Value)| Arc::new(Vector::constant(v, t).unwrap());
    types.iter().zip(row).map(column).collect()
}

proptest! {
    #[test]
    fn rows_round_trip(row in proptest::collection::vec(any_typed(), 0..12), pick in any::<u64>()) {
        let (types, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        let layout = TupleLayout::new(&types);
        let mut tuple = Vec::new();
        layout.encode(&values, &mut tuple).unwrap();
        let mut from_columns = Vec::new();
        layout.encode_row(&columns(&types, &values), 7, &mut from_columns).unwrap();
        prop_assert_eq!(&tuple, &from_columns);
        prop_assert_eq!(&layout.decode(&tuple, &[]).unwrap(), &values);

        let wanted: Vec<usize> = (0..types.len()).filter(|i| pick >> i & 1 != 0).collect();
        let mut out: Vec<_> = wanted.iter().map(|&i| VectorBuilder::with_capacity(types[i], 1)).collect();
        layout.decode_into(&tuple, &wanted, &[], &mut out).unwrap();
        for (&i, b) in wanted.iter().zip(out) {
            prop_assert_eq!(&b.finish().value(0), &values[i]);
            prop_assert_eq!(&layout.column(&tuple, i, &[]).unwrap(), &values[i]);
        }
    }
    #[test]
    fn damaged_rows_are_errors_not_panics(
        row in proptest::collection::vec(any_typed(), 0..8),
        junk in proptest::collection::vec(any::<u8>(), 0..60),
        cut in any::<usize>(),
        flip in any::<(usize, u8)>(),
    ) {
        let (types, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        let layout = TupleLayout::new(&types);
        let mut tuple = Vec::new();
        layout.encode(&values, &mut tuple).unwrap();
        let _ = layout.decode(&tuple[..cut % (tuple.len() + 1)], &[]);
        let i = flip.0 % tuple.len();
        tuple[i] ^= flip.1;
        let _ = layout.decode(&tuple, &[]);
        let _ = layout.decode(&junk, &[]);
    }
}

#[test]
fn columns_added_later_read_as_their_missing_value() {
    let old = TupleLayout::new(&[oid::INT4.into()]);
    let new = TupleLayout::new(&[oid::INT4.into(), oid::TEXT.into(), oid::INT8.into()]);
    let mut tuple = Vec::new();
    old.encode(&[Value::Int4(1)], &mut tuple).unwrap();
    let missing = [Value::Null, Value::text("d")];
    assert_eq!(new.decode(&tuple, &missing).unwrap(), [Value::Int4(1), Value::text("d"), Value::Null]);
    assert_eq!(new.column(&tuple, 1, &missing).unwrap(), Value::text("d"));
    let mut wide = Vec::new();
    new.encode(&[Value::Int4(1), Value::Null, Value::Null], &mut wide).unwrap();
    assert_eq!(old.decode(&wide, &[]).unwrap_err().state(), SqlState::DATA_CORRUPTED);
}

#[test]
fn fixed_fields_are_overwritten_in_place() {
    let types = [oid::INT4, oid::TEXT, oid::INT8, oid::INT2].map(SqlType::new);
    let layout = TupleLayout::new(&types);
    let mut row = vec![Value::Int4(1), Value::text("abc"), Value::Int8(5), Value::Null];
    let mut tuple = Vec::new();
    layout.encode(&row, &mut tuple).unwrap();
    assert!(layout.overwrite(&mut tuple, &[(0, Value::Int4(9)), (2, Value::Int8(-5))]).unwrap());
    (row[0], row[2]) = (Value::Int4(9), Value::Int8(-5));
    assert_eq!(layout.decode(&tuple, &[]).unwrap(), row);
    assert!(!layout.overwrite(&mut tuple, &[(3, Value::Int2(1))]).unwrap());
    assert!(!layout.overwrite(&mut tuple, &[(1, Value::text("abd"))]).unwrap());
    assert!(layout.overwrite(&mut tuple, &[(0, Value::Int8(1))]).is_err());
}

#[test]
fn values_of_other_types_are_refused() {
    let layout = TupleLayout::new(&[oid::INT4.into()]);
    for wrong in [Value::Int8(1), Value::Float4(1.0), Value::text("1")] {
        let e = layout.encode(core::slice::from_ref(&wrong), &mut Vec::new()).unwrap_err();
        assert_eq!(e.state(), SqlState::INTERNAL_ERROR);
        assert!(layout.overwrite(&mut [1, 0, 0, 0, 0, 0], &[(0, wrong)]).is_err());
    }
    let column = Arc::new(Vector::from_i64(vec![1]));
    assert!(layout.encode_row(&[column], 0, &mut Vec::new()).is_err());
    let timetz = TupleLayout::new(&[oid::TIMETZ.into()]);
    assert!(timetz.encode(&[Value::Char(1)], &mut Vec::new()).is_err());
}

#[test]
fn arrays_of_any_element_are_stored() {
    let layout = TupleLayout::new(&[oid::ANYARRAY.into()]);
    let values = vec![Value::text("a"), Value::Null];
    let row = [Value::Array(Arc::new(ArrayValue { element: oid::TEXT, dims: vec![(2, 1)], values }))];
    let mut tuple = Vec::new();
    layout.encode(&row, &mut tuple).unwrap();
    assert_eq!(layout.decode(&tuple, &[]).unwrap(), row);
}

#[test]
fn a_balance_row_is_compact() {
    let types = [oid::INT4, oid::INT4, oid::INT4, oid::BPCHAR].map(SqlType::new);
    let mut tuple = Vec::new();
    let row = [Value::Int4(1), Value::Int4(1), Value::Int4(0), Value::text(&" ".repeat(84))];
    TupleLayout::new(&types).encode(&row, &mut tuple).unwrap();
    assert_eq!(tuple.len(), 2 + 12 + 1 + 84);
}

/// Some way to store a value of so many bytes.
fn any_wrapping() -> impl Strategy<Value = Option<Stored<'static>>> {
    let block = proptest::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        3 => Just(None),
        1 => (0..=MAX_VALUE as u32, block).prop_map(|(raw, b)| Some(Stored::Compressed { raw, block: b.into() })),
        1 => (any::<u32>(), 0..=MAX_VALUE as u32, any::<bool>()).prop_map(|(id, raw, compressed)| {
            let stored = if compressed { raw / 2 } else { raw };
            Some(Stored::External(External { id, raw, stored, compressed }))
        }),
    ]
}

proptest! {
    #[test]
    fn wrapped_rows_keep_their_fields(
        row in proptest::collection::vec((any_typed(), any_wrapping()), 1..12),
        flip in any::<(usize, u8)>(),
        cut in any::<usize>(),
    ) {
        let (typed, wrapping): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        let (types, values): (Vec<_>, Vec<_>) = typed.into_iter().unzip();
        let layout = TupleLayout::new(&types);
        let mut plain = Vec::new();
        layout.encode(&values, &mut plain).unwrap();
        let mut fields = layout.fields(&plain).unwrap();
        prop_assert_eq!(&layout.decode_fields(&fields, &[]).unwrap(), &values);
        let mut same = Vec::new();
        layout.assemble(&fields, &mut same).unwrap();
        prop_assert_eq!(&same, &plain);

        for (i, w) in wrapping.into_iter().enumerate() {
            if let Some(w) = w.filter(|_| layout.is_variable(i) && fields[i] != Stored::Null) {
                fields[i] = w;
            }
        }
        let wrapped = fields.iter().any(Stored::is_wrapped);
        let mut tuple = Vec::new();
        layout.assemble(&fields, &mut tuple).unwrap();
        prop_assert_eq!(is_wrapped(&tuple), wrapped);
        prop_assert_eq!(&layout.fields(&tuple).unwrap(), &fields);
        prop_assert_eq!(layout.decode(&tuple, &[]).is_err(), wrapped);

        // With something in the place of what cannot be read, the other columns are as they were.
        for (i, f) in fields.iter_mut().enumerate() {
            if f.is_wrapped() {
                *f = layout.placeholder(i);
            }
        }
        let decoded = layout.decode_fields(&fields, &[]).unwrap();
        let read: Vec<_> = layout.fields(&tuple).unwrap().iter().map(Stored::is_wrapped).collect();
        for (i, wrapped) in read.iter().enumerate() {
            prop_assert!(*wrapped || decoded[i] == values[i]);
        }

        let _ = layout.fields(&tuple[..cut % (tuple.len() + 1)]);
        let i = flip.0 % tuple.len();
        tuple[i] ^= flip.1;
        if let Ok(fields) = layout.fields(&tuple) {
            prop_assert!(layout.assemble(&fields, &mut Vec::new()).is_ok());
            let _ = layout.decode_fields(&fields, &[]);
        }
        let _ = layout.decode(&tuple, &[]);
    }
}

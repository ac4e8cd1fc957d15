use alloc::{sync::Arc, vec, vec::Vec};

use super::*;

fn texts(v: &Vector, rows: usize) -> Vec<Value> {
    (0..rows).map(|r| v.value(r)).collect()
}

#[test]
fn builder_round_trips_values_of_every_class() {
    let cases = [
        (oid::BOOL, Value::Bool(true)),
        (oid::INT2, Value::Int2(-2)),
        (oid::INT4, Value::Int4(4)),
        (oid::DATE, Value::Date(7)),
        (oid::INT8, Value::Int8(8)),
        (oid::TIMESTAMP, Value::Timestamp(5)),
        (oid::OID, Value::Oid(9)),
        (oid::FLOAT4, Value::Float4(1.5)),
        (oid::FLOAT8, Value::Float8(2.5)),
        (oid::NUMERIC, Value::Numeric(Numeric::default())),
        (oid::VARCHAR, Value::text("é")),
        (oid::BYTEA, Value::Bytea([0, 255].into())),
        (oid::INTERVAL, Value::Interval(Interval { months: 1, days: 2, micros: 3 })),
        (oid::UUID, Value::Uuid([3; 16])),
        (oid::CHAR, Value::Char(b'x')),
        (oid::TID, Value::Tid(1, 2)),
    ];
    for (ty, value) in cases {
        let rows = [value.clone(), Value::Null, value];
        let v = Vector::from_values(ty, &rows).unwrap();
        assert_eq!(texts(&v, 3), rows);
        let taken = v.take(&[2, NO_ROW, 1, 0]);
        assert_eq!(texts(&taken, 4), [rows[2].clone(), Value::Null, Value::Null, rows[0].clone()]);
    }
    assert!(Vector::from_values(oid::INT4, &[Value::Int8(1)]).is_err());
}

#[test]
fn encodings_read_alike() {
    let dictionary = Vector {
        encoding: Encoding::Dictionary(Arc::new([1, 0, 1])),
        ..Vector::from_values(oid::TEXT, &[Value::text("a"), Value::Null]).unwrap()
    };
    let expect = [Value::Null, Value::text("a"), Value::Null];
    assert_eq!(texts(&dictionary, 3), expect);
    assert_eq!(texts(&dictionary.flatten(3), 3), expect);
    assert_eq!(dictionary.row_nulls(3).unwrap().words, [0b101]);
    let constant = Vector::constant(&Value::Int4(5), oid::INT4).unwrap();
    assert_eq!(constant.flatten(2).as_i32(), Some(&[5, 5][..]));
    assert_eq!(constant.take(&[0, NO_ROW]).value(1), Value::Null);
    assert_eq!(Vector::nulls(oid::UUID).row_nulls(65).unwrap().count(), 65);
}

#[test]
fn batches_select_slice_and_concatenate() {
    let batch = Batch::new(vec![Vector::from_i32(vec![10, 11, 12, 13]), Vector::nulls(oid::TEXT)], 4)
        .with_selection(vec![1, 3]);
    assert_eq!(batch.row_count(), 2);
    assert_eq!(batch.selected().collect::<Vec<_>>(), [1, 3]);
    assert_eq!(batch.slice(1, 9).compact().value(0, 0), Value::Int4(13));
    let all = Batch::concat(&[batch.clone(), batch.slice(0, 1), batch]);
    assert_eq!(all.rows, 5);
    assert_eq!(all.columns[0].as_i32(), Some(&[11, 13, 11, 11, 13][..]));
    assert_eq!(all.value(1, 4), Value::Null);
}

#[test]
fn filters_keep_only_true() {
    let v = Vector::from_values(oid::BOOL, &[Value::Bool(true), Value::Null, Value::Bool(false)]).unwrap();
    assert_eq!(v.true_rows(3, None), [0]);
    assert_eq!(v.true_rows(3, Some(&[1, 2])), [] as [u32; 0]);
    assert_eq!(Vector::constant(&Value::Bool(true), oid::BOOL).unwrap().true_rows(2, None), [0, 1]);
}

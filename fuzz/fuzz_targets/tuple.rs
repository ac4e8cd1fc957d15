//! Rows as tables hold them: any bytes under any columns. Whole, column by column, into vectors, and changed in place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_types::{
    SqlType, Value, VectorBuilder, oid,
    tuple::{Stored, TupleLayout, is_wrapped},
};

const TYPES: [u32; 24] = [
    oid::BOOL,
    oid::INT2,
    oid::INT4,
    oid::INT8,
    oid::OID,
    oid::FLOAT4,
    oid::FLOAT8,
    oid::NUMERIC,
    oid::TEXT,
    oid::BPCHAR,
    oid::NAME,
    oid::BYTEA,
    oid::DATE,
    oid::TIME,
    oid::TIMESTAMP,
    oid::TIMESTAMPTZ,
    oid::INTERVAL,
    oid::UUID,
    oid::JSONB,
    oid::INT4_ARRAY,
    oid::TEXT_ARRAY,
    oid::NUMERIC_ARRAY,
    oid::RECORD,
    oid::INT4,
];

fuzz_target!(|input: (&[u8], &[u8])| {
    let (columns, tuple) = input;
    let types: Vec<SqlType> =
        columns.iter().take(12).map(|c| SqlType::new(TYPES[usize::from(*c) % TYPES.len()])).collect();
    let layout = TupleLayout::new(&types);
    let whole = layout.decode(tuple, &[]);
    let wanted: Vec<usize> = (0..types.len()).collect();
    let mut builders: Vec<VectorBuilder> = types.iter().map(|t| VectorBuilder::with_capacity(*t, 1)).collect();
    // Each way to read a row finds the same, or the same nothing.
    let batch = layout.decode_into(tuple, &wanted, &[], &mut builders);
    assert_eq!(batch.is_ok(), whole.is_ok(), "{whole:?} {batch:?}");
    // Taken apart, with pointers to large values or without, a row can be put together again.
    let parts = layout.fields(tuple);
    if whole.is_ok() {
        assert!(parts.is_ok() && !is_wrapped(tuple), "{parts:?}");
    }
    if let Ok(mut fields) = parts {
        let mut again = Vec::new();
        layout.assemble(&fields, &mut again).expect("fields of a row");
        assert_eq!(layout.fields(&again).expect("a row that was just put together"), fields);
        for (i, f) in fields.iter_mut().enumerate().filter(|(_, f)| f.is_wrapped()) {
            *f = layout.placeholder(i);
        }
        let _ = layout.decode_fields(&fields, &[]);
        for (i, f) in fields.iter_mut().enumerate() {
            *f = if *f == Stored::Null { Stored::Null } else { layout.placeholder(i) };
        }
        layout.decode_fields(&fields, &[]).expect("what stands for values can be read");
    }
    for column in 0..types.len() {
        let one = layout.column(tuple, column, &[]);
        if let Ok(values) = &whole {
            assert!(one.is_ok(), "column {column}: {one:?} {values:?}");
        }
    }
    let changes = [(0, Value::Int4(7)), (usize::from(columns.len() as u8 / 2), Value::Int4(8))];
    let mut changed = tuple.to_vec();
    if let Ok(true) = layout.overwrite(&mut changed, &changes) {
        assert_eq!(changed.len(), tuple.len());
        assert!(layout.column(&changed, 0, &[]).is_ok());
    }
    if let Ok(values) = whole {
        // What was read can be written, and is read again the same.
        let mut again = Vec::new();
        if layout.encode(&values, &mut again).is_ok() {
            let back = layout.decode(&again, &[]).expect("a row that was just written");
            assert_eq!(format!("{back:?}"), format!("{values:?}"));
        }
    }
});

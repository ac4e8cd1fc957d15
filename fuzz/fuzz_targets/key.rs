//! Index keys read back: any bytes for any columns. What reads as a value is written as the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_types::{
    SqlType, VectorBuilder,
    key::{KeyColumn, is_decodable, successor},
    oid,
};

const TYPES: [u32; 9] = [
    oid::BOOL,
    oid::INT2,
    oid::INT4,
    oid::INT8,
    oid::OID,
    oid::UUID,
    oid::TEXT,
    oid::VARCHAR,
    oid::NUMERIC,
];

fuzz_target!(|input: (&[u8], &[u8])| {
    let (columns, key) = input;
    let mut rest = key;
    for c in columns.iter().take(8) {
        let ty = TYPES[usize::from(c >> 2) % TYPES.len()];
        let column = KeyColumn { ty, descending: c & 1 != 0, nulls_first: c & 2 != 0 };
        let mut out = VectorBuilder::with_capacity(SqlType::new(ty), 1);
        let skipped = column.take(rest, None).map(<[u8]>::len);
        let Ok(after) = column.take(rest, Some(&mut out)) else { return };
        assert!(is_decodable(ty) || rest[0] != 1);
        assert_eq!(skipped.ok(), Some(after.len()));
        let taken = &rest[..rest.len() - after.len()];
        let vector = out.finish();
        let mut again = Vec::new();
        column.put(&vector.value(0), &mut again).expect("what was read from a key cannot be one");
        // A NULL has two places and a bool one of many bytes; everything else has one form.
        if taken[0] == 1 && ty != oid::BOOL {
            assert_eq!(again, taken);
        }
        rest = after;
    }
    if let Some(next) = successor(key) {
        assert!(next.as_slice() > key);
    }
});

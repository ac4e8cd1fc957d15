//! Text and binary input of values. What is read from text is written so that it is read again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_types::{SqlType, format::FormatSettings, io, oid};

const TYPES: [u32; 26] = [
    oid::BOOL,
    oid::INT2,
    oid::INT4,
    oid::INT8,
    oid::FLOAT4,
    oid::FLOAT8,
    oid::NUMERIC,
    oid::TEXT,
    oid::BYTEA,
    oid::DATE,
    oid::TIME,
    oid::TIMESTAMP,
    oid::TIMESTAMPTZ,
    oid::INTERVAL,
    oid::UUID,
    oid::JSONB,
    oid::JSON,
    oid::INET,
    oid::CIDR,
    oid::MACADDR,
    oid::MACADDR8,
    oid::BIT,
    oid::VARBIT,
    oid::INT4_ARRAY,
    oid::TEXT_ARRAY,
    oid::NUMERIC_ARRAY,
];

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (ty, binary, bytes) = input;
    let ty = SqlType::new(TYPES[usize::from(ty) % TYPES.len()]);
    let settings = FormatSettings::default();
    let value = if binary {
        io::receive(ty, bytes, &settings)
    } else {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        // Whoever passes text on has refused this: no string of the protocol holds it.
        if text.contains('\0') {
            return;
        }
        io::input(ty, text, &settings)
    };
    let Ok(value) = value else { return };
    let text = io::output_string(&value, ty, &settings);
    let again = io::input(ty, &text, &settings).unwrap_or_else(|e| panic!("{text:?} cannot be read: {e:?}"));
    assert_eq!(io::output_string(&again, ty, &settings), text);
    let mut sent = Vec::new();
    io::send(&value, ty.oid, &settings, &mut sent);
    let back = io::receive(ty, &sent, &settings).unwrap_or_else(|e| panic!("{sent:?} cannot be received: {e:?}"));
    assert_eq!(io::output_string(&back, ty, &settings), text);
});

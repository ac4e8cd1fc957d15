//! Binary forms of values that clients send as parameters and in COPY, of every built-in type: none may be believed about lengths,
//! and what is taken can be written in both forms.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_types::{SqlType, format::FormatSettings, io, typeinfo};

fuzz_target!(|input: (u16, i32, &[u8])| {
    let (ty, typmod, bytes) = input;
    let all = typeinfo::all();
    let Some(info) = all.get(usize::from(ty) % all.len().max(1)) else { return };
    let settings = FormatSettings::default();
    // Modifiers come from the statement, not from the wire: those that a type can have.
    let ty = SqlType::with_typmod(info.oid, if (5..40).contains(&typmod) { typmod } else { -1 });
    let Ok(value) = io::receive(ty, bytes, &settings) else { return };
    let _ = io::output_string(&value, ty, &settings);
    let mut sent = Vec::new();
    io::send(&value, info.oid, &settings, &mut sent);
    let plain = SqlType::new(info.oid);
    let back = io::receive(plain, &sent, &settings);
    let back = back.unwrap_or_else(|e| panic!("{sent:?} of {} cannot be received: {e:?}", info.name));
    let mut again = Vec::new();
    io::send(&back, info.oid, &settings, &mut again);
    assert_eq!(sent, again, "{}", info.name);
});

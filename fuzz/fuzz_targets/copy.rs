//! COPY FROM in its three formats, in pieces of any size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_executor::copy::{Column, Decoder};
use pg_plan::utility::{CopyFormat, CopyOptions};
use pg_types::{SqlType, format::FormatSettings, oid};

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (options, piece, data) = input;
    let format = [CopyFormat::Text, CopyFormat::Csv, CopyFormat::Binary][usize::from(options % 3)];
    let options = CopyOptions { format, header: options & 8 != 0, ..CopyOptions::default() };
    let column = |name: &str, ty| Column { name: name.into(), ty: SqlType::new(ty) };
    let columns = vec![
        column("a", oid::INT4),
        column("b", oid::TEXT),
        column("c", oid::NUMERIC),
        column("d", oid::TIMESTAMPTZ),
        column("e", oid::INT4_ARRAY),
    ];
    let run = |size: usize| {
        let settings = FormatSettings::default();
        let mut decoder = Decoder::new("t", columns.clone(), &options);
        let mut rows = 0;
        let mut sink = |b: pg_types::Batch| {
            rows += b.selected().count();
            Ok(())
        };
        let mut done = Ok(());
        for part in data.chunks(size.max(1)) {
            done = done.and_then(|()| decoder.push(part, &settings, &mut sink));
        }
        let done = done.and_then(|()| decoder.finish(&settings, &mut sink));
        (rows, done.map_err(|e| e.state()))
    };
    let whole = run(data.len());
    let parts = run(usize::from(piece));
    // How the bytes come in pieces changes nothing but how much was passed on before an error.
    assert_eq!(whole.1, parts.1);
    if whole.1.is_ok() {
        assert_eq!(whole.0, parts.0);
    }
});

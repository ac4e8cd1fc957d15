//! Formats, with expectations taken from PostgreSQL 15.
#![allow(clippy::unwrap_used, reason = "tests")]

use alloc::{format, string::String, vec, vec::Vec};

use pg_plan::utility::{CopyFormat, CopyOptions};
use pg_types::{Batch, Result, Value, format::FormatSettings, oid};
use proptest::prelude::*;

use super::*;

fn columns() -> Vec<Column> {
    vec![Column { name: "a".into(), ty: oid::INT4.into() }, Column { name: "b".into(), ty: oid::TEXT.into() }]
}

fn options(format: CopyFormat) -> CopyOptions {
    CopyOptions { format, ..CopyOptions::default() }
}

/// Decodes the file fed in pieces of `step` bytes.
fn decode(file: &[u8], o: &CopyOptions, step: usize) -> Result<Vec<Vec<Value>>> {
    let mut d = Decoder::new("t", columns(), o);
    let settings = FormatSettings::default();
    let mut rows = Vec::new();
    let mut sink = |b: Batch| {
        rows.extend(b.selected().map(|r| b.row_values(r)));
        Ok(())
    };
    for piece in file.chunks(step.max(1)) {
        d.push(piece, &settings, &mut sink)?;
    }
    d.finish(&settings, &mut sink)?;
    Ok(rows)
}

fn row(a: i32, b: &str) -> Vec<Value> {
    vec![Value::Int4(a), Value::text(b)]
}

fn encode(rows: &[Vec<Value>], o: &CopyOptions) -> Vec<u8> {
    let mut e = Encoder::new(columns(), o);
    let mut out = Vec::new();
    e.header(&mut out);
    let batch = Batch::from_rows(&[oid::INT4.into(), oid::TEXT.into()], rows).unwrap();
    e.batch(&batch);
    for r in batch.selected() {
        e.row(&batch, r, &FormatSettings::default(), &mut out);
    }
    e.trailer(&mut out);
    out
}

#[test]
fn text_lines() {
    let o = options(CopyFormat::Text);
    for step in [1, 3, 1000] {
        assert_eq!(
            decode(b"1\ta\\tb\n2\t\\N\n3\tx\\x41\\101\\q\\\\\n-4\t\n\\.\nrubbish", &o, step).unwrap(),
            [row(1, "a\tb"), vec![Value::Int4(2), Value::Null], row(3, "xAAq\\"), row(-4, "")]
        );
        assert_eq!(decode(b"1\tx\r\n2\ty\r\n", &o, step).unwrap(), [row(1, "x"), row(2, "y")]);
        assert_eq!(decode(b"1\tx", &o, step).unwrap(), [row(1, "x")]);
    }
}

#[test]
fn csv_lines() {
    let mut o = options(CopyFormat::Csv);
    o.header = true;
    for step in [1, 2, 1000] {
        assert_eq!(
            decode(b"a,b\n1,\"x,\"\"y\"\"\nz\"\n2,\n3,\"\"\n4, sp \n", &o, step).unwrap(),
            [row(1, "x,\"y\"\nz"), vec![Value::Int4(2), Value::Null], row(3, ""), row(4, " sp ")]
        );
    }
    o.header_match = true;
    let e = decode(b"a,c\n", &o, 10).unwrap_err();
    assert_eq!(e.message(), "column name mismatch in header line field 2: got \"c\", expected \"b\"");
}

#[test]
fn errors_say_where() {
    let o = options(CopyFormat::Text);
    let cases: &[(&[u8], &str, &str)] = &[
        (b"1\tx\n2\n", "missing data for column \"b\"", "COPY t, line 2: \"2\""),
        (b"1\tx\ty\n", "extra data after last expected column", "COPY t, line 1: \"1\tx\ty\""),
        (b"z\tx\ty\n", "extra data after last expected column", "COPY t, line 1: \"z\tx\ty\""),
        (b"z\tx\n", "invalid input syntax for type integer: \"z\"", "COPY t, line 1, column a: \"z\""),
        (b"1\tx\n2\ty\rz\n", "literal carriage return found in data", "COPY t, line 2"),
    ];
    for (file, message, context) in cases {
        let e = decode(file, &o, 100).unwrap_err();
        assert_eq!((e.message(), e.fields().context.as_deref()), (*message, Some(*context)));
    }
    let e = decode(b"1,\"x\n", &options(CopyFormat::Csv), 100).unwrap_err();
    assert_eq!(e.message(), "unterminated CSV quoted field");
    let e = decode(b"PGCOPX", &options(CopyFormat::Binary), 100).unwrap_err();
    assert_eq!(e.message(), "COPY file signature not recognized");
}

#[test]
fn batches_are_as_large_as_asked_for() {
    let sizes = |line: &str, lines: usize, large: bool| {
        let mut d = Decoder::new("t", columns(), &options(CopyFormat::Text));
        if large {
            d.large_batches();
        }
        let (settings, mut sizes) = (FormatSettings::default(), Vec::new());
        let mut sink = |b: Batch| {
            sizes.push(b.rows);
            Ok(())
        };
        d.push(line.repeat(lines).as_bytes(), &settings, &mut sink).unwrap();
        d.finish(&settings, &mut sink).unwrap();
        sizes
    };
    assert_eq!(sizes("1\tx\n", 2000, false), [1024, 976]);
    assert_eq!(sizes("1\tx\n", 9000, true), [8192, 808]);
    let long = format!("1\t{}\n", "x".repeat(1100));
    assert_eq!(sizes(&long, 2500, true), [1024, 1024, 452]);
}

#[test]
fn rows_far_before_a_bad_line_are_given_first() {
    for (good, before) in [(500, 0), (3000, 3000)] {
        let mut d = Decoder::new("t", columns(), &options(CopyFormat::Text));
        d.large_batches();
        let mut rows = 0;
        let mut sink = |b: Batch| {
            rows += b.rows;
            Ok(())
        };
        let file = "1\tx\n".repeat(good) + "y\tx\n";
        let e = d.push(file.as_bytes(), &FormatSettings::default(), &mut sink).unwrap_err();
        assert_eq!(e.state().as_str(), "22P02");
        assert_eq!(rows, before);
    }
}

proptest! {
    #[test]
    fn round_trips(
        rows in proptest::collection::vec((any::<i32>(), proptest::option::of("[ -~\t\r\n\\\\é\"]{0,12}")), 0..20),
        format in prop::sample::select(vec![CopyFormat::Text, CopyFormat::Csv, CopyFormat::Binary]),
        step in 1usize..40,
    ) {
        let rows: Vec<Vec<Value>> = rows
            .into_iter()
            .map(|(a, b)| vec![Value::Int4(a), b.map_or(Value::Null, |b: String| Value::text(&b))])
            .collect();
        let o = options(format);
        let file = encode(&rows, &o);
        prop_assert_eq!(decode(&file, &o, step).map_err(|e| format!("{e}")), Ok(rows));
    }

    #[test]
    fn arbitrary_files_never_panic(
        file in proptest::collection::vec(prop::sample::select(b"01ab,\"\\\t\n\rNx.\xff\0PGCOPY".to_vec()), 0..60),
        format in prop::sample::select(vec![CopyFormat::Text, CopyFormat::Csv, CopyFormat::Binary]),
        step in 1usize..9,
    ) {
        let _ = decode(&file, &options(format), step);
        let mut signed = SIGNATURE.to_vec();
        signed.extend_from_slice(&[0; 8]);
        signed.extend_from_slice(&file);
        let _ = decode(&signed, &options(CopyFormat::Binary), step);
    }
}

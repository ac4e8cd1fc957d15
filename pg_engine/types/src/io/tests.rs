use alloc::{format, string::String, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    Numeric,
    format::ByteaOutput,
    geometry::{Geometry, Point},
    tuple::tests::any_typed,
    vector::Vector,
};

fn read(ty: impl Into<SqlType>, text: &str) -> Result<Value> {
    input(ty.into(), text, &FormatSettings::default())
}

fn show(ty: impl Into<SqlType> + Copy, text: &str) -> String {
    match read(ty, text) {
        Ok(v) => output_string(&v, ty.into(), &FormatSettings::default()),
        Err(e) => format!("{} {}", e.state().as_str(), e.message()),
    }
}

#[test]
fn integers() {
    assert_eq!(show(oid::INT4, " -2147483648 "), "-2147483648");
    assert_eq!(show(oid::INT4, "2147483648"), "22003 value \"2147483648\" is out of range for type integer");
    assert_eq!(show(oid::INT2, "65536x"), "22003 value \"65536x\" is out of range for type smallint");
    assert_eq!(show(oid::INT4, "5 5"), "22P02 invalid input syntax for type integer: \"5 5\"");
    assert_eq!(show(oid::INT4, "-"), "22P02 invalid input syntax for type integer: \"-\"");
    assert_eq!(show(oid::INT2, "x"), "22P02 invalid input syntax for type smallint: \"x\"");
    assert_eq!(show(oid::INT8, "-9223372036854775808"), "-9223372036854775808");
    assert_eq!(show(oid::OID, "-1"), "4294967295");
}

#[test]
fn booleans_take_prefixes() {
    for (text, value) in [("t", "t"), (" YES ", "t"), ("on", "t"), ("of", "f"), ("0", "f")] {
        assert_eq!(show(oid::BOOL, text), value);
    }
    assert_eq!(show(oid::BOOL, "o"), "22P02 invalid input syntax for type boolean: \"o\"");
}

#[test]
fn floats_are_shortest_and_laid_out_as_in_c() {
    for (text, shown) in [
        ("1", "1"),
        ("0.1", "0.1"),
        ("-0", "-0"),
        ("1e15", "1e+15"),
        ("123456789012345", "123456789012345"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("1.5e300", "1.5e+300"),
        // Half-way between two floats: not written as 1e+23.
        ("1e23", "9.999999999999999e+22"),
        ("nan", "NaN"),
        ("-inf", "-Infinity"),
        ("1e309", "22003 \"1e309\" is out of range for type double precision"),
        ("1e-400", "22003 \"1e-400\" is out of range for type double precision"),
    ] {
        assert_eq!(show(oid::FLOAT8, text), shown);
    }
    assert_eq!(show(oid::FLOAT4, "1000000"), "1e+06");
    let mut out = Vec::new();
    write_f64(0.1 + 0.2, 0, &mut out);
    assert_eq!(out, b"0.3");
}

#[test]
fn strings_obey_their_length() {
    let varchar = SqlType::with_typmod(oid::VARCHAR, 4 + 3);
    assert_eq!(show(varchar, "éé   "), "éé ");
    assert_eq!(show(varchar, "abcd"), "22001 value too long for type character varying(3)");
    let char3 = SqlType::with_typmod(oid::BPCHAR, 4 + 3);
    assert_eq!(show(char3, "a"), "a  ");
    assert_eq!(show(char3, "abcd"), "22001 value too long for type character(3)");
    assert_eq!(typmod::coerce(Value::text("abcd"), varchar, true).unwrap(), Value::text("abc"));
    assert_eq!(show(oid::NAME, &"é".repeat(40)), "é".repeat(31));
}

#[test]
fn bytea_in_both_notations() {
    assert_eq!(show(oid::BYTEA, "\\xDE ad"), "\\xdead");
    assert_eq!(show(oid::BYTEA, "a\\\\\\001"), "\\x615c01");
    assert_eq!(show(oid::BYTEA, "\\x1"), "22023 invalid hexadecimal data: odd number of digits");
    assert_eq!(show(oid::BYTEA, "\\xzz"), "22023 invalid hexadecimal digit: \"z\"");
    let escape = FormatSettings { bytea_output: ByteaOutput::Escape, ..FormatSettings::default() };
    let v = Value::Bytea([b'a', b'\\', 1, 255].into());
    assert_eq!(output_string(&v, oid::BYTEA.into(), &escape), "a\\\\\\001\\377");
}

#[test]
fn arrays() {
    for (text, shown) in [
        ("{1,NULL,3}", "{1,NULL,3}"),
        (" { { 1 , 2 } , {3,4} } ", "{{1,2},{3,4}}"),
        ("[0:1]={1,2}", "[0:1]={1,2}"),
        ("{}", "{}"),
        ("{{1,2},{3}}", "22P02 malformed array literal: \"{{1,2},{3}}\""),
        ("{1", "22P02 malformed array literal: \"{1\""),
        ("{x}", "22P02 invalid input syntax for type integer: \"x\""),
        // Braces are looked at before elements.
        ("{x,y", "22P02 malformed array literal: \"{x,y\""),
        ("{x,y}", "22P02 invalid input syntax for type integer: \"x\""),
    ] {
        assert_eq!(show(oid::INT4_ARRAY, text), shown);
    }
    assert_eq!(show(oid::TEXT_ARRAY, r#"{a b,"c,d","NULL","",x\"y}"#), r#"{"a b","c,d","NULL","","x\"y"}"#);
    assert_eq!(show(oid::INT2VECTOR, " 1 2 "), "1 2");
}

#[test]
fn json_is_checked_and_kept_as_written() {
    assert_eq!(show(oid::JSON, " {\"a\" : [1, true]} "), " {\"a\" : [1, true]} ");
    let e = read(oid::JSON, "{\"a\":1,}").unwrap_err();
    assert_eq!(e.message(), "invalid input syntax for type json");
    assert_eq!(e.fields().detail.as_deref(), Some("Expected string, but found \"}\"."));
    assert_eq!(e.fields().context.as_deref(), Some("JSON data, line 1: {\"a\":1,}"));
    assert!(read(oid::JSON, &"[".repeat(100_000)).is_err());
}

#[test]
fn text_from_clients_must_be_utf8_without_nul() {
    let message = |bytes: &[u8]| String::from(valid_text(bytes).unwrap_err().message());
    assert_eq!(message(b"a\xff"), "invalid byte sequence for encoding \"UTF8\": 0xff");
    assert_eq!(message(b"a\xc3("), "invalid byte sequence for encoding \"UTF8\": 0xc3 0x28");
    assert_eq!(message(b"a\0"), "invalid byte sequence for encoding \"UTF8\": 0x00");
    assert_eq!(valid_text("é".as_bytes()).unwrap(), "é");
}

#[test]
fn unknown_types_are_refused_by_name() {
    assert_eq!(show(oid::JSONB, "{}"), "{}");
    assert_eq!(show(oid::RECORD, "(1)"), "0A000 input of anonymous composite types is not implemented");
}

/// Every value that text can show reads back the same, in binary too, and columns write what values do.
fn round_trip(ty: SqlType, value: &Value) -> core::result::Result<(), TestCaseError> {
    let settings = FormatSettings::default();
    let text = output_string(value, ty, &settings);
    let mut binary = Vec::new();
    send(value, ty.oid, &settings, &mut binary);
    let column = Vector::constant(value, ty).unwrap();
    let (mut row_text, mut row_binary) = (Vec::new(), Vec::new());
    output_row(&column, 5, &settings, &mut row_text);
    send_row(&column, 5, &settings, &mut row_binary);
    prop_assert_eq!(row_text, text.as_bytes());
    prop_assert_eq!(&row_binary, &binary);
    if let Ok(back) = receive(ty, &binary, &settings) {
        prop_assert_eq!(&back, value);
        if ty.oid != oid::RECORD {
            prop_assert_eq!(&input(ty, &text, &settings).unwrap(), value, "{}", text);
        }
    }
    Ok(())
}

#[test]
fn binary_values_say_where_they_end() {
    let told = |ty: u32, bytes: &[u8]| match receive(ty.into(), bytes, &FormatSettings::default()) {
        Ok(v) => output_string(&v, ty.into(), &FormatSettings::default()),
        Err(e) => format!("{} {}", e.state().as_str(), e.message()),
    };
    assert_eq!(told(oid::BOOL, &[]), "08P01 no data left in message");
    assert_eq!(told(oid::INT4, &[0]), "08P01 insufficient data left in message");
    assert_eq!(told(oid::BOOL, &[1, 1]), "22P03 incorrect binary data format");
    assert_eq!(told(oid::NUMERIC, &[0, 0, 0, 0, 0xc0, 0, 0, 0, 1]), "22P03 incorrect binary data format");
    let array = |item: &[u8]| {
        let head = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 1, 0, 0, 0, 1];
        told(oid::INT4_ARRAY, &[&head, item].concat())
    };
    assert_eq!(array(&[0, 0, 0, 4, 0, 0, 0, 7]), "{7}");
    assert_eq!(array(&[0, 0, 0, 5, 0, 0, 0, 7]), "22P03 insufficient data left in message");
    assert_eq!(array(&[0, 0, 0, 5, 0, 0, 0, 7, 0]), "22P03 improper binary format in array element 1");
    assert_eq!(array(&[0, 0]), "08P01 insufficient data left in message");
}

proptest! {
    #[test]
    fn spoiled_binary_values_are_others_or_refused(
        (ty, value) in any_typed(), at in any::<u16>(), bit in 0..8u8, cut in 0..3u8,
    ) {
        let settings = FormatSettings::default();
        let mut bytes = Vec::new();
        send(&value, ty.oid, &settings, &mut bytes);
        let place = usize::from(at) % bytes.len().max(1);
        match cut {
            0 => bytes.truncate(place),
            1 => bytes.insert(place, bit),
            _ => bytes.iter_mut().skip(place).take(1).for_each(|b| *b ^= 1 << bit),
        }
        if let Ok(other) = receive(ty, &bytes, &settings) {
            let mut again = Vec::new();
            send(&other, ty.oid, &settings, &mut again);
            prop_assert_eq!(output_string(&other, ty, &settings), output_string(&receive(ty, &again, &settings).unwrap(), ty, &settings));
        }
    }
    #[test]
    fn values_round_trip((ty, value) in any_typed()) {
        let text_with_nul = matches!(&value, Value::Text(t) if t.contains('\0'));
        if !value.is_null() && !text_with_nul {
            round_trip(ty, &value)?;
        }
    }
    #[test]
    fn floats_round_trip(bits in any::<u64>()) {
        let v = f64::from_bits(bits);
        prop_assume!(!v.is_nan());
        round_trip(oid::FLOAT8.into(), &Value::Float8(v))?;
        let v = f32::from_bits(bits as u32);
        prop_assume!(!v.is_nan());
        round_trip(oid::FLOAT4.into(), &Value::Float4(v))?;
    }
    #[test]
    fn readers_survive_anything(text in "\\PC{0,30}", data in proptest::collection::vec(any::<u8>(), 0..60), i in 0usize..200) {
        let all = typeinfo::all();
        let ty = SqlType::new(all[i % all.len()].oid);
        let _ = read(ty, &text);
        let _ = receive(ty, &data, &FormatSettings::default());
    }
    #[test]
    fn shapes_round_trip(kind in 0..5u8, places in proptest::collection::vec((any::<i32>(), any::<i32>()), 2..6)) {
        let places: Vec<Point> = places.iter().map(|(x, y)| Point::new(f64::from(*x) / 7.0, f64::from(*y))).collect();
        let shape = match kind {
            0 => Geometry::Point(places[0]),
            1 => Geometry::corners(places[0], places[1]),
            2 => Geometry::Circle(places[0], places[1].x.abs()),
            3 => Geometry::Path(places[0].x > 0.0, places),
            _ => Geometry::Polygon(places),
        };
        round_trip(shape.ty().into(), &Value::from(shape))?;
    }
    #[test]
    fn array_reader_survives_anything(text in "[\\[\\]{}\",:=\\\\ 0-9aN-]{0,20}") {
        let _ = read(oid::INT4_ARRAY, &text);
        if let Ok(v) = read(oid::TEXT_ARRAY, &text) {
            round_trip(oid::TEXT_ARRAY.into(), &v)?;
        }
    }
    #[test]
    fn numbers_convert_through_floats(m in -1_000_000_000i64..1_000_000_000, s in 0u32..6) {
        let n = Numeric::new(m.into(), s);
        prop_assert!(Numeric::from_f64(n.to_f64()).compare(&n).is_eq());
    }
}

#[test]
fn numbers_of_users_types_in_binary_arrays_are_not_looked_at() {
    let sent = |element: u32| {
        let mut bytes = Vec::new();
        for n in [1, 0] {
            bytes.extend(i32::to_be_bytes(n));
        }
        bytes.extend(element.to_be_bytes());
        for n in [1, 1, 1] {
            bytes.extend(i32::to_be_bytes(n));
        }
        bytes.push(b'x');
        super::receive(SqlType::new(oid::TEXT_ARRAY), &bytes, &FormatSettings::default())
    };
    let array = |v| match v {
        Ok(Value::Array(a)) => Some((a.element, a.values.clone())),
        _ => None,
    };
    let wanted = Some((oid::TEXT, Vec::from([Value::text("x")])));
    assert_eq!(array(sent(oid::TEXT)), wanted);
    assert_eq!(array(sent(65_561)), wanted);
    assert_eq!(sent(oid::BYTEA).expect_err("another built-in type").state(), SqlState::DATATYPE_MISMATCH);
}

#[test]
fn blanks_beyond_what_a_value_may_have_are_refused() {
    let padded = super::typmod::bpchar("x", i32::MAX, true);
    assert_eq!(padded.expect_err("two gigabytes").state(), SqlState::INTERNAL_ERROR);
}

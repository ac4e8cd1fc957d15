//! What the tables compute, called as the executor calls it: answers are PostgreSQL 15's.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_types::{Oid, Result, SqlError, SqlType, Value, Vector, format::FormatSettings, io, oid::*};
use proptest::prelude::*;

use crate::{EvalContext, Host, Implementation, Rows, SetReturning, cast, registry};

struct TestHost(FormatSettings);

impl Host for TestHost {
    fn transaction_timestamp(&self) -> i64 {
        0
    }
    fn statement_timestamp(&self) -> i64 {
        0
    }
    fn clock_timestamp(&self) -> i64 {
        0
    }
    fn format(&self) -> &FormatSettings {
        &self.0
    }
    fn setting(&self, _name: &str) -> Option<String> {
        None
    }
    fn random(&self, buf: &mut [u8]) {
        buf.fill(1);
    }
    fn rows(&self, function: Oid, _args: &[Value]) -> Result<Box<dyn SetReturning>> {
        Err(SqlError::internal(alloc::format!("no rows of {function}")))
    }
    fn call(&self, _function: Oid, _args: &[Value]) -> Result<Value> {
        Err(SqlError::unsupported("a session"))
    }
    fn cancelled(&self) -> bool {
        false
    }
}

fn host() -> TestHost {
    TestHost(FormatSettings::default())
}

/// Calls the overload of a name with these argument types.
fn call(name: &str, args: &[(Oid, &str)]) -> Result<Value> {
    let host = host();
    let ctx = EvalContext { host: &host };
    let types: Vec<Oid> = args.iter().map(|a| a.0).collect();
    let f = registry().functions_named(name).iter().find(|f| f.args == types).expect("overload");
    let values: Vec<Value> =
        args.iter().map(|(ty, text)| io::input(SqlType::new(*ty), text, &host.0)).collect::<Result<_>>()?;
    match f.imp {
        Implementation::Row(r) | Implementation::Vector(_, r) => r(&ctx, &values),
        _ => panic!("{name} is not a row function"),
    }
}

fn shown(name: &str, args: &[(Oid, &str)]) -> String {
    match call(name, args) {
        Ok(Value::Null) => "NULL".into(),
        Ok(v) => io::output_string(&v, SqlType::new(crate::output::natural_type(&v)), &host().0),
        Err(e) => alloc::format!("{} {}", e.state().as_str(), e.message()),
    }
}

#[test]
fn arithmetic_limits() {
    assert_eq!(shown("int4pl", &[(INT4, "2147483647"), (INT4, "1")]), "22003 integer out of range");
    assert_eq!(shown("int2div", &[(INT2, "-32768"), (INT2, "-1")]), "22003 smallint out of range");
    assert_eq!(shown("int8div", &[(INT8, "1"), (INT8, "0")]), "22012 division by zero");
    assert_eq!(shown("int4mod", &[(INT4, "-2147483648"), (INT4, "-1")]), "0");
    assert_eq!(
        shown("float8mul", &[(FLOAT8, "1e308"), (FLOAT8, "10")]),
        "22003 value out of range: overflow"
    );
    assert_eq!(
        shown("float8mul", &[(FLOAT8, "1e-308"), (FLOAT8, "1e-308")]),
        "22003 value out of range: underflow"
    );
    assert_eq!(shown("int4", &[(FLOAT8, "2.5")]), "2");
    assert_eq!(shown("int4", &[(FLOAT8, "NaN")]), "22003 integer out of range");
}

#[test]
fn formatting() {
    let timestamp = (TIMESTAMP, "2020-02-29 12:34:56.789012");
    assert_eq!(
        shown("to_char", &[timestamp, (TEXT, "FMDay, FMDDth Month YYYY HH12:MI AM")]),
        "Saturday, 29th February  2020 12:34 PM"
    );
    assert_eq!(shown("to_char", &[timestamp, (TEXT, "IYYY-IW-ID Q J")]), "2020-09-6 1 2458909");
    assert_eq!(shown("to_char", &[(NUMERIC, "-1234.567"), (TEXT, "9,999.99")]), "-1,234.57");
    assert_eq!(shown("to_char", &[(INT4, "12345"), (TEXT, "999")]), " ###");
    assert_eq!(shown("to_number", &[(TEXT, "12,454.8-"), (TEXT, "99G999D9S")]), "-12454.8");
    assert_eq!(
        shown("to_date", &[(TEXT, "2020-02-30"), (TEXT, "YYYY-MM-DD")]),
        "22008 date/time field value out of range: \"2020-02-30\""
    );
}

#[test]
fn dates() {
    assert_eq!(
        shown("timestamp_pl_interval", &[(TIMESTAMP, "2021-01-31"), (INTERVAL, "1 month")]),
        "2021-02-28 00:00:00"
    );
    assert_eq!(
        shown("age", &[(TIMESTAMP, "2001-04-10"), (TIMESTAMP, "1957-06-13")]),
        "43 years 9 mons 27 days"
    );
    assert_eq!(
        shown("date_mi", &[(DATE, "infinity"), (DATE, "2020-01-01")]),
        "22008 cannot subtract infinite dates"
    );
    assert_eq!(shown("extract", &[(TEXT, "epoch"), (TIMESTAMP, "2020-01-01 06:00")]), "1577858400.000000");
}

#[test]
fn patterns() {
    assert_eq!(shown("regexp_match", &[(TEXT, "foobarbequebaz"), (TEXT, "(bar)(beque)")]), "{bar,beque}");
    assert_eq!(
        shown("regexp_replace", &[(TEXT, "foobarbaz"), (TEXT, "b(..)"), (TEXT, "X\\1Y"), (TEXT, "g")]),
        "fooXarYXazY"
    );
    assert_eq!(shown("regexp_split_to_array", &[(TEXT, "the quick"), (TEXT, "\\s*")]), "{t,h,e,q,u,i,c,k}");
    assert_eq!(
        shown("textregexeq", &[(TEXT, "a"), (TEXT, "(")]),
        "2201B invalid regular expression: parentheses () not balanced"
    );
}

#[test]
fn casts() {
    let host = host();
    let ctx = EvalContext { host: &host };
    let varchar = SqlType::with_typmod(VARCHAR, 7);
    let to = |explicit| cast::cast_value(&ctx, &Value::text("abcdef"), SqlType::new(TEXT), varchar, explicit);
    assert_eq!(to(true).expect("cut"), Value::text("abc"));
    assert_eq!(to(false).expect_err("too long").message(), "value too long for type character varying(3)");
    let array = io::input(SqlType::new(INT4_ARRAY), "{1,NULL}", &host.0).expect("array");
    let cast = cast::cast_value(&ctx, &array, INT4_ARRAY.into(), TEXT_ARRAY.into(), true).expect("cast");
    assert_eq!(io::output_string(&cast, SqlType::new(TEXT_ARRAY), &host.0), "{1,NULL}");
}

fn aggregate(name: &str, ty: Oid, result: Oid, values: &[Value]) -> Value {
    let host = host();
    let ctx = EvalContext { host: &host };
    let f = registry().functions_named(name).iter().find(|f| f.args == [ty]).expect("aggregate");
    let Implementation::Aggregate(make) = f.imp else { panic!("not an aggregate") };
    let mut accumulator = make(&[SqlType::new(ty)], SqlType::new(result)).expect("known");
    accumulator.resize(2);
    let column = Arc::new(Vector::from_values(SqlType::new(ty), values).expect("typed"));
    let groups = alloc::vec![1; values.len()];
    let rows = Rows { count: values.len(), selection: None };
    accumulator.update(&ctx, &groups, &[column], rows).expect("in range");
    assert!(matches!(accumulator.finish(&ctx, 0).expect("empty group"), Value::Null | Value::Int8(0)));
    accumulator.finish(&ctx, 1).expect("result")
}

#[test]
fn aggregates() {
    let ints: Vec<Value> = [1, 2, 4].into_iter().map(Value::Int4).chain([Value::Null]).collect();
    let text = |v: Value| io::output_string(&v, SqlType::new(crate::output::natural_type(&v)), &host().0);
    assert_eq!(text(aggregate("sum", INT4, INT8, &ints)), "7");
    assert_eq!(text(aggregate("avg", INT4, NUMERIC, &ints)), "2.3333333333333333");
    assert_eq!(text(aggregate("stddev", INT4, NUMERIC, &ints)), "1.5275252316519467");
    assert_eq!(text(aggregate("max", INT4, INT4, &ints)), "4");
    assert_eq!(text(aggregate("bit_or", INT4, INT4, &ints)), "7");
    assert_eq!(text(aggregate("count", ANY, INT8, &ints)), "3");
}

proptest! {
    /// Column kernels agree with the row versions, whatever the shape of the operands; errors in rows that are not
    /// selected or are NULL do not surface.
    #[test]
    fn kernels_agree_with_rows(
        a in proptest::collection::vec(proptest::option::of(any::<i32>()), 1..40),
        b in any::<i32>(),
        pick in any::<u64>(),
        constant in any::<bool>(),
    ) {
        let host = host();
        let ctx = EvalContext { host: &host };
        let value = |v: &Option<i32>| v.map_or(Value::Null, Value::Int4);
        let left: Vec<Value> = a.iter().map(value).collect();
        let right: Vec<Value> = a.iter().map(|x| Value::Int4(x.unwrap_or(1).wrapping_add(b))).collect();
        let column = |v: &[Value]| Arc::new(Vector::from_values(SqlType::new(INT4), v).expect("typed"));
        let second = if constant {
            Arc::new(Vector::constant(&Value::Int4(b), SqlType::new(INT4)).expect("typed"))
        } else {
            column(&right)
        };
        let selection: Vec<u32> = (0..a.len() as u32).filter(|i| pick >> (i % 64) & 1 != 0).collect();
        for name in ["int4pl", "int4mi", "int4mul", "int4div", "int4lt", "int4eq"] {
            let f = registry().functions_named(name).first().copied().expect("known");
            let Implementation::Vector(columns, row) = f.imp else { panic!("no kernel") };
            let rows = Rows { count: a.len(), selection: Some(&selection) };
            let got = columns(&ctx, &[column(&left), second.clone()], rows);
            let mut failed = false;
            let mut expected = Vec::new();
            for &i in &selection {
                let i = i as usize;
                let other = if constant { Value::Int4(b) } else { right[i].clone() };
                if left[i].is_null() {
                    expected.push((i, Value::Null));
                } else {
                    match row(&ctx, &[left[i].clone(), other]) {
                        Ok(v) => expected.push((i, v)),
                        Err(_) => failed = true,
                    }
                }
            }
            prop_assert_eq!(got.is_err(), failed, "{}", name);
            if let Ok(v) = got {
                for (i, value) in expected {
                    prop_assert_eq!(v.value(i), value, "{} row {}", name, i);
                }
            }
        }
    }

    /// No template and no text makes the readers and writers panic.
    #[test]
    fn templates_are_answered(text in "[0-9.,+<>A-Za-z -]{0,12}", template in "[09.,DGSMIPLRNTHVEFB\"x -]{0,12}", n in any::<i64>()) {
        let _ = call("to_number", &[(TEXT, &text), (TEXT, &template)]);
        let n = alloc::format!("{n}");
        let _ = call("to_char", &[(INT8, &n), (TEXT, &template)]);
        let _ = call("to_char", &[(FLOAT8, &n), (TEXT, &template)]);
    }
}

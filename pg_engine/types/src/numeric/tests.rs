use alloc::string::ToString;

use proptest::prelude::*;

use super::*;

fn n(s: &str) -> Numeric {
    Numeric::parse(s).unwrap()
}

#[track_caller]
fn same(actual: Result<Numeric>, expected: &str) {
    assert_eq!(actual.unwrap().to_string(), expected);
}

#[test]
fn text_round_trips() {
    for s in [
        "0",
        "0.00",
        "-1",
        "1.50",
        "123456789012345678901234567890.12345",
        "0.000000000000000000000001",
        "NaN",
        "Infinity",
        "-Infinity",
        "99999999999999999999",
        "-9223372036854775808",
        "9223372036854775808",
        "10000",
        "0.0001",
    ] {
        assert_eq!(n(s).to_string(), s);
    }
    assert_eq!(n(" 1.5e3 ").to_string(), "1500");
    assert_eq!(n("1.50e-3").to_string(), "0.00150");
    assert_eq!(n("1e20").to_string(), "100000000000000000000");
    assert_eq!(n("12345678901234567890e-25").to_string(), "0.0000012345678901234567890");
    assert_eq!(n(".5").to_string(), "0.5");
    assert_eq!(n("5.").to_string(), "5");
    for bad in ["", ".", "1e", "1..2", "- 1", "xyz", "1 2", "--1", "+nan"] {
        assert!(Numeric::parse(bad).is_err(), "{bad}");
    }
    assert!(size_of::<Numeric>() <= 16);
}

#[test]
fn results_have_postgres_scales() {
    same(n("1").div(&n("3")), "0.33333333333333333333");
    same(n("10").div(&n("3")), "3.3333333333333333");
    same(n("1.5").mul(&n("1.50")), "2.250");
    same(n("12345678901234567890").div(&n("7")), "1763668414462081127");
    same(n("2").sqrt(), "1.414213562373095");
    // Just below ties.
    same(n("1.000000000000003").sqrt(), "1.000000000000001");
    same(n("8015491789940783531003294973900306").sqrt(), "89529278953540017");
    same(n("4.4e131071").round(-131_071), n("4e131071").to_string().as_str());
    same(n("5.5e131071").round(i32::MIN), "0");
    same(n("5e-16383").round(i32::MAX), n("5e-16383").to_string().as_str());
    assert!(n("5.5e131071").round(-131_072).is_err());
    same(n("2").ln(), "0.6931471805599453");
    same(n("1").exp(), "2.7182818284590452");
    same(n("2").pow(&n("0.5")), "1.4142135623730950");
    same(n("2").pow(&n("100")), "1267650600228229401496703205376.0000000000000000");
    same(n("-7.5").rem(&n("2")), "-1.5");
    same(n("1000").log10(), "3.0000000000000000");
    same(n("2.5").round(0), "3");
    same(n("-2.5").round(0), "-3");
    same(n("1250").round(-2), "1300");
    same(n("-1.1").floor(), "-2");
    same(n("1.1").ceil(), "2");
    assert_eq!(n("5").div(&n("0")).unwrap_err().message(), "division by zero");
}

#[test]
fn typmods_round_and_check() {
    same(n("1.005").apply_typmod(make_typmod(5, 2)), "1.01");
    same(n("1").apply_typmod(make_typmod(5, 2)), "1.00");
    same(n("1251").apply_typmod(make_typmod(3, -2)), "1300");
    let e = n("1000").apply_typmod(make_typmod(5, 2)).unwrap_err();
    assert_eq!(e.message(), "numeric field overflow");
    assert_eq!(
        e.fields().detail.as_deref(),
        Some("A field with precision 5, scale 2 must round to an absolute value less than 10^3.")
    );
}

fn any_numeric() -> impl Strategy<Value = Numeric> {
    prop_oneof![
        (any::<i64>(), 0u32..20).prop_map(|(m, s)| Numeric::new(m.into(), s)),
        (any::<i128>(), 0u32..40).prop_map(|(m, s)| Numeric::new(m, s)),
        (-1000i64..1000, 0u32..6).prop_map(|(m, s)| Numeric::new(m.into(), s)),
    ]
}

proptest! {
    #[test]
    fn text_and_binary_agree(a in any_numeric()) {
        prop_assert_eq!(&n(&a.to_string()), &a);
        let mut b = alloc::vec::Vec::new();
        a.send(&mut b);
        prop_assert_eq!(&Numeric::receive(&b).unwrap(), &a);
    }
    #[test]
    fn ring_laws(a in any_numeric(), b in any_numeric(), c in any_numeric()) {
        let sum = a.add(&b).unwrap();
        prop_assert!(sum.sub(&b).unwrap().compare(&a).is_eq());
        prop_assert_eq!(sum, b.add(&a).unwrap());
        let left = a.mul(&b.add(&c).unwrap()).unwrap();
        let right = a.mul(&b).unwrap().add(&a.mul(&c).unwrap()).unwrap();
        prop_assert!(left.compare(&right).is_eq());
    }
    #[test]
    fn inline_arithmetic_equals_digit_arithmetic(a in any::<i64>(), s in 0u32..15, b in any::<i64>(), t in 0u32..15) {
        let (x, y) = (Numeric::new(a.into(), s), Numeric::new(b.into(), t));
        let (dx, dy) = (x.digits().unwrap(), y.digits().unwrap());
        prop_assert_eq!(x.add(&y).unwrap(), Numeric::from_digits(dx.add(&dy)).unwrap());
        prop_assert_eq!(x.mul(&y).unwrap(), Numeric::from_digits(dx.mul(&dy)).unwrap());
        prop_assert_eq!(x.compare(&y), dx.cmp(&dy));
        if b != 0 {
            let q = x.div(&y).unwrap();
            let scale = q.scale() as i32;
            prop_assert_eq!(q, Numeric::from_digits(dx.div_rounded(&dy, scale)).unwrap());
        }
    }
    #[test]
    fn division_and_remainder_fit(a in any_numeric(), b in any_numeric()) {
        prop_assume!(!b.is_zero());
        let q = a.div_trunc(&b).unwrap();
        let r = a.rem(&b).unwrap();
        prop_assert!(q.mul(&b).unwrap().add(&r).unwrap().compare(&a).is_eq());
        prop_assert!(r.abs().compare(&b.abs()).is_lt());
    }
    #[test]
    fn parser_survives_anything(s in "[-+0-9.eE naif]{0,12}") {
        let _ = Numeric::parse(&s);
    }
    #[test]
    fn receiver_survives_anything(data in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = Numeric::receive(&data);
    }
}

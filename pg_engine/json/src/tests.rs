use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use proptest::prelude::*;

use super::*;

fn doc(text: &str) -> Jsonb {
    Jsonb::parse(text).expect(text)
}

fn syntax(text: &str) -> Syntax {
    match validate(text) {
        Err(JsonError::Syntax(s)) => *s,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn documents_are_normalised() {
    let shown = |t: &str| doc(t).to_string();
    assert_eq!(shown(r#" {"bb":1, "a" : [1.50,-0,1e3], "a":{"x":null}} "#), r#"{"a": {"x": null}, "bb": 1}"#);
    assert_eq!(shown("[1.50,-0.0,1e3,12.5e-3,0e-2,true]"), "[1.50, 0.0, 1000, 0.0125, 0.00, true]");
    assert_eq!(shown(r#""a\u0041\ud83d\ude00\n\u0001""#), "\"aA\u{1f600}\\n\\u0001\"");
}

#[test]
fn errors_say_what_and_where() {
    let e = syntax("{\"a\":1,\n 3}");
    assert_eq!(
        (e.detail().as_str(), e.context().as_str()),
        ("Expected string, but found \"3\".", "JSON data, line 2:  3...")
    );
    assert_eq!(syntax("'x'").detail(), "Token \"'\" is invalid.");
    assert_eq!(syntax("[1,").detail(), "The input string ended unexpectedly.");
    assert_eq!(syntax("01").detail(), "Token \"01\" is invalid.");
    assert_eq!(syntax("\"a\\v\"").detail(), "Escape sequence \"\\v\" is invalid.");
    assert!(validate("\"\\u0000\"").is_ok() && parse("\"\\u0000\"").is_err());
    assert_eq!(validate(&"[".repeat(MAX_DEPTH + 1)), Err(JsonError::TooDeep));
}

#[test]
fn order_is_postgresqls() {
    let sorted = ["[]", "null", "\"a\"", "1", "2.0", "false", "true", "[0]", "[1, 2]", "{}", "{\"a\":1}"];
    for w in sorted.windows(2) {
        assert!(doc(w[0]) < doc(w[1]), "{} {}", w[0], w[1]);
    }
    assert!(doc("[1.0, 2]").same(&doc("[1.00, 2.0]")));
    assert_eq!(doc("[1.0, 0.0]").hash(1), doc("[1, 0]").hash(1));
}

#[test]
fn numbers_have_limits() {
    assert_eq!(Jsonb::parse("1e131072"), Err(JsonError::Overflow));
    assert!(Jsonb::parse("1e131071").is_ok());
    assert_eq!(Jsonb::parse("1e-16384"), Err(JsonError::Overflow));
    assert_eq!(Jsonb::parse("1e99999999999999999999"), Err(JsonError::Overflow));
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i32>().prop_map(|n| Json::Number(n.to_string().into())),
        "[a-z\"\\\\\u{1}-\u{20}é]{0,6}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
            prop::collection::vec(("[a-c]{0,2}", inner), 0..5)
                .prop_map(|m| Json::Object(m.into_iter().map(|(k, v)| (k.into(), v)).collect::<Vec<_>>())),
        ]
    })
}

fn shown(view: View<'_>) -> String {
    let mut out = String::new();
    view.write(&mut out);
    out
}

proptest! {
    #[test]
    fn text_and_bytes_read_back(json in any_json()) {
        let doc = json.finish().unwrap();
        prop_assert_eq!(&Jsonb::load(doc.bytes()).unwrap(), &doc);
        prop_assert_eq!(&Jsonb::parse(&doc.to_string()).unwrap(), &doc);
        for (key, value) in doc.root().members() {
            prop_assert_eq!(doc.root().member(key), Some(value));
        }
    }
    /// Whatever the bytes, loading ends in a document whose every part can be shown, or in an error.
    #[test]
    fn arbitrary_bytes_load_or_not(json in any_json(), at in any::<prop::sample::Index>(), b in any::<u8>(),
        cut in any::<prop::sample::Index>()) {
        let mut bytes = json.finish().unwrap().bytes().to_vec();
        let i = at.index(bytes.len());
        bytes[i] = b;
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok(doc) = Jsonb::load(&bytes) {
            shown(doc.root());
            prop_assert!(doc.same(&doc));
        }
    }
    #[test]
    fn garbage_never_panics(text in "\\PC{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = (parse(&text), validate(&text), Jsonb::load(&bytes));
    }
    #[test]
    fn order_is_total(a in any_json(), b in any_json(), c in any_json()) {
        let (a, b, c) = (a.finish().unwrap(), b.finish().unwrap(), c.finish().unwrap());
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
        if a.same(&b) {
            prop_assert_eq!(a.hash(7), b.hash(7), "{}", format!("{a} {b}"));
        }
    }
}

#[test]
fn paths_are_written_as_postgresql_writes_them() {
    let shown = |t: &str| path::Path::parse(t).map(|p| p.to_string());
    for (text, want) in [
        ("$", "$"),
        ("strict $.a.b[*]", "strict $.\"a\".\"b\"[*]"),
        ("lax $.a[1,2 to last].type()", "$.\"a\"[1,2 to last].type()"),
        (
            "$.a ? (@.b == 1 && !(@.c > 2) || exists(@.d))",
            "$.\"a\"?(@.\"b\" == 1 && !(@.\"c\" > 2) || exists (@.\"d\"))",
        ),
        ("-$.a + 1 * 2", "(-$.\"a\" + 1 * 2)"),
        ("(-$.a).b", "(-$.\"a\").\"b\""),
        ("($.a == 1) is unknown", "($.\"a\" == 1) is unknown"),
        ("$.**{2 to last}.b", "$.**{2 to last}.\"b\""),
        ("$foo.\"x y\"[last - 2].*", "$\"foo\".\"x y\"[last - 2].*"),
        ("1..type()", "(1).type()"),
        (".5", "0.5"),
        ("$ ? (@ like_regex \"a\\\\d\" flag \"qi\")", "$?(@ like_regex \"a\\\\d\" flag \"iq\")"),
    ] {
        assert_eq!(shown(text).as_deref(), Ok(want), "{text}");
        assert_eq!(shown(want).as_deref(), Ok(want), "{text}");
    }
    for text in [
        "",
        "@",
        "last",
        "$[1",
        "$.a.",
        "1a",
        "$ = 1",
        "$.a ? (@.b)",
        "1 == 2 == 3",
        "\"a",
        "$.a like_regex \"x\" flag \"z\"",
    ] {
        assert!(shown(text).is_err(), "{text}");
    }
    assert_eq!(shown(&"(".repeat(1000)), Err(path::PathError::TooDeep));
    // Operators side by side nest as well, on whichever side of each other, and what is taken can be read again as it is written.
    let nested =
        |n: usize, m: usize| (0..n).fold(String::from("1"), |s, _| format!("({s}{})", "+1".repeat(m)));
    assert_eq!(shown(&nested(100, 100)), Err(path::PathError::TooDeep));
    for text in [nested(10, 10), format!("{}6", "-".repeat(60)), format!("$[{}]", ["1"; 500].join(","))] {
        let written = shown(&text).expect("a path");
        assert_eq!(shown(&written), Ok(written));
    }
    assert_eq!(shown(&format!("${}", ".abs()".repeat(2000))), Err(path::PathError::TooDeep));
    assert!(shown(&format!("${}", ".a".repeat(500))).is_ok());
    for n in 1..130 {
        for text in [
            format!("{}6", "-".repeat(n)),
            format!("{}$ == 1{}", "!(".repeat(n), ")".repeat(n)),
            nested(1, n),
        ] {
            if let Ok(written) = shown(&text) {
                assert_eq!(shown(&written), Ok(written));
            }
        }
    }
}

proptest! {
    /// Whatever the text, it is a path or an error; a path reads back as itself.
    #[test]
    fn paths_read_back(text in "[$@.*\\[\\]()?&|!=<>+a-c01\" {}-]{0,24}|\\PC{0,20}") {
        if let Ok(p) = path::Path::parse(&text) {
            let again = path::Path::parse(&p.to_string());
            prop_assert_eq!(again.map(|p| p.to_string()), Ok(p.to_string()));
        }
    }
}

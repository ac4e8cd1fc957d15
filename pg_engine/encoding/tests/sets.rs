//! Character sets against PostgreSQL 15's, and against damage.

use pg_encoding::{Decoder, Encoding};
use proptest::prelude::*;

/// For each set of one byte a character: the code points of 0x80 to 0xff as PostgreSQL 15 has them (fffd: none).
const SINGLE: &str = include_str!("single.txt");
/// For each larger set: some of its two-byte characters.
const DOUBLE: &str = include_str!("double.txt");

fn set(name: &str) -> Encoding {
    Encoding::by_name(name).unwrap_or_else(|| panic!("{name}"))
}

fn supported() -> Vec<Encoding> {
    (0..42).filter_map(Encoding::by_number).filter(|e| e.is_supported()).collect()
}

#[test]
fn single_bytes_are_those_of_postgresql() {
    for line in SINGLE.lines() {
        let (name, points) = line.split_once('\t').unwrap();
        for (byte, point) in (0x80u8..=0xff).zip(points.split(' ')) {
            let wanted = char::from_u32(u32::from_str_radix(point, 16).unwrap()).filter(|c| *c != '\u{fffd}');
            let bytes = [byte];
            let found = set(name).decode(&bytes);
            match (wanted, &found) {
                (Some(c), Ok(text)) => {
                    assert_eq!(**text, *c.to_string(), "{name} {byte:x}");
                    assert_eq!(*set(name).encode(text).unwrap(), bytes, "{name} {byte:x}");
                }
                (None, Err(e)) => assert_eq!(e.state().as_str(), "22P05", "{name} {byte:x}"),
                _ => panic!("{name} {byte:x}: {found:?}"),
            }
        }
    }
}

#[test]
fn double_bytes_are_those_of_postgresql() {
    let (mut same, mut all) = (0, 0);
    for line in DOUBLE.lines() {
        let (name, pairs) = line.split_once('\t').unwrap();
        for (bytes, point) in pairs.split(' ').map(|p| p.split_once('=').unwrap()) {
            let bytes = u16::from_str_radix(bytes, 16).unwrap().to_be_bytes();
            let wanted = char::from_u32(u32::from_str_radix(point, 16).unwrap()).unwrap();
            all += 1;
            same += usize::from(set(name).decode(&bytes).is_ok_and(|t| *t == *wanted.to_string()));
        }
    }
    assert!(all > 700 && same + 10 >= all, "{same} of {all}");
}

#[test]
fn names() {
    for (name, number) in
        [("utf-8", 6), ("Unicode", 6), ("iso-8859-1", 8), ("windows-1252", 24), ("SJIS", 35), ("koi8", 22)]
    {
        assert_eq!(set(name).number(), number);
    }
    assert_eq!(Encoding::by_name("zz"), None);
    assert_eq!(Encoding::by_number(42), None);
    assert_eq!(set("latin-1").name(), "LATIN1");
    assert!(!set("EUC_TW").is_supported());
}

#[test]
fn complaints() {
    let message = |e: Encoding, bytes: &[u8]| e.decode(bytes).unwrap_err().message().to_owned();
    assert_eq!(message(set("BIG5"), b"a\x81"), "invalid byte sequence for encoding \"BIG5\": 0x81");
    assert_eq!(
        message(set("EUC_JP"), b"\xff\xff"),
        "invalid byte sequence for encoding \"EUC_JP\": 0xff 0xff"
    );
    assert_eq!(message(set("LATIN1"), b"a\0"), "invalid byte sequence for encoding \"LATIN1\": 0x00");
    assert_eq!(
        message(set("WIN1252"), b"\x81"),
        "character with byte sequence 0x81 in encoding \"WIN1252\" has no equivalent in encoding \"UTF8\""
    );
    assert_eq!(
        set("LATIN1").encode("日本").unwrap_err().message(),
        "character with byte sequence 0xe6 0x97 0xa5 in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\""
    );
    assert_eq!(*set("LATIN1").encode_lossy("aé日"), *b"a\xe9?");
    assert_eq!(set("EUC_JP").count(b"a\xc6\xfc\x8e\xb1").unwrap(), 3);
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40), cut in 0usize..40) {
        for e in supported() {
            let whole = e.decode(&bytes);
            if let Ok(text) = &whole {
                prop_assert!(!text.contains('\0'));
            }
            let _ = e.count(&bytes);
            if e.is_plain() {
                continue;
            }
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            let mut decoder = Decoder::new(e);
            let mut pieces = String::new();
            let mut push = |piece: &[u8]| decoder.push(piece).map(|t| pieces.push_str(t));
            let done = push(a).and_then(|()| push(b)).and_then(|()| decoder.finish());
            prop_assert_eq!(done.map(|()| pieces).ok(), whole.ok().map(|t| t.into_owned()));
        }
    }

    #[test]
    fn what_is_encoded_comes_back(text in "[a-zé-üА-яあ-ん一-龥€]{0,20}") {
        for e in supported() {
            if let Ok(bytes) = e.encode(&text) {
                let back = e.decode(&bytes).map(|t| t.into_owned()).unwrap();
                prop_assert_eq!(&back, &text, "{}", e.name());
            }
        }
    }
}

//! Properties of the codec.
#![allow(clippy::unwrap_used, reason = "tests")]

use pg_types::{SqlError, SqlState};
use pg_wire::{
    Encoder, Frontend, Severity, Startup, WireError,
    frame::{self, Packet},
    frontend::{self, Target},
    scram::{NONCE_LEN, ServerExchange, Verifier},
};
use proptest::prelude::*;

fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn cstr(out: &mut Vec<u8>, s: &str) {
    out.extend_from_slice(s.as_bytes());
    out.push(0);
}

const NAME: &str = "[a-z_é]{0,12}";

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut rest = &bytes[..];
        while let Ok(Some((packet, used))) = frame::split(rest, 1 << 20) {
            let _ = Frontend::decode(packet);
            rest = &rest[used..];
        }
        if let Ok(Some((body, _))) = frame::split_startup(&bytes) {
            let _ = Startup::decode(body);
        }
        let _ = Startup::decode(&bytes);
        let _ = frontend::sasl_initial(&bytes);
        for tag in 0..=255u8 {
            if let Ok(Frontend::Bind(b)) = Frontend::decode(Packet { tag, body: &bytes }) {
                prop_assert_eq!(b.params.iter().count(), b.params.len());
            }
        }
    }

    #[test]
    fn scram_survives_arbitrary_messages(first in ".{0,60}", last in ".{0,60}", plus in any::<bool>()) {
        let v = Verifier::mock("u", &[1; 32]);
        let _ = ServerExchange::start(v.clone(), first.as_bytes(), &[0; NONCE_LEN], Some(b"end"), plus);
        let s = ServerExchange::start(v, b"n,,n=,r=abc", &[0; NONCE_LEN], None, false).unwrap();
        prop_assert!(!matches!(s.finish(last.as_bytes()), Ok(Some(_))));
    }

    #[test]
    fn parse_and_bind_round_trip(
        name in NAME, query in "[ -~é]{0,40}", types in proptest::collection::vec(any::<u32>(), 0..5),
        portal in NAME, formats in proptest::collection::vec(0i16..2, 0..4),
        params in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)), 0..5),
    ) {
        let mut body = Vec::new();
        cstr(&mut body, &name);
        cstr(&mut body, &query);
        body.extend_from_slice(&u16::try_from(types.len()).unwrap().to_be_bytes());
        types.iter().for_each(|t| body.extend_from_slice(&t.to_be_bytes()));
        match Frontend::decode(Packet { tag: b'P', body: &body }).unwrap() {
            Frontend::Parse { name: n, query: q, types: t } => {
                prop_assert_eq!((n, q), (&name[..], &query[..]));
                prop_assert_eq!(t.iter().collect::<Vec<_>>(), types);
            }
            other => prop_assert!(false, "{:?}", other),
        }

        let mut body = Vec::new();
        cstr(&mut body, &portal);
        cstr(&mut body, &name);
        body.extend_from_slice(&u16::try_from(formats.len()).unwrap().to_be_bytes());
        formats.iter().for_each(|t| body.extend_from_slice(&t.to_be_bytes()));
        body.extend_from_slice(&u16::try_from(params.len()).unwrap().to_be_bytes());
        for p in &params {
            match p {
                None => body.extend_from_slice(&(-1i32).to_be_bytes()),
                Some(v) => {
                    body.extend_from_slice(&u32::try_from(v.len()).unwrap().to_be_bytes());
                    body.extend_from_slice(v);
                }
            }
        }
        body.extend_from_slice(&[0, 1, 0, 1]);
        match Frontend::decode(Packet { tag: b'B', body: &body }).unwrap() {
            Frontend::Bind(b) => {
                prop_assert_eq!((b.portal, b.statement), (&portal[..], &name[..]));
                prop_assert_eq!(b.formats.iter().collect::<Vec<_>>(), formats);
                prop_assert_eq!(b.result_formats.iter().collect::<Vec<_>>(), vec![1]);
                let got: Vec<Option<Vec<u8>>> = b.params.iter().map(|p| p.map(<[u8]>::to_vec)).collect();
                prop_assert_eq!(got, params);
            }
            other => prop_assert!(false, "{:?}", other),
        }
        // Cut anywhere, it is an error and not something else.
        for end in 0..body.len() {
            let cut = Frontend::decode(Packet { tag: b'B', body: &body[..end] });
            prop_assert!(cut.is_err());
        }
    }

    #[test]
    fn framing_waits_for_the_whole_message(tag in prop::sample::select(b"QPBEDCHSXdcfp".to_vec()),
                                           body in proptest::collection::vec(any::<u8>(), 0..50)) {
        let whole = framed(tag, &body);
        for end in 0..whole.len() {
            prop_assert_eq!(frame::split(&whole[..end], 1 << 20), Ok(None));
        }
        let (packet, used) = frame::split(&whole, 1 << 20).unwrap().unwrap();
        prop_assert_eq!((packet.tag, packet.body, used), (tag, &body[..], whole.len()));
    }
}

#[test]
fn oversized_messages_are_refused_by_their_header_alone() {
    assert_eq!(frame::split(b"Q\x7f\xff\xff\xff", 1 << 20), Err(WireError::MessageLength));
    assert_eq!(frame::split(b"S\0\0\xff\xff", 1 << 20), Err(WireError::MessageLength));
    assert_eq!(frame::split(b"S\0\0\0\x03", 1 << 20), Err(WireError::MessageLength));
    assert_eq!(frame::split(b"\x01", 1 << 20), Err(WireError::MessageType(1)));
    assert_eq!(frame::split_startup(b"\0\0\x27\x15"), Err(WireError::StartupLength));
    assert_eq!(frame::split_startup(b"\0\0\0\x07"), Err(WireError::StartupLength));
}

#[test]
fn startup_family() {
    assert_eq!(Startup::decode(&80_877_103u32.to_be_bytes()), Ok(Startup::Ssl));
    assert_eq!(Startup::decode(&80_877_104u32.to_be_bytes()), Ok(Startup::GssEnc));
    let mut cancel = 80_877_102u32.to_be_bytes().to_vec();
    cancel.extend_from_slice(&[0, 0, 0, 5, 0, 0, 0, 6]);
    assert_eq!(Startup::decode(&cancel), Ok(Startup::Cancel { pid: 5, secret: 6 }));
    let mut s = vec![0, 3, 0, 0];
    for x in ["user", "ann", "database", "d"] {
        cstr(&mut s, x);
    }
    assert_eq!(Startup::decode(&s), Err(WireError::StartupLayout));
    s.push(0);
    assert_eq!(
        Startup::decode(&s),
        Ok(Startup::Parameters { minor: 0, pairs: vec![("user", "ann"), ("database", "d")] })
    );
    assert_eq!(Startup::decode(&[0, 2, 0, 0]), Err(WireError::Version(2, 0)));
}

#[test]
fn describe_and_invalid_text() {
    assert_eq!(
        Frontend::decode(Packet { tag: b'D', body: b"Sx\0" }),
        Ok(Frontend::Describe(Target::Statement("x")))
    );
    assert!(matches!(Frontend::decode(Packet { tag: b'D', body: b"Zx\0" }), Err(WireError::Field(_))));
    let e = Frontend::decode(Packet { tag: b'Q', body: b"a\xe2\x28\xa1\0" }).unwrap_err();
    assert!(e.recoverable());
    assert_eq!(format!("{e}"), "invalid byte sequence for encoding \"UTF8\": 0xe2 0x28 0xa1");
}

#[test]
fn rows_and_reports_have_the_documented_layout() {
    let mut e = Encoder::new();
    let m = e.begin_row(3);
    e.null();
    e.value(b"ab");
    e.value_with(|b| {
        b.extend_from_slice(b"xyz");
        Ok(())
    })
    .unwrap();
    e.end_row(m);
    assert_eq!(e.bytes(), b"D\0\0\0\x17\0\x03\xff\xff\xff\xff\0\0\0\x02ab\0\0\0\x03xyz");
    e.clear();
    e.command_complete_rows("SELECT", 12);
    assert_eq!(e.bytes(), b"C\0\0\0\x0eSELECT 12\0");
    e.clear();
    e.report(Severity::Error, &SqlError::new(SqlState::SYNTAX_ERROR, "no").hint("h").at(7));
    assert_eq!(e.bytes(), b"E\0\0\0\x24SERROR\0VERROR\0C42601\0Mno\0Hh\0P7\0\0");
}

#[test]
fn a_command_that_failed_after_all_is_not_complete() {
    let mut out = Encoder::new();
    out.command_complete("BEGIN");
    let before = out.bytes().to_vec();
    out.command_complete_rows("INSERT 0", 12);
    out.withdraw_command_complete();
    assert_eq!(out.bytes(), before);
    // Only the last message is taken back, and once.
    out.withdraw_command_complete();
    assert_eq!(out.bytes(), before);
    out.command_complete("COMMIT");
    out.empty_query();
    let all = out.bytes().to_vec();
    out.withdraw_command_complete();
    assert_eq!(out.bytes(), all);
}

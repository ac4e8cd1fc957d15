//! What is a command, what is none, and where that shows.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use dagdb_graph::Lut;
use dagdb_language::{
    Backup, Command, Comparison, Field, Format, Gate, Metric, Predicate, Problem, Range, Record, SyntaxError,
    parse,
};
use proptest::prelude::*;

fn compare(field: Field, how: Comparison, value: u64) -> Option<Predicate> {
    Some(Predicate::Compare(field, how, value))
}

#[test]
fn every_form_of_the_grammar() {
    let snapshot = Format::Snapshot { compressed: false };
    let truth_is_one = || compare(Field::Truth, Comparison::Equal, 1);
    let cases = [
        ("STATUS", Command::Status),
        ("graph info;", Command::GraphInfo),
        (" Validate ", Command::Validate),
        ("TICK", Command::Tick(1)),
        ("TICK 100", Command::Tick(100)),
        ("EVAL", Command::Eval { predicate: None, ranks: None }),
        (
            "EVAL ROOT WHERE state=1 RANK 5 TO 0",
            Command::Eval { predicate: truth_is_one(), ranks: Some((5, 0)) },
        ),
        ("EVAL WHERE truth = 1", Command::Eval { predicate: truth_is_one(), ranks: None }),
        ("NODES", Command::Nodes { rank: None, predicate: None }),
        ("NODES AT RANK 3 WHERE truth=1", Command::Nodes { rank: Some(3), predicate: truth_is_one() }),
        (
            "nodes where type<>2",
            Command::Nodes { rank: None, predicate: compare(Field::Type, Comparison::NotEqual, 2) },
        ),
        ("TRAVERSE FROM 42 DEPTH 3", Command::Traverse { from: 42, depth: 3 }),
        ("SET 7 TRUTH 2", Command::SetTruth { node: 7, truth: 2 }),
        ("SET 7 RANK 18446744073709551615", Command::SetRank { node: 7, rank: u64::MAX }),
        ("SET 7 LUT majority", Command::SetLut { node: 7, lut: Lut::MAJ6 }),
        ("SET 7 LUT 0x8", Command::SetLut { node: 7, lut: Lut(8) }),
        ("GET 7 TRUTH", Command::GetTruth { node: 7 }),
        ("SET_RANKS_BULK", Command::SetRanksBulk),
        ("CONNECT FROM 1 TO 2", Command::Connect { back: false, from: 1, to: 2 }),
        ("CONNECT BACK FROM 1 TO 2", Command::Connect { back: true, from: 1, to: 2 }),
        ("CLEAR 9 EDGES", Command::Clear { back: false, node: 9 }),
        ("CLEAR 9 BACK_EDGES", Command::Clear { back: true, node: 9 }),
        ("COMPOSE XOR 1 2 INTO 3", Command::Compose { gate: Gate::Xor, first: 1, second: Some(2), into: 3 }),
        ("COMPOSE NOT 1 INTO 3", Command::Compose { gate: Gate::Not, first: 1, second: None, into: 3 }),
        ("SAVE /tmp/A.dags", Command::Save { format: snapshot, path: "/tmp/A.dags".into() }),
        (
            "save 'a b' compressed",
            Command::Save { format: Format::Snapshot { compressed: true }, path: "a b".into() },
        ),
        ("LOAD json", Command::Load { format: snapshot, path: "json".into() }),
        ("LOAD JSON x.json", Command::Load { format: Format::Json, path: "x.json".into() }),
        ("SAVE CSV Dir", Command::Save { format: Format::Csv, path: "Dir".into() }),
        ("EXPORT MORTON d", Command::Save { format: Format::Morton, path: "d".into() }),
        ("IMPORT MORTON d", Command::Load { format: Format::Morton, path: "d".into() }),
        ("BACKUP APPEND d", Command::Backup { action: Backup::Append, path: "d".into() }),
        ("SELECT TRUTH 1 RANK 0-5", Command::Select { truth: 1, ranks: Range { low: 0, high: 5 } }),
        ("BFS_DEPTHS FROM 3 BACKWARD", Command::BfsDepths { from: 3, backward: true }),
        ("ANCESTRY FROM 3 DEPTH 2", Command::Ancestry { from: 3, depth: 2 }),
        (
            "SIMILAR_DECISIONS TO 3 DEPTH 2 K 5 AMONG TRUTH 1",
            Command::Similar { to: 3, depth: 2, count: 5, among: Some(1) },
        ),
        (
            "DISTANCE wll1 0-2 3-3",
            Command::Distance {
                metric: Metric::WlL1,
                first: Range { low: 0, high: 2 },
                second: Range { low: 3, high: 3 },
            },
        ),
        ("OPEN_READER", Command::OpenReader),
        ("CLOSE_READER r0011aabb", Command::CloseReader("r0011aabb".into())),
        ("LIST_READERS", Command::ListReaders),
        ("backup drop d", Command::Backup { action: Backup::Drop, path: "d".into() }),
        ("DROP SAVE 'a b'", Command::DropSave("a b".into())),
        ("RECORD START", Command::Record(Record::Start { interval: None })),
        ("RECORD START EVERY 8", Command::Record(Record::Start { interval: Some(8) })),
        ("RECORD STOP", Command::Record(Record::Stop)),
        ("RECORD DROP", Command::Record(Record::Drop)),
        ("RECORD INFO", Command::Record(Record::Info)),
        ("REPLAY", Command::Replay { from: None, to: None }),
        ("REPLAY FROM 3 TO 9", Command::Replay { from: Some(3), to: Some(9) }),
        ("REWIND TO 3", Command::Rewind(3)),
        (
            "NODES AT RANK 3 WHERE truth=1 AS OF TICK 7;",
            Command::AsOf {
                tick: 7,
                command: Box::new(Command::Nodes { rank: Some(3), predicate: truth_is_one() }),
            },
        ),
        ("READER r1 STATUS", Command::Reader { id: "r1".into(), command: Box::new(Command::Status) }),
    ];
    for (text, command) in cases {
        assert_eq!(parse(text), Ok(command.clone()), "{text}");
        assert_eq!(parse(&command.to_string()), Ok(command), "{text}");
    }
}

#[test]
fn and_binds_closer_than_or() {
    let Command::Nodes { predicate: Some(p), .. } =
        parse("NODES WHERE rank=1 OR rank>=5 AND NOT (truth=1 OR type!=0)").unwrap()
    else {
        panic!("not nodes");
    };
    for (truth, rank, kind, want) in [
        (0, 1, 0, true),
        (1, 1, 2, true),
        (0, 5, 0, true),
        (1, 5, 0, false),
        (0, 9, 1, false),
        (0, 2, 0, false),
    ] {
        assert_eq!(p.matches(truth, rank, kind), want, "{truth} {rank} {kind}");
    }
}

#[test]
fn errors_say_what_and_where() {
    let cases: [(&str, usize, &str, &str); 17] = [
        ("", 0, "42601", "syntax error at end of input"),
        ("FROB 1", 0, "42601", "unknown command \"FROB\""),
        ("TICK x", 5, "42601", "syntax error at or near \"x\""),
        ("TICK 1 2", 7, "42601", "syntax error at or near \"2\""),
        ("SET 1 TRUTH 256", 12, "22003", "value \"256\" is out of range: at most 255"),
        (
            "SET 1 RANK 18446744073709551616",
            11,
            "22003",
            "value \"18446744073709551616\" is out of range: at most 18446744073709551615",
        ),
        ("SET 1 LUT 0x10000000000000000", 10, "22003", ""),
        ("SET 1 LUT NOPE", 10, "42601", "syntax error at or near \"NOPE\""),
        ("NODES WHERE (rank=1", 19, "42601", "syntax error at end of input"),
        ("NODES WHERE colour=1", 12, "42601", "syntax error at or near \"colour\""),
        ("SAVE 'abc", 5, "42601", "unterminated quoted string"),
        ("SELECT TRUTH 1 RANK 5-2", 20, "42601", "range \"5-2\" ends before it begins"),
        ("READER r1 TICK", 10, "42601", "command is not read-only and cannot be sent to a reader"),
        ("READER r1 READER r2 STATUS", 10, "42601", ""),
        ("TICK 5 AS OF TICK 3", 7, "42601", "syntax error at or near \"AS\""),
        ("STATUS AS OF TICK", 17, "42601", "syntax error at end of input"),
        ("RECORD START EVERY 65536", 19, "22003", ""),
    ];
    for (text, at, sqlstate, message) in cases {
        let error: SyntaxError = parse(text).unwrap_err();
        if text.starts_with("READER r1 READER") {
            assert_eq!(error.problem, Problem::NotReadOnly);
            continue;
        }
        assert_eq!((error.at, error.sqlstate()), (at, sqlstate), "{text}: {error}");
        assert!(message.is_empty() || error.to_string() == message, "{text}: {error}");
    }
}

#[test]
fn depth_and_length_are_limited() {
    let deep = format!("NODES WHERE {}rank=1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(parse(&deep).unwrap_err().problem, Problem::TooDeep);
    let not = format!("NODES WHERE {} rank=1", "NOT ".repeat(10_000));
    assert_eq!(parse(&not).unwrap_err().problem, Problem::TooDeep);
    assert_eq!(parse(&" ".repeat(1 << 20)).unwrap_err().problem, Problem::TooLong);
    // A long chain is not a deep one, and printing makes nothing deeper.
    for text in [
        format!("NODES WHERE rank=0{}", " OR rank=1".repeat(5_000)),
        format!("NODES WHERE {}truth=0{}", "rank=1 AND (rank=2 OR (".repeat(30), "))".repeat(30)),
        format!("NODES WHERE {}rank=1", "NOT ".repeat(64)),
    ] {
        let command = parse(&text).unwrap();
        assert_eq!(parse(&command.to_string()), Ok(command));
    }
}

fn predicates() -> impl Strategy<Value = Predicate> {
    let field = prop_oneof![Just(Field::Truth), Just(Field::Rank), Just(Field::Type)];
    let how = prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::NotEqual),
        Just(Comparison::Less),
        Just(Comparison::Greater),
        Just(Comparison::LessOrEqual),
        Just(Comparison::GreaterOrEqual)
    ];
    let leaf = (field, how, any::<u64>()).prop_map(|(f, h, v)| Predicate::Compare(f, h, v));
    leaf.prop_recursive(5, 20, 2, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Predicate::And),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Predicate::Or),
            inner.prop_map(|a| Predicate::Not(a.into())),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused_within_it(text in ".{0,200}") {
        if let Err(e) = parse(&text) {
            prop_assert!(e.at <= text.len());
            prop_assert!(text.is_char_boundary(e.at));
        }
    }

    #[test]
    fn words_of_the_language_in_any_order(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "EVAL", "NODES", "WHERE", "rank", "truth", "=", "!=", "(", ")", "AND", "OR", "NOT", "1", "0-5", "AT", "RANK",
                "TO", "FROM", "DEPTH", "SET", "LUT", "SAVE", "LOAD", "JSON", "COMPRESSED", "'x'", "READER", "STATUS", ";", "TICK",
                "18446744073709551616", "K", "é", "COMPOSE", "CONNECT", "BACK", "INTO", "AS", "OF", "RECORD",
                "START", "EVERY", "REPLAY",
            ]),
            0..12,
        )
    ) {
        let text = words.join(" ");
        match parse(&text) {
            Err(e) => prop_assert!(e.at <= text.len()),
            Ok(command) => prop_assert_eq!(parse(&command.to_string()), Ok(command)),
        }
    }

    #[test]
    fn printed_commands_are_read_back(
        predicate in proptest::option::of(predicates()),
        rank in proptest::option::of(any::<u64>()),
        path in "[^\u{0}]{0,30}",
        lut in any::<u64>(),
    ) {
        for command in [
            Command::Nodes { rank, predicate: predicate.clone() },
            Command::Eval { predicate, ranks: rank.map(|r| (r, 0)) },
            Command::SetLut { node: 1, lut: Lut(lut) },
            Command::Save { format: Format::Json, path: path.clone() },
            Command::Save { format: Format::Snapshot { compressed: true }, path: path.clone() },
            Command::Load { format: Format::Csv, path: path.clone() },
            Command::CloseReader(path),
        ] {
            prop_assert_eq!(parse(&command.to_string()), Ok(command));
        }
    }
}

//! What devices answer is what `compute_protocol` defines, and nothing that a message says harms a session.

use compute_protocol::{
    Answer, Column, Command, Envelope, Kind, Metric, Reply, Span, Status, Term, graph::Step, reduce::Wanted,
};
use gpu_shim::{Pages, Processor, Session, check};
use proptest::prelude::*;
use zerocopy::IntoBytes;

#[test]
fn the_processor_computes_as_defined() {
    for (threads, seed) in [(1, 1), (4, 2)] {
        check::all(&mut Processor::new(threads, 1 << 30), seed, false).expect("results as defined");
    }
}

/// A million nodes are where sources that lie anywhere are sorted first.
#[cfg(feature = "wgpu")]
#[test]
fn a_device_computes_as_defined() {
    match gpu_shim::Gpu::open(0, 1 << 30) {
        Ok(mut gpu) => {
            check::all(&mut gpu, 3, true).expect("results as defined");
        }
        Err(error) => eprintln!("skipped: {error}"),
    }
}

/// One attached resource, number 1.
struct Memory(Vec<u8>);

impl Memory {
    fn range(&self, span: Span) -> Option<std::ops::Range<usize>> {
        let begin = usize::try_from(span.offset).ok()?;
        let end = begin.checked_add(usize::try_from(span.length).ok()?)?;
        (span.resource == 1 && end <= self.0.len()).then_some(begin..end)
    }
}

impl Pages for Memory {
    fn read(&self, span: Span, into: &mut [u8]) -> bool {
        let Some(bytes) = self.range(span).and_then(|r| self.0.get(r)) else { return false };
        into.len() == bytes.len() && {
            into.copy_from_slice(bytes);
            true
        }
    }

    fn write(&mut self, span: Span, from: &[u8]) -> bool {
        let Some(bytes) = self.range(span).and_then(|r| self.0.get_mut(r)) else { return false };
        from.len() == bytes.len() && {
            bytes.copy_from_slice(from);
            true
        }
    }

    fn has(&self, span: Span) -> bool {
        self.range(span).is_some()
    }
}

fn span(offset: u64, length: u64) -> Span {
    Span { resource: 1, offset, length }
}

fn ask(session: &mut Session, memory: &mut Memory, command: Command) -> Reply {
    let message = Envelope { number: 77, command }.encode();
    let reply = Reply::decode(&session.handle(&message, memory)).expect("a reply");
    assert_eq!(reply.number, 77);
    reply
}

#[test]
fn a_session_keeps_computes_and_answers() {
    let mut session = Session::new(Box::new(Processor::new(1, 1 << 20)));
    let mut memory = Memory(vec![0; 4096]);
    let numbers: Vec<i32> = (0..100).map(|i| i - 30).collect();
    memory.0[..400].copy_from_slice(numbers.as_bytes());
    let column = Column { table: 1, kind: Kind::I32 };
    let done = |reply: Reply| {
        assert_eq!(reply.status, Status::Done);
        reply.answer
    };
    done(ask(&mut session, &mut memory, Command::Create { table: 1, bytes: 400 }));
    done(ask(&mut session, &mut memory, Command::Write { table: 1, offset: 0, from: span(0, 400) }));
    let filter = vec![Term { column, least: Kind::I32.key(0), greatest: Kind::I32.key(9), negated: false }];
    let wanted = Wanted { sum: true, extremes: true };
    let sum = Command::Reduce { column, rows: 100, wanted, filter };
    let Answer::Reduction(sum) = done(ask(&mut session, &mut memory, sum)) else { panic!("no sum") };
    assert_eq!((sum.count, sum.whole), (10, 45));

    let top =
        Command::Top { column, rows: 100, count: 3, greatest: true, into: span(1024, 48), filter: vec![] };
    assert_eq!(done(ask(&mut session, &mut memory, top)), Answer::Rows(3));
    assert_eq!(memory.0[1024..1032], 99u64.to_le_bytes());

    // Node 0 copies node 1, which negates node 0.
    memory.0[2048..2064].copy_from_slice([0xaaaa_aaaa_aaaa_aaaau64, 0x5555_5555_5555_5555].as_bytes());
    let mut sources = [u32::MAX; 12];
    (sources[0], sources[1]) = (1, 0);
    memory.0[2064..2112].copy_from_slice(sources.as_bytes());
    memory.0[2112..2120].copy_from_slice([0u32, 2].as_bytes());
    let all = span(2112, size_of::<Step>() as u64);
    let graph = Command::Graph { graph: 2, nodes: 2, steps: 1, schedule: all };
    done(ask(&mut session, &mut memory, graph));
    let nodes = Command::Nodes {
        graph: 2,
        runs: 1,
        nodes: 2,
        places: all,
        tables: span(2048, 16),
        sources: span(2064, 48),
    };
    done(ask(&mut session, &mut memory, nodes));
    let mut states = Vec::new();
    let tick = Command::Tick { graph: 2, ticks: 1 };
    let read = Command::ReadState { graph: 2, first: 0, into: span(3000, 4) };
    for _ in 0..4 {
        assert_eq!(done(ask(&mut session, &mut memory, tick.clone())), Answer::Ticked(true));
        done(ask(&mut session, &mut memory, read.clone()));
        states.push(memory.0[3000]);
    }
    assert_eq!(states, [0b10, 0b11, 0b01, 0b00]);
    // Node 1 becomes a copy too: then a 1 goes round, and two stay.
    memory.0[2120..2136].copy_from_slice([1u32, 1, 0b1, 0].as_bytes());
    memory.0[2136..2144].copy_from_slice(0xaaaa_aaaa_aaaa_aaaau64.as_bytes());
    memory.0[2144..2168].copy_from_slice([0, u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX].as_bytes());
    let edit = Command::Nodes {
        graph: 2,
        runs: 1,
        nodes: 1,
        places: span(2120, 8),
        tables: span(2136, 8),
        sources: span(2144, 24),
    };
    done(ask(&mut session, &mut memory, edit));
    let bit = Command::WriteBits { graph: 2, runs: 1, nodes: 1, places: span(2120, 8), bits: span(2128, 4) };
    done(ask(&mut session, &mut memory, bit));
    assert_eq!(done(ask(&mut session, &mut memory, tick.clone())), Answer::Ticked(true));
    done(ask(&mut session, &mut memory, read));
    assert_eq!(memory.0[3000], 0b01);
    memory.0[3100] = 0b11;
    done(ask(&mut session, &mut memory, Command::WriteState { graph: 2, first: 0, from: span(3100, 4) }));
    assert_eq!(done(ask(&mut session, &mut memory, tick)), Answer::Ticked(false));
    let far = Command::ReadState { graph: 2, first: 1, into: span(3000, 4) };
    assert_eq!(ask(&mut session, &mut memory, far).status, Status::Bounds);

    let nearest = Command::Nearest {
        table: 1,
        dimensions: 1,
        rows: 1,
        queries: 1,
        neighbours: 2,
        metric: Metric::L2,
        from: span(0, 4),
        into: span(512, 32),
    };
    assert_eq!(done(ask(&mut session, &mut memory, nearest)), Answer::Rows(1));
    assert_eq!(memory.0[528..536], u64::MAX.to_le_bytes());
    assert_eq!(ask(&mut session, &mut memory, Command::Drop { id: 9 }).status, Status::Identity);
    let far = Command::Write { table: 1, offset: 0, from: span(4090, 40) };
    assert_eq!(ask(&mut session, &mut memory, far).status, Status::Bounds);
}

fn any_span() -> impl Strategy<Value = Span> {
    let number = prop_oneof![4 => 0..5000u64, 1 => any::<u64>()];
    (prop_oneof![9 => Just(1u32), 1 => any::<u32>()], number.clone(), number)
        .prop_map(|(resource, offset, length)| Span { resource, offset, length })
}

fn any_column() -> impl Strategy<Value = Column> {
    (0..4u32, 0..4usize).prop_map(|(table, kind)| Column { table, kind: Kind::ALL[kind] })
}

fn any_rows() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..400u64, 1 => 0..(1u64 << 40)]
}

fn any_filter() -> impl Strategy<Value = Vec<Term>> {
    let term = (any_column(), any::<u64>(), any::<u64>(), any::<bool>());
    let term = term.prop_map(|(column, least, greatest, negated)| Term { column, least, greatest, negated });
    prop::collection::vec(term, 0..4)
}

fn any_command() -> impl Strategy<Value = Command> {
    let id = 0..4u32;
    prop_oneof![
        Just(Command::Describe),
        (id.clone(), any_rows()).prop_map(|(table, n)| Command::Create { table, bytes: n * 8 }),
        (id.clone(), any_rows(), any_span()).prop_map(|(table, n, from)| Command::Write {
            table,
            offset: n * 4,
            from
        }),
        (id.clone(), any_rows(), any_span()).prop_map(|(table, n, into)| Command::Read {
            table,
            offset: n * 4,
            into
        }),
        id.clone().prop_map(|id| Command::Drop { id }),
        (id.clone(), 0..200u32, 0..9u32, 0..5000u64).prop_map(|(graph, nodes, steps, at)| Command::Graph {
            graph,
            nodes,
            steps,
            schedule: span(at / 3, u64::from(steps) * 8),
        }),
        (id.clone(), 0..9u32, 0..200u32, 0..5000u64).prop_map(|(graph, runs, nodes, at)| Command::Nodes {
            graph,
            runs,
            nodes,
            places: span(at / 3, u64::from(runs) * 8),
            tables: span(at, u64::from(nodes) * 8),
            sources: span(at / 2, u64::from(nodes) * 24),
        }),
        (id.clone(), 0..9u32, 0..200u32, 0..5000u64).prop_map(|(graph, runs, nodes, at)| {
            Command::WriteBits {
                graph,
                runs,
                nodes,
                places: span(at / 3, u64::from(runs) * 8),
                bits: span(at, u64::from(nodes.div_ceil(32)) * 4),
            }
        }),
        (id.clone(), 0..9u32, any_span()).prop_map(|(graph, first, from)| Command::WriteState {
            graph,
            first,
            from
        }),
        (id.clone(), 0..9u32, any_span()).prop_map(|(graph, first, into)| Command::ReadState {
            graph,
            first,
            into
        }),
        (id.clone(), 0..50u32).prop_map(|(graph, ticks)| Command::Tick { graph, ticks }),
        (id.clone(), id.clone(), any_rows(), any_span()).prop_map(|(tables, indexes, rows, into)| {
            Command::LookUp { tables, indexes, rows, into: Span { length: rows.div_ceil(32) * 4, ..into } }
        }),
        (any_column(), any_rows(), any::<[bool; 2]>(), any_filter()).prop_map(
            |(column, rows, [sum, extremes], filter)| Command::Reduce {
                column,
                rows,
                wanted: Wanted { sum, extremes },
                filter
            }
        ),
        (any_column(), any_rows(), 1..20u32, any::<bool>(), any_span(), any_filter()).prop_map(
            |(column, rows, count, greatest, into, filter)| Command::Top {
                column,
                rows,
                count,
                greatest,
                into: Span { length: 16 * u64::from(count), ..into },
                filter
            }
        ),
        (id, 1..9u32, 0..200u64, 1..4u32, 1..9u32, 0..5usize, any_span()).prop_map(
            |(table, dimensions, rows, queries, neighbours, metric, at)| Command::Nearest {
                table,
                dimensions,
                rows,
                queries,
                neighbours,
                metric: Metric::ALL[metric],
                from: Span { length: u64::from(4 * dimensions * queries), ..at },
                into: Span { length: u64::from(16 * queries * neighbours), ..at },
            }
        ),
    ]
}

proptest! {
    #[test]
    fn hostile_commands_are_survived(
        commands in prop::collection::vec(any_command(), 1..40),
        noise in prop::collection::vec(any::<u8>(), 4096),
    ) {
        let mut session = Session::new(Box::new(Processor::new(1, 1 << 16)));
        let mut memory = Memory(noise);
        for command in commands {
            let message = Envelope { number: 5, command }.encode();
            let reply = Reply::decode(&session.handle(&message, &mut memory));
            prop_assert_eq!(reply.map(|r| r.number), Ok(5));
        }
        let device = session.executor().describe();
        prop_assert!(device.used <= device.memory);
    }
}

//! Histories give back what was recorded, or say that they are damaged.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use dagdb_delta::{DeltaError, History, Recorder, apply, decode_graph, encode_graph, peek};
use dagdb_graph::{Edit, Graph, Lut, NodeId};
use proptest::prelude::*;

/// States that change a little, a lot, or in length.
fn states() -> impl Strategy<Value = Vec<(u64, Vec<u8>)>> {
    let step = (1u64..5, 0u8..10, any::<u8>(), any::<prop::sample::Index>());
    (proptest::collection::vec(any::<u8>(), 0..500), proptest::collection::vec(step, 0..40)).prop_map(
        |(mut state, steps)| {
            let mut tick = 0;
            let mut all = Vec::new();
            for (later, how, byte, index) in steps {
                tick += later;
                match how {
                    0 => state.push(byte),
                    1 => state.iter_mut().for_each(|b| *b = b.wrapping_mul(5).wrapping_add(byte)),
                    2 => state.fill(byte),
                    _ if !state.is_empty() => {
                        let at = index.index(state.len());
                        state[at] = byte;
                    }
                    _ => {}
                }
                all.push((tick, state.clone()));
            }
            all
        },
    )
}

fn record(states: &[(u64, Vec<u8>)], interval: u32) -> Vec<u8> {
    let (mut recorder, mut bytes) = Recorder::begin(interval);
    for (i, (tick, state)) in states.iter().enumerate() {
        if i == states.len() / 2 {
            // Somebody else goes on.
            recorder = Recorder::resume(&History::open(&bytes).unwrap()).unwrap();
        }
        bytes.extend(recorder.record(*tick, state).unwrap());
    }
    bytes
}

proptest! {
    #[test]
    fn every_state_is_found_again(states in states(), interval in 0u32..10) {
        let bytes = record(&states, interval);
        let history = History::open(&bytes).unwrap();
        prop_assert_eq!(history.frames().len(), states.len());
        prop_assert_eq!(history.len(), bytes.len());
        let end = states.last().map_or(0, |s| s.0);
        for tick in 0..=end + 1 {
            let want = states.iter().rev().find(|(t, _)| *t <= tick).cloned();
            prop_assert_eq!(history.state_at(tick).unwrap(), want);
        }
        let mut replayed = Vec::new();
        history.replay(|tick, state| { replayed.push((tick, state.to_vec())); true }).unwrap();
        prop_assert_eq!(&replayed, &states);
        let compacted = history.compacted().unwrap();
        prop_assert_eq!(History::open(&compacted).unwrap().state_at(u64::MAX).unwrap(), states.last().cloned());
        // No run of frames without a key frame is longer than promised.
        let run = history.frames().chunk_by(|_, b| !b.key).map(<[_]>::len).max().unwrap_or(0);
        prop_assert!(run <= interval.max(1) as usize);
    }

    #[test]
    fn any_changed_bit_is_noticed(states in states(), at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = record(&states, 4);
        let place = at.index(bytes.len());
        bytes[place] ^= 1 << bit;
        prop_assert!(History::open(&bytes).is_err(), "byte {}", place);
    }

    #[test]
    fn a_torn_end_leaves_what_came_before(states in states(), cut: prop::sample::Index) {
        let whole = record(&states, 4);
        let bytes = &whole[..cut.index(whole.len() + 1)];
        match History::open_prefix(bytes) {
            Err(e) => prop_assert!(bytes.len() < 16 && e == DeltaError::WrongFormat),
            Ok((history, error)) => {
                let sound = history.len();
                prop_assert_eq!(error, (sound < bytes.len()).then_some(DeltaError::Torn { at: sound }));
                let last = history.frames().len();
                let want = last.checked_sub(1).map(|i| states[i].clone());
                prop_assert_eq!(history.state_at(u64::MAX).unwrap(), want);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_history_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), header: bool) {
        if header {
            bytes.splice(0..0, History::none(5));
        }
        if let Ok((history, _)) = History::open_prefix(&bytes) {
            let _ = history.state_at(u64::MAX);
        }
        let _ = decode_graph(&bytes);
        let _ = apply(&bytes, &mut vec![0; 20]);
    }
}

proptest! {
    #[test]
    fn going_on_from_a_state_needs_no_history(states in states(), interval in 1u32..6, plain: bool) {
        let (_, mut bytes) = Recorder::begin(interval);
        let (mut last, mut state) = (0, Vec::new());
        for (n, (tick, next)) in states.iter().enumerate() {
            let recorder_before = state.clone();
            let recorder = Recorder::from_state(interval, n as u64, last, state);
            let mut recorder = if plain { recorder.without_packing() } else { recorder };
            let frame = recorder.record(*tick, next).unwrap();
            prop_assert_eq!(peek(&frame).map(|p| p.0), Some(*tick));
            let mut applied = recorder_before.clone();
            prop_assert_eq!(apply(&frame, &mut applied), Ok(*tick));
            prop_assert_eq!(&applied, next);
            prop_assert!(n % interval as usize != 0 || peek(&frame).is_some_and(|p| p.1));
            bytes.extend(frame);
            (last, state) = (*tick, recorder.state().to_vec());
        }
        let mut replayed = Vec::new();
        History::open(&bytes).unwrap().replay(|tick, state| { replayed.push((tick, state.to_vec())); true }).unwrap();
        prop_assert_eq!(replayed, states);
    }
}

#[test]
fn ticks_rise() {
    let (mut recorder, _) = Recorder::begin(60);
    recorder.record(5, b"x").unwrap();
    assert_eq!(recorder.record(5, b"y"), Err(DeltaError::TickOrder { tick: 5, last: 5 }));
}

#[test]
fn a_chain_of_graphs_is_small_and_restores() {
    let mut graph = Graph::with_nodes(2_000).unwrap();
    graph.ranks_mut().iter_mut().enumerate().for_each(|(i, r)| *r = u64::from(i < 1_000));
    for i in 0..1_000 {
        let (source, target) = (NodeId(i), NodeId(1_000 + i));
        graph.apply(&Edit::Connect { source, target }).unwrap();
        graph.apply(&Edit::SetLut(target, Lut::IDENTITY)).unwrap();
    }
    let (mut recorder, mut bytes) = Recorder::begin(60);
    let mut graphs = Vec::new();
    for tick in 0..20u32 {
        let first = bytes.len();
        bytes.extend(recorder.record(u64::from(tick), &encode_graph(&graph, u64::from(tick) * 3)).unwrap());
        assert!(tick == 0 || bytes.len() - first < 100, "one changed node is a few bytes");
        graphs.push(graph.clone());
        graph.apply(&Edit::SetLut(NodeId(tick * 50), Lut(u64::from(tick) + 7))).unwrap();
        graph.apply(&Edit::SetTruth(NodeId(tick), 1)).unwrap();
    }
    assert!(bytes.len() < 2_000 * 42);
    let history = History::open(&bytes).unwrap();
    for (tick, graph) in (0..).zip(&graphs) {
        let (at, state) = history.state_at(tick).unwrap().unwrap();
        assert_eq!((at, decode_graph(&state).unwrap()), (tick, (graph.clone(), tick * 3)));
    }
    assert_eq!(decode_graph(b"nothing"), Err(DeltaError::DamagedGraph));
}

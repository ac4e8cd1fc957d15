//! Ids that no node has.

#![allow(clippy::unwrap_used, reason = "tests")]

use dagdb_graph::{Draft, Drafted, Graph, GraphError, Lut, Node, NodeId, View};
use dagdb_tick::Network;

/// Sixty sources and sixty nodes that read one each; the last of them feeds a register.
fn graph() -> Graph {
    let mut graph = Graph::new();
    for id in 0..120u32 {
        let source = (id >= 60).then(|| NodeId(id - 60));
        let rank = u64::from(id < 60);
        let inputs = [source, None, None, None, None, None];
        let lut = if source.is_some() { Lut::IDENTITY } else { Lut::CONST1 };
        let truth = (id % 3) as u8;
        graph.push_unchecked(&Node { rank, lut, inputs, truth, ..Node::default() }).unwrap();
    }
    graph.push_unchecked(&Node { back: Some(NodeId(119)), ..Node::default() }).unwrap();
    graph.validate().unwrap();
    graph
}

fn removed(network: &Network, ids: &[u32]) -> Result<Network, GraphError> {
    let mut draft = Draft::new(network);
    draft.remove(&mut ids.iter().map(|&id| NodeId(id)).collect())?;
    let Drafted::Few(list) = draft.finish()? else { panic!("the last node stays") };
    let mut network = network.clone();
    list.iter().for_each(|r| network.put(r.id, &r.new));
    Ok(network)
}

fn seen(network: &Network) -> Vec<u32> {
    let mut ids = Vec::new();
    network.for_each_at((0, u64::MAX), &|_| true, &mut |id, _| ids.push(id.0));
    ids.sort_unstable();
    ids
}

#[test]
fn free_ids_are_not_among_the_nodes() {
    let whole = Network::new(&graph());
    let ids: Vec<u32> = (0..30).chain(60..90).collect();
    let mut network = removed(&whole, &ids).unwrap();
    let left: Vec<u32> = (0..=120).filter(|id| !ids.contains(id)).collect();
    for compacted in [false, true] {
        assert_eq!((network.node_count(), network.free_ids()), (121, 60));
        assert_eq!(seen(&network), left);
        assert_eq!(network.truths().iter().map(|t| t.1).sum::<u64>(), 61);
        assert!(ids.iter().all(|&id| network.is_free(NodeId(id))) && !network.is_free(NodeId(30)));
        assert_eq!(network.existing(NodeId(5)), Err(GraphError::Free { node: NodeId(5) }));
        if compacted {
            assert_eq!(network.ranks(), [(1, 30), (0, 31)]);
        }
        network.tick(1, &dagdb_tick::Alone, &|| true).unwrap();
        network.compact();
    }
    assert_eq!(Network::new(&network.to_graph().unwrap()).free_ids(), 60);
    // An id is given again.
    network.put(NodeId(5), &Node { truth: 1, ..Node::default() });
    assert_eq!((network.free_ids(), network.is_free(NodeId(5))), (59, false));
}

#[test]
fn what_is_read_is_not_let_go_of() {
    let whole = Network::new(&graph());
    let (source_node, target) = (NodeId(7), NodeId(67));
    assert_eq!(removed(&whole, &[7]).unwrap_err(), GraphError::FreeSource { source_node, target });
    let (source_node, target) = (NodeId(119), NodeId(120));
    assert_eq!(removed(&whole, &[119]).unwrap_err(), GraphError::FreeSource { source_node, target });
    // With the reader it goes.
    assert!(removed(&whole, &[7, 67]).is_ok());
    let mut graph = graph();
    graph.put(NodeId(119), &Node::FREE);
    assert_eq!(graph.validate().unwrap_err(), GraphError::FreeSource { source_node, target });
    graph.put(NodeId(119), &Node { truth: 1, ..Node::FREE });
    assert_eq!(graph.validate().unwrap_err(), GraphError::NotFree { node: NodeId(119) });
}

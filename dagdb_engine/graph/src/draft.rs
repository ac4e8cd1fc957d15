//! Changes that are checked together: what a statement does to many nodes at once.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use crate::{
    Graph, GraphError, MAX_NODES, Node, NodeId, Replacement, View,
    edit::{check_readers, check_row},
};

/// Up to so many changed nodes are kept beside a graph, whatever its size.
const FEW: usize = 1024;

/// A graph as it will be. Nothing is checked before [`Draft::finish`], so the order of changes does not matter.
#[derive(Debug)]
pub struct Draft<'a, V> {
    base: &'a V,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// Changed nodes beside the graph; those from its count on are added.
    Few { rows: BTreeMap<u32, Node>, count: usize },
    /// A copy, and which of its nodes may differ: one bit each.
    Whole { graph: Graph, touched: Vec<u64> },
}

/// What became of a [`Draft`].
#[derive(Debug)]
pub enum Drafted {
    /// These nodes change, in the order of their ids.
    Few(Vec<Replacement>),
    /// So much changes that all of it is there anew.
    Whole {
        /// The graph.
        graph: Graph,
        /// A bit a node: whether it may differ from what it was. Added nodes do.
        touched: Vec<u64>,
    },
}

fn touch(touched: &mut Vec<u64>, id: u32) {
    let (word, bit) = (id as usize / 64, id % 64);
    if touched.len() <= word {
        touched.resize(word + 1, 0);
    }
    if let Some(w) = touched.get_mut(word) {
        *w |= 1 << bit;
    }
}

impl<'a, V: View> Draft<'a, V> {
    /// The graph as it is.
    pub fn new(base: &'a V) -> Self {
        Self { base, form: Form::Few { rows: BTreeMap::new(), count: base.node_count() } }
    }

    /// For many changes: a copy from the start.
    pub fn whole(base: &'a V) -> Result<Self, GraphError> {
        let mut draft = Self::new(base);
        draft.copy(usize::MAX)?;
        Ok(draft)
    }

    /// Gives a node another row; adds one if `id` is the count of nodes.
    pub fn put(&mut self, id: NodeId, node: Node) -> Result<(), GraphError> {
        let nodes = self.node_count();
        if id.index() > nodes || nodes >= MAX_NODES && id.index() == nodes {
            return Err(GraphError::NoSuchNode { node: u64::from(id.0), nodes: nodes as u64 });
        }
        let few = self.base.node_count() / 8 + FEW;
        match &mut self.form {
            Form::Few { rows, count } => {
                rows.insert(id.0, node);
                *count = nodes.max(id.index() + 1);
                if rows.len() > few { self.copy(usize::MAX) } else { Ok(()) }
            }
            Form::Whole { graph, touched } => {
                if id.index() == nodes {
                    graph.add_nodes(1)?;
                }
                graph.put(id, &node);
                touch(touched, id.0);
                Ok(())
            }
        }
    }

    /// Adds a node behind all others.
    pub fn add(&mut self, node: Node) -> Result<NodeId, GraphError> {
        let count = self.node_count();
        if count >= MAX_NODES {
            return Err(GraphError::TooManyNodes { limit: MAX_NODES as u64 });
        }
        let id = NodeId(count as u32);
        self.put(id, node)?;
        Ok(id)
    }

    /// Lets ids go: those at the end are gone, others become free.
    pub fn remove(&mut self, ids: &mut Vec<NodeId>) -> Result<(), GraphError> {
        ids.sort_unstable();
        ids.dedup();
        let mut count = self.node_count();
        while let Some(last) = count.checked_sub(1).map(|n| NodeId(n as u32)) {
            if ids.last() == Some(&last) {
                ids.pop();
            } else if self.node(last).is_some_and(|node| !node.is_free()) {
                break;
            }
            count -= 1;
        }
        if count < self.node_count() {
            self.truncate(count)?;
        }
        ids.iter().try_for_each(|&id| self.put(id, Node::FREE))
    }

    /// Keeps only the first so many ids.
    pub fn truncate(&mut self, count: usize) -> Result<(), GraphError> {
        self.copy(count)?;
        if let Form::Whole { graph, touched } = &mut self.form {
            graph.truncate(count);
            touched.truncate(count.div_ceil(64));
            if let (Some(last), false) = (touched.last_mut(), count.is_multiple_of(64)) {
                *last &= (1 << (count % 64)) - 1;
            }
        }
        Ok(())
    }

    /// From now on in the other form, with at most so many ids.
    fn copy(&mut self, most: usize) -> Result<(), GraphError> {
        let Form::Few { rows, count } = &self.form else { return Ok(()) };
        let count = most.min(*count);
        let mut graph = Graph::with_nodes(count)?;
        let mut touched = vec![0; count.div_ceil(64)];
        for id in (0..self.base.node_count().min(count) as u32).map(NodeId) {
            if let Some(node) = self.base.node(id) {
                graph.put(id, &node);
            }
        }
        for (&id, node) in rows.range(..count as u32) {
            graph.put(NodeId(id), node);
            touch(&mut touched, id);
        }
        self.form = Form::Whole { graph, touched };
        Ok(())
    }

    /// Checks the invariants of all that changed; a violation names the edge.
    pub fn finish(self) -> Result<Drafted, GraphError> {
        self.check()?;
        match self.form {
            Form::Whole { graph, touched } => Ok(Drafted::Whole { graph, touched }),
            Form::Few { rows, .. } => {
                let replacement =
                    |(id, new)| Replacement { id: NodeId(id), old: self.base.node(NodeId(id)), new };
                let changed = rows.into_iter().map(replacement).filter(|r| r.old != Some(r.new));
                Ok(Drafted::Few(changed.collect()))
            }
        }
    }

    fn check(&self) -> Result<(), GraphError> {
        let rows = match &self.form {
            Form::Whole { graph, .. } => return graph.validate(),
            Form::Few { rows, .. } => rows,
        };
        let mut freed = false;
        for (&id, node) in rows {
            let id = NodeId(id);
            check_row(self, id, node)?;
            freed |= node.is_free();
            if self.base.node(id).is_some_and(|old| node.rank < old.rank) {
                // Those who read it and change too are checked as themselves.
                let readers = check_readers(self.base, id, node.rank, |reader| rows.contains_key(&reader.0));
                readers.map_err(|e| match e {
                    GraphError::RankOrder { source_node, target, .. } if node.is_free() => {
                        GraphError::FreeSource { source_node, target }
                    }
                    e => e,
                })?;
            }
        }
        let mut wrong = Ok(());
        if freed {
            self.base.for_each_register(&mut |target, source_node| {
                let gone = rows.get(&source_node.0).is_some_and(Node::is_free);
                if gone && !rows.contains_key(&target.0) && wrong.is_ok() {
                    wrong = Err(GraphError::FreeSource { source_node, target });
                }
            });
        }
        wrong
    }
}

impl<V: View> View for Draft<'_, V> {
    fn node_count(&self) -> usize {
        match &self.form {
            Form::Few { count, .. } => *count,
            Form::Whole { graph, .. } => graph.len(),
        }
    }

    fn node(&self, id: NodeId) -> Option<Node> {
        match &self.form {
            Form::Few { rows, .. } => rows.get(&id.0).copied().or_else(|| self.base.node(id)),
            Form::Whole { graph, .. } => graph.node(id),
        }
    }

    fn for_each_reader(&self, source: NodeId, then: &mut dyn FnMut(NodeId)) {
        match &self.form {
            Form::Whole { graph, .. } => graph.for_each_reader(source, then),
            Form::Few { rows, .. } => {
                self.base.for_each_reader(source, &mut |reader| {
                    if !rows.contains_key(&reader.0) {
                        then(reader);
                    }
                });
                let changed = rows.iter().filter(|(_, node)| node.sources().any(|s| s == source));
                changed.for_each(|(&id, _)| then(NodeId(id)));
            }
        }
    }

    fn for_each_register(&self, then: &mut dyn FnMut(NodeId, NodeId)) {
        match &self.form {
            Form::Whole { graph, .. } => graph.for_each_register(then),
            Form::Few { rows, .. } => {
                self.base.for_each_register(&mut |register, source| {
                    if !rows.contains_key(&register.0) {
                        then(register, source);
                    }
                });
                for (&id, node) in rows {
                    node.back.into_iter().for_each(|source| then(NodeId(id), source));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::{collection, prelude::*};

    use super::*;
    use crate::{Kind, Lut};

    /// Sources at rank 3, readers of neighbours at 2 and 1.
    fn base() -> Graph {
        let mut graph = Graph::new();
        for id in 0..30u32 {
            let rank = 3 - u64::from(id / 10);
            let mut node = Node { rank, lut: Lut(u64::from(id)), ..Node::default() };
            if id >= 10 {
                node.inputs[0] = Some(NodeId(id - 10));
            }
            graph.push_unchecked(&node).expect("few nodes");
        }
        graph
    }

    fn change() -> impl Strategy<Value = (u32, u64, Vec<Option<u32>>, Option<u32>)> {
        let source = || proptest::option::of(0u32..36);
        (0u32..34, 0u64..5, collection::vec(source(), 0..4), prop_oneof![9 => Just(None), 1 => source()])
    }

    proptest! {
        #[test]
        fn both_forms_are_the_graph_with_the_rows_replaced(
            changes in collection::vec(change(), 1..6),
            removed in collection::vec(20u32..34, 0..4),
            keep in 25usize..40,
        ) {
            let base = base();
            let mut plain = base.clone();
            let mut drafts = [Draft::new(&base), Draft::whole(&base).expect("few nodes")];
            for (id, rank, inputs, back) in changes {
                let id = NodeId(id.min(plain.len() as u32));
                let mut node = Node { rank, back: back.map(NodeId), ..Node::default() };
                for (slot, source) in node.inputs.iter_mut().zip(&inputs) {
                    *slot = source.map(NodeId);
                }
                if id.index() == plain.len() {
                    plain.add_nodes(1).expect("few nodes");
                }
                plain.put(id, &node);
                for draft in &mut drafts {
                    draft.put(id, node).expect("a node or the next");
                }
            }
            let gone = |id: &NodeId| removed.contains(&id.0);
            let ids: Vec<NodeId> = (0..plain.len() as u32).map(NodeId).filter(gone).collect();
            for &id in &ids {
                plain.put(id, &Node::FREE);
            }
            while plain.kinds().last() == Some(&Kind::Free) {
                plain.truncate(plain.len() - 1);
            }
            for draft in &mut drafts {
                draft.remove(&mut ids.clone()).expect("they are there");
            }
            if keep < plain.len() {
                plain.truncate(keep);
                for draft in &mut drafts {
                    draft.truncate(keep).expect("fewer nodes");
                }
            }
            for draft in drafts {
                prop_assert_eq!(draft.node_count(), plain.len());
                let drafted = draft.finish();
                prop_assert_eq!(drafted.is_ok(), plain.validate().is_ok());
                let mut result = base.clone();
                match drafted {
                    Err(_) => continue,
                    Ok(Drafted::Whole { graph, touched }) => {
                        let same = |id: usize| base.node(NodeId(id as u32)) == graph.node(NodeId(id as u32));
                        let bit = |id: usize| touched.get(id / 64).is_some_and(|w| w >> (id % 64) & 1 == 1);
                        prop_assert!((0..graph.len()).all(|id| same(id) || bit(id)));
                        result = graph;
                    }
                    Ok(Drafted::Few(replacements)) => {
                        for r in replacements {
                            if r.old.is_none() {
                                result.add_nodes(1).expect("few nodes");
                            }
                            result.put(r.id, &r.new);
                        }
                    }
                }
                prop_assert_eq!(&result, &plain);
            }
        }
    }

    #[test]
    fn all_ranks_can_be_moved_at_once() {
        let base = base();
        let mut draft = Draft::new(&base);
        for id in (0..30).map(NodeId) {
            let node = base.node(id).expect("it is there");
            draft.put(id, Node { rank: 2 * (node.rank - 1), ..node }).expect("it is there");
        }
        assert!(matches!(draft.finish(), Ok(Drafted::Few(changed)) if changed.len() == 20));
        let mut draft = Draft::new(&base);
        draft.put(NodeId(0), Node { rank: 1, ..Node::default() }).expect("it is there");
        let wrong = draft.finish().expect_err("node 10 reads it");
        assert!(matches!(wrong, GraphError::RankOrder { source_node: NodeId(0), target: NodeId(10), .. }));
    }

    #[test]
    fn many_changes_become_a_whole_graph() {
        let base = base();
        let mut draft = Draft::new(&base);
        for _ in 0..3000 {
            draft.add(Node::default()).expect("few nodes");
        }
        assert!(matches!(draft.finish(), Ok(Drafted::Whole { graph, .. }) if graph.len() == 3030));
    }
}

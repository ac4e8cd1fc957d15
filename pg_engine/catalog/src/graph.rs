//! What the planner is told about the current graph.

use alloc::{string::String, vec::Vec};
use core::cmp::Reverse;

use pg_types::{Oid, Value, numeric::Numeric};

use crate::{
    builtin::{DAGDB_EDGES, DAGDB_NODES},
    reader::ColumnStatistics,
};

/// Most common values and bounds of a histogram, as ANALYZE of a table has them.
const VALUES: usize = 100;

/// A graph in numbers. They are those of the moment: nothing has to be analysed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphFacts {
    /// Nodes.
    pub nodes: u64,
    /// Edges, back edges among them; at least so many slots are in use or before one that is.
    pub edges: u64,
    /// Back edges.
    pub registers: u64,
    /// Ranks and how many nodes have them; empty: not known.
    pub ranks: Vec<(u64, u64)>,
    /// Values and how many nodes have them; empty: not known.
    pub truths: Vec<(u8, u64)>,
    /// What evaluates it.
    pub backend: String,
}

impl GraphFacts {
    /// Rows of one of the two relations.
    pub fn rows(&self, relation: Oid) -> u64 {
        if relation == DAGDB_EDGES { self.edges } else { self.nodes }
    }

    /// Statistics of a column by attribute number.
    pub fn column(&self, relation: Oid, attnum: i16) -> Option<ColumnStatistics> {
        match (relation, attnum) {
            (DAGDB_NODES, 1) => Some(self.ids(-1.0)),
            (DAGDB_NODES, 2) => self.rank(),
            (DAGDB_NODES, 3) => {
                let truth = |&(truth, count): &(u8, u64)| (Value::Int2(truth.into()), count);
                common(self.truths.iter().map(truth).collect(), self.nodes, 2)
            }
            (DAGDB_EDGES, 1 | 2) => Some(self.ids(self.nodes.min(self.edges) as f64)),
            (DAGDB_EDGES, 4) => {
                let plain = self.edges.saturating_sub(self.registers);
                let counts = Vec::from([(Value::Bool(false), plain), (Value::Bool(true), self.registers)]);
                common(counts, self.edges, 1)
            }
            _ => None,
        }
    }

    fn ids(&self, distinct: f64) -> ColumnStatistics {
        let last = self.nodes.saturating_sub(1) as i64;
        ColumnStatistics {
            width: 8,
            distinct,
            histogram: if last > 0 { Vec::from([Value::Int8(0), Value::Int8(last)]) } else { Vec::new() },
            correlation: if distinct < 0.0 { 1.0 } else { 0.0 },
            ..ColumnStatistics::default()
        }
    }

    fn rank(&self) -> Option<ColumnStatistics> {
        let value = |rank: u64| Value::Numeric(Numeric::from(i128::from(rank)));
        let mut ranks = self.ranks.clone();
        ranks.sort_by_key(|r| Reverse(r.1));
        let mut s = common(ranks.iter().map(|&(rank, count)| (value(rank), count)).collect(), self.nodes, 8)?;
        // Where the ranks are that are not among the common ones.
        let mut others: Vec<u64> = ranks.iter().skip(VALUES).map(|r| r.0).collect();
        others.sort_unstable();
        let step = others.len().div_ceil(VALUES).max(1);
        let last = others.last().copied().filter(|_| others.len() > 1);
        s.histogram = others.iter().step_by(step).copied().chain(last).map(value).collect();
        s.histogram.dedup();
        Some(s)
    }
}

/// Of values and how often they are there.
fn common(mut counts: Vec<(Value, u64)>, rows: u64, width: u32) -> Option<ColumnStatistics> {
    counts.retain(|c| c.1 > 0);
    if counts.is_empty() || rows == 0 {
        return None;
    }
    let distinct = counts.len() as f64;
    counts.sort_by_key(|c| Reverse(c.1));
    counts.truncate(VALUES);
    let common = counts.into_iter().map(|(v, n)| (v, n as f64 / rows as f64)).collect();
    Some(ColumnStatistics { width, distinct, common, ..ColumnStatistics::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_the_graph() {
        let facts = GraphFacts {
            nodes: 1000,
            edges: 10,
            registers: 1,
            ranks: (0..500).map(|r| (r, if r == 7 { 501 } else { 1 })).collect(),
            truths: Vec::from([(0, 900), (1, 100), (2, 0)]),
            backend: String::new(),
        };
        let rank = facts.column(DAGDB_NODES, 2).expect("ranks are known");
        assert_eq!(rank.common.first(), Some(&(Value::Numeric(Numeric::from(7i128)), 0.501)));
        assert_eq!((rank.distinct, rank.common.len()), (500.0, VALUES));
        assert!(rank.histogram.len() > 50 && rank.histogram.len() <= VALUES + 2);
        let truth = facts.column(DAGDB_NODES, 3).expect("values are known");
        assert_eq!(truth.common, [(Value::Int2(0), 0.9), (Value::Int2(1), 0.1)]);
        assert_eq!(facts.column(DAGDB_EDGES, 4).map(|s| s.common.len()), Some(2));
        assert_eq!(facts.column(DAGDB_EDGES, 3), None);
        assert_eq!(GraphFacts::default().column(DAGDB_NODES, 2), None);
    }
}

//! Nodes and what names them.

use core::fmt;

use crate::Lut;

/// Input slots of a node.
pub const INPUTS: usize = 6;

/// The most nodes of a graph: two numbers of the 32-bit space are taken, "no node" and the constant that unused inputs read.
pub const MAX_NODES: usize = u32::MAX as usize - 1;

/// Truth values with a meaning to evaluation.
pub mod truth {
    /// False.
    pub const FALSE: u8 = 0;
    /// True: the one value that inputs read as 1.
    pub const TRUE: u8 = 1;
    /// Undefined; inputs read it as 0.
    pub const UNDEFINED: u8 = 2;
}

/// A node of a graph, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// As an index of arrays over nodes.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a node exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Somebody made it.
    #[default]
    Real = 0,
    /// The builder made it, as part of a node with more than six inputs.
    Virtual = 1,
    /// The builder made it, to fill a rank that an edge skips.
    Ghost = 2,
    /// There is no node of this id: it was deleted, or none ever had it. See [`Node::FREE`].
    Free = 3,
}

impl Kind {
    /// The kind of a stored number.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Real),
            1 => Some(Self::Virtual),
            2 => Some(Self::Ghost),
            3 => Some(Self::Free),
            _ => None,
        }
    }

    /// The number that is stored.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// All there is to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Distance class from the root; sources have strictly higher ones.
    pub rank: u64,
    /// The present value.
    pub truth: u8,
    /// Why it exists.
    pub kind: Kind,
    /// What it computes.
    pub lut: Lut,
    /// Where its inputs come from.
    pub inputs: [Option<NodeId>; INPUTS],
    /// Where its next value comes from, if it is a register.
    pub back: Option<NodeId>,
}

impl Node {
    /// What stands for an id that no node has. Its rank being 0, no combinational edge from it keeps the rank rule.
    pub const FREE: Self =
        Self { rank: 0, truth: 0, kind: Kind::Free, lut: Lut::CONST0, inputs: [None; INPUTS], back: None };

    /// Whether there is no such node.
    pub fn is_free(&self) -> bool {
        self.kind == Kind::Free
    }

    /// The sources in use.
    pub fn sources(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.inputs.iter().filter_map(|i| *i)
    }
}

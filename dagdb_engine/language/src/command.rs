//! What can be asked for.

use alloc::{boxed::Box, string::String};

use dagdb_compare::Metric;
use dagdb_graph::Lut;

use crate::Predicate;

/// Ranks from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The lowest.
    pub low: u64,
    /// The highest.
    pub high: u64,
}

/// How files hold a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The engine's own, perhaps compressed.
    Snapshot {
        /// Whether it is.
        compressed: bool,
    },
    /// One JSON document.
    Json,
    /// A folder with nodes and edges as tables.
    Csv,
    /// A folder with arrays in Morton order.
    Morton,
}

/// What to do with a chain of backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backup {
    /// Begin one.
    Init,
    /// Add what changed.
    Append,
    /// Take its latest state.
    Restore,
    /// Make one full backup of it.
    Compact,
    /// Describe it.
    Info,
    /// Let go of it.
    Drop,
}

/// What to do about the recording of a graph's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Record every tick from now on.
    Start {
        /// Frames from one whole state to the next, if it is said.
        interval: Option<u32>,
    },
    /// No longer.
    Stop,
    /// Let go of what was recorded.
    Drop,
    /// Describe it.
    Info,
}

/// How `COMPOSE` joins nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Both.
    And,
    /// Either.
    Or,
    /// One of them.
    Xor,
    /// Not the only one.
    Not,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `STATUS`
    Status,
    /// `GRAPH INFO`
    GraphInfo,
    /// `VALIDATE`
    Validate,
    /// `TICK [n]`
    Tick(u64),
    /// `EVAL [ROOT] [WHERE p] [RANK a TO b]`: a tick, then the nodes of the ranks (the root's, if none are given)
    Eval {
        /// Which nodes are wanted.
        predicate: Option<Predicate>,
        /// `from` and `to`, as written: the higher one may come first.
        ranks: Option<(u64, u64)>,
    },
    /// `NODES [AT RANK n] [WHERE p]`
    Nodes {
        /// Of one rank only.
        rank: Option<u64>,
        /// Which nodes are wanted.
        predicate: Option<Predicate>,
    },
    /// `TRAVERSE FROM n DEPTH d`
    Traverse {
        /// Where it begins.
        from: u64,
        /// How many edges it goes.
        depth: u64,
    },
    /// `SET n TRUTH t`
    SetTruth {
        /// The node.
        node: u64,
        /// Its value.
        truth: u8,
    },
    /// `SET n RANK r`
    SetRank {
        /// The node.
        node: u64,
        /// Its rank.
        rank: u64,
    },
    /// `SET n LUT preset|0x…`
    SetLut {
        /// The node.
        node: u64,
        /// Its table.
        lut: Lut,
    },
    /// `GET n TRUTH`
    GetTruth {
        /// The node.
        node: u64,
    },
    /// `SET_RANKS_BULK`: the ranks come beside the text
    SetRanksBulk,
    /// `CONNECT [BACK] FROM s TO d`
    Connect {
        /// Whether it makes a register.
        back: bool,
        /// Where the edge begins.
        from: u64,
        /// Where it ends.
        to: u64,
    },
    /// `CLEAR n EDGES` and `CLEAR n BACK_EDGES`
    Clear {
        /// Whether back edges are meant.
        back: bool,
        /// The node.
        node: u64,
    },
    /// `COMPOSE AND|OR|XOR a b INTO c` and `COMPOSE NOT a INTO c`
    Compose {
        /// The function.
        gate: Gate,
        /// Its first input.
        first: u64,
        /// Its second; none for NOT.
        second: Option<u64>,
        /// The node that computes it.
        into: u64,
    },
    /// `SAVE path [COMPRESSED]`, `SAVE JSON path`, `SAVE CSV dir`, `EXPORT MORTON dir`
    Save {
        /// How.
        format: Format,
        /// Where.
        path: String,
    },
    /// `LOAD path`, `LOAD JSON path`, `LOAD CSV dir`, `IMPORT MORTON dir`
    Load {
        /// How it was written.
        format: Format,
        /// Where.
        path: String,
    },
    /// `BACKUP INIT|APPEND|RESTORE|COMPACT|INFO dir`
    Backup {
        /// What to do.
        action: Backup,
        /// Where the chain is.
        path: String,
    },
    /// `SELECT TRUTH k RANK lo-hi`
    Select {
        /// The value.
        truth: u8,
        /// The ranks.
        ranks: Range,
    },
    /// `BFS_DEPTHS FROM n [BACKWARD]`
    BfsDepths {
        /// Where it begins.
        from: u64,
        /// Against the edges only.
        backward: bool,
    },
    /// `ANCESTRY FROM n DEPTH d`
    Ancestry {
        /// Whose.
        from: u64,
        /// How many edges back.
        depth: u64,
    },
    /// `SIMILAR_DECISIONS TO n DEPTH d K k [AMONG TRUTH t]`
    Similar {
        /// Like which node.
        to: u64,
        /// How far back its ancestry goes.
        depth: u64,
        /// How many are wanted.
        count: u64,
        /// Among nodes of this value only.
        among: Option<u8>,
    },
    /// `DISTANCE metric loA-hiA loB-hiB`
    Distance {
        /// How it is measured.
        metric: Metric,
        /// The ranks of the one part.
        first: Range,
        /// The ranks of the other.
        second: Range,
    },
    /// `OPEN_READER`
    OpenReader,
    /// `CLOSE_READER id`
    CloseReader(String),
    /// `LIST_READERS`
    ListReaders,
    /// `READER id command`
    Reader {
        /// Which snapshot.
        id: String,
        /// What to ask of it.
        command: Box<Command>,
    },
    /// `DROP SAVE name`
    DropSave(String),
    /// `RECORD START [EVERY n]`, `RECORD STOP|DROP|INFO`
    Record(Record),
    /// `REPLAY [FROM a] [TO b]`: what changed at each recorded tick
    Replay {
        /// The first tick.
        from: Option<u64>,
        /// The last.
        to: Option<u64>,
    },
    /// `REWIND TO n`: structure and values become what they were at a recorded tick
    Rewind(u64),
    /// A command that only reads, and `AS OF TICK n`
    AsOf {
        /// Which tick.
        tick: u64,
        /// What to ask of the graph as it was then.
        command: Box<Command>,
    },
}

impl Command {
    /// Whether it changes neither the graph nor files, so that a reader's snapshot can answer it.
    pub const fn is_read_only(&self) -> bool {
        matches!(
            self,
            Self::Status
                | Self::GraphInfo
                | Self::Validate
                | Self::Nodes { .. }
                | Self::Traverse { .. }
                | Self::GetTruth { .. }
                | Self::Select { .. }
                | Self::BfsDepths { .. }
                | Self::Ancestry { .. }
                | Self::Similar { .. }
                | Self::Distance { .. }
        )
    }
}

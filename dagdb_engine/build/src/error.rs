//! What can be wrong with drafts and files.

use alloc::string::String;

use dagdb_graph::GraphError;
use thiserror::Error;

/// How large things may get, and how long they may take.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Nodes of a graph, those included that building adds.
    pub nodes: usize,
    /// Asked every now and then whether to go on.
    pub go_on: &'a dyn Fn() -> bool,
}

impl Default for Limits<'_> {
    fn default() -> Self {
        Self { nodes: 100_000_000, go_on: &|| true }
    }
}

impl Limits<'_> {
    /// Asks, at every some thousandth step, whether to go on.
    pub(crate) fn pause(&self, step: usize) -> Result<(), BuildError> {
        const STEPS: usize = 1 << 14;
        if !step.is_multiple_of(STEPS) || (self.go_on)() { Ok(()) } else { Err(BuildError::Cancelled) }
    }
}

/// Why there is no graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BuildError {
    /// More nodes than allowed.
    #[error("graph needs more than {limit} nodes")]
    TooManyNodes {
        /// How many are.
        limit: usize,
    },
    /// The caller said not to go on.
    #[error("building the graph was cancelled")]
    Cancelled,
    /// A draft names a source that is not there.
    #[error("node {node} reads node {source_node}, which does not exist")]
    NoSuchSource {
        /// The draft.
        node: u32,
        /// What it names.
        source_node: u32,
    },
    /// A draft's function does not take so many sources.
    #[error("node {node} has {sources} sources; its table takes at most 6")]
    TooManySources {
        /// The draft.
        node: u32,
        /// How many it has.
        sources: usize,
    },
    /// Nodes that read each other in a circle have no ranks.
    #[error("node {node} depends on itself")]
    Cycle {
        /// One of them.
        node: u32,
    },
    /// The finished graph breaks an invariant: ranks that were given do not fit the edges.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A file is not what it should be.
    #[error("{problem} at {unit} {at}")]
    File {
        /// `byte` or `line`.
        unit: &'static str,
        /// Which one.
        at: usize,
        /// What is wrong there.
        problem: Problem,
    },
}

/// What can be wrong at a place of a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// Another kind of file.
    #[error("not {format}")]
    WrongFormat {
        /// What was asked for.
        format: &'static str,
    },
    /// A version that is not known.
    #[error("unknown version {version}")]
    UnknownVersion {
        /// Which.
        version: u64,
    },
    /// It ends too early.
    #[error("unexpected end")]
    End,
    /// Something else should be there.
    #[error("expected {what}")]
    Expected {
        /// What.
        what: &'static str,
    },
    /// A number that does not fit.
    #[error("number out of range")]
    Number,
    /// A part that is not known or not supported.
    #[error("unsupported construct \"{name}\"")]
    Unsupported {
        /// Its name.
        name: String,
    },
    /// A signal without a driver, or with two.
    #[error("signal \"{name}\" has {drivers} drivers")]
    Drivers {
        /// Its name.
        name: String,
        /// How many.
        drivers: usize,
    },
    /// The compressed part is damaged.
    #[error("damaged compressed data")]
    Compression,
    /// The parts of a file do not have the same number of nodes.
    #[error("\"{part}\" does not have one value for each node")]
    Count {
        /// Which part.
        part: &'static str,
    },
}

pub(crate) const fn at_line(line: usize, problem: Problem) -> BuildError {
    BuildError::File { unit: "line", at: line, problem }
}

pub(crate) const fn at_byte(byte: usize, problem: Problem) -> BuildError {
    BuildError::File { unit: "byte", at: byte, problem }
}

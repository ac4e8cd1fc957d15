//! What every device can do, and what may go wrong.

use compute_protocol::{
    Column, Metric, Status, Term,
    answer::Device,
    graph::{Form, Piece, Run, Step},
    reduce::{Partial, Wanted},
};
use thiserror::Error;

/// Why a job was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// A table or graph does not exist, or one that is to be made does.
    #[error("no such table or graph, or one too many")]
    Identity,
    /// Something does not fit what it is part of.
    #[error("out of bounds")]
    Bounds,
    /// There is not so much memory.
    #[error("out of device memory")]
    Memory,
    /// Another device may be able to do it.
    #[error("not done by this device")]
    Unsupported,
    /// The device failed, and everything it held is lost.
    #[error("the device was lost")]
    Lost,
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Identity => Self::Identity,
            Failure::Bounds => Self::Bounds,
            Failure::Memory => Self::Memory,
            Failure::Unsupported => Self::Unsupported,
            Failure::Lost => Self::Lost,
        }
    }
}

/// Which of a column's rows.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The column.
    pub column: Column,
    /// Its first rows.
    pub count: u64,
    /// Those for which all terms hold.
    pub filter: &'a [Term],
}

/// Vectors to be compared with a table of vectors.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// The table.
    pub table: u32,
    /// Components of a vector, or words of bits.
    pub dimensions: usize,
    /// The table's first rows.
    pub rows: u64,
    /// One after the other.
    pub queries: &'a [f32],
    /// How many of the nearest are wanted.
    pub neighbours: usize,
    /// How vectors are compared.
    pub metric: Metric,
}

/// A row and its distance.
pub type Neighbour = (u64, f64);

/// A device: keeps tables and graphs and computes with them. What each result is, `compute_protocol` defines; arguments have passed
/// its limits, and everything else is checked here.
pub trait Executor: Send {
    /// What it is.
    fn describe(&self) -> Device;

    /// Makes a table of zeros.
    fn create(&mut self, table: u32, bytes: u64) -> Result<(), Failure>;

    /// Sets bytes of a table; offset and length are multiples of 4.
    fn write(&mut self, table: u32, offset: u64, bytes: &[u8]) -> Result<(), Failure>;

    /// Gets bytes of a table; offset and length are multiples of 4.
    fn read(&mut self, table: u32, offset: u64, into: &mut [u8]) -> Result<(), Failure>;

    /// Forgets a table or graph.
    fn forget(&mut self, id: u32) -> Result<(), Failure>;

    /// Forgets all tables and graphs.
    fn clear(&mut self);

    /// Makes a graph of empty nodes.
    fn graph(&mut self, id: u32, nodes: usize, steps: &[Step]) -> Result<(), Failure>;

    /// Sets nodes of a graph.
    fn nodes(&mut self, id: u32, piece: &Piece<'_>) -> Result<(), Failure>;

    /// Sets words of a graph's state, beginning with the `first`; bits beyond the last node do not matter.
    fn write_state(&mut self, id: u32, first: usize, words: &[u32]) -> Result<(), Failure>;

    /// Gets words of a graph's state, beginning with the `first`; bits beyond the last node are 0.
    fn read_state(&mut self, id: u32, first: usize, into: &mut [u32]) -> Result<(), Failure>;

    /// Runs a graph's schedule; returns when it is done, and whether the last time changed any state.
    fn tick(&mut self, id: u32, ticks: u32) -> Result<bool, Failure>;

    /// Looks tables up that are rows of one table, at indexes that are rows of another.
    fn look_up(&mut self, tables: u32, indexes: u32, rows: u64, into: &mut [u32]) -> Result<(), Failure>;

    /// Reduces a column.
    fn reduce(&mut self, rows: Rows<'_>, wanted: Wanted) -> Result<Partial, Failure>;

    /// The rows of the least or greatest elements and their keys.
    fn top(&mut self, rows: Rows<'_>, count: usize, greatest: bool) -> Result<Vec<(u64, u64)>, Failure>;

    /// The nearest rows of each query, one query after the other; fewer than wanted only where the table is smaller.
    fn nearest(&mut self, search: &Search<'_>) -> Result<Vec<Vec<Neighbour>>, Failure>;
}

/// Makes a graph of a whole form; it does not exist if that fails.
pub fn upload(device: &mut dyn Executor, id: u32, form: &Form<'_>) -> Result<(), Failure> {
    device.graph(id, form.nodes(), form.steps)?;
    let all = [Run { first: 0, count: form.nodes() as u32 }];
    let runs = if form.nodes() == 0 { &[] } else { &all[..] };
    let set = device.nodes(id, &Piece { runs, tables: form.tables, sources: form.sources });
    if set.is_err() {
        device.forget(id)?;
    }
    set
}

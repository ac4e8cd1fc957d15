//! What a device can be asked.

use alloc::vec::Vec;

use crate::{
    limits,
    order::Kind,
    reduce::Wanted,
    wire::{DecodeError, Reader, Writer},
};

/// Bytes of memory that the guest has attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The attached memory's number.
    pub resource: u32,
    /// Where they begin.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

/// A table read as elements of a kind, from its first byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The table.
    pub table: u32,
    /// What its elements are.
    pub kind: Kind,
}

/// A condition on a row: the key of its element lies within a range, ends included, or outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Where the element is.
    pub column: Column,
    /// The least key that passes.
    pub least: u64,
    /// The greatest.
    pub greatest: u64,
    /// Whether what passes does not.
    pub negated: bool,
}

/// How vectors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Metric {
    /// Euclid's, squared.
    L2 = 1,
    /// The inner product, negated.
    InnerProduct = 2,
    /// One minus the cosine.
    Cosine = 3,
    /// The sum of absolute differences.
    L1 = 4,
    /// Bits that differ, of vectors of bits.
    Hamming = 5,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::L2, Self::InnerProduct, Self::Cosine, Self::L1, Self::Hamming];

    /// The metric of a number in a message.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::L2),
            2 => Some(Self::InnerProduct),
            3 => Some(Self::Cosine),
            4 => Some(Self::L1),
            5 => Some(Self::Hamming),
            _ => None,
        }
    }
}

/// Numbers of operations.
mod code {
    pub const DESCRIBE: u16 = 1;
    pub const CREATE: u16 = 2;
    pub const WRITE: u16 = 3;
    pub const READ: u16 = 4;
    pub const DROP: u16 = 5;
    pub const GRAPH: u16 = 6;
    pub const WRITE_STATE: u16 = 7;
    pub const READ_STATE: u16 = 8;
    pub const TICK: u16 = 9;
    pub const LOOK_UP: u16 = 10;
    pub const REDUCE: u16 = 11;
    pub const TOP: u16 = 12;
    pub const NEAREST: u16 = 13;
    pub const NODES: u16 = 14;
    pub const WRITE_BITS: u16 = 15;
}

/// What a device can be asked, with the number of the operation and the order of its arguments. A [`Span`] is `u32` number, `u32` zero,
/// `u64` offset, `u64` length; a [`Column`] is `u32` table, `u8` kind, three zeros; a [`Term`] is a column, `u8` negated, seven zeros, `u64` least,
/// `u64` greatest; a list is preceded by its `u32` length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// 1: what the device is.
    Describe,
    /// 2: makes a table of zeros. `u32` table, `u32` zero, `u64` bytes, a multiple of 8.
    Create {
        /// Its number.
        table: u32,
        /// Its size.
        bytes: u64,
    },
    /// 3: copies memory to a table. `u32` table, `u32` zero, `u64` offset, span; offset and length are multiples of 4.
    Write {
        /// Where to.
        table: u32,
        /// Where in it.
        offset: u64,
        /// From where.
        from: Span,
    },
    /// 4: copies from a table to memory; as [`Self::Write`].
    Read {
        /// From where.
        table: u32,
        /// Where in it.
        offset: u64,
        /// Where to.
        into: Span,
    },
    /// 5: forgets a table or graph. `u32` number.
    Drop {
        /// Which.
        id: u32,
    },
    /// 6: makes a graph of empty nodes, without sources, tables and states 0. `u32` graph, `u32` nodes, `u32` steps, `u32` zero, span of the schedule.
    Graph {
        /// Its number.
        graph: u32,
        /// Its nodes.
        nodes: u32,
        /// Its steps.
        steps: u32,
        /// 8 bytes a step.
        schedule: Span,
    },
    /// 7: sets some of a graph's state. `u32` graph, `u32` first word, span; its length is a multiple of 4. Bits beyond the last node do not
    /// matter.
    WriteState {
        /// Which.
        graph: u32,
        /// The word of the state that the first 4 bytes go to.
        first: u32,
        /// 4 bytes for each 32 nodes.
        from: Span,
    },
    /// 8: gets some of a graph's state; as [`Self::WriteState`]. Bits beyond the last node are 0.
    ReadState {
        /// Which.
        graph: u32,
        /// The word of the state that the first 4 bytes are.
        first: u32,
        /// 4 bytes for each 32 nodes.
        into: Span,
    },
    /// 9: runs a graph's schedule. `u32` graph, `u32` how often. The answer says whether the last time changed any state.
    Tick {
        /// Which.
        graph: u32,
        /// How often.
        ticks: u32,
    },
    /// 10: looks many tables up. `u32` table of 8 bytes a row, `u32` table of a byte a row, `u64` rows, span. Bit `i` of the answer, in 32-bit
    /// words, is bit `index[i] % 64` of `tables[i]`.
    LookUp {
        /// Tables of 64 bits.
        tables: u32,
        /// Indexes into them.
        indexes: u32,
        /// How many.
        rows: u64,
        /// 4 bytes for each 32 rows.
        into: Span,
    },
    /// 11: reduces a column. Column, `u64` rows, `u8` wanted (1 sum, 2 extremes), seven zeros, list of terms.
    Reduce {
        /// Of what.
        column: Column,
        /// Its first rows.
        rows: u64,
        /// What to compute.
        wanted: Wanted,
        /// All must hold.
        filter: Vec<Term>,
    },
    /// 12: the rows with the least or greatest elements, least row first among equals. Column, `u64` rows, `u32` how many, `u8` whether
    /// greatest, three zeros, span, list of terms. The answer is 16 bytes a row: `u64` row, `u64` key.
    Top {
        /// Of what.
        column: Column,
        /// Its first rows.
        rows: u64,
        /// How many to find.
        count: u32,
        /// Greatest first.
        greatest: bool,
        /// Where they go.
        into: Span,
        /// All must hold.
        filter: Vec<Term>,
    },
    /// 13: the nearest rows to each of some vectors. `u32` table, `u32` dimensions, `u64` rows, `u32` queries, `u32` neighbours, `u8` metric, seven
    /// zeros, spans of the queries and of the answer, which is 16 bytes a neighbour: `u64` row (all ones if there are not so many), `f64` distance.
    Nearest {
        /// 4 bytes a component, or for Hamming 4 bytes for each 32 bits.
        table: u32,
        /// Components, or words.
        dimensions: u32,
        /// The table's first rows.
        rows: u64,
        /// How many to compare with.
        queries: u32,
        /// How many rows for each.
        neighbours: u32,
        /// How.
        metric: Metric,
        /// Laid out as the table.
        from: Span,
        /// By query.
        into: Span,
    },
    /// 14: sets nodes of a graph, which keep their states. `u32` graph, `u32` runs, `u32` nodes, `u32` zero, spans of runs, tables and sources.
    Nodes {
        /// Which.
        graph: u32,
        /// Runs of places.
        runs: u32,
        /// The nodes of all runs.
        nodes: u32,
        /// 8 bytes a run: `u32` first place, `u32` count; sorted, not overlapping.
        places: Span,
        /// 8 bytes a node.
        tables: Span,
        /// 24 bytes a node: those of slot 0 of all nodes, then those of slot 1, and so on.
        sources: Span,
    },
    /// 15: sets the states of some nodes. As [`Self::Nodes`], with spans of runs and of bits.
    WriteBits {
        /// Which.
        graph: u32,
        /// Runs of places.
        runs: u32,
        /// The nodes of all runs.
        nodes: u32,
        /// As in [`Self::Nodes`].
        places: Span,
        /// A bit a node in the order of the runs, lowest first, in 32-bit words.
        bits: Span,
    },
}

/// A command and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The reply repeats it.
    pub number: u32,
    /// What is asked.
    pub command: Command,
}

impl Reader<'_> {
    fn zeros<const N: usize>(&mut self) -> Result<(), DecodeError> {
        if self.bytes::<N>()? == [0; N] { Ok(()) } else { Err(DecodeError::Range("padding")) }
    }

    fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Range("flag")),
        }
    }

    fn span(&mut self) -> Result<Span, DecodeError> {
        let resource = self.u32()?;
        self.zeros::<4>()?;
        let (offset, length) = (self.u64()?, self.u64()?);
        offset.checked_add(length).ok_or(DecodeError::Range("span"))?;
        Ok(Span { resource, offset, length })
    }

    fn span_of(&mut self, length: u64) -> Result<Span, DecodeError> {
        let span = self.span()?;
        if span.length == length { Ok(span) } else { Err(DecodeError::Range("length of a span")) }
    }

    fn column(&mut self) -> Result<Column, DecodeError> {
        let table = self.u32()?;
        let kind = Kind::from_code(self.u8()?).ok_or(DecodeError::Range("kind"))?;
        self.zeros::<3>()?;
        Ok(Column { table, kind })
    }

    fn filter(&mut self) -> Result<Vec<Term>, DecodeError> {
        let count = self.u32_to(limits::TERMS as u32, "terms")?;
        (0..count)
            .map(|_| {
                let column = self.column()?;
                let negated = self.flag()?;
                self.zeros::<7>()?;
                let (least, greatest) = (self.u64()?, self.u64()?);
                Ok(Term { column, least, greatest, negated })
            })
            .collect()
    }

    fn rows(&mut self) -> Result<u64, DecodeError> {
        self.u64_to(limits::ROWS, "rows")
    }

    /// A number that is not 0.
    fn some(&mut self, limit: u32, what: &'static str) -> Result<u32, DecodeError> {
        match self.u32_to(limit, what)? {
            0 => Err(DecodeError::Range(what)),
            n => Ok(n),
        }
    }

    fn transfer(&mut self) -> Result<(u32, u64, Span), DecodeError> {
        let table = self.u32()?;
        self.zeros::<4>()?;
        let (offset, span) = (self.u64()?, self.span()?);
        if !offset.is_multiple_of(4) || !span.length.is_multiple_of(4) {
            return Err(DecodeError::Range("alignment"));
        }
        offset.checked_add(span.length).ok_or(DecodeError::Range("offset"))?;
        Ok((table, offset, span))
    }
}

impl Writer {
    fn zeros(&mut self, count: usize) {
        self.0.resize(self.0.len() + count, 0);
    }

    fn span(&mut self, span: &Span) {
        self.u32(span.resource);
        self.zeros(4);
        self.u64(span.offset);
        self.u64(span.length);
    }

    fn column(&mut self, column: &Column) {
        self.u32(column.table);
        self.u8(column.kind as u8);
        self.zeros(3);
    }

    fn filter(&mut self, filter: &[Term]) {
        self.u32(filter.len() as u32);
        for term in filter {
            self.column(&term.column);
            self.u8(u8::from(term.negated));
            self.zeros(7);
            self.u64(term.least);
            self.u64(term.greatest);
        }
    }

    /// Numbers, four zeros and spans.
    fn quantities(&mut self, numbers: [u32; 3], spans: &[&Span]) {
        for number in numbers {
            self.u32(number);
        }
        self.zeros(4);
        for span in spans {
            self.span(span);
        }
    }

    fn transfer(&mut self, table: u32, offset: u64, span: &Span) {
        self.u32(table);
        self.zeros(4);
        self.u64(offset);
        self.span(span);
    }
}

impl Envelope {
    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer(Vec::with_capacity(128));
        w.0.extend(limits::COMMAND_MAGIC);
        w.u16(limits::VERSION);
        w.u16(self.command.code());
        w.u32(0);
        w.u32(self.number);
        self.command.arguments(&mut w);
        w.finish()
    }

    /// The message in these bytes, which must be all of it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > limits::COMMAND_BYTES {
            return Err(DecodeError::Long);
        }
        let mut r = Reader(bytes);
        if r.bytes::<4>()? != limits::COMMAND_MAGIC {
            return Err(DecodeError::Magic);
        }
        let version = r.u16()?;
        if version != limits::VERSION {
            return Err(DecodeError::Version(version));
        }
        let operation = r.u16()?;
        match (r.u32()? as usize).cmp(&bytes.len()) {
            core::cmp::Ordering::Less => return Err(DecodeError::Long),
            core::cmp::Ordering::Greater => return Err(DecodeError::Short),
            core::cmp::Ordering::Equal => {}
        }
        let number = r.u32()?;
        let command = Command::read(operation, &mut r)?;
        r.end()?;
        Ok(Self { number, command })
    }
}

impl Command {
    const fn code(&self) -> u16 {
        match self {
            Self::Describe => code::DESCRIBE,
            Self::Create { .. } => code::CREATE,
            Self::Write { .. } => code::WRITE,
            Self::Read { .. } => code::READ,
            Self::Drop { .. } => code::DROP,
            Self::Graph { .. } => code::GRAPH,
            Self::WriteState { .. } => code::WRITE_STATE,
            Self::ReadState { .. } => code::READ_STATE,
            Self::Tick { .. } => code::TICK,
            Self::LookUp { .. } => code::LOOK_UP,
            Self::Reduce { .. } => code::REDUCE,
            Self::Top { .. } => code::TOP,
            Self::Nearest { .. } => code::NEAREST,
            Self::Nodes { .. } => code::NODES,
            Self::WriteBits { .. } => code::WRITE_BITS,
        }
    }

    fn arguments(&self, w: &mut Writer) {
        match self {
            Self::Describe => {}
            Self::Create { table, bytes } => {
                w.u32(*table);
                w.zeros(4);
                w.u64(*bytes);
            }
            Self::Write { table, offset, from: span } | Self::Read { table, offset, into: span } => {
                w.transfer(*table, *offset, span);
            }
            Self::Drop { id } => w.u32(*id),
            Self::Graph { graph, nodes, steps, schedule } => {
                w.quantities([*graph, *nodes, *steps], &[schedule]);
            }
            Self::WriteState { graph, first, from: span } | Self::ReadState { graph, first, into: span } => {
                w.u32(*graph);
                w.u32(*first);
                w.span(span);
            }
            Self::Nodes { graph, runs, nodes, places, tables, sources } => {
                w.quantities([*graph, *runs, *nodes], &[places, tables, sources]);
            }
            Self::WriteBits { graph, runs, nodes, places, bits } => {
                w.quantities([*graph, *runs, *nodes], &[places, bits]);
            }
            Self::Tick { graph, ticks } => {
                w.u32(*graph);
                w.u32(*ticks);
            }
            Self::LookUp { tables, indexes, rows, into } => {
                w.u32(*tables);
                w.u32(*indexes);
                w.u64(*rows);
                w.span(into);
            }
            Self::Reduce { column, rows, wanted, filter } => {
                w.column(column);
                w.u64(*rows);
                w.u8(u8::from(wanted.sum) | u8::from(wanted.extremes) << 1);
                w.zeros(7);
                w.filter(filter);
            }
            Self::Top { column, rows, count, greatest, into, filter } => {
                w.column(column);
                w.u64(*rows);
                w.u32(*count);
                w.u8(u8::from(*greatest));
                w.zeros(3);
                w.span(into);
                w.filter(filter);
            }
            Self::Nearest { table, dimensions, rows, queries, neighbours, metric, from, into } => {
                w.u32(*table);
                w.u32(*dimensions);
                w.u64(*rows);
                w.u32(*queries);
                w.u32(*neighbours);
                w.u8(*metric as u8);
                w.zeros(7);
                w.span(from);
                w.span(into);
            }
        }
    }

    fn read(operation: u16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match operation {
            code::DESCRIBE => Self::Describe,
            code::CREATE => {
                let table = r.u32()?;
                r.zeros::<4>()?;
                let bytes = r.u64_to(8 * limits::ROWS, "bytes")?;
                if !bytes.is_multiple_of(8) {
                    return Err(DecodeError::Range("bytes"));
                }
                Self::Create { table, bytes }
            }
            code::WRITE => {
                let (table, offset, from) = r.transfer()?;
                Self::Write { table, offset, from }
            }
            code::READ => {
                let (table, offset, into) = r.transfer()?;
                Self::Read { table, offset, into }
            }
            code::DROP => Self::Drop { id: r.u32()? },
            code::GRAPH => {
                let graph = r.u32()?;
                let nodes = r.u32_to(limits::NODES, "nodes")?;
                let steps = r.u32_to(limits::STEPS, "steps")?;
                r.zeros::<4>()?;
                Self::Graph { graph, nodes, steps, schedule: r.span_of(8 * u64::from(steps))? }
            }
            code::WRITE_STATE | code::READ_STATE => {
                let (graph, first, span) = (r.u32()?, r.u32_to(limits::NODES / 32, "first word")?, r.span()?);
                if !span.length.is_multiple_of(4) {
                    return Err(DecodeError::Range("alignment"));
                }
                if operation == code::WRITE_STATE {
                    Self::WriteState { graph, first, from: span }
                } else {
                    Self::ReadState { graph, first, into: span }
                }
            }
            code::TICK => Self::Tick { graph: r.u32()?, ticks: r.u32_to(limits::TICKS, "ticks")? },
            code::LOOK_UP => {
                let (tables, indexes, rows) = (r.u32()?, r.u32()?, r.rows()?);
                Self::LookUp { tables, indexes, rows, into: r.span_of(rows.div_ceil(32) * 4)? }
            }
            code::REDUCE => {
                let (column, rows, wanted) = (r.column()?, r.rows()?, r.u8()?);
                r.zeros::<7>()?;
                if wanted > 3 {
                    return Err(DecodeError::Range("wanted"));
                }
                let wanted = Wanted { sum: wanted & 1 != 0, extremes: wanted & 2 != 0 };
                Self::Reduce { column, rows, wanted, filter: r.filter()? }
            }
            code::TOP => {
                let (column, rows) = (r.column()?, r.rows()?);
                let (count, greatest) = (r.some(limits::BEST, "count")?, r.flag()?);
                r.zeros::<3>()?;
                let into = r.span_of(16 * u64::from(count))?;
                Self::Top { column, rows, count, greatest, into, filter: r.filter()? }
            }
            code::NEAREST => Self::read_nearest(r)?,
            code::NODES | code::WRITE_BITS => {
                let (graph, runs) = (r.u32()?, r.u32_to(limits::NODES, "runs")?);
                let nodes = r.u32_to(limits::NODES, "nodes")?;
                r.zeros::<4>()?;
                let places = r.span_of(8 * u64::from(runs))?;
                if operation == code::NODES {
                    let tables = r.span_of(8 * u64::from(nodes))?;
                    let sources = r.span_of(24 * u64::from(nodes))?;
                    Self::Nodes { graph, runs, nodes, places, tables, sources }
                } else {
                    let bits = r.span_of(u64::from(nodes.div_ceil(32)) * 4)?;
                    Self::WriteBits { graph, runs, nodes, places, bits }
                }
            }
            _ => return Err(DecodeError::Operation(operation)),
        })
    }

    fn read_nearest(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (table, dimensions) = (r.u32()?, r.some(limits::DIMENSIONS, "dimensions")?);
        // A row's number must fit 32 bits where candidates are sorted.
        let rows = r.u64_to(u64::from(u32::MAX), "rows")?;
        let (queries, neighbours) =
            (r.some(limits::QUERIES, "queries")?, r.some(limits::BEST, "neighbours")?);
        let metric = Metric::from_code(r.u8()?).ok_or(DecodeError::Range("metric"))?;
        r.zeros::<7>()?;
        let from = r.span_of(4 * u64::from(queries) * u64::from(dimensions))?;
        let into = r.span_of(16 * u64::from(queries) * u64::from(neighbours))?;
        Ok(Self::Nearest { table, dimensions, rows, queries, neighbours, metric, from, into })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn examples() -> Vec<Command> {
        let span = |length| Span { resource: 3, offset: 4096, length };
        let column = Column { table: 9, kind: Kind::F32 };
        let filter = vec![Term { column, least: 5, greatest: 9, negated: true }; 2];
        vec![
            Command::Describe,
            Command::Create { table: 1, bytes: 64 },
            Command::Write { table: 1, offset: 8, from: span(16) },
            Command::Read { table: 1, offset: 8, into: span(16) },
            Command::Drop { id: 1 },
            Command::Graph { graph: 2, nodes: 3, steps: 1, schedule: span(8) },
            Command::WriteState { graph: 2, first: 0, from: span(4) },
            Command::ReadState { graph: 2, first: 1, into: span(4) },
            Command::Tick { graph: 2, ticks: 100 },
            Command::LookUp { tables: 1, indexes: 2, rows: 33, into: span(8) },
            Command::Reduce {
                column,
                rows: 10,
                wanted: Wanted { sum: true, extremes: true },
                filter: filter.clone(),
            },
            Command::Top { column, rows: 10, count: 2, greatest: true, into: span(32), filter },
            Command::Nearest {
                table: 1,
                dimensions: 2,
                rows: 7,
                queries: 3,
                neighbours: 4,
                metric: Metric::Cosine,
                from: span(24),
                into: span(192),
            },
            Command::Nodes {
                graph: 2,
                runs: 2,
                nodes: 3,
                places: span(16),
                tables: span(24),
                sources: span(72),
            },
            Command::WriteBits { graph: 2, runs: 2, nodes: 33, places: span(16), bits: span(8) },
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        for (number, command) in (7..).zip(examples()) {
            let envelope = Envelope { number, command };
            assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(
            example in 0..15usize,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in prop::option::of(any::<prop::sample::Index>()),
            extra in prop::collection::vec(any::<u8>(), 0..4),
        ) {
            let mut bytes = Envelope { number: 1, command: examples().swap_remove(example) }.encode();
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            bytes.extend(extra);
            for (at, byte) in changes {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            if let Ok(envelope) = Envelope::decode(&bytes) {
                prop_assert_eq!(envelope.encode(), bytes);
            }
        }

        #[test]
        fn noise_is_refused(bytes: Vec<u8>) {
            prop_assert!(Envelope::decode(&bytes).is_err());
        }
    }
}

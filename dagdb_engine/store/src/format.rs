//! Pieces of graphs as rows. All numbers are little-endian or variable-length (seven bits a byte, low ones first).
//!
//! Every row begins with a byte that is the kind and version of its format, and the piece's number. Then
//!
//! * structure: the number of nodes, and for each: flags (used slots in bits 0 to 5, bit 6 a back edge, bit 7 the table of the
//!   node before), the kind, the rank less the rank of the node before (zigzag), the table's 8 bytes unless bit 7 is set, and
//!   the sources of the used slots and of the back edge less the node's own id (zigzag);
//! * values: the width in bits (1, 2 or 8), the number of nodes, and the values, packed, low bits first.
//!
//! A chunk of a history's frame: the kind, the lane (a byte), the frame's number, the chunk's number, how many there are, and
//! the bytes.
//!
//! Pages carry checksums, and the rows are theirs to protect; a decoder survives arbitrary bytes all the same.

use alloc::vec::Vec;

use dagdb_graph::{Graph, INPUTS, Kind, Lut, Node, NodeId};

/// Nodes in a piece of structure: at their longest they still fit a page.
pub const STRUCTURE_NODES: usize = 128;
/// Nodes in a piece of values: at eight bits each they fit a page.
pub const VALUE_NODES: usize = 4096;

const STRUCTURE: u8 = 0x11;
const VALUES: u8 = 0x21;
const CHUNK: u8 = 0x31;
const BACK: u8 = 1 << 6;
const SAME_TABLE: u8 = 1 << 7;

/// Most bytes of a frame in one row.
pub const CHUNK_BYTES: usize = 7_900;

/// Which piece a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Piece {
    /// Structure of the nodes from this number times [`STRUCTURE_NODES`].
    Structure(u32),
    /// Values of the nodes from this number times [`VALUE_NODES`].
    Values(u32),
}

impl Piece {
    /// Its first node.
    pub const fn first(self) -> usize {
        match self {
            Self::Structure(n) => n as usize * STRUCTURE_NODES,
            Self::Values(n) => n as usize * VALUE_NODES,
        }
    }

    /// Most nodes it has.
    pub const fn capacity(self) -> usize {
        match self {
            Self::Structure(_) => STRUCTURE_NODES,
            Self::Values(_) => VALUE_NODES,
        }
    }
}

fn put_number(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn put_signed(n: i64, out: &mut Vec<u8>) {
    put_number((n << 1 ^ n >> 63) as u64, out);
}

/// Appends a piece of structure: the nodes from the piece's first, in order.
pub fn put_structure(number: u32, nodes: impl ExactSizeIterator<Item = Node>, out: &mut Vec<u8>) {
    out.push(STRUCTURE);
    put_number(u64::from(number), out);
    put_number(nodes.len() as u64, out);
    let first = Piece::Structure(number).first();
    let (mut rank, mut lut) = (0u64, Lut::default());
    for (n, node) in nodes.enumerate() {
        let id = (first + n) as i64;
        let mut flags = 0;
        for (slot, source) in node.inputs.iter().enumerate() {
            flags |= u8::from(source.is_some()) << slot;
        }
        if node.back.is_some() {
            flags |= BACK;
        }
        if node.lut == lut {
            flags |= SAME_TABLE;
        }
        out.push(flags);
        out.push(node.kind.code());
        put_signed(node.rank.wrapping_sub(rank) as i64, out);
        if node.lut != lut {
            out.extend_from_slice(&node.lut.0.to_le_bytes());
        }
        for source in node.sources().chain(node.back) {
            put_signed(i64::from(source.0) - id, out);
        }
        (rank, lut) = (node.rank, node.lut);
    }
}

/// Appends a piece of values.
pub fn put_values(number: u32, values: &[u8], out: &mut Vec<u8>) {
    let width: usize = match values.iter().max() {
        None | Some(0 | 1) => 1,
        Some(2 | 3) => 2,
        Some(_) => 8,
    };
    out.push(VALUES);
    put_number(u64::from(number), out);
    out.push(width as u8);
    put_number(values.len() as u64, out);
    for group in values.chunks(8 / width) {
        out.push(group.iter().rev().fold(0, |byte, v| if width == 8 { *v } else { byte << width | v }));
    }
}

/// What remains of a row.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            n |= u64::from(b & 0x7f) << shift;
            if b & 0x80 == 0 {
                return Some(n);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let n = self.number()?;
        Some((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*word))
    }

    /// A node's id, given relative to another.
    fn id(&mut self, from: i64) -> Option<NodeId> {
        let id = from.checked_add(self.signed()?)?;
        u32::try_from(id).ok().map(NodeId)
    }
}

/// Which piece a row is; `None` if it is none.
pub fn piece(row: &[u8]) -> Option<Piece> {
    let mut rest = Rest(row);
    let kind = rest.byte()?;
    let number = u32::try_from(rest.number()?).ok()?;
    match kind {
        STRUCTURE => Some(Piece::Structure(number)),
        VALUES => Some(Piece::Values(number)),
        _ => None,
    }
}

/// Puts a row's nodes or values into a graph that has room for them; `None` if the row is no piece of it.
pub fn fill(row: &[u8], graph: &mut Graph) -> Option<Piece> {
    let piece = piece(row)?;
    let mut rest = Rest(row);
    rest.byte()?;
    rest.number()?;
    let first = piece.first();
    let room = graph.len().checked_sub(first)?.min(piece.capacity());
    match piece {
        Piece::Structure(_) => {
            if rest.number()? != room as u64 {
                return None;
            }
            let mut before = Node::default();
            for id in first..first + room {
                before = node(&mut rest, id as i64, &before)?;
                let truth = graph.truths().get(id).copied()?;
                graph.put(NodeId(id as u32), &Node { truth, ..before });
            }
        }
        Piece::Values(_) => {
            let width = usize::from(rest.byte()?);
            if !matches!(width, 1 | 2 | 8) || rest.number()? != room as u64 {
                return None;
            }
            let values = graph.truths_mut().get_mut(first..first + room)?;
            for group in values.chunks_mut(8 / width) {
                let mut byte = rest.byte()?;
                for v in group {
                    *v = if width == 8 { byte } else { byte & ((1 << width) - 1) };
                    byte = byte.checked_shr(width as u32).unwrap_or(0);
                }
            }
        }
    }
    rest.0.is_empty().then_some(piece)
}

/// Part of a history's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The frame's lane.
    pub lane: u8,
    /// The frame's number.
    pub number: u64,
    /// Which chunk of it this is.
    pub part: u32,
    /// How many it has.
    pub parts: u32,
    /// The bytes.
    pub data: &'a [u8],
}

/// Appends a chunk.
pub fn put_chunk(chunk: &Chunk<'_>, out: &mut Vec<u8>) {
    out.extend([CHUNK, chunk.lane]);
    put_number(chunk.number, out);
    put_number(u64::from(chunk.part), out);
    put_number(u64::from(chunk.parts), out);
    out.extend_from_slice(chunk.data);
}

/// The chunk that a row is; `None` if it is none.
pub fn chunk(row: &[u8]) -> Option<Chunk<'_>> {
    let mut rest = Rest(row);
    if rest.byte()? != CHUNK {
        return None;
    }
    let (lane, number) = (rest.byte()?, rest.number()?);
    let (part, parts) = (u32::try_from(rest.number()?).ok()?, u32::try_from(rest.number()?).ok()?);
    (part < parts).then_some(Chunk { lane, number, part, parts, data: rest.0 })
}

fn node(rest: &mut Rest<'_>, id: i64, before: &Node) -> Option<Node> {
    let flags = rest.byte()?;
    let kind = Kind::from_code(rest.byte()?)?;
    let rank = before.rank.wrapping_add(rest.signed()? as u64);
    let lut = if flags & SAME_TABLE == 0 { Lut(rest.word()?) } else { before.lut };
    let mut inputs = [None; INPUTS];
    for (slot, input) in inputs.iter_mut().enumerate() {
        if flags >> slot & 1 == 1 {
            *input = Some(rest.id(id)?);
        }
    }
    let back = if flags & BACK == 0 { None } else { Some(rest.id(id)?) };
    Some(Node { rank, truth: 0, kind, lut, inputs, back })
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use dagdb_graph::View;
    use proptest::{collection, prelude::*};

    use super::*;

    fn any_node() -> impl Strategy<Value = Node> {
        let source = || proptest::option::of(any::<u32>().prop_map(NodeId));
        (any::<u64>(), 0u8..3, any::<u64>(), proptest::array::uniform6(source()), source()).prop_map(
            |(rank, kind, lut, inputs, back)| Node {
                rank,
                truth: 0,
                kind: Kind::from_code(kind).unwrap_or_default(),
                lut: Lut(if lut % 3 == 0 { 0 } else { lut }),
                inputs,
                back,
            },
        )
    }

    proptest! {
        #[test]
        fn pieces_come_back(nodes in collection::vec(any_node(), 1..STRUCTURE_NODES), top in 0u8..=255, number in 0u32..3) {
            let piece = Piece::Structure(number);
            let mut graph = Graph::with_nodes(piece.first() + nodes.len()).expect("few nodes");
            let mut row = Vec::new();
            put_structure(number, nodes.iter().copied(), &mut row);
            prop_assert!(row.len() <= 8000, "{} bytes", row.len());
            prop_assert_eq!(fill(&row, &mut graph), Some(piece));
            for (n, node) in nodes.iter().enumerate() {
                prop_assert_eq!(graph.node(NodeId((piece.first() + n) as u32)), Some(*node));
            }
            let values: Vec<u8> = (0..graph.len()).map(|n| (n * 7 % (usize::from(top) + 1)) as u8).collect();
            let mut row = Vec::new();
            put_values(0, &values, &mut row);
            prop_assert_eq!(fill(&row, &mut graph), Some(Piece::Values(0)));
            prop_assert_eq!(graph.truths(), &values[..]);
        }

        #[test]
        fn arbitrary_rows_are_survived(row in collection::vec(any::<u8>(), 0..200), kind in 0u8..3) {
            let mut row = row;
            if let (Some(first), 0 | 1) = (row.first_mut(), kind) {
                *first = [STRUCTURE, VALUES][usize::from(kind)];
            }
            let mut graph = Graph::with_nodes(300).expect("few nodes");
            let _ = fill(&row, &mut graph);
        }

        #[test]
        fn chunks_come_back(lane: u8, number: u64, part in 0..u32::MAX, data in collection::vec(any::<u8>(), 0..50), cut: u8) {
            let written = Chunk { lane, number, part, parts: part + 1, data: &data };
            let mut row = Vec::new();
            put_chunk(&written, &mut row);
            prop_assert_eq!(chunk(&row), Some(written));
            row.truncate(usize::from(cut));
            let _ = chunk(&row);
        }
    }

    #[test]
    fn the_longest_pieces_fit_a_page() {
        let far = Node {
            rank: u64::MAX / 2,
            lut: Lut(3),
            inputs: [Some(NodeId(u32::MAX - 7)); INPUTS],
            ..Node::default()
        };
        let near = Node { rank: 0, lut: Lut(5), ..far };
        let nodes = vec![[far, near]; STRUCTURE_NODES / 2].concat();
        let mut row = Vec::new();
        put_structure(0, nodes.into_iter(), &mut row);
        assert!(row.len() < 8000, "{} bytes", row.len());
        let mut row = Vec::new();
        put_values(u32::MAX, &[200; VALUE_NODES], &mut row);
        assert!(row.len() < 8000);
        let mut row = Vec::new();
        let (part, parts) = (u32::MAX - 1, u32::MAX);
        put_chunk(&Chunk { lane: 255, number: u64::MAX, part, parts, data: &[7; CHUNK_BYTES] }, &mut row);
        assert!(row.len() < 8000);
    }
}

//! Graphs as one JSON document of arrays.

use alloc::{string::String, vec::Vec};
use core::fmt::Write;

use dagdb_graph::{Graph, Kind, Lut, Node, NodeId};

use crate::{BuildError, Limits, Problem, error::at_byte};

/// Deepest nesting of what is skipped.
const DEPTH: usize = 32;

/// Reads a document. Members that are not known are skipped.
pub fn read_json<'a>(text: &'a str, limits: &Limits<'a>) -> Result<Graph, BuildError> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0, limits: *limits };
    let mut document = Document::default();
    reader.object(&mut |reader, name| match name {
        b"format" => {
            document.format = Some(reader.string()?.into());
            Ok(())
        }
        b"version" => {
            document.version = Some(reader.number()?);
            Ok(())
        }
        b"rank" => reader.numbers(&mut document.ranks, 1),
        b"truth" => reader.numbers(&mut document.truths, 1),
        b"nodeType" => reader.numbers(&mut document.kinds, 1),
        b"lut6Low" => reader.numbers(&mut document.low, 1),
        b"lut6High" => reader.numbers(&mut document.high, 1),
        b"neighbors" => reader.numbers(&mut document.neighbours, 6),
        b"backEdges" => reader.numbers(&mut document.backs, 2),
        _ => reader.skip(0),
    })?;
    reader.space();
    if reader.at < text.len() {
        return Err(at_byte(reader.at, Problem::Expected { what: "the end" }));
    }
    document.graph(limits)
}

#[derive(Default)]
struct Document {
    format: Option<Vec<u8>>,
    version: Option<i128>,
    ranks: Vec<i128>,
    truths: Vec<i128>,
    kinds: Vec<i128>,
    low: Vec<i128>,
    high: Vec<i128>,
    neighbours: Vec<i128>,
    /// Source and register by turns.
    backs: Vec<i128>,
}

impl Document {
    fn graph(&self, limits: &Limits<'_>) -> Result<Graph, BuildError> {
        if self.format.as_deref() != Some(b"dagdb-json") {
            return Err(at_byte(0, Problem::WrongFormat { format: "a dagdb-json document" }));
        }
        if self.version != Some(1) {
            let version = self.version.and_then(|v| u64::try_from(v).ok()).unwrap_or(0);
            return Err(at_byte(0, Problem::UnknownVersion { version }));
        }
        let count = self.ranks.len();
        let parts = [
            ("truth", &self.truths, 1),
            ("nodeType", &self.kinds, 1),
            ("lut6Low", &self.low, 1),
            ("lut6High", &self.high, 1),
            ("neighbors", &self.neighbours, 6),
        ];
        if let Some(&(part, ..)) = parts.iter().find(|(_, values, each)| values.len() != count * each) {
            return Err(at_byte(0, Problem::Count { part }));
        }
        let mut graph = Graph::with_nodes(count)?;
        for id in 0..count {
            limits.pause(id)?;
            let node = self.node(id).ok_or(at_byte(0, Problem::Number))?;
            graph.put(NodeId(id as u32), &node);
        }
        for pair in self.backs.chunks_exact(2) {
            let [source, target] = [0, 1].map(|i: usize| pair.get(i).and_then(|&n| u32::try_from(n).ok()));
            let (Some(source), Some(target)) = (source, target) else {
                return Err(at_byte(0, Problem::Number));
            };
            graph
                .apply(&dagdb_graph::Edit::ConnectBack { source: NodeId(source), target: NodeId(target) })?;
        }
        graph.validate()?;
        Ok(graph)
    }

    fn node(&self, id: usize) -> Option<Node> {
        let low = u32::try_from(*self.low.get(id)?).ok()?;
        let high = u32::try_from(*self.high.get(id)?).ok()?;
        let mut node = Node {
            rank: u64::try_from(*self.ranks.get(id)?).ok()?,
            truth: u8::try_from(*self.truths.get(id)?).ok()?,
            kind: u8::try_from(*self.kinds.get(id)?).ok().and_then(Kind::from_code)?,
            lut: Lut(u64::from(low) | u64::from(high) << 32),
            ..Node::default()
        };
        for (input, &source) in node.inputs.iter_mut().zip(self.neighbours.get(6 * id..6 * id + 6)?) {
            *input = if source == -1 { None } else { Some(NodeId(u32::try_from(source).ok()?)) };
        }
        Some(node)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: Limits<'a>,
}

impl<'a> Reader<'a> {
    fn space(&mut self) {
        while self.bytes.get(self.at).is_some_and(|b| b" \t\r\n".contains(b)) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), BuildError> {
        if self.take(byte) { Ok(()) } else { Err(at_byte(self.at, Problem::Expected { what })) }
    }

    fn object(
        &mut self,
        member: &mut dyn FnMut(&mut Self, &[u8]) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        self.expect(b'{', "{")?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let name = self.string()?;
            self.expect(b':', ":")?;
            member(self, name)?;
            if !self.take(b',') {
                return self.expect(b'}', ", or }");
            }
        }
    }

    /// A string as it is written, escapes and all: none of the names that count has any.
    fn string(&mut self) -> Result<&'a [u8], BuildError> {
        self.expect(b'"', "a string")?;
        let from = self.at;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(at_byte(from, Problem::End)),
            }
        }
        let text = self.bytes.get(from..self.at).unwrap_or(&[]);
        self.at += 1;
        Ok(text)
    }

    /// A whole number.
    fn number(&mut self) -> Result<i128, BuildError> {
        self.space();
        let from = self.at;
        while self.bytes.get(self.at).is_some_and(|b| b.is_ascii_digit() || *b == b'-') {
            self.at += 1;
        }
        let digits = self.bytes.get(from..self.at).and_then(|d| core::str::from_utf8(d).ok()).unwrap_or("");
        if self.bytes.get(self.at).is_some_and(|b| b".eE".contains(b)) {
            return Err(at_byte(from, Problem::Expected { what: "a whole number" }));
        }
        let number =
            digits.parse().map_err(|_| at_byte(from, Problem::Expected { what: "a whole number" }))?;
        // The largest number there is is a rank.
        if i128::from(u64::MAX) < number { Err(at_byte(from, Problem::Number)) } else { Ok(number) }
    }

    /// An array of numbers, or of arrays of `each` numbers, at most as many as there may be nodes.
    fn numbers(&mut self, into: &mut Vec<i128>, each: usize) -> Result<(), BuildError> {
        self.expect(b'[', "[")?;
        into.clear();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            if into.len() / each >= self.limits.nodes {
                return Err(BuildError::TooManyNodes { limit: self.limits.nodes });
            }
            self.limits.pause(into.len() / each)?;
            if each > 1 {
                self.expect(b'[', "[")?;
                for i in 0..each {
                    into.push(self.number()?);
                    if i + 1 < each {
                        self.expect(b',', ",")?;
                    }
                }
                self.expect(b']', "]")?;
            } else {
                into.push(self.number()?);
            }
            if !self.take(b',') {
                return self.expect(b']', ", or ]");
            }
        }
    }

    /// Any value.
    fn skip(&mut self, depth: usize) -> Result<(), BuildError> {
        self.space();
        if depth > DEPTH {
            return Err(at_byte(self.at, Problem::Expected { what: "less nesting" }));
        }
        match self.bytes.get(self.at) {
            Some(b'{') => self.object(&mut |reader, _| reader.skip(depth + 1)),
            Some(b'"') => self.string().map(drop),
            Some(b'[') => {
                self.at += 1;
                if self.take(b']') {
                    return Ok(());
                }
                loop {
                    self.skip(depth + 1)?;
                    if !self.take(b',') {
                        return self.expect(b']', ", or ]");
                    }
                }
            }
            Some(_) => {
                let from = self.at;
                while self.bytes.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
                {
                    self.at += 1;
                }
                if self.at > from {
                    Ok(())
                } else {
                    Err(at_byte(from, Problem::Expected { what: "a value" }))
                }
            }
            None => Err(at_byte(self.at, Problem::End)),
        }
    }
}

/// The document of a graph; back edges are a member of our own.
pub fn write_json(graph: &Graph) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ =
        write!(text, "{{\"format\":\"dagdb-json\",\"version\":1,\"meta\":{{\"nodeCount\":{}}}", graph.len());
    array(&mut text, "rank", graph.ranks().iter().copied());
    array(&mut text, "truth", graph.truths().iter().copied());
    array(&mut text, "nodeType", graph.kinds().iter().map(|k| k.code()));
    array(&mut text, "lut6Low", graph.luts().iter().map(|l| l.0 as u32));
    array(&mut text, "lut6High", graph.luts().iter().map(|l| l.0 >> 32));
    let six = |inputs: &[u32; 6]| {
        let [a, b, c, d, e, f] = inputs.map(|s| if s == u32::MAX { -1 } else { i64::from(s) });
        alloc::format!("[{a},{b},{c},{d},{e},{f}]")
    };
    array(&mut text, "neighbors", graph.inputs().iter().map(six));
    if graph.registers().len() > 0 {
        let pair = |(register, source): (NodeId, NodeId)| alloc::format!("[{source},{register}]");
        array(&mut text, "backEdges", graph.registers().map(pair));
    }
    text.push('}');
    text
}

fn array<T: core::fmt::Display>(text: &mut String, name: &str, values: impl Iterator<Item = T>) {
    let _ = write!(text, ",\"{name}\":[");
    for (i, value) in values.enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let _ = write!(text, "{comma}{value}");
    }
    text.push(']');
}

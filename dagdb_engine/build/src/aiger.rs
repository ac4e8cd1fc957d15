//! AIGER netlists, ASCII (`aag`) and binary (`aig`), versions 1.0 and 1.9 without properties.

use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};

use dagdb_graph::{Lut, NodeId};

use crate::{
    BuildError, Builder, Function, Limits, Netlist, Problem, RankPolicy,
    error::{at_byte, at_line},
};

/// Reads a netlist. Every input becomes a constant, every output a node that shows it, every latch a register.
pub fn read_aiger(bytes: &[u8], limits: &Limits<'_>) -> Result<Netlist, BuildError> {
    let mut reader = Reader { bytes, at: 0, line: 1 };
    let header = reader.header(limits)?;
    let mut parts = Parts { ands: vec![None; header.most], ..Parts::default() };
    reader.body(&header, &mut parts, limits)?;
    let names = reader.symbols(&header);
    Maker::new(limits, &header).make(&parts, &names, limits)
}

struct Header {
    binary: bool,
    /// Variables are at most `most - 1`.
    most: usize,
    inputs: usize,
    latches: usize,
    outputs: usize,
    ands: usize,
}

/// A latch: its variable, what it takes next, its first value.
type Latch = (usize, u32, u8);

#[derive(Default)]
struct Parts {
    inputs: Vec<usize>,
    latches: Vec<Latch>,
    outputs: Vec<u32>,
    /// By variable.
    ands: Vec<Option<[u32; 2]>>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    fn text_line(&mut self) -> Option<&'a str> {
        let rest = self.bytes.get(self.at..).filter(|r| !r.is_empty())?;
        let end = rest.iter().position(|&b| b == b'\n');
        self.at += end.map_or(rest.len(), |e| e + 1);
        self.line += 1;
        let line = rest.get(..end.unwrap_or(rest.len()))?;
        core::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).ok()
    }

    fn error(&self, problem: Problem) -> BuildError {
        at_line(self.line.saturating_sub(1).max(1), problem)
    }

    /// The numbers of a line, `least` to `most` of them.
    fn numbers(&mut self, least: usize, most: usize) -> Result<Vec<u32>, BuildError> {
        let line = self.text_line().ok_or_else(|| at_line(self.line, Problem::End))?;
        let mut numbers = Vec::with_capacity(most);
        for word in line.split(' ') {
            if numbers.len() == most {
                return Err(self.error(Problem::Expected { what: "the end of the line" }));
            }
            numbers.push(word.parse().map_err(|_| self.error(Problem::Expected { what: "a number" }))?);
        }
        if numbers.len() < least {
            return Err(self.error(Problem::Expected { what: "a number" }));
        }
        Ok(numbers)
    }

    fn header(&mut self, limits: &Limits<'_>) -> Result<Header, BuildError> {
        let wrong = Problem::WrongFormat { format: "an AIGER file" };
        let line = self.text_line().ok_or_else(|| at_line(1, wrong.clone()))?;
        let mut words = line.split(' ');
        let binary = match words.next() {
            Some("aag") => false,
            Some("aig") => true,
            _ => return Err(at_line(1, wrong)),
        };
        let mut numbers = [0u64; 9];
        let mut count = 0;
        for word in words {
            let number = word.parse().map_err(|_| at_line(1, Problem::Expected { what: "a number" }))?;
            *numbers.get_mut(count).ok_or_else(|| at_line(1, wrong.clone()))? = number;
            count += 1;
        }
        if count < 5 {
            return Err(at_line(1, Problem::Expected { what: "five numbers" }));
        }
        if numbers.iter().skip(5).any(|&n| n > 0) {
            return Err(at_line(1, Problem::Unsupported { name: "properties".into() }));
        }
        let limit = limits.nodes as u64;
        if numbers.iter().any(|&n| n >= limit.min(u64::from(u32::MAX / 2))) {
            return Err(BuildError::TooManyNodes { limit: limits.nodes });
        }
        let [most, inputs, latches, outputs, ands, ..] = numbers.map(|n| n as usize);
        // A file of such a header has at least so many bytes: nothing is allocated for what cannot be there.
        let least = if binary {
            latches * 2 + outputs * 2 + ands * 2
        } else {
            (inputs + latches + outputs + ands) * 2
        };
        if inputs + latches + ands > most || (binary && inputs + latches + ands != most) {
            return Err(at_line(1, Problem::Number));
        }
        if least > self.bytes.len() + 2 || (!binary && most > self.bytes.len().saturating_mul(8) + 64) {
            return Err(at_line(1, Problem::End));
        }
        Ok(Header { binary, most: most + 1, inputs, latches, outputs, ands })
    }

    fn variable(&self, header: &Header, literal: u32) -> Result<usize, BuildError> {
        let variable = literal as usize / 2;
        if variable == 0 || variable >= header.most || !literal.is_multiple_of(2) {
            return Err(self.error(Problem::Number));
        }
        Ok(variable)
    }

    fn literal(&self, header: &Header, literal: u32) -> Result<u32, BuildError> {
        if literal as usize / 2 < header.most { Ok(literal) } else { Err(self.error(Problem::Number)) }
    }

    fn body(&mut self, header: &Header, parts: &mut Parts, limits: &Limits<'_>) -> Result<(), BuildError> {
        for i in 0..header.inputs {
            limits.pause(i)?;
            let literal = if header.binary { 2 * (i as u32 + 1) } else { one(&self.numbers(1, 1)?) };
            parts.inputs.push(self.variable(header, literal)?);
        }
        for i in 0..header.latches {
            limits.pause(i)?;
            let own = 2 * ((header.inputs + i) as u32 + 1);
            let mut numbers = if header.binary { self.numbers(1, 2)? } else { self.numbers(2, 3)? };
            if header.binary {
                numbers.insert(0, own);
            }
            let variable = self.variable(header, one(&numbers))?;
            let next = self.literal(header, numbers.get(1).copied().unwrap_or(0))?;
            let first = match numbers.get(2).copied().unwrap_or(0) {
                value @ (0 | 1) => value as u8,
                // A latch that begins with itself begins anyhow.
                value if value as usize == 2 * variable => 0,
                _ => return Err(self.error(Problem::Number)),
            };
            parts.latches.push((variable, next, first));
        }
        for i in 0..header.outputs {
            limits.pause(i)?;
            let literal = one(&self.numbers(1, 1)?);
            parts.outputs.push(self.literal(header, literal)?);
        }
        for i in 0..header.ands {
            limits.pause(i)?;
            let [own, a, b] = if header.binary {
                self.packed_and(2 * ((header.inputs + header.latches + i) as u32 + 1))?
            } else {
                let numbers = self.numbers(3, 3)?;
                [0, 1, 2].map(|i: usize| numbers.get(i).copied().unwrap_or(0))
            };
            let variable = self.variable(header, own)?;
            let inputs = [self.literal(header, a)?, self.literal(header, b)?];
            if let Some(slot) = parts.ands.get_mut(variable) {
                *slot = Some(inputs);
            }
        }
        Ok(())
    }

    fn packed_and(&mut self, own: u32) -> Result<[u32; 3], BuildError> {
        let first = self.packed()?;
        let second = self.packed()?;
        let a = own.checked_sub(first).filter(|_| first > 0);
        let b = a.and_then(|a| a.checked_sub(second));
        match (a, b) {
            (Some(a), Some(b)) => Ok([own, a, b]),
            _ => Err(at_byte(self.at, Problem::Number)),
        }
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn packed(&mut self) -> Result<u32, BuildError> {
        let mut number = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(at_byte(self.at, Problem::End))?;
            self.at += 1;
            let part = u32::from(byte & 0x7f);
            number |= part
                .checked_shl(shift)
                .filter(|n| n >> shift == part)
                .ok_or(at_byte(self.at, Problem::Number))?;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(at_byte(self.at, Problem::Number))
    }

    /// Names by kind and position; comments end them.
    fn symbols(&mut self, header: &Header) -> BTreeMap<(char, usize), String> {
        let mut names = BTreeMap::new();
        let most = header.inputs + header.latches + header.outputs;
        while let Some(line) = self.text_line() {
            let Some((place, name)) = line.split_once(' ') else { break };
            let kind = place.chars().next().filter(|k| "ilo".contains(*k));
            let position = place.get(1..).and_then(|p| p.parse().ok());
            let (Some(kind), Some(position)) = (kind, position) else { break };
            if names.len() >= most {
                break;
            }
            names.insert((kind, position), String::from(name));
        }
        names
    }
}

fn one(numbers: &[u32]) -> u32 {
    numbers.first().copied().unwrap_or(0)
}

struct Maker {
    builder: Builder,
    /// By variable.
    nodes: Vec<Option<u32>>,
    constant: Option<u32>,
}

impl Maker {
    fn new(limits: &Limits<'_>, header: &Header) -> Self {
        Self { builder: Builder::new(limits), nodes: vec![None; header.most], constant: None }
    }

    fn make(
        mut self,
        parts: &Parts,
        names: &BTreeMap<(char, usize), String>,
        limits: &Limits<'_>,
    ) -> Result<Netlist, BuildError> {
        let name =
            |kind: char, i: usize| names.get(&(kind, i)).cloned().unwrap_or_else(|| format!("{kind}{i}"));
        let mut netlist = Netlist::default();
        for (i, &variable) in parts.inputs.iter().enumerate() {
            let node = self.builder.constant(false)?;
            self.own(variable, node)?;
            netlist.inputs.push((name('i', i), NodeId(node)));
        }
        for (i, &(variable, _, first)) in parts.latches.iter().enumerate() {
            let node = self.builder.register(first)?;
            self.own(variable, node)?;
            netlist.registers.push((name('l', i), NodeId(node)));
        }
        // Gates may come in any order: all get their numbers first.
        let gates = || parts.ands.iter().enumerate().filter_map(|(v, a)| a.map(|a| (v, a)));
        for (variable, _) in gates() {
            let node = self.builder.gate(Function::And, &[])?;
            self.own(variable, node)?;
        }
        for (variable, inputs) in gates() {
            limits.pause(variable)?;
            let (lut, sources) = self.table(&inputs)?;
            if let Some(draft) =
                self.nodes.get(variable).copied().flatten().and_then(|n| self.builder.draft_mut(n))
            {
                draft.function = Function::Table(lut);
                draft.sources = sources;
            }
        }
        for (i, &literal) in parts.outputs.iter().enumerate() {
            netlist.outputs.push((name('o', i), NodeId(self.show(literal)?)));
        }
        for &(variable, next, _) in &parts.latches {
            let source = if next > 1 && next.is_multiple_of(2) { self.node(next)? } else { self.show(next)? };
            if let Some(draft) =
                self.nodes.get(variable).copied().flatten().and_then(|n| self.builder.draft_mut(n))
            {
                draft.back = Some(source);
            }
        }
        netlist.graph = self.builder.build_while(RankPolicy::Topological, false, &mut || (limits.go_on)())?;
        Ok(netlist)
    }

    fn own(&mut self, variable: usize, node: u32) -> Result<(), BuildError> {
        match self.nodes.get_mut(variable) {
            Some(slot @ None) => {
                *slot = Some(node);
                Ok(())
            }
            _ => Err(BuildError::File {
                unit: "variable",
                at: variable,
                problem: Problem::Drivers { name: format!("{variable}"), drivers: 2 },
            }),
        }
    }

    fn node(&mut self, literal: u32) -> Result<u32, BuildError> {
        if literal < 2 {
            if self.constant.is_none() {
                self.constant = Some(self.builder.constant(false)?);
            }
            return Ok(self.constant.unwrap_or(0));
        }
        let variable = literal as usize / 2;
        self.nodes.get(variable).copied().flatten().ok_or_else(|| BuildError::File {
            unit: "variable",
            at: variable,
            problem: Problem::Drivers { name: format!("{variable}"), drivers: 0 },
        })
    }

    /// The conjunction of literals, as a table of the nodes they are of.
    fn table(&mut self, literals: &[u32]) -> Result<(Lut, Vec<u32>), BuildError> {
        let mut sources = Vec::with_capacity(literals.len());
        let mut slots = Vec::with_capacity(literals.len());
        for &literal in literals {
            let node = self.node(literal)?;
            let slot = sources.iter().position(|&s| s == node).unwrap_or(sources.len());
            if slot == sources.len() {
                sources.push(node);
            }
            slots.push((slot, literal % 2));
        }
        let value = |index: u32| slots.iter().all(|&(slot, inverted)| (index >> slot & 1) ^ inverted == 1);
        Ok((Lut((0..64).fold(0, |bits, index| bits | u64::from(value(index)) << index)), sources))
    }

    /// A new node with a literal's value.
    fn show(&mut self, literal: u32) -> Result<u32, BuildError> {
        let (lut, sources) = self.table(&[literal])?;
        self.builder.gate(Function::Table(lut), &sources)
    }
}

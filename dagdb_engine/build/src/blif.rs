//! BLIF netlists of one model: `.names` and `.latch`.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use dagdb_graph::{INPUTS, Lut, NodeId};
use hashbrown::HashMap;

use crate::{BuildError, Builder, Function, Limits, Netlist, Problem, RankPolicy, error::at_line};

/// Reads a netlist. Every input becomes a constant, every latch a register; functions of more than six inputs become sums of
/// products.
pub fn read_blif(text: &str, limits: &Limits<'_>) -> Result<Netlist, BuildError> {
    let mut reader = Reader {
        builder: Builder::new(limits),
        signals: HashMap::new(),
        driven: Vec::new(),
        inverses: HashMap::new(),
    };
    reader.read(text, limits)
}

/// A `.names` with its cover: rows of inputs and the output's value.
struct Cover<'a> {
    line: usize,
    signals: Vec<&'a str>,
    rows: Vec<(Vec<u8>, u8)>,
}

struct Reader {
    builder: Builder,
    /// Name to draft.
    signals: HashMap<String, u32>,
    /// How many drive a draft that is a signal, and its line; others are driven by what made them.
    driven: Vec<(u32, usize)>,
    inverses: HashMap<u32, u32>,
}

impl Reader {
    fn read(&mut self, text: &str, limits: &Limits<'_>) -> Result<Netlist, BuildError> {
        let mut netlist = Netlist::default();
        let (mut outputs, mut latches) = (Vec::new(), Vec::new());
        let mut cover: Option<Cover<'_>> = None;
        let mut models = 0;
        for (line, words) in logical_lines(text) {
            limits.pause(line)?;
            let Some(&first) = words.first() else { continue };
            if !first.starts_with('.') {
                let cover = cover.as_mut().ok_or(at_line(line, Problem::Expected { what: "a command" }))?;
                cover.rows.push(row(line, &words, cover.signals.len())?);
                continue;
            }
            if let Some(cover) = cover.take() {
                self.cover(&cover)?;
            }
            match first {
                ".model" if models == 0 => models = 1,
                ".inputs" => {
                    for name in words.iter().skip(1) {
                        let signal = self.driver(name, line)?;
                        netlist.inputs.push(((*name).to_owned(), NodeId(signal)));
                    }
                }
                ".outputs" => outputs.extend(words.iter().skip(1).map(|name| (*name, line))),
                ".names" if words.len() > 1 => {
                    let signals = words.iter().skip(1).copied().collect();
                    cover = Some(Cover { line, signals, rows: Vec::new() });
                }
                ".latch" => latches.push(latch(line, &words)?),
                ".end" => break,
                other => {
                    return Err(at_line(line, Problem::Unsupported { name: other.to_owned() }));
                }
            }
        }
        if models == 0 {
            return Err(at_line(1, Problem::WrongFormat { format: "a BLIF file" }));
        }
        if let Some(cover) = cover.take() {
            self.cover(&cover)?;
        }
        for (from, name, first, line) in latches {
            let register = self.driver(name, line)?;
            let source = self.signal(from, line)?;
            if let Some(draft) = self.builder.draft_mut(register) {
                draft.back = Some(source);
                draft.truth = first;
            }
            netlist.registers.push((name.to_owned(), NodeId(register)));
        }
        for (name, line) in outputs {
            netlist.outputs.push((name.to_owned(), NodeId(self.signal(name, line)?)));
        }
        self.check_driven()?;
        let builder = core::mem::take(&mut self.builder);
        netlist.graph = builder.build_while(RankPolicy::Topological, false, &mut || (limits.go_on)())?;
        Ok(netlist)
    }

    /// The draft of a signal, which may be driven later on.
    fn signal(&mut self, name: &str, line: usize) -> Result<u32, BuildError> {
        if let Some(&signal) = self.signals.get(name) {
            return Ok(signal);
        }
        let signal = self.builder.constant(false)?;
        self.signals.insert(name.to_owned(), signal);
        self.note(signal, 0, line);
        Ok(signal)
    }

    /// The draft of a signal that is driven here.
    fn driver(&mut self, name: &str, line: usize) -> Result<u32, BuildError> {
        let signal = self.signal(name, line)?;
        let drivers = self.driven.get(signal as usize).map_or(0, |d| d.0) + 1;
        if drivers > 1 {
            return Err(at_line(line, Problem::Drivers { name: name.to_owned(), drivers: 2 }));
        }
        self.note(signal, drivers, line);
        Ok(signal)
    }

    fn note(&mut self, signal: u32, drivers: u32, line: usize) {
        if self.driven.len() <= signal as usize {
            self.driven.resize(signal as usize + 1, (1, 0));
        }
        if let Some(slot) = self.driven.get_mut(signal as usize) {
            *slot = (drivers, line);
        }
    }

    fn check_driven(&self) -> Result<(), BuildError> {
        let lost = self.signals.iter().filter_map(|(name, &signal)| {
            self.driven.get(signal as usize).filter(|d| d.0 == 0).map(|d| (d.1, name))
        });
        match lost.min() {
            Some((line, name)) => Err(at_line(line, Problem::Drivers { name: name.clone(), drivers: 0 })),
            None => Ok(()),
        }
    }

    fn cover(&mut self, cover: &Cover<'_>) -> Result<(), BuildError> {
        let Some((output, inputs)) = cover.signals.split_last() else { return Ok(()) };
        let target = self.driver(output, cover.line)?;
        let sources: Vec<u32> =
            inputs.iter().map(|name| self.signal(name, cover.line)).collect::<Result<_, _>>()?;
        let value = cover.rows.first().map_or(1, |r| r.1);
        if cover.rows.iter().any(|r| r.1 != value) {
            return Err(at_line(cover.line, Problem::Expected { what: "rows of one output value" }));
        }
        let mut distinct = sources.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let (function, sources) = if distinct.len() <= INPUTS {
            (Function::Table(table(cover, value, &sources, &distinct)), distinct)
        } else {
            self.products(cover, value, &sources)?
        };
        if let Some(draft) = self.builder.draft_mut(target) {
            draft.function = function;
            draft.sources = sources;
        }
        Ok(())
    }

    /// A sum of products, or its complement.
    fn products(
        &mut self,
        cover: &Cover<'_>,
        value: u8,
        sources: &[u32],
    ) -> Result<(Function, Vec<u32>), BuildError> {
        let mut products = Vec::with_capacity(cover.rows.len());
        for (cube, _) in &cover.rows {
            let mut literals = Vec::new();
            for (&cell, &source) in cube.iter().zip(sources) {
                match cell {
                    b'1' => literals.push(source),
                    b'0' => literals.push(self.inverse(source)?),
                    _ => {}
                }
            }
            literals.sort_unstable();
            literals.dedup();
            products.push(self.builder.gate(Function::And, &literals)?);
        }
        Ok((if value == 1 { Function::Or } else { Function::Nor }, products))
    }

    fn inverse(&mut self, of: u32) -> Result<u32, BuildError> {
        if let Some(&inverse) = self.inverses.get(&of) {
            return Ok(inverse);
        }
        let inverse = self.builder.gate(Function::Nor, &[of])?;
        self.inverses.insert(of, inverse);
        Ok(inverse)
    }
}

/// The table of a cover over at most six different sources.
fn table(cover: &Cover<'_>, value: u8, sources: &[u32], distinct: &[u32]) -> Lut {
    let matches = |index: usize, cube: &[u8]| {
        cube.iter().zip(sources).all(|(&cell, source)| {
            let bit = distinct.iter().position(|d| d == source).is_some_and(|slot| index >> slot & 1 == 1);
            cell == b'-' || (cell == b'1') == bit
        })
    };
    Lut((0..64).fold(0, |bits, index| {
        let covered = cover.rows.iter().any(|(cube, _)| matches(index, cube));
        bits | u64::from(covered == (value == 1)) << index
    }))
}

/// A row of a cover.
fn row(line: usize, words: &[&str], signals: usize) -> Result<(Vec<u8>, u8), BuildError> {
    let (cube, output) = match words {
        [output] => ("", *output),
        [cube, output] => (*cube, *output),
        _ => return Err(at_line(line, Problem::Expected { what: "inputs and an output" })),
    };
    let value = match output {
        "0" => 0,
        "1" => 1,
        _ => return Err(at_line(line, Problem::Expected { what: "0 or 1" })),
    };
    if cube.len() + 1 != signals || !cube.bytes().all(|b| b"01-".contains(&b)) {
        return Err(at_line(line, Problem::Expected { what: "a 0, 1 or - for each input" }));
    }
    Ok((cube.into(), value))
}

/// `.latch input output [type control] [first value]`
fn latch<'a>(line: usize, words: &[&'a str]) -> Result<(&'a str, &'a str, u8, usize), BuildError> {
    let (from, to, first) = match words {
        [_, from, to] | [_, from, to, _, _] => (from, to, "3"),
        [_, from, to, first] | [_, from, to, _, _, first] => (from, to, *first),
        _ => return Err(at_line(line, Problem::Expected { what: "an input and an output" })),
    };
    let first = match first {
        "1" => 1,
        // Neither matters nor is known: false.
        "0" | "2" | "3" => 0,
        _ => return Err(at_line(line, Problem::Expected { what: "a first value from 0 to 3" })),
    };
    Ok((from, to, first, line))
}

/// Lines without comments, those ending in a backslash joined with the next, as words.
fn logical_lines(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    let mut lines = (1..).zip(text.lines());
    core::iter::from_fn(move || {
        let (number, mut line) = lines.next()?;
        let mut words = Vec::new();
        loop {
            let code = line.split('#').next().unwrap_or("").trim_end();
            let continued = code.strip_suffix('\\');
            words.extend(continued.unwrap_or(code).split_ascii_whitespace());
            match (continued, lines.next_if_some(continued.is_some())) {
                (Some(_), Some((_, next))) => line = next,
                _ => return Some((number, words)),
            }
        }
    })
}

/// The next element, only if wanted.
trait NextIf: Iterator {
    fn next_if_some(&mut self, wanted: bool) -> Option<Self::Item> {
        if wanted { self.next() } else { None }
    }
}

impl<I: Iterator> NextIf for I {}

//! The form in which somebody else runs a network: nodes by *seat*, with all that they need in tables and sources, and a
//! schedule of seats.
//!
//! Seats are places in their order but for registers, which come last: so a tick is one step for each rank and then one for all
//! registers, whose tables copy what feeds them. All nodes of a step read what was there before it; that makes the
//! last step the two phases of latching.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    bits,
    layout::{Layout, Work, read},
    network::Network,
};
use dagdb_graph::INPUTS;

/// A source that is none.
pub const NO_SEAT: u32 = u32::MAX;
/// Copies slot 0.
const COPY: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// Which form a network has: as long as this is the same, places, tables and sources are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    pub(crate) built: u64,
    pub(crate) edits: u64,
}

/// Neighbouring places that have neighbouring seats.
#[derive(Clone, Copy, Debug)]
struct Run {
    place: u32,
    len: u32,
    seat: u32,
}

/// A network's nodes by seat.
#[derive(Debug)]
pub struct Export<'a> {
    layout: &'a Layout,
    /// By place, and without gaps.
    runs: Vec<Run>,
    /// First seat and number of seats.
    steps: Vec<(u32, u32)>,
    first_register: u32,
    seats: u32,
}

impl<'a> Export<'a> {
    fn new(layout: &'a Arc<Layout>) -> Self {
        let seats = layout.ids.len() as u32;
        let registers: u32 = layout.segments.iter().filter(|s| s.work == Work::Hold).map(|s| s.len).sum();
        let first_register = seats - registers.min(seats);
        let mut runs = Vec::from([Run { place: 0, len: 1, seat: 0 }]);
        let mut steps: Vec<(u32, u32)> = Vec::new();
        let (mut seat, mut register, mut rank) = (1, first_register, None);
        for segment in &layout.segments {
            let holds = segment.work == Work::Hold;
            let next = if holds { &mut register } else { &mut seat };
            match runs.last_mut() {
                Some(run) if run.seat + run.len == *next => run.len += segment.len,
                _ => runs.push(Run { place: segment.first, len: segment.len, seat: *next }),
            }
            if !holds {
                match steps.last_mut() {
                    Some(step) if rank == Some(segment.rank) => step.1 += segment.len,
                    _ => steps.push((*next, segment.len)),
                }
                rank = Some(segment.rank);
            }
            *next += segment.len;
        }
        if registers > 0 {
            steps.push((first_register, registers));
        }
        Self { layout, runs, steps, first_register, seats }
    }

    /// How many seats there are; seat 0 is no node and always 0.
    pub fn seats(&self) -> u32 {
        self.seats
    }

    /// What a tick evaluates one after the other: first seat and how many.
    pub fn steps(&self) -> &[(u32, u32)] {
        &self.steps
    }

    /// Whether ticks can change anything after the first one.
    pub fn has_registers(&self) -> bool {
        self.first_register < self.seats
    }

    fn seat_of(&self, place: u32) -> u32 {
        let at = self.runs.partition_point(|r| r.place <= place);
        match at.checked_sub(1).and_then(|at| self.runs.get(at)) {
            Some(run) => run.seat + (place - run.place),
            None => NO_SEAT,
        }
    }

    /// Tables and sources of the seats from `first` on, as many as there is room for: `tables` has one for each seat, `sources`
    /// six times as many, those of slot 0 of all seats, then those of slot 1, and so on.
    pub fn fill(&self, first: u32, tables: &mut [u64], sources: &mut [u32]) {
        let count = tables.len();
        tables.fill(0);
        sources.fill(NO_SEAT);
        for run in &self.runs {
            let (from, to) = (run.seat.max(first), (run.seat + run.len).min(first + count as u32));
            for seat in from..to {
                let at = (seat - first) as usize;
                let place = run.place + (seat - run.seat);
                let (table, of) = self.node(place);
                if let Some(t) = tables.get_mut(at) {
                    *t = table;
                }
                for (slot, source) in of.into_iter().enumerate().filter(|&(_, source)| source != 0) {
                    if let Some(s) = sources.get_mut(slot * count + at) {
                        *s = self.seat_of(source);
                    }
                }
            }
        }
    }

    /// A place's table, and the places that it reads, 0 for none.
    fn node(&self, place: u32) -> (u64, [u32; INPUTS]) {
        let Some(segment) = self.layout.segment_of(place) else { return (0, [0; INPUTS]) };
        if segment.work == Work::Hold {
            let from = self.layout.back_of(place).unwrap_or(place);
            return (COPY, [from, 0, 0, 0, 0, 0]);
        }
        (self.layout.tables.get(place).0, self.layout.sources_of(segment, place).0)
    }
}

impl Network {
    /// Which form this has.
    pub fn form(&self) -> Form {
        Form { built: self.layout().built, edits: self.layout().edits }
    }

    /// This by seats. `None`: it has values above 1, or edited nodes that are not sorted in ([`Network::compact`]).
    pub fn export(&self) -> Option<Export<'_>> {
        (self.overlaid() == 0 && !self.has_codes()).then(|| Export::new(self.layout()))
    }

    /// The values by seat, one bit each.
    pub fn export_values(&self, export: &Export<'_>) -> Vec<u32> {
        let mut values = alloc::vec![0; bits::words(export.seats as usize)];
        for run in &export.runs {
            let mut done = 0;
            while done < run.len {
                let count = (run.len - done).min(64);
                let word = read(self.states(), (run.place + done) as usize);
                bits::put(&mut values, (run.seat + done) as usize, count as usize, word);
                done += count;
            }
        }
        let halves = values.iter().flat_map(|&w| [w as u32, (w >> 32) as u32]);
        halves.take((export.seats as usize).div_ceil(32)).collect()
    }

    /// Takes values over that somebody computed by `ticks` ticks over `values` of this network in this form. What a word lacks is 0.
    pub fn import_values(&mut self, values: &[u32], ticks: u64) {
        let words: Vec<u64> = values
            .chunks(2)
            .map(|w| w.iter().rev().fold(0, |all, &half| all << 32 | u64::from(half)))
            .collect();
        let layout = Arc::clone(self.layout());
        let export = Export::new(&layout);
        let mut states = alloc::vec![0; self.states().len()];
        for run in &export.runs {
            let mut done = 0;
            while done < run.len {
                let count = (run.len - done).min(64);
                let word = read(&words, (run.seat + done) as usize);
                bits::put(&mut states, (run.place + done) as usize, count as usize, word);
                done += count;
            }
        }
        self.adopt(states, ticks, export.has_registers());
    }
}

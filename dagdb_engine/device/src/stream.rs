//! Graphs that are larger than a device: part after part is sent, evaluated and forgotten.
//!
//! A part is neighbouring seats of one step or of several whole ones, and before them the seats that they read elsewhere, as places
//! of no step whose values are written there. A tick costs the whole graph's way to the device, so this is only for those who ask
//! for the device by name.

use alloc::{vec, vec::Vec};
use core::ops::Range;

use compute_protocol::{Command, Status, graph::NONE};
use dagdb_tick::Export;
use platform::compute::{Buffer, ComputeDevice, ComputeError};

use crate::{
    Usage,
    resident::{NodesOf, send, send_nodes, whole},
    run::{read, tick, write},
};

/// Number of the graphs here; those of others are below, but for the one that measures.
const ID: u32 = u32::MAX - 1;
/// Seats of the largest part that is tried first.
const LARGEST: u32 = 1 << 24;
/// Seats below which a part is not cut any more.
const LEAST: u32 = 1 << 10;

/// Ticks graphs in parts.
pub struct Stream<'a> {
    pub device: &'a dyn ComputeDevice,
    pub export: &'a Export<'a>,
    pub interrupted: &'a dyn Fn() -> bool,
    /// Seats of a part, as many as were found to fit.
    part: u32,
}

/// The bit of a seat.
fn get(values: &[u32], seat: u32) -> bool {
    values.get(seat as usize / 32).is_some_and(|w| w >> (seat % 32) & 1 == 1)
}

fn set(values: &mut [u32], seat: u32, value: bool) {
    if let Some(w) = values.get_mut(seat as usize / 32) {
        *w = *w & !(1 << (seat % 32)) | u32::from(value) << (seat % 32);
    }
}

impl<'a> Stream<'a> {
    pub fn new(
        device: &'a dyn ComputeDevice,
        export: &'a Export<'a>,
        interrupted: &'a dyn Fn() -> bool,
    ) -> Self {
        Self { device, export, interrupted, part: LARGEST.min(export.seats()) }
    }

    /// One tick; `values` are changed when all of it is done.
    pub fn tick(&mut self, values: &mut Vec<u32>, usage: &mut Usage) -> Result<(), ComputeError> {
        let mut now = values.clone();
        let mut next = 0;
        while let Some(&(first, count)) = self.export.steps().get(next) {
            // As many whole steps as fit; they are neighbours unless registers come next.
            let (mut end, mut steps) = (first + count, 1);
            while let Some(&(more, count)) = self.export.steps().get(next + steps) {
                if more != end || more + count - first > self.part {
                    break;
                }
                end += count;
                steps += 1;
            }
            // Parts of one step read what was there before it.
            let mut after = now.clone();
            let mut at = first;
            while at < end {
                if (self.interrupted)() {
                    return Err(ComputeError::Interrupted);
                }
                let to = if steps > 1 { end } else { end.min(at.saturating_add(self.part)) };
                let schedule = self.export.steps().get(next..next + steps).unwrap_or(&[]);
                let schedule = if steps > 1 { schedule.to_vec() } else { vec![(at, to - at)] };
                match self.part(at..to, &schedule, &now, &mut after, usage) {
                    Ok(()) => at = to,
                    Err(ComputeError::Refused(Status::Memory)) if self.part > LEAST => {
                        self.part = (self.part / 2).max(LEAST);
                        // What was several steps may be one now, from the beginning.
                        (end, steps, at) = (first + count, 1, first);
                        after.clone_from(&now);
                    }
                    Err(e) => return Err(e),
                }
            }
            now = after;
            next += steps;
        }
        *values = now;
        Ok(())
    }

    /// Evaluates a part.
    fn part(
        &self,
        seats: Range<u32>,
        schedule: &[(u32, u32)],
        values: &[u32],
        after: &mut [u32],
        usage: &mut Usage,
    ) -> Result<(), ComputeError> {
        let count = (seats.end - seats.start) as usize;
        let (mut tables, mut sources) = (vec![0; count], vec![NONE; 6 * count]);
        self.export.fill(seats.start, &mut tables, &mut sources);
        let elsewhere = |s: &u32| *s != NONE && !seats.contains(s);
        let mut read_elsewhere: Vec<u32> = sources.iter().copied().filter(elsewhere).collect();
        read_elsewhere.sort_unstable();
        read_elsewhere.dedup();
        let others = read_elsewhere.len() as u32;
        for source in sources.iter_mut().filter(|s| **s != NONE) {
            *source = match source.checked_sub(seats.start).filter(|_| seats.contains(source)) {
                Some(at) => others + at,
                None => read_elsewhere.binary_search(source).map_or(NONE, |at| at as u32),
            };
        }
        let nodes = others + count as u32;
        let steps: Vec<u8> = schedule
            .iter()
            .flat_map(|&(first, count)| [(others + first - seats.start).to_le_bytes(), count.to_le_bytes()])
            .flatten()
            .collect();
        let graph =
            Command::Graph { graph: ID, nodes, steps: schedule.len() as u32, schedule: whole(0, &steps) };
        send(self.device, &graph, &mut [Buffer::From(&steps)], self.interrupted, usage)?;
        let all = NodesOf { graph: ID, first: others, tables: &tables, sources: &sources };
        let result = send_nodes(self.device, &all, &[(0, count)], self.interrupted, usage)
            .and_then(|()| self.evaluate(nodes, &read_elsewhere, seats, values, after, usage));
        let dropped = send(self.device, &Command::Drop { id: ID }, &mut [], &|| false, usage);
        result.and(dropped)
    }

    fn evaluate(
        &self,
        nodes: u32,
        read_elsewhere: &[u32],
        seats: Range<u32>,
        values: &[u32],
        after: &mut [u32],
        usage: &mut Usage,
    ) -> Result<(), ComputeError> {
        let mut local = vec![0; (nodes as usize).div_ceil(32)];
        let of_part = (read_elsewhere.len() as u32..).zip(seats);
        for (at, &seat) in (0..).zip(read_elsewhere) {
            set(&mut local, at, get(values, seat));
        }
        for (at, seat) in of_part.clone() {
            set(&mut local, at, get(values, seat));
        }
        write(self.device, ID, &local, self.interrupted, usage)?;
        tick(self.device, ID, 1, self.interrupted, usage, |_| ())?;
        read(self.device, ID, &mut local, self.interrupted, usage)?;
        for (at, seat) in of_part {
            set(after, seat, get(&local, at));
        }
        Ok(())
    }
}

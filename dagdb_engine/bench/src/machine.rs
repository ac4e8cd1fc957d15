//! What the machine could do at best: the yardstick of what is measured.

use std::{fmt, hint::black_box};

use dagdb_tick::Path;
use kernel_simd::{chain::Chain, lookup::Wires};

use crate::{Bench, graphs::Random};

/// Bits of a processor's first and second cache and of the states of ten million nodes.
const STATES: [(&str, usize); 3] = [("16 KiB", 16 << 13), ("256 KiB", 256 << 13), ("1.25 MB", 10_000_000)];
/// Places that are looked up: far more than caches hold.
const PLACES: usize = 1 << 25;

/// Rates of one core.
pub struct Machine {
    gathers: Vec<(&'static str, f64)>,
    read: f64,
    copy: f64,
}

impl Machine {
    /// Measures them.
    pub fn measure(bench: &Bench, path: Path) -> Self {
        let mut random = Random::new(3);
        let rate = |seconds: Option<f64>, of: usize| seconds.map_or(0.0, |s| of as f64 / s / 1e9);
        let mut gathers = Vec::new();
        let mut places = vec![0u32; PLACES];
        for (name, bits) in STATES {
            let states: Vec<u64> = (0..bits.div_ceil(64)).map(|_| random.next()).collect();
            places.iter_mut().for_each(|p| *p = random.below(bits) as u32);
            let Some(wires) = Wires::new(places) else { break };
            let copy = Chain::new(0b10, 1);
            let seconds = bench.processor(|| {
                let word = |block| wires.decide(path, (block * 64, 64, 1), &copy, &states);
                black_box((0..PLACES / 64).map(word).fold(0, |a, b| a ^ b));
            });
            gathers.push((name, rate(seconds, PLACES)));
            places = vec![0; PLACES];
        }
        let from = vec![1u64; PLACES / 2];
        let read = bench.processor(|| {
            black_box(from.iter().fold(0u64, |a, b| a ^ b));
        });
        let mut to = from.clone();
        let copy = bench.processor(|| {
            to.copy_from_slice(black_box(&from));
            black_box(&to);
        });
        Self { gathers, read: rate(read, PLACES * 4), copy: rate(copy, PLACES * 4) }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a core here: single bits anywhere in")?;
        for (name, rate) in &self.gathers {
            write!(f, " {name} {rate:.2} G/s,")?;
        }
        write!(f, " memory read {:.1} GB/s, copied {:.1} GB/s", self.read, self.copy)
    }
}

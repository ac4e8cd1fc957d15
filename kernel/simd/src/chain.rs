//! Tables as chains of decisions: inputs that decide alone are asked first, and whoever is decided need not be asked for more.
//!
//! Of 64 nodes that are the OR of six inputs, about half are decided by the first one, half of the rest by the second: two
//! bits a node are looked up instead of six. Inputs on which a table does not depend are not looked up at all.

use crate::lookup::{INPUTS, combine};

/// Where an input is 0, in a table.
const ZEROS: [u64; INPUTS] = [
    0x5555_5555_5555_5555,
    0x3333_3333_3333_3333,
    0x0f0f_0f0f_0f0f_0f0f,
    0x00ff_00ff_00ff_00ff,
    0x0000_ffff_0000_ffff,
    0x0000_0000_ffff_ffff,
];

/// A table, ready to be applied to nodes whose inputs are looked up one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// What the inputs that do not decide alone make, in the order of `slots`.
    rest: u64,
    /// The inputs in the order in which they are asked.
    slots: [u8; INPUTS],
    /// How many of them decide alone.
    deciding: u8,
    /// How many there are.
    asked: u8,
    /// By bit, for those that decide: with which value, and what.
    by: u8,
    outcome: u8,
}

impl Chain {
    /// The chain of a table of which the first `arity` inputs are used; others read 0.
    pub fn new(table: u64, arity: usize) -> Self {
        let mut chain = Self::default();
        let mut left = (arity.min(INPUTS)..INPUTS).fold(table, |t, d| cofactors(t, d).0);
        'deciding: loop {
            for d in 0..INPUTS {
                let (low, high) = cofactors(left, d);
                if low == high {
                    continue;
                }
                let (by, outcome, next) = match (low, high) {
                    (0 | u64::MAX, _) => (0, low, high),
                    (_, 0 | u64::MAX) => (1, high, low),
                    _ => continue,
                };
                chain.by |= by << chain.asked;
                chain.outcome |= (outcome as u8 & 1) << chain.asked;
                chain.ask(d);
                left = next;
                continue 'deciding;
            }
            break;
        }
        chain.deciding = chain.asked;
        for d in 0..INPUTS {
            let (low, high) = cofactors(left, d);
            if low != high {
                chain.ask(d);
            }
        }
        let others = chain.slots.get(chain.deciding.into()..chain.asked.into()).unwrap_or(&[]);
        for index in 0..1u64 << others.len() {
            let at = others.iter().enumerate().fold(0, |at, (i, &d)| at | (index >> i & 1) << d);
            chain.rest |= (left >> at & 1) << index;
        }
        chain
    }

    /// The input that every node is asked for.
    pub fn first(&self) -> Option<usize> {
        self.slots.first().filter(|_| self.asked > 0).map(|&s| usize::from(s))
    }

    fn ask(&mut self, slot: usize) {
        if let Some(s) = self.slots.get_mut(usize::from(self.asked)) {
            *s = slot as u8;
            self.asked += 1;
        }
    }

    /// The table at the inputs of the nodes whose bits are set in `open`; the other bits of the result are 0. `fetch` gives
    /// the bits of an input of at least the nodes that it is told.
    #[inline(always)]
    pub(crate) fn apply(&self, mut open: u64, fetch: impl Fn(usize, u64) -> u64) -> u64 {
        let mut out = 0;
        let mut words = [0; INPUTS];
        let mut others = 0;
        for (i, &slot) in self.slots.iter().enumerate().take(usize::from(self.asked)) {
            let word = fetch(usize::from(slot), open);
            if i >= usize::from(self.deciding) {
                words[others] = word;
                others += 1;
                continue;
            }
            let decided = open & if self.by >> i & 1 == 1 { word } else { !word };
            out |= decided & u64::from(self.outcome >> i & 1).wrapping_neg();
            open &= !decided;
            if open == 0 {
                return out;
            }
        }
        out | open & combine(self.rest, words.get(..others).unwrap_or(&words))
    }
}

/// The table where input `d` is 0, and where it is 1, for both values of the input.
fn cofactors(table: u64, d: usize) -> (u64, u64) {
    let zeros = ZEROS[d];
    let (low, high) = (table & zeros, table & !zeros);
    (low | low << (1 << d), high | high >> (1 << d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(table: u64, arity: usize) -> (u8, u8) {
        let chain = Chain::new(table, arity);
        (chain.deciding, chain.asked)
    }

    #[test]
    fn what_decides_alone_is_asked_first() {
        assert_eq!(asked(1 << 63, 6), (6, 6), "all");
        assert_eq!(asked(!1, 6), (6, 6), "any");
        assert_eq!(asked(0x8080_8080_8080_8080, 6), (3, 3), "all of three, others do not matter");
        assert_eq!(asked(0xe8e8_e8e8_e8e8_e8e8, 6), (0, 3), "the majority of three");
        assert_eq!(asked(0xaaaa_aaaa_aaaa_aaaa, 6), (1, 1), "a copy");
        assert_eq!(asked(!1, 0), (0, 0), "unused inputs read 0");
    }

    proptest! {
        #[test]
        fn a_chain_is_its_table(
            random: u64,
            shape in 0usize..6,
            arity in 0usize..=6,
            inputs: [u64; INPUTS],
            open: u64,
        ) {
            let table = match shape {
                0 => random,
                1 => 1 << (random & 63),
                2 => !(1 << (random & 63)),
                3 => (random & 0xff).wrapping_mul(0x0101_0101_0101_0101),
                4 => random & 0xffff_ffff,
                _ => random & random.rotate_left(7) & random.rotate_left(21) & random.rotate_left(40),
            };
            // Bits of nodes that were not asked for may be anything.
            let got = Chain::new(table, arity).apply(open, |slot, of| inputs[slot] & of | random & !of);
            prop_assert_eq!(got, combine(table, &inputs[..arity]) & open);
        }
    }
}

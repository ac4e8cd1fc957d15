//! Tables as short programs of bitwise steps, for tables that are applied to many wide words.
//!
//! A table is split by its highest input, its halves by the next one, and so on; equal functions are computed once, and halves
//! that are constant or each other's complement make a step of one operation of the choice between them. AND of six inputs is
//! five steps that way; a table without any such structure takes more steps than [`combine_wide`] does, and is left to it.

use alloc::vec::Vec;

use crate::lookup::{INPUTS, Path, WIDE, Wide, combine_wide};

/// Steps that a program has at most.
const STEPS: usize = 24;
/// Steps from which on the general way is as fast, by the number of inputs.
const WORTH: [usize; INPUTS + 1] = [0, 1, 2, 3, 6, 12, STEPS];

/// What a step computes of an input `x` and earlier values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// `!x`
    Not(u8),
    /// `x & a`
    And(u8, u8),
    /// `!x & a`
    Less(u8, u8),
    /// `x | a`
    Or(u8, u8),
    /// `!x | a`
    Implies(u8, u8),
    /// `x ^ a`
    Xor(u8, u8),
    /// `b` where `x`, `a` elsewhere.
    Choose(u8, u8, u8),
}

/// Where a value is: a constant, or a slot of inputs and, behind them, of steps' results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Constant(bool),
    Slot(u8),
}

const ZERO: Wide = [0; WIDE / 64];

/// As many as five bits can say: a mask takes the place of bounds checks.
type Slots = [Wide; 32];
const _: () = assert!(INPUTS + STEPS <= 32);

/// Room for the values of a program's steps; what it holds between runs does not matter.
#[derive(Clone, Debug)]
pub struct Scratch(Slots);

impl Default for Scratch {
    fn default() -> Self {
        Self([ZERO; 32])
    }
}

/// A table, ready to be applied.
#[derive(Clone, Debug)]
pub struct Program {
    table: u64,
    arity: usize,
    /// `None` if the general way is as fast.
    steps: Option<(Vec<Step>, Value)>,
}

impl Program {
    /// The program of a table of which the first `arity` inputs are used; others read 0.
    pub fn new(table: u64, arity: usize) -> Self {
        let arity = arity.min(INPUTS);
        let mut compiler = Compiler { steps: Vec::new(), known: Vec::new() };
        let value = compiler.compile(table, arity);
        let worth = WORTH.get(arity).is_some_and(|&w| compiler.steps.len() <= w);
        let steps = value.filter(|_| worth).map(|value| (compiler.steps, value));
        Self { table, arity, steps }
    }

    /// Applies the table; missing inputs read 0.
    pub fn apply(&self, path: Path, inputs: &[&Wide], scratch: &mut Scratch, into: &mut Wide) {
        let Some((steps, value)) = &self.steps else {
            return combine_wide(path, self.table, inputs.get(..self.arity).unwrap_or(inputs), into);
        };
        #[cfg(target_arch = "x86_64")]
        match path.or_less() {
            // SAFETY: `or_less` gives only what the processor has.
            Path::Avx512 => return unsafe { run_avx512(steps, *value, inputs, &mut scratch.0, into) },
            // SAFETY: as above.
            Path::Avx2 => return unsafe { run_avx2(steps, *value, inputs, &mut scratch.0, into) },
            Path::Scalar => {}
        }
        let _ = path;
        run(steps, *value, inputs, &mut scratch.0, into);
    }
}

struct Compiler {
    steps: Vec<Step>,
    /// Functions of the first inputs, by their number and table.
    known: Vec<(usize, u64, Value)>,
}

impl Compiler {
    /// `None` if it takes too many steps.
    fn compile(&mut self, table: u64, inputs: usize) -> Option<Value> {
        let all = if inputs >= INPUTS { !0 } else { (1 << (1u32 << inputs)) - 1 };
        let table = table & all;
        if table == 0 || table == all {
            return Some(Value::Constant(table != 0));
        }
        let top = inputs.checked_sub(1)?;
        if let Some(&(.., value)) = self.known.iter().find(|(n, t, _)| (*n, *t) == (inputs, table)) {
            return Some(value);
        }
        let width = 1u32 << top;
        let half = (1u64 << width) - 1;
        let (low, high) = (table & half, table >> width);
        let x = top as u8;
        let step = if low == high {
            let value = self.compile(low, top)?;
            self.known.push((inputs, table, value));
            return Some(value);
        } else if low == high ^ half && low != 0 && high != 0 {
            match self.compile(low, top)? {
                Value::Slot(a) => Step::Xor(x, a),
                Value::Constant(_) => return None,
            }
        } else {
            match (self.compile(low, top)?, self.compile(high, top)?) {
                (Value::Constant(false), Value::Constant(_)) => {
                    return Some(Value::Slot(x));
                }
                (Value::Constant(true), Value::Constant(_)) => Step::Not(x),
                (Value::Constant(false), Value::Slot(b)) => Step::And(x, b),
                (Value::Constant(true), Value::Slot(b)) => Step::Implies(x, b),
                (Value::Slot(a), Value::Constant(false)) => Step::Less(x, a),
                (Value::Slot(a), Value::Constant(true)) => Step::Or(x, a),
                (Value::Slot(a), Value::Slot(b)) => Step::Choose(x, a, b),
            }
        };
        if self.steps.len() >= STEPS {
            return None;
        }
        self.steps.push(step);
        let value = Value::Slot((INPUTS + self.steps.len() - 1) as u8);
        self.known.push((inputs, table, value));
        Some(value)
    }
}

/// Inputs and steps are kept in slots of one array, so that a step finds both in the same way.
#[inline(always)]
fn run(steps: &[Step], value: Value, inputs: &[&Wide], slots: &mut Slots, into: &mut Wide) {
    for (i, slot) in slots.iter_mut().enumerate().take(INPUTS) {
        *slot = inputs.get(i).map_or(ZERO, |input| **input);
    }
    for (i, step) in steps.iter().enumerate() {
        let of = |slot: u8| &slots[usize::from(slot & 31)];
        let mut out = ZERO;
        match *step {
            Step::Not(x) => each(&mut out, |i| !of(x)[i]),
            Step::And(x, a) => each(&mut out, |i| of(x)[i] & of(a)[i]),
            Step::Less(x, a) => each(&mut out, |i| !of(x)[i] & of(a)[i]),
            Step::Or(x, a) => each(&mut out, |i| of(x)[i] | of(a)[i]),
            Step::Implies(x, a) => each(&mut out, |i| !of(x)[i] | of(a)[i]),
            Step::Xor(x, a) => each(&mut out, |i| of(x)[i] ^ of(a)[i]),
            Step::Choose(x, a, b) => each(&mut out, |i| of(a)[i] ^ (of(x)[i] & (of(a)[i] ^ of(b)[i]))),
        }
        slots[(INPUTS + i) & 31] = out;
    }
    *into = match value {
        Value::Constant(value) => [u64::from(value).wrapping_neg(); WIDE / 64],
        Value::Slot(slot) => slots[usize::from(slot & 31)],
    };
}

#[inline(always)]
fn each(out: &mut Wide, word: impl Fn(usize) -> u64) {
    for (i, o) in out.iter_mut().enumerate() {
        *o = word(i);
    }
}

/// # Safety
/// The processor must have AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn run_avx2(steps: &[Step], value: Value, inputs: &[&Wide], slots: &mut Slots, into: &mut Wide) {
    run(steps, value, inputs, slots, into);
}

/// # Safety
/// The processor must have AVX-512 F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn run_avx512(steps: &[Step], value: Value, inputs: &[&Wide], slots: &mut Slots, into: &mut Wide) {
    run(steps, value, inputs, slots, into);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All six.
    const AND6: u64 = 1 << 63;

    #[test]
    fn structured_tables_are_short() {
        let steps = |table, arity| Program::new(table, arity).steps.map(|s| s.0.len());
        assert_eq!(steps(AND6, 6), Some(5));
        assert_eq!(steps(!1, 6), Some(5));
        assert_eq!(steps(0xaaaa_aaaa_aaaa_aaaa, 6), Some(0));
        let odd = (0..64u32).fold(0, |t, i| t | u64::from(i.count_ones() % 2) << i);
        assert_eq!(steps(odd, 6), Some(5));
        let majority = (0..64u32).fold(0, |t, i| t | u64::from(i.count_ones() >= 4) << i);
        assert!(steps(majority, 6).is_some_and(|n| n <= 16));
        assert_eq!(steps(0x9d3f_1c27_6ab5_e840, 6), None);
    }

    proptest! {
        #[test]
        fn a_program_is_its_table(
            random: u64,
            shape in 0usize..5,
            arity in 0usize..=6,
            inputs in proptest::collection::vec(any::<Wide>(), 6),
        ) {
            let table = match shape {
                0 => random,
                1 => AND6,
                2 => !1,
                // Few different rows: much structure.
                3 => (random & 0xff).wrapping_mul(0x0101_0101_0101_0101),
                _ => random & random.rotate_left(7) & random.rotate_left(21) & random.rotate_left(40),
            };
            let given: Vec<&Wide> = inputs.iter().take(arity).collect();
            let program = Program::new(table, arity);
            let mut scratch = Scratch([[!0; 8]; 32]);
            for path in Path::ALL {
                let (mut got, mut want) = ([0; 8], [0; 8]);
                program.apply(path, &given, &mut scratch, &mut got);
                combine_wide(path, table, &given, &mut want);
                prop_assert_eq!(got, want);
            }
        }
    }
}

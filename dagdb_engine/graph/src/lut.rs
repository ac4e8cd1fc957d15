//! Truth tables of six inputs.

use core::fmt;

/// Bit `i` is the output for the inputs that make index `i`; input slot `d` is bit `d` of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lut(pub u64);

/// The table of a function of the index.
const fn table(of: impl_fn::Function, threshold: u32) -> Lut {
    let mut bits = 0u64;
    let mut index = 0u32;
    while index < 64 {
        if impl_fn::value(of, index, threshold) {
            bits |= 1 << index;
        }
        index += 1;
    }
    Lut(bits)
}

mod impl_fn {
    /// How the set inputs decide.
    #[derive(Clone, Copy)]
    pub enum Function {
        /// At least so many of all six.
        AtLeast,
        /// At least so many of the first three; the others do not matter.
        AtLeastOfThree,
        /// An odd number.
        Odd,
        /// The first.
        First,
    }

    pub const fn value(of: Function, index: u32, threshold: u32) -> bool {
        match of {
            Function::AtLeast => index.count_ones() >= threshold,
            Function::AtLeastOfThree => (index & 7).count_ones() >= threshold,
            Function::Odd => index.count_ones() % 2 == 1,
            Function::First => index & 1 == 1,
        }
    }
}

use impl_fn::Function::{AtLeast, AtLeastOfThree, First, Odd};

impl Lut {
    /// Never.
    pub const CONST0: Self = Self(0);
    /// Always.
    pub const CONST1: Self = Self(!0);
    /// All six inputs; so never, where a slot is unused.
    pub const AND6: Self = table(AtLeast, 6);
    /// Any input.
    pub const OR6: Self = table(AtLeast, 1);
    /// An odd number of inputs.
    pub const XOR6: Self = table(Odd, 0);
    /// At least four inputs.
    pub const MAJ6: Self = table(AtLeast, 4);
    /// The first input.
    pub const IDENTITY: Self = table(First, 0);
    /// No input.
    pub const NOR6: Self = Self(!Self::OR6.0);
    /// Not all six.
    pub const NAND6: Self = Self(!Self::AND6.0);
    /// The first three inputs.
    pub const AND3: Self = table(AtLeastOfThree, 3);
    /// Any of the first three.
    pub const OR3: Self = table(AtLeastOfThree, 1);
    /// Two of the first three.
    pub const MAJ3: Self = table(AtLeastOfThree, 2);

    /// All names, the preferred one of each table first.
    const NAMES: [(&'static str, Self); 22] = [
        ("AND", Self::AND6),
        ("OR", Self::OR6),
        ("XOR", Self::XOR6),
        ("MAJ", Self::MAJ6),
        ("IDENTITY", Self::IDENTITY),
        ("CONST0", Self::CONST0),
        ("CONST1", Self::CONST1),
        ("NOR", Self::NOR6),
        ("NAND", Self::NAND6),
        ("AND3", Self::AND3),
        ("OR3", Self::OR3),
        ("MAJ3", Self::MAJ3),
        ("VETO", Self::AND6),
        ("AND6", Self::AND6),
        ("OR6", Self::OR6),
        ("XOR6", Self::XOR6),
        ("MAJ6", Self::MAJ6),
        ("MAJORITY", Self::MAJ6),
        ("ID", Self::IDENTITY),
        ("FALSE", Self::CONST0),
        ("TRUE", Self::CONST1),
        ("NOR6", Self::NOR6),
    ];

    /// The table of a name, in any case; `NAND6` included.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("NAND6") {
            return Some(Self::NAND6);
        }
        Self::NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|&(_, lut)| lut)
    }

    /// The preferred name, if the table has one.
    pub fn name(self) -> Option<&'static str> {
        Self::NAMES.iter().find(|&&(_, lut)| lut == self).map(|&(n, _)| n)
    }

    /// The output for an index below 64.
    pub const fn output(self, index: u32) -> bool {
        self.0 >> (index & 63) & 1 == 1
    }

    /// Whether the output depends on input `slot` at all.
    pub const fn depends_on(self, slot: usize) -> bool {
        // Indices in which the slot's bit is clear.
        const CLEAR: [u64; 6] = [
            0x5555_5555_5555_5555,
            0x3333_3333_3333_3333,
            0x0f0f_0f0f_0f0f_0f0f,
            0x00ff_00ff_00ff_00ff,
            0x0000_ffff_0000_ffff,
            0x0000_0000_ffff_ffff,
        ];
        slot < 6 && (self.0 ^ (self.0 >> (1 << slot))) & CLEAR[slot] != 0
    }

    /// The table that ignores all inputs but the first `inputs`, treating the others as 0.
    pub const fn of_first(self, inputs: usize) -> Self {
        if inputs >= 6 {
            return self;
        }
        let mut bits = self.0 & ((1 << (1 << inputs)) - 1);
        let mut width = 1 << inputs;
        while width < 64 {
            bits |= bits << width;
            width *= 2;
        }
        Self(bits)
    }

    /// All of the first `inputs`; true for none.
    pub const fn all_of(inputs: usize) -> Self {
        let mask = if inputs >= 6 { 63 } else { (1u32 << inputs) - 1 };
        let mut bits = 0;
        let mut index = 0;
        while index < 64 {
            if index & mask == mask {
                bits |= 1 << index;
            }
            index += 1;
        }
        Self(bits)
    }

    /// The complement.
    pub const fn not(self) -> Self {
        Self(!self.0)
    }
}

impl fmt::Display for Lut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:016X}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn presets_are_the_published_tables() {
        assert_eq!(Lut::AND6.0, 0x8000_0000_0000_0000);
        assert_eq!(Lut::OR6.0, 0xffff_ffff_ffff_fffe);
        assert_eq!(Lut::IDENTITY.0, 0xaaaa_aaaa_aaaa_aaaa);
        assert_eq!(Lut::NOR6.0, 1);
        assert_eq!(Lut::XOR6.0.count_ones(), 32);
        assert_eq!(Lut::MAJ6.0.count_ones(), 15 + 6 + 1);
        assert_eq!(Lut::MAJ3.0 & 0xff, 0b1110_1000);
        assert_eq!(Lut::MAJ3.of_first(3), Lut::MAJ3);
    }

    #[test]
    fn names_are_read_back() {
        for &(name, lut) in &Lut::NAMES {
            assert_eq!(Lut::from_name(&name.to_lowercase()), Some(lut));
            assert_eq!(Lut::from_name(&lut.to_string()), Some(lut));
        }
        assert_eq!(Lut(0x12).to_string(), "0x0000000000000012");
        assert_eq!(Lut::from_name("MAY"), None);
    }

    #[test]
    fn dependence_is_what_changing_the_input_shows() {
        for lut in [Lut::AND3, Lut::MAJ6, Lut::IDENTITY, Lut(0xdead_beef_0123_4567), Lut::CONST1] {
            for slot in 0..6 {
                let seen = (0..64).any(|i| lut.output(i) != lut.output(i ^ 1 << slot));
                assert_eq!(lut.depends_on(slot), seen, "{lut} {slot}");
            }
        }
        assert!(!Lut::AND3.depends_on(6));
        assert_eq!(Lut::all_of(3), Lut::AND3);
        assert_eq!(Lut::all_of(6), Lut::AND6);
        assert_eq!(Lut::all_of(0), Lut::CONST1);
    }
}

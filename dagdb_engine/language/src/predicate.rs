//! Conditions on nodes.

use alloc::{boxed::Box, vec::Vec};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The value; also written `state`.
    Truth,
    /// The rank.
    Rank,
    /// The kind's number.
    Type,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=` or `<>`
    NotEqual,
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `<=`
    LessOrEqual,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// Whether it holds.
    pub const fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::Greater => left > right,
            Self::LessOrEqual => left <= right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// A comparison with a number.
    Compare(Field, Comparison, u64),
    /// All of at least two.
    And(Vec<Predicate>),
    /// Any of at least two.
    Or(Vec<Predicate>),
    /// Not.
    Not(Box<Predicate>),
}

impl Predicate {
    /// Whether a node satisfies it.
    pub fn matches(&self, truth: u8, rank: u64, kind: u8) -> bool {
        match self {
            Self::Compare(field, how, value) => {
                let left = match field {
                    Field::Truth => u64::from(truth),
                    Field::Rank => rank,
                    Field::Type => u64::from(kind),
                };
                how.holds(left, *value)
            }
            Self::And(all) => all.iter().all(|p| p.matches(truth, rank, kind)),
            Self::Or(any) => any.iter().any(|p| p.matches(truth, rank, kind)),
            Self::Not(a) => !a.matches(truth, rank, kind),
        }
    }
}

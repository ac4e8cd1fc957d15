//! The order of documents, as jsonb's B-tree class has it.

use core::{
    cmp::Ordering,
    hash::{BuildHasher, Hash, Hasher},
};

use crate::{Jsonb, Kind, View, number};

/// null < strings < numbers < booleans < arrays < objects.
fn rank(kind: Kind<'_>) -> u8 {
    match kind {
        Kind::Null => 0,
        Kind::String(_) => 1,
        Kind::Number(_) => 2,
        Kind::Bool(_) => 3,
        Kind::Array(_) => 4,
        Kind::Object(_) => 5,
    }
}

fn compare(a: View<'_>, b: View<'_>) -> Ordering {
    match (a.kind(), b.kind()) {
        (Kind::String(x), Kind::String(y)) => x.cmp(y),
        (Kind::Number(x), Kind::Number(y)) => number::compare(x, y),
        (Kind::Bool(x), Kind::Bool(y)) => x.cmp(&y),
        (Kind::Array(n), Kind::Array(m)) => n.cmp(&m).then_with(|| {
            let mut orders = a.elements().zip(b.elements()).map(|(x, y)| compare(x, y));
            orders.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        }),
        (Kind::Object(n), Kind::Object(m)) => n.cmp(&m).then_with(|| {
            let pair =
                |((k, x), (l, y)): ((&str, View<'_>), (&str, View<'_>))| k.cmp(l).then_with(|| compare(x, y));
            let mut orders = a.members().zip(b.members()).map(pair);
            orders.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        }),
        (x, y) => rank(x).cmp(&rank(y)),
    }
}

impl Ord for Jsonb {
    /// A document that is a scalar counts as an array of one element, before those of one, behind the empty one.
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.root(), other.root());
        match (a.kind(), b.kind()) {
            (Kind::Array(n), _) if b.is_scalar() => n.cmp(&1).then(Ordering::Greater),
            (_, Kind::Array(n)) if a.is_scalar() => 1.cmp(&n).then(Ordering::Less),
            _ => compare(a, b),
        }
    }
}

impl PartialOrd for Jsonb {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Jsonb {
    /// SQL's equality: scales of numbers do not count.
    pub fn same(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
    /// The same for documents that are [`Jsonb::same`].
    pub fn hash(&self, seed: u64) -> u64 {
        let mut state = foldhash::fast::FixedState::with_seed(seed).build_hasher();
        hash(self.root(), &mut state);
        state.finish()
    }
}

impl View<'_> {
    /// SQL's equality of two values.
    pub fn same(self, other: View<'_>) -> bool {
        compare(self, other).is_eq()
    }
    /// SQL's order of two values inside documents.
    pub fn order(self, other: View<'_>) -> Ordering {
        compare(self, other)
    }
}

fn hash(view: View<'_>, state: &mut impl Hasher) {
    let kind = view.kind();
    state.write_u8(rank(kind));
    match kind {
        Kind::Null => {}
        Kind::Bool(b) => state.write_u8(b.into()),
        Kind::Number(n) => number::reduced(n).hash(state),
        Kind::String(s) => s.hash(state),
        Kind::Array(n) => {
            state.write_usize(n);
            view.elements().for_each(|v| hash(v, state));
        }
        Kind::Object(n) => {
            state.write_usize(n);
            for (key, value) in view.members() {
                key.hash(state);
                hash(value, state);
            }
        }
    }
}

//! Operations on a page: what is applied in memory, logged, and redone.
//!
//! An operation is a code byte and little-endian operands:
//!
//! | code | operands | effect |
//! |---|---|---|
//! | 1 write | at u16, len u16, bytes | overwrites |
//! | 2 move | from u16, to u16, len u16 | copies within the page; the ranges may overlap |
//! | 3 prune | n u16, n × (slot u16, action u16) | [`slotted::prune`] |
//! | 4 format | kind u8 | an empty page of that kind |

use alloc::vec::Vec;

use crate::{Page, RelId, slotted};

const WRITE: u8 = 1;
const MOVE: u8 = 2;
const PRUNE: u8 = 3;
const FORMAT: u8 = 4;

/// The operations of one page, being encoded.
#[derive(Debug, Default)]
pub struct Ops(Vec<u8>);

impl Ops {
    /// None yet.
    pub fn new() -> Self {
        Self(Vec::with_capacity(256))
    }
    /// The encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    /// Does it begin with a format (so that the page's former content does not matter)?
    pub fn formats(&self) -> bool {
        self.0.first() == Some(&FORMAT)
    }
    /// Makes the page an empty one. Must come first.
    pub fn format(&mut self, kind: u8) -> &mut Self {
        self.0.extend_from_slice(&[FORMAT, kind]);
        self
    }
    /// Overwrites bytes.
    pub fn write(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        self.write_parts(at, &[bytes])
    }
    /// Overwrites bytes that come in parts.
    pub fn write_parts(&mut self, at: usize, parts: &[&[u8]]) -> &mut Self {
        let len: usize = parts.iter().map(|p| p.len()).sum();
        let (a, l) = ((at as u16).to_le_bytes(), (len as u16).to_le_bytes());
        self.0.extend_from_slice(&[WRITE, a[0], a[1], l[0], l[1]]);
        for p in parts {
            self.0.extend_from_slice(p);
        }
        self
    }
    /// Copies within the page.
    pub fn shift(&mut self, from: usize, to: usize, len: usize) -> &mut Self {
        self.0.push(MOVE);
        for v in [from, to, len] {
            self.0.extend_from_slice(&(v as u16).to_le_bytes());
        }
        self
    }
    /// Changes slots and compacts a slotted page.
    pub fn prune(&mut self, actions: &[(u16, u16)]) -> &mut Self {
        self.0.push(PRUNE);
        self.0.extend_from_slice(&(actions.len() as u16).to_le_bytes());
        for (slot, action) in actions {
            self.0.extend_from_slice(&slot.to_le_bytes());
            self.0.extend_from_slice(&action.to_le_bytes());
        }
        self
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }
    fn u16(&mut self) -> Option<usize> {
        self.take(2).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])))
    }
}

/// Do these operations begin by formatting the page?
pub fn formats(ops: &[u8]) -> bool {
    ops.first() == Some(&FORMAT)
}

/// Applies encoded operations. None: they are malformed or do not fit the page, which may then be half changed.
#[must_use]
pub fn apply(page: &mut Page, rel: RelId, block: u32, ops: &[u8]) -> Option<()> {
    page.set_flags(page.flags() & !crate::FLAG_ALL_VISIBLE);
    let mut r = Reader(ops);
    while !r.0.is_empty() {
        match r.u8()? {
            WRITE => {
                let (at, len) = (r.u16()?, r.u16()?);
                if !page.put(at, r.take(len)?) {
                    return None;
                }
            }
            MOVE => {
                let (from, to, len) = (r.u16()?, r.u16()?, r.u16()?);
                if from + len > page.0.len() || to + len > page.0.len() {
                    return None;
                }
                page.0.copy_within(from..from + len, to);
            }
            PRUNE => {
                let n = r.u16()?;
                slotted::prune(page, r.take(n * 4)?)?;
            }
            FORMAT => {
                let kind = r.u8()?;
                page.format(kind, rel, block);
                if slotted::is_slotted(kind) {
                    slotted::init(page);
                }
            }
            _ => return None,
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn write_and_move() {
        let mut page = Page::zeroed();
        let mut ops = Ops::new();
        ops.format(9).write(100, b"hello").shift(100, 102, 5);
        apply(&mut page, RelId(7), 3, ops.as_bytes()).unwrap();
        assert_eq!(page.bytes(100, 7), b"hehello");
        assert_eq!((page.rel(), page.block(), page.kind()), (RelId(7), 3, 9));
        page.seal();
        page.check(RelId(7), 3).unwrap();
        assert!(page.check(RelId(7), 4).is_err());
        page.0[5000] ^= 1;
        assert!(page.check(RelId(7), 3).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(ops in proptest::collection::vec(any::<u8>(), 0..400), page in proptest::collection::vec(any::<u8>(), 8192)) {
            let mut p = Page::zeroed();
            p.0.copy_from_slice(&page);
            let _ = apply(&mut p, RelId(1), 1, &ops);
        }
    }
}

//! The binary form.
//!
//! ```text
//! document   version 1, node
//! node       tag, then
//!   null, false, true   nothing
//!   number, string      its bytes, to the node's end
//!   array               count u32, end of each element u32, elements
//!   object              count u32, end of each key u32, end of each value u32, keys, values
//! ```
//!
//! Numbers are little-endian; an end counts from where the first element, key or value begins.

use alloc::{sync::Arc, vec::Vec};
use core::ops::Range;

use crate::{JsonError, MAX_DEPTH, number, parse::parse, tree::key_order};

pub(crate) const VERSION: u8 = 1;
pub(crate) const NULL: u8 = 0;
pub(crate) const FALSE: u8 = 1;
pub(crate) const TRUE: u8 = 2;
pub(crate) const NUMBER: u8 = 3;
pub(crate) const STRING: u8 = 4;
pub(crate) const ARRAY: u8 = 5;
pub(crate) const OBJECT: u8 = 6;

/// Bytes that are not a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// A finished document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jsonb(Arc<[u8]>);

impl Jsonb {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
    /// Reads text.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        parse(text)?.to_json()?.finish()
    }
    /// Takes stored bytes, all of which are checked.
    pub fn load(bytes: &[u8]) -> Result<Self, Corrupt> {
        match bytes.split_first() {
            Some((&VERSION, node)) => View(node).check(0)?,
            _ => return Err(Corrupt),
        }
        Ok(Self(bytes.into()))
    }
    /// The bytes to store.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
    /// The document's value.
    pub fn root(&self) -> View<'_> {
        View(self.0.get(1..).unwrap_or_default())
    }
    /// Where a value of this document lies in it; empty for one of another document.
    pub fn range_of(&self, view: View<'_>) -> Range<usize> {
        let start = (view.0.as_ptr() as usize).wrapping_sub(self.0.as_ptr() as usize);
        match start.checked_add(view.0.len()) {
            Some(end) if end <= self.0.len() => start..end,
            _ => 0..0,
        }
    }
    /// The value at a place that [`Jsonb::range_of`] told.
    pub fn view(&self, at: &Range<usize>) -> View<'_> {
        View(self.0.get(at.clone()).unwrap_or_default())
    }
    /// A value inside as a document of its own.
    pub fn copy_of(view: View<'_>) -> Self {
        let mut out = Vec::with_capacity(view.0.len() + 1);
        out.push(VERSION);
        out.extend_from_slice(view.0);
        Self::of(out)
    }
}

/// A value inside a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a>(&'a [u8]);

/// What a [`View`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// null
    Null,
    /// true, false
    Bool(bool),
    /// Canonical decimal text.
    Number(&'a str),
    /// A string.
    String(&'a str),
    /// With so many elements.
    Array(usize),
    /// With so many members.
    Object(usize),
}

fn word(bytes: &[u8], at: usize) -> usize {
    let word = bytes.get(at..at + 4).and_then(|b| b.first_chunk::<4>());
    word.map_or(0, |b| u32::from_le_bytes(*b) as usize)
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

impl<'a> View<'a> {
    pub(crate) fn new(node: &'a [u8]) -> Self {
        Self(node)
    }
    /// The node's bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
    /// What it is.
    pub fn kind(self) -> Kind<'a> {
        let (tag, rest) = self.0.split_first().unwrap_or((&NULL, &[]));
        match *tag {
            FALSE => Kind::Bool(false),
            TRUE => Kind::Bool(true),
            NUMBER => Kind::Number(text(rest)),
            STRING => Kind::String(text(rest)),
            ARRAY => Kind::Array(word(rest, 0)),
            OBJECT => Kind::Object(word(rest, 0)),
            _ => Kind::Null,
        }
    }
    /// True for arrays.
    pub fn is_array(self) -> bool {
        self.0.first() == Some(&ARRAY)
    }
    /// True for objects.
    pub fn is_object(self) -> bool {
        self.0.first() == Some(&OBJECT)
    }
    /// True for what is neither.
    pub fn is_scalar(self) -> bool {
        !self.is_array() && !self.is_object()
    }
    /// Elements or members; 0 for a scalar.
    pub fn len(self) -> usize {
        if self.is_scalar() { 0 } else { word(self.0, 1) }
    }
    /// True without elements or members.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
    /// The piece between two ends of a table at `ends`.
    fn piece(self, ends: usize, first: usize, i: usize) -> &'a [u8] {
        let from = if i == 0 { 0 } else { word(self.0, ends + 4 * (i - 1)) };
        self.0.get(first + from..first + word(self.0, ends + 4 * i)).unwrap_or_default()
    }
    /// Element `i` of an array.
    pub fn element(self, i: usize) -> Option<View<'a>> {
        (self.is_array() && i < self.len()).then(|| self.element_at(i))
    }
    fn element_at(self, i: usize) -> View<'a> {
        View(self.piece(5, 5 + 4 * self.len(), i))
    }
    fn key_bytes(self, i: usize) -> &'a [u8] {
        self.piece(5, 5 + 8 * self.len(), i)
    }
    fn value_at(self, i: usize) -> View<'a> {
        let n = self.len();
        let keys = if n == 0 { 0 } else { word(self.0, 5 + 4 * (n - 1)) };
        View(self.piece(5 + 4 * n, 5 + 8 * n + keys, i))
    }
    /// The member of this name.
    pub fn member(self, key: &str) -> Option<View<'a>> {
        if !self.is_object() {
            return None;
        }
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match key_order(self.key_bytes(middle), key.as_bytes()) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
                core::cmp::Ordering::Equal => return Some(self.value_at(middle)),
            }
        }
        None
    }
    /// An array's elements.
    pub fn elements(self) -> impl DoubleEndedIterator<Item = View<'a>> + ExactSizeIterator {
        let n = if self.is_array() { self.len() } else { 0 };
        (0..n).map(move |i| self.element_at(i))
    }
    /// An object's members, keys ascending by length, then bytes.
    pub fn members(self) -> impl DoubleEndedIterator<Item = (&'a str, View<'a>)> + ExactSizeIterator {
        let n = if self.is_object() { self.len() } else { 0 };
        (0..n).map(move |i| (text(self.key_bytes(i)), self.value_at(i)))
    }
    /// Where PostgreSQL would have this container in `root`, in bytes from its beginning: what keyvalue() numbers objects by. 0 for
    /// what is not in it.
    pub fn postgres_offset(self, root: View<'_>) -> usize {
        let mut found = 0;
        root.place(0, self.0.as_ptr() as usize, &mut found);
        found
    }
    /// Lays a value out from `at` on; gives where it ends.
    fn place(self, at: usize, wanted: usize, found: &mut usize) -> usize {
        if self.0.as_ptr() as usize == wanted {
            *found = at;
        }
        let each = |value: View<'_>, end: usize, found: &mut usize| match value.kind() {
            Kind::Null | Kind::Bool(_) => end,
            Kind::String(s) => end + s.len(),
            Kind::Number(n) => end.next_multiple_of(4) + number::postgres_size(n),
            _ => value.place(end.next_multiple_of(4), wanted, found),
        };
        let mut end = at + 4;
        if self.is_array() {
            end += 4 * self.len();
            self.elements().for_each(|v| end = each(v, end, found));
        } else {
            end += 8 * self.len() + (0..self.len()).map(|i| self.key_bytes(i).len()).sum::<usize>();
            self.members().for_each(|(_, v)| end = each(v, end, found));
        }
        end
    }
    /// Containers within each other, this one counted.
    pub(crate) fn depth(self) -> usize {
        let inner = match self.kind() {
            Kind::Array(_) => self.elements().map(View::depth).max(),
            Kind::Object(_) => self.members().map(|(_, v)| v.depth()).max(),
            _ => return 0,
        };
        1 + inner.unwrap_or(0)
    }

    fn check(self, depth: usize) -> Result<(), Corrupt> {
        let (tag, rest) = self.0.split_first().ok_or(Corrupt)?;
        let valid = match *tag {
            NULL | FALSE | TRUE => rest.is_empty(),
            NUMBER => number::is_canonical(rest),
            STRING => text_is_valid(rest),
            ARRAY => return self.check_array(depth + 1),
            OBJECT => return self.check_object(depth + 1),
            _ => false,
        };
        if valid { Ok(()) } else { Err(Corrupt) }
    }
    /// The table of `n` ends at `at` ascends, and the last is what follows it may span; gives the last.
    fn check_ends(self, at: usize, n: usize) -> Result<usize, Corrupt> {
        let mut last = 0;
        for i in 0..n {
            let end = word(self.0, at + 4 * i);
            if end < last || end > self.0.len() {
                return Err(Corrupt);
            }
            last = end;
        }
        Ok(last)
    }
    fn check_array(self, depth: usize) -> Result<(), Corrupt> {
        let n = self.counted(4, depth)?;
        let last = self.check_ends(5, n)?;
        if 5 + 4 * n + last != self.0.len() {
            return Err(Corrupt);
        }
        self.elements().try_for_each(|v| v.check(depth))
    }
    fn check_object(self, depth: usize) -> Result<(), Corrupt> {
        let n = self.counted(8, depth)?;
        let keys = self.check_ends(5, n)?;
        let values = self.check_ends(5 + 4 * n, n)?;
        if 5 + 8 * n + keys + values != self.0.len() {
            return Err(Corrupt);
        }
        for i in 0..n {
            let key = self.key_bytes(i);
            let ascends = i == 0 || key_order(self.key_bytes(i - 1), key).is_lt();
            if !ascends || !text_is_valid(key) {
                return Err(Corrupt);
            }
            self.value_at(i).check(depth)?;
        }
        Ok(())
    }
    /// The count of a container whose members have tables of so many bytes each.
    fn counted(self, each: usize, depth: usize) -> Result<usize, Corrupt> {
        let n = word(self.0, 1);
        let fits = self.0.len() >= 5 && n <= (self.0.len() - 5) / each;
        if fits && depth <= MAX_DEPTH { Ok(n) } else { Err(Corrupt) }
    }
}

fn text_is_valid(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_ok() && !bytes.contains(&0)
}

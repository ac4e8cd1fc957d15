//! Making a row small: which values to compress, which to move out.
//!
//! In PostgreSQL's order, until the row is below its target: columns stored EXTENDED are compressed, the largest first (one that
//! is above the target by itself moves out at once); EXTENDED and EXTERNAL ones move out, the largest first; MAIN ones are
//! compressed; MAIN ones move out, if the row does not fit a page otherwise.

use alloc::{borrow::Cow, vec::Vec};

use pg_types::tuple::{External, Stored, TupleLayout};

use crate::{Result, block};

/// `attstorage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Never compressed, never moved out.
    Plain,
    /// Moved out, not compressed.
    External,
    /// Compressed and moved out.
    Extended,
    /// Compressed; moved out only if the row fits no page otherwise.
    Main,
}

impl Strategy {
    /// From `attstorage`'s letter.
    pub fn from_code(code: u8) -> Self {
        match code {
            b'e' => Self::External,
            b'x' => Self::Extended,
            b'm' => Self::Main,
            _ => Self::Plain,
        }
    }
}

/// Bytes of a row that are not in its payload, as rows are counted against targets: what PostgreSQL's have.
const HEADER: usize = 24;
/// Rows above so many bytes are made smaller: four of them to a page.
pub const THRESHOLD: usize = 2_032;
/// Above so many bytes even values that should stay in the row move out: one row to a page.
const PAGE_TARGET: usize = 8_000;
/// Bytes of a field that points to a value.
const POINTER: usize = 14;
/// Values up to so many bytes are left alone: a pointer is not much smaller.
const SMALL: usize = 24;

/// How a table's rows are stored.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Of each attribute.
    pub strategies: Vec<Strategy>,
    /// Rows above the threshold are made as small as this.
    pub target: usize,
}

impl Rules {
    /// `toast_tuple_target`, as it is by default.
    pub const DEFAULT_TARGET: usize = THRESHOLD;

    /// Must something be done about a payload of so many bytes?
    #[inline]
    pub fn is_large(&self, payload: usize) -> bool {
        payload + HEADER > THRESHOLD
    }
}

/// A row being made smaller.
struct Work<'f, 't> {
    fields: &'f mut [Stored<'t>],
    /// Bytes of the row.
    size: usize,
    /// Fields that cannot be compressed.
    tried: Vec<bool>,
}

fn length_bytes(n: usize) -> usize {
    (usize::BITS as usize - n.leading_zeros() as usize).div_ceil(7).max(1)
}

/// Bytes of a field with tag and length.
fn size_of_field(field: &Stored<'_>, variable: bool) -> usize {
    match field {
        Stored::Null => 0,
        Stored::Plain(b) if !variable => b.len(),
        Stored::Plain(b) => 1 + length_bytes(b.len()) + b.len(),
        Stored::Compressed { block, .. } => 1 + length_bytes(block.len() + 4) + 4 + block.len(),
        Stored::External(_) => POINTER,
    }
}

impl Work<'_, '_> {
    /// The largest field that one of the strategies allows something to be done about.
    fn largest(&self, rules: &Rules, allowed: &[Strategy], compressing: bool) -> Option<usize> {
        let mut best: Option<(usize, usize)> = None;
        for (i, field) in self.fields.iter().enumerate() {
            let candidate = match field {
                Stored::Plain(_) => !compressing || !self.tried.get(i).copied().unwrap_or(true),
                Stored::Compressed { .. } => !compressing,
                Stored::Null | Stored::External(_) => false,
            };
            let strategy = rules.strategies.get(i).copied().unwrap_or(Strategy::Plain);
            if !candidate || !allowed.contains(&strategy) {
                continue;
            }
            let size = size_of_field(field, true);
            if size > SMALL && best.is_none_or(|(s, _)| size > s) {
                best = Some((size, i));
            }
        }
        best.map(|b| b.1)
    }

    fn replace(&mut self, i: usize, new: Stored<'static>) {
        if let Some(field) = self.fields.get_mut(i) {
            self.size -= size_of_field(field, true);
            self.size += size_of_field(&new, true);
            *field = new;
        }
    }

    fn compress(&mut self, i: usize) {
        if let Some(tried) = self.tried.get_mut(i) {
            *tried = true;
        }
        if let Some(Stored::Plain(value)) = self.fields.get(i)
            && let Some(block) = block::compress(value)
        {
            let raw = value.len() as u32;
            self.replace(i, Stored::Compressed { raw, block: Cow::Owned(block) });
        }
    }

    fn move_out(&mut self, i: usize, write: &mut dyn FnMut(&[u8]) -> Result<u32>) -> Result<()> {
        let pointer = match self.fields.get(i) {
            Some(Stored::Plain(value)) => {
                let n = value.len() as u32;
                External { id: write(value)?, raw: n, stored: n, compressed: false }
            }
            Some(Stored::Compressed { raw, block }) => {
                External { id: write(block)?, raw: *raw, stored: block.len() as u32, compressed: true }
            }
            _ => return Ok(()),
        };
        self.replace(i, Stored::External(pointer));
        Ok(())
    }
}

/// Makes the fields of a row small. `write` stores bytes elsewhere and gives their id; without it nothing is moved out.
pub fn shrink(
    layout: &TupleLayout,
    fields: &mut [Stored<'_>],
    rules: &Rules,
    mut write: Option<&mut dyn FnMut(&[u8]) -> Result<u32>>,
) -> Result<()> {
    let bitmap = if fields.contains(&Stored::Null) { fields.len().div_ceil(8) } else { 0 };
    let sizes = fields.iter().enumerate().map(|(i, f)| size_of_field(f, layout.is_variable(i)));
    let size = HEADER + 2 + bitmap + sizes.sum::<usize>();
    let tried = (0..fields.len()).map(|i| !layout.is_variable(i)).collect();
    let mut work = Work { fields, size, tried };
    let free = [Strategy::Extended, Strategy::External];
    while work.size > rules.target {
        let Some(i) = work.largest(rules, &free, true) else { break };
        if rules.strategies.get(i) == Some(&Strategy::Extended) {
            work.compress(i);
        } else if let Some(t) = work.tried.get_mut(i) {
            *t = true;
        }
        if let Some(write) = &mut write
            && work.fields.get(i).is_some_and(|f| size_of_field(f, true) > rules.target)
        {
            work.move_out(i, write)?;
        }
    }
    if let Some(write) = &mut write {
        while work.size > rules.target {
            let Some(i) = work.largest(rules, &free, false) else { break };
            work.move_out(i, write)?;
        }
    }
    while work.size > rules.target {
        let Some(i) = work.largest(rules, &[Strategy::Main], true) else { break };
        work.compress(i);
    }
    if let Some(write) = &mut write {
        while work.size > PAGE_TARGET.max(rules.target) {
            let Some(i) = work.largest(rules, &[Strategy::Main], false) else { break };
            work.move_out(i, write)?;
        }
    }
    Ok(())
}

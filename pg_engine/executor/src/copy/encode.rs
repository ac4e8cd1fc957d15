//! Bytes from rows.

use alloc::vec::Vec;

use pg_plan::utility::{CopyFormat, CopyOptions};
use pg_types::{Batch, ColumnData, Vector, format::FormatSettings, io, oid};

use super::{Column, SIGNATURE, Style};

/// Nothing that the text format would escape: digits, signs, points, words.
fn never_special(column: &Vector) -> bool {
    use ColumnData::{Bool, Float4, Float8, Int2, Int8, Numeric, Oid, Uuid};
    match &column.data {
        Int2(_) | Oid(_) | Bool(_) | Float4(_) | Float8(_) | Numeric(_) | Uuid(_) => true,
        ColumnData::Int4(_) => column.ty.oid == oid::INT4,
        Int8(_) => column.ty.oid == oid::INT8,
        _ => false,
    }
}

/// See the module.
pub struct Encoder {
    columns: Vec<Column>,
    style: Style,
    field: Vec<u8>,
    /// Columns of the batch at hand whose values can be written as they are.
    plain: Vec<bool>,
}

impl Encoder {
    /// For result columns.
    pub fn new(columns: Vec<Column>, options: &CopyOptions) -> Self {
        let style = Style::new(options, columns.len());
        Self { columns, style, field: Vec::new(), plain: Vec::new() }
    }
    /// The format is binary.
    pub fn is_binary(&self) -> bool {
        self.style.format == CopyFormat::Binary
    }
    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// What comes before the rows.
    pub fn header(&mut self, out: &mut Vec<u8>) {
        if self.is_binary() {
            out.extend_from_slice(SIGNATURE);
            out.extend_from_slice(&[0; 8]);
        } else if self.style.header {
            for i in 0..self.columns.len() {
                if i > 0 {
                    out.push(self.style.delimiter);
                }
                self.field.clear();
                let name = self.columns.get(i).map_or("", |c| &c.name);
                self.field.extend_from_slice(name.as_bytes());
                self.write_field(i, false, out);
            }
            out.push(b'\n');
        }
    }

    /// What comes after them.
    pub fn trailer(&self, out: &mut Vec<u8>) {
        if self.is_binary() {
            out.extend_from_slice(&(-1i16).to_be_bytes());
        }
    }

    /// The rows that follow are this batch's. Looking through a whole column for what must be escaped costs less than looking
    /// through its values one by one.
    pub fn batch(&mut self, batch: &Batch) {
        let Style { delimiter, format, .. } = self.style;
        let plain = format == CopyFormat::Text && matches!(delimiter, b'\t' | b'|' | b',' | b';');
        self.plain.clear();
        self.plain.extend(batch.columns.iter().map(|column| {
            plain
                && match &column.data {
                    ColumnData::Text(v) => find_special(&v.bytes, delimiter).is_none(),
                    _ => never_special(column),
                }
        }));
    }

    /// One row of the batch.
    pub fn row(&mut self, batch: &Batch, row: usize, settings: &FormatSettings, out: &mut Vec<u8>) {
        if self.is_binary() {
            return self.binary_row(batch, row, settings, out);
        }
        for (i, column) in batch.columns.iter().enumerate() {
            if i > 0 {
                out.push(self.style.delimiter);
            }
            if column.is_null(row) {
                out.extend_from_slice(&self.style.null);
                continue;
            }
            if self.plain.get(i).copied().unwrap_or(false) {
                io::output_row(column, row, settings, out);
                continue;
            }
            self.field.clear();
            io::output_row(column, row, settings, &mut self.field);
            let force = self.style.force_quote.get(i).copied().unwrap_or(false);
            self.write_field(i, force, out);
        }
        out.push(b'\n');
    }

    fn binary_row(&mut self, batch: &Batch, row: usize, settings: &FormatSettings, out: &mut Vec<u8>) {
        out.extend_from_slice(&i16::try_from(batch.columns.len()).unwrap_or(i16::MAX).to_be_bytes());
        for column in &batch.columns {
            if column.is_null(row) {
                out.extend_from_slice(&(-1i32).to_be_bytes());
                continue;
            }
            self.field.clear();
            io::send_row(column, row, settings, &mut self.field);
            out.extend_from_slice(&i32::try_from(self.field.len()).unwrap_or(i32::MAX).to_be_bytes());
            out.extend_from_slice(&self.field);
        }
    }

    /// Writes `self.field` as the format demands.
    fn write_field(&self, _column: usize, force: bool, out: &mut Vec<u8>) {
        let Style { delimiter, quote, escape, .. } = self.style;
        if self.style.format == CopyFormat::Csv {
            let special = |b: u8| b == delimiter || b == quote || b == b'\n' || b == b'\r';
            let alone = self.columns.len() == 1 && self.field == b"\\.";
            let clean = || find(&self.field, [delimiter, quote], special).is_none();
            if !(force || alone || self.field == self.style.null) && clean() {
                out.extend_from_slice(&self.field);
                return;
            }
            out.push(quote);
            for b in &self.field {
                if *b == quote || *b == escape {
                    out.push(escape);
                }
                out.push(*b);
            }
            out.push(quote);
            return;
        }
        let mut rest = self.field.as_slice();
        while let Some(at) = find_special(rest, delimiter) {
            let (plain, tail) = rest.split_at(at);
            out.extend_from_slice(plain);
            let Some((b, tail)) = tail.split_first() else { break };
            rest = tail;
            let letter = match *b {
                8 => b'b',
                9 => b't',
                10 => b'n',
                11 => b'v',
                12 => b'f',
                13 => b'r',
                b => b,
            };
            out.extend_from_slice(&[b'\\', letter]);
        }
        out.extend_from_slice(rest);
    }
}

/// Where the first byte is that the text format escapes.
fn find_special(bytes: &[u8], delimiter: u8) -> Option<usize> {
    find(bytes, [delimiter, b'\\'], |b| b == delimiter || b == b'\\' || (8..14).contains(&b))
}

/// Where the first byte for which `special` holds is; that must be one of `two` or below 14. Eight bytes at a time: most
/// text has none.
fn find(bytes: &[u8], two: [u8; 2], special: impl Fn(u8) -> bool) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let words = two.map(|b| u64::from(b) * ONES);
    let mut chunks = bytes.chunks_exact(8);
    let mut at = 0;
    for chunk in &mut chunks {
        let word = chunk.first_chunk().map_or(0, |c| u64::from_ne_bytes(*c));
        // A byte less than n (below 128) lends from the bit above it. Bytes behind it may be flagged wrongly: no harm.
        let low = |word: u64, n: u64| word.wrapping_sub(n * ONES) & !word;
        let flags = low(word, 14) | low(word ^ words[0], 1) | low(word ^ words[1], 1);
        if flags & (ONES << 7) != 0
            && let Some(n) = chunk.iter().position(|b| special(*b))
        {
            return Some(at + n);
        }
        at += 8;
    }
    chunks.remainder().iter().position(|b| special(*b)).map(|n| at + n)
}

#[cfg(test)]
mod tests {
    use super::find_special;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(
            bytes in proptest::collection::vec(prop_oneof![0u8..20, Just(b'\\'), any::<u8>(), Just(b'x')], 0..60),
            delimiter: u8,
        ) {
            let special = |b: u8| b == delimiter || b == b'\\' || (8..14).contains(&b);
            let plain = bytes.iter().position(|b| special(*b));
            prop_assert_eq!(find_special(&bytes, delimiter), plain);
        }
    }
}

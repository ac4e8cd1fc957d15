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
}

impl Encoder {
    /// For result columns.
    pub fn new(columns: Vec<Column>, options: &CopyOptions) -> Self {
        let style = Style::new(options, columns.len());
        Self { columns, style, field: Vec::new() }
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

    /// One row of a batch.
    pub fn row(&mut self, batch: &Batch, row: usize, settings: &FormatSettings, out: &mut Vec<u8>) {
        if self.is_binary() {
            return self.binary_row(batch, row, out);
        }
        let plain = self.style.format == CopyFormat::Text
            && matches!(self.style.delimiter, b'\t' | b'|' | b',' | b';');
        for (i, column) in batch.columns.iter().enumerate() {
            if i > 0 {
                out.push(self.style.delimiter);
            }
            if column.is_null(row) {
                out.extend_from_slice(&self.style.null);
                continue;
            }
            if plain && never_special(column) {
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

    fn binary_row(&mut self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&i16::try_from(batch.columns.len()).unwrap_or(i16::MAX).to_be_bytes());
        for column in &batch.columns {
            if column.is_null(row) {
                out.extend_from_slice(&(-1i32).to_be_bytes());
                continue;
            }
            self.field.clear();
            io::send_row(column, row, &mut self.field);
            out.extend_from_slice(&i32::try_from(self.field.len()).unwrap_or(i32::MAX).to_be_bytes());
            out.extend_from_slice(&self.field);
        }
    }

    /// Writes `self.field` as the format demands.
    fn write_field(&self, _column: usize, force: bool, out: &mut Vec<u8>) {
        let Style { delimiter, quote, escape, .. } = self.style;
        if self.style.format == CopyFormat::Csv {
            let special = |b: &u8| *b == delimiter || *b == quote || *b == b'\n' || *b == b'\r';
            let alone = self.columns.len() == 1 && self.field == b"\\.";
            if !(force || alone || self.field == self.style.null || self.field.iter().any(special)) {
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
        while let Some(at) = rest.iter().position(|b| *b == delimiter || *b == b'\\' || (8..14).contains(b)) {
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

//! COPY's file formats: rows from bytes ([`Decoder`]) and bytes from rows ([`Encoder`]).
//!
//! The decoder takes data in pieces of any size and gives batches; what is not a whole row yet waits for the next piece.

mod binary;
mod decode;
mod encode;
mod field;
#[cfg(test)]
mod tests;

use alloc::{string::String, vec::Vec};

use pg_plan::utility::{CopyFormat, CopyOptions};
use pg_types::SqlType;

pub use decode::Decoder;
pub use encode::Encoder;

/// A column of the file.
#[derive(Clone, Debug)]
pub struct Column {
    /// Name, for headers and messages.
    pub name: String,
    /// Type.
    pub ty: SqlType,
}

/// The options with the format's defaults filled in.
#[derive(Clone, Debug)]
struct Style {
    format: CopyFormat,
    delimiter: u8,
    null: Vec<u8>,
    quote: u8,
    escape: u8,
    header: bool,
    header_match: bool,
    force_quote: Vec<bool>,
    force_not_null: Vec<bool>,
    force_null: Vec<bool>,
}

impl Style {
    fn new(options: &CopyOptions, columns: usize) -> Self {
        let csv = options.format == CopyFormat::Csv;
        let quote = options.quote.unwrap_or(b'"');
        let flags = |list: &[u32]| {
            (0..columns).map(|i| list.iter().any(|n| usize::try_from(*n) == Ok(i))).collect::<Vec<bool>>()
        };
        Self {
            format: options.format,
            delimiter: options.delimiter.unwrap_or(if csv { b',' } else { b'\t' }),
            null: options
                .null
                .clone()
                .map_or_else(|| if csv { Vec::new() } else { b"\\N".to_vec() }, String::into_bytes),
            quote,
            escape: options.escape.unwrap_or(quote),
            header: options.header,
            header_match: options.header_match,
            force_quote: flags(&options.force_quote),
            force_not_null: flags(&options.force_not_null),
            force_null: flags(&options.force_null),
        }
    }
}

/// Starts a binary file.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

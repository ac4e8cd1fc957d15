//! The binary format's rows.

use alloc::{format, string::String};

use pg_types::{Result, SqlError, SqlState, VectorBuilder, format::FormatSettings, io};

use super::{Column, SIGNATURE};

fn bad_format(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message.into())
}

fn int(input: &[u8], at: usize) -> Option<i32> {
    input.get(at..)?.first_chunk().map(|b| i32::from_be_bytes(*b))
}

/// Length of the file header; `None`: not all there.
pub fn header(input: &[u8]) -> Result<Option<usize>> {
    let seen = input.len().min(SIGNATURE.len());
    if input.get(..seen) != SIGNATURE.get(..seen) {
        return Err(bad_format("COPY file signature not recognized"));
    }
    let (Some(flags), Some(extension)) = (int(input, 11), int(input, 15)) else { return Ok(None) };
    if flags & (1 << 16) != 0 {
        return Err(bad_format("invalid COPY file header (WITH OIDS)"));
    }
    if flags.cast_unsigned() & 0xfffe_0000 != 0 {
        return Err(bad_format("unrecognized critical flags in COPY file header"));
    }
    let Ok(extension) = usize::try_from(extension) else {
        return Err(bad_format("invalid COPY file header (missing length)"));
    };
    let whole = extension.saturating_add(19);
    Ok(Some(whole).filter(|n| *n <= input.len()))
}

/// What the input begins with.
pub enum Row {
    /// Part of a row.
    Incomplete,
    /// The end marker.
    End,
    /// A row of so many bytes, stored.
    Read(usize),
}

/// Reads a row into the columns.
pub fn row(
    input: &[u8],
    columns: &[Column],
    settings: &FormatSettings,
    builders: &mut [VectorBuilder],
) -> Result<Row> {
    let Some(count) = input.first_chunk().map(|b| i16::from_be_bytes(*b)) else { return Ok(Row::Incomplete) };
    if count == -1 {
        return Ok(Row::End);
    }
    if usize::try_from(count) != Ok(columns.len()) {
        return Err(bad_format(format!("row field count is {count}, expected {}", columns.len())));
    }
    // Is it all there? Only then is anything stored.
    let mut at = 2;
    for _ in columns {
        let Some(len) = int(input, at) else { return Ok(Row::Incomplete) };
        at += 4;
        if len == -1 {
            continue;
        }
        let Ok(len) = usize::try_from(len) else { return Err(bad_format("invalid field size")) };
        at = at.saturating_add(len);
        if at > input.len() {
            return Ok(Row::Incomplete);
        }
    }
    let mut at = 2;
    for (column, builder) in columns.iter().zip(builders) {
        let len = int(input, at).unwrap_or(-1);
        at += 4;
        match usize::try_from(len) {
            Err(_) => builder.push_null(),
            Ok(len) => {
                let bytes = input.get(at..at + len).unwrap_or_default();
                builder.push(&io::receive(column.ty, bytes, settings)?)?;
                at += len;
            }
        }
    }
    Ok(Row::Read(at))
}

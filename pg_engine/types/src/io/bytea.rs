//! bytea.

use alloc::{boxed::Box, format, vec::Vec};

use crate::{
    error::{Result, SqlError, SqlState},
    format::ByteaOutput,
};

pub(super) fn parse(text: &str) -> Result<Box<[u8]>> {
    match text.as_bytes() {
        [b'\\', b'x', hex @ ..] => parse_hex(text, hex),
        bytes => parse_escape(bytes),
    }
}

fn parse_hex(text: &str, hex: &[u8]) -> Result<Box<[u8]>> {
    let bad = |message| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let mut out = Vec::with_capacity(hex.len() / 2);
    let mut rest = hex;
    while let [first, tail @ ..] = rest {
        if matches!(first, b' ' | b'\n' | b'\t' | b'\r') {
            rest = tail;
            continue;
        }
        let digit = |b: u8| {
            (b as char).to_digit(16).ok_or_else(|| {
                let at = text.len() - tail.len() - 1;
                let shown = text.get(at..).into_iter().flat_map(str::chars).find(|c| !c.is_ascii_hexdigit());
                bad(format!("invalid hexadecimal digit: \"{}\"", shown.unwrap_or(b as char)))
            })
        };
        let high = digit(*first)?;
        let [second, after @ ..] = tail else {
            return Err(bad("invalid hexadecimal data: odd number of digits".into()));
        };
        out.push((high << 4 | digit(*second)?) as u8);
        rest = after;
    }
    Ok(out.into())
}

fn parse_escape(mut rest: &[u8]) -> Result<Box<[u8]>> {
    let mut out = Vec::with_capacity(rest.len());
    loop {
        rest = match rest {
            [] => return Ok(out.into()),
            [b'\\', b'\\', tail @ ..] => {
                out.push(b'\\');
                tail
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                tail
            }
            [b'\\', ..] => {
                return Err(SqlError::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    "invalid input syntax for type bytea",
                ));
            }
            [b, tail @ ..] => {
                out.push(*b);
                tail
            }
        };
    }
}

pub(super) fn write(v: &[u8], style: ByteaOutput, out: &mut Vec<u8>) {
    match style {
        ByteaOutput::Hex => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.reserve(2 + v.len() * 2);
            out.extend_from_slice(b"\\x");
            out.extend(v.iter().flat_map(|b| [HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]));
        }
        ByteaOutput::Escape => {
            for &b in v {
                match b {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    0x20..=0x7e => out.push(b),
                    _ => {
                        out.extend_from_slice(&[b'\\', b'0' + (b >> 6), b'0' + (b >> 3 & 7), b'0' + (b & 7)]);
                    }
                }
            }
        }
    }
}

//! From UTF-8.

use alloc::{borrow::Cow, vec::Vec};

use encoding_rs::EncoderResult;
use pg_types::Result;

use crate::{
    Encoding,
    charset::{NONE, Table},
    error::untranslatable,
};

impl Encoding {
    /// The whole of a text.
    ///
    /// # Errors
    /// 22P05 for a character that the set has not.
    pub fn encode(self, text: &str) -> Result<Cow<'_, [u8]>> {
        if self.is_plain() || text.is_ascii() {
            return Ok(Cow::Borrowed(text.as_bytes()));
        }
        let mut out = Vec::with_capacity(text.len());
        for c in text.chars() {
            if c.is_ascii() {
                out.push(c as u8);
            } else if !self.put(c, &mut out) {
                let mut bytes = [0; 4];
                return Err(untranslatable(Self::UTF8, self, c.encode_utf8(&mut bytes).as_bytes()));
            }
        }
        Ok(Cow::Owned(out))
    }

    /// As [`Encoding::encode`], with a question mark for what the set has not.
    pub fn encode_lossy(self, text: &str) -> Cow<'_, [u8]> {
        if self.is_plain() || text.is_ascii() {
            return Cow::Borrowed(text.as_bytes());
        }
        let mut out = Vec::with_capacity(text.len());
        for c in text.chars() {
            if c.is_ascii() {
                out.push(c as u8);
            } else if !self.put(c, &mut out) {
                out.push(b'?');
            }
        }
        Cow::Owned(out)
    }

    /// Appends one character beyond ASCII; false: the set has it not.
    fn put(self, c: char, out: &mut Vec<u8>) -> bool {
        match self.table() {
            Table::None | Table::Missing => false,
            Table::Latin(list) => {
                let byte = list.iter().find(|(_, at)| *at == c).map(|(b, _)| *b);
                let same = || u8::try_from(u32::from(c)).ok().filter(|b| list.iter().all(|(at, _)| at != b));
                byte.or_else(same).map(|b| out.push(b)).is_some()
            }
            Table::Library(table, _, list) => {
                if let Some((byte, _)) = list.iter().find(|(_, at)| *at == c && c != NONE) {
                    out.push(*byte);
                    return true;
                }
                let (mut source, mut buffer) = ([0; 4], [0; 16]);
                let (result, _, written) = table.new_encoder().encode_from_utf8_without_replacement(
                    c.encode_utf8(&mut source),
                    &mut buffer,
                    true,
                );
                let bytes = buffer.get(..written).unwrap_or_default();
                // The library's set may be larger than PostgreSQL's.
                let whole = self.first(bytes) == Some(bytes);
                if result != EncoderResult::InputEmpty || !whole || self.character(bytes) != Some(c) {
                    return false;
                }
                out.extend_from_slice(bytes);
                true
            }
        }
    }
}

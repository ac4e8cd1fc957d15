//! To UTF-8.

use alloc::{borrow::Cow, string::String, vec::Vec};

use encoding_rs::DecoderResult;
use pg_types::{Result, io::valid_text};

use crate::{
    Encoding,
    charset::{NONE, Shape, Table, Unlike},
    error::{invalid, untranslatable},
};

impl Encoding {
    /// The whole of a text.
    ///
    /// # Errors
    /// 22021 for bytes that are no character, a zero byte among them; 22P05 for one that UTF-8 has not.
    pub fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>> {
        if self.is_plain() || bytes.is_ascii() {
            let named = |e| if self.is_plain() { e } else { invalid(self, &[0]) };
            return valid_text(bytes).map(Cow::Borrowed).map_err(named);
        }
        let mut text = String::with_capacity(bytes.len() + bytes.len() / 2);
        let used = self.decode_some(bytes, &mut text)?;
        match bytes.get(used..) {
            None | Some([]) => Ok(Cow::Owned(text)),
            Some(rest) => Err(invalid(self, rest)),
        }
    }

    /// Characters of a text.
    ///
    /// # Errors
    /// 22021, as for [`Encoding::decode`].
    pub fn count(self, bytes: &[u8]) -> Result<usize> {
        if self.is_plain() {
            return valid_text(bytes).map(|s| s.chars().count());
        }
        let (mut n, mut at) = (0, 0);
        while let Some(rest) = bytes.get(at..).filter(|r| !r.is_empty()) {
            let one = self.first(rest).ok_or_else(|| invalid(self, rest))?;
            self.check(one)?;
            at += one.len();
            n += 1;
        }
        Ok(n)
    }

    /// Decodes all complete characters; tells how many bytes that were.
    fn decode_some(self, bytes: &[u8], text: &mut String) -> Result<usize> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|r| !r.is_empty()) {
            let plain = rest.iter().position(|b| !b.is_ascii() || *b == 0).unwrap_or(rest.len());
            if let Some(run) = rest.get(..plain).and_then(|r| core::str::from_utf8(r).ok()) {
                text.push_str(run);
            }
            at += plain;
            let Some(rest) = rest.get(plain..).filter(|r| !r.is_empty()) else { break };
            let Some(one) = self.first(rest) else { break };
            self.check(one)?;
            text.push(self.character(one).ok_or_else(|| untranslatable(self, Self::UTF8, one))?);
            at += one.len();
        }
        Ok(at)
    }

    /// The bytes of the first character; `None`: it is not complete.
    pub(crate) fn first(self, bytes: &[u8]) -> Option<&[u8]> {
        let lead = *bytes.first()?;
        let len = match (self.shape(), lead) {
            (_, ..0x80) | (Shape::Single | Shape::Utf8, _) | (Shape::ShiftJis, 0xa1..=0xdf) => 1,
            (Shape::Euc, 0x8f) => 3,
            (Shape::Gb18030, _) if matches!(bytes.get(1)?, 0x30..=0x39) => 4,
            _ => 2,
        };
        bytes.get(..len)
    }

    /// Can these bytes be a character at all?
    fn check(self, one: &[u8]) -> Result<()> {
        let tail = one.get(1..).unwrap_or_default();
        let fine = match self.shape() {
            _ if one.first() == Some(&0) => false,
            Shape::Single | Shape::Utf8 => true,
            Shape::Euc => {
                let lead = one.first().copied().unwrap_or(0);
                (one.len() == 1 || matches!(lead, 0x8e | 0x8f | 0xa1..=0xfe))
                    && tail.iter().all(|b| (0xa1..=0xfe).contains(b))
            }
            Shape::Double | Shape::Gb18030 => !tail.contains(&0),
            Shape::ShiftJis => {
                let lead = one.first().copied().unwrap_or(0);
                one.len() == 1
                    || matches!(lead, 0x81..=0x9f | 0xe0..=0xfc)
                        && tail.iter().all(|b| matches!(b, 0x40..=0x7e | 0x80..=0xfc))
            }
        };
        if fine { Ok(()) } else { Err(invalid(self, one)) }
    }

    /// The character that these bytes are; `None`: there is none.
    pub(crate) fn character(self, one: &[u8]) -> Option<char> {
        let listed = |list: &[(u8, char)]| match one {
            [b] => list.iter().find(|(at, _)| at == b).map(|(_, c)| *c),
            _ => None,
        };
        match self.table() {
            Table::None | Table::Missing => None,
            Table::Latin(list) => match one {
                [b] => listed(list).or(Some(char::from(*b))),
                _ => None,
            },
            Table::Library(table, unlike, list) => {
                if let Some(c) = listed(list) {
                    return Some(c).filter(|c| *c != NONE);
                }
                let mut buffer = [0; 16];
                let (result, read, written) = table
                    .new_decoder_without_bom_handling()
                    .decode_to_utf8_without_replacement(one, &mut buffer, true);
                if result != DecoderResult::InputEmpty || read != one.len() {
                    return None;
                }
                let text = core::str::from_utf8(buffer.get(..written)?).ok()?;
                let mut chars = text.chars();
                let c = chars.next().filter(|_| chars.next().is_none())?;
                (!unlike.leaves_out(one, c)).then_some(c)
            }
        }
    }
}

impl Unlike {
    fn leaves_out(self, bytes: &[u8], c: char) -> bool {
        let lead = bytes.first().copied().unwrap_or(0);
        match self {
            Self::Nothing => false,
            Self::Controls => matches!(c, '\u{80}'..='\u{9f}'),
            Self::Private => matches!(c, '\u{e000}'..='\u{f8ff}'),
            Self::Low => bytes.len() > 1 && bytes.iter().any(|b| *b < 0xa1),
            Self::LowLead => bytes.len() > 1 && lead < 0xa1,
            Self::HighLead => bytes.len() == 2 && lead > 0xf4,
        }
    }
}

/// Decodes a text that comes in pieces; a character may be cut between two.
#[derive(Debug)]
pub struct Decoder {
    encoding: Encoding,
    left: Vec<u8>,
    text: String,
}

impl Decoder {
    /// For an encoding that is supported and not plain.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, left: Vec::new(), text: String::new() }
    }

    /// What this piece completes.
    ///
    /// # Errors
    /// As [`Encoding::decode`].
    pub fn push(&mut self, piece: &[u8]) -> Result<&str> {
        self.text.clear();
        let mut joined = core::mem::take(&mut self.left);
        let all = if joined.is_empty() {
            piece
        } else {
            joined.extend_from_slice(piece);
            &joined
        };
        let used = self.encoding.decode_some(all, &mut self.text)?;
        self.left = all.get(used..).unwrap_or_default().to_vec();
        Ok(&self.text)
    }

    /// The text ends here.
    ///
    /// # Errors
    /// 22021: within a character.
    pub fn finish(&self) -> Result<()> {
        if self.left.is_empty() { Ok(()) } else { Err(invalid(self.encoding, &self.left)) }
    }
}

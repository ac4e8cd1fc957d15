//! SASLprep (RFC 4013): the form in which passwords are hashed.
//!
//! Mapping, NFKC normalisation and the prohibition tables are applied; the bidirectional rule is not (a password that
//! breaks it is accepted as written, where RFC 4013 would refuse it). As in PostgreSQL, a password that cannot be
//! prepared is used as its raw bytes.

use alloc::{borrow::Cow, string::String};

use unicode_normalization::UnicodeNormalization;

/// The password to hash.
pub fn prepare(password: &str) -> Cow<'_, str> {
    if password.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Cow::Borrowed(password);
    }
    let prepared: String =
        password.chars().filter(|c| !ignored(*c)).map(|c| if space(c) { ' ' } else { c }).nfkc().collect();
    if prepared.is_empty() || prepared.chars().any(prohibited) {
        Cow::Borrowed(password)
    } else {
        Cow::Owned(prepared)
    }
}

/// Table B.1: commonly mapped to nothing.
fn ignored(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200b}'..='\u{200d}' | '\u{2060}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Table C.1.2: spaces other than the ASCII one.
fn space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// Tables C.2 to C.9.
fn prohibited(c: char) -> bool {
    let n = u32::from(c);
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{6dd}' | '\u{70f}' | '\u{180e}' | '\u{200c}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2063}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffd}' | '\u{1d173}'..='\u{1d17a}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}'
        | '\u{2ff0}'..='\u{2ffb}' | '\u{340}' | '\u{341}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
        || n & 0xfffe == 0xfffe
        || (0xf_0000..=0x10_fffd).contains(&n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4013_examples() {
        assert_eq!(prepare("I\u{ad}X"), "IX");
        assert_eq!(prepare("user"), "user");
        assert_eq!(prepare("USER"), "USER");
        assert_eq!(prepare("\u{aa}"), "a");
        assert_eq!(prepare("\u{2168}"), "IX");
        // Prohibited: kept as it is.
        assert_eq!(prepare("\u{7}"), "\u{7}");
        assert_eq!(prepare("a\u{a0}b"), "a b");
    }
}

//! Statements that differ in their constants only, as one: a number that they share and a text that stands for them all.
//!
//! The text is the first one's with `$1`, `$2` in place of its constants, as `pg_stat_statements` shows it. The number is
//! a hash of its tokens, so that comments and spaces do not matter.

use alloc::{format, string::String};

use pg_types::Result;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::{grammar::token_bytes, lexer};

/// FNV-1a: the number must be the same after a restart, and on another machine.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

fn mix(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |h, b| (h ^ u64::from(*b)).wrapping_mul(PRIME))
}

fn is_constant(token: &Token) -> bool {
    matches!(
        token,
        Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DollarQuotedString(_)
    )
}

/// The highest number of a parameter in the text.
fn parameters(tokens: &[TokenWithSpan]) -> u32 {
    let number = |t: &TokenWithSpan| match &t.token {
        Token::Placeholder(p) => p.strip_prefix('$').and_then(|n| n.parse().ok()),
        _ => None,
    };
    tokens.iter().filter_map(number).max().unwrap_or(0)
}

/// The number of a statement and the text for all that share it. `constants`: those are taken out (as of queries, not of
/// other statements).
pub fn fingerprint(text: &str, constants: bool) -> Result<(u64, String)> {
    let tokens = lexer::tokenize(text)?;
    let (mut hash, mut out, mut copied) = (BASIS, String::with_capacity(text.len()), 0);
    let mut next = parameters(&tokens);
    for t in tokens.iter().filter(|t| t.token != Token::EOF) {
        let range = token_bytes(t);
        let written = text.get(range.clone()).unwrap_or("");
        if constants && is_constant(&t.token) {
            next += 1;
            out.push_str(text.get(copied..range.start).unwrap_or(""));
            out.push_str(&format!("${next}"));
            copied = range.end;
            hash = mix(hash, b"$");
        } else if matches!(&t.token, Token::Word(w) if w.quote_style.is_none()) {
            hash = mix(hash, written.to_ascii_lowercase().as_bytes());
        } else {
            hash = mix(hash, written.as_bytes());
        }
        hash = mix(hash, b" ");
    }
    out.push_str(text.get(copied..).unwrap_or(""));
    Ok((hash, String::from(out.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_spaces_and_case_do_not_matter() {
        let (a, text) = fingerprint(" SELECT a + 1 FROM t WHERE b = 'x' AND c = $1", true).unwrap();
        assert_eq!(text, "SELECT a + $2 FROM t WHERE b = $3 AND c = $1");
        let (b, _) = fingerprint("select a+27 /* more */ from T where b = E'y' and c = $1", true).unwrap();
        assert_eq!(a, b);
        let (c, _) = fingerprint("SELECT a - 1 FROM t WHERE b = 'x' AND c = $1", true).unwrap();
        assert_ne!(a, c);
        let (_, text) = fingerprint("SET work_mem = '1MB'", false).unwrap();
        assert_eq!(text, "SET work_mem = '1MB'");
    }
}

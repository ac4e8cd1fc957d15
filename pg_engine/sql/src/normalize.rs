//! Literals out of a statement's text, so that texts that differ in them only share a plan.
//!
//! `UPDATE t SET a = 5 WHERE id = 17` becomes `UPDATE t SET a = $1 WHERE id = $2` with the values 5 and 17: what a client
//! that binds parameters would have sent. An integer becomes a parameter declared with the type that the literal would
//! have had, a string one without a type, as its literal would have been `unknown`; both resolve alike from there. What
//! follows ORDER BY, GROUP BY or LIMIT stays (a number there may be a column's place), and so do type modifiers. Where
//! the grammar wants a literal, the changed text does not parse: the caller takes the original then, as it does for any
//! other error, so that positions in messages are those of the text that the client sent.

use alloc::{boxed::Box, string::String, vec::Vec};

/// Most literals of a statement; one with more is a bulk load whose text does not come twice.
const MAX_LITERALS: usize = 64;
/// Longer texts are left alone.
const MAX_TEXT: usize = 8 << 10;

/// A literal that was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal<'a> {
    /// An integer that fits 32 bits.
    Int4(i32),
    /// An integer that fits 64 bits only.
    Int8(i64),
    /// A string as written between the quotes: quotes inside are doubled if the flag says so.
    Text(&'a str, bool),
}

/// Words after which numbers may mean something else than a value.
fn freezes(word: &[u8]) -> bool {
    const WORDS: [&[u8]; 7] = [b"order", b"group", b"limit", b"offset", b"fetch", b"window", b"within"];
    let may = matches!(word.first().map(u8::to_ascii_lowercase), Some(b'o' | b'g' | b'l' | b'f' | b'w'));
    may && (5..=6).contains(&word.len()) && WORDS.iter().any(|w| w.eq_ignore_ascii_case(word))
}

/// Bytes of words. A table, as every byte of every simple query is looked at.
static WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        table[b] = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80;
        b += 1;
    }
    table
};

fn is_word(b: u8) -> bool {
    WORD[usize::from(b)]
}

fn starts_change_or_query(word: &[u8]) -> bool {
    word.len() == 6
        && [&b"select"[..], b"insert", b"update", b"delete"].iter().any(|w| w.eq_ignore_ascii_case(word))
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Copied so far.
    copied: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn skip(&mut self, keep: impl Fn(u8) -> bool) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let n = rest.iter().position(|b| !keep(*b)).unwrap_or(rest.len());
        self.at += n;
        n
    }

    fn since(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// Behind a quoted stretch, whose opening quote was read; whether quotes inside were doubled.
    fn quoted(&mut self, quote: u8) -> Option<bool> {
        let mut doubled = false;
        loop {
            self.skip(|b| b != quote);
            if self.peek() != quote {
                return None;
            }
            self.at += 1;
            if self.peek() != quote {
                return Some(doubled);
            }
            self.at += 1;
            doubled = true;
        }
    }

    /// Puts a parameter in place of what was read since `from`.
    fn replace(&mut self, from: usize, number: usize, out: &mut String) {
        out.push_str(self.text.get(self.copied..from).unwrap_or_default());
        self.copied = self.at;
        out.push('$');
        if number >= 10 {
            out.push(char::from(b'0' + (number / 10 % 10) as u8));
        }
        out.push(char::from(b'0' + (number % 10) as u8));
    }
}

fn integer(digits: &str) -> Option<Literal<'static>> {
    let v = if digits.len() <= 19 { digits.parse::<i64>().ok()? } else { return None };
    Some(i32::try_from(v).map_or(Literal::Int8(v), Literal::Int4))
}

/// Takes the literals out of one SELECT, INSERT, UPDATE or DELETE: `out` gets the text with parameters, `literals` what
/// they stand for. `None`: the statement is none of these, or not for us, or holds no literal.
pub fn normalize<'a>(text: &'a str, out: &mut String, literals: &mut Vec<Literal<'a>>) -> Option<()> {
    out.clear();
    literals.clear();
    if text.len() > MAX_TEXT {
        return None;
    }
    let mut s = Scanner { text, at: 0, copied: 0 };
    s.skip(|b| b.is_ascii_whitespace());
    let start = s.at;
    s.skip(is_word);
    if !starts_change_or_query(s.since(start).as_bytes()) {
        return None;
    }
    let (mut frozen, mut type_name, mut modifiers) = (false, false, false);
    loop {
        let from = s.at;
        let b = s.peek();
        match b {
            0 if s.at >= text.len() => break,
            b' ' | b'\n' | b'\t' | b'\r' | 0x0c => {
                s.at += 1;
                continue;
            }
            b'0'..=b'9' => {
                s.skip(|b| b.is_ascii_digit());
                // Fractions and exponents are numeric literals with a scale: they stay.
                if s.skip(|b| is_word(b) || b == b'.') == 0
                    && !frozen
                    && !modifiers
                    && let Some(literal) = integer(s.since(from))
                {
                    literals.push(literal);
                    s.replace(from, literals.len(), out);
                }
            }
            b'.' => {
                s.at += 1;
                s.skip(|b| b.is_ascii_digit());
            }
            b'\'' => {
                s.at += 1;
                let doubled = s.quoted(b'\'')?;
                let inner = text.get(from + 1..s.at - 1)?;
                let end = s.at;
                s.skip(|b| b.is_ascii_whitespace());
                // The literal may go on in the next line.
                if s.peek() == b'\'' {
                    return None;
                }
                s.at = end;
                if !frozen {
                    literals.push(Literal::Text(inner, doubled));
                    s.replace(from, literals.len(), out);
                }
            }
            b'"' => {
                s.at += 1;
                s.quoted(b'"')?;
            }
            // Parameters, dollar quotes, comments, several statements.
            b'$' => return None,
            b'-' | b'/' => {
                s.at += 1;
                if matches!((b, s.peek()), (b'-', b'-') | (b'/', b'*')) {
                    return None;
                }
            }
            b';' => {
                s.at += 1;
                s.skip(|b| b.is_ascii_whitespace());
                if s.at < text.len() {
                    return None;
                }
                out.push_str(text.get(s.copied..from)?);
                s.copied = s.at;
                break;
            }
            b':' if text.as_bytes().get(from + 1) == Some(&b':') => {
                s.at += 2;
                type_name = true;
                continue;
            }
            b'(' => {
                s.at += 1;
                modifiers = type_name;
            }
            b')' => {
                s.at += 1;
                modifiers = false;
            }
            _ if is_word(b) => {
                s.skip(is_word);
                // E'..', B'..', U&'..' and the like.
                if s.peek() == b'\'' || (s.peek() == b'&' && s.at == from + 1) {
                    return None;
                }
                let word = s.since(from).as_bytes();
                frozen |= freezes(word);
                if type_name || word.eq_ignore_ascii_case(b"as") {
                    type_name = true;
                    continue;
                }
            }
            _ => s.at += 1,
        }
        type_name = false;
        if literals.len() > MAX_LITERALS {
            return None;
        }
    }
    if literals.is_empty() {
        return None;
    }
    out.push_str(text.get(s.copied..)?);
    Some(())
}

/// A text that was taken apart, and whose literals were integers: one that differs in these only need not be looked at again
/// byte by byte.
#[derive(Debug)]
pub struct Pattern {
    /// What stands before, between and behind the integers.
    pieces: Box<[Box<str>]>,
}

impl Pattern {
    /// Of a text that [`normalize`] made `shape` and `literals` of; `None`: they are not all small integers.
    pub fn of(text: &str, shape: &str, literals: &[Literal<'_>]) -> Option<Self> {
        let (mut pieces, mut rest, mut shape) = (Vec::with_capacity(literals.len() + 1), text, shape);
        for (n, literal) in literals.iter().enumerate() {
            let Literal::Int4(_) = literal else { return None };
            // A `$` inside a name is taken for a parameter's too: no digits stand there in the text, and there is no pattern.
            let (piece, behind) = shape.split_once('$')?;
            rest = rest.strip_prefix(piece)?;
            pieces.push(piece.into());
            shape = behind.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest = rest.get(digits..).filter(|_| digits > 0 && n < MAX_LITERALS)?;
        }
        // A semicolon and blanks may follow.
        pieces.push(rest.into());
        rest.starts_with(shape).then_some(Self { pieces: pieces.into() })
    }

    /// Does the text differ in the integers only? Then `literals` are what it has.
    #[inline]
    pub fn fits(&self, text: &str, literals: &mut Vec<Literal<'static>>) -> bool {
        literals.clear();
        let Some((first, others)) = self.pieces.split_first() else { return false };
        let Some(mut rest) = text.as_bytes().strip_prefix(first.as_bytes()) else { return false };
        for piece in others {
            let mut value = 0i32;
            let mut digits = 0;
            while let Some(d) = rest.get(digits).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
                // Ten digits may be too many.
                if digits == 9 {
                    return false;
                }
                value = value * 10 + i32::from(d);
                digits += 1;
            }
            let Some(behind) = rest.get(digits..).and_then(|r| r.strip_prefix(piece.as_bytes())) else {
                return false;
            };
            if digits == 0 {
                return false;
            }
            rest = behind;
            literals.push(Literal::Int4(value));
        }
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(String, Vec<Literal<'_>>)> {
        let (mut out, mut literals) = (String::new(), Vec::new());
        normalize(text, &mut out, &mut literals).map(|()| (out, literals))
    }

    #[test]
    fn values_become_parameters() {
        let (text, values) = parts("UPDATE t SET a = a + -5, b='it''s' WHERE id = 3000000000;\n").unwrap();
        assert_eq!(text, "UPDATE t SET a = a + -$1, b=$2 WHERE id = $3");
        assert_eq!(values, [Literal::Int4(5), Literal::Text("it''s", true), Literal::Int8(3_000_000_000)]);
    }

    #[test]
    fn texts_that_differ_in_integers_fit_a_pattern() {
        let text = "SELECT a FROM t WHERE id = 17 AND b IN (1,2);\n";
        let (shape, literals) = parts(text).unwrap();
        let pattern = Pattern::of(text, &shape, &literals).unwrap();
        let fits = |text: &str| {
            let mut literals = Vec::new();
            pattern.fits(text, &mut literals).then_some(literals)
        };
        for (text, same) in [
            (text, true),
            ("SELECT a FROM t WHERE id = 0 AND b IN (10,999999999);\n", true),
            ("SELECT a FROM t WHERE id = 9999999999 AND b IN (1,2);\n", false),
            ("SELECT a FROM t WHERE id = 17.5 AND b IN (1,2);\n", false),
            ("SELECT a FROM t WHERE id = -17 AND b IN (1,2);\n", false),
            ("SELECT a FROM t WHERE id =  AND b IN (1,2);\n", false),
            ("SELECT a FROM t WHERE id = 17 AND b IN (1,2)", false),
            ("SELECT a FROM t WHERE id = 17 AND b IN (1,2,3);\n", false),
            ("", false),
        ] {
            let (shape_here, wanted) = parts(text).unwrap_or_default();
            let found = fits(text);
            assert_eq!(found.is_some(), same, "{text}");
            assert!(found.is_none_or(|f| f == wanted && shape == shape_here), "{text}");
        }
        let (shape, literals) = parts("select 'a', 1").unwrap();
        assert!(Pattern::of("select 'a', 1", &shape, &literals).is_none());
    }

    #[test]
    fn identifiers_fractions_and_modifiers_stay() {
        let (text, _) = parts("select t1.a2, 1.5, .5, 1e3, \"7\", x::numeric(10,2), 4 from t1").unwrap();
        assert_eq!(text, "select t1.a2, 1.5, .5, 1e3, \"7\", x::numeric(10,2), $1 from t1");
        let (text, _) = parts("select cast(a as varchar(3)), f(8) from t").unwrap();
        assert_eq!(text, "select cast(a as varchar(3)), f($1) from t");
    }

    #[test]
    fn places_and_limits_stay() {
        let (text, _) = parts("select a from t where b = 1 order by 2 limit 3").unwrap();
        assert_eq!(text, "select a from t where b = $1 order by 2 limit 3");
    }

    #[test]
    fn what_is_not_for_us() {
        for text in [
            "create table t(a varchar(3))",
            "select a from t",
            "select 1; select 2",
            "select 1 -- comment",
            "select /* 1 */ 2",
            "select E'a\\'b', 1",
            "select U&'x', 1",
            "select $1, 2",
            "select $$a$$, 1",
            "select 'open",
            "select 'a'\n'b'",
            "values (1)",
            "",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    proptest::proptest! {
        /// Putting the literals back gives the text again.
        #[test]
        fn nothing_is_lost(text in "select [a-z0-9'\";:(). é,=-]{0,60}") {
            if let Some((mut out, literals)) = parts(&text) {
                for (i, l) in literals.iter().enumerate().rev() {
                    let written = match l {
                        Literal::Int4(v) => alloc::format!("{v}"),
                        Literal::Int8(v) => alloc::format!("{v}"),
                        Literal::Text(t, _) => alloc::format!("'{t}'"),
                    };
                    let place = alloc::format!("${}", i + 1);
                    // From the right: literals further right are back already and may look like parameters.
                    let at = out.find(&place).unwrap();
                    out.replace_range(at..at + place.len(), &written);
                }
                let plain = |t: &str| t.trim_end_matches([' ', ';']).replace('0', "");
                proptest::prop_assert_eq!(plain(&out), plain(&text));
            }
        }
    }
}

//! PostgreSQL's advanced regular expressions written in the syntax of `regex-automata`.
//!
//! Back references and look-around are for another engine, which takes the same syntax: what has them says so. Greediness of a whole expression, which
//! PostgreSQL decides by the first quantifier in it, is reported for [`super::regex`] to apply.

use alloc::{format, string::String};

use pg_types::{Result, SqlError, SqlState};

/// Matching options: the flags argument and embedded options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Ignore case.
    pub(crate) ignore_case: bool,
    /// `.` and negated brackets do not match newlines.
    pub(crate) newline_stops: bool,
    /// `^` and `$` match at lines.
    pub(crate) newline_anchors: bool,
    /// White space and comments in the pattern mean nothing.
    pub(crate) expanded: bool,
    /// The pattern is a plain string.
    pub(crate) literal: bool,
}

/// A translated pattern.
pub(crate) struct Translated {
    /// For `regex-automata`.
    pub(crate) pattern: String,
    /// Options after embedded ones.
    pub(crate) options: Options,
    /// The whole prefers the longest match (else the shortest).
    pub(crate) longest: bool,
    /// It has back references or look-around.
    pub(crate) backtracks: bool,
}

#[cold]
pub(crate) fn invalid(what: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {what}"))
}

impl Options {
    /// Applies one letter of the flags argument; false: no such flag.
    pub(crate) fn apply(&mut self, flag: char) -> bool {
        match flag {
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'n' | 'm' => (self.newline_stops, self.newline_anchors) = (true, true),
            's' => (self.newline_stops, self.newline_anchors) = (false, false),
            'p' => (self.newline_stops, self.newline_anchors) = (true, false),
            'w' => (self.newline_stops, self.newline_anchors) = (false, true),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'b' | 'e' => {}
            _ => return false,
        }
        true
    }
}

/// Nesting limit of parentheses.
const MAX_DEPTH: u32 = 200;

struct Translator<'a> {
    rest: core::iter::Peekable<core::str::Chars<'a>>,
    out: String,
    options: Options,
    groups: u32,
    /// How many look-arounds are open: parentheses in them capture nothing.
    around: u32,
    backtracks: bool,
}

/// Greediness, from most to least decisive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Preference {
    None,
    Longest,
    Shortest,
}

impl Preference {
    fn or(self, other: Self) -> Self {
        if self == Self::None { other } else { self }
    }
}

/// Translates a pattern.
pub(crate) fn translate(pattern: &str, mut options: Options) -> Result<Translated> {
    let mut body = pattern;
    if let Some(rest) = body.strip_prefix("***=") {
        options.literal = true;
        body = rest;
    } else if let Some(rest) = body.strip_prefix("***:") {
        body = rest;
    } else if body.starts_with("***") {
        return Err(invalid("quantifier operand invalid"));
    }
    if options.literal {
        let mut out = String::with_capacity(body.len() + 8);
        for c in body.chars() {
            push_literal(&mut out, c);
        }
        return Ok(Translated { pattern: out, options, longest: true, backtracks: false });
    }
    if let Some(rest) = body.strip_prefix("(?")
        && let Some(end) = rest.find(')')
        && rest.get(..end).is_some_and(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_alphabetic()))
    {
        for flag in rest.get(..end).unwrap_or_default().chars() {
            if !options.apply(flag) {
                return Err(invalid("invalid embedded option"));
            }
        }
        body = rest.get(end + 1..).unwrap_or_default();
    }
    let mut t = Translator {
        rest: body.chars().peekable(),
        out: String::with_capacity(body.len() + 16),
        options,
        groups: 0,
        around: 0,
        backtracks: false,
    };
    let preference = t.alternatives(0)?;
    if t.rest.next().is_some() {
        return Err(invalid("parentheses () not balanced"));
    }
    let longest = preference != Preference::Shortest;
    let pattern = if t.backtracks {
        // The other engine has no names for the ends of words. (A brace that is meant as such is written with a backslash.)
        t.out.replace("\\b{start}", r"(?<!\w)(?=\w)").replace("\\b{end}", r"(?<=\w)(?!\w)")
    } else {
        t.out
    };
    Ok(Translated { pattern, options: t.options, longest, backtracks: t.backtracks })
}

fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_punctuation() || c.is_ascii_whitespace() {
        out.push('\\');
        match c {
            '\n' => out.push('n'),
            '\r' => out.push('r'),
            '\t' => out.push('t'),
            '\x0b' => out.push('v'),
            '\x0c' => out.push('f'),
            ' ' => {
                out.pop();
                out.push_str("\\x20");
            }
            _ => out.push(c),
        }
    } else {
        out.push(c);
    }
}

/// What an atom is, for the quantifier behind it.
enum Atom {
    /// Nothing: the branch ends here.
    End,
    /// A constraint: cannot be repeated.
    Constraint,
    /// Something that can be.
    Plain(Preference),
}

impl Translator<'_> {
    fn alternatives(&mut self, depth: u32) -> Result<Preference> {
        if depth > MAX_DEPTH {
            return Err(invalid("regular expression is too complex"));
        }
        let mut preference = self.branch(depth)?;
        while self.rest.next_if_eq(&'|').is_some() {
            self.out.push('|');
            self.branch(depth)?;
            // Alternatives prefer the longest whatever is in them.
            preference = Preference::Longest;
        }
        Ok(preference)
    }

    fn branch(&mut self, depth: u32) -> Result<Preference> {
        let mut preference = Preference::None;
        loop {
            match self.atom(depth)? {
                Atom::End => return Ok(preference),
                Atom::Constraint => {
                    if matches!(self.rest.peek(), Some('*' | '+' | '?')) {
                        return Err(invalid("quantifier operand invalid"));
                    }
                }
                Atom::Plain(own) => {
                    let quantified = self.quantifier()?;
                    preference = preference.or(quantified.or(own));
                }
            }
        }
    }

    fn skip_expanded(&mut self) {
        while self.options.expanded {
            match self.rest.peek() {
                Some(c) if c.is_whitespace() => {
                    self.rest.next();
                }
                Some('#') => while self.rest.next().is_some_and(|c| c != '\n') {},
                _ => return,
            }
        }
    }

    fn atom(&mut self, depth: u32) -> Result<Atom> {
        self.skip_expanded();
        let Some(&c) = self.rest.peek() else { return Ok(Atom::End) };
        match c {
            '|' => return Ok(Atom::End),
            ')' if depth > 0 => return Ok(Atom::End),
            ')' => return Err(invalid("parentheses () not balanced")),
            '*' | '+' | '?' => return Err(invalid("quantifier operand invalid")),
            _ => {}
        }
        self.rest.next();
        match c {
            '(' => return self.group(depth),
            '[' => return self.bracket(),
            '\\' => return self.escape(),
            '^' => {
                self.out.push_str(if self.options.newline_anchors { "(?m:^)" } else { "\\A" });
                return Ok(Atom::Constraint);
            }
            '$' => {
                self.out.push_str(if self.options.newline_anchors { "(?m:$)" } else { "\\z" });
                return Ok(Atom::Constraint);
            }
            '.' => self.out.push_str(if self.options.newline_stops { "[^\\n]" } else { "(?s:.)" }),
            '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => {
                return Err(invalid("quantifier operand invalid"));
            }
            _ => push_literal(&mut self.out, c),
        }
        Ok(Atom::Plain(Preference::None))
    }

    fn group(&mut self, depth: u32) -> Result<Atom> {
        let mut around = false;
        if self.rest.next_if_eq(&'?').is_some() {
            match self.rest.next() {
                Some(':') => self.out.push_str("(?:"),
                Some(c @ ('=' | '!')) => {
                    around = true;
                    self.out.push_str("(?");
                    self.out.push(c);
                }
                Some('<') => {
                    let Some(c) = self.rest.next().filter(|c| matches!(c, '=' | '!')) else {
                        return Err(invalid("quantifier operand invalid"));
                    };
                    around = true;
                    self.out.push_str("(?<");
                    self.out.push(c);
                }
                Some('#') => {
                    loop {
                        match self.rest.next() {
                            Some(')') => break,
                            Some(_) => {}
                            None => return Err(invalid("parentheses () not balanced")),
                        }
                    }
                    self.out.push_str("(?:)");
                    return Ok(Atom::Plain(Preference::None));
                }
                _ => return Err(invalid("quantifier operand invalid")),
            }
        } else if self.around > 0 {
            self.out.push_str("(?:");
        } else {
            self.groups += 1;
            self.out.push('(');
        }
        self.backtracks |= around;
        self.around += u32::from(around);
        let preference = self.alternatives(depth + 1)?;
        self.around -= u32::from(around);
        if self.rest.next() != Some(')') {
            return Err(invalid("parentheses () not balanced"));
        }
        self.out.push(')');
        Ok(if around { Atom::Constraint } else { Atom::Plain(preference) })
    }

    /// Reads the quantifier behind an atom, if there is one. A fixed count leaves the preference to the atom.
    fn quantifier(&mut self) -> Result<Preference> {
        self.skip_expanded();
        let mut fixed = false;
        match self.rest.peek() {
            Some(&c @ ('*' | '+' | '?')) => {
                self.rest.next();
                self.out.push(c);
            }
            Some('{') => {
                let mut ahead = self.rest.clone();
                ahead.next();
                if !ahead.peek().is_some_and(char::is_ascii_digit) {
                    return Ok(Preference::None);
                }
                self.rest.next();
                fixed = self.bounds()?;
            }
            _ => return Ok(Preference::None),
        }
        let lazy = self.rest.next_if_eq(&'?').is_some();
        if lazy {
            self.out.push('?');
        }
        if matches!(self.rest.peek(), Some('*' | '+' | '?')) {
            return Err(invalid("quantifier operand invalid"));
        }
        Ok(match (lazy, fixed) {
            (true, _) => Preference::Shortest,
            (false, true) => Preference::None,
            (false, false) => Preference::Longest,
        })
    }

    /// `m}`, `m,}` or `m,n}`; true when the count is fixed.
    fn bounds(&mut self) -> Result<bool> {
        let low = self.number()?;
        let (high, fixed) = if self.rest.next_if_eq(&',').is_some() {
            if self.rest.peek() == Some(&'}') { (None, false) } else { (Some(self.number()?), false) }
        } else {
            (Some(low), true)
        };
        if self.rest.next() != Some('}') {
            return Err(invalid("invalid repetition count(s)"));
        }
        match high {
            Some(high) if high < low => return Err(invalid("invalid repetition count(s)")),
            Some(high) => self.out.push_str(&format!("{{{low},{high}}}")),
            None => self.out.push_str(&format!("{{{low},}}")),
        }
        Ok(fixed)
    }

    /// A repetition count, at most 255.
    fn number(&mut self) -> Result<u32> {
        let mut n = 0;
        let mut any = false;
        while let Some(d) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            self.rest.next();
            any = true;
            n = n * 10 + d;
            if n > 255 {
                return Err(invalid("invalid repetition count(s)"));
            }
        }
        if any { Ok(n) } else { Err(invalid("invalid repetition count(s)")) }
    }

    /// A number of exactly `digits` hexadecimal digits, as a character.
    fn hex_char(&mut self, digits: u32) -> Result<char> {
        let fault = || invalid("invalid escape \\ sequence");
        let mut n = 0u32;
        for _ in 0..digits {
            let d = self.rest.next().and_then(|c| c.to_digit(16)).ok_or_else(fault)?;
            n = n.checked_mul(16).ok_or_else(fault)? + d;
        }
        char::from_u32(n).ok_or_else(fault)
    }

    /// A character escape, whose letter has been read; `None`: it is not one.
    fn char_escape(&mut self, c: char) -> Result<Option<char>> {
        let fault = || invalid("invalid escape \\ sequence");
        Ok(Some(match c {
            'a' => '\x07',
            'b' => '\x08',
            'B' => '\\',
            'c' => {
                let c = self.rest.next().ok_or_else(fault)?;
                char::from_u32(u32::from(c) & 31).ok_or_else(fault)?
            }
            'e' => '\x1b',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'u' => self.hex_char(4)?,
            'U' => self.hex_char(8)?,
            'x' => {
                let mut n = 0u32;
                let mut any = false;
                while let Some(d) = self.rest.peek().and_then(|c| c.to_digit(16)) {
                    self.rest.next();
                    any = true;
                    n = n.checked_mul(16).and_then(|n| n.checked_add(d)).ok_or_else(fault)?;
                }
                if !any {
                    return Err(fault());
                }
                char::from_u32(n).ok_or_else(fault)?
            }
            '0' => {
                let mut n = 0;
                for _ in 0..2 {
                    let Some(d) = self.rest.peek().and_then(|c| c.to_digit(8)) else { break };
                    self.rest.next();
                    n = n * 8 + d;
                }
                char::from_u32(n).ok_or_else(fault)?
            }
            c if !c.is_ascii_alphanumeric() => c,
            _ => return Ok(None),
        }))
    }

    /// A back reference whose first digit has been read: more digits belong to it as long as there are so many groups.
    fn back_reference(&mut self, first: char) -> Result<Atom> {
        let mut n = first.to_digit(10).unwrap_or(0);
        while let Some(d) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            let longer = n * 10 + d;
            if longer > self.groups {
                break;
            }
            self.rest.next();
            n = longer;
        }
        if n > self.groups || self.around > 0 {
            return Err(invalid("invalid backreference number"));
        }
        self.backtracks = true;
        self.out.push_str(&format!("(?:\\{n})"));
        Ok(Atom::Plain(Preference::None))
    }

    fn escape(&mut self) -> Result<Atom> {
        let Some(c) = self.rest.next() else { return Err(invalid("invalid escape \\ sequence")) };
        let constraint = match c {
            'A' => "\\A",
            'Z' => "\\z",
            'm' => "\\b{start}",
            'M' => "\\b{end}",
            'y' => "\\b",
            'Y' => "\\B",
            _ => "",
        };
        if !constraint.is_empty() {
            self.out.push_str(constraint);
            return Ok(Atom::Constraint);
        }
        if let Some(class) = shorthand(c) {
            self.out.push('[');
            if c.is_ascii_uppercase() {
                self.out.push('^');
                if self.options.newline_stops && c != 'S' {
                    self.out.push_str("\\n");
                }
            }
            self.out.push_str(class);
            self.out.push(']');
            return Ok(Atom::Plain(Preference::None));
        }
        if matches!(c, '1'..='9') {
            return self.back_reference(c);
        }
        match self.char_escape(c)? {
            Some(c) => push_literal(&mut self.out, c),
            None => return Err(invalid("invalid escape \\ sequence")),
        }
        Ok(Atom::Plain(Preference::None))
    }

    fn bracket(&mut self) -> Result<Atom> {
        // `[[:<:]]` and `[[:>:]]` are constraints.
        for (word, out) in [("[:<:]]", "\\b{start}"), ("[:>:]]", "\\b{end}")] {
            if self.rest.clone().take(6).eq(word.chars()) {
                self.rest.nth(5);
                self.out.push_str(out);
                return Ok(Atom::Constraint);
            }
        }
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
            if self.options.newline_stops {
                self.out.push_str("\\n");
            }
        }
        let mut first = true;
        loop {
            let Some(c) = self.rest.next() else { return Err(invalid("brackets [] not balanced")) };
            if c == ']' && !first {
                break;
            }
            first = false;
            let Some(low) = self.bracket_item(c)? else { continue };
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']') {
                self.rest.next();
                let Some(c) = self.rest.next() else { return Err(invalid("brackets [] not balanced")) };
                let high = self.bracket_item(c)?.ok_or_else(|| invalid("invalid character range"))?;
                if high < low {
                    return Err(invalid("invalid character range"));
                }
                push_literal(&mut self.out, low);
                self.out.push('-');
                push_literal(&mut self.out, high);
            } else {
                push_literal(&mut self.out, low);
            }
        }
        self.out.push(']');
        Ok(Atom::Plain(Preference::None))
    }

    /// One member of a bracket expression: a character to be written by the caller, or `None` when a class has been
    /// written.
    fn bracket_item(&mut self, c: char) -> Result<Option<char>> {
        if c == '\\' {
            let Some(e) = self.rest.next() else { return Err(invalid("invalid escape \\ sequence")) };
            if let Some(class) = shorthand(e) {
                if e.is_ascii_uppercase() {
                    return Err(invalid("invalid escape \\ sequence"));
                }
                self.out.push_str(class);
                return Ok(None);
            }
            return self.char_escape(e)?.ok_or_else(|| invalid("invalid escape \\ sequence")).map(Some);
        }
        let kind = match self.rest.peek() {
            Some(&k @ (':' | '.' | '=')) if c == '[' => k,
            _ => return Ok(Some(c)),
        };
        self.rest.next();
        let mut name = String::new();
        loop {
            match self.rest.next() {
                Some(c) if c == kind && self.rest.peek() == Some(&']') => break,
                Some(c) if name.len() < 40 => name.push(c),
                _ => return Err(invalid("brackets [] not balanced")),
            }
        }
        self.rest.next();
        if kind == ':' {
            self.out.push_str(class(&name).ok_or_else(|| invalid("invalid character class"))?);
            return Ok(None);
        }
        let mut chars = name.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(Some(c)),
            _ => Err(invalid("invalid collating element")),
        }
    }
}

/// `\d`, `\w`, `\s` and their negations, as the inside of brackets.
fn shorthand(c: char) -> Option<&'static str> {
    match c.to_ascii_lowercase() {
        'd' => class("digit"),
        'w' => class("word"),
        's' => class("space"),
        _ => None,
    }
}

/// The inside of brackets for a class name.
fn class(name: &str) -> Option<&'static str> {
    Some(match name {
        "alpha" => "\\p{Alphabetic}",
        "alnum" => "\\p{Alphabetic}\\p{Nd}",
        "word" => "\\p{Alphabetic}\\p{Nd}_",
        "digit" => "0-9",
        "xdigit" => "0-9A-Fa-f",
        "upper" => "\\p{Uppercase}",
        "lower" => "\\p{Lowercase}",
        "space" => "\\s",
        "blank" => " \\t",
        "punct" => "\\p{P}\\p{S}",
        "cntrl" => "\\p{Cc}",
        "graph" => "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}",
        "print" => "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\x20",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn t(pattern: &str) -> String {
        translate(pattern, Options::default()).expect("valid").pattern
    }

    #[test]
    fn syntax() {
        assert_eq!(t("a.c$"), "a(?s:.)c\\z");
        assert_eq!(t("[]a-c[:digit:]]+"), "[\\]a-c0-9]+");
        assert_eq!(t("\\mfoo\\M"), "\\b{start}foo\\b{end}");
        assert_eq!(t("***=a.b"), "a\\.b");
        assert!(translate("a**", Options::default()).is_err());
        assert!(translate("(a", Options::default()).is_err());
        assert!(translate("a)", Options::default()).is_err());
        assert!(!translate("a.*?b.*", Options::default()).expect("valid").longest);
        assert!(translate("(?:a.*?|b)", Options::default()).expect("valid").longest);
        // What goes back is for another engine.
        assert!(translate("(a)\\1", Options::default()).is_ok());
    }

    proptest! {
        #[test]
        fn any_pattern_is_answered(pattern in "[a-c()|*+?{},0-9\\[\\]^$\\\\.:=dmnx-]{0,20}") {
            if let Ok(t) = translate(&pattern, Options::default()) {
                let _ = crate::pattern::regex::Regex::new(&pattern, t.options);
            }
        }
    }
}

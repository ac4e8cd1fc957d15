//! Window frames as far as `sqlparser` does not know them: EXCLUDE becomes a quoted name at the end of ORDER BY or PARTITION BY, a bound
//! that begins with a string is put into parentheses, and bounds that make no frame are refused where they stand. GROUP BY's ALL and
//! DISTINCT, too, are taken out.

use alloc::{format, string::String, vec::Vec};

use pg_plan::logical::FrameExclusion;
use pg_types::{Result, SqlError, SqlState};
use sqlparser::{
    ast as sq,
    keywords::Keyword,
    tokenizer::{Span, Token, TokenWithSpan, Word},
};

use super::{position, syntax_error};

/// What such a name begins with. No identifier that a client sends does.
const EXCLUDE: &str = "\0exclude";
/// The first item of a GROUP BY DISTINCT.
const DISTINCT: &str = "\0distinct";

/// What a name at the end of a window's lists says about its frame.
pub(crate) fn exclusion(e: &sq::Expr) -> Option<FrameExclusion> {
    let sq::Expr::Identifier(name) = e else { return None };
    Some(match name.value.strip_prefix(EXCLUDE)? {
        "current" => FrameExclusion::CurrentRow,
        "group" => FrameExclusion::Group,
        "ties" => FrameExclusion::Ties,
        _ => FrameExclusion::NoOthers,
    })
}

/// Takes the mark of GROUP BY DISTINCT away.
pub(crate) fn distinct_sets(items: &[sq::Expr]) -> (bool, &[sq::Expr]) {
    match items.split_first() {
        Some((sq::Expr::Identifier(name), rest)) if name.value == DISTINCT => (true, rest),
        _ => (false, items),
    }
}

fn word(t: Option<&TokenWithSpan>, words: &[&str]) -> bool {
    matches!(t.map(|t| &t.token), Some(Token::Word(x)) if x.quote_style.is_none() && words.contains(&x.value.as_str()))
}

fn name(value: String, span: Span) -> TokenWithSpan {
    let token = Token::Word(Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword });
    TokenWithSpan { token, span }
}

/// GROUP BY { ALL | DISTINCT }.
pub(super) fn mark_grouping(tokens: &mut Vec<TokenWithSpan>) {
    let mut i = 2;
    while let Some(span) = tokens.get(i).map(|t| t.span) {
        let after = word(tokens.get(i - 2), &["group"]) && word(tokens.get(i - 1), &["by"]);
        if after && word(tokens.get(i), &["distinct"]) {
            let comma = TokenWithSpan { token: Token::Comma, span };
            tokens.splice(i..=i, [name(DISTINCT.into(), span), comma]);
        } else if after && word(tokens.get(i), &["all"]) {
            tokens.remove(i);
        }
        // Read as calls, whose arguments may begin with a parenthesis; the binder knows their names.
        if tokens.get(i + 1).is_some_and(|t| t.token == Token::LParen)
            && word(tokens.get(i), &["rollup", "cube"])
            && let Some(TokenWithSpan { token: Token::Word(w), .. }) = tokens.get_mut(i)
        {
            w.keyword = Keyword::NoKeyword;
        }
        i += 1;
    }
}

/// The places of a frame's parts among the tokens.
struct Frame {
    /// The parenthesis before it.
    open: usize,
    /// ROWS, RANGE or GROUPS.
    units: usize,
    start: usize,
    /// Behind BETWEEN ... AND.
    end: Option<usize>,
    /// EXCLUDE, or what follows the frame.
    exclude: usize,
    /// The parenthesis behind it.
    close: usize,
}

impl Frame {
    /// The frame whose units stand there, if it is one.
    fn read(tokens: &[TokenWithSpan], units: usize, open: usize) -> Option<Self> {
        let between = word(tokens.get(units + 1), &["between"]);
        let mut frame =
            Self { open, units, start: units + 1 + usize::from(between), end: None, exclude: 0, close: 0 };
        let mut depth = 0usize;
        let mut i = frame.start;
        while let Some(t) = tokens.get(i) {
            match t.token {
                Token::LParen => depth += 1,
                Token::RParen if depth == 0 => {
                    frame.close = i;
                    break;
                }
                Token::RParen => depth -= 1,
                Token::SemiColon => return None,
                _ if depth > 0 => {}
                _ if between && frame.end.is_none() && word(Some(t), &["and"]) => frame.end = Some(i + 1),
                _ if word(Some(t), &["exclude"]) && frame.exclude == 0 => frame.exclude = i,
                _ => {}
            }
            i += 1;
        }
        if frame.close == 0 || between != frame.end.is_some() {
            return None;
        }
        if frame.exclude == 0 {
            frame.exclude = frame.close;
        }
        let ends = |from: usize, to: usize| {
            from < to && word(tokens.get(to - 1), &["preceding", "following", "row"])
        };
        let sound = match frame.end {
            Some(end) => ends(frame.start, end - 1) && ends(end, frame.exclude),
            None => ends(frame.start, frame.exclude),
        };
        sound.then_some(frame)
    }

    /// Refuses ends in the wrong order.
    fn check(&self, tokens: &[TokenWithSpan]) -> Result<()> {
        let place = |at: usize| tokens.get(at).map_or(0, |t| position(t.span.start));
        let last = |to: usize, w: &str| word(to.checked_sub(1).and_then(|n| tokens.get(n)), &[w]);
        let unbounded = |at: usize| word(tokens.get(at), &["unbounded"]);
        let (from, to) = (self.end.map_or(self.exclude, |end| end - 1), self.exclude);
        let wrong =
            |text: &'static str, at: usize| Err(SqlError::new(SqlState::WINDOWING_ERROR, text).at(place(at)));
        if last(from, "following") && unbounded(self.start) {
            return wrong("frame start cannot be UNBOUNDED FOLLOWING", self.start);
        }
        let Some(end) = self.end else {
            if last(from, "following") {
                return wrong("frame starting from following row cannot end with current row", self.start);
            }
            return Ok(());
        };
        if last(to, "preceding") && unbounded(end) {
            return wrong("frame end cannot be UNBOUNDED PRECEDING", end);
        }
        if last(from, "row") && last(to, "preceding") {
            return wrong("frame starting from current row cannot have preceding rows", end);
        }
        if last(from, "following") && (last(to, "preceding") || last(to, "row")) {
            return wrong("frame starting from following row cannot have preceding rows", end);
        }
        Ok(())
    }

    /// Spells it as `sqlparser` takes it.
    fn respell(&self, tokens: &mut Vec<TokenWithSpan>, text: &str) -> Result<()> {
        let excluded = match tokens.get(self.exclude + 1).map(|t| &t.token) {
            _ if self.exclude == self.close => None,
            Some(Token::Word(w)) if w.quote_style.is_none() => Some(w.value.clone()),
            _ => Some(String::new()),
        };
        let known = match excluded.as_deref() {
            None => true,
            Some("current") => word(tokens.get(self.exclude + 2), &["row"]) && self.exclude + 3 == self.close,
            Some("no") => word(tokens.get(self.exclude + 2), &["others"]) && self.exclude + 3 == self.close,
            Some("group" | "ties") => self.exclude + 2 == self.close,
            Some(_) => false,
        };
        if !known {
            let known = matches!(excluded.as_deref(), Some("current" | "no"));
            let wrong = tokens.get(self.exclude + 1 + usize::from(known));
            return Err(wrong.map_or_else(|| SqlError::internal("no frame"), |t| syntax_error(text, t)));
        }
        self.check(tokens)?;
        tokens.drain(self.exclude..self.close);
        let parenthesis = |token, tokens: &mut Vec<TokenWithSpan>, at: usize| {
            if let Some(span) = tokens.get(at).map(|t| t.span) {
                tokens.insert(at, TokenWithSpan { token, span });
            }
        };
        let mut ends = Vec::from([(self.start, self.end.map_or(self.exclude, |end| end - 1) - 1)]);
        ends.extend(self.end.map(|end| (end, self.exclude - 1)));
        for (from, to) in ends.into_iter().rev() {
            if matches!(tokens.get(from).map(|t| &t.token), Some(Token::SingleQuotedString(_))) {
                parenthesis(Token::RParen, tokens, to);
                parenthesis(Token::LParen, tokens, from);
            }
        }
        let (Some(excluded), Some(span)) = (excluded, tokens.get(self.units).map(|t| t.span)) else {
            return Ok(());
        };
        let mark = name(format!("{EXCLUDE}{excluded}"), span);
        let keyword = |value: &str| {
            let (keyword, _) = crate::keywords::lookup(value);
            let token = Token::Word(Word { value: value.into(), quote_style: None, keyword });
            TokenWithSpan { token, span }
        };
        let listed =
            tokens.get(self.open..self.units).is_some_and(|t| t.iter().any(|t| word(Some(t), &["by"])));
        let before = if listed {
            Vec::from([TokenWithSpan { token: Token::Comma, span }, mark])
        } else {
            Vec::from([keyword("partition"), keyword("by"), mark])
        };
        tokens.splice(self.units..self.units, before);
        Ok(())
    }
}

/// Respells all frames.
pub(super) fn respell_frames(tokens: &mut Vec<TokenWithSpan>, text: &str) -> Result<()> {
    let mut open = Vec::new();
    let mut i = 0;
    while let Some(t) = tokens.get(i) {
        match t.token {
            Token::LParen => open.push(i),
            Token::RParen => {
                open.pop();
            }
            _ if word(Some(t), &["rows", "range", "groups"]) => {
                if let Some(frame) = open.last().and_then(|open| Frame::read(tokens, i, *open)) {
                    frame.respell(tokens, text)?;
                    // What was put before it is passed, too.
                    while !word(tokens.get(i), &["rows", "range", "groups"]) {
                        i += 1;
                    }
                }
            }
            _ => {}
        }
        i += 1;
    }
    Ok(())
}

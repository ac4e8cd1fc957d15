//! Compiled regular expressions with PostgreSQL's choice among matches: leftmost, then longest (or shortest, when the
//! first quantifier is not greedy), where the engine beneath would take the first alternative that matches.
//!
//! `fancy-regex` is for expressions with back references and look-around, which no automaton can do: it goes back and tries
//! again, in at most so many steps. Of alternatives it takes the first that matches.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_types::{Result, SqlError, SqlState};
use regex_automata::{
    Anchored, Input, MatchKind,
    hybrid::dfa::{Cache, DFA},
    meta,
    nfa::thompson,
    util::syntax,
};

use super::translate::{Options, invalid, translate};

/// Bytes of program an expression may compile to.
const SIZE_LIMIT: usize = 4 << 20;

/// Where groups matched, the whole first.
pub(crate) type Captures = Vec<Option<(usize, usize)>>;

/// A compiled expression.
pub(crate) struct Regex {
    engine: Engine,
}

enum Engine {
    Automaton(Box<Automaton>),
    Backtracking(fancy_regex::Regex),
}

struct Automaton {
    first: meta::Regex,
    /// Finds the end of the longest or shortest match, where that may not be the one `first` finds.
    extent: Option<Extent>,
}

struct Extent {
    dfa: DFA,
    cache: spin::Mutex<Cache>,
    /// The expression followed by the end of the text.
    whole: meta::Regex,
    longest: bool,
}

#[cold]
fn too_complex() -> SqlError {
    invalid("regular expression is too complex")
}

fn compile(pattern: &str, syntax: syntax::Config) -> Result<meta::Regex> {
    meta::Regex::builder()
        .configure(meta::Config::new().nfa_size_limit(Some(SIZE_LIMIT)).hybrid_cache_capacity(1 << 18))
        .syntax(syntax)
        .build(pattern)
        .map_err(|e| if e.size_limit().is_some() { too_complex() } else { invalid("invalid syntax") })
}

/// Steps that a backtracking search may take.
const STEPS: usize = 1_000_000;

#[cold]
fn failed() -> SqlError {
    let text = "regular expression failed: regular expression is too complex";
    SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, text)
}

fn backtracking(pattern: &str, ignore_case: bool) -> Result<fancy_regex::Regex> {
    fancy_regex::RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .backtrack_limit(STEPS)
        .delegate_size_limit(SIZE_LIMIT)
        .build()
        .map_err(|e| match e {
            fancy_regex::Error::CompileError(fancy_regex::CompileError::LookBehindNotConst) => {
                SqlError::unsupported("look-behind of variable length in a regular expression")
            }
            _ => invalid("invalid syntax"),
        })
}

impl Regex {
    /// Compiles a pattern. Callers want [`cached`].
    pub(crate) fn new(pattern: &str, options: Options) -> Result<Self> {
        let translated = translate(pattern, options)?;
        let syntax = syntax::Config::new().case_insensitive(translated.options.ignore_case).nest_limit(1_000);
        if translated.backtracks {
            return backtracking(&translated.pattern, translated.options.ignore_case)
                .map(|r| Self { engine: Engine::Backtracking(r) });
        }
        let first = compile(&translated.pattern, syntax)?;
        let text = &translated.pattern;
        let quantifiers = text.contains(['*', '+', '?', '{']);
        let plain = translated.longest && !text.contains('|') && !text.contains("??") && !quantifiers;
        let extent = if plain {
            None
        } else {
            let nfa = thompson::Config::new().nfa_size_limit(Some(SIZE_LIMIT));
            let dfa = DFA::builder()
                .configure(
                    DFA::config()
                        .match_kind(MatchKind::All)
                        .unicode_word_boundary(true)
                        .skip_cache_capacity_check(true),
                )
                .syntax(syntax)
                .thompson(nfa)
                .build(text);
            match dfa {
                Ok(dfa) => Some(Extent {
                    cache: spin::Mutex::new(dfa.create_cache()),
                    dfa,
                    whole: compile(&alloc::format!("(?:{text})\\z"), syntax)?,
                    longest: translated.longest,
                }),
                Err(_) => None,
            }
        };
        Ok(Self { engine: Engine::Automaton(Box::new(Automaton { first, extent })) })
    }

    /// Whether it matches anywhere.
    pub(crate) fn is_match(&self, text: &str) -> Result<bool> {
        match &self.engine {
            Engine::Automaton(a) => Ok(a.first.is_match(text)),
            Engine::Backtracking(r) => r.is_match(text).map_err(|_| failed()),
        }
    }

    /// The first match at or after byte `from`.
    pub(crate) fn captures(&self, text: &str, from: usize) -> Result<Option<Captures>> {
        match &self.engine {
            Engine::Automaton(a) => Ok(a.captures(text, from)),
            Engine::Backtracking(r) => {
                let found = r.captures_from_pos(text, from).map_err(|_| failed())?;
                Ok(found.map(|c| (0..c.len()).map(|i| c.get(i).map(|m| (m.start(), m.end()))).collect()))
            }
        }
    }

    /// The spans of all matches from byte `from` on, empty ones included, at most `limit`.
    pub(crate) fn all(&self, text: &str, from: usize, limit: usize) -> Result<Vec<Captures>> {
        let mut matches = Vec::new();
        let mut at = from;
        while matches.len() < limit && at <= text.len() {
            let Some(captures) = self.captures(text, at)? else { break };
            let Some((start, end)) = captures.first().copied().flatten() else { break };
            matches.push(captures);
            at = if end > start { end } else { end + next_char(text, end) };
        }
        Ok(matches)
    }
}

impl Automaton {
    fn captures(&self, text: &str, from: usize) -> Option<Captures> {
        let mut captures = self.first.create_captures();
        self.first.search_captures(&Input::new(text).range(from..), &mut captures);
        let found = captures.get_match()?;
        if let Some(extent) = &self.extent
            && let Some(end) = extent.end(text, found.start())
            && end != found.end()
            && let Some(cut) = text.get(..end)
        {
            let mut exact = extent.whole.create_captures();
            let input = Input::new(cut).range(found.start()..).anchored(Anchored::Yes);
            extent.whole.search_captures(&input, &mut exact);
            if exact.is_match() {
                captures = exact;
            }
        }
        let span = |i| captures.get_group(i).map(|s| (s.start, s.end));
        Some((0..self.first.captures_len()).map(span).collect())
    }
}

/// Bytes to the character after position `at`; 1 at the end.
pub(crate) fn next_char(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|t| t.chars().next()).map_or(1, char::len_utf8)
}

impl Extent {
    /// Where the wanted match from `start` ends; `None`: the engine gave up, take the first match.
    fn end(&self, text: &str, start: usize) -> Option<usize> {
        let input = Input::new(text).range(start..).anchored(Anchored::Yes).earliest(!self.longest);
        let found = match self.cache.try_lock() {
            Some(mut cache) => self.dfa.try_search_fwd(&mut cache, &input),
            None => self.dfa.try_search_fwd(&mut self.dfa.create_cache(), &input),
        };
        found.ok().flatten().map(|m| m.offset())
    }
}

struct Entry {
    pattern: String,
    options: Options,
    regex: Arc<Regex>,
}

/// Expressions kept compiled, the most recently used last.
static CACHE: spin::Mutex<Vec<Entry>> = spin::Mutex::new(Vec::new());
const CACHE_SIZE: usize = 32;

/// The compiled expression, from the cache when it was used lately.
pub(crate) fn cached(pattern: &str, options: Options) -> Result<Arc<Regex>> {
    {
        let mut cache = CACHE.lock();
        if let Some(i) = cache.iter().rposition(|e| e.options == options && e.pattern == pattern) {
            let regex = cache[i].regex.clone();
            if i + 1 != cache.len() {
                cache[i..].rotate_left(1);
            }
            return Ok(regex);
        }
    }
    // Compiled outside the lock, as it may take long; two tasks may do it at once.
    let regex = Arc::new(Regex::new(pattern, options)?);
    let entry = Entry { pattern: pattern.into(), options, regex: regex.clone() };
    let mut cache = CACHE.lock();
    let evicted = (cache.len() >= CACHE_SIZE).then(|| cache.remove(0));
    cache.push(entry);
    drop(cache);
    drop(evicted);
    Ok(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(pattern: &str, text: &'a str) -> Vec<Option<&'a str>> {
        let r = Regex::new(pattern, Options::default()).expect("valid");
        let c = r.captures(text, 0).expect("no limit").expect("matches");
        c.into_iter().map(|s| s.and_then(|(a, b)| text.get(a..b))).collect()
    }

    #[test]
    fn longest_and_shortest() {
        assert_eq!(find("a|ab", "xab"), [Some("ab")]);
        assert_eq!(find("(a?)(ab)?", "ab"), [Some("ab"), Some(""), Some("ab")]);
        assert_eq!(find("(.*?)x(.*)", "abxcd"), [Some("abx"), Some("ab"), Some("")]);
        assert_eq!(find("XY*?", "XYYY"), [Some("X")]);
        assert_eq!(find("é+", "aéé"), [Some("éé")]);
    }

    #[test]
    fn what_takes_going_back() {
        assert_eq!(find(r"(\w+)\s+\1", "a bc bc d"), [Some("bc bc"), Some("bc")]);
        assert_eq!(find(r"a(?=b)", "acab"), [Some("a")]);
        assert_eq!(find(r"(?<!x)b", "xbab"), [Some("b")]);
        assert_eq!(find(r"(?=(a))\m[a-c]+", "abc"), [Some("abc")]);
        let deep = Regex::new(r"^(a+)+\1b$", Options::default()).expect("valid");
        assert!(deep.is_match(&"a".repeat(5000)).is_err());
    }
}

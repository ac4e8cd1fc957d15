//! Tokens to commands, by recursive descent.

use alloc::{boxed::Box, string::String, vec::Vec};

use dagdb_graph::Lut;

use crate::{
    Backup, Command, Comparison, Field, Format, Gate, MAX_DEPTH, Metric, Predicate, Problem, Range, Record,
    SyntaxError,
    token::{Kind, Token, tokens},
};

type Result<T> = core::result::Result<T, SyntaxError>;

/// Parses one command; a semicolon may follow.
pub fn parse(text: &str) -> Result<Command> {
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens: &tokens, at: 0 };
    let command = parser.command(true)?;
    let command = parser.as_of(command)?;
    parser.symbol(";");
    match parser.peek() {
        None => Ok(command),
        Some(_) => Err(parser.unexpected("end of input")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn word(&self) -> Option<&str> {
        match &self.peek()?.kind {
            Kind::Word(word) => Some(word),
            Kind::Quoted(_) | Kind::Symbol(_) => None,
        }
    }

    fn position(&self) -> usize {
        self.peek().map_or(self.text.len(), |t| t.span.start)
    }

    fn error(&self, problem: Problem) -> SyntaxError {
        SyntaxError { at: self.position(), problem }
    }

    fn unexpected(&self, expected: &'static str) -> SyntaxError {
        let Some(token) = self.peek() else { return self.error(Problem::End { expected }) };
        let found = self.text.get(token.span.clone()).unwrap_or("").into();
        self.error(Problem::Unexpected { found, expected })
    }

    /// Takes a keyword if it comes next.
    fn keyword(&mut self, keyword: &str) -> bool {
        let there = self.word().is_some_and(|w| w.eq_ignore_ascii_case(keyword));
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, keyword: &'static str) -> Result<()> {
        if self.keyword(keyword) { Ok(()) } else { Err(self.unexpected(keyword)) }
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let there = matches!(self.peek(), Some(Token { kind: Kind::Symbol(s), .. }) if *s == symbol);
        self.at += usize::from(there);
        there
    }

    /// One of several keywords.
    fn choice<T: Copy>(&mut self, choices: &[(&str, T)], expected: &'static str) -> Result<T> {
        let word = self.word();
        let found = word.and_then(|w| choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(w)));
        let Some(&(_, value)) = found else { return Err(self.unexpected(expected)) };
        self.at += 1;
        Ok(value)
    }

    fn digits(&self, digits: &str, most: u64) -> Option<Result<u64>> {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(match digits.parse() {
            Ok(number) if number <= most => Ok(number),
            _ => Err(self.error(Problem::NumberTooLarge { number: digits.into(), most })),
        })
    }

    fn number_up_to(&mut self, most: u64, expected: &'static str) -> Result<u64> {
        let number = self.word().and_then(|w| self.digits(w, most));
        let number = number.unwrap_or_else(|| Err(self.unexpected(expected)))?;
        self.at += 1;
        Ok(number)
    }

    fn number(&mut self, expected: &'static str) -> Result<u64> {
        self.number_up_to(u64::MAX, expected)
    }

    fn truth(&mut self) -> Result<u8> {
        Ok(self.number_up_to(u64::from(u8::MAX), "a truth value")? as u8)
    }

    /// `lo-hi`
    fn range(&mut self) -> Result<Range> {
        let expected = "a range of ranks, as in 0-5";
        let ends = self.word().and_then(|w| w.split_once('-'));
        let ends = ends.and_then(|(l, h)| Some((self.digits(l, u64::MAX)?, self.digits(h, u64::MAX)?)));
        let Some((low, high)) = ends else { return Err(self.unexpected(expected)) };
        let range = Range { low: low?, high: high? };
        if range.low > range.high {
            let range = self.word().unwrap_or("").into();
            return Err(self.error(Problem::EmptyRange { range }));
        }
        self.at += 1;
        Ok(range)
    }

    /// A word or something quoted, as it is.
    fn name(&mut self, expected: &'static str) -> Result<String> {
        let name = match self.peek().map(|t| &t.kind) {
            Some(Kind::Word(name) | Kind::Quoted(name)) => name.clone(),
            Some(Kind::Symbol(_)) | None => return Err(self.unexpected(expected)),
        };
        self.at += 1;
        Ok(name)
    }

    fn command(&mut self, outermost: bool) -> Result<Command> {
        let Some(verb) = self.word().map(str::to_ascii_uppercase) else {
            return Err(self.unexpected("a command"));
        };
        let begun = self.at;
        self.at += 1;
        Ok(match verb.as_str() {
            "STATUS" => Command::Status,
            "VALIDATE" => Command::Validate,
            "LIST_READERS" => Command::ListReaders,
            "OPEN_READER" => Command::OpenReader,
            "SET_RANKS_BULK" => Command::SetRanksBulk,
            "GRAPH" => {
                self.expect("INFO")?;
                Command::GraphInfo
            }
            "TICK" => {
                let bare = self.word().is_none();
                Command::Tick(if bare { 1 } else { self.number("a number of ticks")? })
            }
            "CLOSE_READER" => Command::CloseReader(self.name("a reader's id")?),
            "READER" => self.reader(outermost)?,
            "EVAL" => self.eval()?,
            "NODES" => self.nodes()?,
            "TRAVERSE" | "ANCESTRY" | "BFS_DEPTHS" => self.walk(&verb)?,
            "SET" => self.set()?,
            "GET" => {
                let node = self.number("a node")?;
                self.expect("TRUTH")?;
                Command::GetTruth { node }
            }
            "CONNECT" => self.connect()?,
            "CLEAR" => {
                let node = self.number("a node")?;
                let back = self.choice(&[("EDGES", false), ("BACK_EDGES", true)], "EDGES or BACK_EDGES")?;
                Command::Clear { back, node }
            }
            "COMPOSE" => self.compose()?,
            "SAVE" | "LOAD" | "EXPORT" | "IMPORT" => self.file(&verb)?,
            "BACKUP" => self.backup()?,
            "DROP" => {
                self.expect("SAVE")?;
                Command::DropSave(self.name("a name")?)
            }
            "RECORD" => self.record()?,
            "REPLAY" => {
                let from = if self.keyword("FROM") { Some(self.number("a tick")?) } else { None };
                let to = if self.keyword("TO") { Some(self.number("a tick")?) } else { None };
                Command::Replay { from, to }
            }
            "REWIND" => {
                self.expect("TO")?;
                Command::Rewind(self.number("a tick")?)
            }
            "SELECT" => {
                self.expect("TRUTH")?;
                let truth = self.truth()?;
                self.expect("RANK")?;
                Command::Select { truth, ranks: self.range()? }
            }
            "SIMILAR_DECISIONS" => self.similar()?,
            "DISTANCE" => {
                let metric = self.choice(&Metric::NAMES, "a metric")?;
                Command::Distance { metric, first: self.range()?, second: self.range()? }
            }
            _ => {
                self.at = begun;
                let word = self.word().unwrap_or("").into();
                return Err(self.error(Problem::UnknownCommand { word }));
            }
        })
    }

    fn reader(&mut self, outermost: bool) -> Result<Command> {
        let id = self.name("a reader's id")?;
        let at = self.at;
        let command = if outermost { Some(self.command(false)?) } else { None };
        match command {
            Some(command) if command.is_read_only() => Ok(Command::Reader { id, command: Box::new(command) }),
            _ => {
                self.at = at;
                Err(self.error(Problem::NotReadOnly))
            }
        }
    }

    fn eval(&mut self) -> Result<Command> {
        self.keyword("ROOT");
        let predicate = self.condition()?;
        let ranks = if self.keyword("RANK") {
            let from = self.number("a rank")?;
            self.expect("TO")?;
            Some((from, self.number("a rank")?))
        } else {
            None
        };
        Ok(Command::Eval { predicate, ranks })
    }

    fn nodes(&mut self) -> Result<Command> {
        let rank = if self.keyword("AT") {
            self.expect("RANK")?;
            Some(self.number("a rank")?)
        } else {
            None
        };
        Ok(Command::Nodes { rank, predicate: self.condition()? })
    }

    fn walk(&mut self, verb: &str) -> Result<Command> {
        self.expect("FROM")?;
        let from = self.number("a node")?;
        if verb == "BFS_DEPTHS" {
            return Ok(Command::BfsDepths { from, backward: self.keyword("BACKWARD") });
        }
        self.expect("DEPTH")?;
        let depth = self.number("a depth")?;
        Ok(if verb == "TRAVERSE" {
            Command::Traverse { from, depth }
        } else {
            Command::Ancestry { from, depth }
        })
    }

    fn set(&mut self) -> Result<Command> {
        let node = self.number("a node")?;
        match self.choice(&[("TRUTH", 0), ("RANK", 1), ("LUT", 2)], "TRUTH, RANK or LUT")? {
            0 => Ok(Command::SetTruth { node, truth: self.truth()? }),
            1 => Ok(Command::SetRank { node, rank: self.number("a rank")? }),
            _ => Ok(Command::SetLut { node, lut: self.lut()? }),
        }
    }

    fn lut(&mut self) -> Result<Lut> {
        let word = self.word().unwrap_or("");
        let hex = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
        let lut = match hex {
            Some(hex) if !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                match u64::from_str_radix(hex, 16) {
                    Ok(bits) => Some(Lut(bits)),
                    Err(_) => {
                        let number = word.into();
                        return Err(self.error(Problem::NumberTooLarge { number, most: u64::MAX }));
                    }
                }
            }
            _ => Lut::from_name(word),
        };
        let lut = lut.ok_or_else(|| self.unexpected("a table's name or 0x and up to sixteen digits"))?;
        self.at += 1;
        Ok(lut)
    }

    fn connect(&mut self) -> Result<Command> {
        let back = self.keyword("BACK");
        self.expect("FROM")?;
        let from = self.number("a node")?;
        self.expect("TO")?;
        Ok(Command::Connect { back, from, to: self.number("a node")? })
    }

    fn compose(&mut self) -> Result<Command> {
        let gates = [("AND", Gate::And), ("OR", Gate::Or), ("XOR", Gate::Xor), ("NOT", Gate::Not)];
        let gate = self.choice(&gates, "AND, OR, XOR or NOT")?;
        let first = self.number("a node")?;
        let second = if gate == Gate::Not { None } else { Some(self.number("a node")?) };
        self.expect("INTO")?;
        Ok(Command::Compose { gate, first, second, into: self.number("a node")? })
    }

    fn file(&mut self, verb: &str) -> Result<Command> {
        let mut format = Format::Snapshot { compressed: false };
        if verb == "EXPORT" || verb == "IMPORT" {
            self.expect("MORTON")?;
            format = Format::Morton;
        } else if self.at + 1 < self.tokens.len() {
            // A lone word is a path, whatever it is called.
            let next = self.tokens.get(self.at + 1).map(|t| &t.kind);
            let path_follows = match next {
                Some(Kind::Word(w)) => {
                    !w.eq_ignore_ascii_case("COMPRESSED") || self.at + 2 < self.tokens.len()
                }
                Some(Kind::Quoted(_)) => true,
                Some(Kind::Symbol(_)) | None => false,
            };
            if path_follows && self.keyword("JSON") {
                format = Format::Json;
            } else if path_follows && self.keyword("CSV") {
                format = Format::Csv;
            }
        }
        let path = self.name("a path")?;
        if verb == "SAVE" && format == (Format::Snapshot { compressed: false }) && self.keyword("COMPRESSED")
        {
            format = Format::Snapshot { compressed: true };
        }
        Ok(match verb {
            "SAVE" | "EXPORT" => Command::Save { format, path },
            _ => Command::Load { format, path },
        })
    }

    fn backup(&mut self) -> Result<Command> {
        let actions = [
            ("INIT", Backup::Init),
            ("APPEND", Backup::Append),
            ("RESTORE", Backup::Restore),
            ("COMPACT", Backup::Compact),
            ("INFO", Backup::Info),
            ("DROP", Backup::Drop),
        ];
        let action = self.choice(&actions, "INIT, APPEND, RESTORE, COMPACT, INFO or DROP")?;
        Ok(Command::Backup { action, path: self.name("a folder")? })
    }

    fn record(&mut self) -> Result<Command> {
        let start = Record::Start { interval: None };
        let actions =
            [("START", start), ("STOP", Record::Stop), ("DROP", Record::Drop), ("INFO", Record::Info)];
        let mut action = self.choice(&actions, "START, STOP, DROP or INFO")?;
        if action == start && self.keyword("EVERY") {
            let interval = self.number_up_to(u64::from(u16::MAX), "a number of frames")?;
            action = Record::Start { interval: Some(interval as u32) };
        }
        Ok(Command::Record(action))
    }

    /// `[AS OF TICK n]`
    fn as_of(&mut self, command: Command) -> Result<Command> {
        if !command.is_read_only() || !self.keyword("AS") {
            return Ok(command);
        }
        self.expect("OF")?;
        self.expect("TICK")?;
        Ok(Command::AsOf { tick: self.number("a tick")?, command: Box::new(command) })
    }

    fn similar(&mut self) -> Result<Command> {
        self.expect("TO")?;
        let to = self.number("a node")?;
        self.expect("DEPTH")?;
        let depth = self.number("a depth")?;
        self.expect("K")?;
        let count = self.number("how many")?;
        let among = if self.keyword("AMONG") {
            self.expect("TRUTH")?;
            Some(self.truth()?)
        } else {
            None
        };
        Ok(Command::Similar { to, depth, count, among })
    }

    /// `[WHERE p]`
    fn condition(&mut self) -> Result<Option<Predicate>> {
        if self.keyword("WHERE") { self.either(0).map(Some) } else { Ok(None) }
    }

    fn either(&mut self, depth: usize) -> Result<Predicate> {
        let mut sides = Vec::from([self.both(depth)?]);
        while self.keyword("OR") {
            sides.push(self.both(depth)?);
        }
        Ok(join(sides, Predicate::Or))
    }

    fn both(&mut self, depth: usize) -> Result<Predicate> {
        let mut sides = Vec::from([self.single(depth)?]);
        while self.keyword("AND") {
            sides.push(self.single(depth)?);
        }
        Ok(join(sides, Predicate::And))
    }

    fn single(&mut self, depth: usize) -> Result<Predicate> {
        if depth > MAX_DEPTH {
            return Err(self.error(Problem::TooDeep));
        }
        if self.keyword("NOT") {
            return Ok(Predicate::Not(Box::new(self.single(depth + 1)?)));
        }
        if self.symbol("(") {
            let inner = self.either(depth + 1)?;
            return if self.symbol(")") { Ok(inner) } else { Err(self.unexpected(")")) };
        }
        let fields =
            [("TRUTH", Field::Truth), ("STATE", Field::Truth), ("RANK", Field::Rank), ("TYPE", Field::Type)];
        let field = self.choice(&fields, "truth, state, rank, type, NOT or (")?;
        let how = match self.peek().map(|t| &t.kind) {
            Some(Kind::Symbol("=")) => Comparison::Equal,
            Some(Kind::Symbol("!=")) => Comparison::NotEqual,
            Some(Kind::Symbol("<")) => Comparison::Less,
            Some(Kind::Symbol(">")) => Comparison::Greater,
            Some(Kind::Symbol("<=")) => Comparison::LessOrEqual,
            Some(Kind::Symbol(">=")) => Comparison::GreaterOrEqual,
            _ => return Err(self.unexpected("=, !=, <, >, <= or >=")),
        };
        self.at += 1;
        Ok(Predicate::Compare(field, how, self.number("a number")?))
    }
}

/// One condition as it is, several joined.
fn join(mut sides: Vec<Predicate>, how: fn(Vec<Predicate>) -> Predicate) -> Predicate {
    match sides.pop() {
        Some(only) if sides.is_empty() => only,
        last => {
            sides.extend(last);
            how(sides)
        }
    }
}

//! Tokens to expressions.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use super::{
    Expr, Level, MAX_PATH_DEPTH, Method, Operator, Path, PathError, Step,
    lexer::{self, Kind, Token},
};
use crate::{JsonError, number};

/// What an expression yields: a condition may stand only where one is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Value,
    Condition,
    /// A condition in parentheses, or `exists`.
    Delimited,
}

type Bound = (Expr, Sort);

/// Units of a level: a step takes one.
const LEVEL: usize = 8;

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// How deep the expression read last is when it is written: it must be possible to read it again.
    height: usize,
    /// Filters and subscripts that the current token is in.
    filters: usize,
    subscripts: usize,
}

pub(super) fn parse(text: &str) -> Result<Path, PathError> {
    let tokens = lexer::tokens(text)?;
    if tokens.is_empty() {
        return Err(PathError::Empty);
    }
    let mut p = Parser { tokens, at: 0, depth: 0, height: 0, filters: 0, subscripts: 0 };
    let lax = match p.name().as_deref() {
        Some("strict") => {
            p.at += 1;
            false
        }
        Some("lax") => {
            p.at += 1;
            true
        }
        _ => true,
    };
    let (root, _) = p.or()?;
    if p.at < p.tokens.len() {
        return Err(p.unexpected());
    }
    Ok(Path { lax, root })
}

const COMPARISONS: [(&str, Operator); 7] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<>", Operator::NotEqual),
    ("<", Operator::Less),
    ("<=", Operator::LessOrEqual),
    (">", Operator::Greater),
    (">=", Operator::GreaterOrEqual),
];

impl Parser {
    fn kind(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|t| &t.kind)
    }
    /// The word at hand, lower case; `true`, `false` and `null` only as they are written.
    fn name(&self) -> Option<String> {
        match self.kind() {
            Some(Kind::Name(n)) => {
                let lower = n.to_ascii_lowercase();
                let exact = matches!(lower.as_str(), "true" | "false" | "null");
                Some(if exact { n.clone() } else { lower })
            }
            _ => None,
        }
    }
    fn is_name(&self, name: &str) -> bool {
        self.name().as_deref() == Some(name)
    }
    fn is(&self, sign: &str) -> bool {
        matches!(self.kind(), Some(Kind::Sign(s)) if *s == sign)
    }
    fn eat(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }
    fn eat_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }
    fn expect(&mut self, sign: &str) -> Result<(), PathError> {
        if self.eat(sign) { Ok(()) } else { Err(self.unexpected()) }
    }
    #[cold]
    fn unexpected(&self) -> PathError {
        PathError::Syntax("syntax error", self.tokens.get(self.at).map(|t| t.text.clone()))
    }
    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, PathError>) -> Result<T, PathError> {
        if self.depth >= MAX_PATH_DEPTH {
            return Err(PathError::TooDeep);
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }
    fn condition(&self, (e, sort): Bound) -> Result<Expr, PathError> {
        if sort == Sort::Value { Err(self.unexpected()) } else { Ok(e) }
    }
    fn value(&self, (e, sort): Bound) -> Result<Expr, PathError> {
        if sort == Sort::Value { Ok(e) } else { Err(self.unexpected()) }
    }
    /// The expression read last is in something that takes so many more levels.
    fn above(&mut self, levels: usize) -> Result<(), PathError> {
        self.height += levels * LEVEL;
        self.limited()
    }
    fn limited(&self) -> Result<(), PathError> {
        if self.height >= MAX_PATH_DEPTH * LEVEL { Err(PathError::TooDeep) } else { Ok(()) }
    }
    /// It is the right side of an operator, whose left side has this height.
    fn joined(&mut self, left: usize) -> Result<(), PathError> {
        self.height = self.height.max(left);
        self.above(1)
    }

    fn or(&mut self) -> Result<Bound, PathError> {
        self.deeper(|p| {
            let mut left = p.and()?;
            while p.is("||") {
                let (first, height) = (p.condition(left)?, p.height);
                p.at += 1;
                let right = p.and()?;
                let right = p.condition(right)?;
                p.joined(height)?;
                left = (binary(Operator::Or, first, right), Sort::Condition);
            }
            Ok(left)
        })
    }

    fn and(&mut self) -> Result<Bound, PathError> {
        let mut left = self.comparison()?;
        while self.is("&&") {
            let (first, height) = (self.condition(left)?, self.height);
            self.at += 1;
            let right = self.comparison()?;
            let right = self.condition(right)?;
            self.joined(height)?;
            left = (binary(Operator::And, first, right), Sort::Condition);
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Bound, PathError> {
        if self.eat("!") {
            let inner = self.deeper(Self::delimited)?;
            self.above(2)?;
            return Ok((Expr::Not(Box::new(inner)), Sort::Condition));
        }
        let left = self.sum()?;
        if left.1 == Sort::Delimited && self.is_name("is") {
            self.at += 1;
            if !self.eat_name("unknown") {
                return Err(self.unexpected());
            }
            self.above(2)?;
            return Ok((Expr::IsUnknown(Box::new(left.0)), Sort::Condition));
        }
        if self.is_name("starts") {
            let left = self.value(left)?;
            self.at += 1;
            if !self.eat_name("with") {
                return Err(self.unexpected());
            }
            let initial = match self.kind() {
                Some(Kind::String(s)) => Expr::String(s.as_str().into()),
                Some(Kind::Variable(v)) => Expr::Variable(v.as_str().into()),
                _ => return Err(self.unexpected()),
            };
            self.at += 1;
            self.above(1)?;
            return Ok((binary(Operator::StartsWith, left, initial), Sort::Condition));
        }
        if self.is_name("like_regex") {
            let left = self.value(left)?;
            self.at += 1;
            self.above(1)?;
            return Ok((self.regex(left)?, Sort::Condition));
        }
        let operator = COMPARISONS.iter().find(|(sign, _)| self.is(sign)).map(|c| c.1);
        let Some(operator) = operator else { return Ok(left) };
        let (left, height) = (self.value(left)?, self.height);
        self.at += 1;
        let right = self.sum()?;
        let right = self.value(right)?;
        self.joined(height)?;
        Ok((binary(operator, left, right), Sort::Condition))
    }

    fn regex(&mut self, left: Expr) -> Result<Expr, PathError> {
        let pattern = self.string()?;
        let mut flags = String::new();
        if self.eat_name("flag") {
            for c in self.string()?.chars() {
                match c {
                    'i' | 's' | 'm' | 'q' => {}
                    'x' => {}
                    other => return Err(PathError::Flag(other)),
                }
                if !flags.contains(c) {
                    flags.push(c);
                }
            }
        }
        if flags.contains('x') && !flags.contains('q') {
            return Err(PathError::Expanded);
        }
        let ordered: String = "ismxq".chars().filter(|c| flags.contains(*c)).collect();
        Ok(Expr::LikeRegex(Box::new(left), pattern.into(), ordered.into()))
    }

    fn string(&mut self) -> Result<String, PathError> {
        match self.kind() {
            Some(Kind::String(s)) => {
                let s = s.clone();
                self.at += 1;
                Ok(s)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// `( condition )` or `exists ( expression )`.
    fn delimited(&mut self) -> Result<Expr, PathError> {
        if self.is_name("exists") {
            return self.exists();
        }
        self.expect("(")?;
        let inner = self.or()?;
        let inner = self.condition(inner)?;
        self.expect(")")?;
        Ok(inner)
    }

    fn exists(&mut self) -> Result<Expr, PathError> {
        self.at += 1;
        self.expect("(")?;
        let inner = self.deeper(Self::sum)?;
        let inner = self.value(inner)?;
        self.expect(")")?;
        self.above(2)?;
        Ok(Expr::Exists(Box::new(inner)))
    }

    fn sum(&mut self) -> Result<Bound, PathError> {
        let mut left = self.product()?;
        loop {
            let operator = match self.kind() {
                Some(Kind::Sign("+")) => Operator::Add,
                Some(Kind::Sign("-")) => Operator::Subtract,
                _ => return Ok(left),
            };
            let (first, height) = (self.value(left)?, self.height);
            self.at += 1;
            let right = self.product()?;
            self.joined(height)?;
            left = (binary(operator, first, self.value(right)?), Sort::Value);
        }
    }

    fn product(&mut self) -> Result<Bound, PathError> {
        let mut left = self.unary()?;
        loop {
            let operator = match self.kind() {
                Some(Kind::Sign("*")) => Operator::Multiply,
                Some(Kind::Sign("/")) => Operator::Divide,
                Some(Kind::Sign("%")) => Operator::Modulo,
                _ => return Ok(left),
            };
            let (first, height) = (self.value(left)?, self.height);
            self.at += 1;
            let right = self.unary()?;
            self.joined(height)?;
            left = (binary(operator, first, self.value(right)?), Sort::Value);
        }
    }

    fn unary(&mut self) -> Result<Bound, PathError> {
        let plus = self.is("+");
        if plus || self.is("-") {
            self.at += 1;
            let inner = self.deeper(Self::unary)?;
            let inner = match self.value(inner)? {
                // Signs of numbers are a part of them.
                Expr::Number(n) if plus => return Ok((Expr::Number(n), Sort::Value)),
                Expr::Number(n) => return Ok((Expr::Number(negated(&n)), Sort::Value)),
                other => Box::new(other),
            };
            self.above(2)?;
            return Ok((if plus { Expr::Plus(inner) } else { Expr::Minus(inner) }, Sort::Value));
        }
        let base = self.primary()?;
        let (mut steps, mut height) = (Vec::new(), self.height);
        self.height = 0;
        while let Some(step) = self.step()? {
            steps.push(step);
            height = height.max(self.height);
        }
        // Each step finds its items inside the one before.
        self.height = height + steps.len();
        self.limited()?;
        if steps.is_empty() {
            return Ok(base);
        }
        Ok((Expr::Chain(Box::new(base.0), steps), Sort::Value))
    }

    fn primary(&mut self) -> Result<Bound, PathError> {
        self.height = LEVEL;
        let value = |e| Ok((e, Sort::Value));
        let Some(kind) = self.kind().cloned() else { return Err(self.unexpected()) };
        match kind {
            Kind::String(s) => {
                self.at += 1;
                value(Expr::String(s.into()))
            }
            Kind::Variable(v) => {
                self.at += 1;
                value(Expr::Variable(v.into()))
            }
            Kind::Number(text, _) => {
                self.at += 1;
                value(Expr::Number(canonical(&text)?.into()))
            }
            Kind::Sign("$") => {
                self.at += 1;
                value(Expr::Root)
            }
            Kind::Sign("@") => {
                if self.filters == 0 {
                    return Err(PathError::CurrentInRoot);
                }
                self.at += 1;
                value(Expr::Current)
            }
            Kind::Sign("(") => {
                self.at += 1;
                let (inner, sort) = self.or()?;
                self.expect(")")?;
                Ok((inner, if sort == Sort::Value { Sort::Value } else { Sort::Delimited }))
            }
            Kind::Name(_) => {
                let name = self.name().unwrap_or_default();
                if name == "exists" {
                    return Ok((self.exists()?, Sort::Delimited));
                }
                let e = match name.as_str() {
                    "null" => Expr::Null,
                    "true" => Expr::Bool(true),
                    "false" => Expr::Bool(false),
                    "last" if self.subscripts > 0 => Expr::Last,
                    "last" => return Err(PathError::LastOutside),
                    _ => return Err(self.unexpected()),
                };
                self.at += 1;
                value(e)
            }
            Kind::Sign(_) => Err(self.unexpected()),
        }
    }

    fn step(&mut self) -> Result<Option<Step>, PathError> {
        if self.eat("[") {
            return self.subscript().map(Some);
        }
        if self.eat("?") {
            self.expect("(")?;
            self.filters += 1;
            let inner = self.or();
            self.filters -= 1;
            let inner = inner?;
            let inner = self.condition(inner)?;
            self.expect(")")?;
            self.above(2)?;
            return Ok(Some(Step::Filter(Box::new(inner))));
        }
        if !self.eat(".") {
            return Ok(None);
        }
        if self.eat("*") {
            return Ok(Some(Step::AnyKey));
        }
        if self.eat("**") {
            return self.levels().map(Some);
        }
        let key = match self.kind() {
            Some(Kind::String(s)) => {
                let key = Step::Key(s.as_str().into());
                self.at += 1;
                return Ok(Some(key));
            }
            Some(Kind::Name(n)) => n.clone(),
            _ => return Err(self.unexpected()),
        };
        let word = self.name().unwrap_or_default();
        self.at += 1;
        let method = match word.as_str() {
            "type" => Method::Type,
            "size" => Method::Size,
            "abs" => Method::Abs,
            "floor" => Method::Floor,
            "ceiling" => Method::Ceiling,
            "double" => Method::Double,
            "keyvalue" => Method::KeyValue,
            "datetime" if self.eat("(") => {
                let template = if self.is(")") { None } else { Some(self.string()?.into()) };
                self.expect(")")?;
                return Ok(Some(Step::Datetime(template)));
            }
            _ => return Ok(Some(Step::Key(key.into()))),
        };
        if self.eat("(") {
            self.expect(")")?;
            return Ok(Some(Step::Method(method)));
        }
        Ok(Some(Step::Key(key.into())))
    }

    /// Behind `[`.
    fn subscript(&mut self) -> Result<Step, PathError> {
        if self.eat("*") {
            self.expect("]")?;
            return Ok(Step::AnyElement);
        }
        self.subscripts += 1;
        let mut list = Vec::new();
        loop {
            let before = self.height;
            let from = self.deeper(Self::sum)?;
            let (from, mut height) = (self.value(from)?, self.height);
            let to = if self.eat_name("to") {
                let to = self.deeper(Self::sum)?;
                height = height.max(self.height);
                Some(self.value(to)?)
            } else {
                None
            };
            self.height = height;
            self.above(2)?;
            self.height = self.height.max(before);
            list.push((from, to));
            if !self.eat(",") {
                break;
            }
        }
        self.subscripts -= 1;
        self.expect("]")?;
        Ok(Step::Elements(list))
    }

    /// Behind `**`.
    fn levels(&mut self) -> Result<Step, PathError> {
        if !self.eat("{") {
            return Ok(Step::Any(Level::At(0), Level::Last));
        }
        let first = self.level()?;
        let last = if self.eat_name("to") { self.level()? } else { first };
        self.expect("}")?;
        Ok(Step::Any(first, last))
    }

    fn level(&mut self) -> Result<Level, PathError> {
        if self.eat_name("last") {
            return Ok(Level::Last);
        }
        match self.kind() {
            Some(Kind::Number(n, true)) => {
                let level = n.parse::<i32>().map_err(|_| PathError::Level(n.clone()))?;
                self.at += 1;
                Ok(Level::At(level.unsigned_abs()))
            }
            _ => Err(self.unexpected()),
        }
    }
}

/// A canonical number with the other sign; zero has none.
fn negated(number: &str) -> Box<str> {
    match number.strip_prefix('-') {
        Some(positive) => positive.into(),
        None if number.bytes().all(|b| matches!(b, b'0' | b'.')) => number.into(),
        None => format!("-{number}").into(),
    }
}

fn binary(operator: Operator, left: Expr, right: Expr) -> Expr {
    Expr::Binary(operator, Box::new(left), Box::new(right))
}

/// Numbers may lack digits on one side of the point here.
fn canonical(text: &str) -> Result<String, PathError> {
    let mut full = String::with_capacity(text.len() + 1);
    if text.starts_with('.') {
        full.push('0');
    }
    match text.find(['e', 'E']) {
        Some(e) => {
            full.push_str(text.get(..e).unwrap_or_default().trim_end_matches('.'));
            full.push_str(text.get(e..).unwrap_or_default());
        }
        None => full.push_str(text.trim_end_matches('.')),
    }
    let canonical: Result<_, JsonError> = number::canonical(&full);
    canonical.map(String::from).map_err(PathError::Value)
}

//! How the grammar deviates from `sqlparser`'s own PostgreSQL dialect: prefix expressions are recognised by
//! PostgreSQL's keyword categories instead of by trial, which is faster and gives the right errors.

use alloc::{
    boxed::Box,
    collections::BTreeSet,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::{
    any::TypeId,
    cell::{Cell, RefCell},
};

use sqlparser::{
    ast::{
        BinaryOperator, CastKind, DataType, Expr, Function, FunctionArguments, Ident, Interval, ObjectName,
        TrimWhereField, TypedString, UnaryOperator, Value, ValueWithSpan,
    },
    dialect::{Dialect, PostgreSqlDialect, Precedence},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Span, Token, TokenWithSpan, Word},
};

use crate::keywords::{Category, bare_label, lookup};

/// The prefix that stands for COLLATION FOR.
pub(crate) const COLLATION_FOR: &str = "COLLATION FOR";
/// Stands for CURRENT OF, which follows WHERE.
pub(crate) const CURRENT_OF: &str = "CURRENT OF";
/// Binding power of a unary sign: above COLLATE, below `[]`.
const SIGN: u8 = 125;
/// Binding power of any other prefix operator.
const OTHER: u8 = 70;

/// The dialect.
#[derive(Debug, Default)]
pub(crate) struct Postgres {
    /// Token positions where a parenthesised query was tried and is none.
    not_queries: RefCell<BTreeSet<usize>>,
    /// `ARRAY[` entered and not left.
    arrays: Cell<u32>,
}

const BASE: PostgreSqlDialect = PostgreSqlDialect {};

macro_rules! yes {
    ($($name:ident)*) => { $(fn $name(&self) -> bool { true })* };
}

impl Dialect for Postgres {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }
    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        Some('"')
    }
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"'
    }
    fn is_identifier_start(&self, ch: char) -> bool {
        BASE.is_identifier_start(ch)
    }
    fn is_identifier_part(&self, ch: char) -> bool {
        BASE.is_identifier_part(ch)
    }
    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        BASE.is_reserved_for_identifier(kw)
    }
    fn is_table_alias(&self, kw: &Keyword, parser: &mut Parser) -> bool {
        // As a bare alias SET would swallow the SET of UPDATE: PostgreSQL's grammar prefers the latter, too.
        if *kw == Keyword::SET {
            return false;
        }
        match &parser.get_current_token().token {
            Token::Word(w) if w.quote_style.is_none() && w.keyword == *kw => {
                // SET is unreserved, but `UPDATE t SET ...` must not take it for an alias.
                *kw != Keyword::SET
                    && matches!(lookup(&w.value).1, Category::Unreserved | Category::ColumnName)
            }
            _ => BASE.is_table_alias(kw, parser),
        }
    }
    fn is_column_alias(&self, kw: &Keyword, parser: &mut Parser) -> bool {
        match &parser.get_current_token().token {
            Token::Word(w) if w.quote_style.is_none() && w.keyword == *kw => bare_label(&w.value),
            _ => *kw != Keyword::FOR && BASE.is_column_alias(kw, parser),
        }
    }
    fn is_custom_operator_part(&self, ch: char) -> bool {
        BASE.is_custom_operator_part(ch)
    }
    fn prec_value(&self, prec: Precedence) -> u8 {
        BASE.prec_value(prec)
    }
    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::EOF | Token::Comma | Token::RParen | Token::SemiColon => Some(Ok(0)),
            Token::Word(w) if w.keyword == Keyword::NoKeyword => {
                Some(Ok(if w.quote_style.is_none() && w.value == "isnull" { 40 } else { 0 }))
            }
            Token::AtSign | Token::DoubleSharp => Some(Ok(OTHER)),
            _ => BASE.get_next_precedence(parser),
        }
    }
    yes! {
        supports_unicode_string_literal supports_filter_during_aggregation supports_group_by_expr
        allow_extract_custom allow_extract_single_quotes supports_create_index_with_clause
        supports_bitwise_shift_operators supports_named_fn_args_with_rarrow_operator supports_named_fn_args_with_assignment_operator supports_empty_projections
        supports_nested_comments supports_array_typedef_with_brackets supports_order_by_using_operator
        supports_notnull_operator supports_interval_options supports_insert_table_alias supports_comma_separated_trim
        supports_from_first_insert
    }
    fn supports_left_associative_joins_without_parens(&self) -> bool {
        false
    }
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        self.prefix(parser).transpose()
    }
    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        _precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        let Token::Word(w) = &parser.peek_token_ref().token else {
            return quantified_by_symbol(parser, expr);
        };
        if w.keyword == Keyword::COLLATE && w.quote_style.is_none() {
            parser.advance_token();
            let collation = parser.parse_object_name(false);
            return Some(
                collation.map(|collation| Expr::Collate { expr: Box::new(expr.clone()), collation }),
            );
        }
        if w.value == "isnull" && w.quote_style.is_none() {
            parser.advance_token();
            return Some(Ok(Expr::IsNull(Box::new(expr.clone()))));
        }
        if w.keyword == Keyword::OPERATOR && w.quote_style.is_none() {
            return quantified_operator(parser, expr).transpose();
        }
        let negated = w.keyword == Keyword::NOT;
        if let Some(liked) = quantified_like(parser, expr, negated) {
            return Some(liked);
        }
        let symmetric = match negated {
            true => parser.peek_nth_token_ref(1).token.clone(),
            _ => parser.peek_token_ref().token.clone(),
        };
        let next = parser.peek_nth_token_ref(if negated { 2 } else { 1 }).token.clone();
        let is = |t: &Token, k: &str| matches!(t, Token::Word(w) if w.quote_style.is_none() && w.value == k);
        if is(&symmetric, "between") && (is(&next, "symmetric") || is(&next, "asymmetric")) {
            for _ in 0..if negated { 3 } else { 2 } {
                parser.advance_token();
            }
            let symmetric = is(&next, "symmetric");
            return Some(between(parser, expr, negated, symmetric));
        }
        None
    }
}

/// Is it this word?
fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// ANY, SOME or ALL before a parenthesis, so many tokens ahead.
fn quantifier(parser: &Parser, ahead: usize) -> Option<Keyword> {
    match &parser.peek_nth_token_ref(ahead).token {
        Token::Word(w)
            if w.quote_style.is_none()
                && matches!(w.keyword, Keyword::ANY | Keyword::ALL | Keyword::SOME)
                && parser.peek_nth_token_ref(ahead + 1).token == Token::LParen =>
        {
            Some(w.keyword)
        }
        _ => None,
    }
}

/// `left op ANY (...)`, whose first tokens, up to the quantifier, are skipped.
fn quantified(
    parser: &mut Parser,
    left: &Expr,
    compare_op: BinaryOperator,
    (skipped, quantifier): (usize, Keyword),
) -> Result<Expr, ParserError> {
    for _ in 0..skipped {
        parser.advance_token();
    }
    let (left, right) = (Box::new(left.clone()), Box::new(parser.parse_prefix()?));
    Ok(match quantifier {
        Keyword::ALL => Expr::AllOp { left, compare_op, right },
        _ => Expr::AnyOp { left, compare_op, right, is_some: quantifier == Keyword::SOME },
    })
}

/// `x op ANY (...)` of operators for which `sqlparser` does not know it; `None`: it is something else.
fn quantified_by_symbol(parser: &mut Parser, left: &Expr) -> Option<Result<Expr, ParserError>> {
    let quantifier = quantifier(parser, 1)?;
    let token = &parser.peek_token_ref().token;
    let known = [Token::Eq, Token::Neq, Token::Lt, Token::Gt, Token::LtEq, Token::GtEq];
    if known.contains(token) {
        return None;
    }
    let compare_op = BinaryOperator::PGCustomBinaryOperator(vec![token.to_string()]);
    Some(quantified(parser, left, compare_op, (2, quantifier)))
}

/// `x [NOT] LIKE ANY (...)`, and ILIKE.
fn quantified_like(parser: &mut Parser, left: &Expr, negated: bool) -> Option<Result<Expr, ParserError>> {
    let ahead = usize::from(negated);
    let Token::Word(w) = &parser.peek_nth_token_ref(ahead).token else { return None };
    let op = match (w.keyword, negated) {
        (Keyword::LIKE, false) => "~~",
        (Keyword::LIKE, true) => "!~~",
        (Keyword::ILIKE, false) => "~~*",
        (Keyword::ILIKE, true) => "!~~*",
        _ => return None,
    };
    let quantifier = quantifier(parser, ahead + 1)?;
    let compare_op = BinaryOperator::PGCustomBinaryOperator(vec![op.to_string()]);
    Some(quantified(parser, left, compare_op, (ahead + 2, quantifier)))
}

/// Tokens of the longest name of an operator with a schema.
const MAX_OPERATOR_TOKENS: usize = 16;

/// `OPERATOR(schema.op) ANY (...)`, which the parser takes of plain operators only; `None`: no ANY, ALL or SOME follows.
fn quantified_operator(parser: &mut Parser, left: &Expr) -> Result<Option<Expr>, ParserError> {
    if parser.peek_nth_token_ref(1).token != Token::LParen {
        return Ok(None);
    }
    let close = (2..MAX_OPERATOR_TOKENS).find(|n| parser.peek_nth_token_ref(*n).token == Token::RParen);
    let Some(close) = close else { return Ok(None) };
    let quantifier = match &parser.peek_nth_token_ref(close + 1).token {
        Token::Word(w) if w.quote_style.is_none() => w.keyword,
        _ => return Ok(None),
    };
    if !matches!(quantifier, Keyword::ANY | Keyword::ALL | Keyword::SOME) {
        return Ok(None);
    }
    let mut parts = Vec::from([String::new()]);
    for n in 2..close {
        match &parser.peek_nth_token_ref(n).token {
            Token::Period => parts.push(String::new()),
            token => {
                if let Some(part) = parts.last_mut() {
                    part.push_str(&token.to_string());
                }
            }
        }
    }
    for _ in 0..close + 2 {
        parser.advance_token();
    }
    let compare_op = BinaryOperator::PGCustomBinaryOperator(parts);
    let (left, right) = (Box::new(left.clone()), Box::new(parser.parse_prefix()?));
    Ok(Some(match quantifier {
        Keyword::ALL => Expr::AllOp { left, compare_op, right },
        _ => Expr::AnyOp { left, compare_op, right, is_some: quantifier == Keyword::SOME },
    }))
}

/// `BETWEEN SYMMETRIC a AND b` is either order of the bounds.
fn between(parser: &mut Parser, expr: &Expr, negated: bool, symmetric: bool) -> Result<Expr, ParserError> {
    let low = Box::new(parser.parse_subexpr(60)?);
    parser.expect_keyword_is(Keyword::AND)?;
    let high = Box::new(parser.parse_subexpr(60)?);
    let once = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(expr.clone()),
        negated,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    if !symmetric {
        return Ok(once(&low, &high));
    }
    Ok(Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(once(&low, &high)),
        op: if negated { BinaryOperator::And } else { BinaryOperator::Or },
        right: Box::new(once(&high, &low)),
    })))
}

fn value(
    parser: &mut Parser,
    make: impl FnOnce(Token) -> Option<Value>,
) -> Result<Option<Expr>, ParserError> {
    let token = parser.next_token();
    Ok(make(token.token).map(|v| Expr::Value(ValueWithSpan { value: v, span: token.span })))
}

/// TRIM; after BOTH, LEADING and TRAILING the characters may be left out.
fn trim(p: &mut Parser) -> Result<Expr, ParserError> {
    let side = match &p.peek_nth_token_ref(1).token {
        Token::Word(w) if w.quote_style.is_none() => match w.keyword {
            Keyword::BOTH => Some(TrimWhereField::Both),
            Keyword::LEADING => Some(TrimWhereField::Leading),
            Keyword::TRAILING => Some(TrimWhereField::Trailing),
            _ => None,
        },
        _ => None,
    };
    let from =
        |t: &Token| matches!(t, Token::Word(w) if w.quote_style.is_none() && w.keyword == Keyword::FROM);
    if side.is_none() || !from(&p.peek_nth_token_ref(2).token) {
        return p.parse_trim_expr();
    }
    for _ in 0..3 {
        p.advance_token();
    }
    let expr = Box::new(p.parse_expr()?);
    p.expect_token(&Token::RParen)?;
    Ok(Expr::Trim { expr, trim_where: side, trim_what: None, trim_characters: None })
}

fn is_string(token: &Token) -> bool {
    matches!(token, Token::SingleQuotedString(_))
}

fn bare_function(word: &Word, span: Span, args: FunctionArguments) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![word.to_ident(span)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args,
        within_group: vec![],
        filter: None,
        null_treatment: None,
        over: None,
    })
}

/// An unquoted identifier that no text can contain: names are folded to lower case.
pub(crate) const DEFAULT_MARKER: &str = "DEFAULT";

/// Whether a select list ends where it begins, before what may follow it: an empty one is a list of one [`is_nothing`].
fn empty_select_list(p: &Parser) -> bool {
    use Keyword as K;
    let keyword = |t: &Token| match t {
        Token::Word(w) if w.quote_style.is_none() => w.keyword,
        _ => K::NoKeyword,
    };
    if !matches!(keyword(&p.get_current_token().token), K::SELECT | K::ALL) {
        return false;
    }
    match &p.peek_token_ref().token {
        Token::EOF | Token::SemiColon | Token::RParen => true,
        t => matches!(
            keyword(t),
            K::WHERE
                | K::GROUP
                | K::HAVING
                | K::ORDER
                | K::LIMIT
                | K::OFFSET
                | K::FETCH
                | K::UNION
                | K::EXCEPT
                | K::INTERSECT
                | K::INTO
        ),
    }
}

/// Whether this stands for no expression at all.
pub(crate) fn is_nothing(e: &Expr) -> bool {
    matches!(e, Expr::CompoundIdentifier(parts) if parts.is_empty())
}

impl Postgres {
    fn prefix(&self, p: &mut Parser) -> Result<Option<Expr>, ParserError> {
        if empty_select_list(p) {
            return Ok(Some(Expr::CompoundIdentifier(Vec::new())));
        }
        match &p.peek_token_ref().token {
            Token::Number(..) => value(p, |t| match t {
                Token::Number(n, _) => Some(Value::Number(n, false)),
                _ => None,
            }),
            Token::SingleQuotedString(_) => value(p, |t| match t {
                Token::SingleQuotedString(s) => Some(Value::SingleQuotedString(s)),
                _ => None,
            }),
            Token::SingleQuotedByteStringLiteral(_) => value(p, |t| match t {
                Token::SingleQuotedByteStringLiteral(s) => Some(Value::SingleQuotedByteStringLiteral(s)),
                _ => None,
            }),
            Token::HexStringLiteral(_) => value(p, |t| match t {
                Token::HexStringLiteral(s) => Some(Value::HexStringLiteral(s)),
                _ => None,
            }),
            Token::Placeholder(_) => value(p, |t| match t {
                Token::Placeholder(s) => Some(Value::Placeholder(s)),
                _ => None,
            }),
            Token::Minus | Token::Plus => {
                let op = match p.next_token().token {
                    Token::Minus => UnaryOperator::Minus,
                    _ => UnaryOperator::Plus,
                };
                let expr = Box::new(p.parse_subexpr(SIGN)?);
                Ok(Some(Expr::UnaryOp { op, expr }))
            }
            Token::Tilde
            | Token::AtSign
            | Token::AtAt
            | Token::QuestionPipe
            | Token::Sharp
            | Token::CustomBinaryOperator(_) => {
                let token = p.next_token();
                let operand = p.parse_subexpr(OTHER)?;
                Ok(Some(prefix_operator(&token, operand)))
            }
            Token::LParen => self.parenthesis(p).map(Some),
            // The rows of a nested constructor.
            Token::LBracket if self.arrays.get() > 0 => {
                p.advance_token();
                p.parse_array_expr(true).map(Some)
            }
            Token::Word(_) => self.word(p).map(Some),
            _ => p.expected_ref("an expression", p.peek_token_ref()),
        }
    }

    fn parenthesis(&self, p: &mut Parser) -> Result<Expr, ParserError> {
        let at = p.index();
        let mut ahead = 0;
        while p.peek_nth_token_ref(ahead).token == Token::LParen {
            ahead += 1;
        }
        let query = matches!(&p.peek_nth_token_ref(ahead).token, Token::Word(w)
            if matches!(w.keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::TABLE));
        p.advance_token();
        if query && !self.not_queries.borrow().contains(&at) {
            let tried = p.try_parse(|p| {
                let query = p.parse_query()?;
                p.expect_token(&Token::RParen)?;
                Ok(Expr::Subquery(query))
            });
            match tried {
                Ok(query) => return Ok(query),
                Err(ParserError::RecursionLimitExceeded) => return Err(ParserError::RecursionLimitExceeded),
                // Directly behind the parenthesis nothing but a query can begin so.
                Err(error) if ahead == 1 => return Err(error),
                Err(_) => {
                    self.not_queries.borrow_mut().insert(at);
                }
            }
        }
        let mut exprs: Vec<Expr> = p.parse_comma_separated(Parser::parse_expr)?;
        p.expect_token(&Token::RParen)?;
        Ok(match exprs.len() {
            1 => exprs.pop().map_or(Expr::Tuple(vec![]), |e| Expr::Nested(Box::new(e))),
            _ => Expr::Tuple(exprs),
        })
    }

    fn word(&self, p: &mut Parser) -> Result<Expr, ParserError> {
        let token = p.peek_token_ref();
        let span = token.span;
        let Token::Word(word) = &token.token else { return p.expected_ref("an expression", token) };
        let word = word.clone();
        // Behind a point the lexer has made names of all words.
        let (keyword, category) = match lookup(&word.value) {
            found if word.quote_style.is_none() && found.0 == word.keyword => found,
            _ => (Keyword::NoKeyword, Category::Unreserved),
        };
        let next = p.peek_nth_token_ref(1).token.clone();
        let call = next == Token::LParen;
        match keyword {
            Keyword::CURRENT if is_word(&next, "of") && is_word(&p.get_current_token().token, "where") => {
                let prefix = Ident::with_span(span, CURRENT_OF);
                p.advance_token();
                p.advance_token();
                let value = Box::new(Expr::Identifier(p.parse_identifier()?));
                if p.get_next_precedence()? > 0 {
                    return p.expected_ref("the end of the condition", p.peek_token_ref());
                }
                return Ok(Expr::Prefixed { prefix, value });
            }
            Keyword::COLLATION if is_word(&next, "for") => {
                let prefix = Ident::with_span(span, COLLATION_FOR);
                p.advance_token();
                p.advance_token();
                p.expect_token(&Token::LParen)?;
                let value = Box::new(p.parse_expr()?);
                p.expect_token(&Token::RParen)?;
                return Ok(Expr::Prefixed { prefix, value });
            }
            Keyword::NULL => return constant(p, Value::Null),
            Keyword::TRUE => return constant(p, Value::Boolean(true)),
            Keyword::FALSE => return constant(p, Value::Boolean(false)),
            Keyword::CASE => {
                p.advance_token();
                return p.parse_case_expr();
            }
            Keyword::CAST if call => {
                p.advance_token();
                return p.parse_cast_expr(CastKind::Cast);
            }
            Keyword::EXISTS if call => {
                p.advance_token();
                return p.parse_exists_expr(false);
            }
            Keyword::NOT => {
                p.advance_token();
                return p.parse_not();
            }
            Keyword::EXTRACT if call => {
                p.advance_token();
                return p.parse_extract_expr();
            }
            Keyword::POSITION if call => {
                p.advance_token();
                return p.parse_position_expr(word.to_ident(span));
            }
            Keyword::SUBSTRING if call => return p.parse_substring(),
            Keyword::OVERLAY if call => {
                p.advance_token();
                return p.parse_overlay_expr();
            }
            Keyword::TRIM if call => {
                p.advance_token();
                return trim(p);
            }
            Keyword::INTERVAL if is_string(&next) || call => {
                p.advance_token();
                return interval(p);
            }
            Keyword::ARRAY if next == Token::LBracket => {
                p.advance_token();
                p.advance_token();
                self.arrays.set(self.arrays.get() + 1);
                let array = p.parse_array_expr(true);
                self.arrays.set(self.arrays.get().saturating_sub(1));
                return array;
            }
            Keyword::ARRAY if call => {
                p.advance_token();
                p.advance_token();
                let query = p.parse_query()?;
                p.expect_token(&Token::RParen)?;
                return Ok(bare_function(&word, span, FunctionArguments::Subquery(query)));
            }
            Keyword::ROW if call => {
                p.advance_token();
                p.advance_token();
                let exprs = p.parse_comma_separated0(Parser::parse_expr, Token::RParen)?;
                p.expect_token(&Token::RParen)?;
                return Ok(Expr::Tuple(exprs));
            }
            Keyword::CURRENT_DATE
            | Keyword::CURRENT_TIME
            | Keyword::CURRENT_TIMESTAMP
            | Keyword::LOCALTIME
            | Keyword::LOCALTIMESTAMP => {
                p.advance_token();
                return p.parse_time_functions(ObjectName::from(vec![word.to_ident(span)]));
            }
            Keyword::CURRENT_USER
            | Keyword::SESSION_USER
            | Keyword::USER
            | Keyword::CURRENT_ROLE
            | Keyword::CURRENT_CATALOG => {
                p.advance_token();
                return Ok(bare_function(&word, span, FunctionArguments::None));
            }
            Keyword::CURRENT_SCHEMA if !call => {
                p.advance_token();
                return Ok(bare_function(&word, span, FunctionArguments::None));
            }
            Keyword::DEFAULT => {
                p.advance_token();
                return Ok(Expr::Identifier(Ident {
                    value: DEFAULT_MARKER.to_string(),
                    quote_style: None,
                    span,
                }));
            }
            _ => {}
        }
        if let Some(typed) = typed_string(p, keyword, category, &next)? {
            return Ok(typed);
        }
        match category {
            Category::Reserved => p.expected_ref("an expression", p.peek_token_ref()),
            Category::TypeFunction if !call => p.expected_ref("an expression", p.peek_token_ref()),
            _ => {
                p.advance_token();
                let ident = word.into_ident(span);
                if call {
                    return p.parse_function(ObjectName::from(vec![ident]));
                }
                Ok(Expr::Identifier(ident))
            }
        }
    }
}

fn constant(p: &mut Parser, value: Value) -> Result<Expr, ParserError> {
    let span = p.next_token().span;
    Ok(Expr::Value(ValueWithSpan { value, span }))
}

fn prefix_operator(token: &TokenWithSpan, operand: Expr) -> Expr {
    let op = match &token.token {
        Token::Tilde => UnaryOperator::BitwiseNot,
        Token::AtSign => UnaryOperator::PGAbs,
        Token::Sharp => UnaryOperator::Hash,
        Token::CustomBinaryOperator(s) if s == "|/" => UnaryOperator::PGSquareRoot,
        Token::CustomBinaryOperator(s) if s == "||/" => UnaryOperator::PGCubeRoot,
        Token::CustomBinaryOperator(s) if s == "!!" => UnaryOperator::PGPrefixFactorial,
        // A user's, if there is one.
        other => {
            let prefix = Ident::with_span(token.span, other.to_string());
            return Expr::Prefixed { prefix, value: Box::new(operand) };
        }
    };
    Expr::UnaryOp { op, expr: Box::new(operand) }
}

/// `type 'text'`.
fn typed_string(
    p: &mut Parser,
    keyword: Keyword,
    category: Category,
    next: &Token,
) -> Result<Option<Expr>, ParserError> {
    let multiword = match next {
        Token::SingleQuotedString(_) => category != Category::Reserved,
        Token::LParen | Token::Word(_) => matches!(
            keyword,
            Keyword::TIMESTAMP
                | Keyword::TIME
                | Keyword::DOUBLE
                | Keyword::CHARACTER
                | Keyword::CHAR
                | Keyword::VARCHAR
                | Keyword::NUMERIC
                | Keyword::DECIMAL
                | Keyword::DEC
                | Keyword::FLOAT
                | Keyword::BIT
        ),
        // schema.type 'text', type[] 'text' are not expressions in PostgreSQL's grammar either, bar the first.
        _ => false,
    };
    if !multiword {
        return Ok(None);
    }
    p.maybe_parse(|p| {
        let data_type: DataType = p.parse_data_type()?;
        let token = p.next_token();
        match token.token {
            Token::SingleQuotedString(s) => Ok(Expr::TypedString(TypedString {
                data_type,
                value: ValueWithSpan { value: Value::SingleQuotedString(s), span: token.span },
                uses_odbc_syntax: false,
            })),
            _ => p.expected("a string", token),
        }
    })
}

/// `INTERVAL '1' DAY`, `INTERVAL(3) '1 s'`; the keyword is consumed.
fn interval(p: &mut Parser) -> Result<Expr, ParserError> {
    let mut precision = None;
    if p.consume_token(&Token::LParen) {
        precision = Some(p.parse_literal_uint()?);
        p.expect_token(&Token::RParen)?;
    }
    let token = p.next_token();
    let Token::SingleQuotedString(text) = token.token else { return p.expected("a string", token) };
    let mut result = Interval {
        value: Box::new(Expr::Value(ValueWithSpan {
            value: Value::SingleQuotedString(text),
            span: token.span,
        })),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: precision,
    };
    let unit = |p: &Parser| {
        matches!(&p.peek_token_ref().token, Token::Word(w) if matches!(w.keyword,
            Keyword::YEAR | Keyword::MONTH | Keyword::DAY | Keyword::HOUR | Keyword::MINUTE | Keyword::SECOND))
    };
    if precision.is_none() && unit(p) {
        result.leading_field = Some(p.parse_date_time_field()?);
        if p.parse_keyword(Keyword::TO) {
            result.last_field = Some(p.parse_date_time_field()?);
        }
        if p.consume_token(&Token::LParen) {
            result.fractional_seconds_precision = Some(p.parse_literal_uint()?);
            p.expect_token(&Token::RParen)?;
        }
    }
    Ok(Expr::Interval(result))
}

//! CREATE, ALTER and DROP of aggregates, operators and casts.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_functions::CastContext;
use pg_plan::{
    definition::Definition,
    utility::{ObjectName, Utility},
};
use pg_types::SqlError;
use sqlparser::{ast as sq, tokenizer::Token};

use super::{Cursor, Parsed, Statement, grant, routine, utility};
use crate::ast::{Ast, NameAt, Parameter, RoutineRef, TypeRef};

/// A statement about these objects, types and functions not yet looked for.
#[derive(Clone, Debug)]
pub(crate) enum DefinitionStatement {
    CreateAggregate { name: NameAt, or_replace: bool, arguments: Option<Arguments>, items: Vec<Item> },
    CreateOperator { name: ObjectName, items: Vec<Item> },
    AlterOperator(OperatorSignature, AlterOperator),
    DropOperators { names: Vec<OperatorSignature>, if_exists: bool, cascade: bool },
    CommentOperator(OperatorSignature, Option<String>),
    CreateCast { types: CastTypes, method: CastBy, context: CastContext },
    DropCast { types: CastTypes, if_exists: bool, cascade: bool },
    CommentCast(CastTypes, Option<String>),
    CreateStatistics(CreateStatistics),
}

/// CREATE STATISTICS.
#[derive(Clone, Debug)]
pub(crate) struct CreateStatistics {
    pub(crate) name: ObjectName,
    pub(crate) if_not_exists: bool,
    pub(crate) kinds: Vec<String>,
    /// Columns and expressions.
    pub(crate) keys: Vec<sq::Expr>,
    pub(crate) from: NameAt,
}

/// Arguments of an aggregate, and behind ORDER BY.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    pub(crate) direct: Vec<Parameter>,
    pub(crate) ordered: Option<Vec<Parameter>>,
}

/// `name = value` of a definition.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) value: Value,
}

/// See [`Item`].
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// There is none.
    Nothing,
    /// NONE.
    None,
    Name(NameAt),
    Type(TypeRef),
    Operator(ObjectName),
    Text(String),
}

/// An operator with the types of its operands; `None`: NONE.
#[derive(Clone, Debug)]
pub(crate) struct OperatorSignature {
    pub(crate) name: ObjectName,
    pub(crate) left: Option<(sq::DataType, u32)>,
    pub(crate) right: Option<(sq::DataType, u32)>,
}

#[derive(Clone, Debug)]
pub(crate) enum AlterOperator {
    Owner(pg_plan::access::RoleName),
    SetSchema(String),
    Set(Vec<Item>),
}

/// The two types of a cast.
pub(crate) type CastTypes = Box<[(sq::DataType, u32); 2]>;

#[derive(Clone, Debug)]
pub(crate) enum CastBy {
    Function(RoutineRef),
    Nothing,
    Text,
}

pub(super) fn made(s: DefinitionStatement, tag: &'static str) -> Statement {
    utility(Ast::Definition(Box::new(s)), tag)
}

/// The text of the operator that comes next.
fn symbol(c: &mut Cursor<'_>) -> Parsed<String> {
    let token = &c.parser.peek_token_ref().token;
    let text = match token {
        Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) => return c.unexpected(),
        other => format!("{other}"),
    };
    if text.is_empty() || text == "=>" || !text.chars().all(|x| "+-*/<>=~!@#%^&|`?".contains(x)) {
        return c.unexpected();
    }
    c.parser.advance_token();
    Ok(text)
}

/// An operator's name, which may have a schema.
fn operator_name(c: &mut Cursor<'_>) -> Parsed<ObjectName> {
    let schema = match c.parser.peek_token_ref().token {
        Token::Word(_) => {
            let schema = c.ident()?;
            c.symbol(&Token::Period)?;
            Some(schema)
        }
        _ => None,
    };
    Ok(ObjectName { schema, name: symbol(c)? })
}

fn type_at(c: &mut Cursor<'_>) -> Parsed<(sq::DataType, u32)> {
    let at = c.here();
    Ok((c.parser.parse_data_type()?, at))
}

fn item_value(c: &mut Cursor<'_>, name: &str) -> Parsed<Value> {
    if !c.accept_symbol(&Token::Eq) {
        return Ok(Value::Nothing);
    }
    if c.accept("none") {
        return Ok(Value::None);
    }
    let next = c.parser.peek_token_ref().token.clone();
    Ok(match name {
        "stype" | "stype1" | "mstype" | "basetype" | "leftarg" | "rightarg" => match next {
            Token::SingleQuotedString(s) => {
                c.parser.advance_token();
                Value::Text(s)
            }
            _ => Value::Type(routine::type_ref(c)?),
        },
        "sortop" | "commutator" | "negator" => {
            if c.accept("operator") {
                c.symbol(&Token::LParen)?;
                let name = operator_name(c)?;
                c.symbol(&Token::RParen)?;
                Value::Operator(name)
            } else if matches!(next, Token::Word(_)) {
                Value::Name(c.name()?)
            } else {
                Value::Operator(ObjectName { schema: None, name: symbol(c)? })
            }
        }
        "sfunc" | "sfunc1" | "finalfunc" | "combinefunc" | "serialfunc" | "deserialfunc" | "msfunc"
        | "minvfunc" | "mfinalfunc" | "function" | "procedure" | "restrict" | "join" => match next {
            Token::Word(_) => Value::Name(c.name()?),
            Token::SingleQuotedString(s) => {
                c.parser.advance_token();
                Value::Text(s)
            }
            _ => return c.unexpected(),
        },
        _ => match next {
            Token::Word(_)
            | Token::SingleQuotedString(_)
            | Token::Number(..)
            | Token::Minus
            | Token::Plus => Value::Text(c.option_value()?),
            _ => Value::Operator(ObjectName { schema: None, name: symbol(c)? }),
        },
    })
}

/// `(name = value, ...)`.
fn items(c: &mut Cursor<'_>) -> Parsed<Vec<Item>> {
    c.symbol(&Token::LParen)?;
    let mut list = Vec::new();
    loop {
        let name = c.any_word()?;
        let value = item_value(c, &name)?;
        list.push(Item { name, value });
        if !c.accept_symbol(&Token::Comma) {
            break;
        }
    }
    c.symbol(&Token::RParen)?;
    Ok(list)
}

/// Arguments of an aggregate, in parentheses.
fn arguments(c: &mut Cursor<'_>) -> Parsed<Arguments> {
    c.symbol(&Token::LParen)?;
    if c.accept_symbol(&Token::Mul) {
        c.symbol(&Token::RParen)?;
        return Ok(Arguments { direct: Vec::new(), ordered: None });
    }
    let list = |c: &mut Cursor<'_>| -> Parsed<Vec<Parameter>> {
        let mut list = Vec::from([routine::parameter(c)?]);
        while c.accept_symbol(&Token::Comma) {
            list.push(routine::parameter(c)?);
        }
        Ok(list)
    };
    let direct = if c.peek_is(0, "order") { Vec::new() } else { list(c)? };
    let ordered = if c.accept_all(&["order", "by"]) { Some(list(c)?) } else { None };
    c.symbol(&Token::RParen)?;
    Ok(Arguments { direct, ordered })
}

/// An aggregate's arguments where a statement names it: all of them one after the other.
pub(super) fn all_arguments(c: &mut Cursor<'_>) -> Parsed<Vec<Parameter>> {
    let Arguments { mut direct, ordered } = arguments(c)?;
    // A variadic direct argument is the ordered one, too.
    let shared = direct.last().is_some_and(|p| p.mode == Some(b'v'));
    direct.extend(ordered.into_iter().flatten().filter(|_| !shared));
    Ok(direct)
}

/// What follows CREATE [OR REPLACE] AGGREGATE.
pub(super) fn create_aggregate(c: &mut Cursor<'_>, or_replace: bool) -> Parsed<Statement> {
    let name = c.name()?;
    let old = matches!(c.parser.peek_nth_token_ref(1).token, Token::Word(_))
        && c.parser.peek_nth_token_ref(2).token == Token::Eq;
    let arguments = if old { None } else { Some(arguments(c)?) };
    let items = items(c)?;
    Ok(made(DefinitionStatement::CreateAggregate { name, or_replace, arguments, items }, "CREATE AGGREGATE"))
}

/// What follows CREATE OPERATOR.
pub(super) fn create_operator(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let name = operator_name(c)?;
    let items = items(c)?;
    Ok(made(DefinitionStatement::CreateOperator { name, items }, "CREATE OPERATOR"))
}

/// An operator by name and types.
fn signature(c: &mut Cursor<'_>) -> Parsed<OperatorSignature> {
    let name = operator_name(c)?;
    c.symbol(&Token::LParen)?;
    let left = if c.accept("none") { None } else { Some(type_at(c)?) };
    if left.is_some() && c.parser.peek_token_ref().token == Token::RParen {
        return Err(SqlError::syntax("missing argument")
            .hint("Use NONE to denote the missing argument of a unary operator.")
            .at(c.here())
            .into());
    }
    c.symbol(&Token::Comma)?;
    let right = if c.accept("none") { None } else { Some(type_at(c)?) };
    c.symbol(&Token::RParen)?;
    Ok(OperatorSignature { name, left, right })
}

/// What follows ALTER OPERATOR.
pub(super) fn alter_operator(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let name = signature(c)?;
    let change = if c.accept_all(&["owner", "to"]) {
        AlterOperator::Owner(grant::role_name(c)?)
    } else if c.accept_all(&["set", "schema"]) {
        AlterOperator::SetSchema(c.ident()?)
    } else {
        c.expect("set")?;
        AlterOperator::Set(items(c)?)
    };
    Ok(made(DefinitionStatement::AlterOperator(name, change), "ALTER OPERATOR"))
}

/// What follows DROP OPERATOR.
pub(super) fn drop_operator(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let if_exists = c.if_exists()?;
    let mut names = Vec::from([signature(c)?]);
    while c.accept_symbol(&Token::Comma) {
        names.push(signature(c)?);
    }
    let cascade = c.cascade();
    Ok(made(DefinitionStatement::DropOperators { names, if_exists, cascade }, "DROP OPERATOR"))
}

/// `(type AS type)`.
fn cast_types(c: &mut Cursor<'_>) -> Parsed<CastTypes> {
    c.symbol(&Token::LParen)?;
    let source = type_at(c)?;
    c.expect("as")?;
    let target = type_at(c)?;
    c.symbol(&Token::RParen)?;
    Ok(Box::new([source, target]))
}

/// What follows CREATE CAST.
pub(super) fn create_cast(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let types = cast_types(c)?;
    let method = if c.accept_all(&["without", "function"]) {
        CastBy::Nothing
    } else {
        c.expect("with")?;
        if c.accept("inout") {
            CastBy::Text
        } else {
            c.expect("function")?;
            CastBy::Function(routine::reference(c, pg_plan::routine::RoutineWord::Function)?)
        }
    };
    let context = if c.accept_all(&["as", "implicit"]) {
        CastContext::Implicit
    } else if c.accept_all(&["as", "assignment"]) {
        CastContext::Assignment
    } else {
        CastContext::Explicit
    };
    Ok(made(DefinitionStatement::CreateCast { types, method, context }, "CREATE CAST"))
}

/// What follows DROP CAST.
pub(super) fn drop_cast(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let if_exists = c.if_exists()?;
    let types = cast_types(c)?;
    let cascade = c.cascade();
    Ok(made(DefinitionStatement::DropCast { types, if_exists, cascade }, "DROP CAST"))
}

/// The number of a large object.
pub(super) fn large_object(c: &mut Cursor<'_>) -> Parsed<pg_types::Oid> {
    let n = c.integer()?;
    pg_types::Oid::try_from(n).map_err(|_| {
        let text = format!("value \"{n}\" is out of range for type oid");
        SqlError::new(pg_types::SqlState::NUMERIC_VALUE_OUT_OF_RANGE, text).into()
    })
}

/// What follows ALTER LARGE OBJECT.
pub(super) fn alter_large_object(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let oid = large_object(c)?;
    c.expect_all(&["owner", "to"])?;
    let change = Definition::OwnLargeObject(oid, grant::role_name(c)?);
    Ok(super::ddl::ready(Utility::Definition(Box::new(change)), "ALTER LARGE OBJECT"))
}

/// What follows COMMENT ON, if it is about an operator, a cast, statistics or a large object.
pub(super) fn comment(c: &mut Cursor<'_>) -> Parsed<Option<Statement>> {
    let text = |c: &mut Cursor<'_>| -> Parsed<Option<String>> {
        c.expect("is")?;
        Ok(if c.accept("null") { None } else { Some(c.string()?) })
    };
    if c.accept_all(&["large", "object"]) {
        let oid = large_object(c)?;
        let change = Definition::CommentLargeObject(oid, text(c)?);
        return Ok(Some(super::ddl::ready(Utility::Definition(Box::new(change)), "COMMENT")));
    }
    if c.accept("collation") {
        return super::collation::comment(c).map(Some);
    }
    if c.accept("statistics") {
        return super::statistics::comment(c).map(Some);
    }
    let family = c.peek_is(1, "class") || c.peek_is(1, "family");
    let statement = if !family && c.accept("operator") {
        DefinitionStatement::CommentOperator(signature(c)?, text(c)?)
    } else if c.accept("cast") {
        DefinitionStatement::CommentCast(cast_types(c)?, text(c)?)
    } else {
        return Ok(None);
    };
    Ok(Some(made(statement, "COMMENT")))
}

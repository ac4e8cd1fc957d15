//! CREATE, ALTER, DROP, TRUNCATE, COMMENT.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_plan::access::RoleName;
use pg_plan::utility::{CreateSchema, Drop, ObjectKind, ObjectName, OnCommit, RoleStatement, Utility};
use pg_types::SqlError;
use sqlparser::tokenizer::Token;

use super::{
    Cursor, Parsed, Statement, alter, database, definition, extension, grant, routine, table, types, utility,
};
use crate::ast::{
    Ast, CreateIndex, CreateTable, CreateTableAs, CreateTableAsExecute, CreateView, IndexElement, NameAt,
};

pub(super) fn ready(u: Utility, tag: &'static str) -> Statement {
    utility(Ast::Ready(Box::new(u)), tag)
}

fn unsupported(what: impl Into<String>) -> Statement {
    utility(Ast::Unsupported(what.into()), "")
}

/// `None`: the word begins no statement.
pub(super) fn statement(c: &mut Cursor<'_>, word: &str) -> Parsed<Option<Statement>> {
    let statement = match word {
        "create" => create(c)?,
        "alter" => alter::alter(c)?,
        "drop" => drop(c)?,
        "truncate" => truncate(c)?,
        "comment" => comment(c)?,
        "reindex" => reindex(c)?,
        "grant" => grant::grant(c)?,
        "revoke" => grant::revoke(c)?,
        "reassign" => grant::reassign(c)?,
        "refresh" => refresh(c)?,
        "cluster" => cluster(c)?,
        "load" | "merge" | "do" | "import" | "security" => {
            let name = word.to_ascii_uppercase();
            while !c.at_end() {
                c.parser.advance_token();
            }
            unsupported(name)
        }
        _ => return Ok(None),
    };
    Ok(Some(statement))
}

fn cluster(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    let mut verbose = c.accept("verbose");
    if !verbose && c.accept_symbol(&Token::LParen) {
        loop {
            match c.any_word()?.as_str() {
                "verbose" => verbose = c.option_flag()?,
                other => {
                    let text = format!("unrecognized CLUSTER option \"{other}\"");
                    return Err(SqlError::new(pg_types::SqlState::SYNTAX_ERROR, text).into());
                }
            }
            if !c.accept_symbol(&Token::Comma) {
                break;
            }
        }
        c.symbol(&Token::RParen)?;
    }
    if verbose {
        return Err(SqlError::unsupported("CLUSTER (VERBOSE)").into());
    }
    if c.at_end() {
        return Ok(utility(Ast::Cluster(None), "CLUSTER"));
    }
    let name = c.name()?;
    let target = if c.accept("using") {
        (name, Some(c.ident()?))
    } else if c.accept("on") {
        (c.name()?, Some(name.name.name))
    } else {
        (name, None)
    };
    Ok(utility(Ast::Cluster(Some(target)), "CLUSTER"))
}

fn reindex(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    let (mut concurrently, mut verbose) = (false, false);
    if c.accept_symbol(&Token::LParen) {
        loop {
            match c.any_word()?.as_str() {
                "concurrently" => concurrently = c.option_flag()?,
                "verbose" => verbose = c.option_flag()?,
                "tablespace" => return Err(SqlError::unsupported("REINDEX (TABLESPACE)").into()),
                other => {
                    let text = format!("unrecognized REINDEX option \"{other}\"");
                    return Err(SqlError::new(pg_types::SqlState::SYNTAX_ERROR, text).into());
                }
            }
            if !c.accept_symbol(&Token::Comma) {
                break;
            }
        }
        c.symbol(&Token::RParen)?;
    }
    for (word, database) in [("schema", false), ("database", true)] {
        if c.accept(word) {
            if concurrently || c.accept("concurrently") {
                let what = format!("REINDEX {} CONCURRENTLY", word.to_ascii_uppercase());
                return Err(SqlError::unsupported(what).into());
            }
            let name = c.ident()?;
            return Ok(ready(Utility::ReindexAll { name, database, verbose }, "REINDEX"));
        }
    }
    let index = c.accept("index");
    if !index && !c.accept("table") {
        return Ok(refuse(c, "REINDEX"));
    }
    concurrently |= c.accept("concurrently");
    let name = c.name()?;
    Ok(utility(Ast::Reindex { name, index, concurrently, verbose }, "REINDEX"))
}

/// Names the construct by its first words and skips the rest.
pub(super) fn refuse(c: &mut Cursor<'_>, prefix: &str) -> Statement {
    let mut what = String::from(prefix);
    if let Some(word) = c.peek_word() {
        what.push(' ');
        what.push_str(&word.to_ascii_uppercase());
    }
    while !c.at_end() {
        c.parser.advance_token();
    }
    unsupported(what)
}

fn create(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("create")?;
    let or_replace = c.accept_all(&["or", "replace"]);
    let temporary = temporary_word(c)?;
    let persistence = if temporary {
        Persistence::Temporary
    } else if c.accept("unlogged") {
        Persistence::Unlogged
    } else {
        Persistence::Permanent
    };
    if !or_replace && !temporary && c.accept("type") {
        return types::create_type(c);
    }
    if !or_replace && !temporary && c.accept("domain") {
        return types::create_domain(c);
    }
    if !or_replace && c.accept_all(&["materialized", "view"]) {
        if temporary {
            return c.unexpected();
        }
        return create_materialized_view(c, persistence == Persistence::Unlogged);
    }
    if !temporary && c.accept("function") {
        return routine::create(c, or_replace, pg_catalog::RoutineKind::Function);
    }
    if !temporary && c.accept("procedure") {
        return routine::create(c, or_replace, pg_catalog::RoutineKind::Procedure);
    }
    if !temporary && c.accept("aggregate") {
        return definition::create_aggregate(c, or_replace);
    }
    let operator = c.peek_is(0, "operator") && !c.peek_is(1, "class") && !c.peek_is(1, "family");
    if !or_replace && !temporary && operator {
        c.parser.advance_token();
        return definition::create_operator(c);
    }
    if !or_replace && !temporary && c.accept("collation") {
        return super::collation::create(c);
    }
    if !or_replace && !temporary && c.accept("statistics") {
        return super::statistics::create(c);
    }
    if !or_replace && !temporary && c.accept("cast") {
        return definition::create_cast(c);
    }
    if or_replace && !c.peek_is(0, "view") && !c.peek_is(0, "recursive") {
        return Ok(refuse(c, "CREATE OR REPLACE"));
    }
    if c.accept("table") {
        return create_table(c, persistence);
    }
    if persistence != Persistence::Permanent
        && !c.peek_is(0, "view")
        && !c.peek_is(0, "recursive")
        && !c.peek_is(0, "sequence")
    {
        return Ok(refuse(c, "CREATE TEMPORARY"));
    }
    if c.accept_all(&["unique", "index"]) {
        return create_index(c, true);
    }
    if c.accept("index") {
        return create_index(c, false);
    }
    if c.accept("view") {
        return create_view(c, or_replace, persistence, false);
    }
    if c.accept_all(&["recursive", "view"]) {
        return create_view(c, or_replace, persistence, true);
    }
    if c.accept("sequence") {
        let if_not_exists = c.if_not_exists()?;
        let name = persistence.apply(c.name()?)?;
        let def = alter::unnamed(table::sequence_options(c)?)?;
        return Ok(utility(Ast::CreateSequence(name, if_not_exists, def), "CREATE SEQUENCE"));
    }
    if c.accept("schema") {
        return create_schema(c);
    }
    if c.accept("policy") {
        return grant::policy_statement(c, "create");
    }
    if c.accept("database") {
        return database::create(c);
    }
    if c.accept("extension") {
        return extension::create(c);
    }
    if c.peek_is(0, "role") || c.peek_is(0, "group") || c.peek_is(0, "user") && !c.peek_is(1, "mapping") {
        let user = c.accept("user");
        if !user && !c.accept("role") {
            c.expect("group")?;
        }
        let name = grant::plain_role(c)?;
        let mut role = role(c, name)?;
        role.login = role.login.or(Some(user));
        return Ok(ready(Utility::CreateRole(role), "CREATE ROLE"));
    }
    Ok(refuse(c, "CREATE"))
}

/// How long a relation lives, and whether it is logged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Persistence {
    Permanent,
    Unlogged,
    Temporary,
}

impl Persistence {
    /// A temporary relation's name is one in the schema `pg_temp`.
    fn apply(self, name: NameAt) -> Parsed<ObjectName> {
        if self == Self::Temporary { Ok(temporary(name)?) } else { Ok(name.name) }
    }
}

/// The name of a temporary relation.
pub(super) fn temporary(name: NameAt) -> pg_types::Result<ObjectName> {
    match name.name.schema.as_deref() {
        None | Some("pg_temp") => Ok(ObjectName { schema: Some("pg_temp".into()), name: name.name.name }),
        Some(_) => Err(SqlError::new(
            pg_types::SqlState::INVALID_TABLE_DEFINITION,
            "cannot create temporary relation in non-temporary schema",
        )
        .at(name.at)),
    }
}

/// [LOCAL | GLOBAL] TEMPORARY.
fn temporary_word(c: &mut Cursor<'_>) -> Parsed<bool> {
    let is_temp = |c: &Cursor<'_>, n| c.peek_is(n, "temp") || c.peek_is(n, "temporary");
    if (c.peek_is(0, "local") || c.peek_is(0, "global")) && is_temp(c, 1) {
        c.parser.advance_token();
    }
    Ok(is_temp(c, 0) && (c.accept("temp") || c.accept("temporary")))
}

/// ON COMMIT ..., of temporary tables only.
fn on_commit(c: &mut Cursor<'_>, name: &ObjectName) -> Parsed<OnCommit> {
    if !c.accept("on") {
        return Ok(OnCommit::Preserve);
    }
    c.expect("commit")?;
    let action = if c.accept("drop") {
        OnCommit::Drop
    } else {
        let delete = c.accept("delete");
        if !delete {
            c.expect("preserve")?;
        }
        c.expect("rows")?;
        if delete { OnCommit::Delete } else { OnCommit::Preserve }
    };
    if name.schema.as_deref() != Some("pg_temp") {
        let text = "ON COMMIT can only be used on temporary tables";
        return Err(SqlError::new(pg_types::SqlState::INVALID_TABLE_DEFINITION, text).into());
    }
    Ok(action)
}

fn create_table(c: &mut Cursor<'_>, persistence: Persistence) -> Parsed<Statement> {
    let if_not_exists = c.if_not_exists()?;
    let name = persistence.apply(c.name()?)?;
    let unlogged = persistence == Persistence::Unlogged;
    if c.peek_is(0, "partition") {
        return Ok(refuse(c, "CREATE TABLE"));
    }
    if c.accept("of") {
        return typed_table(c, name, if_not_exists, unlogged);
    }
    if c.parser.peek_token_ref().token != Token::LParen || names_only(c) {
        let columns = if c.parser.peek_token_ref().token == Token::LParen {
            c.idents_in_parentheses()?
        } else {
            Vec::new()
        };
        let ast = table_as(c, name, if_not_exists, columns, unlogged)?;
        return Ok(utility(ast, "CREATE TABLE AS"));
    }
    c.symbol(&Token::LParen)?;
    let (mut columns, mut constraints, mut likes) = (Vec::new(), Vec::new(), Vec::new());
    if !c.accept_symbol(&Token::RParen) {
        loop {
            if c.accept("like") {
                let name = c.name()?;
                likes.push((columns.len(), name, table::like_parts(c)?));
            } else {
                match table::table_constraint(c)? {
                    Some(constraint) => constraints.push(constraint),
                    None => columns.push(table::column(c)?),
                }
            }
            if !c.accept_symbol(&Token::Comma) {
                break;
            }
        }
        c.symbol(&Token::RParen)?;
    }
    let mut inherits = Vec::new();
    if c.accept("inherits") {
        c.symbol(&Token::LParen)?;
        inherits = c.names()?;
        c.symbol(&Token::RParen)?;
    }
    let (options, on_commit) = (Vec::new(), OnCommit::Preserve);
    let ast = CreateTable {
        name,
        if_not_exists,
        unlogged,
        columns,
        constraints,
        options,
        on_commit,
        likes,
        inherits,
        of: None,
    };
    table_end(c, ast)
}

/// CREATE TABLE ... OF, after the word.
fn typed_table(
    c: &mut Cursor<'_>,
    name: ObjectName,
    if_not_exists: bool,
    unlogged: bool,
) -> Parsed<Statement> {
    let of = Some(c.name()?);
    let (mut columns, mut constraints) = (Vec::new(), Vec::new());
    if c.accept_symbol(&Token::LParen) {
        loop {
            match table::table_constraint(c)? {
                Some(constraint) => constraints.push(constraint),
                None => columns.push(table::typed_column(c)?),
            }
            if !c.accept_symbol(&Token::Comma) {
                break;
            }
        }
        c.symbol(&Token::RParen)?;
    }
    let (options, on_commit, likes, inherits) = (Vec::new(), OnCommit::Preserve, Vec::new(), Vec::new());
    let ast = CreateTable {
        name,
        if_not_exists,
        unlogged,
        columns,
        constraints,
        options,
        on_commit,
        likes,
        inherits,
        of,
    };
    table_end(c, ast)
}

/// What stands behind the columns of a new table.
fn table_end(c: &mut Cursor<'_>, mut ast: CreateTable) -> Parsed<Statement> {
    if c.peek_is(0, "partition") || c.peek_is(0, "using") {
        return Ok(refuse(c, "CREATE TABLE with"));
    }
    if c.accept("with") {
        ast.options = c.table_options()?;
    } else {
        c.accept_all(&["without", "oids"]);
    }
    ast.on_commit = on_commit(c, &ast.name)?;
    if c.accept("tablespace") {
        table::tablespace(c)?;
    }
    Ok(utility(Ast::CreateTable(Box::new(ast)), "CREATE TABLE"))
}

/// `(a, b)` and nothing else in the parentheses, as CREATE TABLE AS has it.
fn names_only(c: &Cursor<'_>) -> bool {
    let mut n = 1;
    loop {
        if !matches!(c.parser.peek_nth_token_ref(n).token, Token::Word(_)) {
            return false;
        }
        match c.parser.peek_nth_token_ref(n + 1).token {
            Token::Comma => n += 2,
            Token::RParen => return true,
            _ => return false,
        }
    }
}

/// What follows the name and the columns of CREATE TABLE AS.
fn table_as(
    c: &mut Cursor<'_>,
    name: ObjectName,
    if_not_exists: bool,
    columns: Vec<sqlparser::ast::Ident>,
    unlogged: bool,
) -> Parsed<Ast> {
    let options = if c.accept("with") { c.table_options()? } else { Vec::new() };
    let on_commit = on_commit(c, &name)?;
    if c.accept("tablespace") {
        table::tablespace(c)?;
    }
    c.expect("as")?;
    if c.accept("execute") {
        let prepared = c.ident()?;
        let args = super::session::arguments(c)?;
        let with_data = with_data(c)?;
        let ast = CreateTableAsExecute {
            name,
            if_not_exists,
            columns,
            with_data,
            options,
            unlogged,
            on_commit,
            prepared,
            args,
        };
        return Ok(Ast::CreateTableAsExecute(Box::new(ast)));
    }
    let query = c.parser.parse_query()?;
    let with_data = with_data(c)?;
    let ast = CreateTableAs { name, if_not_exists, columns, query, with_data, options, unlogged, on_commit };
    Ok(Ast::CreateTableAs(Box::new(ast)))
}

fn create_index(c: &mut Cursor<'_>, unique: bool) -> Parsed<Statement> {
    let concurrently = c.accept("concurrently");
    let if_not_exists = c.if_not_exists()?;
    let name = if c.peek_is(0, "on") && !if_not_exists { None } else { Some(c.ident()?) };
    c.expect("on")?;
    c.accept("only");
    let table = c.name()?;
    let method = if c.accept("using") { Some(c.ident()?) } else { None };
    let elements = index_elements(c)?;
    let include = if c.accept("include") { index_elements(c)? } else { Vec::new() };
    let mut nulls_not_distinct = false;
    if c.accept("nulls") {
        nulls_not_distinct = c.accept("not");
        c.expect("distinct")?;
    }
    let fillfactor = if c.accept("with") { c.storage_options(10)? } else { None };
    if c.accept("tablespace") {
        table::tablespace(c)?;
    }
    let predicate = if c.accept("where") { Some(c.parser.parse_expr()?) } else { None };
    let ast = CreateIndex {
        name,
        table,
        unique,
        if_not_exists,
        concurrently,
        method,
        elements,
        include,
        predicate,
        nulls_not_distinct,
        fillfactor,
    };
    Ok(utility(Ast::CreateIndex(Box::new(ast)), "CREATE INDEX"))
}

/// The columns of an index, in parentheses.
pub(super) fn index_elements(c: &mut Cursor<'_>) -> Parsed<Vec<IndexElement>> {
    c.symbol(&Token::LParen)?;
    let mut elements = Vec::from([element(c)?]);
    while c.accept_symbol(&Token::Comma) {
        elements.push(element(c)?);
    }
    c.symbol(&Token::RParen)?;
    Ok(elements)
}

fn element(c: &mut Cursor<'_>) -> Parsed<IndexElement> {
    let expr = c.parser.parse_subexpr(60)?;
    let class = match c.peek_word() {
        Some(word) if !matches!(word.as_str(), "asc" | "desc" | "nulls") => Some(c.ident()?),
        _ => None,
    };
    let descending = c.accept("desc");
    let ordered = c.accept("asc") || descending;
    let mut nulls_first = descending;
    let nulls = c.accept("nulls");
    if nulls {
        nulls_first = c.accept("first");
        if !nulls_first {
            c.expect("last")?;
        }
    }
    Ok(IndexElement { expr, class, ordered, descending, nulls, nulls_first })
}

/// The query of CREATE RECURSIVE VIEW: one of itself.
fn recursive(
    name: &str,
    columns: &[sqlparser::ast::Ident],
    query: Box<sqlparser::ast::Query>,
) -> Parsed<Box<sqlparser::ast::Query>> {
    let quote = crate::deparse::quote;
    let columns: Vec<String> = columns.iter().map(|i| quote(&i.value)).collect();
    let (name, columns) = (quote(name), columns.join(", "));
    let text = format!("WITH RECURSIVE {name}({columns}) AS (SELECT 1) SELECT {columns} FROM {name}");
    let parsed = super::statements(&text)?;
    let Some(Ast::Query(mut whole)) = parsed.into_iter().next().map(|i| i.ast) else {
        return Err(SqlError::internal("a query that was put together").into());
    };
    if let Some(cte) = whole.with.as_mut().and_then(|w| w.cte_tables.first_mut()) {
        cte.query = query;
    }
    Ok(whole)
}

fn create_view(
    c: &mut Cursor<'_>,
    or_replace: bool,
    persistence: Persistence,
    is_recursive: bool,
) -> Parsed<Statement> {
    if persistence == Persistence::Unlogged {
        return c.unexpected();
    }
    let name = persistence.apply(c.name()?)?;
    let columns = if c.parser.peek_token_ref().token == Token::LParen {
        c.idents_in_parentheses()?
    } else {
        Vec::new()
    };
    if is_recursive && columns.is_empty() {
        return c.unexpected();
    }
    let mut options = if c.accept("with") { view_options(c)? } else { Vec::new() };
    c.expect("as")?;
    let mut query = c.parser.parse_query()?;
    if is_recursive {
        query = recursive(&name.name, &columns, query)?;
    }
    if c.accept("with") {
        if is_recursive {
            let text = "WITH CHECK OPTION not supported on recursive views";
            return Err(SqlError::new(pg_types::SqlState::FEATURE_NOT_SUPPORTED, text).into());
        }
        let value = if c.accept("local") {
            "local"
        } else {
            c.accept("cascaded");
            "cascaded"
        };
        c.expect_all(&["check", "option"])?;
        options.push(("check_option".into(), value.into()));
    }
    let ast = CreateView { name, or_replace, columns, query, options };
    Ok(utility(Ast::CreateView(Box::new(ast)), "CREATE VIEW"))
}

fn create_materialized_view(c: &mut Cursor<'_>, unlogged: bool) -> Parsed<Statement> {
    if unlogged {
        let text = "materialized views cannot be unlogged";
        return Err(SqlError::new(pg_types::SqlState::FEATURE_NOT_SUPPORTED, text).into());
    }
    let if_not_exists = c.if_not_exists()?;
    let name = c.name()?.name;
    let columns = if c.parser.peek_token_ref().token == Token::LParen {
        c.idents_in_parentheses()?
    } else {
        Vec::new()
    };
    if c.accept("using") {
        let method = c.ident()?;
        if method != "heap" {
            let text = format!("access method \"{method}\" does not exist");
            return Err(SqlError::new(pg_types::SqlState::UNDEFINED_OBJECT, text).into());
        }
    }
    let ast = table_as(c, name, if_not_exists, columns, false)?;
    let Ast::CreateTableAs(ast) = ast else { return c.unexpected() };
    Ok(utility(Ast::CreateMaterializedView(ast), "CREATE MATERIALIZED VIEW"))
}

fn refresh(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect_all(&["refresh", "materialized", "view"])?;
    let concurrently = c.accept("concurrently");
    let name = c.name()?;
    let with_data = with_data(c)?;
    if concurrently && !with_data {
        let text = "CONCURRENTLY and WITH NO DATA options cannot be used together";
        return Err(SqlError::syntax(text).into());
    }
    Ok(utility(Ast::Refresh { name, concurrently, with_data }, "REFRESH MATERIALIZED VIEW"))
}

/// WITH [NO] DATA, which may be left out.
fn with_data(c: &mut Cursor<'_>) -> Parsed<bool> {
    if !c.accept("with") {
        return Ok(true);
    }
    let with_data = !c.accept("no");
    c.expect("data")?;
    Ok(with_data)
}

/// WITH (...) of a view.
pub(super) fn view_options(c: &mut Cursor<'_>) -> Parsed<Vec<(String, String)>> {
    use pg_types::SqlState;
    let invalid = |text: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text);
    c.symbol(&Token::LParen)?;
    let mut options: Vec<(String, String)> = Vec::new();
    loop {
        let name = c.any_word()?;
        let value = if c.accept_symbol(&Token::Eq) { c.option_value()? } else { "true".into() };
        match name.as_str() {
            "check_option" if matches!(value.as_str(), "local" | "cascaded") => {}
            "check_option" => {
                return Err(invalid(format!("invalid value for enum option \"check_option\": {value}"))
                    .detail("Valid values are \"local\" and \"cascaded\".")
                    .into());
            }
            "security_barrier" | "security_invoker" => match value.as_str() {
                "false" | "off" | "no" | "0" => {}
                "true" | "on" | "yes" | "1" => {}
                _ => {
                    let text = format!("invalid value for boolean option \"{name}\": {value}");
                    return Err(invalid(text).into());
                }
            },
            _ => return Err(invalid(format!("unrecognized parameter \"{name}\"")).into()),
        }
        if options.iter().any(|o| o.0 == name) {
            return Err(invalid(format!("parameter \"{name}\" specified more than once")).into());
        }
        options.push((name, value));
        if !c.accept_symbol(&Token::Comma) {
            break;
        }
    }
    c.symbol(&Token::RParen)?;
    Ok(options)
}

fn create_schema(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let if_not_exists = c.if_not_exists()?;
    let mut name = None;
    if !c.peek_is(0, "authorization") {
        name = Some(c.ident()?);
    }
    let owner = if c.accept("authorization") { Some(grant::role_name(c)?) } else { None };
    let name = match (name, &owner) {
        (Some(name), _) => name,
        (None, Some(RoleName::Name(name))) => name.clone(),
        _ => String::new(),
    };
    let elements = super::schema::elements(c, &name, if_not_exists)?;
    let schema = CreateSchema { name, if_not_exists, owner, elements };
    Ok(ready(Utility::CreateSchema(schema), "CREATE SCHEMA"))
}

pub(super) fn role(c: &mut Cursor<'_>, name: String) -> Parsed<RoleStatement> {
    let mut role = RoleStatement { name, ..RoleStatement::default() };
    c.accept("with");
    while !c.at_end() {
        let word = c.any_word()?;
        match word.as_str() {
            "login" => role.login = Some(true),
            "nologin" => role.login = Some(false),
            "superuser" => role.superuser = Some(true),
            "nosuperuser" => role.superuser = Some(false),
            "createdb" => role.createdb = Some(true),
            "nocreatedb" => role.createdb = Some(false),
            "createrole" => role.createrole = Some(true),
            "nocreaterole" => role.createrole = Some(false),
            "inherit" => role.inherit = Some(true),
            "noinherit" => role.inherit = Some(false),
            "replication" => role.replication = Some(true),
            "noreplication" => role.replication = Some(false),
            "bypassrls" => role.bypassrls = Some(true),
            "nobypassrls" => role.bypassrls = Some(false),
            "encrypted" => {}
            "password" => {
                role.password = Some(if c.accept("null") { None } else { Some(c.string()?) });
            }
            "connection" => {
                c.expect("limit")?;
                role.connection_limit = Some(c.integer()? as i32);
            }
            "valid" => {
                c.expect("until")?;
                role.valid_until = Some(c.string()?);
            }
            "in" => {
                if !c.accept("role") {
                    c.expect("group")?;
                }
                role.in_roles.extend(grant::role_names(c)?);
            }
            "role" | "user" => role.members.extend(grant::role_names(c)?),
            "admin" => role.admins.extend(grant::role_names(c)?),
            "sysid" => {
                c.integer()?;
            }
            _ => {
                return Err(SqlError::syntax(format!("unrecognized role option \"{word}\"")).into());
            }
        }
    }
    Ok(role)
}

pub(super) fn kind(c: &mut Cursor<'_>) -> Option<(ObjectKind, &'static str)> {
    const KINDS: [(&str, ObjectKind, &str); 11] = [
        ("type", ObjectKind::Type, "TYPE"),
        ("domain", ObjectKind::Domain, "DOMAIN"),
        ("table", ObjectKind::Table, "TABLE"),
        ("index", ObjectKind::Index, "INDEX"),
        ("sequence", ObjectKind::Sequence, "SEQUENCE"),
        ("view", ObjectKind::View, "VIEW"),
        ("schema", ObjectKind::Schema, "SCHEMA"),
        ("role", ObjectKind::Role, "ROLE"),
        ("user", ObjectKind::Role, "ROLE"),
        ("group", ObjectKind::Role, "ROLE"),
        ("database", ObjectKind::Database, "DATABASE"),
    ];
    if c.accept_all(&["materialized", "view"]) {
        return Some((ObjectKind::MaterializedView, "MATERIALIZED VIEW"));
    }
    KINDS.iter().find(|(word, ..)| c.accept(word)).map(|(_, kind, name)| (*kind, *name))
}

fn drop(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("drop")?;
    if c.accept("owned") {
        return grant::drop_owned(c);
    }
    if c.accept("policy") {
        return grant::policy_statement(c, "drop");
    }
    if c.accept("type") {
        return types::drop(c, ObjectKind::Type);
    }
    if c.accept("domain") {
        return types::drop(c, ObjectKind::Domain);
    }
    if let Some(word) = routine::word(c) {
        return routine::drop(c, word);
    }
    if c.accept("extension") {
        return extension::drop(c);
    }
    if c.peek_is(0, "operator") && !c.peek_is(1, "class") && !c.peek_is(1, "family") {
        c.parser.advance_token();
        return definition::drop_operator(c);
    }
    if c.accept("collation") {
        return super::collation::drop(c);
    }
    if c.accept("statistics") {
        return super::statistics::drop(c);
    }
    if c.accept("cast") {
        return definition::drop_cast(c);
    }
    let Some((kind, _)) = kind(c) else { return Ok(refuse(c, "DROP")) };
    if kind == ObjectKind::Database {
        return database::drop(c);
    }
    let concurrently = kind == ObjectKind::Index && c.accept("concurrently");
    let if_exists = c.if_exists()?;
    if kind == ObjectKind::Role {
        let names = grant::role_names(c)?;
        return Ok(ready(Utility::DropRole { names, if_exists }, "DROP ROLE"));
    }
    let names: Vec<ObjectName> = c.names()?.into_iter().map(|n| n.name).collect();
    let cascade = c.cascade();
    let tag = match kind {
        ObjectKind::Table => "DROP TABLE",
        ObjectKind::Index => "DROP INDEX",
        ObjectKind::Sequence => "DROP SEQUENCE",
        ObjectKind::View => "DROP VIEW",
        ObjectKind::MaterializedView => "DROP MATERIALIZED VIEW",
        _ => "DROP SCHEMA",
    };
    Ok(ready(Utility::Drop(Drop { kind, names, if_exists, cascade, concurrently }), tag))
}

fn truncate(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("truncate")?;
    c.accept("table");
    let mut tables = Vec::new();
    loop {
        let only = c.accept("only");
        let table = c.name()?;
        tables.push(NameAt { only, ..table });
        c.accept_symbol(&Token::Mul);
        if !c.accept_symbol(&Token::Comma) {
            break;
        }
    }
    let restart_identity = c.accept_all(&["restart", "identity"]);
    if !restart_identity {
        c.accept_all(&["continue", "identity"]);
    }
    let cascade = c.cascade();
    Ok(utility(Ast::Truncate { tables, restart_identity, cascade }, "TRUNCATE TABLE"))
}

fn comment(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect_all(&["comment", "on"])?;
    if let Some(word) = routine::word(c) {
        let name = routine::reference(c, word)?;
        c.expect("is")?;
        let text = if c.accept("null") { None } else { Some(c.string()?) };
        let comment = crate::ast::RoutineStatement::Comment(name, text);
        return Ok(utility(Ast::Routine(Box::new(comment)), "COMMENT"));
    }
    if let Some(statement) = super::comment::named(c)? {
        return Ok(statement);
    }
    if let Some(statement) = definition::comment(c)? {
        return Ok(statement);
    }
    let (kind, name, part) = if c.accept("column") {
        let mut parts = Vec::from([c.ident()?]);
        while c.accept_symbol(&Token::Period) {
            parts.push(c.ident()?);
        }
        let column = parts.pop();
        let table = match parts.len() {
            1 => ObjectName { schema: None, name: parts.swap_remove(0) },
            2 => {
                let name = parts.swap_remove(1);
                ObjectName { schema: Some(parts.swap_remove(0)), name }
            }
            _ => return Err(SqlError::syntax("column name must be qualified").into()),
        };
        (ObjectKind::Column, table, column)
    } else if c.accept("constraint") {
        let constraint = c.ident()?;
        c.expect("on")?;
        let kind = if c.accept("domain") { ObjectKind::Domain } else { ObjectKind::Constraint };
        (kind, c.name()?.name, Some(constraint))
    } else if c.accept("extension") {
        (ObjectKind::Extension, ObjectName { schema: None, name: c.ident()? }, None)
    } else {
        match kind(c) {
            Some((kind, _)) => (kind, c.name()?.name, None),
            None => return Ok(refuse(c, "COMMENT ON")),
        }
    };
    super::comment::done(c, kind, name, part)
}

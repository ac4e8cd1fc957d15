//! Roles, privileges and policies: GRANT, REVOKE, ALTER DEFAULT PRIVILEGES, REASSIGN and DROP OWNED, CREATE POLICY, SET
//! ROLE, ALTER ROLE ... SET.

use alloc::{boxed::Box, string::String, vec::Vec};

use pg_catalog::acl::Class;
use pg_plan::{
    access::{
        DefaultPrivileges, DropOwned, Grant, GrantRoles, GrantTarget, Privilege, ReassignOwned, RoleName,
        RoleSetting, SetRole, SettingChange,
    },
    routine::RoutineWord,
    utility::{ObjectName, Set, Utility},
};
use pg_types::{SqlError, SqlState};
use sqlparser::tokenizer::Token;

use super::{Cursor, Parsed, Statement, session, utility};
use crate::ast::{Ast, PolicyAction, PolicyStatement};

fn ready(u: Utility, tag: &'static str) -> Statement {
    utility(Ast::Ready(Box::new(u)), tag)
}

/// A role: a name, PUBLIC, CURRENT_USER, ...
pub(super) fn role_name(c: &mut Cursor<'_>) -> Parsed<RoleName> {
    for (word, role) in [
        ("current_user", RoleName::CurrentUser),
        ("current_role", RoleName::CurrentUser),
        ("session_user", RoleName::SessionUser),
    ] {
        if c.accept(word) {
            return Ok(role);
        }
    }
    let at = c.here();
    let name = c.ident()?;
    match name.as_str() {
        "public" => Ok(RoleName::Public),
        "none" => {
            let text = "role name \"none\" is reserved";
            Err(SqlError::new(SqlState::RESERVED_NAME, text).at(at).into())
        }
        _ => Ok(RoleName::Name(name)),
    }
}

pub(super) fn role_names(c: &mut Cursor<'_>) -> Parsed<Vec<RoleName>> {
    let mut names = Vec::from([role_name(c)?]);
    while c.accept_symbol(&Token::Comma) {
        names.push(role_name(c)?);
    }
    Ok(names)
}

/// The name of a role that is being made or changed: none of the special ones.
pub(super) fn plain_role(c: &mut Cursor<'_>) -> Parsed<String> {
    let at = c.here();
    let special = |word: &str| {
        let text = alloc::format!("{word} cannot be used as a role name here");
        SqlError::new(SqlState::RESERVED_NAME, text).at(at)
    };
    match role_name(c)? {
        RoleName::Name(name) => Ok(name),
        RoleName::Public => {
            let text = "role name \"public\" is reserved";
            Err(SqlError::new(SqlState::RESERVED_NAME, text).at(at).into())
        }
        RoleName::CurrentUser => Err(special("CURRENT_USER").into()),
        RoleName::SessionUser => Err(special("SESSION_USER").into()),
    }
}

fn idents(c: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    let mut names = Vec::from([c.ident()?]);
    while c.accept_symbol(&Token::Comma) {
        names.push(c.ident()?);
    }
    Ok(names)
}

/// A setting's name, which may have dots.
fn parameter(c: &mut Cursor<'_>) -> Parsed<String> {
    let mut name = c.ident()?;
    while c.accept_symbol(&Token::Period) {
        name.push('.');
        name.push_str(&c.ident()?);
    }
    Ok(name)
}

/// Privileges, or the roles that are granted: what follows tells.
fn privileges(c: &mut Cursor<'_>) -> Parsed<Vec<Privilege>> {
    let mut list = Vec::new();
    loop {
        let mut name = c.any_word()?;
        if name == "alter" && c.accept("system") {
            name.push_str(" system");
        }
        let all = name == "all";
        if all {
            c.accept("privileges");
        }
        let columns = match c.parser.peek_token_ref().token {
            Token::LParen => c.idents_in_parentheses()?.into_iter().map(|i| i.value).collect(),
            _ => Vec::new(),
        };
        if all && columns.is_empty() {
            return Ok(Vec::new());
        }
        list.push(Privilege { name: (!all).then_some(name), columns });
        if !c.accept_symbol(&Token::Comma) {
            return Ok(list);
        }
    }
}

/// Routines whose types are to be resolved, if that is what comes.
fn routines(c: &mut Cursor<'_>) -> Parsed<Option<Vec<crate::ast::RoutineRef>>> {
    let list = matches!(c.parser.peek_nth_token_ref(1).token, Token::Comma | Token::Period);
    if list || c.peek_is(0, "aggregate") {
        return Ok(None);
    }
    match super::routine::word(c) {
        Some(word) => super::routine::references(c, word).map(Some),
        None => Ok(None),
    }
}

/// The statement, on the routines if some were named.
fn granted(grant: Grant, routines: Option<Vec<crate::ast::RoutineRef>>, tag: &'static str) -> Statement {
    match routines {
        Some(list) => {
            let statement = crate::ast::RoutineStatement::Grant(grant, list);
            utility(Ast::Routine(Box::new(statement)), tag)
        }
        None => ready(Utility::Grant(grant), tag),
    }
}

fn target(c: &mut Cursor<'_>) -> Parsed<GrantTarget> {
    let names = |c: &mut Cursor<'_>| -> Parsed<Vec<ObjectName>> {
        Ok(c.names()?.into_iter().map(|n| n.name).collect())
    };
    if c.peek_is(0, "all") {
        for (word, make) in [
            ("tables", GrantTarget::AllTables as fn(Vec<String>) -> GrantTarget),
            ("sequences", GrantTarget::AllSequences),
        ] {
            if c.accept_all(&["all", word, "in", "schema"]) {
                return Ok(make(idents(c)?));
            }
        }
        for (word, kind) in [
            ("functions", RoutineWord::Function),
            ("procedures", RoutineWord::Procedure),
            ("routines", RoutineWord::Routine),
        ] {
            if c.accept_all(&["all", word, "in", "schema"]) {
                return Ok(GrantTarget::AllRoutines(kind, idents(c)?));
            }
        }
        if c.accept_all(&["all"]) {
            let kind = c.any_word()?.to_ascii_uppercase();
            return Err(SqlError::unsupported(alloc::format!("GRANT on ALL {kind} IN SCHEMA")).into());
        }
    }
    for (word, make) in [
        ("database", GrantTarget::Databases as fn(Vec<String>) -> GrantTarget),
        ("schema", GrantTarget::Schemas),
        ("language", GrantTarget::Languages),
        ("tablespace", GrantTarget::Tablespaces),
    ] {
        if c.accept(word) {
            return Ok(make(idents(c)?));
        }
    }
    if c.accept("sequence") {
        return Ok(GrantTarget::Sequences(names(c)?));
    }
    if c.accept("type") {
        return Ok(GrantTarget::Types(names(c)?, false));
    }
    if c.accept("domain") {
        return Ok(GrantTarget::Types(names(c)?, true));
    }
    if c.accept_all(&["large", "object"]) {
        let mut list = Vec::from([super::definition::large_object(c)?]);
        while c.accept_symbol(&Token::Comma) {
            list.push(super::definition::large_object(c)?);
        }
        return Ok(GrantTarget::LargeObjects(list));
    }
    if c.accept_all(&["foreign", "data", "wrapper"]) {
        return Ok(GrantTarget::Wrappers(idents(c)?));
    }
    if c.accept_all(&["foreign", "server"]) {
        return Ok(GrantTarget::Servers(idents(c)?));
    }
    let more = matches!(c.parser.peek_nth_token_ref(1).token, Token::Comma | Token::Period);
    if c.peek_is(0, "parameter") && !more && !c.peek_is(1, "to") && !c.peek_is(1, "from") {
        c.expect("parameter")?;
        let mut list = Vec::from([parameter(c)?]);
        while c.accept_symbol(&Token::Comma) {
            list.push(parameter(c)?);
        }
        return Ok(GrantTarget::Parameters(list));
    }
    c.accept("table");
    Ok(GrantTarget::Tables(names(c)?))
}

fn grantees(c: &mut Cursor<'_>) -> Parsed<Vec<RoleName>> {
    let mut list = Vec::new();
    loop {
        c.accept("group");
        list.push(role_name(c)?);
        if !c.accept_symbol(&Token::Comma) {
            return Ok(list);
        }
    }
}

fn granted_by(c: &mut Cursor<'_>) -> Parsed<Option<RoleName>> {
    if c.accept_all(&["granted", "by"]) { role_name(c).map(Some) } else { Ok(None) }
}

/// GRANT.
pub(super) fn grant(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("grant")?;
    let privileges = privileges(c)?;
    if c.accept("on") {
        let on = routines(c)?;
        let target = if on.is_some() { GrantTarget::Routines(Vec::new()) } else { target(c)? };
        c.expect("to")?;
        let grantees = grantees(c)?;
        let option = c.accept_all(&["with", "grant", "option"]);
        let granted_by = granted_by(c)?;
        let grant = Grant { grant: true, option, privileges, target, grantees, granted_by, cascade: false };
        return Ok(granted(grant, on, "GRANT"));
    }
    c.expect("to")?;
    let members = role_names(c)?;
    let admin = c.accept_all(&["with", "admin", "option"]);
    let granted_by = granted_by(c)?;
    let roles = granted_roles(c, privileges)?;
    Ok(ready(
        Utility::GrantRoles(GrantRoles { grant: true, admin, roles, members, granted_by }),
        "GRANT ROLE",
    ))
}

fn granted_roles(c: &Cursor<'_>, privileges: Vec<Privilege>) -> Parsed<Vec<String>> {
    let mut roles = Vec::with_capacity(privileges.len());
    for p in privileges {
        match p.name {
            Some(name) if p.columns.is_empty() => roles.push(name),
            Some(_) => {
                return Err(SqlError::syntax("column names cannot be included in GRANT/REVOKE ROLE").into());
            }
            None => return c.unexpected(),
        }
    }
    if roles.is_empty() { c.unexpected() } else { Ok(roles) }
}

/// REVOKE.
pub(super) fn revoke(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("revoke")?;
    let option = c.accept_all(&["grant", "option", "for"]);
    let admin = !option && c.accept_all(&["admin", "option", "for"]);
    let privileges = privileges(c)?;
    if !admin && c.accept("on") {
        let on = routines(c)?;
        let target = if on.is_some() { GrantTarget::Routines(Vec::new()) } else { target(c)? };
        c.expect("from")?;
        let grantees = grantees(c)?;
        let granted_by = granted_by(c)?;
        let cascade = c.cascade();
        let grant = Grant { grant: false, option, privileges, target, grantees, granted_by, cascade };
        return Ok(granted(grant, on, "REVOKE"));
    }
    c.expect("from")?;
    let members = role_names(c)?;
    let granted_by = granted_by(c)?;
    c.cascade();
    let roles = granted_roles(c, privileges)?;
    let revoke = GrantRoles { grant: false, admin, roles, members, granted_by };
    Ok(ready(Utility::GrantRoles(revoke), "REVOKE ROLE"))
}

/// ALTER DEFAULT PRIVILEGES, after these words.
pub(super) fn default_privileges(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let (mut roles, mut schemas) = (Vec::new(), Vec::new());
    loop {
        if c.accept_all(&["for", "role"]) || c.accept_all(&["for", "user"]) {
            roles = role_names(c)?;
        } else if c.accept_all(&["in", "schema"]) {
            schemas = idents(c)?;
        } else {
            break;
        }
    }
    let grant = c.accept("grant");
    if !grant {
        c.expect("revoke")?;
    }
    let mut option = !grant && c.accept_all(&["grant", "option", "for"]);
    let privileges = privileges(c)?;
    c.expect("on")?;
    let classes = [
        ("tables", Class::Table),
        ("functions", Class::Function),
        ("routines", Class::Function),
        ("sequences", Class::Sequence),
        ("types", Class::Type),
        ("schemas", Class::Schema),
    ];
    let Some((_, class)) = classes.iter().find(|(word, _)| c.accept(word)) else { return c.unexpected() };
    c.expect(if grant { "to" } else { "from" })?;
    let grantees = grantees(c)?;
    option |= grant && c.accept_all(&["with", "grant", "option"]);
    let cascade = !grant && c.cascade();
    let class = *class;
    let change = DefaultPrivileges { roles, schemas, class, grant, option, privileges, grantees, cascade };
    Ok(ready(Utility::DefaultPrivileges(change), "ALTER DEFAULT PRIVILEGES"))
}

/// REASSIGN OWNED.
pub(super) fn reassign(c: &mut Cursor<'_>) -> Parsed<Statement> {
    for word in ["reassign", "owned", "by"] {
        c.expect(word)?;
    }
    let roles = role_names(c)?;
    c.expect("to")?;
    let to = role_name(c)?;
    Ok(ready(Utility::ReassignOwned(ReassignOwned { roles, to }), "REASSIGN OWNED"))
}

/// DROP OWNED, after these words.
pub(super) fn drop_owned(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("by")?;
    let roles = role_names(c)?;
    let cascade = c.cascade();
    Ok(ready(Utility::DropOwned(DropOwned { roles, cascade }), "DROP OWNED"))
}

/// `SET [SESSION | LOCAL] ROLE` and `SET SESSION AUTHORIZATION`, after these words.
pub(super) fn set_role(c: &mut Cursor<'_>, session: bool, local: bool) -> Parsed<Statement> {
    let nobody = if session { "default" } else { "none" };
    let name = if c.accept(nobody) {
        None
    } else {
        match &c.parser.peek_token_ref().token {
            Token::SingleQuotedString(_) => Some(c.string()?),
            _ => Some(c.ident()?),
        }
    };
    // A name in quotes is read like the setting's text.
    let name = name.filter(|n| session || n != "none");
    Ok(ready(Utility::SetRole(SetRole { session, name, local }), "SET"))
}

/// What follows the role in ALTER ROLE ... [IN DATABASE ...] {SET | RESET}; `None`: something else.
pub(super) fn role_setting(
    c: &mut Cursor<'_>,
    role: Option<RoleName>,
    database: Option<String>,
    tag: &'static str,
) -> Parsed<Option<Statement>> {
    let database =
        if database.is_none() && c.accept_all(&["in", "database"]) { Some(c.ident()?) } else { database };
    let change = if c.accept("reset") {
        if c.accept("all") {
            SettingChange::ResetAll
        } else {
            SettingChange::Reset(session::special_setting(c)?)
        }
    } else if c.accept("set") {
        let name = session::special_setting(c)?;
        if c.accept_all(&["from", "current"]) {
            SettingChange::FromCurrent(name)
        } else {
            let assigned = c.accept("to") || c.accept_symbol(&Token::Eq);
            if !assigned && name != "timezone" {
                return c.unexpected();
            }
            SettingChange::Set(Set { name, values: session::set_values(c)?, local: false })
        }
    } else {
        return Ok(None);
    };
    Ok(Some(ready(Utility::RoleSetting(RoleSetting { role, database, change }), tag)))
}

fn in_parentheses(c: &mut Cursor<'_>) -> Parsed<sqlparser::ast::Expr> {
    c.symbol(&Token::LParen)?;
    let e = c.parser.parse_expr()?;
    c.symbol(&Token::RParen)?;
    Ok(e)
}

fn policy(action: PolicyAction, name: String, table: crate::ast::NameAt) -> PolicyStatement {
    let (using, check, roles) = (None, None, None);
    PolicyStatement { action, name, table, permissive: true, command: b'*', roles, using, check }
}

/// CREATE, ALTER, DROP POLICY, after these words.
pub(super) fn policy_statement(c: &mut Cursor<'_>, verb: &str) -> Parsed<Statement> {
    let if_exists = verb == "drop" && c.if_exists()?;
    let name = c.ident()?;
    c.expect("on")?;
    let table = c.name()?;
    if verb == "drop" {
        c.cascade();
        let drop = policy(PolicyAction::Drop { if_exists }, name, table);
        return Ok(utility(Ast::Policy(Box::new(drop)), "DROP POLICY"));
    }
    if verb == "alter" && c.accept_all(&["rename", "to"]) {
        let rename = policy(PolicyAction::Rename(c.ident()?), name, table);
        return Ok(utility(Ast::Policy(Box::new(rename)), "ALTER POLICY"));
    }
    let create = verb == "create";
    let action = if create { PolicyAction::Create } else { PolicyAction::Alter };
    let mut p = policy(action, name, table);
    if create && c.accept("as") {
        let at = c.here();
        let word = c.any_word()?;
        p.permissive = match word.as_str() {
            "permissive" => true,
            "restrictive" => false,
            _ => {
                let text = alloc::format!("unrecognized row security option \"{word}\"");
                return Err(SqlError::syntax(text)
                    .hint("Only PERMISSIVE or RESTRICTIVE policies are supported currently.")
                    .at(at)
                    .into());
            }
        };
    }
    if create && c.accept("for") {
        const COMMANDS: [(&str, u8); 5] =
            [("all", b'*'), ("select", b'r'), ("insert", b'a'), ("update", b'w'), ("delete", b'd')];
        let Some((_, command)) = COMMANDS.iter().find(|(word, _)| c.accept(word)) else {
            return c.unexpected();
        };
        p.command = *command;
    }
    if c.accept("to") {
        p.roles = Some(role_names(c)?);
    }
    if c.accept("using") {
        p.using = Some(in_parentheses(c)?);
    }
    if c.accept_all(&["with", "check"]) {
        p.check = Some(in_parentheses(c)?);
    }
    let tag = if create { "CREATE POLICY" } else { "ALTER POLICY" };
    Ok(utility(Ast::Policy(Box::new(p)), tag))
}

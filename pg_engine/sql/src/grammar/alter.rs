//! ALTER of relations and roles.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_plan::access::{GrantRoles, RoleName};
use pg_plan::utility::{AlterAction as Plan, ObjectKind, ObjectName, Rename, TriggerSet, Utility};
use pg_types::SqlError;
use sqlparser::tokenizer::Token;

use super::{
    Cursor, Parsed, Statement, database,
    ddl::{kind, ready, refuse, role},
    extension, grant, routine, table, types, utility,
};
use crate::ast::{AlterAction, AlterTable, Ast, NameAt};

pub(super) fn alter(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("alter")?;
    if c.accept_all(&["default", "privileges"]) {
        return grant::default_privileges(c);
    }
    if c.accept("policy") {
        return grant::policy_statement(c, "alter");
    }
    let group = c.peek_is(0, "group");
    if let Some(word) = routine::word(c) {
        return routine::alter(c, word);
    }
    if c.accept("type") {
        return types::alter_type(c);
    }
    if c.accept("domain") {
        return types::alter_domain(c);
    }
    if c.accept("extension") {
        return extension::alter(c);
    }
    if c.accept("collation") {
        return super::collation::alter(c);
    }
    if c.accept("statistics") {
        return super::statistics::alter(c);
    }
    if c.accept_all(&["large", "object"]) {
        return super::definition::alter_large_object(c);
    }
    if c.peek_is(0, "operator") && !c.peek_is(1, "class") && !c.peek_is(1, "family") {
        c.parser.advance_token();
        return super::definition::alter_operator(c);
    }
    let Some((kind, _)) = kind(c) else { return Ok(refuse(c, "ALTER")) };
    match kind {
        ObjectKind::Role => alter_role(c, group),
        ObjectKind::Database => database::alter(c),
        ObjectKind::Schema => {
            let name = c.name()?;
            if c.accept_all(&["owner", "to"]) {
                let owner = grant::role_name(c)?;
                let name = name.name.name;
                return Ok(ready(Utility::AlterSchemaOwner { name, owner }, "ALTER SCHEMA"));
            }
            if c.accept_all(&["rename", "to"]) {
                return rename(c, ObjectKind::Schema, name, false, None, "ALTER SCHEMA");
            }
            Ok(refuse(c, "ALTER SCHEMA"))
        }
        _ => alter_relation(c, kind),
    }
}

/// ALTER ROLE: attributes, settings, a new name; ALTER GROUP ... ADD USER.
fn alter_role(c: &mut Cursor<'_>, group: bool) -> Parsed<Statement> {
    if !group && c.accept("all") {
        return match grant::role_setting(c, None, None, "ALTER ROLE")? {
            Some(statement) => Ok(statement),
            None => c.unexpected(),
        };
    }
    let who = grant::role_name(c)?;
    if c.accept_all(&["rename", "to"]) {
        let RoleName::Name(name) = who else { return c.unexpected() };
        let name = ObjectName { schema: None, name };
        let new_name = grant::plain_role(c)?;
        let rename = Rename {
            kind: ObjectKind::Role,
            name,
            if_exists: false,
            part: None,
            new_name,
            tag: "ALTER ROLE",
        };
        return Ok(ready(Utility::Rename(rename), "ALTER ROLE"));
    }
    if group && (c.peek_is(0, "add") || c.peek_is(0, "drop")) {
        let RoleName::Name(name) = who else { return c.unexpected() };
        let grant = c.accept("add") || !c.accept("drop");
        c.expect("user")?;
        let members = grant::role_names(c)?;
        let change = GrantRoles { grant, admin: false, roles: Vec::from([name]), members, granted_by: None };
        return Ok(ready(Utility::GrantRoles(change), "ALTER ROLE"));
    }
    if let Some(statement) = grant::role_setting(c, Some(who.clone()), None, "ALTER ROLE")? {
        return Ok(statement);
    }
    let mut role = role(c, String::new())?;
    if !role.in_roles.is_empty() || !role.members.is_empty() || !role.admins.is_empty() {
        return c.unexpected();
    }
    role.who = Some(who);
    Ok(ready(Utility::AlterRole(role), "ALTER ROLE"))
}

fn rename(
    c: &mut Cursor<'_>,
    kind: ObjectKind,
    name: NameAt,
    if_exists: bool,
    part: Option<String>,
    tag: &'static str,
) -> Parsed<Statement> {
    let new_name = c.ident()?;
    Ok(ready(Utility::Rename(Rename { kind, name: name.name, if_exists, part, new_name, tag }), tag))
}

/// SEQUENCE NAME is for identity columns.
pub(super) fn unnamed(def: crate::ast::SequenceDef) -> Parsed<crate::ast::SequenceDef> {
    if def.options.name.is_some() {
        return Err(SqlError::syntax("invalid sequence option SEQUENCE NAME").into());
    }
    Ok(def)
}

fn alter_relation(c: &mut Cursor<'_>, kind: ObjectKind) -> Parsed<Statement> {
    let tag = match kind {
        ObjectKind::Table => "ALTER TABLE",
        ObjectKind::Index => "ALTER INDEX",
        ObjectKind::Sequence => "ALTER SEQUENCE",
        ObjectKind::MaterializedView => "ALTER MATERIALIZED VIEW",
        _ => "ALTER VIEW",
    };
    let if_exists = c.if_exists()?;
    let only = c.accept("only");
    let mut table = c.name()?;
    table.only = only;
    if c.accept("rename") {
        if c.accept("to") {
            return rename(c, kind, table, if_exists, None, tag);
        }
        if c.accept("constraint") {
            let part = Some(c.ident()?);
            c.expect("to")?;
            return rename(c, ObjectKind::Constraint, table, if_exists, part, tag);
        }
        c.accept("column");
        let part = Some(c.ident()?);
        c.expect("to")?;
        return rename(c, ObjectKind::Column, table, if_exists, part, tag);
    }
    if kind == ObjectKind::Sequence && !c.peek_is(0, "owner") && !c.peek_is(0, "set") {
        let def = unnamed(table::sequence_options(c)?)?;
        return Ok(utility(Ast::AlterSequence(table.name, if_exists, def), tag));
    }
    let mut actions = Vec::new();
    loop {
        actions.push(match kind {
            ObjectKind::View => view_action(c)?,
            _ => action(c)?,
        });
        if !c.accept_symbol(&Token::Comma) {
            break;
        }
    }
    Ok(utility(Ast::AlterTable(Box::new(AlterTable { tag, table, if_exists, actions })), tag))
}

/// A view's options are others than a table's.
fn view_action(c: &mut Cursor<'_>) -> Parsed<AlterAction> {
    let listed = c.parser.peek_nth_token_ref(1).token == Token::LParen;
    if listed && c.accept("set") {
        return Ok(AlterAction::Ready(Plan::SetOptions(super::ddl::view_options(c)?)));
    }
    if listed && c.accept("reset") {
        c.symbol(&Token::LParen)?;
        let mut names = Vec::new();
        loop {
            let name = c.any_word()?;
            if !matches!(name.as_str(), "check_option" | "security_barrier" | "security_invoker") {
                let text = alloc::format!("unrecognized parameter \"{name}\"");
                return Err(SqlError::new(pg_types::SqlState::INVALID_PARAMETER_VALUE, text).into());
            }
            names.push(name);
            if !c.accept_symbol(&Token::Comma) {
                break;
            }
        }
        c.symbol(&Token::RParen)?;
        return Ok(AlterAction::Ready(Plan::ResetOptions(names)));
    }
    action(c)
}

fn action(c: &mut Cursor<'_>) -> Parsed<AlterAction> {
    let ready = |plan: Plan| Ok(AlterAction::Ready(plan));
    if c.accept("inherit") {
        return Ok(AlterAction::Inherit(c.name()?, true));
    }
    if c.accept_all(&["no", "inherit"]) {
        return Ok(AlterAction::Inherit(c.name()?, false));
    }
    if c.accept("of") {
        return Ok(AlterAction::Of(c.name()?));
    }
    if c.accept_all(&["not", "of"]) {
        return ready(Plan::NotOf);
    }
    if c.accept("add") {
        if let Some(constraint) = table::table_constraint(c)? {
            return Ok(AlterAction::AddConstraint(constraint));
        }
        c.accept("column");
        let if_not_exists = c.if_not_exists()?;
        return Ok(AlterAction::AddColumn(table::column(c)?, if_not_exists));
    }
    if c.accept("drop") {
        if c.accept("constraint") {
            let if_exists = c.if_exists()?;
            let name = c.ident()?;
            return ready(Plan::DropConstraint { name, if_exists, cascade: c.cascade() });
        }
        c.accept("column");
        let if_exists = c.if_exists()?;
        let name = c.ident()?;
        return ready(Plan::DropColumn { name, if_exists, cascade: c.cascade() });
    }
    if c.accept("alter") {
        if c.accept("constraint") {
            let name = c.ident()?;
            let (deferrable, deferred) = table::deferring(c)?;
            return ready(Plan::AlterConstraint { name, deferrable, deferred });
        }
        c.accept("column");
        return alter_column(c);
    }
    if c.accept_all(&["validate", "constraint"]) {
        return ready(Plan::ValidateConstraint(c.ident()?));
    }
    if c.accept_all(&["replica", "identity"]) {
        return ready(replica_identity(c)?);
    }
    if c.accept_all(&["cluster", "on"]) {
        return ready(Plan::ClusterOn(Some(c.ident()?)));
    }
    if c.accept_all(&["set", "without", "cluster"]) {
        return ready(Plan::ClusterOn(None));
    }
    if c.accept_all(&["owner", "to"]) {
        return ready(Plan::Owner(grant::role_name(c)?));
    }
    for (on, word) in [(true, "enable"), (false, "disable")] {
        if c.accept_all(&[word, "row", "level", "security"]) {
            return ready(Plan::RowSecurity(on));
        }
    }
    if c.accept_all(&["force", "row", "level", "security"]) {
        return ready(Plan::ForceRowSecurity(true));
    }
    if c.accept_all(&["no", "force", "row", "level", "security"]) {
        return ready(Plan::ForceRowSecurity(false));
    }
    if c.accept_all(&["set", "schema"]) {
        return ready(Plan::SetSchema(c.ident()?));
    }
    if c.peek_is(0, "set") && c.parser.peek_nth_token_ref(1).token == Token::LParen {
        c.parser.advance_token();
        return ready(Plan::SetOptions(c.table_options()?));
    }
    if c.peek_is(0, "reset") {
        c.parser.advance_token();
        return ready(Plan::ResetOptions(c.option_names()?));
    }
    for enable in [true, false] {
        let word = if enable { "enable" } else { "disable" };
        let kind = if c.peek_is(1, "always") || c.peek_is(1, "replica") { 2 } else { 1 };
        if c.peek_is(0, word) && c.peek_is(kind, "trigger") {
            for _ in 0..=kind {
                c.parser.advance_token();
            }
            let which = if c.accept("all") {
                TriggerSet::All
            } else if c.accept("user") {
                TriggerSet::User
            } else {
                TriggerSet::Named(c.ident()?)
            };
            return ready(Plan::Trigger { which, enable });
        }
    }
    for (logged, word) in [(true, "logged"), (false, "unlogged")] {
        if c.accept_all(&["set", word]) {
            return ready(Plan::SetLogged(logged));
        }
    }
    match c.peek_word().as_deref() {
        Some(
            word @ ("enable" | "disable" | "cluster" | "set" | "inherit" | "no" | "attach" | "detach"
            | "replica" | "force" | "validate" | "not"),
        ) => {
            let word = word.to_ascii_uppercase();
            Err(SqlError::unsupported(format!("ALTER TABLE ... {word}")).into())
        }
        _ => c.unexpected(),
    }
}

fn replica_identity(c: &mut Cursor<'_>) -> Parsed<Plan> {
    Ok(if c.accept("default") {
        Plan::ReplicaIdentity(b'd', None)
    } else if c.accept("full") {
        Plan::ReplicaIdentity(b'f', None)
    } else if c.accept("nothing") {
        Plan::ReplicaIdentity(b'n', None)
    } else {
        c.expect_all(&["using", "index"])?;
        Plan::ReplicaIdentity(b'i', Some(c.ident()?))
    })
}

/// SET GENERATED, SET with an option of the sequence and RESTART, as often as they come.
fn identity_changes(c: &mut Cursor<'_>) -> Parsed<Option<(Option<u8>, crate::ast::SequenceDef)>> {
    const OPTIONS: [&str; 8] =
        ["increment", "minvalue", "maxvalue", "no", "start", "restart", "cache", "cycle"];
    let (mut identity, mut def, mut any) = (None, crate::ast::SequenceDef::default(), false);
    loop {
        if c.accept_all(&["set", "generated"]) {
            let always = c.accept("always");
            if !always {
                c.expect_all(&["by", "default"])?;
            }
            identity = Some(if always { b'a' } else { b'd' });
        } else if c.peek_is(0, "restart") {
            table::sequence_option(c, &mut def)?;
        } else if c.peek_is(0, "set") && OPTIONS.iter().any(|o| c.peek_is(1, o)) {
            c.parser.advance_token();
            table::sequence_option(c, &mut def)?;
        } else {
            return Ok(any.then_some((identity, def)));
        }
        any = true;
    }
}

fn statistics_target(c: &mut Cursor<'_>) -> Parsed<i32> {
    let n = c.integer()?;
    Ok(i32::try_from(n).map_err(|_| SqlError::syntax("statistics target is out of range"))?)
}

fn alter_column(c: &mut Cursor<'_>) -> Parsed<AlterAction> {
    if matches!(c.parser.peek_token_ref().token, Token::Number(..)) {
        let number = c.integer()?;
        c.expect_all(&["set", "statistics"])?;
        return Ok(AlterAction::Ready(Plan::SetKeyStatistics { number, target: statistics_target(c)? }));
    }
    let column = c.ident_at()?;
    let name = column.value.clone();
    let ready = |plan: Plan| Ok(AlterAction::Ready(plan));
    if c.accept_all(&["set", "default"]) {
        return Ok(AlterAction::SetDefault(column, c.parser.parse_expr()?));
    }
    if c.accept_all(&["drop", "default"]) {
        return ready(Plan::DropDefault { column: name });
    }
    if c.accept_all(&["set", "not", "null"]) {
        return ready(Plan::SetNotNull { column: name });
    }
    if c.accept_all(&["drop", "not", "null"]) {
        return ready(Plan::DropNotNull { column: name });
    }
    if c.accept_all(&["drop", "expression"]) {
        return ready(Plan::DropExpression { column: name, if_exists: c.if_exists()? });
    }
    if let Some((identity, def)) = identity_changes(c)? {
        return Ok(AlterAction::SetIdentity(column, identity, def));
    }
    if c.accept_all(&["drop", "identity"]) {
        return ready(Plan::DropIdentity { column: name, if_exists: c.if_exists()? });
    }
    if c.peek_is(0, "add") {
        c.parser.advance_token();
        c.expect("generated")?;
        let always = c.accept("always");
        if !always {
            c.expect_all(&["by", "default"])?;
        }
        c.expect_all(&["as", "identity"])?;
        let mut def = crate::ast::SequenceDef::default();
        if c.accept_symbol(&Token::LParen) {
            def = table::sequence_options(c)?;
            c.symbol(&Token::RParen)?;
        }
        return Ok(AlterAction::AddIdentity(column, if always { b'a' } else { b'd' }, def));
    }
    if c.accept_all(&["set", "data", "type"]) || c.accept("type") {
        let at = c.here();
        let ty = c.parser.parse_data_type()?;
        let collation = if c.accept("collate") { Some(c.parser.parse_object_name(false)?) } else { None };
        let using = if c.accept("using") { Some(c.parser.parse_expr()?) } else { None };
        return Ok(AlterAction::SetType { column, ty, at, collation, using });
    }
    if c.accept_all(&["set", "storage"]) {
        let at = c.here();
        let word = c.any_word()?;
        let storage = match word.as_str() {
            "plain" => b'p',
            "external" => b'e',
            "extended" => b'x',
            "main" => b'm',
            _ => {
                return Err(SqlError::new(
                    pg_types::SqlState::INVALID_PARAMETER_VALUE,
                    format!("invalid storage type \"{word}\""),
                )
                .at(at)
                .into());
            }
        };
        return ready(Plan::SetStorage { column: name, storage });
    }
    if c.accept_all(&["set", "compression"]) {
        return ready(Plan::SetCompression { column: name, compression: table::compression(c)? });
    }
    if c.accept_all(&["set", "statistics"]) {
        return ready(Plan::SetStatistics { column: name, target: statistics_target(c)? });
    }
    let set = c.accept("set");
    if set || c.accept("reset") {
        return ready(Plan::SetColumnOptions {
            column: name,
            options: super::reloptions::of_column(c, set)?,
        });
    }
    c.unexpected()
}

//! `has_table_privilege` and its kin, `pg_has_role`, `row_security_active`, `acldefault`, `makeaclitem`.

use alloc::{format, vec::Vec};

use pg_catalog::{
    CatalogReader, Reader, Relation, RelationKind, Roles,
    access::{column_rights, rights_of, rights_on},
    acl::{Acl, Class, Rights, right_named},
    builtin::*,
};
use pg_functions::Function;
use pg_types::{Oid, Result, SqlError, SqlState, Value, oid};

use super::{arg_bool, arg_int, arg_oid, arg_text};
use crate::{acl, context::ExecContext, text};

/// A privilege asked about, and whether it must be grantable.
type Asked = (Rights, bool);

fn unrecognized(what: &str) -> SqlError {
    let text = format!("unrecognized privilege type: \"{what}\"");
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text)
}

/// `SELECT, INSERT WITH GRANT OPTION`: any of them.
fn asked(list: &str, valid: Rights) -> Result<Vec<Asked>> {
    const OPTION: &str = " with grant option";
    let mut out = Vec::new();
    for part in list.split(',').map(str::trim) {
        let lower = part.to_ascii_lowercase();
        let (name, option) = match lower.strip_suffix(OPTION) {
            Some(name) => (name.trim_end(), true),
            None => (lower.as_str(), false),
        };
        let found = right_named(name).filter(|r| r & valid != 0).ok_or_else(|| unrecognized(part))?;
        out.push((found, option));
    }
    Ok(out)
}

/// Who is asked about: the first argument, if there is one for it.
fn asker(reader: &Reader<'_>, roles: &Roles, arg: Option<&Value>) -> Result<Oid> {
    match arg {
        None => Ok(CatalogReader::user(reader)),
        Some(Value::Oid(o)) => Ok(*o),
        Some(Value::Text(name)) if &**name == "public" => Ok(0),
        Some(Value::Text(name)) => role_named(roles, name),
        Some(_) => Ok(0),
    }
}

fn role_named(roles: &Roles, name: &str) -> Result<Oid> {
    roles
        .find(name)
        .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")))
}

struct Question<'r> {
    reader: &'r Reader<'r>,
    roles: &'r Roles,
    role: Oid,
}

impl Question<'_> {
    fn relation(&self, arg: Option<&Value>) -> Result<Option<alloc::sync::Arc<Relation>>> {
        match arg {
            Some(Value::Oid(o)) => self.reader.relation_by_oid(*o),
            Some(Value::Text(t)) => text::find_relation(t, self.reader).map(Some),
            _ => Ok(None),
        }
    }
    /// Of a list: any of the privileges asked about.
    fn any(&self, acl: Option<&Acl>, class: Class, owner: Oid, asked: &[Asked]) -> bool {
        asked.iter().any(|(right, option)| {
            if *option {
                self.roles.is_superuser(self.role)
                    || acl
                        .cloned()
                        .unwrap_or_else(|| Acl::default_of(class, owner))
                        .options_of(self.role, owner, *right, self.roles)
                        != 0
            } else {
                rights_of(acl, class, owner, self.role, *right, self.roles) != 0
            }
        })
    }
    fn on_relation(&self, r: &Relation, asked: &[Asked]) -> bool {
        let class = pg_catalog::access::class_of(r.kind);
        asked.iter().any(|a| match a {
            (right, false) => rights_on(r, self.role, *right, self.roles) != 0,
            option => self.any(r.security.acl.as_ref(), class, r.owner, &[*option]),
        })
    }
    fn on_column(&self, r: &Relation, attnum: i16, asked: &[Asked]) -> bool {
        self.on_relation(r, asked)
            || asked.iter().any(|(right, option)| {
                if *option {
                    let column = r.live().find(|a| a.attnum == attnum).and_then(|a| a.acl.as_ref());
                    column.is_some_and(|acl| acl.options_of(self.role, r.owner, *right, self.roles) != 0)
                } else {
                    column_rights(r, attnum, self.role, *right, self.roles) != 0
                }
            })
    }
    /// An object by number or name: its row.
    fn row(
        &self,
        catalog: Oid,
        column: &str,
        arg: Option<&Value>,
        missing: impl FnOnce(&str) -> SqlError,
    ) -> Result<Option<pg_catalog::table::Row>> {
        match arg {
            Some(Value::Oid(_)) => {
                let rows = self.reader.find(catalog, &["oid"], &[arg.cloned().unwrap_or(Value::Null)])?;
                Ok(rows.into_iter().next())
            }
            Some(Value::Text(name)) => {
                let rows = self.reader.find(catalog, &[column], &[Value::text(name)])?;
                rows.into_iter().next().map(Some).ok_or_else(|| missing(name))
            }
            _ => Ok(None),
        }
    }
}

fn some(v: Option<bool>) -> Value {
    v.map_or(Value::Null, Value::Bool)
}

fn undefined(what: &'static str, state: SqlState) -> impl FnOnce(&str) -> SqlError {
    move |name| SqlError::new(state, format!("{what} \"{name}\" does not exist"))
}

pub(super) fn call(
    cx: &ExecContext<'_>,
    reader: &Reader<'_>,
    f: &Function,
    args: &[Value],
) -> Result<Option<Value>> {
    match f.name {
        "makeaclitem" => {
            let made = acl::make(arg_oid(args, 0), arg_oid(args, 1), arg_text(args, 2), arg_bool(args, 3));
            return made.map(Some);
        }
        "acldefault" => {
            let letter = if let Some(Value::Char(c)) = args.first() { *c } else { 0 };
            return acl::default_of(letter, arg_oid(args, 1)).map(Some);
        }
        "row_security_active" => return active(cx, reader, args.first()).map(Some),
        name if !name.starts_with("has_") && name != "pg_has_role" => return Ok(None),
        _ => {}
    }
    let roles = CatalogReader::roles(reader)?;
    // The longest form begins with the role.
    let column = f.name == "has_column_privilege";
    let full = if column { 4 } else { 3 };
    let (who, rest) = if args.len() == full { (args.first(), args.get(1..)) } else { (None, Some(args)) };
    let rest = rest.unwrap_or(&[]);
    let role = asker(reader, &roles, who)?;
    let q = Question { reader, roles: &roles, role };
    let privileges = arg_text(rest, rest.len().saturating_sub(1));
    let object = rest.first();
    Ok(Some(match f.name {
        "pg_has_role" => has_role(&q, object, privileges)?,
        "has_table_privilege" => {
            let asked = asked(privileges, Class::Table.all())?;
            some(q.relation(object)?.map(|r| q.on_relation(&r, &asked)))
        }
        "has_sequence_privilege" => {
            let asked = asked(privileges, Class::Sequence.all())?;
            match q.relation(object)? {
                Some(r) if r.kind != RelationKind::Sequence => {
                    if matches!(object, Some(Value::Oid(_))) {
                        return Ok(Some(Value::Null));
                    }
                    let text = format!("\"{}\" is not a sequence", r.name);
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
                }
                r => some(r.map(|r| q.on_relation(&r, &asked))),
            }
        }
        "has_any_column_privilege" => {
            let asked = asked(privileges, Class::Column.all())?;
            some(
                q.relation(object)?.map(|r| {
                    q.on_relation(&r, &asked) || r.live().any(|a| q.on_column(&r, a.attnum, &asked))
                }),
            )
        }
        "has_column_privilege" => has_column(&q, rest, &asked(privileges, Class::Column.all())?)?,
        "has_schema_privilege" => {
            let asked = asked(privileges, Class::Schema.all())?;
            let missing = undefined("schema", SqlState::INVALID_SCHEMA_NAME);
            let row = q.row(PG_NAMESPACE, "nspname", object, missing)?;
            some(row.map(|r| {
                q.any(Acl::of_value(r.get("nspacl")).as_ref(), Class::Schema, r.oid("nspowner"), &asked)
            }))
        }
        "has_database_privilege" => {
            let asked = asked(privileges, Class::Database.all())?;
            let missing = undefined("database", SqlState::INVALID_CATALOG_NAME);
            let row = q.row(PG_DATABASE, "datname", object, missing)?;
            some(row.map(|r| {
                q.any(Acl::of_value(r.get("datacl")).as_ref(), Class::Database, r.oid("datdba"), &asked)
            }))
        }
        "has_language_privilege" => {
            let asked = asked(privileges, Class::Language.all())?;
            let missing = undefined("language", SqlState::UNDEFINED_OBJECT);
            let row = q.row(PG_LANGUAGE, "lanname", object, missing)?;
            some(row.map(|r| {
                q.any(Acl::of_value(r.get("lanacl")).as_ref(), Class::Language, r.oid("lanowner"), &asked)
            }))
        }
        "has_tablespace_privilege" => {
            let asked = asked(privileges, Class::Tablespace.all())?;
            let missing = undefined("tablespace", SqlState::UNDEFINED_OBJECT);
            let row = q.row(PG_TABLESPACE, "spcname", object, missing)?;
            some(row.map(|r| {
                q.any(Acl::of_value(r.get("spcacl")).as_ref(), Class::Tablespace, r.oid("spcowner"), &asked)
            }))
        }
        "has_type_privilege" => {
            let asked = asked(privileges, Class::Type.all())?;
            let oid = match object {
                Some(Value::Text(name)) => text::find_type(name, reader)?.ok_or_else(|| {
                    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
                })?,
                _ => arg_oid(rest, 0),
            };
            let rows = reader.find(PG_TYPE, &["oid"], &[Value::Oid(oid)])?;
            some(rows.first().map(|r| {
                q.any(Acl::of_value(r.get("typacl")).as_ref(), Class::Type, r.oid("typowner"), &asked)
            }))
        }
        "has_function_privilege" => {
            let asked = asked(privileges, Class::Function.all())?;
            let oid = match object {
                Some(Value::Text(name)) => {
                    let ty = pg_types::SqlType::new(oid::REGPROCEDURE);
                    match text::input(name, ty, cx)? {
                        Value::Oid(o) => o,
                        _ => 0,
                    }
                }
                _ => arg_oid(rest, 0),
            };
            let rows = reader.find(PG_PROC, &["oid"], &[Value::Oid(oid)])?;
            some(rows.first().map(|r| {
                q.any(Acl::of_value(r.get("proacl")).as_ref(), Class::Function, r.oid("proowner"), &asked)
            }))
        }
        "has_parameter_privilege" => {
            let asked = asked(privileges, Class::Parameter.all())?;
            let name = arg_text(rest, 0).to_ascii_lowercase();
            let rows = reader.find(PG_PARAMETER_ACL, &["parname"], &[Value::text(&name)])?;
            let acl = rows.first().and_then(|r| Acl::of_value(r.get("paracl")));
            Value::Bool(q.any(acl.as_ref(), Class::Parameter, FIRST_ROLE, &asked))
        }
        _ => return Ok(None),
    }))
}

fn has_column(q: &Question<'_>, rest: &[Value], asked: &[Asked]) -> Result<Value> {
    let Some(r) = q.relation(rest.first())? else { return Ok(Value::Null) };
    let attnum = match rest.get(1) {
        Some(Value::Text(name)) => match r.live().find(|a| a.name == **name) {
            Some(a) => a.attnum,
            None => {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{name}\" of relation \"{}\" does not exist", r.name),
                ));
            }
        },
        _ => i16::try_from(arg_int(rest, 1)).unwrap_or(0),
    };
    if !r.live().any(|a| a.attnum == attnum) {
        return Ok(Value::Null);
    }
    Ok(Value::Bool(q.on_column(&r, attnum, asked)))
}

/// MEMBER, USAGE, each with ADMIN OPTION.
fn has_role(q: &Question<'_>, object: Option<&Value>, privileges: &str) -> Result<Value> {
    let of = match object {
        Some(Value::Text(name)) => role_named(q.roles, name)?,
        Some(Value::Oid(o)) => *o,
        _ => return Ok(Value::Null),
    };
    let mut any = false;
    for part in privileges.split(',').map(str::trim) {
        let lower = part.to_ascii_lowercase();
        any |= match lower.as_str() {
            "member" => q.roles.is_member_of(q.role, of),
            "usage" => q.roles.has_rights_of(q.role, of),
            "member with admin option"
            | "member with grant option"
            | "usage with admin option"
            | "usage with grant option" => q.role == of || q.roles.is_admin_of(q.role, of),
            _ => return Err(unrecognized(part)),
        };
    }
    Ok(Value::Bool(any))
}

/// Would policies restrict what the user sees of the table?
fn active(cx: &ExecContext<'_>, reader: &Reader<'_>, arg: Option<&Value>) -> Result<Value> {
    let relation = match arg {
        Some(Value::Oid(o)) => reader.relation_by_oid(*o)?,
        Some(Value::Text(t)) => Some(text::find_relation(t, reader)?),
        _ => None,
    };
    let Some(r) = relation else { return Ok(Value::Bool(false)) };
    let (user, roles) = (cx.session.user(), CatalogReader::roles(reader)?);
    Ok(Value::Bool(crate::node::modify::seen::is_restricted(&r, user, &roles)))
}

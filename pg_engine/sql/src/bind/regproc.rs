//! Names of functions and operators in strings: `regproc`, `regprocedure`, `regoper` and `regoperator`.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::{
    UserOperator,
    builtin::{PG_CATALOG, support},
};
use pg_functions::registry;
use pg_types::{Oid, Result, SqlError, SqlState, Value, typeinfo};

use super::{Binder, literal::split_name};

fn missing(text: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{text}\" does not exist"))
}

fn no_operator(text: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {text}"))
}

/// A number stands for itself, a dash for none.
fn number(text: &str) -> Option<Value> {
    if text == "-" {
        return Some(Value::Oid(0));
    }
    text.trim().parse::<u32>().ok().map(Value::Oid)
}

/// The parts between commas that are in no parentheses or quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut quoted, mut from) = (Vec::new(), 0i32, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(text.get(from..at).unwrap_or("").trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    let last = text.get(from..).unwrap_or("").trim();
    if !last.is_empty() || !parts.is_empty() {
        parts.push(last);
    }
    parts
}

impl Binder<'_> {
    /// Functions of a name on the search path, with these arguments if they are given.
    fn functions(&self, parts: &[String], args: Option<&[Oid]>) -> Result<Vec<Oid>> {
        let (schema, name) = match parts {
            [name] => (None, name),
            [schema, name] => (Some(schema.as_str()), name),
            _ => return Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax")),
        };
        let schemas: Vec<Oid> = match schema {
            Some(s) => self.catalog.schema_oid(s)?.into_iter().collect(),
            None => self.catalog.searched(),
        };
        let users = self.catalog.routines(name)?;
        // Without catalogs there are built-in functions only.
        let bare = schemas.is_empty() && schema.is_none_or(|s| s == "pg_catalog");
        let schemas = if bare { Vec::from([PG_CATALOG]) } else { schemas };
        let mut found = Vec::new();
        for s in schemas {
            let here =
                users.iter().filter(|r| r.schema == s && args.is_none_or(|a| a == r.inputs.as_slice()));
            found.extend(here.map(|r| r.oid));
            if s == PG_CATALOG {
                let builtin = registry().functions_named(name).iter();
                found.extend(builtin.filter(|f| args.is_none_or(|a| a == f.args)).map(|f| f.oid));
                let support = support::named(name).filter(|f| args.is_none_or(|a| a == f.args));
                found.extend(support.map(|f| f.oid));
            }
            if args.is_some() && !found.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    pub(super) fn read_regproc(&mut self, text: &str) -> Result<Value> {
        if let Some(v) = number(text) {
            return Ok(v);
        }
        match self.functions(&split_name(text)?, None)?.as_slice() {
            [] => Err(missing(text)),
            [one] => Ok(Value::Oid(*one)),
            _ => Err(SqlError::new(
                SqlState::AMBIGUOUS_FUNCTION,
                format!("more than one function named \"{text}\""),
            )),
        }
    }

    pub(super) fn read_regprocedure(&mut self, text: &str) -> Result<Value> {
        if let Some(v) = number(text) {
            return Ok(v);
        }
        let bad = |what: &str| {
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("expected a {what} parenthesis"))
        };
        let (name, args) = text.split_once('(').ok_or_else(|| bad("left"))?;
        let args = args.trim_end().strip_suffix(')').ok_or_else(|| bad("right"))?;
        let mut types = Vec::new();
        for arg in split(args) {
            types.push(self.type_in_text(arg)?);
        }
        let found = self.functions(&split_name(name)?, Some(&types))?;
        found.first().map(|f| Value::Oid(*f)).ok_or_else(|| missing(text))
    }

    pub(super) fn read_regoper(&mut self, text: &str) -> Result<Value> {
        if text == "0" {
            return Ok(Value::Oid(0));
        }
        if let Some(v) = number(text).filter(|_| text != "-") {
            return Ok(v);
        }
        let builtin = registry().operators_named(text.trim_start_matches("pg_catalog."));
        let users = self.operators_in_text(text)?;
        let found: Vec<Oid> = builtin.iter().map(|o| o.oid).chain(users.iter().map(|o| o.oid)).collect();
        match found.as_slice() {
            [] => Err(no_operator(text)),
            [one] => Ok(Value::Oid(*one)),
            _ => {
                let text = format!("more than one operator named {text}");
                Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, text))
            }
        }
    }

    pub(super) fn read_regoperator(&mut self, text: &str) -> Result<Value> {
        if text == "0" {
            return Ok(Value::Oid(0));
        }
        if let Some(v) = number(text).filter(|_| text != "-") {
            return Ok(v);
        }
        let bad = |what: &str| {
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("expected a {what} parenthesis"))
        };
        let (name, args) = text.split_once('(').ok_or_else(|| bad("left"))?;
        let args = args.trim_end().strip_suffix(')').ok_or_else(|| bad("right"))?;
        let mut types = Vec::new();
        for arg in split(args) {
            types.push(if arg.eq_ignore_ascii_case("none") { 0 } else { self.type_in_text(arg)? });
        }
        let (left, right) = match types.as_slice() {
            [left, right] => (*left, *right),
            [_] => {
                let error = SqlError::new(SqlState::UNDEFINED_PARAMETER, "missing argument");
                return Err(error.hint("Use NONE to denote the missing argument of a unary operator."));
            }
            _ => {
                let error = SqlError::new(SqlState::TOO_MANY_ARGUMENTS, "too many arguments");
                return Err(error.hint("Provide two argument types for operator."));
            }
        };
        let found = registry().operator_for(name.trim().trim_start_matches("pg_catalog."), left, right);
        let users = self.operators_in_text(name.trim())?;
        let user = users.iter().find(|o| o.left == left && o.right == right).map(|o| o.oid);
        found.map(|o| o.oid).or(user).map(Value::Oid).ok_or_else(|| no_operator(text))
    }

    /// The users' operators that a name means.
    fn operators_in_text(&self, text: &str) -> Result<Vec<UserOperator>> {
        let (schema, name) = super::operator::split(text);
        let all = self.catalog.operators(name)?;
        let schemas = match schema {
            Some(s) => self.catalog.schema_oid(s)?.into_iter().collect(),
            None => self.catalog.searched(),
        };
        Ok(all.iter().filter(|o| schemas.contains(&o.schema)).cloned().collect())
    }

    fn type_in_text(&mut self, text: &str) -> Result<Oid> {
        if let Some(element) = text.strip_suffix("[]") {
            let element = self.type_in_text(element.trim_end())?;
            return Ok(typeinfo::array_of(element));
        }
        match self.read_regtype(text)? {
            Value::Oid(o) => Ok(o),
            _ => Ok(0),
        }
    }
}

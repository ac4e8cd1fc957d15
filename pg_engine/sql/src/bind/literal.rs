//! Reading literals.

use alloc::{format, string::String, vec::Vec};

use pg_plan::expr::Expr;
use pg_types::{Numeric, Oid, Result, SqlError, SqlState, SqlType, Value, oid, typeinfo, user};

use super::Binder;

/// An integer or decimal constant with PostgreSQL's type for it.
pub(crate) fn number(text: &str, negative: bool) -> Result<Expr> {
    let signed;
    let text = if negative {
        signed = format!("-{text}");
        signed.as_str()
    } else {
        text
    };
    if let Ok(n) = text.parse::<i32>() {
        return Ok(Expr::Const(Value::Int4(n), SqlType::new(oid::INT4)));
    }
    if let Ok(n) = text.parse::<i64>() {
        return Ok(Expr::Const(Value::Int8(n), SqlType::new(oid::INT8)));
    }
    Ok(Expr::Const(Value::Numeric(Numeric::parse(text)?), SqlType::new(oid::NUMERIC)))
}

/// `B'...'` or `X'...'`.
pub(crate) fn bits(base: char, digits: &str) -> Result<Expr> {
    let bits = pg_types::bits::Bits::parse(&format!("{base}{digits}"))?;
    Ok(Expr::Const(bits.into(), SqlType::new(oid::BIT)))
}

/// True when reading the text depends on settings or the clock.
fn depends_on_session(ty: Oid, text: &str) -> bool {
    let element = match typeinfo::array_element(ty) {
        0 => ty,
        element => element,
    };
    match element {
        oid::TIMESTAMPTZ | oid::TIMETZ => true,
        oid::DATE | oid::TIMESTAMP | oid::TIME => {
            // ISO dates and plain times read the same under every setting.
            !text.trim().starts_with(|c: char| c.is_ascii_digit())
                || text.contains('/')
                || text.contains(|c: char| c.is_ascii_alphabetic() && c != 'T')
                || (element != oid::TIME && text.trim().as_bytes().get(4) != Some(&b'-'))
        }
        oid::INTERVAL => text.trim_start().starts_with('-'),
        _ => false,
    }
}

impl Binder<'_> {
    /// A string literal read as a type. The modifier is applied by the caller, except for intervals.
    pub(crate) fn read_literal(&mut self, text: &str, ty: SqlType) -> Result<Value> {
        self.read_text(text, ty).map_err(|error| error.at(self.literal_at(text)))
    }

    /// Position of the latest literal with this text; 0 when it is not found as it stands.
    fn literal_at(&self, text: &str) -> u32 {
        let here = |at: &&sqlparser::tokenizer::Location| {
            let from = (at.line as usize).saturating_sub(1);
            let quoted = self.source.get(from..).and_then(|s| s.strip_prefix('\''));
            quoted.and_then(|s| s.strip_prefix(text)).is_some_and(|s| s.starts_with('\''))
        };
        self.literals.iter().rev().find(here).map_or(0, |at| crate::grammar::position(*at))
    }

    fn read_text(&mut self, text: &str, ty: SqlType) -> Result<Value> {
        match ty.oid {
            oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::UNKNOWN | oid::CSTRING => {
                return Ok(Value::text(text));
            }
            oid::REGCLASS => return self.read_regclass(text),
            oid::REGTYPE => return self.read_regtype(text),
            oid::REGPROC => return self.read_regproc(text),
            oid::REGPROCEDURE => return self.read_regprocedure(text),
            oid::REGOPER => return self.read_regoper(text),
            oid::REGOPERATOR => return self.read_regoperator(text),
            oid::REGROLE => return self.read_regrole(text),
            oid::REGNAMESPACE => return self.read_regnamespace(text),
            oid::ACLITEM => {
                let (item, _) = pg_catalog::acl_text::read(text, &*self.catalog.roles()?)?;
                return Ok(Value::Text(item.to_text().into()));
            }
            oid::ACLITEM_ARRAY => return self.read_acl(text),
            _ => {}
        }
        if depends_on_session(ty.oid, text) {
            self.cacheable = false;
        }
        if user::is_user(ty.oid) {
            // A label may be renamed, or may not be used yet: that is the catalogs' to say, and plans follow these.
            let types = pg_catalog::user_types::gather(self.catalog, ty.oid)?;
            let settings = pg_types::format::FormatSettings { types, ..self.format.clone() };
            return pg_types::io::input(SqlType::new(ty.oid), text, &settings);
        }
        let typmod = if ty.oid == oid::INTERVAL { ty.typmod } else { -1 };
        pg_types::io::input(SqlType::with_typmod(ty.oid, typmod), text, self.format)
    }

    fn read_regclass(&mut self, text: &str) -> Result<Value> {
        if text == "-" {
            return Ok(Value::Oid(0));
        }
        if let Ok(n) = text.trim().parse::<u32>() {
            return Ok(Value::Oid(n));
        }
        let parts = split_name(text)?;
        let (schema, name) = match parts.as_slice() {
            [name] => (None, name.as_str()),
            [schema, name] => (Some(schema.as_str()), name.as_str()),
            _ => return Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax")),
        };
        match self.catalog.relation(schema, name)? {
            Some(relation) => {
                self.depend(relation.oid);
                Ok(Value::Oid(relation.oid))
            }
            None => Err(SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{}\" does not exist", parts.join(".")),
            )),
        }
    }

    fn read_regrole(&mut self, text: &str) -> Result<Value> {
        if text == "-" {
            return Ok(Value::Oid(0));
        }
        if let Ok(n) = text.trim().parse::<u32>() {
            return Ok(Value::Oid(n));
        }
        let parts = split_name(text)?;
        let [name] = parts.as_slice() else {
            return Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax"));
        };
        self.catalog.roles()?.find(name).map(Value::Oid).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
        })
    }

    fn read_regnamespace(&mut self, text: &str) -> Result<Value> {
        if text == "-" {
            return Ok(Value::Oid(0));
        }
        if let Ok(n) = text.trim().parse::<u32>() {
            return Ok(Value::Oid(n));
        }
        let parts = split_name(text)?;
        let [name] = parts.as_slice() else {
            return Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax"));
        };
        self.catalog.schema_oid(name)?.map(Value::Oid).ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"))
        })
    }

    fn read_acl(&mut self, text: &str) -> Result<Value> {
        let roles = self.catalog.roles()?;
        let list = pg_types::io::input(SqlType::new(oid::TEXT_ARRAY), text, self.format)?;
        let Value::Array(list) = list else { return Ok(Value::Null) };
        let mut acl = pg_catalog::acl::Acl::default();
        for v in &list.values {
            if let Value::Text(t) = v {
                acl.0.push(pg_catalog::acl_text::read(t, &roles)?.0);
            }
        }
        Ok(acl.to_value())
    }

    pub(super) fn read_regtype(&mut self, text: &str) -> Result<Value> {
        if let Ok(n) = text.trim().parse::<u32>() {
            return Ok(Value::Oid(n));
        }
        let lower = text.trim().to_ascii_lowercase();
        let plain = lower.strip_prefix("pg_catalog.").unwrap_or(&lower);
        if let Some(info) = typeinfo::by_sql_name(plain) {
            return Ok(Value::Oid(info.oid));
        }
        let missing =
            |name: &str| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"));
        if let Some(element) = text.trim_end().strip_suffix("[]") {
            let found = self.read_regtype(element).map_err(|e| {
                if e.state() == SqlState::UNDEFINED_OBJECT { missing(text.trim()) } else { e }
            })?;
            // Arrays of arrays are arrays of more dimensions.
            return Ok(match found {
                Value::Oid(o) if typeinfo::array_of(o) != 0 => Value::Oid(typeinfo::array_of(o)),
                _ => found,
            });
        }
        let parts = split_name(text)?;
        let found = match parts.as_slice() {
            [name] => self.catalog.type_by_name(None, name)?,
            [schema, name] => self.catalog.type_by_name(Some(schema), name)?,
            _ => None,
        };
        found.map(Value::Oid).ok_or_else(|| missing(&parts.join(".")))
    }
}

/// The parts of a dotted name in a string, folded and unquoted.
pub(crate) fn split_name(text: &str) -> Result<Vec<String>> {
    let bad = || SqlError::new(SqlState::INVALID_NAME, "invalid name syntax");
    let mut parts = Vec::new();
    let mut chars = text.trim().chars().peekable();
    loop {
        let mut part = String::new();
        if chars.peek() == Some(&'"') {
            chars.next();
            loop {
                match chars.next().ok_or_else(bad)? {
                    '"' if chars.peek() == Some(&'"') => {
                        chars.next();
                        part.push('"');
                    }
                    '"' => break,
                    c => part.push(c),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != '.') {
                part.push(c.to_ascii_lowercase());
            }
        }
        if part.is_empty() {
            return Err(bad());
        }
        parts.push(part);
        match chars.next() {
            None => return Ok(parts),
            Some('.') => {}
            Some(_) => return Err(bad()),
        }
    }
}

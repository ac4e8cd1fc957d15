//! Type names of the grammar to types.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::CatalogReader;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, oid, typeinfo, user};
use sqlparser::ast as sq;

use crate::grammar::position;

/// A type as messages show it.
pub(crate) fn show(ty: SqlType) -> String {
    typeinfo::display(SqlType::new(ty.oid)).into_owned()
}

/// As [`show`], with the modifier.
pub(crate) fn show_full(ty: SqlType) -> String {
    typeinfo::display(ty).into_owned()
}

pub(crate) fn category(ty: Oid) -> u8 {
    typeinfo::get(ty).map_or(b'U', |t| t.category)
}

pub(crate) fn is_preferred(ty: Oid) -> bool {
    typeinfo::get(ty).is_some_and(|t| t.preferred)
}

pub(crate) fn is_polymorphic(ty: Oid) -> bool {
    matches!(
        ty,
        oid::ANYELEMENT
            | oid::ANYARRAY
            | oid::ANYNONARRAY
            | oid::ANYENUM
            | oid::ANYRANGE
            | oid::ANYCOMPATIBLE
            | oid::ANYCOMPATIBLEARRAY
            | oid::ANYCOMPATIBLENONARRAY
    )
}

fn bad_modifier(ty: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid {ty} type modifier"))
}

fn length(ty: Oid, name: &str, length: Option<u64>, default: i32) -> Result<SqlType> {
    match length {
        None => Ok(SqlType::with_typmod(ty, default)),
        Some(0) => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("length for type {name} must be at least 1"),
        )),
        Some(n) if n > 10_485_760 => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("length for type {name} cannot exceed 10485760"),
        )),
        Some(n) => Ok(SqlType::with_typmod(ty, n as i32 + 4)),
    }
}

fn bits(ty: Oid, name: &str, length: Option<u64>) -> Result<SqlType> {
    const MOST: u64 = 83_886_080;
    let bad = |what: &str| {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("length for type {name} {what}"))
    };
    match length {
        None => Ok(SqlType::new(ty)),
        Some(0) => Err(bad("must be at least 1")),
        Some(n) if n > MOST => Err(bad(&format!("cannot exceed {MOST}"))),
        Some(n) => Ok(SqlType::with_typmod(ty, n as i32)),
    }
}

fn characters(length: &Option<sq::CharacterLength>) -> Option<u64> {
    match length {
        Some(sq::CharacterLength::IntegerLength { length, .. }) => Some(*length),
        _ => None,
    }
}

fn numeric(precision: Option<(i64, i64)>) -> Result<SqlType> {
    let Some((p, s)) = precision else { return Ok(SqlType::new(oid::NUMERIC)) };
    if !(1..=1000).contains(&p) {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("NUMERIC precision {p} must be between 1 and 1000"),
        ));
    }
    if !(-1000..=1000).contains(&s) {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("NUMERIC scale {s} must be between -1000 and 1000"),
        ));
    }
    Ok(SqlType::with_typmod(oid::NUMERIC, (((p as i32) << 16) | (s as i32 & 0x7ff)) + 4))
}

fn exact(info: &sq::ExactNumberInfo) -> Option<(i64, i64)> {
    match info {
        sq::ExactNumberInfo::None => None,
        sq::ExactNumberInfo::Precision(p) => Some((*p as i64, 0)),
        sq::ExactNumberInfo::PrecisionAndScale(p, s) => Some((*p as i64, *s)),
    }
}

/// Precision of times; more than 6 digits are cut, as PostgreSQL does with a warning.
fn time(ty: Oid, precision: Option<u64>) -> SqlType {
    match precision {
        None => SqlType::new(ty),
        Some(p) => SqlType::with_typmod(ty, p.min(6) as i32),
    }
}

/// The type modifier of an interval's fields and precision.
pub(crate) fn interval_typmod(
    leading: Option<&sq::DateTimeField>,
    last: Option<&sq::DateTimeField>,
    precision: Option<u64>,
) -> Result<i32> {
    use pg_types::datetime::fields as f;
    let bit = |field: &sq::DateTimeField| -> Result<(i32, u32)> {
        Ok(match field {
            sq::DateTimeField::Year => (f::YEAR, 0),
            sq::DateTimeField::Month => (f::MONTH, 1),
            sq::DateTimeField::Day => (f::DAY, 2),
            sq::DateTimeField::Hour => (f::HOUR, 3),
            sq::DateTimeField::Minute => (f::MINUTE, 4),
            sq::DateTimeField::Second => (f::SECOND, 5),
            other => return Err(SqlError::syntax(format!("syntax error at or near \"{other}\""))),
        })
    };
    let all = [f::YEAR, f::MONTH, f::DAY, f::HOUR, f::MINUTE, f::SECOND];
    let fields = match (leading, last) {
        (None, _) => f::FULL_RANGE,
        (Some(a), None) => bit(a)?.0,
        (Some(a), Some(b)) => {
            let (from, to) = (bit(a)?.1 as usize, bit(b)?.1 as usize);
            all.get(from..=to).unwrap_or(&[]).iter().fold(0, |m, b| m | b)
        }
    };
    if leading.is_none() && precision.is_none() {
        return Ok(-1);
    }
    let precision = precision.map_or(0xffff, |p| p.min(6) as i32);
    Ok((fields << 16) | precision)
}

fn interval_fields(
    fields: &Option<sq::IntervalFields>,
) -> (Option<sq::DateTimeField>, Option<sq::DateTimeField>) {
    use sq::{DateTimeField as D, IntervalFields as I};
    match fields {
        None => (None, None),
        Some(f) => match f {
            I::Year => (Some(D::Year), None),
            I::Month => (Some(D::Month), None),
            I::Day => (Some(D::Day), None),
            I::Hour => (Some(D::Hour), None),
            I::Minute => (Some(D::Minute), None),
            I::Second => (Some(D::Second), None),
            I::YearToMonth => (Some(D::Year), Some(D::Month)),
            I::DayToHour => (Some(D::Day), Some(D::Hour)),
            I::DayToMinute => (Some(D::Day), Some(D::Minute)),
            I::DayToSecond => (Some(D::Day), Some(D::Second)),
            I::HourToMinute => (Some(D::Hour), Some(D::Minute)),
            I::HourToSecond => (Some(D::Hour), Some(D::Second)),
            I::MinuteToSecond => (Some(D::Minute), Some(D::Second)),
        },
    }
}

/// Resolves a type name; `serial` and its kin are not types (see [`serial`]).
pub(crate) fn resolve(ty: &sq::DataType, catalog: &dyn CatalogReader) -> Result<SqlType> {
    use sq::DataType as D;
    let zone = |tz: &sq::TimezoneInfo| matches!(tz, sq::TimezoneInfo::WithTimeZone | sq::TimezoneInfo::Tz);
    Ok(match ty {
        D::Character(n) | D::Char(n) => {
            length(oid::BPCHAR, "character", Some(characters(n).unwrap_or(1)), -1)?
        }
        D::CharacterVarying(n) | D::CharVarying(n) | D::Varchar(n) => {
            length(oid::VARCHAR, "character varying", characters(n), -1)?
        }
        D::Numeric(info) | D::Decimal(info) | D::Dec(info) => numeric(exact(info))?,
        D::Float(info) => match exact(info) {
            None => SqlType::new(oid::FLOAT8),
            Some((p, _)) => match p {
                ..1 => {
                    return Err(SqlError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        "precision for type float must be at least 1 bit",
                    ));
                }
                1..=24 => SqlType::new(oid::FLOAT4),
                25..=53 => SqlType::new(oid::FLOAT8),
                _ => {
                    return Err(SqlError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        "precision for type float must be less than 54 bits",
                    ));
                }
            },
        },
        D::SmallInt(None) | D::Int2(None) => SqlType::new(oid::INT2),
        D::Int(None) | D::Integer(None) | D::Int4(None) => SqlType::new(oid::INT4),
        D::BigInt(None) | D::Int8(None) => SqlType::new(oid::INT8),
        D::Real | D::Float4 => SqlType::new(oid::FLOAT4),
        D::DoublePrecision | D::Float8 => SqlType::new(oid::FLOAT8),
        D::Bool | D::Boolean => SqlType::new(oid::BOOL),
        D::Date => SqlType::new(oid::DATE),
        D::Time(p, tz) => time(if zone(tz) { oid::TIMETZ } else { oid::TIME }, *p),
        D::Timestamp(p, tz) => time(if zone(tz) { oid::TIMESTAMPTZ } else { oid::TIMESTAMP }, *p),
        D::Interval { fields, precision } => {
            let (leading, last) = interval_fields(fields);
            SqlType::with_typmod(oid::INTERVAL, interval_typmod(leading.as_ref(), last.as_ref(), *precision)?)
        }
        D::Text => SqlType::new(oid::TEXT),
        D::Uuid => SqlType::new(oid::UUID),
        D::Bytea => SqlType::new(oid::BYTEA),
        D::Regclass => SqlType::new(oid::REGCLASS),
        D::JSON => SqlType::new(oid::JSON),
        D::JSONB => SqlType::new(oid::JSONB),
        D::Bit(n) => bits(oid::BIT, "bit", Some(n.unwrap_or(1)))?,
        D::BitVarying(n) | D::VarBit(n) => bits(oid::VARBIT, "varbit", *n)?,
        D::Array(
            sq::ArrayElemTypeDef::SquareBracket(element, _) | sq::ArrayElemTypeDef::Qualified(element, _),
        ) => array_of(resolve(element, catalog)?)?,
        D::Custom(name, modifiers) => custom(name, modifiers, catalog)?,
        other => return unknown_type(&format!("{other}").to_ascii_lowercase(), 0),
    })
}

fn array_of(element: SqlType) -> Result<SqlType> {
    // An array of arrays is the array type itself.
    if typeinfo::get(element.oid).is_some_and(|t| t.is_array()) {
        return Ok(element);
    }
    match typeinfo::array_of(element.oid) {
        0 => Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("could not find array type for data type {}", show(element)),
        )),
        array => Ok(SqlType::with_typmod(array, element.typmod)),
    }
}

fn unknown_type<T>(name: &str, at: u32) -> Result<T> {
    Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist")).at(at))
}

fn custom(name: &sq::ObjectName, modifiers: &[String], catalog: &dyn CatalogReader) -> Result<SqlType> {
    let mut parts: Vec<&sq::Ident> = Vec::with_capacity(2);
    for part in &name.0 {
        match part {
            sq::ObjectNamePart::Identifier(ident) => parts.push(ident),
            _ => return Err(SqlError::unsupported("a function as a type")),
        }
    }
    let (schema, ident) = match parts.as_slice() {
        [ident] => (None, *ident),
        [schema, ident] => (Some(schema.value.as_str()), *ident),
        _ => return Err(SqlError::syntax("improper type name")),
    };
    let at = parts.first().map_or(0, |p| position(p.span.start));
    // The grammar takes some words of other dialects for type names; they come in their own case.
    let value =
        if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() };
    if let Some(ty) = user::referred(&value) {
        return Ok(SqlType::new(ty));
    }
    let built_in = match schema {
        None | Some("pg_catalog") => typeinfo::by_type_name(&value),
        _ => None,
    };
    let ty = match built_in {
        Some(info) => info.oid,
        None => match catalog.type_by_name(schema, &value)? {
            Some(ty) => ty,
            None => {
                let full = schema.map_or_else(|| value.clone(), |s| format!("{s}.{value}"));
                return unknown_type(&full, at);
            }
        },
    };
    if modifiers.is_empty() {
        return Ok(match (ty, schema) {
            (oid::BIT, None) if ident.quote_style.is_none() => SqlType::with_typmod(ty, 1),
            _ => SqlType::new(ty),
        });
    }
    let mut numbers = Vec::with_capacity(modifiers.len());
    for modifier in modifiers {
        numbers.push(modifier.trim().parse::<i64>().map_err(|_| bad_modifier(&value))?);
    }
    match (ty, numbers.as_slice()) {
        (oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ, [p]) if *p >= 0 => {
            Ok(time(ty, Some(*p as u64)))
        }
        (oid::VARCHAR, [n]) if *n >= 0 => length(ty, "character varying", Some(*n as u64), -1),
        (oid::BPCHAR, [n]) if *n >= 0 => length(ty, "character", Some(*n as u64), -1),
        (oid::NUMERIC, [p]) => numeric(Some((*p, 0))),
        (oid::NUMERIC, [p, s]) => numeric(Some((*p, *s))),
        (oid::BIT | oid::VARBIT, [n]) if *n > 0 => Ok(SqlType::with_typmod(ty, *n as i32)),
        _ => Err(SqlError::syntax(format!("type modifier is not allowed for type \"{value}\"")).at(at)),
    }
}

/// The integer type of `serial` and its kin.
pub(crate) fn serial(ty: &sq::DataType) -> Option<Oid> {
    let sq::DataType::Custom(name, modifiers) = ty else { return None };
    let [sq::ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
    if !modifiers.is_empty() {
        return None;
    }
    match ident.value.as_str() {
        "serial" | "serial4" => Some(oid::INT4),
        "bigserial" | "serial8" => Some(oid::INT8),
        "smallserial" | "serial2" => Some(oid::INT2),
        _ => None,
    }
}

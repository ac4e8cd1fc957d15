//! Storage parameters of tables: which there are, and what they may be.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_types::{SqlError, SqlState};
use sqlparser::tokenizer::Token;

use super::{Cursor, Parsed};

/// What values a parameter takes.
enum Kind {
    Bool,
    Integer(i64, i64),
    Real(f64, f64),
}

const MOST: i64 = i32::MAX as i64;

/// Those that are honoured.
const KNOWN: &[(&str, Kind)] = &[
    ("fillfactor", Kind::Integer(10, 100)),
    ("toast_tuple_target", Kind::Integer(128, 8160)),
    ("autovacuum_enabled", Kind::Bool),
    ("autovacuum_vacuum_threshold", Kind::Integer(0, MOST)),
    ("autovacuum_vacuum_scale_factor", Kind::Real(0.0, 100.0)),
    ("autovacuum_vacuum_insert_threshold", Kind::Integer(-1, MOST)),
    ("autovacuum_vacuum_insert_scale_factor", Kind::Real(0.0, 100.0)),
    ("autovacuum_analyze_threshold", Kind::Integer(0, MOST)),
    ("autovacuum_analyze_scale_factor", Kind::Real(0.0, 100.0)),
];

/// Those that PostgreSQL has and this engine has no use for, or does not follow.
const REFUSED: &[&str] = &[
    "parallel_workers",
    "user_catalog_table",
    "vacuum_index_cleanup",
    "vacuum_truncate",
    "log_autovacuum_min_duration",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "autovacuum_freeze_min_age",
    "autovacuum_freeze_max_age",
    "autovacuum_freeze_table_age",
    "autovacuum_multixact_freeze_min_age",
    "autovacuum_multixact_freeze_max_age",
    "autovacuum_multixact_freeze_table_age",
];

fn wrong(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn find(name: &str) -> Result<&'static Kind, SqlError> {
    if let Some((_, kind)) = KNOWN.iter().find(|k| k.0 == name) {
        return Ok(kind);
    }
    match name.split_once('.') {
        Some(("toast", rest))
            if REFUSED.contains(&rest) || KNOWN.iter().any(|k| k.0 == rest && rest.starts_with("auto")) => {}
        None if REFUSED.contains(&name) => {}
        Some((namespace, _)) if namespace != "toast" => {
            return Err(wrong(format!("unrecognized parameter namespace \"{namespace}\"")));
        }
        Some((_, rest)) => return Err(wrong(format!("unrecognized parameter \"{rest}\""))),
        None => return Err(wrong(format!("unrecognized parameter \"{name}\""))),
    }
    Err(SqlError::unsupported(format!("storage parameter \"{name}\"")))
}

/// Is there such a parameter?
pub(super) fn check_name(name: &str) -> Result<(), SqlError> {
    find(name).map(|_| ())
}

/// A parameter's value as it is stored.
pub(super) fn check(name: &str, value: &str) -> Result<String, SqlError> {
    let bounds = |inside: bool, least: String, most: String| match inside {
        true => Ok(()),
        false => Err(wrong(format!("value {value} out of bounds for option \"{name}\""))
            .detail(format!("Valid values are between \"{least}\" and \"{most}\"."))),
    };
    match find(name)? {
        Kind::Bool => {
            if pg_types::io::parse_boolean(value).is_none() {
                return Err(wrong(format!("invalid value for boolean option \"{name}\": {value}")));
            }
        }
        Kind::Integer(least, most) => {
            let Ok(n) = value.trim().parse::<i64>() else {
                return Err(wrong(format!("invalid value for integer option \"{name}\": {value}")));
            };
            bounds((*least..=*most).contains(&n), least.to_string(), most.to_string())?;
        }
        Kind::Real(least, most) => {
            let Ok(x) = value.trim().parse::<f64>() else {
                return Err(wrong(format!("invalid value for floating point option \"{name}\": {value}")));
            };
            bounds((*least..=*most).contains(&x), format!("{least:.6}"), format!("{most:.6}"))?;
        }
    }
    Ok(value.trim().to_string())
}

/// `(n_distinct = ..., ...)` of a column; RESET has names only.
pub(super) fn of_column(c: &mut Cursor<'_>, set: bool) -> Parsed<Vec<(String, Option<String>)>> {
    let invalid = |text: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text);
    c.symbol(&Token::LParen)?;
    let mut list: Vec<(String, Option<String>)> = Vec::new();
    loop {
        let name = c.any_word()?;
        if !matches!(name.as_str(), "n_distinct" | "n_distinct_inherited") {
            return Err(invalid(format!("unrecognized parameter \"{name}\"")).into());
        }
        if list.iter().any(|o| o.0 == name) {
            return Err(invalid(format!("parameter \"{name}\" specified more than once")).into());
        }
        let mut value = None;
        if set {
            c.symbol(&Token::Eq)?;
            let text = c.option_value()?;
            let Ok(n) = text.parse::<f64>() else {
                let text = format!("invalid value for floating point option \"{name}\": {text}");
                return Err(invalid(text).into());
            };
            if n < -1.0 {
                let error = invalid(format!("value {text} out of bounds for option \"{name}\""));
                let most = format!("{:.6}", f64::MAX);
                let detail = format!("Valid values are between \"-1.000000\" and \"{most}\".");
                return Err(error.detail(detail).into());
            }
            value = Some(text);
        }
        list.push((name, value));
        if !c.accept_symbol(&Token::Comma) {
            break;
        }
    }
    c.symbol(&Token::RParen)?;
    Ok(list)
}

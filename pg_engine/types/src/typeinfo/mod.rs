//! What `pg_type` says about the built-in types, and how types are written in SQL.

mod table;
mod template;

use alloc::{borrow::Cow, format, string::String};

use crate::{
    numeric,
    oid::{self, Oid, SqlType},
    user,
};

/// A function by number and name; `0`, `-` where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Procedure {
    /// `pg_proc.oid`.
    pub oid: Oid,
    /// `pg_proc.proname`.
    pub name: &'static str,
}

/// One row of `pg_type`. Columns that are the same for all (owner, defined, no base type, no default) are left out.
#[derive(Clone, Copy, Debug)]
pub struct TypeInfo {
    /// `oid`.
    pub oid: Oid,
    /// `typname`.
    pub name: &'static str,
    /// `typlen`.
    pub len: i16,
    /// `typbyval`.
    pub by_value: bool,
    /// `typtype`.
    pub kind: u8,
    /// `typcategory`.
    pub category: u8,
    /// `typispreferred`.
    pub preferred: bool,
    /// `typdelim`.
    pub delimiter: u8,
    /// `typelem`.
    pub element: Oid,
    /// `typarray`.
    pub array: Oid,
    /// `typalign`.
    pub align: u8,
    /// `typstorage`.
    pub storage: u8,
    /// `typcollation`.
    pub collation: Oid,
    /// `typinput`.
    pub input: Procedure,
    /// `typoutput`.
    pub output: Procedure,
    /// `typreceive`.
    pub receive: Procedure,
    /// `typsend`.
    pub send: Procedure,
    /// `typmodin`.
    pub typmod_in: Procedure,
    /// `typmodout`.
    pub typmod_out: Procedure,
    /// `typanalyze`.
    pub analyze: Procedure,
    /// `typsubscript`.
    pub subscript: Procedure,
}

impl TypeInfo {
    /// True for arrays proper, whose values [`crate::value::ArrayValue`] holds and which are written `element[]`.
    pub fn is_array(&self) -> bool {
        self.subscript.oid == ARRAY_SUBSCRIPT && self.storage != b'p'
    }
}

const ARRAY_SUBSCRIPT: Oid = 6179;
const FIXED_SUBSCRIPT: Oid = 6180;

/// Every built-in type, ascending by oid.
pub fn all() -> &'static [TypeInfo] {
    table::TYPES
}

/// The collation of a type's values; 0: they have none, or the type is a user's.
pub fn collation_of(ty: Oid) -> Oid {
    get(ty).map_or(0, |t| t.collation)
}

/// A type by number. For a user type what all of its class have in common; name, element and array are then not in it:
/// [`element_of`] and [`array_of`] know the latter two.
pub fn get(ty: Oid) -> Option<&'static TypeInfo> {
    if user::is_user(ty) {
        return template::of(ty);
    }
    let types = table::TYPES;
    types.binary_search_by_key(&ty, |t| t.oid).ok().and_then(|i| types.get(i))
}

/// A type by `typname` (`int4`, `_text`).
pub fn by_type_name(name: &str) -> Option<&'static TypeInfo> {
    table::TYPES.iter().find(|t| t.name == name)
}

/// A type by any name SQL knows it by, lower case: `typname`, or the standard's (`integer`, `character varying`,
/// `timestamp with time zone`, `decimal`), with any number of `[]` behind it.
pub fn by_sql_name(name: &str) -> Option<&'static TypeInfo> {
    if let Some(element) = name.strip_suffix("[]") {
        let info = by_sql_name(element.trim_end())?;
        return if info.is_array() { Some(info) } else { get(info.array) };
    }
    let plain = match name {
        "boolean" => "bool",
        "integer" | "int" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "real" => "float4",
        "double precision" | "float" => "float8",
        "decimal" | "dec" => "numeric",
        "character varying" | "char varying" => "varchar",
        "character" | "char" => "bpchar",
        "\"char\"" => "char",
        "bit varying" => "varbit",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        other => other,
    };
    by_type_name(plain)
}

/// Element type of an array type; 0 when it is none. `int2vector` and `oidvector` have one too.
pub fn element_of(ty: Oid) -> Oid {
    if user::is_user(ty) {
        return if user::is_array(ty) { ty - 1 } else { 0 };
    }
    get(ty).filter(|t| t.subscript.oid == ARRAY_SUBSCRIPT).map_or(0, |t| t.element)
}

/// What a subscript of a value of this type gives: the element of an array, or a part of a value of fixed length. 0: nothing.
pub fn subscript_of(ty: Oid) -> Oid {
    match element_of(ty) {
        0 => get(ty).filter(|t| t.subscript.oid == FIXED_SUBSCRIPT && t.len > 0).map_or(0, |t| t.element),
        element => element,
    }
}

/// Element type of an array proper: not of `int2vector` and `oidvector`. 0: it is none.
pub fn array_element(ty: Oid) -> Oid {
    match get(ty) {
        Some(t) if t.is_array() => element_of(ty),
        _ => 0,
    }
}

/// The array type over `ty`; 0 when there is none.
pub fn array_of(ty: Oid) -> Oid {
    if user::is_user(ty) {
        return if user::is_array(ty) { 0 } else { ty + 1 };
    }
    get(ty).map_or(0, |t| t.array)
}

/// `format_type(oid, typmod)`: `character varying(10)`, `integer[]`. `None` for a type that is not built in (the
/// catalog knows its name).
pub fn format_type(ty: Oid, typmod: Option<i32>) -> Option<Cow<'static, str>> {
    if user::is_user(ty) {
        return None;
    }
    let info = get(ty)?;
    if info.is_array() {
        let element = format_type(info.element, typmod)?;
        return Some(format!("{element}[]").into());
    }
    let known = typmod.filter(|t| *t >= 0);
    let length = |base: &'static str, n: i32| -> Cow<'static, str> { format!("{base}({n})").into() };
    let plain = match ty {
        oid::BIT if typmod == Some(-1) => "\"bit\"",
        oid::BIT => "bit",
        oid::BPCHAR if typmod == Some(-1) => "bpchar",
        oid::BPCHAR => "character",
        oid::BOOL => "boolean",
        oid::INT8 => "bigint",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::VARCHAR => "character varying",
        oid::VARBIT => "bit varying",
        oid::CHAR => "\"char\"",
        oid::ANY => "\"any\"",
        oid::TIME => return Some(with_zone("time", "without", known)),
        oid::TIMETZ => return Some(with_zone("time", "with", known)),
        oid::TIMESTAMP => return Some(with_zone("timestamp", "without", known)),
        oid::TIMESTAMPTZ => return Some(with_zone("timestamp", "with", known)),
        oid::INTERVAL => {
            return Some(
                known.map_or("interval".into(), |t| format!("interval{}", interval_modifier(t)).into()),
            );
        }
        _ => info.name,
    };
    Some(match (ty, known) {
        (oid::BPCHAR | oid::VARCHAR, Some(t)) if t >= 4 => length(plain, t - 4),
        (oid::BIT | oid::VARBIT, Some(t)) => length(plain, t),
        (oid::NUMERIC, Some(t)) => match numeric::typmod_parts(t) {
            Some((p, s)) => format!("numeric({p},{s})").into(),
            None => plain.into(),
        },
        _ => plain.into(),
    })
}

/// [`format_type`] for messages. A user type is marked, for [`crate::SqlError::name_types`] to name it.
pub fn display(ty: SqlType) -> Cow<'static, str> {
    if user::is_user(ty.oid) {
        let array = if user::is_array(ty.oid) { "[]" } else { "" };
        return format!("{}{array}", user::mark(ty.oid & !1)).into();
    }
    format_type(ty.oid, Some(ty.typmod).filter(|t| *t >= 0)).unwrap_or("???".into())
}

fn with_zone(base: &str, zone: &str, precision: Option<i32>) -> Cow<'static, str> {
    match precision {
        Some(p) => format!("{base}({p}) {zone} time zone").into(),
        None => format!("{base} {zone} time zone").into(),
    }
}

/// The modifier part of an interval type: ` day to second(3)`.
pub fn interval_modifier(typmod: i32) -> String {
    use crate::datetime::fields::{DAY, FULL_RANGE, HOUR, MINUTE, MONTH, SECOND, YEAR};
    let fields = match typmod >> 16 & FULL_RANGE {
        YEAR => " year",
        MONTH => " month",
        DAY => " day",
        HOUR => " hour",
        MINUTE => " minute",
        SECOND => " second",
        f if f == YEAR | MONTH => " year to month",
        f if f == DAY | HOUR => " day to hour",
        f if f == DAY | HOUR | MINUTE => " day to minute",
        f if f == DAY | HOUR | MINUTE | SECOND => " day to second",
        f if f == HOUR | MINUTE => " hour to minute",
        f if f == HOUR | MINUTE | SECOND => " hour to second",
        f if f == MINUTE | SECOND => " minute to second",
        _ => "",
    };
    match typmod & 0xffff {
        0xffff => fields.into(),
        precision => format!("{fields}({precision})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_closed() {
        assert!(all().windows(2).all(|w| w[0].oid < w[1].oid));
        for t in all() {
            if t.array != 0 {
                assert_eq!(get(t.array).unwrap().element, t.oid, "{}", t.name);
            }
            assert!(t.element == 0 || get(t.element).is_some());
        }
    }

    #[test]
    fn types_are_written_as_in_sql() {
        let f = |ty, m| format_type(ty, Some(m)).unwrap();
        assert_eq!(f(oid::VARCHAR, 14), "character varying(10)");
        assert_eq!(f(oid::VARCHAR_ARRAY, 14), "character varying(10)[]");
        assert_eq!(f(oid::TIMESTAMP, 3), "timestamp(3) without time zone");
        assert_eq!(f(oid::NUMERIC, 329_730), "numeric(5,-2)");
        assert_eq!(f(oid::INTERVAL, 470_286_339), "interval day to second(3)");
        assert_eq!(f(oid::INTERVAL, 327_679), "interval year");
        assert_eq!(f(oid::BPCHAR, -1), "bpchar");
        assert_eq!(format_type(oid::BPCHAR, None).unwrap(), "character");
        assert_eq!(f(oid::INT2VECTOR, -1), "int2vector");
        assert_eq!(by_sql_name("timestamp with time zone[]").unwrap().oid, oid::TIMESTAMPTZ_ARRAY);
        assert_eq!(by_sql_name("decimal").unwrap().oid, oid::NUMERIC);
    }
}

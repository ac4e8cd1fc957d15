//! Conversion between character sets.

use alloc::{borrow::Cow, format, string::String};

use pg_encoding::Encoding;
use pg_types::{Result, SqlError, SqlState, oid::*};

use crate::{call::row, def::Function, table::def};

fn named(name: &str, what: &str) -> Result<Encoding> {
    Encoding::by_name(name).ok_or_else(|| {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid {what} encoding name \"{name}\""))
    })
}

fn no_conversion(from: Encoding, to: Encoding) -> SqlError {
    let text = format!(
        "default conversion function for encoding \"{}\" to \"{}\" does not exist",
        from.name(),
        to.name()
    );
    SqlError::new(SqlState::UNDEFINED_FUNCTION, text)
}

/// Text of a set, as UTF-8.
fn decode(bytes: &[u8], from: Encoding) -> Result<Cow<'_, str>> {
    if !from.is_supported() && !bytes.is_empty() {
        return Err(no_conversion(from, Encoding::UTF8));
    }
    from.decode(bytes)
}

fn encode(text: &str, to: Encoding) -> Result<Cow<'_, [u8]>> {
    if !to.is_supported() && !text.is_empty() {
        return Err(no_conversion(Encoding::UTF8, to));
    }
    to.encode(text)
}

fn convert<'a>(bytes: &'a [u8], from: &str, to: &str) -> Result<Cow<'a, [u8]>> {
    let (from, to) = (named(from, "source")?, named(to, "destination")?);
    if from == to || from == Encoding::SQL_ASCII || to == Encoding::SQL_ASCII {
        if from != Encoding::SQL_ASCII {
            from.count(bytes)?;
        }
        return Ok(Cow::Borrowed(bytes));
    }
    if from != Encoding::UTF8 && to != Encoding::UTF8 {
        from.count(bytes)?;
        return Err(no_conversion(from, to));
    }
    match decode(bytes, from)? {
        Cow::Borrowed(text) => encode(text, to),
        Cow::Owned(text) => encode(&text, to).map(|b| Cow::Owned(b.into_owned())),
    }
}

/// `pg_encoding_to_char`.
fn name_of(number: i32) -> &'static str {
    Encoding::by_number(number).map_or("", Encoding::name)
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(1714, "convert_from", &[BYTEA, NAME], TEXT).stable().imp(row!(|s: &[u8], from: &str| decode(
        s,
        named(from, "source")?
    )
    .map(Cow::into_owned))),
    def(1717, "convert_to", &[TEXT, NAME], BYTEA).stable().imp(row!(|s: &str, to: &str| encode(
        s,
        named(to, "destination")?
    )
    .map(Cow::into_owned))),
    def(1813, "convert", &[BYTEA, NAME, NAME], BYTEA)
        .stable()
        .imp(row!(|s: &[u8], from: &str, to: &str| convert(s, from, to).map(Cow::into_owned))),
    def(1713, "length", &[BYTEA, NAME], INT4).stable().imp(row!(|s: &[u8], encoding: &str| {
        let encoding = Encoding::by_name(encoding).ok_or_else(|| {
            let text = format!("invalid encoding name \"{encoding}\"");
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text)
        })?;
        i32::try_from(encoding.count(s)?).unwrap_or(i32::MAX)
    })),
    def(810, "pg_client_encoding", &[], NAME)
        .stable()
        .imp(row!(ctx; || ctx.host.setting("client_encoding").unwrap_or_else(|| String::from("UTF8")))),
    def(1039, "getdatabaseencoding", &[], NAME).stable().imp(row!(|| "UTF8")),
    def(1597, "pg_encoding_to_char", &[INT4], NAME).stable().imp(row!(|n: i32| name_of(n))),
    def(1264, "pg_char_to_encoding", &[NAME], INT4)
        .stable()
        .imp(row!(|s: &str| Encoding::by_name(s).map_or(-1, Encoding::number))),
    def(2319, "pg_encoding_max_length", &[INT4], INT4)
        .imp(row!(|n: i32| Encoding::by_number(n).map(Encoding::longest))),
];

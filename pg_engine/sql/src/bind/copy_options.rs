//! Options of COPY: which go together.

use alloc::{format, string::String, vec::Vec};

use pg_encoding::Encoding;
use pg_plan::utility as u;
use pg_types::{Result, SqlError, SqlState};

use crate::ast;

/// Checks the options and settles those that name no column; `from`: COPY FROM.
pub(super) fn copy_options(options: &ast::CopyOptions, from: bool) -> Result<u::CopyOptions> {
    let single = |text: &Option<String>, what: &str| -> Result<Option<u8>> {
        match text {
            None => Ok(None),
            Some(text) => match text.as_bytes() {
                [byte] => Ok(Some(*byte)),
                _ => Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("COPY {what} must be a single one-byte character"),
                )),
            },
        }
    };
    let csv = options.format == u::CopyFormat::Csv;
    let only_csv = |given: bool, what: &str| {
        if given && !csv {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("COPY {what} available only in CSV mode"),
            ));
        }
        Ok(())
    };
    only_csv(options.quote.is_some(), "quote")?;
    only_csv(options.escape.is_some(), "escape")?;
    only_csv(options.force_quote.is_some(), "force quote")?;
    only_csv(options.force_not_null.is_some(), "force not null")?;
    only_csv(options.force_null.is_some(), "force null")?;
    if options.format == u::CopyFormat::Binary {
        if options.delimiter.is_some() {
            return Err(SqlError::syntax("cannot specify DELIMITER in BINARY mode"));
        }
        if options.null.is_some() {
            return Err(SqlError::syntax("cannot specify NULL in BINARY mode"));
        }
        if options.header {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot specify HEADER in BINARY mode",
            ));
        }
    }
    if options.force_quote.is_some() && from {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "COPY force quote only available using COPY TO",
        ));
    }
    let encoding = match &options.encoding {
        None => None,
        Some((name, at)) => Some(file_encoding(name).map_err(|e| e.at(*at))?),
    };
    Ok(u::CopyOptions {
        format: options.format,
        delimiter: single(&options.delimiter, "delimiter")?,
        null: options.null.clone(),
        header: options.header,
        header_match: options.header_match,
        quote: single(&options.quote, "quote")?,
        escape: single(&options.escape, "escape")?,
        force_quote: Vec::new(),
        force_not_null: Vec::new(),
        force_null: Vec::new(),
        encoding,
        freeze: options.freeze,
    })
}

fn file_encoding(name: &str) -> Result<Encoding> {
    let encoding = Encoding::by_name(name).ok_or_else(|| {
        SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "argument to option \"encoding\" must be a valid encoding name",
        )
    })?;
    if encoding.is_supported() {
        return Ok(encoding);
    }
    Err(SqlError::unsupported(format!("COPY with ENCODING '{}'", encoding.name())))
}

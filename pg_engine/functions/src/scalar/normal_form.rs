//! Unicode normal forms.

use alloc::string::String;

use pg_types::{Result, SqlError, SqlState, Value, oid::*};
use unicode_normalization::UnicodeNormalization;

use crate::{call::row, def::Function, table::def};

fn normalized(text: &str, form: &str) -> Result<String> {
    Ok(match form.to_ascii_uppercase().as_str() {
        "NFC" => text.nfc().collect(),
        "NFD" => text.nfd().collect(),
        "NFKC" => text.nfkc().collect(),
        "NFKD" => text.nfkd().collect(),
        _ => {
            let message = alloc::format!("invalid normalization form: {form}");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    })
}

pub(crate) static FUNCTIONS: &[Function] = &[
    def(4350, "normalize", &[TEXT, TEXT], TEXT)
        .defaults(&[|| Value::Text("NFC".into())])
        .imp(row!(|text: &str, form: &str| normalized(text, form))),
    def(4351, "is_normalized", &[TEXT, TEXT], BOOL)
        .defaults(&[|| Value::Text("NFC".into())])
        .imp(row!(|text: &str, form: &str| normalized(text, form)? == text)),
];

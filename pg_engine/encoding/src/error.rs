//! PostgreSQL's two complaints.

use alloc::{format, string::String};

use pg_types::{SqlError, SqlState};

use crate::Encoding;

/// So many bytes are shown.
const SHOWN: usize = 8;

fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for b in bytes.iter().take(SHOWN) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!("0x{b:02x}"));
    }
    text
}

/// 22021.
pub(crate) fn invalid(encoding: Encoding, bytes: &[u8]) -> SqlError {
    SqlError::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"{}\": {}", encoding.name(), shown(bytes)),
    )
}

/// 22P05.
pub(crate) fn untranslatable(from: Encoding, to: Encoding, bytes: &[u8]) -> SqlError {
    SqlError::new(
        SqlState::UNTRANSLATABLE_CHARACTER,
        format!(
            "character with byte sequence {} in encoding \"{}\" has no equivalent in encoding \"{}\"",
            shown(bytes),
            from.name(),
            to.name()
        ),
    )
}

//! Statements about extensions.

use alloc::{string::String, vec::Vec};

/// CREATE, ALTER, DROP EXTENSION.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtensionStatement {
    /// CREATE EXTENSION. None of those there are needs another one: CASCADE means nothing.
    Create {
        /// Its name.
        name: String,
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// SCHEMA: where its objects go.
        schema: Option<String>,
        /// VERSION.
        version: Option<String>,
    },
    /// ALTER EXTENSION ... UPDATE.
    Update {
        /// Its name.
        name: String,
        /// TO.
        version: Option<String>,
    },
    /// DROP EXTENSION.
    Drop {
        /// Names.
        names: Vec<String>,
        /// IF EXISTS.
        if_exists: bool,
        /// CASCADE.
        cascade: bool,
    },
}

impl ExtensionStatement {
    /// The command tag.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Create { .. } => "CREATE EXTENSION",
            Self::Update { .. } => "ALTER EXTENSION",
            Self::Drop { .. } => "DROP EXTENSION",
        }
    }
}

//! Statements about databases as a whole.

use alloc::string::String;

use crate::access::RoleName;

/// CREATE, ALTER, DROP DATABASE.
#[derive(Clone, Debug)]
pub enum DatabaseStatement {
    /// CREATE DATABASE.
    Create {
        /// Its name.
        name: String,
        /// What was said of it.
        options: DatabaseOptions,
    },
    /// DROP DATABASE.
    Drop {
        /// Its name.
        name: String,
        /// IF EXISTS.
        if_exists: bool,
        /// FORCE: sessions in it are ended.
        force: bool,
    },
    /// ALTER DATABASE with options.
    Alter {
        /// Its name.
        name: String,
        /// What changes.
        options: DatabaseOptions,
    },
    /// ALTER DATABASE ... RENAME TO.
    Rename {
        /// Its name.
        name: String,
        /// The new one.
        to: String,
    },
    /// ALTER DATABASE ... OWNER TO.
    Owner {
        /// Its name.
        name: String,
        /// The new owner.
        owner: RoleName,
    },
}

impl DatabaseStatement {
    /// The command tag.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Create { .. } => "CREATE DATABASE",
            Self::Drop { .. } => "DROP DATABASE",
            _ => "ALTER DATABASE",
        }
    }
}

/// Options of a database; `None`: not mentioned, or DEFAULT.
#[derive(Clone, Debug, Default)]
pub struct DatabaseOptions {
    /// OWNER.
    pub owner: Option<RoleName>,
    /// TEMPLATE.
    pub template: Option<String>,
    /// ENCODING: a name, or a number as text.
    pub encoding: Option<String>,
    /// LC_COLLATE or LOCALE.
    pub collate: Option<String>,
    /// LC_CTYPE or LOCALE.
    pub ctype: Option<String>,
    /// LOCALE_PROVIDER.
    pub provider: Option<String>,
    /// STRATEGY.
    pub strategy: Option<String>,
    /// TABLESPACE.
    pub tablespace: Option<String>,
    /// ALLOW_CONNECTIONS.
    pub allow_connections: Option<bool>,
    /// CONNECTION LIMIT; −1: none.
    pub connection_limit: Option<i32>,
    /// IS_TEMPLATE.
    pub is_template: Option<bool>,
}

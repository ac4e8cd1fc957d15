//! Statements about types of users.

use alloc::{string::String, vec::Vec};

use pg_types::{Oid, SqlType};

use crate::utility::ObjectName;

/// A statement about a user type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeStatement {
    /// The type's name as written.
    pub name: ObjectName,
    /// What is done.
    pub action: TypeAction,
}

/// What is done to a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeAction {
    /// CREATE TYPE ... AS ENUM, with the labels in order.
    CreateEnum(Vec<String>),
    /// CREATE TYPE ... AS (...).
    CreateComposite(Vec<AttributeDef>),
    /// CREATE DOMAIN.
    CreateDomain(DomainDef),
    /// ALTER TYPE ... ADD VALUE.
    AddLabel {
        /// The new label.
        label: String,
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// BEFORE (false) or AFTER (true) a label.
        beside: Option<(String, bool)>,
    },
    /// ALTER TYPE ... RENAME VALUE.
    RenameLabel {
        /// The label.
        from: String,
        /// Its new text.
        to: String,
    },
    /// ALTER TYPE or DOMAIN ... RENAME TO.
    Rename(String),
    /// ... OWNER TO.
    Owner(String),
    /// ... SET SCHEMA.
    SetSchema(String),
    /// Actions of ALTER TYPE on attributes, in order; true: CASCADE.
    Attributes(Vec<(AttributeAction, bool)>),
    /// ALTER DOMAIN.
    Domain(DomainAction),
}

/// An attribute of a composite type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeDef {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// Its collation; 0: the type has none.
    pub collation: Oid,
}

/// An action of ALTER TYPE on an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeAction {
    /// ADD ATTRIBUTE.
    Add(AttributeDef),
    /// DROP ATTRIBUTE.
    Drop {
        /// Its name.
        name: String,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// ALTER ATTRIBUTE ... TYPE.
    SetType(AttributeDef),
    /// RENAME ATTRIBUTE.
    Rename {
        /// Its name.
        name: String,
        /// Its new name.
        new: String,
    },
}

/// CREATE DOMAIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainDef {
    /// The type that it is over.
    pub over: SqlType,
    /// Its collation; 0: the type has none.
    pub collation: Oid,
    /// NOT NULL.
    pub not_null: bool,
    /// Canonical text of the default, and as it was written.
    pub default: Option<String>,
    /// CHECK constraints.
    pub checks: Vec<DomainCheckDef>,
}

/// A CHECK constraint of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainCheckDef {
    /// Its name, if given.
    pub name: Option<String>,
    /// Canonical text of the condition over `value`.
    pub condition: String,
    /// NOT VALID.
    pub not_valid: bool,
}

/// An action of ALTER DOMAIN.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in SQL")]
pub enum DomainAction {
    SetDefault(String),
    DropDefault,
    SetNotNull,
    DropNotNull,
    AddCheck(DomainCheckDef),
    DropConstraint { name: String, if_exists: bool, cascade: bool },
    RenameConstraint { name: String, new: String },
    ValidateConstraint(String),
}

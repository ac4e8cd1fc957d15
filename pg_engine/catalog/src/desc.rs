//! Descriptions of relations as binder, planner and executor use them: built from the catalogs, immutable, shared.

use alloc::{string::String, sync::Arc, vec::Vec};

use pg_types::{Oid, SqlType, Value};

use crate::{access::Security, acl::Acl};

/// `pg_class.relkind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "standard names")]
pub enum RelationKind {
    Table,
    Index,
    Sequence,
    View,
    /// A view whose rows are stored.
    MaterializedView,
    /// What a composite type's attributes hang on; nothing is stored.
    Composite,
    /// Large values of a table, in chunks.
    Toast,
    /// Rows computed by the engine (statistics views' sources, settings), not stored.
    Virtual,
}

impl RelationKind {
    /// Rows of it are stored in a heap.
    pub fn is_stored(self) -> bool {
        matches!(self, Self::Table | Self::Toast | Self::MaterializedView)
    }
    /// Indexes may be made on it, and statistics gathered.
    pub fn is_indexable(self) -> bool {
        matches!(self, Self::Table | Self::MaterializedView)
    }
}

/// A column.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// 1-based; gaps where columns were dropped.
    pub attnum: i16,
    /// Name.
    pub name: String,
    /// Type of the values: never a domain, nor an array over one.
    pub ty: SqlType,
    /// Type as declared.
    pub declared: SqlType,
    /// NOT NULL.
    pub not_null: bool,
    /// Default expression as canonical SQL text (`pg_attrdef`), or the generation expression.
    pub default: Option<String>,
    /// `a` ALWAYS, `d` BY DEFAULT, 0 not an identity column.
    pub identity: u8,
    /// `s`: stored generated column, 0 not.
    pub generated: u8,
    /// Value of rows stored before the column was added.
    pub missing: Option<Value>,
    /// Dropped: takes part in tuple layout only.
    pub dropped: bool,
    /// Collation.
    pub collation: Oid,
    /// `attstorage`: `p` PLAIN, `e` EXTERNAL, `x` EXTENDED, `m` MAIN.
    pub storage: u8,
    /// `attcompression`: `l` LZ4, 0 the default.
    pub compression: u8,
    /// `attacl`.
    pub acl: Option<Acl>,
}

/// Where a table's large values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Toast {
    /// `pg_class.oid` of the relation of chunks.
    pub oid: Oid,
    /// Its storage.
    pub heap: pg_storage::RelId,
    /// `pg_class.oid` of its index.
    pub index_oid: Oid,
    /// The index's storage.
    pub index: pg_storage::RelId,
}

/// WITH CHECK OPTION of a view: which conditions new rows must fulfil.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckOption {
    /// None.
    #[default]
    None,
    /// Its own, and those of views below that have the option.
    Local,
    /// Its own and those of all views below.
    Cascaded,
}

/// How an index is organised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexMethod {
    /// Ordered.
    BTree,
    /// By the hash of its one column; rows without a value are left out.
    Hash,
}

impl IndexMethod {
    /// `pg_am.oid`.
    pub fn oid(self) -> Oid {
        match self {
            Self::BTree => pg_functions::BTREE,
            Self::Hash => pg_functions::HASH,
        }
    }
    /// `pg_am.amname`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BTree => "btree",
            Self::Hash => "hash",
        }
    }
    /// By `pg_am.oid`.
    pub fn of(oid: Oid) -> Self {
        if oid == pg_functions::HASH { Self::Hash } else { Self::BTree }
    }
}

/// An index.
#[derive(Clone, Debug)]
pub struct Index {
    /// `pg_class.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// Storage.
    pub storage: pg_storage::RelId,
    /// How it is organised.
    pub method: IndexMethod,
    /// Key columns: attribute number (0: expression), descending, nulls first.
    pub keys: Vec<IndexKey>,
    /// Number of leading key columns; the rest are INCLUDEd.
    pub key_count: usize,
    /// UNIQUE.
    pub unique: bool,
    /// Of the primary key.
    pub primary: bool,
    /// Predicate as canonical SQL text (partial index).
    pub predicate: Option<String>,
    /// Constraint deferrable.
    pub deferrable: bool,
    /// NULLS NOT DISTINCT.
    pub nulls_not_distinct: bool,
    /// `fillfactor`: percent of a page that are filled when the index is built.
    pub fill_factor: Option<u8>,
    /// Usable by queries (`indisvalid`).
    pub valid: bool,
}

impl Index {
    /// How many of the key columns are expressions.
    pub fn expressions(&self) -> usize {
        self.keys.iter().take(self.key_count).filter(|k| k.attnum == 0).count()
    }
    /// Are there INCLUDEd columns?
    pub fn carries(&self) -> bool {
        self.keys.len() > self.key_count
    }
}

/// One column of an index.
#[derive(Clone, Debug)]
pub struct IndexKey {
    /// Attribute number, 0 for an expression.
    pub attnum: i16,
    /// Expression as canonical SQL text.
    pub expression: Option<String>,
    /// Type of the key.
    pub ty: SqlType,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
    /// INCLUDEd: stored behind the key, and not compared.
    pub carried: bool,
    /// Its operator class, if it is not the default one of the type.
    pub class: Option<Oid>,
    /// Its collation; 0: the type has none, or the column is carried.
    pub collation: Oid,
}

/// Kinds of constraint (`pg_constraint.contype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "standard names")]
pub enum ConstraintKind {
    Check,
    Primary,
    Unique,
    Foreign,
}

/// A table constraint.
#[derive(Clone, Debug)]
pub struct Constraint {
    /// `pg_constraint.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: ConstraintKind,
    /// Columns.
    pub columns: Vec<i16>,
    /// CHECK expression as canonical SQL text.
    pub expression: Option<String>,
    /// NO INHERIT.
    pub no_inherit: bool,
    /// Index of a primary key or unique constraint.
    pub index: Oid,
    /// DEFERRABLE.
    pub deferrable: bool,
    /// INITIALLY DEFERRED.
    pub deferred: bool,
}

impl Constraint {
    /// Must children fulfil it too?
    pub fn is_heritable(&self) -> bool {
        self.kind == ConstraintKind::Check && !self.no_inherit
    }
}

/// A FOREIGN KEY constraint.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    /// `pg_constraint.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// The referencing table.
    pub table: Oid,
    /// Its columns.
    pub columns: Vec<i16>,
    /// The referenced table.
    pub referenced: Oid,
    /// Its columns, in the order of `columns`.
    pub referenced_columns: Vec<i16>,
    /// ON UPDATE, ON DELETE: `a` NO ACTION, `r` RESTRICT, `c` CASCADE, `n` SET NULL, `d` SET DEFAULT.
    pub on_update: u8,
    /// See `on_update`.
    pub on_delete: u8,
    /// The columns that ON DELETE SET NULL or SET DEFAULT changes; empty: all.
    pub delete_columns: Vec<i16>,
    /// MATCH FULL.
    pub full: bool,
    /// DEFERRABLE.
    pub deferrable: bool,
    /// INITIALLY DEFERRED.
    pub deferred: bool,
}

/// A relation.
#[derive(Clone, Debug)]
pub struct Relation {
    /// `pg_class.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// Schema's oid and name.
    pub schema: Oid,
    /// Schema's name.
    pub schema_name: String,
    /// Kind.
    pub kind: RelationKind,
    /// `relpersistence`: `p` permanent, `u` unlogged, `t` temporary.
    pub persistence: u8,
    /// `relispopulated`: false of a materialized view WITH NO DATA.
    pub populated: bool,
    /// Type of its rows; 0: it has none.
    pub row_type: Oid,
    /// Owner role.
    pub owner: Oid,
    /// Who else may do what with it.
    pub security: Security,
    /// Storage of a table or sequence.
    pub storage: pg_storage::RelId,
    /// All attributes including dropped ones, `attributes[i].attnum == i + 1`.
    pub attributes: Vec<Attribute>,
    /// Indexes.
    pub indexes: Vec<Arc<Index>>,
    /// Constraints.
    pub constraints: Vec<Constraint>,
    /// Tables that inherit from it directly, by number.
    pub children: Vec<Oid>,
    /// Foreign keys of this table.
    pub foreign_keys: Vec<Arc<ForeignKey>>,
    /// Foreign keys that refer to this table.
    pub referenced_by: Vec<Arc<ForeignKey>>,
    /// Where its large values go; `None`: it has no columns that could be large.
    pub toast: Option<Toast>,
    /// `toast_tuple_target`, if set.
    pub toast_target: Option<u32>,
    /// A view's query text.
    pub view: Option<String>,
    /// A view's WITH CHECK OPTION.
    pub check_option: CheckOption,
    /// Rows and pages as of the last ANALYZE or VACUUM (−1: never).
    pub row_estimate: f64,
    /// See `row_estimate`.
    pub page_estimate: u32,
}

impl Relation {
    /// The columns that are not dropped.
    pub fn live(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|a| !a.dropped)
    }
}

//! Definition of tables, indexes, sequences, views, schemas and roles.

use pg_catalog::RelationKind;

/// A kind as messages name it.
pub(crate) fn kind_word(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table | RelationKind::Virtual => "table",
        RelationKind::Index => "index",
        RelationKind::Sequence => "sequence",
        RelationKind::View => "view",
    }
}

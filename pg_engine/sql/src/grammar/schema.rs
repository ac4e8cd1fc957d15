//! What CREATE SCHEMA makes in its schema: statements in one, without semicolons between them.

use alloc::{format, string::String, vec::Vec};

use pg_types::{SqlError, SqlState};

use super::{Cursor, Parsed};
use crate::ast::Ast;

/// Their texts in the order in which they are run: what others may be made of comes first.
pub(super) fn elements(c: &mut Cursor<'_>, schema: &str, if_not_exists: bool) -> Parsed<Vec<String>> {
    let mut found: Vec<(u8, String)> = Vec::new();
    while !c.at_end() {
        if if_not_exists {
            let text = "CREATE SCHEMA IF NOT EXISTS cannot include schema elements";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).at(c.here()).into());
        }
        if !(c.peek_is(0, "create") || c.peek_is(0, "grant")) {
            return c.unexpected();
        }
        let from = c.offset();
        let refused = c.unexpected();
        let (ast, ..) = super::statement(c)?;
        let Some((turn, named)) = place(&ast) else {
            return refused;
        };
        if let Some(named) = named {
            if named == "pg_temp" {
                let text = "cannot create temporary relation in non-temporary schema";
                return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, text).into());
            }
            if named != schema {
                let text = format!(
                    "CREATE specifies a schema ({named}) different from the one being created ({schema})"
                );
                return Err(SqlError::new(SqlState::INVALID_SCHEMA_DEFINITION, text).into());
            }
        }
        let text = c.text.get(from..c.offset()).unwrap_or("");
        found.push((turn, text.into()));
    }
    found.sort_by_key(|f| f.0);
    Ok(found.into_iter().map(|f| f.1).collect())
}

/// When a kind of element is made, and the schema that it names.
fn place(ast: &Ast) -> Option<(u8, Option<&str>)> {
    Some(match ast {
        Ast::CreateSequence(name, ..) => (0, name.schema.as_deref()),
        Ast::CreateTable(t) => (1, t.name.schema.as_deref()),
        Ast::CreateView(v) => (2, v.name.schema.as_deref()),
        Ast::CreateIndex(i) => (3, i.table.name.schema.as_deref()),
        Ast::Ready(u) if matches!(**u, pg_plan::statement::Utility::Grant(_)) => (4, None),
        _ => return None,
    })
}

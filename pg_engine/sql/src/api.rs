//! The entry points.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::ops::Range;

use pg_catalog::{CatalogReader, Relation};
use pg_plan::{expr::Expr, statement::Statement, statement::Transaction};
use pg_types::{Oid, Result, SqlError, SqlType, format::FormatSettings};

use crate::{ast::Ast, grammar};

/// What a statement is, as far as a session must know before binding it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// SELECT, VALUES, TABLE, WITH.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// MERGE.
    Merge,
    /// BEGIN, COMMIT, ...: needs no binding.
    Transaction(Transaction),
    /// Everything else.
    Utility,
}

/// One statement of a query string.
#[derive(Clone, Debug)]
pub struct ParsedStatement {
    source: Arc<str>,
    range: Range<usize>,
    kind: StatementKind,
    tag: &'static str,
    ast: Arc<Ast>,
}

impl ParsedStatement {
    /// The whole query string it came from; error positions count in it.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }
    /// The statement's own text.
    pub fn text(&self) -> &str {
        self.source.get(self.range.clone()).unwrap_or("")
    }
    /// What it is.
    pub fn kind(&self) -> &StatementKind {
        &self.kind
    }
    /// The command tag without counts: `SELECT`, `CREATE TABLE`, `BEGIN`, ...
    pub fn tag(&self) -> &'static str {
        self.tag
    }
    /// A statement that is no query, but has one in it that may have parameters.
    pub fn holds_query(&self) -> bool {
        matches!(
            *self.ast,
            Ast::Explain(..)
                | Ast::Declare { .. }
                | Ast::CreateTableAs(_)
                | Ast::SelectInto(..)
                | Ast::CreateMaterializedView(_)
        )
    }
    /// CREATE TABLE AS EXECUTE with the query that was prepared; `None` unless that is one.
    pub fn of_prepared(&self, prepared: &ParsedStatement) -> Option<ParsedStatement> {
        let (Ast::CreateTableAsExecute(create), Ast::Query(query)) = (&*self.ast, &*prepared.ast) else {
            return None;
        };
        let ast = Arc::new(Ast::CreateTableAs(alloc::boxed::Box::new(create.of(query.clone()))));
        Some(ParsedStatement { ast, ..prepared.clone() })
    }
    pub(crate) fn ast(&self) -> &Ast {
        &self.ast
    }
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE, ROLLBACK TO.
    pub fn is_transaction_control(&self) -> bool {
        matches!(self.kind, StatementKind::Transaction(_))
    }
}

/// What binding depends on besides the text and the catalogs.
#[derive(Clone, Copy, Debug)]
pub struct BindOptions<'a> {
    /// Declared types of `$1..`; `None` (or missing): to be inferred.
    pub param_types: &'a [Option<Oid>],
    /// How literals of dates, intervals and the like are read.
    pub format: &'a FormatSettings,
}

/// Parses a query string into its statements; empty ones are left out.
pub fn parse(text: &str) -> Result<Vec<ParsedStatement>> {
    let items = grammar::statements(text)?;
    let source: Arc<str> = Arc::from(text);
    Ok(items
        .into_iter()
        .map(|item| ParsedStatement {
            source: source.clone(),
            range: item.range,
            kind: item.kind,
            tag: item.tag,
            ast: Arc::new(item.ast),
        })
        .collect())
}

/// Resolves names and types.
pub fn bind(
    statement: &ParsedStatement,
    catalog: &dyn CatalogReader,
    options: &BindOptions<'_>,
) -> Result<Statement> {
    crate::bind::statement(statement.ast(), &statement.source, catalog, options)
        .map_err(|e| named(e, catalog))
}

/// An error with the names of user types in it.
fn named(mut error: SqlError, catalog: &dyn CatalogReader) -> SqlError {
    error.name_types(&|ty| catalog.type_name(ty));
    error
}

/// Binds a stored expression (default, check, index expression or predicate). A column of the relation becomes
/// `Column(attribute number − 1)`. With a target type the expression is coerced to it by assignment.
pub fn bind_scalar(
    text: &str,
    relation: Option<&Relation>,
    target: Option<SqlType>,
    catalog: &dyn CatalogReader,
) -> Result<Expr> {
    crate::bind::scalar(text, relation, target, catalog).map_err(|e| named(e, catalog))
}

/// Which columns of a view can be assigned to, through it; `None`: its rows cannot be changed.
pub fn changeable_columns(view: &Arc<Relation>, catalog: &dyn CatalogReader) -> Option<Vec<bool>> {
    crate::bind::changeable_columns(view, catalog)
}

/// Canonical text of an expression, as `pg_get_expr` shows it. Columns are named by `column` (called with the number in
/// `Expr::Column`).
pub fn deparse(expr: &Expr, catalog: &dyn CatalogReader, column: &dyn Fn(u32) -> String) -> Result<String> {
    crate::deparse::expression(expr, catalog, column)
}

/// Binds the statements of a routine's body for a call of it, and checks what they return.
pub fn bind_body(
    target: &pg_plan::routine::Resolved,
    catalog: &dyn CatalogReader,
    format: &FormatSettings,
) -> Result<crate::bind::body::BoundBody> {
    crate::bind::body::bind(target, catalog, format).map_err(|e| named(e, catalog))
}

/// A routine's body in the standard's form, laid out as it is shown; `None`: it has none.
pub fn body_text(routine: &pg_catalog::Routine, catalog: &dyn CatalogReader) -> Result<Option<String>> {
    crate::bind::body::shown(routine, catalog)
}

/// Looks at the body of a routine that was just made.
pub fn check_body(
    routine: &Arc<pg_catalog::Routine>,
    catalog: &dyn CatalogReader,
    format: &FormatSettings,
) -> Result<()> {
    crate::bind::body::check(routine, catalog, format).map_err(|e| named(e, catalog))
}

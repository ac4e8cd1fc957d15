//! Expressions over one relation's columns that catalogs keep as text: checks, generated columns, keys and predicates of
//! indexes, conditions of policies.

use alloc::{borrow::ToOwned, boxed::Box, format, string::String, vec::Vec};

use pg_catalog::{CatalogReader, Relation};
use pg_plan::expr::{ColumnId, Expr};
use pg_types::{Oid, Result, SqlError};

use super::{Body, FromItem, QueryTree, Recorder, SelectTree, TableItem, TableKind, ViewText};
use crate::deparse::{self, Source, Style, Writer, quote};

/// A bound expression that can be printed, also after names have changed.
pub struct Condition {
    /// The last query stands for the expression: it selects it from the relation.
    record: Box<Recorder>,
    relation: Oid,
}

impl Condition {
    /// Binds a stored expression over the relation's columns.
    pub fn bind(text: &str, relation: &Relation, catalog: &dyn CatalogReader) -> Result<Self> {
        crate::bind::record::recorded_condition(text, relation, catalog)
    }

    /// `Column(n)` of the expression is attribute n + 1.
    pub(crate) fn of(mut record: Box<Recorder>, relation: &Relation, e: Expr) -> Self {
        let columns = relation
            .live()
            .map(|a| (a.name.clone(), Expr::Column((a.attnum - 1) as ColumnId, a.ty), a.attnum))
            .collect();
        let table = TableItem {
            alias: None,
            listed: false,
            lateral: false,
            columns,
            kind: TableKind::Relation { oid: relation.oid, system: None, only: false },
            sample: None,
        };
        let select = SelectTree {
            targets: alloc::vec![(String::new(), e)],
            from: alloc::vec![FromItem::Table(Box::new(table))],
            ..SelectTree::default()
        };
        record.queries.push(QueryTree { body: Body::Select(Box::new(select)), ..QueryTree::default() });
        Self { record, relation: relation.oid }
    }

    /// The form to be stored: it means the same whatever the search path is.
    pub fn stored(&self, catalog: &dyn CatalogReader) -> Result<ViewText> {
        self.print(catalog, Style { sparse: false, indent: false, wrap: -1, qualify: true })
    }

    /// The form to be shown, as `pg_get_expr` has it; `pretty`: without parentheses that are not needed.
    pub fn shown(&self, catalog: &dyn CatalogReader, pretty: bool) -> Result<String> {
        self.print(catalog, Style { sparse: pretty, indent: true, wrap: 0, qualify: false }).map(|t| t.text)
    }

    fn print(&self, catalog: &dyn CatalogReader, style: Style) -> Result<ViewText> {
        let select = match self.record.queries.last().map(|q| &q.body) {
            Some(Body::Select(select)) => select,
            _ => return Err(SqlError::internal("an expression was not recorded")),
        };
        let Some((_, e)) = select.targets.first() else {
            return Err(SqlError::internal("an expression was not recorded"));
        };
        if !e.has_subplan() {
            let relation = catalog.relation_by_oid(self.relation)?;
            let relation =
                relation.ok_or_else(|| SqlError::internal(format!("no relation {}", self.relation)))?;
            let of = |id: ColumnId| relation.live().find(|a| i64::from(a.attnum) == i64::from(id) + 1);
            let name = |id| of(id).map_or_else(|| "???".to_owned(), |a| quote(&a.name));
            let style = Style { qualify: false, ..style };
            let text = deparse::expression_in(e, catalog, &name, &self.record.notes, style)?;
            let mut columns = Vec::new();
            e.for_each_column(&mut |id| columns.extend(of(id).map(|a| (self.relation, a.attnum))));
            columns.sort_unstable();
            columns.dedup();
            return Ok(ViewText { text, relations: alloc::vec![self.relation], columns });
        }
        let mut scope = self.record.scope();
        scope.bare = true;
        let mut writer = Writer::new(catalog, Source::Query(Box::new(scope)), style);
        writer.name_from(select)?;
        writer.expr(e)?;
        Ok(writer.finish())
    }
}

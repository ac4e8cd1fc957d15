//! CREATE STATISTICS: what it is of.

use alloc::{format, sync::Arc, vec::Vec};

use pg_catalog::Relation;
use pg_plan::{
    definition::{Statistics, StatisticsKey},
    expr::Expr,
    statement::SYSTEM_COLUMN_NAMES,
};
use pg_types::{Result, SqlError, SqlState};
use sqlparser::ast as sq;

use super::{Binder, scope::Place, utility::live_columns};
use crate::{ast::NameAt, grammar::definition::CreateStatistics};

fn of_system_column() -> SqlError {
    let text = "statistics creation on system columns is not supported";
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
}

impl Binder<'_> {
    /// Columns stay names, which are looked up when the statement runs.
    pub(super) fn create_statistics(&mut self, create: &CreateStatistics) -> Result<Statistics> {
        let mut keys = Vec::with_capacity(create.keys.len());
        let mut table = None;
        for key in &create.keys {
            let key = match key {
                sq::Expr::Identifier(name) => StatisticsKey::Column(name.value.clone()),
                e => {
                    let table = match &table {
                        Some(table) => Arc::clone(table),
                        None => {
                            table.insert(self.relation(&NameAt { at: 0, ..create.from.clone() })?).clone()
                        }
                    };
                    self.statistics_key(&table, e)?
                }
            };
            keys.push(key);
        }
        Ok(Statistics::Create {
            name: create.name.clone(),
            if_not_exists: create.if_not_exists,
            kinds: create.kinds.clone(),
            keys,
            from: create.from.name.clone(),
        })
    }

    fn statistics_key(&mut self, table: &Relation, e: &sq::Expr) -> Result<StatisticsKey> {
        let mut bare = e;
        while let sq::Expr::Nested(inner) = bare {
            bare = inner;
        }
        if let sq::Expr::Value(v) = bare
            && matches!(v.value, sq::Value::SingleQuotedString(_) | sq::Value::Null)
        {
            let text = "expression has pseudo-type unknown";
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, text));
        }
        if matches!(bare, sq::Expr::QualifiedWildcard(..)) {
            return Err(of_system_column());
        }
        let shape = live_columns(table);
        let (text, bound) =
            self.stored_text(e, &table.name, &shape, Place::Statistics, None).map_err(|error| {
                let system = |name: &&str| error.message() == format!("column \"{name}\" does not exist");
                match SYSTEM_COLUMN_NAMES.iter().any(system) {
                    true => of_system_column(),
                    false => error,
                }
            })?;
        // A column in parentheses is a column.
        if let Expr::Column(n, _) = &bound
            && let Some((name, _)) = shape.get(*n as usize)
        {
            return Ok(StatisticsKey::Column(name.clone()));
        }
        Ok(StatisticsKey::Expression(text, bound.ty()))
    }
}

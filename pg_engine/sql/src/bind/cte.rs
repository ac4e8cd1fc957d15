//! WITH.

use alloc::{boxed::Box, format, sync::Arc, vec::Vec};

use pg_plan::logical::{Column, Logical};
use pg_types::{Result, SqlError, SqlState};
use sqlparser::ast as sq;

use super::{
    Binder,
    recursive::invalid_recursion,
    scope::{CteName, CteState, at},
};
use crate::ast::NameAt;

impl Binder<'_> {
    /// Enters a WITH clause's names into the current frame.
    pub(super) fn with(&mut self, with: &sq::With) -> Result<()> {
        for cte in &with.cte_tables {
            let name = cte.alias.name.value.clone();
            if self.frame()?.ctes.iter().any(|c| c.name == name) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_ALIAS,
                    format!("WITH query name \"{name}\" specified more than once"),
                )
                .at(at(&cte.alias.name)));
            }
            if matches!(
                *cte.query.body,
                sq::SetExpr::Insert(_)
                    | sq::SetExpr::Update(_)
                    | sq::SetExpr::Delete(_)
                    | sq::SetExpr::Merge(_)
            ) {
                return Err(
                    SqlError::unsupported("a data-modifying statement in WITH").at(at(&cte.alias.name))
                );
            }
            let recursive = if with.recursive { self.recursive_cte(cte, &name)? } else { None };
            let (bound, args) = match recursive {
                Some(bound) => (bound, Vec::new()),
                None => self.enclosed(|b| b.query_here(&cte.query))?,
            };
            let state = if args.is_empty() {
                let columns = renamed(bound.columns, cte)?;
                CteState::Ready { plan: bound.plan, columns, index: None }
            } else {
                CteState::Inline(Arc::new(cte.clone()))
            };
            let frame = self.frame()?;
            frame.ctes.push(CteName { name, state });
        }
        Ok(())
    }

    /// The WITH query of this name, if there is one.
    pub(super) fn cte(&mut self, name: &NameAt) -> Result<Option<(Logical, Vec<Column>)>> {
        let found = self.frames.iter().enumerate().rev().find_map(|(level, frame)| {
            let at = frame.ctes.iter().rposition(|c| c.name == name.name.name)?;
            Some((level, at))
        });
        let Some((level, index)) = found else { return Ok(None) };
        let state = self.frames.get(level).and_then(|f| f.ctes.get(index)).map(|c| c.state.clone());
        match state {
            None => Ok(None),
            Some(CteState::Open(fault)) => Err(invalid_recursion(&name.name.name, fault).at(name.at)),
            Some(CteState::Working { columns, number, references }) => {
                if references > 0 {
                    let fault = "recursive reference to query \"{}\" must not appear more than once";
                    return Err(invalid_recursion(&name.name.name, fault).at(name.at));
                }
                let slot = self.frames.get_mut(level).and_then(|f| f.ctes.get_mut(index));
                if let Some(CteName { state: CteState::Working { references, .. }, .. }) = slot {
                    *references += 1;
                }
                let fresh: Vec<Column> = columns.iter().map(|c| self.column(&c.name, c.ty)).collect();
                Ok(Some((Logical::CteScan { cte: number, columns: fresh.clone() }, fresh)))
            }
            Some(CteState::Ready { plan, columns, index: number }) => {
                let number = match number {
                    Some(number) => number,
                    None => {
                        let number = self.ctes.len() as u32;
                        self.ctes.push(plan);
                        let slot = self.frames.get_mut(level).and_then(|f| f.ctes.get_mut(index));
                        if let Some(CteName { state: CteState::Ready { index, plan, .. }, .. }) = slot {
                            *index = Some(number);
                            *plan = Logical::OneRow;
                        }
                        number
                    }
                };
                let fresh: Vec<Column> = columns.iter().map(|c| self.column(&c.name, c.ty)).collect();
                Ok(Some((Logical::CteScan { cte: number, columns: fresh.clone() }, fresh)))
            }
            Some(CteState::Inline(cte)) => self.inline_cte(&cte, level).map(Some),
        }
    }

    /// A WITH query that uses outer columns is bound anew where it is used, in the scope it was written in.
    fn inline_cte(&mut self, cte: &sq::Cte, level: usize) -> Result<(Logical, Vec<Column>)> {
        if level + 1 != self.frames.len() {
            return Err(SqlError::unsupported("a correlated WITH query used in a deeper subquery"));
        }
        let shut = core::mem::replace(&mut self.frame()?.shut, true);
        let result = self.enclosed(|b| b.query_here(&cte.query));
        self.frame()?.shut = shut;
        let (bound, args) = result?;
        let columns = renamed(bound.columns, cte)?;
        if args.is_empty() {
            return Ok((bound.plan, columns));
        }
        let plan = Logical::Join {
            kind: pg_plan::logical::JoinKind::Inner,
            left: Box::new(Logical::OneRow),
            right: Box::new(bound.plan),
            on: None,
            lateral: args,
        };
        Ok((plan, columns))
    }
}

pub(super) fn renamed(mut columns: Vec<Column>, cte: &sq::Cte) -> Result<Vec<Column>> {
    let names = &cte.alias.columns;
    if names.len() > columns.len() {
        return Err(SqlError::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            format!(
                "WITH query \"{}\" has {} columns available but {} columns specified",
                cte.alias.name.value,
                columns.len(),
                names.len()
            ),
        )
        .at(at(&cte.alias.name)));
    }
    for (column, name) in columns.iter_mut().zip(names) {
        column.name = name.name.value.clone();
    }
    Ok(columns)
}

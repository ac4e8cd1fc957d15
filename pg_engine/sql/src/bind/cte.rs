//! WITH.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

use pg_plan::{
    logical::{Column, Logical},
    statement::Cte,
};
use pg_types::{Result, SqlError, SqlState};
use sqlparser::ast as sq;

use super::{
    Binder,
    recursive::invalid_recursion,
    scope::{CteName, CteState, at},
};
use crate::ast::{InsertClauses, NameAt, Overriding};

/// What a change in WITH RECURSIVE must not do: read itself.
const CHANGES: &str = "recursive query \"{}\" must not contain data-modifying statements";

impl Binder<'_> {
    /// Enters a WITH clause's names into the current frame.
    pub(super) fn with(&mut self, with: &sq::With) -> Result<()> {
        self.record_with(with.recursive);
        for cte in &with.cte_tables {
            let cte = &*self.searched(cte, with.recursive)?;
            let depth = self.record_depth();
            let name = cte.alias.name.value.clone();
            if self.frame()?.ctes.iter().any(|c| c.name == name) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_ALIAS,
                    format!("WITH query name \"{name}\" specified more than once"),
                )
                .at(at(&cte.alias.name)));
            }
            if is_change(&cte.query.body) {
                if with.recursive {
                    // Nothing but the name is known of it while it is bound.
                    let state = CteState::Open(CHANGES);
                    self.frame()?.ctes.push(CteName { name: name.clone(), state });
                }
                let changed = self.changing_cte(cte, name);
                if with.recursive {
                    let frame = self.frame()?;
                    let open = frame.ctes.iter().position(|c| matches!(c.state, CteState::Open(CHANGES)));
                    open.map(|n| frame.ctes.remove(n));
                }
                changed?;
                continue;
            }
            let recursive = if with.recursive { self.recursive_cte(cte, &name)? } else { None };
            let (bound, args) = match recursive {
                Some(found) => found,
                None => self.enclosed(|b| b.query_here(&cte.query))?,
            };
            self.record_cte(cte, depth);
            let state = if args.is_empty() {
                let columns = renamed(bound.columns, cte)?;
                CteState::Ready { plan: bound.plan, columns, index: None }
            } else {
                CteState::Inline { cte: Arc::new(cte.clone()), recursive: with.recursive }
            };
            let frame = self.frame()?;
            frame.ctes.push(CteName { name, state });
        }
        Ok(())
    }

    /// INSERT, UPDATE or DELETE in WITH.
    fn changing_cte(&mut self, cte: &sq::Cte, name: String) -> Result<()> {
        if self.frames.len() > 1 {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "WITH clause containing a data-modifying statement must be at the top level",
            )
            .at(at(&cte.alias.name)));
        }
        let with = cte.query.with.as_ref();
        let (body, columns, _) = match &*cte.query.body {
            sq::SetExpr::Insert(sq::Statement::Insert(insert)) => {
                let place = insert.insert_token.0.span.start.line as usize - 1;
                let clauses = self.inserts.iter().find(|(at, _)| *at == place).map(|(_, c)| c.clone());
                let clauses =
                    clauses.unwrap_or(InsertClauses { overriding: Overriding::None, conflict: None });
                self.insert_bound(insert, with, &clauses)?
            }
            sq::SetExpr::Update(sq::Statement::Update(update)) => self.update_bound(update, with)?,
            sq::SetExpr::Delete(sq::Statement::Delete(delete)) => self.delete_bound(delete, with)?,
            _ => return Err(SqlError::syntax("syntax error at or near \"MERGE\"").at(at(&cte.alias.name))),
        };
        let number = self.ctes.len() as u32;
        self.ctes.push(Cte::Change(body));
        let state = if columns.is_empty() {
            CteState::Silent
        } else {
            let columns = renamed(columns, cte)?;
            CteState::Ready { plan: Logical::OneRow, columns, index: Some(number) }
        };
        self.frame()?.ctes.push(CteName { name, state });
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
            Some(CteState::Silent) => Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("WITH query \"{}\" does not have a RETURNING clause", name.name.name),
            )
            .at(name.at)),
            Some(CteState::Open(fault)) => Err(invalid_recursion(&name.name.name, fault).at(name.at)),
            Some(CteState::Working { columns, number, references, .. }) => {
                if references > 0 {
                    let fault = "recursive reference to query \"{}\" must not appear more than once";
                    return Err(invalid_recursion(&name.name.name, fault).at(name.at));
                }
                let slot = self.frames.get_mut(level).and_then(|f| f.ctes.get_mut(index));
                if let Some(CteName { state: CteState::Working { references, at, .. }, .. }) = slot {
                    *references += 1;
                    *at = name.at;
                }
                let fresh: Vec<Column> = columns.iter().map(|c| self.column(&c.name, c.ty)).collect();
                Ok(Some((Logical::CteScan { cte: number, columns: fresh.clone() }, fresh)))
            }
            Some(CteState::Ready { plan, columns, index: number }) => {
                let number = match number {
                    Some(number) => number,
                    None => {
                        let number = self.ctes.len() as u32;
                        self.ctes.push(Cte::Rows(plan));
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
            Some(CteState::Inline { cte, recursive }) => self.inline_cte(&cte, recursive, level).map(Some),
        }
    }

    /// A WITH query that uses outer columns is bound anew where it is used, in the scope it was written in.
    fn inline_cte(&mut self, cte: &sq::Cte, recursive: bool, level: usize) -> Result<(Logical, Vec<Column>)> {
        if level + 1 != self.frames.len() {
            return Err(SqlError::unsupported("a correlated WITH query used in a deeper subquery"));
        }
        let shut = core::mem::replace(&mut self.frame()?.shut, true);
        let result = self.unrecorded(|b| {
            let found = if recursive { b.recursive_cte(cte, &cte.alias.name.value)? } else { None };
            found.map_or_else(|| b.enclosed(|b| b.query_here(&cte.query)), Ok)
        });
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

fn is_change(body: &sq::SetExpr) -> bool {
    use sq::SetExpr as S;
    matches!(body, S::Insert(_) | S::Update(_) | S::Delete(_) | S::Merge(_))
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

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
    recursive::{WITHIN_SUBQUERY, invalid_recursion},
    scope::{CteName, CteState, at},
};
use crate::ast::{InsertClauses, NameAt, Overriding};

/// What a change in WITH RECURSIVE must not do: read itself.
const CHANGES: &str = "recursive query \"{}\" must not contain data-modifying statements";

impl Binder<'_> {
    /// Enters a WITH clause's names into the current frame.
    pub(super) fn with(&mut self, with: &sq::With) -> Result<()> {
        self.record_with(with.recursive);
        for (n, cte) in with.cte_tables.iter().enumerate() {
            let name = &cte.alias.name;
            if with.cte_tables.iter().take(n).any(|c| c.alias.name.value == name.value) {
                let text = format!("WITH query name \"{}\" specified more than once", name.value);
                return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, text).at(at(name)));
            }
        }
        let order =
            if with.recursive { in_order(&with.cte_tables) } else { with.cte_tables.iter().collect() };
        let later = order.iter().rev().map(|c| (c.alias.name.value.clone(), at(&c.alias.name)));
        let before = core::mem::replace(&mut self.frame()?.later, (with.recursive, later.collect()));
        for cte in order {
            let written = cte;
            let cte = &*self.searched(cte, with.recursive)?;
            let depth = self.record_depth();
            let name = cte.alias.name.value.clone();
            if with.recursive {
                self.frame()?.later.1.pop();
            }
            if is_change(&cte.query.body) {
                if with.recursive {
                    // Nothing but the name is known of it while it is bound.
                    let state = CteState::Open(CHANGES, at(&cte.alias.name));
                    self.frame()?.ctes.push(CteName { name: name.clone(), state });
                }
                let changed = self.changing_cte(cte, name);
                if with.recursive {
                    let frame = self.frame()?;
                    let open = frame.ctes.iter().position(|c| matches!(c.state, CteState::Open(CHANGES, _)));
                    open.map(|n| frame.ctes.remove(n));
                }
                changed?;
                continue;
            }
            let reads = self.work_reads.len();
            let recursive = if with.recursive { self.recursive_cte(cte, &name)? } else { None };
            let (bound, args) = match recursive {
                Some(found) => found,
                None => self.enclosed(|b| b.query_here(&cte.query))?,
            };
            self.record_cte(written, depth)?;
            // Each round of a recursion around it has it anew.
            let read = self.work_reads.get(reads..).unwrap_or(&[]);
            let reads_now =
                |c: &CteName| matches!(c.state, CteState::Working { number, .. } if read.contains(&number));
            let steady = !self.frames.iter().flat_map(|f| &f.ctes).any(reads_now);
            let state = if args.is_empty() && steady {
                let columns = renamed(bound.columns, cte)?;
                CteState::Ready { plan: bound.plan, columns, index: None }
            } else {
                CteState::Inline { cte: Arc::new(cte.clone()), recursive: with.recursive }
            };
            let frame = self.frame()?;
            frame.ctes.push(CteName { name, state });
            if !with.recursive {
                frame.later.1.pop();
            }
        }
        self.frame()?.later = before;
        Ok(())
    }

    /// Why there is no such relation, if a WITH clause has the name in another place.
    pub(super) fn later_cte(&self, name: &str) -> Option<SqlError> {
        let (recursive, (_, place)) = self
            .frames
            .iter()
            .rev()
            .find_map(|f| Some((f.later.0, f.later.1.iter().find(|(n, _)| n == name)?)))?;
        if recursive {
            let text = "mutual recursion between WITH items is not implemented";
            return Some(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).at(*place));
        }
        let detail = format!(
            "There is a WITH item named \"{name}\", but it cannot be referenced from this part of the query."
        );
        let error = SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"));
        let hint = "Use WITH RECURSIVE, or re-order the WITH items to remove forward references.";
        Some(error.detail(detail).hint(hint))
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
        let later =
            |f: &super::scope::Frame| f.later.0 && f.later.1.iter().any(|(n, _)| *n == name.name.name);
        let later = self.frames.iter().rposition(later);
        if later.is_some_and(|level| found.is_none_or(|f| f.0 < level))
            && let Some(error) = self.later_cte(&name.name.name)
        {
            return Err(error);
        }
        let Some((level, index)) = found else { return Ok(None) };
        let state = self.frames.get(level).and_then(|f| f.ctes.get(index)).map(|c| c.state.clone());
        match state {
            None => Ok(None),
            Some(CteState::Silent) => Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("WITH query \"{}\" does not have a RETURNING clause", name.name.name),
            )
            .at(name.at)),
            Some(CteState::Open(_, 0) | CteState::Working { .. }) if self.in_sublink(level) => {
                Err(invalid_recursion(&name.name.name, WITHIN_SUBQUERY).at(name.at))
            }
            Some(CteState::Open(fault, place)) => {
                let place = if place > 0 { place } else { name.at };
                Err(invalid_recursion(&name.name.name, fault).at(place))
            }
            Some(CteState::Working { columns, number, references, .. }) => {
                if references > 0 && !self.again {
                    let fault = "recursive reference to query \"{}\" must not appear more than once";
                    return Err(invalid_recursion(&name.name.name, fault).at(name.at));
                }
                let slot = self.frames.get_mut(level).and_then(|f| f.ctes.get_mut(index));
                if let Some(CteName { state: CteState::Working { references, at, .. }, .. }) = slot {
                    *references += 1;
                    *at = name.at;
                }
                self.work_reads.push(number);
                let fresh = self.alias_columns(&columns);
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
                let fresh = self.alias_columns(&columns);
                Ok(Some((Logical::CteScan { cte: number, columns: fresh.clone() }, fresh)))
            }
            Some(CteState::Inline { cte, recursive }) => self.inline_cte(&cte, recursive, level).map(Some),
        }
    }

    /// A WITH query that uses outer columns is bound anew where it is used, in the scope it was written in.
    fn inline_cte(&mut self, cte: &sq::Cte, recursive: bool, level: usize) -> Result<(Logical, Vec<Column>)> {
        let deeper = self.frames.split_off((level + 1).min(self.frames.len()));
        let shut = core::mem::replace(&mut self.frame()?.shut, true);
        // Its mention of a recursion's rows was counted where it stands.
        let again = core::mem::replace(&mut self.again, true);
        let result = self.unrecorded(|b| {
            let found = if recursive { b.recursive_cte(cte, &cte.alias.name.value)? } else { None };
            found.map_or_else(|| b.enclosed(|b| b.query_here(&cte.query)), Ok)
        });
        self.again = again;
        self.frame()?.shut = shut;
        self.frames.extend(deeper);
        let (bound, mut args) = result?;
        for (_, arg) in &mut args {
            *arg = self.carry(arg.clone(), level)?;
        }
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

/// The queries of a WITH RECURSIVE, each behind those that it mentions. What is a mention is told by the words alone, and
/// may be more than there are: then queries that could stand as they were written do.
fn in_order(ctes: &[sq::Cte]) -> Vec<&sq::Cte> {
    if ctes.len() < 2 {
        return ctes.iter().collect();
    }
    let mentions = |cte: &sq::Cte, name: &str| {
        let text = format!("{}", cte.query);
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        text.match_indices(name).any(|(at, _)| {
            let before = text.get(..at).and_then(|t| t.chars().next_back());
            let after = text.get(at + name.len()..).and_then(|t| t.chars().next());
            !before.is_some_and(word) && !after.is_some_and(word)
        })
    };
    let mut left: Vec<(&sq::Cte, Vec<&str>)> = Vec::with_capacity(ctes.len());
    for (n, cte) in ctes.iter().enumerate() {
        let others =
            ctes.iter().enumerate().filter(|(i, _)| *i != n).map(|(_, c)| c.alias.name.value.as_str());
        left.push((cte, others.filter(|name| mentions(cte, name)).collect()));
    }
    if left.iter().enumerate().all(|(n, (_, needs))| {
        needs.iter().all(|name| ctes.iter().take(n).any(|c| c.alias.name.value == *name))
    }) {
        return ctes.iter().collect();
    }
    let mut sorted = Vec::with_capacity(ctes.len());
    for i in 0..left.len() {
        let free = |(_, needs): &(&sq::Cte, Vec<&str>)| {
            needs.iter().all(|name| sorted.iter().any(|c: &&sq::Cte| c.alias.name.value == *name))
        };
        let Some(j) = left.iter().skip(i).position(free) else { return ctes.iter().collect() };
        left.swap(i, i + j);
        sorted.extend(left.get(i).map(|l| l.0));
    }
    sorted
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

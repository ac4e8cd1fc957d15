//! WHERE CURRENT OF: which rows a cursor's rows are, and the condition of a change of the one it stands on.

use alloc::{boxed::Box, string::String, vec::Vec};

use pg_catalog::RelationKind;
use pg_plan::{
    expr::{ColumnId, CurrentOf, Expr},
    logical::{Column, Logical, SetOp},
    utility::CursorMarks,
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, oid};
use sqlparser::ast as sq;

use super::{Binder, dml::Changed};

/// `pg_cursors`: who reads it is told where the session's cursors stand.
const PG_CURSORS: Oid = 12077;

/// Attribute numbers.
const CTID: i16 = -1;
const TABLEOID: i16 = -6;

/// Columns of a plan that tell which row of which table its row is.
struct Mark {
    tables: Vec<Oid>,
    ctid: ColumnId,
    /// Where it may be of several.
    table: Option<ColumnId>,
}

impl Binder<'_> {
    /// The condition, if it is WHERE CURRENT OF.
    pub(super) fn current_of(
        &mut self,
        condition: Option<&sq::Expr>,
        changed: &Changed,
    ) -> Result<Option<Expr>> {
        let Some(sq::Expr::Prefixed { prefix, value }) = condition else { return Ok(None) };
        let sq::Expr::Identifier(cursor) = &**value else { return Ok(None) };
        if prefix.value != crate::dialect::CURRENT_OF {
            return Ok(None);
        }
        if changed.subject.view.is_some() {
            let text = "WHERE CURRENT OF on a view is not implemented";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
        }
        let table = &changed.subject.table;
        self.depend(PG_CURSORS);
        Ok(Some(Expr::CurrentOf(Box::new(CurrentOf {
            cursor: cursor.value.clone(),
            table: table.oid,
            name: table.name.clone(),
            ctid: Expr::Column(changed.ctid, SqlType::new(oid::TID)),
        }))))
    }

    /// Adds columns to a cursor's query that tell which rows its rows are, as far as they are rows of tables.
    pub(super) fn cursor_marks(&mut self, plan: &mut Logical) -> CursorMarks {
        let mut locked = false;
        let Some(marks) = self.exported(plan, &mut locked) else {
            return CursorMarks { locked, tables: Vec::new() };
        };
        // Above a plan that passes columns through, they stand at the end.
        let mut columns = Vec::new();
        super::dml::collect_columns(plan, &mut columns);
        let hidden = |id: ColumnId, ty: Oid| {
            let ty = SqlType::new(ty);
            (Column { id, name: String::new(), ty }, Expr::Column(id, ty))
        };
        let own = |c: &Column| marks.iter().all(|m| m.ctid != c.id && m.table != Some(c.id));
        let mut targets: Vec<(Column, Expr)> = columns
            .into_iter()
            .filter(own)
            .map(|c| {
                let e = Expr::Column(c.id, c.ty);
                (c, e)
            })
            .collect();
        for mark in &marks {
            targets.push(hidden(mark.ctid, oid::TID));
            targets.push(match (mark.table, mark.tables.first()) {
                (None, Some(table)) => {
                    let ty = SqlType::new(oid::OID);
                    let column = Column { id: self.column_id(), name: String::new(), ty };
                    (column, Expr::Const(Value::Oid(*table), ty))
                }
                (id, _) => hidden(id.unwrap_or_default(), oid::OID),
            });
        }
        let input = core::mem::replace(plan, Logical::OneRow);
        *plan = Logical::Project(Box::new(input), targets);
        CursorMarks { locked, tables: marks.into_iter().map(|m| m.tables).collect() }
    }

    /// `None`: its rows are no rows of tables.
    fn exported(&mut self, plan: &mut Logical, locked: &mut bool) -> Option<Vec<Mark>> {
        match plan {
            Logical::Scan { .. } | Logical::Set { op: SetOp::Union, all: true, .. } => {
                let (tables, ctid, table) = self.exported_family(plan)?;
                let table = (tables.len() > 1).then_some(table);
                Some(Vec::from([Mark { tables, ctid, table }]))
            }
            Logical::Filter(input, _)
            | Logical::Secure(input)
            | Logical::Sort(input, _)
            | Logical::Limit { input, .. } => self.exported(input, locked),
            Logical::Project(input, targets) => {
                let mut marks = self.exported(input, locked)?;
                for mark in &mut marks {
                    let mut pass = |id: &mut ColumnId, ty: Oid| {
                        let ty = SqlType::new(ty);
                        let below = core::mem::replace(id, self.column_id());
                        targets.push((Column { id: *id, name: String::new(), ty }, Expr::Column(below, ty)));
                    };
                    pass(&mut mark.ctid, oid::TID);
                    mark.table.iter_mut().for_each(|t| pass(t, oid::OID));
                }
                Some(marks)
            }
            Logical::LockRows { tables, .. } => {
                *locked = true;
                let mut marks: Vec<Mark> = Vec::new();
                for t in tables.iter().filter(|t| t.strength < super::locking::NONE) {
                    match marks.iter_mut().find(|m| m.ctid == t.ctid) {
                        Some(mark) => mark.tables.push(t.relation.oid),
                        None => marks.push(Mark {
                            tables: Vec::from([t.relation.oid]),
                            ctid: t.ctid,
                            table: t.tableoid,
                        }),
                    }
                }
                Some(marks)
            }
            _ => None,
        }
    }

    /// Of a table, or one and those that inherit from it: the tables and the two columns.
    fn exported_family(&mut self, plan: &mut Logical) -> Option<(Vec<Oid>, ColumnId, ColumnId)> {
        let (ctid, table) = (self.column_id(), self.column_id());
        let both = [(ctid, oid::TID, CTID), (table, oid::OID, TABLEOID)];
        let column = |(id, ty, attnum): (ColumnId, Oid, i16)| {
            (Column { id, name: String::new(), ty: SqlType::new(ty) }, attnum)
        };
        match plan {
            Logical::Scan { relation, columns, .. } if relation.kind == RelationKind::Table => {
                columns.extend(both.map(column));
                Some((Vec::from([relation.oid]), ctid, table))
            }
            Logical::Set { op: SetOp::Union, all: true, inputs, columns } => {
                let mut tables = Vec::with_capacity(inputs.len());
                for input in inputs {
                    tables.extend(self.exported_family(input)?.0);
                }
                columns.extend(both.map(|b| column(b).0));
                Some((tables, ctid, table))
            }
            _ => None,
        }
    }
}

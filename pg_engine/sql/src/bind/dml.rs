//! INSERT, UPDATE, DELETE.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec, vec::Vec};

use pg_catalog::{Attribute, Relation, RelationKind};
use pg_plan::{
    expr::{ColumnId, Expr},
    logical::{Column, JoinKind, Logical},
    statement::{Body, DeleteBody, InsertBody, Query, SYSTEM_COLUMNS, UpdateBody},
};
use pg_types::{Result, SqlError, SqlState, SqlType, oid};
use sqlparser::ast as sq;

use super::{
    Binder, Bound,
    expr::start,
    inherit::as_parent,
    part,
    parts::Step,
    scope::{Entry, Place, Scan, at, named_twice},
    table::null,
    updatable::Subject,
};
use crate::{
    ast::{InsertClauses, NameAt, Overriding},
    dialect::DEFAULT_MARKER,
    grammar,
};

/// The columns that an INSERT assigns to.
enum Listed {
    /// The first ones.
    All,
    /// Positions among the table's live columns, and the ways into those of which parts are assigned to.
    Some(Vec<usize>, Vec<Vec<Step>>),
}

impl Listed {
    /// The columns for a row of so many values.
    fn for_width(
        &self,
        width: usize,
        subject: &Subject,
        names: &[sq::ObjectName],
        at_value: impl Fn(usize) -> u32,
    ) -> Result<Vec<usize>> {
        let most = match self {
            Self::All => subject.width(),
            Self::Some(listed, _) => listed.len(),
        };
        if width > most {
            let text = "INSERT has more expressions than target columns";
            return Err(SqlError::syntax(text).at(at_value(most)));
        }
        match self {
            Self::All => subject.first_columns(width),
            Self::Some(listed, _) if width < listed.len() => {
                let ident = names.get(width).map(first_name).transpose()?;
                let text = "INSERT has more target columns than expressions";
                Err(SqlError::syntax(text).at(ident.map_or(0, at)))
            }
            Self::Some(listed, _) => Ok(listed.clone()),
        }
    }

    /// The way into the column that the value at this place is assigned to; empty: it is the whole column.
    fn path(&self, place: usize) -> &[Step] {
        match self {
            Self::All => &[],
            Self::Some(_, paths) => paths.get(place).map_or(&[], Vec::as_slice),
        }
    }
}

/// A change with RETURNING's columns and where they stem from.
pub(super) type BoundChange = (Body, Vec<Column>, Vec<(pg_types::Oid, i16)>);

/// `DEFAULT` in VALUES or SET.
fn is_default(e: &sq::Expr) -> bool {
    matches!(e, sq::Expr::Identifier(i) if i.quote_style.is_none() && i.value == DEFAULT_MARKER)
}

/// The column of a target.
fn first_name(name: &sq::ObjectName) -> Result<&sq::Ident> {
    let first = name.0.first().ok_or_else(|| SqlError::internal("assignment without a target"))?;
    part(first)
}

fn assigned_twice(attribute: &Attribute) -> SqlError {
    SqlError::syntax(format!("multiple assignments to same column \"{}\"", attribute.name))
}

/// Assignments of a SET clause, and the columns among them of which only parts are assigned to.
#[derive(Default)]
struct Assigned {
    bound: Vec<(i16, Expr)>,
    parted: Vec<i16>,
}

/// One value of an INSERT: its place among them, and what it is (`None`: DEFAULT) with its position.
type Given = (usize, Option<(Expr, u32)>);

impl Binder<'_> {
    pub(super) fn insert(
        &mut self,
        insert: &sq::Insert,
        with: Option<&sq::With>,
        clauses: &InsertClauses,
    ) -> Result<Query> {
        let (body, columns, origins) = self.insert_bound(insert, with, clauses)?;
        self.finish(body, columns, origins)
    }

    pub(super) fn insert_bound(
        &mut self,
        insert: &sq::Insert,
        with: Option<&sq::With>,
        clauses: &InsertClauses,
    ) -> Result<BoundChange> {
        let ((body, columns, origins), _) = self.enclosed(|b| {
            if let Some(with) = with {
                b.with(with)?;
            }
            b.insert_here(insert, clauses)
        })?;
        Ok((Body::Insert(body), columns, origins))
    }

    fn insert_here(
        &mut self,
        insert: &sq::Insert,
        clauses: &InsertClauses,
    ) -> Result<(InsertBody, Vec<Column>, Vec<(pg_types::Oid, i16)>)> {
        let sq::TableObject::TableName(name) = &insert.table else {
            return Err(SqlError::unsupported("INSERT into this"));
        };
        if insert.or.is_some()
            || insert.ignore
            || insert.overwrite
            || insert.replace_into
            || insert.partitioned.is_some()
            || !insert.assignments.is_empty()
        {
            return Err(SqlError::syntax("syntax error in INSERT"));
        }
        let name = grammar::name_of(name)?;
        let relation = self.target_relation(&name, "INSERT")?;
        let (subject, ..) = self.subject(&relation, "INSERT", None)?;
        let stored = subject.table.oid == relation.oid && !super::table::is_graph(&relation);
        let relation = subject.table.clone();
        let given = self.listed(&insert.columns, &subject)?;
        let source = self.insert_source(insert, &subject, &given, clauses.overriding)?;
        let scan = self.incoming_scan(&relation);
        let ids = self.column_ids(&relation);
        let system: Vec<ColumnId> = super::scope::SYSTEM.iter().map(|_| self.column_id()).collect();
        subject.span(self, &ids);
        let mut target = self.target_body(&relation, ids.clone())?;
        target.view_checks = subject.checks(&ids);
        let alias = insert.table_alias.as_ref().map_or(subject.name(), |a| &a.alias.value);
        let mut on_conflict = match &insert.on {
            None => None,
            Some(_) if super::table::is_graph(&relation) => {
                return Err(SqlError::unsupported(format!("ON CONFLICT on {}", relation.name)));
            }
            Some(sq::OnInsert::OnConflict(conflict)) => {
                let given = clauses.conflict.as_deref();
                Some(self.on_conflict((conflict, given), &target, &subject, alias)?)
            }
            Some(_) => return Err(SqlError::syntax("syntax error at or near \"ON\"")),
        };
        target.given = self.given_columns(&subject);
        let all: Vec<ColumnId> = ids.iter().chain(&system).copied().collect();
        let mut entry = subject.entry(self, alias, &all);
        entry.scan = stored.then_some(scan);
        let (returning, columns, origins) = self.returning(insert.returning.as_deref(), vec![entry])?;
        target.returning = returning;
        target.system = system.first().copied();
        self.secure_insert(&mut target, &subject, on_conflict.as_mut())?;
        Ok((InsertBody { target, source, on_conflict }, columns, origins))
    }

    /// Stands for the rows that come, whose columns have the next ids: RETURNING may name their system columns.
    fn incoming_scan(&mut self, relation: &Arc<Relation>) -> usize {
        self.scans.push(Scan { relation: relation.clone(), base: self.next_column, tells: false });
        self.scans.len() - 1
    }

    /// The columns that an INSERT lists.
    fn listed(&mut self, names: &[sq::ObjectName], subject: &Subject) -> Result<Listed> {
        let mut listed: Vec<usize> = Vec::with_capacity(names.len());
        let mut paths: Vec<Vec<Step>> = Vec::with_capacity(names.len());
        for column in names {
            let (ident, path) = self.target_path(column)?;
            let position = subject.column(ident, "INSERT")?;
            let again =
                |(p, into): (&usize, &Vec<Step>)| *p == position && (into.is_empty() || path.is_empty());
            if listed.iter().zip(&paths).any(again) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{}\" specified more than once", ident.value),
                )
                .at(at(ident)));
            }
            listed.push(position);
            paths.push(path);
        }
        Ok(if listed.is_empty() { Listed::All } else { Listed::Some(listed, paths) })
    }

    /// The row that MERGE's INSERT makes.
    pub(super) fn merge_row(
        &mut self,
        names: &[sq::ObjectName],
        values: &[sq::Expr],
        subject: &Subject,
        overriding: Overriding,
    ) -> Result<Vec<Expr>> {
        let listed = self.listed(names, subject)?;
        let at_value = |i| values.get(i).map_or(0, start);
        let positions = listed.for_width(values.len(), subject, names, at_value)?;
        self.insert_positions(subject, &positions);
        let bound = self.at_place(Place::Values, |b| {
            values
                .iter()
                .map(|v| Ok(if is_default(v) { None } else { Some((b.expr(v)?, start(v))) }))
                .collect()
        })?;
        self.insert_row((subject, names, &listed), &positions, bound, overriding)
    }

    fn insert_source(
        &mut self,
        insert: &sq::Insert,
        subject: &Subject,
        listed: &Listed,
        overriding: Overriding,
    ) -> Result<Logical> {
        let relation = &subject.table;
        let Some(query) = insert.source.as_deref() else {
            let row = self.insert_row((subject, &insert.columns, listed), &[], Vec::new(), overriding)?;
            return Ok(self.insert_rows(relation, vec![row]));
        };
        if let sq::SetExpr::Values(values) = &*query.body
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.with.is_none()
        {
            let width = values.rows.first().map_or(0, |r| r.content.len());
            self.frame()?.one_row = values.rows.len() == 1;
            let mut rows = Vec::with_capacity(values.rows.len());
            for row in &values.rows {
                let items = &row.content;
                if items.len() != width {
                    let at = items.first().map_or(0, start);
                    return Err(SqlError::syntax("VALUES lists must all be the same length").at(at));
                }
                let at_item = |i| items.get(i).map_or(0, start);
                let positions = listed.for_width(items.len(), subject, &insert.columns, at_item)?;
                self.insert_positions(subject, &positions);
                let bound = self.at_place(Place::Values, |b| {
                    let mut bound = Vec::with_capacity(items.len());
                    for item in items {
                        bound.push(if is_default(item) { None } else { Some((b.expr(item)?, start(item))) });
                    }
                    Ok(bound)
                })?;
                rows.push(self.insert_row(
                    (subject, &insert.columns, listed),
                    &positions,
                    bound,
                    overriding,
                )?);
            }
            self.frame()?.one_row = false;
            if !self.frame()?.sets.is_empty() {
                let row = rows.pop().unwrap_or_default();
                let columns =
                    relation.live().zip(row).map(|(a, e)| (self.column(&a.name, a.ty), e)).collect();
                let plan = self.sets(Logical::OneRow)?;
                return Ok(Logical::Project(Box::new(plan), columns));
            }
            return Ok(self.insert_rows(relation, rows));
        }
        self.insert_query(query, subject, listed, insert, overriding)
    }

    fn insert_query(
        &mut self,
        query: &sq::Query,
        subject: &Subject,
        listed: &Listed,
        insert: &sq::Insert,
        overriding: Overriding,
    ) -> Result<Logical> {
        let relation = &subject.table;
        let (mut bound, _) = self.enclosed(|b| {
            b.keep_unknown = true;
            let bound = b.query_here(query);
            b.keep_unknown = false;
            bound
        })?;
        let positions = listed.for_width(bound.columns.len(), subject, &insert.columns, |_| 0)?;
        self.insert_positions(subject, &positions);
        let mut given = Vec::with_capacity(bound.columns.len());
        for i in 0..bound.columns.len() {
            // Untyped constants of the select list take the column's type directly.
            let attribute = positions.get(i).and_then(|p| relation.live().nth(*p));
            let ty = match (attribute, listed.path(i)) {
                (None, _) => None,
                (Some(a), []) => Some(a.ty),
                (Some(a), path) => self.part_type(a.declared, path)?,
            };
            given.push(Some((self.result_value(&mut bound, i, ty)?, 0)));
        }
        let row = self.insert_row((subject, &insert.columns, listed), &positions, given, overriding)?;
        let columns = relation.live().zip(row).map(|(a, e)| (self.column(&a.name, a.ty), e)).collect();
        Ok(Logical::Project(Box::new(bound.plan), columns))
    }

    /// Column `i` of a bound query; an untyped constant in its projection is given a type there.
    pub(super) fn result_value(&mut self, bound: &mut Bound, i: usize, ty: Option<SqlType>) -> Result<Expr> {
        let Some(column) = bound.columns.get(i).cloned() else { return Ok(null()) };
        if column.ty.oid == oid::UNKNOWN
            && let Some(ty) = ty
            && let Logical::Project(_, columns) = &mut bound.plan
            && let Some((inner, e)) = columns.iter_mut().find(|(c, _)| c.id == column.id)
            && matches!(e, Expr::Const(..) | Expr::Param(..))
        {
            let base = SqlType::new(ty.oid);
            let taken = core::mem::replace(e, null());
            let typed = self.implicit(taken, base, 0)?;
            inner.ty = typed.ty();
            *e = typed;
            let fixed = inner.ty;
            if let Some(c) = bound.columns.get_mut(i) {
                c.ty = fixed;
            }
            return Ok(Expr::Column(column.id, fixed));
        }
        Ok(Expr::Column(column.id, column.ty))
    }

    /// A full row in attribute order: given values assigned, the others' defaults.
    fn insert_row(
        &mut self,
        (subject, names, listed): (&Subject, &[sq::ObjectName], &Listed),
        positions: &[usize],
        given: Vec<Option<(Expr, u32)>>,
        overriding: Overriding,
    ) -> Result<Vec<Expr>> {
        let relation = &subject.table;
        subject.defaults_fit()?;
        let mut values: Vec<Vec<Given>> = relation.live().map(|_| Vec::new()).collect();
        for (place, (position, value)) in positions.iter().zip(given).enumerate() {
            if let Some(slot) = values.get_mut(*position) {
                slot.push((place, value));
            }
        }
        let mut row = Vec::with_capacity(values.len());
        for (n, (attribute, mut values)) in relation.live().zip(values).enumerate() {
            if values.first().is_some_and(|(place, _)| !listed.path(*place).is_empty()) {
                may_set(attribute, overriding, "insert a non-DEFAULT value into")?;
                row.push(self.insert_parts(attribute, names, listed, values)?);
                continue;
            }
            let value = values.pop().and_then(|v| v.1);
            let users = attribute.identity != 0 && overriding == Overriding::User;
            let value = value.filter(|_| !users);
            row.push(match value {
                Some((value, at)) => {
                    may_set(attribute, overriding, "insert a non-DEFAULT value into")?;
                    self.assign(value, attribute.declared, &attribute.name, at)?
                }
                None => match subject.default(n).filter(|_| !users) {
                    Some(of_view) => {
                        may_set(attribute, overriding, "insert a non-DEFAULT value into")?;
                        self.default_value(&of_view)?
                    }
                    None => self.default_value(attribute)?,
                },
            });
        }
        Ok(row)
    }

    /// A new value with only parts given: of NULL.
    fn insert_parts(
        &mut self,
        attribute: &Attribute,
        names: &[sq::ObjectName],
        listed: &Listed,
        values: Vec<Given>,
    ) -> Result<Expr> {
        let mut whole = Expr::Const(pg_types::Value::Null, attribute.ty);
        for (place, value) in values {
            let path = listed.path(place);
            let name = names.get(place).ok_or_else(|| SqlError::internal("a value without a column"))?;
            let column = first_name(name)?;
            let Some(value) = value else {
                return Err(path
                    .first()
                    .map_or_else(|| SqlError::internal("no part"), |s| s.refuse_default(column)));
            };
            whole = self.with_part(whole, attribute.declared, path, value, column)?;
        }
        self.assign(whole, attribute.declared, &attribute.name, 0)
    }

    fn insert_rows(&mut self, relation: &Arc<Relation>, rows: Vec<Vec<Expr>>) -> Logical {
        let columns = relation.live().map(|a| self.column(&a.name, a.ty)).collect();
        Logical::Values { rows, columns }
    }

    /// SET.
    pub(super) fn assignments(
        &mut self,
        assignments: &[sq::Assignment],
        subject: &Subject,
        verb: &str,
    ) -> Result<Vec<(i16, Expr)>> {
        self.at_place(Place::Update, |b| {
            let mut done = Assigned::default();
            done.bound.reserve(assignments.len());
            for assignment in assignments {
                let (names, value) = match &assignment.target {
                    sq::AssignmentTarget::ColumnName(name) => {
                        b.assignment(name, &assignment.value, (subject, verb), &mut done)?;
                        continue;
                    }
                    sq::AssignmentTarget::Tuple(names) => (names, &assignment.value),
                };
                let mut value = value;
                while let sq::Expr::Nested(inner) = value {
                    value = inner;
                }
                let (single, spread);
                let values: &[sq::Expr] = match value {
                    sq::Expr::Tuple(values) if values.iter().any(|v| matches!(v, sq::Expr::QualifiedWildcard(..))) => {
                        spread = b.without_stars(values)?;
                        &spread
                    }
                    sq::Expr::Tuple(values) => values,
                    sq::Expr::Subquery(query) => {
                        b.assign_row(names, query, (subject, verb), &mut done)?;
                        continue;
                    }
                    one if names.len() == 1 => {
                        single = [one.clone()];
                        &single
                    }
                    other => {
                        let text = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).at(start(other)));
                    }
                };
                if values.len() != names.len() {
                    let text = "number of columns does not match number of values";
                    return Err(SqlError::syntax(text).at(start(value)));
                }
                for (name, value) in names.iter().zip(values) {
                    b.assignment(name, value, (subject, verb), &mut done)?;
                }
            }
            Ok(done.bound)
        })
    }

    /// A row's items, with the columns of FROM items in the place of their stars.
    fn without_stars(&mut self, values: &[sq::Expr]) -> Result<Vec<sq::Expr>> {
        let mut spread = Vec::with_capacity(values.len());
        for value in values {
            let sq::Expr::QualifiedWildcard(name, token) = value else {
                spread.push(value.clone());
                continue;
            };
            let at = start(value);
            let item = grammar::name_of(name)?;
            let schema = item.name.schema.as_deref();
            let Some((level, index)) = self.find_entry(schema, &item.name.name, at)? else {
                return Err(self.missing_entry(&item.name.name, at));
            };
            let entry = self.frames.get(level).and_then(|f| f.entries.get(index));
            for column in entry.map_or(&[][..], |e| e.columns.as_slice()) {
                let mut path: Vec<sq::Ident> =
                    name.0.iter().map(part).collect::<Result<Vec<_>>>()?.into_iter().cloned().collect();
                path.push(sq::Ident::with_quote_and_span('"', token.0.span, column.name.clone()));
                spread.push(sq::Expr::CompoundIdentifier(path));
            }
        }
        Ok(spread)
    }

    fn assignment(
        &mut self,
        name: &sq::ObjectName,
        value: &sq::Expr,
        (subject, verb): (&Subject, &str),
        done: &mut Assigned,
    ) -> Result<()> {
        let (column, path) = self.target_path(name)?;
        let position = subject.column(column, verb)?;
        let Some(attribute) = subject.table.live().nth(position) else { return Ok(()) };
        let default = is_default(value);
        if let (true, Some(step)) = (default, path.first()) {
            return Err(step.refuse_default(column));
        }
        if !default {
            may_set(attribute, Overriding::None, "update")?;
            let value = (self.expr(value)?, start(value));
            return self.assign_bound(column, &path, value, (position, attribute), done);
        }
        if done.bound.iter().any(|(a, _)| *a == attribute.attnum) {
            return Err(assigned_twice(attribute));
        }
        let of_view = subject.default(position);
        if of_view.is_some() {
            may_set(attribute, Overriding::None, "update")?;
        }
        if attribute.generated == 0 {
            let value = self.default_value(of_view.as_ref().unwrap_or(attribute))?;
            done.bound.push((attribute.attnum, value));
        }
        Ok(())
    }

    /// Assigns a value to a column, or makes it the column's old value with a part of it replaced.
    fn assign_bound(
        &mut self,
        column: &sq::Ident,
        path: &[Step],
        (value, at_value): (Expr, u32),
        (position, attribute): (usize, &Attribute),
        done: &mut Assigned,
    ) -> Result<()> {
        let known = done.bound.iter().position(|(a, _)| *a == attribute.attnum);
        if path.is_empty() {
            if known.is_some() {
                return Err(assigned_twice(attribute));
            }
            let value = self.assign(value, attribute.declared, &attribute.name, at_value)?;
            done.bound.push((attribute.attnum, value));
            return Ok(());
        }
        let base = match known {
            // The parts assigned before this one are in it; it is checked when all are.
            Some(n) if done.parted.contains(&attribute.attnum) => match done.bound.remove(n).1 {
                Expr::Domain(d) => d.value,
                other => other,
            },
            Some(_) => return Err(assigned_twice(attribute)),
            None => self.old_value(position, &column.value)?,
        };
        let whole = self.with_part(base, attribute.declared, path, (value, at_value), column)?;
        done.parted.push(attribute.attnum);
        let whole = self.assign(whole, attribute.declared, &attribute.name, at_value)?;
        done.bound.push((attribute.attnum, whole));
        Ok(())
    }

    /// What a column of the changed table was. It is not read in the user's name.
    fn old_value(&mut self, position: usize, name: &str) -> Result<Expr> {
        let entry = self.frame()?.entries.first();
        let column =
            entry.and_then(|e| e.columns.iter().find(|c| c.name == name).or(e.columns.get(position)));
        column
            .map(|c| c.expr.clone())
            .ok_or_else(|| SqlError::internal("the changed table has no such column"))
    }

    /// `SET (a, b) = (SELECT x, y ...)`: a subquery for each column, which must not make a difference.
    fn assign_row(
        &mut self,
        names: &[sq::ObjectName],
        query: &sq::Query,
        (subject, verb): (&Subject, &str),
        done: &mut Assigned,
    ) -> Result<()> {
        let values = self.column_subqueries(query, names.len())?;
        for (name, value) in names.iter().zip(values) {
            let (column, path) = self.target_path(name)?;
            let position = subject.column(column, verb)?;
            let Some(attribute) = subject.table.live().nth(position) else { continue };
            may_set(attribute, Overriding::None, "update")?;
            let value = (value, super::subquery::start_of(query));
            self.assign_bound(column, &path, value, (position, attribute), done)?;
        }
        Ok(())
    }

    pub(super) fn update(&mut self, update: &sq::Update, with: Option<&sq::With>) -> Result<Query> {
        let (body, columns, origins) = self.update_bound(update, with)?;
        self.finish(body, columns, origins)
    }

    pub(super) fn update_bound(
        &mut self,
        update: &sq::Update,
        with: Option<&sq::With>,
    ) -> Result<BoundChange> {
        if update.or.is_some()
            || update.limit.is_some()
            || !update.order_by.is_empty()
            || update.output.is_some()
        {
            return Err(SqlError::syntax("syntax error in UPDATE"));
        }
        if !update.table.joins.is_empty() {
            return Err(SqlError::syntax("syntax error at or near \"JOIN\""));
        }
        let from = match &update.from {
            None => &[],
            Some(sq::UpdateTableFromKind::AfterSet(from) | sq::UpdateTableFromKind::BeforeSet(from)) => {
                from.as_slice()
            }
        };
        let (bound, _) = self.enclosed(|b| {
            if let Some(with) = with {
                b.with(with)?;
            }
            let heirs = b.heirs(&update.table.relation)?;
            b.each_heir(&heirs, |b, heir| b.update_one(update, from, heir))
        })?;
        Ok(bound)
    }

    /// UPDATE of one table; `heir`: of one that inherits from what is named.
    fn update_one(
        &mut self,
        update: &sq::Update,
        from: &[sq::TableWithJoins],
        heir: Option<&Arc<Relation>>,
    ) -> Result<BoundChange> {
        let mut changed = self.changed(&update.table.relation, from, "UPDATE", heir)?;
        let assignments = self.assignments(&update.assignments, &changed.subject, "UPDATE")?;
        self.update_columns(&changed.subject, &assignments);
        let current = self.current_of(update.selection.as_ref(), &changed)?;
        let recheck = match &update.selection {
            Some(e) if current.is_none() => Some(self.condition(e, Place::Where, "WHERE")?),
            _ => None,
        };
        let mut recheck = changed.condition(recheck);
        let ids = self.column_ids(&changed.subject.table);
        changed.subject.span(self, &ids);
        let mut target = self.target_body(&changed.subject.table, ids.clone())?;
        target.view_checks = changed.subject.checks(&ids);
        target.given = assignments.iter().map(|a| a.0).collect();
        let ctid = changed.ctid;
        let system = ctid..ctid + SYSTEM_COLUMNS as ColumnId;
        let all: Vec<ColumnId> = ids.iter().copied().chain(system.clone()).collect();
        let mut entry = changed.subject.entry(self, &changed.alias, &all);
        if let Some(parent) = &changed.parent {
            as_parent(&mut entry, parent);
        }
        let before = self.frame()?.entries.first();
        entry.scan = before.and_then(|e| e.scan);
        let mut entries = vec![entry];
        entries.extend(self.frame()?.entries.drain(..).skip(1));
        let (returning, columns, origins) = self.returning(update.returning.as_deref(), entries)?;
        // Those that a view gives other names.
        let mut named = Vec::new();
        returning.iter().flatten().for_each(|e| e.for_each_column(&mut |id| named.push(id)));
        named.into_iter().filter(|id| system.contains(id)).for_each(|id| self.keep_column(id));
        target.system = Some(ctid);
        target.returning = returning;
        // The row that a cursor stands on is that row, whatever becomes of it.
        let condition = Expr::all_of(recheck.iter().cloned().chain(current).collect());
        if heir.is_none() {
            self.secure_change(&mut changed, &mut target, &mut recheck, b'w')?;
        }
        let source = self.change_source(changed, condition);
        let body = UpdateBody { target, source, assignments, recheck };
        Ok((Body::Update(body), columns, origins))
    }

    /// The tables that inherit from the one to be changed.
    fn heirs(&mut self, table: &sq::TableFactor) -> Result<Vec<Arc<Relation>>> {
        let sq::TableFactor::Table { name, args: None, .. } = table else { return Ok(Vec::new()) };
        let name = grammar::name_of(name)?;
        let relation = self.relation(&name)?;
        let relation = match relation.kind {
            // ONLY before a view says nothing.
            RelationKind::View => match self.table_below(&relation)? {
                Some(table) => table,
                None => return Ok(Vec::new()),
            },
            _ if name.only => return Ok(Vec::new()),
            _ => relation,
        };
        if relation.children.is_empty() {
            return Ok(Vec::new());
        }
        if self.is_secured(&relation)? {
            return Err(SqlError::unsupported("row security of a table that others inherit from"));
        }
        self.descendants(&relation)
    }

    /// Binds a change of a table, and again of each that inherits from it.
    fn each_heir(
        &mut self,
        heirs: &[Arc<Relation>],
        mut bind: impl FnMut(&mut Self, Option<&Arc<Relation>>) -> Result<BoundChange>,
    ) -> Result<BoundChange> {
        let (first, columns, origins) = bind(self, None)?;
        if heirs.is_empty() {
            return Ok((first, columns, origins));
        }
        let mut bodies = vec![first];
        for heir in heirs {
            let frame = self.frame()?;
            frame.entries.clear();
            frame.visible.clear();
            // Privileges on the table that is named are enough.
            let mark = self.accesses.begin();
            let (body, ..) = bind(self, Some(heir))?;
            self.accesses.undo(mark);
            bodies.push(body);
        }
        Ok((Body::Family(bodies), columns, origins))
    }

    pub(super) fn delete(&mut self, delete: &sq::Delete, with: Option<&sq::With>) -> Result<Query> {
        let (body, columns, origins) = self.delete_bound(delete, with)?;
        self.finish(body, columns, origins)
    }

    pub(super) fn delete_bound(
        &mut self,
        delete: &sq::Delete,
        with: Option<&sq::With>,
    ) -> Result<BoundChange> {
        if !delete.tables.is_empty() || !delete.order_by.is_empty() || delete.limit.is_some() {
            return Err(SqlError::syntax("syntax error in DELETE"));
        }
        let from = match &delete.from {
            sq::FromTable::WithFromKeyword(from) | sq::FromTable::WithoutKeyword(from) => from,
        };
        let [table] = from.as_slice() else {
            return Err(SqlError::syntax("syntax error at or near \",\""));
        };
        if !table.joins.is_empty() {
            return Err(SqlError::syntax("syntax error at or near \"JOIN\""));
        }
        let using = delete.using.as_deref().unwrap_or(&[]);
        let (bound, _) = self.enclosed(|b| {
            if let Some(with) = with {
                b.with(with)?;
            }
            let heirs = b.heirs(&table.relation)?;
            b.each_heir(&heirs, |b, heir| b.delete_one((delete, &table.relation), using, heir))
        })?;
        Ok(bound)
    }

    /// DELETE from one table; `heir`: from one that inherits from what is named.
    fn delete_one(
        &mut self,
        (delete, table): (&sq::Delete, &sq::TableFactor),
        using: &[sq::TableWithJoins],
        heir: Option<&Arc<Relation>>,
    ) -> Result<BoundChange> {
        let mut changed = self.changed(table, using, "DELETE", heir)?;
        let current = self.current_of(delete.selection.as_ref(), &changed)?;
        let recheck = match &delete.selection {
            Some(e) if current.is_none() => Some(self.condition(e, Place::Where, "WHERE")?),
            _ => None,
        };
        let mut recheck = changed.condition(recheck);
        let mut target = self.target_body(&changed.subject.table, changed.old.clone())?;
        let entries = core::mem::take(&mut self.frame()?.entries);
        let (returning, columns, origins) = self.returning(delete.returning.as_deref(), entries)?;
        target.system = Some(changed.ctid);
        target.returning = returning;
        let condition = Expr::all_of(recheck.iter().cloned().chain(current).collect());
        if heir.is_none() {
            self.secure_change(&mut changed, &mut target, &mut recheck, b'd')?;
        }
        let source = self.change_source(changed, condition);
        Ok((Body::Delete(DeleteBody { target, source, recheck }), columns, origins))
    }

    /// Enters the changed table and FROM's or USING's items.
    pub(super) fn changed(
        &mut self,
        table: &sq::TableFactor,
        from: &[sq::TableWithJoins],
        verb: &str,
        heir: Option<&Arc<Relation>>,
    ) -> Result<Changed> {
        let sq::TableFactor::Table { name, alias, args: None, sample, .. } = table else {
            return Err(SqlError::syntax(format!("{verb} needs a table")));
        };
        if let Some(sample) = sample {
            return Err(super::sample::misplaced(sample));
        }
        if alias.as_ref().is_some_and(|a| !a.columns.is_empty()) {
            return Err(SqlError::syntax("syntax error at or near \"(\""));
        }
        let name: NameAt = grammar::name_of(name)?;
        let relation = self.target_relation(&name, verb)?;
        let shown = alias.as_ref().map(|a| a.name.value.as_str());
        let of_view = relation.kind == RelationKind::View;
        let (subject, plan, mut entry, scan) = match heir {
            Some(heir) if of_view => {
                self.heir = Some(heir.clone());
                let found = self.subject(&relation, verb, shown);
                self.heir = None;
                found?
            }
            None => self.subject(&relation, verb, shown)?,
            Some(heir) => self.subject(heir, verb, Some(shown.unwrap_or(&relation.name)))?,
        };
        let heir = heir.filter(|_| !of_view);
        if heir.is_some() {
            as_parent(&mut entry, &relation);
            entry.schema = shown.is_none().then(|| relation.schema_name.clone());
        }
        let parent = heir.map(|_| relation);
        let mut base = 0;
        if let Some(scan) = self.scans.get_mut(scan) {
            base = scan.base;
            // Its columns are given, and these are not among them.
            scan.tells = false;
        }
        let alias = entry.alias.clone();
        self.enter(entry, None)?;
        let live = subject.table.live().count() as u32;
        let old: Vec<ColumnId> = (base..base + live).collect();
        let ctid = base + live;
        old.iter().chain([&ctid]).for_each(|id| self.keep_column(*id));
        let from = if from.is_empty() { None } else { Some(self.sources(from, verb)?) };
        let visible = None;
        Ok(Changed { subject, alias, plan, from, old, ctid, visible, parent })
    }

    /// What FROM or USING names beside a table to be changed, whose columns its items cannot see.
    fn sources(&mut self, from: &[sq::TableWithJoins], verb: &str) -> Result<Logical> {
        let frame = self.frame()?;
        let entries = core::mem::take(&mut frame.entries);
        let visible = core::mem::take(&mut frame.visible);
        let gone = frame.gone.len();
        frame.gone.extend(entries.iter().map(|e| e.alias.clone()));
        frame.barred = if verb == "MERGE" { None } else { frame.gone.last().cloned() };
        let plan = self.from(from);
        let frame = self.frame()?;
        frame.gone.truncate(gone);
        frame.barred = None;
        let of_target = |e: &&Entry| entries.iter().any(|t| t.alias == e.alias);
        let twice = frame.entries.iter().skip(frame.names_from).find(of_target).map(|e| e.alias.clone());
        frame.entries.splice(0..0, entries);
        frame.visible.splice(0..0, visible);
        match twice {
            Some(alias) if plan.is_ok() => Err(named_twice(&alias)),
            _ => plan,
        }
    }

    /// The rows to change: ctid, old values, then every column in use of the other items.
    fn change_source(&mut self, changed: Changed, condition: Option<Expr>) -> Logical {
        let Changed { subject, plan, from, old, ctid, visible, .. } = changed;
        let plan = super::policy::secure(plan, visible);
        let mut others = Vec::new();
        let mut plan = match from {
            None => plan,
            Some(from) => {
                others.push(from);
                let right = others.pop().unwrap_or(Logical::OneRow);
                Logical::Join {
                    kind: JoinKind::Inner,
                    left: Box::new(plan),
                    right: Box::new(right),
                    on: None,
                    lateral: Vec::new(),
                }
            }
        };
        self.fill_scans(&mut plan);
        let mut outputs: Vec<Column> = Vec::new();
        collect_columns(&plan, &mut outputs);
        if let Some(condition) = condition {
            plan = Logical::Filter(Box::new(plan), condition);
        }
        let tid = Column { id: ctid, name: String::from("ctid"), ty: SqlType::new(oid::TID) };
        let pass = |c: Column| {
            let e = Expr::Column(c.id, c.ty);
            (c, e)
        };
        let mut projected = vec![pass(tid)];
        for (attribute, id) in subject.table.live().zip(&old) {
            projected.push(pass(Column { id: *id, name: attribute.name.clone(), ty: attribute.ty }));
        }
        // Other system columns of the table, and what FROM gives.
        projected.extend(outputs.into_iter().filter(|c| c.id > ctid).map(pass));
        Logical::Project(Box::new(plan), projected)
    }
}

pub(super) struct Changed {
    pub(super) subject: Subject,
    alias: String,
    pub(super) plan: Logical,
    pub(super) from: Option<Logical>,
    pub(super) old: Vec<ColumnId>,
    pub(super) ctid: ColumnId,
    /// What policies let the statement see of the table.
    pub(super) visible: Option<Expr>,
    /// What the statement names, if this is a table that inherits from it.
    parent: Option<Arc<Relation>>,
}

impl Changed {
    /// A condition together with those of the views.
    fn condition(&self, own: Option<Expr>) -> Option<Expr> {
        let views = self.subject.view.iter().flat_map(|v| v.conditions.iter().cloned());
        Expr::all_of(views.chain(own).collect())
    }
}

/// The columns a FROM tree yields.
pub(super) fn collect_columns(plan: &Logical, out: &mut Vec<Column>) {
    match plan {
        Logical::OneRow => {}
        Logical::Scan { columns, .. } => out.extend(columns.iter().map(|(c, _)| c.clone())),
        Logical::FunctionScan { columns, .. }
        | Logical::Values { columns, .. }
        | Logical::Set { columns, .. }
        | Logical::Recursive { columns, .. }
        | Logical::CteScan { columns, .. } => out.extend(columns.iter().cloned()),
        Logical::Filter(input, _)
        | Logical::Secure(input)
        | Logical::Distinct(input, _)
        | Logical::Sort(input, _)
        | Logical::Limit { input, .. }
        | Logical::LockRows { input, .. } => collect_columns(input, out),
        Logical::Project(_, columns) => out.extend(columns.iter().map(|(c, _)| c.clone())),
        Logical::ProjectSet(input, columns) => {
            collect_columns(input, out);
            out.extend(columns.iter().map(|(c, _)| c.clone()));
        }
        Logical::Window { input, calls, .. } => {
            collect_columns(input, out);
            out.extend(calls.iter().map(|(c, _)| c.clone()));
        }
        Logical::Join { left, right, .. } => {
            collect_columns(left, out);
            collect_columns(right, out);
        }
        Logical::Aggregate { groups, aggregates, .. } => {
            out.extend(groups.iter().map(|(c, _)| c.clone()));
            out.extend(aggregates.iter().map(|(c, _)| c.clone()));
        }
    }
}

/// Identity and generated columns take no values of the user's.
fn may_set(attribute: &Attribute, overriding: Overriding, what: &str) -> Result<()> {
    let name = &attribute.name;
    if attribute.generated != 0 {
        let message = if what == "update" {
            format!("column \"{name}\" can only be updated to DEFAULT")
        } else {
            format!("cannot {what} column \"{name}\"")
        };
        return Err(SqlError::new(SqlState::GENERATED_ALWAYS, message)
            .detail(format!("Column \"{name}\" is a generated column.")));
    }
    if attribute.identity == b'a' && overriding != Overriding::System {
        let detail = format!("Column \"{name}\" is an identity column defined as GENERATED ALWAYS.");
        if what == "update" {
            return Err(SqlError::new(
                SqlState::GENERATED_ALWAYS,
                format!("column \"{name}\" can only be updated to DEFAULT"),
            )
            .detail(detail));
        }
        return Err(SqlError::new(SqlState::GENERATED_ALWAYS, format!("cannot {what} column \"{name}\""))
            .detail(detail)
            .hint("Use OVERRIDING SYSTEM VALUE to override."));
    }
    Ok(())
}

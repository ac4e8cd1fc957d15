//! What the binder keeps of a query so that it can be printed: see [`crate::ruleutils`].
//!
//! Only views and the like are recorded; every method does nothing for other statements.

use alloc::{boxed::Box, string::String, vec::Vec};

use pg_catalog::{CatalogReader, Relation};
use pg_plan::{
    expr::{ColumnId, Expr},
    logical::{JoinKind, SetOp},
};
use pg_types::{Result, SqlError, SqlType, format::FormatSettings, oid};
use sqlparser::ast as sq;

use super::{
    Binder,
    grouping::GroupBy,
    scope::{Entry, Frame, Place},
    select::{Order, Target},
};
use crate::{
    ast::Ast,
    ruleutils::{
        Body, Condition, CteTree, FromItem, JoinAlias, JoinItem, Key, Note, QueryTree, Recorder, SampleText,
        SelectTree, SetNode, TableItem, TableKind, Using, WindowBase,
    },
};

impl Binder<'_> {
    pub(super) fn recording(&self) -> bool {
        self.record.is_some()
    }

    /// Notes how an expression was written.
    pub(super) fn note(&mut self, e: &Expr, note: impl FnOnce() -> Note) {
        if let Some(record) = &mut self.record {
            record.notes.push((e.clone(), note()));
        }
    }

    /// What was noted of it.
    pub(super) fn noted(&self, e: &Expr) -> Option<&Note> {
        self.record.as_ref()?.notes.iter().find(|(n, _)| n.same(e)).map(|(_, note)| note)
    }

    pub(super) fn record_slot(&mut self, slot: u32, e: &Expr) {
        if let Some(record) = &mut self.record {
            record.slots.insert(slot, e.clone());
        }
    }

    /// What the FROM item entered next is.
    pub(super) fn record_kind(
        &mut self,
        lateral: bool,
        kind: impl FnOnce(&mut Recorder) -> Option<TableKind>,
    ) {
        if let Some(record) = &mut self.record {
            record.kind = kind(record).map(|kind| (kind, lateral));
        }
    }

    /// A FROM item was entered.
    pub(super) fn record_entry(&mut self, entry: &Entry, alias: Option<&sq::TableAlias>) {
        let Some(record) = &mut self.record else { return };
        let listed = alias.is_some_and(|a| !a.columns.is_empty());
        match record.kind.take() {
            Some((kind, lateral)) => record.items.push(FromItem::Table(Box::new(TableItem {
                alias: alias.map(|a| a.name.value.clone()),
                listed,
                lateral,
                columns: entry.columns.iter().map(|c| (c.name.clone(), c.expr.clone(), c.origin.1)).collect(),
                kind,
                sample: None,
            }))),
            // A join gets its name.
            None => {
                if let Some(FromItem::Join(join)) = record.items.last_mut() {
                    join.alias = Some(JoinAlias {
                        name: entry.alias.clone(),
                        listed,
                        columns: entry.columns.iter().map(|c| (c.name.clone(), c.expr.clone())).collect(),
                    });
                }
            }
        }
    }

    /// The relation entered last is a sample of itself.
    pub(super) fn record_sample(&mut self, sample: SampleText) {
        if let Some(record) = &mut self.record
            && let Some(FromItem::Table(table)) = record.items.last_mut()
        {
            table.sample = Some(sample);
        }
    }

    pub(super) fn record_using(&mut self, using: impl FnOnce() -> Vec<Using>) {
        if let Some(record) = &mut self.record {
            record.using = using();
        }
    }

    pub(super) fn record_join(&mut self, kind: JoinKind, on: Option<&Expr>, merged_as: Option<&str>) {
        let Some(record) = &mut self.record else { return };
        let using = core::mem::take(&mut record.using);
        if let (Some(right), Some(left)) = (record.items.pop(), record.items.pop()) {
            let on = on.cloned();
            record.items.push(FromItem::Join(Box::new(JoinItem {
                kind,
                left,
                right,
                on,
                using,
                merged_as: merged_as.map(Into::into),
                alias: None,
            })));
        }
    }

    /// A SELECT is bound but for its grouping; its FROM items begin at `mark`.
    #[expect(clippy::too_many_arguments, reason = "the parts of one statement")]
    pub(super) fn record_select(
        &mut self,
        mark: usize,
        select: &sq::Select,
        filter: Option<Expr>,
        groups: &GroupBy,
        having: Option<&Expr>,
        targets: &[Target],
        visible: usize,
        on: &[usize],
        order: &Order,
    ) -> Result<()> {
        if !self.recording() {
            return Ok(());
        }
        let mut named_windows = Vec::new();
        for (name, spec) in self.frame()?.named_windows.clone() {
            let spec = self.at_place(super::scope::Place::Select, |b| b.window_spec(&spec))?;
            let written = select.named_window.iter().find(|d| d.0.value == name);
            let base = match written {
                Some(sq::NamedWindowDefinition(_, sq::NamedWindowExpr::WindowSpec(spec))) => {
                    super::window::base(spec)
                }
                _ => None,
            };
            named_windows.push((name, spec, base));
        }
        let target = |i: usize| targets.get(i).map(|t| t.expr.clone());
        let frame: &mut Frame = self.frame()?;
        let tree = SelectTree {
            distinct: matches!(select.distinct, Some(sq::Distinct::Distinct)),
            on: on.iter().filter_map(|i| target(*i)).collect(),
            targets: targets.iter().take(visible).map(|t| (t.name.clone(), t.expr.clone())).collect(),
            from: Vec::new(),
            filter,
            groups: groups.keys.iter().map(|k| k.1.clone()).collect(),
            group_sets: groups.sets.as_ref().map(|_| groups.written.1.clone()),
            group_distinct: groups.written.0,
            having: having.cloned(),
            named_windows,
            aggregates: frame.aggregates.clone(),
            sets: frame.sets.clone(),
            groupings: frame
                .groupings
                .iter()
                .map(|(id, args)| (*id, args.iter().map(|a| a.0.clone()).collect()))
                .collect(),
            windows: frame.windows.clone(),
        };
        let order = order
            .iter()
            .filter_map(|(i, descending, first)| Some((Key::Expr(target(*i)?), *descending, *first)))
            .collect();
        if let Some(record) = &mut self.record {
            let from = record.items.split_off(mark.min(record.items.len()));
            let body = Body::Select(Box::new(SelectTree { from, ..tree }));
            record.queries.push(QueryTree { body, order, ..QueryTree::default() });
        }
        Ok(())
    }

    pub(super) fn record_mark(&self) -> usize {
        self.record.as_ref().map_or(0, |r| r.items.len())
    }

    /// A body was bound whose last part is the last one recorded.
    pub(super) fn record_set(&mut self, op: SetOp, all: bool) {
        let Some(record) = &mut self.record else { return };
        if let (Some(right), Some(left)) = (record.nodes.pop(), record.nodes.pop()) {
            record.nodes.push(SetNode::Op { op, all, left: Box::new(left), right: Box::new(right) });
        }
    }

    /// Literals that both sides of a set operation left without a type take the common ones.
    pub(super) fn record_types(&mut self, types: &[SqlType]) -> Result<()> {
        let Some(mut record) = self.record.take() else { return Ok(()) };
        let from = record.nodes.len().saturating_sub(2);
        let mut result = Ok(());
        for node in record.nodes.iter_mut().skip(from) {
            let SetNode::Leaf(query) = node else { continue };
            let Body::Select(select) = &mut query.body else { continue };
            for ((_, e), ty) in select.targets.iter_mut().zip(types) {
                if matches!(e, Expr::Const(_, t) if t.oid == oid::UNKNOWN) {
                    match self.implicit(e.clone(), *ty, 0) {
                        Ok(typed) => *e = typed,
                        Err(error) => result = Err(error),
                    }
                }
            }
        }
        self.record = Some(record);
        result
    }

    /// The last query is a part of a set operation.
    pub(super) fn record_leaf(&mut self) {
        let Some(record) = &mut self.record else { return };
        let Some(query) = record.queries.pop() else { return };
        let plain = query.ctes.is_empty()
            && query.order.is_empty()
            && query.locks.is_empty()
            && query.limit.is_none()
            && query.offset.is_none();
        record.nodes.push(match query {
            QueryTree { body: Body::Set(node), .. } if plain => node,
            query => SetNode::Leaf(Box::new(query)),
        });
    }

    pub(super) fn record_values(&mut self, rows: &[Vec<Expr>]) {
        let Some(record) = &mut self.record else { return };
        let body = Body::Values(rows.to_vec());
        record.nodes.push(SetNode::Leaf(Box::new(QueryTree { body, ..QueryTree::default() })));
    }

    /// A query whose body is made of parts: the parts become a query.
    pub(super) fn record_body(&mut self) {
        let Some(record) = &mut self.record else { return };
        record.queries.push(match record.nodes.pop() {
            Some(SetNode::Leaf(query)) => *query,
            Some(node) => QueryTree { body: Body::Set(node), ..QueryTree::default() },
            None => QueryTree::default(),
        });
    }

    pub(super) fn record_order(&mut self, order: Vec<(usize, bool, bool)>) {
        if let Some(query) = self.record.as_mut().and_then(|r| r.queries.last_mut())
            && !order.is_empty()
        {
            query.order = order.into_iter().map(|(i, d, n)| (Key::Number(i + 1), d, n)).collect();
        }
    }

    pub(super) fn record_limit(&mut self, limit: Option<&Expr>, offset: Option<&Expr>, ties: bool) {
        if let Some(query) = self.record.as_mut().and_then(|r| r.queries.last_mut()) {
            (query.limit, query.offset) = (limit.cloned(), offset.cloned());
            query.ties = ties;
        }
    }

    /// A query is bound: what follows its body becomes part of it.
    pub(super) fn record_query(&mut self, query: &sq::Query) {
        let aliases = || {
            self.frames.last().map_or_else(Vec::new, |f| f.entries.iter().map(|e| e.alias.clone()).collect())
        };
        let aliases: Vec<String> = if query.locks.is_empty() { Vec::new() } else { aliases() };
        let Some(record) = &mut self.record else { return };
        let with = if query.with.is_some() { record.with.pop() } else { None };
        let Some(tree) = record.queries.last_mut() else { return };
        if let Some((recursive, ctes)) = with {
            tree.recursive |= recursive;
            tree.ctes.splice(0..0, ctes);
        }
        for lock in &query.locks {
            let (strength, tables) = super::locking::lock_clause(lock);
            let strength = match strength {
                0 => "KEY SHARE",
                1 => "SHARE",
                2 => "NO KEY UPDATE",
                _ => "UPDATE",
            };
            let wait = match lock.nonblock {
                None => "",
                Some(sq::NonBlock::Nowait) => " NOWAIT",
                Some(sq::NonBlock::SkipLocked) => " SKIP LOCKED",
            };
            let tables: Vec<String> = match tables.is_empty() {
                true => aliases.clone(),
                false => tables.into_iter().map(|t| t.0).collect(),
            };
            tree.locks.extend(tables.into_iter().map(|t| (strength, t, wait)));
        }
    }

    pub(super) fn record_with(&mut self, recursive: bool) {
        if let Some(record) = &mut self.record {
            record.with.push((recursive, Vec::new()));
        }
    }

    /// How many queries and parts are recorded, to come back to.
    pub(super) fn record_depth(&self) -> [usize; 3] {
        self.record.as_ref().map_or([0; 3], |r| [r.queries.len(), r.nodes.len(), r.with.len()])
    }

    /// The last query recorded is a WITH query, which was written so.
    pub(super) fn record_cte(&mut self, cte: &sq::Cte, [queries, nodes, with]: [usize; 3]) -> Result<()> {
        let (search, cycle) =
            if self.recording() { crate::grammar::search::clauses(cte)? } else { (None, None) };
        let cycle = match cycle {
            Some(c) => {
                let (value, default) = self.cycle_values(&c)?;
                Some((c, value, default))
            }
            None => None,
        };
        let Some(record) = &mut self.record else { return Ok(()) };
        if record.queries.len() <= queries {
            return Ok(());
        }
        let Some(mut query) = record.queries.pop() else { return Ok(()) };
        if search.is_some() || cycle.is_some() {
            super::search::as_written(&mut query, search.iter().count() + 2 * cycle.iter().count());
        }
        record.queries.truncate(queries);
        record.nodes.truncate(nodes);
        record.with.truncate(with);
        if let Some((_, ctes)) = record.with.last_mut() {
            ctes.push(CteTree {
                name: cte.alias.name.value.clone(),
                columns: cte.alias.columns.iter().map(|c| c.name.value.clone()).collect(),
                materialized: cte
                    .materialized
                    .as_ref()
                    .map(|m| matches!(m, sq::CteAsMaterialized::Materialized)),
                query,
                search,
                cycle,
            });
        }
        Ok(())
    }

    /// The last query recorded belongs to a subplan; its number.
    pub(super) fn record_plan(&mut self) -> u32 {
        let Some(record) = &mut self.record else { return 0 };
        record.plans.extend(record.queries.pop());
        record.plans.len() as u32
    }

    pub(super) fn record_window_name(&mut self, column: u32, over: &sq::WindowType) {
        let Some(record) = &mut self.record else { return };
        let base = match over {
            sq::WindowType::NamedWindow(name) => {
                Some(WindowBase { name: name.value.clone(), whole: true, ordered: true })
            }
            sq::WindowType::WindowSpec(spec) => super::window::base(spec),
        };
        record.window_names.extend(base.map(|base| (column, base)));
    }

    /// A subquery was bound to be compared with a row.
    pub(super) fn record_row_test(&mut self, e: &Expr, op: &str, row: &[Expr]) {
        if let (Some(record), Expr::SubPlan(plan)) = (&mut self.record, e) {
            record.row_tests.push((plan.source, op.into(), row.to_vec()));
        }
    }

    /// Forgets the last query: it stands for a relation.
    pub(super) fn unrecorded<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        let record = self.record.take();
        let result = f(self);
        self.record = record;
        result
    }
}

/// Where the system columns of a relation's scan begin.
pub(super) fn system_columns(
    relation: &Relation,
    entry: &Entry,
    scans: &[super::scope::Scan],
) -> Option<u32> {
    let scan = entry.scan.and_then(|s| scans.get(s))?;
    Some(scan.base + relation.live().count() as u32)
}

/// Binds a query's text and keeps what it takes to print it.
pub(crate) fn recorded_text(text: &str, catalog: &dyn CatalogReader) -> Result<(Box<Recorder>, Vec<String>)> {
    let parsed = crate::grammar::statements(text)?;
    match parsed.into_iter().next().map(|i| i.ast) {
        Some(Ast::Query(query)) => recorded(&query, text, catalog),
        _ => Err(SqlError::internal("view without query")),
    }
}

/// Binds a query and keeps what it takes to print it, with the names of its columns.
pub(crate) fn recorded(
    query: &sq::Query,
    text: &str,
    catalog: &dyn CatalogReader,
) -> Result<(Box<Recorder>, Vec<String>)> {
    recorded_in(query, text, catalog, None)
}

/// As [`recorded`], a query of a routine's body.
pub(crate) fn recorded_in(
    query: &sq::Query,
    text: &str,
    catalog: &dyn CatalogReader,
    routine: Option<&pg_plan::routine::Resolved>,
) -> Result<(Box<Recorder>, Vec<String>)> {
    let format = FormatSettings::default();
    let types: Vec<Option<pg_types::Oid>> =
        routine.iter().flat_map(|r| &r.inputs).map(|t| Some(t.oid)).collect();
    let mut binder = Binder::new(catalog, &format, text, &types);
    binder.routine = routine.map(super::body::scope_of);
    binder.record = Some(Box::default());
    // Policies are no part of the text.
    binder.securing_off = true;
    let bound = binder.query(query)?;
    let names = bound.columns.iter().map(|c| c.name.clone()).collect();
    let record = binder.record.take().ok_or_else(|| SqlError::internal("nothing was recorded"))?;
    Ok((record, names))
}

/// Binds an expression over a relation's columns and keeps what it takes to print it.
pub(crate) fn recorded_condition(
    text: &str,
    relation: &Relation,
    catalog: &dyn CatalogReader,
) -> Result<Condition> {
    let parsed = crate::grammar::expression(text)?;
    let format = FormatSettings::default();
    let mut binder = Binder::new(catalog, &format, text, &[]);
    binder.params_allowed = false;
    binder.over_columns(&parsed, relation, |_, bound| Ok(bound))
}

impl Binder<'_> {
    /// See [`recorded_condition`].
    pub(super) fn over_columns(
        &mut self,
        e: &sq::Expr,
        relation: &Relation,
        coerce: impl FnOnce(&mut Self, Expr) -> Result<Expr>,
    ) -> Result<Condition> {
        let ids: Vec<ColumnId> = relation.live().map(|a| (a.attnum - 1) as ColumnId).collect();
        self.next_column = self.next_column.max(ids.iter().max().map_or(0, |last| last + 1));
        let entry = self.row_entry(relation, &relation.name, &ids);
        let outer = self.record.replace(Box::default());
        // Its own table is not a policy's to secure again while it is made, and policies are no part of the text.
        let off = core::mem::replace(&mut self.securing_off, true);
        let bound = self.in_frame(entry, Place::Where, |b| {
            b.deeper(|b| {
                let bound = b.expr(e)?;
                coerce(b, bound)
            })
        });
        self.securing_off = off;
        let record = core::mem::replace(&mut self.record, outer);
        let record = record.ok_or_else(|| SqlError::internal("nothing was recorded"))?;
        Ok(Condition::of(record, relation, bound?))
    }
}

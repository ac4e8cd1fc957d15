//! SELECT.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_plan::{
    expr::Expr,
    logical::{Column, Locked, Logical, SortKey},
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, oid};
use sqlparser::ast as sq;

use super::{
    Binder, Bound,
    aggregate::{Groups, descending},
    collation::Derived,
    expr::{list_position, start},
    grouping::GroupBy,
    locking::{self, Locks},
    names,
    scope::Place,
};
use crate::dialect::is_nothing;

/// A result column before it is projected.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) expr: Expr,
    pub(super) origin: (Oid, i16),
    pub(super) collation: Derived,
}

/// ORDER BY over the targets: (target, descending, nulls first).
pub(super) type Order = Vec<(usize, bool, bool)>;

impl Binder<'_> {
    /// A query at the top: opens a frame of its own.
    pub(super) fn query(&mut self, query: &sq::Query) -> Result<Bound> {
        let (bound, _) = self.enclosed(|b| b.query_here(query))?;
        Ok(bound)
    }

    /// A query in the current (fresh) frame.
    pub(super) fn query_here(&mut self, query: &sq::Query) -> Result<Bound> {
        if query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            return Err(SqlError::unsupported("this clause of SELECT"));
        }
        if let Some(with) = &query.with {
            let pushed = self.pushed.take();
            self.with(with)?;
            self.pushed = pushed;
        }
        let bound = self.query_body(query)?;
        self.record_query(query);
        Ok(bound)
    }

    fn query_body(&mut self, query: &sq::Query) -> Result<Bound> {
        match &*query.body {
            sq::SetExpr::Select(select) => self.select(select, query),
            sq::SetExpr::Query(inner)
                if query.order_by.is_none() && query.limit_clause.is_none() && query.fetch.is_none() =>
            {
                if !query.locks.is_empty() {
                    return Err(SqlError::unsupported("FOR UPDATE outside a parenthesised query"));
                }
                self.deeper(|b| b.query_here(inner))
            }
            body => {
                let pushed = self.pushed.take().filter(|_| matches!(body, sq::SetExpr::SetOperation { .. }));
                let bound = self.deeper(|b| b.set_expr(body))?;
                self.record_body();
                if !query.locks.is_empty() || pushed.is_some() {
                    let own = query.locks.first().map(|l| super::locking::lock_clause(l).0);
                    let strength = own.or(pushed.map(|p| p.0)).unwrap_or_default();
                    let clause = super::locking::strength_name(strength);
                    return Err(SqlError::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        format!("{clause} is not allowed with UNION/INTERSECT/EXCEPT"),
                    ));
                }
                self.order_result(bound, query)
            }
        }
    }

    fn select(&mut self, select: &sq::Select, query: &sq::Query) -> Result<Bound> {
        refuse_foreign(select)?;
        self.name_windows(&select.named_window)?;
        let keep = core::mem::take(&mut self.keep_unknown);
        let mark = self.record_mark();
        let pushed = self.pushed.take();
        let clauses = locking::clauses(query, pushed);
        let locking = core::mem::replace(&mut self.locking, clauses);
        let plan = self.from(&select.from);
        let clauses = core::mem::replace(&mut self.locking, locking);
        let mut plan = plan?;
        let keys = match &select.group_by {
            sq::GroupByExpr::Expressions(items, modifiers) if modifiers.is_empty() => {
                self.group_by(items, &select.projection)?
            }
            _ => return Err(SqlError::unsupported("GROUP BY ALL")),
        };
        let grouped = self.taken_group_collation();
        let mut targets = self.at_place(Place::Select, |b| b.targets(&select.projection))?;
        self.check_groups(grouped, &keys.keys, targets.iter().map(|t| (&t.expr, t.collation)))?;
        let mut filter = None;
        if let Some(condition) = &select.selection {
            let condition = self.condition(condition, Place::Where, "WHERE")?;
            filter = self.recording().then(|| condition.clone());
            plan = Logical::Filter(Box::new(plan), condition);
        }
        if !keep || matches!(select.distinct, Some(sq::Distinct::Distinct)) {
            self.at_place(Place::Select, |b| b.settle_targets(&mut targets))?;
        }
        let visible = targets.len();
        let having = match &select.having {
            Some(e) => Some(self.condition(e, Place::Having, "HAVING")?),
            None => None,
        };
        let mut on = Vec::new();
        if let Some(sq::Distinct::On(items)) = &select.distinct {
            on = self.at_place(Place::DistinctOn, |b| b.result_keys(items, &mut targets, visible))?;
        }
        let distinct = matches!(select.distinct, Some(sq::Distinct::Distinct));
        let order = self.order_by(query, &mut targets, visible, distinct)?;
        self.record_select(mark, select, filter, &keys, having.as_ref(), &targets, visible, &on, &order)?;
        let written_order = !order.is_empty();
        let order = distinct_on_order(order, &on)?;
        let locks = self.lock_targets(&clauses, select, &mut targets)?;
        // A lock from outside is taken outside, on the rows that are left there.
        let hoists = pushed.is_some() && query.limit_clause.is_none() && query.fetch.is_none();
        self.fill_scans(&mut plan);
        plan = self.group(plan, keys, having, &mut targets, select)?;
        plan = self.windows(plan)?;
        if on.is_empty() || !written_order || self.sets_sorted(&targets, &on, &order)? {
            plan = self.sets(plan)?;
        }
        self.finish_select(plan, targets, visible, distinct, &on, &order, (locks, hoists), query)
    }

    pub(super) fn condition(&mut self, e: &sq::Expr, place: Place, clause: &str) -> Result<Expr> {
        self.at_place(place, |b| {
            let bound = b.expr(e)?;
            b.boolean(bound, clause, start(e))
        })
    }

    /// The select list, stars expanded.
    pub(super) fn targets(&mut self, projection: &[sq::SelectItem]) -> Result<Vec<Target>> {
        let mut targets = Vec::with_capacity(projection.len());
        for item in projection {
            match item {
                sq::SelectItem::UnnamedExpr(e) if is_nothing(e) && projection.len() == 1 => {}
                sq::SelectItem::UnnamedExpr(e) => match super::user_types::expanded(e) {
                    Some(value) => self.composite_star(&value, &mut targets)?,
                    None => self.target(e, None, &mut targets)?,
                },
                // The grammar takes strings for names here.
                sq::SelectItem::ExprWithAlias { alias, .. } if alias.quote_style == Some('\'') => {
                    let text = format!("syntax error at or near \"'{}'\"", alias.value);
                    return Err(SqlError::syntax(text).at(crate::grammar::position(alias.span.start)));
                }
                sq::SelectItem::ExprWithAlias { expr, alias } => {
                    self.target(expr, Some(&alias.value), &mut targets)?;
                }
                sq::SelectItem::Wildcard(options) => {
                    plain_star(options)?;
                    self.star(&mut targets, crate::grammar::position(options.wildcard_token.0.span.start))?;
                }
                sq::SelectItem::QualifiedWildcard(
                    sq::SelectItemQualifiedWildcardKind::ObjectName(name),
                    o,
                ) => {
                    plain_star(o)?;
                    self.table_star(name, &mut targets)?;
                }
                _ => return Err(SqlError::unsupported("expansion of a composite value")),
            }
        }
        Ok(targets)
    }

    fn target(&mut self, e: &sq::Expr, alias: Option<&str>, targets: &mut Vec<Target>) -> Result<()> {
        let origin = self.origin(e)?;
        let mark = self.collation_mark();
        let expr = self.expr(e)?;
        let collation = self.taken_collation(mark);
        let name = match alias {
            Some(alias) => alias.into(),
            None => names::column_name(e).map_or_else(|| "?column?".into(), |(name, _)| name),
        };
        targets.push(Target { name, expr, origin, collation });
        Ok(())
    }

    /// Gives literals without a type the type text.
    pub(super) fn settle_targets(&mut self, targets: &mut [Target]) -> Result<()> {
        for target in targets {
            if target.expr.ty().oid == oid::UNKNOWN {
                let taken = core::mem::replace(&mut target.expr, Expr::And(Vec::new()));
                target.expr = self.settle(taken)?;
            }
        }
        Ok(())
    }

    /// The table column a plain name stands for.
    pub(super) fn origin(&mut self, e: &sq::Expr) -> Result<(Oid, i16)> {
        Ok(match e {
            sq::Expr::Identifier(ident) => {
                self.find_column(&ident.value, super::scope::at(ident))?.map_or((0, 0), |(_, o)| o)
            }
            sq::Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                // A parameter, or a function of a row.
                [table, column]
                    if match self.find_entry(None, &table.value, super::scope::at(table))? {
                        None => self.routine.is_some(),
                        Some(_) => !self.routines_named(None, &column.value)?.is_empty(),
                    } =>
                {
                    self.plain_origin(&table.value, &column.value)
                }
                [table, column] => {
                    self.qualified_column(None, &table.value, &column.value, super::scope::at(table))?.1
                }
                [schema, table, column] => {
                    let at = super::scope::at(schema);
                    self.qualified_column(Some(&schema.value), &table.value, &column.value, at)?.1
                }
                _ => (0, 0),
            },
            _ => (0, 0),
        })
    }

    /// As far as a qualified name is that of a column.
    fn plain_origin(&mut self, table: &str, column: &str) -> (Oid, i16) {
        self.qualified_column(None, table, column, 0).map_or((0, 0), |c| c.1)
    }

    fn star(&mut self, targets: &mut Vec<Target>, at: u32) -> Result<()> {
        let frame = self.frame()?;
        if frame.entries.is_empty() {
            return Err(SqlError::syntax("SELECT * with no tables specified is not valid").at(at));
        }
        for v in frame.visible.clone() {
            self.star_column(&v.expr, at, &v.name);
            let collation = self.mentioned(&v.expr, at);
            targets.push(Target { name: v.name, expr: v.expr, origin: v.origin, collation });
        }
        Ok(())
    }

    fn star_column(&mut self, expr: &Expr, at: u32, name: &str) {
        let mut ids = Vec::new();
        expr.for_each_column(&mut |id| ids.push(id));
        for id in ids {
            self.use_column(id);
            let table = self.frames.last().and_then(|f| {
                f.entries
                    .iter()
                    .find(|e| e.columns.iter().any(|c| c.expr.same(expr)))
                    .map(|e| e.alias.clone())
            });
            if let Some(frame) = self.frames.last_mut()
                && !frame.mentions.iter().any(|(m, ..)| *m == id)
            {
                let shown = table.map_or_else(|| name.into(), |t| format!("{t}.{name}"));
                frame.mentions.push((id, at, shown));
            }
        }
    }

    fn table_star(&mut self, name: &sq::ObjectName, targets: &mut Vec<Target>) -> Result<()> {
        let name = crate::grammar::name_of(name)?;
        let schema = name.name.schema.as_deref();
        let Some((level, index)) = self.find_entry(schema, &name.name.name, name.at)? else {
            return Err(SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("missing FROM-clause entry for table \"{}\"", name.name.name),
            )
            .at(name.at));
        };
        let columns = self.frames.get(level).and_then(|f| f.entries.get(index)).map(|e| e.columns.clone());
        // By their places: several may have one name.
        for column in columns.unwrap_or_default() {
            let expr = self.column_of(level, &name.name.name, &column, name.at)?;
            let collation = self.mentioned(&expr, name.at);
            targets.push(Target { name: column.name, expr, origin: column.origin, collation });
        }
        Ok(())
    }

    /// Expressions given by position, output name or as such; missing ones are added behind the visible targets.
    pub(super) fn result_keys(
        &mut self,
        items: &[sq::Expr],
        targets: &mut Vec<Target>,
        visible: usize,
    ) -> Result<Vec<usize>> {
        let mut keys = Vec::with_capacity(items.len());
        for item in items {
            keys.push(self.result_key(item, targets, visible, "DISTINCT ON")?);
        }
        Ok(keys)
    }

    fn result_key(
        &mut self,
        item: &sq::Expr,
        targets: &mut Vec<Target>,
        visible: usize,
        clause: &str,
    ) -> Result<usize> {
        let at = start(item);
        if let Some((n, text)) = list_position(item, clause)? {
            if (1..=visible).contains(&n) {
                return Ok(n - 1);
            }
            let text = format!("{clause} position {text} is not in select list");
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, text).at(at));
        }
        if let sq::Expr::Identifier(ident) = item {
            let mut named = targets.iter().take(visible).enumerate().filter(|(_, t)| t.name == ident.value);
            if let Some((first, target)) = named.next() {
                if named.any(|(_, other)| !other.expr.same(&target.expr)) {
                    return Err(SqlError::new(
                        SqlState::AMBIGUOUS_COLUMN,
                        format!("{clause} \"{}\" is ambiguous", ident.value),
                    )
                    .at(at));
                }
                return Ok(first);
            }
        }
        let mark = self.collation_mark();
        let expr = self.settled(item)?;
        let collation = self.taken_collation(mark);
        if let Some(existing) = targets.iter().position(|t| t.expr.same(&expr)) {
            return Ok(existing);
        }
        targets.push(Target { name: String::new(), expr, origin: (0, 0), collation });
        Ok(targets.len() - 1)
    }

    fn order_by(
        &mut self,
        query: &sq::Query,
        targets: &mut Vec<Target>,
        visible: usize,
        distinct: bool,
    ) -> Result<Order> {
        self.at_place(Place::OrderBy, |b| {
            let mut order = Vec::new();
            for item in order_items(query)? {
                let before = targets.len();
                let key = b.result_key(&item.expr, targets, visible, "ORDER BY")?;
                if distinct && key >= visible && targets.len() > before {
                    return Err(SqlError::new(
                        SqlState::INVALID_COLUMN_REFERENCE,
                        "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                    )
                    .at(start(&item.expr)));
                }
                let ty = targets.get(key).map_or(SqlType::new(oid::TEXT), |t| t.expr.ty());
                b.orderable(ty, &item.expr)?;
                let descending = descending(&item.options, ty)?;
                order.push((key, descending, item.options.nulls_first.unwrap_or(descending)));
            }
            Ok(order)
        })
    }

    pub(super) fn orderable(&self, ty: SqlType, item: &sq::Expr) -> Result<()> {
        if ty.oid == oid::RECORD || pg_functions::registry().less_than_operator(ty.oid).is_some() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("could not identify an ordering operator for type {}", super::types::show(ty)),
        )
        .hint("Use an explicit ordering operator or modify the query.")
        .at(start(item)))
    }

    /// GROUP BY, aggregates and HAVING.
    fn group(
        &mut self,
        mut plan: Logical,
        by: GroupBy,
        having: Option<Expr>,
        targets: &mut [Target],
        select: &sq::Select,
    ) -> Result<Logical> {
        let aggregates = core::mem::take(&mut self.frame()?.aggregates);
        let grouped = !matches!(&select.group_by, sq::GroupByExpr::Expressions(items, _) if items.is_empty());
        let asks = !self.frame()?.groupings.is_empty();
        if !grouped && aggregates.is_empty() && having.is_none() && !asks {
            return Ok(plan);
        }
        let GroupBy { keys, sets: grouping_sets, .. } = by;
        let number = self.column("", SqlType::new(oid::INT4));
        let groupings = self.groupings(&keys, grouping_sets.as_deref().map(|s| (s, number.id)))?;
        let results = aggregates.iter().map(|(c, _)| c.id).chain([number.id]).collect();
        let one_set = grouping_sets.is_none();
        let mut groups = Groups { keys, results, one_set, groupings, in_subquery: false };
        plan = self.sets_in_keys(plan, &groups.keys)?;
        // Results of other set-returning functions are computed above the aggregation.
        let mut sets = core::mem::take(&mut self.frame()?.sets);
        groups.results.extend(sets.iter().map(|(c, _)| c.id));
        for (_, call) in &mut sets {
            let taken = core::mem::replace(call, Expr::And(Vec::new()));
            *call = self.over_groups(taken, &mut groups)?;
        }
        self.frame()?.sets = sets;
        let calls = self.frame()?.windows.iter().flat_map(|(_, calls)| calls);
        groups.results.extend(calls.map(|(c, _)| c.id));
        for target in targets.iter_mut() {
            let taken = core::mem::replace(&mut target.expr, Expr::And(Vec::new()));
            target.expr = match groups.key(&taken) {
                Some(column) => Expr::Column(column.id, taken.ty()),
                None => self.over_groups(taken, &mut groups)?,
            };
        }
        self.windows_over_groups(&mut groups)?;
        let having = having.map(|h| self.over_groups(h, &mut groups)).transpose()?;
        let (mut keys, mut seeds) = (groups.keys, Vec::new());
        if let Some(sets) = &grouping_sets {
            (plan, keys, seeds) = self.spread(plan, keys, sets, number)?;
        }
        plan = Logical::Aggregate { input: Box::new(plan), groups: keys, aggregates, seeds };
        if let Some(having) = having {
            plan = Logical::Filter(Box::new(plan), having);
        }
        Ok(plan)
    }

    /// Set-returning functions that group keys read are computed below the aggregation.
    fn sets_in_keys(&mut self, plan: Logical, keys: &[(Column, Expr)]) -> Result<Logical> {
        let pending = core::mem::take(&mut self.frame()?.sets);
        let mut wanted: Vec<u32> = Vec::new();
        keys.iter().for_each(|(_, e)| e.for_each_column(&mut |id| wanted.push(id)));
        for (column, call) in pending.iter().rev() {
            // What feeds one that is wanted stands before it.
            if wanted.contains(&column.id) {
                call.for_each_column(&mut |id| wanted.push(id));
            }
        }
        let (below, above): (Vec<_>, Vec<_>) = pending.into_iter().partition(|(c, _)| wanted.contains(&c.id));
        self.frame()?.sets = below;
        let plan = self.sets(plan)?;
        self.frame()?.sets = above;
        Ok(plan)
    }

    /// Set-returning functions of the select list. One may feed another: each level is a ProjectSet of its own.
    pub(super) fn sets(&mut self, mut plan: Logical) -> Result<Logical> {
        let mut pending = core::mem::take(&mut self.frame()?.sets);
        while !pending.is_empty() {
            let ids: Vec<u32> = pending.iter().map(|(c, _)| c.id).collect();
            let (later, now): (Vec<_>, Vec<_>) = pending.into_iter().partition(|(_, e)| {
                let mut uses = false;
                e.for_each_column(&mut |id| uses |= ids.contains(&id));
                uses
            });
            if now.is_empty() {
                return Err(SqlError::internal("set-returning functions in a circle"));
            }
            plan = Logical::ProjectSet(Box::new(plan), now);
            pending = later;
        }
        Ok(plan)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one statement")]
    fn finish_select(
        &mut self,
        mut plan: Logical,
        targets: Vec<Target>,
        visible: usize,
        distinct: bool,
        on: &[usize],
        order: &Order,
        (locks, hoists): (Locks, bool),
        query: &sq::Query,
    ) -> Result<Bound> {
        let mut projected = Vec::with_capacity(targets.len());
        let mut origins = Vec::with_capacity(visible);
        for (n, target) in targets.into_iter().enumerate() {
            let column = self.column(&target.name, target.expr.ty());
            let sorted = order.iter().any(|(o, ..)| *o == n);
            if sorted || on.contains(&n) || distinct && n < visible {
                self.settled_collation(target.collation)?;
            }
            self.keep_collation(column.id, column.ty, target.collation);
            if sorted {
                self.sorts_by(column.id);
            }
            origins.push(target.origin);
            self.keep_shape(column.id, &target.expr);
            projected.push((column, target.expr));
        }
        origins.truncate(visible);
        let plain = !distinct && on.is_empty() && !hoists && super::postponed::concerned(order, query);
        let mut late = match plain {
            true => self.postponed(&mut projected, visible, order),
            false => self.postponed_sets(&mut projected, visible)?,
        };
        let columns: Vec<Column> = projected.iter().map(|(c, _)| c.clone()).collect();
        let extra = columns.len() > visible || !late.is_empty();
        plan = Logical::Project(Box::new(plan), projected);
        let reference = |i: &usize| columns.get(*i).map(|c| Expr::Column(c.id, c.ty));
        if distinct {
            self.hashable(columns.get(..visible).unwrap_or(&[]))?;
            plan = Logical::Distinct(Box::new(plan), None);
        }
        if !order.is_empty() {
            let keys = order
                .iter()
                .filter_map(|(i, descending, nulls_first)| {
                    Some(SortKey { expr: reference(i)?, descending: *descending, nulls_first: *nulls_first })
                })
                .collect();
            plan = Logical::Sort(Box::new(plan), keys);
        }
        if !on.is_empty() {
            plan = Logical::Distinct(Box::new(plan), Some(on.iter().filter_map(reference).collect()));
        }
        plan = self.sets(plan)?;
        if let Some((tables, wait)) = locks {
            let id = |target: u32| columns.get(target as usize).map(|c| c.id);
            let tables = tables.into_iter().filter_map(|locked| {
                let tableoid = locked.tableoid.and_then(id);
                Some(Locked { ctid: id(locked.ctid)?, tableoid, ..locked })
            });
            let tables = tables.collect();
            if hoists {
                self.hoisted = tables;
            } else {
                plan = Logical::LockRows { input: Box::new(plan), tables, wait };
            }
        }
        plan = self.limit(plan, query)?;
        let mut columns = columns;
        if extra && hoists {
            columns.truncate(visible);
        } else if extra {
            let computed = !late.is_empty();
            let mut kept: Vec<(Column, Expr)> = Vec::with_capacity(visible);
            for (n, c) in columns.into_iter().take(visible).enumerate() {
                let place = late.iter().position(|(at, _)| *at == n);
                let expr = place.map_or(Expr::Column(c.id, c.ty), |p| late.swap_remove(p).1);
                let id = self.column_id();
                self.keep_shape(id, &expr);
                self.copy_collation(c.id, id);
                kept.push((Column { id, ..c }, expr));
            }
            columns = kept.iter().map(|(c, _)| c.clone()).collect();
            plan = match computed {
                true => super::postponed::computed(plan, kept),
                false => Logical::Project(Box::new(plan), kept),
            };
        }
        Ok(Bound { plan, columns, origins })
    }

    /// DISTINCT needs equality of every column.
    pub(super) fn hashable(&self, columns: &[Column]) -> Result<()> {
        for column in columns {
            if column.ty.oid != oid::RECORD
                && pg_functions::registry().equality_operator(column.ty.oid).is_none()
            {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_FUNCTION,
                    format!(
                        "could not identify an equality operator for type {}",
                        super::types::show(column.ty)
                    ),
                ));
            }
        }
        Ok(())
    }

    /// LIMIT, OFFSET and FETCH.
    pub(super) fn limit(&mut self, plan: Logical, query: &sq::Query) -> Result<Logical> {
        let (mut limit, mut offset, mut ties) = (None, None, Vec::new());
        match &query.limit_clause {
            None => {}
            Some(sq::LimitClause::LimitOffset { limit: l, offset: o, limit_by }) => {
                if !limit_by.is_empty() {
                    return Err(SqlError::syntax("syntax error at or near \"BY\""));
                }
                limit = l.as_ref();
                offset = o.as_ref().map(|o| &o.value);
            }
            Some(sq::LimitClause::OffsetCommaLimit { .. }) => {
                return Err(SqlError::syntax("LIMIT #,# syntax is not supported")
                    .hint("Use separate LIMIT and OFFSET clauses."));
            }
        }
        let one = sq::Expr::Value(sq::Value::Number("1".into(), false).into());
        if let Some(fetch) = &query.fetch {
            if fetch.percent {
                return Err(SqlError::syntax("syntax error at or near \"PERCENT\""));
            }
            if fetch.with_ties {
                ties = ties_of(&plan)?;
                if query.locks.iter().any(|l| l.nonblock == Some(sq::NonBlock::SkipLocked)) {
                    let text = "SKIP LOCKED and WITH TIES options cannot be used together";
                    return Err(SqlError::syntax(text));
                }
            }
            match (&fetch.quantity, limit) {
                // A count in parentheses was made a LIMIT of.
                (None, Some(_)) if fetch.with_ties => {}
                (_, Some(_)) => return Err(SqlError::syntax("syntax error at or near \"fetch\"")),
                (quantity, None) => limit = Some(quantity.as_ref().unwrap_or(&one)),
            }
        }
        if limit.is_none() && offset.is_none() {
            return Ok(plan);
        }
        let limit = limit.map(|e| self.count(e, "LIMIT")).transpose()?;
        let offset = offset.map(|e| self.count(e, "OFFSET")).transpose()?;
        self.record_limit(limit.as_ref(), offset.as_ref(), !ties.is_empty());
        Ok(Logical::Limit { input: Box::new(plan), limit, offset, ties })
    }

    fn count(&mut self, e: &sq::Expr, clause: &str) -> Result<Expr> {
        let shut = core::mem::replace(&mut self.frame()?.shut, true);
        let bound = self.at_place(Place::Limit, |b| b.expr(e));
        self.frame()?.shut = shut;
        let bound = bound.map_err(|error| {
            if error.state() == SqlState::UNDEFINED_COLUMN {
                SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!("argument of {clause} must not contain variables"),
                )
                .at(start(e))
            } else {
                error
            }
        })?;
        let from = bound.ty();
        let int8 = SqlType::new(oid::INT8);
        self.try_coerce(bound, int8, pg_functions::CastContext::Assignment)?.ok_or_else(|| {
            SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("argument of {clause} must be type bigint, not type {}", super::types::show(from)),
            )
            .at(start(e))
        })
    }
}

/// The items of a query's ORDER BY.
pub(super) fn order_items(query: &sq::Query) -> Result<&[sq::OrderByExpr]> {
    match &query.order_by {
        None => Ok(&[]),
        Some(sq::OrderBy { kind: sq::OrderByKind::Expressions(items), interpolate: None }) => {
            if items.iter().any(|i| i.with_fill.is_some()) {
                return Err(SqlError::syntax("syntax error at or near \"FILL\""));
            }
            Ok(items)
        }
        Some(_) => Err(SqlError::syntax("syntax error at or near \"ALL\"")),
    }
}

/// With DISTINCT ON the sort must begin with its expressions.
fn distinct_on_order(order: Order, on: &[usize]) -> Result<Order> {
    if on.is_empty() {
        return Ok(order);
    }
    let leading = order.iter().take(on.len()).all(|(i, ..)| on.contains(i));
    if !leading {
        return Err(SqlError::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
        ));
    }
    let mut full = order;
    let missing: Vec<usize> = on.iter().copied().filter(|i| !full.iter().any(|(o, ..)| o == i)).collect();
    let at = full.iter().take_while(|(i, ..)| on.contains(i)).count();
    for (n, i) in missing.into_iter().enumerate() {
        full.insert(at + n, (i, false, false));
    }
    Ok(full)
}

fn plain_star(options: &sq::WildcardAdditionalOptions) -> Result<()> {
    if options.opt_ilike.is_some()
        || options.opt_exclude.is_some()
        || options.opt_except.is_some()
        || options.opt_replace.is_some()
        || options.opt_rename.is_some()
    {
        return Err(SqlError::syntax("syntax error after \"*\""));
    }
    Ok(())
}

/// Clauses that only other dialects have.
fn refuse_foreign(select: &sq::Select) -> Result<()> {
    let foreign = select.top.is_some()
        || select.exclude.is_some()
        || !select.lateral_views.is_empty()
        || select.prewhere.is_some()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || select.qualify.is_some()
        || select.value_table_mode.is_some()
        || select.select_modifiers.is_some();
    if foreign {
        return Err(SqlError::syntax("syntax error in SELECT"));
    }
    if let Some(into) = &select.into {
        let at = into.targets.first().map_or(0, super::expr::start);
        return Err(SqlError::syntax("SELECT ... INTO is not allowed here").at(at));
    }
    Ok(())
}

/// What rows are equal in that WITH TIES keeps together: the keys they are sorted by.
fn ties_of(plan: &Logical) -> Result<Vec<Expr>> {
    let mut plan = plan;
    loop {
        plan = match plan {
            Logical::Sort(_, keys) => return Ok(keys.iter().map(|k| k.expr.clone()).collect()),
            Logical::Distinct(input, Some(_)) | Logical::LockRows { input, .. } => input,
            _ => return Err(SqlError::syntax("WITH TIES cannot be specified without ORDER BY clause")),
        };
    }
}

//! The translation of operators, bottom up, with the columns that are needed above.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use hashbrown::HashMap;
use pg_catalog::{
    CatalogReader, ColumnStatistics, Relation,
    builtin::{DAGDB_EDGES, DAGDB_NODES},
};
use pg_plan::{
    expr::{ColumnId, Expr, SubPlanKind, SubQuery},
    logical::{AggregateCall, Column, JoinKind, Locked, Logical, SetOp},
    physical::{Estimate, Node, Physical},
    routine::Callee,
};
use pg_types::{Result, SqlError, SqlType, Value};

use crate::{
    PlannerSettings,
    access::{Table, libm_log2, never, nothing},
    columns::{ColumnSet, to_positions},
    estimate::{self, Knowledge},
    pushdown::{output, outputs, push_down},
    rewrite::{Folding, rewrite},
};

/// One key of an order that rows come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrderKey {
    pub(crate) column: ColumnId,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// A planned operator: what each output position holds, and the order of the rows.
#[derive(Clone, Debug)]
pub(crate) struct Sub {
    pub(crate) plan: Physical,
    pub(crate) columns: Vec<ColumnId>,
    pub(crate) order: Vec<OrderKey>,
}

impl Sub {
    pub(crate) fn ordered_by(&self, wanted: &[OrderKey]) -> bool {
        self.order.len() >= wanted.len() && self.order[..wanted.len()] == *wanted
    }
    pub(crate) fn rows(&self) -> f64 {
        self.plan.estimate.rows
    }
}

/// Deepest nesting of operators: planning recurses on a small stack.
const MAX_DEPTH: u32 = 360;

/// Highest tree of operators that is rewritten, which takes more of the stack for each.
const MAX_HEIGHT: u32 = 360;

#[cold]
fn too_deep() -> SqlError {
    SqlError::new(pg_types::SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
}

/// Is the tree higher than this?
fn higher(node: &Logical, than: u32) -> bool {
    let Some(left) = than.checked_sub(1) else { return true };
    node.inputs().any(|i| higher(i, left))
}

/// State of planning one statement.
pub(crate) struct Planner<'a> {
    pub(crate) catalog: &'a dyn CatalogReader,
    pub(crate) settings: &'a PlannerSettings,
    /// Slots handed out.
    pub(crate) slots: u32,
    stored: Arc<HashMap<ColumnId, StoredColumn>>,
    /// Expressions that there are statistics of, with the numbers under which `stored` has them.
    computed: Arc<Vec<(Expr, ColumnId)>>,
    /// Columns of tables that are unique together, and the tables' rows.
    pub(crate) keys: Vec<(Vec<ColumnId>, f64)>,
    /// Columns that the conditions of the joins at hand make equal.
    pub(crate) equal: Vec<Vec<ColumnId>>,
    /// Rows of each common table expression.
    pub(crate) cte_rows: Vec<f64>,
    /// Common table expressions that something reads.
    pub(crate) cte_read: ColumnSet,
    /// The first error of what is computed while planning.
    pub(crate) failed: Option<SqlError>,
    /// Values that parameters have, if they are known.
    pub(crate) values: Arc<[Value]>,
    /// Trees that were planned as inner sides of nested loops.
    pub(crate) tried: Vec<crate::probe::Tried>,
    depth: u32,
    /// How deep in choices between ways to do a subquery.
    pub(crate) nested: u32,
}

/// The table column behind a column id.
#[derive(Clone)]
pub(crate) struct StoredColumn {
    statistics: Option<Arc<ColumnStatistics>>,
    rows: f64,
    unique: bool,
    member: Option<crate::joint::Member>,
}

/// What is known about columns, shared.
pub(crate) struct Known(Arc<HashMap<ColumnId, StoredColumn>>, Arc<Vec<(Expr, ColumnId)>>);

impl Knowledge for Known {
    fn column(&self, id: ColumnId) -> Option<(Option<Arc<ColumnStatistics>>, f64, bool)> {
        self.0.get(&id).map(|c| (c.statistics.clone(), c.rows, c.unique))
    }
    fn id_of(&self, expr: &Expr) -> Option<ColumnId> {
        let computed = || self.1.iter().find(|(known, _)| crate::access::is_key(expr, known));
        estimate::column_of(expr).or_else(|| computed().map(|c| c.1))
    }
    fn member(&self, id: ColumnId) -> Option<crate::joint::Member> {
        self.0.get(&id)?.member.clone()
    }
}

/// What the operator above would like.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) order: Vec<OrderKey>,
    /// So many rows will be asked for; none: all.
    pub(crate) first: Option<f64>,
    /// Of rows that are equal in these columns, the first is enough; none: all rows count.
    pub(crate) distinct: Vec<ColumnId>,
}

impl Wish {
    pub(crate) fn none() -> Self {
        Self { order: Vec::new(), first: None, distinct: Vec::new() }
    }
    /// The same, where all rows count.
    pub(crate) fn all_rows(&self) -> Self {
        Self { order: self.order.clone(), first: self.first, distinct: Vec::new() }
    }
    /// What to wish of an input of which this share of the rows becomes rows of the operator.
    pub(crate) fn through(&self, kept: f64) -> Self {
        Self { first: self.first.map(|n| n / kept.max(1.0e-9)), ..self.all_rows() }
    }
    /// What the rows that will be asked for cost.
    pub(crate) fn cost(&self, e: Estimate) -> f64 {
        let share = self.first.map_or(1.0, |n| (n / e.rows.max(1.0)).min(1.0));
        e.startup + (e.total - e.startup) * share
    }
    /// The same of a plan, with what it takes to sort its rows if they do not come in the order.
    pub(crate) fn cost_of(&self, sub: &Sub, settings: &PlannerSettings) -> f64 {
        let e = sub.plan.estimate;
        match self.order.is_empty() || sub.ordered_by(&self.order) {
            true => self.cost(e),
            false => e.total + 2.0 * settings.cpu_operator_cost * e.rows * libm_log2(e.rows),
        }
    }
}

impl<'a> Planner<'a> {
    pub(crate) fn new(
        catalog: &'a dyn CatalogReader,
        settings: &'a PlannerSettings,
        slots: u32,
        values: &[Value],
    ) -> Self {
        Self {
            catalog,
            settings,
            slots,
            stored: Arc::default(),
            computed: Arc::default(),
            keys: Vec::new(),
            equal: Vec::new(),
            cte_rows: Vec::new(),
            cte_read: ColumnSet::default(),
            failed: None,
            values: Arc::from(values),
            tried: Vec::new(),
            depth: 0,
            nested: 0,
        }
    }

    pub(crate) fn knowledge(&self) -> Known {
        Known(self.stored.clone(), self.computed.clone())
    }

    /// Plans a whole query: its conditions pushed down first. All its output columns come out, in order.
    pub(crate) fn query(&mut self, node: Logical) -> Result<Sub> {
        let read = output(&node);
        self.query_read(node, &read)
    }

    /// As [`Self::query`], where someone reads these columns: all, or none.
    fn query_read(&mut self, node: Logical, read: &[ColumnId]) -> Result<Sub> {
        if higher(&node, MAX_HEIGHT) {
            return Err(too_deep());
        }
        let ids = output(&node);
        let mut folding = Folding::of(read.iter().copied(), &self.values);
        let node = push_down(rewrite(node, &mut folding), Vec::new());
        self.fails(folding.error);
        self.note_columns(&node)?;
        let sub = self.operator(node, &ColumnSet::of(read.iter().copied()), &Wish::none())?;
        if read.len() < ids.len() { Ok(sub) } else { self.exactly(sub, &ids) }
    }

    /// Notes an error of what was computed while planning: the statement's, if it is the first.
    pub(crate) fn fails(&mut self, error: Option<SqlError>) {
        self.failed = self.failed.take().or(error);
    }

    /// Remembers the stored columns of all tables below.
    pub(crate) fn note_columns(&mut self, node: &Logical) -> Result<()> {
        match node {
            Logical::Scan { relation, columns, .. } => {
                let (_, rows) = estimate::table_size(self.catalog, relation);
                let together = |i: &&Arc<pg_catalog::Index>| {
                    i.unique && !i.deferrable && i.predicate.is_none() && i.key_count > 1
                };
                for index in relation.indexes.iter().filter(together) {
                    let id = |attnum: i16| columns.iter().find(|(_, a)| *a == attnum).map(|(c, _)| c.id);
                    let keys = index.keys.iter().take(index.key_count);
                    let ids: Option<Vec<_>> = keys.map(|k| id(k.attnum).filter(|_| k.attnum > 0)).collect();
                    self.keys.extend(ids.map(|ids| (ids, rows)));
                }
                let joint = match relation.row_estimate >= 0.0 {
                    true => self.catalog.extended_statistics(relation.oid)?,
                    false => Arc::from([]),
                };
                let joint = (!joint.is_empty()).then(|| Arc::new(crate::joint::Table(joint)));
                for (column, attnum) in columns {
                    let unique = relation.indexes.iter().any(|i| {
                        i.unique
                            && !i.deferrable
                            && i.predicate.is_none()
                            && i.key_count == 1
                            && i.keys[0].attnum == *attnum
                    });
                    // Of a graph, there are always some.
                    let graph = matches!(relation.oid, DAGDB_NODES | DAGDB_EDGES);
                    let analysed = *attnum > 0 && (graph || relation.row_estimate >= 0.0);
                    let statistics =
                        if analysed { self.catalog.column_statistics(relation.oid, *attnum)? } else { None };
                    let member = joint.clone().map(|table| crate::joint::Member { table, attnum: *attnum });
                    Arc::make_mut(&mut self.stored)
                        .insert(column.id, StoredColumn { statistics, rows, unique, member });
                }
                if relation.row_estimate >= 0.0 {
                    if let Some(joint) = &joint {
                        self.note_joint_expressions(relation, columns, rows, joint)?;
                    }
                    self.note_computed(relation, columns, rows)
                } else {
                    Ok(())
                }
            }
            other => other.inputs().try_for_each(|i| self.note_columns(i)),
        }
    }

    /// Remembers the expressions of indexes that ANALYZE has seen the values of.
    fn note_computed(
        &mut self,
        relation: &Arc<Relation>,
        columns: &[(Column, i16)],
        rows: f64,
    ) -> Result<()> {
        for index in &relation.indexes {
            for (key, attnum) in index.keys.iter().zip(1..) {
                let Some(text) = &key.expression else { continue };
                let Some(statistics) = self.catalog.column_statistics(index.oid, attnum)? else { continue };
                let Some(e) = self.stored_expression(relation, columns, text)? else { continue };
                let unique =
                    index.unique && !index.deferrable && index.predicate.is_none() && index.key_count == 1;
                self.note_expression(
                    e,
                    StoredColumn { statistics: Some(statistics), rows, unique, member: None },
                );
            }
        }
        Ok(())
    }

    /// Remembers the expressions of a table's extended statistics.
    fn note_joint_expressions(
        &mut self,
        relation: &Arc<Relation>,
        columns: &[(Column, i16)],
        rows: f64,
        joint: &Arc<crate::joint::Table>,
    ) -> Result<()> {
        for known in joint.0.iter().flat_map(|o| &o.expressions) {
            let (object, place) = known.place;
            let statistics = self.catalog.column_statistics(object, place)?;
            let Some(e) = self.stored_expression(relation, columns, &known.text)? else { continue };
            let member = Some(crate::joint::Member { table: joint.clone(), attnum: known.number });
            self.note_expression(e, StoredColumn { statistics, rows, unique: false, member });
        }
        Ok(())
    }

    /// Remembers what is known of an expression. What is found first is taken first.
    fn note_expression(&mut self, e: Expr, column: StoredColumn) {
        let known = self.computed.iter().find(|(known, _)| crate::access::is_key(&e, known)).map(|c| c.1);
        if let Some(known) = known.and_then(|id| Arc::make_mut(&mut self.stored).get_mut(&id)) {
            known.unique |= column.unique;
            known.statistics = known.statistics.take().or(column.statistics);
            return;
        }
        let computed = Arc::make_mut(&mut self.computed);
        // Columns are numbered from the other end.
        if let Some(id) = u32::try_from(computed.len()).ok().and_then(|n| ColumnId::MAX.checked_sub(n)) {
            computed.push((e, id));
            Arc::make_mut(&mut self.stored).insert(id, column);
        }
    }

    /// Plans the subqueries inside an expression.
    pub(crate) fn plan_subqueries(&mut self, expr: &mut Expr) -> Result<()> {
        let mut outcome = Ok(());
        if let Expr::SubPlan(sub) = expr {
            if let SubQuery::Logical(logical) = &sub.query {
                let logical = (**logical).clone();
                let planned = match sub.kind {
                    SubPlanKind::Exists => self.query_read(logical, &[])?,
                    _ => self.query(logical)?,
                };
                sub.query = SubQuery::Physical(Box::new(planned.plan));
            }
            if let SubPlanKind::Compare { test, .. } = &mut sub.kind {
                self.plan_subqueries(test)?;
            }
        }
        expr.for_each_child_mut(&mut |e| {
            if outcome.is_ok() {
                outcome = self.plan_subqueries(e);
            }
        });
        outcome
    }

    /// An expression over the columns of `sub`, ready to run.
    pub(crate) fn resolved(&mut self, mut expr: Expr, columns: &[ColumnId]) -> Result<Expr> {
        if expr.has_subplan() {
            self.plan_subqueries(&mut expr)?;
        }
        to_positions(&mut expr, columns)?;
        Ok(expr)
    }

    /// The operator with exactly these columns, in this order.
    pub(crate) fn exactly(&mut self, sub: Sub, ids: &[ColumnId]) -> Result<Sub> {
        if sub.columns == ids {
            return Ok(sub);
        }
        let mut exprs = Vec::with_capacity(ids.len());
        for id in ids {
            let position = sub.columns.iter().position(|c| c == id);
            let position = position.ok_or_else(|| SqlError::internal("a column got lost in planning"))?;
            exprs.push(Expr::Column(position as ColumnId, sub.plan.types[position]));
        }
        Ok(project(sub, exprs, ids.to_vec(), self.settings))
    }

    /// Plans one operator and what is below it. At least `needed` comes out.
    pub(crate) fn operator(&mut self, node: Logical, needed: &ColumnSet, wish: &Wish) -> Result<Sub> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep());
        }
        let sub = self.dispatch(node, needed, wish);
        self.depth -= 1;
        sub
    }

    fn dispatch(&mut self, node: Logical, needed: &ColumnSet, wish: &Wish) -> Result<Sub> {
        match self.either_way(&node, needed, wish)? {
            Some(sub) => Ok(sub),
            None => self.translated(node, needed, wish),
        }
    }

    /// The operator as it stands.
    pub(crate) fn translated(&mut self, node: Logical, needed: &ColumnSet, wish: &Wish) -> Result<Sub> {
        match node {
            Logical::OneRow => Ok(leaf(Node::OneRow, Vec::new(), Vec::new(), 1.0, 0.0)),
            Logical::Scan { relation, alias, columns } => {
                let table = Table { relation, alias, columns, conditions: Vec::new() };
                self.scan(&table, needed, wish)
            }
            Logical::FunctionScan { function, args, columns, ordinality, alias } => {
                let args = args.into_iter().map(|e| self.resolved(e, &[])).collect::<Result<_>>()?;
                let (ids, types) = split(&columns);
                let rows = match &function {
                    Callee::Routine(r) if !r.routine.set => 1.0,
                    Callee::Routine(r) => f64::from(r.routine.rows).max(1.0),
                    Callee::Builtin(_) => 100.0,
                };
                Ok(leaf(Node::FunctionScan { function, args, ordinality, alias }, ids, types, rows, 1.0))
            }
            Logical::Values { rows, columns } => {
                let (ids, types) = split(&columns);
                let count = rows.len() as f64;
                let row =
                    |r: Vec<Expr>| r.into_iter().map(|e| self.resolved(e, &[])).collect::<Result<Vec<_>>>();
                let rows = rows.into_iter().map(row).collect::<Result<Vec<_>>>()?;
                Ok(leaf(Node::Values(rows), ids, types, count, 0.01 * count))
            }
            Logical::CteScan { cte, columns } => {
                let (ids, types) = split(&columns);
                self.cte_read.insert(cte);
                let rows = self.cte_rows.get(cte as usize).copied().unwrap_or(100.0);
                Ok(leaf(Node::CteScan(cte), ids, types, rows, 0.01 * rows))
            }
            Logical::Filter(input, condition) => self.filter(*input, condition, needed, wish),
            Logical::Secure(input) => self.operator(*input, needed, wish),
            Logical::Project(input, columns) => self.project(*input, columns, needed, wish),
            Logical::ProjectSet(input, columns) => self.project_set(*input, columns, needed),
            Logical::Join { .. } => self.join(node, Vec::new(), needed, wish),
            Logical::Aggregate { input, groups, aggregates, seeds } => {
                let all = groups.is_empty() && seeds.is_empty();
                let ends = if all { crate::ends::ends(&input, &aggregates) } else { None };
                let whole = self.aggregate(*input, groups, aggregates, seeds, needed)?;
                match ends {
                    Some(ends) => self.ends_or(ends, whole),
                    None => Ok(whole),
                }
            }
            Logical::Window { input, spec, calls } => self.window(*input, spec, calls, needed),
            Logical::Distinct(input, on) => self.distinct(*input, on, needed, &wish.order),
            Logical::Sort(input, keys) => self.sort(*input, keys, needed, None, wish),
            Logical::Limit { input, limit, offset, ties } => {
                self.limit(*input, (limit, offset, ties), needed)
            }
            Logical::Set { op: SetOp::Union, all: true, inputs, columns } => {
                self.union_all(inputs, &columns, wish)
            }
            Logical::Set { op, all, inputs, columns } => self.set(op, all, inputs, &columns),
            Logical::Recursive { work, all, left, right, columns } => {
                self.recursive(work, all, *left, *right, &columns)
            }
            Logical::LockRows { input, tables, wait } => {
                let mut below = needed.clone();
                tables
                    .iter()
                    .flat_map(|t| [Some(t.ctid), t.tableoid])
                    .flatten()
                    .for_each(|c| below.insert(c));
                let sub = self.operator(*input, &below, &wish.all_rows())?;
                let mut resolved = Vec::with_capacity(tables.len());
                let place = |id: u32| {
                    let position = sub.columns.iter().position(|c| *c == id);
                    position.map(|p| p as u32).ok_or_else(|| SqlError::internal("a locked row has no ctid"))
                };
                for table in tables {
                    let tableoid = table.tableoid.map(place).transpose()?;
                    resolved.push(Locked { ctid: place(table.ctid)?, tableoid, ..table });
                }
                let Sub { plan, columns, order } = sub;
                let (types, estimate) = (plan.types.clone(), plan.estimate);
                let node = Node::LockRows { input: Arc::new(plan), tables: resolved, wait };
                Ok(Sub { plan: Physical { node, types, estimate }, columns, order })
            }
        }
    }

    fn filter(&mut self, input: Logical, condition: Expr, needed: &ColumnSet, wish: &Wish) -> Result<Sub> {
        let unsatisfied = match &condition {
            Expr::And(parts) => parts.iter().any(never),
            one => never(one),
        };
        if unsatisfied {
            return Ok(nothing(outputs(&input).iter(), needed, &wish.order));
        }
        match input {
            Logical::Scan { relation, alias, columns } => {
                let table = Table { relation, alias, columns, conditions: condition.conjuncts() };
                self.scan(&table, needed, wish)
            }
            Logical::Join { kind: JoinKind::Inner, .. } => {
                self.join(input, condition.conjuncts(), needed, wish)
            }
            other => {
                let mut below = needed.clone();
                below.add(&condition);
                let kept = estimate::selectivity(&condition, &self.knowledge());
                let sub = self.operator(other, &below, &wish.through(kept))?;
                self.filter_over(sub, condition)
            }
        }
    }

    /// A filter over a planned operator.
    pub(crate) fn filter_over(&mut self, sub: Sub, condition: Expr) -> Result<Sub> {
        let kept = estimate::selectivity(&condition, &self.knowledge());
        let condition = self.resolved(condition, &sub.columns)?;
        let Sub { plan, columns, order } = sub;
        let mut estimate = plan.estimate;
        estimate.total += estimate.rows * self.settings.cpu_operator_cost;
        if condition.has_subplan() {
            let (once, repeated) = self.subquery_cost(core::slice::from_ref(&condition));
            estimate.total += once + estimate.rows * repeated;
        }
        estimate.rows = (estimate.rows * kept).max(1.0);
        let types = plan.types.clone();
        let node = Node::Filter(Box::new(plan), condition);
        Ok(Sub { plan: Physical { node, types, estimate }, columns, order })
    }

    fn project(
        &mut self,
        input: Logical,
        columns: Vec<(Column, Expr)>,
        needed: &ColumnSet,
        wish: &Wish,
    ) -> Result<Sub> {
        // A column nobody reads need not be computed, unless computing it does something.
        let columns: Vec<_> =
            columns.into_iter().filter(|(c, e)| needed.contains(c.id) || e.volatile()).collect();
        let mut below = ColumnSet::default();
        columns.iter().for_each(|(_, e)| below.add(e));
        let renamed =
            |id: ColumnId| columns.iter().find(|(c, _)| c.id == id).and_then(|(_, e)| estimate::column_of(e));
        let order: Option<Vec<_>> =
            wish.order.iter().map(|k| Some(OrderKey { column: renamed(k.column)?, ..*k })).collect();
        let distinct: Option<Vec<_>> = wish.distinct.iter().map(|id| renamed(*id)).collect();
        // The first of some rows is told by the order.
        let distinct = distinct.filter(|_| order.is_some()).unwrap_or_default();
        // Rows in an order that is not the input's own are read to the end and sorted.
        let first = wish.first.filter(|_| order.is_some());
        let inner = Wish { order: order.unwrap_or_default(), first, distinct };
        let sub = self.operator(input, &below, &inner)?;
        let mut ids = Vec::with_capacity(columns.len());
        let mut exprs = Vec::with_capacity(columns.len());
        let mut order = Vec::new();
        for key in &sub.order {
            let out = columns.iter().find(|(_, e)| estimate::column_of(e) == Some(key.column));
            let Some((c, _)) = out else { break };
            order.push(OrderKey { column: c.id, ..*key });
        }
        for (column, expr) in columns {
            if let (Expr::Column(from, _), Some(known)) = (&expr, estimate::column_of(&expr)) {
                debug_assert_eq!(*from, known);
                if let Some(stored) = self.stored.get(from).cloned() {
                    Arc::make_mut(&mut self.stored).insert(column.id, stored);
                }
            }
            ids.push(column.id);
            exprs.push(self.resolved(expr, &sub.columns)?);
        }
        let identity = exprs.len() == sub.columns.len()
            && exprs.iter().enumerate().all(|(i, e)| matches!(e, Expr::Column(p, _) if *p as usize == i));
        if identity {
            return Ok(Sub { plan: sub.plan, columns: ids, order });
        }
        let (once, repeated) = match exprs.iter().any(Expr::has_subplan) {
            true => self.subquery_cost(&exprs),
            false => (0.0, 0.0),
        };
        let mut out = project(sub, exprs, ids, self.settings);
        out.plan.estimate.total += once + out.plan.estimate.rows * repeated;
        out.order = order;
        Ok(out)
    }

    fn project_set(
        &mut self,
        input: Logical,
        columns: Vec<(Column, Expr)>,
        needed: &ColumnSet,
    ) -> Result<Sub> {
        let mut below = needed.clone();
        columns.iter().for_each(|(_, e)| below.add(e));
        let sub = self.operator(input, &below, &Wish::none())?;
        let mut exprs = Vec::with_capacity(columns.len());
        let (mut ids, mut types) = (sub.columns.clone(), sub.plan.types.clone());
        for (column, expr) in columns {
            ids.push(column.id);
            types.push(column.ty);
            exprs.push(self.resolved(expr, &sub.columns)?);
        }
        let mut estimate = sub.plan.estimate;
        estimate.rows *= 100.0;
        estimate.total += estimate.rows * self.settings.cpu_operator_cost;
        let node = Node::ProjectSet(Box::new(sub.plan), exprs);
        Ok(Sub { plan: Physical { node, types, estimate }, columns: ids, order: Vec::new() })
    }

    pub(crate) fn aggregate(
        &mut self,
        input: Logical,
        groups: Vec<(Column, Expr)>,
        aggregates: Vec<(Column, AggregateCall)>,
        seeds: Vec<Vec<pg_types::Value>>,
        needed: &ColumnSet,
    ) -> Result<Sub> {
        let aggregates: Vec<_> = aggregates.into_iter().filter(|(c, _)| needed.contains(c.id)).collect();
        let mut below = ColumnSet::default();
        groups.iter().for_each(|(_, e)| below.add(e));
        for (_, call) in &aggregates {
            let keys = call.order_by.iter().map(|k| &k.expr);
            call.args.iter().chain(keys).chain(&call.filter).for_each(|e| below.add(e));
        }
        let mut wish = Wish::none();
        if aggregates.is_empty() && seeds.is_empty() {
            let ids: Option<Vec<_>> = groups.iter().map(|(_, e)| estimate::column_of(e)).collect();
            wish.distinct = ids.unwrap_or_default();
        }
        let sub = self.operator(input, &below, &wish)?;
        let known = self.knowledge();
        let count = if groups.is_empty() {
            1.0
        } else {
            crate::joint::groups(groups.iter().map(|(_, e)| e), &known).min(sub.rows()).max(1.0)
        };
        let (mut ids, mut types, mut keys, mut calls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (column, expr) in groups {
            ids.push(column.id);
            types.push(column.ty);
            keys.push(self.resolved(expr, &sub.columns)?);
        }
        for (column, mut call) in aggregates {
            ids.push(column.id);
            types.push(column.ty);
            for e in call
                .args
                .iter_mut()
                .chain(call.order_by.iter_mut().map(|k| &mut k.expr))
                .chain(&mut call.filter)
            {
                self.plan_subqueries(e)?;
                to_positions(e, &sub.columns)?;
            }
            calls.push(call);
        }
        let work = (keys.len() + calls.len()).max(1) as f64 * self.settings.cpu_operator_cost;
        let mut startup = sub.plan.estimate.total + sub.rows() * work;
        if keys.iter().chain(calls.iter().flat_map(|c| &c.args)).any(Expr::has_subplan) {
            let asked = keys.iter().chain(calls.iter().flat_map(|c| &c.args)).cloned().collect::<Vec<_>>();
            let (once, repeated) = self.subquery_cost(&asked);
            startup += once + sub.rows() * repeated;
        }
        let total = startup + count * self.settings.cpu_tuple_cost;
        let width = types.iter().map(|t| estimate::width(t.oid)).sum();
        let estimate = Estimate { startup, total, rows: count, width };
        let node = Node::HashAggregate { input: Box::new(sub.plan), groups: keys, aggregates: calls, seeds };
        Ok(Sub { plan: Physical { node, types, estimate }, columns: ids, order: Vec::new() })
    }

    fn distinct(
        &mut self,
        input: Logical,
        on: Option<Vec<Expr>>,
        needed: &ColumnSet,
        order: &[OrderKey],
    ) -> Result<Sub> {
        // DISTINCT compares all columns of its input, needed above or not.
        let all = output(&input);
        let mut below = needed.clone();
        all.iter().for_each(|id| below.insert(*id));
        let wish = match &on {
            None => Wish { order: order.to_vec(), first: None, distinct: all.clone() },
            Some(on) => {
                let ids: Option<Vec<_>> = on.iter().map(estimate::column_of).collect();
                Wish { distinct: ids.unwrap_or_default(), ..Wish::none() }
            }
        };
        let sub = self.operator(input, &below, &wish)?;
        let sub = self.exactly(sub, &all)?;
        let on = match on {
            Some(exprs) => {
                Some(exprs.into_iter().map(|e| self.resolved(e, &sub.columns)).collect::<Result<Vec<_>>>()?)
            }
            None => None,
        };
        let Sub { plan, columns, order } = sub;
        let types = plan.types.clone();
        let mut estimate = plan.estimate;
        estimate.total += estimate.rows * self.settings.cpu_operator_cost * columns.len() as f64;
        let node = Node::Distinct(Box::new(plan), on);
        Ok(Sub { plan: Physical { node, types, estimate }, columns, order })
    }
}

impl Planner<'_> {
    fn recursive(
        &mut self,
        work: u32,
        all: bool,
        left: Logical,
        right: Logical,
        columns: &[Column],
    ) -> Result<Sub> {
        /// Runs of the recursive term, and rows of each as a multiple of the non-recursive term's.
        const RUNS: f64 = 10.0;
        let (ids, types) = split(columns);
        let out = output(&left);
        let sub = self.operator(left, &ColumnSet::of(out.iter().copied()), &Wish::none())?;
        let left = self.exactly(sub, &out)?.plan;
        if let Some(rows) = self.cte_rows.get_mut(work as usize) {
            *rows = left.estimate.rows * RUNS;
        }
        let out = output(&right);
        let sub = self.operator(right, &ColumnSet::of(out.iter().copied()), &Wish::none())?;
        let right = self.exactly(sub, &out)?.plan;
        let rows = left.estimate.rows + right.estimate.rows * RUNS;
        let total = left.estimate.total + right.estimate.total * RUNS + rows * self.settings.cpu_tuple_cost;
        let width = types.iter().map(|t| estimate::width(t.oid)).sum();
        let estimate = Estimate { startup: 0.0, total, rows, width };
        let node = Node::Recursive { work, all, left: Box::new(left), right: Box::new(right) };
        Ok(Sub { plan: Physical { node, types, estimate }, columns: ids, order: Vec::new() })
    }
}

pub(crate) fn split(columns: &[Column]) -> (Vec<ColumnId>, Vec<SqlType>) {
    (columns.iter().map(|c| c.id).collect(), columns.iter().map(|c| c.ty).collect())
}

fn leaf(node: Node, columns: Vec<ColumnId>, types: Vec<SqlType>, rows: f64, total: f64) -> Sub {
    let width = types.iter().map(|t| estimate::width(t.oid)).sum();
    let estimate = Estimate { startup: 0.0, total, rows, width };
    Sub { plan: Physical { node, types, estimate }, columns, order: Vec::new() }
}

/// A projection over a planned operator.
pub(crate) fn project(sub: Sub, exprs: Vec<Expr>, ids: Vec<ColumnId>, settings: &PlannerSettings) -> Sub {
    let types: Vec<SqlType> = exprs.iter().map(Expr::ty).collect();
    let mut estimate = sub.plan.estimate;
    estimate.total += estimate.rows * settings.cpu_operator_cost * exprs.len() as f64;
    estimate.width = types.iter().map(|t| estimate::width(t.oid)).sum();
    let node = Node::Project(Box::new(sub.plan), exprs);
    Sub { plan: Physical { node, types, estimate }, columns: ids, order: sub.order }
}

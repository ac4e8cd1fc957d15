//! Views that can be changed: a change of a view becomes one of the table below it.
//!
//! A view can be changed if it selects from one table or changeable view and does nothing but leave rows and columns
//! out, name columns and compute some. Its columns that are columns of the table can be assigned to.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{
    CheckOption, Relation, RelationKind,
    acl::{Rights, right},
};
use pg_plan::{
    expr::{ColumnId, Expr},
    logical::Logical,
};
use pg_types::{Result, SqlError, SqlState};
use sqlparser::ast as sq;

use super::{
    Binder,
    inherit::as_parent,
    scope::{Entry, EntryColumn, Place, at},
    select::Target,
    table::is_graph,
};
use crate::{ast::Ast, grammar};

/// What an INSERT, UPDATE or DELETE names.
pub(super) struct Subject {
    /// The table whose rows change.
    pub(super) table: Arc<Relation>,
    /// The view through which they do.
    pub(super) view: Option<ViewSubject>,
    /// What is needed of the table and of each view above it: its number, and which of the table's live columns its
    /// attributes are.
    pub(super) accesses: Vec<(usize, Vec<(usize, i16)>)>,
    /// In whose name the table is opened; `None`: the user's.
    pub(super) role: Option<pg_types::Oid>,
}

/// A view over a table's row.
pub(super) struct ViewSubject {
    relation: Arc<Relation>,
    /// The view's columns; the table's live columns are `base..`.
    columns: Vec<EntryColumn>,
    base: ColumnId,
    /// What leaves rows out, of this view and those below.
    pub(super) conditions: Vec<Expr>,
    /// The ids of the columns that its own query names.
    named: Vec<ColumnId>,
    /// Conditions that new rows must fulfil, with the names of their views, the lowest first.
    checks: Vec<(String, Expr)>,
    /// Why columns cannot be assigned to, where they cannot.
    faults: Vec<Option<Fault>>,
}

/// Why a column of a view cannot be assigned to: what a view, this one or one below it, has there.
#[derive(Clone)]
struct Fault {
    /// How many views down.
    depth: usize,
    view: String,
    column: String,
    detail: &'static str,
}

const SYSTEM_COLUMN: &str = "View columns that refer to system columns are not updatable.";
const COMPUTED: &str = "View columns that are not columns of their base relation are not updatable.";

/// Replaces the columns `base..` by those of `ids`.
fn renumber(expr: &mut Expr, base: ColumnId, ids: &[ColumnId]) {
    if let Expr::Column(id, _) = expr {
        let position = id.checked_sub(base).and_then(|n| usize::try_from(n).ok());
        if let Some(new) = position.and_then(|n| ids.get(n)) {
            *id = *new;
        }
        return;
    }
    expr.for_each_child_mut(&mut |child| renumber(child, base, ids));
}

impl Subject {
    /// The name that messages use.
    pub(super) fn name(&self) -> &str {
        self.view.as_ref().map_or(&self.table.name, |v| &v.relation.name)
    }

    fn relation(&self) -> &Arc<Relation> {
        self.view.as_ref().map_or(&self.table, |v| &v.relation)
    }

    /// How many columns there are to assign to or not.
    pub(super) fn width(&self) -> usize {
        self.view.as_ref().map_or_else(|| self.table.live().count(), |v| v.columns.len())
    }

    /// What an INSERT without a list of columns assigns to, as positions among the table's live columns.
    pub(super) fn first_columns(&self, count: usize) -> Result<Vec<usize>> {
        let Some(view) = &self.view else { return Ok((0..count).collect()) };
        // What a view says itself comes before what those below it say.
        let faults = view.faults.iter().take(count).flatten();
        if let Some(fault) = faults.min_by_key(|f| f.depth) {
            return Err(fault.error("INSERT"));
        }
        let mut listed: Vec<usize> = Vec::with_capacity(count);
        for n in 0..count {
            let position = view.position(&self.table, n, "INSERT")?;
            if listed.contains(&position) {
                let name = self.table.live().nth(position).map_or("", |a| a.name.as_str());
                return Err(SqlError::syntax(format!("multiple assignments to same column \"{name}\"")));
            }
            listed.push(position);
        }
        Ok(listed)
    }

    /// Which columns can be assigned to.
    pub(super) fn assignable(&self) -> Vec<bool> {
        match &self.view {
            None => self.table.live().map(|_| true).collect(),
            Some(view) => {
                (0..view.columns.len()).map(|n| view.position(&self.table, n, "UPDATE").is_ok()).collect()
            }
        }
    }

    /// A column to assign to: its position among the table's live columns.
    pub(super) fn column(&self, ident: &sq::Ident, verb: &str) -> Result<usize> {
        let missing = || {
            SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{}\" of relation \"{}\" does not exist", ident.value, self.name()),
            )
            .at(at(ident))
        };
        match &self.view {
            None => self.table.live().position(|a| a.name == ident.value).ok_or_else(missing),
            Some(view) => {
                let n = view.columns.iter().position(|c| c.name == ident.value).ok_or_else(missing)?;
                view.position(&self.table, n, verb)
            }
        }
    }

    /// The default that the view gives to a column of the table, if it gives one.
    pub(super) fn default(&self, position: usize) -> Option<pg_catalog::Attribute> {
        let view = self.view.as_ref()?;
        let id = view.base + position as u32;
        let n = view.columns.iter().position(|c| matches!(c.expr, Expr::Column(c, _) if c == id))?;
        view.relation.live().nth(n).filter(|a| a.default.is_some()).cloned()
    }

    /// The error of an INSERT where the view has a default for a column that cannot be assigned to.
    pub(super) fn defaults_fit(&self) -> Result<()> {
        let Some(view) = &self.view else { return Ok(()) };
        let defaults = view.relation.live().map(|a| a.default.is_some());
        match view.faults.iter().zip(defaults).find_map(|(fault, given)| fault.as_ref().filter(|_| given)) {
            Some(fault) => Err(fault.error("INSERT")),
            None => Ok(()),
        }
    }

    /// A FROM item over a row of the table that has these ids.
    pub(super) fn entry(&self, binder: &Binder<'_>, alias: &str, ids: &[ColumnId]) -> Entry {
        let Some(view) = &self.view else { return binder.row_entry(&self.table, alias, ids) };
        let mut columns = view.columns.clone();
        columns.iter_mut().for_each(|c| renumber(&mut c.expr, view.base, ids));
        let schema = (alias == view.relation.name).then(|| view.relation.schema_name.clone());
        Entry { alias: alias.into(), schema, columns, scan: None, scalar: false, nullable: false }
    }

    /// What new rows with these ids must fulfil.
    pub(super) fn checks(&self, ids: &[ColumnId]) -> Vec<(String, Expr)> {
        let Some(view) = &self.view else { return Vec::new() };
        let mut checks = view.checks.clone();
        checks.iter_mut().for_each(|(_, e)| renumber(e, view.base, ids));
        checks
    }

    /// Notes that these ids are columns of the table, and of the views through their columns.
    pub(super) fn span(&self, binder: &mut Binder<'_>, ids: &[ColumnId]) {
        for (access, columns) in &self.accesses {
            let columns = columns.iter().filter_map(|(n, attnum)| Some((*ids.get(*n)?, *attnum)));
            binder.accesses.span(*access, columns.collect());
        }
    }

    /// The schema of what is named.
    pub(super) fn schema(&self) -> String {
        self.relation().schema_name.clone()
    }
}

impl Fault {
    fn error(&self, verb: &str) -> SqlError {
        let what = if verb == "INSERT" { "insert into" } else { "update" };
        let text = format!("cannot {what} column \"{}\" of view \"{}\"", self.column, self.view);
        SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).detail(self.detail)
    }
}

impl ViewSubject {
    /// The position among the table's live columns of a column of the view.
    fn position(&self, table: &Relation, n: usize, verb: &str) -> Result<usize> {
        if let Some(Some(fault)) = self.faults.get(n) {
            return Err(fault.error(verb));
        }
        let id = match self.columns.get(n).map(|c| &c.expr) {
            Some(Expr::Column(id, _)) => id.checked_sub(self.base).map(|n| n as usize),
            _ => None,
        };
        id.filter(|n| *n < table.live().count())
            .ok_or_else(|| SqlError::internal("a view's column that is none of the table's"))
    }
}

/// Why a view's column cannot be assigned to. `live`: the ids of the table's columns; `below`: the view selected from.
fn fault_at(
    (view, name): (&Relation, &str),
    target: &Target,
    live: core::ops::Range<ColumnId>,
    below: Option<&ViewSubject>,
) -> Option<Fault> {
    if let Some(b) = below.filter(|b| b.relation.oid == target.origin.0)
        && let Some(Some(fault)) =
            b.relation.live().position(|a| a.attnum == target.origin.1).and_then(|n| b.faults.get(n))
    {
        return Some(Fault { depth: fault.depth + 1, ..fault.clone() });
    }
    let detail = match &target.expr {
        Expr::Column(id, _) if live.contains(id) => return None,
        Expr::Column(..) => SYSTEM_COLUMN,
        _ => COMPUTED,
    };
    Some(Fault { depth: 0, view: view.name.clone(), column: name.into(), detail })
}

/// The privilege that a change needs.
fn rights_for(verb: &str) -> Rights {
    match verb {
        "DELETE" => right::DELETE,
        "UPDATE" => right::UPDATE,
        _ => right::INSERT,
    }
}

fn not_updatable(view: &Relation, verb: &str, detail: &str) -> SqlError {
    let (what, doing, event) = match verb {
        "INSERT" => ("insert into", "inserting into", "INSERT"),
        "UPDATE" => ("update", "updating", "UPDATE"),
        _ => ("delete from", "deleting from", "DELETE"),
    };
    SqlError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("cannot {what} view \"{}\"", view.name),
    )
    .detail(detail)
    .hint(format!(
        "To enable {doing} the view, provide an INSTEAD OF {event} trigger or an unconditional ON {event} DO INSTEAD rule."
    ))
}

/// The SELECT of a query that may be changed through, or why it may not.
fn plain_select(query: &sq::Query) -> core::result::Result<&sq::Select, &'static str> {
    let select = match &*query.body {
        sq::SetExpr::Select(select) => select,
        sq::SetExpr::SetOperation { .. } => {
            return Err("Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable.");
        }
        _ => return Err(NOT_ONE),
    };
    let grouped =
        !matches!(&select.group_by, sq::GroupByExpr::Expressions(e, m) if e.is_empty() && m.is_empty());
    let reasons = [
        (select.distinct.is_some(), "Views containing DISTINCT are not automatically updatable."),
        (grouped, "Views containing GROUP BY are not automatically updatable."),
        (select.having.is_some(), "Views containing HAVING are not automatically updatable."),
        (query.with.is_some(), "Views containing WITH are not automatically updatable."),
        (
            query.limit_clause.is_some() || query.fetch.is_some(),
            "Views containing LIMIT or OFFSET are not automatically updatable.",
        ),
    ];
    match reasons.iter().find(|r| r.0) {
        Some((_, reason)) => Err(reason),
        None => Ok(select),
    }
}

/// Why a view of this query could not be changed, as far as the text alone tells.
pub(super) fn fault(query: &sq::Query) -> Option<&'static str> {
    match plain_select(query) {
        Err(reason) => Some(reason),
        Ok(select) => {
            match select.from.as_slice() {
                [
                    sq::TableWithJoins { relation: sq::TableFactor::Table { args: None, sample, .. }, joins },
                ] if joins.is_empty() => sample.as_ref().map(|_| SAMPLED),
                _ => Some(NOT_ONE),
            }
        }
    }
}

/// As [`fault`], of what was bound.
pub(super) fn fault_of(body: &pg_plan::statement::Body) -> Option<&'static str> {
    let pg_plan::statement::Body::Select(Logical::Project(input, _)) = body else { return None };
    match **input {
        Logical::Aggregate { .. } => Some(AGGREGATES),
        Logical::Window { .. } => Some(WINDOWS),
        Logical::ProjectSet(..) => Some(SETS),
        _ => None,
    }
}

const AGGREGATES: &str = "Views that return aggregate functions are not automatically updatable.";
const WINDOWS: &str = "Views that return window functions are not automatically updatable.";
const SETS: &str = "Views that return set-returning functions are not automatically updatable.";
const SAMPLED: &str = "Views containing TABLESAMPLE are not automatically updatable.";
const NOT_ONE: &str = "Views that do not select from a single table or view are not automatically updatable.";

impl Binder<'_> {
    /// A table, or a view over one, to be changed; with a scan of the table.
    pub(super) fn subject(
        &mut self,
        relation: &Arc<Relation>,
        verb: &str,
        alias: Option<&str>,
    ) -> Result<(Subject, Logical, Entry, usize)> {
        if relation.kind != RelationKind::View {
            let (plan, entry) = self.scan(relation, alias, rights_for(verb));
            let scan = entry.scan.ok_or_else(|| SqlError::internal("a table without a scan"))?;
            let own = relation.live().enumerate().map(|(n, a)| (n, a.attnum)).collect();
            let accesses = Vec::from([(self.accesses.last(), own)]);
            let role = self.accesses.role;
            return Ok((Subject { table: relation.clone(), view: None, accesses, role }, plan, entry, scan));
        }
        // Its names mean what they mean without this statement's FROM and WITH.
        let access = self.accesses.open(relation, rights_for(verb));
        let (role, stored) = (self.accesses.role, self.accesses.stored);
        // In the user's own name also where another view is in between.
        self.accesses.role = (!relation.security.invoker).then_some(relation.owner);
        self.accesses.stored = true;
        let frames = core::mem::take(&mut self.frames);
        let result = self.quietly(|b| b.enclosed(|b| b.view_subject(relation, verb)));
        self.frames = frames;
        (self.accesses.role, self.accesses.stored) = (role, stored);
        let ((below, view, plan, scan), _) = result?;
        let Subject { table, mut accesses, role, .. } = below;
        if let Some((below, columns)) = accesses.last() {
            let named = |n: &usize| view.named.contains(&(view.base + *n as u32));
            let columns = columns.iter().filter(|c| named(&c.0)).map(|c| c.1).collect();
            self.accesses.imply(access, *below, columns);
        }
        let position = |c: &EntryColumn| match &c.expr {
            Expr::Column(id, _) => id.checked_sub(view.base).map(|n| n as usize),
            _ => None,
        };
        let live = table.live().count();
        let plain =
            view.columns.iter().filter_map(|c| Some((position(c).filter(|n| *n < live)?, c.origin.1)));
        let plain: Vec<(usize, i16)> = plain.collect();
        let ids = plain.iter().map(|(n, attnum)| (view.base + *n as u32, *attnum)).collect();
        self.accesses.span(access, ids);
        accesses.push((access, plain));
        let entry = Entry {
            alias: alias.unwrap_or(&relation.name).into(),
            schema: alias.is_none().then(|| relation.schema_name.clone()),
            columns: view.columns.clone(),
            scan: None,
            scalar: false,
            nullable: false,
        };
        Ok((Subject { table, view: Some(view), accesses, role }, plan, entry, scan))
    }

    fn view_subject(
        &mut self,
        view: &Arc<Relation>,
        verb: &str,
    ) -> Result<(Subject, ViewSubject, Logical, usize)> {
        let refused = |detail: &str| not_updatable(view, verb, detail);
        let text = view.view.clone().unwrap_or_default();
        let parsed = grammar::statements(&text)?;
        let Some(Ast::Query(query)) = parsed.into_iter().next().map(|i| i.ast) else {
            return Err(SqlError::internal("view without query"));
        };
        let select = plain_select(&query).map_err(refused)?;
        let [
            sq::TableWithJoins {
                relation: sq::TableFactor::Table { name, alias, args: None, sample, .. },
                joins,
            },
        ] = select.from.as_slice()
        else {
            return Err(refused(NOT_ONE));
        };
        if sample.is_some() {
            return Err(refused(SAMPLED));
        }
        if !joins.is_empty() {
            return Err(refused(NOT_ONE));
        }
        let below = self.relation(&grammar::name_of(name)?)?;
        let changeable = match below.kind {
            RelationKind::Table => !matches!(below.schema_name.as_str(), "pg_catalog" | "information_schema"),
            RelationKind::View => true,
            _ => is_graph(&below),
        };
        if !changeable {
            return Err(refused(NOT_ONE));
        }
        let shown = alias.as_ref().map(|a| a.name.value.as_str());
        let heir = self.heir.clone().filter(|_| below.kind == RelationKind::Table);
        let (mut inner, plan, mut entry, scan) = match &heir {
            None => self.subject(&below, verb, shown)?,
            Some(heir) => self.subject(heir, verb, Some(shown.unwrap_or(&below.name)))?,
        };
        if heir.is_some() {
            as_parent(&mut entry, &below);
        }
        let base = self.scans.get(scan).map_or(0, |s| s.base);
        self.enter(entry, alias.as_ref())?;
        let condition = match &select.selection {
            Some(e) => Some(self.condition(e, Place::Where, "WHERE")?),
            None => None,
        };
        let mut targets = self.at_place(Place::Select, |b| b.targets(&select.projection))?;
        self.settle_targets(&mut targets)?;
        let frame = self.frame()?;
        let reasons = [
            (!frame.aggregates.is_empty(), AGGREGATES),
            (!frame.windows.is_empty(), WINDOWS),
            (!frame.sets.is_empty(), SETS),
        ];
        if let Some((_, reason)) = reasons.iter().find(|r| r.0) {
            return Err(refused(reason));
        }
        let live = base..base + inner.table.live().count() as u32;
        let faults = view
            .live()
            .zip(&targets)
            .map(|(a, t)| fault_at((view, &a.name), t, live.clone(), inner.view.as_ref()))
            .collect();
        let columns: Vec<EntryColumn> = view
            .live()
            .zip(targets)
            .map(|(a, t)| EntryColumn { name: a.name.clone(), expr: t.expr, origin: (view.oid, a.attnum) })
            .collect();
        if verb != "DELETE" && !columns.iter().any(|c| matches!(c.expr, Expr::Column(..))) {
            return Err(refused("Views that have no updatable columns are not automatically updatable."));
        }
        let (mut conditions, mut checks) =
            inner.view.take().map_or((Vec::new(), Vec::new()), |v| (v.conditions, v.checks));
        if view.check_option == CheckOption::Cascaded {
            checks = self.all_checks(&below, base, &inner.table)?;
        }
        let mut named = Vec::new();
        for e in columns.iter().map(|c| &c.expr).chain(&condition) {
            e.for_each_column(&mut |id| named.push(id));
        }
        if let Some(condition) = condition {
            if view.check_option != CheckOption::None {
                checks.push((view.name.clone(), condition.clone()));
            }
            conditions.push(condition);
        }
        let relation = view.clone();
        Ok((inner, ViewSubject { relation, columns, base, conditions, named, checks, faults }, plan, scan))
    }

    /// The conditions of a view and of all views below it, whatever they say of checks.
    fn all_checks(
        &mut self,
        view: &Arc<Relation>,
        base: ColumnId,
        table: &Arc<Relation>,
    ) -> Result<Vec<(String, Expr)>> {
        if view.kind != RelationKind::View {
            return Ok(Vec::new());
        }
        let mut strict = (**view).clone();
        strict.check_option = CheckOption::Cascaded;
        let mark = self.accesses.begin();
        let found = self.subject(&Arc::new(strict), "UPDATE", None);
        self.accesses.undo(mark);
        let (subject, ..) = found?;
        let Some(own) = subject.view else { return Ok(Vec::new()) };
        let ids: Vec<ColumnId> = (base..).take(table.live().count()).collect();
        let mut checks = own.checks;
        checks.iter_mut().for_each(|(_, e)| renumber(e, own.base, &ids));
        Ok(checks)
    }

    /// The table below a view that may be changed through, unless it is read with ONLY.
    pub(super) fn table_below(&mut self, view: &Arc<Relation>) -> Result<Option<Arc<Relation>>> {
        let mut found = view.clone();
        while found.kind == RelationKind::View {
            let text = found.view.clone().unwrap_or_default();
            let parsed = grammar::statements(&text)?;
            let Some(Ast::Query(query)) = parsed.into_iter().next().map(|i| i.ast) else { return Ok(None) };
            let Ok(select) = plain_select(&query) else { return Ok(None) };
            let [sq::TableWithJoins { relation: sq::TableFactor::Table { name, args: None, .. }, .. }] =
                select.from.as_slice()
            else {
                return Ok(None);
            };
            let name = grammar::name_of(name)?;
            if name.only {
                return Ok(None);
            }
            found = self.relation(&name)?;
        }
        Ok(Some(found))
    }
}

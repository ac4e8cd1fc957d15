//! Bodies of SQL functions: their statements bound with parameters, results checked, and simple ones put in the place of
//! calls.

use alloc::{borrow::ToOwned, boxed::Box, format, string::String, vec::Vec};

use pg_catalog::{CatalogReader, RoutineKind};
use pg_functions::{CastContext, Volatility};
use pg_plan::{
    expr::Expr,
    logical::{Column, Logical},
    routine::{Resolved, Shape},
    statement::{Body, Query, Statement},
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, format::FormatSettings, oid, typeinfo, user};
use sqlparser::ast as sq;

use super::{
    Binder,
    routine::Found,
    scope::{Frame, Place},
    types::{is_polymorphic, show},
};
use crate::{ast::Ast, grammar};

/// What a body may name.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// The routine's name.
    pub(crate) name: String,
    /// Its parameters; those without a name are empty.
    pub(crate) parameters: Vec<(String, SqlType)>,
}

/// A body's statements, bound.
pub struct BoundBody {
    /// With their command tags.
    pub statements: Vec<(Statement, &'static str)>,
    /// What the last one's rows are.
    pub shape: Shape,
    /// See `pg_plan::routine::PlannedBody`.
    pub convert: Option<Vec<Expr>>,
}

/// Most calls of functions that are put in the place of each other.
const MAX_INSIDE: usize = 16;
/// An argument that is used more than once may take so many functions, and no more, to compute.
const CHEAP: usize = 10;

fn mismatch(result: Oid, detail: String) -> SqlError {
    let text = format!("return type mismatch in function declared to return {}", show(SqlType::new(result)));
    SqlError::new(SqlState(*b"42P13"), text).detail(detail)
}

/// The statements of a routine's body, and the text that positions count in.
pub(crate) fn items(target: &Resolved) -> Result<(Vec<grammar::Item>, String)> {
    match &target.routine.body {
        Some(text) => Ok((grammar::body(text)?, text.clone())),
        None => Ok((grammar::statements(&target.routine.source)?, target.routine.source.clone())),
    }
}

/// What a body is bound with.
pub(crate) fn scope_of(target: &Resolved) -> Scope {
    let names = target.routine.input_names();
    let parameters = target
        .inputs
        .iter()
        .enumerate()
        .map(|(n, ty)| (names.get(n).copied().unwrap_or("").to_owned(), *ty))
        .collect();
    Scope { name: target.routine.name.clone(), parameters }
}

fn binder_of<'a>(
    target: &Resolved,
    source: &'a str,
    catalog: &'a dyn CatalogReader,
    format: &'a FormatSettings,
) -> Binder<'a> {
    let types: Vec<Option<Oid>> = target.inputs.iter().map(|t| Some(t.oid)).collect();
    let mut binder = Binder::new(catalog, format, source, &types);
    binder.routine = Some(scope_of(target));
    binder
}

/// Binds a body and checks what its last statement yields.
pub(crate) fn bind(
    target: &Resolved,
    catalog: &dyn CatalogReader,
    format: &FormatSettings,
) -> Result<BoundBody> {
    bind_as(target, catalog, format, true)
}

/// `runs`: what may be written, and may not be done, is refused.
fn bind_as(
    target: &Resolved,
    catalog: &dyn CatalogReader,
    format: &FormatSettings,
    runs: bool,
) -> Result<BoundBody> {
    let (items, source) = items(target)?;
    let mut statements = Vec::with_capacity(items.len());
    for item in &items {
        if let crate::StatementKind::Transaction(_) = item.kind {
            if runs {
                return Err(not_allowed(item.tag, "an SQL function"));
            }
            let ast = Statement::Utility(Box::new(pg_plan::Utility::Checkpoint));
            statements.push((ast, item.tag));
            continue;
        }
        let writes = !matches!(item.kind, crate::StatementKind::Select);
        if runs && writes && target.routine.volatility != Volatility::Volatile {
            return Err(not_allowed(item.tag, "a non-volatile function"));
        }
        if let Ast::Copy(_) = &item.ast {
            let text = "cannot COPY to/from client in an SQL function";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
        }
        let mut binder = binder_of(target, &source, catalog, format);
        statements.push((binder.statement(&item.ast)?, item.tag));
    }
    let mut binder = binder_of(target, &source, catalog, format);
    let columns = match statements.last() {
        Some((Statement::Query(q), _)) => Some(q.columns.as_slice()),
        _ => None,
    };
    let (shape, convert) = binder.check_result(target, columns)?;
    Ok(BoundBody { statements, shape, convert })
}

fn not_allowed(tag: &str, place: &str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{tag} is not allowed in {place}"))
}

/// Looks at the body of a routine that was just made: one with polymorphic parameters must only parse.
pub(crate) fn check(
    routine: &alloc::sync::Arc<pg_catalog::Routine>,
    catalog: &dyn CatalogReader,
    format: &FormatSettings,
) -> Result<()> {
    let open = is_polymorphic(routine.result) || routine.arguments.iter().any(|a| is_polymorphic(a.ty));
    let inputs = if open {
        Vec::new()
    } else {
        let plain = |t: &Oid| catalog.plain_type(SqlType::new(*t));
        routine.inputs.iter().map(plain).collect::<Result<Vec<_>>>()?
    };
    if open {
        let (result, columns) = (SqlType::new(oid::VOID), Vec::new());
        return items(&Resolved { routine: routine.clone(), inputs, result, columns }).map(|_| ());
    }
    let binder = Binder::new(catalog, format, "", &[]);
    let target = binder.routine_result(routine, inputs, routine.result)?;
    bind_as(&target, catalog, format, false).map(|_| ())
}

impl Binder<'_> {
    /// The declared type of the result, and of its fields.
    fn wanted(&self, target: &Resolved) -> Result<(SqlType, Vec<SqlType>)> {
        let declared = target.routine.result;
        let result = if is_polymorphic(declared) { target.result } else { SqlType::new(declared) };
        let plain = |n: usize| target.columns.get(n).map_or(SqlType::new(oid::TEXT), |c| c.1);
        let fields = if user::is_composite(target.result.oid) {
            self.user_type(target.result.oid)?.fields().iter().map(|f| f.ty).collect()
        } else {
            let outputs = target.routine.outputs();
            let same = outputs.len() == target.columns.len();
            (0..target.columns.len())
                .map(|n| match outputs.get(n) {
                    Some((_, ty)) if same && user::is_user(ty.oid) => *ty,
                    _ => plain(n),
                })
                .collect()
        };
        Ok((result, fields))
    }

    /// Does the last statement yield what the routine is declared to return?
    pub(super) fn check_result(
        &mut self,
        target: &Resolved,
        columns: Option<&[Column]>,
    ) -> Result<(Shape, Option<Vec<Expr>>)> {
        let (wanted, fields) = self.wanted(target)?;
        if wanted.oid == oid::VOID {
            return Ok((Shape::Void, None));
        }
        let columns = match columns {
            Some(c) if !c.is_empty() => c,
            _ => {
                let detail = "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.";
                return Err(mismatch(wanted.oid, detail.into()));
            }
        };
        let row = wanted.oid == oid::RECORD || user::is_composite(target.result.oid);
        if !row {
            let [column] = columns else {
                return Err(mismatch(wanted.oid, "Final statement must return exactly one column.".into()));
            };
            let (from, value) = (column.ty, Expr::Column(0, column.ty));
            let Some(value) = self.try_coerce(value, wanted, CastContext::Assignment)? else {
                return Err(mismatch(wanted.oid, format!("Actual return type is {}.", show(from))));
            };
            let same = matches!(value, Expr::Column(..));
            return Ok((Shape::Value, (!same).then(|| Vec::from([value]))));
        }
        if let [column] = columns
            && target.routine.kind == RoutineKind::Function
        {
            let whole = column.ty.oid == target.result.oid
                || wanted.oid == oid::RECORD && super::types::category(column.ty.oid) == b'C';
            let whole = whole || column.ty.oid == oid::RECORD && fields.len() != 1;
            if whole {
                return Ok((Shape::Value, None));
            }
        }
        if target.columns.is_empty() {
            // Any record will do.
            return Ok((Shape::Fields, None));
        }
        if columns.len() > fields.len() {
            return Err(mismatch(wanted.oid, "Final statement returns too many columns.".into()));
        }
        if columns.len() < fields.len() {
            return Err(mismatch(wanted.oid, "Final statement returns too few columns.".into()));
        }
        let mut values = Vec::with_capacity(columns.len());
        let mut same = true;
        for (n, (column, ty)) in columns.iter().zip(&fields).enumerate() {
            let value = Expr::Column(n as u32, column.ty);
            let Some(value) = self.try_coerce(value, *ty, CastContext::Assignment)? else {
                let (had, wants) = (show(column.ty), show(*ty));
                let detail = format!("Final statement returns {had} instead of {wants} at column {}.", n + 1);
                return Err(mismatch(wanted.oid, detail));
            };
            same &= matches!(value, Expr::Column(..));
            values.push(value);
        }
        Ok((Shape::Fields, (!same).then_some(values)))
    }

    /// A parameter of the routine being bound, by name.
    pub(super) fn named_parameter(&mut self, name: &str) -> Result<Option<Expr>> {
        let Some(scope) = &self.routine else { return Ok(None) };
        let found = scope.parameters.iter().position(|p| !p.0.is_empty() && p.0 == name);
        Ok(found.and_then(|n| Some(Expr::Param(n as u32, scope.parameters.get(n)?.1))))
    }

    /// `function.parameter`, or `parameter.field`.
    pub(super) fn parameter_part(&mut self, first: &str, second: &str, at: u32) -> Result<Option<Expr>> {
        let Some(scope) = &self.routine else { return Ok(None) };
        if scope.name == first
            && let Some(e) = self.named_parameter(second)?
        {
            return Ok(Some(e));
        }
        match self.named_parameter(first)? {
            Some(e) if user::is_composite(e.ty().oid) => self.composite_field(e, second, at).map(Some),
            _ => Ok(None),
        }
    }

    /// RETURN of a body in the standard's form.
    pub(super) fn return_value(&mut self, e: &sq::Expr) -> Result<Query> {
        self.frames.push(Frame { place: Some(Place::Select), ..Frame::default() });
        let value = self.settled(e);
        let frame = self.frames.pop().unwrap_or_default();
        let value = value?;
        let mut plan = Logical::OneRow;
        if !frame.aggregates.is_empty() || !frame.windows.is_empty() {
            return Err(SqlError::unsupported("RETURN with an aggregate or window function"));
        }
        if !frame.sets.is_empty() {
            plan = Logical::ProjectSet(Box::new(plan), frame.sets);
        }
        let column = self.column("?column?", value.ty());
        let plan = Logical::Project(Box::new(plan), Vec::from([(column.clone(), value)]));
        self.finish(Body::Select(plan), Vec::from([column]), Vec::from([(0, 0)]))
    }

    /// The body of a function in the place of a call, where that means the same.
    pub(super) fn inlined(&mut self, found: &Found) -> Result<Option<Expr>> {
        let r = &found.target.routine;
        let fit = self.inlines
            && !self.recording()
            && r.kind == RoutineKind::Function
            && !r.set
            && !r.definer
            && r.settings.is_empty()
            && r.result != oid::RECORD
            && r.result != oid::VOID
            && !self.inside.contains(&r.oid)
            && self.inside.len() < MAX_INSIDE;
        if !fit || super::access::refusal(r, self.catalog.user(), &*self.catalog.roles()?).is_some() {
            return Ok(None);
        }
        // A body that is wrong says so when it runs.
        let Ok(Some(body)) = self.simple_body(found) else { return Ok(None) };
        if !may_stand(&body, found) {
            return Ok(None);
        }
        let mut body = body;
        substitute(&mut body, &found.args);
        Ok(Some(body))
    }

    /// The one expression that a body is, over its parameters.
    fn simple_body(&mut self, found: &Found) -> Result<Option<Expr>> {
        let target = &found.target;
        let (items, source) = items(target)?;
        let [item] = items.as_slice() else { return Ok(None) };
        let value = match &item.ast {
            Ast::Return(e) => &**e,
            Ast::Query(query) => match simple_select(query) {
                Some(e) => e,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        let mut binder = binder_of(target, &source, self.catalog, self.format);
        binder.inlines = true;
        binder.inside = self.inside.clone();
        binder.inside.push(target.routine.oid);
        binder.frames.push(Frame { place: Some(Place::Select), ..Frame::default() });
        let value = binder.settled(value)?;
        let frame = binder.frames.pop().unwrap_or_default();
        if !frame.aggregates.is_empty()
            || !frame.sets.is_empty()
            || !frame.windows.is_empty()
            || !frame.groupings.is_empty()
            || !binder.cacheable
            || value.has_subplan()
        {
            return Ok(None);
        }
        let column = binder.column("", value.ty());
        let (shape, convert) = binder.check_result(target, Some(&[column]))?;
        if shape != Shape::Value {
            return Ok(None);
        }
        let called = core::mem::take(&mut binder.accesses);
        let value = match convert.map(|mut c| c.pop()) {
            Some(Some(mut convert)) => {
                substitute_column(&mut convert, &value);
                convert
            }
            _ => value,
        };
        self.accesses.merge_calls(called);
        Ok(Some(value))
    }
}

/// The expression of a SELECT that is nothing but one.
fn simple_select(query: &sq::Query) -> Option<&sq::Expr> {
    let plain = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty();
    let sq::SetExpr::Select(select) = &*query.body else { return None };
    let ungrouped = matches!(&select.group_by, sq::GroupByExpr::Expressions(items, m) if items.is_empty() && m.is_empty());
    let plain = plain
        && ungrouped
        && select.distinct.is_none()
        && select.from.is_empty()
        && select.selection.is_none()
        && select.having.is_none()
        && select.into.is_none()
        && select.named_window.is_empty();
    match select.projection.as_slice() {
        [sq::SelectItem::UnnamedExpr(e) | sq::SelectItem::ExprWithAlias { expr: e, .. }] if plain => {
            super::user_types::expanded(e).is_none().then_some(e)
        }
        _ => None,
    }
}

/// How changeable an expression's value is.
pub(super) fn volatility(e: &Expr) -> Volatility {
    let mut worst = Volatility::Immutable;
    e.any(&mut |e| {
        let v = match e {
            Expr::Call(c) => c.function.volatility,
            Expr::Routine(c) => c.target.routine.volatility,
            // Reading and writing text may depend on settings.
            Expr::CoerceViaIo(..) | Expr::Domain(_) => Volatility::Stable,
            _ => Volatility::Immutable,
        };
        match (worst, v) {
            (_, Volatility::Volatile) => worst = Volatility::Volatile,
            (Volatility::Immutable, Volatility::Stable) => worst = Volatility::Stable,
            _ => {}
        }
        false
    });
    worst
}

/// NULL whenever one of the parameters is.
fn strict_in_all(e: &Expr, count: usize) -> bool {
    let mut seen: Vec<bool> = alloc::vec![false; count];
    let lax = e.any(&mut |e| match e {
        Expr::Param(n, _) => {
            if let Some(s) = seen.get_mut(*n as usize) {
                *s = true;
            }
            false
        }
        Expr::Call(c) => !c.function.strict,
        Expr::Relabel(..) | Expr::CoerceViaIo(..) | Expr::Const(..) | Expr::Not(_) => false,
        _ => true,
    });
    !lax && seen.iter().all(|s| *s)
}

/// May the body stand where the call does?
fn may_stand(body: &Expr, found: &Found) -> bool {
    let r = &found.target.routine;
    match (r.volatility, volatility(body)) {
        (Volatility::Immutable, Volatility::Stable | Volatility::Volatile)
        | (Volatility::Stable, Volatility::Volatile) => return false,
        _ => {}
    }
    if r.strict && !strict_in_all(body, found.args.len()) {
        return false;
    }
    // Fields of an argument would be computed anew for each.
    let mut uses: Vec<usize> = alloc::vec![0; found.args.len()];
    body.any(&mut |e| {
        if let Expr::Param(n, _) = e
            && let Some(u) = uses.get_mut(*n as usize)
        {
            *u += 1;
        }
        false
    });
    found.args.iter().zip(&uses).all(|(arg, uses)| {
        if *uses == 1 {
            return true;
        }
        let mut cost = 0;
        let subquery = arg.any(&mut |e| {
            cost += usize::from(matches!(e, Expr::Call(_)));
            matches!(e, Expr::SubPlan(_) | Expr::Routine(_))
        });
        volatility(arg) != Volatility::Volatile && !subquery && (*uses == 0 || cost <= CHEAP)
    })
}

/// Arguments in the place of parameters.
fn substitute(e: &mut Expr, args: &[Expr]) {
    if let Expr::Param(n, _) = e
        && let Some(arg) = args.get(*n as usize)
    {
        *e = arg.clone();
        return;
    }
    e.for_each_child_mut(&mut |e| substitute(e, args));
}

/// A value in the place of `Column(0)`.
fn substitute_column(e: &mut Expr, value: &Expr) {
    if let Expr::Column(0, _) = e {
        *e = value.clone();
        return;
    }
    e.for_each_child_mut(&mut |e| substitute_column(e, value));
}

/// The element type of an array type; 0: it is none.
pub(super) fn element(ty: Oid) -> Oid {
    typeinfo::element_of(ty)
}

/// A body in the standard's form as it is shown.
pub(crate) fn shown(routine: &pg_catalog::Routine, catalog: &dyn CatalogReader) -> Result<Option<String>> {
    let Some(text) = &routine.body else { return Ok(None) };
    let names = routine.input_names();
    let named = |text: &str, qualified: bool| -> Result<String> {
        let mut out = String::with_capacity(text.len());
        let mut end = 0;
        for token in crate::lexer::tokenize(text)? {
            let sqlparser::tokenizer::Token::Placeholder(p) = &token.token else { continue };
            let number = p.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
            let name = number.checked_sub(1).and_then(|n| names.get(n)).filter(|n| !n.is_empty());
            let Some(name) = name else { continue };
            let from = (token.span.start.line as usize).saturating_sub(1);
            let to = (token.span.end.line as usize).saturating_sub(1);
            out.push_str(text.get(end..from).unwrap_or(""));
            if qualified {
                out.push_str(&crate::deparse::quote(&routine.name));
                out.push('.');
            }
            out.push_str(&crate::deparse::quote(name));
            end = to;
        }
        out.push_str(text.get(end..).unwrap_or(""));
        Ok(out)
    };
    if text.starts_with("RETURN ") {
        return named(text, false).map(Some);
    }
    let mut out = String::from("BEGIN ATOMIC\n");
    let inputs: Vec<SqlType> =
        routine.inputs.iter().map(|t| catalog.plain_type(SqlType::new(*t))).collect::<Result<_>>()?;
    let target = Resolved {
        routine: alloc::sync::Arc::new(routine.clone()),
        inputs,
        result: SqlType::new(routine.result),
        columns: Vec::new(),
    };
    for item in grammar::body(text)? {
        let Ast::Query(query) = &item.ast else { continue };
        let (record, columns) = super::record::recorded_in(query, text, catalog, Some(&target))?;
        let view = crate::ruleutils::ViewQuery::of(record, columns);
        let statement = view.shown(None, catalog, false, 0)?;
        let from = matches!(&*query.body, sq::SetExpr::Select(s) if s.from.is_empty());
        // Nobody asked for a name that the column has anyway.
        let statement = statement.replace(" AS \"?column?\"", "").replace('\n', "\n ");
        out.push_str(&named(&statement, !from)?);
        out.push_str(";\n");
    }
    out.push_str("END");
    Ok(Some(out))
}

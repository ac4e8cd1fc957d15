//! Aggregate calls, and the rules of GROUP BY.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::ConstraintKind;
use pg_functions::registry;
use pg_plan::{
    definition::Aggregated,
    expr::{ColumnId, Expr},
    logical::{AggregateCall, Column, SortKey},
};
use pg_types::{Result, SqlError, SqlState, SqlType, oid};
use sqlparser::ast as sq;

use super::{
    Binder,
    call::Arguments,
    expr::{list_position, start},
    hypothetical::Hypothetical,
    resolve::{self, Resolution},
    scope::Place,
};

impl Binder<'_> {
    #[inline(never)]
    pub(super) fn aggregate(
        &mut self,
        name: &str,
        f: &sq::Function,
        args: &Arguments<'_>,
        at: u32,
    ) -> Result<Expr> {
        if let Some(level) = self.level_of_arguments(f, args)? {
            // An aggregate of nothing but an outer level's columns is one of that level.
            let inner = self.frames.split_off(level + 1);
            let outer = match self.place() {
                Place::From => Err(SqlError::new(
                    SqlState::GROUPING_ERROR,
                    "aggregate functions are not allowed in FROM clause of their own query level",
                )
                .at(at)),
                _ => self.aggregate(name, f, args, at),
            };
            self.frames.extend(inner);
            return self.carry(outer?, level);
        }
        self.may_aggregate(at)?;
        self.aggregate_at = at;
        if let Some(which) = Hypothetical::named(name) {
            return self.hypothetical(which, name, f, args, at);
        }
        self.frame()?.in_aggregate = true;
        let call = self.aggregate_call(name, f, args, at);
        self.frame()?.in_aggregate = false;
        let call = call?;
        self.aggregated(name, call)
    }

    /// The error where aggregates cannot be called.
    pub(super) fn may_aggregate(&mut self, at: u32) -> Result<()> {
        let place = self.place();
        if !place.aggregates() {
            return Err(SqlError::new(
                SqlState::GROUPING_ERROR,
                format!("aggregate functions are not allowed in {}", place.name()),
            )
            .at(at));
        }
        if self.frame()?.in_aggregate {
            return Err(
                SqlError::new(SqlState::GROUPING_ERROR, "aggregate function calls cannot be nested").at(at)
            );
        }
        Ok(())
    }

    /// FILTER of a call.
    pub(super) fn aggregate_filter(&mut self, f: &sq::Function) -> Result<Option<Expr>> {
        let Some(e) = &f.filter else { return Ok(None) };
        self.at_place(Place::Filter, |b| {
            let condition = b.expr(e)?;
            b.boolean(condition, "FILTER", start(e)).map(Some)
        })
    }

    /// The level that an aggregate belongs to, if that is not the innermost one: the innermost of those whose columns its
    /// arguments name.
    pub(super) fn level_of_arguments(&self, f: &sq::Function, args: &Arguments<'_>) -> Result<Option<usize>> {
        let current = self.frames.len().saturating_sub(1);
        if current == 0 {
            return Ok(None);
        }
        let mut level = None;
        let parts = args.exprs.iter().copied().chain(f.filter.as_deref());
        for e in parts.chain(f.within_group.iter().map(|k| &k.expr)) {
            level = level.max(self.level_of(e)?);
        }
        Ok(level.filter(|l| *l < current))
    }

    /// The innermost level whose columns an expression names; one with parts that are not looked into is of the innermost.
    fn level_of(&self, e: &sq::Expr) -> Result<Option<usize>> {
        use sq::Expr as E;
        let innermost = self.frames.len().saturating_sub(1);
        Ok(match e {
            E::Value(_) | E::TypedString(_) => None,
            E::Identifier(ident) => Some(self.level_of_column(ident)?.unwrap_or(innermost)),
            E::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, _] => Some(self.find_entry(None, &table.value, 0)?.map_or(innermost, |(l, _)| l)),
                _ => Some(innermost),
            },
            E::Nested(e) | E::Cast { expr: e, .. } | E::UnaryOp { expr: e, .. } => self.level_of(e)?,
            E::IsNull(e) | E::IsNotNull(e) => self.level_of(e)?,
            E::IsTrue(e) | E::IsNotTrue(e) | E::IsFalse(e) | E::IsNotFalse(e) => self.level_of(e)?,
            E::IsUnknown(e) | E::IsNotUnknown(e) | E::Collate { expr: e, .. } => self.level_of(e)?,
            E::BinaryOp { left, right, .. } => self.level_of_all([&**left, right])?,
            E::IsDistinctFrom(a, b) | E::IsNotDistinctFrom(a, b) => self.level_of_all([&**a, b])?,
            E::Between { expr, low, high, .. } => self.level_of_all([&**expr, low, high])?,
            E::InList { expr, list, .. } => self.level_of_all(list.iter().chain([&**expr]))?,
            E::Case { operand, conditions, else_result, .. } => {
                let whens = conditions.iter().flat_map(|w| [&w.condition, &w.result]);
                self.level_of_all(whens.chain(operand.as_deref()).chain(else_result.as_deref()))?
            }
            E::Function(f) => match &f.args {
                sq::FunctionArguments::List(list) if f.over.is_none() => {
                    let mut level = None;
                    for arg in &list.args {
                        level = level.max(match arg {
                            sq::FunctionArg::Unnamed(sq::FunctionArgExpr::Expr(e)) => self.level_of(e)?,
                            _ => Some(innermost),
                        });
                    }
                    level
                }
                _ => Some(innermost),
            },
            _ => Some(innermost),
        })
    }

    fn level_of_all<'e>(&self, all: impl IntoIterator<Item = &'e sq::Expr>) -> Result<Option<usize>> {
        let mut level = None;
        for e in all {
            level = level.max(self.level_of(e)?);
        }
        Ok(level)
    }

    fn aggregate_call(
        &mut self,
        name: &str,
        f: &sq::Function,
        args: &Arguments<'_>,
        at: u32,
    ) -> Result<AggregateCall> {
        let mut bound = Vec::with_capacity(args.exprs.len());
        for e in &args.exprs {
            bound.push(self.expr(e)?);
        }
        let mut order_by = self.sort_keys(args.order_by)?;
        let within = self.sort_keys(&f.within_group)?;
        let direct = bound.len();
        bound.extend(within.iter().map(|k| k.expr.clone()));
        let types: Vec<SqlType> = bound.iter().map(Expr::ty).collect();
        let written = if args.distinct { bound.clone() } else { Vec::new() };
        let candidate = match resolve::function(name, &types, false, &self.casts) {
            Resolution::One(candidate) => candidate,
            Resolution::Ambiguous => return Err(resolve::ambiguous_function(name, &types).at(at)),
            Resolution::None => return Err(resolve::no_function(name, &types).at(at)),
        };
        let function = candidate.what;
        let Some(aggregate) = registry().aggregate(function.oid) else {
            let what = if args.star { format!("{name}(*)") } else { String::from(name) };
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("{what} specified, but {name} is not an aggregate function"),
            )
            .at(at));
        };
        if aggregate.kind == b'n' && !within.is_empty() {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP"),
            )
            .at(at));
        }
        if aggregate.kind != b'n' && within.is_empty() {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("WITHIN GROUP is required for ordered-set aggregate {name}"),
            )
            .at(at));
        }
        if args.exprs.is_empty() && !args.star && aggregate.kind == b'n' && function.args.is_empty() {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("{name}(*) must be used to call a parameterless aggregate function"),
            )
            .at(at));
        }
        let (coerced, ty) = self.coerce_arguments(&candidate, bound, at)?;
        if !within.is_empty() {
            order_by = within
                .into_iter()
                .zip(coerced.iter().skip(direct))
                .map(|(key, expr)| SortKey { expr: expr.clone(), ..key })
                .collect();
        }
        if args.distinct {
            // What makes an argument the type that the function takes does not matter.
            self.check_distinct(&coerced, at)?;
            self.check_distinct_order(&written, &order_by, args.order_by)?;
            for key in &mut order_by {
                let place = written.iter().position(|a| a.same(&key.expr));
                if let Some(same) = place.and_then(|p| coerced.get(p)) {
                    key.expr = same.clone();
                }
            }
        }
        let filter = self.aggregate_filter(f)?;
        self.accesses.builtin(function);
        let function = Aggregated::Builtin(function);
        Ok(AggregateCall { function, args: coerced, distinct: args.distinct, order_by, filter, ty })
    }

    /// What DISTINCT asks of an aggregate's arguments.
    pub(super) fn check_distinct(&self, args: &[Expr], at: u32) -> Result<()> {
        for arg in args {
            if registry().equality_operator(arg.ty().oid).is_none() {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_FUNCTION,
                    format!(
                        "could not identify an equality operator for type {}",
                        super::types::show(arg.ty())
                    ),
                )
                .at(at));
            }
        }
        Ok(())
    }

    /// With DISTINCT an aggregate's rows can be sorted by its arguments, as they were written, only.
    pub(super) fn check_distinct_order(
        &self,
        args: &[Expr],
        order_by: &[SortKey],
        keys: &[sq::OrderByExpr],
    ) -> Result<()> {
        match order_by.iter().position(|k| !args.iter().any(|a| a.same(&k.expr))) {
            None => Ok(()),
            Some(n) => Err(SqlError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
            )
            .at(keys.get(n).map_or(0, |k| start(&k.expr)))),
        }
    }

    /// ORDER BY inside a call.
    pub(super) fn sort_keys(&mut self, keys: &[sq::OrderByExpr]) -> Result<Vec<SortKey>> {
        let mut bound = Vec::with_capacity(keys.len());
        for key in keys {
            let mark = self.collation_mark();
            let expr = self.settled(&key.expr)?;
            let derived = self.taken_collation(mark);
            self.settled_collation(derived)?;
            let descending = descending(&key.options, expr.ty())?;
            let nulls_first = key.options.nulls_first.unwrap_or(descending);
            bound.push(SortKey { expr, descending, nulls_first });
        }
        Ok(bound)
    }

    /// Replaces, in an expression above the aggregation, group expressions by their columns and checks that nothing
    /// else of the input is left.
    pub(super) fn over_groups(&mut self, expr: Expr, groups: &mut Groups) -> Result<Expr> {
        if let Some(column) = groups.key(&expr).filter(|_| groups.one_set || !is_constant(&expr)) {
            return Ok(Expr::Column(column.id, expr.ty()));
        }
        if let Expr::Column(id, ty) = expr {
            if groups.results.contains(&id) {
                return Ok(Expr::Column(id, ty));
            }
            if let Some((_, meaning)) = groups.groupings.iter().find(|(g, _)| *g == id) {
                return Ok(meaning.clone());
            }
            if groups.one_set && self.functionally_dependent(id, groups) {
                let column = self.column("", ty);
                let replaced = Expr::Column(column.id, ty);
                groups.keys.push((column, Expr::Column(id, ty)));
                return Ok(replaced);
            }
            let mention = self.frame()?.mentions.iter().find(|(m, ..)| *m == id).cloned();
            let (at, name) = mention.map_or((0, String::new()), |(_, at, name)| (at, name));
            let text = if groups.in_subquery {
                format!("subquery uses ungrouped column \"{name}\" from outer query")
            } else {
                format!(
                    "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
                )
            };
            return Err(SqlError::new(SqlState::GROUPING_ERROR, text).at(at));
        }
        let mut expr = expr;
        let mut failure = None;
        let outside = groups.in_subquery;
        groups.in_subquery |= matches!(expr, Expr::SubPlan(_));
        expr.for_each_child_mut(&mut |child| {
            if failure.is_some() {
                return;
            }
            let taken = core::mem::replace(child, Expr::And(Vec::new()));
            match self.over_groups(taken, groups) {
                Ok(replaced) => *child = replaced,
                Err(error) => failure = Some(error),
            }
        });
        groups.in_subquery = outside;
        failure.map_or(Ok(expr), Err)
    }

    /// A column of a table whose primary key is grouped by.
    fn functionally_dependent(&self, id: ColumnId, groups: &Groups) -> bool {
        let Some(scan) =
            self.scans.iter().find(|s| (s.base..s.base + s.relation.live().count() as u32).contains(&id))
        else {
            return false;
        };
        let key =
            scan.relation.constraints.iter().find(|c| c.kind == ConstraintKind::Primary && !c.deferrable);
        let Some(key) = key else { return false };
        !key.columns.is_empty()
            && key.columns.iter().all(|attnum| {
                let position = scan.relation.live().position(|a| a.attnum == *attnum);
                position.is_some_and(|p| {
                    let wanted = scan.base + p as u32;
                    groups.keys.iter().any(|(_, e)| matches!(e, Expr::Column(c, _) if *c == wanted))
                })
            })
    }

    /// What stands at a place of the select list, counted from 1 and with stars expanded.
    fn at_position(&mut self, number: usize, projection: &[sq::SelectItem]) -> Result<Option<Expr>> {
        let mut before = 1;
        for item in projection {
            match item {
                sq::SelectItem::UnnamedExpr(e) | sq::SelectItem::ExprWithAlias { expr: e, .. }
                    if super::user_types::expanded(e).is_none() =>
                {
                    if before == number {
                        let mark = self.collation_mark();
                        let key = self.settled(e)?;
                        let derived = self.taken_collation(mark);
                        self.groups_by(derived);
                        return Ok(Some(key));
                    }
                    before += 1;
                }
                star => {
                    let mut columns = self.targets(core::slice::from_ref(star))?;
                    if let Some(place) = number.checked_sub(before)
                        && place < columns.len()
                    {
                        return Ok(Some(columns.swap_remove(place).expr));
                    }
                    before += columns.len();
                }
            }
        }
        Ok(None)
    }

    /// Binds one GROUP BY item: a position, an output name or an expression.
    pub(super) fn group_item(&mut self, item: &sq::Expr, projection: &[sq::SelectItem]) -> Result<Vec<Expr>> {
        let at = start(item);
        if let Some((number, text)) = list_position(item, "GROUP BY")? {
            let found = self.at_position(number, projection)?;
            return found.map(|e| Vec::from([e])).ok_or_else(|| {
                let text = format!("GROUP BY position {text} is not in select list");
                SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, text).at(at)
            });
        }
        match item {
            sq::Expr::Tuple(items) => {
                let mut all = Vec::new();
                for item in items {
                    all.extend(self.group_item(item, projection)?);
                }
                return Ok(all);
            }
            sq::Expr::Nested(inner) => return self.group_item(inner, projection),
            sq::Expr::Identifier(ident) => {
                // An input column comes before an output name.
                if let Some((expr, _)) = self.find_column(&ident.value, super::scope::at(ident))?
                    && !matches!(expr, Expr::Slot(..))
                {
                    return Ok(Vec::from([expr]));
                }
                let target = projection.iter().find_map(|item| match item {
                    sq::SelectItem::ExprWithAlias { expr, alias } if alias.value == ident.value => Some(expr),
                    sq::SelectItem::UnnamedExpr(expr)
                        if super::names::column_name(expr).is_some_and(|(n, _)| n == ident.value)
                            && !matches!(expr, sq::Expr::Identifier(_)) =>
                    {
                        Some(expr)
                    }
                    _ => None,
                });
                if let Some(target) = target {
                    let mark = self.collation_mark();
                    let expr = self.settled(target)?;
                    let derived = self.taken_collation(mark);
                    self.groups_by(derived);
                    return Ok(Vec::from([expr]));
                }
            }
            _ => {}
        }
        let mark = self.collation_mark();
        let expr = self.settled(item)?;
        let derived = self.taken_collation(mark);
        self.groups_by(derived);
        if expr.ty().oid != oid::RECORD && registry().equality_operator(expr.ty().oid).is_none() {
            return Err(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("could not identify an equality operator for type {}", super::types::show(expr.ty())),
            )
            .at(at));
        }
        Ok(Vec::from([expr]))
    }
}

/// The result of an aggregation: its keys, and the ids of aggregates' columns.
pub(super) struct Groups {
    pub(super) keys: Vec<(Column, Expr)>,
    pub(super) results: Vec<ColumnId>,
    /// A subquery of the expression is being looked at.
    pub(super) in_subquery: bool,
    pub(super) one_set: bool,
    /// What calls of GROUPING mean.
    pub(super) groupings: Vec<(ColumnId, Expr)>,
}

impl Groups {
    /// The column that has an expression which is grouped by.
    pub(super) fn key(&self, expr: &Expr) -> Option<&Column> {
        self.keys.iter().find(|(_, e)| e.same(expr)).map(|(c, _)| c)
    }
}

/// Is it the same in all rows? One that grouping sets are made of is NULL where it is left out only as a whole target; inside other
/// expressions it stays what it is.
fn is_constant(expr: &Expr) -> bool {
    !expr.volatile() && !expr.any(&mut |e| matches!(e, Expr::Column(..) | Expr::Slot(..) | Expr::SubPlan(_)))
}

/// DESC, or USING >, of what has this type.
pub(super) fn descending(options: &sq::OrderByOptions, ty: SqlType) -> Result<bool> {
    // Texts are sorted by their bytes in any case.
    let pattern = matches!(ty.oid, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::UNKNOWN);
    Ok(match &options.sort {
        None | Some(sq::OrderBySort::Asc) => false,
        Some(sq::OrderBySort::Desc) => true,
        Some(sq::OrderBySort::Using(name)) => {
            let name = format!("{name}");
            match name.trim_start_matches("OPERATOR(").trim_end_matches(')') {
                "<" => false,
                ">" => true,
                "~<~" if pattern => false,
                "~>~" if pattern => true,
                other => {
                    return Err(SqlError::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("operator {other} is not a valid ordering operator"),
                    )
                    .hint("Ordering operators must be \"<\" or \">\" members of btree operator families."));
                }
            }
        }
    })
}

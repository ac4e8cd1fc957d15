//! OVER and WINDOW.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

use pg_catalog::RoutineKind;
use pg_functions::{CastContext, Function, FunctionKind, registry};
use pg_plan::{
    definition::Aggregated,
    expr::Expr,
    logical::{FrameBound, FrameExclusion, FrameUnits, Logical, WindowCall, WindowFrame, WindowSpec},
};
use pg_types::{Result, SqlError, SqlState, SqlType, oid};
use sqlparser::ast as sq;

use super::{
    super::{grammar::window::exclusion, ruleutils::WindowBase},
    Binder,
    aggregate::Groups,
    call::Arguments,
    expr::start,
    resolve::{self, Candidate, Resolution},
    routine::{Choice, Given},
    scope::{Place, at},
    user_aggregate::Named,
};

fn windowing(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::WINDOWING_ERROR, message.into())
}

/// PARTITION BY, ORDER BY, and what stands at the end of one of them for EXCLUDE.
fn lists(spec: &sq::WindowSpec) -> (&[sq::Expr], &[sq::OrderByExpr], FrameExclusion) {
    let (mut partition, mut order) = (spec.partition_by.as_slice(), spec.order_by.as_slice());
    if let Some((last, rest)) = order.split_last()
        && let Some(exclude) = exclusion(&last.expr)
    {
        order = rest;
        return (partition, order, exclude);
    }
    if let Some((last, rest)) = partition.split_last()
        && let Some(exclude) = exclusion(last)
    {
        partition = rest;
        return (partition, order, exclude);
    }
    (partition, order, FrameExclusion::NoOthers)
}

/// The named window that one is built on.
pub(super) fn base(spec: &sq::WindowSpec) -> Option<WindowBase> {
    let name = spec.window_name.as_ref()?.value.clone();
    Some(WindowBase { name, whole: false, ordered: lists(spec).1.is_empty() })
}

impl Binder<'_> {
    /// The WINDOW clause.
    pub(super) fn name_windows(&mut self, clause: &[sq::NamedWindowDefinition]) -> Result<()> {
        for sq::NamedWindowDefinition(name, definition) in clause {
            let sq::NamedWindowExpr::WindowSpec(spec) = definition else {
                return Err(SqlError::syntax(format!("syntax error at or near \"{}\"", name.value)));
            };
            if self.frame()?.named_windows.iter().any(|(n, _)| *n == name.value) {
                let text = format!("window \"{}\" is already defined", name.value);
                return Err(windowing(text).at(at(name)));
            }
            let spec = self.completed(spec)?;
            self.frame()?.named_windows.push((name.value.clone(), Arc::new(spec)));
        }
        Ok(())
    }

    fn named_window(&mut self, name: &sq::Ident) -> Result<Arc<sq::WindowSpec>> {
        let found = self.frame()?.named_windows.iter().find(|(n, _)| *n == name.value);
        found.map(|(_, spec)| spec.clone()).ok_or_else(|| {
            let text = format!("window \"{}\" does not exist", name.value);
            SqlError::new(SqlState::UNDEFINED_OBJECT, text).at(at(name))
        })
    }

    /// A window that builds on a named one.
    fn completed(&mut self, spec: &sq::WindowSpec) -> Result<sq::WindowSpec> {
        let Some(name) = &spec.window_name else { return Ok(spec.clone()) };
        let base = self.named_window(name)?;
        let fault = |what: &str| windowing(format!("cannot {what} window \"{}\"", name.value)).at(at(name));
        if spec.partition_by.iter().any(|e| exclusion(e).is_none()) {
            return Err(fault("override PARTITION BY clause of"));
        }
        if !spec.order_by.is_empty() && !base.order_by.is_empty() {
            return Err(fault("override ORDER BY clause of"));
        }
        if base.window_frame.is_some() {
            return Err(windowing(format!(
                "cannot copy window \"{}\" because it has a frame clause",
                name.value
            ))
            .at(at(name)));
        }
        let order_by = if spec.order_by.is_empty() { base.order_by.clone() } else { spec.order_by.clone() };
        let partition_by = base.partition_by.iter().chain(&spec.partition_by).cloned().collect();
        Ok(sq::WindowSpec {
            window_name: None,
            partition_by,
            order_by,
            window_frame: spec.window_frame.clone(),
        })
    }

    /// A call with OVER.
    #[inline(never)]
    pub(super) fn window_call(
        &mut self,
        named: &Named<'_>,
        f: &sq::Function,
        args: &Arguments<'_>,
        over: &sq::WindowType,
        position: u32,
    ) -> Result<Expr> {
        let place = self.place();
        if !matches!(place, Place::Select | Place::OrderBy | Place::DistinctOn) {
            let text = format!("window functions are not allowed in {}", place.name());
            return Err(windowing(text).at(position));
        }
        if self.frame()?.in_aggregate {
            let text = "aggregate function calls cannot contain window function calls";
            return Err(SqlError::new(SqlState::GROUPING_ERROR, text).at(position));
        }
        if self.frame()?.in_window {
            return Err(windowing(if self.frame()?.in_window_definition {
                "window functions are not allowed in window definitions"
            } else {
                "window function calls cannot be nested"
            })
            .at(position));
        }
        self.frame()?.in_window = true;
        let bound = self.window_parts(named, f, args, over, position);
        self.frame()?.in_window = false;
        let (spec, call) = bound?;
        let ty = call.ty;
        let column = self.column(call.function.name(), ty);
        let id = column.id;
        self.record_window_name(id, over);
        let windows = &mut self.frame()?.windows;
        match windows.iter_mut().find(|(s, _)| s.same(&spec)) {
            Some((_, calls)) => calls.push((column, call)),
            None => windows.push((spec, Vec::from([(column, call)]))),
        }
        Ok(Expr::Column(id, ty))
    }

    fn window_parts(
        &mut self,
        named: &Named<'_>,
        f: &sq::Function,
        args: &Arguments<'_>,
        over: &sq::WindowType,
        position: u32,
    ) -> Result<(WindowSpec, WindowCall)> {
        let given = self.given(args)?;
        let (function, bound, ty) =
            self.window_function(named, given, args.star, f.filter.is_some(), position)?;
        let refuse =
            |text: &'static str| Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).at(position));
        if args.distinct {
            return refuse("DISTINCT is not implemented for window functions");
        }
        if !args.order_by.is_empty() {
            return refuse("aggregate ORDER BY is not implemented for window functions");
        }
        let args = bound;
        let filter = self.aggregate_filter(f)?;
        let spec = match over {
            sq::WindowType::NamedWindow(name) => (*self.named_window(name)?).clone(),
            sq::WindowType::WindowSpec(spec) => self.completed(spec)?,
        };
        self.frame()?.in_window_definition = true;
        let mark = self.collation_mark();
        let spec = self.window_spec(&spec);
        self.forget_collations(mark);
        self.frame()?.in_window_definition = false;
        let spec = spec?;
        Ok((spec, WindowCall { function, args, filter, ty }))
    }

    /// What a call with OVER calls, the arguments as it takes them, and its result's type.
    fn window_function(
        &mut self,
        named: &Named<'_>,
        given: Given,
        star: bool,
        filter: bool,
        position: u32,
    ) -> Result<(Aggregated, Vec<Expr>, SqlType)> {
        let name = named.shown;
        let wrong = |text: String| Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text).at(position));
        if !named.routines.is_empty() {
            let types: Vec<SqlType> = given.exprs.iter().map(Expr::ty).collect();
            let (names, none) = (given.names.clone(), given.exprs.is_empty());
            match self.choose(named.routines, name, named.builtin, given, false, position)? {
                Choice::Routine(found) if found.target.routine.kind == RoutineKind::Aggregate => {
                    if none && !star {
                        return wrong(format!(
                            "{name}(*) must be used to call a parameterless aggregate function"
                        ));
                    }
                    let user = self.user_aggregate(&found, position)?;
                    return Ok((Aggregated::User(user), found.args, found.target.result));
                }
                Choice::Routine(_) => {
                    return wrong(format!(
                        "OVER specified, but {name} is not a window function nor an aggregate function"
                    ));
                }
                Choice::Builtin(candidate, bound) => {
                    return self.builtin_window(name, candidate, bound, star, filter, position);
                }
                Choice::None(_) => {
                    let error = super::routine::not_one(name, &types, &names, false, false);
                    return Err(error.at(position));
                }
            }
        }
        let bound = given.exprs;
        let types: Vec<SqlType> = bound.iter().map(Expr::ty).collect();
        let candidate = match resolve::function(name, &types, false, &self.casts) {
            Resolution::One(candidate) => candidate,
            Resolution::Ambiguous => return Err(resolve::ambiguous_function(name, &types).at(position)),
            Resolution::None => return Err(resolve::no_function(name, &types).at(position)),
        };
        self.builtin_window(name, candidate, bound, star, filter, position)
    }

    fn builtin_window(
        &mut self,
        name: &str,
        candidate: Candidate<&'static Function>,
        bound: Vec<Expr>,
        star: bool,
        filter: bool,
        position: u32,
    ) -> Result<(Aggregated, Vec<Expr>, SqlType)> {
        let function = candidate.what;
        let refuse = |text: String| Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).at(position));
        let wrong = |text: String| Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text).at(position));
        match function.kind {
            FunctionKind::Window if filter => {
                return refuse("FILTER is not implemented for non-aggregate window functions".into());
            }
            FunctionKind::Window => {}
            FunctionKind::Aggregate => {
                if registry().aggregate(function.oid).is_some_and(|a| a.kind != b'n') {
                    return refuse(format!("OVER is not supported for ordered-set aggregate {name}"));
                }
                if bound.is_empty() && !star {
                    return wrong(format!(
                        "{name}(*) must be used to call a parameterless aggregate function"
                    ));
                }
            }
            _ => {
                return wrong(format!(
                    "OVER specified, but {name} is not a window function nor an aggregate function"
                ));
            }
        }
        self.accesses.builtin(function);
        let (args, ty) = self.coerce_arguments(&candidate, bound, position)?;
        Ok((Aggregated::Builtin(function), args, ty))
    }

    pub(super) fn window_spec(&mut self, spec: &sq::WindowSpec) -> Result<WindowSpec> {
        let (partition_by, order_by, exclude) = lists(spec);
        let mut partition = Vec::with_capacity(partition_by.len());
        for e in partition_by {
            let mark = self.collation_mark();
            let expr = self.settled(e)?;
            let derived = self.taken_collation(mark);
            self.settled_collation(derived)?;
            self.orderable(expr.ty(), e)?;
            partition.push(expr);
        }
        let order = self.sort_keys(order_by)?;
        for (key, written) in order.iter().zip(order_by) {
            self.orderable(key.expr.ty(), &written.expr)?;
        }
        let mut window = WindowSpec {
            partition,
            order,
            frame: WindowFrame {
                units: FrameUnits::Range,
                start: FrameBound::Unbounded,
                end: FrameBound::Current,
                between: false,
                exclude,
            },
        };
        let Some(frame) = &spec.window_frame else { return Ok(window) };
        window.frame.units = match frame.units {
            sq::WindowFrameUnits::Rows => FrameUnits::Rows,
            sq::WindowFrameUnits::Range => FrameUnits::Range,
            sq::WindowFrameUnits::Groups => FrameUnits::Groups,
        };
        window.frame.between = frame.end_bound.is_some();
        let end = frame.end_bound.as_ref().unwrap_or(&sq::WindowFrameBound::CurrentRow);
        if window.frame.units == FrameUnits::Groups && window.order.is_empty() {
            return Err(windowing("GROUPS mode requires an ORDER BY clause"));
        }
        window.frame.start = self.frame_bound(&frame.start_bound, &window)?;
        window.frame.end = self.frame_bound(end, &window)?;
        Ok(window)
    }

    fn frame_bound(&mut self, bound: &sq::WindowFrameBound, window: &WindowSpec) -> Result<FrameBound> {
        let (written, following) = match bound {
            sq::WindowFrameBound::CurrentRow => return Ok(FrameBound::Current),
            sq::WindowFrameBound::Preceding(None) | sq::WindowFrameBound::Following(None) => {
                return Ok(FrameBound::Unbounded);
            }
            sq::WindowFrameBound::Preceding(Some(e)) => (e, false),
            sq::WindowFrameBound::Following(Some(e)) => (e, true),
        };
        let name = match window.frame.units {
            FrameUnits::Rows => "ROWS",
            FrameUnits::Range => "RANGE",
            FrameUnits::Groups => "GROUPS",
        };
        let distance = self.expr(written)?;
        let mut columns = false;
        distance.for_each_column(&mut |_| columns = true);
        if columns {
            let text = format!("argument of {name} must not contain variables");
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, text).at(start(written)));
        }
        if window.frame.units != FrameUnits::Range {
            let from = distance.ty();
            let int8 = SqlType::new(oid::INT8);
            let Some(distance) = self.try_coerce(distance, int8, CastContext::Assignment)? else {
                let shown = super::types::show(from);
                let text = format!("argument of {name} must be type bigint, not type {shown}");
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text).at(start(written)));
            };
            return Ok(FrameBound::Offset { distance, following, range: None });
        }
        let [key] = window.order.as_slice() else {
            return Err(windowing(
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            ));
        };
        let ascending = !key.descending;
        let (distance, range) =
            self.range_bound(key.expr.clone(), distance, following == ascending, written)?;
        Ok(FrameBound::Offset { distance, following, range: Some(Box::new(range)) })
    }

    /// The distance, the sort key and the value bounding it, the latter two in one type. Integers are widened, so that
    /// a bound beyond their range is no overflow.
    fn range_bound(
        &mut self,
        key: Expr,
        distance: Expr,
        add: bool,
        written: &sq::Expr,
    ) -> Result<(Expr, (Expr, Expr))> {
        let position = start(written);
        let plain = |ty| SqlType::new(ty);
        let key_type = key.ty().oid;
        let (wide, offset) = match key_type {
            oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC => (oid::NUMERIC, oid::NUMERIC),
            oid::FLOAT4 | oid::FLOAT8 => (oid::FLOAT8, oid::FLOAT8),
            oid::DATE | oid::TIMESTAMP => (oid::TIMESTAMP, oid::INTERVAL),
            oid::TIMESTAMPTZ => (oid::TIMESTAMPTZ, oid::INTERVAL),
            oid::INTERVAL | oid::TIME => (oid::INTERVAL, oid::INTERVAL),
            _ => (0, 0),
        };
        let given = distance.ty();
        let fits = wide != 0
            && (given.oid == oid::UNKNOWN
                || super::coerce::can_coerce(given.oid, offset, CastContext::Implicit, &self.casts));
        if !fits {
            let mut text = format!(
                "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {}",
                // That is what its order is an order of.
                super::types::show(if key_type == oid::VARCHAR { plain(oid::TEXT) } else { key.ty() })
            );
            if wide != 0 {
                text.push_str(&format!(" and offset type {}", super::types::show(given)));
            }
            let error = SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).at(position);
            return Err(if wide != 0 {
                error.hint("Cast the offset value to an appropriate type.")
            } else {
                error
            });
        }
        let key = self.cast(key, plain(wide), position)?;
        let distance = self.cast(distance, plain(offset), position)?;
        let limit = self.operator(if add { "+" } else { "-" }, key.clone(), distance.clone(), position)?;
        Ok((distance, (key, limit)))
    }

    /// Windows as operators over `plan`. The first written is computed last: rows come out in its order.
    pub(super) fn windows(&mut self, mut plan: Logical) -> Result<Logical> {
        for (spec, calls) in core::mem::take(&mut self.frame()?.windows).into_iter().rev() {
            plan = Logical::Window { input: Box::new(plan), spec, calls };
        }
        Ok(plan)
    }

    /// Windows above an aggregation are over its groups.
    pub(super) fn windows_over_groups(&mut self, groups: &mut Groups) -> Result<()> {
        let mut windows = core::mem::take(&mut self.frame()?.windows);
        let mut failure = Ok(());
        for (spec, calls) in &mut windows {
            let mut over = |e: &mut Expr| {
                if failure.is_ok() {
                    let taken = core::mem::replace(e, Expr::And(Vec::new()));
                    match self.over_groups(taken, groups) {
                        Ok(replaced) => *e = replaced,
                        Err(error) => failure = Err(error),
                    }
                }
            };
            spec.for_each_mut(&mut over);
            for (_, call) in calls.iter_mut() {
                call.args.iter_mut().chain(&mut call.filter).for_each(&mut over);
            }
        }
        self.frame()?.windows = windows;
        failure
    }
}

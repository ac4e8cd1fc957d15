//! Function calls.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_functions::{Function, FunctionKind, registry};
use pg_plan::expr::{Call, Expr};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, oid, typeinfo};
use sqlparser::ast as sq;

use crate::{deparse::operator_of, ruleutils::Note};

use super::{
    Binder, part,
    resolve::{self, Candidate, Resolution},
    routine::Choice,
    scope::at,
    user_aggregate::{Named, all_aggregates},
};

const TO_LATERAL: &str = "You might be able to move the set-returning function into a LATERAL FROM item.";

/// A call's arguments as written.
pub(super) struct Arguments<'q> {
    pub(super) exprs: Vec<&'q sq::Expr>,
    pub(super) star: bool,
    pub(super) distinct: bool,
    /// Names of arguments, one each.
    pub(super) names: Vec<Option<String>>,
    /// The last one is marked VARIADIC.
    pub(super) variadic: bool,
    pub(super) order_by: &'q [sq::OrderByExpr],
}

/// Adds an argument.
pub(super) fn argument<'q>(arg: &'q sq::FunctionArg, found: &mut Arguments<'q>) -> Result<()> {
    if found.variadic {
        return Err(SqlError::syntax("syntax error at or near \",\""));
    }
    match arg {
        sq::FunctionArg::Unnamed(sq::FunctionArgExpr::Expr(e)) => {
            if found.names.iter().any(Option::is_some) {
                return Err(SqlError::syntax("positional argument cannot follow named argument")
                    .at(super::expr::start(e)));
            }
            found.exprs.push(e);
            found.names.push(None);
        }
        sq::FunctionArg::Unnamed(sq::FunctionArgExpr::Wildcard) => found.star = true,
        sq::FunctionArg::Unnamed(_) => return Err(SqlError::unsupported("table.* as an argument")),
        sq::FunctionArg::Named { name, arg: sq::FunctionArgExpr::Expr(e), .. } => {
            if name.value == crate::grammar::routine::VARIADIC {
                found.variadic = true;
                found.names.push(None);
            } else {
                if found.names.iter().flatten().any(|n| *n == name.value) {
                    let text = format!("argument name \"{}\" used more than once", name.value);
                    return Err(SqlError::syntax(text).at(at(name)));
                }
                found.names.push(Some(name.value.clone()));
            }
            found.exprs.push(e);
        }
        sq::FunctionArg::Named { .. } | sq::FunctionArg::ExprNamed { .. } => {
            return Err(SqlError::unsupported("this form of named argument"));
        }
    }
    Ok(())
}

impl Arguments<'_> {
    pub(super) fn none() -> Self {
        let (exprs, names) = (Vec::new(), Vec::new());
        Self { exprs, star: false, distinct: false, names, variadic: false, order_by: &[] }
    }
}

pub(super) fn arguments(f: &sq::Function) -> Result<Arguments<'_>> {
    let mut found = Arguments::none();
    let list = match &f.args {
        sq::FunctionArguments::None => return Ok(found),
        sq::FunctionArguments::Subquery(_) => {
            return Err(SqlError::unsupported("a subquery as argument list"));
        }
        sq::FunctionArguments::List(list) => list,
    };
    found.distinct = matches!(list.duplicate_treatment, Some(sq::DuplicateTreatment::Distinct));
    for arg in &list.args {
        argument(arg, &mut found)?;
    }
    for clause in &list.clauses {
        match clause {
            sq::FunctionArgumentClause::OrderBy(keys) => found.order_by = keys,
            other => return Err(SqlError::syntax(format!("syntax error at or near \"{other}\""))),
        }
    }
    Ok(found)
}

/// 42809 for what only aggregates take.
fn plain_call(name: &str, f: &sq::Function, args: &Arguments<'_>, at: u32) -> Result<()> {
    let what = if f.filter.is_some() {
        "FILTER"
    } else if args.distinct {
        "DISTINCT"
    } else if !args.order_by.is_empty() {
        "ORDER BY"
    } else {
        return Ok(());
    };
    let text = format!("{what} specified, but {name} is not an aggregate function");
    Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text).at(at))
}

impl Binder<'_> {
    #[inline(never)]
    pub(super) fn function(&mut self, f: &sq::Function) -> Result<Expr> {
        let mut names = Vec::with_capacity(2);
        for p in &f.name.0 {
            names.push(part(p)?);
        }
        let position = names.first().map_or(0, |i| at(i));
        let (schema, ident) = match names.as_slice() {
            [name] => (None, *name),
            [schema, name] => (Some(schema.value.as_str()), *name),
            _ => return Err(SqlError::syntax("improper function name").at(position)),
        };
        if let sq::FunctionArguments::Subquery(query) = &f.args {
            return self.array_subquery(query);
        }
        let plain = ident.quote_style.is_none() && schema.is_none();
        let args = arguments(f)?;
        if f.null_treatment.is_some() {
            return Err(SqlError::syntax("syntax error at or near \"nulls\"").at(position));
        }
        if f.over.is_none()
            && plain
            && let Some(expr) = self.keyword_function(&ident.value, f, &args, position)?
        {
            return Ok(expr);
        }
        let routines = self.routines_named(schema, &ident.value)?;
        if !routines.is_empty() {
            return self.users_function(&routines, (schema, &ident.value), f, &args, position);
        }
        if args.names.iter().any(Option::is_some) {
            let given = self.given(&args)?;
            let (candidate, exprs) = self.named_builtin(schema, &ident.value, given, position)?;
            if f.over.is_some() {
                let name = &ident.value;
                let text =
                    format!("OVER specified, but {name} is not a window function nor an aggregate function");
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text).at(position));
            }
            plain_call(&ident.value, f, &args, position)?;
            return self.apply(candidate, exprs, position);
        }
        let name = match schema {
            None | Some("pg_catalog") => ident.value.clone(),
            Some(schema) => {
                if !self.catalog.schema_exists(schema)? {
                    return Err(SqlError::new(
                        SqlState::INVALID_SCHEMA_NAME,
                        format!("schema \"{schema}\" does not exist"),
                    )
                    .at(position));
                }
                format!("{schema}.{}", ident.value)
            }
        };
        if let Some(over) = &f.over {
            let named = Named { routines: &[], shown: &name, builtin: Some(&name) };
            return self.window_call(&named, f, &args, over, position);
        }
        if resolve::is_aggregate(&name) || !f.within_group.is_empty() || args.star {
            return self.aggregate(&name, f, &args, position);
        }
        plain_call(&name, f, &args, position)?;
        let mut bound = Vec::with_capacity(args.exprs.len());
        if !self.recording()
            && let ("pg_column_size" | "pg_column_compression", [arg]) =
                (name.as_str(), args.exprs.as_slice())
        {
            let used = self.used.clone();
            let arg = self.expr(arg)?;
            if let Some(fact) = self.stored_fact(&arg, name == "pg_column_compression", &used) {
                return Ok(fact);
            }
            return self.call(&name, alloc::vec![arg], position);
        }
        if let ("pg_collation_for", [e]) = (name.as_str(), args.exprs.as_slice()) {
            return self.collation_for(e);
        }
        let kept = self.keeps_domains;
        self.keeps_domains |= name == "pg_typeof";
        for e in &args.exprs {
            bound.push(self.expr(e)?);
        }
        self.keeps_domains = kept;
        bound.retain(|e| !super::routine::is_said_void(e));
        if let ("pg_typeof", [e], [arg]) = (name.as_str(), args.exprs.as_slice(), bound.as_slice())
            && arg.ty().oid != oid::UNKNOWN
        {
            let ty = self.declared_type(e, arg)?;
            return Ok(Expr::Const(pg_types::Value::Oid(ty), SqlType::new(oid::REGTYPE)));
        }
        let call = self.call_as(&name, bound, args.variadic, position)?;
        if self.recording()
            && let Expr::Call(c) = &call
            && c.function.name == name
            && operator_of(c.function).is_some()
        {
            self.note(&call, || Note::Function);
        }
        Ok(call)
    }

    /// A call of a name that users gave to functions.
    fn users_function(
        &mut self,
        routines: &[alloc::sync::Arc<pg_catalog::Routine>],
        (schema, name): (Option<&str>, &str),
        f: &sq::Function,
        args: &Arguments<'_>,
        at: u32,
    ) -> Result<Expr> {
        let shown = match schema {
            _ if pg_types::user::referred_routine(name).is_some() => {
                routines.first().map_or_else(String::new, |r| r.name.clone())
            }
            Some(schema) => format!("{schema}.{name}"),
            None => String::from(name),
        };
        let builtin = schema.is_none().then_some(name);
        let named = Named { routines, shown: &shown, builtin };
        if let Some(over) = &f.over {
            return self.window_call(&named, f, args, over, at);
        }
        // Built-in aggregates stay reachable.
        let other = builtin.is_some_and(resolve::is_aggregate);
        let aggregates = routines.iter().any(|r| r.kind == pg_catalog::RoutineKind::Aggregate);
        let only = args.star || args.distinct || !args.order_by.is_empty() || f.filter.is_some();
        if aggregates && (only || all_aggregates(routines) && !other) {
            return self.users_aggregate(&named, f, args, at);
        }
        if other && only {
            return self.aggregate(name, f, args, at);
        }
        let refused = |what: &str| {
            let text = format!("{what} specified, but {shown} is not an aggregate function");
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text).at(at))
        };
        if args.star {
            let text = format!("{shown}(*) specified, but {shown} is not an aggregate function");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text).at(at));
        }
        if args.distinct {
            return refused("DISTINCT");
        }
        if !f.within_group.is_empty() {
            return refused("WITHIN GROUP");
        }
        if !args.order_by.is_empty() {
            return refused("ORDER BY");
        }
        if f.filter.is_some() {
            return refused("FILTER");
        }
        let given = self.given(args)?;
        let types: Vec<SqlType> = given.exprs.iter().map(Expr::ty).collect();
        match self.choose(routines, &shown, builtin, given, false, at)? {
            Choice::Routine(found) if found.target.routine.kind == pg_catalog::RoutineKind::Aggregate => {
                self.users_aggregate(&named, f, args, at)
            }
            Choice::Routine(found) => self.routine_call(found, at),
            Choice::Builtin(candidate, _) if candidate.what.kind == FunctionKind::Aggregate => {
                self.aggregate(name, f, args, at)
            }
            Choice::Builtin(candidate, exprs) => self.apply(candidate, exprs, at),
            Choice::None(exprs) => {
                if builtin.is_some()
                    && let Some(cast) = self.cast_by_name(name, &exprs, at)?
                {
                    return Ok(cast);
                }
                Err(super::routine::not_one(&shown, &types, &args.names, false, false).at(at))
            }
        }
    }

    /// Calls a built-in function by name with bound arguments.
    pub(super) fn call(&mut self, name: &str, args: Vec<Expr>, at: u32) -> Result<Expr> {
        self.call_as(name, args, false, at)
    }

    fn call_as(&mut self, name: &str, args: Vec<Expr>, variadic: bool, at: u32) -> Result<Expr> {
        let types: Vec<SqlType> = args.iter().map(Expr::ty).collect();
        match resolve::function(name, &types, variadic, &self.casts) {
            Resolution::One(candidate) => {
                let exact = candidate.args.iter().zip(&types).all(|(a, t)| *a == t.oid);
                if !exact && let Some(cast) = self.cast_by_name(name, &args, at)? {
                    return Ok(cast);
                }
                self.apply(candidate, args, at)
            }
            other => {
                if let Some(cast) = self.cast_by_name(name, &args, at)? {
                    return Ok(cast);
                }
                Err(match other {
                    Resolution::Ambiguous => resolve::ambiguous_function(name, &types),
                    _ => resolve::no_function(name, &types),
                }
                .at(at))
            }
        }
    }

    /// `type(x)` is a cast when the name is a type's and the cast needs no more than relabelling or text conversion.
    fn cast_by_name(&mut self, name: &str, args: &[Expr], at: u32) -> Result<Option<Expr>> {
        let [arg] = args else { return Ok(None) };
        let Some(info) = typeinfo::by_type_name(name) else { return Ok(None) };
        let from = arg.ty().oid;
        let way = super::coerce::pathway(from, info.oid, pg_functions::CastContext::Explicit, &self.casts);
        use super::coerce::Pathway;
        let fits = from == oid::UNKNOWN
            || matches!(way, Some(Pathway::Same | Pathway::Relabel | Pathway::Io | Pathway::Function(_)));
        if !fits {
            return Ok(None);
        }
        self.cast(arg.clone(), SqlType::new(info.oid), at).map(Some)
    }

    /// Coerces the arguments to the candidate's and makes the call.
    pub(super) fn apply(
        &mut self,
        candidate: Candidate<&'static Function>,
        args: Vec<Expr>,
        at: u32,
    ) -> Result<Expr> {
        let mut function = candidate.what;
        let (args, ty) = self.coerce_arguments(&candidate, args, at)?;
        if function.variadic == oid::ANY && !candidate.spread {
            let last = args.last().map_or(oid::UNKNOWN, |a| a.ty().oid);
            function = match pg_functions::gathered(function) {
                Some(form) if typeinfo::element_of(last) != 0 => form,
                _ => {
                    let text = "VARIADIC argument must be an array";
                    return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text).at(at));
                }
            };
        }
        self.accesses.builtin(function);
        // Values do not know their declared type; the binder does.
        if function.name == "pg_typeof"
            && !self.recording()
            && let [arg] = args.as_slice()
        {
            return Ok(Expr::Const(pg_types::Value::Oid(arg.ty().oid), ty));
        }
        self.volatile_calls += u32::from(function.volatility == pg_functions::Volatility::Volatile);
        if function.shaped {
            return self.row_call(function, args, ty, at);
        }
        let hidden = self.hidden_arguments(function, &args, ty, None)?;
        let args = args.into_iter().chain(hidden).collect();
        let call = Expr::Call(Box::new(Call { function, args, ty }));
        match function.kind {
            FunctionKind::Scalar => Ok(call),
            FunctionKind::Set => self.set_call(function.name, call, at),
            FunctionKind::Aggregate => Err(SqlError::internal("aggregate as plain function")),
            FunctionKind::Window => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("window function {} requires an OVER clause", function.name),
            )
            .at(at)),
        }
    }

    /// Arguments as the function takes them (defaults filled in, variadic ones gathered), and the result's type.
    pub(super) fn coerce_arguments(
        &mut self,
        candidate: &Candidate<&'static Function>,
        args: Vec<Expr>,
        at: u32,
    ) -> Result<(Vec<Expr>, SqlType)> {
        let function = candidate.what;
        let actual: Vec<SqlType> = args.iter().map(Expr::ty).collect();
        let (targets, result) = resolve::polymorphic(&candidate.args, &actual, function.result, &self.casts)
            .map_err(|e| e.at(at))?;
        let mut coerced = Vec::with_capacity(args.len());
        for (arg, target) in args.into_iter().zip(&targets) {
            let arg = if *target == oid::ANY {
                // A parameter learns no type here: that any would do leaves it undetermined, which is an error later.
                let undetermined = matches!(&arg, Expr::Param(_, ty) if ty.oid == oid::UNKNOWN);
                if undetermined { arg } else { self.settle(arg)? }
            } else {
                self.implicit(arg, SqlType::new(*target), at)?
            };
            coerced.push(arg);
        }
        if candidate.spread && function.variadic != oid::ANY {
            let fixed = function.args.len().saturating_sub(1);
            let spread = coerced.split_off(fixed.min(coerced.len()));
            let element = spread.first().map_or(function.variadic, |e| e.ty().oid);
            coerced.push(Expr::Array(spread, false, SqlType::new(typeinfo::array_of(element))));
        }
        if candidate.defaulted > 0 {
            let from = function.defaults.len().saturating_sub(candidate.defaulted);
            let first = function.args.len().saturating_sub(candidate.defaulted);
            let types = function.args.get(first..).unwrap_or(&[]);
            for (make, ty) in function.defaults.get(from..).unwrap_or(&[]).iter().zip(types) {
                coerced.push(Expr::Const(make(), SqlType::new(*ty)));
            }
        }
        Ok((coerced, SqlType::new(result)))
    }

    /// 0A000 if set-returning functions were called since: `before` is how many calls there were.
    pub(super) fn no_sets_since(&mut self, before: u32, construct: &str) -> Result<()> {
        let (now, at) = self.frame()?.set_calls;
        if now == before {
            return Ok(());
        }
        let text = format!("set-returning functions are not allowed in {construct}");
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).hint(TO_LATERAL).at(at))
    }

    /// A set-returning call in an expression: a column of the level's ProjectSet.
    pub(super) fn set_call(&mut self, name: &str, call: Expr, at: u32) -> Result<Expr> {
        let place = self.place();
        let one_row = place == super::scope::Place::Values && self.frame()?.one_row;
        if !place.sets() && !one_row {
            let text = match place {
                super::scope::Place::From => {
                    "set-returning functions must appear at top level of FROM".into()
                }
                _ => format!("set-returning functions are not allowed in {}", place.name()),
            };
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).at(at));
        }
        let frame = self.frame()?;
        let inside = match (frame.in_aggregate, frame.in_window) {
            (true, _) => Some("aggregate"),
            (_, true) => Some("window"),
            _ => None,
        };
        if let Some(inside) = inside {
            let text = format!("{inside} function calls cannot contain set-returning function calls");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).hint(TO_LATERAL).at(at));
        }
        frame.set_calls = (frame.set_calls.0 + 1, at);
        let ty = call.ty();
        let existing = self.frame()?.sets.iter().find(|(_, e)| e.same(&call)).map(|(c, _)| c.id);
        // The same call written twice runs in lockstep with itself.
        if let Some(id) = existing {
            return Ok(Expr::Column(id, ty));
        }
        let column = self.column(name, ty);
        let id = column.id;
        self.keep_shape(id, &call);
        self.frame()?.sets.push((column, call));
        Ok(Expr::Column(id, ty))
    }

    /// A function known by oid, for syntax that stands for one.
    pub(super) fn known(&self, name: &str, args: &[Oid]) -> Result<&'static Function> {
        let found = registry().functions_named(name).iter().copied().find(|f| f.args == args);
        found.ok_or_else(|| SqlError::unsupported(String::from(name)))
    }
}

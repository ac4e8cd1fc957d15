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
    scope::at,
};

/// A call's arguments as written.
pub(super) struct Arguments<'q> {
    pub(super) exprs: Vec<&'q sq::Expr>,
    pub(super) star: bool,
    pub(super) distinct: bool,
    pub(super) order_by: &'q [sq::OrderByExpr],
}

fn arguments(f: &sq::Function) -> Result<Arguments<'_>> {
    let mut found = Arguments { exprs: Vec::new(), star: false, distinct: false, order_by: &[] };
    let list = match &f.args {
        sq::FunctionArguments::None => return Ok(found),
        sq::FunctionArguments::Subquery(_) => {
            return Err(SqlError::unsupported("a subquery as argument list"));
        }
        sq::FunctionArguments::List(list) => list,
    };
    found.distinct = matches!(list.duplicate_treatment, Some(sq::DuplicateTreatment::Distinct));
    for arg in &list.args {
        match arg {
            sq::FunctionArg::Unnamed(sq::FunctionArgExpr::Expr(e)) => found.exprs.push(e),
            sq::FunctionArg::Unnamed(sq::FunctionArgExpr::Wildcard) => found.star = true,
            sq::FunctionArg::Unnamed(_) => return Err(SqlError::unsupported("table.* as an argument")),
            sq::FunctionArg::Named { .. } | sq::FunctionArg::ExprNamed { .. } => {
                return Err(SqlError::unsupported("named arguments"));
            }
        }
    }
    for clause in &list.clauses {
        match clause {
            sq::FunctionArgumentClause::OrderBy(keys) => found.order_by = keys,
            other => return Err(SqlError::syntax(format!("syntax error at or near \"{other}\""))),
        }
    }
    Ok(found)
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
            return self.window_call(&name, f, &args, over, position);
        }
        if resolve::is_aggregate(&name) || !f.within_group.is_empty() || args.star {
            return self.aggregate(&name, f, &args, position);
        }
        if args.distinct || !args.order_by.is_empty() || f.filter.is_some() {
            let what = if f.filter.is_some() {
                "FILTER"
            } else if args.distinct {
                "DISTINCT"
            } else {
                "ORDER BY"
            };
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("{what} specified, but {name} is not an aggregate function"),
            )
            .at(position));
        }
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
        for e in &args.exprs {
            bound.push(self.expr(e)?);
        }
        if let ("pg_typeof", [e], [arg]) = (name.as_str(), args.exprs.as_slice(), bound.as_slice())
            && arg.ty().oid != oid::UNKNOWN
        {
            let ty = self.declared_type(e, arg)?;
            return Ok(Expr::Const(pg_types::Value::Oid(ty), SqlType::new(oid::REGTYPE)));
        }
        let call = self.call(&name, bound, position)?;
        if self.recording()
            && let Expr::Call(c) = &call
            && c.function.name == name
            && operator_of(c.function).is_some()
        {
            self.note(&call, || Note::Function);
        }
        Ok(call)
    }

    /// Calls a function by name with bound arguments.
    pub(super) fn call(&mut self, name: &str, args: Vec<Expr>, at: u32) -> Result<Expr> {
        let types: Vec<SqlType> = args.iter().map(Expr::ty).collect();
        match resolve::function(name, &types, false) {
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
        let way = super::coerce::pathway(from, info.oid, pg_functions::CastContext::Explicit);
        use super::coerce::Pathway;
        let fits = from == oid::UNKNOWN
            || matches!(way, Some(Pathway::Same | Pathway::Relabel | Pathway::Io | Pathway::Function(_)));
        if !fits {
            return Ok(None);
        }
        self.cast(arg.clone(), SqlType::new(info.oid), at).map(Some)
    }

    /// Coerces the arguments to the candidate's and makes the call.
    fn apply(&mut self, candidate: Candidate<&'static Function>, args: Vec<Expr>, at: u32) -> Result<Expr> {
        let function = candidate.what;
        let (args, ty) = self.coerce_arguments(&candidate, args, at)?;
        // Values do not know their declared type; the binder does.
        if function.name == "pg_typeof"
            && !self.recording()
            && let [arg] = args.as_slice()
        {
            return Ok(Expr::Const(pg_types::Value::Oid(arg.ty().oid), ty));
        }
        let mut args = args;
        if function.described {
            let types = args.iter().map(|a| pg_types::Value::Oid(a.ty().oid)).collect::<Vec<_>>();
            let dims = alloc::vec![(types.len() as i32, 1)];
            let types = pg_types::value::ArrayValue { element: oid::OID, dims, values: types };
            let types = pg_types::Value::Array(alloc::sync::Arc::new(types));
            args.push(Expr::Const(types, SqlType::new(oid::OID_ARRAY)));
        }
        let call = Expr::Call(Box::new(Call { function, args, ty }));
        match function.kind {
            FunctionKind::Scalar => Ok(call),
            FunctionKind::Set => self.set_call(function, call, at),
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
        let (targets, result) =
            resolve::polymorphic(&candidate.args, &actual, function.result).map_err(|e| e.at(at))?;
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

    /// A set-returning call in an expression: a column of the level's ProjectSet.
    fn set_call(&mut self, function: &'static Function, call: Expr, at: u32) -> Result<Expr> {
        let place = self.place();
        if !place.sets() {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("set-returning functions are not allowed in {}", place.name()),
            )
            .at(at));
        }
        if self.frame()?.in_aggregate {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "aggregate function calls cannot contain set-returning function calls",
            )
            .at(at));
        }
        let ty = call.ty();
        let existing = self.frame()?.sets.iter().find(|(_, e)| e.same(&call)).map(|(c, _)| c.id);
        // The same call written twice runs in lockstep with itself.
        if let Some(id) = existing {
            return Ok(Expr::Column(id, ty));
        }
        let column = self.column(function.name, ty);
        let id = column.id;
        self.frame()?.sets.push((column, call));
        Ok(Expr::Column(id, ty))
    }

    /// A function known by oid, for syntax that stands for one.
    pub(super) fn known(&self, name: &str, args: &[Oid]) -> Result<&'static Function> {
        let found = registry().functions_named(name).iter().copied().find(|f| f.args == args);
        found.ok_or_else(|| SqlError::unsupported(String::from(name)))
    }
}

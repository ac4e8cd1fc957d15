//! Calls of users' functions: which one a name means, its arguments, its result.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec, vec::Vec};

use pg_catalog::{Routine, RoutineKind, builtin::PG_CATALOG};
use pg_functions::Function;
use pg_plan::{
    expr::Expr,
    logical::{Column, Logical},
    routine::{Callee, Resolved, RoutineCall},
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, oid, typeinfo, user};
use sqlparser::ast as sq;

use super::{
    Binder,
    resolve::{self, Candidate, Resolution},
    scope::{Entry, Place},
    types::{is_polymorphic, show},
};

/// What a name may mean.
#[derive(Clone)]
pub(super) enum Callable {
    Builtin(&'static Function),
    /// With the parameter that each argument is for.
    Routine(Arc<Routine>, Vec<usize>),
}

/// Arguments of a call, bound.
pub(super) struct Given {
    pub(super) exprs: Vec<Expr>,
    /// Names of the last of them; those before have none.
    pub(super) names: Vec<Option<String>>,
    /// The last one is marked VARIADIC.
    pub(super) variadic: bool,
}

/// A call whose function was found.
pub(super) struct Found {
    pub(super) target: Arc<Resolved>,
    pub(super) args: Vec<Expr>,
}

/// What resolution came to.
pub(super) enum Choice {
    Routine(Found),
    /// A built-in function after all.
    Builtin(Candidate<&'static Function>, Vec<Expr>),
    /// Nothing fits.
    None(Vec<Expr>),
}

/// Names of arguments as messages show them: `a => integer`.
fn signature(name: &str, types: &[SqlType], names: &[Option<String>]) -> String {
    let shown: Vec<String> = types
        .iter()
        .enumerate()
        .map(|(n, t)| match names.get(n) {
            Some(Some(name)) => format!("{name} => {}", show(*t)),
            _ => show(*t),
        })
        .collect();
    format!("{name}({})", shown.join(", "))
}

/// 42883, or 42725 for a call.
pub(super) fn not_one(
    name: &str,
    types: &[SqlType],
    names: &[Option<String>],
    ambiguous: bool,
    procedure: bool,
) -> SqlError {
    let what = if procedure { "procedure" } else { "function" };
    let shown = signature(name, types, names);
    if ambiguous {
        return SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("{what} {shown} is not unique")).hint(
            format!("Could not choose a best candidate {what}. You might need to add explicit type casts."),
        );
    }
    let error = SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("{what} {shown} does not exist"));
    error.hint(format!(
        "No {what} matches the given name and argument types. You might need to add explicit type casts."
    ))
}

impl Binder<'_> {
    /// The users' routines that a name may mean.
    pub(super) fn routines_named(&self, schema: Option<&str>, name: &str) -> Result<Vec<Arc<Routine>>> {
        if let Some(oid) = user::referred_routine(name) {
            return Ok(self.catalog.routine(oid)?.into_iter().collect());
        }
        let all = self.catalog.routines(name)?;
        if all.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(schema) = schema {
            let schema = self.catalog.schema_oid(schema)?;
            return Ok(all.iter().filter(|r| Some(r.schema) == schema).cloned().collect());
        }
        let path = self.catalog.searched();
        let mut found: Vec<(usize, Arc<Routine>)> =
            all.iter().filter_map(|r| Some((path.iter().position(|s| *s == r.schema)?, r.clone()))).collect();
        found.sort_by_key(|f| f.0);
        Ok(found.into_iter().map(|f| f.1).collect())
    }

    /// The types that a routine's parameters have values of.
    pub(super) fn plain_inputs(&self, routine: &Routine) -> Result<Vec<Oid>> {
        routine
            .inputs
            .iter()
            .map(
                |t| {
                    if user::is_user(*t) {
                        Ok(self.catalog.plain_type(SqlType::new(*t))?.oid)
                    } else {
                        Ok(*t)
                    }
                },
            )
            .collect()
    }

    /// How a routine would take so many arguments with these names.
    fn routine_candidate(
        &self,
        routine: &Arc<Routine>,
        given: &Given,
        expand: bool,
    ) -> Result<Option<Candidate<Callable>>> {
        let inputs = self.plain_inputs(routine)?;
        let (declared, count) = (inputs.len(), given.exprs.len());
        let what = |places| Callable::Routine(routine.clone(), places);
        if given.names.iter().any(Option::is_some) {
            return Ok(match_names(routine, given).map(|places| Candidate {
                args: places.iter().filter_map(|p| inputs.get(*p).copied()).collect(),
                what: what(places),
                spread: false,
                defaulted: declared - count,
            }));
        }
        if expand && routine.variadic != 0 && count >= declared {
            let mut args: Vec<Oid> = inputs.get(..declared.saturating_sub(1)).unwrap_or(&[]).to_vec();
            args.resize(count, routine.variadic);
            let places = (0..count).map(|n| n.min(declared.saturating_sub(1))).collect();
            return Ok(Some(Candidate { what: what(places), args, spread: true, defaulted: 0 }));
        }
        if !expand && routine.variadic == 0 || count > declared || declared - count > routine.defaults.len() {
            return Ok(None);
        }
        let args = inputs.get(..count).unwrap_or(&[]).to_vec();
        let places = (0..count).collect();
        Ok(Some(Candidate { what: what(places), args, spread: false, defaulted: declared - count }))
    }

    /// Candidates of users and built-in ones; of those with the same arguments the one that is found first.
    pub(super) fn all_candidates(
        &self,
        routines: &[Arc<Routine>],
        builtin: Option<&str>,
        given: &Given,
    ) -> Result<Vec<Candidate<Callable>>> {
        let path = self.catalog.searched();
        let place = |schema: Oid| path.iter().position(|s| *s == schema).unwrap_or(usize::MAX);
        let mut list: Vec<(usize, Candidate<Callable>)> = Vec::new();
        for r in routines {
            if let Some(c) = self.routine_candidate(r, given, !given.variadic)? {
                list.push((place(r.schema), c));
            }
        }
        if let Some(name) = builtin
            && given.names.iter().all(Option::is_none)
        {
            for c in resolve::candidates(name, given.exprs.len()) {
                if !resolve::callable(&c, given.variadic) {
                    continue;
                }
                let Candidate { what, args, spread, defaulted } = c;
                let what = Callable::Builtin(what);
                list.push((place(PG_CATALOG), Candidate { what, args, spread, defaulted }));
            }
        }
        list.sort_by_key(|c| c.0);
        let mut kept: Vec<(usize, Candidate<Callable>)> = Vec::new();
        for (at, c) in list {
            // Within a schema one that spreads or takes defaults gives way to one that does not.
            let rival = kept.iter().position(|(_, k)| k.args == c.args);
            match rival {
                Some(i) => {
                    let Some(k) = kept.get_mut(i) else { continue };
                    let weight = |c: &Candidate<Callable>| (c.spread, c.defaulted);
                    if k.0 == at && weight(&c) < weight(&k.1) {
                        *k = (at, c);
                    } else if k.0 == at && weight(&c) == weight(&k.1) {
                        kept.push((at, c));
                    }
                }
                None => kept.push((at, c)),
            }
        }
        Ok(kept.into_iter().map(|k| k.1).collect())
    }

    /// Finds the function that a call means. `builtin`: built-in ones of this name count, too.
    pub(super) fn choose(
        &mut self,
        routines: &[Arc<Routine>],
        shown: &str,
        builtin: Option<&str>,
        given: Given,
        procedure: bool,
        at: u32,
    ) -> Result<Choice> {
        let types: Vec<SqlType> = given.exprs.iter().map(Expr::ty).collect();
        let oids: Vec<Oid> = types.iter().map(|t| t.oid).collect();
        let all = self.all_candidates(routines, builtin, &given)?;
        let chosen = resolve::pick(all, &oids, &self.casts);
        let candidate = match chosen {
            Resolution::One(c) => c,
            Resolution::Ambiguous => {
                return Err(not_one(shown, &types, &given.names, true, procedure).at(at));
            }
            Resolution::None => return Ok(Choice::None(given.exprs)),
        };
        let Candidate { what, args, spread, defaulted } = candidate;
        match what {
            Callable::Builtin(what) => {
                Ok(Choice::Builtin(Candidate { what, args, spread, defaulted }, given.exprs))
            }
            Callable::Routine(routine, places) => {
                let is = routine.kind == RoutineKind::Procedure;
                if is != procedure {
                    let name = signature(shown, &types, &given.names);
                    let (what, hint) = match is {
                        true => ("is a procedure", "To call a procedure, use CALL."),
                        false => ("is not a procedure", "To call a function, use SELECT."),
                    };
                    let error = SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("{name} {what}"));
                    return Err(error.hint(hint).at(at));
                }
                self.resolved(&routine, &places, &args, spread, given.exprs, at).map(Choice::Routine)
            }
        }
    }

    /// Arguments as the routine takes them, and what it gives.
    pub(super) fn resolved(
        &mut self,
        routine: &Arc<Routine>,
        places: &[usize],
        declared: &[Oid],
        spread: bool,
        args: Vec<Expr>,
        at: u32,
    ) -> Result<Found> {
        let actual: Vec<SqlType> = args.iter().map(Expr::ty).collect();
        let inputs = self.plain_inputs(routine)?;
        let (targets, result) = resolve::polymorphic(declared, &actual, routine.result, &self.casts)?;
        let mut values: Vec<Option<Expr>> = vec![None; inputs.len()];
        let mut gathered = Vec::new();
        let fixed = inputs.len().saturating_sub(1);
        for (n, arg) in args.into_iter().enumerate() {
            let place = places.get(n).copied().unwrap_or(n);
            let target = targets.get(n).copied().unwrap_or(oid::TEXT);
            // A domain's parameter takes what the domain allows.
            let declared = routine.inputs.get(place).copied().unwrap_or(target);
            let target =
                if user::is_user(declared) && !(spread && place == fixed) { declared } else { target };
            let arg = self.implicit(arg, SqlType::new(target), at)?;
            if spread && place == fixed {
                gathered.push(arg);
            } else if let Some(slot) = values.get_mut(place) {
                *slot = Some(arg);
            }
        }
        if spread {
            let element = gathered.first().map_or(routine.variadic, |e| e.ty().oid);
            let ty = SqlType::new(typeinfo::array_of(element));
            if let Some(slot) = values.get_mut(fixed) {
                *slot = Some(Expr::Array(gathered, false, ty));
            }
        }
        let first = inputs.len().saturating_sub(routine.defaults.len());
        let mut complete = Vec::with_capacity(values.len());
        for (n, value) in values.into_iter().enumerate() {
            complete.push(match value {
                Some(v) => v,
                None => {
                    let text = n.checked_sub(first).and_then(|i| routine.defaults.get(i));
                    let text = text.ok_or_else(|| SqlError::internal("an argument without a default"))?;
                    let ty = routine.inputs.get(n).copied().unwrap_or(oid::TEXT);
                    self.argument_default(
                        text,
                        if is_polymorphic(ty) { None } else { Some(SqlType::new(ty)) },
                    )?
                }
            });
        }
        let types: Vec<SqlType> = complete.iter().map(Expr::ty).collect();
        self.routine_result(routine, types, result)
            .map(|target| Found { target: Arc::new(target), args: complete })
    }

    /// What a routine gives for values of these types.
    pub(super) fn routine_result(
        &self,
        routine: &Arc<Routine>,
        inputs: Vec<SqlType>,
        result: Oid,
    ) -> Result<Resolved> {
        let declared: Vec<Oid> = routine.inputs.clone();
        let settled = |ty: Oid| -> Result<Oid> {
            if is_polymorphic(ty) {
                Ok(resolve::polymorphic(&declared, &inputs, ty, &self.casts)?.1)
            } else {
                Ok(ty)
            }
        };
        let result = settled(result)?;
        let outputs = routine.outputs();
        let mut columns = Vec::new();
        if result == oid::RECORD {
            for (name, ty) in outputs {
                columns.push((name, SqlType::new(settled(ty.oid)?)));
            }
        } else if user::is_composite(result) {
            let described = self.user_type(result)?;
            columns = described.fields().iter().map(|f| (f.name.clone(), f.plain)).collect();
        }
        let result = self.catalog.plain_type(SqlType::new(result))?;
        Ok(Resolved { routine: routine.clone(), inputs, result, columns })
    }

    /// The default of a parameter.
    fn argument_default(&mut self, text: &str, ty: Option<SqlType>) -> Result<Expr> {
        let ast = crate::grammar::expression(text)?;
        let entry = Entry::without_columns();
        let scope = self.routine.take();
        let result = self.over_entry(&ast, entry, Place::Default, ty);
        self.routine = scope;
        result
    }

    /// A call in an expression.
    pub(super) fn routine_call(&mut self, found: Found, at: u32) -> Result<Expr> {
        self.accesses.call(&found.target.routine);
        let set = found.target.routine.set;
        if !set && let Some(expr) = self.inlined(&found)? {
            return Ok(expr);
        }
        let name = found.target.routine.name.clone();
        let call = Expr::Routine(Box::new(RoutineCall { target: found.target, args: found.args }));
        if set { self.set_call(&name, call, at) } else { Ok(call) }
    }

    /// A call in FROM: its rows, and whether they are of one column that has no name of its own. `defined`: the columns
    /// that the statement says a record has.
    pub(super) fn routine_plan(
        &mut self,
        found: Found,
        (ordinality, alias): (bool, &str),
        defined: Option<&[super::rowtype::Defined]>,
        at: u32,
    ) -> Result<(Logical, Vec<Column>, bool)> {
        self.accesses.call(&found.target.routine);
        let routine = found.target.routine.clone();
        let mut target = (*found.target).clone();
        if target.result.oid == oid::RECORD && target.columns.is_empty() {
            let Some(defined) = defined else {
                let text = "a column definition list is required for functions returning \"record\"";
                return Err(SqlError::syntax(text).at(at));
            };
            target.columns = defined.iter().map(|d| (d.name.clone(), d.plain)).collect();
        } else if defined.is_some() {
            let text = match routine.result {
                oid::RECORD => "a column definition list is redundant for a function with OUT parameters",
                _ if !target.columns.is_empty() => {
                    "a column definition list is redundant for a function returning a named composite type"
                }
                _ => "a column definition list is only allowed for functions returning \"record\"",
            };
            return Err(SqlError::syntax(text).at(at));
        }
        let mut columns: Vec<Column> =
            target.columns.iter().map(|(name, ty)| self.column(name, *ty)).collect();
        let mut scalar = false;
        if columns.is_empty() {
            // One OUT parameter gives its name.
            let outputs = routine.outputs();
            let named = routine.arguments.iter().any(|a| a.is_output() && !a.name.is_empty());
            let name = match outputs.as_slice() {
                [(name, _)] if named => name.clone(),
                _ => {
                    scalar = true;
                    routine.name.clone()
                }
            };
            columns.push(self.column(&name, target.result));
        }
        let single = target.columns.is_empty();
        if ordinality {
            columns.push(self.column("ordinality", SqlType::new(oid::INT8)));
        }
        let plan = Logical::FunctionScan {
            function: Callee::Routine(Arc::new(target)),
            args: found.args,
            columns: columns.clone(),
            ordinality,
            alias: alias.into(),
        };
        Ok((plan, columns, scalar && single))
    }

    /// `table.function`, if that is a call for the table's row.
    pub(super) fn attribute_call(
        &mut self,
        (level, index): (usize, usize),
        name: &sq::Ident,
    ) -> Result<Option<Expr>> {
        let routines = self.routines_named(None, &name.value)?;
        if routines.is_empty() {
            return Ok(None);
        }
        let at = super::scope::at(name);
        let row = self.whole_row(level, index, at)?;
        let given = Given { exprs: vec![row], names: vec![None], variadic: false };
        match self.choose(&routines, &name.value, None, given, false, at)? {
            Choice::Routine(found) => self.routine_call(found, at).map(Some),
            Choice::Builtin(..) | Choice::None(_) => Ok(None),
        }
    }

    /// CALL.
    pub(super) fn call_procedure(&mut self, f: &sq::Function) -> Result<pg_plan::statement::Query> {
        let parsed = super::call::arguments(f)?;
        let mut names = Vec::with_capacity(2);
        for p in &f.name.0 {
            names.push(super::part(p)?);
        }
        let at = names.first().map_or(0, |i| super::scope::at(i));
        let (schema, ident) = match names.as_slice() {
            [name] => (None, *name),
            [schema, name] => (Some(schema.value.as_str()), *name),
            _ => return Err(SqlError::syntax("improper procedure name").at(at)),
        };
        let shown = schema.map_or_else(|| ident.value.clone(), |s| format!("{s}.{}", ident.value));
        let routines = self.routines_named(schema, &ident.value)?;
        self.frames.push(super::scope::Frame { place: Some(Place::Values), ..Default::default() });
        let given = self.given(&parsed);
        let chosen = given.and_then(|given| {
            let (types, names) = (given.exprs.iter().map(Expr::ty).collect::<Vec<_>>(), given.names.clone());
            // Procedures take something for each of their OUT parameters, too.
            let widened: Vec<Arc<Routine>> = routines.iter().map(with_outputs).collect();
            match self.choose(
                &widened,
                &shown,
                schema.is_none().then_some(ident.value.as_str()),
                given,
                true,
                at,
            )? {
                Choice::Routine(found) => Ok(found),
                Choice::Builtin(c, _) => {
                    let text = format!("{} is not a procedure", signature(c.what.name, &types, &names));
                    let error = SqlError::new(SqlState::WRONG_OBJECT_TYPE, text);
                    Err(error.hint("To call a function, use SELECT.").at(at))
                }
                Choice::None(_) => Err(not_one(&shown, &types, &names, false, true).at(at)),
            }
        });
        self.frames.pop();
        let found = chosen?;
        let routine = found.target.routine.clone();
        self.accesses.call(&routine);
        let original = self.catalog.routine(routine.oid)?.unwrap_or(routine);
        // What was given for results only is not used.
        let given = original.arguments.iter().zip(found.args);
        let args: Vec<Expr> = given.filter(|(a, _)| a.is_input()).map(|(_, e)| e).collect();
        let inputs = args.iter().map(Expr::ty).collect();
        let target = self.routine_result(&original, inputs, original.result)?;
        let outputs = original.outputs();
        let columns: Vec<Column> = match target.columns.as_slice() {
            [] if outputs.is_empty() => Vec::from([self.column("call", SqlType::new(oid::VOID))]),
            [] => outputs.iter().map(|(n, _)| self.column(n, target.result)).collect(),
            list => list.iter().map(|(n, t)| self.column(n, *t)).collect(),
        };
        let scan = Logical::FunctionScan {
            function: Callee::Routine(Arc::new(target)),
            args,
            columns: columns.clone(),
            ordinality: false,
            alias: original.name.clone(),
        };
        let silent = original.outputs().is_empty();
        let shown = if silent { Vec::new() } else { columns };
        self.finish(pg_plan::statement::Body::Call(scan), shown, Vec::new())
    }

    /// The arguments of a call, bound.
    pub(super) fn given(&mut self, args: &super::call::Arguments<'_>) -> Result<Given> {
        let mut exprs = Vec::with_capacity(args.exprs.len());
        for e in &args.exprs {
            exprs.push(self.expr(e)?);
        }
        let mut given = self.given_of(args, exprs)?;
        let mut said = given.exprs.iter().map(is_said_void);
        given.names.retain(|_| !said.next().unwrap_or(false));
        given.exprs.retain(|e| !is_said_void(e));
        Ok(given)
    }

    pub(super) fn given_of(&mut self, args: &super::call::Arguments<'_>, exprs: Vec<Expr>) -> Result<Given> {
        Ok(Given { exprs, names: args.names.clone(), variadic: args.variadic })
    }
}

/// A parameter of type void is no argument: drivers send one for each result of a call.
pub(super) fn is_said_void(e: &Expr) -> bool {
    matches!(e, Expr::Param(_, ty) if ty.oid == oid::VOID)
}

/// A procedure as CALL sees it: a value for every parameter.
fn with_outputs(routine: &Arc<Routine>) -> Arc<Routine> {
    if routine.kind != RoutineKind::Procedure || !routine.arguments.iter().any(|a| a.mode == b'o') {
        return routine.clone();
    }
    let mut wide = (**routine).clone();
    wide.inputs = wide.arguments.iter().map(|a| a.ty).collect();
    // Defaults count from the end of the inputs.
    for a in &mut wide.arguments {
        if a.mode == b'o' {
            a.mode = b'b';
        }
    }
    Arc::new(wide)
}

/// The parameter that each argument is for, if names and defaults leave none open.
fn match_names(routine: &Routine, given: &Given) -> Option<Vec<usize>> {
    let names = routine.input_names();
    let mut places = Vec::with_capacity(given.exprs.len());
    for (n, name) in given.names.iter().enumerate() {
        let place = match name {
            None => n,
            Some(name) => names.iter().position(|p| p == name)?,
        };
        if place >= names.len() || places.contains(&place) {
            return None;
        }
        places.push(place);
    }
    let first = names.len().checked_sub(routine.defaults.len())?;
    (0..names.len()).all(|p| p >= first || places.contains(&p)).then_some(places)
}

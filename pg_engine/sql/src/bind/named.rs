//! Arguments of built-in functions given by name.

use alloc::{format, string::String, vec, vec::Vec};

use pg_functions::{Function, FunctionKind, registry};
use pg_plan::expr::Expr;
use pg_types::{Oid, Result, SqlType};

use super::{
    Binder,
    resolve::{self, Candidate, Resolution},
    routine::{Given, not_one},
};

/// The parameter that each argument is for, if names and defaults leave none open.
fn places(function: &Function, given: &Given) -> Option<Vec<usize>> {
    let names = pg_functions::parameter_names(function.oid);
    let mut places = Vec::with_capacity(given.exprs.len());
    for n in 0..given.exprs.len() {
        let place = match given.names.get(n) {
            Some(Some(name)) => names.iter().position(|p| p == name)?,
            _ => n,
        };
        if place >= function.args.len() || places.contains(&place) {
            return None;
        }
        places.push(place);
    }
    let first = function.args.len().checked_sub(function.defaults.len())?;
    (0..function.args.len()).all(|p| p >= first || places.contains(&p)).then_some(places)
}

impl Binder<'_> {
    /// The built-in function that a call with names among its arguments means, and its arguments in order, defaults filled in.
    pub(super) fn named_builtin(
        &mut self,
        schema: Option<&str>,
        name: &str,
        given: Given,
        at: u32,
    ) -> Result<(Candidate<&'static Function>, Vec<Expr>)> {
        let types: Vec<SqlType> = given.exprs.iter().map(Expr::ty).collect();
        let oids: Vec<Oid> = types.iter().map(|t| t.oid).collect();
        let mut all = Vec::new();
        if matches!(schema, None | Some("pg_catalog")) && !given.variadic {
            for &function in registry().functions_named(name) {
                if !matches!(function.kind, FunctionKind::Scalar | FunctionKind::Set) {
                    continue;
                }
                let Some(places) = places(function, &given) else { continue };
                let args = places.iter().filter_map(|p| function.args.get(*p).copied()).collect();
                all.push(Candidate { what: (function, places), args, spread: false, defaulted: 0 });
            }
        }
        let (function, places) = match resolve::pick(all, &oids, &self.casts) {
            Resolution::One(c) => c.what,
            other => {
                let ambiguous = matches!(other, Resolution::Ambiguous);
                let shown = schema.map_or_else(|| String::from(name), |s| format!("{s}.{name}"));
                return Err(not_one(&shown, &types, &given.names, ambiguous, false).at(at));
            }
        };
        let mut values: Vec<Option<Expr>> = vec![None; function.args.len()];
        for (place, arg) in places.into_iter().zip(given.exprs) {
            if let Some(slot) = values.get_mut(place) {
                *slot = Some(arg);
            }
        }
        let first = function.args.len().saturating_sub(function.defaults.len());
        let mut args = Vec::with_capacity(values.len());
        for (n, (value, ty)) in values.into_iter().zip(function.args).enumerate() {
            let default = || n.checked_sub(first).and_then(|n| function.defaults.get(n));
            args.push(match (value, default()) {
                (Some(value), _) => value,
                (None, Some(make)) => Expr::Const(make(), SqlType::new(*ty)),
                (None, None) => return Err(pg_types::SqlError::internal("an argument without a default")),
            });
        }
        let candidate =
            Candidate { what: function, args: function.args.to_vec(), spread: false, defaulted: 0 };
        Ok((candidate, args))
    }
}

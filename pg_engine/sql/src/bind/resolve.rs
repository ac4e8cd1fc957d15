//! PostgreSQL's resolution of overloaded functions and operators.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::UserOperator;
use pg_functions::{CastContext, Function, FunctionKind, Operator, registry};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, oid, typeinfo, user};

use super::{
    casts::Casts,
    coerce::{can_coerce, pathway},
    types::{category, is_polymorphic, is_preferred, show},
};

const UNKNOWN: Oid = oid::UNKNOWN;

/// A candidate with its arguments as this call would fill them (variadic ones repeated).
#[derive(Clone)]
pub(crate) struct Candidate<T> {
    pub(crate) what: T,
    pub(crate) args: Vec<Oid>,
    /// The variadic parameter takes the arguments one by one.
    pub(crate) spread: bool,
    /// Number of trailing parameters left to their defaults.
    pub(crate) defaulted: usize,
}

/// What resolution found.
pub(crate) enum Resolution<T> {
    One(Candidate<T>),
    None,
    Ambiguous,
}

fn list(types: &[SqlType]) -> String {
    let names: Vec<String> = types.iter().map(|t| show(*t)).collect();
    names.join(", ")
}

/// Picks among candidates that all accept the arguments: PostgreSQL's rules of exact matches, preferred types and
/// categories of unknown literals.
fn select<T: Clone>(types: &[Oid], mut candidates: Vec<Candidate<T>>, casts: &Casts<'_>) -> Resolution<T> {
    // varchar and the like count as their base type only for domains, of which there are none here.
    let keep_best = |candidates: Vec<Candidate<T>>, score: &dyn Fn(&Candidate<T>) -> usize| {
        let best = candidates.iter().map(score).max().unwrap_or(0);
        candidates.into_iter().filter(|c| score(c) == best).collect::<Vec<_>>()
    };
    let exact = |c: &Candidate<T>| c.args.iter().zip(types).filter(|(a, t)| **t != UNKNOWN && a == t).count();
    candidates = keep_best(candidates, &exact);
    if let Some(one) = single(&candidates) {
        return Resolution::One(one);
    }
    let preferred = |c: &Candidate<T>| {
        c.args
            .iter()
            .zip(types)
            .filter(|(a, t)| {
                **t != UNKNOWN && (a == t || (is_preferred(**a) && category(**a) == category(**t)))
            })
            .count()
    };
    candidates = keep_best(candidates, &preferred);
    if let Some(one) = single(&candidates) {
        return Resolution::One(one);
    }
    if types.contains(&UNKNOWN) {
        candidates = by_category(types, candidates);
        if let Some(one) = single(&candidates) {
            return Resolution::One(one);
        }
        // All known arguments of one type: suppose the unknown ones are of it too.
        let mut known = types.iter().filter(|t| **t != UNKNOWN);
        if let Some(first) = known.next()
            && known.all(|t| t == first)
        {
            let fits: Vec<Candidate<T>> = candidates
                .iter()
                .filter(|c| c.args.iter().all(|a| can_coerce(*first, *a, CastContext::Implicit, casts)))
                .cloned()
                .collect();
            if let Some(one) = single(&fits) {
                return Resolution::One(one);
            }
        }
    }
    if candidates.is_empty() { Resolution::None } else { Resolution::Ambiguous }
}

fn single<T: Clone>(candidates: &[Candidate<T>]) -> Option<Candidate<T>> {
    match candidates {
        [one] => Some(one.clone()),
        _ => None,
    }
}

/// For unknown arguments: the category the candidates agree on (string wins), then preferred types in it.
fn by_category<T: Clone>(types: &[Oid], candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
    let mut chosen: Vec<Option<(u8, bool)>> = Vec::with_capacity(types.len());
    for (i, ty) in types.iter().enumerate() {
        if *ty != UNKNOWN {
            chosen.push(None);
            continue;
        }
        let mut found: Option<(u8, bool)> = None;
        let mut conflict = false;
        let mut string = false;
        for arg in candidates.iter().filter_map(|c| c.args.get(i)) {
            let (cat, preferred) = (category(*arg), is_preferred(*arg));
            string |= cat == b'S';
            match &mut found {
                None => found = Some((cat, preferred)),
                Some((c, p)) if *c == cat => *p |= preferred,
                Some(_) => conflict = true,
            }
        }
        if conflict {
            if !string {
                return candidates;
            }
            let preferred = candidates
                .iter()
                .filter_map(|c| c.args.get(i))
                .any(|a| category(*a) == b'S' && is_preferred(*a));
            found = Some((b'S', preferred));
        }
        chosen.push(found);
    }
    let kept: Vec<Candidate<T>> = candidates
        .iter()
        .filter(|c| {
            c.args.iter().zip(&chosen).all(|(arg, slot)| match slot {
                None => true,
                Some((cat, preferred)) => category(*arg) == *cat && (!preferred || is_preferred(*arg)),
            })
        })
        .cloned()
        .collect();
    if kept.is_empty() { candidates } else { kept }
}

fn accepts(types: &[Oid], args: &[Oid], casts: &Casts<'_>) -> bool {
    types.len() == args.len()
        && types.iter().zip(args).all(|(t, a)| can_coerce(*t, *a, CastContext::Implicit, casts))
        && polymorphic_fit(types, args, casts)
}

/// Polymorphic parameters must be fed consistently: arrays to array parameters, one element type.
fn polymorphic_fit(types: &[Oid], args: &[Oid], casts: &Casts<'_>) -> bool {
    if !args.iter().any(|a| is_polymorphic(*a)) {
        return true;
    }
    let array = |ty: Oid| typeinfo::element_of(ty) != 0;
    let (mut element, mut holder) = (0, 0);
    let mut compatible = Vec::new();
    for (t, a) in types.iter().zip(args) {
        if *t == UNKNOWN {
            continue;
        }
        match *a {
            oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYENUM => {
                if (*a == oid::ANYNONARRAY && array(*t))
                    || (*a == oid::ANYENUM && !user::is_enum(*t))
                    || (element != 0 && element != *t)
                {
                    return false;
                }
                element = *t;
            }
            oid::ANYARRAY => {
                // Catalog columns of type anyarray pass as they are.
                if (!array(*t) && *t != oid::ANYARRAY) || (holder != 0 && holder != *t) {
                    return false;
                }
                holder = *t;
            }
            oid::ANYCOMPATIBLEARRAY if !array(*t) => return false,
            oid::ANYCOMPATIBLENONARRAY if array(*t) => return false,
            oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLENONARRAY => compatible.push(*t),
            oid::ANYCOMPATIBLEARRAY => compatible.push(typeinfo::element_of(*t)),
            oid::ANYRANGE => return false,
            _ => {}
        }
    }
    // An array to append to a list of numbers, say, has no type in common with them.
    (element == 0 || holder == 0 || typeinfo::element_of(holder) == element)
        && common_of(&compatible, casts).is_ok()
}

/// A function's candidates for so many arguments.
pub(crate) fn candidates(name: &str, count: usize) -> Vec<Candidate<&'static Function>> {
    let mut found = Vec::new();
    for function in registry().functions_named(name).iter().copied() {
        let declared = function.args.len();
        if declared == count {
            found.push(Candidate {
                what: function,
                args: function.args.to_vec(),
                spread: false,
                defaulted: 0,
            });
        }
        if function.variadic != 0 && declared >= 1 && count + 1 >= declared && count >= declared {
            let mut args = function.args.get(..declared - 1).unwrap_or(&[]).to_vec();
            args.resize(count, function.variadic);
            found.push(Candidate { what: function, args, spread: true, defaulted: 0 });
        } else if function.variadic == oid::ANY && count + 1 == declared {
            // VARIADIC "any" with nothing to spread.
            let args = function.args.get(..count).unwrap_or(&[]).to_vec();
            found.push(Candidate { what: function, args, spread: true, defaulted: 0 });
        }
        if count < declared && declared - count <= function.defaults.len() && function.variadic == 0 {
            let args = function.args.get(..count).unwrap_or(&[]).to_vec();
            found.push(Candidate { what: function, args, spread: false, defaulted: declared - count });
        }
    }
    found
}

/// May a call that marks its last argument VARIADIC, or does not, mean this candidate? What takes VARIADIC "any" takes an array
/// for all only when told so.
pub(crate) fn callable(candidate: &Candidate<&'static Function>, variadic: bool) -> bool {
    match variadic {
        true => !candidate.spread && candidate.what.variadic != 0,
        false => candidate.spread || candidate.what.variadic != oid::ANY,
    }
}

/// Resolves a call. `variadic`: the last argument was marked VARIADIC.
pub(crate) fn function(
    name: &str,
    types: &[SqlType],
    variadic: bool,
    casts: &Casts<'_>,
) -> Resolution<&'static Function> {
    let oids: Vec<Oid> = types.iter().map(|t| t.oid).collect();
    let mut all = candidates(name, oids.len());
    all.retain(|c| callable(c, variadic));
    pick(all, &oids, casts)
}

/// The one of the candidates that a call means.
pub(crate) fn pick<T: Clone>(all: Vec<Candidate<T>>, oids: &[Oid], casts: &Casts<'_>) -> Resolution<T> {
    if let Some(exact) = all.iter().find(|c| !c.spread && c.args == oids && !oids.contains(&UNKNOWN)) {
        return Resolution::One(exact.clone());
    }
    if let Some(exact) = all.iter().find(|c| c.args == oids) {
        return Resolution::One(exact.clone());
    }
    let mut fitting: Vec<_> = all.into_iter().filter(|c| accepts(oids, &c.args, casts)).collect();
    // A call that needs no spreading hides one that spreads to the same types.
    if fitting.iter().any(|c| !c.spread) && fitting.len() > 1 {
        let plain: Vec<Vec<Oid>> = fitting.iter().filter(|c| !c.spread).map(|c| c.args.clone()).collect();
        fitting.retain(|c| !c.spread || !plain.contains(&c.args));
    }
    match fitting.len() {
        0 => Resolution::None,
        1 => fitting.pop().map_or(Resolution::None, Resolution::One),
        _ => select(oids, fitting, casts),
    }
}

/// 42883 for a call.
pub(crate) fn no_function(name: &str, types: &[SqlType]) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function {name}({}) does not exist", list(types)))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

/// 42725 for a call.
pub(crate) fn ambiguous_function(name: &str, types: &[SqlType]) -> SqlError {
    SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("function {name}({}) is not unique", list(types)))
        .hint("Could not choose a best candidate function. You might need to add explicit type casts.")
}

/// True when an aggregate of this name exists.
pub(crate) fn is_aggregate(name: &str) -> bool {
    registry().functions_named(name).iter().any(|f| f.kind == FunctionKind::Aggregate)
}

/// An operator that resolution may find.
#[derive(Clone)]
pub(crate) enum AnyOperator {
    Builtin(&'static Operator),
    User(UserOperator),
}

impl AnyOperator {
    fn left(&self) -> Oid {
        match self {
            Self::Builtin(o) => o.left,
            Self::User(o) => o.left,
        }
    }
    fn right(&self) -> Oid {
        match self {
            Self::Builtin(o) => o.right,
            Self::User(o) => o.right,
        }
    }
}

/// Resolves an operator, with its name as messages show it, among the built-in ones, if they count, and the users' that the name may mean; no left operand: a
/// prefix one.
pub(crate) fn operator(
    (name, written): (&str, &str),
    (left, right): (Option<Oid>, Oid),
    builtin: bool,
    users: &[UserOperator],
    casts: &Casts<'_>,
) -> Result<AnyOperator> {
    let all = if builtin { registry().operators_named(name) } else { &[] };
    // One side unknown: suppose it is of the other's type.
    let (l, r) = match (left, right) {
        (Some(UNKNOWN), r) if r != UNKNOWN => (Some(r), r),
        (Some(l), UNKNOWN) if l != UNKNOWN => (Some(l), l),
        other => other,
    };
    for (l, r) in [(left, right), (l, r)] {
        let l = l.unwrap_or(0);
        if let Some(o) = users.iter().find(|o| o.left == l && o.right == r) {
            return Ok(AnyOperator::User(o.clone()));
        }
        if let Some(o) = all.iter().copied().find(|o| o.left == l && o.right == r) {
            return Ok(AnyOperator::Builtin(o));
        }
    }
    let types: Vec<Oid> = left.into_iter().chain([right]).collect();
    let known =
        all.iter().map(|o| AnyOperator::Builtin(o)).chain(users.iter().cloned().map(AnyOperator::User));
    let fitting: Vec<Candidate<AnyOperator>> = known
        .filter(|o| (o.left() != 0) == left.is_some())
        .map(|o| {
            let args = left.map(|_| o.left()).into_iter().chain([o.right()]).collect();
            Candidate { what: o, args, spread: false, defaulted: 0 }
        })
        .filter(|c| accepts(&types, &c.args, casts))
        .collect();
    let resolution = match (fitting.len(), left) {
        (0, _) => Resolution::None,
        (1, _) => fitting.into_iter().next().map_or(Resolution::None, Resolution::One),
        // Unknown literals first try the other side's type.
        (_, Some(left)) if (left == UNKNOWN) != (right == UNKNOWN) => {
            let known = if left == UNKNOWN { right } else { left };
            match fitting.iter().find(|c| c.args.iter().all(|a| *a == known)) {
                Some(c) => Resolution::One(c.clone()),
                None => select(&types, fitting, casts),
            }
        }
        _ => select(&types, fitting, casts),
    };
    let shown = || match left {
        Some(left) => format!("{} {written} {}", show(SqlType::new(left)), show(SqlType::new(right))),
        None => format!("{written} {}", show(SqlType::new(right))),
    };
    resolved(resolution, &shown, left.is_none())
}

fn resolved(
    resolution: Resolution<AnyOperator>,
    shown: &dyn Fn() -> String,
    prefix: bool,
) -> Result<AnyOperator> {
    let hint = if prefix {
        "No operator matches the given name and argument type. You might need to add an explicit type cast."
    } else {
        "No operator matches the given name and argument types. You might need to add explicit type casts."
    };
    match resolution {
        Resolution::One(candidate) => Ok(candidate.what),
        Resolution::None => {
            Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {}", shown()))
                .hint(hint))
        }
        Resolution::Ambiguous => {
            Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("operator is not unique: {}", shown()))
                .hint(
                    "Could not choose a best candidate operator. You might need to add explicit type casts.",
                ))
        }
    }
}

/// What polymorphic parameters and result stand for in one call.
pub(crate) fn polymorphic(
    declared: &[Oid],
    actual: &[SqlType],
    result: Oid,
    casts: &Casts<'_>,
) -> Result<(Vec<Oid>, Oid)> {
    if !is_polymorphic(result) && !declared.iter().any(|d| is_polymorphic(*d)) {
        return Ok((declared.to_vec(), result));
    }
    let (mut element, mut array) = (0, 0);
    let mut compatible: Vec<Oid> = Vec::new();
    for (d, a) in declared.iter().zip(actual) {
        if a.oid == UNKNOWN {
            continue;
        }
        match *d {
            oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYENUM => element = a.oid,
            oid::ANYARRAY => array = a.oid,
            oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLENONARRAY => compatible.push(a.oid),
            oid::ANYCOMPATIBLEARRAY => compatible.push(typeinfo::element_of(a.oid)),
            _ => {}
        }
    }
    if array != 0 && element == 0 {
        element = if array == oid::ANYARRAY { oid::ANYELEMENT } else { typeinfo::element_of(array) };
    }
    let undetermined = || {
        SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            "could not determine polymorphic type because input has type unknown",
        )
    };
    let needs_element =
        |d: &Oid| matches!(*d, oid::ANYELEMENT | oid::ANYARRAY | oid::ANYNONARRAY | oid::ANYENUM);
    if element == 0 && (declared.iter().any(needs_element) || needs_element(&result)) {
        return Err(undetermined());
    }
    let common = common_of(&compatible, casts)?;
    let array_for = |element: Oid| match typeinfo::array_of(element) {
        0 => Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("could not find array type for data type {}", show(SqlType::new(element))),
        )),
        array => Ok(array),
    };
    let actual_of = |ty: Oid| -> Result<Oid> {
        Ok(match ty {
            oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYENUM => element,
            oid::ANYARRAY if array != 0 => array,
            oid::ANYARRAY => array_for(element)?,
            oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLENONARRAY => common,
            oid::ANYCOMPATIBLEARRAY => array_for(common)?,
            other => other,
        })
    };
    let args = declared.iter().map(|d| actual_of(*d)).collect::<Result<Vec<_>>>()?;
    Ok((args, actual_of(result)?))
}

/// The common type of "anycompatible" arguments.
fn common_of(types: &[Oid], casts: &Casts<'_>) -> Result<Oid> {
    let mut common = 0;
    for &ty in types {
        if common == 0 || common == ty {
            common = ty;
        } else if category(common) != category(ty) {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "arguments of anycompatible family cannot be cast to a common type: {} and {}",
                    show(SqlType::new(common)),
                    show(SqlType::new(ty))
                ),
            ));
        } else if !is_preferred(common)
            && pathway(common, ty, CastContext::Implicit, casts).is_some()
            && pathway(ty, common, CastContext::Implicit, casts).is_none()
        {
            common = ty;
        }
    }
    let reaches = |ty: &Oid| *ty == common || pathway(*ty, common, CastContext::Implicit, casts).is_some();
    if !types.iter().all(reaches) {
        let shown = types.iter().find(|t| !reaches(t)).copied().unwrap_or(common);
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "arguments of anycompatible family cannot be cast to a common type: {} and {}",
                show(SqlType::new(common)),
                show(SqlType::new(shown))
            ),
        ));
    }
    Ok(if common == 0 { oid::TEXT } else { common })
}

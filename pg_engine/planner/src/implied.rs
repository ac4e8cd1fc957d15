//! Does what a statement asks for imply the predicate of a partial index?

use pg_functions::registry;
use pg_plan::expr::{Call, Expr};
use pg_types::{Value, compare::compare};

use crate::access::{converted, strategy};

/// Deepest nesting of AND and OR that is looked into.
const DEPTH: u32 = 8;

/// Is every row for which all of `given` are true one for which `wanted` is?
pub(crate) fn implied(wanted: &Expr, given: &[Expr]) -> bool {
    implied_by(wanted, given, DEPTH)
}

fn implied_by(wanted: &Expr, given: &[Expr], depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match wanted {
        Expr::And(parts) => parts.iter().all(|p| implied_by(p, given, depth)),
        Expr::Or(parts) if parts.iter().any(|p| implied_by(p, given, depth)) => true,
        _ => given.iter().any(|g| follows(wanted, g, depth)),
    }
}

fn follows(wanted: &Expr, given: &Expr, depth: u32) -> bool {
    if wanted.same(given) {
        return true;
    }
    match given {
        Expr::And(parts) => return implied_by(wanted, parts, depth),
        Expr::Or(parts) => return parts.iter().all(|g| implied_by(wanted, core::slice::from_ref(g), depth)),
        _ => {}
    }
    if let Expr::IsNull(e, false) = wanted {
        return needs(given, e);
    }
    let Expr::Call(call) = wanted else { return false };
    match given {
        Expr::Call(given) => compared(call, given),
        Expr::ScalarArray(function, operands, true) => {
            let [operand, Expr::Const(Value::Array(list), _)] = &**operands else { return false };
            let element = pg_types::SqlType::new(list.element);
            !list.values.is_empty()
                && list.values.iter().all(|v| {
                    let one = Call {
                        function,
                        args: alloc::vec![operand.clone(), Expr::Const(v.clone(), element)],
                        ty: pg_types::SqlType::new(pg_types::oid::BOOL),
                    };
                    compared(call, &one) || same_call(call, &one)
                })
        }
        _ => false,
    }
}

fn same_call(a: &Call, b: &Call) -> bool {
    a.function.oid == b.function.oid
        && a.args.len() == b.args.len()
        && a.args.iter().zip(&b.args).all(|(a, b)| a.same(b))
}

/// Is a condition that is true only for rows where `e` is not NULL?
fn needs(condition: &Expr, e: &Expr) -> bool {
    if condition.same(e) {
        return true;
    }
    match condition {
        Expr::Call(call) => call.function.strict && call.args.iter().any(|a| needs(a, e)),
        Expr::ScalarArray(function, operands, true) => function.strict && needs(&operands[0], e),
        Expr::Relabel(inner, _) | Expr::CoerceViaIo(inner, _) | Expr::Not(inner) => needs(inner, e),
        _ => false,
    }
}

/// How a comparison with a constant of the other side's type reads.
struct Comparison<'e> {
    side: &'e Expr,
    /// B-tree strategy; 0: not equal.
    strategy: u8,
    value: Value,
}

fn comparison(call: &Call) -> Option<Comparison<'_>> {
    let [a, b] = call.args.as_slice() else { return None };
    let (side, bound, flipped) = match (a, b) {
        (a, Expr::Const(..)) => (a, b, false),
        (Expr::Const(..), b) => (b, a, true),
        _ => return None,
    };
    let ty = side.ty().oid;
    let strategy = match strategy(call, ty) {
        Some(s) if flipped => 6 - s,
        Some(s) => s,
        None if is_unequal(call) => 0,
        None => return None,
    };
    match converted(bound, ty)? {
        Expr::Const(value, _) if !value.is_null() => Some(Comparison { side, strategy, value }),
        _ => None,
    }
}

/// Is it the negation of its operands' equality?
fn is_unequal(call: &Call) -> bool {
    let equal = call.function.args.first().and_then(|ty| registry().equality_operator(*ty));
    let name = equal.and_then(|o| registry().function(o.function)).map(|f| f.name);
    name.and_then(|n| n.strip_suffix("eq")).is_some_and(|stem| {
        call.function.name.strip_suffix("ne") == Some(stem) && call.function.args.len() == 2
    })
}

/// Does one comparison of something with a constant imply another of the same thing?
fn compared(wanted: &Call, given: &Call) -> bool {
    let (Some(w), Some(g)) = (comparison(wanted), comparison(given)) else { return false };
    if !w.side.same(g.side) {
        return false;
    }
    let order = compare(w.side.ty().oid, &g.value, &w.value);
    let (below, equal) = (order.is_lt(), order.is_eq());
    match (g.strategy, w.strategy) {
        (3, 0) => !equal,
        (3, 1) => below,
        (3, 2) => below || equal,
        (3, 3) | (0, 0) => equal,
        (3, 4) => !below,
        (3, 5) => !below && !equal,
        (1, 0..=2) | (2, 2) => below || equal,
        (2, 0 | 1) => below,
        (5, 0 | 4 | 5) | (4, 4) => !below,
        (4, 0 | 5) => !below && !equal,
        _ => false,
    }
}

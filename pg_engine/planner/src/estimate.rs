//! Row counts and selectivities, in the manner of PostgreSQL's documentation ("Row Estimation Examples"): statistics
//! where ANALYZE left some, fixed defaults elsewhere.

use alloc::{borrow::Cow, sync::Arc, vec::Vec};

use pg_catalog::{CatalogReader, ColumnStatistics, Relation};
use pg_functions::registry;
use pg_plan::expr::{ColumnId, Expr};
use pg_types::{Oid, Value};

use crate::joint;

/// Default selectivities of comparisons that nothing is known about.
const EQUALITY: f64 = 0.005;
const INEQUALITY: f64 = 1.0 / 3.0;
const PATTERN: f64 = 0.005;
const UNKNOWN: f64 = 1.0 / 3.0;
/// Assumed number of distinct values without statistics.
pub(crate) const DISTINCT: f64 = 200.0;

/// What is known about columns, by id.
pub(crate) trait Knowledge {
    /// The stored column behind an id: its statistics, and the table's rows.
    fn column(&self, id: ColumnId) -> Option<(Option<Arc<ColumnStatistics>>, f64, bool)>;
    /// By which number it knows what an expression computes: a column, or what there are statistics of.
    fn id_of(&self, expr: &Expr) -> Option<ColumnId> {
        column_of(expr)
    }
    /// Its place in a table with extended statistics.
    fn member(&self, _id: ColumnId) -> Option<joint::Member> {
        None
    }
}

/// A user's table that was never analysed is taken to be as large as this at least: it may fill soon, and plans are kept.
const UNKNOWN_PAGES: f64 = 10.0;
/// Object ids below are those of the system's own tables.
const FIRST_USER_OID: u32 = 16384;

/// Pages and rows of a table.
pub(crate) fn table_size(catalog: &dyn CatalogReader, relation: &Relation) -> (f64, f64) {
    let (pages, counted) = match catalog.relation_size(relation) {
        Some((pages, rows)) => (pages as f64, rows),
        None => (f64::from(relation.page_estimate), None),
    };
    let known = relation.row_estimate >= 0.0 && relation.page_estimate > 0;
    if let Some(rows) = counted
        && (known || pages >= UNKNOWN_PAGES || relation.oid < FIRST_USER_OID)
    {
        return (pages, rows.max(1.0));
    }
    let density = if known {
        relation.row_estimate / f64::from(relation.page_estimate)
    } else {
        let width: f64 = relation.live().map(|a| f64::from(width(a.ty.oid))).sum();
        8000.0 / (width + 28.0)
    };
    let assumed = if known { pages } else { pages.max(UNKNOWN_PAGES) };
    (assumed.max(1.0), (density * assumed).max(1.0))
}

/// Guessed width of a type's values.
pub(crate) fn width(ty: Oid) -> u32 {
    use pg_types::Physical as P;
    match P::of(ty) {
        P::Bool => 1,
        P::Int2 => 2,
        P::Int4 | P::Oid | P::Float4 => 4,
        P::Int8 | P::Float8 => 8,
        P::Uuid | P::Interval => 16,
        P::Numeric => 12,
        P::Text | P::Bytea | P::Other => 32,
    }
}

/// The fraction of rows that a conjunct keeps.
pub(crate) fn selectivity(expr: &Expr, known: &dyn Knowledge) -> f64 {
    let s = match expr {
        Expr::Const(Value::Bool(true), _) => 1.0,
        Expr::Const(..) => 0.0,
        Expr::And(parts) => all_of(parts, known),
        Expr::Or(parts) => 1.0 - parts.iter().map(|e| 1.0 - selectivity(e, known)).product::<f64>(),
        Expr::Not(e) => 1.0 - selectivity(e, known),
        Expr::IsNull(e, positive) => {
            let nulls = known.id_of(e).and_then(|id| known.column(id)?.0).map_or(0.005, |s| s.null_fraction);
            if *positive { nulls } else { 1.0 - nulls }
        }
        Expr::ScalarArray(f, operands, true) => {
            let one = |v| if f.name.ends_with("eq") { equality(&operands[0], v, known) } else { INEQUALITY };
            match &operands[1] {
                Expr::Const(Value::Array(a), _) => a.values.iter().map(|v| one(Some(v))).sum(),
                _ => 10.0 * one(None),
            }
        }
        Expr::Call(call) if call.args.len() == 2 => comparison(call, known),
        Expr::Column(..) => 0.5,
        _ => UNKNOWN,
    };
    s.clamp(0.0, 1.0)
}

/// The fraction of rows that conjuncts keep together. Two bounds of one column are one range.
pub(crate) fn all_of(conditions: &[Expr], known: &dyn Knowledge) -> f64 {
    // (column, upper bound, fraction) of bounds that have no partner yet.
    let mut bounds: Vec<(ColumnId, bool, f64)> = Vec::new();
    let mut open: Vec<&Expr> = conditions.iter().collect();
    let mut kept = if open.len() > 1 { joint::take(&mut open, known) } else { 1.0 };
    for condition in open {
        let s = selectivity(condition, known);
        let Some((column, upper)) = bound_of(condition, known) else {
            kept *= s;
            continue;
        };
        match bounds.iter().position(|b| b.0 == column && b.1 != upper) {
            Some(at) => {
                let other = bounds.swap_remove(at).2;
                let both = s + other - 1.0;
                // Defaults say nothing about a range.
                kept *= if both > 0.0 { both } else { EQUALITY };
            }
            None => bounds.push((column, upper, s)),
        }
    }
    bounds.iter().fold(kept, |kept, b| kept * b.2)
}

/// The column that a comparison with something else bounds, and whether from above.
fn bound_of(condition: &Expr, known: &dyn Knowledge) -> Option<(ColumnId, bool)> {
    let Expr::Call(call) = condition else { return None };
    let [left, right] = call.args.as_slice() else { return None };
    let name = call.function.name;
    let below = ["lt", "le"].iter().any(|s| name.split('_').any(|w| w.ends_with(s)));
    let above = ["gt", "ge"].iter().any(|s| name.split('_').any(|w| w.ends_with(s)));
    if below == above {
        return None;
    }
    match (known.id_of(left), known.id_of(right)) {
        (Some(column), None) if constant(right).is_some() => Some((column, below)),
        (None, Some(column)) if constant(left).is_some() => Some((column, above)),
        _ => None,
    }
}

/// The column below casts that keep the value.
pub(crate) fn column_of(expr: &Expr) -> Option<ColumnId> {
    match expr {
        Expr::Column(id, _) => Some(*id),
        Expr::Relabel(e, _) => column_of(e),
        _ => None,
    }
}

fn comparison(call: &pg_plan::expr::Call, known: &dyn Knowledge) -> f64 {
    let [left, right] = call.args.as_slice() else { return UNKNOWN };
    let name = call.function.name;
    let (column, other) = if known.id_of(left).is_some() { (left, right) } else { (right, left) };
    if name.contains("like") || name.contains("regex") {
        let negated = name.contains("ne") || name.contains("nlike");
        return pattern(call, known).unwrap_or(if negated { 1.0 - PATTERN } else { PATTERN });
    }
    if is_equality(call.function) {
        return match (known.id_of(left), known.id_of(right)) {
            (Some(a), Some(b)) => 1.0 / distinct(a, known).max(distinct(b, known)),
            _ => equality(column, constant(other), known),
        };
    }
    if name.ends_with("ne") {
        return 1.0 - equality(column, constant(other), known);
    }
    let is = |a: &str, b: &str| name.split('_').any(|w| w.ends_with(a) || w.ends_with(b));
    let below = is("lt", "le");
    if !(below || is("gt", "ge")) {
        return UNKNOWN;
    }
    let wants_less = below == known.id_of(left).is_some();
    match (constant(other), known.id_of(column).and_then(|id| known.column(id)).and_then(|k| k.0)) {
        (Some(value), Some(statistics)) => {
            range(&statistics, column.ty().oid, value, wants_less).unwrap_or(INEQUALITY)
        }
        _ => INEQUALITY,
    }
}

/// Bounds of a histogram from which on they are taken for a sample of the column's values, and from which on for a good one.
const SAMPLE: usize = 10;
const GOOD_SAMPLE: usize = 100;
/// Least and greatest share of the values that no list mentions: nothing is known for sure.
const UNSURE: f64 = 0.0001;

/// The fraction of rows that match (or do not match) a constant pattern: of common values it is known, the others are like the
/// histogram's bounds, as far as those are many.
fn pattern(call: &pg_plan::expr::Call, known: &dyn Knowledge) -> Option<f64> {
    let [left, right] = call.args.as_slice() else { return None };
    let wanted = constant(right)?;
    let s = known.column(known.id_of(left)?)?.0?;
    let holds = |v: &Value| match crate::fold::value_of(call.function, &[v.clone(), wanted.clone()], call.ty)?
    {
        Value::Bool(b) => Some(b),
        _ => None,
    };
    let share = |values: &[Value]| {
        let all: Option<Vec<bool>> = values.iter().map(holds).collect();
        all.map(|all| all.iter().filter(|b| **b).count() as f64 / values.len().max(1) as f64)
    };
    // The ends are the least typical.
    let inner = s.histogram.get(1..s.histogram.len().saturating_sub(1)).unwrap_or_default();
    let negated = call.function.name.contains("nlike") || call.function.name.contains("ne");
    let guess = if negated { 1.0 - PATTERN } else { PATTERN };
    let others = match s.histogram.len() {
        0..SAMPLE => guess,
        n if n < GOOD_SAMPLE => {
            let weight = n as f64 / GOOD_SAMPLE as f64;
            share(inner)? * weight + guess * (1.0 - weight)
        }
        _ => share(inner)?,
    };
    let (mut listed, mut matching) = (0.0, 0.0);
    for (v, f) in &s.common {
        listed += f;
        matching += if holds(v)? { *f } else { 0.0 };
    }
    let rest = (1.0 - listed - s.null_fraction).max(0.0);
    Some(matching + rest * others.clamp(UNSURE, 1.0 - UNSURE))
}

/// True for the function behind an equality operator of a B-tree family.
pub(crate) fn is_equality(function: &pg_functions::Function) -> bool {
    let [left, right] = function.args else { return false };
    let registry = registry();
    if left == right {
        return registry.equality_operator(*left).is_some_and(|o| o.function == function.oid);
    }
    registry.operator_for("=", *left, *right).is_some_and(|o| o.function == function.oid)
}

pub(crate) fn constant(expr: &Expr) -> Option<&Value> {
    match expr {
        Expr::Const(v, _) => Some(v),
        Expr::Relabel(e, _) => constant(e),
        _ => None,
    }
}

/// Estimated number of distinct values of a column.
pub(crate) fn distinct(id: ColumnId, known: &dyn Knowledge) -> f64 {
    let Some((statistics, rows, unique)) = known.column(id) else { return DISTINCT };
    let count = match statistics {
        _ if unique => rows,
        Some(s) if s.distinct > 0.0 => s.distinct,
        Some(s) if s.distinct < 0.0 => -s.distinct * rows,
        _ => DISTINCT.min(rows),
    };
    count.max(1.0)
}

fn equality(column: &Expr, value: Option<&Value>, known: &dyn Knowledge) -> f64 {
    let Some(id) = known.id_of(column) else { return EQUALITY };
    let Some((statistics, rows, unique)) = known.column(id) else { return EQUALITY };
    if unique {
        return 1.0 / rows.max(1.0);
    }
    let Some(s) = statistics else { return EQUALITY.max(1.0 / rows.max(1.0)) };
    if value.is_none() {
        return (1.0 - s.null_fraction) / distinct(id, known);
    }
    if let Some(found) = value.and_then(|v| s.common.iter().find(|(c, _)| equal(column.ty().oid, c, v))) {
        return found.1;
    }
    let common: f64 = s.common.iter().map(|(_, f)| f).sum();
    let others = (distinct(id, known) - s.common.len() as f64).max(1.0);
    ((1.0 - common - s.null_fraction) / others).max(0.0)
}

/// Are they equal as values of a column's type: with or without blanks at their ends, with more or fewer decimals?
fn equal(ty: Oid, common: &Value, value: &Value) -> bool {
    let value = &*alike(common, value);
    core::mem::discriminant(common) == core::mem::discriminant(value)
        && pg_types::compare::compare(ty, common, value).is_eq()
}

/// The value in the type of a column's, if both are integers, or dates and timestamps: a literal of four bytes is compared with
/// columns of any width, a date plus an interval is a timestamp.
fn alike<'a>(sample: &Value, value: &'a Value) -> Cow<'a, Value> {
    const DAY: i64 = 86_400_000_000;
    if let (Value::Date(_), Value::Timestamp(t)) = (sample, value) {
        return i32::try_from(t.div_euclid(DAY)).map_or(Cow::Borrowed(value), |d| Cow::Owned(Value::Date(d)));
    }
    let wide = match value {
        Value::Int2(v) => i64::from(*v),
        Value::Int4(v) => i64::from(*v),
        Value::Int8(v) => *v,
        _ => return Cow::Borrowed(value),
    };
    let fitting = match sample {
        Value::Int2(_) => i16::try_from(wide).ok().map(Value::Int2),
        Value::Int4(_) => i32::try_from(wide).ok().map(Value::Int4),
        Value::Int8(_) => Some(Value::Int8(wide)),
        _ => None,
    };
    fitting.map_or(Cow::Borrowed(value), Cow::Owned)
}

/// Where a value lies in a bucket: 0 at its lower bound, 1 at its upper; the middle of what has no distances.
fn place(low: &Value, high: &Value, value: &Value) -> f64 {
    let number = |v: &Value| match v {
        Value::Int2(n) => Some(f64::from(*n)),
        Value::Int4(n) | Value::Date(n) => Some(f64::from(*n)),
        Value::Int8(n) | Value::Time(n) | Value::Timestamp(n) | Value::TimestampTz(n) => Some(*n as f64),
        Value::Float4(x) => Some(f64::from(*x)),
        Value::Float8(x) => Some(*x),
        Value::Numeric(n) => Some(n.to_f64()),
        _ => None,
    };
    let (Some(low), Some(high), Some(value)) = (number(low), number(high), number(value)) else { return 0.5 };
    let share = (value - low) / (high - low);
    if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.5 }
}

/// Share of rows below (or above) a value, by common values and histogram.
fn range(s: &ColumnStatistics, ty: Oid, value: &Value, less: bool) -> Option<f64> {
    use core::{cmp::Ordering, mem::discriminant};
    let sample = s.histogram.first().or_else(|| s.common.first().map(|(v, _)| v))?;
    let value = &*alike(sample, value);
    if discriminant(sample) != discriminant(value) {
        return None;
    }
    let order = |v: &Value| pg_types::compare::compare(ty, v, value);
    let common: f64 = s.common.iter().filter(|(v, _)| order(v) == Ordering::Less).map(|(_, f)| f).sum();
    let common_all: f64 = s.common.iter().map(|(_, f)| f).sum();
    if s.histogram.len() < 2 && s.common.is_empty() {
        return None;
    }
    let below = if s.histogram.len() < 2 {
        0.0
    } else {
        let smaller = s.histogram.iter().filter(|v| order(v) == Ordering::Less).count();
        let buckets = (s.histogram.len() - 1) as f64;
        let inside = match (smaller.checked_sub(1).and_then(|n| s.histogram.get(n)), s.histogram.get(smaller))
        {
            (None, _) => 0.0,
            (_, None) => buckets,
            (Some(low), Some(high)) => (smaller - 1) as f64 + place(low, high, value),
        };
        // A hundredth of a bucket is left at either end: the data may have grown since.
        (inside / buckets).clamp(0.01 / buckets, 1.0 - 0.01 / buckets)
    };
    let rest = (1.0 - common_all - s.null_fraction).max(0.0);
    let share = common + below * rest;
    Some(if less { share } else { (1.0 - s.null_fraction - share).max(0.0) })
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_value_inside_a_bucket_has_its_share() {
        let s = ColumnStatistics {
            histogram: Vec::from([0, 100, 1100].map(Value::Int4)),
            ..ColumnStatistics::default()
        };
        let below = |n: i32| range(&s, pg_types::oid::INT4, &Value::Int4(n), true).expect("a histogram");
        for (value, share) in
            [(-5, 0.005), (25, 0.125), (100, 0.5), (350, 0.625), (1100, 0.995), (2000, 0.995)]
        {
            assert!((below(value) - share).abs() < 1e-9, "{value}: {}", below(value));
        }
        let text = |t: &str| Value::text(t);
        assert_eq!(place(&text("a"), &text("c"), &text("b")), 0.5);
        assert_eq!(place(&Value::Float8(0.0), &Value::Float8(f64::INFINITY), &Value::Float8(1.0)), 0.0);
    }

    #[test]
    fn blanks_and_decimals_do_not_make_values_differ() {
        use pg_types::oid::{BPCHAR, NUMERIC, TEXT};
        let number = |t: &str| Value::Numeric(t.parse().expect("a number"));
        assert!(equal(BPCHAR, &Value::text("BUILDING  "), &Value::text("BUILDING")));
        assert!(!equal(TEXT, &Value::text("BUILDING  "), &Value::text("BUILDING")));
        assert!(equal(NUMERIC, &number("1.50"), &number("1.5")));
        assert!(!equal(NUMERIC, &number("1.50"), &Value::Int4(1)));
    }

    #[test]
    fn integers_of_any_width_are_alike() {
        let small = Value::Int2(1);
        assert_eq!(*alike(&small, &Value::Int4(7)), Value::Int2(7));
        assert_eq!(*alike(&Value::Int8(1), &Value::Int4(7)), Value::Int8(7));
        assert_eq!(*alike(&small, &Value::Int4(70_000)), Value::Int4(70_000));
        assert_eq!(*alike(&small, &Value::Bool(true)), Value::Bool(true));
    }
}

//! Extended statistics: what conditions on several columns of a table keep together, and how many groups several columns make.
//!
//! In the manner of PostgreSQL's documentation ("Multivariate Statistics Examples"): a list of common combinations answers first,
//! dependencies between columns what is left of the equalities.

use alloc::{sync::Arc, vec::Vec};

use pg_catalog::extended::{Dependence, ExtendedStatistics};
use pg_plan::expr::{ColumnId, Expr};
use pg_types::Value;

use crate::estimate::{self, Knowledge};

/// The extended statistics of one table of a query.
pub(crate) struct Table(pub(crate) Arc<[ExtendedStatistics]>);

/// A column of such a table.
#[derive(Clone)]
pub(crate) struct Member {
    /// Tables of a query are told apart by it.
    pub(crate) table: Arc<Table>,
    pub(crate) attnum: i16,
}

/// A condition on one column, or expression, of a table with extended statistics.
struct Clause<'a> {
    condition: &'a Expr,
    member: Member,
    /// It is the column or expression itself, a truth value.
    whole: bool,
    /// What it keeps by itself.
    alone: f64,
}

/// The column that a condition is about, if it is about one and constants; true: it is the condition.
fn subject(condition: &Expr, known: &dyn Knowledge) -> Option<(ColumnId, bool)> {
    if let Some(id) = known.id_of(condition) {
        return Some((id, true));
    }
    let id = match condition {
        Expr::IsNull(e, _) => known.id_of(e),
        Expr::Not(e) => known.id_of(e),
        Expr::ScalarArray(_, operands, true) => {
            let [column, Expr::Const(..)] = operands.as_ref() else { return None };
            known.id_of(column)
        }
        Expr::Call(call) => {
            let [left, right] = call.args.as_slice() else { return None };
            match (known.id_of(left), known.id_of(right)) {
                (Some(id), None) if estimate::constant(right).is_some() => Some(id),
                (None, Some(id)) if estimate::constant(left).is_some() => Some(id),
                _ => None,
            }
        }
        _ => None,
    };
    id.map(|id| (id, false))
}

/// Does a condition hold for a value of its column? `None`: that cannot be told here.
fn holds(clause: &Clause<'_>, value: &Value) -> Option<bool> {
    match clause.condition {
        _ if clause.whole => Some(*value == Value::Bool(true)),
        Expr::IsNull(_, positive) => Some(value.is_null() == *positive),
        _ if value.is_null() => Some(false),
        Expr::Not(_) => Some(*value == Value::Bool(false)),
        Expr::ScalarArray(f, operands, _) => {
            let Expr::Const(Value::Array(a), _) = operands.get(1)? else { return None };
            let mut any = false;
            for wanted in &a.values {
                any |= truth(f, [value, wanted])?;
            }
            Some(any)
        }
        Expr::Call(call) => {
            let [left, right] = call.args.as_slice() else { return None };
            match estimate::constant(right) {
                Some(wanted) => truth(call.function, [value, wanted]),
                None => truth(call.function, [estimate::constant(left)?, value]),
            }
        }
        _ => None,
    }
}

fn truth(f: &'static pg_functions::Function, operands: [&Value; 2]) -> Option<bool> {
    if operands.iter().any(|v| v.is_null()) {
        return Some(false);
    }
    let ty = pg_types::SqlType::new(pg_types::oid::BOOL);
    match crate::fold::value_of(f, &operands.map(Value::clone), ty)? {
        Value::Bool(b) => Some(b),
        Value::Null => Some(false),
        _ => None,
    }
}

/// Takes the conditions that extended statistics can tell about out of `conditions`; gives what they keep together.
pub(crate) fn take(conditions: &mut Vec<&Expr>, known: &dyn Knowledge) -> f64 {
    let mut clauses: Vec<Clause<'_>> = Vec::new();
    for condition in conditions.iter() {
        if let Some((column, whole)) = subject(condition, known)
            && let Some(member) = known.member(column)
        {
            let alone = estimate::selectivity(condition, known);
            clauses.push(Clause { condition, member, whole, alone });
        }
    }
    let mut kept = 1.0;
    while let Some((share, used)) = by_common(&clauses).or_else(|| by_dependencies(&clauses)) {
        kept *= share;
        conditions.retain(|c| !used.iter().any(|u| core::ptr::eq(*u, *c)));
        clauses.retain(|c| !used.iter().any(|u| core::ptr::eq(*u, c.condition)));
    }
    kept
}

/// The clauses on columns of one statistics object; at least two columns must be among them.
fn of_object<'a, 'c>(
    clauses: &'c [Clause<'a>],
    of: &Member,
    object: &ExtendedStatistics,
) -> Option<(usize, Vec<&'c Clause<'a>>)> {
    let own = |c: &&Clause<'a>| {
        Arc::ptr_eq(&c.member.table, &of.table) && object.columns.contains(&c.member.attnum)
    };
    let found: Vec<&Clause<'a>> = clauses.iter().filter(own).collect();
    let mut columns: Vec<i16> = found.iter().map(|c| c.member.attnum).collect();
    columns.sort_unstable();
    columns.dedup();
    (columns.len() >= 2).then_some((columns.len(), found))
}

/// What clauses on columns of a list of common combinations keep, and which they are.
fn by_common<'a>(clauses: &[Clause<'a>]) -> Option<(f64, Vec<&'a Expr>)> {
    let mut best: Option<(usize, &ExtendedStatistics, Vec<&Clause<'a>>)> = None;
    for clause in clauses {
        for object in clause.member.table.0.iter().filter(|o| !o.common.is_empty()) {
            let Some((width, found)) = of_object(clauses, &clause.member, object) else { continue };
            if best.as_ref().is_none_or(|b| width > b.0) {
                best = Some((width, object, found));
            }
        }
    }
    let (_, object, mut found) = best?;
    let at = |c: &Clause<'_>| object.columns.iter().position(|a| *a == c.member.attnum);
    // What cannot be computed while planning is left to the ordinary estimate.
    found.retain(|c| {
        let place = at(c);
        object
            .common
            .iter()
            .all(|item| place.and_then(|p| item.values.get(p)).is_some_and(|v| holds(c, v).is_some()))
    });
    if found.len() < 2 {
        return None;
    }
    let (mut matching, mut base, mut all) = (0.0, 0.0, 0.0);
    for item in &object.common {
        all += item.frequency;
        let fits = |c: &&Clause<'_>| {
            at(c).and_then(|p| item.values.get(p)).is_some_and(|v| holds(c, v) == Some(true))
        };
        if found.iter().all(fits) {
            matching += item.frequency;
            base += item.base_frequency;
        }
    }
    let alone: f64 = found.iter().map(|c| c.alone).product();
    let others = (alone - base).clamp(0.0, (1.0 - all).max(0.0));
    let share: f64 = matching + others;
    Some((share.clamp(0.0, 1.0), found.iter().map(|c| c.condition).collect()))
}

/// Is it an equality with constants? Others say nothing by dependencies.
fn equates(clause: &Clause<'_>) -> bool {
    match clause.condition {
        _ if clause.whole => true,
        Expr::Call(call) => estimate::is_equality(call.function),
        Expr::ScalarArray(f, _, _) => estimate::is_equality(f),
        Expr::Not(_) => true,
        _ => false,
    }
}

/// What equalities on columns that determine each other keep, and which they are.
fn by_dependencies<'a>(clauses: &[Clause<'a>]) -> Option<(f64, Vec<&'a Expr>)> {
    for clause in clauses {
        let table = &clause.member.table;
        let of_table = |c: &&Clause<'a>| Arc::ptr_eq(&c.member.table, table) && equates(c);
        let found: Vec<&Clause<'a>> = clauses.iter().filter(of_table).collect();
        let mut shares: Vec<(i16, f64)> = Vec::new();
        for c in &found {
            match shares.iter_mut().find(|s| s.0 == c.member.attnum) {
                Some(s) => s.1 *= c.alone,
                None => shares.push((c.member.attnum, c.alone)),
            }
        }
        let mut open: Vec<i16> = shares.iter().map(|s| s.0).collect();
        let all: Vec<&Dependence> = table.0.iter().flat_map(|o| &o.dependencies).collect();
        let mut applied: Vec<&Dependence> = Vec::new();
        while let Some(d) = strongest(&all, &open) {
            applied.push(d);
            open.retain(|c| *c != d.to);
        }
        if applied.is_empty() {
            continue;
        }
        let used: Vec<i16> = applied.iter().flat_map(|d| d.from.iter().copied().chain([d.to])).collect();
        shares.retain(|s| used.contains(&s.0));
        // The weakest first: what determines a column may itself be determined.
        for d in applied.iter().rev() {
            let share = |c: i16| shares.iter().find(|s| s.0 == c).map_or(1.0, |s| s.1);
            let (from, to): (f64, f64) = (d.from.iter().map(|c| share(*c)).product(), share(d.to));
            let given = if from <= to {
                d.degree + (1.0 - d.degree) * to
            } else {
                d.degree * to / from + (1.0 - d.degree) * to
            };
            if let Some(s) = shares.iter_mut().find(|s| s.0 == d.to) {
                s.1 = given;
            }
        }
        let share: f64 = shares.iter().map(|s| s.1).product();
        let conditions =
            found.iter().filter(|c| used.contains(&c.member.attnum)).map(|c| c.condition).collect();
        return Some((share.clamp(0.0, 1.0), conditions));
    }
    None
}

/// The dependency of the most columns, then of the highest degree, all of whose columns are among these.
fn strongest<'d>(all: &[&'d Dependence], columns: &[i16]) -> Option<&'d Dependence> {
    let mut best: Option<&Dependence> = None;
    for d in all.iter().copied() {
        let fits = columns.contains(&d.to) && d.from.iter().all(|c| columns.contains(c));
        let better = best.is_none_or(|b| (d.from.len(), d.degree) > (b.from.len(), b.degree));
        if fits && better {
            best = Some(d);
        }
    }
    best
}

/// How many groups rows make by these expressions, if there are enough of them.
pub(crate) fn groups<'e>(exprs: impl Iterator<Item = &'e Expr>, known: &dyn Knowledge) -> f64 {
    let mut count = 1.0;
    let mut members: Vec<(ColumnId, Member)> = Vec::new();
    for expr in exprs {
        let column = known.id_of(expr);
        match column.and_then(|id| Some((id, known.member(id)?))) {
            Some(found) if members.iter().all(|m| m.0 != found.0) => members.push(found),
            Some(_) => {}
            None => count *= column.map_or(estimate::DISTINCT, |id| estimate::distinct(id, known)),
        }
    }
    while let Some((_, first)) = members.first() {
        let of = |c: i16| members.iter().any(|(_, m)| m.attnum == c && Arc::ptr_eq(&m.table, &first.table));
        let entries = first.table.0.iter().flat_map(|o| &o.distinct);
        let best = entries.filter(|(cs, _)| cs.iter().all(|c| of(*c))).max_by_key(|(cs, _)| cs.len());
        let table = first.table.clone();
        match best.cloned() {
            Some((columns, n)) => {
                count *= n;
                members.retain(|(_, m)| !(Arc::ptr_eq(&m.table, &table) && columns.contains(&m.attnum)));
            }
            None => {
                // None of this table's is any use: each column by itself.
                for (id, _) in members.iter().filter(|(_, m)| Arc::ptr_eq(&m.table, &table)) {
                    count *= estimate::distinct(*id, known);
                }
                members.retain(|(_, m)| !Arc::ptr_eq(&m.table, &table));
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;

    use hashbrown::HashMap;
    use pg_catalog::{ColumnStatistics, extended::CommonTuple};
    use pg_plan::expr::Call;
    use pg_types::{SqlType, oid};

    /// Two columns of one table of 1,000 rows, with ten values each.
    /// Another number is one column's double.
    struct Known(HashMap<ColumnId, Member>);

    impl Knowledge for Known {
        fn id_of(&self, expr: &Expr) -> Option<ColumnId> {
            match expr {
                Expr::Call(call) if call.function.name == "int4pl" => Some(3),
                e => estimate::column_of(e),
            }
        }
        fn column(&self, _: ColumnId) -> Option<(Option<Arc<ColumnStatistics>>, f64, bool)> {
            let s = ColumnStatistics { distinct: 10.0, ..ColumnStatistics::default() };
            Some((Some(Arc::new(s)), 1000.0, false))
        }
        fn member(&self, id: ColumnId) -> Option<Member> {
            self.0.get(&id).cloned()
        }
    }

    fn known(statistics: ExtendedStatistics) -> Known {
        let table = Arc::new(Table(Arc::from([statistics])));
        let member = |attnum| Member { table: table.clone(), attnum };
        Known(HashMap::from_iter([(1, member(1)), (2, member(2)), (3, member(-1))]))
    }

    fn column(n: ColumnId) -> Expr {
        Expr::Column(n, SqlType::new(oid::INT4))
    }

    fn equal(n: ColumnId, value: i32) -> Expr {
        let operator = pg_functions::registry().equality_operator(oid::INT4).expect("integers are compared");
        let function = pg_functions::registry().function(operator.function).expect("by a function");
        let value = Expr::Const(Value::Int4(value), SqlType::new(oid::INT4));
        let args = Vec::from([column(n), value]);
        Expr::Call(Box::new(Call { function, args, ty: SqlType::new(oid::BOOL) }))
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    #[test]
    fn common_combinations_answer_for_both_columns() {
        let item = |a, b| CommonTuple {
            values: Vec::from([Value::Int4(a), Value::Int4(b)]),
            frequency: 0.1,
            base_frequency: 0.01,
        };
        let columns = Vec::from([1, 2]);
        let common = (0..10).map(|i| item(i, i)).collect();
        let known = known(ExtendedStatistics { columns, common, ..ExtendedStatistics::default() });
        close(estimate::all_of(&[equal(1, 3), equal(2, 3)], &known), 0.1);
        // All rows are in the list: what is not there is nowhere.
        close(estimate::all_of(&[equal(1, 3), equal(2, 4)], &known), 0.0);
        // One column is not enough.
        close(estimate::all_of(&[equal(1, 3)], &known), 0.1);
    }

    #[test]
    fn what_follows_from_another_column_keeps_everything() {
        let columns = Vec::from([1, 2]);
        let half = Dependence { from: Vec::from([1]), to: 2, degree: 0.5 };
        let of = |dependencies| {
            known(ExtendedStatistics {
                columns: columns.clone(),
                dependencies,
                ..ExtendedStatistics::default()
            })
        };
        let both = [equal(1, 3), equal(2, 3)];
        close(estimate::all_of(&both, &of(Vec::new())), 0.01);
        close(estimate::all_of(&both, &of(Vec::from([half.clone()]))), 0.1 * 0.55);
        let whole = Dependence { degree: 1.0, ..half };
        close(estimate::all_of(&both, &of(Vec::from([whole]))), 0.1);
    }

    #[test]
    fn an_expression_counts_as_a_column() {
        let add = |f: &&&pg_functions::Function| f.name == "int4pl";
        let double = |of: Expr| {
            let mut all = pg_functions::registry().functions().iter();
            let function = all.find(add).expect("integers are added");
            Expr::Call(Box::new(Call {
                function,
                args: Vec::from([of.clone(), of]),
                ty: SqlType::new(oid::INT4),
            }))
        };
        let equal_to = |e: Expr, value| match equal(1, value) {
            Expr::Call(mut call) => {
                call.args[0] = e;
                Expr::Call(call)
            }
            e => e,
        };
        let columns = Vec::from([2, -1]);
        let of_column = Dependence { from: Vec::from([-1]), to: 2, degree: 1.0 };
        let known = known(ExtendedStatistics {
            distinct: Vec::from([(columns.clone(), 12.0)]),
            columns,
            dependencies: Vec::from([of_column]),
            ..ExtendedStatistics::default()
        });
        close(estimate::all_of(&[equal_to(double(column(1)), 4), equal(2, 3)], &known), 0.1);
        close(groups([double(column(1)), column(2)].iter(), &known), 12.0);
    }

    #[test]
    fn groups_are_combinations() {
        let columns = Vec::from([1, 2]);
        let plain = known(ExtendedStatistics { columns: columns.clone(), ..ExtendedStatistics::default() });
        close(groups([column(1), column(2)].iter(), &plain), 100.0);
        let distinct = Vec::from([(columns.clone(), 12.0)]);
        let told = known(ExtendedStatistics { columns, distinct, ..ExtendedStatistics::default() });
        close(groups([column(1), column(2)].iter(), &told), 12.0);
        close(groups([column(1)].iter(), &told), 10.0);
    }
}

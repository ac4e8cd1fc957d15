//! GROUP BY with several sets of keys: GROUPING SETS, ROLLUP, CUBE, and GROUPING().
//!
//! The input's rows are joined with the numbers of the sets; a row with number n is grouped by the keys of set n, the
//! others NULL, and by n. GROUPING() is told from n.

use alloc::{boxed::Box, format, vec, vec::Vec};

use pg_plan::{
    expr::{Case, ColumnId, Expr},
    logical::{Column, JoinKind, Logical},
};
use pg_types::{Result, SqlError, SqlState, SqlType, Value, oid};
use sqlparser::ast as sq;

use super::{Binder, expr::start, scope::Place};
use crate::{grammar::window::distinct_sets, ruleutils::GroupText};

/// Most sets, as PostgreSQL has it.
const MAX_SETS: usize = 4096;
/// Most elements of a CUBE.
const MAX_CUBE: usize = 12;

/// A GROUP BY clause.
pub(super) struct GroupBy {
    /// All keys.
    pub(super) keys: Vec<(Column, Expr)>,
    /// Sets of positions in `keys`; `None`: one set of all.
    pub(super) sets: Option<Vec<Vec<usize>>>,
    /// How the sets were written, and whether with DISTINCT.
    pub(super) written: (bool, Vec<GroupText>),
}

/// What GROUP BY's items are bound into.
#[derive(Default)]
struct Grouping {
    keys: Vec<(Column, Expr)>,
    /// Are there several sets, or an empty one?
    several: bool,
}

/// The keys of one grouping set.
type Set = Vec<usize>;

fn is_call(f: &sq::Function, name: &str) -> bool {
    matches!(f.name.0.as_slice(), [sq::ObjectNamePart::Identifier(i)] if i.quote_style.is_none() && i.value == name)
}

/// The arguments of a ROLLUP or CUBE that was read as a call.
fn elements(f: &sq::Function) -> Vec<Vec<sq::Expr>> {
    let sq::FunctionArguments::List(list) = &f.args else { return Vec::new() };
    let plain = list.args.iter().filter_map(|a| match a {
        sq::FunctionArg::Unnamed(sq::FunctionArgExpr::Expr(e)) => Some(e.clone()),
        _ => None,
    });
    plain
        .map(|e| match e {
            sq::Expr::Tuple(items) => items,
            sq::Expr::Nested(inner) => Vec::from([*inner]),
            other => Vec::from([other]),
        })
        .collect()
}

/// Keys beside grouping sets are written one by one, and once.
fn plain_once(items: Vec<GroupText>) -> Vec<GroupText> {
    let mut seen: Set = Vec::new();
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let GroupText::Keys(keys) = item else {
            out.push(item);
            continue;
        };
        if keys.is_empty() {
            out.push(GroupText::Keys(keys));
            continue;
        }
        for key in keys {
            if !seen.contains(&key) {
                seen.push(key);
                out.push(GroupText::Keys(vec![key]));
            }
        }
    }
    out
}

impl Binder<'_> {
    /// Binds the GROUP BY list.
    pub(super) fn group_by(&mut self, items: &[sq::Expr], projection: &[sq::SelectItem]) -> Result<GroupBy> {
        let (distinct, items) = distinct_sets(items);
        self.at_place(Place::GroupBy, |b| {
            let mut grouping = Grouping::default();
            let mut sets: Vec<Set> = vec![Vec::new()];
            let mut written = Vec::new();
            for item in items {
                let (choices, text) = b.sets_of(item, projection, &mut grouping)?;
                written.push(text);
                let crossed = sets.len().saturating_mul(choices.len());
                if crossed > MAX_SETS {
                    return Err(SqlError::new(
                        SqlState::STATEMENT_TOO_COMPLEX,
                        format!("too many grouping sets present (maximum {MAX_SETS})"),
                    ));
                }
                sets = sets.iter().flat_map(|s| choices.iter().map(|c| [s.as_slice(), c].concat())).collect();
            }
            if distinct {
                let mut seen: Vec<Set> = Vec::new();
                sets.retain(|s| {
                    let mut set = s.clone();
                    set.sort_unstable();
                    set.dedup();
                    let new = !seen.contains(&set);
                    seen.extend(new.then_some(set));
                    new
                });
            }
            let Grouping { keys, several } = grouping;
            let written = (distinct, plain_once(written));
            Ok(GroupBy { keys, sets: several.then_some(sets), written })
        })
    }

    /// The grouping sets that one item of GROUP BY stands for, and how it is written.
    fn sets_of(
        &mut self,
        item: &sq::Expr,
        projection: &[sq::SelectItem],
        grouping: &mut Grouping,
    ) -> Result<(Vec<Set>, GroupText)> {
        match item {
            sq::Expr::Rollup(list) => self.rollup(list, projection, grouping),
            sq::Expr::Cube(list) => self.cube(list, projection, grouping),
            sq::Expr::Function(f) if is_call(f, "rollup") => self.rollup(&elements(f), projection, grouping),
            sq::Expr::Function(f) if is_call(f, "cube") => self.cube(&elements(f), projection, grouping),
            sq::Expr::GroupingSets(list) => {
                grouping.several = true;
                let (mut sets, mut written) = (Vec::new(), Vec::new());
                for element in list {
                    match element.as_slice() {
                        [one] => {
                            let (inner, text) = self.deeper(|b| b.sets_of(one, projection, grouping))?;
                            sets.extend(inner);
                            match text {
                                GroupText::Sets(texts) => written.extend(texts),
                                text => written.push(text),
                            }
                        }
                        all => {
                            let set = self.set_of(all, projection, grouping)?;
                            written.push(GroupText::Keys(set.clone()));
                            sets.push(set);
                        }
                    }
                }
                Ok((sets, GroupText::Sets(written)))
            }
            sq::Expr::Tuple(items) if items.is_empty() => {
                grouping.several = true;
                Ok((vec![Vec::new()], GroupText::Keys(Vec::new())))
            }
            plain => {
                let set = self.set_of(core::slice::from_ref(plain), projection, grouping)?;
                Ok((vec![set.clone()], GroupText::Keys(set)))
            }
        }
    }

    fn set_of(
        &mut self,
        items: &[sq::Expr],
        projection: &[sq::SelectItem],
        grouping: &mut Grouping,
    ) -> Result<Set> {
        let mut set = Vec::new();
        for item in items {
            for expr in self.group_item(item, projection)? {
                let known = grouping.keys.iter().position(|(_, e)| e.same(&expr));
                let n = known.unwrap_or(grouping.keys.len());
                if known.is_none() {
                    grouping.keys.push((self.column("", expr.ty()), expr));
                }
                set.push(n);
            }
        }
        Ok(set)
    }

    fn rollup(
        &mut self,
        list: &[Vec<sq::Expr>],
        projection: &[sq::SelectItem],
        grouping: &mut Grouping,
    ) -> Result<(Vec<Set>, GroupText)> {
        grouping.several = true;
        let parts =
            list.iter().map(|e| self.set_of(e, projection, grouping)).collect::<Result<Vec<Set>>>()?;
        let sets =
            (0..=parts.len()).rev().map(|n| parts.iter().take(n).flatten().copied().collect()).collect();
        Ok((sets, GroupText::Rollup(parts)))
    }

    fn cube(
        &mut self,
        list: &[Vec<sq::Expr>],
        projection: &[sq::SelectItem],
        grouping: &mut Grouping,
    ) -> Result<(Vec<Set>, GroupText)> {
        grouping.several = true;
        if list.len() > MAX_CUBE {
            return Err(SqlError::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("CUBE is limited to {MAX_CUBE} elements"),
            ));
        }
        let parts =
            list.iter().map(|e| self.set_of(e, projection, grouping)).collect::<Result<Vec<Set>>>()?;
        let subset = |bits: usize| -> Set {
            let chosen = parts.iter().rev().enumerate().filter(|(n, _)| bits >> n & 1 == 1);
            let mut chosen: Vec<&Set> = chosen.map(|(_, p)| p).collect();
            chosen.reverse();
            chosen.into_iter().flatten().copied().collect()
        };
        let sets = (0..1usize << parts.len()).rev().map(subset).collect();
        Ok((sets, GroupText::Cube(parts)))
    }

    /// GROUPING(...): a column that [`Binder::spread`] gives its meaning.
    pub(super) fn grouping(&mut self, args: &[&sq::Expr], at: u32) -> Result<Expr> {
        let place = self.place();
        if !place.aggregates() {
            return Err(SqlError::new(
                SqlState::GROUPING_ERROR,
                format!("grouping operations are not allowed in {}", place.name()),
            )
            .at(at));
        }
        if args.len() > 31 {
            return Err(SqlError::new(
                SqlState::TOO_MANY_ARGUMENTS,
                "GROUPING must have fewer than 32 arguments",
            )
            .at(at));
        }
        let ty = SqlType::new(oid::INT4);
        let mut bound = Vec::with_capacity(args.len());
        for arg in args {
            bound.push((self.settled(arg)?, start(arg)));
        }
        let id = self.column("grouping", ty).id;
        self.frame()?.groupings.push((id, bound));
        Ok(Expr::Column(id, ty))
    }

    /// What the level's GROUPING() calls mean, over the number of the set in column `set`.
    pub(super) fn groupings(
        &mut self,
        keys: &[(Column, Expr)],
        sets: Option<(&[Vec<usize>], ColumnId)>,
    ) -> Result<Vec<(ColumnId, Expr)>> {
        let ty = SqlType::new(oid::INT4);
        let calls = core::mem::take(&mut self.frame()?.groupings);
        let mut meanings = Vec::with_capacity(calls.len());
        for (id, args) in calls {
            let mut positions = Vec::with_capacity(args.len());
            for (arg, at) in &args {
                let position = keys.iter().position(|(_, e)| e.same(arg)).ok_or_else(|| {
                    SqlError::new(
                        SqlState::GROUPING_ERROR,
                        "arguments to GROUPING must be grouping expressions of the associated query level",
                    )
                    .at(*at)
                })?;
                positions.push(position);
            }
            let bits = |set: &[usize]| {
                positions.iter().fold(0i32, |bits, p| bits << 1 | i32::from(!set.contains(p)))
            };
            let meaning = match sets {
                None => Expr::Const(Value::Int4(0), ty),
                Some((sets, number)) => {
                    let mut whens = Vec::with_capacity(sets.len());
                    for (n, set) in sets.iter().enumerate() {
                        let value = Expr::Const(Value::Int4(bits(set)), ty);
                        whens.push((self.is_set(number, &[n])?, value));
                    }
                    let otherwise = Expr::Const(Value::Null, ty);
                    Expr::Case(Box::new(Case { whens, otherwise, ty }))
                }
            };
            meanings.push((id, meaning));
        }
        Ok(meanings)
    }

    /// Is the number of the set one of these?
    fn is_set(&mut self, number: ColumnId, sets: &[usize]) -> Result<Expr> {
        let ty = SqlType::new(oid::INT4);
        let mut any = Vec::with_capacity(sets.len());
        for n in sets {
            let value = Expr::Const(Value::Int4(i32::try_from(*n).unwrap_or(i32::MAX)), ty);
            any.push(self.operator("=", Expr::Column(number, ty), value, 0)?);
        }
        Ok(match any.len() {
            1 => any.swap_remove(0),
            _ => Expr::Or(any),
        })
    }

    /// The input once for each set, its keys NULL where a set does not have them; groups that exist without rows.
    pub(super) fn spread(
        &mut self,
        input: Logical,
        keys: Vec<(Column, Expr)>,
        sets: &[Vec<usize>],
        number_out: Column,
    ) -> Result<(Logical, Vec<(Column, Expr)>, Vec<Vec<Value>>)> {
        let ty = SqlType::new(oid::INT4);
        let number = self.column("", ty);
        let id = number.id;
        let value = |n: usize| Value::Int4(i32::try_from(n).unwrap_or(i32::MAX));
        let rows = (0..sets.len()).map(|n| vec![Expr::Const(value(n), ty)]).collect();
        let plan = Logical::Join {
            kind: JoinKind::Inner,
            left: Box::new(input),
            right: Box::new(Logical::Values { rows, columns: vec![number] }),
            on: None,
            lateral: Vec::new(),
        };
        let mut groups = Vec::with_capacity(keys.len() + 1);
        for (k, (column, expr)) in keys.into_iter().enumerate() {
            let having: Vec<usize> =
                sets.iter().enumerate().filter(|(_, s)| s.contains(&k)).map(|(n, _)| n).collect();
            let expr = if having.len() == sets.len() {
                expr
            } else if having.is_empty() {
                Expr::Const(Value::Null, column.ty)
            } else {
                let ty = expr.ty();
                let whens = vec![(self.is_set(id, &having)?, expr)];
                Expr::Case(Box::new(Case { whens, otherwise: Expr::Const(Value::Null, ty), ty }))
            };
            groups.push((column, expr));
        }
        let width = groups.len();
        let empty = sets.iter().enumerate().filter(|(_, s)| s.is_empty());
        let seeds = empty.map(|(n, _)| {
            let mut seed = vec![Value::Null; width];
            seed.push(value(n));
            seed
        });
        let seeds = seeds.collect();
        groups.push((number_out, Expr::Column(id, ty)));
        Ok((plan, groups, seeds))
    }
}

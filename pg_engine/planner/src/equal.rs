//! Columns that a set of conditions makes equal: any two of them may be joined by, not only those that were written.

use alloc::{boxed::Box, vec::Vec};

use pg_functions::Function;
use pg_plan::expr::{Call, ColumnId, Expr};
use pg_types::SqlType;

use crate::{columns::ColumnSet, estimate::is_equality};

/// Conditions of a set of joined inputs.
pub(crate) struct Conditions {
    classes: Vec<Class>,
    /// All others.
    others: Vec<Expr>,
}

/// Columns of different inputs, all equal.
struct Class {
    function: &'static Function,
    members: Vec<(ColumnId, SqlType)>,
    ty: SqlType,
}

impl Conditions {
    /// Of conjuncts over the inputs. An input that has two columns of a class keeps the conditions as they were written.
    pub(crate) fn new(conjuncts: &[Expr], inputs: &[&ColumnSet]) -> Self {
        let mut classes: Vec<Class> = Vec::new();
        for condition in conjuncts {
            let Some((call, a, b)) = equality(condition) else { continue };
            let has = |c: &Class, id: ColumnId| {
                c.function.oid == call.function.oid && c.members.iter().any(|m| m.0 == id)
            };
            let mut class = Class { function: call.function, members: Vec::from([a, b]), ty: call.ty };
            // Classes that the two belong to become one.
            let (same, rest): (Vec<_>, Vec<_>) =
                classes.into_iter().partition(|c| has(c, a.0) || has(c, b.0));
            classes = rest;
            for member in same.into_iter().flat_map(|c| c.members) {
                if !class.members.iter().any(|m| m.0 == member.0) {
                    class.members.push(member);
                }
            }
            classes.push(class);
        }
        classes.retain(|c| {
            c.members.len() > 2
                && inputs.iter().all(|i| c.members.iter().filter(|m| i.contains(m.0)).count() <= 1)
        });
        let covered = |e: &Expr| {
            equality(e).is_some_and(|(call, a, _)| {
                let own =
                    |c: &Class| c.function.oid == call.function.oid && c.members.iter().any(|m| m.0 == a.0);
                classes.iter().any(own)
            })
        };
        let others = conjuncts.iter().filter(|e| !covered(e)).cloned().collect();
        Self { classes, others }
    }

    /// The columns of each class.
    pub(crate) fn classes(&self) -> Vec<Vec<ColumnId>> {
        self.classes.iter().map(|c| c.members.iter().map(|m| m.0).collect()).collect()
    }

    /// Conditions that a join of the two sides makes computable: of each class one, since either side's columns of it are equal
    /// already.
    pub(crate) fn applicable(&self, left: &ColumnSet, right: &ColumnSet) -> Vec<Expr> {
        let mut both = left.clone();
        both.merge(right);
        let fits = |e: &&Expr| both.covers(e) && left.touches(e) && right.touches(e) && !e.volatile();
        let mut on: Vec<Expr> = self.others.iter().filter(fits).cloned().collect();
        for class in &self.classes {
            let of = |side: &ColumnSet| class.members.iter().find(|m| side.contains(m.0));
            if let (Some(a), Some(b)) = (of(left), of(right)) {
                let args = Vec::from([Expr::Column(a.0, a.1), Expr::Column(b.0, b.1)]);
                on.push(Expr::Call(Box::new(Call { function: class.function, args, ty: class.ty })));
            }
        }
        on
    }
}

/// Two columns of one type that a condition says are equal.
fn equality(e: &Expr) -> Option<(&Call, (ColumnId, SqlType), (ColumnId, SqlType))> {
    let Expr::Call(call) = e else { return None };
    let [Expr::Column(a, t), Expr::Column(b, u)] = call.args.as_slice() else { return None };
    let one_type = call.function.args.first() == call.function.args.get(1) && t.oid == u.oid;
    (one_type && a != b && is_equality(call.function)).then_some((call, (*a, *t), (*b, *u)))
}

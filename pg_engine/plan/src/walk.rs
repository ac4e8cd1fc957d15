//! Walking expressions and comparing them.

use alloc::{boxed::Box, vec::Vec};

use pg_types::Value;

use crate::expr::{ColumnId, Expr, SubPlan, SubPlanKind};

macro_rules! children {
    ($expr:expr, $f:expr, $iter:ident $(, $m:tt)?) => {
        match $expr {
            Expr::Const(..) | Expr::Column(..) | Expr::Param(..) | Expr::Slot(..) => {}
            Expr::CurrentOf(c) => $f(& $($m)? c.ctid),
            Expr::Call(c) => c.args.$iter().for_each($f),
            Expr::Routine(c) => c.args.$iter().for_each($f),
            Expr::And(v)
            | Expr::Or(v)
            | Expr::Coalesce(v, _)
            | Expr::Extreme(v, _, _)
            | Expr::Array(v, _, _)
            | Expr::Row(v, _, _) => v.$iter().for_each($f),
            Expr::Not(e)
            | Expr::IsNull(e, _)
            | Expr::IsTruth(e, _, _)
            | Expr::CoerceViaIo(e, _)
            | Expr::Relabel(e, _)
            | Expr::ArrayCoerce(e, _, _)
            | Expr::Field(e, _, _) => $f(e),
            Expr::Domain(d) => $f(& $($m)? d.value),
            Expr::Distinct(_, a, _) | Expr::NullIf(_, a) | Expr::ScalarArray(_, a, _) => {
                a.$iter().for_each($f);
            }
            Expr::Case(c) => {
                for (when, then) in c.whens.$iter() {
                    $f(when);
                    $f(then);
                }
                $f(& $($m)? c.otherwise);
            }
            Expr::Subscript(s) => {
                $f(& $($m)? s.array);
                for (a, b) in s.indices.$iter() {
                    if let Some(a) = a {
                        $f(a);
                    }
                    if let Some(b) = b {
                        $f(b);
                    }
                }
                if let Some(assign) = & $($m)? s.assign {
                    $f(assign);
                }
            }
            Expr::SubPlan(s) => {
                for (_, e) in s.args.$iter() {
                    $f(e);
                }
                if let SubPlanKind::Compare { hashable: Some(keys), .. } = & $($m)? s.kind {
                    for (e, _) in keys.$iter() {
                        $f(e);
                    }
                }
            }
        }
    };
}

/// The same to the bit: NaN is NaN, and 0 is not -0.
fn identical(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float4(a), Value::Float4(b)) => a.to_bits() == b.to_bits(),
        (Value::Float8(a), Value::Float8(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

impl Expr {
    /// Calls `f` on every direct subexpression in terms of the same row: of a [`SubPlan`] the outer expressions, not
    /// its query nor its test.
    pub fn for_each_child<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        children!(self, &mut *f, iter);
    }

    /// As [`Expr::for_each_child`], to change.
    pub fn for_each_child_mut(&mut self, f: &mut dyn FnMut(&mut Expr)) {
        children!(self, &mut *f, iter_mut, mut);
    }

    /// True when `f` holds for this expression or any below.
    pub fn any(&self, f: &mut dyn FnMut(&Expr) -> bool) -> bool {
        if f(self) {
            return true;
        }
        let mut found = false;
        self.for_each_child(&mut |e| found = found || e.any(f));
        found
    }

    /// Calls `f` for every column of the row (of a [`SubPlan`] those in its arguments).
    pub fn for_each_column(&self, f: &mut dyn FnMut(ColumnId)) {
        if let Self::Column(id, _) = self {
            f(*id);
        }
        self.for_each_child(&mut |e| e.for_each_column(f));
    }

    /// True when the two compute the same from the same row, structurally. Subqueries are equal if they were written
    /// alike in one query block.
    pub fn same(&self, other: &Self) -> bool {
        use Expr as E;
        let all = |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
        let option = |a: &Option<Expr>, b: &Option<Expr>| match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => a.same(b),
            _ => false,
        };
        match (self, other) {
            (E::Const(a, t), E::Const(b, u)) => t == u && identical(a, b),
            (E::Column(a, _), E::Column(b, _)) => a == b,
            (E::Param(a, t), E::Param(b, u)) | (E::Slot(a, t), E::Slot(b, u)) => a == b && t == u,
            (E::Call(a), E::Call(b)) => {
                a.function.oid == b.function.oid && a.ty == b.ty && all(&a.args, &b.args)
            }
            (E::Routine(a), E::Routine(b)) => {
                a.target.routine.oid == b.target.routine.oid
                    && a.target.result == b.target.result
                    && all(&a.args, &b.args)
            }
            (E::And(a), E::And(b)) | (E::Or(a), E::Or(b)) => all(a, b),
            (E::Coalesce(a, t), E::Coalesce(b, u)) => t == u && all(a, b),
            (E::Row(a, n, t), E::Row(b, m, u)) => n == m && t == u && all(a, b),
            (E::Extreme(a, m, t), E::Extreme(b, n, u)) | (E::Array(a, m, t), E::Array(b, n, u)) => {
                t == u && m == n && all(a, b)
            }
            (E::Not(a), E::Not(b)) => a.same(b),
            (E::IsNull(a, x), E::IsNull(b, y)) => x == y && a.same(b),
            (E::IsTruth(a, x, m), E::IsTruth(b, y, n)) => x == y && m == n && a.same(b),
            (E::CoerceViaIo(a, t), E::CoerceViaIo(b, u)) | (E::Relabel(a, t), E::Relabel(b, u)) => {
                t == u && a.same(b)
            }
            (E::ArrayCoerce(a, x, t), E::ArrayCoerce(b, y, u)) => t == u && a.same(b) && x.same(y),
            (E::Domain(a), E::Domain(b)) => a.oid == b.oid && a.value.same(&b.value),
            (E::Field(a, i, _), E::Field(b, j, _)) => i == j && a.same(b),
            (E::Distinct(f, a, x), E::Distinct(g, b, y))
            | (E::ScalarArray(f, a, x), E::ScalarArray(g, b, y)) => {
                f.oid == g.oid && x == y && all(&a[..], &b[..])
            }
            (E::SubPlan(a), E::SubPlan(b)) => {
                let args = || a.args.iter().zip(&b.args).all(|((_, a), (_, b))| a.same(b));
                a.alike == b.alike && a.alike != 0 && a.args.len() == b.args.len() && args()
            }
            (E::NullIf(f, a), E::NullIf(g, b)) => f.oid == g.oid && all(&a[..], &b[..]),
            (E::Case(a), E::Case(b)) => {
                a.ty == b.ty
                    && a.whens.len() == b.whens.len()
                    && a.whens.iter().zip(&b.whens).all(|(a, b)| a.0.same(&b.0) && a.1.same(&b.1))
                    && a.otherwise.same(&b.otherwise)
            }
            (E::Subscript(a), E::Subscript(b)) => {
                a.slice == b.slice
                    && option(&a.assign, &b.assign)
                    && a.array.same(&b.array)
                    && a.indices.len() == b.indices.len()
                    && a.indices.iter().zip(&b.indices).all(|(a, b)| option(&a.0, &b.0) && option(&a.1, &b.1))
            }
            _ => false,
        }
    }

    /// The conjuncts of a condition.
    pub fn conjuncts(self) -> Vec<Expr> {
        match self {
            Self::And(parts) => parts.into_iter().flat_map(Self::conjuncts).collect(),
            other => Vec::from([other]),
        }
    }

    /// The conjunction of conditions; `None`: no condition.
    pub fn all_of(mut parts: Vec<Expr>) -> Option<Expr> {
        if parts.len() > 1 { Some(Self::And(parts)) } else { parts.pop() }
    }

    /// True when a function below may give another result with the same arguments in the same statement.
    pub fn volatile(&self) -> bool {
        self.any(&mut |e| match e {
            Expr::Call(c) => c.function.volatility == pg_functions::Volatility::Volatile,
            Expr::Routine(c) => c.target.routine.volatility == pg_functions::Volatility::Volatile,
            _ => false,
        })
    }

    /// True when a subquery is somewhere in the expression.
    pub fn has_subplan(&self) -> bool {
        self.any(&mut |e| matches!(e, Expr::SubPlan(_)))
    }
}

impl SubPlan {
    /// As an expression.
    pub fn boxed(self) -> Expr {
        Expr::SubPlan(Box::new(self))
    }
}

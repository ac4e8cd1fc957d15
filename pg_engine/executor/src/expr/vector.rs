//! Evaluation over columns.

use alloc::{borrow::Cow, sync::Arc, vec::Vec};

use pg_functions::{Implementation, Rows};
use pg_types::{
    Batch, ColumnData, Result, SqlType, Vector, oid,
    vector::{Encoding, VectorBuilder},
};

use super::{Call, Compiled, RowRef, no_column, row::call_function};
use crate::context::Rt;

/// Rows of a batch to evaluate, ascending; `None`: all.
pub(crate) type Selection<'a> = Option<&'a [u32]>;

const BOOL: SqlType = SqlType::new(oid::BOOL);

/// Calls `f` for every selected row.
pub(super) fn for_rows(
    count: usize,
    sel: Selection<'_>,
    mut f: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    match sel {
        None => (0..count).try_for_each(f),
        Some(s) => s.iter().try_for_each(|&i| f(i as usize)),
    }
}

impl Compiled {
    /// The column of values; only the selected rows mean anything.
    pub(crate) fn vector(
        &mut self,
        batch: &Batch,
        sel: Selection<'_>,
        rt: &Rt<'_, '_>,
    ) -> Result<Arc<Vector>> {
        match self {
            Self::Const(_, v) => return Ok(v.clone()),
            Self::Column(n) => return batch.columns.get(*n).cloned().ok_or_else(no_column),
            Self::Param(n, ty) => return Ok(Arc::new(Vector::constant(&rt.param(*n)?, *ty)?)),
            Self::Slot(n, ty) => return Ok(Arc::new(Vector::constant(&rt.slot(*n), *ty)?)),
            _ => {}
        }
        if sel.map_or(batch.rows, <[u32]>::len) == 1 {
            let at = sel.and_then(|s| s.first()).map_or(0, |&i| i as usize);
            let v = self.row(RowRef::Batch(batch, at), rt)?;
            return Ok(Arc::new(Vector::constant(&v, self.ty())?));
        }
        match self {
            Self::Call(c) => c.vector(batch, sel, rt),
            Self::Relabel(e, ty) => {
                let v = e.vector(batch, sel, rt)?;
                let ty = *ty;
                if v.ty == ty {
                    return Ok(v);
                }
                if pg_types::Physical::of(v.ty.oid) != pg_types::Physical::of(ty.oid) {
                    return by_rows(self, ty, batch, sel, rt);
                }
                Ok(Arc::new(Arc::unwrap_or_clone(v).with_type(ty)))
            }
            Self::And(l) => {
                connective(l.iter_mut(), false, batch.rows, sel, |e, open| e.vector(batch, Some(open), rt))
            }
            Self::Or(l) => {
                connective(l.iter_mut(), true, batch.rows, sel, |e, open| e.vector(batch, Some(open), rt))
            }
            Self::Not(e) => {
                let v = e.vector(batch, sel, rt)?;
                let ColumnData::Bool(b) = &v.data else { return Err(no_column()) };
                let data = ColumnData::Bool(b.iter().map(|x| !x).collect());
                Ok(Arc::new(Vector { ty: BOOL, encoding: v.encoding.clone(), data, nulls: v.nulls.clone() }))
            }
            Self::IsNull(e, want) => {
                let v = e.vector(batch, sel, rt)?;
                let want = *want;
                if matches!(v.data, ColumnData::Other(_)) {
                    let mut out = alloc::vec![false; batch.rows];
                    for_rows(batch.rows, sel, |i| {
                        out[i] = super::row::is_null(&v.value(i), want);
                        Ok(())
                    })?;
                    return Ok(bools(out));
                }
                Ok(bools((0..batch.rows).map(|i| v.is_null(i) == want).collect()))
            }
            Self::IsTruth(e, want, negated) => {
                let v = e.vector(batch, sel, rt)?;
                let ColumnData::Bool(b) = &v.data else { return Err(no_column()) };
                let is = |i: usize| match (v.is_null(i), *want) {
                    (true, w) => w.is_none(),
                    (false, Some(w)) => b[v.index(i)] == w,
                    (false, None) => false,
                };
                Ok(bools((0..batch.rows).map(|i| is(i) != *negated).collect()))
            }
            Self::Case(c) => {
                let whens = c.whens.iter_mut().map(|(w, t)| (w, t));
                let about = (batch, sel, c.ty);
                case(
                    whens,
                    &mut c.otherwise,
                    about,
                    |w, rows| w.filter(batch, Some(rows), rt),
                    |e, rows| e.vector(batch, Some(rows), rt),
                )
            }
            Self::Coalesce(l, ty) => {
                coalesce(l.iter_mut(), *ty, batch, sel, |e, rows| e.vector(batch, Some(rows), rt))
            }
            Self::ScalarArray(s) if s.members.is_some() => {
                let v = s.call.args[0].vector(batch, sel, rt)?;
                let known = s.members.as_ref().and_then(|m| m.contain(&v, batch.rows, sel));
                match known {
                    Some((found, nulls)) => Ok(Arc::new(Vector::flat(BOOL, ColumnData::Bool(found), nulls))),
                    None => by_rows(self, BOOL, batch, sel, rt),
                }
            }
            Self::SubPlan(s) => match s.vector(batch, sel, rt)? {
                Some(v) => Ok(Arc::new(v)),
                None => {
                    let ty = s.ty;
                    by_rows(self, ty, batch, sel, rt)
                }
            },
            e => {
                let ty = e.ty();
                by_rows(e, ty, batch, sel, rt)
            }
        }
    }

    /// The rows among `sel` for which the expression is true.
    pub(crate) fn filter(&mut self, batch: &Batch, sel: Selection<'_>, rt: &Rt<'_, '_>) -> Result<Vec<u32>> {
        // Constants of a batch have a value even where it has no rows to take others from.
        if batch.rows == 0 {
            return Ok(Vec::new());
        }
        if let Self::And(l) = self {
            let mut kept: Option<Vec<u32>> = None;
            for e in l {
                let next = e.filter(batch, kept.as_deref().or(sel), rt)?;
                if next.is_empty() {
                    return Ok(next);
                }
                kept = Some(next);
            }
            return Ok(kept.unwrap_or_default());
        }
        let v = self.vector(batch, sel, rt)?;
        truth_filter(&v, batch.rows, sel)
    }

    /// Result type, as far as vectors need it.
    pub(crate) fn ty(&self) -> SqlType {
        match self {
            Self::Const(_, v) => v.ty,
            Self::Column(_) => SqlType::new(oid::UNKNOWN),
            Self::Param(_, t)
            | Self::Slot(_, t)
            | Self::Coalesce(_, t)
            | Self::NullIf(_, t)
            | Self::Extreme(_, _, t)
            | Self::ViaIo(_, _, t)
            | Self::Relabel(_, t)
            | Self::ArrayCoerce(_, t)
            | Self::Array(_, _, t)
            | Self::Row(_, _, _, t)
            | Self::Field(_, _, t) => *t,
            Self::Call(c) => c.ty,
            Self::Routine(c) => c.ty(),
            Self::Case(c) => c.ty,
            Self::Domain(d) => d.ty,
            Self::Subscript(s) => s.ty,
            Self::SubPlan(s) => s.ty,
            Self::And(_)
            | Self::Or(_)
            | Self::Not(_)
            | Self::IsNull(..)
            | Self::IsTruth(..)
            | Self::Distinct(..)
            | Self::ScalarArray(_) => BOOL,
        }
    }
}

/// The rows for which a column of conditions is true.
pub(super) fn truth_filter(v: &Vector, rows: usize, sel: Selection<'_>) -> Result<Vec<u32>> {
    let all = || match sel {
        None => (0..rows as u32).collect(),
        Some(s) => s.to_vec(),
    };
    let ColumnData::Bool(b) = &v.data else { return Err(no_column()) };
    if v.is_constant() {
        return Ok(if v.is_true(0) { all() } else { Vec::new() });
    }
    let mut out = Vec::with_capacity(sel.map_or(rows, <[u32]>::len));
    match (sel, &v.encoding, &v.nulls) {
        (None, Encoding::Flat, None) => {
            for (i, &keep) in b.iter().enumerate().take(rows) {
                if keep {
                    out.push(i as u32);
                }
            }
        }
        _ => {
            for_rows(rows, sel, |i| {
                if v.is_true(i) {
                    out.push(i as u32);
                }
                Ok(())
            })?;
        }
    }
    Ok(out)
}

fn bools(data: Vec<bool>) -> Arc<Vector> {
    Arc::new(Vector::flat(BOOL, ColumnData::Bool(data), None))
}

/// Row by row: for the rarer constructs.
fn by_rows(
    e: &mut Compiled,
    ty: SqlType,
    batch: &Batch,
    sel: Selection<'_>,
    rt: &Rt<'_, '_>,
) -> Result<Arc<Vector>> {
    let mut b = VectorBuilder::with_capacity(ty, batch.rows);
    for_rows(batch.rows, sel, |i| {
        b.push_nulls(i - b.len());
        b.push(&e.row(RowRef::Batch(batch, i), rt)?)
    })?;
    b.push_nulls(batch.rows - b.len());
    Ok(Arc::new(b.finish()))
}

impl Call {
    fn vector(&mut self, batch: &Batch, sel: Selection<'_>, rt: &Rt<'_, '_>) -> Result<Arc<Vector>> {
        if self.args.is_empty() {
            let volatile = self.function.volatility == pg_functions::Volatility::Volatile;
            if !volatile {
                let v = call_function(self.function, &[], self.ty, rt)?;
                return Ok(Arc::new(Vector::constant(&v, self.ty)?));
            }
        }
        let mut args = Vec::with_capacity(self.args.len());
        for a in &mut self.args {
            args.push(a.vector(batch, sel, rt)?);
        }
        // A column computed for one row is a constant; a batch of constants is computed once.
        let all_constant = !args.is_empty()
            && args.iter().all(|a| a.is_constant())
            && self.function.volatility != pg_functions::Volatility::Volatile;
        if all_constant {
            self.values.clear();
            self.values.extend(args.iter().map(|a| a.value(0)));
            let v = call_function(self.function, &self.values, self.ty, rt)?;
            return Ok(Arc::new(Vector::constant(&v, self.ty)?));
        }
        if let Some(f) = self.vector_form() {
            let rows = Rows { count: batch.rows, selection: sel };
            let mut v = f(&rt.eval(), &args, rows)?;
            v.ty = self.ty;
            return Ok(Arc::new(v));
        }
        let strict = self.function.strict;
        let mut b = VectorBuilder::with_capacity(self.ty, batch.rows);
        let mut values = core::mem::take(&mut self.values);
        for_rows(batch.rows, sel, |i| {
            // A function may take its time, and a batch has many rows.
            if i.is_multiple_of(16)
                && let Some(e) = rt.cx.session.interrupted()
            {
                return Err(e);
            }
            b.push_nulls(i - b.len());
            if strict && args.iter().any(|a| a.is_null(i)) {
                b.push_null();
                return Ok(());
            }
            values.clear();
            values.extend(args.iter().map(|a| a.value(i)));
            let v = match self.function.imp {
                Implementation::Row(f) => f(&rt.eval(), &values)?,
                _ => call_function(self.function, &values, self.ty, rt)?,
            };
            b.push(&v)
        })?;
        self.values = values;
        b.push_nulls(batch.rows - b.len());
        Ok(Arc::new(b.finish()))
    }
}

/// AND (`decisive` false) and OR (`decisive` true): later terms see only the rows that earlier ones left undecided.
pub(super) fn connective<E>(
    l: impl Iterator<Item = E>,
    decisive: bool,
    rows: usize,
    sel: Selection<'_>,
    mut eval: impl FnMut(E, &[u32]) -> Result<Arc<Vector>>,
) -> Result<Arc<Vector>> {
    let mut open: Cow<'_, [u32]> = match sel {
        None => Cow::Owned((0..rows as u32).collect()),
        Some(s) => Cow::Borrowed(s),
    };
    let mut value = alloc::vec![!decisive; rows];
    let mut nulls = pg_types::vector::Nulls::default();
    let mut any_null = false;
    for e in l {
        if open.is_empty() {
            break;
        }
        let v = eval(e, &open)?;
        let ColumnData::Bool(b) = &v.data else { return Err(no_column()) };
        let mut left = Vec::with_capacity(open.len());
        for &i in open.iter() {
            let row = i as usize;
            if v.is_null(row) {
                nulls.set(row);
                any_null = true;
                left.push(i);
            } else if b[v.index(row)] == decisive {
                value[row] = decisive;
                if any_null {
                    nulls.clear(row);
                }
            } else {
                left.push(i);
            }
        }
        open = Cow::Owned(left);
    }
    Ok(Arc::new(Vector::flat(BOOL, ColumnData::Bool(value), any_null.then_some(nulls))))
}

/// Puts a column together from parts, each with the rows it is for.
fn assemble(ty: SqlType, rows: usize, parts: &[(Vec<u32>, Arc<Vector>)]) -> Arc<Vector> {
    if let [(part_rows, v)] = parts
        && (part_rows.len() == rows || v.is_constant())
    {
        return v.clone();
    }
    const NONE: u16 = u16::MAX;
    let mut source = alloc::vec![NONE; rows];
    for (k, (part_rows, _)) in parts.iter().enumerate() {
        for &i in part_rows {
            source[i as usize] = k as u16;
        }
    }
    let mut b = VectorBuilder::with_capacity(ty, rows);
    for (i, &s) in source.iter().enumerate() {
        match parts.get(s as usize) {
            Some((_, v)) => b.extend_from(v, i),
            None => b.push_null(),
        }
    }
    Arc::new(b.finish())
}

fn initial(batch: &Batch, sel: Selection<'_>) -> Vec<u32> {
    match sel {
        None => (0..batch.rows as u32).collect(),
        Some(s) => s.to_vec(),
    }
}

/// CASE: each branch is evaluated for the rows that reach it.
pub(super) fn case<E>(
    whens: impl Iterator<Item = (E, E)>,
    otherwise: E,
    (batch, sel, ty): (&Batch, Selection<'_>, SqlType),
    mut filter: impl FnMut(E, &[u32]) -> Result<Vec<u32>>,
    mut eval: impl FnMut(E, &[u32]) -> Result<Arc<Vector>>,
) -> Result<Arc<Vector>> {
    let mut left = initial(batch, sel);
    let mut parts = Vec::new();
    for (when, then) in whens {
        if left.is_empty() {
            break;
        }
        let hit = filter(when, &left)?;
        if hit.is_empty() {
            continue;
        }
        let v = eval(then, &hit)?;
        subtract(&mut left, &hit);
        parts.push((hit, v));
    }
    if !left.is_empty() {
        let v = eval(otherwise, &left)?;
        parts.push((left, v));
    }
    Ok(assemble(ty, batch.rows, &parts))
}

/// COALESCE: an argument is evaluated for the rows for which those before it are NULL.
pub(super) fn coalesce<E>(
    l: impl Iterator<Item = E>,
    ty: SqlType,
    batch: &Batch,
    sel: Selection<'_>,
    mut eval: impl FnMut(E, &[u32]) -> Result<Arc<Vector>>,
) -> Result<Arc<Vector>> {
    let mut left = initial(batch, sel);
    let mut parts = Vec::new();
    for e in l {
        if left.is_empty() {
            break;
        }
        let v = eval(e, &left)?;
        if v.no_nulls() {
            parts.push((core::mem::take(&mut left), v));
            break;
        }
        let hit: Vec<u32> = left.iter().copied().filter(|&i| !v.is_null(i as usize)).collect();
        subtract(&mut left, &hit);
        parts.push((hit, v));
    }
    if !left.is_empty() || parts.is_empty() {
        parts.push((left, Arc::new(Vector::nulls(ty))));
    }
    Ok(assemble(ty, batch.rows, &parts))
}

/// Removes `gone` from `rows`; both ascend.
fn subtract(rows: &mut Vec<u32>, gone: &[u32]) {
    let mut g = gone.iter().copied().peekable();
    rows.retain(|&r| {
        while g.peek().is_some_and(|&x| x < r) {
            g.next();
        }
        g.peek() != Some(&r)
    });
}

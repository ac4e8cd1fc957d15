//! The simple operators.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use pg_functions::{Function, Implementation, SetReturning};
use pg_storage::ScratchBuffer;
use pg_types::{
    Batch, Oid, Result, SqlError, SqlState, SqlType, Value, Vector, oid,
    vector::{BATCH_ROWS, VectorBuilder},
};

use super::{
    Exec, Operator,
    key_set::Wanted,
    stage::{self, Computing, Handed, Keeping, Step},
};
use crate::{
    context::Rt,
    expr::{Compiled, Pure, RowRef, call_function},
};

/// One row, no columns.
#[derive(Default)]
pub(crate) struct OneRow {
    done: bool,
}

impl Operator for OneRow {
    fn next(&mut self, _rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        Ok((!core::mem::replace(&mut self.done, true)).then(Batch::single_row))
    }
    fn reset(&mut self) {
        self.done = false;
    }
}

/// Keeps rows for which the condition is true.
pub(crate) struct Filter {
    input: Exec,
    condition: Compiled,
    /// Evaluating the condition does something: it must see all rows.
    volatile: bool,
    filtered: u64,
    handed: Handed,
}

impl Filter {
    pub(crate) fn new(input: Exec, condition: Compiled, volatile: bool) -> Self {
        Self { input, condition, volatile, filtered: 0, handed: Handed::default() }
    }
}

impl Operator for Filter {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.handed.is_down() {
            return Ok(self.handed.pass(self.input.next(rt)?));
        }
        while let Some(b) = self.input.next(rt)? {
            rt.cx.checkpoint()?;
            let kept = self.condition.filter(&b, b.selection.as_deref(), rt)?;
            self.filtered += (b.row_count() - kept.len()) as u64;
            if !kept.is_empty() {
                return Ok(Some(b.with_selection(kept)));
            }
        }
        Ok(None)
    }
    fn reset(&mut self) {
        self.handed.end();
        self.condition.reset();
        self.input.reset();
    }
    fn absorbs(&self) -> bool {
        self.input.absorbs()
    }
    fn absorb(&mut self, steps: &[Arc<Step>], most: usize, rt: &Rt<'_, '_>) -> Result<bool> {
        let Some(condition) = Pure::of(&self.condition, &self.input.types, rt) else { return Ok(false) };
        self.input.absorb_with(Step::new(Keeping(condition)), steps, most, &mut self.handed, rt)
    }
    fn beyond(&self) -> i64 {
        self.handed.beyond()
    }
    fn narrows(&self, column: usize) -> bool {
        !self.volatile && self.input.narrows(column)
    }
    fn narrow(&mut self, wanted: Wanted) {
        self.input.narrow(wanted);
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.input]
    }
    fn filtered(&self) -> u64 {
        self.filtered + self.handed.kept_back()
    }
}

/// Computes columns.
pub(crate) struct Project {
    input: Exec,
    exprs: Vec<Compiled>,
    types: Vec<SqlType>,
    /// Nothing happens by computing them but their values.
    pure: bool,
    handed: Handed,
}

impl Project {
    pub(crate) fn new(input: Exec, exprs: Vec<Compiled>, types: &[SqlType], pure: bool) -> Self {
        Self { input, exprs, types: types.to_vec(), pure, handed: Handed::default() }
    }
}

/// Evaluates the expressions over a batch; the result has the batch's rows and selection.
pub(crate) fn project(
    exprs: &mut [Compiled],
    types: &[SqlType],
    b: &Batch,
    rt: &Rt<'_, '_>,
) -> Result<Batch> {
    let mut columns = Vec::with_capacity(exprs.len());
    for (e, ty) in exprs.iter_mut().zip(types) {
        let mut v = e.vector(b, b.selection.as_deref(), rt)?;
        if v.ty != *ty && pg_types::Physical::of(v.ty.oid) == pg_types::Physical::of(ty.oid) {
            Arc::make_mut(&mut v).ty = *ty;
        }
        columns.push(v);
    }
    Ok(Batch { columns, rows: b.rows, selection: b.selection.clone() })
}

impl Operator for Project {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let Some(b) = self.input.next(rt)? else { return Ok(None) };
        if self.handed.is_down() {
            return Ok(self.handed.pass(Some(b)));
        }
        project(&mut self.exprs, &self.types, &b, rt).map(Some)
    }
    fn reset(&mut self) {
        self.handed.end();
        self.exprs.iter_mut().for_each(Compiled::reset);
        self.input.reset();
    }
    fn absorbs(&self) -> bool {
        self.input.absorbs()
    }
    fn absorb(&mut self, steps: &[Arc<Step>], most: usize, rt: &Rt<'_, '_>) -> Result<bool> {
        let Some(exprs) = stage::pure(&self.exprs, &self.input.types, rt) else { return Ok(false) };
        let step = Step::new(Computing { exprs, types: self.types.clone() });
        self.input.absorb_with(step, steps, most, &mut self.handed, rt)
    }
    fn beyond(&self) -> i64 {
        self.handed.beyond()
    }
    fn narrows(&self, column: usize) -> bool {
        match self.exprs.get(column) {
            Some(Compiled::Column(n)) => self.pure && self.input.narrows(*n),
            _ => false,
        }
    }
    fn narrow(&mut self, wanted: Wanted) {
        if let Some(Compiled::Column(n)) = self.exprs.get(wanted.column) {
            self.input.narrow(Wanted { column: *n, ..wanted });
        }
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.input]
    }
}

/// Literal rows; without any, the rows that are fed from outside.
pub(crate) struct Values {
    rows: Vec<Vec<Compiled>>,
    types: Vec<SqlType>,
    at: usize,
}

impl Values {
    pub(crate) fn new(rows: Vec<Vec<Compiled>>, types: &[SqlType]) -> Self {
        Self { rows, types: types.to_vec(), at: 0 }
    }
}

impl Operator for Values {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let end = (self.at + BATCH_ROWS).min(self.rows.len());
        let rows = self.rows.get_mut(self.at..end).unwrap_or(&mut []);
        if rows.is_empty() {
            return Ok(if self.rows.is_empty() { rt.feed.borrow_mut().take() } else { None });
        }
        let count = rows.len();
        let mut columns = Vec::with_capacity(self.types.len());
        if let [row] = rows {
            for (e, ty) in row.iter_mut().zip(&self.types) {
                columns.push(Arc::new(Vector::constant(&e.constant(rt)?, *ty)?));
            }
        } else {
            for (i, ty) in self.types.iter().enumerate() {
                let mut b = VectorBuilder::with_capacity(*ty, count);
                for row in rows.iter_mut() {
                    match row.get_mut(i) {
                        Some(e) => b.push(&e.constant(rt)?)?,
                        None => b.push_null(),
                    }
                }
                columns.push(Arc::new(b.finish()));
            }
        }
        self.at = end;
        Ok(Some(Batch { columns, rows: count, selection: None }))
    }
    fn reset(&mut self) {
        self.at = 0;
        self.rows.iter_mut().flatten().for_each(Compiled::reset);
    }
}

/// LIMIT and OFFSET.
pub(crate) struct Limit {
    input: Exec,
    limit: Option<Compiled>,
    offset: Option<Compiled>,
    /// (rows to skip, rows to yield) still.
    left: Option<(u64, u64)>,
    ties: Ties,
}

impl Limit {
    pub(crate) fn new(input: Exec, limit: Option<Compiled>, offset: Option<Compiled>, ties: Ties) -> Self {
        Self { input, limit, offset, left: None, ties }
    }
}

/// WITH TIES: the last row within the limit, as the rows behind it are compared with it.
pub(crate) struct Ties {
    /// What is compared; nothing: there are no ties.
    keys: Vec<Compiled>,
    types: Vec<Oid>,
    last: Option<Vec<Value>>,
    done: bool,
}

impl Ties {
    pub(crate) fn new(keys: Vec<Compiled>, types: Vec<Oid>) -> Self {
        Self { keys, types, last: None, done: false }
    }

    fn values(&mut self, b: &Batch, row: usize, rt: &Rt<'_, '_>) -> Result<Vec<Value>> {
        self.keys.iter_mut().map(|k| k.row(RowRef::Batch(b, row), rt)).collect()
    }

    /// Remembers the last row of what was yielded.
    fn note(&mut self, b: &Batch, rt: &Rt<'_, '_>) -> Result<()> {
        if !self.keys.is_empty()
            && let Some(row) = b.selected().last()
        {
            self.last = Some(self.values(b, row, rt)?);
        }
        Ok(())
    }

    /// How many of the rows from `from` on are equal to the last one.
    fn count(&mut self, b: &Batch, from: usize, rt: &Rt<'_, '_>) -> Result<usize> {
        let Some(last) = self.last.take().filter(|_| !self.done) else { return Ok(0) };
        let mut n = 0;
        for row in b.selected().skip(from) {
            let new = self.values(b, row, rt)?;
            let mut pairs = self.types.iter().zip(last.iter().zip(&new));
            if !pairs.all(|(ty, (a, b))| pg_types::compare::compare(*ty, a, b).is_eq()) {
                self.done = true;
                break;
            }
            n += 1;
        }
        self.last = Some(last);
        Ok(n)
    }

    fn reset(&mut self) {
        (self.last, self.done) = (None, false);
        self.keys.iter_mut().for_each(Compiled::reset);
    }
}

/// A row count from an int8 expression; NULL counts as `default`.
pub(crate) fn count(
    e: Option<&mut Compiled>,
    what: &'static str,
    default: u64,
    rt: &Rt<'_, '_>,
) -> Result<u64> {
    let Some(e) = e else { return Ok(default) };
    let n = match e.constant(rt)? {
        Value::Int8(n) => n,
        Value::Int4(n) => i64::from(n),
        Value::Null => return Ok(default),
        _ => return Err(SqlError::internal("row count is not an integer")),
    };
    u64::try_from(n).map_err(|_| {
        let state = if what == "LIMIT" {
            SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE
        } else {
            SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE
        };
        SqlError::new(state, alloc::format!("{what} must not be negative"))
    })
}

impl Operator for Limit {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let (mut skip, mut take) = match self.left {
            Some(l) => l,
            None => (
                count(self.offset.as_mut(), "OFFSET", 0, rt)?,
                count(self.limit.as_mut(), "LIMIT", u64::MAX, rt)?,
            ),
        };
        if take == u64::MAX && !self.ties.keys.is_empty() {
            return Err(SqlError::new(
                SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE,
                "row count cannot be null in FETCH FIRST ... WITH TIES clause",
            ));
        }
        self.left = Some((skip, take));
        while take > 0 {
            let Some(b) = self.input.next(rt)? else { return Ok(None) };
            let n = b.row_count() as u64;
            if n <= skip {
                skip -= n;
                self.left = Some((skip, take));
                continue;
            }
            let (from, mut len) = (skip, (n - skip).min(take));
            skip = 0;
            take -= len;
            self.left = Some((skip, take));
            if take == 0 && !self.ties.keys.is_empty() {
                self.ties.note(&b.slice(from as usize, len as usize), rt)?;
                len += self.ties.count(&b, (from + len) as usize, rt)? as u64;
            }
            if from == 0 && len == n {
                return Ok(Some(b));
            }
            return Ok(Some(b.slice(from as usize, len as usize)));
        }
        if self.ties.last.is_some() && !self.ties.done {
            let Some(b) = self.input.next(rt)? else { return Ok(None) };
            let n = self.ties.count(&b, 0, rt)?;
            return Ok(Some(b.slice(0, n)).filter(|_| n > 0));
        }
        Ok(None)
    }
    fn reset(&mut self) {
        self.left = None;
        self.ties.reset();
        self.limit.iter_mut().chain(&mut self.offset).for_each(Compiled::reset);
        self.input.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.input]
    }
}

/// UNION ALL.
pub(crate) struct Append {
    inputs: Vec<Exec>,
    at: usize,
}

impl Append {
    pub(crate) fn new(inputs: Vec<Exec>) -> Self {
        Self { inputs, at: 0 }
    }
}

impl Operator for Append {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        while let Some(i) = self.inputs.get_mut(self.at) {
            if let Some(b) = i.next(rt)? {
                return Ok(Some(b));
            }
            self.at += 1;
        }
        Ok(None)
    }
    fn reset(&mut self) {
        self.at = 0;
        self.inputs.iter_mut().for_each(Exec::reset);
    }
    fn inputs(&self) -> Vec<&Exec> {
        self.inputs.iter().collect()
    }
    fn affected(&self) -> u64 {
        self.inputs.iter().map(Exec::affected).sum()
    }
}

/// Reads a common table expression; the first reader runs it.
pub(crate) struct CteScan {
    cte: usize,
    at: usize,
    buffer: ScratchBuffer,
}

impl CteScan {
    pub(crate) fn new(cte: usize) -> Self {
        Self { cte, at: 0, buffer: ScratchBuffer::default() }
    }
}

impl Operator for CteScan {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let cell =
            rt.ctes.get(self.cte).ok_or_else(|| SqlError::internal("no such common table expression"))?;
        let mut cte = cell.borrow_mut();
        while self.at >= cte.rows.len() && !cte.done {
            match cte.exec.next(rt)? {
                Some(b) => cte.rows.push(b, rt)?,
                None => cte.done = true,
            }
        }
        let b = cte.rows.get(self.at, &mut self.buffer)?;
        self.at += 1;
        Ok(b)
    }
    fn reset(&mut self) {
        self.at = 0;
        self.buffer = ScratchBuffer::default();
    }
}

/// A set-returning function in FROM.
pub(crate) struct FunctionScan {
    function: &'static Function,
    args: Vec<Compiled>,
    ordinality: bool,
    types: Vec<SqlType>,
    rows: Option<Box<dyn SetReturning>>,
    count: i64,
    done: bool,
}

impl FunctionScan {
    pub(crate) fn new(
        function: &'static Function,
        args: Vec<Compiled>,
        ordinality: bool,
        types: &[SqlType],
    ) -> Self {
        Self { function, args, ordinality, types: types.to_vec(), rows: None, count: 0, done: false }
    }
    fn start(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let mut values = Vec::with_capacity(self.args.len());
        for a in &mut self.args {
            values.push(a.constant(rt)?);
        }
        if let Implementation::Set(f) = self.function.imp {
            if !(self.function.strict && values.iter().any(Value::is_null)) {
                self.rows = Some(f(&rt.eval(), &values)?);
            }
            return Ok(None);
        }
        // A scalar function: one row.
        let ty = self.types.first().copied().unwrap_or(SqlType::new(oid::TEXT));
        let v = call_function(self.function, &values, ty, rt)?;
        let width = self.types.len() - usize::from(self.ordinality);
        let fields: Vec<Value> = match v {
            Value::Record(r) if width != 1 || self.function.result == oid::RECORD || self.function.shaped => {
                r.values.clone()
            }
            // A row that is NULL is one of NULLs.
            Value::Null => alloc::vec![Value::Null; width],
            v => alloc::vec![v],
        };
        Batch::from_rows(self.types.get(..width).unwrap_or(&[]), &[fields]).map(Some)
    }
    /// Rows that came as values of one column, as columns.
    fn spread(&self, b: Batch) -> Result<Batch> {
        let width = self.types.len() - usize::from(self.ordinality);
        let types = self.types.get(..width).unwrap_or(&[]);
        let row = |ty: SqlType| ty.oid == oid::RECORD || pg_types::user::is_composite(ty.oid);
        match b.columns.as_slice() {
            [one] if row(one.ty) && (width != 1 || types.first().is_some_and(|t| t.oid != one.ty.oid)) => {}
            _ => return Ok(b),
        }
        let fields = |at: usize| match b.value(0, at) {
            Value::Record(r) => r.values.clone(),
            _ => alloc::vec![Value::Null; width],
        };
        let rows: Vec<Vec<Value>> = b.selected().map(fields).collect();
        Batch::from_rows(types, &rows)
    }
    fn finish(&mut self, b: Batch) -> Result<Batch> {
        let mut b = self.spread(b)?;
        for (c, ty) in b.columns.iter_mut().zip(&self.types) {
            if c.ty != *ty && pg_types::Physical::of(c.ty.oid) == pg_types::Physical::of(ty.oid) {
                Arc::make_mut(c).ty = *ty;
            }
        }
        if self.ordinality {
            let n = b.rows as i64;
            let numbers = (self.count + 1..=self.count + n).collect();
            b.columns.push(Arc::new(Vector::from_i64(numbers)));
            self.count += n;
        }
        Ok(b)
    }
}

impl Operator for FunctionScan {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        rt.cx.checkpoint()?;
        if self.rows.is_none()
            && let Some(b) = self.start(rt)?
        {
            self.done = true;
            return self.finish(b).map(Some);
        }
        let next = match &mut self.rows {
            Some(r) => r.next(&rt.eval())?,
            None => None,
        };
        match next {
            Some(b) => self.finish(b.compact()).map(Some),
            None => {
                self.done = true;
                self.rows = None;
                Ok(None)
            }
        }
    }
    fn reset(&mut self) {
        self.rows = None;
        self.done = false;
        self.count = 0;
        self.args.iter_mut().for_each(Compiled::reset);
    }
}

/// All rows of an operator as one batch without selection.
pub(crate) fn materialise(exec: &mut Exec, rt: &Rt<'_, '_>) -> Result<Batch> {
    let mut parts = Vec::new();
    while let Some(b) = exec.next(rt)? {
        rt.cx.checkpoint()?;
        let b = b.compact();
        rt.charge(b.memory() + 64)?;
        if b.rows > 0 {
            parts.push(b);
        }
    }
    if parts.is_empty() {
        let columns = exec.types.iter().map(|t| VectorBuilder::with_capacity(*t, 0).finish()).collect();
        return Ok(Batch::new(columns, 0));
    }
    Ok(Batch::concat(&parts))
}

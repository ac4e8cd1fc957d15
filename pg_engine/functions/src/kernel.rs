//! Loops over columns.
//!
//! A kernel computes whole slices where it can: NULL and unselected slots hold arbitrary but initialised values, so
//! computing them too is cheaper than skipping them. An operation that may fail therefore only notes that some slot
//! failed and looks afterwards whether that slot counts.

use alloc::{sync::Arc, vec::Vec};

use pg_types::{
    Oid, Result, SqlError, SqlType, Value, Vector,
    numeric::Numeric,
    value::Interval,
    vector::{ColumnData, Encoding, Nulls, VarColumn},
};

use crate::{
    call::{Arg, mismatch},
    def::Rows,
};

/// A type that columns hold as plain slices.
pub(crate) trait Prim: Copy + Default + 'static {
    /// The slice of a column of this class.
    fn slice(data: &ColumnData) -> Option<&[Self]>;
    /// A column.
    fn wrap(values: Vec<Self>) -> ColumnData;
    /// A datum of SQL type `ty`.
    fn value(self, ty: Oid) -> Value;
}

macro_rules! prim {
    ($($t:ty: $variant:ident, |$x:ident, $ty:ident| $value:expr;)*) => {$(
        impl Prim for $t {
            #[inline]
            fn slice(data: &ColumnData) -> Option<&[Self]> {
                match data {
                    ColumnData::$variant(v) => Some(v),
                    _ => None,
                }
            }
            fn wrap(values: Vec<Self>) -> ColumnData {
                ColumnData::$variant(values)
            }
            #[inline]
            fn value(self, $ty: Oid) -> Value {
                let $x = self;
                $value
            }
        }
    )*};
}

prim! {
    bool: Bool, |x, _ty| Value::Bool(x);
    i16: Int2, |x, _ty| Value::Int2(x);
    i32: Int4, |x, ty| if ty == pg_types::oid::DATE { Value::Date(x) } else { Value::Int4(x) };
    i64: Int8, |x, ty| match ty {
        pg_types::oid::TIMESTAMP => Value::Timestamp(x),
        pg_types::oid::TIMESTAMPTZ => Value::TimestampTz(x),
        pg_types::oid::TIME => Value::Time(x),
        _ => Value::Int8(x),
    };
    u32: Oid, |x, _ty| Value::Oid(x);
    f32: Float4, |x, _ty| Value::Float4(x);
    f64: Float8, |x, _ty| Value::Float8(x);
    Interval: Interval, |x, _ty| Value::Interval(x);
    [u8; 16]: Uuid, |x, _ty| Value::Uuid(x);
}

/// One operand.
enum Side<'a, T> {
    Flat(&'a [T]),
    Const(T),
    Coded(&'a [T], &'a [u32]),
}

impl<'a, T: Prim> Side<'a, T> {
    fn of(vector: &'a Vector, rows: usize) -> Result<Self> {
        let data = T::slice(&vector.data).ok_or_else(mismatch)?;
        Ok(match &vector.encoding {
            Encoding::Flat => Self::Flat(data.get(..rows).ok_or_else(short)?),
            Encoding::Constant => Self::Const(*data.first().ok_or_else(short)?),
            Encoding::Dictionary(codes) => Self::Coded(data, codes.get(..rows).ok_or_else(short)?),
        })
    }
    #[inline]
    fn get(&self, row: usize) -> T {
        match self {
            Self::Flat(v) => v[row],
            Self::Const(v) => *v,
            Self::Coded(v, codes) => v[codes[row] as usize],
        }
    }
}

#[cold]
fn short() -> SqlError {
    SqlError::internal("column shorter than its batch")
}

/// Argument `i`.
pub(crate) fn column(args: &[Arc<Vector>], i: usize) -> Result<&Vector> {
    args.get(i).map(Arc::as_ref).ok_or_else(mismatch)
}

/// True when every row is NULL because a constant operand is.
pub(crate) fn constant_null(args: &[Arc<Vector>]) -> bool {
    args.iter().any(|a| a.is_constant() && a.is_null(0))
}

/// NULL wherever an argument is.
pub(crate) fn strict_nulls(args: &[Arc<Vector>], rows: usize) -> Option<Nulls> {
    let mut merged: Option<Nulls> = None;
    for a in args {
        if let Some(n) = a.row_nulls(rows) {
            merged = Some(match merged {
                None => n.into_owned(),
                Some(m) => m.union(&n),
            });
        }
    }
    merged
}

/// True when too few rows are selected for computing all to pay.
fn sparse(rows: Rows<'_>) -> Option<&[u32]> {
    rows.selection.filter(|s| s.len() * 4 < rows.count)
}

impl Rows<'_> {
    /// The covered row numbers.
    pub fn iter(&self) -> pg_types::vector::SelectedRows<'_> {
        match self.selection {
            None => pg_types::vector::SelectedRows::Range(0..self.count),
            Some(s) => pg_types::vector::SelectedRows::List(s.iter()),
        }
    }
    /// True when no row is covered.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0 || self.selection.is_some_and(<[u32]>::is_empty)
    }
}

fn zip<A: Prim, B: Prim, R: Prim>(
    a: &Side<'_, A>,
    b: &Side<'_, B>,
    rows: Rows<'_>,
    mut f: impl FnMut(A, B) -> R,
) -> Vec<R> {
    if let Some(selection) = sparse(rows) {
        let mut out = alloc::vec![R::default(); rows.count];
        for &row in selection {
            let row = row as usize;
            out[row] = f(a.get(row), b.get(row));
        }
        return out;
    }
    match (a, b) {
        (Side::Flat(a), Side::Const(b)) => a.iter().map(|a| f(*a, *b)).collect(),
        (Side::Flat(a), Side::Flat(b)) => a.iter().zip(*b).map(|(a, b)| f(*a, *b)).collect(),
        (Side::Const(a), Side::Flat(b)) => b.iter().map(|b| f(*a, *b)).collect(),
        _ => (0..rows.count).map(|row| f(a.get(row), b.get(row))).collect(),
    }
}

fn finish<R: Prim>(args: &[Arc<Vector>], rows: Rows<'_>, ty: Oid, constant: bool, values: Vec<R>) -> Vector {
    let encoding = if constant { Encoding::Constant } else { Encoding::Flat };
    let nulls = if constant { None } else { strict_nulls(args, rows.count) };
    Vector { ty: SqlType::new(ty), encoding, data: R::wrap(values), nulls }
}

const ONE: Rows<'static> = Rows { count: 1, selection: None };

/// A strict operation of two operands that cannot fail.
#[inline]
pub(crate) fn map2<A: Prim, B: Prim, R: Prim>(
    args: &[Arc<Vector>],
    rows: Rows<'_>,
    ty: Oid,
    f: impl Fn(A, B) -> R + Copy,
) -> Result<Vector> {
    if constant_null(args) {
        return Ok(Vector::nulls(ty));
    }
    let (a, b) = (column(args, 0)?, column(args, 1)?);
    let constant = a.is_constant() && b.is_constant();
    let over = if constant { ONE } else { rows };
    let values = zip(&Side::of(a, over.count)?, &Side::of(b, over.count)?, over, f);
    Ok(finish(args, rows, ty, constant, values))
}

/// A strict operation of two operands that yields a value and whether it failed.
#[inline]
pub(crate) fn checked2<A: Prim, B: Prim, R: Prim>(
    args: &[Arc<Vector>],
    rows: Rows<'_>,
    ty: Oid,
    f: impl Fn(A, B) -> (R, bool) + Copy,
    error: impl Fn(A, B) -> SqlError,
) -> Result<Vector> {
    if constant_null(args) || rows.is_empty() {
        return Ok(Vector::nulls(ty));
    }
    let (left, right) = (column(args, 0)?, column(args, 1)?);
    let constant = left.is_constant() && right.is_constant();
    let over = if constant { ONE } else { rows };
    let (a, b) = (Side::of(left, over.count)?, Side::of(right, over.count)?);
    let mut failed = false;
    let values = zip(&a, &b, over, |x, y| {
        let (r, bad) = f(x, y);
        failed |= bad;
        r
    });
    let vector = finish(args, rows, ty, constant, values);
    if failed {
        for row in over.iter() {
            let (x, y) = (a.get(row), b.get(row));
            if !vector.is_null(row) && f(x, y).1 {
                return Err(error(x, y));
            }
        }
    }
    Ok(vector)
}

/// A strict operation of one operand that cannot fail.
#[inline]
pub(crate) fn map1<A: Prim, R: Prim>(
    args: &[Arc<Vector>],
    rows: Rows<'_>,
    ty: Oid,
    f: impl Fn(A) -> R + Copy,
) -> Result<Vector> {
    checked1(args, rows, ty, |a| (f(a), false), || SqlError::internal("infallible operation failed"))
}

/// A strict operation of one operand that yields a value and whether it failed.
#[inline]
pub(crate) fn checked1<A: Prim, R: Prim>(
    args: &[Arc<Vector>],
    rows: Rows<'_>,
    ty: Oid,
    f: impl Fn(A) -> (R, bool) + Copy,
    error: fn() -> SqlError,
) -> Result<Vector> {
    let vector = column(args, 0)?;
    if constant_null(args) || rows.is_empty() {
        return Ok(Vector::nulls(ty));
    }
    let constant = vector.is_constant();
    let over = if constant { ONE } else { rows };
    let a: Side<'_, A> = Side::of(vector, over.count)?;
    let mut failed = false;
    let values = zip(&a, &Side::Const(false), over, |x, _| {
        let (r, bad) = f(x);
        failed |= bad;
        r
    });
    let result = finish(args, rows, ty, constant, values);
    if failed && over.iter().any(|row| !result.is_null(row) && f(a.get(row)).1) {
        return Err(error());
    }
    Ok(result)
}

/// The variable-length values behind a text or bytea column.
fn var(vector: &Vector) -> Result<&VarColumn> {
    match &vector.data {
        ColumnData::Text(v) | ColumnData::Bytea(v) => Ok(v),
        _ => Err(mismatch()),
    }
}

/// A strict predicate over two strings or byte strings.
#[inline]
pub(crate) fn predicate2(
    args: &[Arc<Vector>],
    rows: Rows<'_>,
    f: impl Fn(&[u8], &[u8]) -> bool + Copy,
) -> Result<Vector> {
    let ty = pg_types::oid::BOOL;
    if constant_null(args) || rows.is_empty() {
        return Ok(Vector::nulls(ty));
    }
    let (left, right) = (column(args, 0)?, column(args, 1)?);
    let (a, b) = (var(left)?, var(right)?);
    let constant = left.is_constant() && right.is_constant();
    let over = if constant { ONE } else { rows };
    let mut values = alloc::vec![false; over.count];
    if right.is_constant() && left.is_flat() {
        let key = b.get(0);
        for row in over.iter() {
            values[row] = f(a.get(row), key);
        }
    } else {
        for row in over.iter() {
            values[row] = f(a.get(left.index(row)), b.get(right.index(row)));
        }
    }
    Ok(finish(args, rows, ty, constant, values))
}

/// A strict function over one string that yields a plain value.
pub(crate) fn text1<R: Prim>(
    args: &[Arc<Vector>],
    rows: Rows<'_>,
    ty: Oid,
    f: impl Fn(&[u8]) -> R + Copy,
) -> Result<Vector> {
    if constant_null(args) || rows.is_empty() {
        return Ok(Vector::nulls(ty));
    }
    let vector = column(args, 0)?;
    let data = var(vector)?;
    let constant = vector.is_constant();
    let over = if constant { ONE } else { rows };
    let mut values = alloc::vec![R::default(); over.count];
    for row in over.iter() {
        values[row] = f(data.get(vector.index(row)));
    }
    Ok(finish(args, rows, ty, constant, values))
}

/// The first two arguments of a row function.
#[inline]
pub(crate) fn two<'a, A: Arg<'a>, B: Arg<'a>>(args: &'a [Value]) -> Result<(A, B)> {
    match args {
        [a, b, ..] => Ok((A::arg(a)?, B::arg(b)?)),
        _ => Err(mismatch()),
    }
}

/// The first argument of a row function.
#[inline]
pub(crate) fn one<'a, A: Arg<'a>>(args: &'a [Value]) -> Result<A> {
    args.first().map_or_else(|| Err(mismatch()), A::arg)
}

/// `vec2!(|a: A, b: B| -> R, OID; expression)`: an infallible operation with both implementations.
macro_rules! vec2 {
    (|$a:ident : $ta:ty, $b:ident : $tb:ty| -> $r:ty, $oid:expr; $e:expr) => {
        $crate::def::Implementation::Vector(
            |_, args, rows| $crate::kernel::map2::<$ta, $tb, $r>(args, rows, $oid, |$a, $b| $e),
            |_, args| {
                let ($a, $b): ($ta, $tb) = $crate::kernel::two(args)?;
                let r: $r = $e;
                Ok($crate::kernel::Prim::value(r, $oid))
            },
        )
    };
}
pub(crate) use vec2;

/// `try2!(|a: A, b: B| -> R, OID, error; (value, failed))`: an operation that may fail, with both implementations.
/// `error` is a function of the two operands.
macro_rules! try2 {
    (|$a:ident : $ta:ty, $b:ident : $tb:ty| -> $r:ty, $oid:expr, $error:expr; $e:expr) => {
        $crate::def::Implementation::Vector(
            |_, args, rows| $crate::kernel::checked2::<$ta, $tb, $r>(args, rows, $oid, |$a, $b| $e, $error),
            |_, args| {
                let ($a, $b): ($ta, $tb) = $crate::kernel::two(args)?;
                let (r, failed): ($r, bool) = $e;
                if failed { Err($error($a, $b)) } else { Ok($crate::kernel::Prim::value(r, $oid)) }
            },
        )
    };
}
pub(crate) use try2;

/// As [`vec2!`] with one operand.
macro_rules! vec1 {
    (|$a:ident : $ta:ty| -> $r:ty, $oid:expr; $e:expr) => {
        $crate::def::Implementation::Vector(
            |_, args, rows| $crate::kernel::map1::<$ta, $r>(args, rows, $oid, |$a| $e),
            |_, args| {
                let $a: $ta = $crate::kernel::one(args)?;
                let r: $r = $e;
                Ok($crate::kernel::Prim::value(r, $oid))
            },
        )
    };
}
pub(crate) use vec1;

/// As [`try2!`] with one operand; `error` takes none.
macro_rules! try1 {
    (|$a:ident : $ta:ty| -> $r:ty, $oid:expr, $error:expr; $e:expr) => {
        $crate::def::Implementation::Vector(
            |_, args, rows| $crate::kernel::checked1::<$ta, $r>(args, rows, $oid, |$a| $e, $error),
            |_, args| {
                let $a: $ta = $crate::kernel::one(args)?;
                let (r, failed): ($r, bool) = $e;
                if failed { Err($error()) } else { Ok($crate::kernel::Prim::value(r, $oid)) }
            },
        )
    };
}
pub(crate) use try1;

/// A predicate over two strings given as bytes, with both implementations.
macro_rules! bytes2 {
    ($t:ty; |$a:ident, $b:ident| $e:expr) => {
        $crate::def::Implementation::Vector(
            |_, args, rows| $crate::kernel::predicate2(args, rows, |$a, $b| $e),
            |_, args| {
                let (a, b): (&$t, &$t) = $crate::kernel::two(args)?;
                let ($a, $b): (&[u8], &[u8]) = (a.as_ref(), b.as_ref());
                Ok(pg_types::Value::Bool($e))
            },
        )
    };
}
pub(crate) use bytes2;

fn numerics(vector: &Vector) -> Result<&[Numeric]> {
    match &vector.data {
        ColumnData::Numeric(v) => Ok(v),
        _ => Err(mismatch()),
    }
}

/// A strict operation of two numeric operands, over the covered rows that are not NULL.
fn numeric_loop(
    args: &[Arc<Vector>],
    rows: Rows<'_>,
    mut f: impl FnMut(usize, &Numeric, &Numeric) -> Result<()>,
) -> Result<(bool, Option<Nulls>)> {
    let (left, right) = (column(args, 0)?, column(args, 1)?);
    let (a, b) = (numerics(left)?, numerics(right)?);
    let constant = left.is_constant() && right.is_constant();
    let over = if constant { ONE } else { rows };
    let nulls = if constant { None } else { strict_nulls(args, rows.count) };
    for row in over.iter() {
        if nulls.as_ref().is_none_or(|n| !n.get(row)) {
            f(row, &a[left.index(row)], &b[right.index(row)])?;
        }
    }
    Ok((constant, nulls))
}

/// Arithmetic of a column without NULLs with another one or a constant; `None`: they are something else.
#[inline]
fn plain_arithmetic(
    args: &[Arc<Vector>],
    rows: Rows<'_>,
    f: impl Fn(&Numeric, &Numeric) -> Result<Numeric>,
) -> Result<Option<Vec<Numeric>>> {
    let (left, right) = (column(args, 0)?, column(args, 1)?);
    // Which bits of a row's number tell its place: none where there is one value for all.
    let mask = |v: &Vector| match v.encoding {
        _ if v.nulls.is_some() => None,
        Encoding::Flat => Some(usize::MAX),
        Encoding::Constant => Some(0),
        Encoding::Dictionary(_) => None,
    };
    let (Some(m), Some(n)) = (mask(left), mask(right)) else { return Ok(None) };
    if m | n == 0 {
        return Ok(None);
    }
    let (a, b) = (numerics(left)?, numerics(right)?);
    let mut values = Vec::with_capacity(rows.count);
    let one = |values: &mut Vec<Numeric>, row: usize| {
        let (Some(a), Some(b)) = (a.get(row & m), b.get(row & n)) else { return Err(short()) };
        values.push(f(a, b)?);
        Ok(())
    };
    match rows.selection {
        None => (0..rows.count).try_for_each(|row| one(&mut values, row))?,
        Some(selection) => {
            for &row in selection {
                let row = row as usize;
                while values.len() < row {
                    values.push(Numeric::ZERO);
                }
                one(&mut values, row)?;
            }
            values.resize(rows.count, Numeric::ZERO);
        }
    }
    Ok(Some(values))
}

/// Arithmetic of two numeric columns.
#[inline]
pub(crate) fn numeric_arithmetic(
    args: &[Arc<Vector>],
    rows: Rows<'_>,
    f: impl Fn(&Numeric, &Numeric) -> Result<Numeric>,
) -> Result<Vector> {
    let ty = pg_types::oid::NUMERIC;
    if constant_null(args) || rows.is_empty() {
        return Ok(Vector::nulls(ty));
    }
    if let Some(values) = plain_arithmetic(args, rows, &f)? {
        return Ok(Vector::flat(SqlType::new(ty), ColumnData::Numeric(values), None));
    }
    let mut values = alloc::vec![Numeric::ZERO; rows.count];
    let (constant, nulls) = numeric_loop(args, rows, |row, a, b| {
        values[row] = f(a, b)?;
        Ok(())
    })?;
    let encoding = if constant { Encoding::Constant } else { Encoding::Flat };
    Ok(Vector { ty: SqlType::new(ty), encoding, data: ColumnData::Numeric(values), nulls })
}

/// A predicate over two numeric columns.
pub(crate) fn numeric_predicate(
    args: &[Arc<Vector>],
    rows: Rows<'_>,
    f: impl Fn(&Numeric, &Numeric) -> bool,
) -> Result<Vector> {
    let ty = pg_types::oid::BOOL;
    if constant_null(args) || rows.is_empty() {
        return Ok(Vector::nulls(ty));
    }
    let mut values = alloc::vec![false; rows.count];
    let (constant, nulls) = numeric_loop(args, rows, |row, a, b| {
        values[row] = f(a, b);
        Ok(())
    })?;
    let encoding = if constant { Encoding::Constant } else { Encoding::Flat };
    Ok(Vector { ty: SqlType::new(ty), encoding, data: ColumnData::Bool(values), nulls })
}

/// `numeric2!(arithmetic; function)` or `numeric2!(predicate; |a, b| ...)`: both implementations.
macro_rules! numeric2 {
    (arithmetic; $f:path) => {
        $crate::def::Implementation::Vector(
            |_, args, rows| $crate::kernel::numeric_arithmetic(args, rows, $f),
            |_, args| {
                let (a, b): (&pg_types::numeric::Numeric, &pg_types::numeric::Numeric) =
                    $crate::kernel::two(args)?;
                Ok(pg_types::Value::Numeric($f(a, b)?))
            },
        )
    };
    (predicate; |$a:ident, $b:ident| $e:expr) => {
        $crate::def::Implementation::Vector(
            |_, args, rows| $crate::kernel::numeric_predicate(args, rows, |$a, $b| $e),
            |_, args| {
                let ($a, $b): (&pg_types::numeric::Numeric, &pg_types::numeric::Numeric) =
                    $crate::kernel::two(args)?;
                Ok(pg_types::Value::Bool($e))
            },
        )
    };
}
pub(crate) use numeric2;

//! The bridge between typed Rust functions and [`Value`]s: [`row!`] turns a closure over Rust types into a
//! [`RowFn`](crate::def::RowFn).

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_types::{
    Result, SqlError, Value,
    numeric::Numeric,
    value::{ArrayValue, Interval, TimeTz},
};

/// A Rust type that an argument can be read as.
pub(crate) trait Arg<'a>: Sized {
    /// The argument, which is of the type the function's row declares.
    fn arg(value: &'a Value) -> Result<Self>;
}

/// A Rust type that a result can be made from.
pub(crate) trait Ret {
    /// As a datum.
    fn ret(self) -> Result<Value>;
}

/// An argument of a class the function's row does not declare: a bug of the caller.
#[cold]
pub(crate) fn mismatch() -> SqlError {
    SqlError::internal("function argument of unexpected type")
}

/// Reads the next argument.
pub(crate) fn next<'a, T: Arg<'a>>(args: &mut core::slice::Iter<'a, Value>) -> Result<T> {
    T::arg(args.next().unwrap_or(&Value::Null))
}

macro_rules! classes {
    ($($t:ty: $($variant:ident)|+;)*) => {$(
        impl<'a> Arg<'a> for $t {
            #[inline]
            fn arg(value: &'a Value) -> Result<Self> {
                match value {
                    $(Value::$variant(x))|+ => Ok(*x),
                    _ => Err(mismatch()),
                }
            }
        }
    )*};
}

classes! {
    bool: Bool;
    u8: Char;
    i16: Int2;
    i32: Int4 | Date;
    i64: Int8 | Time | Timestamp | TimestampTz;
    u32: Oid;
    f32: Float4;
    f64: Float8;
    Interval: Interval;
    TimeTz: TimeTz;
    [u8; 16]: Uuid;
}

macro_rules! borrowed {
    ($($t:ty: $variant:ident;)*) => {$(
        impl<'a> Arg<'a> for &'a $t {
            #[inline]
            fn arg(value: &'a Value) -> Result<Self> {
                match value {
                    Value::$variant(x) => Ok(x),
                    _ => Err(mismatch()),
                }
            }
        }
    )*};
}

borrowed! {
    str: Text;
    [u8]: Bytea;
    Numeric: Numeric;
    ArrayValue: Array;
}

impl<'a> Arg<'a> for &'a Value {
    fn arg(value: &'a Value) -> Result<Self> {
        Ok(value)
    }
}

impl<'a, T: Arg<'a>> Arg<'a> for Option<T> {
    fn arg(value: &'a Value) -> Result<Self> {
        if value.is_null() { Ok(None) } else { T::arg(value).map(Some) }
    }
}

/// A date result.
pub(crate) struct Date(pub(crate) i32);
/// A time result.
pub(crate) struct Time(pub(crate) i64);
/// A timestamp result.
pub(crate) struct Timestamp(pub(crate) i64);
/// A timestamptz result.
pub(crate) struct TimestampTz(pub(crate) i64);

macro_rules! results {
    ($($t:ty => |$x:pat_param| $e:expr;)*) => {$(
        impl Ret for $t {
            #[inline]
            fn ret(self) -> Result<Value> {
                let $x = self;
                Ok($e)
            }
        }
    )*};
}

results! {
    bool => |x| Value::Bool(x);
    u8 => |x| Value::Char(x);
    i16 => |x| Value::Int2(x);
    i32 => |x| Value::Int4(x);
    i64 => |x| Value::Int8(x);
    u32 => |x| Value::Oid(x);
    f32 => |x| Value::Float4(x);
    f64 => |x| Value::Float8(x);
    Numeric => |x| Value::Numeric(x);
    &Numeric => |x| Value::Numeric(x.clone());
    Interval => |x| Value::Interval(x);
    TimeTz => |x| Value::TimeTz(x);
    [u8; 16] => |x| Value::Uuid(x);
    &str => |x| Value::Text(x.into());
    String => |x| Value::Text(x.into());
    Box<str> => |x| Value::Text(x);
    &[u8] => |x| Value::Bytea(x.into());
    Vec<u8> => |x| Value::Bytea(x.into());
    ArrayValue => |x| Value::Array(Arc::new(x));
    Value => |x| x;
    &Value => |x| x.clone();
    Date => |Date(x)| Value::Date(x);
    Time => |Time(x)| Value::Time(x);
    Timestamp => |Timestamp(x)| Value::Timestamp(x);
    TimestampTz => |TimestampTz(x)| Value::TimestampTz(x);
    () => |()| Value::text("");
}

impl<T: Ret> Ret for Option<T> {
    fn ret(self) -> Result<Value> {
        self.map_or(Ok(Value::Null), T::ret)
    }
}

impl<T: Ret> Ret for Result<T> {
    fn ret(self) -> Result<Value> {
        self?.ret()
    }
}

/// A row function from a closure over Rust types: `row!(|a: i32, b: &str| ...)`, or `row!(ctx; |a: i32| ...)` to use
/// the context. `?` may be used inside.
macro_rules! row {
    ($ctx:ident; |$($a:ident : $t:ty),* $(,)?| $body:expr) => {
        $crate::def::Implementation::Row(|$ctx, args| {
            #[allow(unused_mut, unused_variables)]
            let mut rest = args.iter();
            $(let $a: $t = $crate::call::next(&mut rest)?;)*
            $crate::call::Ret::ret($body)
        })
    };
    ($ctx:ident; || $body:expr) => {
        $crate::def::Implementation::Row(|$ctx, _| $crate::call::Ret::ret($body))
    };
    (|| $body:expr) => { $crate::def::Implementation::Row(|_, _| $crate::call::Ret::ret($body)) };
    (|$($a:ident : $t:ty),* $(,)?| $body:expr) => { $crate::call::row!(_ctx; |$($a: $t),*| $body) };
}
pub(crate) use row;

/// As [`row!`], with the result type the binder chose: `typed!(|ty; a: &Value| ...)`.
macro_rules! typed {
    ($ctx:ident; |$ty:ident; $($a:ident : $t:ty),* $(,)?| $body:expr) => {
        $crate::def::Implementation::RowTyped(|$ctx, args, $ty| {
            #[allow(unused_mut, unused_variables)]
            let mut rest = args.iter();
            $(let $a: $t = $crate::call::next(&mut rest)?;)*
            $crate::call::Ret::ret($body)
        })
    };
    (|$ty:ident; $($a:ident : $t:ty),* $(,)?| $body:expr) => {
        $crate::call::typed!(_ctx; |$ty; $($a: $t),*| $body)
    };
}
pub(crate) use typed;

//! Scalar functions, one module per family of types. Each has tables of [`Function`](crate::def::Function) rows.

pub(crate) mod acl;
pub(crate) mod array;
pub(crate) mod bits;
pub(crate) mod boolean;
pub(crate) mod bytea;
pub(crate) mod compare;
pub(crate) mod crypto;
pub(crate) mod enums;
pub(crate) mod float;
pub(crate) mod integer;
mod keywords;
pub(crate) mod large_object;
pub(crate) mod misc;
pub(crate) mod money;
pub(crate) mod network;
pub(crate) mod number_format;
pub(crate) mod numeric;
pub(crate) mod ordered;
pub(crate) mod pg_lsn;
pub(crate) mod send;
pub(crate) mod session;
mod size;
pub(crate) mod text;
pub(crate) mod transition;
pub(crate) mod trig;
pub(crate) mod window;

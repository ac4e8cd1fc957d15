//! Calendar arithmetic and the date/time types.

pub mod fields;

//! The intermediate representation shared by binder, planner and executor.
//!
//! Text → (`pg_sql`) [`statement::Statement`] with [`logical::Logical`] queries → (`pg_planner`)
//! [`physical::Physical`] → (`pg_executor`) batches. Expressions ([`expr::Expr`]) are the same type throughout; what a
//! [`expr::Expr::Column`] number means changes: in a logical plan it is a [`expr::ColumnId`], unique in the statement,
//! in a physical plan it is a position in the input batch.
//!
//! # Must not know
//! How plans are made or run.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod access;
pub mod database;
pub mod definition;
pub mod expr;
pub mod extension;
pub mod logical;
pub mod physical;
pub mod routine;
pub mod statement;
pub mod types;
pub mod utility;
pub mod walk;

pub use utility::Utility;

//! Aggregates (`pg_aggregate`).

use pg_types::oid::*;

use crate::{def::Aggregate, table::agg};

/// See the module.
pub(crate) static AGGREGATES: &[Aggregate] = &[];

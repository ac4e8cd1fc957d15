//! Where the registry finds all rows.

mod aggregates;
mod casts;
mod family_operators;
mod opclasses;
mod operators;

pub(crate) use aggregates::AGGREGATES;
pub(crate) use casts::CASTS;
pub(crate) use family_operators::FAMILY_OPERATORS;
pub(crate) use opclasses::OPERATOR_CLASSES;
pub(crate) use operators::OPERATORS;

use crate::{aggregate, datetime, def::Function, geometry, json, pattern, scalar, set};

/// The tables of functions.
pub(crate) static FUNCTIONS: &[&[&[Function]]] = &[SCALAR, &datetime::TABLES, &json::TABLES];

static SCALAR: &[&[Function]] = &[
    aggregate::FUNCTIONS,
    geometry::FUNCTIONS,
    scalar::acl::FUNCTIONS,
    pattern::like::FUNCTIONS,
    pattern::regexp::FUNCTIONS,
    pattern::similar::FUNCTIONS,
    scalar::array::FUNCTIONS,
    scalar::bits::FUNCTIONS,
    scalar::boolean::FUNCTIONS,
    scalar::window::FUNCTIONS,
    scalar::bytea::FUNCTIONS,
    scalar::encoding::FUNCTIONS,
    scalar::compare::FLOATS,
    scalar::compare::INTEGERS,
    scalar::compare::OTHERS,
    scalar::compare::STRINGS,
    scalar::crypto::FUNCTIONS,
    scalar::enums::FUNCTIONS,
    scalar::float::FUNCTIONS,
    scalar::integer::FUNCTIONS,
    scalar::large_object::FUNCTIONS,
    scalar::sample::FUNCTIONS,
    scalar::misc::FUNCTIONS,
    scalar::money::FUNCTIONS,
    scalar::pg_lsn::FUNCTIONS,
    scalar::snapshot::FUNCTIONS,
    scalar::send::FUNCTIONS,
    scalar::network::FUNCTIONS,
    scalar::number_format::FUNCTIONS,
    scalar::normal_form::FUNCTIONS,
    scalar::numeric::FUNCTIONS,
    scalar::ordered::FUNCTIONS,
    scalar::session::FUNCTIONS,
    scalar::text::FUNCTIONS,
    scalar::transition::FUNCTIONS,
    set::FUNCTIONS,
    set::graph::FUNCTIONS,
    set::graph_history::FUNCTIONS,
];

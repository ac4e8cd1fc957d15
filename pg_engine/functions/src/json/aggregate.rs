//! `json_agg`, `json_object_agg` and their jsonb forms.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_json::Json;
use pg_types::{Result, Value, Vector, oid::*};

use super::{invalid, value};
use crate::{
    aggregate::{Collect, Types, collect},
    call::Ret,
    def::{EvalContext, Function, Implementation},
    kernel::column,
    table::def,
};

/// `json_agg`.
#[derive(Clone, Default)]
struct List(Option<String>);

impl Collect for List {
    const SKIP_NULLS: bool = false;
    fn add(&mut self, ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let vector = column(args, 0)?;
        let v = vector.value(row);
        let first = self.0.is_none();
        let out = self.0.get_or_insert_with(|| "[".into());
        if !first {
            out.push_str(", ");
            if matches!(v, Value::Array(_) | Value::Record(_)) {
                out.push_str("\n ");
            }
        }
        value::write(ctx, vector.ty.oid, &v, out)
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        let Some(mut out) = self.0.take() else { return Ok(Value::Null) };
        out.push(']');
        out.ret()
    }
    fn held(&self) -> usize {
        self.0.as_ref().map_or(0, String::capacity)
    }
}

/// `jsonb_agg`.
#[derive(Clone, Default)]
struct Listb {
    values: Option<Vec<Json>>,
    held: usize,
}

impl Collect for Listb {
    const SKIP_NULLS: bool = false;
    fn add(&mut self, ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let vector = column(args, 0)?;
        let v = vector.value(row);
        self.held += v.memory() + size_of::<Json>();
        self.values.get_or_insert_default().push(value::tree(ctx, vector.ty.oid, &v)?);
        Ok(())
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        self.values.take().map_or(Ok(Value::Null), |v| Json::Array(v).ret())
    }
    fn held(&self) -> usize {
        self.held
    }
}

fn key(ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<String> {
    let keys = column(args, 0)?;
    match keys.value(row) {
        Value::Null => Err(invalid("field name must not be null")),
        k => value::key(ctx, keys.ty.oid, &k),
    }
}

/// `json_object_agg`.
#[derive(Clone, Default)]
struct Members(Option<String>);

impl Collect for Members {
    const SKIP_NULLS: bool = false;
    fn add(&mut self, ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let key = key(ctx, args, row)?;
        let values = column(args, 1)?;
        let first = self.0.is_none();
        let out = self.0.get_or_insert_with(|| "{ ".into());
        out.push_str(if first { "" } else { ", " });
        pg_json::quote(&key, out);
        out.push_str(" : ");
        value::write(ctx, values.ty.oid, &values.value(row), out)
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        let Some(mut out) = self.0.take() else { return Ok(Value::Null) };
        out.push_str(" }");
        out.ret()
    }
    fn held(&self) -> usize {
        self.0.as_ref().map_or(0, String::capacity)
    }
}

/// `jsonb_object_agg`.
#[derive(Clone, Default)]
struct Membersb {
    values: Option<Vec<(Box<str>, Json)>>,
    held: usize,
}

impl Collect for Membersb {
    const SKIP_NULLS: bool = false;
    fn add(&mut self, ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let key = key(ctx, args, row)?;
        let values = column(args, 1)?;
        let v = values.value(row);
        self.held += v.memory() + key.len() + size_of::<(Box<str>, Json)>();
        let value = value::tree(ctx, values.ty.oid, &v)?;
        self.values.get_or_insert_default().push((key.into(), value));
        Ok(())
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        self.values.take().map_or(Ok(Value::Null), |v| Json::Object(v).ret())
    }
    fn held(&self) -> usize {
        self.held
    }
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(3175, "json_agg", &[ANYELEMENT], JSON)
        .stable()
        .nullable()
        .imp(Implementation::Aggregate(collect::<List>)),
    def(3267, "jsonb_agg", &[ANYELEMENT], JSONB)
        .stable()
        .nullable()
        .imp(Implementation::Aggregate(collect::<Listb>)),
    def(3197, "json_object_agg", &[ANY, ANY], JSON)
        .stable()
        .nullable()
        .imp(Implementation::Aggregate(collect::<Members>)),
    def(3270, "jsonb_object_agg", &[ANY, ANY], JSONB)
        .nullable()
        .imp(Implementation::Aggregate(collect::<Membersb>)),
];

//! `string_agg` and `array_agg`.

use alloc::{sync::Arc, vec::Vec};

use pg_types::{Result, SqlError, SqlState, Value, Vector, value::ArrayValue, vector::ColumnData};

use super::{Collect, Types};
use crate::{call::mismatch, def::EvalContext, kernel::column};

/// `string_agg` of text and of bytea.
#[derive(Clone, Default)]
pub(crate) struct Joined<const TEXT: bool>(Option<Vec<u8>>);

fn bytes_at(vector: &Vector, row: usize) -> Result<Option<&[u8]>> {
    if vector.is_null(row) {
        return Ok(None);
    }
    match &vector.data {
        ColumnData::Text(v) | ColumnData::Bytea(v) => Ok(Some(v.get(vector.index(row)))),
        _ => Err(mismatch()),
    }
}

impl<const TEXT: bool> Collect for Joined<TEXT> {
    const SKIP_NULLS: bool = true;
    fn add(&mut self, _ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let Some(value) = bytes_at(column(args, 0)?, row)? else { return Ok(()) };
        match &mut self.0 {
            None => self.0 = Some(value.to_vec()),
            Some(joined) => {
                let delimiter = bytes_at(column(args, 1)?, row)?.unwrap_or_default();
                joined.extend_from_slice(delimiter);
                joined.extend_from_slice(value);
            }
        }
        Ok(())
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        let Some(joined) = self.0.take() else { return Ok(Value::Null) };
        if !TEXT {
            return Ok(Value::Bytea(joined.into()));
        }
        let text = alloc::string::String::from_utf8(joined).map_err(|_| mismatch())?;
        Ok(Value::Text(text.into()))
    }
    fn held(&self) -> usize {
        self.0.as_ref().map_or(0, Vec::capacity)
    }
}

/// `array_agg` of anything but arrays.
#[derive(Clone, Default)]
pub(crate) struct Listed {
    values: Option<Vec<Value>>,
    held: usize,
}

impl Collect for Listed {
    const SKIP_NULLS: bool = false;
    fn add(&mut self, _ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let value = column(args, 0)?.value(row);
        self.held += value.memory();
        self.values.get_or_insert_default().push(value);
        Ok(())
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, types: &Types) -> Result<Value> {
        let Some(values) = self.values.take() else { return Ok(Value::Null) };
        let element = types.first().map_or(0, |t| t.oid);
        let dims = alloc::vec![(values.len() as i32, 1)];
        Ok(Value::Array(Arc::new(ArrayValue { element, dims, values })))
    }
    fn held(&self) -> usize {
        self.held
    }
}

/// `array_agg` of arrays: one dimension more.
#[derive(Clone, Default)]
pub(crate) struct Stacked {
    count: i32,
    element: u32,
    dims: Vec<(i32, i32)>,
    values: Vec<Value>,
    held: usize,
}

fn fault(state: SqlState, message: &'static str) -> SqlError {
    SqlError::new(state, message)
}

impl Collect for Stacked {
    const SKIP_NULLS: bool = false;
    fn add(&mut self, _ctx: &EvalContext<'_>, args: &[Arc<Vector>], row: usize) -> Result<()> {
        let array = match column(args, 0)?.value(row) {
            Value::Array(a) => a,
            Value::Null => {
                return Err(fault(SqlState::NULL_VALUE_NOT_ALLOWED, "cannot accumulate null arrays"));
            }
            _ => return Err(mismatch()),
        };
        if array.dims.is_empty() {
            return Err(fault(SqlState::ARRAY_SUBSCRIPT_ERROR, "cannot accumulate empty arrays"));
        }
        if self.count == 0 {
            self.dims = array.dims.clone();
            self.element = array.element;
            if self.dims.len() >= 6 {
                return Err(SqlError::new(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    alloc::format!(
                        "number of array dimensions ({}) exceeds the maximum allowed (6)",
                        self.dims.len() + 1
                    ),
                ));
            }
        } else if self.dims != array.dims {
            return Err(fault(
                SqlState::ARRAY_SUBSCRIPT_ERROR,
                "cannot accumulate arrays of different dimensionality",
            ));
        }
        self.count += 1;
        self.held += array.values.iter().map(Value::memory).sum::<usize>();
        self.values.extend_from_slice(&array.values);
        Ok(())
    }
    fn result(&mut self, _ctx: &EvalContext<'_>, _types: &Types) -> Result<Value> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        let mut dims = alloc::vec![(self.count, 1)];
        dims.append(&mut self.dims);
        let values = core::mem::take(&mut self.values);
        Ok(Value::Array(Arc::new(ArrayValue { element: self.element, dims, values })))
    }
    fn held(&self) -> usize {
        self.held
    }
}

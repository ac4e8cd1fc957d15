//! Values that must meet a domain's constraints.

use alloc::{format, string::String, vec::Vec};

use pg_plan::expr;
use pg_types::{Result, SqlError, SqlState, SqlType, Value};

use super::{Compiled, RowRef};
use crate::{context::Rt, node::Compiler};

/// See [`expr::Domain`].
pub(crate) struct Domain {
    value: Compiled,
    name: String,
    not_null: bool,
    checks: Vec<(String, Compiled)>,
    pub(super) ty: SqlType,
}

impl Domain {
    pub(super) fn new(d: &expr::Domain, c: &mut Compiler<'_>) -> Result<Self> {
        Ok(Self {
            value: Compiled::new(&d.value, c)?,
            name: d.name.clone(),
            not_null: d.not_null,
            checks: d
                .checks
                .iter()
                .map(|(name, e)| Ok((name.clone(), Compiled::new(e, c)?)))
                .collect::<Result<_>>()?,
            ty: d.value.ty(),
        })
    }

    pub(super) fn reset(&mut self) {
        self.value.reset();
        self.checks.iter_mut().for_each(|c| c.1.reset());
    }

    /// Of one row: the value, once it is found to be one of the domain's.
    pub(super) fn row(&mut self, r: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
        let value = [self.value.row(r, rt)?];
        if self.not_null && value[0].is_null() {
            let message = format!("domain {} does not allow null values", self.name);
            let mut error = SqlError::new(SqlState::NOT_NULL_VIOLATION, message);
            error.fields_mut().data_type = Some(self.name.clone());
            return Err(error);
        }
        for (name, check) in &mut self.checks {
            // Unknown is no violation.
            if check.row(RowRef::Values(&value), rt)? == Value::Bool(false) {
                let message = format!("value for domain {} violates check constraint \"{name}\"", self.name);
                let mut error = SqlError::new(SqlState::CHECK_VIOLATION, message).constraint(name.as_str());
                error.fields_mut().data_type = Some(self.name.clone());
                return Err(error);
            }
        }
        let [value] = value;
        Ok(value)
    }
}

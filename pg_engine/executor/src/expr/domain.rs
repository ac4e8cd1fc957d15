//! Values that must meet a domain's constraints.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::builtin::{PG_NAMESPACE, PG_TYPE};
use pg_plan::expr;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value};

use super::{Compiled, RowRef};
use crate::{context::Rt, node::Compiler, text};

/// See [`expr::Domain`].
pub(crate) struct Domain {
    value: Compiled,
    oid: Oid,
    not_null: bool,
    checks: Vec<(String, Compiled)>,
    pub(super) ty: SqlType,
}

impl Domain {
    pub(super) fn new(d: &expr::Domain, c: &mut Compiler<'_>) -> Result<Self> {
        Ok(Self {
            value: Compiled::new(&d.value, c)?,
            oid: d.oid,
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
            let text = |domain: &str| format!("domain {domain} does not allow null values");
            return Err(violation(self.oid, SqlState::NOT_NULL_VIOLATION, &text, rt)?);
        }
        for (name, check) in &mut self.checks {
            // Unknown is no violation.
            if check.row(RowRef::Values(&value), rt)? == Value::Bool(false) {
                let text =
                    |domain: &str| format!("value for domain {domain} violates check constraint \"{name}\"");
                let error = violation(self.oid, SqlState::CHECK_VIOLATION, &text, rt)?;
                return Err(error.constraint(name.as_str()));
            }
        }
        let [value] = value;
        Ok(value)
    }
}

/// An error that says which domain refuses a value.
fn violation(
    domain: Oid,
    state: SqlState,
    message: &dyn Fn(&str) -> String,
    rt: &Rt<'_, '_>,
) -> Result<SqlError> {
    let reader = rt.cx.reader()?;
    let mut error = SqlError::new(state, message(&text::type_name(&reader, domain, None)?));
    if let Some(row) = reader.find(PG_TYPE, &["oid"], &[Value::Oid(domain)])?.first() {
        let schema = reader.find(PG_NAMESPACE, &["oid"], &[row.get("typnamespace").clone()])?;
        error.fields_mut().schema = schema.first().map(|s| s.text("nspname").into());
        error.fields_mut().data_type = Some(row.text("typname").into());
    }
    Ok(error)
}

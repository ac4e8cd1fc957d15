//! Statement parameters and the inference of their types.

use alloc::{format, vec::Vec};

use pg_plan::expr::Expr;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, oid, user};

use super::{Binder, types::show};

/// Most parameters a statement may have: the protocol counts them in 16 bits.
const MAX_PARAMS: usize = 65_535;

impl Binder<'_> {
    /// `$n` as written.
    pub(super) fn parameter(&mut self, text: &str, at: u32) -> Result<Expr> {
        let number = text.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
        let number = number.filter(|n| (1..=MAX_PARAMS).contains(n) && self.params_allowed);
        let Some(number) = number else {
            return Err(SqlError::new(
                SqlState::UNDEFINED_PARAMETER,
                format!("there is no parameter {text}"),
            )
            .at(at));
        };
        if self.params.len() < number {
            self.params.resize(number, None);
        }
        let ty = self.params.get(number - 1).copied().flatten().unwrap_or(oid::UNKNOWN);
        if user::is_domain(ty) {
            return self.domain_parameter(number as u32 - 1, ty);
        }
        Ok(Expr::Param(number as u32 - 1, SqlType::new(ty)))
    }

    /// A parameter of a domain: its value comes as one of the type below and is checked.
    pub(super) fn domain_parameter(&mut self, number: u32, domain: Oid) -> Result<Expr> {
        let base = self.user_type(domain)?.domain().map(|d| d.base);
        let base = base.ok_or_else(|| SqlError::internal("a domain without a type"))?;
        self.constrained(Expr::Param(number, base), domain)
    }

    /// Gives a parameter whose type is not known yet the type that its context wants.
    pub(super) fn fix_param(&mut self, number: u32, ty: Oid) -> Result<Expr> {
        let slot = self.params.get_mut(number as usize);
        let slot = slot.ok_or_else(|| SqlError::internal("parameter out of range"))?;
        match *slot {
            None => *slot = Some(ty),
            Some(known) if known == ty => {}
            Some(known) => {
                return Err(SqlError::new(
                    SqlState::AMBIGUOUS_PARAMETER,
                    format!("inconsistent types deduced for parameter ${}", number + 1),
                )
                .detail(format!(
                    "{} versus {}",
                    show(SqlType::new(known)),
                    show(SqlType::new(ty))
                )));
            }
        }
        Ok(Expr::Param(number, SqlType::new(ty)))
    }

    /// All parameters' types; each must have been determined.
    pub(super) fn resolved_params(&self) -> Result<Vec<SqlType>> {
        let mut types = Vec::with_capacity(self.params.len());
        for (i, ty) in self.params.iter().enumerate() {
            match ty {
                Some(ty) => types.push(SqlType::new(*ty)),
                None => {
                    return Err(SqlError::new(
                        SqlState::INDETERMINATE_DATATYPE,
                        format!("could not determine data type of parameter ${}", i + 1),
                    ));
                }
            }
        }
        Ok(types)
    }
}

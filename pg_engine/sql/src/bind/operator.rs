//! Operators in expressions: which one a name means, and the call that it stands for.

use alloc::{boxed::Box, format, vec, vec::Vec};

use pg_catalog::{UserOperator, builtin::PG_CATALOG};
use pg_functions::registry;
use pg_plan::expr::{Call, Expr};
use pg_types::{Oid, Physical, Result, SqlError, SqlState, SqlType, oid};

use super::{
    Binder,
    resolve::{self, AnyOperator},
};

/// `pg_proc.oid` of the functions behind `text || any` and `any || text`.
const TEXT_ANY: Oid = 2003;
const ANY_TEXT: Oid = 2004;

/// Are values of the type numbers that stand for something else, so that a value alone does not tell its text?
fn ambiguous(ty: Oid) -> bool {
    match Physical::of(ty) {
        Physical::Int8 => !matches!(ty, oid::INT8 | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ),
        Physical::Oid => !matches!(ty, oid::OID | oid::XID | oid::CID),
        _ => false,
    }
}

/// Schema and name of an operator that may be written with both.
pub(super) fn split(name: &str) -> (Option<&str>, &str) {
    let symbol = |c: char| "+-*/<>=~!@#%^&|`?".contains(c);
    match name.rsplit_once('.') {
        Some((schema, name)) if !name.is_empty() && name.chars().all(symbol) => (Some(schema), name),
        _ => (None, name),
    }
}

impl Binder<'_> {
    /// The operator that a name means for operands of these types.
    pub(super) fn find_operator(&self, written: &str, left: Option<Oid>, right: Oid) -> Result<AnyOperator> {
        let (schema, name) = split(written);
        let all = self.catalog.operators(name)?;
        if all.is_empty() && schema.is_none() {
            return resolve::operator((name, name), (left, right), true, &[], &self.casts);
        }
        let mut builtin = true;
        let mut users: Vec<UserOperator> = all.to_vec();
        if let Some(schema) = schema {
            let found =
                if schema == "pg_catalog" { Some(PG_CATALOG) } else { self.catalog.schema_oid(schema)? };
            let Some(wanted) = found else {
                let text = format!("schema \"{schema}\" does not exist");
                return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, text));
            };
            builtin = wanted == PG_CATALOG;
            users.retain(|o| o.schema == wanted);
        } else {
            // Of operators with the same operands the one that is found first.
            let path = self.catalog.searched();
            let place = |schema: Oid| path.iter().position(|s| *s == schema);
            users.retain(|o| place(o.schema).is_some());
            users.sort_by_key(|o| place(o.schema));
            let hidden = |o: &UserOperator| {
                place(PG_CATALOG) < place(o.schema)
                    && registry().operator_for(name, o.left, o.right).is_some()
            };
            users.retain(|o| !hidden(o));
            let mut seen: Vec<(Oid, Oid)> = Vec::new();
            users.retain(|o| {
                let new = !seen.contains(&(o.left, o.right));
                seen.push((o.left, o.right));
                new
            });
        }
        let found = resolve::operator((name, written), (left, right), builtin, &users, &self.casts)?;
        if let AnyOperator::User(o) = &found
            && o.function == 0
        {
            let show = |ty: Oid| super::types::show(SqlType::new(ty));
            let shown = match left {
                Some(left) => format!("{} {written} {}", show(left), show(right)),
                None => format!("{written} {}", show(right)),
            };
            let text = format!("operator is only a shell: {shown}");
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, text));
        }
        Ok(found)
    }

    /// Applies a binary operator.
    pub(super) fn operator(&mut self, name: &str, left: Expr, right: Expr, at: u32) -> Result<Expr> {
        match self.find_operator(name, Some(left.ty().oid), right.ty().oid).map_err(|e| e.at(at))? {
            AnyOperator::Builtin(operator) => {
                let function = registry()
                    .function(operator.function)
                    .ok_or_else(|| SqlError::internal(format!("function of operator {name} is missing")))?;
                self.accesses.builtin(function);
                let declared = [operator.left, operator.right];
                let actual = [left.ty(), right.ty()];
                let (args, result) = resolve::polymorphic(&declared, &actual, operator.result, &self.casts)
                    .map_err(|e| e.at(at))?;
                let target = |i: usize| SqlType::new(args.get(i).copied().unwrap_or(oid::UNKNOWN));
                let mut left = self.implicit(left, target(0), at)?;
                let mut right = self.implicit(right, target(1), at)?;
                if matches!(function.oid, TEXT_ANY | ANY_TEXT) {
                    for operand in [&mut left, &mut right].into_iter().filter(|o| ambiguous(o.ty().oid)) {
                        let text = SqlType::new(oid::TEXT);
                        *operand = self.cast(operand.clone(), text, at)?;
                    }
                }
                Ok(Expr::Call(Box::new(Call { function, args: vec![left, right], ty: SqlType::new(result) })))
            }
            AnyOperator::User(operator) => self.call_of(operator.function, vec![left, right], at),
        }
    }

    /// Applies a prefix operator.
    pub(super) fn prefix_operator(&mut self, name: &str, operand: Expr, at: u32) -> Result<Expr> {
        match self.find_operator(name, None, operand.ty().oid).map_err(|e| e.at(at))? {
            AnyOperator::Builtin(operator) => {
                let function = registry()
                    .function(operator.function)
                    .ok_or_else(|| SqlError::internal(format!("function of operator {name} is missing")))?;
                self.accesses.builtin(function);
                let operand = self.implicit(operand, SqlType::new(operator.right), at)?;
                let ty = SqlType::new(operator.result);
                Ok(Expr::Call(Box::new(Call { function, args: vec![operand], ty })))
            }
            AnyOperator::User(operator) => self.call_of(operator.function, vec![operand], at),
        }
    }
}

//! Assignment to parts of columns: elements and slices of arrays, values inside documents, fields of composite values. The column
//! becomes its old value with the part replaced; where several parts of one column are assigned to, one change is made inside
//! the other.

use alloc::{boxed::Box, format, vec::Vec};

use pg_functions::CastContext;
use pg_plan::expr::{Expr, Subscript};
use pg_types::{Result, SqlError, SqlState, SqlType, oid, typeinfo, user};
use sqlparser::ast as sq;

use super::{
    Binder, part,
    scope::at,
    types::{self, show},
};
use crate::grammar::target;

/// One step into a value.
pub(super) enum Step {
    Field(sq::Ident),
    Subscripts(Vec<sq::AccessExpr>),
}

/// Bounds as [`Subscript`] has them, and whether it is a slice.
pub(super) type Indices = (Vec<(Option<Expr>, Option<Expr>)>, bool);

impl Step {
    fn is_slice(&self) -> bool {
        matches!(self, Self::Subscripts(chain) if chain.iter().any(is_slice))
    }
    /// PostgreSQL's refusal of DEFAULT as the value.
    pub(super) fn refuse_default(&self, column: &sq::Ident) -> SqlError {
        let text = match self {
            Self::Field(_) => "cannot set a subfield to DEFAULT",
            Self::Subscripts(_) => "cannot set an array element to DEFAULT",
        };
        SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).at(at(column))
    }
}

fn is_slice(access: &sq::AccessExpr) -> bool {
    matches!(access, sq::AccessExpr::Subscript(sq::Subscript::Slice { .. }))
}

fn mismatch(text: alloc::string::String, position: u32) -> SqlError {
    SqlError::new(SqlState::DATATYPE_MISMATCH, text)
        .hint("You will need to rewrite or cast the expression.")
        .at(position)
}

impl Binder<'_> {
    /// A target's column and the way into it.
    pub(super) fn target_path<'n>(&self, name: &'n sq::ObjectName) -> Result<(&'n sq::Ident, Vec<Step>)> {
        let (first, rest) =
            name.0.split_first().ok_or_else(|| SqlError::internal("assignment without a target"))?;
        let mut path = Vec::with_capacity(rest.len());
        for step in rest {
            let ident = part(step)?;
            path.push(match target::subscripts(ident, self.source)? {
                Some(chain) => Step::Subscripts(chain),
                None => Step::Field(ident.clone()),
            });
        }
        Ok((part(first)?, path))
    }

    /// The type that elements of a declared array type have, as declared; the array's own for a slice.
    fn element_declared(&mut self, declared: SqlType, slice: bool) -> Result<SqlType> {
        let mut of = declared;
        for _ in 0..=pg_catalog::user_types::MAX_DOMAINS {
            if !user::is_domain(of.oid) {
                break;
            }
            of = match self.user_type(of.oid)?.domain() {
                Some(d) => d.over,
                None => break,
            };
        }
        if of.oid == oid::JSONB || slice {
            return Ok(of);
        }
        let element = if user::is_array(of.oid) { of.oid - 1 } else { typeinfo::subscript_of(of.oid) };
        Ok(SqlType::with_typmod(element, of.typmod))
    }

    /// What is assigned at a path's end; `None`: the path leads nowhere.
    pub(super) fn part_type(&mut self, declared: SqlType, path: &[Step]) -> Result<Option<SqlType>> {
        let mut ty = declared;
        for step in path {
            ty = match step {
                Step::Subscripts(_) => self.element_declared(ty, step.is_slice())?,
                Step::Field(name) => {
                    let plain = self.catalog.plain_type(ty)?;
                    if !user::is_composite(plain.oid) {
                        return Ok(None);
                    }
                    let described = self.user_type(plain.oid)?;
                    match described.fields().iter().find(|f| f.name == name.value) {
                        Some(field) => field.ty,
                        None => return Ok(None),
                    }
                }
            };
        }
        Ok((ty.oid != 0).then_some(self.catalog.plain_type(ty)?))
    }

    /// A value with the part at the end of a path replaced: of the type of `base`, whose declared type is given.
    pub(super) fn with_part(
        &mut self,
        base: Expr,
        declared: SqlType,
        path: &[Step],
        (new, position): (Expr, u32),
        column: &sq::Ident,
    ) -> Result<Expr> {
        let Some((first, rest)) = path.split_first() else { return Ok(new) };
        match first {
            Step::Field(field) => self.with_field(base, field, rest, (new, position), column),
            Step::Subscripts(chain) => {
                let (indices, slice) = self.indices(base.ty(), chain, at(column))?;
                let ty = self.element_declared(declared, slice)?;
                let value = if rest.is_empty() {
                    self.for_element(new, ty, position, column)?
                } else {
                    let plain = self.catalog.plain_type(ty)?;
                    let (array, indices) = (base.clone(), indices.clone());
                    let old = Subscript { array, indices, slice, assign: None, ty: plain };
                    let old = Expr::Subscript(Box::new(old));
                    let value = self.with_part(old, ty, rest, (new, position), column)?;
                    self.assign(value, ty, &column.value, position)?
                };
                let ty = base.ty();
                Ok(Expr::Subscript(Box::new(Subscript {
                    array: base,
                    indices,
                    slice,
                    assign: Some(value),
                    ty,
                })))
            }
        }
    }

    /// A new element, or the elements of a slice.
    fn for_element(&mut self, new: Expr, to: SqlType, position: u32, column: &sq::Ident) -> Result<Expr> {
        let from = new.ty();
        let value = self.try_coerce(new, to, CastContext::Assignment).map_err(|e| e.at(position))?;
        value.ok_or_else(|| {
            let (to, from, name) = (show(to), show(from), &column.value);
            let text = format!(
                "subscripted assignment to \"{name}\" requires type {to} but expression is of type {from}"
            );
            mismatch(text, at(column))
        })
    }

    /// A composite value with one of its fields, or a part of that, replaced.
    fn with_field(
        &mut self,
        base: Expr,
        first: &sq::Ident,
        rest: &[Step],
        (new, position): (Expr, u32),
        column: &sq::Ident,
    ) -> Result<Expr> {
        let ty = base.ty();
        let refused = |state, why: alloc::string::String| {
            let name = &column.value;
            let text =
                format!("cannot assign to field \"{}\" of column \"{name}\" because {why}", first.value);
            Err(SqlError::new(state, text).at(at(column)))
        };
        if !user::is_composite(ty.oid) {
            let why = format!("its type {} is not a composite type", types::show(ty));
            return refused(SqlState::DATATYPE_MISMATCH, why);
        }
        let described = self.user_type(ty.oid)?;
        let fields = described.fields();
        if !fields.iter().any(|f| f.name == first.value) {
            let why = format!("there is no such column in data type {}", types::show(ty));
            return refused(SqlState::UNDEFINED_COLUMN, why);
        }
        let mut items = Vec::with_capacity(fields.len());
        let mut new = Some(new);
        for (n, field) in fields.iter().enumerate() {
            // Of a row that was just made the field is at hand.
            let old = match &base {
                Expr::Row(old, ..) => old.get(n).cloned().unwrap_or_else(super::table::null),
                base => Expr::Field(Box::new(base.clone()), n as u32, field.plain),
            };
            items.push(match new.take_if(|_| field.name == first.value) {
                Some(new) if rest.is_empty() => {
                    let from = new.ty();
                    let value = self.try_coerce(new, field.ty, CastContext::Assignment);
                    value.map_err(|e| e.at(position))?.ok_or_else(|| {
                        let (name, to, from) = (&field.name, show(field.ty), show(from));
                        let text =
                            format!("subfield \"{name}\" is of type {to} but expression is of type {from}");
                        mismatch(text, at(column))
                    })?
                }
                Some(new) => {
                    let value = self.with_part(old, field.ty, rest, (new, position), column)?;
                    self.assign(value, field.ty, &field.name, position)?
                }
                None => old,
            });
        }
        let names = fields.iter().map(|f| f.name.as_str().into()).collect();
        Ok(Expr::Row(items, Some(names), ty))
    }

    /// The bounds that subscripts of a value of this type are.
    pub(super) fn indices(
        &mut self,
        container: SqlType,
        chain: &[sq::AccessExpr],
        position: u32,
    ) -> Result<Indices> {
        let document = container.oid == oid::JSONB;
        if !document && typeinfo::subscript_of(container.oid) == 0 {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("cannot subscript type {} because it does not support subscripting", show(container)),
            )
            .at(position));
        }
        let mut indices = Vec::with_capacity(chain.len());
        let slice = chain.iter().any(is_slice);
        for access in chain {
            match access {
                sq::AccessExpr::Subscript(sq::Subscript::Index { index }) => {
                    let index = if document { self.document_index(index)? } else { self.index(index)? };
                    // Among slices, n means 1:n.
                    let one = || Expr::Const(pg_types::Value::Int4(1), SqlType::new(oid::INT4));
                    indices.push(((slice && !document).then(one), Some(index)));
                }
                sq::AccessExpr::Subscript(sq::Subscript::Slice { lower_bound, upper_bound, stride }) => {
                    if stride.is_some() {
                        return Err(SqlError::syntax("syntax error at or near \":\""));
                    }
                    if document {
                        let written = upper_bound.as_ref().or(lower_bound.as_ref());
                        let text = "jsonb subscript does not support slices";
                        let place = written.map_or(position, super::expr::start);
                        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text).at(place));
                    }
                    let lower = lower_bound.as_ref().map(|e| self.index(e)).transpose()?;
                    let upper = upper_bound.as_ref().map(|e| self.index(e)).transpose()?;
                    indices.push((lower, upper));
                }
                sq::AccessExpr::Dot(_) => return Err(SqlError::internal("a field among subscripts")),
            }
        }
        if slice && !document && typeinfo::element_of(container.oid) == 0 {
            let text = "slices of fixed-length arrays not implemented";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
        }
        if indices.len() > 6 && !document {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("number of array dimensions ({}) exceeds the maximum allowed (6)", indices.len()),
            ));
        }
        Ok((indices, slice))
    }

    /// A subscript of a document: an integer or a text.
    fn document_index(&mut self, index: &sq::Expr) -> Result<Expr> {
        let position = super::expr::start(index);
        let e = self.expr(index)?;
        let from = e.ty();
        let to = |oid| super::coerce::can_coerce(from.oid, oid, CastContext::Implicit, &self.casts);
        let refused = |hint: &'static str| {
            let text = format!("subscript type {} is not supported", show(from));
            SqlError::new(SqlState::DATATYPE_MISMATCH, text).hint(hint).at(position)
        };
        let ty = match (to(oid::INT4), to(oid::TEXT)) {
            _ if from.oid == oid::UNKNOWN => oid::TEXT,
            (true, false) => oid::INT4,
            (false, true) => oid::TEXT,
            (true, true) => {
                return Err(refused("jsonb subscript must be coercible to only one type, integer or text."));
            }
            (false, false) => {
                return Err(refused("jsonb subscript must be coercible to either integer or text."));
            }
        };
        self.implicit(e, SqlType::new(ty), position)
    }
}

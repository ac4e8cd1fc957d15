//! Coercions between types.

use alloc::{boxed::Box, format, vec::Vec};

use pg_functions::{CastContext, CastMethod, Function, registry};
use pg_plan::expr::{Call, Expr};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, oid, typeinfo, user};

use super::{
    Binder,
    casts::Casts,
    types::{category, is_polymorphic, is_preferred, show},
};

/// How one type becomes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pathway {
    Same,
    Relabel,
    Function(Oid),
    Io,
    Array,
}

/// The way from one type to another in a context, if there is one.
pub(crate) fn pathway(from: Oid, to: Oid, context: CastContext, casts: &Casts<'_>) -> Option<Pathway> {
    // The vector types are arrays of fixed shape. The other way there is none: it would make `oid[] = unknown` ambiguous.
    if matches!((from, to), (oid::INT2VECTOR, oid::INT2_ARRAY) | (oid::OIDVECTOR, oid::OID_ARRAY)) {
        return Some(Pathway::Relabel);
    }
    if from == to {
        return Some(Pathway::Same);
    }
    if let Some(cast) = registry().cast(from, to) {
        if cast.context > context {
            return None;
        }
        return Some(match cast.method {
            CastMethod::Function(f) => Pathway::Function(f),
            CastMethod::Binary => Pathway::Relabel,
            CastMethod::InOut => Pathway::Io,
        });
    }
    if let Some(cast) = casts.find(from, to) {
        if cast.context > context {
            return None;
        }
        return Some(match cast.function {
            0 if cast.through_text => Pathway::Io,
            0 => Pathway::Relabel,
            f => Pathway::Function(f),
        });
    }
    if casts.is_of(from, to) {
        return Some(Pathway::Relabel);
    }
    let element = typeinfo::array_element;
    let (source, target) = (element(from), element(to));
    if source != 0 && target != 0 {
        return pathway(source, target, context, casts).map(|way| match way {
            Pathway::Same | Pathway::Relabel => Pathway::Relabel,
            _ => Pathway::Array,
        });
    }
    if to == oid::ANYARRAY && source != 0 {
        return Some(Pathway::Relabel);
    }
    // Through text: to a string type by assignment, from one only when written out.
    if context >= CastContext::Assignment && category(to) == b'S' && castable_through_text(from) {
        return Some(Pathway::Io);
    }
    if context >= CastContext::Explicit
        && category(from) == b'S'
        && castable_through_text(to)
        && to != oid::ANYARRAY
    {
        return Some(Pathway::Io);
    }
    None
}

fn castable_through_text(ty: Oid) -> bool {
    matches!(ty, oid::RECORD | oid::ANYARRAY)
        || typeinfo::get(ty).is_some_and(|t| matches!(t.kind, b'b' | b'c' | b'e'))
}

/// True when a value of one type may stand where another is wanted.
pub(crate) fn can_coerce(from: Oid, to: Oid, context: CastContext, casts: &Casts<'_>) -> bool {
    from == to
        || to == oid::ANY
        || is_polymorphic(to)
        || from == oid::UNKNOWN
        || (to == oid::RECORD && category(from) == b'C')
        || (from == oid::RECORD && category(to) == b'C')
        || pathway(from, to, context, casts).is_some()
}

/// PostgreSQL's message when there is no way.
pub(crate) fn cannot_cast(from: SqlType, to: SqlType) -> SqlError {
    SqlError::new(SqlState::CANNOT_COERCE, format!("cannot cast type {} to {}", show(from), show(to)))
}

impl Binder<'_> {
    /// Coerces in a context; `None` when there is no way.
    pub(crate) fn try_coerce(
        &mut self,
        expr: Expr,
        to: SqlType,
        context: CastContext,
    ) -> Result<Option<Expr>> {
        let from = expr.ty();
        if from == to || (from.oid == to.oid && to.typmod < 0) {
            return Ok(Some(expr));
        }
        if to.oid == oid::ANY || is_polymorphic(to.oid) {
            return Ok(Some(expr));
        }
        if user::is_domain(to.oid) || user::is_domain(typeinfo::element_of(to.oid)) {
            return self.coerce_to_domain(expr, to, context);
        }
        if user::is_user(to.oid) {
            let read = from.oid == oid::UNKNOWN || category(from.oid) == b'S';
            if read && !matches!(&expr, Expr::Const(Value::Null, _)) {
                self.refuse_unchecked(to.oid)?;
            }
            if user::is_composite(to.oid) && matches!(&expr, Expr::Row(..)) {
                return self.coerce_to_composite(expr, to, context);
            }
        }
        let base = SqlType::new(to.oid);
        let explicit = context == CastContext::Explicit;
        let converted = if from.oid == oid::UNKNOWN {
            match expr {
                Expr::Const(Value::Null, _) => return Ok(Some(Expr::Const(Value::Null, to))),
                Expr::Const(Value::Text(text), _) => {
                    let full = if to.oid == oid::INTERVAL { to } else { base };
                    let value = self.read_literal(&text, full)?;
                    Expr::Const(value, full)
                }
                Expr::Param(n, _) => self.fix_param(n, to.oid)?,
                // The result of a subquery or set operation that was never given a type is text.
                other => Expr::CoerceViaIo(Box::new(other), base),
            }
        } else {
            match pathway(from.oid, to.oid, context, &self.casts) {
                Some(Pathway::Same) => expr,
                Some(Pathway::Relabel) => relabel(expr, base),
                Some(Pathway::Function(f)) => self.call_cast(f, expr, to, explicit)?,
                Some(Pathway::Io) => Expr::CoerceViaIo(Box::new(expr), base),
                Some(Pathway::Array) => return self.coerce_array(expr, to, context).map(Some),
                None if to.oid == oid::RECORD && category(from.oid) == b'C' => expr,
                None => return Ok(None),
            }
        };
        self.apply_typmod(converted, to, context).map(Some)
    }

    fn coerce_array(&mut self, expr: Expr, to: SqlType, context: CastContext) -> Result<Expr> {
        let from = expr.ty();
        let element = SqlType::with_typmod(typeinfo::element_of(from.oid), from.typmod);
        let target = SqlType::with_typmod(typeinfo::element_of(to.oid), to.typmod);
        let inner = self.try_coerce(Expr::Column(0, element), target, context)?;
        let inner = inner.ok_or_else(|| cannot_cast(from, to))?;
        Ok(Expr::ArrayCoerce(Box::new(expr), Box::new(inner), to))
    }

    /// Cuts or pads to a type modifier.
    pub(crate) fn apply_typmod(&mut self, expr: Expr, to: SqlType, context: CastContext) -> Result<Expr> {
        if to.typmod < 0 || expr.ty().typmod == to.typmod {
            return Ok(expr);
        }
        if matches!(&expr, Expr::Const(Value::Null, _)) {
            return Ok(Expr::Const(Value::Null, to));
        }
        let element = typeinfo::array_element(to.oid);
        if element != 0 {
            let from = SqlType::new(element);
            let inner =
                self.apply_typmod(Expr::Column(0, from), SqlType::with_typmod(element, to.typmod), context)?;
            return Ok(match inner {
                Expr::Column(..) => relabel(expr, to),
                inner => Expr::ArrayCoerce(Box::new(expr), Box::new(inner), to),
            });
        }
        match registry().cast(to.oid, to.oid).map(|c| c.method) {
            Some(CastMethod::Function(f)) => self.call_cast(f, expr, to, context == CastContext::Explicit),
            _ => Ok(relabel(expr, to)),
        }
    }

    /// A call of a cast's function.
    fn call_cast(&mut self, function: Oid, expr: Expr, to: SqlType, explicit: bool) -> Result<Expr> {
        if let Some(function) = registry().function(function) {
            self.accesses.builtin(function);
            return call_cast(function, expr, to, explicit);
        }
        let takes = self.catalog.routine(function)?.map_or(1, |r| r.inputs.len());
        let args = [
            expr,
            Expr::Const(Value::Int4(to.typmod), SqlType::new(oid::INT4)),
            Expr::Const(Value::Bool(explicit), SqlType::new(oid::BOOL)),
        ];
        let call = self.call_of(function, args.into_iter().take(takes).collect(), 0)?;
        Ok(if call.ty().oid == to.oid { call } else { relabel(call, SqlType::new(to.oid)) })
    }

    /// `expr::type` as written.
    pub(crate) fn cast(&mut self, expr: Expr, to: SqlType, at: u32) -> Result<Expr> {
        let from = expr.ty();
        match self.try_coerce(expr, to, CastContext::Explicit).map_err(|e| e.at(at))? {
            Some(expr) => Ok(expr),
            None => Err(cannot_cast(from, to).at(at)),
        }
    }

    /// Implicit coercion that resolution has already found possible.
    pub(crate) fn implicit(&mut self, expr: Expr, to: SqlType, at: u32) -> Result<Expr> {
        let from = expr.ty();
        match self.try_coerce(expr, to, CastContext::Implicit).map_err(|e| e.at(at))? {
            Some(expr) => Ok(expr),
            None => Err(cannot_cast(from, to).at(at)),
        }
    }

    /// A value for a table's column.
    pub(crate) fn assign(&mut self, expr: Expr, to: SqlType, column: &str, at: u32) -> Result<Expr> {
        let from = expr.ty();
        match self.try_coerce(expr, to, CastContext::Assignment).map_err(|e| e.at(at))? {
            Some(expr) => Ok(expr),
            None => Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "column \"{column}\" is of type {} but expression is of type {}",
                    show(to),
                    show(from)
                ),
            )
            .hint("You will need to rewrite or cast the expression.")
            .at(at)),
        }
    }

    /// A boolean for a clause.
    pub(crate) fn boolean(&mut self, expr: Expr, clause: &str, at: u32) -> Result<Expr> {
        let from = expr.ty();
        match self.try_coerce(expr, SqlType::new(oid::BOOL), CastContext::Assignment).map_err(|e| e.at(at))? {
            Some(expr) if from.oid == oid::BOOL || from.oid == oid::UNKNOWN => Ok(expr),
            _ => Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("argument of {clause} must be type boolean, not type {}", show(from)),
            )
            .at(at)),
        }
    }

    /// The common type of the branches of CASE, UNION, VALUES, ARRAY, ... by PostgreSQL's rules.
    pub(crate) fn common_type(&self, types: &[SqlType], construct: &str, at: u32) -> Result<SqlType> {
        let first = types.first().copied().unwrap_or(SqlType::new(oid::UNKNOWN));
        if first.oid != oid::UNKNOWN && types.iter().all(|t| t.oid == first.oid) {
            // The modifier survives when all agree.
            return Ok(if types.iter().all(|t| *t == first) { first } else { SqlType::new(first.oid) });
        }
        let mut common = oid::UNKNOWN;
        for ty in types.iter().map(|t| t.oid).filter(|t| *t != oid::UNKNOWN) {
            if common == oid::UNKNOWN {
                common = ty;
                continue;
            }
            if common == ty {
                continue;
            }
            if category(common) != category(ty) {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!(
                        "{construct} types {} and {} cannot be matched",
                        show(SqlType::new(common)),
                        show(SqlType::new(ty))
                    ),
                )
                .at(at));
            }
            if !is_preferred(common)
                && can_coerce(common, ty, CastContext::Implicit, &self.casts)
                && !can_coerce(ty, common, CastContext::Implicit, &self.casts)
            {
                common = ty;
            }
        }
        if common == oid::UNKNOWN {
            return Ok(SqlType::new(oid::TEXT));
        }
        let typmod = types
            .iter()
            .map(|t| if t.oid == common { t.typmod } else { -1 })
            .reduce(|a, b| if a == b { a } else { -1 })
            .unwrap_or(-1);
        Ok(SqlType::with_typmod(common, typmod))
    }

    /// Coerces a branch to the common type.
    pub(crate) fn coerce_to_common(
        &mut self,
        expr: Expr,
        to: SqlType,
        construct: &str,
        at: u32,
    ) -> Result<Expr> {
        let from = expr.ty();
        match self.try_coerce(expr, to, CastContext::Implicit).map_err(|e| e.at(at))? {
            Some(expr) => Ok(expr),
            None => Err(SqlError::new(
                SqlState::CANNOT_COERCE,
                format!("{construct} could not convert type {} to {}", show(from), show(to)),
            )
            .at(at)),
        }
    }

    /// Gives a value whose type was never determined the type text.
    pub(crate) fn settle(&mut self, expr: Expr) -> Result<Expr> {
        if expr.ty().oid != oid::UNKNOWN {
            return Ok(expr);
        }
        self.implicit(expr, SqlType::new(oid::TEXT), 0)
    }
}

/// Another name for the same bits; constants take it directly.
pub(crate) fn relabel(expr: Expr, to: SqlType) -> Expr {
    match expr {
        Expr::Const(value, _) => Expr::Const(pg_functions::cast::relabel(value, to.oid), to),
        Expr::Relabel(inner, _) => Expr::Relabel(inner, to),
        other => Expr::Relabel(Box::new(other), to),
    }
}

fn call_cast(function: &'static Function, expr: Expr, to: SqlType, explicit: bool) -> Result<Expr> {
    let mut args = Vec::with_capacity(3);
    let takes = function.args.len();
    // Length coercions take the modifier; casts between types keep it for a second step unless they take it too.
    args.push(expr);
    if takes > 1 {
        args.push(Expr::Const(Value::Int4(to.typmod), SqlType::new(oid::INT4)));
    }
    if takes > 2 {
        args.push(Expr::Const(Value::Bool(explicit), SqlType::new(oid::BOOL)));
    }
    let typmod = if takes > 1 { to.typmod } else { -1 };
    let ty = SqlType::with_typmod(to.oid, typmod);
    let physical = pg_types::Physical::of;
    if physical(function.result) != physical(to.oid) {
        // smallint becomes oid by a function to integer.
        let call = Expr::Call(Box::new(Call { function, args, ty: SqlType::new(function.result) }));
        return Ok(relabel(call, ty));
    }
    Ok(Expr::Call(Box::new(Call { function, args, ty })))
}

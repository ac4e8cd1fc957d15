//! Syntax that stands for function calls.

use alloc::{boxed::Box, format, vec, vec::Vec};

use pg_plan::expr::{Call, Expr};
use pg_types::{Result, SqlError, SqlState, SqlType, Value, oid, typeinfo};
use sqlparser::ast as sq;

use super::{Binder, call::Arguments, expr::start, types};

fn text(s: &str) -> Expr {
    Expr::Const(Value::text(s), SqlType::new(oid::TEXT))
}

impl Binder<'_> {
    /// The forms that [`Binder::expr`] does not handle itself.
    #[inline(never)]
    pub(super) fn special(&mut self, expr: &sq::Expr) -> Result<Expr> {
        let at = start(expr);
        match expr {
            sq::Expr::Like { negated, any, expr: e, pattern, escape_char } => {
                let op = if *negated { "!~~" } else { "~~" };
                self.like(op, e, pattern, escape_char.as_deref(), *any, *negated)
            }
            sq::Expr::ILike { negated, any, expr: e, pattern, escape_char } => {
                let op = if *negated { "!~~*" } else { "~~*" };
                self.like(op, e, pattern, escape_char.as_deref(), *any, *negated)
            }
            sq::Expr::SimilarTo { negated, expr: e, pattern, escape_char } => {
                let value = self.expr(e)?;
                let mut args = vec![self.expr(pattern)?];
                if let Some(escape) = escape_char {
                    args.push(self.expr(escape)?);
                }
                let pattern = self.call("similar_to_escape", args, at)?;
                self.operator(if *negated { "!~" } else { "~" }, value, pattern, at)
            }
            sq::Expr::AtTimeZone { timestamp, time_zone } => {
                let zone = self.expr(time_zone)?;
                let value = self.expr(timestamp)?;
                self.syntax_call("timezone", vec![zone, value], at)
            }
            sq::Expr::Extract { field, expr: e, .. } => {
                let field = match field {
                    sq::DateTimeField::Custom(ident) => ident.value.to_ascii_lowercase(),
                    other => format!("{other}").trim_matches('\'').to_ascii_lowercase(),
                };
                let value = self.expr(e)?;
                self.call("extract", vec![text(&field), value], at)
            }
            sq::Expr::IsNormalized { expr: e, form, negated } => {
                let mut args = vec![self.expr(e)?];
                args.extend(form.as_ref().map(|f| text(&format!("{f}"))));
                let call = self.syntax_call("is_normalized", args, at)?;
                Ok(if *negated { Expr::Not(Box::new(call)) } else { call })
            }
            sq::Expr::Position { expr: needle, r#in: hay } => {
                let needle = self.expr(needle)?;
                let hay = self.expr(hay)?;
                self.syntax_call("position", vec![hay, needle], at)
            }
            sq::Expr::Substring { expr: e, substring_from, substring_for, special, .. } => {
                self.substring(e, substring_from.as_deref(), substring_for.as_deref(), !special, at)
            }
            sq::Expr::Overlay { expr: e, overlay_what, overlay_from, overlay_for } => {
                let mut args = vec![self.expr(e)?, self.expr(overlay_what)?, self.expr(overlay_from)?];
                if let Some(length) = overlay_for {
                    args.push(self.expr(length)?);
                }
                self.syntax_call("overlay", args, at)
            }
            sq::Expr::Trim { trim_where, trim_what, expr: e, trim_characters } => {
                let name = match trim_where {
                    Some(sq::TrimWhereField::Leading) => "ltrim",
                    Some(sq::TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                let mut args = vec![self.expr(e)?];
                if let Some(what) = trim_what {
                    args.push(self.expr(what)?);
                }
                for characters in trim_characters.iter().flatten() {
                    args.push(self.expr(characters)?);
                }
                self.syntax_call(name, args, at)
            }
            sq::Expr::TypedString(typed) => {
                let ty = self.data_type(&typed.data_type)?;
                let sq::Value::SingleQuotedString(s) = &typed.value.value else {
                    return Err(SqlError::unsupported("this typed literal").at(at));
                };
                let literal = Expr::Const(Value::text(s), SqlType::new(oid::UNKNOWN));
                self.cast(literal, ty, crate::grammar::position(typed.value.span.start))
            }
            sq::Expr::Interval(interval) => self.interval(interval, at),
            // As a condition of UPDATE and DELETE it does not come here.
            sq::Expr::Prefixed { prefix, .. } if prefix.value == crate::dialect::CURRENT_OF => {
                let at = crate::grammar::position(prefix.span.end) + 1;
                Err(SqlError::syntax("syntax error at or near \"OF\"").at(at))
            }
            sq::Expr::Prefixed { prefix, value } if prefix.value == crate::dialect::COLLATION_FOR => {
                self.collation_for(value)
            }
            sq::Expr::Prefixed { prefix, value } => {
                let operand = self.expr(value)?;
                self.prefix_operator(&prefix.value, operand, crate::grammar::position(prefix.span.start))
            }
            sq::Expr::Wildcard(token) => Err(SqlError::syntax("syntax error at or near \"*\"")
                .at(crate::grammar::position(token.0.span.start))),
            sq::Expr::GroupingSets(_) | sq::Expr::Cube(_) | sq::Expr::Rollup(_) => {
                Err(SqlError::unsupported("GROUPING SETS").at(at))
            }
            other => Err(SqlError::unsupported(format!("expression {other}")).at(at)),
        }
    }

    /// A call written with the standard's syntax.
    fn syntax_call(&mut self, name: &str, args: Vec<Expr>, at: u32) -> Result<Expr> {
        let call = self.call(name, args, at)?;
        self.note(&call, || crate::ruleutils::Note::Syntax);
        Ok(call)
    }

    fn interval(&mut self, interval: &sq::Interval, at: u32) -> Result<Expr> {
        let sq::Expr::Value(value) = &*interval.value else {
            return Err(SqlError::unsupported("an interval of an expression").at(at));
        };
        let sq::Value::SingleQuotedString(s) = &value.value else {
            return Err(SqlError::unsupported("an interval of a number").at(at));
        };
        let typmod = types::interval_typmod(
            interval.leading_field.as_ref(),
            interval.last_field.as_ref(),
            interval.fractional_seconds_precision,
        )?;
        let literal = Expr::Const(Value::text(s), SqlType::new(oid::UNKNOWN));
        let position = crate::grammar::position(value.span.start);
        self.cast(literal, SqlType::with_typmod(oid::INTERVAL, typmod), position)
    }

    fn substring(
        &mut self,
        e: &sq::Expr,
        from: Option<&sq::Expr>,
        length: Option<&sq::Expr>,
        special: bool,
        at: u32,
    ) -> Result<Expr> {
        let mut args = vec![self.expr(e)?];
        match (from, length) {
            (Some(from), length) => {
                args.push(self.expr(from)?);
                if let Some(length) = length {
                    args.push(self.expr(length)?);
                }
            }
            (None, Some(length)) => {
                args.push(Expr::Const(Value::Int4(1), SqlType::new(oid::INT4)));
                args.push(self.expr(length)?);
            }
            (None, None) => {}
        }
        if special { self.syntax_call("substring", args, at) } else { self.call("substring", args, at) }
    }

    fn like(
        &mut self,
        op: &str,
        e: &sq::Expr,
        pattern: &sq::Expr,
        escape: Option<&sq::Expr>,
        any: bool,
        negated: bool,
    ) -> Result<Expr> {
        let at = start(pattern);
        let value = self.expr(e)?;
        if any {
            let array = self.expr(pattern)?;
            return self.scalar_array(op, value, array, true, at);
        }
        let _ = negated;
        let mut pattern = self.expr(pattern)?;
        if let Some(escape) = escape {
            let escape = self.expr(escape)?;
            pattern = self.call("like_escape", vec![pattern, escape], at)?;
        }
        self.operator(op, value, pattern, at)
    }

    /// Functions that are keywords: their rules are not those of ordinary calls.
    pub(super) fn keyword_function(
        &mut self,
        name: &str,
        f: &sq::Function,
        args: &Arguments<'_>,
        at: u32,
    ) -> Result<Option<Expr>> {
        let bare = matches!(f.args, sq::FunctionArguments::None);
        Ok(Some(match name {
            "grouping" => self.grouping(&args.exprs, at)?,
            "coalesce" => {
                let sets = self.frame()?.set_calls.0;
                let (items, ty) = self.branches(args, "COALESCE", at)?;
                self.no_sets_since(sets, "COALESCE")?;
                Expr::Coalesce(items, ty)
            }
            "greatest" | "least" => {
                let construct = if name == "greatest" { "GREATEST" } else { "LEAST" };
                let (items, ty) = self.branches(args, construct, at)?;
                if pg_functions::registry().less_than_operator(ty.oid).is_none() {
                    return Err(SqlError::new(
                        SqlState::UNDEFINED_FUNCTION,
                        format!("could not identify a comparison function for type {}", types::show(ty)),
                    )
                    .at(at));
                }
                Expr::Extreme(items, name == "greatest", ty)
            }
            // The form is a word.
            "normalize" => {
                let args = match args.exprs.as_slice() {
                    [value] => vec![self.expr(value)?],
                    [value, sq::Expr::Identifier(form)]
                        if form.quote_style.is_none()
                            && matches!(form.value.as_str(), "nfc" | "nfd" | "nfkc" | "nfkd") =>
                    {
                        vec![self.expr(value)?, text(&form.value.to_ascii_uppercase())]
                    }
                    _ => return Ok(None),
                };
                self.syntax_call("normalize", args, at)?
            }
            "nullif" => {
                let [a, b] = args.exprs.as_slice() else {
                    return Err(SqlError::syntax("NULLIF requires two arguments").at(at));
                };
                let a = self.expr(a)?;
                let b = self.expr(b)?;
                let call = self.equality(a, b, at)?;
                Expr::NullIf(call.function, super::expr::pair(call.args)?)
            }
            "current_timestamp" => self.now(oid::TIMESTAMPTZ, args, at)?,
            "current_date" if bare => self.now(oid::DATE, args, at)?,
            "current_time" => self.now(oid::TIMETZ, args, at)?,
            "localtimestamp" => self.now(oid::TIMESTAMP, args, at)?,
            "localtime" => self.now(oid::TIME, args, at)?,
            "current_user" | "user" | "current_role" if bare => {
                self.syntax_call("current_user", Vec::new(), at)?
            }
            "session_user" if bare => self.syntax_call("session_user", Vec::new(), at)?,
            "current_catalog" if bare => self.syntax_call("current_database", Vec::new(), at)?,
            "current_schema" if bare => self.syntax_call("current_schema", Vec::new(), at)?,
            _ => return Ok(None),
        }))
    }

    /// `now()` as one of the standard's functions. The inner relabelling without effect marks it for deparsing.
    fn now(&mut self, ty: u32, args: &Arguments<'_>, at: u32) -> Result<Expr> {
        let function = self.known("now", &[])?;
        let stamp = SqlType::new(oid::TIMESTAMPTZ);
        let call = Expr::Call(Box::new(Call { function, args: Vec::new(), ty: stamp }));
        let mut typmod = -1;
        if let [precision] = args.exprs.as_slice() {
            let precision = self.expr(precision)?;
            let Expr::Const(Value::Int4(p), _) = precision else {
                return Err(SqlError::syntax("syntax error").at(at));
            };
            typmod = p.clamp(0, 6);
        }
        let marked = Expr::Relabel(Box::new(call), stamp);
        self.cast(marked, SqlType::with_typmod(ty, typmod), at)
    }

    /// Arguments brought to their common type.
    fn branches(&mut self, args: &Arguments<'_>, construct: &str, at: u32) -> Result<(Vec<Expr>, SqlType)> {
        if args.exprs.is_empty() {
            return Err(SqlError::syntax("syntax error at or near \")\"").at(at));
        }
        let mut bound = Vec::with_capacity(args.exprs.len());
        for e in &args.exprs {
            bound.push(self.expr(e)?);
        }
        let types: Vec<SqlType> = bound.iter().map(Expr::ty).collect();
        let ty = self.common_type(&types, construct, at)?;
        let mut items = Vec::with_capacity(bound.len());
        for item in bound {
            items.push(self.coerce_to_common(item, ty, construct, at)?);
        }
        Ok((items, ty))
    }

    /// `ARRAY[...]`.
    pub(super) fn array(&mut self, elements: &[sq::Expr], at: u32) -> Result<Expr> {
        if elements.is_empty() {
            return Err(SqlError::new(
                SqlState::INDETERMINATE_DATATYPE,
                "cannot determine type of empty array",
            )
            .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
            .at(at));
        }
        let mut bound = Vec::with_capacity(elements.len());
        for e in elements {
            bound.push(self.array_element(e)?);
        }
        let types: Vec<SqlType> = bound.iter().map(Expr::ty).collect();
        let common = self.common_type(&types, "ARRAY", at)?;
        self.make_array(bound, common, at)
    }

    /// `(a, b) OVERLAPS (c, d)`.
    pub(super) fn overlaps(&mut self, left: &sq::Expr, right: &sq::Expr) -> Result<Expr> {
        let mut bound = Vec::with_capacity(4);
        for (side, name) in [(left, "left"), (right, "right")] {
            let sq::Expr::Tuple(pair) = side else {
                let text = format!("wrong number of parameters on {name} side of OVERLAPS expression");
                return Err(SqlError::syntax(text).at(start(side)));
            };
            if pair.len() != 2 {
                let text = format!("wrong number of parameters on {name} side of OVERLAPS expression");
                return Err(SqlError::syntax(text).at(start(side)));
            }
            for e in pair {
                bound.push(self.expr(e)?);
            }
        }
        self.syntax_call("overlaps", bound, start(left))
    }

    /// An inner `[...]` of a nested constructor.
    fn array_element(&mut self, e: &sq::Expr) -> Result<Expr> {
        match e {
            sq::Expr::Array(inner) => self.array(&inner.elem, start(e)),
            other => self.expr(other),
        }
    }

    /// `ARRAY[...]::type[]`.
    pub(super) fn array_as(&mut self, elements: &[sq::Expr], ty: SqlType, at: u32) -> Result<Expr> {
        let element = SqlType::with_typmod(typeinfo::element_of(ty.oid), ty.typmod);
        let mut bound = Vec::with_capacity(elements.len());
        let mut nested = false;
        for e in elements {
            match e {
                sq::Expr::Array(inner) => {
                    nested = true;
                    bound.push(self.array_as(&inner.elem, ty, start(e))?);
                }
                other => {
                    let item = self.expr(other)?;
                    let is_array = typeinfo::element_of(item.ty().oid) != 0 && element.oid != item.ty().oid;
                    nested |= is_array;
                    bound.push(self.cast(item, if is_array { ty } else { element }, at)?);
                }
            }
        }
        let plain = self.catalog.plain_type(SqlType::new(ty.oid))?;
        Ok(Expr::Array(bound, nested, plain))
    }

    fn make_array(&mut self, bound: Vec<Expr>, common: SqlType, at: u32) -> Result<Expr> {
        let nested = typeinfo::get(common.oid).is_some_and(|t| t.is_array());
        let array = if nested { common.oid } else { typeinfo::array_of(common.oid) };
        if array == 0 {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find array type for data type {}", types::show(common)),
            )
            .at(at));
        }
        let mut items = Vec::with_capacity(bound.len());
        for item in bound {
            items.push(self.coerce_to_common(item, SqlType::new(common.oid), "ARRAY", at)?);
        }
        Ok(Expr::Array(items, nested, SqlType::new(array)))
    }

    /// `left op ANY (array)` or ALL.
    pub(super) fn scalar_array(
        &mut self,
        op: &str,
        left: Expr,
        array: Expr,
        any: bool,
        at: u32,
    ) -> Result<Expr> {
        let from = array.ty();
        // An untyped literal or parameter is an array of what stands on the left.
        let element = match from.oid {
            oid::UNKNOWN if left.ty().oid == oid::UNKNOWN => SqlType::new(oid::TEXT),
            oid::UNKNOWN => SqlType::new(left.ty().oid),
            other => match typeinfo::element_of(other) {
                0 => {
                    return Err(SqlError::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        "op ANY/ALL (array) requires array on right side",
                    )
                    .at(at));
                }
                element => SqlType::new(element),
            },
        };
        // Resolve as for one element, then lift its coercion to the array.
        let probe = Expr::Column(u32::MAX, element);
        let Expr::Call(call) = self.operator(op, left, probe, at)? else {
            return Err(SqlError::internal("operator without call"));
        };
        if call.ty.oid != oid::BOOL {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                "op ANY/ALL (array) requires operator to yield boolean",
            )
            .at(at));
        }
        let mut args = call.args;
        let wanted = args.pop().map_or(element, |e| e.ty());
        let left = args.pop().ok_or_else(|| SqlError::internal("operator without operands"))?;
        let target = match typeinfo::array_of(wanted.oid) {
            // int2vector and its like are read as they are.
            0 => from,
            target => SqlType::new(target),
        };
        let array = if from.oid == target.oid || wanted.oid == element.oid && from.oid != oid::UNKNOWN {
            array
        } else {
            self.implicit(array, target, at)?
        };
        Ok(Expr::ScalarArray(call.function, Box::new([left, array]), any))
    }
}

//! Canonical SQL text of expressions, in the style of `pg_get_expr`: operators fully parenthesised, literals cast to
//! their types, names quoted where they must be.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_catalog::CatalogReader;
use pg_functions::{Function, registry};
use pg_plan::expr::{Expr, SubPlanKind};
use pg_types::{Result, SqlType, Value, format::FormatSettings, oid, typeinfo, user};

use crate::keywords::{Category, lookup};

/// An identifier, quoted when it must be.
pub(crate) fn quote(name: &str) -> String {
    let plain = !name.is_empty()
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && lookup(name).1 == Category::Unreserved;
    if plain { name.into() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn string(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

struct Writer<'a> {
    catalog: &'a dyn CatalogReader,
    column: &'a dyn Fn(u32) -> String,
    /// Element of an array coercion or of a subquery's test.
    element: Option<String>,
}

/// The text of an expression; columns are named by `column`.
pub(crate) fn expression(
    expr: &Expr,
    catalog: &dyn CatalogReader,
    column: &dyn Fn(u32) -> String,
) -> Result<String> {
    Writer { catalog, column, element: None }.expr(expr)
}

fn type_name(ty: SqlType) -> String {
    // `character` without a length would be read as character(1).
    if ty.oid == oid::BPCHAR && ty.typmod < 0 {
        return "bpchar".into();
    }
    if user::is_user(ty.oid) {
        return user::reference(ty.oid);
    }
    typeinfo::display(ty).into_owned()
}

impl Writer<'_> {
    fn list(&self, exprs: &[Expr]) -> Result<String> {
        let parts = exprs.iter().map(|e| self.expr(e)).collect::<Result<Vec<_>>>()?;
        Ok(parts.join(", "))
    }

    fn expr(&self, expr: &Expr) -> Result<String> {
        Ok(match expr {
            Expr::Const(value, ty) => self.constant(value, *ty)?,
            Expr::Column(id, _) => match &self.element {
                Some(element) => element.clone(),
                None => (self.column)(*id),
            },
            Expr::Param(n, _) => format!("${}", n + 1),
            Expr::Slot(n, _) => format!("${n}"),
            Expr::Call(call) => {
                // The types of the arguments are not written.
                let hidden = usize::from(call.function.described);
                let args = call.args.get(..call.args.len() - hidden.min(call.args.len()));
                self.call(call.function, args.unwrap_or_default(), call.ty)?
            }
            Expr::And(parts) => self.junction(parts, " AND ")?,
            Expr::Or(parts) => self.junction(parts, " OR ")?,
            Expr::Not(e) => format!("(NOT {})", self.expr(e)?),
            Expr::IsNull(e, true) => format!("({} IS NULL)", self.expr(e)?),
            Expr::IsNull(e, false) => format!("({} IS NOT NULL)", self.expr(e)?),
            Expr::IsTruth(e, wanted, negated) => {
                let not = if *negated { "NOT " } else { "" };
                let what = match wanted {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                format!("({} IS {not}{what})", self.expr(e)?)
            }
            Expr::Distinct(_, pair, not) => {
                let not = if *not { "NOT " } else { "" };
                format!("({} IS {not}DISTINCT FROM {})", self.expr(&pair[0])?, self.expr(&pair[1])?)
            }
            Expr::Case(case) => {
                let mut out = String::from("CASE");
                for (when, then) in &case.whens {
                    out.push_str(&format!(" WHEN {} THEN {}", self.expr(when)?, self.expr(then)?));
                }
                out.push_str(&format!(" ELSE {} END", self.expr(&case.otherwise)?));
                out
            }
            Expr::Coalesce(items, _) => format!("COALESCE({})", self.list(items)?),
            Expr::NullIf(_, pair) => format!("NULLIF({}, {})", self.expr(&pair[0])?, self.expr(&pair[1])?),
            Expr::Extreme(items, true, _) => format!("GREATEST({})", self.list(items)?),
            Expr::Extreme(items, false, _) => format!("LEAST({})", self.list(items)?),
            Expr::CoerceViaIo(e, ty) => self.cast(e, *ty)?,
            Expr::Relabel(e, ty) => match (&**e, ty.oid) {
                (Expr::Call(call), oid::TIMESTAMPTZ) if call.function.name == "now" => {
                    "CURRENT_TIMESTAMP".into()
                }
                _ => self.cast(e, *ty)?,
            },
            Expr::Domain(d) => format!("({})::{}", self.expr(&d.value)?, user::reference(d.oid)),
            Expr::ArrayCoerce(e, _, ty) => self.cast(e, *ty)?,
            Expr::ScalarArray(function, pair, any) => {
                let op = operator_of(function).unwrap_or(function.name);
                let quantifier = if *any { "ANY" } else { "ALL" };
                format!("({} {op} {quantifier} ({}))", self.expr(&pair[0])?, self.expr(&pair[1])?)
            }
            Expr::Array(items, _, ty) if items.is_empty() => format!("ARRAY[]::{}", type_name(*ty)),
            Expr::Array(items, _, _) => format!("ARRAY[{}]", self.list(items)?),
            Expr::Subscript(s) => {
                let base = self.expr(&s.array)?;
                let mut out = match s.array {
                    Expr::Column(..) | Expr::Param(..) => base,
                    _ => format!("({base})"),
                };
                for (lower, upper) in &s.indices {
                    let part = |e: &Option<Expr>| e.as_ref().map_or(Ok(String::new()), |e| self.expr(e));
                    if s.slice {
                        out.push_str(&format!("[{}:{}]", part(lower)?, part(upper)?));
                    } else {
                        out.push_str(&format!("[{}]", part(upper)?));
                    }
                }
                out
            }
            Expr::Row(items, ..) => format!("ROW({})", self.list(items)?),
            Expr::Field(e, n, _) => {
                let described = self.catalog.user_type(e.ty().oid)?;
                let name =
                    described.as_ref().and_then(|t| t.fields().get(*n as usize)).map(|f| quote(&f.name));
                let name = name.unwrap_or_else(|| format!("f{}", n + 1));
                format!("({}).{name}", self.expr(e)?)
            }
            Expr::SubPlan(plan) => match &plan.kind {
                SubPlanKind::Exists => "EXISTS(SubPlan)".into(),
                _ => "(SubPlan)".into(),
            },
            Expr::CurrentOf(name) => format!("CURRENT OF {}", quote(name)),
        })
    }

    fn junction(&self, parts: &[Expr], word: &str) -> Result<String> {
        let parts = parts.iter().map(|e| self.expr(e)).collect::<Result<Vec<_>>>()?;
        Ok(format!("({})", parts.join(word)))
    }

    /// `x::type`; anything but a plain name or literal in parentheses.
    fn cast(&self, e: &Expr, ty: SqlType) -> Result<String> {
        let inner = self.expr(e)?;
        let bare = inner.starts_with('(') && inner.ends_with(')') && balanced(&inner);
        Ok(if bare { format!("{inner}::{}", type_name(ty)) } else { format!("({inner})::{}", type_name(ty)) })
    }

    fn call(&self, function: &'static Function, args: &[Expr], ty: SqlType) -> Result<String> {
        if let Some(first) = args.first()
            && is_cast(function, first.ty(), ty, args.len())
        {
            if let (oid::DATE | oid::TIME | oid::TIMETZ | oid::TIMESTAMP, Expr::Relabel(inner, _)) =
                (ty.oid, first)
                && matches!(&**inner, Expr::Call(c) if c.function.name == "now")
                && ty.typmod < 0
            {
                return Ok(match ty.oid {
                    oid::DATE => "CURRENT_DATE",
                    oid::TIME => "LOCALTIME",
                    oid::TIMETZ => "CURRENT_TIME",
                    _ => "LOCALTIMESTAMP",
                }
                .into());
            }
            // Length coercion of a cast that was just written.
            return match first {
                Expr::Call(inner) if inner.ty.oid == ty.oid => match inner.args.first() {
                    Some(deep) if is_cast(inner.function, deep.ty(), inner.ty, inner.args.len()) => {
                        self.cast(deep, ty)
                    }
                    _ => self.cast(first, ty),
                },
                Expr::Relabel(inner, t) | Expr::CoerceViaIo(inner, t) if t.oid == ty.oid => {
                    self.cast(inner, ty)
                }
                Expr::Const(value, t) if t.oid == ty.oid => {
                    Ok(format!("{}::{}", self.plain_constant(value, *t)?, type_name(ty)))
                }
                _ => self.cast(first, ty),
            };
        }
        if let Some(op) = operator_of(function) {
            match args {
                [a, b] => return Ok(format!("({} {op} {})", self.expr(a)?, self.expr(b)?)),
                [a] => return Ok(format!("({op} {})", self.expr(a)?)),
                _ => {}
            }
        }
        if function.name == "extract"
            && let [Expr::Const(Value::Text(field), _), source] = args
        {
            return Ok(format!("EXTRACT({field} FROM {})", self.expr(source)?));
        }
        match function.name {
            "current_user" => return Ok("CURRENT_USER".into()),
            "session_user" => return Ok("SESSION_USER".into()),
            _ => {}
        }
        Ok(format!("{}({})", quote(function.name), self.list(args)?))
    }

    fn constant(&self, value: &Value, ty: SqlType) -> Result<String> {
        Ok(match value {
            Value::Null => format!("NULL::{}", type_name(ty)),
            Value::Bool(b) => b.to_string(),
            Value::Int4(n) if *n >= 0 => n.to_string(),
            Value::Int4(n) => format!("'{n}'::integer"),
            Value::Numeric(_) if ty.typmod < 0 => {
                let text = self.output(value, ty)?;
                let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
                if plain && (text.contains('.') || text.len() > 19) {
                    text
                } else {
                    format!("'{text}'::numeric")
                }
            }
            Value::Int8(place) if user::is_enum(ty.oid) => user::label_reference(ty.oid, *place),
            _ if ty.oid == oid::UNKNOWN => string(&self.output(value, ty)?),
            _ => format!("{}::{}", self.plain_constant(value, ty)?, type_name(ty)),
        })
    }

    /// The quoted text of a constant without its type.
    fn plain_constant(&self, value: &Value, ty: SqlType) -> Result<String> {
        if let (Value::Oid(n), oid::REGCLASS) = (value, ty.oid)
            && let Some(relation) = self.catalog.relation_by_oid(*n)?
        {
            let visible = self.catalog.relation(None, &relation.name)?;
            let name = match visible {
                Some(v) if v.oid == relation.oid => quote(&relation.name),
                _ => format!("{}.{}", quote(&relation.schema_name), quote(&relation.name)),
            };
            return Ok(string(&name));
        }
        Ok(string(&self.output(value, ty)?))
    }

    fn output(&self, value: &Value, ty: SqlType) -> Result<String> {
        let types = pg_catalog::user_types::gather(self.catalog, ty.oid)?;
        let settings = FormatSettings { types, ..FormatSettings::default() };
        Ok(pg_types::io::output_string(value, ty, &settings))
    }
}

/// True when the outermost parentheses belong together.
fn balanced(text: &str) -> bool {
    let mut depth = 0i32;
    let mut quoted = false;
    for (i, b) in text.bytes().enumerate() {
        match b {
            b'\'' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => {
                depth -= 1;
                if depth == 0 && i + 1 < text.len() {
                    return false;
                }
            }
            _ => {}
        }
    }
    true
}

fn is_cast(function: &'static Function, from: SqlType, to: SqlType, count: usize) -> bool {
    let cast = registry().cast(from.oid, to.oid);
    matches!(cast.map(|c| c.method), Some(pg_functions::CastMethod::Function(f)) if f == function.oid)
        && (count == 1 || from.oid == to.oid || to.typmod >= 0 || count > 1)
}

/// The operator that a function stands behind.
pub(crate) fn operator_of(function: &'static Function) -> Option<&'static str> {
    let mut found: Option<&'static str> = None;
    for operator in registry().operators().iter().filter(|o| o.function == function.oid) {
        let arity = if operator.left == 0 { 1 } else { 2 };
        if arity == function.args.len() && found.is_none_or(|f| operator.name.len() < f.len()) {
            found = Some(operator.name);
        }
    }
    found
}

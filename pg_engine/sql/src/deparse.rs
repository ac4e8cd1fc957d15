//! Canonical SQL text of expressions, in the style of `pg_get_expr`: operators fully parenthesised unless only needed
//! parentheses are wanted, literals cast to their types, names quoted where they must be. Queries are `ruleutils`'s.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
};

use pg_catalog::CatalogReader;
use pg_functions::{Function, registry};
use pg_plan::{
    expr::{Case, Expr, Subscript},
    routine::RoutineCall,
};
use pg_types::{Result, SqlType, Value, format::FormatSettings, oid, typeinfo, user};

use crate::{
    keywords::{Category, lookup},
    ruleutils::{Note, Scope},
};

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
    format!("'{quoted}'")
}

/// How text is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Parentheses only where they are needed.
    pub(crate) sparse: bool,
    /// Line breaks and indentation.
    pub(crate) indent: bool,
    /// Fields of a select list share lines of this many bytes; 0: each has its own, negative: no breaks.
    pub(crate) wrap: i32,
    /// Every relation with its schema, so that the text means the same whoever reads it.
    pub(crate) qualify: bool,
}

/// What column ids mean.
pub(crate) enum Source<'a> {
    /// Columns of one relation, and how expressions over them were written.
    Columns(&'a dyn Fn(u32) -> String, &'a [(Expr, Note)]),
    /// What a query's levels see.
    Query(Box<Scope<'a>>),
}

/// Text under construction.
pub(crate) struct Writer<'a> {
    pub(crate) catalog: &'a dyn CatalogReader,
    pub(crate) source: Source<'a>,
    pub(crate) out: String,
    pub(crate) style: Style,
    pub(crate) level: i32,
    /// Element of an array coercion or of a subquery's test.
    element: Option<String>,
}

/// What an expression stands in, as far as its parentheses depend on it.
#[derive(Clone, Copy)]
enum Within<'e> {
    /// An operator; true: as its left operand.
    Operator(Option<&'static str>, bool),
    And,
    Or,
    Not,
    /// A cast, or a function with a syntax of its own.
    Cast,
    /// Tests and the like.
    Other,
    /// A cast that hides casts to the same type below.
    Length(&'e Expr),
}

/// The text of an expression; columns are named by `column`.
pub(crate) fn expression(
    expr: &Expr,
    catalog: &dyn CatalogReader,
    column: &dyn Fn(u32) -> String,
) -> Result<String> {
    let style = Style { sparse: false, indent: false, wrap: -1, qualify: false };
    expression_in(expr, catalog, column, &[], style)
}

/// As [`expression`], laid out as wanted.
pub(crate) fn expression_in(
    expr: &Expr,
    catalog: &dyn CatalogReader,
    column: &dyn Fn(u32) -> String,
    notes: &[(Expr, Note)],
    style: Style,
) -> Result<String> {
    let mut writer = Writer::new(catalog, Source::Columns(column, notes), style);
    writer.expr(expr)?;
    Ok(writer.out)
}

pub(crate) fn type_name(ty: SqlType) -> String {
    // `character` without a length would be read as character(1).
    if ty.oid == oid::BPCHAR && ty.typmod < 0 {
        return "bpchar".into();
    }
    // So would `bit` be as bit(1).
    if ty.oid == oid::BIT && ty.typmod < 0 {
        return "\"bit\"".into();
    }
    if user::is_user(ty.oid) {
        return user::reference(ty.oid);
    }
    typeinfo::display(ty).into_owned()
}

/// A function's name, quoted also where it is the name of a construct.
fn function_name(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, name)) => format!("{}.{}", quote(schema), quote(name)),
        None => quote(name),
    }
}

impl<'a> Writer<'a> {
    pub(crate) fn new(catalog: &'a dyn CatalogReader, source: Source<'a>, style: Style) -> Self {
        Writer { catalog, source, out: String::new(), style, level: 0, element: None }
    }

    pub(crate) fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// A keyword that begins a line where there are lines; `before` and `after` change the indentation, `plus` adds to it once.
    pub(crate) fn keyword(&mut self, text: &str, before: i32, after: i32, plus: i32) {
        if !self.style.indent {
            return self.put(text);
        }
        self.level += before;
        self.trim();
        self.out.push('\n');
        let depth = self.level.max(0);
        let spaces = if depth < 40 { depth + plus } else { 40 + (depth - 40) / 4 % 40 + plus };
        (0..spaces).for_each(|_| self.out.push(' '));
        self.put(text);
        self.level = (self.level + after).max(0);
    }

    /// Takes trailing spaces away.
    pub(crate) fn trim(&mut self) {
        self.out.truncate(self.out.trim_end_matches(' ').len());
    }

    pub(crate) fn list(&mut self, exprs: &[Expr]) -> Result<()> {
        for (n, e) in exprs.iter().enumerate() {
            if n > 0 {
                self.put(", ");
            }
            self.expr(e)?;
        }
        Ok(())
    }

    /// The text of one expression apart from the rest.
    pub(crate) fn apart(&mut self, f: impl FnOnce(&mut Self) -> Result<()>) -> Result<String> {
        let before = core::mem::take(&mut self.out);
        let result = f(self);
        let text = core::mem::replace(&mut self.out, before);
        result.map(|()| text)
    }

    fn open(&mut self) {
        if !self.style.sparse {
            self.out.push('(');
        }
    }

    fn close(&mut self) {
        if !self.style.sparse {
            self.out.push(')');
        }
    }

    /// An operand, in parentheses if it needs them where it stands.
    fn operand(&mut self, e: &Expr, within: Within<'_>) -> Result<()> {
        let parentheses = self.style.sparse && !self.simple(e, within);
        if parentheses {
            self.out.push('(');
        }
        match (within, self.cast_of(e)) {
            (Within::Length(outer), Some((inner, ty))) if ty.oid == outer.ty().oid => {
                self.operand(inner, Within::Cast)?;
            }
            _ => self.expr(e)?,
        }
        if parentheses {
            self.out.push(')');
        }
        Ok(())
    }

    /// Does an expression stand without parentheses here?
    fn simple(&self, e: &Expr, within: Within<'_>) -> bool {
        match e {
            Expr::And(_) | Expr::Not(_) => matches!(within, Within::And | Within::Or),
            Expr::Or(_) => matches!(within, Within::Or),
            Expr::ScalarArray(..) => false,
            Expr::Relabel(..) if matches!(self.note(e), Some(Note::Collate(..))) => false,
            Expr::Relabel(inner, _) if !is_now(e) => self.simple(inner, Within::Cast),
            Expr::CoerceViaIo(inner, _) | Expr::ArrayCoerce(inner, ..) => self.simple(inner, Within::Cast),
            Expr::Distinct(_, _, true) => matches!(within, Within::And | Within::Or),
            Expr::IsNull(..) | Expr::IsTruth(..) | Expr::Distinct(..) | Expr::SubPlan(_) => {
                matches!(within, Within::And | Within::Or | Within::Not)
            }
            Expr::Call(call) => match self.operator_call(e) {
                None => true,
                Some(op) => {
                    if let Within::Operator(parent, left) = within {
                        let binary = call.args.len() == 2;
                        return match (op, parent) {
                            ("+" | "-", Some("+" | "-")) if binary => left,
                            ("*" | "/" | "%", Some("+" | "-")) if binary => true,
                            ("*" | "/" | "%", Some("*" | "/" | "%")) if binary => left,
                            _ => false,
                        };
                    }
                    matches!(within, Within::And | Within::Or | Within::Not)
                }
            },
            Expr::Slot(n, _) => match &self.source {
                Source::Query(scope) => scope.slots.get(n).is_none_or(|e| self.simple(e, within)),
                Source::Columns(..) => true,
            },
            _ => true,
        }
    }

    /// The operator that a call is written with.
    fn operator_call(&self, e: &Expr) -> Option<&'static str> {
        let Expr::Call(call) = e else { return None };
        if self.cast_of(e).is_some() || !matches!(call.args.len(), 1 | 2) {
            return None;
        }
        if matches!(self.note(e), Some(Note::Function)) {
            return None;
        }
        operator_of(call.function)
    }

    /// What a cast is of, and to.
    fn cast_of<'e>(&self, e: &'e Expr) -> Option<(&'e Expr, SqlType)> {
        match e {
            _ if is_now(e) || matches!(self.note(e), Some(Note::Collate(..))) => None,
            Expr::CoerceViaIo(inner, ty) | Expr::Relabel(inner, ty) | Expr::ArrayCoerce(inner, _, ty) => {
                Some((inner, *ty))
            }
            Expr::Call(call) => {
                let first = call.args.first()?;
                is_cast(call.function, first.ty(), call.ty, call.args.len()).then_some((first, call.ty))
            }
            _ => None,
        }
    }

    /// What the binder noted about how an expression was written.
    pub(crate) fn note(&self, e: &Expr) -> Option<&'a Note> {
        match &self.source {
            Source::Query(scope) => scope.notes.iter().find(|(n, _)| n.same(e)).map(|(_, note)| note),
            Source::Columns(_, notes) => notes.iter().find(|(n, _)| n.same(e)).map(|(_, note)| note),
        }
    }

    pub(crate) fn expr(&mut self, expr: &Expr) -> Result<()> {
        if self.special(expr)? {
            return Ok(());
        }
        match expr {
            Expr::Const(value, ty) => {
                let text = self.constant(value, *ty)?;
                self.put(&text);
            }
            Expr::Column(id, _) => self.column(*id)?,
            Expr::Param(n, _) => self.put(&format!("${}", n + 1)),
            Expr::Slot(n, _) => match &self.source {
                Source::Query(scope) if scope.slots.contains_key(n) => {
                    let inner = scope.slots.get(n).copied();
                    if let Some(inner) = inner {
                        self.expr(inner)?;
                    }
                }
                _ => self.put(&format!("${n}")),
            },
            Expr::Call(call) => {
                // What the binder added is not written.
                let hidden = usize::from(call.function.described || call.function.shaped);
                let args = call.args.get(..call.args.len() - hidden.min(call.args.len()));
                self.call(expr, call.function, args.unwrap_or_default())?;
            }
            Expr::Routine(call) => self.routine(call)?,
            Expr::And(parts) => self.junction(parts, " AND ", Within::And)?,
            Expr::Or(parts) => self.junction(parts, " OR ", Within::Or)?,
            Expr::Not(e) => {
                self.open();
                self.put("NOT ");
                self.operand(e, Within::Not)?;
                self.close();
            }
            Expr::IsNull(e, null) => self.test(e, if *null { " IS NULL" } else { " IS NOT NULL" })?,
            Expr::IsTruth(e, wanted, negated) => {
                let not = if *negated { "NOT " } else { "" };
                let what = match wanted {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                self.test(e, &format!(" IS {not}{what}"))?;
            }
            Expr::Distinct(_, pair, not) => {
                if *not {
                    self.open();
                    self.put("NOT ");
                }
                self.open();
                self.operand(&pair[0], Within::Other)?;
                self.put(" IS DISTINCT FROM ");
                self.operand(&pair[1], Within::Other)?;
                self.close();
                if *not {
                    self.close();
                }
            }
            Expr::Case(case) => {
                let operand = match self.note(expr) {
                    Some(Note::Operand(operand)) => Some(operand),
                    _ => None,
                };
                self.case(case, operand)?;
            }
            Expr::Coalesce(items, _) => self.wrapped("COALESCE(", items)?,
            Expr::NullIf(_, pair) => self.wrapped("NULLIF(", &pair[..])?,
            Expr::Extreme(items, greatest, _) => {
                self.wrapped(if *greatest { "GREATEST(" } else { "LEAST(" }, items)?;
            }
            Expr::CoerceViaIo(e, ty) | Expr::ArrayCoerce(e, _, ty) => self.cast(expr, e, *ty)?,
            Expr::Relabel(..) if let Some(Note::Collate(oid, e)) = self.note(expr) => {
                let name = match pg_catalog::builtin::rows::collation_name(*oid) {
                    Some(name) => quote(name),
                    None => user::collation_reference(*oid),
                };
                self.open();
                self.operand(e, Within::Cast)?;
                self.put(&format!(" COLLATE {name}"));
                self.close();
            }
            Expr::Relabel(_, _) if is_now(expr) => self.put("CURRENT_TIMESTAMP"),
            Expr::Relabel(e, ty) => self.cast(expr, e, *ty)?,
            Expr::Domain(d) => {
                self.open();
                self.operand(&d.value, Within::Cast)?;
                self.close();
                self.put(&format!("::{}", user::reference(d.oid)));
            }
            Expr::ScalarArray(function, pair, any) => {
                let op = operator_of(function).unwrap_or(function.name);
                self.open();
                self.operand(&pair[0], Within::Other)?;
                self.put(&format!(" {op} {} (", if *any { "ANY" } else { "ALL" }));
                self.operand(&pair[1], Within::Other)?;
                self.put(")");
                self.close();
            }
            Expr::Array(items, _, ty) if items.is_empty() => {
                self.put(&format!("ARRAY[]::{}", type_name(*ty)));
            }
            Expr::Array(items, ..) => {
                self.put("ARRAY[");
                self.list(items)?;
                self.put("]");
            }
            Expr::Subscript(s) => self.subscript(s)?,
            Expr::Row(items, _, ty) => {
                self.wrapped("ROW(", items)?;
                if ty.oid != oid::RECORD {
                    self.put(&format!("::{}", type_name(*ty)));
                }
            }
            Expr::Field(e, n, _) => {
                self.put("(");
                self.expr(e)?;
                let described = self.catalog.user_type(e.ty().oid)?;
                let field = described.as_ref().and_then(|t| t.fields().get(*n as usize));
                let name = match &**e {
                    _ if field.is_some() => field.map(|f| quote(&f.name)),
                    Expr::Call(c) => c.function.columns.get(*n as usize).map(|c| quote(c.0)),
                    Expr::Routine(c) => c.target.columns.get(*n as usize).map(|c| quote(&c.0)),
                    _ => None,
                };
                self.put(&format!(").{}", name.unwrap_or_else(|| format!("f{}", n + 1))));
            }
            Expr::SubPlan(plan) => self.subplan(plan)?,
            Expr::CurrentOf(c) => self.put(&format!("CURRENT OF {}", quote(&c.cursor))),
        }
        Ok(())
    }

    fn column(&mut self, id: u32) -> Result<()> {
        if let Some(element) = &self.element {
            let element = element.clone();
            self.put(&element);
            return Ok(());
        }
        match &self.source {
            Source::Columns(column, _) => {
                let text = column(id);
                self.put(&text);
                Ok(())
            }
            Source::Query(_) => self.query_column(id),
        }
    }

    fn wrapped(&mut self, opening: &str, items: &[Expr]) -> Result<()> {
        self.put(opening);
        self.list(items)?;
        self.put(")");
        Ok(())
    }

    fn test(&mut self, e: &Expr, what: &str) -> Result<()> {
        self.open();
        self.operand(e, Within::Other)?;
        self.put(what);
        self.close();
        Ok(())
    }

    fn case(&mut self, case: &Case, operand: Option<&Expr>) -> Result<()> {
        self.keyword("CASE", 0, 4, 0);
        if let Some(operand) = operand {
            self.put(" ");
            self.expr(operand)?;
        }
        let gap = if self.style.indent { "" } else { " " };
        for (when, then) in &case.whens {
            self.put(gap);
            self.keyword("WHEN ", 0, 0, 0);
            match when {
                Expr::Call(c) if operand.is_some() && c.args.len() == 2 => {
                    c.args.get(1).map_or(Ok(()), |value| self.expr(value))?;
                }
                _ => self.expr(when)?,
            }
            self.put(" THEN ");
            self.expr(then)?;
        }
        self.put(gap);
        self.keyword("ELSE ", 0, 0, 0);
        self.expr(&case.otherwise)?;
        self.put(gap);
        self.keyword("END", -4, 0, 0);
        Ok(())
    }

    fn subscript(&mut self, s: &Subscript) -> Result<()> {
        if s.assign.is_some() {
            return Err(pg_types::SqlError::unsupported(
                "an assignment to a part of a value in a stored expression",
            ));
        }
        let bare = match &s.array {
            // An aggregate's result has a number, too.
            Expr::Column(id, _) => match &self.source {
                Source::Query(scope) => !scope.computes(*id),
                Source::Columns(..) => true,
            },
            Expr::Param(..) | Expr::Slot(..) => true,
            _ => false,
        };
        if !bare {
            self.put("(");
        }
        self.expr(&s.array)?;
        if !bare {
            self.put(")");
        }
        for (lower, upper) in &s.indices {
            self.put("[");
            if let Some(lower) = lower {
                self.expr(lower)?;
            }
            if s.slice {
                self.put(":");
            }
            if let Some(upper) = upper {
                self.expr(upper)?;
            }
            self.put("]");
        }
        Ok(())
    }

    fn junction(&mut self, parts: &[Expr], word: &str, within: Within<'_>) -> Result<()> {
        self.open();
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                self.put(word);
            }
            self.operand(part, within)?;
        }
        self.close();
        Ok(())
    }

    /// `x::type`.
    fn cast(&mut self, whole: &Expr, e: &Expr, ty: SqlType) -> Result<()> {
        match e {
            Expr::Const(value, t) if t.oid == ty.oid && t.typmod < 0 => {
                let text = match value {
                    Value::Null => "NULL".into(),
                    _ => self.plain_constant(value, *t)?,
                };
                self.put(&text);
            }
            _ => {
                self.open();
                self.operand(e, Within::Length(whole))?;
                self.close();
            }
        }
        self.put(&format!("::{}", type_name(ty)));
        Ok(())
    }

    fn call(&mut self, whole: &Expr, function: &'static Function, args: &[Expr]) -> Result<()> {
        if let Some((first, ty)) = self.cast_of(whole) {
            if let Some(name) = self.clock(first, ty) {
                self.put(&name);
                return Ok(());
            }
            return self.cast(whole, first, ty);
        }
        if let Some(op) = self.operator_call(whole) {
            let known = Some(op).filter(|_| args.len() == 2);
            self.open();
            match args {
                [a, b] => {
                    self.operand(a, Within::Operator(known, true))?;
                    self.put(&format!(" {op} "));
                    self.operand(b, Within::Operator(known, false))?;
                }
                [a] => {
                    self.put(&format!("{op} "));
                    self.operand(a, Within::Operator(known, true))?;
                }
                _ => {}
            }
            self.close();
            return Ok(());
        }
        if function.name == "extract"
            && let [Expr::Const(Value::Text(field), _), source] = args
        {
            self.put(&format!("EXTRACT({field} FROM "));
            self.expr(source)?;
            self.put(")");
            return Ok(());
        }
        match function.name {
            "current_user" => {
                self.put("CURRENT_USER");
                return Ok(());
            }
            "session_user" => {
                self.put("SESSION_USER");
                return Ok(());
            }
            _ => {}
        }
        if let Some(Note::Syntax) = self.note(whole)
            && self.syntax(function.name, args)?
        {
            return Ok(());
        }
        self.put(&function_name(function.name));
        self.put("(");
        self.arguments(function, args)?;
        self.put(")");
        Ok(())
    }

    /// A call of a user's function: by number where it is stored, so that the function may get another name.
    fn routine(&mut self, call: &RoutineCall) -> Result<()> {
        self.routine_name(&call.target.routine)?;
        self.put("(");
        self.routine_arguments(&call.target.routine, &call.args)?;
        self.put(")");
        Ok(())
    }

    /// Arguments of a call of a user's function.
    pub(crate) fn routine_arguments(&mut self, routine: &pg_catalog::Routine, args: &[Expr]) -> Result<()> {
        let gathered = routine.variadic != 0;
        for (n, arg) in args.iter().enumerate() {
            if n > 0 {
                self.put(", ");
            }
            if gathered && n + 1 == args.len() {
                self.put("VARIADIC ");
            }
            self.expr(arg)?;
        }
        Ok(())
    }

    /// See [`Self::routine`].
    pub(crate) fn routine_name(&mut self, routine: &pg_catalog::Routine) -> Result<()> {
        let shown = matches!(&self.source, Source::Query(_)) && !self.style.qualify;
        if !shown {
            self.put(&user::routine_reference(routine.oid));
            return Ok(());
        }
        let name = quote(&routine.name);
        if self.catalog.searched().contains(&routine.schema) {
            self.put(&name);
        } else {
            self.put(&format!("{}.{name}", quote(&routine.schema_name)));
        }
        Ok(())
    }

    /// Arguments; the gathered ones of a variadic function say so.
    pub(crate) fn arguments(&mut self, function: &'static Function, args: &[Expr]) -> Result<()> {
        let gathered = function.gathered
            || function.variadic != 0
                && function.variadic != oid::ANY
                && args.len() == function.args.len()
                && args.last().is_some_and(|a| typeinfo::element_of(a.ty().oid) != 0);
        for (n, arg) in args.iter().enumerate() {
            if n > 0 {
                self.put(", ");
            }
            if gathered && n + 1 == args.len() {
                self.put("VARIADIC ");
            }
            // Where any type is taken a literal has none.
            if function.args.get(n).copied().unwrap_or(function.variadic) == oid::ANY
                && let Expr::Const(Value::Text(text), ty) = arg
                && ty.oid == oid::TEXT
            {
                self.put(&string(text));
                continue;
            }
            self.expr(arg)?;
        }
        Ok(())
    }

    /// CURRENT_DATE and its like, also with a precision.
    fn clock(&self, first: &Expr, ty: SqlType) -> Option<String> {
        if ty.typmod < 0 {
            return clock(first, ty).map(String::from);
        }
        let name = match self.cast_of(first) {
            Some((inner, to)) if to.oid == ty.oid => clock(inner, to)?,
            _ if is_now(first) && ty.oid == oid::TIMESTAMPTZ => "CURRENT_TIMESTAMP",
            _ => return None,
        };
        Some(format!("{name}({})", ty.typmod))
    }

    /// Functions that were written with the standard's syntax.
    fn syntax(&mut self, name: &str, args: &[Expr]) -> Result<bool> {
        if matches!(name, "normalize" | "is_normalized") {
            return self.normal_form(name == "normalize", args);
        }
        let (parts, order): (&[&str], &[usize]) = match (name, args.len()) {
            ("timezone", 2) => (&["(", " AT TIME ZONE ", ")"], &[1, 0]),
            ("overlaps", 4) => (&["((", ", ", ") OVERLAPS (", ", ", "))"], &[0, 1, 2, 3]),
            ("overlay", 3) => (&["OVERLAY(", " PLACING ", " FROM ", ")"], &[0, 1, 2]),
            ("overlay", 4) => (&["OVERLAY(", " PLACING ", " FROM ", " FOR ", ")"], &[0, 1, 2, 3]),
            ("position", 2) => (&["POSITION((", ") IN (", "))"], &[1, 0]),
            ("substring", 2) => (&["SUBSTRING(", " FROM ", ")"], &[0, 1]),
            ("substring", 3) => (&["SUBSTRING(", " FROM ", " FOR ", ")"], &[0, 1, 2]),
            ("btrim", 1) => (&["TRIM(BOTH FROM ", ")"], &[0]),
            ("btrim", 2) => (&["TRIM(BOTH ", " FROM ", ")"], &[1, 0]),
            ("ltrim", 1) => (&["TRIM(LEADING FROM ", ")"], &[0]),
            ("ltrim", 2) => (&["TRIM(LEADING ", " FROM ", ")"], &[1, 0]),
            ("rtrim", 1) => (&["TRIM(TRAILING FROM ", ")"], &[0]),
            ("rtrim", 2) => (&["TRIM(TRAILING ", " FROM ", ")"], &[1, 0]),
            ("current_user", 0) => (&["CURRENT_USER"], &[]),
            ("session_user", 0) => (&["SESSION_USER"], &[]),
            ("current_database", 0) => (&["CURRENT_CATALOG"], &[]),
            ("current_schema", 0) => (&["CURRENT_SCHEMA"], &[]),
            _ => return Ok(false),
        };
        for (n, part) in parts.iter().enumerate() {
            if n > 0
                && let Some(arg) = order.get(n - 1).and_then(|i| args.get(*i))
            {
                // The zone's two operands may need parentheses; the others stand between words.
                if name == "timezone" { self.operand(arg, Within::Cast)? } else { self.expr(arg)? }
            }
            self.put(part);
        }
        Ok(true)
    }

    /// The form is a word and not a text.
    fn normal_form(&mut self, call: bool, args: &[Expr]) -> Result<bool> {
        let (value, form) = match args {
            // The default, if it was written or not.
            [value, Expr::Const(Value::Text(form), _)] if &**form == "NFC" => (value, None),
            [value, Expr::Const(Value::Text(form), _)] => (value, Some(form)),
            [value] => (value, None),
            _ => return Ok(false),
        };
        self.put(if call { "NORMALIZE(" } else { "(" });
        self.expr(value)?;
        match (call, form) {
            (true, Some(form)) => self.put(&format!(", {form})")),
            (true, None) => self.put(")"),
            (false, Some(form)) => self.put(&format!(" IS {form} NORMALIZED)")),
            (false, None) => self.put(" IS NORMALIZED)"),
        }
        Ok(true)
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
                if plain && text.contains('.') { text } else { format!("'{text}'::numeric") }
            }
            Value::Int8(place) if user::is_enum(ty.oid) => user::label_reference(ty.oid, *place),
            _ if ty.oid == oid::UNKNOWN => string(&self.output(value, ty)?),
            _ => format!("{}::{}", self.plain_constant(value, ty)?, type_name(ty)),
        })
    }

    /// The quoted text of a constant without its type.
    pub(crate) fn plain_constant(&self, value: &Value, ty: SqlType) -> Result<String> {
        // By number: objects may get other names.
        if let Value::Oid(n) = value
            && user::is_object_type(ty.oid)
        {
            return Ok(format!("'{n}'"));
        }
        Ok(string(&self.output(value, ty)?))
    }

    fn output(&self, value: &Value, ty: SqlType) -> Result<String> {
        let types = pg_catalog::user_types::gather(self.catalog, ty.oid)?;
        let settings = FormatSettings { types, ..FormatSettings::default() };
        Ok(pg_types::io::output_string(value, ty, &settings))
    }
}

/// `now()` under the name CURRENT_TIMESTAMP.
fn is_now(e: &Expr) -> bool {
    matches!(e, Expr::Relabel(inner, ty) if ty.oid == oid::TIMESTAMPTZ
        && matches!(&**inner, Expr::Call(call) if call.function.name == "now"))
}

/// CURRENT_DATE and its like: casts of CURRENT_TIMESTAMP.
fn clock(e: &Expr, ty: SqlType) -> Option<&'static str> {
    if !is_now(e) || ty.typmod >= 0 {
        return None;
    }
    match ty.oid {
        oid::DATE => Some("CURRENT_DATE"),
        oid::TIME => Some("LOCALTIME"),
        oid::TIMETZ => Some("CURRENT_TIME"),
        oid::TIMESTAMP => Some("LOCALTIMESTAMP"),
        _ => None,
    }
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

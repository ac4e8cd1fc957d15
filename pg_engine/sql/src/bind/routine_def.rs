//! CREATE, ALTER, DROP of functions and procedures: types resolved, bodies checked.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{Argument, Relation, Routine, RoutineKind};
use pg_functions::Volatility;
use pg_plan::{
    expr::Expr,
    routine::{CreateRoutine, RoutineName, RoutineStatement},
    utility::Utility,
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, oid};
use sqlparser::ast as sq;

use super::{
    Binder, body,
    scope::Entry,
    types::{is_polymorphic, show},
};
use crate::ast::{self, RoutineBody, TypeRef};

/// 42P13.
fn invalid(text: impl Into<alloc::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState(*b"42P13"), text)
}

/// What the binder knows of a routine that is being made.
struct Signature {
    arguments: Vec<Argument>,
    defaults: Vec<String>,
    variadic: Oid,
    result: Oid,
    set: bool,
}

fn is_pseudo(ty: Oid) -> bool {
    pg_types::typeinfo::get(ty).is_some_and(|t| t.kind == b'p')
}

impl Binder<'_> {
    /// Any statement about routines.
    pub(super) fn routine_statement(&mut self, s: &ast::RoutineStatement) -> Result<Utility> {
        Ok(Utility::Routine(match s {
            ast::RoutineStatement::Create(c) => RoutineStatement::Create(Box::new(self.create_routine(c)?)),
            ast::RoutineStatement::Alter(name, change) => {
                RoutineStatement::Alter(self.routine_name(name, false)?, change.clone())
            }
            ast::RoutineStatement::Drop { names, if_exists, cascade } => RoutineStatement::Drop {
                names: names.iter().map(|n| self.routine_name(n, *if_exists)).collect::<Result<_>>()?,
                if_exists: *if_exists,
                cascade: *cascade,
            },
            ast::RoutineStatement::Comment(name, text) => {
                RoutineStatement::Comment(self.routine_name(name, false)?, text.clone())
            }
            ast::RoutineStatement::Grant(grant, names) => {
                let names = names.iter().map(|n| self.routine_name(n, false)).collect::<Result<_>>()?;
                let target = pg_plan::access::GrantTarget::Routines(names);
                return Ok(Utility::Grant(pg_plan::access::Grant { target, ..grant.clone() }));
            }
        }))
    }

    /// A routine as a statement names it.
    fn routine_name(&mut self, r: &ast::RoutineRef, if_exists: bool) -> Result<RoutineName> {
        let mut name = RoutineName {
            word: r.word,
            name: r.name.name.clone(),
            args: None,
            all: None,
            written: Vec::new(),
            missing: None,
        };
        let Some(list) = &r.args else { return Ok(name) };
        let (mut args, mut all) = (Vec::new(), Vec::new());
        for p in list {
            let ty = match self.type_of(&p.ty) {
                Ok(ty) => ty,
                Err(e) if if_exists && e.state() == SqlState::UNDEFINED_OBJECT => {
                    name.missing = Some(e.message().into());
                    return Ok(name);
                }
                Err(e) => return Err(e),
            };
            all.push(ty);
            name.written.push(written(&p.ty.ty, ty));
            if !matches!(p.mode, Some(b'o' | b't')) {
                args.push(ty);
            }
        }
        (name.args, name.all) = (Some(args), Some(all));
        Ok(name)
    }

    fn type_of(&mut self, t: &TypeRef) -> Result<Oid> {
        let Some(column) = &t.column else {
            return Ok(self.data_type(&t.ty).map_err(|e| e.at(t.at))?.oid);
        };
        let parts: Vec<&sq::Ident> = column.0.iter().map(super::part).collect::<Result<_>>()?;
        let (schema, table, name) = match parts.as_slice() {
            [table, name] => (None, *table, *name),
            [schema, table, name] => (Some(schema.value.clone()), *table, *name),
            _ => return Err(SqlError::syntax("improper %TYPE reference (too few dotted names)").at(t.at)),
        };
        let at = super::scope::at(table);
        let named = pg_plan::utility::ObjectName { schema, name: table.value.clone() };
        let relation: Arc<Relation> = self.relation(&ast::NameAt { name: named, only: false, at })?;
        let found = relation.live().find(|a| a.name == name.value);
        found.map(|a| a.declared.oid).ok_or_else(|| {
            let text = format!("column \"{}\" of relation \"{}\" does not exist", name.value, relation.name);
            SqlError::new(SqlState::UNDEFINED_COLUMN, text).at(t.at)
        })
    }

    fn signature(&mut self, c: &ast::CreateRoutine) -> Result<Signature> {
        let procedure = c.kind == RoutineKind::Procedure;
        let kind = c.kind.word();
        let mut s =
            Signature { arguments: Vec::new(), defaults: Vec::new(), variadic: 0, result: 0, set: false };
        let columns = c.table.iter().flatten().map(|p| (p, b't'));
        let all = c.parameters.iter().map(|p| (p, p.mode.unwrap_or(b'i'))).chain(columns);
        let mut outputs: Vec<Oid> = Vec::new();
        let mut inputs = 0;
        let mut defaults: Vec<(usize, &sq::Expr, Oid)> = Vec::new();
        for (p, mode) in all {
            let ty = self.type_of(&p.ty)?;
            if p.ty.set {
                let what = if procedure { "procedures" } else { "functions" };
                return Err(invalid(format!("{what} cannot accept set arguments")));
            }
            let input = matches!(mode, b'i' | b'b' | b'v');
            if s.variadic != 0 && input {
                return Err(invalid("VARIADIC parameter must be the last input parameter"));
            }
            if s.variadic != 0 && procedure {
                return Err(invalid("VARIADIC parameter must be the last parameter"));
            }
            if mode == b'v' {
                s.variadic = match ty {
                    oid::ANY => oid::ANY,
                    oid::ANYARRAY => oid::ANYELEMENT,
                    oid::ANYCOMPATIBLEARRAY => oid::ANYCOMPATIBLE,
                    other => body::element(other),
                };
                if s.variadic == 0 {
                    return Err(invalid("VARIADIC parameter must be an array"));
                }
            }
            if is_pseudo(ty) && !is_polymorphic(ty) && (input || ty != oid::RECORD) {
                let text = match input {
                    true => format!("SQL functions cannot have arguments of type {}", show(SqlType::new(ty))),
                    false => format!("SQL functions cannot return type {}", show(SqlType::new(ty))),
                };
                return Err(invalid(text));
            }
            if !p.name.is_empty() {
                // A name may be used for an input and again for a result that is none.
                let clash = s.arguments.iter().any(|a| {
                    let plain = |m: u8| matches!(m, b'i' | b'v');
                    let apart = plain(a.mode) && matches!(mode, b'o') || a.mode == b'o' && plain(mode);
                    a.name == p.name && !apart
                });
                if clash {
                    return Err(invalid(format!("parameter name \"{}\" used more than once", p.name)));
                }
            }
            match &p.default {
                Some(_) if !input => {
                    return Err(invalid("only input parameters can have default values"));
                }
                Some((e, _)) => defaults.push((inputs, e, ty)),
                None if input && !defaults.is_empty() => {
                    return Err(invalid(
                        "input parameters after one with a default value must also have defaults",
                    ));
                }
                None if !input && procedure && !defaults.is_empty() => {
                    return Err(invalid(
                        "procedure OUT parameters cannot appear after one with a default value",
                    ));
                }
                None => {}
            }
            inputs += usize::from(input);
            if matches!(mode, b'o' | b'b' | b't') {
                outputs.push(ty);
            }
            s.arguments.push(Argument { name: p.name.clone(), ty, mode });
        }
        for (_, e, ty) in defaults {
            s.defaults.push(self.default_of(e, ty)?);
        }
        let implied = match outputs.as_slice() {
            [] => None,
            _ if procedure => Some(oid::RECORD),
            [one] => Some(*one),
            _ => Some(oid::RECORD),
        };
        s.result = match (&c.result, implied) {
            (_, Some(ty)) if procedure => ty,
            (None, None) if procedure => oid::VOID,
            (None, Some(ty)) => {
                s.set = c.table.is_some();
                ty
            }
            (None, None) => return Err(invalid(format!("{kind} result type must be specified"))),
            (Some(t), implied) => {
                let ty = self.type_of(t)?;
                s.set = t.set;
                if let Some(implied) = implied
                    && implied != ty
                {
                    let shown = show(SqlType::new(implied));
                    return Err(invalid(format!(
                        "function result type must be {shown} because of OUT parameters"
                    )));
                }
                ty
            }
        };
        let bad =
            is_pseudo(s.result) && !is_polymorphic(s.result) && !matches!(s.result, oid::VOID | oid::RECORD);
        if bad {
            let shown = show(SqlType::new(s.result));
            return Err(invalid(format!("SQL functions cannot return type {shown}")));
        }
        refuse_undetermined(&s, &outputs)?;
        Ok(s)
    }

    fn default_of(&mut self, e: &sq::Expr, ty: Oid) -> Result<String> {
        let entry = Entry::without_columns();
        let bound = self.over_entry_untyped(e, entry)?;
        let from = bound.ty();
        let bound = if is_polymorphic(ty) {
            self.settle(bound)?
        } else {
            // What brings it to the parameter's type is found anew wherever it is used.
            let wanted = SqlType::new(ty);
            let coerced = self.try_coerce(bound.clone(), wanted, pg_functions::CastContext::Assignment)?;
            match coerced {
                Some(coerced) if from.oid == oid::UNKNOWN => coerced,
                Some(_) => bound,
                None => {
                    let text =
                        format!("argument of DEFAULT must be type {}, not type {}", show(wanted), show(from));
                    return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text));
                }
            }
        };
        if bound.has_subplan() {
            let text = "cannot use subquery in DEFAULT expression";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
        }
        let mut columns = false;
        bound.for_each_column(&mut |_| columns = true);
        if columns {
            return Err(SqlError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                "cannot use table references in parameter default value",
            ));
        }
        self.canonical(&bound, &[])
    }

    fn create_routine(&mut self, c: &ast::CreateRoutine) -> Result<CreateRoutine> {
        let language = match (&c.language, &c.body) {
            (Some(l), _) => l.as_str(),
            (None, Some(RoutineBody::Return(_) | RoutineBody::Atomic(_))) => "sql",
            _ => return Err(invalid("no language specified")),
        };
        let s = self.signature(c)?;
        if language != "sql" {
            return Err(match language {
                "internal" | "c" | "plpgsql" => SqlError::unsupported(format!("LANGUAGE {language}")),
                _ => SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("language \"{language}\" does not exist"),
                ),
            });
        }
        let o = &c.options;
        if o.rows.is_some() && !s.set {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "ROWS is not applicable when function does not return a set",
            ));
        }
        if c.kind == RoutineKind::Procedure {
            let attribute = o.volatility.is_some()
                || o.strict.is_some()
                || o.leakproof.is_some()
                || o.parallel.is_some()
                || o.cost.is_some()
                || o.rows.is_some();
            if attribute {
                return Err(invalid("invalid attribute in procedure definition"));
            }
        }
        let Some(given) = &c.body else { return Err(invalid("no function body specified")) };
        let inputs: Vec<Oid> = s.arguments.iter().filter(|a| a.is_input()).map(|a| a.ty).collect();
        let polymorphic = s.arguments.iter().any(|a| is_polymorphic(a.ty)) || is_polymorphic(s.result);
        let mut routine = Routine {
            oid: 0,
            name: c.name.name.name.clone(),
            schema: 0,
            schema_name: String::new(),
            owner: 0,
            kind: c.kind,
            aggregate: None,
            arguments: s.arguments.clone(),
            inputs: inputs.clone(),
            defaults: s.defaults.clone(),
            variadic: s.variadic,
            result: s.result,
            set: s.set,
            volatility: match o.volatility {
                Some(b'i') => Volatility::Immutable,
                Some(b's') => Volatility::Stable,
                _ => Volatility::Volatile,
            },
            strict: o.strict == Some(true),
            leakproof: false,
            definer: false,
            settings: Vec::new(),
            acl: None,
            source: String::new(),
            body: None,
            cost: 0.0,
            rows: 0.0,
        };
        let mut reads = Vec::new();
        match given {
            RoutineBody::Text(text, _) => routine.source.clone_from(text),
            RoutineBody::Return(_) | RoutineBody::Atomic(_) if polymorphic => {
                return Err(SqlError::new(
                    SqlState(*b"42P13"),
                    "SQL function with unquoted function body cannot have polymorphic arguments",
                ));
            }
            RoutineBody::Return(e) => {
                let types: Vec<Option<Oid>> =
                    self.value_types(&inputs)?.iter().map(|t| Some(t.oid)).collect();
                let target = self.declared_target(&routine, &inputs)?;
                let mut binder = Binder::new(self.catalog, self.format, self.source, &types);
                binder.routine = Some(body::scope_of(&target));
                let query = binder.return_value(e)?;
                let value = returned(query.body).ok_or_else(|| SqlError::unsupported("this RETURN"))?;
                reads.extend(query.relations.iter().map(|r| (*r, 0)));
                if value.has_subplan() {
                    return Err(SqlError::unsupported("RETURN with a subquery"));
                }
                routine.body = Some(format!("RETURN {}", self.canonical(&value, &[])?));
            }
            RoutineBody::Atomic(list) => {
                let target = self.declared_target(&routine, &inputs)?;
                let mut text = String::from("BEGIN ATOMIC\n");
                for (statement, source) in list {
                    let (stored, more) = self.stored_statement(statement, source, &target)?;
                    text.push(' ');
                    text.push_str(&stored);
                    text.push_str(";\n");
                    reads.extend(more);
                }
                text.push_str("END");
                routine.body = Some(text);
            }
        }
        reads.sort_unstable();
        reads.dedup();
        let origin = match given {
            RoutineBody::Text(_, from) => self.origin_of(*from),
            _ => None,
        };
        Ok(CreateRoutine {
            name: c.name.name.clone(),
            or_replace: c.or_replace,
            kind: c.kind,
            arguments: s.arguments,
            defaults: s.defaults,
            variadic: s.variadic,
            result: s.result,
            set: s.set,
            options: c.options.clone(),
            source: routine.source,
            body: routine.body,
            origin,
            reads,
        })
    }

    fn value_types(&self, inputs: &[Oid]) -> Result<Vec<SqlType>> {
        inputs.iter().map(|t| self.catalog.plain_type(SqlType::new(*t))).collect()
    }

    /// The routine as called with its declared types.
    fn declared_target(&self, routine: &Routine, inputs: &[Oid]) -> Result<pg_plan::routine::Resolved> {
        let types = self.value_types(inputs)?;
        self.routine_result(&Arc::new(routine.clone()), types, routine.result)
    }

    /// A statement of a body as it is stored, and what it reads.
    fn stored_statement(
        &mut self,
        statement: &ast::Ast,
        source: &str,
        target: &pg_plan::routine::Resolved,
    ) -> Result<(String, Vec<(Oid, i16)>)> {
        match statement {
            ast::Ast::Query(query) => {
                let (record, names) =
                    super::record::recorded_in(query, self.source, self.catalog, Some(target))?;
                let view = crate::ruleutils::ViewQuery::of(record, names);
                let text = view.stored(None, self.catalog)?;
                let mut reads: Vec<(Oid, i16)> = text.columns.clone();
                reads.extend(text.relations.iter().map(|r| (*r, 0)));
                Ok((text.text, reads))
            }
            ast::Ast::Return(e) => {
                let types: Vec<Option<Oid>> = target.inputs.iter().map(|t| Some(t.oid)).collect();
                let mut binder = Binder::new(self.catalog, self.format, self.source, &types);
                binder.routine = Some(body::scope_of(target));
                let value = returned(binder.return_value(e)?.body);
                let value = value.ok_or_else(|| SqlError::unsupported("this RETURN"))?;
                Ok((format!("SELECT {}", self.canonical(&value, &[])?), Vec::new()))
            }
            ast::Ast::Insert(..) | ast::Ast::Update(..) | ast::Ast::Delete(..) | ast::Ast::Merge(..) => {
                Err(SqlError::unsupported("a change in BEGIN ATOMIC").detail(format!("It is: {source}")))
            }
            _ => Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "utility statement is not yet supported in unquoted SQL function body",
            )),
        }
    }

    /// Where the body's string begins; see `CreateRoutine::origin`.
    fn origin_of(&self, from: usize) -> Option<(u32, bool)> {
        let literal = self.source.get(from..)?;
        let dollar = literal.starts_with('$');
        let start = if dollar {
            literal.get(1..)?.find('$')? + 2
        } else {
            1 + usize::from(literal.starts_with(['E', 'e', 'N', 'n']))
        };
        let before = self.source.get(..from + start)?.chars().count() as u32;
        Some((before, !dollar))
    }
}

/// A type as a statement named it: keywords stand for names of `pg_catalog`.
fn written(ty: &sq::DataType, oid: Oid) -> String {
    match ty {
        sq::DataType::Custom(..) | sq::DataType::Text | sq::DataType::Date | sq::DataType::Uuid => {
            format!("{ty}").to_ascii_lowercase()
        }
        _ => match pg_types::typeinfo::get(oid) {
            Some(t) if t.is_array() => {
                let element = pg_types::typeinfo::get(t.element).map_or("", |t| t.name);
                format!("pg_catalog.{element}[]")
            }
            Some(t) => format!("pg_catalog.{}", t.name),
            None => format!("{ty}"),
        },
    }
}

/// The expression of RETURN.
fn returned(body: pg_plan::statement::Body) -> Option<Expr> {
    match body {
        pg_plan::statement::Body::Select(pg_plan::logical::Logical::Project(_, mut columns)) => {
            columns.pop().map(|c| c.1)
        }
        _ => None,
    }
}

/// A polymorphic result needs a polymorphic parameter.
fn refuse_undetermined(s: &Signature, outputs: &[Oid]) -> Result<()> {
    let compatible =
        |t: Oid| matches!(t, oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLEARRAY | oid::ANYCOMPATIBLENONARRAY);
    let inputs: Vec<Oid> = s.arguments.iter().filter(|a| a.is_input()).map(|a| a.ty).collect();
    for ty in outputs.iter().copied().chain([s.result]).filter(|t| is_polymorphic(*t)) {
        let family = |t: &Oid| is_polymorphic(*t) && compatible(*t) == compatible(ty);
        if !inputs.iter().any(family) {
            let shown = show(SqlType::new(ty));
            let list = if compatible(ty) {
                "anycompatible, anycompatiblearray, anycompatiblenonarray, anycompatiblerange, or anycompatiblemultirange"
            } else {
                "anyelement, anyarray, anynonarray, anyenum, anyrange, or anymultirange"
            };
            return Err(invalid("cannot determine result data type")
                .detail(format!("A result of type {shown} requires at least one input of type {list}.")));
        }
    }
    Ok(())
}

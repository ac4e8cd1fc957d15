//! Utility statements: names and types resolved, expressions checked and turned into canonical text.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{IndexMethod, Relation, RelationKind};
use pg_functions::{FunctionKind, Volatility};
use pg_plan::{
    expr::{ColumnId, Expr},
    statement::{ExplainOptions, Query, Statement},
    utility::{self as u, Utility},
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, oid, typeinfo};
use sqlparser::ast as sq;

use super::{
    Binder,
    expr::start,
    index,
    scope::{Entry, EntryColumn, Place, at},
    types,
};
use crate::{
    ast::{self, Ast, NameAt},
    deparse,
    ruleutils::{Note, ViewQuery},
};

/// Most columns a table may have.
const MAX_COLUMNS: usize = 1600;

pub(super) fn entry(alias: &str, columns: &[(String, SqlType)]) -> Entry {
    let columns = columns
        .iter()
        .enumerate()
        .map(|(i, (name, ty))| EntryColumn {
            name: name.clone(),
            expr: Expr::Column(i as ColumnId, *ty),
            origin: (0, 0),
        })
        .collect();
    Entry { alias: alias.into(), schema: None, columns, scan: None, scalar: false, nullable: false }
}

pub(super) fn live_columns(relation: &Relation) -> Vec<(String, SqlType)> {
    relation.live().map(|a| (a.name.clone(), a.ty)).collect()
}

/// Some statements take queries that only read.
fn refuse_changes(query: &Query, what: &str) -> Result<()> {
    if !query.ctes.iter().any(|c| matches!(c, pg_plan::statement::Cte::Change(_))) {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("{what} must not contain data-modifying statements in WITH"),
    ))
}

/// One more column of a new table.
fn new_column(columns: &mut Vec<u::ColumnDef>, def: u::ColumnDef) -> Result<()> {
    let fault = if columns.iter().any(|c| c.name == def.name) {
        format!("column \"{}\" specified more than once", def.name)
    } else if super::scope::SYSTEM.iter().any(|s| s.0 == def.name) {
        format!("column name \"{}\" conflicts with a system column name", def.name)
    } else {
        columns.push(def);
        return Ok(());
    };
    Err(SqlError::new(SqlState::DUPLICATE_COLUMN, fault))
}

impl Binder<'_> {
    pub(super) fn explain(&mut self, options: &ExplainOptions, inner: &Ast) -> Result<Statement> {
        if let Ast::Execute { name, args } = inner {
            let execute = self.execute(name, args)?;
            return Ok(Statement::Utility(Box::new(Utility::ExplainExecute(execute, *options))));
        }
        let query = match inner {
            Ast::CreateTableAs(create) | Ast::CreateMaterializedView(create) => {
                let there = self.catalog.relation(create.name.schema.as_deref(), &create.name.name)?;
                if let Some(relation) = there.filter(|_| !create.if_not_exists) {
                    let text = format!("relation \"{}\" already exists", relation.name);
                    return Err(SqlError::new(SqlState::DUPLICATE_TABLE, text));
                }
                self.top_query(&create.query)?
            }
            Ast::Declare { query, .. } | Ast::SelectInto(query, ..) => self.top_query(query)?,
            other => match self.statement(other)? {
                Statement::Query(query) => query,
                _ => return Err(SqlError::unsupported("EXPLAIN of a utility statement")),
            },
        };
        Ok(Statement::Explain(query, *options))
    }

    pub(super) fn utility(&mut self, ast: &Ast) -> Result<Utility> {
        Ok(match ast {
            Ast::Ready(utility) => (**utility).clone(),
            Ast::Type(name, change) => self.type_statement(name, change)?,
            Ast::Unsupported(what) => return Err(SqlError::unsupported(what)),
            Ast::CreateTable(create) => Utility::CreateTable(self.create_table(create)?),
            Ast::CreateTableAs(create) => Utility::CreateTableAs(self.create_table_as(create)?),
            Ast::CreateTableAsExecute(create) => {
                Utility::CreateTableAsExecute(self.execute(&create.prepared, &create.args)?)
            }
            Ast::SelectInto(query, name, unlogged) => {
                let create = ast::CreateTableAs {
                    name: name.name.clone(),
                    if_not_exists: false,
                    columns: Vec::new(),
                    query: query.clone(),
                    with_data: true,
                    options: Vec::new(),
                    unlogged: *unlogged,
                    on_commit: u::OnCommit::Preserve,
                };
                Utility::CreateTableAs(self.create_table_as(&create)?)
            }
            Ast::CreateMaterializedView(create) => {
                Utility::CreateMaterializedView(Box::new(self.create_materialized_view(create)?))
            }
            Ast::Refresh { name, concurrently, with_data } => {
                Utility::Refresh(self.refresh(name, *concurrently, *with_data)?)
            }
            Ast::CreateIndex(create) => Utility::CreateIndex(self.create_index(create)?),
            Ast::CreateView(create) => Utility::CreateView(self.create_view(create)?),
            Ast::AlterTable(alter) => Utility::AlterTable(self.alter_table(alter)?),
            Ast::CreateSequence(name, if_not_exists, def) => Utility::CreateSequence(u::CreateSequence {
                name: name.clone(),
                if_not_exists: *if_not_exists,
                options: self.sequence(def)?,
            }),
            Ast::AlterSequence(name, if_exists, def) => Utility::AlterSequence(u::AlterSequence {
                name: name.clone(),
                if_exists: *if_exists,
                options: self.sequence(def)?,
            }),
            Ast::Policy(policy) => self.policy(policy)?,
            Ast::Routine(statement) => self.routine_statement(statement)?,
            Ast::Definition(statement) => self.definition(statement)?,
            Ast::Copy(copy) => Utility::Copy(self.copy(copy)?),
            Ast::Truncate { tables, restart_identity, cascade } => {
                let mut relations = Vec::with_capacity(tables.len());
                for name in tables {
                    let relation = self.relation(name)?;
                    self.must_be_table(&relation)?;
                    let heirs = if name.only { Vec::new() } else { self.descendants(&relation)? };
                    for r in core::iter::once(relation).chain(heirs) {
                        if !relations.iter().any(|k: &Arc<Relation>| k.oid == r.oid) {
                            relations.push(r);
                        }
                    }
                }
                Utility::Truncate(u::Truncate {
                    relations,
                    restart_identity: *restart_identity,
                    cascade: *cascade,
                })
            }
            Ast::Vacuum { targets, options } => Utility::Vacuum(u::Vacuum {
                targets: self.vacuum_targets(targets)?,
                analyze: options.analyze,
                full: options.full,
                freeze: options.freeze,
                verbose: options.verbose,
            }),
            Ast::Analyze(targets) => Utility::Analyze(self.vacuum_targets(targets)?),
            Ast::Cluster(None) => Utility::Cluster(None),
            Ast::Cluster(Some((name, index))) => {
                Utility::Cluster(Some((self.relation(name)?, index.clone())))
            }
            Ast::Reindex { name, index, concurrently, verbose } => {
                let relation = self.relation(name)?;
                let (wanted, what) = match index {
                    true => (relation.kind == RelationKind::Index, "an index"),
                    false => (relation.kind.is_indexable(), "a table or materialized view"),
                };
                if !wanted {
                    let message = format!("\"{}\" is not {what}", relation.name);
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
                }
                Utility::Reindex { relation, concurrently: *concurrently, verbose: *verbose }
            }
            Ast::Lock { tables, mode, nowait } => {
                let mut relations = Vec::with_capacity(tables.len());
                for name in tables {
                    relations.push(self.relation(name)?);
                }
                Utility::Lock(u::Lock { relations, mode: *mode, nowait: *nowait })
            }
            Ast::Prepare { name, types, statement } => {
                let mut oids = Vec::with_capacity(types.len());
                for ty in types {
                    let unknown = matches!(ty, sq::DataType::Custom(n, _) if format!("{n}") == "unknown");
                    oids.push(if unknown { 0 } else { self.data_type(ty)?.oid });
                }
                Utility::Prepare(u::Prepare { name: name.clone(), types: oids, statement: statement.clone() })
            }
            Ast::Execute { name, args } => Utility::Execute(self.execute(name, args)?),
            Ast::Declare { name, query, binary, scroll, hold } => {
                let mut bound = self.query(query)?;
                let marks = self.cursor_marks(&mut bound.plan);
                let query =
                    self.finish(pg_plan::statement::Body::Select(bound.plan), bound.columns, bound.origins)?;
                refuse_changes(&query, "DECLARE CURSOR")?;
                Utility::Declare(u::Declare {
                    name: name.clone(),
                    query,
                    binary: *binary,
                    scroll: *scroll,
                    hold: *hold,
                    marks,
                })
            }
            Ast::Query(_)
            | Ast::Call(_)
            | Ast::Return(_)
            | Ast::Insert(..)
            | Ast::Update(..)
            | Ast::Delete(..)
            | Ast::Merge(..)
            | Ast::WithInserts(..)
            | Ast::Explain(..) => {
                return Err(SqlError::internal("not a utility statement"));
            }
        })
    }

    fn execute(&mut self, name: &str, args: &[sq::Expr]) -> Result<u::Execute> {
        let empty = entry("", &[]);
        let mut bound = Vec::with_capacity(args.len());
        for arg in args {
            let e = match arg {
                // Left untyped: the prepared parameter says what it is.
                sq::Expr::Value(v)
                    if matches!(v.value, sq::Value::SingleQuotedString(_) | sq::Value::Null) =>
                {
                    self.in_entry(arg, empty.clone(), Place::Values)?
                }
                _ => self.over_entry(arg, empty.clone(), Place::Values, None)?,
            };
            bound.push(e);
        }
        Ok(u::Execute {
            name: name.into(),
            args: bound,
            places: args.iter().map(super::expr::start).collect(),
        })
    }

    /// As a default is bound: literals keep no type.
    pub(super) fn over_entry_untyped(&mut self, e: &sq::Expr, entry: Entry) -> Result<Expr> {
        self.in_entry(e, entry, Place::Default)
    }

    /// Binds without giving untyped literals a type.
    fn in_entry(&mut self, e: &sq::Expr, entry: Entry, place: Place) -> Result<Expr> {
        let frames = core::mem::take(&mut self.frames);
        self.frames.push(super::scope::Frame {
            entries: Vec::from([entry]),
            place: Some(place),
            ..super::scope::Frame::default()
        });
        let result = self.expr(e);
        self.frames = frames;
        result
    }

    fn must_be_table(&self, relation: &Relation) -> Result<()> {
        if relation.kind == RelationKind::Table {
            return Ok(());
        }
        Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a table", relation.name)))
    }

    fn vacuum_targets(&mut self, targets: &[(NameAt, Vec<sq::Ident>)]) -> Result<Vec<u::VacuumTarget>> {
        let mut out = Vec::with_capacity(targets.len());
        for (name, columns) in targets {
            let relation = self.relation(name)?;
            let mut attnums = Vec::with_capacity(columns.len());
            for ident in columns {
                let position = self.target_column(&relation, ident)?;
                attnums.extend(relation.live().nth(position).map(|a| a.attnum));
            }
            out.push(u::VacuumTarget { relation, columns: attnums });
        }
        Ok(out)
    }

    /// Canonical text of an expression over named columns.
    pub(super) fn canonical(&self, e: &Expr, columns: &[(String, SqlType)]) -> Result<String> {
        self.canonical_noted(e, columns, &[])
    }

    /// As [`Self::canonical`], of an expression that was written as notes tell.
    fn canonical_noted(
        &self,
        e: &Expr,
        columns: &[(String, SqlType)],
        notes: &[(Expr, Note)],
    ) -> Result<String> {
        let style = deparse::Style { sparse: false, indent: false, wrap: -1, qualify: false };
        let name =
            |i: u32| columns.get(i as usize).map_or_else(String::new, |(name, _)| deparse::quote(name));
        deparse::expression_in(e, self.catalog, &name, notes, style)
    }

    /// Binds so that what is found out about how expressions are written is kept.
    pub(super) fn with_notes<T>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Vec<(Expr, Note)>)> {
        let outer = self.record.replace(Box::default());
        let result = f(self);
        let record = core::mem::replace(&mut self.record, outer);
        Ok((result?, record.map(|r| r.notes).unwrap_or_default()))
    }

    pub(super) fn stored_text(
        &mut self,
        e: &sq::Expr,
        table: &str,
        columns: &[(String, SqlType)],
        place: Place,
        target: Option<SqlType>,
    ) -> Result<(String, Expr)> {
        let (bound, mut notes) =
            self.with_notes(|b| b.over_entry(e, entry(table, columns), place, target))?;
        let immutable = matches!(place, Place::IndexExpression | Place::IndexPredicate | Place::Generated);
        if immutable && !is_immutable(&bound) {
            let message = match place {
                Place::IndexPredicate => "functions in index predicate must be marked IMMUTABLE",
                Place::Generated => "generation expression is not immutable",
                _ => "functions in index expression must be marked IMMUTABLE",
            };
            return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message));
        }
        // What is assigned to a column is not written as a cast, which would cut it to its length.
        let plain = match (place, target) {
            (Place::Generated, Some(_)) => {
                let (plain, own) =
                    self.with_notes(|b| b.over_entry(e, entry(table, columns), place, None))?;
                notes = own;
                Some(plain)
            }
            _ => None,
        };
        let plain = plain.filter(|p| p.ty().oid != pg_types::oid::UNKNOWN);
        Ok((self.canonical_noted(plain.as_ref().unwrap_or(&bound), columns, &notes)?, bound))
    }

    pub(super) fn default_text(&mut self, e: &sq::Expr, column: &str, ty: SqlType) -> Result<String> {
        let (bound, notes) = self.with_notes(|b| b.over_entry_default(e, column, ty))?;
        self.canonical_noted(&bound, &[], &notes)
    }

    /// A default as it is kept: of the column's type only if it is a literal without one. What brings it to the column's
    /// type is found anew wherever it is used.
    pub(super) fn over_entry_default(&mut self, e: &sq::Expr, column: &str, ty: SqlType) -> Result<Expr> {
        let frames = core::mem::take(&mut self.frames);
        self.frames
            .push(super::scope::Frame { place: Some(Place::Default), ..super::scope::Frame::default() });
        let result = self.expr(e).map_err(|error| {
            if error.state() == SqlState::UNDEFINED_COLUMN {
                SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "cannot use column reference in DEFAULT expression",
                )
                .at(start(e))
            } else {
                error
            }
        });
        let result = result.and_then(|bound| {
            let from = bound.ty();
            let message = || {
                SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!(
                        "column \"{column}\" is of type {} but default expression is of type {}",
                        types::show(ty),
                        types::show(from)
                    ),
                )
                .hint("You will need to rewrite or cast the expression.")
            };
            let coerced = self.try_coerce(bound.clone(), ty, pg_functions::CastContext::Assignment)?;
            if coerced.is_none() {
                return Err(message());
            }
            if from.oid != oid::UNKNOWN {
                return Ok(bound);
            }
            self.implicit(bound, SqlType::new(ty.oid), start(e))
        });
        self.frames = frames;
        result
    }

    pub(super) fn column_type(&mut self, ty: &sq::DataType, name: &str, at: u32) -> Result<SqlType> {
        let ty = self.data_type(ty).map_err(|e| e.at(at))?;
        let info = typeinfo::get(ty.oid);
        if info.is_some_and(|t| t.kind == b'p') {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("column \"{name}\" has pseudo-type {}", types::show(ty)),
            ));
        }
        Ok(ty)
    }

    /// The collation of a column of this type.
    pub(super) fn column_collation(&mut self, ty: SqlType, named: Option<&sq::ObjectName>) -> Result<Oid> {
        let own = typeinfo::get(ty.oid).map_or(0, |t| t.collation);
        let Some(named) = named else { return Ok(own) };
        let found = self.collation(named)?;
        if self.type_collation(ty) == 0 {
            let text = format!("collations are not supported by type {}", types::show(ty));
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text).at(self.collate_at(named)));
        }
        Ok(found)
    }

    /// A column's definition and the constraints written at it.
    pub(super) fn column_def(
        &mut self,
        column: &ast::Column,
        table: &str,
    ) -> Result<(u::ColumnDef, Vec<ast::NamedConstraint>)> {
        let serial = types::serial(&column.ty);
        let ty = match serial {
            Some(ty) => SqlType::new(ty),
            None => self.column_type(&column.ty, &column.name.value, column.type_at)?,
        };
        let collation = self.column_collation(ty, column.collation.as_ref())?;
        self.column_of_type(column, table, serial, (ty, collation))
    }

    /// A column whose type is known.
    pub(super) fn column_of_type(
        &mut self,
        column: &ast::Column,
        table: &str,
        serial: Option<Oid>,
        (ty, collation): (SqlType, Oid),
    ) -> Result<(u::ColumnDef, Vec<ast::NamedConstraint>)> {
        let name = column.name.value.clone();
        let mut def = u::ColumnDef {
            name,
            ty,
            not_null: serial.is_some(),
            default: None,
            generated: 0,
            sequence: None,
            collation,
            compression: column.compression,
        };
        if column.compression != 0 && typeinfo::get(ty.oid).is_none_or(|t| t.storage == b'p') {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("column data type {} does not support compression", typeinfo::display(ty)),
            ));
        }
        if let Some(integer) = serial {
            let options = u::SequenceOptions { ty: Some(integer), ..u::SequenceOptions::default() };
            def.sequence = Some(u::OwnedSequence { identity: 0, options });
        }
        let (mut constraints, mut nullable) = (Vec::new(), false);
        for (constraint_name, option) in &column.options {
            match option {
                ast::ColumnOption::NotNull => def.not_null = true,
                ast::ColumnOption::Null => nullable = true,
                ast::ColumnOption::Default(e) => {
                    if def.default.is_some() || def.sequence.is_some() {
                        return Err(SqlError::syntax(format!(
                            "multiple default values specified for column \"{}\"",
                            def.name
                        ))
                        .at(at(&column.name)));
                    }
                    def.default = Some(self.default_text(e, &def.name, ty)?);
                }
                ast::ColumnOption::Identity(kind, options) => {
                    def.not_null = true;
                    let mut options = self.sequence(options)?;
                    self.identity_type(ty)?;
                    options.ty = Some(ty.oid);
                    def.sequence = Some(u::OwnedSequence { identity: *kind, options });
                }
                // Bound later, when all columns are known.
                ast::ColumnOption::Generated(_, place) => {
                    let wrong = match (&def.sequence, &def.default) {
                        _ if def.generated != 0 => Some("multiple generation clauses"),
                        (Some(s), _) if s.identity != 0 => Some("both identity and generation expression"),
                        (Some(_), _) | (_, Some(_)) => Some("both default and generation expression"),
                        _ => None,
                    };
                    if let Some(what) = wrong {
                        let text =
                            format!("{what} specified for column \"{}\" of table \"{table}\"", def.name);
                        return Err(SqlError::syntax(text).at(*place));
                    }
                    def.generated = b's';
                }
                ast::ColumnOption::Constraint(constraint) => {
                    let mut constraint = constraint.clone();
                    match &mut constraint {
                        ast::Constraint::Index { columns, primary, .. } => {
                            columns.push(column.name.clone());
                            def.not_null |= *primary;
                        }
                        ast::Constraint::Foreign(key) => key.columns.push(column.name.value.clone()),
                        ast::Constraint::Check { .. } => {}
                    }
                    constraints.push(ast::NamedConstraint { name: constraint_name.clone(), constraint });
                }
            }
        }
        if nullable && def.not_null {
            return Err(SqlError::syntax(format!(
                "conflicting NULL/NOT NULL declarations for column \"{}\"",
                def.name
            ))
            .at(at(&column.name)));
        }
        Ok((def, constraints))
    }

    pub(super) fn identity_type(&self, ty: SqlType) -> Result<()> {
        if matches!(ty.oid, oid::INT2 | oid::INT4 | oid::INT8) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "identity column type must be smallint, integer, or bigint",
        ))
    }

    fn create_table(&mut self, create: &ast::CreateTable) -> Result<u::CreateTable> {
        let table = &create.name.name;
        let mut inherited = self.inherited(&create.inherits)?;
        let mut columns: Vec<u::ColumnDef> = core::mem::take(&mut inherited.columns);
        let mut named: Vec<ast::NamedConstraint> = Vec::new();
        let (mut taken, mut likes) = (Vec::new(), Vec::new());
        let of = match &create.of {
            Some(name) => self.columns_of_type(name, &mut columns)?,
            None => 0,
        };
        // Where the columns that the statement defines itself are among all.
        let mut own = Vec::with_capacity(create.columns.len());
        for n in 0..=create.columns.len() {
            for (_, name, parts) in create.likes.iter().filter(|l| l.0 == n) {
                let likeness = self.likeness(name, *parts)?;
                for def in likeness.columns {
                    new_column(&mut columns, def)?;
                }
                taken.extend(likeness.constraints);
                likes.push(likeness.like);
            }
            if let Some(column) = create.columns.get(n).filter(|_| of != 0) {
                let at = columns.iter().position(|c| c.name == column.name.value);
                let (at, constraints) = self.typed_column(column, table, at, (&mut columns, &own))?;
                own.push(at);
                named.extend(constraints);
            } else if let Some(column) = create.columns.get(n) {
                let (def, constraints) = self.column_def(column, table)?;
                match inherited.merge(&mut columns, &def, n)? {
                    Some(at) => own.push(at),
                    None => {
                        own.push(columns.len());
                        new_column(&mut columns, def)?;
                    }
                }
                named.extend(constraints);
            }
        }
        if columns.len() > MAX_COLUMNS {
            return Err(SqlError::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("tables can have at most {MAX_COLUMNS} columns"),
            ));
        }
        named.extend(create.constraints.iter().cloned());
        let plain = |c: &u::ColumnDef| Ok((c.name.clone(), self.catalog.plain_type(c.ty)?));
        let shape: Vec<(String, SqlType)> = columns.iter().map(plain).collect::<Result<_>>()?;
        let generated = |c: &&u::ColumnDef| c.generated != 0;
        let computed: Vec<String> = columns.iter().filter(generated).map(|c| c.name.clone()).collect();
        for (column, at) in create.columns.iter().zip(&own) {
            let Some(def) = columns.get_mut(*at) else { continue };
            for (_, option) in &column.options {
                if let ast::ColumnOption::Generated(e, _) = option {
                    self.computed.clone_from(&computed);
                    let text = self.stored_text(e, table, &shape, Place::Generated, Some(def.ty));
                    self.computed.clear();
                    def.default = Some(text?.0);
                }
            }
        }
        let mut defs = Vec::with_capacity(named.len() + taken.len());
        for constraint in &named {
            let def = self.constraint(constraint, table, &shape)?;
            if !inherited.merge_check(&def)? {
                defs.push(def);
            }
        }
        defs.extend(taken);
        defs.extend(core::mem::take(&mut inherited.checks));
        let mut constraints = Vec::with_capacity(defs.len());
        let mut primary = false;
        for def in defs {
            if let u::ConstraintDefKind::Index { primary: true, columns: keys, .. } = &def.kind {
                if primary {
                    return Err(SqlError::new(
                        SqlState::INVALID_TABLE_DEFINITION,
                        format!("multiple primary keys for table \"{table}\" are not allowed"),
                    ));
                }
                primary = true;
                for column in columns.iter_mut().filter(|c| keys.contains(&c.name)) {
                    column.not_null = true;
                }
            }
            constraints.push(def);
        }
        Ok(u::CreateTable {
            name: create.name.clone(),
            if_not_exists: create.if_not_exists,
            columns,
            constraints,
            options: create.options.clone(),
            unlogged: create.unlogged,
            on_commit: create.on_commit,
            likes,
            inherits: inherited.finish()?,
            of,
        })
    }

    pub(super) fn constraint(
        &mut self,
        constraint: &ast::NamedConstraint,
        table: &str,
        shape: &[(String, SqlType)],
    ) -> Result<u::ConstraintDef> {
        let kind = match &constraint.constraint {
            ast::Constraint::Check { expr: e, not_valid, no_inherit } => {
                let (expression, bound) = self.stored_text(e, table, shape, Place::Check, None)?;
                let mut used: Vec<ColumnId> = Vec::new();
                bound.for_each_column(&mut |id| {
                    if !used.contains(&id) {
                        used.push(id);
                    }
                });
                let columns =
                    used.iter().filter_map(|id| shape.get(*id as usize)).map(|(n, _)| n.clone()).collect();
                let (not_valid, no_inherit) = (*not_valid, *no_inherit);
                u::ConstraintDefKind::Check { expression, columns, not_valid, no_inherit }
            }
            ast::Constraint::Foreign(key) => {
                if let Some(missing) = key.columns.iter().find(|c| !shape.iter().any(|(n, _)| n == *c)) {
                    let text =
                        format!("column \"{missing}\" referenced in foreign key constraint does not exist");
                    return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, text));
                }
                u::ConstraintDefKind::Foreign(key.clone())
            }
            ast::Constraint::Index {
                primary,
                columns,
                include,
                fillfactor,
                nulls_not_distinct,
                using_index,
                deferrable,
                deferred,
            } => {
                let names = |idents: &[sq::Ident]| -> Result<Vec<String>> {
                    let mut names: Vec<String> = Vec::with_capacity(idents.len());
                    for ident in idents {
                        let Some((_, ty)) = shape.iter().find(|(n, _)| *n == ident.value) else {
                            return Err(SqlError::new(
                                SqlState::UNDEFINED_COLUMN,
                                format!("column \"{}\" named in key does not exist", ident.value),
                            )
                            .at(at(ident)));
                        };
                        if names.contains(&ident.value) {
                            let which = if *primary { "primary key" } else { "unique" };
                            return Err(SqlError::new(
                                SqlState::DUPLICATE_COLUMN,
                                format!("column \"{}\" appears twice in {which} constraint", ident.value),
                            )
                            .at(at(ident)));
                        }
                        index::indexable(*ty, IndexMethod::BTree)?;
                        names.push(ident.value.clone());
                    }
                    Ok(names)
                };
                u::ConstraintDefKind::Index {
                    primary: *primary,
                    columns: names(columns)?,
                    include: names(include)?,
                    fillfactor: *fillfactor,
                    nulls_not_distinct: *nulls_not_distinct,
                    using_index: using_index.clone(),
                    deferrable: *deferrable,
                    deferred: *deferred,
                }
            }
        };
        Ok(u::ConstraintDef { name: constraint.name.clone(), kind })
    }

    fn create_table_as(&mut self, create: &ast::CreateTableAs) -> Result<u::CreateTableAs> {
        let query = self.declared_query(&create.query)?;
        let columns = self.result_columns(&query, &create.columns, false)?;
        Ok(u::CreateTableAs {
            name: create.name.clone(),
            if_not_exists: create.if_not_exists,
            columns,
            query,
            with_data: create.with_data,
            options: create.options.clone(),
            unlogged: create.unlogged,
            on_commit: create.on_commit,
        })
    }

    /// A query whose columns are to be declared as those of a relation.
    fn declared_query(&mut self, query: &sq::Query) -> Result<Query> {
        self.keeps_domains = true;
        let query = self.top_query(query);
        self.keeps_domains = false;
        query
    }

    fn result_columns(&self, query: &Query, names: &[sq::Ident], view: bool) -> Result<Vec<u::ColumnDef>> {
        let columns = &query.columns;
        if names.len() > columns.len() {
            return Err(SqlError::syntax("too many column names were specified"));
        }
        let mut defs: Vec<u::ColumnDef> = Vec::with_capacity(columns.len());
        for (i, column) in columns.iter().enumerate() {
            let name = names.get(i).map_or_else(|| column.name.clone(), |n| n.value.clone());
            if defs.iter().any(|d| d.name == name) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{name}\" specified more than once"),
                ));
            }
            if matches!(column.ty.oid, oid::RECORD | oid::RECORD_ARRAY) {
                return Err(SqlError::new(
                    SqlState::INVALID_TABLE_DEFINITION,
                    format!("column \"{name}\" has pseudo-type {}", types::show(column.ty)),
                ));
            }
            let collation = self.declared_collation(column, &name, view)?;
            defs.push(u::ColumnDef {
                name,
                ty: super::output_types::declared(&query.body, column),
                not_null: false,
                default: None,
                generated: 0,
                sequence: None,
                collation,
                compression: 0,
            });
        }
        Ok(defs)
    }

    fn create_view(&mut self, create: &ast::CreateView) -> Result<u::CreateView> {
        if selects_into(&create.query) {
            let text = "views must not contain SELECT INTO";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
        }
        let query = self.declared_query(&create.query)?;
        refuse_changes(&query, "views")?;
        let checked = create.options.iter().any(|o| o.0 == "check_option");
        let reason =
            super::updatable::fault(&create.query).or_else(|| super::updatable::fault_of(&query.body));
        if let Some(reason) = reason.filter(|_| checked) {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "WITH CHECK OPTION is supported only on automatically updatable views",
            )
            .hint(reason));
        }
        if !query.params.is_empty() {
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, "views must not contain parameters"));
        }
        let columns = self.result_columns(&query, &create.columns, true)?;
        let query = self.kept_query(&create.query, &columns)?;
        Ok(u::CreateView {
            name: create.name.clone(),
            or_replace: create.or_replace,
            columns,
            query,
            options: create.options.clone(),
        })
    }

    /// A view's query as it is stored, and what it reads.
    fn kept_query(&self, query: &sq::Query, columns: &[u::ColumnDef]) -> Result<u::KeptQuery> {
        let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
        let (record, own) = super::record::recorded(query, self.source, self.catalog)?;
        let stored = ViewQuery::of(record, own).stored(Some(&names), self.catalog)?;
        Ok(u::KeptQuery { text: stored.text, relations: stored.relations, reads: stored.columns })
    }

    fn create_materialized_view(&mut self, create: &ast::CreateTableAs) -> Result<u::CreateMaterializedView> {
        let table = self.create_table_as(create)?;
        if table.query.ctes.iter().any(|c| matches!(c, pg_plan::statement::Cte::Change(_))) {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "materialized views must not use data-modifying statements in WITH",
            ));
        }
        if !table.query.params.is_empty() {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "materialized views may not be defined using bound parameters",
            ));
        }
        let query = self.kept_query(&create.query, &table.columns)?;
        Ok(u::CreateMaterializedView { table, query })
    }

    fn refresh(&mut self, name: &NameAt, concurrently: bool, with_data: bool) -> Result<u::Refresh> {
        let relation = self.relation(name)?;
        if relation.kind != RelationKind::MaterializedView {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("\"{}\" is not a materialized view", relation.name),
            ));
        }
        Ok(u::Refresh { relation, concurrently, with_data })
    }

    pub(super) fn sequence(&mut self, def: &ast::SequenceDef) -> Result<u::SequenceOptions> {
        let mut options = def.options.clone();
        if let Some(ty) = &def.ty {
            let ty = self.data_type(ty)?.oid;
            if !matches!(ty, oid::INT2 | oid::INT4 | oid::INT8) {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "sequence type must be smallint, integer, or bigint",
                ));
            }
            options.ty = Some(ty);
        }
        if options.increment == Some(0) {
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "INCREMENT must not be zero"));
        }
        Ok(options)
    }
}

/// Is it a SELECT INTO?
pub(super) fn selects_into(query: &sq::Query) -> bool {
    let mut body = &*query.body;
    while let sq::SetExpr::SetOperation { left, .. } = body {
        body = left;
    }
    matches!(body, sq::SetExpr::Select(select) if select.into.is_some())
}

/// Does the text of a type's values depend on more than the value; or, read, the value on more than the text?
fn depends_on_settings(ty: pg_types::Oid, read: bool) -> bool {
    match typeinfo::get(ty) {
        _ if pg_types::user::is_user(ty) => true,
        Some(t) if t.is_array() || t.kind == b'p' || t.name.starts_with("reg") => true,
        _ => match ty {
            oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::MONEY => true,
            oid::TIME | oid::TIMETZ | oid::INTERVAL => read,
            _ => false,
        },
    }
}

fn is_immutable(e: &Expr) -> bool {
    !e.any(&mut |e| match e {
        // Their operand is made a text.
        Expr::Call(call) if matches!(call.function.name, "textanycat" | "anytextcat") => {
            call.args.iter().any(|a| depends_on_settings(a.ty().oid, false))
        }
        Expr::CoerceViaIo(inner, to) => {
            depends_on_settings(inner.ty().oid, false) || depends_on_settings(to.oid, true)
        }
        Expr::Call(call) => {
            call.function.volatility != Volatility::Immutable || call.function.kind != FunctionKind::Scalar
        }
        Expr::Routine(call) => call.target.routine.volatility != Volatility::Immutable,
        Expr::SubPlan(_) => true,
        _ => false,
    })
}

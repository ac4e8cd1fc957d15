//! The binder: names to columns, overloads to functions, trees to operators.
//!
//! One [`Binder`] serves one statement. Each query level is a [`scope::Frame`]; a name found in an outer frame becomes
//! a slot of every frame between, filled from the outer row.

mod access;
mod aggregate;
mod alter;
pub(crate) mod body;
mod call;
mod casts;
pub(crate) mod coerce;
mod collation;
mod conflict;
mod copy;
mod copy_options;
mod cte;
mod current_of;
mod definition;
mod dml;
mod expr;
mod from;
mod grouping;
mod hypothetical;
mod index;
mod inherit;
mod like;
mod literal;
mod locking;
mod merge;
mod named;
mod names;
mod operator;
mod output_types;
mod params;
mod parts;
mod policy;
mod postponed;
pub(crate) mod record;
mod recursive;
mod regproc;
mod resolve;
mod returning;
mod routine;
mod routine_def;
mod rows_from;
mod rowtype;
mod sample;
mod scope;
mod search;
mod select;
mod setop;
mod special;
mod statistics;
mod subquery;
mod table;
mod typed_table;
pub(crate) mod types;
mod updatable;
mod user_aggregate;
mod user_types;
mod utility;
mod value_from;
mod window;

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{CatalogReader, Relation};
use pg_plan::{
    expr::{ColumnId, Expr},
    logical::{Column, Logical},
    statement::{Body, Cte, Query, Statement},
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, format::FormatSettings};
use sqlparser::ast as sq;

use crate::{
    api::BindOptions,
    ast::{Ast, InsertClauses, NameAt},
    lexer::too_complex,
};
use scope::Frame;

/// Nesting of expressions and queries while binding. Frames of the binder take up to about 1 KiB of stack each.
const MAX_DEPTH: u32 = 480;

/// The state of binding one statement.
pub(crate) struct Binder<'a> {
    pub(crate) catalog: &'a dyn CatalogReader,
    casts: casts::Casts<'a>,
    pub(crate) format: &'a FormatSettings,
    /// The query string, for positions of operators.
    source: &'a str,
    params: Vec<Option<Oid>>,
    /// Parameters may be inferred; false inside stored expressions.
    params_allowed: bool,
    frames: Vec<Frame>,
    next_column: ColumnId,
    next_slot: u32,
    /// See [`pg_plan::expr::SubPlan::alike`].
    next_alike: u32,
    /// Columns referenced, by id: scans yield these only.
    used: Vec<bool>,
    scans: Vec<scope::Scan>,
    /// Scans of tables that others inherit from, by their first column: what they read besides.
    families: Vec<(ColumnId, Vec<Arc<Relation>>)>,
    /// Names and types of the fields of columns that are rows without a type of their own.
    shapes: Vec<(ColumnId, Vec<(String, SqlType)>)>,
    /// Domains without conditions are to be seen in what is bound, too.
    keeps_domains: bool,
    /// The heir that a view to be changed stands for, instead of the table below it.
    heir: Option<Arc<Relation>>,
    ctes: Vec<Cte>,
    /// Clauses of INSERTs in WITH, by the byte where they begin.
    inserts: Vec<(usize, InsertClauses)>,
    relations: Vec<Oid>,
    pub(crate) cacheable: bool,
    /// How many calls of volatile functions were bound.
    volatile_calls: u32,
    /// Where the aggregate bound last stands.
    aggregate_at: u32,
    depth: u32,
    /// The select list being bound may leave literals untyped: what takes its rows gives them a type.
    keep_unknown: bool,
    accesses: access::Accesses,
    collations: collation::Collations,
    /// What is refused when the statement is about to run: by row security, or for want of a collation.
    refused: Option<SqlError>,
    /// Tables whose policies are being bound.
    securing: Vec<Oid>,
    /// A policy is being made: tables stand for themselves.
    securing_off: bool,
    /// While a generation expression is bound: the generated columns, which it must not use.
    computed: Vec<String>,
    /// Work tables that what was bound reads, one for each mention.
    work_reads: Vec<u32>,
    /// A WITH query is being bound once more.
    again: bool,
    /// How tables of the FROM list are to be locked.
    locking: Vec<locking::Clause>,
    /// How the query about to be bound is to be locked by who uses it.
    pushed: Option<(u8, pg_plan::logical::LockWait)>,
    /// What the query bound last leaves to be locked.
    hoisted: Vec<pg_plan::logical::Locked>,
    /// Where string literals stand, for errors in reading them.
    literals: Vec<sqlparser::tokenizer::Location>,
    /// The routine whose body is being bound.
    routine: Option<body::Scope>,
    /// Bodies of functions may take the place of calls: what is bound is run, not stored.
    inlines: bool,
    /// Functions whose bodies are being put in place of calls, around this one.
    inside: Vec<Oid>,
    /// What is kept of the query to print it, if anything is.
    record: Option<alloc::boxed::Box<crate::ruleutils::Recorder>>,
}

/// A bound query level: the tree and its visible columns.
pub(crate) struct Bound {
    pub(crate) plan: Logical,
    pub(crate) columns: Vec<Column>,
    /// Stored column each result column is, if it is one.
    pub(crate) origins: Vec<(Oid, i16)>,
}

impl<'a> Binder<'a> {
    pub(crate) fn new(
        catalog: &'a dyn CatalogReader,
        format: &'a FormatSettings,
        source: &'a str,
        params: &[Option<Oid>],
    ) -> Self {
        Self {
            catalog,
            casts: casts::Casts::new(catalog),
            format,
            source,
            params: params.iter().map(|p| p.filter(|t| *t != 0 && *t != pg_types::oid::UNKNOWN)).collect(),
            params_allowed: true,
            frames: Vec::new(),
            next_column: 0,
            next_slot: 0,
            next_alike: 0,
            used: Vec::new(),
            scans: Vec::new(),
            families: Vec::new(),
            shapes: Vec::new(),
            keeps_domains: false,
            heir: None,
            ctes: Vec::new(),
            inserts: Vec::new(),
            relations: Vec::new(),
            cacheable: true,
            volatile_calls: 0,
            aggregate_at: 0,
            depth: 0,
            keep_unknown: false,
            accesses: access::Accesses::default(),
            collations: collation::Collations::default(),
            refused: None,
            securing: Vec::new(),
            securing_off: false,
            computed: Vec::new(),
            work_reads: Vec::new(),
            again: false,
            locking: Vec::new(),
            pushed: None,
            hoisted: Vec::new(),
            literals: Vec::new(),
            routine: None,
            inlines: false,
            inside: Vec::new(),
            record: None,
        }
    }

    /// A fresh column id.
    fn column_id(&mut self) -> ColumnId {
        let id = self.next_column;
        self.next_column += 1;
        id
    }

    fn column(&mut self, name: &str, ty: SqlType) -> Column {
        Column { id: self.column_id(), name: name.into(), ty }
    }

    /// Runs `f` one level deeper.
    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(too_complex());
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    fn depend(&mut self, relation: Oid) {
        if !self.relations.contains(&relation) {
            self.relations.push(relation);
        }
    }

    /// A relation that must exist.
    fn relation(&mut self, name: &NameAt) -> Result<Arc<Relation>> {
        let schema = name.name.schema.as_deref();
        if let Some(schema) = schema
            && !self.accesses.stored
        {
            self.catalog.check_schema(schema).map_err(|e| e.at(name.at))?;
        }
        match self.catalog.relation(schema, &name.name.name)? {
            Some(relation) => {
                self.depend(relation.oid);
                Ok(relation)
            }
            None => {
                let shown = match schema {
                    Some(schema) => format!("{schema}.{}", name.name.name),
                    None => name.name.name.clone(),
                };
                if let Some(error) = self.later_cte(&shown) {
                    return Err(error.at(name.at));
                }
                Err(SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist"))
                    .routine("parserOpenTable")
                    .at(name.at))
            }
        }
    }

    /// Wraps up a query.
    fn finish(&mut self, body: Body, columns: Vec<Column>, origins: Vec<(Oid, i16)>) -> Result<Query> {
        let denied = self.denied()?;
        Ok(Query {
            body,
            denied,
            columns,
            ctes: core::mem::take(&mut self.ctes),
            params: self.resolved_params()?,
            origins,
            slots: self.next_slot,
            column_ids: self.next_column,
            relations: core::mem::take(&mut self.relations),
            cacheable: self.cacheable,
        })
    }

    /// A SELECT at the top of a statement.
    fn top_query(&mut self, query: &sq::Query) -> Result<Query> {
        let bound = self.query(query)?;
        self.finish(Body::Select(bound.plan), bound.columns, bound.origins)
    }

    fn statement(&mut self, ast: &Ast) -> Result<Statement> {
        self.inlines = matches!(
            ast,
            Ast::Query(_)
                | Ast::Insert(..)
                | Ast::Update(..)
                | Ast::Delete(..)
                | Ast::Merge(..)
                | Ast::Explain(..)
                | Ast::Return(_)
        );
        Ok(match ast {
            Ast::Query(query) => Statement::Query(self.top_query(query)?),
            Ast::Call(f) => Statement::Query(self.call_procedure(f)?),
            Ast::Return(e) => Statement::Query(self.return_value(e)?),
            Ast::Insert(insert, with, clauses) => {
                Statement::Query(self.insert(insert, with.as_deref(), clauses)?)
            }
            Ast::Update(update, with) => Statement::Query(self.update(update, with.as_deref())?),
            Ast::Delete(delete, with) => Statement::Query(self.delete(delete, with.as_deref())?),
            Ast::Merge(merge, with, overriding) => {
                let merge = merge::Merge { merge, with: with.as_deref(), overriding };
                Statement::Query(self.merge(&merge)?)
            }
            Ast::WithInserts(inserts, inner) => {
                self.inserts = inserts.clone();
                return self.statement(inner);
            }
            Ast::Explain(options, inner) => return self.explain(options, inner),
            other => Statement::Utility(alloc::boxed::Box::new(self.utility(other)?)),
        })
    }
}

/// Binds a parsed statement.
pub(crate) fn statement(
    ast: &Ast,
    source: &str,
    catalog: &dyn CatalogReader,
    options: &BindOptions<'_>,
) -> Result<Statement> {
    Binder::new(catalog, options.format, source, options.param_types).statement(ast)
}

/// See [`crate::changeable_columns`].
pub(crate) fn changeable_columns(view: &Arc<Relation>, catalog: &dyn CatalogReader) -> Option<Vec<bool>> {
    let format = FormatSettings::default();
    let mut binder = Binder::new(catalog, &format, "", &[]);
    let (subject, ..) = binder.subject(view, "DELETE", None).ok()?;
    Some(subject.assignable())
}

/// Binds an expression over one relation's columns: column n of the relation is `Column(n − 1)`.
pub(crate) fn scalar(
    text: &str,
    relation: Option<&Relation>,
    target: Option<SqlType>,
    catalog: &dyn CatalogReader,
) -> Result<Expr> {
    let ast = crate::grammar::expression(text)?;
    let format = FormatSettings::default();
    let mut binder = Binder::new(catalog, &format, text, &[]);
    binder.params_allowed = false;
    binder.inlines = true;
    binder.stored_expression(&ast, relation, target)
}

/// The value of a name part.
fn part(part: &sq::ObjectNamePart) -> Result<&sq::Ident> {
    match part {
        sq::ObjectNamePart::Identifier(ident) => Ok(ident),
        _ => Err(SqlError::unsupported("a function as a name")),
    }
}

/// Names joined with dots.
fn dotted(idents: &[sq::Ident]) -> String {
    let parts: Vec<&str> = idents.iter().map(|i| i.value.as_str()).collect();
    parts.join(".")
}

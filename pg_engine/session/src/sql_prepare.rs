//! PREPARE and EXECUTE.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec, vec::Vec};

use pg_executor::{Cursor, ExecContext};
use pg_functions::{CastContext, CastMethod, registry};
use pg_plan::{
    expr::{Call, Expr},
    logical::{Column, Logical},
    statement::{Body, ExplainOptions, Query, ResultColumn, Statement},
    utility::{Execute, Prepare},
};
use pg_sql::ParsedStatement;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, io, oid, typeinfo};
use pg_wire::Encoder;

use crate::{
    portal::{Formats, Progress, Run},
    session::Session,
    statement::{Bound, CATALOG_TURNS, Plan, Prepared, Stored, never_still, no_transaction},
};

impl Session {
    /// `source`: the query string that PREPARE stands in.
    pub(crate) fn prepare_statement(&mut self, prepare: &Prepare, source: &Arc<str>) -> Result<()> {
        if self.statements.contains_key(prepare.name.as_str()) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_PREPARED_STATEMENT,
                format!("prepared statement \"{}\" already exists", prepare.name),
            ));
        }
        let declared: Vec<Option<Oid>> = prepare.types.iter().map(|t| Some(*t).filter(|t| *t != 0)).collect();
        let prepared = self.prepare(&prepare.statement, &declared)?;
        let made = pg_executor::Session::statement_timestamp(&self.env);
        let stored = Stored::new(&prepare.name, prepared, made, Some(source.clone()));
        self.statements.insert(prepare.name.as_str().into(), stored);
        Ok(())
    }

    fn prepared_plan(&self, execute: &Execute) -> Result<Arc<Plan>> {
        match &self.stored(&execute.name)?.prepared {
            Prepared::Query(plan) => Ok(plan.clone()),
            _ => Err(SqlError::unsupported("EXECUTE of a utility statement")),
        }
    }

    pub(crate) fn execute_columns(&mut self, execute: &Execute) -> Result<Option<Vec<ResultColumn>>> {
        let plan = self.prepared_plan(execute)?;
        Ok(Some(plan.planned.columns.clone()).filter(|c| !c.is_empty()))
    }

    pub(crate) fn execute_statement(
        &mut self,
        execute: &Execute,
        run: &mut Run,
        formats: &Formats,
        limit: u64,
        out: &mut Encoder,
    ) -> Result<Progress> {
        let plan = self.prepared_plan(execute)?;
        let params = self.execute_params(execute, &plan)?;
        let plan = self.suited(&plan, &params)?;
        if let Some(stored) = self.stored_mut(&execute.name) {
            stored.count(&plan);
        }
        *run = Run::query(&plan, params, None);
        self.drive(run, formats, limit, out)
    }

    /// CREATE TABLE AS EXECUTE; gives the tag.
    pub(crate) fn create_table_as_execute(
        &mut self,
        parsed: &ParsedStatement,
        execute: &Execute,
    ) -> Result<String> {
        let plan = self.prepared_plan(execute)?;
        let params = self.execute_params(execute, &plan)?;
        let Some(statement) = parsed.of_prepared(&plan.parsed) else {
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, "prepared statement is not a SELECT"));
        };
        let declared: Vec<Option<Oid>> = plan.planned.params.iter().map(|t| Some(t.oid)).collect();
        match self.bind(&statement, &declared)? {
            Bound::Utility(bound) => match *bound {
                Statement::Utility(utility) => self.engine_utility(&utility, &params),
                _ => Err(SqlError::internal("CREATE TABLE AS is a utility statement")),
            },
            Bound::Plan(_) => Err(SqlError::internal("CREATE TABLE AS is a utility statement")),
        }
    }

    pub(crate) fn explain_execute(
        &mut self,
        execute: &Execute,
        options: &ExplainOptions,
    ) -> Result<Vec<Vec<Option<String>>>> {
        let plan = self.prepared_plan(execute)?;
        let params = self.execute_params(execute, &plan)?;
        let plan = self.suited(&plan, &params)?;
        if let Some(stored) = self.stored_mut(&execute.name) {
            stored.count(&plan);
        }
        let engine = self.engine.clone();
        let mut force = false;
        for _ in 0..CATALOG_TURNS {
            let plan = self.fresh(&plan, force)?;
            let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
            if engine.lock_plan(txn, &plan.planned, plan.stamp.version)? {
                return self.explain_planned(
                    &plan.planned,
                    options,
                    &params,
                    pg_planner::Measured::default(),
                );
            }
            force = true;
        }
        Err(never_still())
    }

    /// Evaluates the arguments and turns them into the parameters' types.
    fn execute_params(&mut self, execute: &Execute, plan: &Plan) -> Result<Vec<Value>> {
        let types = &plan.planned.params;
        if types.len() != execute.args.len() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("wrong number of parameters for prepared statement \"{}\"", execute.name),
            )
            .detail(format!(
                "Expected {} parameters but got {}.",
                types.len(),
                execute.args.len()
            )));
        }
        if types.is_empty() {
            return Ok(Vec::new());
        }
        let args = execute.args.iter().zip(types).enumerate();
        let exprs: Vec<Expr> = args
            .map(|(i, (arg, ty))| {
                self.coerced(arg, *ty, i + 1).map_err(|e| match execute.places.get(i) {
                    Some(at) => e.at(*at),
                    None => e,
                })
            })
            .collect::<Result<_>>()?;
        self.evaluate(exprs)
    }

    fn coerced(&self, arg: &Expr, to: SqlType, n: usize) -> Result<Expr> {
        let to = self.env.plain_type(to)?;
        let from = arg.ty();
        if from.oid == to.oid {
            return Ok(arg.clone());
        }
        if from.oid == oid::UNKNOWN {
            return match arg {
                Expr::Const(Value::Null, _) => Ok(Expr::Const(Value::Null, to)),
                Expr::Const(text @ Value::Text(_), _) if pg_executor::text::needs_catalog(to.oid) => {
                    let text = Expr::Const(text.clone(), SqlType::new(oid::TEXT));
                    Ok(Expr::CoerceViaIo(Box::new(text), to))
                }
                Expr::Const(Value::Text(text), _) => {
                    io::input(to, text, &self.env.derived().format).map(|v| Expr::Const(v, to))
                }
                other => Ok(Expr::CoerceViaIo(Box::new(other.clone()), to)),
            };
        }
        let cast =
            registry::registry().cast(from.oid, to.oid).filter(|c| c.context <= CastContext::Assignment);
        match cast.map(|c| c.method) {
            Some(CastMethod::Binary) => Ok(Expr::Relabel(Box::new(arg.clone()), to)),
            Some(CastMethod::InOut) => Ok(Expr::CoerceViaIo(Box::new(arg.clone()), to)),
            Some(CastMethod::Function(f)) => {
                let function = registry::registry()
                    .function(f)
                    .filter(|f| f.args.len() == 1)
                    .ok_or_else(|| SqlError::internal("a cast's function is not usable here"))?;
                Ok(Expr::Call(Box::new(Call { function, args: vec![arg.clone()], ty: to })))
            }
            None if is_string(to.oid) => Ok(Expr::CoerceViaIo(Box::new(arg.clone()), to)),
            None => Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "parameter ${n} of type {} cannot be coerced to the expected type {}",
                    typeinfo::display(from),
                    typeinfo::display(to)
                ),
            )
            .hint("You will need to rewrite or cast the expression.")),
        }
    }

    /// Values of expressions without columns, by a query of their own.
    fn evaluate(&mut self, exprs: Vec<Expr>) -> Result<Vec<Value>> {
        let columns: Vec<(Column, Expr)> = exprs
            .into_iter()
            .zip(0..)
            .map(|(e, id)| (Column { id, name: String::new(), ty: e.ty() }, e))
            .collect();
        let result: Vec<Column> = columns.iter().map(|(c, _)| c.clone()).collect();
        let query = Query {
            denied: None,
            origins: vec![(0, 0); result.len()],
            column_ids: u32::try_from(result.len()).unwrap_or(u32::MAX),
            body: Body::Select(Logical::Project(Box::new(Logical::OneRow), columns)),
            columns: result,
            ctes: Vec::new(),
            params: Vec::new(),
            slots: 0,
            relations: Vec::new(),
            cacheable: false,
        };
        let engine = self.engine.clone();
        let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
        let reader = engine.reader(txn, &self.env)?;
        let planned = Arc::new(pg_planner::plan(query, &*reader, &self.env.derived().planner)?);
        drop(reader);
        let mut cursor = Cursor::new(&planned)?;
        let cx = ExecContext::new(&engine, &self.env, txn, &[]);
        cursor.open(&cx)?;
        while let Some(batch) = cursor.next(&cx)? {
            if let Some(row) = batch.nth_row(0) {
                return Ok(batch.row_values(row));
            }
        }
        Err(SqlError::internal("no row of arguments"))
    }
}

fn is_string(ty: Oid) -> bool {
    matches!(ty, oid::TEXT | oid::VARCHAR | oid::BPCHAR)
}

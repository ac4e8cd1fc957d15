//! Statements that run others: the script of CREATE EXTENSION, what CREATE SCHEMA puts into the schema. They are bound and planned
//! like any other.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::Ordering::Relaxed;

use pg_executor::{ExecContext, Script};
use pg_plan::{extension::ExtensionStatement, statement::Utility, utility::CreateSchema};
use pg_types::{Result, Value};
use pg_wire::Encoder;

use crate::{
    portal::{Formats, Run},
    session::Session,
    statement::{Bound, no_transaction},
};

impl Session {
    /// CREATE EXTENSION.
    pub(crate) fn create_extension(&mut self, statement: &ExtensionStatement) -> Result<()> {
        self.tx.used = true;
        let engine = self.engine.clone();
        let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
        let Some(script) = Script::of(statement, &ExecContext::new(&engine, &self.env, txn, &[]))? else {
            return Ok(());
        };
        txn.set_extension(Some(script.extension));
        let role = script.role.map(|oid| (oid, self.env.role_name(oid)));
        self.env.enter_script(script.schema, role);
        let done = self.run_script(script.text);
        pg_executor::Session::leave_routine(&self.env);
        if let Some(txn) = &mut self.tx.txn {
            txn.set_extension(None);
        }
        if let ExtensionStatement::Create { name, .. } = statement
            && name == pg_executor::STATEMENTS
        {
            self.database.counts_statements.store(true, Relaxed);
        }
        done
    }

    /// CREATE SCHEMA with what is in it.
    pub(crate) fn create_schema(&mut self, mut schema: CreateSchema, params: &[Value]) -> Result<()> {
        let elements = core::mem::take(&mut schema.elements);
        let name = match (&schema.owner, schema.name.is_empty()) {
            (Some(owner), true) => {
                schema.name = self.env.named_role(owner)?;
                schema.name.clone()
            }
            _ => schema.name.clone(),
        };
        let owner = schema.owner.clone();
        self.engine_utility(&Utility::CreateSchema(schema), params)?;
        // The new schema is the first place to look in, and its owner acts.
        let mut path = pg_executor::Session::search_path(&self.env);
        path.insert(0, name);
        let role = match &owner {
            Some(owner) => {
                let name = self.env.named_role(owner)?;
                self.env.role_oid(&name).map(|oid| (oid, name))
            }
            None => None,
        };
        self.env.enter_path(path, role);
        let mut done = Ok(());
        for element in &elements {
            done = self.run_script(element);
            if done.is_err() {
                break;
            }
        }
        pg_executor::Session::leave_routine(&self.env);
        done
    }

    /// Runs statements inside the one that is under way; their results and notices go nowhere.
    fn run_script(&mut self, text: &str) -> Result<()> {
        let mut out = Encoder::new();
        for statement in pg_sql::parse(text)? {
            let mut run = match self.bind(&statement, &[])? {
                Bound::Plan(plan) => Run::query(&Arc::clone(&plan), Vec::new(), None),
                Bound::Utility(bound) => self.start_utility(&statement, *bound)?,
            };
            self.drive(&mut run, &Formats::Text, 0, &mut out)?;
            out.clear();
        }
        Ok(())
    }
}

//! What a session keeps about routines: plans of bodies, and who acts while they run.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::cell::RefCell;

use hashbrown::HashMap;
use pg_catalog::{CatalogReader, Routine};
use pg_plan::{
    routine::{PlannedBody, Resolved, Step},
    statement::Statement,
};
use pg_types::{Oid, Result, SqlError, SqlState};

use crate::settings::Derived;

/// Most routines inside each other. A call takes up to some tens of kilobytes of a worker's stack.
const MAX_DEPTH: usize = 50;
/// Most plans that are kept.
const MAX_PLANS: usize = 500;

/// For which calls, and in whose name, a body was planned.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    routine: Oid,
    inputs: Vec<Oid>,
    result: Oid,
    columns: Vec<Oid>,
    user: Oid,
    path: Vec<String>,
}

/// A plan, and what it was made under.
struct Kept {
    version: u64,
    plan_key: u64,
    body: Arc<PlannedBody>,
}

/// A routine that runs.
struct Acting {
    /// In whose name, if not the caller's: oid and name.
    user: Option<(Oid, String)>,
    path: Option<Vec<String>>,
    /// Settings as they were before.
    before: Vec<(String, String)>,
}

/// See the module.
#[derive(Default)]
pub struct Routines {
    plans: RefCell<HashMap<Key, Kept>>,
    acting: RefCell<Vec<Acting>>,
}

/// The schemas that the text of `search_path` names.
fn schemas(text: &str, user: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .map(|s| s.strip_prefix('"').and_then(|s| s.strip_suffix('"')).unwrap_or(s))
        .filter(|s| !s.is_empty())
        .map(|s| if s == "$user" { user.into() } else { s.replace("\"\"", "\"") })
        .collect()
}

impl Routines {
    /// In whose name things are done, if not the session's.
    pub fn user(&self) -> Option<(Oid, String)> {
        self.acting.borrow().iter().rev().find_map(|a| a.user.clone())
    }
    /// The search path, if not the session's.
    pub fn path(&self) -> Option<Vec<String>> {
        self.acting.borrow().iter().rev().find_map(|a| a.path.clone())
    }
    /// Enters a routine. `name` tells the name of its owner, `user` the current user's; `assign` gives a setting a value
    /// and returns the one before.
    pub fn enter(
        &self,
        routine: &Routine,
        name: impl FnOnce() -> String,
        user: impl FnOnce() -> String,
        assign: &dyn Fn(&str, &str) -> Result<String>,
    ) -> Result<()> {
        if self.acting.borrow().len() >= MAX_DEPTH {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
                .hint("Functions call each other more deeply than a worker's stack can hold."));
        }
        let mut acting = Acting { user: None, path: None, before: Vec::new() };
        if routine.definer {
            acting.user = Some((routine.owner, name()));
        }
        if !routine.settings.is_empty() {
            let user = acting.user.as_ref().map_or_else(user, |u| u.1.clone());
            for (name, value) in &routine.settings {
                acting.before.push((name.clone(), assign(name, value)?));
                if name == "search_path" {
                    acting.path = Some(schemas(value, &user));
                }
            }
        }
        self.acting.borrow_mut().push(acting);
        Ok(())
    }
    /// Enters a script whose objects go to a schema, and that acts in the name of a role, if one is given.
    pub fn enter_script(&self, schema: String, user: Option<(Oid, String)>) {
        self.enter_path(alloc::vec![schema], user);
    }
    /// Enters a script that looks for names in these schemas.
    pub fn enter_path(&self, path: Vec<String>, user: Option<(Oid, String)>) {
        self.acting.borrow_mut().push(Acting { user, path: Some(path), before: Vec::new() });
    }
    /// Acts in the name of a role.
    pub fn enter_role(&self, role: Oid, name: String) {
        self.acting.borrow_mut().push(Acting { user: Some((role, name)), path: None, before: Vec::new() });
    }
    /// Leaves all: a panic went through them, and nobody may go on in their owners' names.
    pub fn leave_all(&self, assign: &dyn Fn(&str, &str) -> Result<String>) {
        while !self.acting.borrow().is_empty() {
            self.leave(assign);
        }
    }
    /// Leaves the routine entered last.
    pub fn leave(&self, assign: &dyn Fn(&str, &str) -> Result<String>) {
        let Some(acting) = self.acting.borrow_mut().pop() else { return };
        for (name, value) in acting.before.iter().rev() {
            // It had this value before: it is a good one.
            let _ = assign(name, value);
        }
    }

    /// The plan of a body. `shared`: the version of the catalogs, if everyone sees them so.
    pub fn plan(
        &self,
        catalog: &dyn CatalogReader,
        target: &Arc<Resolved>,
        shared: Option<u64>,
        path: Vec<String>,
        settings: &Derived,
    ) -> Result<Arc<PlannedBody>> {
        let key = Key {
            routine: target.routine.oid,
            inputs: target.inputs.iter().map(|t| t.oid).collect(),
            result: target.result.oid,
            columns: target.columns.iter().map(|c| c.1.oid).collect(),
            user: catalog.user(),
            path,
        };
        if let Some(version) = shared
            && let Some(kept) = self.plans.borrow().get(&key)
            && kept.version == version
            && kept.plan_key == settings.plan_key
        {
            return Ok(kept.body.clone());
        }
        let (body, cacheable) = make(catalog, target, settings)?;
        let body = Arc::new(body);
        if let Some(version) = shared.filter(|_| cacheable) {
            let mut plans = self.plans.borrow_mut();
            if plans.len() >= MAX_PLANS {
                plans.clear();
            }
            plans.insert(key, Kept { version, plan_key: settings.plan_key, body: body.clone() });
        }
        Ok(body)
    }
}

fn make(catalog: &dyn CatalogReader, target: &Resolved, settings: &Derived) -> Result<(PlannedBody, bool)> {
    let bound = pg_sql::bind_body(target, catalog, &settings.format)?;
    let mut steps = Vec::with_capacity(bound.statements.len());
    let mut cacheable = true;
    for (statement, tag) in bound.statements {
        steps.push(match statement {
            Statement::Query(query) => {
                cacheable &= query.cacheable;
                Step::Query(Arc::new(pg_planner::plan(query, catalog, &settings.planner)?))
            }
            Statement::Utility(utility) => {
                cacheable = false;
                if !pg_executor::runs_in_routines(&utility) {
                    return Err(SqlError::unsupported(alloc::format!("{tag} in a function")));
                }
                Step::Utility(utility, tag)
            }
            Statement::Explain(..) => return Err(SqlError::unsupported("EXPLAIN in a function")),
        });
    }
    Ok((PlannedBody { steps, shape: bound.shape, convert: bound.convert }, cacheable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn nobody_goes_on_in_an_owners_name_after_a_panic() {
        let routines = Routines::default();
        routines.enter_script("a".to_string(), Some((10, "owner".to_string())));
        routines.enter_script("b".to_string(), None);
        assert_eq!(routines.user().map(|u| u.0), Some(10));
        routines.leave_all(&|_, value| Ok(value.to_string()));
        assert_eq!((routines.user(), routines.path()), (None, None));
    }
}

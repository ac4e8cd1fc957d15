//! Plans for the values of a statement's parameters.
//!
//! A plan for any values cannot know that a value is rare, that a partial index holds it, how many rows LIMIT wants. As PostgreSQL
//! does, a statement whose plan might be another one for other values is planned for the values at hand the first five times, and
//! from then on whenever those plans, planning included, were cheaper on the average than the one for any values
//! (`choose_custom_plan` in PostgreSQL's plancache is the source of rule and figures). All sessions that share a plan count together.

use alloc::{boxed::Box, sync::Arc};

use pg_plan::statement::Query;
use pg_planner::PlannerSettings;
use pg_types::{Result, Value};
use platform::sync::{Mutex, OnceLock};

use crate::{
    session::Session,
    statement::{Plan, no_transaction},
};

/// Plans for values that are made before costs are compared.
const TRIALS: u32 = 5;
/// What planning costs for each relation, and one more, in operators.
const PLANNING: f64 = 1000.0;

/// `plan_cache_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlanCacheMode {
    /// By costs.
    #[default]
    Auto,
    /// Always the plan for any values.
    Generic,
    /// Always a plan for the values.
    Custom,
}

/// What a plan for any values could be replaced by.
pub struct Custom {
    query: Query,
    /// Plans made for values, and what they cost together.
    made: Mutex<(u32, f64)>,
}

impl Custom {
    /// Of a query whose plan might be another one for other values.
    pub fn new(query: Query) -> Box<Self> {
        Box::new(Self { query, made: Mutex::new((0, 0.0)) })
    }

    /// The same, of which no plans were made.
    pub fn again(&self) -> Box<Self> {
        Self::new(self.query.clone())
    }

    fn is_wanted(&self, generic: &Plan, mode: PlanCacheMode) -> bool {
        match mode {
            PlanCacheMode::Generic => false,
            PlanCacheMode::Custom => true,
            PlanCacheMode::Auto => {
                let (made, cost) = *self.made.lock();
                made < TRIALS || generic.planned.root.estimate.total >= cost / f64::from(made)
            }
        }
    }

    fn note(&self, plan: &Plan, settings: &PlannerSettings) {
        let relations = plan.planned.relations.len() as f64 + 1.0;
        let cost = plan.planned.root.estimate.total + PLANNING * settings.cpu_operator_cost * relations;
        let mut made = self.made.lock();
        *made = (made.0.saturating_add(1), made.1 + cost);
    }
}

impl Session {
    /// The plan to run a statement by with these values of its parameters.
    #[inline]
    pub(crate) fn suited(&mut self, plan: &Arc<Plan>, values: &[Value]) -> Result<Arc<Plan>> {
        match &plan.custom {
            Some(_) => self.for_values(plan, values),
            None => Ok(plan.clone()),
        }
    }

    fn for_values(&mut self, plan: &Arc<Plan>, values: &[Value]) -> Result<Arc<Plan>> {
        let plan = self.fresh(plan, false)?;
        let mode = self.env.derived().plan_cache_mode;
        let Some(custom) = plan.custom.as_ref().filter(|c| c.is_wanted(&plan, mode)) else { return Ok(plan) };
        let engine = self.engine.clone();
        let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
        let reader = engine.reader(txn, &self.env)?;
        let settings = &self.env.derived().planner;
        let planned = pg_planner::plan_for(custom.query.clone(), values, &*reader, settings)?;
        drop(reader);
        let made = Plan {
            parsed: plan.parsed.clone(),
            declared: plan.declared.clone(),
            planned: Arc::new(planned),
            stamp: plan.stamp.clone(),
            catalog_text: plan.catalog_text,
            custom: None,
            for_values: true,
            entry: OnceLock::new(),
            described: OnceLock::new(),
        };
        custom.note(&made, settings);
        Ok(Arc::new(made))
    }
}

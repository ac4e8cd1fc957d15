//! Simple queries that differ in their literals only: one plan for all of them.
//!
//! The text is taken apart into its shape, which the plan cache knows, and values, which become parameters; see
//! [`pg_sql::normalize`]. A shape's plan is used only if no values would ask for another one. Whatever goes wrong before
//! the plan runs, the text is run as it was sent, so that messages and their positions are about that text.

use alloc::{borrow::Cow, boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_executor::Cursor;
use pg_sql::normalize::{Literal, Pattern, normalize};
use pg_types::{Oid, Result, Value, oid};
use pg_wire::Encoder;

use crate::{
    datum,
    portal::{Formats, QueryRun, Run},
    session::Session,
    statement::{Plan, Prepared, Stamp},
};

/// Operators kept ready. A statement has several shapes: `x + 1` and `x + -1` are two.
const CURSORS: usize = 32;
/// Texts remembered that others may differ from in integers only.
const PATTERNS: usize = 8;
/// Shapes remembered as not worth trying.
const REFUSED: usize = 32;

/// What a session keeps from one simple query to the next.
#[derive(Default)]
pub struct Shapes {
    text: String,
    /// With the shapes that texts of them have; which is replaced next.
    patterns: Vec<(Pattern, String)>,
    oldest: usize,
    literals: Vec<Literal<'static>>,
    types: Vec<Option<Oid>>,
    /// Operators of plans that ran, the last one at the end.
    #[expect(clippy::vec_box, reason = "portals hold them boxed; a cursor is large to move")]
    cursors: Vec<Box<Cursor>>,
    /// Hashes of shapes that cannot be prepared although their texts can.
    refused: Vec<u64>,
}

impl Shapes {
    fn take_cursor(&mut self, plan: &Plan) -> Option<Box<Cursor>> {
        let at = self.cursors.iter().position(|c| Arc::ptr_eq(c.planned(), &plan.planned))?;
        Some(self.cursors.remove(at))
    }

    fn keep_cursor(&mut self, cursor: Box<Cursor>) {
        if self.cursors.len() >= CURSORS {
            self.cursors.remove(0);
        }
        self.cursors.push(cursor);
    }

    fn keep_pattern(&mut self, pattern: Pattern, shape: &str) {
        let kept = (pattern, String::from(shape));
        match self.patterns.get_mut(self.oldest) {
            Some(place) => *place = kept,
            None => self.patterns.push(kept),
        }
        self.oldest = (self.oldest + 1) % PATTERNS;
    }

    fn refuse(&mut self, hash: u64) {
        if self.refused.len() >= REFUSED {
            self.refused.clear();
        }
        self.refused.push(hash);
    }
}

fn declared(literal: &Literal<'_>) -> Option<Oid> {
    match literal {
        Literal::Int4(_) => Some(oid::INT4),
        Literal::Int8(_) => Some(oid::INT8),
        Literal::Text(..) => None,
    }
}

impl Session {
    /// Runs the text by its shape if that can be done. `Ok(None)`: it cannot, and nothing has happened.
    pub(crate) fn run_shape(&mut self, text: &str, stamp: &Stamp, out: &mut Encoder) -> Result<Option<()>> {
        if !stamp.is_shared() {
            return Ok(None);
        }
        let mut known = core::mem::take(&mut self.shapes.literals);
        let pattern = self.shapes.patterns.iter().position(|p| p.0.fits(text, &mut known));
        let query =
            match pattern.and_then(|n| Some((n, core::mem::take(&mut self.shapes.patterns.get_mut(n)?.1)))) {
                Some((n, shape)) => {
                    let query = self.shape_run(&shape, &known, stamp);
                    if let Some(p) = self.shapes.patterns.get_mut(n) {
                        p.1 = shape;
                    }
                    query
                }
                None => self.new_shape_run(text, stamp),
            };
        self.shapes.literals = known;
        let Some((plan, mut query)) = query else { return Ok(None) };
        self.begin_statement(Some(&Arc::from(text)));
        query.set_cursor(self.shapes.take_cursor(&plan));
        let mut run = Run::Query(query);
        if run.columns().is_some() {
            run.describe(&Formats::Text, out);
        }
        self.drive(&mut run, &Formats::Text, 0, out)?;
        if let Run::Query(mut query) = run {
            if let Some(cursor) = query.recycle() {
                self.shapes.keep_cursor(cursor);
            }
            self.spare_run = Some(query);
        }
        self.commit_said(out)?;
        Ok(Some(()))
    }

    /// A run of the plan of a shape with these values.
    fn shape_run(
        &mut self,
        shape: &str,
        literals: &[Literal<'_>],
        stamp: &Stamp,
    ) -> Option<(Arc<Plan>, Box<QueryRun>)> {
        let plan = self.shape_plan(shape, literals, stamp)?;
        let mut query = self.new_run(&plan);
        self.shape_values(&plan, literals, query.params_mut())?;
        Some((plan, query))
    }

    /// The same of a text that is like none of those before.
    fn new_shape_run(&mut self, text: &str, stamp: &Stamp) -> Option<(Arc<Plan>, Box<QueryRun>)> {
        let mut literals = Vec::new();
        let mut shape = core::mem::take(&mut self.shapes.text);
        let run = normalize(text, &mut shape, &mut literals)
            .and_then(|()| self.shape_run(&shape, &literals, stamp));
        if run.is_some()
            && let Some(pattern) = Pattern::of(text, &shape, &literals)
        {
            self.shapes.keep_pattern(pattern, &shape);
        }
        self.shapes.text = shape;
        run
    }

    fn shape_plan(&mut self, shape: &str, literals: &[Literal<'_>], stamp: &Stamp) -> Option<Arc<Plan>> {
        let mut types = core::mem::take(&mut self.shapes.types);
        types.clear();
        types.extend(literals.iter().map(declared));
        let plan = match self.database.plans.get(shape, &types, stamp) {
            Some(plan) => Some(plan),
            None => self.prepare_shape(shape, &types),
        };
        self.shapes.types = types;
        plan.filter(|p| p.planned.suits_any_values && p.planned.params.len() == literals.len())
    }

    fn prepare_shape(&mut self, shape: &str, types: &[Option<Oid>]) -> Option<Arc<Plan>> {
        let hash = self.database.plans.hash(shape, types);
        if self.shapes.refused.contains(&hash) {
            return None;
        }
        match self.prepare(shape, types) {
            Ok(Prepared::Query(plan)) => Some(plan),
            _ => {
                self.shapes.refuse(hash);
                None
            }
        }
    }

    fn shape_values(&self, plan: &Plan, literals: &[Literal<'_>], params: &mut Vec<Value>) -> Option<()> {
        for (i, (literal, ty)) in literals.iter().zip(&plan.planned.params).enumerate() {
            let ty = &self.env.plain_type(*ty).ok()?;
            params.push(match literal {
                Literal::Int4(v) if ty.oid == oid::INT4 => Value::Int4(*v),
                Literal::Int8(v) if ty.oid == oid::INT8 => Value::Int8(*v),
                Literal::Text(t, doubled) => {
                    let t = if *doubled { Cow::Owned(t.replace("''", "'")) } else { Cow::Borrowed(*t) };
                    datum::parameter(*ty, t.as_bytes(), false, &self.env.derived().format, i + 1).ok()?
                }
                _ => return None,
            });
        }
        Some(())
    }
}

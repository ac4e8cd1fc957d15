//! DISTINCT, INTERSECT, EXCEPT.

use alloc::{sync::Arc, vec::Vec};

use pg_plan::logical::SetOp;
use pg_types::{Batch, Result, Vector};

use super::{
    Exec, Operator,
    groups::{Groups, KeyClass},
};
use crate::{context::Rt, expr::Compiled, keys};

/// DISTINCT: first occurrences by hashing; DISTINCT ON: first of each run of equal keys in sorted input.
pub(crate) struct Distinct {
    input: Exec,
    groups: Groups,
    on: Option<Vec<Compiled>>,
    last: Option<Vec<u8>>,
    charged: usize,
}

impl Distinct {
    pub(crate) fn new(input: Exec, on: Option<Vec<Compiled>>) -> Self {
        let groups = Groups::new(input.types.iter().map(|t| KeyClass::one(t.oid)).collect());
        Self { input, groups, on, last: None, charged: 0 }
    }
}

impl Operator for Distinct {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        while let Some(b) = self.input.next(rt)? {
            rt.cx.checkpoint()?;
            let mut kept = Vec::new();
            match &mut self.on {
                None => {
                    for i in b.selected() {
                        if self.groups.group(&b.columns, i).1 {
                            kept.push(i as u32);
                        }
                    }
                    let held = self.groups.memory();
                    rt.charge(held - self.charged)?;
                    self.charged = held;
                }
                Some(on) => {
                    let columns: Vec<Arc<Vector>> = on
                        .iter_mut()
                        .map(|e| e.vector(&b, b.selection.as_deref(), rt))
                        .collect::<Result<_>>()?;
                    for i in b.selected() {
                        let mut key = Vec::new();
                        for c in &columns {
                            keys::encode(c.ty.oid, &c.value(i), &mut key);
                        }
                        if self.last.as_ref() != Some(&key) {
                            kept.push(i as u32);
                            self.last = Some(key);
                        }
                    }
                }
            }
            if !kept.is_empty() {
                return Ok(Some(b.with_selection(kept)));
            }
        }
        Ok(None)
    }
    fn reset(&mut self) {
        self.groups.clear();
        self.last = None;
        self.charged = 0;
        self.on.iter_mut().flatten().for_each(Compiled::reset);
        self.input.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.input]
    }
}

/// INTERSECT and EXCEPT, with and without ALL; UNION comes as Append and Distinct, but is understood.
pub(crate) struct SetOperation {
    op: SetOp,
    all: bool,
    left: Exec,
    right: Exec,
    groups: Groups,
    /// Occurrences on the right not yet used up, by group.
    right_counts: Vec<u64>,
    /// Groups already yielded (without ALL).
    yielded: Vec<bool>,
    built: bool,
}

impl SetOperation {
    pub(crate) fn new(op: SetOp, all: bool, left: Exec, right: Exec) -> Self {
        let classes = left
            .types
            .iter()
            .zip(&right.types)
            .map(|(l, r)| KeyClass::of(l.oid, r.oid).unwrap_or(KeyClass::Typed(l.oid)))
            .collect();
        Self {
            op,
            all,
            left,
            right,
            groups: Groups::new(classes),
            right_counts: Vec::new(),
            yielded: Vec::new(),
            built: false,
        }
    }
    fn keep(&mut self, id: u32) -> bool {
        let n = id as usize;
        if self.right_counts.len() <= n {
            self.right_counts.resize(n + 1, 0);
        }
        if self.yielded.len() <= n {
            self.yielded.resize(n + 1, false);
        }
        let count = &mut self.right_counts[n];
        let in_right = *count > 0;
        if self.all {
            *count = count.saturating_sub(1);
            return match self.op {
                SetOp::Intersect => in_right,
                SetOp::Except => !in_right,
                SetOp::Union => true,
            };
        }
        let first = !core::mem::replace(&mut self.yielded[n], true);
        first
            && match self.op {
                SetOp::Intersect => in_right,
                SetOp::Except => !in_right,
                SetOp::Union => true,
            }
    }
}

impl Operator for SetOperation {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if !self.built {
            self.built = true;
            while let Some(b) = self.right.next(rt)? {
                rt.cx.checkpoint()?;
                let before = self.groups.memory();
                for i in b.selected() {
                    let (id, new) = self.groups.group(&b.columns, i);
                    if new {
                        self.right_counts.push(0);
                    }
                    if let Some(c) = self.right_counts.get_mut(id as usize) {
                        *c += 1;
                    }
                }
                rt.charge(self.groups.memory() - before)?;
            }
        }
        while let Some(b) = self.left.next(rt)? {
            rt.cx.checkpoint()?;
            let before = self.groups.memory();
            let mut kept = Vec::new();
            for i in b.selected() {
                let id = self.groups.group(&b.columns, i).0;
                if self.keep(id) {
                    kept.push(i as u32);
                }
            }
            rt.charge(self.groups.memory() - before)?;
            if !kept.is_empty() {
                return Ok(Some(b.with_selection(kept)));
            }
        }
        Ok(None)
    }
    fn reset(&mut self) {
        self.groups.clear();
        self.right_counts.clear();
        self.yielded.clear();
        self.built = false;
        self.left.reset();
        self.right.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.left, &self.right]
    }
}

//! Evaluating a query again for one combination of rows: what READ COMMITTED does when a row it wants to lock was changed by a
//! transaction that has committed since. The plan below the lock is compiled once more, with its table scans yielding exactly
//! the versions that were locked (`EvalPlanQual`, as PostgreSQL's folk call it).

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use pg_catalog::{Index, Relation, keys, storage_error};
use pg_plan::{
    expr::Expr,
    logical::JoinKind,
    physical::{Attnum, Node, Physical},
};
use pg_storage::Tid;
use pg_types::{Batch, Oid, Result, SqlError, Value};
use platform::sync::Mutex;

use super::{
    Compiler, Exec, Operator,
    row_reader::{CTID, RowReader},
    scan::IndexScan,
};
use crate::{context::Rt, expr::Compiled, large::RowFormat};

/// The versions that the scans of a recheck yield, by position in the list of tables; `None`: no row (an outer join's).
type Versions = Arc<Mutex<Vec<Option<Tid>>>>;

/// Which scans of a plan yield given versions instead of what they find.
pub(crate) struct Substitutes<'a> {
    scans: Vec<&'a Physical>,
    versions: Versions,
}

impl Substitutes<'_> {
    /// The operator to put in a scan's place, if it is one of those.
    pub(super) fn operator(plan: &Physical, c: &mut Compiler<'_>) -> Result<Option<Box<dyn Operator>>> {
        let Some(s) = c.substitutes else { return Ok(None) };
        let Some(slot) = s.scans.iter().position(|p| core::ptr::eq(*p, plan)) else { return Ok(None) };
        let versions = s.versions.clone();
        let (relation, columns, filter, index) = match &plan.node {
            Node::SeqScan { relation, columns, filter, .. }
            | Node::BitmapScan { relation, columns, filter, .. } => (relation, columns, filter, None),
            Node::IndexScan { relation, index, range, columns, filter, .. } => {
                let scan = IndexScan::new(relation, index, range, false, columns, None, c)?;
                (relation, columns, filter, Some((index.clone(), scan)))
            }
            _ => return Err(SqlError::internal("a recheck of what is no scan")),
        };
        Ok(Some(Box::new(Substitute {
            relation: relation.clone(),
            reader: RowReader::new(relation, columns)?,
            filter: c.option(filter.as_ref())?,
            index,
            format: RowFormat::of(relation),
            versions,
            slot,
            done: false,
        })))
    }
}

/// A scan's stand-in.
struct Substitute {
    relation: Arc<Relation>,
    reader: RowReader,
    filter: Option<Compiled>,
    /// The range of the index must hold for the row too.
    index: Option<(Arc<Index>, IndexScan)>,
    format: RowFormat,
    versions: Versions,
    slot: usize,
    done: bool,
}

impl Substitute {
    /// Is the row within the range that the index scan would read?
    fn in_range(&mut self, payload: &[u8], rt: &Rt<'_, '_>) -> Result<bool> {
        let Some((index, scan)) = &mut self.index else { return Ok(true) };
        let row = self.format.decode(payload, rt.cx)?;
        let mut key = Vec::new();
        for k in index.keys.iter().take(index.key_count) {
            let v = usize::try_from(k.attnum - 1).ok().and_then(|i| row.get(i)).unwrap_or(&Value::Null);
            keys::encode_index_value(k, v, &mut key)?;
        }
        scan.reset();
        scan.covers(&key, rt)
    }
}

impl Operator for Substitute {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        self.done = true;
        let Some(tid) = self.versions.lock().get(self.slot).copied().flatten() else { return Ok(None) };
        let payload = rt
            .storage()
            .heap_fetch_version(self.relation.storage, tid, <[u8]>::to_vec)
            .map_err(storage_error)?;
        let Some(payload) = payload else { return Ok(None) };
        if !self.in_range(&payload, rt)? {
            return Ok(None);
        }
        self.reader.start(1);
        self.reader.push(tid, &payload)?;
        self.reader.settle(rt)?;
        let b = self.reader.finish(rt.storage())?;
        let Some(f) = &mut self.filter else { return Ok(Some(b)) };
        let kept = f.filter(&b, None, rt)?;
        Ok((!kept.is_empty()).then(|| b.with_selection(kept)))
    }
    fn reset(&mut self) {
        self.done = false;
        self.filter.iter_mut().for_each(Compiled::reset);
    }
}

/// A plan compiled for rechecks.
pub(super) struct Recheck {
    exec: Exec,
    versions: Versions,
}

impl Recheck {
    /// For a plan, its tables and the positions of their ctid columns. `None`: some table's scan cannot be told.
    pub(super) fn new(plan: &Physical, tables: impl Iterator<Item = (usize, Oid)>) -> Result<Option<Self>> {
        let scans: Option<Vec<&Physical>> = tables.map(|t| scan_of(plan, t)).collect();
        let Some(scans) = scans else { return Ok(None) };
        let substitutes = Substitutes { scans, versions: Versions::default() };
        let mut c = Compiler::for_recheck(&substitutes);
        let exec = Exec::new(plan, &mut c)?;
        Ok(Some(Self { exec, versions: substitutes.versions }))
    }

    /// The plan's row for these versions, if they still make one.
    pub(super) fn row(&mut self, versions: Vec<Option<Tid>>, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        *self.versions.lock() = versions;
        self.exec.reset();
        while let Some(b) = self.exec.next(rt)? {
            if let Some(first) = b.nth_row(0) {
                return Ok(Some(b.with_selection(alloc::vec![first as u32])));
            }
        }
        Ok(None)
    }
}

/// The scan of a table that yields the ctid which a plan has in this column.
fn scan_of(plan: &Physical, (position, table): (usize, Oid)) -> Option<&Physical> {
    let ctid = |columns: &[Attnum]| columns.get(position) == Some(&CTID);
    match &plan.node {
        Node::SeqScan { columns, relation, .. } | Node::BitmapScan { columns, relation, .. } => {
            (ctid(columns) && relation.oid == table).then_some(plan)
        }
        // A condition that is not in the range because the index implies it could not be checked again.
        Node::IndexScan { columns, index, relation, .. } if relation.oid == table => {
            let plain = index.predicate.is_none() && index.keys.iter().all(|k| k.attnum > 0);
            (ctid(columns) && plain).then_some(plan)
        }
        Node::Filter(p, _) | Node::Sort { input: p, .. } | Node::Limit { input: p, .. } => {
            scan_of(p, (position, table))
        }
        Node::ProjectSet(p, _) if position < p.types.len() => scan_of(p, (position, table)),
        Node::Project(p, exprs) => match exprs.get(position) {
            Some(Expr::Column(c, _)) => scan_of(p, (*c as usize, table)),
            _ => None,
        },
        Node::Append(parts) | Node::MergeAppend { inputs: parts, .. } => {
            parts.iter().find_map(|p| scan_of(p, (position, table)))
        }
        Node::NestedLoop { kind, left, right, .. }
        | Node::HashJoin { kind, left, right, .. }
        | Node::MergeJoin { kind, left, right, .. } => {
            let both = !matches!(kind, JoinKind::Semi | JoinKind::Anti);
            match position.checked_sub(left.types.len()) {
                None => scan_of(left, (position, table)),
                Some(p) if both => scan_of(right, (p, table)),
                Some(_) => None,
            }
        }
        _ => None,
    }
}

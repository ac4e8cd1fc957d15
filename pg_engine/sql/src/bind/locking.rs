//! Row locks: FOR UPDATE and its like, of tables and of the tables below views and subqueries.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::{RelationKind, acl::right};
use pg_plan::{
    expr::Expr,
    logical::{LockWait, Locked},
};
use pg_types::{Result, SqlError, SqlState, SqlType, oid};
use sqlparser::ast as sq;

use super::{Binder, collation::Derived, scope::Frame, select::Target};

/// A locking clause; without tables it is about all of them.
pub(super) struct Clause {
    strength: u8,
    tables: Vec<(String, u32)>,
    wait: LockWait,
}

/// What locks come to: relations, with the targets that tell the row's place; and how to wait.
pub(super) type Locks = Option<(Vec<Locked>, LockWait)>;

/// The strength of a table that is not locked.
pub(super) const NONE: u8 = 4;

/// A row lock's name in messages.
pub(super) fn strength_name(strength: u8) -> &'static str {
    match strength {
        0 => "FOR KEY SHARE",
        1 => "FOR SHARE",
        2 => "FOR NO KEY UPDATE",
        _ => "FOR UPDATE",
    }
}

/// Strength of a locking clause, and the tables it names with their positions.
pub(super) fn lock_clause(lock: &sq::LockClause) -> (u8, Vec<(String, u32)>) {
    let mut strength = match lock.lock_type {
        sq::LockType::Share => 1,
        sq::LockType::Update => 3,
    };
    let mut tables = Vec::new();
    for ident in lock.of.iter().flat_map(|of| of.0.iter().filter_map(sq::ObjectNamePart::as_ident)) {
        match ident.value.strip_prefix(crate::grammar::LOCK_MARK).and_then(|m| m.parse().ok()) {
            Some(mode) => strength = mode,
            None => tables.push((ident.value.clone(), crate::grammar::position(ident.span.start))),
        }
    }
    (strength, tables)
}

/// The locking clauses of a query, and the one that it gets from outside.
pub(super) fn clauses(query: &sq::Query, pushed: Option<(u8, LockWait)>) -> Vec<Clause> {
    let own = query.locks.iter().map(|lock| {
        let (strength, tables) = lock_clause(lock);
        let wait = match lock.nonblock {
            None => LockWait::Block,
            Some(sq::NonBlock::Nowait) => LockWait::NoWait,
            Some(sq::NonBlock::SkipLocked) => LockWait::SkipLocked,
        };
        Clause { strength, tables, wait }
    });
    let outer = pushed.map(|(strength, wait)| Clause { strength, tables: Vec::new(), wait });
    own.chain(outer).collect()
}

/// Adds a target that is not shown; its number.
fn hidden(targets: &mut Vec<Target>, expr: Expr) -> u32 {
    targets.push(Target { name: String::new(), expr, origin: (0, 0), collation: Derived::None });
    (targets.len() - 1) as u32
}

impl Binder<'_> {
    /// How strongly the clauses of the query whose FROM list is bound lock what has this name there.
    pub(super) fn lock_of(&self, alias: &str) -> Option<(u8, LockWait)> {
        let about = |c: &&Clause| c.tables.is_empty() || c.tables.iter().any(|t| t.0 == alias);
        let strength = self.locking.iter().filter(about).map(|c| c.strength).max()?;
        let wait = self.locking.iter().filter(about).map(|c| c.wait).rfind(|w| *w != LockWait::Block);
        Some((strength, wait.unwrap_or(LockWait::Block)))
    }

    /// Binds a view's query or a subquery in FROM: what is locked of it is locked of the tables below.
    pub(super) fn under_lock<T>(
        &mut self,
        pushed: Option<(u8, LockWait)>,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Vec<Locked>)> {
        let locking = core::mem::take(&mut self.locking);
        let before = core::mem::replace(&mut self.pushed, pushed);
        let result = f(self);
        self.pushed = before;
        self.locking = locking;
        let hoisted = core::mem::take(&mut self.hoisted);
        Ok((result?, hoisted))
    }

    /// The tables FOR UPDATE locks, their ctid columns added to the targets, and those of the other tables: who finds a row
    /// changed must know which rows it came with.
    pub(super) fn lock_targets(
        &mut self,
        clauses: &[Clause],
        select: &sq::Select,
        targets: &mut Vec<Target>,
    ) -> Result<Locks> {
        let (mut strengths, hoisted): (Vec<(String, Option<usize>, Option<u8>)>, Vec<Locked>) =
            match self.frames.last_mut() {
                Some(f) if !clauses.is_empty() => (
                    f.entries.iter().map(|e| (e.alias.clone(), e.scan, None)).collect(),
                    core::mem::take(&mut f.hoisted),
                ),
                _ => return Ok(None),
            };
        let mut wait = LockWait::Block;
        for Clause { strength, tables, wait: how } in clauses {
            let clause = strength_name(*strength);
            self.lockable(select, clause)?;
            if *how != LockWait::Block {
                wait = *how;
            }
            for table in tables {
                if !strengths.iter().any(|s| s.0 == table.0) {
                    let message =
                        format!("relation \"{}\" in {clause} clause not found in FROM clause", table.0);
                    return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message).at(table.1));
                }
            }
            for s in &mut strengths {
                if tables.is_empty() || tables.iter().any(|t| t.0 == s.0) {
                    s.2 = s.2.max(Some(*strength));
                }
            }
        }
        let mut marked = Vec::new();
        for (alias, scan, strength) in strengths {
            self.lock_target(&alias, scan, strength, targets, &mut marked)?;
        }
        for locked in hoisted {
            let ctid = hidden(targets, Expr::Column(locked.ctid, SqlType::new(oid::TID)));
            let table = |id| Expr::Column(id, SqlType::new(oid::OID));
            let tableoid = locked.tableoid.map(|id| hidden(targets, table(id)));
            marked.push(Locked { ctid, tableoid, ..locked });
        }
        Ok(if marked.iter().any(|m: &Locked| m.strength < NONE) { Some((marked, wait)) } else { None })
    }

    fn lock_target(
        &mut self,
        alias: &str,
        scan: Option<usize>,
        strength: Option<u8>,
        targets: &mut Vec<Target>,
        marked: &mut Vec<Locked>,
    ) -> Result<()> {
        let Some(scan) = scan.and_then(|s| self.scans.get(s)) else { return Ok(()) };
        let (relation, base) = (scan.relation.clone(), scan.base);
        if relation.kind == RelationKind::MaterializedView && strength.is_some() {
            let message = format!("cannot lock rows in materialized view \"{}\"", relation.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        if relation.kind != RelationKind::Table {
            return Ok(());
        }
        let family = self.families.iter().find(|f| f.0 == base).map(|f| f.1.clone()).unwrap_or_default();
        let (expr, _) = self.quietly(|b| b.qualified_column(None, alias, "ctid", 0))?;
        if strength.is_some() {
            expr.for_each_column(&mut |id| self.accesses.need(id, right::UPDATE));
        }
        let ctid = hidden(targets, expr);
        let tableoid = match family.is_empty() {
            true => None,
            false => {
                let (expr, _) = self.quietly(|b| b.qualified_column(None, alias, "tableoid", 0))?;
                Some(hidden(targets, expr))
            }
        };
        let strength = strength.unwrap_or(NONE);
        for relation in core::iter::once(relation).chain(family) {
            marked.push(Locked { relation, ctid, tableoid, strength });
        }
        Ok(())
    }

    /// Refuses row locks where a row of the result is not a row of each table.
    fn lockable(&self, select: &sq::Select, clause: &str) -> Result<()> {
        let groups = !matches!(&select.group_by, sq::GroupByExpr::Expressions(items, _) if items.is_empty());
        let frame = self.frames.last();
        let what = if select.distinct.is_some() {
            "DISTINCT clause"
        } else if groups {
            "GROUP BY clause"
        } else if select.having.is_some() {
            "HAVING clause"
        } else if frame.is_some_and(|f: &Frame| !f.aggregates.is_empty()) {
            "aggregate functions"
        } else if frame.is_some_and(|f: &Frame| !f.windows.is_empty()) {
            "window functions"
        } else if frame.is_some_and(|f: &Frame| !f.sets.is_empty()) {
            "set-returning functions in the target list"
        } else {
            return Ok(());
        };
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{clause} is not allowed with {what}")))
    }
}

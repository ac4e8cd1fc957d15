//! What a query's text calls its FROM items and their columns.
//!
//! A column that USING merges has one name on both sides, and what is not merged must not have it: columns that a table
//! got later, or that have other names now, get names of their own in the item's list of columns.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use pg_catalog::Relation;
use pg_plan::expr::{ColumnId, Expr};
use pg_plan::statement::SYSTEM_COLUMN_NAMES;
use pg_types::Result;

use super::{CallText, ColumnText, FromItem, JoinItem, Scope, SelectTree, TableItem, TableKind, Using};
use crate::deparse::{Writer, quote};

/// Is there a merged column that is written without a qualifier, so that no other column may have its name?
fn unqualified(item: &FromItem) -> bool {
    let FromItem::Join(join) = item else { return false };
    let bare = |u: &Using| !matches!(u.merged, Expr::Column(..));
    join.alias.is_none() && join.using.iter().any(bare) || unqualified(&join.left) || unqualified(&join.right)
}

/// The name, or one made of it that is none of those taken.
fn unique(name: &str, taken: &dyn Fn(&str) -> bool) -> String {
    let mut found = name.to_owned();
    let mut number = 0;
    while taken(&found) {
        number += 1;
        found = format!("{name}_{number}");
    }
    found
}

/// What a name begins with that was made up so that it is unique, in a query that is stored; behind it come a number and the
/// name that the query gave, if it gave one. No identifier that a client sends begins so.
const MADE_UP: &str = "\0name ";

fn made_up(number: usize, given: &str) -> String {
    format!("{MADE_UP}{number} {given}")
}

/// The alias that a query gave a FROM item: not one that was made up when the query was stored.
pub(crate) fn given_alias(alias: &str) -> Option<&str> {
    match alias.strip_prefix(MADE_UP) {
        None => Some(alias),
        Some(rest) => rest.split_once(' ').map(|r| r.1).filter(|given| !given.is_empty()),
    }
}

fn key<T>(item: &T) -> usize {
    core::ptr::from_ref(item) as usize
}

impl Scope<'_> {
    /// The names of an item's columns, and whether they are others than those that it has by itself.
    pub(super) fn names_of(&self, table: &TableItem) -> (Vec<String>, bool) {
        self.tables.get(&key(table)).cloned().unwrap_or_default()
    }

    /// The names behind USING.
    pub(super) fn using_of(&self, join: &JoinItem) -> Vec<String> {
        let own = || join.using.iter().map(|u| u.name.clone()).collect();
        self.joins.get(&key(join)).cloned().unwrap_or_else(own)
    }

    /// What a join with a name is called.
    pub(super) fn join_name(&self, join: &JoinItem) -> Option<String> {
        self.joined.get(&key(join)).cloned()
    }

    /// Chooses the names behind USING, from the outermost join inwards; `level`: those that nothing else may have.
    fn name_using(&mut self, item: &FromItem, outer: &[String], bare: bool, level: &mut Vec<String>) {
        let FromItem::Join(join) = item else { return };
        let mut names: Vec<String> = Vec::with_capacity(join.using.len());
        for u in &join.using {
            let mut ids: Vec<ColumnId> = Vec::new();
            u.left.for_each_column(&mut |id| ids.push(id));
            u.right.for_each_column(&mut |id| ids.push(id));
            let given = ids.iter().find_map(|id| self.assigned.get(id)).cloned();
            let name = given.unwrap_or_else(|| {
                let taken = |n: &str| [outer, &names, level].iter().any(|list| list.iter().any(|x| x == n));
                unique(&u.name, &taken)
            });
            for id in ids {
                self.assigned.insert(id, name.clone());
            }
            if bare {
                level.push(name.clone());
            }
            names.push(name);
        }
        let mut inner = outer.to_vec();
        inner.extend(names.iter().cloned());
        self.joins.insert(key(&**join), names);
        self.name_using(&join.left, &inner, bare, level);
        self.name_using(&join.right, &inner, bare, level);
    }

    /// A table's columns as they are called, each with its attribute number, and whether the list must be written.
    fn column_names(
        &self,
        table: &TableItem,
        relation: Option<&Relation>,
        avoid: &[&[String]],
    ) -> (Vec<(i16, String)>, bool) {
        let recorded = |attnum: i16| table.columns.iter().find(|c| c.2 == attnum);
        // What each is called if nothing is against it, what USING calls it, and its own name.
        type Plain<'n> = (i16, &'n str, Option<&'n String>, &'n str);
        let merged = |e: &Expr| match e {
            Expr::Column(id, _) => self.assigned.get(id),
            _ => None,
        };
        let plain: Vec<Plain<'_>> = match relation {
            Some(r) => r
                .live()
                .map(|a| {
                    let known = recorded(a.attnum);
                    let given = known.filter(|_| table.listed).map_or(a.name.as_str(), |c| c.0.as_str());
                    (a.attnum, given, known.and_then(|c| merged(&c.1)), a.name.as_str())
                })
                .collect(),
            None => table.columns.iter().map(|c| (c.2, c.0.as_str(), merged(&c.1), c.0.as_str())).collect(),
        };
        let fixed: Vec<&String> = plain.iter().filter_map(|p| p.2).collect();
        let joined = avoid.iter().any(|list| !list.is_empty());
        let mut names: Vec<(i16, String)> = Vec::with_capacity(plain.len());
        for (attnum, given, merged, _) in &plain {
            let taken = |n: &str| {
                joined
                    && (fixed.iter().any(|f| *f == n)
                        || names.iter().any(|(_, x)| x == n)
                        || avoid.iter().any(|list| list.iter().any(|x| x == n)))
            };
            let name = merged.map_or_else(|| unique(given, &taken), |m| (*m).clone());
            names.push((*attnum, name));
        }
        let renamed = names.iter().zip(&plain).any(|((_, name), p)| name != p.3);
        (names, renamed)
    }
}

impl<'a> Writer<'a> {
    /// Chooses the names of everything in a FROM list.
    pub(super) fn name_from(&mut self, select: &'a SelectTree) -> Result<()> {
        let bare = select.from.iter().any(unqualified);
        let mut level = Vec::new();
        let scope = self.scope()?;
        for item in &select.from {
            scope.name_using(item, &[], bare, &mut level);
        }
        select.from.iter().try_for_each(|item| self.name_item(item, &[], &level))
    }

    /// Chooses qualifiers for an item's columns: unique in the query and those around it.
    fn name_item(&mut self, item: &'a FromItem, outer: &[String], level: &[String]) -> Result<()> {
        let FromItem::Join(join) = item else {
            let FromItem::Table(table) = item else { return Ok(()) };
            return self.name_table(table, outer, level);
        };
        let names = self.scope()?.using_of(join);
        let mut inner = outer.to_vec();
        inner.extend(names.iter().cloned());
        self.name_item(&join.left, &inner, level)?;
        self.name_item(&join.right, &inner, level)?;
        let scope = self.scope()?;
        for (u, name) in join.using.iter().zip(&names) {
            // Columns of one side are written as such.
            if !matches!(u.merged, Expr::Column(..)) {
                scope.merged.push((quote(name), &u.merged));
            }
        }
        if let Some(alias) = &join.alias {
            let given = given_alias(&alias.name).unwrap_or_default();
            let qualifier = self.unique_name(given, given)?;
            let scope = self.scope()?;
            for (name, e) in &alias.columns {
                scope.merged.push((format!("{}.{}", quote(&qualifier), quote(name)), e));
            }
            scope.taken.push(qualifier.clone());
            scope.joined.insert(key(&**join), qualifier);
        }
        Ok(())
    }

    /// What a FROM item is called: its plain name, or where that is taken, one made of it. A query that is stored
    /// tells that by it, and what the query itself calls the item, if it does.
    fn unique_name(&mut self, plain: &str, given: &str) -> Result<String> {
        let stored = self.style.qualify;
        let scope = self.scope()?;
        let taken = |name: &str| scope.taken.iter().any(|t| t == name);
        Ok(if stored && taken(plain) { made_up(scope.taken.len(), given) } else { unique(plain, &taken) })
    }

    fn name_table(&mut self, table: &'a TableItem, outer: &[String], level: &[String]) -> Result<()> {
        let plain = self.plain_name(table)?;
        let relation = match table.kind {
            TableKind::Relation { oid, .. } => self.catalog.relation_by_oid(oid)?,
            _ => None,
        };
        let given = table.alias.as_deref().and_then(given_alias).unwrap_or_default();
        let qualifier = self.unique_name(&plain, given)?;
        let scope = self.scope()?;
        scope.relations.extend(relation.as_ref().map(|r| r.oid));
        scope.taken.push(qualifier.clone());
        let (names, renamed) = scope.column_names(table, relation.as_deref(), &[outer, level]);
        for (n, (name, e, attnum)) in table.columns.iter().enumerate() {
            let Expr::Column(id, _) = e else { continue };
            let now = match &relation {
                Some(_) => names.iter().find(|c| c.0 == *attnum),
                None => names.get(n),
            };
            let name = now.map_or_else(|| name.clone(), |c| c.1.clone());
            let origin = (relation.as_ref().map_or(0, |r| r.oid), *attnum);
            scope.columns.insert(*id, ColumnText { qualifier: qualifier.clone(), name, origin });
        }
        scope.tables.insert(key(table), (names.into_iter().map(|c| c.1).collect(), renamed));
        if let TableKind::Relation { oid, system: Some(first), .. } = table.kind {
            for (n, name) in SYSTEM_COLUMN_NAMES.iter().enumerate() {
                let text = ColumnText {
                    qualifier: qualifier.clone(),
                    name: (*name).to_owned(),
                    origin: (oid, -1 - n as i16),
                };
                scope.columns.insert(first + n as u32, text);
            }
        }
        Ok(())
    }

    pub(super) fn name_calls(&mut self, select: &'a SelectTree) -> Result<()> {
        let scope = self.scope()?;
        for (column, call) in &select.aggregates {
            scope.calls.insert(column.id, CallText::Aggregate(call));
        }
        for (id, args) in &select.groupings {
            scope.calls.insert(*id, CallText::Grouping(args));
        }
        for (column, call) in &select.sets {
            scope.calls.insert(column.id, CallText::Set(call));
        }
        for (spec, calls) in &select.windows {
            for (column, call) in calls {
                scope.calls.insert(column.id, CallText::Window(spec, call));
            }
        }
        Ok(())
    }
}

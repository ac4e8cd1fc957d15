//! `pg_shdepend`: what of this and other databases needs a role. It follows the rows of the other catalogs.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::{
    builtin::{PG_AUTHID, PG_CLASS, PG_DATABASE, PG_SHDEPEND},
    shared::{self, Need, Owned, row_of},
    table::Row,
};
use pg_types::{Oid, Result, Value};

use super::{Address, Ddl};

/// Most objects that an error lists.
const MAX_LISTED: usize = 100;

impl Ddl<'_, '_> {
    /// A row of a catalog came, went or changed: notes which roles its object needs now.
    pub(super) fn follow_roles(&self, catalog: Oid, old: Option<&Row>, new: Option<&Row>) -> Result<()> {
        let Some(owned) = Owned::of(catalog) else { return Ok(()) };
        if old.zip(new).is_some_and(|(old, new)| !owned.differ(old, new)) {
            return Ok(());
        }
        let Some(row) = new.or(old) else { return Ok(()) };
        if !old.into_iter().chain(new).any(|r| owned.mentions(r)) {
            return Ok(());
        }
        let relation = match owned.relation(row).filter(|_| new.is_some()) {
            Some(oid) => self.find(PG_CLASS, &["oid"], &[Value::Oid(oid)])?.into_iter().next(),
            None => None,
        };
        let mut needs = new.map_or_else(Vec::new, |r| owned.needs(r, relation.as_ref().map(|r| &r.1)));
        let noted = self.catalog(PG_SHDEPEND)?;
        let database = match self.catalog(catalog)?.def.shared {
            true => 0,
            false => self.cx.engine.catalog().database(),
        };
        let (class, object) = (owned.class(), owned.object(row));
        let columns = ["dbid", "classid", "objid", "objsubid"];
        let key = [Value::Oid(database), Value::Oid(class), Value::Oid(object.0), Value::Int4(object.1)];
        for (tid, r) in self.find(PG_SHDEPEND, &columns, &key)? {
            let known = Need { role: r.oid("refobjid"), kind: r.char("deptype") };
            match needs.iter().position(|n| *n == known) {
                Some(at) => {
                    needs.remove(at);
                }
                None => noted.delete(self.cx.engine.storage(), self.cx.txn.borrow_mut().storage(), tid)?,
            }
        }
        needs
            .into_iter()
            .try_for_each(|n| self.insert(PG_SHDEPEND, &row_of(noted, database, class, object, n)))
    }

    /// The objects of this database, and shared ones, that need a role, and how (`deptype`).
    pub(super) fn needs_of(&self, role: Oid) -> Result<Vec<(Address, u8)>> {
        let here = self.cx.engine.catalog().database();
        let rows =
            self.find(PG_SHDEPEND, &["refclassid", "refobjid"], &[Value::Oid(PG_AUTHID), Value::Oid(role)])?;
        let ours = rows.iter().filter(|r| matches!(r.1.oid("dbid"), d if d == 0 || d == here));
        Ok(ours.map(|r| (address(&r.1), r.1.char("deptype"))).collect())
    }

    /// What keeps a role from being dropped, as messages list it.
    pub(super) fn role_objects(&self, role: Oid) -> Result<Vec<String>> {
        // Opening a database of an older release notes what its objects need.
        self.cx.engine.all_databases()?;
        let mut objects = self.needs_of(role)?;
        objects.sort_unstable_by_key(|(a, kind)| (a.object, a.class, a.sub, *kind));
        let mut lines = Vec::new();
        for (object, kind) in objects.iter().take(MAX_LISTED) {
            let how = match *kind {
                shared::OWNER => "owner of",
                shared::LIST => "privileges for",
                _ => "target of",
            };
            lines.push(format!("{how} {}", self.describe(*object)?));
        }
        let more = objects.len().saturating_sub(MAX_LISTED);
        for (database, count) in self.needs_elsewhere(role)? {
            let what = if count == 1 { "object" } else { "objects" };
            lines.push(format!("{count} {what} in database {database}"));
        }
        if more > 0 {
            let what = if more == 1 { "object" } else { "objects" };
            lines.push(format!("and {more} other {what} (see server log for list)"));
        }
        Ok(lines)
    }

    /// How many objects of each other database need a role.
    fn needs_elsewhere(&self, role: Oid) -> Result<Vec<(String, usize)>> {
        let here = self.cx.engine.catalog().database();
        let rows =
            self.find(PG_SHDEPEND, &["refclassid", "refobjid"], &[Value::Oid(PG_AUTHID), Value::Oid(role)])?;
        let mut counts: Vec<(Oid, usize)> = Vec::new();
        for database in rows.iter().map(|r| r.1.oid("dbid")).filter(|d| *d != 0 && *d != here) {
            match counts.iter_mut().find(|c| c.0 == database) {
                Some(c) => c.1 += 1,
                None => counts.push((database, 1)),
            }
        }
        let mut all = Vec::with_capacity(counts.len());
        for (database, count) in counts {
            let rows = self.find(PG_DATABASE, &["oid"], &[Value::Oid(database)])?;
            all.push((rows.first().map_or_else(String::new, |r| r.1.text("datname").into()), count));
        }
        Ok(all)
    }

    /// A copied database needs what the one that it was copied from does.
    pub(super) fn copy_needs(&self, from: Oid, to: Oid) -> Result<()> {
        for (_, row) in self.find(PG_SHDEPEND, &["dbid"], &[Value::Oid(from)])? {
            self.insert(PG_SHDEPEND, &row.set("dbid", to))?;
        }
        Ok(())
    }
}

fn address(row: &Row) -> Address {
    Address { class: row.oid("classid"), object: row.oid("objid"), sub: row.int("objsubid") as i32 }
}

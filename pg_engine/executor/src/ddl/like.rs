//! What CREATE TABLE (LIKE relation INCLUDING ...) takes over besides columns and constraints.

use alloc::{string::String, sync::Arc, vec::Vec};

use pg_catalog::{
    CatalogReader, ConstraintKind, Index, IndexKey, Relation,
    acl::right,
    builtin::{PG_ATTRIBUTE, PG_CLASS, PG_CONSTRAINT, PG_DESCRIPTION, PG_SEQUENCE},
};
use pg_plan::utility::{ColumnDef, CreateTable, Like};
use pg_storage::LockMode;
use pg_types::{Oid, Result, SqlError, Value, oid};

use super::{Address, Ddl, index::NewIndex};

impl Ddl<'_, '_> {
    fn model(&self, like: &Like) -> Result<Arc<Relation>> {
        self.lock(like.relation, LockMode::AccessShare)?;
        let found = self.reader()?.relation_by_oid(like.relation)?;
        found.ok_or_else(|| SqlError::internal("a relation to be like is gone"))
    }

    /// The columns with their sequences as those of the models are. `None`: nothing changes.
    pub(super) fn like_sequences(&self, t: &CreateTable) -> Result<Option<Vec<ColumnDef>>> {
        for like in &t.likes {
            self.need(&*self.model(like)?, right::SELECT)?;
        }
        if !t.likes.iter().any(|l| l.parts.identity) {
            return Ok(None);
        }
        let mut columns = t.columns.clone();
        for like in t.likes.iter().filter(|l| l.parts.identity) {
            let model = self.model(like)?;
            for a in model.live().filter(|a| a.identity != 0) {
                let Some(sequence) = self.owned_sequence(model.oid, a.attnum)? else { continue };
                let rows = self.find(PG_SEQUENCE, &["seqrelid"], &[Value::Oid(sequence)])?;
                let column = columns.iter_mut().find(|c| c.name == a.name);
                if let (Some((_, row)), Some(own)) = (rows.first(), column.and_then(|c| c.sequence.as_mut()))
                {
                    let o = &mut own.options;
                    // As PostgreSQL has it, whatever the column's type.
                    o.ty = Some(oid::INT8);
                    o.increment = Some(row.int("seqincrement"));
                    o.min = Some(Some(row.int("seqmin")));
                    o.max = Some(Some(row.int("seqmax")));
                    o.start = Some(row.int("seqstart"));
                    o.cache = Some(row.int("seqcache"));
                    o.cycle = Some(row.bool("seqcycle"));
                }
            }
        }
        Ok(Some(columns))
    }

    /// Indexes, storage of columns, extended statistics, comments.
    pub(super) fn like_rest(&self, oid: Oid, t: &CreateTable) -> Result<()> {
        for like in &t.likes {
            let model = self.model(like)?;
            if like.parts.storage {
                self.like_storage(oid, &model)?;
            }
            if like.parts.indexes {
                self.like_indexes(oid, &model)?;
            }
            if like.parts.statistics {
                self.like_statistics(oid, &model, like.parts.comments)?;
            }
            if like.parts.comments {
                self.like_comments(oid, &model)?;
            }
        }
        Ok(())
    }

    fn like_storage(&self, oid: Oid, model: &Relation) -> Result<()> {
        let new = self.current(oid)?;
        for a in model.live() {
            let Some(b) = new.live().find(|b| b.name == a.name && b.storage != a.storage) else { continue };
            let key = [Value::Oid(oid), Value::Int2(b.attnum)];
            self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| r.put("attstorage", a.storage))?;
        }
        self.step();
        Ok(())
    }

    /// Those that belong to no constraint.
    fn like_indexes(&self, oid: Oid, model: &Relation) -> Result<()> {
        let owned = |i: &Index| model.constraints.iter().any(|c| c.index == i.oid);
        for index in model.indexes.iter().filter(|i| !owned(i)) {
            let new = self.current(oid)?;
            let Some(keys) = same_keys(model, &new, &index.keys) else { continue };
            let parts = self.column_names(&new, &keys)?;
            let name = self.choose_name(new.schema, &new.name, &parts.join("_"), "idx")?;
            let wanted = NewIndex { name: &name, keys, ..NewIndex::like(index, &new) };
            self.create_index_relation(&wanted)?;
            self.step();
        }
        Ok(())
    }

    fn like_comments(&self, oid: Oid, model: &Relation) -> Result<()> {
        let new = self.current(oid)?;
        for a in model.live() {
            if let Some(b) = new.live().find(|b| b.name == a.name) {
                self.copy_comment(Address::column(model.oid, a.attnum), Address::column(oid, b.attnum))?;
            }
        }
        for c in model.constraints.iter().filter(|c| c.kind == ConstraintKind::Check) {
            if let Some(d) = new.constraints.iter().find(|d| d.name == c.name) {
                self.copy_comment(Address::new(PG_CONSTRAINT, c.oid), Address::new(PG_CONSTRAINT, d.oid))?;
            }
        }
        for i in &model.indexes {
            let Some(keys) = same_keys(model, &new, &i.keys) else { continue };
            let alike = |j: &&Arc<Index>| {
                j.unique == i.unique
                    && j.primary == i.primary
                    && j.predicate == i.predicate
                    && j.keys.len() == keys.len()
                    && j.keys.iter().zip(&keys).all(|(a, b)| {
                        a.attnum == b.attnum && a.expression == b.expression && a.descending == b.descending
                    })
            };
            if let Some(j) = new.indexes.iter().find(alike) {
                self.copy_comment(Address::new(PG_CLASS, i.oid), Address::new(PG_CLASS, j.oid))?;
            }
        }
        self.step();
        Ok(())
    }

    pub(super) fn copy_comment(&self, from: Address, to: Address) -> Result<()> {
        let key = [Value::Oid(from.object), Value::Oid(from.class)];
        for (_, row) in self.find(PG_DESCRIPTION, &["objoid", "classoid"], &key)? {
            if row.int("objsubid") == i64::from(from.sub) {
                let text: String = row.text("description").into();
                let copy = self
                    .row(PG_DESCRIPTION)?
                    .set("objoid", to.object)
                    .set("classoid", to.class)
                    .set("objsubid", to.sub)
                    .set("description", text);
                self.insert(PG_DESCRIPTION, &copy)?;
            }
        }
        Ok(())
    }
}

/// The columns of the same names.
pub(super) fn same_columns(model: &Relation, new: &Relation, columns: &[i16]) -> Option<Vec<i16>> {
    let same = |attnum: &i16| {
        let name = &model.live().find(|a| a.attnum == *attnum)?.name;
        Some(new.live().find(|a| a.name == *name)?.attnum)
    };
    columns.iter().map(same).collect()
}

/// Keys over the columns of the same names.
fn same_keys(model: &Relation, new: &Relation, keys: &[IndexKey]) -> Option<Vec<IndexKey>> {
    keys.iter()
        .map(|k| {
            let mut key = k.clone();
            if k.attnum != 0 {
                let name = &model.live().find(|a| a.attnum == k.attnum)?.name;
                key.attnum = new.live().find(|a| a.name == *name)?.attnum;
            }
            Some(key)
        })
        .collect()
}

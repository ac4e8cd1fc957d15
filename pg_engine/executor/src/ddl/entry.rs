//! Entries of an index, made from rows of its table.

use alloc::{string::String, vec::Vec};

use pg_catalog::{Index, IndexKey, IndexMethod, Relation, keys};
use pg_types::{Result, Value};

use super::{Ddl, index::NewIndex};
use crate::{
    context::Rt,
    expr::{Compiled, RowRef},
};

/// Makes the entries of one index.
pub(crate) struct EntryMaker {
    keys: Vec<IndexKey>,
    /// Of each key column, if it is computed.
    parts: Vec<Option<Compiled>>,
    predicate: Option<Compiled>,
    /// Rows without a value are left out.
    skips_nulls: bool,
}

impl EntryMaker {
    /// For an index that there is.
    pub(crate) fn of(ddl: &Ddl<'_, '_>, relation: &Relation, index: &Index) -> Result<Self> {
        Self::make(ddl, relation, &index.keys, index.predicate.as_ref(), index.method)
    }
    /// For one that is being made.
    pub(crate) fn of_new(ddl: &Ddl<'_, '_>, new: &NewIndex<'_>) -> Result<Self> {
        Self::make(ddl, new.relation, &new.keys, new.predicate.as_ref(), new.method)
    }
    fn make(
        ddl: &Ddl<'_, '_>,
        relation: &Relation,
        keys: &[IndexKey],
        predicate: Option<&String>,
        method: IndexMethod,
    ) -> Result<Self> {
        let compile = |text: Option<&String>| text.map(|t| ddl.expression(relation, t)).transpose();
        Ok(Self {
            parts: keys.iter().map(|k| compile(k.expression.as_ref())).collect::<Result<_>>()?,
            predicate: compile(predicate)?,
            keys: keys.to_vec(),
            skips_nulls: method == IndexMethod::Hash,
        })
    }

    /// Appends the key of a row's entry, and says whether a column of it is NULL. `None`: the index leaves the row out.
    pub(crate) fn put(&mut self, row: &[Value], rt: &Rt<'_, '_>, out: &mut Vec<u8>) -> Result<Option<bool>> {
        let r = RowRef::Values(row);
        if let Some(p) = &mut self.predicate
            && !p.is_true(r, rt)?
        {
            return Ok(None);
        }
        let parts = &mut self.parts;
        let null = keys::encode_entry(&self.keys, out, |n, k, out| {
            let computed;
            let v = match parts.get_mut(n) {
                Some(Some(e)) => {
                    computed = e.row(r, rt)?;
                    &computed
                }
                _ => usize::try_from(k.attnum - 1).ok().and_then(|i| row.get(i)).unwrap_or(&Value::Null),
            };
            keys::encode_index_value(k, v, out)?;
            Ok(v.is_null())
        })?;
        Ok((!null || !self.skips_nulls).then_some(null))
    }
}

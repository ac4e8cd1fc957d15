//! CLUSTER: a table's rows are written anew in the order of one of its indexes.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{
    Index, Relation, RelationKind,
    builtin::{FIRST_NORMAL_OID, FIRST_ROLE, PG_CLASS, PG_INDEX},
};
use pg_storage::LockMode;
use pg_types::{Result, SqlError, SqlState, Value};

use super::Ddl;
use crate::{analyze, cursor::Cursor, routine::Inside, text::quote_identifier};

impl Ddl<'_, '_> {
    /// CLUSTER of one table; without an index, by the one that it was clustered by before.
    pub(crate) fn cluster(&self, relation: &Arc<Relation>, index: Option<&str>) -> Result<()> {
        if !matches!(relation.kind, RelationKind::Table | RelationKind::MaterializedView) {
            let text = format!("\"{}\" is not a table or materialized view", relation.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
        }
        self.must_own(relation)?;
        if relation.oid < FIRST_NORMAL_OID {
            return Err(SqlError::unsupported("CLUSTER of a system catalog"));
        }
        let relation = self.relock(relation, LockMode::AccessExclusive)?;
        let name = match index {
            Some(name) => name.into(),
            None => self.clustered_by(&relation)?.ok_or_else(|| {
                let text = format!("there is no previously clustered index for table \"{}\"", relation.name);
                SqlError::new(SqlState::UNDEFINED_OBJECT, text)
            })?,
        };
        self.cluster_on(&relation, Some(&name))?;
        self.step();
        let relation = self.current(relation.oid)?;
        let Some(index) = relation.indexes.iter().find(|i| i.name == name).cloned() else {
            return Err(SqlError::internal("a table's index is gone"));
        };
        if !index.valid {
            let text = format!("cannot cluster on invalid index \"{name}\"");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
        }
        // All rows, whatever policies the table has.
        let plan = self.cx.session.plan_query(&self.reader_as(FIRST_ROLE)?, &in_order(&relation, &index))?;
        let _owner = Inside::owner(self.cx.session, relation.owner);
        let mut cursor = Cursor::new(&plan)?;
        self.empty(&relation)?;
        let mut bare = (*self.current(relation.oid)?).clone();
        bare.indexes.clear();
        self.fill(&Arc::new(bare), &mut cursor)?;
        self.rebuild_indexes(relation.oid)?;
        analyze::update_sizes(&*self.current(relation.oid)?, self.cx)
    }

    /// CLUSTER of all tables of the user that were clustered before.
    pub(crate) fn cluster_all(&self) -> Result<()> {
        for (_, row) in self.find(PG_INDEX, &["indisclustered"], &[Value::Bool(true)])? {
            let table = row.oid("indrelid");
            let rows = self.find(PG_CLASS, &["oid"], &[Value::Oid(table)])?;
            let Some((_, table_row)) = rows.first() else { continue };
            if self.owns(table_row.oid("relowner"))? {
                self.cx.checkpoint()?;
                self.cluster(&self.current(table)?, None)?;
            }
        }
        Ok(())
    }

    /// The index that a table was clustered by.
    fn clustered_by(&self, relation: &Relation) -> Result<Option<String>> {
        for index in &relation.indexes {
            let rows = self.find(PG_INDEX, &["indexrelid"], &[Value::Oid(index.oid)])?;
            if rows.iter().any(|(_, r)| r.bool("indisclustered")) {
                return Ok(Some(index.name.clone()));
            }
        }
        Ok(None)
    }
}

/// The query of all rows in an index's order.
fn in_order(relation: &Relation, index: &Index) -> String {
    let columns: Vec<String> = relation.live().map(|a| quote_identifier(&a.name)).collect();
    let key = |k: &pg_catalog::IndexKey| {
        let text = match &k.expression {
            Some(e) => format!("({e})"),
            None => relation
                .live()
                .find(|a| a.attnum == k.attnum)
                .map_or_else(String::new, |a| quote_identifier(&a.name)),
        };
        let order = if k.descending { "DESC" } else { "ASC" };
        let nulls = if k.nulls_first { "FIRST" } else { "LAST" };
        format!("{text} {order} NULLS {nulls}")
    };
    let keys: Vec<String> = index.keys.iter().take(index.key_count).map(key).collect();
    format!(
        "SELECT {} FROM ONLY {}.{} ORDER BY {}",
        columns.join(", "),
        quote_identifier(&relation.schema_name),
        quote_identifier(&relation.name),
        keys.join(", ")
    )
}

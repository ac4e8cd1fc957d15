//! Texts of views when names in them change: bound before the change, written again after it.

use alloc::{boxed::Box, string::String, vec::Vec};

use pg_catalog::{
    CatalogReader,
    builtin::{PG_CLASS, PG_DEPEND, PG_REWRITE},
};
use pg_types::{Oid, Result, Value};

use super::Ddl;
use crate::session::StoredQuery;

/// Views' queries, bound.
pub(super) struct ViewTexts(Vec<(Oid, Oid, Box<dyn StoredQuery>)>);

impl Ddl<'_, '_> {
    /// The views that read any of these relations.
    pub(super) fn views_over(&self, relations: &[Oid]) -> Result<ViewTexts> {
        let mut rules: Vec<Oid> = Vec::new();
        for relation in relations {
            let key = [Value::Oid(PG_CLASS), Value::Oid(*relation)];
            for (_, row) in self.find(PG_DEPEND, &["refclassid", "refobjid"], &key)? {
                if row.oid("classid") == PG_REWRITE {
                    rules.push(row.oid("objid"));
                }
            }
        }
        rules.sort_unstable();
        rules.dedup();
        let mut texts = Vec::with_capacity(rules.len());
        for rule in rules {
            self.cx.checkpoint()?;
            for (_, row) in self.find(PG_REWRITE, &["oid"], &[Value::Oid(rule)])? {
                let query = self.cx.session.stored_query(&self.reader()?, row.text("ev_action"))?;
                texts.push((rule, row.oid("ev_class"), query));
            }
        }
        Ok(ViewTexts(texts))
    }

    /// The views that read anything in a schema.
    pub(super) fn views_over_schema(&self, schema: Oid) -> Result<ViewTexts> {
        let rows = self.find(PG_CLASS, &["relnamespace"], &[Value::Oid(schema)])?;
        let relations: Vec<Oid> = rows.iter().map(|(_, r)| r.oid("oid")).collect();
        self.views_over(&relations)
    }

    /// Stores the texts with the names of now.
    pub(super) fn store_views(&self, texts: &ViewTexts) -> Result<()> {
        if texts.0.is_empty() {
            return Ok(());
        }
        self.step();
        for (rule, view, query) in &texts.0 {
            let reader = self.reader()?;
            let Some(relation) = reader.relation_by_oid(*view)? else { continue };
            let names: Vec<String> = relation.live().map(|a| a.name.clone()).collect();
            let text = query.stored(&reader, &names)?;
            self.update(PG_REWRITE, &["oid"], &[Value::Oid(*rule)], |r| r.put("ev_action", text.as_str()))?;
        }
        self.step();
        Ok(())
    }
}

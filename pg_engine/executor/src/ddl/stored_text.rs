//! Stored texts when names in them change: bound before the change, written again after it.

use alloc::{boxed::Box, string::String, vec::Vec};

use pg_catalog::{
    CatalogReader, Relation,
    builtin::{
        PG_ATTRDEF, PG_CLASS, PG_CONSTRAINT, PG_DEPEND, PG_INDEX, PG_POLICY, PG_REWRITE, PG_STATISTIC_EXT,
        rows::EXPRESSION_SEPARATOR,
    },
};
use pg_types::{Oid, Result, Value};

use super::Ddl;
use crate::session::{StoredCondition, StoredQuery};

/// Queries of views and expressions of tables, bound.
pub(super) struct StoredTexts {
    /// Rule, view and query.
    views: Vec<(Oid, Oid, Box<dyn StoredQuery>)>,
    expressions: Vec<Kept>,
}

/// Expressions that one column of a row of a catalog keeps.
struct Kept {
    catalog: Oid,
    key: &'static str,
    row: Oid,
    column: &'static str,
    parts: Vec<Box<dyn StoredCondition>>,
}

impl Ddl<'_, '_> {
    /// What names any of these relations: views and policies.
    pub(super) fn texts_over(&self, relations: &[Oid]) -> Result<StoredTexts> {
        let (mut rules, mut policies) = (Vec::new(), Vec::new());
        for relation in relations {
            let key = [Value::Oid(PG_CLASS), Value::Oid(*relation)];
            for (_, row) in self.find(PG_DEPEND, &["refclassid", "refobjid"], &key)? {
                match row.oid("classid") {
                    PG_REWRITE => rules.push(row.oid("objid")),
                    PG_POLICY => policies.push(row.oid("objid")),
                    _ => {}
                }
            }
        }
        for list in [&mut rules, &mut policies] {
            list.sort_unstable();
            list.dedup();
        }
        let mut texts = StoredTexts { views: Vec::with_capacity(rules.len()), expressions: Vec::new() };
        for rule in rules {
            self.cx.checkpoint()?;
            for (_, row) in self.find(PG_REWRITE, &["oid"], &[Value::Oid(rule)])? {
                let query = self.cx.session.stored_query(&self.reader()?, row.text("ev_action"))?;
                texts.views.push((rule, row.oid("ev_class"), query));
            }
        }
        for policy in policies {
            self.cx.checkpoint()?;
            for (_, row) in self.find(PG_POLICY, &["oid"], &[Value::Oid(policy)])? {
                let relation = self.current(row.oid("polrelid"))?;
                for column in ["polqual", "polwithcheck"] {
                    let text = row.text_option(column);
                    self.keep(&mut texts, (PG_POLICY, "oid", policy, column), &relation, text.as_slice())?;
                }
            }
        }
        Ok(texts)
    }

    /// As [`Self::texts_over`], with the expressions that name the relation's columns.
    pub(super) fn texts_of_columns(&self, relation: &Relation, texts: &mut StoredTexts) -> Result<()> {
        for c in &relation.constraints {
            let place = (PG_CONSTRAINT, "oid", c.oid, "conbin");
            self.keep(texts, place, relation, c.expression.as_slice())?;
        }
        for (_, row) in self.find(PG_ATTRDEF, &["adrelid"], &[Value::Oid(relation.oid)])? {
            let generated = |n: i64| relation.live().any(|a| i64::from(a.attnum) == n && a.generated != 0);
            if generated(row.int("adnum")) {
                let text = row.text_option("adbin");
                self.keep(texts, (PG_ATTRDEF, "oid", row.oid("oid"), "adbin"), relation, text.as_slice())?;
            }
        }
        for i in &relation.indexes {
            let keys: Vec<String> = i.keys.iter().filter_map(|k| k.expression.clone()).collect();
            self.keep(texts, (PG_INDEX, "indexrelid", i.oid, "indexprs"), relation, &keys)?;
            self.keep(texts, (PG_INDEX, "indexrelid", i.oid, "indpred"), relation, i.predicate.as_slice())?;
        }
        for s in self.statistics_of(relation)? {
            self.keep(texts, (PG_STATISTIC_EXT, "oid", s.oid, "stxexprs"), relation, &s.expressions)?;
        }
        Ok(())
    }

    fn keep(
        &self,
        texts: &mut StoredTexts,
        (catalog, key, row, column): (Oid, &'static str, Oid, &'static str),
        relation: &Relation,
        stored: &[String],
    ) -> Result<()> {
        if stored.is_empty() {
            return Ok(());
        }
        let reader = self.reader()?;
        let bind = |text: &String| self.cx.session.stored_condition(&reader, relation, text);
        let parts = stored.iter().map(bind).collect::<Result<_>>()?;
        texts.expressions.push(Kept { catalog, key, row, column, parts });
        Ok(())
    }

    /// What names anything in a schema.
    pub(super) fn texts_over_schema(&self, schema: Oid) -> Result<StoredTexts> {
        let rows = self.find(PG_CLASS, &["relnamespace"], &[Value::Oid(schema)])?;
        let relations: Vec<Oid> = rows.iter().map(|(_, r)| r.oid("oid")).collect();
        self.texts_over(&relations)
    }

    /// Stores the texts with the names of now.
    pub(super) fn store_texts(&self, texts: &StoredTexts) -> Result<()> {
        if texts.views.is_empty() && texts.expressions.is_empty() {
            return Ok(());
        }
        self.step();
        for (rule, view, query) in &texts.views {
            let reader = self.reader()?;
            let Some(relation) = reader.relation_by_oid(*view)? else { continue };
            let names: Vec<String> = relation.live().map(|a| a.name.clone()).collect();
            let text = query.stored(&reader, &names)?;
            self.update(PG_REWRITE, &["oid"], &[Value::Oid(*rule)], |r| r.put("ev_action", text.as_str()))?;
        }
        for kept in &texts.expressions {
            let reader = self.reader()?;
            let parts: Vec<String> = kept.parts.iter().map(|p| p.stored(&reader)).collect::<Result<_>>()?;
            let text = parts.join(EXPRESSION_SEPARATOR);
            self.update(kept.catalog, &[kept.key], &[Value::Oid(kept.row)], |r| {
                r.put(kept.column, text.as_str());
            })?;
        }
        self.step();
        Ok(())
    }
}

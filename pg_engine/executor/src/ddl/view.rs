//! CREATE VIEW.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{
    CatalogReader, Relation, RelationKind,
    builtin::{PG_CLASS, PG_DEPEND, PG_REWRITE},
    table::array,
    views::rule_row,
};
use pg_plan::utility::{CreateView, KeptQuery};
use pg_storage::LockMode;
use pg_types::{Oid, Result, SqlError, SqlState, Value, oid};

use super::{Address, Ddl, Dependency, table::NewRelation};

/// `pg_class.reloptions`.
fn options(v: &CreateView) -> Vec<String> {
    v.options.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

impl Ddl<'_, '_> {
    /// CREATE VIEW.
    pub(crate) fn create_view(&self, v: &CreateView) -> Result<()> {
        let plan = self.cx.session.plan_query(&self.reader()?, &v.query.text)?;
        let (schema, _) = self.view_schema(v, &plan.relations)?;
        let existing = self.reader()?.relation_oid(schema, &v.name.name)?;
        let oid = match existing {
            Some(oid) if v.or_replace => self.replace_view(oid, v)?,
            Some(_) => {
                self.name_taken(schema, &v.name.name, false)?;
                return Ok(());
            }
            None => self.create_relation(&NewRelation {
                name: &v.name.name,
                schema,
                kind: b'v',
                columns: &v.columns,
                storage: 0,
                options: options(v),
                persistence: b'p',
            })?,
        };
        self.keep_query(oid, &v.query)
    }

    /// Stores a view's query, and what it depends on.
    pub(super) fn keep_query(&self, oid: Oid, v: &KeptQuery) -> Result<()> {
        let rule = self.oid()?;
        self.insert(PG_REWRITE, &rule_row(self.catalog(PG_REWRITE)?.def, rule, oid, &v.text))?;
        let address = Address::new(PG_REWRITE, rule);
        self.depend(address, Address::new(PG_CLASS, oid), Dependency::Internal)?;
        self.step();
        for &relation in &v.relations {
            if !v.reads.iter().any(|(r, _)| *r == relation) {
                self.depend(address, Address::new(PG_CLASS, relation), Dependency::Normal)?;
            }
        }
        self.depend_on_references(address, &v.text)?;
        for &(relation, column) in &v.reads {
            self.depend(address, Address::column(relation, column), Dependency::Normal)?;
        }
        self.step();
        Ok(())
    }

    /// The tables and views that a view's query reads.
    pub(crate) fn read_by(&self, view: &Relation) -> Result<Vec<Arc<Relation>>> {
        let reader = self.reader()?;
        let mut found: Vec<Arc<Relation>> = Vec::new();
        for (_, rule) in self.find(PG_REWRITE, &["ev_class"], &[Value::Oid(view.oid)])? {
            let key = [Value::Oid(PG_REWRITE), rule.get("oid").clone()];
            for (_, row) in self.find(PG_DEPEND, &["classid", "objid"], &key)? {
                let oid = row.oid("refobjid");
                let known = oid == view.oid || found.iter().any(|r| r.oid == oid);
                if row.oid("refclassid") != PG_CLASS || known {
                    continue;
                }
                if let Some(relation) = reader.relation_by_oid(oid)?
                    && matches!(relation.kind, RelationKind::Table | RelationKind::View)
                {
                    found.push(relation);
                }
            }
        }
        Ok(found)
    }

    /// Where a view goes: what reads temporary relations is temporary itself.
    fn view_schema(&self, v: &CreateView, relations: &[Oid]) -> Result<(Oid, String)> {
        let temporary = v.name.schema.as_deref() == Some(pg_catalog::PG_TEMP);
        let reader = self.reader()?;
        let reads = relations
            .iter()
            .any(|r| reader.relation_by_oid(*r).is_ok_and(|r| r.is_some_and(|r| r.persistence == b't')));
        if !reads || temporary {
            return self.creation_schema(&v.name);
        }
        if v.name.schema.is_some() {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                "cannot create temporary relation in non-temporary schema",
            ));
        }
        let text = format!("view \"{}\" will be a temporary view", v.name.name);
        self.notice(SqlState::SUCCESSFUL_COMPLETION, text);
        self.temporary_schema()
    }

    /// OR REPLACE: the columns must stay as they are, more may be added behind them.
    fn replace_view(&self, oid: Oid, v: &CreateView) -> Result<Oid> {
        let old = self.current(oid)?;
        self.must_own(&old)?;
        let old = self.relock(&old, LockMode::AccessExclusive)?;
        if old.kind != RelationKind::View {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a view", old.name),
            ));
        }
        if v.columns.len() < old.attributes.len() {
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, "cannot drop columns from view"));
        }
        for (a, c) in old.attributes.iter().zip(&v.columns) {
            if a.name != c.name {
                return Err(SqlError::new(
                    SqlState::INVALID_TABLE_DEFINITION,
                    format!("cannot change name of view column \"{}\" to \"{}\"", a.name, c.name),
                )
                .hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."));
            }
            if a.ty != c.ty {
                let shown = pg_types::typeinfo::display;
                return Err(SqlError::new(
                    SqlState::INVALID_TABLE_DEFINITION,
                    format!(
                        "cannot change data type of view column \"{}\" from {} to {}",
                        a.name,
                        shown(a.ty),
                        shown(c.ty)
                    ),
                ));
            }
        }
        for (n, c) in v.columns.iter().enumerate().skip(old.attributes.len()) {
            self.create_attribute(oid, n as i16 + 1, c)?;
        }
        let columns = v.columns.len() as i16;
        self.update(PG_CLASS, &["oid"], &[Value::Oid(oid)], |r| {
            r.put("relnatts", columns);
            let list: Vec<Value> = options(v).iter().map(|o| Value::text(o)).collect();
            let list = if list.is_empty() { Value::Null } else { array(oid::TEXT, list) };
            r.put("reloptions", list);
        })?;
        for (_, r) in self.find(PG_REWRITE, &["ev_class"], &[Value::Oid(oid)])? {
            self.delete(PG_DEPEND, &["classid", "objid"], &[Value::Oid(PG_REWRITE), r.get("oid").clone()])?;
        }
        self.delete(PG_REWRITE, &["ev_class"], &[Value::Oid(oid)])?;
        self.step();
        Ok(oid)
    }
}

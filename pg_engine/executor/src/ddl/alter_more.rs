//! ALTER TABLE's actions on what is generated, on constraints that are there, and on marks of indexes.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_catalog::{
    Attribute, CatalogReader, Constraint, ConstraintKind, Index, Relation, RelationKind,
    builtin::{PG_ATTRDEF, PG_ATTRIBUTE, PG_CLASS, PG_CONSTRAINT, PG_DEPEND, PG_INDEX},
    table::array,
};
use pg_plan::utility::{SequenceOptions, TriggerSet};
use pg_types::{Result, SqlError, SqlState, Value, oid};

use super::{Address, Ddl};
use crate::foreign_key;

fn prerequisite(text: String) -> SqlError {
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
}

fn wrong_object(text: String) -> SqlError {
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, text)
}

impl Ddl<'_, '_> {
    /// SET GENERATED, SET option, RESTART.
    pub(super) fn set_identity(
        &self,
        relation: &Relation,
        a: &Attribute,
        identity: Option<u8>,
        options: &SequenceOptions,
    ) -> Result<()> {
        if a.identity == 0 {
            let text =
                format!("column \"{}\" of relation \"{}\" is not an identity column", a.name, relation.name);
            return Err(prerequisite(text));
        }
        if let Some(identity) = identity {
            let key = [Value::Oid(relation.oid), Value::Int2(a.attnum)];
            self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| r.put("attidentity", identity))?;
            self.step();
        }
        if *options == SequenceOptions::default() {
            return Ok(());
        }
        let sequence = self.owned_sequence(relation.oid, a.attnum)?;
        let sequence = sequence.map(|oid| self.reader()?.relation_by_oid(oid)).transpose()?.flatten();
        let sequence = sequence.ok_or_else(|| SqlError::internal("an identity column without a sequence"))?;
        self.change_sequence(&sequence, options)
    }

    /// DROP EXPRESSION: the values stay.
    pub(super) fn drop_expression(&self, relation: &Relation, a: &Attribute, if_exists: bool) -> Result<()> {
        if a.generated == 0 {
            let text = format!(
                "column \"{}\" of relation \"{}\" is not a stored generated column",
                a.name, relation.name
            );
            if !if_exists {
                return Err(prerequisite(text));
            }
            self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{text}, skipping"));
            return Ok(());
        }
        let key = [Value::Oid(relation.oid), Value::Int2(a.attnum)];
        self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| r.put("attgenerated", 0u8))?;
        // It no longer needs the columns that it was computed from.
        let own =
            [Value::Oid(PG_CLASS), Value::Oid(relation.oid), Value::Oid(PG_CLASS), Value::Oid(relation.oid)];
        for (tid, d) in self.find(PG_DEPEND, &["classid", "objid", "refclassid", "refobjid"], &own)? {
            if d.int("objsubid") == i64::from(a.attnum) && d.int("refobjsubid") != 0 {
                let mut txn = self.cx.txn.borrow_mut();
                self.catalog(PG_DEPEND)?.delete(self.cx.engine.storage(), txn.storage(), tid)?;
            }
        }
        for (_, r) in self.find(PG_ATTRDEF, &["adrelid", "adnum"], &key)? {
            // It is a part of its column until now.
            let expression = [Value::Oid(PG_ATTRDEF), Value::Oid(r.oid("oid"))];
            for (tid, d) in self.find(PG_DEPEND, &["classid", "objid"], &expression)? {
                if d.char("deptype") == b'i' {
                    let mut txn = self.cx.txn.borrow_mut();
                    self.catalog(PG_DEPEND)?.delete(self.cx.engine.storage(), txn.storage(), tid)?;
                }
            }
            self.step();
            self.drop_objects(&[Address::new(PG_ATTRDEF, r.oid("oid"))], false)?;
        }
        self.step();
        Ok(())
    }

    /// SET STATISTICS: how fine ANALYZE looks at a column.
    pub(super) fn set_statistics(&self, relation: &Relation, a: &Attribute, target: i32) -> Result<()> {
        const MOST: i32 = 10_000;
        if target < -1 {
            let text = format!("statistics target {target} is too low");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text));
        }
        if target > MOST {
            let text = format!("lowering statistics target to {MOST}");
            self.cx.session.notice("WARNING", SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text));
        }
        self.update_column(relation, a, |r| r.put("attstattarget", target.min(MOST)))
    }

    /// SET STATISTICS of a column of an index, which must be an expression: others are as fine as the table's.
    pub(super) fn set_key_statistics(&self, index: &Relation, number: i64, target: i32) -> Result<()> {
        let unsupported = |text: String| SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text);
        if index.kind != RelationKind::Index {
            return Err(unsupported("cannot refer to non-index column by number".into()));
        }
        let place = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
        let Some(a) = place.and_then(|n| index.attributes.get(n)) else {
            let text = format!("column number {number} of relation \"{}\" does not exist", index.name);
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, text));
        };
        let rows = self.find(PG_INDEX, &["indexrelid"], &[Value::Oid(index.oid)])?;
        let row = rows.first().map(|r| &r.1);
        let carried = row.is_some_and(|r| i64::from(a.attnum) > r.int("indnkeyatts"));
        let key = row.and_then(|r| place.and_then(|n| r.int2s("indkey").get(n).copied()));
        if carried || key != Some(0) {
            let kind = if carried { "included" } else { "non-expression" };
            let text = format!(
                "cannot alter statistics on {kind} column \"{}\" of index \"{}\"",
                a.name, index.name
            );
            let e = unsupported(text);
            return Err(if carried { e } else { e.hint("Alter statistics on table column instead.") });
        }
        self.set_statistics(index, a, target)
    }

    /// SET and RESET of a column's options.
    pub(super) fn set_column_options(
        &self,
        relation: &Relation,
        a: &Attribute,
        options: &[(String, Option<String>)],
    ) -> Result<()> {
        self.update_column(relation, a, |r| {
            let text = |v: &Value| if let Value::Text(t) = v { Some(t.to_string()) } else { None };
            let mut list: Vec<String> = r.array("attoptions").iter().filter_map(text).collect();
            list.retain(|o| !options.iter().any(|(n, _)| o.split_once('=').is_some_and(|(k, _)| k == n)));
            list.extend(options.iter().filter_map(|(n, v)| v.as_ref().map(|v| format!("{n}={v}"))));
            let list: Vec<Value> = list.iter().map(|o| Value::text(o)).collect();
            r.put("attoptions", if list.is_empty() { Value::Null } else { array(oid::TEXT, list) });
        })
    }

    /// ENABLE and DISABLE TRIGGER. There are no triggers but those of constraints, which are not rows that can be switched off.
    pub(super) fn switch_triggers(
        &self,
        relation: &Relation,
        which: &TriggerSet,
        enable: bool,
    ) -> Result<()> {
        match which {
            TriggerSet::Named(name) => {
                let text = format!("trigger \"{name}\" for table \"{}\" does not exist", relation.name);
                Err(SqlError::new(SqlState::UNDEFINED_OBJECT, text))
            }
            TriggerSet::All
                if !(enable || relation.foreign_keys.is_empty() && relation.referenced_by.is_empty()) =>
            {
                Err(SqlError::unsupported("DISABLE TRIGGER ALL of a table with foreign keys"))
            }
            TriggerSet::All | TriggerSet::User => Ok(()),
        }
    }

    /// SET LOGGED, SET UNLOGGED.
    pub(super) fn set_logged(&self, relation: &Relation, logged: bool) -> Result<()> {
        let refused = |text: String| Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, text));
        if relation.persistence == b't' {
            let text =
                format!("cannot change logged status of table \"{}\" because it is temporary", relation.name);
            return refused(text);
        }
        let (wanted, word, wrong) =
            if logged { (b'p', "logged", "unlogged") } else { (b'u', "unlogged", "logged") };
        if relation.persistence == wanted {
            return Ok(());
        }
        let others = match logged {
            true => relation.foreign_keys.iter().map(|k| k.referenced).collect::<Vec<_>>(),
            false => relation.referenced_by.iter().map(|k| k.table).collect(),
        };
        for oid in others.into_iter().filter(|o| *o != relation.oid) {
            let other = self.current(oid)?;
            if other.persistence != wanted {
                return refused(format!(
                    "could not change table \"{}\" to {word} because it references {wrong} table \"{}\"",
                    relation.name, other.name
                ));
            }
        }
        let toast = relation.toast.iter().flat_map(|t| [t.oid, t.index_oid]);
        let all = relation.indexes.iter().map(|i| i.oid).chain(toast).chain([relation.oid]);
        for oid in all.collect::<Vec<_>>() {
            self.update(PG_CLASS, &["oid"], &[Value::Oid(oid)], |r| r.put("relpersistence", wanted))?;
        }
        Ok(())
    }

    fn constraint_named<'r>(&self, relation: &'r Relation, name: &str) -> Result<&'r Constraint> {
        relation.constraints.iter().find(|c| c.name == name).ok_or_else(|| {
            let text = format!("constraint \"{name}\" of relation \"{}\" does not exist", relation.name);
            SqlError::new(SqlState::UNDEFINED_OBJECT, text)
        })
    }

    /// VALIDATE CONSTRAINT.
    pub(super) fn validate_constraint(&self, relation: &Relation, name: &str) -> Result<()> {
        let c = self.constraint_named(relation, name)?;
        let key = [Value::Oid(c.oid)];
        if !matches!(c.kind, ConstraintKind::Foreign | ConstraintKind::Check) {
            return Err(wrong_object(format!(
                "constraint \"{name}\" of relation \"{}\" is not a foreign key or check constraint",
                relation.name
            )));
        }
        if self.find(PG_CONSTRAINT, &["oid"], &key)?.iter().all(|(_, r)| r.bool("convalidated")) {
            return Ok(());
        }
        if let Some(foreign) = relation.foreign_keys.iter().find(|k| k.oid == c.oid) {
            foreign_key::validate(self.cx, foreign)?;
        } else if let Some(expression) = &c.expression {
            self.validate_check(relation, name, expression)?;
        }
        self.update(PG_CONSTRAINT, &["oid"], &key, |r| r.put("convalidated", true))?;
        Ok(())
    }

    /// ALTER CONSTRAINT: when a foreign key is checked.
    pub(super) fn alter_constraint(
        &self,
        relation: &Relation,
        name: &str,
        deferrable: bool,
        deferred: bool,
    ) -> Result<()> {
        let c = self.constraint_named(relation, name)?;
        if c.kind != ConstraintKind::Foreign {
            return Err(wrong_object(format!(
                "constraint \"{name}\" of relation \"{}\" is not a foreign key constraint",
                relation.name
            )));
        }
        self.update(PG_CONSTRAINT, &["oid"], &[Value::Oid(c.oid)], |r| {
            r.put("condeferrable", deferrable);
            r.put("condeferred", deferred);
        })?;
        Ok(())
    }

    fn index_named(&self, relation: &Relation, name: &str) -> Result<Arc<Index>> {
        relation.indexes.iter().find(|i| i.name == name).cloned().ok_or_else(|| {
            let text = format!("index \"{name}\" for table \"{}\" does not exist", relation.name);
            SqlError::new(SqlState::UNDEFINED_OBJECT, text)
        })
    }

    /// Puts a mark on one index of a table and takes it from the others.
    fn mark_only(&self, relation: &Relation, mark: &str, marked: Option<&Index>) -> Result<()> {
        for index in &relation.indexes {
            let on = marked.is_some_and(|m| m.oid == index.oid);
            let key = [Value::Oid(index.oid)];
            if self.find(PG_INDEX, &["indexrelid"], &key)?.iter().any(|(_, r)| r.bool(mark) != on) {
                self.update(PG_INDEX, &["indexrelid"], &key, |r| r.put(mark, on))?;
            }
        }
        Ok(())
    }

    /// REPLICA IDENTITY.
    pub(super) fn replica_identity(&self, relation: &Relation, kind: u8, index: Option<&str>) -> Result<()> {
        let index = index.map(|name| self.index_named(relation, name)).transpose()?;
        if let Some(i) = &index {
            let unfit = match i {
                i if !i.unique => Some(("non-unique", SqlState::WRONG_OBJECT_TYPE)),
                i if i.deferrable => Some(("non-immediate", SqlState::FEATURE_NOT_SUPPORTED)),
                i if i.keys.iter().any(|k| k.attnum == 0) => {
                    Some(("expression", SqlState::FEATURE_NOT_SUPPORTED))
                }
                i if i.predicate.is_some() => Some(("partial", SqlState::FEATURE_NOT_SUPPORTED)),
                _ => None,
            };
            if let Some((unfit, state)) = unfit {
                let text = format!("cannot use {unfit} index \"{}\" as replica identity", i.name);
                return Err(SqlError::new(state, text));
            }
            let keys = i.keys.iter().take(i.key_count);
            let mut columns = keys.filter_map(|k| relation.live().find(|a| a.attnum == k.attnum));
            if let Some(a) = columns.find(|a| !a.not_null) {
                return Err(wrong_object(format!(
                    "index \"{}\" cannot be used as replica identity because column \"{}\" is nullable",
                    i.name, a.name
                )));
            }
        }
        self.update(PG_CLASS, &["oid"], &[Value::Oid(relation.oid)], |r| r.put("relreplident", kind))?;
        self.mark_only(relation, "indisreplident", index.as_deref())
    }

    /// CLUSTER ON, SET WITHOUT CLUSTER: the index whose order the table is to be kept in.
    pub(super) fn cluster_on(&self, relation: &Relation, index: Option<&str>) -> Result<()> {
        let index = index.map(|name| self.index_named(relation, name)).transpose()?;
        if let Some(i) = &index {
            let refused = |text| Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
            if i.predicate.is_some() {
                return refused(format!("cannot cluster on partial index \"{}\"", i.name));
            }
            if i.method.name() != "btree" {
                return refused(format!(
                    "cannot cluster on index \"{}\" because access method does not support clustering",
                    i.name
                ));
            }
        }
        self.mark_only(relation, "indisclustered", index.as_deref())
    }
}

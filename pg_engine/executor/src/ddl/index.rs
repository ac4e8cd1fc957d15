//! CREATE INDEX.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_catalog::{
    IndexKey, Relation, RelationKind,
    builtin::{
        PG_ATTRIBUTE, PG_CLASS, PG_INDEX,
        rows::{ClassRow, EXPRESSION_SEPARATOR, IndexRow, attribute_row},
    },
    keys, storage_error,
};
use pg_functions::BTREE;
use pg_plan::utility::CreateIndex;
use pg_storage::{IndexInsert, LockMode, RelId, RelationKind as StorageKind, Tid};
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::{Address, Ddl, Dependency};
use crate::{
    expr::{Compiled, RowRef},
    node::scan,
};

/// An index to be made.
pub(crate) struct NewIndex<'a> {
    pub name: &'a str,
    pub relation: &'a Arc<Relation>,
    pub unique: bool,
    pub primary: bool,
    pub keys: Vec<IndexKey>,
    pub key_count: usize,
    pub predicate: Option<String>,
    pub nulls_not_distinct: bool,
    pub fillfactor: Option<i32>,
    /// A constraint will own it.
    pub constraint: bool,
}

impl Ddl<'_, '_> {
    /// CREATE INDEX.
    pub(crate) fn create_index(&self, i: &CreateIndex) -> Result<()> {
        let relation = self.relock(&i.relation, LockMode::Share)?;
        if relation.kind != RelationKind::Table {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot create index on relation \"{}\"", relation.name),
            ));
        }
        let name = match &i.name {
            Some(n) => {
                if self.name_taken(relation.schema, n, i.if_not_exists)? {
                    return Ok(());
                }
                n.clone()
            }
            None => {
                let parts: Vec<String> = i.keys.iter().map(|k| key_name(&relation, k)).collect();
                self.choose_name(relation.schema, &relation.name, &parts.join("_"), "idx")?
            }
        };
        let new = NewIndex {
            name: &name,
            relation: &relation,
            unique: i.unique,
            primary: false,
            keys: i.keys.clone(),
            key_count: i.key_count,
            predicate: i.predicate.clone(),
            nulls_not_distinct: i.nulls_not_distinct,
            fillfactor: i.fillfactor,
            constraint: false,
        };
        self.create_index_relation(&new)?;
        Ok(())
    }

    /// Catalog rows, storage and content of an index.
    pub(crate) fn create_index_relation(&self, new: &NewIndex<'_>) -> Result<Oid> {
        let relation = new.relation;
        let storage = {
            let mut txn = self.cx.txn.borrow_mut();
            let kind = StorageKind::BTree { heap: relation.storage };
            self.cx.engine.storage().create_relation(txn.storage(), kind).map_err(storage_error)?
        };
        let oid = self.oid()?;
        let class = ClassRow {
            oid,
            name: new.name,
            schema: relation.schema,
            row_type: 0,
            owner: relation.owner,
            method: BTREE,
            storage: storage.0,
            kind: b'i',
            columns: new.keys.len() as i16,
            checks: 0,
            has_index: false,
            shared: false,
            persistence: b'p',
            options: new.fillfactor.map(|f| format!("fillfactor={f}")).into_iter().collect(),
        };
        self.insert(PG_CLASS, &class.row(self.catalog(PG_CLASS)?.def))?;
        let def = self.catalog(PG_ATTRIBUTE)?.def;
        for (n, k) in new.keys.iter().enumerate() {
            let name = key_name(relation, k);
            self.insert(PG_ATTRIBUTE, &attribute_row(def, oid, n as i16 + 1, &name, k.ty, false))?;
        }
        let expressions: Vec<&str> = new.keys.iter().filter_map(|k| k.expression.as_deref()).collect();
        let row = IndexRow {
            oid,
            table: relation.oid,
            keys: &new.keys,
            key_count: new.key_count,
            unique: new.unique,
            primary: new.primary,
            nulls_not_distinct: new.nulls_not_distinct,
            expressions: (!expressions.is_empty()).then(|| expressions.join(EXPRESSION_SEPARATOR)),
            predicate: new.predicate.clone(),
        };
        self.insert(PG_INDEX, &row.row(self.catalog(PG_INDEX)?.def))?;
        if !new.constraint {
            let address = Address::new(PG_CLASS, oid);
            for k in new.keys.iter().filter(|k| k.attnum > 0) {
                self.depend(address, Address::column(relation.oid, k.attnum), Dependency::Auto)?;
            }
            self.depend(address, Address::new(PG_CLASS, relation.oid), Dependency::Auto)?;
        }
        let key = [Value::Oid(relation.oid)];
        if self.find(PG_CLASS, &["oid"], &key)?.iter().any(|r| !r.1.bool("relhasindex")) {
            self.update(PG_CLASS, &["oid"], &key, |r| r.put("relhasindex", true))?;
        }
        self.build_index(new, relation, relation.storage, storage)?;
        self.step();
        Ok(oid)
    }

    /// Fills an index from its table.
    pub(crate) fn build_index(
        &self,
        new: &NewIndex<'_>,
        relation: &Arc<Relation>,
        heap: RelId,
        storage: RelId,
    ) -> Result<()> {
        let (layout, missing) = scan::layout(relation);
        let mut rows: Vec<(Tid, Vec<Value>, bool)> = Vec::new();
        let keys: Vec<&IndexKey> = new.keys.iter().take(new.key_count).collect();
        let plain = new.predicate.is_none() && keys.iter().all(|k| k.attnum > 0);
        let mut entries: Vec<(Vec<u8>, Tid, bool)> = Vec::new();
        let mut failure = None;
        let engine_storage = self.cx.engine.storage();
        engine_storage
            .heap_scan_for_index(heap, |tid, payload| {
                // Only live versions are given.
                let live = true;
                if failure.is_some() {
                    return;
                }
                let mut add = || -> Result<()> {
                    if !plain {
                        rows.push((tid, layout.decode(payload, &missing)?, live));
                        return Ok(());
                    }
                    let mut key = Vec::with_capacity(16);
                    let mut null = false;
                    for k in &keys {
                        let v = layout.column(payload, k.attnum as usize - 1, &missing)?;
                        null |= v.is_null();
                        keys::encode_index_value(k, &v, &mut key)?;
                    }
                    // Keys with a NULL differ from every other; they take no part in the unique check.
                    entries.push((key, tid, live && (!null || new.nulls_not_distinct)));
                    Ok(())
                };
                failure = add().err();
            })
            .map_err(storage_error)?;
        if let Some(e) = failure {
            return Err(e);
        }
        if !plain {
            entries = self.computed_entries(new, relation, rows)?;
        }
        self.cx.checkpoint()?;
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
        let built = {
            let mut txn = self.cx.txn.borrow_mut();
            engine_storage
                .index_build(txn.storage(), storage, &mut entries.into_iter(), new.unique)
                .map_err(storage_error)?
        };
        match built {
            IndexInsert::Done => Ok(()),
            IndexInsert::Duplicate { tid } => Err(self.duplicate(new, relation, heap, tid)),
        }
    }

    /// Entries of an index with expressions or a predicate.
    fn computed_entries(
        &self,
        new: &NewIndex<'_>,
        relation: &Relation,
        rows: Vec<(Tid, Vec<Value>, bool)>,
    ) -> Result<Vec<(Vec<u8>, Tid, bool)>> {
        let mut predicate = match &new.predicate {
            Some(p) => Some(self.expression(relation, p)?),
            None => None,
        };
        let mut parts: Vec<Option<Compiled>> = Vec::new();
        for k in new.keys.iter().take(new.key_count) {
            parts.push(match &k.expression {
                Some(e) => Some(self.expression(relation, e)?),
                None => None,
            });
        }
        self.with_rt(|rt| {
            let mut entries = Vec::with_capacity(rows.len());
            for (tid, row, live) in rows {
                let r = RowRef::Values(&row);
                if let Some(p) = &mut predicate
                    && !p.is_true(r, rt)?
                {
                    continue;
                }
                let mut key = Vec::with_capacity(16);
                let mut null = false;
                for (k, part) in new.keys.iter().zip(&mut parts) {
                    let v = match part {
                        Some(e) => e.row(r, rt)?,
                        None => row.get(k.attnum as usize - 1).cloned().unwrap_or(Value::Null),
                    };
                    null |= v.is_null();
                    keys::encode_index_value(k, &v, &mut key)?;
                }
                entries.push((key, tid, live && (!null || new.nulls_not_distinct)));
            }
            Ok(entries)
        })
    }

    fn duplicate(&self, new: &NewIndex<'_>, relation: &Relation, heap: RelId, tid: Tid) -> SqlError {
        let error = SqlError::new(
            SqlState::UNIQUE_VIOLATION,
            format!("could not create unique index \"{}\"", new.name),
        )
        .table(relation.schema_name.clone(), relation.name.clone())
        .constraint(new.name);
        let (layout, missing) = scan::layout(relation);
        let row = self.cx.engine.storage().heap_fetch_version(heap, tid, |p| layout.decode(p, &missing));
        let Ok(Some(Ok(row))) = row else { return error };
        let mut names = Vec::new();
        let mut values = Vec::new();
        for k in new.keys.iter().take(new.key_count) {
            if k.attnum == 0 {
                return error;
            }
            names.push(key_name(relation, k));
            let v = row.get(k.attnum as usize - 1).cloned().unwrap_or(Value::Null);
            values.push(match v {
                Value::Null => "null".to_string(),
                v => crate::text::output(&v, k.ty.oid, self.cx).unwrap_or_default(),
            });
        }
        error.detail(format!("Key ({})=({}) is duplicated.", names.join(", "), values.join(", ")))
    }
}

/// A key column's name: the table's column, the function of an expression, or `expr`.
fn key_name(relation: &Relation, k: &IndexKey) -> String {
    if let Some(a) = relation.attributes.iter().find(|a| a.attnum == k.attnum && k.attnum > 0) {
        return a.name.clone();
    }
    let text = k.expression.as_deref().unwrap_or("");
    let head: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    if !head.is_empty() && text.get(head.len()..).is_some_and(|r| r.starts_with('(')) {
        head
    } else {
        String::from("expr")
    }
}

//! CREATE INDEX.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_catalog::{
    CatalogReader, Index, IndexKey, IndexMethod, Relation,
    builtin::{
        PG_ATTRIBUTE, PG_CLASS, PG_INDEX,
        rows::{ClassRow, EXPRESSION_SEPARATOR, IndexRow, attribute_row},
    },
    keys, storage_error,
};
use pg_plan::utility::CreateIndex;
use pg_storage::{
    Distinct, IndexBuild, IndexInsert, IndexSorter, IndexWorker, LockMode, RelId,
    RelationKind as StorageKind, Storage, StorageError, Tid,
};
use pg_types::{
    Oid, Result, SqlError, SqlState, SqlType, Value,
    tuple::is_wrapped,
    vector::{BATCH_ROWS, VectorBuilder},
};

use super::{Address, Ddl, Dependency, entry::EntryMaker};
use crate::{
    large::{BATCH_BYTES, RowFormat},
    routine::Inside,
};

/// Most tasks of one build.
const MAX_TASKS: usize = 8;
/// Pages of a table that make another task worth while.
const PAGES_WORTH_A_TASK: usize = 256;
/// Pages read at a time where keys are computed.
const COMPUTED_PAGES: u32 = 8;

/// An index to be made.
#[derive(Clone)]
pub(crate) struct NewIndex<'a> {
    pub name: &'a str,
    pub relation: &'a Arc<Relation>,
    pub method: IndexMethod,
    pub unique: bool,
    pub primary: bool,
    pub keys: Vec<IndexKey>,
    pub key_count: usize,
    pub predicate: Option<String>,
    pub nulls_not_distinct: bool,
    pub fillfactor: Option<i32>,
    /// A constraint will own it.
    pub constraint: bool,
    /// The constraint is checked after the statement.
    pub deferrable: bool,
    /// Nothing is built yet, and the index is not valid.
    pub concurrently: bool,
}

impl<'a> NewIndex<'a> {
    /// A plain B-tree.
    pub(crate) fn new(
        name: &'a str,
        relation: &'a Arc<Relation>,
        keys: Vec<IndexKey>,
        key_count: usize,
    ) -> Self {
        Self {
            name,
            relation,
            method: IndexMethod::BTree,
            unique: false,
            primary: false,
            keys,
            key_count,
            predicate: None,
            nulls_not_distinct: false,
            fillfactor: None,
            constraint: false,
            deferrable: false,
            concurrently: false,
        }
    }
    /// What CREATE INDEX asks for.
    pub(crate) fn asked(name: &'a str, relation: &'a Arc<Relation>, i: &CreateIndex) -> Self {
        Self {
            method: i.method,
            unique: i.unique,
            predicate: i.predicate.clone(),
            nulls_not_distinct: i.nulls_not_distinct,
            fillfactor: i.fillfactor,
            concurrently: i.concurrently,
            ..Self::new(name, relation, i.keys.clone(), i.key_count)
        }
    }
    /// One like another.
    pub(crate) fn like(index: &'a Index, relation: &'a Arc<Relation>) -> Self {
        Self {
            method: index.method,
            unique: index.unique,
            primary: index.primary,
            predicate: index.predicate.clone(),
            nulls_not_distinct: index.nulls_not_distinct,
            deferrable: index.deferrable,
            fillfactor: index.fill_factor.map(i32::from),
            ..Self::new(&index.name, relation, index.keys.clone(), index.key_count)
        }
    }
    /// Its storage, over a heap.
    pub(crate) fn storage_kind(&self, heap: RelId) -> StorageKind {
        match self.method {
            IndexMethod::BTree => StorageKind::BTree { heap },
            IndexMethod::Hash => StorageKind::Hash { heap },
        }
    }
    fn build(&self) -> IndexBuild {
        let distinct = match (self.unique, self.keys.len() > self.key_count) {
            (false, _) => Distinct::No,
            (true, false) => Distinct::Whole,
            (true, true) => Distinct::Compared,
        };
        IndexBuild { distinct, fill_factor: self.fillfactor.and_then(|f| u8::try_from(f).ok()) }
    }
}

impl Ddl<'_, '_> {
    /// CREATE INDEX.
    pub(crate) fn create_index(&self, i: &CreateIndex) -> Result<()> {
        let relation = self.relock(&i.relation, LockMode::Share)?;
        if !relation.kind.is_indexable() {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot create index on relation \"{}\"", relation.name),
            ));
        }
        let Some(name) = self.index_name(&relation, i)? else { return Ok(()) };
        let new = NewIndex::asked(&name, &relation, i);
        self.create_index_relation(&new)?;
        Ok(())
    }

    /// The name of a new index; `None`: there is one (IF NOT EXISTS).
    pub(super) fn index_name(&self, relation: &Relation, i: &CreateIndex) -> Result<Option<String>> {
        match &i.name {
            Some(n) if self.name_taken(relation.schema, n, i.if_not_exists)? => Ok(None),
            Some(n) => Ok(Some(n.clone())),
            None => {
                let parts = self.column_names(relation, &i.keys)?;
                self.choose_name(relation.schema, &relation.name, &parts.join("_"), "idx").map(Some)
            }
        }
    }

    /// Catalog rows, storage and content of an index.
    pub(crate) fn create_index_relation(&self, new: &NewIndex<'_>) -> Result<Oid> {
        let relation = new.relation;
        let storage = {
            let mut txn = self.cx.txn.borrow_mut();
            let kind = new.storage_kind(relation.storage);
            self.cx.engine.storage().create_relation(txn.storage(), kind).map_err(storage_error)?
        };
        let oid = self.oid()?;
        let class = ClassRow {
            oid,
            name: new.name,
            schema: relation.schema,
            row_type: 0,
            owner: relation.owner,
            method: new.method.oid(),
            storage: storage.0,
            kind: b'i',
            columns: new.keys.len() as i16,
            checks: 0,
            has_index: false,
            shared: false,
            persistence: relation.persistence,
            options: new.fillfactor.map(|f| format!("fillfactor={f}")).into_iter().collect(),
        };
        self.insert(PG_CLASS, &class.row(self.catalog(PG_CLASS)?.def))?;
        let def = self.catalog(PG_ATTRIBUTE)?.def;
        for ((n, k), name) in new.keys.iter().enumerate().zip(self.column_names(relation, &new.keys)?) {
            self.insert(PG_ATTRIBUTE, &attribute_row(def, oid, n as i16 + 1, &name, k.ty, false))?;
        }
        let expressions: Vec<&str> = new.keys.iter().filter_map(|k| k.expression.as_deref()).collect();
        let row = IndexRow {
            oid,
            table: relation.oid,
            method: new.method,
            keys: &new.keys,
            key_count: new.key_count,
            unique: new.unique,
            primary: new.primary,
            nulls_not_distinct: new.nulls_not_distinct,
            expressions: (!expressions.is_empty()).then(|| expressions.join(EXPRESSION_SEPARATOR)),
            predicate: new.predicate.clone(),
        };
        let mut row = row.row(self.catalog(PG_INDEX)?.def);
        row.put("indimmediate", !new.deferrable);
        row.put("indisvalid", !new.concurrently);
        self.insert(PG_INDEX, &row)?;
        if !new.constraint {
            let address = Address::new(PG_CLASS, oid);
            for k in new.keys.iter().filter(|k| k.attnum > 0) {
                self.depend(address, Address::column(relation.oid, k.attnum), Dependency::Auto)?;
            }
            for k in &new.keys {
                self.depend_on_collation(address, k.collation)?;
            }
            for text in new.keys.iter().filter_map(|k| k.expression.as_ref()).chain(&new.predicate) {
                self.depend_on_references(address, text)?;
                for attnum in self.columns_in(relation, text)? {
                    self.depend(address, Address::column(relation.oid, attnum), Dependency::Auto)?;
                }
            }
            self.depend(address, Address::new(PG_CLASS, relation.oid), Dependency::Auto)?;
        }
        let key = [Value::Oid(relation.oid)];
        if self.find(PG_CLASS, &["oid"], &key)?.iter().any(|r| !r.1.bool("relhasindex")) {
            self.update(PG_CLASS, &["oid"], &key, |r| r.put("relhasindex", true))?;
        }
        if !new.concurrently {
            self.build_index(new, relation, relation.storage, storage)?;
        }
        self.step();
        Ok(oid)
    }

    /// The columns that an expression names.
    pub(super) fn columns_in(&self, relation: &Relation, text: &str) -> Result<Vec<i16>> {
        let e = self.cx.session.bind_expression(&self.reader()?, relation, text)?;
        let mut found = Vec::new();
        e.any(&mut |e| {
            if let pg_plan::expr::Expr::Column(c, _) = e
                && let Ok(attnum) = i16::try_from(*c + 1)
                && !found.contains(&attnum)
            {
                found.push(attnum);
            }
            false
        });
        Ok(found)
    }

    /// Fills an index from its table.
    pub(crate) fn build_index(
        &self,
        new: &NewIndex<'_>,
        relation: &Arc<Relation>,
        heap: RelId,
        storage: RelId,
    ) -> Result<()> {
        let plain = new.predicate.is_none() && new.keys.iter().take(new.key_count).all(|k| k.attnum > 0);
        let sorters = match plain {
            true => self.stored_keys(new, heap, storage)?,
            false => alloc::vec![self.computed_keys(new, heap, storage)?],
        };
        self.cx.checkpoint()?;
        let built = {
            let mut txn = self.cx.txn.borrow_mut();
            let pause = || self.cx.checkpoint().map_err(Failure);
            self.cx
                .engine
                .storage()
                .index_build_sorted(txn.storage(), storage, sorters, new.build(), pause)
                .map_err(|f| f.0)?
        };
        match built {
            IndexInsert::Done => Ok(()),
            IndexInsert::Duplicate { tid } => Err(self.duplicate(new, relation, heap, tid)),
        }
    }

    /// Memory for sorting: `maintenance_work_mem`.
    fn build_memory(&self) -> usize {
        let text = self.cx.session.setting("maintenance_work_mem").unwrap_or_default();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: usize = text.get(..digits).and_then(|d| d.parse().ok()).unwrap_or(64 << 10);
        let shift = match text.get(digits..) {
            Some("MB") => 20,
            Some("GB") => 30,
            Some("TB") => 40,
            _ => 10,
        };
        number.saturating_mul(1 << shift)
    }

    /// The keys of an index on columns, collected by as many tasks as there are cores and the table is worth.
    fn stored_keys(&self, new: &NewIndex<'_>, heap: RelId, index: RelId) -> Result<Vec<IndexSorter>> {
        let storage = self.cx.engine.storage();
        let pages = storage.relation_stats(heap).map_err(storage_error)?.pages as usize;
        let tasks = (pages / PAGES_WORTH_A_TASK).clamp(1, platform::task::core_count().clamp(1, MAX_TASKS));
        let budget = self.build_memory() / tasks;
        let workers = (0..tasks)
            .map(|_| {
                StoredKeys::new(new, storage.index_sorter(index, budget).map_err(storage_error)?, storage)
            })
            .collect::<Result<Vec<_>>>()?;
        let mut canceled = None;
        let pause = || {
            canceled = self.cx.checkpoint().err();
            canceled.is_none()
        };
        let workers = storage.heap_scan_by_workers(heap, workers, pause).map_err(storage_error)?;
        if let Some(e) = canceled {
            return Err(e);
        }
        workers
            .into_iter()
            .map(|w| match w.failure {
                Some(e) => Err(e),
                None => Ok(w.sorter),
            })
            .collect()
    }

    /// The keys of an index with expressions or a predicate.
    fn computed_keys(&self, new: &NewIndex<'_>, heap: RelId, index: RelId) -> Result<IndexSorter> {
        let mut maker = EntryMaker::of_new(self, new)?;
        let _owner = Inside::owner(self.cx.session, new.relation.owner);
        let format = RowFormat::of(new.relation);
        let storage = self.cx.engine.storage();
        let mut sorter = storage.index_sorter(index, self.build_memory()).map_err(storage_error)?;
        let mut key = Vec::new();
        self.with_rt(|rt| {
            let mut add = |tid: Tid, payload: &[u8]| -> Result<()> {
                let row = format.decode(payload, rt.cx)?;
                key.clear();
                let Some(null) = maker.put(&row, rt, &mut key)? else { return Ok(()) };
                sorter.push(&key, tid, !null || new.nulls_not_distinct).map_err(storage_error)
            };
            // An expression may read tables: not while a page is latched.
            let (mut rows, mut ends): (Vec<u8>, Vec<(Tid, usize)>) = (Vec::new(), Vec::new());
            let blocks = storage.relation_stats(heap).map_err(storage_error)?.pages;
            let mut from = 0;
            while from < blocks {
                rt.cx.checkpoint()?;
                let to = from.saturating_add(COMPUTED_PAGES).min(blocks);
                rows.clear();
                ends.clear();
                storage
                    .heap_scan_part_for_index(heap, from..to, |tid, payload| {
                        rows.extend_from_slice(payload);
                        ends.push((tid, rows.len()));
                    })
                    .map_err(storage_error)?;
                let mut start = 0;
                for (tid, end) in &ends {
                    add(*tid, rows.get(start..*end).unwrap_or(&[]))?;
                    start = *end;
                }
                from = to;
            }
            Ok(())
        })?;
        Ok(sorter)
    }

    pub(super) fn duplicate(
        &self,
        new: &NewIndex<'_>,
        relation: &Relation,
        heap: RelId,
        tid: Tid,
    ) -> SqlError {
        let error = SqlError::new(
            SqlState::UNIQUE_VIOLATION,
            format!("could not create unique index \"{}\"", new.name),
        )
        .table(relation.schema_name.clone(), relation.name.clone())
        .constraint(new.name);
        let format = RowFormat::of(relation);
        let row = self.cx.engine.storage().heap_fetch_version(heap, tid, |p| format.take(p));
        let Ok(Some(Ok(taken))) = row else { return error };
        let Ok(row) = format.complete(taken, self.cx) else { return error };
        let mut names = Vec::new();
        let mut values = Vec::new();
        for k in new.keys.iter().take(new.key_count) {
            let Some(a) = relation.attributes.iter().find(|a| a.attnum == k.attnum && k.attnum > 0) else {
                return error;
            };
            names.push(a.name.as_str());
            let v = row.get(k.attnum as usize - 1).cloned().unwrap_or(Value::Null);
            values.push(match v {
                Value::Null => "null".to_string(),
                v => crate::text::output(&v, k.ty.oid, self.cx).unwrap_or_default(),
            });
        }
        error.detail(format!("Key ({})=({}) is duplicated.", names.join(", "), values.join(", ")))
    }
}

/// A statement's error on its way through the storage.
struct Failure(SqlError);

impl From<StorageError> for Failure {
    fn from(e: StorageError) -> Self {
        Self(storage_error(e))
    }
}

/// Collects the keys of stored columns, a batch at a time.
struct StoredKeys {
    sorter: IndexSorter,
    format: RowFormat,
    storage: Arc<Storage>,
    /// Rows with large values, whose pages must be let go first.
    waiting: Vec<(Tid, Vec<u8>)>,
    keys: Vec<IndexKey>,
    /// Attribute indexes, ascending, and the type of each.
    wanted: Vec<usize>,
    types: Vec<SqlType>,
    /// Which of them each key column is.
    places: Vec<usize>,
    nulls_not_distinct: bool,
    /// Rows without a value are left out.
    skips_nulls: bool,
    builders: Vec<VectorBuilder>,
    tids: Vec<Tid>,
    /// Bytes of large values in the batch.
    fetched: usize,
    key: Vec<u8>,
    failure: Option<SqlError>,
}

impl StoredKeys {
    fn new(new: &NewIndex<'_>, sorter: IndexSorter, storage: &Arc<Storage>) -> Result<Self> {
        let relation = new.relation;
        let keys = new.keys.clone();
        let attribute = |k: &IndexKey| k.attnum as usize - 1;
        let mut wanted: Vec<usize> = keys.iter().map(attribute).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let place = |k: &IndexKey| wanted.iter().position(|w| *w == attribute(k)).unwrap_or(0);
        let types = wanted
            .iter()
            .map(|a| relation.attributes.get(*a).map(|a| a.ty))
            .collect::<Option<_>>()
            .ok_or_else(|| SqlError::internal("an index column is missing"))?;
        Ok(Self {
            places: keys.iter().map(place).collect(),
            sorter,
            format: RowFormat::of(relation),
            storage: storage.clone(),
            waiting: Vec::new(),
            keys,
            wanted,
            types,
            nulls_not_distinct: new.nulls_not_distinct,
            skips_nulls: new.method == IndexMethod::Hash,
            builders: Vec::new(),
            tids: Vec::new(),
            fetched: 0,
            key: Vec::new(),
            failure: None,
        })
    }

    fn decode(&mut self, tid: Tid, payload: &[u8]) -> Result<()> {
        if is_wrapped(payload) {
            self.waiting.push((tid, payload.to_vec()));
            return Ok(());
        }
        self.start();
        self.format.layout.decode_into(payload, &self.wanted, &self.format.missing, &mut self.builders)?;
        self.tids.push(tid);
        if self.tids.len() < BATCH_ROWS { Ok(()) } else { self.flush() }
    }

    fn start(&mut self) {
        if self.builders.is_empty() {
            self.builders.extend(self.types.iter().map(|t| VectorBuilder::with_capacity(*t, BATCH_ROWS)));
        }
    }

    /// Takes up the rows that wait; no page is latched.
    fn settle(&mut self) -> Result<()> {
        for (tid, payload) in core::mem::take(&mut self.waiting) {
            self.start();
            let mut pause = || Ok(());
            let means = (&self.storage, &mut pause as pg_toast::Pause<'_>);
            let fetched = self.format.decode_into(&payload, &self.wanted, &[], &mut self.builders, means)?;
            self.tids.push(tid);
            self.fetched += fetched;
            if self.tids.len() >= BATCH_ROWS || self.fetched >= BATCH_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Makes keys of the rows at hand.
    fn flush(&mut self) -> Result<()> {
        self.fetched = 0;
        let columns: Vec<_> = self.builders.drain(..).map(VectorBuilder::finish).collect();
        for (row, tid) in self.tids.drain(..).enumerate() {
            self.key.clear();
            let places = &self.places;
            let null = keys::encode_entry(&self.keys, &mut self.key, |n, k, out| {
                let column = places.get(n).and_then(|p| columns.get(*p));
                let column = column.ok_or_else(|| SqlError::internal("an index column is missing"))?;
                keys::encode_index_vector(k, column, row, out)?;
                Ok(column.is_null(row))
            })?;
            if null && self.skips_nulls {
                continue;
            }
            // Keys with a NULL differ from every other; they take no part in the unique check.
            self.sorter.push(&self.key, tid, !null || self.nulls_not_distinct).map_err(storage_error)?;
        }
        Ok(())
    }
}

impl IndexWorker for StoredKeys {
    fn row(&mut self, tid: Tid, payload: &[u8]) {
        if self.failure.is_none() {
            self.failure = self.decode(tid, payload).err();
        }
    }
    fn goes_on(&mut self) -> bool {
        if self.failure.is_none() && !self.waiting.is_empty() {
            self.failure = self.settle().err();
        }
        self.failure.is_none()
    }
    fn finish(&mut self) {
        if self.failure.is_none() {
            self.failure = self.settle().and_then(|()| self.flush()).err();
            self.sorter.sort();
        }
    }
}

impl Ddl<'_, '_> {
    /// The names of an index's columns: a number tells those apart that would have the same.
    pub(super) fn column_names(&self, relation: &Relation, keys: &[IndexKey]) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::with_capacity(keys.len());
        for k in keys {
            let base = self.key_name(relation, k)?;
            let numbered = (1..).map(|n: usize| format!("{base}{n}"));
            let name = core::iter::once(base.clone()).chain(numbered).find(|n| !names.contains(n));
            names.push(name.unwrap_or_default());
        }
        Ok(names)
    }

    /// A key column's name: the table's column, the function of an expression, or `expr`.
    fn key_name(&self, relation: &Relation, k: &IndexKey) -> Result<String> {
        if let Some(a) = relation.attributes.iter().find(|a| a.attnum == k.attnum && k.attnum > 0) {
            return Ok(a.name.clone());
        }
        let text = k.expression.as_deref().unwrap_or("");
        if let Some(routine) = text.strip_prefix('"').and_then(|t| t.split_once("\"("))
            && let Some(oid) = pg_types::user::referred_routine(routine.0)
            && let Some(routine) = self.reader()?.routine(oid)?
        {
            return Ok(routine.name.clone());
        }
        let head: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let called = text.get(head.len()..).is_some_and(|r| r.starts_with('(')) || head == "CASE";
        // Keywords stand in capitals.
        Ok(if called && !head.is_empty() { head.to_lowercase() } else { String::from("expr") })
    }
}

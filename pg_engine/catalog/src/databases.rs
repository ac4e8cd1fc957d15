//! Databases beside the first: where their catalogs are, how they come and go.
//!
//! Each database has the catalogs that are not shared for itself, found through a map of its own, which a row of the first
//! database's map names: [`DATABASE`], its oid, the map's storage id (12 bytes little-endian). A database without such a
//! row is just as it was made: its catalogs are written when someone first connects to it, so CREATE DATABASE from a
//! template that nobody has used is one row of `pg_database`.
//!
//! A template that has been used is copied row by row: tables keep their oids, what stores them is new.

use alloc::vec::Vec;

use hashbrown::HashMap;
use pg_storage::{
    IndexInsert, Isolation, KeyBound, RelId, RelationKind, ScanDirection, Snapshot, Tid, Transaction,
};
use pg_types::{Oid, Result, SqlError, SqlState};

use crate::{
    bootstrap::{self, OID_COUNTER},
    builtin::*,
    cache::{Catalog, StorageMap},
    table::Row,
    txn::storage_error,
};

/// First word of a row of the first database's map that names another's map.
pub(crate) const DATABASE: Oid = 3;
/// Rows that are copied together.
const TOGETHER: usize = 1024;

/// What the first database's catalogs know of another's: called on them only.
impl Catalog {
    /// Where the map of another database is.
    fn map_of(&self, database: Oid) -> Result<Option<(Tid, RelId)>> {
        let mut found = None;
        bootstrap::read_map(self.storage(), self.map_relation, |tid, payload| {
            if let Some((oid, rel)) = entry(payload)
                && oid == database
            {
                found = Some((tid, rel));
            }
        })?;
        Ok(found)
    }

    /// The other databases that have catalogs.
    pub fn other_databases(&self) -> Result<Vec<Oid>> {
        let mut all = Vec::new();
        bootstrap::read_map(self.storage(), self.map_relation, |_, payload| {
            all.extend(entry(payload).map(|(oid, _)| oid));
        })?;
        Ok(all)
    }

    /// The part of the map that all databases have in common.
    fn shared_map(&self) -> StorageMap {
        let mut map = StorageMap::default();
        let shared = catalogs().iter().filter(|d| d.shared);
        let oids = shared.flat_map(|d| d.indexes.iter().map(|i| i.oid).chain([d.oid]));
        for oid in oids.chain([OID_COUNTER]) {
            map.by_oid.extend(self.map.get(oid).map(|rel| (oid, rel)));
        }
        map
    }

    /// The catalogs of another database; `None`: it has none yet.
    pub fn open_database(&self, database: Oid) -> Result<Option<Catalog>> {
        let Some((_, rel)) = self.map_of(database)? else { return Ok(None) };
        bootstrap::open_map(self.storage(), database, rel, self.shared_map(), self.versions.clone()).map(Some)
    }

    /// Makes the catalogs of a database that has none, as every database starts.
    pub fn make_database(&self, database: Oid) -> Result<()> {
        let storage = self.storage();
        let mut txn = storage.begin(Isolation::ReadCommitted);
        let mut map = self.shared_map();
        let made = bootstrap::create_missing(storage, &mut txn, &mut map)?;
        bootstrap::fill_own(storage, &mut txn, &map)?;
        self.write_database(&mut txn, database, &map, &made)?;
        txn.commit().map_err(storage_error)
    }

    /// Writes the map of a new database, and where it is.
    fn write_database(
        &self,
        txn: &mut Transaction,
        database: Oid,
        map: &StorageMap,
        made: &[(Oid, RelId)],
    ) -> Result<()> {
        let storage = self.storage();
        let rel = storage.create_relation(txn, RelationKind::Heap).map_err(storage_error)?;
        bootstrap::write_map(storage, txn, rel, map, |oid| made.iter().any(|m| m.0 == oid))?;
        let row = [DATABASE.to_le_bytes(), database.to_le_bytes(), rel.0.to_le_bytes()].concat();
        storage.heap_insert(txn, self.map_relation, &row).map_err(storage_error)?;
        Ok(())
    }

    /// Copies all of `source` for a new database. Nobody else may change `source` meanwhile. `pause` is called now and then; its
    /// error ends the work.
    pub fn copy_database(
        &self,
        txn: &mut Transaction,
        source: &Catalog,
        database: Oid,
        pause: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let snapshot = self.latest();
        let moved = source.copy_storage(txn, &snapshot, pause)?;
        let mut map = self.shared_map();
        let made = bootstrap::create_missing(self.storage(), txn, &mut map)?;
        for def in catalogs().iter().filter(|d| !d.shared) {
            pause()?;
            let rows = source.table(def.oid)?.scan(self.storage(), &snapshot)?;
            let rows: Vec<Row> = rows.into_iter().map(|(_, r)| relocated(r, def.oid, &map, &moved)).collect();
            bootstrap::fill(self.storage(), txn, def, &map, &rows)?;
        }
        self.write_database(txn, database, &map, &made)
    }

    /// Drops what another database has: its catalogs, if it has any, and all that they name.
    pub fn drop_database(&self, txn: &mut Transaction, database: Oid) -> Result<()> {
        let Some((tid, rel)) = self.map_of(database)? else { return Ok(()) };
        let storage = self.storage();
        if let Some(catalog) = self.open_database(database)? {
            let snapshot = self.latest();
            let shared = self.shared_map();
            let own = catalog.map.by_oid.iter().filter(|(oid, _)| !shared.by_oid.contains_key(*oid));
            let all = own.map(|(_, rel)| *rel).chain(catalog.user_storage(&snapshot)?);
            for rel in all {
                storage.drop_relation(txn, rel).map_err(storage_error)?;
            }
        }
        storage.drop_relation(txn, rel).map_err(storage_error)?;
        storage.heap_delete(txn, self.map_relation, tid).map_err(storage_error)?;
        Ok(())
    }
}

/// What concerns one database.
impl Catalog {
    /// Storage of everything that is not a catalog.
    pub fn user_storage(&self, snapshot: &Snapshot) -> Result<Vec<RelId>> {
        let system: Vec<RelId> = self.map.by_oid.values().copied().collect();
        let mut all = Vec::new();
        for (catalog, columns) in NAMING {
            for (_, row) in self.table(*catalog)?.scan(self.storage(), snapshot)? {
                let named = columns.iter().map(|c| RelId(row.oid(c)));
                all.extend(named.filter(|r| r.0 != 0 && !system.contains(r)));
            }
        }
        Ok(all)
    }

    /// Copies that storage; gives what became of each.
    fn copy_storage(
        &self,
        txn: &mut Transaction,
        snapshot: &Snapshot,
        pause: &dyn Fn() -> Result<()>,
    ) -> Result<HashMap<RelId, RelId>> {
        let storage = self.storage();
        let mut moved = HashMap::new();
        let mut indexes: HashMap<RelId, Vec<RelId>> = HashMap::new();
        let mut heaps = Vec::new();
        for old in self.user_storage(snapshot)? {
            let kind = storage.relation_kind(old).map_err(storage_error)?;
            match kind {
                RelationKind::Heap => heaps.push(old),
                RelationKind::Sequence => {
                    let new = storage.create_relation(txn, kind).map_err(storage_error)?;
                    let (options, last, called) = storage.sequence_get(old).map_err(storage_error)?;
                    storage.sequence_set(txn, new, &options, last, called).map_err(storage_error)?;
                    moved.insert(old, new);
                }
                RelationKind::BTree { heap } => indexes.entry(heap).or_default().push(old),
                RelationKind::Hash { .. } => {
                    return Err(SqlError::unsupported("a template database that has hash indexes"));
                }
            }
        }
        for old in heaps {
            let new = storage.create_relation(txn, RelationKind::Heap).map_err(storage_error)?;
            let places = self.copy_rows(txn, snapshot, (old, new), pause)?;
            moved.insert(old, new);
            for index in indexes.remove(&old).unwrap_or_default() {
                pause()?;
                let kind = RelationKind::BTree { heap: new };
                let copy = storage.create_relation(txn, kind).map_err(storage_error)?;
                self.copy_entries(txn, (index, copy), &places)?;
                moved.insert(index, copy);
            }
        }
        Ok(moved)
    }

    /// Copies the rows of a heap; gives where the entries of each row's indexes pointed, and must point.
    fn copy_rows(
        &self,
        txn: &mut Transaction,
        snapshot: &Snapshot,
        (old, new): (RelId, RelId),
        pause: &dyn Fn() -> Result<()>,
    ) -> Result<HashMap<Tid, Tid>> {
        let storage = self.storage();
        let mut places = HashMap::new();
        let blocks = storage.relation_stats(old).map_err(storage_error)?.pages;
        let (mut roots, mut rows, mut tids) = (Vec::new(), Vec::new(), Vec::new());
        for block in 0..blocks {
            let range = block..block.saturating_add(1);
            storage
                .heap_scan_roots(old, range, snapshot, |root, payload| {
                    roots.push(root);
                    rows.push(payload.to_vec());
                })
                .map_err(storage_error)?;
            if rows.len() < TOGETHER && block + 1 < blocks {
                continue;
            }
            pause()?;
            let payloads: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
            tids.clear();
            storage.heap_insert_many(txn, new, &payloads, &mut tids).map_err(storage_error)?;
            places.extend(roots.drain(..).zip(tids.iter().copied()));
            rows.clear();
        }
        Ok(places)
    }

    /// Copies the entries of an index that point to rows that were copied.
    fn copy_entries(
        &self,
        txn: &mut Transaction,
        (old, new): (RelId, RelId),
        places: &HashMap<Tid, Tid>,
    ) -> Result<()> {
        let storage = self.storage();
        let whole = (KeyBound::Unbounded, KeyBound::Unbounded);
        let mut scan =
            storage.index_scan(old, whole.0, whole.1, ScanDirection::Forward).map_err(storage_error)?;
        let mut entries = Vec::new();
        while scan
            .next_entries(|key, tid| {
                if let Some(to) = places.get(&tid) {
                    entries.push((key.to_vec(), *to, true));
                }
            })
            .map_err(storage_error)?
        {}
        match storage.index_build(txn, new, &mut entries.into_iter(), false).map_err(storage_error)? {
            IndexInsert::Done => Ok(()),
            _ => Err(SqlError::new(SqlState::INTERNAL_ERROR, "entries of a copied index collide")),
        }
    }
}

/// Catalogs whose rows name storage, and the columns that do.
const NAMING: &[(Oid, &[&str])] = &[
    (PG_CLASS, &["relfilenode"]),
    (DAGDB_GRAPH, &["graphheap"]),
    (DAGDB_HISTORY, &["histheap", "histindex"]),
];

/// A catalog's row with the storage that a copy has.
fn relocated(mut row: Row, catalog: Oid, map: &StorageMap, moved: &HashMap<RelId, RelId>) -> Row {
    let columns = NAMING.iter().find(|n| n.0 == catalog).map_or(&[][..], |n| n.1);
    for column in columns {
        let system = (catalog == PG_CLASS).then(|| map.get(row.oid("oid"))).flatten();
        if let Some(new) = system.or_else(|| moved.get(&RelId(row.oid(column))).copied()) {
            row.put(column, new.0);
        }
    }
    row
}

/// The database and its map, if the row of a map is about one.
fn entry(payload: &[u8]) -> Option<(Oid, RelId)> {
    let at = |n: usize| payload.get(n..n + 4)?.try_into().ok().map(u32::from_le_bytes);
    (payload.len() == 12 && at(0)? == DATABASE).then_some((at(4)?, RelId(at(8)?)))
}

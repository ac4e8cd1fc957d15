//! Making the catalogs on a new volume, finding them on an old one.
//!
//! The first relation of a volume is the map: a heap whose rows say where each catalog and catalog index is stored
//! (oid and storage id, 8 bytes little-endian), where the oid counter is, and the fingerprint of the built-in rows.

use alloc::{sync::Arc, vec::Vec};

use pg_storage::{IndexInsert, Isolation, RelId, RelationKind, SequenceOptions, Storage, Tid, Transaction};
use pg_types::{Oid, Result, SqlError, SqlState};

use crate::{
    builtin::{rows::*, *},
    cache::{Catalog, StorageMap},
    table::{CatalogTable, Row},
    txn::storage_error,
    views,
};

/// Pseudo-oids of the map's other entries.
pub(crate) const OID_COUNTER: Oid = 1;
/// The fingerprint's row: this oid, then 8 bytes.
const FINGERPRINT: Oid = 2;

/// What a new database starts with.
#[derive(Clone, Debug)]
pub struct Initial<'a> {
    /// First role, a superuser.
    pub user: &'a str,
    /// Its SCRAM verifier.
    pub verifier: Option<&'a str>,
    /// First database.
    pub database: &'a str,
}

pub(crate) fn map_relation(storage: &Storage) -> Option<RelId> {
    storage.relations().into_iter().filter(|r| r.1 == RelationKind::Heap).map(|r| r.0).min()
}

/// True when the volume has catalogs.
pub fn is_bootstrapped(storage: &Storage) -> bool {
    map_relation(storage).is_some()
}

/// Makes the catalogs.
pub fn bootstrap(storage: &Arc<Storage>, initial: &Initial<'_>) -> Result<()> {
    if is_bootstrapped(storage) {
        return Err(SqlError::new(SqlState::DUPLICATE_DATABASE, "the volume holds a database already"));
    }
    let mut txn = storage.begin(Isolation::ReadCommitted);
    let t = &mut txn;
    let map_rel = storage.create_relation(t, RelationKind::Heap).map_err(storage_error)?;
    let mut map = StorageMap::default();
    for def in catalogs() {
        let heap = storage.create_relation(t, RelationKind::Heap).map_err(storage_error)?;
        map.by_oid.insert(def.oid, heap);
        for i in &def.indexes {
            let rel = storage.create_relation(t, RelationKind::BTree { heap }).map_err(storage_error)?;
            map.by_oid.insert(i.oid, rel);
        }
    }
    let counter = storage.create_relation(t, RelationKind::Sequence).map_err(storage_error)?;
    let options = SequenceOptions {
        start: i64::from(FIRST_NORMAL_OID),
        increment: 1,
        min: i64::from(FIRST_NORMAL_OID),
        max: i64::from(u32::MAX),
        cycle: false,
    };
    storage.sequence_set(t, counter, &options, i64::from(FIRST_NORMAL_OID), false).map_err(storage_error)?;
    map.by_oid.insert(OID_COUNTER, counter);

    let mut views = views::rows();
    let description = self_description(&|oid| map.get(oid));
    for def in catalogs() {
        let mut rows = builtin_rows(def);
        match def.oid {
            PG_CLASS => rows.extend(description.classes.iter().cloned().chain(views.classes.drain(..))),
            PG_ATTRIBUTE => {
                rows.extend(description.attributes.iter().cloned().chain(views.attributes.drain(..)));
            }
            PG_INDEX => rows.extend(description.indexes.iter().cloned()),
            PG_REWRITE => rows.append(&mut views.rules),
            PG_AUTHID => {
                rows.push(role_row(def, FIRST_ROLE, initial.user, true, true, initial.verifier));
                rows.extend(
                    views::PREDEFINED_ROLES.iter().map(|(o, n)| role_row(def, *o, n, false, false, None)),
                );
            }
            PG_DATABASE => rows.push(database_row(def, FIRST_DATABASE, initial.database)),
            DAGDB_GRAPH => {
                let heap = storage.create_relation(t, RelationKind::Heap).map_err(storage_error)?;
                rows.push(graph_row(def, MAIN_GRAPH, "main", FIRST_ROLE, heap));
            }
            _ => {}
        }
        fill(storage, t, def, &map, &rows)?;
    }
    write_map(storage, t, map_rel, &map)?;
    txn.commit().map_err(storage_error)
}

/// Fills an empty catalog: rows in one go, then each index built from sorted keys.
fn fill(
    storage: &Arc<Storage>,
    txn: &mut Transaction,
    def: &'static CatalogDef,
    map: &StorageMap,
    rows: &[Row],
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let lost = || SqlError::internal("a catalog has no storage");
    let heap = map.get(def.oid).ok_or_else(lost)?;
    let indexes = def.indexes.iter().map(|i| map.get(i.oid)).collect::<Option<Vec<_>>>().ok_or_else(lost)?;
    let table = CatalogTable::new(def, heap, indexes);
    let mut arena = Vec::with_capacity(rows.len() * 128);
    let mut ends = Vec::with_capacity(rows.len());
    for row in rows {
        table.encode(row, &mut arena)?;
        ends.push(arena.len());
    }
    let mut start = 0;
    let payloads: Vec<&[u8]> = ends
        .iter()
        .map(|&end| {
            let p = arena.get(start..end).unwrap_or(&[]);
            start = end;
            p
        })
        .collect();
    let mut tids: Vec<Tid> = Vec::with_capacity(rows.len());
    storage.heap_insert_many(txn, heap, &payloads, &mut tids).map_err(storage_error)?;
    for (i, &rel) in def.indexes.iter().zip(&table.indexes) {
        let mut entries = rows
            .iter()
            .zip(&tids)
            .map(|(r, t)| Ok((table.row_key(i, r)?, *t, true)))
            .collect::<Result<Vec<_>>>()?;
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
        let built =
            storage.index_build(txn, rel, &mut entries.into_iter(), i.unique).map_err(storage_error)?;
        if built != IndexInsert::Done {
            return Err(SqlError::internal(alloc::format!("built-in rows collide in {}", i.name)));
        }
    }
    Ok(())
}

fn write_map(storage: &Arc<Storage>, txn: &mut Transaction, rel: RelId, map: &StorageMap) -> Result<()> {
    let mut payloads: Vec<Vec<u8>> =
        map.by_oid.iter().map(|(oid, rel)| [oid.to_le_bytes(), rel.0.to_le_bytes()].concat()).collect();
    payloads.sort_unstable();
    payloads.push([&FINGERPRINT.to_le_bytes()[..], &fingerprint().to_le_bytes()].concat());
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    storage.heap_insert_many(txn, rel, &payloads, &mut Vec::new()).map_err(storage_error)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// Finds the catalogs of a volume; brings built-in rows up to date.
pub fn open(storage: &Arc<Storage>) -> Result<Catalog> {
    let map_rel = map_relation(storage)
        .ok_or_else(|| SqlError::new(SqlState::INVALID_CATALOG_NAME, "the volume holds no database"))?;
    let mut txn = storage.begin(Isolation::ReadCommitted);
    let snapshot = txn.snapshot();
    let mut map = StorageMap::default();
    let mut stored = None;
    let mut scan = storage.heap_scan(map_rel, &snapshot, None).map_err(storage_error)?;
    while scan
        .next_page(|tid, payload| match (word(payload, 0), payload.len()) {
            (Some(FINGERPRINT), 12) => {
                let n = payload.get(4..12).and_then(|b| b.try_into().ok()).map(i64::from_le_bytes);
                stored = n.map(|n| (tid, n));
            }
            (Some(oid), 8) => {
                if let Some(rel) = word(payload, 4) {
                    map.by_oid.insert(oid, RelId(rel));
                }
            }
            _ => {}
        })
        .map_err(storage_error)?
    {}
    drop(scan);
    if complete(storage, map_rel, &mut map)? {
        txn = storage.begin(Isolation::ReadCommitted);
    }
    // TRUNCATE and DROP change catalogs before they free anything.
    for rel in map.by_oid.values() {
        storage.set_vital(*rel).map_err(storage_error)?;
    }
    let catalog = Catalog::new(storage, map)?;
    match stored {
        Some((_, n)) if n == fingerprint() => {}
        Some((tid, _)) => {
            renew(storage, &mut txn, &catalog)?;
            let payload = [&FINGERPRINT.to_le_bytes()[..], &fingerprint().to_le_bytes()].concat();
            storage
                .heap_update(&mut txn, map_rel, tid, &payload, pg_storage::Touched::Nothing)
                .map_err(storage_error)?;
            txn.commit().map_err(storage_error)?;
        }
        None => {
            return Err(SqlError::new(
                SqlState::DATA_CORRUPTED,
                "the map of the system catalogs is incomplete",
            ));
        }
    }
    catalog.apply_all_options()?;
    Ok(catalog)
}

/// Makes the catalogs that came after the release which made the volume, empty. False: there were none.
fn complete(storage: &Arc<Storage>, map_rel: RelId, map: &mut StorageMap) -> Result<bool> {
    let mut txn = storage.begin(Isolation::ReadCommitted);
    let mut made = Vec::new();
    for def in catalogs().iter().filter(|d| !map.by_oid.contains_key(&d.oid)) {
        let heap = storage.create_relation(&mut txn, RelationKind::Heap).map_err(storage_error)?;
        made.push((def.oid, heap));
        for i in &def.indexes {
            let rel =
                storage.create_relation(&mut txn, RelationKind::BTree { heap }).map_err(storage_error)?;
            made.push((i.oid, rel));
        }
    }
    if made.is_empty() {
        return Ok(false);
    }
    let payloads: Vec<Vec<u8>> =
        made.iter().map(|(oid, rel)| [oid.to_le_bytes(), rel.0.to_le_bytes()].concat()).collect();
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    storage.heap_insert_many(&mut txn, map_rel, &payloads, &mut Vec::new()).map_err(storage_error)?;
    txn.commit().map_err(storage_error)?;
    map.by_oid.extend(made);
    Ok(true)
}

/// Replaces the built-in rows that another release made.
fn renew(storage: &Arc<Storage>, txn: &mut Transaction, catalog: &Catalog) -> Result<()> {
    let snapshot = txn.snapshot();
    let replace = |txn: &mut Transaction, table: &CatalogTable, key: &str, rows: Vec<Row>| -> Result<()> {
        for (tid, row) in table.scan(storage, &snapshot)? {
            if row.oid(key) < FIRST_NORMAL_OID {
                table.delete(storage, txn, tid)?;
            }
        }
        rows.iter().try_for_each(|r| table.insert(storage, txn, r))
    };
    for &oid in RENEWED {
        let table = catalog.table(oid)?;
        let key = if oid == PG_AGGREGATE { "aggfnoid" } else { "oid" };
        replace(txn, table, key, builtin_rows(table.def))?;
    }
    let description = self_description(&|oid| catalog.map.get(oid));
    let views = views::rows();
    let together = |mut a: Vec<Row>, b: Vec<Row>| {
        a.extend(b);
        a
    };
    replace(txn, catalog.table(PG_CLASS)?, "oid", together(description.classes, views.classes))?;
    replace(
        txn,
        catalog.table(PG_ATTRIBUTE)?,
        "attrelid",
        together(description.attributes, views.attributes),
    )?;
    replace(txn, catalog.table(PG_INDEX)?, "indexrelid", description.indexes)?;
    replace(txn, catalog.table(PG_REWRITE)?, "oid", views.rules)?;
    let privileges = catalog.table(PG_INIT_PRIVS)?;
    replace(txn, privileges, "objoid", initial_privileges(privileges.def))?;
    renew_access(storage, txn, catalog)
}

/// What a release that knew no privileges left out: those on the built-in schemas, the members of built-in roles.
fn renew_access(storage: &Arc<Storage>, txn: &mut Transaction, catalog: &Catalog) -> Result<()> {
    let snapshot = txn.snapshot();
    let members = catalog.table(PG_AUTH_MEMBERS)?;
    let known = members.scan(storage, &snapshot)?;
    for row in memberships(members.def) {
        let same = |k: &Row| k.oid("roleid") == row.oid("roleid") && k.oid("member") == row.oid("member");
        if !known.iter().any(|(_, k)| same(k)) {
            members.insert(storage, txn, &row)?;
        }
    }
    let schemas = catalog.table(PG_NAMESPACE)?;
    for (tid, old) in schemas.scan(storage, &snapshot)? {
        let (owner, acl) = schema_access(old.oid("oid"));
        if old.oid("oid") < FIRST_NORMAL_OID
            && old.get("nspacl").is_null()
            && let Some(acl) = acl
        {
            let new = old.clone().set("nspowner", owner).set("nspacl", acl.to_value());
            schemas.update(storage, txn, tid, &old, &new)?;
        }
    }
    Ok(())
}

//! Making the catalogs on a new volume, finding them on an old one.
//!
//! The first relation of a volume is the map: a heap whose rows say where each catalog and catalog index is stored
//! (oid and storage id, 8 bytes little-endian), where the oid counter is, where the maps of other databases are
//! ([`crate::databases`]), and the fingerprint of the built-in rows.

use alloc::{sync::Arc, vec::Vec};

use hashbrown::HashMap;
use pg_storage::{
    IndexInsert, Isolation, RelId, RelationKind, SequenceOptions, Snapshot, Storage, Tid, Transaction,
};
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use crate::{
    builtin::{rows::*, *},
    cache::{Catalog, StorageMap, Versions},
    shared,
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
    create_missing(storage, t, &mut map)?;
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
    for def in catalogs().iter().filter(|d| d.shared) {
        let mut rows = builtin_rows(def);
        match def.oid {
            PG_AUTHID => {
                rows.push(role_row(def, FIRST_ROLE, initial.user, true, true, initial.verifier));
                rows.extend(
                    views::PREDEFINED_ROLES.iter().map(|(o, n)| role_row(def, *o, n, false, false, None)),
                );
            }
            PG_DATABASE => {
                rows.push(database_row(def, FIRST_DATABASE, initial.database));
                rows.extend(
                    builtin_databases(def).into_iter().filter(|r| r.text("datname") != initial.database),
                );
            }
            _ => {}
        }
        fill(storage, t, def, &map, &rows)?;
    }
    fill_own(storage, t, &map)?;
    write_map(storage, t, map_rel, &map, |_| true)?;
    txn.commit().map_err(storage_error)
}

/// Makes the storage of the catalogs that the map lacks; gives what was made.
pub(crate) fn create_missing(
    storage: &Arc<Storage>,
    txn: &mut Transaction,
    map: &mut StorageMap,
) -> Result<Vec<(Oid, RelId)>> {
    let mut made = Vec::new();
    for def in catalogs().iter().filter(|d| !map.by_oid.contains_key(&d.oid)) {
        let heap = storage.create_relation(txn, RelationKind::Heap).map_err(storage_error)?;
        made.push((def.oid, heap));
        for i in &def.indexes {
            let rel = storage.create_relation(txn, RelationKind::BTree { heap }).map_err(storage_error)?;
            made.push((i.oid, rel));
        }
    }
    map.by_oid.extend(made.iter().copied());
    Ok(made)
}

/// Fills those catalogs that every database has of its own with what it starts with.
pub(crate) fn fill_own(storage: &Arc<Storage>, txn: &mut Transaction, map: &StorageMap) -> Result<()> {
    let mut views = views::rows();
    let description = self_description(&|oid| map.get(oid));
    for def in catalogs().iter().filter(|d| !d.shared) {
        let mut rows = builtin_rows(def);
        match def.oid {
            PG_CLASS => rows.extend(description.classes.iter().cloned().chain(views.classes.drain(..))),
            PG_ATTRIBUTE => {
                rows.extend(description.attributes.iter().cloned().chain(views.attributes.drain(..)));
            }
            PG_INDEX => rows.extend(description.indexes.iter().cloned()),
            PG_REWRITE => rows.append(&mut views.rules),
            DAGDB_GRAPH => {
                let heap = storage.create_relation(txn, RelationKind::Heap).map_err(storage_error)?;
                rows.push(graph_row(def, MAIN_GRAPH, "main", FIRST_ROLE, heap));
            }
            _ => {}
        }
        fill(storage, txn, def, map, &rows)?;
    }
    Ok(())
}

/// Fills an empty catalog: rows in one go, then each index built from sorted keys.
pub(crate) fn fill(
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

/// Writes those entries of the map that `wanted` picks, and the fingerprint of the built-in rows.
pub(crate) fn write_map(
    storage: &Arc<Storage>,
    txn: &mut Transaction,
    rel: RelId,
    map: &StorageMap,
    wanted: impl Fn(Oid) -> bool,
) -> Result<()> {
    let entries = map.by_oid.iter().filter(|(oid, _)| wanted(**oid));
    let mut payloads: Vec<Vec<u8>> =
        entries.map(|(oid, rel)| [oid.to_le_bytes(), rel.0.to_le_bytes()].concat()).collect();
    payloads.sort_unstable();
    payloads.push([&FINGERPRINT.to_le_bytes()[..], &fingerprint().to_le_bytes()].concat());
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    storage.heap_insert_many(txn, rel, &payloads, &mut Vec::new()).map_err(storage_error)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// Finds the catalogs of a volume's first database; brings built-in rows up to date.
pub fn open(storage: &Arc<Storage>) -> Result<Catalog> {
    let map_rel = map_relation(storage)
        .ok_or_else(|| SqlError::new(SqlState::INVALID_CATALOG_NAME, "the volume holds no database"))?;
    open_map(storage, FIRST_DATABASE, map_rel, StorageMap::default(), Arc::default())
}

/// Reads every row of a map.
pub(crate) fn read_map(
    storage: &Arc<Storage>,
    map_rel: RelId,
    mut row: impl FnMut(Tid, &[u8]),
) -> Result<()> {
    let snapshot = storage.begin(Isolation::ReadCommitted).snapshot();
    let mut scan = storage.heap_scan(map_rel, &snapshot, None).map_err(storage_error)?;
    while scan.next_page(&mut row).map_err(storage_error)? {}
    Ok(())
}

/// Finds the catalogs that a map names beside those that `map` has already.
pub(crate) fn open_map(
    storage: &Arc<Storage>,
    database: Oid,
    map_rel: RelId,
    mut map: StorageMap,
    versions: Arc<Versions>,
) -> Result<Catalog> {
    let mut stored = None;
    read_map(storage, map_rel, |tid, payload| match (word(payload, 0), payload.len()) {
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
    })?;
    complete(storage, map_rel, &mut map)?;
    let mut txn = storage.begin(Isolation::ReadCommitted);
    // TRUNCATE and DROP change catalogs before they free anything.
    for rel in map.by_oid.values() {
        storage.set_vital(*rel).map_err(storage_error)?;
    }
    let catalog = Catalog::new(storage, database, (map_rel, map), versions)?;
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

/// Makes the catalogs that came after the release which made the volume, empty.
fn complete(storage: &Arc<Storage>, map_rel: RelId, map: &mut StorageMap) -> Result<()> {
    let mut txn = storage.begin(Isolation::ReadCommitted);
    let made = create_missing(storage, &mut txn, map)?;
    if made.is_empty() {
        return Ok(());
    }
    let payloads: Vec<Vec<u8>> =
        made.iter().map(|(oid, rel)| [oid.to_le_bytes(), rel.0.to_le_bytes()].concat()).collect();
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    storage.heap_insert_many(&mut txn, map_rel, &payloads, &mut Vec::new()).map_err(storage_error)?;
    txn.commit().map_err(storage_error)
}

/// Replaces the built-in rows that another release made.
fn renew(storage: &Arc<Storage>, txn: &mut Transaction, catalog: &Catalog) -> Result<()> {
    let snapshot = txn.snapshot();
    let initial = initial_lists(storage, &snapshot, catalog)?;
    let replace =
        |txn: &mut Transaction, table: &CatalogTable, key: &str, mut rows: Vec<Row>| -> Result<()> {
            let mut granted = HashMap::new();
            let list = ACLS.iter().find(|l| l.0 == table.def.oid).map(|l| l.1);
            for (tid, row) in table.scan(storage, &snapshot)? {
                let oid = row.oid(key);
                if oid >= FIRST_NORMAL_OID {
                    continue;
                }
                let sub = if list == Some("attacl") { row.int("attnum") } else { 0 };
                let acl = list.map_or(&Value::Null, |l| row.get(l));
                let before = initial.get(&(table.def.oid, oid, sub)).unwrap_or(&Value::Null);
                if acl != before {
                    granted.insert((oid, sub), acl.clone());
                }
                table.delete(storage, txn, tid)?;
            }
            for row in &mut rows {
                let sub = if list == Some("attacl") { row.int("attnum") } else { 0 };
                if let (Some(list), Some(acl)) = (list, granted.remove(&(row.oid(key), sub))) {
                    row.put(list, acl);
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
    renew_access(storage, txn, catalog)?;
    shared::complete(storage, txn, catalog)
}

/// Catalogs whose built-in rows have lists of privileges, with the column.
const ACLS: &[(Oid, &str)] = &[
    (PG_TYPE, "typacl"),
    (PG_PROC, "proacl"),
    (PG_LANGUAGE, "lanacl"),
    (PG_CLASS, "relacl"),
    (PG_ATTRIBUTE, "attacl"),
];

/// The lists that built-in objects started with: those that differ are users' work, and stay.
fn initial_lists(
    storage: &Arc<Storage>,
    snapshot: &Snapshot,
    catalog: &Catalog,
) -> Result<HashMap<(Oid, Oid, i64), Value>> {
    let rows = catalog.table(PG_INIT_PRIVS)?.scan(storage, snapshot)?;
    let entry = |(_, r): (Tid, Row)| {
        ((r.oid("classoid"), r.oid("objoid"), r.int("objsubid")), r.get("initprivs").clone())
    };
    Ok(rows.into_iter().map(entry).collect())
}

/// What older releases left out: privileges on the built-in schemas, the members of built-in roles, built-in databases.
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
    let databases = catalog.table(PG_DATABASE)?;
    let known = databases.scan(storage, &snapshot)?;
    for row in builtin_databases(databases.def) {
        let same = |k: &Row| k.oid("oid") == row.oid("oid") || k.text("datname") == row.text("datname");
        if !known.iter().any(|(_, k)| same(k)) {
            databases.insert(storage, txn, &row)?;
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

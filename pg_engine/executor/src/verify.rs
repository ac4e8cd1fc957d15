//! `pg_catalog.intralith_verify`: the check of the whole volume, for superusers, while others work.
//!
//! Storage checks pages, trees and the ownership of space. What only the catalogs can tell is checked here: that every relation
//! on the volume belongs to a catalog row and the other way round, that every index entry has the key of a version of its
//! row, that every row that a snapshot sees has its entry in every index, predicates and expressions counted in, and that its large
//! values can be read, while no chunk of one is left that no row points to; and that graphs and what is kept of their past are
//! whole.
//!
//! A row's entry is written before its transaction commits, and vacuum removes neither while a snapshot sees the row: a
//! row that is seen and has no entry is a problem for certain.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use hashbrown::{HashMap, HashSet};
use pg_catalog::{
    CatalogReader, Index, IndexMethod, Relation,
    builtin::{DAGDB_GRAPH, DAGDB_HISTORY, PG_AUTHID, PG_CLASS},
    storage_error,
};
use pg_storage::{Fault, LockMode, Observer, Problem, RelId, Snapshot, Tid};
use pg_toast::chunks;
use pg_types::{Oid, Result, SqlError, SqlState, Value, tuple::External};
use platform::task;

use crate::{
    context::{ExecContext, Rt},
    ddl::{Ddl, entry::EntryMaker},
    large::RowFormat,
};

/// Most problems that are listed; a volume with more is lost anyway.
const MOST: usize = 10_000;

/// Gathers problems, and ends the check when the statement is cancelled.
struct Gather<'a, 'c> {
    cx: &'a ExecContext<'c>,
    found: Vec<Problem>,
    error: Option<SqlError>,
}

impl Observer for Gather<'_, '_> {
    fn problem(&mut self, problem: Problem) {
        if self.found.len() < MOST {
            self.found.push(problem);
        }
    }
    fn go_on(&mut self) -> bool {
        if self.error.is_none() {
            self.error = self.cx.checkpoint().err();
        }
        self.error.is_none()
    }
}

impl Gather<'_, '_> {
    fn at(&mut self, rel: RelId, fault: Fault) {
        self.problem(Problem { rel: Some(rel), block: None, fault });
    }
    fn finished(&mut self) -> Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }
}

/// The rows of the relation: relation, block, problem.
pub(crate) fn rows(cx: &ExecContext<'_>) -> Result<Vec<Vec<Value>>> {
    let user = cx.engine.catalog().latest();
    let user = cx.engine.catalog().find_one(&user, PG_AUTHID, &["oid"], &[Value::Oid(cx.session.user())])?;
    if !user.is_some_and(|r| r.bool("rolsuper")) {
        return Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            "permission denied: intralith_verify is for superusers",
        ));
    }
    let mut gather = Gather { cx, found: Vec::new(), error: None };
    cx.engine.storage().verify_with(&mut gather, false).map_err(storage_error)?;
    gather.finished()?;
    let classes = Classes::read(cx)?;
    references(cx, &mut gather)?;
    crate::graph::check(cx, &mut |heap, what| gather.at(heap, Fault::Page(what)))?;
    for (oid, _) in &classes.tables {
        gather.go_on();
        gather.finished()?;
        table(cx, *oid, &mut gather)?;
    }
    Ok(gather
        .found
        .iter()
        .map(|p| {
            let name = p.rel.map(|r| classes.names.get(&r).map_or(format!("storage {}", r.0), Clone::clone));
            alloc::vec![
                name.map_or(Value::Null, |n| Value::text(&n)),
                p.block.map_or(Value::Null, |b| Value::Int8(i64::from(b))),
                Value::text(&p.fault.to_string()),
            ]
        })
        .collect())
}

/// What the catalogs say of relations at one moment.
struct Classes {
    /// Storage and what it is called.
    names: HashMap<RelId, String>,
    /// Storage that `pg_class` rows name.
    named: HashSet<RelId>,
    /// Tables: oid and storage.
    tables: Vec<(Oid, RelId)>,
}

impl Classes {
    fn read(cx: &ExecContext<'_>) -> Result<Self> {
        let mut classes = Self { names: HashMap::new(), named: HashSet::new(), tables: Vec::new() };
        for engine in cx.engine.all_databases()? {
            classes.add(engine.catalog(), engine.catalog().database() == cx.engine.catalog().database())?;
        }
        Ok(classes)
    }

    /// What a database's catalogs say; of `own` ones, the tables too.
    fn add(&mut self, catalog: &pg_catalog::Catalog, own: bool) -> Result<()> {
        let snapshot = catalog.latest();
        let classes = self;
        for row in catalog.find(&snapshot, PG_CLASS, &[], &[])? {
            let storage = RelId(row.oid("relfilenode"));
            if storage.0 == 0 {
                continue;
            }
            classes.names.insert(storage, row.text("relname").to_string());
            classes.named.insert(storage);
            if own && matches!(row.char("relkind"), b'r' | b'm') {
                classes.tables.push((row.oid("oid"), storage));
            }
        }
        for row in catalog.find(&snapshot, DAGDB_GRAPH, &[], &[])? {
            let storage = RelId(row.oid("graphheap"));
            classes.names.insert(storage, format!("graph {}", row.text("graphname")));
            classes.named.insert(storage);
        }
        for row in catalog.find(&snapshot, DAGDB_HISTORY, &[], &[])? {
            for column in ["histheap", "histindex"] {
                let storage = RelId(row.oid(column));
                classes.names.insert(storage, format!("history {}", row.text("histname")));
                classes.named.insert(storage);
            }
        }
        for (oid, storage) in catalog.system_storage() {
            classes.named.insert(storage);
            classes.names.entry(storage).or_insert_with(|| format!("system relation {oid}"));
        }
        Ok(())
    }
}

/// Every relation on the volume belongs to a catalog row, and the other way round. Definitions may be changed meanwhile: what
/// is missing is missing only if it stays so.
fn references(cx: &ExecContext<'_>, gather: &mut Gather<'_, '_>) -> Result<()> {
    let storage = cx.engine.storage();
    let mut suspects: Option<HashSet<(RelId, bool)>> = None;
    for look in 0..5_u64 {
        let before: HashSet<RelId> =
            storage.relations().into_iter().map(|r| r.0).filter(|r| storage.is_settled(*r)).collect();
        let classes = Classes::read(cx)?;
        let after: HashSet<RelId> = storage.relations().into_iter().map(|r| r.0).collect();
        let unnamed = before.iter().filter(|r| after.contains(*r) && !classes.named.contains(*r));
        let missing = classes.named.iter().filter(|r| !after.contains(*r));
        let now: HashSet<(RelId, bool)> =
            unnamed.map(|r| (*r, true)).chain(missing.map(|r| (*r, false))).collect();
        let both = match suspects {
            None => now,
            Some(s) => s.intersection(&now).copied().collect(),
        };
        if both.is_empty() {
            return Ok(());
        }
        suspects = Some(both);
        task::sleep(core::time::Duration::from_millis(10 << look));
    }
    let mut all: Vec<(RelId, bool)> = suspects.into_iter().flatten().collect();
    all.sort_unstable();
    for (rel, unnamed) in all {
        gather.at(rel, if unnamed { Fault::Unnamed } else { Fault::Missing });
    }
    Ok(())
}

/// An index, and what makes its entries.
struct Keys {
    index: Arc<Index>,
    maker: EntryMaker,
}

impl Keys {
    /// The key of a row; `None`: the index leaves it out.
    fn of(&mut self, row: &[Value], rt: &Rt<'_, '_>) -> Result<Option<Vec<u8>>> {
        let mut key = Vec::with_capacity(16);
        Ok(self.maker.put(row, rt, &mut key)?.map(|_| key))
    }
}

/// Checks the indexes of a table against its rows, both ways.
fn table(cx: &ExecContext<'_>, oid: Oid, gather: &mut Gather<'_, '_>) -> Result<()> {
    cx.engine.lock(&mut cx.txn.borrow_mut(), oid, LockMode::AccessShare)?;
    let Some(relation) = cx.reader()?.relation_by_oid(oid)? else { return Ok(()) };
    if !relation.kind.is_stored() || (relation.indexes.is_empty() && relation.toast.is_none()) {
        return Ok(());
    }
    let ddl = Ddl::reading(cx);
    let mut indexes = Vec::new();
    for index in relation.indexes.iter().filter(|i| i.valid) {
        // One of another kind is found by storage; one that is missing is reported already.
        if cx.engine.storage().relation_kind(index.storage).is_ok_and(|k| k.indexed().is_some()) {
            let maker = EntryMaker::of(&ddl, &relation, index)?;
            indexes.push(Keys { index: index.clone(), maker });
        }
    }
    let format = RowFormat::of(&relation);
    ddl.with_rt(|rt| {
        for keys in &mut indexes {
            entries(&relation, keys, &format, rt, gather)?;
        }
        check_rows(&relation, &mut indexes, &format, rt, gather)
    })
}

/// Every entry has the key of a version of its row.
fn entries(
    relation: &Relation,
    keys: &mut Keys,
    format: &RowFormat,
    rt: &Rt<'_, '_>,
    gather: &mut Gather<'_, '_>,
) -> Result<()> {
    let index = keys.index.storage;
    let checked = rt.storage().verify_entries(index, relation.storage, gather, &mut |key, version| {
        // What cannot be decoded or computed matches nothing; but the large values of a version that no one sees any more may
        // be gone before it.
        let row = format.decode(version, rt.cx);
        if row.is_err() && pg_types::tuple::is_wrapped(version) {
            return true;
        }
        let of_row = row.and_then(|row| keys.of(&row, rt));
        of_row.ok().flatten().is_some_and(|k| match keys.index.method {
            IndexMethod::BTree => k == key,
            IndexMethod::Hash => pg_storage::index_hash(&k).to_be_bytes() == key,
        })
    });
    gather.finished()?;
    if let Err(e) = checked {
        unfinished(index, &e, gather);
    }
    Ok(())
}

/// A check ended early: the page that stopped it is reported as such.
fn unfinished(rel: RelId, e: &pg_storage::StorageError, gather: &mut Gather<'_, '_>) {
    let fault = match e {
        pg_storage::StorageError::Io(e) | pg_storage::StorageError::Read { error: e, .. } => {
            Fault::Unreadable(*e)
        }
        pg_storage::StorageError::Corrupt { what, .. } => Fault::Page(what),
        _ => Fault::Failed("the relation could not be read"),
    };
    gather.at(rel, fault);
}

/// Every row that a snapshot sees can be read, with its large values, and has its entries.
fn check_rows(
    relation: &Relation,
    indexes: &mut [Keys],
    format: &RowFormat,
    rt: &Rt<'_, '_>,
    gather: &mut Gather<'_, '_>,
) -> Result<()> {
    let storage = rt.storage();
    let snapshot = rt.cx.engine.catalog().latest();
    let pages = storage.relation_stats(relation.storage).map_err(storage_error)?.pages;
    let mut page: Vec<(Tid, Vec<u8>)> = Vec::new();
    let mut values: Vec<Kept> = Vec::new();
    for block in 0..pages {
        gather.go_on();
        gather.finished()?;
        page.clear();
        let read = storage.verify_rows(relation.storage, block, &snapshot, |tid, payload| {
            page.push((tid, payload.to_vec()));
        });
        if let Err(e) = read {
            unfinished(relation.storage, &e, gather);
        }
        for (tid, payload) in &page {
            let kept = |e: &External| Kept { id: e.id, missing: u64::from(e.stored) };
            values.extend(format.externals(payload).unwrap_or_default().iter().map(|(_, e)| kept(e)));
            let row = match format.decode(payload, rt.cx) {
                Ok(row) => row,
                Err(e) if e.state() == SqlState::DATA_CORRUPTED && pg_types::tuple::is_wrapped(payload) => {
                    gather.at(relation.storage, Fault::Large("a large value of a row cannot be read"));
                    continue;
                }
                Err(_) => {
                    gather.at(relation.storage, Fault::Failed("a row cannot be decoded"));
                    continue;
                }
            };
            for keys in indexes.iter_mut() {
                let index = keys.index.storage;
                match keys.of(&row, rt) {
                    Ok(None) => {}
                    Ok(Some(key)) => match storage.index_contains(index, &key, *tid) {
                        Ok(true) => {}
                        Ok(false) => gather.at(index, Fault::RowWithoutEntry(*tid)),
                        Err(e) => unfinished(index, &e, gather),
                    },
                    Err(_) => gather.at(index, Fault::Failed("an index expression cannot be computed")),
                }
            }
        }
    }
    match format.place() {
        Some(place) => check_chunks(place.heap, values, &snapshot, rt, gather),
        None => Ok(()),
    }
}

/// A large value that a row points to.
struct Kept {
    id: u32,
    /// Bytes that were not found so far.
    missing: u64,
}

/// Every chunk that the snapshot sees is of a value that one row points to that it sees, and the chunks of each add up. `values`:
/// what rows point to.
fn check_chunks(
    heap: RelId,
    mut values: Vec<Kept>,
    snapshot: &Snapshot,
    rt: &Rt<'_, '_>,
    gather: &mut Gather<'_, '_>,
) -> Result<()> {
    values.sort_unstable_by_key(|v| v.id);
    if values.windows(2).any(|w| w.first().map(|v| v.id) == w.last().map(|v| v.id)) {
        gather.at(heap, Fault::Large("two rows point to the same large value"));
    }
    let storage = rt.storage();
    let pages = storage.relation_stats(heap).map_err(storage_error)?.pages;
    for block in 0..pages {
        gather.go_on();
        gather.finished()?;
        let mut wrong = None;
        let read = storage.verify_rows(heap, block, snapshot, |_, row| {
            let Some((id, bytes)) = chunks::value_of(row) else {
                wrong = Some("a chunk of a large value cannot be decoded");
                return;
            };
            let value = values.binary_search_by_key(&id, |v| v.id).ok().and_then(|n| values.get_mut(n));
            match value.map(|v| (v.missing.checked_sub(bytes as u64), v)) {
                None => wrong = Some("a chunk of a large value that no row points to"),
                Some((None, _)) => wrong = Some("a large value has more chunks than its row says"),
                Some((Some(rest), v)) => v.missing = rest,
            }
        });
        if let Err(e) = read {
            unfinished(heap, &e, gather);
        }
        if let Some(what) = wrong {
            gather.problem(Problem { rel: Some(heap), block: Some(block), fault: Fault::Large(what) });
        }
    }
    for _ in values.iter().filter(|v| v.missing > 0) {
        gather.at(heap, Fault::Large("chunks of a large value are missing"));
    }
    Ok(())
}

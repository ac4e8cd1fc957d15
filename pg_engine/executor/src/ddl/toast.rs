//! The relations that keep tables' large values: made with a table, or when it gets a column that could be large; new ones when
//! the table's rows are written anew; dropped with the table.

use alloc::{format, sync::Arc, vec::Vec};

use pg_catalog::{
    CatalogReader, IndexKey, Relation, Toast,
    builtin::{
        PG_ATTRIBUTE, PG_CLASS, PG_INDEX, PG_TOAST,
        rows::{ClassRow, HEAP_AM, IndexRow, attribute_row},
    },
    storage_error,
};
use pg_functions::BTREE;
use pg_storage::{RelId, RelationKind as StorageKind};
use pg_toast::{
    chunks::COLUMNS,
    shrink::{Strategy, THRESHOLD},
};
use pg_types::{Oid, Result, SqlType, Value, oid, typeinfo};

use super::{Address, Ddl, Dependency};

/// A row's header, as the need of a toast relation is reckoned.
const HEADER: usize = 24;
/// Bytes that a character may take.
const CHARACTER: i32 = 4;

/// Most bytes that a column's values take; `None`: there is no limit worth counting.
fn longest(ty: SqlType) -> Option<usize> {
    let info = typeinfo::get(ty.oid)?;
    if let Ok(fixed @ 1..) = usize::try_from(info.len) {
        return Some(fixed);
    }
    match ty.oid {
        oid::BPCHAR | oid::VARCHAR if ty.typmod >= 4 => {
            usize::try_from((ty.typmod - 4).saturating_mul(CHARACTER).saturating_add(4)).ok()
        }
        // Precision in the upper half.
        oid::NUMERIC if ty.typmod >= 4 => {
            let digits = usize::try_from((ty.typmod - 4) >> 16 & 0xffff).ok()?;
            Some((digits.div_ceil(4) + 2) * 2 + 8)
        }
        _ => None,
    }
}

/// Could a row have values that are worth moving out?
fn could_be_large(relation: &Relation) -> bool {
    let mut total = Some(0usize);
    let mut any = false;
    for a in relation.live() {
        any |= Strategy::from_code(a.storage) != Strategy::Plain;
        total = total.zip(longest(a.ty)).map(|(t, n)| t + n);
    }
    any && total.is_none_or(|t| HEADER + relation.attributes.len().div_ceil(8) + t > THRESHOLD)
}

impl Ddl<'_, '_> {
    fn new_storage(&self, kind: StorageKind) -> Result<RelId> {
        let mut txn = self.cx.txn.borrow_mut();
        self.cx.engine.storage().create_relation(txn.storage(), kind).map_err(storage_error)
    }

    /// Gives a table that needs one a relation for its large values. The catalogs show the table as it is now.
    pub(crate) fn ensure_toast(&self, table: Oid) -> Result<()> {
        let relation = self.current(table)?;
        self.make_toast(&relation)
    }

    /// As [`Ddl::ensure_toast`], for a table whose columns are about to have these types.
    pub(crate) fn ensure_toast_for(&self, relation: &Relation, types: &[SqlType]) -> Result<()> {
        let mut future = relation.clone();
        for (a, ty) in future.attributes.iter_mut().zip(types) {
            if a.ty != *ty {
                a.storage = typeinfo::get(ty.oid).map_or(b'x', |t| t.storage);
                a.ty = *ty;
            }
        }
        self.make_toast(&future)
    }

    fn make_toast(&self, relation: &Relation) -> Result<()> {
        let table = relation.oid;
        if !relation.kind.is_indexable() || relation.toast.is_some() || !could_be_large(relation) {
            return Ok(());
        }
        let heap = self.new_storage(StorageKind::Heap)?;
        let index = self.new_storage(StorageKind::BTree { heap })?;
        let (toast, index_oid) = (self.oid()?, self.oid()?);
        let (name, index_name) = (format!("pg_toast_{table}"), format!("pg_toast_{table}_index"));
        let class = |oid, name, kind, method, storage: RelId, columns| ClassRow {
            oid,
            name,
            schema: PG_TOAST,
            row_type: 0,
            owner: relation.owner,
            method,
            storage: storage.0,
            kind,
            columns,
            checks: 0,
            has_index: kind == b't',
            shared: false,
            persistence: relation.persistence,
            options: Vec::new(),
        };
        let def = self.catalog(PG_CLASS)?.def;
        self.insert(PG_CLASS, &class(toast, &name, b't', HEAP_AM, heap, COLUMNS.len() as i16).row(def))?;
        self.insert(PG_CLASS, &class(index_oid, &index_name, b'i', BTREE, index, 2).row(def))?;
        let def = self.catalog(PG_ATTRIBUTE)?.def;
        let mut keys = Vec::new();
        for (n, (name, ty)) in COLUMNS.into_iter().enumerate() {
            let attnum = n as i16 + 1;
            let mut row = attribute_row(def, toast, attnum, name, ty, false);
            row.put("attstorage", b'p');
            self.insert(PG_ATTRIBUTE, &row)?;
            if n < 2 {
                self.insert(PG_ATTRIBUTE, &attribute_row(def, index_oid, attnum, name, ty, false))?;
                keys.push(IndexKey {
                    attnum,
                    expression: None,
                    ty,
                    descending: false,
                    nulls_first: false,
                    carried: false,
                    class: None,
                    collation: pg_types::typeinfo::collation_of(ty.oid),
                });
            }
        }
        let row = IndexRow {
            oid: index_oid,
            table: toast,
            method: pg_catalog::IndexMethod::BTree,
            keys: &keys,
            key_count: keys.len(),
            unique: true,
            primary: true,
            nulls_not_distinct: false,
            expressions: None,
            predicate: None,
        };
        let mut row = row.row(self.catalog(PG_INDEX)?.def);
        row.put("indimmediate", true);
        row.put("indisvalid", true);
        self.insert(PG_INDEX, &row)?;
        let address = Address::new(PG_CLASS, toast);
        self.depend(address, Address::new(PG_CLASS, table), Dependency::Internal)?;
        self.depend(Address::new(PG_CLASS, index_oid), address, Dependency::Internal)?;
        self.update(PG_CLASS, &["oid"], &[Value::Oid(table)], |r| r.put("reltoastrelid", toast))?;
        self.step();
        Ok(())
    }

    /// New, empty storage for a table's large values: its rows are about to be written anew. Gives what was used so far, for
    /// [`Ddl::drop_toast_storage`], and the table as it is then.
    pub(crate) fn renew_toast(&self, relation: &Arc<Relation>) -> Result<(Arc<Relation>, Option<Toast>)> {
        let Some(toast) = relation.toast else { return Ok((relation.clone(), None)) };
        let heap = self.new_storage(StorageKind::Heap)?;
        let index = self.new_storage(StorageKind::BTree { heap })?;
        for (oid, storage) in [(toast.oid, heap), (toast.index_oid, index)] {
            self.update(PG_CLASS, &["oid"], &[Value::Oid(oid)], |r| r.put("relfilenode", storage.0))?;
        }
        self.step();
        let renewed = self
            .reader()?
            .relation_by_oid(relation.oid)?
            .ok_or_else(|| pg_types::SqlError::internal("the relation is gone"))?;
        Ok((renewed, Some(toast)))
    }

    /// Drops storage that [`Ddl::renew_toast`] replaced.
    pub(crate) fn drop_toast_storage(&self, old: Option<Toast>) -> Result<()> {
        let Some(old) = old else { return Ok(()) };
        let mut txn = self.cx.txn.borrow_mut();
        for rel in [old.index, old.heap] {
            self.cx.engine.storage().drop_relation(txn.storage(), rel).map_err(storage_error)?;
        }
        Ok(())
    }
}

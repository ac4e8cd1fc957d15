//! Rows of a table as bytes, large values included: the one place that knows how a table's rows are read and written.
//!
//! Under a page's latch a row is only taken ([`RowFormat::take`]); values that are compressed or lie elsewhere are fetched when
//! the page has been let go ([`RowFormat::complete`]).

use alloc::{borrow::Cow, sync::Arc, vec::Vec};

use pg_catalog::{Relation, storage_error};
use pg_storage::{Storage, Transaction};
use pg_toast::{Pause, Place, Rules, Strategy, ToastError, block, chunks, shrink::shrink};
use pg_types::{
    Result, SqlError, SqlState, SqlType, Value,
    tuple::{External, MAX_VALUE, Stored, TupleLayout, is_wrapped},
    vector::{Physical, VectorBuilder},
};

use crate::context::ExecContext;

/// Batches are ended by so many bytes of large values.
pub(crate) const BATCH_BYTES: usize = 8 << 20;

/// How the rows of a table are stored.
pub(crate) struct RowFormat {
    pub(crate) layout: TupleLayout,
    /// Values of columns that a row is too old to have, by attribute.
    pub(crate) missing: Vec<Value>,
    types: Vec<SqlType>,
    place: Option<Place>,
    rules: Rules,
}

/// A row taken from a page.
pub(crate) enum Taken {
    /// Its values.
    Row(Vec<Value>),
    /// Its bytes: some of its values must be fetched.
    Wrapped(Vec<u8>),
}

/// What the storage of large values reports, as clients see it.
pub(crate) fn toast_error(e: ToastError) -> SqlError {
    match e {
        ToastError::Storage(e) => storage_error(e),
        ToastError::Value(e) => e,
        e @ ToastError::Chunk { .. } | e @ ToastError::Block => {
            SqlError::new(SqlState::DATA_CORRUPTED, alloc::format!("{e}"))
        }
        ToastError::Memory(n) => SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
            .detail(alloc::format!("Failed on request of size {n}.")),
    }
}

impl RowFormat {
    /// Of a table, dropped columns included.
    pub(crate) fn of(relation: &Relation) -> Self {
        let types: Vec<SqlType> = relation.attributes.iter().map(|a| a.ty).collect();
        let missing = if relation.attributes.iter().any(|a| a.missing.is_some()) {
            relation.attributes.iter().map(|a| a.missing.clone().unwrap_or(Value::Null)).collect()
        } else {
            Vec::new()
        };
        let strategies = relation.attributes.iter().map(|a| Strategy::from_code(a.storage)).collect();
        Self {
            layout: TupleLayout::new(&types),
            types,
            missing,
            place: relation.toast.map(|t| Place { heap: t.heap, index: t.index }),
            rules: Rules {
                strategies,
                target: relation.toast_target.map_or(Rules::DEFAULT_TARGET, |t| t as usize),
            },
        }
    }
    /// As [`RowFormat::of`], with other types of the columns.
    pub(crate) fn with_types(relation: &Relation, types: &[SqlType]) -> Self {
        let mut format = Self::of(relation);
        format.layout = TupleLayout::new(types);
        format.types = types.to_vec();
        let of =
            |ty: &SqlType| Strategy::from_code(pg_types::typeinfo::get(ty.oid).map_or(b'x', |t| t.storage));
        for ((strategy, a), ty) in format.rules.strategies.iter_mut().zip(&relation.attributes).zip(types) {
            if a.ty.oid != ty.oid {
                *strategy = of(ty);
            }
        }
        // Columns beyond those of the relation are new.
        format.rules.strategies.extend(types.iter().skip(relation.attributes.len()).map(of));
        format.missing = Vec::new();
        format
    }
    /// Where its rows' values lie that are not in them.
    pub(crate) fn place(&self) -> Option<Place> {
        self.place
    }
    /// Can its rows have values that lie elsewhere?
    pub(crate) fn has_place(&self) -> bool {
        self.place.is_some()
    }

    /// Takes a row; its page may be latched.
    #[inline]
    pub(crate) fn take(&self, payload: &[u8]) -> Result<Taken> {
        if is_wrapped(payload) {
            return Ok(Taken::Wrapped(payload.to_vec()));
        }
        self.layout.decode(payload, &self.missing).map(Taken::Row)
    }
    /// The values of a row; no page is latched.
    pub(crate) fn complete(&self, taken: Taken, cx: &ExecContext<'_>) -> Result<Vec<Value>> {
        match taken {
            Taken::Row(row) => Ok(row),
            Taken::Wrapped(payload) => self.decode(&payload, cx),
        }
    }
    /// As [`RowFormat::complete`]; for values above `limit` bytes that would have to be fetched stands something as long.
    pub(crate) fn complete_narrow(
        &self,
        taken: Taken,
        limit: usize,
        cx: &ExecContext<'_>,
    ) -> Result<Vec<Value>> {
        let payload = match taken {
            Taken::Row(row) => return Ok(row),
            Taken::Wrapped(payload) => payload,
        };
        let mut fields = self.layout.fields(&payload)?;
        let mut wide = Vec::new();
        for (column, field) in fields.iter_mut().enumerate() {
            let raw = match field {
                Stored::Compressed { raw, .. } | Stored::External(External { raw, .. }) => *raw as usize,
                _ => continue,
            };
            if raw > limit {
                *field = Stored::Null;
                wide.push(column);
            } else {
                self.resolve(field, cx.engine.storage(), &mut || cx.checkpoint())?;
            }
        }
        let mut row = self.layout.decode_fields(&fields, &self.missing)?;
        if !wide.is_empty() {
            let filler = Value::Bytea(alloc::vec![0; limit + 1].into());
            for column in wide {
                if let Some(v) = row.get_mut(column) {
                    *v = filler.clone();
                }
            }
        }
        Ok(row)
    }
    /// The values of a row's bytes; no page is latched.
    pub(crate) fn decode(&self, payload: &[u8], cx: &ExecContext<'_>) -> Result<Vec<Value>> {
        if !is_wrapped(payload) {
            return self.layout.decode(payload, &self.missing);
        }
        let mut fields = self.layout.fields(payload)?;
        for field in &mut fields {
            self.resolve(field, cx.engine.storage(), &mut || cx.checkpoint())?;
        }
        self.layout.decode_fields(&fields, &self.missing)
    }
    /// Appends columns `wanted` of a row's bytes to builders; no page is latched. Of the columns in `lazy` no value is fetched:
    /// something of their type stands for it. Gives the bytes that were fetched.
    pub(crate) fn decode_into(
        &self,
        payload: &[u8],
        wanted: &[usize],
        lazy: &[usize],
        out: &mut [VectorBuilder],
        (storage, pause): (&Arc<Storage>, Pause<'_>),
    ) -> Result<usize> {
        if !is_wrapped(payload) {
            self.layout.decode_into(payload, wanted, &self.missing, out)?;
            return Ok(0);
        }
        let mut fields = self.layout.fields(payload)?;
        let mut fetched = 0;
        for &column in wanted {
            let Some(field) = fields.get_mut(column).filter(|f| f.is_wrapped()) else { continue };
            if lazy.contains(&column) {
                *field = self.layout.placeholder(column);
                continue;
            }
            self.resolve(field, storage, pause)?;
            if let Stored::Plain(b) = field {
                fetched += b.len();
            }
        }
        self.layout.decode_fields_into(&fields, wanted, &self.missing, out)?;
        Ok(fetched)
    }

    /// As [`RowFormat::decode_into`] of a row with large values, if none of those must be fetched; false: one must, and nothing was
    /// appended. Its page may be latched.
    pub(crate) fn decode_near(
        &self,
        payload: &[u8],
        wanted: &[usize],
        lazy: &[usize],
        out: &mut [VectorBuilder],
    ) -> Result<bool> {
        let mut fields = self.layout.fields(payload)?;
        for &column in wanted {
            let Some(field) = fields.get_mut(column).filter(|f| f.is_wrapped()) else { continue };
            if !lazy.contains(&column) {
                return Ok(false);
            }
            *field = self.layout.placeholder(column);
        }
        self.layout.decode_fields_into(&fields, wanted, &self.missing, out)?;
        Ok(true)
    }

    /// Makes a field plain.
    pub(crate) fn resolve(
        &self,
        field: &mut Stored<'_>,
        storage: &Arc<Storage>,
        pause: Pause<'_>,
    ) -> Result<()> {
        let bytes = match field {
            Stored::Null | Stored::Plain(_) => return Ok(()),
            Stored::Compressed { raw, block } => block::decompress(block, *raw).map_err(toast_error)?,
            Stored::External(e) => {
                let place = self.place.ok_or_else(no_place)?;
                chunks::read(storage, place, e, pause).map_err(toast_error)?
            }
        };
        *field = Stored::Plain(Cow::Owned(bytes));
        Ok(())
    }

    /// Is a payload so long that something must be done about it?
    #[inline]
    pub(crate) fn is_large(&self, payload: usize) -> bool {
        self.place.is_some() && self.rules.is_large(payload)
    }
    /// Makes a new row small: appends the payload that is to be stored to `out`; the values that were written elsewhere.
    pub(crate) fn shrink(
        &self,
        payload: &[u8],
        out: &mut Vec<u8>,
        (storage, txn): (&Arc<Storage>, &mut Transaction),
        pause: Pause<'_>,
    ) -> Result<Vec<u32>> {
        let fields = self.layout.fields(payload)?;
        self.shrink_fields(fields, out, (storage, txn), pause)
    }
    /// As [`RowFormat::shrink`], from fields, of which some may be pointers to values already.
    pub(crate) fn shrink_fields(
        &self,
        mut fields: Vec<Stored<'_>>,
        out: &mut Vec<u8>,
        (storage, txn): (&Arc<Storage>, &mut Transaction),
        pause: Pause<'_>,
    ) -> Result<Vec<u32>> {
        for field in &fields {
            if let Stored::Plain(b) = field
                && b.len() > MAX_VALUE
            {
                let text = alloc::format!("invalid memory alloc request size {}", b.len() + 4);
                return Err(SqlError::internal(text));
            }
        }
        let mut written = Vec::new();
        match self.place {
            None => shrink(&self.layout, &mut fields, &self.rules, None).map_err(toast_error)?,
            Some(place) => {
                let mut write = |data: &[u8]| {
                    let id = chunks::write(storage, txn, place, data, pause)?;
                    written.push(id);
                    Ok(id)
                };
                shrink(&self.layout, &mut fields, &self.rules, Some(&mut write)).map_err(toast_error)?;
            }
        }
        self.layout.assemble(&fields, out)?;
        Ok(written)
    }

    /// Bytes that a column takes as it is stored, as PostgreSQL counts.
    pub(crate) fn stored_size(&self, payload: &[u8], column: usize) -> Result<Value> {
        // The header of a value, and what tells of a compressed one.
        const HEADER: usize = 4;
        let Some(ty) = self.types.get(column).map(|t| t.oid) else { return Ok(Value::Null) };
        let mut fields = self.layout.fields(payload)?;
        let size = match fields.get(column) {
            None => match self.missing.get(column) {
                None | Some(Value::Null) => return Ok(Value::Null),
                Some(v) => pg_types::size::stored(ty, v),
            },
            Some(Stored::Null) => return Ok(Value::Null),
            Some(Stored::Compressed { block, .. }) => block.len() + 2 * HEADER,
            Some(Stored::External(e)) => e.stored as usize + if e.compressed { HEADER } else { 0 },
            Some(Stored::Plain(b)) => {
                if matches!(Physical::of(ty), Physical::Text | Physical::Bytea) {
                    let text = b.len();
                    return Ok(Value::Int4((text + if text < 127 { 1 } else { HEADER }) as i32));
                }
                // Only this one is looked at.
                for (i, f) in fields.iter_mut().enumerate().filter(|(i, _)| *i != column) {
                    *f = if f.is_wrapped() {
                        self.layout.placeholder(i)
                    } else {
                        core::mem::replace(f, Stored::Null)
                    };
                }
                let row = self.layout.decode_fields(&fields, &[])?;
                row.get(column).map_or(0, |v| pg_types::size::stored(ty, v))
            }
        };
        Ok(Value::Int4(i32::try_from(size).unwrap_or(i32::MAX)))
    }
    /// How a column's value is compressed.
    pub(crate) fn stored_method(&self, payload: &[u8], column: usize) -> Result<Value> {
        let fields = self.layout.fields(payload)?;
        Ok(match fields.get(column) {
            Some(Stored::Compressed { .. } | Stored::External(External { compressed: true, .. })) => {
                Value::text("lz4")
            }
            _ => Value::Null,
        })
    }

    /// The values that a stored row keeps elsewhere, by column.
    pub(crate) fn externals(&self, payload: &[u8]) -> Result<Vec<(usize, External)>> {
        if !is_wrapped(payload) {
            return Ok(Vec::new());
        }
        let fields = self.layout.fields(payload)?;
        let external = |(i, f): (usize, &Stored<'_>)| match f {
            Stored::External(e) => Some((i, *e)),
            _ => None,
        };
        Ok(fields.iter().enumerate().filter_map(external).collect())
    }
    /// Deletes a value.
    pub(crate) fn delete(&self, id: u32, cx: &ExecContext<'_>) -> Result<()> {
        let place = self.place.ok_or_else(no_place)?;
        let mut txn = cx.txn.borrow_mut();
        chunks::delete(cx.engine.storage(), txn.storage(), place, id, &mut || cx.checkpoint())
            .map_err(toast_error)
    }
    /// Removes values that this command wrote in vain.
    pub(crate) fn take_back(&self, written: &[u32], cx: &ExecContext<'_>) -> Result<()> {
        if written.is_empty() {
            return Ok(());
        }
        let place = self.place.ok_or_else(no_place)?;
        let mut txn = cx.txn.borrow_mut();
        for id in written {
            chunks::take_back(cx.engine.storage(), txn.storage(), place, *id, &mut || cx.checkpoint())
                .map_err(toast_error)?;
        }
        Ok(())
    }
}

#[cold]
fn no_place() -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, "a row refers to a large value, but its table keeps none")
}

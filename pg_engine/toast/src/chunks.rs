//! Values as rows of chunks.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::Ordering;

use pg_storage::{IndexEntry, KeyBound, RowOutcome, ScanDirection, Storage, Tid, Transaction, Unique};
use pg_types::{
    SqlType, Value, VectorBuilder,
    key::KeyColumn,
    oid,
    tuple::{External, Stored, TupleLayout},
};

use crate::{Fault, Pause, Place, Result, ToastError, block};

/// Bytes of a value in a chunk: four rows fill a page.
pub const CHUNK: usize = 1990;
/// Chunks written at a time.
const BATCH: usize = 64;

/// The columns of a relation of chunks.
pub const COLUMNS: [(&str, SqlType); 3] = [
    ("chunk_id", SqlType::new(oid::OID)),
    ("chunk_seq", SqlType::new(oid::INT4)),
    ("chunk_data", SqlType::new(oid::BYTEA)),
];

fn layout() -> TupleLayout {
    TupleLayout::new(&COLUMNS.map(|c| c.1))
}

/// The key of a chunk; without a number, what the keys of all chunks of the value begin with.
fn key(id: u32, seq: Option<u32>, out: &mut Vec<u8>) -> Result<()> {
    KeyColumn::ascending(oid::OID).put(&Value::Oid(id), out)?;
    if let Some(seq) = seq {
        KeyColumn::ascending(oid::INT4).put(&Value::Int4(seq as i32), out)?;
    }
    Ok(())
}

/// The greatest id in use.
fn last_id(storage: &Arc<Storage>, place: Place) -> Result<u32> {
    let mut scan =
        storage.index_scan(place.index, KeyBound::Unbounded, KeyBound::Unbounded, ScanDirection::Backward)?;
    let mut first = None;
    while first.is_none()
        && scan.next_entries(|key, _| {
            first.get_or_insert_with(|| key.to_vec());
        })?
    {}
    let Some(key) = first else { return Ok(0) };
    let mut ids = VectorBuilder::with_capacity(oid::OID, 1);
    KeyColumn::ascending(oid::OID).take(&key, Some(&mut ids))?;
    match ids.finish().value(0) {
        Value::Oid(n) => Ok(n),
        _ => Ok(0),
    }
}

/// An id that no chunk has.
fn new_id(storage: &Arc<Storage>, place: Place, pause: Pause<'_>) -> Result<u32> {
    loop {
        let mut failure = None;
        let last = || match last_id(storage, place) {
            Ok(n) => Ok(n),
            Err(ToastError::Storage(e)) => Err(e),
            Err(e) => {
                failure = Some(e);
                Ok(0)
            }
        };
        let id = storage.next_value_id(place.heap, last)?;
        if let Some(e) = failure {
            return Err(e);
        }
        // Ids begin anew after four billion.
        if tids(storage, place, id, 1)?.is_empty() {
            return Ok(id);
        }
        pause()?;
    }
}

/// The rows of a value's chunks in order, or the first few of them.
fn tids(storage: &Arc<Storage>, place: Place, id: u32, enough: usize) -> Result<Vec<Tid>> {
    let mut prefix = Vec::with_capacity(8);
    key(id, None, &mut prefix)?;
    let (low, high) = (KeyBound::Included(&prefix), KeyBound::Prefix(&prefix));
    let mut scan = storage.index_scan(place.index, low, high, ScanDirection::Forward)?;
    let mut tids = Vec::new();
    while tids.len() < enough && scan.next_batch(&mut tids)? {}
    Ok(tids)
}

/// Writes a value, as it is to be stored; gives its id.
pub fn write(
    storage: &Arc<Storage>,
    txn: &mut Transaction,
    place: Place,
    data: &[u8],
    pause: Pause<'_>,
) -> Result<u32> {
    let id = new_id(storage, place, pause)?;
    let layout = layout();
    let mut seq = 0u32;
    let (mut rows, mut keys, mut at) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = data.chunks(CHUNK).peekable();
    while rest.peek().is_some() {
        pause()?;
        rows.clear();
        keys.clear();
        at.clear();
        for chunk in rest.by_ref().take(BATCH) {
            let (id_bytes, seq_bytes) = (id.to_le_bytes(), (seq as i32).to_le_bytes());
            let fields = [&id_bytes[..], &seq_bytes[..], chunk].map(|b| Stored::Plain(b.into()));
            layout.assemble(&fields, &mut rows)?;
            key(id, Some(seq), &mut keys)?;
            at.push((rows.len(), keys.len()));
            seq += 1;
        }
        insert(storage, txn, place, &rows, &keys, &at)?;
    }
    Ok(id)
}

/// Inserts rows and their index entries; `at`: where each ends.
fn insert(
    storage: &Arc<Storage>,
    txn: &mut Transaction,
    place: Place,
    rows: &[u8],
    keys: &[u8],
    at: &[(usize, usize)],
) -> Result<()> {
    let (mut row, mut key) = (0, 0);
    let parts: Vec<(&[u8], &[u8])> = at
        .iter()
        .map(|&(row_end, key_end)| {
            let part = (rows.get(row..row_end).unwrap_or(&[]), keys.get(key..key_end).unwrap_or(&[]));
            (row, key) = (row_end, key_end);
            part
        })
        .collect();
    let payloads: Vec<&[u8]> = parts.iter().map(|p| p.0).collect();
    let mut tids = Vec::with_capacity(parts.len());
    storage.heap_insert_many(txn, place.heap, &payloads, &mut tids)?;
    // The id is new: no entry can be there.
    let entries: Vec<IndexEntry<'_>> = parts
        .iter()
        .zip(&tids)
        .map(|(&(_, key), &tid)| IndexEntry { key, carries: false, tid, unique: Unique::No })
        .collect();
    storage.index_insert_sorted(txn, place.index, &entries, |_, _| ())?;
    Ok(())
}

/// Reads what is stored for a value.
pub fn read_stored(
    storage: &Arc<Storage>,
    place: Place,
    value: &External,
    pause: Pause<'_>,
) -> Result<Vec<u8>> {
    let total = value.stored as usize;
    let fault = |seq, what| ToastError::Chunk { id: value.id, heap: place.heap, seq, what };
    let mut prefix = Vec::with_capacity(8);
    key(value.id, None, &mut prefix)?;
    let (low, high) = (KeyBound::Included(&prefix), KeyBound::Prefix(&prefix));
    let mut scan = storage.index_scan(place.index, low, high, ScanDirection::Forward)?;
    // Memory as the chunks come: a damaged length must not cost a gigabyte.
    let mut out = block::room(total.min(BATCH * CHUNK))?;
    let (mut tids, mut seq) = (Vec::new(), 0u32);
    let layout = layout();
    loop {
        tids.clear();
        if !scan.next_batch(&mut tids)? {
            break;
        }
        pause()?;
        for part in tids.chunks(BATCH) {
            storage.heap_prefetch(place.heap, part)?;
            for &tid in part {
                let rest = total.saturating_sub(out.len());
                if rest == 0 {
                    return Err(fault(seq, Fault::Unexpected));
                }
                if out.capacity() - out.len() < CHUNK {
                    let more = rest.min(out.len().max(CHUNK));
                    out.try_reserve_exact(more).map_err(|_| ToastError::Memory(total))?;
                }
                let right = storage.heap_fetch_version(place.heap, tid, |row| {
                    append_chunk(&layout, row, (value.id, seq), rest.min(CHUNK), &mut out)
                })?;
                match right {
                    None => return Err(fault(seq, Fault::Missing)),
                    Some(false) => return Err(fault(seq, Fault::Unexpected)),
                    Some(true) => seq += 1,
                }
            }
        }
    }
    count(storage, place, seq as usize)?;
    if out.len() == total { Ok(out) } else { Err(fault(seq, Fault::Missing)) }
}

/// A value's chunks were looked for, and so many found: statistics count that as a scan of the index.
fn count(storage: &Storage, place: Place, found: usize) -> Result<()> {
    storage.activity(place.index)?.index_scans.fetch_add(1, Ordering::Relaxed);
    storage.activity(place.heap)?.index_rows.fetch_add(found as u64, Ordering::Relaxed);
    Ok(())
}

/// Appends a chunk's data if it is the one with this id and number and has so many bytes.
fn append_chunk(
    layout: &TupleLayout,
    row: &[u8],
    (id, seq): (u32, u32),
    len: usize,
    out: &mut Vec<u8>,
) -> bool {
    let Ok(fields) = layout.fields(row) else { return false };
    let [Stored::Plain(i), Stored::Plain(s), Stored::Plain(data)] = fields.as_slice() else { return false };
    let right = **i == id.to_le_bytes() && **s == (seq as i32).to_le_bytes() && data.len() == len;
    if right {
        out.extend_from_slice(data);
    }
    right
}

/// The value that a chunk's row belongs to, and how many bytes of it the row has.
pub fn value_of(row: &[u8]) -> Option<(u32, usize)> {
    let fields = layout().fields(row).ok()?;
    let [Stored::Plain(id), Stored::Plain(_), Stored::Plain(data)] = fields.as_slice() else { return None };
    Some((u32::from_le_bytes(id.as_ref().try_into().ok()?), data.len()))
}

/// Reads a value.
pub fn read(storage: &Arc<Storage>, place: Place, value: &External, pause: Pause<'_>) -> Result<Vec<u8>> {
    let stored = read_stored(storage, place, value, pause)?;
    if value.compressed { block::decompress(&stored, value.raw) } else { Ok(stored) }
}

/// Deletes a value with the transaction that replaces it or deletes its row.
pub fn delete(
    storage: &Arc<Storage>,
    txn: &mut Transaction,
    place: Place,
    id: u32,
    pause: Pause<'_>,
) -> Result<()> {
    let tids = tids(storage, place, id, usize::MAX)?;
    count(storage, place, tids.len())?;
    for (seq, tid) in tids.into_iter().enumerate() {
        if seq % BATCH == 0 {
            pause()?;
        }
        match storage.heap_delete(txn, place.heap, tid)? {
            RowOutcome::Done { .. } => {}
            _ => {
                let what = Fault::Deleted;
                return Err(ToastError::Chunk { id, heap: place.heap, seq: seq as u32, what });
            }
        }
    }
    Ok(())
}

/// Removes a value that the running command wrote and that nothing points to after all.
pub fn take_back(
    storage: &Arc<Storage>,
    txn: &mut Transaction,
    place: Place,
    id: u32,
    pause: Pause<'_>,
) -> Result<()> {
    for (n, tid) in tids(storage, place, id, usize::MAX)?.into_iter().enumerate() {
        if n % BATCH == 0 {
            pause()?;
        }
        storage.heap_take_back(txn, place.heap, tid)?;
    }
    Ok(())
}

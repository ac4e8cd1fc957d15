//! Two-phase commit.
//!
//! PREPARE TRANSACTION logs everything that is needed to go on with a transaction ([`PreparedState`]) and makes it durable. From then on
//! the transaction belongs to no session. COMMIT PREPARED is an ordinary commit of its ids; ROLLBACK PREPARED is logged too, or
//! the transaction would come back after a restart. Checkpoints save the prepared transactions with the ids that run.
//!
//! A record: name and `info` (the caller's, opaque), each as length u32 and bytes; then five lists, each as count u32 and
//! entries: ids u64, relations created u32, relations dropped u32, locks (kind u8, two u64, mode u8), rows (relation u32, tid u64,
//! maker u64, mode u8).

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_page::{RelId, StorageError, Tid, Xid};
use pg_transaction::{LockMode, LockTag, PreparedState, RowKey, RowLock, TransactionManager, Work};
use pg_volume::codec::{Decoder, Encoder};
use pg_wal::RecordKind;

use crate::{
    storage::{Result, Storage},
    transaction::Transaction,
};

/// Log record: a transaction is prepared.
pub(crate) const KIND_PREPARE: RecordKind = RecordKind(3);
/// Log record: a prepared transaction is undone.
pub(crate) const KIND_ROLLBACK_PREPARED: RecordKind = RecordKind(4);
/// Prepared transactions at a time.
const MANY: usize = 10_000;

/// A prepared transaction as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PreparedRecord {
    pub name: String,
    pub info: Vec<u8>,
    pub state: PreparedState,
}

/// A prepared transaction, as `pg_prepared_xacts` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedInfo {
    /// Its name.
    pub name: String,
    /// Its first id.
    pub xid: Xid,
    /// What the one who prepared it noted.
    pub info: Vec<u8>,
}

/// One that waits for its end.
pub(crate) struct Waiting {
    work: Work,
    record: PreparedRecord,
}

/// What stands behind a name.
pub(crate) enum Slot {
    /// A session is preparing it.
    Preparing,
    /// Anyone may end it.
    Waiting(Waiting),
    /// A session is ending it; until that is done it counts.
    Ending(PreparedRecord),
}

impl Slot {
    fn record(&self) -> Option<&PreparedRecord> {
        match self {
            Self::Preparing => None,
            Self::Waiting(w) => Some(&w.record),
            Self::Ending(r) => Some(r),
        }
    }
}

/// By name.
pub(crate) type Prepared = BTreeMap<String, Slot>;

impl PreparedRecord {
    pub fn encode(&self, e: &mut Encoder) {
        let s = &self.state;
        for bytes in [self.name.as_bytes(), &self.info] {
            e.u32(bytes.len() as u32).raw(bytes);
        }
        e.u32(s.xids.len() as u32);
        for x in &s.xids {
            e.u64(x.0);
        }
        for list in [&s.created, &s.dropped] {
            e.u32(list.len() as u32);
            for r in list {
                e.u32(r.0);
            }
        }
        e.u32(s.locks.len() as u32);
        for (tag, mode) in &s.locks {
            let (kind, a, b) = match *tag {
                LockTag::Object(database, oid) => (0, u64::from(oid), u64::from(database)),
                LockTag::Advisory(class, key) => (1, class, key),
            };
            e.u8(kind).u64(a).u64(b).u8(*mode as u8);
        }
        e.u32(s.rows.len() as u32);
        for (key, mode) in &s.rows {
            e.u32(key.rel.0).u64(key.tid.to_u64()).u64(key.xmin.0).u8(*mode as u8);
        }
        e.u8(u8::from(s.serializable));
    }

    pub fn decode(d: &mut Decoder<'_>) -> Option<Self> {
        fn list<T>(d: &mut Decoder<'_>, one: impl Fn(&mut Decoder<'_>) -> Option<T>) -> Option<Vec<T>> {
            let n = d.u32()?;
            (0..n).map(|_| one(d)).collect()
        }
        let mut bytes = || {
            let n = d.u32()?;
            d.raw(n as usize).map(<[u8]>::to_vec)
        };
        let name = String::from_utf8(bytes()?).ok()?;
        let info = bytes()?;
        let state = PreparedState {
            xids: list(d, |d| d.u64().map(Xid))?,
            created: list(d, |d| d.u32().map(RelId))?,
            dropped: list(d, |d| d.u32().map(RelId))?,
            locks: list(d, |d| {
                let (kind, a, b, mode) = (d.u8()?, d.u64()?, d.u64()?, d.u8()?);
                let tag = match kind {
                    0 => LockTag::Object(u32::try_from(b).ok()?, u32::try_from(a).ok()?),
                    1 => LockTag::Advisory(a, b),
                    _ => return None,
                };
                Some((tag, LockMode::from_number(mode)?))
            })?,
            rows: list(d, |d| {
                let (rel, tid, xmin, mode) = (d.u32()?, d.u64()?, d.u64()?, d.u8()?);
                let key = RowKey { rel: RelId(rel), tid: Tid::from_u64(tid), xmin: Xid(xmin) };
                (mode < 4).then(|| (key, RowLock::from_number(mode)))
            })?,
            serializable: match d.u8()? {
                0 => false,
                1 => true,
                _ => return None,
            },
        };
        Some(Self { name, info, state })
    }
}

/// What recovery found prepared and not ended.
#[derive(Debug, Default)]
pub(crate) struct Recovered(Vec<PreparedRecord>);

impl Recovered {
    /// From a checkpoint; volumes of before there were prepared transactions end here.
    pub fn load(d: &mut Decoder<'_>, running: &[Xid]) -> Option<Self> {
        if d.0.is_empty() {
            return Some(Self::default());
        }
        let n = d.u32()?;
        let mut all = (0..n).map(|_| PreparedRecord::decode(d)).collect::<Option<Vec<_>>>()?;
        // One that had ended, or was so new that its record follows in the log.
        all.retain(|r| r.state.xids.first().is_some_and(|x| running.contains(x)));
        Some(Self(all))
    }
    /// Replays a log record.
    pub fn prepared(&mut self, body: &[u8]) -> Result<Vec<Xid>> {
        let record = PreparedRecord::decode(&mut Decoder(body))
            .ok_or(StorageError::CorruptVolume("malformed prepared transaction"))?;
        let xids = record.state.xids.clone();
        self.0.retain(|r| r.name != record.name);
        self.0.push(record);
        Ok(xids)
    }
    pub fn rolled_back(&mut self, body: &[u8]) {
        self.0.retain(|r| r.name.as_bytes() != body);
    }
    pub fn ended(&mut self, xids: &[Xid]) {
        self.0.retain(|r| !r.state.xids.first().is_some_and(|x| xids.contains(x)));
    }
    /// All their ids.
    pub fn xids(&self) -> Vec<Xid> {
        self.0.iter().flat_map(|r| r.state.xids.iter().copied()).collect()
    }
    /// They wait again.
    pub fn restore(self, manager: &Arc<TransactionManager>) -> Prepared {
        let waiting = |record: PreparedRecord| {
            let work = Work::restore(manager, &record.state);
            (record.name.clone(), Slot::Waiting(Waiting { work, record }))
        };
        self.0.into_iter().map(waiting).collect()
    }
}

impl Storage {
    /// Writes the prepared transactions down for a checkpoint.
    pub(crate) fn encode_prepared(&self, e: &mut Encoder) {
        let prepared = self.prepared.lock();
        let all: Vec<_> = prepared.values().filter_map(Slot::record).collect();
        e.u32(all.len() as u32);
        all.iter().for_each(|r| r.encode(e));
    }

    /// PREPARE TRANSACTION: durable, and independent of its session from then on. `info` is the caller's, to be read back.
    pub fn prepare(&self, mut txn: Transaction, name: &str, info: &[u8]) -> Result<()> {
        self.check_open()?;
        self.wal.throttle()?;
        // On an error the drop aborts. From here on no one can make it fail.
        txn.work.check_serializable()?;
        {
            let mut prepared = self.prepared.lock();
            if prepared.len() >= MANY {
                return Err(StorageError::TooManyPrepared);
            }
            if prepared.contains_key(name) {
                return Err(StorageError::PreparedExists);
            }
            prepared.insert(name.to_string(), Slot::Preparing);
        }
        // An id names it, whether it wrote or not.
        let first = txn.work.writing_xid();
        let state = txn.work.prepared_state();
        let record = PreparedRecord { name: name.to_string(), info: info.to_vec(), state };
        let mut e = Encoder::default();
        record.encode(&mut e);
        if let Err(error) = self.wal.check_size(e.0.len(), "locks or subtransactions") {
            self.prepared.lock().remove(name);
            return Err(error);
        }
        // Under the lock, so that a checkpoint either saves it or begins before its record.
        let lsn = {
            let mut prepared = self.prepared.lock();
            let Ok(lsn) = self.wal.append(KIND_PREPARE, first, &[&e.0], None) else {
                platform::power::fatal("a prepare record was refused");
            };
            txn.work.detach();
            let waiting = Waiting { work: txn.into_work(), record };
            prepared.insert(name.to_string(), Slot::Waiting(waiting));
            lsn
        };
        self.wal.flush(lsn);
        Ok(())
    }

    /// The prepared transactions, in order of their names.
    pub fn prepared(&self) -> Vec<PreparedInfo> {
        let info = |r: &PreparedRecord| PreparedInfo {
            name: r.name.clone(),
            xid: r.state.xids.first().copied().unwrap_or(Xid::NONE),
            info: r.info.clone(),
        };
        self.prepared.lock().values().filter_map(Slot::record).map(info).collect()
    }

    /// COMMIT PREPARED or ROLLBACK PREPARED, if `allowed` by what was noted. False: there is none of that name.
    pub fn finish_prepared(
        self: &Arc<Self>,
        name: &str,
        commit: bool,
        allowed: impl FnOnce(&[u8]) -> bool,
    ) -> Result<bool> {
        self.check_open()?;
        let waiting = {
            let mut prepared = self.prepared.lock();
            let Some(slot) = prepared.get_mut(name) else { return Ok(false) };
            let record = match slot {
                Slot::Waiting(w) if allowed(&w.record.info) => w.record.clone(),
                Slot::Waiting(_) => return Err(StorageError::NotAllowed),
                Slot::Preparing | Slot::Ending(_) => return Err(StorageError::PreparedBusy),
            };
            match core::mem::replace(slot, Slot::Ending(record)) {
                Slot::Waiting(w) => w,
                Slot::Preparing | Slot::Ending(_) => return Err(StorageError::PreparedBusy),
            }
        };
        let txn = Transaction::of(self, waiting.work);
        // From here on nothing may fail: the transaction would be undone although the log says that it is prepared.
        let done = if commit {
            txn.commit_logged(|| ())
        } else {
            let first = txn.xid().unwrap_or(Xid::NONE);
            // A checkpoint that begins after the record waits for its end.
            self.engine.transactions.set_committing(txn.work.own());
            let Ok(lsn) = self.wal.append(KIND_ROLLBACK_PREPARED, first, &[name.as_bytes()], None) else {
                platform::power::fatal("a rollback record was refused");
            };
            self.wal.flush(lsn);
            txn.abort();
            Ok(())
        };
        self.prepared.lock().remove(name);
        done.map(|()| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_log() {
        let record = PreparedRecord {
            name: "a name".into(),
            info: alloc::vec![1, 2, 3],
            state: PreparedState {
                xids: alloc::vec![Xid(9), Xid(11)],
                created: alloc::vec![RelId(4)],
                dropped: alloc::vec![RelId(5), RelId(6)],
                locks: alloc::vec![
                    (LockTag::Object(5, 7), LockMode::AccessExclusive),
                    (LockTag::Advisory(2, 8), LockMode::Share),
                ],
                rows: alloc::vec![(
                    RowKey { rel: RelId(1), tid: Tid { block: 3, slot: 2 }, xmin: Xid(8) },
                    RowLock::KeyShare
                )],
                serializable: true,
            },
        };
        let mut e = Encoder::default();
        record.encode(&mut e);
        assert_eq!(PreparedRecord::decode(&mut Decoder(&e.0)), Some(record));
        for n in 0..e.0.len() {
            assert_eq!(PreparedRecord::decode(&mut Decoder(&e.0[..n])), None);
        }
    }
}

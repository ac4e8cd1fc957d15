//! While the device writes a commit's log: who waits to change the same row goes on, and nobody is shown what may not last.
#![cfg(not(intralith_platform = "simulated"))]
#![expect(clippy::unwrap_used, reason = "a test: it fails by panicking")]

use std::{
    sync::{Arc, Condvar, Mutex, mpsc},
    thread,
    time::Duration,
};

use pg_storage::*;
use platform::{
    block::{BlockDevice, BlockError, Durability, Geometry, IoClass},
    memory_device::MemDevice,
};

/// A device whose log writes stop at a gate.
struct Gate {
    device: MemDevice,
    closed: Mutex<bool>,
    moved: Condvar,
}

impl Gate {
    fn set(&self, closed: bool) {
        *self.closed.lock().unwrap() = closed;
        self.moved.notify_all();
    }
}

impl BlockDevice for Gate {
    fn geometry(&self) -> Geometry {
        self.device.geometry()
    }
    fn read(&self, offset: u64, buf: &mut [u8], class: IoClass) -> Result<(), BlockError> {
        self.device.read(offset, buf, class)
    }
    fn write(
        &self,
        offset: u64,
        data: &[u8],
        durability: Durability,
        class: IoClass,
    ) -> Result<(), BlockError> {
        if class == IoClass::Wal {
            drop(self.moved.wait_while(self.closed.lock().unwrap(), |closed| *closed).unwrap());
        }
        self.device.write(offset, data, durability, class)
    }
    fn flush(&self) -> Result<(), BlockError> {
        self.device.flush()
    }
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.device.discard(offset, len)
    }
    fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.device.write_zeroes(offset, len)
    }
}

const NOT_YET: Duration = Duration::from_millis(100);

fn start() -> (Arc<Gate>, Arc<Storage>, RelId, Tid) {
    let device = MemDevice::new(64 << 20, 4096);
    let gate = Arc::new(Gate { device, closed: Mutex::new(false), moved: Condvar::new() });
    Storage::format(&*gate, &FormatOptions { wal_bytes: Some(16 << 20), ..Default::default() }).unwrap();
    let config =
        StorageConfig { buffer_pool_bytes: 8 << 20, background_tasks: false, ..StorageConfig::default() };
    let s = Storage::open(gate.clone(), config).unwrap();
    let mut t = s.begin(Isolation::ReadCommitted);
    let rel = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let tid = s.heap_insert(&mut t, rel, b"v0").unwrap();
    t.commit().unwrap();
    (gate, s, rel, tid)
}

/// Replaces the row, following others as READ COMMITTED does.
fn update(s: &Arc<Storage>, t: &mut Transaction, rel: RelId, mut tid: Tid, to: &[u8]) -> Tid {
    loop {
        match s.heap_update(t, rel, tid, to, Touched::Nothing).unwrap() {
            RowOutcome::Done { tid, .. } => return tid,
            RowOutcome::ConcurrentlyUpdated { latest } => tid = latest,
            other => panic!("{other:?}"),
        }
    }
}

fn shown(s: &Arc<Storage>, rel: RelId, t: &mut Transaction) -> Vec<Vec<u8>> {
    let snapshot = t.snapshot();
    let mut scan = s.heap_scan(rel, &snapshot, None).unwrap();
    let mut rows = Vec::new();
    while scan.next_page(|_, row| rows.push(row.to_vec())).unwrap() {}
    rows
}

fn committing(s: &Arc<Storage>, rel: RelId, tid: Tid) -> thread::JoinHandle<()> {
    let mut t = s.begin(Isolation::ReadCommitted);
    update(s, &mut t, rel, tid, b"v1");
    t.let_others_go_on();
    let before = s.log_position();
    let ending = thread::spawn(move || t.commit().unwrap());
    while s.log_position() == before {
        thread::yield_now();
    }
    // Logged, and perhaps not noted as such yet: who counts waits a moment at most.
    ending
}

#[test]
fn a_writer_goes_on_and_its_reads_wait() {
    let (gate, s, rel, tid) = start();
    gate.set(true);
    let first = committing(&s, rel, tid);
    let mut second = s.begin(Isolation::ReadCommitted);
    second.set_counts_only();
    update(&s, &mut second, rel, tid, b"v2");
    second.next_command();
    assert!(!first.is_finished());
    // Others see neither.
    assert_eq!(shown(&s, rel, &mut s.begin(Isolation::ReadCommitted)), [b"v0"]);
    let (tell, told) = mpsc::channel();
    let reading = {
        let s = s.clone();
        thread::spawn(move || {
            tell.send(shown(&s, rel, &mut second)).unwrap();
            second.commit().unwrap();
        })
    };
    assert!(told.recv_timeout(NOT_YET).is_err(), "shown before it is durable");
    gate.set(false);
    assert_eq!(told.recv().unwrap(), [b"v2"]);
    first.join().unwrap();
    reading.join().unwrap();
    assert_eq!(shown(&s, rel, &mut s.begin(Isolation::ReadCommitted)), [b"v2"]);
}

#[test]
fn an_error_waits_for_what_it_may_tell() {
    let (gate, s, rel, tid) = start();
    gate.set(true);
    let first = committing(&s, rel, tid);
    let mut second = s.begin(Isolation::ReadCommitted);
    second.set_counts_only();
    update(&s, &mut second, rel, tid, b"v2");
    let (tell, told) = mpsc::channel();
    let ending = thread::spawn(move || {
        second.abort();
        tell.send(()).unwrap();
    });
    assert!(told.recv_timeout(NOT_YET).is_err(), "failed before what it saw is durable");
    gate.set(false);
    told.recv().unwrap();
    first.join().unwrap();
    ending.join().unwrap();
    assert_eq!(shown(&s, rel, &mut s.begin(Isolation::ReadCommitted)), [b"v1"]);
}

#[test]
fn an_unawaited_commit_waits_for_what_it_rests_on() {
    let (gate, s, rel, tid) = start();
    gate.set(true);
    let first = committing(&s, rel, tid);
    let mut second = s.begin(Isolation::ReadCommitted);
    second.set_counts_only();
    update(&s, &mut second, rel, tid, b"v2");
    second.set_async_commit(true);
    let (tell, told) = mpsc::channel();
    let ending = thread::spawn(move || {
        second.commit().unwrap();
        tell.send(()).unwrap();
    });
    assert!(told.recv_timeout(NOT_YET).is_err(), "shown to all before it is durable");
    assert_eq!(shown(&s, rel, &mut s.begin(Isolation::ReadCommitted)), [b"v0"]);
    gate.set(false);
    told.recv().unwrap();
    first.join().unwrap();
    ending.join().unwrap();
    assert_eq!(shown(&s, rel, &mut s.begin(Isolation::ReadCommitted)), [b"v2"]);
}

#[test]
fn who_shows_rows_waits_for_the_device() {
    let (gate, s, rel, tid) = start();
    gate.set(true);
    let first = committing(&s, rel, tid);
    let (tell, told) = mpsc::channel();
    let second = thread::spawn(move || {
        let mut t = s.begin(Isolation::ReadCommitted);
        update(&s, &mut t, rel, tid, b"v2");
        tell.send(()).unwrap();
        t.commit().unwrap();
    });
    assert!(told.recv_timeout(NOT_YET).is_err(), "changed before it is durable");
    gate.set(false);
    told.recv().unwrap();
    first.join().unwrap();
    second.join().unwrap();
}

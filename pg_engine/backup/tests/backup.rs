//! What is backed up under load comes back whole, as of the end of the backup or of any later moment that was archived;
//! what is damaged is refused.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking
#![cfg(not(intralith_platform = "simulated"))]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use pg_backup::{
    Input, RestoreError, Restored, Until, archive, back_up, check,
    format::{FRAME_HEADER, FormatError, Reader},
    restore,
};
use pg_storage::*;
use platform::{
    block::{BlockDevice, BlockError, Durability, Geometry, IoClass},
    memory_device::MemDevice,
    time,
};
use proptest::prelude::*;

const CAPACITY: u64 = 96 << 20;

fn config() -> StorageConfig {
    StorageConfig { buffer_pool_bytes: 2 << 20, checkpoint_wal_bytes: 1 << 20, ..Default::default() }
}

fn volume() -> Arc<dyn BlockDevice> {
    volume_with(8 << 20)
}

fn volume_with(ring: u64) -> Arc<dyn BlockDevice> {
    let d: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(CAPACITY, 4096));
    Storage::format(&*d, &FormatOptions { wal_bytes: Some(ring), config: b"some=thing".to_vec() }).unwrap();
    d
}

fn table(s: &Arc<Storage>) -> (RelId, RelId) {
    let mut t = s.begin(Isolation::ReadCommitted);
    let heap = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let index = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
    t.commit().unwrap();
    (heap, index)
}

/// Adds a row; its number is its key.
fn put(s: &Arc<Storage>, (heap, index): (RelId, RelId), n: u32, len: usize) -> Xid {
    let mut t = s.begin(Isolation::ReadCommitted);
    let mut row = n.to_be_bytes().to_vec();
    row.resize(4 + len, n as u8);
    let tid = s.heap_insert(&mut t, heap, &row).unwrap();
    s.index_insert(&mut t, index, &n.to_be_bytes(), tid, Unique::Yes).unwrap();
    let xid = t.xid().unwrap();
    t.commit().unwrap();
    xid
}

fn rows(s: &Arc<Storage>, heap: RelId) -> BTreeMap<u32, usize> {
    let snapshot = s.begin(Isolation::ReadCommitted).snapshot();
    let mut scan = s.heap_scan(heap, &snapshot, None).unwrap();
    let mut all = BTreeMap::new();
    while scan
        .next_page(|_, p| {
            let n = u32::from_be_bytes(p[..4].try_into().unwrap());
            assert!(p[4..].iter().all(|b| *b == n as u8));
            assert!(all.insert(n, p.len() - 4).is_none(), "row {n} twice");
        })
        .unwrap()
    {}
    all
}

fn backup(s: &Storage) -> Box<[u8]> {
    let mut bytes = Vec::new();
    back_up(s, "a label", &mut |frame: &[u8]| {
        bytes.extend_from_slice(frame);
        Ok::<(), ()>(())
    })
    .unwrap();
    bytes.into()
}

fn input(bytes: &[u8]) -> Arc<dyn Input> {
    Arc::new(Box::<[u8]>::from(bytes))
}

fn blank() -> Arc<dyn BlockDevice> {
    Arc::new(MemDevice::new(CAPACITY, 4096))
}

fn restored(
    bytes: &[u8],
    archive: &[Arc<dyn Input>],
    until: Until,
) -> Result<(Arc<Storage>, Restored), RestoreError> {
    let image = blank();
    let summary = restore(input(bytes), archive, image.clone(), until, 4 << 20)?;
    assert!(matches!(Storage::probe(&*image).unwrap(), Probe::Intralith { clean: true, .. }));
    assert_eq!(Storage::read_config(&*image).unwrap(), b"some=thing");
    let s = Storage::open(image, config()).unwrap();
    s.verify().unwrap();
    Ok((s, summary))
}

/// An archive file of the log from `from` on.
fn archived(s: &Storage, from: Lsn) -> (Vec<u8>, Lsn) {
    let mut file = archive::header(s.volume_id(), from);
    let (mut at, end) = (from, s.flush_log());
    while at < end {
        let piece = s.read_log(at, 100_000).unwrap();
        file.extend(archive::piece(at, &piece));
        at = Lsn(at.0 + piece.len() as u64);
    }
    (file, at)
}

#[test]
fn backups_under_load() {
    let s = Storage::open(volume_with(32 << 20), config()).unwrap();
    let t = table(&s);
    for n in 0..2000 {
        put(&s, t, n, 60 + (n as usize % 40) * 400);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|w| {
            let (s, stop) = (s.clone(), stop.clone());
            thread::spawn(move || {
                let mut n = 10_000;
                while !stop.load(Ordering::Relaxed) && s.space().0 > s.space().1 / 4 {
                    put(&s, t, n * 2 + w, 100 + n as usize % 3000);
                    if n % 20 == 0 {
                        // Relations come and go, and their space is used again.
                        let other = table(&s);
                        put(&s, other, 1, 5000);
                        let mut t = s.begin(Isolation::ReadCommitted);
                        s.drop_relation(&mut t, other.0).unwrap();
                        s.drop_relation(&mut t, other.1).unwrap();
                        t.commit().unwrap();
                    }
                    if n % 150 == 0 {
                        s.checkpoint().unwrap();
                    }
                    n += 1;
                }
            })
        })
        .collect();
    for _ in 0..4 {
        let before = rows(&s, t.0);
        let bytes = backup(&s);
        let after = rows(&s, t.0);
        let contents = check(&bytes).unwrap();
        assert_eq!((contents.header.label.as_str(), contents.disk <= CAPACITY), ("a label", true));
        let (r, summary) = restored(&bytes, &[], Until::End).unwrap();
        assert_eq!(summary.end, contents.end);
        let found = rows(&r, t.0);
        assert!(before.iter().all(|(n, len)| found.get(n) == Some(len)), "what was there before");
        assert!(found.iter().all(|(n, len)| after.get(n) == Some(len)), "nothing that was not there after");
        assert_ne!(r.volume_id(), s.volume_id());
        // It is a volume like any other.
        put(&r, t, 5, 10);
        r.verify().unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for w in writers {
        w.join().unwrap();
    }
}

#[test]
fn any_later_moment() {
    let d = volume();
    let mut run = Run::of(&d);
    let mut s = Storage::open(run.clone(), config()).unwrap();
    let t = table(&s);
    for n in 0..300 {
        put(&s, t, n, 2000);
    }
    let bytes = backup(&s);
    let end = check(&bytes).unwrap().end;
    let (mut files, mut from) = (Vec::new(), end);
    let mut moments = Vec::new();
    // Far more log than the ring holds, over several runs, the second of which ends without a shutdown and with work undone.
    for round in 0..12_u32 {
        for n in 0..150 {
            put(&s, t, 1000 + round * 1000 + n, 6000 + n as usize * 40);
            if n % 40 == 39 {
                let (file, at) = archived(&s, from);
                files.push(file);
                from = at;
            }
        }
        thread::sleep(std::time::Duration::from_millis(2));
        let last = put(&s, t, 1999 + round * 1000, 1);
        moments.push((rows(&s, t.0), time::wall_clock_micros(), s.flush_log(), last));
        thread::sleep(std::time::Duration::from_millis(2));
        // Room for the next round: the space of what is dropped is used again.
        let mut txn = s.begin(Isolation::ReadCommitted);
        let snapshot = txn.snapshot();
        let mut scan = s.heap_scan(t.0, &snapshot, None).unwrap();
        let mut tids = Vec::new();
        while scan
            .next_page(|tid, p| {
                if p.len() > 3000 {
                    tids.push(tid);
                }
            })
            .unwrap()
        {}
        for tid in tids {
            s.heap_delete(&mut txn, t.0, tid).unwrap();
        }
        txn.commit().unwrap();
        drop(scan);
        drop(snapshot);
        s.vacuum(t.0).unwrap();
        let other = table(&s);
        put(&s, other, 1, 20_000);
        if round % 4 == 1 {
            let mut lost = s.begin(Isolation::ReadCommitted);
            let made = s.create_relation(&mut lost, RelationKind::Heap).unwrap();
            s.heap_insert(&mut lost, made, &[9; 30_000]).unwrap();
            s.heap_insert(&mut lost, t.0, &[0, 0, 0, 1, 1]).unwrap();
            let (file, at) = archived(&s, from);
            files.push(file);
            from = at;
            std::mem::forget(lost);
        } else if round % 4 == 3 {
            s.shutdown().unwrap();
        }
        if round % 2 == 1 {
            // The old run's tasks may go on for a while.
            run.end();
            run = Run::of(&d);
            s = Storage::open(run.clone(), config()).unwrap();
        }
    }
    let (file, last) = archived(&s, from);
    files.push(file);
    let inputs: Vec<_> = files.iter().map(|f| input(f)).collect();
    assert!(last.0 - end.0 > 2 * (8 << 20), "the log went round the ring: {}", last.0 - end.0);
    let (r, summary) = restored(&bytes, &inputs, Until::End).unwrap();
    assert_eq!((rows(&r, t.0), summary.end), (rows(&s, t.0), last));
    for (i, (state, time, lsn, xid)) in moments.iter().enumerate() {
        let until = [Until::Time(*time), Until::Lsn(*lsn), Until::Xid(*xid)][i % 3];
        let (r, _) = restored(&bytes, &inputs, until).unwrap();
        assert_eq!(rows(&r, t.0), *state, "round {i}, {until:?}");
    }
    // Before the backup's end, after the archive's, a file missing, a file of another volume.
    let failed = |inputs: &[Arc<dyn Input>], until| match restored(&bytes, inputs, until) {
        Ok((_, summary)) => panic!("{until:?}: {summary:?}"),
        Err(e) => e,
    };
    assert_eq!(failed(&inputs, Until::Lsn(Lsn(end.0 - 1))), RestoreError::TooEarly(end));
    assert_eq!(failed(&inputs, Until::Time(i64::MAX)), RestoreError::EndsBefore(last));
    assert_eq!(failed(&inputs, Until::Xid(Xid(1))), RestoreError::EndsBefore(last));
    let mut gap = inputs.clone();
    gap.remove(3);
    assert!(matches!(failed(&gap, Until::Time(moments[11].1)), RestoreError::EndsBefore(_)));
    let other = archive::header(7, end);
    assert_eq!(failed(&[input(&other)], Until::End), RestoreError::Archive(0));
}

/// The device as one run of the server sees it: when the power goes, what it still writes goes nowhere.
struct Run {
    device: Arc<dyn BlockDevice>,
    powered: RwLock<bool>,
}

impl Run {
    fn of(device: &Arc<dyn BlockDevice>) -> Arc<Self> {
        Arc::new(Self { device: device.clone(), powered: RwLock::new(true) })
    }
    /// Waits for what is being written.
    fn end(&self) {
        *self.powered.write().unwrap() = false;
    }
    fn change(&self, f: impl FnOnce() -> Result<(), BlockError>) -> Result<(), BlockError> {
        let powered = self.powered.read().unwrap();
        if *powered { f() } else { Ok(()) }
    }
}

impl BlockDevice for Run {
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
        self.change(|| self.device.write(offset, data, durability, class))
    }
    fn flush(&self) -> Result<(), BlockError> {
        self.change(|| self.device.flush())
    }
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.change(|| self.device.discard(offset, len))
    }
    fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.change(|| self.device.write_zeroes(offset, len))
    }
}

#[test]
fn log_that_is_gone() {
    let s = Storage::open(volume(), config()).unwrap();
    let t = table(&s);
    let from = s.flush_log();
    for n in 0..2000 {
        put(&s, t, n, 7000);
        if n % 100 == 0 {
            s.checkpoint().unwrap();
        }
    }
    s.flush_log();
    assert!(s.read_log(from, 1000) == Err(ReadError::Gone));
    assert!(s.read_log(Lsn(s.durable_log().0 - 5000), 10_000).unwrap().len() == 5000);
}

fn small() -> Vec<u8> {
    let s = Storage::open(volume(), config()).unwrap();
    let t = table(&s);
    for n in 0..30 {
        put(&s, t, n, 100);
    }
    backup(&s).into_vec()
}

#[test]
fn damage_is_refused() {
    let good = small();
    check(&Box::<[u8]>::from(good.as_slice())).unwrap();
    let checked = |bytes: &[u8]| check(&Box::<[u8]>::from(bytes)).map(|_| ());
    // The frames' places.
    let (mut reader, mut at, mut frames) = (Reader::default(), 0, Vec::new());
    while let Some((_, n)) = reader.next(&good[at..]).unwrap() {
        frames.push((at, n));
        at += n;
    }
    assert!(at == good.len() && frames.len() > 4);
    for (start, n) in &frames {
        // Every byte of the frame's header, and the payload's first, middle and last.
        let middle = start + FRAME_HEADER + (n - FRAME_HEADER) / 2;
        for place in (*start..start + FRAME_HEADER + 1).chain([middle, start + n - 1]) {
            if place >= good.len() {
                continue;
            }
            for bit in [0, 7] {
                let mut bad = good.clone();
                bad[place] ^= 1 << bit;
                assert!(checked(&bad).is_err(), "byte {place} changed");
            }
        }
        // Cut off here, left out, given twice.
        assert_eq!(checked(&good[..*start]), Err(RestoreError::Format(FormatError::Truncated)));
        let without = [&good[..*start], &good[start + n..]].concat();
        assert!(checked(&without).is_err());
        let twice = [&good[..start + n], &good[*start..]].concat();
        assert!(checked(&twice).is_err());
    }
    assert_eq!(checked(b""), Err(RestoreError::Format(FormatError::Truncated)));
    assert_eq!(checked(&[7; 5000]), Err(RestoreError::Format(FormatError::NotABackup)));
    assert_eq!(checked(&[&good[..], b"x"].concat()), Err(RestoreError::Format(FormatError::Trailing)));
    // Nothing is written to a disk that is not blank, or for a backup that is not sound.
    let image = blank();
    let bad = restore(input(&good[..good.len() - 1]), &[], image.clone(), Until::End, 1 << 20);
    assert_eq!(bad, Err(RestoreError::Format(FormatError::Truncated)));
    assert_eq!(Storage::probe(&*image).unwrap(), Probe::Blank);
    restore(input(&good), &[], image.clone(), Until::End, 1 << 20).unwrap();
    assert_eq!(restore(input(&good), &[], image, Until::End, 1 << 20), Err(RestoreError::NotBlank));
    let tiny: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(32 << 20, 4096));
    assert!(matches!(restore(input(&good), &[], tiny, Until::End, 1 << 20), Err(RestoreError::TooSmall(_))));
}

fn read_all(mut bytes: &[u8]) {
    let mut reader = Reader::default();
    while let Ok(Some((_, n))) = reader.next(bytes) {
        bytes = &bytes[n..];
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        read_all(&bytes);
        let _ = archive::parse_header(&bytes);
        let _ = archive::parse_piece(&bytes, Lsn(3));
    }

    #[test]
    fn any_change_is_noticed(place in any::<prop::sample::Index>(), change in 1_u8..) {
        static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let mut bytes = GOOD.get_or_init(small).clone();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        prop_assert!(check(&Box::<[u8]>::from(bytes)).is_err());
    }
}

//! Faults of the disk as clients see them.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

mod common;

use std::sync::Arc;

use common::{Db, open_on};
use pg_storage::{FormatOptions, Storage, StorageConfig};
use platform::{
    block::BlockError,
    faulty_device::{Fault, FaultyDevice},
    memory_device::MemDevice,
};

const RING: u64 = 16 << 20;
const DATA: u64 = (1 << 20) + RING;

fn database(data: u64, pool: u64) -> (Arc<FaultyDevice>, Db) {
    let inner = Arc::new(MemDevice::new(DATA + data, 8192));
    Storage::format(&*inner, &FormatOptions { wal_bytes: Some(RING), config: Vec::new() }).unwrap();
    let device = Arc::new(FaultyDevice::new(inner));
    let config = StorageConfig { buffer_pool_bytes: pool, ..StorageConfig::default() };
    let db = Db::on(open_on(device.clone(), config));
    (device, db)
}

const ROWS: &str = "SELECT i, repeat('x', 500) FROM generate_series(1, 1000) AS g(i)";

/// Inserts until the disk is full; how many statements went well.
fn fill(db: &mut Db, table: &str) -> usize {
    for n in 0..10_000 {
        match db.try_run(&format!("INSERT INTO {table} {ROWS}")) {
            Ok(_) => {}
            Err(e) => {
                assert_eq!(e.state().as_str(), "53100", "{e:?}");
                let text = e.message();
                assert!(text.starts_with("could not extend file \"base/"), "{text}");
                assert!(text.ends_with("\": No space left on device"), "{text}");
                assert_eq!(e.fields().hint.as_deref(), Some("Check free disk space."));
                return n;
            }
        }
    }
    panic!("the disk is never full");
}

#[test]
fn disk_full() {
    let (_, mut db) = database(24 << 20, 8 << 20);
    for t in ["a", "b"] {
        db.run(&format!("CREATE TABLE {t} (i int, s text)"));
        db.run(&format!("CREATE INDEX {t}_i ON {t} (i)"));
    }
    db.run("CREATE TABLE small (i int PRIMARY KEY)");
    db.run("INSERT INTO small VALUES (1)");
    let n = fill(&mut db, "a");
    assert!(n > 5, "{n}");
    let count = |db: &mut Db, t: &str| db.query(&format!("SELECT count(*) FROM {t}"));
    assert_eq!(count(&mut db, "a"), [format!("{}", n * 1000)]);
    assert_eq!(db.query("SELECT count(*) FROM a WHERE i = 7"), [format!("{n}")]);
    // Others go on where they have room.
    db.run("UPDATE small SET i = 2");
    assert_eq!(db.query("SELECT i FROM small"), ["2"]);
    // A transaction that meets the end is rolled back as any other, savepoint or not.
    db.run("BEGIN");
    db.run("INSERT INTO small VALUES (3)");
    for _ in 0..100 {
        if db.try_run(&format!("INSERT INTO b {ROWS}")).is_err() {
            break;
        }
    }
    assert!(db.failed);
    db.run("ROLLBACK");
    assert_eq!(db.query("SELECT i FROM small"), ["2"]);
    assert_eq!(count(&mut db, "b"), ["0"]);
    for statement in [
        "CREATE INDEX a_s ON a (s, i)",
        "CREATE TABLE c AS SELECT * FROM a",
        "ALTER TABLE a ALTER COLUMN i TYPE bigint",
    ] {
        assert!(db.error(statement).starts_with("53100: could not extend file"), "{statement}");
    }
    // DELETE and VACUUM make room, without more than there is.
    db.run("DELETE FROM a WHERE i % 2 = 0");
    db.run("VACUUM a");
    db.run(&format!("INSERT INTO a {ROWS}"));
    assert_eq!(count(&mut db, "a"), [format!("{}", n * 500 + 1000)]);
    fill(&mut db, "a");
    // So does TRUNCATE.
    db.run("TRUNCATE a");
    assert_eq!(count(&mut db, "a"), ["0"]);
    let again = fill(&mut db, "a");
    assert!(again + 2 >= n, "{again} of {n}");
    // And DROP TABLE.
    db.run("DROP TABLE a");
    let other = fill(&mut db, "b");
    assert!(other + 2 >= n, "{other} of {n}");
    db.engine.storage().checkpoint().unwrap();
    db.engine.storage().verify().unwrap();
}

fn pages(range: std::ops::Range<u64>) -> std::ops::Range<u64> {
    DATA + range.start * 8192..DATA + range.end * 8192
}

/// The first page of the device that a query reads from it.
fn first_page(device: &FaultyDevice, db: &mut Db, query: &str, all: u64) -> u64 {
    // What planning reads of the catalogs is known from then on.
    db.run(query);
    let (mut low, mut high) = (0, all);
    while high - low > 1 {
        let middle = low.midpoint(high);
        device.set(&[Fault::Read(pages(low..middle), BlockError::Media)]);
        if db.try_run(query).is_err() { high = middle } else { low = middle }
    }
    device.set(&[]);
    low
}

#[test]
fn bad_pages() {
    let (device, mut db) = database(64 << 20, 1 << 20);
    db.run("CREATE TABLE bad (i int, s text)");
    db.run("CREATE TABLE good (i int)");
    db.run("INSERT INTO good VALUES (1)");
    for _ in 0..5 {
        db.run(&format!("INSERT INTO bad {ROWS}"));
    }
    db.engine.storage().checkpoint().unwrap();
    let file = db.query("SELECT relfilenode FROM pg_class WHERE relname = 'bad'").remove(0);
    let (mut read, mut broken) = (0, 0);
    let first = first_page(&device, &mut db, "SELECT count(*) FROM bad", 8192);
    for page in (first..first + 300).step_by(11) {
        let at = DATA + page * 8192;
        device.set(&[Fault::Read(pages(page..page + 1), BlockError::Media)]);
        if let Err(e) = db.try_run("SELECT count(*) FROM bad") {
            let text = e.message();
            assert_eq!(e.state().as_str(), "58030", "{text}");
            let named = text.starts_with("could not read block ") && text.contains(" in file \"base/");
            assert!(named && text.ends_with(&format!("/{file}\": Input/output error")), "{text}");
            read += 1;
        }
        device.set(&[Fault::Flip(at + 1000, 4)]);
        if let Err(e) = db.try_run("SELECT count(*) FROM bad") {
            let text = e.message();
            assert_eq!(e.state().as_str(), "XX001", "{text}");
            let named = text.starts_with("invalid page in block ") && text.contains(" of relation base/");
            assert!(named && text.ends_with(&format!("/{file}")), "{text}");
            broken += 1;
        }
    }
    assert!(read > 5 && broken > 5, "{read} {broken}");
    // A transaction in which it happened can be rolled back, and nothing of it stays.
    device.set(&[Fault::Read(pages(first..first + 400), BlockError::Gone)]);
    db.run("BEGIN");
    db.run("INSERT INTO good VALUES (2)");
    assert!(db.error("SELECT count(*) FROM bad").starts_with("58030: could not read block"));
    db.run("ROLLBACK");
    device.set(&[]);
    assert_eq!(db.query("SELECT i FROM good"), ["1"]);
    assert_eq!(db.query("SELECT count(*) FROM bad"), ["5000"]);
}

#[test]
fn pages_that_cannot_be_written() {
    let (device, mut db) = database(64 << 20, 1 << 20);
    db.run("CREATE TABLE t (i int, s text)");
    for _ in 0..4 {
        db.run(&format!("INSERT INTO t {ROWS}"));
    }
    db.engine.storage().checkpoint().unwrap();
    let first = first_page(&device, &mut db, "SELECT count(*) FROM t", 8192);
    device.set(&[Fault::Write(pages(first + 60..first + 80), BlockError::Media)]);
    // Changes all pages, of which there are more than the pool has room for.
    db.run("UPDATE t SET i = -i");
    db.run("UPDATE t SET i = -i");
    assert_eq!(db.query("SELECT count(*), sum(i) FROM t"), ["4000|2002000"]);
    assert!(db.engine.storage().pool_stats().write_failures > 0);
    device.set(&[]);
    db.engine.storage().checkpoint().unwrap();
    db.engine.storage().verify().unwrap();
}

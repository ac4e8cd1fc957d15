//! A new volume's catalogs, read back through the cache.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::sync::Arc;

use pg_catalog::{CatalogReader, Txn, bootstrap, builtin};
use pg_storage::{FormatOptions, Isolation, Storage, StorageConfig};
use pg_types::Value;
use platform::memory_device::MemDevice;

fn device() -> Arc<MemDevice> {
    let device = Arc::new(MemDevice::new(256 << 20, 4096));
    Storage::format(&*device, &FormatOptions::default()).unwrap();
    device
}

fn open(device: &Arc<MemDevice>) -> Arc<Storage> {
    let config = StorageConfig { background_tasks: false, ..StorageConfig::default() };
    Storage::open(device.clone(), config).unwrap()
}

#[test]
fn catalogs_describe_themselves() {
    let device = device();
    let storage = open(&device);
    assert!(!bootstrap::is_bootstrapped(&storage));
    let initial = bootstrap::Initial { user: "intralith", verifier: Some("SCRAM"), database: "intralith" };
    let start = std::time::Instant::now();
    bootstrap::bootstrap(&storage, &initial).unwrap();
    println!("bootstrap took {:?}", start.elapsed());
    assert!(bootstrap::bootstrap(&storage, &initial).is_err());

    let start = std::time::Instant::now();
    let catalog = bootstrap::open(&storage).unwrap();
    println!("open took {:?}", start.elapsed());
    let mut txn = Txn::begin(&storage, Isolation::ReadCommitted, false, 0);
    let reader = catalog.reader(&mut txn, &["public".into()], None, 10).unwrap();
    let class = reader.relation(None, "pg_class").unwrap().unwrap();
    assert_eq!((class.oid, class.attributes.len()), (1259, 33));
    assert!(reader.relation(None, "nothing").unwrap().is_none());
    let view = reader.relation(None, "pg_roles").unwrap().unwrap();
    assert!(view.view.as_deref().unwrap().contains("pg_authid"));
    assert_eq!(view.attributes[0].name, "rolname");
    let columns = reader.find(builtin::PG_ATTRIBUTE, &["attrelid"], &[Value::Oid(1259)]).unwrap();
    assert_eq!(columns.len(), 33);
    let int4 =
        reader.find(builtin::PG_TYPE, &["typname", "typnamespace"], &[Value::text("int4"), Value::Oid(11)]);
    assert_eq!(int4.unwrap()[0].oid("oid"), 23);
    let first = catalog.new_oid().unwrap();
    assert!(first >= builtin::FIRST_NORMAL_OID);
    assert_eq!(catalog.new_oid().unwrap(), first + 1);
    drop(reader);
    drop(txn);
    storage.verify().unwrap();
}

#[test]
fn catalogs_survive_a_restart() {
    let device = device();
    let initial = bootstrap::Initial { user: "intralith", verifier: None, database: "intralith" };
    let storage = open(&device);
    bootstrap::bootstrap(&storage, &initial).unwrap();
    storage.shutdown().unwrap();
    drop(storage);
    let storage = open(&device);
    let catalog = bootstrap::open(&storage).unwrap();
    let snapshot = catalog.latest();
    let role = catalog.find_one(&snapshot, builtin::PG_AUTHID, &["rolname"], &[Value::text("intralith")]);
    assert!(role.unwrap().unwrap().bool("rolsuper"));
}

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

/// Other databases: made when asked for, found after a restart, copied with a used one's rows, dropped without leaving storage.
#[test]
fn databases_come_and_go() {
    let device = device();
    let initial = bootstrap::Initial { user: "intralith", verifier: None, database: "intralith" };
    let storage = open(&device);
    bootstrap::bootstrap(&storage, &initial).unwrap();
    let home = bootstrap::open(&storage).unwrap();
    let relations = storage.relations().len();
    assert!(home.open_database(builtin::TEMPLATE1).unwrap().is_none());
    home.make_database(builtin::TEMPLATE1).unwrap();
    let template = home.open_database(builtin::TEMPLATE1).unwrap().unwrap();
    assert_eq!(home.other_databases().unwrap(), [builtin::TEMPLATE1]);

    // A schema of its own, which a copy has too.
    let mut txn = storage.begin(Isolation::ReadCommitted);
    let schemas = template.table(builtin::PG_NAMESPACE).unwrap();
    let row = schemas.row().set("oid", 20_000u32).set("nspname", "mine").set("nspowner", 10u32);
    schemas.insert(&storage, &mut txn, &row).unwrap();
    txn.commit().unwrap();
    let mut txn = storage.begin(Isolation::ReadCommitted);
    home.copy_database(&mut txn, &template, 30_000, &|| Ok(())).unwrap();
    txn.commit().unwrap();
    storage.shutdown().unwrap();
    drop((home, template, storage));

    let storage = open(&device);
    let home = bootstrap::open(&storage).unwrap();
    let has = |catalog: &pg_catalog::Catalog| {
        let key = [Value::text("mine")];
        catalog.find_one(&catalog.latest(), builtin::PG_NAMESPACE, &["nspname"], &key).unwrap().is_some()
    };
    let copy = home.open_database(30_000).unwrap().unwrap();
    assert_eq!(copy.database(), 30_000);
    assert!(has(&copy) && !has(&home));
    // Roles are everyone's; numbers are given out once for all.
    let role = copy.find_one(&copy.latest(), builtin::PG_AUTHID, &["rolname"], &[Value::text("intralith")]);
    assert!(role.unwrap().is_some());
    assert_eq!(copy.new_oid().unwrap() + 1, home.new_oid().unwrap());
    // What one database commits makes the others look again.
    let version = copy.version();
    home.invalidate();
    assert_ne!(copy.version(), version);

    let mut txn = storage.begin(Isolation::ReadCommitted);
    home.drop_database(&mut txn, 30_000).unwrap();
    home.drop_database(&mut txn, builtin::TEMPLATE1).unwrap();
    txn.commit().unwrap();
    assert!(home.other_databases().unwrap().is_empty());
    assert_eq!(storage.relations().len(), relations);
    storage.verify().unwrap();
}

//! The engine as sessions see it.

use alloc::{
    boxed::Box,
    collections::BTreeMap,
    string::{String, ToString},
    sync::{Arc, Weak},
    vec::Vec,
};
use core::sync::atomic::{AtomicU64, Ordering};

use dagdb_device::Backends;
use pg_catalog::{
    Catalog, CatalogReader, Reader, Txn, access,
    acl::{Acl, Class, right},
    bootstrap,
    builtin::{FIRST_DATABASE, PG_AUTHID, PG_DATABASE, PG_DB_ROLE_SETTING, PG_EXTENSION},
    storage_error,
};
use pg_plan::{
    Utility,
    physical::{Node, Physical},
    statement::{Command, Planned},
};
use pg_storage::{Isolation, LockMode, Storage};
use pg_types::{Oid, Result, SqlError, Value};
use platform::{
    compute::Devices,
    sync::{Mutex, OnceLock},
};

use crate::{
    context::ExecContext,
    graph::{Crew, Progress},
    node::ScanHelpers,
    session::Session,
};

/// What a new database starts with.
#[derive(Clone, Debug)]
pub struct Initial {
    /// Name of the first role, a superuser (`intralith`).
    pub user: String,
    /// Its SCRAM verifier as stored in `pg_authid.rolpassword`; `None`: no password.
    pub verifier: Option<String>,
    /// Name of the first database.
    pub database: String,
}

/// A role, for authentication.
#[derive(Clone, Debug)]
pub struct Role {
    /// `pg_authid.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// SUPERUSER.
    pub superuser: bool,
    /// REPLICATION.
    pub replication: bool,
    /// LOGIN.
    pub login: bool,
    /// CONNECTION LIMIT; −1: none.
    pub connection_limit: i32,
    /// SCRAM verifier.
    pub verifier: Option<String>,
    /// VALID UNTIL, microseconds since 2000-01-01 UTC.
    pub valid_until: Option<i64>,
}

/// A database, for connecting to it.
#[derive(Clone, Debug)]
pub struct Database {
    /// `pg_database.oid`.
    pub oid: Oid,
    owner: Oid,
    /// ALLOW_CONNECTIONS.
    pub connectable: bool,
    /// CONNECTION LIMIT; −1: none.
    pub connection_limit: i32,
    acl: Option<Acl>,
}

/// What a utility statement came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Command tag (`CREATE TABLE`, `SELECT 5`).
    pub tag: String,
}

/// Bytes of a page.
const PAGE_BYTES: usize = 8192;
/// Bytes of graphs that are kept at hand however few pages are.
const LEAST_GRAPHS: usize = 64 << 20;

/// The engine of a database: storage, catalogs, executor.
pub struct Engine {
    storage: Arc<Storage>,
    catalog: Catalog,
    common: Arc<Common>,
    graph_progress: Progress,
    graph_readers: crate::graph::Readers,
    /// Temporary files that statements made, and bytes written to them.
    temporary: (AtomicU64, AtomicU64),
}

/// What the engines of a volume's databases have in common.
struct Common {
    graphs: dagdb_store::Cache,
    compute: Backends,
    scan_helpers: ScanHelpers,
    graph_crew: Crew,
    first: OnceLock<Weak<Engine>>,
    /// Engines of the databases that have catalogs, but for the first.
    others: Mutex<BTreeMap<Oid, Arc<Engine>>>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.catalog.database() == FIRST_DATABASE {
            // They hold what holds them.
            drop(core::mem::take(&mut *self.common.others.lock()));
        }
    }
}

impl Engine {
    /// Temporary files that statements of this database have made, and bytes that they wrote there (`pg_stat_database`).
    pub fn temporary_files(&self) -> (u64, u64) {
        (self.temporary.0.load(Ordering::Relaxed), self.temporary.1.load(Ordering::Relaxed))
    }
    pub(crate) fn count_temporary(&self, files: u64, bytes: u64) {
        self.temporary.0.fetch_add(files, Ordering::Relaxed);
        self.temporary.1.fetch_add(bytes, Ordering::Relaxed);
    }
    /// Fills a freshly formatted volume with the catalogs. Everything is in one transaction: either done or not.
    pub fn bootstrap(storage: &Arc<Storage>, initial: &Initial) -> Result<()> {
        let initial = bootstrap::Initial {
            user: &initial.user,
            verifier: initial.verifier.as_deref(),
            database: &initial.database,
        };
        bootstrap::bootstrap(storage, &initial)
    }
    /// True when [`Self::bootstrap`] has run on this volume.
    pub fn is_bootstrapped(storage: &Arc<Storage>) -> Result<bool> {
        Ok(bootstrap::is_bootstrapped(storage))
    }
    /// Starts the engine on a bootstrapped volume. Builtin catalog rows made by another release are brought up to date.
    /// `devices` may compute for it.
    pub fn open(storage: Arc<Storage>, devices: Devices) -> Result<Arc<Self>> {
        let catalog = bootstrap::open(&storage)?;
        let others = catalog.other_databases()?;
        // As much as a quarter of the pages that are kept.
        let bytes = storage.pool_stats().frames.saturating_mul(PAGE_BYTES / 4).max(LEAST_GRAPHS);
        let common = Arc::new(Common {
            graphs: dagdb_store::Cache::new(bytes),
            compute: Backends::new(devices),
            scan_helpers: ScanHelpers::new(),
            graph_crew: Crew::new(),
            first: OnceLock::new(),
            others: Mutex::default(),
        });
        let first = Self::of_catalog(catalog, &common);
        let _ = common.first.set(Arc::downgrade(&first));
        for oid in others {
            first.in_database(oid)?;
        }
        Ok(first)
    }
    fn of_catalog(catalog: Catalog, common: &Arc<Common>) -> Arc<Self> {
        Arc::new(Self {
            storage: catalog.storage().clone(),
            catalog,
            common: common.clone(),
            graph_progress: Progress::default(),
            graph_readers: crate::graph::Readers::default(),
            temporary: Default::default(),
        })
    }
    /// The engine of the volume's first database, through whose catalogs the others are found.
    pub fn first(&self) -> Result<Arc<Self>> {
        let first = self.common.first.get().and_then(Weak::upgrade);
        first.ok_or_else(|| SqlError::internal("the first database is closed"))
    }
    /// The engine of a database that exists. Its catalogs are made if nobody has used it yet.
    pub fn in_database(&self, database: Oid) -> Result<Arc<Self>> {
        let first = self.first()?;
        if database == first.catalog.database() {
            return Ok(first);
        }
        // Held meanwhile: catalogs are made once.
        let mut others = self.common.others.lock();
        if let Some(engine) = others.get(&database) {
            return Ok(engine.clone());
        }
        let catalog = match first.catalog.open_database(database)? {
            Some(catalog) => catalog,
            None => {
                first.catalog.make_database(database)?;
                let made = first.catalog.open_database(database)?;
                made.ok_or_else(|| SqlError::internal("a new database has no catalogs"))?
            }
        };
        let engine = Self::of_catalog(catalog, &self.common);
        others.insert(database, engine.clone());
        Ok(engine)
    }
    /// The engines of all databases that have catalogs.
    pub fn all_databases(&self) -> Result<Vec<Arc<Self>>> {
        let mut all = Vec::from([self.first()?]);
        all.extend(self.common.others.lock().values().cloned());
        Ok(all)
    }
    /// Forgets the engine of a database that is no more.
    pub fn forget_database(&self, database: Oid) {
        let forgotten = self.common.others.lock().remove(&database);
        drop(forgotten);
    }
    /// The storage.
    pub fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }
    /// Snapshots of graphs that sessions asked for.
    pub(crate) fn graph_readers(&self) -> &crate::graph::Readers {
        &self.graph_readers
    }
    /// The graphs at hand.
    pub(crate) fn graphs(&self) -> &dagdb_store::Cache {
        &self.common.graphs
    }
    /// Devices that compute.
    pub(crate) fn compute(&self) -> &Backends {
        &self.common.compute
    }
    /// Who helps with large scans.
    pub(crate) fn scan_helpers(&self) -> &ScanHelpers {
        &self.common.scan_helpers
    }
    /// Who helps with large ticks.
    pub(crate) fn graph_crew(&self) -> &Crew {
        &self.common.graph_crew
    }
    /// What is done to graphs at the moment.
    pub(crate) fn graph_progress(&self) -> &Progress {
        &self.graph_progress
    }
    /// The catalogs.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }
    /// Version of the committed catalogs. One atomic load. A plan may run only if it was made under this version and the
    /// transaction has not changed catalogs itself (then: [`Txn::private_version`] too). Never equal to an earlier value
    /// while a change is being committed.
    pub fn catalog_version(&self) -> u64 {
        self.catalog.version()
    }
    /// Starts a transaction. `now`: microseconds since 2000-01-01 UTC.
    pub fn begin(&self, isolation: Isolation, read_only: bool, now: i64) -> Txn {
        Txn::begin(&self.storage, isolation, read_only, now)
    }
    /// COMMIT.
    pub fn commit(&self, txn: Txn) -> Result<()> {
        self.catalog.commit(txn)
    }
    /// Makes the checks that deferred constraints put off. To be called before [`Self::commit`] when
    /// [`Txn::has_deferred`] says so; after an error the transaction must be rolled back.
    pub fn check_deferred(&self, cx: &ExecContext<'_>) -> Result<()> {
        crate::foreign_key::run_deferred(cx, None)
    }
    /// ROLLBACK.
    pub fn rollback(&self, txn: Txn) {
        txn.into_storage().abort();
    }
    /// A role by name, as committed.
    pub fn role(&self, name: &str) -> Result<Option<Role>> {
        let snapshot = self.catalog.latest();
        let row = self.catalog.find_one(&snapshot, PG_AUTHID, &["rolname"], &[Value::text(name)])?;
        Ok(row.map(|r| Role {
            oid: r.oid("oid"),
            name: r.text("rolname").to_string(),
            superuser: r.bool("rolsuper"),
            replication: r.bool("rolreplication"),
            login: r.bool("rolcanlogin"),
            connection_limit: r.int("rolconnlimit") as i32,
            verifier: r.text_option("rolpassword"),
            valid_until: match r.get("rolvaliduntil") {
                Value::TimestampTz(t) => Some(*t),
                _ => None,
            },
        }))
    }
    /// What was set for all, the database, the role, and the role in the database, in this order: names and values.
    pub fn role_settings(&self, role: Oid, database: Oid) -> Result<Vec<(String, String)>> {
        let snapshot = self.catalog.latest();
        let mut all = Vec::new();
        for (database, role) in [(0, 0), (database, 0), (0, role), (database, role)] {
            let key = [Value::Oid(database), Value::Oid(role)];
            let columns = ["setdatabase", "setrole"];
            let Some(row) = self.catalog.find_one(&snapshot, PG_DB_ROLE_SETTING, &columns, &key)? else {
                continue;
            };
            for entry in row.array("setconfig") {
                if let Value::Text(entry) = entry
                    && let Some((name, value)) = entry.split_once('=')
                {
                    all.push((name.to_string(), value.to_string()));
                }
            }
        }
        Ok(all)
    }
    /// A database by name, as committed, for connecting to it.
    pub fn database(&self, name: &str) -> Result<Option<Database>> {
        let snapshot = self.catalog.latest();
        let row = self.catalog.find_one(&snapshot, PG_DATABASE, &["datname"], &[Value::text(name)])?;
        Ok(row.map(|r| Database {
            oid: r.oid("oid"),
            owner: r.oid("datdba"),
            connectable: r.bool("datallowconn"),
            connection_limit: r.int("datconnlimit") as i32,
            acl: Acl::of_value(r.get("datacl")),
        }))
    }
    /// May the role connect to the database?
    pub fn may_connect(&self, role: Oid, database: &Database) -> Result<bool> {
        let roles = self.catalog.roles()?;
        let (acl, owner) = (database.acl.as_ref(), database.owner);
        Ok(access::rights_of(acl, Class::Database, owner, role, right::CONNECT, &roles) != 0)
    }
    /// Is there a database with this oid, as committed?
    pub fn database_exists(&self, oid: Oid) -> Result<bool> {
        let snapshot = self.catalog.latest();
        Ok(self.catalog.find_one(&snapshot, PG_DATABASE, &["oid"], &[Value::Oid(oid)])?.is_some())
    }
    /// Is an extension installed, as committed?
    pub fn has_extension(&self, name: &str) -> Result<bool> {
        let snapshot = self.catalog.latest();
        let key = [Value::text(name)];
        Ok(self.catalog.find_one(&snapshot, PG_EXTENSION, &["extname"], &key)?.is_some())
    }
    /// The catalogs as the transaction sees them now, for binding and planning a statement.
    pub fn reader<'a>(&'a self, txn: &mut Txn, session: &dyn Session) -> Result<Box<dyn CatalogReader + 'a>> {
        if let Some(types) = session.user_types() {
            types.follow(txn);
        }
        let name = crate::graph::named(session);
        let temporary = session.temporary().schema();
        let path = session.search_path();
        let reader = self.catalog.reader(txn, &path, temporary.as_deref(), session.user())?;
        let reader =
            reader.with_row_security(session.row_security()).with_checked_bodies(session.checks_bodies());
        Ok(Box::new(reader.with_graph(move |snapshot| crate::graph::facts(self, snapshot, &name))))
    }
    /// Locks the relations a plan uses, until the end of the transaction. False: the catalogs changed while waiting
    /// (or since `version`): plan again.
    pub fn lock_plan(&self, txn: &mut Txn, planned: &Planned, version: u64) -> Result<bool> {
        let in_with = |oid: Oid| {
            let mut list = planned.changing_ctes.iter().filter_map(|n| planned.ctes.get(*n));
            list.any(|c| changes(c, oid))
        };
        let others = if planned.command == Command::Select && locks_rows(&planned.root) {
            LockMode::RowShare
        } else {
            LockMode::AccessShare
        };
        for &oid in &planned.relations {
            let changed = changes(&planned.root, oid) || (!planned.changing_ctes.is_empty() && in_with(oid));
            let mode = if changed { LockMode::RowExclusive } else { others };
            self.lock(txn, oid, mode)?;
        }
        Ok(self.catalog.version() == version || txn.changed_catalogs())
    }
    /// Locks an object until the end of the transaction.
    pub fn lock(&self, txn: &mut Txn, oid: Oid, mode: LockMode) -> Result<()> {
        // System catalogs are never dropped or altered: readers need not lock them.
        if oid < pg_catalog::builtin::FIRST_NORMAL_OID && mode <= LockMode::RowExclusive {
            return Ok(());
        }
        self.storage.lock(txn.storage(), self.catalog.lock_tag(oid), mode, true).map_err(storage_error)?;
        Ok(())
    }
    /// Runs a statement that is not planned, transaction control, settings, cursors, prepared statements and COPY
    /// excepted: those are the session's (COPY through [`crate::copy`]).
    pub fn utility(&self, statement: &Utility, cx: &ExecContext<'_>) -> Result<Outcome> {
        crate::utility::run(statement, cx)
    }
}

/// Does a plan change this table?
fn changes(p: &Physical, oid: Oid) -> bool {
    match &p.node {
        Node::Insert(i) => i.target.relation.oid == oid,
        Node::Update(u) => u.target.relation.oid == oid,
        Node::Delete(d) => d.target.relation.oid == oid,
        Node::Merge(m) => m.target.relation.oid == oid,
        Node::Append(inputs) => inputs.iter().any(|p| changes(p, oid)),
        _ => false,
    }
}

fn locks_rows(p: &Physical) -> bool {
    match &p.node {
        Node::LockRows { .. } => true,
        Node::Limit { input, .. } => locks_rows(input),
        Node::Project(input, _) => locks_rows(input),
        _ => false,
    }
}

impl ExecContext<'_> {
    /// The catalogs as the statement sees them.
    pub fn reader(&self) -> Result<Reader<'_>> {
        let temporary = self.session.temporary().schema();
        let (path, user) = (self.session.search_path(), self.session.user());
        self.engine.catalog().reader(&mut self.txn.borrow_mut(), &path, temporary.as_deref(), user)
    }
}

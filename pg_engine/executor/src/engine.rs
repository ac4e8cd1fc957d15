//! The engine as sessions see it.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use dagdb_device::Backends;
use pg_catalog::{
    Catalog, CatalogReader, Reader, Txn, access,
    acl::{Acl, Class, right},
    bootstrap,
    builtin::{PG_AUTHID, PG_DATABASE, PG_DB_ROLE_SETTING},
    storage_error,
};
use pg_plan::{
    Utility,
    physical::{Node, Physical},
    statement::{Command, Planned},
};
use pg_storage::{Isolation, LockMode, LockTag, Storage};
use pg_types::{Oid, Result, Value};
use platform::compute::Devices;

use crate::{
    context::ExecContext,
    graph::{Crew, Progress},
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

/// The engine: storage, catalogs, executor.
pub struct Engine {
    storage: Arc<Storage>,
    catalog: Catalog,
    graphs: dagdb_store::Cache,
    compute: Backends,
    graph_crew: Crew,
    graph_progress: Progress,
    graph_readers: crate::graph::Readers,
}

impl Engine {
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
        // As much as a quarter of the pages that are kept.
        let bytes = storage.pool_stats().frames.saturating_mul(PAGE_BYTES / 4).max(LEAST_GRAPHS);
        let graphs = dagdb_store::Cache::new(bytes);
        let (graph_crew, graph_progress) = (Crew::new(), Progress::default());
        let graph_readers = crate::graph::Readers::default();
        let compute = Backends::new(devices);
        Ok(Arc::new(Self { storage, catalog, graphs, compute, graph_crew, graph_progress, graph_readers }))
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
        &self.graphs
    }
    /// Devices that compute.
    pub(crate) fn compute(&self) -> &Backends {
        &self.compute
    }
    /// Who helps with large ticks.
    pub(crate) fn graph_crew(&self) -> &Crew {
        &self.graph_crew
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
    /// May the role connect to the database?
    pub fn may_connect(&self, role: Oid, database: &str) -> Result<bool> {
        let snapshot = self.catalog.latest();
        let row = self.catalog.find_one(&snapshot, PG_DATABASE, &["datname"], &[Value::text(database)])?;
        let Some(row) = row else { return Ok(false) };
        let (acl, owner) = (Acl::of_value(row.get("datacl")), row.oid("datdba"));
        let roles = self.catalog.roles()?;
        let rights = access::rights_of(acl.as_ref(), Class::Database, owner, role, right::CONNECT, &roles);
        Ok(rights != 0)
    }
    /// What was set for all, the database, the role, and the role in the database, in this order: names and values.
    pub fn role_settings(&self, role: Oid, database: &str) -> Result<Vec<(String, String)>> {
        let database = self.database(database)?.unwrap_or(0);
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
    /// Oid of a database by name, as committed.
    pub fn database(&self, name: &str) -> Result<Option<Oid>> {
        let snapshot = self.catalog.latest();
        let row = self.catalog.find_one(&snapshot, PG_DATABASE, &["datname"], &[Value::text(name)])?;
        Ok(row.map(|r| r.oid("oid")))
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
        let target = changed_relation(&planned.root);
        let in_with = |oid: Oid| {
            let mut changes = planned.changing_ctes.iter().filter_map(|n| planned.ctes.get(*n));
            changes.any(|c| changed_relation(c) == Some(oid))
        };
        let others = if planned.command == Command::Select && locks_rows(&planned.root) {
            LockMode::RowShare
        } else {
            LockMode::AccessShare
        };
        for &oid in &planned.relations {
            let changed = Some(oid) == target || (!planned.changing_ctes.is_empty() && in_with(oid));
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
        self.storage.lock(txn.storage(), LockTag::Object(oid), mode, true).map_err(storage_error)?;
        Ok(())
    }
    /// Runs a statement that is not planned, transaction control, settings, cursors, prepared statements and COPY
    /// excepted: those are the session's (COPY through [`crate::copy`]).
    pub fn utility(&self, statement: &Utility, cx: &ExecContext<'_>) -> Result<Outcome> {
        crate::utility::run(statement, cx)
    }
}

/// The table that a plan changes.
fn changed_relation(p: &Physical) -> Option<Oid> {
    match &p.node {
        Node::Insert(i) => Some(i.target.relation.oid),
        Node::Update(u) => Some(u.target.relation.oid),
        Node::Delete(d) => Some(d.target.relation.oid),
        _ => None,
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

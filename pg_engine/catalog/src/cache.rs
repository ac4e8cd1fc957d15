//! The shared cache of descriptions; they are loaded from the catalogs in `load`.
//!
//! A description is immutable; what changes is which one a name or oid leads to. [`Catalog::version`] is raised by every
//! commit that changed catalogs, and while such a commit runs it matches nothing: a plan or description that was made
//! before can then not be taken for current. Transactions that changed catalogs read past the cache.

mod load;

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{
    cell::{OnceCell, RefCell},
    sync::atomic::{AtomicU64, Ordering},
};

use hashbrown::HashMap;
use pg_storage::{Isolation, LockTag, RelId, Snapshot, Storage};
use pg_types::{
    Oid, Result, SqlError, SqlState, SqlType, Value,
    user::{self, UserType},
};
use platform::sync::RwLock;

use crate::{
    access,
    acl::{Acl, Class, Rights, right},
    builtin::{self, *},
    desc::Relation,
    extended::ExtendedStatistics,
    graph::GraphFacts,
    operator::{UserCast, UserOperator},
    reader::{CatalogReader, ColumnStatistics},
    roles::Roles,
    routine::Routine,
    table::{CatalogTable, Row},
    txn::{Txn, storage_error},
};

/// Where the catalogs are stored.
#[derive(Debug, Default)]
pub(crate) struct StorageMap {
    pub(crate) by_oid: HashMap<Oid, RelId>,
}

impl StorageMap {
    pub(crate) fn get(&self, oid: Oid) -> Option<RelId> {
        self.by_oid.get(&oid).copied()
    }
}

/// Which state of the catalogs is current. The databases of a volume have this in common, because they have catalogs in common.
#[derive(Debug)]
pub(crate) struct Versions {
    committed: AtomicU64,
    /// Commits of catalog changes that are running.
    changing: AtomicU64,
}

impl Default for Versions {
    fn default() -> Self {
        Self { committed: AtomicU64::new(1), changing: AtomicU64::new(0) }
    }
}

#[derive(Debug, Default)]
struct Cache {
    /// The committed version that all of it is of.
    version: u64,
    roles: Option<Arc<Roles>>,
    schema_rows: HashMap<Oid, Option<Arc<Schema>>>,
    by_oid: HashMap<Oid, Option<Arc<Relation>>>,
    by_name: HashMap<(Oid, String), Option<Oid>>,
    schemas: HashMap<String, Option<Oid>>,
    statistics: HashMap<(Oid, i16), Option<Arc<ColumnStatistics>>>,
    extended: HashMap<Oid, Arc<[ExtendedStatistics]>>,
    types: HashMap<Oid, Option<Arc<UserType>>>,
    routines: HashMap<String, Arc<[Arc<Routine>]>>,
    routines_by_oid: HashMap<Oid, Option<Arc<Routine>>>,
    operators: HashMap<String, Arc<[UserOperator]>>,
    casts: Option<Arc<[UserCast]>>,
    builtin_acls: HashMap<Oid, Option<Arc<Acl>>>,
}

/// What is known of a schema.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Name.
    pub name: String,
    /// Owner.
    pub owner: Oid,
    /// `nspacl`.
    pub acl: Option<Acl>,
}

/// The catalogs of a database.
pub struct Catalog {
    storage: Arc<Storage>,
    database: Oid,
    pub(crate) map_relation: RelId,
    pub(crate) map: StorageMap,
    tables: HashMap<Oid, Arc<CatalogTable>>,
    relations: HashMap<Oid, Arc<Relation>>,
    names: HashMap<&'static str, Oid>,
    pub(crate) versions: Arc<Versions>,
    cache: RwLock<Cache>,
}

/// The name under which every session finds its own schema of temporary relations, `pg_temp_1`, `pg_temp_2`, ...
pub const PG_TEMP: &str = "pg_temp";

/// Most names of functions that are remembered, those that nobody has among them.
const MAX_ROUTINE_NAMES: usize = 10_000;

/// Version that no plan was made under: a change is being committed.
const IN_FLUX: u64 = u64::MAX;

impl Catalog {
    pub(crate) fn new(
        storage: &Arc<Storage>,
        database: Oid,
        (map_relation, map): (RelId, StorageMap),
        versions: Arc<Versions>,
    ) -> Result<Self> {
        let lost = || {
            SqlError::new(pg_types::SqlState::DATA_CORRUPTED, "the map of the system catalogs is incomplete")
        };
        let mut tables = HashMap::new();
        let mut relations = HashMap::new();
        let mut names = HashMap::new();
        for def in catalogs() {
            let heap = map.get(def.oid).ok_or_else(lost)?;
            let indexes =
                def.indexes.iter().map(|i| map.get(i.oid)).collect::<Option<_>>().ok_or_else(lost)?;
            tables.insert(def.oid, Arc::new(CatalogTable::new(def, heap, indexes)));
            let relation = def.relation(&|oid| map.get(oid)).ok_or_else(lost)?;
            relations.insert(def.oid, Arc::new(relation));
            names.insert(def.name, def.oid);
        }
        Ok(Self {
            storage: storage.clone(),
            database,
            map_relation,
            map,
            tables,
            relations,
            names,
            versions,
            cache: RwLock::new(Cache::default()),
        })
    }

    /// The storage.
    pub fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }
    /// The database's oid.
    #[inline]
    pub fn database(&self) -> Oid {
        self.database
    }
    /// What stands for an object of this database, or one that all have in common, in the table of locks.
    pub fn lock_tag(&self, oid: Oid) -> LockTag {
        let shared = oid < FIRST_NORMAL_OID && self.tables.get(&oid).is_some_and(|t| t.def.shared);
        LockTag::Object(if shared { 0 } else { self.database }, oid)
    }
    /// What the system catalogs themselves are stored in: their oid (0: of the map or a counter) and storage.
    pub fn system_storage(&self) -> Vec<(Oid, RelId)> {
        let named = |oid: Oid| if self.relations.contains_key(&oid) || oid > 99 { oid } else { 0 };
        let mut all: Vec<(Oid, RelId)> = self.map.by_oid.iter().map(|(oid, r)| (named(*oid), *r)).collect();
        all.push((0, self.map_relation));
        all
    }
    /// A system catalog by oid.
    pub fn table(&self, oid: Oid) -> Result<&Arc<CatalogTable>> {
        self.tables.get(&oid).ok_or_else(|| SqlError::internal("no such system catalog"))
    }
    /// Version of the committed catalogs; see the module.
    #[inline]
    pub fn version(&self) -> u64 {
        if self.versions.changing.load(Ordering::Acquire) != 0 {
            IN_FLUX
        } else {
            self.versions.committed.load(Ordering::Acquire)
        }
    }
    /// A new object's oid. Not given back when the transaction aborts.
    pub fn new_oid(&self) -> Result<Oid> {
        let counter = self
            .map
            .get(crate::bootstrap::OID_COUNTER)
            .ok_or_else(|| SqlError::internal("no oid counter"))?;
        let n = self.storage.sequence_next(counter).map_err(storage_error)?;
        Oid::try_from(n).map_err(|_| SqlError::internal("out of object identifiers"))
    }
    /// Commits; if the transaction changed catalogs, the cache is emptied.
    pub fn commit(&self, txn: Txn) -> Result<()> {
        if !txn.changed_catalogs() {
            let mut txn = txn.into_storage();
            txn.let_others_go_on();
            return txn.commit().map_err(storage_error);
        }
        // From here on nobody takes what is remembered for what is committed: who waited for a lock of ours must not.
        let mut announced = false;
        let announce = || {
            announced = true;
            self.versions.changing.fetch_add(1, Ordering::AcqRel);
        };
        let result = txn.into_storage().commit_announced(announce).map_err(storage_error);
        if announced {
            self.invalidate();
            self.versions.changing.fetch_sub(1, Ordering::AcqRel);
        }
        result
    }
    /// Runs something that ends a transaction which may have changed catalogs, elsewhere and earlier.
    pub fn while_changing<T>(&self, end: impl FnOnce() -> T) -> T {
        self.versions.changing.fetch_add(1, Ordering::AcqRel);
        let result = end();
        self.invalidate();
        self.versions.changing.fetch_sub(1, Ordering::AcqRel);
        result
    }
    /// Forgets everything cached.
    pub fn invalidate(&self) {
        let mut cache = self.cache.write();
        let before = self.versions.committed.fetch_add(1, Ordering::AcqRel);
        *cache = Cache { version: before + 1, ..Cache::default() };
    }
    /// A new user type's oid.
    pub fn new_type_oid(&self, class: user::Class) -> Result<Oid> {
        user::number(self.new_oid()?, class).ok_or_else(|| SqlError::internal("out of object identifiers"))
    }
    /// A snapshot of what is committed now.
    pub fn latest(&self) -> Snapshot {
        self.storage.begin(Isolation::ReadCommitted).snapshot()
    }

    /// The parameters that were granted to a role, which no superuser is; in lower case.
    pub fn granted_parameters(&self, role: Oid, roles: &Roles) -> Result<Vec<String>> {
        let rows = self.table(PG_PARAMETER_ACL)?.scan(&self.storage, &self.latest())?;
        let granted = |r: &Row| {
            Acl::of_value(r.get("paracl")).is_some_and(|a| a.rights_of(role, right::SET, roles) != 0)
        };
        Ok(rows.into_iter().filter(|(_, r)| granted(r)).map(|(_, r)| r.text("parname").into()).collect())
    }

    /// Looks something up in the cache, or loads it and remembers it if nothing changed meanwhile.
    fn cached<T: Clone>(
        &self,
        get: impl Fn(&Cache) -> Option<T>,
        load: impl FnOnce(&Snapshot) -> Result<T>,
        put: impl FnOnce(&mut Cache, T),
    ) -> Result<T> {
        // Nothing that is remembered is taken while a commit becomes visible.
        let before = self.version();
        let known = |cache: &Cache| if cache.version == before { get(cache) } else { None };
        if let Some(v) = known(&self.cache.read()) {
            return Ok(v);
        }
        let v = load(&self.latest())?;
        let mut cache = self.cache.write();
        if before != IN_FLUX && self.version() == before {
            // Another database's commit may have made it old.
            if cache.version != before {
                *cache = Cache { version: before, ..Cache::default() };
            }
            put(&mut cache, v.clone());
        }
        Ok(v)
    }

    /// A user type as committed.
    pub fn user_type(&self, oid: Oid) -> Result<Option<Arc<UserType>>> {
        let get = |c: &Cache| c.types.get(&oid).cloned();
        let put = |c: &mut Cache, v| {
            c.types.insert(oid, v);
        };
        self.cached(get, |s| self.load_user_type(s, oid, false), put)
    }
    /// A user type as the snapshot of a transaction that changed catalogs sees it.
    pub fn user_type_at(&self, snapshot: &Snapshot, oid: Oid) -> Result<Option<Arc<UserType>>> {
        self.load_user_type(snapshot, oid, true)
    }

    /// The rows of a catalog with these values in the leading columns of one of its indexes.
    pub fn find(
        &self,
        snapshot: &Snapshot,
        catalog: Oid,
        columns: &[&str],
        values: &[Value],
    ) -> Result<Vec<Row>> {
        let rows = self.table(catalog)?.find(&self.storage, snapshot, columns, values)?;
        Ok(rows.into_iter().map(|r| r.1).collect())
    }
    /// The first such row.
    pub fn find_one(
        &self,
        snapshot: &Snapshot,
        catalog: Oid,
        columns: &[&str],
        values: &[Value],
    ) -> Result<Option<Row>> {
        Ok(self.find(snapshot, catalog, columns, values)?.into_iter().next())
    }

    fn load_roles(&self, snapshot: &Snapshot) -> Result<Arc<Roles>> {
        let rows = |catalog| -> Result<Vec<Row>> {
            let rows = self.table(catalog)?.scan(&self.storage, snapshot)?;
            Ok(rows.into_iter().map(|r| r.1).collect())
        };
        let mut databases = rows(PG_DATABASE)?.into_iter();
        let owner = databases.find(|r| r.oid("oid") == self.database).map_or(0, |r| r.oid("datdba"));
        Ok(Arc::new(Roles::new(&rows(PG_AUTHID)?, &rows(PG_AUTH_MEMBERS)?, owner)))
    }

    /// The roles as committed.
    pub fn roles(&self) -> Result<Arc<Roles>> {
        let put = |c: &mut Cache, v| c.roles = Some(v);
        self.cached(|c| c.roles.clone(), |s| self.load_roles(s), put)
    }

    fn load_schema_row(&self, snapshot: &Snapshot, oid: Oid) -> Result<Option<Arc<Schema>>> {
        let row = self.find_one(snapshot, PG_NAMESPACE, &["oid"], &[Value::Oid(oid)])?;
        Ok(row.map(|r| {
            Arc::new(Schema {
                name: r.text("nspname").to_string(),
                owner: r.oid("nspowner"),
                acl: Acl::of_value(r.get("nspacl")),
            })
        }))
    }

    fn load_relation_oid(&self, snapshot: &Snapshot, schema: Oid, name: &str) -> Result<Option<Oid>> {
        if schema == PG_CATALOG
            && let Some(&oid) = self.names.get(name)
        {
            return Ok(Some(oid));
        }
        let key = [Value::text(name), Value::Oid(schema)];
        let row = self.find_one(snapshot, PG_CLASS, &["relname", "relnamespace"], &key)?;
        Ok(row.map(|r| r.oid("oid")))
    }

    fn load_schema(&self, snapshot: &Snapshot, name: &str) -> Result<Option<Oid>> {
        let row = self.find_one(snapshot, PG_NAMESPACE, &["nspname"], &[Value::text(name)])?;
        Ok(row.map(|r| r.oid("oid")))
    }

    fn load_statistics(
        &self,
        snapshot: &Snapshot,
        relation: Oid,
        attnum: i16,
    ) -> Result<Option<Arc<ColumnStatistics>>> {
        let key = [Value::Oid(relation), Value::Int2(attnum)];
        let row = self.find_one(snapshot, PG_STATISTIC, &["starelid", "staattnum"], &key)?;
        Ok(row.map(|r| Arc::new(crate::statistics::from_row(&r))))
    }

    /// A reader for a statement in a role's name. With a transaction that changed catalogs, through its own snapshot.
    /// Schemas of the path that the role may not look into are left out.
    ///
    /// `path` may name `pg_temp`, which stands for `temporary`, the session's schema of temporary relations; it is
    /// searched first where `path` does not say otherwise.
    pub fn reader<'a>(
        &'a self,
        txn: &mut Txn,
        path: &[String],
        temporary: Option<&str>,
        user: Oid,
    ) -> Result<Reader<'a>> {
        let private = txn.changed_catalogs().then(|| txn.snapshot().untracked());
        let mut reader = Reader {
            catalog: self,
            user,
            row_security: true,
            checks_bodies: true,
            private,
            cache: RefCell::new(Cache::default()),
            path: Vec::new(),
            creation: None,
            temporary: temporary.map(ToString::to_string),
            graph: None,
            facts: OnceCell::new(),
        };
        let mut named: Vec<(Oid, String)> = Vec::new();
        for name in path {
            let mut found = reader.schema(name)?;
            if let Some(oid) = found
                && reader.schema_rights(oid, right::USAGE)? == 0
            {
                found = None;
            }
            if reader.creation.is_none() && found != Some(PG_CATALOG) && (found.is_some() || name == PG_TEMP)
            {
                reader.creation = Some(name.clone());
            }
            if let Some(oid) = found {
                named.push((oid, reader.true_name(name).into()));
            }
        }
        if let Some(name) = temporary
            && let Some(oid) = reader.schema(name)?
            && !named.iter().any(|s| s.0 == oid)
        {
            reader.path.push((oid, name.into()));
        }
        if !named.iter().any(|s| s.0 == PG_CATALOG) {
            reader.path.push((PG_CATALOG, String::from("pg_catalog")));
        }
        reader.path.extend(named);
        Ok(reader)
    }
}

/// The catalogs as one statement sees them.
pub struct Reader<'a> {
    catalog: &'a Catalog,
    user: Oid,
    row_security: bool,
    checks_bodies: bool,
    /// Snapshot of a transaction that changed catalogs.
    private: Option<Snapshot>,
    cache: RefCell<Cache>,
    path: Vec<(Oid, String)>,
    creation: Option<String>,
    /// What `pg_temp` stands for.
    temporary: Option<String>,
    /// Tells about the current graph, as a snapshot sees it.
    graph: Option<Box<dyn Fn(&Snapshot) -> Option<GraphFacts> + 'a>>,
    facts: OnceCell<Option<GraphFacts>>,
}

impl<'a> Reader<'a> {
    /// As another role reads.
    #[must_use]
    pub fn with_user(mut self, user: Oid) -> Self {
        self.user = user;
        self
    }
    /// With `row_security` set.
    #[must_use]
    pub fn with_row_security(mut self, on: bool) -> Self {
        self.row_security = on;
        self
    }
    /// With `check_function_bodies` set.
    #[must_use]
    pub fn with_checked_bodies(mut self, on: bool) -> Self {
        self.checks_bodies = on;
        self
    }
    /// With somebody who can tell about the current graph, if the statement is about it.
    #[must_use]
    pub fn with_graph(mut self, facts: impl Fn(&Snapshot) -> Option<GraphFacts> + 'a) -> Self {
        self.graph = Some(Box::new(facts));
        self
    }
}

impl Reader<'_> {
    fn facts(&self) -> Option<&GraphFacts> {
        let facts = self.facts.get_or_init(|| self.graph.as_ref().and_then(|g| g(&self.snapshot())));
        facts.as_ref()
    }
    /// The catalogs.
    pub fn catalog(&self) -> &Catalog {
        self.catalog
    }
    /// The snapshot that answers questions past the cache.
    pub fn snapshot(&self) -> Snapshot {
        self.private.clone().unwrap_or_else(|| self.catalog.latest())
    }
    /// The schemas searched, in order.
    pub fn search_path(&self) -> &[(Oid, String)] {
        &self.path
    }
    /// The name of a schema that `pg_temp` may stand for.
    fn true_name<'n>(&'n self, name: &'n str) -> &'n str {
        self.temporary.as_deref().filter(|_| name == PG_TEMP).unwrap_or(name)
    }
    /// A schema's oid.
    pub fn schema(&self, name: &str) -> Result<Option<Oid>> {
        let name = self.true_name(name);
        let get = |c: &Cache| c.schemas.get(name).copied();
        let put = |c: &mut Cache, v| {
            c.schemas.insert(name.to_string(), v);
        };
        self.through(get, |s| self.catalog.load_schema(s, name), put)
    }
    /// What is known of a schema.
    pub fn schema_row(&self, oid: Oid) -> Result<Option<Arc<Schema>>> {
        let get = |c: &Cache| c.schema_rows.get(&oid).cloned();
        let put = |c: &mut Cache, v| {
            c.schema_rows.insert(oid, v);
        };
        self.through(get, |s| self.catalog.load_schema_row(s, oid), put)
    }
    /// Those of the privileges in `mask` that the user has on a schema.
    pub fn schema_rights(&self, oid: Oid, mask: Rights) -> Result<Rights> {
        self.schema_rights_of(oid, self.user, mask)
    }
    /// The same of any role.
    pub fn schema_rights_of(&self, oid: Oid, role: Oid, mask: Rights) -> Result<Rights> {
        let roles = CatalogReader::roles(self)?;
        if roles.is_superuser(role) {
            return Ok(mask);
        }
        let Some(s) = self.schema_row(oid)? else { return Ok(0) };
        // Its own temporary relations are the session's, whoever it acts as.
        if self.temporary.as_deref() == Some(s.name.as_str()) {
            return Ok(mask);
        }
        let mut has = access::rights_of(s.acl.as_ref(), Class::Schema, s.owner, role, mask, &roles);
        let all = [crate::roles::predefined::PG_READ_ALL_DATA, crate::roles::predefined::PG_WRITE_ALL_DATA];
        if mask & !has & right::USAGE != 0 && all.iter().any(|r| roles.has_rights_of(role, *r)) {
            has |= right::USAGE;
        }
        Ok(has)
    }
    /// A relation's oid.
    pub fn relation_oid(&self, schema: Oid, name: &str) -> Result<Option<Oid>> {
        let key = (schema, name.to_string());
        let get = |c: &Cache| c.by_name.get(&key).copied();
        let put = |c: &mut Cache, v| {
            c.by_name.insert(key.clone(), v);
        };
        self.through(get, |s| self.catalog.load_relation_oid(s, schema, name), put)
    }
    /// Rows of a catalog as this statement sees it.
    pub fn find(&self, catalog: Oid, columns: &[&str], values: &[Value]) -> Result<Vec<Row>> {
        self.catalog.find(&self.snapshot(), catalog, columns, values)
    }

    fn through<T: Clone>(
        &self,
        get: impl Fn(&Cache) -> Option<T>,
        load: impl FnOnce(&Snapshot) -> Result<T>,
        put: impl FnOnce(&mut Cache, T),
    ) -> Result<T> {
        let Some(snapshot) = &self.private else { return self.catalog.cached(get, load, put) };
        if let Some(v) = get(&self.cache.borrow()) {
            return Ok(v);
        }
        let v = load(snapshot)?;
        put(&mut self.cache.borrow_mut(), v.clone());
        Ok(v)
    }
}

impl Reader<'_> {
    /// Of the current graph; where nobody can tell, of the largest one.
    fn graph_size(&self, relation: Oid) -> Option<(u64, Option<f64>)> {
        /// Nodes, or edges, that are as much work to look at as a page.
        const A_PAGE: u64 = 512;
        if let Some(facts) = self.facts() {
            let rows = facts.rows(relation);
            return Some((rows.div_ceil(A_PAGE), Some(rows as f64)));
        }
        let rows =
            self.catalog.table(DAGDB_GRAPH).ok()?.scan(&self.catalog.storage, &self.snapshot()).ok()?;
        let nodes = rows.iter().map(|(_, r)| r.int("graphnodes")).max()?.max(0) as u64;
        let rows = if relation == DAGDB_EDGES { nodes.saturating_mul(3) } else { nodes };
        Some((rows.div_ceil(A_PAGE), Some(rows as f64)))
    }
}

impl CatalogReader for Reader<'_> {
    fn relation(&self, schema: Option<&str>, name: &str) -> Result<Option<Arc<Relation>>> {
        let oid = match schema {
            Some(s) => match self.schema(s)? {
                Some(s) => self.relation_oid(s, name)?,
                None => None,
            },
            None => {
                let mut found = None;
                for (s, _) in &self.path {
                    found = self.relation_oid(*s, name)?;
                    if found.is_some() {
                        break;
                    }
                }
                found
            }
        };
        match oid {
            Some(oid) => self.relation_by_oid(oid),
            None => Ok(None),
        }
    }
    fn relation_by_oid(&self, oid: Oid) -> Result<Option<Arc<Relation>>> {
        let get = |c: &Cache| c.by_oid.get(&oid).cloned();
        let put = |c: &mut Cache, v| {
            c.by_oid.insert(oid, v);
        };
        self.through(get, |s| self.catalog.load_relation(s, oid), put)
    }
    fn collation(&self, schema: Option<&str>, name: &str) -> Result<Option<Oid>> {
        let schemas = match schema {
            Some(s) => Vec::from([self.schema(s)?.ok_or_else(|| {
                SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{s}\" does not exist"))
            })?]),
            None => self.path.iter().map(|s| s.0).collect(),
        };
        let rows = self.find(PG_COLLATION, &["collname"], &[Value::text(name)])?;
        let found = |s: &Oid| rows.iter().find(|r| r.oid("collnamespace") == *s);
        Ok(schemas.iter().find_map(found).map(|r| r.oid("oid")))
    }
    fn collation_name(&self, oid: Oid) -> Option<String> {
        let rows = self.find(PG_COLLATION, &["oid"], &[Value::Oid(oid)]).ok()?;
        rows.first().map(|r| r.text("collname").to_string())
    }
    fn schema_oid(&self, name: &str) -> Result<Option<Oid>> {
        self.schema(name)
    }
    fn is_own_temporary(&self, schema: Oid) -> bool {
        let own = self.temporary.as_deref();
        own.is_some_and(|name| self.path.iter().any(|(oid, n)| *oid == schema && n == name))
    }
    fn schema_exists(&self, name: &str) -> Result<bool> {
        Ok(self.schema(name)?.is_some())
    }
    fn type_by_name(&self, schema: Option<&str>, name: &str) -> Result<Option<Oid>> {
        let schemas: Vec<Oid> = match schema {
            Some(s) => self.schema(s)?.into_iter().collect(),
            None => self.path.iter().map(|s| s.0).collect(),
        };
        for s in schemas {
            let key = [Value::text(name), Value::Oid(s)];
            if let Some(r) = self.find(builtin::PG_TYPE, &["typname", "typnamespace"], &key)?.first() {
                return Ok(Some(r.oid("oid")));
            }
        }
        Ok(None)
    }
    fn user_type(&self, oid: Oid) -> Result<Option<Arc<UserType>>> {
        let get = |c: &Cache| c.types.get(&oid).cloned();
        let put = |c: &mut Cache, v| {
            c.types.insert(oid, v);
        };
        self.through(get, |s| self.catalog.load_user_type(s, oid, self.private.is_some()), put)
    }
    fn routines(&self, name: &str) -> Result<Arc<[Arc<Routine>]>> {
        let get = |c: &Cache| c.routines.get(name).cloned();
        let put = |c: &mut Cache, v| {
            if c.routines.len() >= MAX_ROUTINE_NAMES {
                c.routines.clear();
            }
            c.routines.insert(name.to_string(), v);
        };
        self.through(get, |s| self.catalog.load_routines(s, name), put)
    }
    fn routine(&self, oid: Oid) -> Result<Option<Arc<Routine>>> {
        let get = |c: &Cache| c.routines_by_oid.get(&oid).cloned();
        let put = |c: &mut Cache, v| {
            c.routines_by_oid.insert(oid, v);
        };
        self.through(get, |s| self.catalog.load_routine(s, oid), put)
    }
    fn builtin_acl(&self, function: Oid) -> Result<Option<Arc<Acl>>> {
        let get = |c: &Cache| c.builtin_acls.get(&function).cloned();
        let put = |c: &mut Cache, v| {
            c.builtin_acls.insert(function, v);
        };
        let load = |s: &Snapshot| {
            let row = self.catalog.find_one(s, PG_PROC, &["oid"], &[Value::Oid(function)])?;
            Ok(row.and_then(|r| Acl::of_value(r.get("proacl"))).map(Arc::new))
        };
        self.through(get, load, put)
    }
    fn operators(&self, name: &str) -> Result<Arc<[UserOperator]>> {
        let get = |c: &Cache| c.operators.get(name).cloned();
        let put = |c: &mut Cache, v| {
            if c.operators.len() >= MAX_ROUTINE_NAMES {
                c.operators.clear();
            }
            c.operators.insert(name.to_string(), v);
        };
        self.through(get, |s| self.catalog.load_operators(s, name), put)
    }
    fn casts(&self) -> Result<Arc<[UserCast]>> {
        let put = |c: &mut Cache, v| c.casts = Some(v);
        self.through(|c| c.casts.clone(), |s| self.catalog.load_casts(s), put)
    }
    fn searched(&self) -> Vec<Oid> {
        self.path.iter().map(|s| s.0).collect()
    }
    fn plain_type(&self, ty: SqlType) -> Result<SqlType> {
        if !user::is_user(ty.oid) {
            return Ok(ty);
        }
        self.catalog.plain_type(&self.snapshot(), ty)
    }
    fn column_statistics(&self, relation: Oid, attnum: i16) -> Result<Option<Arc<ColumnStatistics>>> {
        if matches!(relation, DAGDB_NODES | DAGDB_EDGES) {
            return Ok(self.facts().and_then(|f| f.column(relation, attnum)).map(Arc::new));
        }
        let key = (relation, attnum);
        let get = |c: &Cache| c.statistics.get(&key).cloned();
        let put = |c: &mut Cache, v| {
            c.statistics.insert(key, v);
        };
        self.through(get, |s| self.catalog.load_statistics(s, relation, attnum), put)
    }
    fn extended_statistics(&self, relation: Oid) -> Result<Arc<[ExtendedStatistics]>> {
        let get = |c: &Cache| c.extended.get(&relation).cloned();
        let put = |c: &mut Cache, v| {
            c.extended.insert(relation, v);
        };
        self.through(get, |s| self.catalog.load_extended(s, relation), put)
    }
    fn relation_size(&self, relation: &Relation) -> Option<(u64, Option<f64>)> {
        if matches!(relation.oid, DAGDB_NODES | DAGDB_EDGES) {
            return self.graph_size(relation.oid);
        }
        if !relation.kind.is_stored() {
            return None;
        }
        let s = self.catalog.storage.relation_stats(relation.storage).ok()?;
        Some((u64::from(s.pages), Some(s.live_tuples as f64)))
    }
    fn visible_share(&self, relation: &Relation) -> f64 {
        match self.catalog.storage.relation_stats(relation.storage) {
            Ok(s) if s.pages > 0 => (f64::from(s.all_visible) / f64::from(s.pages)).min(1.0),
            _ => 0.0,
        }
    }
    fn user(&self) -> Oid {
        self.user
    }
    fn roles(&self) -> Result<Arc<Roles>> {
        let put = |c: &mut Cache, v| c.roles = Some(v);
        self.through(|c| c.roles.clone(), |s| self.catalog.load_roles(s), put)
    }
    fn row_security(&self) -> bool {
        self.row_security
    }
    fn checks_bodies(&self) -> bool {
        self.checks_bodies
    }
    fn check_schema(&self, name: &str) -> Result<()> {
        match self.schema(name)? {
            Some(oid) if self.schema_rights(oid, right::USAGE)? == 0 => Err(access::denied("schema", name)),
            _ => Ok(()),
        }
    }
    fn graph_backend(&self) -> Option<String> {
        self.facts().map(|f| f.backend.clone())
    }
    fn creation_schema(&self) -> Option<String> {
        self.creation.clone()
    }
}

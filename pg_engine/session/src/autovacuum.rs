//! ANALYZE by itself, so that plans follow the data. (Storage vacuums by itself.)
//!
//! A table is due when so many of its rows have changed since it was last analysed as PostgreSQL's defaults say: 50 and a tenth
//! of the table. Plans that used the old statistics are made anew, because ANALYZE changes catalogs.

use alloc::{
    collections::BTreeMap,
    format,
    sync::{Arc, Weak},
};
use core::{sync::atomic::Ordering, time::Duration};

use platform::{task, time};

use pg_types::Result;

use crate::{rows::texts, server::Shared, session::run_internal_in};

/// How often it looks for work.
const PAUSE: Duration = Duration::from_secs(1);
/// A table that could not be analysed is left alone for so long.
const RETRY: Duration = Duration::from_secs(30);
/// User's objects are numbered from here.
const FIRST_USER_OID: u32 = 16384;

/// Runs until the server ends.
pub(crate) fn run(shared: &Weak<Shared>) {
    let mut failed: BTreeMap<u32, Duration> = BTreeMap::new();
    loop {
        task::sleep(PAUSE);
        let Some(shared) = shared.upgrade() else { return };
        if shared.stopping.load(Ordering::Acquire) {
            return;
        }
        let storage = shared.engine.storage();
        let now = time::monotonic();
        failed.retain(|_, at| now.saturating_sub(*at) < RETRY);
        for rel in storage.due_for_analyze() {
            if failed.contains_key(&rel.0) {
                continue;
            }
            match analyze(&shared, rel.0) {
                Ok(true) => storage.note_analyzed(rel, true),
                // A catalog, or a table whose creator has not committed.
                Ok(false) => {
                    failed.insert(rel.0, now);
                }
                Err(e) => {
                    log::debug!("automatic ANALYZE: {}", e.message());
                    failed.insert(rel.0, now);
                }
            }
        }
    }
}

/// Analyses the user's table that is stored there, in whatever database it is. False: there is none.
fn analyze(shared: &Arc<Shared>, storage: u32) -> Result<bool> {
    for engine in shared.engine.all_databases()? {
        let database = engine.catalog().database();
        let rows = texts(&run_internal_in(shared, database, &table_of(storage))?);
        if let Some(name) = rows.into_iter().flatten().flatten().next() {
            // Someone who holds or wants the table comes first.
            let sql = format!("SET lock_timeout = 100; ANALYZE {name}");
            return run_internal_in(shared, database, &sql).map(|_| true);
        }
    }
    Ok(false)
}

/// The query for the name of the user's table that is stored there.
fn table_of(storage: u32) -> alloc::string::String {
    format!(
        "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relfilenode = {storage} AND c.relkind = 'r' AND c.oid >= {FIRST_USER_OID}"
    )
}

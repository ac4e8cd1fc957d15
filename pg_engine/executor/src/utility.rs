//! Statements that are not planned.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{
    CatalogReader, Relation, RelationKind,
    acl::right,
    builtin::{FIRST_NORMAL_OID, PG_CLASS, PG_DATABASE},
    storage_error,
};
use pg_plan::{
    Utility,
    utility::{CreateTableAs, Lock, Vacuum, VacuumTarget},
};
use pg_storage::{LockMode, RelId, VacuumStats};
use pg_types::{Result, SqlError, SqlState, Value};

use crate::{
    analyze,
    context::ExecContext,
    cursor::Cursor,
    ddl::{Ddl, materialized::table_of},
    engine::Outcome,
};

fn done(tag: &str) -> Result<Outcome> {
    Ok(Outcome { tag: String::from(tag) })
}

/// Runs one.
pub(crate) fn run(statement: &Utility, cx: &ExecContext<'_>) -> Result<Outcome> {
    match statement {
        Utility::CreateTable(t) => {
            Ddl::new(cx, "CREATE TABLE")?.create_table(t)?;
            done("CREATE TABLE")
        }
        Utility::AlterSchemaOwner { name, owner } => {
            Ddl::new(cx, "ALTER SCHEMA")?.alter_schema_owner(name, owner)?;
            done("ALTER SCHEMA")
        }
        Utility::Grant(g) => {
            let tag = if g.grant { "GRANT" } else { "REVOKE" };
            Ddl::new(cx, tag)?.grant(g)?;
            done(tag)
        }
        Utility::GrantRoles(g) => {
            let tag = if g.grant { "GRANT ROLE" } else { "REVOKE ROLE" };
            Ddl::new(cx, tag)?.grant_roles(g)?;
            done(tag)
        }
        Utility::DefaultPrivileges(d) => {
            Ddl::new(cx, "ALTER DEFAULT PRIVILEGES")?.default_privileges(d)?;
            done("ALTER DEFAULT PRIVILEGES")
        }
        Utility::ReassignOwned(s) => {
            Ddl::new(cx, "REASSIGN OWNED")?.reassign_owned(s)?;
            done("REASSIGN OWNED")
        }
        Utility::DropOwned(s) => {
            Ddl::new(cx, "DROP OWNED")?.drop_owned(s)?;
            done("DROP OWNED")
        }
        Utility::CreatePolicy(p) => {
            Ddl::new(cx, "CREATE POLICY")?.create_policy(p)?;
            done("CREATE POLICY")
        }
        Utility::AlterPolicy(p) => {
            Ddl::new(cx, "ALTER POLICY")?.alter_policy(p)?;
            done("ALTER POLICY")
        }
        Utility::RenamePolicy(p) => {
            Ddl::new(cx, "ALTER POLICY")?.rename_policy(p)?;
            done("ALTER POLICY")
        }
        Utility::DropPolicy(p) => {
            Ddl::new(cx, "DROP POLICY")?.drop_policy(p)?;
            done("DROP POLICY")
        }
        Utility::RoleSetting(s) => {
            let tag = if s.role.is_none() && s.database.is_some() { "ALTER DATABASE" } else { "ALTER ROLE" };
            Ddl::new(cx, tag)?.role_setting(s)?;
            done(tag)
        }
        Utility::Database(s) => {
            Ddl::new(cx, s.tag())?.database(s)?;
            done(s.tag())
        }
        Utility::Extension(s) => {
            Ddl::new(cx, s.tag())?.extension_statement(s)?;
            done(s.tag())
        }
        Utility::SetConstraints(s) => {
            Ddl { cx }.set_constraints(s)?;
            done("SET CONSTRAINTS")
        }
        Utility::CreateTableAs(t) => create_table_as(t, cx),
        Utility::CreateIndex(i) => {
            Ddl { cx }.must_own(&i.relation)?;
            if i.concurrently {
                crate::ddl::concurrent::create(cx, i)?;
            } else {
                Ddl::new(cx, "CREATE INDEX")?.create_index(i)?;
            }
            done("CREATE INDEX")
        }
        Utility::CreateSequence(s) => {
            Ddl::new(cx, "CREATE SEQUENCE")?.create_sequence(s)?;
            done("CREATE SEQUENCE")
        }
        Utility::CreateSchema(s) => {
            Ddl::new(cx, "CREATE SCHEMA")?.create_schema(s)?;
            done("CREATE SCHEMA")
        }
        Utility::CreateView(v) => {
            Ddl::new(cx, "CREATE VIEW")?.create_view(v)?;
            done("CREATE VIEW")
        }
        Utility::CreateMaterializedView(v) => {
            let tag = "CREATE MATERIALIZED VIEW";
            match Ddl::new(cx, tag)?.create_materialized_view(v)? {
                Some(Some(rows)) => Ok(Outcome { tag: format!("SELECT {rows}") }),
                _ => done(tag),
            }
        }
        Utility::Refresh(r) => {
            Ddl::new(cx, "REFRESH MATERIALIZED VIEW")?.refresh(r)?;
            done("REFRESH MATERIALIZED VIEW")
        }
        Utility::CreateRole(r) => {
            Ddl::new(cx, "CREATE ROLE")?.create_role(r)?;
            done("CREATE ROLE")
        }
        Utility::AlterRole(r) => {
            Ddl::new(cx, "ALTER ROLE")?.alter_role(r)?;
            done("ALTER ROLE")
        }
        Utility::DropRole { names, if_exists } => {
            Ddl::new(cx, "DROP ROLE")?.drop_roles(names, *if_exists)?;
            done("DROP ROLE")
        }
        Utility::AlterTable(t) => {
            Ddl::new(cx, t.tag)?.alter_table(t)?;
            done(t.tag)
        }
        Utility::AlterSequence(s) => {
            Ddl::new(cx, "ALTER SEQUENCE")?.alter_sequence(s)?;
            done("ALTER SEQUENCE")
        }
        Utility::Type(s) => {
            let tag = crate::ddl::types::tag(s);
            Ddl::new(cx, tag)?.type_statement(s)?;
            done(tag)
        }
        Utility::Routine(s) => {
            let tag = crate::ddl::routine::tag(s);
            Ddl::new(cx, tag)?.routine_statement(s)?;
            done(tag)
        }
        Utility::Definition(d) => {
            let tag = crate::ddl::definition::tag(d);
            Ddl::new(cx, tag)?.definition(d)?;
            done(tag)
        }
        Utility::Rename(r) => {
            Ddl::new(cx, r.tag)?.rename(r)?;
            done(r.tag)
        }
        Utility::Drop(d) => {
            let tag = drop_tag(d.kind);
            if d.concurrently {
                crate::ddl::concurrent::drop(cx, d)?;
            } else {
                Ddl::new(cx, tag)?.drop_statement(d)?;
            }
            done(tag)
        }
        Utility::Truncate(t) => {
            Ddl::new(cx, "TRUNCATE TABLE")?.truncate(t)?;
            done("TRUNCATE TABLE")
        }
        Utility::Comment(c) => {
            Ddl::new(cx, "COMMENT")?.comment(c)?;
            done("COMMENT")
        }
        Utility::Vacuum(v) => vacuum(v, cx),
        Utility::Analyze(targets) => {
            analyze_all(targets, cx)?;
            done("ANALYZE")
        }
        Utility::Cluster(target) => {
            let ddl = Ddl::new(cx, "CLUSTER")?;
            match target {
                Some((relation, index)) => ddl.cluster(relation, index.as_deref())?,
                None => ddl.cluster_all()?,
            }
            done("CLUSTER")
        }
        Utility::Reindex { relation, concurrently, verbose } => {
            Ddl { cx }.must_own(relation)?;
            if *concurrently {
                crate::ddl::concurrent::reindex(cx, relation)?;
            } else {
                if relation.kind != RelationKind::Index
                    && relation.indexes.is_empty()
                    && relation.toast.is_none()
                {
                    let text = format!("table \"{}\" has no indexes to reindex", relation.name);
                    cx.session.notice("NOTICE", SqlError::new(SqlState::SUCCESSFUL_COMPLETION, text));
                }
                Ddl::new(cx, "REINDEX")?.reindex(relation)?;
            }
            if *verbose {
                report_reindexed(relation, *concurrently, cx);
            }
            done("REINDEX")
        }
        Utility::ReindexAll { name, database, verbose } => {
            reindex_all(name, *database, *verbose, cx)?;
            done("REINDEX")
        }
        Utility::Lock(l) => lock(l, cx),
        Utility::Checkpoint => {
            let ddl = Ddl { cx };
            if !ddl.owns(pg_catalog::roles::predefined::PG_CHECKPOINT)? {
                return Err(crate::ddl::access::refused(
                    "must be superuser or have privileges of pg_checkpoint to do CHECKPOINT",
                ));
            }
            cx.engine.storage().checkpoint().map_err(storage_error)?;
            done("CHECKPOINT")
        }
        _ => Err(SqlError::internal("a statement of the session reached the executor")),
    }
}

/// May a routine run it? Others are the session's, or need a transaction of their own.
pub fn runs_in_routines(statement: &Utility) -> bool {
    match statement {
        // What is in a schema only the session makes.
        Utility::CreateSchema(s) => s.elements.is_empty(),
        Utility::CreateTable(_)
        | Utility::CreateTableAs(_)
        | Utility::CreateSequence(_)
        | Utility::CreateView(_)
        | Utility::CreateRole(_)
        | Utility::AlterRole(_)
        | Utility::DropRole { .. }
        | Utility::AlterTable(_)
        | Utility::AlterSequence(_)
        | Utility::Type(_)
        | Utility::Routine(_)
        | Utility::Definition(_)
        | Utility::Rename(_)
        | Utility::Truncate(_)
        | Utility::Comment(_)
        | Utility::Analyze(_)
        | Utility::Lock(_)
        | Utility::Grant(_)
        | Utility::GrantRoles(_)
        | Utility::DefaultPrivileges(_) => true,
        Utility::CreateIndex(i) => !i.concurrently,
        Utility::Drop(d) => !d.concurrently,
        _ => false,
    }
}

fn drop_tag(kind: pg_plan::utility::ObjectKind) -> &'static str {
    use pg_plan::utility::ObjectKind::*;
    match kind {
        Index => "DROP INDEX",
        Sequence => "DROP SEQUENCE",
        View => "DROP VIEW",
        MaterializedView => "DROP MATERIALIZED VIEW",
        Schema => "DROP SCHEMA",
        Type => "DROP TYPE",
        Domain => "DROP DOMAIN",
        _ => "DROP TABLE",
    }
}

/// CREATE TABLE AS: makes the table, then loads the query's rows.
fn create_table_as(t: &CreateTableAs, cx: &ExecContext<'_>) -> Result<Outcome> {
    let ddl = Ddl::new(cx, "CREATE TABLE AS")?;
    let plan = match t.with_data {
        true => Some(cx.session.plan_bound(&ddl.reader()?, t.query.clone())?),
        false => None,
    };
    let Some(oid) = ddl.create_table(&table_of(t))? else { return done("CREATE TABLE AS") };
    let Some(plan) = plan else { return done("CREATE TABLE AS") };
    let rows = ddl.fill(&ddl.current(oid)?, &mut Cursor::new(&plan)?)?;
    Ok(Outcome { tag: format!("SELECT {rows}") })
}

/// Every table that VACUUM and ANALYZE without targets are for.
fn all_tables(cx: &ExecContext<'_>) -> Result<Vec<Arc<Relation>>> {
    let reader = cx.reader()?;
    let snapshot = reader.snapshot();
    let table = cx.engine.catalog().table(PG_CLASS)?;
    let mut out = Vec::new();
    for (_, row) in table.scan(cx.engine.storage(), &snapshot)? {
        if matches!(row.char("relkind"), b'r' | b'm')
            && row.oid("oid") >= FIRST_NORMAL_OID
            && let Some(r) = reader.relation_by_oid(row.oid("oid"))?
        {
            out.push(r);
        }
    }
    Ok(out)
}

fn targets(list: &[VacuumTarget], cx: &ExecContext<'_>) -> Result<Vec<(Arc<Relation>, Vec<i16>)>> {
    if list.is_empty() {
        return Ok(all_tables(cx)?.into_iter().map(|r| (r, Vec::new())).collect());
    }
    Ok(list.iter().map(|t| (t.relation.clone(), t.columns.clone())).collect())
}

/// Whoever may not do it to a table is told that it is left out.
fn may_tend(relation: &Relation, verb: &str, cx: &ExecContext<'_>) -> Result<bool> {
    let ddl = Ddl { cx };
    let rows = ddl.find(PG_DATABASE, &["datname"], &[Value::text(&cx.session.database())])?;
    let database = rows.first().map(|r| r.1.oid("datdba"));
    let catalog = relation.oid < FIRST_NORMAL_OID;
    if ddl.owns(relation.owner)? || database.map_or(Ok(false), |d| ddl.owns(d))? && !catalog {
        return Ok(true);
    }
    let who = if catalog { "superuser or database owner" } else { "table or database owner" };
    let text = format!("skipping \"{}\" --- only {who} can {verb} it", relation.name);
    cx.session.notice("WARNING", SqlError::new(SqlState::WARNING, text));
    Ok(false)
}

fn vacuum(v: &Vacuum, cx: &ExecContext<'_>) -> Result<Outcome> {
    for (relation, columns) in targets(&v.targets, cx)? {
        if !may_tend(&relation, "vacuum", cx)? {
            continue;
        }
        if !relation.kind.is_stored() {
            let text = format!(
                "skipping \"{}\" --- cannot vacuum non-tables or special system tables",
                relation.name
            );
            cx.session.notice("WARNING", SqlError::new(SqlState::WARNING, text));
            continue;
        }
        let stats = if v.full {
            let ddl = Ddl::new(cx, "VACUUM")?;
            let relation = ddl.relock(&relation, LockMode::AccessExclusive)?;
            let types: Vec<_> = relation.attributes.iter().map(|a| a.ty).collect();
            ddl.rewrite(&relation, &types, |_, _| Ok(()))?;
            ddl.rebuild_indexes(relation.oid)?;
            None
        } else {
            let relation = Ddl { cx }.relock(&relation, LockMode::ShareUpdateExclusive)?;
            let stats = vacuum_heap(relation.storage, cx)?;
            if let Some(toast) = relation.toast {
                vacuum_heap(toast.heap, cx)?;
            }
            Some(stats)
        };
        if v.verbose
            && let Some(s) = stats
        {
            let text = format!(
                "finished vacuuming \"{}.{}.{}\": {} pages, {} row versions removed, {} remain",
                cx.session.database(),
                relation.schema_name,
                relation.name,
                s.pages,
                s.removed,
                s.remaining
            );
            cx.session.notice("INFO", SqlError::new(SqlState::SUCCESSFUL_COMPLETION, text));
        }
        if v.analyze {
            analyze::analyze(&relation, &columns, cx)?;
        } else {
            analyze::update_sizes(&relation, cx)?;
        }
    }
    done("VACUUM")
}

/// Removes what is dead in a heap.
fn vacuum_heap(heap: RelId, cx: &ExecContext<'_>) -> Result<VacuumStats> {
    let mut error = None;
    let done = cx.engine.storage().vacuum_until(heap, || {
        error = cx.checkpoint().err();
        error.is_none()
    });
    error.map_or_else(|| done.map_err(storage_error), Err)
}

fn analyze_all(list: &[VacuumTarget], cx: &ExecContext<'_>) -> Result<()> {
    for (relation, columns) in targets(list, cx)? {
        if !may_tend(&relation, "analyze", cx)? {
            continue;
        }
        if relation.kind.is_indexable() {
            analyze::analyze(&relation, &columns, cx)?;
        } else {
            let name = &relation.name;
            let text = format!("skipping \"{name}\" --- cannot analyze non-tables or special system tables");
            cx.session.notice("WARNING", SqlError::new(SqlState::WARNING, text));
        }
    }
    Ok(())
}

/// What REINDEX (VERBOSE) says of a table or an index.
fn report_reindexed(relation: &Relation, concurrently: bool, cx: &ExecContext<'_>) {
    let report = |text: String| {
        cx.session.notice("INFO", SqlError::new(SqlState::SUCCESSFUL_COMPLETION, text));
    };
    let of = |name: &str| if concurrently { format!("{}.{name}", relation.schema_name) } else { name.into() };
    if relation.kind == RelationKind::Index {
        return report(format!("index \"{}\" was reindexed", of(&relation.name)));
    }
    for i in &relation.indexes {
        report(format!("index \"{}\" was reindexed", of(&i.name)));
    }
    if concurrently {
        report(format!("table \"{}\" was reindexed", of(&relation.name)));
    }
}

/// REINDEX of all tables of a schema, or of those of the database that users made.
fn reindex_all(name: &str, database: bool, verbose: bool, cx: &ExecContext<'_>) -> Result<()> {
    let ddl = Ddl::new(cx, "REINDEX")?;
    let mut schema = None;
    if database {
        if name != cx.session.database() {
            let text = "can only reindex the currently open database";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
        }
        let rows = ddl.find(PG_DATABASE, &["datname"], &[Value::text(name)])?;
        if !ddl.owns(rows.first().map_or(0, |r| r.1.oid("datdba")))? {
            return Err(pg_catalog::access::not_owner("database", name));
        }
    } else {
        let reader = ddl.reader()?;
        let found = reader.schema(name)?.ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"))
        })?;
        if found < FIRST_NORMAL_OID && found != pg_catalog::builtin::PUBLIC {
            return Err(SqlError::unsupported("REINDEX of system catalogs"));
        }
        let owner = reader.schema_row(found)?.map_or(0, |s| s.owner);
        if !ddl.owns(owner)? {
            return Err(pg_catalog::access::not_owner("schema", name));
        }
        schema = Some(found);
    }
    let tables = all_tables(cx)?;
    for relation in tables.iter().filter(|r| schema.is_none_or(|s| s == r.schema)) {
        cx.checkpoint()?;
        ddl.reindex(relation)?;
        if verbose {
            report_reindexed(relation, false, cx);
            let text = format!("table \"{}.{}\" was reindexed", relation.schema_name, relation.name);
            cx.session.notice("INFO", SqlError::new(SqlState::SUCCESSFUL_COMPLETION, text));
        }
    }
    Ok(())
}

fn lock(l: &Lock, cx: &ExecContext<'_>) -> Result<Outcome> {
    const MODES: [LockMode; 8] = [
        LockMode::AccessShare,
        LockMode::RowShare,
        LockMode::RowExclusive,
        LockMode::ShareUpdateExclusive,
        LockMode::Share,
        LockMode::ShareRowExclusive,
        LockMode::Exclusive,
        LockMode::AccessExclusive,
    ];
    let mode = MODES.get(usize::from(l.mode).saturating_sub(1)).copied().unwrap_or(LockMode::AccessExclusive);
    // By the strength of the lock: reading, or changing.
    let wanted = match mode {
        LockMode::AccessShare => right::SELECT,
        LockMode::RowExclusive => right::INSERT | right::UPDATE | right::DELETE | right::TRUNCATE,
        _ => right::UPDATE | right::DELETE | right::TRUNCATE,
    };
    let ddl = Ddl { cx };
    let mut reached: Vec<Arc<Relation>> = Vec::new();
    for r in &l.relations {
        ddl.need(r, wanted)?;
        reached.push(r.clone());
    }
    // What views read, and what theirs do, is locked with them; whoever owns the view needs the privileges.
    let mut next = 0;
    while let Some(view) = reached.get(next).cloned() {
        next += 1;
        if view.kind != RelationKind::View {
            continue;
        }
        cx.checkpoint()?;
        let reader = cx.reader()?;
        let roles = CatalogReader::roles(&reader)?;
        for below in ddl.read_by(&view)? {
            if reached.iter().any(|r| r.oid == below.oid) {
                continue;
            }
            let role = if view.security.invoker { cx.session.user() } else { view.owner };
            if pg_catalog::access::rights_on(&below, role, wanted, &roles) == 0 {
                return Err(pg_catalog::access::denied(pg_catalog::access::word(below.kind), &below.name));
            }
            reached.push(below);
        }
    }
    for r in &reached {
        let mut txn = cx.txn.borrow_mut();
        let got = cx
            .engine
            .storage()
            .lock(txn.storage(), cx.engine.catalog().lock_tag(r.oid), mode, !l.nowait)
            .map_err(storage_error)?;
        if !got {
            return Err(SqlError::new(
                SqlState::LOCK_NOT_AVAILABLE,
                format!("could not obtain lock on relation \"{}\"", r.name),
            ));
        }
    }
    done("LOCK TABLE")
}

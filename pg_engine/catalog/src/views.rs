//! Built-in views: names, numbers and columns as in PostgreSQL, queries our own; and the relations whose rows the engine
//! computes.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_storage::RelId;
use pg_types::{Oid, typeinfo};

use crate::{
    builtin::{rows::*, *},
    desc::{Attribute, Index, IndexKey, IndexMethod},
    monitor_views::EMPTY,
    table::Row,
};

/// `v schema name oid`, then `c name type`.
const COLUMNS: &str = include_str!("builtin/views.txt");

/// Names of relations in pg_catalog whose rows are computed.
const COMPUTED: &[&str] = &[
    "pg_settings",
    "pg_stat_activity",
    "pg_stat_ssl",
    "pg_stat_gssapi",
    "pg_locks",
    "pg_prepared_xacts",
    "pg_prepared_statements",
    "pg_cursors",
    "intralith_verify",
    "intralith_stat_storage",
    "pg_stat_bgwriter",
    "pg_stat_wal",
    "pg_stat_io",
    "pg_buffercache",
    "pg_timezone_names",
    "intralith_stat_database",
    "intralith_stat_statements",
    "intralith_stat_statements_info",
    "intralith_extensions",
    "dagdb_progress",
    "intralith_compute_backends",
    "dagdb_nodes",
    "dagdb_edges",
];

/// `pg_authid` rows that every database has.
pub(crate) const PREDEFINED_ROLES: &[(Oid, &str)] = &[
    (6171, "pg_database_owner"),
    (6181, "pg_read_all_data"),
    (6182, "pg_write_all_data"),
    (3373, "pg_monitor"),
    (3374, "pg_read_all_settings"),
    (3375, "pg_read_all_stats"),
    (3377, "pg_stat_scan_tables"),
    (4569, "pg_read_server_files"),
    (4570, "pg_write_server_files"),
    (4571, "pg_execute_server_program"),
    (4200, "pg_signal_backend"),
    (4544, "pg_checkpoint"),
];

/// Is this a relation whose rows are computed?
pub(crate) fn is_computed(name: &str, schema: Oid) -> bool {
    schema == PG_CATALOG && COMPUTED.contains(&name)
}

/// Ways into a computed relation, as indexes: what the planner may look up instead of reading all of it. In the order of
/// their columns, as from a B-tree.
pub(crate) fn ways_in(relation: Oid, attributes: &[Attribute]) -> Vec<Arc<Index>> {
    let index = |oid, name: &str, columns: &[&str], unique| {
        let key = |column: &&str| {
            let a = attributes.iter().find(|a| a.name == **column)?;
            Some(IndexKey {
                attnum: a.attnum,
                expression: None,
                ty: a.ty,
                descending: false,
                nulls_first: false,
                carried: false,
                class: None,
                collation: pg_types::typeinfo::collation_of(a.ty.oid),
            })
        };
        let keys: Vec<IndexKey> = columns.iter().filter_map(key).collect();
        Arc::new(Index {
            oid,
            name: name.to_string(),
            storage: RelId(0),
            method: IndexMethod::BTree,
            key_count: keys.len(),
            keys,
            unique,
            primary: false,
            predicate: None,
            deferrable: false,
            nulls_not_distinct: false,
            valid: true,
            fill_factor: None,
        })
    };
    match relation {
        DAGDB_NODES => Vec::from([
            index(9977, "dagdb_nodes_id", &["id"], true),
            index(9978, "dagdb_nodes_rank_truth", &["rank", "truth"], false),
        ]),
        DAGDB_EDGES => Vec::from([
            index(9979, "dagdb_edges_target", &["target"], false),
            index(9980, "dagdb_edges_source", &["source"], false),
        ]),
        _ => Vec::new(),
    }
}

/// What may be left out, or NULL, when rows are inserted into a computed relation that takes some.
pub(crate) fn describe(relation: Oid, attributes: &mut [Attribute]) {
    let columns: &[(&str, Option<&str>)] = match relation {
        DAGDB_NODES => {
            &[("rank", Some("0")), ("truth", Some("0")), ("type", Some("0")), ("lut", Some("'CONST0'"))]
        }
        DAGDB_EDGES => &[("source", None), ("target", None), ("back", Some("false"))],
        _ => &[],
    };
    for (name, default) in columns {
        if let Some(a) = attributes.iter_mut().find(|a| a.name == *name) {
            a.not_null = true;
            a.default = default.map(ToString::to_string);
        }
    }
}

/// The views' queries.
const VIEWS: &[(&str, &str)] = &[
    (
        "pg_stat_all_tables",
        "SELECT c.oid AS relid, n.nspname AS schemaname, c.relname, s.seq_scan, s.seq_tup_read, \
         CASE WHEN c.relhasindex THEN (SELECT sum(i.idx_scan)::int8 FROM pg_catalog.pg_index x \
         JOIN pg_catalog.pg_class xc ON xc.oid = x.indexrelid \
         JOIN pg_catalog.intralith_stat_storage i ON i.relfilenode = xc.relfilenode \
         WHERE x.indrelid = c.oid) END AS idx_scan, \
         CASE WHEN c.relhasindex THEN s.idx_tup_fetch END AS idx_tup_fetch, s.n_tup_ins, s.n_tup_upd, s.n_tup_del, \
         s.n_tup_hot_upd, s.n_live_tup, s.n_dead_tup, s.n_mod_since_analyze, s.n_ins_since_vacuum, s.last_vacuum, \
         s.last_autovacuum, s.last_analyze, s.last_autoanalyze, s.vacuum_count, s.autovacuum_count, s.analyze_count, \
         s.autoanalyze_count FROM pg_catalog.pg_class c \
         JOIN pg_catalog.intralith_stat_storage s ON s.relfilenode = c.relfilenode \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 't', 'm', 'p')",
    ),
    (
        "pg_stat_sys_tables",
        "SELECT * FROM pg_catalog.pg_stat_all_tables WHERE schemaname IN ('pg_catalog', 'information_schema')",
    ),
    (
        "pg_stat_user_tables",
        "SELECT * FROM pg_catalog.pg_stat_all_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    ),
    (
        "pg_hba_file_rules",
        "SELECT r.rule_number AS line_number, r.type, r.database, r.user_name, \
         CASE WHEN r.address = 'all' THEN 'all' ELSE host(r.address::inet) END AS address, \
         CASE WHEN r.address <> 'all' THEN host(netmask(r.address::inet)) END AS netmask, \
         r.auth_method, r.options, NULL::text AS error FROM pg_catalog.intralith_hba_rules r",
    ),
    (
        "pg_tables",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, pg_catalog.pg_get_userbyid(c.relowner) AS tableowner, \
         NULL::name AS tablespace, c.relhasindex AS hasindexes, c.relhasrules AS hasrules, \
         c.relhastriggers AS hastriggers, c.relrowsecurity AS rowsecurity \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p')",
    ),
    (
        "pg_views",
        "SELECT n.nspname AS schemaname, c.relname AS viewname, pg_catalog.pg_get_userbyid(c.relowner) AS viewowner, \
         pg_catalog.pg_get_viewdef(c.oid) AS definition \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'v'",
    ),
    (
        "pg_seclabels",
        "SELECT l.objoid, l.classoid, l.objsubid, NULL::text AS objtype, NULL::oid AS objnamespace, \
         NULL::text AS objname, l.provider, l.label FROM pg_catalog.pg_seclabel l UNION ALL \
         SELECT s.objoid, s.classoid, 0, NULL::text, NULL::oid, NULL::text, s.provider, s.label \
         FROM pg_catalog.pg_shseclabel s",
    ),
    (
        "pg_rules",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, r.rulename, \
         pg_catalog.pg_get_ruledef(r.oid) AS definition \
         FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN'",
    ),
    ("information_schema_catalog_name", "SELECT current_database()::name AS catalog_name"),
    (
        "check_constraints",
        "SELECT current_database()::name AS constraint_catalog, n.nspname AS constraint_schema, \
         k.conname AS constraint_name, \
         substring(pg_catalog.pg_get_constraintdef(k.oid) from 7)::varchar AS check_clause \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace \
         WHERE k.contype = 'c' UNION ALL \
         SELECT current_database()::name, n.nspname, \
         (n.oid::text || '_' || c.oid::text || '_' || a.attnum::text || '_not_null')::name, \
         (a.attname::text || ' IS NOT NULL')::varchar \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND c.relkind = 'r'",
    ),
    (
        "referential_constraints",
        "SELECT current_database()::name AS constraint_catalog, n.nspname AS constraint_schema, \
         k.conname AS constraint_name, current_database()::name AS unique_constraint_catalog, \
         un.nspname AS unique_constraint_schema, u.conname AS unique_constraint_name, \
         CASE k.confmatchtype WHEN 'f' THEN 'FULL' WHEN 'p' THEN 'PARTIAL' ELSE 'NONE' END::varchar AS match_option, \
         CASE k.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' \
         WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END::varchar AS update_rule, \
         CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' \
         WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END::varchar AS delete_rule \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace \
         LEFT JOIN pg_catalog.pg_constraint u \
         ON u.conrelid = k.confrelid AND u.conindid = k.conindid AND u.contype IN ('p', 'u') \
         LEFT JOIN pg_catalog.pg_namespace un ON un.oid = u.connamespace WHERE k.contype = 'f'",
    ),
    (
        "constraint_column_usage",
        "SELECT current_database()::name AS table_catalog, cn.nspname AS table_schema, c.relname AS table_name, \
         a.attname AS column_name, current_database()::name AS constraint_catalog, \
         n.nspname AS constraint_schema, k.conname AS constraint_name \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace \
         JOIN pg_catalog.pg_class c ON c.oid = CASE WHEN k.contype = 'f' THEN k.confrelid ELSE k.conrelid END \
         JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
         AND a.attnum = ANY (CASE WHEN k.contype = 'f' THEN k.confkey ELSE k.conkey END) \
         WHERE k.contype IN ('c', 'f', 'p', 'u')",
    ),
    (
        "pg_matviews",
        "SELECT n.nspname AS schemaname, c.relname AS matviewname, \
         pg_catalog.pg_get_userbyid(c.relowner) AS matviewowner, NULL::name AS tablespace, \
         c.relhasindex AS hasindexes, c.relispopulated AS ispopulated, \
         pg_catalog.pg_get_viewdef(c.oid) AS definition \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'm'",
    ),
    (
        "pg_indexes",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, i.relname AS indexname, NULL::name AS tablespace, \
         pg_catalog.pg_get_indexdef(i.oid) AS indexdef \
         FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indrelid \
         JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'm', 'p') AND i.relkind IN ('i', 'I')",
    ),
    (
        "pg_sequences",
        "SELECT n.nspname AS schemaname, c.relname AS sequencename, \
         pg_catalog.pg_get_userbyid(c.relowner) AS sequenceowner, s.seqtypid::regtype AS data_type, \
         s.seqstart AS start_value, s.seqmin AS min_value, s.seqmax AS max_value, s.seqincrement AS increment_by, \
         s.seqcycle AS cycle, s.seqcache AS cache_size, pg_catalog.pg_sequence_last_value(c.oid) AS last_value \
         FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S'",
    ),
    (
        "schemata",
        "SELECT current_database()::name AS catalog_name, n.nspname AS schema_name, u.rolname AS schema_owner, \
         NULL::name AS default_character_set_catalog, NULL::name AS default_character_set_schema, \
         NULL::name AS default_character_set_name, NULL::varchar AS sql_path \
         FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_authid u ON u.oid = n.nspowner",
    ),
    (
        "tables",
        "SELECT current_database()::name AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, \
         CASE WHEN c.relpersistence = 't' THEN 'LOCAL TEMPORARY' WHEN c.relkind = 'r' THEN 'BASE TABLE' \
         WHEN c.relkind = 'v' THEN 'VIEW' END::varchar AS table_type, \
         NULL::name AS self_referencing_column_name, NULL::varchar AS reference_generation, \
         CASE WHEN t.oid IS NOT NULL THEN current_database()::name END AS user_defined_type_catalog, \
         tn.nspname AS user_defined_type_schema, t.typname AS user_defined_type_name, \
         CASE WHEN c.relkind = 'r' OR c.relkind = 'v' AND pg_relation_is_updatable(c.oid, false) & 8 = 8 \
         THEN 'YES' ELSE 'NO' END::varchar AS is_insertable_into, \
         CASE WHEN t.oid IS NULL THEN 'NO' ELSE 'YES' END::varchar AS is_typed, \
         CASE WHEN c.relpersistence = 't' THEN 'PRESERVE' END::varchar AS commit_action \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN (pg_catalog.pg_type t JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace) \
         ON t.oid = c.reloftype \
         WHERE c.relkind IN ('r', 'v')",
    ),
    (
        "table_constraints",
        "SELECT current_database()::name AS constraint_catalog, n.nspname AS constraint_schema, \
         k.conname AS constraint_name, current_database()::name AS table_catalog, cn.nspname AS table_schema, \
         c.relname AS table_name, CASE k.contype WHEN 'c' THEN 'CHECK' WHEN 'f' THEN 'FOREIGN KEY' \
         WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END::varchar AS constraint_type, \
         CASE WHEN k.condeferrable THEN 'YES' ELSE 'NO' END::varchar AS is_deferrable, \
         CASE WHEN k.condeferred THEN 'YES' ELSE 'NO' END::varchar AS initially_deferred, \
         'YES'::varchar AS enforced, \
         CASE WHEN k.contype = 'u' THEN 'YES' END::varchar AS nulls_distinct \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace \
         JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
         JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace",
    ),
    (
        "key_column_usage",
        "SELECT current_database()::name AS constraint_catalog, n.nspname AS constraint_schema, \
         k.conname AS constraint_name, current_database()::name AS table_catalog, cn.nspname AS table_schema, \
         c.relname AS table_name, a.attname AS column_name, \
         pg_catalog.array_position(k.conkey, a.attnum) AS ordinal_position, \
         NULL::int4 AS position_in_unique_constraint \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace \
         JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
         JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) \
         WHERE k.contype IN ('p', 'u', 'f')",
    ),
    (
        "views",
        "SELECT current_database()::name AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, \
         pg_catalog.pg_get_viewdef(c.oid)::varchar AS view_definition, \
         CASE WHEN 'check_option=cascaded' = ANY (c.reloptions) THEN 'CASCADED' \
         WHEN 'check_option=local' = ANY (c.reloptions) THEN 'LOCAL' ELSE 'NONE' END::varchar AS check_option, \
         CASE WHEN pg_relation_is_updatable(c.oid, false) & 20 = 20 THEN 'YES' ELSE 'NO' END::varchar AS is_updatable, \
         CASE WHEN pg_relation_is_updatable(c.oid, false) & 8 = 8 THEN 'YES' ELSE 'NO' END::varchar \
         AS is_insertable_into, \
         'NO'::varchar AS is_trigger_updatable, 'NO'::varchar AS is_trigger_deletable, \
         'NO'::varchar AS is_trigger_insertable_into \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v'",
    ),
    (
        "sequences",
        "SELECT current_database()::name AS sequence_catalog, n.nspname AS sequence_schema, \
         c.relname AS sequence_name, pg_catalog.format_type(s.seqtypid, NULL)::varchar AS data_type, \
         CASE s.seqtypid WHEN 21 THEN 16 WHEN 23 THEN 32 ELSE 64 END::int4 AS numeric_precision, \
         2::int4 AS numeric_precision_radix, 0::int4 AS numeric_scale, s.seqstart::varchar AS start_value, \
         s.seqmin::varchar AS minimum_value, s.seqmax::varchar AS maximum_value, \
         s.seqincrement::varchar AS increment, CASE WHEN s.seqcycle THEN 'YES' ELSE 'NO' END::varchar AS cycle_option \
         FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE (pg_catalog.pg_has_role(c.relowner, 'USAGE') \
         OR pg_catalog.has_sequence_privilege(c.oid, 'SELECT, UPDATE, USAGE')) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass \
         AND d.objid = c.oid AND d.deptype = 'i')",
    ),
];

/// Every view's name and query.
pub(crate) fn all() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    VIEWS
        .iter()
        .chain(crate::access_views::VIEWS)
        .chain(crate::routine_views::VIEWS)
        .chain(crate::type_views::VIEWS)
        .chain(crate::monitor_views::VIEWS)
}

/// Rows that describe the views.
pub(crate) struct ViewRows {
    pub(crate) classes: Vec<Row>,
    pub(crate) attributes: Vec<Row>,
    pub(crate) rules: Vec<Row>,
}

/// The `pg_rewrite` row of a view.
pub fn rule_row(def: &'static CatalogDef, oid: Oid, view: Oid, query: &str) -> Row {
    Row::new(def)
        .set("oid", oid)
        .set("rulename", "_RETURN")
        .set("ev_class", view)
        .set("ev_type", b'1')
        .set("ev_enabled", b'O')
        .set("is_instead", true)
        .set("ev_qual", "<>")
        .set("ev_action", query)
}

/// The query of a view of nothing, with the columns that it is listed with.
fn without_rows(name: &str) -> String {
    let mut lines = COLUMNS.lines().skip_while(|l| l.split(' ').nth(2).is_none_or(|n| n != name));
    lines.next();
    let columns = lines.map_while(|l| {
        let mut words = l.split(' ');
        let (kind, column, ty) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        let ty = typeinfo::get(ty).map_or("text", |t| t.name);
        (kind == "c").then(|| format!("NULL::pg_catalog.\"{ty}\" AS \"{column}\""))
    });
    let columns: Vec<String> = columns.collect();
    format!("SELECT {} WHERE false", columns.join(", "))
}

/// Makes them.
pub(crate) fn rows() -> ViewRows {
    let mut out = ViewRows { classes: Vec::new(), attributes: Vec::new(), rules: Vec::new() };
    let (Some(class), Some(attribute), Some(rewrite)) =
        (catalog(PG_CLASS), catalog(PG_ATTRIBUTE), catalog(PG_REWRITE))
    else {
        return out;
    };
    let (mut view, mut columns) = (0, 0i16);
    for line in COLUMNS.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["v", schema, name, oid] => {
                view = oid.parse().unwrap_or(0);
                columns = 0;
                let row = ClassRow {
                    oid: view,
                    name,
                    schema: if *schema == "pg_catalog" { PG_CATALOG } else { INFORMATION_SCHEMA },
                    row_type: 0,
                    owner: FIRST_ROLE,
                    method: 0,
                    storage: 0,
                    kind: b'v',
                    columns: 0,
                    checks: 0,
                    has_index: false,
                    shared: false,
                    persistence: b'p',
                    options: Vec::new(),
                };
                out.classes.push(row.row(class).set("relacl", builtin_acl(name).to_value()));
                // Rules of built-in views are numbered after their views, which leave these oids free.
                if let Some((_, sql)) = all().find(|v| v.0 == *name) {
                    out.rules.push(rule_row(rewrite, view + 1, view, sql));
                } else if EMPTY.contains(name) {
                    out.rules.push(rule_row(rewrite, view + 1, view, &without_rows(name)));
                }
            }
            ["c", name, ty] => {
                columns += 1;
                let ty: Oid = ty.parse().unwrap_or(0);
                out.attributes.push(attribute_row(attribute, view, columns, name, ty.into(), false));
                if let Some(c) = out.classes.last_mut() {
                    c.put("relnatts", columns);
                }
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_has_a_query_or_is_computed() {
        let rows = rows();
        for c in &rows.classes {
            let name = c.text("relname");
            assert!(
                all().any(|v| v.0 == name) || COMPUTED.contains(&name) || EMPTY.contains(&name),
                "{name}"
            );
            assert!(c.int("relnatts") > 0);
        }
        assert_eq!(rows.rules.len(), all().count() + EMPTY.len());
    }
}

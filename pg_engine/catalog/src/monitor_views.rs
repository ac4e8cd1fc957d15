//! Views of statistics: of columns, of indexes, of databases. Their queries; and those that are empty because there is nothing of the
//! kind here.

/// See the module.
pub(crate) const VIEWS: &[(&str, &str)] = &[
    (
        "pg_stats",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, a.attname, s.stainherit AS inherited, \
         s.stanullfrac AS null_frac, s.stawidth AS avg_width, s.stadistinct AS n_distinct, \
         CASE WHEN s.stakind1 = 1 THEN s.stavalues1 END AS most_common_vals, \
         CASE WHEN s.stakind1 = 1 THEN s.stanumbers1 END AS most_common_freqs, \
         CASE WHEN s.stakind2 = 2 THEN s.stavalues2 END AS histogram_bounds, \
         CASE WHEN s.stakind3 = 3 THEN s.stanumbers3[1] END AS correlation, \
         CASE WHEN s.stakind4 = 4 THEN s.stavalues4 END AS most_common_elems, \
         CASE WHEN s.stakind4 = 4 THEN s.stanumbers4 END AS most_common_elem_freqs, \
         CASE WHEN s.stakind5 = 5 THEN s.stanumbers5 END AS elem_count_histogram \
         FROM pg_catalog.pg_statistic s JOIN pg_catalog.pg_class c ON c.oid = s.starelid \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = s.staattnum \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE NOT a.attisdropped AND has_column_privilege(c.oid, a.attnum, 'select') \
         AND (NOT c.relrowsecurity OR NOT row_security_active(c.oid))",
    ),
    (
        "pg_stats_ext",
        "SELECT tn.nspname AS schemaname, c.relname AS tablename, n.nspname AS statistics_schemaname, \
         e.stxname AS statistics_name, pg_get_userbyid(e.stxowner) AS statistics_owner, \
         (SELECT array_agg(a.attname ORDER BY a.attnum) FROM unnest(e.stxkeys) k(attnum) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = e.stxrelid AND a.attnum = k.attnum) AS attnames, \
         pg_get_statisticsobjdef_expressions(e.oid) AS exprs, e.stxkind AS kinds, d.stxdinherit AS inherited, \
         d.stxdndistinct AS n_distinct, d.stxddependencies AS dependencies, m.most_common_vals, \
         m.most_common_val_nulls, m.most_common_freqs, m.most_common_base_freqs \
         FROM pg_catalog.pg_statistic_ext e JOIN pg_catalog.pg_statistic_ext_data d ON d.stxoid = e.oid \
         JOIN pg_catalog.pg_class c ON c.oid = e.stxrelid \
         LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = e.stxnamespace \
         LEFT JOIN LATERAL (SELECT array_agg(i.\"values\") AS most_common_vals, \
         array_agg(i.nulls) AS most_common_val_nulls, array_agg(i.frequency) AS most_common_freqs, \
         array_agg(i.base_frequency) AS most_common_base_freqs \
         FROM pg_catalog.pg_mcv_list_items(d.stxdmcv) i) m ON d.stxdmcv IS NOT NULL \
         WHERE pg_has_role(c.relowner, 'USAGE') AND (NOT c.relrowsecurity OR NOT row_security_active(c.oid))",
    ),
    (
        "pg_stats_ext_exprs",
        "SELECT tn.nspname AS schemaname, c.relname AS tablename, n.nspname AS statistics_schemaname, \
         e.stxname AS statistics_name, pg_get_userbyid(e.stxowner) AS statistics_owner, x.expr, \
         d.stxdinherit AS inherited, s.stanullfrac AS null_frac, s.stawidth AS avg_width, \
         s.stadistinct AS n_distinct, CASE WHEN s.stakind1 = 1 THEN s.stavalues1 END AS most_common_vals, \
         CASE WHEN s.stakind1 = 1 THEN s.stanumbers1 END AS most_common_freqs, \
         CASE WHEN s.stakind2 = 2 THEN s.stavalues2 END AS histogram_bounds, \
         CASE WHEN s.stakind3 = 3 THEN s.stanumbers3[1] END AS correlation, \
         CASE WHEN s.stakind4 = 4 THEN s.stavalues4 END AS most_common_elems, \
         CASE WHEN s.stakind4 = 4 THEN s.stanumbers4 END AS most_common_elem_freqs, \
         CASE WHEN s.stakind5 = 5 THEN s.stanumbers5 END AS elem_count_histogram \
         FROM pg_catalog.pg_statistic_ext e JOIN pg_catalog.pg_class c ON c.oid = e.stxrelid \
         LEFT JOIN pg_catalog.pg_statistic_ext_data d ON d.stxoid = e.oid \
         LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = e.stxnamespace \
         CROSS JOIN LATERAL unnest(pg_get_statisticsobjdef_expressions(e.oid)) WITH ORDINALITY x(expr, n) \
         LEFT JOIN pg_catalog.pg_statistic s ON s.starelid = e.oid AND s.staattnum = x.n \
         WHERE pg_has_role(c.relowner, 'USAGE') AND (NOT c.relrowsecurity OR NOT row_security_active(c.oid))",
    ),
    (
        "pg_stat_all_indexes",
        "SELECT c.oid AS relid, i.oid AS indexrelid, n.nspname AS schemaname, c.relname, i.relname AS indexrelname, \
         s.idx_scan, s.seq_tup_read AS idx_tup_read, s.idx_tup_fetch FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_index x ON x.indrelid = c.oid JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid \
         JOIN pg_catalog.intralith_stat_storage s ON s.relfilenode = i.relfilenode \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 't', 'm')",
    ),
    (
        "pg_stat_sys_indexes",
        "SELECT * FROM pg_catalog.pg_stat_all_indexes \
         WHERE schemaname IN ('pg_catalog', 'information_schema') OR schemaname ~ '^pg_toast'",
    ),
    (
        "pg_stat_user_indexes",
        "SELECT * FROM pg_catalog.pg_stat_all_indexes \
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname !~ '^pg_toast'",
    ),
    // Blocks are not counted by database; rows and temporary files are those of the database that is asked.
    (
        "pg_stat_database",
        "SELECT d.oid AS datid, d.datname, s.numbackends, s.xact_commit, s.xact_rollback, NULL::int8 AS blks_read, \
         NULL::int8 AS blks_hit, t.returned AS tup_returned, t.fetched AS tup_fetched, t.inserted AS tup_inserted, \
         t.updated AS tup_updated, t.deleted AS tup_deleted, 0::int8 AS conflicts, s.temp_files, \
         s.temp_bytes, s.deadlocks, NULL::int8 AS checksum_failures, \
         NULL::timestamptz AS checksum_last_failure, 0::float8 AS blk_read_time, 0::float8 AS blk_write_time, \
         s.session_time, NULL::float8 AS active_time, NULL::float8 AS idle_in_transaction_time, s.sessions, \
         NULL::int8 AS sessions_abandoned, NULL::int8 AS sessions_fatal, NULL::int8 AS sessions_killed, s.stats_reset \
         FROM pg_catalog.pg_database d LEFT JOIN pg_catalog.intralith_stat_database s ON s.datid = d.oid \
         LEFT JOIN (SELECT sum(a.seq_tup_read)::int8 AS returned, sum(a.idx_tup_fetch)::int8 AS fetched, \
         sum(a.n_tup_ins)::int8 AS inserted, sum(a.n_tup_upd)::int8 AS updated, sum(a.n_tup_del)::int8 AS deleted \
         FROM pg_catalog.intralith_stat_storage a JOIN pg_catalog.pg_class c ON c.relfilenode = a.relfilenode \
         WHERE c.relkind <> 'i') t ON d.datname = current_database()",
    ),
    (
        "pg_available_extensions",
        "SELECT e.name, e.version AS default_version, x.extversion AS installed_version, e.comment \
         FROM pg_catalog.intralith_extensions e LEFT JOIN pg_catalog.pg_extension x ON e.name = x.extname",
    ),
    (
        "pg_available_extension_versions",
        "SELECT e.name, e.version, x.extname IS NOT NULL AS installed, e.superuser, e.trusted, false AS relocatable, \
         NULL::name AS schema, NULL::name[] AS requires, e.comment FROM pg_catalog.intralith_extensions e \
         LEFT JOIN pg_catalog.pg_extension x ON e.name = x.extname AND e.version = x.extversion",
    ),
    // Nothing replays a log beside queries.
    (
        "pg_stat_database_conflicts",
        "SELECT d.oid AS datid, d.datname, 0::int8 AS confl_tablespace, 0::int8 AS confl_lock, 0::int8 AS confl_snapshot, \
         0::int8 AS confl_bufferpin, 0::int8 AS confl_deadlock FROM pg_catalog.pg_database d",
    ),
];

/// Views without rows: there are no replication slots, subscriptions, publications, foreign servers and tables, triggers,
/// transforms and files of settings.
pub(crate) const EMPTY: &[&str] = &[
    "pg_replication_slots",
    "pg_stat_wal_receiver",
    "pg_stat_subscription",
    "pg_publication_tables",
    "pg_user_mappings",
    "pg_file_settings",
    "pg_ident_file_mappings",
    "pg_replication_origin_status",
    "pg_stat_replication",
    "pg_stat_replication_slots",
    "pg_stat_subscription_stats",
    "triggers",
    "triggered_update_columns",
    "transforms",
    "column_options",
    "foreign_data_wrappers",
    "foreign_data_wrapper_options",
    "foreign_servers",
    "foreign_server_options",
    "foreign_tables",
    "foreign_table_options",
    "user_mappings",
    "user_mapping_options",
];

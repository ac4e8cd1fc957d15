CREATE FUNCTION pg_stat_statements_reset(userid oid DEFAULT 0, dbid oid DEFAULT 0, queryid bigint DEFAULT 0) RETURNS void
    LANGUAGE sql VOLATILE STRICT PARALLEL SAFE
    AS $$ SELECT pg_catalog.intralith_reset_statements($1, $2, $3) $$;
CREATE FUNCTION pg_stat_statements_info(OUT dealloc bigint, OUT stats_reset timestamptz) RETURNS record
    LANGUAGE sql VOLATILE STRICT PARALLEL SAFE
    AS $$ SELECT i.dealloc, i.stats_reset FROM pg_catalog.intralith_stat_statements_info i $$;
CREATE VIEW pg_stat_statements_info AS SELECT * FROM pg_stat_statements_info();
GRANT SELECT ON pg_stat_statements_info TO PUBLIC;
-- Planning and waiting for the disk are not timed, as by default; pages of a session's own and generated code there are not.
CREATE FUNCTION pg_stat_statements(IN showtext boolean,
    OUT userid oid, OUT dbid oid, OUT toplevel bool, OUT queryid bigint, OUT query text, OUT plans int8,
    OUT total_plan_time float8, OUT min_plan_time float8, OUT max_plan_time float8, OUT mean_plan_time float8,
    OUT stddev_plan_time float8, OUT calls int8, OUT total_exec_time float8, OUT min_exec_time float8,
    OUT max_exec_time float8, OUT mean_exec_time float8, OUT stddev_exec_time float8, OUT rows int8,
    OUT shared_blks_hit int8, OUT shared_blks_read int8, OUT shared_blks_dirtied int8, OUT shared_blks_written int8,
    OUT local_blks_hit int8, OUT local_blks_read int8, OUT local_blks_dirtied int8, OUT local_blks_written int8,
    OUT temp_blks_read int8, OUT temp_blks_written int8, OUT blk_read_time float8, OUT blk_write_time float8,
    OUT temp_blk_read_time float8, OUT temp_blk_write_time float8, OUT wal_records int8, OUT wal_fpi int8,
    OUT wal_bytes numeric, OUT jit_functions int8, OUT jit_generation_time float8, OUT jit_inlining_count int8,
    OUT jit_inlining_time float8, OUT jit_optimization_count int8, OUT jit_optimization_time float8,
    OUT jit_emission_count int8, OUT jit_emission_time float8)
    RETURNS SETOF record LANGUAGE sql VOLATILE STRICT PARALLEL SAFE
    AS $$ SELECT s.userid, s.dbid, s.toplevel, s.queryid, CASE WHEN $1 THEN s.query END, s.plans, s.total_plan_time,
        s.min_plan_time, s.max_plan_time, s.mean_plan_time, s.stddev_plan_time, s.calls, s.total_exec_time,
        s.min_exec_time, s.max_exec_time, s.mean_exec_time, s.stddev_exec_time, s.rows, s.shared_blks_hit,
        s.shared_blks_read, s.shared_blks_dirtied, s.shared_blks_written, 0::int8, 0::int8, 0::int8, 0::int8,
        s.temp_blks_read, s.temp_blks_written, 0::float8, 0::float8, 0::float8, 0::float8, s.wal_records, s.wal_fpi,
        s.wal_bytes::numeric, 0::int8, 0::float8, 0::int8, 0::float8, 0::int8, 0::float8, 0::int8, 0::float8
        FROM pg_catalog.intralith_stat_statements s $$;
CREATE VIEW pg_stat_statements AS SELECT * FROM pg_stat_statements(true);
GRANT SELECT ON pg_stat_statements TO PUBLIC;
REVOKE ALL ON FUNCTION pg_stat_statements_reset(oid, oid, bigint) FROM PUBLIC;

-- Autovacuum now: workers (none are seen without pg_read_all_stats), and those on our tables.
SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity
        WHERE backend_type = 'autovacuum worker') AS workers,
       (SELECT count(*) FROM pg_catalog.pg_stat_progress_vacuum AS v
        JOIN pg_catalog.pg_class AS c ON c.oid = v.relid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND v.datname = pg_catalog.current_database()) AS on_ours

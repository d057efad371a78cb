-- What else happened on the server: counters to compare before and after a round. $1: our tables,
-- $2: backends of ours besides this one.
SELECT pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS wal_position,
       (SELECT redo_lsn - '0/0'::pg_lsn FROM pg_catalog.pg_control_checkpoint()) AS redo_position,
       (SELECT num_timed + num_requested FROM pg_catalog.pg_stat_checkpointer) AS checkpoints,
       (SELECT coalesce(sum(autovacuum_count + autoanalyze_count), 0)::bigint
        FROM pg_catalog.pg_stat_all_tables
        WHERE relid = ANY ($1::oid[]) OR relid IN (
            SELECT reltoastrelid FROM pg_catalog.pg_class WHERE oid = ANY ($1::oid[]))
       ) AS autovacuums,
       (SELECT count(*) FROM pg_catalog.pg_stat_progress_vacuum
        WHERE relid = ANY ($1::oid[])) AS vacuums_running,
       CASE WHEN pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') THEN
           (SELECT count(*) FROM pg_catalog.pg_stat_activity
            WHERE backend_type = 'client backend' AND state = 'active'
              AND pid <> pg_catalog.pg_backend_pid() AND pid <> ALL ($2::int[]))
       END AS other_sessions

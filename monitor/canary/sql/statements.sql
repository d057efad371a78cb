-- Cumulative work of this role's top-level statements in this database, without their texts.
SELECT queryid, calls, rows, total_exec_time / 1000 AS seconds,
       wal_bytes::bigint AS wal_bytes, wal_records, wal_fpi,
       shared_blks_hit, shared_blks_read, shared_blks_dirtied
FROM {extension_schema}.pg_stat_statements(false)
WHERE toplevel AND userid = $1 AND dbid = $2

-- WAL since the counters began, and how often its buffers were full.
SELECT wal_bytes::float8 AS bytes, wal_buffers_full AS buffers_full,
       extract(epoch FROM pg_catalog.now() - stats_reset)::float8 AS seconds
FROM pg_catalog.pg_stat_wal

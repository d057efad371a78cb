-- Server settings that can change what an insert costs; those that the server does not know are
-- left out.
SELECT name, setting || coalesce(' ' || unit, '') AS value
FROM pg_catalog.pg_settings
WHERE name = ANY (ARRAY[
    'archive_mode', 'autovacuum', 'autovacuum_max_workers', 'autovacuum_naptime',
    'backend_flush_after', 'bgwriter_delay', 'bgwriter_lru_maxpages', 'block_size',
    'checkpoint_completion_target', 'checkpoint_flush_after', 'checkpoint_timeout',
    'commit_delay', 'commit_siblings', 'data_checksums', 'default_table_access_method',
    'default_toast_compression', 'effective_io_concurrency', 'fsync', 'full_page_writes',
    'huge_pages', 'huge_pages_status', 'io_combine_limit', 'io_max_concurrency', 'io_method',
    'io_workers', 'jit', 'log_statement', 'maintenance_work_mem', 'max_connections',
    'max_parallel_workers', 'max_wal_senders', 'max_wal_size', 'min_wal_size',
    'pg_stat_statements.max', 'pg_stat_statements.track', 'pg_stat_statements.track_utility',
    'plan_cache_mode', 'recovery_init_sync_method', 'session_replication_role',
    'shared_buffers', 'shared_preload_libraries', 'ssl', 'standard_conforming_strings',
    'synchronous_commit', 'temp_buffers', 'track_activities', 'track_counts', 'track_functions',
    'track_io_timing', 'track_wal_io_timing', 'wal_buffers', 'wal_compression', 'wal_init_zero',
    'wal_keep_size', 'wal_level', 'wal_log_hints', 'wal_recycle', 'wal_segment_size',
    'wal_skip_threshold', 'wal_sync_method', 'wal_writer_delay', 'wal_writer_flush_after',
    'work_mem'])
UNION ALL
SELECT 'synchronous_standby_names',
       CASE setting WHEN '' THEN '' ELSE 'set' END
FROM pg_catalog.pg_settings WHERE name = 'synchronous_standby_names'
UNION ALL
SELECT 'extension ' || extname::text, extversion FROM pg_catalog.pg_extension
ORDER BY 1

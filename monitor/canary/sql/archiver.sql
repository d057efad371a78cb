-- Archiving since its counters began.
SELECT archived_count AS archived, failed_count AS failed,
       coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL) AS failing,
       coalesce(last_failed_wal, '') AS failed_file
FROM pg_catalog.pg_stat_archiver

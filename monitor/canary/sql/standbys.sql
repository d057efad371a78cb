-- Who streams our WAL; whether a standby is synchronous is known with pg_read_all_stats only.
SELECT count(*) AS streaming,
       count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) AS synchronous
FROM pg_catalog.pg_stat_replication

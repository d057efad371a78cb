-- Other clients now. Their states are known with pg_read_all_stats only, their number always.
SELECT count(*) FILTER (WHERE state = 'active' AND backend_type = 'client backend') AS active,
       count(*) FILTER (WHERE datid IS NOT NULL) AS connections,
       max(extract(epoch FROM pg_catalog.now() - xact_start))
           FILTER (WHERE state LIKE 'idle in transaction%')::float8 AS oldest_idle_seconds
FROM pg_catalog.pg_stat_activity
WHERE pid <> pg_catalog.pg_backend_pid()

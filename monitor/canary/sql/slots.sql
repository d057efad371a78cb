-- Replication slots, and the WAL in bytes that each holds back.
SELECT slot_name::text AS name, active, coalesce(wal_status, '') AS wal_status,
       (pg_catalog.pg_current_wal_lsn() - restart_lsn)::float8 AS retained_bytes
FROM pg_catalog.pg_replication_slots
WHERE NOT temporary
ORDER BY 1

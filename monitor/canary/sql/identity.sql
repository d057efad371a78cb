-- Which server this is: two ways that lead to the same one give the same row.
SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()) AS system_identifier,
       pg_catalog.pg_postmaster_start_time() AS started_at,
       pg_catalog.current_database()::text AS database,
       pg_catalog.current_setting('server_version') AS version,
       pg_catalog.pg_is_in_recovery() AS in_recovery

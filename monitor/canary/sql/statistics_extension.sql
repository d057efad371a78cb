-- Whether pg_stat_statements is here, and how it counts.
SELECT pg_catalog.quote_ident(n.nspname) AS extension_schema,
       (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user) AS role_oid,
       (SELECT oid FROM pg_catalog.pg_database
        WHERE datname = pg_catalog.current_database()) AS database_oid,
       pg_catalog.current_setting('pg_stat_statements.track', true) AS track,
       pg_catalog.current_setting('pg_stat_statements.track_utility', true) AS track_utility,
       pg_catalog.current_setting('compute_query_id', true) AS compute_query_id
FROM (SELECT) AS here
LEFT JOIN pg_catalog.pg_extension AS e ON e.extname = 'pg_stat_statements'
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace

-- Who we are here, and what that lets us do and see.
SELECT r.rolname::text AS name,
       r.rolsuper AS superuser,
       r.rolconnlimit AS connection_limit,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.usename = r.rolname)
           AS sessions,
       pg_catalog.pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE') AS reads_all_stats,
       pg_catalog.pg_has_role(r.oid, 'pg_read_all_settings', 'USAGE') AS reads_all_settings,
       pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CREATE')
           AS may_create_schema
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = current_user

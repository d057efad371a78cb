-- Extensions in this database, and where.
SELECT e.extname::text AS name, e.extversion AS version,
       pg_catalog.quote_ident(n.nspname) AS schema
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
ORDER BY 1

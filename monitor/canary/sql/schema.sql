-- Our schema as it stands: no row if there is none.
SELECT n.oid,
       pg_catalog.pg_get_userbyid(n.nspowner)::text AS owner,
       pg_catalog.obj_description(n.oid, 'pg_namespace') AS mark,
       pg_catalog.has_schema_privilege(current_user, n.oid, 'USAGE') AS may_use,
       pg_catalog.has_schema_privilege(current_user, n.oid, 'CREATE') AS may_create
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname = $1

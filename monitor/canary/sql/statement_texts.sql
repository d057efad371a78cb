-- The recorded texts of some statements of this role in this database.
SELECT queryid, query
FROM {extension_schema}.pg_stat_statements(true)
WHERE toplevel AND userid = $1 AND dbid = $2 AND queryid = ANY ($3::bigint[])

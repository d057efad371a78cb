-- Constraints of a table ($1) and of some domains ($2: oids), as the server words them.
SELECT k.oid, k.conname::text AS name, k.contype::text AS kind, k.contypid AS domain,
       coalesce(k.conkey, '{}')::int2[] AS columns,
       pg_catalog.pg_get_constraintdef(k.oid) AS definition,
       k.condeferrable AS deferrable, k.condeferred AS deferred, k.confmatchtype = 'f' AS match_full,
       k.confrelid AS parent, coalesce(k.confkey, '{}')::int2[] AS parent_columns,
       n.nspname::text AS parent_schema, p.relname::text AS parent_name,
       coalesce(i.reloptions, '{}') AS options
FROM pg_catalog.pg_constraint AS k
LEFT JOIN pg_catalog.pg_class AS p ON p.oid = k.confrelid
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = p.relnamespace
LEFT JOIN pg_catalog.pg_class AS i ON i.oid = k.conindid AND k.contype IN ('p', 'u')
WHERE (k.conrelid = $1 AND k.contype IN ('p', 'u', 'f', 'c', 'x'))
   OR (k.contypid = ANY ($2::oid[]) AND k.contype = 'c')
ORDER BY k.contype <> 'p', k.conname, k.oid

-- Our tables that hold rows themselves ($1: schema): whether there are any, and the table that each
-- is a partition of (else itself).
SELECT c.relname::text AS name, r.relname::text AS root,
       pg_catalog.pg_relation_size(c.oid) > 0 AS used
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS r
    ON r.oid = CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid) ELSE c.oid END
WHERE n.nspname = $1 AND c.relkind = 'r'
ORDER BY 1

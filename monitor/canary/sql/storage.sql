-- Our tables that hold rows themselves ($1: schema): whether there are any, the table that each is a
-- partition of (else itself), and the tables whose foreign keys point to that.
SELECT c.relname::text AS name, r.relname::text AS root, r.relkind = 'p' AS partitioned,
       pg_catalog.pg_relation_size(c.oid) > 0 AS used,
       ARRAY(SELECT DISTINCT p.relname::text
             FROM pg_catalog.pg_constraint AS k
             JOIN pg_catalog.pg_class AS p ON p.oid = k.conrelid
             WHERE k.confrelid = r.oid AND k.contype = 'f' AND k.conparentid = 0
               AND k.conrelid <> r.oid AND p.relnamespace = n.oid) AS referring
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS r
    ON r.oid = CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid) ELSE c.oid END
WHERE n.nspname = $1 AND c.relkind = 'r'
ORDER BY 1

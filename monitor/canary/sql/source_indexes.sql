-- Indexes of a table ($1) that no constraint made; ``uses`` are all columns, those of expressions
-- and of the predicate included.
SELECT i.indexrelid AS oid, c.relname::text AS name, i.indisunique AS is_unique, i.indisvalid AS valid,
       (i.indkey::int2[])[0:i.indnkeyatts - 1] AS columns,
       ARRAY(SELECT DISTINCT d.refobjsubid FROM pg_catalog.pg_depend AS d
             WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
               AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = $1
               AND d.refobjsubid > 0 ORDER BY 1) AS uses,
       pg_catalog.pg_get_indexdef(i.indexrelid) AS definition
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = $1
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k
                  WHERE k.conrelid = $1 AND k.conindid = i.indexrelid
                    AND k.contype IN ('p', 'u', 'x'))
ORDER BY c.relname

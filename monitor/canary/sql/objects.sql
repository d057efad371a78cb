-- Everything in our schema that stands on its own, with its comment. Left out is what belongs to a
-- table: indexes, row types, toast, and sequences that a column owns.
SELECT 'table' AS kind, c.relname::text AS name,
       pg_catalog.obj_description(c.oid, 'pg_class') AS mark, c.relkind::text AS relkind,
       pg_catalog.pg_has_role(current_user, c.relowner, 'USAGE') AS owned
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = $1 AND c.relkind NOT IN ('i', 'I', 't', 'c')
  AND NOT (c.relkind = 'S' AND EXISTS (
      SELECT FROM pg_catalog.pg_depend AS d
      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
        AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')))
UNION ALL
SELECT 'function', p.proname::text, pg_catalog.obj_description(p.oid, 'pg_proc'), 'f', false
FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = $1
UNION ALL
SELECT 'type', t.typname::text, pg_catalog.obj_description(t.oid, 'pg_type'), 'y', false
FROM pg_catalog.pg_type AS t
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid
WHERE t.typnamespace = $1 AND t.typtype IN ('b', 'c', 'd', 'e', 'r')
  AND t.typelem = 0 AND (t.typrelid = 0 OR c.relkind = 'c')
ORDER BY 1, 2

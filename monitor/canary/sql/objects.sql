-- Everything in our schema that stands on its own, with its comment. Left out is what belongs to a
-- table: indexes, row types, toast, and sequences that a column owns. Marks count on tables only.
SELECT pg_catalog.pg_describe_object(d.classid, d.objid, 0) AS description,
       r.relname::text AS name, r.relkind::text AS relkind,
       CASE WHEN r.relkind = 'r' THEN pg_catalog.obj_description(r.oid, 'pg_class') END AS mark,
       coalesce(pg_catalog.pg_has_role(current_user, r.relowner, 'USAGE'), false) AS owned
FROM pg_catalog.pg_depend AS d
LEFT JOIN pg_catalog.pg_class AS r
    ON d.classid = 'pg_catalog.pg_class'::regclass AND r.oid = d.objid
WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = $1 AND d.deptype = 'n'
  AND NOT (r.relkind IS NOT DISTINCT FROM 'S' AND EXISTS (
      SELECT FROM pg_catalog.pg_depend AS o
      WHERE o.classid = d.classid AND o.objid = d.objid
        AND o.refclassid = 'pg_catalog.pg_class'::regclass AND o.deptype IN ('a', 'i')))
ORDER BY 1

-- Everything in our schema that stands on its own, with its comment. Left out is what belongs to a
-- table: indexes, row types, toast, and sequences that a column owns. Marks count on tables, enums,
-- domains and sequences only.
SELECT pg_catalog.pg_describe_object(d.classid, d.objid, 0) AS description,
       coalesce(r.relname, t.typname)::text AS name, r.relkind::text AS relkind,
       t.typtype::text AS typtype,
       CASE WHEN r.relkind IN ('r', 'p', 'S') THEN pg_catalog.obj_description(r.oid, 'pg_class')
            WHEN t.typtype IN ('e', 'd') THEN pg_catalog.obj_description(t.oid, 'pg_type')
       END AS mark,
       coalesce(pg_catalog.pg_has_role(current_user, coalesce(r.relowner, t.typowner), 'USAGE'),
                false) AS owned
FROM pg_catalog.pg_depend AS d
LEFT JOIN pg_catalog.pg_class AS r
    ON d.classid = 'pg_catalog.pg_class'::regclass AND r.oid = d.objid
LEFT JOIN pg_catalog.pg_type AS t
    ON d.classid = 'pg_catalog.pg_type'::regclass AND t.oid = d.objid
WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = $1 AND d.deptype = 'n'
  AND NOT (r.relkind IS NOT DISTINCT FROM 'S' AND EXISTS (
      SELECT FROM pg_catalog.pg_depend AS o
      WHERE o.classid = d.classid AND o.objid = d.objid
        AND o.refclassid = 'pg_catalog.pg_class'::regclass AND o.deptype IN ('a', 'i')))
ORDER BY 1

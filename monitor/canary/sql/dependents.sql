-- Objects outside our schema that depend on something in it: views and rules (through their
-- rewrite rule), foreign keys, inheriting tables, columns of our types, functions, policies. What is
-- of a kind unknown here counts as foreign.
WITH ours AS (
    SELECT 'pg_catalog.pg_class'::regclass AS classid, oid FROM pg_catalog.pg_class
    WHERE relnamespace = $1
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, oid FROM pg_catalog.pg_type WHERE typnamespace = $1
), dependents AS (
    SELECT DISTINCT d.classid, d.objid, d.objsubid
    FROM pg_catalog.pg_depend AS d
    JOIN ours AS o ON d.refclassid = o.classid AND d.refobjid = o.oid
    WHERE d.deptype IN ('n', 'a')
      -- What is published is the guard's question of its own.
      AND d.classid <> 'pg_catalog.pg_publication_rel'::regclass
), owners AS (
    SELECT coalesce(r.ev_class, nullif(k.conrelid, 0), a.adrelid, g.tgrelid, y.polrelid, c.oid)
               AS relation,
           d.classid, d.objid, d.objsubid,
           coalesce(p.pronamespace, t.typnamespace, k.connamespace) AS namespace
    FROM dependents AS d
    LEFT JOIN pg_catalog.pg_rewrite AS r
        ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
    LEFT JOIN pg_catalog.pg_constraint AS k
        ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
    LEFT JOIN pg_catalog.pg_attrdef AS a
        ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND a.oid = d.objid
    LEFT JOIN pg_catalog.pg_trigger AS g
        ON d.classid = 'pg_catalog.pg_trigger'::regclass AND g.oid = d.objid
    LEFT JOIN pg_catalog.pg_policy AS y
        ON d.classid = 'pg_catalog.pg_policy'::regclass AND y.oid = d.objid
    LEFT JOIN pg_catalog.pg_class AS c
        ON d.classid = 'pg_catalog.pg_class'::regclass AND c.oid = d.objid
    LEFT JOIN pg_catalog.pg_proc AS p
        ON d.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = d.objid
    LEFT JOIN pg_catalog.pg_type AS t
        ON d.classid = 'pg_catalog.pg_type'::regclass AND t.oid = d.objid
)
SELECT DISTINCT CASE WHEN o.relation IS NULL
                     THEN pg_catalog.pg_describe_object(o.classid, o.objid, o.objsubid)
                     ELSE pg_catalog.pg_describe_object(
                         'pg_catalog.pg_class'::regclass, o.relation, 0)
                END AS name
FROM owners AS o
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = o.relation
WHERE coalesce(c.relnamespace, o.namespace) IS DISTINCT FROM $1
ORDER BY 1

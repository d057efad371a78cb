-- What defaults, constraints and indexes of a table ($1), and constraints of some domains ($2: oids),
-- stand on, besides the table itself: objects by pg_depend, and functions by the stored expression,
-- since pg_depend knows nothing of built-in ones. CURRENT_TIMESTAMP and its like are no function
-- there; they count as stable.
WITH parts AS (
    SELECT 'pg_catalog.pg_attrdef'::regclass AS classid, oid, adbin::text AS tree
    FROM pg_catalog.pg_attrdef WHERE adrelid = $1
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::regclass, oid, conbin::text
    FROM pg_catalog.pg_constraint WHERE conrelid = $1 OR contypid = ANY ($2::oid[])
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, indexrelid,
           pg_catalog.concat(indexprs::text, indpred::text)
    FROM pg_catalog.pg_index WHERE indrelid = $1
)
SELECT p.oid, d.refclassid::regclass::text AS catalog, d.refobjid AS needed,
       pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0) AS description,
       (pg_catalog.pg_identify_object(d.refclassid, d.refobjid, 0)).schema AS schema,
       NULL::text AS volatility
FROM parts AS p
JOIN pg_catalog.pg_depend AS d ON d.classid = p.classid AND d.objid = p.oid
WHERE d.deptype = 'n' AND NOT (d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = $1)
UNION
SELECT p.oid, 'pg_proc', f.oid,
       pg_catalog.pg_describe_object('pg_catalog.pg_proc'::regclass, f.oid, 0),
       n.nspname::text, f.provolatile::text
FROM parts AS p
CROSS JOIN LATERAL pg_catalog.regexp_matches(p.tree, ':(?:funcid|opfuncid) (\d+)', 'g') AS m
JOIN pg_catalog.pg_proc AS f ON f.oid = m[1]::oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace
UNION
SELECT p.oid, 'value', 0::oid, 'the time or the user', 'pg_catalog', 's'
FROM parts AS p WHERE p.tree ~ 'SQLVALUEFUNCTION'
ORDER BY 1, 2, 3, 6

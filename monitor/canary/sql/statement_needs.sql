-- What a function ($2) of our schema ($1) needs that is neither there nor built in, and the volatile
-- functions that it calls, but for those that only give a value.
WITH probe AS (
    SELECT p.oid, p.prosqlbody::text AS body, p.pronamespace
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = $1 AND p.proname = $2
)
SELECT pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0) AS description
FROM probe AS p
JOIN pg_catalog.pg_depend AS d
    ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'n'
WHERE d.refclassid <> 'pg_catalog.pg_namespace'::regclass
  AND coalesce((pg_catalog.pg_identify_object(d.refclassid, d.refobjid, 0)).schema, '')
      NOT IN ($1, 'pg_catalog')
UNION
SELECT pg_catalog.pg_describe_object('pg_catalog.pg_proc'::regclass, f.oid, 0)
FROM probe AS p
CROSS JOIN LATERAL pg_catalog.regexp_matches(p.body, ':(?:funcid|opfuncid) (\d+)', 'g') AS m
JOIN pg_catalog.pg_proc AS f ON f.oid = m[1]::oid
WHERE f.provolatile = 'v'
  AND f.proname NOT IN ('random', 'random_normal', 'clock_timestamp', 'timeofday',
                        'gen_random_uuid', 'uuidv4', 'uuidv7', 'pg_sleep')
ORDER BY 1

-- Types of the columns of some relations ($1: oids), with what arrays and domains are made of.
WITH RECURSIVE used AS (
    SELECT atttypid AS oid FROM pg_catalog.pg_attribute
    WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped
    UNION
    SELECT m.oid
    FROM used AS u JOIN pg_catalog.pg_type AS t ON t.oid = u.oid
    CROSS JOIN LATERAL (VALUES
        (CASE WHEN t.typtype = 'd' THEN t.typbasetype
              WHEN t.typcategory = 'A' THEN t.typelem END),
        -- A constraint on an enum may need the type of its arrays.
        (CASE WHEN t.typtype IN ('d', 'e') THEN t.typarray END)) AS m (oid)
    WHERE m.oid <> 0
)
SELECT t.oid, n.nspname::text AS schema, t.typname::text AS name, t.typtype::text AS kind,
       CASE WHEN t.typtype <> 'd' AND t.typcategory = 'A' AND t.typelem <> 0
            THEN t.typelem END AS element,
       CASE WHEN t.typtype = 'd' THEN t.typbasetype END AS base,
       t.typtypmod AS base_typmod,
       CASE WHEN t.typtype = 'd'
            THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END AS base_text,
       t.typnotnull AS not_null,
       ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum AS e
             WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels,
       x.extname::text AS extension
FROM used AS u
JOIN pg_catalog.pg_type AS t ON t.oid = u.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_depend AS d
    ON d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
LEFT JOIN pg_catalog.pg_extension AS x ON x.oid = d.refobjid
ORDER BY t.oid

-- Columns of some relations ($1: oids), with what they are filled by and three statistics. Of
-- pg_stats nothing else is read: the rest of it are values of rows. Where a partitioned table was
-- never analysed as a whole, its largest partition speaks for it.
WITH relations AS (
    SELECT b.oid AS base, l.oid, l.relkind, l.reltuples, l.relname, n.nspname
    FROM pg_catalog.unnest($1::oid[]) AS b (oid)
    CROSS JOIN LATERAL (SELECT b.oid UNION SELECT t.relid
                        FROM pg_catalog.pg_partition_tree(b.oid) AS t) AS m (oid)
    JOIN pg_catalog.pg_class AS l ON l.oid = m.oid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = l.relnamespace
), statistics AS (
    SELECT DISTINCT ON (r.base, s.attname)
           r.base, s.attname, s.n_distinct, s.null_frac, s.avg_width
    FROM relations AS r
    JOIN pg_catalog.pg_stats AS s ON s.schemaname = r.nspname AND s.tablename = r.relname
    ORDER BY r.base, s.attname, r.oid <> r.base, s.inherited <> (r.relkind = 'p'), r.reltuples DESC
)
SELECT c.oid AS relation, a.attnum AS number, a.attname::text AS name,
       a.atttypid AS type, a.atttypmod AS typmod,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS text,
       a.attnotnull AS not_null, a.attidentity::text AS identity, a.attgenerated::text AS generated,
       CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage::text END AS storage,
       CASE a.attcompression::text WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression,
       CASE WHEN a.attcollation <> t.typcollation THEN o.collname::text END AS collation,
       o.collnamespace = 'pg_catalog'::regnamespace AS collation_built_in,
       d.oid AS default_oid, pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS expression,
       s.n_distinct::float8, s.null_frac::float8, s.avg_width,
       q.seqrelid AS sequence, pg_catalog.format_type(q.seqtypid, NULL) AS sequence_type,
       q.seqincrement, q.seqmin, q.seqmax, q.seqstart, q.seqcache, q.seqcycle
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation AS o ON o.oid = a.attcollation
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN statistics AS s ON s.base = c.oid AND s.attname = a.attname
LEFT JOIN LATERAL (
    -- What an identity or a nextval() draws from; its state is not read.
    SELECT e.refobjid, e.objid FROM pg_catalog.pg_depend AS e
    WHERE (a.attidentity <> '' AND e.refclassid = 'pg_catalog.pg_class'::regclass
           AND e.refobjid = a.attrelid AND e.refobjsubid = a.attnum AND e.deptype = 'i'
           AND e.classid = 'pg_catalog.pg_class'::regclass)
       OR (a.attidentity = '' AND e.classid = 'pg_catalog.pg_attrdef'::regclass AND e.objid = d.oid
           AND e.refclassid = 'pg_catalog.pg_class'::regclass AND e.refobjid <> a.attrelid)
    LIMIT 1) AS f ON true
LEFT JOIN pg_catalog.pg_sequence AS q
    ON q.seqrelid = CASE WHEN a.attidentity <> '' THEN f.objid ELSE f.refobjid END
WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum

-- A table's definition, without any of its rows. $1: its name as a user writes it.
SELECT c.oid::regclass::text AS name,
       n.nspname::text AS schema,
       c.relname::text AS relation,
       coalesce(c.reloptions, '{}') AS options,
       -- Types of a user's own by their kind: names say little, and ours are called otherwise.
       (SELECT coalesce(pg_catalog.array_agg(CASE
            WHEN t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
            THEN pg_catalog.format_type(a.atttypid, a.atttypmod)
            WHEN e.oid IS NOT NULL THEN 'array of ' || words.kind ELSE words.kind END
            ORDER BY a.attnum), '{}')
        FROM pg_catalog.pg_attribute AS a
        JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
        LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'
        CROSS JOIN LATERAL (SELECT CASE coalesce(e.typtype, t.typtype)
            WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite type'
            WHEN 'r' THEN 'range type' WHEN 'm' THEN 'multirange type'
            ELSE coalesce(e.typname, t.typname)::text END AS kind) AS words
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT coalesce(pg_catalog.array_agg(pg_catalog.pg_get_indexdef(i.indexrelid)
                        ORDER BY i.indexrelid::regclass::text), '{}')
        FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisvalid) AS indexes,
       (SELECT coalesce(pg_catalog.array_agg(pg_catalog.pg_get_constraintdef(k.oid)
                        ORDER BY k.conname), '{}')
        FROM pg_catalog.pg_constraint AS k
        WHERE k.conrelid = c.oid AND k.contype IN ('f', 'c')) AS constraints,
       (SELECT coalesce(pg_catalog.array_agg(t.tgname::text ORDER BY t.tgname), '{}')
        FROM pg_catalog.pg_trigger AS t
        WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D') AS triggers
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind IN ('r', 'p')

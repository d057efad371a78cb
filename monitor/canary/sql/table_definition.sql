-- A table's definition, without any of its rows. $1: its name as a user writes it.
SELECT c.oid::regclass::text AS name,
       n.nspname::text AS schema,
       c.relname::text AS relation,
       coalesce(c.reloptions, '{}') AS options,
       (SELECT count(*) FROM pg_catalog.pg_attribute AS a
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

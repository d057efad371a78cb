-- Tables in our schema: what they hold, what is known of it, what acts on them. $1: the schema.
SELECT c.relname::text AS name,
       pg_catalog.obj_description(c.oid, 'pg_class') AS mark,
       pg_catalog.pg_table_size(c.oid) AS bytes,
       pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int AS pages,
       c.reltuples::float8 AS planned_rows,
       coalesce(s.n_live_tup, 0) AS live_rows,
       coalesce(s.n_mod_since_analyze, 0) AS modified_rows,
       greatest(s.last_analyze, s.last_autoanalyze) AS analyzed_at,
       EXISTS (SELECT FROM pg_catalog.pg_constraint AS k
               WHERE k.confrelid = c.oid AND k.contype = 'f') AS referenced,
       coalesce('autovacuum_enabled=false' = ANY (c.reloptions), false) AS autovacuum_off,
       (SELECT coalesce(pg_catalog.array_agg(t.tgname::text ORDER BY t.tgname), '{}')
        FROM pg_catalog.pg_trigger AS t
        WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D') AS triggers
FROM pg_catalog.pg_class AS c
LEFT JOIN pg_catalog.pg_stat_all_tables AS s ON s.relid = c.oid
WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1)
  AND c.relkind = 'r'
ORDER BY 1

-- A relation by its schema ($1) and name ($2), without a look at its rows: what it is, and what of it
-- is not copied. No row if there is none of that name. Looked up in the catalogue, since a name
-- resolved by the server would need USAGE on the schema.
SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS relkind,
       c.relpersistence = 'u' AS unlogged, c.relpersistence = 't' AS temporary,
       greatest(c.reltuples, (SELECT sum(l.reltuples)
                              FROM pg_catalog.pg_partition_tree(c.oid) AS t
                              JOIN pg_catalog.pg_class AS l ON l.oid = t.relid
                              WHERE t.isleaf), 0)::bigint AS row_count,
       coalesce(c.reloptions, '{}') AS options,
       coalesce(m.amname::text, 'heap') AS access_method,
       p.partstrat::text AS partition_strategy,
       p.partattrs::int2[] AS partition_columns,
       ARRAY(SELECT 'trigger ' || g.tgname FROM pg_catalog.pg_trigger AS g
             WHERE g.tgrelid = c.oid AND NOT g.tgisinternal ORDER BY 1)
       || ARRAY(SELECT 'rule ' || r.rulename FROM pg_catalog.pg_rewrite AS r
                WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN' ORDER BY 1)
       || ARRAY(SELECT 'policy ' || y.polname FROM pg_catalog.pg_policy AS y
                WHERE y.polrelid = c.oid ORDER BY 1) AS extras
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
LEFT JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = c.oid
WHERE n.nspname = $1 AND c.relname = $2

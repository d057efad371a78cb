-- The partitions of a table ($1) with their bounds as the server words them.
SELECT c.relname::text AS name, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound,
       c.relkind::text AS relkind, coalesce(c.reloptions, '{}') AS options
FROM pg_catalog.pg_inherits AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = $1 AND c.relispartition AND NOT i.inhdetachpending
ORDER BY c.relname

-- What goes with a table when it is emptied or dropped: its partitions, in whatever schema, and the
-- tables of its schema that refer to it by a foreign key. One step: each has its own. $1: the table.
SELECT n.nspname::text AS schema, c.relname::text AS name, f.partition
FROM (
    SELECT i.inhrelid AS oid, true AS partition
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS p ON p.oid = i.inhparent
    WHERE i.inhparent = $1::regclass AND p.relkind = 'p'
    UNION
    -- Those of partitions stand under their tables'.
    SELECT k.conrelid, false
    FROM pg_catalog.pg_constraint AS k
    WHERE k.confrelid = $1::regclass AND k.contype = 'f' AND k.conparentid = 0
) AS f
JOIN pg_catalog.pg_class AS c ON c.oid = f.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE f.partition
   OR c.relnamespace = (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = $1::regclass)
ORDER BY 1, 2

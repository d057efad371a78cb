-- A table of a schema, and those of the schema that refer to it by a foreign key, also through
-- others: what must be emptied or dropped together. $1: the table's oid.
WITH RECURSIVE family AS (
    SELECT $1::oid AS oid
    UNION
    SELECT k.conrelid
    FROM pg_catalog.pg_constraint AS k
    JOIN family AS f ON k.confrelid = f.oid
    WHERE k.contype = 'f'
)
SELECT c.relname::text AS name
FROM family AS f
JOIN pg_catalog.pg_class AS c ON c.oid = f.oid
WHERE c.relnamespace = (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = $1)
ORDER BY 1

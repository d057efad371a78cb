-- Publications that send what we would write: all tables, or tables of our schema.
SELECT p.pubname::text AS name
FROM pg_catalog.pg_publication AS p
WHERE p.puballtables OR EXISTS (
    SELECT FROM pg_catalog.pg_publication_rel AS r
    JOIN pg_catalog.pg_class AS c ON c.oid = r.prrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE r.prpubid = p.oid AND n.nspname = $1)
ORDER BY 1

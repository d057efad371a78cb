-- Load a table of ours and its indexes into shared buffers. $1: the table, qualified.
SELECT c.relname::text AS name, {extension_schema}.pg_prewarm(c.oid::regclass) AS pages
FROM pg_catalog.pg_class AS c
WHERE c.oid = $1::regclass
   OR c.oid IN (SELECT indexrelid FROM pg_catalog.pg_index WHERE indrelid = $1::regclass)
ORDER BY 1

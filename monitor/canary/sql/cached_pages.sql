-- How many of a table's pages are in shared buffers. $1: the table, qualified.
SELECT count(*) AS pages
FROM {extension_schema}.pg_buffercache
WHERE reldatabase = (SELECT oid FROM pg_catalog.pg_database
                     WHERE datname = pg_catalog.current_database())
  AND relfilenode = pg_catalog.pg_relation_filenode($1::regclass)
  AND relforknumber = 0

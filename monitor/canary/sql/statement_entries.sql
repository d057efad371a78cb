-- How full pg_stat_statements is, and how often it had to make room.
SELECT (SELECT count(*) FROM {extension_schema}.pg_stat_statements(false)) AS entries,
       i.dealloc AS evictions,
       extract(epoch FROM pg_catalog.now() - i.stats_reset)::float8 AS seconds
FROM {extension_schema}.pg_stat_statements_info AS i

-- Every setting that this role may see, as it is in force for this session.
SELECT name, coalesce(setting, '') AS value, coalesce(unit, '') AS unit, context, source,
       pending_restart
FROM pg_catalog.pg_settings
ORDER BY 1

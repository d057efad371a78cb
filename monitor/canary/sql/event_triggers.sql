-- Event triggers that fire in ordinary sessions.
SELECT evtname::text AS name, evtevent::text AS event
FROM pg_catalog.pg_event_trigger
WHERE evtenabled IN ('O', 'A')
ORDER BY 1

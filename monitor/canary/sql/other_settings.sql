-- Settings that somebody set, for the server, the database or our role, and that are not in $1.
-- What we set ourselves has another source, and what a server finds out of itself is no setting.
SELECT name, coalesce(setting, '') AS value
FROM pg_catalog.pg_settings
WHERE source IN ('environment variable', 'configuration file', 'command line', 'global',
                 'database', 'user', 'database user')
  AND context <> 'internal'
  AND name <> ALL ($1)
  AND name NOT IN ('application_name', 'client_encoding', 'lock_timeout', 'statement_timeout',
                   'idle_in_transaction_session_timeout', 'idle_session_timeout', 'search_path')
ORDER BY 1

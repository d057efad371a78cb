"""The SQL that a DBA runs to let us in with the least that we need; never run by us."""

from __future__ import annotations

from monitor.canary.identifiers import literal, quote, schema_mark


def role_statements(role: str, schema: str) -> str:
    """A psql script: role, marked schema, statistics. Run it in the canary database."""
    return f"""\
-- Run once, as a superuser or as the owner of the canary database, connected to that database:
--   ingest-canary role-sql | psql -d canary
-- Then set a password: \\password {role}

BEGIN;

CREATE ROLE {quote(role)} LOGIN CONNECTION LIMIT 8;

-- The one schema that everything lives in. The comment is the mark by which ingest-canary knows it;
-- without it, it refuses to work there.
CREATE SCHEMA {quote(schema)};
COMMENT ON SCHEMA {quote(schema)} IS {literal(schema_mark())};
GRANT USAGE, CREATE ON SCHEMA {quote(schema)} TO {quote(role)};

-- Server time, calls, WAL and buffers of the inserts; needs pg_stat_statements in
-- shared_preload_libraries. Without it the rest still works.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;

-- Optional: lets it see whether other sessions are active while it measures. It reads statistics
-- only, no data. Leave it out and that is reported as unknown.
GRANT pg_read_all_stats TO {quote(role)};

COMMIT;
"""

"""ingest-canary: notices that bulk inserts into PostgreSQL got slower, and says why."""

__version__ = "0.1.0"

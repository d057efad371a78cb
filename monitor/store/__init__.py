"""Where every sample is kept: SQLite in the data directory, PostgreSQL or TimescaleDB by URL.

``recorder.Recorder`` takes runs and loses none; ``database.Database`` is one store on one engine;
``read`` and ``history`` ask it; ``retention`` and ``rollups`` keep it small; ``transfer`` moves it.
"""

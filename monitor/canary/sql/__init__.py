"""One ``.sql`` file per question, each pasteable into psql.

A question whose answer moved between server versions has a file per version, named by the first
major version it holds for: ``activity.14.sql``, ``activity.17.sql``.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def load(question: str, version: int = 0) -> str:
    """The SQL of a question; of several files the newest not above the server's major version."""
    folder = files(__name__)
    plain = folder / f"{question}.sql"
    if plain.is_file():
        return plain.read_text(encoding="utf-8")
    versions = [
        int(entry.name.split(".")[1])
        for entry in folder.iterdir()
        if entry.name.startswith(f"{question}.")
    ]
    nearest = max(known for known in versions if known <= version)
    return (folder / f"{question}.{nearest}.sql").read_text(encoding="utf-8")

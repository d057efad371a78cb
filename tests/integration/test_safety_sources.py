"""Safety contract 2 and 4, as far as reading the sources can show it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import monitor

SOURCES = Path(monitor.__file__).parent
FILES = (*SOURCES.rglob("*.py"), *SOURCES.rglob("*.sql"))


def _code(path: Path) -> str:
    """A source file without comments and docstrings, where words are only words."""
    text = path.read_text()
    if path.suffix == ".sql":
        return re.sub(r"--.*", "", text)
    return re.sub(r'"""(?:.|\n)*?"""|^\s*#.*$|(?<=\s)#(?!\{).*$', "", text, flags=re.MULTILINE)


def test_nothing_in_the_sources_cascades() -> None:
    for path in FILES:
        assert not re.search(r"\bcascade\b", _code(path), re.IGNORECASE), path


def test_one_module_alone_truncates_drops_and_locks() -> None:
    """On a canary; the store drops its own old partitions, in one module too."""
    statement = re.compile(
        r"\b(TRUNCATE (TABLE|ONLY)|DROP (TABLE|SCHEMA|INDEX|TYPE|DOMAIN|SEQUENCE)|LOCK TABLE)\b"
    )
    found = {p.relative_to(SOURCES) for p in FILES if statement.search(_code(p))}
    assert found == {Path("canary/tables.py"), Path("store/partitions.py")}


@pytest.mark.parametrize(
    "forbidden",
    [
        r"pg_stat_statements_reset",
        r"pg_stat_reset",
        r"pg_(cancel|terminate)_backend",
        r"ALTER\s+(SYSTEM|DATABASE|ROLE \w)",
        r"pg_reload_conf",
        r"^\s*\"?(CHECKPOINT|VACUUM)\b",
    ],
)
def test_nothing_in_the_sources_reaches_beyond_our_session(forbidden: str) -> None:
    found = [p.name for p in FILES if re.search(forbidden, _code(p), re.MULTILINE)]
    assert not found

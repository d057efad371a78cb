"""For tests of export and import: a store with everything in it, and its way through a file."""

from __future__ import annotations

import asyncio
import functools
import io
import json
import tarfile
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.environment import Environment
from monitor.model import Notice
from monitor.store import control, tables
from monitor.store.control import Request
from monitor.store.database import Location
from monitor.store.read import runs_between
from monitor.store.records import FailureRow, RunRecord, SeriesKey
from monitor.store.retention import Policy
from monitor.store.transfer.archive import opened as opened_archive
from monitor.store.transfer.exporting import Selection, export
from monitor.store.transfer.importing import Imported, import_archive, verify
from monitor.store.transfer.layout import Table
from tests.stores import (
    BULK,
    COPY,
    Store,
    record,
    records_every,
)

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NOW = datetime(2026, 11, 22, 14, 10, tzinfo=UTC)
#: Of the two weeks below, some days keep their samples, some their runs and all a rollup.
POLICY = Policy(raw=2 * DAY, hourly=10 * DAY)
ODD = SeriesKey("core_executemany", 'a "shape"', 1000, "rows=7,transaction=batch", 7)
SPARE = 'zweite, "Säule"\n'
WHOLE = Selection()


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*arguments: Any, **fixtures: Any) -> None:
        asyncio.run(test(*arguments, **fixtures))

    return run


# --- everything that can be in a store -----------------------------------------------------------


def everything() -> list[RunRecord]:
    """Two targets over two weeks, with every oddity that the types allow."""
    usual = records_every(8 * HOUR, NOW - 14 * DAY, NOW, keys=(COPY, ODD))
    usual = [
        replace(each, state=f"state {number}".encode()) if number % 3 == 0 else each
        for number, each in enumerate(usual)
    ]
    odd = [replace(each, target=SPARE, id=f"{n:032x}") for n, each in enumerate(odd_runs())]
    odd[0] = replace(odd[0], environment=None)
    return usual + odd


def odd_runs() -> list[RunRecord]:
    failure = FailureRow(NOW, "server_error", 'no "space"\r\n\tleft, 100 %; ☃\\n', COPY, 3, False)
    of_run = FailureRow(NOW, "timeout", "", None, None, True)
    ending = FailureRow(NOW + MINUTE, "budget", "'", ODD, 1, True)
    unlike = Environment("17", {"é": "", "fsync": 'o"n'}, {}, {"t": "id integer\nx text"}, "☃")
    notices = (Notice("s", 'two\n"lines"'), Notice("", "", "do"))
    return [
        record(NOW - 9 * HOUR, keys=(), outcome="failed", wal_bytes=None, failures=(of_run,),
               probes={}),
        record(NOW - 8 * HOUR, keys=(BULK,), outcome="partial", failures=(failure, ending)),
        record(NOW - 7 * HOUR, environment=unlike, notices=notices, state=b"",
               probes={"commit": (1.0, 1e-7, 1e16), "é": ()}),
        record(NOW - 6 * HOUR + timedelta(microseconds=1), trigger="manual", rounds=1, keys=(ODD,),
               state=bytes(range(256))),
        record(NOW - 5 * HOUR, keys=(), outcome="skipped"),
        # As one that was moved on, since another began at the same moment; and series that are
        # met in another order than that of their names.
        record(NOW - 5 * HOUR + timedelta(microseconds=1),
               keys=[ODD._replace(variant=variant) for variant in ("z=1", "B=1", "a=1")]),
    ]  # fmt: skip


REQUESTS = [
    Request(NOW, "pause", None, None, "me", ""),
    Request(NOW + MINUTE, "resume", "main", "", "you", 'why\n"not"'),
    Request(NOW + MINUTE, "accept", SPARE, "a change", "☃", "note"),
    Request(NOW, "pause", "other", None, "me", "of another target"),
]


async def fill(store: Store) -> None:
    await store.append(*everything())
    await store.prune(POLICY, NOW)
    for request in REQUESTS:
        await control.add(store.database, request)


@pytest.fixture(name="other")
def other_fixture(
    location: Location,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Location:
    """A place for a store of another engine than that at ``location``."""
    url = None if location.url else request.getfixturevalue("database").dsn
    return Location(tmp_path / "other.sqlite", url)


# --- moving it -----------------------------------------------------------------------------------


async def exported(store: Store, selection: Selection = WHOLE) -> bytes:
    out = io.BytesIO()
    await export(store.database, out, selection, NOW)
    return out.getvalue()


async def imported(store: Store, data: bytes) -> Imported:
    with opened_archive(io.BytesIO(data), "it") as archive:
        verify(archive)
        return await import_archive(store.database, archive)


def parts(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def tables_of(data: bytes) -> dict[str, bytes]:
    return {name: part for name, part in parts(data).items() if name != "manifest.json"}


def manifest_of(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(parts(data)["manifest.json"])
    return found


def rows(data: bytes, table: Table) -> list[dict[str, Any]]:
    with opened_archive(io.BytesIO(data), "it") as archive:
        return [dict(zip(table.header, row, strict=True)) for row in archive.rows(table)]


async def all_records(store: Store) -> list[RunRecord]:
    found = []
    for target in ("main", SPARE):
        found += await runs_between(store.database, target, tables.EPOCH, NOW + DAY)
    return found

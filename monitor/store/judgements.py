"""Judgements as the store keeps them: a verdict a run, changes and their ends, each once."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.environment import Difference
from monitor.judgement import (
    Change,
    Closing,
    Detector,
    Judgement,
    Place,
    decode_verdicts,
    encode_difference,
    encode_verdicts,
)
from monitor.model import CaseKey
from monitor.store import tables
from monitor.store.database import Database
from monitor.store.names import Names, insert_or_leave
from monitor.store.records import RunRecord

_CASE = ("strategy", "shape", "batch_size", "variant")
#: Columns that are called what a change calls them.
_SAME = (
    "id",
    "kind",
    "counter",
    "since",
    "since_low",
    "since_high",
    "told_at",
    "effect_ratio",
    "rows_per_second_ratio",
    "statistic",
    "component",
    "strategies",
    "of",
    "cause",
)


@dataclass(frozen=True, slots=True)
class StoredChange:
    """A change and, if it has ended, how."""

    change: Change
    end: Closing | None


# --- there ---------------------------------------------------------------------------------------


async def add_judgements(
    connection: AsyncConnection, names: Names, records: Iterable[RunRecord]
) -> None:
    """Write what was said of runs, in their transaction; what is there already stays."""
    for record in records:
        judgement = record.judgement
        if judgement is None:
            continue
        run = names.targets[record.target], record.started_at
        await _insert(connection, tables.detector, [_detector(judgement.detector)])
        await _insert(connection, tables.verdict, [_verdict(judgement, *run)])
        changes = [change_values(change, *run) for change in judgement.changes]
        await _insert(connection, tables.change, changes)
        ends = [end_values(closing, *run) for closing in judgement.closings]
        await _insert(connection, tables.change_end, ends)


async def _insert(connection: AsyncConnection, table: Any, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(insert_or_leave(connection, table), rows)


def detector_id(detector: Detector) -> str:
    """Twelve hex digits that stand for a version and its parameters."""
    text = json.dumps([detector.version, dict(detector.parameters)], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:12]


def _detector(detector: Detector) -> dict[str, Any]:
    return {
        "id": detector_id(detector),
        "version": detector.version,
        "parameters": dict(detector.parameters),
    }


def _verdict(judgement: Judgement, target_id: int, started_at: datetime) -> dict[str, Any]:
    return {
        "target_id": target_id,
        "started_at": started_at,
        "number": judgement.number,
        "detector_id": detector_id(judgement.detector),
        "contended": int(judgement.contended),
        "verdicts": encode_verdicts(judgement),
    }


def change_values(change: Change, target_id: int, started_at: datetime) -> dict[str, Any]:
    """A change as a row of its table, told in the run that began at ``started_at``."""
    case = change.place.case
    return {
        **{name: getattr(change, name) for name in _SAME},
        **{name: getattr(case, name) if case else None for name in _CASE},
        "target_id": target_id,
        "started_at": started_at,
        "story": change.group,
        "signal": change.place.signal,
        "fast": int(change.fast),
        "place": change.where,
        "differences": [encode_difference(each) for each in change.differences],
    }


def end_values(closing: Closing, target_id: int, started_at: datetime) -> dict[str, Any]:
    """An end as a row of its table."""
    return {
        "change_id": closing.change_id,
        "target_id": target_id,
        "started_at": started_at,
        "ending": closing.ending,
        "at": closing.at,
    }


# --- and back ------------------------------------------------------------------------------------


async def judgements_between(
    connection: AsyncConnection, target: str, target_id: int, first: datetime, last: datetime
) -> Mapping[datetime, Judgement]:
    """What was said of a target's runs from ``first`` to ``last``, by when they began."""
    verdict = tables.verdict.c
    statement = select(
        tables.verdict, tables.detector.c.version, tables.detector.c.parameters
    ).join(tables.detector)
    rows = await connection.execute(
        statement.where(verdict.target_id == target_id, verdict.started_at.between(first, last))
    )
    found = rows.all()
    if not found:
        return {}
    change, end = tables.change.c, tables.change_end.c
    changes: dict[datetime, list[Change]] = defaultdict(list)
    told = change.started_at.between(first, last) & (change.target_id == target_id)
    for each in await connection.execute(select(tables.change).where(told).order_by(change.id)):
        changes[each.started_at].append(change_of(each, target))
    ends: dict[datetime, list[Closing]] = defaultdict(list)
    ended = end.started_at.between(first, last) & (end.target_id == target_id)
    ordered = select(tables.change_end).where(ended).order_by(end.change_id)
    for each in await connection.execute(ordered):
        ends[each.started_at].append(closing_of(each))
    return {
        row.started_at: _judgement(row, changes[row.started_at], ends[row.started_at])
        for row in found
    }


def _judgement(row: Row[Any], changes: Iterable[Change], ends: Iterable[Closing]) -> Judgement:
    verdicts, cases = decode_verdicts(row.verdicts)
    return Judgement(
        number=row.number,
        detector=Detector(row.version, row.parameters),
        verdicts=verdicts,
        cases=cases,
        changes=tuple(changes),
        closings=tuple(ends),
        contended=bool(row.contended),
    )


def change_of(row: Row[Any], target: str) -> Change:
    """The change that a row of its table is of."""
    case = CaseKey(*(getattr(row, name) for name in _CASE)) if row.strategy is not None else None
    return Change(
        **{name: getattr(row, name) for name in _SAME},
        target=target,
        group=row.story,
        place=Place(case, row.signal),
        fast=bool(row.fast),
        where=row.place,
        differences=tuple(Difference(*each) for each in row.differences),
    )


def closing_of(row: Row[Any]) -> Closing:
    """The end that a row of its table is of."""
    return Closing(row.change_id, row.ending, row.at)


async def stored_changes(
    database: Database, target: str | None = None, since: datetime | None = None
) -> list[StoredChange]:
    """Changes of one target or of all, oldest first: those that stand or stood after ``since``.

    Raises StoreUnavailable.
    """
    end = tables.change_end.c
    conditions: list[ColumnElement[bool]] = []
    if target is not None:
        conditions.append(tables.target.c.name == target)
    if since is not None:
        conditions.append((end.at.is_(None)) | (end.at >= since))
    return await _stored(database, _changes_with_ends().where(*conditions))


async def changes_told(database: Database, since: datetime) -> list[tuple[datetime, Change]]:
    """Changes that runs begun from then on told, with when the run began.

    Raises StoreUnavailable.
    """
    statement = _changes_with_ends().where(tables.change.c.started_at >= since)
    async with database.reading() as connection:
        rows = (await connection.execute(statement)).all()
    return [(row.started_at, change_of(row, row.target)) for row in rows]


async def ends_told(database: Database, since: datetime) -> list[tuple[datetime, str, Closing]]:
    """Ends that runs begun from then on told, with when the run began and the target's name.

    Raises StoreUnavailable.
    """
    end = tables.change_end
    statement = (
        select(end, tables.target.c.name)
        .join(tables.target, end.c.target_id == tables.target.c.id)
        .where(end.c.started_at >= since)
    )
    async with database.reading() as connection:
        rows = (await connection.execute(statement)).all()
    return [(row.started_at, row.name, closing_of(row)) for row in rows]


async def story_of(database: Database, change_id: str) -> list[StoredChange]:
    """The changes of the story that a change, named by the first digits of its id or of the
    story's, belongs to; none if there is none, of several stories if it is ambiguous.

    Raises StoreUnavailable.
    """
    change = tables.change.c
    named = change.id.startswith(change_id, autoescape=True)
    stories = select(change.story).where(
        named | change.story.startswith(change_id, autoescape=True)
    )
    return await _stored(database, _changes_with_ends().where(change.story.in_(stories)))


def _changes_with_ends() -> Select[Any]:
    end = tables.change_end
    return (
        select(
            tables.change,
            tables.target.c.name.label("target"),
            end.c.change_id,
            end.c.ending,
            end.c.at,
        )
        .select_from(tables.change)
        .join(tables.target, tables.change.c.target_id == tables.target.c.id)
        .outerjoin(end, end.c.change_id == tables.change.c.id)
        .order_by(tables.change.c.started_at, tables.change.c.id)
    )


async def _stored(database: Database, statement: Select[Any]) -> list[StoredChange]:
    async with database.reading() as connection:
        rows = (await connection.execute(statement)).all()
    return [
        StoredChange(change_of(row, row.target), closing_of(row) if row.change_id else None)
        for row in rows
    ]
